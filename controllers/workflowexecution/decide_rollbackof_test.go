package workflowexecution

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
)

// finishedV is a workflow that has completed its steps, to be undone. Each has one attempt that left an effect.
func finishedV(steps ...shared.Step) undone {
	u := undone{executions: map[string]*kubernetesexecutionv1.KubernetesExecution{}}
	u.workflow = &workflowexecutionv1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "v", UID: "uid-v", CreationTimestamp: metav1.NewTime(begun)},
		Spec:       workflowexecutionv1.WorkflowExecutionSpec{WorkflowDefinition: &shared.WorkflowDefinition{Name: "v", Version: "2", Steps: steps}},
		Status: workflowexecutionv1.WorkflowExecutionStatus{
			Phase: workflowexecutionv1.PhaseCompleted, Outcome: workflowexecutionv1.OutcomeSuccess, Steps: pendingSteps(steps),
		},
	}
	for i := range steps {
		u.attempt(i, 1, leftCompleted())
	}
	return u
}

func (u undone) attempt(i int, attempt int32, status kubernetesexecutionv1.KubernetesExecutionStatus) {
	step := &u.workflow.Status.Steps[i]
	step.Attempts, step.ExecutionRef = attempt, shared.ExecutionName("v", int32(i), attempt)
	step.Phase = workflowexecutionv1.StepCompleted
	u.executions[step.ExecutionRef] = &kubernetesexecutionv1.KubernetesExecution{ObjectMeta: metav1.ObjectMeta{Name: step.ExecutionRef}, Status: status}
}

var refV = shared.ObjectReference{Name: "v", UID: "uid-v"}

