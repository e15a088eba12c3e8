package workflowexecution

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// takeSnapshot is the state of affairs at the moment of failure, before anything is undone.
func (d *decider) takeSnapshot(step int) *workflowexecutionv1.ExecutionSnapshot {
	s := &workflowexecutionv1.ExecutionSnapshot{Timestamp: &d.now}
	if step != noStep {
		s.CurrentStep = new(int32(step)) //nolint:gosec // at most 100
	}
	for i := range d.status.Steps {
		ended := &d.status.Steps[i]
		if ended.Phase != workflowexecutionv1.StepCompleted && ended.Phase != workflowexecutionv1.StepFailed {
			continue
		}
		s.CompletedSteps = append(s.CompletedSteps, d.stepResult(ended))
	}
	boundResults(s.CompletedSteps)
	s.ClusterState = firstWithin(maxSnapshotCluster, d.clusterState(true), d.clusterState(false))
	s.ResourceSnapshot = firstWithin(maxSnapshotResource, d.resourceSnapshot(step, true), d.resourceSnapshot(step, false))
	return s
}

// The shares of the parts of a snapshot, which has at most 32 KiB: what a person looks at first is kept of each.
const (
	maxSnapshotSteps    = 15 << 10
	maxSnapshotCluster  = 6 << 10
	maxSnapshotResource = 10 << 10
)

// minText is the shortest text that is worth keeping.
const minText = 16

// boundResults cuts the texts of the results, all alike, until they fit into their share, and in the end drops them.
func boundResults(results []workflowexecutionv1.StepResult) {
	for limit := maxStepError; limit > 0 && jsonSize(results) > maxSnapshotSteps; limit /= 2 {
		if limit < minText {
			limit = 0
		}
		for i := range results {
			results[i].Error, results[i].Output = cutOrDrop(results[i].Error, limit), cutOrDrop(results[i].Output, limit)
		}
	}
}

func cutOrDrop(text string, limit int) string {
	if limit == 0 {
		return ""
	}
	return machinery.Cut(text, limit)
}

func jsonSize(value any) int {
	text, err := json.Marshal(value)
	if err != nil {
		return math.MaxInt
	}
	return len(text)
}

// firstWithin is the first of the values whose JSON has at most limit bytes; nil if none has.
func firstWithin(limit int, values ...map[string]any) *apiextensionsv1.JSON {
	for _, value := range values {
		if raw := rawJSON(value); raw != nil && len(raw.Raw) <= limit {
			return raw
		}
	}
	return nil
}

func (d *decider) stepResult(step *workflowexecutionv1.StepStatus) workflowexecutionv1.StepResult {
	result := workflowexecutionv1.StepResult{
		StepIndex: step.Index, Action: step.Action, Status: step.Phase, Error: machinery.Cut(step.Message, maxStepError),
	}
	if step.StartTime != nil && step.CompletionTime != nil {
		result.Duration = &metav1.Duration{Duration: step.CompletionTime.Sub(step.StartTime.Time)}
	}
	execution := d.executions[step.ExecutionRef]
	if execution != nil && step.Phase == workflowexecutionv1.StepCompleted {
		result.Error = ""
		paths := make([]string, 0, len(execution.Status.DryRun))
		for _, change := range execution.Status.DryRun {
			paths = append(paths, change.Path)
		}
		result.Output = machinery.Cut("changed "+strings.Join(paths, ", "), maxStepOutput)
		if len(paths) == 0 {
			result.Output = "nothing to change"
		}
	}
	return result
}

// clusterState is the health of the targets of the workflow: of all, or of those that are not healthy.
func (d *decider) clusterState(all bool) map[string]any {
	if d.status.Plan == nil || len(d.targets) == 0 {
		return nil
	}
	health := map[string]any{}
	for i, target := range d.status.Plan.Targets {
		if !all && d.targets[i].health.Status == shared.HealthCurrent {
			continue
		}
		health[target.String()] = map[string]any{
			"health": d.targets[i].health.Status, "message": machinery.Cut(d.targets[i].health.Message, maxStepError),
		}
	}
	return map[string]any{"targets": health}
}

// resourceSnapshot is the part of the failed step's target that a person looks at first: replicas, images and conditions. No
// environment, no annotations, nothing of a Secret or ConfigMap: they may hold secrets.
func (d *decider) resourceSnapshot(step int, withStatus bool) map[string]any {
	object := d.failedObject(step)
	if object == nil {
		return nil
	}
	out := map[string]any{
		"apiVersion": object.GetAPIVersion(), "kind": object.GetKind(), "namespace": object.GetNamespace(), "name": object.GetName(),
		"uid": string(object.GetUID()), "generation": object.GetGeneration(),
	}
	if replicas, found, err := unstructured.NestedFieldNoCopy(object.Object, "spec", "replicas"); err == nil && found {
		out["replicas"] = replicas
	}
	if status, found, err := unstructured.NestedFieldNoCopy(object.Object, "status"); err == nil && found && withStatus {
		out["status"] = status
	}
	if containers, found, err := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers"); err == nil && found {
		images := map[string]any{}
		for _, container := range containers {
			if fields, ok := container.(map[string]any); ok {
				images[fmt.Sprint(fields["name"])] = fields["image"]
			}
		}
		out["images"] = images
	}
	return out
}

// failedObject is the target of the failed step, or the first unhealthy one when no step is to blame.
func (d *decider) failedObject(step int) *unstructured.Unstructured {
	if d.status.Plan == nil || len(d.targets) == 0 {
		return nil
	}
	for i, target := range d.status.Plan.Targets {
		blamed := step != noStep && slices.Contains(target.Steps, int32(step)) //nolint:gosec // at most 100
		unhealthy := step == noStep && d.targets[i].health.Status != shared.HealthCurrent
		if blamed || unhealthy {
			return d.targets[i].object
		}
	}
	return nil
}

func rawJSON(value map[string]any) *apiextensionsv1.JSON {
	if len(value) == 0 {
		return nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil // what is no JSON is no fact
	}
	return &apiextensionsv1.JSON{Raw: text}
}
