package workflowexecution

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
)

// trace is what one attempt of a step left behind.
type trace string

const (
	// traceNone is nothing that could be undone.
	traceNone trace = "none"
	// traceRunning is not known yet: the attempt has not ended.
	traceRunning trace = "running"
	// traceCaptured is an effect, or perhaps one, and what undoing it needs.
	traceCaptured trace = "captured"
	// traceLost is perhaps an effect, of which nothing is known any more.
	traceLost trace = "lost"
)

// traceOf says what an attempt, from 1, of a step left behind. The executionRef of an attempt that was never made is empty.
func (d *decider) traceOf(i int, attempt int32) trace {
	step := &d.status.Steps[i]
	name := attemptName(d.workflow, step.Index, attempt)
	execution := d.executions[name]
	_, foreign := d.foreign[name]
	switch {
	case foreign, attempt == step.Attempts && step.ExecutionRef == "":
		return traceNone
	case execution == nil:
		return traceLost
	case execution.Status.Changed != nil && !*execution.Status.Changed:
		return traceNone
	case !execution.Status.Phase.Terminal():
		return traceRunning
	case execution.Status.StartedAt != nil && byAction(&d.definitions()[i]):
		return traceCaptured // the rollbackAction is all that it needs
	case execution.Status.StartedAt == nil, !execution.Status.Inverse.Restores():
		return traceNone
	}
	return traceCaptured
}

// affected says whether a step has, or may have, an effect that could be undone.
func (d *decider) affected(i int) bool {
	for attempt := d.status.Steps[i].Attempts; attempt > 0; attempt-- {
		if d.traceOf(i, attempt) != traceNone {
			return true
		}
	}
	return false
}

// restored says whether the step is undone when the workflow rolls back.
func restored(step *shared.Step) bool {
	return step.Rollback != shared.RollbackNone
}

func rollbackStrategy(workflow *workflowexecutionv1.WorkflowExecution) shared.RollbackStrategy {
	strategy := workflow.Spec.ExecutionStrategy
	if strategy == nil {
		return shared.RollbackStrategyAutomatic
	}
	return cmp.Or(strategy.RollbackStrategy, shared.RollbackStrategyAutomatic)
}

// conclude ends a workflow that fails when nothing runs any more: at once, or after its effects are undone.
func (d *decider) conclude() {
	if d.rollsBack() && d.undoable() {
		d.startRollback()
		return
	}
	d.end()
}

// undoable says whether there is anything to undo.
func (d *decider) undoable() bool {
	for i := range d.status.Steps {
		if restored(&d.definitions()[i]) && d.affected(i) {
			return true
		}
	}
	return false
}

// startRollback only changes the phase: what undoing needs is gathered for that phase.
func (d *decider) startRollback() {
	d.enter(workflowexecutionv1.PhaseRollingBack)
	d.status.RollbackStartTime = &d.now
	d.status.HealthySince = nil
	message := "the workflow failed; what its steps changed is being restored"
	d.conditions.False(workflowexecutionv1.ConditionRolledBack, ReasonRollingBack, message)
	d.conditions.Progressing(ReasonRollingBack, message)
	d.wakeAt = d.now.Add(rollbackLimit(d.workflow))
}

// rollBack undoes the steps in reverse topological order: one only after all that depend on it. One that cannot be undone does
// not keep the others.
func (d *decider) rollBack() {
	if d.graph == nil {
		d.giveUp(fmt.Sprintf("the order of the steps is not known: %v", d.graphError))
		return
	}
	d.wakeAt = phaseDeadline(d.workflow)
	why, overdue := d.rollbackStopped(), !d.now.Time.Before(d.wakeAt)
	if overdue {
		why = "timeouts.rollback passed before it was restored"
		d.stopRestores()
	}
	r := d.newRolling(planning.MaxParallel(d.workflow.Spec.ExecutionStrategy))
	if why != "" {
		r.room = 0
	}
	done := make([]bool, len(d.status.Steps))
	for _, i := range slices.Backward(d.graph.Order()) {
		free := !slices.ContainsFunc(d.graph.Order(), func(j int) bool {
			return !done[j] && slices.Contains(d.graph.Dependencies(j), i)
		})
		done[i] = free && d.undo(i, r)
	}
	switch {
	case !slices.Contains(done, false):
		d.endRollback()
	case overdue, why != "" && len(d.restores()) == 0:
		d.giveUp(why)
	}
}

