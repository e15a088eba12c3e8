package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
)

// AIAnalysis finds the cause of a problem and a workflow that repairs it.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=aianalyses,shortName=aia,categories=kubernaut,scope=Namespaced
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.target.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Confidence",type=integer,JSONPath=`.status.confidencePercent`
// +kubebuilder:printcolumn:name="Workflow",type=string,JSONPath=`.status.recommendation.workflowDefinition.name`
// +kubebuilder:printcolumn:name="Playbook",type=string,JSONPath=`.status.recommendation.playbookRef`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Cause",type=string,JSONPath=`.status.rootCause`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`,priority=1
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.phase) || !(oldSelf.status.phase in ['completed', 'failed']) || (has(self.status) && has(self.status.phase) && self.status.phase == oldSelf.status.phase)",message="status.phase is terminal: completed and failed never change"
type AIAnalysis struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`
	// spec is all that the analysis rests on: a complete snapshot; immutable.
	// +required
	// +structType=atomic
	Spec AIAnalysisSpec `json:"spec,omitzero"`
	// status is what was concluded.
	// +optional
	// +structType=atomic
	Status AIAnalysisStatus `json:"status,omitzero"`
}

// AIAnalysisList is a list of AIAnalysis.
// +kubebuilder:object:root=true
type AIAnalysisList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a list.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []AIAnalysis `json:"items"`
}

// AIAnalysisSpec is all that the analysis rests on; no other object is read for it.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="is immutable after creation"
type AIAnalysisSpec struct {
	// remediationRequestRef is the request that this analysis serves.
	// +required
	RemediationRequestRef shared.ObjectReference `json:"remediationRequestRef,omitzero"`
	// remediationProcessingRef is the examination that the facts come from.
	// +required
	RemediationProcessingRef shared.ObjectReference `json:"remediationProcessingRef,omitzero"`
	// signalContext is what the signal source knew.
	// +required
	SignalContext shared.SignalContext `json:"signalContext,omitzero"`
	// target is what is to be repaired.
	// +required
	Target shared.Target `json:"target,omitzero"`
	// enrichment is what was read about the target.
	// +optional
	Enrichment shared.Enrichment `json:"enrichment,omitzero"`
	// classification is what policies say about the target.
	// +optional
	Classification shared.Classification `json:"classification,omitzero"`
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
	// failedStep is the 0-based index of the step that failed; absent when no step is to blame.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	FailedStep *int32 `json:"failedStep,omitempty"`
	// failureReason says what happened.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	FailureReason string `json:"failureReason,omitempty"`
	// previousAIAnalysisRefs are the names of the earlier analyses of the request, the oldest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=11
	PreviousAIAnalysisRefs []shared.ObjectReference `json:"previousAIAnalysisRefs,omitempty"`
	// failedPlaybooks are the names of the playbooks whose workflows have failed for this request, the first one first. They are
	// not proposed again.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=11
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	FailedPlaybooks []string `json:"failedPlaybooks,omitempty"`
}

// AnalysisPhase is where an analysis stands.
// +kubebuilder:validation:Enum=investigating;analyzing;recommending;completed;failed
type AnalysisPhase string

// The phases of an analysis.
const (
	PhaseInvestigating AnalysisPhase = "investigating"
	PhaseAnalyzing     AnalysisPhase = "analyzing"
	PhaseRecommending  AnalysisPhase = "recommending"
	PhaseCompleted     AnalysisPhase = "completed"
	PhaseFailed        AnalysisPhase = "failed"
)

// Terminal says whether nothing follows the phase.
func (p AnalysisPhase) Terminal() bool { return p == PhaseCompleted || p == PhaseFailed }

// ConditionRecommended says whether there is a recommendation, beside Ready and Stalled.
const ConditionRecommended = "Recommended"

// AIAnalysisStatus is what was concluded.
type AIAnalysisStatus struct {
	// conditions say where the object stands: Ready and Stalled in summary, and Recommended.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase is where the analysis stands.
	// +optional
	Phase AnalysisPhase `json:"phase,omitempty"`
	// startTime is when the analysis began.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// completionTime is when the analysis ended.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
	// provider is what analysed, such as playbook.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Provider string `json:"provider,omitempty"`
	// rootCause is the cause that was found, in words.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	RootCause string `json:"rootCause,omitempty"`
	// confidencePercent is how sure the provider is, 0 to 100.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	ConfidencePercent *int32 `json:"confidencePercent,omitempty"`
	// recommendation is the workflow to run; it was validated before it was written.
	// +optional
	Recommendation *Recommendation `json:"recommendation,omitempty"`
	// alternatives are what else was considered, the best first, and why it was not chosen.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Alternatives []Alternative `json:"alternatives,omitempty"`
	// noActionRequired says that the chosen playbook has no steps. A target that looks healthy alone never means it.
	// +optional
	NoActionRequired bool `json:"noActionRequired,omitempty"`
}

// Recommendation is a workflow to run and why.
type Recommendation struct {
	// workflowDefinition is what is to be done.
	// +required
	WorkflowDefinition shared.WorkflowDefinition `json:"workflowDefinition,omitzero"`
	// executionStrategy is how it is to be done.
	// +optional
	ExecutionStrategy shared.ExecutionStrategy `json:"executionStrategy,omitzero"`
	// playbookRef is the name of the playbook that the workflow comes from; empty for other providers.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PlaybookRef string `json:"playbookRef,omitempty"`
	// rationale says why this workflow, in words.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Rationale string `json:"rationale,omitempty"`
}

// Alternative is what was considered and not chosen.
type Alternative struct {
	// name is the name of the alternative.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// confidencePercent is how sure the provider is of it, 0 to 100.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	ConfidencePercent *int32 `json:"confidencePercent,omitempty"`
	// whyNot says why it was not chosen.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	WhyNot string `json:"whyNot,omitempty"`
}
