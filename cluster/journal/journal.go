// Package journal makes operations durable: groups appended to segment
// files, one sync per group, then the answer. The journals are the truth
// for content; everything else on a box can be rebuilt from them.
//
// The journal knows operations as bytes. Its format is fixed for ever, see
// DESIGN.md.
package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/journal/frame"
)

const (
	segmentMagic  = "FQJSEG1\n"
	groupMagic    = "FQGR"
	version       = 1
	headerSize    = 512
	groupHeader   = 44
	headSize      = len(envelope.Hash{}) + len(envelope.Signature{})
	trailerSize   = headSize + 4 + len(frame.EndMark)
	suffix        = ".seg"
	maxGroupBytes = 64 << 20

	// SegmentSize is where a segment ends; room is zeroed in steps so that
	// a sync writes data alone.
	SegmentSize = 64 << 20
	roomStep    = 4 << 20
)

// ErrFailed is given after a write or sync failed once: what is on disk is
// not known, so nothing more is accepted.
var ErrFailed = errors.New("journal: an earlier write failed")

// DamageError is bytes that were written once and changed since. Nothing
// is cut; a person decides.
type DamageError struct {
	Segment string
	Offset  int64
	Reason  string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("journal: damage in %s at %d: %s", e.Segment, e.Offset, e.Reason)
}

// Position is the end of a group.
type Position struct {
	Incarnation uint32
	Segment     string
	Offset      int64
	Seq         uint64
	Head        envelope.Hash
}

// Group is what one sync makes durable. Key frames stand outside the
// hashed bytes, so that erasing can zero them in place.
type Group struct {
	Ops       [][]byte
	KeyFrames [][]byte
	First     uint64
	Head      envelope.Head // of the last operation
}

// Replayed is a group read back.
type Replayed struct {
	Group
	Signature envelope.Signature
	At        Position
}

// Options open a journal.
type Options struct {
	Dir         string // journal/
	History     string // history/: segments that the store has whole
	Origin      envelope.Hash
	Incarnation uint32
	Sign        func(envelope.Head) envelope.Signature
	From        Position // what the store has; zero for everything
	FS          FS       // nil: the operating system's
	step        int64    // bytes zeroed at once; 0 is roomStep
}

// Journal appends groups. It is used by one writer.
type Journal struct {
	o       Options
	fs      FS
	mu      sync.Mutex
	file    File
	name    string
	end     int64 // of the last group
	room    int64 // zeroed up to here
	next    uint64
	prev    envelope.Hash
	failed  error
	scratch []byte
}

// Open replays every group after o.From and begins a new segment. Groups
// of the last segment that the store lacks are copied into the new one and
// synced before they count: after a failed sync the old file's pages prove
// nothing.
func Open(o Options, replay func(Replayed) error) (*Journal, error) {
	j := &Journal{o: o, fs: o.FS, next: 1}
	if j.fs == nil {
		j.fs = OS
	}
	if err := j.fs.MkdirAll(j.dir(o.Incarnation)); err != nil {
		return nil, err
	}
	segments, err := j.segments()
	if err != nil {
		return nil, err
	}
	if o.From.Incarnation == o.Incarnation {
		j.next, j.prev = o.From.Seq+1, o.From.Head
	}
	for i, s := range segments {
		last := i == len(segments)-1 && s.incarnation == o.Incarnation
		if err := j.replaySegment(segments, i, last, replay); err != nil {
			return nil, err
		}
	}
	if j.file == nil {
		if err := j.begin(j.next); err != nil {
			return nil, err
		}
	}
	return j, nil
}

func (j *Journal) dir(incarnation uint32) string {
	return filepath.Join(j.o.Dir, fmt.Sprintf("%010d", incarnation))
}

// segment is a file of the journal or of history.
type segment struct {
	path        string
	name        string
	incarnation uint32
	first       uint64
}

// segments lists all files in order, history included.
func (j *Journal) segments() ([]segment, error) { return list(j.fs, j.o.History, j.o.Dir) }

func list(files FS, dirs ...string) ([]segment, error) {
	var out []segment
	for _, dir := range dirs {
		lives, err := files.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, life := range lives {
			inc, err := strconv.ParseUint(life, 10, 32)
			if err != nil {
				continue
			}
			names, err := files.ReadDir(filepath.Join(dir, life))
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				first, err := strconv.ParseUint(strings.TrimSuffix(name, suffix), 10, 64)
				if err != nil || !strings.HasSuffix(name, suffix) {
					continue
				}
				out = append(out, segment{path: filepath.Join(dir, life, name), name: name, incarnation: uint32(inc), first: first})
			}
		}
	}
	slices.SortFunc(out, func(a, b segment) int {
		if a.incarnation != b.incarnation {
			return int(a.incarnation) - int(b.incarnation)
		}
		if a.first < b.first {
			return -1
		}
		return 1
	})
	return out, nil
}

