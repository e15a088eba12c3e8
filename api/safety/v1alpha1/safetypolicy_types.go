package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
)

// SafetyPolicy is one policy of the safety gate: a Rego module, or a change of how a compiled-in policy applies.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=safetypolicies,shortName=sp,categories=kubernaut,scope=Cluster
// +kubebuilder:printcolumn:name="Enforcement",type=string,JSONPath=`.spec.enforcement`
// +kubebuilder:printcolumn:name="Compiled",type=string,JSONPath=`.status.conditions[?(@.type=='Compiled')].status`
// +kubebuilder:printcolumn:name="Tests Passed",type=string,JSONPath=`.status.conditions[?(@.type=='TestsPassed')].status`
// +kubebuilder:printcolumn:name="Active",type=string,JSONPath=`.status.conditions[?(@.type=='Active')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Baseline",type=string,JSONPath=`.spec.source.baseline`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`,priority=1
type SafetyPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`
	// spec is the policy and how it applies.
	// +required
	Spec SafetyPolicySpec `json:"spec,omitzero"`
	// status says whether the policy is active.
	// +optional
	// +structType=atomic
	Status SafetyPolicyStatus `json:"status,omitzero"`
}

// SafetyPolicyList is a list of SafetyPolicy.
// +kubebuilder:object:root=true
type SafetyPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a list.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []SafetyPolicy `json:"items"`
}

// SafetyPolicySpec is the policy and how it applies.
type SafetyPolicySpec struct {
	// source is where the rules come from.
	// +required
	Source PolicySource `json:"source,omitzero"`
	// tests are Rego tests of the module. A policy without any is accepted with a warning.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	Tests string `json:"tests,omitempty"`
	// stages are when the policy is asked: plan, step and rollback; default plan and step.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	// +kubebuilder:default={plan,step}
	Stages []Stage `json:"stages,omitempty"`
	// enforcement says what the results do: Enforce, the default, decides; Warn turns all of them into warnings; Audit records them.
	// +optional
	// +kubebuilder:default=Enforce
	Enforcement Enforcement `json:"enforcement,omitempty"`
	// match says which steps the policy is asked about; empty is all.
	// +optional
	Match *PolicyMatch `json:"match,omitempty"`
	// parameters are what the policy reads as data.kubernaut.parameters.<name with _>.
	// +optional
	Parameters *apiextensionsv1.JSON `json:"parameters,omitempty"`
	// parametersSchema is the JSON schema of the parameters; reading a parameter that it lacks is a compile error.
	// +optional
	ParametersSchema *apiextensionsv1.JSON `json:"parametersSchema,omitempty"`
}

// PolicySource is where the rules of a policy come from.
// +kubebuilder:validation:XValidation:rule="has(self.rego) != has(self.baseline)",message="exactly one of rego and baseline is set"
type PolicySource struct {
	// rego is one Rego v1 module, at most 256 KiB, whose package is kubernaut.safety.<name of the object> with - written as _.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	Rego string `json:"rego,omitempty"`
	// baseline is the name of a compiled-in policy whose enforcement, match, stages or parameters this object changes.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Baseline string `json:"baseline,omitempty"`
}

// Stage is a moment at which the gate is asked.
// +kubebuilder:validation:Enum=plan;step;rollback
type Stage string

// The stages.
const (
	// StagePlan asks about all steps before anything ran.
	StagePlan Stage = "plan"
	// StageStep asks about one step just before it runs.
	StageStep Stage = "step"
	// StageRollback asks before captured state is restored.
	StageRollback Stage = "rollback"
)

// Enforcement says what the results of a policy do.
// +kubebuilder:validation:Enum=Enforce;Warn;Audit
type Enforcement string

// The enforcements.
const (
	EnforcementEnforce Enforcement = "Enforce"
	EnforcementWarn    Enforcement = "Warn"
	EnforcementAudit   Enforcement = "Audit"
)

// PolicyMatch says which steps a policy is asked about.
type PolicyMatch struct {
	// namespaceSelector selects by the labels of the target's namespace; a cluster-scoped target always matches.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// actions are the types of actions; empty is all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Actions []shared.ActionType `json:"actions,omitempty"`
}

// Conditions of a SafetyPolicy beside Ready and Stalled.
const (
	ConditionCompiled    = "Compiled"
	ConditionTestsPassed = "TestsPassed"
	ConditionActive      = "Active"
)

// SafetyPolicyStatus says whether a policy is active.
type SafetyPolicyStatus struct {
	// conditions say where the object stands: Ready and Stalled in summary, and Compiled, TestsPassed and Active.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// digest is the SHA-256 of the policy as it was compiled.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Digest string `json:"digest,omitempty"`
}
