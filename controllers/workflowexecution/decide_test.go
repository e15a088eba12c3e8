package workflowexecution

import (
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
)

// begun is the time at which every workflow of these tests was created.
var begun = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func scale(name, deployment string, dependsOn ...string) shared.Step {
	return shared.Step{Name: name, DependsOn: dependsOn, Action: shared.Action{
		Type:            shared.ActionScaleDeployment,
		ScaleDeployment: &shared.ScaleDeployment{Namespace: "shop", Name: deployment, Replicas: new(int32(3))},
	}}
}

// scenario is one workflow that decide takes through its phases.
type scenario struct {
	t *testing.T
	s snapshot
	// now is the time of the next decision.
	now time.Time
	// last is the last decision.
	last decision
}

func newScenario(t *testing.T, steps ...shared.Step) *scenario {
	t.Helper()
	workflow := &workflowexecutionv1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "w", UID: "uid-w", Generation: 1, CreationTimestamp: metav1.NewTime(begun)},
		Spec: workflowexecutionv1.WorkflowExecutionSpec{
			Mode:               shared.ModeRemediate,
			WorkflowDefinition: &shared.WorkflowDefinition{Name: "w", Steps: steps},
			TTLAfterFinished:   &metav1.Duration{Duration: time.Hour},
		},
	}
	c := &scenario{t: t, now: begun, s: snapshot{workflow: workflow, mode: shared.ModeRemediate}}
	c.s.graph, c.s.graphError = planning.NewGraph(steps, func(i int) string { return targetKey(&steps[i].Action) })
	return c
}

// decide takes the workflow one decision further, as the reconciler would, and checks that the transition is legal.
func (c *scenario) decide() workflowexecutionv1.WorkflowExecutionStatus {
	c.t.Helper()
	c.last = decide(c.s, c.now)
	if err := transitions().Check(c.s.workflow.Status.Phase, c.last.status.Phase); err != nil {
		c.t.Fatal(err)
	}
	c.s.workflow = c.s.workflow.DeepCopy()
	c.s.workflow.Status = c.last.status
	return c.last.status
}

// allowed is what the assessment says when every step can be prepared and is allowed.
func (c *scenario) allowed() *scenario {
	c.s.locks = &lockState{}
	c.s.steps = make([]assessment, len(c.s.workflow.Spec.WorkflowDefinition.Steps))
	for i := range c.s.steps {
		live := &unstructured.Unstructured{}
		live.SetUID("uid-t")
		live.SetGeneration(4)
		c.s.steps[i] = assessment{
			preparation: &effects.Preparation{Live: live, Target: targetOf(&c.s.workflow.Spec.WorkflowDefinition.Steps[i].Action)},
			decision:    shared.Decision{Verdict: shared.VerdictAllow, PolicySetRevision: "r1"},
		}
	}
	return c
}

// running takes the workflow into executing.
func (c *scenario) running() *scenario {
	c.t.Helper()
	c.decide()
	c.allowed().decide()
	if c.s.workflow.Status.Phase != workflowexecutionv1.PhaseExecuting {
		c.t.Fatalf("phase is %s", c.s.workflow.Status.Phase)
	}
	c.s.executions = map[string]*kubernetesexecutionv1.KubernetesExecution{}
	return c
}

// ends makes the execution of the current attempt of a step end.
func (c *scenario) ends(step int, status kubernetesexecutionv1.KubernetesExecutionStatus) *scenario {
	name := c.s.workflow.Status.Steps[step].ExecutionRef
	c.s.executions[name] = &kubernetesexecutionv1.KubernetesExecution{Status: status}
	return c
}

func succeeded(generation int64) kubernetesexecutionv1.KubernetesExecutionStatus {
	return kubernetesexecutionv1.KubernetesExecutionStatus{
		Phase: kubernetesexecutionv1.PhaseCompleted, Changed: new(true), ResultingGeneration: generation,
	}
}

func failedWith(errorType shared.ErrorType, changed bool) kubernetesexecutionv1.KubernetesExecutionStatus {
	return kubernetesexecutionv1.KubernetesExecutionStatus{
		Phase: kubernetesexecutionv1.PhaseFailed, Changed: &changed, ErrorType: errorType, ErrorMessage: "it broke",
		StartedAt: new(metav1.NewTime(begun)),
	}
}

