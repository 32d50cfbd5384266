// Package clock computes deadlines from what happened to a matter and the
// work calendar. It is pure: equal inputs give equal results on every box,
// whatever the machine's clock and time zone. Times are Unix milliseconds.
package clock

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	minute = int64(60_000)
	hour   = 60 * minute
	day    = 24 * hour
	// zone is the one time that the country keeps (UTC+8, no summer time).
	zone = 8 * hour
)

// A Day counts days of UTC+8 since 1970-01-01.
type Day int64

// DayOf is the day that an instant falls on.
func DayOf(ms int64) Day { return Day(floor(ms+zone, day)) }

func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Start is the first instant of the day, End the first after it: the law
// lets a period end at 24:00 of its last day (民法典 art. 203).
func (d Day) Start() int64 { return int64(d)*day - zone }

// End is the first instant after the day.
func (d Day) End() int64 { return (d + 1).Start() }

// Date gives year, month and day.
func (d Day) Date() (int, time.Month, int) { return d.time().Date() }

func (d Day) time() time.Time { return time.Unix(int64(d)*day/1000, 0).UTC() }

// String is YYYY-MM-DD.
func (d Day) String() string { return d.time().Format(time.DateOnly) }

// ParseDay reads YYYY-MM-DD.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("clock: %q is not a date", s)
	}
	return Day(t.Unix() * 1000 / day), nil
}

// Year is the public holidays and make-up working days (调休) of one year.
type Year struct {
	number int
	days   map[Day]special
	papers []string
}

type special struct {
	off  bool
	name string
}

const maxSpecialDays = 120

// Number is the calendar year.
func (y Year) Number() int { return y.number }

// Papers are the sources of the list.
func (y Year) Papers() []string { return slices.Clone(y.papers) }

// Counts gives the days off and the make-up working days.
func (y Year) Counts() (off, work int) {
	for _, s := range y.days {
		if s.off {
			off++
		} else {
			work++
		}
	}
	return off, work
}

// yearFile is the shape in which the lists are published
// (NateScarlet/holiday-cn).
type yearFile struct {
	Year   *int     `json:"year"`
	Papers []string `json:"papers"`
	Days   []struct {
		Name string `json:"name"`
		Date string `json:"date"`
		Off  *bool  `json:"isOffDay"`
	} `json:"days"`
}

// ParseYear reads a yearly file. It is refused whole when a day is wrong.
func ParseYear(data []byte) (Year, error) {
	var f yearFile
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&f); err != nil {
		return Year{}, fmt.Errorf("clock: not a calendar file: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return Year{}, fmt.Errorf("clock: more follows after the calendar")
	}
	if f.Year == nil || *f.Year < 2000 || *f.Year > 2200 {
		return Year{}, fmt.Errorf("clock: the calendar names no year")
	}
	y := Year{number: *f.Year, days: map[Day]special{}, papers: f.Papers}
	for i, d := range f.Days {
		if d.Off == nil {
			return Year{}, fmt.Errorf("clock: day %d (%s) has no isOffDay", i+1, d.Date)
		}
		if err := y.add(d.Date, *d.Off, d.Name); err != nil {
			return Year{}, err
		}
	}
	return y, nil
}

func (y *Year) add(date string, off bool, name string) error {
	d, err := ParseDay(date)
	if err != nil {
		return err
	}
	n, _, _ := d.Date()
	// The list of a year may name the last days of the one before.
	if n != y.number && n != y.number-1 {
		return fmt.Errorf("clock: %s is not in %d", date, y.number)
	}
	if _, twice := y.days[d]; twice {
		return fmt.Errorf("clock: %s stands twice", date)
	}
	if len(y.days) >= maxSpecialDays {
		return fmt.Errorf("clock: more than %d special days", maxSpecialDays)
	}
	y.days[d] = special{off: off, name: name}
	return nil
}

// Lines writes the year for an operation: one "date off|work name" each.
func (y Year) Lines() []string {
	out := make([]string, 0, len(y.days))
	for _, d := range slices.Sorted(maps.Keys(y.days)) {
		kind := "work"
		if y.days[d].off {
			kind = "off"
		}
		out = append(out, strings.TrimSpace(d.String()+" "+kind+" "+y.days[d].name))
	}
	return out
}

// ParseLines reads what Lines wrote.
func ParseLines(year int, lines, papers []string) (Year, error) {
	y := Year{number: year, days: map[Day]special{}, papers: papers}
	for _, line := range lines {
		parts := strings.SplitN(line, " ", 3)
		if len(parts) < 2 || parts[1] != "off" && parts[1] != "work" {
			return Year{}, fmt.Errorf("clock: %q is not a calendar line", line)
		}
		name := ""
		if len(parts) == 3 {
			name = parts[2]
		}
		if err := y.add(parts[0], parts[1] == "off", name); err != nil {
			return Year{}, err
		}
	}
	return y, nil
}

// Interval is a part of the working day, in minutes after midnight.
type Interval struct{ From, To int64 }

// OfficeHours are 08:30–12:00 and 13:30–17:30, the usual hours of a
// township; working hours count within them.
var OfficeHours = []Interval{{8*60 + 30, 12 * 60}, {13*60 + 30, 17*60 + 30}}

// Calendar says which days are worked.
type Calendar struct {
	days  map[Day]bool // special days: worked or not
	years map[int]bool
	hours []Interval
}

// NewCalendar joins yearly lists. A year without one has plain weekends
// and makes deadlines in it uncertain.
func NewCalendar(years []Year, hours []Interval) *Calendar {
	c := &Calendar{days: map[Day]bool{}, years: map[int]bool{}, hours: hours}
	ordered := slices.Clone(years)
	slices.SortFunc(ordered, func(a, b Year) int { return a.number - b.number })
	for _, y := range ordered {
		c.years[y.number] = true
		for d, s := range y.days {
			c.days[d] = !s.off
		}
	}
	return c
}

// Works reports whether the day is worked.
func (c *Calendar) Works(d Day) bool {
	if works, special := c.days[d]; special {
		return works
	}
	weekday := (int64(d)%7 + 7 + 4) % 7 // 1970-01-01 was a Thursday
	return weekday != 0 && weekday != 6
}

// Known reports whether the list of the day's year was imported.
func (c *Calendar) Known(d Day) bool {
	y, _, _ := d.Date()
	return c.years[y]
}
