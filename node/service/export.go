package service

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/sheet"
)

// listDivisions is the list that the tree begins with.
const listDivisions = "divisions"

// Table is a list on its way out.
type Table struct {
	List   string
	Header []string
	Rows   [][]sheet.Cell
}

// Output gives the rows to a writer.
func (t *Table) Output() sheet.Output {
	return func(yield func([]sheet.Cell, error) bool) {
		for _, r := range t.Rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Exports lists what Export gives, in the order in which an empty box takes
// it: what others refer to stands first.
func (b *Box) Exports() []string {
	p := b.policy.Load()
	out := []string{listDivisions}
	for _, id := range slices.Concat(masterLists, p.matterKinds()) { // before the set-up most kinds are not in force
		if _, err := b.listOf(p, id, nil); err == nil {
			out = append(out, id)
		}
	}
	return out
}

// Export writes a list as a table that an import reads again. Values of
// persons are in full: only root at the terminal, who holds the keys anyway,
// may. The rows are in the order of their content, so that the same records
// give the same bytes whatever box holds them.
func (b *Box) Export(ctx context.Context, id string) (Table, error) {
	out := Table{List: id}
	err := b.settled(ctx)
	if err != nil {
		return out, err
	}
	if id == listDivisions {
		b.exportDivisions(&out)
	} else {
		err = b.exportList(&out)
	}
	if err != nil {
		return out, err
	}
	slices.SortFunc(out.Rows, compareRows)
	return out, b.noteFor(envelope.RecordID{}, audit.Entry{Action: "export", ObjectKind: id, Result: "ok", Details: map[string]string{"rows": strconv.Itoa(len(out.Rows))}})
}

func compareRows(a, b []sheet.Cell) int {
	return slices.CompareFunc(a, b, func(x, y sheet.Cell) int { return strings.Compare(x.Text, y.Text) })
}

func (b *Box) exportList(out *Table) error {
	p := b.policy.Load()
	l, err := b.listOf(p, out.List, nil)
	if err != nil {
		return err
	}
	// A first walk finds how many entries the largest group has.
	var records []*domain.Record
	header := []string{}
	err = b.eachOf(l.def.ID, func(r *domain.Record) error {
		records = append(records, r)
		header = append(header, groupColumns(l.def, r)...)
		return nil
	})
	if err == nil {
		l, err = b.listOf(p, out.List, header)
	}
	if err != nil {
		return err
	}
	for i := range l.fields {
		out.Header = append(out.Header, l.fields[i].Title.ZH)
	}
	for _, r := range records {
		v, err := l.values(r)
		if err != nil {
			return err
		}
		if v != nil {
			out.Rows = append(out.Rows, cells(l.fields, v))
		}
	}
	return nil
}

// groupColumns names a column of each entry beyond those that every table
// has.
func groupColumns(def *domain.Definition, r *domain.Record) []string {
	var out []string
	for i := range def.Fields {
		f := &def.Fields[i]
		if f.Type != domain.TypeGroup {
			continue
		}
		if items := r.Items(f.Key); len(items) > 0 {
			for n := defaultItems; n <= items[len(items)-1]; n++ {
				out = append(out, f.Title.ZH+strconv.Itoa(n+1))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// eachOf visits the counted records of a kind.
func (b *Box) eachOf(kind string, visit func(*domain.Record) error) error {
	var after []byte
	for {
		hits, err := b.store.Scan(keyOf("k", kind), after, false, 500)
		if err != nil {
			return err
		}
		for _, h := range hits {
			after = h.Key
			r, err := b.record(h.ID)
			if err != nil {
				return err
			}
			counts, err := b.imported(r)
			if counts {
				err = errors.Join(err, visit(r))
			}
			if err != nil {
				return err
			}
		}
		if len(hits) < 500 {
			return nil
		}
	}
}

func cells(fields []sheet.Field, v map[string]any) []sheet.Cell {
	row := make([]sheet.Cell, len(fields))
	for i := range fields {
		if value := v[fields[i].Key]; value != nil {
			row[i].Text = fields[i].Formatter()(value)
		}
	}
	return row
}

// exportDivisions gives counties, townships and villages as
// ImportDivisionList reads them.
func (b *Box) exportDivisions(out *Table) {
	out.Header = sheet.DivisionHeader()
	for _, o := range b.policy.Load().organisations {
		if !slices.Contains([]string{domain.LevelCounty, domain.LevelTownship, domain.LevelVillage}, o.Level) {
			continue
		}
		d := sheet.Division{Code: o.Code, Name: o.Name, Level: sheet.Level(o.Level), Parent: o.Parent, Abbr: o.Abbr, Lng: o.Lng, Lat: o.Lat, HasPoint: o.Lng != 0, Aliases: o.Aliases}
		if o.Level == domain.LevelCounty {
			d.Parent = o.Code[:4] + "00" // GB/T 2260: the box keeps nothing above its county
		}
		out.Rows = append(out.Rows, d.Cells())
	}
}
