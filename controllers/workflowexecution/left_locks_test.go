package workflowexecution

import (
	"context"
	"errors"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

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
	live := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(), interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			if failures > 0 {
				failures--
				return errors.New("the API server is away")
			}
			return c.Delete(ctx, object, options...)
		},
	})
	r.Clients = machinery.Clients{Live: live, Cached: live}
	return r, ended
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

func TestASweepGivesBackTheLocksOfWhoIsOverOrGone(t *testing.T) {
	r, _ := lockingReconciler(t, 1)
	if err := r.sweep(t.Context()); err == nil {
		t.Error("a lock that could not be given back is no error")
	}
	if err := r.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := locksLeft(t, r); len(left) != 1 || left[0] != "runs" {
		t.Errorf("left are %v, want that of the workflow that runs", left)
	}
}

func TestALockThatCouldNotBeGivenBackIsTriedAgain(t *testing.T) {
	r, ended := lockingReconciler(t, 1)
	if err := r.unlock(t.Context(), ended); err == nil {
		t.Fatal("want an error")
	}
	s := snapshot{workflow: ended, locksLeft: r.left.by(ended)}
	if next := decide(s, r.Clock.Now()); !next.unlock {
		t.Fatal("it is not tried again")
	}
	if err := r.unlock(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	if r.left.by(ended) {
		t.Error("it is tried for ever")
	}
}
