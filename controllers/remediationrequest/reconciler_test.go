package remediationrequest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	refuse     error
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
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
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
				return c.Create(ctx, object, options...)
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
