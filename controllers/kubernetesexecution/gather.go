package kubernetesexecution

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// Snapshot is all that a decision rests on. What was not looked at yet is nil: decide says what it needs next.
type Snapshot struct {
	// Execution is the execution as its last read or status write returned it.
	Execution *kubernetesexecutionv1.KubernetesExecution
	// StillHeld says that the gate holds the execution, by the same policies as when that was recorded.
	StillHeld bool
	// Validation is what validating found.
	Validation *Validation
	// Made is what became of the effect.
	Made *Made
	// Verification is what the target looked like after the effect.
	Verification *Verification
}

// Validation is what was found out before the effect.
type Validation struct {
	// Preparation is what the step would do; nil if it could not be prepared.
	Preparation *effects.Preparation
	// Decision is the gate's; nil if it was not asked.
	Decision *shared.Decision
	// Approval is what people have approved; nil if the step needs no approval.
	Approval *Approval
	// Err says why there is no preparation or no decision.
	Err error
}

// Made is what became of the effect.
type Made struct {
	Effect effects.Effect
	Err    error
	// First says that nobody can have tried before: the intent was recorded in this very reconcile.
	First bool
	// Absent says that it was only looked for, and is not there.
	Absent bool
}

// Verification is what the target looked like after the effect.
type Verification struct {
	actions.Verification
	Err error
}

// read reads the execution. One that may be about to have its effect is read live: a cache may lack that it was cancelled, or
// that it is over.
func (r *Reconciler) read(ctx context.Context, key client.ObjectKey) (*kubernetesexecutionv1.KubernetesExecution, error) {
	execution := &kubernetesexecutionv1.KubernetesExecution{}
	if err := r.Clients.Cached.Get(ctx, key, execution); err != nil {
		return nil, err
	}
	if execution.Status.Phase != kubernetesexecutionv1.PhaseExecuting || execution.Status.Changed != nil {
		return execution, nil
	}
	live := &kubernetesexecutionv1.KubernetesExecution{}
	if err := r.Clients.Live.Get(ctx, key, live); err != nil {
		return nil, err
	}
	return live, nil
}

// validate finds out whether the step may be done: by its workflow, on the target as it is now, as the gate sees it.
func (r *Reconciler) validate(ctx context.Context, execution *kubernetesexecutionv1.KubernetesExecution) *Validation {
	workflow, err := r.workflowOf(ctx, execution)
	if err != nil {
		return &Validation{Err: err}
	}
	if err := belongs(execution, workflow); err != nil {
		return &Validation{Err: machinery.Typed(shared.ErrorValidation, err)}
	}
	if undoes(execution) {
		return r.validateRestore(ctx, execution, workflow)
	}
	occasion := actions.OccasionOf(workflow, execution.Spec.StepIndex)
	occasion.Rollback = execution.Spec.Purpose == kubernetesexecutionv1.PurposeRollBack
	preparation, err := r.Effects.Prepare(ctx, effects.Request{
		Action: execution.Spec.Action, Occasion: occasion, DryRun: true, Expected: execution.Spec.ExpectedTarget,
	})
	if err != nil {
		return &Validation{Err: err}
	}
	if preparation.Target != nil && execution.Spec.ExpectedTarget == nil {
		err := fmt.Errorf("spec.expectedTarget is missing: without it nobody can tell whether %s is the object that the workflow was judged on",
			preparation.Target)
		return &Validation{Preparation: preparation, Err: machinery.Typed(shared.ErrorValidation, err)}
	}
	return r.withApproval(ctx, workflow, execution, r.judge(ctx, preparation, JudgeRequest{
		Stage: safetyv1alpha1.StageStep, Workflow: workflow, StepIndex: execution.Spec.StepIndex, Attempt: execution.Spec.Attempt,
		Expected: execution.Spec.ExpectedTarget, Preparation: preparation, RollbackAction: rollsBackByAction(execution, workflow),
	}))
}

