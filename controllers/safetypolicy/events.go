package safetypolicy

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

const (
	actionLoad  = "Load"
	longestNote = 1024
)

// announce tells when a policy begins to decide, or can no longer be used.
func (r *Reconciler) announce(before, after *safetyv1alpha1.SafetyPolicy) {
	ready := meta.FindStatusCondition(after.Status.Conditions, shared.ConditionReady)
	previous := meta.FindStatusCondition(before.Status.Conditions, shared.ConditionReady)
	if ready == nil || ready.Reason == ReasonLoading {
		return
	}
	if previous != nil && previous.Reason == ready.Reason && previous.Message == ready.Message && before.Status.Digest == after.Status.Digest {
		return
	}
	eventType := corev1.EventTypeNormal
	if ready.Status != metav1.ConditionTrue {
		eventType = corev1.EventTypeWarning
	}
	r.Recorder.Eventf(after, nil, eventType, ready.Reason, actionLoad, "%s", machinery.Cut(ready.Message, longestNote))
}
