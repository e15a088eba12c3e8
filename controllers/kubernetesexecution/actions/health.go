package actions

import (
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// maxHealthMessage bounds the message of a Health, as the API does.
const maxHealthMessage = 1024

// Health is the state of an object as kstatus sees it: NotFound for nil, and Unknown where kstatus only assumes that an object
// without any conditions is current.
func Health(live *unstructured.Unstructured) shared.Health {
	if live == nil {
		return shared.Health{Status: shared.HealthNotFound, Message: "it does not exist"}
	}
	health := shared.Health{Status: shared.HealthUnknown}
	result, err := status.Compute(live)
	switch {
	case err != nil:
		health.Message = "its health cannot be determined: " + err.Error()
	case result.Status == status.CurrentStatus && !reports(live):
		health.Message = "a " + live.GetKind() + " does not report its health"
	default:
		health.Status = healthStatus(result.Status)
		health.Message = result.Message
	}
	health.Message = machinery.Cut(health.Message, maxHealthMessage)
	health.DesiredReplicas, health.AvailableReplicas = replicas(live)
	return health
}

// reports says whether kstatus has something to go by: rules for the kind, an observed generation, or a Ready condition.
func reports(live *unstructured.Unstructured) bool {
	if status.GetLegacyConditionsFn(live) != nil {
		return true
	}
	if _, found, err := unstructured.NestedInt64(live.Object, "status", "observedGeneration"); err == nil && found {
		return true
	}
	conditions, _, err := unstructured.NestedSlice(live.Object, "status", "conditions")
	if err != nil {
		return false
	}
	for _, item := range conditions {
		if condition, ok := item.(map[string]any); ok && condition["type"] == shared.ConditionReady {
			return true
		}
	}
	return false
}

func healthStatus(computed status.Status) shared.HealthStatus {
	switch computed {
	case status.CurrentStatus:
		return shared.HealthCurrent
	case status.InProgressStatus:
		return shared.HealthInProgress
	case status.FailedStatus:
		return shared.HealthFailed
	case status.TerminatingStatus:
		return shared.HealthTerminating
	case status.NotFoundStatus:
		return shared.HealthNotFound
	default:
		return shared.HealthUnknown
	}
}

// replicas is how many pods a workload wants and how many are available; nil for anything else.
func replicas(live *unstructured.Unstructured) (desired, available *int32) {
	wanted, there := []string{"spec", "replicas"}, []string{"status", "availableReplicas"}
	fallback := int64(1) // what the API server fills in
	switch live.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "DaemonSet"}:
		wanted, there = []string{"status", "desiredNumberScheduled"}, []string{"status", "numberAvailable"}
		fallback = 0
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "Deployment"},
		schema.GroupKind{Group: appsv1.GroupName, Kind: "StatefulSet"},
		schema.GroupKind{Group: appsv1.GroupName, Kind: "ReplicaSet"}:
	default:
		return nil, nil
	}
	return number(live, fallback, wanted), number(live, 0, there)
}

func number(live *unstructured.Unstructured, fallback int64, path []string) *int32 {
	value, found, err := unstructured.NestedInt64(live.Object, path...)
	if err != nil {
		return nil
	}
	if !found {
		value = fallback
	}
	return new(int32(value)) //nolint:gosec // the API has an int32 here
}
