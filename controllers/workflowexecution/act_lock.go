package workflowexecution

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
	"kubernaut.io/kubernaut/controllers/machinery"
)

const (
	// maxRounds is how often the targets may have changed between validating and locking.
	maxRounds = 3
	// maxTakes is how often a lock is tried that changes its holder meanwhile.
	maxTakes = 5
)

// lockState is what came of taking the locks of a workflow.
type lockState struct {
	// heldBy says who holds one of them, and lease is the name of that one; empty when the workflow holds all.
	heldBy, lease string
	// moved says what has changed each time since the steps were judged; empty when nothing has.
	moved string
}

// lock takes the locks of all targets, and judges the steps again on targets that changed before they were locked.
//
// Locks are given back only by whoever has just recorded that the workflow waits or is over: what was read of it may be old, and its
// steps may run already. An error gives none back; it is tried again.
func (r *Reconciler) lock(ctx context.Context, s *snapshot) error {
	if awaitsLock(s.workflow) != "" {
		locks, err := r.anyHeld(ctx, s.workflow, lockKeys(s))
		if err != nil || locks.heldBy != "" {
			s.locks = &locks
			return err
		}
	}
	var moved string
	for range maxRounds {
		locks, err := r.takeAll(ctx, s.workflow, lockKeys(s))
		if err != nil {
			return err
		}
		if locks.heldBy != "" {
			s.locks = &locks
			return nil
		}
		if moved, err = r.moved(ctx, s); err != nil {
			return err
		}
		if moved == "" {
			s.locks = &lockState{}
			return nil
		}
		if err := r.assessAll(ctx, s); err != nil {
			return err
		}
	}
	s.locks = &lockState{moved: moved}
	return nil
}

// lockKeys are what a workflow locks, sorted: the root owner of every target, and the scopes of the actions.
func lockKeys(s *snapshot) []string {
	var keys []string
	steps := s.workflow.Definition().Steps
	for i := range s.steps {
		keys = append(keys, keysOf(&steps[i].Action, s.steps[i].preparation, s.owners)...)
		if rollback := steps[i].RollbackAction; rollback != nil {
			keys = append(keys, keysOf(rollback, s.steps[i].rollback, s.owners)...)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// keysOf are what one action locks.
func keysOf(action *shared.Action, preparation *effects.Preparation, owners map[types.UID][]shared.OwnedObject) []string {
	var keys []string
	if known, ok := actions.Get(action.Type); ok {
		for _, scope := range known.Scopes(action) {
			keys = append(keys, "scope "+scope)
		}
	}
	if preparation != nil && preparation.Live != nil {
		keys = append(keys, rootOwner(preparation.Live, owners[preparation.Live.GetUID()]))
	}
	return keys
}

// rootOwner names the object that decides about a target: the last of the controllers above it, or itself.
func rootOwner(live *unstructured.Unstructured, owners []shared.OwnedObject) string {
	kind, name := live.GroupVersionKind().GroupKind(), live.GetName()
	if len(owners) > 0 {
		root := owners[len(owners)-1]
		kind.Group, kind.Kind, name = groupOf(root.APIVersion), root.Kind, root.Name
	}
	return fmt.Sprintf("%s %s/%s", kind, live.GetNamespace(), name)
}

func groupOf(apiVersion string) string {
	group, _, versioned := strings.Cut(apiVersion, "/")
	if !versioned {
		return ""
	}
	return group
}

func leaseName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "target-" + hex.EncodeToString(sum[:])
}

// moved says what changed of the targets since the steps were judged; empty when nothing did. Of several steps on one target the
// first was judged on the live one.
func (r *Reconciler) moved(ctx context.Context, s *snapshot) (string, error) {
	seen := map[string]bool{}
	steps := s.workflow.Definition().Steps
	for _, i := range s.graph.Order() {
		action, preparation := &steps[i].Action, s.steps[i].preparation
		key := targetKey(action)
		if preparation == nil || preparation.Live == nil || seen[key] {
			continue
		}
		seen[key] = true
		live, err := r.Effects.Read(ctx, action)
		if err != nil && machinery.IsTransient(err) {
			return "", fmt.Errorf("reading the target of step %q: %w", steps[i].Name, err)
		}
		if err != nil {
			return err.Error(), nil //nolint:nilerr // it is the answer: judging the steps again says why
		}
		if live.GetUID() != preparation.Live.GetUID() || live.GetGeneration() != preparation.Live.GetGeneration() {
			return fmt.Sprintf("%s is at generation %d, not %d", preparation.Target, live.GetGeneration(), preparation.Live.GetGeneration()), nil
		}
		if path, _, changed := fields.Moved(live.Object, preparation.Changes); changed {
			return fmt.Sprintf("%s of %s", path, preparation.Target), nil
		}
	}
	return "", nil
}

// takeAll takes locks in their order, so that no two workflows wait for each other, until one is held by another.
func (r *Reconciler) takeAll(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, keys []string) (lockState, error) {
	for _, key := range keys {
		if heldBy, err := r.take(ctx, workflow, key); err != nil || heldBy != "" {
			return lockState{heldBy: heldBy, lease: leaseName(key)}, err
		}
	}
	return lockState{}, nil
}

// anyHeld says which of the locks another workflow holds, and takes none: who waits holds none.
func (r *Reconciler) anyHeld(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, keys []string) (lockState, error) {
	for _, key := range keys {
		lease := &coordinationv1.Lease{}
		err := r.Clients.Live.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: leaseName(key)}, lease)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return lockState{}, describeLock(key, err)
		}
		if heldBy, err := r.holderOf(ctx, workflow, key, lease); err != nil || heldBy != "" {
			return lockState{heldBy: heldBy, lease: leaseName(key)}, err
		}
	}
	return lockState{}, nil
}

