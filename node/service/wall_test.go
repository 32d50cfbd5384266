package service

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
)

func (b *testBox) wall() api.WallSnapshot {
	b.t.Helper()
	w, err := b.Wall(context.Background(), "zh")
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

func (b *testBox) emergency() *domain.Record {
	b.t.Helper()
	r, err := b.Create(context.Background(), b.people["duty"], "event", "", Input{Fields: map[string]any{
		"title": "仓库起火", "type": "01", "village": village, "urgency": "emergency", "people/0/name": "张建国", "people/0/phone": "13800001234"}})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// TestWallFigures: the figures equal what was entered, and the snapshot
// holds neither text nor names.
func TestWallFigures(t *testing.T) {
	b := newTestBox(t)
	duty, err := b.Create(context.Background(), b.people["leader"], kindShift, "", Input{Fields: map[string]any{"date": "2026-03-02", "slot": "day",
		"start": b.clock.now.Load() - int64(time.Hour/time.Millisecond), "end": b.clock.now.Load() + int64(8*time.Hour/time.Millisecond),
		"leader": b.people["leader"].User.String(), "assigned": []string{b.people["duty"].User.String()}, "phone": "0575-87000000"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.report("cadre", "水渠盖板缺失")
	}
	b.clock.advance(time.Minute)
	r := b.emergency()
	w := b.wall()
	if w.Today.Reported != 4 || w.Today.Open != 4 || w.Today.Closed != 0 || w.Today.Overdue != 0 {
		t.Errorf("today: %+v", w.Today)
	}
	if last := w.Trend[len(w.Trend)-1]; len(w.Trend) != 30 || last.Reported != 4 || last.Date != "03-02" {
		t.Errorf("trend ends with %+v", last)
	}
	if len(w.Types) != 1 || w.Types[0].Count != 4 || len(w.Live) != 4 || w.Live[0].ID != r.ID.String() || w.Live[0].VillageName != "枫源村" {
		t.Errorf("types %+v live %+v", w.Types, w.Live)
	}
	if len(w.Villages) != 1 || w.Villages[0].Open != 4 || w.Villages[0].Today != 4 {
		t.Errorf("villages: %+v", w.Villages)
	}
	if w.Duty.Leader != "测**" || len(w.Duty.Staff) != 1 || w.Duty.Staff[0] != "测**" {
		t.Errorf("duty of %s: %+v", duty.ID, w.Duty)
	}
	body, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	for _, personal := range []string{"起火", "盖板", "张建国", "138", "测试", "0575"} {
		if strings.Contains(string(body), personal) {
			t.Errorf("%q stands on the wall: %s", personal, body)
		}
	}
	b.clock.advance(40 * 24 * time.Hour)
	if w = b.wall(); w.Today.Overdue != 4 || len(w.Overdue) != 4 || w.Overdue[0].DueAt >= w.AsOf || w.Today.Reported != 0 || len(w.Types) != 0 {
		t.Errorf("forty days later: %+v %+v %+v", w.Today, w.Overdue, w.Types)
	}
}

// TestWallAlarm: raised with its place, silent once somebody acknowledged
// it; a restricted matter is neither named nor placed.
func TestWallAlarm(t *testing.T) {
	b := newTestBox(t)
	r := b.emergency()
	w := b.wall()
	if len(w.Alarms) != 1 || w.AlarmsRaised != 1 || w.Alarms[0].Level != 1 || w.Alarms[0].VillageName != "枫源村" || w.Alarms[0].TypeText == "" {
		t.Fatalf("%+v", w.Alarms)
	}
	b.step("duty", r, "accept", Input{Fields: map[string]any{"restricted": "minor", "line": firstCode(t, b, "business_line"), "grade": firstCode(t, b, "event_grade")}})
	if w = b.wall(); len(w.Live) != 0 || w.Alarms[0].VillageName != "" || w.Alarms[0].TypeText != "" {
		t.Errorf("restricted: %+v %+v", w.Live, w.Alarms)
	}
	alarm, err := b.record(alarm{Reason: "emergency", Record: r.ID}.id())
	if err != nil {
		t.Fatal(err)
	}
	b.step("duty", alarm, "acknowledge", Input{})
	if w = b.wall(); len(w.Alarms) != 0 || w.AlarmsRaised != 0 || w.AlarmsTaken != 1 {
		t.Errorf("acknowledged: %+v", w)
	}
}

const outlines = `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"name":"枫源村","contact":"张建国"},
"geometry":{"type":"Polygon","coordinates":[[[120.4,29.8],[120.41,29.8],[120.41,29.81],[120.4,29.8]]]}}]}`

func TestOutlines(t *testing.T) {
	b := newTestBox(t)
	ctx := context.Background()
	admin := Caller{Subject: domain.Subject{Grants: []domain.Grant{{Role: domain.RoleSystemAdmin, Organisation: township}}}, Lang: "zh", Key: "one-key-for-all"}
	admin.User, _ = b.AccountByName(domain.RoleSystemAdmin)
	if _, err := b.WallOutlines(); !errors.Is(err, ErrNotFound) || b.wall().Outline != "" {
		t.Fatalf("outlines of nobody: %v", err)
	}
	var wrong *InputError
	if _, err := b.ImportOutlines(ctx, admin, []byte(strings.ReplaceAll(outlines, "枫源村", "店口镇"))); !errors.As(err, &wrong) || wrong.Fields[0].Code != "unknown_area" {
		t.Fatalf("another township's outline: %v", err)
	}
	if _, err := b.ImportOutlines(ctx, b.people["duty"], []byte(outlines)); !errors.Is(err, ErrForbidden) {
		t.Fatalf("a duty officer imported: %v", err)
	}
	first, err := b.ImportOutlines(ctx, admin, []byte(outlines))
	if err != nil || first.Areas != 1 || len(first.Missing) != 0 || first.ImportedBy != "管理员" || first.Version == "" {
		t.Fatalf("%+v %v", first, err)
	}
	again, err := b.ImportOutlines(ctx, admin, []byte(strings.ReplaceAll(outlines, "120.41", "120.42")))
	if err != nil || again.Version == first.Version || b.wall().Outline != again.Version {
		t.Fatalf("%+v %v", again, err)
	}
	b.close()
	b.open()
	body, err := b.WallOutlines()
	if err != nil || !strings.Contains(string(body), "120.42") || !strings.Contains(string(body), village) || strings.Contains(string(body), "张建国") {
		t.Fatalf("after a restart: %s %v", body, err)
	}
	if err := b.RemoveOutlines(ctx, admin); err != nil {
		t.Fatal(err)
	}
	if err := b.RemoveOutlines(ctx, admin); !errors.Is(err, ErrNotFound) || b.wall().Outline != "" {
		t.Fatalf("removed twice: %v", err)
	}
	if back, err := b.ImportOutlines(ctx, admin, []byte(outlines)); err != nil || b.wall().Outline != back.Version {
		t.Fatalf("imported after removing: %v", err)
	}
	b.check()
}