func (c *scenario) wantFailed(errorType shared.ErrorType, failedStep *int32) {
	c.t.Helper()
	status := c.s.workflow.Status
	if status.Phase != workflowexecutionv1.PhaseFailed || status.Outcome != workflowexecutionv1.OutcomeFailed || status.ErrorType != errorType {
		c.t.Fatalf("got %s, %s, %s (%s); want failed, Failed, %s", status.Phase, status.Outcome, status.ErrorType, status.FailureReason, errorType)
	}
	if status.FailureReason == "" || status.CompletionTime == nil || status.ExecutionSnapshot == nil {
		c.t.Errorf("failureReason %q, completionTime %v, snapshot %v: all must be set", status.FailureReason, status.CompletionTime, status.ExecutionSnapshot)
	}
	if (failedStep == nil) != (status.FailedStep == nil) || failedStep != nil && *failedStep != *status.FailedStep {
		c.t.Errorf("failedStep is %v, want %v", status.FailedStep, failedStep)
	}
	if condition := meta.FindStatusCondition(status.Conditions, workflowexecutionv1.ConditionRolledBack); condition == nil || condition.Reason != ReasonNotPerformed {
		c.t.Errorf("condition RolledBack is %v", condition)
	}
	if !meta.IsStatusConditionTrue(status.Conditions, shared.ConditionStalled) || meta.IsStatusConditionTrue(status.Conditions, shared.ConditionReady) {
		c.t.Errorf("a failed workflow is Stalled and not Ready: %v", status.Conditions)
	}
}

func TestPlanningGoesOnToValidating(t *testing.T) {
	c := newScenario(t, scale("a", "x"), scale("b", "y", "a"))
	status := c.decide()
	if status.Phase != workflowexecutionv1.PhaseValidating || status.TotalSteps != 2 || len(status.Steps) != 2 || len(status.Plan.Targets) != 2 {
		t.Fatalf("got %+v", status)
	}
	if len(c.last.create) != 0 {
		t.Error("nothing may run before the gate has spoken")
	}
}

func TestPlanningRefuses(t *testing.T) {
	for sentence, test := range map[string]struct {
		change func(*workflowexecutionv1.WorkflowExecution)
	}{
		"a workflow that claims a request without its owner reference": {func(w *workflowexecutionv1.WorkflowExecution) {
			w.Spec.RemediationRequestRef = &shared.ObjectReference{Name: "r", UID: "uid-r"}
		}},
		"a workflow that claims a request of another UID": {func(w *workflowexecutionv1.WorkflowExecution) {
			w.Spec.RemediationRequestRef = &shared.ObjectReference{Name: "r", UID: "uid-r"}
			w.OwnerReferences = []metav1.OwnerReference{{Kind: "RemediationRequest", Name: "r", UID: "other", Controller: new(true)}}
		}},
		"a workflow without a definition": {func(w *workflowexecutionv1.WorkflowExecution) { w.Spec.WorkflowDefinition = nil }},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := newScenario(t, scale("a", "x"))
			test.change(c.s.workflow)
			c.decide()
			c.wantFailed(shared.ErrorValidation, nil)
		})
	}
	t.Run("steps in a circle", func(t *testing.T) {
		c := newScenario(t, scale("a", "x", "b"), scale("b", "y", "a"))
		c.decide()
		c.wantFailed(shared.ErrorValidation, nil)
	})
}

