//go:build linux

package service

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/internal/lossyfs"
)

func init() { servers = append(servers, lossyfs.Serve) }

// lossy mounts a file system that loses what was not synced. The long
// profile insists on it.
func lossy(t *testing.T) *lossyfs.FS {
	t.Helper()
	if lossyfs.Available() {
		return lossyfs.Start(t)
	}
	const why = "NOT TESTED: loss of unsynced writes needs /dev/fuse and root"
	if fullFaults() {
		t.Fatal(why)
	}
	t.Skip(why)
	return nil
}

// TestFaultPowerCut: whatever part of the unsynced writes a power cut
// leaves, every acknowledged operation, attachment, draft and audit entry
// is there, nothing is half applied, and counters equal a recount. A third
// of the cuts fall inside an open group, a third into the start.
func TestFaultPowerCut(t *testing.T) {
	disk := lossy(t)
	cuts := 6
	if fullFaults() {
		cuts = 60
	}
	b := newTestBoxIn(t, filepath.Join(disk.Dir, "box"))
	b.close()
	all := newAcks()
	seed := rand.Int64N(1 << 40)
	disk.Cut(seed)
	b.verify(all) // founded for good
	for n := range cuts {
		seed++
		disk.ShortWrites(n%5 == 4)
		o := order{Dir: b.dir, Small: true}
		if n%3 == 1 {
			o.Gate, o.After = gates[n/3%len(gates)], 1+rand.IntN(40)
		}
		c := startChild(t, o, all)
		switch n % 3 {
		case 0:
			if !c.heard("ready") {
				t.Fatalf("the child did not start: %s", c.stderr.String())
			}
			c.listen()
			time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		case 1:
			if !c.heard("inside") {
				t.Fatalf("the child ended by itself: %s", c.stderr.String())
			}
		case 2:
			time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		}
		disk.Cut(seed)
		c.kill()
		t.Logf("cut %d, seed %d", n, seed)
		b.verify(all)
	}
	t.Logf("%d cuts, %d acknowledged records, %d audit entries", cuts, len(all.records), all.audit)
	if len(all.records) == 0 {
		t.Fatal("nothing was acknowledged")
	}
}

// TestFaultSyncFails: a failed sync of journal or store ends the process
// with nothing answered, one of audit, drafts or an attachment is told to
// the asker; what it lost was never acknowledged.
func TestFaultSyncFails(t *testing.T) {
	disk := lossy(t)
	b := newTestBoxIn(t, filepath.Join(disk.Dir, "box"))
	b.close()
	all := newAcks()
	for _, suffix := range []string{".seg", "store.db", ".log", "local.db", ".seg"} {
		c := startChild(t, order{Dir: b.dir, Small: true}, all)
		if !c.heard("ready") {
			t.Fatalf("the child did not start: %s", c.stderr.String())
		}
		disk.FailSync(suffix, 3+rand.IntN(10))
		late := time.AfterFunc(20*time.Second, func() { c.cmd.Process.Kill() })
		c.heard("")
		if c.cmd.Wait(); !late.Stop() {
			t.Fatalf("%s: the child went on after a failed sync", suffix)
		}
		disk.Cut(rand.Int64())
		b.verify(all)
	}
	if len(all.records) == 0 {
		t.Fatal("nothing was acknowledged")
	}
}

// TestFaultHangingWrite: a disk that does not answer ends the process at
// the ceiling, not when the disk comes back.
func TestFaultHangingWrite(t *testing.T) {
	disk := lossy(t)
	b := newTestBoxIn(t, filepath.Join(disk.Dir, "box"))
	b.close()
	all := newAcks()
	const ceiling, hang = time.Second, time.Minute
	c := startChild(t, order{Dir: b.dir, Small: true, Stall: ceiling}, all)
	if !c.heard("ready") {
		t.Fatalf("the child did not start: %s", c.stderr.String())
	}
	time.Sleep(100 * time.Millisecond)
	disk.Hang(hang)
	late := time.AfterFunc(hang/2, func() { c.cmd.Process.Kill() })
	c.heard("")
	if c.cmd.Wait(); !late.Stop() {
		t.Fatal("the child waited for the disk")
	}
	disk.Cut(rand.Int64())
	b.verify(all)
}

