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
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
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

// Occasion is the step that an action is done for. It is the same whenever the step is planned, and for all its attempts.
type Occasion struct {
	// Workflow is the UID of the workflow, and Created when it was created.
	Workflow types.UID
	Created  time.Time
	// Step is the 0-based index of the step.
	Step int32
	// Rollback says that it is the rollbackAction of the step.
	Rollback bool
}

// OccasionOf is the occasion of a step of a workflow.
func OccasionOf(workflow *workflowexecutionv1.WorkflowExecution, step int32) Occasion {
	return Occasion{Workflow: workflow.UID, Created: workflow.CreationTimestamp.Time, Step: step}
}

// Subject is what an action is planned on.
type Subject struct {
	// Reader reads what else the action needs; it has the action's own identity.
	Reader client.Reader
	// Live is the target; nil for an action without one.
	Live *unstructured.Unstructured
	// Action is the action with its parameters.
	Action *shared.Action
	// Occasion is what it is done for.
	Occasion Occasion
}

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

	// Plan computes what the action changes. Errors have a class (machinery.TypedError) or are those of the API.
	Plan(ctx context.Context, subject Subject) (Plan, error)
	// Verify looks at the target after the effect; nil is a target that the action has deleted.
	Verify(live *unstructured.Unstructured) Verification
}

// Notifier is an action whose effect is an event for people.
type Notifier interface {
	Action
	// Event is the event; its name derives from the UID of the execution, so that doing it again finds the first.
	Event(action *shared.Action, execution *kubernetesexecutionv1.KubernetesExecution) *eventsv1.Event
}

// Deleter is an action whose effect is the deletion of its target. Its plan has no changes.
type Deleter interface {
	Action
	// GracePeriod is how many seconds the target has to end; nil is what the target itself asks for.
	GracePeriod(action *shared.Action) *int64
}
