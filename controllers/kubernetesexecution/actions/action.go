// Package actions is the catalogue: one file for each action. An action is one typed, small, inspectable change of the
// cluster. It says what it needs and computes what it changes; the writing is that of package effects, the same for all.
//
// A new action is a new file, its member of the union in api/shared, its entry in All, and its tests.
package actions

import (
	"context"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
)

// Permission is a right on one resource, never a wildcard.
type Permission struct {
	Group       string
	Resource    string
	Subresource string
	Verbs       []string
}

// Reversibility says whether an action can be undone.
type Reversibility string

// The kinds of reversibility.
const (
	// ReversibleYes means that the fields it changes are captured and can be restored.
	ReversibleYes Reversibility = "Yes"
	// ReversibleHarmless means that there is nothing to restore, and nothing is lost by that.
	ReversibleHarmless Reversibility = "Harmless"
	// ReversibleNo means that it cannot be undone.
	ReversibleNo Reversibility = "No"
)

// Plan is exactly what an action changes on its target. No change: the target is already as wanted.
type Plan struct {
	Changes []shared.FieldChange
}

// Verification is how far the cluster has taken up the effect of an action.
type Verification struct {
	// Done says that the action's own work is over: the controller of the target has taken note of the change.
	Done bool
	// Healthy says that the target is in the state that its spec asks for.
	Healthy bool
	// Message says what is there, or what is awaited.
	Message string
}

// Action is one entry of the catalogue. Its methods read the parameters from the member of the union that its type names.
type Action interface {
	// Type is its exact name.
	Type() shared.ActionType
	// Target is the object that it changes; nil for an action without a target, or when the parameters are missing.
	Target(action *shared.Action) *shared.Target
	// Scopes are what it locks beside its target, such as nodes or namespace/shop.
	Scopes(action *shared.Action) []string

	// Writes is what the action writes with, in all its forms.
	Writes() []Permission
	// WritesFor is what this very action writes with.
	WritesFor(action *shared.Action) []Permission
	// Reads is what the action reads with.
	Reads() []Permission

	// Mutates says whether it changes the cluster.
	Mutates() bool
	// Repeatable says whether this very action, done again after it has had its effect, changes nothing more.
	Repeatable(action *shared.Action) bool
	// Reversibility says whether it can be undone.
	Reversibility() Reversibility
	// TypicalDuration is how long it usually takes, for estimates.
	TypicalDuration() time.Duration

	// Plan computes what the action changes on live. What else it needs it reads with reader, which has the action's own
	// identity. Errors have a class (machinery.TypedError) or are those of the API.
	Plan(ctx context.Context, reader client.Reader, live *unstructured.Unstructured, action *shared.Action) (Plan, error)
	// Verify looks at the target after the effect.
	Verify(live *unstructured.Unstructured) Verification
}

// Notifier is an action whose effect is an event for people.
type Notifier interface {
	Action
	// Event is the event; its name derives from the UID of the execution, so that doing it again finds the first.
	Event(action *shared.Action, execution *kubernetesexecutionv1.KubernetesExecution) *eventsv1.Event
}
