// Package store keeps the folded view of a box in one bbolt file: records,
// what lists and figures derive from them, verdicts, keys, and the order of
// changes. It is written by one committer, one transaction for a batch of
// journal groups, and can be rebuilt from history and journal.
package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// Buckets. Every value but those of index and counters' sums carries a
// CRC32C in front.
var (
	bucketMeta    = []byte("meta")
	bucketView    = []byte("view")    // record id → record
	bucketDerived = []byte("derived") // record id → what it feeds
	bucketIndex   = []byte("idx")     // key → record id
	bucketCount   = []byte("count")   // key → int64
	bucketVerdict = []byte("verdict") // origin, incarnation, seq → verdict
	bucketKeys    = []byte("keys")    // key id → content key under the box's key
	bucketKeysOf  = []byte("keysof")  // record id, key id → nothing
	bucketChanges = []byte("changes") // n → record id
	bucketChange  = []byte("change")  // record id → n
	bucketRequest = []byte("request") // idempotency key → claim
	bucketSeries  = []byte("series")  // name → last number

	allBuckets = [][]byte{bucketMeta, bucketView, bucketDerived, bucketIndex, bucketCount, bucketVerdict,
		bucketKeys, bucketKeysOf, bucketChanges, bucketChange, bucketRequest, bucketSeries}
)

var (
	metaPosition   = []byte("position")
	metaApplied    = []byte("applied")
	metaGeneration = []byte("generation")
	metaFormat     = []byte("format")
	metaRecords    = []byte("records")
	metaDigest     = []byte("digest")
)

const format = 1

// ErrFull means that the disk has no room.
var ErrFull = errors.New("store: the disk is full")

// ErrInUse means that another process has the data directory.
var ErrInUse = errors.New("store: another process uses this data directory")

// DamageError is a value whose checksum does not fit.
type DamageError struct {
	Bucket string
	Key    []byte
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("store: damaged value in %s at %x: %s", e.Bucket, e.Key, e.Reason)
}

// Position is how far the journal was carried in.
type Position struct {
	Incarnation uint32
	Segment     string
	Offset      int64
	Seq         uint64
	Head        envelope.Hash
}

// Count is a contribution to a counter.
type Count struct {
	_   struct{} `cbor:",toarray"`
	Key []byte
	N   int64
}

// Derived is what a record feeds: index keys and counters, each sorted and
// unique.
type Derived struct {
	_        struct{} `cbor:",toarray"`
	Index    [][]byte
	Counters []Count
}

// Row is the final state of a record in a batch.
type Row struct {
	Record  *domain.Record
	Derived Derived
}

// VerdictRow is what became of an operation.
type VerdictRow struct {
	ID      envelope.OpID
	Index   envelope.Index
	Verdict envelope.Verdict
	Record  envelope.RecordID
}

// KeyRow is a content key under the box's own key.
type KeyRow struct {
	_            struct{} `cbor:",toarray"`
	Key          envelope.KeyID
	Record       envelope.RecordID
	Organisation string
	Part         uint8
	Sealed       []byte
}

// RequestRow binds an idempotency key to what it did.
type RequestRow struct {
	_      struct{} `cbor:",toarray"`
	Key    string
	MAC    []byte
	Record envelope.RecordID
	Op     envelope.OpID
	N, M   uint16
	At     int64
}

// Batch is one transaction.
type Batch struct {
	Position Position
	Applied  envelope.Index
	Rows     []Row
	Verdicts []VerdictRow
	Keys     []KeyRow
	Requests []RequestRow
	Series   map[string]int64
	// Rederive marks rows whose record is unchanged: only what they feed is.
	Rederive bool
}

// Hit is one entry of an index scan.
type Hit struct {
	Key []byte
	ID  envelope.RecordID
}

// Change is one entry of the order of changes.
type Change struct {
	N      uint64
	Record envelope.RecordID
}

// Options configure a store.
type Options struct {
	// MmapSize is reserved address space, not memory; growing beyond it
	// waits for readers.
	MmapSize int
}

// Store is an open store.
type Store struct {
	db *bbolt.DB
}

// Open opens or creates the file.
func Open(path string, o Options) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if o.MmapSize == 0 {
		o.MmapSize = 256 << 20
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 2 * time.Second, FreelistType: bbolt.FreelistMapType, InitialMmapSize: o.MmapSize})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	s := &Store{db: db}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func (s *Store) prepare() error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range allBuckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		if v := meta.Get(metaFormat); v == nil {
			if err := meta.Put(metaFormat, wrap([]byte{format})); err != nil {
				return err
			}
			return meta.Put(metaGeneration, wrap([]byte(newGeneration())))
		}
		v, err := unwrap(bucketMeta, metaFormat, meta.Get(metaFormat))
		if err == nil && (len(v) != 1 || v[0] != format) {
			err = fmt.Errorf("store: format %v is not of this release", v)
		}
		return err
	})
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func wrap(v []byte) []byte {
	out := binary.BigEndian.AppendUint32(make([]byte, 0, len(v)+4), crc32.Checksum(v, castagnoli))
	return append(out, v...)
}

