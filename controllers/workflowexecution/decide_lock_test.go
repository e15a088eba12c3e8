package workflowexecution

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
)

func (c *scenario) wantLock(status metav1.ConditionStatus, reason string) {
	c.t.Helper()
	condition := meta.FindStatusCondition(c.s.workflow.Status.Conditions, workflowexecutionv1.ConditionTargetsLocked)
	if condition == nil || condition.Status != status || condition.Reason != reason {
		c.t.Fatalf("condition TargetsLocked is %v, want %s, %s", condition, status, reason)
	}
}

func TestNoStepStartsWithoutItsLocks(t *testing.T) {
	t.Run("they are asked for when every step is allowed", func(t *testing.T) {
		c := validating(t)
		c.s.locks = nil
		if status := c.decide(); !c.last.lock || status.Phase != workflowexecutionv1.PhaseValidating || c.made() != "" {
			t.Errorf("lock %t, phase %s", c.last.lock, status.Phase)
		}
	})
	t.Run("they are not asked for a step that is denied", func(t *testing.T) {
		c := validating(t)
		c.s.locks = nil
		c.s.steps[0].decision.Verdict = shared.VerdictDeny
		if c.decide(); c.last.lock {
			t.Error("a denied workflow locks nothing")
		}
	})
	t.Run("they are not needed where nothing is changed", func(t *testing.T) {
		c := newScenario(t, shared.Step{Name: "tell", Action: shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "x"}}})
		c.decide()
		c.allowed()
		c.s.locks, c.s.steps[0].preparation = nil, &effects.Preparation{}
		if status := c.decide(); status.Phase != workflowexecutionv1.PhaseExecuting {
			t.Errorf("phase is %s", status.Phase)
		}
	})
	t.Run("they are held until the end", func(t *testing.T) {
		c := watching(t)
		c.wantLock(metav1.ConditionTrue, ReasonLocked)
		if c.last.unlock {
			t.Error("given back too early")
		}
		c.target(shared.HealthUnknown, 5).decide()
		c.wantLock(metav1.ConditionFalse, ReasonReleased)
		if !c.last.unlock {
			t.Error("not given back")
		}
	})
	t.Run("who waits for the end of a hold gives back what a crash left", func(t *testing.T) {
		c := validating(t).heldBy("r1")
		if c.decide(); !c.last.unlock {
			t.Error("not given back")
		}
	})
}

func TestWaitingForALock(t *testing.T) {
	held := func(t *testing.T) *scenario {
		t.Helper()
		c := validating(t)
		c.s.locks = &lockState{heldBy: "Deployment.apps shop/x is locked by WorkflowExecution shop/other", lease: "target-x"}
		c.decide()
		c.wantLock(metav1.ConditionFalse, ReasonLockedByOther)
		return c
	}
	t.Run("lasts until the validation deadline at most", func(t *testing.T) {
		c := held(t)
		if want := c.now.Add(defaultValidation); !c.last.wakeAt.Equal(want) {
			t.Errorf("wakes at %s, want %s", c.last.wakeAt, want)
		}
		c.now = c.now.Add(defaultValidation)
		c.decide()
		c.wantFailed(shared.ErrorResourceConflict, nil)
		if got := c.s.workflow.Status.FailureReason; !strings.Contains(got, "shop/other") {
			t.Errorf("it does not say who: %s", got)
		}
	})
	t.Run("changes nothing while it goes on", func(t *testing.T) {
		c := held(t)
		before := c.s.workflow.Status.DeepCopy()
		c.s.steps[0].decision.ID = "another"
		c.now = c.now.Add(time.Second)
		after := c.decide()
		if diff := cmp.Diff(*before, after); diff != "" {
			t.Errorf("the status would never come to rest:\n%s", diff)
		}
	})
	t.Run("ends when the lock is free", func(t *testing.T) {
		c := held(t)
		c.allowed().decide()
		c.wantLock(metav1.ConditionTrue, ReasonLocked)
		if got := c.s.workflow.Status.AwaitedLock; got != "" {
			t.Errorf("it waits for %s", got)
		}
	})
	t.Run("needs no judgement while the lock is held as it was", func(t *testing.T) {
		c := held(t)
		before := c.s.workflow.Status.DeepCopy()
		c.s.steps, c.s.locks, c.s.stillLocked = nil, nil, true
		after := c.decide()
		if diff := cmp.Diff(*before, after); diff != "" {
			t.Errorf("the status has changed:\n%s", diff)
		}
		if want := begun.Add(defaultValidation); c.last.lock || c.last.wakeAt.Before(want) {
			t.Errorf("locks %t, wakes at %s", c.last.lock, c.last.wakeAt)
		}
		c.now = c.now.Add(defaultValidation)
		c.decide()
		c.wantFailed(shared.ErrorResourceConflict, nil)
	})
	t.Run("targets that never rest", func(t *testing.T) {
		c := validating(t)
		c.s.locks = &lockState{moved: "Deployment shop/x is at generation 9, not 8"}
		c.decide()
		c.wantFailed(shared.ErrorResourceConflict, nil)
		c.wantLock(metav1.ConditionFalse, ReasonTargetsMoved)
	})
}

func TestLockKeys(t *testing.T) {
	c := newScenario(t, scale("a", "x"), scale("b", "y"), scale("again", "x"))
	for _, name := range []string{"x", "y", "x"} {
		live := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment"}}
		live.SetNamespace("shop")
		live.SetName(name)
		live.SetUID(types.UID(name))
		c.s.steps = append(c.s.steps, assessment{preparation: &effects.Preparation{Live: live}})
	}
	c.s.owners = map[types.UID][]shared.OwnedObject{
		"x": {}, "y": {{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "y-1"}, {APIVersion: "example.com/v1", Kind: "Shop", Name: "all"}},
	}
	if diff := cmp.Diff([]string{"Deployment.apps shop/x", "Shop.example.com shop/all"}, lockKeys(&c.s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if one, other := leaseName("Deployment.apps shop/x"), leaseName("Deployment.apps shop/y"); one == other || !strings.HasPrefix(one, "target-") || len(one) > 253 {
		t.Errorf("leases %s and %s", one, other)
	}
	if got := groupOf("v1"); got != "" {
		t.Errorf("the core group is %q", got)
	}
}

func TestWhatIndexesWaiting(t *testing.T) {
	waits := func(c *scenario) string { return strings.Join(waitingWorkflows(c.s.workflow), " ") }
	c := validating(t)
	if got := waits(c); got != "" {
		t.Errorf("one that goes on waits for %q", got)
	}
	c.heldBy("r1").decide()
	if got := waits(c); got != waiting {
		t.Errorf("one that is held waits for %q", got)
	}
	c = validating(t)
	c.s.locks = &lockState{heldBy: "x", lease: "target-x"}
	c.decide()
	if diff := cmp.Diff([]string{"target-x"}, awaitedLocks(c.s.workflow)); diff != "" {
		t.Errorf("it is not found by its lock (-want +got):\n%s", diff)
	}
	if got := waits(c); got != "" {
		t.Errorf("one that waits for a lock is woken by a change of the policies: %q", got)
	}
}
