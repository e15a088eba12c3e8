package workflowexecution

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
)

// transitions are the phases that may follow each phase. Planning needs no object but the workflow, so a workflow that can be
// planned at once goes straight on to validating.
func transitions() machinery.Table[workflowexecutionv1.WorkflowPhase] {
	return machinery.Table[workflowexecutionv1.WorkflowPhase]{
		"": {workflowexecutionv1.PhasePlanning, workflowexecutionv1.PhaseValidating, workflowexecutionv1.PhaseFailed},
		workflowexecutionv1.PhasePlanning: {
			workflowexecutionv1.PhaseValidating, workflowexecutionv1.PhaseFailed,
		},
		workflowexecutionv1.PhaseValidating: {
			workflowexecutionv1.PhaseExecuting, workflowexecutionv1.PhaseCompleted, workflowexecutionv1.PhaseFailed,
		},
		workflowexecutionv1.PhaseExecuting: {
			workflowexecutionv1.PhaseMonitoring, workflowexecutionv1.PhaseRollingBack, workflowexecutionv1.PhaseFailed,
		},
		workflowexecutionv1.PhaseMonitoring: {
			workflowexecutionv1.PhaseCompleted, workflowexecutionv1.PhaseRollingBack, workflowexecutionv1.PhaseFailed,
		},
		workflowexecutionv1.PhaseRollingBack: {workflowexecutionv1.PhaseFailed},
		workflowexecutionv1.PhaseCompleted:   {},
		workflowexecutionv1.PhaseFailed:      {},
	}
}

// executionGrace is how much longer than its time-out an execution may take to report that it timed out.
const executionGrace = 30 * time.Second

// decision is the next status, what to do once it is recorded, and when to look again.
type decision struct {
	status workflowexecutionv1.WorkflowExecutionStatus
	create []kubernetesexecutionv1.KubernetesExecutionSpec
	// asks is the ApprovalRequest that the status names and that is to be made.
	asks *safetyv1alpha1.ApprovalRequestSpec
	// cancel names the executions that are to make no write that has not begun.
	cancel []string
	// remove deletes the workflow, and release lets it go that somebody has deleted.
	remove, release bool
	// lock takes the locks before anything is recorded, and has the decision made again with what came of it; unlock gives them back.
	lock, unlock bool
	wakeAt       time.Time
}

// decider builds a decision.
type decider struct {
	snapshot
	decision
	now        metav1.Time
	conditions machinery.Conditions
	// definition is what the workflow does; nil before that is known.
	definition *shared.WorkflowDefinition
}

// decide is the next step of a workflow.
func decide(s snapshot, now time.Time) decision {
	d := newDecider(s, now)
	if leaves(s.workflow) {
		d.release = true
		return d.decision
	}
	// Whoever has begun goes on without its request: what is half done is finished, or undone, by the workflow's own rules.
	d.conditions.ReportOrphan(orphaned(s.workflow))
	switch s.workflow.Status.Phase {
	case "", workflowexecutionv1.PhasePlanning:
		d.plan()
	case workflowexecutionv1.PhaseValidating:
		d.validate()
	case workflowexecutionv1.PhaseExecuting:
		d.execute()
	case workflowexecutionv1.PhaseMonitoring:
		d.monitor()
	case workflowexecutionv1.PhaseCompleted, workflowexecutionv1.PhaseFailed:
		d.retain()
	case workflowexecutionv1.PhaseRollingBack:
		d.rollBack()
	}
	return d.decision
}

func newDecider(s snapshot, now time.Time) *decider {
	d := &decider{snapshot: s, now: metav1.NewTime(now), definition: s.workflow.Definition()}
	d.status = *s.workflow.Status.DeepCopy()
	d.status.ObservedGeneration = s.workflow.Generation
	d.status.AwaitedLock = "" // whoever still waits says so again
	d.conditions = machinery.ConditionsOf(&d.status.Conditions, s.workflow.Generation, d.now)
	return d
}

