package clock

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Mark is a threshold of a deadline: a share of the time between start and
// due in per cent ("80%"), or a limit after the due time ("+2wd").
type Mark struct {
	Percent int64
	After   Limit
}

// ParseMark reads "80%" or "+2wd"; "100%" is the due time itself.
func ParseMark(s string) (Mark, error) {
	if after, ok := strings.CutPrefix(s, "+"); ok {
		l, err := ParseLimit(after)
		return Mark{Percent: 100, After: l}, err
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(s, "%"), 10, 64)
	if err != nil || !strings.HasSuffix(s, "%") || n < 1 || n > 100 {
		return Mark{}, fmt.Errorf("clock: %q is not a mark such as 80%% or +2wd", s)
	}
	return Mark{Percent: n}, nil
}

// String writes what ParseMark reads.
func (m Mark) String() string {
	if m.After.N > 0 {
		return "+" + m.After.String()
	}
	return strconv.FormatInt(m.Percent, 10) + "%"
}

// MarshalText makes Mark a word in YAML and JSON.
func (m Mark) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (m *Mark) UnmarshalText(b []byte) (err error) {
	*m, err = ParseMark(string(b))
	return err
}

// Rule is one row of a profile: how long, and when it is near.
type Rule struct {
	Limit  Limit `yaml:"limit" json:"limit"`
	Warn   Mark  `yaml:"warn" json:"warn"`
	Yellow Mark  `yaml:"yellow" json:"yellow"`
	Red    Mark  `yaml:"red" json:"red"`
}

// Profile gives the rule for each urgency; the row "default" serves every
// urgency without one of its own.
type Profile struct {
	ID     string          `yaml:"id" json:"id"`
	Title  Label           `yaml:"title" json:"title"`
	Source string          `yaml:"source" json:"source"`
	Rules  map[string]Rule `yaml:"rules" json:"rules"`
}

// Label is a title in both languages.
type Label struct {
	ZH string `yaml:"zh" json:"zh"`
	EN string `yaml:"en" json:"en"`
}

// Rule finds the row for an urgency.
func (p Profile) Rule(urgency string) (Rule, bool) {
	if r, ok := p.Rules[urgency]; ok {
		return r, true
	}
	r, ok := p.Rules["default"]
	return r, ok
}

// Validate wants marks in order: warn before yellow before red.
func (p Profile) Validate() error {
	if p.ID == "" || len(p.Rules) == 0 {
		return fmt.Errorf("clock: profile without id or rules")
	}
	for key, r := range p.Rules {
		if r.Limit.N <= 0 {
			return fmt.Errorf("clock: profile %s, %s: no limit", p.ID, key)
		}
		if !r.Warn.before(r.Yellow) && r.Warn != r.Yellow || !r.Yellow.before(r.Red) {
			return fmt.Errorf("clock: profile %s, %s: warn, yellow and red must follow one another", p.ID, key)
		}
	}
	return nil
}

func (m Mark) before(other Mark) bool {
	switch {
	case m.After.N == 0 && other.After.N == 0:
		return m.Percent < other.Percent
	case m.After.N == 0:
		return true
	case other.After.N == 0:
		return false
	}
	return m.After.Unit == other.After.Unit && m.After.N < other.After.N
}

// Kind is what happened to a clock.
type Kind uint8

// The events of a clock. They are evidence from operations, in order.
const (
	Start Kind = iota + 1
	Stop
	Pause
	Resume
	Extend
	Change // of profile or urgency: counts from the start, as if it had always been so
	Adopt  // the start of a merged child's clock
)

// Event is one thing that happened.
type Event struct {
	Kind    Kind
	At      int64
	Since   int64 // of Start, Adopt, Change: from when it counts; 0: from At
	Until   int64 // of Start, Adopt, Change: an end that people fixed; 0: the profile's limit
	Profile string
	Urgency string
	Limit   Limit  // of Extend
	Child   string // whose clock it was before a merge, "" for the record's own
}

// Deadline is what a clock's history comes to. Times are 0 when unknown.
type Deadline struct {
	Round       int64 // how often it was started
	Started     int64
	Due         int64 // 0 while paused for good
	Warn        int64
	Yellow      int64
	Red         int64
	Stopped     int64 // 0 while it runs
	PausedSince int64 // 0 while it runs
	Extensions  int
	Profile     string
	Limit       Limit
	Uncertain   bool // the work calendar of a year that it crosses is missing
}

// Runs reports whether something is due: started, not stopped, not paused.
func (d Deadline) Runs() bool { return d.Started != 0 && d.Stopped == 0 && d.PausedSince == 0 }

// course is one start and what followed until the next. A merged matter
// runs several beside one another: its own and its children's.
type course struct {
	child      string
	started    int64
	until      int64
	profile    string
	urgency    string
	spans      []span
	paused     int64
	stopped    int64
	extensions []Limit
	now        int64 // time of the last event
}

