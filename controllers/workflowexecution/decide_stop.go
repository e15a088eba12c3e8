package workflowexecution

import (
	"fmt"
	"slices"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// deleting says that somebody has deleted the workflow; its finalizer keeps it until it is over.
func deleting(workflow *workflowexecutionv1.WorkflowExecution) bool {
	return !workflow.DeletionTimestamp.IsZero()
}

// cancelled says how the workflow is to be ended: as asked for, or, when it is deleted, by Abort. Empty says that it is not.
func (d *decider) cancelled() workflowexecutionv1.CancelMode {
	if d.workflow.Spec.Cancel == "" && deleting(d.workflow) {
		return workflowexecutionv1.CancelAbort
	}
	return d.workflow.Spec.Cancel
}

func (d *decider) cancelReason() string {
	if d.workflow.Spec.Cancel == "" {
		return "the workflow was deleted"
	}
	return fmt.Sprintf("the workflow was cancelled: spec.cancel is %s", d.workflow.Spec.Cancel)
}

// leaves says that a workflow that is being deleted has nothing to end first: no step of it runs.
func leaves(workflow *workflowexecutionv1.WorkflowExecution) bool {
	if !deleting(workflow) {
		return false
	}
	switch workflow.Status.Phase {
	case "", workflowexecutionv1.PhasePlanning, workflowexecutionv1.PhaseValidating, workflowexecutionv1.PhaseCompleted, workflowexecutionv1.PhaseFailed:
		return true
	case workflowexecutionv1.PhaseExecuting, workflowexecutionv1.PhaseMonitoring, workflowexecutionv1.PhaseRollingBack:
	}
	return false
}

// stopBefore ends a workflow that is cancelled before any of its steps runs, or after all have run, and says whether it is.
func (d *decider) stopBefore() bool {
	if d.cancelled() == "" {
		return false
	}
	d.fail(noStep, shared.ErrorCancelled, d.cancelReason())
	return true
}

// stopSteps ends the running of steps: none starts any more, and, unless the running ones may finish, no write begins.
func (d *decider) stopSteps() {
	mode := d.cancelled()
	if mode == "" {
		return
	}
	d.blame(noStep, shared.ErrorCancelled, d.cancelReason())
	if mode != workflowexecutionv1.CancelFinishStep {
		d.stop(d.stepsIn(workflowexecutionv1.StepRunning))
	}
}

// stop has the executions of steps cancelled that may still run.
func (d *decider) stop(steps []int) {
	for _, i := range steps {
		d.stopExecution(d.status.Steps[i].ExecutionRef)
	}
}

func (d *decider) stopExecution(name string) {
	execution := d.executions[name]
	if execution != nil && !execution.Status.Phase.Terminal() && !stopped(execution) && !slices.Contains(d.cancel, name) {
		d.cancel = append(d.cancel, name)
	}
}

func stopped(execution *kubernetesexecutionv1.KubernetesExecution) bool {
	return execution.Spec.Cancel != nil && *execution.Spec.Cancel
}

// forgo ends the steps that were announced and whose execution was not made before the workflow failed: it is not made now.
func (d *decider) forgo() {
	for _, i := range d.stepsIn(workflowexecutionv1.StepRunning) {
		step := &d.status.Steps[i]
		if d.executions[step.ExecutionRef] == nil {
			step.Phase, step.ErrorType, step.Message = workflowexecutionv1.StepFailed, shared.ErrorCancelled, "the workflow failed before the step began"
			step.CompletionTime = &d.now
			step.ExecutionRef = ""
		}
	}
}

// rollsBack says whether the effects of a workflow that fails are undone: as its strategy says, or as its cancellation does. In
// a namespace that is being deleted nothing can be created, so nothing can be undone.
func (d *decider) rollsBack() bool {
	switch {
	case d.terminating, undoesAnother(d.workflow):
		return false // nothing undoes an undoing
	case d.cancelled() != "":
		return d.cancelled() == workflowexecutionv1.CancelAbortAndRollBack
	default:
		return rollbackStrategy(d.workflow) == shared.RollbackStrategyAutomatic
	}
}

// rollbackStopped says why a workflow that rolls back restores no further step; empty while it goes on.
func (d *decider) rollbackStopped() string {
	switch {
	case d.terminating:
		return terminatingNamespace
	case d.cancelled() == workflowexecutionv1.CancelAbort, deleting(d.workflow) && d.cancelled() != workflowexecutionv1.CancelAbortAndRollBack:
		return d.cancelReason()
	}
	return ""
}

const terminatingNamespace = "the namespace is being deleted, and nothing can be created in it"

// ended is the outcome of a workflow that fails and undoes nothing.
func (d *decider) ended() workflowexecutionv1.WorkflowOutcome {
	if d.status.ErrorType == shared.ErrorCancelled || d.cancelled() != "" {
		return workflowexecutionv1.OutcomeCancelled
	}
	if undoesAnother(d.workflow) {
		return d.undoOutcome()
	}
	return workflowexecutionv1.OutcomeFailed
}
