package node

import (
	"context"
	"errors"

	"github.com/fengqiao/fengqiao/node/service"
	"github.com/fengqiao/fengqiao/search"
)

// source gives the index the box's changes in its own words.
type source struct{ box *service.Box }

func (s source) Generation() (string, error) { return s.box.Generation() }
func (s source) Head() (uint64, error)       { return s.box.Head() }
func (s source) Total() (int64, error)       { return s.box.SearchTotal() }

func (s source) Changes(ctx context.Context, after uint64, limit, size int) ([]search.Document, uint64, error) {
	s.box.Quiet(ctx) // people first
	texts, last, err := s.box.SearchChanges(ctx, after, limit, size)
	docs := make([]search.Document, len(texts))
	for i, t := range texts {
		docs[i] = search.Document{ID: t.ID, Texts: t.Texts, Hashes: t.Hashes, Numbers: folded(t.Numbers), Scope: t.Scope, Kind: t.Kind, Type: t.Type,
			Village: t.Village, State: t.State, Year: t.Year, At: t.At, Gone: t.Gone, Erased: t.Erased}
	}
	return docs, last, err
}

func folded(numbers []string) []string {
	out := make([]string, len(numbers))
	for i, n := range numbers {
		out[i] = search.FoldNumber(n)
	}
	return out
}

// Reindex builds the search index of a box that does not run again.
func Reindex(ctx context.Context, dir string, progress func(percent int)) (err error) {
	box, err := OpenBox(service.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	index, err := search.Open(box.IndexDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	return index.Refill(ctx, source{box}, progress)
}

// finder gives the service the index in the service's words.
type finder struct{ *search.Index }

func (f finder) Find(ctx context.Context, q service.FinderQuery) (service.FinderHits, error) {
	in := search.Query{Kind: q.Kind, Type: q.Type, Village: q.Village, State: q.State, Year: q.Year, From: q.From, To: q.To,
		Except: q.Except, ByTime: q.ByTime, Offset: q.Offset, Limit: q.Limit}
	for _, w := range q.Words {
		in.Words = append(in.Words, search.Word(w))
	}
	for c, s := range q.Scopes {
		in.Scopes[c] = search.Scope(s)
	}
	hits, err := f.Index.Find(ctx, in)
	out := service.FinderHits{IDs: hits.IDs, Total: int64(hits.Total), Exact: hits.Exact, Facets: make([]service.FinderFacet, len(hits.Facets))}
	for i, facet := range hits.Facets {
		out.Facets[i] = service.FinderFacet(facet)
	}
	return out, err
}

func (f finder) Like(ctx context.Context, q service.FinderLike) ([]string, error) {
	return f.Index.Like(ctx, search.Like{Text: q.Text, Kind: q.Kind, Village: q.Village, From: q.From, Scope: search.Scope(q.Scope), Except: q.Except, Limit: q.Limit})
}

func (f finder) Words(text string) []string       { return search.Words(text) }
func (f finder) Mark(text, query string) [][2]int { return search.Mark(text, query) }

func (f finder) Status() service.FinderStatus { return service.FinderStatus(f.Index.Status()) }
