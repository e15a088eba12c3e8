package effects

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// RestoreRequest asks for the preparation of undoing what an execution did.
type RestoreRequest struct {
	// Action is what the execution did; its account undoes it.
	Action *shared.Action
	// Captured is what the execution captured before its effect.
	Captured *kubernetesexecutionv1.Inverse
	// Seen is what the API server's dry run showed before the effect.
	Seen []shared.FieldChange
	// Base is the state that it is prepared on, the Result of restoring another effect before; nil for the live one.
	Base *unstructured.Unstructured
	// DryRun has the API server try the change.
	DryRun bool
}

// PrepareRestore reads the target and computes what gives it back the captured fields: those that still are as the effect left
// them. No changes: they all are as captured already, because the effect never happened or someone undid it. A field that is
// neither is someone else's now, and a resource_conflict. It changes nothing; Apply makes the changes, as those of any action.
func (e *Effects) PrepareRestore(ctx context.Context, request RestoreRequest) (*Preparation, error) {
	s, err := e.restoring(request)
	if err != nil {
		return nil, err
	}
	return s.undisturbed(func() (*Preparation, error) { return s.prepareRestore(ctx, request) })
}

// Restored checks that every captured field of the target is as captured; the error says which is not.
func (e *Effects) Restored(ctx context.Context, request RestoreRequest) error {
	s, err := e.restoring(request)
	if err != nil {
		return err
	}
	p, err := s.prepareRestore(ctx, RestoreRequest{Captured: request.Captured, Seen: request.Seen})
	if err != nil {
		return err
	}
	if len(p.Changes) > 0 {
		return machinery.Typed(shared.ErrorResourceConflict, fmt.Errorf(
			"%s of %s is not as captured: someone else changed it after it was restored", p.Changes[0].Path, s.target))
	}
	return nil
}

func (e *Effects) restoring(request RestoreRequest) (subject, error) {
	s, err := e.subject(request.Action)
	if err != nil {
		return subject{}, err
	}
	captured := request.Captured
	if captured == nil || captured.Target == nil || captured.UID == "" || s.target == nil || captured.Target.Key() != s.target.Key() {
		return subject{}, machinery.Typed(shared.ErrorValidation, fmt.Errorf("%s captured nothing that could be restored", s.Type()))
	}
	return s, nil
}

func (s subject) prepareRestore(ctx context.Context, request RestoreRequest) (*Preparation, error) {
	live, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.expect(live, &kubernetesexecutionv1.ExpectedTarget{UID: request.Captured.UID}); err != nil {
		return nil, err
	}
	p := &Preparation{Target: s.target, Live: live}
	if request.Base != nil {
		p.Live = request.Base
	}
	changes, err := fields.Restoring(p.Live.Object, request.Captured.Fields, request.Seen)
	if foreign, ok := errors.AsType[*fields.ForeignError](err); ok {
		return nil, machinery.Typed(shared.ErrorResourceConflict, fmt.Errorf("someone else changed %s since: %s", s.target, machinery.Cut(foreign.Error(), 256)))
	}
	if err != nil {
		return nil, machinery.Typed(shared.ErrorValidation, fmt.Errorf("what was captured of %s: %w", s.target, err))
	}
	if err := s.fill(p, changes); err != nil {
		return nil, err
	}
	if request.DryRun {
		err = s.try(ctx, p, live)
	}
	return p, err
}
