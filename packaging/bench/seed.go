package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cmd/fengqiao/demo"
	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
)

const (
	// seedWriters fill whole journal groups.
	seedWriters = 256
	// openShare: one in a hundred records is still open, every other one of
	// the newest.
	openShare = 100
	// behind is how many records the store copy lacks (measureReady).
	behind = 10_000
	// seedSpan is how far back the records reach; the newest are of today.
	seedSpan = 730 * 24 * time.Hour
)

// seedLarge makes the large box through the box's own writer: every record
// has five signed, sealed operations in journal and store. Before the last
// ones it keeps a copy of the store, which then lacks them. An interrupted
// seeding goes on where it was.
func seedLarge(ctx context.Context, o options) error {
	dir := largeDir(o)
	if _, err := os.Stat(filepath.Join(dir, "done")); err == nil {
		return nil
	}
	if err := township(ctx, dir); err != nil {
		return err
	}
	early := max(o.records-behind, 0)
	if err := fill(ctx, dir, o.records, early); err != nil {
		return err
	}
	if early > 0 {
		if err := copyFile(filepath.Join(dir, "box", "store.db"), filepath.Join(dir, "store.behind")); err != nil {
			return err
		}
	}
	if err := fill(ctx, dir, o.records, o.records); err != nil {
		return err
	}
	if err := indexed(ctx, o, dir); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "done"), nil, 0o600)
}

func largeDir(o options) string { return filepath.Join(o.dir, fmt.Sprintf("box-%d", o.records)) }

// seedClock stands where the seeding is in the past.
type seedClock struct{ now atomic.Int64 }

// Now implements service.Clock.
func (c *seedClock) Now() (int64, envelope.TimeQuality) { return c.now.Load(), envelope.TimeSet }

// seeding fills one box.
type seeding struct {
	box           *service.Box
	clock         *seedClock
	total         int
	duty, station service.Caller
	villages      []string
	next          atomic.Int64
}

// fill brings the box in dir from what it has to upTo of total records.
func fill(ctx context.Context, dir string, total, upTo int) error {
	debug.SetGCPercent(300)
	s := &seeding{clock: &seedClock{}, total: total}
	s.clock.now.Store(time.Now().Add(-seedSpan).UnixMilli())
	box, err := node.OpenBox(service.Options{Dir: filepath.Join(dir, "box"), Clock: s.clock})
	if err != nil {
		return err
	}
	s.box = box
	return errors.Join(s.fill(ctx, upTo), box.Close())
}

func (s *seeding) fill(ctx context.Context, upTo int) error {
	if err := s.people(); err != nil {
		return err
	}
	s.next.Store(s.box.Figures().Records)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	for range seedWriters {
		work.Go(func() {
			for n := s.next.Add(1); n <= int64(upTo) && ctx.Err() == nil; n = s.next.Add(1) {
				if err := s.matter(ctx, int(n)); err != nil {
					cancel(err)
				}
				if n%10_000 == 0 {
					fmt.Fprintf(os.Stderr, "%s  %d of %d records\n", time.Now().Format(time.TimeOnly), n, s.total)
				}
			}
		})
	}
	work.Wait()
	return context.Cause(ctx)
}

func (s *seeding) people() error {
	for name, p := range map[string]struct {
		caller *service.Caller
		grant  domain.Grant
	}{
		"duty":    {&s.duty, domain.Grant{Role: domain.RoleDutyOfficer, Organisation: demo.Township}},
		"station": {&s.station, domain.Grant{Role: domain.RoleStationOfficer, Organisation: demo.Township + "-S01"}},
	} {
		id, ok := s.box.AccountByName(name)
		if !ok {
			return fmt.Errorf("no account %s", name)
		}
		p.caller.User, p.caller.Grants = id, []domain.Grant{p.grant}
	}
	for _, org := range s.box.Organisations().Items {
		if org.Level == domain.LevelVillage && org.Parent == demo.Township {
			s.villages = append(s.villages, org.Code)
		}
	}
	return nil
}

// newest is where the records of today begin.
func (s *seeding) newest() int { return s.total - 2*s.total/openShare }

// when spreads the records over the span, the newest over today.
func (s *seeding) when(n int) time.Time {
	today := time.Now().Add(-24 * time.Hour)
	if before := s.newest() - n; before > 0 {
		return today.Add(-time.Duration(float64(seedSpan) * float64(before) / float64(s.newest())))
	}
	return today.Add(time.Duration(float64(23*time.Hour) * float64(n-s.newest()) / float64(s.total-s.newest()+1)))
}

