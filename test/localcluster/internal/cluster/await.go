package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	pollEvery = 50 * time.Millisecond
	tailLines = 25
)

// await repeats the probe until it succeeds. It gives up when the context ends or the component that is responsible
// for the outcome does, and then shows the end of that component's log.
func (l *launch) await(ctx context.Context, component, what string, probe func(context.Context) error) error {
	for {
		last := probe(ctx)
		if last == nil {
			return nil
		}
		if _, alive, err := l.table.Lookup(component); err != nil || !alive {
			return errors.Join(l.blame(component, fmt.Errorf("waiting for %s: %s ended", what, component)), err)
		}
		select {
		case <-ctx.Done():
			// Whoever interrupts does not ask for anybody's log.
			if errors.Is(ctx.Err(), context.Canceled) {
				return context.Cause(ctx)
			}
			return l.blame(component, fmt.Errorf("waiting for %s: %w (last: %w)", what, context.Cause(ctx), last))
		case <-time.After(pollEvery):
		}
	}
}

func (l *launch) awaitHealth(ctx context.Context, component, url string) error {
	return l.await(ctx, component, component+" to be ready", func(ctx context.Context) error {
		return l.api.healthy(ctx, url)
	})
}

func (l *launch) blame(component string, err error) error {
	return fmt.Errorf("%w\nend of %s:\n%s", err, l.table.LogFile(component), l.table.Tail(component, l.logs[component], tailLines))
}
