package kubernetesexecution

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

func scaleTo(replicas int32) shared.Action {
	return shared.Action{
		Type:            shared.ActionScaleDeployment,
		ScaleDeployment: &shared.ScaleDeployment{Namespace: "shop", Name: "cart", Replicas: new(replicas)},
	}
}

func TestBelongs(t *testing.T) {
	type pair struct {
		execution *kubernetesexecutionv1.KubernetesExecution
		workflow  *workflowexecutionv1.WorkflowExecution
	}
	undoing := func(p pair) {
		p.execution.Spec.Purpose, p.execution.Spec.Action, p.execution.Spec.RestoreFrom = kubernetesexecutionv1.PurposeRollBack, nil, "w-s0-a1"
		p.workflow.Status.Phase = workflowexecutionv1.PhaseRollingBack
	}
	undoingByAction := func(p pair) {
		p.execution.Spec.Purpose, p.execution.Spec.Action = kubernetesexecutionv1.PurposeRollBack, new(scaleTo(1))
		step := &p.workflow.Spec.WorkflowDefinition.Steps[0]
		step.Rollback, step.RollbackAction = shared.RollbackAction, new(scaleTo(1))
		p.workflow.Status.Phase = workflowexecutionv1.PhaseRollingBack
	}
	undoingAnother := func(p pair) {
		p.execution.Spec.Purpose, p.execution.Spec.Action, p.execution.Spec.RestoreFrom = kubernetesexecutionv1.PurposeRollBack, nil, "v-s0-a1"
		p.workflow.Spec.WorkflowDefinition, p.workflow.Spec.RollbackOf = nil, &shared.ObjectReference{Name: "v", UID: "workflow-3"}
		p.workflow.Status.Plan.Undo = &workflowexecutionv1.Undo{Steps: []workflowexecutionv1.UndoStep{
			{Name: "scale", Action: scaleTo(3), RestoreFrom: "v-s0-a1"},
		}}
	}
	tests := map[string]struct {
		change func(pair)
		want   string
	}{
		"the child of its workflow": {change: func(pair) {}},
		"no owner":                  {change: func(p pair) { p.execution.OwnerReferences = nil }, want: "no controller owner"},
		"an owner that does not control": {
			change: func(p pair) { p.execution.OwnerReferences[0].Controller = nil }, want: "no controller owner",
		},
		"another owner":     {change: func(p pair) { p.execution.OwnerReferences[0].UID = "other" }, want: "not the WorkflowExecution"},
		"an owner's kind":   {change: func(p pair) { p.execution.OwnerReferences[0].Kind = "ConfigMap" }, want: "not the WorkflowExecution"},
		"another workflow":  {change: func(p pair) { p.workflow.UID = "other" }, want: "made again"},
		"another plan":      {change: func(p pair) { p.workflow.Status.Plan.Digest = "other" }, want: "planDigest"},
		"no plan yet":       {change: func(p pair) { p.workflow.Status.Plan = nil }},
		"another action":    {change: func(p pair) { p.execution.Spec.Action = new(scaleTo(9)) }, want: "not that of step"},
		"another step name": {change: func(p pair) { p.execution.Spec.StepName = "other" }, want: "not that of step"},
		"no action":         {change: func(p pair) { p.execution.Spec.Action = nil }, want: "not that of step"},
		"no such step":      {change: func(p pair) { p.execution.Spec.StepIndex = 1 }, want: "has no step 1"},
		"a workflow that has failed": {
			change: func(p pair) { p.workflow.Status.Phase = workflowexecutionv1.PhaseFailed }, want: "runs no steps any more",
		},
		"a step that runs this attempt": {
			change: func(p pair) {
				p.execution.Spec.Attempt = 2
				p.workflow.Status.Steps = []workflowexecutionv1.StepStatus{{Phase: workflowexecutionv1.StepRunning, Attempts: 2, ExecutionRef: "w-s0-a2"}}
			},
		},
		"a step that runs another attempt": {
			change: func(p pair) {
				p.workflow.Status.Steps = []workflowexecutionv1.StepStatus{{Phase: workflowexecutionv1.StepRunning, Attempts: 2, ExecutionRef: "w-s0-a2"}}
			},
			want: "does not run attempt",
		},
		"a step that was given up": {
			change: func(p pair) {
				p.workflow.Status.Steps = []workflowexecutionv1.StepStatus{{Phase: workflowexecutionv1.StepFailed}}
			},
			want: "does not run attempt",
		},
		"a workflow that rolls back": {
			change: func(p pair) { p.workflow.Status.Phase = workflowexecutionv1.PhaseRollingBack }, want: "runs no steps any more",
		},
		"undoing a step of a workflow that rolls back": {change: undoing},
		"undoing a step of a workflow that runs": {
			change: func(p pair) { undoing(p); p.workflow.Status.Phase = workflowexecutionv1.PhaseExecuting }, want: "is not rolling back",
		},
		"undoing a step that is not to be undone": {
			change: func(p pair) { undoing(p); p.workflow.Spec.WorkflowDefinition.Steps[0].Rollback = shared.RollbackNone }, want: "has rollback None",
		},
		"undoing another step":          {change: func(p pair) { undoing(p); p.execution.Spec.StepName = "other" }, want: "is not that of step"},
		"undoing by the rollbackAction": {change: undoingByAction},
		"undoing by an action that the step does not have": {
			change: func(p pair) {
				undoingByAction(p)
				p.workflow.Spec.WorkflowDefinition.Steps[0].RollbackAction = new(scaleTo(2))
			}, want: "is not the rollbackAction",
		},
		"undoing by an action what is restored": {
			change: func(p pair) { undoingByAction(p); p.workflow.Spec.WorkflowDefinition.Steps[0].Rollback = "" }, want: "is not the rollbackAction",
		},
		"undoing by an action in a workflow that runs": {
			change: func(p pair) { undoingByAction(p); p.workflow.Status.Phase = workflowexecutionv1.PhaseExecuting }, want: "is not rolling back",
		},
		"a workflow that undoes another one": {change: undoingAnother},
		"executing in a workflow that undoes another one": {
			change: func(p pair) {
				undoingAnother(p)
				p.execution.Spec.Purpose, p.execution.Spec.RestoreFrom = kubernetesexecutionv1.PurposeExecute, ""
			},
			want: "undoes another one",
		},
		"restoring what the plan does not name": {
			change: func(p pair) { undoingAnother(p); p.execution.Spec.RestoreFrom = "v-s1-a1" }, want: `is not that of step 0 (scale) of its workflow's plan, "v-s0-a1"`,
		},
		"undoing by an action that the plan does not name": {
			change: func(p pair) {
				undoingAnother(p)
				p.workflow.Status.Plan.Undo.Steps[0].RestoreFrom = ""
				p.execution.Spec.RestoreFrom, p.execution.Spec.Action = "", new(scaleTo(9))
			},
			want: "spec.action is not that of step 0",
		},
		"a workflow that undoes another one and has ended": {
			change: func(p pair) { undoingAnother(p); p.workflow.Status.Phase = workflowexecutionv1.PhaseFailed }, want: "runs no steps any more",
		},
		"undoing a missing step": {change: func(p pair) { undoing(p); p.execution.Spec.StepIndex = 3 }, want: "has no step 3"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := pair{
				execution: &kubernetesexecutionv1.KubernetesExecution{
					ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{
						APIVersion: workflowexecutionv1.GroupVersion.String(), Kind: "WorkflowExecution", Name: "w", UID: "workflow-1", Controller: new(true),
					}}},
					Spec: kubernetesexecutionv1.KubernetesExecutionSpec{
						WorkflowExecutionRef: shared.ObjectReference{Name: "w", UID: "workflow-1"},
						StepName:             "scale", PlanDigest: "digest", Action: new(scaleTo(3)), Purpose: kubernetesexecutionv1.PurposeExecute,
					},
				},
				workflow: &workflowexecutionv1.WorkflowExecution{
					ObjectMeta: metav1.ObjectMeta{Name: "w", UID: "workflow-1"},
					Spec: workflowexecutionv1.WorkflowExecutionSpec{
						WorkflowDefinition: &shared.WorkflowDefinition{Steps: []shared.Step{{Name: "scale", Action: scaleTo(3)}}},
					},
					Status: workflowexecutionv1.WorkflowExecutionStatus{Plan: &workflowexecutionv1.Plan{Digest: "digest"}},
				},
			}
			test.change(p)
			err := belongs(p.execution, p.workflow)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("want no error, got %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("want an error with %q, got %v", test.want, err)
			}
		})
	}
}

