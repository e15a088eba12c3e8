package main

import (
	"fmt"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
)

// approval tells what people are asked, and who decided what.
func (t *telling) approval(a *safetyv1alpha1.ApprovalRequest) {
	n := note{actor: actorApproval, tone: strong, text: fmt.Sprintf("%s: %s wanted", a.Name, count(int(a.Spec.RequiredApprovals), "approval"))}
	for _, reason := range a.Spec.Reasons {
		n.detail = append(n.detail, fmt.Sprintf("%s/%s: %s", reason.Policy, reason.Code, reason.Message))
	}
	n.detail = append(n.detail, "asked for by "+shortUser(a.Spec.RequestedBy.Username))
	t.once("asked", n)
	for i, decision := range a.Spec.Decisions {
		tone := good
		if decision.Decision == safetyv1alpha1.DecisionRejected {
			tone = bad
		}
		t.once(fmt.Sprint("decision ", i), note{
			actor: actorApproval, tone: tone, text: fmt.Sprintf("%s by %s: %s", decision.Decision, shortUser(decision.By), decision.Reason),
		})
	}
	switch a.Status.Phase {
	case safetyv1alpha1.PhaseApproved:
		t.once("end", note{actor: actorApproval, tone: good, text: "approved: the workflow may go on"})
	case safetyv1alpha1.PhaseRejected, safetyv1alpha1.PhaseExpired, safetyv1alpha1.PhaseVoid:
		t.once("end", note{actor: actorApproval, tone: bad, text: string(a.Status.Phase)})
	case safetyv1alpha1.PhasePending:
		// The question is told, and who decided.
	}
}
