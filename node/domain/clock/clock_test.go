package clock

import (
	"cmp"
	"fmt"
	"os"
	"slices"
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

// reference walks every minute and knows nothing of the implementation but
// which days are worked.
type reference struct {
	cal  *Calendar
	runs func(ms int64) bool
}

// end is the first minute at which n units were used after from.
func (r reference) end(from int64, firstDay Day, l Limit, until int64) int64 {
	want := l.N
	switch l.Unit {
	case Hours, WorkingHours:
		want = l.N * 60
	case Months:
		want = daysOfMonths(firstDay, l.N)
	}
	used := int64(0)
	for ms := from; ms < until; ms += minute {
		if r.counts(ms, firstDay, l.Unit) {
			used++
		}
		if used < want {
			continue
		}
		if l.Unit == Minutes || l.Unit == Hours || l.Unit == WorkingHours {
			return ms + minute
		}
		d := DayOf(ms)
		for !r.cal.Works(d) {
			d++
		}
		return d.End()
	}
	return 0
}

// counts: minutes and hours by the minute, days by the minute that ends one.
func (r reference) counts(ms int64, firstDay Day, u Unit) bool {
	d := DayOf(ms)
	switch u {
	case Minutes, Hours:
		return r.runs(ms)
	case WorkingHours:
		return r.runs(ms) && r.office(ms)
	}
	return DayOf(ms+minute) != d && d > firstDay && r.runs(ms) && (u != WorkingDays || r.cal.Works(d))
}

// daysOfMonths walks day by day until the month is the nth after, and the
// day of the month is the same or the month ends.
func daysOfMonths(first Day, n int64) int64 {
	_, _, want := first.Date()
	months, days := int64(0), int64(0)
	for d := first; ; {
		_, before, _ := d.Date()
		d++
		days++
		_, month, dom := d.Date()
		if month != before {
			months++
		}
		_, next, _ := (d + 1).Date()
		if months == n && (dom == want || next != month) {
			return days
		}
	}
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

// told is the story of one clock as a person would tell it; the test turns
// it into a history and walks it by the minute.
type told struct {
	from       int64
	limit      Limit // of the rule that holds in the end
	until      int64 // a fixed end in its place
	extensions []Limit
	pauses     [][2]int64
}

func (s *told) due(cal *Calendar) int64 {
	r := reference{cal: cal, runs: func(ms int64) bool {
		for _, p := range s.pauses {
			if ms >= p[0] && ms < p[1] {
				return false
			}
		}
		return true
	}}
	horizon := s.from + 700*day
	due := max(s.until, s.from)
	if s.until == 0 {
		due = r.end(s.from, DayOf(s.from), s.limit, horizon)
	}
	for _, l := range s.extensions {
		if due != 0 {
			due = r.end(due, DayOf(due-1), l, horizon)
		}
	}
	return due
}

// drawCalendar takes some of the real years and turns some days about, as
// a county may.
func drawCalendar(t *rapid.T, real []Year) *Calendar {
	var years []Year
	for _, y := range real {
		if rapid.Bool().Draw(t, "year known") {
			years = append(years, y)
		}
	}
	cal := NewCalendar(years, OfficeHours)
	for range rapid.IntRange(0, 5).Draw(t, "turned days") {
		cal.days[DayOf(at("2025-01-01 00:00"))+Day(rapid.IntRange(0, 700).Draw(t, "day"))] = rapid.Bool().Draw(t, "worked")
	}
	return cal
}

func drawLimit(t *rapid.T, name string) Limit {
	u := rapid.SampledFrom([]Unit{Minutes, Hours, WorkingHours, WorkingDays, Days, Months}).Draw(t, name+" unit")
	top := map[Unit]int64{Minutes: 600, Hours: 72, WorkingHours: 30, WorkingDays: 8, Days: 20, Months: 2}[u]
	return Limit{N: rapid.Int64Range(1, top).Draw(t, name), Unit: u}
}

// TestDueEqualsAWalkOverEveryMinute: any calendar, unit, rule and change of
// it, any pauses, extensions, fixed ends and backdated starts, any rounds,
// and any merge, whose end gives back what was there.
func TestDueEqualsAWalkOverEveryMinute(t *testing.T) {
	var real []Year
	for y := 2023; y <= 2026; y++ {
		data, err := os.ReadFile(fmt.Sprintf("testdata/%d.json", y))
		if err != nil {
			t.Fatal(err)
		}
		year, err := ParseYear(data)
		if err != nil {
			t.Fatal(err)
		}
		real = append(real, year)
	}
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		cal := drawCalendar(t, real)
		profiles := map[string]Profile{}
		for _, id := range []string{"a", "b", "c"} {
			profiles[id] = Profile{ID: id, Rules: map[string]Rule{
				"default": {Limit: drawLimit(t, "limit"), Red: Mark{Percent: 100}}, "urgent": {Limit: drawLimit(t, "urgent limit"), Red: Mark{Percent: 100}}}}
		}
		s := script{t: t, profiles: profiles, seen: seen, now: at("2025-01-01 00:00") + rapid.Int64Range(0, 500*24*60).Draw(t, "start")*minute}
		s.start()
		for range rapid.IntRange(0, 6).Draw(t, "events") {
			s.now += rapid.Int64Range(1, 3*24*60).Draw(t, "gap") * minute
			s.happen(rapid.SampledFrom([]string{"pause", "extend", "rule", "urgency", "date", "merge", "again"}).Draw(t, "what"))
		}
		got, ok := Due(s.history, cal, profiles)
		want := s.own.due(cal)
		for i := range s.children {
			if due := s.children[i].due(cal); due < want {
				want = due
			}
		}
		if !ok || got.Due != want {
			t.Fatalf("due %s, the walk gives %s; %+v", shown(got.Due), shown(want), s.history)
		}
		apart := slices.DeleteFunc(slices.Clone(s.history), func(e Event) bool { return e.Child != "" })
		if got, _ := Due(apart, cal, profiles); got.Due != s.own.due(cal) {
			t.Fatalf("after the merge was undone: due %s, the walk gives %s; %+v", shown(got.Due), shown(s.own.due(cal)), apart)
		}
	})
	for _, what := range []string{"pause", "extend", "rule", "urgency", "date", "merge", "again"} {
		if seen[what] == 0 {
			t.Errorf("no history with %s", what)
		}
	}
}