// restores are the executions that undo and have not ended.
func (d *decider) restores() []string {
	var names []string
	for name, execution := range d.executions {
		if execution.Spec.Purpose == kubernetesexecutionv1.PurposeRollBack && !execution.Status.Phase.Terminal() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// stopRestores keeps what undoes and has not begun from beginning.
func (d *decider) stopRestores() {
	for _, name := range d.restores() {
		d.stopExecution(name)
	}
}

// undo takes the undoing of one step further, the last attempt first, and says whether it is over.
func (d *decider) undo(i int, r *rolling) bool {
	step := &d.status.Steps[i]
	switch {
	case !restored(&d.definitions()[i]) || !undoneLater(step.Phase):
		return true
	case byAction(&d.definitions()[i]):
		return d.undoByAction(i, r)
	}
	var undone bool
	var problems []string
	for attempt := step.Attempts; attempt > 0; attempt-- {
		switch d.traceOf(i, attempt) {
		case traceNone:
		case traceRunning:
			return false
		case traceLost:
			problems = append(problems, fmt.Sprintf("KubernetesExecution %s, which captured what would be restored, is gone",
				shared.ExecutionName(d.workflow.Name, step.Index, attempt)))
		case traceCaptured:
			over, problem := d.undoAttempt(i, attempt, r)
			if !over {
				return false
			}
			if problem != "" {
				problems = append(problems, problem)
			}
			undone = true
		}
	}
	switch {
	case len(problems) > 0:
		d.notRestored(i, strings.Join(problems, "; "))
	case undone:
		step.Phase = workflowexecutionv1.StepRolledBack
	default:
		d.endedWithout(i)
	}
	return true
}

// undoneLater says whether a step in this phase may have left something to undo.
func undoneLater(phase workflowexecutionv1.StepPhase) bool {
	return phase == workflowexecutionv1.StepCompleted || phase == workflowexecutionv1.StepFailed || phase == workflowexecutionv1.StepRunning
}

// undoAttempt has one attempt undone, and says whether that is over and what it could not restore.
func (d *decider) undoAttempt(i int, attempt int32, r *rolling) (over bool, problem string) {
	name := shared.RollbackName(d.workflow.Name, d.status.Steps[i].Index, attempt)
	execution := d.executions[name]
	origin := d.executions[shared.ExecutionName(d.workflow.Name, d.status.Steps[i].Index, attempt)]
	switch {
	case execution != nil && execution.Status.Phase == kubernetesexecutionv1.PhaseCompleted:
		return true, ""
	case execution != nil && execution.Status.Phase == kubernetesexecutionv1.PhaseFailed:
		return true, fmt.Sprintf("%s: %s (%s, KubernetesExecution %s)", capturedText(origin), execution.Status.ErrorMessage, execution.Status.ErrorType, name)
	case execution == nil && r.takes(d.undoneKey(i)):
		d.announceRollback(i, attempt, origin)
	}
	return false, ""
}

// announceRollback has the execution made that undoes one attempt.
func (d *decider) announceRollback(i int, attempt int32, origin *kubernetesexecutionv1.KubernetesExecution) {
	spec := d.rollbackSpec(i, attempt)
	spec.RestoreFrom = shared.ExecutionName(d.workflow.Name, d.status.Steps[i].Index, attempt)
	spec.ExpectedTarget = &kubernetesexecutionv1.ExpectedTarget{UID: origin.Status.Inverse.UID}
	d.create = append(d.create, spec)
}

// rollbackTimeout is how long undoing a step may take: as long as the step, within what is left for rolling back.
func (d *decider) rollbackTimeout(i int) time.Duration {
	left := phaseDeadline(d.workflow).Sub(d.now.Time)
	return min(planning.StepTimeout(&d.definitions()[i]), max(left.Truncate(time.Second), time.Second))
}

// capturedText names what an execution captured: its fields and their object.
func capturedText(execution *kubernetesexecutionv1.KubernetesExecution) string {
	inverse := execution.Status.Inverse
	paths := make([]string, 0, len(inverse.Fields))
	for _, change := range inverse.Fields {
		paths = append(paths, change.Path)
	}
	text := machinery.Cut(strings.Join(paths, ", "), maxStepOutput)
	if inverse.Target != nil {
		text += " of " + inverse.Target.String()
	}
	return text
}

func (d *decider) notRestored(i int, why string) {
	step := &d.status.Steps[i]
	step.Phase = workflowexecutionv1.StepRollbackFailed
	step.Message = machinery.Cut("could not be undone: "+why, maxStepError)
}

// giveUp ends the rolling back as it stands: what is not restored by now is not.
func (d *decider) giveUp(why string) {
	for i := range d.status.Steps {
		if !restored(&d.definitions()[i]) || !undoneLater(d.status.Steps[i].Phase) {
			continue
		}
		if d.affected(i) {
			d.notRestored(i, why+d.unfinished(i))
		}
	}
	d.endRollback()
}

// unfinished names what would have been restored, and the execution that may still do it.
func (d *decider) unfinished(i int) string {
	step := &d.status.Steps[i]
	for attempt := step.Attempts; attempt > 0; attempt-- {
		if d.traceOf(i, attempt) != traceCaptured {
			continue
		}
		what := d.rollbackActionText
		if !byAction(&d.definitions()[i]) {
			what = func(int) string {
				return capturedText(d.executions[shared.ExecutionName(d.workflow.Name, step.Index, attempt)])
			}
		}
		text := ": " + what(i)
		name := shared.RollbackName(d.workflow.Name, step.Index, attempt)
		if execution := d.executions[name]; execution != nil && !execution.Status.Phase.Terminal() {
			text += " (see KubernetesExecution " + name + ", which had not ended)"
		}
		return text
	}
	return ""
}

// endRollback ends a workflow that has rolled back as far as it could.
func (d *decider) endRollback() {
	undone := d.stepsIn(workflowexecutionv1.StepRolledBack)
	kept := d.stepsIn(workflowexecutionv1.StepRollbackFailed)
	outcome, reason := workflowexecutionv1.OutcomeRolledBack, ReasonRolledBack
	switch {
	case len(undone) == 0 && len(kept) == 0:
		d.end()
		return
	case len(undone) == 0:
		outcome, reason = workflowexecutionv1.OutcomeRollbackFailed, ReasonRollbackFailed
	case len(kept) > 0:
		outcome, reason = workflowexecutionv1.OutcomePartiallyRolledBack, ReasonPartiallyRolledBack
	}
	d.finish(outcome)
	message := d.rollbackMessage(undone, kept)
	if len(kept) > 0 {
		d.conditions.False(workflowexecutionv1.ConditionRolledBack, reason, message)
		return
	}
	d.conditions.True(workflowexecutionv1.ConditionRolledBack, reason, message)
}

// rollbackMessage says first what could not be restored: a person has to look at that.
func (d *decider) rollbackMessage(undone, kept []int) string {
	var parts []string
	for _, i := range kept {
		parts = append(parts, fmt.Sprintf("step %q %s", d.status.Steps[i].Name, d.status.Steps[i].Message))
	}
	parts = append(parts, d.undoneText(undone)...)
	if left := d.notAsked(); len(left) > 0 {
		parts = append(parts, "what "+d.names(left)+" changed stays, because rollback is None there")
	}
	return strings.Join(parts, "; ")
}

// notAsked are the steps with an effect that are not to be undone.
func (d *decider) notAsked() []int {
	var steps []int
	for i := range d.status.Steps {
		if !restored(&d.definitions()[i]) && d.affected(i) {
			steps = append(steps, i)
		}
	}
	return steps
}

func (d *decider) stepsIn(phase workflowexecutionv1.StepPhase) []int {
	var steps []int
	for i := range d.status.Steps {
		if d.status.Steps[i].Phase == phase {
			steps = append(steps, i)
		}
	}
	return steps
}

// names lists steps for people: step "a", or steps "a", "b".
func (d *decider) names(steps []int) string {
	quoted := make([]string, len(steps))
	for at, i := range steps {
		quoted[at] = fmt.Sprintf("%q", d.status.Steps[i].Name)
	}
	if len(steps) == 1 {
		return "step " + quoted[0]
	}
	return "steps " + strings.Join(quoted, ", ")
}

// lasting are the steps that have, or may have, an effect of which nothing can be restored, such as a restart.
func (d *decider) lasting() []int {
	var steps []int
	for i := range d.status.Steps {
		execution := d.executions[d.status.Steps[i].ExecutionRef]
		if execution == nil || execution.Status.StartedAt == nil || execution.Status.Inverse == nil || execution.Status.Inverse.Target == nil {
			continue
		}
		unchanged := execution.Status.Changed != nil && !*execution.Status.Changed
		if !unchanged && !execution.Status.Inverse.Restores() {
			steps = append(steps, i)
		}
	}
	return steps
}

// notPerformed says why nothing is undone, and what a person can do.
func (d *decider) notPerformed() string {
	var affected []int
	for i := range d.status.Steps {
		if d.affected(i) {
			affected = append(affected, i)
		}
	}
	if lasting := d.lasting(); len(affected) == 0 && len(lasting) > 0 {
		return "what " + d.names(lasting) + " did is not undone: there is nothing that could be restored; the KubernetesExecutions say why in status.inverse"
	}
	if len(affected) == 0 {
		return "no step has changed anything"
	}
	const byHand = "; the KubernetesExecutions of these steps say in status.inverse what was there before: restore that by hand, or by a workflow whose steps do"
	advice := fmt.Sprintf("; to undo it, run `kubernaut rollback %s -n %s`, or create a WorkflowExecution with spec.rollbackOf {name: %s, uid: %s}",
		d.workflow.Name, d.workflow.Namespace, d.workflow.Name, d.workflow.UID)
	if rollbackStrategy(d.workflow) == shared.RollbackStrategyNone {
		advice = byHand
	}
	text := "what " + d.names(affected) + " changed stays as it is: "
	if d.terminating {
		return text + terminatingNamespace
	}
	if d.cancelled() != "" {
		return text + d.cancelReason() + advice
	}
	if len(d.notAsked()) == len(affected) {
		return text + "rollback is None there" + byHand
	}
	return text + "the rollback strategy is " + string(rollbackStrategy(d.workflow)) + advice
}
