package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

var (
	alice = Requester(authenticationv1.UserInfo{
		Username: "alice", UID: "u-1", Groups: []string{"on-call"},
		Extra: map[string]authenticationv1.ExtraValue{"credential-id": {"JTI=1"}},
	})
	orchestrator = shared.Requester{Username: "system:serviceaccount:kubernaut-system:remediationrequest-controller"}
)

func seconds(n int) *metav1.Duration {
	return &metav1.Duration{Duration: time.Duration(n) * time.Second}
}

func scale(namespace, name string) shared.Action {
	return shared.Action{Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: namespace, Name: name, Replicas: new(int32(3))}}
}

// step is a step on a target of its own.
func step(name string, dependsOn ...string) shared.Step {
	return shared.Step{Name: name, Action: scale("shop", name), DependsOn: dependsOn, Timeout: seconds(60)}
}

func workflow(steps ...shared.Step) *workflowexecutionv1.WorkflowExecution {
	return &workflowexecutionv1.WorkflowExecution{Spec: workflowexecutionv1.WorkflowExecutionSpec{
		RequestedBy:        alice,
		WorkflowDefinition: &shared.WorkflowDefinition{Name: "repair", Steps: steps},
	}}
}

// expectErrors compares paths, and that the error at each path holds the words wanted.
func expectErrors(t *testing.T, errs field.ErrorList, want map[string]string) {
	t.Helper()
	have := map[string]string{}
	for _, err := range errs {
		have[err.Field] += err.ErrorBody() + "\n"
	}
	for path, words := range want {
		if text, is := have[path]; !is || !strings.Contains(text, words) {
			t.Errorf("no error at %s with the words %q; have:\n%v", path, words, have)
		}
	}
	for path, text := range have {
		if _, is := want[path]; !is {
			t.Errorf("unexpected error at %s: %s", path, text)
		}
	}
}

