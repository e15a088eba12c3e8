package main

import (
	"cmp"
	"fmt"
	"strings"

	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
)

// maxListed is how many things of a kind are named; the others are counted.
const maxListed = 3

func (t *telling) processing(p *remediationprocessingv1.RemediationProcessing) {
	switch p.Status.Phase {
	case remediationprocessingv1.PhaseCompleted:
		t.once("facts", note{actor: actorProcessing, text: healthText(p.Spec.Target, p.Status.Enrichment.Health), detail: facts(&p.Status)})
	case remediationprocessingv1.PhaseFailed:
		t.once("failed", note{actor: actorProcessing, tone: bad, text: "failed: " + messageOf(p.Status.Conditions, "no reason given")})
	case remediationprocessingv1.PhasePending, remediationprocessingv1.PhaseEnriching, remediationprocessingv1.PhaseClassifying:
	}
	t.stalled(actorProcessing, p.Status.Conditions, shared.ConditionStalled)
}

func healthText(target shared.Target, h shared.Health) string {
	text := fmt.Sprintf("%s is %s", target, cmp.Or(string(h.Status), string(shared.HealthUnknown)))
	if h.Message != "" {
		text += ": " + h.Message
	}
	return text
}

func facts(status *remediationprocessingv1.RemediationProcessingStatus) []string {
	e := &status.Enrichment
	var lines []string
	if e.Health.DesiredReplicas != nil && e.Health.AvailableReplicas != nil {
		lines = append(lines, fmt.Sprintf("pods: %d wanted, %d available", *e.Health.DesiredReplicas, *e.Health.AvailableReplicas))
	}
	lines = append(lines, troubles(e.Conditions)...)
	lines = append(lines, listed(e.Containers, "container", func(c shared.ContainerProblem) string {
		return fmt.Sprintf("pod %s, container %s: %s (%s)", c.Pod, c.Container, c.Reason, c.Image)
	})...)
	lines = append(lines, surroundings(e)...)
	lines = append(lines, "owner: "+ownerText(e.Owners))
	if failed := e.FailedWorkflow; failed != nil {
		lines = append(lines, fmt.Sprintf("before: %s of playbook %s ended %s, %s of %s", failed.Name, orUnknown(failed.Playbook), failed.Outcome, failed.ErrorType, orUnknown(failed.FailedAction)))
	}
	c := status.Classification
	lines = append(lines, fmt.Sprintf("classified: environment %s, priority %s, business unit %s",
		orUnknown(c.Environment), orUnknown(c.Priority), orUnknown(c.BusinessUnit)))
	for _, reason := range status.DegradedReasons {
		lines = append(lines, "could not be read: "+reason)
	}
	return lines
}

// troubles are the conditions that are not as they should be.
func troubles(conditions []shared.ObservedCondition) []string {
	var lines []string
	for _, c := range conditions {
		if c.Status != "True" {
			lines = append(lines, fmt.Sprintf("condition: %s=%s, %s", c.Type, c.Status, c.Reason))
		}
	}
	return lines
}

// surroundings are what else has a say about the target.
func surroundings(e *shared.Enrichment) []string {
	var lines []string
	if len(e.Events) > 0 {
		lines = append(lines, fmt.Sprintf("%s, the latest: %s", count(len(e.Events), "warning event"), e.Events[0].Reason))
	}
	if e.HPA != nil {
		lines = append(lines, "scaled by HorizontalPodAutoscaler "+e.HPA.Name)
	}
	for _, budget := range e.PDBs {
		lines = append(lines, "protected by PodDisruptionBudget "+budget.Name)
	}
	if e.GitOps != nil {
		lines = append(lines, fmt.Sprintf("managed by %s, %s", e.GitOps.Tool, e.GitOps.Application))
	}
	return lines
}

func ownerText(owners []shared.OwnedObject) string {
	if len(owners) == 0 {
		return "none, it is the root workload"
	}
	names := make([]string, len(owners))
	for i, owner := range owners {
		names[i] = owner.Kind + " " + owner.Name
	}
	return strings.Join(names, " ← ")
}

// listed says each thing, or the first few and how many there are besides.
func listed[T any](things []T, noun string, say func(T) string) []string {
	var lines []string
	for _, thing := range things[:min(maxListed, len(things))] {
		lines = append(lines, say(thing))
	}
	if more := len(things) - maxListed; more > 0 {
		lines = append(lines, "and "+count(more, noun)+" more")
	}
	return lines
}

func orUnknown(text string) string { return cmp.Or(text, "unknown") }
