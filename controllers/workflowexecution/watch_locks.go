package workflowexecution

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// Locks are given back after the end of a workflow is recorded. The cache has all locks, by their holder: a manager that could not
// give one back, or crashed before, finds it there, at the end of the workflow or as the first thing when it starts. Whether a lock
// may be taken, and from whom, is never decided by the cache.

const (
	// indexHolder finds locks by the namespace and name of the workflow that holds them.
	indexHolder = "spec.holderIdentity"
	// indexAwaited finds the workflows that wait for a lock, by its name.
	indexAwaited = "status.awaitedLock"
)

// CachedLocks has a cache hold the Leases in the operator's namespace, and of them only who holds them. One that somebody made by hand
// is a lock by its name, whatever its labels say.
func CachedLocks(namespace string) map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{&coordinationv1.Lease{}: {
		Namespaces: map[string]cache.Config{namespace: {}},
		Transform:  onlyHolder,
	}}
}

func onlyHolder(object any) (any, error) {
	lease, is := object.(*coordinationv1.Lease)
	if !is {
		return object, nil
	}
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: lease.Namespace, Name: lease.Name, UID: lease.UID, ResourceVersion: lease.ResourceVersion},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: lease.Spec.HolderIdentity},
	}, nil
}

// lockHolding is who holds a lock.
type lockHolding struct {
	types.NamespacedName
	uid types.UID
}

// holder names a workflow on a lock.
func holder(workflow *workflowexecutionv1.WorkflowExecution) string {
	return workflow.Namespace + "/" + workflow.Name + "/" + string(workflow.UID)
}

// parseHolder is the workflow that a lock names; a lock of somebody else names none.
func parseHolder(identity string) (lockHolding, bool) {
	parts := strings.Split(identity, "/")
	if len(parts) != 3 {
		return lockHolding{}, false
	}
	return lockHolding{NamespacedName: types.NamespacedName{Namespace: parts[0], Name: parts[1]}, uid: types.UID(parts[2])}, true
}

func holderIn(object client.Object) (lockHolding, bool) { return parseHolder(identityIn(object)) }

func identityIn(object client.Object) string {
	if lease, is := object.(*coordinationv1.Lease); is && lease.Spec.HolderIdentity != nil {
		return *lease.Spec.HolderIdentity
	}
	return ""
}

func lockHolders(object client.Object) []string {
	if by, known := holderIn(object); known {
		return []string{by.String()}
	}
	return nil
}

func awaitedLocks(object client.Object) []string {
	workflow, is := object.(*workflowexecutionv1.WorkflowExecution)
	if !is || workflow.Status.AwaitedLock == "" {
		return nil
	}
	return []string{workflow.Status.AwaitedLock}
}

// indexLocks has the cache find locks by their holder, and workflows by the lock that they wait for.
func indexLocks(indexer client.FieldIndexer) error {
	if err := indexer.IndexField(context.Background(), &coordinationv1.Lease{}, indexHolder, lockHolders); err != nil {
		return fmt.Errorf("index of locks by holder: %w", err)
	}
	if err := indexer.IndexField(context.Background(), &workflowexecutionv1.WorkflowExecution{}, indexAwaited, awaitedLocks); err != nil {
		return fmt.Errorf("index of workflows by the lock that they wait for: %w", err)
	}
	return nil
}

