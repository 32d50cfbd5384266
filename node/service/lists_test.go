package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
)

const (
	stationsCSV   = "机构代码,名称,层级,上级机构,简称,公开电话,位置\n330681109-S11,执法中队,站办所,枫桥镇,,0575-87010000,\"120.44,29.79\"\n330681109290001,枫源村第一网格,网格,枫桥镇枫源村,,,\n"
	committeesCSV = "代码,名称,上级,简称,擅长纠纷类别\n330681109-C11,老杨调解室,枫桥镇,杨,\n"
	peopleCSV     = "登录名,姓名,手机,职务,角色,单位\nyang01,杨光照,013800001234,调解员,调解员,老杨调解室\nzhao02,赵大,13800001235,中队长,站办所人员,330681109-S11\nli03,李二,,,值班员、调解员,枫桥镇；老杨调解室\n"
	rostersCSV    = "日期,班次,带班领导,值班人员,值班电话\n2026-03-05,白班,测试leader,li03,0575-87010001\n2026-03-05,夜班,leader01,李二、duty01,\n"
)

func (b *testBox) bring(c Caller, id, name, data string) api.Import {
	b.t.Helper()
	job, err := b.BeginImport(c, id, name, []byte(data))
	if err == nil {
		job, err = b.MapImport(c, job.ID, nil)
	}
	if err != nil || job.ErrorCount > 0 {
		b.t.Fatalf("%s: %+v %v", id, job.Errors, err)
	}
	if job, err = b.CommitImport(context.Background(), c, job.ID); err != nil {
		b.t.Fatalf("%s: %v", id, err)
	}
	for job.State == "running" {
		time.Sleep(10 * time.Millisecond)
		if job, err = b.ImportJob(c, job.ID); err != nil {
			b.t.Fatal(err)
		}
	}
	if job.State != "done" {
		b.t.Fatalf("%s: %s %+v", id, job.State, job.Errors)
	}
	return job
}

// bringAll brings stations, committees, people and rosters, each under the
// right of its own administrator.
func (b *testBox) bringAll(stations, committees, people, rosters string) []api.Import {
	b.t.Helper()
	return []api.Import{
		b.bring(b.admin(domain.RoleSystemAdmin), listStations, "s.csv", stations),
		b.bring(b.admin(domain.RoleSystemAdmin), listCommittees, "c.csv", committees),
		b.bring(b.admin(domain.RoleSecurityAdmin), listPeople, "p.csv", people),
		b.bring(b.people["duty"], listRosters, "r.csv", rosters),
	}
}

func TestListsOfMasterData(t *testing.T) {
	b := newTestBox(t)
	jobs := b.bringAll(stationsCSV, committeesCSV, peopleCSV, rostersCSV)
	first := jobs[2].FirstPasswords
	if len(first) != 3 || first[0].Username != "yang01" || first[0].Name != "杨光照" {
		t.Fatalf("first passwords: %+v", first)
	}
	if again, err := b.ImportJob(b.admin(domain.RoleSecurityAdmin), jobs[2].ID); err != nil || len(again.FirstPasswords) > 0 {
		t.Fatalf("first passwords are shown twice: %+v %v", again, err)
	}
	s, err := b.SignIn(context.Background(), "yang01", first[0].Password, Origin{Address: "10.0.0.5"})
	if err != nil || !s.MustChange {
		t.Fatalf("%+v %v", s, err)
	}
	c, _ := b.CallerByName("li03")
	want := []domain.Grant{{Role: domain.RoleDutyOfficer, Organisation: township}, {Role: domain.RoleMediator, Organisation: township + "-C11"}}
	if len(c.Grants) != 2 || c.Grants[0] != want[0] || c.Grants[1] != want[1] {
		t.Fatalf("%v", c.Grants)
	}
	roster, err := b.Roster(b.people["duty"], 0, 0)
	if err != nil || len(roster.Items) != 2 || roster.Items[0].Leader.Name != "测试leader" || len(roster.Items[1].Staff) != 2 {
		t.Fatalf("%+v %v", roster.Items, err)
	}
	if o := b.policy.Load().organisations[township+"-C11"]; o == nil || o.Abbr != "杨" || o.Parent != township {
		t.Fatalf("%+v", o)
	}
	b.check()
	b.close()
	b.open() // the policy is the same when it comes from the store
	if _, ok := b.CallerByName("zhao02"); !ok {
		t.Fatal("an imported person is gone after a restart")
	}
}

