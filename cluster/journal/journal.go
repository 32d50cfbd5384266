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
	"syscall"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/envelope/frame"
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
	// a sync writes data alone. The first are smaller: each start of a box
	// begins a segment.
	SegmentSize = 64 << 20
	firstStep   = 256 << 10
	roomStep    = 4 << 20

	// maxKeyFrame keeps a zeroed frame from filling a sector, which would
	// read as never written, and lets eraseFrame work sector by sector.
	maxKeyFrame = 500
)

// ErrFailed is given after a write or sync failed once: what is on disk is
// not known, so nothing more is accepted.
var ErrFailed = errors.New("journal: an earlier write failed")

// Options open a journal.
type Options struct {
	Dir         string // journal/
	History     string // history/: segments that the store has whole
	Origin      envelope.Hash
	Incarnation uint32
	Sign        func(envelope.Head) envelope.Signature
	From        envelope.Position // what the store has; zero for everything
	FS          FS                // nil: the operating system's
	step        int64             // bytes zeroed at once; 0 is firstStep, growing to roomStep
}

// Journal appends groups. It is used by one writer.
type Journal struct {
	o       Options
	fs      FS
	mu      sync.Mutex
	place   // where the next group goes; no file before the first
	next    uint64
	prev    envelope.Hash
	failed  error
	scratch []byte
}

// place is the segment that is written.
type place struct {
	file File
	name string
	end  int64 // of the last group
	room int64 // zeroed up to here
}

// Open replays every group after o.From. Groups of the last segment that
// the store lacks are copied into a new one and synced before they count:
// after a failed sync the old file's pages prove nothing. Without such
// groups the next segment begins with the next Append, so that a box on a
// full disk still opens.
func Open(o Options, replay func(envelope.Replayed) error) (*Journal, error) {
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
	if o.From.Seq > 0 && o.From.Incarnation == o.Incarnation {
		j.next, j.prev = o.From.Seq+1, o.From.Head
		if !slices.ContainsFunc(segments, func(s segment) bool { return s.holds(o.From) }) {
			return nil, &envelope.DamageError{Segment: o.From.Segment, Reason: fmt.Sprintf("the file with operation %d is missing", o.From.Seq)}
		}
	}
	for i, s := range segments {
		last := i == len(segments)-1 && s.incarnation == o.Incarnation
		if err := j.replaySegment(segments, i, last, replay); err != nil {
			return nil, errors.Join(err, j.Close())
		}
	}
	return j, nil
}

// holds reports whether p is a place in s.
func (s segment) holds(p envelope.Position) bool {
	return s.incarnation == p.Incarnation && s.name == p.Segment
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

// segments lists all files in order, history included. A crash while a
// segment moves to history may leave it under both names.
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
	slices.SortStableFunc(out, func(a, b segment) int {
		return cmp.Or(cmp.Compare(a.incarnation, b.incarnation), cmp.Compare(a.first, b.first))
	})
	return slices.CompactFunc(out, func(a, b segment) bool { return a.incarnation == b.incarnation && a.first == b.first }), nil
}

// endless is the limit of an incarnation's last segment.
const endless = ^uint64(0)

// limit is the sequence at which a segment ends for readers: where the
// next of its incarnation begins.
func limit(segments []segment, i int) uint64 {
	if i+1 < len(segments) && segments[i+1].incarnation == segments[i].incarnation {
		return segments[i+1].first
	}
	return endless
}

func (j *Journal) replaySegment(segments []segment, i int, last bool, replay func(envelope.Replayed) error) error {
	s, from := segments[i], j.o.From
	end := limit(segments, i)
	if s.incarnation < from.Incarnation || s.incarnation == from.Incarnation && end <= from.Seq+1 {
		return nil // the store has all of it
	}
	r, err := openReader(j.fs, s, j.o.Origin)
	if err != nil {
		return err
	}
	defer r.file.Close()
	if s.holds(from) {
		if err := r.seek(from); err != nil {
			return err
		}
	}
	var tail []envelope.Replayed
	err = r.each(end, func(g envelope.Replayed) error {
		switch {
		case s.incarnation == from.Incarnation && g.Head.Seq <= from.Seq:
			return nil
		case last:
			tail = append(tail, g)
			return nil
		}
		j.advance(g)
		return replay(g)
	})
	if err != nil || len(tail) == 0 {
		return err
	}
	return j.copyTail(tail, replay)
}

func (j *Journal) advance(g envelope.Replayed) {
	if g.Head.Incarnation == j.o.Incarnation {
		j.next, j.prev = g.Head.Seq+1, g.Head.Hash
	}
}

