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
		"another action":    {change: func(p pair) { p.execution.Spec.Action = new(scaleTo(9)) }, want: "are not those of step"},
		"another step name": {change: func(p pair) { p.execution.Spec.StepName = "other" }, want: "are not those of step"},
		"no action":         {change: func(p pair) { p.execution.Spec.Action = nil }, want: "are not those of step"},
		"no such step":      {change: func(p pair) { p.execution.Spec.StepIndex = 1 }, want: "has no step 1"},
		"undoing": {
			change: func(p pair) { p.execution.Spec.Purpose = kubernetesexecutionv1.PurposeRollBack }, want: "does not undo yet",
		},
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
