package actions

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
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

func missingParameters(actionType shared.ActionType, member string) error {
	return machinery.Typed(shared.ErrorValidation, fmt.Errorf("action %s has no parameters: set %s", actionType, member))
}
