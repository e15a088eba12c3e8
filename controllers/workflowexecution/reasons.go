package workflowexecution

// Reasons of the conditions of a WorkflowExecution.
const (
	ReasonPlanned         = "Planned"
	ReasonValidating      = "Validating"
	ReasonAllowed         = "Allowed"
	ReasonStepNotPrepared = "StepNotPrepared"
	ReasonPolicyDenied    = "PolicyDenied"
	// ReasonPermissionDenied is that of Validated=False when somebody who has a part in the workflow lacks a right for it.
	ReasonPermissionDenied = "PermissionDenied"
	ReasonDryRun           = "DryRun"
	// ReasonNothingToUndo says that what a workflow was to undo is undone already.
	ReasonNothingToUndo = "NothingToUndo"
	// ReasonPolicyHold, ReasonSuspended and ReasonResumed are those of Suspended.
	ReasonPolicyHold = "PolicyHold"
	ReasonSuspended  = "Suspended"
	ReasonResumed    = "Resumed"
	// ReasonAwaitingApproval and the six after it are those of Approved.
	ReasonAwaitingApproval = "AwaitingApproval"
	ReasonApproved         = "Approved"
	ReasonApprovalRejected = "Rejected"
	ReasonApprovalExpired  = "Expired"
	ReasonApprovalVoid     = "Void"
	ReasonNotRequired      = "NotRequired"
	// ReasonNotApprovable says that nobody could be shown what they approve.
	ReasonNotApprovable = "NotApprovable"
	// ReasonApprovalRequired is that of Validated=False while people have not approved what the gate wants approved.
	ReasonApprovalRequired = "ApprovalRequired"
	// ReasonLocked and the three after it are those of TargetsLocked.
	ReasonLocked         = "Locked"
	ReasonLockedByOther  = "LockedByOther"
	ReasonTargetsMoved   = "TargetsMoved"
	ReasonReleased       = "Released"
	ReasonExecuting      = "Executing"
	ReasonStepFailed     = "StepFailed"
	ReasonExecuted       = "Executed"
	ReasonMonitoring     = "Monitoring"
	ReasonNotHealthy     = "NotHealthy"
	ReasonStabilizing    = "Stabilizing"
	ReasonHealthy        = "Healthy"
	ReasonIneffective    = "Ineffective"
	ReasonUnverified     = "Unverified"
	ReasonSucceeded      = "Succeeded"
	ReasonPartialSuccess = "PartialSuccess"
	ReasonFailed         = "Failed"
	// ReasonRollingBack and the three after it are those of RolledBack.
	ReasonRollingBack         = "RollingBack"
	ReasonRolledBack          = "RolledBack"
	ReasonPartiallyRolledBack = "PartiallyRolledBack"
	ReasonRollbackFailed      = "RollbackFailed"
	// ReasonNotPerformed is that of RolledBack=False: what the steps changed stays as it is.
	ReasonNotPerformed = "NotPerformed"
)
