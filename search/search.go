// Package search is the full-text index of a box on bleve: derived from the
// store, rebuilt by itself whenever it is missing, damaged or of another
// format. It knows nothing of rights but filters of terms, which its asker
// gives it with every query. DESIGN.md says why it is as it is.
package search

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis"
	_ "github.com/blevesearch/bleve/v2/analysis/analyzer/custom"  // registers "custom"
	_ "github.com/blevesearch/bleve/v2/analysis/analyzer/keyword" // registers "keyword"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/registry"
)

// format changes whenever analysis or mapping do: an older index is rebuilt.
const format = "fengqiao-search-3"

const analyzerName = "fengqiao"

// Class is a class of sensitivity. Texts of different classes are indexed
// apart, since an asker may read one and not the other.
type Class int

const (
	Summary  Class = iota // codes and numbers
	Text                  // case text
	Identity              // who a person is
	classes
)

var classFields = [classes]string{"summary", "text", "identity"}

// Document is what the index knows of a record.
type Document struct {
	ID      string
	Texts   [classes]string
	Hashes  []string // keyed hashes of ID cards and phones; of class Identity
	Numbers []string // of the matter, in the form of FoldNumber
	Scope   []string // terms that the filters of askers test
	Kind    string
	Type    string
	Village string
	State   string
	Year    string
	At      int64 // ms
	Gone    bool  // is not to be found
	Erased  bool  // is gone, and its terms must leave the disk as well
}

// size is about what indexing the document costs in memory.
func (d *Document) size() int {
	n := 256
	for _, t := range d.Texts {
		n += len(t)
	}
	return n
}

// Status says how current the index is.
type Status struct {
	Documents  uint64
	IndexedTo  uint64 // change of the source
	Rebuilding bool
	Percent    int // of the rebuild
	LastError  string
}

// Index is an open index.
type Index struct {
	dir     string
	mu      sync.RWMutex // held for reading while the bleve index is used
	index   bleve.Index
	place   place
	total   int64
	err     string
	moved   chan struct{} // closed whenever place changes
	awaited chan struct{} // somebody waits for a change
	damaged atomic.Bool   // must begin again
	suspect atomic.Bool   // failed once; the segments must be checked
	rebuild atomic.Bool
}

// place is how far the index has followed its source. It is written in the
// same batch as the documents, so that both survive or neither.
type place struct {
	Generation string
	N          uint64 // change
	Done       int64  // changes read since the index began
	Whole      bool   // has been at the end of the source once
	Purge      bool   // terms of erased records are still on disk
}

const (
	formatKey = "format"
	placeKey  = "place"
)

// asyncErrors is the name under which scorch finds the callback of an
// index; bleve keeps names, not functions, in an index.
const asyncErrors = "fengqiao"

var openIndexes sync.Map // directory of scorch → *Index

func init() {
	scorch.RegistryAsyncErrorCallbacks[asyncErrors] = func(err error, path string) {
		if x, ok := openIndexes.Load(path); ok {
			x.(*Index).suspect.Store(true)
			if strings.Contains(err.Error(), string(scorch.ErrAsyncPanic)) {
				x.(*Index).damaged.Store(true) // its goroutine is gone
			}
		}
	}
	if err := registry.RegisterTokenizer(analyzerName, func(map[string]any, *registry.Cache) (analysis.Tokenizer, error) {
		return Tokenizer{}, nil
	}); err != nil {
		panic(err)
	}
}