func TestUndoOf(t *testing.T) {
	diamond := func() undone {
		return finishedV(scale("a", "w"), scale("b", "x", "a"), scale("c", "y", "a"), scale("d", "z", "b", "c"))
	}
	for sentence, test := range map[string]struct {
		undone undone
		change func(undone)
		// want are the names of the steps with what they restore and the steps that are over before.
		want []string
	}{
		"the last step first": {undone: diamond(), want: []string{"d v-s3-a1 []", "c v-s2-a1 [0]", "b v-s1-a1 [0]", "a v-s0-a1 [1 2]"}},
		"a step that was rolled back stands for those after it": {
			undone: diamond(), change: func(u undone) { u.workflow.Status.Steps[1].Phase = workflowexecutionv1.StepRolledBack },
			want: []string{"d v-s3-a1 []", "c v-s2-a1 [0]", "a v-s0-a1 [0 1]"},
		},
		"what could not be rolled back is tried again": {
			undone: finishedV(scale("a", "w")), change: func(u undone) { u.workflow.Status.Steps[0].Phase = workflowexecutionv1.StepRollbackFailed },
			want: []string{"a v-s0-a1 []"},
		},
		"a failed step that may have had an effect": {
			undone: finishedV(scale("a", "w")), change: func(u undone) {
				u.attempt(0, 1, leftFailed(shared.ErrorTimeout, nil))
				u.workflow.Status.Steps[0].Phase = workflowexecutionv1.StepFailed
			},
			want: []string{"a v-s0-a1 []"},
		},
		"steps on one object, the later one first": {
			undone: finishedV(scale("a", "w"), scale("b", "w")), want: []string{"b v-s1-a1 []", "a v-s0-a1 [0]"},
		},
		"not a step without an effect": {
			undone: finishedV(scale("a", "w"), scale("b", "x", "a")), change: func(u undone) { u.executions["v-s1-a1"].Status.Changed = new(false) },
			want: []string{"a v-s0-a1 []"},
		},
		"not a step with rollback None": {
			undone: finishedV(scale("a", "w"), scale("b", "x", "a")), change: func(u undone) { u.workflow.Spec.WorkflowDefinition.Steps[1].Rollback = shared.RollbackNone },
			want: []string{"a v-s0-a1 []"},
		},
		"every attempt with an effect, the last first": {
			undone: finishedV(scale("a", "w"), scale("b", "x", "a")), change: func(u undone) { u.attempt(1, 2, leftCompleted()) },
			want: []string{"b v-s1-a2 []", "b-a1 v-s1-a1 [0]", "a v-s0-a1 [1]"},
		},
		"names that two steps would have": {
			undone: finishedV(scale("b-a1", "w"), scale("b", "x", "b-a1")), change: func(u undone) { u.attempt(1, 2, leftCompleted()) },
			want: []string{"b v-s1-a2 []", "b-a1 v-s1-a1 [0]", "b-a1-again v-s0-a1 [1]"},
		},
		"a rollbackAction, once": {
			undone: finishedV(undoneBy(scale("a", "w"), "z")), change: func(u undone) { u.attempt(0, 2, leftCompleted()) },
			want: []string{"a z []"},
		},
		"a rollbackAction, also when its step's record is gone": {
			undone: finishedV(undoneBy(scale("a", "w"), "z")), change: func(u undone) { delete(u.executions, "v-s0-a1") }, want: []string{"a z []"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			if test.change != nil {
				test.change(test.undone)
			}
			undo, err := undoOf(refV, test.undone)
			if err != nil {
				t.Fatal(err)
			}
			if undo.Name != "v" || undo.Version != "2" {
				t.Errorf("definition %s %s", undo.Name, undo.Version)
			}
			var got []string
			for _, step := range undo.Steps {
				text := step.Name + " " + step.RestoreFrom
				if step.RestoreFrom == "" {
					text = step.Name + " " + step.Action.ScaleDeployment.Name
				}
				got = append(got, text+" "+strings.ReplaceAll(stringOf(step.DependsOn), ",", " "))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			definition := undo.Definition()
			if _, err := planning.NewGraph(definition.Steps, func(i int) string { return targetKey(&definition.Steps[i].Action) }); err != nil {
				t.Errorf("the steps have no order: %v", err)
			}
		})
	}
}

func stringOf(indices []int32) string {
	texts := make([]string, len(indices))
	for i, index := range indices {
		texts[i] = string('0' + index)
	}
	return "[" + strings.Join(texts, " ") + "]"
}

func TestUndoOfRefuses(t *testing.T) {
	for sentence, test := range map[string]struct {
		change  func(*undone)
		wantErr shared.ErrorType
		want    string
	}{
		"an unknown workflow":       {func(u *undone) { u.workflow = nil }, shared.ErrorResourceNotFound, "does not exist"},
		"one of another UID":        {func(u *undone) { u.workflow.UID = "other" }, shared.ErrorResourceConflict, "made again"},
		"one that runs":             {func(u *undone) { u.workflow.Status.Phase = workflowexecutionv1.PhaseMonitoring }, shared.ErrorValidation, `not finished (phase "monitoring")`},
		"one that itself undoes":    {func(u *undone) { u.workflow.Spec.RollbackOf = &refV }, shared.ErrorValidation, "itself undoes v"},
		"one that is being deleted": {func(u *undone) { u.workflow.DeletionTimestamp = new(metav1.NewTime(begun)) }, shared.ErrorResourceConflict, "being deleted"},
		"a dry run":                 {func(u *undone) { u.workflow.Status.Outcome = workflowexecutionv1.OutcomeDryRun }, shared.ErrorValidation, "was a dry run"},
		"one that is rolled back":   {func(u *undone) { u.workflow.Status.Outcome = workflowexecutionv1.OutcomeRolledBack }, shared.ErrorValidation, "rolled back already"},
		"one that captured nothing": {func(u *undone) {
			u.workflow.Spec.ExecutionStrategy = &shared.ExecutionStrategy{RollbackStrategy: shared.RollbackStrategyNone}
		}, shared.ErrorValidation, "rollbackStrategy"},
		"one of which no step ran": {func(u *undone) {
			u.workflow.Status.Steps = pendingSteps(u.workflow.Spec.WorkflowDefinition.Steps)
		}, shared.ErrorValidation, "has nothing to undo: no step of it has run"},
		"one that another undoes":        {func(u *undone) { u.by = "u" }, shared.ErrorResourceConflict, "WorkflowExecution u undoes v or has undone it"},
		"one without an effect":          {func(u *undone) { u.executions["v-s0-a1"].Status.Changed = new(false) }, shared.ErrorValidation, "nothing to undo: no step of it has an effect"},
		"one whose execution still runs": {func(u *undone) { u.executions["v-s0-a1"].Status.Phase = kubernetesexecutionv1.PhaseExecuting }, shared.ErrorResourceConflict, "has not ended"},
		"one whose record is gone":       {func(u *undone) { delete(u.executions, "v-s0-a1") }, shared.ErrorResourceNotFound, "v-s0-a1, which captured what would be restored, is gone"},
	} {
		t.Run(sentence, func(t *testing.T) {
			u := finishedV(scale("a", "w"))
			test.change(&u)
			_, err := undoOf(refV, u)
			if err == nil || machinery.Classify(err) != test.wantErr || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v (%s); want %s with %q", err, machinery.Classify(err), test.wantErr, test.want)
			}
		})
	}
	t.Run("more than one workflow can undo", func(t *testing.T) {
		steps := make([]shared.Step, 60)
		for i := range steps {
			steps[i] = scale("s"+string(rune('a'+i/26))+string(rune('a'+i%26)), "d"+string(rune('a'+i)))
		}
		u := finishedV(steps...)
		for i := range steps {
			u.attempt(i, 2, leftCompleted())
		}
		if _, err := undoOf(refV, u); err == nil || !strings.Contains(err.Error(), "120 effects") {
			t.Errorf("got %v", err)
		}
	})
}