// abandon fails a workflow whose phase has run out of time while a transient error kept it from going on.
func abandon(workflow *workflowexecutionv1.WorkflowExecution, now time.Time, cause error) decision {
	d := newDecider(snapshot{workflow: workflow}, now)
	d.start()
	if workflow.Status.Phase == workflowexecutionv1.PhaseRollingBack {
		d.giveUp(fmt.Sprintf("timeouts.rollback passed; what kept it: %v", cause))
		return d.decision
	}
	d.fail(noStep, shared.ErrorTimeout, fmt.Sprintf("%s did not end within its time limit; what kept it: %v", workflow.Status.Phase, cause))
	return d.decision
}

// noStep says that no step is to blame.
const noStep = -1

func (d *decider) start() {
	if d.status.Phase == "" {
		d.status.Phase = workflowexecutionv1.PhasePlanning
		d.status.PlanningStartTime = &d.now
	}
}

func (d *decider) plan() {
	d.start()
	if d.stopBefore() || d.failOrphan() || d.suspend() {
		return
	}
	if undoesAnother(d.workflow) && !d.planUndo() {
		return
	}
	if d.definition == nil {
		d.fail(noStep, shared.ErrorValidation, "the spec has neither a workflowDefinition nor rollbackOf: there is nothing to do")
		return
	}
	if d.graphError != nil {
		d.fail(noStep, shared.ErrorValidation, d.graphError.Error())
		return
	}
	plan, err := planning.Build(d.graph, planning.Input{
		Definition: d.definition, Undo: d.reversal, Strategy: d.workflow.Spec.ExecutionStrategy, Mode: d.mode,
		Targets: plannedTargets(d.definitions()), TypicalDuration: func(i int) time.Duration { return typicalDuration(&d.definitions()[i].Action) },
	})
	if err != nil {
		d.fail(noStep, shared.ErrorUnknown, err.Error())
		return
	}
	d.status.Plan = plan
	d.status.TotalSteps = int32(len(d.definitions())) //nolint:gosec // at most 100
	d.status.Steps = pendingSteps(d.definitions())
	d.status.CurrentStep = new(int32(0))
	d.conditions.True(workflowexecutionv1.ConditionPlanned, ReasonPlanned, string(plan.Strategy)+" plan")
	d.enter(workflowexecutionv1.PhaseValidating)
	d.conditions.Progressing(ReasonValidating, "the steps are tried by a dry run and judged by the safety gate")
	d.status.ValidationStartTime = &d.now
}

// definitions are the steps of the definition.
func (d *decider) definitions() []shared.Step {
	if d.definition == nil {
		return nil
	}
	return d.definition.Steps
}

// orphaned says why the workflow is not the child of the request that it names; empty when it is, or names none.
func orphaned(workflow *workflowexecutionv1.WorkflowExecution) string {
	if workflow.Spec.RemediationRequestRef == nil {
		return ""
	}
	return machinery.Orphaned(workflow, *workflow.Spec.RemediationRequestRef)
}

// failOrphan ends a workflow that has lost its request before any of its steps ran.
func (d *decider) failOrphan() bool {
	problem := orphaned(d.workflow)
	if problem != "" {
		d.fail(noStep, shared.ErrorValidation, problem)
	}
	return problem != ""
}

func plannedTargets(steps []shared.Step) []workflowexecutionv1.PlannedTarget {
	var targets []workflowexecutionv1.PlannedTarget
	planned := func(action *shared.Action) *workflowexecutionv1.PlannedTarget {
		target := targetOf(action)
		if target == nil {
			return nil
		}
		at := slices.IndexFunc(targets, func(t workflowexecutionv1.PlannedTarget) bool { return t.Key() == target.Key() })
		if at < 0 {
			targets = append(targets, workflowexecutionv1.PlannedTarget{Target: *target})
			at = len(targets) - 1
		}
		return &targets[at]
	}
	for i := range steps {
		if target := planned(&steps[i].Action); target != nil {
			target.Steps = append(target.Steps, int32(i))
		}
		if steps[i].RollbackAction == nil {
			continue
		}
		if target := planned(steps[i].RollbackAction); target != nil {
			target.RollbackSteps = append(target.RollbackSteps, int32(i))
		}
	}
	return targets
}

