package service

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/audit"
)

// Part is a file of a snapshot.
type Part struct {
	Name string // slash-separated, below the data directory
	Size int64
	Open func() (io.ReadCloser, error)
}

// Snapshot is everything of the box that cannot be made again, as it stood
// at one moment: identity, journal and history up to the newest answered
// group, audit, attachments. Store and index are derived from it. The box
// works on meanwhile, only erasing waits; release frees the files.
func (b *Box) Snapshot() (parts []Part, release func() error, err error) {
	b.archives.RLock() // nothing is erased until the snapshot is written
	done := sync.OnceFunc(b.archives.RUnlock)
	b.files.Lock() // segments stay where they are until they are open
	defer b.files.Unlock()
	var open []*os.File
	release = func() error {
		defer done()
		var errs []error
		for _, f := range open {
			errs = append(errs, f.Close())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, release())
		}
	}()
	segment, end := b.journal.End()
	for _, dir := range []string{"identity", "history", "journal", "audit", "blobs"} {
		err := filepath.WalkDir(filepath.Join(b.opts.Dir, dir), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() || filepath.Ext(path) == ".tmp" {
				return err
			}
			p, f, err := b.part(dir, path)
			if path == segment {
				p.Size = end
			}
			parts = append(parts, p)
			if f != nil {
				open = append(open, f)
			}
			return err
		})
		if err != nil {
			return nil, release, err
		}
	}
	return parts, release, nil
}

// part describes a file. Attachments never change and are many, so they are
// opened when they are read.
func (b *Box) part(dir, path string) (Part, *os.File, error) {
	name, err := filepath.Rel(b.opts.Dir, path)
	if err != nil {
		return Part{}, nil, err
	}
	p := Part{Name: filepath.ToSlash(name)}
	if dir == "identity" {
		body, err := os.ReadFile(path)
		p.Size = int64(len(body))
		p.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		return p, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return p, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return p, nil, errors.Join(err, f.Close())
	}
	p.Size = info.Size()
	if dir == "blobs" {
		p.Open = func() (io.ReadCloser, error) { return os.Open(path) }
		return p, nil, f.Close()
	}
	p.Open = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, 0, math.MaxInt64)), nil }
	return p, f, nil
}

const (
	bucketBox = "box"
	keyBackup = "last_backup"
)

// NoteBackup remembers that a whole archive was made.
func (b *Box) NoteBackup(name string) error {
	now, _ := b.clock.Now()
	return errors.Join(b.local.Put(bucketBox, []byte(keyBackup), binary.BigEndian.AppendUint64(nil, uint64(now)), time.Time{}),
		b.noteFor(envelope.RecordID{}, audit.Entry{Action: "backup", Object: name, Result: "ok"}))
}

// lastBackup is when the newest archive was made, in Unix milliseconds; 0
// when none was, or the box was restored since.
func (b *Box) lastBackup() (int64, error) {
	v, ok, err := b.local.Get(bucketBox, []byte(keyBackup))
	if !ok || len(v) != 8 {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(v)), err
}

// Recipient is the public half of the emergency sheet's key, "" for a box
// without one.
func (b *Box) Recipient() string { return b.id.Recipient() }

// Origin names the box.
func (b *Box) Origin() string { o := b.id.Origin(); return o.String() }