func TestAWorkflowThatLosesItsRequest(t *testing.T) {
	owned := func(c *scenario) {
		c.s.workflow.Spec.RemediationRequestRef = &shared.ObjectReference{Name: "r", UID: "uid-r"}
		c.s.workflow.OwnerReferences = []metav1.OwnerReference{{Kind: "RemediationRequest", Name: "r", UID: "uid-r", Controller: new(true)}}
	}
	lose := func(c *scenario) { c.s.workflow.OwnerReferences = nil }
	t.Run("before it has begun fails", func(t *testing.T) {
		c := newScenario(t, scale("a", "x"))
		owned(c)
		c.decide()
		lose(c.allowed())
		status := c.decide()
		c.wantFailed(shared.ErrorValidation, nil)
		if len(c.last.create) > 0 || !meta.IsStatusConditionTrue(status.Conditions, shared.ConditionOrphaned) {
			t.Errorf("got %+v", status)
		}
	})
	t.Run("in the middle goes on, and says so", func(t *testing.T) {
		c := newScenario(t, scale("a", "x"), scale("b", "y", "a"))
		owned(c)
		c.decide()
		c.allowed()
		if status := c.decide(); status.Phase != workflowexecutionv1.PhaseExecuting || meta.FindStatusCondition(status.Conditions, shared.ConditionOrphaned) != nil {
			t.Fatalf("got %+v", status)
		}
		lose(c)
		if status := c.decide(); status.Phase != workflowexecutionv1.PhaseExecuting || !meta.IsStatusConditionTrue(status.Conditions, shared.ConditionOrphaned) {
			t.Errorf("got %+v", status)
		}
		owned(c)
		if status := c.decide(); !meta.IsStatusConditionFalse(status.Conditions, shared.ConditionOrphaned) {
			t.Errorf("got %+v", status)
		}
	})
}

func TestValidatingRefuses(t *testing.T) {
	for sentence, test := range map[string]struct {
		change    func(*scenario)
		wantError shared.ErrorType
		wantStep  *int32
	}{
		"a step that cannot be prepared": {func(c *scenario) {
			c.s.steps[1] = assessment{err: machinery.Typed(shared.ErrorResourceNotFound, errors.New("gone"))}
		}, shared.ErrorResourceNotFound, new(int32(1))},
		"a step that the gate denies": {func(c *scenario) { c.s.steps[1].decision.Verdict = shared.VerdictDeny }, shared.ErrorPolicyDenied, new(int32(1))},
		"a verdict that is none":      {func(c *scenario) { c.s.steps[0].decision.Verdict = "" }, shared.ErrorPolicyDenied, new(int32(0))},
		"a verdict nobody knows":      {func(c *scenario) { c.s.steps[0].decision.Verdict = "Maybe" }, shared.ErrorPolicyDenied, new(int32(0))},
		"the end of its time":         {func(c *scenario) { c.now = c.now.Add(6 * time.Minute) }, shared.ErrorTimeout, nil},
		"a denied and a held step": {func(c *scenario) {
			c.s.steps[0].decision.Verdict, c.s.steps[1].decision.Verdict = shared.VerdictHold, shared.VerdictDeny
		}, shared.ErrorPolicyDenied, new(int32(1))},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := newScenario(t, scale("a", "x"), scale("b", "y"))
			c.decide()
			test.change(c.allowed())
			c.decide()
			c.wantFailed(test.wantError, test.wantStep)
			if len(c.last.create) > 0 {
				t.Error("a refused workflow must not start a step")
			}
		})
	}
}

func TestDryRunEndsBeforeAnyStep(t *testing.T) {
	c := newScenario(t, scale("a", "x"))
	c.s.mode = shared.ModeDryRun
	c.decide()
	status := c.allowed().decide()
	if status.Phase != workflowexecutionv1.PhaseCompleted || status.Outcome != workflowexecutionv1.OutcomeDryRun || len(c.last.create) > 0 {
		t.Fatalf("got %s, %s, %d executions", status.Phase, status.Outcome, len(c.last.create))
	}
}

func TestExecutingFollowsTheGraph(t *testing.T) {
	c := newScenario(t, scale("a", "x"), scale("b", "y"), scale("c", "z", "a", "b"), scale("again", "x")).running()
	if got := started(c.last); got != "w-s0-a1 w-s1-a1" {
		t.Fatalf("started %q: a and b are free, c depends on both, again waits for a on the same target", got)
	}
	c.ends(0, succeeded(5)).decide()
	if got := started(c.last); got != "w-s1-a1 w-s3-a1" {
		t.Fatalf("started %q: b's execution was not seen yet and is made sure of, again may start now", got)
	}
	for _, spec := range c.last.create {
		if spec.StepName == "again" && (spec.ExpectedTarget.UID != types.UID("uid-t") || spec.ExpectedTarget.Generation != 5) {
			t.Errorf("the second step on a target expects what the first left behind, not %+v", spec.ExpectedTarget)
		}
		if spec.PlanDigest != c.s.workflow.Status.Plan.Digest {
			t.Error("an execution carries the digest of its plan")
		}
	}
	c.ends(1, succeeded(5)).decide()
	c.ends(2, succeeded(5)).ends(3, succeeded(6))
	status := c.decide()
	if status.Phase != workflowexecutionv1.PhaseMonitoring || status.CompletedSteps != 4 || status.CurrentStep != nil {
		t.Fatalf("got %s with %d of 4 steps", status.Phase, status.CompletedSteps)
	}
}

