package main

import (
	"fmt"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
)

func (t *telling) request(r *remediationv1.RemediationRequest) {
	signal := r.Spec.SignalContext
	t.once("asked", note{
		actor: actorRequest, tone: strong, text: fmt.Sprintf("%s: repair %s", r.Name, r.Spec.Target),
		detail: []string{
			fmt.Sprintf("signal %s, %s, from %s", signal.Name, signal.Severity, signal.Source),
			"asked for by " + orUnknown(shortUser(r.Spec.RequestedBy.Username)) + ", stamped by admission",
		},
	})
	if n := r.Status.RecoveryAttempts; n > 0 {
		t.once(fmt.Sprint("recovery", n), note{actor: actorRequest, text: fmt.Sprintf("recovery %d: %s", n, r.Status.RecoveryReason)})
	}
	if phase := r.Status.OverallPhase; phase != "" {
		// A recovery goes through the phases again.
		t.once(fmt.Sprint("phase ", phase, r.Status.RecoveryAttempts), requestPhase(r))
	}
	t.stalled(actorRequest, r.Status.Conditions, shared.ConditionStalled)
}

func requestPhase(r *remediationv1.RemediationRequest) note {
	n := note{actor: actorRequest, text: string(r.Status.OverallPhase)}
	switch r.Status.OverallPhase {
	case remediationv1.PhasePending:
		n.text += ": is anyone already repairing it?"
	case remediationv1.PhaseProcessing:
		n.text += ": read fresh facts about the target"
	case remediationv1.PhaseAnalyzing:
		n.text += ": find the cause, and a workflow that repairs it"
	case remediationv1.PhaseExecuting:
		n.text += ": have the workflow carried out"
	case remediationv1.PhaseRecovering:
		n.text += ": try another workflow"
	case remediationv1.PhaseCompleted:
		n.text += ": " + string(r.Status.Outcome)
		n.tone = good
	case remediationv1.PhaseFailed:
		n.text += ": " + string(r.Status.Outcome)
		n.tone = bad
		n.detail = []string{messageOf(r.Status.Conditions, r.Status.EscalationReason)}
	}
	if r.Status.DuplicateOf != "" {
		n.detail = append(n.detail, "duplicate of "+r.Status.DuplicateOf)
	}
	return n
}
