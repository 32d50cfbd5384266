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
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/envelope/disk"
	"github.com/fengqiao/fengqiao/node/domain"
)

// Buckets. Every value carries a CRC32C of its key and itself in front, but
// for index and change, which a check compares with the rest.
var (
	bucketMeta    = []byte("meta")
	bucketView    = []byte("view")    // record id → record
	bucketDerived = []byte("derived") // record id → what it feeds
	bucketIndex   = []byte("idx")     // key → record id
	bucketCount   = []byte("count")   // key → int64
	bucketVerdict = []byte("verdict") // origin, incarnation, seq → verdict
	bucketKeys    = []byte("keys")    // record id, key id → content key under the box's key
	bucketChanges = []byte("changes") // n → record id
	bucketChange  = []byte("change")  // record id → n
	bucketRequest = []byte("request") // idempotency key → claim
	bucketSeries  = []byte("series")  // name → last number
	bucketErasing = []byte("erasing") // record id → what is still to be destroyed
	bucketErased  = []byte("erased")  // record id → when it was destroyed

	allBuckets = [][]byte{bucketMeta, bucketView, bucketDerived, bucketIndex, bucketCount, bucketVerdict,
		bucketKeys, bucketChanges, bucketChange, bucketRequest, bucketSeries, bucketErasing, bucketErased}
)

var (
	metaPosition   = []byte("position")
	metaApplied    = []byte("applied")
	metaGeneration = []byte("generation")
	metaFormat     = []byte("format")
	metaRecords    = []byte("records")
	metaDigest     = []byte("digest")
)

// format 2 put keys under the checksums, format 3 has content keys beside
// one another by record. A store of an earlier format is set aside and made
// again from history and journal.
const format = 3

var errOlder = errors.New("store: an earlier format")

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
	Position envelope.Position // how far the journal was carried in
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

// Open opens or creates the file. *DamageError means that it cannot be
// read; moved away, it is made again from history and journal.
func Open(path string, o Options) (*Store, error) {
	if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(path, o); err != nil {
			return nil, err
		}
	}
	s, err := openFile(path, o)
	if err != nil {
		return nil, err
	}
	if err = s.view(checkFormat); err == nil {
		return s, nil
	}
	if err = errors.Join(err, s.Close()); !errors.Is(err, errOlder) {
		return nil, err
	}
	if err := os.Rename(path, path+older); err != nil {
		return nil, err
	}
	return Open(path, o)
}

// older names a store of an earlier format beside the one made in its place.
const older = ".old"

// DropOlder removes what Open set aside, once its successor is whole.
func DropOlder(path string) error {
	if err := os.Remove(path + older); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func openFile(path string, o Options) (s *Store, err error) {
	if o.MmapSize == 0 {
		o.MmapSize = 256 << 20
	}
	err = guarded(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 2 * time.Second, FreelistType: bbolt.FreelistMapType, InitialMmapSize: o.MmapSize})
		s = &Store{db: db}
		return err
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	return s, nil
}

// create makes an empty store under another name first, so that a crash
// leaves none or a whole one.
func create(path string, o Options) error {
	s, err := openFile(path+".new", o)
	if err != nil && !errors.Is(err, ErrInUse) { // an earlier creation was cut off
		if err := os.Remove(path + ".new"); err != nil {
			return err
		}
		s, err = openFile(path+".new", o)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(s.db.Update(prepare), s.Close()); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+".new", path), disk.SyncDir(filepath.Dir(path)))
}

func prepare(tx *bbolt.Tx) error {
	for _, name := range allBuckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	return errors.Join(meta.Put(metaFormat, wrap(metaFormat, []byte{format})), meta.Put(metaGeneration, wrap(metaGeneration, []byte(newGeneration()))))
}

