package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/fengqiao/fengqiao/cluster/envelope/frame"
)

func filled(t *testing.T, n int) (dir, file string, head Head) {
	dir = t.TempDir()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if head, err = l.Append(Entry{At: int64(i), Action: "reveal", Actor: fmt.Sprint(i % 3), Result: "ok"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := files(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, names[0]), head
}

func TestReadGivesNewestFirst(t *testing.T) {
	dir, _, head := filled(t, 10)
	l, err := Open(dir)
	if err != nil || l.Head() != head {
		t.Fatalf("head %v, want %v (%v)", l.Head(), head, err)
	}
	got, err := l.Read(Filter{Actor: "1", Limit: 2})
	if err != nil || len(got) != 2 || got[0].Seq != 8 || got[1].Seq != 5 {
		t.Fatalf("got %v, %v", got, err)
	}
	older, err := l.Read(Filter{Actor: "1", Before: 5})
	if err != nil || len(older) != 1 || older[0].Seq != 2 {
		t.Fatalf("got %v, %v", older, err)
	}
}

// TestReadPagesFromTheEnd: pages over many files give each entry once; what
// lies before a page is not even read, and what a page reads is verified.
func TestReadPagesFromTheEnd(t *testing.T) {
	const entries = 100
	dir := t.TempDir()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.limit = 1000
	for i := range entries {
		if _, err := l.Append(Entry{At: int64(i), Action: "reveal", Result: "ok"}); err != nil {
			t.Fatal(err)
		}
	}
	names, err := files(dir)
	if err != nil || len(names) < 5 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	for size := 1; size <= 23; size++ {
		want := uint64(entries)
		for before := uint64(0); before != 1; {
			page, err := l.Read(Filter{Before: before, Limit: size})
			if err != nil || len(page) == 0 {
				t.Fatalf("%d before %d: %d, %v", size, before, len(page), err)
			}
			for _, e := range page {
				if e.Seq != want {
					t.Fatalf("%d before %d: entry %d, want %d", size, before, e.Seq, want)
				}
				want--
			}
			before = page[len(page)-1].Seq
		}
		if want != 0 {
			t.Fatalf("pages of %d end at %d", size, want)
		}
	}
	rewrite(t, filepath.Join(dir, names[1]))
	if page, err := l.Read(Filter{Limit: 10}); err != nil || len(page) != 10 {
		t.Errorf("the newest page: %d, %v", len(page), err)
	}
	var damage *DamageError
	if _, err := l.Read(Filter{}); !errors.As(err, &damage) || damage.File != names[1] {
		t.Errorf("a changed entry with a right checksum: %v", err)
	}
}

// rewrite changes the second entry of a file and its checksum with it.
func rewrite(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	places, err := split(path, b)
	if err != nil {
		t.Fatal(err)
	}
	body, _, _ := entryIn(b[places[1]:])
	at := bytes.Index(body, []byte("reveal"))
	copy(body[at:], "reWeal")
	binary.BigEndian.PutUint32(b[places[1]+4:], frame.Sum(body))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTamperingIsFound(t *testing.T) {
	dir, file, head := filled(t, 5)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	one := len(good) / 5
	cases := map[string][]byte{
		"removed":   append(bytes.Clone(good[:one]), good[2*one:]...),
		"reordered": append(append(append(bytes.Clone(good[:one]), good[2*one:3*one]...), good[one:2*one]...), good[3*one:]...),
		"cut":       good[:4*one],
	}
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 0x20
		cases[fmt.Sprintf("flipped %d", at)] = bad
	}
	for name, bad := range cases {
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Verify(dir, head)
		var damage *DamageError
		if !errors.As(err, &damage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoEntryIsATail: a changed bit is damage even when nobody remembers
// the head, and opening leaves the file alone.
func TestNoEntryIsATail(t *testing.T) {
	dir, file, _ := filled(t, 3)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[at/8] ^= 1 << (at % 8)
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		var damage *DamageError
		if _, err := Verify(dir, Head{}); !errors.As(err, &damage) {
			t.Fatalf("bit %d: %v", at, err)
		}
		if _, err := Open(dir); !errors.As(err, &damage) {
			t.Fatalf("bit %d: opened, %v", at, err)
		}
		if now, _ := os.ReadFile(file); !bytes.Equal(now, bad) {
			t.Fatalf("bit %d: the file was touched", at)
		}
	}
	_, one, _ := entryIn(good)
	_, two, _ := entryIn(good[one:])
	bad := bytes.Clone(good)
	clear(bad[one : one+two]) // an entry before another is gone
	if err := os.WriteFile(file, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Fatal("an entry before another was cut")
	}
}

func TestUnfinishedEntryIsCut(t *testing.T) {
	dir, file, _ := filled(t, 3)
	good, _ := os.ReadFile(file)
	for cut := len(good)*2/3 + 1; cut < len(good); cut++ {
		if err := os.WriteFile(file, good[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(dir)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if l.Head().Seq != 2 {
			t.Fatalf("cut at %d: head %d", cut, l.Head().Seq)
		}
		l.Close()
	}
}