// judge has the gate speak.
func (r *Reconciler) judge(ctx context.Context, preparation *effects.Preparation, question JudgeRequest) *Validation {
	decision, err := r.Gate.Judge(ctx, question)
	if err != nil {
		return &Validation{Preparation: preparation, Err: fmt.Errorf("the safety gate gave no verdict: %w", err)}
	}
	return &Validation{Preparation: preparation, Decision: &decision}
}

// workflowOf reads the workflow live: whether an execution is rightly someone's child must not rest on a stale cache.
func (r *Reconciler) workflowOf(ctx context.Context, execution *kubernetesexecutionv1.KubernetesExecution) (*workflowexecutionv1.WorkflowExecution, error) {
	ref := execution.Spec.WorkflowExecutionRef
	workflow := &workflowexecutionv1.WorkflowExecution{}
	err := r.Clients.Live.Get(ctx, client.ObjectKey{Namespace: execution.Namespace, Name: ref.Name}, workflow)
	if apierrors.IsNotFound(err) {
		return nil, machinery.Typed(shared.ErrorValidation, fmt.Errorf("its WorkflowExecution %s is gone: %w", ref.Name, err))
	}
	if err != nil {
		return nil, fmt.Errorf("reading WorkflowExecution %s: %w", ref.Name, err)
	}
	return workflow, nil
}

// belongs checks that the execution is the child of its workflow, and does what the workflow's step says.
func belongs(execution *kubernetesexecutionv1.KubernetesExecution, workflow *workflowexecutionv1.WorkflowExecution) error {
	spec := &execution.Spec
	controller := metav1.GetControllerOf(execution)
	switch {
	case controller == nil:
		return fmt.Errorf("it has no controller owner: only a WorkflowExecution may create a KubernetesExecution")
	case controller.Kind != "WorkflowExecution" || controller.Name != spec.WorkflowExecutionRef.Name || controller.UID != spec.WorkflowExecutionRef.UID:
		return fmt.Errorf("its controller owner is %s %s with UID %s, not the WorkflowExecution %s with UID %s of spec.workflowExecutionRef",
			controller.Kind, controller.Name, controller.UID, spec.WorkflowExecutionRef.Name, spec.WorkflowExecutionRef.UID)
	case workflow.UID != spec.WorkflowExecutionRef.UID:
		return fmt.Errorf("WorkflowExecution %s was deleted and made again: spec.workflowExecutionRef says UID %s, found %s",
			workflow.Name, spec.WorkflowExecutionRef.UID, workflow.UID)
	case workflow.Status.Plan != nil && workflow.Status.Plan.Digest != spec.PlanDigest:
		return fmt.Errorf("spec.planDigest %s is not that of the workflow's plan, %s", spec.PlanDigest, workflow.Status.Plan.Digest)
	}
	return isStep(spec, workflow)
}

// isStep checks that what is to be done is what the workflow's step says: that is what the gate judges. Only a workflow that is
// rolling back has its steps undone.
func isStep(spec *kubernetesexecutionv1.KubernetesExecutionSpec, workflow *workflowexecutionv1.WorkflowExecution) error {
	definition := workflow.Definition()
	if definition == nil || int(spec.StepIndex) >= len(definition.Steps) {
		return fmt.Errorf("its workflow has no step %d", spec.StepIndex)
	}
	step := &definition.Steps[spec.StepIndex]
	switch {
	case step.Name != spec.StepName:
		return fmt.Errorf("spec.stepName is not that of step %d (%s) of its workflow", spec.StepIndex, step.Name)
	case workflow.Spec.RollbackOf != nil:
		return isUndo(spec, workflow)
	case spec.Purpose == kubernetesexecutionv1.PurposeExecute:
		if !sameAction(spec.Action, &step.Action) {
			return fmt.Errorf("spec.action is not that of step %d (%s) of its workflow", spec.StepIndex, step.Name)
		}
		return stillRuns(spec, workflow)
	case spec.RestoreFrom == "" && (step.Rollback != shared.RollbackAction || !sameAction(spec.Action, step.RollbackAction)):
		return fmt.Errorf("spec.action is not the rollbackAction of step %d (%s) of its workflow", spec.StepIndex, step.Name)
	case spec.RestoreFrom != "" && step.Rollback != "" && step.Rollback != shared.RollbackCaptured:
		return fmt.Errorf("step %s of its workflow has rollback %s: what it captured is not restored", step.Name, step.Rollback)
	case workflow.Status.Phase != workflowexecutionv1.PhaseRollingBack:
		return fmt.Errorf("WorkflowExecution %s is not rolling back: its phase is %q", workflow.Name, workflow.Status.Phase)
	}
	return nil
}

