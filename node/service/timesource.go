package service

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/beevik/ntp"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
)

// What a box can hold its clock against. It only measures: setting the
// machine's clock is the operating system's, which alone has the right to.
const (
	sourceServer = "ntp" // a time server in the county or the LAN
	sourceOwn    = "own" // the machine's own clock, which a person compares
)

const (
	askEvery      = 15 * time.Minute
	askAgainAfter = time.Minute // where the source did not answer
	answerLimit   = 5 * time.Second
	freshFor      = 24 * time.Hour      // a measurement is believed
	nearEnough    = 2 * time.Second     // counts as the same time
	tooFar        = time.Minute         // deadlines and numbers would be wrong
	compareEvery  = 35 * 24 * time.Hour // by a person, where there is no server
)

// Keys of the choice in the box's identity.
const (
	extraSource   = "time_source"
	extraServer   = "time_server"
	extraCompared = "time_compared"
)

// timekeeper is the machine's clock, held against the chosen source.
type timekeeper struct {
	Clock
	mu       sync.Mutex
	source   string
	server   string
	compared int64 // by a person, Unix ms
	newest   *api.ClockMeasure
	problem  domain.Text // of the last question
	asked    time.Time
}

func newTimekeeper(c Clock, extra func(string) string) *timekeeper {
	k := &timekeeper{Clock: c, source: extra(extraSource), server: extra(extraServer)}
	k.compared, _ = strconv.ParseInt(extra(extraCompared), 10, 64)
	return k
}

// Now implements Clock. What a measurement says counts for a day; one that
// is far off makes the clock unsure, whatever the machine thinks of it.
func (k *timekeeper) Now() (int64, envelope.TimeQuality) {
	now, q := k.Clock.Now()
	if q == envelope.TimeUnknown || q == envelope.TimeSuspect {
		return now, q
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.fresh(now)
	switch {
	case m == nil:
		return now, q
	case far(m, tooFar):
		return now, envelope.TimeSuspect
	case !far(m, nearEnough):
		return now, envelope.TimeSynced
	}
	return now, envelope.TimeSet
}

// fresh is the newest measurement while it is believed.
func (k *timekeeper) fresh(now int64) *api.ClockMeasure {
	if k.source != sourceServer || k.newest == nil || now-k.newest.At > freshFor.Milliseconds() {
		return nil
	}
	return k.newest
}

func far(m *api.ClockMeasure, limit time.Duration) bool {
	return max(m.OffsetMS, -m.OffsetMS) > limit.Milliseconds()
}

// Confirm implements what the watch offers: a person compared the clock.
func (k *timekeeper) Confirm() {
	if c, ok := k.Clock.(interface{ Confirm() }); ok {
		c.Confirm()
	}
}

func (k *timekeeper) notBefore(ms int64) {
	if c, ok := k.Clock.(interface{ notBefore(int64) }); ok {
		c.notBefore(ms)
	}
}

// compare remembers that a person compared the clock now.
func (k *timekeeper) compare(keep func(map[string]string) error) error {
	now, _ := k.Clock.Now()
	if err := keep(map[string]string{extraCompared: strconv.FormatInt(now, 10)}); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.compared = now
	k.Confirm()
	return nil
}

// ask measures against the server and remembers the answer.
func (k *timekeeper) ask(ctx context.Context) {
	k.mu.Lock()
	server, source := k.server, k.source
	k.mu.Unlock()
	if source != sourceServer {
		return
	}
	m, problem := measure(ctx, server, k.Clock)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.server != server || k.source != source || ctx.Err() != nil {
		return // chosen anew meanwhile
	}
	k.asked, k.problem = time.Now(), problem
	if m == nil {
		return
	}
	k.newest = m
	if !far(m, nearEnough) {
		k.Confirm() // the source says what a person would have compared
	}
}

// due reports whether the source should be asked.
func (k *timekeeper) due() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	wait := askEvery
	if k.problem.ZH != "" {
		wait = askAgainAfter
	}
	return time.Since(k.asked) >= wait
}

// holdClock is the background work.
func (b *Box) holdClock(ctx context.Context) error {
	if b.clock.due() {
		b.clock.ask(ctx)
	}
	return nil
}

// measure asks a time server (SNTP) how far the clock is off.
func measure(ctx context.Context, server string, c Clock) (*api.ClockMeasure, domain.Text) {
	r, err := ntp.QueryWithOptions(server, ntp.QueryOptions{Timeout: answerLimit,
		GetSystemTime: func() time.Time { ms, _ := c.Now(); return time.UnixMilli(ms) },
		Dialer: func(_, remote string) (net.Conn, error) {
			return (&net.Dialer{Timeout: answerLimit}).DialContext(ctx, "udp", remote)
		}})
	if err != nil {
		return nil, say("时间源 %s 没有应答", "The time source %s does not answer.", server)
	}
	if r.Validate() != nil {
		return nil, say("时间源 %s 自身未同步或应答无效", "The time source %s is not synchronised itself, or its answer is not valid.", server)
	}
	now, _ := c.Now()
	return &api.ClockMeasure{At: now, OffsetMS: r.ClockOffset.Milliseconds(), UncertainMS: r.RootDistance.Milliseconds(), Stratum: int(r.Stratum)}, domain.Text{}
}

// serverName is a host or address, with a port or without.
var serverName = regexp.MustCompile(`^(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z]([0-9A-Za-z.-]{0,251}[0-9A-Za-z])?)(:[0-9]{1,5})?$`)