func typicalDuration(action *shared.Action) time.Duration {
	known, ok := actions.Get(action.Type)
	if !ok {
		return 0
	}
	return known.TypicalDuration()
}

func pendingSteps(steps []shared.Step) []workflowexecutionv1.StepStatus {
	out := make([]workflowexecutionv1.StepStatus, len(steps))
	for i, step := range steps {
		out[i] = workflowexecutionv1.StepStatus{
			Index: int32(i), Name: step.Name, Action: string(step.Action.Type), Phase: workflowexecutionv1.StepPending,
		}
	}
	return out
}

// validate lets the workflow run when every step could be prepared and the gate allowed every one.
func (d *decider) validate() {
	if d.stopBefore() || d.failOrphan() || d.suspend() {
		return
	}
	if why := awaitsLock(d.workflow); why != "" && !d.now.Time.Before(phaseDeadline(d.workflow)) {
		d.fail(noStep, shared.ErrorResourceConflict, "a lock was not to be had within timeouts.validation: "+why)
		return
	}
	if d.status.WaitingSince == nil && d.now.After(phaseDeadline(d.workflow)) {
		d.fail(noStep, shared.ErrorTimeout, "validating did not end within timeouts.validation")
		return
	}
	if d.graphError != nil {
		d.fail(noStep, shared.ErrorValidation, d.graphError.Error())
		return
	}
	if d.heldAsBefore() || d.refusedByPeople() || d.forbidden() {
		return
	}
	if d.stillLocked {
		d.status.AwaitedLock = d.workflow.Status.AwaitedLock
		d.wakeAt = phaseDeadline(d.workflow)
		return
	}
	for _, i := range d.graph.Order() {
		if err := d.steps[i].err; err != nil {
			d.conditions.False(workflowexecutionv1.ConditionValidated, ReasonStepNotPrepared, fmt.Sprintf("step %q: %v", d.definitions()[i].Name, err))
			d.fail(i, machinery.Classify(err), err.Error())
			return
		}
	}
	if d.nothingToUndo() {
		return
	}
	if !d.sameHold() && !d.sameLock() && !d.sameApproval() {
		d.recordValidation()
	}
	if i, refused := d.hardest(); refused {
		d.refuse(i)
		return
	}
	if d.mode != shared.ModeDryRun && !d.approved() {
		return
	}
	d.resume()
	d.conditions.True(workflowexecutionv1.ConditionValidated, ReasonAllowed, everyStepAllowed)
	if d.mode == shared.ModeDryRun {
		message := "nothing was changed: status.validation.dryRun shows what would have been done"
		if want := d.wants(); want != nil {
			message += fmt.Sprintf(", with the approval of %d", want.approvers)
		}
		d.complete(workflowexecutionv1.OutcomeDryRun, ReasonDryRun, message)
		return
	}
	if !d.locked() {
		return
	}
	d.enter(workflowexecutionv1.PhaseExecuting)
	d.status.ExecutionStartTime = &d.now
	d.advance()
}

const everyStepAllowed = "every step was tried by a dry run and allowed by the safety gate"

// hardest is the step with the hardest verdict, the first such in the order of the list, and whether it keeps the workflow
// from running. The need for an approval does not: whether there is one is looked at afterwards.
func (d *decider) hardest() (step int, refused bool) {
	order := []shared.Verdict{shared.VerdictDeny, shared.VerdictHold}
	for _, verdict := range order {
		if i := slices.IndexFunc(d.steps, func(a assessment) bool { return a.decision.Verdict == verdict }); i >= 0 {
			return i, true
		}
	}
	unknown := func(a assessment) bool {
		return a.decision.Verdict != shared.VerdictAllow && a.decision.Verdict != shared.VerdictRequireApproval
	}
	if i := slices.IndexFunc(d.steps, unknown); i >= 0 {
		return i, true
	}
	return slices.IndexFunc(d.steps, func(a assessment) bool { return a.decision.Verdict == shared.VerdictRequireApproval }), false
}

