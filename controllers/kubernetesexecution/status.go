package kubernetesexecution

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// Reasons of conditions and events beside those of failures.
const (
	ReasonExecuting         = "Executing"
	ReasonValidated         = "Validated"
	ReasonRetrying          = "Retrying"
	ReasonDryRunSucceeded   = "DryRunSucceeded"
	ReasonDryRunUnsupported = "DryRunUnsupported"
	ReasonNoTarget          = "NoTarget"
	ReasonApplied           = "Applied"
	ReasonAlreadyAsWanted   = "AlreadyAsWanted"
	ReasonNotified          = "Notified"
	ReasonObserved          = "Observed"
	ReasonAwaitingObserved  = "AwaitingObserved"
	ReasonCompleted         = "Completed"

	ReasonPolicyDenied       = "PolicyDenied"
	ReasonPolicyHold         = "PolicyHold"
	ReasonApprovalNotCovered = "ApprovalNotCovered"
)

// failureReason is the reason that conditions and events have for a class of failure.
func failureReason(errorType shared.ErrorType) string {
	switch errorType {
	case shared.ErrorTimeout:
		return "Timeout"
	case shared.ErrorPermissionDenied:
		return "PermissionDenied"
	case shared.ErrorResourceNotFound:
		return "ResourceNotFound"
	case shared.ErrorResourceConflict:
		return "ResourceConflict"
	case shared.ErrorResourceQuotaExceeded:
		return "ResourceQuotaExceeded"
	case shared.ErrorValidation:
		return "ValidationError"
	case shared.ErrorPolicyDenied:
		return ReasonPolicyDenied
	case shared.ErrorCancelled:
		return "Cancelled"
	case shared.ErrorIneffective:
		return "Ineffective"
	case shared.ErrorApprovalRejected, shared.ErrorApprovalExpired:
		return ReasonApprovalNotCovered
	case shared.ErrorUnknown:
		return "UnknownError"
	default:
		return "UnknownError"
	}
}

// maxErrorMessage is the bound of status.errorMessage.
const maxErrorMessage = 1024

// defaultTimeout is that of the schema, for an object that did not pass it.
const defaultTimeout = 5 * time.Minute

// timeResolution is that of times in the API: a deadline is computed from a time that lost what is below it, and must not come
// too early for that.
const timeResolution = time.Second

// Deadline is when the phase must be over: validating is counted from when it had to be tried again, or from the end of a hold,
// executing from the recorded start. While the gate holds the execution there is none, nor before anyone has looked at it: the
// creation has the time of the API server, which need not be that of the manager.
func Deadline(execution *kubernetesexecutionv1.KubernetesExecution) time.Time {
	return since(execution).Add(timeout(execution) + timeResolution)
}

func timeout(execution *kubernetesexecutionv1.KubernetesExecution) time.Duration {
	if execution.Spec.Timeout == nil {
		return defaultTimeout
	}
	return execution.Spec.Timeout.Duration
}

func since(execution *kubernetesexecutionv1.KubernetesExecution) time.Time {
	status := &execution.Status
	if status.StartedAt != nil {
		return status.StartedAt.Time
	}
	// The condition is there since validating was tried in vain, and has changed its status when a hold was over.
	if validated := meta.FindStatusCondition(status.Conditions, kubernetesexecutionv1.ConditionValidated); validated != nil {
		return validated.LastTransitionTime.Time
	}
	return execution.CreationTimestamp.Time
}

// unlimited says that no time-out counts: the gate holds the execution, or nobody has looked at it yet.
func unlimited(execution *kubernetesexecutionv1.KubernetesExecution) bool {
	return Held(execution) || execution.Status.Phase == ""
}

// Held says whether an execution waits for the end of a policy hold. Its time-out does not count that.
func Held(execution *kubernetesexecutionv1.KubernetesExecution) bool {
	if execution.Status.Phase != kubernetesexecutionv1.PhaseValidating {
		return false
	}
	validated := meta.FindStatusCondition(execution.Status.Conditions, kubernetesexecutionv1.ConditionValidated)
	return validated != nil && validated.Reason == ReasonPolicyHold
}

// maxRules is how many rules of a decision are recorded.
const maxRules = 16

// HoldOf is what has become of the hold of an execution that waits for its end.
func HoldOf(execution *kubernetesexecutionv1.KubernetesExecution, policies machinery.Policies) machinery.Hold {
	decision := execution.Status.Decision
	if !Held(execution) || decision == nil {
		return machinery.HoldUnknown
	}
	return machinery.HoldOf(policies, decision.PolicySetRevision, decision.Rules, maxRules)
}

// timeLeft is how long the phase may still take.
func timeLeft(execution *kubernetesexecutionv1.KubernetesExecution, now time.Time) time.Duration {
	if unlimited(execution) {
		return timeout(execution)
	}
	return Deadline(execution).Sub(now)
}

// stopped says that no write may begin: the execution is cancelled or being deleted.
func stopped(execution *kubernetesexecutionv1.KubernetesExecution) bool {
	return (execution.Spec.Cancel != nil && *execution.Spec.Cancel) || execution.DeletionTimestamp != nil
}

// recorder changes a copy of the status.
type recorder struct {
	execution  *kubernetesexecutionv1.KubernetesExecution
	status     kubernetesexecutionv1.KubernetesExecutionStatus
	now        metav1.Time
	conditions machinery.Conditions
}

func record(execution *kubernetesexecutionv1.KubernetesExecution, now time.Time) *recorder {
	r := &recorder{execution: execution, status: *execution.Status.DeepCopy(), now: metav1.NewTime(now)}
	r.conditions = machinery.ConditionsOf(&r.status.Conditions, execution.Generation, r.now)
	return r
}

