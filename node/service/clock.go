package service

import (
	"sync"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// Clock tells wall time in Unix milliseconds and how far to trust it.
type Clock interface {
	Now() (int64, envelope.TimeQuality)
}

// buildFloor is a time that every honest clock has passed: a box whose
// clock reads less was never set or has a dead battery.
var buildFloor = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// stepBack is the largest backward jump taken for a correction.
const stepBack = 2 * time.Minute

// systemClock watches the operating system's clock against the monotonic
// one, so that a clock set back or forth is noticed.
type systemClock struct {
	mu      sync.Mutex
	read    func() (wall int64, running time.Duration)
	wall    int64         // as it was believed
	running time.Duration // at that moment
	suspect bool
	synced  func() bool
}

// SystemClock is the machine's own clock.
func SystemClock() Clock {
	start := time.Now() // carries the monotonic reading
	return watch(func() (int64, time.Duration) {
		now := time.Now()
		return now.Round(0).UnixMilli(), now.Sub(start)
	}, kernelSynced)
}

func watch(read func() (int64, time.Duration), synced func() bool) *systemClock {
	c := &systemClock{read: read, synced: synced}
	c.wall, c.running = read()
	return c
}

// Now implements Clock.
func (c *systemClock) Now() (int64, envelope.TimeQuality) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, running := c.read()
	drift := c.wall + (running - c.running).Milliseconds() - wall
	c.suspect = c.suspect || drift > stepBack.Milliseconds() || -drift > 24*time.Hour.Milliseconds()
	switch {
	case wall < buildFloor:
		return wall, envelope.TimeUnknown
	case c.suspect:
		return wall, envelope.TimeSuspect
	case c.synced():
		return wall, envelope.TimeSynced
	}
	return wall, envelope.TimeSet
}

// Confirm is called when a person has checked the clock.
func (c *systemClock) Confirm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.running = c.read()
	c.suspect = false
}

// notBefore tells the clock of a time that has surely passed. One that
// reads less was set back, or its battery died, while the box was off.
func (c *systemClock) notBefore(ms int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, _ := c.read()
	c.suspect = c.suspect || wall < ms-stepBack.Milliseconds()
}

// tellClock gives the clock the time of the box's newest step.
func (b *Box) tellClock() error {
	c := b.clock
	for _, g := range b.backlog {
		c.notBefore(g.ops[len(g.ops)-1].op.At)
	}
	head, err := b.store.Head()
	if err != nil || head == 0 {
		return err
	}
	changes, err := b.store.Changes(head-1, 1)
	if err != nil || len(changes) == 0 {
		return err
	}
	r, err := b.storedRecord(changes[0].Record)
	if err == nil {
		c.notBefore(r.ChangedAt)
	}
	return err
}
