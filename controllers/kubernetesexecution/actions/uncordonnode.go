package actions

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
)

// uncordonNode lets new pods onto a node again, as kubectl uncordon does.
type uncordonNode struct{ scheduling }

func (uncordonNode) Type() shared.ActionType { return shared.ActionUncordonNode }

func (uncordonNode) Target(action *shared.Action) *shared.Target {
	if action.UncordonNode == nil {
		return nil
	}
	return nodeTarget(action.UncordonNode.Name)
}

func (u uncordonNode) Plan(_ context.Context, subject Subject) (Plan, error) {
	if subject.Action.UncordonNode == nil {
		return Plan{}, missingParameters(u.Type(), "uncordonNode")
	}
	return schedulable(subject.Live, true)
}

func (uncordonNode) Verify(live *unstructured.Unstructured) Verification {
	return verifySchedulable(live, true)
}
