package service

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
)

const (
	bucketDisplays = "displays"
	wallRows       = 12  // of each list
	wallScan       = 500 // records looked at for a list, at most
	wallTrendDays  = 30
	day            = 24 * time.Hour
)

// walls remembers what the large screens said of themselves.
type walls struct {
	mu   sync.Mutex
	seen map[string]api.Wall
}

// casework are the kinds that the wall counts: what people reported, not
// what the centre announces.
func (p *policy) casework() []string {
	return slices.DeleteFunc(p.matterKinds(), func(id string) bool { return !p.isCasework(id) })
}

func (p *policy) isCasework(kind string) bool {
	def, _, ok := p.kind(kind)
	return ok && isMatter(def) && def.Family != domain.FamilyNotice
}

// Wall computes everything that the wall shows, from counters and lists cut
// at a fixed length. It holds codes, names of places and offices only: no
// text, no exact position, people on duty as 张*.
func (b *Box) Wall(ctx context.Context, lang string) (api.WallSnapshot, error) {
	if err := b.settled(ctx); err != nil {
		return api.WallSnapshot{}, err
	}
	v := b.viewer(Caller{Lang: lang})
	head, err := b.store.Head()
	out := api.WallSnapshot{Seq: head, ServerTime: v.now, AsOf: v.now, Live: []api.WallEvent{}, Overdue: []api.WallOverdue{}, Alarms: []api.WallAlarm{}, Villages: []api.WallVillage{}}
	if err != nil {
		return out, err
	}
	for _, fill := range []func(*api.WallSnapshot) error{v.wallDays, v.wallOpen, v.wallTypes, v.wallLive, v.wallOverdue, v.wallVillages, v.wallDuty, v.wallAlarms, v.wallMediation} {
		if err := fill(&out); err != nil {
			return out, err
		}
	}
	out.Outline, err = b.outlineVersion()
	return out, err
}

// eachDay visits a counter by day from a time up to now; rest are the parts
// of its key after the day.
func (v *viewer) eachDay(counter, kind string, from int64, visit func(date string, rest []string, n int64)) error {
	prefix := keyOf(counter, v.box.Organisation(), kind)
	first := append(slices.Clip(prefix), dayOf(from)...)
	last := append(slices.Clip(prefix), dayOf(v.now)+"~"...)
	return v.box.store.EachCount(first, last, func(key []byte, n int64) error {
		parts := keyParts(key[len(prefix):])
		visit(parts[0], parts[1:], n)
		return nil
	})
}

// keyParts undoes keyOf.
func keyParts(key []byte) []string {
	return strings.Split(strings.TrimSuffix(string(key), "\x00"), "\x00")
}

// wallDays fills the trend and, from its last day, today's figures.
func (v *viewer) wallDays(w *api.WallSnapshot) error {
	at := map[string]*api.WallDay{}
	w.Trend = make([]api.WallDay, wallTrendDays)
	from := v.now - (wallTrendDays-1)*day.Milliseconds()
	for i := range w.Trend {
		ms := from + int64(i)*day.Milliseconds()
		w.Trend[i].Date = time.UnixMilli(ms).In(local).Format("01-02")
		at[dayOf(ms)] = &w.Trend[i]
	}
	for _, kind := range v.p.casework() {
		err := v.eachDay("d", kind, from, func(date string, _ []string, n int64) { at[date].Reported += n })
		if err != nil {
			return err
		}
		err = v.eachDay("x", kind, from, func(date string, _ []string, n int64) { at[date].Closed += n })
		if err != nil {
			return err
		}
	}
	today := w.Trend[wallTrendDays-1]
	w.Today.Reported, w.Today.Closed = today.Reported, today.Closed
	return nil
}

// wallOpen counts what is open, what is overdue, and open events by state.
func (v *viewer) wallOpen(w *api.WallSnapshot) error {
	w.States = []api.FacetCount{}
	for _, kind := range v.p.casework() {
		late, err := v.box.overdue(kind, v.now)
		if err != nil {
			return err
		}
		w.Today.Overdue += late
		open, err := v.openOf(kind, func(s *domain.State, n int64) {
			if kind == "event" {
				w.States = append(w.States, api.FacetCount{Code: s.ID, Text: s.Title.In(v.lang), Count: n})
			}
		})
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

// wallTypes counts events of the last thirty days by type.
func (v *viewer) wallTypes(w *api.WallSnapshot) error {
	def, _, ok := v.p.kind("event")
	w.Types = []api.FacetCount{}
	if !ok {
		return nil
	}
	sums := map[string]int64{}
	err := v.eachDay("y", "event", v.now-(wallTrendDays-1)*day.Milliseconds(), func(_ string, rest []string, n int64) { sums[rest[0]] += n })
	for code, n := range sums {
		w.Types = append(w.Types, api.FacetCount{Code: code, Text: v.fieldText(def, def.Search.Type, code), Count: n})
	}
	slices.SortFunc(w.Types, func(a, b api.FacetCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Code, b.Code))
	})
	return err
}

