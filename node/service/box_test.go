package service

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

const (
	township = "330681109"
	village  = "330681109290"
	other    = "330681104"
)

// testClock is a clock that a test moves.
type testClock struct {
	now     atomic.Int64
	quality atomic.Uint32
}

func newTestClock() *testClock {
	c := &testClock{}
	c.now.Store(time.Date(2026, 3, 2, 9, 0, 0, 0, local).UnixMilli()) // a Monday
	c.quality.Store(uint32(envelope.TimeSynced))
	return c
}

func (c *testClock) Now() (int64, envelope.TimeQuality) {
	return c.now.Load(), envelope.TimeQuality(c.quality.Load())
}

func (c *testClock) advance(d time.Duration) { c.now.Add(d.Milliseconds()) }

// testBox is a founded box with a village and people.
type testBox struct {
	*Box
	t      testing.TB
	dir    string
	clock  *testClock
	people map[string]Caller
}

func newTestBox(t testing.TB) *testBox {
	t.Helper()
	return newTestBoxIn(t, t.TempDir())
}

func newTestBoxIn(t testing.TB, dir string) *testBox {
	t.Helper()
	b := &testBox{t: t, dir: dir, clock: newTestClock(), people: map[string]Caller{}}
	if err := Init(b.dir); err != nil {
		t.Fatal(err)
	}
	b.open()
	t.Cleanup(func() { b.close() })
	ctx := context.Background()
	_, err := b.ImportDivisions(ctx, []Division{
		{Code: "330681", Name: "诸暨市", Level: domain.LevelCounty},
		{Code: township, Name: "枫桥镇", Level: domain.LevelTownship, Parent: "330681", Abbr: "枫", Lng: 120_400_000, Lat: 29_790_000},
		{Code: other, Name: "店口镇", Level: domain.LevelTownship, Parent: "330681", Abbr: "店"},
		{Code: village, Name: "枫源村", Level: domain.LevelVillage, Parent: township, Lng: 120_410_000, Lat: 29_780_000},
		{Code: township + "-S01", Name: "司法所", Level: domain.LevelStation, Parent: township},
		{Code: township + "-C01", Name: "枫桥镇人民调解委员会", Level: domain.LevelCommittee, Parent: township, Abbr: "枫"},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.found()
	for name, g := range map[string]domain.Grant{
		"grid": {Role: domain.RoleGridMember, Organisation: village}, "cadre": {Role: domain.RoleVillageCadre, Organisation: village},
		"duty": {Role: domain.RoleDutyOfficer, Organisation: township}, "leader": {Role: domain.RoleLeader, Organisation: township},
		"station": {Role: domain.RoleStationOfficer, Organisation: township + "-S01"}, "mediator": {Role: domain.RoleMediator, Organisation: township + "-C01"},
	} {
		r, _, err := b.CreateAccount(ctx, b.Technician(), NewAccount{Username: name + "01", Name: "测试" + name, Grants: []domain.Grant{g}})
		if err != nil {
			t.Fatal(err)
		}
		b.people[name] = Caller{Subject: domain.Subject{User: r.ID, Grants: []domain.Grant{g}}, Lang: "zh"}
	}
	return b
}

// found settles the box as a new township's.
func (b *testBox) found() {
	b.t.Helper()
	admins := []NewAccount{}
	for _, role := range []string{domain.RoleSystemAdmin, domain.RoleSecurityAdmin, domain.RoleAuditAdmin} {
		admins = append(admins, NewAccount{Username: role, Name: "管理员", Password: "correct-horse-9", Grants: []domain.Grant{{Role: role, Organisation: township}}})
	}
	if _, err := b.Found(context.Background(), Founding{Code: b.SetupCode(), Organisation: township, Name: "枫桥镇", Recipient: "age1test", Admins: admins}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *testBox) open() {
	b.t.Helper()
	box, err := Open(Options{Dir: b.dir, Journals: testJournals{}, Clock: b.clock, Fatal: func(err error) { b.t.Error(err) }, marks: &smallMarks})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Box = box
}

func (b *testBox) close() {
	if b.Box == nil {
		return
	}
	if err := b.Box.Close(); err != nil {
		b.t.Error(err)
	}
	b.Box = nil
}

func (b *testBox) report(who, title string) *domain.Record {
	b.t.Helper()
	r, err := b.Create(context.Background(), b.people[who], "event", "", Input{Fields: map[string]any{
		"title": title, "type": "01", "village": village, "people/0/name": "张建国", "people/0/phone": "13800001234", "people/0/idcard": "330681199001011230"[:0]}})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *testBox) step(who string, r *domain.Record, step string, in Input) *domain.Record {
	b.t.Helper()
	after, err := b.Step(context.Background(), b.people[who], r.ID, step, version(r), in)
	if err != nil {
		b.t.Fatalf("%s: %v %+v", step, err, err)
	}
	return after
}

func (b *testBox) check() {
	b.t.Helper()
	if err := b.settled(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	report, err := b.store.Check(context.Background(), b.derive, nil)
	if err != nil || len(report.Problems) > 0 {
		b.t.Fatalf("check: %v %v", err, report.Problems)
	}
}

func TestEventWalksFromVillageToClose(t *testing.T) {
	b := newTestBox(t)
	r := b.report("duty", "村口路灯不亮")
	if r.Number == "" || r.State != "reported" && r.State != "accepted" {
		t.Fatalf("number %q, state %s", r.Number, r.State)
	}
	view, err := b.View(b.people["duty"], r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if view.Title != "村口路灯不亮" || !view.Fields["people/0/name"].Masked || view.Fields["people/0/name"].V != "张**" {
		t.Fatalf("title %q, person %+v", view.Title, view.Fields["people/0/name"])
	}
	for _, a := range view.Actions {
		t.Log(a.Step, a.Title, a.Allowed, a.Why)
	}
	b.check()
}

func TestRestartKeepsEverything(t *testing.T) {
	b := newTestBox(t)
	var ids []envelope.RecordID
	for range 20 {
		ids = append(ids, b.report("duty", "占道经营").ID)
	}
	b.close()
	b.open()
	for _, id := range ids {
		view, err := b.View(b.people["duty"], id)
		if err != nil || view.Title != "占道经营" {
			t.Fatalf("%s: %q %v", id, view.Title, err)
		}
	}
	b.check()
	last := b.report("duty", "再报一件")
	if last.Number == "" {
		t.Fatal("no number")
	}
}

// TestLostStoreIsRebuilt: history and journal hold everything.
func TestLostStoreIsRebuilt(t *testing.T) {
	b := newTestBox(t)
	r := b.report("duty", "河道垃圾")
	number := r.Number
	b.check()
	digest, err := b.store.Digest()
	if err != nil {
		t.Fatal(err)
	}
	b.close()
	file := filepath.Join(b.dir, "store.db")
	if err := os.Rename(file, file+".old"); err != nil { // as a store of an earlier format is set aside
		t.Fatal(err)
	}
	b.open()
	b.check()
	if _, err := os.Stat(file + ".old"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the store that was set aside is still there (%v)", err)
	}
	again, err := b.store.Digest()
	if err != nil || string(again) != string(digest) {
		t.Fatalf("the rebuilt store differs (%v)", err)
	}
	found, err := b.record(r.ID)
	if err != nil || found.Number != number {
		t.Fatalf("number %q, want %q (%v)", found.Number, number, err)
	}
}

func TestIdempotencyKey(t *testing.T) {
	b := newTestBox(t)
	c := b.people["duty"]
	c.Key = "key-1"
	in := Input{Fields: map[string]any{"title": "一件事", "type": "01", "village": village}}
	first, err := b.Create(context.Background(), c, "event", "", in)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Create(context.Background(), c, "event", "", in)
	if err != nil || second.ID != first.ID {
		t.Fatalf("replay gave %v, %v", second, err)
	}
	in.Fields["title"] = "另一件事"
	if _, err := b.Create(context.Background(), c, "event", "", in); !errors.Is(err, ErrKeyReused) {
		t.Fatalf("another body under the same key: %v", err)
	}
	b.close()
	b.open()
	in.Fields["title"] = "一件事"
	third, err := b.Create(context.Background(), c, "event", "", in)
	if err != nil || third.ID != first.ID {
		t.Fatalf("after a restart: %v, %v", third, err)
	}
}

func TestTwoOfficersOnOneRecord(t *testing.T) {
	b := newTestBox(t)
	r := b.report("duty", "噪音扰民")
	amend := Input{Fields: map[string]any{"people_count": int64(3)}, Inputs: map[string]any{"reason": firstCode(t, b, "amend_reason")}}
	b.step("duty", r, "amend", amend)
	_, err := b.Step(context.Background(), b.people["duty"], r.ID, "amend", version(r), amend)
	var changed *Changed
	if !errors.As(err, &changed) {
		t.Fatalf("second officer: %v", err)
	}
}

func firstCode(t *testing.T, b *testBox, table string) string {
	t.Helper()
	tab, ok := b.embedded.Table(table)
	if !ok {
		t.Fatalf("no table %s", table)
	}
	return tab.Rows()[0].Code.Code
}

func TestBadInputIsNamed(t *testing.T) {
	b := newTestBox(t)
	cases := map[string]any{
		"title": string(make([]rune, 61)), "type": "no-such", "village": "999", "people_count": int64(-1),
		"occurred_at": time.Date(1900, 1, 1, 0, 0, 0, 0, local).UnixMilli(), "people/0/idcard": "330681199001011234",
		"people/0/phone": "12", "nothing": "x", "point": map[string]any{"lng": int64(0), "lat": int64(0)},
	}
	for path, v := range cases {
		fields := map[string]any{"title": "事", "type": "01", "village": village, path: v}
		_, err := b.Create(context.Background(), b.people["duty"], "event", "", Input{Fields: fields})
		var wrong *InputError
		if !errors.As(err, &wrong) || wrong.Fields[0].Path != path || wrong.Fields[0].Message.ZH == "" || wrong.Fields[0].Message.EN == "" {
			t.Errorf("%s: %v", path, err)
		}
	}
	future := map[string]any{"title": "事", "type": "01", "village": village, "occurred_at": b.clock.now.Load() + 3*86400_000}
	if _, err := b.Create(context.Background(), b.people["duty"], "event", "", Input{Fields: future}); err == nil {
		t.Error("a date in the future was accepted")
	}
}

func TestRecordOfAnotherTownshipIsUnknown(t *testing.T) {
	b := newTestBox(t)
	r := b.report("duty", "秘密")
	foreign := Caller{Subject: domain.Subject{User: newRecordID(), Grants: []domain.Grant{{Role: domain.RoleDutyOfficer, Organisation: other}}}}
	if _, err := b.View(foreign, r.ID); !errors.Is(err, ErrNotFound) {
		t.Fatalf("foreign reader: %v", err)
	}
	page, err := b.Records(context.Background(), foreign, Query{Limit: 50})
	if err != nil || len(page.Items) != 0 {
		t.Fatalf("foreign list: %v %v", page.Items, err)
	}
	page, err = b.Records(context.Background(), b.people["duty"], Query{Limit: 50})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("own list: %d %v", len(page.Items), err)
	}
}
