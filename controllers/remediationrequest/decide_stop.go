package remediationrequest

import (
	"fmt"
	"time"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// stopLimit is how long after the overall limit a workflow may take to end that was told to: its steps end, and what was done is
// undone, each within a limit of the workflow's own.
const stopLimit = 15 * time.Minute

// cancelAsked says whether people want the remediation to end.
func (d *decider) cancelAsked() bool { return valueOr(d.request.Spec.Cancel, false) }

// toStop says whether nothing more is to be tried. That the time of a phase before the workflow is up is seen where it waits.
func (d *decider) toStop() bool {
	return d.cancelAsked() || (d.status.OverallPhase == remediationv1.PhaseExecuting && d.overallOverdue())
}

// stop ends the remediation; a workflow that runs is stopped first, and its end is waited for: it says what was undone.
func (d *decider) stop() {
	if d.status.OverallPhase != remediationv1.PhaseExecuting {
		d.stopped("no workflow was running.")
		return
	}
	name := shared.WorkflowName(d.request.Name, d.status.RecoveryAttempts)
	switch found := d.Snapshot.workflow; {
	case found.lost != nil:
		d.lostWorkflow(found.lost, found.foreign)
	case found.foreign != "":
		d.foreign(kindWorkflow, name, found.foreign)
	case found.object != nil && found.object.Status.Phase.Terminal():
		d.executed(found.object)
	case found.object != nil:
		d.stopWorkflow(found.object)
	case d.workflowRef(name) != nil:
		d.gone(kindWorkflow, name)
	default:
		d.stopped(kindWorkflow + " " + name + " had not been made.")
	}
}

// stopWorkflow has a workflow undo what it did, and waits for its end.
func (d *decider) stopWorkflow(workflow *workflowexecutionv1.WorkflowExecution) {
	d.refer(workflow)
	name := kindWorkflow + " " + workflow.Name
	deadline := d.overallDeadline()
	if !deadline.IsZero() {
		deadline = deadline.Add(stopLimit)
	}
	switch {
	case d.refusal != nil:
		d.leftRunning(name + " could not be stopped and goes on: " + sentence(d.refusal.Error()))
	case !deadline.IsZero() && !d.now.Time.Before(deadline):
		d.leftRunning(name + " was told to stop and has not ended.")
	default:
		if workflow.Spec.Cancel != workflowexecutionv1.CancelAbortAndRollBack {
			d.cancel = workflow.DeepCopy()
			d.cancel.Spec.Cancel = workflowexecutionv1.CancelAbortAndRollBack
		}
		d.conditions.Progressing(ReasonStopping, name+" is stopped, and what it did is undone: "+d.whyStop())
		d.wakeAt = deadline
	}
}

func (d *decider) whyStop() string {
	if d.cancelAsked() {
		return "the remediation is cancelled."
	}
	return "the remediation reached the overall limit."
}

// stopText says why the remediation ended, and how things stand.
func (d *decider) stopText(how string) (remediationv1.RemediationOutcome, string, string) {
	if d.cancelAsked() {
		return remediationv1.OutcomeCancelled, ReasonCancelled, "The remediation was cancelled: " + how
	}
	return remediationv1.OutcomeTimedOut, ReasonTimedOut, "The remediation reached the overall limit: " + how
}

// stopped ends the request with nothing left behind. Who cancels knows of it, so nobody else is called.
func (d *decider) stopped(how string) {
	outcome, reason, message := d.stopText(how)
	if outcome != remediationv1.OutcomeCancelled {
		d.escalate(outcome, reason, message+" Look at it with: "+d.look(resourceRequest, d.request.Name))
		return
	}
	d.end(remediationv1.PhaseFailed, outcome)
	d.conditions.Failed(reason, message)
}

// leftRunning ends the request although a workflow of it has not ended: a person has to look.
func (d *decider) leftRunning(how string) {
	outcome, reason, message := d.stopText(how)
	d.escalate(outcome, reason, message+" Look at it with: "+
		d.look(resourceWorkflow, shared.WorkflowName(d.request.Name, d.status.RecoveryAttempts)))
}

// stoppedWorkflow ends the request with a workflow that failed after the remediation was to stop.
func (d *decider) stoppedWorkflow(workflow *workflowexecutionv1.WorkflowExecution, cause string) {
	how := fmt.Sprintf("%s %s", cause, undoneText(workflow))
	switch workflow.Status.Outcome {
	case workflowexecutionv1.OutcomePartiallyRolledBack, workflowexecutionv1.OutcomeRollbackFailed:
		d.leftRunning(how)
	case "", workflowexecutionv1.OutcomeSuccess, workflowexecutionv1.OutcomePartialSuccess, workflowexecutionv1.OutcomeUnverified,
		workflowexecutionv1.OutcomeDryRun, workflowexecutionv1.OutcomeFailed, workflowexecutionv1.OutcomeRolledBack, workflowexecutionv1.OutcomeCancelled:
		d.stopped(how)
	}
}