func checkFormat(tx *bbolt.Tx) error {
	missing := func(name []byte) bool { return tx.Bucket(name) == nil }
	if missing(bucketMeta) {
		return &DamageError{Bucket: string(bucketMeta), Reason: "the bucket is missing"}
	}
	raw := tx.Bucket(bucketMeta).Get(metaFormat)
	if bytes.Equal(raw, wrap(nil, []byte{1})) {
		return errOlder
	}
	v, err := unwrap(bucketMeta, metaFormat, raw)
	switch {
	case err != nil:
		return err
	case len(v) == 1 && v[0] < format:
		return errOlder
	case len(v) != 1 || v[0] != format:
		return fmt.Errorf("store: format %v is not of this release", v)
	}
	if i := slices.IndexFunc(allBuckets, missing); i >= 0 {
		return &DamageError{Bucket: string(allBuckets[i]), Reason: "the bucket is missing"}
	}
	return nil
}

// view runs a read transaction.
func (s *Store) view(f func(*bbolt.Tx) error) error {
	return guarded(func() error { return s.db.View(f) })
}

// guarded turns what bbolt does on damaged pages, panics and faults in its
// map, into a *DamageError.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &DamageError{Bucket: "pages", Reason: fmt.Sprint(r)}
		}
	}()
	return f()
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum covers the key too: a value under a changed key is damage.
func sum(key, v []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, v)
}

func wrap(key, v []byte) []byte {
	out := binary.BigEndian.AppendUint32(make([]byte, 0, len(v)+4), sum(key, v))
	return append(out, v...)
}

func unwrap(bucket, key, v []byte) ([]byte, error) {
	if len(v) < 4 || binary.BigEndian.Uint32(v) != sum(key, v[4:]) {
		return nil, &DamageError{Bucket: string(bucket), Key: bytes.Clone(key), Reason: "checksum"}
	}
	return v[4:], nil
}

// Commit carries a batch in, in one transaction. After ErrFull the store is
// what it was and the same batch may come again; any other failure leaves
// it unknown what is on disk.
func (s *Store) Commit(b Batch) error {
	err := guarded(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			if err := putRows(tx, b); err != nil {
				return err
			}
			if b.Rederive {
				return nil
			}
			return errors.Join(putRest(tx, b), putErasing(tx, b), putMeta(tx, b))
		})
	})
	return full(err)
}

// full names a write that found no room. A sync that fails for want of
// room is no such thing: what it left on disk is unknown.
func full(err error) error {
	var write *fs.PathError
	if errors.As(err, &write) && errors.Is(err, syscall.ENOSPC) {
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
	return errors.Join(meta.Put(metaPosition, wrap(metaPosition, position)), meta.Put(metaApplied, wrap(metaApplied, applied)))
}

// putRows writes records in the order of their ids, so that pages are
// visited once.
func putRows(tx *bbolt.Tx, b Batch) error {
	rows := slices.Clone(b.Rows)
	changed := make([]envelope.RecordID, len(rows))
	for i, r := range rows {
		changed[i] = r.Record.ID
	}
	same := map[envelope.RecordID]bool{}
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Record.ID[:], b.Record.ID[:]) })
	d := delta{counts: map[string]int64{}}
	for _, r := range rows {
		changed, err := d.row(tx, r, b.Rederive)
		if err != nil {
			return err
		}
		same[r.Record.ID] = !changed
	}
	if err := d.flush(tx); err != nil {
		return err
	}
	return putChanges(tx, slices.DeleteFunc(changed, func(id envelope.RecordID) bool { return same[id] }))
}

// delta collects what a batch changes in index and counters.
type delta struct {
	remove, add [][]byte
	owner       map[string]envelope.RecordID
	counts      map[string]int64
	records     int64
	digest      digest
}

// row reports whether anything changed: a record written always counts, one
// that is only derived again when it feeds something else.
func (d *delta) row(tx *bbolt.Tx, r Row, rederive bool) (changed bool, err error) {
	id := r.Record.ID[:]
	if !rederive {
		if err := d.view(tx, r.Record); err != nil {
			return false, err
		}
	}
	raw, err := envelope.Marshal(r.Derived)
	if err != nil {
		return false, err
	}
	derived := growing(tx, bucketDerived)
	var old Derived
	if v := derived.Get(id); v != nil {
		before, err := unwrap(bucketDerived, id, v)
		if err != nil {
			return false, err
		}
		if rederive && bytes.Equal(before, raw) {
			return false, nil
		}
		if err := envelope.Unmarshal(before, &old); err != nil {
			return false, err
		}
	}
	d.diff(old, r.Derived, r.Record.ID)
	return true, derived.Put(id, wrap(id, raw))
}

