package remediationrequest

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

func TestOnlyTheSameWorkflowIsAdopted(t *testing.T) {
	t.Parallel()
	d := &decider{Snapshot: Snapshot{request: requestIn("")}}
	want := d.newWorkflow(analysisIn(aianalysisv1.PhaseCompleted)).Spec
	tests := map[string]struct {
		change func(*workflowexecutionv1.WorkflowExecutionSpec)
		same   bool
	}{
		"as it was made": {change: func(*workflowexecutionv1.WorkflowExecutionSpec) {}, same: true},
		"with defaults": {same: true, change: func(s *workflowexecutionv1.WorkflowExecutionSpec) {
			s.StabilizationWindow, s.TTLAfterFinished = &metav1.Duration{Duration: 1}, &metav1.Duration{Duration: 1}
			s.WorkflowDefinition.Steps[0].Timeout = &metav1.Duration{Duration: 1}
		}},
		"that was told to stop":   {same: true, change: func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Cancel = workflowexecutionv1.CancelAbort }},
		"of another request":      {change: func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.RemediationRequestRef.UID = "another" }},
		"that somebody asked for": {change: func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.RequestedBy.Username = "mallory" }},
		"of one more step": {change: func(s *workflowexecutionv1.WorkflowExecutionSpec) {
			s.WorkflowDefinition.Steps = append(s.WorkflowDefinition.Steps, rollBack())
		}},
		"with another target": {change: func(s *workflowexecutionv1.WorkflowExecutionSpec) {
			s.WorkflowDefinition.Steps[0].Action.RollbackDeployment.Name = "till"
		}},
		"with another strategy": {change: func(s *workflowexecutionv1.WorkflowExecutionSpec) {
			s.ExecutionStrategy.RollbackStrategy = shared.RollbackStrategyAutomatic
		}},
		"without a definition": {change: func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.WorkflowDefinition = nil }},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			have := want.DeepCopy()
			test.change(have)
			if err := sameWorkflow(&want, have); (err == nil) != test.same {
				t.Errorf("got %v", err)
			}
		})
	}
}
