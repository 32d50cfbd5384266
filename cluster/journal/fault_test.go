package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/envelope/frame"
)

func mustDamage(t *testing.T, what string, err error) {
	t.Helper()
	var damage *envelope.DamageError
	if !errors.As(err, &damage) {
		t.Fatalf("%s: %v", what, err)
	}
}

func tryOpen(o Options) error {
	j, err := Open(o, func(envelope.Replayed) error { return nil })
	if err != nil {
		return err
	}
	return j.Close()
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestAcknowledgedGroupsAreNeverATail: what a finished group behind it, the
// store or a later segment proves to have been there is damage when it is
// gone, however it went.
func TestAcknowledgedGroupsAreNeverATail(t *testing.T) {
	_, file, _, ends := oneSegment(t)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lost := func(from, to int64) []byte { b := bytes.Clone(good); clear(b[from:to]); return b }
	for name, c := range map[string]struct {
		b    []byte
		from envelope.Position
	}{
		"the sectors of a group before another": {lost(ends[0].Offset, ends[1].Offset), envelope.Position{}},
		"two groups before another":             {lost(headerSize, ends[1].Offset), envelope.Position{}},
		"one sector before another":             {lost(ends[0].Offset, ends[0].Offset+frame.Sector-ends[0].Offset%frame.Sector), envelope.Position{}},
		"the group where the store stands":      {lost(ends[0].Offset, ends[2].Offset), ends[1]},
		"the file from where the store stands":  {good[:ends[1].Offset], ends[2]},
		"the header":                            {lost(0, headerSize), envelope.Position{}},
		"everything":                            {nil, envelope.Position{}},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "journal", "0000000001", filepath.Base(file))
		write(t, path, c.b)
		o := options(dir)
		o.From = c.from
		mustDamage(t, name, tryOpen(o))
		if now, _ := os.ReadFile(path); !bytes.Equal(now, c.b) {
			t.Fatalf("%s: the file was touched", name)
		}
	}
	o := options(t.TempDir())
	o.From = ends[2]
	mustDamage(t, "the file where the store stands", tryOpen(o))
}

// TestMissingSegmentIsDamage: a file that is gone or ends early in the
// middle of an incarnation is found by opening and by reading.
func TestMissingSegmentIsDamage(t *testing.T) {
	dir := t.TempDir()
	w := &testWriter{next: 1}
	o := options(dir)
	for range 3 {
		w.j, _ = open(t, o)
		_, o.From = w.append(t, 2, 0)
		w.j.Close()
	}
	o.From = envelope.Position{}
	middle := filepath.Join(o.Dir, "0000000001", fmt.Sprintf("%020d.seg", 1))
	b, err := os.ReadFile(middle)
	if err != nil {
		t.Fatal(err)
	}
	segments, _ := list(OS, o.Dir)
	if len(segments) != 3 {
		t.Fatalf("%d segments", len(segments))
	}
	write(t, middle, b[:headerSize])
	mustDamage(t, "opening", tryOpen(o))
	mustDamage(t, "reading", Range(nil, o.Dir, o.History, testOrigin, func(envelope.Replayed) error { return nil }))
}

// TestCrashWhileArchiving: the segment may stand under both names.
func TestCrashWhileArchiving(t *testing.T) {
	dir, file, want, _ := oneSegment(t)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "history", "0000000001", filepath.Base(file)), b)
	_, got := open(t, options(dir))
	sameGroups(t, got, want)
}

