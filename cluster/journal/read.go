package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/journal/frame"
)

// errEnd is the clean or provably unfinished end of a segment.
var errEnd = errors.New("journal: end")

// reader walks the groups of one segment.
type reader struct {
	file   File
	seg    segment
	origin envelope.Hash
	size   int64
	offset int64
	next   uint64
	prev   envelope.Hash
	torn   bool
}

func openReader(files FS, s segment, origin envelope.Hash) (*reader, error) {
	f, err := files.Open(s.path)
	if err != nil {
		return nil, err
	}
	r := &reader{file: f, seg: s, origin: origin, offset: headerSize, next: s.first}
	if r.size, err = f.Size(); err == nil {
		err = r.header()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

func (r *reader) damage(format string, args ...any) error {
	return &DamageError{Segment: filepath.Join(fmt.Sprintf("%010d", r.seg.incarnation), r.seg.name), Offset: r.offset, Reason: fmt.Sprintf(format, args...)}
}

func (r *reader) header() error {
	b := make([]byte, headerSize)
	n, err := r.file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if frame.AllZero(b[:n]) {
		r.size = headerSize // created, never synced: it holds nothing
		return nil
	}
	if n < headerSize || string(b[:8]) != segmentMagic || binary.BigEndian.Uint32(b[headerSize-4:]) != frame.Sum(b[:headerSize-4]) {
		r.offset = 0
		return r.damage("segment header")
	}
	if v := binary.BigEndian.Uint16(b[8:]); v > version {
		return fmt.Errorf("%w: journal segment version %d", envelope.ErrNewer, v)
	}
	origin := envelope.Hash(b[10:43])
	first := binary.BigEndian.Uint64(b[47:])
	copy(r.prev[:], b[55:88])
	if origin != r.origin || binary.BigEndian.Uint32(b[43:]) != r.seg.incarnation || first != r.seg.first {
		r.offset = 0
		return r.damage("the segment belongs elsewhere")
	}
	return nil
}

// read gives the next group, errEnd at the end, *DamageError for bytes
// that were changed.
func (r *reader) read() (Replayed, error) {
	if r.offset >= r.size {
		return Replayed{}, errEnd
	}
	h := make([]byte, min(groupHeader, r.size-r.offset))
	if _, err := r.file.ReadAt(h, r.offset); err != nil && !errors.Is(err, io.EOF) {
		return Replayed{}, err
	}
	if frame.AllZero(h) {
		return Replayed{}, r.ended()
	}
	if len(h) < groupHeader {
		r.torn = true
		return Replayed{}, errEnd // the file ends inside the header
	}
	if string(h[:4]) != groupMagic || binary.BigEndian.Uint32(h[40:]) != frame.Sum(h[:40]) {
		return Replayed{}, r.badHeader(h)
	}
	total := int64(binary.BigEndian.Uint32(h[8:]))
	if total < groupHeader+int64(trailerSize) || total > maxGroupBytes {
		return Replayed{}, r.damage("group length %d", total)
	}
	b := make([]byte, min(total, r.size-r.offset))
	if _, err := r.file.ReadAt(b, r.offset); err != nil && !errors.Is(err, io.EOF) {
		return Replayed{}, err
	}
	g, err := r.decode(b, total)
	if err != nil {
		return Replayed{}, err
	}
	r.offset += total
	r.next = g.Head.Seq + 1
	g.At = Position{Incarnation: r.seg.incarnation, Segment: r.seg.name, Offset: r.offset, Seq: g.Head.Seq, Head: g.Head.Hash}
	return g, nil
}

// badHeader: a header that crosses into an unwritten sector is unfinished.
func (r *reader) badHeader(h []byte) error {
	if frame.Unfinished(h, r.offset, false) {
		r.torn = true
		return r.ended()
	}
	return r.damage("group header")
}

// ended checks that nothing but zeros follows, up to where an unfinished
// group may reach: a zeroed header before written groups is damage.
func (r *reader) ended() error {
	if r.torn {
		return errEnd
	}
	b := make([]byte, 64<<10)
	for at := r.offset; at < r.size; {
		n, err := r.file.ReadAt(b[:min(int64(len(b)), r.size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if i := nonZero(b[:n]); i >= 0 {
			return r.afterGap(at + int64(i))
		}
		if n == 0 {
			break
		}
		at += int64(n)
	}
	return errEnd
}

// afterGap: bytes follow zeros. Sectors may reach the disk in any order, so
// a first group sector that is missing whole means an unfinished group;
// zeros that end inside a sector cannot come from a crash.
func (r *reader) afterGap(at int64) error {
	first := r.offset + frame.Sector - r.offset%frame.Sector
	if at >= first {
		r.torn = true
		return errEnd
	}
	return r.damage("zeros before written bytes")
}

func nonZero(b []byte) int {
	for i, v := range b {
		if v != 0 {
			return i
		}
	}
	return -1
}

func (r *reader) decode(b []byte, total int64) (Replayed, error) {
	cut := int64(len(b)) < total
	bad := func(format string, args ...any) (Replayed, error) {
		if frame.Unfinished(b, r.offset, cut) {
			r.torn = true
			return Replayed{}, errEnd
		}
		return Replayed{}, r.damage(format, args...)
	}
	if cut {
		return bad("cut")
	}
	opsLen, keysLen := int64(binary.BigEndian.Uint32(b[32:])), int64(binary.BigEndian.Uint32(b[36:]))
	if groupHeader+opsLen+keysLen+int64(trailerSize) != total {
		return bad("lengths")
	}
	ops, keys := b[groupHeader:groupHeader+opsLen], b[groupHeader+opsLen:groupHeader+opsLen+keysLen]
	tail := b[total-int64(trailerSize):]
	head, sum, mark := tail[:headSize], tail[headSize:headSize+4], tail[headSize+4:]
	if string(mark) != string(frame.EndMark[:]) || binary.BigEndian.Uint32(sum) != frame.Sum(b[:groupHeader], ops, head) {
		return bad("group checksum")
	}
	g := Replayed{Group: Group{First: binary.BigEndian.Uint64(b[16:]), Head: envelope.Head{Origin: r.origin,
		Incarnation: r.seg.incarnation, Seq: binary.BigEndian.Uint64(b[24:]), Hash: envelope.Hash(head[:33])}}, Signature: envelope.Signature(head[33:])}
	for len(ops) > 0 {
		n := binary.BigEndian.Uint32(ops)
		g.Ops = append(g.Ops, ops[4:4+n])
		ops = ops[4+n:]
	}
	for len(keys) > 0 {
		n := binary.BigEndian.Uint32(keys)
		if int64(n)+8 > int64(len(keys)) || binary.BigEndian.Uint32(keys[4:]) != frame.Sum(keys[8:8+n]) {
			return bad("key frame checksum")
		}
		if f := keys[8 : 8+n]; !frame.AllZero(f) {
			g.KeyFrames = append(g.KeyFrames, f)
		}
		keys = keys[8+n:]
	}
	if g.First != r.next || len(g.Ops) != int(binary.BigEndian.Uint32(b[12:])) || g.Head.Seq != g.First+uint64(len(g.Ops))-1 {
		return bad("group %d does not follow %d", g.First, r.next-1)
	}
	return g, nil
}

// Range reads every group of a box in order, history first, without
// opening the journal for writing. visit may stop with an error.
func Range(files FS, dir, history string, origin envelope.Hash, visit func(Replayed) error) error {
	if files == nil {
		files = OS
	}
	segments, err := list(files, history, dir)
	if err != nil {
		return err
	}
	for i, s := range segments {
		if err := rangeSegment(files, segments, i, s, origin, visit); err != nil {
			return err
		}
	}
	return nil
}

func rangeSegment(files FS, segments []segment, i int, s segment, origin envelope.Hash, visit func(Replayed) error) error {
	r, err := openReader(files, s, origin)
	if err != nil {
		return err
	}
	defer r.file.Close()
	end, follows := limit(segments, i), i+1 < len(segments) && segments[i+1].incarnation == s.incarnation
	for r.next < end {
		g, err := r.read()
		if errors.Is(err, errEnd) {
			if follows {
				return r.damage("operations %d to %d are missing", r.next, end-1)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if err := visit(g); err != nil {
			return err
		}
	}
	return nil
}

// ZeroKeyFrames overwrites every key frame that match names, in place, in
// all segments, and syncs them. It returns how many there were.
func ZeroKeyFrames(files FS, dir, history string, origin envelope.Hash, match func(raw []byte) bool) (int, error) {
	if files == nil {
		files = OS
	}
	segments, err := list(files, history, dir)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, s := range segments {
		n, err := zeroSegment(files, s, origin, match)
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}

func zeroSegment(files FS, s segment, origin envelope.Hash, match func([]byte) bool) (int, error) {
	r, err := openReader(files, s, origin)
	if err != nil {
		return 0, err
	}
	defer r.file.Close()
	zeroed := 0
	for {
		start := r.offset
		g, err := r.read()
		if errors.Is(err, errEnd) {
			break
		}
		if err != nil {
			return zeroed, err
		}
		n, err := zeroGroup(r.file, start, g, match)
		if zeroed += n; err != nil {
			return zeroed, err
		}
	}
	if zeroed == 0 {
		return 0, nil
	}
	return zeroed, r.file.Sync()
}

func zeroGroup(f File, start int64, g Replayed, match func([]byte) bool) (int, error) {
	at := start + groupHeader
	for _, op := range g.Ops {
		at += 4 + int64(len(op))
	}
	end := g.At.Offset - int64(trailerSize)
	zeroed := 0
	for at < end {
		var h [8]byte
		if _, err := f.ReadAt(h[:], at); err != nil {
			return zeroed, err
		}
		raw := make([]byte, binary.BigEndian.Uint32(h[:]))
		if _, err := f.ReadAt(raw, at+8); err != nil {
			return zeroed, err
		}
		if !frame.AllZero(raw) && match(raw) {
			gone := make([]byte, len(raw))
			binary.BigEndian.PutUint32(h[4:], frame.Sum(gone))
			if _, err := f.WriteAt(append(h[:], gone...), at); err != nil {
				return zeroed, err
			}
			zeroed++
		}
		at += 8 + int64(len(raw))
	}
	return zeroed, nil
}
