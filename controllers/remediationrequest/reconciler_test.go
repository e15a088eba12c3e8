package remediationrequest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// world is a reconciler, its clients, and what it did.
type world struct {
	t          *testing.T
	client     client.WithWatch
	reconciler *Reconciler
	recorder   *events.FakeRecorder
	clock      *testclock.FakePassiveClock
	writes     int
	creates    int
	updates    int
	refuse     error
	// lose says how many creations are made while their answers are lost.
	lose int
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	add := []func(*runtime.Scheme) error{
		remediationv1.AddToScheme, remediationprocessingv1.AddToScheme, aianalysisv1.AddToScheme, workflowexecutionv1.AddToScheme,
	}
	for _, f := range add {
		if err := f(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, recorder: events.NewFakeRecorder(16), clock: testclock.NewFakePassiveClock(began)}
	byFingerprint := func(object client.Object) []string {
		request, ok := object.(*remediationv1.RemediationRequest)
		if !ok {
			return nil
		}
		return []string{request.Spec.SignalContext.Fingerprint}
	}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithIndex(&remediationv1.RemediationRequest{}, fingerprintField, byFingerprint).
		WithStatusSubresource(&remediationv1.RemediationRequest{}, &remediationprocessingv1.RemediationProcessing{}, &aianalysisv1.AIAnalysis{}, &workflowexecutionv1.WorkflowExecution{}).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, options ...client.SubResourceUpdateOption) error {
				if _, ok := object.(*remediationv1.RemediationRequest); ok {
					w.writes++
				}
				return c.SubResource(sub).Update(ctx, object, options...)
			},
			Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
				w.creates++
				if w.refuse != nil {
					return w.refuse
				}
				err := c.Create(ctx, object, options...)
				if err == nil && w.lose > 0 {
					w.lose--
					return apierrors.NewInternalError(errors.New("the answer was lost"))
				}
				return err
			},
			Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
				w.updates++
				if w.refuse != nil {
					return w.refuse
				}
				return c.Update(ctx, object, options...)
			},
		}).Build()
	w.reconciler = &Reconciler{Clients: machinery.Clients{Cached: w.client, Live: w.client}, Recorder: w.recorder, Clock: w.clock}
	return w
}

func (w *world) reconcile() (ctrl.Result, error) {
	w.t.Helper()
	before := w.writes
	result, err := w.reconciler.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "shop", Name: "cart"}})
	if w.writes > before+1 {
		w.t.Errorf("one reconcile wrote %d times", w.writes-before)
	}
	return result, err
}

func (w *world) mustReconcile() ctrl.Result {
	w.t.Helper()
	result, err := w.reconcile()
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

func (w *world) request() *remediationv1.RemediationRequest {
	w.t.Helper()
	var request remediationv1.RemediationRequest
	w.get("cart", &request)
	return &request
}

func (w *world) get(name string, object client.Object) {
	w.t.Helper()
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, object); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) end(object client.Object) {
	w.t.Helper()
	if err := w.client.Status().Update(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) events() []string {
	var reasons []string
	for {
		select {
		case event := <-w.recorder.Events:
			reasons = append(reasons, strings.Fields(event)[1])
		default:
			return reasons
		}
	}
}

func fresh() *remediationv1.RemediationRequest {
	request := requestIn("")
	request.ResourceVersion = ""
	return request
}

func TestHappyPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fresh())
	w.mustReconcile()

	var processing remediationprocessingv1.RemediationProcessing
	w.get("cart-processing", &processing)
	w.mustReconcile()
	processing.Status = processingIn(remediationprocessingv1.PhaseCompleted).Status
	w.end(&processing)
	w.mustReconcile()

	var analysis aianalysisv1.AIAnalysis
	w.get("cart-analysis", &analysis)
	analysis.Status = analysisIn(aianalysisv1.PhaseCompleted).Status
	w.end(&analysis)
	w.mustReconcile()

	var workflow workflowexecutionv1.WorkflowExecution
	w.get("cart-workflow", &workflow)
	w.mustReconcile()
	workflow.Status = workflowIn(workflowexecutionv1.PhaseCompleted, workflowexecutionv1.OutcomeSuccess).Status
	w.end(&workflow)
	result := w.mustReconcile()

	request := w.request()
	if request.Status.OverallPhase != remediationv1.PhaseCompleted || request.Status.Outcome != remediationv1.OutcomeRemediated {
		t.Errorf("status is %+v", request.Status)
	}
	if w.writes != 5 || w.creates != 3 {
		t.Errorf("%d writes and %d creates, want 5 and 3", w.writes, w.creates)
	}
	if got := w.events(); !slices.Equal(got, []string{EventRemediationStarted, EventRemediationCompleted}) {
		t.Errorf("events are %v", got)
	}
	if result.RequeueAfter != time.Hour {
		t.Errorf("wakes in %v, want the time to live", result.RequeueAfter)
	}

	w.clock.SetTime(began.Add(time.Hour))
	w.mustReconcile()
	err := w.client.Get(t.Context(), client.ObjectKeyFromObject(request), request)
	if !apierrors.IsNotFound(err) {
		t.Errorf("the request is still there: %v", err)
	}
}

