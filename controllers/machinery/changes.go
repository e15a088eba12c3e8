package machinery

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Changes is something that changes as a whole, such as the set of policies of the safety gate.
type Changes interface {
	// Changed is a channel that is closed at the next change.
	Changed() <-chan struct{}
}

// changePriority puts what waits for a change before what else is to be done: it was stopped, and goes on first.
const changePriority = 10

// OnChange queues what waiting lists, at each change. If a change comes before the cache that waiting reads has something that
// waits, its own event follows, and the change is seen then.
func OnChange(changes Changes, waiting func(context.Context) []reconcile.Request) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		changed := changes.Changed()
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-changed:
				}
				changed = changes.Changed()
				add(queue, waiting(ctx))
			}
		}()
		return nil
	})
}

func add(queue workqueue.TypedRateLimitingInterface[reconcile.Request], requests []reconcile.Request) {
	if prioritized, is := queue.(priorityqueue.PriorityQueue[reconcile.Request]); is {
		prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: new(changePriority)}, requests...)
		return
	}
	for _, request := range requests {
		queue.Add(request)
	}
}
