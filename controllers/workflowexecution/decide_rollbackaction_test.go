package workflowexecution

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// undoneBy gives a step an explicit rollback action, which scales a Deployment.
func undoneBy(step shared.Step, deployment string) shared.Step {
	rollback := scale("", deployment).Action
	step.Rollback, step.RollbackAction = shared.RollbackAction, &rollback
	return step
}

// preparesRollbackOf makes the rollbackAction of a step one on the Deployment z.
func (c *scenario) preparesRollbackOf(i int) *scenario {
	live := &unstructured.Unstructured{}
	live.SetUID("uid-z")
	live.SetGeneration(7)
	live.SetName("z")
	c.s.steps[i].rollback = &effects.Preparation{Live: live}
	return c
}

func TestRollbackActionIsJudgedWithItsStep(t *testing.T) {
	decided := func(verdict shared.Verdict, id string) shared.Decision {
		return shared.Decision{ID: id, Verdict: verdict, Rules: []shared.FiredRule{{Policy: id}}}
	}
	for sentence, test := range map[string]struct {
		step, rollback shared.Verdict
		wantVerdict    shared.Verdict
		wantOfRollback bool
		wantRules      string
	}{
		"both are allowed":                    {"Allow", "Allow", "Allow", false, "step rollback "},
		"a deny of the rollbackAction counts": {"Allow", "Deny", "Deny", true, "rollback step "},
		"a deny of the step stays":            {"Deny", "Hold", "Deny", false, "step rollback "},
		"a hold is harder than an approval":   {"RequireApproval", "Hold", "Hold", true, "rollback step "},
		"two approvals keep both reasons":     {"RequireApproval", "RequireApproval", "RequireApproval", false, "step rollback "},
		"no verdict is harder than any":       {"Deny", "", "", true, "rollback step "},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := withRollback(
				assessment{decision: decided(test.step, "step")},
				assessment{decision: decided(test.rollback, "rollback"), preparation: &effects.Preparation{}},
			)
			rules := ""
			for _, rule := range got.decision.Rules {
				rules += rule.Policy + " "
			}
			if got.decision.Verdict != test.wantVerdict || got.ofRollbackAction != test.wantOfRollback || rules != test.wantRules || got.rollback == nil {
				t.Errorf("got %+v with rules %s", got, rules)
			}
		})
	}
	t.Run("one that cannot be prepared fails its step", func(t *testing.T) {
		got := withRollback(assessment{}, assessment{err: machinery.Typed(shared.ErrorResourceNotFound, errors.New("gone"))})
		if got.err == nil || machinery.Classify(got.err) != shared.ErrorResourceNotFound || got.err.Error() != "its rollbackAction: gone" {
			t.Errorf("got %v", got.err)
		}
	})
	t.Run("a refusal names it", func(t *testing.T) {
		c := newScenario(t, undoneBy(scale("a", "x"), "z"))
		c.decide()
		c.allowed().preparesRollbackOf(0)
		c.s.steps[0].decision, c.s.steps[0].ofRollbackAction = decided(shared.VerdictDeny, "rollback"), true
		status := c.decide()
		c.wantFailed(shared.ErrorPolicyDenied, new(int32(0)))
		if want := `the safety gate says Deny to the rollbackAction of step "a": rollback`; status.FailureReason != want {
			t.Errorf("got %q, want %q", status.FailureReason, want)
		}
		if !status.Validation.Decisions[0].OfRollbackAction {
			t.Error("the decision does not say what it is about")
		}
	})
}

