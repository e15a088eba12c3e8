package remediationrequest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// transitions are the phases that may follow each phase. A request stays pending only while it cannot be told whether it is a
// duplicate. A recovery examines its target in recovering, and goes on as the first attempt did.
func transitions() machinery.Table[remediationv1.RemediationPhase] {
	return machinery.Table[remediationv1.RemediationPhase]{
		"": {
			remediationv1.PhasePending, remediationv1.PhaseProcessing, remediationv1.PhaseCompleted, remediationv1.PhaseFailed,
		},
		remediationv1.PhasePending: {
			remediationv1.PhaseProcessing, remediationv1.PhaseCompleted, remediationv1.PhaseFailed,
		},
		remediationv1.PhaseProcessing: {remediationv1.PhaseAnalyzing, remediationv1.PhaseFailed},
		remediationv1.PhaseAnalyzing:  {remediationv1.PhaseExecuting, remediationv1.PhaseCompleted, remediationv1.PhaseFailed},
		remediationv1.PhaseExecuting:  {remediationv1.PhaseRecovering, remediationv1.PhaseCompleted, remediationv1.PhaseFailed},
		remediationv1.PhaseRecovering: {remediationv1.PhaseAnalyzing, remediationv1.PhaseFailed},
		remediationv1.PhaseCompleted:  {},
		remediationv1.PhaseFailed:     {},
	}
}

// What applies when the API server has set no default, as documented in the API.
const (
	defaultProcessing = 5 * time.Minute
	defaultAnalyzing  = 10 * time.Minute
	defaultOverall    = time.Hour
	defaultTTL        = 24 * time.Hour
	defaultAttempts   = 3
)

const (
	// pendingLimit is how long it may take to find out whether a request is a duplicate.
	pendingLimit = time.Minute
	// tieLimit is how long a request waits for another one of the same second to be taken up: creation times are in seconds.
	tieLimit = 2 * time.Second
	// refDelay is how long a child may run without being named in the status: most have ended by then, and no write is needed.
	refDelay = 2 * time.Second
)

// decision is the next status, what to do once it is recorded, and when to look again.
type decision struct {
	status remediationv1.RemediationRequestStatus
	// At most one child is to be created.
	processing *remediationprocessingv1.RemediationProcessing
	analysis   *aianalysisv1.AIAnalysis
	workflow   *workflowexecutionv1.WorkflowExecution
	// cancel is a workflow that runs, with its spec changed so that it ends.
	cancel *workflowexecutionv1.WorkflowExecution
	// verdict is what was found about another attempt, for the metrics; nil when no workflow has failed.
	verdict *verdict
	// remove says that the request has been kept for long enough.
	remove bool
	wakeAt time.Time
	// retry is why the same has to be decided again soon.
	retry error
}

// decider builds a decision.
type decider struct {
	Snapshot
	decision
	now        metav1.Time
	conditions machinery.Conditions
	// counted says that the time for which the workflow waited is part of the status.
	counted bool
}

// decide is the next step of a request.
func decide(s Snapshot, now time.Time) decision {
	d := &decider{Snapshot: s, now: metav1.NewTime(now)}
	d.status = *s.request.Status.DeepCopy()
	d.conditions = machinery.ConditionsOf(&d.status.Conditions, s.request.Generation, d.now)
	switch phase := s.request.Status.OverallPhase; phase {
	case "", remediationv1.PhasePending:
		d.observe()
		d.pending()
	case remediationv1.PhaseProcessing, remediationv1.PhaseAnalyzing, remediationv1.PhaseExecuting, remediationv1.PhaseRecovering:
		d.observe()
		d.active(phase)
	case remediationv1.PhaseCompleted, remediationv1.PhaseFailed:
		d.finished()
	}
	return d.decision
}

func (d *decider) observe() {
	d.status.ObservedGeneration = d.request.Generation
	if d.status.StartTime == nil {
		d.status.StartTime = &d.now
	}
	if d.status.MaxRecoveryAttempts == nil {
		d.status.MaxRecoveryAttempts = new(valueOr(d.request.Spec.MaxRecoveryAttempts, defaultAttempts))
	}
}

