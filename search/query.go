package search

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/search/query"
)

// Scope is a filter over the scope terms of documents: it takes one that
// has, for one of the clauses, one term of every set. The empty scope takes
// none.
type Scope [][][]string

// Word is one word of a query, as a person wrote it.
type Word struct {
	Text string
	Hash string // keyed hash, where it has the form of a personal number
}

// Query is what to look for. Empty filters match everything.
type Query struct {
	Words                            []Word // all must match
	Kind, Type, Village, State, Year string
	From, To                         int64 // of At; To is left out, 0 is no limit
	Scopes                           [classes]Scope
	Except                           []string // ids to leave out
	ByTime                           bool     // newest first, not best first
	Offset, Limit                    int
}

// Hits are what a query found.
type Hits struct {
	IDs    []string // of the page
	Total  uint64
	Facets []Facet
	// Exact says that every hit counted holds the words themselves. A word
	// of three and more characters is found by its pairs, which may also
	// stand apart.
	Exact bool
}

// Facet counts hits of one combination of values.
type Facet struct {
	Kind, Type, Village, Year, State string
	N                                int
}

const (
	// maxTime ends a query that costs more than people wait for.
	maxTime = 10 * time.Second
	// maxFacets is more than kinds × types × villages × years × states of a
	// box can be, so that none is left out.
	maxFacets   = 1 << 20
	facetSep    = "\x1f"
	numberBoost = 10
)

func facetOf(d *Document) string {
	return strings.Join([]string{d.Kind, d.Type, d.Village, d.Year, d.State}, facetSep)
}

// Find answers a query. Totals and facets count the whole hit set.
func (x *Index) Find(ctx context.Context, q Query) (Hits, error) {
	words := make([][]word, len(q.Words))
	exact := true
	for i, w := range q.Words {
		words[i] = wordsOf(w.Text)
		for _, part := range words[i] {
			exact = exact && len(part.terms) == 1
		}
	}
	req := bleve.NewSearchRequestOptions(q.build(words), q.Limit, q.Offset, false)
	req.SortBy([]string{"-_score", "-time", "_id"})
	if q.ByTime || len(q.Words) == 0 {
		req.SortBy([]string{"-time", "_id"})
		req.Score = "none"
	}
	req.AddFacet("facet", bleve.NewFacetRequest("facet", maxFacets))
	res, err := x.run(ctx, req)
	if err != nil {
		return Hits{}, err
	}
	return Hits{IDs: ids(res), Total: res.Total, Facets: facets(res), Exact: exact}, nil
}

// run asks bleve. After a panic Follow begins a new index, after an error
// it checks the segments.
func (x *Index) run(ctx context.Context, req *bleve.SearchRequest) (res *bleve.SearchResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	x.mu.RLock()
	defer x.mu.RUnlock()
	defer func() {
		x.damaged.CompareAndSwap(false, errors.Is(err, errDamaged))
		x.suspect.CompareAndSwap(false, err != nil && ctx.Err() == nil)
	}()
	err = guarded(func() (err error) { res, err = x.index.SearchInContext(ctx, req); return err })
	return res, err
}

func ids(res *bleve.SearchResult) []string {
	out := make([]string, len(res.Hits))
	for i, h := range res.Hits {
		out[i] = h.ID
	}
	return out
}

func facets(res *bleve.SearchResult) []Facet {
	counted := res.Facets["facet"]
	if counted == nil || counted.Terms == nil {
		return nil
	}
	terms := counted.Terms.Terms()
	out := make([]Facet, 0, len(terms))
	for _, t := range terms {
		if v := strings.Split(t.Term, facetSep); len(v) == 5 {
			out = append(out, Facet{Kind: v[0], Type: v[1], Village: v[2], Year: v[3], State: v[4], N: t.Count})
		}
	}
	return out
}

// build makes the query. Every word is looked for in every class, and in
// each under that class's own scope.
func (q *Query) build(words [][]word) query.Query {
	var scopes [classes]query.Query
	for c := range scopes {
		scopes[c] = q.Scopes[c].query()
	}
	must := q.filters()
	for i, w := range q.Words {
		if len(words[i]) > 0 { // signs alone are left out
			must = append(must, wordQuery(w, words[i], scopes))
		}
	}
	switch {
	case len(q.Words) == 0:
		must = append(must, scopes[Summary])
	case !slices.ContainsFunc(words, func(w []word) bool { return len(w) > 0 }):
		return bleve.NewMatchNoneQuery()
	}
	out := bleve.NewBooleanQuery()
	out.AddMust(must...)
	if len(q.Except) > 0 {
		out.AddMustNot(bleve.NewDocIDQuery(q.Except))
	}
	return out
}

