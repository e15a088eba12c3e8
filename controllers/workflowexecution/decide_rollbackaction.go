package workflowexecution

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// byAction says that a step is undone by its rollbackAction, not by restoring what it captured.
func byAction(step *shared.Step) bool {
	return step.Rollback == shared.RollbackAction && step.RollbackAction != nil
}

// hardness orders the verdicts, the mildest first. One that is none is as hard as a deny.
func hardness(verdict shared.Verdict) int {
	order := []shared.Verdict{shared.VerdictAllow, shared.VerdictRequireApproval, shared.VerdictHold, shared.VerdictDeny}
	if i := slices.Index(order, verdict); i >= 0 {
		return i
	}
	return len(order)
}

// maxDecisionRules bounds the rules of one decision.
const maxDecisionRules = 16

// withRollback puts what was found out about the rollbackAction of a step with what was found out about the step: the two are
// judged together. The harder decision is that of the step, with the rules of both.
func withRollback(step, rollback assessment) assessment {
	step.rollback = rollback.preparation
	if rollback.err != nil {
		step.err = fmt.Errorf("its rollbackAction: %w", rollback.err)
		return step
	}
	milder := rollback.decision
	if hardness(rollback.decision.Verdict) > hardness(step.decision.Verdict) {
		step.ofRollbackAction = true
		step.decision, milder = rollback.decision, step.decision
	}
	step.decision.Rules = slices.Concat(step.decision.Rules, milder.Rules)
	step.decision.Rules = step.decision.Rules[:min(len(step.decision.Rules), maxDecisionRules)]
	return step
}

// judged names what the decision about a step is about.
func (d *decider) judged(i int) string {
	name := fmt.Sprintf("step %q", d.definitions()[i].Name)
	if d.steps[i].ofRollbackAction {
		return "the rollbackAction of " + name
	}
	return name
}

// undoByAction takes the undoing of a step by its rollbackAction further, and says whether it is over. It runs once, whatever
// number of attempts had an effect, also when nothing is known of one any more: it needs nothing that was captured.
func (d *decider) undoByAction(i int, r *rolling) bool {
	step := &d.status.Steps[i]
	for attempt := step.Attempts; attempt > 0; attempt-- {
		if d.traceOf(i, attempt) == traceRunning {
			return false
		}
	}
	if !d.affected(i) {
		d.endedWithout(i)
		return true
	}
	name := shared.RollbackName(d.workflow.Name, step.Index, step.Attempts)
	execution := d.executions[name]
	switch {
	case execution != nil && execution.Status.Phase == kubernetesexecutionv1.PhaseCompleted:
		step.Phase = workflowexecutionv1.StepRolledBack
		return true
	case execution != nil && execution.Status.Phase == kubernetesexecutionv1.PhaseFailed:
		d.notRestored(i, fmt.Sprintf("%s: %s (%s, KubernetesExecution %s)", d.rollbackActionText(i), execution.Status.ErrorMessage, execution.Status.ErrorType, name))
		return true
	case execution == nil && r.takes(targetKey(d.definitions()[i].RollbackAction)):
		d.announceRollbackAction(i)
	}
	return false
}

// announceRollbackAction has the execution made that runs the rollbackAction of a step, on its target as it was judged, or as this
// workflow has left it.
func (d *decider) announceRollbackAction(i int) {
	spec := d.rollbackSpec(i, d.status.Steps[i].Attempts)
	spec.Action = d.definitions()[i].RollbackAction.DeepCopy()
	at := slices.IndexFunc(d.status.Plan.Targets, func(t workflowexecutionv1.PlannedTarget) bool {
		return slices.Contains(t.RollbackSteps, int32(i)) //nolint:gosec // at most 100
	})
	if at >= 0 {
		target := &d.status.Plan.Targets[at]
		spec.ExpectedTarget = &kubernetesexecutionv1.ExpectedTarget{UID: targetUID(*target), Generation: d.leftGeneration(target)}
	}
	d.create = append(d.create, spec)
}

