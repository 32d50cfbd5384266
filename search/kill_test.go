package search

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// rounds is a source of many changes on few documents: change i gives
// document i mod slots the word n<i>.
type rounds struct{ head uint64 }

const (
	slots     = 97
	killedDir = "FENGQIAO_SEARCH_KILLED"
)

func (r *rounds) Generation() (string, error) { return "g", nil }
func (r *rounds) Head() (uint64, error)       { return r.head, nil }
func (r *rounds) Total() (int64, error)       { return int64(r.head), nil }
func (r *rounds) Changes(_ context.Context, after uint64, limit, _ int) ([]Document, uint64, error) {
	var docs []Document
	for i := after + 1; i <= r.head && len(docs) < min(limit, 100); i++ {
		docs = append(docs, Document{ID: fmt.Sprint(i % slots), Texts: texts("", fmt.Sprintf("n%d", i), ""), Scope: []string{everybody}, Gone: i%10 == 0})
		after = i
	}
	return docs, after, nil
}

// TestKilledChild is the process that TestKillLosesNothing kills.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killedDir)
	if dir == "" {
		t.Skip("runs as a child only")
	}
	x := open(t, dir)
	fmt.Println("open")
	follow(t, x, &rounds{head: 1 << 40})
}

// TestKillLosesNothing: wherever a process is killed while it indexes, the
// place in the index and the documents in it agree, and following goes on
// from there.
func TestKillLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	last := uint64(0)
	for range 6 {
		child := exec.Command(os.Args[0], "-test.run=^TestKilledChild$", "-test.timeout=60s")
		child.Env = append(os.Environ(), killedDir+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "open"; {
		}
		time.Sleep(time.Duration(20+rand.IntN(400)) * time.Millisecond)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		x := open(t, dir)
		at := x.Status().IndexedTo
		if at < last {
			t.Errorf("killed at %d, before at %d", at, last)
		}
		agrees(t, x, at)
		last = at + 250
		follow(t, x, &rounds{head: last})
		agrees(t, x, last)
		closing(t, x)
	}
	if last <= 6*250 {
		t.Error("no child indexed anything")
	}
}

// agrees compares the documents with the changes up to n.
func agrees(t *testing.T, x *Index, n uint64) {
	t.Helper()
	want := uint64(0)
	for i := n; i > 0 && i+slots > n; i-- {
		found := find(t, x, Query{Words: words(fmt.Sprintf("n%d", i)), Scopes: allScopes()})
		gone := i%10 == 0
		if found.Total > 0 == gone {
			t.Errorf("at %d: change %d is found %d times", n, i, found.Total)
		}
		if !gone {
			want++
		}
	}
	if s := x.Status(); s.Documents != want || s.IndexedTo != n {
		t.Errorf("at %d: %d documents, want %d", s.IndexedTo, s.Documents, want)
	}
}
