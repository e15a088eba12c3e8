package planning

import (
	"fmt"
	"slices"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// UndoRefused says why a workflow cannot be undone by another one that names it, as far as the two say; an empty class when they
// do not keep it from being undone. Other is nil when there is no workflow of the name.
func UndoRefused(ref shared.ObjectReference, other *workflowexecutionv1.WorkflowExecution) (class shared.ErrorType, why string) {
	if other == nil {
		return shared.ErrorResourceNotFound, fmt.Sprintf("WorkflowExecution %s does not exist in this namespace; what it captured went with it", ref.Name)
	}
	switch status := &other.Status; {
	case other.UID != ref.UID:
		return shared.ErrorResourceConflict, fmt.Sprintf("WorkflowExecution %s has UID %s, not %s: it was deleted and made again", ref.Name, other.UID, ref.UID)
	case other.Spec.RollbackOf != nil:
		return shared.ErrorValidation, fmt.Sprintf("WorkflowExecution %s itself undoes %s: what was undone is done again by a workflow with the same steps",
			ref.Name, other.Spec.RollbackOf.Name)
	case !other.DeletionTimestamp.IsZero():
		return shared.ErrorResourceConflict, fmt.Sprintf("WorkflowExecution %s is being deleted, and what it captured goes with it", ref.Name)
	case !status.Phase.Terminal():
		return shared.ErrorValidation, fmt.Sprintf("WorkflowExecution %s is not finished (phase %q): cancel it with AbortAndRollBack, or wait for its end", ref.Name, status.Phase)
	case status.Outcome == workflowexecutionv1.OutcomeDryRun:
		return shared.ErrorValidation, fmt.Sprintf("WorkflowExecution %s was a dry run: it has changed nothing", ref.Name)
	case status.Outcome == workflowexecutionv1.OutcomeRolledBack:
		return shared.ErrorValidation, fmt.Sprintf("WorkflowExecution %s is rolled back already", ref.Name)
	case other.Spec.ExecutionStrategy != nil && other.Spec.ExecutionStrategy.RollbackStrategy == shared.RollbackStrategyNone:
		return shared.ErrorValidation, fmt.Sprintf("the rollbackStrategy of WorkflowExecution %s is None: nothing is kept for undoing it", ref.Name)
	case !slices.ContainsFunc(status.Steps, MayBeUndone):
		return shared.ErrorValidation, fmt.Sprintf("WorkflowExecution %s has nothing to undo: no step of it has run, or all that ran are rolled back", ref.Name)
	}
	return "", ""
}

// MayBeUndone says whether a step of a finished workflow may have an effect that is still there.
func MayBeUndone(step workflowexecutionv1.StepStatus) bool {
	switch step.Phase {
	case workflowexecutionv1.StepCompleted, workflowexecutionv1.StepFailed, workflowexecutionv1.StepRunning, workflowexecutionv1.StepRollbackFailed:
		return step.Attempts > 0
	case workflowexecutionv1.StepPending, workflowexecutionv1.StepSkipped, workflowexecutionv1.StepRolledBack:
	}
	return false
}

// Backwards is an order in which the steps that are kept can be undone, each after all that came after it, and for each of the
// graph's steps those kept ones that must be undone directly before. A step that is not kept hands on what comes after it.
func (g *Graph) Backwards(kept func(step int) bool) (order []int, before [][]int) {
	before = make([][]int, len(g.order))
	for _, later := range slices.Backward(g.order) {
		hands := before[later]
		if kept(later) {
			order = append(order, later)
			hands = []int{later}
		}
		for _, earlier := range g.dependencies[later] {
			before[earlier] = append(before[earlier], hands...)
		}
	}
	for i := range before {
		slices.Sort(before[i])
		before[i] = slices.Compact(before[i])
	}
	return order, before
}
