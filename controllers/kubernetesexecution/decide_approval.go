package kubernetesexecution

import (
	"fmt"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/approvalrequest"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
)

// uncovered says why the approval that a step needs does not let it run; empty when it does, or when the step needs none. People
// approved a plan, reasons, and exactly what the steps change: a step that would change something else, or that a policy objects
// to for another reason, is one that nobody has approved.
func uncovered(execution *kubernetesexecutionv1.KubernetesExecution, found *Validation) string {
	approval := found.Approval
	if approval == nil {
		return ""
	}
	request := approval.Request
	switch {
	case request == nil:
		return "its workflow has no ApprovalRequest"
	case request.Status.Phase != safetyv1alpha1.PhaseApproved:
		return fmt.Sprintf("ApprovalRequest %s is %q", request.Name, request.Status.Phase)
	case request.Spec.PlanDigest != execution.Spec.PlanDigest:
		return fmt.Sprintf("ApprovalRequest %s approves another plan", request.Name)
	}
	reasons, approvers := approvalrequest.Asked(*found.Decision)
	if lacks := approvalrequest.Lacks(request, reasons, approvers); lacks != "" {
		return fmt.Sprintf("ApprovalRequest %s does not cover it: %s", request.Name, lacks)
	}
	if digest, err := approvalrequest.Digest(approval.Changes); err != nil || digest != request.Spec.SummaryDigest {
		return fmt.Sprintf("what ApprovalRequest %s shows is not what its workflow records", request.Name)
	}
	if !approval.OfRollbackAction && !shownChanges(execution, found.Preparation, approval) {
		return fmt.Sprintf("it would change something else than ApprovalRequest %s shows", request.Name)
	}
	return ""
}

// shownChanges says whether the step changes exactly what people were shown, or, because its effect is there already, nothing.
func shownChanges(execution *kubernetesexecutionv1.KubernetesExecution, preparation *effects.Preparation, approval *Approval) bool {
	if preparation.DryRunUnsupported == "" && len(preparation.Shown()) == 0 {
		return true
	}
	step := execution.Spec.StepIndex
	approved := approvalrequest.Of(approval.Changes, step)
	now := make([]workflowexecutionv1.StepChange, len(preparation.Shown()))
	for i, change := range preparation.Shown() {
		now[i] = workflowexecutionv1.StepChange{Index: step, FieldChange: change}
	}
	was, err := approvalrequest.Digest(approved)
	is, err2 := approvalrequest.Digest(now)
	return err == nil && err2 == nil && was == is
}
