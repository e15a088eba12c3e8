// Package workflowexecution is the controller that plans, checks, runs and watches the steps of one workflow. It reports how
// the workflow ended in the workflow's own status and never starts a recovery: that is the orchestrator's.
package workflowexecution
