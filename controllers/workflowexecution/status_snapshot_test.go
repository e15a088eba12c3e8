package workflowexecution

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// maxSnapshot is the promise of the API.
const maxSnapshot = 32 << 10

// secret is what stands wherever a secret may.
const secret = "hush-hush"

// secretive is a target that has the secret in all the places where one may be.
func secretive(t *rapid.T, i int) *unstructured.Unstructured {
	kind := rapid.SampledFrom([]string{"Deployment", "Secret", "ConfigMap", "Pod"}).Draw(t, "kind")
	hidden := map[string]any{"token": secret}
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": kind, "data": hidden, "stringData": hidden, "binaryData": hidden,
		"metadata": map[string]any{"name": fmt.Sprint("t", i), "annotations": hidden, "labels": map[string]any{"a": "b"}},
		"spec": map[string]any{
			"replicas": int64(3),
			"template": map[string]any{"metadata": map[string]any{"annotations": hidden}, "spec": map[string]any{"containers": []any{map[string]any{
				"name": "app", "image": "a:1", "env": []any{map[string]any{"name": "PASSWORD", "value": secret}}, "args": []any{secret},
			}}}},
		},
		"status": map[string]any{"message": strings.Repeat("x<", rapid.IntRange(0, 20<<10).Draw(t, "status"))},
	}}
	return object
}

// TestSnapshotIsBoundedAndHoldsNoSecret draws failures with any number of steps, texts of every length and kind of character, and
// targets of every size.
func TestSnapshotIsBoundedAndHoldsNoSecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 100).Draw(t, "steps")
		text := rapid.StringOfN(rapid.SampledFrom([]rune("a<é\x00\"日")), 0, 512, 512)
		status := workflowexecutionv1.WorkflowExecutionStatus{
			Phase: workflowexecutionv1.PhaseExecuting, ExecutionStartTime: new(metav1.NewTime(begun)), Plan: &workflowexecutionv1.Plan{},
		}
		s := snapshot{executions: map[string]*kubernetesexecutionv1.KubernetesExecution{}}
		steps := make([]shared.Step, n)
		for i := range steps {
			steps[i] = scale(fmt.Sprint("s", i), fmt.Sprint("t", i))
			phase := rapid.SampledFrom([]workflowexecutionv1.StepPhase{workflowexecutionv1.StepCompleted, workflowexecutionv1.StepFailed}).Draw(t, "phase")
			name := shared.ExecutionName("w", int32(i), 1)
			status.Steps = append(status.Steps, workflowexecutionv1.StepStatus{
				Index: int32(i), Name: steps[i].Name, Action: "scale-deployment", Phase: phase, Attempts: 1, ExecutionRef: name,
				Message: text.Draw(t, "message"), StartTime: new(metav1.NewTime(begun)), CompletionTime: new(metav1.NewTime(begun.Add(1))),
			})
			s.executions[name] = &kubernetesexecutionv1.KubernetesExecution{Status: kubernetesexecutionv1.KubernetesExecutionStatus{
				DryRun: []shared.FieldChange{{Path: "/data/token", Before: rawJSON(map[string]any{"x": secret})}},
			}}
			status.Plan.Targets = append(status.Plan.Targets, workflowexecutionv1.PlannedTarget{Target: *targetOf(&steps[i].Action), Steps: []int32{int32(i)}})
			health := rapid.SampledFrom([]shared.HealthStatus{shared.HealthCurrent, shared.HealthFailed}).Draw(t, "health")
			s.targets = append(s.targets, targetState{health: shared.Health{Status: health, Message: text.Draw(t, "health message")}, object: secretive(t, i)})
		}
		s.workflow = &workflowexecutionv1.WorkflowExecution{
			ObjectMeta: metav1.ObjectMeta{Name: "w"},
			Spec:       workflowexecutionv1.WorkflowExecutionSpec{WorkflowDefinition: &shared.WorkflowDefinition{Steps: steps}}, Status: status,
		}
		d := newDecider(s, begun)
		d.blame(rapid.IntRange(noStep, n-1).Draw(t, "failed"), shared.ErrorUnknown, "it broke")
		taken, err := json.Marshal(d.status.ExecutionSnapshot)
		if err != nil {
			t.Fatal(err)
		}
		if len(taken) > maxSnapshot {
			t.Errorf("the snapshot has %d bytes", len(taken))
		}
		if strings.Contains(string(taken), secret) {
			t.Errorf("the snapshot holds the secret: %s", taken)
		}
		if got := len(d.status.ExecutionSnapshot.CompletedSteps); got != n {
			t.Errorf("the snapshot has %d of %d steps", got, n)
		}
	})
}

func TestSnapshotIsTakenOnceBeforeAnythingIsUndone(t *testing.T) {
	c := rollingBack(t, nil)
	taken := c.s.workflow.Status.ExecutionSnapshot.DeepCopy()
	c.undone(2, leftCompleted()).undone(1, leftCompleted()).undone(0, leftCompleted())
	c.now = c.now.Add(1e9)
	status := c.decide()
	if status.Outcome != workflowexecutionv1.OutcomeRolledBack {
		t.Fatalf("outcome %s", status.Outcome)
	}
	before, after := jsonOf(t, taken), jsonOf(t, status.ExecutionSnapshot)
	if before != after || strings.Contains(after, "rolled_back") {
		t.Errorf("the snapshot was %s and is %s", before, after)
	}
}

func jsonOf(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
