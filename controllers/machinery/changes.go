package machinery

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Changes is something that changes as a whole, such as the set of policies of the safety gate.
type Changes interface {
	// Changed is a channel that is closed at the next change.
	Changed() <-chan struct{}
}

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
				for _, request := range waiting(ctx) {
					queue.Add(request)
				}
			}
		}()
		return nil
	})
}
