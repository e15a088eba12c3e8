package effects

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
	"kubernaut.io/kubernaut/controllers/machinery"
)

const (
	// conflictPause is waited after a refused precondition, longer each time, up to maxConflictPause.
	conflictPause    = 10 * time.Millisecond
	maxConflictPause = 500 * time.Millisecond
	// settleTimeout bounds the look at the target after a response was lost, also when the time of the step is over.
	settleTimeout = 5 * time.Second
)

// ApplyRequest asks for the effect of an execution whose intent is recorded.
type ApplyRequest struct {
	// Action is what is done.
	Action *shared.Action
	// Execution is the execution that the effect belongs to; its UID is the marker, its expected target the condition.
	Execution *kubernetesexecutionv1.KubernetesExecution
	// Live is the target as it was read last; nil has it read.
	Live *unstructured.Unstructured
	// Changes are the recorded changes.
	Changes []shared.FieldChange
}

// Effect is what became of an effect.
type Effect struct {
	// Object is the target with the effect; nil without a target or after an error.
	Object *unstructured.Unstructured
	// Changed says whether a write of the execution reached the target; nil when it is not known.
	Changed *bool
	// Affected are the objects that were written.
	Affected []shared.OwnedObject
	// ResultingGeneration is the generation of the target that the write left behind.
	ResultingGeneration int64
}

// Apply makes the effect of an execution, once however often it is called and by whomever.
//
// The marker in the same write tells whether the effect is there. Until it is, the write is conditional on the UID and the
// resourceVersion of an object that did not have it; so of two writers that both saw no marker the API server lets one through,
// and the other reads again and finds the marker. Someone who removes the marker has changed the object: the generation that
// the execution expects, and the values that it captured, then differ, and nothing is written.
//
// A refused precondition means that nothing was written. If the object is still as expected, because only its status or its
// labels moved, the same change is sent again until ctx ends; otherwise the error is a resource_conflict. After an error the
// effect says whether this call may have written.
func (e *Effects) Apply(ctx context.Context, request ApplyRequest) (Effect, error) {
	s, err := e.subject(request.Action)
	if err != nil {
		return Effect{Changed: new(false)}, err
	}
	if notifier, ok := s.Action.(actions.Notifier); ok {
		return s.notify(ctx, notifier, request.Execution)
	}
	if deleter, ok := s.Action.(actions.Deleter); ok {
		return s.deleteTarget(ctx, deleter, request)
	}
	live := request.Live
	for pause := conflictPause; ; pause = min(2*pause, maxConflictPause) {
		if live == nil {
			if live, err = s.read(ctx); err != nil {
				return Effect{Changed: new(false)}, err
			}
		}
		if marked(live, request.Execution) {
			return s.found(live, request), nil
		}
		if err := s.expectUnchanged(live, request); err != nil {
			return Effect{Changed: new(false)}, err
		}
		if len(request.Changes) == 0 {
			return Effect{Object: live, Changed: new(false), ResultingGeneration: live.GetGeneration()}, nil
		}
		result, err := s.write(ctx, live, request.Changes, request.Execution.UID)
		switch {
		case err == nil:
			return Effect{
				Object: result, Changed: new(true), Affected: s.affected(result), ResultingGeneration: result.GetGeneration(),
			}, nil
		case apierrors.IsConflict(err):
			live = nil
			if err := sleep(ctx, pause); err != nil {
				return Effect{Changed: new(false)}, fmt.Errorf("others kept writing %s: %w", s.target, err)
			}
		case responseLost(err):
			return s.settle(ctx, request, err)
		default:
			return Effect{Changed: new(false)}, s.describe("patch", err)
		}
	}
}

