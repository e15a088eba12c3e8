package workflowexecution

import (
	"k8s.io/apimachinery/pkg/api/meta"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// locked says whether the workflow may start its steps; otherwise it asks for the locks, waits for them, or fails.
func (d *decider) locked() bool {
	switch {
	case len(lockKeys(&d.snapshot)) == 0:
		return true // nothing that the steps change
	case d.locks == nil:
		d.lock = true
		return false
	case d.locks.heldBy != "":
		d.status.AwaitedLock = d.locks.lease
		d.conditions.False(workflowexecutionv1.ConditionTargetsLocked, ReasonLockedByOther, d.locks.heldBy)
		d.conditions.Progressing(ReasonLockedByOther, "waiting for a lock: "+d.locks.heldBy)
		d.wakeAt = phaseDeadline(d.workflow)
		d.unlock = true // of several locks it may have got some
		return false
	case d.locks.moved != "":
		const message = "the targets changed each time that the steps were judged again"
		d.conditions.False(workflowexecutionv1.ConditionTargetsLocked, ReasonTargetsMoved, message)
		d.fail(noStep, shared.ErrorResourceConflict, message+": "+d.locks.moved)
		return false
	}
	d.conditions.True(workflowexecutionv1.ConditionTargetsLocked, ReasonLocked, "no other workflow changes these targets until this one is over")
	return true
}

// awaitsLock says why a workflow waits for a lock; empty when it does not.
func awaitsLock(workflow *workflowexecutionv1.WorkflowExecution) string {
	condition := meta.FindStatusCondition(workflow.Status.Conditions, workflowexecutionv1.ConditionTargetsLocked)
	if workflow.Status.Phase != workflowexecutionv1.PhaseValidating || condition == nil || condition.Reason != ReasonLockedByOther {
		return ""
	}
	return condition.Message
}

// sameLock says that the workflow waits for a lock as it was recorded last, judged by the same policies.
func (d *decider) sameLock() bool {
	recorded := d.status.Validation
	return awaitsLock(d.workflow) != "" && d.locks != nil && d.locks.heldBy != "" && recorded != nil &&
		recorded.PolicySetRevision == d.steps[0].decision.PolicySetRevision
}

// giveBack has the locks given back at the end of the workflow. One that is validating may hold some that a crash left.
func (d *decider) giveBack() {
	locked := meta.IsStatusConditionTrue(d.status.Conditions, workflowexecutionv1.ConditionTargetsLocked)
	d.unlock = locked || d.workflow.Status.Phase == workflowexecutionv1.PhaseValidating
	if locked {
		d.conditions.False(workflowexecutionv1.ConditionTargetsLocked, ReasonReleased, "the workflow is over")
	}
}
