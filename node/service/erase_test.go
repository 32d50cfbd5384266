package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/identity"
	"github.com/fengqiao/fengqiao/node/seal"
)

// eraseBox is a box that stops an erasure before the stage in stop.
type eraseBox struct {
	*testBox
	stop string
}

func newEraseBox(t *testing.T) *eraseBox {
	b := &eraseBox{testBox: newTestBox(t)}
	b.reopen("frames")
	return b
}

func (b *eraseBox) reopen(stop string) {
	b.t.Helper()
	b.close()
	b.stop = stop
	box, err := Open(Options{Dir: b.dir, Journals: testJournals{}, Clock: b.clock, Fatal: func(err error) { b.t.Error(err) }, marks: &smallMarks, erasing: func(stage string) error {
		if stage == stop {
			return errors.New("stopped by the test")
		}
		return nil
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Box = box
}

// matter is a record with an attachment, and the bytes of its keys.
type matter struct {
	*domain.Record
	secrets map[string][]byte
}

func (b *eraseBox) matter(title string) matter {
	b.t.Helper()
	ctx := context.Background()
	r, err := b.Attach(ctx, b.people["duty"], b.report("duty", title).ID, Upload{Name: "a.txt", Media: "text/plain", Body: strings.NewReader("附件 " + title)})
	if err != nil {
		b.t.Fatal(err)
	}
	m := matter{r, map[string][]byte{}}
	for _, version := range []string{"draft written over", "draft"} {
		c, id := b.people["duty"], "d-"+r.ID.String()
		err := b.SaveDraft(c, id, "step", map[string]string{"record": r.ID.String(), "note": version})
		sealed, ok, err2 := b.local.Get(bucketDrafts, draftKey(c, id))
		if err := errors.Join(err, err2); err != nil || !ok {
			b.t.Fatal(err)
		}
		m.secrets[version] = sealed[25:]
	}
	if err := b.settled(ctx); err != nil {
		b.t.Fatal(err)
	}
	err = b.opts.Journals.Range(journalFiles(b.dir, b.id.Origin()), func(g envelope.Replayed) error {
		for _, raw := range g.KeyFrames {
			f, err := envelope.DecodeKeyFrame(raw)
			if err != nil || f.Record != r.ID {
				return err
			}
			row, ok, err := b.store.Key(r.ID, f.Key)
			if err != nil || !ok {
				b.t.Fatalf("no row for a key frame: %v", err)
			}
			m.secrets["frame "+f.Key.String()], m.secrets["row "+f.Key.String()] = f.Wrapped[25:], row.Sealed[25:]
		}
		return nil
	})
	if err != nil || len(m.secrets) != 6 {
		b.t.Fatalf("%d secrets (%v)", len(m.secrets), err)
	}
	return m
}

func (b *eraseBox) erase(m matter) {
	b.t.Helper()
	r, err := b.record(m.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	b.step("leader", r, "erase", Input{Inputs: map[string]any{"reason": "request"}, Note: "本人申请"})
	if err := b.settled(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *eraseBox) await(m matter) {
	b.t.Helper()
	for range 500 {
		if _, done, err := b.store.Erased(m.ID); err != nil {
			b.t.Fatal(err)
		} else if done {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Fatal("the erasure was not finished")
}

// holding lists the files of a directory that hold one of the secrets.
func holding(t testing.TB, dir string, m matter) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		body, err := os.ReadFile(path)
		for name, secret := range m.secrets {
			if bytes.Contains(body, secret) {
				found = append(found, d.Name()+": "+name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// gone proves that nothing of m can be read and no key of it is on disk.
func (b *eraseBox) gone(m matter) {
	b.t.Helper()
	if found := holding(b.t, b.dir, m); len(found) > 0 {
		b.t.Fatalf("keys are still in %v", found)
	}
	for _, f := range allSealed(m.Record) {
		if _, err := b.Box.open(m.Record, f); !errors.Is(err, ErrErased) {
			b.t.Fatalf("%s: %v", f.Path, err)
		}
	}
	for _, f := range m.Files {
		if _, err := os.Stat(b.blobPath(f.Hash)); !errors.Is(err, fs.ErrNotExist) {
			b.t.Fatalf("the attachment is there: %v", err)
		}
	}
	view, err := b.View(b.people["duty"], m.ID)
	if err != nil || view.Erasure == nil || view.Erasure.State != "done" || view.Erasure.At == 0 {
		b.t.Fatalf("%+v %v", view.Erasure, err)
	}
	drafts, err := b.Drafts(b.people["duty"])
	for _, d := range drafts.Items {
		if d.ID == "d-"+m.ID.String() {
			b.t.Fatal("a draft on the record is there")
		}
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// whole proves that the rest of the box is.
func (b *eraseBox) whole(kept matter) {
	b.t.Helper()
	view, err := b.View(b.people["duty"], kept.ID)
	if err != nil || view.Title != "留存" || view.Erasure != nil {
		b.t.Fatalf("%q %+v %v", view.Title, view.Erasure, err)
	}
	report, err := b.Check(context.Background(), CheckOptions{Deep: true, Progress: func(string, int64, int64) {}})
	if err != nil || len(report.Problems) > 0 || report.Opened == 0 || report.Erased == 0 {
		b.t.Fatalf("check: %v %v, %d opened, %d erased", err, report.Problems, report.Opened, report.Erased)
	}
	// The frames: a store that was made again has rows of its own, and a
	// draft is not in a backup.
	if len(holding(b.t, b.dir, kept)) < 2 {
		b.t.Fatal("keys of another record are gone, or the search finds nothing")
	}
}

// TestErasingDestroysKeys: a stop before any stage ends, with the next
// start, where none would have.
func TestErasingDestroysKeys(t *testing.T) {
	b := newEraseBox(t)
	kept := b.matter("留存")
	for _, stage := range erasureStages {
		b.reopen(stage.name)
		m := b.matter("张某的纠纷")
		if len(holding(t, b.dir, m)) < len(m.secrets) {
			t.Fatal("the keys were not found before erasing")
		}
		for _, name := range []string{"store.db", "local.db"} { // as an upgrade or damage leaves them
			body, err := os.ReadFile(filepath.Join(b.dir, name))
			if err := errors.Join(err, os.WriteFile(filepath.Join(b.dir, name+".old"), body, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		b.erase(m)
		view, err := b.View(b.people["duty"], m.ID)
		if err != nil || view.Erasure == nil || view.Erasure.State != "running" {
			t.Fatalf("%+v %v", view.Erasure, err)
		}
		if checks := fmt.Sprint(b.Readiness("en")); !strings.Contains(checks, "1 erasures under way") {
			t.Fatal(checks)
		}
		b.reopen("")
		b.await(m)
		b.gone(m)
		b.whole(kept)
	}
	entries, err := b.audit.Read(audit.Filter{Action: "erase_done", Limit: 100})
	if err != nil || len(entries) != len(erasureStages) {
		t.Fatalf("%d entries (%v)", len(entries), err)
	}
	m := b.matter("当场销毁")
	b.erase(m) // no restart: the worker is woken
	b.await(m)
	b.gone(m)
	b.whole(kept)
}

// TestErasedStaysErased: in a store made again from the journal, and in a
// box restored from a snapshot that was taken afterwards.
func TestErasedStaysErased(t *testing.T) {
	b := newEraseBox(t)
	b.reopen("")
	kept, m := b.matter("留存"), b.matter("张某的纠纷")
	b.erase(m)
	b.await(m)
	digest, err := b.store.Digest()
	if err != nil {
		t.Fatal(err)
	}
	b.close()
	if err := os.Remove(filepath.Join(b.dir, "store.db")); err != nil {
		t.Fatal(err)
	}
	b.reopen("")
	b.await(m)
	b.gone(m)
	b.whole(kept)
	if again, err := b.store.Digest(); err != nil || !bytes.Equal(again, digest) {
		t.Fatalf("%x is not %x (%v)", again, digest, err)
	}

	to := t.TempDir()
	parts, release, err := b.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		in, err := p.Open()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(io.LimitReader(in, p.Size))
		path := filepath.Join(to, filepath.FromSlash(p.Name))
		if err := errors.Join(err, in.Close(), os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, body, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	another := b.matter("备份之后")
	b.erase(another)
	if err := b.destroyErased(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, done, _ := b.store.Erased(another.ID); done {
		t.Fatal("keys were destroyed under a snapshot that was being written")
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	b.close()
	if found := holding(t, to, m); len(found) > 0 {
		t.Fatalf("the snapshot holds %v", found)
	}
	id, err := identity.Load(filepath.Join(to, "identity"))
	var head envelope.Head
	err = errors.Join(err, testJournals{}.Range(journalFiles(to, id.Origin()), func(g envelope.Replayed) error { head = g.Head; return nil }))
	if err := errors.Join(err, id.Rebirth(head)); err != nil {
		t.Fatal(err)
	}
	b.dir = to
	b.reopen("")
	b.await(m)
	b.gone(m)
	b.whole(kept)
}

// TestErasedKeyIsForgottenInMemory: what was read before stays in no cache.
func TestErasedKeyIsForgottenInMemory(t *testing.T) {
	b := newEraseBox(t)
	b.reopen("")
	m := b.matter("张某的纠纷")
	f, ok := m.SealedAt("title", seal.Full)
	if value, err := b.Box.open(m.Record, f); !ok || err != nil || value != "张某的纠纷" {
		t.Fatal(value, err)
	}
	b.erase(m)
	b.await(m)
	b.gone(m)
	if _, ok := b.keys.get(f.Key); ok {
		t.Fatal("the key is still in memory")
	}
}
