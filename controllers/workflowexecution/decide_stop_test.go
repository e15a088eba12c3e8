package workflowexecution

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
)

const (
	finishStep = workflowexecutionv1.CancelFinishStep
	abort      = workflowexecutionv1.CancelAbort
	andBack    = workflowexecutionv1.CancelAbortAndRollBack
)

// The phases that a test takes a workflow of a, b and c after a into: in executing, a is completed and b runs.
func planned(t *testing.T) *scenario {
	t.Helper()
	return newScenario(t, scale("a", "x"), scale("b", "y"), scale("c", "z", "a"))
}

func validating(t *testing.T) *scenario {
	t.Helper()
	c := planned(t)
	c.decide()
	return c.allowed()
}

func executing(t *testing.T) *scenario {
	t.Helper()
	c := planned(t)
	c.s.workflow.Spec.ExecutionStrategy = &shared.ExecutionStrategy{MaxParallelSteps: new(int32(2))}
	c.running()
	c.ends(1, kubernetesexecutionv1.KubernetesExecutionStatus{Phase: kubernetesexecutionv1.PhaseExecuting})
	return c.ends(0, leftCompleted())
}

func watching(t *testing.T) *scenario {
	t.Helper()
	c := newScenario(t, scale("a", "x")).running()
	c.ends(0, leftCompleted()).decide()
	return c.target(shared.HealthInProgress, 5)
}

func (c *scenario) cancelledBy(mode workflowexecutionv1.CancelMode) *scenario {
	c.s.workflow.Spec.Cancel = mode
	return c
}

func (c *scenario) deleted() *scenario {
	c.s.workflow.DeletionTimestamp = new(metav1.NewTime(c.now))
	return c
}

func (c *scenario) suspended(suspend bool) *scenario {
	c.s.workflow.Spec.Suspend = &suspend
	return c
}

