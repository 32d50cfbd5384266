// Package demo fills a box with a township that never was: real names of
// places, invented people and matters, all labelled as a demonstration.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
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

// Seed makes the box in dir and its last weeks. It returns the logins.
func Seed(ctx context.Context, dir string, progress func(string)) ([]Login, error) {
	if err := service.Init(dir); err != nil {
		return nil, err
	}
	clock := &pastClock{}
	clock.now.Store(time.Now().Add(-seedDays * 24 * time.Hour).UnixMilli())
	box, err := service.Open(service.Options{Dir: dir, Clock: clock})
	if err != nil {
		return nil, err
	}
	s := &seeder{box: box, clock: clock, dice: rand.New(rand.NewPCG(2017, 11)), people: map[string]service.Caller{}}
	err = s.seed(ctx, progress)
	return s.logins, errors.Join(err, box.Close())
}

const seedDays = 30

type seeder struct {
	box      *service.Box
	clock    *pastClock
	dice     *rand.Rand
	villages []service.Division
	people   map[string]service.Caller
	logins   []Login
}

func (s *seeder) seed(ctx context.Context, progress func(string)) error {
	progress("组织和账号 / organisation and people")
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
	rows = append(rows,
		service.Division{Code: Township + "-S01", Name: "综合执法队", Level: domain.LevelStation, Parent: Township},
		service.Division{Code: Township + "-S02", Name: "应急管理站", Level: domain.LevelStation, Parent: Township},
		service.Division{Code: Township + "-S03", Name: "枫桥司法所", Level: domain.LevelStation, Parent: Township},
		service.Division{Code: Township + "-C01", Name: "枫桥镇人民调解委员会", Level: domain.LevelCommittee, Parent: Township, Abbr: "枫"},
		service.Division{Code: s.villages[0].Code + "001", Name: s.villages[0].Name + "第一网格", Level: domain.LevelGrid, Parent: s.villages[0].Code})
	if _, err := s.box.ImportDivisions(ctx, rows); err != nil {
		return err
	}
	if err := s.found(ctx); err != nil {
		return err
	}
	if err := s.box.ImportCalendar(ctx, s.box.Technician(), calendar2026); err != nil {
		return err
	}
	progress("最近 30 天的事项 / matters of the last thirty days")
	if err := s.shifts(ctx); err != nil {
		return err
	}
	return s.matters(ctx)
}

// person is a demo account.
type person struct {
	username, title, name, page string
	role, organisation          string
}