func TestValidateWorkflowExecution(t *testing.T) {
	updateImage := func(image string) shared.Step {
		return shared.Step{Name: "image", Action: shared.Action{Type: shared.ActionUpdateImage, UpdateImage: &shared.UpdateImage{Namespace: "shop", Name: "cart", Container: "app", Image: image}}}
	}
	notify := func(message string) shared.Step {
		return shared.Step{Name: "tell", Action: shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: message}}}
	}
	change := func(w *workflowexecutionv1.WorkflowExecution, f func(*workflowexecutionv1.WorkflowExecutionSpec)) *workflowexecutionv1.WorkflowExecution {
		f(&w.Spec)
		return w
	}
	large := workflow()
	for i := range 60 {
		name := fmt.Sprintf("s%d", i)
		large.Spec.WorkflowDefinition.Steps = append(large.Spec.WorkflowDefinition.Steps, shared.Step{
			Name:   name,
			Action: shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: strings.Repeat("x", 3000)}},
		})
	}

	for name, test := range map[string]struct {
		workflow     *workflowexecutionv1.WorkflowExecution
		caller       *shared.Requester
		orchestrator bool
		want         map[string]string
	}{
		"a diamond is accepted": {workflow: workflow(step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"))},
		"a cycle is shown from its first step to itself": {
			workflow: workflow(step("z"), step("a", "c"), step("b", "a"), step("c", "b")),
			want:     map[string]string{"spec.workflowDefinition.steps[1].dependsOn": "a → c → b → a"},
		},
		"a step that waits for itself is told so once": {
			workflow: workflow(step("a", "a")),
			want:     map[string]string{"spec.workflowDefinition.steps[0].dependsOn[0]": "cannot wait for itself"},
		},
		"unknown, repeated and duplicate names come together": {
			workflow: workflow(step("a"), step("b", "nobody", "a", "a"), step("a")),
			want: map[string]string{
				"spec.workflowDefinition.steps[1].dependsOn[0]": "name one of a, b, a",
				"spec.workflowDefinition.steps[1].dependsOn[2]": "Duplicate",
				"spec.workflowDefinition.steps[2].name":         "Duplicate",
			},
		},
		"names of targets are those that Kubernetes takes": {
			workflow: workflow(
				shared.Step{Name: "a", Action: scale("Shop!", "cart_1")},
				shared.Step{Name: "b", Action: shared.Action{Type: shared.ActionRollbackDeployment, RollbackDeployment: &shared.RollbackDeployment{Namespace: "shop.x", Name: "cart"}}},
				shared.Step{Name: "c", Action: shared.Action{Type: shared.ActionUpdateImage, UpdateImage: &shared.UpdateImage{Namespace: "shop", Kind: shared.WorkloadDaemonSet, Name: "cart", Container: "App", Image: "a b"}}},
			),
			want: map[string]string{
				"spec.workflowDefinition.steps[0].action.scaleDeployment.namespace":    "RFC 1123 label",
				"spec.workflowDefinition.steps[0].action.scaleDeployment.name":         "RFC 1123 subdomain",
				"spec.workflowDefinition.steps[1].action.rollbackDeployment.namespace": "must not contain dots",
				"spec.workflowDefinition.steps[2].action.updateImage.container":        "RFC 1123 label",
				"spec.workflowDefinition.steps[2].action.updateImage.image":            "is not an image reference",
			},
		},
		"so are the names of every other action": {
			workflow: workflow(
				shared.Step{Name: "a", Action: shared.Action{Type: shared.ActionRestartDeployment, RestartDeployment: &shared.RestartDeployment{Namespace: "shop", Name: "a/b"}}},
				shared.Step{Name: "b", Action: shared.Action{Type: shared.ActionRestartPod, RestartPod: &shared.RestartPod{Namespace: "shop", Name: "a/b"}}},
				shared.Step{Name: "c", Action: shared.Action{Type: shared.ActionIncreaseResources, IncreaseResources: &shared.IncreaseResources{Namespace: "shop", Name: "a/b", Container: "App"}}},
				shared.Step{Name: "d", Action: shared.Action{Type: shared.ActionCordonNode, CordonNode: &shared.CordonNode{Name: "a/b"}}},
				shared.Step{Name: "e", Action: shared.Action{Type: shared.ActionUncordonNode, UncordonNode: &shared.UncordonNode{Name: "a/b"}}},
				shared.Step{Name: "f", Action: shared.Action{Type: shared.ActionUpdateImage, UpdateImage: &shared.UpdateImage{Namespace: "shop", Name: "a/b", Container: "app", Image: "cart"}}},
			),
			want: map[string]string{
				"spec.workflowDefinition.steps[0].action.restartDeployment.name":      "RFC 1123 subdomain",
				"spec.workflowDefinition.steps[1].action.restartPod.name":             "RFC 1123 subdomain",
				"spec.workflowDefinition.steps[2].action.increaseResources.name":      "RFC 1123 subdomain",
				"spec.workflowDefinition.steps[2].action.increaseResources.container": "RFC 1123 label",
				"spec.workflowDefinition.steps[3].action.cordonNode.name":             "RFC 1123 subdomain",
				"spec.workflowDefinition.steps[4].action.uncordonNode.name":           "RFC 1123 subdomain",
				"spec.workflowDefinition.steps[5].action.updateImage.name":            "RFC 1123 subdomain",
			},
		},
		"image with registry, port, tag and digest": {workflow: workflow(updateImage("registry.example.com:5000/shop/cart:1.4@sha256:" + strings.Repeat("a", 64)))},
		"image from an IPv6 registry":               {workflow: workflow(updateImage("[fd00::1]:5000/cart"))},
		"image with a digest that was cut": {
			workflow: workflow(updateImage("cart@sha256:" + strings.Repeat("a", 63))),
			want:     map[string]string{"spec.workflowDefinition.steps[0].action.updateImage.image": "64 hexadecimal digits, not 63"},
		},
		"image whose name is too long": {
			workflow: workflow(updateImage(strings.Repeat("a", 256) + ":1")),
			want:     map[string]string{"spec.workflowDefinition.steps[0].action.updateImage.image": "Too long"},
		},
		"blank message": {
			workflow: workflow(notify(" \n")),
			want:     map[string]string{"spec.workflowDefinition.steps[0].action.notifyOnly.message": "say what people are to know"},
		},
		"an action of more than 4 KiB": {
			workflow: workflow(notify(strings.Repeat("x", 5000))),
			want:     map[string]string{"spec.workflowDefinition.steps[0].action": "at most 4096 bytes"},
		},
		"a spec of more than 128 KiB": {workflow: large, want: map[string]string{"spec": "at most 131072 bytes"}},
		"a workflow time-out that the steps cannot keep": {
			workflow: change(workflow(step("a"), step("b", "a")), func(s *workflowexecutionv1.WorkflowExecutionSpec) {
				s.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Workflow: seconds(119)}
			}),
			want: map[string]string{"spec.timeouts.workflow": "may take 2m0s"},
		},
		"a workflow time-out that they just keep": {
			workflow: change(workflow(step("a"), step("b", "a")), func(s *workflowexecutionv1.WorkflowExecutionSpec) {
				s.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Workflow: seconds(120)}
			}),
		},
		"a rollback action is checked like an action": {
			workflow: change(workflow(step("a")), func(s *workflowexecutionv1.WorkflowExecutionSpec) {
				s.WorkflowDefinition.Steps[0].Rollback = shared.RollbackAction
				s.WorkflowDefinition.Steps[0].RollbackAction = &shared.Action{ScaleDeployment: &shared.ScaleDeployment{Namespace: "", Name: "cart"}}
			}),
			want: map[string]string{"spec.workflowDefinition.steps[0].rollbackAction.scaleDeployment.namespace": "RFC 1123"},
		},
		"a workflow that is to wait, or to end, is accepted": {
			workflow: change(workflow(step("a")), func(s *workflowexecutionv1.WorkflowExecutionSpec) {
				s.Suspend, s.Cancel = new(true), workflowexecutionv1.CancelFinishStep
			}),
		},
		"a workflow that wants to be approved, and not suspended, is accepted": {
			workflow: change(workflow(step("a")), func(s *workflowexecutionv1.WorkflowExecutionSpec) {
				s.Suspend = new(false)
				s.ExecutionStrategy = &shared.ExecutionStrategy{ApprovalRequired: new(true)}
			}),
		},
		"a workflow that undoes another": {
			workflow: change(workflow(), func(s *workflowexecutionv1.WorkflowExecutionSpec) {
				s.WorkflowDefinition = nil
				s.RollbackOf = &shared.ObjectReference{Name: "x", UID: "y"}
			}),
		},
		"a workflow that undoes another for a request": {
			workflow: change(workflow(), func(s *workflowexecutionv1.WorkflowExecutionSpec) {
				s.WorkflowDefinition = nil
				s.RollbackOf = &shared.ObjectReference{Name: "x", UID: "y"}
				s.RemediationRequestRef = &shared.ObjectReference{Name: "r", UID: "z"}
			}),
			want: map[string]string{"spec.remediationRequestRef": "only the orchestrator", "spec.rollbackOf": "start one by hand"},
		},
		"another requester than the caller": {
			workflow: workflow(step("a")), caller: &shared.Requester{Username: "mallory"},
			want: map[string]string{"spec.requestedBy.username": "you are mallory", "spec.requestedBy.uid": "", "spec.requestedBy.groups": "", "spec.requestedBy.extra": ""},
		},
		"a requester that was not stamped in full": {
			workflow: change(workflow(step("a")), func(s *workflowexecutionv1.WorkflowExecutionSpec) {
				s.RequestedBy = shared.Requester{Username: "alice"}
			}),
			want: map[string]string{"spec.requestedBy": "all that the API server knows"},
		},
		"a workflow for a request from anyone but the orchestrator": {
			workflow: change(workflow(step("a")), func(s *workflowexecutionv1.WorkflowExecutionSpec) {
				s.RemediationRequestRef = &shared.ObjectReference{Name: "r", UID: "u"}
			}),
			want: map[string]string{"spec.remediationRequestRef": "only the orchestrator"},
		},
		"a workflow for a request from the orchestrator has the request's requester": {
			workflow: change(workflow(step("a")), func(s *workflowexecutionv1.WorkflowExecutionSpec) {
				s.RemediationRequestRef = &shared.ObjectReference{Name: "r", UID: "u"}
			}),
			caller: &orchestrator, orchestrator: true,
		},
		"the orchestrator names nobody": {
			workflow: change(workflow(step("a")), func(s *workflowexecutionv1.WorkflowExecutionSpec) {
				s.RemediationRequestRef = &shared.ObjectReference{Name: "r", UID: "u"}
				s.RequestedBy = shared.Requester{}
			}),
			caller: &orchestrator, orchestrator: true,
			want: map[string]string{"spec.requestedBy": "names the requester of its request"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			caller := alice
			if test.caller != nil {
				caller = *test.caller
			}
			expectErrors(t, ValidateWorkflowExecution(test.workflow, caller, test.orchestrator), test.want)
		})
	}
}

