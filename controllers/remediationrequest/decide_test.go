package remediationrequest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

var began = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const uid = "request-uid"

// requestIn is a request that entered phase when it began.
func requestIn(phase remediationv1.RemediationPhase) *remediationv1.RemediationRequest {
	request := &remediationv1.RemediationRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: uid, Generation: 1, CreationTimestamp: metav1.NewTime(began)},
		Spec: remediationv1.RemediationRequestSpec{
			SignalContext:       shared.SignalContext{Name: "Stuck", Severity: shared.SeverityCritical, Fingerprint: strings.Repeat("a", 64)},
			Target:              shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart"},
			Mode:                shared.ModeRemediate,
			MaxRecoveryAttempts: new(int32(3)),
			TTLAfterFinished:    &metav1.Duration{Duration: time.Hour},
			RequestedBy:         shared.Requester{Username: "alice", Groups: []string{"sre"}},
			Timeouts: &remediationv1.RemediationTimeouts{
				Processing: &metav1.Duration{Duration: 5 * time.Minute}, Analyzing: &metav1.Duration{Duration: 10 * time.Minute},
				Overall: &metav1.Duration{Duration: time.Hour},
			},
		},
	}
	request.Status.OverallPhase = phase
	if phase != "" {
		request.Status.StartTime, request.Status.PhaseStartTime = new(metav1.NewTime(began)), new(metav1.NewTime(began))
		request.Status.MaxRecoveryAttempts, request.Status.ObservedGeneration = new(int32(3)), 1
	}
	if phase.Terminal() {
		request.Status.CompletionTime = new(metav1.NewTime(began))
	}
	return request
}