func checkSource(wrong *InputError, source, server string) {
	if source == sourceServer && !serverName.MatchString(server) {
		wrong.add("time_server", "bad_server", "请填写时间服务器的地址，如 10.1.2.3 或 ntp.county.lan", "Give the address of the time server, such as 10.1.2.3.")
	}
	if source != sourceServer && source != sourceOwn {
		wrong.add("time_source", "required", "请选择时间源", "Choose the time source.")
	}
}

// ProbeClock measures a server that somebody thinks of choosing, before the
// box is founded; the code of the terminal is asked for.
func (b *Box) ProbeClock(ctx context.Context, in api.ClockProbe) (api.ClockMeasure, error) {
	if !b.SetupNeeded() {
		return api.ClockMeasure{}, ErrState
	}
	if err := b.checkSetupCode(in.Code); err != nil {
		return api.ClockMeasure{}, err
	}
	var wrong InputError
	if checkSource(&wrong, sourceServer, in.Server); wrong.orNil() != nil {
		return api.ClockMeasure{}, &wrong
	}
	m, problem := measure(ctx, in.Server, b.clock.Clock)
	if m == nil {
		wrong.add("time_server", "no_answer", problem.ZH, problem.EN)
		return api.ClockMeasure{}, &wrong
	}
	return *m, nil
}

// SetClock chooses the source, or says that a person compared the clock.
func (b *Box) SetClock(ctx context.Context, c Caller, in api.ClockInput) (api.ClockState, error) {
	var wrong InputError
	if checkSource(&wrong, in.Source, in.Server); wrong.orNil() != nil {
		return api.ClockState{}, &wrong
	}
	if err := b.chooseSource(ctx, in); err != nil {
		return api.ClockState{}, err
	}
	return b.ClockState(c.Lang), b.noteFor(c.User, audit.Entry{Action: "set_time_source", Result: "ok", Details: b.sourceDetails(in)})
}

// sourceDetails are what the audit keeps of a choice; the browser's time is
// what the person had before their eyes.
func (b *Box) sourceDetails(in api.ClockInput) map[string]string {
	details := map[string]string{"source": in.Source}
	if in.Source == sourceServer {
		details["server"] = in.Server
	}
	if in.Compared && in.BrowserTime > 0 {
		now, _ := b.clock.Now()
		details["browser"] = fmt.Sprintf("%+d ms", in.BrowserTime-now)
	}
	return details
}

// foundClock takes the wizard's choice. A clock that its source contradicts
// must be set before: the box would give the wrong year in numbers.
func (b *Box) foundClock(ctx context.Context, in api.ClockInput) error {
	if err := b.chooseSource(ctx, in); err != nil {
		return err
	}
	s := b.ClockState("zh")
	if s.Measured == nil || !far(s.Measured, tooFar) {
		return b.note(audit.Entry{Action: "set_time_source", Result: "ok", Address: terminal, Details: b.sourceDetails(in)})
	}
	var wrong InputError
	l := b.clock.measured(s.Measured)
	wrong.add("time_checked", "clock_far", l.ZH, l.EN)
	return &wrong
}

// chooseSource keeps the choice and measures at once.
func (b *Box) chooseSource(ctx context.Context, in api.ClockInput) error {
	k := b.clock
	if in.Source == sourceOwn {
		in.Server = ""
	}
	if err := b.id.SetExtra(map[string]string{extraSource: in.Source, extraServer: in.Server}); err != nil {
		return err
	}
	k.mu.Lock()
	if k.source != in.Source || k.server != in.Server {
		k.newest, k.problem = nil, domain.Text{}
	}
	k.source, k.server = in.Source, in.Server
	k.mu.Unlock()
	if in.Compared {
		if err := k.compare(b.id.SetExtra); err != nil {
			return err
		}
	}
	k.ask(ctx)
	return nil
}

// ClockState is what administration and health say of the clock.
func (b *Box) ClockState(lang string) api.ClockState {
	k := b.clock
	now, q := k.Now()
	l := k.line(now, q)
	k.mu.Lock()
	defer k.mu.Unlock()
	return api.ClockState{Source: k.source, Server: k.server, ServerTime: now, OK: l.ok, Text: l.text.In(lang), ComparedAt: k.compared, Measured: k.newest, Problem: k.problem.In(lang)}
}

// line says how the clock stands, and how far that is known.
func (k *timekeeper) line(now int64, q envelope.TimeQuality) line {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := line{"clock", q == envelope.TimeSet || q == envelope.TimeSynced, clockText(q)}
	m := k.fresh(now)
	switch {
	case m != nil:
		l.ok = l.ok && !far(m, nearEnough)
		l.text = k.measured(m)
	case k.source == sourceServer:
		l.ok = false
		l.add(say("；时间源 %s 一天内没有可用的应答", "; no usable answer of the time source %s within a day", k.server))
	case k.source == sourceOwn && q != envelope.TimeSynced && now-k.compared > compareEvery.Milliseconds():
		l.ok = false
		l.add(say("；已超过一个月没有人工核对", "; nobody compared it for more than a month"))
	}
	return l
}

func (k *timekeeper) measured(m *api.ClockMeasure) domain.Text {
	zh, en := "慢", "behind"
	if m.OffsetMS < 0 {
		zh, en = "快", "ahead of"
	}
	off, sure := float64(max(m.OffsetMS, -m.OffsetMS))/1000, float64(m.UncertainMS)/1000
	t := domain.Text{ZH: fmt.Sprintf("比时间源 %s %s %.3f 秒（±%.3f）", k.server, zh, off, sure), EN: fmt.Sprintf("%.3f s (±%.3f) %s the time source %s", off, sure, en, k.server)}
	if far(m, tooFar) {
		return domain.Text{ZH: t.ZH + "，时钟不可信，请校正系统时间", EN: t.EN + "; not to be trusted, set the system's clock"}
	}
	return t
}
