package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
)

// review is one question to a handler, about an object of testdata/reviews.
type review struct {
	// verb is mutate, validate or guard-status.
	verb, file string
	// by is alice unless it says another.
	by string
	// update asks about an update of the file in before, or of the object itself.
	update bool
	// replace changes the text of the object, in pairs of old and new.
	replace []string
}

// ask gives the answer of a handler.
func (r review) ask(t *testing.T, handlers served) *admissionv1.AdmissionResponse {
	t.Helper()
	read := func(path ...string) string {
		text, err := os.ReadFile(filepath.Join(append([]string{"testdata", "reviews"}, path...)...))
		if errors.Is(err, os.ErrNotExist) {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	stored := read(r.file + ".json")
	seed := reviewSeed{user: "alice", credential: "X509SHA256=1", object: strings.NewReplacer(r.replace...).Replace(stored)}
	if len(r.replace) > 0 && seed.object == stored {
		t.Fatalf("%s.json does not hold %q", r.file, r.replace)
	}
	if r.by != "" {
		seed.user, seed.credential = r.by, "JTI=1"
	}
	if r.update {
		seed.operation, seed.old = 1, stored
		if before := read("before", r.file+".json"); before != "" {
			seed.old = before
		}
	}
	q, sound := seed.question()
	if !sound {
		t.Fatalf("%s is no object", seed.object)
	}
	kind, _, _ := strings.Cut(r.file, ".")
	for _, e := range registered(t) {
		if e.verb == r.verb && strings.EqualFold(e.kind, kind) {
			return handlers.ask(t, e.path(), q.asSent(e).body(t))
		}
	}
	t.Fatalf("nothing serves %s of %s", r.verb, kind)
	return nil
}

// Every place where a handler refuses is needed: test/admission/mutants takes each away, and a row of this table must fail. The file of
// every row is allowed as it is.
func TestRowsOfTheHandlers(t *testing.T) {
	orchestrator, workflows := account("remediationrequest-controller"), account("workflowexecution-controller")
	whole := serveAll(t)
	undo := []string{`"workflowDefinition"`, `"rollbackOf":{"name":"elsewhere","uid":"elsewhere-uid"},"unused"`}
	for name, test := range map[string]struct {
		review
		without faults
		want    string
	}{
		"what an orchestrator creates has its name: a processing": {
			review: review{verb: "guard-status", file: "remediationprocessing.child", by: orchestrator, replace: []string{"fixture-processing", "another"}},
			want:   "metadata.name: Invalid value: \"another\": the name of a child says what it is for",
		},
		"an analysis": {
			review: review{verb: "guard-status", file: "aianalysis.child", by: orchestrator, replace: []string{"fixture-analysis", "another"}},
			want:   "the name of a child says what it is for",
		},
		"an execution": {
			review: review{verb: "guard-status", file: "kubernetesexecution.child", by: workflows, replace: []string{"fixture-s0-a1", "another"}},
			want:   "the name of a child says what it is for",
		},
		"a child that our types cannot hold": {
			review: review{verb: "guard-status", file: "kubernetesexecution.child", by: workflows, replace: []string{`"attempt":1`, `"attempt":"first"`}},
			want:   "read the object",
		},
		"an owner that cannot be read": {
			review:  review{verb: "guard-status", file: "kubernetesexecution.child", by: workflows},
			without: faults{reads: true}, want: "there is no answer",
		},
		"a playbook whose expression does not compile": {
			review: review{verb: "validate", file: "playbook.scale", replace: []string{"enrichment.health.status ==", "enrichment.health.mood =="}},
			want:   "spec.match.expression",
		},
		"a policy that does not compile": {
			review: review{verb: "validate", file: "safetypolicy.baseline", replace: []string{"maxFactor", "maxFracture"}},
			want:   "there is no parameter maxFracture",
		},
		"a policy that cannot be tried out": {
			review: review{verb: "validate", file: "safetypolicy.baseline"}, without: faults{policies: true}, want: "there is no answer",
		},
		"a request for what its author may not have repaired": {
			review: review{verb: "validate", file: "remediationrequest.deployment", replace: []string{`Deployment","namespace":"shop"`, `Deployment","namespace":"bank"`}},
			want:   "alice may not remediate deployments.apps cart in namespace bank",
		},
		"an authorizer without an answer to a request": {
			review: review{verb: "validate", file: "remediationrequest.deployment"}, without: faults{authorizer: true}, want: "there is no answer",
		},
		"a request for a kind that may or may not have namespaces, completed": {
			review: review{verb: "mutate", file: "remediationrequest.deployment"}, without: faults{mapper: 1}, want: "whether Deployment lives in namespaces",
		},
		"the same, checked": {
			review: review{verb: "validate", file: "remediationrequest.deployment"}, without: faults{mapper: 1}, want: "whether Deployment lives in namespaces",
		},
		"a request for a kind whose resource is not known": {
			review: review{verb: "validate", file: "remediationrequest.deployment"}, without: faults{mapper: 2}, want: "the resource of Deployment",
		},
		"a request that comes to say another author": {
			review: review{verb: "validate", file: "remediationrequest.deployment", update: true, replace: []string{`requested-by":"alice"`, `requested-by":"bob"`}},
			want:   "metadata.annotations[kubernaut.io/requested-by]",
		},
		"a workflow that comes to say another author": {
			review: review{verb: "validate", file: "workflowexecution.byhand", update: true, replace: []string{`requested-by":"alice"`, `requested-by":"bob"`}},
			want:   "metadata.annotations[kubernaut.io/requested-by]",
		},
		"a workflow that changes what its author may not": {
			review: review{verb: "validate", file: "workflowexecution.byhand", replace: []string{`"scaleDeployment":{"namespace":"shop"`, `"scaleDeployment":{"namespace":"bank"`}},
			want:   "alice may not get deployments.apps cart in namespace bank",
		},
		"a workflow for a request that changes what the author of the request may not have repaired": {
			review: review{verb: "validate", file: "workflowexecution.serving", by: orchestrator, replace: []string{`"scaleDeployment":{"namespace":"shop"`, `"scaleDeployment":{"namespace":"bank"`}},
			want:   "alice may not remediate deployments.apps cart in namespace bank",
		},
		"a workflow of steps in a circle": {
			review: review{verb: "validate", file: "workflowexecution.byhand", replace: []string{`"name":"a","action"`, `"name":"a","dependsOn":["b"],"action"`}},
			want:   "a → b → a",
		},
		"a workflow about kinds whose resource is not known": {
			review: review{verb: "validate", file: "workflowexecution.byhand"}, without: faults{mapper: 1}, want: "the resource of Deployment",
		},
		"an authorizer without an answer to a workflow": {
			review: review{verb: "validate", file: "workflowexecution.byhand"}, without: faults{authorizer: true}, want: "there is no answer",
		},
		"undoing what is not there": {
			review: review{verb: "validate", file: "workflowexecution.byhand", replace: []string{`"workflowDefinition"`, `"rollbackOf":{"name":"nothing","uid":"1"},"unused"`}},
			want:   "spec.rollbackOf.name: Not found",
		},
		"undoing what one may not read": {
			review: review{verb: "validate", file: "workflowexecution.byhand", replace: append([]string{`"namespace":"shop","annotations"`, `"namespace":"bank","annotations"`}, undo...)},
			want:   "alice may not get workflowexecutions.workflowexecution.kubernaut.io elsewhere in namespace bank",
		},
		"undoing what cannot be read": {
			review:  review{verb: "validate", file: "workflowexecution.byhand", replace: undo},
			without: faults{reads: true}, want: "read WorkflowExecution elsewhere: there is no answer",
		},
		"undoing what changed kinds whose resource is not known": {
			review: review{verb: "validate", file: "workflowexecution.byhand", replace: undo}, without: faults{mapper: 1}, want: "the resource of Deployment",
		},
		"undoing what one could not change back": {
			review: review{verb: "validate", file: "workflowexecution.byhand", replace: undo},
			want:   "spec.rollbackOf: Forbidden: alice may not get deployments.apps till in namespace bank",
		},
		"a decision of somebody who may not approve there": {
			review: review{verb: "validate", file: "approvalrequest.approved", update: true, replace: []string{`Deployment","namespace":"shop"`, `Deployment","namespace":"bank"`}},
			want:   "alice may not approve approvalrequests.safety.kubernaut.io in namespace bank",
		},
		"an authorizer without an answer to a decision": {
			review: review{verb: "validate", file: "approvalrequest.approved", update: true}, without: faults{authorizer: true}, want: "there is no answer",
		},
		"a decision that comes too late": {
			review: review{verb: "validate", file: "approvalrequest.approved", update: true, replace: []string{`"expiresAt":"2099`, `"expiresAt":"2029`}},
			want:   "the request expired",
		},
		"a decision whose author the client names": {
			review: review{verb: "mutate", file: "approvalrequest.unstamped", update: true, replace: []string{`"reason":"x"`, `"reason":"x","by":"bob"`}},
			want:   "spec.decisions[0].by: Forbidden",
		},
	} {
		t.Run(name, func(t *testing.T) {
			handlers := whole
			if test.without != (faults{}) {
				handlers = serve(t, test.without)
			}
			if answer := test.ask(t, handlers); answer.Allowed || !strings.Contains(answer.Result.Message, test.want) {
				t.Errorf("want a refusal with %q, have %+v", test.want, answer.Result)
			}
			sound := test.review
			sound.replace = nil
			if answer := sound.ask(t, whole); !answer.Allowed {
				t.Errorf("what the row changes is refused as it is: %s", answer.Result.Message)
			}
		})
	}
}

// What our types cannot hold is the schema's to refuse, by the name of its field: it does not ask for the requester too.
func TestWhatIsLeftToTheSchemaIsStamped(t *testing.T) {
	answer := review{verb: "mutate", file: "workflowexecution.elsewhere", replace: []string{`"suspend":true`, `"suspend":"soon"`}}.ask(t, serveAll(t))
	if !answer.Allowed || !strings.Contains(string(answer.Patch), `"path":"/spec/requestedBy"`) || !strings.Contains(string(answer.Patch), `"alice"`) {
		t.Errorf("%+v %s", answer.Result, answer.Patch)
	}
}

// defaulterFunc is a defaulter for policies.
type defaulterFunc func(*safetyv1alpha1.SafetyPolicy) error

func (f defaulterFunc) Default(_ context.Context, policy *safetyv1alpha1.SafetyPolicy) error {
	return f(policy)
}

// A mistake of the defaulter lets nothing pass that it has not completed.
func TestWhatCannotBeCompletedIsRefused(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := safetyv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for name, defaulter := range map[string]defaulterFunc{
		"it fails": func(*safetyv1alpha1.SafetyPolicy) error { return errFault },
		"it writes what no JSON holds": func(policy *safetyv1alpha1.SafetyPolicy) error {
			policy.Spec.Parameters = &apiextensionsv1.JSON{Raw: []byte("{")}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			handler := defaulting[*safetyv1alpha1.SafetyPolicy]{decoder: admission.NewDecoder(scheme), defaulter: defaulter}
			var raw bytes.Buffer
			if err := json.NewEncoder(&raw).Encode(map[string]any{"apiVersion": safetyv1alpha1.GroupVersion.String(), "kind": "SafetyPolicy", "spec": map[string]any{}}); err != nil {
				t.Fatal(err)
			}
			answer := handler.Handle(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: raw.Bytes()}}})
			if answer.Allowed {
				t.Errorf("%+v", answer)
			}
		})
	}
}
