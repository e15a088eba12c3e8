// Package kubernetesexecution carries out one attempt of one step: it validates the step on the target as it is now, has the
// gate judge it, records the intent, makes the effect as the action's own account, and waits until the cluster has taken it up.
//
// What a reconcile does is: gather, decide (pure), record the status once, act; and again for as long as there is something to
// do that needs no waiting. Each further pass rests on the resourceVersion of the status write that has just succeeded.
//
// That an effect happens once rests on three things, whatever crashes and however many managers run:
//
//   - The intent (phase executing, with the changes in status.inverse) is recorded under the optimistic lock of the execution
//     before the effect; nobody acts on an intent that was not recorded, and what is done later is what was recorded.
//   - The effect and its marker, the UID of the execution, are one write, conditional on the UID and resourceVersion of a target
//     that did not have the marker (package effects). Of two writers the API server lets one through.
//   - The result is recorded under the optimistic lock again: who comes late decides anew, on a phase that is final.
package kubernetesexecution
