package kubernetesexecution

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// +kubebuilder:rbac:groups=safety.kubernaut.io,resources=approvalrequests,verbs=get

// Approval is what people have approved for the workflow of an execution.
type Approval struct {
	// Request is the ApprovalRequest that the workflow names, read live; nil if there is none that is the workflow's.
	Request *safetyv1alpha1.ApprovalRequest
	// Changes are what the steps of the workflow would change, as people were shown it.
	Changes []workflowexecutionv1.StepChange
	// OfRollbackAction says that a rollbackAction is to run: people approved that it may, with its parameters, by approving the plan.
	OfRollbackAction bool
}

// needsApproval says whether a step may run only with an approval: the gate says so, or the workflow's strategy.
func needsApproval(workflow *workflowexecutionv1.WorkflowExecution, verdict shared.Verdict) bool {
	strategy := workflow.Spec.ExecutionStrategy
	required := strategy != nil && strategy.ApprovalRequired != nil && *strategy.ApprovalRequired
	return verdict == shared.VerdictRequireApproval || verdict == shared.VerdictAllow && required
}

// withApproval adds to what validating found what people have approved, where the step needs it. It is read live: a request may
// have become void a moment ago.
func (r *Reconciler) withApproval(
	ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, execution *kubernetesexecutionv1.KubernetesExecution, found *Validation,
) *Validation {
	if found.Decision == nil || !needsApproval(workflow, found.Decision.Verdict) {
		return found
	}
	found.Approval = &Approval{OfRollbackAction: rollsBackByAction(execution, workflow)}
	if workflow.Status.Validation != nil {
		found.Approval.Changes = workflow.Status.Validation.DryRun
	}
	name := workflow.Status.ApprovalRequestRef
	if name == "" {
		return found
	}
	var request safetyv1alpha1.ApprovalRequest
	err := r.Clients.Live.Get(ctx, client.ObjectKey{Namespace: workflow.Namespace, Name: name}, &request)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		found.Err = fmt.Errorf("reading ApprovalRequest %s: %w", name, err)
	case machinery.OwnedBy(&request, workflow) && request.Spec.WorkflowExecutionRef.UID == workflow.UID:
		found.Approval.Request = &request
	}
	return found
}
