package sheet

import (
	"cmp"
	"slices"
	"strings"
)

const (
	headerWindow = 10 // first rows among which a header is looked for
	headerDepth  = 3  // rows that one header may take
)

// merge is a range of merged cells, all bounds inclusive and from 1.
type merge struct{ top, bottom, left, right int }

// findHeader settles which rows are the header. Above it often stands a
// title over all columns; the header is the first row that is at least half
// as full as the fullest near it. A cell merged downwards from the header
// makes a block of several rows, as in 当事人 over 姓名 and 电话.
func (t *Table) findHeader(head []Row, fixed, width int) error {
	at := pickHeader(head, fixed)
	if at < 0 {
		return noHeader(fixed)
	}
	first := head[at].Number
	t.headerEnd = first
	for _, m := range t.merges {
		if m.top == first && m.bottom > first && m.right > 0 {
			t.headerEnd = max(t.headerEnd, min(m.bottom, first+headerDepth-1))
		}
	}
	t.Header = make([]string, width)
	for _, r := range head[at:] {
		if r.Number <= t.headerEnd {
			t.addHeader(r, first)
		}
	}
	if !slices.ContainsFunc(t.Header, func(s string) bool { return s != "" }) {
		return noHeader(first)
	}
	return nil
}

func pickHeader(head []Row, fixed int) int {
	if fixed > 0 {
		return slices.IndexFunc(head, func(r Row) bool { return r.Number == fixed })
	}
	head = head[:min(len(head), headerWindow)]
	most := 0
	for _, r := range head {
		most = max(most, filled(r))
	}
	return slices.IndexFunc(head, func(r Row) bool { return 2*filled(r) >= most && (filled(r) > 1 || most == 1) })
}

func filled(r Row) int {
	n := 0
	for _, c := range r.Cells {
		if !isBlank(c.Text) {
			n++
		}
	}
	return n
}

// addHeader joins one row of the header block to the names above it.
func (t *Table) addHeader(r Row, first int) {
	for i := range t.Header {
		text := ""
		if i < len(r.Cells) {
			text = r.Cells[i].Text
		}
		if r.Number < t.headerEnd && isBlank(text) {
			text = t.parent(r, i+1)
		}
		text = strings.Join(strings.Fields(text), " ")
		switch {
		case text == "" || text == t.Header[i]:
		case t.Header[i] == "" || r.Number == first:
			t.Header[i] = text
		default:
			t.Header[i] += "/" + text
		}
	}
}

// parent is the text of the cell merged over a column of the row.
func (t *Table) parent(r Row, column int) string {
	for _, m := range t.merges {
		if m.top == r.Number && m.left < column && column <= m.right && m.left <= len(r.Cells) {
			return r.Cells[m.left-1].Text
		}
	}
	return ""
}

// mergeFill repeats the value of a range merged over several rows in each of
// them, in its first column: merging 村 over ten rows means ten times the
// village.
type mergeFill struct {
	waiting []merge
	active  []activeMerge
}

type activeMerge struct {
	merge
	cell Cell
}

func newMergeFill(merges []merge) *mergeFill {
	f := &mergeFill{}
	for _, m := range merges {
		if m.bottom > m.top {
			f.waiting = append(f.waiting, m)
		}
	}
	slices.SortFunc(f.waiting, func(a, b merge) int { return cmp.Or(cmp.Compare(a.top, b.top), cmp.Compare(a.left, b.left)) })
	return f
}

func (f *mergeFill) apply(r Row) Row {
	f.active = slices.DeleteFunc(f.active, func(a activeMerge) bool { return a.bottom < r.Number })
	for _, a := range f.active {
		for len(r.Cells) < a.left {
			r.Cells = append(r.Cells, Cell{})
		}
		if c := &r.Cells[a.left-1]; c.Err == nil && c.Text == "" {
			*c = a.cell
		}
	}
	for len(f.waiting) > 0 && f.waiting[0].top <= r.Number {
		m := f.waiting[0]
		f.waiting = f.waiting[1:]
		// A top row without content has no value to repeat.
		if m.top < r.Number || m.left > len(r.Cells) || isBlank(r.Cells[m.left-1].Text) {
			continue
		}
		cell := r.Cells[m.left-1]
		cell.Merged = true
		f.active = append(f.active, activeMerge{m, cell})
	}
	return r
}