// examine, analyze and fail carry out the children of an attempt.
func (w *world) examine(name string) {
	w.t.Helper()
	var processing remediationprocessingv1.RemediationProcessing
	w.get(name, &processing)
	processing.Status = processingIn(remediationprocessingv1.PhaseCompleted).Status
	w.end(&processing)
}

func (w *world) analyze(name, playbook string) *aianalysisv1.AIAnalysis {
	w.t.Helper()
	var analysis aianalysisv1.AIAnalysis
	w.get(name, &analysis)
	analysis.Status = analysisIn(aianalysisv1.PhaseCompleted).Status
	analysis.Status.Recommendation.PlaybookRef = playbook
	w.end(&analysis)
	return &analysis
}

func (w *world) fail(name string, errorType shared.ErrorType) {
	w.t.Helper()
	var workflow workflowexecutionv1.WorkflowExecution
	w.get(name, &workflow)
	workflow.Status = workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed).Status
	workflow.Status.ErrorType = errorType
	w.end(&workflow)
}

// toExecuting brings a request to where its first workflow runs.
func (w *world) toExecuting() {
	w.t.Helper()
	w.mustReconcile()
	w.examine("cart-processing")
	w.mustReconcile()
	w.analyze("cart-analysis", "first")
	w.mustReconcile()
}

func TestRecoveriesUntilTheSameFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fresh())
	w.toExecuting()
	w.fail("cart-workflow", shared.ErrorResourceNotFound)
	w.mustReconcile()
	if status := w.request().Status; status.OverallPhase != remediationv1.PhaseRecovering || status.RecoveryAttempts != 1 {
		t.Fatalf("status is %+v", status)
	}
	w.examine("cart-recovery-1")
	w.mustReconcile()
	w.analyze("cart-recovery-1", "second")
	w.mustReconcile()
	w.fail("cart-recovery-1", shared.ErrorTimeout)
	w.mustReconcile()
	w.examine("cart-recovery-2")
	w.mustReconcile()
	analysis := w.analyze("cart-recovery-2", "third")
	if !slices.Equal(analysis.Spec.FailedPlaybooks, []string{"first", "second"}) || len(analysis.Spec.PreviousAIAnalysisRefs) != 2 ||
		analysis.Spec.FailedWorkflowRef.Name != "cart-recovery-1" {
		t.Errorf("spec is %+v", analysis.Spec)
	}
	w.mustReconcile()
	w.fail("cart-recovery-2", shared.ErrorResourceNotFound)
	w.mustReconcile()
	status := w.request().Status
	if status.OverallPhase != remediationv1.PhaseFailed || status.Outcome != remediationv1.OutcomeManualReviewRequired || status.RecoveryAttempts != 2 {
		t.Errorf("status is %+v", status)
	}
	names := make([]string, 0, len(status.WorkflowExecutionRefs))
	for i, ref := range status.WorkflowExecutionRefs {
		names = append(names, ref.Name)
		if ref.AttemptNumber != int32(i)+1 || ref.Outcome != "Failed" {
			t.Errorf("ref %d is %+v", i, ref)
		}
	}
	if !slices.Equal(names, []string{"cart-workflow", "cart-recovery-1", "cart-recovery-2"}) || len(status.AIAnalysisRefs) != 3 || len(status.RemediationProcessingRefs) != 3 {
		t.Errorf("status is %+v", status)
	}
	want := []string{
		EventRemediationStarted, EventRecoveryInitiated, EventRecoveryInitiated, EventRemediationFailed, EventEscalatedToManualReview,
	}
	if got := w.events(); !slices.Equal(got, want) {
		t.Errorf("events are %v", got)
	}
}

// TestEachRecoveryChildIsMadeOnce loses the answer to each creation of a recovery: the next reconcile adopts what is there.
func TestEachRecoveryChildIsMadeOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fresh())
	w.toExecuting()
	w.fail("cart-workflow", shared.ErrorResourceNotFound)
	lossy := func() {
		t.Helper()
		w.lose = 1
		if _, err := w.reconcile(); err == nil {
			t.Error("the lost answer is not reported")
		}
		w.mustReconcile()
	}
	lossy()
	w.examine("cart-recovery-1")
	lossy()
	w.analyze("cart-recovery-1", "second")
	lossy()
	status := w.request().Status
	if status.RecoveryAttempts != 1 || len(status.WorkflowExecutionRefs) != 2 || status.WorkflowExecutionRefs[1].Outcome != remediationv1.OutcomeInProgress ||
		*status.CurrentWorkflowExecutionRef != "cart-recovery-1" {
		t.Errorf("status is %+v", status)
	}
}

