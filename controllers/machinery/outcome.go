package machinery

import (
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Outcome is how a reconcile ended: one of Done, Waiting, Transient and Stalled.
type Outcome struct {
	wakeAt time.Time
	err    error
}

// Done needs nothing more until a watch says otherwise.
func Done() Outcome { return Outcome{} }

// Waiting wakes at a deadline unless a watch wakes it before; the zero time is no deadline.
func Waiting(wakeAt time.Time) Outcome { return Outcome{wakeAt: wakeAt} }

// Transient goes back to the rate-limited queue. A conflict is a quiet retry: someone else wrote first.
func Transient(err error) Outcome { return Outcome{err: err} }

// Stalled cannot be cured by trying again; the object says why, and what a person can do.
func Stalled(err error) Outcome { return Outcome{err: reconcile.TerminalError(err)} }

// minRequeue keeps a deadline that has just passed from becoming a busy loop.
const minRequeue = 10 * time.Millisecond

// conflictRequeue lets the cache catch up with the write that won.
const conflictRequeue = 50 * time.Millisecond

// Result is the outcome in controller-runtime's terms.
func (o Outcome) Result(now time.Time) (ctrl.Result, error) {
	switch {
	case o.err != nil && isQuiet(o.err):
		return ctrl.Result{RequeueAfter: conflictRequeue}, nil
	case o.err != nil:
		return ctrl.Result{}, o.err
	case !o.wakeAt.IsZero():
		return ctrl.Result{RequeueAfter: max(o.wakeAt.Sub(now), minRequeue)}, nil
	default:
		return ctrl.Result{}, nil
	}
}

func isQuiet(err error) bool {
	return apierrors.IsConflict(err) && !errors.Is(err, reconcile.TerminalError(nil))
}

// Earliest is the earliest of the times that are set; zero when none is.
func Earliest(times ...time.Time) time.Time {
	var earliest time.Time
	for _, t := range times {
		if t.IsZero() {
			continue
		}
		if earliest.IsZero() || t.Before(earliest) {
			earliest = t
		}
	}
	return earliest
}