func TestCancelAndDeletion(t *testing.T) {
	asked := func(mode workflowexecutionv1.CancelMode) func(*scenario) {
		return func(c *scenario) { c.cancelledBy(mode) }
	}
	deleted := func(mode workflowexecutionv1.CancelMode) func(*scenario) {
		return func(c *scenario) { c.cancelledBy(mode).deleted() }
	}
	terminating := func(c *scenario) { c.deleted(); c.s.terminating = true }
	for sentence, test := range map[string]struct {
		in     func(*testing.T) *scenario
		stop   func(*scenario)
		before func(*scenario)
		// wantCancel are the executions that are cancelled at once; then b ends, and wantPhase and wantOutcome follow.
		wantCancel  string
		ends        func(*scenario)
		wantPhase   workflowexecutionv1.WorkflowPhase
		wantOutcome workflowexecutionv1.WorkflowOutcome
		wantRelease bool
	}{
		"planning, any cancel":   {in: planned, stop: asked(andBack), wantPhase: "failed", wantOutcome: "Cancelled"},
		"validating, any cancel": {in: validating, stop: asked(finishStep), wantPhase: "failed", wantOutcome: "Cancelled"},
		"validating, deleted":    {in: validating, stop: deleted(""), wantRelease: true, wantPhase: "validating"},
		"executing, FinishStep: what runs is finished": {
			in: executing, stop: asked(finishStep), ends: func(c *scenario) { c.ends(1, leftCompleted()) }, wantPhase: "failed", wantOutcome: "Cancelled",
		},
		"executing, Abort: no write begins": {
			in: executing, stop: asked(abort), wantCancel: "w-s1-a1",
			ends: func(c *scenario) { c.ends(1, leftFailed(shared.ErrorCancelled, new(false))) }, wantPhase: "failed", wantOutcome: "Cancelled",
		},
		"executing, AbortAndRollBack": {
			in: executing, stop: asked(andBack), wantCancel: "w-s1-a1",
			ends: func(c *scenario) { c.ends(1, leftFailed(shared.ErrorCancelled, nil)) }, wantPhase: "rolling_back",
		},
		"executing, AbortAndRollBack, though the strategy is Manual: a person has asked": {
			in: executing, stop: asked(andBack), wantCancel: "w-s1-a1",
			before: func(c *scenario) {
				c.s.workflow.Spec.ExecutionStrategy.RollbackStrategy = shared.RollbackStrategyManual
			},
			ends: func(c *scenario) { c.ends(1, leftFailed(shared.ErrorCancelled, nil)) }, wantPhase: "rolling_back",
		},
		"executing, deleted: as Abort": {
			in: executing, stop: deleted(""), wantCancel: "w-s1-a1",
			ends: func(c *scenario) { c.ends(1, leftFailed(shared.ErrorCancelled, nil)) }, wantPhase: "failed", wantOutcome: "Cancelled",
		},
		"executing, deleted after FinishStep: as FinishStep": {
			in: executing, stop: deleted(finishStep), ends: func(c *scenario) { c.ends(1, leftCompleted()) }, wantPhase: "failed", wantOutcome: "Cancelled",
		},
		"executing, deleted after AbortAndRollBack": {
			in: executing, stop: deleted(andBack), wantCancel: "w-s1-a1",
			ends: func(c *scenario) { c.ends(1, leftFailed(shared.ErrorCancelled, nil)) }, wantPhase: "rolling_back",
		},
		"executing, its namespace goes: nothing is rolled back": {
			in: executing, stop: func(c *scenario) { c.cancelledBy(andBack); terminating(c) }, wantCancel: "w-s1-a1",
			ends: func(c *scenario) { c.ends(1, leftFailed(shared.ErrorCancelled, nil)) }, wantPhase: "failed", wantOutcome: "Cancelled",
		},
		"monitoring, FinishStep":       {in: watching, stop: asked(finishStep), wantPhase: "failed", wantOutcome: "Cancelled"},
		"monitoring, Abort":            {in: watching, stop: asked(abort), wantPhase: "failed", wantOutcome: "Cancelled"},
		"monitoring, AbortAndRollBack": {in: watching, stop: asked(andBack), wantPhase: "rolling_back"},
		"monitoring, deleted":          {in: watching, stop: deleted(""), wantPhase: "failed", wantOutcome: "Cancelled"},
		"monitoring, suspended: no effect": {
			in: watching, stop: func(c *scenario) { c.suspended(true) }, wantPhase: "monitoring",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := test.in(t)
			if test.before != nil {
				test.before(c)
			}
			test.stop(c)
			c.decide()
			if got := strings.Join(c.last.cancel, " "); got != test.wantCancel || c.made() != "" {
				t.Fatalf("cancels %q, makes %q; want %q and nothing", got, c.made(), test.wantCancel)
			}
			if test.ends != nil {
				if c.s.workflow.Status.Phase != workflowexecutionv1.PhaseExecuting {
					t.Fatalf("phase is %s while a step runs", c.s.workflow.Status.Phase)
				}
				test.ends(c)
				c.decide()
			}
			status := c.s.workflow.Status
			if status.Phase != test.wantPhase || status.Outcome != test.wantOutcome || c.last.release != test.wantRelease {
				t.Fatalf("got %s, %s, release %t; want %s, %s, %t", status.Phase, status.Outcome, c.last.release, test.wantPhase, test.wantOutcome, test.wantRelease)
			}
			if test.wantOutcome == workflowexecutionv1.OutcomeCancelled && (status.ErrorType != shared.ErrorCancelled || status.FailureReason == "") {
				t.Errorf("failed by %s: %s", status.ErrorType, status.FailureReason)
			}
		})
	}
}

