package service

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
)

// Finder is the index, which the composition root connects; the service
// knows it by this interface. It filters by terms and knows nothing of
// rights.
type Finder interface {
	Find(ctx context.Context, q FinderQuery) (FinderHits, error)
	// Like lists records of a kind and village since a time whose case text
	// resembles a text, as far as the scope lets it be read.
	Like(ctx context.Context, q FinderLike) ([]string, error)
	Words(text string) []string
	Mark(text, query string) [][2]int
	// WaitFor waits until the index has a change of the store.
	WaitFor(ctx context.Context, n uint64) bool
	Status() FinderStatus
	Rebuild()
}

// FinderWord is a word of a query, and its keyed hash where it has the form
// of a personal number.
type FinderWord struct{ Text, Hash string }

// FinderQuery is what the index is asked. The scopes are those of coded
// summaries, case texts and persons.
type FinderQuery struct {
	Words                            []FinderWord
	Kind, Type, Village, State, Year string
	From, To                         int64
	Scopes                           [3]domain.Scope
	Except                           []string
	ByTime                           bool
	Offset, Limit                    int
}

// FinderHits are what the index found. Exact: all that is counted holds the
// words themselves.
type FinderHits struct {
	IDs    []string
	Total  int64
	Exact  bool
	Facets []FinderFacet
}

// FinderFacet counts hits of one combination of values.
type FinderFacet struct {
	Kind, Type, Village, Year, State string
	N                                int
}

// FinderLike asks for what resembles a text.
type FinderLike struct {
	Text          string
	Kind, Village string
	From          int64
	Scope         domain.Scope
	Except        []string
	Limit         int
}

// FinderStatus says how current the index is.
type FinderStatus struct {
	Documents  uint64
	IndexedTo  uint64
	Rebuilding bool
	Percent    int
	LastError  string
}

// SearchQuery is what a person asks. Sort is "", relevance, or time.
type SearchQuery struct {
	Text, Kind, Type, Village, Year, State, Sort string
	From, To                                     int64
	Offset, Limit                                int
}

// Limits of a query.
const (
	maxQuery  = 100 // characters
	maxWords  = 8
	maxFilter = 64 // bytes of a filter
	maxOffset = 1000
	maxHits   = 50
	hitsPage  = 20
	// judged is up to how many hits every single one is judged on its
	// record before it is counted; of more, those shown are.
	judged = 200
	// patience is how long a search waits for changes that are not in the
	// index yet, maxPending how many of them it leaves out after that.
	patience   = time.Second
	maxPending = 1000
)

// Connect gives the service its index.
func (b *Box) Connect(f Finder) { b.finder = f }

// IndexDir is where the index lives.
func (b *Box) IndexDir() string { return filepath.Join(b.opts.Dir, "index") }

// RebuildIndex has the index thrown away and filled again from the store.
func (b *Box) RebuildIndex(c Caller) error {
	if b.finder == nil {
		return ErrBehind
	}
	b.finder.Rebuild()
	return b.noteFor(c.User, audit.Entry{Action: "index_rebuild", Result: "ok"})
}

// Search finds records. What the caller may read in which class of text is
// a filter of the index, so that totals and facets count nothing else; what
// is shown is judged on the record once more.
func (b *Box) Search(ctx context.Context, c Caller, q SearchQuery) (api.SearchResult, error) {
	start := time.Now()
	if err := q.check(); err != nil {
		return api.SearchResult{}, err
	}
	if b.finder == nil {
		return api.SearchResult{}, ErrBehind
	}
	s := &searching{viewer: b.viewer(c), q: q}
	out, err := s.run(ctx)
	status := b.finder.Status()
	out.IndexedTo, out.Rebuilding, out.Percent = status.IndexedTo, status.Rebuilding, status.Percent
	out.TookMS = time.Since(start).Milliseconds()
	return out, err
}