func (d *decider) refuse(i int) {
	verdict := d.steps[i].decision
	if verdict.Verdict == shared.VerdictHold {
		d.hold(i)
		return
	}
	reason := fmt.Sprintf("the safety gate says %s to %s: %s", verdict.Verdict, d.judged(i), verdict.DeciderText())
	d.conditions.False(workflowexecutionv1.ConditionValidated, ReasonPolicyDenied, reason)
	d.fail(i, shared.ErrorPolicyDenied, reason)
}

// The bounds of the part of the status that grows with the steps; what is left out stands on the KubernetesExecutions.
const (
	maxDryRunChanges = 200
	maxStepRules     = 4
)

func (d *decider) recordValidation() {
	validation := &workflowexecutionv1.Validation{Verdict: shared.VerdictAllow}
	for i, step := range d.steps {
		index := int32(i)
		validation.PolicySetRevision = cmp.Or(validation.PolicySetRevision, step.decision.PolicySetRevision)
		validation.Decisions = append(validation.Decisions, workflowexecutionv1.StepDecision{
			Index: index, Verdict: step.decision.Verdict, DecisionID: step.decision.ID, InputDigest: step.decision.InputDigest,
			OfRollbackAction: step.ofRollbackAction, Tried: tried(step.preparation),
			Rules: step.decision.Rules[:min(len(step.decision.Rules), maxStepRules)],
		})
	}
	changes := d.changes()
	validation.DryRun = changes[:min(len(changes), maxDryRunChanges)]
	if i, _ := d.hardest(); i >= 0 {
		// The policies may have changed between two steps: it is the set by which this one was judged that must change.
		validation.Verdict, validation.PolicySetRevision = d.steps[i].decision.Verdict, d.steps[i].decision.PolicySetRevision
	}
	validation.SummaryDigest = summaryDigest(validation.DryRun)
	d.status.Validation = validation
	d.refreshTargets()
}

// refreshTargets records the state in which the targets were judged: what the first step on each expects to find. Which objects these
// are is part of the plan, so its digest is final only now.
func (d *decider) refreshTargets() {
	for t := range d.status.Plan.Targets {
		target := &d.status.Plan.Targets[t]
		if first := d.firstOn(target); first != nil && first.Live != nil {
			target.UID, target.Generation = string(first.Live.GetUID()), first.Live.GetGeneration()
			target.Workload = workloadOf(first.Live, d.owners[first.Live.GetUID()])
		}
	}
	digest, err := planning.Digest(planning.Input{
		Definition: d.definition, Undo: d.status.Plan.Undo, Strategy: d.workflow.Spec.ExecutionStrategy, Mode: d.mode, Targets: d.status.Plan.Targets,
	})
	if err == nil { // as when it was planned
		d.status.Plan.Digest = digest
	}
}

// firstOn is what was prepared first on a target, or for it alone the rollbackAction of a step.
func (d *decider) firstOn(target *workflowexecutionv1.PlannedTarget) *effects.Preparation {
	for _, i := range d.graph.Order() {
		if slices.Contains(target.Steps, int32(i)) { //nolint:gosec // at most 100
			return d.steps[i].preparation
		}
	}
	for _, i := range target.RollbackSteps {
		return d.steps[i].rollback
	}
	return nil
}

// workloadOf is the root of the controllers above a pod; nil for other objects.
func workloadOf(live *unstructured.Unstructured, owners []shared.OwnedObject) *shared.OwnedObject {
	if live.GroupVersionKind() != corev1.SchemeGroupVersion.WithKind("Pod") || len(owners) == 0 {
		return nil
	}
	return &owners[len(owners)-1]
}

// execute takes in the results of the executions and starts what can be started.
func (d *decider) execute() {
	if d.graphError != nil {
		d.fail(noStep, shared.ErrorValidation, d.graphError.Error())
		return
	}
	for i := range d.status.Steps {
		d.takeIn(i)
	}
	d.stopSteps()
	d.pause()
	d.advance()
}

