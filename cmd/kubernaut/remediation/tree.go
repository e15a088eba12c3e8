package remediation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

// node is one member of a tree: a line with what is at a glance, lines that explain it, and what is below.
type node struct {
	head     []terminal.Cell
	notes    []terminal.Cell
	children []node
}

func (n *node) note(tone terminal.Tone, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for line := range strings.Lines(text) {
		n.notes = append(n.notes, terminal.Cell{Text: strings.TrimRight(line, "\n"), Tone: tone})
	}
}

// lines draws a tree.
func (n *node) lines(paint terminal.Paint) []string {
	var head []string
	for _, cell := range n.head {
		if cell.Text != "" {
			head = append(head, paint.Tone(cell.Tone, cell.Text))
		}
	}
	drawn := []string{strings.Join(head, "  ")}
	margin := "   "
	if len(n.children) > 0 {
		margin = "│  "
	}
	for _, note := range n.notes {
		drawn = append(drawn, margin+paint.Tone(note.Tone, note.Text))
	}
	for i := range n.children {
		branch, below := "├─ ", "│  "
		if i == len(n.children)-1 {
			branch, below = "└─ ", "   "
		}
		for j, line := range n.children[i].lines(paint) {
			if j == 0 {
				drawn = append(drawn, branch+line)
			} else {
				drawn = append(drawn, below+line)
			}
		}
	}
	return drawn
}

// painter of a tree: what is shown depends on the time and on how much is wanted.
type drawing struct {
	*family

	now  time.Time
	wide bool
}

// treeOf is a family as a tree.
func treeOf(f *family, wide bool, now time.Time) node {
	d := drawing{family: f, now: now, wide: wide}
	var top node
	if f.request != nil {
		top = d.requestNode()
	} else {
		top = d.workflowNode(&f.workflows[0])
	}
	for _, text := range f.unread {
		top.note(terminal.Waiting, "%s", text)
	}
	return top
}

func (d drawing) requestNode() node {
	r := d.request
	phase := string(r.Status.OverallPhase)
	n := node{head: []terminal.Cell{
		{Text: short(r), Tone: terminal.Strong},
		{Text: phaseText(phase), Tone: phaseTone(phase)},
		{Text: string(r.Status.Outcome), Tone: phaseTone(phase)},
		{Text: took(r.Status.StartTime, r.Status.CompletionTime, d.now), Tone: terminal.Faint},
	}}
	n.note(terminal.Plain, "%s", askedText(r))
	// The reason of an escalation says the message of the condition too.
	if why := message(r.Status.Conditions, shared.ConditionReady); why != "" && !r.Status.EscalatedToManualReview {
		n.note(phaseTone(phase), "%s", why)
	}
	if r.Status.DuplicateOf != "" {
		n.note(terminal.Plain, "duplicate of rr/%s", r.Status.DuplicateOf)
	}
	if r.Status.EscalatedToManualReview {
		n.note(terminal.Bad, "a person must go on: %s", r.Status.EscalationReason)
	}
	attempts := d.attempts()
	if len(attempts) == 1 {
		n.children = attempts[0]
		return n
	}
	for i, members := range attempts {
		attempt := node{head: []terminal.Cell{{Text: "first attempt", Tone: terminal.Faint}}, children: members}
		if i > 0 {
			attempt.head[0].Text = fmt.Sprintf("recovery %d", i)
		}
		n.children = append(n.children, attempt)
	}
	return n
}

func askedText(r *remediationv1.RemediationRequest) string {
	signal := r.Spec.SignalContext
	text := fmt.Sprintf("repair %s: signal %s", r.Spec.Target, signal.Name)
	if signal.Severity != "" {
		text += fmt.Sprintf(" (%s)", signal.Severity)
	}
	if signal.Source != "" {
		text += " from " + signal.Source
	}
	text += ", asked for by " + person(r.Spec.RequestedBy)
	if r.Spec.Mode == shared.ModeDryRun {
		text += ", as a dry run"
	}
	return text
}

// attempts are the members of a request by attempt, the initial one first.
func (d drawing) attempts() [][]node {
	var attempts [][]node
	add := func(attempt int32, n node) {
		for int(attempt) >= len(attempts) {
			attempts = append(attempts, nil)
		}
		attempts[attempt] = append(attempts[attempt], n)
	}
	for i := range d.processings {
		add(d.processings[i].Spec.RecoveryAttemptNumber, d.processingNode(&d.processings[i]))
	}
	for i := range d.analyses {
		add(d.analyses[i].Spec.RecoveryAttemptNumber, d.analysisNode(&d.analyses[i]))
	}
	for i := range d.workflows {
		add(d.attemptOf(&d.workflows[i]), d.workflowNode(&d.workflows[i]))
	}
	if attempts == nil {
		return [][]node{nil}
	}
	return attempts
}