// limit is the sequence at which a segment ends for readers: where the
// next of its incarnation begins.
func limit(segments []segment, i int) uint64 {
	if i+1 < len(segments) && segments[i+1].incarnation == segments[i].incarnation {
		return segments[i+1].first
	}
	return ^uint64(0)
}

func (j *Journal) replaySegment(segments []segment, i int, last bool, replay func(Replayed) error) error {
	s, from := segments[i], j.o.From
	end := limit(segments, i)
	if s.incarnation < from.Incarnation || s.incarnation == from.Incarnation && end <= from.Seq+1 && !last {
		return nil // the store has all of it
	}
	r, err := openReader(j.fs, s, j.o.Origin)
	if err != nil {
		return err
	}
	defer r.file.Close()
	if s.incarnation == from.Incarnation && s.name == from.Segment {
		r.offset = from.Offset
		r.next = from.Seq + 1
	}
	var tail []Replayed
	for {
		g, err := r.read()
		if errors.Is(err, errEnd) {
			break
		}
		if err != nil {
			return err
		}
		if g.First >= end {
			break // copied into the next segment
		}
		if s.incarnation == from.Incarnation && g.Head.Seq <= from.Seq {
			continue
		}
		if last {
			tail = append(tail, g)
			continue
		}
		if err := replay(g); err != nil {
			return err
		}
		j.advance(g)
	}
	if !last {
		return nil
	}
	return j.renew(s, tail, replay)
}

func (j *Journal) advance(g Replayed) {
	if g.Head.Incarnation == j.o.Incarnation {
		j.next, j.prev = g.Head.Seq+1, g.Head.Hash
	}
}

// renew begins a new segment after an unfinished or unsure tail, with the
// tail's groups in it.
func (j *Journal) renew(old segment, tail []Replayed, replay func(Replayed) error) error {
	first := j.next
	if len(tail) > 0 {
		first = tail[0].First
	}
	if first == old.first && len(tail) == 0 {
		return j.reuse(old)
	}
	if len(tail) == 0 {
		return j.begin(first)
	}
	return j.copyTail(first, tail, replay)
}

// reuse goes on in a segment that holds its header alone.
func (j *Journal) reuse(s segment) error {
	if err := j.fs.Remove(s.path); err != nil {
		return err
	}
	return j.begin(s.first)
}

// copyTail writes the tail beside its place and renames it there when it is
// synced, so that a crash leaves either the old bytes or the copy.
func (j *Journal) copyTail(first uint64, tail []Replayed, replay func(Replayed) error) error {
	name := fmt.Sprintf("%020d%s", first, suffix)
	if err := j.beginAs(first, name+".new"); err != nil {
		return err
	}
	for i := range tail {
		if err := j.write(tail[i].Group, tail[i].Signature); err != nil {
			return err
		}
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	dir := j.dir(j.o.Incarnation)
	if err := errors.Join(j.fs.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name)), j.fs.SyncDir(dir)); err != nil {
		return err
	}
	j.name = name
	return j.replayTail(tail, replay)
}

// replayTail hands on groups that now lie in the new segment, at their new
// places.
func (j *Journal) replayTail(tail []Replayed, replay func(Replayed) error) error {
	offset := int64(headerSize)
	for i := range tail {
		offset += int64(frameSize(tail[i].Group))
		tail[i].At.Segment, tail[i].At.Offset = j.name, offset
		if err := replay(tail[i]); err != nil {
			return err
		}
		j.advance(tail[i])
	}
	return nil
}

func (j *Journal) begin(first uint64) error {
	return j.beginAs(first, fmt.Sprintf("%020d%s", first, suffix))
}

// beginAs creates a segment file with its header, synced with its folder.
func (j *Journal) beginAs(first uint64, name string) error {
	dir := j.dir(j.o.Incarnation)
	f, err := j.fs.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	if j.file != nil {
		if err := j.file.Close(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	j.file, j.name, j.end, j.room = f, name, headerSize, 0
	if err := j.makeRoom(headerSize); err != nil {
		return err
	}
	if _, err := f.WriteAt(segmentHeader(j.o.Origin, j.o.Incarnation, first, j.prev), 0); err != nil {
		return err
	}
	return errors.Join(f.Sync(), j.fs.SyncDir(dir))
}

func segmentHeader(origin envelope.Hash, incarnation uint32, first uint64, prev envelope.Hash) []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, segmentMagic...)
	b = binary.BigEndian.AppendUint16(b, version)
	b = append(b, origin[:]...)
	b = binary.BigEndian.AppendUint32(b, incarnation)
	b = binary.BigEndian.AppendUint64(b, first)
	b = append(b, prev[:]...)
	b = append(b, make([]byte, headerSize-4-len(b))...)
	return binary.BigEndian.AppendUint32(b, frame.Sum(b))
}

// makeRoom writes zeros ahead of the groups.
func (j *Journal) makeRoom(need int64) error {
	step := cmp.Or(j.o.step, roomStep)
	for j.room < need {
		if _, err := j.file.WriteAt(make([]byte, step), j.room); err != nil {
			return err
		}
		j.room += step
	}
	return nil
}

