package search

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// list is a source over a slice.
type list struct {
	docs       []Document
	generation string
}

func (l *list) Generation() (string, error) { return l.generation, nil }
func (l *list) Head() (uint64, error)       { return uint64(len(l.docs)), nil }
func (l *list) Changes(_ context.Context, after uint64, limit int) ([]Document, uint64, error) {
	end := min(int(after)+limit, len(l.docs))
	return l.docs[after:end], uint64(end), nil
}

func filled(t interface {
	TempDir() string
	Fatal(...any)
}, docs []Document) (*Index, *list, string) {
	dir := filepath.Join(t.TempDir(), "index")
	x, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	src := &list{docs: docs, generation: "g1"}
	if err := x.catchUp(context.Background(), src); err != nil {
		t.Fatal(err)
	}
	return x, src, dir
}

var samples = []Document{
	{ID: "a", Kind: "event", Text: "村口路灯不亮 张建国反映", Numbers: []string{FoldNumber("枫事〔2026〕00001号")}, At: 1, Village: "v1"},
	{ID: "b", Kind: "mediation", Text: "邻居建房挡住采光引起纠纷", Numbers: []string{FoldNumber("〔2026〕枫人调0012号")}, At: 2, Village: "v2"},
	{ID: "c", Kind: "event", Text: "河道垃圾 ABC公司 排放", At: 3, Village: "v1"},
}

func TestFinding(t *testing.T) {
	x, _, _ := filled(t, samples)
	defer x.Close()
	for text, want := range map[string]string{
		"灯": "a", "路灯": "a", "挡住采光": "b", "采光 邻居": "b", "ａｂｃ": "c", "枫事[2026]00001号": "a", "（2026）枫人调0012号": "b",
		"不存在": "", "灯不": "a", "": "c,b,a",
	} {
		ids, _, err := x.Candidates(context.Background(), Query{Text: text})
		if err != nil || strings.Join(ids, ",") != want {
			t.Errorf("%q gave %v, want %s (%v)", text, ids, want, err)
		}
	}
	ids, _, err := x.Candidates(context.Background(), Query{Village: "v1", ByTime: true})
	if err != nil || strings.Join(ids, ",") != "c,a" {
		t.Errorf("village gave %v (%v)", ids, err)
	}
}

// TestNothingIsMissed: whatever stands in a text is found by it.
func TestNothingIsMissed(t *testing.T) {
	runes := []rune("村口路灯不亮河道垃圾邻里纠纷ab12 ，。")
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		docs := make([]Document, rapid.IntRange(1, 8).Draw(rt, "docs"))
		for i := range docs {
			docs[i] = Document{ID: fmt.Sprint(i), Text: rapid.StringOfN(rapid.RuneFrom(runes), 1, 20, -1).Draw(rt, "text")}
		}
		x, err := Open(filepath.Join(dir, fmt.Sprint(n)))
		if err != nil {
			rt.Fatal(err)
		}
		defer x.Close()
		if err := x.catchUp(context.Background(), &list{docs: docs, generation: "g"}); err != nil {
			rt.Fatal(err)
		}
		source := []rune(docs[0].Text)
		from := rapid.IntRange(0, len(source)-1).Draw(rt, "from")
		word := strings.TrimSpace(string(source[from:rapid.IntRange(from+1, len(source)).Draw(rt, "to")]))
		words := Words(word)
		if len(words) != 1 || len(words[0].Terms) == 0 || strings.ContainsAny(word, "，。ab12 ") {
			return // punctuation alone and cut words are not searched by parts
		}
		ids, _, err := x.Candidates(context.Background(), Query{Text: word})
		if err != nil || !slices.Contains(ids, "0") {
			rt.Fatalf("%q is not found in %q (%v)", word, docs[0].Text, err)
		}
	})
}

func TestCheckpointSurvives(t *testing.T) {
	x, src, dir := filled(t, samples)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	x, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := x.checkpoint("g1"); err != nil || at != 3 {
		t.Fatalf("checkpoint %d, %v", at, err)
	}
	src.generation = "g2"
	src.docs = src.docs[:1]
	if err := x.catchUp(context.Background(), src); err != nil {
		t.Fatal(err)
	}
	if n := x.Status().Documents; n != 1 {
		t.Fatalf("%d documents after another generation", n)
	}
	x.Close()
}

func TestDamagedIndexBeginsAgain(t *testing.T) {
	for _, damage := range []func(path string) error{
		func(p string) error { return os.Truncate(p, 10) },
		func(p string) error { return os.Remove(p) },
	} {
		x, _, dir := filled(t, samples)
		x.Close()
		err := filepath.Walk(dir, func(p string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() || !strings.HasSuffix(p, ".bolt") {
				return err
			}
			return damage(p)
		})
		if err != nil {
			t.Fatal(err)
		}
		x, err = Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if at, err := x.checkpoint("g1"); err != nil || at != 0 {
			t.Fatalf("a damaged index claims %d (%v)", at, err)
		}
		x.Close()
	}
}

func TestMarksAreWholeMatches(t *testing.T) {
	got := Mark("邻居建房挡住采光，采光权", Words("采光"))
	if fmt.Sprint(got) != "[[6 8] [9 11]]" {
		t.Fatalf("marks %v", got)
	}
}