// wordQuery: what a person wrote between spaces is a matter's number, a
// personal number in full, or words that all stand in texts.
func wordQuery(w Word, parts []word, scopes [classes]query.Query) query.Query {
	number := term("number", FoldNumber(w.Text))
	number.SetBoost(numberBoost)
	any := []query.Query{within(scopes[Summary], number)}
	if w.Hash != "" {
		any = append(any, within(scopes[Identity], term("hash", w.Hash)))
	}
	var all []query.Query
	for _, part := range parts {
		var classQueries []query.Query
		for c, field := range classFields {
			var must []query.Query
			for _, t := range part.terms {
				must = append(must, term(field, t))
			}
			classQueries = append(classQueries, within(scopes[c], must...))
		}
		all = append(all, bleve.NewDisjunctionQuery(classQueries...))
	}
	any = append(any, bleve.NewConjunctionQuery(all...))
	return bleve.NewDisjunctionQuery(any...)
}

// within limits queries, all of which must match, to a scope that does not
// count for their score.
func within(scope query.Query, must ...query.Query) query.Query {
	out := bleve.NewBooleanQuery()
	out.AddMust(must...)
	out.AddFilter(scope)
	return out
}

func (s Scope) query() query.Query {
	if len(s) == 0 {
		return bleve.NewMatchNoneQuery()
	}
	clauses := make([]query.Query, len(s))
	for i, clause := range s {
		sets := make([]query.Query, len(clause))
		for j, set := range clause {
			terms := make([]query.Query, len(set))
			for k, t := range set {
				terms[k] = term("scope", t)
			}
			sets[j] = bleve.NewDisjunctionQuery(terms...)
		}
		clauses[i] = bleve.NewConjunctionQuery(sets...)
	}
	return bleve.NewDisjunctionQuery(clauses...)
}

// filters are the conditions beside the words; they have no score.
func (q *Query) filters() []query.Query {
	var out []query.Query
	for _, f := range [][2]string{{"kind", q.Kind}, {"type", q.Type}, {"village", q.Village}, {"state", q.State}, {"year", q.Year}} {
		if f[1] != "" {
			t := term(f[0], f[1])
			t.SetBoost(0)
			out = append(out, t)
		}
	}
	if q.From > 0 || q.To > 0 {
		out = append(out, between(q.From, q.To))
	}
	return out
}

func between(from, to int64) query.Query {
	low, high := float64(from), float64(to)
	r := bleve.NewNumericRangeQuery(&low, &high)
	if to == 0 {
		r = bleve.NewNumericRangeQuery(&low, nil)
	}
	r.SetField("at")
	r.SetBoost(0)
	return r
}

func term(field, t string) *query.TermQuery {
	q := bleve.NewTermQuery(t)
	q.SetField(field)
	return q
}

// Like asks for documents whose case text resembles a text.
type Like struct {
	Text          string
	Kind, Village string
	From          int64
	Scope         Scope // of class Text
	Except        []string
	Limit         int
}

// maxLikeTerms bounds a resemblance: more pairs say no more.
const maxLikeTerms = 64

// Like lists candidates, most alike first; how alike they are is for the
// asker to measure on the records.
func (x *Index) Like(ctx context.Context, l Like) ([]string, error) {
	var alike []query.Query
	for _, t := range distinct(l.Text) {
		alike = append(alike, term(classFields[Text], t))
	}
	if len(alike) == 0 {
		return nil, nil
	}
	q := Query{Kind: l.Kind, Village: l.Village, From: l.From}
	root := bleve.NewBooleanQuery()
	root.AddMust(append(q.filters(), bleve.NewDisjunctionQuery(alike...))...)
	root.AddFilter(l.Scope.query())
	if len(l.Except) > 0 {
		root.AddMustNot(bleve.NewDocIDQuery(l.Except))
	}
	res, err := x.run(ctx, bleve.NewSearchRequestOptions(root, l.Limit, 0, false))
	if err != nil {
		return nil, err
	}
	return ids(res), nil
}

// distinct are the terms of a text that queries use, each once.
func distinct(text string) []string {
	var out []string
	seen := map[string]bool{}
	for _, w := range Words(text) {
		for _, t := range termsOf(w) {
			if !seen[t] && len(out) < maxLikeTerms {
				seen[t] = true
				out = append(out, t)
			}
		}
	}
	return out
}
