package approvalrequest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// Reasons of the conditions of an ApprovalRequest; each is also the reason of the event that tells of the end.
const (
	ReasonPending  = "Pending"
	ReasonApproved = "Approved"
	ReasonRejected = "Rejected"
	ReasonExpired  = "Expired"
	ReasonVoid     = "Void"
)

// transitions are the phases that may follow each phase.
func transitions() machinery.Table[safetyv1alpha1.ApprovalPhase] {
	return machinery.Table[safetyv1alpha1.ApprovalPhase]{
		"": {
			safetyv1alpha1.PhasePending, safetyv1alpha1.PhaseApproved, safetyv1alpha1.PhaseRejected, safetyv1alpha1.PhaseExpired,
			safetyv1alpha1.PhaseVoid,
		},
		safetyv1alpha1.PhasePending: {
			safetyv1alpha1.PhaseApproved, safetyv1alpha1.PhaseRejected, safetyv1alpha1.PhaseExpired, safetyv1alpha1.PhaseVoid,
		},
		safetyv1alpha1.PhaseApproved: {safetyv1alpha1.PhaseVoid},
		safetyv1alpha1.PhaseRejected: {},
		safetyv1alpha1.PhaseExpired:  {},
		safetyv1alpha1.PhaseVoid:     {},
	}
}

// snapshot is all that a decision rests on.
type snapshot struct {
	request *safetyv1alpha1.ApprovalRequest
	// workflow is the one that asks; nil when it is gone.
	workflow *workflowexecutionv1.WorkflowExecution
}

// decide is the next status, and when to look again.
func decide(s snapshot, now time.Time) (safetyv1alpha1.ApprovalRequestStatus, time.Time) {
	status := *s.request.Status.DeepCopy()
	if status.Phase.Terminal() {
		return status, time.Time{}
	}
	status.ObservedGeneration = s.request.Generation
	conditions := machinery.ConditionsOf(&status.Conditions, s.request.Generation, metav1.NewTime(now))
	approvers, rejection := decisions(&s.request.Spec)
	status.Approvals = int32(len(approvers)) //nolint:gosec // at most 16 decisions
	required := int(s.request.Spec.RequiredApprovals)
	switch why := void(s); {
	case why != "":
		status.Phase = safetyv1alpha1.PhaseVoid
		conditions.Failed(ReasonVoid, why)
	case status.Phase == safetyv1alpha1.PhaseApproved:
	case rejection != nil:
		status.Phase = safetyv1alpha1.PhaseRejected
		conditions.Failed(ReasonRejected, rejection.By+" rejected it: "+rejection.Reason)
	case len(approvers) >= required:
		status.Phase = safetyv1alpha1.PhaseApproved
		conditions.Succeeded(ReasonApproved, "approved by "+strings.Join(approvers, ", "))
	case !now.Before(s.request.Spec.ExpiresAt.Time):
		status.Phase = safetyv1alpha1.PhaseExpired
		conditions.Failed(ReasonExpired, "it expired with "+missing(approvers, required))
	default:
		status.Phase = safetyv1alpha1.PhasePending
		conditions.Progressing(ReasonPending, missing(approvers, required))
		return status, s.request.Spec.ExpiresAt.Time
	}
	return status, time.Time{}
}

// missing says how many approvals there are and how many it takes.
func missing(approvers []string, required int) string {
	text := fmt.Sprintf("%d of %d approvals", len(approvers), required)
	if len(approvers) > 0 {
		text += ", by " + strings.Join(approvers, ", ")
	}
	return text
}

// decisions are who has approved, in order, and the first rejection. A decision counts if admission stamped it before the request
// expired, and if it is not that of who asked.
func decisions(spec *safetyv1alpha1.ApprovalRequestSpec) (approvers []string, rejection *safetyv1alpha1.ApprovalDecision) {
	for i := range spec.Decisions {
		decision := &spec.Decisions[i]
		if decision.By == "" || decision.At == nil || decision.At.After(spec.ExpiresAt.Time) || decision.By == spec.RequestedBy.Username {
			continue
		}
		if decision.Decision == safetyv1alpha1.DecisionRejected {
			return approvers, decision
		}
		if decision.Decision == safetyv1alpha1.DecisionApproved && !slices.Contains(approvers, decision.By) {
			approvers = append(approvers, decision.By)
		}
	}
	return approvers, nil
}

// void says why nobody waits for the request any more; empty while somebody does, or did until it was decided.
func void(s snapshot) string {
	switch {
	case s.workflow == nil:
		return "the workflow that asked is gone"
	case s.workflow.Status.ApprovalRequestRef == "":
		return "the workflow needs no approval any more"
	case s.workflow.Status.ApprovalRequestRef != s.request.Name:
		return "what is to be approved has changed: see ApprovalRequest " + s.workflow.Status.ApprovalRequestRef
	case s.workflow.Status.Phase.Terminal() && !s.request.Status.Phase.Decided() && !decidedBy(&s.request.Spec):
		return fmt.Sprintf("the workflow is %s", s.workflow.Status.Phase)
	}
	return ""
}

// decidedBy says whether the decisions alone settle the request.
func decidedBy(spec *safetyv1alpha1.ApprovalRequestSpec) bool {
	approvers, rejection := decisions(spec)
	return rejection != nil || len(approvers) >= int(spec.RequiredApprovals)
}
