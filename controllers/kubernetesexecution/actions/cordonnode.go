package actions

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
)

// cordonNode keeps new pods from a node, as kubectl cordon does.
type cordonNode struct{ scheduling }

func (cordonNode) Type() shared.ActionType { return shared.ActionCordonNode }

func (cordonNode) Target(action *shared.Action) *shared.Target {
	if action.CordonNode == nil {
		return nil
	}
	return nodeTarget(action.CordonNode.Name)
}

func (c cordonNode) Plan(_ context.Context, subject Subject) (Plan, error) {
	if subject.Action.CordonNode == nil {
		return Plan{}, missingParameters(c.Type(), "cordonNode")
	}
	return schedulable(subject.Live, false)
}

func (cordonNode) Verify(live *unstructured.Unstructured) Verification {
	return verifySchedulable(live, false)
}
