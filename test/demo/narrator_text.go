package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"kubernaut.io/kubernaut/api/shared"
)

// maxValue is how much of a field's value is shown.
const maxValue = 160

// gateNote says what the gate decided about a step, and by which rule.
func gateNote(step string, d shared.Decision) note {
	n := note{actor: actorGate, tone: strong, text: fmt.Sprintf("step %s: %s", step, d.Verdict)}
	switch d.Verdict {
	case shared.VerdictAllow:
		n.tone = good
		n.text += "; no rule objected"
	case shared.VerdictDeny:
		n.tone = bad
	case shared.VerdictHold, shared.VerdictRequireApproval:
	}
	n.text += fmt.Sprintf(" (policy set %s)", short(d.PolicySetRevision))
	for _, rule := range d.Rules {
		n.detail = append(n.detail, ruleText(rule))
	}
	return n
}

func ruleText(rule shared.FiredRule) string {
	text := fmt.Sprintf("%s by %s", rule.Effect, rule.Policy)
	if rule.Code != "" {
		text += "/" + rule.Code
	}
	if rule.Message != "" {
		text += ": " + rule.Message
	}
	return text
}

// actionText is an action as a person would say it.
func actionText(a *shared.Action) string {
	text := string(a.Type)
	switch {
	case a.RollbackDeployment != nil:
		text += fmt.Sprintf(" %s/%s to %s", a.RollbackDeployment.Namespace, a.RollbackDeployment.Name, revisionText(a.RollbackDeployment.Revision))
	case a.ScaleDeployment != nil:
		text += fmt.Sprintf(" %s/%s", a.ScaleDeployment.Namespace, a.ScaleDeployment.Name)
		if a.ScaleDeployment.Replicas != nil {
			text += " to " + count(int(*a.ScaleDeployment.Replicas), "replica")
		}
	case a.RestartDeployment != nil:
		text += fmt.Sprintf(" %s/%s", a.RestartDeployment.Namespace, a.RestartDeployment.Name)
	case a.RestartPod != nil:
		text += fmt.Sprintf(" %s/%s", a.RestartPod.Namespace, a.RestartPod.Name)
	case a.IncreaseResources != nil:
		text += fmt.Sprintf(" %s/%s, container %s", a.IncreaseResources.Namespace, a.IncreaseResources.Name, a.IncreaseResources.Container)
	case a.CordonNode != nil:
		text += " " + a.CordonNode.Name
	case a.UncordonNode != nil:
		text += " " + a.UncordonNode.Name
	case a.UpdateImage != nil:
		text += fmt.Sprintf(" %s/%s, container %s, to %s", a.UpdateImage.Namespace, a.UpdateImage.Name, a.UpdateImage.Container, a.UpdateImage.Image)
	case a.NotifyOnly != nil:
		text += fmt.Sprintf(": %q", a.NotifyOnly.Message)
	}
	return text
}

func revisionText(revision *int64) string {
	if revision == nil || *revision == 0 {
		return "the previous revision"
	}
	return fmt.Sprint("revision ", *revision)
}

// changeLines are fields with their values before and after: on one line where they fit.
func changeLines(changes []shared.FieldChange) []string {
	if len(changes) == 0 {
		return nil
	}
	lines := []string{"the server's dry run says it changes:"}
	for _, c := range changes {
		before, after := valueText(c.Before), valueText(c.After)
		line := fmt.Sprintf("  %s: %s → %s", c.Path, before, after)
		if utf8.RuneCountInString(line) <= textWidth-detailInset {
			lines = append(lines, line)
			continue
		}
		lines = append(lines, "  "+c.Path, "    - "+before, "    + "+after)
	}
	return lines
}

func valueText(value *apiextensionsv1.JSON) string {
	if value == nil || len(value.Raw) == 0 {
		return "(not set)"
	}
	var text string
	if err := json.Unmarshal(value.Raw, &text); err != nil {
		var compact bytes.Buffer
		if err := json.Compact(&compact, value.Raw); err != nil {
			return "(unreadable)"
		}
		text = compact.String()
	}
	if runes := []rune(text); len(runes) > maxValue {
		return string(runes[:maxValue-1]) + "…"
	}
	return text
}