// active is every phase in which a child works.
func (d *decider) active(phase remediationv1.RemediationPhase) {
	switch {
	case d.unread != nil && !d.overdue():
		d.retry = d.unread
	case d.unread != nil:
		d.timedOut("what has to be known could not be read: " + d.unread.Error())
	case d.toStop():
		d.stop()
	case d.refusal != nil:
		d.refused()
	case phase == remediationv1.PhaseProcessing, phase == remediationv1.PhaseRecovering:
		d.process()
	case phase == remediationv1.PhaseAnalyzing:
		d.analyze()
	default:
		d.execute()
	}
}

// pending finds out whether the request is a duplicate. A rival that was taken up wins, else the oldest by creation time and
// UID. Times are in seconds: of two requests of one second neither goes on before it could have seen the other taken up.
func (d *decider) pending() {
	if d.cancelAsked() {
		d.stopped("it had not begun.")
		return
	}
	if d.unread != nil {
		d.stayPending()
		return
	}
	rivals := slices.Clone(d.rivals)
	slices.SortFunc(rivals, func(a, b rival) int {
		return cmp.Or(startedFirst(a, b), a.created.Compare(b.created.Time), strings.Compare(a.uid, b.uid))
	})
	if len(rivals) == 0 {
		d.startProcessing()
		return
	}
	first, own := rivals[0], d.request.CreationTimestamp
	switch order := first.created.Compare(own.Time); {
	case first.started, order < 0:
		d.duplicate(first.name)
	case order > 0:
		d.startProcessing()
	case d.now.Time.Before(own.Add(tieLimit)):
		d.stayPending()
		d.wakeAt = own.Add(tieLimit)
	case first.uid < string(d.request.UID):
		d.duplicate(first.name)
	default:
		d.startProcessing()
	}
}

func startedFirst(a, b rival) int {
	switch {
	case a.started == b.started:
		return 0
	case a.started:
		return -1
	default:
		return 1
	}
}

// stayPending waits until it can be told whether the request is a duplicate.
func (d *decider) stayPending() {
	d.enter(remediationv1.PhasePending)
	if d.overdue() {
		d.timedOut("it could not be found out whether it is a duplicate")
		return
	}
	d.conditions.Progressing(ReasonPending, "It is being found out whether another request for the same signal and target is active.")
	d.retry = d.unread
	d.wakeAt = d.deadline()
}

// enter changes the phase and starts its time.
func (d *decider) enter(phase remediationv1.RemediationPhase) {
	if d.status.OverallPhase != phase {
		d.status.OverallPhase = phase
		d.status.PhaseStartTime = &d.now
	}
}

func (d *decider) startProcessing() {
	d.enter(remediationv1.PhaseProcessing)
	d.decision.processing = d.newProcessing(nil)
	d.conditions.Progressing(ReasonProcessing, "The target is examined by RemediationProcessing "+d.decision.processing.Name+".")
	d.wakeAt = machinery.Earliest(d.deadline(), d.refTime())
}

// process waits for the examination.
func (d *decider) process() {
	name := shared.ProcessingName(d.request.Name, d.status.RecoveryAttempts)
	found := d.Snapshot.processing
	switch {
	case found.lost != nil:
		d.lostChild(kindProcessing, name, found.foreign)
	case found.foreign != "":
		d.foreign(kindProcessing, name, found.foreign)
	case found.object == nil && hasAttempt(d.status.RemediationProcessingRefs, name):
		d.gone(kindProcessing, name)
	case found.object == nil:
		d.await(d.makeProcessing)
	default:
		d.processed(found.object)
	}
}

// makeProcessing has the examination made; that of a recovery names the workflow that failed.
func (d *decider) makeProcessing() {
	failed := d.failed
	switch name := shared.WorkflowName(d.request.Name, d.status.RecoveryAttempts-1); {
	case d.status.RecoveryAttempts == 0:
		d.decision.processing = d.newProcessing(nil)
	case failed.foreign != "":
		d.foreign(kindWorkflow, name, failed.foreign)
	case failed.object == nil:
		d.gone(kindWorkflow, name)
	default:
		d.decision.processing = d.newProcessing(failed.object)
	}
}

