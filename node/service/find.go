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
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
)

// Hit candidates come from an index that the composition root connects;
// the service knows it by this interface.
type Finder interface {
	Candidates(ctx context.Context, q FinderQuery) (ids []string, more bool, err error)
	Words(text string) []string
	Mark(text, query string) [][2]int
	IndexedTo() (to uint64, documents uint64, rebuilding bool)
	Rebuild() error
}

// FinderQuery is what the index is asked.
type FinderQuery struct {
	Text, Kind, Type, Village, State, Year string
	From, To                               int64
	ByTime                                 bool
}

// SearchQuery is what a person asks.
type SearchQuery struct {
	Text, Kind, Type, Village, Year, State, Sort string
	From, To                                     int64
	Offset, Limit                                int
}

// SearchText is what the index may know of a record: everything that this
// box can unseal. Secrets and full numbers of persons are left out; these
// are found by keyed hash.
type SearchText struct {
	ID, Kind, Type, Village, State, Year string
	Text                                 string
	Numbers                              []string
	At                                   int64
}

const (
	maxQuery  = 100 // characters
	maxOffset = 1000
)

// Connect gives the service its index.
func (b *Box) Connect(f Finder) { b.finder = f }

// Generation, and SearchChanges below, let the index follow the store.
func (b *Box) Generation() (string, error) { return b.store.Generation() }

// SearchChanges lists what changed after n for the index.
func (b *Box) SearchChanges(ctx context.Context, after uint64, limit int) ([]SearchText, uint64, error) {
	changes, err := b.store.Changes(after, limit)
	if err != nil {
		return nil, after, err
	}
	v := b.viewer(Caller{})
	var out []SearchText
	for _, c := range changes {
		r, err := b.storedRecord(c.Record)
		if err != nil {
			return nil, after, err
		}
		text, err := v.searchText(r)
		if err != nil {
			return nil, after, err
		}
		out = append(out, text)
		after = c.N
		if ctx.Err() != nil {
			return nil, after, ctx.Err()
		}
	}
	return out, after, nil
}

// searchable families are what people look for.
func searchable(def *domain.Definition) bool {
	switch def.Family {
	case domain.FamilyEvent, domain.FamilyMediation, domain.FamilyPetition, domain.FamilyNotice:
		return true
	}
	return def.ID == kindDutyLog
}

func (v *viewer) searchText(r *domain.Record) (SearchText, error) {
	out := SearchText{ID: r.ID.String(), Kind: r.Definition.ID, State: r.State, At: r.CreatedAt, Village: r.Text(domain.FieldVillage),
		Year: time.UnixMilli(r.CreatedAt).In(local).Format("2006")}
	def, ok := v.p.Definition(r.Definition)
	if !ok || !searchable(def) {
		return out, nil
	}
	out.Type = r.Text(def.Search.Type)
	for _, n := range append([]string{r.Number}, r.Aliases...) {
		if n != "" {
			out.Numbers = append(out.Numbers, foldNumber(n))
		}
	}
	parts, err := v.texts(def, r, domain.SightTeam)
	if err != nil {
		return out, err
	}
	words := make([]string, len(parts))
	for i, p := range parts {
		words[i] = p.text
	}
	out.Text = strings.Join(words, "\n")
	return out, nil
}

// passage is a text of a record with its field's title.
type passage struct{ title, text string }

// texts lists what somebody of a sight may search in a record: coded
// summary for all, case text from SightText, names from SightTeam.
func (v *viewer) texts(def *domain.Definition, r *domain.Record, sight domain.Sight) ([]passage, error) {
	out := []passage{{v.say("摘要", "Summary"), strings.TrimSpace(r.Number + " " + v.heading(def, r))}}
	if sight < domain.SightText || r.Erased {
		return out, nil
	}
	for _, s := range r.Sealed {
		field, ok := def.FieldAt(s.Path)
		if !ok || s.Part != seal.Full || field.Sensitivity == domain.SenseSecret || strings.HasSuffix(s.Path, "/exact") || numberMask(field.Mask) {
			continue
		}
		if field.Sensitivity == domain.SenseIdentity && sight < domain.SightTeam {
			continue
		}
		text, err := v.box.open(def.ID, s)
		if errors.Is(err, ErrErased) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if sight < domain.SightTeam {
			text = domain.MaskText(text)
		}
		out = append(out, passage{field.Title.In(v.lang), text})
	}
	return out, nil
}

