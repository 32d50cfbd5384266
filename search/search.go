// Package search is the full-text index of a box on bleve: derived from the
// store, rebuilt whenever it is missing, damaged or of another format. It
// gives candidates; who may see them, and whether the visible text really
// matches, is decided by the caller on the records themselves.
package search

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis"
	_ "github.com/blevesearch/bleve/v2/analysis/analyzer/custom"  // registers "custom"
	_ "github.com/blevesearch/bleve/v2/analysis/analyzer/keyword" // registers "keyword"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/registry"
	"github.com/blevesearch/bleve/v2/search/query"
)

// format changes whenever analysis or mapping do: an older index is rebuilt.
const format = "fengqiao-search-1"

const (
	liveBatch     = 250
	rebuildBatch  = 1000
	pollEvery     = 500 * time.Millisecond
	maxCandidates = 1000
	analyzerName  = "fengqiao"
)

// Document is what the index knows of a record.
type Document struct {
	ID      string
	Text    string
	Numbers []string
	Kind    string
	Type    string
	Village string
	State   string
	Year    string
	At      int64
	Gone    bool
}

// Source gives documents in the order of changes.
type Source interface {
	Generation() (string, error)
	Head() (uint64, error)
	// Changes lists documents changed after n and the number of the last.
	Changes(ctx context.Context, after uint64, limit int) ([]Document, uint64, error)
}

// Query is what to look for. Empty filters match everything.
type Query struct {
	Text                             string
	Kind, Type, Village, State, Year string
	From, To                         int64
	ByTime                           bool
}

// Status says how current the index is.
type Status struct {
	Documents  uint64
	IndexedTo  uint64
	Rebuilding bool
	LastError  string
}

// Index is an open index.
type Index struct {
	dir    string
	mu     sync.RWMutex
	index  bleve.Index
	status Status
}

func init() {
	if err := registry.RegisterTokenizer(analyzerName, func(map[string]interface{}, *registry.Cache) (analysis.Tokenizer, error) {
		return Tokenizer{}, nil
	}); err != nil {
		panic(err)
	}
}

func newMapping() (mapping.IndexMapping, error) {
	m := bleve.NewIndexMapping()
	if err := m.AddCustomTokenizer("bigrams", map[string]interface{}{"type": analyzerName}); err != nil {
		return nil, err
	}
	if err := m.AddCustomAnalyzer(analyzerName, map[string]interface{}{"type": "custom", "tokenizer": "bigrams"}); err != nil {
		return nil, err
	}
	doc := bleve.NewDocumentStaticMapping()
	text := bleve.NewTextFieldMapping()
	text.Analyzer, text.Store, text.IncludeTermVectors, text.IncludeInAll, text.DocValues = analyzerName, false, false, false, false
	doc.AddFieldMappingsAt("text", text)
	for _, name := range []string{"kind", "type", "village", "state", "year", "number"} {
		k := bleve.NewKeywordFieldMapping()
		k.Store, k.IncludeTermVectors, k.IncludeInAll, k.DocValues = false, false, false, false
		doc.AddFieldMappingsAt(name, k)
	}
	at := bleve.NewNumericFieldMapping()
	at.Store, at.IncludeInAll, at.DocValues = false, false, true
	doc.AddFieldMappingsAt("at", at)
	m.DefaultMapping = doc
	m.DefaultAnalyzer = analyzerName
	return m, nil
}

// Open opens the index, or begins a new one when it is missing or damaged.
func Open(dir string) (*Index, error) {
	x := &Index{dir: dir}
	index, err := openGuarded(dir)
	if err != nil {
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
		if index, err = create(dir); err != nil {
			return nil, err
		}
	}
	x.index = index
	return x, nil
}

// openGuarded turns bleve's panics on damaged files into errors.
func openGuarded(dir string) (index bleve.Index, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("search: damaged index: %v", r)
		}
	}()
	index, err = bleve.Open(dir)
	if err != nil {
		return nil, err
	}
	if f, err := index.GetInternal([]byte("format")); err != nil || string(f) != format {
		return nil, errors.Join(errors.New("search: index of another format"), err, index.Close())
	}
	return index, nil
}

func create(dir string) (bleve.Index, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	m, err := newMapping()
	if err != nil {
		return nil, err
	}
	index, err := bleve.New(dir, m)
	if err != nil {
		return nil, err
	}
	return index, index.SetInternal([]byte("format"), []byte(format))
}

// Close closes the index.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.index.Close()
}

// Status says how current the index is.
func (x *Index) Status() Status {
	x.mu.RLock()
	defer x.mu.RUnlock()
	s := x.status
	s.Documents, _ = x.index.DocCount()
	return s
}

