package remediation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
)

// maxValue is how much of a field's value is shown, in characters.
const maxValue = 120

// phaseText is a phase for people; an object that no controller has seen yet has none.
func phaseText(phase string) string {
	if phase == "" {
		return "not seen yet"
	}
	return phase
}

// phaseTone is how a phase is meant. Those of all kinds are written alike.
func phaseTone(phase string) terminal.Tone {
	switch phase {
	case "completed", "approved":
		return terminal.Good
	case "failed", "rollback_failed", "rejected", "expired":
		return terminal.Bad
	case "rolling_back", "rolled_back", "skipped", "recovering":
		return terminal.Waiting
	default:
		return terminal.Plain
	}
}

// message is what a condition says; empty without one.
func message(conditions []metav1.Condition, kind string) string {
	if found := meta.FindStatusCondition(conditions, kind); found != nil {
		return found.Message
	}
	return ""
}

// waits is what a workflow waits for; empty if for nothing.
func waits(conditions []metav1.Condition) string {
	if found := meta.FindStatusCondition(conditions, workflowexecutionv1.ConditionSuspended); found != nil && found.Status == metav1.ConditionTrue {
		return found.Message
	}
	return ""
}

// actionText is an action and what it changes.
func actionText(action *shared.Action) string {
	text := string(action.Type)
	if target := targetOf(action); target != nil {
		text += " of " + target.String()
	}
	if action.NotifyOnly != nil {
		text += fmt.Sprintf(" %q", action.NotifyOnly.Message)
	}
	return text
}

// stepText is what a step does; one of a workflow that undoes another undoes an action.
func stepText(w *workflowexecutionv1.WorkflowExecution, step *shared.Step) string {
	if w.Spec.RollbackOf != nil {
		return "undoes " + actionText(&step.Action)
	}
	return actionText(&step.Action)
}

func targetOf(action *shared.Action) *shared.Target {
	known, is := actions.Get(action.Type)
	if !is {
		return nil
	}
	return known.Target(action)
}

// targetsText names what the steps of a workflow change, each once.
func targetsText(w *workflowexecutionv1.WorkflowExecution) string {
	if w.Spec.RollbackOf != nil {
		return "what " + reference{kind: workflow, name: w.Spec.RollbackOf.Name}.String() + " changed"
	}
	var names []string
	for i := range steps(w) {
		if target := targetOf(&steps(w)[i].Action); target != nil && !slices.Contains(names, target.String()) {
			names = append(names, target.String())
		}
	}
	const shown = 2
	if len(names) > shown {
		return fmt.Sprintf("%s, and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
	}
	return strings.Join(names, ", ")
}

// steps are what a workflow does; of one that undoes another they are known once it is planned.
func steps(w *workflowexecutionv1.WorkflowExecution) []shared.Step {
	definition := w.Definition()
	if definition == nil {
		return nil
	}
	return definition.Steps
}

func stepName(w *workflowexecutionv1.WorkflowExecution, index int32) string {
	if int(index) < len(w.Status.Steps) && w.Status.Steps[index].Name != "" {
		return w.Status.Steps[index].Name
	}
	if list := steps(w); int(index) < len(list) {
		return list[index].Name
	}
	return fmt.Sprint(index)
}

func definitionName(w *workflowexecutionv1.WorkflowExecution) string {
	if w.Spec.WorkflowDefinition == nil {
		return "rollback"
	}
	return w.Spec.WorkflowDefinition.Name
}

// ruleText is a rule that fired.
func ruleText(rule shared.FiredRule) string {
	name := rule.Policy
	if rule.Code != "" {
		name += "/" + rule.Code
	}
	text := fmt.Sprintf("%s by %s", rule.Effect, name)
	if rule.Message != "" {
		text += ": " + rule.Message
	}
	return text
}

// changeText is a field with its value before and after.
func changeText(change shared.FieldChange) string {
	return fmt.Sprintf("%s: %s → %s", change.Path, valueText(change.Before), valueText(change.After))
}

func valueText(value *apiextensionsv1.JSON) string {
	if value == nil || len(value.Raw) == 0 {
		return "(not set)"
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, value.Raw); err != nil {
		return "(unreadable)"
	}
	if runes := []rune(compact.String()); len(runes) > maxValue {
		return string(runes[:maxValue-1]) + "…"
	}
	return compact.String()
}

// took is how long something took, or has taken until now; empty if it has not begun.
func took(start, end *metav1.Time, now time.Time) string {
	switch {
	case start == nil:
		return ""
	case end == nil:
		return duration.HumanDuration(max(0, now.Sub(start.Time)))
	default:
		return duration.HumanDuration(max(0, end.Sub(start.Time)))
	}
}

// phaseSince is since when a workflow has been in its phase.
func phaseSince(w *workflowexecutionv1.WorkflowExecution) time.Time {
	started := map[workflowexecutionv1.WorkflowPhase]*metav1.Time{
		workflowexecutionv1.PhasePlanning: w.Status.PlanningStartTime, workflowexecutionv1.PhaseValidating: w.Status.ValidationStartTime,
		workflowexecutionv1.PhaseExecuting: w.Status.ExecutionStartTime, workflowexecutionv1.PhaseMonitoring: w.Status.MonitoringStartTime,
		workflowexecutionv1.PhaseRollingBack: w.Status.RollbackStartTime, workflowexecutionv1.PhaseCompleted: w.Status.CompletionTime,
		workflowexecutionv1.PhaseFailed: w.Status.CompletionTime,
	}[w.Status.Phase]
	if started == nil {
		return w.CreationTimestamp.Time
	}
	return started.Time
}

// requestSince is since when a request has been in its phase.
func requestSince(r *remediationv1.RemediationRequest) time.Time {
	switch {
	case r.Status.OverallPhase.Terminal() && r.Status.CompletionTime != nil:
		return r.Status.CompletionTime.Time
	case r.Status.PhaseStartTime != nil:
		return r.Status.PhaseStartTime.Time
	default:
		return r.CreationTimestamp.Time
	}
}

// person is who asked for something, without what every account's name begins with.
func person(requester shared.Requester) string {
	name := strings.TrimPrefix(requester.Username, "system:serviceaccount:")
	if name == "" {
		return "someone unknown"
	}
	return name
}

func ruleTone(effect shared.RuleEffect) terminal.Tone {
	if effect == shared.EffectDeny {
		return terminal.Bad
	}
	return terminal.Waiting
}
