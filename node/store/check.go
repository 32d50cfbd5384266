package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// Report is what Check found.
type Report struct {
	Records  int64
	Keys     int64
	Counters int64
	Digest   string // of all records: equal boxes have equal ones
	Problems []string
}

const maxProblems = 100

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// checker recomputes everything that can be recomputed.
type checker struct {
	tx     *bbolt.Tx
	report Report
	derive func(*domain.Record) (Derived, error)
	index  map[string]envelope.RecordID
	counts map[string]int64
	digest digest
	erased map[envelope.RecordID]bool
}

// Check verifies pages, checksums, and that index, counters, changes and
// digest are what the records give. It reads one state of the store.
func (s *Store) Check(ctx context.Context, derive func(*domain.Record) (Derived, error), progress func(done, total int64)) (Report, error) {
	total, err := s.Records()
	if err != nil {
		return Report{Problems: []string{err.Error()}}, nil
	}
	c := &checker{derive: derive, index: map[string]envelope.RecordID{}, counts: map[string]int64{}, erased: map[envelope.RecordID]bool{}}
	if err := c.pages(s); err != nil {
		return c.report, err
	}
	err = s.view(func(tx *bbolt.Tx) error {
		c.tx = tx
		if err := c.records(ctx, total, progress); err != nil {
			return err
		}
		sum := sha256.Sum256(c.digest.bytes())
		c.report.Digest = hex.EncodeToString(sum[:])
		c.compareIndex()
		c.compareCounts()
		c.compareChanges()
		c.compareKeys()
		c.compareErasing()
		c.compareMeta(total)
		c.checksums()
		return nil
	})
	return c.report, err
}

// pages checks the page structure on a copy: bbolt's own check reads what a
// writer may be changing.
func (c *checker) pages(s *Store) error {
	path := s.db.Path() + ".check"
	if err := s.Copy(path); err != nil {
		return err
	}
	defer os.Remove(path) // a copy left behind is overwritten by the next check
	problems, err := CheckFile(path)
	c.report.Problems = append(c.report.Problems, problems...)
	return err
}

// CheckFile verifies meta pages and page structure of a store that is not
// open; opening it would write over one of the meta pages. No file is no
// problem: it can be made again.
func CheckFile(path string) (problems []string, err error) {
	if err := checkPages(path); err != nil {
		return []string{err.Error()}, nil
	}
	err = guarded(func() error {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
		if err != nil {
			return err
		}
		defer db.Close()
		return db.View(func(tx *bbolt.Tx) error {
			for err := range tx.Check() {
				problems = append(problems, fmt.Sprintf("store: pages: %v", err))
			}
			return nil
		})
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, ErrInUse
	case err != nil:
		problems = append(problems, err.Error())
	}
	return problems, nil
}

func (c *checker) records(ctx context.Context, total int64, progress func(done, total int64)) error {
	cur := c.tx.Bucket(bucketView).Cursor()
	for k, v := cur.First(); k != nil; k, v = cur.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.report.Records++
		if progress != nil && c.report.Records%1000 == 0 {
			progress(c.report.Records, total)
		}
		raw, err := unwrap(bucketView, k, v)
		if err != nil {
			c.report.problem("%v", err)
			continue
		}
		c.digest.add(raw)
		c.record(k, raw)
	}
	return nil
}

func (c *checker) record(k, raw []byte) {
	r, err := decodeRecord(k, raw)
	if err != nil {
		c.report.problem("%v", err)
		return
	}
	if r.Erased {
		c.erased[r.ID] = true
	}
	want, err := c.derive(r)
	if err != nil {
		c.report.problem("record %s: %v", r.ID, err)
		return
	}
	var have Derived
	stored, err := unwrap(bucketDerived, k, c.tx.Bucket(bucketDerived).Get(k))
	if err == nil {
		err = envelope.Unmarshal(stored, &have)
	}
	if err != nil {
		c.report.problem("%v", err)
		return
	}
	wantRaw, err1 := envelope.Marshal(want)
	if err1 != nil || !bytes.Equal(wantRaw, stored) {
		c.report.problem("record %s: lists and figures do not fit the record", r.ID)
	}
	for _, key := range have.Index {
		c.index[string(key)] = r.ID
	}
	for _, n := range have.Counters {
		c.counts[string(n.Key)] += n.N
	}
}

func (c *checker) compareIndex() {
	cur := c.tx.Bucket(bucketIndex).Cursor()
	for k, v := cur.First(); k != nil; k, v = cur.Next() {
		c.report.Keys++
		id, err := hitID(k, v)
		if want, ok := c.index[string(k)]; err != nil || !ok || want != id {
			c.report.problem("index key %x belongs to no record", k)
		}
		delete(c.index, string(k))
	}
	for k := range c.index {
		c.report.problem("index key %x is missing", k)
	}
}

