package safetypolicy

import (
	"context"
	"fmt"
	"slices"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/policies/gate"
)

// retryAfter is how long a set that could not be made waits until it is tried again without a change.
const retryAfter = time.Second

// Loader makes every change of a SafetyPolicy a new set of the gate. The first set is made when the cache holds all policies. It runs in
// every replica, leader or not: each one decides.
type Loader struct {
	// Cache is the manager's.
	Cache cache.Cache
	// Gate gets the policies.
	Gate *gate.Gate
}

// NeedLeaderElection says that every replica loads.
func (*Loader) NeedLeaderElection() bool { return false }

// Start loads until the context ends.
func (l *Loader) Start(ctx context.Context) error {
	informer, err := l.Cache.GetInformer(ctx, &safetyv1alpha1.SafetyPolicy{})
	if err != nil {
		return fmt.Errorf("watch policies: %w", err)
	}
	wake := make(chan struct{}, 1)
	signal := func() {
		select {
		case wake <- struct{}{}:
		default: // it will look at everything anyway
		}
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { signal() },
		DeleteFunc: func(any) { signal() },
		UpdateFunc: func(before, after any) {
			if isChange(before, after) {
				signal()
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch policies: %w", err)
	}
	defer func() { _ = informer.RemoveEventHandler(registration) }() // the informer ends with the manager
	if !toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return nil // the manager ends
	}
	for signal(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		}
		if err := l.load(ctx); err != nil {
			logf.FromContext(ctx).Error(err, "the safety gate goes on with the policies that it has")
			time.AfterFunc(retryAfter, signal)
		}
	}
}

// isChange says whether an update changed what was asked for, and not only the status.
func isChange(before, after any) bool {
	old, isOld := before.(*safetyv1alpha1.SafetyPolicy)
	now, isNow := after.(*safetyv1alpha1.SafetyPolicy)
	return !isOld || !isNow || old.UID != now.UID || old.Generation != now.Generation
}

func (l *Loader) load(ctx context.Context) error {
	var list safetyv1alpha1.SafetyPolicyList
	if err := l.Cache.List(ctx, &list); err != nil {
		return fmt.Errorf("list policies: %w", err)
	}
	objects := make([]gate.PolicyObject, len(list.Items))
	for i := range list.Items {
		objects[i] = gate.ObjectOf(&list.Items[i])
	}
	before := l.Gate.Revision()
	applied, err := l.Gate.Apply(ctx, objects)
	if err != nil {
		return err
	}
	var broken []string
	for name, status := range applied.Policies {
		if len(status.Problems) > 0 {
			broken = append(broken, name)
		}
	}
	slices.Sort(broken)
	if applied.Revision != before {
		logf.FromContext(ctx).Info("the safety gate has a new set of policies",
			"revision", applied.Revision, "policies", len(applied.Policies), "broken", broken)
	}
	return nil
}
