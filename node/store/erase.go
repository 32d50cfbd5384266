package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// Erasing is an erased record whose content is not destroyed yet. The row
// begins with the transaction that brings the record in as erased and ends
// with FinishErasing.
type Erasing struct {
	_      struct{} `cbor:",toarray"`
	Record envelope.RecordID
	// Incarnation and Seq are of the last group that can hold its keys.
	Incarnation uint32
	Seq         uint64
	Keys        []ErasedKey
}

// ErasedKey is a row that EraseKeys removed: bbolt writes copies, so its
// bytes stay in free pages until Scrub.
type ErasedKey struct {
	_    struct{} `cbor:",toarray"`
	Key  envelope.KeyID
	Size uint16 // of the encoded row, in bytes
}

// putErasing begins an erasure for each record that is erased for the first
// time. A store that is made again begins it anew: which frames the journal
// still holds is not known.
func putErasing(tx *bbolt.Tx, b Batch) error {
	erasing, erased := tx.Bucket(bucketErasing), tx.Bucket(bucketErased)
	for _, r := range b.Rows {
		id := r.Record.ID[:]
		if !r.Record.Erased || erasing.Get(id) != nil || erased.Get(id) != nil {
			continue
		}
		if err := putErasingRow(erasing, Erasing{Record: r.Record.ID, Incarnation: b.Position.Incarnation, Seq: b.Position.Seq}); err != nil {
			return err
		}
	}
	return nil
}

func putErasingRow(erasing *bbolt.Bucket, e Erasing) error {
	raw, err := envelope.Marshal(e)
	if err != nil {
		return err
	}
	return erasing.Put(e.Record[:], wrap(e.Record[:], raw))
}

func readErasing(k, v []byte) (e Erasing, err error) {
	raw, err := unwrap(bucketErasing, k, v)
	if err == nil {
		err = decode(bucketErasing, k, &e)(raw)
	}
	return e, err
}

// Erasings lists the erasures under way.
func (s *Store) Erasings() (list []Erasing, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketErasing).ForEach(func(k, v []byte) error {
			e, err := readErasing(k, v)
			list = append(list, e)
			return err
		})
	})
	return list, err
}

// Erased is when the content of an erased record was destroyed, in Unix
// milliseconds; done is false while that is under way.
func (s *Store) Erased(record envelope.RecordID) (at int64, done bool, err error) {
	done, err = s.get(bucketErased, record[:], func(raw []byte) error {
		if len(raw) != 8 {
			return errLength(len(raw), 8)
		}
		at = int64(binary.BigEndian.Uint64(raw))
		return nil
	})
	return at, done, err
}

// EraseKeys removes the content keys of a record that is being erased and
// remembers in the same transaction what Scrub has to look for.
func (s *Store) EraseKeys(record envelope.RecordID) error {
	return s.update(func(tx *bbolt.Tx) error {
		keys, erasing := tx.Bucket(bucketKeys), tx.Bucket(bucketErasing)
		row := erasing.Get(record[:])
		if row == nil {
			return fmt.Errorf("store: record %s is not being erased", record)
		}
		e, err := readErasing(record[:], row)
		if err != nil {
			return err
		}
		c := keys.Cursor()
		var gone [][]byte
		for k, v := c.Seek(record[:]); bytes.HasPrefix(k, record[:]); k, v = c.Next() {
			raw, err := unwrap(bucketKeys, k, v)
			if err != nil {
				return err
			}
			e.Keys = append(e.Keys, ErasedKey{Key: envelope.KeyID(k[len(record):]), Size: uint16(len(raw))})
			gone = append(gone, bytes.Clone(k))
		}
		for _, k := range gone {
			if err := keys.Delete(k); err != nil {
				return err
			}
		}
		t := &tally{tx: tx, new: map[string]int64{string(bucketKeys): -int64(len(gone))}}
		return errors.Join(t.flush(), putErasingRow(erasing, e))
	})
}

// FinishErasing notes that the content of a record was destroyed.
func (s *Store) FinishErasing(record envelope.RecordID, at int64) error {
	return s.update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.Bucket(bucketErasing).Delete(record[:]), tx.Bucket(bucketErased).Put(record[:], wrap(record[:], intBytes(at))))
	})
}

// update runs a write transaction; ErrFull leaves the store as it was.
func (s *Store) update(f func(*bbolt.Tx) error) error {
	return full(guarded(func() error { return s.db.Update(f) }))
}

// A row of the keys table begins with CBOR of five parts, the first two the
// 16 bytes of key and record. They are the same in every copy, also in one
// that a failed transaction left; the nonce is not.
var keyRowMark = []byte{0x85, 0x50}

const keyRowHead = 2 + len(envelope.KeyID{}) + 1 + len(envelope.RecordID{})

type keyRowBegin [keyRowHead]byte

func beginOfKeyRow(key envelope.KeyID, record envelope.RecordID) keyRowBegin {
	return keyRowBegin(slices.Concat(keyRowMark, key[:], keyRowMark[1:], record[:]))
}

// Scrub overwrites with zeros what EraseKeys left in free pages, for every
// erasure under way. No page in use is touched: the rows are gone from the
// tree, and each place is read again and written while no transaction can
// take the page.
func (s *Store) Scrub() (err error) {
	sizes, err := s.erasedSizes()
	if err != nil || len(sizes) == 0 {
		return err
	}
	for range 2 { // neither meta page may lead back to the rows
		if err := s.update(func(*bbolt.Tx) error { return nil }); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(s.db.Path(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	places, err := findKeyRows(f, sizes)
	if err != nil || len(places) == 0 {
		return err
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	for _, at := range places {
		err = errors.Join(err, zeroKeyRow(f, at, sizes))
	}
	return errors.Join(err, tx.Rollback(), f.Sync())
}

func (s *Store) erasedSizes() (map[keyRowBegin]int, error) {
	list, err := s.Erasings()
	sizes := map[keyRowBegin]int{}
	for _, e := range list {
		for _, k := range e.Keys {
			sizes[beginOfKeyRow(k.Key, e.Record)] = int(k.Size)
		}
	}
	return sizes, err
}

// findKeyRows gives the places where an erased row begins. A copy cannot
// appear behind its back: transactions copy rows of the tree alone.
func findKeyRows(f *os.File, sizes map[keyRowBegin]int) (places []int64, err error) {
	const part = 1 << 20
	buf := make([]byte, part+keyRowHead-1)
	for at := int64(0); ; at += part {
		n, err := f.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		for i := 0; i+keyRowHead <= n; i++ {
			next := bytes.Index(buf[i:n], keyRowMark)
			if next < 0 {
				break
			}
			i += next
			if _, ok := erasedKeyRow(buf[i:n], sizes); ok {
				places = append(places, at+int64(i))
			}
		}
		if n < len(buf) {
			return places, nil
		}
	}
}

// erasedKeyRow reports whether b begins with an erased row, and its size.
func erasedKeyRow(b []byte, sizes map[keyRowBegin]int) (size int, ok bool) {
	if len(b) < keyRowHead {
		return 0, false
	}
	size, ok = sizes[keyRowBegin(b[:keyRowHead])]
	return size, ok
}

func zeroKeyRow(f *os.File, at int64, sizes map[keyRowBegin]int) error {
	head := make([]byte, keyRowHead)
	if _, err := f.ReadAt(head, at); err != nil {
		return err
	}
	size, ok := erasedKeyRow(head, sizes)
	if !ok { // the page is in use again
		return nil
	}
	_, err := f.WriteAt(make([]byte, size), at)
	return err
}