func (q SearchQuery) check() error {
	var wrong InputError
	if utf8.RuneCountInString(q.Text) > maxQuery || len(strings.Fields(q.Text)) > maxWords || !utf8.ValidString(q.Text) {
		wrong.add("q", "too_long", "最多输入 100 个字、8 个词，请精简后再搜", "At most 100 characters and 8 words. Use fewer.")
	}
	if q.Offset < 0 || q.Offset > maxOffset {
		wrong.add("offset", "too_deep", "最多翻到第 1000 条，请加条件缩小范围", "Only the first 1000 results can be paged. Narrow the search.")
	}
	for path, v := range map[string]string{"kind": q.Kind, "type": q.Type, "village": q.Village, "year": q.Year, "state": q.State} {
		if len(v) > maxFilter {
			wrong.add(path, "too_long", "筛选条件过长", "This filter is too long.")
		}
	}
	if !slices.Contains([]string{"", "relevance", "time"}, q.Sort) {
		wrong.add("sort", "no_such_value", "排序只能是 relevance（相关）或 time（最新）", "Sort by relevance or time.")
	}
	return wrong.orNil()
}

// searching is one search of one person.
type searching struct {
	*viewer
	q     SearchQuery
	words []FinderWord
}

// match is a hit whose record was read, with what of it the caller may see.
type match struct {
	Found
	passages []passage
}

func (s *searching) run(ctx context.Context) (api.SearchResult, error) {
	out := api.SearchResult{Items: []api.SearchHit{}, Facets: map[string][]api.FacetCount{}}
	except, current, err := s.awaitIndex(ctx, &out)
	if err != nil {
		return out, err
	}
	s.split()
	limit := min(max(s.q.Limit, 1), maxHits)
	if s.q.Limit == 0 {
		limit = hitsPage
	}
	end := s.q.Offset + limit
	hits, err := s.box.finder.Find(ctx, FinderQuery{Words: s.words, Kind: s.q.Kind, Type: s.q.Type, Village: s.q.Village, State: s.q.State, Year: s.q.Year,
		From: s.q.From, To: s.q.To, Scopes: s.scopes(), Except: except, ByTime: s.q.Sort == "time", Limit: max(end, judged)})
	if err != nil {
		return out, s.failed(ctx, err)
	}
	if !current || hits.Total <= judged {
		found, err := s.judge(hits.IDs)
		if err != nil {
			return out, err
		}
		out.Total, out.Exact, out.Facets = int64(len(found)), current, s.facets(facetsOf(found))
		out.Items, err = s.hits(found[min(s.q.Offset, len(found)):min(end, len(found))])
		return out, err
	}
	found, err := s.judge(hits.IDs[min(s.q.Offset, len(hits.IDs)):min(end, len(hits.IDs))])
	if err != nil {
		return out, err
	}
	out.Total, out.Exact, out.Facets = hits.Total, hits.Exact, s.facets(hits.Facets)
	out.Items, err = s.hits(found)
	return out, err
}

// failed says what a person can do about an index that did not answer.
func (s *searching) failed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		var wrong InputError
		wrong.add("q", "too_broad", "搜索范围太大，没有在时限内完成，请加词或加筛选条件", "This search was too broad to finish in time. Add words or filters.")
		return &wrong
	}
	s.box.log.Warn("search index", "err", err)
	return ErrIndex
}

// awaitIndex waits until the index has everything that was answered before
// the search came. When it takes too long, records that changed since are
// left out; when these are too many, current is false and nothing may be
// counted that was not judged.
func (s *searching) awaitIndex(ctx context.Context, out *api.SearchResult) (except []string, current bool, err error) {
	if err := s.box.settled(ctx); err != nil {
		return nil, false, err
	}
	if out.Head, err = s.box.store.Head(); err != nil {
		return nil, false, err
	}
	return s.box.pending(ctx, out.Head)
}

// pending lists the records whose last change the index lacks.
func (b *Box) pending(ctx context.Context, head uint64) (ids []string, few bool, err error) {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if b.finder.WaitFor(wait, head) {
		return nil, true, nil
	}
	changes, err := b.store.Changes(b.finder.Status().IndexedTo, maxPending+1)
	if err != nil || len(changes) > maxPending {
		return nil, false, err
	}
	for _, c := range changes {
		ids = append(ids, c.Record.String())
	}
	return ids, !b.finder.Status().Rebuilding, nil
}

