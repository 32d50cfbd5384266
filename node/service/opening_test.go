package service

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/node/domain"
)

func (b *testBox) newCase(more map[string]any) *domain.Record {
	b.t.Helper()
	fields := map[string]any{"title": "相邻采光纠纷", "type": "0201", "source": "application", "committee": township + "-C01", "village": village,
		"assigned": []string{b.people["mediator"].User.String()}, "parties/0/name": "赵甲一", "parties/0/role": "applicant", "parties/0/consent": "given",
		"parties/0/phone": "13800001234", "parties/1/name": "钱乙二", "parties/1/role": "respondent", "parties/1/consent": "given"}
	for k, v := range more {
		fields[k] = v
	}
	r, err := b.Create(context.Background(), b.people["mediator"], "mediation", "", Input{Fields: fields})
	if err != nil {
		b.t.Fatalf("%v %+v", err, err)
	}
	return r
}

// TestEscalationOpensAnEvent: the risk of violence reaches the police as an
// event, in the same breath and linked both ways; repeated with the same
// key there is still one.
func TestEscalationOpensAnEvent(t *testing.T) {
	b := newTestBox(t)
	ctx := context.Background()
	r := b.newCase(nil)
	caller := b.people["mediator"]
	caller.Key = "escalate-1"
	in := Input{Note: "双方扬言动手", Fields: map[string]any{"warning": "1"}}
	for range 2 {
		after, err := b.Step(ctx, caller, r.ID, "escalate", "", in)
		if err != nil {
			t.Fatalf("%v %+v", err, err)
		}
		r = after
	}
	if r.Open["escalated"] != true || len(r.Links) != 1 || r.Links[0].Relation != "causes" {
		t.Fatalf("escalated %v, links %v", r.Open["escalated"], r.Links)
	}
	event, err := b.record(r.Links[0].Record)
	if err != nil {
		t.Fatal(err)
	}
	if event.Definition.ID != "event" || event.State != "reported" || event.Holder != township || event.Number == "" || event.Text("urgency") != "urgent" ||
		event.Text("village") != village || event.Text("warning") != "1" || event.Text("dispute_type") != "0201" {
		t.Errorf("the event is %s %s at %s: %v", event.Definition.ID, event.State, event.Holder, event.Open)
	}
	if len(event.Links) != 1 || event.Links[0].Record != r.ID || event.Links[0].Relation != "follows" {
		t.Errorf("links of the event %v", event.Links)
	}
	view, err := b.View(b.people["duty"], event.ID)
	if err != nil || view.Fields["content"].V != "双方扬言动手" {
		t.Errorf("content %v, %v", view.Fields["content"], err)
	}
	b.check()
}

// TestOpeningsSuitTheirKinds: what a kind of the release opens can be
// written, which no validator of one kind alone can see.
func TestOpeningsSuitTheirKinds(t *testing.T) {
	b := newTestBox(t)
	n := 0
	for _, def := range b.policy.Load().kinds() {
		for i := range def.Steps {
			step := &def.Steps[i]
			if step.Opens == nil {
				continue
			}
			n++
			other, _, ok := b.policy.Load().kind(step.Opens.Kind)
			if !ok {
				t.Errorf("%s.%s opens the unknown kind %s", def.ID, step.ID, step.Opens.Kind)
				continue
			}
			for field, source := range step.Opens.Copy {
				to, okTo := other.FieldAt(field)
				from, okFrom := def.FieldAt(source)
				if !okTo || !okFrom || to.Type != from.Type || to.Table != from.Table {
					t.Errorf("%s.%s copies %s to %s.%s", def.ID, step.ID, source, other.ID, field)
				}
			}
		}
	}
	if n == 0 {
		t.Fatal("no step opens another matter")
	}
}

func TestDifferentKindsAreNotMerged(t *testing.T) {
	b := newTestBox(t)
	event := b.step("duty", b.report("duty", "同一件事"), "accept", Input{})
	hazard, err := b.Create(context.Background(), b.people["duty"], "hazard", "", Input{Fields: map[string]any{"title": "同一件事", "type": "fire", "grade": "general", "village": village}})
	if err != nil {
		t.Fatal(err)
	}
	var wrong *InputError
	_, err = b.Step(context.Background(), b.people["duty"], event.ID, "merge_into", "", Input{Inputs: map[string]any{"record": hazard.ID.String(), "reason": "same_matter"}})
	if !errors.As(err, &wrong) || wrong.Fields[0].Code != "other_kind" {
		t.Fatalf("merged into another kind: %v", err)
	}
}

