package workflowexecution

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// left is how an execution ended that left an effect on a Deployment.
func left(phase kubernetesexecutionv1.ExecutionPhase, changed *bool) kubernetesexecutionv1.KubernetesExecutionStatus {
	return kubernetesexecutionv1.KubernetesExecutionStatus{
		Phase: phase, Changed: changed, StartedAt: new(metav1.NewTime(begun)), ResultingGeneration: 5,
		Inverse: &kubernetesexecutionv1.Inverse{
			Target: &shared.Target{Kind: "Deployment", Namespace: "shop", Name: "x"}, UID: "uid-t", Fields: []shared.FieldChange{{Path: "/spec/replicas"}},
		},
	}
}

func leftCompleted() kubernetesexecutionv1.KubernetesExecutionStatus {
	return left(kubernetesexecutionv1.PhaseCompleted, new(true))
}

func leftFailed(errorType shared.ErrorType, changed *bool) kubernetesexecutionv1.KubernetesExecutionStatus {
	status := left(kubernetesexecutionv1.PhaseFailed, changed)
	status.ErrorType, status.ErrorMessage = errorType, "it broke"
	return status
}

// undone makes the execution end that undoes the only attempt of a step.
func (c *scenario) undone(step int, status kubernetesexecutionv1.KubernetesExecutionStatus) *scenario {
	c.has(shared.RollbackName("w", int32(step), 1), status)
	return c
}

func (c *scenario) has(name string, status kubernetesexecutionv1.KubernetesExecutionStatus) {
	c.s.executions[name] = &kubernetesexecutionv1.KubernetesExecution{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: status}
}

// made names the executions that the last decision has made.
func (c *scenario) made() string {
	names := make([]string, len(c.last.create))
	for i, spec := range c.last.create {
		names[i] = newExecution(c.s.workflow, spec).Name
	}
	return strings.Join(names, " ")
}

func (c *scenario) wantEnd(outcome workflowexecutionv1.WorkflowOutcome, reason, message string) {
	c.t.Helper()
	status := c.s.workflow.Status
	if status.Phase != workflowexecutionv1.PhaseFailed || status.Outcome != outcome || status.CompletionTime == nil {
		c.t.Fatalf("got %s, %s; want failed, %s", status.Phase, status.Outcome, outcome)
	}
	condition := meta.FindStatusCondition(status.Conditions, workflowexecutionv1.ConditionRolledBack)
	if condition == nil || condition.Reason != reason || !strings.Contains(condition.Message, message) {
		c.t.Errorf("condition RolledBack is %v; want reason %s and a message with %q", condition, reason, message)
	}
	if condition != nil && (condition.Status == metav1.ConditionTrue) != (outcome == workflowexecutionv1.OutcomeRolledBack) {
		c.t.Errorf("condition RolledBack is %s", condition.Status)
	}
}

// rollingBack takes a workflow of a, b after a, and c after b into rolling back: a and b are completed, c has failed.
func rollingBack(t *testing.T, change func(*scenario)) *scenario {
	t.Helper()
	c := newScenario(t, scale("a", "x"), scale("b", "y", "a"), scale("c", "z", "b"))
	if change != nil {
		change(c)
	}
	c.running()
	c.ends(0, leftCompleted()).decide()
	c.ends(1, leftCompleted()).decide()
	c.ends(2, leftFailed(shared.ErrorTimeout, nil)).decide()
	return c
}

