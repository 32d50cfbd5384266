package service

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/identity"
)

// TestWritesReachBehindARestore: the audit of writes goes on with the
// operations of the box's earlier life, down to its first.
func TestWritesReachBehindARestore(t *testing.T) {
	b := newTestBox(t)
	ctx := context.Background()
	for range writesPage {
		b.report("duty", "恢复之前")
	}
	b.close()
	id, err := identity.Load(filepath.Join(b.dir, "identity"))
	if err != nil {
		t.Fatal(err)
	}
	var head envelope.Head
	err = testJournals{}.Range(journalFiles(b.dir, id.Origin()), func(g envelope.Replayed) error { head = g.Head; return nil })
	if err := errors.Join(err, id.Rebirth(head)); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.report("duty", "恢复之后")
	want, at := head.Seq, ""
	for page, first := 0, true; page == 0 || at != ""; page++ {
		out, err := b.Writes(ctx, b.systemAdmin(), at)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.Items {
			if first {
				if e.Seq != 1 || e.Details != nil || e.Action != "report" {
					t.Fatalf("the newest: %+v", e)
				}
				first = false
				continue
			}
			if e.Seq != want || e.Details["incarnation"] == "" || e.Action == "" {
				t.Fatalf("%+v, want %d", e, want)
			}
			want--
		}
		at = out.Next
	}
	if want != 0 {
		t.Errorf("it ends at %d", want)
	}
}
