package playbook

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

const (
	actionCompile = "Compile"
	longestNote   = 1024
)

// announce tells when a playbook can no longer be used, or can be used again.
func (r *Reconciler) announce(before, after *catalogv1alpha1.Playbook) {
	ready := meta.FindStatusCondition(after.Status.Conditions, shared.ConditionReady)
	previous := meta.FindStatusCondition(before.Status.Conditions, shared.ConditionReady)
	if ready == nil || (previous != nil && previous.Status == ready.Status && previous.Message == ready.Message) {
		return
	}
	eventType := corev1.EventTypeNormal
	if ready.Reason == ReasonDoesNotCompile {
		eventType = corev1.EventTypeWarning
	}
	r.Recorder.Eventf(after, nil, eventType, ready.Reason, actionCompile, "%s", machinery.Cut(ready.Message, longestNote))
}