// TestARecoveryIsRecordedBeforeItBegins fails the creation after the write: the intent is there, and is carried out once.
func TestARecoveryIsRecordedBeforeItBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fresh())
	w.toExecuting()
	w.fail("cart-workflow", shared.ErrorResourceNotFound)
	w.refuse = apierrors.NewInternalError(errors.New("webhook is away"))
	for range 3 {
		if _, err := w.reconcile(); err == nil {
			t.Error("the error is not reported")
		}
	}
	if status := w.request().Status; status.OverallPhase != remediationv1.PhaseRecovering || status.RecoveryAttempts != 1 {
		t.Errorf("status is %+v", status)
	}
	w.refuse = nil
	w.mustReconcile()
	var processing remediationprocessingv1.RemediationProcessing
	w.get("cart-recovery-1", &processing)
}

func TestForeignRecoveryChildIsNotAdopted(t *testing.T) {
	t.Parallel()
	foreign := processingIn("")
	foreign.Name, foreign.ResourceVersion = "cart-recovery-1", ""
	w := newWorld(t, fresh(), foreign)
	w.toExecuting()
	w.fail("cart-workflow", shared.ErrorResourceNotFound)
	if _, err := w.reconcile(); err == nil {
		t.Error("the foreign child is not reported")
	}
	w.mustReconcile()
	status := w.request().Status
	if status.OverallPhase != remediationv1.PhaseFailed || !strings.Contains(status.EscalationReason, "RemediationProcessing cart-recovery-1 exists and is not a child") {
		t.Errorf("status is %+v", status)
	}
}

func TestTheFailureRateIsThatOfTheWholeSystem(t *testing.T) {
	t.Parallel()
	objects := []client.Object{fresh()}
	for i := range 9 {
		other := workflowIn(workflowexecutionv1.PhaseCompleted, workflowexecutionv1.OutcomeSuccess)
		other.Namespace, other.Name = "elsewhere", "w"+strings.Repeat("x", i)
		objects = append(objects, other)
	}
	w := newWorld(t, objects...)
	w.toExecuting()
	w.fail("cart-workflow", shared.ErrorResourceNotFound)
	w.mustReconcile()
	status := w.request().Status
	viable := meta.FindStatusCondition(status.Conditions, remediationv1.ConditionRecoveryViable)
	if status.Outcome != remediationv1.OutcomeManualReviewRequired || viable.Reason != ReasonFailureRateTooHigh || status.RecoveryAttempts != 0 {
		t.Errorf("status is %+v", status)
	}
}

// TestASystemThatFailsComesBack has every workflow fail until no recovery is started. An hour later the failures are of the past, and
// the next one leads to a recovery: the limit cannot hold itself up.
func TestASystemThatFailsComesBack(t *testing.T) {
	t.Parallel()
	objects := []client.Object{fresh()}
	for i := range rateLeast - 1 {
		other := workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)
		other.Namespace, other.Name = "elsewhere", "w"+strings.Repeat("x", i)
		objects = append(objects, other)
	}
	w := newWorld(t, objects...)
	w.toExecuting()
	w.fail("cart-workflow", shared.ErrorResourceNotFound)
	w.mustReconcile()
	if viable := meta.FindStatusCondition(w.request().Status.Conditions, remediationv1.ConditionRecoveryViable); viable.Reason != ReasonFailureRateTooHigh {
		t.Fatalf("RecoveryViable is %+v", viable)
	}

	later := newWorld(t, objects...)
	later.clock.SetTime(began.Add(time.Minute + rateWindow))
	later.toExecuting()
	later.fail("cart-workflow", shared.ErrorResourceNotFound)
	later.mustReconcile()
	if status := later.request().Status; status.OverallPhase != remediationv1.PhaseRecovering || status.RecoveryAttempts != 1 {
		t.Errorf("status is %+v", status)
	}
}

