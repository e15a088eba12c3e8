package kubernetesexecution

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	ctrl "sigs.k8s.io/controller-runtime"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// leaves says that an execution has ended that somebody has deleted.
func leaves(execution *kubernetesexecutionv1.KubernetesExecution) bool {
	return execution.DeletionTimestamp != nil && execution.Status.Phase.Terminal() &&
		controllerutil.ContainsFinalizer(execution, shared.FinalizerKubernetesExecution)
}

// release takes the finalizer off an execution, unless its workflow may still have to undo it. The end of the workflow wakes it.
func (r *Reconciler) release(ctx context.Context, execution *kubernetesexecutionv1.KubernetesExecution) error {
	ref := execution.Spec.WorkflowExecutionRef
	workflow := &workflowexecutionv1.WorkflowExecution{}
	err := r.Clients.Live.Get(ctx, client.ObjectKey{Namespace: execution.Namespace, Name: ref.Name}, workflow)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("reading WorkflowExecution %s: %w", ref.Name, err)
	case workflow.UID == ref.UID && !workflow.Status.Phase.Terminal():
		return nil
	}
	before := execution.DeepCopy()
	controllerutil.RemoveFinalizer(execution, shared.FinalizerKubernetesExecution)
	return r.Clients.Live.Patch(ctx, execution, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// leavingExecutions wakes the deleted executions of a workflow that has ended or gone.
func (r *Reconciler) leavingExecutions() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		workflow, ok := object.(*workflowexecutionv1.WorkflowExecution)
		if !ok || !workflow.Status.Phase.Terminal() && workflow.DeletionTimestamp.IsZero() {
			return nil
		}
		var executions kubernetesexecutionv1.KubernetesExecutionList
		labels := client.MatchingLabels{shared.LabelWorkflowExecution: shared.Bounded(workflow.Name)}
		if err := r.Clients.Cached.List(ctx, &executions, client.InNamespace(workflow.Namespace), labels, client.UnsafeDisableDeepCopy); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "listing the executions of a workflow that has ended", "workflow", workflow.Name)
			return nil
		}
		var requests []reconcile.Request
		for i := range executions.Items {
			if leaves(&executions.Items[i]) {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&executions.Items[i])})
			}
		}
		return requests
	})
}
