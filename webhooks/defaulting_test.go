package webhooks

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

func TestStoredForm(t *testing.T) {
	for name, test := range map[string]struct{ given, want string }{
		"durations take the form of Go": {
			given: `{"metadata":{"name":"x"},"spec":{"ttlAfterFinished":"1440m"}}`,
			want:  `{"metadata":{"name":"x"},"spec":{"ttlAfterFinished":"24h0m0s"}}`,
		},
		"what is empty is left out": {
			given: `{"metadata":{"name":"x","annotations":{}},"spec":{"cancel":"","workflowDefinition":{"name":"w","steps":[{"name":"a","dependsOn":[]}]}}}`,
			want:  `{"metadata":{"name":"x","annotations":{}},"spec":{"workflowDefinition":{"name":"w","steps":[{"name":"a"}]}}}`,
		},
		"a field of a newer version is kept": {
			given: `{"metadata":{"name":"x"},"spec":{"shiny":{"a":1},"workflowDefinition":{"name":"w","steps":[{"name":"a","glow":true}]}}}`,
			want:  `{"metadata":{"name":"x"},"spec":{"shiny":{"a":1},"workflowDefinition":{"name":"w","steps":[{"name":"a","glow":true}]}}}`,
		},
		"false stays where it says something": {
			given: `{"metadata":{"name":"x"},"spec":{"suspend":false}}`,
			want:  `{"metadata":{"name":"x"},"spec":{"suspend":false}}`,
		},
		"the status is left alone": {
			given: `{"metadata":{"name":"x"},"spec":{},"status":{"anything":[]}}`,
			want:  `{"metadata":{"name":"x"},"spec":{},"status":{"anything":[]}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			object := &workflowexecutionv1.WorkflowExecution{}
			if err := json.Unmarshal([]byte(test.given), object); err != nil {
				t.Fatal(err)
			}
			have, err := storedForm([]byte(test.given), object)
			if err != nil {
				t.Fatal(err)
			}
			var haveValue, wantValue any
			if err := json.Unmarshal(have, &haveValue); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(test.want), &wantValue); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wantValue, haveValue); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
}

func FuzzDefaultingAnswers(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `null`, `{"spec":null}`, `{"metadata":7,"spec":{}}`, `{"spec":{"requestedBy":{}}}`, `{"spec":{"timeouts":{"workflow":"soon"}}}`,
		`{"apiVersion":"workflowexecution.kubernaut.io/v1","kind":"WorkflowExecution","spec":{"workflowDefinition":{"name":"w","steps":[{"name":"a","dependsOn":["a"]}]}}}`,
		`{"apiVersion":"workflowexecution.kubernaut.io/v1","kind":"WorkflowExecution","spec":{"workflowDefinition":{"name":"w","steps":[{"name":"a","maxRetries":2000000000}]}}}`,
	} {
		f.Add([]byte(seed))
	}
	scheme := runtime.NewScheme()
	if err := workflowexecutionv1.AddToScheme(scheme); err != nil {
		f.Fatal(err)
	}
	handler := &defaulting[*workflowexecutionv1.WorkflowExecution]{decoder: admission.NewDecoder(scheme), defaulter: &workflowExecutions{}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			t.Skip("the API server sends JSON")
		}
		handler.Handle(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
			Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: raw},
		}})
	})
}
