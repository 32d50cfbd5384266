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
	base    time.Time // carries the monotonic reading
	wall    int64
	quality envelope.TimeQuality
	synced  func() bool
}

// SystemClock is the machine's own clock.
func SystemClock() Clock {
	now := time.Now()
	return &systemClock{base: now, wall: now.UnixMilli(), quality: envelope.TimeSet, synced: kernelSynced}
}

// Now implements Clock.
func (c *systemClock) Now() (int64, envelope.TimeQuality) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	wall := now.Round(0).UnixMilli()
	expected := c.wall + now.Sub(c.base).Milliseconds()
	if drift := expected - wall; drift > stepBack.Milliseconds() || -drift > 24*time.Hour.Milliseconds() {
		c.quality = envelope.TimeSuspect
	}
	switch {
	case wall < buildFloor:
		return wall, envelope.TimeUnknown
	case c.quality == envelope.TimeSuspect:
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
	now := time.Now()
	c.base, c.wall, c.quality = now, now.Round(0).UnixMilli(), envelope.TimeSet
}