func unwrap(bucket, key, v []byte) ([]byte, error) {
	if len(v) < 4 || binary.BigEndian.Uint32(v) != crc32.Checksum(v[4:], castagnoli) {
		return nil, &DamageError{Bucket: string(bucket), Key: bytes.Clone(key), Reason: "checksum"}
	}
	return v[4:], nil
}

// Commit carries a batch in, in one transaction.
func (s *Store) Commit(b Batch) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		if err := putRows(tx, b); err != nil {
			return err
		}
		if b.Rederive {
			return nil
		}
		if err := putRest(tx, b); err != nil {
			return err
		}
		return putMeta(tx, b)
	})
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

func putMeta(tx *bbolt.Tx, b Batch) error {
	meta := tx.Bucket(bucketMeta)
	position, err := envelope.Marshal(b.Position)
	if err != nil {
		return err
	}
	applied, err := envelope.Marshal(b.Applied)
	if err != nil {
		return err
	}
	return errors.Join(meta.Put(metaPosition, wrap(position)), meta.Put(metaApplied, wrap(applied)))
}

// putRows writes records in the order of their ids, so that pages are
// visited once.
func putRows(tx *bbolt.Tx, b Batch) error {
	rows := slices.Clone(b.Rows)
	changed := make([]envelope.RecordID, len(rows))
	for i, r := range rows {
		changed[i] = r.Record.ID
	}
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Record.ID[:], b.Record.ID[:]) })
	d := delta{counts: map[string]int64{}}
	for _, r := range rows {
		if err := d.row(tx, r, b.Rederive); err != nil {
			return err
		}
	}
	if err := d.flush(tx); err != nil {
		return err
	}
	if b.Rederive {
		return nil
	}
	return putChanges(tx, changed)
}

// delta collects what a batch changes in index and counters.
type delta struct {
	remove, add [][]byte
	owner       map[string]envelope.RecordID
	counts      map[string]int64
	records     int64
	digest      digest
}

func (d *delta) row(tx *bbolt.Tx, r Row, rederive bool) error {
	id := r.Record.ID[:]
	if !rederive {
		if err := d.view(tx, r.Record); err != nil {
			return err
		}
	}
	derived := tx.Bucket(bucketDerived)
	var old Derived
	if v := derived.Get(id); v != nil {
		raw, err := unwrap(bucketDerived, id, v)
		if err != nil {
			return err
		}
		if err := envelope.Unmarshal(raw, &old); err != nil {
			return err
		}
	}
	d.diff(old, r.Derived, r.Record.ID)
	raw, err := envelope.Marshal(r.Derived)
	if err != nil {
		return err
	}
	return derived.Put(id, wrap(raw))
}

func (d *delta) view(tx *bbolt.Tx, r *domain.Record) error {
	raw, err := envelope.Marshal(r)
	if err != nil {
		return err
	}
	view := tx.Bucket(bucketView)
	if v := view.Get(r.ID[:]); v == nil {
		d.records++
	} else {
		old, err := unwrap(bucketView, r.ID[:], v)
		if err != nil {
			return err
		}
		d.digest.remove(old)
	}
	d.digest.add(raw)
	return view.Put(r.ID[:], wrap(raw))
}

func (d *delta) diff(old, new Derived, id envelope.RecordID) {
	if d.owner == nil {
		d.owner = map[string]envelope.RecordID{}
	}
	for _, k := range old.Index {
		if _, keep := slices.BinarySearchFunc(new.Index, k, bytes.Compare); !keep {
			d.remove = append(d.remove, k)
		}
	}
	for _, k := range new.Index {
		if _, had := slices.BinarySearchFunc(old.Index, k, bytes.Compare); !had {
			d.add = append(d.add, k)
			d.owner[string(k)] = id
		}
	}
	for _, c := range old.Counters {
		d.counts[string(c.Key)] -= c.N
	}
	for _, c := range new.Counters {
		d.counts[string(c.Key)] += c.N
	}
}