func TestRollingBackFollowsTheGraphBackwards(t *testing.T) {
	c := rollingBack(t, nil)
	status := c.s.workflow.Status
	if status.Phase != workflowexecutionv1.PhaseRollingBack || status.RollbackStartTime == nil || c.made() != "" {
		t.Fatalf("got %s, made %q: the phase is recorded before anything is undone", status.Phase, c.made())
	}
	failure := status.DeepCopy()
	c.decide()
	if c.made() != "w-s2-r1" {
		t.Fatalf("made %q: the failed step first, its effect may have happened", c.made())
	}
	spec := c.last.create[0]
	if spec.Purpose != kubernetesexecutionv1.PurposeRollBack || spec.RestoreFrom != "w-s2-a1" || spec.Action != nil || spec.ExpectedTarget.UID != "uid-t" || spec.ExpectedTarget.Generation != 0 {
		t.Errorf("made %+v", spec)
	}
	if c.decide(); c.made() != "w-s2-r1" {
		t.Errorf("made %q: after a crash the same name is made sure of", c.made())
	}
	c.undone(2, leftCompleted()).decide()
	if c.made() != "w-s1-r1" || c.s.workflow.Status.Steps[2].Phase != workflowexecutionv1.StepRolledBack {
		t.Fatalf("made %q", c.made())
	}
	c.undone(1, leftCompleted()).decide()
	c.undone(0, leftCompleted()).decide()
	c.wantEnd(workflowexecutionv1.OutcomeRolledBack, ReasonRolledBack, `steps "a", "b", "c"`)
	end := c.s.workflow.Status
	if end.ErrorType != failure.ErrorType || end.FailureReason != failure.FailureReason || *end.FailedStep != *failure.FailedStep || end.CompletedSteps != failure.CompletedSteps {
		t.Error("what the workflow failed by stays as it was")
	}
	if got := len(end.ExecutionSnapshot.CompletedSteps); got != 3 || end.ExecutionSnapshot.CompletedSteps[0].Status != workflowexecutionv1.StepCompleted {
		t.Errorf("the snapshot is the one taken before: %+v", end.ExecutionSnapshot.CompletedSteps)
	}
}

func TestRollingBackGoesOnAfterAFailure(t *testing.T) {
	refused := kubernetesexecutionv1.KubernetesExecutionStatus{
		Phase: kubernetesexecutionv1.PhaseFailed, ErrorType: shared.ErrorResourceConflict, ErrorMessage: "someone else changed it",
	}
	t.Run("some steps are restored", func(t *testing.T) {
		c := rollingBack(t, nil)
		c.undone(2, leftCompleted()).undone(1, refused).undone(0, leftCompleted()).decide()
		c.wantEnd(workflowexecutionv1.OutcomePartiallyRolledBack, ReasonPartiallyRolledBack,
			`step "b" could not be undone: /spec/replicas of Deployment shop/x: someone else changed it (resource_conflict, KubernetesExecution w-s1-r1)`)
		if got := c.s.workflow.Status.Steps[1].Phase; got != workflowexecutionv1.StepRollbackFailed {
			t.Errorf("the step is %s", got)
		}
	})
	t.Run("no step is restored", func(t *testing.T) {
		c := rollingBack(t, nil)
		c.undone(2, refused).undone(1, refused).undone(0, refused).decide()
		c.wantEnd(workflowexecutionv1.OutcomeRollbackFailed, ReasonRollbackFailed, `step "a" could not be undone`)
	})
}

