package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
)

// Undo is what a workflow with spec.rollbackOf does: what the executions of the other workflow left behind, the last first.
type Undo struct {
	// name is the name of the other workflow's definition.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`
	// version is the version of the other workflow's definition.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Version string `json:"version,omitempty"`
	// steps are what is undone, in an order in which it can be.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	Steps []UndoStep `json:"steps,omitempty"`
}

// UndoStep undoes one execution of another workflow.
type UndoStep struct {
	// name is the name of the step whose effect is undone; with the number of the attempt if it is not the only one.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`
	// action is the action that is undone; without restoreFrom it is the one that undoes, the step's rollbackAction.
	// +optional
	Action shared.Action `json:"action,omitzero"`
	// restoreFrom is the name of the KubernetesExecution whose captured fields are restored.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	RestoreFrom string `json:"restoreFrom,omitempty"`
	// dependsOn are the 0-based indices of the steps in this list that are over before this one starts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	DependsOn []int32 `json:"dependsOn,omitempty"`
	// timeout is how long it may take: as long as the attempt that is undone.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// Definition is what the workflow does: its definition, or, for one that undoes another, what planning derived from that one. It
// is nil before that is known.
func (w *WorkflowExecution) Definition() *shared.WorkflowDefinition {
	switch {
	case w.Spec.WorkflowDefinition != nil:
		return w.Spec.WorkflowDefinition
	case w.Status.Plan == nil || w.Status.Plan.Undo == nil:
		return nil
	}
	return w.Status.Plan.Undo.Definition()
}

// Definition is what is undone in the form of a workflow's definition. No step is critical: one that cannot be undone does not
// keep the others.
func (u *Undo) Definition() *shared.WorkflowDefinition {
	definition := &shared.WorkflowDefinition{Name: u.Name, Version: u.Version, Steps: make([]shared.Step, len(u.Steps))}
	for i := range u.Steps {
		from, step := &u.Steps[i], &definition.Steps[i]
		*step = shared.Step{
			Name: from.Name, Action: from.Action, Timeout: from.Timeout, Critical: new(false), Rollback: shared.RollbackNone,
		}
		for _, dependency := range from.DependsOn {
			if int(dependency) < len(u.Steps) {
				step.DependsOn = append(step.DependsOn, u.Steps[dependency].Name)
			}
		}
	}
	return definition
}
