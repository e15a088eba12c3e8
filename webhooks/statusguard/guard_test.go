package statusguard

import (
	"context"
	"errors"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
)

func token(account string) authenticationv1.UserInfo {
	return authenticationv1.UserInfo{
		Username: identity.Username("ns", account), Extra: map[string]authenticationv1.ExtraValue{credentialID: {"JTI=1"}},
	}
}

const (
	ofRequest  = `{"apiVersion":"remediation.kubernaut.io/v1","kind":"RemediationRequest","name":"r","uid":"u","controller":true}`
	ofWorkflow = `{"apiVersion":"workflowexecution.kubernaut.io/v1","kind":"WorkflowExecution","name":"r","uid":"u","controller":true}`
)

// What only the webhook can check, and what it cannot answer.
func TestOwnersAreRead(t *testing.T) {
	workflow := `{"metadata":{"annotations":{"kubernaut.io/requested-by":"` + identity.Username("ns", identity.RemediationRequest) + `"},"ownerReferences":[` + ofRequest +
		`]},"spec":{"requestedBy":{"username":"alice","groups":["on-call"]},"remediationRequestRef":{"name":"r","uid":"u"}}}`
	alice := shared.Requester{Username: "alice", Groups: []string{"on-call"}}
	for sentence, test := range map[string]struct {
		row      int
		user     string
		object   string
		live     *LiveOwner
		wantRule string
	}{
		"an analysis of a request that exists": {
			row: 2, user: identity.RemediationRequest, live: &LiveOwner{UID: "u"},
			object: `{"metadata":{"ownerReferences":[` + ofRequest + `]},"spec":{"remediationRequestRef":{"name":"r","uid":"u"}}}`,
		},
		"an analysis of a request that does not exist": {
			row: 2, user: identity.RemediationRequest, wantRule: "owner-exists",
			object: `{"metadata":{"ownerReferences":[` + ofRequest + `]},"spec":{"remediationRequestRef":{"name":"r","uid":"u"}}}`,
		},
		"an analysis of a request that was created again": {
			row: 2, user: identity.RemediationRequest, live: &LiveOwner{UID: "later"}, wantRule: "owner-exists",
			object: `{"metadata":{"ownerReferences":[` + ofRequest + `]},"spec":{"remediationRequestRef":{"name":"r","uid":"u"}}}`,
		},
		"an execution of a workflow that does not exist": {
			row: 4, user: identity.WorkflowExecution, wantRule: "owner-exists",
			object: `{"metadata":{"ownerReferences":[` + ofWorkflow + `]},"spec":{"workflowExecutionRef":{"name":"r","uid":"u"}}}`,
		},
		"a workflow for who made the request": {
			row: 3, user: identity.RemediationRequest, live: &LiveOwner{UID: "u", RequestedBy: alice}, object: workflow,
		},
		"a workflow for somebody else": {
			row: 3, user: identity.RemediationRequest, live: &LiveOwner{UID: "u", RequestedBy: shared.Requester{Username: "bob"}}, object: workflow,
			wantRule: "owner-requester",
		},
		"a workflow for the same name in other groups": {
			row: 3, user: identity.RemediationRequest, live: &LiveOwner{UID: "u", RequestedBy: shared.Requester{Username: "alice"}}, object: workflow,
			wantRule: "owner-requester",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			row := Rows()[test.row]
			request := &admissionv1.AdmissionRequest{
				Resource:  metav1.GroupVersionResource{Group: row.Group, Version: row.Version, Resource: row.Resource},
				Operation: admissionv1.Create, UserInfo: token(test.user), Object: runtime.RawExtension{Raw: []byte(test.object)}, Namespace: "shop",
			}
			found := func(_ context.Context, owner Owner, name types.NamespacedName) (*LiveOwner, error) {
				if owner.Kind != row.Owner.Kind || name != (types.NamespacedName{Namespace: "shop", Name: "r"}) {
					t.Errorf("asked for %s %s", owner.Kind, name)
				}
				return test.live, nil
			}
			refusal, err := New("ns").Decide(t.Context(), request, found)
			if err != nil {
				t.Fatal(err)
			}
			have := ""
			if refusal != nil {
				have = refusal.Rule
			}
			if have != test.wantRule {
				t.Errorf("refused by %q, want %q", have, test.wantRule)
			}
			failed := errors.New("no answer")
			_, err = New("ns").Decide(t.Context(), request, func(context.Context, Owner, types.NamespacedName) (*LiveOwner, error) { return nil, failed })
			if !errors.Is(err, failed) {
				t.Errorf("an owner that cannot be read gives %v, want an error", err)
			}
		})
	}
}

func TestUnknownIsNo(t *testing.T) {
	playbooks := metav1.GroupVersionResource{Group: "catalog.kubernaut.io", Version: "v1alpha1", Resource: "playbooks"}
	analyses := metav1.GroupVersionResource{Group: "aianalysis.kubernaut.io", Version: "v1", Resource: "aianalyses"}
	for sentence, request := range map[string]*admissionv1.AdmissionRequest{
		"nothing":                          {},
		"another resource":                 {Resource: metav1.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, Operation: admissionv1.Create},
		"the right name in another group":  {Resource: metav1.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "playbooks"}, Operation: admissionv1.Update, SubResource: "status"},
		"an operation that is not guarded": {Resource: playbooks, Operation: admissionv1.Delete},
		"another subresource":              {Resource: playbooks, Operation: admissionv1.Update, SubResource: "scale"},
		"a kind that anyone creates":       {Resource: playbooks, Operation: admissionv1.Create},
		"no object":                        {Resource: analyses, Operation: admissionv1.Create, UserInfo: token(identity.RemediationRequest)},
		"an object that is none":           {Resource: analyses, Operation: admissionv1.Create, UserInfo: token(identity.RemediationRequest), Object: runtime.RawExtension{Raw: []byte(`[]`)}},
		"a spec in capitals": {
			Resource: analyses, Operation: admissionv1.Create, UserInfo: token(identity.RemediationRequest),
			Object: runtime.RawExtension{Raw: []byte(`{"metadata":{"ownerReferences":[` + ofRequest + `]},"Spec":{"remediationRequestRef":{"name":"r","uid":"u"}}}`)},
		},
		"an update of which nobody knows what was before": {Resource: analyses, Operation: admissionv1.Update, Object: runtime.RawExtension{Raw: []byte(`{}`)}},
	} {
		t.Run(sentence, func(t *testing.T) {
			refusal, err := New("ns").Decide(t.Context(), request, func(context.Context, Owner, types.NamespacedName) (*LiveOwner, error) {
				return &LiveOwner{UID: "u"}, nil
			})
			if err == nil {
				t.Errorf("there is an answer: %+v", refusal)
			}
		})
	}
}
