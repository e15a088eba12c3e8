package effects

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
	"kubernaut.io/kubernaut/controllers/machinery"
)

const (
	// maxPreparations is how often a preparation begins again because someone wrote the target between reading and trying.
	maxPreparations = 10
	// maxChangeBytes bounds the values of a plan: they are kept in the execution's status, which etcd bounds.
	maxChangeBytes = 256 << 10
)

// Request asks for the preparation of one action.
type Request struct {
	// Action is what is to be done.
	Action *shared.Action
	// Occasion is the step that it is done for.
	Occasion actions.Occasion
	// Base is the state that the action is planned on, the Result of an earlier step on the same target; nil for the live one.
	Base *unstructured.Unstructured
	// DryRun has the API server try the change.
	DryRun bool
	// Tried is what an earlier dry run of the action said; where it still holds the API server does not try the change again.
	Tried *Trial
	// Expected is the state that the live target must be in; nil expects nothing.
	Expected *kubernetesexecutionv1.ExpectedTarget
}

// Trial is what the API server's dry run of an action said, and on what.
type Trial struct {
	// UID and Generation are those of the live target.
	UID        types.UID
	Generation int64
	// Changes are the fields that the dry run changed.
	Changes []shared.FieldChange
}

// Preparation is what an action would do.
type Preparation struct {
	// Target is what the action changes; nil for an action without a target, for which there is also no Live and no Result.
	Target *shared.Target
	// Live is the object that was planned on: the live one, or the Base.
	Live *unstructured.Unstructured
	// Changes are the fields that the action changes; none when the target is already as wanted, or is deleted.
	Changes []shared.FieldChange
	// Deletes says that the action deletes the target.
	Deletes bool
	// Inverse is what undoing the changes needs.
	Inverse *kubernetesexecutionv1.Inverse
	// DryRun is what the API server's dry run said would change, from Live to Result: also what admission adds.
	DryRun []shared.FieldChange
	// DryRunUnsupported says why the API server could not try it; empty otherwise.
	DryRunUnsupported string
	// Result is the object with the changes: as the dry run returned it, or, without one, merged locally.
	Result *unstructured.Unstructured
	// RollbackProven says whether the inverse, applied to what the dry run returned, gives back what was captured, and the
	// spec that the object had; nil when there was no dry run.
	RollbackProven *bool
}

// Shown is what people see of the change: what the API server's dry run said, or, where a webhook supports none, what is planned.
func (p *Preparation) Shown() []shared.FieldChange {
	if p.DryRunUnsupported != "" {
		return p.Changes
	}
	return p.DryRun
}

// Prepare reads the target, plans the action on it, captures the inverse, and tries the change if asked to. It changes
// nothing. Errors have the class that the failure of the step has; those of machinery.IsTransient are worth another try.
func (e *Effects) Prepare(ctx context.Context, request Request) (*Preparation, error) {
	s, err := e.subject(request.Action)
	if err != nil {
		return nil, err
	}
	if s.target == nil {
		if _, err := s.Plan(ctx, actions.Subject{Reader: s.client, Action: request.Action, Occasion: request.Occasion}); err != nil {
			return nil, err
		}
		return &Preparation{
			Inverse: &kubernetesexecutionv1.Inverse{AbsentReason: fmt.Sprintf("%s changes no object", s.Type())},
		}, nil
	}
	return s.undisturbed(func() (*Preparation, error) { return s.prepare(ctx, request) })
}

// undisturbed begins a preparation again when someone wrote the target between reading and trying.
func (s subject) undisturbed(prepare func() (*Preparation, error)) (*Preparation, error) {
	for range maxPreparations {
		preparation, err := prepare()
		if !apierrors.IsConflict(err) {
			return preparation, err
		}
	}
	return nil, machinery.Typed(shared.ErrorResourceConflict, fmt.Errorf(
		"%s was written by others each of the %d times that the change was tried", s.target, maxPreparations))
}

func (s subject) prepare(ctx context.Context, request Request) (*Preparation, error) {
	live, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.expect(live, request.Expected); err != nil {
		return nil, err
	}
	p := &Preparation{Target: s.target, Live: live}
	if request.Base != nil {
		p.Live = request.Base
		if err := s.expect(live, &kubernetesexecutionv1.ExpectedTarget{UID: request.Base.GetUID()}); err != nil {
			return nil, err
		}
	}
	if err := s.plan(ctx, p, request.Occasion); err != nil {
		return nil, err
	}
	if request.DryRun && !p.takeOver(live, request.Tried) {
		err = s.try(ctx, p, live)
	}
	return p, err
}