func (d *decider) processed(processing *remediationprocessingv1.RemediationProcessing) {
	switch processing.Status.Phase {
	case remediationprocessingv1.PhaseCompleted:
		d.status.RemediationProcessingRefs = d.withAttempt(d.status.RemediationProcessingRefs, processing.Name)
		d.setProcessed(processing)
		if d.overallOverdue() {
			d.timedOut("the target had just been examined")
			return
		}
		d.enter(remediationv1.PhaseAnalyzing)
		d.conditions.Progressing(ReasonAnalyzing, "The cause is looked for by AIAnalysis "+shared.AnalysisName(d.request.Name, d.status.RecoveryAttempts)+".")
		d.wakeAt = machinery.Earliest(d.deadline(), d.refTime())
		d.makeAnalysis(processing)
	case remediationprocessingv1.PhaseFailed:
		d.status.RemediationProcessingRefs = d.withAttempt(d.status.RemediationProcessingRefs, processing.Name)
		d.childFailed(remediationv1.ConditionProcessed, ReasonProcessingFailed, kindProcessing, processing.Name, readyMessage(processing.Status.Conditions))
	case "", remediationprocessingv1.PhasePending, remediationprocessingv1.PhaseEnriching, remediationprocessingv1.PhaseClassifying:
		d.await(func() {
			if d.runsLong() {
				d.status.RemediationProcessingRefs = d.withAttempt(d.status.RemediationProcessingRefs, processing.Name)
			}
		})
	}
}

// analyze waits for the analysis.
func (d *decider) analyze() {
	name := shared.AnalysisName(d.request.Name, d.status.RecoveryAttempts)
	found := d.Snapshot.analysis
	switch {
	case found.lost != nil:
		d.lostChild(kindAnalysis, name, found.foreign)
	case found.foreign != "":
		d.foreign(kindAnalysis, name, found.foreign)
	case found.object != nil:
		d.analyzed(found.object)
	case hasAttempt(d.status.AIAnalysisRefs, name):
		d.gone(kindAnalysis, name)
	case d.Snapshot.processing.object == nil || d.Snapshot.processing.object.Status.Phase != remediationprocessingv1.PhaseCompleted:
		d.gone(kindProcessing, shared.ProcessingName(d.request.Name, d.status.RecoveryAttempts))
	default:
		d.await(func() { d.makeAnalysis(d.Snapshot.processing.object) })
	}
}

// makeAnalysis has the analysis made, if all is known that failed before.
func (d *decider) makeAnalysis(processing *remediationprocessingv1.RemediationProcessing) {
	switch name, foreign, lost := d.lost(); {
	case foreign != "":
		d.foreign(kindAnalysis, name, foreign)
	case lost:
		d.gone(kindAnalysis, name)
	default:
		d.decision.analysis = d.newAnalysis(processing)
	}
}

func (d *decider) analyzed(analysis *aianalysisv1.AIAnalysis) {
	switch analysis.Status.Phase {
	case aianalysisv1.PhaseCompleted:
		d.status.AIAnalysisRefs = d.withAttempt(d.status.AIAnalysisRefs, analysis.Name)
		d.concluded(analysis)
	case aianalysisv1.PhaseFailed:
		d.status.AIAnalysisRefs = d.withAttempt(d.status.AIAnalysisRefs, analysis.Name)
		d.childFailed(remediationv1.ConditionAnalyzed, ReasonAnalysisFailed, kindAnalysis, analysis.Name, readyMessage(analysis.Status.Conditions))
	case "", aianalysisv1.PhaseInvestigating, aianalysisv1.PhaseAnalyzing, aianalysisv1.PhaseRecommending:
		d.await(func() {
			if d.runsLong() {
				d.status.AIAnalysisRefs = d.withAttempt(d.status.AIAnalysisRefs, analysis.Name)
			}
		})
	}
}

// concluded goes on with what the analysis says.
func (d *decider) concluded(analysis *aianalysisv1.AIAnalysis) {
	switch {
	case analysis.Status.NoActionRequired:
		d.setAnalyzed(analysis)
		d.complete(remediationv1.OutcomeNoActionRequired, ReasonNoActionRequired, "Nothing has to be done: "+analysis.Status.RootCause)
	case analysis.Status.Recommendation == nil:
		d.childFailed(remediationv1.ConditionAnalyzed, ReasonNoRecommendation, kindAnalysis, analysis.Name, "it completed without a recommendation")
	case d.overallOverdue():
		d.setAnalyzed(analysis)
		d.timedOut("the analysis had just been completed")
	default:
		d.setAnalyzed(analysis)
		d.enter(remediationv1.PhaseExecuting)
		d.decision.workflow = d.newWorkflow(analysis)
		d.executing(nil)
	}
}