// split makes words of the text. What may be an ID card or a phone is also
// looked for by its keyed hash.
func (s *searching) split() {
	for _, text := range strings.Fields(s.q.Text) {
		w := FinderWord{Text: text}
		if n := domain.NormalNumber(text); domain.ValidIDCard(n) || len(n) >= minPhone && domain.ValidPhone(n) {
			w.Hash = s.box.numberHash(n)
		}
		s.words = append(s.words, w)
	}
}

// minPhone: shorter public numbers are not personal.
const minPhone = 7

// numberHash is "" before set-up.
func (b *Box) numberHash(n string) string {
	org, ok := b.id.Keys(b.Organisation())
	if !ok {
		return ""
	}
	return matchOf(org.Match, n)
}

// scopes are the caller's filters for summaries, case texts and persons.
func (v *viewer) scopes() [3]domain.Scope {
	return [3]domain.Scope{domain.ScopeOf(v.p, v.c.Subject, domain.SightSummary), domain.ScopeOf(v.p, v.c.Subject, domain.SightText),
		domain.ScopeOf(v.p, v.c.Subject, domain.SightTeam)}
}

// judge keeps the hits that the caller may see and whose visible text
// matches: the index may be a moment behind, and finds words of more than
// two characters by their parts.
func (s *searching) judge(ids []string) ([]match, error) {
	var out []match
	for _, text := range ids {
		f, ok, err := s.visibleHit(text)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		m := match{Found: f}
		var numbers []string
		if m.passages, numbers, err = s.passages(f); err != nil {
			return nil, err
		}
		if s.matches(m, numbers) {
			out = append(out, m)
		}
	}
	return out, nil
}

// visibleHit reads a record that the index named.
func (s *searching) visibleHit(text string) (Found, bool, error) {
	id, err := envelope.ParseRecordID(text)
	if err != nil {
		return Found{}, false, err
	}
	r, def, err := s.box.visible(s.p, s.c.Subject, id)
	if errors.Is(err, ErrNotFound) {
		return Found{}, false, nil
	}
	if err != nil || !searchable(def) || r.Erased || !s.fits(def, r) {
		return Found{}, false, err
	}
	return Found{Record: r, Def: def, Sight: domain.SightOf(s.p, s.c.Subject, def, r)}, true, nil
}

// fits: the record, which may be newer than the index, passes the filters.
func (s *searching) fits(def *domain.Definition, r *domain.Record) bool {
	f := valuesOf(def, r)
	for _, pair := range [][2]string{{s.q.Kind, f.Kind}, {s.q.Type, f.Type}, {s.q.Village, f.Village}, {s.q.Year, f.Year}, {s.q.State, f.State}} {
		if pair[0] != "" && pair[0] != pair[1] {
			return false
		}
	}
	return r.CreatedAt >= s.q.From && (s.q.To == 0 || r.CreatedAt < s.q.To)
}

// valuesOf gives what facets and filters read of a record. Codes of types
// mean something within their kind only, so they are named with it.
func valuesOf(def *domain.Definition, r *domain.Record) FinderFacet {
	code := r.Text(def.Search.Type)
	if code != "" {
		code = def.ID + "/" + code
	}
	return FinderFacet{Kind: def.ID, Type: code, Village: r.Text(domain.FieldVillage),
		Year: time.UnixMilli(r.CreatedAt).In(local).Format("2006"), State: r.State, N: 1}
}

// matches: every word stands in what the caller may see of the record.
func (s *searching) matches(m match, numbers []string) bool {
	for _, w := range s.words {
		hash := w.Hash != "" && slices.ContainsFunc(numbers, func(n string) bool { return s.box.numberHash(n) == w.Hash })
		if !hash && !s.isNumber(m.Record, w.Text) && !s.contains(m.passages, w.Text) {
			return false
		}
	}
	return true
}

