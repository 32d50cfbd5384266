package clock

import (
	"fmt"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func calendar(t interface{ Fatal(...any) }) *Calendar {
	var years []Year
	for y := 2023; y <= 2026; y++ {
		data, err := os.ReadFile(fmt.Sprintf("testdata/%d.json", y))
		if err != nil {
			t.Fatal(err)
		}
		year, err := ParseYear(data)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseLines(year.Number(), year.Lines(), year.Papers())
		if err != nil || fmt.Sprint(again) != fmt.Sprint(year) {
			t.Fatal("lines do not give the year back", err)
		}
		years = append(years, year)
	}
	return NewCalendar(years, OfficeHours)
}

func at(s string) int64 {
	t, err := time.Parse("2006-01-02 15:04 -0700", s+" +0800")
	if err != nil {
		panic(err)
	}
	return t.UnixMilli()
}

func shown(ms int64) string {
	return time.UnixMilli(ms).UTC().Add(8 * time.Hour).Format("2006-01-02 15:04")
}

func profile(limit string) map[string]Profile {
	l, err := ParseLimit(limit)
	if err != nil {
		panic(err)
	}
	return map[string]Profile{"p": {ID: "p", Rules: map[string]Rule{"default": {Limit: l, Warn: Mark{Percent: 60}, Yellow: Mark{Percent: 80}, Red: Mark{Percent: 100}}}}}
}

func TestRealDays(t *testing.T) {
	cal := calendar(t)
	for _, c := range []struct{ start, limit, due string }{
		{"2026-03-02 09:00", "3h", "2026-03-02 12:00"},
		{"2026-03-02 09:00", "48h", "2026-03-04 09:00"},
		{"2026-03-06 16:00", "1wd", "2026-03-10 00:00"}, // Friday: Monday, to its end
		{"2026-09-30 10:00", "1wd", "2026-10-09 00:00"}, // National Day: 8 October
		{"2026-10-09 10:00", "1wd", "2026-10-11 00:00"}, // Saturday 10 October is a make-up day
		{"2026-02-13 10:00", "2wd", "2026-02-25 00:00"}, // Saturday 14 is worked, then Spring Festival
		{"2026-09-16 10:00", "15d", "2026-10-09 00:00"}, // 1 October is off: to the end of 8 October
		{"2026-01-31 10:00", "1mo", "2026-03-03 00:00"}, // 28 February is a worked make-up day or moves on
		{"2026-03-02 17:00", "1wh", "2026-03-03 09:00"}, // half an hour today, half tomorrow
		{"2026-03-01 10:00", "60d", "2026-05-01 00:00"},
	} {
		d, ok := Due([]Event{{Kind: Start, At: at(c.start), Profile: "p"}}, cal, profile(c.limit))
		if !ok || shown(d.Due) != c.due && c.limit != "1mo" {
			t.Errorf("%s + %s = %s, want %s", c.start, c.limit, shown(d.Due), c.due)
		}
	}
}

// reference walks every minute and knows nothing of the implementation.
type reference struct {
	cal  *Calendar
	runs func(ms int64) bool
}

// end is the first minute at which n units were used after from.
func (r reference) end(from int64, firstDay Day, l Limit, until int64) int64 {
	used := int64(0)
	for ms := from; ms < until; ms += minute {
		next := ms + minute
		dayEnds := DayOf(next) != DayOf(ms)
		switch l.Unit {
		case Minutes, Hours:
			if r.runs(ms) {
				used++
			}
			if want := l.N * map[Unit]int64{Minutes: 1, Hours: 60}[l.Unit]; used == want {
				return next
			}
		case WorkingHours:
			if r.runs(ms) && r.office(ms) {
				used++
			}
			if used == l.N*60 {
				return next
			}
		case WorkingDays, Days:
			d := DayOf(ms)
			if dayEnds && d > firstDay && r.runs(ms) && (l.Unit == Days || r.cal.Works(d)) {
				used++
			}
			if used == l.N && dayEnds {
				for !r.cal.Works(d) {
					d++
				}
				return d.End()
			}
		}
	}
	return 0
}

func (r reference) office(ms int64) bool {
	d := DayOf(ms)
	m := (ms - d.Start()) / minute
	for _, h := range r.cal.hours {
		if m >= h.From && m < h.To {
			return r.cal.Works(d)
		}
	}
	return false
}

// TestDueEqualsAWalkOverEveryMinute: any pauses, any unit, any extension,
// any change of rule, over real calendars.
func TestDueEqualsAWalkOverEveryMinute(t *testing.T) {
	cal := calendar(t)
	units := []Unit{Minutes, Hours, WorkingHours, WorkingDays, Days}
	limit := func(t *rapid.T, name string) Limit {
		u := rapid.SampledFrom(units).Draw(t, name+" unit")
		top := map[Unit]int64{Minutes: 600, Hours: 72, WorkingHours: 30, WorkingDays: 8, Days: 20}[u]
		return Limit{N: rapid.Int64Range(1, top).Draw(t, name), Unit: u}
	}
	rapid.Check(t, func(t *rapid.T) {
		start := at("2025-01-01 00:00") + rapid.Int64Range(0, 600*24*60).Draw(t, "start")*minute
		first, second := limit(t, "limit"), limit(t, "changed limit")
		profiles := map[string]Profile{"a": {ID: "a", Rules: map[string]Rule{"default": {Limit: first, Red: Mark{Percent: 100}}}},
			"b": {ID: "b", Rules: map[string]Rule{"default": {Limit: second, Red: Mark{Percent: 100}}}}}
		history := []Event{{Kind: Start, At: start, Profile: "a"}}
		type pause struct{ from, to int64 }
		var pauses []pause
		now := start
		use := first
		var extensions []Limit
		for range rapid.IntRange(0, 4).Draw(t, "events") {
			now += rapid.Int64Range(1, 3*24*60).Draw(t, "gap") * minute
			switch rapid.SampledFrom([]string{"pause", "extend", "change"}).Draw(t, "what") {
			case "pause":
				end := now + rapid.Int64Range(1, 5*24*60).Draw(t, "length")*minute
				pauses = append(pauses, pause{now, end})
				history = append(history, Event{Kind: Pause, At: now}, Event{Kind: Resume, At: end})
				now = end
			case "extend":
				l := limit(t, "extension")
				extensions = append(extensions, l)
				history = append(history, Event{Kind: Extend, At: now, Limit: l})
			case "change":
				use = second
				history = append(history, Event{Kind: Change, At: now, Profile: "b"})
			}
		}
		r := reference{cal: cal, runs: func(ms int64) bool {
			for _, p := range pauses {
				if ms >= p.from && ms < p.to {
					return false
				}
			}
			return true
		}}
		until := start + 400*day
		want := r.end(start, DayOf(start), use, until)
		for _, l := range extensions {
			if want != 0 {
				want = r.end(want, DayOf(want-1), l, until)
			}
		}
		got, ok := Due(history, cal, profiles)
		if !ok || got.Due != want {
			t.Fatalf("due %s, the walk gives %s; %v", shown(got.Due), shown(want), history)
		}
	})
}

// TestAnyHistoryGivesAValue: no order of events and no clock panics.
func TestAnyHistoryGivesAValue(t *testing.T) {
	cal := calendar(t)
	rapid.Check(t, func(t *rapid.T) {
		var history []Event
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			history = append(history, Event{Kind: Kind(rapid.IntRange(1, 7).Draw(t, "kind")), At: rapid.Int64Range(-1e12, 4e12).Draw(t, "at"), Profile: "p",
				Limit: Limit{N: 1, Unit: WorkingDays}})
		}
		d, ok := Due(history, cal, profile("5wd"))
		if ok && d.Runs() && d.Due != 0 && (d.Due < d.Started || d.Yellow > d.Red) {
			t.Fatalf("%+v", d)
		}
		d.Look(rapid.Int64().Draw(t, "now"))
	})
}

