package shared

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Labels that children carry where they apply.
const (
	LabelRemediationRequest = "kubernaut.io/remediation-request"
	LabelWorkflowExecution  = "kubernaut.io/workflow-execution"
	LabelStep               = "kubernaut.io/step"
	// LabelLockHolder is on a Lease that locks a target; its value is the UID of the WorkflowExecution that holds it.
	LabelLockHolder = "kubernaut.io/lock-holder"
)

// Labels of a namespace that Kubernaut reads.
const (
	// LabelNamespaceMode with value NamespaceModeDryRun forces dry-run mode on every workflow with a target in the namespace.
	LabelNamespaceMode  = "kubernaut.io/mode"
	NamespaceModeDryRun = "dry-run"
	// LabelEnvironment names the environment of a namespace; without it the environment is unknown.
	LabelEnvironment = "kubernaut.io/environment"
	// LabelBusinessUnit names who a namespace belongs to.
	LabelBusinessUnit = "kubernaut.io/business-unit"
)

// Annotations.
const (
	// AnnotationLastExecution is written on a target in the same write as the effect; its value is the UID of the
	// KubernetesExecution, so that a crash after the write cannot lead to a second effect.
	AnnotationLastExecution = "kubernaut.io/last-execution"
	// AnnotationRequestedBy is the user name of who created the object, stamped by admission.
	AnnotationRequestedBy = "kubernaut.io/requested-by"
)

// Finalizers.
const (
	FinalizerWorkflowExecution   = "workflowexecution.kubernaut.io/finalizer"
	FinalizerKubernetesExecution = "kubernetesexecution.kubernaut.io/finalizer"
)

// Conditions that every kind has.
const (
	// ConditionReady is True when the object has reached what it is for.
	ConditionReady = "Ready"
	// ConditionStalled is True when the object cannot go on without a person.
	ConditionStalled = "Stalled"
)

// ConditionOrphaned is True when an object names a RemediationRequest that is not its controller owner, and False when that was so.
const ConditionOrphaned = "Orphaned"

// maxName is the longest name or label value: the limit of a DNS label.
const maxName = 63

// hashLength is how many hexadecimal digits of the hash end a name that was cut.
const hashLength = 10

// ChildName joins parent and suffix with a hyphen. A result that would pass 63 characters is cut and ends in a hash of the
// whole, so that it stays unique and the same input always gives the same name.
func ChildName(parent, suffix string) string {
	return Bounded(parent + "-" + suffix)
}

// Bounded is name, or, if that would pass 63 characters, its beginning with a hash of the whole: fit for a name or a label value.
func Bounded(name string) string {
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:maxName-hashLength-1] + "-" + hex.EncodeToString(sum[:])[:hashLength]
}

// ProcessingName is the name of the RemediationProcessing of an attempt; attempt 0 is the initial one.
func ProcessingName(request string, recovery int32) string {
	return attemptName(request, "processing", recovery)
}

// AnalysisName is the name of the AIAnalysis of an attempt; attempt 0 is the initial one.
func AnalysisName(request string, recovery int32) string {
	return attemptName(request, "analysis", recovery)
}

// WorkflowName is the name of the WorkflowExecution of an attempt; attempt 0 is the initial one.
func WorkflowName(request string, recovery int32) string {
	return attemptName(request, "workflow", recovery)
}

func attemptName(request, suffix string, recovery int32) string {
	if recovery > 0 {
		suffix = fmt.Sprintf("recovery-%d", recovery)
	}
	return ChildName(request, suffix)
}

// ExecutionName is the name of the KubernetesExecution of one attempt, from 1, of the step with the 0-based index.
func ExecutionName(workflow string, index, attempt int32) string {
	return ChildName(workflow, fmt.Sprintf("s%d-a%d", index, attempt))
}

// RollbackName is the name of the KubernetesExecution that undoes a step.
func RollbackName(workflow string, index, attempt int32) string {
	return ChildName(workflow, fmt.Sprintf("s%d-r%d", index, attempt))
}

// ApprovalName is the name of the nth ApprovalRequest of a workflow.
func ApprovalName(workflow string, n int32) string {
	return ChildName(workflow, fmt.Sprintf("approval-%d", n))
}