// lockChanges wakes the workflows that wait for a lock which is given back or gets another holder, and the one whose lock is found
// although it is over or gone.
func (r *Reconciler) lockChanges() handler.EventHandler {
	found := func(ctx context.Context, object client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if by, known := holderIn(object); known && r.left(ctx, by) {
			queue.Add(reconcile.Request{NamespacedName: by.NamespacedName})
		}
	}
	freed := func(ctx context.Context, object client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		for _, request := range r.listed(ctx, client.MatchingFields{indexAwaited: object.GetName()}) {
			queue.Add(request)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			found(ctx, e.Object, queue)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			found(ctx, e.ObjectNew, queue)
			if identityIn(e.ObjectOld) != identityIn(e.ObjectNew) {
				freed(ctx, e.ObjectNew, queue)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			freed(ctx, e.Object, queue)
		},
	}
}

// left says that a workflow seems to need its locks no more.
func (r *Reconciler) left(ctx context.Context, by lockHolding) bool {
	var workflow workflowexecutionv1.WorkflowExecution
	err := r.Cache.Get(ctx, by.NamespacedName, &workflow, client.UnsafeDisableDeepCopy)
	return err != nil || workflow.UID != by.uid || workflow.Status.Phase.Terminal()
}

// cachedLocks are the locks of all workflows that have or had this name, as the cache has them.
func (r *Reconciler) cachedLocks(ctx context.Context, key types.NamespacedName) ([]coordinationv1.Lease, error) {
	var leases coordinationv1.LeaseList
	err := r.Cache.List(ctx, &leases, client.InNamespace(r.Namespace), client.MatchingFields{indexHolder: key.String()}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("locks of workflow %s: %w", key, err)
	}
	return leases.Items, nil
}

// locksLeft says that a workflow holds locks, as far as the cache knows.
func (r *Reconciler) locksLeft(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) (bool, error) {
	leases, err := r.cachedLocks(ctx, client.ObjectKeyFromObject(workflow))
	for i := range leases {
		if by, _ := holderIn(&leases[i]); by.uid == workflow.UID {
			return true, err
		}
	}
	return false, err
}

// clear gives back the locks of workflows that had this name and are gone; uid is that of the one which has it now. That they are gone
// is asked live.
func (r *Reconciler) clear(ctx context.Context, key types.NamespacedName, uid types.UID) error {
	leases, err := r.cachedLocks(ctx, key)
	problems := []error{err}
	for i := range leases {
		if by, _ := holderIn(&leases[i]); by.uid == uid {
			continue
		}
		active, err := r.active(ctx, *leases[i].Spec.HolderIdentity)
		if err == nil && active == "" {
			err = r.release(ctx, &leases[i])
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// unlock gives back every lock of a workflow that is over. One that somebody has taken over is theirs. A lock that the cache does not
// have yet is found when it has.
func (r *Reconciler) unlock(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) error {
	leases, err := r.cachedLocks(ctx, client.ObjectKeyFromObject(workflow))
	if err != nil {
		return err
	}
	return r.releaseThese(ctx, slices.DeleteFunc(slices.Clone(leases), func(lease coordinationv1.Lease) bool {
		by, _ := holderIn(&lease)
		return by.uid != workflow.UID
	}))
}

// release gives back one lock, unless somebody has taken it over since it was read.
func (r *Reconciler) release(ctx context.Context, lease *coordinationv1.Lease) error {
	err := r.Clients.Live.Delete(ctx, lease, client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("giving back lock %s: %w", lease.Name, err)
	}
	return nil
}

// stillLocked says that the lock which a workflow waits for is held as it was: judging the steps again would lead to nothing. A cache
// that lags has the change of the lock follow, and that wakes the workflow.
func (r *Reconciler) stillLocked(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) bool {
	if workflow.Status.AwaitedLock == "" {
		return false
	}
	var lease coordinationv1.Lease
	key := client.ObjectKey{Namespace: r.Namespace, Name: workflow.Status.AwaitedLock}
	if err := r.Cache.Get(ctx, key, &lease); err != nil {
		return false
	}
	by, known := holderIn(&lease)
	return !known || by.uid != workflow.UID && !r.left(ctx, by)
}

// listed are the workflows of the cache with a field.
func (r *Reconciler) listed(ctx context.Context, field client.MatchingFields) []reconcile.Request {
	var workflows workflowexecutionv1.WorkflowExecutionList
	if err := r.Cache.List(ctx, &workflows, field, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing workflows", "by", field)
		return nil
	}
	requests := make([]reconcile.Request, len(workflows.Items))
	for i := range workflows.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&workflows.Items[i])
	}
	return requests
}
