package workflowexecution

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// indexAsked finds the workflows that wait for people to approve a change of an object.
const indexAsked = "status.plan.targets.asked"

// watchApprovals wakes the workflows that wait for an approval when what they would change changes: what people are shown must be
// what would be done.
func (r *Reconciler) watchApprovals(mgr ctrl.Manager, build *builder.Builder) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &workflowexecutionv1.WorkflowExecution{}, indexAsked, askedTargets)
	if err != nil {
		return fmt.Errorf("index of workflows that wait for an approval: %w", err)
	}
	for kind, object := range map[string]client.Object{
		"Deployment": &appsv1.Deployment{}, "StatefulSet": &appsv1.StatefulSet{}, "DaemonSet": &appsv1.DaemonSet{},
	} {
		build.Watches(object, r.askedAbout(kind))
	}
	return nil
}

func askedTargets(object client.Object) []string {
	workflow, ok := object.(*workflowexecutionv1.WorkflowExecution)
	if !ok || !awaitsApproval(workflow) || workflow.Status.Plan == nil {
		return nil
	}
	keys := make([]string, 0, len(workflow.Status.Plan.Targets))
	for _, target := range workflow.Status.Plan.Targets {
		keys = append(keys, target.Key())
	}
	return keys
}

// askedAbout wakes by changes of specs only: a workload in trouble gets status writes all the time.
func (r *Reconciler) askedAbout(kind string) handler.EventHandler {
	wake := func(ctx context.Context, object client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		target := shared.Target{
			APIVersion: appsv1.SchemeGroupVersion.String(), Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName(),
		}
		var workflows workflowexecutionv1.WorkflowExecutionList
		if err := r.Cache.List(ctx, &workflows, client.MatchingFields{indexAsked: target.Key()}, client.UnsafeDisableDeepCopy); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "listing the workflows that wait for an approval", "target", target.String())
			return
		}
		for i := range workflows.Items {
			queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&workflows.Items[i])})
		}
	}
	return handler.Funcs{
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() {
				wake(ctx, e.ObjectNew, queue)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			wake(ctx, e.Object, queue)
		},
	}
}