// takeIn records the result of a running step.
func (d *decider) takeIn(i int) {
	step := &d.status.Steps[i]
	if step.Phase != workflowexecutionv1.StepRunning {
		return
	}
	if owner, foreign := d.foreign[step.ExecutionRef]; foreign {
		d.stepFailed(i, shared.ErrorResourceConflict, fmt.Sprintf("KubernetesExecution %s exists and its controller is %s; delete it and start the workflow again", step.ExecutionRef, owner), false)
		return
	}
	execution := d.executions[step.ExecutionRef]
	if execution == nil || !execution.Status.Phase.Terminal() {
		d.checkOverdue(i, execution)
		return
	}
	step.CompletionTime = &d.now
	step.ResultingGeneration = execution.Status.ResultingGeneration
	if execution.Status.Phase == kubernetesexecutionv1.PhaseCompleted {
		step.Phase = workflowexecutionv1.StepCompleted
		step.ErrorType, step.Message, step.RetryAt = "", "", nil
		return
	}
	repeatable := execution.Status.Changed != nil && !*execution.Status.Changed
	d.stepFailed(i, execution.Status.ErrorType, execution.Status.ErrorMessage, repeatable || d.repeatable(i))
}

func (d *decider) repeatable(i int) bool {
	action := &d.definitions()[i].Action
	known, ok := actions.Get(action.Type)
	return ok && known.Repeatable(action)
}

// checkOverdue fails a step whose execution has not ended long after its time-out, or makes sure to look again by then.
func (d *decider) checkOverdue(i int, execution *kubernetesexecutionv1.KubernetesExecution) {
	step := &d.status.Steps[i]
	if execution != nil && kubernetesexecution.Held(execution) {
		return
	}
	limit := d.attemptLimit(i, execution).Add(executionGrace)
	if d.now.Time.Before(limit) {
		d.wakeAt = machinery.Earliest(d.wakeAt, limit)
		return
	}
	if execution == nil {
		d.stepFailed(i, shared.ErrorTimeout, fmt.Sprintf("KubernetesExecution %s could not be made within the step's time-out", step.ExecutionRef), false)
		step.ExecutionRef = ""
		return
	}
	d.stepFailed(i, shared.ErrorTimeout, fmt.Sprintf("KubernetesExecution %s did not end within the step's time-out; see its status", step.ExecutionRef), false)
}

// attemptLimit is when the current attempt of a step must be over: as its execution counts it, once there is one.
func (d *decider) attemptLimit(i int, execution *kubernetesexecutionv1.KubernetesExecution) time.Time {
	step := &d.status.Steps[i]
	if execution != nil && (execution.Status.StartedAt != nil || execution.Status.Decision != nil) {
		return kubernetesexecution.Deadline(execution)
	}
	begun := step.AttemptTime
	if begun == nil {
		begun = step.StartTime
	}
	return begun.Add(planning.StepTimeout(&d.definitions()[i]))
}

// stepFailed retries the step if that may help and cannot do the same thing twice, and fails it otherwise.
func (d *decider) stepFailed(i int, errorType shared.ErrorType, message string, repeatable bool) {
	step := &d.status.Steps[i]
	step.ErrorType, step.Message = cmp.Or(errorType, shared.ErrorUnknown), machinery.Cut(message, 512)
	step.CompletionTime = &d.now
	if repeatable && retryable(step.ErrorType) && step.Attempts <= planning.Retries(&d.definitions()[i]) && !d.failing() {
		step.Phase = workflowexecutionv1.StepPending
		step.RetryAt = new(metav1.NewTime(d.now.Add(planning.Backoff(step.Attempts))))
		step.CompletionTime = nil
		return
	}
	step.Phase = workflowexecutionv1.StepFailed
	if critical(&d.definitions()[i]) {
		d.blame(i, step.ErrorType, message)
	}
}

