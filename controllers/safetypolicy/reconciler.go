package safetypolicy

import (
	"context"
	"time"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/policies/gate"
)

// Policies are read from the manager's cache.
// +kubebuilder:rbac:groups=safety.kubernaut.io,resources=safetypolicies/status,verbs=update

// loadingTime is how long a policy waits to be looked at again when it is not loaded yet and no new set tells of it.
const loadingTime = time.Second

// Reconciler reports what became of policies. It does not load them; Loader does.
type Reconciler struct {
	// Clients are those of the safetypolicy-controller.
	Clients machinery.Clients
	// Gate has the policies, and runs their tests.
	Gate *gate.Gate
	// Recorder records events, after the status write that they tell of.
	Recorder events.EventRecorder
	// Clock is the time.
	Clock clock.PassiveClock
}

// SetupWithManager registers the controller: a change of a spec wakes it, and a new set wakes it for every policy.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("safetypolicy").
		WithOptions(options).
		For(&safetyv1alpha1.SafetyPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(Changes(r.Gate, r.all)).
		Complete(r)
}

func (r *Reconciler) all(ctx context.Context) ([]reconcile.Request, error) {
	var list safetyv1alpha1.SafetyPolicyList
	if err := r.Clients.Cached.List(ctx, &list); err != nil {
		return nil, err
	}
	requests := make([]reconcile.Request, len(list.Items))
	for i := range list.Items {
		requests[i].Name = list.Items[i].Name
	}
	return requests, nil
}

// Reconcile reports on one policy.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	return r.reconcile(ctx, request).Result(r.Clock.Now())
}

func (r *Reconciler) reconcile(ctx context.Context, request ctrl.Request) machinery.Outcome {
	var policy safetyv1alpha1.SafetyPolicy
	if err := r.Clients.Cached.Get(ctx, request.NamespacedName, &policy); err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	if !policy.DeletionTimestamp.IsZero() {
		return machinery.Done()
	}
	snapshot := r.gather(ctx, &policy)
	after := policy.DeepCopy()
	after.Status = decide(snapshot, r.Clock.Now())
	written, err := machinery.Record(ctx, r.Clients.Cached, &policy, after)
	if err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	if written {
		r.announce(&policy, after)
	}
	switch {
	case snapshot.testError != nil:
		return machinery.Transient(snapshot.testError)
	case isLoading(after.Status):
		return machinery.Waiting(r.Clock.Now().Add(loadingTime))
	default:
		return machinery.Done()
	}
}
