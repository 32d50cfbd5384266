package service

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
)

// timeServer answers SNTP with the test's clock and a difference.
type timeServer struct {
	address string
	off     atomic.Int64 // ms ahead of the box
	stratum atomic.Uint32
	asked   atomic.Int64
}

func newTimeServer(t *testing.T, c Clock) *timeServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &timeServer{address: conn.LocalAddr().String()}
	s.stratum.Store(2)
	go func() {
		in := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(in)
			if err != nil {
				return
			}
			s.asked.Add(1)
			ms, _ := c.Now()
			if n >= 48 {
				_, _ = conn.WriteTo(s.answer(in[:48], ms+s.off.Load()), from)
			}
		}
	}()
	return s
}

// answer is a packet of RFC 5905, figure 8.
func (s *timeServer) answer(question []byte, ms int64) []byte {
	stamp := func(ms int64) uint64 {
		return uint64(ms/1000+2208988800)<<32 | uint64(ms%1000)<<32/1000
	}
	b := make([]byte, 48)
	b[0], b[1], b[3] = 4<<3|4, byte(s.stratum.Load()), 0xEC // version 4, server; precision 2^-20
	binary.BigEndian.PutUint32(b[8:], 65)                   // dispersion of a millisecond
	binary.BigEndian.PutUint64(b[16:], stamp(ms-10_000))
	copy(b[24:32], question[40:48])
	binary.BigEndian.PutUint64(b[32:], stamp(ms))
	binary.BigEndian.PutUint64(b[40:], stamp(ms))
	return b
}

func (b *testBox) clockIs(what string, want envelope.TimeQuality, ok bool, words string) {
	b.t.Helper()
	_, q := b.Box.clock.Now()
	s := b.ClockState("zh")
	if q != want || s.OK != ok || !strings.Contains(s.Text, words) {
		b.t.Errorf("%s: quality %v, %+v", what, q, s)
	}
}

// TestTimeSource: the box holds its clock against the server that was
// chosen, says how far it is off, and gives no number under a wrong one.
func TestTimeSource(t *testing.T) {
	b := newTestBox(t)
	ctx := context.Background()
	server := newTimeServer(t, b.clock)
	server.off.Store(500)
	b.clock.quality.Store(uint32(envelope.TimeSet))
	var wrong *InputError
	for _, bad := range []api.ClockInput{{Source: "ntp"}, {Source: "ntp", Server: "http://x"}, {Source: "ntp", Server: "a b"}, {Source: "sun"}} {
		if _, err := b.SetClock(ctx, b.systemAdmin(), bad); !errors.As(err, &wrong) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	s, err := b.SetClock(ctx, b.systemAdmin(), api.ClockInput{Source: "ntp", Server: server.address})
	if err != nil || s.Measured == nil || s.Measured.OffsetMS < 400 || s.Measured.OffsetMS > 600 || s.Measured.Stratum != 2 {
		t.Fatalf("%+v %v", s, err)
	}
	b.clockIs("half a second", envelope.TimeSynced, true, "慢 0.")
	page, err := b.AuditPage(b.systemAdmin(), "set_time_source", "", 0, 0, "")
	if err != nil || len(page.Items) != 1 || page.Items[0].Details["server"] != server.address {
		t.Errorf("audit %+v %v", page.Items, err)
	}

	server.off.Store(-10_000)
	b.Box.clock.ask(ctx)
	b.clockIs("ten seconds", envelope.TimeSet, false, "快 10.")
	server.off.Store(90_000)
	b.Box.clock.ask(ctx)
	b.clockIs("a minute and a half", envelope.TimeSuspect, false, "不可信")
	if r := b.report("duty", "时钟不准"); r.Number != "" {
		t.Errorf("the number %s is given under a wrong clock", r.Number)
	}
	server.off.Store(0)
	server.stratum.Store(16) // not synchronised itself: no answer that counts
	b.Box.clock.ask(ctx)
	b.clockIs("a server that knows no time", envelope.TimeSuspect, false, "不可信")
	server.stratum.Store(2)
	b.Box.clock.ask(ctx)
	b.clockIs("set right", envelope.TimeSynced, true, "0.0")

	b.clock.advance(25 * time.Hour)
	b.clockIs("nothing heard for a day", envelope.TimeSet, false, "没有可用的应答")
	b.close()
	asked := server.asked.Load()
	b.open()
	if s := b.ClockState("zh"); s.Source != "ntp" || s.Server != server.address {
		t.Errorf("after a restart: %+v", s)
	}
	for end := time.Now().Add(10 * time.Second); server.asked.Load() == asked || b.ClockState("zh").Measured == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a start does not ask the source")
		}
	}

	if _, err := b.SetClock(ctx, b.systemAdmin(), api.ClockInput{Source: "own", Compared: true, BrowserTime: 1}); err != nil {
		t.Fatal(err)
	}
	b.clockIs("the machine's own, compared", envelope.TimeSet, true, "由人工设定")
	b.clock.advance(40 * 24 * time.Hour)
	b.clockIs("not compared for long", envelope.TimeSet, false, "没有人工核对")
}

// TestWizardChoosesTheSource: what was chosen holds, and a clock that its
// source contradicts founds no box.
func TestWizardChoosesTheSource(t *testing.T) {
	b := unfounded(t)
	ctx := context.Background()
	server := newTimeServer(t, b.clock)
	in := wizard(b, township)
	in.TimeSource, in.TimeServer = "ntp", server.address
	if _, err := b.ProbeClock(ctx, api.ClockProbe{Code: "WRONG", Server: server.address}); !errors.Is(err, ErrSetupCode) {
		t.Errorf("probed without the code: %v", err)
	}
	server.off.Store(3_600_000)
	m, err := b.ProbeClock(ctx, api.ClockProbe{Code: in.Code, Server: server.address})
	if err != nil || m.OffsetMS < 3_590_000 {
		t.Fatalf("%+v %v", m, err)
	}
	var wrong *InputError
	if _, err := b.FoundFrom(ctx, in); !errors.As(err, &wrong) || wrong.Fields[0].Code != "clock_far" {
		t.Fatalf("founded an hour off: %v", err)
	}
	server.off.Store(0)
	if _, err := b.FoundFrom(ctx, in); err != nil {
		t.Fatal(err)
	}
	b.clockIs("founded", envelope.TimeSynced, true, "时间源 "+server.address)
	if _, err := b.ProbeClock(ctx, api.ClockProbe{Code: in.Code, Server: server.address}); !errors.Is(err, ErrState) {
		t.Errorf("probed a founded box: %v", err)
	}
}
