package remediationrequest

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// The events of a RemediationRequest.
const (
	EventRemediationStarted      = "RemediationStarted"
	EventRecoveryInitiated       = "RecoveryInitiated"
	EventFailureRateHigh         = "FailureRateHigh"
	EventEscalatedToManualReview = "EscalatedToManualReview"
	EventRemediationCompleted    = "RemediationCompleted"
	EventRemediationFailed       = "RemediationFailed"
)

const (
	actionRemediate = "Remediate"
	actionRecover   = "Recover"
	actionEscalate  = "Escalate"
	actionNotify    = "Notify"
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
			// The same notification as that of the action notify-only: whoever forwards those forwards this.
			tell(corev1.EventTypeWarning, actions.ReasonNotification, actionNotify, "A person must go on with "+target+": "+after.Status.EscalationReason)
		}
	case remediationv1.PhaseRecovering:
		tell(corev1.EventTypeNormal, EventRecoveryInitiated, actionRecover, fmt.Sprintf("Recovery %d of at most %d was started: %s.",
			after.Status.RecoveryAttempts, valueOr(after.Status.MaxRecoveryAttempts, 0), after.Status.RecoveryReason))
		if viable := meta.FindStatusCondition(after.Status.Conditions, remediationv1.ConditionRecoveryViable); viable != nil && viable.Reason == ReasonViableFailureRateHigh {
			tell(corev1.EventTypeWarning, EventFailureRateHigh, actionRecover, viable.Message)
		}
	case "", remediationv1.PhasePending, remediationv1.PhaseAnalyzing, remediationv1.PhaseExecuting:
	}
	if phase.Terminal() {
		count(after)
	}
}
