package workflowexecution

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/approvalrequest"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
)

// Defaults of the limits; the same as those of the schema, for objects that were not defaulted.
const (
	defaultPlanning      = 30 * time.Second
	defaultValidation    = 5 * time.Minute
	defaultMonitoring    = 10 * time.Minute
	defaultStabilization = 15 * time.Second
	defaultRollback      = 10 * time.Minute
	defaultHold          = 24 * time.Hour
)

// The bounds of texts of the status.
const (
	maxReason     = 1024
	maxStepOutput = 128
	maxStepError  = 512
)

// phaseDeadline is when the current phase must have ended; the zero time for one that has no limit of its own. A workflow that
// waits has the limit of its waiting instead.
func phaseDeadline(workflow *workflowexecutionv1.WorkflowExecution) time.Time {
	status := &workflow.Status
	limits := workflow.Spec.Timeouts
	if limits == nil {
		limits = &workflowexecutionv1.WorkflowTimeouts{}
	}
	if awaitsApproval(workflow) {
		return status.WaitingSince.Add(approvalLimit(workflow) + duration(limits.Validation, defaultValidation))
	}
	if status.WaitingSince != nil {
		return holdEnd(workflow, status.WaitingSince)
	}
	switch status.Phase {
	case "":
		return workflow.CreationTimestamp.Add(duration(limits.Planning, defaultPlanning))
	case workflowexecutionv1.PhasePlanning:
		return after(status.PlanningStartTime, duration(limits.Planning, defaultPlanning)+waited(status))
	case workflowexecutionv1.PhaseValidating:
		return after(status.ValidationStartTime, duration(limits.Validation, defaultValidation)+waited(status))
	case workflowexecutionv1.PhaseMonitoring:
		return after(status.MonitoringStartTime, duration(limits.Monitoring, defaultMonitoring))
	case workflowexecutionv1.PhaseExecuting:
		return after(status.ExecutionStartTime, duration(limits.Workflow, planning.MaxWorkflowTimeout)+executionGrace+waited(status))
	case workflowexecutionv1.PhaseRollingBack:
		return after(status.RollbackStartTime, rollbackLimit(workflow))
	case workflowexecutionv1.PhaseCompleted, workflowexecutionv1.PhaseFailed:
	}
	return time.Time{}
}

// rollbackLimit is how long rolling back may take.
func rollbackLimit(workflow *workflowexecutionv1.WorkflowExecution) time.Duration {
	if workflow.Spec.Timeouts == nil {
		return defaultRollback
	}
	return duration(workflow.Spec.Timeouts.Rollback, defaultRollback)
}

func after(start *metav1.Time, limit time.Duration) time.Time {
	if start == nil {
		return time.Time{}
	}
	return start.Add(limit)
}

func duration(set *metav1.Duration, fallback time.Duration) time.Duration {
	if set == nil {
		return fallback
	}
	return set.Duration
}

// workflowTimeout limits the running of all steps.
func workflowTimeout(workflow *workflowexecutionv1.WorkflowExecution, graph *planning.Graph) time.Duration {
	if limits := workflow.Spec.Timeouts; limits != nil && limits.Workflow != nil {
		return limits.Workflow.Duration
	}
	definition := workflow.Definition()
	if definition == nil {
		return planning.MaxWorkflowTimeout
	}
	return min(graph.Budget(definition.Steps), planning.MaxWorkflowTimeout)
}

func stabilizationWindow(workflow *workflowexecutionv1.WorkflowExecution) time.Duration {
	return duration(workflow.Spec.StabilizationWindow, defaultStabilization)
}

func targetUID(target workflowexecutionv1.PlannedTarget) types.UID { return types.UID(target.UID) }

// summaryDigest is SHA-256 over the changes; empty for what is no JSON, which nothing equals.
func summaryDigest(changes []workflowexecutionv1.StepChange) string {
	digest, err := approvalrequest.Digest(changes)
	if err != nil {
		return ""
	}
	return digest
}

// count sets what sums up the steps.
func (d *decider) count() {
	d.status.CompletedSteps = int32(d.countPhase(workflowexecutionv1.StepCompleted)) //nolint:gosec // at most 100
	d.status.CurrentStep = nil
	at := slices.IndexFunc(d.status.Steps, func(s workflowexecutionv1.StepStatus) bool {
		return s.Phase == workflowexecutionv1.StepPending || s.Phase == workflowexecutionv1.StepRunning
	})
	if at >= 0 {
		d.status.CurrentStep = &d.status.Steps[at].Index
	}
}

// describeProgress says on the Ready condition which steps run.
func (d *decider) describeProgress() {
	if d.describeWaiting() {
		return
	}
	var names []string
	for _, step := range d.status.Steps {
		if step.Phase == workflowexecutionv1.StepRunning {
			names = append(names, step.Name)
		}
	}
	message := "running " + strings.Join(names, ", ")
	switch {
	case len(names) == 0:
		message = "waiting before the next attempt of a step"
	case d.failing():
		message = "a step failed; waiting for " + strings.Join(names, ", ") + " to end"
	}
	d.conditions.Progressing(ReasonExecuting, message)
}

// blame records why the workflow fails, once, with the state of affairs at that moment; step is noStep when none is to blame.
func (d *decider) blame(step int, errorType shared.ErrorType, reason string) {
	if d.failing() {
		return
	}
	d.status.ErrorType = errorType
	d.status.FailureReason = machinery.Cut(reason, maxReason)
	if step != noStep {
		definition := d.definitions()[step]
		d.status.FailedStep = new(int32(step)) //nolint:gosec // at most 100
		d.status.FailedStepName = definition.Name
		d.status.FailedAction = string(definition.Action.Type)
	}
	d.status.ExecutionSnapshot = d.takeSnapshot(step)
}

// fail ends the workflow when nothing runs that would have to be waited for.
func (d *decider) fail(step int, errorType shared.ErrorType, reason string) {
	d.start()
	d.blame(step, errorType, reason)
	d.conclude()
}

// end is the end of a workflow that fails and undoes nothing.
func (d *decider) end() {
	d.finish(d.ended())
	if undoesAnother(d.workflow) {
		d.endUndo()
		return
	}
	d.conditions.False(workflowexecutionv1.ConditionRolledBack, ReasonNotPerformed, d.notPerformed())
}

// finish is the end of a workflow that fails.
func (d *decider) finish(outcome workflowexecutionv1.WorkflowOutcome) {
	d.resume()
	d.giveBack()
	d.status.Phase = workflowexecutionv1.PhaseFailed
	d.status.Outcome = outcome
	d.status.CompletionTime = &d.now
	d.status.HealthySince = nil
	d.wakeAt = time.Time{}
	d.conditions.Failed(ReasonFailed, d.status.FailureReason)
	d.retainLater()
}

func (d *decider) complete(outcome workflowexecutionv1.WorkflowOutcome, reason, message string) {
	d.resume()
	d.giveBack()
	d.status.Phase = workflowexecutionv1.PhaseCompleted
	d.status.Outcome = outcome
	d.status.CompletionTime = &d.now
	d.conditions.Succeeded(reason, message)
	d.retainLater()
}

func (d *decider) retainLater() {
	if d.workflow.Spec.TTLAfterFinished != nil && metav1.GetControllerOf(d.workflow) == nil {
		d.wakeAt = d.now.Add(d.workflow.Spec.TTLAfterFinished.Duration)
	}
}
