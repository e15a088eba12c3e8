package main

import (
	"cmp"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

func (t *telling) workflow(w *workflowexecutionv1.WorkflowExecution) {
	t.plan(w)
	t.decisions(w)
	if meta.IsStatusConditionTrue(w.Status.Conditions, workflowexecutionv1.ConditionTargetsLocked) {
		t.once("locked", note{actor: actorWorkflow, text: "holds the lock on its targets: no other workflow may change them"})
	}
	t.steps(w)
	t.workflowPhase(w)
	t.stalled(actorWorkflow, w.Status.Conditions, workflowexecutionv1.ConditionSuspended)
	t.stalled(actorWorkflow, w.Status.Conditions, shared.ConditionStalled)
}

func (t *telling) plan(w *workflowexecutionv1.WorkflowExecution) {
	plan := w.Status.Plan
	if plan == nil || plan.Digest == "" {
		return
	}
	steps := stepsOf(w)
	n := note{actor: actorWorkflow, text: fmt.Sprintf("plan: %s, %s", count(len(steps), "step"), strings.ToLower(string(plan.Strategy)))}
	if plan.EstimatedDuration != nil {
		n.text += fmt.Sprintf(", about %s", plan.EstimatedDuration.Duration)
	}
	for i := range steps {
		n.detail = append(n.detail, fmt.Sprintf("%d. %s: %s", i+1, steps[i].Name, actionText(&steps[i].Action)))
	}
	t.once("plan "+plan.Digest, n)
}

// decisions tells the gate's verdict on each step before anything ran, and what the dry run said that the step would change.
func (t *telling) decisions(w *workflowexecutionv1.WorkflowExecution) {
	validation := w.Status.Validation
	if validation == nil {
		return
	}
	for _, d := range validation.Decisions {
		n := gateNote(stepName(w, d.Index), shared.Decision{Verdict: d.Verdict, Rules: d.Rules, PolicySetRevision: validation.PolicySetRevision})
		var changes []shared.FieldChange
		for _, change := range validation.DryRun {
			if change.Index == d.Index {
				changes = append(changes, change.FieldChange)
			}
		}
		n.detail = append(n.detail, changeLines(changes)...)
		t.once(fmt.Sprint("decision ", d.Index, d.Verdict, d.InputDigest), n)
	}
	if w.Status.ApprovalRequestRef != "" {
		t.once("approval "+w.Status.ApprovalRequestRef, note{actor: actorWorkflow, tone: strong, text: "waits for approval: " + w.Status.ApprovalRequestRef})
	}
}

func (t *telling) steps(w *workflowexecutionv1.WorkflowExecution) {
	for i := range w.Status.Steps {
		step := &w.Status.Steps[i]
		name := fmt.Sprintf("step %s (%d of %d)", step.Name, step.Index+1, len(w.Status.Steps))
		if step.Attempts > 0 {
			t.once(fmt.Sprint("attempt ", step.Index, step.Attempts), note{
				actor: actorWorkflow, text: fmt.Sprintf("%s, attempt %d: %s", name, step.Attempts, step.ExecutionRef),
			})
		}
		switch step.Phase {
		case workflowexecutionv1.StepFailed, workflowexecutionv1.StepSkipped, workflowexecutionv1.StepRolledBack, workflowexecutionv1.StepRollbackFailed:
			t.once(fmt.Sprint("end ", step.Index, step.Phase), note{
				actor: actorWorkflow, tone: bad, text: strings.TrimSuffix(fmt.Sprintf("%s %s: %s", name, step.Phase, step.Message), ": "),
			})
		case workflowexecutionv1.StepPending, workflowexecutionv1.StepRunning, workflowexecutionv1.StepCompleted:
			// Its KubernetesExecution tells more.
		}
	}
}

func (t *telling) workflowPhase(w *workflowexecutionv1.WorkflowExecution) {
	switch w.Status.Phase {
	case workflowexecutionv1.PhaseMonitoring:
		t.monitoring(w)
	case workflowexecutionv1.PhaseRollingBack:
		t.once("rolling back", note{actor: actorWorkflow, tone: bad, text: "rolling back what was done"})
	case workflowexecutionv1.PhaseCompleted:
		t.once("end", note{actor: actorWorkflow, tone: good, text: "completed: " + string(w.Status.Outcome)})
	case workflowexecutionv1.PhaseFailed:
		n := note{actor: actorWorkflow, tone: bad, text: fmt.Sprintf("failed: %s, %s", w.Status.Outcome, w.Status.ErrorType)}
		if w.Status.FailedStepName != "" {
			n.detail = append(n.detail, fmt.Sprintf("at step %s (%s)", w.Status.FailedStepName, w.Status.FailedAction))
		}
		n.detail = append(n.detail, cmp.Or(w.Status.FailureReason, messageOf(w.Status.Conditions, "no reason given")))
		t.once("end", n)
	case workflowexecutionv1.PhasePlanning, workflowexecutionv1.PhaseValidating, workflowexecutionv1.PhaseExecuting:
		// What they lead to is told: the plan, the decisions, the steps.
	}
}

func (t *telling) monitoring(w *workflowexecutionv1.WorkflowExecution) {
	t.once("monitoring", note{actor: actorWorkflow, text: "all steps done; watches until what was changed is healthy"})
	if w.Status.HealthySince == nil {
		return
	}
	text := "healthy"
	if window := w.Spec.StabilizationWindow; window != nil {
		text += fmt.Sprintf("; it counts when it stays so for %s", window.Duration)
	}
	t.once("healthy "+w.Status.HealthySince.UTC().String(), note{actor: actorWorkflow, text: text})
}

func stepsOf(w *workflowexecutionv1.WorkflowExecution) []shared.Step {
	if w.Spec.WorkflowDefinition == nil {
		return nil
	}
	return w.Spec.WorkflowDefinition.Steps
}

func stepName(w *workflowexecutionv1.WorkflowExecution, index int32) string {
	if steps := stepsOf(w); int(index) < len(steps) {
		return steps[index].Name
	}
	return fmt.Sprint(index + 1)
}