func started(d decision) string {
	names := make([]string, len(d.create))
	for i, spec := range d.create {
		names[i] = shared.ExecutionName("w", spec.StepIndex, spec.Attempt)
	}
	return strings.Join(names, " ")
}

func TestExecutingKeepsToTheLimit(t *testing.T) {
	c := newScenario(t, scale("a", "x"), scale("b", "y"), scale("c", "z"))
	c.s.workflow.Spec.ExecutionStrategy = &shared.ExecutionStrategy{MaxParallelSteps: new(int32(2))}
	c.running()
	if got := started(c.last); got != "w-s0-a1 w-s1-a1" {
		t.Fatalf("started %q, the limit is 2", got)
	}
}

func TestAnnouncedExecutionIsMadeAgainAfterACrash(t *testing.T) {
	c := newScenario(t, scale("a", "x")).running()
	before := c.s.workflow.Status.DeepCopy()
	after := c.decide()
	if got := started(c.last); got != "w-s0-a1" || after.Steps[0].Attempts != before.Steps[0].Attempts {
		t.Fatalf("started %q with attempts %d: the same name must be made sure of", got, after.Steps[0].Attempts)
	}
}

func TestFailedStep(t *testing.T) {
	for sentence, test := range map[string]struct {
		retries   int32
		noncrit   bool
		status    kubernetesexecutionv1.KubernetesExecutionStatus
		wantRetry bool
		wantPhase workflowexecutionv1.WorkflowPhase
		wantError shared.ErrorType
	}{
		"critical, no retries: the workflow fails":              {status: failedWith(shared.ErrorTimeout, true), wantPhase: workflowexecutionv1.PhaseFailed, wantError: shared.ErrorTimeout},
		"an error that a retry may cure is retried":             {retries: 1, status: failedWith(shared.ErrorResourceConflict, false), wantRetry: true, wantPhase: workflowexecutionv1.PhaseExecuting},
		"an error that a retry cannot cure is not retried":      {retries: 1, status: failedWith(shared.ErrorPermissionDenied, false), wantPhase: workflowexecutionv1.PhaseFailed, wantError: shared.ErrorPermissionDenied},
		"a repeatable action is retried even after its effect":  {retries: 1, status: failedWith(shared.ErrorTimeout, true), wantRetry: true, wantPhase: workflowexecutionv1.PhaseExecuting},
		"an error without a class is unknown":                   {status: failedWith("", false), wantPhase: workflowexecutionv1.PhaseFailed, wantError: shared.ErrorUnknown},
		"not critical: the workflow goes on without dependents": {noncrit: true, status: failedWith(shared.ErrorTimeout, true), wantPhase: workflowexecutionv1.PhaseMonitoring},
	} {
		t.Run(sentence, func(t *testing.T) {
			first := scale("a", "x")
			first.MaxRetries, first.Critical = &test.retries, new(!test.noncrit)
			c := newScenario(t, first, scale("b", "y", "a")).running()
			status := c.ends(0, test.status).decide()
			if status.Phase != test.wantPhase {
				t.Fatalf("phase is %s, want %s", status.Phase, test.wantPhase)
			}
			if test.wantPhase == workflowexecutionv1.PhaseFailed {
				c.wantFailed(test.wantError, new(int32(0)))
				if status.FailedStepName != "a" || status.FailedAction != string(shared.ActionScaleDeployment) {
					t.Errorf("got %s, %s", status.FailedStepName, status.FailedAction)
				}
			}
			if test.noncrit && status.Steps[1].Phase != workflowexecutionv1.StepSkipped {
				t.Errorf("the dependent step is %s", status.Steps[1].Phase)
			}
			if !test.wantRetry {
				return
			}
			if len(c.last.create) > 0 || !c.last.wakeAt.Equal(c.now.Add(planning.Backoff(1))) {
				t.Fatalf("a retry waits for the backoff: wakes at %s", c.last.wakeAt)
			}
			c.now = c.last.wakeAt
			c.decide()
			if got := started(c.last); got != "w-s0-a2" {
				t.Errorf("started %q", got)
			}
		})
	}
}

