package service

import (
	"context"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// TestClocksThatEndInAStep: a verified event closes when nobody objects, a
// petition when nobody asks for a review in time; what people must still
// decide is left to them.
func TestClocksThatEndInAStep(t *testing.T) {
	b := newTestBox(t)
	b.withPetitionOfficer()
	ctx := context.Background()
	verified := func(title string) string {
		r := b.step("duty", b.report("duty", title), "accept", Input{})
		if title == "还有申请" {
			r = b.step("duty", r, "ask_extension", Input{Inputs: map[string]any{"clock": "handle", "limit": "3wd", "reason": "complex"}})
		}
		r = b.step("duty", r, "resolve", Input{Fields: map[string]any{"result": "已处理"}})
		return b.step("duty", r, "verify", Input{}).ID.String()
	}
	closes, asked := verified("路灯"), verified("还有申请")
	p, err := b.Create(ctx, b.people["petition"], "petition", "", Input{Fields: map[string]any{"title": "诉求", "content": "内容", "channel": "visit", "class": "suggestion", "petitioners/0/name": "张三"}})
	if err != nil {
		t.Fatalf("%v %+v", err, err)
	}
	p = b.step("petition", p, "register", Input{})
	p = b.step("petition", p, "accept", Input{Fields: map[string]any{"accepted_on": "2026-03-02"}})
	p = b.step("petition", p, "reply", Input{Fields: map[string]any{"decision": "explain", "reply": "已说明", "basis": "条例", "replied_on": "2026-03-02"}})
	state := func(id string) string {
		t.Helper()
		rid, err := envelope.ParseRecordID(id)
		if err != nil {
			t.Fatal(err)
		}
		r, err := b.record(rid)
		if err != nil {
			t.Fatal(err)
		}
		return r.State
	}
	for _, c := range []struct {
		after           time.Duration
		event, petition string
	}{{6 * 24 * time.Hour, "verified", "replied"}, {2 * 24 * time.Hour, "closed", "replied"}, {25 * 24 * time.Hour, "closed", "closed"}} {
		b.clock.advance(c.after)
		if err := b.supervise(ctx); err != nil {
			t.Fatal(err)
		}
		if state(closes) != c.event || state(p.ID.String()) != c.petition || state(asked) != "verified" {
			t.Errorf("event %s, petition %s, with a request %s; want %s, %s, verified", state(closes), state(p.ID.String()), state(asked), c.event, c.petition)
		}
	}
	if r, _ := b.record(p.ID); r.Text("close_reason") != "no_review" || r.Steps[len(r.Steps)-1].Actor.Role != "box" {
		t.Errorf("closed by %s for %s", r.Steps[len(r.Steps)-1].Actor.Role, r.Text("close_reason"))
	}
	b.check()
}
