package node_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
	"github.com/fengqiao/fengqiao/node/store"
)

const (
	phone    = "13800001234"
	idcard   = "330681199001011237"
	villageA = township + "290"
	villageB = township + "291"
	station  = township + "-S01"
	panel    = township + "-C01"
)

// town is a founded box with people of every business role.
type town struct {
	t      *testing.T
	node   *node.Node
	dir    string
	people map[string]service.Caller
}

func newTown(t *testing.T) *town {
	w := &town{t: t, dir: filepath.Join(t.TempDir(), "box"), people: map[string]service.Caller{}}
	w.node, w.people["duty"], _ = founded(t, w.dir)
	t.Cleanup(func() { w.close() })
	_, err := w.node.Box.ImportDivisions(t.Context(), []service.Division{
		{Code: "330681", Name: "诸暨市", Level: domain.LevelCounty}, {Code: township, Name: "枫桥镇", Level: domain.LevelTownship, Parent: "330681", Abbr: "枫"},
		{Code: villageA, Name: "枫源村", Level: domain.LevelVillage, Parent: township}, {Code: villageB, Name: "新择湖村", Level: domain.LevelVillage, Parent: township},
		{Code: station, Name: "司法所", Level: domain.LevelStation, Parent: township}, {Code: panel, Name: "调委会", Level: domain.LevelCommittee, Parent: township, Abbr: "枫"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, g := range map[string]domain.Grant{
		"cadre": {Role: domain.RoleVillageCadre, Organisation: villageA}, "other cadre": {Role: domain.RoleVillageCadre, Organisation: villageB},
		"grid": {Role: domain.RoleGridMember, Organisation: villageA}, "mediator": {Role: domain.RoleMediator, Organisation: panel},
		"leader": {Role: domain.RoleLeader, Organisation: township},
	} {
		r, _, err := w.node.Box.CreateAccount(t.Context(), w.node.Box.Technician(), service.NewAccount{Username: strings.ReplaceAll(name, " ", "_") + "01", Name: "测试", Grants: []domain.Grant{g}})
		if err != nil {
			t.Fatal(err)
		}
		w.people[name] = service.Caller{Subject: domain.Subject{User: r.ID, Grants: []domain.Grant{g}}, Lang: "zh"}
	}
	// These only read, for which the grants alone count.
	for i, g := range []domain.Grant{{Role: domain.RoleStationOfficer, Organisation: station}, {Role: domain.RoleMediator, Organisation: panel},
		{Role: domain.RolePetitionOfficer, Organisation: township}, {Role: domain.RoleJusticeOfficer, Organisation: station}} {
		name := []string{"station", "other mediator", "petitions", "justice"}[i]
		w.people[name] = service.Caller{Subject: domain.Subject{User: envelope.RecordID{9, byte(i)}, Grants: []domain.Grant{g}}, Lang: "zh"}
	}
	return w
}

func (w *town) close() {
	if w.node != nil {
		if err := w.node.Close(); err != nil {
			w.t.Error(err)
		}
	}
	w.node = nil
}

func (w *town) report(who, kind string, fields map[string]any) *domain.Record {
	w.t.Helper()
	r, err := w.node.Box.Create(w.t.Context(), w.people[who], kind, "", service.Input{Fields: fields})
	if err != nil {
		w.t.Fatalf("%s by %s: %v", kind, who, err)
	}
	return r
}

func (w *town) search(who string, q service.SearchQuery) api.SearchResult {
	w.t.Helper()
	out, err := w.node.Box.Search(w.t.Context(), w.people[who], q)
	if err != nil {
		w.t.Fatalf("%q by %s: %v", q.Text, who, err)
	}
	if out.IndexedTo < out.Head {
		w.t.Fatalf("%q: the index stands at %d of %d", q.Text, out.IndexedTo, out.Head)
	}
	return out
}

func found(out api.SearchResult) []string {
	ids := []string{}
	for _, h := range out.Items {
		ids = append(ids, h.Row.ID)
	}
	slices.Sort(ids)
	return ids
}

// TestSearchShowsWhatIsSeen (I23): for every person and word, hits, totals
// and facets are those records that hold the word in a class of text that
// the person may read there, as the record page itself decides.
func TestSearchShowsWhatIsSeen(t *testing.T) {
	w := newTown(t)
	person := map[string]any{"people/0/name": "王小明", "people/0/phone": phone, "people/0/idcard": idcard}
	event := func(title, village string, more map[string]any) map[string]any {
		out := map[string]any{"title": title, "type": "01", "village": village, "content": "联系电话" + phone + "，采光受阻"}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	records := []*domain.Record{
		w.report("cadre", "event", event("挡住采光甲", villageA, person)),
		w.report("grid", "event", event("挡住采光乙", villageA, nil)),
		w.report("other cadre", "event", event("挡住采光丙", villageB, person)),
		w.report("duty", "event", event("挡住采光丁", villageB, map[string]any{"restricted": "minor"})),
		w.report("cadre", "event", event("挡住采光戊", villageA, map[string]any{"restricted": "informer", "people/0/name": "王小明"})),
		w.report("mediator", "mediation", map[string]any{"title": "挡住采光己", "type": "01", "source": "application", "committee": panel, "village": villageA, "facts": "采光", "parties/0/name": "王小明", "parties/0/role": "applicant", "parties/0/phone": phone}),
		w.report("mediator", "mediation", map[string]any{"title": "挡住采光庚", "type": "01", "source": "application", "committee": panel, "village": villageA, "violence_check": "suspected"}),
	}
	classes := map[string]string{"采光": "text", "挡住采光": "text", "光": "text", "王小明": "team", "小明": "team", phone: "team", idcard: "team", "2026": "summary", "电话": "text", "1234": "none", "受阻": "text"}
	year := time.Now().Format("2006")
	classes[year] = classes["2026"]
	rank := map[string]int{"": 0, "summary": 1, "text": 2, "team": 3, "none": 9}
	holds := func(r *domain.Record, word string) bool {
		event := r.Definition.ID == "event"
		switch word {
		case "王小明", "小明", phone, idcard:
			_, named := r.SealedAt("people/0/name", 0)
			_, party := r.SealedAt("parties/0/name", 0)
			_, card := r.SealedAt("people/0/idcard", 0)
			return word == idcard && card || word == phone && (event || party) || strings.HasSuffix(word, "小明") && (named || party)
		case "电话", "受阻":
			return event
		case "2026", year:
			return strings.Contains(r.Number, word)
		case "1234":
			return false
		}
		return true
	}
	for who, c := range w.people {
		for word, class := range classes {
			want := []string{}
			for _, r := range records {
				view, err := w.node.Box.View(c, r.ID)
				if err != nil && !errors.Is(err, service.ErrNotFound) {
					t.Fatal(err)
				}
				if err == nil && rank[view.Sight] >= rank[class] && holds(r, word) {
					want = append(want, r.ID.String())
				}
			}
			slices.Sort(want)
			out := w.search(who, service.SearchQuery{Text: word, Limit: 50})
			if got := found(out); !slices.Equal(got, want) || int(out.Total) != len(want) {
				t.Errorf("%s finds %d of %d by %q, want %d", who, len(got), out.Total, word, len(want))
			}
			for facet, counts := range out.Facets {
				sum := 0
				for _, f := range counts {
					sum += int(f.Count)
				}
				if sum > len(want) || facet == "kind" && sum != len(want) {
					t.Errorf("%s: %d in facet %s by %q, want %d", who, sum, facet, word, len(want))
				}
			}
			if snippet := fmt.Sprint(out.Items); strings.Contains(snippet, "王小明") || strings.Contains(snippet, idcard) {
				t.Errorf("%s is shown a name or number by %q: %s", who, word, snippet)
			}
		}
	}
	w.close()
	noTraceOf(t, filepath.Join(w.dir, "index"), phone, idcard)
}

// noTraceOf: a sorted dictionary keeps its terms' bytes together or not at
// all, so plain text would be seen in the files.
func noTraceOf(t *testing.T, dir string, secrets ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, s := range secrets {
			if strings.Contains(string(b), s) {
				t.Errorf("%s is in %s", s, d.Name())
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSearchFollows: what was answered is found at once, a change moves it,
// and what is erased or restricted is gone at once, from counts as well.
func TestSearchFollows(t *testing.T) {
	w := newTown(t)
	r := w.report("duty", "event", map[string]any{"title": "河道垃圾", "type": "01", "village": villageA, "content": "桥下堆放"})
	time.Sleep(2 * time.Millisecond) // a later time of creation
	other := w.report("duty", "event", map[string]any{"title": "河道淤塞", "type": "01", "village": villageB})
	if out := w.search("duty", service.SearchQuery{Text: "河道"}); out.Total != 2 || !out.Exact {
		t.Fatalf("%d found", out.Total)
	}
	if out := w.search("duty", service.SearchQuery{Text: "河道", Village: villageB}); !slices.Equal(found(out), []string{other.ID.String()}) {
		t.Fatalf("of the other village: %v", found(out))
	}
	if out := w.search("duty", service.SearchQuery{Text: "(" + r.Number + ")"}); !slices.Equal(found(out), []string{r.ID.String()}) {
		t.Fatalf("by number %s: %v", r.Number, found(out))
	}
	if out := w.search("duty", service.SearchQuery{Text: "河道", Sort: "time", Limit: 1, Offset: 1}); out.Total != 2 || !slices.Equal(found(out), []string{r.ID.String()}) {
		t.Fatalf("second page: %v of %d", found(out), out.Total)
	}
	w.step("leader", r.ID, "erase", service.Input{Inputs: map[string]any{"reason": "retention"}, Note: "期满"})
	for _, text := range []string{"河道垃圾", "桥下", r.Number} {
		if out := w.search("leader", service.SearchQuery{Text: text}); out.Total != 0 {
			t.Errorf("%q of an erased record is found", text)
		}
	}
	if out := w.search("leader", service.SearchQuery{Text: "河道"}); out.Total != 1 {
		t.Errorf("%d found after erasing", out.Total)
	}
}

func (w *town) step(who string, id envelope.RecordID, step string, in service.Input) {
	w.t.Helper()
	view, err := w.node.Box.View(w.people[who], id)
	if err == nil {
		_, err = w.node.Box.Step(w.t.Context(), w.people[who], id, step, view.Version, in)
	}
	if err != nil {
		w.t.Fatalf("%s by %s: %v", step, who, err)
	}
}

// TestSearchOfImports: imported rows are found once their job is done, and
// not after it was undone.
func TestSearchOfImports(t *testing.T) {
	w := newTown(t)
	duty := w.people["duty"]
	job, err := w.node.Box.BeginImport(duty, "event", "old.csv", []byte("编号,事件名称,事件大类,发生村（社区）,涉及人数,事件简述\n枫旧〔2019〕001号,老井塌陷,民生服务,枫源村,2,已处理\n枫旧〔2019〕002号,老井塌陷,矛盾劝解,枫源村,3,已处理\n"))
	if err == nil {
		job, err = w.node.Box.MapImport(duty, job.ID, nil)
	}
	if err != nil || job.ErrorCount > 0 {
		t.Fatalf("%+v %v", job.Errors, err)
	}
	if out := w.search("duty", service.SearchQuery{Text: "老井"}); out.Total != 0 {
		t.Fatal("found before the commit")
	}
	if job, err = w.node.Box.CommitImport(t.Context(), duty, job.ID); err != nil || job.State != "done" {
		t.Fatalf("%+v %v", job, err)
	}
	if out := w.search("duty", service.SearchQuery{Text: "老井"}); out.Total != 2 {
		t.Errorf("%d found", out.Total)
	}
	if out := w.search("duty", service.SearchQuery{Text: "枫旧[2019]002号"}); out.Total != 1 {
		t.Errorf("%d found by the old number", out.Total)
	}
	if _, err := w.node.Box.UndoImport(t.Context(), duty, job.ID); err != nil {
		t.Fatal(err)
	}
	if out := w.search("duty", service.SearchQuery{Text: "老井"}); out.Total != 0 {
		t.Errorf("%d found after the undo", out.Total)
	}
}

// TestSearchCountsManyHits: beyond the hits that are judged one by one,
// totals and facets come from the index and are as exact.
func TestSearchCountsManyHits(t *testing.T) {
	w := newTown(t)
	const each = 230
	for i := range each {
		fields := map[string]any{"title": fmt.Sprintf("路灯不亮 %d", i), "type": "01", "village": villageA}
		if i%10 == 0 {
			fields["village"], fields["restricted"] = villageB, "minor"
		}
		w.report("grid", "event", fields)
	}
	for who, want := range map[string]int64{"leader": each, "grid": each - each/10, "station": 0, "other cadre": 0} {
		out := w.search(who, service.SearchQuery{Text: "路灯", Limit: 20})
		sum := int64(0)
		for _, f := range out.Facets["village"] {
			sum += f.Count
		}
		if out.Total != want || sum != want || !out.Exact || want > 0 && len(out.Items) != 20 {
			t.Errorf("%s: total %d, in facets %d, %d shown, exact %v; want %d", who, out.Total, sum, len(out.Items), out.Exact, want)
		}
	}
	if out := w.search("leader", service.SearchQuery{Text: "路灯不亮", Offset: 220, Limit: 50}); len(out.Items) != 10 || out.Exact {
		t.Errorf("last page: %d shown, exact %v", len(out.Items), out.Exact)
	}
	if out := w.search("leader", service.SearchQuery{Text: "路灯", Type: "event/01"}); out.Total != each || len(out.Facets["type"]) != 1 || out.Facets["type"][0].Code != "event/01" {
		t.Errorf("%d of a type, %v", out.Total, out.Facets["type"])
	}
	if out := w.search("leader", service.SearchQuery{Text: "路灯", Type: "mediation/01"}); out.Total != 0 {
		t.Errorf("%d of another kind's type", out.Total)
	}
	if out := w.search("leader", service.SearchQuery{Village: villageB}); out.Total != each/10 {
		t.Errorf("%d in the other village", out.Total)
	}
}

// TestSearchLimits: every limit is told with a sentence.
func TestSearchLimits(t *testing.T) {
	w := newTown(t)
	for name, q := range map[string]service.SearchQuery{
		"long": {Text: strings.Repeat("长", 101)}, "words": {Text: "一 二 三 四 五 六 七 八 九"}, "deep": {Text: "一", Offset: 1001}, "negative": {Offset: -1},
		"filter": {Kind: strings.Repeat("k", 65)}, "sort": {Sort: "random"}, "not text": {Text: "\xff"},
	} {
		_, err := w.node.Box.Search(t.Context(), w.people["duty"], q)
		var wrong *service.InputError
		if !errors.As(err, &wrong) || wrong.Fields[0].Message.ZH == "" || wrong.Fields[0].Message.EN == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.report("duty", "event", map[string]any{"title": "路灯不亮", "type": "01", "village": villageA})
	for _, text := range []string{"***", "*", "路*", "?", "/.*/", "路灯~2", "kind:event", "\"", "(", "路灯^9 OR", strings.Repeat("路灯 ", 8), strings.Repeat("啊", 100)} {
		out := w.search("duty", service.SearchQuery{Text: text})
		if sane := strings.HasPrefix(text, "路"); out.Total > 1 || !sane && out.Total > 0 {
			t.Errorf("%q found %d", text, out.Total)
		}
	}
}

// TestSearchRebuilds: the index is thrown away and lost, and comes back by
// itself; meanwhile the answer says how far it is.
func TestSearchRebuilds(t *testing.T) {
	w := newTown(t)
	for i := range 30 {
		w.report("duty", "event", map[string]any{"title": fmt.Sprintf("路灯不亮%d", i), "type": "01", "village": villageA})
	}
	whole := func(what string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			out, err := w.node.Box.Search(t.Context(), w.people["duty"], service.SearchQuery{Text: "路灯"})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if out.Total > 30 || out.Rebuilding == (out.Percent == 100) {
				t.Fatalf("%s: %+v", what, out)
			}
			if out.Total == 30 && !out.Rebuilding {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %d found, %d %%", what, out.Total, out.Percent)
			}
		}
	}
	whole("at first")
	if err := w.node.Box.RebuildIndex(w.people["duty"]); err != nil {
		t.Fatal(err)
	}
	time.Sleep(600 * time.Millisecond) // Follow looks twice a second
	whole("rebuilt")
	w.close()
	if err := os.RemoveAll(filepath.Join(w.dir, "index")); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(node.Options{Dir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	w.node = n
	whole("lost")
	if err := node.Reindex(t.Context(), w.dir, func(int) {}); !errors.Is(err, store.ErrInUse) {
		t.Fatalf("the index of a running box: %v", err)
	}
	w.close()
	last := 0
	if err := node.Reindex(t.Context(), w.dir, func(percent int) { last = percent }); err != nil || last != 100 {
		t.Fatalf("at the terminal: %d %% %v", last, err)
	}
	if n, err = node.New(node.Options{Dir: w.dir}); err != nil {
		t.Fatal(err)
	}
	w.node = n
	whole("at the terminal")
	h, err := n.Box.Health("zh")
	if err != nil || h.Rebuilding || h.RebuildPercent != 100 || h.IndexedTo != h.Head {
		t.Errorf("health: %+v %v", h, err)
	}
}

// TestSimilar: earlier matters of the same person and likely duplicates,
// to those alone who may know of them.
func TestSimilar(t *testing.T) {
	w := newTown(t)
	draft := map[string]any{"title": "村口路灯不亮了", "type": "01", "village": villageA, "people/0/name": "王小明", "people/0/phone": phone}
	first := w.report("cadre", "event", map[string]any{"title": "村口路灯不亮", "type": "01", "village": villageA, "people/0/name": "王小明", "people/0/phone": phone})
	w.report("duty", "event", map[string]any{"title": "村口路灯不亮", "type": "01", "village": villageB})
	w.report("duty", "event", map[string]any{"title": "河道垃圾", "type": "01", "village": villageA, "people/0/name": "王小明", "people/0/phone": phone})
	w.report("cadre", "event", map[string]any{"title": "村口路灯不亮", "type": "01", "village": villageA, "restricted": "minor", "people/0/name": "王小明", "people/0/phone": phone})
	w.report("mediator", "mediation", map[string]any{"title": "采光", "type": "01", "source": "application", "committee": panel, "village": villageA, "parties/0/name": "王小明", "parties/0/role": "applicant", "parties/0/phone": phone})
	for who, want := range map[string][2]int{ // people, duplicates
		"leader": {4, 2}, "duty": {3, 2}, "cadre": {1, 1}, "other cadre": {0, 0}, "mediator": {1, 0}, "other mediator": {0, 0}, "station": {0, 0},
	} {
		out, err := w.node.Box.Similar(t.Context(), w.people[who], "event", draft, "")
		if err != nil {
			t.Fatalf("%s: %v", who, err)
		}
		if len(out.People) != want[0] || len(out.Duplicates) != want[1] {
			t.Errorf("%s: %d matters of the person, %d duplicates, want %v", who, len(out.People), len(out.Duplicates), want)
		}
		for _, d := range out.Duplicates {
			if d.Score < 60 || len(d.Reasons) != 2 {
				t.Errorf("%s: %d, %v", who, d.Score, d.Reasons)
			}
		}
	}
	out, err := w.node.Box.Similar(t.Context(), w.people["cadre"], "event", draft, first.ID.String())
	if err != nil || len(out.People)+len(out.Duplicates) != 0 {
		t.Errorf("a matter resembles itself: %+v %v", out, err)
	}
}