// Due computes the deadline of one clock. Order of events counts; a time
// before its predecessor's (a clock set back) counts as the predecessor's.
// Of a merged matter the earliest deadline wins. ok is false when the clock
// was never started or its profile has no rule.
func Due(history []Event, cal *Calendar, profiles map[string]Profile) (Deadline, bool) {
	var best Deadline
	courses, rounds := follow(history)
	found := false
	for i := range courses {
		c := &courses[i]
		rule, ok := profiles[c.profile].Rule(c.urgency)
		if !ok {
			continue
		}
		d := c.deadline(cal, rule)
		d.Round, d.Profile, d.Limit = rounds, c.profile, rule.Limit
		if !found || d.Due != 0 && (best.Due == 0 || d.Due < best.Due) {
			best, found = d, true
		}
	}
	return best, found
}

// follow walks the history to the courses of its last round.
func follow(history []Event) ([]course, int64) {
	var courses []course
	rounds := int64(0)
	for _, e := range history {
		switch e.Kind {
		case Start:
			courses = []course{begin(e, latest(courses))}
			rounds++
		case Adopt:
			if !running(courses) {
				courses = nil
				rounds++
			}
			courses = append(courses, begin(e, 0))
		default:
			for i := range courses {
				if concerns(e, &courses[i]) {
					courses[i].apply(e)
				}
			}
		}
	}
	return courses, rounds
}

// concerns: what a child brought is its own, a changed rule is the
// parent's; pause, end and more time are given to the matter as a whole.
func concerns(e Event, c *course) bool {
	return e.Child == c.child || e.Child == "" && e.Kind != Change
}

func running(courses []course) bool {
	return len(courses) > 0 && courses[0].stopped == 0
}

func latest(courses []course) int64 {
	now := int64(0)
	for i := range courses {
		now = max(now, courses[i].now)
	}
	return now
}

func begin(e Event, earliest int64) course {
	at := max(e.At, earliest)
	from := cmp.Or(e.Since, at)
	return course{child: e.Child, started: from, until: e.Until, profile: e.Profile, urgency: e.Urgency,
		spans: []span{{from: from, to: never}}, now: at}
}

func (c *course) apply(e Event) {
	at := max(e.At, c.now)
	c.now = at
	switch {
	case c.stopped != 0:
	case e.Kind == Stop:
		c.stopped = at
		c.resume(at) // it still has the deadline that it was measured by
	case e.Kind == Pause && c.paused == 0:
		c.spans[len(c.spans)-1].to = at
		c.paused = at
	case e.Kind == Resume:
		c.resume(at)
	case e.Kind == Extend:
		c.extensions = append(c.extensions, e.Limit)
	case e.Kind == Change:
		c.profile, c.urgency, c.until = e.Profile, e.Urgency, e.Until
		if e.Since != 0 {
			c.started = e.Since
			c.spans[0].from = e.Since
		}
	}
}

func (c *course) resume(at int64) {
	if c.paused != 0 {
		c.spans = append(c.spans, span{from: at, to: never})
		c.paused = 0
	}
}

// deadline applies a rule, or the end that was fixed, then the extensions,
// each from the end of what came before. A fixed end does not move with a
// pause.
func (c *course) deadline(cal *Calendar, rule Rule) Deadline {
	d := Deadline{Started: c.started, Stopped: c.stopped, PausedSince: c.paused, Extensions: len(c.extensions)}
	end := max(c.until, c.started)
	if c.until == 0 {
		end = cal.end(c.spans, c.started, DayOf(c.started), rule.Limit)
	}
	for _, l := range c.extensions {
		if end != never {
			end = cal.end(c.spans, end, DayOf(end-1), l)
		}
	}
	if end == never {
		return d
	}
	d.Due = end
	d.Warn, d.Yellow, d.Red = cal.mark(rule.Warn, c.started, end), cal.mark(rule.Yellow, c.started, end), cal.mark(rule.Red, c.started, end)
	d.Uncertain = !cal.Known(DayOf(c.started)) || !cal.Known(DayOf(end-1))
	return d
}

// mark places a threshold between start and due, or after it.
func (cal *Calendar) mark(m Mark, from, due int64) int64 {
	if m.After.N > 0 {
		return cal.end([]span{{from: due, to: never}}, due, DayOf(due-1), m.After)
	}
	return from + (due-from)/100*m.Percent + (due-from)%100*m.Percent/100
}

// State is how a deadline looks at an instant.
type State string

const (
	Normal  State = "normal"
	DueSoon State = "due_soon"
	Yellow  State = "yellow"
	Red     State = "red"
	Paused  State = "paused"
	Stopped State = "stopped"
)

// Look says how the deadline stands at an instant.
func (d Deadline) Look(now int64) State {
	switch {
	case d.Stopped != 0:
		return Stopped
	case d.PausedSince != 0 || d.Due == 0:
		return Paused
	case now >= d.Red:
		return Red
	case now >= d.Yellow:
		return Yellow
	case now >= d.Warn:
		return DueSoon
	}
	return Normal
}

// Next is the next instant at which Look changes, 0 when it never does.
func (d Deadline) Next(now int64) int64 {
	if !d.Runs() || d.Due == 0 {
		return 0
	}
	for _, at := range []int64{d.Warn, d.Yellow, d.Due, d.Red} {
		if at > now {
			return at
		}
	}
	return 0
}