// TestFullDiskRefusesAndGoesOn: without room for a group, or for the next
// segment, nothing is written and the same group is accepted later.
func TestFullDiskRefusesAndGoesOn(t *testing.T) {
	dir := t.TempDir()
	o := options(dir)
	disk := &fullFS{FS: OS, room: 1 << 20}
	o.FS = disk
	j, _ := open(t, o)
	w := &testWriter{j: j, next: 1}
	var want []envelope.Group
	for range 20 { // until the room that is zeroed ahead is used up
		g := w.group(3, 1)
		disk.room = 0
		if _, err := j.Append(g); err != nil {
			if !errors.Is(err, envelope.ErrFull) {
				t.Fatal(err)
			}
			disk.room = 1 << 20
			if _, err := j.Append(g); err != nil {
				t.Fatalf("with room again: %v", err)
			}
		}
		w.next += 3
		want = append(want, g)
	}
	if disk.refused < 2 {
		t.Fatalf("the disk was full %d times", disk.refused)
	}
	j.Close()
	disk.room = 0
	o.From = envelope.Position{}
	if err := tryOpen(o); !errors.Is(err, envelope.ErrFull) {
		t.Fatalf("a tail was copied to a full disk: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(o.Dir, "*", "*.new")); len(left) > 0 {
		t.Fatalf("left behind: %v", left)
	}
	disk.room = 1 << 20
	_, got := open(t, o)
	sameGroups(t, got, want)
}

// fullFS gives out so many bytes beyond what its files have.
type fullFS struct {
	FS
	room    int64
	refused int
}

type fullFile struct {
	File
	fs *fullFS
}

func (f *fullFS) Create(path string) (File, error) {
	file, err := f.FS.Create(path)
	return fullFile{file, f}, err
}

func (f fullFile) WriteAt(p []byte, off int64) (int, error) {
	size, err := f.File.Size()
	if err != nil {
		return 0, err
	}
	more := off + int64(len(p)) - size
	if more > f.fs.room {
		f.fs.refused++
		return 0, &os.PathError{Op: "write", Err: syscall.ENOSPC}
	}
	f.fs.room -= max(more, 0)
	return f.File.WriteAt(p, off)
}

// TestErasureSurvivesACrash: whichever sectors of the erasure reached the
// disk, the segment reads, other frames are there, and erasing again
// finishes it.
func TestErasureSurvivesACrash(t *testing.T) {
	for shift := range 40 { // frames at every place beside a sector's end
		dir := t.TempDir()
		o := options(dir)
		j, _ := open(t, o)
		w := &testWriter{j: j, next: 1}
		g := w.group(1, 0)
		g.Ops[0] = bytes.Repeat([]byte("o"), 2*frame.Sector-groupHeader-24+shift)
		g.Head.Hash = envelope.Sum(g.Ops[0])
		for i := range 4 {
			g.KeyFrames = append(g.KeyFrames, bytes.Repeat([]byte{byte('a' + i)}, 200+i))
		}
		if _, err := j.Append(g); err != nil {
			t.Fatal(err)
		}
		j.Close()
		erase := func(files FS) (int, error) {
			return ZeroKeyFrames(files, o.Dir, o.History, testOrigin, envelope.Position{}, func(raw []byte) bool { return raw[0] == 'b' || raw[0] == 'd' })
		}
		file := filepath.Join(o.Dir, "0000000001", fmt.Sprintf("%020d.seg", 1))
		before, _ := os.ReadFile(file)
		log := &syncLog{FS: OS}
		if n, err := erase(log); err != nil || n != 2 {
			t.Fatalf("erased %d, %v", n, err)
		}
		if len(log.states) != 2 {
			t.Fatalf("%d syncs", len(log.states))
		}
		for _, after := range log.states {
			for _, torn := range tornSectors(before, after) {
				write(t, file, torn)
				var kept []envelope.Replayed
				err := Range(nil, o.Dir, o.History, testOrigin, func(g envelope.Replayed) error { kept = append(kept, g); return nil })
				if err != nil || len(kept) != 1 {
					t.Fatalf("shift %d: %v", shift, err)
				}
				for _, f := range kept[0].KeyFrames {
					if f[0] != f[len(f)-1] {
						t.Fatalf("shift %d: half a frame was given", shift)
					}
				}
				if _, err := erase(nil); err != nil {
					t.Fatal(err)
				}
				if now, _ := os.ReadFile(file); !bytes.Equal(now, log.states[1]) {
					t.Fatalf("shift %d: erasing again did not finish it", shift)
				}
			}
			before = after
		}
	}
}

// syncLog keeps what each sync made durable.
type syncLog struct {
	FS
	states [][]byte
}

type syncLogFile struct {
	File
	log *syncLog
}

func (l *syncLog) Open(path string) (File, error) {
	f, err := l.FS.Open(path)
	return syncLogFile{f, l}, err
}

func (f syncLogFile) Sync() error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	f.log.states = append(f.log.states, b)
	return nil
}

