package actions

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
)

// ScopeNodes is locked by what changes how many nodes take pods: that enough of them do is true only of all together.
const ScopeNodes = "nodes"

// scheduling is what actions that open or close a node for new pods have in common.
type scheduling struct{}

func (scheduling) Scopes(*shared.Action) []string { return []string{ScopeNodes} }

func (scheduling) Writes() []Permission {
	return []Permission{{Resource: "nodes", Verbs: []string{"patch"}}}
}

func (s scheduling) WritesFor(*shared.Action) []Permission { return s.Writes() }

func (scheduling) Reads() []Permission {
	return []Permission{{Resource: "nodes", Verbs: []string{"get"}}}
}

func (scheduling) Mutates() bool { return true }

func (scheduling) Repeatable(*shared.Action) bool { return true }

func (scheduling) Reversibility() Reversibility { return ReversibleYes }

func (scheduling) TypicalDuration() time.Duration { return time.Second }

// schedulable plans that a node takes new pods, or that it does not.
func schedulable(live *unstructured.Unstructured, want bool) (Plan, error) {
	closed, err := isClosed(live)
	if err != nil || closed != want {
		return Plan{}, err
	}
	// The API leaves out a false.
	before, after := any(true), any(nil)
	if !want {
		before, after = after, before
	}
	changes, err := fields.Diff("/spec/unschedulable", before, after)
	return Plan{Changes: changes}, err
}

func isClosed(live *unstructured.Unstructured) (bool, error) {
	closed, _, err := unstructured.NestedBool(live.Object, "spec", "unschedulable")
	if err != nil {
		return false, fmt.Errorf("spec.unschedulable of Node %s: %w", live.GetName(), err)
	}
	return closed, nil
}

// verifySchedulable looks at the field itself: the scheduler goes by it, and nobody has to take it up first.
func verifySchedulable(live *unstructured.Unstructured, want bool) Verification {
	closed, err := isClosed(live)
	if err != nil || closed == want {
		return Verification{Message: "spec.unschedulable is not as it was written: someone else changed it"}
	}
	health := Health(live)
	return Verification{Done: true, Healthy: health.Status == shared.HealthCurrent, Message: health.Message}
}

func nodeTarget(name string) *shared.Target {
	return &shared.Target{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Node", Name: name}
}
