package search

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blevesearch/bleve/v2/document"
	"pgregory.net/rapid"
)

// list is a source over a slice.
type list struct {
	docs       []Document
	generation string
	asked      atomic.Int64 // the index asks while a test waits
}

func (l *list) Generation() (string, error) { return l.generation, nil }
func (l *list) Head() (uint64, error)       { return uint64(len(l.docs)), nil }
func (l *list) Total() (int64, error)       { return int64(len(l.docs)), nil }
func (l *list) Changes(_ context.Context, after uint64, limit, size int) ([]Document, uint64, error) {
	l.asked.Add(1)
	end := int(after)
	for n := 0; end < len(l.docs) && end < int(after)+limit && n < size; end++ {
		n += l.docs[end].size()
	}
	return l.docs[after:end], uint64(end), nil
}

// everybody is the scope term of documents that every asker of these tests
// may see.
const everybody = "x0"

var all = Scope{{{everybody}}}

func allScopes() [classes]Scope { return [classes]Scope{all, all, all} }

func texts(summary, text, identity string) [classes]string {
	return [classes]string{summary, text, identity}
}

func words(text string) (out []Word) {
	for _, w := range strings.Fields(text) {
		out = append(out, Word{Text: w})
	}
	return out
}

// failing is what these helpers need of a test; rapid's has no more.
type failing interface {
	Helper()
	Fatal(...any)
}

func open(t failing, dir string) *Index {
	t.Helper()
	x, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func filled(t testing.TB, docs []Document) (*Index, *list, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "index")
	x := open(t, dir)
	src := &list{docs: docs, generation: "g1"}
	follow(t, x, src)
	return x, src, dir
}

func follow(t failing, x *Index, src Source) {
	t.Helper()
	if err := x.catchUp(context.Background(), src); err != nil {
		t.Fatal(err)
	}
}

