package actions

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
)

// scaleDeployment sets the replicas of a Deployment. It patches the Deployment, not its scale subresource: the marker of the
// execution is part of the same write, and a Scale does not keep annotations.
type scaleDeployment struct{ workload }

func (scaleDeployment) Type() shared.ActionType { return shared.ActionScaleDeployment }

func (scaleDeployment) Target(action *shared.Action) *shared.Target {
	if action.ScaleDeployment == nil {
		return nil
	}
	return workloadTarget(shared.WorkloadDeployment, action.ScaleDeployment.Namespace, action.ScaleDeployment.Name)
}

func (scaleDeployment) Writes() []Permission { return []Permission{patches(shared.WorkloadDeployment)} }

func (s scaleDeployment) WritesFor(*shared.Action) []Permission { return s.Writes() }

func (scaleDeployment) Reads() []Permission { return []Permission{gets(shared.WorkloadDeployment)} }

func (scaleDeployment) Repeatable(*shared.Action) bool { return true }

func (scaleDeployment) TypicalDuration() time.Duration { return 10 * time.Second }

func (s scaleDeployment) Plan(_ context.Context, subject Subject) (Plan, error) {
	live, action := subject.Live, subject.Action
	if action.ScaleDeployment == nil || action.ScaleDeployment.Replicas == nil {
		return Plan{}, missingParameters(s.Type(), "scaleDeployment with replicas")
	}
	before, _, err := unstructured.NestedFieldNoCopy(live.Object, "spec", "replicas")
	if err != nil {
		return Plan{}, fmt.Errorf("replicas of Deployment %s/%s: %w", live.GetNamespace(), live.GetName(), err)
	}
	changes, err := fields.Diff("/spec/replicas", before, int64(*action.ScaleDeployment.Replicas))
	return Plan{Changes: changes}, err
}