// attemptOf is the recovery that a workflow belongs to; its name derives from it.
func (f *family) attemptOf(w *workflowexecutionv1.WorkflowExecution) int32 {
	for _, ref := range f.request.Status.WorkflowExecutionRefs {
		if ref.Name == w.Name && ref.AttemptNumber > 0 {
			return ref.AttemptNumber - 1
		}
	}
	return f.request.Status.RecoveryAttempts
}

func (d drawing) processingNode(p *remediationprocessingv1.RemediationProcessing) node {
	phase := string(p.Status.Phase)
	n := node{head: []terminal.Cell{
		{Text: "rp/" + p.Name, Tone: terminal.Strong},
		{Text: phaseText(phase), Tone: phaseTone(phase)},
		{Text: took(p.Status.StartTime, p.Status.CompletionTime, d.now), Tone: terminal.Faint},
	}}
	if text := foundText(p); text != "" {
		n.note(terminal.Plain, "%s", text)
	}
	for _, reason := range p.Status.DegradedReasons {
		n.note(terminal.Waiting, "not read: %s", reason)
	}
	if p.Status.Phase == remediationprocessingv1.PhaseFailed {
		n.note(terminal.Bad, "%s", message(p.Status.Conditions, shared.ConditionReady))
	}
	return n
}

// foundText is what an examination found.
func foundText(p *remediationprocessingv1.RemediationProcessing) string {
	var found []string
	if class := p.Status.Classification; class.Environment != "" {
		found = append(found, strings.TrimSpace(class.Environment+" "+class.Priority))
	}
	if health := p.Status.Enrichment.Health; health.Status != "" {
		found = append(found, strings.TrimSuffix(fmt.Sprintf("%s: %s", health.Status, health.Message), ": "))
	}
	return strings.Join(found, "; ")
}

func (d drawing) analysisNode(a *aianalysisv1.AIAnalysis) node {
	phase := string(a.Status.Phase)
	n := node{head: []terminal.Cell{
		{Text: "aia/" + a.Name, Tone: terminal.Strong},
		{Text: phaseText(phase), Tone: phaseTone(phase)},
		{Text: took(a.Status.StartTime, a.Status.CompletionTime, d.now), Tone: terminal.Faint},
	}}
	if a.Status.RootCause != "" {
		n.note(terminal.Plain, "%s", causeText(a))
	}
	if a.Status.Phase == aianalysisv1.PhaseFailed {
		n.note(terminal.Bad, "%s", message(a.Status.Conditions, shared.ConditionReady))
	}
	if d.wide {
		for _, other := range a.Status.Alternatives {
			n.note(terminal.Faint, "not %s: %s", other.Name, other.WhyNot)
		}
	}
	return n
}

// causeText is the cause that was found, and what is recommended.
func causeText(a *aianalysisv1.AIAnalysis) string {
	text := "cause: " + a.Status.RootCause
	if a.Status.ConfidencePercent != nil {
		text += fmt.Sprintf(" (%d %% sure)", *a.Status.ConfidencePercent)
	}
	if recommendation := a.Status.Recommendation; recommendation != nil && recommendation.PlaybookRef != "" {
		text += "; playbook " + recommendation.PlaybookRef
	}
	return text
}

func (d drawing) workflowNode(w *workflowexecutionv1.WorkflowExecution) node {
	phase := string(w.Status.Phase)
	n := node{head: []terminal.Cell{
		{Text: short(w), Tone: terminal.Strong},
		{Text: phaseText(phase), Tone: phaseTone(phase)},
		{Text: string(w.Status.Outcome), Tone: phaseTone(phase)},
		{Text: verdictText(w)},
		{Text: took(&w.CreationTimestamp, w.Status.CompletionTime, d.now), Tone: terminal.Faint},
	}}
	n.note(terminal.Plain, "%s", planText(w))
	if why := message(w.Status.Conditions, shared.ConditionReady); why != "" {
		tone := phaseTone(phase)
		if waits(w.Status.Conditions) != "" {
			tone = terminal.Waiting
		}
		n.note(tone, "%s", why)
	}
	if w.Spec.Cancel != "" {
		n.note(terminal.Waiting, "cancelled by %s", w.Spec.Cancel)
	}
	if text := message(w.Status.Conditions, workflowexecutionv1.ConditionRolledBack); text != "" && w.Status.Phase.Terminal() {
		n.note(phaseTone(phase), "rollback: %s", text)
	}
	for _, approval := range d.approvalsOf(w) {
		n.children = append(n.children, approvalNode(approval))
	}
	for _, index := range stepOrder(w) {
		n.children = append(n.children, d.stepNode(w, index))
	}
	if d.undoing != nil {
		n.children = append(n.children, node{head: []terminal.Cell{
			{Text: "undone by " + short(d.undoing), Tone: terminal.Strong},
			{Text: phaseText(string(d.undoing.Status.Phase)), Tone: phaseTone(string(d.undoing.Status.Phase))},
			{Text: string(d.undoing.Status.Outcome)},
		}})
	}
	return n
}

