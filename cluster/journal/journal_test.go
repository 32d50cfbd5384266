package journal

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/envelope/frame"
)

var testOrigin = envelope.Sum([]byte("box"))

func testSign(h envelope.Head) envelope.Signature {
	var s envelope.Signature
	s[0] = envelope.Ed25519
	copy(s[1:], ed25519.Sign(ed25519.NewKeyFromSeed(make([]byte, 32)), h.SigningBytes()))
	return s
}

func options(dir string) Options {
	return Options{Dir: filepath.Join(dir, "journal"), History: filepath.Join(dir, "history"), Origin: testOrigin, Incarnation: 1, Sign: testSign, step: 8 << 10}
}

// writer makes groups with contents that name their place.
type testWriter struct {
	j    *Journal
	next uint64
}

func (w *testWriter) group(ops, frames int) envelope.Group {
	g := envelope.Group{First: w.next}
	for i := range ops {
		g.Ops = append(g.Ops, fmt.Appendf(nil, "operation %d %s", w.next+uint64(i), bytes.Repeat([]byte("x"), int(w.next*37%900))))
	}
	for i := range frames {
		g.KeyFrames = append(g.KeyFrames, fmt.Appendf(nil, "key %d of %d", i, w.next))
	}
	last := w.next + uint64(ops) - 1
	g.Head = envelope.Head{Origin: testOrigin, Incarnation: 1, Seq: last, Hash: envelope.Sum(g.Ops[ops-1])}
	return g
}

func (w *testWriter) append(t interface{ Fatal(...any) }, ops, frames int) (envelope.Group, envelope.Position) {
	g := w.group(ops, frames)
	at, err := w.j.Append(g)
	if err != nil {
		t.Fatal(err)
	}
	w.next += uint64(ops)
	return g, at
}

func open(t interface{ Fatal(...any) }, o Options) (*Journal, []envelope.Replayed) {
	var got []envelope.Replayed
	j, err := Open(o, func(g envelope.Replayed) error { got = append(got, g); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return j, got
}

func sameGroups(t *testing.T, got []envelope.Replayed, want []envelope.Group) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d groups, want %d", len(got), len(want))
	}
	for i := range want {
		if fmt.Sprintf("%q", got[i].Ops) != fmt.Sprintf("%q", want[i].Ops) || fmt.Sprintf("%q", got[i].KeyFrames) != fmt.Sprintf("%q", want[i].KeyFrames) || got[i].Head != want[i].Head {
			t.Fatalf("group %d differs", i)
		}
	}
}

func TestReplayGivesWhatWasAppended(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, options(dir))
	w := &testWriter{j: j, next: 1}
	var want []envelope.Group
	var positions []envelope.Position
	for i := range 20 {
		g, at := w.append(t, 1+i%3, i%2)
		want, positions = append(want, g), append(positions, at)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		o := options(dir)
		o.From = positions[i]
		j, got := open(t, o)
		sameGroups(t, got, want[i+1:])
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	j, got := open(t, options(dir)) // many segments by now: history must read as one
	sameGroups(t, got, want)
	w.j = j
	g, _ := w.append(t, 2, 1)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, got = open(t, options(dir))
	sameGroups(t, got, append(want, g))
}

func TestArchiveMovesWholeSegments(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, options(dir))
	w := &testWriter{j: j, next: 1}
	first, at := w.append(t, 3, 1)
	j.Close()
	o := options(dir)
	o.From = at
	j, _ = open(t, o)
	w.j = j
	second, _ := w.append(t, 2, 0)
	moved, err := j.Archive(at.Seq)
	if err != nil || moved != 1 {
		t.Fatalf("moved %d, %v", moved, err)
	}
	var got []envelope.Replayed
	err = Range(nil, o.Dir, o.History, testOrigin, func(g envelope.Replayed) error { got = append(got, g); return nil })
	if err != nil {
		t.Fatal(err)
	}
	sameGroups(t, got, []envelope.Group{first, second})
}