// retryable are the errors that another attempt may cure.
func retryable(errorType shared.ErrorType) bool {
	return errorType == shared.ErrorTimeout || errorType == shared.ErrorResourceConflict || errorType == shared.ErrorUnknown
}

func critical(step *shared.Step) bool { return step.Critical == nil || *step.Critical }

// failing says that the workflow is going to fail and only waits for the steps that run.
func (d *decider) failing() bool { return d.status.ErrorType != "" }

// advance skips, starts and counts steps, and leaves the phase when nothing is left to do.
func (d *decider) advance() {
	deadline := d.status.ExecutionStartTime.Add(workflowTimeout(d.workflow, d.graph) + waited(&d.status))
	if d.status.WaitingSince != nil {
		deadline = holdEnd(d.workflow, d.status.WaitingSince)
	} else if !d.failing() && !d.now.Time.Before(deadline) {
		d.blame(noStep, shared.ErrorTimeout, "the steps did not end within timeouts.workflow")
	}
	if !undoesAnother(d.workflow) {
		d.skip()
	}
	if d.failing() {
		d.forgo()
	} else {
		d.startReady()
	}
	d.count()
	if d.running() > 0 || (!d.failing() && d.pending() > 0) {
		d.describeProgress()
		if !d.failing() {
			d.wakeAt = machinery.Earliest(d.wakeAt, deadline)
		}
		return
	}
	if d.failing() || d.undoFailed() {
		d.conditions.False(workflowexecutionv1.ConditionExecuted, ReasonStepFailed, d.status.FailureReason)
		d.conclude()
		return
	}
	d.conditions.True(workflowexecutionv1.ConditionExecuted, ReasonExecuted, "every step that had to run is completed")
	if undoesAnother(d.workflow) {
		d.undoneAll()
	}
	d.enter(workflowexecutionv1.PhaseMonitoring)
	d.status.MonitoringStartTime = &d.now
	d.conditions.Progressing(ReasonMonitoring, "the changed targets must become healthy and stay so")
}

// skip marks the steps that depend on one that failed or was skipped.
func (d *decider) skip() {
	for _, i := range d.graph.Order() {
		step := &d.status.Steps[i]
		if step.Phase != workflowexecutionv1.StepPending {
			continue
		}
		for _, dependency := range d.graph.Dependencies(i) {
			before := d.status.Steps[dependency]
			if before.Phase == workflowexecutionv1.StepFailed || before.Phase == workflowexecutionv1.StepSkipped {
				step.Phase = workflowexecutionv1.StepSkipped
				step.CompletionTime = &d.now
				step.Message = fmt.Sprintf("step %q, which must be completed before, is %s", before.Name, before.Phase)
				break
			}
		}
	}
}

// startReady announces every step whose dependencies are completed, up to the limit, and has its execution made. An execution
// that was announced and is not there yet is made again: it has the same name.
func (d *decider) startReady() {
	limit := planning.MaxParallel(d.workflow.Spec.ExecutionStrategy)
	running := d.running()
	for i := range d.status.Steps {
		step := &d.status.Steps[i]
		switch step.Phase {
		case workflowexecutionv1.StepRunning:
			if d.executions[step.ExecutionRef] == nil {
				d.announceExecution(i)
			}
		case workflowexecutionv1.StepPending:
			if running >= limit || suspended(d.workflow) || !d.dependenciesMet(i) {
				continue
			}
			if step.RetryAt != nil && d.now.Before(step.RetryAt) {
				d.wakeAt = machinery.Earliest(d.wakeAt, step.RetryAt.Time)
				continue
			}
			d.startStep(i)
			running++
		case workflowexecutionv1.StepCompleted, workflowexecutionv1.StepFailed, workflowexecutionv1.StepSkipped,
			workflowexecutionv1.StepRolledBack, workflowexecutionv1.StepRollbackFailed:
		}
	}
}

