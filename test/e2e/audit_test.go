package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// write is one successful write as the API server's audit log has it.
type write struct{ User, Verb, Resource, Subresource, Namespace, Name string }

// writes are the successful writes that are no dry runs, in order.
func writes(keep func(write) bool) []write {
	GinkgoHelper()
	file, err := os.Open(filepath.Join(clusterDir, "logs", "audit.log"))
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(file.Close()).To(Succeed()) }()
	var out []write
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 0, 64*1024), 8*1024*1024)
	for lines.Scan() {
		var event auditv1.Event
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue // the line that is being written
		}
		if event.ObjectRef == nil || event.ResponseStatus == nil || event.ResponseStatus.Code >= 300 || strings.Contains(event.RequestURI, "dryRun=All") {
			continue
		}
		w := write{
			User: strings.TrimPrefix(event.User.Username, "system:serviceaccount:kubernaut-system:"), Verb: event.Verb,
			Resource: event.ObjectRef.Resource, Subresource: event.ObjectRef.Subresource,
			Namespace: event.ObjectRef.Namespace, Name: event.ObjectRef.Name,
		}
		if keep(w) {
			out = append(out, w)
		}
	}
	Expect(lines.Err()).To(Succeed())
	return out
}

// writersOf are the users that wrote a resource of a namespace, sorted, each once.
func writersOf(namespace, resource, subresource string, verbs ...string) []string {
	GinkgoHelper()
	var users []string
	for _, w := range writes(func(w write) bool {
		return w.Namespace == namespace && w.Resource == resource && w.Subresource == subresource && slices.Contains(verbs, w.Verb)
	}) {
		users = append(users, w.User)
	}
	slices.Sort(users)
	return slices.Compact(users)
}

// effectsOn are the writes of actions on a Deployment.
func effectsOn(namespace, deployment string) []write {
	GinkgoHelper()
	return writes(func(w write) bool {
		return w.Namespace == namespace && w.Resource == "deployments" && w.Subresource == "" && w.Name == deployment && strings.HasPrefix(w.User, "action-")
	})
}
