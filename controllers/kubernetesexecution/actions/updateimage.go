package actions

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// updateImage sets the image of one container, init containers included, of a Deployment, StatefulSet or DaemonSet.
type updateImage struct{ workload }

func (updateImage) Type() shared.ActionType { return shared.ActionUpdateImage }

func (updateImage) Target(action *shared.Action) *shared.Target {
	if action.UpdateImage == nil {
		return nil
	}
	return workloadTarget(kindOf(action.UpdateImage), action.UpdateImage.Namespace, action.UpdateImage.Name)
}

// kindOf is the kind of the workload; the default is that of the schema, for a value that did not pass it.
func kindOf(parameters *shared.UpdateImage) shared.WorkloadKind {
	return cmp.Or(parameters.Kind, shared.WorkloadDeployment)
}

func (updateImage) Writes() []Permission {
	return []Permission{patches(shared.WorkloadDeployment), patches(shared.WorkloadStatefulSet), patches(shared.WorkloadDaemonSet)}
}

func (u updateImage) WritesFor(action *shared.Action) []Permission {
	if action.UpdateImage == nil {
		return u.Writes()
	}
	return []Permission{patches(kindOf(action.UpdateImage))}
}

func (updateImage) Reads() []Permission {
	return []Permission{gets(shared.WorkloadDeployment), gets(shared.WorkloadStatefulSet), gets(shared.WorkloadDaemonSet)}
}

func (updateImage) Repeatable(*shared.Action) bool { return true }

func (updateImage) TypicalDuration() time.Duration { return 10 * time.Second }

func (u updateImage) Plan(_ context.Context, _ client.Reader, live *unstructured.Unstructured, action *shared.Action) (Plan, error) {
	if action.UpdateImage == nil {
		return Plan{}, missingParameters(u.Type(), "updateImage")
	}
	var names []string
	for _, list := range []string{"containers", "initContainers"} {
		containers, _, err := unstructured.NestedSlice(live.Object, "spec", "template", "spec", list)
		if err != nil {
			return Plan{}, fmt.Errorf("%s of %s: %w", list, u.Target(action), err)
		}
		for i := range containers {
			container, ok := containers[i].(map[string]any)
			if !ok {
				continue
			}
			if container["name"] == action.UpdateImage.Container {
				path := fields.Pointer("spec", "template", "spec", list, strconv.Itoa(i), "image")
				changes, err := fields.Diff(path, container["image"], action.UpdateImage.Image)
				return Plan{Changes: changes}, err
			}
			names = append(names, fmt.Sprint(container["name"]))
		}
	}
	return Plan{}, machinery.Typed(shared.ErrorValidation, fmt.Errorf("%s has no container %q; it has %s",
		u.Target(action), action.UpdateImage.Container, strings.Join(names, ", ")))
}
