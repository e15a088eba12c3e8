package shared

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WorkflowDefinition is what a workflow does: steps that form a directed acyclic graph.
type WorkflowDefinition struct {
	// name is the name of the workflow, for people.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`
	// version is the version of the definition, for people.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Version string `json:"version,omitempty"`
	// steps are what is done, at most 100; the order of the list decides only between steps on the same target that
	// dependsOn leaves open.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	Steps []Step `json:"steps,omitempty"`
}

// Step is one action and when it runs.
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (has(self.rollback) && self.rollback == 'Action') == has(self.rollbackAction)",optionalOldSelf=true,fieldPath=".rollbackAction",message="is required when rollback is Action, and forbidden otherwise"
type Step struct {
	// name is the name of the step, unique in the workflow: a DNS label.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`
	// action is what the step does.
	// +required
	Action Action `json:"action,omitzero"`
	// dependsOn names the steps that must be completed before this one starts.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	DependsOn []string `json:"dependsOn,omitempty"`
	// critical says that the workflow fails when the step fails; default true. When a step that is not critical fails, the
	// steps that depend on it are skipped and the others go on.
	// +optional
	// +kubebuilder:default=true
	Critical *bool `json:"critical,omitempty"`
	// maxRetries is how often a failed step is tried again, 0 to 5, default 0. Only errors that another try may cure are
	// retried, and only where trying again cannot do the same thing twice.
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
	// rollback says how the step is undone: Captured, the default, restores the fields captured before the effect; None does
	// nothing; Action runs rollbackAction.
	// +optional
	// +kubebuilder:default=Captured
	Rollback RollbackKind `json:"rollback,omitempty"`
	// rollbackAction is the action that undoes the step; set exactly when rollback is Action.
	// +optional
	RollbackAction *Action `json:"rollbackAction,omitempty"`
}

// RollbackKind says how one step is undone.
// +kubebuilder:validation:Enum=Captured;None;Action
type RollbackKind string

// The ways of undoing a step.
const (
	RollbackCaptured RollbackKind = "Captured"
	RollbackNone     RollbackKind = "None"
	RollbackAction   RollbackKind = "Action"
)

// RollbackStrategy says what happens to the effects of a workflow that failed.
// +kubebuilder:validation:Enum=Automatic;Manual;None
type RollbackStrategy string

// The rollback strategies.
const (
	// RollbackStrategyAutomatic undoes the effects when the workflow fails.
	RollbackStrategyAutomatic RollbackStrategy = "Automatic"
	// RollbackStrategyManual captures what undoing needs and leaves the decision to a person.
	RollbackStrategyManual RollbackStrategy = "Manual"
	// RollbackStrategyNone captures nothing.
	RollbackStrategyNone RollbackStrategy = "None"
)

// ExecutionStrategy says how the steps of a workflow are run.
type ExecutionStrategy struct {
	// approvalRequired makes the workflow wait for a person's approval even when no policy asks for one; default false.
	// +optional
	// +kubebuilder:default=false
	ApprovalRequired *bool `json:"approvalRequired,omitempty"`
	// dryRunFirst has every step's change tried by the API server's dry run before any is made; default true.
	// +optional
	// +kubebuilder:default=true
	DryRunFirst *bool `json:"dryRunFirst,omitempty"`
	// rollbackStrategy says what happens to the effects when the workflow fails: Automatic, the default, Manual or None.
	// +optional
	// +kubebuilder:default=Automatic
	RollbackStrategy RollbackStrategy `json:"rollbackStrategy,omitempty"`
	// maxParallelSteps is how many steps run at once, 1 to 20, default 5.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	// +kubebuilder:default=5
	MaxParallelSteps *int32 `json:"maxParallelSteps,omitempty"`
}
