package remediationrequest

import "strings"

// The reasons of the conditions of a RemediationRequest.
const (
	// ReasonPending says that it is being found out whether the request is a duplicate.
	ReasonPending = "Pending"
	// ReasonProcessing, ReasonAnalyzing and ReasonExecuting say which child works, ReasonRecovering that another attempt has begun.
	ReasonProcessing = "Processing"
	ReasonAnalyzing  = "Analyzing"
	ReasonExecuting  = "Executing"
	ReasonRecovering = "Recovering"
	// ReasonStopping says that the workflow is being stopped and what it did is being undone.
	ReasonStopping = "Stopping"
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
	// ReasonNothingChanged says that the workflow only told people, or looked: they must go on.
	ReasonNothingChanged = "NothingChanged"
	ReasonChildGone      = "ChildGone"
	ReasonChildForeign   = "ChildForeign"
	ReasonChildRefused   = "ChildRefused"
	ReasonTimedOut       = "TimedOut"
	ReasonCancelled      = "Cancelled"

	// The reasons of condition RecoveryViable, beside ReasonTimedOut. The first two say that another attempt is made; of the
	// second, that the system is close to the rate of failures from which on none is made.
	ReasonViable                  = "Viable"
	ReasonViableFailureRateHigh   = "ViableFailureRateHigh"
	ReasonAttemptsExhausted       = "AttemptsExhausted"
	ReasonSameFailure             = "SameFailure"
	ReasonErrorTypeNotRecoverable = "ErrorTypeNotRecoverable"
	ReasonFailureRateTooHigh      = "FailureRateTooHigh"
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
