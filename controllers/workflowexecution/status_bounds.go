package workflowexecution

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// The bound of a workflow as it is stored, and what of it is not in our hands: the API server notes for every field of every step who
// wrote it, and a cache does not show that.
const (
	maxObject       = 256 << 10
	notedForAnyone  = 8 << 10
	notedForOneStep = 640
)

const (
	// longValue is what is kept of a value that a step would change when there is little room.
	longValue = 256
	// shortMessage is what is kept of a step's message then; the KubernetesExecution has the whole.
	shortMessage = 64
	// manySteps is from how many steps on there may be little room though no value is long.
	manySteps = 20
)

// bounded is a status with which the workflow stays within its bound. What is left out of it stands on the KubernetesExecutions;
// what decisions are made on, and why the workflow failed, is always kept.
func bounded(workflow *workflowexecutionv1.WorkflowExecution, status *workflowexecutionv1.WorkflowExecutionStatus) *workflowexecutionv1.WorkflowExecutionStatus {
	if fits(workflow, status) {
		return status
	}
	status = status.DeepCopy()
	for _, leaveOut := range []func(*workflowexecutionv1.WorkflowExecutionStatus){
		withoutLongValues, withoutStates, withoutRuleMessages, withShortMessages, withoutChanges, withoutTexts,
	} {
		if leaveOut(status); fits(workflow, status) {
			break
		}
	}
	return status
}

func fits(workflow *workflowexecutionv1.WorkflowExecution, status *workflowexecutionv1.WorkflowExecutionStatus) bool {
	if len(status.Steps) < manySteps && (status.Validation == nil || sizeOf(status.Validation.DryRun) < maxObject/8) {
		return true // it is not looked at more closely, which takes time
	}
	metadata := jsonSize(workflow.ObjectMeta) + notedForAnyone + notedForOneStep*len(status.Steps)
	return jsonSize(workflow.Spec)+jsonSize(status)+metadata < maxObject
}

func sizeOf(changes []workflowexecutionv1.StepChange) int {
	size := 0
	for i := range changes {
		for _, value := range []*apiextensionsv1.JSON{changes[i].Before, changes[i].After} {
			if value != nil {
				size += len(value.Raw)
			}
		}
	}
	return size
}

func withoutLongValues(status *workflowexecutionv1.WorkflowExecutionStatus) {
	if status.Validation == nil {
		return
	}
	for i := range status.Validation.DryRun {
		change := &status.Validation.DryRun[i]
		change.Before, change.After = sizeForValue(change.Before), sizeForValue(change.After)
	}
}

// sizeForValue stands for a long value: how long it is.
func sizeForValue(value *apiextensionsv1.JSON) *apiextensionsv1.JSON {
	if value == nil || len(value.Raw) <= longValue {
		return value
	}
	return &apiextensionsv1.JSON{Raw: fmt.Appendf(nil, `"(%d bytes)"`, len(value.Raw))}
}

func withoutStates(status *workflowexecutionv1.WorkflowExecutionStatus) {
	if status.ExecutionSnapshot != nil {
		status.ExecutionSnapshot.ClusterState, status.ExecutionSnapshot.ResourceSnapshot = nil, nil
	}
}

func withoutRuleMessages(status *workflowexecutionv1.WorkflowExecutionStatus) {
	if status.Validation == nil {
		return
	}
	for i := range status.Validation.Decisions {
		decision := &status.Validation.Decisions[i]
		rules := make([]shared.FiredRule, len(decision.Rules))
		copy(rules, decision.Rules)
		for n := range rules {
			rules[n].Message = ""
		}
		decision.Rules = rules
	}
}

func withShortMessages(status *workflowexecutionv1.WorkflowExecutionStatus) {
	for i := range status.Steps {
		status.Steps[i].Message = cutOrDrop(status.Steps[i].Message, shortMessage)
	}
}

func withoutChanges(status *workflowexecutionv1.WorkflowExecutionStatus) {
	if status.Validation == nil {
		return
	}
	status.Validation.DryRun = nil // summaryDigest stays
	for i := range status.Validation.Decisions {
		status.Validation.Decisions[i].Rules = nil
	}
}

func withoutTexts(status *workflowexecutionv1.WorkflowExecutionStatus) {
	if status.ExecutionSnapshot != nil {
		for i := range status.ExecutionSnapshot.CompletedSteps {
			result := &status.ExecutionSnapshot.CompletedSteps[i]
			result.Error, result.Output = "", ""
		}
	}
	for i := range status.Steps {
		status.Steps[i].Message = ""
	}
}