// shownOnWall leaves out what is restricted, taken back, or part of an
// import that has not come in yet.
func (v *viewer) shownOnWall(r *domain.Record) (*domain.Definition, bool, error) {
	def, ok := v.p.Definition(r.Definition)
	if !ok || r.Erased || r.Merged() || domain.Restricted(def, r) {
		return nil, false, nil
	}
	in, err := v.box.imported(r)
	return def, in, err
}

// wallLive lists the newest events. Rows of a running import may stand
// before them, so it looks at more than it shows, but never at all.
func (v *viewer) wallLive(w *api.WallSnapshot) error {
	hits, err := v.box.store.Scan(keyOf("k", "event"), nil, true, wallScan)
	if err != nil {
		return err
	}
	for _, h := range hits {
		if len(w.Live) == wallRows {
			break
		}
		r, err := v.box.record(h.ID)
		if err != nil {
			return err
		}
		def, ok, err := v.shownOnWall(r)
		if err != nil {
			return err
		}
		if ok {
			w.Live = append(w.Live, v.wallEvent(def, r))
		}
	}
	return nil
}

func (v *viewer) wallEvent(def *domain.Definition, r *domain.Record) api.WallEvent {
	e := api.WallEvent{ID: r.ID.String(), At: r.CreatedAt, KindTitle: def.Title.In(v.lang), TypeText: v.fieldText(def, def.Search.Type, r.Text(def.Search.Type)),
		Urgency: r.Text("urgency"), Village: r.Text(domain.FieldVillage), StateTitle: v.stateTitle(def, r.State),
		Lng: r.Int("point/lng"), Lat: r.Int("point/lat")}
	e.VillageName = v.p.name(e.Village)
	if s, ok := def.State(r.State); ok {
		e.Tone = s.Tone
	}
	return e
}

func (v *viewer) wallOverdue(w *api.WallSnapshot) error {
	for _, kind := range v.p.casework() {
		hits, err := v.box.store.Scan(keyOf("o", v.box.Organisation(), kind), nil, false, 2*wallRows)
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
			def, ok, err := v.shownOnWall(r)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			clocks, err := v.clocks(def, r)
			if err != nil {
				return err
			}
			if c := nearest(clocks); c != nil {
				w.Overdue = append(w.Overdue, api.WallOverdue{ID: r.ID.String(), KindTitle: def.Title.In(v.lang), TypeText: v.fieldText(def, def.Search.Type, r.Text(def.Search.Type)),
					VillageName: v.p.name(r.Text(domain.FieldVillage)), HolderName: v.p.name(r.Holder), DueAt: c.DueAt, State: c.State, ClockTitle: c.Title})
			}
		}
	}
	slices.SortFunc(w.Overdue, func(a, b api.WallOverdue) int {
		return cmp.Or(cmp.Compare(a.DueAt, b.DueAt), strings.Compare(a.ID, b.ID))
	})
	w.Overdue = w.Overdue[:min(len(w.Overdue), wallRows)]
	return nil
}

func (v *viewer) wallVillages(w *api.WallSnapshot) error {
	if o, ok := v.p.organisations[v.box.Organisation()]; ok {
		w.Centre = [2]int64{o.Lng, o.Lat}
	}
	open, today := map[string]int64{}, map[string]int64{}
	for _, kind := range v.p.casework() {
		if err := v.addByVillage(open, keyOf("vo", kind)); err != nil {
			return err
		}
		if err := v.addByVillage(today, keyOf("vd", kind, dayOf(v.now))); err != nil {
			return err
		}
	}
	for _, code := range v.p.within(v.box.Organisation()) {
		if o := v.p.organisations[code]; o != nil && o.Level == domain.LevelVillage {
			w.Villages = append(w.Villages, api.WallVillage{Code: code, Name: o.Name, Lng: o.Lng, Lat: o.Lat, Open: open[code], Today: today[code]})
		}
	}
	return nil
}

// addByVillage adds up a counter whose last part is a village.
func (v *viewer) addByVillage(sums map[string]int64, prefix []byte) error {
	return v.box.store.EachPrefix(prefix, func(key []byte, n int64) error {
		sums[keyParts(key[len(prefix):])[0]] += n
		return nil
	})
}