func verdictText(w *workflowexecutionv1.WorkflowExecution) string {
	if w.Status.Validation == nil || w.Status.Validation.Verdict == "" {
		return ""
	}
	return "gate: " + string(w.Status.Validation.Verdict)
}

// planText is what a workflow is: its steps, in which order, on whose word.
func planText(w *workflowexecutionv1.WorkflowExecution) string {
	text := fmt.Sprintf("%s: %s", definitionName(w), terminal.Count(max(len(steps(w)), int(w.Status.TotalSteps)), "step"))
	if plan := w.Status.Plan; plan != nil && plan.Strategy != "" {
		text += ", " + strings.ToLower(string(plan.Strategy))
		if plan.EstimatedDuration != nil {
			text += fmt.Sprintf(", about %s", plan.EstimatedDuration.Duration)
		}
	}
	if w.Spec.RollbackOf != nil {
		text = "undoes " + targetsText(w)
	}
	if w.Spec.RemediationRequestRef == nil {
		text += ", asked for by " + person(w.Spec.RequestedBy)
	}
	if w.Spec.Mode == shared.ModeDryRun {
		text += ", as a dry run"
	}
	return text
}

// stepOrder are the steps in the order of the plan, or of the definition before there is one.
func stepOrder(w *workflowexecutionv1.WorkflowExecution) []int32 {
	var order []int32
	if w.Status.Plan != nil {
		for _, batch := range w.Status.Plan.Batches {
			order = append(order, batch...)
		}
	}
	for i := range int32(max(len(steps(w)), len(w.Status.Steps))) { //nolint:gosec // at most 100
		if !slices.Contains(order, i) {
			order = append(order, i)
		}
	}
	return order
}

func (d drawing) stepNode(w *workflowexecutionv1.WorkflowExecution, index int32) node {
	status := workflowexecutionv1.StepStatus{Phase: workflowexecutionv1.StepPending}
	if int(index) < len(w.Status.Steps) {
		status = w.Status.Steps[index]
	}
	action, after := status.Action, ""
	if list := steps(w); int(index) < len(list) {
		action = stepText(w, &list[index])
		if depends := list[index].DependsOn; len(depends) > 0 {
			after = "after " + strings.Join(depends, ", ")
		}
	}
	phase := string(status.Phase)
	executions := d.executionsOf(w, index)
	decision := decisionOf(w, index, executions)
	n := node{head: []terminal.Cell{
		{Text: stepName(w, index), Tone: terminal.Strong},
		{Text: action},
		{Text: after, Tone: terminal.Faint},
		{Text: phaseText(phase), Tone: phaseTone(phase)},
		{Text: attemptsText(status)},
		{Text: string(decision.Verdict), Tone: terminal.VerdictTone(decision.Verdict)},
		{Text: took(status.StartTime, status.CompletionTime, d.now), Tone: terminal.Faint},
	}}
	if status.Message != "" {
		n.note(phaseTone(phase), "%s", strings.TrimPrefix(fmt.Sprintf("%s: %s", status.ErrorType, status.Message), ": "))
	}
	for _, rule := range decision.Rules {
		n.note(ruleTone(rule.Effect), "%s", ruleText(rule))
	}
	for _, change := range changesOf(w, index, executions) {
		n.note(terminal.Faint, "%s", changeText(change))
	}
	// One attempt that went well says nothing that its step does not say.
	if d.wide || len(executions) > 1 || slices.ContainsFunc(executions, failedOrUndoing) {
		for _, execution := range executions {
			n.children = append(n.children, d.executionNode(execution))
		}
	}
	return n
}