func (d *decider) dependenciesMet(i int) bool {
	return !slices.ContainsFunc(d.graph.Dependencies(i), func(dependency int) bool {
		phase := d.status.Steps[dependency].Phase
		// What cannot be undone does not keep the others.
		over := undoesAnother(d.workflow) && phase == workflowexecutionv1.StepFailed
		return phase != workflowexecutionv1.StepCompleted && !over
	})
}

func (d *decider) startStep(i int) {
	step := &d.status.Steps[i]
	step.Phase = workflowexecutionv1.StepRunning
	step.Attempts++
	step.ExecutionRef = attemptName(d.workflow, step.Index, step.Attempts)
	step.AttemptTime = &d.now
	if step.StartTime == nil {
		step.StartTime = &d.now
	}
	step.RetryAt = nil
	d.announceExecution(i)
}

// announceExecution has the execution of the current attempt of a step made.
func (d *decider) announceExecution(i int) {
	definition, step := &d.definitions()[i], &d.status.Steps[i]
	limit := step.AttemptTime.Add(planning.StepTimeout(definition) + executionGrace)
	d.wakeAt = machinery.Earliest(d.wakeAt, limit)
	spec := kubernetesexecutionv1.KubernetesExecutionSpec{
		WorkflowExecutionRef: shared.ObjectReference{Name: d.workflow.Name, UID: d.workflow.UID},
		StepIndex:            step.Index,
		StepName:             step.Name,
		Attempt:              step.Attempts,
		Purpose:              kubernetesexecutionv1.PurposeExecute,
		Action:               definition.Action.DeepCopy(),
		Timeout:              &metav1.Duration{Duration: planning.StepTimeout(definition)},
		ExpectedTarget:       d.expectedTarget(i),
		PlanDigest:           d.status.Plan.Digest,
	}
	if undoesAnother(d.workflow) {
		d.undoing(&spec)
	}
	d.create = append(d.create, spec)
}

// expectedTarget is the target as it was judged, or as the last step of this workflow on it left it.
func (d *decider) expectedTarget(i int) *kubernetesexecutionv1.ExpectedTarget {
	index := int32(i) //nolint:gosec // at most 100
	at := slices.IndexFunc(d.status.Plan.Targets, func(t workflowexecutionv1.PlannedTarget) bool { return slices.Contains(t.Steps, index) })
	if at < 0 {
		return nil
	}
	target := d.status.Plan.Targets[at]
	expected := &kubernetesexecutionv1.ExpectedTarget{UID: targetUID(target), Generation: target.Generation}
	for _, other := range target.Steps {
		expected.Generation = max(expected.Generation, d.status.Steps[other].ResultingGeneration)
	}
	return expected
}

func (d *decider) running() int { return d.countPhase(workflowexecutionv1.StepRunning) }
func (d *decider) pending() int { return d.countPhase(workflowexecutionv1.StepPending) }

func (d *decider) countPhase(phase workflowexecutionv1.StepPhase) int {
	n := 0
	for _, step := range d.status.Steps {
		if step.Phase == phase {
			n++
		}
	}
	return n
}

// monitor waits until every changed target has been healthy for the stabilization window.
func (d *decider) monitor() {
	if d.stopBefore() {
		return
	}
	deadline := phaseDeadline(d.workflow)
	verdict := d.observe()
	switch {
	case verdict.unhealthy == "" && verdict.unknown == "":
		d.stabilize(deadline)
	case verdict.unhealthy == "":
		d.conditions.Set(workflowexecutionv1.ConditionVerified, metav1.ConditionUnknown, ReasonUnverified, verdict.unknown)
		d.complete(workflowexecutionv1.OutcomeUnverified, ReasonUnverified, "every step is completed; "+verdict.unknown)
	case !d.now.Time.Before(deadline):
		d.ineffective("within timeouts.monitoring the target did not become healthy: " + verdict.unhealthy)
	case verdict.failed != "" && !d.now.Time.Before(d.believedAt()):
		d.ineffective("the target's own controller has given up on it: " + verdict.failed)
	default:
		d.status.HealthySince = nil
		d.conditions.False(workflowexecutionv1.ConditionVerified, ReasonNotHealthy, verdict.unhealthy)
		d.wakeAt = deadline
		if verdict.failed != "" {
			d.wakeAt = machinery.Earliest(deadline, d.believedAt())
		}
	}
}

