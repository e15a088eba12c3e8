package v1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
)

// WorkflowExecution plans, checks, runs and watches the steps of one workflow. It reports how it ended and never starts a recovery.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=workflowexecutions,shortName=wfe,categories=kubernaut,scope=Namespaced
// +kubebuilder:printcolumn:name="Workflow",type=string,JSONPath=`.spec.workflowDefinition.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Done",type=integer,JSONPath=`.status.completedSteps`
// +kubebuilder:printcolumn:name="Steps",type=integer,JSONPath=`.status.totalSteps`
// +kubebuilder:printcolumn:name="Verdict",type=string,JSONPath=`.status.validation.verdict`
// +kubebuilder:printcolumn:name="Outcome",type=string,JSONPath=`.status.outcome`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Failed Step",type=string,JSONPath=`.status.failedStepName`,priority=1
// +kubebuilder:printcolumn:name="Error",type=string,JSONPath=`.status.errorType`,priority=1
// +kubebuilder:printcolumn:name="Requested By",type=string,JSONPath=`.spec.requestedBy.username`,priority=1
// +kubebuilder:printcolumn:name="Approval",type=string,JSONPath=`.status.approvalRequestRef`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`,priority=1
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.phase) || !(oldSelf.status.phase in ['completed', 'failed']) || (has(self.status) && has(self.status.phase) && self.status.phase == oldSelf.status.phase)",message="status.phase is terminal: completed and failed never change"
type WorkflowExecution struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`
	// spec is what is to be done; immutable but for suspend and cancel.
	// +required
	Spec WorkflowExecutionSpec `json:"spec,omitzero"`
	// status is what was done.
	// +optional
	// +structType=atomic
	Status WorkflowExecutionStatus `json:"status,omitzero"`
}

// WorkflowExecutionList is a list of WorkflowExecution.
// +kubebuilder:object:root=true
type WorkflowExecutionList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a list.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []WorkflowExecution `json:"items"`
}

// WorkflowExecutionSpec is what is to be done.
// +kubebuilder:validation:XValidation:rule="has(self.remediationRequestRef) == has(oldSelf.remediationRequestRef) && (!has(self.remediationRequestRef) || self.remediationRequestRef == oldSelf.remediationRequestRef)",fieldPath=".remediationRequestRef",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.requestedBy == oldSelf.requestedBy",fieldPath=".requestedBy",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.workflowDefinition) == has(oldSelf.workflowDefinition) && (!has(self.workflowDefinition) || self.workflowDefinition == oldSelf.workflowDefinition)",fieldPath=".workflowDefinition",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.executionStrategy) == has(oldSelf.executionStrategy) && (!has(self.executionStrategy) || self.executionStrategy == oldSelf.executionStrategy)",fieldPath=".executionStrategy",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.mode) == has(oldSelf.mode) && (!has(self.mode) || self.mode == oldSelf.mode)",fieldPath=".mode",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.ttlAfterFinished) == has(oldSelf.ttlAfterFinished) && (!has(self.ttlAfterFinished) || self.ttlAfterFinished == oldSelf.ttlAfterFinished)",fieldPath=".ttlAfterFinished",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.timeouts) == has(oldSelf.timeouts) && (!has(self.timeouts) || self.timeouts == oldSelf.timeouts)",fieldPath=".timeouts",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.stabilizationWindow) == has(oldSelf.stabilizationWindow) && (!has(self.stabilizationWindow) || self.stabilizationWindow == oldSelf.stabilizationWindow)",fieldPath=".stabilizationWindow",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.rollbackOf) == has(oldSelf.rollbackOf) && (!has(self.rollbackOf) || self.rollbackOf == oldSelf.rollbackOf)",fieldPath=".rollbackOf",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.workflowDefinition) != has(self.rollbackOf)",message="exactly one of workflowDefinition and rollbackOf is set"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.cancel) || (has(self.cancel) && (self.cancel == oldSelf.cancel || oldSelf.cancel == 'FinishStep' || (oldSelf.cancel == 'Abort' && self.cancel == 'AbortAndRollBack')))",fieldPath=".cancel",message="moves only towards harder: FinishStep, Abort, AbortAndRollBack"
type WorkflowExecutionSpec struct {
	// remediationRequestRef is the request that this workflow serves; absent for a workflow that a person starts by hand.
	// +optional
	// +structType=atomic
	RemediationRequestRef *shared.ObjectReference `json:"remediationRequestRef,omitempty"`
	// requestedBy is who asked for the workflow: whoever created it, or, for a workflow of the orchestrator, the requester of
	// the request. Admission stamps it: leave it out.
	// +required
	// +structType=atomic
	RequestedBy shared.Requester `json:"requestedBy,omitzero"`
	// workflowDefinition is the steps to run.
	// +optional
	// +structType=atomic
	WorkflowDefinition *shared.WorkflowDefinition `json:"workflowDefinition,omitempty"`
	// executionStrategy is how the steps are run.
	// +optional
	// +kubebuilder:default={}
	// +structType=atomic
	ExecutionStrategy *shared.ExecutionStrategy `json:"executionStrategy,omitempty"`
	// mode is Remediate, the default, or DryRun: everything up to and including the server-side dry run, and no effect. The
	// label kubernaut.io/mode: dry-run on the namespace of any target forces DryRun.
	// +optional
	// +kubebuilder:default=Remediate
	Mode shared.Mode `json:"mode,omitempty"`
	// ttlAfterFinished is how long a finished workflow without an owner is kept, from 0s to 8760h, default 24h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="must be from 0s to 8760h"
	// +kubebuilder:default="24h0m0s"
	TTLAfterFinished *metav1.Duration `json:"ttlAfterFinished,omitempty"`
	// timeouts are the limits of the phases. Waiting for people, holds and suspension does not count.
	// +optional
	// +kubebuilder:default={}
	// +structType=atomic
	Timeouts *WorkflowTimeouts `json:"timeouts,omitempty"`
	// stabilizationWindow is how long the targets must stay healthy before the workflow counts as done, from 0s to 1h, default 15s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('1h')",message="must be from 0s to 1h"
	// +kubebuilder:default="15s"
	StabilizationWindow *metav1.Duration `json:"stabilizationWindow,omitempty"`
	// rollbackOf is a finished workflow whose captured changes are to be undone; it stands instead of workflowDefinition.
	// +optional
	// +structType=atomic
	RollbackOf *shared.ObjectReference `json:"rollbackOf,omitempty"`
	// suspend keeps new steps from starting while it is true; the steps that run go on.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`
	// cancel ends the workflow: FinishStep lets the running steps finish, Abort makes no write that has not begun,
	// AbortAndRollBack then undoes what was done. It can only be made harder.
	// +optional
	Cancel CancelMode `json:"cancel,omitempty"`
}

