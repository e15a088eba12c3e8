// Package approvalrequest is the controller that says where an ApprovalRequest stands: pending, approved, rejected, expired or void.
// It acts as the workflowexecution-controller, which alone creates requests and writes their status. What a request covers is
// decided here too, for the workflow that waits for it and for the execution that rests on it.
package approvalrequest
