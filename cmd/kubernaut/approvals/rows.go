package approvals

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

// waits says whether a request takes decisions.
func waits(request *safetyv1alpha1.ApprovalRequest) bool { return !request.Status.Phase.Decided() }

func byExpiry(a, b safetyv1alpha1.ApprovalRequest) int {
	return cmp.Or(a.Spec.ExpiresAt.Compare(b.Spec.ExpiresAt.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// approvers are the people who have approved, each once.
func approvers(request *safetyv1alpha1.ApprovalRequest) []string {
	var names []string
	for _, decision := range request.Spec.Decisions {
		if decision.Decision == safetyv1alpha1.DecisionApproved && !slices.Contains(names, decision.By) {
			names = append(names, decision.By)
		}
	}
	return names
}

// headline is one line about a request.
func headline(request *safetyv1alpha1.ApprovalRequest) string {
	return fmt.Sprintf("%s asks, %s", request.Spec.RequestedBy.Username, terminal.Count(len(request.Spec.Summary), "change"))
}

// clock is a time for people: of today by the clock.
func clock(t time.Time) string { return t.Local().Format("15:04 on 2 Jan") }

// until is when a request expires, or what became of it.
func until(request *safetyv1alpha1.ApprovalRequest, now time.Time) terminal.Cell {
	phase := request.Status.Phase
	switch left := request.Spec.ExpiresAt.Sub(now); {
	case phase == safetyv1alpha1.PhaseApproved:
		return terminal.Cell{Text: string(phase), Tone: terminal.Good}
	case phase.Decided():
		return terminal.Cell{Text: string(phase), Tone: terminal.Bad}
	case left <= 0:
		return terminal.Cell{Text: "expires", Tone: terminal.Bad}
	default:
		return terminal.Cell{Text: "in " + duration.HumanDuration(left), Tone: terminal.Waiting}
	}
}

// change is what would happen to one field. A step that changes no field has none, and a rollbackAction says what it is.
func change(entry safetyv1alpha1.SummaryEntry) string {
	switch {
	case entry.Field == "" && entry.After != "":
		return strings.Trim(oneLine(entry.After), `"`)
	case entry.Field == "":
		return "no field"
	}
	return fmt.Sprintf("%s: %s → %s", entry.Field, cmp.Or(oneLine(entry.Before), "(unset)"), cmp.Or(oneLine(entry.After), "(removed)"))
}

// oneLine keeps what somebody wrote into an object from breaking the table or the terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

func target(entry safetyv1alpha1.SummaryEntry) string {
	if entry.Target == nil {
		return "none"
	}
	return entry.Target.String()
}

func reasons(request *safetyv1alpha1.ApprovalRequest) string {
	if len(request.Spec.Reasons) == 0 {
		return "the strategy asks"
	}
	texts := make([]string, len(request.Spec.Reasons))
	for i, reason := range request.Spec.Reasons {
		texts[i] = reason.Policy
		if reason.Code != "" {
			texts[i] += "/" + reason.Code
		}
		if reason.Message != "" {
			texts[i] += ": " + oneLine(reason.Message)
		}
	}
	return strings.Join(texts, "; ")
}

func decisions(request *safetyv1alpha1.ApprovalRequest) string {
	texts := make([]string, len(request.Spec.Decisions))
	for i, decision := range request.Spec.Decisions {
		texts[i] = fmt.Sprintf("%s by %s: %s", decision.Decision, decision.By, oneLine(decision.Reason))
	}
	return strings.Join(texts, "; ")
}

// tableOf has a line for each field that would change; what is said of the request stands in its first.
func tableOf(requests []safetyv1alpha1.ApprovalRequest, namespaces, wide bool, now time.Time) terminal.Table {
	table := terminal.Table{Header: []string{"NAME", "ASKED BY", "APPROVALS", "EXPIRES", "STEP", "TARGET", "CHANGE"}}
	if namespaces {
		table.Header = slices.Insert(table.Header, 0, "NAMESPACE")
	}
	if wide {
		table.Header = append(table.Header, "WORKFLOW", "REASONS", "DECISIONS")
	}
	for i := range requests {
		request := &requests[i]
		entries := request.Spec.Summary
		if len(entries) == 0 {
			entries = []safetyv1alpha1.SummaryEntry{{}}
		}
		for line, entry := range entries {
			var row []terminal.Cell
			if namespaces {
				row = append(row, terminal.Text(request.Namespace))
			}
			row = append(
				row,
				terminal.Cell{Text: request.Name, Tone: terminal.Strong}, terminal.Text(request.Spec.RequestedBy.Username),
				terminal.Text(fmt.Sprintf("%d/%d", len(approvers(request)), request.Spec.RequiredApprovals)), until(request, now),
			)
			if line > 0 {
				clear(row)
			}
			row = append(row, terminal.Text(entry.Step), terminal.Text(target(entry)), terminal.Text(change(entry)))
			if wide {
				row = append(row, terminal.Text(first(line, request.Spec.WorkflowExecutionRef.Name)), terminal.Text(first(line, reasons(request))), terminal.Text(first(line, decisions(request))))
			}
			table.Rows = append(table.Rows, row)
		}
	}
	return table
}

func first(line int, text string) string {
	if line > 0 {
		return ""
	}
	return text
}
