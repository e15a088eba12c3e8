package workflowexecution

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// maxNote bounds what an event quotes: the API server takes 1024 bytes.
const maxNote = 900

// Reasons of the events of a WorkflowExecution.
const (
	EventPlanned           = "Planned"
	EventValidated         = "Validated"
	EventPolicyDenied      = "PolicyDenied"
	EventPolicyHold        = "PolicyHold"
	EventApprovalRequested = "ApprovalRequested"
	EventStepStarted       = "StepStarted"
	EventStepCompleted     = "StepCompleted"
	EventStepFailed        = "StepFailed"
	EventRollbackStarted   = "RollbackStarted"
	EventRollbackCompleted = "RollbackCompleted"
	EventWorkflowCompleted = "WorkflowCompleted"
	EventWorkflowFailed    = "WorkflowFailed"
	EventPhaseTimeout      = "PhaseTimeout"
	EventDeleted           = "WorkflowExecutionDeleted"
	// EventNotRolledBack is about a namespace: in one that is being deleted no event can be created either.
	EventNotRolledBack = "NotRolledBack"
	// EventOrphaned tells that the workflow is no longer the child of the request that it names.
	EventOrphaned = "Orphaned"
)

// announce tells of what the status write changed, as events and metrics.
func (r *Reconciler) announce(before *workflowexecutionv1.WorkflowExecution, next decision) {
	after := next.status
	if before.Status.Plan == nil && after.Plan != nil {
		r.event(before, corev1.EventTypeNormal, EventPlanned, "Plan", "%s plan, about %s", after.Plan.Strategy, after.Plan.EstimatedDuration.Duration)
	}
	if before.Status.Phase == workflowexecutionv1.PhaseValidating && after.Phase != workflowexecutionv1.PhaseValidating && after.ErrorType == "" {
		r.event(before, corev1.EventTypeNormal, EventValidated, "Validate", "the safety gate allowed every step (policy set %.12s)", after.Validation.PolicySetRevision)
	}
	for i := range after.Steps {
		r.announceStep(before, i, after.Steps[i])
	}
	if orphan := machinery.BecameOrphan(before.Status.Conditions, after.Conditions); orphan != nil {
		r.event(before, corev1.EventTypeWarning, EventOrphaned, "Watch", "%s", machinery.Cut(orphan.Message, maxNote))
	}
	r.announceHold(before, after)
	r.announceApproval(before, after)
	r.announceRollback(before, after)
	if before.Status.Phase == after.Phase || !after.Phase.Terminal() {
		return
	}
	observe(before, after)
	if after.Phase == workflowexecutionv1.PhaseCompleted {
		r.event(before, corev1.EventTypeNormal, EventWorkflowCompleted, "Complete", "the workflow is completed: %s", after.Outcome)
		return
	}
	switch after.ErrorType { //nolint:exhaustive // only these have an event of their own
	case shared.ErrorPolicyDenied:
		r.event(before, corev1.EventTypeWarning, EventPolicyDenied, "Validate", "%s", after.FailureReason)
	case shared.ErrorTimeout:
		r.event(before, corev1.EventTypeWarning, EventPhaseTimeout, "Wait", "%s", after.FailureReason)
	}
	r.event(before, corev1.EventTypeWarning, EventWorkflowFailed, "Fail", "the workflow failed (%s): %s", after.ErrorType, after.FailureReason)
}

// announceHold tells of the beginning of a policy hold.
func (r *Reconciler) announceHold(before *workflowexecutionv1.WorkflowExecution, after workflowexecutionv1.WorkflowExecutionStatus) {
	held := func(conditions []metav1.Condition) *metav1.Condition {
		condition := meta.FindStatusCondition(conditions, workflowexecutionv1.ConditionSuspended)
		if condition == nil || condition.Status != metav1.ConditionTrue || condition.Reason != ReasonPolicyHold {
			return nil
		}
		return condition
	}
	if hold := held(after.Conditions); hold != nil && held(before.Status.Conditions) == nil {
		r.event(before, corev1.EventTypeWarning, EventPolicyHold, "Wait", "%s", machinery.Cut(hold.Message, maxNote))
	}
}

// announceDeletion tells that a workflow has gone, in which phase.
func (r *Reconciler) announceDeletion(workflow *workflowexecutionv1.WorkflowExecution) {
	phase := cmp.Or(workflow.Status.Phase, workflowexecutionv1.PhasePlanning)
	r.event(workflow, corev1.EventTypeNormal, EventDeleted, "Delete", "the workflow was deleted in phase %s", phase)
}

// announceNamespace tells that effects stay because their workflow's namespace goes. The event is about the namespace: the API
// server keeps it in another one.
func (r *Reconciler) announceNamespace(before *workflowexecutionv1.WorkflowExecution, s snapshot, next decision) {
	if !s.terminating || before.Status.Phase.Terminal() || !next.status.Phase.Terminal() {
		return
	}
	condition := meta.FindStatusCondition(next.status.Conditions, workflowexecutionv1.ConditionRolledBack)
	if condition == nil || condition.Status == metav1.ConditionTrue {
		return
	}
	namespace := &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: before.Namespace}}
	r.Recorder.Eventf(namespace, before, corev1.EventTypeWarning, EventNotRolledBack, "Delete", "WorkflowExecution %s: %s", before.Name, machinery.Cut(condition.Message, maxNote))
}

// announceRollback tells of the beginning and the end of rolling back.
func (r *Reconciler) announceRollback(before *workflowexecutionv1.WorkflowExecution, after workflowexecutionv1.WorkflowExecutionStatus) {
	was, is := before.Status.Phase == workflowexecutionv1.PhaseRollingBack, after.Phase == workflowexecutionv1.PhaseRollingBack
	condition := meta.FindStatusCondition(after.Conditions, workflowexecutionv1.ConditionRolledBack)
	if was == is || condition == nil {
		return
	}
	kind := corev1.EventTypeNormal
	if is {
		r.event(before, kind, EventRollbackStarted, "RollBack", "%s", condition.Message)
		return
	}
	if condition.Status != metav1.ConditionTrue {
		kind = corev1.EventTypeWarning
	}
	r.event(before, kind, EventRollbackCompleted, "RollBack", "%s: %s", after.Outcome, machinery.Cut(condition.Message, maxNote))
}

func (r *Reconciler) announceStep(workflow *workflowexecutionv1.WorkflowExecution, i int, step workflowexecutionv1.StepStatus) {
	var had workflowexecutionv1.StepPhase
	var attempts int32
	if i < len(workflow.Status.Steps) {
		had, attempts = workflow.Status.Steps[i].Phase, workflow.Status.Steps[i].Attempts
	}
	if step.Attempts > attempts {
		r.event(workflow, corev1.EventTypeNormal, EventStepStarted, "Execute", "step %s: %s, attempt %d", step.Name, step.Action, step.Attempts)
	}
	if step.Phase == had {
		return
	}
	if step.Phase == workflowexecutionv1.StepCompleted {
		r.event(workflow, corev1.EventTypeNormal, EventStepCompleted, "Execute", "step %s is completed", step.Name)
	}
	if step.Phase == workflowexecutionv1.StepFailed || (step.Phase == workflowexecutionv1.StepPending && step.RetryAt != nil) {
		r.event(workflow, corev1.EventTypeWarning, EventStepFailed, "Execute", "step %s failed (%s): %s", step.Name, step.ErrorType, step.Message)
	}
}

func (r *Reconciler) event(workflow *workflowexecutionv1.WorkflowExecution, kind, reason, action, note string, args ...any) {
	r.Recorder.Eventf(workflow, nil, kind, reason, action, note, args...)
}
