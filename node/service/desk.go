package service

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
)

// List gives a page of rows.
func (b *Box) List(ctx context.Context, c Caller, q Query) (api.RecordPage, error) {
	page, err := b.Records(ctx, c, q)
	if err != nil {
		return api.RecordPage{}, err
	}
	rows, err := b.viewer(c).rows(page.Items)
	return api.RecordPage{Items: rows, Next: page.Next, AsOf: page.AsOf}, err
}

func (v *viewer) rows(found []Found) ([]api.RecordRow, error) {
	rows := make([]api.RecordRow, 0, len(found))
	for _, f := range found {
		row, err := v.row(f)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

const workbenchRows = 20

// Workbench is what the caller must do now: their queue by clock, what
// just came in, what they must read, who is on duty, what rings.
func (b *Box) Workbench(ctx context.Context, c Caller) (api.Workbench, error) {
	v := b.viewer(c)
	out := api.Workbench{AsOf: v.now, Incoming: []api.RecordRow{}}
	for _, q := range []struct{ id, zh, en string }{
		{"mine", "轮到我办", "My turn"}, {"unread", "待我阅知", "To read"}, {"reported", "我上报的", "Reported by me"},
	} {
		page, err := b.Records(ctx, c, Query{Queue: q.id, Limit: workbenchRows, Open: q.id != "unread"})
		if err != nil {
			return out, err
		}
		rows, err := v.rows(page.Items)
		if err != nil {
			return out, err
		}
		queue := api.Queue{ID: q.id, Title: v.say(q.zh, q.en), Count: int64(len(rows)), Items: rows, More: page.Next != ""}
		for _, r := range rows {
			if r.Clock != nil && r.Clock.DueAt > 0 && r.Clock.DueAt <= v.now && r.Clock.State != "stopped" {
				queue.Overdue++
			}
		}
		out.Queues = append(out.Queues, queue)
	}
	incoming, err := b.Records(ctx, c, Query{Queue: "incoming", Limit: 10, Open: true})
	if err != nil {
		return out, err
	}
	if out.Incoming, err = v.rows(incoming.Items); err != nil {
		return out, err
	}
	if out.Duty, err = b.Duty(c); err != nil {
		return out, err
	}
	alarms, err := b.Alarms(c)
	out.Alarms = alarms.Items
	return out, err
}

// adminAlarms are those that ring with the three administrators.
var adminAlarms = []string{"break_glass", "backup", "disk", "clock"}

// Alarms lists what stands: for the desk everything, for administrators
// what concerns the box.
func (b *Box) Alarms(c Caller) (api.AlarmList, error) {
	v := b.viewer(c)
	out := api.AlarmList{Items: []api.Alarm{}, AsOf: v.now}
	hits, err := b.store.Scan(keyOf("w", kindAlarm), nil, true, 100)
	if err != nil {
		return out, err
	}
	for _, h := range hits {
		r, err := b.record(h.ID)
		if err != nil {
			return out, err
		}
		def, ok := v.p.Definition(r.Definition)
		if !ok || !isOpen(def, r) || !v.hears(def, r) {
			continue
		}
		out.Items = append(out.Items, v.alarm(def, r))
	}
	slices.SortStableFunc(out.Items, func(a, b api.Alarm) int { return int(a.Level - b.Level) })
	return out, nil
}

func (v *viewer) hears(def *domain.Definition, r *domain.Record) bool {
	if domain.SightOf(v.p, v.c.Subject, def, r) > domain.SightNone {
		return true
	}
	admin := slices.ContainsFunc(v.c.Grants, func(g domain.Grant) bool {
		return domain.Excludes(g.Role, domain.RoleDutyOfficer) && domain.Excludes(domain.RoleLeader, g.Role)
	})
	return admin && slices.Contains(adminAlarms, r.Text("reason"))
}

func (v *viewer) alarm(def *domain.Definition, r *domain.Record) api.Alarm {
	a := api.Alarm{ID: r.ID.String(), Level: r.Int("level"), Reason: r.Text("reason"), Title: v.label("alarm_reason", r.Text("reason")),
		Record: r.Text("source"), RaisedAt: r.CreatedAt, State: r.State, Version: version(r)}
	if t := r.Text("target"); t != "" {
		a.OrganisationName = v.p.name(t)
	}
	for _, e := range r.Steps {
		if e.Step == "acknowledge" {
			a.AcknowledgedAt, a.AcknowledgedBy = e.At, v.actorName(e.Actor)
		}
	}
	return a
}

// Duty says who is on duty now and next.
func (b *Box) Duty(c Caller) (api.DutyNow, error) {
	v := b.viewer(c)
	var out api.DutyNow
	shifts, err := b.shifts(v.now-2*24*time.Hour.Milliseconds(), v.now+2*24*time.Hour.Milliseconds())
	if err != nil {
		return out, err
	}
	var later []*api.Shift
	for _, r := range shifts {
		s := v.shift(r)
		switch {
		case s.State == "cancelled":
		case s.Start <= v.now && v.now < s.End:
			out.Shift = &s
		case s.Start > v.now:
			later = append(later, &s)
		}
	}
	if out.Shift != nil && out.Shift.State == "handed_over" && len(later) > 0 {
		out.Shift, later = later[0], later[1:] // who took over early is on duty from then on
	}
	if len(later) > 0 {
		out.Next = later[0]
	}
	if !v.seesKind(kindDutyLog) {
		return out, nil
	}
	out.LogOpen, err = b.count("ho", b.Organisation(), kindDutyLog)
	return out, err
}

// seesKind reports whether the viewer sees every record of a kind of this
// box: only then is a counter theirs to read.
func (v *viewer) seesKind(kind string) bool {
	def, _, ok := v.p.kind(kind)
	org := v.box.Organisation()
	return ok && domain.SightOf(v.p, v.c.Subject, def, &domain.Record{Custodian: org, Holder: org}) > domain.SightNone
}

// shifts lists shifts that begin in a period, in order.
func (b *Box) shifts(from, to int64) ([]*domain.Record, error) {
	prefix := keyOf("w", kindShift)
	after := binary.BigEndian.AppendUint64(slices.Clip(prefix), uint64(max(from, 0)))
	var out []*domain.Record
	for {
		hits, err := b.store.Scan(prefix, after, false, 200)
		if err != nil {
			return nil, err
		}
		for _, h := range hits {
			if dueOfKey(h.Key) >= to {
				return out, nil
			}
			r, err := b.record(h.ID)
			if err != nil {
				return nil, err
			}
			out = append(out, r)
			after = h.Key
		}
		if len(hits) < 200 {
			return out, nil
		}
	}
}

func (v *viewer) shift(r *domain.Record) api.Shift {
	s := api.Shift{ID: r.ID.String(), Date: r.Text("date"), Slot: v.label("shift_slot", r.Text("slot")), Start: r.Int("start"), End: r.Int("end"), State: r.State}
	if id, err := envelope.ParseRecordID(r.Text("leader")); err == nil {
		s.Leader = &api.User{ID: id.String(), Name: v.box.nameOf(id)}
	}
	for _, a := range r.List(domain.FieldAssigned) {
		if id, err := envelope.ParseRecordID(a); err == nil {
			s.Staff = append(s.Staff, api.User{ID: a, Name: v.box.nameOf(id)})
		}
	}
	if f, ok := r.SealedAt("phone", seal.Full); ok {
		if phone, err := v.box.open(r, f); err == nil {
			s.Phone = phone
		}
	}
	return s
}

// Roster lists the shifts of a period that the caller may see or stands in;
// without a period, this and the next week.
func (b *Box) Roster(c Caller, from, to int64) (api.Roster, error) {
	v := b.viewer(c)
	if to <= from {
		from, to = v.now-7*24*time.Hour.Milliseconds(), v.now+14*24*time.Hour.Milliseconds()
	}
	out := api.Roster{Items: []api.Shift{}}
	shifts, err := b.shifts(from, to)
	for _, r := range shifts {
		if v.seesShift(r) {
			out.Items = append(out.Items, v.shift(r))
		}
	}
	return out, err
}

func (v *viewer) seesShift(r *domain.Record) bool {
	def, ok := v.p.Definition(r.Definition)
	me := v.c.User.String()
	return ok && (domain.SightOf(v.p, v.c.Subject, def, r) > domain.SightNone || r.Text("leader") == me || slices.Contains(r.List(domain.FieldAssigned), me))
}

// every gives all records of a list that pass, page after page.
func (b *Box) every(ctx context.Context, c Caller, q Query, keep func(Found) bool) ([]Found, error) {
	var out []Found
	for q.Limit = maxPage; ; {
		page, err := b.Records(ctx, c, q)
		if err != nil {
			return nil, err
		}
		for _, f := range page.Items {
			if keep(f) {
				out = append(out, f)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return out, nil
		}
	}
}

// Handover lists what a leaving shift hands on; it may not be signed while
// an alarm is unacknowledged (DOMAIN §6.3).
func (b *Box) Handover(ctx context.Context, c Caller, shift envelope.RecordID) (api.Handover, error) {
	v := b.viewer(c)
	out := api.Handover{Open: []api.RecordRow{}, Log: []api.RecordRow{}, MaySign: true}
	if r, _, err := b.visible(v.p, c.Subject, shift); err != nil || r.Definition.ID != kindShift {
		return out, errors.Join(ErrNotFound, err)
	}
	pressing, err := b.every(ctx, c, Query{Open: true}, func(f Found) bool {
		u := f.Record.Text("urgency")
		return u == "urgent" || u == "emergency" || f.Record.HighestCard() != ""
	})
	if err != nil {
		return out, err
	}
	if out.Open, err = v.rows(pressing); err != nil {
		return out, err
	}
	entries, err := b.every(ctx, c, Query{Kinds: []string{kindDutyLog}, Open: true}, func(Found) bool { return true })
	if err != nil {
		return out, err
	}
	if out.Log, err = v.rows(entries); err != nil {
		return out, err
	}
	alarms, err := b.Alarms(c)
	out.Alarms = alarms.Items
	for _, a := range alarms.Items {
		if a.State == "raised" {
			out.MaySign, out.Why = false, v.say("还有未确认的告警，请先确认", "An alarm is not acknowledged. Acknowledge it first.")
		}
	}
	return out, err
}

// MayHear reports whether a change concerns the caller's stream: what they
// may see, and the alarms that ring with them.
func (b *Box) MayHear(c Caller, e Event) bool {
	v := b.viewer(c)
	r, def, err := b.visible(v.p, c.Subject, e.Record)
	if err == nil || !e.Alarm {
		return err == nil
	}
	if r, err = b.record(e.Record); err != nil {
		return false
	}
	def, ok := v.p.Definition(r.Definition)
	return ok && v.hears(def, r)
}

// ChangesSince tells what happened to a record after a version.
func (b *Box) ChangesSince(c Caller, id envelope.RecordID, since string) (api.Changes, error) {
	v := b.viewer(c)
	r, def, err := b.visible(v.p, c.Subject, id)
	if err != nil {
		return api.Changes{}, err
	}
	seen, err := parseVersion(since)
	if err != nil {
		return api.Changes{}, err
	}
	entries := r.Steps
	if i := slices.IndexFunc(r.Steps, func(e domain.Entry) bool { return e.Op == *seen }); i >= 0 {
		entries = r.Steps[i+1:]
	}
	timeline, err := v.timeline(Found{Record: r, Def: def, Sight: domain.SightOf(v.p, c.Subject, def, r)}, entries)
	return api.Changes{Changes: timeline, Version: version(r)}, err
}

// ViewAfter shows a record after one's own step. Who loses sight by the
// step (dispatching it away, acknowledging) still learns its new state.
func (b *Box) ViewAfter(c Caller, id envelope.RecordID) (api.Record, error) {
	out, err := b.View(c, id)
	if !errors.Is(err, ErrNotFound) {
		return out, err
	}
	v := b.viewer(c)
	r, err := b.record(id)
	if err != nil {
		return out, err
	}
	def, _ := v.p.Definition(r.Definition)
	out.RecordRow, err = v.row(Found{Record: r, Def: def, Sight: domain.SightNone})
	out.Version = version(r)
	return out, err
}
