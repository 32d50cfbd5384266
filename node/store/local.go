package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Local keeps what never leaves the box and is lost only with its disk:
// sessions, read marks, sealed drafts. Writes are on disk within a second;
// whoever answers for more keeps it in the journal.
type Local struct {
	db    *bbolt.DB
	dirty atomic.Bool
	stop  chan struct{}
	done  sync.WaitGroup
}

// LocalRow is one entry of a local bucket.
type LocalRow struct{ Key, Value []byte }

const localSync = time.Second

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
	l := &Local{db: db, stop: make(chan struct{})}
	l.done.Go(l.syncing)
	return l, nil
}

func openLocal(path string) (db *bbolt.DB, err error) {
	defer func() {
		if r := recover(); r != nil { // bbolt panics on some damaged pages
			err = errors.New("store: local file is damaged")
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 2 * time.Second, FreelistType: bbolt.FreelistMapType, NoSync: true})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, ErrInUse
	}
	return db, err
}

func (l *Local) syncing() {
	tick := time.NewTicker(localSync)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if l.dirty.Swap(false) && l.db.Sync() != nil {
				l.dirty.Store(true) // tried again at the next tick
			}
		case <-l.stop:
			return
		}
	}
}

// Close syncs and closes.
func (l *Local) Close() error {
	close(l.stop)
	l.done.Wait()
	return errors.Join(l.db.Sync(), l.db.Close())
}

// Put stores a value until the given time; zero keeps it.
func (l *Local) Put(bucket string, key, value []byte, until time.Time) error {
	var ms uint64
	if !until.IsZero() {
		ms = uint64(until.UnixMilli())
	}
	err := l.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.Put(key, append(binary.BigEndian.AppendUint64(nil, ms), value...))
	})
	l.dirty.Store(true)
	return err
}

// Get reads a value; expired ones are gone.
func (l *Local) Get(bucket string, key []byte) (value []byte, found bool, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		value, found = live(b.Get(key))
		return nil
	})
	return value, found, err
}

func live(v []byte) ([]byte, bool) {
	if len(v) < 8 {
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
	err := l.db.Update(func(tx *bbolt.Tx) error {
		if b := tx.Bucket([]byte(bucket)); b != nil {
			return b.Delete(key)
		}
		return nil
	})
	l.dirty.Store(true)
	return err
}

// Scan lists live values below a prefix, at most limit.
func (l *Local) Scan(bucket string, prefix []byte, limit int) (rows []LocalRow, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix) && len(rows) < limit; k, v = c.Next() {
			if value, ok := live(v); ok {
				rows = append(rows, LocalRow{Key: bytes.Clone(k), Value: value})
			}
		}
		return nil
	})
	return rows, err
}

// Sweep removes what has expired and returns how much.
func (l *Local) Sweep() (n int, err error) {
	err = l.db.Update(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			var gone [][]byte
			err := b.ForEach(func(k, v []byte) error {
				if _, ok := live(v); !ok {
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
	l.dirty.Store(true)
	return n, err
}
