package rules

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
)

// stampTolerance is how far the time of a decision may be from that of the webhook that checks it: another replica may have
// stamped it.
const stampTolerance = time.Minute

// AddedDecision is the place of the one decision that an update adds at the end; -1 if it adds none, or does something else,
// which the status guard refuses.
func AddedDecision(request, old *safetyv1alpha1.ApprovalRequest) int {
	if n := len(old.Spec.Decisions); len(request.Spec.Decisions) == n+1 {
		return n
	}
	return -1
}

// DecisionPath is the field of a decision.
func DecisionPath(i int) *field.Path { return specPath().Child("decisions").Index(i) }

// StampDecision writes into the decision that an update adds who made it, and when. A client says neither.
func StampDecision(request, old *safetyv1alpha1.ApprovalRequest, username string, now time.Time) (errs field.ErrorList) {
	at := AddedDecision(request, old)
	if at < 0 {
		return nil
	}
	decision, path := &request.Spec.Decisions[at], DecisionPath(at)
	const leave = "leave it out: admission fills it in"
	if decision.By != "" {
		errs = append(errs, field.Forbidden(path.Child("by"), fmt.Sprintf("%s; you are %s", leave, username)))
	}
	if decision.At != nil {
		errs = append(errs, field.Forbidden(path.Child("at"), leave))
	}
	if len(errs) == 0 {
		decision.By, decision.At = username, &metav1.Time{Time: now}
	}
	return errs
}

// ValidateDecision checks the decision that an update adds for what only a clock can tell. All else about it the status guard
// checks.
func ValidateDecision(request, old *safetyv1alpha1.ApprovalRequest, now time.Time) (errs field.ErrorList) {
	at := AddedDecision(request, old)
	if at < 0 {
		return nil
	}
	decision, path := &request.Spec.Decisions[at], DecisionPath(at)
	if expiry := request.Spec.ExpiresAt; !now.Before(expiry.Time) {
		errs = append(errs, field.Forbidden(path, fmt.Sprintf("the request expired at %s, and its workflow with it: start the workflow again",
			expiry.UTC().Format(time.RFC3339))))
	}
	if decision.At == nil || decision.At.Sub(now).Abs() > stampTolerance {
		errs = append(errs, field.Forbidden(path.Child("at"),
			"it must be the present time, as the mutating webhook of Kubernaut writes it; apply config/webhook if that is missing"))
	}
	return errs
}