// Find looks whether the effect of an execution is there, without making it. An action without a target leaves nothing to find.
func (e *Effects) Find(ctx context.Context, action *shared.Action, execution *kubernetesexecutionv1.KubernetesExecution) (Effect, bool, error) {
	s, err := e.subject(action)
	if err != nil || s.target == nil {
		return Effect{}, false, err
	}
	if _, ok := s.Action.(actions.Deleter); ok {
		effect, err := s.deleted(ctx, execution)
		return effect, effect.Changed != nil, err
	}
	live, err := s.read(ctx)
	if err != nil {
		return Effect{}, false, err
	}
	if !marked(live, execution) {
		return Effect{Object: live}, false, nil
	}
	return s.found(live, ApplyRequest{Action: action, Execution: execution}), true, nil
}

func marked(live *unstructured.Unstructured, execution *kubernetesexecutionv1.KubernetesExecution) bool {
	return execution.UID != "" && live.GetAnnotations()[shared.AnnotationLastExecution] == string(execution.UID)
}

// found is an effect that is already there. A write of ours moves the generation by one; what moved it further was someone
// else, and the next step on the target has to see that.
func (s subject) found(live *unstructured.Unstructured, request ApplyRequest) Effect {
	effect := Effect{Object: live, Changed: new(true), Affected: s.affected(live), ResultingGeneration: live.GetGeneration()}
	if expected := request.Execution.Spec.ExpectedTarget; expected != nil && expected.Generation > 0 {
		effect.ResultingGeneration = min(effect.ResultingGeneration, expected.Generation+1)
	}
	return effect
}

// expectUnchanged checks that the object is the expected one, and that the fields to change still have the captured values.
func (s subject) expectUnchanged(live *unstructured.Unstructured, request ApplyRequest) error {
	if err := s.expect(live, request.Execution.Spec.ExpectedTarget); err != nil {
		return err
	}
	path, now, moved := fields.Moved(live.Object, request.Changes)
	if !moved {
		return nil
	}
	value := "absent"
	if now != nil {
		value = string(now.Raw)
	}
	return machinery.Typed(shared.ErrorResourceConflict, fmt.Errorf("someone else changed %s of %s since it was captured: it is now %s",
		path, s.target, machinery.Cut(value, 128)))
}

func (s subject) affected(object *unstructured.Unstructured) []shared.OwnedObject {
	return []shared.OwnedObject{{APIVersion: s.target.APIVersion, Kind: s.target.Kind, Name: s.target.Name, UID: object.GetUID()}}
}

// responseLost says whether a write may have been carried out although it ended in an error: the connection broke, the time was
// over, or the API server did not know itself how it ended.
func responseLost(err error) bool {
	return machinery.IsTransient(err) && !apierrors.IsTooManyRequests(err)
}

// settle looks whether a write arrived whose response was lost. What it cannot tell stays unknown: the request may still be on
// its way, and the marker will tell later.
func (s subject) settle(ctx context.Context, request ApplyRequest, cause error) (Effect, error) {
	cause = s.describe("patch", cause)
	if errors.Is(ctx.Err(), context.Canceled) {
		return Effect{}, cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	live, err := s.read(ctx)
	if err != nil || !marked(live, request.Execution) {
		return Effect{}, cause
	}
	return s.found(live, request), nil
}

// notify writes the event of an action whose effect is an event. One that is there already is that of an earlier call.
func (s subject) notify(ctx context.Context, notifier actions.Notifier, execution *kubernetesexecutionv1.KubernetesExecution) (Effect, error) {
	event := notifier.Event(s.parameters, execution)
	err := onceMore(func() error { return s.client.Create(ctx, event) })
	effect := Effect{Changed: new(false)}
	switch {
	case apierrors.IsAlreadyExists(err):
		return effect, nil // the account may not read events: which UID it has stays unknown, and without one it cannot be recorded
	case err != nil:
		return effect, fmt.Errorf("event in namespace %s: %w", execution.Namespace, err)
	}
	effect.Affected = []shared.OwnedObject{{APIVersion: "events.k8s.io/v1", Kind: "Event", Name: event.Name, UID: event.UID}}
	return effect, nil
}

func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
