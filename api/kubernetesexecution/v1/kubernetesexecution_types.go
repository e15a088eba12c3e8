package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/kubernaut/api/shared"
)

// KubernetesExecution is one attempt of one step: one typed action on one target, whose effect happens at most once.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=kubernetesexecutions,shortName=ke,categories=kubernaut,scope=Namespaced
// +kubebuilder:printcolumn:name="Step",type=string,JSONPath=`.spec.stepName`
// +kubebuilder:printcolumn:name="Attempt",type=integer,JSONPath=`.spec.attempt`
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.action.type`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Changed",type=boolean,JSONPath=`.status.changed`
// +kubebuilder:printcolumn:name="Verdict",type=string,JSONPath=`.status.decision.verdict`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Purpose",type=string,JSONPath=`.spec.purpose`,priority=1
// +kubebuilder:printcolumn:name="Error",type=string,JSONPath=`.status.errorType`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`,priority=1
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.phase) || !(oldSelf.status.phase in ['completed', 'failed']) || (has(self.status) && has(self.status.phase) && self.status.phase == oldSelf.status.phase)",message="status.phase is terminal: completed and failed never change"
type KubernetesExecution struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`
	// spec is what is to be done; immutable but for cancel.
	// +required
	Spec KubernetesExecutionSpec `json:"spec,omitzero"`
	// status is what was done.
	// +optional
	// +structType=atomic
	Status KubernetesExecutionStatus `json:"status,omitzero"`
}

// KubernetesExecutionList is a list of KubernetesExecution.
// +kubebuilder:object:root=true
type KubernetesExecutionList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a list.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []KubernetesExecution `json:"items"`
}

// KubernetesExecutionSpec is what is to be done.
// +kubebuilder:validation:XValidation:rule="self.workflowExecutionRef == oldSelf.workflowExecutionRef",fieldPath=".workflowExecutionRef",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.stepIndex == oldSelf.stepIndex",fieldPath=".stepIndex",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.stepName == oldSelf.stepName",fieldPath=".stepName",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.attempt == oldSelf.attempt",fieldPath=".attempt",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.purpose == oldSelf.purpose",fieldPath=".purpose",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.planDigest == oldSelf.planDigest",fieldPath=".planDigest",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.action) == has(oldSelf.action) && (!has(self.action) || self.action == oldSelf.action)",fieldPath=".action",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.restoreFrom) == has(oldSelf.restoreFrom) && (!has(self.restoreFrom) || self.restoreFrom == oldSelf.restoreFrom)",fieldPath=".restoreFrom",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.timeout) == has(oldSelf.timeout) && (!has(self.timeout) || self.timeout == oldSelf.timeout)",fieldPath=".timeout",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.expectedTarget) == has(oldSelf.expectedTarget) && (!has(self.expectedTarget) || self.expectedTarget == oldSelf.expectedTarget)",fieldPath=".expectedTarget",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.action) != has(self.restoreFrom)",message="exactly one of action and restoreFrom is set"
// +kubebuilder:validation:XValidation:rule="!has(self.restoreFrom) || self.purpose == 'RollBack'",fieldPath=".restoreFrom",message="is allowed only when purpose is RollBack"
// +kubebuilder:validation:XValidation:rule="!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",fieldPath=".cancel",message="cannot be taken back"
type KubernetesExecutionSpec struct {
	// workflowExecutionRef is the workflow that the step belongs to.
	// +required
	// +structType=atomic
	WorkflowExecutionRef shared.ObjectReference `json:"workflowExecutionRef,omitzero"`
	// stepIndex is the 0-based index of the step in the workflow's definition.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	StepIndex int32 `json:"stepIndex"`
	// stepName is the name of the step.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	StepName string `json:"stepName,omitempty"`
	// attempt is the number of the attempt, from 1.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=6
	Attempt int32 `json:"attempt,omitempty"`
	// purpose is Execute, or RollBack to undo the step.
	// +required
	Purpose Purpose `json:"purpose,omitempty"`
	// action is what is done.
	// +optional
	// +structType=atomic
	Action *shared.Action `json:"action,omitempty"`
	// restoreFrom is the name of the KubernetesExecution whose captured fields are restored; it stands instead of action.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	RestoreFrom string `json:"restoreFrom,omitempty"`
	// timeout limits the attempt, counted from startedAt, from 1s to 2h, default 5m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('2h')",message="must be from 1s to 2h"
	// +kubebuilder:default="5m0s"
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// expectedTarget is the target as it was at validation, or as this workflow's last execution on it left it; absent for an
	// action without a target.
	// +optional
	// +structType=atomic
	ExpectedTarget *ExpectedTarget `json:"expectedTarget,omitempty"`
	// planDigest is the digest of the plan that the step belongs to.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	PlanDigest string `json:"planDigest,omitempty"`
	// cancel keeps a write that has not begun from being made. It cannot be taken back.
	// +optional
	Cancel *bool `json:"cancel,omitempty"`
}

// Purpose says whether an execution does a step or undoes it.
// +kubebuilder:validation:Enum=Execute;RollBack
type Purpose string

// The purposes of an execution.
const (
	PurposeExecute  Purpose = "Execute"
	PurposeRollBack Purpose = "RollBack"
)

// ExpectedTarget is the state in which a target is expected.
type ExpectedTarget struct {
	// uid is the UID of the target.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid,omitempty"`
	// generation is the generation of the target's spec; 0 for a kind that has none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Generation int64 `json:"generation,omitempty"`
}

