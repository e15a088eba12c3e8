package playbook

import (
	"context"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// Playbooks are read from the manager's cache.
// +kubebuilder:rbac:groups=catalog.kubernaut.io,resources=playbooks/status,verbs=update

// Reconciler checks playbooks.
type Reconciler struct {
	// Clients are those of the playbook-controller.
	Clients machinery.Clients
	// Recorder records events, after the status write that they tell of.
	Recorder events.EventRecorder
	// Clock is the time.
	Clock clock.PassiveClock
}

// SetupWithManager registers the controller: only a change of the spec wakes it.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("playbook").
		WithOptions(options).
		For(&catalogv1alpha1.Playbook{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

// Reconcile checks one playbook.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	return r.reconcile(ctx, request).Result(r.Clock.Now())
}

func (r *Reconciler) reconcile(ctx context.Context, request ctrl.Request) machinery.Outcome {
	var playbook catalogv1alpha1.Playbook
	if err := r.Clients.Cached.Get(ctx, request.NamespacedName, &playbook); err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	if !playbook.DeletionTimestamp.IsZero() {
		return machinery.Done()
	}
	after := playbook.DeepCopy()
	after.Status = decide(gather(&playbook), r.Clock.Now())
	written, err := machinery.Record(ctx, r.Clients.Cached, &playbook, after)
	if err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	if written {
		r.announce(&playbook, after)
	}
	return machinery.Done()
}
