package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// used is a store with every bucket filled and pages of every sort.
func used(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	s := open(t, path)
	origin := envelope.Sum([]byte("o"))
	for i := range 6 {
		b := Batch{Position: envelope.Position{Incarnation: 1, Segment: "s", Seq: uint64(i)}, Series: map[string]int64{fmt.Sprint("series", i): int64(i)}}
		for n := range 20 {
			r := row(i*20+n, fmt.Sprint("v", n%4), int64(n))
			r.Record.Open["text"] = strings.Repeat("x", 40*n)
			b.Rows = append(b.Rows, r)
			b.Verdicts = append(b.Verdicts, VerdictRow{ID: envelope.OpID{Origin: origin, Incarnation: 1, Seq: uint64(i*20 + n)}, Record: r.Record.ID})
			b.Keys = append(b.Keys, KeyRow{Key: envelope.KeyID{byte(i), byte(n), 1}, Record: r.Record.ID, Organisation: "o", Sealed: []byte("sealed")})
			b.Requests = append(b.Requests, RequestRow{Key: fmt.Sprint("request", i, n), MAC: []byte("m"), Record: r.Record.ID})
		}
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// contents is a hash over all that a store holds.
func contents(t *testing.T, s *Store) string {
	t.Helper()
	h := sha256.New()
	err := s.view(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			fmt.Fprintf(h, "%s\n", name)
			return b.ForEach(func(k, v []byte) error {
				_, err := fmt.Fprintf(h, "%x %x\n", k, v)
				return err
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(h.Sum(nil))
}

// flips is how many bits a test turns over; the long profile tries more.
func flips(short int) int {
	if os.Getenv("FENGQIAO_FAULTS") == "full" {
		return 10 * short
	}
	return short
}

// TestFaultFlippedBit: a flipped bit of the file is found by opening or by
// check, or changes nothing of what the store holds: it lay in free pages
// or behind the entries of one.
func TestFaultFlippedBit(t *testing.T) {
	path := used(t)
	s := open(t, path)
	want := contents(t, s)
	var size int64
	s.view(func(tx *bbolt.Tx) error { size = tx.Size(); return nil })
	s.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good = good[:size] // the rest was never a page
	found := 0
	n := flips(400)
	for i := range n {
		bit := rand.IntN(len(good) * 8)
		if i%4 == 3 { // headers are few and decide about whole pages
			bit = rand.IntN(len(good)/os.Getpagesize())*os.Getpagesize()*8 + rand.IntN(16*8)
		}
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		path := fmt.Sprint(path, i) // bbolt keeps its lock when it panics
		defer os.Remove(path)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if flipFound(t, path, want, bit) {
			found++
		}
	}
	t.Logf("%d of %d flips found, the others change nothing", found, n)
	if found < n/4 {
		t.Fatalf("only %d of %d flips hit anything", found, n)
	}
}

func flipFound(t *testing.T, path, want string, bit int) bool {
	t.Helper()
	if problems, err := CheckFile(path); err != nil || len(problems) > 0 {
		return true
	}
	s, err := Open(path, Options{})
	if err != nil {
		return true
	}
	defer s.Close()
	if report, err := s.Check(context.Background(), derive, nil); err != nil || len(report.Problems) > 0 {
		return true
	}
	if contents(t, s) != want {
		t.Fatalf("bit %d changed the store unseen", bit)
	}
	return false
}

// TestUnreadablePagesAreAnError: where bbolt would panic or fault, opening
// and reading give *DamageError.
func TestUnreadablePagesAreAnError(t *testing.T) {
	path := used(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	for at := 2 * os.Getpagesize(); at < int(info.Size()); at++ {
		b[at] = 0xa5
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if problems, err := CheckFile(path); err != nil || len(problems) == 0 {
		t.Fatal(problems, err)
	}
	if err := os.Rename(path, path+"2"); err != nil { // bbolt keeps its lock when it panics
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, Options{})
	var damage *DamageError
	if err == nil {
		_, _, err = s.Record(recordID(1))
		s.Close()
	}
	if !errors.As(err, &damage) {
		t.Fatal(err)
	}
}

// TestStoreOfAnEarlierFormatIsSetAside, to be made again.
func TestStoreOfAnEarlierFormatIsSetAside(t *testing.T) {
	path := used(t)
	s := open(t, path)
	err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(metaFormat, wrap(nil, []byte{1})) })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	defer s.Close()
	if n, err := s.Records(); err != nil || n != 0 {
		t.Fatalf("%d records (%v)", n, err)
	}
	if _, err := os.Stat(path + ".old"); err != nil {
		t.Fatal(err)
	}
}

// TestUnfinishedCreationIsRepeated: what a crash left of a new store is not
// mistaken for one.
func TestUnfinishedCreationIsRepeated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path+".new", bytes.Repeat([]byte{7}, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, path).Close()
}
