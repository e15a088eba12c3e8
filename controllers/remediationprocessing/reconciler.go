package remediationprocessing

import (
	"context"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/policies/gate"
)

// The examinations come from the manager's cache; everything else is read live, once for each examination.
// +kubebuilder:rbac:groups=remediationprocessing.kubernaut.io,resources=remediationprocessings/status,verbs=update
// +kubebuilder:rbac:groups="",resources=namespaces;nodes,verbs=get
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list
// +kubebuilder:rbac:groups="",resources=events,verbs=list
// +kubebuilder:rbac:groups=apps,resources=replicasets,verbs=get;list
// +kubebuilder:rbac:groups=apps,resources=deployments;statefulsets;daemonsets,verbs=get
// +kubebuilder:rbac:groups=batch,resources=jobs;cronjobs,verbs=get
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=list
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=list
// +kubebuilder:rbac:groups=aianalysis.kubernaut.io,resources=aianalyses,verbs=get
// +kubebuilder:rbac:groups=workflowexecution.kubernaut.io,resources=workflowexecutions,verbs=get

// Classifier says where a target runs, how urgent its signal is and who it belongs to.
type Classifier interface {
	Classify(ctx context.Context, in *gate.ClassificationInput) (shared.Classification, error)
}

// Reconciler carries out examinations.
type Reconciler struct {
	// Clients are those of the remediationprocessing-controller.
	Clients machinery.Clients
	// Recorder records events, after the status write that they tell of.
	Recorder events.EventRecorder
	// Clock is the time.
	Clock clock.PassiveClock
	// Classifier classifies.
	Classifier Classifier
}

// SetupWithManager registers the controller. An examination is of one moment, so only its creation wakes it, and the loss of its request.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("remediationprocessing").
		WithOptions(options).
		For(&remediationprocessingv1.RemediationProcessing{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, machinery.OwnersChanged()))).
		Complete(r)
}

// Reconcile takes one examination to its end.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	return r.reconcile(ctx, request).Result(r.Clock.Now())
}

func (r *Reconciler) reconcile(ctx context.Context, request ctrl.Request) machinery.Outcome {
	var processing remediationprocessingv1.RemediationProcessing
	if err := r.Clients.Cached.Get(ctx, request.NamespacedName, &processing); err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	if !processing.DeletionTimestamp.IsZero() {
		return machinery.Done()
	}
	snapshot := Snapshot{processing: &processing}
	if !processing.Status.Phase.Terminal() && machinery.Orphaned(&processing, processing.Spec.RemediationRequestRef) == "" {
		snapshot = r.gather(ctx, &processing)
	}
	next := decide(snapshot, r.Clock.Now())
	if err := transitions().Check(processing.Status.Phase, next.status.Phase); err != nil {
		return machinery.Stalled(err)
	}
	after := processing.DeepCopy()
	after.Status = next.status
	written, err := machinery.Record(ctx, r.Clients.Cached, &processing, after)
	if err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	if written {
		r.announce(&processing, after)
	}
	return machinery.Transient(next.retry)
}