func (s *searching) contains(passages []passage, word string) bool {
	for _, part := range s.box.finder.Words(word) {
		if !slices.ContainsFunc(passages, func(p passage) bool { return len(s.box.finder.Mark(p.text, part)) > 0 }) {
			return false
		}
	}
	return true
}

// isNumber: the word is the matter's number or a part of it, however the
// brackets are written.
func (s *searching) isNumber(r *domain.Record, word string) bool {
	part := strings.Join(s.box.finder.Words(word), "")
	for _, n := range append([]string{r.Number}, r.Aliases...) {
		if n != "" && strings.Contains(strings.Join(s.box.finder.Words(n), ""), part) {
			return true
		}
	}
	return false
}

func facetsOf(found []match) []FinderFacet {
	out := make([]FinderFacet, len(found))
	for i, m := range found {
		out[i] = valuesOf(m.Def, m.Record)
	}
	return out
}

// facets adds up combinations of values and names the values.
func (v *viewer) facets(counted []FinderFacet) map[string][]api.FacetCount {
	sums := map[string]map[string]*api.FacetCount{"kind": {}, "type": {}, "village": {}, "year": {}, "state": {}}
	for _, f := range counted {
		def, _, known := v.p.kind(f.Kind)
		if !known {
			continue
		}
		for facet, value := range map[string][2]string{
			"kind": {f.Kind, def.Title.In(v.lang)}, "type": {f.Type, def.Title.In(v.lang) + " · " + v.fieldLabel(def, def.Search.Type, strings.TrimPrefix(f.Type, f.Kind+"/"))},
			"village": {f.Village, v.p.name(f.Village)}, "year": {f.Year, f.Year}, "state": {f.State, v.stateTitle(def, f.State)},
		} {
			code, text := value[0], value[1]
			if code == "" {
				continue
			}
			if sums[facet][code] == nil {
				sums[facet][code] = &api.FacetCount{Code: code, Text: text}
			}
			sums[facet][code].Count += int64(f.N)
		}
	}
	out := map[string][]api.FacetCount{}
	for facet, values := range sums {
		list := []api.FacetCount{}
		for _, c := range values {
			list = append(list, *c)
		}
		slices.SortFunc(list, func(a, b api.FacetCount) int {
			if a.Count != b.Count {
				return int(b.Count - a.Count)
			}
			return strings.Compare(a.Code, b.Code)
		})
		out[facet] = list
	}
	return out
}

const (
	snippetRunes = 80
	maxSnippets  = 3
)

// hits are the rows of matches, with the best passages marked.
func (s *searching) hits(found []match) ([]api.SearchHit, error) {
	out := make([]api.SearchHit, len(found))
	for i, m := range found {
		row, err := s.row(m.Found)
		if err != nil {
			return nil, err
		}
		out[i].Row = row
		for _, p := range m.passages {
			if marks := s.box.finder.Mark(p.text, s.q.Text); len(marks) > 0 && len(out[i].Snippets) < maxSnippets {
				out[i].Snippets = append(out[i].Snippets, p.snippet(marks))
			}
		}
	}
	return out, nil
}

// snippet cuts a window around the first match. A masked value is shown as
// it is everywhere, and marked as a whole: the full one is revealed with a
// reason, and logged.
func (p passage) snippet(marks [][2]int) api.Snippet {
	if p.masked != "" {
		return api.Snippet{Field: p.title, Text: p.masked, Marks: [][2]int{{0, utf8.RuneCountInString(p.masked)}}}
	}
	runes := []rune(p.text)
	from := max(marks[0][0]-snippetRunes/4, 0)
	to := min(max(from+snippetRunes, marks[0][1]), len(runes))
	s := api.Snippet{Field: p.title, Text: string(runes[from:to]), Marks: [][2]int{}}
	for _, m := range marks {
		if m[0] >= from && m[1] <= to {
			s.Marks = append(s.Marks, [2]int{m[0] - from, m[1] - from})
		}
	}
	return s
}
