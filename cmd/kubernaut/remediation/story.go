package remediation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/controllers/aianalysis"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/remediationrequest"
	"kubernaut.io/kubernaut/controllers/workflowexecution"
	"kubernaut.io/kubernaut/policies/gate"
)

// entry is one thing that happened.
type entry struct {
	Time   time.Time `json:"time"`
	Object string    `json:"object"`
	Text   string    `json:"text"`
	Detail []string  `json:"detail,omitempty"`

	tone terminal.Tone
	// key is the same whenever the same thing is told again.
	key string
}

// story tells what happened to a family, in order of time. Times in statuses are of whole seconds, so what happened in one second is
// told in the order in which it must have happened.
type story struct {
	*family

	entries []entry
}

// storyOf tells from statuses, conditions, approvals and events, and from the decisions of a log that are about the family.
func storyOf(f *family, decisions []gate.Record) []entry {
	s := story{family: f}
	if f.request != nil {
		s.tellRequest(decisions)
	} else {
		s.tellWorkflow(&f.workflows[0], decisions)
	}
	slices.SortStableFunc(s.entries, func(a, b entry) int { return a.Time.Truncate(time.Second).Compare(b.Time.Truncate(time.Second)) })
	return s.entries
}

// tell adds an entry; without a time it has not happened.
func (s *story) tell(at *metav1.Time, object, key string, tone terminal.Tone, text string, detail ...string) {
	if at == nil || at.IsZero() {
		return
	}
	detail = slices.DeleteFunc(detail, func(line string) bool { return line == "" })
	s.entries = append(s.entries, entry{Time: at.Time, Object: object, Text: text, Detail: detail, tone: tone, key: object + " " + key})
}

func (s *story) tellRequest(decisions []gate.Record) {
	r := s.request
	name := short(r)
	s.tell(&r.CreationTimestamp, name, "created", terminal.Strong, askedText(r))
	for attempt := range r.Status.RecoveryAttempts + 1 {
		s.tellAttempt(attempt, decisions)
	}
	s.tellEvents(r.UID, name)
	switch r.Status.OverallPhase { //nolint:exhaustive // the other phases are told by what they make
	case remediationv1.PhaseCompleted, remediationv1.PhaseFailed:
		detail := message(r.Status.Conditions, shared.ConditionReady)
		if r.Status.EscalatedToManualReview {
			detail = "a person must go on: " + r.Status.EscalationReason
		}
		s.tell(r.Status.CompletionTime, name, "end", phaseTone(string(r.Status.OverallPhase)), fmt.Sprintf("%s: %s", r.Status.OverallPhase, r.Status.Outcome), detail)
	}
}

func (s *story) tellAttempt(attempt int32, decisions []gate.Record) {
	for i := range s.processings {
		if p := &s.processings[i]; p.Spec.RecoveryAttemptNumber == attempt {
			if attempt > 0 {
				s.tell(&p.CreationTimestamp, short(s.request), fmt.Sprint("recovery ", attempt), terminal.Waiting, s.recoveryText(attempt))
			}
			s.tellProcessing(p)
		}
	}
	for i := range s.analyses {
		if a := &s.analyses[i]; a.Spec.RecoveryAttemptNumber == attempt {
			s.tellAnalysis(a)
		}
	}
	for i := range s.workflows {
		if w := &s.workflows[i]; s.attemptOf(w) == attempt {
			s.tellWorkflow(w, decisions)
		}
	}
}

// recoveryText says that another attempt begins, and after what.
func (s *story) recoveryText(attempt int32) string {
	text := fmt.Sprintf("recovery %d of at most %d begins", attempt, value(s.request.Status.MaxRecoveryAttempts))
	for _, failed := range s.request.Status.WorkflowExecutionRefs {
		if failed.AttemptNumber == attempt {
			return fmt.Sprintf("%s: wfe/%s failed (%s)", text, failed.Name, failed.ErrorType)
		}
	}
	return text
}

func value(number *int32) int32 {
	if number == nil {
		return 0
	}
	return *number
}

