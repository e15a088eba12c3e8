package crash

import (
	"sync"
	"time"
)

// movedClock is the real time and a step: the clock of the controllers of one run.
type movedClock struct {
	mutex  sync.Mutex
	offset time.Duration
}

// Now is the time that the controllers see.
func (c *movedClock) Now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return time.Now().Add(c.offset)
}

// Since is how long ago that was for the controllers.
func (c *movedClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// step moves the clock, backwards too.
func (c *movedClock) step(by time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.offset += by
}

// reach moves the clock forward to a time that is still to come.
func (c *movedClock) reach(t time.Time) {
	if left := t.Sub(c.Now()); left > 0 {
		c.step(left)
	}
}