// leftGeneration is the generation in which this workflow has left a target, by its steps and by undoing them.
func (d *decider) leftGeneration(target *workflowexecutionv1.PlannedTarget) int64 {
	left := target.Generation
	see := func(name string) {
		if execution := d.executions[name]; execution != nil {
			left = max(left, execution.Status.ResultingGeneration)
		}
	}
	for _, i := range target.Steps {
		for attempt := d.status.Steps[i].Attempts; attempt > 0; attempt-- {
			see(shared.ExecutionName(d.workflow.Name, i, attempt))
			if !byAction(&d.definitions()[i]) {
				see(shared.RollbackName(d.workflow.Name, i, attempt))
			}
		}
	}
	for _, i := range target.RollbackSteps {
		see(shared.RollbackName(d.workflow.Name, i, d.status.Steps[i].Attempts))
	}
	return left
}

// rollbackActionText names the rollbackAction of a step and its target.
func (d *decider) rollbackActionText(i int) string {
	action := d.definitions()[i].RollbackAction
	text := "its rollbackAction " + string(action.Type)
	if target := targetOf(action); target != nil {
		text += " of " + target.String()
	}
	return text
}

// endedWithout ends a step that was still taken for running and turned out to have no effect.
func (d *decider) endedWithout(i int) {
	if step := &d.status.Steps[i]; step.Phase == workflowexecutionv1.StepRunning {
		step.Phase, step.Message = workflowexecutionv1.StepFailed, "ended without an effect when the workflow had failed"
	}
}

// undoneText says how the steps that are rolled back were.
func (d *decider) undoneText(undone []int) []string {
	acted := slices.DeleteFunc(slices.Clone(undone), func(i int) bool { return !byAction(&d.definitions()[i]) })
	restored := slices.DeleteFunc(slices.Clone(undone), func(i int) bool { return byAction(&d.definitions()[i]) })
	var parts []string
	if len(restored) > 0 {
		parts = append(parts, "every field that was captured for "+d.names(restored)+" is restored")
	}
	if len(acted) > 0 {
		parts = append(parts, "the rollbackAction of "+d.names(acted)+" is done")
	}
	return parts
}

// rolling is how far a pass of rolling back may go: how many executions it may start, and on which objects none, because one that
// undoes another step is at work there.
type rolling struct {
	room int
	busy map[string]bool
}

func (d *decider) newRolling(room int) *rolling {
	r := &rolling{room: room, busy: map[string]bool{}}
	for _, name := range d.restores() {
		r.room--
		r.busy[d.undoneKey(int(d.executions[name].Spec.StepIndex))] = true
	}
	return r
}

// undoneKey is the key of the object that undoing a step changes.
func (d *decider) undoneKey(i int) string {
	if i >= len(d.definitions()) {
		return ""
	}
	if step := &d.definitions()[i]; byAction(step) {
		return targetKey(step.RollbackAction)
	}
	return targetKey(&d.definitions()[i].Action)
}

// takes says whether an execution on this object may start now, and counts it.
func (r *rolling) takes(key string) bool {
	if r.room <= 0 || (key != "" && r.busy[key]) {
		return false
	}
	r.room--
	r.busy[key] = true
	return true
}

// rollbackSpec is what the executions that undo an attempt of a step have in common.
func (d *decider) rollbackSpec(i int, attempt int32) kubernetesexecutionv1.KubernetesExecutionSpec {
	step := &d.status.Steps[i]
	return kubernetesexecutionv1.KubernetesExecutionSpec{
		WorkflowExecutionRef: shared.ObjectReference{Name: d.workflow.Name, UID: d.workflow.UID},
		StepIndex:            step.Index,
		StepName:             step.Name,
		Attempt:              attempt,
		Purpose:              kubernetesexecutionv1.PurposeRollBack,
		Timeout:              &metav1.Duration{Duration: d.rollbackTimeout(i)},
		PlanDigest:           d.status.Plan.Digest,
	}
}
