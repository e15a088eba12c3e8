package facts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"

	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// recorder notes the kinds that are read through it, by get or list, and what a cache is told to watch.
type recorder struct {
	client.WithWatch
	cache.Cache

	kinds    map[string]bool
	handlers map[string]toolscache.ResourceEventHandler
	synced   bool
	failing  string // the kind that cannot be watched
}

func (r *recorder) note(object any) {
	var gvk schema.GroupVersionKind
	switch object := object.(type) {
	case client.Object:
		gvk, _ = apiutil.GVKForObject(object, r.Scheme())
	case client.ObjectList:
		gvk, _ = apiutil.GVKForObject(object, r.Scheme())
	}
	r.kinds[gvk.Group+"/"+strings.ToLower(strings.TrimSuffix(gvk.Kind, "List"))] = true
}

func (r *recorder) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	r.note(object)
	return r.WithWatch.Get(ctx, key, object, options...)
}

func (r *recorder) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	r.note(list)
	return r.WithWatch.List(ctx, list, options...)
}

func (r *recorder) IndexField(ctx context.Context, object client.Object, _ string, _ client.IndexerFunc) error {
	_, err := r.GetInformer(ctx, object)
	return err
}

func (r *recorder) GetInformer(_ context.Context, object client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	r.note(object)
	kind := fmt.Sprintf("%T", object)
	if r.failing != "" && strings.HasSuffix(kind, r.failing) {
		return nil, errCache
	}
	return informer{FakeInformer: controllertest.NewFakeInformer(controllertest.Synced), recorder: r, kind: kind}, nil
}

type informer struct {
	*controllertest.FakeInformer

	recorder *recorder
	kind     string
}

func (i informer) AddEventHandler(handler toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	if i.recorder.failing == "handler" {
		return nil, errCache
	}
	i.recorder.handlers[i.kind] = handler
	return registration{recorder: i.recorder}, nil
}

type registration struct {
	toolscache.ResourceEventHandlerRegistration

	recorder *recorder
}

func (r registration) HasSynced() bool { return r.recorder.synced }

func newRecorder(t *testing.T, w *world) *recorder {
	t.Helper()
	return &recorder{
		WithWatch: cacheOf(t, w.objects...), Cache: &informertest.FakeInformers{},
		kinds: map[string]bool{}, handlers: map[string]toolscache.ResourceEventHandler{}, synced: true,
	}
}

// The facts of one step lead to everything that facts are read from: what is read beyond Reads fails here, and what Reads lists
// without need does too. That the account of the manager may read it is tested where its role is generated.
func TestReadsIsWhatIsRead(t *testing.T) {
	w := newWorld()
	ref := func(kind, name string) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: "apps/v1", Kind: kind, Name: name, UID: "uid", Controller: new(true)}
	}
	meta := func(name string, owner metav1.OwnerReference) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "uid", OwnerReferences: []metav1.OwnerReference{owner}}
	}
	w.live().SetOwnerReferences([]metav1.OwnerReference{ref("ReplicaSet", "r")})
	w.add(
		&appsv1.ReplicaSet{ObjectMeta: meta("r", ref("Deployment", "d"))}, &appsv1.Deployment{ObjectMeta: meta("d", ref("StatefulSet", "s"))},
		&appsv1.StatefulSet{ObjectMeta: meta("s", ref("DaemonSet", "d"))}, &appsv1.DaemonSet{ObjectMeta: meta("d", ref("Secret", "x"))},
	)
	recorded := newRecorder(t, w)
	known, err := New(t.Context(), recorded, nil, nil, w.clock)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := known.Input(t.Context(), w.question); err != nil {
		t.Fatal(err)
	}
	if _, err := known.ForcesDryRun(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, rule := range Reads() {
		for _, resource := range rule.Resources {
			want[rule.APIGroups[0]+"/"+singular(resource)] = true
		}
	}
	same(t, "kinds", slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(recorded.kinds)))
}

func singular(resource string) string {
	if stem, found := strings.CutSuffix(resource, "analyses"); found {
		return stem + "analysis"
	}
	return strings.TrimSuffix(resource, "s")
}

func TestNewWatchesWorkflows(t *testing.T) {
	w := newWorld()
	recorded := newRecorder(t, w)
	known, err := New(t.Context(), recorded, nil, nil, w.clock)
	if err != nil {
		t.Fatal(err)
	}
	workflows, executions := recorded.handlers["*v1.WorkflowExecution"], recorded.handlers["*v1.KubernetesExecution"]
	executing := workflowIn(workflowexecutionv1.PhaseExecuting, "workflow-2", "shop")
	workflows.OnAdd(executing, true)
	executions.OnAdd(ran("past", time.Minute), true)
	executions.OnUpdate(nil, ran("past", time.Minute))
	same(t, "active", map[string]int{"shop": 1}, known.Activity.activeWorkflows())
	workflows.OnDelete(executing)
	same(t, "active", map[string]int{}, known.Activity.activeWorkflows())
	list, all := known.Activity.onTarget("cart-1", "workflow-1")
	same(t, "executions", 1, len(list))
	same(t, "all of them", true, all)
	same(t, "synced", true, known.Activity.Synced())
	recorded.synced = false
	same(t, "synced", false, known.Activity.Synced())
}

func TestNewFailsWhereWatchingFails(t *testing.T) {
	for _, kind := range []string{"HorizontalPodAutoscaler", "Node", "WorkflowExecution", "handler"} {
		w := newWorld()
		recorded := newRecorder(t, w)
		recorded.failing = kind
		if _, err := New(t.Context(), recorded, nil, nil, w.clock); !errors.Is(err, errCache) {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}