// CancelMode says how a workflow is ended.
// +kubebuilder:validation:Enum=FinishStep;Abort;AbortAndRollBack
type CancelMode string

// The ways of ending a workflow, the mildest first.
const (
	CancelFinishStep       CancelMode = "FinishStep"
	CancelAbort            CancelMode = "Abort"
	CancelAbortAndRollBack CancelMode = "AbortAndRollBack"
)

// WorkflowTimeouts are the limits of the phases of a workflow.
type WorkflowTimeouts struct {
	// planning limits planning, from 1s to 10m, default 30s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="must be from 1s to 10m"
	// +kubebuilder:default="30s"
	Planning *metav1.Duration `json:"planning,omitempty"`
	// validation limits validating, waiting for people and holds not counted, from 1s to 1h, default 5m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="must be from 1s to 1h"
	// +kubebuilder:default="5m0s"
	Validation *metav1.Duration `json:"validation,omitempty"`
	// monitoring limits the time in which the targets must become healthy and stay so, from 1s to 2h, default 10m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('2h')",message="must be from 1s to 2h"
	// +kubebuilder:default="10m0s"
	Monitoring *metav1.Duration `json:"monitoring,omitempty"`
	// rollback limits rolling back, from 1s to 2h, default 10m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('2h')",message="must be from 1s to 2h"
	// +kubebuilder:default="10m0s"
	Rollback *metav1.Duration `json:"rollback,omitempty"`
	// workflow limits the running of all steps, from 1s to 2h. Admission sets the critical path of timeout × (1 + maxRetries)
	// and backoff, at most 2h, when it is left out.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('2h')",message="must be from 1s to 2h"
	Workflow *metav1.Duration `json:"workflow,omitempty"`
	// approval limits how long people have to approve, from 1s to 168h, default 1h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('168h')",message="must be from 1s to 168h"
	// +kubebuilder:default="1h0m0s"
	Approval *metav1.Duration `json:"approval,omitempty"`
	// hold limits how long a policy hold or a suspension may last, from 1s to 720h, default 24h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="must be from 1s to 720h"
	// +kubebuilder:default="24h0m0s"
	Hold *metav1.Duration `json:"hold,omitempty"`
}