func (s *seeder) found(ctx context.Context) error {
	admins := []person{
		{"sysadmin", "系统管理员", "演示系统管理员", "/app", domain.RoleSystemAdmin, Township},
		{"secadmin", "安全管理员", "演示安全管理员", "/app", domain.RoleSecurityAdmin, Township},
		{"auditor", "审计管理员", "演示审计管理员", "/app", domain.RoleAuditAdmin, Township},
	}
	staff := []person{
		{"grid", "网格员", "演示网格员", "/m", domain.RoleGridMember, s.villages[0].Code + "001"},
		{"village", "村干部", "演示村干部", "/m", domain.RoleVillageCadre, s.villages[0].Code},
		{"duty", "值班员", "演示值班员", "/app", domain.RoleDutyOfficer, Township},
		{"station", "站所人员", "演示执法员", "/app", domain.RoleStationOfficer, Township + "-S01"},
		{"mediator", "调解员", "演示调解员", "/app", domain.RoleMediator, Township + "-C01"},
		{"leader", "分管领导", "演示领导", "/app", domain.RoleLeader, Township},
		{"justice", "司法所", "演示司法员", "/app", domain.RoleJusticeOfficer, Township + "-S03"},
	}
	f := service.Founding{Code: s.box.SetupCode(), Organisation: Township, Recipient: "demo"}
	for _, p := range admins {
		f.Admins = append(f.Admins, s.account(p))
	}
	if _, err := s.box.Found(ctx, f); err != nil {
		return err
	}
	for _, p := range staff {
		r, _, err := s.box.CreateAccount(ctx, s.box.Technician(), s.account(p))
		if err != nil {
			return err
		}
		if err := s.box.KeepPassword(ctx, r.ID); err != nil {
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

func (s *seeder) shifts(ctx context.Context) error {
	today := time.Now().In(time.FixedZone("UTC+8", 8*3600))
	for d := -2; d < 7; d++ {
		date := today.AddDate(0, 0, d)
		for _, slot := range []struct {
			code     string
			from, to int
		}{{"day", 8, 17}, {"night", 17, 32}} {
			start := time.Date(date.Year(), date.Month(), date.Day(), slot.from, 0, 0, 0, date.Location())
			fields := map[string]any{"date": date.Format(time.DateOnly), "slot": slot.code, "start": start.UnixMilli(),
				"end": start.Add(time.Duration(slot.to-slot.from) * time.Hour).UnixMilli(), "leader": s.people["leader"].User.String(),
				"assigned": []string{s.people["duty"].User.String()}, "phone": "0575-87010000"}
			if _, err := s.box.Create(ctx, s.people["duty"], "shift", "", service.Input{Fields: fields}); err != nil {
				return fmt.Errorf("shift: %w", err)
			}
		}
	}
	return nil
}

// story is a matter to tell.
type story struct{ kind, title, content, urgency string }

var stories = []story{
	{"01", "村口路灯不亮", "主干道两盏路灯已三天不亮，夜间出行不便。", "normal"},
	{"01", "自来水水压不足", "早晚高峰三楼以上基本没有水。", "online"},
	{"02", "邻居建房挡住采光", "东侧邻居加建围墙，影响一楼采光，双方多次争吵。", "normal"},
	{"02", "宅基地界址争议", "两户对后院界址说法不一，要求镇里派人丈量。", "normal"},
	{"03", "夜间有人翻围墙", "老厂区夜间多次有陌生人翻墙进入。", "urgent"},
	{"05", "建议增设公交站点", "多位老人反映到镇卫生院不便，建议增设一站。", "low"},
	{"01", "河道有垃圾漂浮", "桥下漂浮物较多，有异味。", "normal"},
	{"03", "占道经营影响通行", "集市日摊位占用半幅路面。", "normal"},
	{"06", "反诈宣传进村", "组织村民学习防范电信诈骗。", "low"},
	{"07", "山脚处有烟雾", "后山山脚冒烟，已通知护林员前往。", "emergency"},
	{"02", "拖欠工程款", "装修队反映业主拖欠尾款。", "normal"},
	{"01", "下水道堵塞", "雨后污水外溢到路面。", "urgent"},
}

var surnames = []string{"赵", "钱", "孙", "李", "周", "吴", "郑", "王", "陈", "楼", "骆", "何"}

func (s *seeder) fields(t story) map[string]any {
	v := s.villages[s.dice.IntN(len(s.villages))]
	return map[string]any{"title": t.title + "（演示）", "type": t.kind, "content": t.content + "本条为演示数据。", "urgency": t.urgency, "village": v.Code,
		"source": "grid", "scale": "01", "people_count": int64(1 + s.dice.IntN(4)),
		"point":         map[string]any{"lng": v.Lng + int64(s.dice.IntN(8000)) - 4000, "lat": v.Lat + int64(s.dice.IntN(8000)) - 4000},
		"people/0/name": surnames[s.dice.IntN(len(surnames))] + "某某", "people/0/phone": fmt.Sprintf("1380000%04d", s.dice.IntN(10000))}
}

const seedMatters = 120

func (s *seeder) matters(ctx context.Context) error {
	start := s.clock.now.Load()
	span := time.Now().Add(-10*time.Minute).UnixMilli() - start
	for i := range seedMatters {
		s.clock.now.Store(start + span*int64(i)/seedMatters)
		if err := s.event(ctx, stories[s.dice.IntN(len(stories))], i); err != nil {
			return err
		}
		if i%24 == 5 || i == seedMatters-2 {
			if err := s.mediation(ctx); err != nil {
				return err
			}
		}
	}
	return s.dutyLog(ctx)
}

// event walks an event a random part of its way; recent ones less far.
func (s *seeder) event(ctx context.Context, t story, i int) error {
	duty := s.people["duty"]
	r, err := s.box.Create(ctx, duty, "event", "register", service.Input{Fields: s.fields(t)})
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	far := 5 // what is old is closed, but for a few that are late
	switch {
	case i > seedMatters*95/100:
		far = s.dice.IntN(3)
	case i%40 == 7:
		far = 2
	}
	if err := s.acknowledge(ctx); err != nil {
		return err
	}
	steps := []struct {
		who, step string
		in        service.Input
	}{
		{"duty", "dispatch", service.Input{Inputs: map[string]any{"to": Township + "-S01"}, Note: "请现场核实并反馈。"}},
		{"station", "sign", service.Input{}},
		{"station", "resolve", service.Input{Fields: map[string]any{"result": "已到现场处理，当事人认可。", "solved": true, "method": "09"}}},
		{"duty", "verify", service.Input{}},
		{"duty", "close", service.Input{}},
	}
	for _, st := range steps[:min(far, len(steps))] {
		s.clock.now.Add(int64(time.Duration(1+s.dice.IntN(20)) * time.Minute / time.Millisecond))
		if r, err = s.box.Step(ctx, s.people[st.who], r.ID, st.step, "", st.in); err != nil {
			return fmt.Errorf("event %s: %w", st.step, err)
		}
	}
	return nil
}

// acknowledge keeps the demo's past from ringing in its present.
func (s *seeder) acknowledge(ctx context.Context) error {
	alarms, err := s.box.Alarms(s.people["duty"])
	for _, a := range alarms.Items {
		id, perr := envelope.ParseRecordID(a.ID)
		if err = errors.Join(err, perr); err != nil {
			return err
		}
		if _, err = s.box.Step(ctx, s.people["duty"], id, "clear", "", service.Input{Inputs: map[string]any{"reason": "handled"}}); err != nil {
			return err
		}
	}
	return err
}

func (s *seeder) mediation(ctx context.Context) error {
	v := s.villages[s.dice.IntN(len(s.villages))]
	fields := map[string]any{"title": "相邻采光纠纷（演示）", "type": "0201", "source": "application", "committee": Township + "-C01", "village": v.Code,
		"assigned": []string{s.people["mediator"].User.String()}, "facts": "双方因建房间距发生争执，申请调解。本条为演示数据。", "claims": "要求降低围墙高度。",
		"parties/0/name": "赵某某", "parties/0/role": "applicant", "parties/0/consent": "given", "parties/1/name": "钱某某", "parties/1/role": "respondent", "parties/1/consent": "given",
		"violence_check": "none"}
	r, err := s.box.Create(ctx, s.people["mediator"], "mediation", "", service.Input{Fields: fields})
	if err == nil {
		s.clock.now.Add(time.Hour.Milliseconds())
		_, err = s.box.Step(ctx, s.people["mediator"], r.ID, "accept", "", service.Input{})
	}
	if err != nil {
		return fmt.Errorf("mediation: %w", err)
	}
	return nil
}

func (s *seeder) dutyLog(ctx context.Context) error {
	_, err := s.box.Create(ctx, s.people["duty"], "duty_log", "", service.Input{Fields: map[string]any{"kind": "call",
		"content": "县中心来电了解汛情，已答复无异常（演示）。", "from_unit": "县级中心"}})
	if err != nil {
		return fmt.Errorf("duty log: %w", err)
	}
	return nil
}

// Trickle reports a new matter now and then, until ctx ends.
func Trickle(ctx context.Context, box *service.Box, every time.Duration, fail func(error)) {
	id, ok := box.AccountByName("duty")
	if !ok {
		return
	}
	c := service.Caller{Subject: domain.Subject{User: id, Grants: []domain.Grant{{Role: domain.RoleDutyOfficer, Organisation: Township}}}}
	s := &seeder{box: box, dice: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 7))}
	for _, o := range box.Organisations().Items {
		if o.Level == domain.LevelVillage && strings.HasPrefix(o.Code, Township) {
			s.villages = append(s.villages, service.Division{Code: o.Code, Name: o.Name, Lng: o.Lng, Lat: o.Lat})
		}
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		t := stories[s.dice.IntN(len(stories))]
		if t.urgency == "emergency" && s.dice.IntN(4) > 0 {
			continue // an alarm a minute would be no demonstration
		}
		if _, err := box.Create(ctx, c, "event", "", service.Input{Fields: s.fields(t)}); err != nil && ctx.Err() == nil {
			fail(err)
		}
	}
}
