package v1

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
)

// RemediationRequest asks for the repair of one target. The orchestrator carries it out: it has the target examined, analysed and
// repaired, and decides what follows a failure.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=remediationrequests,shortName=rr,categories=kubernaut,scope=Namespaced
// +kubebuilder:selectablefield:JSONPath=`.spec.signalContext.fingerprint`
// +kubebuilder:printcolumn:name="Signal",type=string,JSONPath=`.spec.signalContext.name`
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.target.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.overallPhase`
// +kubebuilder:printcolumn:name="Outcome",type=string,JSONPath=`.status.outcome`
// +kubebuilder:printcolumn:name="Recoveries",type=integer,JSONPath=`.status.recoveryAttempts`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.spec.target.kind`,priority=1
// +kubebuilder:printcolumn:name="Requested By",type=string,JSONPath=`.spec.requestedBy.username`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`,priority=1
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.overallPhase) || !(oldSelf.status.overallPhase in ['completed', 'failed']) || (has(self.status) && has(self.status.overallPhase) && self.status.overallPhase == oldSelf.status.overallPhase)",message="status.overallPhase is terminal: completed and failed never change"
type RemediationRequest struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`
	// spec is what is asked for; immutable but for cancel.
	// +required
	Spec RemediationRequestSpec `json:"spec,omitzero"`
	// status is what the orchestrator has done so far.
	// +optional
	// +structType=atomic
	Status RemediationRequestStatus `json:"status,omitzero"`
}

// RemediationRequestList is a list of RemediationRequest.
// +kubebuilder:object:root=true
type RemediationRequestList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a list.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []RemediationRequest `json:"items"`
}

// RemediationRequestSpec is what is asked for.
// +kubebuilder:validation:XValidation:rule="self.signalContext == oldSelf.signalContext",fieldPath=".signalContext",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.target == oldSelf.target",fieldPath=".target",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.mode) == has(oldSelf.mode) && (!has(self.mode) || self.mode == oldSelf.mode)",fieldPath=".mode",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.maxRecoveryAttempts) == has(oldSelf.maxRecoveryAttempts) && (!has(self.maxRecoveryAttempts) || self.maxRecoveryAttempts == oldSelf.maxRecoveryAttempts)",fieldPath=".maxRecoveryAttempts",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.ttlAfterFinished) == has(oldSelf.ttlAfterFinished) && (!has(self.ttlAfterFinished) || self.ttlAfterFinished == oldSelf.ttlAfterFinished)",fieldPath=".ttlAfterFinished",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.timeouts) == has(oldSelf.timeouts) && (!has(self.timeouts) || self.timeouts == oldSelf.timeouts)",fieldPath=".timeouts",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.requestedBy == oldSelf.requestedBy",fieldPath=".requestedBy",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",fieldPath=".cancel",message="cannot be taken back"
type RemediationRequestSpec struct {
	// signalContext is what the signal source knew.
	// +required
	// +structType=atomic
	SignalContext shared.SignalContext `json:"signalContext,omitzero"`
	// target is what is to be repaired. A namespaced target without a namespace is one in the request's own namespace.
	// +required
	// +structType=atomic
	Target shared.Target `json:"target,omitzero"`
	// mode is Remediate, the default, or DryRun: everything up to and including the server-side dry run, and no effect; the
	// outcome says what would have been done. The label kubernaut.io/mode: dry-run on the target's namespace forces DryRun.
	// +optional
	// +kubebuilder:default=Remediate
	Mode shared.Mode `json:"mode,omitempty"`
	// maxRecoveryAttempts is how many further workflows may be tried after the first one failed, 0 to 10, default 3.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	// +kubebuilder:default=3
	MaxRecoveryAttempts *int32 `json:"maxRecoveryAttempts,omitempty"`
	// ttlAfterFinished is how long a finished request is kept, from 0s to 8760h, default 24h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="must be from 0s to 8760h"
	// +kubebuilder:default="24h0m0s"
	TTLAfterFinished *metav1.Duration `json:"ttlAfterFinished,omitempty"`
	// timeouts are the limits of the phases. Waiting for a person does not count.
	// +optional
	// +kubebuilder:default={}
	// +structType=atomic
	Timeouts *RemediationTimeouts `json:"timeouts,omitempty"`
	// requestedBy is who created the request, as the API server authenticated them. Admission stamps it: leave it out.
	// +required
	// +structType=atomic
	RequestedBy shared.Requester `json:"requestedBy,omitzero"`
	// cancel stops the remediation when set to true: the running workflow is cancelled with AbortAndRollBack. It cannot be
	// taken back.
	// +optional
	Cancel *bool `json:"cancel,omitempty"`
}

// RemediationTimeouts are the limits of the phases of a remediation; the workflow has its own.
type RemediationTimeouts struct {
	// processing limits the examination of the target, from 1s to 1h, default 5m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="must be from 1s to 1h"
	// +kubebuilder:default="5m0s"
	Processing *metav1.Duration `json:"processing,omitempty"`
	// analyzing limits the analysis, from 1s to 1h, default 10m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="must be from 1s to 1h"
	// +kubebuilder:default="10m0s"
	Analyzing *metav1.Duration `json:"analyzing,omitempty"`
	// overall limits the whole remediation, from 1s to 24h, default 1h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="must be from 1s to 24h"
	// +kubebuilder:default="1h0m0s"
	Overall *metav1.Duration `json:"overall,omitempty"`
}

// RemediationPhase is where a remediation stands.
// +kubebuilder:validation:Enum=pending;processing;analyzing;executing;recovering;completed;failed
type RemediationPhase string

// The phases of a remediation.
const (
	PhasePending    RemediationPhase = "pending"
	PhaseProcessing RemediationPhase = "processing"
	PhaseAnalyzing  RemediationPhase = "analyzing"
	PhaseExecuting  RemediationPhase = "executing"
	PhaseRecovering RemediationPhase = "recovering"
	PhaseCompleted  RemediationPhase = "completed"
	PhaseFailed     RemediationPhase = "failed"
)

// Terminal says whether nothing follows the phase.
func (p RemediationPhase) Terminal() bool { return p == PhaseCompleted || p == PhaseFailed }

// RemediationOutcome is how a remediation ended.
// +kubebuilder:validation:Enum=Remediated;PartialSuccess;NoActionRequired;Duplicate;DryRun;ManualReviewRequired;Cancelled;TimedOut
type RemediationOutcome string

// The outcomes: the first five belong to phase completed, the others to failed.
const (
	OutcomeRemediated           RemediationOutcome = "Remediated"
	OutcomePartialSuccess       RemediationOutcome = "PartialSuccess"
	OutcomeNoActionRequired     RemediationOutcome = "NoActionRequired"
	OutcomeDuplicate            RemediationOutcome = "Duplicate"
	OutcomeDryRun               RemediationOutcome = "DryRun"
	OutcomeManualReviewRequired RemediationOutcome = "ManualReviewRequired"
	OutcomeCancelled            RemediationOutcome = "Cancelled"
	OutcomeTimedOut             RemediationOutcome = "TimedOut"
)

// Conditions of a RemediationRequest beside Ready and Stalled.
const (
	ConditionProcessed         = "Processed"
	ConditionAnalyzed          = "Analyzed"
	ConditionWorkflowSucceeded = "WorkflowSucceeded"
	ConditionRecoveryViable    = "RecoveryViable"
	ConditionEscalated         = "Escalated"
	// ConditionNotified says whether the notification sink has taken the notification of an escalation. It is there only if a sink
	// was configured at that time.
	ConditionNotified = "Notified"
)

// The reasons of condition Notified. The first two say that it is still to be delivered.
const (
	ReasonNotificationPending = "Pending"
	ReasonDeliveryFails       = "DeliveryFails"
	ReasonDelivered           = "Delivered"
	ReasonDeliveryGivenUp     = "GivenUp"
)

// AwaitsNotification says whether the notification of an escalation is still to be delivered.
func AwaitsNotification(request *RemediationRequest) bool {
	notified := meta.FindStatusCondition(request.Status.Conditions, ConditionNotified)
	return notified != nil && (notified.Reason == ReasonNotificationPending || notified.Reason == ReasonDeliveryFails)
}

// RemediationRequestStatus is what the orchestrator has done so far.
type RemediationRequestStatus struct {
	// conditions say where the object stands: Ready and Stalled in summary, and Processed, Analyzed, WorkflowSucceeded, RecoveryViable, Escalated and Notified.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// overallPhase is where the remediation stands.
	// +optional
	OverallPhase RemediationPhase `json:"overallPhase,omitempty"`
	// outcome is how the remediation ended; set with the terminal phase.
	// +optional
	Outcome RemediationOutcome `json:"outcome,omitempty"`
	// startTime is when the orchestrator took the request up.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// phaseStartTime is when the current phase began; the phase's limit counts from here.
	// +optional
	PhaseStartTime *metav1.Time `json:"phaseStartTime,omitempty"`
	// completionTime is when the remediation ended.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
	// waitedSeconds is how long the remediation has waited for people, in seconds; it does not count against the limits.
	// +optional
	// +kubebuilder:validation:Minimum=0
	WaitedSeconds int64 `json:"waitedSeconds,omitempty"`
	// remediationProcessingRefs are the examinations of the target, one for each attempt.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=11
	RemediationProcessingRefs []AttemptReference `json:"remediationProcessingRefs,omitempty"`
	// aiAnalysisRefs are the analyses, one for each attempt.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=11
	AIAnalysisRefs []AttemptReference `json:"aiAnalysisRefs,omitempty"`
	// workflowExecutionRefs are the workflows, one for each attempt, from the moment that the child exists.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=11
	WorkflowExecutionRefs []WorkflowReference `json:"workflowExecutionRefs,omitempty"`
	// currentWorkflowExecutionRef is the name of the workflow of the current attempt; absent until it exists.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	CurrentWorkflowExecutionRef *string `json:"currentWorkflowExecutionRef,omitempty"`
	// recoveryAttempts is how many recoveries were started.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	RecoveryAttempts int32 `json:"recoveryAttempts,omitempty"`
	// maxRecoveryAttempts is the limit that applies, copied from the spec.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	MaxRecoveryAttempts *int32 `json:"maxRecoveryAttempts,omitempty"`
	// recoveryReason is why the last recovery was started: workflow_<errorType>_step_<failedStep>, without the step when none
	// is to blame.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	RecoveryReason string `json:"recoveryReason,omitempty"`
	// lastFailureTime is when the last workflow failed.
	// +optional
	LastFailureTime *metav1.Time `json:"lastFailureTime,omitempty"`
	// duplicateOf is the name of the active request for the same signal and target, for outcome Duplicate.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	DuplicateOf string `json:"duplicateOf,omitempty"`
	// escalatedToManualReview says that a person must go on.
	// +optional
	EscalatedToManualReview bool `json:"escalatedToManualReview,omitempty"`
	// escalationReason says why, and what to look at.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	EscalationReason string `json:"escalationReason,omitempty"`
}

// AttemptReference names a child of one attempt.
type AttemptReference struct {
	// name is the name of the child.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// namespace is the namespace of the child.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// attemptNumber is 1 for the initial attempt.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=11
	AttemptNumber int32 `json:"attemptNumber,omitempty"`
}

// WorkflowReferenceOutcome is how a workflow of this request ended, or InProgress.
// +kubebuilder:validation:Enum=InProgress;Success;PartialSuccess;Unverified;DryRun;Failed;RolledBack;PartiallyRolledBack;RollbackFailed;Cancelled
type WorkflowReferenceOutcome string

// OutcomeInProgress is the outcome of a workflow that has not ended; the other values are the workflow's own.
const OutcomeInProgress WorkflowReferenceOutcome = "InProgress"

// WorkflowReference names the workflow of one attempt and how it ended.
type WorkflowReference struct {
	// name is the name of the WorkflowExecution.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// namespace is the namespace of the WorkflowExecution.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// attemptNumber is 1 for the initial attempt.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=11
	AttemptNumber int32 `json:"attemptNumber,omitempty"`
	// outcome is InProgress until it is known, then the workflow's.
	// +optional
	Outcome WorkflowReferenceOutcome `json:"outcome,omitempty"`
	// target is the target of the step that failed, for people; the targets of all its steps when no step is to blame.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Target string `json:"target,omitempty"`
	// failedStep is the 0-based index of the step that failed; absent when no step is to blame.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	FailedStep *int32 `json:"failedStep,omitempty"`
	// failedAction is the type of the action that failed; the types of all its actions when no step is to blame.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	FailedAction string `json:"failedAction,omitempty"`
	// errorType is the class of the failure.
	// +optional
	ErrorType shared.ErrorType `json:"errorType,omitempty"`
	// failureReason says what happened.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	FailureReason string `json:"failureReason,omitempty"`
	// completionTime is when the workflow ended.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
}