func numberMask(m domain.Mask) bool {
	return m == domain.MaskIDCard || m == domain.MaskPhone || m == domain.MaskLandline || m == domain.MaskAccount
}

// Search finds records. Every candidate of the index is judged on the
// record itself: may the caller see it, and does what they may see contain
// every word. Totals and facets count nothing else.
func (b *Box) Search(ctx context.Context, c Caller, q SearchQuery) (api.SearchResult, error) {
	start := time.Now()
	out := api.SearchResult{Items: []api.SearchHit{}, Facets: map[string][]api.FacetCount{}}
	if utf8.RuneCountInString(q.Text) > maxQuery || q.Offset < 0 || q.Offset > maxOffset {
		return out, &InputError{Fields: []FieldError{{Path: "q", Code: "too_long", Message: domain.Text{ZH: "搜索内容最多 100 字，翻页最多到第 1000 条；请换更具体的词", EN: "At most 100 characters and 1000 results. Use more specific words."}}}}
	}
	if b.finder == nil {
		return out, ErrBehind
	}
	v := b.viewer(c)
	found, err := v.judge(ctx, q)
	if err != nil {
		return out, err
	}
	out.Total = int64(len(found))
	out.Facets = v.facets(found)
	limit := min(max(q.Limit, 1), 50)
	if q.Limit == 0 {
		limit = 20
	}
	for _, f := range found[min(q.Offset, len(found)):min(q.Offset+limit, len(found))] {
		hit, err := v.hit(f, q.Text)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, hit)
	}
	out.IndexedTo, _, out.Rebuilding = b.finder.IndexedTo()
	out.Head, err = b.store.Head()
	out.TookMS = time.Since(start).Milliseconds()
	return out, err
}

// judge keeps the candidates that the caller may see and whose visible
// text matches. A full ID card or phone number is found by keyed hash.
func (v *viewer) judge(ctx context.Context, q SearchQuery) ([]Found, error) {
	if found, ok, err := v.byNumber(q); ok || err != nil {
		return found, err
	}
	ids, _, err := v.box.finder.Candidates(ctx, FinderQuery{Text: q.Text, Kind: q.Kind, Type: q.Type, Village: q.Village, State: q.State,
		Year: q.Year, From: q.From, To: q.To, ByTime: q.Sort == "time"})
	if err != nil {
		return nil, err
	}
	words := v.box.finder.Words(q.Text)
	var out []Found
	for _, text := range ids {
		f, ok, err := v.visibleHit(text)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		matches, err := v.contains(f, words)
		if err != nil {
			return nil, err
		}
		if matches {
			out = append(out, f)
		}
	}
	return out, nil
}

func (v *viewer) visibleHit(text string) (Found, bool, error) {
	id, err := envelope.ParseRecordID(text)
	if err != nil {
		return Found{}, false, nil
	}
	r, def, err := v.box.visible(v.p, v.c.Subject, id)
	if errors.Is(err, ErrNotFound) {
		return Found{}, false, nil
	}
	if err != nil || !searchable(def) {
		return Found{}, false, err
	}
	return Found{Record: r, Def: def, Sight: domain.SightOf(v.p, v.c.Subject, def, r)}, true, nil
}

