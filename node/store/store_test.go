package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

func recordID(n int) (id envelope.RecordID) {
	id[0], id[15] = 1, byte(n)
	return id
}

// derive is what the test's records feed: a list by value and a sum.
func derive(r *domain.Record) (Derived, error) {
	v := r.Text("v")
	d := Derived{Index: [][]byte{append([]byte("list\x00"+v+"\x00"), r.ID[:]...)}, Counters: []Count{{Key: []byte("sum\x00" + v), N: r.Int("n")}}}
	if r.Int("n") == 0 {
		d.Counters = nil
	}
	return d, nil
}

func row(n int, v string, count int64) Row {
	r := &domain.Record{ID: recordID(n), Open: map[string]any{"v": v, "n": count, "l": []string{"a", "b"}}}
	d, _ := derive(r)
	return Row{Record: r, Derived: d}
}

func open(t interface{ Fatal(...any) }, path string) *Store {
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStoreAgainstAModel: lists, counters, changes and digest are what a
// plain map says, after any batches and reopenings.
func TestStoreAgainstAModel(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		s := open(t, path)
		type value struct {
			v string
			n int64
		}
		model := map[int]value{}
		var order []int
		for range rapid.IntRange(1, 12).Draw(t, "batches") {
			b := Batch{Position: envelope.Position{Seq: uint64(len(order))}, Series: map[string]int64{"s": int64(len(order))}}
			for _, id := range rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 1, 5, rapid.ID).Draw(t, "ids") {
				v := value{rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "v"), rapid.Int64Range(0, 3).Draw(t, "n")}
				b.Rows = append(b.Rows, row(id, v.v, v.n))
				model[id] = v
				order = append(slices.DeleteFunc(order, func(o int) bool { return o == id }), id)
			}
			if err := s.Commit(b); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "reopen") {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, path)
			}
		}
		for _, v := range []string{"x", "y", "z"} {
			var sum int64
			var want int
			for _, m := range model {
				if m.v == v {
					sum += m.n
					want++
				}
			}
			hits, err := s.Scan([]byte("list\x00"+v+"\x00"), nil, rapid.Bool().Draw(t, "reverse"), 100)
			got, cerr := s.SumPrefix([]byte("sum\x00" + v))
			if err != nil || cerr != nil || len(hits) != want || got != sum {
				t.Fatalf("%s: %d of %d records, sum %d of %d (%v %v)", v, len(hits), want, got, sum, err, cerr)
			}
		}
		changes, err := s.Changes(0, 100)
		if err != nil || len(changes) != len(order) {
			t.Fatalf("%d changes of %d (%v)", len(changes), len(order), err)
		}
		for i, c := range changes {
			if c.Record != recordID(order[i]) {
				t.Fatalf("change %d is %s", i, c.Record)
			}
		}
		report, err := s.Check(context.Background(), derive, nil)
		if err != nil || len(report.Problems) > 0 {
			t.Fatalf("%v %v", report.Problems, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDerivedAgain: records that feed something else are listed as changed
// for those who follow, the others are not.
func TestDerivedAgain(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "s"))
	defer s.Close()
	if err := s.Commit(Batch{Rows: []Row{row(1, "x", 1), row(2, "x", 1)}}); err != nil {
		t.Fatal(err)
	}
	other := row(2, "x", 1)
	other.Derived = row(2, "y", 2).Derived
	if err := s.Commit(Batch{Rederive: true, Rows: []Row{row(1, "x", 1), other}}); err != nil {
		t.Fatal(err)
	}
	changes, err := s.Changes(2, 10)
	if err != nil || len(changes) != 1 || changes[0].Record != recordID(2) {
		t.Errorf("changes %v %v", changes, err)
	}
	if hits, err := s.Scan([]byte("list\x00y\x00"), nil, false, 10); err != nil || len(hits) != 1 || hits[0].ID != recordID(2) {
		t.Errorf("hits %v %v", hits, err)
	}
}