// undoingScenario is a workflow that undoes two steps of v, the second before the first.
func undoingScenario(t *testing.T) *scenario {
	t.Helper()
	undo, err := undoOf(refV, finishedV(scale("a", "w"), scale("b", "x", "a")))
	if err != nil {
		t.Fatal(err)
	}
	c := newScenario(t)
	c.s.workflow.Spec.WorkflowDefinition, c.s.workflow.Spec.RollbackOf = nil, &refV
	c.s.reversal = undo
	steps := undo.Definition().Steps
	c.s.graph, c.s.graphError = planning.NewGraph(steps, func(i int) string { return targetKey(&steps[i].Action) })
	return c
}

// restorable is what the assessment says when there is something to restore and it is allowed.
func (c *scenario) restorable() *scenario {
	c.s.workflow = c.s.workflow.DeepCopy()
	c.s.workflow.Spec.WorkflowDefinition = c.s.workflow.Definition()
	c.allowed()
	c.s.workflow.Spec.WorkflowDefinition = nil
	for i := range c.s.steps {
		c.s.steps[i].preparation.Changes = []shared.FieldChange{{Path: "/spec/replicas"}}
	}
	return c
}

func (c *scenario) undoing() *scenario {
	c.t.Helper()
	c.decide()
	if status := c.restorable().decide(); status.Phase != workflowexecutionv1.PhaseExecuting {
		c.t.Fatalf("phase %s, %s", status.Phase, status.FailureReason)
	}
	c.s.executions = map[string]*kubernetesexecutionv1.KubernetesExecution{}
	return c
}

func (c *scenario) wantRolledBack(status metav1.ConditionStatus, reason, message string) {
	c.t.Helper()
	condition := meta.FindStatusCondition(c.s.workflow.Status.Conditions, workflowexecutionv1.ConditionRolledBack)
	if condition == nil || condition.Status != status || condition.Reason != reason || !strings.Contains(condition.Message, message) {
		c.t.Errorf("condition RolledBack is %v; want %s, %s with %q", condition, status, reason, message)
	}
}