func TestCancelStopsTheWorkflow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fresh())
	w.toExecuting()
	w.mustReconcile()
	request := w.request()
	request.Spec.Cancel = new(true)
	if err := w.client.Update(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	w.updates = 0
	w.mustReconcile()
	w.mustReconcile()
	var workflow workflowexecutionv1.WorkflowExecution
	w.get("cart-workflow", &workflow)
	if workflow.Spec.Cancel != workflowexecutionv1.CancelAbortAndRollBack || w.updates != 1 {
		t.Errorf("cancel is %q after %d updates", workflow.Spec.Cancel, w.updates)
	}
	if phase := w.request().Status.OverallPhase; phase != remediationv1.PhaseExecuting {
		t.Errorf("phase is %s before the workflow has ended", phase)
	}
	workflow.Status = stoppedIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeRolledBack).Status
	w.end(&workflow)
	w.mustReconcile()
	if status := w.request().Status; status.Outcome != remediationv1.OutcomeCancelled || status.EscalatedToManualReview {
		t.Errorf("status is %+v", status)
	}
	if got := w.events(); !slices.Equal(got, []string{EventRemediationStarted, EventRemediationFailed}) {
		t.Errorf("events are %v", got)
	}
}

func TestAWorkflowThatMayNotBeStoppedIsForPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fresh())
	w.toExecuting()
	w.mustReconcile()
	w.clock.SetTime(began.Add(time.Hour))
	w.refuse = apierrors.NewForbidden(schema.GroupResource{Resource: "workflowexecutions"}, "cart-workflow", errors.New("denied by policy"))
	if _, err := w.reconcile(); err == nil {
		t.Error("the refusal is not reported")
	}
	w.mustReconcile()
	status := w.request().Status
	if status.Outcome != remediationv1.OutcomeTimedOut || !strings.Contains(status.EscalationReason, "denied by policy") {
		t.Errorf("status is %+v", status)
	}
}

func TestRefusalIsRecordedInAReconcileOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fresh())
	w.refuse = apierrors.NewForbidden(schema.GroupResource{Resource: "remediationprocessings"}, "cart-processing", errors.New("denied by policy"))
	if _, err := w.reconcile(); err == nil {
		t.Error("the refusal is not reported")
	}
	if phase := w.request().Status.OverallPhase; phase != remediationv1.PhaseProcessing {
		t.Errorf("phase is %s", phase)
	}
	w.mustReconcile()
	status := w.request().Status
	if status.OverallPhase != remediationv1.PhaseFailed || !strings.Contains(status.EscalationReason, "denied by policy") || w.writes != 2 {
		t.Errorf("after %d writes the status is %+v", w.writes, status)
	}
	if got := w.events(); !slices.Equal(got, []string{EventRemediationStarted, EventRemediationFailed, EventEscalatedToManualReview}) {
		t.Errorf("events are %v", got)
	}
}

func TestTransientRefusalIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fresh())
	w.refuse = apierrors.NewInternalError(errors.New("webhook is away"))
	for range 3 {
		if _, err := w.reconcile(); err == nil {
			t.Error("the error is not reported")
		}
	}
	w.refuse = nil
	w.mustReconcile()
	if phase := w.request().Status.OverallPhase; phase != remediationv1.PhaseProcessing || w.writes != 1 {
		t.Errorf("after %d writes the phase is %s", w.writes, phase)
	}
}

func TestForeignChildIsNotAdopted(t *testing.T) {
	t.Parallel()
	foreign := processingIn(remediationprocessingv1.PhaseCompleted)
	foreign.ResourceVersion = ""
	w := newWorld(t, fresh(), foreign)
	if _, err := w.reconcile(); err == nil {
		t.Error("the foreign child is not reported")
	}
	w.mustReconcile()
	if status := w.request().Status; status.OverallPhase != remediationv1.PhaseFailed || w.events()[1] != EventRemediationFailed {
		t.Errorf("status is %+v", status)
	}
}

func TestOfTwoAtOnceOneGoesOn(t *testing.T) {
	t.Parallel()
	other := fresh()
	other.Name, other.UID = "cart-2", "another-uid"
	w := newWorld(t, fresh(), other)
	if result := w.mustReconcile(); result.RequeueAfter != tieLimit {
		t.Errorf("waits for %v, want %v", result.RequeueAfter, tieLimit)
	}
	w.clock.SetTime(began.Add(tieLimit))
	w.mustReconcile()
	status := w.request().Status
	if status.Outcome != remediationv1.OutcomeDuplicate || status.DuplicateOf != "cart-2" || w.creates != 0 {
		t.Errorf("status is %+v", status)
	}
}

func TestAFinishedRequestIsNoRival(t *testing.T) {
	t.Parallel()
	other := fresh()
	other.Name, other.UID = "cart-2", "another-uid"
	other.Status.OverallPhase = remediationv1.PhaseCompleted
	different := fresh()
	different.Name, different.UID = "cart-3", "a-third-uid"
	different.Spec.Target.Name = "other"
	different.CreationTimestamp = metav1.NewTime(began.Add(-time.Hour))
	w := newWorld(t, fresh(), other, different)
	w.mustReconcile()
	if phase := w.request().Status.OverallPhase; phase != remediationv1.PhaseProcessing {
		t.Errorf("phase is %s", phase)
	}
}