func (s *story) tellProcessing(p *remediationprocessingv1.RemediationProcessing) {
	name := "rp/" + p.Name
	s.tellEvents(p.UID, name)
	if p.Status.Phase == remediationprocessingv1.PhaseFailed {
		s.tell(p.Status.CompletionTime, name, "end", terminal.Bad, "the examination failed", message(p.Status.Conditions, shared.ConditionReady))
		return
	}
	detail := make([]string, 0, len(p.Status.DegradedReasons))
	for _, reason := range p.Status.DegradedReasons {
		detail = append(detail, "not read: "+reason)
	}
	s.tell(p.Status.CompletionTime, name, "end", terminal.Plain, "examined "+p.Spec.Target.String()+": "+foundText(p), detail...)
}

func (s *story) tellAnalysis(a *aianalysisv1.AIAnalysis) {
	name := "aia/" + a.Name
	s.tellEvents(a.UID, name)
	if a.Status.Phase == aianalysisv1.PhaseFailed || a.Status.RootCause == "" {
		s.tell(a.Status.CompletionTime, name, "end", terminal.Bad, "the analysis failed", message(a.Status.Conditions, shared.ConditionReady))
		return
	}
	s.tell(a.Status.CompletionTime, name, "end", terminal.Plain, causeText(a))
}

func (s *story) tellWorkflow(w *workflowexecutionv1.WorkflowExecution, decisions []gate.Record) {
	name := short(w)
	s.tell(&w.CreationTimestamp, name, "created", terminal.Strong, planText(w))
	s.tell(w.Status.ValidationStartTime, name, "validating", terminal.Plain, "planned; now dry run and safety gate")
	s.tellDecisions(w, decisions)
	s.tellVerdict(w)
	for _, approval := range s.approvalsOf(w) {
		s.tellApproval(approval)
	}
	s.tellWaiting(w)
	for _, index := range stepOrder(w) {
		s.tellStep(w, index)
	}
	s.tell(w.Status.MonitoringStartTime, name, "monitoring", terminal.Plain, "all steps are done; watches whether what was changed becomes healthy")
	s.tell(w.Status.HealthySince, name, "healthy "+timeKey(w.Status.HealthySince), terminal.Good, "healthy"+windowText(w))
	s.tell(w.Status.RollbackStartTime, name, "rollback", terminal.Waiting, "rolls back what was done", failureText(w))
	for _, index := range slices.Backward(stepOrder(w)) {
		s.tellRollback(w, index)
	}
	s.tellEvents(w.UID, name)
	s.tellEnd(w)
}

