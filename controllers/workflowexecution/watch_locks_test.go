package workflowexecution

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

const operatorNamespace = "kubernaut-system"

func lockHolder(name string, phase workflowexecutionv1.WorkflowPhase) *workflowexecutionv1.WorkflowExecution {
	w := &workflowexecutionv1.WorkflowExecution{}
	w.Namespace, w.Name, w.UID, w.Status.Phase = "shop", name, types.UID("uid-"+name), phase
	return w
}

// lockingReconciler has locks of a workflow that runs, of one that is over and of one that is gone. Deleting fails the first times.
func lockingReconciler(t *testing.T, failures int) (*Reconciler, *workflowexecutionv1.WorkflowExecution) {
	t.Helper()
	scheme := runtime.NewScheme()
	utilruntime.Must(coordinationv1.AddToScheme(scheme))
	utilruntime.Must(workflowexecutionv1.AddToScheme(scheme))
	runs := lockHolder("runs", workflowexecutionv1.PhaseExecuting)
	ended := lockHolder("over", workflowexecutionv1.PhaseFailed)
	gone := lockHolder("gone", workflowexecutionv1.PhaseExecuting)
	r := &Reconciler{Namespace: operatorNamespace, Clock: clocktesting.NewFakePassiveClock(time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC))}
	objects := []client.Object{runs, ended}
	for _, w := range []*workflowexecutionv1.WorkflowExecution{runs, ended, gone} {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: w.Name}}
		r.hold(lease, w)
		objects = append(objects, lease)
	}
	live := interceptor.NewClient(locking(scheme).WithObjects(objects...).Build(), interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			if failures > 0 {
				failures--
				return errors.New("the API server is away")
			}
			return c.Delete(ctx, object, options...)
		},
	})
	r.Clients, r.Cache = machinery.Clients{Live: live, Cached: live}, live
	return r, ended
}

// locking is a cluster that finds locks as the cache does.
func locking(scheme *runtime.Scheme) *fake.ClientBuilder {
	builder := fake.NewClientBuilder().WithScheme(scheme).WithIndex(&coordinationv1.Lease{}, indexHolder, lockHolders)
	if scheme.Recognizes(workflowexecutionv1.GroupVersion.WithKind("WorkflowExecution")) {
		builder = builder.WithIndex(&workflowexecutionv1.WorkflowExecution{}, indexUndoes, undoneUID)
	}
	return builder
}

func locksLeft(t *testing.T, r *Reconciler) []string {
	t.Helper()
	var leases coordinationv1.LeaseList
	if err := r.Clients.Live.List(t.Context(), &leases, client.InNamespace(operatorNamespace)); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, lease := range leases.Items {
		left = append(left, lease.Name)
	}
	return left
}

func key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "shop", Name: name}
}

func TestALockOfWhoIsOverOrGoneIsNoticed(t *testing.T) {
	r, _ := lockingReconciler(t, 0)
	for name, want := range map[string]bool{"runs": false, "over": true, "gone": true} {
		var queued []reconcile.Request
		queue := &controllertest.Queue{TypedInterface: workqueue.NewTyped[reconcile.Request]()}
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: name}}
		r.hold(lease, lockHolder(name, ""))
		r.lockChanges().Create(t.Context(), event.CreateEvent{Object: lease}, queue)
		for queue.Len() > 0 {
			request, _ := queue.Get()
			queued = append(queued, request)
		}
		if got := len(queued) == 1 && queued[0].NamespacedName == key(name); got != want || len(queued) > 1 {
			t.Errorf("of %s queued is %v, want it: %t", name, queued, want)
		}
	}
}

func TestLocksOfWhoIsGoneAreGivenBack(t *testing.T) {
	for name, test := range map[string]struct {
		uid  types.UID
		want []string
	}{
		"gone": {want: []string{"over", "runs"}},
		// The cache lags: it has not seen the workflow yet, which is there.
		"runs": {want: []string{"gone", "over", "runs"}},
		// Another workflow has the name now. It is asked live, and who is over is over.
		"over": {uid: "uid-of-another", want: []string{"gone", "runs"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := lockingReconciler(t, 1)
			if err := r.clear(t.Context(), key(name), test.uid); len(test.want) < 3 && err == nil {
				t.Error("a lock that could not be given back is no error")
			}
			if err := r.clear(t.Context(), key(name), test.uid); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, locksLeft(t, r)); diff != "" {
				t.Errorf("locks left (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALockThatCouldNotBeGivenBackIsTriedAgain(t *testing.T) {
	r, ended := lockingReconciler(t, 1)
	if err := r.unlock(t.Context(), ended); err == nil {
		t.Fatal("want an error")
	}
	s, err := r.gather(t.Context(), ended)
	if err != nil {
		t.Fatal(err)
	}
	if next := decide(s, r.Clock.Now()); !next.unlock {
		t.Fatal("it is not tried again")
	}
	if err := r.unlock(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	if s, err = r.gather(t.Context(), ended); err != nil || s.locksLeft {
		t.Errorf("it is tried for ever: %v", err)
	}
}

func TestTheLockThatIsAwaitedIsStillHeld(t *testing.T) {
	r, _ := lockingReconciler(t, 0)
	for lease, want := range map[string]bool{"": false, "runs": true, "over": false, "gone": false, "nothing": false} {
		w := lockHolder("waits", workflowexecutionv1.PhaseValidating)
		w.Status.AwaitedLock = lease
		if got := r.stillLocked(t.Context(), w); got != want {
			t.Errorf("lock %q is still held: %t", lease, got)
		}
	}
	own := lockHolder("runs", workflowexecutionv1.PhaseValidating)
	own.Status.AwaitedLock = "runs"
	if r.stillLocked(t.Context(), own) {
		t.Error("who holds the lock waits for it")
	}
}

func TestOfALockTheCacheHasOnlyWhoHoldsIt(t *testing.T) {
	r, ended := lockingReconciler(t, 0)
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "x", UID: "u", ResourceVersion: "7", Annotations: map[string]string{"a": "b"}}}
	r.hold(lease, ended)
	got, err := onlyHolder(lease)
	want := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "x", UID: "u", ResourceVersion: "7"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("shop/over/uid-over")},
	}
	if diff := cmp.Diff(any(want), got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if by, known := holderIn(want); !known || by != (lockHolding{NamespacedName: key("over"), uid: "uid-over"}) {
		t.Errorf("it is held by %v", by)
	}
	if _, known := parseHolder("somebody"); known {
		t.Error("nobody knows whose that is")
	}
}
