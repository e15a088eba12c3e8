package actions

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/controllers/machinery"
)

const (
	// ReasonNotification is the reason of the event that notify-only writes.
	ReasonNotification = "Notification"
	// eventAction is what the event says was done.
	eventAction = "Notify"
	// maxNote is how many bytes the API server takes as the note of an event.
	maxNote = 1024
)

// notifyOnly tells people something: an event about the workflow, in its namespace.
type notifyOnly struct{}

func (notifyOnly) Type() shared.ActionType { return shared.ActionNotifyOnly }

func (notifyOnly) Target(*shared.Action) *shared.Target { return nil }

func (notifyOnly) Scopes(*shared.Action) []string { return nil }

func (notifyOnly) Writes() []Permission {
	return []Permission{{Group: eventsv1.GroupName, Resource: "events", Verbs: []string{"create"}}}
}

func (n notifyOnly) WritesFor(*shared.Action) []Permission { return n.Writes() }

func (notifyOnly) Reads() []Permission { return nil }

func (notifyOnly) Mutates() bool { return false }

func (notifyOnly) Repeatable(*shared.Action) bool { return true }

func (notifyOnly) Reversibility() Reversibility { return ReversibleHarmless }

func (notifyOnly) TypicalDuration() time.Duration { return time.Second }

func (n notifyOnly) Plan(_ context.Context, subject Subject) (Plan, error) {
	if subject.Action.NotifyOnly == nil {
		return Plan{}, missingParameters(n.Type(), "notifyOnly")
	}
	return Plan{}, nil
}

// Verify has nothing to look at: an event that was accepted is all there is.
func (notifyOnly) Verify(*unstructured.Unstructured) Verification {
	return Verification{Done: true, Healthy: true, Message: "the event was recorded"}
}

func (n notifyOnly) Event(action *shared.Action, execution *kubernetesexecutionv1.KubernetesExecution) *eventsv1.Event {
	event := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: execution.Namespace,
			Name:      "kubernaut-notification-" + string(execution.UID),
		},
		ReportingController: "kubernaut.io/" + string(n.Type()),
		ReportingInstance:   identity.Action(n.Type()),
		Action:              eventAction,
		Reason:              ReasonNotification,
		Type:                corev1.EventTypeWarning,
		Regarding: corev1.ObjectReference{
			APIVersion: workflowexecutionv1.GroupVersion.String(), Kind: "WorkflowExecution", Namespace: execution.Namespace,
			Name: execution.Spec.WorkflowExecutionRef.Name, UID: execution.Spec.WorkflowExecutionRef.UID,
		},
		Related: &corev1.ObjectReference{
			APIVersion: kubernetesexecutionv1.GroupVersion.String(), Kind: "KubernetesExecution", Namespace: execution.Namespace,
			Name: execution.Name, UID: execution.UID,
		},
		Note: machinery.Cut(action.NotifyOnly.Message, maxNote),
	}
	if action.NotifyOnly.Severity == shared.SeverityInfo {
		event.Type = corev1.EventTypeNormal
	}
	if execution.Status.StartedAt != nil {
		event.EventTime = metav1.NewMicroTime(execution.Status.StartedAt.Time)
	}
	return event
}