// WorkflowPhase is where a workflow stands.
// +kubebuilder:validation:Enum=planning;validating;executing;monitoring;rolling_back;completed;failed
type WorkflowPhase string

// The phases of a workflow.
const (
	PhasePlanning    WorkflowPhase = "planning"
	PhaseValidating  WorkflowPhase = "validating"
	PhaseExecuting   WorkflowPhase = "executing"
	PhaseMonitoring  WorkflowPhase = "monitoring"
	PhaseRollingBack WorkflowPhase = "rolling_back"
	PhaseCompleted   WorkflowPhase = "completed"
	PhaseFailed      WorkflowPhase = "failed"
)

// Terminal says whether nothing follows the phase.
func (p WorkflowPhase) Terminal() bool { return p == PhaseCompleted || p == PhaseFailed }

// WorkflowOutcome is how a workflow ended.
// +kubebuilder:validation:Enum=Success;PartialSuccess;Unverified;DryRun;Failed;RolledBack;PartiallyRolledBack;RollbackFailed;Cancelled
type WorkflowOutcome string

// The outcomes: the first four belong to phase completed, the others to failed.
const (
	OutcomeSuccess             WorkflowOutcome = "Success"
	OutcomePartialSuccess      WorkflowOutcome = "PartialSuccess"
	OutcomeUnverified          WorkflowOutcome = "Unverified"
	OutcomeDryRun              WorkflowOutcome = "DryRun"
	OutcomeFailed              WorkflowOutcome = "Failed"
	OutcomeRolledBack          WorkflowOutcome = "RolledBack"
	OutcomePartiallyRolledBack WorkflowOutcome = "PartiallyRolledBack"
	OutcomeRollbackFailed      WorkflowOutcome = "RollbackFailed"
	OutcomeCancelled           WorkflowOutcome = "Cancelled"
)

// Conditions of a WorkflowExecution beside Ready and Stalled.
const (
	ConditionPlanned       = "Planned"
	ConditionValidated     = "Validated"
	ConditionTargetsLocked = "TargetsLocked"
	ConditionApproved      = "Approved"
	ConditionExecuted      = "Executed"
	ConditionVerified      = "Verified"
	ConditionRolledBack    = "RolledBack"
	ConditionSuspended     = "Suspended"
)