func TestFailureWaitsForRunningSteps(t *testing.T) {
	c := newScenario(t, scale("a", "x"), scale("b", "y"), scale("c", "z", "a")).running()
	c.ends(1, kubernetesexecutionv1.KubernetesExecutionStatus{Phase: kubernetesexecutionv1.PhaseExecuting})
	status := c.ends(0, failedWith(shared.ErrorPermissionDenied, false)).decide()
	if status.Phase != workflowexecutionv1.PhaseExecuting || status.ErrorType != shared.ErrorPermissionDenied || status.ExecutionSnapshot == nil {
		t.Fatalf("got %s, %q: b still runs, but the failure and its snapshot are recorded", status.Phase, status.ErrorType)
	}
	if len(c.last.create) > 0 {
		t.Error("nothing new may start")
	}
	c.ends(1, succeeded(5)).decide()
	c.wantFailed(shared.ErrorPermissionDenied, new(int32(0)))
	if got := c.s.workflow.Status.Steps[2].Phase; got != workflowexecutionv1.StepSkipped {
		t.Errorf("the step that depends on the failed one is %s", got)
	}
}

func TestExecutingEndsAtItsLimits(t *testing.T) {
	t.Run("an execution that never reports", func(t *testing.T) {
		c := newScenario(t, scale("a", "x")).running()
		c.now = c.now.Add(planning.DefaultStepTimeout + executionGrace)
		c.decide()
		c.wantFailed(shared.ErrorTimeout, new(int32(0)))
	})
	t.Run("the workflow's own time-out, with a step that waits", func(t *testing.T) {
		c := newScenario(t, scale("a", "x"), scale("b", "y", "a"))
		c.s.workflow.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Workflow: &metav1.Duration{Duration: time.Minute}}
		c.running()
		c.now = c.now.Add(time.Minute)
		c.ends(0, succeeded(5)).decide()
		c.wantFailed(shared.ErrorTimeout, nil)
	})
	t.Run("a foreign object in the place of an execution", func(t *testing.T) {
		c := newScenario(t, scale("a", "x")).running()
		c.s.foreign = map[string]string{"w-s0-a1": "nothing"}
		c.decide()
		c.wantFailed(shared.ErrorResourceConflict, new(int32(0)))
	})
}

// monitoring takes a workflow of one step into monitoring.
func monitoring(t *testing.T) *scenario {
	t.Helper()
	c := newScenario(t, scale("a", "x")).running()
	if status := c.ends(0, succeeded(5)).decide(); status.Phase != workflowexecutionv1.PhaseMonitoring {
		t.Fatalf("phase is %s", status.Phase)
	}
	return c
}

func (c *scenario) target(health shared.HealthStatus, generation int64) *scenario {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	c.s.targets = []targetState{{health: shared.Health{Status: health, Message: "so it is"}, generation: generation, object: object}}
	return c
}