func (c *checker) compareCounts() {
	cur := c.tx.Bucket(bucketCount).Cursor()
	for k, v := cur.First(); k != nil; k, v = cur.Next() {
		c.report.Counters++
		raw, err := unwrap(bucketCount, k, v)
		if err != nil {
			c.report.problem("%v", err)
		} else if n := int64(binary.BigEndian.Uint64(raw)); n != c.counts[string(k)] {
			c.report.problem("counter %x is %d, a recount gives %d", k, n, c.counts[string(k)])
		}
		delete(c.counts, string(k))
	}
	for k, n := range c.counts {
		if n != 0 {
			c.report.problem("counter %x is missing, a recount gives %d", k, n)
		}
	}
}

func (c *checker) compareChanges() {
	changes, view := c.tx.Bucket(bucketChanges), c.tx.Bucket(bucketView)
	cur := c.tx.Bucket(bucketChange).Cursor()
	var n int64
	for id, key := cur.First(); id != nil; id, key = cur.Next() {
		n++
		raw, err := unwrap(bucketChanges, key, changes.Get(key))
		if err != nil || !bytes.Equal(raw, id) || view.Get(id) == nil {
			c.report.problem("change %x does not fit record %x", key, id)
		}
	}
	if n != c.report.Records || int64(changes.Stats().KeyN) != n {
		c.report.problem("%d records, %d changes", c.report.Records, n)
	}
	if last, _ := changes.Cursor().Last(); last != nil && changes.Sequence() != binary.BigEndian.Uint64(last) {
		c.report.problem("the order of changes ends at %x, its count is %d", last, changes.Sequence())
	}
}

// compareKeys: each key lies under the record that its row names.
func (c *checker) compareKeys() {
	cur := c.tx.Bucket(bucketKeys).Cursor()
	for k, v := cur.First(); k != nil; k, v = cur.Next() {
		var row KeyRow
		raw, err := unwrap(bucketKeys, k, v)
		if err == nil {
			err = envelope.Unmarshal(raw, &row)
		}
		if err != nil || !bytes.Equal(k, keyOfRow(row.Record, row.Key)) {
			c.report.problem("key %x does not fit its record", k)
		}
	}
}

// compareErasing: every erased record is being destroyed or was, and what
// was has no key.
func (c *checker) compareErasing() {
	keys := c.tx.Bucket(bucketKeys).Cursor()
	for _, name := range [][]byte{bucketErasing, bucketErased} {
		cur := c.tx.Bucket(name).Cursor()
		for k, v := cur.First(); k != nil; k, v = cur.Next() {
			if len(k) != len(envelope.RecordID{}) || !c.erased[envelope.RecordID(k)] {
				c.report.problem("%s: %x is no erased record", name, k)
				continue
			}
			delete(c.erased, envelope.RecordID(k))
			raw, err := unwrap(name, k, v)
			if err == nil && bytes.Equal(name, bucketErasing) {
				_, err = readErasing(k, v)
			} else if err == nil {
				err = errLength(len(raw), 8)
			}
			if err != nil {
				c.report.problem("%v", err)
			}
			if key, _ := keys.Seek(k); bytes.Equal(name, bucketErased) && bytes.HasPrefix(key, k) {
				c.report.problem("record %x was erased and has keys", k)
			}
		}
	}
	for id := range c.erased {
		c.report.problem("record %s is erased, but neither destroyed nor about to be", id)
	}
}

func (c *checker) compareMeta(total int64) {
	meta := c.tx.Bucket(bucketMeta)
	if total != c.report.Records {
		c.report.problem("%d records counted, %d stand", total, c.report.Records)
	}
	if v := meta.Get(metaDigest); v != nil || c.report.Records > 0 {
		raw, err := unwrap(bucketMeta, metaDigest, v)
		if err != nil || !bytes.Equal(raw, c.digest.bytes()) {
			c.report.problem("the digest of all records does not fit them")
		}
	}
}

// checksums reads what the comparisons did not, and counts it.
func (c *checker) checksums() {
	meta := c.tx.Bucket(bucketMeta)
	for _, name := range append([][]byte{bucketMeta}, countedBuckets...) {
		n := int64(0)
		cur := c.tx.Bucket(name).Cursor()
		for k, v := cur.First(); k != nil; k, v = cur.Next() {
			n++
			if _, err := unwrap(name, k, v); err != nil {
				c.report.problem("%v", err)
			}
		}
		want, err := readInt(meta, metaRows(name))
		counted := slices.ContainsFunc(countedBuckets, func(b []byte) bool { return bytes.Equal(b, name) })
		if err != nil || counted && n != want {
			c.report.problem("%d rows of %s, %d were put (%v)", n, name, want, err)
		}
	}
}
