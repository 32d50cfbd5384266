// Package audit keeps who read and revealed what: an append-only log whose
// entries are chained by hash and synced before what they witness happens.
// Writes are witnessed by the journal itself. Entries hold no personal data of citizens.
package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/envelope/disk"
	"github.com/fengqiao/fengqiao/cluster/envelope/frame"
)

// Entry is one line.
type Entry struct {
	Seq          uint64            `cbor:"1,keyasint"`
	Prev         envelope.Hash     `cbor:"2,keyasint"`
	At           int64             `cbor:"3,keyasint"` // Unix milliseconds
	Actor        string            `cbor:"4,keyasint,omitempty"`
	Role         string            `cbor:"5,keyasint,omitempty"`
	Organisation string            `cbor:"6,keyasint,omitempty"`
	Action       string            `cbor:"7,keyasint"`
	ObjectKind   string            `cbor:"8,keyasint,omitempty"`
	Object       string            `cbor:"9,keyasint,omitempty"`
	Reason       string            `cbor:"10,keyasint,omitempty"`
	Address      string            `cbor:"11,keyasint,omitempty"`
	Result       string            `cbor:"12,keyasint"`
	Details      map[string]string `cbor:"13,keyasint,omitempty"`
}

// Head names the newest entry; whoever remembers it finds a cut log.
type Head struct {
	Seq  uint64
	Hash envelope.Hash
}

const (
	headerSize = 8 // length, checksum
	maxEntry   = 16 << 10
	fileSize   = 32 << 20
)

// ErrFull means that the disk had no room for an entry. Nothing of it was
// kept; the same entry may come again.
var ErrFull = errors.New("audit: the disk is full")

// DamageError is an entry that was changed, removed or moved.
type DamageError struct {
	File   string
	Offset int64
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("audit: damage in %s at %d: %s", e.File, e.Offset, e.Reason)
}

// Log is an open audit log.
type Log struct {
	mu     sync.Mutex
	dir    string
	file   *os.File
	size   int64
	limit  int64 // of one file
	head   Head
	failed error
}

// Open reads the last file and goes on behind its newest entry. A last
// entry that was never finished is cut; anything else wrong is damage.
func Open(dir string) (*Log, error) {
	if err := disk.MkdirAll(dir); err != nil {
		return nil, err
	}
	l := &Log{dir: dir, limit: fileSize}
	names, err := files(dir)
	if err != nil {
		return nil, err
	}
	end := int64(0)
	for i, name := range names {
		if end, err = l.scan(name, i == len(names)-1, nil); err != nil {
			return nil, err
		}
	}
	if len(names) == 0 {
		return l, l.next()
	}
	last := filepath.Join(dir, names[len(names)-1])
	if l.file, err = os.OpenFile(last, os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	l.size = end
	return l, errors.Join(l.file.Truncate(end), l.file.Sync())
}

func files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".log") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// scan follows one file's chain and gives the end of its last entry.
func (l *Log) scan(name string, last bool, visit func(Entry)) (int64, error) {
	b, err := os.ReadFile(filepath.Join(l.dir, name))
	if err != nil {
		return 0, err
	}
	at := 0
	for at < len(b) {
		body, n, whole := entryIn(b[at:])
		if !whole {
			if last && unfinished(b, at) {
				return int64(at), nil
			}
			return 0, &DamageError{File: name, Offset: int64(at), Reason: "checksum"}
		}
		var e Entry
		if err := envelope.Unmarshal(body, &e); err != nil {
			return 0, &DamageError{File: name, Offset: int64(at), Reason: err.Error()}
		}
		if e.Seq != l.head.Seq+1 || e.Prev != l.head.Hash {
			return 0, &DamageError{File: name, Offset: int64(at), Reason: fmt.Sprintf("entry %d does not follow %d", e.Seq, l.head.Seq)}
		}
		l.head = Head{Seq: e.Seq, Hash: envelope.Sum(body)}
		if visit != nil {
			visit(e)
		}
		at += n
	}
	return int64(at), nil
}