func TestMonitoring(t *testing.T) {
	t.Run("healthy for the whole window is success", func(t *testing.T) {
		c := monitoring(t).target(shared.HealthCurrent, 5)
		if status := c.decide(); status.HealthySince == nil || status.Phase != workflowexecutionv1.PhaseMonitoring {
			t.Fatalf("got %s", status.Phase)
		}
		if want := c.now.Add(defaultStabilization); !c.last.wakeAt.Equal(want) {
			t.Errorf("wakes at %s, want %s", c.last.wakeAt, want)
		}
		c.now = c.last.wakeAt
		if status := c.decide(); status.Outcome != workflowexecutionv1.OutcomeSuccess {
			t.Errorf("outcome is %q", status.Outcome)
		}
	})
	t.Run("unhealthy in between starts the window again", func(t *testing.T) {
		c := monitoring(t).target(shared.HealthCurrent, 5)
		c.decide()
		if status := c.target(shared.HealthInProgress, 5).decide(); status.HealthySince != nil {
			t.Error("healthySince must be cleared")
		}
	})
	t.Run("an object older than the change is not taken for healthy", func(t *testing.T) {
		if status := monitoring(t).target(shared.HealthCurrent, 4).decide(); status.HealthySince != nil {
			t.Error("the cache has not seen the change yet")
		}
	})
	t.Run("unhealthy at the deadline is ineffective", func(t *testing.T) {
		c := monitoring(t).target(shared.HealthInProgress, 5)
		c.now = c.now.Add(defaultMonitoring)
		c.decide()
		c.wantFailed(shared.ErrorIneffective, nil)
	})
	t.Run("failed for good is ineffective before the deadline, but not before it can have taken up the change", func(t *testing.T) {
		c := monitoring(t).target(shared.HealthFailed, 5)
		if status := c.decide(); status.Phase != workflowexecutionv1.PhaseMonitoring {
			t.Fatalf("got %s", status.Phase)
		}
		if want := c.now.Add(defaultStabilization); !c.last.wakeAt.Equal(want) {
			t.Errorf("wakes at %s, want %s", c.last.wakeAt, want)
		}
		c.now = c.last.wakeAt
		c.decide()
		c.wantFailed(shared.ErrorIneffective, nil)
	})
	t.Run("a health that cannot be told is unverified", func(t *testing.T) {
		if status := monitoring(t).target(shared.HealthUnknown, 5).decide(); status.Outcome != workflowexecutionv1.OutcomeUnverified {
			t.Errorf("outcome is %q", status.Outcome)
		}
	})
}

func TestFinishedWorkflow(t *testing.T) {
	for sentence, test := range map[string]struct {
		after      time.Duration
		owned      bool
		wantRemove bool
	}{
		"is kept until its time is up":   {after: time.Minute},
		"is deleted when its time is up": {after: time.Hour, wantRemove: true},
		"goes with its owner if it has":  {after: time.Hour, owned: true},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := monitoring(t).target(shared.HealthUnknown, 5)
			c.decide()
			if test.owned {
				c.s.workflow.OwnerReferences = []metav1.OwnerReference{{Kind: "RemediationRequest", Controller: new(true)}}
			}
			final := c.s.workflow.Status.DeepCopy()
			c.now = c.now.Add(test.after)
			status := c.decide()
			if c.last.remove != test.wantRemove {
				t.Errorf("remove is %t", c.last.remove)
			}
			if status.Phase != final.Phase || status.Outcome != final.Outcome {
				t.Error("a finished workflow stays as it is")
			}
		})
	}
}

func TestAbandonNamesWhatKeptThePhase(t *testing.T) {
	for phase := range transitions() {
		if phase.Terminal() || phase == workflowexecutionv1.PhaseRollingBack {
			continue
		}
		c := newScenario(t, scale("a", "x"))
		c.s.workflow.Status.Phase = phase
		next := abandon(c.s.workflow, c.now, errors.New("the API server is away"))
		if err := transitions().Check(phase, next.status.Phase); err != nil {
			t.Error(err)
		}
		if next.status.ErrorType != shared.ErrorTimeout || !strings.Contains(next.status.FailureReason, "the API server is away") {
			t.Errorf("phase %q: got %s: %s", phase, next.status.ErrorType, next.status.FailureReason)
		}
	}
}

func TestTheDigestIsFinalWhenTheTargetsAreKnown(t *testing.T) {
	digestFor := func(uid types.UID) string {
		c := newScenario(t, scale("a", "x"))
		planned := c.decide().Plan.Digest
		c.allowed().s.steps[0].preparation.Live.SetUID(uid)
		final := c.decide().Plan.Digest
		if final == planned || len(final) != 64 || c.last.create[0].PlanDigest != final {
			t.Errorf("planned as %s, judged as %s, executed as %s", planned, final, c.last.create[0].PlanDigest)
		}
		return final
	}
	if first, again := digestFor("uid-1"), digestFor("uid-1"); first != again || first == digestFor("uid-2") {
		t.Error("the digest says on which objects the plan is carried out")
	}
}
