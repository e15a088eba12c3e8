package actions

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// restartPod deletes a pod, so that its controller makes another. What ran in it is lost: it cannot be undone.
type restartPod struct{}

func (restartPod) Type() shared.ActionType { return shared.ActionRestartPod }

func (restartPod) Target(action *shared.Action) *shared.Target {
	if action.RestartPod == nil {
		return nil
	}
	return &shared.Target{
		APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Pod", Namespace: action.RestartPod.Namespace, Name: action.RestartPod.Name,
	}
}

func (restartPod) Scopes(*shared.Action) []string { return nil }

func (restartPod) Writes() []Permission {
	return []Permission{{Resource: "pods", Verbs: []string{"delete"}}}
}

func (r restartPod) WritesFor(*shared.Action) []Permission { return r.Writes() }

func (restartPod) Reads() []Permission {
	return []Permission{{Resource: "pods", Verbs: []string{"get"}}}
}

func (restartPod) Mutates() bool { return true }

// Repeatable is true because a deletion names the UID: the pod that came in its place is another one.
func (restartPod) Repeatable(*shared.Action) bool { return true }

func (restartPod) Reversibility() Reversibility { return ReversibleNo }

func (restartPod) TypicalDuration() time.Duration { return 30 * time.Second }

// GracePeriod is that of the parameters.
func (restartPod) GracePeriod(action *shared.Action) *int64 {
	if action.RestartPod == nil {
		return nil
	}
	return action.RestartPod.GracePeriodSeconds
}

func (r restartPod) Plan(_ context.Context, subject Subject) (Plan, error) {
	parameters := subject.Action.RestartPod
	if parameters == nil {
		return Plan{}, missingParameters(r.Type(), "restartPod")
	}
	target, live := r.Target(subject.Action), subject.Live
	refuse := func(errorType shared.ErrorType, text string) (Plan, error) {
		return Plan{}, machinery.Typed(errorType, fmt.Errorf("%s %s", target, text))
	}
	if _, mirror := live.GetAnnotations()[corev1.MirrorPodAnnotationKey]; mirror {
		return refuse(shared.ErrorValidation, "mirrors a static pod of its node: deleting it restarts nothing; move its manifest on the node instead")
	}
	if metav1.GetControllerOf(live) == nil && (parameters.Force == nil || !*parameters.Force) {
		return refuse(shared.ErrorValidation, "has no controller that would make it again; set force: true if it may be gone for good")
	}
	if live.GetDeletionGracePeriodSeconds() != nil {
		return refuse(shared.ErrorResourceConflict, "is already deleted, by an earlier step or by someone else")
	}
	return Plan{}, nil
}

// Verify waits until the pod is gone. Whether its controller has made another that is well, the workflow's monitoring sees.
func (restartPod) Verify(live *unstructured.Unstructured) Verification {
	if live == nil {
		return Verification{Done: true, Message: "the pod has ended"}
	}
	return Verification{Message: "waiting for the pod to end"}
}
