package main

import (
	"fmt"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
)

func (t *telling) execution(e *kubernetesexecutionv1.KubernetesExecution) {
	if d := e.Status.Decision; d != nil {
		n := gateNote(e.Spec.StepName, *d)
		n.text = "asked again just before: " + n.text
		t.once("decision "+string(d.Verdict)+d.InputDigest, n)
	}
	if e.Status.StartedAt != nil {
		t.once("started", note{actor: actorExecution, text: fmt.Sprintf("%s %s as %s", e.Name, purposeText(e), account(e))})
	}
	switch e.Status.Phase {
	case kubernetesexecutionv1.PhaseCompleted:
		t.once("end", executionResult(e))
	case kubernetesexecutionv1.PhaseFailed:
		t.once("end", note{
			actor: actorExecution, tone: bad, text: fmt.Sprintf("%s failed: %s", e.Name, e.Status.ErrorType), detail: []string{e.Status.ErrorMessage},
		})
	case kubernetesexecutionv1.PhaseValidating, kubernetesexecutionv1.PhaseExecuting:
	}
	t.stalled(actorExecution, e.Status.Conditions, shared.ConditionStalled)
}

func purposeText(e *kubernetesexecutionv1.KubernetesExecution) string {
	if e.Spec.Purpose == kubernetesexecutionv1.PurposeRollBack {
		return "undoes"
	}
	return "acts"
}

// account is the identity under which the execution writes.
func account(e *kubernetesexecutionv1.KubernetesExecution) string {
	if e.Spec.Action == nil {
		return "the account of " + e.Spec.RestoreFrom
	}
	return identity.Action(e.Spec.Action.Type)
}

func executionResult(e *kubernetesexecutionv1.KubernetesExecution) note {
	n := note{actor: actorExecution, tone: good, text: e.Name + " completed"}
	switch changed := e.Status.Changed; {
	case changed == nil:
		n.text += "; whether it changed anything is not known"
	case *changed:
		n.text += fmt.Sprintf("; changed: yes, the target has generation %d now", e.Status.ResultingGeneration)
	default:
		n.text += "; changed: no"
	}
	if inverse := e.Status.Inverse; inverse.Restores() {
		n.detail = []string{fmt.Sprintf("kept for undoing it: %s as before", count(len(inverse.Fields), "field"))}
	}
	return n
}
