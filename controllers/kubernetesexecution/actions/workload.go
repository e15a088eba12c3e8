package actions

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// workload is what actions that change the spec of a workload of apps/v1 have in common.
type workload struct{}

func (workload) Scopes(*shared.Action) []string { return nil }

func (workload) Mutates() bool { return true }

func (workload) Reversibility() Reversibility { return ReversibleYes }

// Verify waits until the workload's controller has observed the generation. Whether the rollout then succeeds is for the
// workflow's monitoring to see, which looks at all targets together.
func (workload) Verify(live *unstructured.Unstructured) Verification {
	health := Health(live)
	verification := Verification{Healthy: health.Status == shared.HealthCurrent, Message: health.Message}
	observed, found, err := unstructured.NestedInt64(live.Object, "status", "observedGeneration")
	verification.Done = err == nil && found && observed >= live.GetGeneration()
	if !verification.Done {
		verification.Healthy = false
		verification.Message = fmt.Sprintf("waiting for the %s controller to observe generation %d; it has observed %d",
			live.GetKind(), live.GetGeneration(), observed)
	}
	return verification
}

// workloadTarget is a workload of apps/v1.
func workloadTarget(kind shared.WorkloadKind, namespace, name string) *shared.Target {
	return &shared.Target{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: string(kind), Namespace: namespace, Name: name}
}

// workloadResource is the resource of a kind of workload.
func workloadResource(kind shared.WorkloadKind) string {
	switch kind {
	case shared.WorkloadDeployment:
		return "deployments"
	case shared.WorkloadStatefulSet:
		return "statefulsets"
	case shared.WorkloadDaemonSet:
		return "daemonsets"
	default:
		return ""
	}
}

func patches(kind shared.WorkloadKind) Permission {
	return Permission{Group: appsv1.GroupName, Resource: workloadResource(kind), Verbs: []string{"patch"}}
}

func gets(kind shared.WorkloadKind) Permission {
	return Permission{Group: appsv1.GroupName, Resource: workloadResource(kind), Verbs: []string{"get"}}
}

// patchesAny and getsAny are the permissions of actions on a workload of any kind.
func patchesAny() []Permission {
	return []Permission{patches(shared.WorkloadDeployment), patches(shared.WorkloadStatefulSet), patches(shared.WorkloadDaemonSet)}
}

func getsAny() []Permission {
	return []Permission{gets(shared.WorkloadDeployment), gets(shared.WorkloadStatefulSet), gets(shared.WorkloadDaemonSet)}
}

// kindOf is the kind of a workload; the default is that of the schema, for a value that did not pass it.
func kindOf(kind shared.WorkloadKind) shared.WorkloadKind {
	return cmp.Or(kind, shared.WorkloadDeployment)
}

// container is one container of a pod template, and where it stands.
type container struct {
	path    string
	content map[string]any
}

// findContainer finds a container of a workload by its name, init containers included.
func findContainer(live *unstructured.Unstructured, target *shared.Target, name string) (container, error) {
	var names []string
	for _, list := range []string{"containers", "initContainers"} {
		containers, _, err := unstructured.NestedSlice(live.Object, "spec", "template", "spec", list)
		if err != nil {
			return container{}, fmt.Errorf("%s of %s: %w", list, target, err)
		}
		for i := range containers {
			content, ok := containers[i].(map[string]any)
			if !ok {
				continue
			}
			if content["name"] == name {
				return container{path: fields.Pointer("spec", "template", "spec", list, strconv.Itoa(i)), content: content}, nil
			}
			names = append(names, fmt.Sprint(content["name"]))
		}
	}
	return container{}, machinery.Typed(shared.ErrorValidation, fmt.Errorf("%s has no container %q; it has %s", target, name, strings.Join(names, ", ")))
}

// notPaused refuses a Deployment that would not roll out a change of its template.
func notPaused(live *unstructured.Unstructured, target *shared.Target) error {
	if paused, _, err := unstructured.NestedBool(live.Object, "spec", "paused"); err != nil || paused {
		return machinery.Typed(shared.ErrorValidation, fmt.Errorf(
			"%s is paused, so a change of its template would not be rolled out; resume it first: kubectl rollout resume", target))
	}
	return nil
}

func missingParameters(actionType shared.ActionType, member string) error {
	return machinery.Typed(shared.ErrorValidation, fmt.Errorf("action %s has no parameters: set %s", actionType, member))
}
