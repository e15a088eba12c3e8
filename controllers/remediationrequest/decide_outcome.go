package remediationrequest

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// longestCause keeps what failed from pushing what to look at out of an escalation.
const longestCause = 480

// refer keeps the entry of the workflow as the workflow is: in progress, or ended with what it says of its end.
func (d *decider) refer(workflow *workflowexecutionv1.WorkflowExecution) {
	ref := d.workflowRef(workflow.Name)
	if ref == nil {
		d.status.WorkflowExecutionRefs = append(d.status.WorkflowExecutionRefs, remediationv1.WorkflowReference{
			Name: workflow.Name, Namespace: workflow.Namespace, AttemptNumber: d.status.RecoveryAttempts + 1,
			Outcome: remediationv1.OutcomeInProgress,
		})
		d.status.CurrentWorkflowExecutionRef = new(workflow.Name)
		ref = d.workflowRef(workflow.Name)
	}
	if !workflow.Status.Phase.Terminal() {
		return
	}
	if outcome := workflow.Status.Outcome; outcome != "" {
		ref.Outcome = remediationv1.WorkflowReferenceOutcome(outcome)
	} else if workflow.Status.Phase == workflowexecutionv1.PhaseFailed {
		ref.Outcome = remediationv1.WorkflowReferenceOutcome(workflowexecutionv1.OutcomeFailed)
	} else {
		ref.Outcome = remediationv1.WorkflowReferenceOutcome(workflowexecutionv1.OutcomeUnverified)
	}
	ref.CompletionTime = workflow.Status.CompletionTime.DeepCopy()
	if workflow.Status.Phase == workflowexecutionv1.PhaseFailed {
		failed := failureOf(workflow)
		ref.Target, ref.FailedAction, ref.ErrorType = failed.target, failed.action, failed.errorType
		ref.FailedStep = workflow.Status.FailedStep
		ref.FailureReason = workflow.Status.FailureReason
	}
}

func (d *decider) workflowCompleted(workflow *workflowexecutionv1.WorkflowExecution) {
	name := kindWorkflow + " " + workflow.Name
	switch outcome := workflow.Status.Outcome; outcome {
	case workflowexecutionv1.OutcomeSuccess, workflowexecutionv1.OutcomeUnverified:
		d.ranAll(workflow)
	case workflowexecutionv1.OutcomePartialSuccess:
		d.succeed(remediationv1.OutcomePartialSuccess, ReasonPartialSuccess,
			name+" succeeded but for steps that are not critical; look at them with: "+d.look(resourceWorkflow, workflow.Name))
	case workflowexecutionv1.OutcomeDryRun:
		d.succeed(remediationv1.OutcomeDryRun, ReasonDryRun,
			"Nothing was changed; what would have been is in the status of the workflow: "+d.look(resourceWorkflow, workflow.Name))
	case "", workflowexecutionv1.OutcomeFailed, workflowexecutionv1.OutcomeRolledBack, workflowexecutionv1.OutcomePartiallyRolledBack,
		workflowexecutionv1.OutcomeRollbackFailed, workflowexecutionv1.OutcomeCancelled:
		message := fmt.Sprintf("%s is completed with the outcome %q, which says nothing about the target. Look at it with: %s",
			name, outcome, d.look(resourceWorkflow, workflow.Name))
		d.conditions.False(remediationv1.ConditionWorkflowSucceeded, ReasonWorkflowFailed, message)
		d.escalate(remediationv1.OutcomeManualReviewRequired, ReasonWorkflowFailed, message)
	}
}

// ranAll ends the request with a workflow whose steps all did what they are for. Where none is for a change, nothing was repaired: the
// workflow has told people, and they go on.
func (d *decider) ranAll(workflow *workflowexecutionv1.WorkflowExecution) {
	name := kindWorkflow + " " + workflow.Name
	switch {
	case !changes(workflow):
		message := name + " ran all its steps, none of which changes anything: a person must go on. Look at it with: " + d.look(resourceWorkflow, workflow.Name)
		d.conditions.True(remediationv1.ConditionWorkflowSucceeded, ReasonNothingChanged, message)
		d.escalate(remediationv1.OutcomeManualReviewRequired, ReasonNothingChanged, message)
	case workflow.Status.Outcome == workflowexecutionv1.OutcomeUnverified:
		d.succeed(remediationv1.OutcomeRemediated, ReasonUnverified,
			name+" ran all its steps; whether the target is healthy cannot be determined for this kind of target.")
	default:
		d.succeed(remediationv1.OutcomeRemediated, ReasonRemediated, name+" succeeded and the target is healthy.")
	}
}

// changes says whether any step of a workflow is for a change. One whose action is not known counts as one.
func changes(workflow *workflowexecutionv1.WorkflowExecution) bool {
	definition := workflow.Spec.WorkflowDefinition
	return definition == nil || slices.ContainsFunc(definition.Steps, func(step shared.Step) bool {
		action, known := actions.Get(step.Action.Type)
		return !known || action.Mutates()
	})
}

