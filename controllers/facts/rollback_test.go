package facts

import (
	"testing"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

func TestARollbackActionIsJudgedAsTheAction(t *testing.T) {
	w := newWorld()
	step := &w.question.Workflow.Spec.WorkflowDefinition.Steps[0]
	step.Rollback, step.RollbackAction = shared.RollbackAction, &shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "look"}}
	same(t, "the step's own", step.Action.Type, w.input(t).Step.Action.Type)
	w.question.RollbackAction = true
	input := w.input(t)
	same(t, "the rollbackAction", shared.ActionNotifyOnly, input.Step.Action.Type)
	same(t, "its reversibility", new("Harmless"), input.Step.Reversibility)
}

func TestAWorkflowThatUndoesAnotherIsJudgedByItsPlan(t *testing.T) {
	w := newWorld()
	spec, plan := &w.question.Workflow.Spec, w.question.Workflow.Status.Plan
	step := spec.WorkflowDefinition.Steps[0]
	plan.Undo = &workflowexecutionv1.Undo{Name: "bigger", Version: "7", Steps: []workflowexecutionv1.UndoStep{
		{Name: step.Name, Action: step.Action, RestoreFrom: "bigger-s0-a1"}, {Name: "other", Action: step.Action, DependsOn: []int32{0}},
	}}
	spec.WorkflowDefinition, spec.RollbackOf = nil, &shared.ObjectReference{Name: "bigger", UID: "u"}
	w.question.StepIndex = 1
	input := w.input(t)
	same(t, "the definition", "bigger 7", input.Workflow.Definition.Name+" "+input.Workflow.Definition.Version)
	same(t, "the number of steps", 2, input.Workflow.TotalSteps)
	same(t, "the steps before", []string{step.Name}, input.Step.DependsOn)
}

// TestWhatWasNotTriedIsNotKnown: without a dry run nothing says that admission changes nothing more.
func TestWhatWasNotTriedIsNotKnown(t *testing.T) {
	for reason, unsupported := range map[string]string{
		"no dry run was made": "", "the API server could not try the change: webhook w does not support dry run": "webhook w does not support dry run",
	} {
		w := newWorld()
		p := w.question.Preparation
		p.DryRun, p.RollbackProven, p.DryRunUnsupported = nil, nil, unsupported
		input := w.input(t)
		if input.Impact.Changes != nil || input.Rollback.Proven != nil {
			t.Errorf("%s: changes %v, proven %v", reason, input.Impact.Changes, input.Rollback.Proven)
		}
		missing := map[string]string{}
		for _, fact := range input.Missing {
			missing[fact.Path] = fact.Reason
		}
		same(t, "missing changes", reason, missing["impact.changes"])
		same(t, "missing proof", reason, missing["rollback.proven"])
		same(t, "pods that end are known from the plan", new(int32(3)), input.Impact.PodsAffected)
	}
}