func (v *viewer) wallDuty(w *api.WallSnapshot) error {
	now, err := v.box.Duty(v.c)
	w.Duty.Staff = []string{}
	if s := now.Shift; s != nil {
		w.Duty.Slot, w.Duty.Start, w.Duty.End, w.Duty.State = s.Slot, s.Start, s.End, s.State
		if s.Leader != nil {
			w.Duty.Leader = domain.MaskValue(domain.MaskName, s.Leader.Name)
		}
		for _, u := range s.Staff {
			w.Duty.Staff = append(w.Duty.Staff, domain.MaskValue(domain.MaskName, u.Name))
		}
	}
	return err
}

// wallAlarms lists what nobody has acknowledged yet, highest level first.
func (v *viewer) wallAlarms(w *api.WallSnapshot) error {
	org := v.box.Organisation()
	var err error
	if w.AlarmsRaised, err = v.box.count("s", org, kindAlarm, "raised"); err != nil {
		return err
	}
	if w.AlarmsTaken, err = v.box.count("s", org, kindAlarm, "acknowledged"); err != nil {
		return err
	}
	hits, err := v.box.store.Scan(keyOf("s", org, kindAlarm, "raised"), nil, false, wallScan)
	if err != nil {
		return err
	}
	raised := make([]*domain.Record, len(hits))
	for i, h := range hits {
		if raised[i], err = v.box.record(h.ID); err != nil {
			return err
		}
	}
	slices.SortStableFunc(raised, func(a, b *domain.Record) int { return cmp.Compare(a.Int("level"), b.Int("level")) })
	for _, r := range raised[:min(len(raised), wallRows)] {
		a, err := v.wallAlarm(r)
		if err != nil {
			return err
		}
		w.Alarms = append(w.Alarms, a)
	}
	return nil
}

// wallAlarm says what is wrong and where; of a restricted matter only that
// something is.
func (v *viewer) wallAlarm(alarm *domain.Record) (api.WallAlarm, error) {
	a := api.WallAlarm{ID: alarm.ID.String(), Level: alarm.Int("level"), Title: v.label("alarm_reason", alarm.Text("reason")),
		RaisedAt: alarm.CreatedAt, Village: alarm.Text(domain.FieldVillage)}
	if t := alarm.Text("target"); t != "" {
		a.TargetName = v.p.name(t)
	}
	if id, err := envelope.ParseRecordID(alarm.Text("source")); err == nil {
		r, err := v.box.record(id)
		if err != nil {
			return a, err
		}
		def, ok, err := v.shownOnWall(r)
		if err != nil {
			return a, err
		}
		if ok {
			a.TypeText = v.fieldText(def, def.Search.Type, r.Text(def.Search.Type))
			a.Village = cmp.Or(a.Village, r.Text(domain.FieldVillage))
		}
	}
	if a.Village != "" {
		a.VillageName = v.p.name(a.Village)
	}
	return a, nil
}

// wallMediation counts this month's mediation.
func (v *viewer) wallMediation(w *api.WallSnapshot) error {
	open, err := v.openOf("mediation", nil)
	if err != nil {
		return err
	}
	w.Mediation.Open = open
	y, m, _ := time.UnixMilli(v.now).In(local).Date()
	first := time.Date(y, m, 1, 0, 0, 0, 0, local).UnixMilli()
	if err := v.eachDay("x", "mediation", first, func(_ string, _ []string, n int64) { w.Mediation.Closed += n }); err != nil {
		return err
	}
	return v.eachDay("xo", "mediation", first, func(_ string, rest []string, n int64) {
		if rest[0] == "written" || rest[0] == "oral" {
			w.Mediation.Success += n
		}
	})
}

// WallBeat keeps what a wall says of itself, under the name of its display
// or else its address.
func (b *Box) WallBeat(name string, beat api.WallBeat) {
	now, _ := b.clock.Now()
	b.walls.mu.Lock()
	defer b.walls.mu.Unlock()
	if b.walls.seen == nil || len(b.walls.seen) > 100 {
		b.walls.seen = map[string]api.Wall{}
	}
	b.walls.seen[name] = api.Wall{Name: name, SeenAt: now, Audio: beat.Audio, Layout: beat.Layout, Version: beat.Version}
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

// DisplayName finds the display of a token; false when the token is not
// valid.
func (b *Box) DisplayName(token string) (string, bool) {
	body, ok, err := b.local.Get(bucketDisplays, sessionKey(token))
	if err != nil || !ok || token == "" {
		return "", false
	}
	var d display
	err = json.Unmarshal(body, &d)
	return d.Name, err == nil
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
