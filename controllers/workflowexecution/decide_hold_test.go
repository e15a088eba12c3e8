package workflowexecution

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// policySet is a set of policies by their names.
type policySet struct {
	revision string
	names    []string
}

func (policySet) Changed() <-chan struct{} { return nil }
func (p policySet) Revision() string       { return p.revision }
func (p policySet) Has(policy string) bool { return slices.Contains(p.names, policy) }

// stoppedByPolicy is a workflow that the policy stop holds.
func stoppedByPolicy(t *testing.T) *scenario {
	t.Helper()
	c := validating(t).heldBy("r1")
	c.s.steps[1].decision.Rules[0].Effect = shared.EffectHold
	c.decide()
	c.wantWaiting(ReasonPolicyHold)
	return c
}

func TestWhatBecomesOfTheHoldOfAWorkflow(t *testing.T) {
	for sentence, test := range map[string]struct {
		policies machinery.Policies
		change   func(*workflowexecutionv1.WorkflowExecution)
		want     machinery.Hold
	}{
		"the policies are the same":      {policies: policySet{"r1", []string{"stop"}}, want: machinery.HoldStands},
		"the policy is gone":             {policies: policySet{"r2", nil}, want: machinery.HoldLifted},
		"another policy has changed":     {policies: policySet{"r2", []string{"stop"}}, want: machinery.HoldUnknown},
		"nobody tells what policies are": {want: machinery.HoldUnknown},
		"it waits for the end of a suspension": {
			policies: policySet{"r1", nil}, want: machinery.HoldUnknown,
			change: func(w *workflowexecutionv1.WorkflowExecution) {
				meta.SetStatusCondition(&w.Status.Conditions, metav1.Condition{Type: workflowexecutionv1.ConditionSuspended, Status: metav1.ConditionTrue, Reason: ReasonSuspended})
			},
		},
		"it goes on already": {
			policies: policySet{"r2", nil}, want: machinery.HoldUnknown,
			change: func(w *workflowexecutionv1.WorkflowExecution) { w.Status.WaitingSince = nil },
		},
		"its steps run": {
			policies: policySet{"r2", nil}, want: machinery.HoldUnknown,
			change: func(w *workflowexecutionv1.WorkflowExecution) { w.Status.Phase = workflowexecutionv1.PhaseExecuting },
		},
		"another of its steps is held by a policy that is there": {
			policies: policySet{"r2", []string{"freeze"}}, want: machinery.HoldUnknown,
			change: func(w *workflowexecutionv1.WorkflowExecution) {
				w.Status.Validation.Decisions[2].Verdict = shared.VerdictHold
				w.Status.Validation.Decisions[2].Rules = []shared.FiredRule{{Policy: "freeze", Effect: shared.EffectHold}}
			},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := stoppedByPolicy(t)
			if test.change != nil {
				test.change(c.s.workflow)
			}
			if got := holdOf(c.s.workflow, test.policies); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestAHoldThatStandsIsNotJudgedAgain(t *testing.T) {
	c := stoppedByPolicy(t)
	before := c.s.workflow.Status.DeepCopy()
	c.s.steps, c.s.hold = nil, machinery.HoldStands
	c.now = c.now.Add(time.Hour)
	if diff := cmp.Diff(*before, c.decide()); diff != "" {
		t.Errorf("the status has changed:\n%s", diff)
	}
	c.wantWaiting(ReasonPolicyHold)
	c.now = c.now.Add(defaultHold)
	c.decide()
	c.wantFailed(shared.ErrorTimeout, new(int32(1)))
}

func TestAHoldThatIsLiftedEndsTheWaitingAtOnce(t *testing.T) {
	c := stoppedByPolicy(t)
	c.s.workflow.Status.Validation.Decisions[0].Tried = true
	want := workflowexecutionv1.Validation{
		Decisions: []workflowexecutionv1.StepDecision{{Tried: true}, {Index: 1}, {Index: 2}},
		DryRun:    c.s.workflow.Status.Validation.DryRun, SummaryDigest: c.s.workflow.Status.Validation.SummaryDigest,
	}
	c.s.steps, c.s.hold = nil, machinery.HoldLifted
	c.now = c.now.Add(time.Hour)
	status := c.decide()
	c.wantResumed(3600)
	if diff := cmp.Diff(&want, status.Validation); diff != "" {
		t.Errorf("what was tried stays, what was judged does not (-want +got):\n%s", diff)
	}
	validated := meta.FindStatusCondition(status.Conditions, workflowexecutionv1.ConditionValidated)
	if status.Phase != workflowexecutionv1.PhaseValidating || validated.Status != metav1.ConditionUnknown || c.last.lock || c.made() != "" {
		t.Errorf("got %s, Validated is %s, made %q: nothing begins before the steps are judged again", status.Phase, validated.Status, c.made())
	}
	if got := holdOf(c.s.workflow, policySet{"r2", nil}); got != machinery.HoldUnknown {
		t.Errorf("it is not judged again: %d", got)
	}
	c.s.hold = machinery.HoldUnknown
	if status := c.allowed().decide(); status.Phase != workflowexecutionv1.PhaseExecuting {
		t.Errorf("got %s", status.Phase)
	}
}

func TestTheSetOfPoliciesThatHoldsIsRecorded(t *testing.T) {
	c := validating(t).heldBy("r2")
	c.s.steps[0].decision.PolicySetRevision = "r1" // then the policies changed
	if got := c.decide().Validation.PolicySetRevision; got != "r2" {
		t.Errorf("recorded is %s, by which nothing holds", got)
	}
}

func TestAWorkflowGoesOnWhenTheHoldOfItsStepIsLifted(t *testing.T) {
	c := executing(t).ends(1, holding())
	c.decide()
	c.wantWaiting(ReasonPolicyHold)
	c.has("w-s2-a1", leftCompleted())
	c.now = c.now.Add(time.Hour)
	c.s.lifted = map[string]bool{"w-s1-a1": true}
	status := c.decide()
	c.wantResumed(3600)
	if status.Steps[1].Phase != workflowexecutionv1.StepRunning || status.ErrorType != "" {
		t.Errorf("the step is %s, %s", status.Steps[1].Phase, status.ErrorType)
	}
	if diff := cmp.Diff([]string(nil), waitingWorkflows(c.s.workflow)); diff != "" {
		t.Errorf("it still waits:\n%s", diff)
	}
}

func TestAWorkflowWhoseStepIsHeldIsWokenByThePolicies(t *testing.T) {
	c := executing(t).ends(1, holding())
	c.decide()
	if diff := cmp.Diff([]string{waiting}, waitingWorkflows(c.s.workflow)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
