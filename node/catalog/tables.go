package catalog

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/mozillazg/go-pinyin"

	"github.com/fengqiao/fengqiao/node/domain"
)

// Table is a code table of the catalogue with what people type to find a
// code.
type Table struct {
	domain.Table
	rows map[string]*Row
	list []*Row
}

// Row is a code with its spellings: 邻里纠纷 is also linlijiufen and lljf.
type Row struct {
	domain.Code
	Pinyin   string `json:"pinyin"`
	Initials string `json:"initials"`
}

// Mapping turns codes of one table into codes of another by the longest
// prefix.
type Mapping struct {
	ID       string            `yaml:"id"`
	From     string            `yaml:"from"`
	To       string            `yaml:"to"`
	Default  string            `yaml:"default"`
	Prefixes map[string]string `yaml:"prefixes"`
}

// Map gives the code of the other table; the default when no prefix fits.
func (m *Mapping) Map(code string) string {
	for n := len(code); n > 0; n-- {
		if to, ok := m.Prefixes[code[:n]]; ok {
			return to
		}
	}
	return m.Default
}

// base is what kinds refer to.
type base struct {
	tables   map[string]*Table
	mappings map[string]*Mapping
	papers   []PaperTemplate
	generic  map[int]map[string]domain.Step
}

var shared = sync.OnceValues(loadBase)

func loadBase() (*base, error) {
	b := &base{tables: map[string]*Table{}, mappings: map[string]*Mapping{}}
	names, err := fs.Glob(files, "tables/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		var file struct {
			Tables   []domain.Table `yaml:"tables"`
			Mappings []*Mapping     `yaml:"mappings"`
		}
		if err := readStrict(name, &file); err != nil {
			return nil, err
		}
		for _, t := range file.Tables {
			if err := b.addTable(name, t); err != nil {
				return nil, err
			}
		}
		for _, m := range file.Mappings {
			b.mappings[m.ID] = m
		}
	}
	if err := b.checkMappings(); err != nil {
		return nil, err
	}
	if err := readStrict("papers.yaml", &b.papers); err != nil {
		return nil, err
	}
	if err := checkPapers(b.papers); err != nil {
		return nil, err
	}
	b.generic, err = loadGeneric()
	return b, err
}

func readStrict(name string, v any) error {
	data, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(v); err != nil {
		return fmt.Errorf("catalog: %s: %w", name, err)
	}
	return nil
}

func (b *base) addTable(name string, t domain.Table) error {
	if _, twice := b.tables[t.ID]; twice {
		return fmt.Errorf("catalog: %s: table %s stands twice", name, t.ID)
	}
	table, err := newTable(t)
	if err != nil {
		return fmt.Errorf("catalog: %s: %w", name, err)
	}
	b.tables[t.ID] = table
	return nil
}

func newTable(t domain.Table) (*Table, error) {
	table := &Table{Table: t, rows: map[string]*Row{}}
	for _, c := range t.Codes {
		if c.Code == "" || c.ZH == "" || c.EN == "" {
			return nil, fmt.Errorf("table %s: code %q needs a Chinese and an English label", t.ID, c.Code)
		}
		if _, twice := table.rows[c.Code]; twice {
			return nil, fmt.Errorf("table %s: code %s stands twice", t.ID, c.Code)
		}
		if _, ok := table.rows[c.Parent]; c.Parent != "" && !ok {
			return nil, fmt.Errorf("table %s: parent %s of %s must stand before it", t.ID, c.Parent, c.Code)
		}
		row := &Row{Code: c}
		row.Pinyin, row.Initials = Spell(c.ZH)
		table.rows[c.Code] = row
		table.list = append(table.list, row)
	}
	return table, nil
}

func (b *base) checkMappings() error {
	for id, m := range b.mappings {
		to, ok := b.tables[m.To]
		if _, from := b.tables[m.From]; !ok || !from {
			return fmt.Errorf("catalog: mapping %s names an unknown table", id)
		}
		for prefix, code := range m.Prefixes {
			if _, ok := to.Row(code); !ok {
				return fmt.Errorf("catalog: mapping %s: %s has no code %s in %s", id, prefix, code, m.To)
			}
		}
		if _, ok := to.Row(m.Default); !ok && m.Default != "" {
			return fmt.Errorf("catalog: mapping %s: default %s is not in %s", id, m.Default, m.To)
		}
	}
	return nil
}

// profile reports whether a clock profile is known.
func (b *base) profile(id string) bool {
	known, err := profiles()
	_, ok := known[id]
	return err == nil && ok
}

// Row finds a code.
func (t *Table) Row(code string) (*Row, bool) {
	r, ok := t.rows[code]
	return r, ok
}

// Rows lists the codes in the order of the table.
func (t *Table) Rows() []*Row { return slices.Clone(t.list) }

// Tables lists the tables in order of their id.
func (c *Catalogue) Tables() []*Table {
	out := make([]*Table, 0, len(c.tables))
	for _, id := range slices.Sorted(maps.Keys(c.tables)) {
		out = append(out, c.tables[id])
	}
	return out
}

// Table finds a table of the catalogue.
func (c *Catalogue) Table(id string) (*Table, bool) {
	t, ok := c.tables[id]
	return t, ok
}

// TableOf finds a table as a kind sees it: its own first. def may be nil.
func (c *Catalogue) TableOf(def *domain.Definition, id string) (*Table, bool) {
	if def != nil {
		if own, ok := def.Table(id); ok {
			t, err := newTable(*own)
			return t, err == nil
		}
	}
	return c.Table(id)
}

// HasCode reports whether a table has the code, the kind's own table
// first. def may be nil.
func (c *Catalogue) HasCode(def *domain.Definition, table, code string) bool {
	if def != nil {
		if own, ok := def.Table(table); ok {
			_, has := own.Code(code)
			return has
		}
	}
	t, ok := c.tables[table]
	return ok && t.rows[code] != nil
}

// Label gives the words for a code, the code itself when it is unknown.
func (c *Catalogue) Label(table, code string) domain.Text {
	if t, ok := c.tables[table]; ok {
		if r, ok := t.rows[code]; ok {
			return domain.Text{ZH: r.ZH, EN: r.EN}
		}
	}
	return domain.Text{ZH: code, EN: code}
}

// Mapping finds a mapping between two tables, such as gbt_to_moj.
func (c *Catalogue) Mapping(id string) (*Mapping, bool) {
	m, ok := c.mappings[id]
	return m, ok
}

// Spell gives the pinyin of a label without tones, and its initials; other
// letters and digits stay.
func Spell(s string) (full, initials string) {
	var all, first strings.Builder
	args := pinyin.NewArgs()
	for _, r := range strings.ToLower(s) {
		switch p := pinyin.SinglePinyin(r, args); {
		case len(p) > 0:
			all.WriteString(p[0])
			first.WriteByte(p[0][0])
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			all.WriteRune(r)
			first.WriteRune(r)
		}
	}
	return all.String(), first.String()
}
