package clock

import (
	"fmt"
	"strconv"
	"time"
)

// Unit of a limit.
type Unit string

const (
	Minutes      Unit = "m"
	Hours        Unit = "h"  // natural
	WorkingHours Unit = "wh" // within office hours of working days
	WorkingDays  Unit = "wd" // the day of the start is not counted
	Days         Unit = "d"  // natural; a last day off moves to the next working day (民法典 art. 201, 203)
	Months       Unit = "mo" // to the same day of a later month, or its last (民法典 art. 202)
)

// Limit is a length of time in the unit that the rule names.
type Limit struct {
	N    int64
	Unit Unit
}

const maxLimit = 100_000

// ParseLimit reads "3h", "30m", "4wh", "5wd", "60d", "1mo".
func ParseLimit(s string) (Limit, error) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(s[:i], 10, 64)
	l := Limit{N: n, Unit: Unit(s[i:])}
	if err != nil || n <= 0 || n > maxLimit || !l.Unit.known() {
		return Limit{}, fmt.Errorf("clock: %q is not a limit such as 3h, 30m, 4wh, 5wd, 60d or 1mo", s)
	}
	return l, nil
}

func (u Unit) known() bool {
	switch u {
	case Minutes, Hours, WorkingHours, WorkingDays, Days, Months:
		return true
	}
	return false
}

// String writes what ParseLimit reads.
func (l Limit) String() string { return strconv.FormatInt(l.N, 10) + string(l.Unit) }

// MarshalText makes Limit a word in YAML and JSON.
func (l Limit) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (l *Limit) UnmarshalText(b []byte) (err error) {
	*l, err = ParseLimit(string(b))
	return err
}

// span is a stretch in which the clock runs; to is never for the last.
type span struct{ from, to int64 }

const never = int64(1) << 60

// horizon bounds how far a deadline is looked for: no rule reaches 100
// years.
const horizon = 100 * 366

// end gives the instant at which a limit that begins at `from` is used up,
// counting only the spans. first is the day of the start, which day units
// do not count. It is never when the clock is paused for good before.
func (c *Calendar) end(spans []span, from int64, first Day, l Limit) int64 {
	switch l.Unit {
	case Minutes:
		return elapse(spans, from, l.N*minute)
	case Hours:
		return elapse(spans, from, l.N*hour)
	case WorkingHours:
		return c.elapseWorking(spans, from, l.N*hour)
	case WorkingDays:
		return c.endDays(spans, first, l.N, true)
	case Months:
		return c.roll(c.endDays(spans, first, int64(addMonths(first, int(l.N))-first), false))
	default:
		return c.roll(c.endDays(spans, first, l.N, false))
	}
}

func elapse(spans []span, from, left int64) int64 {
	for _, s := range spans {
		at := max(s.from, from)
		if s.to <= at {
			continue
		}
		if s.to-at >= left {
			return at + left
		}
		left -= s.to - at
	}
	return never
}

func (c *Calendar) elapseWorking(spans []span, from, left int64) int64 {
	for _, s := range spans {
		at := max(s.from, from)
		for d := DayOf(at); at < s.to && int64(d) < int64(DayOf(from))+horizon; d++ {
			if !c.Works(d) {
				continue
			}
			for _, h := range c.hours {
				open, shut := max(d.Start()+h.From*minute, at), min(d.Start()+h.To*minute, s.to)
				if shut <= open {
					continue
				}
				if shut-open >= left {
					return open + left
				}
				left -= shut - open
			}
		}
	}
	return never
}

// endDays counts the days at whose end the clock runs, after the first.
func (c *Calendar) endDays(spans []span, first Day, n int64, working bool) int64 {
	i := 0
	for d := first + 1; d < first+horizon; d++ {
		end := d.End()
		for i < len(spans) && spans[i].to < end {
			i++
		}
		if i == len(spans) {
			return never
		}
		if spans[i].from >= end || working && !c.Works(d) {
			continue
		}
		if n--; n == 0 {
			return end
		}
	}
	return never
}

// roll moves an end on a day off to the end of the next working day.
func (c *Calendar) roll(end int64) int64 {
	if end == never {
		return never
	}
	d := DayOf(end - 1)
	for limit := d + 60; !c.Works(d) && d < limit; {
		d++
	}
	return d.End()
}

// addMonths goes to the same day of a later month, or its last day.
func addMonths(d Day, n int) Day {
	y, m, dd := d.Date()
	firstOf := time.Date(y, m+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := firstOf.AddDate(0, 1, -1).Day()
	t := time.Date(firstOf.Year(), firstOf.Month(), min(dd, last), 0, 0, 0, 0, time.UTC)
	return Day(t.Unix() * 1000 / day)
}
