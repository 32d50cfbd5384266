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
	head   Head
	failed error
}

// Open reads the last file and goes on behind its newest entry. A last
// entry that was never finished is cut; anything else wrong is damage.
func Open(dir string) (*Log, error) {
	if err := disk.MkdirAll(dir); err != nil {
		return nil, err
	}
	l := &Log{dir: dir}
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
	if l.size > fileSize {
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

// Read lists matching entries, newest first, and verifies what it reads.
func (l *Log) Read(f Filter) ([]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	names, err := files(l.dir)
	if err != nil {
		return nil, err
	}
	walk := &Log{dir: l.dir}
	var out []Entry
	for i, name := range names {
		_, err := walk.scan(name, i == len(names)-1, func(e Entry) {
			if !f.matches(e) {
				return
			}
			out = append(out, e)
			if f.Limit > 0 && len(out) > f.Limit {
				out = out[1:] // the newest are wanted
			}
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Reverse(out)
	return out, nil
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
