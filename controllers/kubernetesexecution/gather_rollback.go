package kubernetesexecution

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

func sameAction(a, b *shared.Action) bool {
	return a != nil && b != nil && equality.Semantic.DeepEqual(*a, *b)
}

// rollsBackByAction says that an execution runs the rollbackAction of its workflow's step. In a workflow that undoes another one
// such an action is the step itself.
func rollsBackByAction(execution *kubernetesexecutionv1.KubernetesExecution, workflow *workflowexecutionv1.WorkflowExecution) bool {
	return execution.Spec.Purpose == kubernetesexecutionv1.PurposeRollBack && execution.Spec.RestoreFrom == "" && workflow.Spec.RollbackOf == nil
}

// isUndo checks that what is to be done is what the plan of a workflow that undoes another one says.
func isUndo(spec *kubernetesexecutionv1.KubernetesExecutionSpec, workflow *workflowexecutionv1.WorkflowExecution) error {
	step := &workflow.Status.Plan.Undo.Steps[spec.StepIndex]
	switch {
	case spec.Purpose != kubernetesexecutionv1.PurposeRollBack:
		return fmt.Errorf("spec.purpose is %s, but its workflow undoes another one", spec.Purpose)
	case spec.RestoreFrom != step.RestoreFrom:
		return fmt.Errorf("spec.restoreFrom is not that of step %d (%s) of its workflow's plan, %q", spec.StepIndex, step.Name, step.RestoreFrom)
	case spec.RestoreFrom == "" && !sameAction(spec.Action, &step.Action):
		return fmt.Errorf("spec.action is not that of step %d (%s) of its workflow's plan", spec.StepIndex, step.Name)
	}
	return stillRuns(spec, workflow)
}

// undone is the workflow that the workflow of an execution undoes, for one that restores what another workflow's captured.
func (r *Reconciler) undone(ctx context.Context, execution, origin *kubernetesexecutionv1.KubernetesExecution) (*shared.ObjectReference, error) {
	if execution.Spec.WorkflowExecutionRef == origin.Spec.WorkflowExecutionRef {
		return nil, nil //nolint:nilnil // nil is the answer: it undoes a step of its own workflow
	}
	workflow, err := r.workflowOf(ctx, execution)
	if err != nil {
		return nil, err
	}
	return workflow.Spec.RollbackOf, nil
}