func timeKey(at *metav1.Time) string {
	if at == nil {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

func windowText(w *workflowexecutionv1.WorkflowExecution) string {
	if w.Spec.StabilizationWindow == nil || w.Spec.StabilizationWindow.Duration == 0 {
		return ""
	}
	return fmt.Sprintf("; it counts after %s", w.Spec.StabilizationWindow.Duration)
}

func failureText(w *workflowexecutionv1.WorkflowExecution) string {
	if w.Status.FailureReason == "" {
		return ""
	}
	text := fmt.Sprintf("%s: %s", w.Status.ErrorType, w.Status.FailureReason)
	if w.Status.FailedStepName != "" {
		text = "step " + w.Status.FailedStepName + ": " + text
	}
	return text
}

// tellVerdict tells what the gate said before anything ran; a refusal is told by the end.
func (s *story) tellVerdict(w *workflowexecutionv1.WorkflowExecution) {
	validation := w.Status.Validation
	condition := meta.FindStatusCondition(w.Status.Conditions, workflowexecutionv1.ConditionValidated)
	if validation == nil || condition == nil || condition.Status != metav1.ConditionTrue {
		return
	}
	var detail []string
	for _, decision := range validation.Decisions {
		for _, rule := range decision.Rules {
			detail = append(detail, "step "+stepName(w, decision.Index)+": "+ruleText(rule))
		}
	}
	for _, change := range validation.DryRun {
		detail = append(detail, "step "+stepName(w, change.Index)+": "+changeText(change.FieldChange))
	}
	s.tell(&condition.LastTransitionTime, short(w), "validated", terminal.VerdictTone(validation.Verdict), "the safety gate says "+string(validation.Verdict), detail...)
}

func (s *story) tellApproval(a *safetyv1alpha1.ApprovalRequest) {
	name := "apr/" + a.Name
	detail := make([]string, 0, len(a.Spec.Reasons))
	for _, reason := range a.Spec.Reasons {
		detail = append(detail, strings.TrimSuffix(fmt.Sprintf("%s/%s: %s", reason.Policy, reason.Code, reason.Message), ": "))
	}
	s.tell(&a.CreationTimestamp, name, "created", terminal.Waiting, fmt.Sprintf("%s asked for, until %s",
		terminal.Count(int(a.Spec.RequiredApprovals), "approval"), a.Spec.ExpiresAt.UTC().Format(time.RFC3339)), detail...)
	for i, decision := range a.Spec.Decisions {
		tone := terminal.Good
		if decision.Decision == safetyv1alpha1.DecisionRejected {
			tone = terminal.Bad
		}
		s.tell(decision.At, name, fmt.Sprint("decision ", i), tone, fmt.Sprintf("%s by %s: %s", decision.Decision, decision.By, decision.Reason))
	}
	s.tellEvents(a.UID, name)
	if a.Status.Phase == safetyv1alpha1.PhaseExpired || a.Status.Phase == safetyv1alpha1.PhaseVoid {
		if ready := meta.FindStatusCondition(a.Status.Conditions, shared.ConditionReady); ready != nil {
			s.tell(&ready.LastTransitionTime, name, "end", terminal.Bad, fmt.Sprintf("%s: %s", a.Status.Phase, ready.Message))
		}
	}
}

// tellWaiting tells since when a workflow waits, or that it goes on.
func (s *story) tellWaiting(w *workflowexecutionv1.WorkflowExecution) {
	condition := meta.FindStatusCondition(w.Status.Conditions, workflowexecutionv1.ConditionSuspended)
	if condition == nil {
		return
	}
	key := fmt.Sprint("waits ", condition.Status, timeKey(&condition.LastTransitionTime))
	if condition.Status == metav1.ConditionTrue {
		s.tell(&condition.LastTransitionTime, short(w), key, terminal.Waiting, "waits: "+condition.Message)
		return
	}
	text := "does not wait any more"
	if w.Status.WaitedSeconds > 0 {
		text += fmt.Sprintf("; it waited %s", time.Duration(w.Status.WaitedSeconds)*time.Second)
	}
	s.tell(&condition.LastTransitionTime, short(w), key, terminal.Plain, text)
}

func (s *story) tellStep(w *workflowexecutionv1.WorkflowExecution, index int32) {
	if int(index) >= len(w.Status.Steps) {
		return
	}
	step := &w.Status.Steps[index]
	name := short(w)
	action := step.Action
	if list := steps(w); int(index) < len(list) {
		action = stepText(w, &list[index])
	}
	s.tell(step.StartTime, name, fmt.Sprint("start ", index), terminal.Plain, fmt.Sprintf("step %s begins: %s", step.Name, action))
	for _, execution := range s.executionsOf(w, index) {
		if execution.Spec.Purpose == kubernetesexecutionv1.PurposeExecute {
			s.tellExecution(execution)
		}
	}
	end, tone := stepEnd(step)
	s.tell(step.CompletionTime, name, fmt.Sprint("end ", index), tone, fmt.Sprintf("step %s is %s", step.Name, end),
		strings.TrimPrefix(fmt.Sprintf("%s: %s", step.ErrorType, step.Message), ": "))
}

// stepEnd is how a step ended, before it was undone: what undid it tells of that.
func stepEnd(step *workflowexecutionv1.StepStatus) (workflowexecutionv1.StepPhase, terminal.Tone) {
	phase := step.Phase
	if phase == workflowexecutionv1.StepRolledBack || phase == workflowexecutionv1.StepRollbackFailed {
		phase = workflowexecutionv1.StepCompleted
		if step.ErrorType != "" {
			phase = workflowexecutionv1.StepFailed
		}
	}
	return phase, phaseTone(string(phase))
}

func (s *story) tellRollback(w *workflowexecutionv1.WorkflowExecution, index int32) {
	for _, execution := range s.executionsOf(w, index) {
		if execution.Spec.Purpose == kubernetesexecutionv1.PurposeRollBack {
			s.tellExecution(execution)
		}
	}
}

// tellExecution tells what an attempt did to its target, on whose word.
func (s *story) tellExecution(e *kubernetesexecutionv1.KubernetesExecution) {
	name := "ke/" + e.Name
	s.tellEvents(e.UID, name)
	doing := "step " + e.Spec.StepName
	if e.Spec.Purpose == kubernetesexecutionv1.PurposeRollBack {
		doing = "undoing step " + e.Spec.StepName
	}
	if e.Spec.Attempt > 1 {
		doing += fmt.Sprintf(", attempt %d", e.Spec.Attempt)
	}
	switch e.Status.Phase { //nolint:exhaustive // one that runs is told by its step
	case kubernetesexecutionv1.PhaseCompleted:
		s.tell(e.Status.CompletedAt, name, "end", terminal.Plain, doing+": "+effectText(e), effectLines(e)...)
	case kubernetesexecutionv1.PhaseFailed:
		s.tell(e.Status.CompletedAt, name, "end", terminal.Bad, fmt.Sprintf("%s failed: %s", doing, e.Status.ErrorType), e.Status.ErrorMessage, effectText(e))
	}
}

func effectText(e *kubernetesexecutionv1.KubernetesExecution) string {
	switch {
	case e.Status.Changed == nil:
		return "whether it changed the target is not known"
	case !*e.Status.Changed:
		return "nothing was changed"
	case e.Spec.RestoreFrom != "":
		return "what " + e.Spec.RestoreFrom + " captured is restored"
	default:
		return "the target is changed"
	}
}

func effectLines(e *kubernetesexecutionv1.KubernetesExecution) []string {
	lines := make([]string, 0, len(e.Status.DryRun))
	for _, change := range e.Status.DryRun {
		lines = append(lines, changeText(change))
	}
	return lines
}

func (s *story) tellEnd(w *workflowexecutionv1.WorkflowExecution) {
	if !w.Status.Phase.Terminal() {
		return
	}
	detail := []string{failureText(w)}
	if rollback := message(w.Status.Conditions, workflowexecutionv1.ConditionRolledBack); rollback != "" {
		detail = append(detail, "rollback: "+rollback)
	}
	s.tell(w.Status.CompletionTime, short(w), "end", phaseTone(string(w.Status.Phase)), fmt.Sprintf("%s: %s", w.Status.Phase, w.Status.Outcome), detail...)
}

// toldByStatus are the events that say what the status of the same object says too, and longer: events are forgotten after an hour.
func toldByStatus() []string {
	return []string{
		remediationrequest.EventRemediationStarted, remediationrequest.EventRemediationCompleted, remediationrequest.EventRemediationFailed,
		remediationrequest.EventEscalatedToManualReview, remediationrequest.EventRecoveryInitiated,
		aianalysis.EventAnalysisCompleted, aianalysis.EventAnalysisFailed,
		workflowexecution.EventPlanned, workflowexecution.EventValidated, workflowexecution.EventPolicyDenied, workflowexecution.EventStepStarted,
		workflowexecution.EventStepCompleted, workflowexecution.EventStepFailed, workflowexecution.EventRollbackStarted,
		workflowexecution.EventRollbackCompleted, workflowexecution.EventWorkflowCompleted, workflowexecution.EventWorkflowFailed,
	}
}

// tellEvents tells the events of one object that its status does not tell.
func (s *story) tellEvents(uid types.UID, object string) {
	for i := range s.events {
		event := &s.events[i]
		if event.Regarding.UID != uid || slices.Contains(toldByStatus(), event.Reason) || s.escalates(event) || s.endsExecution(event) {
			continue
		}
		tone := terminal.Plain
		if event.Type == "Warning" {
			tone = terminal.Waiting
		}
		at := metav1.NewTime(eventTime(event))
		text := fmt.Sprintf("%s: %s", event.Reason, event.Note)
		if event.Series != nil && event.Series.Count > 1 {
			text += fmt.Sprintf(" (%d times)", event.Series.Count)
		}
		s.tell(&at, object, fmt.Sprint("event ", event.Name), tone, text)
	}
}

// escalates says whether an event is the notification that goes with an escalation.
func (s *story) escalates(event *eventsv1.Event) bool {
	return s.request != nil && event.Regarding.UID == s.request.UID && event.Reason == actions.ReasonNotification && s.request.Status.EscalatedToManualReview
}

// endsExecution says whether an event is the one that every execution has at its end.
func (s *story) endsExecution(event *eventsv1.Event) bool {
	for i := range s.executions {
		e := &s.executions[i]
		if e.UID == event.Regarding.UID {
			ready := meta.FindStatusCondition(e.Status.Conditions, shared.ConditionReady)
			return ready != nil && ready.Reason == event.Reason
		}
	}
	return false
}

// tellDecisions tells what a decision log says about a workflow: every evaluation, those included that no status remembers.
func (s *story) tellDecisions(w *workflowexecutionv1.WorkflowExecution, decisions []gate.Record) {
	for i := range decisions {
		record := &decisions[i]
		// A workflow of the same name that was made again is another one.
		if record.Workflow != w.Name || record.Namespace != w.Namespace || record.Time.Before(w.CreationTimestamp.Time) ||
			w.Status.CompletionTime != nil && record.Time.After(w.Status.CompletionTime.Add(time.Second)) {
			continue
		}
		detail := make([]string, 0, len(record.Results)+len(record.Recorded)+1)
		for _, result := range record.Results {
			detail = append(detail, ruleText(result.FiredRule))
		}
		for _, result := range record.Recorded {
			detail = append(detail, "recorded only: "+ruleText(result.FiredRule))
		}
		at := metav1.NewTime(record.Time)
		s.tell(&at, short(w), "decision "+record.ID, terminal.VerdictTone(record.Verdict),
			fmt.Sprintf("gate (%s) on step %s: %s; decision %s", record.Stage, record.Step, record.Verdict, record.ID), detail...)
	}
}

// page is where a story is written for people: what was written before decides how it goes on.
type page struct {
	paint terminal.Paint
	zone  *time.Location
	// day is the last that was said, width that of the longest name so far.
	day   string
	width int
}

// lines are the next lines of a story. The day is said where it changes.
func (p *page) lines(entries []entry) []string {
	for _, e := range entries {
		p.width = max(p.width, len(e.Object))
	}
	inset := strings.Repeat(" ", len(time.TimeOnly)+len("  ")+p.width+len("  ")+len("  "))
	var lines []string
	for _, e := range entries {
		at := e.Time.In(p.zone)
		if day := at.Format("Monday, 2 January 2006 (MST)"); day != p.day {
			p.day = day
			lines = append(lines, p.paint.Faint(day))
		}
		name := p.paint.Bold(e.Object) + strings.Repeat(" ", p.width-len(e.Object))
		lines = append(lines, p.paint.Faint(at.Format(time.TimeOnly))+"  "+name+"  "+p.paint.Tone(e.tone, e.Text))
		for _, detail := range e.Detail {
			for line := range strings.Lines(detail) {
				lines = append(lines, inset+p.paint.Faint(strings.TrimRight(line, "\n")))
			}
		}
	}
	return lines
}

// news are the entries that were not told yet; told remembers them.
func news(entries []entry, told map[string]bool) []entry {
	var fresh []entry
	for _, e := range entries {
		if !told[e.key] {
			told[e.key] = true
			fresh = append(fresh, e)
		}
	}
	return slices.Clip(fresh)
}
