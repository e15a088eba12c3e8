package remediationprocessing

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

func childOf(name string, owner types.UID) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name + "-uid"), OwnerReferences: ownedBy("RemediationRequest", "stuck", owner)}
}

func TestFailedWorkflow(t *testing.T) {
	t.Parallel()
	failed := func(change func(*workflowexecutionv1.WorkflowExecution)) client.Object {
		workflow := &workflowexecutionv1.WorkflowExecution{ObjectMeta: childOf("stuck-recovery-1", "request-uid")}
		workflow.Status = workflowexecutionv1.WorkflowExecutionStatus{
			Phase: workflowexecutionv1.PhaseFailed, Outcome: workflowexecutionv1.OutcomeRolledBack, FailedStep: new(int32(1)),
			FailedAction: "scale-deployment", ErrorType: shared.ErrorTimeout, FailureReason: "too slow",
			Steps: []workflowexecutionv1.StepStatus{
				{Name: "tell", Action: string(shared.ActionNotifyOnly), Phase: workflowexecutionv1.StepCompleted},
				{Name: "scale", Action: string(shared.ActionScaleDeployment), Phase: workflowexecutionv1.StepRolledBack, Message: strings.Repeat("x", 300)},
			},
		}
		if change != nil {
			change(workflow)
		}
		return workflow
	}
	analysis := func(owner types.UID) client.Object {
		object := &aianalysisv1.AIAnalysis{ObjectMeta: childOf("stuck-recovery-1", owner)}
		object.Status.Recommendation = &aianalysisv1.Recommendation{PlaybookRef: "scale-out"}
		return object
	}
	history := func(playbook string) *shared.FailedWorkflow {
		return &shared.FailedWorkflow{
			Name: "stuck-recovery-1", FailedStep: new(int32(1)), FailedAction: "scale-deployment", ErrorType: shared.ErrorTimeout,
			FailureReason: "too slow", Outcome: "RolledBack", Playbook: playbook,
			Steps: []shared.PastStep{
				{Name: "tell", Action: "notify-only", Phase: "completed"},
				{Name: "scale", Action: "scale-deployment", Phase: "rolled_back", Message: machinery.Cut(strings.Repeat("x", 300), longestPast)},
			},
		}
	}
	tests := map[string]struct {
		objects      []client.Object
		want         *shared.FailedWorkflow
		wantDegraded string
	}{
		"the workflow and its playbook": {objects: []client.Object{failed(nil), analysis("request-uid")}, want: history("scale-out")},
		"a workflow that is gone":       {objects: []client.Object{analysis("request-uid")}, wantDegraded: "failed workflow: "},
		"another workflow of the same name": {
			objects:      []client.Object{failed(func(w *workflowexecutionv1.WorkflowExecution) { w.UID = "later" }), analysis("request-uid")},
			wantDegraded: "was replaced by another of the same name",
		},
		"a workflow of another request": {
			objects:      []client.Object{failed(func(w *workflowexecutionv1.WorkflowExecution) { w.ObjectMeta = childOf("stuck-recovery-1", "other") })},
			wantDegraded: "is not a child of RemediationRequest stuck",
		},
		"an analysis that is gone":       {objects: []client.Object{failed(nil)}, want: history(""), wantDegraded: "playbook of the failed workflow: "},
		"an analysis of another request": {objects: []client.Object{failed(nil), analysis("other")}, want: history(""), wantDegraded: "is not a child of RemediationRequest stuck"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			processing := &remediationprocessingv1.RemediationProcessing{ObjectMeta: childOf("stuck-recovery-2", "request-uid")}
			processing.Spec = remediationprocessingv1.RemediationProcessingSpec{
				RemediationRequestRef: shared.ObjectReference{Name: "stuck", UID: "request-uid"},
				SignalContext:         shared.SignalContext{Name: "Stuck"}, Target: targetOf("apps/v1", "Deployment", "shop", "cart"),
				IsRecoveryAttempt: true, RecoveryAttemptNumber: 2,
				FailedWorkflowRef: &shared.ObjectReference{Name: "stuck-recovery-1", UID: "stuck-recovery-1-uid"},
			}
			first := &workflowexecutionv1.WorkflowExecution{ObjectMeta: childOf("stuck-workflow", "request-uid")}
			first.Status.ExecutionStartTime = new(metav1.NewTime(began))
			got := gatherFor(t, processing, byLabel, interceptor.Funcs{}, append(append(stuck(), first), test.objects...)...)
			if diff := cmp.Diff(test.want, got.enrichment.FailedWorkflow); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if degraded := strings.Join(got.degraded, "; "); (degraded == "") != (test.wantDegraded == "") || !strings.Contains(degraded, test.wantDegraded) {
				t.Errorf("degraded is %q", degraded)
			}
		})
	}
}

func TestWhenEarlierWorkflowsHadEffects(t *testing.T) {
	t.Parallel()
	workflow := func(name string, started *metav1.Time) client.Object {
		object := &workflowexecutionv1.WorkflowExecution{ObjectMeta: childOf(name, "request-uid")}
		object.Status.ExecutionStartTime = started
		return object
	}
	at := new(metav1.NewTime(began))
	for sentence, test := range map[string]struct {
		objects      []client.Object
		want         *metav1.Time
		wantDegraded bool
	}{
		"the first one that had any":    {objects: []client.Object{workflow("stuck-workflow", nil), workflow("stuck-recovery-1", at)}, want: at},
		"none had any":                  {objects: []client.Object{workflow("stuck-workflow", nil), workflow("stuck-recovery-1", nil)}},
		"one that is gone may have had": {objects: []client.Object{workflow("stuck-recovery-1", at)}, want: at, wantDegraded: true},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			processing := &remediationprocessingv1.RemediationProcessing{ObjectMeta: childOf("stuck-recovery-2", "request-uid")}
			processing.Spec.RemediationRequestRef, processing.Spec.RecoveryAttemptNumber = shared.ObjectReference{Name: "stuck", UID: "request-uid"}, 2
			s := &survey{live: fake.NewClientBuilder().WithScheme(schemeOf(t)).WithObjects(test.objects...).Build()}
			s.readBegun(t.Context(), processing)
			if !s.begun.Equal(test.want) || (len(s.degraded) > 0) != test.wantDegraded {
				t.Errorf("begun %v, degraded %q", s.begun, s.degraded)
			}
		})
	}
}