// oneSegment writes three groups and gives the file and the group ends.
func oneSegment(t *testing.T) (dir, file string, want []envelope.Group, ends []envelope.Position) {
	dir = t.TempDir()
	j, _ := open(t, options(dir))
	w := &testWriter{j: j, next: 1}
	for range 3 {
		g, at := w.append(t, 2, 1)
		want, ends = append(want, g), append(ends, at)
	}
	j.Close()
	return dir, filepath.Join(dir, "journal", "0000000001", fmt.Sprintf("%020d.seg", 1)), want, ends
}

func TestEveryFlippedByteIsFoundAndNothingIsCut(t *testing.T) {
	dir, file, _, ends := oneSegment(t)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := range int(ends[2].Offset) {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(options(dir), func(envelope.Replayed) error { return nil })
		var damage *envelope.DamageError
		if !errors.As(err, &damage) {
			t.Fatalf("byte %d flipped: %v", at, err)
		}
		if now, _ := os.ReadFile(file); !bytes.Equal(now, bad) {
			t.Fatalf("byte %d flipped: the file was touched", at)
		}
	}
}

func TestUnfinishedLastGroupIsCut(t *testing.T) {
	_, file, want, ends := oneSegment(t)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	start, end := ends[1].Offset, ends[2].Offset
	var cases [][]byte
	for at := start; at < end; at++ { // the file ends early
		cases = append(cases, good[:at])
	}
	for at := start; at < end; { // a sector never reached the disk
		next := min(at+frame.Sector-at%frame.Sector, end)
		bad := bytes.Clone(good)
		clear(bad[at:next])
		cases = append(cases, bad)
		at = next
	}
	for _, bad := range cases {
		root := t.TempDir()
		copyTo := filepath.Join(root, "journal", "0000000001", filepath.Base(file))
		if err := errors.Join(os.MkdirAll(filepath.Dir(copyTo), 0o700), os.WriteFile(copyTo, bad, 0o600)); err != nil {
			t.Fatal(err)
		}
		j, got := open(t, options(root))
		sameGroups(t, got, want[:2])
		w := &testWriter{j: j, next: ends[1].Seq + 1}
		g, _ := w.append(t, 1, 1)
		j.Close()
		_, got = open(t, options(root))
		sameGroups(t, got, append(append([]envelope.Group{}, want[:2]...), g))
	}
}

func TestFailedSyncIsFinal(t *testing.T) {
	for _, fault := range []string{"write", "sync"} {
		o := options(t.TempDir())
		files := &faultyFS{FS: OS}
		o.FS = files
		j, _ := open(t, o)
		w := &testWriter{j: j, next: 1}
		first, _ := w.append(t, 1, 0)
		files.fail = fault
		if _, err := j.Append(w.group(1, 0)); err == nil {
			t.Fatalf("%s: a failed append was acknowledged", fault)
		}
		files.fail = ""
		if _, err := j.Append(w.group(1, 0)); !errors.Is(err, ErrFailed) {
			t.Fatalf("%s: accepted after a failure: %v", fault, err)
		}
		_, got := open(t, o)
		if len(got) < 1 || got[0].Head != first.Head {
			t.Fatalf("%s: the acknowledged group is gone", fault)
		}
	}
}

// unsynced saves a property test the disk's time: what it tests is not
// whether the disk keeps its word.
type unsynced struct{ FS }

type unsyncedFile struct{ File }

func (u unsynced) Create(path string) (File, error) {
	f, err := u.FS.Create(path)
	return unsyncedFile{f}, err
}

func (unsynced) SyncDir(string) error { return nil }
func (unsyncedFile) Sync() error      { return nil }

type faultyFS struct {
	FS
	fail string
}

type faultyFile struct {
	File
	fs *faultyFS
}