// Append makes a group durable and gives its end. Any failure is final.
func (j *Journal) Append(g Group) (Position, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return Position{}, errors.Join(ErrFailed, j.failed)
	}
	if err := j.check(g); err != nil {
		return Position{}, err
	}
	at, err := j.append(g)
	if err != nil {
		j.failed = err
	}
	return at, err
}

func (j *Journal) append(g Group) (Position, error) {
	if j.end > SegmentSize {
		if err := j.begin(g.First); err != nil {
			return Position{}, err
		}
	}
	if err := j.write(g, j.o.Sign(g.Head)); err != nil {
		return Position{}, err
	}
	if err := j.file.Sync(); err != nil {
		return Position{}, err
	}
	j.next, j.prev = g.Head.Seq+1, g.Head.Hash
	return Position{Incarnation: g.Head.Incarnation, Segment: j.name, Offset: j.end, Seq: g.Head.Seq, Head: g.Head.Hash}, nil
}

func (j *Journal) check(g Group) error {
	switch {
	case len(g.Ops) == 0 || g.First != j.next || g.Head.Seq != g.First+uint64(len(g.Ops))-1:
		return fmt.Errorf("journal: group %d…%d does not follow %d", g.First, g.Head.Seq, j.next-1)
	case g.Head.Incarnation != j.o.Incarnation || g.Head.Origin != j.o.Origin:
		return fmt.Errorf("journal: group of another box")
	case frameSize(g) > maxGroupBytes:
		return fmt.Errorf("journal: group of %d bytes", frameSize(g))
	}
	for _, b := range slices.Concat(g.Ops, g.KeyFrames) {
		if len(b) == 0 || frame.ZeroRun(b) {
			return fmt.Errorf("journal: operation with a run of zeros")
		}
	}
	return nil
}

func frameSize(g Group) int {
	n := groupHeader + trailerSize
	for _, op := range g.Ops {
		n += 4 + len(op)
	}
	for _, f := range g.KeyFrames {
		n += 8 + len(f)
	}
	return n
}

// write puts the group's frame behind the last one, unsynced.
func (j *Journal) write(g Group, signature envelope.Signature) error {
	b := encode(j.scratch[:0], g, signature)
	j.scratch = b
	if err := j.makeRoom(j.end + int64(len(b))); err != nil {
		return err
	}
	if _, err := j.file.WriteAt(b, j.end); err != nil {
		return err
	}
	j.end += int64(len(b))
	return nil
}

// encode lays out a frame. The body checksum leaves the key frames out:
// each has its own, and erasing replaces both.
func encode(b []byte, g Group, signature envelope.Signature) []byte {
	start := len(b)
	opsLen, keysLen := 0, 0
	for _, op := range g.Ops {
		opsLen += 4 + len(op)
	}
	for _, f := range g.KeyFrames {
		keysLen += 8 + len(f)
	}
	b = append(b, groupMagic...)
	b = binary.BigEndian.AppendUint16(b, version)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(frameSize(g)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(g.Ops)))
	b = binary.BigEndian.AppendUint64(b, g.First)
	b = binary.BigEndian.AppendUint64(b, g.Head.Seq)
	b = binary.BigEndian.AppendUint32(b, uint32(opsLen))
	b = binary.BigEndian.AppendUint32(b, uint32(keysLen))
	b = binary.BigEndian.AppendUint32(b, frame.Sum(b[start:]))
	body := len(b)
	for _, op := range g.Ops {
		b = binary.BigEndian.AppendUint32(b, uint32(len(op)))
		b = append(b, op...)
	}
	keys := len(b)
	for _, f := range g.KeyFrames {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = binary.BigEndian.AppendUint32(b, frame.Sum(f))
		b = append(b, f...)
	}
	head := len(b)
	b = append(b, g.Head.Hash[:]...)
	b = append(b, signature[:]...)
	b = binary.BigEndian.AppendUint32(b, frame.Sum(b[start:body], b[body:keys], b[head:]))
	return append(b, frame.EndMark[:]...)
}

// Close closes the segment. Groups are durable already.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file, j.failed = nil, ErrFailed
	return err
}

// Archive moves segments that the store has whole into history, where
// committed bytes live once. upTo is the store's sequence.
func (j *Journal) Archive(upTo uint64) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	segments, err := list(j.fs, j.o.Dir)
	if err != nil {
		return 0, err
	}
	moved := 0
	for i, s := range segments {
		if s.incarnation == j.o.Incarnation && (s.name == j.name || limit(segments, i) > upTo+1) {
			continue
		}
		to := filepath.Join(j.o.History, fmt.Sprintf("%010d", s.incarnation))
		if err := j.fs.MkdirAll(to); err != nil {
			return moved, err
		}
		if err := errors.Join(j.fs.Rename(s.path, filepath.Join(to, s.name)), j.fs.SyncDir(to), j.fs.SyncDir(filepath.Dir(s.path))); err != nil {
			return moved, err
		}
		moved++
	}
	return moved, nil
}
