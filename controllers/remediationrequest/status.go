package remediationrequest

import "strings"

// The reasons of the conditions of a RemediationRequest.
const (
	// ReasonPending says that it is being found out whether the request is a duplicate.
	ReasonPending = "Pending"
	// ReasonProcessing, ReasonAnalyzing and ReasonExecuting say which child works.
	ReasonProcessing = "Processing"
	ReasonAnalyzing  = "Analyzing"
	ReasonExecuting  = "Executing"
	// ReasonWorkflowWaiting says that the workflow waits for people, a policy hold or the end of a suspension.
	ReasonWorkflowWaiting = "WorkflowWaiting"
	// ReasonProcessed and ReasonDegraded say that the target was examined, wholly or in part.
	ReasonProcessed = "Processed"
	ReasonDegraded  = "Degraded"
	// ReasonAnalyzed says that a cause was found.
	ReasonAnalyzed = "Analyzed"

	// The reasons of a completed request.
	ReasonRemediated       = "Remediated"
	ReasonUnverified       = "Unverified"
	ReasonPartialSuccess   = "PartialSuccess"
	ReasonDryRun           = "DryRun"
	ReasonNoActionRequired = "NoActionRequired"
	ReasonDuplicate        = "Duplicate"

	// The reasons of a failed request.
	ReasonProcessingFailed = "ProcessingFailed"
	ReasonAnalysisFailed   = "AnalysisFailed"
	ReasonNoRecommendation = "NoRecommendation"
	ReasonWorkflowFailed   = "WorkflowFailed"
	ReasonChildGone        = "ChildGone"
	ReasonChildForeign     = "ChildForeign"
	ReasonChildRefused     = "ChildRefused"
	ReasonTimedOut         = "TimedOut"

	// The reasons of condition RecoveryViable.
	ReasonAttemptsExhausted       = "AttemptsExhausted"
	ReasonErrorTypeNotRecoverable = "ErrorTypeNotRecoverable"
	ReasonRecoveryNotPerformed    = "RecoveryNotPerformed"
)

// longestEscalation is the bound of status.escalationReason.
const longestEscalation = 1024

// Resources as kubectl knows them.
const (
	resourceRequest  = "remediationrequest"
	resourceWorkflow = "workflowexecution"
)

func resourceOf(kind string) string { return strings.ToLower(kind) }

// look is the command that shows an object of ours in the request's namespace.
func (d *decider) look(resource, name string) string {
	return "kubectl -n " + d.request.Namespace + " describe " + resource + " " + name
}
