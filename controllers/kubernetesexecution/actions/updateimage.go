package actions

import (
	"context"
	"time"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
)

// updateImage sets the image of one container, init containers included, of a Deployment, StatefulSet or DaemonSet.
type updateImage struct{ workload }

func (updateImage) Type() shared.ActionType { return shared.ActionUpdateImage }

func (updateImage) Target(action *shared.Action) *shared.Target {
	if action.UpdateImage == nil {
		return nil
	}
	return workloadTarget(kindOf(action.UpdateImage.Kind), action.UpdateImage.Namespace, action.UpdateImage.Name)
}

func (updateImage) Writes() []Permission { return patchesAny() }

func (u updateImage) WritesFor(action *shared.Action) []Permission {
	if action.UpdateImage == nil {
		return u.Writes()
	}
	return []Permission{patches(kindOf(action.UpdateImage.Kind))}
}

func (updateImage) Reads() []Permission { return getsAny() }

func (updateImage) Repeatable(*shared.Action) bool { return true }

func (updateImage) TypicalDuration() time.Duration { return 10 * time.Second }

func (u updateImage) Plan(_ context.Context, subject Subject) (Plan, error) {
	parameters := subject.Action.UpdateImage
	if parameters == nil {
		return Plan{}, missingParameters(u.Type(), "updateImage")
	}
	found, err := findContainer(subject.Live, u.Target(subject.Action), parameters.Container)
	if err != nil {
		return Plan{}, err
	}
	changes, err := fields.Diff(found.path+fields.Pointer("image"), found.content["image"], parameters.Image)
	return Plan{Changes: changes}, err
}
