package workflowexecution

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// Locks are given back after the end of a workflow is recorded. What keeps that from happening is cured twice: a manager that could
// not give them back tries again, and one that starts gives back what another one left when it crashed.

// leftLocks are the workflows that may hold locks; those that are over must not. The zero value is none.
type leftLocks struct {
	mutex sync.Mutex
	uids  map[types.UID]bool
}

func (l *leftLocks) set(workflow *workflowexecutionv1.WorkflowExecution, left bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if !left {
		delete(l.uids, workflow.UID)
		return
	}
	if l.uids == nil {
		l.uids = map[types.UID]bool{}
	}
	l.uids[workflow.UID] = true
}

func (l *leftLocks) by(workflow *workflowexecutionv1.WorkflowExecution) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.uids[workflow.UID]
}

// lockSweep gives back, when a manager starts, the locks of workflows that are over or gone.
type lockSweep struct{ *Reconciler }

// sweepBackoff is how long a sweep waits after an error: from a second to two minutes.
func sweepBackoff() wait.Backoff {
	const first, growth, most, steps = time.Second, 2, 2 * time.Minute, 7
	return wait.Backoff{Duration: first, Factor: growth, Jitter: 0.1, Cap: most, Steps: steps}
}

// Start sweeps once, and tries again while that fails.
func (l *lockSweep) Start(ctx context.Context) error {
	err := sweepBackoff().DelayFunc().Until(ctx, true, false, func(ctx context.Context) (bool, error) {
		if err := l.sweep(ctx); err != nil {
			ctrl.LoggerFrom(ctx).Info("giving back what an earlier manager left locked is tried again", "problem", err.Error())
			return false, nil
		}
		return true, nil
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the manager ends
	}
	return err
}

func (r *Reconciler) sweep(ctx context.Context) error {
	var leases coordinationv1.LeaseList
	if err := r.Clients.Live.List(ctx, &leases, client.InNamespace(r.Namespace), client.HasLabels{shared.LabelLockHolder}); err != nil {
		return fmt.Errorf("locks in namespace %s: %w", r.Namespace, err)
	}
	var problems []error
	for i := range leases.Items {
		lease := &leases.Items[i]
		if lease.Spec.HolderIdentity == nil {
			continue // nobody knows whose it is
		}
		active, err := r.active(ctx, *lease.Spec.HolderIdentity)
		if err == nil && active == "" {
			err = r.release(ctx, lease)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// release gives back one lock, unless somebody has taken it over since it was read.
func (r *Reconciler) release(ctx context.Context, lease *coordinationv1.Lease) error {
	err := r.Clients.Live.Delete(ctx, lease, client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("giving back lock %s: %w", lease.Name, err)
	}
	return nil
}