// step is one operation after the first.
type step struct {
	who  *service.Caller
	name string
	in   service.Input
}

// matter reports an event and walks it: closed and rated, or, every other
// one of the newest, still with the desk or with a station.
func (s *seeding) matter(ctx context.Context, n int) error {
	s.clock.now.Store(s.when(n).UnixMilli())
	dice := rand.New(rand.NewPCG(uint64(n), 1))
	r, err := s.box.Create(ctx, s.duty, "event", "register", service.Input{Fields: s.fields(dice, n)})
	if err != nil {
		return err
	}
	for _, st := range s.walk(n) {
		if _, err := s.box.Step(ctx, *st.who, r.ID, st.name, "", st.in); err != nil {
			return fmt.Errorf("record %d, %s: %w", n, st.name, err)
		}
	}
	return nil
}

func (s *seeding) walk(n int) []step {
	note := service.Input{Note: "已电话联系当事人，约定明日上门（虚构）。"}
	switch {
	case n < s.newest() || n%2 == 1:
		return []step{
			{&s.duty, "resolve", service.Input{Fields: map[string]any{"result": "已到现场处理，当事人认可。", "solved": true, "method": "09"}}},
			{&s.duty, "verify", service.Input{}}, {&s.duty, "close", service.Input{}},
			{&s.duty, "rate", service.Input{Fields: map[string]any{"rating": "satisfied"}}},
		}
	case n%4 == 0:
		return []step{
			{&s.duty, "dispatch", service.Input{Inputs: map[string]any{"to": demo.Township + "-S01"}}},
			{&s.station, "sign", service.Input{}}, {&s.station, "feedback", note}, {&s.station, "feedback", note},
		}
	}
	return []step{{&s.duty, "feedback", note}, {&s.duty, "feedback", note}, {&s.duty, "feedback", note}, {&s.duty, "feedback", note}}
}

var (
	things = []string{"路灯", "水管", "围墙", "井盖", "河道", "电线", "护栏", "绿化", "垃圾桶", "公厕", "停车位", "排水沟"}
	faults = []string{"不亮", "漏水", "倾斜", "缺失", "堵塞", "垂落", "松动", "枯死", "满溢", "异味", "被占", "积水"}
	places = []string{"村口", "文化礼堂东侧", "小学门前", "卫生院北侧", "集市入口", "桥头", "祠堂旁", "加油站对面"}
)

func (s *seeding) fields(dice *rand.Rand, n int) map[string]any {
	thing, fault, place := things[dice.IntN(len(things))], faults[dice.IntN(len(faults))], places[dice.IntN(len(places))]
	return map[string]any{"title": place + thing + fault, "type": fmt.Sprintf("%02d", 1+dice.IntN(6)), "line": "livelihood", "urgency": "normal",
		"source": "grid", "scale": "01", "people_count": int64(1 + dice.IntN(5)), "village": s.villages[dice.IntN(len(s.villages))], "place": place,
		"content":       fmt.Sprintf("%s%s%s，编号 %d，已影响附近 %d 户，请安排处理。测量用虚构数据。", place, thing, fault, n, 1+dice.IntN(90)),
		"people/0/name": "赵某某", "people/0/phone": fmt.Sprintf("138%08d", dice.IntN(100_000_000))}
}

// indexed serves the box until its search index has caught up, and keeps a
// session for later starts.
func indexed(ctx context.Context, o options, dir string) (err error) {
	p, err := startFengqiao(ctx, o, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	f, err := signIn(p, 1)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "session"), []byte(f.cookie), 0o600); err != nil {
		return err
	}
	for ctx.Err() == nil {
		body, err := f.get("/search?q=%E8%B7%AF%E7%81%AF&limit=1")
		if err != nil {
			return err
		}
		var at struct {
			IndexedTo uint64 `json:"indexed_to"`
			Head      uint64 `json:"head"`
		}
		if err := json.Unmarshal(body, &at); err != nil {
			return err
		}
		if at.IndexedTo >= at.Head {
			return nil
		}
		fmt.Fprintf(os.Stderr, "%s  search index at %d of %d\n", time.Now().Format(time.TimeOnly), at.IndexedTo, at.Head)
		time.Sleep(10 * time.Second)
	}
	return ctx.Err()
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to + ".tmp")
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err = errors.Join(err, dst.Sync(), dst.Close()); err != nil {
		return err
	}
	return os.Rename(to+".tmp", to)
}
