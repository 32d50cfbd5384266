package demo

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
)

// Trickle reports a new matter now and then, until ctx ends. Each takes a
// step or two of its way, so that screens are seen to move.
func Trickle(ctx context.Context, box *service.Box, every time.Duration, fail func(error)) {
	s := &seeder{box: box, ctx: ctx, dice: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 7)), people: map[string]service.Caller{}}
	for name, g := range map[string]domain.Grant{"duty": {Role: domain.RoleDutyOfficer, Organisation: Township}, "duty2": {Role: domain.RoleDutyOfficer, Organisation: Township},
		"leader": {Role: domain.RoleLeader, Organisation: Township}, "station": {Role: domain.RoleStationOfficer, Organisation: enforcement}} {
		id, ok := box.AccountByName(name)
		if !ok {
			return
		}
		s.people[name] = service.Caller{Subject: domain.Subject{User: id, Grants: []domain.Grant{g}}}
	}
	for _, o := range box.Organisations().Items {
		if o.Level == domain.LevelVillage && strings.HasPrefix(o.Code, Township) {
			s.villages = append(s.villages, service.Division{Code: o.Code, Name: o.Name, Lng: o.Lng, Lat: o.Lat})
		}
	}
	s.roster()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.report(); s.err != nil && ctx.Err() == nil {
			fail(s.err)
			s.err = nil
		}
	}
}

// report brings one matter and often sends it on.
func (s *seeder) report() {
	t := pick(s, stories)
	if t.urgency == "emergency" && s.dice.IntN(4) > 0 {
		return // an alarm a minute would be no demonstration
	}
	s.end = time.Now().UnixMilli()
	step, moves := "report", []move(nil)
	if s.dice.IntN(2) == 0 {
		step, moves = "register", []move{{who: "duty", step: "dispatch", in: to(enforcement, "请现场核实并反馈。")}, {who: "station", step: "sign"}}[:1+s.dice.IntN(2)]
	}
	s.life(s.end, "duty", "event", step, s.tell(t, pick(s, s.villages)), moves)
	s.play()
}
