package workflowexecution

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// The statuses are written by controllers/approvalrequest, which acts as this controller.
// +kubebuilder:rbac:groups=safety.kubernaut.io,resources=approvalrequests,verbs=get;create
// +kubebuilder:rbac:groups=safety.kubernaut.io,resources=approvalrequests/status,verbs=update

// gatherApproval reads the ApprovalRequest that the status names, live: whether people have approved must not rest on a cache.
func (r *Reconciler) gatherApproval(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) (approvalState, error) {
	name := workflow.Status.ApprovalRequestRef
	if name == "" {
		return approvalState{}, nil
	}
	var request safetyv1alpha1.ApprovalRequest
	err := r.Clients.Live.Get(ctx, client.ObjectKey{Namespace: workflow.Namespace, Name: name}, &request)
	switch {
	case apierrors.IsNotFound(err):
		return approvalState{}, nil
	case err != nil:
		return approvalState{}, fmt.Errorf("reading ApprovalRequest %s: %w", name, err)
	case machinery.OwnedBy(&request, workflow):
		return approvalState{request: &request}, nil
	}
	return approvalState{foreign: ownerText(&request)}, nil
}

// ensureApproval makes the announced ApprovalRequest, or finds the one that is there and asks for the same.
func (r *Reconciler) ensureApproval(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, spec safetyv1alpha1.ApprovalRequestSpec) error {
	labels := map[string]string{shared.LabelWorkflowExecution: shared.Bounded(workflow.Name)}
	if request := workflow.Labels[shared.LabelRemediationRequest]; request != "" {
		labels[shared.LabelRemediationRequest] = request
	}
	child := &safetyv1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: workflow.Namespace,
			Name:      workflow.Status.ApprovalRequestRef,
			Labels:    labels,
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(workflow, workflowexecutionv1.GroupVersion.WithKind("WorkflowExecution")),
			},
		},
		Spec: spec,
	}
	same := func(existing *safetyv1alpha1.ApprovalRequest) error {
		have := existing.Spec
		if have.PlanDigest != spec.PlanDigest || have.SummaryDigest != spec.SummaryDigest || have.RequiredApprovals != spec.RequiredApprovals ||
			!slices.EqualFunc(have.Reasons, spec.Reasons, sameReason) {
			return fmt.Errorf("it asks for plan %.12s, summary %.12s", have.PlanDigest, have.SummaryDigest)
		}
		return nil
	}
	if err := machinery.EnsureChild(ctx, r.Clients.Live, r.Clients.Live, child, &safetyv1alpha1.ApprovalRequest{}, same); err != nil {
		return fmt.Errorf("ApprovalRequest %s: %w", child.Name, err)
	}
	return nil
}

// sameReason leaves the sentence out: it may hold numbers that move.
func sameReason(a, b safetyv1alpha1.ApprovalReason) bool {
	return a.Policy == b.Policy && a.Code == b.Code
}

// announceApproval tells that people are asked.
func (r *Reconciler) announceApproval(before *workflowexecutionv1.WorkflowExecution, after workflowexecutionv1.WorkflowExecutionStatus) {
	condition := meta.FindStatusCondition(after.Conditions, workflowexecutionv1.ConditionApproved)
	if after.ApprovalRequests > before.Status.ApprovalRequests && condition != nil {
		r.event(before, corev1.EventTypeNormal, EventApprovalRequested, "Wait", "%s", machinery.Cut(condition.Message, maxNote))
	}
}
