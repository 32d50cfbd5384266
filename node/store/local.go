package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/fengqiao/fengqiao/cluster/envelope/disk"
)

// Local keeps what never leaves the box and is lost only with its disk:
// sessions, read marks, sealed drafts. Every write is synced: unsynced pages
// would cost the whole file in a power cut. A value that was damaged reads
// as gone.
type Local struct {
	db *bbolt.DB
	// Ceiling begins the time that the disk has for one write; nil: no limit.
	Ceiling func() *time.Timer
}

// LocalRow is one entry of a local bucket.
type LocalRow struct{ Key, Value []byte }

// OpenLocal opens the file. A damaged one is set aside and a new one
// begun: people sign in again, no work is lost.
func OpenLocal(path string) (*Local, error) {
	db, err := openLocal(path)
	if err != nil && !errors.Is(err, ErrInUse) {
		if err := os.Rename(path, path+".damaged-"+time.Now().UTC().Format("20060102T150405")); err != nil {
			return nil, err
		}
		db, err = openLocal(path)
	}
	if err != nil {
		return nil, err
	}
	return &Local{db: db}, disk.SyncDir(filepath.Dir(path))
}

func openLocal(path string) (db *bbolt.DB, err error) {
	err = guarded(func() error {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 2 * time.Second, FreelistType: bbolt.FreelistMapType})
		return err
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, err
	}
	if err := checkPages(path); err != nil { // under the lock: nobody writes
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close closes the file.
func (l *Local) Close() error { return l.db.Close() }

func (l *Local) view(f func(*bbolt.Tx) error) error {
	return guarded(func() error { return l.db.View(f) })
}

// update runs a write transaction; ErrFull leaves the file as it was.
func (l *Local) update(f func(*bbolt.Tx) error) error {
	if l.Ceiling != nil {
		defer l.Ceiling().Stop()
	}
	return full(guarded(func() error { return l.db.Update(f) }))
}

// Put stores a value until the given time; zero keeps it.
func (l *Local) Put(bucket string, key, value []byte, until time.Time) error {
	var ms uint64
	if !until.IsZero() {
		ms = uint64(until.UnixMilli())
	}
	return l.update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.Put(key, wrap(key, append(binary.BigEndian.AppendUint64(nil, ms), value...)))
	})
}

// Get reads a value; expired ones are gone.
func (l *Local) Get(bucket string, key []byte) (value []byte, found bool, err error) {
	err = l.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		value, found = live(key, b.Get(key))
		return nil
	})
	return value, found, err
}

func live(key, v []byte) ([]byte, bool) {
	v, err := unwrap(nil, key, v)
	if err != nil || len(v) < 8 {
		return nil, false
	}
	until := binary.BigEndian.Uint64(v)
	if until != 0 && uint64(time.Now().UnixMilli()) > until {
		return nil, false
	}
	return bytes.Clone(v[8:]), true
}

// Delete removes a value.
func (l *Local) Delete(bucket string, key []byte) error {
	return l.update(func(tx *bbolt.Tx) error {
		if b := tx.Bucket([]byte(bucket)); b != nil {
			return b.Delete(key)
		}
		return nil
	})
}

// Scrub destroys what was deleted or written over: bbolt writes copies and
// leaves the earlier ones in free pages. It waits for readers at most a
// second.
func (l *Local) Scrub() error {
	for range 2 { // neither meta page may lead back to what was deleted
		if err := l.update(func(*bbolt.Tx) error { return nil }); err != nil {
			return err
		}
	}
	tx, err := l.db.Begin(true)
	if err != nil {
		return err
	}
	for end := time.Now().Add(time.Second); l.db.Stats().OpenTxN > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errors.Join(errors.New("store: somebody reads for long"), tx.Rollback())
		}
	}
	return errors.Join(zeroFree(l.db.Path()), tx.Rollback())
}

// Scan lists live values below a prefix, at most limit.
func (l *Local) Scan(bucket string, prefix []byte, limit int) (rows []LocalRow, err error) {
	err = l.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix) && len(rows) < limit; k, v = c.Next() {
			if value, ok := live(k, v); ok {
				rows = append(rows, LocalRow{Key: bytes.Clone(k), Value: value})
			}
		}
		return nil
	})
	return rows, err
}

// Sweep removes what has expired and returns how much.
func (l *Local) Sweep() (n int, err error) {
	err = l.update(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			var gone [][]byte
			err := b.ForEach(func(k, v []byte) error {
				if _, ok := live(k, v); !ok {
					gone = append(gone, bytes.Clone(k))
				}
				return nil
			})
			for _, k := range gone {
				err = errors.Join(err, b.Delete(k))
			}
			n += len(gone)
			return err
		})
	})
	return n, err
}