// holderOf says which other workflow holds a lock; empty when it may be had.
func (r *Reconciler) holderOf(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, key string, lease *coordinationv1.Lease) (string, error) {
	identity := ""
	if lease.Spec.HolderIdentity != nil {
		identity = *lease.Spec.HolderIdentity
	}
	if identity == holder(workflow) {
		return "", nil
	}
	active, err := r.active(ctx, identity)
	if err != nil {
		return "", describeLock(key, err)
	}
	if active != "" {
		return fmt.Sprintf("%s is locked by %s", key, active), nil
	}
	return "", nil
}

// take takes one lock, and says who holds it if it cannot. A lock does not expire: it is taken over only from a workflow that a
// live read shows to be gone or over, and only if nobody else was quicker. One that the workflow has already is written too: whoever
// is about to give it back on what was read before does not.
func (r *Reconciler) take(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, key string) (heldBy string, err error) {
	for range maxTakes {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: leaseName(key)}}
		r.hold(lease, workflow)
		err := r.Clients.Live.Create(ctx, lease)
		if !apierrors.IsAlreadyExists(err) {
			return "", describeLock(key, err)
		}
		err = r.Clients.Live.Get(ctx, client.ObjectKeyFromObject(lease), lease)
		if apierrors.IsNotFound(err) {
			continue // released meanwhile
		}
		if err != nil {
			return "", describeLock(key, err)
		}
		if heldBy, err = r.holderOf(ctx, workflow, key, lease); err != nil || heldBy != "" {
			return heldBy, err
		}
		r.hold(lease, workflow)
		if err = r.Clients.Live.Update(ctx, lease); !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return "", describeLock(key, err)
		}
	}
	return fmt.Sprintf("%s is locked by one workflow after the other", key), nil
}

func describeLock(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("lock of %s: %w", key, err)
}

// hold puts a workflow on a lock.
func (r *Reconciler) hold(lease *coordinationv1.Lease, workflow *workflowexecutionv1.WorkflowExecution) {
	lease.Labels = map[string]string{shared.LabelLockHolder: string(workflow.UID)}
	lease.Spec = coordinationv1.LeaseSpec{
		HolderIdentity: new(holder(workflow)), AcquireTime: new(metav1.NewMicroTime(r.Clock.Now())),
	}
}

// active says which workflow holds a lock of this identity; empty when it is gone or over. An identity that is none is somebody
// nobody knows: the lock stays theirs.
func (r *Reconciler) active(ctx context.Context, identity string) (string, error) {
	by, known := parseHolder(identity)
	if !known {
		return fmt.Sprintf("%q, which is no workflow: delete the Lease if nobody needs it", identity), nil
	}
	var other workflowexecutionv1.WorkflowExecution
	err := r.Clients.Live.Get(ctx, by.NamespacedName, &other)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading its holder %s: %w", by, err)
	}
	if other.UID != by.uid || other.Status.Phase.Terminal() {
		return "", nil
	}
	return "WorkflowExecution " + by.String(), nil
}

// locksOf are the locks of a workflow, read live.
func (r *Reconciler) locksOf(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) ([]coordinationv1.Lease, error) {
	var leases coordinationv1.LeaseList
	mine := client.MatchingLabels{shared.LabelLockHolder: string(workflow.UID)}
	if err := r.Clients.Live.List(ctx, &leases, client.InNamespace(r.Namespace), mine); err != nil {
		return nil, fmt.Errorf("locks of workflow %s: %w", workflow.Name, err)
	}
	return leases.Items, nil
}

// locksOfWaiting are the locks that a workflow gives back when it is recorded that it waits, read before that: what another manager
// takes afterwards, because the wait is over, is not meant. There are none when nothing is recorded: then nobody knows who is right.
func (r *Reconciler) locksOfWaiting(ctx context.Context, before, after *workflowexecutionv1.WorkflowExecution) ([]coordinationv1.Lease, error) {
	if equality.Semantic.DeepEqual(before, after) {
		return nil, nil
	}
	return r.locksOf(ctx, before)
}

func (r *Reconciler) releaseThese(ctx context.Context, leases []coordinationv1.Lease) error {
	var problems []error
	for i := range leases {
		problems = append(problems, r.release(ctx, &leases[i]))
	}
	return errors.Join(problems...)
}
