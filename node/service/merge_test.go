package service

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestMergeHasBothHalves: the parent takes the child's earlier deadline,
// undoing gives both back, and neither half stands alone.
func TestMergeHasBothHalves(t *testing.T) {
	b := newTestBox(t)
	child := b.step("duty", b.report("duty", "先报的"), "accept", Input{})
	b.clock.advance(26 * time.Hour)
	parent := b.step("duty", b.report("duty", "后报的"), "accept", Input{})
	if err := b.settled(context.Background()); err != nil {
		t.Fatal(err)
	}
	v := b.viewer(b.people["duty"])
	due := func(title string) int64 {
		t.Helper()
		r, err := b.record(parent.ID)
		if err != nil {
			t.Fatal(err)
		}
		def, _ := v.p.Definition(r.Definition)
		list, err := b.deadlines(v.p, def, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			if d.Clock == "handle" {
				return d.Due
			}
		}
		t.Fatal(title, "no clock")
		return 0
	}
	own := due("before")
	reason := firstCode(t, b, "merge_reason")
	if _, err := b.Step(context.Background(), b.people["duty"], child.ID, "merge_into", "", Input{Inputs: map[string]any{"record": "没有这件", "reason": reason}}); err == nil {
		t.Fatal("merged into nothing")
	}
	b.step("duty", child, "merge_into", Input{Inputs: map[string]any{"record": parent.Number, "reason": reason}})
	merged, err := b.record(child.ID)
	if err != nil || !merged.Merged() {
		t.Fatal("the child has no parent", err)
	}
	if due("merged") >= own {
		t.Fatal("the earlier deadline does not count")
	}
	if p, _ := b.record(parent.ID); len(p.Children) != 1 {
		t.Fatal("the parent does not know its child")
	}
	var refusal *Refusal
	if _, err := b.Step(context.Background(), b.people["duty"], child.ID, "resolve", "", Input{Fields: map[string]any{"result": "x"}}); !errors.As(err, &refusal) {
		t.Fatalf("worked on a merged record: %v", err)
	}
	b.check()
	b.step("duty", merged, "unmerge_from", Input{Note: "不是同一件"})
	if due("undone") != own {
		t.Fatal("the parent keeps the child's deadline")
	}
	b.check()
}