func (d *decider) succeed(outcome remediationv1.RemediationOutcome, reason, message string) {
	d.conditions.True(remediationv1.ConditionWorkflowSucceeded, reason, message)
	d.complete(outcome, reason, message)
}

func (d *decider) workflowFailed(workflow *workflowexecutionv1.WorkflowExecution) {
	d.status.LastFailureTime = &d.now
	if workflow.Status.CompletionTime != nil {
		d.status.LastFailureTime = workflow.Status.CompletionTime.DeepCopy()
	}
	cause := failureText(workflow)
	d.conditions.False(remediationv1.ConditionWorkflowSucceeded, ReasonWorkflowFailed, cause)
	// A workflow that was stopped because the time is up fails as cancelled.
	late := workflow.Spec.Cancel != "" && workflow.Status.ErrorType == shared.ErrorCancelled && d.overallOverdue()
	if d.cancelAsked() || late {
		d.stoppedWorkflow(workflow, cause)
		return
	}
	found := judge(d.circumstances(workflow))
	d.verdict = &found
	d.conditions.Set(remediationv1.ConditionRecoveryViable, found.status(), found.reason, found.message)
	if found.viable {
		d.recover(workflow, cause)
		return
	}
	message := fmt.Sprintf("%s %s No further attempt is made: %s Look at it with: %s",
		cause, undoneText(workflow), found.message, d.look(resourceWorkflow, workflow.Name))
	switch {
	case found.reason == ReasonTimedOut:
		d.escalate(remediationv1.OutcomeTimedOut, ReasonTimedOut, message)
	case found.reason == ReasonFailureRateTooHigh && worthKeeping(workflow):
		d.complete(remediationv1.OutcomePartialSuccess, ReasonPartialSuccess, message)
	default:
		d.escalate(remediationv1.OutcomeManualReviewRequired, ReasonWorkflowFailed, message)
	}
}

// failureText says what failed, where and why.
func failureText(workflow *workflowexecutionv1.WorkflowExecution) string {
	failed := failureOf(workflow)
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s failed", kindWorkflow, workflow.Name)
	if workflow.Status.FailedStep != nil {
		fmt.Fprintf(&text, " at step %s (%s", workflow.Status.FailedStepName, workflow.Status.FailedAction)
		if failed.target != "" {
			fmt.Fprintf(&text, " on %s", failed.target)
		}
		text.WriteString(")")
	}
	fmt.Fprintf(&text, ": %s", failed.errorType)
	if workflow.Status.FailureReason != "" {
		fmt.Fprintf(&text, ": %s", workflow.Status.FailureReason)
	}
	return sentence(text.String())
}

// undoneText says what became of the effects of the workflow.
func undoneText(workflow *workflowexecutionv1.WorkflowExecution) string {
	switch workflow.Status.Outcome {
	case workflowexecutionv1.OutcomeRolledBack:
		return "What it had changed was undone."
	case workflowexecutionv1.OutcomePartiallyRolledBack:
		return "Only part of what it had changed was undone."
	case workflowexecutionv1.OutcomeRollbackFailed:
		return "What it had changed could not be undone."
	case "", workflowexecutionv1.OutcomeSuccess, workflowexecutionv1.OutcomePartialSuccess, workflowexecutionv1.OutcomeUnverified,
		workflowexecutionv1.OutcomeDryRun, workflowexecutionv1.OutcomeFailed, workflowexecutionv1.OutcomeCancelled:
	}
	return fmt.Sprintf("Nothing was undone; %d of its %d steps were completed.", workflow.Status.CompletedSteps, workflow.Status.TotalSteps)
}

func (d *decider) duplicate(of string) {
	d.status.DuplicateOf = of
	d.complete(remediationv1.OutcomeDuplicate, ReasonDuplicate, kindRequest+" "+of+" is active for the same signal and target.")
}

func (d *decider) setProcessed(processing *remediationprocessingv1.RemediationProcessing) {
	if processing.Status.Degraded {
		d.conditions.True(remediationv1.ConditionProcessed, ReasonDegraded,
			"The target was examined; not everything could be read: "+strings.Join(processing.Status.DegradedReasons, "; "))
		return
	}
	d.conditions.True(remediationv1.ConditionProcessed, ReasonProcessed, "The target was examined.")
}

func (d *decider) setAnalyzed(analysis *aianalysisv1.AIAnalysis) {
	d.conditions.True(remediationv1.ConditionAnalyzed, ReasonAnalyzed, "The cause: "+analysis.Status.RootCause)
}