// observed says that the status speaks of the present spec.
func (r *recorder) observed() { r.status.ObservedGeneration = r.execution.Generation }

// validated records what validating found, as far as it came.
func (r *recorder) validated(found *Validation) {
	r.status.Decision = found.Decision
	p := found.Preparation
	if p == nil {
		return
	}
	r.status.DryRun = p.DryRun
	switch {
	case p.Target == nil:
		r.conditions.True(kubernetesexecutionv1.ConditionDryRunSucceeded, ReasonNoTarget, "the action changes no object: there is nothing to try")
	case p.DryRunUnsupported != "":
		r.conditions.False(kubernetesexecutionv1.ConditionDryRunSucceeded, ReasonDryRunUnsupported, p.DryRunUnsupported)
	default:
		r.conditions.True(kubernetesexecutionv1.ConditionDryRunSucceeded, ReasonDryRunSucceeded, "the API server's dry run accepted the change")
	}
}

// holds records that the gate holds the execution: once for each set of policies, because every evaluation has an identity of its
// own, and a status that always changes would never come to rest.
func (r *recorder) holds(found *Validation) {
	recorded := r.status.Decision
	if Held(r.execution) && recorded != nil && recorded.PolicySetRevision == found.Decision.PolicySetRevision {
		return
	}
	r.observed()
	r.validated(found)
	r.status.Phase = kubernetesexecutionv1.PhaseValidating
	message := "the safety gate holds the step until its policies change: " + found.Decision.DeciderText()
	r.conditions.False(kubernetesexecutionv1.ConditionValidated, ReasonPolicyHold, message)
	r.conditions.Progressing(ReasonPolicyHold, message)
}

// intends records the intent: from here on the effect may be there.
func (r *recorder) intends(found *Validation) {
	r.observed()
	r.validated(found)
	r.status.Phase = kubernetesexecutionv1.PhaseExecuting
	r.status.StartedAt = &r.now
	r.status.Inverse = found.Preparation.Inverse
	r.conditions.True(kubernetesexecutionv1.ConditionValidated, ReasonValidated, "the target is as expected and the safety gate lets the step "+r.verb())
	r.conditions.Progressing(ReasonExecuting, "the intent is recorded; the effect is being made")
}

// made records the effect.
func (r *recorder) made(effect *effects.Effect) {
	r.observed()
	r.status.Changed = effect.Changed
	r.status.AffectedResources = effect.Affected
	r.status.ResultingGeneration = effect.ResultingGeneration
	reason, message := ReasonApplied, "the change was written"
	switch {
	case r.targetText() == "":
		reason, message = ReasonNotified, "the event was written"
	case effect.Changed != nil && !*effect.Changed:
		reason, message = ReasonAlreadyAsWanted, "nothing was written: "+r.targetText()+" was already as wanted"
	}
	r.conditions.True(kubernetesexecutionv1.ConditionExecuted, reason, message)
}

// awaits records that the effect is there, and that its verification is awaited.
func (r *recorder) awaits() {
	message := "waiting for the controller of " + r.targetText() + " to observe the change"
	r.conditions.False(kubernetesexecutionv1.ConditionVerified, ReasonAwaitingObserved, message)
	r.conditions.Progressing(ReasonExecuting, message)
}

func (r *recorder) completed() {
	r.observed()
	r.status.Phase = kubernetesexecutionv1.PhaseCompleted
	r.status.CompletedAt = &r.now
	message := fmt.Sprintf("%s changed %s", r.action(), r.targetText())
	switch {
	case r.targetText() == "":
		message = fmt.Sprintf("%s was done", r.action())
	case r.status.Changed != nil && !*r.status.Changed:
		message = fmt.Sprintf("%s wrote nothing: %s was already as wanted", r.action(), r.targetText())
	}
	verified := "the effect was taken up by the cluster"
	if undoes(r.execution) {
		verified = "every captured field is as it was captured"
	}
	r.conditions.True(kubernetesexecutionv1.ConditionVerified, ReasonObserved, verified)
	r.conditions.Succeeded(ReasonCompleted, message)
}

// verb says what happens to the step.
func (r *recorder) verb() string {
	if undoes(r.execution) {
		return "be undone"
	}
	return "run"
}

// failed records the end without what was wanted. The condition is the one that should have become True.
func (r *recorder) failed(condition, reason string, errorType shared.ErrorType, message string) {
	r.observed()
	r.status.Phase = kubernetesexecutionv1.PhaseFailed
	r.status.CompletedAt = &r.now
	r.status.ErrorType = errorType
	r.status.ErrorMessage = machinery.Cut(message, maxErrorMessage)
	r.conditions.False(condition, reason, message)
	r.conditions.Failed(reason, message)
}

// retries records that something cannot be done now. The text of the first error stays: the next ones may differ in what does
// not matter, such as the port of a connection.
func (r *recorder) retries(condition string, err error) {
	if existing := meta.FindStatusCondition(r.status.Conditions, condition); existing != nil && existing.Reason == ReasonRetrying {
		return
	}
	r.observed()
	r.conditions.Set(condition, metav1.ConditionUnknown, ReasonRetrying, err.Error())
	r.conditions.Progressing(ReasonRetrying, "trying again until the time-out: "+err.Error())
}

func (r *recorder) action() shared.ActionType {
	if undoes(r.execution) {
		return "restoring what was captured"
	}
	if r.execution.Spec.Action == nil {
		return "the action"
	}
	return r.execution.Spec.Action.Type
}

// targetText names the target for people; empty without one.
func (r *recorder) targetText() string {
	if r.status.Inverse == nil || r.status.Inverse.Target == nil {
		return ""
	}
	return r.status.Inverse.Target.String()
}