func TestCancelWhileRollingBack(t *testing.T) {
	running := kubernetesexecutionv1.KubernetesExecutionStatus{Phase: kubernetesexecutionv1.PhaseExecuting}
	for sentence, test := range map[string]struct {
		stop        func(*scenario)
		wantMade    string
		wantOutcome workflowexecutionv1.WorkflowOutcome
	}{
		"suspended: it finishes":                         {stop: func(c *scenario) { c.suspended(true) }, wantMade: "w-s1-r1"},
		"FinishStep: no effect":                          {stop: func(c *scenario) { c.cancelledBy(finishStep) }, wantMade: "w-s1-r1"},
		"AbortAndRollBack: no effect":                    {stop: func(c *scenario) { c.cancelledBy(andBack) }, wantMade: "w-s1-r1"},
		"deleted after AbortAndRollBack: it finishes":    {stop: func(c *scenario) { c.cancelledBy(andBack).deleted() }, wantMade: "w-s1-r1"},
		"Abort: stops after the running restore":         {stop: func(c *scenario) { c.cancelledBy(abort) }, wantOutcome: workflowexecutionv1.OutcomePartiallyRolledBack},
		"deleted: stops after the running restore":       {stop: func(c *scenario) { c.deleted() }, wantOutcome: workflowexecutionv1.OutcomePartiallyRolledBack},
		"deleted after FinishStep: stops":                {stop: func(c *scenario) { c.cancelledBy(finishStep).deleted() }, wantOutcome: workflowexecutionv1.OutcomePartiallyRolledBack},
		"its namespace goes: nothing more can be undone": {stop: func(c *scenario) { c.cancelledBy(andBack).deleted(); c.s.terminating = true }, wantOutcome: workflowexecutionv1.OutcomePartiallyRolledBack},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := rollingBack(t, nil)
			c.decide()
			test.stop(c)
			c.undone(2, running)
			c.s.executions["w-s2-r1"].Spec.Purpose = kubernetesexecutionv1.PurposeRollBack
			if c.decide(); c.made() != "" || len(c.last.cancel) > 0 || c.s.workflow.Status.Phase != workflowexecutionv1.PhaseRollingBack {
				t.Fatalf("made %q, cancelled %v: the running restore goes on", c.made(), c.last.cancel)
			}
			status := c.undone(2, leftCompleted()).decide()
			if c.made() != test.wantMade || status.Outcome != test.wantOutcome {
				t.Errorf("made %q, outcome %q; want %q, %q", c.made(), status.Outcome, test.wantMade, test.wantOutcome)
			}
		})
	}
}

func TestNotRolledBackSaysWhy(t *testing.T) {
	for want, stop := range map[string]func(*scenario){
		"spec.cancel is Abort":       func(c *scenario) { c.cancelledBy(abort) },
		"namespace is being deleted": func(c *scenario) { c.deleted(); c.s.terminating = true },
		"the workflow was deleted":   func(c *scenario) { c.deleted() },
	} {
		c := watching(t)
		stop(c)
		c.decide()
		condition := meta.FindStatusCondition(c.s.workflow.Status.Conditions, workflowexecutionv1.ConditionRolledBack)
		if condition == nil || condition.Reason != ReasonNotPerformed || !strings.Contains(condition.Message, want) {
			t.Errorf("condition RolledBack is %v; want %q", condition, want)
		}
	}
}

func TestStepThatWasNotMadeIsNotMadeByAWorkflowThatFails(t *testing.T) {
	c := executing(t)
	delete(c.s.executions, "w-s1-a1")
	status := c.cancelledBy(abort).decide()
	if c.made() != "" || status.Phase != workflowexecutionv1.PhaseFailed || status.Steps[1].ExecutionRef != "" || status.Steps[1].Phase != workflowexecutionv1.StepFailed {
		t.Errorf("made %q, phase %s, step %+v", c.made(), status.Phase, status.Steps[1])
	}
}

func TestDeletedWhenItIsOver(t *testing.T) {
	c := watching(t).target(shared.HealthUnknown, 5)
	c.decide()
	before := c.s.workflow.Status.DeepCopy()
	c.deleted().decide()
	if !c.last.release || c.last.remove || c.s.workflow.Status.Phase != before.Phase {
		t.Error("a finished workflow is let go")
	}
}

func (c *scenario) wantWaiting(reason string) {
	c.t.Helper()
	status := c.s.workflow.Status
	condition := meta.FindStatusCondition(status.Conditions, workflowexecutionv1.ConditionSuspended)
	if status.WaitingSince == nil || condition == nil || condition.Status != metav1.ConditionTrue || condition.Reason != reason {
		c.t.Fatalf("waiting since %v, condition Suspended is %v; want reason %s", status.WaitingSince, condition, reason)
	}
	if want := status.WaitingSince.Add(defaultHold); c.last.wakeAt.IsZero() || c.last.wakeAt.After(want) {
		c.t.Errorf("wakes at %s, want no later than %s", c.last.wakeAt, want)
	}
}

func (c *scenario) wantResumed(waited int64) {
	c.t.Helper()
	status := c.s.workflow.Status
	if status.WaitingSince != nil || status.WaitedSeconds != waited || meta.IsStatusConditionTrue(status.Conditions, workflowexecutionv1.ConditionSuspended) {
		c.t.Fatalf("waiting since %v, waited %d seconds; want %d and no more waiting", status.WaitingSince, status.WaitedSeconds, waited)
	}
}

