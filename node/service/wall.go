package service

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
)

const (
	bucketDisplays = "displays"
	wallLive       = 12
	wallTrendDays  = 30
	day            = 24 * time.Hour
)

// walls remembers what the large screens said of themselves.
type walls struct {
	mu   sync.Mutex
	seen map[string]api.Wall
}

// wallKinds are the families that the wall counts.
var wallKinds = []string{"event", "mediation", "petition", "hazard"}

// Wall computes everything that the wall shows. It holds codes, names of
// places and offices only: no person, no text, no exact position.
func (b *Box) Wall(ctx context.Context, lang string) (api.WallSnapshot, error) {
	if err := b.settled(ctx); err != nil {
		return api.WallSnapshot{}, err
	}
	v := b.viewer(Caller{Lang: lang})
	head, err := b.store.Head()
	out := api.WallSnapshot{Seq: head, ServerTime: v.now, AsOf: v.now, Live: []api.WallEvent{}, Overdue: []api.RecordRow{}, Alarms: []api.Alarm{}, Villages: []api.WallVillage{}}
	if err != nil {
		return out, err
	}
	for _, fill := range []func(*api.WallSnapshot) error{v.wallToday, v.wallTrend, v.wallTypes, v.wallLive, v.wallOverdue, v.wallVillages, v.wallDuty, v.wallMediation} {
		if err := fill(&out); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (v *viewer) sum(total *int64, parts ...string) error {
	n, err := v.box.count(parts...)
	*total += n
	return err
}

func (v *viewer) wallToday(w *api.WallSnapshot) error {
	org, today := v.box.Organisation(), dayOf(v.now)
	for _, kind := range wallKinds {
		late, err := v.box.overdue(kind, v.now)
		if err != nil {
			return err
		}
		w.Today.Overdue += late
		if err := v.sum(&w.Today.Reported, "d", org, kind, today); err != nil {
			return err
		}
		if err := v.sum(&w.Today.Closed, "x", org, kind, today); err != nil {
			return err
		}
		open, err := v.openOf(kind, nil)
		if err != nil {
			return err
		}
		w.Today.Open += open
	}
	return nil
}

// openOf counts the open records of a kind, and by state where asked.
func (v *viewer) openOf(kind string, byState func(state *domain.State, n int64)) (int64, error) {
	def, _, ok := v.p.kind(kind)
	if !ok {
		return 0, nil
	}
	total := int64(0)
	for i := range def.States {
		s := &def.States[i]
		if s.Closed {
			continue
		}
		n, err := v.box.count("s", v.box.Organisation(), kind, s.ID)
		if err != nil {
			return 0, err
		}
		total += n
		if byState != nil && n > 0 {
			byState(s, n)
		}
	}
	return total, nil
}

func (v *viewer) wallTrend(w *api.WallSnapshot) error {
	for i := wallTrendDays - 1; i >= 0; i-- {
		ms := v.now - int64(i)*day.Milliseconds()
		d := api.WallDay{Date: time.UnixMilli(ms).In(local).Format("01-02")}
		for _, kind := range wallKinds {
			if err := v.sum(&d.Reported, "d", v.box.Organisation(), kind, dayOf(ms)); err != nil {
				return err
			}
			if err := v.sum(&d.Closed, "x", v.box.Organisation(), kind, dayOf(ms)); err != nil {
				return err
			}
		}
		w.Trend = append(w.Trend, d)
	}
	return nil
}

// wallTypes counts events of the last thirty days by type, open ones by
// state.
func (v *viewer) wallTypes(w *api.WallSnapshot) error {
	def, _, ok := v.p.kind("event")
	w.Types, w.States = []api.FacetCount{}, []api.FacetCount{}
	if !ok {
		return nil
	}
	sums := map[string]int64{}
	prefix := keyOf("y", v.box.Organisation(), "event")
	from := append(slices.Clip(prefix), keyOf(dayOf(v.now-29*day.Milliseconds()))...)
	to := append(slices.Clip(prefix), keyOf(dayOf(v.now)+"~")...)
	err := v.box.store.EachCount(from, to, func(key []byte, n int64) error {
		parts := strings.Split(string(key[len(prefix):]), "\x00")
		if len(parts) > 1 {
			sums[parts[1]] += n
		}
		return nil
	})
	for code, n := range sums {
		w.Types = append(w.Types, api.FacetCount{Code: code, Text: v.fieldText(def, def.Search.Type, code), Count: n})
	}
	slices.SortFunc(w.Types, func(a, b api.FacetCount) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(a.Code, b.Code)
	})
	if err != nil {
		return err
	}
	_, err = v.openOf("event", func(s *domain.State, n int64) {
		w.States = append(w.States, api.FacetCount{Code: s.ID, Text: s.Title.In(v.lang), Count: n})
	})
	return err
}

func (v *viewer) wallLive(w *api.WallSnapshot) error {
	hits, err := v.box.store.Scan(keyOf("k", "event"), nil, true, wallLive*2)
	if err != nil {
		return err
	}
	for _, h := range hits {
		if len(w.Live) == wallLive {
			break
		}
		r, err := v.box.record(h.ID)
		if err != nil {
			return err
		}
		def, ok := v.p.Definition(r.Definition)
		if !ok || r.Text("restricted") != "" {
			continue
		}
		e := api.WallEvent{ID: r.ID.String(), At: r.CreatedAt, KindTitle: def.Title.In(v.lang), TypeText: v.fieldText(def, def.Search.Type, r.Text(def.Search.Type)),
			Urgency: r.Text("urgency"), VillageName: v.p.name(r.Text(domain.FieldVillage)), StateTitle: v.stateTitle(def, r.State), Lng: r.Int("point/lng"), Lat: r.Int("point/lat")}
		if s, ok := def.State(r.State); ok {
			e.Tone = s.Tone
		}
		w.Live = append(w.Live, e)
	}
	return nil
}

func (v *viewer) wallOverdue(w *api.WallSnapshot) error {
	for _, kind := range wallKinds {
		hits, err := v.box.store.Scan(keyOf("o", v.box.Organisation(), kind), nil, false, wallLive)
		if err != nil {
			return err
		}
		for _, h := range hits {
			if dueOfKey(h.Key) > v.now {
				break
			}
			r, err := v.box.record(h.ID)
			if err != nil {
				return err
			}
			def, ok := v.p.Definition(r.Definition)
			if !ok || r.Text("restricted") != "" {
				continue
			}
			row, err := v.row(Found{Record: r, Def: def, Sight: domain.SightSummary})
			if err != nil {
				return err
			}
			row.Village = v.p.name(row.Village)
			w.Overdue = append(w.Overdue, row)
		}
	}
	slices.SortFunc(w.Overdue, func(a, b api.RecordRow) int { return compareDue(a, b) })
	w.Overdue = w.Overdue[:min(len(w.Overdue), wallLive)]
	return nil
}

func compareDue(a, b api.RecordRow) int {
	due := func(r api.RecordRow) int64 {
		if r.Clock == nil {
			return noDue
		}
		return r.Clock.DueAt
	}
	switch da, db := due(a), due(b); {
	case da < db:
		return -1
	case da > db:
		return 1
	}
	return strings.Compare(a.ID, b.ID)
}

func (v *viewer) wallVillages(w *api.WallSnapshot) error {
	today := dayOf(v.now)
	if o, ok := v.p.organisations[v.box.Organisation()]; ok {
		w.Centre = [2]int64{o.Lng, o.Lat}
	}
	for _, code := range v.p.within(v.box.Organisation()) {
		o := v.p.organisations[code]
		if o == nil || o.Level != domain.LevelVillage || o.Lng == 0 {
			continue
		}
		item := api.WallVillage{Code: code, Name: o.Name, Lng: o.Lng, Lat: o.Lat}
		for _, kind := range wallKinds {
			if err := v.sum(&item.Open, "vo", kind, code); err != nil {
				return err
			}
			if err := v.sum(&item.Today, "vd", kind, today, code); err != nil {
				return err
			}
		}
		w.Villages = append(w.Villages, item)
	}
	return nil
}

func (v *viewer) wallDuty(w *api.WallSnapshot) error {
	now, err := v.box.Duty(v.c)
	if err != nil {
		return err
	}
	w.Duty.Staff = []string{}
	if s := now.Shift; s != nil {
		w.Duty.Slot, w.Duty.Start, w.Duty.End = s.Slot, s.Start, s.End
		if s.Leader != nil {
			w.Duty.Leader = s.Leader.Name
		}
		for _, u := range s.Staff {
			w.Duty.Staff = append(w.Duty.Staff, u.Name)
		}
	}
	desk := Caller{Subject: domain.Subject{Grants: []domain.Grant{{Role: domain.RoleDutyOfficer, Organisation: v.box.Organisation()}}}, Lang: v.lang}
	alarms, err := v.box.Alarms(desk)
	w.Alarms = alarms.Items
	return err
}

func (v *viewer) wallMediation(w *api.WallSnapshot) error {
	open, err := v.openOf("mediation", nil)
	if err != nil {
		return err
	}
	w.Mediation.Open = open
	month := time.UnixMilli(v.now).In(local)
	for d := 1; d <= month.Day(); d++ {
		date := time.Date(month.Year(), month.Month(), d, 12, 0, 0, 0, local)
		if err := v.sum(&w.Mediation.Closed, "x", v.box.Organisation(), "mediation", dayOf(date.UnixMilli())); err != nil {
			return err
		}
		for _, outcome := range []string{"written", "oral"} {
			if err := v.sum(&w.Mediation.Success, "xo", v.box.Organisation(), "mediation", dayOf(date.UnixMilli()), outcome); err != nil {
				return err
			}
		}
	}
	return nil
}

// WallBeat keeps what a wall says of itself.
func (b *Box) WallBeat(address string, beat api.WallBeat) {
	now, _ := b.clock.Now()
	b.walls.mu.Lock()
	defer b.walls.mu.Unlock()
	if b.walls.seen == nil || len(b.walls.seen) > 100 {
		b.walls.seen = map[string]api.Wall{}
	}
	b.walls.seen[address] = api.Wall{Name: address, SeenAt: now, Audio: beat.Audio, Layout: beat.Layout, Version: beat.Version}
}

func (b *Box) wallList() []api.Wall {
	b.walls.mu.Lock()
	defer b.walls.mu.Unlock()
	out := []api.Wall{}
	for _, w := range b.walls.seen {
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b api.Wall) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// display is the stored right of a screen; its token is kept as a hash.
type display struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	At   int64  `json:"at"`
}

// DisplayKnown reports whether a display's token is valid.
func (b *Box) DisplayKnown(token string) bool {
	_, ok, err := b.local.Get(bucketDisplays, sessionKey(token))
	return err == nil && ok && token != ""
}

// CreateDisplay allows a screen to show the wall; the address is shown once.
func (b *Box) CreateDisplay(c Caller, name string) (api.Display, error) {
	now, _ := b.clock.Now()
	token := rand.Text()
	d := display{ID: rand.Text()[:10], Name: strings.TrimSpace(name), At: now}
	body, err := json.Marshal(d)
	if err != nil {
		return api.Display{}, err
	}
	if err := b.local.Put(bucketDisplays, sessionKey(token), body, time.Time{}); err != nil {
		return api.Display{}, err
	}
	return api.Display{ID: d.ID, Name: d.Name, CreatedAt: d.At, URL: "/wall?token=" + token},
		b.noteFor(c.User, audit.Entry{Action: "create_display", Object: d.ID, Result: "ok"})
}

// Displays lists the screens that may show the wall.
func (b *Box) Displays() (api.DisplayList, error) {
	out := api.DisplayList{Items: []api.Display{}}
	rows, err := b.local.Scan(bucketDisplays, nil, 1000)
	if err != nil {
		return out, err
	}
	for _, row := range rows {
		var d display
		if err := json.Unmarshal(row.Value, &d); err != nil {
			return out, err
		}
		out.Items = append(out.Items, api.Display{ID: d.ID, Name: d.Name, CreatedAt: d.At})
	}
	return out, nil
}

// DeleteDisplay takes a screen's right away.
func (b *Box) DeleteDisplay(c Caller, id string) error {
	rows, err := b.local.Scan(bucketDisplays, nil, 1000)
	if err != nil {
		return err
	}
	for _, row := range rows {
		var d display
		if json.Unmarshal(row.Value, &d) == nil && d.ID == id {
			if err := b.local.Delete(bucketDisplays, row.Key); err != nil {
				return err
			}
			return b.noteFor(c.User, audit.Entry{Action: "delete_display", Object: id, Result: "ok"})
		}
	}
	return ErrNotFound
}
