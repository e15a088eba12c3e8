package remediationrequest

import (
	"context"

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

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// What is cached is read by the manager. Live are read: the other requests, for duplicates, and a child that the cache does not
// have. The right on finalizers lets children block the deletion of their owner; the right to update workflows is for spec.cancel,
// and only the workflow that the request owns is ever updated.
// +kubebuilder:rbac:groups=remediation.kubernaut.io,resources=remediationrequests,verbs=list;delete
// +kubebuilder:rbac:groups=remediation.kubernaut.io,resources=remediationrequests/status,verbs=update
// +kubebuilder:rbac:groups=remediation.kubernaut.io,resources=remediationrequests/finalizers,verbs=update
// +kubebuilder:rbac:groups=remediationprocessing.kubernaut.io,resources=remediationprocessings,verbs=get;create
// +kubebuilder:rbac:groups=aianalysis.kubernaut.io,resources=aianalyses,verbs=get;create
// +kubebuilder:rbac:groups=workflowexecution.kubernaut.io,resources=workflowexecutions,verbs=get;create;update

// Reconciler carries out requests.
type Reconciler struct {
	// Clients are those of the remediationrequest-controller.
	Clients machinery.Clients
	// Recorder records events, after the status write that they tell of.
	Recorder events.EventRecorder
	// Clock is the time.
	Clock clock.PassiveClock
	// Notifies says that a notification sink is configured: what it is to be told of is recorded, and kept until it was told.
	Notifies bool
}

// SetupWithManager registers the controller. A request wakes it when it is made or changed by someone else; a child when it
// has something to say that a decision rests on, is gone, or has another owner.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	processingEnded := ends(func(p *remediationprocessingv1.RemediationProcessing) bool { return p.Status.Phase.Terminal() })
	analysisEnded := ends(func(a *aianalysisv1.AIAnalysis) bool { return a.Status.Phase.Terminal() })
	return ctrl.NewControllerManagedBy(mgr).
		Named("remediationrequest").
		WithOptions(options).
		For(&remediationv1.RemediationRequest{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, notificationEnds()))).
		Watches(&remediationprocessingv1.RemediationProcessing{}, handler.EnqueueRequestsFromMapFunc(namedRequest), builder.WithPredicates(predicate.Or(processingEnded, machinery.OwnersChanged()))).
		Watches(&aianalysisv1.AIAnalysis{}, handler.EnqueueRequestsFromMapFunc(namedRequest), builder.WithPredicates(predicate.Or(analysisEnded, machinery.OwnersChanged()))).
		Watches(&workflowexecutionv1.WorkflowExecution{}, handler.EnqueueRequestsFromMapFunc(namedRequest), builder.WithPredicates(predicate.Or(workflowMoves(), machinery.OwnersChanged()))).
		Complete(r)
}

// namedRequest is the request that a child names.
func namedRequest(_ context.Context, child client.Object) []reconcile.Request {
	request := requestOf(child)
	if request.Name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: child.GetNamespace(), Name: request.Name}}}
}

// notificationEnds lets pass that people were told, or that this was given up.
func notificationEnds() predicate.Predicate {
	awaits := func(object client.Object) bool {
		request, is := object.(*remediationv1.RemediationRequest)
		return is && remediationv1.AwaitsNotification(request)
	}
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool { return awaits(e.ObjectOld) && !awaits(e.ObjectNew) },
	}
}

// ends lets pass what tells that a child has ended or is gone. Its creation is no news: its owner made it.
func ends[T client.Object](terminal func(T) bool) predicate.Funcs {
	ended := func(object client.Object) bool {
		child, ok := object.(T)
		return ok && terminal(child)
	}
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return ended(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return ended(e.ObjectNew) && !ended(e.ObjectOld) },
	}
}

// workflowMoves lets pass what tells that a workflow exists, has ended, or has begun or ceased to wait for people.
func workflowMoves() predicate.Funcs {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*workflowexecutionv1.WorkflowExecution)
			after, same := e.ObjectNew.(*workflowexecutionv1.WorkflowExecution)
			return ok && same && (before.Status.Phase.Terminal() != after.Status.Phase.Terminal() ||
				!before.Status.WaitingSince.Equal(after.Status.WaitingSince) ||
				before.Status.WaitedSeconds != after.Status.WaitedSeconds)
		},
	}
}

// Reconcile takes one request one step further.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	return r.reconcile(ctx, request).Result(r.Clock.Now())
}

func (r *Reconciler) reconcile(ctx context.Context, key ctrl.Request) machinery.Outcome {
	var request remediationv1.RemediationRequest
	if err := r.Clients.Cached.Get(ctx, key.NamespacedName, &request); err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	if !request.DeletionTimestamp.IsZero() {
		return machinery.Done()
	}
	snapshot := r.gather(ctx, &request)
	next := decide(snapshot, r.Clock.Now())
	written, err := r.record(ctx, &request, next)
	if err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	err = r.act(ctx, &request, next)
	switch {
	case err == nil && next.retry == nil:
		return machinery.Waiting(next.wakeAt)
	case err == nil:
		return machinery.Transient(next.retry)
	case !isRefusal(err) || written || next.remove:
		// After a write the refusal is for the next reconcile, which comes here again without one: one write for each.
		return machinery.Transient(err)
	}
	snapshot.refusal = err
	_, err = r.record(ctx, &request, decide(snapshot, r.Clock.Now()))
	return machinery.Transient(client.IgnoreNotFound(err))
}

// record writes the status, and tells of it. A phase that may not follow is a mistake of decide: trying again does not help.
func (r *Reconciler) record(ctx context.Context, request *remediationv1.RemediationRequest, next decision) (bool, error) {
	if err := transitions().Check(request.Status.OverallPhase, next.status.OverallPhase); err != nil {
		return false, reconcile.TerminalError(err)
	}
	after := request.DeepCopy()
	after.Status = next.status
	written, err := machinery.Record(ctx, r.Clients.Cached, request, after)
	if written {
		r.announce(request.Status.OverallPhase, after)
		if next.verdict != nil {
			next.verdict.count()
		}
	}
	return written, err
}