// stillRuns keeps an execution that comes late, made by a manager that did not know better, from acting for a workflow that has
// failed, or has given up the step: its effect would not be undone.
func stillRuns(spec *kubernetesexecutionv1.KubernetesExecutionSpec, workflow *workflowexecutionv1.WorkflowExecution) error {
	status := &workflow.Status
	if status.Phase.Terminal() || status.Phase == workflowexecutionv1.PhaseRollingBack {
		return fmt.Errorf("WorkflowExecution %s runs no steps any more: its phase is %q", workflow.Name, status.Phase)
	}
	if int(spec.StepIndex) >= len(status.Steps) {
		return nil
	}
	step := &status.Steps[spec.StepIndex]
	if step.Phase != workflowexecutionv1.StepRunning || step.Attempts != spec.Attempt || step.ExecutionRef == "" {
		return fmt.Errorf("step %s of WorkflowExecution %s does not run attempt %d: it is %s", spec.StepName, workflow.Name, spec.Attempt, step.Phase)
	}
	return nil
}

// owner is the UID of the controller of an object; empty without one.
func owner(object metav1.Object) string {
	if ref := metav1.GetControllerOf(object); ref != nil {
		return string(ref.UID)
	}
	return ""
}

// look finds out whether the effect is there, without making it.
func (r *Reconciler) look(ctx context.Context, execution *kubernetesexecutionv1.KubernetesExecution) (*Made, *Verification) {
	t, err := r.taskOf(ctx, execution)
	if err != nil {
		return &Made{Err: err}, nil
	}
	effect, found, err := r.Effects.Find(ctx, t.action, execution)
	made := &Made{Effect: effect, Err: err, Absent: err == nil && !found}
	if !found {
		return made, nil
	}
	return made, r.verify(ctx, t, effect)
}

// verification looks at the target after the effect.
func (r *Reconciler) verification(ctx context.Context, execution *kubernetesexecutionv1.KubernetesExecution) *Verification {
	t, err := r.taskOf(ctx, execution)
	if err != nil {
		return &Verification{Err: err}
	}
	if r.Effects.Deletes(t.action) {
		effect, _, err := r.Effects.Find(ctx, t.action, execution)
		if err != nil {
			return &Verification{Err: err}
		}
		return r.verify(ctx, t, effect)
	}
	live, err := r.Effects.Read(ctx, t.action)
	if err != nil {
		return &Verification{Err: err}
	}
	if inverse := execution.Status.Inverse; live != nil && inverse != nil && live.GetUID() != inverse.UID {
		return &Verification{Err: machinery.Typed(shared.ErrorResourceConflict, fmt.Errorf(
			"%s was deleted and made again after the effect: UID %s was changed, found %s", inverse.Target, inverse.UID, live.GetUID()))}
	}
	return r.verify(ctx, t, effects.Effect{Object: live})
}

func (r *Reconciler) verify(ctx context.Context, t task, effect effects.Effect) *Verification {
	if t.origin != nil {
		return r.verifyRestored(ctx, t)
	}
	action, known := actions.Get(t.action.Type)
	if !known {
		return &Verification{Err: machinery.Typed(shared.ErrorValidation, fmt.Errorf("there is no action of type %q", t.action.Type))}
	}
	return &Verification{Verification: action.Verify(effect.Object)}
}
