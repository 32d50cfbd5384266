package service

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/domain/clock"
)

// deadline is one clock of a record, computed.
type deadline struct {
	Clock string
	clock.Deadline
}

// runs: it has a due time that the present moves towards.
func (d deadline) runs() bool { return d.Runs() && d.Due != 0 }

// colour is the card that is due, "" while none is.
func (d deadline) colour(now int64) string {
	switch d.Look(now) {
	case clock.Red:
		return red
	case clock.Yellow:
		return yellow
	}
	return ""
}

// workCalendar joins the yearly lists of the policy.
func (p *policy) workCalendar() *clock.Calendar {
	years := slices.Collect(maps.Values(p.years))
	return clock.NewCalendar(years, clock.OfficeHours)
}

// deadlines computes every clock of a record.
func (b *Box) deadlines(p *policy, def *domain.Definition, r *domain.Record) ([]deadline, error) {
	if len(r.Clocks) == 0 {
		return nil, nil
	}
	profiles, err := b.profilesOf(def)
	if err != nil {
		return nil, err
	}
	var out []deadline
	for i := range def.Clocks {
		id := def.Clocks[i].ID
		events, err := clockEvents(r, id)
		if err != nil {
			return nil, err
		}
		if d, ok := clock.Due(events, p.calendar, profiles); ok {
			out = append(out, deadline{Clock: id, Deadline: d})
		}
	}
	return out, nil
}

// profilesOf gives the deadlines that a kind's clocks follow. A definition
// never changes, so those that bring their own are read once.
func (b *Box) profilesOf(def *domain.Definition) (map[string]clock.Profile, error) {
	if len(def.Profiles) == 0 {
		return b.profiles, nil
	}
	if known, ok := b.ownProfiles.Load(def); ok {
		return known.(map[string]clock.Profile), nil
	}
	profiles, err := b.embedded.ProfilesOf(def)
	if err == nil {
		b.ownProfiles.Store(def, profiles)
	}
	return profiles, err
}

var clockKinds = map[domain.ClockKind]clock.Kind{
	domain.ClockStart: clock.Start, domain.ClockStop: clock.Stop, domain.ClockPause: clock.Pause, domain.ClockResume: clock.Resume,
	domain.ClockExtend: clock.Extend, domain.ClockChange: clock.Change, domain.ClockAdopt: clock.Adopt,
}

// clockEvents gives the history of one clock in the clock package's words.
func clockEvents(r *domain.Record, id string) ([]clock.Event, error) {
	var out []clock.Event
	for _, e := range r.Clocks {
		if e.Clock != id {
			continue
		}
		event := clock.Event{Kind: clockKinds[e.Kind], At: e.At, Since: e.Since, Until: e.Until, Profile: e.Profile, Urgency: e.Urgency}
		if !e.Child.IsZero() {
			event.Child = e.Child.String()
		}
		if e.Kind == domain.ClockExtend {
			limit, err := clock.ParseLimit(e.Limit)
			if err != nil {
				return nil, err
			}
			event.Limit = limit
		}
		out = append(out, event)
	}
	return out, nil
}

// clocks says how each clock stands for a reader.
func (v *viewer) clocks(def *domain.Definition, r *domain.Record) ([]api.Clock, error) {
	deadlines, err := v.box.deadlines(v.p, def, r)
	if err != nil {
		return nil, err
	}
	out := make([]api.Clock, 0, len(deadlines))
	for _, d := range deadlines {
		c, _ := def.Clock(d.Clock)
		item := api.Clock{ID: d.Clock, Title: c.Title.In(v.lang), State: string(d.Look(v.now)), DueAt: d.Due, WarnAt: d.Warn, YellowAt: d.Yellow,
			RedAt: d.Red, NextAt: d.Next(v.now), StartedAt: d.Started, PausedSince: d.PausedSince, Extensions: d.Extensions, Uncertain: d.Uncertain,
			Rule: v.rule(def, d)}
		if d.Due != 0 {
			item.RemainingMinutes = (d.Due - v.now) / 60_000
		}
		item.Text = v.remaining(d)
		out = append(out, item)
	}
	return out, nil
}

func (v *viewer) rule(def *domain.Definition, d deadline) string {
	profiles, err := v.box.profilesOf(def)
	if err != nil {
		return v.limitText(d.Limit) // the title alone is missing
	}
	title := profiles[d.Profile].Title
	return domain.Text{ZH: title.ZH, EN: title.EN}.In(v.lang) + " " + v.limitText(d.Limit)
}

func (v *viewer) limitText(l clock.Limit) string {
	units := map[clock.Unit]domain.Text{
		clock.Minutes: {ZH: "分钟", EN: " min"}, clock.Hours: {ZH: "小时", EN: " h"}, clock.WorkingHours: {ZH: "个工作小时", EN: " working hours"},
		clock.WorkingDays: {ZH: "个工作日", EN: " working days"}, clock.Days: {ZH: "日", EN: " days"}, clock.Months: {ZH: "个月", EN: " months"},
	}
	return fmt.Sprintf("%d%s", l.N, units[l.Unit].In(v.lang))
}

// remaining says in words how long still, or how late.
func (v *viewer) remaining(d deadline) string {
	switch {
	case d.Stopped != 0 && d.Due != 0 && d.Stopped > d.Due:
		return v.say("已办结（超期）", "Done late")
	case d.Stopped != 0:
		return v.say("已办结", "Done")
	case d.PausedSince != 0 || d.Due == 0:
		return v.say("暂停计时", "Paused")
	case v.now >= d.Due:
		return v.say("超期"+v.length(v.now-d.Due), v.length(v.now-d.Due)+" overdue")
	}
	return v.say("剩"+v.length(d.Due-v.now), v.length(d.Due-v.now)+" left")
}

// length: minutes below two hours, hours below two days, then days.
func (v *viewer) length(ms int64) string {
	switch minutes := ms / 60_000; {
	case minutes < 120:
		return fmt.Sprintf("%d%s", minutes, v.say("分钟", " min"))
	case minutes < 48*60:
		return fmt.Sprintf("%d%s", minutes/60, v.say("小时", " h"))
	default:
		return fmt.Sprintf("%d%s", minutes/(24*60), v.say("天", " days"))
	}
}