func (c *scenario) heldBy(revision string) *scenario {
	c.allowed()
	c.s.steps[1].decision = shared.Decision{ID: revision + c.now.String(), Verdict: shared.VerdictHold, PolicySetRevision: revision, Rules: []shared.FiredRule{{Policy: "stop"}}}
	return c
}

func TestHoldWaitsUntilThePoliciesChange(t *testing.T) {
	c := validating(t).heldBy("r1")
	first := c.decide()
	c.wantWaiting(ReasonPolicyHold)
	if first.Phase != workflowexecutionv1.PhaseValidating || first.Validation.Verdict != shared.VerdictHold || c.made() != "" {
		t.Fatalf("got %s, verdict %s", first.Phase, first.Validation.Verdict)
	}
	c.now = c.now.Add(time.Hour)
	again := c.heldBy("r1").decide()
	if again.Validation.Decisions[1].DecisionID != first.Validation.Decisions[1].DecisionID {
		t.Error("the same hold of the same policies is not recorded again")
	}
	if c.heldBy("r2").decide().Validation.Decisions[1].DecisionID == first.Validation.Decisions[1].DecisionID {
		t.Error("the hold of other policies is recorded")
	}
	if status := c.allowed().decide(); status.Phase != workflowexecutionv1.PhaseExecuting || c.made() == "" {
		t.Fatalf("got %s: the hold is over", status.Phase)
	}
	c.wantResumed(3600)
	if got, want := c.s.workflow.Status.WaitedBeforePhase, int64(3600); got != want {
		t.Errorf("waited before the phase: %d, want %d: it does not extend executing", got, want)
	}
}

func TestHoldEnds(t *testing.T) {
	for sentence, test := range map[string]struct {
		change func(*scenario)
		want   shared.ErrorType
	}{
		"when it lasts too long": {func(c *scenario) { c.now = c.now.Add(defaultHold); c.heldBy("r1") }, shared.ErrorTimeout},
		"in a deny":              {func(c *scenario) { c.allowed(); c.s.steps[0].decision.Verdict = shared.VerdictDeny }, shared.ErrorPolicyDenied},
		"in a cancel":            {func(c *scenario) { c.cancelledBy(abort) }, shared.ErrorCancelled},
		"when nothing can be read for too long": {func(c *scenario) {
			if got := phaseDeadline(c.s.workflow); !got.Equal(c.now.Add(defaultHold)) {
				c.t.Errorf("the limit is %s", got)
			}
			c.s.workflow.Status = abandon(c.s.workflow, c.now.Add(defaultHold), errors.New("away")).status
		}, shared.ErrorTimeout},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := validating(t).heldBy("r1")
			c.decide()
			test.change(c)
			if !c.s.workflow.Status.Phase.Terminal() {
				c.decide()
			}
			if got := c.s.workflow.Status; got.Phase != workflowexecutionv1.PhaseFailed || got.ErrorType != test.want || got.WaitingSince != nil {
				t.Errorf("got %s, %s, waiting since %v", got.Phase, got.ErrorType, got.WaitingSince)
			}
		})
	}
}

func TestSuspendBeforeAnyStep(t *testing.T) {
	for sentence, in := range map[string]func(*testing.T) *scenario{"planning": planned, "validating": validating} {
		t.Run(sentence, func(t *testing.T) {
			c := in(t)
			before := c.s.workflow.Status.Phase
			status := c.suspended(true).decide()
			c.wantWaiting(ReasonSuspended)
			if before != "" && status.Phase != before || c.made() != "" {
				t.Fatalf("got %s, made %q", status.Phase, c.made())
			}
			c.now = c.now.Add(10 * time.Minute)
			c.allowed().suspended(false).decide()
			c.wantResumed(600)
			if c.s.workflow.Status.Phase == before {
				t.Error("it goes on when it is lifted, its limit extended")
			}
		})
	}
	t.Run("too long", func(t *testing.T) {
		c := validating(t).suspended(true)
		c.decide()
		c.now = c.now.Add(defaultHold)
		c.decide()
		c.wantFailed(shared.ErrorTimeout, nil)
	})
}