// Follow indexes changes until ctx ends, looking twice a second: many small
// batches would cost more in merging than the records themselves. A source
// of another generation is indexed from the start.
func (x *Index) Follow(ctx context.Context, src Source) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if err := x.catchUp(ctx, src); err != nil && ctx.Err() == nil {
			x.note(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (x *Index) note(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.status.LastError = ""
	if err != nil {
		x.status.LastError = err.Error()
	}
}

func (x *Index) catchUp(ctx context.Context, src Source) error {
	generation, err := src.Generation()
	if err != nil {
		return err
	}
	at, err := x.checkpoint(generation)
	if err != nil {
		return err
	}
	head, err := src.Head()
	if err != nil {
		return err
	}
	for at < head {
		size := liveBatch
		if head-at > 10*liveBatch {
			size = rebuildBatch
		}
		docs, last, err := src.Changes(ctx, at, size)
		if err != nil {
			return err
		}
		if len(docs) == 0 {
			return nil
		}
		if err := x.write(docs, generation, last); err != nil {
			return err
		}
		at = last
		x.mu.Lock()
		x.status.IndexedTo, x.status.Rebuilding, x.status.LastError = at, head-at > rebuildBatch, ""
		x.mu.Unlock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	x.mu.Lock()
	x.status.IndexedTo, x.status.Rebuilding = at, false
	x.mu.Unlock()
	return nil
}

// checkpoint gives where the index stands in the source; a source of
// another generation begins a new index.
func (x *Index) checkpoint(generation string) (uint64, error) {
	x.mu.RLock()
	known, err1 := x.index.GetInternal([]byte("generation"))
	at, err2 := x.index.GetInternal([]byte("seq"))
	x.mu.RUnlock()
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	if string(known) == generation && len(at) == 8 {
		return binary.BigEndian.Uint64(at), nil
	}
	if known == nil {
		return 0, nil
	}
	return 0, x.Reset()
}

// Reset throws the index away; Follow fills it again.
func (x *Index) Reset() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := errors.Join(x.index.Close(), os.RemoveAll(x.dir)); err != nil {
		return err
	}
	index, err := create(x.dir)
	if err == nil {
		x.index, x.status = index, Status{Rebuilding: true}
	}
	return err
}

// write indexes documents and the place that they reach in one batch.
func (x *Index) write(docs []Document, generation string, last uint64) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	b := x.index.NewBatch()
	for _, d := range docs {
		if d.Gone {
			b.Delete(d.ID)
			continue
		}
		err := b.Index(d.ID, map[string]any{"text": d.Text, "kind": d.Kind, "type": d.Type, "village": d.Village,
			"state": d.State, "year": d.Year, "number": d.Numbers, "at": float64(d.At)})
		if err != nil {
			return err
		}
	}
	b.SetInternal([]byte("generation"), []byte(generation))
	b.SetInternal([]byte("seq"), binary.BigEndian.AppendUint64(nil, last))
	return x.index.Batch(b)
}

// Candidates lists ids that may match, best first, at most a thousand, and
// whether there are more.
func (x *Index) Candidates(ctx context.Context, q Query) (ids []string, more bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("search: damaged index: %v", r)
		}
	}()
	x.mu.RLock()
	defer x.mu.RUnlock()
	req := bleve.NewSearchRequestOptions(build(q), maxCandidates+1, 0, false)
	if q.ByTime || q.Text == "" {
		req.SortBy([]string{"-at", "_id"})
	}
	res, err := x.index.SearchInContext(ctx, req)
	if err != nil {
		return nil, false, err
	}
	for _, h := range res.Hits {
		ids = append(ids, h.ID)
	}
	if len(ids) > maxCandidates {
		return ids[:maxCandidates], true, nil
	}
	return ids, false, nil
}

func build(q Query) query.Query {
	var all []query.Query
	for _, word := range Words(q.Text) {
		any := []query.Query{keyword("number", word.Number)}
		if terms := word.Terms; len(terms) > 0 {
			var must []query.Query
			for _, t := range terms {
				must = append(must, term("text", t))
			}
			any = append(any, bleve.NewConjunctionQuery(must...))
		}
		all = append(all, bleve.NewDisjunctionQuery(any...))
	}
	for field, value := range map[string]string{"kind": q.Kind, "type": q.Type, "village": q.Village, "state": q.State, "year": q.Year} {
		if value != "" {
			all = append(all, keyword(field, value))
		}
	}
	if q.From > 0 || q.To > 0 {
		from, to := float64(q.From), float64(q.To)
		r := bleve.NewNumericRangeQuery(&from, nil)
		if q.To > 0 {
			r = bleve.NewNumericRangeQuery(&from, &to)
		}
		r.SetField("at")
		all = append(all, r)
	}
	if len(all) == 0 {
		return bleve.NewMatchAllQuery()
	}
	return bleve.NewConjunctionQuery(all...)
}

func term(field, t string) query.Query {
	q := bleve.NewTermQuery(t)
	q.SetField(field)
	return q
}

func keyword(field, value string) query.Query {
	q := term(field, value).(*query.TermQuery)
	if field != "number" {
		q.SetBoost(0)
	}
	return q
}