func TestWhatIsUndone(t *testing.T) {
	for sentence, test := range map[string]struct {
		change      func(*scenario)
		wantMade    string
		wantOutcome workflowexecutionv1.WorkflowOutcome
		wantMessage string
	}{
		"not a step that changed nothing":           {change: func(c *scenario) { c.s.executions["w-s2-a1"].Status.Changed = new(false) }, wantMade: "w-s1-r1"},
		"not a step that never began":               {change: func(c *scenario) { c.s.executions["w-s2-a1"].Status.StartedAt = nil }, wantMade: "w-s1-r1"},
		"not a step that captured nothing":          {change: func(c *scenario) { c.s.executions["w-s2-a1"].Status.Inverse.Fields = nil }, wantMade: "w-s1-r1"},
		"not a step with rollback None":             {change: func(c *scenario) { c.definition(2).Rollback = shared.RollbackNone }, wantMade: "w-s1-r1"},
		"nothing before a running execution ended":  {change: func(c *scenario) { c.s.executions["w-s2-a1"].Status.Phase = kubernetesexecutionv1.PhaseExecuting }},
		"not an execution that was never made":      {change: func(c *scenario) { c.s.workflow.Status.Steps[2].ExecutionRef = ""; delete(c.s.executions, "w-s2-a1") }, wantMade: "w-s1-r1"},
		"not what someone else has in our place":    {change: func(c *scenario) { delete(c.s.executions, "w-s2-a1"); c.s.foreign = map[string]string{"w-s2-a1": "x"} }, wantMade: "w-s1-r1"},
		"not a step whose record is gone":           {change: func(c *scenario) { delete(c.s.executions, "w-s2-a1") }, wantMade: "w-s1-r1"},
		"every attempt of a step, the last first":   {change: func(c *scenario) { c.secondAttempt(2) }, wantMade: "w-s2-r2"},
		"an attempt before the last, when that one": {change: func(c *scenario) { c.secondAttempt(2); c.has("w-s2-r2", leftCompleted()) }, wantMade: "w-s2-r1"},
		"nothing when all that is left is None": {
			change: func(c *scenario) {
				c.definition(0).Rollback, c.definition(1).Rollback, c.definition(2).Rollback = "None", "None", "None"
			},
			wantOutcome: workflowexecutionv1.OutcomeFailed, wantMessage: "rollback is None there",
		},
		"what is not asked for is named": {
			change: func(c *scenario) {
				c.definition(0).Rollback = shared.RollbackNone
				c.undone(2, leftCompleted()).undone(1, leftCompleted())
			},
			wantOutcome: workflowexecutionv1.OutcomeRolledBack, wantMessage: `what step "a" changed stays`,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := rollingBack(t, nil)
			test.change(c)
			status := c.decide()
			if c.made() != test.wantMade || status.Outcome != test.wantOutcome {
				t.Fatalf("made %q, outcome %q; want %q, %q", c.made(), status.Outcome, test.wantMade, test.wantOutcome)
			}
			if test.wantOutcome == "" {
				return
			}
			condition := meta.FindStatusCondition(status.Conditions, workflowexecutionv1.ConditionRolledBack)
			if !strings.Contains(condition.Message, test.wantMessage) {
				t.Errorf("the message is %q", condition.Message)
			}
		})
	}
}

func (c *scenario) definition(i int) *shared.Step {
	return &c.s.workflow.Spec.WorkflowDefinition.Steps[i]
}

func (c *scenario) secondAttempt(i int) {
	c.s.workflow.Status.Steps[i].Attempts = 2
	c.s.workflow.Status.Steps[i].ExecutionRef = fmt.Sprintf("w-s%d-a2", i)
	c.has(fmt.Sprintf("w-s%d-a2", i), leftFailed(shared.ErrorTimeout, nil))
}

func TestRollingBackIsAskedFor(t *testing.T) {
	for sentence, test := range map[string]struct {
		strategy    shared.RollbackStrategy
		first       kubernetesexecutionv1.KubernetesExecutionStatus
		wantPhase   workflowexecutionv1.WorkflowPhase
		wantMessage string
	}{
		"by default":                          {first: leftFailed(shared.ErrorTimeout, new(true)), wantPhase: workflowexecutionv1.PhaseRollingBack},
		"Automatic":                           {strategy: "Automatic", first: leftFailed(shared.ErrorTimeout, new(true)), wantPhase: workflowexecutionv1.PhaseRollingBack},
		"Manual: a person is told what to do": {strategy: "Manual", first: leftFailed(shared.ErrorTimeout, nil), wantPhase: workflowexecutionv1.PhaseFailed, wantMessage: "strategy is Manual; to undo it, run `kubernaut rollback w -n shop`, or create a WorkflowExecution with spec.rollbackOf {name: w, uid: uid-w}"},
		"None":                                {strategy: "None", first: leftFailed(shared.ErrorTimeout, nil), wantPhase: workflowexecutionv1.PhaseFailed, wantMessage: "strategy is None"},
		"nothing was changed":                 {first: leftFailed(shared.ErrorPolicyDenied, new(false)), wantPhase: workflowexecutionv1.PhaseFailed, wantMessage: "no step has changed anything"},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := newScenario(t, scale("a", "x"))
			c.s.workflow.Spec.ExecutionStrategy = &shared.ExecutionStrategy{RollbackStrategy: test.strategy}
			c.running()
			if status := c.ends(0, test.first).decide(); status.Phase != test.wantPhase {
				t.Fatalf("phase is %s, want %s", status.Phase, test.wantPhase)
			}
			if test.wantPhase == workflowexecutionv1.PhaseFailed {
				c.wantEnd(workflowexecutionv1.OutcomeFailed, ReasonNotPerformed, test.wantMessage)
			}
		})
	}
	t.Run("when the steps did not help", func(t *testing.T) {
		c := newScenario(t, scale("a", "x")).running()
		c.ends(0, leftCompleted()).decide()
		c.target(shared.HealthFailed, 5)
		c.now = c.now.Add(defaultMonitoring)
		if status := c.decide(); status.Phase != workflowexecutionv1.PhaseRollingBack || status.ErrorType != shared.ErrorIneffective {
			t.Fatalf("got %s, %s", status.Phase, status.ErrorType)
		}
	})
}

