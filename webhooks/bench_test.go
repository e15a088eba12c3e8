package webhooks

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkReview is what the validating webhook of a workflow of ten steps costs in this process, the API server's own work apart.
func BenchmarkReview(b *testing.B) {
	handlers := serveAll(b)
	var steps []string
	for i := range 10 {
		steps = append(steps, fmt.Sprintf(`{"name":"s%d","action":{"type":"scale-deployment","scaleDeployment":{"namespace":"shop","name":"cart","replicas":%d}}}`, i, 2+i%2))
	}
	seed := reviewSeed{user: "alice", credential: "X509SHA256=1", object: `{"metadata":{"name":"w","namespace":"shop","annotations":{"kubernaut.io/requested-by":"alice"}},` +
		`"spec":{"requestedBy":{"username":"alice","groups":["on-call"],"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=1"]}},` +
		`"workflowDefinition":{"name":"d","steps":[` + strings.Join(steps, ",") + `]}}}`}
	for _, e := range registered(b) {
		if e.kind != "WorkflowExecution" {
			continue
		}
		q, _ := seed.question()
		body := q.asSent(e).body(b)
		b.Run(e.verb, func(b *testing.B) {
			for b.Loop() {
				if answer := handlers.ask(b, e.path(), body); !answer.Allowed {
					text, _ := json.Marshal(answer)
					b.Fatalf("%s", text)
				}
			}
		})
	}
}