func newMapping() (mapping.IndexMapping, error) {
	m := bleve.NewIndexMapping()
	if err := m.AddCustomTokenizer("pairs", map[string]any{"type": analyzerName}); err != nil {
		return nil, err
	}
	if err := m.AddCustomAnalyzer(analyzerName, map[string]any{"type": "custom", "tokenizer": "pairs"}); err != nil {
		return nil, err
	}
	doc := bleve.NewDocumentStaticMapping()
	for _, name := range classFields {
		f := bleve.NewTextFieldMapping()
		f.Analyzer, f.Store, f.IncludeTermVectors, f.IncludeInAll, f.DocValues = analyzerName, false, false, false, false
		doc.AddFieldMappingsAt(name, f)
	}
	for _, name := range []string{"kind", "type", "village", "state", "year", "number", "hash", "scope", "facet", "time"} {
		f := bleve.NewKeywordFieldMapping()
		f.Store, f.IncludeTermVectors, f.IncludeInAll, f.DocValues, f.SkipFreqNorm = false, false, false, name == "facet" || name == "time", name != "number"
		doc.AddFieldMappingsAt(name, f)
	}
	at := bleve.NewNumericFieldMapping() // for ranges; time sorts, at a tenth of the cost
	at.Store, at.IncludeInAll, at.DocValues = false, false, false
	doc.AddFieldMappingsAt("at", at)
	m.DefaultMapping = doc
	m.DefaultAnalyzer = analyzerName
	return m, nil
}

// Open opens the index, or begins a new one when it is missing or damaged.
// Where the disk has no room for that, nothing is found until Follow could
// begin: a box works without its search.
func Open(dir string) (*Index, error) {
	x := &Index{dir: dir, moved: make(chan struct{}), awaited: make(chan struct{}, 1)}
	index, err := openGuarded(dir)
	if err == nil {
		return x, x.use(index)
	}
	if err := guarded(x.begin); err != nil {
		return x, x.without(err)
	}
	return x, nil
}

// without stands an empty index in memory where none can be on disk.
func (x *Index) without(cause error) error {
	m, err := newMapping()
	if err != nil {
		return err
	}
	if x.index, err = bleve.NewMemOnly(m); err != nil {
		return err
	}
	x.place, x.err = place{}, cause.Error()
	x.damaged.Store(true) // Follow begins again
	return nil
}

func openGuarded(dir string) (index bleve.Index, err error) {
	err = guarded(func() (err error) {
		if index, err = bleve.Open(dir); err != nil {
			return err
		}
		f, err := index.GetInternal([]byte(formatKey))
		if err != nil || string(f) != format {
			return errors.Join(errors.New("search: index of another format"), err, index.Close())
		}
		return nil
	})
	return index, err
}

// errDamaged: the index must be rebuilt.
var errDamaged = errors.New("search: damaged index")

// guarded turns panics, and reads beyond the end of a file that was cut,
// into errors: bleve and bbolt answer damaged files with them.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errDamaged, r)
		}
	}()
	return f()
}

// begin throws away what there is and makes an empty index. The caller
// holds the lock or is alone.
func (x *Index) begin() error {
	if err := errors.Join(os.RemoveAll(x.dir), os.MkdirAll(filepath.Dir(x.dir), 0o700)); err != nil {
		return err
	}
	m, err := newMapping()
	if err != nil {
		return err
	}
	index, err := bleve.NewUsing(x.dir, m, scorch.Name, scorch.Name, map[string]any{"asyncErrorCallbackName": asyncErrors, "numSnapshotsToKeep": 1})
	if err != nil {
		return err
	}
	if err := index.SetInternal([]byte(formatKey), []byte(format)); err != nil {
		return errors.Join(err, index.Close())
	}
	return x.use(index)
}

func (x *Index) use(index bleve.Index) error {
	x.index, x.place, x.err = index, place{}, ""
	x.damaged.Store(false)
	openIndexes.Store(x.store(), x)
	raw, err := index.GetInternal([]byte(placeKey))
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &x.place)
	}
	return err
}

// store is the directory of the segments.
func (x *Index) store() string { return filepath.Join(x.dir, "store") }

// Close closes the index.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	openIndexes.Delete(x.store())
	return x.index.Close()
}

// Status says how current the index is. A document counter that cannot be
// read is 0.
func (x *Index) Status() Status {
	x.mu.RLock()
	defer x.mu.RUnlock()
	s := Status{IndexedTo: x.place.N, Rebuilding: !x.place.Whole, LastError: x.err, Percent: 100}
	if s.Rebuilding {
		s.Percent = int(min(x.place.Done*100/max(x.total, 1), 99))
	}
	s.Documents, _ = x.index.DocCount()
	return s
}

// Rebuild has the index thrown away and filled again by Follow.
func (x *Index) Rebuild() { x.rebuild.Store(true) }
