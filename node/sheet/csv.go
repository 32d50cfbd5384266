package sheet

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"
)

// csvSource reads RFC 4180 with what Excel and WPS write. The standard
// library's reader is not used: it drops carriage returns inside cells and
// bounds neither cells nor rows.
type csvSource struct {
	r      io.ReaderAt
	size   int64
	enc    encoding
	comma  rune
	limits Limits
}

func openCSV(r io.ReaderAt, size int64, head []byte, o Options) (*Table, error) {
	enc, err := findEncoding(r, size, head)
	if err != nil {
		return nil, err
	}
	s := &csvSource{r: r, size: size, enc: enc, limits: o.Limits}
	if s.comma, err = s.findComma(); err != nil {
		return nil, err
	}
	name := "UTF-8"
	if enc == encGB18030 {
		name = "GB18030"
	}
	return &Table{Format: CSV, Encoding: name, src: s}, nil
}

func (s *csvSource) text() *bufio.Reader {
	var r io.Reader = io.NewSectionReader(s.r, 0, s.size)
	if s.enc == encGB18030 {
		r = transform.NewReader(r, simplifiedchinese.GB18030.NewDecoder())
	}
	text := bufio.NewReaderSize(r, 64<<10)
	if mark, err := text.Peek(len(utf8BOM)); err == nil && bytes.Equal(mark, utf8BOM) {
		text.ReadRune() // buffered by Peek
	}
	return text
}

// commaLines is how many lines decide the separator: a title without any
// may stand first.
const commaLines = 10

// findComma takes the separator that stands most often in the first lines,
// outside quotes.
func (s *csvSource) findComma() (rune, error) {
	text := s.text()
	counts, quoted, lines := map[rune]int{}, false, 0
	for lines < commaLines {
		c, _, err := text.ReadRune()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '\n':
			lines++
		default:
			counts[c]++
		}
	}
	comma := ','
	for _, c := range []rune{'\t', ';'} {
		if counts[c] > counts[comma] {
			comma = c
		}
	}
	return comma, nil
}

func (s *csvSource) rows(yield func(Row) bool) error {
	l := lexer{text: s.text(), comma: s.comma, limits: s.limits, decoded: s.enc != encUTF8}
	for {
		cells, err := l.record()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !blank(cells) && !yield(Row{Number: l.row, Cells: cells}) {
			return nil
		}
	}
}

// lexer splits text into records. row is the number of the record, which is
// the row that Excel shows.
type lexer struct {
	text    *bufio.Reader
	comma   rune
	limits  Limits
	decoded bool // U+FFFD then means that the decoder met what is not text
	row     int
}

// record gives io.EOF after the last one.
func (l *lexer) record() ([]Cell, error) {
	if _, err := l.text.Peek(1); err != nil {
		return nil, err
	}
	l.row++
	var cells []Cell
	for column := 1; ; column++ {
		cell, more, err := l.field(column)
		if err != nil {
			return nil, err
		}
		switch {
		case column <= l.limits.Columns:
			cells = append(cells, cell)
		case !isBlank(cell.Text):
			return nil, tooManyColumns(l.row, l.limits.Columns)
		}
		if !more {
			return cutTail(cells), nil
		}
	}
}

// cutTail drops empty cells at the end, so that a row is as wide as its
// content.
func cutTail(cells []Cell) []Cell {
	for len(cells) > 0 && cells[len(cells)-1].Text == "" && cells[len(cells)-1].Err == nil {
		cells = cells[:len(cells)-1]
	}
	return slices.Clip(cells)
}

// field reads one cell and the separator behind it; more says that another
// cell follows in the record.
func (l *lexer) field(column int) (cell Cell, more bool, err error) {
	value := cellText{limit: l.limits.Chars}
	quoted, first := false, true
	for {
		c, err := l.next()
		switch {
		case errors.Is(err, io.EOF) && quoted:
			return cell, false, errOpenQuote(l.row)
		case errors.Is(err, io.EOF):
			return value.cell(l.row, column), false, nil
		case err != nil:
			return cell, false, err
		case first && c == '"':
			quoted = true
		case quoted && c == '"':
			if quoted, err = l.doubled(); err != nil {
				return cell, false, err
			}
			if quoted {
				value.add('"')
			}
		case !quoted && c == l.comma:
			return value.cell(l.row, column), true, nil
		case !quoted && c == '\n':
			return value.cell(l.row, column), false, nil
		case !quoted && c == '\r':
			return value.cell(l.row, column), false, l.skipNewline()
		default:
			value.add(c)
		}
		first = false
	}
}

func (l *lexer) next() (rune, error) {
	c, _, err := l.text.ReadRune()
	if err == nil && c == utf8.RuneError && l.decoded {
		return c, errEncoding(l.row)
	}
	return c, err
}

// doubled tells a doubled quote, which stands for one, from the closing one.
// Behind a closing quote only a separator may stand: anything else means
// that the quotes of the row cannot be trusted.
func (l *lexer) doubled() (bool, error) {
	c, _, err := l.text.ReadRune()
	switch {
	case errors.Is(err, io.EOF):
		return false, nil
	case err != nil:
		return false, err
	case c == '"':
		return true, nil
	case c == l.comma || c == '\n' || c == '\r':
		return false, l.text.UnreadRune()
	}
	return false, errOpenQuote(l.row)
}

func (l *lexer) skipNewline() error {
	c, err := l.text.Peek(1)
	if err == nil && c[0] == '\n' {
		_, err = l.text.Discard(1)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// cellText collects a cell up to the limit and remembers that there was more.
type cellText struct {
	b     strings.Builder
	units int
	limit int
}

func (t *cellText) add(c rune) {
	t.units++
	if c > 0xffff {
		t.units++
	}
	if t.units <= t.limit {
		t.b.WriteRune(c)
	}
}

func (t *cellText) addString(s string) {
	for _, c := range s {
		t.add(c)
	}
}

func (t *cellText) cell(row, column int) Cell {
	c := Cell{Text: unprotect(t.b.String())}
	if t.units > t.limit {
		c.Err = cellTooLong(row, column, t.limit, c.Text)
	}
	return c
}
