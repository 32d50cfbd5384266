// Package catalog holds the kinds of matter, code tables and paper
// templates that come with the release, as data, and reads kinds that a
// county writes itself. Nothing here is in force by itself: a fold uses the
// definitions that stand in the order of operations.
package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

//go:embed kinds/*.yaml tables/*.yaml generic/*.yaml papers.yaml
var files embed.FS

// Kind is a definition with its text and its name in operations.
type Kind struct {
	Definition *domain.Definition
	Ref        envelope.DefinitionRef
	Source     []byte // YAML as read, for storing as a definition record
}

// Catalogue is what the release brings.
type Catalogue struct {
	kinds    map[string]*Kind // newest version by id
	refs     map[envelope.DefinitionRef]*Kind
	tables   map[string]*Table
	mappings map[string]*Mapping
	papers   []PaperTemplate
}

// Embedded reads the catalogue of the release. It fails only when the
// release itself is wrong, which its tests exclude.
func Embedded() (*Catalogue, error) { return embedded() }

var embedded = sync.OnceValues(func() (*Catalogue, error) {
	shared, err := shared()
	if err != nil {
		return nil, err
	}
	c := &Catalogue{kinds: map[string]*Kind{}, refs: map[envelope.DefinitionRef]*Kind{},
		tables: shared.tables, mappings: shared.mappings, papers: shared.papers}
	names, err := fs.Glob(files, "kinds/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := c.load(name); err != nil {
			return nil, err
		}
	}
	return c, nil
})

func (c *Catalogue) load(name string) error {
	data, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	def, err := Parse(path.Base(name), data)
	if err != nil {
		return err
	}
	if _, twice := c.kinds[def.ID]; twice {
		return fmt.Errorf("catalog: %s: kind %s is defined twice", name, def.ID)
	}
	k := &Kind{Definition: def, Ref: def.Ref(Hash(def)), Source: data}
	c.kinds[def.ID], c.refs[k.Ref] = k, k
	return nil
}

// Kinds lists the kinds in order of their id.
func (c *Catalogue) Kinds() []*Kind {
	out := make([]*Kind, 0, len(c.kinds))
	for _, id := range slices.Sorted(maps.Keys(c.kinds)) {
		out = append(out, c.kinds[id])
	}
	return out
}

// Kind finds the newest version of a kind.
func (c *Catalogue) Kind(id string) (*Kind, bool) {
	k, ok := c.kinds[id]
	return k, ok
}

// Current gives the newest version of a kind and its name in operations.
func (c *Catalogue) Current(id string) (*domain.Definition, envelope.DefinitionRef, bool) {
	k, ok := c.kinds[id]
	if !ok {
		return nil, envelope.DefinitionRef{}, false
	}
	return k.Definition, k.Ref, true
}

// ByRef finds exactly the version that an operation names.
func (c *Catalogue) ByRef(ref envelope.DefinitionRef) (*domain.Definition, bool) {
	k, ok := c.refs[ref]
	if !ok {
		return nil, false
	}
	return k.Definition, true
}

// Papers lists the printable forms that the release can fill.
func (c *Catalogue) Papers() []PaperTemplate { return slices.Clone(c.papers) }

// Hash names a definition by its meaning: deterministic CBOR of the
// expanded definition, so that comments, order of keys and line breaks of
// the YAML do not matter.
func Hash(def *domain.Definition) envelope.Hash {
	b, err := envelope.Marshal(def)
	if err != nil {
		// A definition is plain strings, numbers and lists.
		panic(fmt.Sprintf("catalog: %s: %v", def.ID, err))
	}
	return envelope.Sum([]byte("fengqiao/definition/1\x00"), b)
}
