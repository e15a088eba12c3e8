package remediationrequest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// The limits of recoveries beside the request's own.
const (
	// sameFailures is how often the same failure may occur in one request before no plan is tried any more.
	sameFailures = 2
	// rateWindow is how far back the workflows of the whole system are counted, and rateLeast how many there must be.
	rateWindow = time.Hour
	rateLeast  = 10
	// rateLimit and rateWarning are percentages of workflows that failed.
	rateLimit   = 10
	rateWarning = 8
	percent     = 100
)

// The bounds of the API on what is kept of a failure.
const (
	longestAction = 63
	longestTarget = 512
)

// failure is what makes two failures the same.
type failure struct {
	action    string
	errorType shared.ErrorType
	target    string
}

// rate is how the workflows of the whole system have ended within rateWindow.
type rate struct{ finished, failed int }

func (r rate) atLeast(limit int) bool {
	return r.finished >= rateLeast && r.failed*percent >= limit*r.finished
}

// rateOf counts the workflows that ended within rateWindow. Those whose failure says nothing about the plan are not counted.
func rateOf(workflows []workflowexecutionv1.WorkflowExecution, now time.Time) rate {
	var r rate
	for i := range workflows {
		status := &workflows[i].Status
		if !status.Phase.Terminal() || status.CompletionTime == nil || !status.CompletionTime.After(now.Add(-rateWindow)) {
			continue
		}
		failed := status.Phase == workflowexecutionv1.PhaseFailed
		if failed && !anotherPlanHelps(status.ErrorType) {
			continue
		}
		r.finished++
		if failed {
			r.failed++
		}
	}
	return r
}

// anotherPlanHelps says whether a failure of this class may be one of the plan.
func anotherPlanHelps(errorType shared.ErrorType) bool {
	switch errorType {
	case shared.ErrorPolicyDenied, shared.ErrorPermissionDenied, shared.ErrorApprovalRejected, shared.ErrorApprovalExpired, shared.ErrorCancelled:
		return false
	case "", shared.ErrorTimeout, shared.ErrorResourceNotFound, shared.ErrorResourceConflict, shared.ErrorResourceQuotaExceeded,
		shared.ErrorValidation, shared.ErrorIneffective, shared.ErrorUnknown:
	}
	return true
}

// circumstances are all that the verdict on another attempt rests on.
type circumstances struct {
	// attempts are the recoveries that were started, of at most most.
	attempts, most int32
	// failure is the one that another attempt would answer, and failures are all of the request, this one included.
	failure  failure
	failures []failure
	// recent is how the workflows of all requests have ended lately.
	recent rate
	// overdue says that the time of the request is up.
	overdue bool
}

// verdict says whether another attempt is worth it, and why.
type verdict struct {
	viable  bool
	reason  string
	message string
}

func (v verdict) status() metav1.ConditionStatus {
	if v.viable {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

// judge applies the rules in their order; the first that stands against another attempt gives the reason.
func judge(c circumstances) verdict {
	same := 0
	for _, f := range c.failures {
		if f == c.failure {
			same++
		}
	}
	switch {
	case c.most == 0:
		return verdict{reason: ReasonAttemptsExhausted, message: "the request allows no recovery."}
	case c.attempts >= c.most:
		return verdict{reason: ReasonAttemptsExhausted, message: fmt.Sprintf("%d of %d recovery attempts are used.", c.attempts, c.most)}
	case same >= sameFailures:
		return verdict{reason: ReasonSameFailure, message: fmt.Sprintf("the same failure has occurred %d times: %s.", same, c.failure)}
	case !anotherPlanHelps(c.failure.errorType):
		return verdict{reason: ReasonErrorTypeNotRecoverable, message: fmt.Sprintf("another plan does not help against %s.", c.failure.errorType)}
	case c.recent.atLeast(rateLimit):
		return verdict{reason: ReasonFailureRateTooHigh, message: fmt.Sprintf(
			"%s; from %d %% on no recovery is started, because something else than the plans may be wrong.", c.recent, rateLimit)}
	case c.overdue:
		return verdict{reason: ReasonTimedOut, message: "the overall limit is reached."}
	case c.recent.atLeast(rateWarning):
		return verdict{viable: true, reason: ReasonViableFailureRateHigh, message: fmt.Sprintf(
			"Another plan may help. Beware: %s; from %d %% on no recovery is started.", c.recent, rateLimit)}
	default:
		return verdict{viable: true, reason: ReasonViable, message: "Another plan may help."}
	}
}

func (r rate) String() string {
	return fmt.Sprintf("%d of the %d workflows that ended in the last hour failed", r.failed, r.finished)
}

func (f failure) String() string {
	text := string(f.errorType)
	if f.action != "" {
		text += " of " + f.action
	}
	if f.target != "" {
		text += " on " + f.target
	}
	return text
}

// failureOf is the failure of a workflow: that of the step to blame, or, when none is, that of all its actions on all its targets.
func failureOf(workflow *workflowexecutionv1.WorkflowExecution) failure {
	f := failure{errorType: workflow.Status.ErrorType}
	if f.errorType == "" {
		f.errorType = shared.ErrorUnknown
	}
	if workflow.Spec.WorkflowDefinition == nil {
		f.action = workflow.Status.FailedAction
		return f
	}
	steps := workflow.Spec.WorkflowDefinition.Steps
	if failed := workflow.Status.FailedStep; failed != nil && *failed >= 0 && int(*failed) < len(steps) {
		steps = steps[*failed : *failed+1]
	}
	var types, targets []string
	for i := range steps {
		types = append(types, string(steps[i].Action.Type))
		if target := targetText(&steps[i].Action); target != "" {
			targets = append(targets, target)
		}
	}
	f.action, f.target = machinery.Cut(distinct(types), longestAction), machinery.Cut(distinct(targets), longestTarget)
	return f
}

// distinct are the texts, each once, in an order that does not depend on that of the steps.
func distinct(texts []string) string {
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), ", ")
}