func processingIn(phase remediationprocessingv1.ProcessingPhase) *remediationprocessingv1.RemediationProcessing {
	processing := &remediationprocessingv1.RemediationProcessing{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart-processing", UID: "processing-uid"}}
	processing.Spec.Target = requestIn("").Spec.Target
	processing.Spec.SignalContext = requestIn("").Spec.SignalContext
	processing.Status.Phase = phase
	processing.Status.Enrichment.TargetUID = "target-uid"
	processing.Status.Classification.Environment = "production"
	return processing
}

func analysisIn(phase aianalysisv1.AnalysisPhase) *aianalysisv1.AIAnalysis {
	analysis := &aianalysisv1.AIAnalysis{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart-analysis", UID: "analysis-uid"}}
	analysis.Status.Phase = phase
	if phase == aianalysisv1.PhaseCompleted {
		analysis.Status.RootCause = "a cause"
		analysis.Status.Recommendation = &aianalysisv1.Recommendation{
			WorkflowDefinition: shared.WorkflowDefinition{Name: "roll-back", Steps: []shared.Step{rollBack()}},
			ExecutionStrategy:  shared.ExecutionStrategy{RollbackStrategy: shared.RollbackStrategyManual},
		}
	}
	return analysis
}

func rollBack() shared.Step {
	return shared.Step{Name: "roll-back", Action: shared.Action{
		Type: shared.ActionRollbackDeployment, RollbackDeployment: &shared.RollbackDeployment{Namespace: "shop", Name: "cart"},
	}}
}

func workflowIn(phase workflowexecutionv1.WorkflowPhase, outcome workflowexecutionv1.WorkflowOutcome) *workflowexecutionv1.WorkflowExecution {
	workflow := &workflowexecutionv1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart-workflow", UID: "workflow-uid"}}
	workflow.Spec.WorkflowDefinition = &shared.WorkflowDefinition{Name: "roll-back", Steps: []shared.Step{rollBack()}}
	workflow.Status.Phase, workflow.Status.Outcome = phase, outcome
	if phase.Terminal() {
		workflow.Status.CompletionTime = new(metav1.NewTime(began.Add(time.Minute)))
	}
	if phase == workflowexecutionv1.PhaseFailed {
		workflow.Status.FailedStep, workflow.Status.FailedStepName = new(int32(0)), "roll-back"
		workflow.Status.FailedAction = string(shared.ActionRollbackDeployment)
		workflow.Status.ErrorType, workflow.Status.FailureReason = shared.ErrorIneffective, "the target did not become healthy"
		workflow.Status.TotalSteps = 1
	}
	return workflow
}

type row struct {
	phase    remediationv1.RemediationPhase
	modify   func(*remediationv1.RemediationRequest)
	snapshot Snapshot
	at       time.Duration

	wantPhase   remediationv1.RemediationPhase
	wantOutcome remediationv1.RemediationOutcome
	wantReason  string
	// wantEffect is processing, analysis, workflow, cancel, remove, or nothing.
	wantEffect string
	wantWake   time.Duration
	wantRetry  bool
	want       func(*testing.T, decision)
}

func effectOf(d decision) string {
	var effects []string
	if d.processing != nil {
		effects = append(effects, "processing")
	}
	if d.analysis != nil {
		effects = append(effects, "analysis")
	}
	if d.workflow != nil {
		effects = append(effects, "workflow")
	}
	if d.cancel != nil {
		effects = append(effects, "cancel")
	}
	if d.remove {
		effects = append(effects, "remove")
	}
	return strings.Join(effects, ", ")
}

func processingOf(object *remediationprocessingv1.RemediationProcessing) Snapshot {
	return Snapshot{processing: child[remediationprocessingv1.RemediationProcessing]{object: object}}
}

func analysisOf(object *aianalysisv1.AIAnalysis) Snapshot {
	return Snapshot{analysis: child[aianalysisv1.AIAnalysis]{object: object}}
}

func workflowOf(object *workflowexecutionv1.WorkflowExecution) Snapshot {
	return Snapshot{workflow: child[workflowexecutionv1.WorkflowExecution]{object: object}}
}

func named(request *remediationv1.RemediationRequest) {
	request.Status.RemediationProcessingRefs = []remediationv1.AttemptReference{{Name: "cart-processing", Namespace: "shop", AttemptNumber: 1}}
	request.Status.AIAnalysisRefs = []remediationv1.AttemptReference{{Name: "cart-analysis", Namespace: "shop", AttemptNumber: 1}}
	request.Status.WorkflowExecutionRefs = []remediationv1.WorkflowReference{{
		Name: "cart-workflow", Namespace: "shop", AttemptNumber: 1, Outcome: remediationv1.OutcomeInProgress,
	}}
}

// recoveringFrom is a request in its first recovery: the workflow of the first attempt has failed.
func recoveringFrom(request *remediationv1.RemediationRequest) {
	named(request)
	request.Status.RecoveryAttempts = 1
	request.Status.WorkflowExecutionRefs[0] = remediationv1.WorkflowReference{
		Name: "cart-workflow", Namespace: "shop", AttemptNumber: 1, Outcome: "Failed", FailedStep: new(int32(0)),
		FailedAction: string(shared.ActionRollbackDeployment), Target: "Deployment shop/cart",
		ErrorType: shared.ErrorResourceNotFound, FailureReason: "it has no revision 9",
	}
}

func cancelled(request *remediationv1.RemediationRequest) { request.Spec.Cancel = new(true) }

// notifying is a request with what was recorded of its notification.
func notifying(reason string) func(*remediationv1.RemediationRequest) {
	return func(request *remediationv1.RemediationRequest) {
		meta.SetStatusCondition(&request.Status.Conditions, metav1.Condition{Type: remediationv1.ConditionNotified, Status: metav1.ConditionFalse, Reason: reason})
	}
}

// and applies all the changes.
func and(changes ...func(*remediationv1.RemediationRequest)) func(*remediationv1.RemediationRequest) {
	return func(request *remediationv1.RemediationRequest) {
		for _, change := range changes {
			change(request)
		}
	}
}

// recoveryOf is a child of the first recovery.
func recoveryOf(object metav1.Object) { object.SetName("cart-recovery-1") }

func examinedAgain(earlier ...child[aianalysisv1.AIAnalysis]) Snapshot {
	processing := processingIn(remediationprocessingv1.PhaseCompleted)
	recoveryOf(processing)
	processing.Spec.FailedWorkflowRef = &shared.ObjectReference{Name: "cart-workflow", UID: "workflow-uid"}
	return Snapshot{processing: child[remediationprocessingv1.RemediationProcessing]{object: processing}, earlier: earlier}
}

func recommended(playbook string) child[aianalysisv1.AIAnalysis] {
	analysis := analysisIn(aianalysisv1.PhaseCompleted)
	analysis.Status.Recommendation.PlaybookRef = playbook
	return child[aianalysisv1.AIAnalysis]{object: analysis}
}

// stoppedIn is a workflow that was told to stop.
func stoppedIn(phase workflowexecutionv1.WorkflowPhase, outcome workflowexecutionv1.WorkflowOutcome) *workflowexecutionv1.WorkflowExecution {
	workflow := workflowIn(phase, outcome)
	workflow.Spec.Cancel = workflowexecutionv1.CancelAbortAndRollBack
	if phase == workflowexecutionv1.PhaseFailed {
		workflow.Status.ErrorType, workflow.Status.FailureReason = shared.ErrorCancelled, "it was cancelled"
	}
	return workflow
}

func waiting(workflow *workflowexecutionv1.WorkflowExecution, seconds int64, since time.Duration) *workflowexecutionv1.WorkflowExecution {
	workflow.Status.WaitedSeconds = seconds
	if since > 0 {
		workflow.Status.WaitingSince = new(metav1.NewTime(began.Add(since)))
	}
	return workflow
}

func rows() map[string]row {
	const (
		failed    = remediationv1.PhaseFailed
		completed = remediationv1.PhaseCompleted
		review    = remediationv1.OutcomeManualReviewRequired
		timedOut  = remediationv1.OutcomeTimedOut
	)
	older, newer := metav1.NewTime(began.Add(-time.Second)), metav1.NewTime(began.Add(time.Second))
	return map[string]row{
		"a new request is taken up at once": {
			wantPhase: remediationv1.PhaseProcessing, wantReason: ReasonProcessing, wantEffect: "processing", wantWake: refDelay,
			want: func(t *testing.T, d decision) {
				t.Helper()
				child := d.processing
				owner := metav1.GetControllerOf(child)
				if child.Name != "cart-processing" || owner == nil || owner.UID != uid || child.Labels[shared.LabelRemediationRequest] != "cart" {
					t.Errorf("child is %+v", child.ObjectMeta)
				}
				if d.status.StartTime == nil || !d.status.PhaseStartTime.Time.Equal(began) || *d.status.MaxRecoveryAttempts != 3 {
					t.Errorf("status is %+v", d.status)
				}
			},
		},
		"one with an older rival is a duplicate": {
			snapshot:  Snapshot{rivals: []rival{{name: "new", created: newer, uid: "b"}, {name: "old", created: older, uid: "a"}}},
			wantPhase: completed, wantOutcome: remediationv1.OutcomeDuplicate, wantReason: ReasonDuplicate,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if d.status.DuplicateOf != "old" {
					t.Errorf("duplicate of %s", d.status.DuplicateOf)
				}
			},
		},
		"one with a rival that was taken up is a duplicate, though older": {
			snapshot:  Snapshot{rivals: []rival{{name: "new", created: newer, uid: "b", started: true}}},
			wantPhase: completed, wantOutcome: remediationv1.OutcomeDuplicate, wantReason: ReasonDuplicate,
		},
		"one with newer rivals goes on": {
			snapshot:  Snapshot{rivals: []rival{{name: "new", created: newer, uid: "a"}}},
			wantPhase: remediationv1.PhaseProcessing, wantReason: ReasonProcessing, wantEffect: "processing", wantWake: refDelay,
		},
		"one with a rival of the same second waits": {
			snapshot:  Snapshot{rivals: []rival{{name: "same", created: metav1.NewTime(began), uid: "a"}}},
			wantPhase: remediationv1.PhasePending, wantReason: ReasonPending, wantWake: tieLimit,
		},
		"after that the smaller UID goes on": {
			phase: remediationv1.PhasePending, at: tieLimit,
			snapshot:  Snapshot{rivals: []rival{{name: "same", created: metav1.NewTime(began), uid: "z"}}},
			wantPhase: remediationv1.PhaseProcessing, wantReason: ReasonProcessing, wantEffect: "processing", wantWake: tieLimit + refDelay,
		},
		"after that the larger UID is a duplicate": {
			phase: remediationv1.PhasePending, at: tieLimit,
			snapshot:  Snapshot{rivals: []rival{{name: "same", created: metav1.NewTime(began), uid: "a"}}},
			wantPhase: completed, wantOutcome: remediationv1.OutcomeDuplicate, wantReason: ReasonDuplicate,
		},
		"a new request whose rivals cannot be read is pending": {
			snapshot: Snapshot{unread: errors.New("away")}, wantPhase: remediationv1.PhasePending, wantReason: ReasonPending,
			wantRetry: true, wantWake: pendingLimit,
		},
		"a pending one whose rivals cannot be read stays so": {
			phase: remediationv1.PhasePending, at: time.Second,
			snapshot: Snapshot{unread: errors.New("away")}, wantPhase: remediationv1.PhasePending, wantReason: ReasonPending,
			wantRetry: true, wantWake: pendingLimit,
		},
		"a pending one fails after its limit": {
			phase: remediationv1.PhasePending, at: pendingLimit, snapshot: Snapshot{unread: errors.New("away")},
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
		},

		"processing without a child makes it": {
			phase: remediationv1.PhaseProcessing, wantPhase: remediationv1.PhaseProcessing, wantEffect: "processing", wantWake: refDelay,
		},
		"processing whose child is gone fails": {
			phase: remediationv1.PhaseProcessing, modify: named, wantPhase: failed, wantOutcome: review, wantReason: ReasonChildGone,
		},
		"processing with a foreign child fails": {
			phase: remediationv1.PhaseProcessing, snapshot: Snapshot{processing: child[remediationprocessingv1.RemediationProcessing]{foreign: "its controller is nobody"}},
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildForeign,
		},
		"processing whose child lost its owner reference fails": {
			phase: remediationv1.PhaseProcessing, snapshot: Snapshot{processing: child[remediationprocessingv1.RemediationProcessing]{
				foreign: "its controller is nobody", lost: processingIn(remediationprocessingv1.PhaseFailed),
			}},
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildForeign,
		},
		"processing whose child is refused fails": {
			phase: remediationv1.PhaseProcessing, snapshot: Snapshot{refusal: errors.New("denied by policy")},
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildRefused,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if !strings.Contains(d.status.EscalationReason, "denied by policy") {
					t.Error(d.status.EscalationReason)
				}
			},
		},
		"processing with a child that has just begun waits without a write": {
			phase: remediationv1.PhaseProcessing, snapshot: processingOf(processingIn("")), at: time.Second,
			wantPhase: remediationv1.PhaseProcessing, wantWake: refDelay,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if len(d.status.RemediationProcessingRefs) > 0 {
					t.Error("it is named already")
				}
			},
		},
		"processing with a child that runs for longer names it": {
			phase: remediationv1.PhaseProcessing, snapshot: processingOf(processingIn(remediationprocessingv1.PhaseEnriching)), at: refDelay,
			wantPhase: remediationv1.PhaseProcessing, wantWake: 5 * time.Minute,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if len(d.status.RemediationProcessingRefs) != 1 || d.status.RemediationProcessingRefs[0].AttemptNumber != 1 {
					t.Errorf("refs are %+v", d.status.RemediationProcessingRefs)
				}
			},
		},
		"processing with a completed child goes on to analyze its facts": {
			phase: remediationv1.PhaseProcessing, snapshot: processingOf(processingIn(remediationprocessingv1.PhaseCompleted)), at: time.Second,
			wantPhase: remediationv1.PhaseAnalyzing, wantReason: ReasonAnalyzing, wantEffect: "analysis", wantWake: time.Second + refDelay,
			want: func(t *testing.T, d decision) {
				t.Helper()
				spec := d.analysis.Spec
				if spec.Enrichment.TargetUID != "target-uid" || spec.Classification.Environment != "production" || spec.Target.Name != "cart" ||
					spec.SignalContext.Name != "Stuck" || spec.RemediationProcessingRef.UID != "processing-uid" || spec.RemediationRequestRef.UID != uid {
					t.Errorf("spec is %+v", spec)
				}
				if len(d.status.RemediationProcessingRefs) != 1 || !meta.IsStatusConditionTrue(d.status.Conditions, remediationv1.ConditionProcessed) {
					t.Errorf("status is %+v", d.status)
				}
			},
		},
		"processing with a failed child fails": {
			phase: remediationv1.PhaseProcessing, snapshot: processingOf(processingIn(remediationprocessingv1.PhaseFailed)),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonProcessingFailed,
		},
		"processing for too long fails": {
			phase: remediationv1.PhaseProcessing, snapshot: processingOf(processingIn("")), at: 5 * time.Minute,
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
		},
		"processing whose child cannot be read asks again": {
			phase: remediationv1.PhaseProcessing, snapshot: Snapshot{unread: errors.New("away")},
			wantPhase: remediationv1.PhaseProcessing, wantRetry: true,
		},
		"processing whose child cannot be read for too long fails": {
			phase: remediationv1.PhaseProcessing, snapshot: Snapshot{unread: errors.New("away")}, at: 5 * time.Minute,
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
		},
		"processing that completes after the overall limit goes no further": {
			phase: remediationv1.PhaseProcessing, snapshot: processingOf(processingIn(remediationprocessingv1.PhaseCompleted)), at: time.Hour,
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
		},

		"analyzing without a child makes it of the examination": {
			phase: remediationv1.PhaseAnalyzing, snapshot: processingOf(processingIn(remediationprocessingv1.PhaseCompleted)),
			wantPhase: remediationv1.PhaseAnalyzing, wantEffect: "analysis", wantWake: refDelay,
		},
		"analyzing without either fails": {
			phase: remediationv1.PhaseAnalyzing, wantPhase: failed, wantOutcome: review, wantReason: ReasonChildGone,
		},
		"analyzing whose child is gone fails": {
			phase: remediationv1.PhaseAnalyzing, modify: named, snapshot: processingOf(processingIn(remediationprocessingv1.PhaseCompleted)),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildGone,
		},
		"analyzing whose child lost its owner reference fails": {
			phase: remediationv1.PhaseAnalyzing, snapshot: Snapshot{analysis: child[aianalysisv1.AIAnalysis]{
				foreign: "its controller is nobody", lost: analysisIn(aianalysisv1.PhaseCompleted),
			}},
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildForeign,
		},
		"analyzing with a foreign child fails": {
			phase: remediationv1.PhaseAnalyzing, snapshot: Snapshot{analysis: child[aianalysisv1.AIAnalysis]{foreign: "its controller is nobody"}},
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildForeign,
		},
		"analyzing whose child is refused fails": {
			phase: remediationv1.PhaseAnalyzing, snapshot: Snapshot{refusal: errors.New("denied")},
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildRefused,
		},
		"analyzing with a child that has just begun waits without a write": {
			phase: remediationv1.PhaseAnalyzing, snapshot: analysisOf(analysisIn("")), at: time.Second,
			wantPhase: remediationv1.PhaseAnalyzing, wantWake: refDelay,
		},
		"analyzing with a child that runs for longer names it": {
			phase: remediationv1.PhaseAnalyzing, snapshot: analysisOf(analysisIn(aianalysisv1.PhaseInvestigating)), at: refDelay,
			wantPhase: remediationv1.PhaseAnalyzing, wantWake: 10 * time.Minute,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if len(d.status.AIAnalysisRefs) != 1 {
					t.Errorf("refs are %+v", d.status.AIAnalysisRefs)
				}
			},
		},
		"analyzing with a recommendation runs it as the requester": {
			phase: remediationv1.PhaseAnalyzing, snapshot: analysisOf(analysisIn(aianalysisv1.PhaseCompleted)),
			modify:    func(r *remediationv1.RemediationRequest) { r.Spec.Mode = shared.ModeDryRun },
			wantPhase: remediationv1.PhaseExecuting, wantReason: ReasonExecuting, wantEffect: "workflow", wantWake: time.Hour,
			want: func(t *testing.T, d decision) {
				t.Helper()
				spec := d.workflow.Spec
				if spec.RequestedBy.Username != "alice" || spec.Mode != shared.ModeDryRun || spec.RemediationRequestRef.UID != uid ||
					spec.WorkflowDefinition.Name != "roll-back" || spec.ExecutionStrategy.RollbackStrategy != shared.RollbackStrategyManual {
					t.Errorf("spec is %+v", spec)
				}
			},
		},
		"analyzing with nothing to do completes": {
			phase: remediationv1.PhaseAnalyzing, snapshot: func() Snapshot {
				analysis := analysisIn(aianalysisv1.PhaseCompleted)
				analysis.Status.Recommendation, analysis.Status.NoActionRequired = nil, true
				return analysisOf(analysis)
			}(),
			wantPhase: completed, wantOutcome: remediationv1.OutcomeNoActionRequired, wantReason: ReasonNoActionRequired,
		},
		"analyzing without a recommendation fails": {
			phase: remediationv1.PhaseAnalyzing, snapshot: func() Snapshot {
				analysis := analysisIn(aianalysisv1.PhaseCompleted)
				analysis.Status.Recommendation = nil
				return analysisOf(analysis)
			}(),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonNoRecommendation,
		},
		"analyzing with a failed child fails": {
			phase: remediationv1.PhaseAnalyzing, snapshot: analysisOf(analysisIn(aianalysisv1.PhaseFailed)),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonAnalysisFailed,
		},
		"analyzing for too long fails": {
			phase: remediationv1.PhaseAnalyzing, snapshot: analysisOf(analysisIn(aianalysisv1.PhaseAnalyzing)), at: 10 * time.Minute,
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
		},
		"analyzing that completes after the overall limit goes no further": {
			phase: remediationv1.PhaseAnalyzing, snapshot: analysisOf(analysisIn(aianalysisv1.PhaseCompleted)), at: time.Hour,
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
		},
		"analyzing whose child cannot be read asks again": {
			phase: remediationv1.PhaseAnalyzing, snapshot: Snapshot{unread: errors.New("away")},
			wantPhase: remediationv1.PhaseAnalyzing, wantRetry: true,
		},

		"executing without a child makes it of the analysis": {
			phase: remediationv1.PhaseExecuting, snapshot: analysisOf(analysisIn(aianalysisv1.PhaseCompleted)),
			wantPhase: remediationv1.PhaseExecuting, wantEffect: "workflow", wantWake: time.Hour,
		},
		"executing without either fails": {
			phase: remediationv1.PhaseExecuting, wantPhase: failed, wantOutcome: review, wantReason: ReasonChildGone,
		},
		"executing whose child is gone fails": {
			phase: remediationv1.PhaseExecuting, modify: named, snapshot: analysisOf(analysisIn(aianalysisv1.PhaseCompleted)),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildGone,
		},
		"executing whose child lost its owner reference fails, and names it": {
			phase: remediationv1.PhaseExecuting, snapshot: Snapshot{workflow: child[workflowexecutionv1.WorkflowExecution]{
				foreign: "its controller is nobody", lost: workflowIn(workflowexecutionv1.PhaseExecuting, ""),
			}},
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildForeign,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if refs := d.status.WorkflowExecutionRefs; len(refs) != 1 || refs[0].Outcome != remediationv1.OutcomeInProgress {
					t.Errorf("refs are %+v", refs)
				}
				if !strings.Contains(d.status.EscalationReason, "by itself") {
					t.Errorf("the reason is %q", d.status.EscalationReason)
				}
			},
		},
		"executing with a foreign child fails": {
			phase: remediationv1.PhaseExecuting, snapshot: Snapshot{workflow: child[workflowexecutionv1.WorkflowExecution]{foreign: "its controller is nobody"}},
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildForeign,
		},
		"executing whose child is refused fails": {
			phase: remediationv1.PhaseExecuting, snapshot: Snapshot{refusal: errors.New("denied")},
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildRefused,
		},
		"executing names the workflow from the moment it exists": {
			phase: remediationv1.PhaseExecuting, snapshot: workflowOf(workflowIn("", "")),
			wantPhase: remediationv1.PhaseExecuting, wantReason: ReasonExecuting, wantWake: time.Hour,
			want: func(t *testing.T, d decision) {
				t.Helper()
				refs := d.status.WorkflowExecutionRefs
				if len(refs) != 1 || refs[0].Outcome != remediationv1.OutcomeInProgress || *d.status.CurrentWorkflowExecutionRef != "cart-workflow" {
					t.Errorf("refs are %+v", refs)
				}
			},
		},
		"executing a workflow that waits has no limit": {
			phase: remediationv1.PhaseExecuting, at: 3 * time.Hour,
			snapshot:  workflowOf(waiting(workflowIn(workflowexecutionv1.PhaseValidating, ""), 0, time.Minute)),
			wantPhase: remediationv1.PhaseExecuting, wantReason: ReasonWorkflowWaiting,
		},
		"executing a workflow that has waited has as much more time": {
			phase: remediationv1.PhaseExecuting, at: time.Hour,
			snapshot:  workflowOf(waiting(workflowIn(workflowexecutionv1.PhaseExecuting, ""), 600, 0)),
			wantPhase: remediationv1.PhaseExecuting, wantReason: ReasonExecuting, wantWake: time.Hour + 10*time.Minute,
		},
		"executing for too long stops the workflow": {
			phase: remediationv1.PhaseExecuting, at: time.Hour + 10*time.Minute,
			snapshot:  workflowOf(waiting(workflowIn(workflowexecutionv1.PhaseExecuting, ""), 600, 0)),
			wantPhase: remediationv1.PhaseExecuting, wantReason: ReasonStopping, wantEffect: "cancel", wantWake: time.Hour + 10*time.Minute + stopLimit,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if d.cancel.Spec.Cancel != workflowexecutionv1.CancelAbortAndRollBack || d.cancel.UID != "workflow-uid" {
					t.Errorf("cancel is %+v", d.cancel)
				}
			},
		},
		"executing a workflow that was told to stop waits for its end": {
			phase: remediationv1.PhaseExecuting, at: time.Hour + time.Minute, snapshot: workflowOf(stoppedIn(workflowexecutionv1.PhaseRollingBack, "")),
			wantPhase: remediationv1.PhaseExecuting, wantReason: ReasonStopping, wantWake: time.Hour + stopLimit,
		},
		"executing a workflow that does not stop fails, and says that it goes on": {
			phase: remediationv1.PhaseExecuting, at: time.Hour + stopLimit, snapshot: workflowOf(stoppedIn(workflowexecutionv1.PhaseRollingBack, "")),
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if !strings.Contains(d.status.EscalationReason, "has not ended") || d.status.WorkflowExecutionRefs[0].Outcome != remediationv1.OutcomeInProgress {
					t.Errorf("status is %+v", d.status)
				}
			},
		},
		"executing a workflow that may not be stopped fails, and says that it goes on": {
			phase: remediationv1.PhaseExecuting, at: time.Hour,
			snapshot: func() Snapshot {
				s := workflowOf(workflowIn(workflowexecutionv1.PhaseExecuting, ""))
				s.refusal = errors.New("no controller cancels")
				return s
			}(),
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if !strings.Contains(d.status.EscalationReason, "could not be stopped and goes on: no controller cancels.") {
					t.Error(d.status.EscalationReason)
				}
			},
		},
		"executing a workflow that was stopped in time to undo all is out of time": {
			phase: remediationv1.PhaseExecuting, at: time.Hour + time.Minute,
			snapshot:  workflowOf(stoppedIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeRolledBack)),
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if !strings.Contains(d.status.EscalationReason, "What it had changed was undone.") {
					t.Error(d.status.EscalationReason)
				}
			},
		},
		"a workflow that failed when the time was up is the last": {
			phase: remediationv1.PhaseExecuting, at: time.Hour,
			snapshot:  workflowOf(workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)),
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
		},
		"the time for which a workflow waited does not count when it has failed": {
			phase: remediationv1.PhaseExecuting, at: time.Hour,
			snapshot:  workflowOf(waiting(workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed), 600, 0)),
			wantPhase: remediationv1.PhaseRecovering, wantReason: ReasonRecovering, wantEffect: "processing", wantWake: time.Hour + refDelay,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if d.status.WaitedSeconds != 600 {
					t.Errorf("waited for %d seconds", d.status.WaitedSeconds)
				}
			},
		},
		"it does not count twice": {
			phase: remediationv1.PhaseExecuting, at: time.Hour + 10*time.Minute,
			snapshot:  workflowOf(waiting(workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed), 600, 0)),
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
		},
		"executing for too long without a workflow fails": {
			phase: remediationv1.PhaseExecuting, at: time.Hour, snapshot: analysisOf(analysisIn(aianalysisv1.PhaseCompleted)),
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
		},
		"executing whose child cannot be read asks again": {
			phase: remediationv1.PhaseExecuting, snapshot: Snapshot{unread: errors.New("away")},
			wantPhase: remediationv1.PhaseExecuting, wantRetry: true,
		},
		"a workflow that succeeds remediates, however late it is seen": {
			phase: remediationv1.PhaseExecuting, modify: named, at: 2 * time.Hour,
			snapshot:  workflowOf(waiting(workflowIn(workflowexecutionv1.PhaseCompleted, workflowexecutionv1.OutcomeSuccess), 30, 0)),
			wantPhase: completed, wantOutcome: remediationv1.OutcomeRemediated, wantReason: ReasonRemediated,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if d.status.WorkflowExecutionRefs[0].Outcome != "Success" || d.status.WaitedSeconds != 30 ||
					!meta.IsStatusConditionTrue(d.status.Conditions, remediationv1.ConditionWorkflowSucceeded) {
					t.Errorf("status is %+v", d.status)
				}
			},
		},
		"a workflow that cannot be verified remediates and says so": {
			phase: remediationv1.PhaseExecuting, snapshot: workflowOf(workflowIn(workflowexecutionv1.PhaseCompleted, workflowexecutionv1.OutcomeUnverified)),
			wantPhase: completed, wantOutcome: remediationv1.OutcomeRemediated, wantReason: ReasonUnverified,
		},
		"a workflow that only tells people leaves the rest to them": {
			phase: remediationv1.PhaseExecuting, snapshot: func() Snapshot {
				workflow := workflowIn(workflowexecutionv1.PhaseCompleted, workflowexecutionv1.OutcomeSuccess)
				workflow.Spec.WorkflowDefinition.Steps = []shared.Step{{Name: "tell", Action: shared.Action{Type: shared.ActionNotifyOnly}}}
				return workflowOf(workflow)
			}(),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonNothingChanged,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if !meta.IsStatusConditionTrue(d.status.Conditions, remediationv1.ConditionWorkflowSucceeded) || d.status.LastFailureTime != nil ||
					meta.FindStatusCondition(d.status.Conditions, remediationv1.ConditionRecoveryViable) != nil {
					t.Errorf("status is %+v", d.status)
				}
			},
		},
		"a workflow that tells people and changes something remediates": {
			phase: remediationv1.PhaseExecuting, snapshot: func() Snapshot {
				workflow := workflowIn(workflowexecutionv1.PhaseCompleted, workflowexecutionv1.OutcomeSuccess)
				workflow.Spec.WorkflowDefinition.Steps = append(workflow.Spec.WorkflowDefinition.Steps,
					shared.Step{Name: "tell", Action: shared.Action{Type: shared.ActionNotifyOnly}})
				return workflowOf(workflow)
			}(),
			wantPhase: completed, wantOutcome: remediationv1.OutcomeRemediated, wantReason: ReasonRemediated,
		},
		"a workflow that succeeds in part is a partial success": {
			phase: remediationv1.PhaseExecuting, snapshot: workflowOf(workflowIn(workflowexecutionv1.PhaseCompleted, workflowexecutionv1.OutcomePartialSuccess)),
			wantPhase: completed, wantOutcome: remediationv1.OutcomePartialSuccess, wantReason: ReasonPartialSuccess,
		},
		"a dry run is a dry run": {
			phase: remediationv1.PhaseExecuting, snapshot: workflowOf(workflowIn(workflowexecutionv1.PhaseCompleted, workflowexecutionv1.OutcomeDryRun)),
			wantPhase: completed, wantOutcome: remediationv1.OutcomeDryRun, wantReason: ReasonDryRun,
		},
		"a completed workflow without an outcome is for people": {
			phase: remediationv1.PhaseExecuting, snapshot: workflowOf(workflowIn(workflowexecutionv1.PhaseCompleted, "")),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonWorkflowFailed,
		},
		"a workflow that failed leads to a recovery, all of it recorded before it begins": {
			phase: remediationv1.PhaseExecuting, at: time.Minute, snapshot: workflowOf(workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeRolledBack)),
			modify:    func(r *remediationv1.RemediationRequest) { r.Status.CurrentWorkflowExecutionRef = new("cart-workflow") },
			wantPhase: remediationv1.PhaseRecovering, wantReason: ReasonRecovering, wantEffect: "processing", wantWake: time.Minute + refDelay,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if d.status.RecoveryAttempts != 1 || d.status.RecoveryReason != "workflow_ineffective_step_0" || d.status.CurrentWorkflowExecutionRef != nil ||
					!d.status.LastFailureTime.Time.Equal(began.Add(time.Minute)) || d.status.EscalatedToManualReview {
					t.Errorf("status is %+v", d.status)
				}
				viable := meta.FindStatusCondition(d.status.Conditions, remediationv1.ConditionRecoveryViable)
				if viable == nil || viable.Status != metav1.ConditionTrue || viable.Reason != ReasonViable {
					t.Errorf("RecoveryViable is %+v", viable)
				}
				refs := d.status.WorkflowExecutionRefs
				if len(refs) != 1 || refs[0].Outcome != "RolledBack" || *refs[0].FailedStep != 0 || refs[0].Target != "Deployment shop/cart" ||
					refs[0].AttemptNumber != 1 || refs[0].ErrorType != shared.ErrorIneffective || refs[0].FailedAction != string(shared.ActionRollbackDeployment) {
					t.Errorf("refs are %+v", refs)
				}
				spec := d.processing.Spec
				if d.processing.Name != "cart-recovery-1" || !spec.IsRecoveryAttempt || spec.RecoveryAttemptNumber != 1 ||
					*spec.FailedWorkflowRef != (shared.ObjectReference{Name: "cart-workflow", UID: "workflow-uid"}) {
					t.Errorf("child is %+v", d.processing)
				}
			},
		},
		"a failure without a step to blame leads to one too, and is that of all actions": {
			phase: remediationv1.PhaseExecuting, snapshot: func() Snapshot {
				workflow := workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)
				workflow.Status.FailedStep, workflow.Status.FailedStepName, workflow.Status.FailedAction = nil, "", ""
				return workflowOf(workflow)
			}(),
			wantPhase: remediationv1.PhaseRecovering, wantReason: ReasonRecovering, wantEffect: "processing", wantWake: refDelay,
			want: func(t *testing.T, d decision) {
				t.Helper()
				ref := d.status.WorkflowExecutionRefs[0]
				if d.status.RecoveryReason != "workflow_ineffective" || ref.FailedAction != string(shared.ActionRollbackDeployment) || ref.Target != "Deployment shop/cart" {
					t.Errorf("reason %s, ref %+v", d.status.RecoveryReason, ref)
				}
			},
		},
		"a workflow that failed for good is for people, with all that they need": {
			phase: remediationv1.PhaseExecuting, snapshot: workflowOf(workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeRolledBack)),
			modify:    func(r *remediationv1.RemediationRequest) { r.Status.MaxRecoveryAttempts = new(int32(0)) },
			wantPhase: failed, wantOutcome: review, wantReason: ReasonWorkflowFailed,
			want: func(t *testing.T, d decision) {
				t.Helper()
				const want = "WorkflowExecution cart-workflow failed at step roll-back (rollback-deployment on Deployment shop/cart): ineffective: " +
					"the target did not become healthy. What it had changed was undone. No further attempt is made: the request allows no recovery. " +
					"Look at it with: kubectl -n shop describe workflowexecution cart-workflow"
				if d.status.EscalationReason != want {
					t.Errorf("got  %s\nwant %s", d.status.EscalationReason, want)
				}
				viable := meta.FindStatusCondition(d.status.Conditions, remediationv1.ConditionRecoveryViable)
				if viable == nil || viable.Status != metav1.ConditionFalse || viable.Reason != ReasonAttemptsExhausted {
					t.Errorf("RecoveryViable is %+v", viable)
				}
				if d.status.LastFailureTime == nil || !d.status.EscalatedToManualReview || d.status.WorkflowExecutionRefs[0].Outcome != "RolledBack" {
					t.Errorf("status is %+v", d.status)
				}
			},
		},
		"a workflow that a policy denied is for people at once": {
			phase: remediationv1.PhaseExecuting, snapshot: func() Snapshot {
				workflow := workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)
				workflow.Status.ErrorType = shared.ErrorPolicyDenied
				return workflowOf(workflow)
			}(),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonWorkflowFailed,
		},
		"the same failure in a recovery is for people": {
			phase: remediationv1.PhaseExecuting, modify: recoveringFrom, snapshot: func() Snapshot {
				workflow := workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)
				recoveryOf(workflow)
				workflow.Status.ErrorType = shared.ErrorResourceNotFound
				return workflowOf(workflow)
			}(),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonWorkflowFailed,
			want: func(t *testing.T, d decision) {
				t.Helper()
				refs := d.status.WorkflowExecutionRefs
				if len(refs) != 2 || refs[1].Name != "cart-recovery-1" || refs[1].AttemptNumber != 2 || d.status.RecoveryAttempts != 1 ||
					meta.FindStatusCondition(d.status.Conditions, remediationv1.ConditionRecoveryViable).Reason != ReasonSameFailure {
					t.Errorf("status is %+v", d.status)
				}
			},
		},
		"another failure in a recovery leads to the next": {
			phase: remediationv1.PhaseExecuting, modify: recoveringFrom, snapshot: func() Snapshot {
				workflow := workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)
				recoveryOf(workflow)
				return workflowOf(workflow)
			}(),
			wantPhase: remediationv1.PhaseRecovering, wantReason: ReasonRecovering, wantEffect: "processing", wantWake: refDelay,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if d.processing.Name != "cart-recovery-2" || d.processing.Spec.FailedWorkflowRef.Name != "cart-recovery-1" || len(d.status.WorkflowExecutionRefs) != 2 {
					t.Errorf("child is %+v, refs %+v", d.processing.ObjectMeta, d.status.WorkflowExecutionRefs)
				}
			},
		},
		"steps worth keeping are a partial success when too many workflows fail": {
			phase: remediationv1.PhaseExecuting, snapshot: func() Snapshot {
				workflow := workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)
				workflow.Status.ErrorType = shared.ErrorTimeout
				workflow.Status.Steps = []workflowexecutionv1.StepStatus{{Action: string(shared.ActionScaleDeployment), Phase: workflowexecutionv1.StepCompleted}}
				s := workflowOf(workflow)
				s.recent = rate{finished: 10, failed: 1}
				return s
			}(),
			wantPhase: completed, wantOutcome: remediationv1.OutcomePartialSuccess, wantReason: ReasonPartialSuccess,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if meta.FindStatusCondition(d.status.Conditions, remediationv1.ConditionRecoveryViable).Reason != ReasonFailureRateTooHigh ||
					!meta.IsStatusConditionFalse(d.status.Conditions, remediationv1.ConditionWorkflowSucceeded) {
					t.Errorf("conditions are %+v", d.status.Conditions)
				}
			},
		},
		"nothing worth keeping is for people when too many workflows fail": {
			phase: remediationv1.PhaseExecuting, snapshot: func() Snapshot {
				s := workflowOf(workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed))
				s.recent = rate{finished: 10, failed: 1}
				return s
			}(),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonWorkflowFailed,
		},

		"recovering without a child makes it of the workflow that failed": {
			phase: remediationv1.PhaseRecovering, modify: recoveringFrom,
			snapshot:  Snapshot{failed: child[workflowexecutionv1.WorkflowExecution]{object: workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)}},
			wantPhase: remediationv1.PhaseRecovering, wantEffect: "processing", wantWake: refDelay,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if d.processing.Name != "cart-recovery-1" || d.processing.Spec.FailedWorkflowRef.UID != "workflow-uid" || d.status.RecoveryAttempts != 1 {
					t.Errorf("child is %+v", d.processing)
				}
			},
		},
		"recovering from a workflow that is gone fails": {
			phase: remediationv1.PhaseRecovering, modify: recoveringFrom, wantPhase: failed, wantOutcome: review, wantReason: ReasonChildGone,
		},
		"recovering from a workflow that is foreign fails": {
			phase: remediationv1.PhaseRecovering, modify: recoveringFrom, snapshot: Snapshot{failed: child[workflowexecutionv1.WorkflowExecution]{foreign: "its controller is nobody"}},
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildForeign,
		},
		"recovering with a foreign child fails": {
			phase: remediationv1.PhaseRecovering, modify: recoveringFrom, snapshot: Snapshot{processing: child[remediationprocessingv1.RemediationProcessing]{foreign: "its controller is nobody"}},
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildForeign,
		},
		"recovering whose child is refused fails": {
			phase: remediationv1.PhaseRecovering, modify: recoveringFrom, snapshot: Snapshot{refusal: errors.New("denied")},
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildRefused,
		},
		"recovering with a child that has just begun waits without a write": {
			phase: remediationv1.PhaseRecovering, modify: recoveringFrom, snapshot: processingOf(processingIn("")), at: time.Second,
			wantPhase: remediationv1.PhaseRecovering, wantWake: refDelay,
		},
		"recovering with a completed child goes on to analyze with all that failed": {
			phase: remediationv1.PhaseRecovering, modify: recoveringFrom, snapshot: examinedAgain(recommended("first")), at: time.Second,
			wantPhase: remediationv1.PhaseAnalyzing, wantReason: ReasonAnalyzing, wantEffect: "analysis", wantWake: time.Second + refDelay,
			want: func(t *testing.T, d decision) {
				t.Helper()
				want := aianalysisv1.AIAnalysisSpec{
					IsRecoveryAttempt: true, RecoveryAttemptNumber: 1, FailedStep: new(int32(0)), FailureReason: "it has no revision 9",
					FailedWorkflowRef:      &shared.ObjectReference{Name: "cart-workflow", UID: "workflow-uid"},
					PreviousAIAnalysisRefs: []shared.ObjectReference{{Name: "cart-analysis", UID: "analysis-uid"}}, FailedPlaybooks: []string{"first"},
				}
				got := d.analysis.Spec
				if diff := cmp.Diff(want, aianalysisv1.AIAnalysisSpec{
					IsRecoveryAttempt: got.IsRecoveryAttempt, RecoveryAttemptNumber: got.RecoveryAttemptNumber, FailedStep: got.FailedStep, FailureReason: got.FailureReason,
					FailedWorkflowRef: got.FailedWorkflowRef, PreviousAIAnalysisRefs: got.PreviousAIAnalysisRefs, FailedPlaybooks: got.FailedPlaybooks,
				}); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if d.analysis.Name != "cart-recovery-1" || len(d.status.RemediationProcessingRefs) != 2 || d.status.RemediationProcessingRefs[1].AttemptNumber != 2 {
					t.Errorf("child %s, refs %+v", d.analysis.Name, d.status.RemediationProcessingRefs)
				}
			},
		},
		"recovering without the earlier analysis fails: it could be proposed again": {
			phase: remediationv1.PhaseRecovering, modify: recoveringFrom, snapshot: examinedAgain(child[aianalysisv1.AIAnalysis]{}),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildGone,
		},
		"recovering with a foreign earlier analysis fails": {
			phase: remediationv1.PhaseRecovering, modify: recoveringFrom, snapshot: examinedAgain(child[aianalysisv1.AIAnalysis]{foreign: "its controller is nobody"}),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildForeign,
		},
		"recovering for too long fails": {
			phase: remediationv1.PhaseRecovering, modify: recoveringFrom, snapshot: processingOf(processingIn("")), at: 5 * time.Minute,
			wantPhase: failed, wantOutcome: timedOut, wantReason: ReasonTimedOut,
		},
		"recovering whose child cannot be read asks again": {
			phase: remediationv1.PhaseRecovering, modify: recoveringFrom, snapshot: Snapshot{unread: errors.New("away")},
			wantPhase: remediationv1.PhaseRecovering, wantRetry: true,
		},
		"analyzing in a recovery without a child makes it with all that failed": {
			phase: remediationv1.PhaseAnalyzing, modify: and(recoveringFrom, func(r *remediationv1.RemediationRequest) { r.Status.AIAnalysisRefs = nil }),
			snapshot: examinedAgain(recommended("first")), wantPhase: remediationv1.PhaseAnalyzing, wantEffect: "analysis", wantWake: refDelay,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if d.analysis.Name != "cart-recovery-1" || len(d.analysis.Spec.FailedPlaybooks) != 1 {
					t.Errorf("child is %+v", d.analysis)
				}
			},
		},
		"analyzing in a recovery without the earlier analysis fails": {
			phase: remediationv1.PhaseAnalyzing, modify: recoveringFrom, snapshot: examinedAgain(),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonChildGone,
		},
		"analyzing in a recovery with nothing left is for people": {
			phase: remediationv1.PhaseAnalyzing, modify: recoveringFrom, snapshot: func() Snapshot {
				analysis := analysisIn(aianalysisv1.PhaseFailed)
				recoveryOf(analysis)
				return analysisOf(analysis)
			}(),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonAnalysisFailed,
		},
		"analyzing in a recovery with a recommendation runs it under its own name": {
			phase: remediationv1.PhaseAnalyzing, modify: recoveringFrom, snapshot: func() Snapshot {
				analysis := analysisIn(aianalysisv1.PhaseCompleted)
				recoveryOf(analysis)
				return analysisOf(analysis)
			}(),
			wantPhase: remediationv1.PhaseExecuting, wantReason: ReasonExecuting, wantEffect: "workflow", wantWake: time.Hour,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if d.workflow.Name != "cart-recovery-1" || len(d.status.AIAnalysisRefs) != 2 || d.status.AIAnalysisRefs[1].AttemptNumber != 2 {
					t.Errorf("child %s, refs %+v", d.workflow.Name, d.status.AIAnalysisRefs)
				}
			},
		},
		"a recovery that succeeds remediates": {
			phase: remediationv1.PhaseExecuting, modify: recoveringFrom, snapshot: func() Snapshot {
				workflow := workflowIn(workflowexecutionv1.PhaseCompleted, workflowexecutionv1.OutcomeSuccess)
				recoveryOf(workflow)
				return workflowOf(workflow)
			}(),
			wantPhase: completed, wantOutcome: remediationv1.OutcomeRemediated, wantReason: ReasonRemediated,
		},

		"a request that is cancelled before it begins ends at once": {
			modify: cancelled, wantPhase: failed, wantOutcome: remediationv1.OutcomeCancelled, wantReason: ReasonCancelled,
		},
		"a request that is cancelled while the target is examined ends at once": {
			phase: remediationv1.PhaseProcessing, modify: cancelled, snapshot: processingOf(processingIn("")),
			wantPhase: failed, wantOutcome: remediationv1.OutcomeCancelled, wantReason: ReasonCancelled,
		},
		"a request that is cancelled while it recovers ends at once": {
			phase: remediationv1.PhaseRecovering, modify: and(recoveringFrom, cancelled), snapshot: examinedAgain(recommended("first")),
			wantPhase: failed, wantOutcome: remediationv1.OutcomeCancelled, wantReason: ReasonCancelled,
		},
		"a request that is cancelled before its workflow is made makes none": {
			phase: remediationv1.PhaseExecuting, modify: cancelled, snapshot: analysisOf(analysisIn(aianalysisv1.PhaseCompleted)),
			wantPhase: failed, wantOutcome: remediationv1.OutcomeCancelled, wantReason: ReasonCancelled,
		},
		"a request that is cancelled stops its workflow": {
			phase: remediationv1.PhaseExecuting, modify: and(named, cancelled), at: time.Minute, snapshot: workflowOf(workflowIn(workflowexecutionv1.PhaseExecuting, "")),
			wantPhase: remediationv1.PhaseExecuting, wantReason: ReasonStopping, wantEffect: "cancel", wantWake: time.Hour + stopLimit,
		},
		"a request that is cancelled stops a workflow that waits, too": {
			phase: remediationv1.PhaseExecuting, modify: and(named, cancelled), at: time.Minute,
			snapshot:  workflowOf(waiting(workflowIn(workflowexecutionv1.PhaseValidating, ""), 0, time.Second)),
			wantPhase: remediationv1.PhaseExecuting, wantReason: ReasonStopping, wantEffect: "cancel",
		},
		"a request that is cancelled ends when its workflow has, and calls nobody": {
			phase: remediationv1.PhaseExecuting, modify: and(named, cancelled), snapshot: workflowOf(stoppedIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeRolledBack)),
			wantPhase: failed, wantOutcome: remediationv1.OutcomeCancelled, wantReason: ReasonCancelled,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if d.status.EscalatedToManualReview || d.status.WorkflowExecutionRefs[0].Outcome != "RolledBack" {
					t.Errorf("status is %+v", d.status)
				}
			},
		},
		"a request that is cancelled and whose workflow could not undo all is for people": {
			phase: remediationv1.PhaseExecuting, modify: and(named, cancelled), snapshot: workflowOf(stoppedIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeRollbackFailed)),
			wantPhase: failed, wantOutcome: remediationv1.OutcomeCancelled, wantReason: ReasonCancelled,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if !d.status.EscalatedToManualReview || !strings.Contains(d.status.EscalationReason, "could not be undone") {
					t.Errorf("status is %+v", d.status)
				}
			},
		},
		"a request that is cancelled after its workflow failed recovers no more": {
			phase: remediationv1.PhaseExecuting, modify: and(named, cancelled), snapshot: workflowOf(workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)),
			wantPhase: failed, wantOutcome: remediationv1.OutcomeCancelled, wantReason: ReasonCancelled,
		},
		"a request that is cancelled too late is remediated": {
			phase: remediationv1.PhaseExecuting, modify: and(named, cancelled), snapshot: workflowOf(workflowIn(workflowexecutionv1.PhaseCompleted, workflowexecutionv1.OutcomeSuccess)),
			wantPhase: completed, wantOutcome: remediationv1.OutcomeRemediated, wantReason: ReasonRemediated,
		},
		"a request that is cancelled and whose workflow is gone is for people": {
			phase: remediationv1.PhaseExecuting, modify: and(named, cancelled), wantPhase: failed, wantOutcome: review, wantReason: ReasonChildGone,
		},

		"a completed request is kept": {
			phase: completed, at: time.Minute, wantPhase: completed, wantWake: time.Hour,
		},
		"a completed request is removed in the end": {
			phase: completed, at: time.Hour, wantPhase: completed, wantEffect: "remove",
		},
		"a failed request is removed in the end": {
			phase: failed, at: time.Hour, wantPhase: failed, wantEffect: "remove",
		},
		"an escalation is to be told where there is a sink": {
			phase: remediationv1.PhaseExecuting, modify: func(r *remediationv1.RemediationRequest) { r.Status.MaxRecoveryAttempts = new(int32(0)) },
			snapshot: func() Snapshot {
				s := workflowOf(workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed))
				s.notifies = true
				return s
			}(),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonWorkflowFailed,
			want: func(t *testing.T, d decision) {
				t.Helper()
				notified := meta.FindStatusCondition(d.status.Conditions, remediationv1.ConditionNotified)
				if notified == nil || notified.Status != metav1.ConditionFalse || notified.Reason != remediationv1.ReasonNotificationPending {
					t.Errorf("Notified is %+v", notified)
				}
			},
		},
		"an escalation is an event and a condition where there is none": {
			phase: remediationv1.PhaseExecuting, modify: func(r *remediationv1.RemediationRequest) { r.Status.MaxRecoveryAttempts = new(int32(0)) },
			snapshot:  workflowOf(workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)),
			wantPhase: failed, wantOutcome: review, wantReason: ReasonWorkflowFailed,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if notified := meta.FindStatusCondition(d.status.Conditions, remediationv1.ConditionNotified); notified != nil {
					t.Errorf("Notified is %+v", notified)
				}
			},
		},
		"a failed request that people were not told of is kept": {
			phase: failed, at: time.Hour, modify: notifying(remediationv1.ReasonDeliveryFails), snapshot: Snapshot{notifies: true}, wantPhase: failed,
		},
		"it is removed when they were told": {
			phase: failed, at: time.Hour, modify: notifying(remediationv1.ReasonDelivered), snapshot: Snapshot{notifies: true},
			wantPhase: failed, wantEffect: "remove",
		},
		"it is removed when this was given up": {
			phase: failed, at: time.Hour, modify: notifying(remediationv1.ReasonDeliveryGivenUp), snapshot: Snapshot{notifies: true},
			wantPhase: failed, wantEffect: "remove",
		},
		"it is removed when nothing can tell them any more": {
			phase: failed, at: time.Hour, modify: notifying(remediationv1.ReasonNotificationPending), wantPhase: failed, wantEffect: "remove",
		},
		"a failed request whose workflow runs is kept": {
			phase: failed, modify: named, at: time.Hour, snapshot: workflowOf(workflowIn(workflowexecutionv1.PhaseExecuting, "")), wantPhase: failed,
		},
		"a failed request learns how its workflow ended": {
			phase: failed, modify: named, at: time.Minute,
			snapshot:  workflowOf(workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)),
			wantPhase: failed, wantWake: time.Hour,
			want: func(t *testing.T, d decision) {
				t.Helper()
				if d.status.WorkflowExecutionRefs[0].Outcome != "Failed" {
					t.Errorf("refs are %+v", d.status.WorkflowExecutionRefs)
				}
			},
		},
		"a failed request whose workflow cannot be read asks again": {
			phase: failed, modify: named, snapshot: Snapshot{unread: errors.New("away")}, wantPhase: failed, wantRetry: true,
		},
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	for sentence, test := range rows() {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := test.snapshot
			s.request = requestIn(test.phase)
			if test.modify != nil {
				test.modify(s.request)
			}
			before := s.request.DeepCopy()
			d := decide(s, began.Add(test.at))
			if err := transitions().Check(test.phase, d.status.OverallPhase); err != nil {
				t.Fatal(err)
			}
			if d.status.OverallPhase != test.wantPhase || d.status.Outcome != test.wantOutcome {
				t.Errorf("got phase %s with outcome %s, want %s with %s", d.status.OverallPhase, d.status.Outcome, test.wantPhase, test.wantOutcome)
			}
			if effect := effectOf(d); effect != test.wantEffect {
				t.Errorf("effect is %q, want %q", effect, test.wantEffect)
			}
			if (d.retry != nil) != test.wantRetry {
				t.Errorf("retry is %v", d.retry)
			}
			ready := meta.FindStatusCondition(d.status.Conditions, shared.ConditionReady)
			if test.wantReason != "" && (ready == nil || ready.Reason != test.wantReason) {
				t.Errorf("Ready is %+v, want reason %s", ready, test.wantReason)
			}
			wantWake := test.wantWake
			if test.wantPhase.Terminal() && !test.phase.Terminal() {
				wantWake = test.at + time.Hour
				checkEnd(t, d)
			}
			switch {
			case wantWake == 0 && !d.wakeAt.IsZero(), wantWake != 0 && !d.wakeAt.Equal(began.Add(wantWake)):
				t.Errorf("wakes at %v, want %v", d.wakeAt, began.Add(wantWake))
			}
			if test.want != nil {
				test.want(t, d)
			}
			if diff := cmp.Diff(before, s.request); diff != "" {
				t.Errorf("the snapshot was changed (-was +is):\n%s", diff)
			}
		})
	}
}

