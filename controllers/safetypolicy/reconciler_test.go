package safetypolicy

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/policies/gate"
)

func TestMain(m *testing.M) {
	gate.MaybeChild()
	os.Exit(m.Run())
}

func TestReconcileWritesOnceAndTells(t *testing.T) {
	t.Parallel()
	policy := &safetyv1alpha1.SafetyPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: 1}}
	policy.Spec.Source.Rego = "package kubernaut.safety.p\n\ndeny contains \"x\" if input.step.name == \"a\"\n"
	policy.Spec.Tests = "package kubernaut.safety.p_test\n\n" +
		"test_denies if count(data.kubernaut.safety.p.deny) == 1 with input as {\"step\": {\"name\": \"a\"}}\n"
	scheme := runtime.NewScheme()
	if err := safetyv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	writes := 0
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(policy).WithStatusSubresource(policy).WithInterceptorFuncs(interceptor.Funcs{
		SubResourceUpdate: func(ctx context.Context, c client.Client, _ string, object client.Object, options ...client.SubResourceUpdateOption) error {
			writes++
			return c.Status().Update(ctx, object, options...)
		},
	}).Build()
	safety, err := gate.New(gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recorder := events.NewFakeRecorder(10)
	r := &Reconciler{Clients: machinery.Clients{Cached: c, Live: c}, Gate: safety, Recorder: recorder, Clock: clock.RealClock{}}
	request := ctrl.Request{NamespacedName: client.ObjectKey{Name: "p"}}
	reconciled := func() (ctrl.Result, safetyv1alpha1.SafetyPolicy) {
		t.Helper()
		result, err := r.Reconcile(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		var now safetyv1alpha1.SafetyPolicy
		if err := c.Get(t.Context(), request.NamespacedName, &now); err != nil {
			t.Fatal(err)
		}
		return result, now
	}
	result, now := reconciled()
	if result.RequeueAfter == 0 || !isLoading(now.Status) || len(recorder.Events) != 0 {
		t.Errorf("before it is loaded: %v, %+v", result, now.Status)
	}
	if _, err := safety.Apply(t.Context(), []gate.PolicyObject{gate.ObjectOf(policy)}); err != nil {
		t.Fatal(err)
	}
	_, now = reconciled()
	if !meta.IsStatusConditionTrue(now.Status.Conditions, shared.ConditionReady) || len(now.Status.Digest) != 64 || len(recorder.Events) != 1 {
		t.Errorf("when it is loaded: %+v, %d events", now.Status, len(recorder.Events))
	}
	if reconciled(); writes != 2 || len(recorder.Events) != 1 {
		t.Errorf("%d writes, want 2", writes)
	}
	requests, err := r.all(t.Context())
	if err != nil || len(requests) != 1 || requests[0] != request {
		t.Errorf("got %v, %v", requests, err)
	}
	request.Name = "gone"
	if result, err := r.Reconcile(t.Context(), request); err != nil || !result.IsZero() {
		t.Errorf("got %v, %v", result, err)
	}
}

func TestChangesWake(t *testing.T) {
	t.Parallel()
	safety, err := gate.New(gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	want := reconcile.Request{NamespacedName: client.ObjectKey{Name: "held"}}
	calls := 0
	list := func(context.Context) ([]reconcile.Request, error) {
		if calls++; calls == 1 {
			return nil, errors.New("away")
		}
		return []reconcile.Request{want}, nil
	}
	if err := Changes(safety, list).Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	done := make(chan reconcile.Request)
	go func() {
		got, _ := queue.Get()
		done <- got
	}()
	for i := 0; ; i++ {
		object := gate.PolicyObject{Name: "p", Rego: "package kubernaut.safety.p\n\nwarn contains \"x\"\n"}
		if i%2 == 1 {
			object.Enforcement = gate.Audit
		}
		if _, err := safety.Apply(t.Context(), []gate.PolicyObject{object}); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-done:
			if got != want {
				t.Errorf("got %v", got)
			}
			return
		case <-time.After(10 * time.Millisecond):
			if i > 1000 {
				t.Fatal("nobody was woken")
			}
		}
	}
}