func TestScanGoesOnFromACursor(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "s"))
	defer s.Close()
	b := Batch{}
	for i := range 10 {
		b.Rows = append(b.Rows, row(i, "x", 1))
	}
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
	for _, reverse := range []bool{false, true} {
		var got []byte
		var after []byte
		for {
			hits, err := s.Scan([]byte("list\x00x\x00"), after, reverse, 3)
			if err != nil {
				t.Fatal(err)
			}
			if len(hits) == 0 {
				break
			}
			for _, h := range hits {
				got = append(got, h.ID[15])
				after = h.Key
			}
		}
		want := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		if reverse {
			slices.Reverse(want)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("reverse %v: %v", reverse, got)
		}
	}
}

// TestDamagedValueIsFound in every bucket, by check and by reading.
func TestDamagedValueIsFound(t *testing.T) {
	for _, bucket := range allBuckets {
		path := filepath.Join(t.TempDir(), "s")
		s := open(t, path)
		id := envelope.OpID{Origin: envelope.Sum([]byte("o")), Incarnation: 1, Seq: 1}
		err := s.Commit(Batch{Rows: []Row{row(1, "x", 1), row(2, "y", 2)}, Verdicts: []VerdictRow{{ID: id, Record: recordID(1)}},
			Keys:     []KeyRow{{Key: envelope.KeyID{1}, Record: recordID(1), Organisation: "o", Sealed: []byte("k")}},
			Requests: []RequestRow{{Key: "r", MAC: []byte("m"), Record: recordID(1)}}, Series: map[string]int64{"s": 1}})
		if err != nil {
			t.Fatal(err)
		}
		err = s.db.Update(func(tx *bbolt.Tx) error {
			k, v := tx.Bucket(bucket).Cursor().First()
			if len(v) == 0 {
				return errSkip // holds keys alone
			}
			bad := bytes.Clone(v)
			bad[len(bad)-1] ^= 1
			return tx.Bucket(bucket).Put(bytes.Clone(k), bad)
		})
		if errors.Is(err, errSkip) {
			s.Close()
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		report, err := s.Check(context.Background(), derive, nil)
		if err == nil && len(report.Problems) == 0 {
			t.Errorf("%s: the damage was not found", bucket)
		}
		s.Close()
	}
}

var errSkip = errors.New("nothing to damage")

func TestErasedKeysAreGone(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "s"))
	defer s.Close()
	for i := range 2 {
		r := row(i, "x", 1)
		r.Record.Erased = i == 0
		if err := s.Commit(Batch{Rows: []Row{r}, Keys: []KeyRow{{Key: envelope.KeyID{byte(i + 1)}, Record: recordID(i), Organisation: "o", Sealed: []byte("secret of " + string(rune('a'+i)))}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.EraseKeys(recordID(0)); err != nil {
		t.Fatal(err)
	}
	if err := s.EraseKeys(recordID(1)); err == nil {
		t.Fatal("keys of a record that is not erased were removed")
	}
	if !holds(t, s, "secret of a") {
		t.Fatal("the file never held the key, or bbolt cleans up by itself: Scrub proves nothing")
	}
	if err := s.Scrub(); err != nil {
		t.Fatal(err)
	}
	if holds(t, s, "secret of a") || !holds(t, s, "secret of b") {
		t.Fatal("after scrubbing the erased key must be gone from the file, and only that")
	}
	if _, done, err := s.Erased(recordID(0)); done || err != nil {
		t.Fatal(done, err)
	}
	if err := s.FinishErasing(recordID(0), 7); err != nil {
		t.Fatal(err)
	}
	if at, done, err := s.Erased(recordID(0)); at != 7 || !done || err != nil {
		t.Fatal(at, done, err)
	}
	if report, err := s.Check(context.Background(), derive, nil); err != nil || len(report.Problems) > 0 {
		t.Fatal(report.Problems, err)
	}
	_, gone, err1 := s.Key(recordID(0), envelope.KeyID{1})
	_, kept, err2 := s.Key(recordID(1), envelope.KeyID{2})
	if gone || !kept || err1 != nil || err2 != nil {
		t.Fatal(gone, kept, err1, err2)
	}
}

func holds(t *testing.T, s *Store, text string) bool {
	t.Helper()
	b, err := os.ReadFile(s.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(b, []byte(text))
}

// TestEarlierFormatIsSetAside: it is made again from history and journal,
// whatever buckets it has; a bucket missing from this format is damage.
func TestEarlierFormatIsSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	change := func(f func(tx *bbolt.Tx) error) {
		s := open(t, path)
		if err := errors.Join(s.Commit(Batch{Rows: []Row{row(0, "x", 1)}}), s.db.Update(f), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	change(func(tx *bbolt.Tx) error {
		return errors.Join(tx.DeleteBucket(bucketErased), tx.Bucket(bucketMeta).Put(metaFormat, wrap(metaFormat, []byte{format - 1})))
	})
	s := open(t, path)
	n, err := s.Records()
	if _, missing := os.Stat(path + ".old"); n != 0 || errors.Join(err, missing, s.Close()) != nil {
		t.Fatal(n, err, missing)
	}
	change(func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketErased) })
	var damage *DamageError
	if _, err := Open(path, Options{}); !errors.As(err, &damage) {
		t.Fatal(err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := open(t, path)
	defer s.Close()
	if _, err := Open(path, Options{}); !errors.Is(err, ErrInUse) {
		t.Fatalf("%v", err)
	}
}

func TestLocalForgetsAndSurvivesDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "local.db")
	l, err := OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Second)
	if err := errors.Join(l.Put("b", []byte("old"), []byte("1"), past), l.Put("b", []byte("new"), []byte("2"), time.Now().Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := l.Get("b", []byte("old")); ok {
		t.Error("an expired value is there")
	}
	if n, err := l.Sweep(); err != nil || n != 1 {
		t.Errorf("swept %d (%v)", n, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("damage"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = OpenLocal(path); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := l.Get("b", []byte("new")); ok || err != nil {
		t.Error("a damaged file was read", err)
	}
	l.Close()
}

func TestDigestKnowsNoOrder(t *testing.T) {
	var a, b digest
	a.add([]byte("x"))
	a.add([]byte("y"))
	b.add([]byte("y"))
	b.add([]byte("z"))
	b.add([]byte("x"))
	if a == b {
		t.Fatal("different sets, equal digests")
	}
	b.remove([]byte("z"))
	if a != b {
		t.Fatal("equal sets, different digests")
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, rows := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "s"))
			defer s.Close()
			n := 0
			for b.Loop() {
				batch := Batch{}
				for range rows {
					n++
					r := row(n, "x", 1)
					r.Record.ID = envelope.RecordID{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
					r.Derived, _ = derive(r.Record)
					batch.Rows = append(batch.Rows, r)
				}
				if err := s.Commit(batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestLocalScrub: what was deleted or written over leaves the file, the
// rest stays readable while others read.
func TestLocalScrub(t *testing.T) {
	path := filepath.Join(t.TempDir(), "local.db")
	l, err := OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("long "), 4000) // with pages that overflow
	for i := range 20 {
		err = errors.Join(err, l.Put("kept", []byte{byte(i)}, append([]byte("kept "), big...), time.Time{}), l.Put("b", []byte("over"), fmt.Appendf(nil, "secret %d", i), time.Time{}))
	}
	if err := errors.Join(err, l.Put("b", []byte("gone"), append([]byte("secret too"), big...), time.Time{}), l.Delete("b", []byte("gone")), l.Delete("b", []byte("over"))); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Contains(b, []byte("secret")) {
		t.Fatal("bbolt cleans up by itself: Scrub proves nothing", err)
	}
	stop, read := make(chan bool), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				read <- nil
				return
			default:
				if v, ok, err := l.Get("kept", []byte{7}); err != nil || !ok || !bytes.HasPrefix(v, []byte("kept long")) {
					read <- fmt.Errorf("%v %v", ok, err)
					return
				}
			}
		}
	}()
	for range 5 {
		if err := errors.Join(l.Scrub(), l.Put("b", []byte("after"), []byte("1"), time.Time{})); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("secret")) {
		t.Fatal("what was deleted is still in the file", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = OpenLocal(path); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if rows, err := l.Scan("kept", nil, 100); err != nil || len(rows) != 20 {
		t.Fatal(len(rows), err)
	}
}
