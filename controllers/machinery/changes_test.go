package machinery

import (
	"context"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

type changing struct{ channel chan struct{} }

func (c *changing) Changed() <-chan struct{} { return c.channel }

func (c *changing) change() {
	old := c.channel
	c.channel = make(chan struct{})
	close(old)
}

func TestOnChangeQueuesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		changes := &changing{channel: make(chan struct{})}
		waiting := reconcile.Request{NamespacedName: types.NamespacedName{Name: "w"}}
		if err := OnChange(changes, func(context.Context) []reconcile.Request { return []reconcile.Request{waiting} }).Start(ctx, queue); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			synctest.Wait()
			if queue.Len() != 0 {
				t.Fatal("nothing has changed")
			}
			changes.change()
			synctest.Wait()
			got, _ := queue.Get()
			if got != waiting {
				t.Fatalf("queued %v", got)
			}
			queue.Done(got)
		}
		stop()
		queue.ShutDown()
	})
}

func TestWhatWaitedForAChangeGoesFirst(t *testing.T) {
	named := func(name string) reconcile.Request {
		return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
	}
	queue := priorityqueue.New[reconcile.Request]("changes")
	defer queue.ShutDown()
	queue.Add(named("new"))
	add(queue, []reconcile.Request{named("waited")})
	if got := queue.Len(); got != 2 {
		t.Fatalf("queued are %d", got)
	}
	for _, want := range []string{"waited", "new"} {
		if got, _ := queue.Get(); got != named(want) {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}