func TestLongestRun(t *testing.T) {
	retried := step("a")
	retried.MaxRetries = new(int32(5))
	same := func(name string, dependsOn ...string) shared.Step {
		s := step(name, dependsOn...)
		s.Action = scale("shop", "cart")
		return s
	}
	undeclared := shared.Step{Name: "a", Action: shared.Action{NotifyOnly: &shared.NotifyOnly{Message: "x"}}}
	image := step("i")
	image.Action = shared.Action{Type: shared.ActionUpdateImage, UpdateImage: &shared.UpdateImage{Namespace: "shop", Name: "cart", Image: "cart:1"}}
	rollback := step("r")
	rollback.Action = shared.Action{Type: shared.ActionRollbackDeployment, RollbackDeployment: &shared.RollbackDeployment{Namespace: "shop", Name: "cart"}}
	slow := step("slow")
	slow.Timeout = seconds(600)

	for name, test := range map[string]struct {
		steps    []shared.Step
		parallel int32
		want     time.Duration
	}{
		"a chain is the sum":                                  {steps: []shared.Step{step("a"), step("b", "a"), step("c", "b")}, want: 3 * time.Minute},
		"independent steps run at once":                       {steps: []shared.Step{step("a"), step("b"), step("c")}, want: time.Minute},
		"no more than maxParallelSteps":                       {steps: []shared.Step{step("a"), step("b"), step("c")}, parallel: 2, want: 2 * time.Minute},
		"retries with pauses of 5, 10, 20, 40 and 80 seconds": {steps: []shared.Step{retried}, want: 6*time.Minute + 155*time.Second},
		"steps on one target never at once":                   {steps: []shared.Step{same("a"), same("b")}, want: 2 * time.Minute},
		"different actions on one target neither":             {steps: []shared.Step{same("a"), image, rollback}, want: 3 * time.Minute},
		"dependsOn goes before the order of the list":         {steps: []shared.Step{same("a", "b"), same("b"), same("c")}, want: 3 * time.Minute},
		"the longest branch decides":                          {steps: []shared.Step{slow, step("b"), step("c", "b")}, want: 10 * time.Minute},
		"the default of a step is 5 minutes":                  {steps: []shared.Step{undeclared}, want: 5 * time.Minute},
		"a circle has no run":                                 {steps: []shared.Step{step("a", "b"), step("b", "a")}, want: 0},
		"a step that waits for nobody has none":               {steps: []shared.Step{step("a", "nobody")}, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			var strategy *shared.ExecutionStrategy
			if test.parallel > 0 {
				strategy = &shared.ExecutionStrategy{MaxParallelSteps: new(test.parallel)}
			}
			if have := LongestRun(&shared.WorkflowDefinition{Steps: test.steps}, strategy); have != test.want {
				t.Errorf("LongestRun = %s, want %s", have, test.want)
			}
		})
	}
}