// script writes a history and tells its story beside it.
type script struct {
	t        *rapid.T
	profiles map[string]Profile
	seen     map[string]int
	now      int64
	history  []Event
	own      told
	children []told
	profile  string
	urgency  string
}

func (s *script) limit() Limit {
	r, _ := s.profiles[s.profile].Rule(s.urgency)
	return r.Limit
}

func (s *script) start() {
	s.profile, s.urgency = rapid.SampledFrom([]string{"a", "b"}).Draw(s.t, "profile"), rapid.SampledFrom([]string{"", "urgent"}).Draw(s.t, "urgency")
	e := Event{Kind: Start, At: s.now, Profile: s.profile, Urgency: s.urgency}
	if rapid.Bool().Draw(s.t, "backdated") {
		e.Since = s.now - rapid.Int64Range(0, 10*24*60).Draw(s.t, "since")*minute
	}
	s.own = told{from: cmp.Or(e.Since, s.now), limit: s.limit()}
	s.children = nil
	s.history = append(s.history, e)
}

func (s *script) all(f func(*told)) {
	f(&s.own)
	for i := range s.children {
		f(&s.children[i])
	}
}

func (s *script) happen(what string) {
	s.seen[what]++
	switch what {
	case "pause":
		from, to := s.now, s.now+rapid.Int64Range(1, 5*24*60).Draw(s.t, "length")*minute
		s.all(func(x *told) { x.pauses = append(x.pauses, [2]int64{from, to}) })
		s.history = append(s.history, Event{Kind: Pause, At: from}, Event{Kind: Resume, At: to})
		s.now = to
	case "extend":
		l := drawLimit(s.t, "extension")
		s.all(func(x *told) { x.extensions = append(x.extensions, l) })
		s.history = append(s.history, Event{Kind: Extend, At: s.now, Limit: l})
	case "rule", "urgency", "date":
		s.change(what)
	case "again":
		s.history = append(s.history, Event{Kind: Stop, At: s.now})
		s.start()
	case "merge":
		s.merge()
	}
}

func (s *script) change(what string) {
	switch what {
	case "rule":
		s.profile = rapid.SampledFrom([]string{"a", "b"}).Draw(s.t, "other profile")
	case "urgency":
		s.urgency = map[string]string{"": "urgent", "urgent": ""}[s.urgency]
	case "date":
		s.own.until = s.now + rapid.Int64Range(-1000, 40*24*60).Draw(s.t, "fixed end")*minute
	}
	s.own.limit = s.limit()
	s.history = append(s.history, Event{Kind: Change, At: s.now, Profile: s.profile, Urgency: s.urgency, Until: s.own.until})
}

// merge brings in a child with a past of its own.
func (s *script) merge() {
	id := fmt.Sprint("child", len(s.children))
	child := told{from: s.now - rapid.Int64Range(1, 30*24*60).Draw(s.t, "child's age")*minute}
	rule, _ := s.profiles["c"].Rule("")
	child.limit = rule.Limit
	brought := []Event{{Kind: Adopt, At: child.from, Profile: "c", Child: id}}
	at := child.from
	if rapid.Bool().Draw(s.t, "child was paused") && s.now-at > 2*minute {
		from := at + (s.now-at)/minute/3*minute
		to := from + (s.now-from)/minute/2*minute
		if to > from {
			child.pauses = append(child.pauses, [2]int64{from, to})
			brought = append(brought, Event{Kind: Pause, At: from, Child: id}, Event{Kind: Resume, At: to, Child: id})
		}
	}
	if rapid.Bool().Draw(s.t, "child was extended") {
		l := drawLimit(s.t, "child's extension")
		child.extensions = append(child.extensions, l)
		brought = append(brought, Event{Kind: Extend, At: s.now, Limit: l, Child: id})
	}
	s.children = append(s.children, child)
	s.history = append(s.history, brought...)
}

// TestAnyHistoryGivesAValue: no order of events and no clock panics.
func TestAnyHistoryGivesAValue(t *testing.T) {
	cal := calendar(t)
	rapid.Check(t, func(t *rapid.T) {
		var history []Event
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			history = append(history, Event{Kind: Kind(rapid.IntRange(1, 7).Draw(t, "kind")), At: rapid.Int64Range(-1e12, 4e12).Draw(t, "at"), Profile: "p",
				Child: rapid.SampledFrom([]string{"", "x"}).Draw(t, "child"), Since: rapid.SampledFrom([]int64{0, 1, 1e12}).Draw(t, "since"), Until: rapid.SampledFrom([]int64{0, 1, 2e12}).Draw(t, "until"),
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
	merged := append(own, Event{Kind: Adopt, At: at("2026-03-02 09:00"), Profile: "p", Child: "x"})
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
