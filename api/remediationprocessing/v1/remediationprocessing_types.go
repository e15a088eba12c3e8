package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
)

// RemediationProcessing collects fresh facts about the target of a remediation and classifies it.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=remediationprocessings,shortName=rp,categories=kubernaut,scope=Namespaced
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.target.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Health",type=string,JSONPath=`.status.enrichment.health.status`
// +kubebuilder:printcolumn:name="Environment",type=string,JSONPath=`.status.classification.environment`
// +kubebuilder:printcolumn:name="Priority",type=string,JSONPath=`.status.classification.priority`
// +kubebuilder:printcolumn:name="Degraded",type=boolean,JSONPath=`.status.degraded`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`,priority=1
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.phase) || !(oldSelf.status.phase in ['completed', 'failed']) || (has(self.status) && has(self.status.phase) && self.status.phase == oldSelf.status.phase)",message="status.phase is terminal: completed and failed never change"
type RemediationProcessing struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`
	// spec is what is to be examined; immutable.
	// +required
	// +structType=atomic
	Spec RemediationProcessingSpec `json:"spec,omitzero"`
	// status is what was found.
	// +optional
	// +structType=atomic
	Status RemediationProcessingStatus `json:"status,omitzero"`
}

// RemediationProcessingList is a list of RemediationProcessing.
// +kubebuilder:object:root=true
type RemediationProcessingList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a list.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []RemediationProcessing `json:"items"`
}

// RemediationProcessingSpec is what is to be examined.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="is immutable after creation"
type RemediationProcessingSpec struct {
	// remediationRequestRef is the request that this examination serves.
	// +required
	RemediationRequestRef shared.ObjectReference `json:"remediationRequestRef,omitzero"`
	// signalContext is what the signal source knew.
	// +required
	SignalContext shared.SignalContext `json:"signalContext,omitzero"`
	// target is what is examined.
	// +required
	Target shared.Target `json:"target,omitzero"`
	// isRecoveryAttempt says that an earlier workflow of the request failed.
	// +optional
	IsRecoveryAttempt bool `json:"isRecoveryAttempt,omitempty"`
	// recoveryAttemptNumber is the number of the recovery, from 1; 0 for the initial attempt.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	RecoveryAttemptNumber int32 `json:"recoveryAttemptNumber,omitempty"`
	// failedWorkflowRef is the workflow whose failure is recovered from.
	// +optional
	FailedWorkflowRef *shared.ObjectReference `json:"failedWorkflowRef,omitempty"`
}

// ProcessingPhase is where an examination stands.
// +kubebuilder:validation:Enum=pending;enriching;classifying;completed;failed
type ProcessingPhase string

// The phases of an examination.
const (
	PhasePending     ProcessingPhase = "pending"
	PhaseEnriching   ProcessingPhase = "enriching"
	PhaseClassifying ProcessingPhase = "classifying"
	PhaseCompleted   ProcessingPhase = "completed"
	PhaseFailed      ProcessingPhase = "failed"
)

// Terminal says whether nothing follows the phase.
func (p ProcessingPhase) Terminal() bool { return p == PhaseCompleted || p == PhaseFailed }

// Conditions of a RemediationProcessing beside Ready and Stalled.
const (
	ConditionEnriched   = "Enriched"
	ConditionClassified = "Classified"
)

// RemediationProcessingStatus is what was found.
type RemediationProcessingStatus struct {
	// conditions say where the object stands: Ready and Stalled in summary, and Enriched and Classified.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase is where the examination stands.
	// +optional
	Phase ProcessingPhase `json:"phase,omitempty"`
	// startTime is when the examination began.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// completionTime is when the examination ended.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
	// enrichment is what was read about the target.
	// +optional
	Enrichment shared.Enrichment `json:"enrichment,omitzero"`
	// classification is what policies say about the target.
	// +optional
	Classification shared.Classification `json:"classification,omitzero"`
	// degraded says that some facts could not be read.
	// +optional
	Degraded bool `json:"degraded,omitempty"`
	// degradedReasons name the facts that could not be read, and why.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=512
	DegradedReasons []string `json:"degradedReasons,omitempty"`
}