func TestRestorable(t *testing.T) {
	type pair struct {
		execution, origin *kubernetesexecutionv1.KubernetesExecution
	}
	tests := map[string]struct {
		change func(pair)
		undone *shared.ObjectReference
		want   string
	}{
		"the attempt that it undoes": {change: func(pair) {}},
		"another step of the workflow that its own undoes": {
			undone: &shared.ObjectReference{Name: "w", UID: "workflow-1"},
			change: func(p pair) {
				p.origin.Spec.StepIndex, p.origin.Spec.PlanDigest = 4, "other"
				p.execution.Spec.WorkflowExecutionRef, p.execution.OwnerReferences[0].UID = shared.ObjectReference{Name: "u", UID: "workflow-2"}, "workflow-2"
			},
		},
		"one that does not belong to the workflow that its own undoes": {
			undone: &shared.ObjectReference{Name: "v", UID: "workflow-3"}, change: func(pair) {}, want: "that this one undoes, v",
		},
		"one that another owner claims for it": {
			undone: &shared.ObjectReference{Name: "w", UID: "workflow-1"}, change: func(p pair) { p.origin.OwnerReferences[0].UID = "other" }, want: "that this one undoes",
		},
		"an effect of which nothing is known":   {change: func(p pair) { p.origin.Status.Changed = nil }},
		"an attempt that still runs":            {change: func(p pair) { p.origin.Status = kubernetesexecutionv1.KubernetesExecutionStatus{Phase: executing} }},
		"one of another workflow":               {change: func(p pair) { p.origin.OwnerReferences[0].UID = "other" }, want: "same WorkflowExecution"},
		"one that says another workflow":        {change: func(p pair) { p.origin.Spec.WorkflowExecutionRef.UID = "other" }, want: "same WorkflowExecution"},
		"one that nobody owns":                  {change: func(p pair) { p.origin.OwnerReferences, p.execution.OwnerReferences = nil, nil }, want: "same WorkflowExecution"},
		"one that itself undoes":                {change: func(p pair) { p.origin.Spec.Purpose = kubernetesexecutionv1.PurposeRollBack }, want: "does not execute"},
		"another step":                          {change: func(p pair) { p.origin.Spec.StepIndex = 1 }, want: "another step"},
		"another attempt":                       {change: func(p pair) { p.origin.Spec.Attempt = 2 }, want: "another step, attempt"},
		"another plan":                          {change: func(p pair) { p.origin.Spec.PlanDigest = "other" }, want: "plan"},
		"one that captured nothing":             {change: func(p pair) { p.origin.Status.Inverse = nil }, want: "captured nothing"},
		"one that was already as wanted":        {change: func(p pair) { p.origin.Status.Inverse.Fields = nil }, want: "captured nothing"},
		"one that is known to have no effect":   {change: func(p pair) { p.origin.Status.Changed = new(false) }, want: "nothing to undo"},
		"one on another object":                 {change: func(p pair) { p.execution.Spec.ExpectedTarget.UID = "other" }, want: "not the object"},
		"one on an object that nobody expected": {change: func(p pair) { p.execution.Spec.ExpectedTarget = nil }, want: "not the object"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			owners := func() []metav1.OwnerReference {
				return []metav1.OwnerReference{{Kind: "WorkflowExecution", Name: "w", UID: "workflow-1", Controller: new(true)}}
			}
			workflow := shared.ObjectReference{Name: "w", UID: "workflow-1"}
			p := pair{
				execution: &kubernetesexecutionv1.KubernetesExecution{
					ObjectMeta: metav1.ObjectMeta{OwnerReferences: owners()},
					Spec: kubernetesexecutionv1.KubernetesExecutionSpec{
						WorkflowExecutionRef: workflow, Attempt: 1, Purpose: kubernetesexecutionv1.PurposeRollBack, RestoreFrom: "w-s0-a1",
						ExpectedTarget: &kubernetesexecutionv1.ExpectedTarget{UID: "target-1"},
					},
				},
				origin: &kubernetesexecutionv1.KubernetesExecution{
					ObjectMeta: metav1.ObjectMeta{Name: "w-s0-a1", OwnerReferences: owners()},
					Spec: kubernetesexecutionv1.KubernetesExecutionSpec{
						WorkflowExecutionRef: workflow, Attempt: 1, Purpose: kubernetesexecutionv1.PurposeExecute, Action: new(scaleTo(3)),
					},
					Status: kubernetesexecutionv1.KubernetesExecutionStatus{
						Phase: completed, Changed: new(true),
						Inverse: &kubernetesexecutionv1.Inverse{Target: theTarget, UID: "target-1", Fields: []shared.FieldChange{{Path: "/spec/replicas"}}},
					},
				},
			}
			test.change(p)
			err := restorable(p.execution, p.origin, test.undone)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("want no error, got %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("want an error with %q, got %v", test.want, err)
			}
		})
	}
}
