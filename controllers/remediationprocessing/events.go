package remediationprocessing

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// EventDegraded is the event of an examination that could not read everything. One that could has no event: the request's
// next phase tells it.
const EventDegraded = "Degraded"

const (
	actionExamine = "Examine"
	longestNote   = 1024
)

// announce tells what could not be read, after it was recorded.
func (r *Reconciler) announce(before remediationprocessingv1.ProcessingPhase, after *remediationprocessingv1.RemediationProcessing) {
	if before.Terminal() || !after.Status.Phase.Terminal() || !after.Status.Degraded {
		return
	}
	note := "Some facts about " + after.Spec.Target.String() + " could not be read: " + strings.Join(after.Status.DegradedReasons, "; ")
	r.Recorder.Eventf(after, nil, corev1.EventTypeWarning, EventDegraded, actionExamine, "%s", machinery.Cut(note, longestNote))
}