func TestUndoingAnotherWorkflow(t *testing.T) {
	c := undoingScenario(t)
	status := c.decide()
	if status.Phase != workflowexecutionv1.PhaseValidating || status.Plan.Undo == nil || status.TotalSteps != 2 || status.Steps[0].Name != "b" || len(status.Plan.Digest) != 64 {
		t.Fatalf("got %+v", status)
	}
	c.restorable().decide()
	if c.made() != "w-s0-r1" {
		t.Fatalf("made %q: the last step first", c.made())
	}
	spec := c.last.create[0]
	if spec.Purpose != kubernetesexecutionv1.PurposeRollBack || spec.RestoreFrom != "v-s1-a1" || spec.Action != nil || spec.StepName != "b" ||
		spec.ExpectedTarget == nil || spec.ExpectedTarget.UID != "uid-t" || spec.ExpectedTarget.Generation != 0 {
		t.Errorf("made %+v", spec)
	}
	c.s.executions = map[string]*kubernetesexecutionv1.KubernetesExecution{}
	c.ends(0, leftCompleted()).decide()
	if c.made() != "w-s1-r1" {
		t.Fatalf("made %q", c.made())
	}
	c.ends(1, leftCompleted()).decide()
	c.wantRolledBack(metav1.ConditionTrue, ReasonRolledBack, "what WorkflowExecution v changed is undone")
	if got := c.s.workflow.Status.Phase; got != workflowexecutionv1.PhaseMonitoring {
		t.Fatalf("phase %s", got)
	}
	c.s.targets = make([]targetState, 2)
	for i := range c.s.targets {
		c.s.targets[i].health.Status = shared.HealthCurrent
	}
	c.decide()
	c.now = c.now.Add(defaultStabilization)
	if status := c.decide(); status.Outcome != workflowexecutionv1.OutcomeSuccess {
		t.Errorf("outcome %s", status.Outcome)
	}
}

func TestUndoingSaysWhatItDidNotDo(t *testing.T) {
	refused := leftFailed(shared.ErrorResourceConflict, new(false))
	for sentence, test := range map[string]struct {
		first, second kubernetesexecutionv1.KubernetesExecutionStatus
		wantOutcome   workflowexecutionv1.WorkflowOutcome
		wantReason    string
		wantMessage   string
	}{
		"one that fails does not keep the others": {refused, leftCompleted(), workflowexecutionv1.OutcomePartiallyRolledBack, ReasonPartiallyRolledBack, `only step "a" is undone; step "b": it broke`},
		"the last one fails":                      {leftCompleted(), refused, workflowexecutionv1.OutcomePartiallyRolledBack, ReasonPartiallyRolledBack, `only step "b" is undone; step "a": it broke`},
		"none could be undone":                    {refused, refused, workflowexecutionv1.OutcomeRollbackFailed, ReasonRollbackFailed, "nothing was undone"},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := undoingScenario(t).undoing()
			c.ends(0, test.first).decide()
			status := c.ends(1, test.second).decide()
			if status.Phase != workflowexecutionv1.PhaseFailed || status.Outcome != test.wantOutcome || status.ErrorType != shared.ErrorResourceConflict || status.FailedStep == nil {
				t.Errorf("got %s, %s, %s", status.Phase, status.Outcome, status.ErrorType)
			}
			c.wantRolledBack(metav1.ConditionFalse, test.wantReason, test.wantMessage)
		})
	}
	t.Run("before any step has run", func(t *testing.T) {
		c := undoingScenario(t)
		c.decide()
		c.restorable().s.steps[1].err = machinery.Typed(shared.ErrorResourceConflict, errors.New("someone else changed it"))
		status := c.decide()
		if status.Outcome != workflowexecutionv1.OutcomeFailed || status.ErrorType != shared.ErrorResourceConflict || *status.FailedStep != 1 {
			t.Errorf("got %s, %s", status.Outcome, status.ErrorType)
		}
		c.wantRolledBack(metav1.ConditionFalse, ReasonNotPerformed, "of WorkflowExecution v nothing was undone")
	})
	t.Run("when the objects do not become healthy", func(t *testing.T) {
		c := undoingScenario(t).undoing()
		c.ends(0, leftCompleted()).decide()
		c.ends(1, leftCompleted()).decide()
		c.s.targets = make([]targetState, 2)
		for i := range c.s.targets {
			c.s.targets[i].health = shared.Health{Status: shared.HealthFailed, Message: "it crashes"}
		}
		c.now = c.now.Add(defaultMonitoring)
		status := c.decide()
		if status.Phase != workflowexecutionv1.PhaseFailed || status.Outcome != workflowexecutionv1.OutcomeFailed || status.ErrorType != shared.ErrorIneffective {
			t.Errorf("got %s, %s, %s: an undoing is not undone", status.Phase, status.Outcome, status.ErrorType)
		}
		c.wantRolledBack(metav1.ConditionTrue, ReasonRolledBack, "is undone")
	})
	t.Run("when it is cancelled, however hard", func(t *testing.T) {
		for _, mode := range []workflowexecutionv1.CancelMode{workflowexecutionv1.CancelFinishStep, workflowexecutionv1.CancelAbort, workflowexecutionv1.CancelAbortAndRollBack} {
			c := undoingScenario(t).undoing()
			c.cancelledBy(mode)
			status := c.ends(0, leftCompleted()).decide()
			if status.Phase != workflowexecutionv1.PhaseFailed || status.Outcome != workflowexecutionv1.OutcomeCancelled {
				t.Errorf("%s: got %s, %s", mode, status.Phase, status.Outcome)
			}
			c.wantRolledBack(metav1.ConditionFalse, ReasonPartiallyRolledBack, `only step "b" is undone`)
		}
	})
}