// TestNewCalendarMovesDueTimes: the lists follow in the background.
func TestNewCalendarMovesDueTimes(t *testing.T) {
	b := newTestBox(t)
	ctx := context.Background()
	r := b.step("duty", b.report("duty", "路灯"), "accept", Input{})
	due := func() int64 {
		t.Helper()
		def, _ := b.policy.Load().Definition(r.Definition)
		list, err := b.deadlines(b.policy.Load(), def, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			if d.Clock == "handle" {
				return d.Due
			}
		}
		t.Fatal("no clock")
		return 0
	}
	listed := func() int64 {
		t.Helper()
		if err := b.settled(ctx); err != nil {
			t.Fatal(err)
		}
		hits, err := b.store.Scan(keyOf("o", township, "event"), nil, false, 10)
		if err != nil || len(hits) != 1 {
			t.Fatal(hits, err)
		}
		return dueOfKey(hits[0].Key)
	}
	before := due()
	if listed() != before {
		t.Fatal("the list has another due time")
	}
	for _, days := range []string{`{"date":"2026-03-04","name":"演练","isOffDay":true}`, `{"date":"2026-03-07","name":"调休","isOffDay":false}`} {
		if err := b.ImportCalendar(ctx, b.Technician(), []byte(`{"year":2026,"papers":[],"days":[`+days+`]}`)); err != nil {
			t.Fatal(err)
		}
		now := due()
		if now == before {
			t.Fatal("the calendar moved nothing")
		}
		for deadline := time.Now().Add(10 * time.Second); listed() != now; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("listed %d, due %d", listed(), now)
			}
		}
		b.check()
	}
}

// TestManualCardAfterRedIsRefused, as in the provincial system.
func TestManualCardAfterRedIsRefused(t *testing.T) {
	b := newTestBox(t)
	r := b.step("duty", b.report("duty", "超期"), "accept", Input{})
	card := func(colour string) error {
		_, err := b.Step(context.Background(), b.people["duty"], r.ID, "card", "", Input{Inputs: map[string]any{"clock": "handle", "round": 1, "colour": colour, "reason": "important"}})
		return err
	}
	if err := card("red"); err != nil {
		t.Fatal(err)
	}
	var wrong *InputError
	if err := card("yellow"); !errors.As(err, &wrong) {
		t.Fatalf("a yellow card after the red one: %v", err)
	}
}

// TestAmendedTypeMovesTheStatisticsType unless a person chose it.
func TestAmendedTypeMovesTheStatisticsType(t *testing.T) {
	b := newTestBox(t)
	r := b.newCase(nil)
	r = b.step("mediator", r, "amend", Input{Fields: map[string]any{"type": "0101"}, Inputs: map[string]any{"reason": "typo"}})
	if r.Text(fieldMOJ) != "01" {
		t.Errorf("statistics type %q", r.Text(fieldMOJ))
	}
	r = b.step("mediator", r, "amend", Input{Fields: map[string]any{"type": "0201", "moj_type": "03"}, Inputs: map[string]any{"reason": "typo"}})
	if r.Text(fieldMOJ) != "03" {
		t.Errorf("statistics type %q", r.Text(fieldMOJ))
	}
}

// TestBadExtensionIsRefusedInWords: what is no limit never reaches a clock.
func TestBadExtensionIsRefusedInWords(t *testing.T) {
	b := newTestBox(t)
	r := b.step("duty", b.report("duty", "延期"), "accept", Input{})
	var wrong *InputError
	_, err := b.Step(context.Background(), b.people["duty"], r.ID, "ask_extension", "", Input{Inputs: map[string]any{"clock": "handle", "limit": "三天", "reason": "complex"}})
	if !errors.As(err, &wrong) || wrong.Fields[0].Path != "limit" {
		t.Fatalf("%v", err)
	}
}

// TestReturnedTwiceIsDifficult: the desk hears of what nobody will take.
func TestReturnedTwiceIsDifficult(t *testing.T) {
	b := newTestBox(t)
	r := b.step("duty", b.report("duty", "没人管的事"), "accept", Input{})
	for i := range 2 {
		if alarms, err := b.Alarms(b.people["duty"]); err != nil || len(alarms.Items) != 0 {
			t.Fatal(i, alarms, err)
		}
		r = b.step("duty", r, "dispatch", Input{Inputs: map[string]any{"to": township + "-S01"}})
		r = b.step("station", r, "return", Input{Inputs: map[string]any{"reason": "not_ours"}, Note: "不归我管"})
	}
	if err := b.settled(context.Background()); err != nil {
		t.Fatal(err)
	}
	alarms, err := b.Alarms(b.people["duty"])
	if err != nil || len(alarms.Items) != 1 || alarms.Items[0].Reason != "difficult" {
		t.Fatal(alarms, err)
	}
}