// TestFaultFullDisk: a disk that fills up refuses writes with a sentence,
// goes on reading, also after a restart, and takes writes again by itself.
func TestFaultFullDisk(t *testing.T) {
	disk := lossy(t)
	b := newTestBoxIn(t, filepath.Join(disk.Dir, "box"))
	first := b.report("duty", "满盘之前")
	b.check()
	if err := b.room.tend(); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(b.dir, "ballast")
	if info, err := os.Stat(ballast); err != nil || info.Size() != smallMarks.ballast {
		t.Fatalf("no ballast: %v", err)
	}
	free, err := b.room.free()
	if err != nil {
		t.Fatal(err)
	}
	used := (int64(1)<<40 - free)
	refused := func(when string) {
		t.Helper()
		_, err := b.Create(context.Background(), b.people["duty"], "event", "", Input{Fields: map[string]any{"title": "满盘时", "type": "01", "village": village}})
		if !errors.Is(err, ErrFull) {
			t.Fatalf("%s: %v", when, err)
		}
		if view, err := b.View(b.people["duty"], first.ID); err != nil || view.Title != "满盘之前" {
			t.Fatalf("%s: reading: %q %v", when, view.Title, err)
		}
		page, err := b.Records(context.Background(), b.people["duty"], Query{Limit: 50})
		if err != nil || len(page.Items) == 0 {
			t.Fatalf("%s: listing: %v", when, err)
		}
		if err := b.noteFor(b.people["duty"].User, audit.Entry{Action: "reveal", Result: "ok"}); err != nil {
			t.Fatalf("%s: a reading could not be noted: %v", when, err)
		}
	}
	disk.Capacity(used + smallMarks.refuse - 1<<20)
	refused("below the watermark")
	disk.Capacity(used + smallMarks.refuse + 1<<20)
	refused("between the watermarks")
	disk.Capacity(used + smallMarks.spend/2) // others fill it further
	if err := b.room.tend(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ballast); err == nil {
		t.Fatal("the ballast was not given up")
	}
	refused("without ballast")
	b.close()
	b.open()
	refused("after a restart")
	disk.Capacity(1 << 40)
	again := b.report("duty", "有空间之后")
	if again.Number == "" {
		t.Fatal("no number")
	}
	if err := b.room.tend(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ballast); err != nil {
		t.Fatal("no ballast is laid in again")
	}
	b.check()
}

// TestFaultStoreWaitsForRoom: where others take all room between look and
// write, the journal refuses, the store waits with what was answered, and
// the process lives.
func TestFaultStoreWaitsForRoom(t *testing.T) {
	disk := lossy(t)
	b := newTestBoxIn(t, filepath.Join(disk.Dir, "box"))
	for range 3 {
		b.report("duty", "先有几件")
	}
	b.check()
	free, err := b.room.free()
	if err != nil {
		t.Fatal(err)
	}
	b.room.marks = marks{} // as if others took all room between look and write
	disk.Capacity(int64(1)<<40 - free)
	var kept []envelope.RecordID
	for range 200 {
		r, err := b.Create(context.Background(), b.people["duty"], "event", "", Input{Fields: map[string]any{"title": "盘已满", "type": "01", "village": village, "people/0/name": "张建国"}})
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil && !errors.Is(err, ErrBehind) {
			t.Fatal(err)
		}
		if err == nil {
			kept = append(kept, r.ID)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	behind := b.settled(ctx) != nil
	cancel()
	if len(kept) > 0 && !behind {
		t.Log("the store found room for everything in its own free pages")
	}
	disk.Capacity(1 << 40)
	b.check()
	for _, id := range kept {
		if r, err := b.record(id); err != nil || r.Number == "" {
			t.Fatalf("%s is gone: %v", id, err)
		}
	}
	b.report("duty", "又有空间")
	t.Logf("%d taken on the full disk, the store waited: %v", len(kept), behind)
}