// checkEnd holds what is true of every request that has just ended.
func checkEnd(t *testing.T, d decision) {
	t.Helper()
	failed := d.status.OverallPhase == remediationv1.PhaseFailed
	// Who cancels knows of it: that nobody else is called is tested where it is so.
	escalated := failed && (d.status.Outcome != remediationv1.OutcomeCancelled || d.status.EscalatedToManualReview)
	if d.status.CompletionTime == nil || d.status.Outcome == "" {
		t.Errorf("it ended without time or outcome: %+v", d.status)
	}
	if meta.IsStatusConditionTrue(d.status.Conditions, shared.ConditionStalled) != failed ||
		meta.IsStatusConditionTrue(d.status.Conditions, shared.ConditionReady) == failed ||
		d.status.EscalatedToManualReview != escalated || (d.status.EscalationReason != "") != escalated ||
		meta.IsStatusConditionTrue(d.status.Conditions, remediationv1.ConditionEscalated) != escalated {
		t.Errorf("summary and phase disagree: %+v", d.status)
	}
	if effectOf(d) != "" {
		t.Errorf("it ended with the effect %s", effectOf(d))
	}
}

func TestEscalationKeepsTheCommand(t *testing.T) {
	t.Parallel()
	workflow := workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)
	workflow.Status.FailureReason = strings.Repeat("long ", 300)
	s := workflowOf(workflow)
	s.request = requestIn(remediationv1.PhaseExecuting)
	s.request.Status.MaxRecoveryAttempts = new(int32(0))
	reason := decide(s, began).status.EscalationReason
	if len(reason) > longestEscalation || !strings.HasSuffix(reason, "kubectl -n shop describe workflowexecution cart-workflow") {
		t.Errorf("%d bytes: %s", len(reason), reason)
	}
}