// contains: every word stands in one of the texts that the caller sees.
func (v *viewer) contains(f Found, words []string) (bool, error) {
	if len(words) == 0 {
		return true, nil
	}
	parts, err := v.texts(f.Def, f.Record, f.Sight)
	if err != nil {
		return false, err
	}
	for _, w := range words {
		in := func(p passage) bool { return len(v.box.finder.Mark(p.text, w)) > 0 }
		if !slices.ContainsFunc(parts, in) && !v.isNumber(f.Record, w) {
			return false, nil
		}
	}
	return true, nil
}

func (v *viewer) isNumber(r *domain.Record, word string) bool {
	for _, n := range append([]string{r.Number}, r.Aliases...) {
		if n != "" && strings.Contains(strings.ToLower(foldNumber(n)), foldNumber(word)) {
			return true
		}
	}
	return false
}

// byNumber finds persons by full ID card or phone number.
func (v *viewer) byNumber(q SearchQuery) ([]Found, bool, error) {
	text := strings.TrimSpace(q.Text)
	org, ok := v.box.id.Keys(v.box.Organisation())
	if !ok || !domain.ValidIDCard(text) && !(len(text) == 11 && domain.ValidPhone(text)) {
		return nil, false, nil
	}
	hits, err := v.box.store.Scan(keyOf("p", matchOf(org.Match, text)), nil, true, maxPage)
	var out []Found
	for _, h := range hits {
		f, ok, err := v.visibleHit(h.ID.String())
		if err != nil {
			return nil, true, err
		}
		// Who may not see the number must not learn that it is there.
		if ok && f.Sight >= domain.SightTeam {
			out = append(out, f)
		}
	}
	return out, true, err
}

func (v *viewer) facets(found []Found) map[string][]api.FacetCount {
	sums := map[string]map[string]*api.FacetCount{"kind": {}, "type": {}, "village": {}, "year": {}, "state": {}}
	count := func(facet, code, text string) {
		if code == "" {
			return
		}
		if sums[facet][code] == nil {
			sums[facet][code] = &api.FacetCount{Code: code, Text: text}
		}
		sums[facet][code].Count++
	}
	for _, f := range found {
		r := f.Record
		year := time.UnixMilli(r.CreatedAt).In(local).Format("2006")
		count("kind", f.Def.ID, f.Def.Title.In(v.lang))
		count("type", r.Text(f.Def.Search.Type), v.fieldText(f.Def, f.Def.Search.Type, r.Open[f.Def.Search.Type]))
		count("village", r.Text(domain.FieldVillage), v.p.name(r.Text(domain.FieldVillage)))
		count("year", year, year)
		count("state", r.State, v.stateTitle(f.Def, r.State))
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

const snippetRunes = 80

// hit adds the best passages with the matches marked.
func (v *viewer) hit(f Found, text string) (api.SearchHit, error) {
	row, err := v.row(f)
	if err != nil {
		return api.SearchHit{}, err
	}
	out := api.SearchHit{Row: row}
	parts, err := v.texts(f.Def, f.Record, f.Sight)
	if err != nil {
		return out, err
	}
	for _, p := range parts {
		marks := v.box.finder.Mark(p.text, text)
		if len(marks) == 0 || len(out.Snippets) == 3 {
			continue
		}
		out.Snippets = append(out.Snippets, snippet(p, marks))
	}
	return out, nil
}

// snippet cuts a window around the first match.
func snippet(p passage, marks [][2]int) api.Snippet {
	runes := []rune(p.text)
	from := max(marks[0][0]-snippetRunes/4, 0)
	to := min(from+snippetRunes, len(runes))
	s := api.Snippet{Field: p.title, Text: string(runes[from:to]), Marks: [][2]int{}}
	for _, m := range marks {
		if m[0] >= from && m[1] <= to {
			s.Marks = append(s.Marks, [2]int{m[0] - from, m[1] - from})
		}
	}
	return s
}

// IndexDir is where the index lives.
func (b *Box) IndexDir() string { return filepath.Join(b.opts.Dir, "index") }
