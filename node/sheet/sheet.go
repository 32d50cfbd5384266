// Package sheet reads and writes the tables that people bring and take:
// CSV and XLSX files of any origin, checked against limits before they can
// hurt, with the position of everything that is wrong. It knows files,
// cells and their types; what a row means is the caller's.
package sheet

import (
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/fengqiao/fengqiao/node/domain"
)

// Limits bound what a file may cost. The zero value of a field means its
// default.
type Limits struct {
	Bytes    int64 // of the file; 32 MiB
	Rows     int   // with content, header included; 20,000
	Columns  int   // 200
	Chars    int   // of a cell, counted as Excel does (UTF-16 units); 32,767
	Unzipped int64 // of all parts of an XLSX together; 256 MiB
	Part     int64 // of one part; 128 MiB
	Ratio    int64 // unzipped to zipped of a part of 1 MiB or more; 200
	Parts    int   // 2,000
}

// maxCellChars is the most that Excel keeps in a cell.
const maxCellChars = 32767

func (l Limits) withDefaults() Limits {
	fill(&l.Bytes, 32<<20)
	fill(&l.Rows, 20000)
	fill(&l.Columns, 200)
	fill(&l.Chars, maxCellChars)
	fill(&l.Unzipped, 256<<20)
	fill(&l.Part, 128<<20)
	fill(&l.Ratio, 200)
	fill(&l.Parts, 2000)
	return l
}

func fill[T int | int64](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// Options say what is known of a file besides its content.
type Options struct {
	Name      string // file name; its extension must fit the content
	MediaType string // as the browser gave it, "" when unknown
	Sheet     string // of a workbook; "" is the first visible one
	Header    int    // row number of the header, 0 to find it
	Limits    Limits
}

// Format of a file.
type Format string

const (
	CSV  Format = "csv"
	XLSX Format = "xlsx"
)

// Kind is how a cell was stored.
type Kind uint8

const (
	Text   Kind = iota
	Number      // decimal digits without exponent
	Date        // 2006-01-02
	Moment      // 2006-01-02 15:04:05, local time
	Clock       // 15:04:05, a time without a day
	Bool        // TRUE or FALSE
)

// Cell is one value as a person sees it in the table.
type Cell struct {
	Text   string
	Kind   Kind
	Merged bool       // repeated from the top of a merged range
	Err    *CellError // the value cannot be trusted
}

// Row is one row with content. Cells has one cell per column of the table.
type Row struct {
	Number int // as Excel and WPS show it, from 1
	Cells  []Cell
}

// Table is a checked file whose rows can be read, repeatedly.
type Table struct {
	Format   Format
	Encoding string   // of a CSV: UTF-8 or GB18030
	Sheet    string   // of a workbook
	Sheets   []string // all visible ones
	Header   []string // one per column, "" where there is none
	RowCount int      // below the header, blank ones not counted

	headerEnd int // last row of the header block
	date1904  bool
	merges    []merge
	src       source
	close     func() error
}

// source gives all rows that have content, in order. It stops without
// error when yield returns false.
type source interface {
	rows(yield func(Row) bool) error
}

// Read checks a whole file against its limits and finds its header. r must
// stay readable as long as rows are read. A file that cannot be taken as it
// is gives a *FileError; other errors are those of r.
func Read(r io.ReaderAt, size int64, o Options) (*Table, error) {
	o.Limits = o.Limits.withDefaults()
	switch {
	case size > o.Limits.Bytes:
		return nil, tooLarge(o.Limits.Bytes)
	case size == 0:
		return nil, errEmpty()
	}
	t, err := open(r, size, o)
	if err != nil {
		return nil, err
	}
	return t, t.survey(o)
}

// ReadFile reads a file by its path; the table must be closed.
func ReadFile(path string, o Options) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotFile()
	}
	var t *Table
	if err == nil {
		if o.Name == "" {
			o.Name = filepath.Base(path)
		}
		t, err = Read(f, info.Size(), o)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	t.close = f.Close
	return t, nil
}

// Close releases the file of ReadFile.
func (t *Table) Close() error {
	if t.close == nil {
		return nil
	}
	return t.close()
}

// Receive copies an upload of unknown length and stops with a *FileError as
// soon as it is longer than the limit, whatever its sender announced.
func (l Limits) Receive(dst io.Writer, src io.Reader) (int64, error) {
	l = l.withDefaults()
	n, err := io.Copy(dst, io.LimitReader(src, l.Bytes+1))
	if err == nil && n > l.Bytes {
		err = tooLarge(l.Bytes)
	}
	return n, err
}

// Rows gives the rows below the header that have content. The error, if
// any, comes last.
func (t *Table) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		stopped := false
		fill := newMergeFill(t.merges)
		err := t.src.rows(func(r Row) bool {
			r = fill.apply(r)
			if r.Number <= t.headerEnd {
				return true
			}
			r.Cells = t.fit(r.Cells)
			stopped = !yield(r, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Row{}, err)
		}
	}
}

// fit gives a row exactly the table's columns.
func (t *Table) fit(cells []Cell) []Cell {
	for len(cells) < len(t.Header) {
		cells = append(cells, Cell{})
	}
	return cells[:len(t.Header)]
}

// blank says that no cell of a row shows anything.
func blank(cells []Cell) bool {
	return !slices.ContainsFunc(cells, func(c Cell) bool { return c.Err != nil || !isBlank(c.Text) })
}

func isBlank(s string) bool { return trim(s) == "" }

// trim removes what cannot be seen at both ends of a cell.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff'
	})
}

// survey walks the file once: every limit is checked and the header found
// before a caller sees a row.
func (t *Table) survey(o Options) error {
	var head []Row
	var numbers []int
	width := 0
	err := t.src.rows(func(r Row) bool {
		if o.Header == 0 && len(head) < headerWindow+headerDepth || r.Number >= o.Header && r.Number < o.Header+headerDepth {
			head = append(head, r)
		}
		width = max(width, len(r.Cells))
		numbers = append(numbers, r.Number)
		return len(numbers) <= o.Limits.Rows
	})
	switch {
	case err != nil:
		return err
	case len(numbers) > o.Limits.Rows:
		return tooManyRows(o.Limits.Rows)
	case len(numbers) == 0:
		return errEmpty()
	}
	if m, ok := t.src.(interface{ merged() []merge }); ok {
		t.merges = m.merged()
	}
	if err := t.findHeader(head, o.Header, width); err != nil {
		return err
	}
	above, _ := slices.BinarySearch(numbers, t.headerEnd+1)
	t.RowCount = len(numbers) - above
	return nil
}

// FileError says why a whole file cannot be taken, and what to do.
type FileError struct {
	Code    string
	Row     int // where it is known
	Message domain.Text
}

func (e *FileError) Error() string { return "sheet: " + e.Message.EN }

// CellError is one wrong cell. Its text for logs holds no value: values are
// personal data.
type CellError struct {
	Row     int         `json:"row"`
	Column  int         `json:"column"` // from 1; 0 is the row as a whole
	Header  string      `json:"header"`
	Value   string      `json:"value"`
	Code    string      `json:"code"`
	Message domain.Text `json:"message"`
}

func (e *CellError) Error() string { return "sheet: cell " + e.Cell() + ": " + e.Code }

// Cell names the place as Excel does, such as C12.
func (e *CellError) Cell() string { return columnName(e.Column) + itoa(e.Row) }

// columnName turns 1 into A and 28 into AB.
func columnName(n int) string {
	var name []byte
	for ; n > 0; n = (n - 1) / 26 {
		name = append(name, byte('A'+(n-1)%26))
	}
	slices.Reverse(name)
	return string(name)
}