func failedOrUndoing(e *kubernetesexecutionv1.KubernetesExecution) bool {
	return e.Status.Phase == kubernetesexecutionv1.PhaseFailed || e.Spec.Purpose == kubernetesexecutionv1.PurposeRollBack
}

func attemptsText(status workflowexecutionv1.StepStatus) string {
	if status.Attempts > 1 {
		return fmt.Sprintf("attempt %d", status.Attempts)
	}
	return ""
}

// decisionOf is the last word of the gate on a step: just before it ran, or, before that, on the whole workflow.
func decisionOf(w *workflowexecutionv1.WorkflowExecution, index int32, executions []*kubernetesexecutionv1.KubernetesExecution) shared.Decision {
	for _, execution := range slices.Backward(executions) {
		if execution.Spec.Purpose == kubernetesexecutionv1.PurposeExecute && execution.Status.Decision != nil {
			return *execution.Status.Decision
		}
	}
	if w.Status.Validation != nil {
		for _, decision := range w.Status.Validation.Decisions {
			if decision.Index == index {
				return shared.Decision{ID: decision.DecisionID, Verdict: decision.Verdict, Rules: decision.Rules}
			}
		}
	}
	return shared.Decision{}
}

// changesOf are the fields that a step changed, or would change as the dry run said.
func changesOf(w *workflowexecutionv1.WorkflowExecution, index int32, executions []*kubernetesexecutionv1.KubernetesExecution) []shared.FieldChange {
	for _, execution := range slices.Backward(executions) {
		if execution.Spec.Purpose == kubernetesexecutionv1.PurposeExecute && len(execution.Status.DryRun) > 0 {
			return execution.Status.DryRun
		}
	}
	var changes []shared.FieldChange
	if w.Status.Validation != nil {
		for _, change := range w.Status.Validation.DryRun {
			if change.Index == index {
				changes = append(changes, change.FieldChange)
			}
		}
	}
	return changes
}

func (d drawing) executionNode(e *kubernetesexecutionv1.KubernetesExecution) node {
	phase := string(e.Status.Phase)
	purpose := ""
	if e.Spec.Purpose == kubernetesexecutionv1.PurposeRollBack {
		purpose = "undoes the step"
	}
	verdict := shared.Verdict("")
	if e.Status.Decision != nil {
		verdict = e.Status.Decision.Verdict
	}
	n := node{head: []terminal.Cell{
		{Text: "ke/" + e.Name},
		{Text: purpose},
		{Text: phaseText(phase), Tone: phaseTone(phase)},
		{Text: string(e.Status.ErrorType), Tone: terminal.Bad},
		{Text: string(verdict), Tone: terminal.VerdictTone(verdict)},
		{Text: took(&e.CreationTimestamp, e.Status.CompletedAt, d.now), Tone: terminal.Faint},
	}}
	if e.Status.ErrorMessage != "" {
		n.note(terminal.Bad, "%s", e.Status.ErrorMessage)
	}
	if d.wide && e.Status.Decision != nil && e.Status.Decision.ID != "" {
		n.note(terminal.Faint, "decision %s", e.Status.Decision.ID)
	}
	return n
}

func approvalNode(a *safetyv1alpha1.ApprovalRequest) node {
	phase := string(cmp.Or(a.Status.Phase, safetyv1alpha1.PhasePending))
	n := node{head: []terminal.Cell{
		{Text: "apr/" + a.Name, Tone: terminal.Strong},
		{Text: phase, Tone: approvalTone(phase)},
		{Text: fmt.Sprintf("%d of %d", approved(a), a.Spec.RequiredApprovals)},
	}}
	for _, reason := range a.Spec.Reasons {
		n.note(terminal.Plain, "%s", strings.TrimSuffix(fmt.Sprintf("%s/%s: %s", reason.Policy, reason.Code, reason.Message), ": "))
	}
	for _, decision := range a.Spec.Decisions {
		n.note(terminal.Plain, "%s by %s: %s", decision.Decision, decision.By, decision.Reason)
	}
	if phase == string(safetyv1alpha1.PhasePending) {
		n.note(terminal.Waiting, "kubernaut approve %s --reason …", a.Name)
	}
	return n
}

func approvalTone(phase string) terminal.Tone {
	if phase == string(safetyv1alpha1.PhasePending) {
		return terminal.Waiting
	}
	return phaseTone(phase)
}

func approved(a *safetyv1alpha1.ApprovalRequest) int {
	count := 0
	for _, decision := range a.Spec.Decisions {
		if decision.Decision == safetyv1alpha1.DecisionApproved {
			count++
		}
	}
	return count
}