func TestLongestRunOfTheWidestWorkflowIsQuick(t *testing.T) {
	var steps []shared.Step
	for i := range 100 {
		s := shared.Step{Name: fmt.Sprintf("s%d", i), Action: scale("shop", "cart")}
		for k := range i {
			s.DependsOn = append(s.DependsOn, fmt.Sprintf("s%d", k))
		}
		steps = append(steps, s)
	}
	began := time.Now()
	LongestRun(&shared.WorkflowDefinition{Steps: steps}, nil)
	if took := time.Since(began); took > time.Second {
		t.Errorf("100 steps with all dependencies took %s", took)
	}
}

func TestDefaultWorkflowExecution(t *testing.T) {
	given := workflow(step("a"), step("b", "a"))
	given.Spec.RequestedBy = shared.Requester{}
	given.Annotations = map[string]string{shared.AnnotationRequestedBy: "mallory", "other": "kept"}
	if errs := DefaultWorkflowExecution(given, alice, false); len(errs) > 0 {
		t.Fatal(errs)
	}
	want := workflow(step("a"), step("b", "a"))
	want.Annotations = map[string]string{shared.AnnotationRequestedBy: "alice", "other": "kept"}
	want.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Workflow: seconds(120)}
	if diff := cmp.Diff(want, given); diff != "" {
		t.Errorf("(-want +have)\n%s", diff)
	}
	DefaultWorkflowExecution(given, alice, false)
	if diff := cmp.Diff(want, given); diff != "" {
		t.Errorf("defaulting twice changed something (-want +have)\n%s", diff)
	}
	expectErrors(t, ValidateWorkflowExecution(given, alice, false), nil)
}