func (d *delta) view(tx *bbolt.Tx, r *domain.Record) error {
	raw, err := envelope.Marshal(r)
	if err != nil {
		return err
	}
	view := growing(tx, bucketView)
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
	return view.Put(r.ID[:], wrap(r.ID[:], raw))
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
	return errors.Join(meta.Put(metaDigest, wrap(metaDigest, old.bytes())), meta.Put(metaRecords, wrap(metaRecords, intBytes(n+d.records))))
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
	return counts.Put(key, wrap(key, intBytes(n)))
}

// growing opens a bucket whose new keys follow its old ones: what a page
// leaves free is for values that grow, not for keys between.
func growing(tx *bbolt.Tx, name []byte) *bbolt.Bucket {
	b := tx.Bucket(name)
	b.FillPercent = 0.8
	return b
}

// putChanges moves each record to the end of the order of changes.
func putChanges(tx *bbolt.Tx, ids []envelope.RecordID) error {
	changes, last := growing(tx, bucketChanges), growing(tx, bucketChange)
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
		if err := errors.Join(changes.Put(key, wrap(key, id[:])), last.Put(id[:], key)); err != nil {
			return err
		}
	}
	return nil
}

// countedBuckets hold what a check cannot make again from the records; how
// many rows each has stands in meta.
var countedBuckets = [][]byte{bucketKeys, bucketVerdict, bucketRequest, bucketSeries}

func metaRows(bucket []byte) []byte { return append([]byte("rows "), bucket...) }

// tally puts rows and counts those that are new.
type tally struct {
	tx  *bbolt.Tx
	new map[string]int64
}

func (t *tally) put(bucket, key, v []byte) error {
	b := t.tx.Bucket(bucket)
	if b.Get(key) == nil {
		t.new[string(bucket)]++
	}
	return b.Put(key, wrap(key, v))
}

func (t *tally) marshal(bucket, key []byte, v any) error {
	raw, err := envelope.Marshal(v)
	if err != nil {
		return err
	}
	return t.put(bucket, key, raw)
}

func (t *tally) flush() error {
	meta := t.tx.Bucket(bucketMeta)
	for _, bucket := range countedBuckets {
		n := t.new[string(bucket)]
		if n == 0 {
			continue
		}
		key := metaRows(bucket)
		old, err := readInt(meta, key)
		if err != nil {
			return err
		}
		if err := meta.Put(key, wrap(key, intBytes(old+n))); err != nil {
			return err
		}
	}
	return nil
}

func putRest(tx *bbolt.Tx, b Batch) error {
	t := &tally{tx: tx, new: map[string]int64{}}
	growing(tx, bucketVerdict)
	growing(tx, bucketKeys)
	for _, v := range b.Verdicts {
		if err := t.marshal(bucketVerdict, opKey(v.ID), verdictValue{Index: v.Index, Verdict: v.Verdict, Record: v.Record}); err != nil {
			return err
		}
	}
	for _, k := range b.Keys {
		if err := t.marshal(bucketKeys, keyOfRow(k.Record, k.Key), k); err != nil {
			return err
		}
	}
	for _, r := range b.Requests {
		if err := t.marshal(bucketRequest, []byte(r.Key), r); err != nil {
			return err
		}
	}
	for name, n := range b.Series {
		if err := t.put(bucketSeries, []byte(name), intBytes(n)); err != nil {
			return err
		}
	}
	return t.flush()
}

// keyOfRow is where a content key lies; those of a record lie together.
func keyOfRow(record envelope.RecordID, key envelope.KeyID) []byte {
	return slices.Concat(record[:], key[:])
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