func find(t failing, x *Index, q Query) Hits {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	hits, err := x.Find(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return hits
}

func closing(t failing, x *Index) {
	t.Helper()
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

var samples = []Document{
	{ID: "a", Kind: "event", Type: "01", State: "open", Year: "2026", Texts: texts("枫事〔2026〕00001号 民生服务", "村口路灯不亮 张建国反映", "王小明"), Numbers: []string{FoldNumber("枫事〔2026〕00001号")}, At: 1, Village: "v1", Scope: []string{everybody}},
	{ID: "b", Kind: "mediation", Type: "02", State: "closed", Year: "2026", Texts: texts("〔2026〕枫人调0012号", "邻居建房，挡住采光引起糾紛", ""), Numbers: []string{FoldNumber("〔2026〕枫人调0012号")}, At: 2, Village: "v2", Scope: []string{everybody}, Hashes: []string{"h1"}},
	{ID: "c", Kind: "event", Type: "01", State: "open", Year: "2025", Texts: texts("", "河道垃圾 ABC公司 排放12吨", ""), At: 3, Village: "v1", Scope: []string{everybody}},
}

func TestFinding(t *testing.T) {
	x, _, _ := filled(t, samples)
	defer closing(t, x)
	for text, want := range map[string]string{
		"灯": "a", "路灯": "a", "挡住采光": "b", "采光 邻居": "b", "采光，邻居": "b", "ａｂｃ": "c", "ABC公司": "c", "12": "c", "1": "", "排放12吨": "c",
		"枫事[2026]00001号": "a", "（2026）枫人调0012号": "b", "【２０２６】枫人调0012号": "b", "2026枫人调0012号": "b", "枫人调0012": "b", "00001": "a",
		"不存在": "", "灯不": "a", "建房挡住": "", "纠纷": "b", "糾紛": "b", "王小明": "a", "王小明 路灯": "a", "王小明 垃圾": "",
		"": "c,b,a", "***": "", "？ 路灯": "a", "路灯*": "a", "kind:event": "", "*:*": "", "/.*/": "", "\"路灯\"~9": "",
	} {
		hits := find(t, x, Query{Words: words(text), Scopes: allScopes()})
		if got := strings.Join(hits.IDs, ","); got != want || int(hits.Total) != len(hits.IDs) {
			t.Errorf("%q gave %q of %d, want %q", text, got, hits.Total, want)
		}
	}
	if hits := find(t, x, Query{Words: []Word{{Text: "13800001234", Hash: "h1"}}, Scopes: allScopes()}); !slices.Equal(hits.IDs, []string{"b"}) {
		t.Errorf("by hash: %v", hits.IDs)
	}
}

func TestFilters(t *testing.T) {
	x, _, _ := filled(t, samples)
	defer closing(t, x)
	for want, q := range map[string]Query{
		"c,a": {Village: "v1"}, "b": {Kind: "mediation"}, "c": {Year: "2025"}, "b,a": {To: 3}, "c,b": {From: 2},
		"a": {Kind: "event", Words: words("路灯")}, "": {Kind: "mediation", Words: words("路灯")},
	} {
		q.Scopes = allScopes()
		if got := strings.Join(find(t, x, q).IDs, ","); got != want {
			t.Errorf("%+v gave %q, want %q", q, got, want)
		}
	}
	q := Query{Scopes: allScopes(), Except: []string{"b"}, Offset: 1, Limit: 1}
	if hits := find(t, x, q); !slices.Equal(hits.IDs, []string{"a"}) || hits.Total != 2 {
		t.Errorf("second page without b: %+v", hits)
	}
	want := []Facet{{"event", "01", "v1", "2025", "open", 1}, {"event", "01", "v1", "2026", "open", 1}, {"mediation", "02", "v2", "2026", "closed", 1}}
	got := find(t, x, Query{Scopes: allScopes()}).Facets
	slices.SortFunc(got, func(a, b Facet) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	if !slices.Equal(got, want) {
		t.Errorf("facets %v", got)
	}
}

// TestClassesHaveTheirOwnScopes: the same word is found or not by where it
// stands and what the asker may read there; nothing is counted otherwise.
func TestClassesHaveTheirOwnScopes(t *testing.T) {
	x, _, _ := filled(t, []Document{
		{ID: "s", Kind: "k", Texts: texts("采光", "", ""), Scope: []string{"f1", "o1"}},
		{ID: "t", Kind: "k", Texts: texts("", "采光 路灯", ""), Scope: []string{"f1", "o1"}},
		{ID: "i", Kind: "k", Texts: texts("", "路灯", "采光"), Scope: []string{"f1", "o1"}, Hashes: []string{"h"}},
		{ID: "other", Kind: "k", Texts: texts("采光", "采光", "采光"), Scope: []string{"f1", "o2"}, Hashes: []string{"h"}},
	})
	defer closing(t, x)
	mine := Scope{{{"f1"}, {"o1", "o9"}}}
	for _, c := range []struct {
		text   string
		hash   string
		scopes [classes]Scope
		want   string
	}{
		{"采光", "", [classes]Scope{}, ""},
		{"", "", [classes]Scope{}, ""},
		{"", "", [classes]Scope{mine, nil, nil}, "i,s,t"},
		{"采光", "", [classes]Scope{mine, nil, nil}, "s"},
		{"采光", "", [classes]Scope{mine, mine, nil}, "s,t"},
		{"采光", "", [classes]Scope{mine, mine, mine}, "i,s,t"},
		{"采光 路灯", "", [classes]Scope{mine, mine, nil}, "t"},
		{"采光 路灯", "", [classes]Scope{mine, mine, mine}, "i,t"},
		{"1", "h", [classes]Scope{mine, mine, nil}, ""},
		{"1", "h", [classes]Scope{mine, mine, mine}, "i"},
		{"采光", "", [classes]Scope{all, all, all}, ""},
	} {
		q := Query{Scopes: c.scopes}
		if c.text != "" {
			q.Words = words(c.text)
			q.Words[0].Hash = c.hash
		}
		hits := find(t, x, q)
		slices.Sort(hits.IDs)
		counted := 0
		for _, f := range hits.Facets {
			counted += f.N
		}
		if got := strings.Join(hits.IDs, ","); got != c.want || int(hits.Total) != len(hits.IDs) || counted != len(hits.IDs) {
			t.Errorf("%q under %v gave %q (%d, %d in facets), want %q", c.text, c.scopes, got, hits.Total, counted, c.want)
		}
	}
	ids, err := x.Like(context.Background(), Like{Text: "采光路灯", Scope: mine, Limit: 9})
	slices.Sort(ids)
	if err != nil || !slices.Equal(ids, []string{"i", "t"}) {
		t.Errorf("alike: %v (%v)", ids, err)
	}
}

// TestNothingIsMissed: whatever stands in a text is found by it, in
// whatever form it is written; and a word that is counted as exact stands
// there.
func TestNothingIsMissed(t *testing.T) {
	runes := []rune("村口路灯不亮河道垃圾鄰里糾紛ａb１2 ，。")
	x, src, _ := filled(t, nil)
	defer closing(t, x)
	rapid.Check(t, func(rt *rapid.T) {
		docs := make([]Document, rapid.IntRange(1, 8).Draw(rt, "docs"))
		for i := range docs {
			docs[i] = Document{ID: fmt.Sprint(i), Texts: texts("", rapid.StringOfN(rapid.RuneFrom(runes), 1, 20, -1).Draw(rt, "text"), ""), Scope: []string{everybody}}
		}
		for i := len(docs); i < 8; i++ {
			src.docs = append(src.docs, Document{ID: fmt.Sprint(i), Gone: true})
		}
		src.docs = append(src.docs, docs...)
		follow(t, x, src)
		source := []rune(docs[0].Texts[Text])
		from := rapid.IntRange(0, len(source)-1).Draw(rt, "from")
		to := rapid.IntRange(from+1, len(source)).Draw(rt, "to")
		text := string(source[from:to])
		cut := from > 0 && isWord(Fold(source[from-1])) && isWord(Fold(source[from])) || to < len(source) && isWord(Fold(source[to-1])) && isWord(Fold(source[to]))
		if cut || len(Words(text)) == 0 {
			return // signs alone, and parts of a run of letters, are not words
		}
		hits := find(rt, x, Query{Words: words(text), Scopes: allScopes()})
		if !slices.Contains(hits.IDs, "0") {
			rt.Fatalf("%q is not found in %q", text, docs[0].Texts[Text])
		}
		for _, id := range hits.IDs {
			for i := range docs {
				if docs[i].ID == id && hits.Exact && len(Words(text)) == 1 && len(Mark(docs[i].Texts[Text], text)) == 0 {
					rt.Fatalf("%q is said to stand in %q", text, docs[i].Texts[Text])
				}
			}
		}
	})
}

func TestFolding(t *testing.T) {
	for in, want := range map[string]string{"ＡＢＣ　１２": "abc 12", "糾紛調解": "纠纷调解", "Ｘ": "x", "〔2026〕": "〔2026〕", "枫桥": "枫桥", "衞著瞭": "卫着了"} {
		if got := FoldString(in); got != want {
			t.Errorf("%q folds to %q, want %q", in, got, want)
		}
	}
	if len(simplified) < 3000 {
		t.Errorf("%d traditional characters are known", len(simplified))
	}
}

func TestTermsOfWords(t *testing.T) {
	for in, want := range map[string]string{"灯": "灯", "路灯": "路灯", "路灯亮": "路灯 灯亮", "哈哈哈": "哈哈", "ABC公司": "abc 公司", "A灯": "a 灯", "第3组": "第 3 组", "": ""} {
		if got := strings.Join(termsOf(FoldString(in)), " "); got != want {
			t.Errorf("%q has the terms %q, want %q", in, got, want)
		}
	}
}

func TestMarksAreWholeMatches(t *testing.T) {
	for _, c := range []struct{ text, query, want string }{
		{"邻居建房挡住采光，采光权", "采光", "[[6 8] [9 11]]"}, {"鄰居", "邻居", "[[0 2]]"}, {"<b>灯</b>", "灯 b", "[[3 4] [1 2] [6 7]]"}, {"路灯", "灯路", "[]"}, {"路灯", "，", "[]"},
	} {
		if got := fmt.Sprint(Mark(c.text, c.query)); got != c.want {
			t.Errorf("%q in %q: %s, want %s", c.query, c.text, got, c.want)
		}
	}
}

func TestCheckpointSurvives(t *testing.T) {
	x, src, dir := filled(t, samples)
	closing(t, x)
	x = open(t, dir)
	src.asked.Store(0)
	follow(t, x, src)
	if src.asked.Load() != 0 || x.Status().IndexedTo != 3 || x.Status().Rebuilding {
		t.Fatalf("%+v after %d questions", x.Status(), src.asked.Load())
	}
	src.generation, src.docs = "g2", src.docs[:1]
	follow(t, x, src)
	if n := x.Status().Documents; n != 1 {
		t.Fatalf("%d documents after another generation", n)
	}
	closing(t, x)
}

// TestRebuildSaysHowFar: a rebuild goes on where it was after a restart,
// answers with what it has, and says how far it is.
func TestRebuildSaysHowFar(t *testing.T) {
	docs := make([]Document, 3*largeBatch)
	for i := range docs {
		docs[i] = Document{ID: fmt.Sprint(i), Texts: texts("", "路灯", ""), Scope: []string{everybody}}
	}
	dir := filepath.Join(t.TempDir(), "index")
	x, src := open(t, dir), &list{docs: docs, generation: "g"}
	if _, err := x.step(t.Context(), src, "g"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s := x.Status()
		if !s.Rebuilding || s.Percent != 33 || s.IndexedTo != largeBatch || find(t, x, Query{Words: words("路灯"), Scopes: allScopes()}).Total != largeBatch {
			t.Fatalf("%+v", s)
		}
		if x.WaitFor(t.Context(), 3*largeBatch) {
			t.Fatal("waited for a rebuild")
		}
		closing(t, x)
		x = open(t, dir)
		x.total = int64(len(docs))
	}
	follow(t, x, src)
	if s := x.Status(); s.Rebuilding || s.Percent != 100 || s.Documents != 3*largeBatch {
		t.Fatalf("%+v", s)
	}
	x.Rebuild()
	src.asked.Store(0)
	follow(t, x, src)
	if s := x.Status(); src.asked.Load() == 0 || s.Documents != 3*largeBatch || s.Rebuilding {
		t.Fatalf("asked for a rebuild: %+v after %d questions", s, src.asked.Load())
	}
	closing(t, x)
}

// TestBatchesAreBounded: however long the texts, a batch is a few megabytes.
func TestBatchesAreBounded(t *testing.T) {
	long := strings.Repeat("长", 300_000)
	x, src, _ := filled(t, []Document{{ID: "1", Texts: texts("", long, "")}, {ID: "2", Texts: texts("", long, "")}, {ID: "3", Texts: texts("", long, "")}, {ID: "4"}})
	defer closing(t, x)
	if src.asked.Load() < 2 {
		t.Errorf("%d batches", src.asked.Load())
	}
}

// damage spoils the files of an index that match.
func damage(t *testing.T, dir, pattern string, spoil func(path string) error) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "store", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s in the index (%v)", pattern, err)
	}
	for _, f := range files {
		if err := spoil(f); err != nil {
			t.Fatal(err)
		}
	}
}

func flip(path string) error {
	b, err := os.ReadFile(path)
	if err == nil {
		b[len(b)/3] ^= 0xff
		err = os.WriteFile(path, b, 0o600)
	}
	return err
}

func age(path string) error {
	old := time.Now().Add(-time.Hour)
	return os.Chtimes(path, old, old)
}

// TestDamageIsHealed: whatever is cut, missing or changed is found, at the
// latest by the check of the segments that Follow begins with, and the
// index is whole again without anybody's doing.
func TestDamageIsHealed(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"root cut": func(t *testing.T, dir string) {
			damage(t, dir, "root.bolt", func(p string) error { return os.Truncate(p, 10) })
		},
		"root halved": func(t *testing.T, dir string) {
			damage(t, dir, "root.bolt", func(p string) error { return os.Truncate(p, 20_000) })
		},
		"root missing":    func(t *testing.T, dir string) { damage(t, dir, "root.bolt", os.Remove) },
		"segment missing": func(t *testing.T, dir string) { damage(t, dir, "*.zap", os.Remove) },
		"segment cut": func(t *testing.T, dir string) {
			damage(t, dir, "*.zap", func(p string) error { return os.Truncate(p, 100) })
		},
		"segment changed": func(t *testing.T, dir string) { damage(t, dir, "*.zap", flip); damage(t, dir, "*.zap", age) },
		"all missing": func(t *testing.T, dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			x, src, dir := filled(t, samples)
			closing(t, x)
			spoil(t, dir)
			x = open(t, dir)
			defer closing(t, x)
			src.asked.Store(0)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); x.Follow(ctx, src, slog.New(slog.DiscardHandler)) }()
			deadline := time.Now().Add(20 * time.Second)
			for s := x.Status(); s.Documents != 3 || s.Rebuilding || src.asked.Load() == 0; s = x.Status() {
				if time.Now().After(deadline) {
					t.Fatalf("not healed: %+v", s)
				}
				time.Sleep(5 * time.Millisecond)
			}
			cancel()
			<-done
			if hits := find(t, x, Query{Words: words("采光"), Scopes: allScopes()}); !slices.Equal(hits.IDs, []string{"b"}) {
				t.Errorf("found %v", hits.IDs)
			}
		})
	}
}

