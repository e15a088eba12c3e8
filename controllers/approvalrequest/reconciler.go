package approvalrequest

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// The roles are those of the workflowexecution-controller: see controllers/workflowexecution.

const (
	actionDecide = "Decide"
	longestNote  = 1024
)

// Reconciler derives the status of ApprovalRequests.
type Reconciler struct {
	// Clients are those of the workflowexecution-controller.
	Clients machinery.Clients
	// Recorder records events, after the status write that they tell of.
	Recorder events.EventRecorder
	// Clock is the time.
	Clock clock.PassiveClock
}

// SetupWithManager registers the controller: decisions wake it, the request's end, and what its workflow asks for.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("approvalrequest").
		WithOptions(options).
		For(&safetyv1alpha1.ApprovalRequest{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&workflowexecutionv1.WorkflowExecution{}, handler.EnqueueRequestsFromMapFunc(requestsOf), builder.WithPredicates(asksOtherwise())).
		Complete(r)
}

// requestsOf are all that a workflow has made.
func requestsOf(_ context.Context, object client.Object) []reconcile.Request {
	workflow, ok := object.(*workflowexecutionv1.WorkflowExecution)
	if !ok {
		return nil
	}
	requests := make([]reconcile.Request, workflow.Status.ApprovalRequests)
	for i := range requests {
		requests[i].Namespace = workflow.Namespace
		requests[i].Name = shared.ApprovalName(workflow.Name, int32(i+1))
	}
	return requests
}

// asksOtherwise lets pass what may make requests void: another one is asked for, or none any more.
func asksOtherwise() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, was := e.ObjectOld.(*workflowexecutionv1.WorkflowExecution)
			after, is := e.ObjectNew.(*workflowexecutionv1.WorkflowExecution)
			return was && is && (before.Status.ApprovalRequestRef != after.Status.ApprovalRequestRef ||
				before.Status.Phase.Terminal() != after.Status.Phase.Terminal())
		},
	}
}

// Reconcile derives the status of one request.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	return r.reconcile(ctx, request.NamespacedName).Result(r.Clock.Now())
}

func (r *Reconciler) reconcile(ctx context.Context, key client.ObjectKey) machinery.Outcome {
	var request safetyv1alpha1.ApprovalRequest
	if err := r.Clients.Cached.Get(ctx, key, &request); err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	if !request.DeletionTimestamp.IsZero() || request.Status.Phase.Terminal() {
		return machinery.Done()
	}
	s, err := r.gather(ctx, &request)
	if err != nil {
		return machinery.Transient(err)
	}
	after := request.DeepCopy()
	status, wakeAt := decide(s, r.Clock.Now())
	after.Status = status
	if err := transitions().Check(request.Status.Phase, after.Status.Phase); err != nil {
		return machinery.Stalled(err)
	}
	written, err := machinery.Record(ctx, r.Clients.Cached, &request, after)
	if err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	if written && request.Status.Phase != after.Status.Phase {
		count(after, r.Clock.Now())
		r.announce(after)
	}
	return machinery.Waiting(wakeAt)
}

// gather reads the workflow: live before the request is given up, because a cache may not know yet what the workflow asks for.
func (r *Reconciler) gather(ctx context.Context, request *safetyv1alpha1.ApprovalRequest) (snapshot, error) {
	s := snapshot{request: request}
	for _, reader := range []client.Reader{r.Clients.Cached, r.Clients.Live} {
		var workflow workflowexecutionv1.WorkflowExecution
		err := reader.Get(ctx, client.ObjectKey{Namespace: request.Namespace, Name: request.Spec.WorkflowExecutionRef.Name}, &workflow)
		if client.IgnoreNotFound(err) != nil {
			return s, fmt.Errorf("reading WorkflowExecution %s: %w", request.Spec.WorkflowExecutionRef.Name, err)
		}
		s.workflow = nil
		if !apierrors.IsNotFound(err) && machinery.OwnedBy(request, &workflow) && workflow.UID == request.Spec.WorkflowExecutionRef.UID {
			s.workflow = &workflow
		}
		if void(s) == "" {
			break
		}
	}
	return s, nil
}

// announce tells how a request ended.
func (r *Reconciler) announce(request *safetyv1alpha1.ApprovalRequest) {
	if !request.Status.Phase.Decided() {
		return
	}
	kind := corev1.EventTypeNormal
	if request.Status.Phase != safetyv1alpha1.PhaseApproved {
		kind = corev1.EventTypeWarning
	}
	if ready := meta.FindStatusCondition(request.Status.Conditions, shared.ConditionReady); ready != nil {
		r.Recorder.Eventf(request, nil, kind, ready.Reason, actionDecide, "%s", machinery.Cut(ready.Message, longestNote))
	}
}