// entryIn reads the entry that b begins with; n is its size in the file.
func entryIn(b []byte) (body []byte, n int, whole bool) {
	if len(b) < headerSize {
		return nil, 0, false
	}
	length := uint64(binary.BigEndian.Uint32(b))
	if length == 0 || length > maxEntry {
		return nil, 0, false
	}
	n = headerSize + int(length) + len(frame.EndMark)
	if n > len(b) {
		return nil, 0, false
	}
	body = b[headerSize : headerSize+int(length)]
	return body, n, string(b[n-len(frame.EndMark):n]) == string(frame.EndMark[:]) && frame.Sum(body) == binary.BigEndian.Uint32(b[4:])
}

// unfinished reports whether what begins at at was provably never written
// whole: the file ends before it does, or a sector of it is zero. The next
// entry is written only when this one is synced, so a whole one behind it
// means that bytes of a finished one changed; so does an end mark at the
// end of the file.
func unfinished(b []byte, at int) bool {
	rest := b[at:]
	if len(rest) < headerSize {
		return true
	}
	for i := 1; i < len(rest); i++ {
		if _, _, whole := entryIn(rest[i:]); whole {
			return false
		}
	}
	n := headerSize + uint64(binary.BigEndian.Uint32(rest)) + uint64(len(frame.EndMark))
	if n <= uint64(len(rest)) {
		return frame.Unfinished(rest[:n], int64(at), false)
	}
	return frame.ZeroSector(rest, int64(at)) || !bytes.HasSuffix(bytes.TrimRight(rest, "\x00"), frame.EndMark[:])
}

func (l *Log) next() error {
	name := filepath.Join(l.dir, fmt.Sprintf("%020d.log", l.head.Seq+1))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if l.file != nil {
		err = l.file.Close()
	}
	l.file, l.size = f, 0
	return errors.Join(err, disk.SyncDir(l.dir))
}

// Append chains an entry and returns when it is on disk.
func (l *Log) Append(e Entry) (Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return Head{}, l.failed
	}
	e.Seq, e.Prev = l.head.Seq+1, l.head.Hash
	body, err := envelope.Marshal(e)
	if err != nil {
		return Head{}, err
	}
	if len(body) > maxEntry-headerSize-len(frame.EndMark) {
		return Head{}, fmt.Errorf("audit: entry of %d bytes", len(body))
	}
	if l.size > l.limit {
		if err := l.next(); err != nil {
			return Head{}, err
		}
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = binary.BigEndian.AppendUint32(b, frame.Sum(body))
	b = append(append(b, body...), frame.EndMark[:]...)
	if _, err := l.file.WriteAt(b, l.size); err != nil {
		if errors.Is(err, syscall.ENOSPC) && l.file.Truncate(l.size) == nil {
			return Head{}, fmt.Errorf("%w: %w", ErrFull, err)
		}
		l.failed = fmt.Errorf("audit: an earlier write failed: %w", err)
		return Head{}, l.failed
	}
	if err := l.file.Sync(); err != nil {
		l.failed = fmt.Errorf("audit: an earlier sync failed: %w", err)
		return Head{}, l.failed
	}
	l.size += int64(len(b))
	l.head = Head{Seq: e.Seq, Hash: envelope.Sum(body)}
	return l.head, nil
}

// Head is the newest entry.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Filter selects entries; empty fields match everything.
type Filter struct {
	From, To int64
	Actor    string
	Action   string
	Object   string
	Before   uint64 // sequence: entries older than it; 0 from the newest
	Limit    int
}

func (f Filter) matches(e Entry) bool {
	return (f.From == 0 || e.At >= f.From) && (f.To == 0 || e.At < f.To) && (f.Actor == "" || e.Actor == f.Actor) &&
		(f.Action == "" || e.Action == f.Action) && (f.Object == "" || e.Object == f.Object) && (f.Before == 0 || e.Seq < f.Before)
}