// WorkflowExecutionStatus is what was done.
type WorkflowExecutionStatus struct {
	// conditions say where the object stands: Ready and Stalled in summary, and Planned, Validated, TargetsLocked, Approved, Executed, Verified, RolledBack and Suspended.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase is where the workflow stands.
	// +optional
	Phase WorkflowPhase `json:"phase,omitempty"`
	// outcome is how the workflow ended; set with the terminal phase.
	// +optional
	Outcome WorkflowOutcome `json:"outcome,omitempty"`
	// totalSteps is how many steps the workflow has.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	TotalSteps int32 `json:"totalSteps,omitempty"`
	// completedSteps is how many steps are completed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	CompletedSteps int32 `json:"completedSteps,omitempty"`
	// currentStep is the 0-based index of the first unfinished step; absent when all are finished.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	CurrentStep *int32 `json:"currentStep,omitempty"`
	// planningStartTime is when planning began.
	// +optional
	PlanningStartTime *metav1.Time `json:"planningStartTime,omitempty"`
	// validationStartTime is when validating began.
	// +optional
	ValidationStartTime *metav1.Time `json:"validationStartTime,omitempty"`
	// executionStartTime is when executing began.
	// +optional
	ExecutionStartTime *metav1.Time `json:"executionStartTime,omitempty"`
	// monitoringStartTime is when monitoring began.
	// +optional
	MonitoringStartTime *metav1.Time `json:"monitoringStartTime,omitempty"`
	// healthySince is since when all changed targets have been healthy; absent while one is not.
	// +optional
	HealthySince *metav1.Time `json:"healthySince,omitempty"`
	// rollbackStartTime is when rolling back began.
	// +optional
	RollbackStartTime *metav1.Time `json:"rollbackStartTime,omitempty"`
	// completionTime is when the workflow ended.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
	// waitingSince is since when the workflow has been waiting for people, a hold or the end of a suspension.
	// +optional
	WaitingSince *metav1.Time `json:"waitingSince,omitempty"`
	// waitedSeconds is how long it waited before that, in seconds; waiting does not count against the limits.
	// +optional
	// +kubebuilder:validation:Minimum=0
	WaitedSeconds int64 `json:"waitedSeconds,omitempty"`
	// waitedBeforePhase is how many of waitedSeconds were over when the phase began: only the others extend its limit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	WaitedBeforePhase int64 `json:"waitedBeforePhase,omitempty"`
	// plan is the order of the steps and what they were planned on.
	// +optional
	Plan *Plan `json:"plan,omitempty"`
	// validation is what the gate and the dry run said.
	// +optional
	Validation *Validation `json:"validation,omitempty"`
	// awaitedLock is the name of the Lease in the operator's namespace that the workflow waits for; absent when it waits for none.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	AwaitedLock string `json:"awaitedLock,omitempty"`
	// approvalRequestRef is the name of the ApprovalRequest that the workflow waits for or was approved by.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ApprovalRequestRef string `json:"approvalRequestRef,omitempty"`
	// approvalRequests is how many ApprovalRequests were made for the workflow; the next one's name derives from it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ApprovalRequests int32 `json:"approvalRequests,omitempty"`
	// steps are the steps in the order of the definition.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Steps []StepStatus `json:"steps,omitempty"`
	// failedStep is the 0-based index into spec.workflowDefinition.steps of the step that failed; absent when no step is to blame.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	FailedStep *int32 `json:"failedStep,omitempty"`
	// failedStepName is the name of that step.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	FailedStepName string `json:"failedStepName,omitempty"`
	// failedAction is the type of that step's action.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	FailedAction string `json:"failedAction,omitempty"`
	// failureReason says what happened, in words.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	FailureReason string `json:"failureReason,omitempty"`
	// errorType is the class of the failure.
	// +optional
	ErrorType shared.ErrorType `json:"errorType,omitempty"`
	// executionSnapshot is the state of affairs at the moment of failure, taken before any rollback.
	// +optional
	ExecutionSnapshot *ExecutionSnapshot `json:"executionSnapshot,omitempty"`
}

// PlanStrategy says how far the steps run side by side.
// +kubebuilder:validation:Enum=Sequential;Parallel;Mixed
type PlanStrategy string