// execute waits for the workflow.
func (d *decider) execute() {
	name := shared.WorkflowName(d.request.Name, d.status.RecoveryAttempts)
	found := d.Snapshot.workflow
	switch {
	case found.lost != nil:
		d.lostWorkflow(found.lost, found.foreign)
	case found.foreign != "":
		d.foreign(kindWorkflow, name, found.foreign)
	case found.object != nil:
		d.executed(found.object)
	case d.workflowRef(name) != nil:
		d.gone(kindWorkflow, name)
	case d.Snapshot.analysis.object == nil || d.Snapshot.analysis.object.Status.Recommendation == nil:
		d.gone(kindAnalysis, shared.AnalysisName(d.request.Name, d.status.RecoveryAttempts))
	default:
		d.await(func() {
			d.decision.workflow = d.newWorkflow(d.Snapshot.analysis.object)
		})
	}
}

func (d *decider) executed(workflow *workflowexecutionv1.WorkflowExecution) {
	d.refer(workflow)
	if workflow.Status.Phase.Terminal() {
		d.status.WaitedSeconds += workflow.Status.WaitedSeconds
		d.counted = true
	}
	switch workflow.Status.Phase {
	case workflowexecutionv1.PhaseCompleted:
		d.workflowCompleted(workflow)
	case workflowexecutionv1.PhaseFailed:
		d.workflowFailed(workflow)
	case "", workflowexecutionv1.PhasePlanning, workflowexecutionv1.PhaseValidating, workflowexecutionv1.PhaseExecuting,
		workflowexecutionv1.PhaseMonitoring, workflowexecutionv1.PhaseRollingBack:
		d.await(func() { d.executing(workflow) })
	}
}

// finished keeps the request for as long as it is to be kept, and longer while a workflow of it still runs, which would go with it, or
// while people are still to be told.
func (d *decider) finished() {
	if d.unread != nil {
		d.retry = d.unread
		return
	}
	if workflow := cmp.Or(d.Snapshot.workflow.object, d.Snapshot.workflow.lost); workflow != nil {
		if !workflow.Status.Phase.Terminal() {
			return
		}
		d.refer(workflow)
	}
	if d.status.CompletionTime == nil {
		return
	}
	end := d.status.CompletionTime.Add(durationOr(d.request.Spec.TTLAfterFinished, defaultTTL))
	if d.now.Time.Before(end) {
		d.wakeAt = end
		return
	}
	if d.notifies && remediationv1.AwaitsNotification(d.request) {
		return
	}
	d.remove = true
}

// await goes on waiting, unless a limit is reached.
func (d *decider) await(goOn func()) {
	if d.overdue() {
		d.timedOut(d.awaited())
		return
	}
	d.wakeAt = machinery.Earliest(d.deadline(), d.refTime())
	goOn()
}

// runsLong says whether a child that has not ended is to be named in the status now.
func (d *decider) runsLong() bool {
	return !d.now.Time.Before(d.phaseStart().Add(refDelay))
}

// refTime is when the child of the phase is to be named, if that is still to come.
func (d *decider) refTime() time.Time {
	if d.status.OverallPhase == remediationv1.PhaseExecuting || d.runsLong() {
		return time.Time{}
	}
	return d.phaseStart().Add(refDelay)
}

func hasAttempt(refs []remediationv1.AttemptReference, name string) bool {
	return slices.ContainsFunc(refs, func(ref remediationv1.AttemptReference) bool { return ref.Name == name })
}

func (d *decider) withAttempt(refs []remediationv1.AttemptReference, name string) []remediationv1.AttemptReference {
	if hasAttempt(refs, name) {
		return refs
	}
	return append(refs, remediationv1.AttemptReference{
		Name: name, Namespace: d.request.Namespace, AttemptNumber: d.status.RecoveryAttempts + 1,
	})
}

func (d *decider) workflowRef(name string) *remediationv1.WorkflowReference {
	i := slices.IndexFunc(d.status.WorkflowExecutionRefs, func(ref remediationv1.WorkflowReference) bool { return ref.Name == name })
	if i < 0 {
		return nil
	}
	return &d.status.WorkflowExecutionRefs[i]
}

func valueOr[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}

func durationOr(duration *metav1.Duration, otherwise time.Duration) time.Duration {
	if duration == nil {
		return otherwise
	}
	return duration.Duration
}
