package webhooks

import (
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

func statusWrite(user, uid string, dryRun bool) admission.Request {
	stored := `{"metadata":{"name":"x","uid":"` + uid + `"}}`
	raw := runtime.RawExtension{Raw: []byte(stored)}
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Resource:  metav1.GroupVersionResource{Group: "catalog.kubernaut.io", Version: "v1alpha1", Resource: "playbooks"},
		Kind:      metav1.GroupVersionKind{Group: "catalog.kubernaut.io", Version: "v1alpha1", Kind: "Playbook"},
		Operation: admissionv1.Update, SubResource: "status", UserInfo: authenticationv1.UserInfo{Username: user}, DryRun: &dryRun,
		Object: raw, OldObject: raw,
	}}
}

// Whoever is refused may try again for ever: people are told once, and never about a dry run.
func TestRefusalsAreToldOnce(t *testing.T) {
	const many = 100
	recorder := events.NewFakeRecorder(many)
	guard := NewGuard(statusguard.New(identity.DefaultNamespace), fake.NewClientBuilder().Build(), fake.NewClientBuilder().Build(), recorder)
	ask := func(request admission.Request) {
		t.Helper()
		if answer := guard.Handle(t.Context(), request); answer.Allowed || answer.Result.Reason != metav1.StatusReasonForbidden {
			t.Fatalf("the answer is %+v", answer)
		}
	}
	ask(statusWrite("alice", "1", true))
	for range 10 {
		ask(statusWrite("alice", "1", false))
	}
	ask(statusWrite("bob", "1", false))
	ask(statusWrite("alice", "2", false))
	if have := len(recorder.Events); have != 3 {
		t.Errorf("%d events, want one for each user and object: 3", have)
	}
	if text := <-recorder.Events; !strings.Contains(text, "playbooks/status is written only by") {
		t.Errorf("the event says %q", text)
	}
	for i := range many {
		ask(statusWrite("alice", "many"+strings.Repeat("x", i), false))
	}
	if have := len(recorder.Events); have > eventBurst+1 {
		t.Errorf("%d events, want at most %d at once", have, eventBurst)
	}
}

func TestStatusGuardWebhooks(t *testing.T) {
	_, validating := Configurations(identity.DefaultNamespace)
	guards := 0
	for _, hook := range validating.Webhooks {
		for _, rule := range hook.Rules {
			for _, group := range rule.APIGroups {
				if !strings.HasSuffix(group, ".kubernaut.io") {
					t.Errorf("%s is on the group %q of others", hook.Name, group)
				}
			}
		}
		if *hook.FailurePolicy != "Fail" || *hook.MatchPolicy != "Equivalent" || *hook.TimeoutSeconds != timeoutSeconds {
			t.Errorf("%s: failurePolicy %s, matchPolicy %s, timeout %d", hook.Name, *hook.FailurePolicy, *hook.MatchPolicy, *hook.TimeoutSeconds)
		}
		if strings.HasPrefix(hook.Name, "guard-status.") {
			guards++
		}
	}
	if guards != len(statusguard.Rows()) {
		t.Errorf("%d status guards, want one for each of %d kinds", guards, len(statusguard.Rows()))
	}
}

// A cache may not have seen an owner yet, or still have the one before: what it does not allow is decided on the live one.
func TestOwnersAreReadLiveWhereTheCacheDoesNotAllow(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := workflowexecutionv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	holding := func(uids ...types.UID) client.Reader {
		build := fake.NewClientBuilder().WithScheme(scheme)
		for _, uid := range uids {
			build = build.WithObjects(&workflowexecutionv1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "w", UID: uid}})
		}
		return build.Build()
	}
	tests := map[string]struct {
		cached, live client.Reader
		want         bool
	}{
		"both have it":                          {cached: holding("1"), live: holding("1"), want: true},
		"the cache has it":                      {cached: holding("1"), live: holding(), want: true},
		"the cache has not seen it":             {cached: holding(), live: holding("1"), want: true},
		"the cache has the one before":          {cached: holding("0"), live: holding("1"), want: true},
		"neither has it":                        {cached: holding(), live: holding()},
		"it was deleted and made again":         {cached: holding("2"), live: holding("2")},
		"the cache cannot be read, it is there": {cached: fake.NewClientBuilder().WithScheme(runtime.NewScheme()).Build(), live: holding("1"), want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			guard := NewGuard(statusguard.New(identity.DefaultNamespace), test.cached, test.live, events.NewFakeRecorder(1))
			raw := `{"metadata":{"name":"w-s0-a1","ownerReferences":[{"apiVersion":"workflowexecution.kubernaut.io/v1","kind":"WorkflowExecution","name":"w","uid":"1","controller":true}]},` +
				`"spec":{"workflowExecutionRef":{"name":"w","uid":"1"},"attempt":1}}`
			answer := guard.Handle(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
				Resource:  metav1.GroupVersionResource{Group: "kubernetesexecution.kubernaut.io", Version: "v1", Resource: "kubernetesexecutions"},
				Kind:      metav1.GroupVersionKind{Group: "kubernetesexecution.kubernaut.io", Version: "v1", Kind: "KubernetesExecution"},
				Namespace: "shop", Operation: admissionv1.Create, DryRun: new(false), Object: runtime.RawExtension{Raw: []byte(raw)},
				UserInfo: authenticationv1.UserInfo{
					Username: identity.Username(identity.DefaultNamespace, identity.WorkflowExecution),
					Extra:    map[string]authenticationv1.ExtraValue{"authentication.kubernetes.io/credential-id": {"JTI=1"}},
				},
			}})
			if answer.Allowed != test.want {
				t.Errorf("allowed %t: %+v", answer.Allowed, answer.Result)
			}
		})
	}
}
