// Package demo fills a box with a township that never was: real names of
// places, invented people and matters, all labelled as a demonstration.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
)

// Township is 枫桥镇.
const Township = "330681109"

//go:embed divisions.csv
var divisions []byte

//go:embed 2026.json
var calendar2026 []byte

// Login is somebody that a visitor can sign in as.
type Login struct {
	Title    string `json:"title"`
	Username string `json:"username"`
	Password string `json:"password"`
	Page     string `json:"page"`
}

// Password serves every demo account; a demo holds nothing worth guarding.
const Password = "fengqiao-2026"

// pastClock runs while the past of the demo is made.
type pastClock struct{ now atomic.Int64 }

// Now implements service.Clock.
func (c *pastClock) Now() (int64, envelope.TimeQuality) { return c.now.Load(), envelope.TimeSet }

// seedDays is how far the demo's past goes back: enough for the trend of a
// month beside the month before.
const seedDays = 60

// Seed makes the box in dir and its last weeks. It returns the logins.
func Seed(ctx context.Context, dir string, progress func(string)) ([]Login, error) {
	return seedUntil(ctx, dir, time.Now().UnixMilli(), progress)
}

func seedUntil(ctx context.Context, dir string, end int64, progress func(string)) ([]Login, error) {
	if err := service.Init(dir); err != nil {
		return nil, err
	}
	clock := &pastClock{}
	clock.now.Store(end - seedDays*day)
	box, err := node.OpenBox(service.Options{Dir: dir, Clock: clock})
	if err != nil {
		return nil, err
	}
	s := &seeder{box: box, ctx: ctx, clock: clock, dice: rand.New(rand.NewPCG(2017, 11)), people: map[string]service.Caller{}, end: end}
	s.seed(progress)
	return s.logins, errors.Join(s.err, box.Close())
}

// seeder tells the demo's past. Its first error stays, and nothing happens
// after it.
type seeder struct {
	box      *service.Box
	ctx      context.Context
	clock    *pastClock
	dice     *rand.Rand
	villages []service.Division
	people   map[string]service.Caller
	logins   []Login
	end      int64 // Unix ms up to which the past is told
	plot     plot
	turns    int
	err      error
}

func (s *seeder) seed(progress func(string)) {
	progress("组织和账号 / organisation and people")
	s.keep(s.organisations())
	s.keep(s.found())
	if s.err == nil {
		s.keep(s.box.ImportCalendar(s.ctx, s.box.Technician(), calendar2026))
	}
	progress("最近 60 天的事项 / matters of the last sixty days")
	s.shifts()
	s.events()
	s.cases()
	s.petitions()
	s.hazards()
	s.notices()
	s.log()
	s.supervision()
	s.play()
}

func (s *seeder) keep(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Organisations of the demo beside the real villages.
const (
	enforcement = Township + "-S01"
	emergency   = Township + "-S02"
	justice     = Township + "-S03"
	police      = Township + "-S04"
	market      = Township + "-S05"
	farming     = Township + "-S06"
	committee   = Township + "-C01"
	county      = "330681"
)

func (s *seeder) organisations() error {
	rows, err := service.ParseDivisions("divisions.csv", divisions)
	if err != nil {
		return err
	}
	for i := range rows {
		if rows[i].Code == Township {
			rows[i].Abbr = "枫"
		}
		if rows[i].Level == domain.LevelVillage {
			s.villages = append(s.villages, rows[i])
		}
	}
	for code, name := range map[string]string{enforcement: "综合执法队", emergency: "应急管理站", justice: "枫桥司法所", police: "枫桥派出所", market: "市场监管所", farming: "农业农村办"} {
		rows = append(rows, service.Division{Code: code, Name: name, Level: domain.LevelStation, Parent: Township})
	}
	rows = append(rows, service.Division{Code: committee, Name: "枫桥镇人民调解委员会", Level: domain.LevelCommittee, Parent: Township, Abbr: "枫"})
	for _, v := range s.villages[:3] {
		rows = append(rows, service.Division{Code: v.Code + "001", Name: v.Name + "第一网格", Level: domain.LevelGrid, Parent: v.Code})
	}
	_, err = s.box.ImportDivisions(s.ctx, rows)
	return err
}

// person is a demo account.
type person struct {
	username, title, name, page string
	role, organisation          string
}

func (s *seeder) found() error {
	if s.err != nil {
		return s.err
	}
	admins := []person{
		{"sysadmin", "系统管理员", "演示系统管理员", "/app", domain.RoleSystemAdmin, Township},
		{"secadmin", "安全管理员", "演示安全管理员", "/app", domain.RoleSecurityAdmin, Township},
		{"auditor", "审计管理员", "演示审计管理员", "/app", domain.RoleAuditAdmin, Township},
	}
	staff := []person{
		{"grid", "网格员", "演示网格员", "/m", domain.RoleGridMember, s.villages[0].Code + "001"},
		{"village", "村干部", "演示村干部", "/m", domain.RoleVillageCadre, s.villages[0].Code},
		{"duty", "值班员", "演示值班员", "/app", domain.RoleDutyOfficer, Township},
		{"duty2", "值班员（夜班）", "演示值班员乙", "/app", domain.RoleDutyOfficer, Township},
		{"station", "站所人员", "演示执法员", "/app", domain.RoleStationOfficer, enforcement},
		{"police", "派出所", "演示民警", "/app", domain.RoleStationOfficer, police},
		{"safety", "应急站", "演示安全员", "/app", domain.RoleStationOfficer, emergency},
		{"mediator", "调解员", "演示调解员", "/app", domain.RoleMediator, committee},
		{"leader", "分管领导", "演示领导", "/app", domain.RoleLeader, Township},
		{"justice", "司法所", "演示司法员", "/app", domain.RoleJusticeOfficer, justice},
		{"petition", "信访专员", "演示信访员", "/app", domain.RolePetitionOfficer, Township},
	}
	f := service.Founding{Code: s.box.SetupCode(), Organisation: Township, Recipient: "demo"}
	for _, p := range admins {
		f.Admins = append(f.Admins, s.account(p))
	}
	if _, err := s.box.Found(s.ctx, f); err != nil {
		return err
	}
	for _, p := range staff {
		r, _, err := s.box.CreateAccount(s.ctx, s.box.Technician(), s.account(p))
		if err != nil {
			return err
		}
		if err := s.box.KeepPassword(s.ctx, r.ID); err != nil {
			return err
		}
		s.people[p.username] = service.Caller{Subject: domain.Subject{User: r.ID, Grants: []domain.Grant{{Role: p.role, Organisation: p.organisation}}}}
	}
	for _, p := range append(staff, admins...) {
		s.logins = append(s.logins, Login{Title: p.title, Username: p.username, Password: Password, Page: p.page})
	}
	return nil
}

func (s *seeder) account(p person) service.NewAccount {
	return service.NewAccount{Username: p.username, Name: p.name, Password: Password, Grants: []domain.Grant{{Role: p.role, Organisation: p.organisation}}}
}
