package demo

import (
	"container/heap"
	"fmt"
	"maps"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
)

const (
	minute = int64(time.Minute / time.Millisecond)
	hour   = 60 * minute
	day    = 24 * hour
)

// zone is the one time of the country.
var zone = time.FixedZone("UTC+8", 8*3600)

// act is something that somebody does at a time.
type act struct {
	at   int64
	turn int // earlier planned acts first at the same instant
	do   func()
}

// plot holds what is still to happen, the earliest first.
type plot []act

func (p plot) Len() int { return len(p) }
func (p plot) Less(i, j int) bool {
	return p[i].at < p[j].at || p[i].at == p[j].at && p[i].turn < p[j].turn
}
func (p plot) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *plot) Push(x any)   { *p = append(*p, x.(act)) }
func (p *plot) Pop() any {
	old := *p
	last := old[len(old)-1]
	*p = old[:len(old)-1]
	return last
}

// at plans an act; what lies after the end never happens, so that recent
// matters stand in the middle of their way.
func (s *seeder) at(when int64, do func()) {
	if when <= s.end {
		s.turns++
		heap.Push(&s.plot, act{at: when, turn: s.turns, do: do})
	}
}

// play lets everything happen in order of time.
func (s *seeder) play() {
	for s.err == nil && s.plot.Len() > 0 {
		a := heap.Pop(&s.plot).(act)
		s.pass(a.at)
		a.do()
	}
	s.pass(s.end)
}

// pass moves the clock of the past; the live trickle has the box's own.
func (s *seeder) pass(at int64) {
	if s.clock != nil {
		s.clock.now.Store(max(at, s.clock.now.Load()))
	}
}

func (s *seeder) now() int64 {
	if s.clock != nil {
		return s.clock.now.Load()
	}
	return time.Now().UnixMilli()
}

// move is one step in the life of a matter, some time after the one before.
type move struct {
	after int64 // ms
	who   string
	step  string
	in    service.Input
	date  string // field that receives the day of the step
}

// life creates a matter at a time and takes its moves one after another.
// then, if any, hears of the matter when it is there.
func (s *seeder) life(at int64, who, kind, step string, fields map[string]any, moves []move, then ...func(*domain.Record)) {
	s.at(at, func() {
		r, err := s.box.Create(s.ctx, s.people[who], kind, step, service.Input{Fields: fields})
		if err != nil {
			s.keep(fmt.Errorf("demo: %s %s: %w", kind, step, err))
			return
		}
		for _, f := range then {
			f(r)
		}
		s.goOn(at, r.ID, kind, moves)
	})
}

func (s *seeder) goOn(at int64, id envelope.RecordID, kind string, moves []move) {
	if len(moves) == 0 {
		return
	}
	m := moves[0]
	at += m.after
	s.at(at, func() {
		in := m.in
		if m.date != "" {
			in.Fields = maps.Clone(in.Fields)
			if in.Fields == nil {
				in.Fields = map[string]any{}
			}
			in.Fields[m.date] = time.UnixMilli(s.now()).In(zone).Format(time.DateOnly)
		}
		if _, err := s.box.Step(s.ctx, s.people[m.who], id, m.step, "", in); err != nil {
			s.keep(fmt.Errorf("demo: %s %s: %w", kind, m.step, err))
			return
		}
		s.goOn(at, id, kind, moves[1:])
	})
}

// Inputs of the moves.

func values(fields map[string]any) service.Input { return service.Input{Fields: fields} }

func inputs(in map[string]any, note string) service.Input {
	return service.Input{Inputs: in, Note: note}
}

func to(org, note string) service.Input { return inputs(map[string]any{"to": org}, note) }

func reason(code, note string) service.Input { return inputs(map[string]any{"reason": code}, note) }

func with(fields, in map[string]any) service.Input { return service.Input{Fields: fields, Inputs: in} }

func noted(fields map[string]any, note string) service.Input {
	return service.Input{Fields: fields, Note: note}
}

// dated has the step fill a date with the day on which it is taken.
func dated(m move, field string) move {
	m.date = field
	return m
}

func said(note string) service.Input { return service.Input{Note: note} }

// morning is an instant of a working hour, so many days before the end.
func (s *seeder) morning(daysAgo int) int64 {
	d := time.UnixMilli(s.end).In(zone).AddDate(0, 0, -daysAgo)
	at := time.Date(d.Year(), d.Month(), d.Day(), 8, 30, 0, 0, zone).UnixMilli() + int64(s.dice.IntN(int(8*hour)))
	return min(at, s.end-minute)
}

// date is a day relative to the end, as forms write it.
func (s *seeder) date(days int) string {
	return time.UnixMilli(s.end).In(zone).AddDate(0, 0, days).Format(time.DateOnly)
}

func pick[T any](s *seeder, from []T) T { return from[s.dice.IntN(len(from))] }

// span is a random time between two, in ms.
func (s *seeder) span(from, to int64) int64 { return from + s.dice.Int64N(to-from+1) }

var surnames = []string{"赵", "钱", "孙", "李", "周", "吴", "郑", "王", "陈", "楼", "骆", "何", "蔡", "宣", "陆", "许"}

// person invents a name that nobody bears.
func (s *seeder) person() string { return pick(s, surnames) + "某某" }

func (s *seeder) phone() string { return fmt.Sprintf("1380000%04d", s.dice.IntN(10000)) }
