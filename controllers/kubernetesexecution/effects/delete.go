package effects

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
)

// A deletion cannot carry the marker of its execution: the object goes. What makes it happen once is the UID that it names, of an
// object that will never be there again: gone, or another one of that name, means done.

// Deletes says whether the effect of an action is the deletion of its target.
func (*Effects) Deletes(parameters *shared.Action) bool {
	action, known := actions.Get(parameters.Type)
	_, deletes := action.(actions.Deleter)
	return known && deletes
}

// fillDeletion puts the deletion of the target into a preparation.
func (s subject) fillDeletion(p *Preparation, deleter actions.Deleter) {
	grace := gracePeriod(p.Live, deleter.GracePeriod(s.parameters))
	p.Inverse = &kubernetesexecutionv1.Inverse{
		Target: s.target, UID: p.Live.GetUID(), AbsentReason: fmt.Sprintf("a %s that was deleted cannot be brought back", s.target.Kind),
	}
	p.Deletes = true
	p.Result = p.Live.DeepCopy()
	p.Result.SetDeletionGracePeriodSeconds(&grace)
}

// gracePeriod is how long an object has to end: as wanted, or as a pod says itself.
func gracePeriod(live *unstructured.Unstructured, wanted *int64) int64 {
	if wanted != nil {
		return *wanted
	}
	seconds, found, err := unstructured.NestedInt64(live.Object, "spec", "terminationGracePeriodSeconds")
	if err != nil || !found {
		return corev1.DefaultTerminationGracePeriodSeconds
	}
	return seconds
}

// tryDeletion has the API server try the deletion. It cannot be undone, which is known without trying.
func (s subject) tryDeletion(ctx context.Context, p *Preparation, live *unstructured.Unstructured, deleter actions.Deleter) error {
	err := s.remove(ctx, live, deleter, client.DryRunAll)
	switch {
	case apierrors.IsBadRequest(err):
		p.DryRunUnsupported = err.Error()
		return nil
	case apierrors.IsConflict(err):
		return err
	case err != nil:
		return s.describe("delete (dry run)", err)
	}
	p.DryRun = p.Planned()
	p.RollbackProven = new(false)
	return nil
}

// Planned is what the action does as far as it is known without trying: what admission adds is not among it. Of a deletion it is how
// long the target has to end, which the API server sets on it beside the time.
func (p *Preparation) Planned() []shared.FieldChange {
	if !p.Deletes {
		return p.Changes
	}
	grace := strconv.FormatInt(*p.Result.GetDeletionGracePeriodSeconds(), 10)
	return []shared.FieldChange{{Path: "/metadata/deletionGracePeriodSeconds", After: &apiextensionsv1.JSON{Raw: []byte(grace)}}}
}

// remove deletes exactly the object that was read, in the state in which it was read.
func (s subject) remove(ctx context.Context, live *unstructured.Unstructured, deleter actions.Deleter, options ...client.DeleteOption) error {
	uid, resourceVersion := live.GetUID(), live.GetResourceVersion()
	if uid == "" || resourceVersion == "" {
		return fmt.Errorf("%s has no UID or resourceVersion: it was not read from the API server", s.target)
	}
	options = append(options, client.Preconditions{UID: &uid, ResourceVersion: &resourceVersion})
	if grace := deleter.GracePeriod(s.parameters); grace != nil {
		options = append(options, client.GracePeriodSeconds(*grace))
	}
	return onceMore(func() error { return s.client.Delete(ctx, live.DeepCopy(), options...) })
}

// deleteTarget makes the recorded deletion. Someone else may be quicker: then it is done, and not by the execution, unless an
// earlier try of it, whose end is not known, may have reached the API server.
func (s subject) deleteTarget(ctx context.Context, deleter actions.Deleter, request ApplyRequest) (Effect, error) {
	untouched := Effect{Changed: new(false)}
	expected := request.Execution.Spec.ExpectedTarget
	if expected == nil {
		return untouched, fmt.Errorf("the execution does not say which %s is deleted", s.target)
	}
	live, mayBeOurs := request.Live, request.Live == nil
	for pause := conflictPause; ; pause = min(2*pause, maxConflictPause) {
		if live == nil {
			var err error
			if live, err = s.read(ctx); err != nil && !apierrors.IsNotFound(err) {
				return untouched, err
			}
		}
		if leaving(live, expected.UID) {
			return s.gone(live, expected.UID, mayBeOurs), nil
		}
		if err := s.expect(live, expected); err != nil {
			return untouched, err
		}
		err := s.remove(ctx, live, deleter)
		switch {
		case err == nil, apierrors.IsNotFound(err):
			return s.confirm(ctx, live, mayBeOurs || err == nil), nil
		case apierrors.IsConflict(err):
			live = nil
			if err := sleep(ctx, pause); err != nil {
				return untouched, fmt.Errorf("others kept writing %s: %w", s.target, err)
			}
		case responseLost(err):
			return s.settleDeletion(ctx, request, s.describe("delete", err))
		default:
			return untouched, s.describe("delete", err)
		}
	}
}

// leaving says that the object with the UID is gone, or on its way.
func leaving(live *unstructured.Unstructured, uid types.UID) bool {
	return live == nil || live.GetUID() != uid || live.GetDeletionTimestamp() != nil
}

// gone is the effect of a deletion. Its object is the one that still ends, if it does.
func (s subject) gone(live *unstructured.Unstructured, uid types.UID, ours bool) Effect {
	effect := Effect{Changed: &ours}
	if ours {
		effect.Affected = []shared.OwnedObject{{APIVersion: s.target.APIVersion, Kind: s.target.Kind, Name: s.target.Name, UID: uid}}
	}
	if live != nil && live.GetUID() == uid {
		effect.Object = live
	}
	return effect
}

// confirm is the effect of a deletion that the API server has accepted. If it cannot be looked at, the object counts as one that
// still ends: whoever verifies looks again.
func (s subject) confirm(ctx context.Context, live *unstructured.Unstructured, ours bool) Effect {
	now, err := s.read(ctx)
	if err != nil && !apierrors.IsNotFound(err) {
		now = live
	}
	return s.gone(now, live.GetUID(), ours)
}

// settleDeletion looks whether a deletion whose response was lost has arrived.
func (s subject) settleDeletion(ctx context.Context, request ApplyRequest, cause error) (Effect, error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return Effect{}, cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	effect, err := s.deleted(ctx, request.Execution)
	if err != nil || effect.Changed == nil {
		return Effect{}, cause
	}
	return effect, nil
}

// deleted looks whether the object that an execution deletes is gone or on its way; Changed is nil when it is neither.
func (s subject) deleted(ctx context.Context, execution *kubernetesexecutionv1.KubernetesExecution) (Effect, error) {
	expected := execution.Spec.ExpectedTarget
	if expected == nil {
		return Effect{}, fmt.Errorf("the execution does not say which %s is deleted", s.target)
	}
	live, err := s.read(ctx)
	if err != nil && !apierrors.IsNotFound(err) {
		return Effect{}, err
	}
	if !leaving(live, expected.UID) {
		return Effect{Object: live}, nil
	}
	return s.gone(live, expected.UID, true), nil
}