// executing says what the workflow does.
func (d *decider) executing(workflow *workflowexecutionv1.WorkflowExecution) {
	name := kindWorkflow + " " + shared.WorkflowName(d.request.Name, d.status.RecoveryAttempts)
	if workflow != nil && workflow.Status.WaitingSince != nil {
		message := name + " waits"
		if why := readyMessage(workflow.Status.Conditions); why != "" {
			message += ": " + why
		}
		d.conditions.Progressing(ReasonWorkflowWaiting, message)
		return
	}
	d.conditions.Progressing(ReasonExecuting, name+" repairs the target.")
	d.wakeAt = d.deadline()
}

func readyMessage(conditions []metav1.Condition) string {
	if ready := meta.FindStatusCondition(conditions, shared.ConditionReady); ready != nil {
		return ready.Message
	}
	return ""
}

// sentence is the text of another, bounded, with an end.
func sentence(text string) string {
	return machinery.Cut(strings.TrimSuffix(text, "."), longestCause) + "."
}

// The ends of a request that its children cause.

func (d *decider) childFailed(condition, reason, kind, name, why string) {
	message := fmt.Sprintf("%s %s failed: %s", kind, name, sentence(why))
	d.conditions.False(condition, reason, message)
	d.escalate(remediationv1.OutcomeManualReviewRequired, reason, message+" Look at it with: "+d.look(resourceOf(kind), name))
}

func (d *decider) gone(kind, name string) {
	d.escalate(remediationv1.OutcomeManualReviewRequired, ReasonChildGone,
		fmt.Sprintf("%s %s was deleted while it was needed; whether it had done something is in the events of %s. Make a new request to try again.",
			kind, name, d.request.Spec.Target.String()))
}

func (d *decider) foreign(kind, name, why string) {
	d.escalate(remediationv1.OutcomeManualReviewRequired, ReasonChildForeign,
		fmt.Sprintf("%s %s exists and is not a child of this request: %s. Make a new request, under another name if that is to stay. Look at it with: %s",
			kind, name, why, d.look(resourceOf(kind), name)))
}

// lostChild ends a request whose child was taken from it: its garbage is no longer collected with the request, and nobody can say
// what else was changed.
func (d *decider) lostChild(kind, name, why string) {
	d.escalate(remediationv1.OutcomeManualReviewRequired, ReasonChildForeign,
		fmt.Sprintf("%s %s is no longer a child of this request: %s. Make a new request. Look at it with: %s", kind, name, why, d.look(resourceOf(kind), name)))
}

// lostWorkflow ends the request; the workflow goes on by its own rules, and its end is still recorded.
func (d *decider) lostWorkflow(workflow *workflowexecutionv1.WorkflowExecution, why string) {
	d.refer(workflow)
	message := fmt.Sprintf("%s %s is no longer a child of this request: %s.", kindWorkflow, workflow.Name, why)
	if !workflow.Status.Phase.Terminal() {
		message += " What it has begun it finishes, or undoes, by itself; no other plan is tried."
	}
	d.escalate(remediationv1.OutcomeManualReviewRequired, ReasonChildForeign, message+" Look at it with: "+d.look(resourceWorkflow, workflow.Name))
}

func (d *decider) refused() {
	d.escalate(remediationv1.OutcomeManualReviewRequired, ReasonChildRefused,
		"The next child cannot be created: "+sentence(d.refusal.Error())+" Look at it with: "+d.look(resourceRequest, d.request.Name))
}

func (d *decider) timedOut(why string) {
	what := "the limit of phase " + string(d.status.OverallPhase)
	if d.overallOverdue() {
		what = "the overall limit"
	}
	d.escalate(remediationv1.OutcomeTimedOut, ReasonTimedOut,
		fmt.Sprintf("The remediation reached %s: %s. Look at it with: %s", what, why, d.look(resourceRequest, d.request.Name)))
}

// complete ends the request well.
func (d *decider) complete(outcome remediationv1.RemediationOutcome, reason, message string) {
	d.end(remediationv1.PhaseCompleted, outcome)
	d.conditions.Succeeded(reason, message)
}

// escalate ends the request and hands it over to people.
func (d *decider) escalate(outcome remediationv1.RemediationOutcome, reason, message string) {
	d.end(remediationv1.PhaseFailed, outcome)
	d.status.EscalatedToManualReview = true
	d.status.EscalationReason = machinery.Cut(message, longestEscalation)
	d.conditions.Failed(reason, message)
	d.conditions.True(remediationv1.ConditionEscalated, reason, message)
	if d.notifies {
		d.conditions.False(remediationv1.ConditionNotified, remediationv1.ReasonNotificationPending, "The notification sink is to be told.")
	}
}

func (d *decider) end(phase remediationv1.RemediationPhase, outcome remediationv1.RemediationOutcome) {
	d.enter(phase)
	d.status.Outcome = outcome
	d.status.CompletionTime = &d.now
	d.retry = nil
	d.wakeAt = d.now.Add(durationOr(d.request.Spec.TTLAfterFinished, defaultTTL))
}