// ExecutionPhase is where an execution stands.
// +kubebuilder:validation:Enum=validating;executing;completed;failed
type ExecutionPhase string

// The phases of an execution.
const (
	PhaseValidating ExecutionPhase = "validating"
	PhaseExecuting  ExecutionPhase = "executing"
	PhaseCompleted  ExecutionPhase = "completed"
	PhaseFailed     ExecutionPhase = "failed"
)

// Terminal says whether nothing follows the phase.
func (p ExecutionPhase) Terminal() bool { return p == PhaseCompleted || p == PhaseFailed }

// Conditions of a KubernetesExecution beside Ready and Stalled.
const (
	ConditionValidated       = "Validated"
	ConditionDryRunSucceeded = "DryRunSucceeded"
	ConditionExecuted        = "Executed"
	ConditionVerified        = "Verified"
)

// KubernetesExecutionStatus is what was done.
type KubernetesExecutionStatus struct {
	// conditions say where the object stands: Ready and Stalled in summary, and Validated, DryRunSucceeded, Executed and Verified.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase is where the execution stands.
	// +optional
	Phase ExecutionPhase `json:"phase,omitempty"`
	// decision is what the gate said just before the step.
	// +optional
	Decision *shared.Decision `json:"decision,omitempty"`
	// dryRun is what the API server's dry run said would change.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	DryRun []shared.FieldChange `json:"dryRun,omitempty"`
	// startedAt is when the intent to write was recorded; it is recorded before the write.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// completedAt is when the execution ended.
	// +optional
	CompletedAt *metav1.Time `json:"completedAt,omitempty"`
	// changed says whether a write of this execution reached the target; absent while it is not known.
	// +optional
	Changed *bool `json:"changed,omitempty"`
	// affectedResources are the objects that were written.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	AffectedResources []shared.OwnedObject `json:"affectedResources,omitempty"`
	// inverse is what undoing the execution needs; captured before the effect.
	// +optional
	Inverse *Inverse `json:"inverse,omitempty"`
	// resultingGeneration is the generation of the target after the write.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ResultingGeneration int64 `json:"resultingGeneration,omitempty"`
	// errorType is the class of the failure.
	// +optional
	ErrorType shared.ErrorType `json:"errorType,omitempty"`
	// errorMessage says what happened, in words.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	ErrorMessage string `json:"errorMessage,omitempty"`
	// jobRef is the name of the Job that does the work, in the operator's namespace, for an action that runs as one.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	JobRef string `json:"jobRef,omitempty"`
}

// Inverse is what undoing an execution needs.
type Inverse struct {
	// target is the object whose fields are restored.
	// +optional
	Target *shared.Target `json:"target,omitempty"`
	// uid is the UID of that object: another object of the same name is never touched.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid,omitempty"`
	// fields are the fields that are written, with their values before and after; secrets stand by reference.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Fields []shared.FieldChange `json:"fields,omitempty"`
	// absentReason says why nothing is restored; absent when the fields are.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	AbsentReason string `json:"absentReason,omitempty"`
}

// Restores says whether there is something to restore.
func (i *Inverse) Restores() bool { return i != nil && len(i.Fields) > 0 && i.AbsentReason == "" }