func (d *delta) flush(tx *bbolt.Tx) error {
	index := tx.Bucket(bucketIndex)
	slices.SortFunc(d.remove, bytes.Compare)
	for _, k := range d.remove {
		if err := index.Delete(k); err != nil {
			return err
		}
	}
	slices.SortFunc(d.add, bytes.Compare)
	for _, k := range d.add {
		id := d.owner[string(k)]
		if err := index.Put(k, id[:]); err != nil {
			return err
		}
	}
	keys := make([]string, 0, len(d.counts))
	for k, n := range d.counts {
		if n != 0 {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if err := addCount(tx, []byte(k), d.counts[k]); err != nil {
			return err
		}
	}
	return d.flushMeta(tx)
}

func (d *delta) flushMeta(tx *bbolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	var old digest
	if v := meta.Get(metaDigest); v != nil {
		raw, err := unwrap(bucketMeta, metaDigest, v)
		if err != nil {
			return err
		}
		old = readDigest(raw)
	}
	old.merge(&d.digest)
	n, err := readInt(meta, metaRecords)
	if err != nil {
		return err
	}
	return errors.Join(meta.Put(metaDigest, wrap(old.bytes())), meta.Put(metaRecords, wrap(intBytes(n+d.records))))
}

func readInt(b *bbolt.Bucket, key []byte) (int64, error) {
	v := b.Get(key)
	if v == nil {
		return 0, nil
	}
	raw, err := unwrap(bucketMeta, key, v)
	if err != nil || len(raw) != 8 {
		return 0, errors.Join(err, errLength(len(raw), 8))
	}
	return int64(binary.BigEndian.Uint64(raw)), nil
}

func errLength(have, want int) error {
	if have == want {
		return nil
	}
	return fmt.Errorf("store: %d bytes instead of %d", have, want)
}

func intBytes(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func addCount(tx *bbolt.Tx, key []byte, n int64) error {
	counts := tx.Bucket(bucketCount)
	if v := counts.Get(key); v != nil {
		raw, err := unwrap(bucketCount, key, v)
		if err != nil {
			return err
		}
		n += int64(binary.BigEndian.Uint64(raw))
	}
	if n == 0 {
		return counts.Delete(key)
	}
	return counts.Put(key, wrap(intBytes(n)))
}

// putChanges moves each record to the end of the order of changes.
func putChanges(tx *bbolt.Tx, ids []envelope.RecordID) error {
	changes, last := tx.Bucket(bucketChanges), tx.Bucket(bucketChange)
	changes.FillPercent = 0.9 // keys only grow
	for _, id := range ids {
		if old := last.Get(id[:]); old != nil {
			if err := changes.Delete(bytes.Clone(old)); err != nil {
				return err
			}
		}
		n, err := changes.NextSequence()
		if err != nil {
			return err
		}
		key := binary.BigEndian.AppendUint64(nil, n)
		if err := errors.Join(changes.Put(key, wrap(id[:])), last.Put(id[:], key)); err != nil {
			return err
		}
	}
	return nil
}

func putRest(tx *bbolt.Tx, b Batch) error {
	verdicts := tx.Bucket(bucketVerdict)
	verdicts.FillPercent = 0.9
	for _, v := range b.Verdicts {
		raw, err := envelope.Marshal(verdictValue{Index: v.Index, Verdict: v.Verdict, Record: v.Record})
		if err != nil {
			return err
		}
		if err := verdicts.Put(opKey(v.ID), wrap(raw)); err != nil {
			return err
		}
	}
	for _, k := range b.Keys {
		raw, err := envelope.Marshal(k)
		if err != nil {
			return err
		}
		of := append(bytes.Clone(k.Record[:]), k.Key[:]...)
		if err := errors.Join(tx.Bucket(bucketKeys).Put(k.Key[:], wrap(raw)), tx.Bucket(bucketKeysOf).Put(of, nil)); err != nil {
			return err
		}
	}
	for _, r := range b.Requests {
		raw, err := envelope.Marshal(r)
		if err != nil {
			return err
		}
		if err := tx.Bucket(bucketRequest).Put([]byte(r.Key), wrap(raw)); err != nil {
			return err
		}
	}
	for name, n := range b.Series {
		if err := tx.Bucket(bucketSeries).Put([]byte(name), wrap(intBytes(n))); err != nil {
			return err
		}
	}
	return nil
}

type verdictValue struct {
	_       struct{} `cbor:",toarray"`
	Index   envelope.Index
	Verdict envelope.Verdict
	Record  envelope.RecordID
}

func opKey(id envelope.OpID) []byte {
	b := append([]byte{}, id.Origin[:]...)
	b = binary.BigEndian.AppendUint32(b, id.Incarnation)
	return binary.BigEndian.AppendUint64(b, id.Seq)
}

// EraseKeys overwrites and removes the content keys of a record.
func (s *Store) EraseKeys(record envelope.RecordID) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		keys, of := tx.Bucket(bucketKeys), tx.Bucket(bucketKeysOf)
		c := of.Cursor()
		var gone [][]byte
		for k, _ := c.Seek(record[:]); bytes.HasPrefix(k, record[:]); k, _ = c.Next() {
			gone = append(gone, bytes.Clone(k))
		}
		for _, k := range gone {
			id := k[len(record):]
			if err := errors.Join(keys.Put(id, make([]byte, len(keys.Get(id)))), keys.Delete(id), of.Delete(k)); err != nil {
				return err
			}
		}
		return nil
	})
}
