package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
)

// Playbook is a known cause of a problem and the workflow that repairs it.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=playbooks,shortName=pb,categories=kubernaut,scope=Cluster
// +kubebuilder:printcolumn:name="Priority",type=integer,JSONPath=`.spec.priority`
// +kubebuilder:printcolumn:name="Confidence",type=integer,JSONPath=`.spec.confidencePercent`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Cause",type=string,JSONPath=`.spec.rootCause`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`,priority=1
type Playbook struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`
	// spec is when the playbook applies and what it does.
	// +required
	Spec PlaybookSpec `json:"spec,omitzero"`
	// status says whether the playbook can be used.
	// +optional
	// +structType=atomic
	Status PlaybookStatus `json:"status,omitzero"`
}

// PlaybookList is a list of Playbook.
// +kubebuilder:object:root=true
type PlaybookList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a list.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []Playbook `json:"items"`
}

// PlaybookSpec is when a playbook applies and what it does.
type PlaybookSpec struct {
	// match says when the playbook applies; all that is set must hold.
	// +optional
	Match PlaybookMatch `json:"match,omitzero"`
	// priority decides between playbooks that match: the highest first, then by name; default 0.
	// +optional
	// +kubebuilder:validation:Minimum=-1000
	// +kubebuilder:validation:Maximum=1000
	// +kubebuilder:default=0
	Priority *int32 `json:"priority,omitempty"`
	// confidencePercent is how sure one can be of the cause when the playbook matches, 0 to 100.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	ConfidencePercent *int32 `json:"confidencePercent,omitempty"`
	// rootCause is the cause, in words; it may contain ${{ CEL }}.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	RootCause string `json:"rootCause,omitempty"`
	// workflow is what repairs it. Without steps the playbook says that nothing has to be done.
	// +required
	Workflow PlaybookWorkflow `json:"workflow,omitzero"`
	// executionStrategy is how the steps are run.
	// +optional
	// +kubebuilder:default={}
	ExecutionStrategy *shared.ExecutionStrategy `json:"executionStrategy,omitempty"`
}

// PlaybookMatch says when a playbook applies; an empty list matches everything.
type PlaybookMatch struct {
	// signals are the names of signals.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Signals []string `json:"signals,omitempty"`
	// kinds are the kinds of targets.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Kinds []string `json:"kinds,omitempty"`
	// severities are the severities of signals.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	Severities []shared.Severity `json:"severities,omitempty"`
	// environments are the environments of targets.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Environments []string `json:"environments,omitempty"`
	// expression is a CEL expression that is true when the playbook applies. Its variables are target, signal, enrichment,
	// classification and recovery.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression,omitempty"`
}

// PlaybookWorkflow is a workflow whose parameters are yet to be filled in.
type PlaybookWorkflow struct {
	// name is the name of the workflow.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`
	// version is the version of the workflow.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Version string `json:"version,omitempty"`
	// steps are the steps, at most 100.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	Steps []PlaybookStep `json:"steps,omitempty"`
}

// PlaybookStep is a step whose parameters are yet to be filled in.
type PlaybookStep struct {
	// name is the name of the step, unique in the workflow.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`
	// type is the type of the action.
	// +required
	Type shared.ActionType `json:"type,omitempty"`
	// parameters are the parameters of the action by their names: each a literal, or ${{ CEL }} over the variables target,
	// signal, enrichment, classification and recovery.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Parameters map[string]ParameterText `json:"parameters,omitempty"`
	// dependsOn names the steps that must be completed before this one starts.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	DependsOn []string `json:"dependsOn,omitempty"`
	// critical says that the workflow fails when the step fails; default true.
	// +optional
	// +kubebuilder:default=true
	Critical *bool `json:"critical,omitempty"`
	// maxRetries is how often a failed step is tried again, 0 to 5, default 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=5
	// +kubebuilder:default=0
	MaxRetries *int32 `json:"maxRetries,omitempty"`
	// timeout is how long one attempt may take, from 1s to 2h, default 5m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('2h')",message="must be from 1s to 2h"
	// +kubebuilder:default="5m0s"
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// rollback says how the step is undone: Captured, the default, or None.
	// +optional
	// +kubebuilder:validation:Enum=Captured;None
	// +kubebuilder:default=Captured
	Rollback shared.RollbackKind `json:"rollback,omitempty"`
}

// ParameterText is the text of a parameter: a literal or a template.
// +kubebuilder:validation:MaxLength=2048
type ParameterText string

// PlaybookStatus says whether a playbook can be used.
type PlaybookStatus struct {
	// conditions say where the object stands: Ready and Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}
