package remediation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

// maxWhy bounds the last column, so that a line stays one; the whole text is shown by wide and by tree.
const maxWhy = 100

// row is what is shown of a request, or of a workflow that a person started.
type row struct {
	object                                client.Object
	phase, outcome, target, workflow, why string
	waiting, over                         bool
	since                                 time.Time
	steps, requester                      string
}

// rowsOf are the rows of a list: what still runs first, then by the time of the last change, the newest first. A workflow of a request
// in the list is told by its request, which says why it waits.
func rowsOf(objects []client.Object) []row {
	workflows := map[types.UID][]*workflowexecutionv1.WorkflowExecution{}
	requests := map[types.UID]bool{}
	for _, object := range objects {
		switch o := object.(type) {
		case *remediationv1.RemediationRequest:
			requests[o.UID] = true
		case *workflowexecutionv1.WorkflowExecution:
			if ref := o.Spec.RemediationRequestRef; ref != nil {
				workflows[ref.UID] = append(workflows[ref.UID], o)
			}
		}
	}
	var rows []row
	for _, object := range objects {
		switch o := object.(type) {
		case *remediationv1.RemediationRequest:
			rows = append(rows, requestRow(o, workflows[o.UID]))
		case *workflowexecutionv1.WorkflowExecution:
			if ref := o.Spec.RemediationRequestRef; ref == nil || !requests[ref.UID] {
				rows = append(rows, workflowRow(o))
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(compareBool(a.over, b.over), b.since.Compare(a.since),
			cmp.Compare(a.object.GetNamespace(), b.object.GetNamespace()), cmp.Compare(a.object.GetName(), b.object.GetName()))
	})
	return rows
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

func requestRow(r *remediationv1.RemediationRequest, workflows []*workflowexecutionv1.WorkflowExecution) row {
	found := row{
		object: r, phase: string(r.Status.OverallPhase), outcome: string(r.Status.Outcome), target: r.Spec.Target.String(),
		why: message(r.Status.Conditions, shared.ConditionReady), over: r.Status.OverallPhase.Terminal(), since: requestSince(r),
		requester: person(r.Spec.RequestedBy),
	}
	if current := currentOf(r, workflows); current != nil {
		found.workflow, found.steps = definitionName(current), progress(current)
		// The workflow knows more exactly what is going on than the request, which sums up.
		if text := message(current.Status.Conditions, shared.ConditionReady); r.Status.OverallPhase == remediationv1.PhaseExecuting && text != "" {
			found.why = text
		}
		found.waiting = !found.over && waits(current.Status.Conditions) != ""
	}
	return found
}

func currentOf(r *remediationv1.RemediationRequest, workflows []*workflowexecutionv1.WorkflowExecution) *workflowexecutionv1.WorkflowExecution {
	name := r.Status.CurrentWorkflowExecutionRef
	if name == nil && len(r.Status.WorkflowExecutionRefs) > 0 {
		name = &r.Status.WorkflowExecutionRefs[len(r.Status.WorkflowExecutionRefs)-1].Name
	}
	for _, w := range workflows {
		if name != nil && w.Name == *name {
			return w
		}
	}
	return nil
}

func workflowRow(w *workflowexecutionv1.WorkflowExecution) row {
	return row{
		object: w, phase: string(w.Status.Phase), outcome: string(w.Status.Outcome), target: targetsText(w), workflow: definitionName(w),
		why: message(w.Status.Conditions, shared.ConditionReady), over: w.Status.Phase.Terminal(), since: phaseSince(w), steps: progress(w),
		waiting: waits(w.Status.Conditions) != "", requester: person(w.Spec.RequestedBy),
	}
}

func progress(w *workflowexecutionv1.WorkflowExecution) string {
	return fmt.Sprintf("%d/%d", w.Status.CompletedSteps, max(w.Status.TotalSteps, int32(len(steps(w))))) //nolint:gosec // at most 100
}

// tableOf shows rows. Wide says who asked, and everything about why.
func tableOf(rows []row, namespaces, wide bool, now time.Time) terminal.Table {
	table := terminal.Table{Header: []string{"NAME", "PHASE", "OUTCOME", "TARGET", "STEPS", "SINCE"}}
	if namespaces {
		table.Header = append([]string{"NAMESPACE"}, table.Header...)
	}
	if wide {
		table.Header = append(table.Header, "WORKFLOW", "REQUESTED BY")
	}
	table.Header = append(table.Header, "WHY")
	for _, r := range rows {
		phase, tone := phaseText(r.phase), phaseTone(r.phase)
		if r.waiting {
			phase, tone = phase+" (waits)", terminal.Waiting
		}
		cells := []terminal.Cell{
			{Text: short(r.object), Tone: terminal.Strong},
			{Text: phase, Tone: tone},
			{Text: r.outcome, Tone: tone},
			terminal.Text(r.target),
			terminal.Text(r.steps), terminal.Text(duration.HumanDuration(max(0, now.Sub(r.since)))),
		}
		if namespaces {
			cells = append([]terminal.Cell{terminal.Text(r.object.GetNamespace())}, cells...)
		}
		why := strings.Join(strings.Fields(r.why), " ")
		if wide {
			cells = append(cells, terminal.Text(r.workflow), terminal.Text(r.requester))
		} else {
			why = cut(why, maxWhy)
		}
		table.Rows = append(table.Rows, append(cells, terminal.Text(why)))
	}
	return table
}

// cut bounds a text in characters.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return strings.TrimRight(string(runes[:most-1]), " ") + "…"
	}
	return text
}
