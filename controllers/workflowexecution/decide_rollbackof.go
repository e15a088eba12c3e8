package workflowexecution

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
)

// undoesAnother says that a workflow undoes another one, which has finished: it has spec.rollbackOf.
func undoesAnother(workflow *workflowexecutionv1.WorkflowExecution) bool {
	return workflow.Spec.RollbackOf != nil
}

// attemptName is the name of the execution of an attempt of a step.
func attemptName(workflow *workflowexecutionv1.WorkflowExecution, index, attempt int32) string {
	if undoesAnother(workflow) {
		return shared.RollbackName(workflow.Name, index, attempt)
	}
	return shared.ExecutionName(workflow.Name, index, attempt)
}

// undone is the workflow that another one is to undo, as it is now.
type undone struct {
	// workflow is nil when there is none of the name.
	workflow *workflowexecutionv1.WorkflowExecution
	// executions are those of its attempts, by name.
	executions map[string]*kubernetesexecutionv1.KubernetesExecution
	// by names another workflow that undoes it now or has undone it; empty without one.
	by string
}

// maxUndoSteps is how many executions one workflow can undo: as many steps as any workflow has.
const maxUndoSteps = 100

// undoOf derives from a finished workflow what undoes it: a step for every attempt with an effect that is still there, or may be.
// Its error is a refusal, and has a class.
func undoOf(ref shared.ObjectReference, u undone) (*workflowexecutionv1.Undo, error) {
	if class, why := planning.UndoRefused(ref, u.workflow); class != "" {
		return nil, machinery.Typed(class, errors.New(why))
	}
	if u.by != "" {
		return nil, machinery.Typed(shared.ErrorResourceConflict, fmt.Errorf("WorkflowExecution %s undoes %s or has undone it", u.by, ref.Name))
	}
	definition := u.workflow.Spec.WorkflowDefinition
	graph, err := planning.NewGraph(definition.Steps, func(i int) string { return targetKey(&definition.Steps[i].Action) })
	if err != nil {
		return nil, machinery.Typed(shared.ErrorValidation, fmt.Errorf("the steps of WorkflowExecution %s have no order: %w", ref.Name, err))
	}
	d := newDecider(snapshot{workflow: u.workflow, executions: u.executions}, u.workflow.CreationTimestamp.Time)
	undo := &workflowexecutionv1.Undo{Name: definition.Name, Version: definition.Version}
	left := make([][]workflowexecutionv1.UndoStep, len(definition.Steps))
	for i := range d.status.Steps {
		if left[i], err = d.leftBehind(i); err != nil {
			return nil, err
		}
	}
	order, before := graph.Backwards(func(i int) bool { return i < len(left) && len(left[i]) > 0 })
	last := map[int]int32{} // where the last of the steps stands that undo one step
	for _, i := range order {
		for n := range left[i] {
			step := &left[i][n]
			step.Name = distinct(undo.Steps, step.Name)
			if n > 0 {
				step.DependsOn = []int32{last[i]}
			} else {
				for _, later := range before[i] {
					step.DependsOn = append(step.DependsOn, last[later])
				}
				slices.Sort(step.DependsOn)
			}
			last[i] = int32(len(undo.Steps)) //nolint:gosec // below
			undo.Steps = append(undo.Steps, *step)
		}
	}
	switch {
	case len(undo.Steps) == 0:
		return nil, machinery.Typed(shared.ErrorValidation, fmt.Errorf("WorkflowExecution %s has nothing to undo: no step of it has an effect that was captured, or that a rollbackAction undoes", ref.Name))
	case len(undo.Steps) > maxUndoSteps:
		return nil, machinery.Typed(shared.ErrorValidation, fmt.Errorf("WorkflowExecution %s has %d effects to undo; one workflow can undo %d", ref.Name, len(undo.Steps), maxUndoSteps))
	}
	return undo, nil
}

// leftBehind is what undoes one step, the last attempt first.
func (d *decider) leftBehind(i int) ([]workflowexecutionv1.UndoStep, error) {
	step, definition := &d.status.Steps[i], &d.definitions()[i]
	if !restored(definition) || !planning.MayBeUndone(*step) {
		return nil, nil
	}
	var steps []workflowexecutionv1.UndoStep
	for attempt := step.Attempts; attempt > 0; attempt-- {
		name := shared.ExecutionName(d.workflow.Name, step.Index, attempt)
		from := workflowexecutionv1.UndoStep{
			Name: definition.Name, Action: definition.Action, RestoreFrom: name, Timeout: &metav1.Duration{Duration: planning.StepTimeout(definition)},
		}
		if byAction(definition) {
			from.Action, from.RestoreFrom = *definition.RollbackAction, ""
		}
		switch d.traceOf(i, attempt) {
		case traceNone:
			continue
		case traceRunning:
			return nil, machinery.Typed(shared.ErrorResourceConflict, fmt.Errorf("KubernetesExecution %s of WorkflowExecution %s has not ended: undo it when it has", name, d.workflow.Name))
		case traceLost:
			if !byAction(definition) {
				return nil, machinery.Typed(shared.ErrorResourceNotFound, fmt.Errorf("KubernetesExecution %s, which captured what would be restored, is gone", name))
			}
		case traceCaptured:
		}
		if len(steps) > 0 {
			from.Name = shared.ChildName(definition.Name, fmt.Sprintf("a%d", attempt))
		}
		steps = append(steps, from)
		if byAction(definition) {
			break // once, whatever number of attempts had an effect
		}
	}
	return steps, nil
}

