package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/envelope/frame"
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
	return &envelope.DamageError{Segment: filepath.Join(fmt.Sprintf("%010d", r.seg.incarnation), r.seg.name), Offset: r.offset, Reason: fmt.Sprintf(format, args...)}
}

func (r *reader) header() error {
	b := make([]byte, headerSize)
	n, err := r.file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
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
	if origin != r.origin || binary.BigEndian.Uint32(b[43:]) != r.seg.incarnation || first != r.seg.first {
		r.offset = 0
		return r.damage("the segment belongs elsewhere")
	}
	return nil
}

// seek goes to where the store stands. What it stands on must be there:
// nothing before it may be taken for a tail.
func (r *reader) seek(p envelope.Position) error {
	tail := make([]byte, trailerSize)
	if _, err := r.file.ReadAt(tail, p.Offset-int64(trailerSize)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	r.offset, r.next = p.Offset, p.Seq+1
	if envelope.Hash(tail[:len(p.Head)]) != p.Head || string(tail[headSize+4:]) != string(frame.EndMark[:]) {
		return r.damage("the group that the store has last is not there")
	}
	return nil
}

// each visits groups up to, but without, the sequence at which the next
// segment of the incarnation begins. What that one does not repeat must be
// here.
func (r *reader) each(end uint64, visit func(envelope.Replayed) error) error {
	for r.next < end {
		g, err := r.read()
		if errors.Is(err, errEnd) {
			if end != endless {
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

// read gives the next group, errEnd at the end, *envelope.DamageError for bytes
// that were changed.
func (r *reader) read() (envelope.Replayed, error) {
	rest := r.size - r.offset
	if rest <= 0 {
		return envelope.Replayed{}, errEnd
	}
	h, err := r.bytes(min(groupHeader, rest))
	if err != nil {
		return envelope.Replayed{}, err
	}
	if frame.AllZero(h) {
		return envelope.Replayed{}, r.empty()
	}
	if len(h) < groupHeader {
		return envelope.Replayed{}, errEnd // the file ends inside the header
	}
	if string(h[:4]) != groupMagic || binary.BigEndian.Uint32(h[40:]) != frame.Sum(h[:40]) {
		if frame.ZeroSector(h, r.offset) {
			return envelope.Replayed{}, r.unfinished(groupHeader)
		}
		return envelope.Replayed{}, r.damage("group header")
	}
	if v := binary.BigEndian.Uint16(h[4:]); v > version {
		return envelope.Replayed{}, fmt.Errorf("%w: journal group version %d", envelope.ErrNewer, v)
	}
	total := int64(binary.BigEndian.Uint32(h[8:]))
	if total < groupHeader+int64(trailerSize) || total > maxGroupBytes {
		return envelope.Replayed{}, r.damage("group length %d", total)
	}
	b, err := r.bytes(min(total, rest))
	if err != nil {
		return envelope.Replayed{}, err
	}
	g, err := r.group(b, total)
	if err != nil {
		return envelope.Replayed{}, err
	}
	r.offset += total
	r.next = g.Head.Seq + 1
	g.At = envelope.Position{Incarnation: r.seg.incarnation, Segment: r.seg.name, Offset: r.offset, Seq: g.Head.Seq, Head: g.Head.Hash}
	return g, nil
}

// bytes reads n bytes from here; what the file no longer has is zero.
func (r *reader) bytes(n int64) ([]byte, error) {
	b := make([]byte, n)
	if _, err := r.file.ReadAt(b, r.offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// empty judges a place where a group's header would be and zeros are.
// Sectors may reach the disk in any order, so bytes behind a sector that is
// missing whole are an unfinished group; zeros that end inside a sector
// cannot come from a crash.
func (r *reader) empty() error {
	b, err := r.bytes(min(int64(frame.Sector-r.offset%frame.Sector), r.size-r.offset))
	if err != nil {
		return err
	}
	if !frame.AllZero(b) {
		return r.damage("zeros before written bytes")
	}
	return r.unfinished(int64(len(b)))
}

// unfinished ends the segment at a group that was never written whole. The
// next group is written only when this one is synced, so a whole group from
// skip bytes on means that what is missing here was there once.
func (r *reader) unfinished(skip int64) error {
	b, err := r.bytes(r.size - r.offset)
	if err != nil {
		return err
	}
	b = b[min(skip, int64(len(b))):]
	for {
		i := bytes.Index(b, []byte(groupMagic))
		if i < 0 {
			return errEnd
		}
		if b = b[i:]; whole(b) {
			return r.damage("a group is missing before others")
		}
		b = b[len(groupMagic):]
	}
}

// whole reports whether b begins with a finished group.
func whole(b []byte) bool {
	if len(b) < groupHeader || binary.BigEndian.Uint32(b[40:]) != frame.Sum(b[:40]) {
		return false
	}
	total := int64(binary.BigEndian.Uint32(b[8:]))
	if total > int64(len(b)) {
		return false
	}
	_, reason := parse(b[:total])
	return reason == ""
}

// group decodes b, which should be total bytes.
func (r *reader) group(b []byte, total int64) (envelope.Replayed, error) {
	cut := int64(len(b)) < total
	g, reason := parse(b)
	if cut || reason != "" {
		if frame.Unfinished(b, r.offset, cut) {
			return envelope.Replayed{}, r.unfinished(total)
		}
		return envelope.Replayed{}, r.damage("%s", reason)
	}
	if g.First != r.next || g.Head.Seq != g.First+uint64(len(g.Ops))-1 {
		return envelope.Replayed{}, r.damage("group %d does not follow %d", g.First, r.next-1)
	}
	g.Head.Origin, g.Head.Incarnation = r.origin, r.seg.incarnation
	return g, nil
}

// parse decodes a whole group, header included, and trusts no length in it.
// A reason is given for what is not one.
func parse(b []byte) (g envelope.Replayed, reason string) {
	total := int64(len(b))
	if total < groupHeader+int64(trailerSize) {
		return g, "cut"
	}
	opsLen, keysLen := int64(binary.BigEndian.Uint32(b[32:])), int64(binary.BigEndian.Uint32(b[36:]))
	if groupHeader+opsLen+keysLen+int64(trailerSize) != total {
		return g, "lengths"
	}
	ops, keys := b[groupHeader:groupHeader+opsLen], b[groupHeader+opsLen:groupHeader+opsLen+keysLen]
	tail := b[total-int64(trailerSize):]
	head, sum, mark := tail[:headSize], tail[headSize:headSize+4], tail[headSize+4:]
	if string(mark) != string(frame.EndMark[:]) || binary.BigEndian.Uint32(sum) != frame.Sum(b[:groupHeader], ops, head) {
		return g, "group checksum"
	}
	g.First, g.Head.Seq = binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:])
	g.Head.Hash, g.Signature = envelope.Hash(head[:len(envelope.Hash{})]), envelope.Signature(head[len(envelope.Hash{}):])
	for len(ops) > 0 {
		if len(ops) < 4 || uint64(binary.BigEndian.Uint32(ops)) > uint64(len(ops)-4) {
			return g, "operation length"
		}
		n := binary.BigEndian.Uint32(ops)
		g.Ops = append(g.Ops, ops[4:4+n])
		ops = ops[4+n:]
	}
	if len(g.Ops) == 0 || uint32(len(g.Ops)) != binary.BigEndian.Uint32(b[12:]) {
		return g, "number of operations"
	}
	g.Frames = keys
	return g, eachKeyFrame(keys, func(_ int, f keyFrame) string {
		switch {
		case f.erased():
			if !f.gone() {
				g.Erasing++
			}
		case f.sum != frame.Sum(f.raw):
			return "key frame checksum"
		default:
			g.KeyFrames = append(g.KeyFrames, f.raw)
		}
		return ""
	})
}

// keyFrame is a frame as it lies in a group.
type keyFrame struct {
	sum uint32
	raw []byte
}

// erased: either half of an erasure decides, so that a crash between them
// leaves no damage.
func (f keyFrame) erased() bool { return f.sum == zeroSum(len(f.raw)) || frame.AllZero(f.raw) }

// gone: both halves are on disk.
func (f keyFrame) gone() bool { return f.sum == zeroSum(len(f.raw)) && frame.AllZero(f.raw) }

func zeroSum(n int) uint32 { return frame.Sum(make([]byte, n)) }

// eachKeyFrame visits the frames of a group with their place in it, until
// there is a reason to stop.
func eachKeyFrame(keys []byte, visit func(at int, f keyFrame) (reason string)) string {
	for at := 0; at < len(keys); {
		rest := keys[at:]
		if len(rest) < 8 || uint64(binary.BigEndian.Uint32(rest)) > uint64(len(rest)-8) {
			return "key frame length"
		}
		f := keyFrame{sum: binary.BigEndian.Uint32(rest[4:]), raw: rest[8 : 8+binary.BigEndian.Uint32(rest)]}
		if reason := visit(at, f); reason != "" {
			return reason
		}
		at += 8 + len(f.raw)
	}
	return ""
}

// Range reads every group of a box in order, history first, without
// opening the journal for writing. visit may stop with an error.
func Range(files FS, dir, history string, origin envelope.Hash, visit func(envelope.Replayed) error) error {
	if files == nil {
		files = OS
	}
	segments, err := list(files, history, dir)
	if err != nil {
		return err
	}
	for i, s := range segments {
		r, err := openReader(files, s, origin)
		if err != nil {
			return err
		}
		if err := errors.Join(r.each(limit(segments, i), visit), r.file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// ZeroKeyFrames overwrites every key frame that match names, in place, in
// all segments up to the group that ends at through, and syncs them. Only
// incarnation and sequence of through count; zero is everything. It finishes
// what an earlier call left half done, and zeroes what lies behind the last
// group of a segment that has a successor: groups that the next one repeats
// and groups that were never finished. It returns how many frames it erased.
func ZeroKeyFrames(files FS, dir, history string, origin envelope.Hash, through envelope.Position, match func(raw []byte) bool) (int, error) {
	if files == nil {
		files = OS
	}
	segments, err := list(files, history, dir)
	if err != nil {
		return 0, err
	}
	total := 0
	for i, s := range segments {
		end := limit(segments, i)
		if through.Seq > 0 && s.incarnation >= through.Incarnation {
			if s.incarnation > through.Incarnation || s.first > through.Seq {
				break
			}
			end = min(end, through.Seq+1)
		}
		n, err := zeroSegment(files, s, end, limit(segments, i), origin, match)
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}

// zeroSegment works up to the sequence end; next is where the following
// segment begins.
func zeroSegment(files FS, s segment, end, next uint64, origin envelope.Hash, match func([]byte) bool) (_ int, err error) {
	r, err := openReader(files, s, origin)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.file.Close()) }()
	var first, second []patch
	erased := 0
	err = r.each(end, func(g envelope.Replayed) error {
		a, b, n := r.erasures(g, match)
		first, second, erased = append(first, a...), append(second, b...), erased+n
		return nil
	})
	if err != nil {
		return 0, err
	}
	if end == next && next != endless {
		rest, err := r.rest()
		if err != nil {
			return 0, err
		}
		second = append(second, rest...)
	}
	if err := apply(r.file, first); err != nil {
		return 0, err // the second must not reach the disk before the first
	}
	return erased, apply(r.file, second)
}

// rest gives the zeros for what is written behind the last group. Nobody
// reads there: the next segment begins where that group ends.
func (r *reader) rest() ([]patch, error) {
	b, err := r.bytes(r.size - r.offset)
	if err != nil || frame.AllZero(b) {
		return nil, err
	}
	return []patch{{r.offset, make([]byte, len(bytes.TrimRight(b, "\x00")))}}, nil
}

// patch is bytes for a place of a file.
type patch struct {
	at int64
	b  []byte
}

func apply(f File, patches []patch) error {
	if len(patches) == 0 {
		return nil
	}
	for _, p := range patches {
		if _, err := f.WriteAt(p.b, p.at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// erasures gives the two writes that erase each matching frame of a group,
// with a sync between them. The first is one that a sector takes whole: the
// checksum of zeros, or, where that crosses a sector, the zeros themselves,
// which then do not. After it the frame counts as erased. Frames that read
// as erased are written again, not counted: after a failed sync what is read
// need not be on disk.
func (r *reader) erasures(g envelope.Replayed, match func([]byte) bool) (first, second []patch, erased int) {
	begin := g.At.Offset - int64(trailerSize) - int64(len(g.Frames))
	eachKeyFrame(g.Frames, func(at int, f keyFrame) string {
		if !f.erased() && !match(f.raw) {
			return ""
		}
		if !f.gone() {
			erased++
		}
		sum := patch{begin + int64(at) + 4, binary.BigEndian.AppendUint32(nil, zeroSum(len(f.raw)))}
		zeros := patch{sum.at + 4, make([]byte, len(f.raw))}
		if sum.at/frame.Sector != (sum.at+3)/frame.Sector {
			sum, zeros = zeros, sum
		}
		first, second = append(first, sum), append(second, zeros)
		return ""
	})
	return first, second, erased
}
