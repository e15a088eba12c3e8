package notification

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
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

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

var ended = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// pager is a sink that answers with the codes that it is given, one after the other, and then with 200.
type pager struct {
	*httptest.Server
	codes []int
	ids   []string
}

func newPager(t *testing.T, codes ...int) *pager {
	t.Helper()
	p := &pager{codes: codes}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message Message
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil || message.Text == "" || len(message.Blocks) == 0 {
			t.Errorf("got %+v: %v", message, err)
		}
		code := http.StatusOK
		if len(p.codes) > 0 {
			code, p.codes = p.codes[0], p.codes[1:]
		}
		if code == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "30")
		}
		w.WriteHeader(code)
		if code == http.StatusOK {
			p.ids = append(p.ids, r.Header.Get(HeaderID))
		}
	}))
	t.Cleanup(p.Close)
	return p
}

type world struct {
	t          *testing.T
	client     client.Client
	clock      *testclock.FakePassiveClock
	recorder   *events.FakeRecorder
	reconciler *Reconciler
	address    string
	writes     int
	// refuse is the answer to the next write.
	refuse error
}

func newWorld(t *testing.T, address string, request *remediationv1.RemediationRequest) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := remediationv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, clock: testclock.NewFakePassiveClock(ended), recorder: events.NewFakeRecorder(8), address: address}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(request).WithStatusSubresource(request).WithInterceptorFuncs(interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, options ...client.SubResourceUpdateOption) error {
			if err := w.refuse; err != nil {
				w.refuse = nil
				return err
			}
			w.writes++
			return c.SubResource(sub).Update(ctx, object, options...)
		},
	}).Build()
	w.restart()
	return w
}

// restart is another process: what it knows is what the API says.
func (w *world) restart() {
	w.t.Helper()
	sink, err := NewSink(SinkOptions{URLFile: addressFile(w.t, w.address+"/"+secret)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.reconciler = &Reconciler{Clients: machinery.Clients{Cached: w.client, Live: w.client}, Sink: sink, Recorder: w.recorder, Clock: w.clock}
}

func (w *world) reconcile() (ctrl.Result, error) {
	w.t.Helper()
	return w.reconciler.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "shop", Name: "cart"}})
}

// expect reconciles once, and checks whether it is to be tried again, and what is recorded then.
func (w *world) expect(again bool, is metav1.ConditionStatus, reason string) {
	w.t.Helper()
	result, err := w.reconcile()
	if retried := err != nil || result.RequeueAfter > 0; retried != again {
		w.t.Errorf("to be tried again: %v, %v", result, err)
	}
	if err != nil && strings.Contains(err.Error(), secret) {
		w.t.Errorf("the address is in %q", err)
	}
	var request remediationv1.RemediationRequest
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: "shop", Name: "cart"}, &request); err != nil {
		w.t.Fatal(err)
	}
	notified := meta.FindStatusCondition(request.Status.Conditions, remediationv1.ConditionNotified)
	if notified.Status != is || notified.Reason != reason || strings.Contains(notified.Message, secret) {
		w.t.Errorf("Notified is %+v, want %s, %s", notified, is, reason)
	}
}

func (w *world) events() []string {
	var reasons []string
	for {
		select {
		case event := <-w.recorder.Events:
			if strings.Contains(event, secret) {
				w.t.Errorf("the address is in %q", event)
			}
			reasons = append(reasons, strings.Fields(event)[1])
		default:
			return reasons
		}
	}
}

func pending() *remediationv1.RemediationRequest {
	request := escalated()
	request.Status.CompletionTime = new(metav1.NewTime(ended))
	meta.SetStatusCondition(&request.Status.Conditions, metav1.Condition{
		Type: remediationv1.ConditionNotified, Status: metav1.ConditionFalse, Reason: remediationv1.ReasonNotificationPending, Message: "to be told",
	})
	return request
}

func TestItIsToldOnce(t *testing.T) {
	t.Parallel()
	pager := newPager(t)
	w := newWorld(t, pager.URL, pending())
	w.expect(false, metav1.ConditionTrue, remediationv1.ReasonDelivered)
	w.expect(false, metav1.ConditionTrue, remediationv1.ReasonDelivered)
	w.restart()
	w.expect(false, metav1.ConditionTrue, remediationv1.ReasonDelivered)
	if !slices.Equal(pager.ids, []string{"request-uid"}) || w.writes != 1 || len(w.events()) != 0 {
		t.Errorf("told %v with %d writes", pager.ids, w.writes)
	}
}

