package sheet

import (
	"archive/zip"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
)

const maxMerges = 20000

// sheetSource streams one worksheet. Merged ranges stand behind the rows,
// so they are known after the first pass.
type sheetSource struct {
	book   *workbook
	part   *zip.File
	ranges []merge
	passed bool
}

func (s *sheetSource) merged() []merge { return s.ranges }

var errStop = errors.New("sheet: enough rows")

func (s *sheetSource) rows(yield func(Row) bool) error {
	p := sheetPass{src: s, limits: s.book.limits}
	err := s.book.walk(s.part, func(x *xmlReader, e element) error {
		switch e.name {
		case "row":
			r, err := p.row(x, e)
			if err != nil || blank(r.Cells) {
				return err
			}
			if !yield(r) {
				return errStop
			}
		case "mergeCell":
			return s.addMerge(e.attr("ref"))
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return nil
	}
	s.passed = s.passed || err == nil
	return err
}

func (s *sheetSource) addMerge(ref string) error {
	if s.passed {
		return nil
	}
	from, to, ok := strings.Cut(ref, ":")
	left, top := position(from)
	right, bottom := position(to)
	if !ok || top == 0 || bottom < top || left == 0 || right < left || len(s.ranges) >= maxMerges {
		return errDamaged()
	}
	if left <= s.book.limits.Columns {
		s.ranges = append(s.ranges, merge{top, bottom, left, right})
	}
	return nil
}

// Limits of the format itself (ECMA-376).
const (
	formatRows    = 1 << 20
	formatColumns = 1 << 14
)

// position parses C12; a part that is missing or beyond the format is 0.
func position(ref string) (column, row int) {
	i := 0
	for ; i < len(ref) && i < 4 && ref[i]|0x20 >= 'a' && ref[i]|0x20 <= 'z'; i++ {
		column = column*26 + int(ref[i]|0x20-'a') + 1
	}
	row, err := strconv.Atoi(ref[i:])
	if err != nil || row < 0 || row > formatRows || column > formatColumns {
		return 0, 0
	}
	return column, row
}

// sheetPass is one reading of a worksheet.
type sheetPass struct {
	src    *sheetSource
	limits Limits
	last   int // row
}

func (p *sheetPass) row(x *xmlReader, e element) (Row, error) {
	r := Row{Number: p.last + 1}
	if at := e.attr("r"); at != "" {
		n, err := strconv.Atoi(at)
		if err != nil || n <= p.last || n > formatRows {
			return r, errDamaged()
		}
		r.Number = n
	}
	p.last = r.Number
	column := 0
	err := x.inside(func(e element) error {
		if e.kind != startElement || e.name != "c" {
			return nil
		}
		column++
		if ref := e.attr("r"); ref != "" {
			if column, _ = position(ref); column == 0 {
				return errDamaged()
			}
		}
		return p.put(x, e, &r, column)
	})
	r.Cells = cutTail(r.Cells)
	return r, err
}

func (p *sheetPass) put(x *xmlReader, e element, r *Row, column int) error {
	cell, err := p.cell(x, e, r.Number, column)
	switch {
	case err != nil || cell.Text == "" && cell.Err == nil:
		return err
	case column > p.limits.Columns:
		return tooManyColumns(r.Number, p.limits.Columns)
	}
	for len(r.Cells) < column {
		r.Cells = append(r.Cells, Cell{})
	}
	r.Cells[column-1] = cell
	return nil
}

// cell reads one cell by its type (ECMA-376 part 1, 18.18.11).
func (p *sheetPass) cell(x *xmlReader, e element, row, column int) (Cell, error) {
	text := cellText{limit: p.limits.Chars}
	formula, valued := false, false
	err := x.inside(func(child element) error {
		if child.kind != startElement {
			return nil
		}
		switch child.name {
		case "v":
			valued = true
			return x.plainText(&text)
		case "is":
			return x.richText(&text)
		case "f":
			formula = true
			return x.inside(func(element) error { return nil })
		}
		return nil
	})
	if err != nil {
		return Cell{}, err
	}
	if formula && !valued {
		return Cell{Err: noResult(row, column)}, nil
	}
	return p.typed(e, text, row, column)
}

func (p *sheetPass) typed(e element, text cellText, row, column int) (Cell, error) {
	v := text.b.String()
	switch e.attr("t") {
	case "s":
		n, err := strconv.Atoi(v)
		if v == "" {
			return Cell{}, nil
		}
		if err != nil || n < 0 || n >= len(p.src.book.strings) {
			return Cell{}, errDamaged()
		}
		shared := cellText{limit: p.limits.Chars}
		shared.addString(p.src.book.strings[n])
		return shared.cell(row, column), nil
	case "inlineStr":
		return text.cell(row, column), nil
	case "str":
		plain := cellText{limit: p.limits.Chars}
		plain.addString(unescape(v))
		return plain.cell(row, column), nil
	case "b":
		return Cell{Text: strings.ToUpper(strconv.FormatBool(isTrue(v))), Kind: Bool}, nil
	case "e":
		return Cell{Text: v, Err: excelError(row, column, v)}, nil
	case "d":
		return isoDate(v), nil
	}
	if v = strings.TrimSpace(v); v == "" {
		return Cell{}, nil
	}
	return p.number(v, p.src.book.format(e.attr("s")), row, column)
}

// isoDate splits the date cells of strict workbooks: 2024-01-02T15:04:05.
func isoDate(v string) Cell {
	day, clock, has := strings.Cut(strings.TrimSuffix(v, "Z"), "T")
	clock, _, _ = strings.Cut(clock, ".")
	if !has || clock == "00:00:00" {
		return Cell{Text: day, Kind: Date}
	}
	return Cell{Text: day + " " + clock, Kind: Moment}
}

// exactDigits is how many decimal digits a figure in Excel keeps.
const exactDigits = 15

func (p *sheetPass) number(v string, f format, row, column int) (Cell, error) {
	x, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return Cell{}, errDamaged()
	}
	if f.kind != Number {
		return serialCell(x, f.kind, p.src.book.date1904, row, column), nil
	}
	text := strconv.FormatFloat(x, 'g', exactDigits, 64)
	if rounded, err := strconv.ParseFloat(text, 64); err == nil {
		text = strconv.FormatFloat(rounded, 'f', -1, 64)
	}
	digits := strings.TrimPrefix(text, "-")
	if whole, _, _ := strings.Cut(digits, "."); len(whole) > exactDigits {
		return Cell{Text: text, Kind: Number, Err: digitsLost(row, column, text)}, nil
	}
	// A code shown with leading zeros by its format, as in 000000.
	if pad := f.zeros - len(digits); pad > 0 && !strings.ContainsAny(text, "-.") {
		text = strings.Repeat("0", pad) + text
	}
	return Cell{Text: text, Kind: Number}, nil
}

func serialCell(x float64, kind Kind, date1904 bool, row, column int) Cell {
	if kind == Clock && x >= 0 && x < 1 {
		t, _ := fromSerial(x, true)
		return Cell{Text: t.Format("15:04:05"), Kind: Clock}
	}
	t, ok := fromSerial(x, date1904)
	if !ok {
		text := strconv.FormatFloat(x, 'f', -1, 64)
		return Cell{Text: text, Kind: Number, Err: badSerial(row, column, text)}
	}
	if kind == Date {
		return Cell{Text: t.Format(dayForm), Kind: Date}
	}
	return Cell{Text: t.Format(momentForm), Kind: Moment}
}

// format is what matters of a number format.
type format struct {
	kind  Kind // Number unless it shows a date or time
	zeros int  // digits that it pads to, as 000000
}

// builtinFormat knows the numbers that stand without a code in the file
// (ECMA-376 part 1, 18.8.30), those of zh-CN among them.
func builtinFormat(id int) format {
	switch {
	case slices.Contains([]int{18, 19, 20, 21, 32, 33, 34, 35, 45, 46, 47, 55, 56}, id):
		return format{kind: Clock}
	case id == 22:
		return format{kind: Moment}
	case id >= 14 && id <= 17, id >= 27 && id <= 36, id >= 50 && id <= 58:
		return format{kind: Date}
	}
	return format{kind: Number}
}

// parseFormat looks at the first section of a code, without literals.
func parseFormat(code string) format {
	code = strings.ToLower(stripLiterals(code))
	f := format{kind: Number}
	day := strings.ContainsAny(code, "yd") || strings.Contains(code, "mmm")
	clock := strings.ContainsAny(code, "hs")
	switch {
	case strings.Contains(code, "general"):
	case day && clock:
		f.kind = Moment
	case day || !clock && strings.Contains(code, "m"):
		f.kind = Date
	case clock:
		f.kind = Clock
	case len(code) > 1 && strings.Trim(code, "0") == "":
		f.zeros = len(code)
	}
	return f
}

// stripLiterals removes "quoted", \x, _x, *x and [colours, locales], but
// keeps elapsed time such as [h].
func stripLiterals(code string) string {
	var b strings.Builder
	for i := 0; i < len(code); i++ {
		switch c := code[i]; c {
		case '"', '[':
			end := strings.IndexByte(code[i+1:], map[byte]byte{'"': '"', '[': ']'}[c])
			if end < 0 {
				return b.String()
			}
			if inner := code[i+1 : i+1+end]; c == '[' && strings.Trim(strings.ToLower(inner), "hms") == "" {
				b.WriteString(inner)
			}
			i += end + 1
		case '\\', '_', '*':
			i++
		case ';':
			return b.String()
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