func TestRollingBackEndsAtItsLimit(t *testing.T) {
	t.Run("with what is restored by then", func(t *testing.T) {
		c := rollingBack(t, nil)
		if c.decide(); !c.last.wakeAt.Equal(c.now.Add(defaultRollback)) {
			t.Errorf("wakes at %s", c.last.wakeAt)
		}
		c.undone(2, leftCompleted()).decide()
		c.undone(1, kubernetesexecutionv1.KubernetesExecutionStatus{Phase: kubernetesexecutionv1.PhaseExecuting})
		c.now = c.now.Add(defaultRollback)
		c.decide()
		c.wantEnd(workflowexecutionv1.OutcomePartiallyRolledBack, ReasonPartiallyRolledBack,
			`step "b" could not be undone: timeouts.rollback passed before it was restored: /spec/replicas of Deployment shop/x (see KubernetesExecution w-s1-r1`)
	})
	t.Run("when nothing can be read", func(t *testing.T) {
		c := rollingBack(t, func(c *scenario) {
			c.s.workflow.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Rollback: &metav1.Duration{Duration: time.Minute}}
		})
		if got := phaseDeadline(c.s.workflow); !got.Equal(c.now.Add(time.Minute)) {
			t.Errorf("the limit is %s", got)
		}
		c.s.workflow.Status = abandon(c.s.workflow, c.now.Add(time.Minute), errors.New("the API server is away")).status
		c.wantEnd(workflowexecutionv1.OutcomeRollbackFailed, ReasonRollbackFailed, "the API server is away")
	})
	t.Run("when the order cannot be told", func(t *testing.T) {
		c := rollingBack(t, nil)
		c.s.graph, c.s.graphError = nil, errors.New("a circle")
		c.decide()
		c.wantEnd(workflowexecutionv1.OutcomeRollbackFailed, ReasonRollbackFailed, "a circle")
	})
}

func TestRollingBackKeepsToTheLimitOfParallelSteps(t *testing.T) {
	c := newScenario(t, scale("a", "x"), scale("b", "y"), scale("c", "z"))
	c.s.workflow.Spec.ExecutionStrategy = &shared.ExecutionStrategy{MaxParallelSteps: new(int32(2))}
	c.running()
	c.ends(0, leftCompleted()).ends(1, leftCompleted()).decide()
	c.ends(2, leftFailed(shared.ErrorTimeout, nil)).decide()
	if c.decide(); c.made() != "w-s2-r1 w-s1-r1" {
		t.Errorf("made %q", c.made())
	}
}

func TestAbandonLeavesUndoingToItsPhase(t *testing.T) {
	c := newScenario(t, scale("a", "x")).running()
	c.s.workflow.Status = abandon(c.s.workflow, c.now, errors.New("the API server is away")).status
	if got := c.s.workflow.Status; got.Phase != workflowexecutionv1.PhaseRollingBack || got.ErrorType != shared.ErrorTimeout {
		t.Fatalf("got %s: what the step left is not known", got.Phase)
	}
	c.has("w-s0-a1", leftFailed(shared.ErrorTimeout, new(false)))
	c.decide()
	c.wantEnd(workflowexecutionv1.OutcomeFailed, ReasonNotPerformed, "no step has changed anything")
	if got := c.s.workflow.Status.Steps[0].Phase; got != workflowexecutionv1.StepFailed {
		t.Errorf("the step is %s", got)
	}
}