// distinct is a name that no step has yet.
func distinct(steps []workflowexecutionv1.UndoStep, name string) string {
	for _, step := range steps {
		if step.Name == name {
			return distinct(steps, shared.ChildName(name, "again"))
		}
	}
	return name
}

// planUndo takes in what undoes the other workflow, and says whether there is anything; otherwise the workflow has failed.
func (d *decider) planUndo() bool {
	if d.reversalError != nil {
		d.fail(noStep, machinery.Classify(d.reversalError), "spec.rollbackOf: "+d.reversalError.Error())
		return false
	}
	d.definition = d.reversal.Definition()
	return true
}

// undoing makes the execution of a step one that undoes.
func (d *decider) undoing(spec *kubernetesexecutionv1.KubernetesExecutionSpec) {
	step := &d.status.Plan.Undo.Steps[spec.StepIndex]
	spec.Purpose = kubernetesexecutionv1.PurposeRollBack
	if step.RestoreFrom == "" {
		return
	}
	spec.Action, spec.RestoreFrom = nil, step.RestoreFrom
	if spec.ExpectedTarget != nil {
		// Restoring looks at each captured field by itself: whatever else has changed does not matter.
		spec.ExpectedTarget.Generation = 0
	}
}

// nothingToUndo ends a workflow whose other one somebody else has undone, field by field, and says whether it has.
func (d *decider) nothingToUndo() bool {
	if !undoesAnother(d.workflow) {
		return false
	}
	for i := range d.steps {
		if d.status.Plan.Undo.Steps[i].RestoreFrom == "" || d.steps[i].preparation == nil || len(d.steps[i].preparation.Changes) > 0 {
			return false
		}
	}
	message := fmt.Sprintf("nothing is left to undo: every field that WorkflowExecution %s captured is as it was captured", d.workflow.Spec.RollbackOf.Name)
	d.conditions.False(workflowexecutionv1.ConditionValidated, ReasonNothingToUndo, message)
	d.fail(noStep, shared.ErrorValidation, message)
	return true
}

// undoFailed blames the first step that could not be undone, in a workflow that undoes another one: there a failure does not keep
// the other steps, so it is known only at the end.
func (d *decider) undoFailed() bool {
	failed := d.stepsIn(workflowexecutionv1.StepFailed)
	if !undoesAnother(d.workflow) || len(failed) == 0 {
		return false
	}
	step := &d.status.Steps[failed[0]]
	d.blame(failed[0], step.ErrorType, step.Message)
	return true
}

// endUndo says how far a workflow that undoes another one has come.
func (d *decider) endUndo() {
	done := d.stepsIn(workflowexecutionv1.StepCompleted)
	if len(done) > 0 && len(done) == len(d.status.Steps) {
		d.undoneAll()
		return
	}
	name, reason := d.workflow.Spec.RollbackOf.Name, ReasonRollbackFailed
	parts := []string{fmt.Sprintf("of WorkflowExecution %s nothing was undone", name)}
	if len(done) > 0 {
		reason = ReasonPartiallyRolledBack
		parts[0] = fmt.Sprintf("of WorkflowExecution %s only %s is undone", name, d.names(done))
	}
	if !d.anyStarted() {
		reason = ReasonNotPerformed
	}
	for _, i := range d.stepsIn(workflowexecutionv1.StepFailed) {
		parts = append(parts, fmt.Sprintf("%s: %s", d.names([]int{i}), d.status.Steps[i].Message))
	}
	d.conditions.False(workflowexecutionv1.ConditionRolledBack, reason, strings.Join(parts, "; "))
}

// undoneAll records that everything is undone.
func (d *decider) undoneAll() {
	d.conditions.True(workflowexecutionv1.ConditionRolledBack, ReasonRolledBack,
		fmt.Sprintf("what WorkflowExecution %s changed is undone", d.workflow.Spec.RollbackOf.Name))
}

func (d *decider) anyStarted() bool {
	for i := range d.status.Steps {
		if d.status.Steps[i].Attempts > 0 {
			return true
		}
	}
	return false
}

// undoOutcome is the outcome of a workflow that was to undo another one and failed.
func (d *decider) undoOutcome() workflowexecutionv1.WorkflowOutcome {
	done := d.countPhase(workflowexecutionv1.StepCompleted)
	switch {
	case !d.anyStarted(), done == len(d.status.Steps):
		return workflowexecutionv1.OutcomeFailed
	case done > 0:
		return workflowexecutionv1.OutcomePartiallyRolledBack
	}
	return workflowexecutionv1.OutcomeRollbackFailed
}
