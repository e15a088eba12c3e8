package kubernetesexecution

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// task is what an execution does: an action, or, when it undoes one, that of the execution which captured what is restored.
type task struct {
	action *shared.Action
	// origin is the execution that captured; nil when nothing is undone.
	origin *kubernetesexecutionv1.KubernetesExecution
}

func (t task) restoreRequest(dryRun bool) effects.RestoreRequest {
	return effects.RestoreRequest{Action: t.action, Captured: t.origin.Status.Inverse, Seen: t.origin.Status.DryRun, DryRun: dryRun}
}

// taskOf finds out what an execution does.
func (r *Reconciler) taskOf(ctx context.Context, execution *kubernetesexecutionv1.KubernetesExecution) (task, error) {
	if !undoes(execution) {
		return task{action: execution.Spec.Action}, nil
	}
	origin := &kubernetesexecutionv1.KubernetesExecution{}
	name := execution.Spec.RestoreFrom
	err := r.Clients.Live.Get(ctx, client.ObjectKey{Namespace: execution.Namespace, Name: name}, origin)
	if apierrors.IsNotFound(err) {
		return task{}, machinery.Typed(shared.ErrorResourceNotFound, fmt.Errorf("KubernetesExecution %s, which captured what would be restored, is gone: %w", name, err))
	}
	if err != nil {
		return task{}, fmt.Errorf("reading KubernetesExecution %s: %w", name, err)
	}
	undone, err := r.undone(ctx, execution, origin)
	if err != nil {
		return task{}, err
	}
	if err := restorable(execution, origin, undone); err != nil {
		return task{}, machinery.Typed(shared.ErrorValidation, err)
	}
	if !origin.Status.Phase.Terminal() {
		return task{}, fmt.Errorf("KubernetesExecution %s still runs", name)
	}
	return task{action: origin.Spec.Action, origin: origin}, nil
}

// undoes says whether an execution restores what another captured.
func undoes(execution *kubernetesexecutionv1.KubernetesExecution) bool {
	return execution.Spec.RestoreFrom != ""
}

// restorable checks that origin is the attempt that the execution undoes, and that it left something to undo. Undone is the other
// workflow that the execution's own undoes, if it does; which of its executions stands in the plan: isUndo has checked that.
func restorable(execution, origin *kubernetesexecutionv1.KubernetesExecution, undone *shared.ObjectReference) error {
	spec, from := &execution.Spec, &origin.Spec
	switch {
	case undone == nil && !sameWorkflow(execution, origin):
		return fmt.Errorf("spec.restoreFrom names %s, which does not belong to the same WorkflowExecution", origin.Name)
	case undone != nil && (from.WorkflowExecutionRef != *undone || owner(origin) != string(undone.UID)):
		return fmt.Errorf("spec.restoreFrom names %s, which does not belong to the WorkflowExecution that this one undoes, %s", origin.Name, undone.Name)
	case from.Purpose != kubernetesexecutionv1.PurposeExecute || from.Action == nil:
		return fmt.Errorf("spec.restoreFrom names %s, which does not execute a step", origin.Name)
	case undone == nil && (from.StepIndex != spec.StepIndex || from.Attempt != spec.Attempt || from.PlanDigest != spec.PlanDigest):
		return fmt.Errorf("spec.restoreFrom names %s, which is another step, attempt or plan", origin.Name)
	case !origin.Status.Phase.Terminal():
		return nil
	case !origin.Status.Inverse.Restores():
		return fmt.Errorf("KubernetesExecution %s captured nothing", origin.Name)
	case origin.Status.Changed != nil && !*origin.Status.Changed:
		return fmt.Errorf("KubernetesExecution %s changed nothing, so there is nothing to undo", origin.Name)
	case spec.ExpectedTarget == nil || spec.ExpectedTarget.UID != origin.Status.Inverse.UID:
		return errors.New("spec.expectedTarget is not the object that was captured")
	}
	return nil
}

func sameWorkflow(a, b *kubernetesexecutionv1.KubernetesExecution) bool {
	return a.Spec.WorkflowExecutionRef == b.Spec.WorkflowExecutionRef && owner(a) == owner(b) && owner(a) == string(a.Spec.WorkflowExecutionRef.UID)
}

// validateRestore finds out whether the step may be undone.
func (r *Reconciler) validateRestore(
	ctx context.Context, execution *kubernetesexecutionv1.KubernetesExecution, workflow *workflowexecutionv1.WorkflowExecution,
) *Validation {
	t, err := r.taskOf(ctx, execution)
	if err != nil {
		return &Validation{Err: err}
	}
	preparation, err := r.Effects.PrepareRestore(ctx, t.restoreRequest(true))
	if err != nil {
		return &Validation{Err: err}
	}
	return r.judge(ctx, preparation, JudgeRequest{
		Stage: safetyv1alpha1.StageRollback, Workflow: workflow, StepIndex: execution.Spec.StepIndex, Attempt: execution.Spec.Attempt,
		Expected: execution.Spec.ExpectedTarget, Preparation: preparation,
	})
}

// verifyRestored compares the target with what was captured.
func (r *Reconciler) verifyRestored(ctx context.Context, t task) *Verification {
	seen := &Verification{Err: r.Effects.Restored(ctx, t.restoreRequest(false))}
	seen.Done = seen.Err == nil
	return seen
}