// Read lists matching entries, newest first, and verifies what it reads. It
// begins at the end and stops when it has enough, so that a page of the
// newest costs the same in the tenth year; nobody waits for it.
func (l *Log) Read(f Filter) ([]Entry, error) {
	l.mu.Lock()
	back := backward{filter: f, want: l.head.Hash}
	size := l.size
	names, err := files(l.dir)
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	for i, name := range slices.Backward(names) {
		b, err := os.ReadFile(filepath.Join(l.dir, name))
		if err != nil {
			return nil, err
		}
		if i == len(names)-1 {
			b = b[:min(size, int64(len(b)))] // what is appended meanwhile is not asked for
		}
		if err := back.file(name, b); err != nil || back.enough() {
			return back.out, err
		}
	}
	return back.out, nil
}

// backward walks the chain from its end.
type backward struct {
	filter Filter
	want   envelope.Hash // of the entry that comes next
	out    []Entry
}

func (w *backward) enough() bool { return w.filter.Limit > 0 && len(w.out) >= w.filter.Limit }

// file takes the entries of one file, the last first. Its name is the
// sequence of its first entry.
func (w *backward) file(name string, b []byte) error {
	first, err := strconv.ParseUint(strings.TrimSuffix(name, ".log"), 10, 64)
	if err != nil {
		return &DamageError{File: name, Reason: "name"}
	}
	if w.filter.Before > 0 && first > w.filter.Before {
		return nil
	}
	places, err := split(name, b)
	if err != nil {
		return err
	}
	for i, at := range slices.Backward(places) {
		if seq := first + uint64(i); w.filter.Before > 0 && seq > w.filter.Before {
			continue
		}
		if err := w.entry(name, b, at, first+uint64(i)); err != nil || w.enough() {
			return err
		}
	}
	return nil
}

// split finds where the entries of a file begin.
func split(name string, b []byte) (places []int, err error) {
	for at := 0; at < len(b); {
		_, n, whole := entryIn(b[at:])
		if !whole {
			return nil, &DamageError{File: name, Offset: int64(at), Reason: "checksum"}
		}
		places = append(places, at)
		at += n
	}
	return places, nil
}

func (w *backward) entry(name string, b []byte, at int, seq uint64) error {
	body, _, _ := entryIn(b[at:])
	var e Entry
	if err := envelope.Unmarshal(body, &e); err != nil {
		return &DamageError{File: name, Offset: int64(at), Reason: err.Error()}
	}
	// The entry at the page's edge was verified with the page before it.
	edge := seq == w.filter.Before
	if e.Seq != seq || !edge && envelope.Sum(body) != w.want {
		return &DamageError{File: name, Offset: int64(at), Reason: fmt.Sprintf("entry %d is not what %d follows", e.Seq, seq+1)}
	}
	w.want = e.Prev
	if w.filter.matches(e) {
		w.out = append(w.out, e)
	}
	return nil
}

// Verify follows the whole chain; remembered is a head that must still
// stand in it (zero: none).
func Verify(dir string, remembered Head) (Head, error) {
	names, err := files(dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) && remembered.Seq == 0 {
			return Head{}, nil
		}
		return Head{}, err
	}
	walk := &Log{dir: dir}
	found := remembered.Seq == 0
	for i, name := range names {
		_, err := walk.scan(name, i == len(names)-1, func(e Entry) {
			found = found || walk.head == remembered
		})
		if err != nil {
			return walk.head, err
		}
	}
	if !found {
		return walk.head, &DamageError{File: dir, Reason: fmt.Sprintf("entry %d, which was seen before, is gone", remembered.Seq)}
	}
	return walk.head, nil
}

// Close closes the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = io.ErrClosedPipe
	return l.file.Close()
}
