// Package remediationrequest is the orchestrator: it has the target of a request examined, analysed and repaired by children
// that it creates one after the other, and decides what their results mean. It alone knows that there may be another attempt.
package remediationrequest