func (f *faultyFS) Create(path string) (File, error) {
	file, err := f.FS.Create(path)
	return faultyFile{file, f}, err
}

func (f faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if f.fs.fail == "write" {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, errors.New("input/output error")
	}
	return f.File.WriteAt(p, off)
}

func (f faultyFile) Sync() error {
	if f.fs.fail == "sync" {
		return errors.New("input/output error")
	}
	return f.File.Sync()
}

func TestZeroKeyFrames(t *testing.T) {
	dir, _, want, _ := oneSegment(t)
	o := options(dir)
	n, err := ZeroKeyFrames(nil, o.Dir, o.History, testOrigin, envelope.Position{}, func(raw []byte) bool { return bytes.HasSuffix(raw, []byte("of 3")) })
	if err != nil || n != 1 {
		t.Fatalf("zeroed %d, %v", n, err)
	}
	_, got := open(t, o)
	want[1].KeyFrames = nil
	sameGroups(t, got, want)
}

func TestZeroRunsAreRefused(t *testing.T) {
	j, _ := open(t, options(t.TempDir()))
	w := &testWriter{j: j, next: 1}
	g := w.group(1, 0)
	g.Ops[0] = make([]byte, frame.Sector)
	if _, err := j.Append(g); err == nil {
		t.Fatal("an operation of zeros was accepted")
	}
}

func TestAnyCrashKeepsAcknowledgedGroups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		var want []envelope.Group
		w := &testWriter{next: 1}
		from := envelope.Position{}
		for range rapid.IntRange(1, 4).Draw(t, "lives") {
			o := options(dir)
			o.FS = unsynced{OS}
			o.From = from
			j, got := open(t, o)
			if n := int(from.Seq); len(got) > 0 && int(got[0].First) != n+1 {
				t.Fatalf("replay begins at %d after %d", got[0].First, n)
			}
			w.j = j
			for range rapid.IntRange(0, 5).Draw(t, "groups") {
				g, at := w.append(t, rapid.IntRange(1, 3).Draw(t, "ops"), rapid.IntRange(0, 2).Draw(t, "frames"))
				want = append(want, g)
				if rapid.Bool().Draw(t, "stored") {
					from = at
				}
			}
			tear(t, j)
		}
		_, got := open(t, options(dir))
		if len(got) != len(want) {
			t.Fatalf("%d groups, want %d", len(got), len(want))
		}
	})
}

// tear leaves half a group behind, as a crash would.
func tear(t *rapid.T, j *Journal) {
	w := &testWriter{j: j, next: j.next}
	if j.file == nil {
		if err := j.begin(j.next, nil); err != nil {
			t.Fatal(err)
		}
	}
	b := encode(nil, w.group(2, 1), envelope.Signature{1})
	cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
	cut -= int((j.end + int64(cut)) % frame.Sector) // whole sectors
	if cut > 0 {
		if _, err := j.file.WriteAt(b[:cut], j.end); err != nil {
			t.Fatal(err)
		}
	}
	j.Close()
}

func BenchmarkAppend(b *testing.B) {
	for _, ops := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(ops), func(b *testing.B) {
			j, _ := open(b, options(b.TempDir()))
			w := &testWriter{j: j, next: 1}
			for b.Loop() {
				w.append(b, ops, 1)
			}
		})
	}
}

// TestBytesAreFixed: a group and a header written today read in every
// later release.
func TestBytesAreFixed(t *testing.T) {
	w := &testWriter{next: 1}
	g := w.group(2, 1)
	got := append(segmentHeader(testOrigin, 1, 1, envelope.Hash{}), encode(nil, g, testSign(g.Head))...)
	const file = "testdata/segment.golden"
	want, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) && os.Getenv("FENGQIAO_GOLDEN") != "" {
		err = os.WriteFile(file, got, 0o644)
		want = got
	}
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the format of segments has changed (%v)", err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "journal", "0000000001", fmt.Sprintf("%020d.seg", 1))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, want, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, replayed := open(t, options(dir))
	sameGroups(t, replayed, []envelope.Group{g})
}