func (d *decider) ineffective(why string) {
	d.conditions.False(workflowexecutionv1.ConditionVerified, ReasonIneffective, why)
	d.blame(noStep, shared.ErrorIneffective, "the steps are completed, but "+why)
	d.conclude()
}

// believedAt is from when on a target is believed to have failed. Before, it may be the failure that the workflow repairs: a
// Deployment that has exceeded its progress deadline says so until its new pods make progress.
func (d *decider) believedAt() time.Time {
	return d.status.MonitoringStartTime.Add(stabilizationWindow(d.workflow))
}

func (d *decider) stabilize(deadline time.Time) {
	if d.status.HealthySince == nil {
		d.status.HealthySince = &d.now
	}
	stableAt := d.status.HealthySince.Add(stabilizationWindow(d.workflow))
	if d.now.Time.Before(stableAt) && len(d.targets) > 0 {
		d.conditions.Set(workflowexecutionv1.ConditionVerified, metav1.ConditionUnknown, ReasonStabilizing, "the targets are healthy and must stay so for the stabilization window")
		d.wakeAt = machinery.Earliest(stableAt, deadline.Add(stabilizationWindow(d.workflow)))
		return
	}
	d.conditions.True(workflowexecutionv1.ConditionVerified, ReasonHealthy, "the changed targets are healthy and stayed so")
	outcome, reason, message := workflowexecutionv1.OutcomeSuccess, ReasonSucceeded, "every step is completed and the targets are healthy"
	if d.countPhase(workflowexecutionv1.StepFailed) > 0 {
		outcome, reason, message = workflowexecutionv1.OutcomePartialSuccess, ReasonPartialSuccess, "the targets are healthy; a step that is not critical failed: see status.steps"
	}
	d.complete(outcome, reason, message)
}

// observation sums up the health of the changed targets: what is not healthy, what of it will not become so by itself, and what
// cannot be determined.
type observation struct{ unhealthy, failed, unknown string }

func (d *decider) observe() observation {
	var o observation
	for i, target := range d.status.Plan.Targets {
		state := d.targets[i]
		if !d.changed(target) {
			continue
		}
		switch {
		case state.object != nil && state.generation < d.lastGeneration(target):
			o.unhealthy = target.String() + ": the change has not been seen yet"
		case state.health.Status == shared.HealthCurrent:
		case state.health.Status == shared.HealthUnknown:
			o.unknown = state.health.Message
		default:
			o.unhealthy = target.String() + ": " + state.health.Message
			if state.health.Status == shared.HealthFailed {
				o.failed = o.unhealthy
			}
		}
	}
	return o
}

// changed says whether a step on the target is completed or has left a change behind.
func (d *decider) changed(target workflowexecutionv1.PlannedTarget) bool {
	return slices.ContainsFunc(target.Steps, func(i int32) bool {
		return d.status.Steps[i].Phase == workflowexecutionv1.StepCompleted || d.status.Steps[i].ResultingGeneration > 0
	})
}

func (d *decider) lastGeneration(target workflowexecutionv1.PlannedTarget) int64 {
	var last int64
	for _, i := range target.Steps {
		last = max(last, d.status.Steps[i].ResultingGeneration)
	}
	return last
}

// retain deletes a finished workflow without an owner when its time is up; one with an owner goes with it.
func (d *decider) retain() {
	d.unlock = d.locksLeft
	if d.status.CompletionTime == nil || d.workflow.Spec.TTLAfterFinished == nil || metav1.GetControllerOf(d.workflow) != nil {
		return
	}
	if d.inUse {
		return // the end of the workflow that undoes this one wakes it
	}
	d.wakeAt = d.status.CompletionTime.Add(d.workflow.Spec.TTLAfterFinished.Duration)
	d.remove = !d.now.Time.Before(d.wakeAt)
}
