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

// EventOrphaned tells that the examination is no longer the child of the request that it names.
const EventOrphaned = "Orphaned"

const (
	actionExamine = "Examine"
	actionWatch   = "Watch"
	longestNote   = 1024
)

// announce tells what could not be read, and that the request is lost, after it was recorded.
func (r *Reconciler) announce(before, after *remediationprocessingv1.RemediationProcessing) {
	if orphan := machinery.BecameOrphan(before.Status.Conditions, after.Status.Conditions); orphan != nil {
		r.Recorder.Eventf(after, nil, corev1.EventTypeWarning, EventOrphaned, actionWatch, "%s", orphan.Message)
	}
	if before.Status.Phase.Terminal() || !after.Status.Phase.Terminal() || !after.Status.Degraded {
		return
	}
	note := "Some facts about " + after.Spec.Target.String() + " could not be read: " + strings.Join(after.Status.DegradedReasons, "; ")
	r.Recorder.Eventf(after, nil, corev1.EventTypeWarning, EventDegraded, actionExamine, "%s", machinery.Cut(note, longestNote))
}
