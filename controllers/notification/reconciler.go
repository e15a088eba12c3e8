package notification

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// EventNotificationFailed tells that people were not told of a request: it is tried again, or, in the end, not any more.
const EventNotificationFailed = "NotificationFailed"

const (
	actionNotify = "Notify"
	// workers is how many notifications are delivered at once.
	workers = 2
	// backoffFirst and backoffLast bound how long is waited after a failed attempt.
	backoffFirst = 2 * time.Second
	backoffLast  = 5 * time.Minute
)

// Sender delivers a notification once.
type Sender interface {
	Send(ctx context.Context, id types.UID, message Message) *DeliveryError
}

// Reconciler delivers what the orchestrator has recorded as to be told. It acts as the orchestrator, and writes nothing but condition
// Notified of a request that has ended. Its queue holds each request once, and no more than the API does.
type Reconciler struct {
	// Clients are those of the remediationrequest-controller.
	Clients machinery.Clients
	// Sink takes the notifications.
	Sink Sender
	// Recorder records events, after the status write that they tell of.
	Recorder events.EventRecorder
	// Clock is the time.
	Clock clock.PassiveClock

	// taken remembers what the sink has taken and the cache does not show yet, so that it is told once as long as this process lives.
	taken sync.Map
}

// SetupWithManager registers the controller. It sees every request when it starts.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	options.MaxConcurrentReconciles = workers
	options.RateLimiter = workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](backoffFirst, backoffLast)
	return ctrl.NewControllerManagedBy(mgr).
		Named("notification").
		WithOptions(options).
		For(&remediationv1.RemediationRequest{}, builder.WithPredicates(becomesDue())).
		Complete(r)
}

// becomesDue lets pass requests of which people are to be told from now on. What is written of an attempt that failed is no news: the
// queue knows when the next one is.
func becomesDue() predicate.Funcs {
	due := func(object client.Object) bool {
		request, is := object.(*remediationv1.RemediationRequest)
		return is && isDue(request)
	}
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return due(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return due(e.ObjectNew) && !due(e.ObjectOld) },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}

// Reconcile tries once to tell of one request.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	return r.reconcile(ctx, request).Result(r.Clock.Now())
}

func (r *Reconciler) reconcile(ctx context.Context, key ctrl.Request) machinery.Outcome {
	var request remediationv1.RemediationRequest
	if err := r.Clients.Cached.Get(ctx, key.NamespacedName, &request); err != nil {
		r.taken.Delete(key.NamespacedName)
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	if !isDue(&request) {
		r.taken.Delete(key.NamespacedName)
		return machinery.Done()
	}
	failed := r.deliver(ctx, &request)
	status := delivered(&request, r.Clock.Now())
	if failed != nil {
		status = refused(&request, r.Clock.Now(), failed.Why)
	}
	if err := r.record(ctx, &request, status); err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	switch reason, _ := reasonOf(&status); {
	case reason != remediationv1.ReasonDeliveryFails:
		return machinery.Done()
	case failed.RetryAfter > 0:
		return machinery.Waiting(r.Clock.Now().Add(failed.RetryAfter))
	default:
		return machinery.Transient(failed)
	}
}

// deliver sends, unless this process knows that the sink has taken it.
func (r *Reconciler) deliver(ctx context.Context, request *remediationv1.RemediationRequest) *DeliveryError {
	key := client.ObjectKeyFromObject(request)
	if uid, known := r.taken.Load(key); known && uid == request.UID {
		return nil
	}
	failed := r.Sink.Send(ctx, request.UID, messageOf(request))
	if failed == nil {
		r.taken.Store(key, request.UID)
		attempts.WithLabelValues(resultDelivered).Inc()
		return nil
	}
	attempts.WithLabelValues(resultFailed).Inc()
	return failed
}

// record writes the status, and tells of a failure: of the first, and of the last.
func (r *Reconciler) record(ctx context.Context, request *remediationv1.RemediationRequest, status remediationv1.RemediationRequestStatus) error {
	after := request.DeepCopy()
	after.Status = status
	written, err := machinery.Record(ctx, r.Clients.Cached, request, after)
	if err != nil || !written {
		return err
	}
	before, _ := reasonOf(&request.Status)
	reason, message := reasonOf(&after.Status)
	if reason == remediationv1.ReasonDeliveryGivenUp {
		attempts.WithLabelValues(resultGivenUp).Inc()
	}
	if reason != before && reason != remediationv1.ReasonDelivered {
		r.Recorder.Eventf(after, nil, corev1.EventTypeWarning, EventNotificationFailed, actionNotify, "%s", message)
	}
	return nil
}
