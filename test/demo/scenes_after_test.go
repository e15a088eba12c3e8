package main

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
)

func holding(claims []claim) []bool {
	var holds []bool
	for _, c := range claims {
		holds = append(holds, c.holds)
	}
	return holds
}

func TestJudgeDenial(t *testing.T) {
	tests := map[string]struct {
		errorType shared.ErrorType
		grown     int64
		of        string
		want      []bool
	}{
		"denied, and nothing touched":     {errorType: shared.ErrorPolicyDenied, of: "another", want: []bool{true, true, true}},
		"failed of something else":        {errorType: shared.ErrorTimeout, of: "another", want: []bool{false, true, true}},
		"the Deployment was changed":      {errorType: shared.ErrorPolicyDenied, grown: 1, of: "another", want: []bool{true, false, true}},
		"a step of the workflow was made": {errorType: shared.ErrorPolicyDenied, of: "w", want: []bool{true, true, false}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			workflow := &workflowexecutionv1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{UID: "w"}}
			workflow.Status.Phase, workflow.Status.ErrorType = workflowexecutionv1.PhaseFailed, test.errorType
			before, after := aDeployment(3, 3, 3, ""), aDeployment(3, 3, 3, "")
			after.Generation += test.grown
			var execution kubernetesexecutionv1.KubernetesExecution
			execution.Spec.WorkflowExecutionRef.UID = "w"
			if test.of != "w" {
				execution.Spec.WorkflowExecutionRef.UID = "another"
			}
			got := holding(judgeDenial(workflow, before, after, []kubernetesexecutionv1.KubernetesExecution{execution}))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudgeGuard(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "remediationrequests"}, "r", errors.New("no"))
	tests := map[string]struct {
		refusal error
		version string
		want    []bool
	}{
		"refused":                {refusal: forbidden, version: "1", want: []bool{true, true}},
		"not refused":            {version: "2", want: []bool{false, false}},
		"something else failed":  {refusal: errors.New("connection refused"), version: "1", want: []bool{false, true}},
		"refused and yet it was": {refusal: forbidden, version: "2", want: []bool{true, false}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before, after := aRequest(remediationv1.PhaseCompleted), aRequest(remediationv1.PhaseCompleted)
			before.ResourceVersion, after.ResourceVersion = "1", test.version
			if diff := cmp.Diff(test.want, holding(judgeGuard(test.refusal, before, after))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudgeRecovery(t *testing.T) {
	tests := map[string]struct {
		outcome  workflowexecutionv1.WorkflowOutcome
		attempts int32
		replicas int32
		want     []bool
	}{
		"undone and recovered":            {outcome: workflowexecutionv1.OutcomeRolledBack, attempts: 1, replicas: 5, want: []bool{true, true, true}},
		"not undone":                      {outcome: workflowexecutionv1.OutcomeRollbackFailed, attempts: 1, replicas: 5, want: []bool{false, true, true}},
		"remediated without any recovery": {outcome: workflowexecutionv1.OutcomeRolledBack, replicas: 5, want: []bool{true, false, true}},
		"scaled to another number":        {outcome: workflowexecutionv1.OutcomeRolledBack, attempts: 1, replicas: 4, want: []bool{true, true, false}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var first workflowexecutionv1.WorkflowExecution
			first.Status.Outcome, first.Status.FailedStep = test.outcome, new(int32(1))
			first.Status.Steps = []workflowexecutionv1.StepStatus{{Phase: workflowexecutionv1.StepRolledBack}, {Phase: workflowexecutionv1.StepFailed}}
			done := aRequest(remediationv1.PhaseCompleted)
			done.Status.Outcome, done.Status.RecoveryAttempts = remediationv1.OutcomeRemediated, test.attempts
			deployment := aDeployment(6, test.replicas, test.replicas, "")
			deployment.Spec.Replicas, deployment.Status.Replicas = &test.replicas, test.replicas
			got := holding(judgeRecovery(&first, done, deployment))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudgeApproval(t *testing.T) {
	account := identity.Username(identity.DefaultNamespace, identity.Action(shared.ActionRestartPod))
	deletion := func(by string) write { return write{User: by, Verb: "delete", Resource: "pods", Object: "catalog-a"} }
	tests := map[string]struct {
		change func(*approval)
		want   []bool
	}{
		"waited, approved, done": {want: []bool{true, true, true, true}},
		"the pod was ended too early": {
			change: func(a *approval) { a.waited = false }, want: []bool{false, true, true, true},
		},
		"somebody else approved": {
			change: func(a *approval) { a.request = anApproval(safetyv1alpha1.PhaseApproved, support) }, want: []bool{true, false, true, true},
		},
		"it was not approved": {
			change: func(a *approval) { a.request = anApproval(safetyv1alpha1.PhaseExpired) }, want: []bool{true, false, true, true},
		},
		"the workflow failed": {
			change: func(a *approval) { a.workflow.Status.Outcome = workflowexecutionv1.OutcomeFailed }, want: []bool{true, true, false, true},
		},
		"the pod is still there": {
			change: func(a *approval) { a.ended = false }, want: []bool{true, true, false, true},
		},
		"nobody of Kubernaut's deleted it": {
			change: func(a *approval) { a.writes = a.writes[1:] }, want: []bool{true, true, true, false},
		},
		"it was deleted under another account of the operator": {
			change: func(a *approval) {
				a.writes = []write{deletion(identity.Username(identity.DefaultNamespace, "workflowexecution-controller"))}
			},
			want: []bool{true, true, true, false},
		},
		"who deleted it is not known": {
			change: func(a *approval) { a.auditError = errors.New("no log") }, want: []bool{true, true, true, false},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := approval{
				workflow: &workflowexecutionv1.WorkflowExecution{}, request: anApproval(safetyv1alpha1.PhaseApproved, shopLead), pod: "catalog-a",
				waited: true, ended: true, deployment: aDeployment(2, 3, 3, ""),
				// What the kubelet deletes is none of Kubernaut's, and a refused deletion none at all.
				writes: []write{deletion(account), deletion("system:node:node-01"), {User: account, Verb: "delete", Resource: "pods", Object: "catalog-a", Code: 409}},
			}
			a.workflow.Status.Outcome = workflowexecutionv1.OutcomeSuccess
			if test.change != nil {
				test.change(&a)
			}
			if diff := cmp.Diff(test.want, holding(judgeApproval(a))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
