package safetypolicy

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"kubernaut.io/kubernaut/policies/gate"
)

// Changes is a source that wakes objects whenever the gate has another set of policies: list says which. A controller adds it with
// WatchesRawSource; what waits for policies to change, such as a workflow on hold, is woken at once and need not poll.
func Changes(g *gate.Gate, list func(context.Context) ([]reconcile.Request, error)) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		// Taken here, not in the goroutine: a change after this returns is not missed.
		changed := g.Changed()
		go func() {
			var retry <-chan time.Time
			for {
				select {
				case <-ctx.Done():
					return
				case <-retry:
				case <-changed:
					changed = g.Changed()
				}
				retry = nil
				requests, err := list(ctx)
				if err != nil {
					logf.FromContext(ctx).Error(err, "who is to be woken by the new set of policies is asked again soon")
					retry = time.After(retryAfter)
				}
				for _, request := range requests {
					queue.Add(request)
				}
			}
		}()
		return nil
	})
}