// tornSectors gives every mixture of two states by sectors.
func tornSectors(before, after []byte) [][]byte {
	var changed []int
	for at := 0; at < len(before); at += frame.Sector {
		if !bytes.Equal(before[at:at+frame.Sector], after[at:at+frame.Sector]) {
			changed = append(changed, at)
		}
	}
	var out [][]byte
	for set := range 1 << len(changed) {
		b := bytes.Clone(before)
		for i, at := range changed {
			if set>>i&1 == 1 {
				copy(b[at:at+frame.Sector], after[at:])
			}
		}
		out = append(out, b)
	}
	return out
}

// TestNewerGroupIsNamed: a later release's group stops the box with that
// reason, not as damage.
func TestNewerGroupIsNamed(t *testing.T) {
	dir, file, _, _ := oneSegment(t)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h := b[headerSize : headerSize+groupHeader]
	binary.BigEndian.PutUint16(h[4:], version+1)
	binary.BigEndian.PutUint32(h[40:], frame.Sum(h[:40]))
	write(t, file, b)
	if err := tryOpen(options(dir)); !errors.Is(err, envelope.ErrNewer) {
		t.Fatal(err)
	}
}

// FuzzSegment: no bytes in a segment's file make a reader panic or give a
// group that was not signed off by its checksums.
func FuzzSegment(f *testing.F) {
	golden, err := os.ReadFile("testdata/segment.golden")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden[headerSize:])
	f.Add(golden[headerSize : len(golden)-9])
	f.Add([]byte(groupMagic))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, b := range [][]byte{body, resealed(body)} {
			r := &reader{file: memory(b), size: int64(len(b)), next: 1, origin: testOrigin}
			err := r.each(endless, func(g envelope.Replayed) error {
				if len(g.Ops) == 0 || g.Head.Seq != g.First+uint64(len(g.Ops))-1 {
					t.Fatalf("group of %d operations from %d to %d", len(g.Ops), g.First, g.Head.Seq)
				}
				r.erasures(g, func([]byte) bool { return true })
				return nil
			})
			var damage *envelope.DamageError
			if err != nil && !errors.As(err, &damage) && !errors.Is(err, envelope.ErrNewer) {
				t.Fatal(err)
			}
		}
	})
}

// resealed gives the first group fitting checksums, so that fuzzing reaches
// what they guard.
func resealed(b []byte) []byte {
	if len(b) < groupHeader+trailerSize {
		return b
	}
	b = bytes.Clone(b)
	copy(b, groupMagic)
	binary.BigEndian.PutUint16(b[4:], version)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)))
	binary.BigEndian.PutUint64(b[16:], 1)
	ops := binary.BigEndian.Uint32(b[32:]) % uint32(len(b)-groupHeader-trailerSize+1)
	binary.BigEndian.PutUint32(b[32:], ops)
	binary.BigEndian.PutUint32(b[36:], uint32(len(b)-groupHeader-trailerSize)-ops)
	binary.BigEndian.PutUint32(b[40:], frame.Sum(b[:40]))
	tail := b[len(b)-trailerSize:]
	binary.BigEndian.PutUint32(tail[headSize:], frame.Sum(b[:groupHeader], b[groupHeader:groupHeader+ops], tail[:headSize]))
	copy(tail[headSize+4:], frame.EndMark[:])
	return b
}

// memory is a file that is only read.
type memory []byte

func (m memory) ReadAt(p []byte, off int64) (int, error) {
	return strings.NewReader(string(m)).ReadAt(p, off)
}
func (m memory) WriteAt(p []byte, off int64) (int, error) { return 0, os.ErrPermission }
func (m memory) Sync() error                              { return nil }
func (m memory) Size() (int64, error)                     { return int64(len(m)), nil }
func (m memory) Close() error                             { return nil }