func TestDefaultWorkflowExecutionBounds(t *testing.T) {
	steps := make([]shared.Step, 0, 3)
	for _, name := range []string{"a", "b", "c"} {
		s := step(name)
		s.Action, s.Timeout = scale("shop", "cart"), seconds(7200)
		steps = append(steps, s)
	}
	long := workflow(steps...)
	DefaultWorkflowExecution(long, alice, false)
	if have := long.Spec.Timeouts.Workflow.Duration; have != 2*time.Hour {
		t.Errorf("workflow time-out = %s, want the limit of 2h", have)
	}
	expectErrors(t, ValidateWorkflowExecution(long, alice, false), nil)

	circle := workflow(step("a", "b"), step("b", "a"))
	DefaultWorkflowExecution(circle, alice, false)
	if circle.Spec.Timeouts != nil {
		t.Errorf("a circle got the time-out %v", circle.Spec.Timeouts.Workflow)
	}

	given := workflow(step("a"))
	given.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Workflow: seconds(700)}
	DefaultWorkflowExecution(given, alice, false)
	if have := given.Spec.Timeouts.Workflow.Duration; have != 700*time.Second {
		t.Errorf("a given time-out became %s", have)
	}
}

func TestDefaultWorkflowExecutionBeforeTheSchemaWasChecked(t *testing.T) {
	endless := step("a")
	endless.MaxRetries = new(int32(1 << 30))
	negative := step("a")
	negative.Timeout = seconds(-1)
	wide := make([]shared.Step, 5000)
	for i := range wide {
		wide[i] = step(fmt.Sprintf("s%d", i))
	}
	narrow := workflow(step("a"))
	narrow.Spec.ExecutionStrategy = &shared.ExecutionStrategy{MaxParallelSteps: new(int32(-1))}
	for name, given := range map[string]*workflowexecutionv1.WorkflowExecution{
		"a billion retries": workflow(endless), "a negative time-out": workflow(negative), "5000 steps": workflow(wide...), "no step at a time": narrow,
	} {
		t.Run(name, func(t *testing.T) {
			DefaultWorkflowExecution(given, alice, false)
			if given.Spec.Timeouts != nil {
				t.Errorf("got the time-out %v", given.Spec.Timeouts.Workflow)
			}
		})
	}
}

func TestDefaultWorkflowExecutionRefusesAForgedRequester(t *testing.T) {
	forged := workflow(step("a"))
	errs := DefaultWorkflowExecution(forged, shared.Requester{Username: "mallory", UID: "u-1", Groups: alice.Groups, Extra: alice.Extra}, false)
	expectErrors(t, errs, map[string]string{"spec.requestedBy.username": "you are mallory; leave requestedBy out"})
}

func TestDefaultWorkflowExecutionKeepsTheRequesterThatTheOrchestratorNames(t *testing.T) {
	child := workflow(step("a"))
	child.Spec.RemediationRequestRef = &shared.ObjectReference{Name: "r", UID: "u"}
	if errs := DefaultWorkflowExecution(child, orchestrator, true); len(errs) > 0 {
		t.Fatal(errs)
	}
	if diff := cmp.Diff(alice, child.Spec.RequestedBy); diff != "" {
		t.Errorf("(-want +have)\n%s", diff)
	}
	if have := child.Annotations[shared.AnnotationRequestedBy]; have != orchestrator.Username {
		t.Errorf("the annotation names %q, want the creator", have)
	}
}

func TestKeepWorkflowExecution(t *testing.T) {
	old := workflow(step("a"))
	DefaultWorkflowExecution(old, alice, false)
	again := workflow(step("a"))
	again.Spec.RequestedBy = shared.Requester{}
	KeepWorkflowExecution(again, old)
	if diff := cmp.Diff(old, again); diff != "" {
		t.Errorf("the same manifest changed the object (-old +new)\n%s", diff)
	}
	if errs := ValidateWorkflowExecutionUpdate(again, old); len(errs) > 0 {
		t.Error(errs)
	}

	other := old.DeepCopy()
	other.Spec.RequestedBy.Username, other.Spec.Timeouts.Workflow = "mallory", seconds(1)
	other.Annotations[shared.AnnotationRequestedBy] = "mallory"
	other.Spec.Suspend, other.Spec.Cancel = new(true), workflowexecutionv1.CancelAbort
	KeepWorkflowExecution(other, old)
	if other.Spec.RequestedBy.Username != "mallory" || other.Spec.Timeouts.Workflow.Duration != time.Second {
		t.Error("a value that was given was replaced: the rules of the CRD are to refuse it")
	}
	expectErrors(t, ValidateWorkflowExecutionUpdate(other, old), map[string]string{
		"metadata.annotations[kubernaut.io/requested-by]": "leave it as it is",
	})

	bare := workflow(step("a"))
	KeepWorkflowExecution(bare, bare.DeepCopy())
	if bare.Spec.Timeouts != nil || bare.Annotations != nil {
		t.Error("something came from nowhere")
	}
}