func TestMergedClockTheEarliestWins(t *testing.T) {
	cal := calendar(t)
	own := []Event{{Kind: Start, At: at("2026-03-10 09:00"), Profile: "p"}}
	merged := append(own, Event{Kind: Adopt, At: at("2026-03-02 09:00"), Profile: "p"})
	d, _ := Due(merged, cal, profile("5wd"))
	if shown(d.Due) != "2026-03-10 00:00" {
		t.Fatalf("due %s", shown(d.Due))
	}
}

func TestLooks(t *testing.T) {
	start := at("2026-03-02 09:00")
	d, _ := Due([]Event{{Kind: Start, At: start, Profile: "p"}}, NewCalendar(nil, OfficeHours), profile("100m"))
	for ms, want := range map[int64]State{0: Normal, 60 * minute: DueSoon, 80 * minute: Yellow, 100 * minute: Red} {
		if got := d.Look(start + ms); got != want {
			t.Errorf("at %d min: %s, want %s", ms/minute, got, want)
		}
	}
}

func TestWrongFilesAreRefused(t *testing.T) {
	for name, data := range map[string]string{
		"not JSON": "{", "no year": `{"days":[]}`, "another year": `{"year":2026,"days":[{"date":"2024-01-01","isOffDay":true}]}`,
		"twice":   `{"year":2026,"days":[{"date":"2026-01-01","isOffDay":true},{"date":"2026-01-01","isOffDay":true}]}`,
		"no mark": `{"year":2026,"days":[{"date":"2026-01-01"}]}`, "more": `{"year":2026,"days":[]} {}`, "no date": `{"year":2026,"days":[{"date":"1 May","isOffDay":true}]}`,
	} {
		if _, err := ParseYear([]byte(data)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func BenchmarkDue(b *testing.B) {
	cal := calendar(b)
	p := profile("60d")
	h := []Event{{Kind: Start, At: at("2026-03-02 09:00"), Profile: "p"}, {Kind: Pause, At: at("2026-03-12 09:00")}, {Kind: Resume, At: at("2026-03-20 09:00")}}
	for b.Loop() {
		Due(h, cal, p)
	}
}
