package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// ended is a finished workflow whose steps have all run.
func ended() *workflowexecutionv1.WorkflowExecution {
	w := workflow(step("a"), step("b"))
	w.ObjectMeta = metav1.ObjectMeta{Name: "v", UID: "uid-v"}
	w.Status = workflowexecutionv1.WorkflowExecutionStatus{
		Phase: workflowexecutionv1.PhaseCompleted, Outcome: workflowexecutionv1.OutcomeSuccess,
		Steps: []workflowexecutionv1.StepStatus{
			{Name: "a", Phase: workflowexecutionv1.StepCompleted, Attempts: 1},
			{Index: 1, Name: "b", Phase: workflowexecutionv1.StepCompleted, Attempts: 1},
		},
	}
	return w
}

func TestValidateRollbackOf(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*workflowexecutionv1.WorkflowExecution)
		none   bool
		want   map[string]string
	}{
		"a finished workflow": {},
		"a failed workflow":   {change: func(w *workflowexecutionv1.WorkflowExecution) { w.Status.Phase = workflowexecutionv1.PhaseFailed }},
		"none":                {none: true, want: map[string]string{"spec.rollbackOf.name": "does not exist"}},
		"another of its name": {
			change: func(w *workflowexecutionv1.WorkflowExecution) { w.UID = "other" },
			want:   map[string]string{"spec.rollbackOf.uid": "has UID other, not uid-v"},
		},
		"one that runs": {
			change: func(w *workflowexecutionv1.WorkflowExecution) { w.Status.Phase = workflowexecutionv1.PhaseExecuting },
			want:   map[string]string{"spec.rollbackOf": "AbortAndRollBack"},
		},
		"one that has not been looked at yet": {
			change: func(w *workflowexecutionv1.WorkflowExecution) {
				w.Status = workflowexecutionv1.WorkflowExecutionStatus{}
			},
			want: map[string]string{"spec.rollbackOf": "not finished"},
		},
		"one that is rolled back": {
			change: func(w *workflowexecutionv1.WorkflowExecution) {
				w.Status.Outcome = workflowexecutionv1.OutcomeRolledBack
			},
			want: map[string]string{"spec.rollbackOf": "rolled back already"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			other := ended()
			if test.change != nil {
				test.change(other)
			}
			if test.none {
				other = nil
			}
			errs := ValidateRollbackOf(shared.ObjectReference{Name: "v", UID: "uid-v"}, other)
			if len(errs) != len(test.want) {
				t.Fatalf("got %v, want %v", errs, test.want)
			}
			for _, err := range errs {
				if want, is := test.want[err.Field]; !is || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
			}
		})
	}
}

func TestUndoneSteps(t *testing.T) {
	other := ended()
	other.Spec.WorkflowDefinition.Steps = append(other.Spec.WorkflowDefinition.Steps, step("c"), step("d"), step("e"))
	steps := other.Spec.WorkflowDefinition.Steps
	steps[1].Rollback, steps[1].RollbackAction = shared.RollbackAction, &shared.Action{Type: shared.ActionNotifyOnly}
	steps[2].Rollback = shared.RollbackNone
	other.Status.Steps = append(other.Status.Steps,
		workflowexecutionv1.StepStatus{Index: 2, Phase: workflowexecutionv1.StepCompleted, Attempts: 1},
		workflowexecutionv1.StepStatus{Index: 3, Phase: workflowexecutionv1.StepRolledBack, Attempts: 1},
		workflowexecutionv1.StepStatus{Index: 4, Phase: workflowexecutionv1.StepFailed, Attempts: 2})
	got := map[string]shared.ActionType{}
	for _, step := range UndoneSteps(other).Steps {
		got[step.Name] = step.Action.Type
	}
	want := map[string]shared.ActionType{"a": steps[0].Action.Type, "b": shared.ActionNotifyOnly, "e": steps[4].Action.Type}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what undoing does (-want +got):\n%s", diff)
	}
	if got := UndoneSteps(&workflowexecutionv1.WorkflowExecution{}); len(got.Steps) > 0 {
		t.Errorf("got %v", got)
	}
}
