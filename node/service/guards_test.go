package service

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestHandoverIsMeasuredAndSignedByAnother(t *testing.T) {
	b := newTestBox(t)
	ctx := context.Background()
	now := b.clock.now.Load()
	shift, err := b.Create(ctx, b.people["duty"], "shift", "", Input{Fields: map[string]any{"date": "2026-03-02", "slot": "day", "start": now - 1000, "end": now + 8*hourMilli,
		"leader": b.people["leader"].User.String(), "assigned": []string{b.people["duty"].User.String()}}})
	if err != nil {
		t.Fatal(err)
	}
	if shift.State == "planned" {
		shift = b.step("duty", shift, "go_on", Input{})
	}
	if err := b.raise(ctx, alarm{Reason: "drill", Level: 2, Round: 1}); err != nil {
		t.Fatal(err)
	}
	if err := b.settled(ctx); err != nil {
		t.Fatal(err)
	}
	over := Input{Fields: map[string]any{"open_items": int64(0), "open_alarms": int64(0), "equipment_ok": true, "summary": "无"}}
	if _, err := b.Step(ctx, b.people["duty"], shift.ID, "hand_over", "", over); err == nil {
		t.Fatal("signed over while an alarm rings, by writing zero")
	}
	list, err := b.Alarms(b.people["duty"])
	if err != nil || len(list.Items) != 1 {
		t.Fatal(list, err)
	}
	alarmRecord, err := b.record(alarm{Reason: "drill", Round: 1}.id())
	if err != nil {
		t.Fatal(err)
	}
	b.step("duty", alarmRecord, "acknowledge", Input{})
	if err := b.settled(ctx); err != nil {
		t.Fatal(err)
	}
	shift = b.step("duty", shift, "hand_over", over)
	var wrong *InputError
	if _, err := b.Step(ctx, b.people["duty"], shift.ID, "take_over", "", Input{Inputs: map[string]any{"equipment_ok": true}}); !errors.As(err, &wrong) {
		t.Fatalf("the same person took over: %v", err)
	}
	next, err := b.Create(ctx, b.people["duty"], "shift", "", Input{Fields: map[string]any{"date": "2026-03-02", "slot": "night", "start": now + 8*hourMilli, "end": now + 16*hourMilli,
		"leader": b.people["leader"].User.String(), "assigned": []string{b.people["leader"].User.String()}}})
	if err != nil {
		t.Fatal(err)
	}
	b.step("leader", shift, "take_over", Input{Inputs: map[string]any{"equipment_ok": true}})
	if err := b.settled(ctx); err != nil {
		t.Fatal(err)
	}
	if on, err := b.Duty(b.people["duty"]); err != nil || on.Shift == nil || on.Shift.ID != next.ID.String() || on.Next != nil {
		t.Errorf("who took over early is not on duty: %+v %v", on, err)
	}
	if roster, err := b.Roster(b.people["duty"], 0, 0); err != nil || len(roster.Items) != 2 {
		t.Errorf("the roster forgot who was on duty: %+v %v", roster, err)
	}
}

func TestRedCardVoidsAnExtension(t *testing.T) {
	b := newTestBox(t)
	r := b.report("duty", "延期")
	r = b.step("duty", r, "accept", Input{})
	r = b.step("duty", r, "ask_extension", Input{Inputs: map[string]any{"clock": "handle", "limit": "3wd", "reason": firstCode(t, b, "extend_reason")}})
	b.clock.advance(60 * 24 * time.Hour)
	if err := b.supervise(context.Background()); err != nil {
		t.Fatal(err)
	}
	var wrong *InputError
	if _, err := b.Step(context.Background(), b.people["leader"], r.ID, "extend", "", Input{Inputs: map[string]any{"clock": "handle", "limit": "3wd"}}); !errors.As(err, &wrong) {
		t.Fatalf("extended after a red card: %v", err)
	}
}

func TestStatisticsTypeFollowsTheDispute(t *testing.T) {
	b := newTestBox(t)
	r, err := b.Create(context.Background(), b.people["mediator"], "mediation", "", Input{Fields: map[string]any{"title": "采光", "type": "0201", "source": "application", "committee": township + "-C01",
		"parties/0/name": "甲", "parties/0/role": "applicant"}})
	if err != nil || r.Text(fieldMOJ) != "02" {
		t.Fatalf("%q %v", r.Text(fieldMOJ), err)
	}
}