// TestZeroKeyFramesKeepsToItsEnd: groups behind through are being written.
func TestZeroKeyFramesKeepsToItsEnd(t *testing.T) {
	dir, _, want, ends := oneSegment(t)
	o := options(dir)
	n, err := ZeroKeyFrames(nil, o.Dir, o.History, testOrigin, ends[1], func([]byte) bool { return true })
	if err != nil || n != 2 {
		t.Fatalf("zeroed %d, %v", n, err)
	}
	_, got := open(t, o)
	want[0].KeyFrames, want[1].KeyFrames = nil, nil
	sameGroups(t, got, want)
}

// TestRepeatedGroupsAreErasedToo: the tail that a start copied stands in the
// old segment as well, with what was never finished behind it.
func TestRepeatedGroupsAreErasedToo(t *testing.T) {
	dir, file, want, ends := oneSegment(t)
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(append(make([]byte, frame.Sector), "an unfinished key"...), ends[2].Offset)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	o := options(dir)
	o.From = ends[0]
	j, _ := open(t, o)
	j.Close()
	secret := want[2].KeyFrames[0]
	if b, err := os.ReadFile(file); err != nil || !bytes.Contains(b, secret) || !bytes.Contains(b, []byte("an unfinished key")) {
		t.Fatal("nothing is repeated", err)
	}
	n, err := ZeroKeyFrames(nil, o.Dir, o.History, testOrigin, envelope.Position{}, func(raw []byte) bool { return bytes.Equal(raw, secret) })
	if err != nil || n != 1 {
		t.Fatalf("zeroed %d, %v", n, err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, secret) || bytes.Contains(b, []byte("an unfinished key")) {
			t.Errorf("%s holds an erased key", d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want[2].KeyFrames = nil
	var got []envelope.Replayed
	if err := Range(nil, o.Dir, o.History, testOrigin, func(g envelope.Replayed) error { got = append(got, g); return nil }); err != nil {
		t.Fatal(err)
	}
	sameGroups(t, got, want)
}

// eraseFS counts what an erasure writes and lets its syncs fail.
type eraseFS struct {
	FS
	fail          bool
	writes, syncs int
}

type eraseFile struct {
	File
	fs *eraseFS
}

func (e *eraseFS) Open(path string) (File, error) {
	f, err := e.FS.Open(path)
	return eraseFile{f, e}, err
}

func (f eraseFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.writes++
	return f.File.WriteAt(p, off)
}

func (f eraseFile) Sync() error {
	f.fs.syncs++
	if f.fs.fail {
		return errors.New("input/output error")
	}
	return f.File.Sync()
}

// TestFailedErasureIsWrittenAgain: the second half waits for the first, and
// what was written before a failed sync is not taken for done.
func TestFailedErasureIsWrittenAgain(t *testing.T) {
	dir, _, _, _ := oneSegment(t)
	o := options(dir)
	erase := func(files FS) (int, error) {
		return ZeroKeyFrames(files, o.Dir, o.History, testOrigin, envelope.Position{}, func(raw []byte) bool { return bytes.HasSuffix(raw, []byte("of 3")) })
	}
	failing := &eraseFS{FS: OS, fail: true}
	if _, err := erase(failing); err == nil || failing.writes != 1 || failing.syncs != 1 {
		t.Fatalf("%d writes, %d syncs, %v", failing.writes, failing.syncs, err)
	}
	for want := 1; want >= 0; want-- { // half done, and done
		again := &eraseFS{FS: OS}
		if n, err := erase(again); err != nil || n != want || again.writes != 2 || again.syncs != 2 {
			t.Fatalf("erased %d, %d writes, %d syncs, %v", n, again.writes, again.syncs, err)
		}
	}
}
