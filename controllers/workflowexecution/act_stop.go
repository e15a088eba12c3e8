package workflowexecution

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// cancelExecution keeps an execution from making a write that has not begun.
func (r *Reconciler) cancelExecution(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, name string) error {
	execution := &kubernetesexecutionv1.KubernetesExecution{}
	execution.Namespace, execution.Name = workflow.Namespace, name
	err := r.Clients.Live.Patch(ctx, execution, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"cancel":true}}`)))
	if err = client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("cancelling execution %s: %w", name, err)
	}
	return nil
}

// keep puts the finalizer on a workflow, so that its deletion waits until its steps have ended.
func (r *Reconciler) keep(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) error {
	if deleting(workflow) || workflow.Status.Phase.Terminal() || controllerutil.ContainsFinalizer(workflow, shared.FinalizerWorkflowExecution) {
		return nil
	}
	before := workflow.DeepCopy()
	controllerutil.AddFinalizer(workflow, shared.FinalizerWorkflowExecution)
	return r.Clients.Cached.Patch(ctx, workflow, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// letGo takes the finalizer off a workflow that somebody has deleted, and tells of it.
func (r *Reconciler) letGo(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) machinery.Outcome {
	if err := r.unlock(ctx, workflow); err != nil {
		return machinery.Transient(err)
	}
	before := workflow.DeepCopy()
	controllerutil.RemoveFinalizer(workflow, shared.FinalizerWorkflowExecution)
	err := r.Clients.Cached.Patch(ctx, workflow, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	r.announceDeletion(before)
	return machinery.Done()
}
