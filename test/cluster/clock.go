package cluster

import (
	"sync"
	"time"
)

// Clock is the real time and a step: that of the controllers of one manager, so that nobody waits for what takes hours.
type Clock struct {
	mutex  sync.Mutex
	offset time.Duration
}

// Now is the time that the controllers see.
func (c *Clock) Now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return time.Now().Add(c.offset)
}

// Since is how long ago that was for the controllers.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Step moves the clock, backwards too.
func (c *Clock) Step(by time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.offset += by
}

// Reach moves the clock forward to a time that is still to come.
func (c *Clock) Reach(t time.Time) {
	if left := t.Sub(c.Now()); left > 0 {
		c.Step(left)
	}
}