func TestTargetsOfRollbackActionsArePlannedAndLocked(t *testing.T) {
	c := newScenario(t, undoneBy(scale("a", "x"), "z"), undoneBy(scale("b", "z"), "z"))
	c.decide()
	c.allowed().preparesRollbackOf(0).preparesRollbackOf(1)
	status := c.decide()
	type planned struct{ Steps, RollbackSteps []int32 }
	got := map[string]planned{}
	for _, target := range status.Plan.Targets {
		got[target.Name] = planned{target.Steps, target.RollbackSteps}
	}
	want := map[string]planned{"x": {Steps: []int32{0}}, "z": {Steps: []int32{1}, RollbackSteps: []int32{0, 1}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	if keys := lockKeys(&c.s); len(keys) != 2 {
		t.Errorf("locks %q: the live objects of the steps, and that of the rollbackActions", keys)
	}
}

// acting takes a workflow into rolling back whose only step, with a rollbackAction on another object, has failed.
func acting(t *testing.T, status kubernetesexecutionv1.KubernetesExecutionStatus) *scenario {
	t.Helper()
	c := newScenario(t, undoneBy(scale("a", "x"), "z"))
	c.decide()
	c.allowed().preparesRollbackOf(0).decide()
	c.s.executions = map[string]*kubernetesexecutionv1.KubernetesExecution{}
	c.ends(0, status).decide()
	return c
}

func TestRollbackActionUndoesItsStep(t *testing.T) {
	c := acting(t, leftFailed(shared.ErrorTimeout, new(true)))
	c.decide()
	if c.made() != "w-s0-r1" {
		t.Fatalf("made %q", c.made())
	}
	spec := c.last.create[0]
	if spec.Purpose != kubernetesexecutionv1.PurposeRollBack || spec.RestoreFrom != "" || spec.Action == nil || spec.Action.ScaleDeployment.Name != "z" ||
		spec.ExpectedTarget == nil || spec.ExpectedTarget.UID != "uid-z" || spec.ExpectedTarget.Generation != 7 {
		t.Errorf("made %+v", spec)
	}
	c.undone(0, leftCompleted()).decide()
	c.wantEnd(workflowexecutionv1.OutcomeRolledBack, ReasonRolledBack, `the rollbackAction of step "a" is done`)
}

func TestRollbackActionIsAccountedFor(t *testing.T) {
	for sentence, test := range map[string]struct {
		change      func(*scenario)
		first       kubernetesexecutionv1.KubernetesExecutionStatus
		wantMade    string
		wantOutcome workflowexecutionv1.WorkflowOutcome
		wantMessage string
	}{
		"needs nothing that was captured": {
			first:    leftFailed(shared.ErrorTimeout, nil),
			change:   func(c *scenario) { c.s.executions["w-s0-a1"].Status.Inverse = nil },
			wantMade: "w-s0-r1",
		},
		"runs when the record of the step is gone: it may have had its effect": {
			first: leftFailed(shared.ErrorTimeout, nil), change: func(c *scenario) { delete(c.s.executions, "w-s0-a1") }, wantMade: "w-s0-r1",
		},
		"runs once for all attempts": {
			first: leftFailed(shared.ErrorTimeout, nil), change: func(c *scenario) { c.secondAttempt(0) }, wantMade: "w-s0-r2",
		},
		"waits for the execution of the step": {
			first:  leftFailed(shared.ErrorTimeout, nil),
			change: func(c *scenario) { c.s.executions["w-s0-a1"].Status.Phase = kubernetesexecutionv1.PhaseExecuting },
		},
		"does not run when the step is known to have changed nothing": {
			first:       leftFailed(shared.ErrorTimeout, nil),
			change:      func(c *scenario) { c.s.executions["w-s0-a1"].Status.Changed = new(false) },
			wantOutcome: workflowexecutionv1.OutcomeFailed, wantMessage: "no step has changed anything",
		},
		"says why it failed": {
			first: leftFailed(shared.ErrorTimeout, nil),
			change: func(c *scenario) {
				c.undone(0, leftFailed(shared.ErrorPolicyDenied, new(false)))
			},
			wantOutcome: workflowexecutionv1.OutcomeRollbackFailed,
			wantMessage: `step "a" could not be undone: its rollbackAction scale-deployment of Deployment shop/z: it broke (policy_denied, KubernetesExecution w-s0-r1)`,
		},
		"is given up at the limit": {
			first: leftFailed(shared.ErrorTimeout, nil),
			change: func(c *scenario) {
				c.undone(0, kubernetesexecutionv1.KubernetesExecutionStatus{Phase: kubernetesexecutionv1.PhaseValidating})
				c.now = c.now.Add(defaultRollback)
			},
			wantOutcome: workflowexecutionv1.OutcomeRollbackFailed,
			wantMessage: "timeouts.rollback passed before it was restored: its rollbackAction scale-deployment of Deployment shop/z (see KubernetesExecution w-s0-r1",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := acting(t, test.first)
			test.change(c)
			status := c.decide()
			if c.made() != test.wantMade || status.Outcome != test.wantOutcome {
				t.Fatalf("made %q, outcome %q; want %q, %q", c.made(), status.Outcome, test.wantMade, test.wantOutcome)
			}
			if test.wantOutcome != "" {
				reason := map[workflowexecutionv1.WorkflowOutcome]string{"Failed": ReasonNotPerformed, "RollbackFailed": ReasonRollbackFailed}[test.wantOutcome]
				c.wantEnd(test.wantOutcome, reason, test.wantMessage)
			}
		})
	}
}

func TestNoTwoRollbacksOnOneObjectAtOnce(t *testing.T) {
	c := newScenario(t, undoneBy(scale("a", "x"), "z"), undoneBy(scale("b", "y"), "z"), scale("c", "v"))
	c.decide()
	c.allowed().preparesRollbackOf(0).preparesRollbackOf(1).decide()
	c.s.executions = map[string]*kubernetesexecutionv1.KubernetesExecution{}
	c.ends(0, leftCompleted()).ends(1, leftCompleted()).decide()
	c.ends(2, leftFailed(shared.ErrorTimeout, nil)).decide()
	if c.decide(); c.made() != "w-s2-r1 w-s1-r1" {
		t.Fatalf("made %q: b's rollbackAction first, a's is on the same object", c.made())
	}
	c.undone(1, kubernetesexecutionv1.KubernetesExecutionStatus{Phase: kubernetesexecutionv1.PhaseExecuting})
	running := c.s.executions["w-s1-r1"]
	running.Spec.Purpose, running.Spec.StepIndex = kubernetesexecutionv1.PurposeRollBack, 1
	if c.decide(); c.made() != "w-s2-r1" {
		t.Fatalf("made %q while b's rollbackAction runs", c.made())
	}
	running.Status.Phase = kubernetesexecutionv1.PhaseCompleted
	if c.decide(); c.made() != "w-s2-r1 w-s0-r1" {
		t.Errorf("made %q after b's rollbackAction", c.made())
	}
}

func TestRollbackActionExpectsWhatTheWorkflowLeft(t *testing.T) {
	c := newScenario(t, undoneBy(scale("a", "z"), "z"), scale("b", "z", "a"))
	c.decide()
	c.allowed().preparesRollbackOf(0).decide()
	c.s.executions = map[string]*kubernetesexecutionv1.KubernetesExecution{}
	changed := func(generation int64) kubernetesexecutionv1.KubernetesExecutionStatus {
		status := leftCompleted()
		status.ResultingGeneration = generation
		return status
	}
	c.ends(0, changed(5)).decide()
	failed := leftFailed(shared.ErrorTimeout, nil)
	failed.ResultingGeneration = 6
	c.ends(1, failed).decide()
	c.undone(1, changed(7)).decide()
	if c.made() != "w-s0-r1" || c.last.create[0].ExpectedTarget.Generation != 7 {
		t.Errorf("made %q: it expects the target as restoring b has left it", c.made())
	}
}