// The strategies of a plan.
const (
	StrategySequential PlanStrategy = "Sequential"
	StrategyParallel   PlanStrategy = "Parallel"
	StrategyMixed      PlanStrategy = "Mixed"
)

// Plan is the order of the steps.
type Plan struct {
	// strategy is Sequential, Parallel or Mixed.
	// +optional
	Strategy PlanStrategy `json:"strategy,omitempty"`
	// batches are the 0-based indices of the steps that may run at once, in order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Batches []Batch `json:"batches,omitempty"`
	// criticalPath is the chain of steps that decides the estimated duration, as 0-based indices.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	CriticalPath []int32 `json:"criticalPath,omitempty"`
	// estimatedDuration is the sum of the typical durations along the critical path.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	EstimatedDuration *metav1.Duration `json:"estimatedDuration,omitempty"`
	// digest is the SHA-256 over the canonical JSON of steps, UIDs of targets, mode and strategy.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Digest string `json:"digest,omitempty"`
	// targets are the objects that the steps change, as they were when planned.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	Targets []PlannedTarget `json:"targets,omitempty"`
	// undo is what a workflow with spec.rollbackOf does.
	// +optional
	Undo *Undo `json:"undo,omitempty"`
}

// Batch is a list of 0-based indices of steps that may run at once.
// +listType=atomic
// +kubebuilder:validation:MaxItems=20
type Batch []int32

// PlannedTarget is an object that steps change, as it was when planned. Steps refer to it by its place in the list.
type PlannedTarget struct {
	shared.Target `json:",inline"`
	// uid is the UID of the object.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`
	// generation is the generation of its spec; 0 for a kind that has none.
	// +optional
	Generation int64 `json:"generation,omitempty"`
	// workload is the root of the controllers above a pod, such as its Deployment: once the pod is gone, the health of the workload
	// stands for it. Absent for other targets.
	// +optional
	Workload *shared.OwnedObject `json:"workload,omitempty"`
	// steps are the 0-based indices of the steps that change it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Steps []int32 `json:"steps,omitempty"`
	// rollbackSteps are the 0-based indices of the steps whose rollbackAction would change it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	RollbackSteps []int32 `json:"rollbackSteps,omitempty"`
}

// Watched is the object whose health is that of the target.
func (t PlannedTarget) Watched() shared.Target {
	if t.Workload == nil {
		return t.Target
	}
	return shared.Target{APIVersion: t.Workload.APIVersion, Kind: t.Workload.Kind, Namespace: t.Namespace, Name: t.Workload.Name}
}

// Validation is what the gate and the dry run said.
type Validation struct {
	// policySetRevision identifies the set of policies that decided.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PolicySetRevision string `json:"policySetRevision,omitempty"`
	// verdict is the hardest verdict of all steps.
	// +optional
	Verdict shared.Verdict `json:"verdict,omitempty"`
	// decisions are the gate's decisions, one for each step in its order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Decisions []StepDecision `json:"decisions,omitempty"`
	// dryRun is what the steps would change, as the API server's dry run said, or, where a webhook supports none, as planned; at
	// most 200 fields.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	DryRun []StepChange `json:"dryRun,omitempty"`
	// summaryDigest is the SHA-256 over dryRun.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SummaryDigest string `json:"summaryDigest,omitempty"`
}

// StepDecision is the gate's decision about one step. The policy set's revision is that of the validation.
type StepDecision struct {
	// index is the 0-based index of the step.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	Index int32 `json:"index"`
	// verdict is what the gate said.
	// +optional
	Verdict shared.Verdict `json:"verdict,omitempty"`
	// decisionID leads to the line of the decision log.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	DecisionID string `json:"decisionID,omitempty"`
	// inputDigest is the SHA-256 of the input document.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	InputDigest string `json:"inputDigest,omitempty"`
	// ofRollbackAction says that it is the decision about the step's rollbackAction, which was the harder one.
	// +optional
	OfRollbackAction bool `json:"ofRollbackAction,omitempty"`
	// rules are the rules that fired, those that decided first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	Rules []shared.FiredRule `json:"rules,omitempty"`
	// tried says that the API server's dry run accepted the step: what dryRun shows of it is what the API server said.
	// +optional
	Tried bool `json:"tried,omitempty"`
}