// takeOver fills in what an earlier dry run said, if the target is the same object, of the same generation, every field that the dry
// run changed is as it was then, and what is planned now is part of it. It says whether that is so.
func (p *Preparation) takeOver(live *unstructured.Unstructured, trial *Trial) bool {
	if trial == nil || p.Deletes || len(p.Changes) == 0 || live.GetUID() != trial.UID || live.GetGeneration() != trial.Generation {
		return false
	}
	if _, _, moved := fields.Moved(p.Live.Object, trial.Changes); moved {
		return false
	}
	result, err := fields.Apply(p.Live.Object, trial.Changes)
	if err != nil {
		return false
	}
	if _, _, other := fields.Moved(result, fields.Inverse(p.Changes)); other {
		return false
	}
	p.DryRun, p.Result = trial.Changes, &unstructured.Unstructured{Object: result}
	p.RollbackProven = new(p.Inverse.Restores() && restores(p))
	return true
}

// plan fills in the changes, their inverse, and the result as far as it can be known without asking.
func (s subject) plan(ctx context.Context, p *Preparation, occasion actions.Occasion) error {
	plan, err := s.Plan(ctx, actions.Subject{Reader: s.client, Live: p.Live, Action: s.parameters, Occasion: occasion})
	if err != nil {
		return fmt.Errorf("plan of %s: %w", s.Type(), err)
	}
	if deleter, ok := s.Action.(actions.Deleter); ok {
		s.fillDeletion(p, deleter)
		return nil
	}
	if err := s.fill(p, plan.Changes); err != nil {
		return err
	}
	if len(p.Changes) > 0 && s.Reversibility() != actions.ReversibleYes {
		p.Inverse.AbsentReason = fmt.Sprintf("%s leaves nothing that would have to be restored", s.Type())
	}
	return nil
}

// fill puts changes into a preparation, with their inverse and the result of applying them locally.
func (s subject) fill(p *Preparation, changes []shared.FieldChange) error {
	p.Changes = changes
	if size := sizeOf(p.Changes); size > maxChangeBytes {
		return machinery.Typed(shared.ErrorValidation, fmt.Errorf(
			"%s would change %d KiB of %s, more than the %d KiB that can be recorded and undone", s.Type(), size>>10, s.target, maxChangeBytes>>10))
	}
	p.Inverse = &kubernetesexecutionv1.Inverse{Target: s.target, UID: p.Live.GetUID(), Fields: p.Changes}
	if len(p.Changes) == 0 {
		p.Inverse.AbsentReason = "the target is already as wanted"
	}
	merged, err := fields.Apply(p.Live.Object, p.Changes)
	if err != nil {
		return fmt.Errorf("plan of %s for %s does not fit: %w", s.Type(), s.target, err)
	}
	p.Result = &unstructured.Unstructured{Object: merged}
	return nil
}

func sizeOf(changes []shared.FieldChange) int {
	size := 0
	for _, change := range changes {
		if change.Before != nil {
			size += len(change.Before.Raw)
		}
		if change.After != nil {
			size += len(change.After.Raw)
		}
	}
	return size
}

// try has the API server try the change. On top of an earlier step that has not run, what is tried is both together.
func (s subject) try(ctx context.Context, p *Preparation, live *unstructured.Unstructured) error {
	if deleter, ok := s.Action.(actions.Deleter); ok {
		return s.tryDeletion(ctx, p, live, deleter)
	}
	if len(p.Changes) == 0 {
		p.RollbackProven = new(true)
		return nil
	}
	changes := p.Changes
	if p.Live != live {
		var err error
		if changes, err = fields.Between(live, p.Result); err != nil {
			return err
		}
	}
	result, err := s.write(ctx, live, changes, "", client.DryRunAll)
	if apierrors.IsBadRequest(err) {
		// What the API server answers when an admission webhook has side effects; the patch itself is well-formed.
		p.DryRunUnsupported = err.Error()
		return nil
	}
	if apierrors.IsConflict(err) {
		return err
	}
	if err != nil {
		return s.describe("patch (dry run)", err)
	}
	if p.DryRun, err = fields.Between(p.Live, result); err != nil {
		return err
	}
	p.Result = result
	p.RollbackProven = new(p.Inverse.Restores() && restores(p))
	return nil
}

// restores says whether the inverse leads back from the result to what was planned on. The whole spec is compared: a container
// that admission adds would move the others, and an inverse by position would then hit the wrong one.
func restores(p *Preparation) bool {
	restored, err := fields.Apply(p.Result.Object, fields.Inverse(p.Changes))
	if err != nil {
		return false
	}
	if _, _, moved := fields.Moved(restored, p.Changes); moved {
		return false
	}
	left, err := fields.Diff("/spec", p.Live.Object["spec"], restored["spec"])
	return err == nil && len(left) == 0
}
