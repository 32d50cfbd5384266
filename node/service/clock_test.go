package service

import (
	"context"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// machine is a clock of the operating system that a test sets.
type machine struct {
	wall    int64
	running time.Duration
	synced  bool
}

func (m *machine) clock() *systemClock {
	return watch(func() (int64, time.Duration) { return m.wall, m.running }, func() bool { return m.synced })
}

// pass lets time go by; set moves the wall clock alone.
func (m *machine) pass(d time.Duration) { m.running += d; m.set(d) }
func (m *machine) set(d time.Duration)  { m.wall += d.Milliseconds() }

func TestClockSetBackADay(t *testing.T) {
	m := &machine{wall: time.Date(2026, 3, 2, 9, 0, 0, 0, local).UnixMilli()}
	c := m.clock()
	want := func(what string, q envelope.TimeQuality) {
		t.Helper()
		if _, got := c.Now(); got != q {
			t.Errorf("%s: %v, want %v", what, got, q)
		}
	}
	want("set by hand", envelope.TimeSet)
	m.synced = true
	m.pass(40 * time.Hour)
	want("with a time source", envelope.TimeSynced)
	m.set(-time.Minute)
	want("a correction", envelope.TimeSynced)
	m.set(-24 * time.Hour)
	want("set back a day", envelope.TimeSuspect)
	m.set(24 * time.Hour)
	want("set forth again, which nobody looked at", envelope.TimeSuspect)
	c.Confirm()
	want("looked at", envelope.TimeSynced)
	m.set(48 * time.Hour)
	want("set forth two days", envelope.TimeSuspect)
}

// TestClockAtBoot: a clock whose battery died reads before the release; one
// that was set back while the box was off, before the box's newest step.
func TestClockAtBoot(t *testing.T) {
	dead := &machine{wall: time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC).UnixMilli()}
	if _, q := dead.clock().Now(); q != envelope.TimeUnknown {
		t.Errorf("a dead clock: %v", q)
	}
	b := newTestBox(t)
	r := b.report("duty", "断电前")
	b.close()
	for back, want := range map[time.Duration]envelope.TimeQuality{0: envelope.TimeSet, time.Minute: envelope.TimeSet, 24 * time.Hour: envelope.TimeSuspect} {
		m := &machine{wall: r.ChangedAt - back.Milliseconds()}
		box, err := Open(Options{Dir: b.dir, Journals: testJournals{}, Clock: m.clock(), Fatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		_, q := box.clock.Now()
		if q != want {
			t.Errorf("set back %v while it was off: %v, want %v", back, q, want)
		}
		if want == envelope.TimeSuspect {
			made, err := box.Create(context.Background(), b.people["duty"], "event", "", Input{Fields: map[string]any{"title": "断电后", "type": "01", "village": village}})
			if err != nil || made.Number != "" {
				t.Errorf("a number %q is given while nobody knows the year (%v)", made.Number, err)
			}
		}
		if err := box.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