// StepChange is one field that a step would change.
type StepChange struct {
	// index is the 0-based index of the step.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	Index int32 `json:"index"`

	shared.FieldChange `json:",inline"`
}

// StepPhase is where a step stands.
// +kubebuilder:validation:Enum=pending;running;completed;failed;skipped;rolled_back;rollback_failed
type StepPhase string

// The phases of a step.
const (
	StepPending        StepPhase = "pending"
	StepRunning        StepPhase = "running"
	StepCompleted      StepPhase = "completed"
	StepFailed         StepPhase = "failed"
	StepSkipped        StepPhase = "skipped"
	StepRolledBack     StepPhase = "rolled_back"
	StepRollbackFailed StepPhase = "rollback_failed"
)

// StepStatus is where one step stands.
type StepStatus struct {
	// index is the 0-based index of the step in the definition.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	Index int32 `json:"index"`
	// name is the name of the step.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`
	// action is the type of the step's action.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Action string `json:"action,omitempty"`
	// phase is where the step stands.
	// +optional
	Phase StepPhase `json:"phase,omitempty"`
	// attempts is how many attempts were started.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=6
	Attempts int32 `json:"attempts,omitempty"`
	// executionRef is the name of the KubernetesExecution of the last attempt.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	ExecutionRef string `json:"executionRef,omitempty"`
	// startTime is when the first attempt was started.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// attemptTime is when the last attempt was started.
	// +optional
	AttemptTime *metav1.Time `json:"attemptTime,omitempty"`
	// retryAt is when the next attempt starts, after one that failed.
	// +optional
	RetryAt *metav1.Time `json:"retryAt,omitempty"`
	// completionTime is when the step ended.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
	// resultingGeneration is the generation of the target that the step left behind; the next step on it expects this one.
	// +optional
	ResultingGeneration int64 `json:"resultingGeneration,omitempty"`
	// errorType is the class of the step's failure.
	// +optional
	ErrorType shared.ErrorType `json:"errorType,omitempty"`
	// message says what happened, in words.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// ExecutionSnapshot is the state of affairs at the moment of failure; at most 32 KiB, secrets redacted.
type ExecutionSnapshot struct {
	// completedSteps are the results of the steps that ended before, completed or failed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	CompletedSteps []StepResult `json:"completedSteps,omitempty"`
	// currentStep is the 0-based index of the step that failed or was current.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	CurrentStep *int32 `json:"currentStep,omitempty"`
	// clusterState is what was known about the surroundings of the targets.
	// +optional
	ClusterState *apiextensionsv1.JSON `json:"clusterState,omitempty"`
	// resourceSnapshot is the state of the target of the failed step.
	// +optional
	ResourceSnapshot *apiextensionsv1.JSON `json:"resourceSnapshot,omitempty"`
	// timestamp is when the snapshot was taken.
	// +optional
	Timestamp *metav1.Time `json:"timestamp,omitempty"`
}

// StepResult is how one step ended.
type StepResult struct {
	// stepIndex is the 0-based index of the step.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	StepIndex int32 `json:"stepIndex"`
	// action is the type of the step's action.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Action string `json:"action,omitempty"`
	// status is the phase in which the step ended.
	// +optional
	Status StepPhase `json:"status,omitempty"`
	// duration is how long the step took.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	Duration *metav1.Duration `json:"duration,omitempty"`
	// output says what the step did.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Output string `json:"output,omitempty"`
	// error says why the step failed.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Error string `json:"error,omitempty"`
}