// copyTail begins a new segment with the tail's groups in it and hands them
// on at their new places.
func (j *Journal) copyTail(tail []envelope.Replayed, replay func(envelope.Replayed) error) error {
	if err := j.begin(tail[0].First, tail); err != nil {
		return err
	}
	offset := int64(headerSize)
	for _, g := range tail {
		offset += int64(frameSize(g.Group))
		g.At.Segment, g.At.Offset = j.name, offset
		j.advance(g)
		if err := replay(g); err != nil {
			return err
		}
	}
	return nil
}

// begin makes the next segment the one that is written, with groups already
// signed in it. The file gets its name when it is synced: a crash leaves
// what stood there before, or all of it. On a full disk nothing changes.
func (j *Journal) begin(first uint64, groups []envelope.Replayed) error {
	dir, name := j.dir(j.o.Incarnation), fmt.Sprintf("%020d%s", first, suffix)
	path := filepath.Join(dir, name)
	f, err := j.fs.Create(path + ".new")
	if err != nil {
		return full(err)
	}
	old := j.place
	j.place = place{file: f, name: name, end: headerSize}
	if err := j.fill(first, groups); err != nil {
		j.place = old
		return full(errors.Join(err, f.Close(), j.fs.Remove(path+".new")))
	}
	if old.file != nil {
		err = old.file.Close()
	}
	return errors.Join(err, j.fs.Rename(path+".new", path), j.fs.SyncDir(dir))
}

// fill writes a new segment's header and groups and syncs them.
func (j *Journal) fill(first uint64, groups []envelope.Replayed) error {
	if err := j.makeRoom(headerSize); err != nil {
		return err
	}
	if _, err := j.file.WriteAt(segmentHeader(j.o.Origin, j.o.Incarnation, first, j.prev), 0); err != nil {
		return err
	}
	for _, g := range groups {
		if err := j.write(g.Group, g.Signature); err != nil {
			return err
		}
	}
	return j.file.Sync()
}

// full names a failure to get room, which is not final.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", envelope.ErrFull, err)
	}
	return err
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
	for j.room < need {
		step := cmp.Or(j.o.step, min(roomStep, max(firstStep, j.room)))
		if _, err := j.file.WriteAt(make([]byte, step), j.room); err != nil {
			return full(err) // no byte of the group is written yet
		}
		j.room += step
	}
	return nil
}

// Append makes a group durable and gives its end. envelope.ErrFull leaves the
// journal as it was; a failed write or sync is final.
func (j *Journal) Append(g envelope.Group) (envelope.Position, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return envelope.Position{}, errors.Join(ErrFailed, j.failed)
	}
	if err := j.check(g); err != nil {
		return envelope.Position{}, err
	}
	at, err := j.append(g)
	if err != nil && !errors.Is(err, envelope.ErrFull) {
		j.failed = err
	}
	return at, err
}

func (j *Journal) append(g envelope.Group) (envelope.Position, error) {
	if j.file == nil || j.end > SegmentSize {
		if err := j.begin(g.First, nil); err != nil {
			return envelope.Position{}, err
		}
	}
	if err := j.write(g, j.o.Sign(g.Head)); err != nil {
		return envelope.Position{}, err
	}
	if err := j.file.Sync(); err != nil {
		return envelope.Position{}, err
	}
	j.next, j.prev = g.Head.Seq+1, g.Head.Hash
	return envelope.Position{Incarnation: g.Head.Incarnation, Segment: j.name, Offset: j.end, Seq: g.Head.Seq, Head: g.Head.Hash}, nil
}

func (j *Journal) check(g envelope.Group) error {
	switch {
	case len(g.Ops) == 0 || g.First != j.next || g.Head.Seq != g.First+uint64(len(g.Ops))-1:
		return fmt.Errorf("journal: group %d…%d does not follow %d", g.First, g.Head.Seq, j.next-1)
	case g.Head.Incarnation != j.o.Incarnation || g.Head.Origin != j.o.Origin:
		return fmt.Errorf("journal: group of another box")
	case frameSize(g) > maxGroupBytes:
		return fmt.Errorf("journal: group of %d bytes", frameSize(g))
	}
	for _, b := range slices.Concat(g.Ops, g.KeyFrames) {
		if err := envelope.Writable(b); err != nil {
			return err
		}
	}
	for _, f := range g.KeyFrames {
		if len(f) > maxKeyFrame {
			return fmt.Errorf("journal: key frame of %d bytes", len(f))
		}
	}
	return nil
}

func frameSize(g envelope.Group) int {
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
func (j *Journal) write(g envelope.Group, signature envelope.Signature) error {
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
func encode(b []byte, g envelope.Group, signature envelope.Signature) []byte {
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

// End is the segment that is written and where its last group ends: what
// stands behind it is room, not yet groups. path is "" before the first.
func (j *Journal) End() (path string, offset int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return "", 0
	}
	return filepath.Join(j.dir(j.o.Incarnation), j.name), j.end
}

// Close closes the segment. Groups are durable already.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failed = ErrFailed
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
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