// targetText is what an action changes, for people; empty for one that changes nothing.
func targetText(action *shared.Action) string {
	known, ok := actions.Get(action.Type)
	if !ok {
		return ""
	}
	target := known.Target(action)
	if target == nil {
		return ""
	}
	return target.String()
}

func (d *decider) circumstances(workflow *workflowexecutionv1.WorkflowExecution) circumstances {
	c := circumstances{
		attempts: d.status.RecoveryAttempts, most: valueOr(d.status.MaxRecoveryAttempts, 0),
		failure: failureOf(workflow), recent: d.recent, overdue: d.overallOverdue(),
	}
	for _, ref := range d.status.WorkflowExecutionRefs {
		if ref.ErrorType != "" {
			c.failures = append(c.failures, failure{action: ref.FailedAction, errorType: ref.ErrorType, target: ref.Target})
		}
	}
	return c
}

// recover starts another attempt: all of it is recorded before anything of it is made.
func (d *decider) recover(workflow *workflowexecutionv1.WorkflowExecution, cause string) {
	d.enter(remediationv1.PhaseRecovering)
	d.status.RecoveryAttempts++
	d.status.RecoveryReason = recoveryReason(workflow)
	d.status.CurrentWorkflowExecutionRef = nil
	d.decision.processing = d.newProcessing(workflow)
	again := fmt.Sprintf("This is found out anew for recovery %d.", d.status.RecoveryAttempts)
	d.conditions.Set(remediationv1.ConditionProcessed, metav1.ConditionUnknown, ReasonRecovering, again)
	d.conditions.Set(remediationv1.ConditionAnalyzed, metav1.ConditionUnknown, ReasonRecovering, again)
	d.conditions.Progressing(ReasonRecovering, fmt.Sprintf("Recovery %d: the target is examined anew by %s %s. %s",
		d.status.RecoveryAttempts, kindProcessing, d.decision.processing.Name, cause))
	d.wakeAt = machinery.Earliest(d.deadline(), d.refTime())
}

// recoveryReason is why a recovery is started, in a form that programs can read.
func recoveryReason(workflow *workflowexecutionv1.WorkflowExecution) string {
	reason := "workflow_" + string(failureOf(workflow).errorType)
	if workflow.Status.FailedStep != nil {
		reason += fmt.Sprintf("_step_%d", *workflow.Status.FailedStep)
	}
	return reason
}

// worthKeeping says whether a failed workflow left completed steps behind that are of use by themselves: they changed something,
// nothing of it was undone, and it was not they that did not help.
func worthKeeping(workflow *workflowexecutionv1.WorkflowExecution) bool {
	if workflow.Status.Outcome != workflowexecutionv1.OutcomeFailed || workflow.Status.ErrorType == shared.ErrorIneffective {
		return false
	}
	return slices.ContainsFunc(workflow.Status.Steps, func(step workflowexecutionv1.StepStatus) bool {
		return step.Phase == workflowexecutionv1.StepCompleted && step.Action != string(shared.ActionNotifyOnly)
	})
}

// lost is the first of the earlier analyses that is not there any more; the next one could propose again what failed.
func (d *decider) lost() (name, foreign string, is bool) {
	for attempt := range d.status.RecoveryAttempts {
		name = shared.AnalysisName(d.request.Name, attempt)
		if int(attempt) >= len(d.earlier) || d.earlier[attempt].object == nil {
			if int(attempt) < len(d.earlier) {
				foreign = d.earlier[attempt].foreign
			}
			return name, foreign, true
		}
	}
	return "", "", false
}

// recovering completes the spec of an analysis with what failed before.
func (d *decider) recovering(spec *aianalysisv1.AIAnalysisSpec) {
	spec.IsRecoveryAttempt, spec.RecoveryAttemptNumber = true, d.status.RecoveryAttempts
	failed := d.workflowRef(shared.WorkflowName(d.request.Name, d.status.RecoveryAttempts-1))
	if failed != nil {
		spec.FailureReason = failed.FailureReason
		if failed.FailedStep != nil {
			spec.FailedStep = new(*failed.FailedStep)
		}
	}
	for _, earlier := range d.earlier {
		spec.PreviousAIAnalysisRefs = append(spec.PreviousAIAnalysisRefs, shared.ObjectReference{Name: earlier.object.Name, UID: earlier.object.UID})
		recommended := earlier.object.Status.Recommendation
		if recommended != nil && recommended.PlaybookRef != "" && !slices.Contains(spec.FailedPlaybooks, recommended.PlaybookRef) {
			spec.FailedPlaybooks = append(spec.FailedPlaybooks, recommended.PlaybookRef)
		}
	}
}
