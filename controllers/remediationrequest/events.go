package remediationrequest

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// The events of a RemediationRequest.
const (
	EventRemediationStarted      = "RemediationStarted"
	EventRecoveryInitiated       = "RecoveryInitiated"
	EventEscalatedToManualReview = "EscalatedToManualReview"
	EventRemediationCompleted    = "RemediationCompleted"
	EventRemediationFailed       = "RemediationFailed"
)

const (
	actionRemediate = "Remediate"
	actionRecover   = "Recover"
	actionEscalate  = "Escalate"
	longestNote     = 1024
)

// announce tells of a transition, after it was recorded.
func (r *Reconciler) announce(before remediationv1.RemediationPhase, after *remediationv1.RemediationRequest) {
	phase := after.Status.OverallPhase
	if before == phase {
		return
	}
	target := after.Spec.Target.String()
	tell := func(eventType, reason, action, note string) {
		r.Recorder.Eventf(after, nil, eventType, reason, action, "%s", machinery.Cut(note, longestNote))
	}
	switch phase {
	case remediationv1.PhaseProcessing:
		tell(corev1.EventTypeNormal, EventRemediationStarted, actionRemediate,
			"The remediation of "+target+" was started for signal "+after.Spec.SignalContext.Name+".")
	case remediationv1.PhaseCompleted:
		tell(corev1.EventTypeNormal, EventRemediationCompleted, actionRemediate, string(after.Status.Outcome)+": "+readyMessage(after.Status.Conditions))
	case remediationv1.PhaseFailed:
		tell(corev1.EventTypeWarning, EventRemediationFailed, actionRemediate, string(after.Status.Outcome)+": "+readyMessage(after.Status.Conditions))
		if after.Status.EscalatedToManualReview {
			tell(corev1.EventTypeWarning, EventEscalatedToManualReview, actionEscalate, after.Status.EscalationReason)
		}
	case remediationv1.PhaseRecovering:
		eventType, note := recoveryNote(after)
		tell(eventType, EventRecoveryInitiated, actionRecover, note)
		countRecovery(after)
	case "", remediationv1.PhasePending, remediationv1.PhaseAnalyzing, remediationv1.PhaseExecuting:
	}
	if phase.Terminal() {
		count(after)
	}
}

// recoveryNote tells of a recovery; it warns when the system is close to the rate of failures from which on none is started.
func recoveryNote(request *remediationv1.RemediationRequest) (eventType, note string) {
	note = fmt.Sprintf("Recovery %d of at most %d was started: %s.",
		request.Status.RecoveryAttempts, valueOr(request.Status.MaxRecoveryAttempts, 0), request.Status.RecoveryReason)
	viable := meta.FindStatusCondition(request.Status.Conditions, remediationv1.ConditionRecoveryViable)
	if viable != nil && viable.Reason == ReasonViableFailureRateHigh {
		return corev1.EventTypeWarning, note + " " + viable.Message
	}
	return corev1.EventTypeNormal, note
}