func TestUndoingRefuses(t *testing.T) {
	t.Run("what planning found", func(t *testing.T) {
		c := undoingScenario(t)
		c.s.reversal, c.s.reversalError, c.s.graph = nil, machinery.Typed(shared.ErrorResourceNotFound, errors.New("WorkflowExecution v does not exist")), nil
		status := c.decide()
		if status.Phase != workflowexecutionv1.PhaseFailed || status.ErrorType != shared.ErrorResourceNotFound || !strings.HasPrefix(status.FailureReason, "spec.rollbackOf: ") {
			t.Errorf("got %s, %s: %s", status.Phase, status.ErrorType, status.FailureReason)
		}
	})
	t.Run("what is undone already", func(t *testing.T) {
		c := undoingScenario(t)
		c.decide()
		c.restorable()
		for i := range c.s.steps {
			c.s.steps[i].preparation.Changes = nil
		}
		if status := c.decide(); status.ErrorType != shared.ErrorValidation || !strings.Contains(status.FailureReason, "nothing is left to undo") {
			t.Errorf("got %s: %s", status.Phase, status.FailureReason)
		}
	})
}

func TestUndoingAsADryRunChangesNothing(t *testing.T) {
	c := undoingScenario(t)
	c.s.mode = shared.ModeDryRun
	c.decide()
	c.restorable()
	for i := range c.s.steps {
		c.s.steps[i].preparation.DryRun = c.s.steps[i].preparation.Changes
	}
	status := c.decide()
	if status.Outcome != workflowexecutionv1.OutcomeDryRun || len(c.last.create) > 0 || len(status.Validation.DryRun) != 2 {
		t.Errorf("got %s, made %q, would restore %v", status.Outcome, c.made(), status.Validation.DryRun)
	}
}

func TestRetentionWaitsForAnUndoing(t *testing.T) {
	c := newScenario(t, scale("a", "x"))
	c.s.workflow.Status = workflowexecutionv1.WorkflowExecutionStatus{Phase: workflowexecutionv1.PhaseCompleted, CompletionTime: new(metav1.NewTime(begun))}
	c.now = begun.Add(2 * time.Hour)
	c.s.inUse = true
	if c.decide(); c.last.remove {
		t.Error("what it captured is being restored")
	}
	c.s.inUse = false
	if c.decide(); !c.last.remove {
		t.Error("it is not deleted afterwards")
	}
}