func TestSuspendWhileStepsRun(t *testing.T) {
	c := executing(t).suspended(true)
	c.decide()
	c.wantWaiting(ReasonSuspended)
	if c.made() != "" || c.s.workflow.Status.Steps[1].Phase != workflowexecutionv1.StepRunning {
		t.Fatalf("made %q: no new step, and what runs goes on", c.made())
	}
	c.now = c.now.Add(3 * time.Hour)
	c.ends(1, leftCompleted()).decide()
	c.wantWaiting(ReasonSuspended)
	c.suspended(false).decide()
	c.wantResumed(3 * 3600)
	if c.made() != "w-s2-a1" || c.s.workflow.Status.ErrorType != "" {
		t.Errorf("made %q, error %s: the time-out does not count the suspension", c.made(), c.s.workflow.Status.ErrorType)
	}
}

func TestSuspendTooLongWhileStepsRun(t *testing.T) {
	c := executing(t).suspended(true)
	c.decide()
	c.now = c.now.Add(defaultHold)
	status := c.ends(1, leftCompleted()).decide()
	if status.Phase != workflowexecutionv1.PhaseRollingBack || status.ErrorType != shared.ErrorTimeout {
		t.Errorf("got %s, %s", status.Phase, status.ErrorType)
	}
}

// holding is the status of an execution that the gate holds.
func holding() kubernetesexecutionv1.KubernetesExecutionStatus {
	return kubernetesexecutionv1.KubernetesExecutionStatus{
		Phase: kubernetesexecutionv1.PhaseValidating, Decision: &shared.Decision{Verdict: shared.VerdictHold},
		Conditions: []metav1.Condition{{Type: kubernetesexecutionv1.ConditionValidated, Status: metav1.ConditionFalse, Reason: kubernetesexecution.ReasonPolicyHold}},
	}
}

// copied is a scenario that changes apart from this one.
func (c *scenario) copied() *scenario {
	other := *c
	other.s.workflow, other.s.executions = c.s.workflow.DeepCopy(), maps.Clone(c.s.executions)
	return &other
}

func TestHeldStep(t *testing.T) {
	c := executing(t).ends(1, holding())
	c.decide()
	c.wantWaiting(ReasonPolicyHold)
	c.has("w-s2-a1", kubernetesexecutionv1.KubernetesExecutionStatus{Phase: kubernetesexecutionv1.PhaseExecuting, StartedAt: new(metav1.NewTime(c.now.Add(3 * time.Hour)))})
	c.now = c.now.Add(3 * time.Hour)
	status := c.decide()
	if status.Steps[1].Phase != workflowexecutionv1.StepRunning || status.Steps[1].Attempts != 1 || status.ErrorType != "" {
		t.Fatalf("a hold is no failure and no retry: %+v", status.Steps[1])
	}
	t.Run("goes on", func(t *testing.T) {
		c := c.copied()
		c.has("w-s0-a1", leftCompleted())
		c.has("w-s1-a1", kubernetesexecutionv1.KubernetesExecutionStatus{Phase: kubernetesexecutionv1.PhaseExecuting, StartedAt: new(metav1.NewTime(c.now))})
		c.has("w-s2-a1", leftCompleted())
		c.decide()
		c.wantResumed(3 * 3600)
		if got := c.s.workflow.Status; got.ErrorType != "" || got.Steps[1].Phase != workflowexecutionv1.StepRunning {
			t.Errorf("got %s: neither time-out counts the hold", got.ErrorType)
		}
	})
	t.Run("is cancelled when the hold lasts too long", func(t *testing.T) {
		c := c.copied()
		c.has("w-s2-a1", leftCompleted())
		c.now = c.now.Add(defaultHold)
		if status := c.decide(); status.ErrorType != shared.ErrorTimeout || *status.FailedStep != 1 || strings.Join(c.last.cancel, " ") != "w-s1-a1" {
			t.Errorf("got %s, cancelled %v", status.ErrorType, c.last.cancel)
		}
	})
	t.Run("is cancelled when another step fails", func(t *testing.T) {
		c := c.copied()
		c.has("w-s2-a1", leftFailed(shared.ErrorPermissionDenied, new(false)))
		if status := c.decide(); status.ErrorType != shared.ErrorPermissionDenied || strings.Join(c.last.cancel, " ") != "w-s1-a1" || status.WaitingSince != nil {
			t.Errorf("got %s, cancelled %v", status.ErrorType, c.last.cancel)
		}
	})
	t.Run("is cancelled by FinishStep: it has not begun", func(t *testing.T) {
		c := c.copied()
		if c.cancelledBy(finishStep).decide(); strings.Join(c.last.cancel, " ") != "w-s1-a1" {
			t.Errorf("cancelled %v", c.last.cancel)
		}
	})
}