func TestItIsToldInTheEnd(t *testing.T) {
	t.Parallel()
	pager := newPager(t, http.StatusInternalServerError, http.StatusInternalServerError, http.StatusTooManyRequests)
	w := newWorld(t, pager.URL, pending())
	w.expect(true, metav1.ConditionFalse, remediationv1.ReasonDeliveryFails)
	w.expect(true, metav1.ConditionFalse, remediationv1.ReasonDeliveryFails)
	if w.writes != 1 {
		t.Errorf("the same failure was written %d times", w.writes)
	}
	if result, err := w.reconcile(); err != nil || result.RequeueAfter != 30*time.Second {
		t.Errorf("the sink asked to be left alone: %v, %v", result, err)
	}
	w.expect(false, metav1.ConditionTrue, remediationv1.ReasonDelivered)
	if !slices.Equal(pager.ids, []string{"request-uid"}) {
		t.Errorf("told %v", pager.ids)
	}
	if got := w.events(); !slices.Equal(got, []string{EventNotificationFailed}) {
		t.Errorf("events are %v", got)
	}
}

// TestItIsToldAfterARestart has the sink down until the process that escalated is gone.
func TestItIsToldAfterARestart(t *testing.T) {
	t.Parallel()
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	w := newWorld(t, down.URL, pending())
	w.expect(true, metav1.ConditionFalse, remediationv1.ReasonDeliveryFails)
	pager := newPager(t)
	w.address = pager.URL
	w.restart()
	w.expect(false, metav1.ConditionTrue, remediationv1.ReasonDelivered)
	if !slices.Equal(pager.ids, []string{"request-uid"}) {
		t.Errorf("told %v", pager.ids)
	}
}

// TestALostWriteTellsOnce loses the write after the sink has taken it: this process remembers.
func TestALostWriteTellsOnce(t *testing.T) {
	t.Parallel()
	pager := newPager(t)
	for name, refusal := range map[string]error{
		"conflict": apierrors.NewConflict(schema.GroupResource{Resource: "remediationrequests"}, "cart", errors.New("someone was faster")),
		"error":    apierrors.NewInternalError(errors.New("away")),
	} {
		pager.ids = nil
		w := newWorld(t, pager.URL, pending())
		w.refuse = refusal
		w.expect(true, metav1.ConditionFalse, remediationv1.ReasonNotificationPending)
		w.expect(false, metav1.ConditionTrue, remediationv1.ReasonDelivered)
		if !slices.Equal(pager.ids, []string{"request-uid"}) {
			t.Errorf("%s: told %v", name, pager.ids)
		}
	}
}

func TestItIsGivenUpAfterADay(t *testing.T) {
	t.Parallel()
	pager := newPager(t, slices.Repeat([]int{http.StatusGone}, 3)...)
	w := newWorld(t, pager.URL, pending())
	w.clock.SetTime(ended.Add(keepTrying - time.Second))
	w.expect(true, metav1.ConditionFalse, remediationv1.ReasonDeliveryFails)
	w.clock.SetTime(ended.Add(keepTrying))
	w.expect(false, metav1.ConditionFalse, remediationv1.ReasonDeliveryGivenUp)
	w.expect(false, metav1.ConditionFalse, remediationv1.ReasonDeliveryGivenUp)
	if got := w.events(); !slices.Equal(got, []string{EventNotificationFailed, EventNotificationFailed}) || len(pager.codes) != 1 {
		t.Errorf("events are %v, and the sink was asked %d times", got, 3-len(pager.codes))
	}
}

func TestNobodyIsToldOfOthers(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*remediationv1.RemediationRequest){
		"a request that was not escalated": func(r *remediationv1.RemediationRequest) { r.Status.Conditions = nil },
		"a request that runs":              func(r *remediationv1.RemediationRequest) { r.Status.OverallPhase = remediationv1.PhaseExecuting },
		"a request that is being deleted": func(r *remediationv1.RemediationRequest) {
			r.DeletionTimestamp, r.Finalizers = new(metav1.NewTime(ended)), []string{"example.com/keep"}
		},
	}
	for sentence, change := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pager := newPager(t)
			request := pending()
			change(request)
			w := newWorld(t, pager.URL, request)
			if result, err := w.reconcile(); err != nil || !result.IsZero() || len(pager.ids) != 0 || w.writes != 0 {
				t.Errorf("told %v with %d writes: %v, %v", pager.ids, w.writes, result, err)
			}
		})
	}
}