// TestFailedBeginningIsRepeated: where a new index could not be made, the
// next look tries again.
func TestFailedBeginningIsRepeated(t *testing.T) {
	x, src, dir := filled(t, samples)
	defer closing(t, x)
	x.dir = filepath.Join(dir, "index_meta.json", "no directory")
	x.Rebuild()
	if err := x.catchUp(t.Context(), src); err == nil {
		t.Fatal("an index inside a file")
	}
	if _, err := x.Find(t.Context(), Query{Scopes: allScopes(), Limit: 1}); err == nil {
		t.Error("a closed index answers")
	}
	x.dir = dir
	follow(t, x, src)
	if s := x.Status(); s.Documents != 3 || s.Rebuilding {
		t.Errorf("%+v", s)
	}
}

// TestOpensWithoutRoom: where no index can be begun, the box has none, says
// so, and makes one when it is possible.
func TestOpensWithoutRoom(t *testing.T) {
	place := filepath.Join(t.TempDir(), "full")
	if err := os.WriteFile(place, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	x := open(t, filepath.Join(place, "index"))
	defer closing(t, x)
	if s := x.Status(); s.LastError == "" || !s.Rebuilding {
		t.Fatalf("it says nothing: %+v", s)
	}
	if hits := find(t, x, Query{Words: words("采光"), Scopes: allScopes()}); len(hits.IDs) > 0 {
		t.Errorf("found %v", hits.IDs)
	}
	src := &list{generation: "one", docs: samples}
	if err := x.catchUp(t.Context(), src); err == nil {
		t.Fatal("an index inside a file")
	}
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	follow(t, x, src)
	if s := x.Status(); s.Documents != 3 || s.Rebuilding || s.LastError != "" {
		t.Errorf("%+v", s)
	}
	if hits := find(t, x, Query{Words: words("采光"), Scopes: allScopes()}); !slices.Equal(hits.IDs, []string{"b"}) {
		t.Errorf("found %v", hits.IDs)
	}
}

// TestErasedTermsLeaveTheDisk: no term of an erased document is in any
// dictionary of the index any more.
func TestErasedTermsLeaveTheDisk(t *testing.T) {
	docs := slices.Clone(samples)
	x, src, dir := filled(t, docs)
	src.docs = append(src.docs, Document{ID: "d", Texts: texts("", "邻居", ""), Scope: []string{everybody}})
	follow(t, x, src)
	src.docs = append(src.docs, Document{ID: "a", Erased: true})
	for end := time.Now().Add(20 * time.Second); ; {
		follow(t, x, src)
		if hits := find(t, x, Query{Words: words("路灯"), Scopes: allScopes()}); hits.Total != 0 {
			t.Fatal("an erased document is found")
		}
		if !x.place.Purge {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the segments were not rewritten")
		}
	}
	for _, name := range classFields {
		dict, err := x.index.FieldDict(name)
		if err != nil {
			t.Fatal(err)
		}
		for e, err := dict.Next(); e != nil; e, err = dict.Next() {
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains([]string{"路灯", "王小", "00001"}, e.Term) {
				t.Errorf("%s is still in the dictionary of %s", e.Term, name)
			}
		}
		if err := dict.Close(); err != nil {
			t.Fatal(err)
		}
	}
	closing(t, x)
	x = open(t, dir)
	defer closing(t, x)
	if n := x.Status().Documents; n != 3 {
		t.Errorf("%d documents", n)
	}
	waitForOneSegment(t, dir)
}

// waitForOneSegment: merged segments are removed soon after.
func waitForOneSegment(t *testing.T, dir string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(dir, "store", "*.zap"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("segments %v", files)
		}
	}
}

// TestNoTextIsStored: the index can name documents and nothing else of them.
func TestNoTextIsStored(t *testing.T) {
	x, _, _ := filled(t, samples)
	defer closing(t, x)
	doc, err := x.index.Document("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range doc.(*document.Document).Fields {
		t.Errorf("%s is stored", f.Name())
	}
}