// TestCommitteeMembersAreAList: members of a committee come with the list
// of people, by a role held there; they open and work on its cases, others' they do not
// see, and the list gives them back.
func TestCommitteeMembersAreAList(t *testing.T) {
	b := newTestBox(t)
	b.bringAll(stationsCSV, committeesCSV, peopleCSV, rostersCSV)
	ctx := context.Background()
	yang, _ := b.CallerByName("yang01")
	yang.Lang = "zh"
	opened := func(committee string, by Caller) *domain.Record {
		t.Helper()
		r, err := b.Create(ctx, by, "mediation", "", Input{Fields: map[string]any{"title": "采光", "type": "0201", "source": "application", "committee": committee,
			"village": village, "parties/0/name": "王小明", "parties/0/role": "applicant", "parties/1/name": "李四", "parties/1/role": "respondent"}})
		if err != nil {
			t.Fatalf("%+v", err)
		}
		return r
	}
	own := opened(township+"-C11", yang)
	if _, err := b.Step(ctx, yang, own.ID, "note", version(own), Input{Note: "已联系双方"}); err != nil {
		t.Errorf("an imported member does not work on the committee's case: %v", err)
	}
	foreign := opened(township+"-C01", b.people["mediator"])
	if _, err := b.Step(ctx, yang, foreign.ID, "note", version(foreign), Input{Note: "看看"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a member meets another committee's case: %v", err)
	}
	sheet, err := b.Export(ctx, listPeople)
	if err != nil || !strings.Contains(fmt.Sprint(sheet.Rows), "老杨调解室") && !strings.Contains(fmt.Sprint(sheet.Rows), township+"-C11") {
		t.Errorf("%v %v", sheet.Rows, err)
	}
}

// TestUndoOfPeople: who has not signed in yet is withdrawn, who has stays.
func TestUndoOfPeople(t *testing.T) {
	b := newTestBox(t)
	jobs := b.bringAll(stationsCSV, committeesCSV, peopleCSV, rostersCSV)
	ctx, sec := context.Background(), b.admin(domain.RoleSecurityAdmin)
	s, err := b.SignIn(ctx, "yang01", jobs[2].FirstPasswords[0].Password, Origin{Address: "10.0.0.5"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.ChangePassword(ctx, s, Caller{Subject: domain.Subject{User: s.User}}, jobs[2].FirstPasswords[0].Password, "another-9-word"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // an undo is done once, also when the box was restarted
		b.close()
		b.open()
		job, err := b.UndoImport(ctx, sec, jobs[2].ID)
		if errors.Is(err, ErrState) {
			break
		}
		if err != nil || len(job.Touched) != 1 {
			t.Fatalf("%+v %v", job.Touched, err)
		}
	}
	for name, want := range map[string]bool{"yang01": true, "zhao02": false, "li03": false} {
		if _, ok := b.CallerByName(name); ok != want {
			t.Errorf("%s is there: %v, want %v", name, ok, want)
		}
	}
	if _, err := b.SignIn(ctx, "zhao02", jobs[2].FirstPasswords[1].Password, Origin{Address: "10.0.0.6"}); !errors.Is(err, ErrCredentials) {
		t.Fatalf("withdrawn, and signed in: %v", err)
	}
	b.bring(sec, listPeople, "p.csv", "登录名,姓名,角色,单位\nzhao02,赵大,站办所人员,330681109-S11\n")
	b.check()
}

func TestWhoMayBringWhat(t *testing.T) {
	b := newTestBox(t)
	for id, may := range map[string][]string{listStations: {domain.RoleSystemAdmin}, listCommittees: {domain.RoleSystemAdmin}, listPeople: {domain.RoleSecurityAdmin},
		listRosters: {"duty", "leader"}, "event": {"duty", "leader"}} {
		callers := map[string]Caller{}
		for _, role := range []string{domain.RoleSystemAdmin, domain.RoleSecurityAdmin, domain.RoleAuditAdmin} {
			callers[role] = b.admin(role)
		}
		for name, c := range b.people {
			callers[name] = c
		}
		for name, c := range callers {
			_, err := b.BeginImport(c, id, "x.csv", []byte("甲,乙\n1,2\n"))
			allowed := strings.Contains(strings.Join(may, " "), name)
			if allowed == errors.Is(err, ErrForbidden) {
				t.Errorf("%s by %s: %v", id, name, err)
			}
		}
	}
}

func TestWrongRowsOfLists(t *testing.T) {
	b := newTestBox(t)
	b.bringAll(stationsCSV, committeesCSV, peopleCSV, rostersCSV)
	sys, sec, duty := b.admin(domain.RoleSystemAdmin), b.admin(domain.RoleSecurityAdmin), b.people["duty"]
	for name, c := range map[string]struct {
		caller     Caller
		list, data string
		column     int
	}{
		"administrator":        {sec, listPeople, "登录名,姓名,角色,单位\nboss,老板,系统管理员,枫桥镇\n", 3},
		"user name twice":      {sec, listPeople, "登录名,姓名,角色,单位\naaa,甲,网格员,枫源村\nAAA,乙,网格员,枫源村\n", 1},
		"user name in use":     {sec, listPeople, "登录名,姓名,角色,单位\nduty01,甲,网格员,枫源村\n", 1},
		"lost leading zero":    {sec, listPeople, "登录名,姓名,手机,角色,单位\nbbb,甲,575-87010000,网格员,枫源村\n", 3},
		"organisation unknown": {sec, listPeople, "登录名,姓名,角色,单位\nccc,甲,网格员,无名村\n", 4},
		"code in use":          {sys, listStations, "代码,名称,上级\n330681109-S11,某站,枫桥镇\n", 1},
		"foreign parent":       {sys, listStations, "代码,名称,上级\n330681104-S11,某站,店口镇\n", 3},
		"no short name":        {sys, listCommittees, "代码,名称,上级,简称\n330681109-C20,某调委会,枫桥镇,\n", 4},
		"shift twice":          {duty, listRosters, "日期,班次,带班领导,值班人员\n2026-03-05,白班,leader01,duty01\n", 2},
		"nobody of the name":   {duty, listRosters, "日期,班次,带班领导,值班人员\n2026-03-06,白班,张某,duty01\n", 3},
		"hours of extra duty":  {duty, listRosters, "日期,班次,带班领导,值班人员\n2026-03-06,加强值班,leader01,duty01\n", 0},
		"date of 1900":         {duty, listRosters, "日期,班次,带班领导,值班人员\n1900-01-01,白班,leader01,duty01\n", 1},
	} {
		job, err := b.BeginImport(c.caller, c.list, "x.csv", []byte(c.data))
		if err == nil {
			job, err = b.MapImport(c.caller, job.ID, nil)
		}
		if err != nil || job.State != "mapping" || job.ErrorCount != 1 || job.Errors[0].Column != c.column || job.Errors[0].Message == "" {
			t.Errorf("%s: %s %+v %v", name, job.State, job.Errors, err)
		}
	}
}

// TestSameFileTwice: the numbers of old matters are not doubled.
func TestSameFileTwice(t *testing.T) {
	b := newTestBox(t)
	b.importFile("event", oldEvents)
	job, err := b.BeginImport(b.people["duty"], "event", "old.csv", []byte(oldEvents))
	if err == nil {
		job, err = b.MapImport(b.people["duty"], job.ID, nil)
	}
	if err != nil || job.ErrorCount != 2 || job.Errors[0].Column != 1 {
		t.Fatalf("%+v %v", job.Errors, err)
	}
}

// TestOldMattersKeepTheirDay: an import of today is no news of today.
func TestOldMattersKeepTheirDay(t *testing.T) {
	b := newTestBox(t)
	b.bring(b.people["duty"], "event", "old.csv", "编号,事件名称,事件大类,发生村（社区）,发生时间\n旧1,老井塌陷,民生服务,枫源村,2026-02-20 10:00\n旧2,年久失修,民生服务,枫源村,\n")
	for day, want := range map[string]int64{"20260220": 1, "20260302": 0} {
		if n, err := b.count("d", township, "event", day); err != nil || n != want {
			t.Errorf("%s: %d reported, want %d (%v)", day, n, want, err)
		}
		if n, err := b.count("x", township, "event", day); err != nil || n != 0 {
			t.Errorf("%s: %d closed (%v)", day, n, err)
		}
	}
	live := b.report("duty", "今天的事")
	if err := b.settled(context.Background()); err != nil {
		t.Fatal(err)
	}
	hits, err := b.store.Scan(keyOf("k", "event"), nil, true, 1)
	if err != nil || hits[0].ID != live.ID {
		t.Fatalf("the newest is not today's (%v)", err)
	}
	b.check()
}

// TestRegisterOfOldCases: the two sides of a register become parties, a
// township of the past is found.
func TestRegisterOfOldCases(t *testing.T) {
	b := newTestBox(t)
	if _, err := b.ImportDivisions(context.Background(), []Division{{Code: other, Name: "店口镇", Level: domain.LevelTownship, Parent: "330681", Aliases: []string{"阮市镇"}}}); err != nil {
		t.Fatal(err)
	}
	register := "案号,案件名称,纠纷类别,调解委员会,发生村（社区）,申请人,被申请人,申请人身份证号,调解员\n枫人调〔2019〕1号,相邻采光,0201,枫桥镇人民调解委员会,阮市镇,王小明,李四,11010519491231002X,mediator01\n"
	b.bring(b.people["leader"], "mediation", "reg.csv", register)
	hits, err := b.store.Scan(keyOf("k", "mediation"), nil, true, 1)
	if err != nil || len(hits) != 1 {
		t.Fatal(hits, err)
	}
	r, err := b.record(hits[0].ID)
	if err != nil || r.Text("village") != other || r.Text("parties/0/role") != "applicant" || r.Text("parties/1/role") != "respondent" || len(r.List("assigned")) != 1 {
		t.Fatalf("%+v %v", r, err)
	}
	v, err := b.plainValues(r, "parties/0/idcard", "parties/1/name")
	if err != nil || v["parties/0/idcard"] != "11010519491231002X" || v["parties/1/name"] != "李四" {
		t.Fatalf("%v %v", v, err)
	}
}

// TestEverythingExportedComesBack: export, an empty box, import, export.
func TestEverythingExportedComesBack(t *testing.T) {
	a := newTestBox(t)
	a.bringAll(stationsCSV, committeesCSV, peopleCSV, rostersCSV)
	a.importFile("event", oldEvents)
	a.bring(a.people["leader"], "mediation", "m.csv", "案号,案件名称,纠纷类别,调解委员会,申请人,被申请人,当事人3姓名或名称,当事人3地位,位置,协议金额\n旧1,三人纠纷,0201,枫桥镇人民调解委员会,甲某,乙某,丙某,第三人,\"120.4,29.79\",1234.5\n")
	a.report("duty", "本机登记的事")
	first := map[string][]byte{}
	for _, id := range a.Exports() {
		first[id] = a.exported(id)
	}
	b := &testBox{t: t, dir: t.TempDir(), clock: newTestClock(), people: map[string]Caller{}}
	if err := Init(b.dir); err != nil {
		t.Fatal(err)
	}
	b.open()
	t.Cleanup(func() { b.close() })
	b.found()
	for _, id := range b.Exports() {
		c := b.Technician()
		switch id {
		case listDivisions:
			if _, err := b.ImportDivisionList(context.Background(), b.Technician(), "d.csv", first[id]); err != nil {
				t.Fatal(err)
			}
			continue
		case listRosters, "event", "mediation":
			c, _ = b.CallerByName("leader01")
		}
		if bytes.Count(first[id], []byte("\n")) > 1 {
			b.bring(c, id, id+".csv", string(first[id]))
		}
	}
	for id, want := range first {
		if got := b.exported(id); !bytes.Equal(got, want) {
			t.Errorf("%s:\n%s\n---\n%s", id, want, got)
		}
	}
	b.check()
}
