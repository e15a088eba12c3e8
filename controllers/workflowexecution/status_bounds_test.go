package workflowexecution

import (
	"fmt"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// TestAStatusStaysWithinItsBound draws workflows whose texts and values are as long as the schema allows.
func TestAStatusStaysWithinItsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		long := func(limit int) string { return strings.Repeat("x", rapid.IntRange(0, limit).Draw(t, "length")) }
		n := rapid.IntRange(1, 100).Draw(t, "steps")
		workflow := &workflowexecutionv1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Name: "w", Namespace: "n"}}
		workflow.Spec.WorkflowDefinition = &shared.WorkflowDefinition{Name: strings.Repeat("x", rapid.IntRange(0, 100<<10).Draw(t, "spec"))}
		status := &workflowexecutionv1.WorkflowExecutionStatus{
			Phase: workflowexecutionv1.PhaseFailed, ErrorType: shared.ErrorTimeout, FailureReason: long(maxReason),
			Plan: &workflowexecutionv1.Plan{Digest: long(64)}, Validation: &workflowexecutionv1.Validation{SummaryDigest: "d"},
			ExecutionSnapshot: &workflowexecutionv1.ExecutionSnapshot{ResourceSnapshot: &apiextensionsv1.JSON{Raw: []byte(`"` + long(10<<10) + `"`)}},
		}
		for i := range n {
			name := fmt.Sprintf("%063d", i)
			status.Steps = append(status.Steps, workflowexecutionv1.StepStatus{
				Index: int32(i), Name: name, Action: name[:22], ExecutionRef: name, Phase: workflowexecutionv1.StepFailed, Attempts: 6, Message: long(maxStepError),
			})
			rules := make([]shared.FiredRule, rapid.IntRange(0, maxStepRules).Draw(t, "rules"))
			for r := range rules {
				rules[r] = shared.FiredRule{Policy: long(63), Code: long(64), Message: long(512)}
			}
			status.Validation.Decisions = append(status.Validation.Decisions, workflowexecutionv1.StepDecision{Index: int32(i), Rules: rules})
			status.Plan.Targets = append(status.Plan.Targets, workflowexecutionv1.PlannedTarget{Target: shared.Target{Name: name}, Steps: []int32{int32(i)}})
			status.ExecutionSnapshot.CompletedSteps = append(status.ExecutionSnapshot.CompletedSteps, workflowexecutionv1.StepResult{StepIndex: int32(i), Error: long(100)})
		}
		for range rapid.IntRange(0, maxDryRunChanges).Draw(t, "changes") {
			value := &apiextensionsv1.JSON{Raw: []byte(`"` + long(4<<10) + `"`)}
			status.Validation.DryRun = append(status.Validation.DryRun, workflowexecutionv1.StepChange{FieldChange: shared.FieldChange{Path: long(512), After: value}})
		}
		untouched := status.DeepCopy()
		got := bounded(workflow, status)
		if size := jsonSize(workflow.Spec) + jsonSize(got) + notedForOneStep*n; size >= maxObject {
			t.Fatalf("%d bytes", size)
		}
		if !equality.Semantic.DeepEqual(untouched, status) {
			t.Fatal("the status that was given has changed")
		}
		if got.FailureReason != status.FailureReason || len(got.Steps) != n || got.Validation.SummaryDigest != "d" || got.Steps[n-1].Attempts != 6 || len(got.Plan.Targets) != n {
			t.Fatal("what decisions are made on is not all there")
		}
	})
}

func TestWhatIsLeftOutFirst(t *testing.T) {
	workflow := &workflowexecutionv1.WorkflowExecution{}
	long := &apiextensionsv1.JSON{Raw: []byte(`"` + strings.Repeat("x", 300<<10) + `"`)}
	short := &apiextensionsv1.JSON{Raw: []byte(`3`)}
	status := &workflowexecutionv1.WorkflowExecutionStatus{
		Steps: []workflowexecutionv1.StepStatus{{Message: "it broke"}},
		Validation: &workflowexecutionv1.Validation{DryRun: []workflowexecutionv1.StepChange{
			{FieldChange: shared.FieldChange{Path: "/data/a", Before: short, After: long}},
		}},
	}
	got := bounded(workflow, status)
	change := got.Validation.DryRun[0]
	if string(change.Before.Raw) != "3" || string(change.After.Raw) != `"(307202 bytes)"` || got.Steps[0].Message != "it broke" {
		t.Errorf("got %s, %s, %q", change.Before.Raw, change.After.Raw, got.Steps[0].Message)
	}
	status.Validation.DryRun[0].After = short
	if bounded(workflow, status) != status {
		t.Error("what fits stays as it is")
	}
}
