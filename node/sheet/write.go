package sheet

import (
	"bufio"
	"io"
	"iter"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rows to be written. A row without any content is lost on reading.
type Output = iter.Seq2[[]Cell, error]

// WriteCSV writes UTF-8 with a mark (Excel needs it to see UTF-8) and line
// feeds. Equal input gives equal bytes.
func WriteCSV(w io.Writer, header []string, rows Output) error {
	b := bufio.NewWriter(w)
	if _, err := b.Write(utf8BOM); err != nil {
		return err
	}
	err := eachRow(header, rows, func(_ int, cells []Cell) error {
		for i, c := range cells {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quote(outgoing(c)))
		}
		return b.WriteByte('\n')
	})
	if err != nil {
		return err
	}
	return b.Flush()
}

// quote also encloses the separators that a reader might guess instead.
func quote(s string) string {
	if !strings.ContainsAny(s, ",;\t\"\r\n") && trim(s) == s {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// figures are what Excel keeps exactly: at most 15 digits, none of them a
// leading zero.
var figures = regexp.MustCompile(`^-?(0|[1-9]\d{0,8})(\.\d{1,5}[1-9]|\.[1-9])?$`)

func isFigure(c Cell) bool { return c.Kind == Number && figures.MatchString(c.Text) && c.Text != "-0" }

// outgoing is the text of a cell, made safe unless it is a plain number.
func outgoing(c Cell) string {
	if isFigure(c) {
		return c.Text
	}
	return protect(c.Text)
}

// A cell that begins like this is taken for a formula by Excel, WPS or
// LibreOffice, now or when the file is saved as CSV and opened again
// (OWASP: CSV injection). The apostrophe is their own mark for text.
var (
	risky     = regexp.MustCompile(`^'*[=+\-@\t\r\n＝＋－＠]`)
	protected = regexp.MustCompile(`^'+[=+\-@\t\r\n＝＋－＠]`)
)

// protect and unprotect are inverse for every string: apostrophes that stand
// before a risky character already get one more.
func protect(s string) string {
	if risky.MatchString(s) {
		return "'" + s
	}
	return s
}

func unprotect(s string) string {
	if protected.MatchString(s) {
		return s[1:]
	}
	return s
}

// eachRow gives header and rows with their numbers, each checked to be
// readable again without loss.
func eachRow(header []string, rows Output, f func(row int, cells []Cell) error) error {
	cells := make([]Cell, len(header))
	for i, h := range header {
		cells[i] = Cell{Text: h}
	}
	if err := writable(1, cells); err != nil {
		return err
	}
	if err := f(1, cells); err != nil {
		return err
	}
	n := 1
	for cells, err := range rows {
		if err != nil {
			return err
		}
		if n++; n > formatRows {
			return tooManyRows(formatRows)
		}
		if err := writable(n, cells); err != nil {
			return err
		}
		if err := f(n, cells); err != nil {
			return err
		}
	}
	return nil
}

func writable(row int, cells []Cell) error {
	for i, c := range cells {
		text := cellText{limit: maxCellChars - 1} // an apostrophe may come before it
		text.addString(c.Text)
		switch {
		case text.units > text.limit:
			return cellTooLong(row, i+1, text.limit, c.Text)
		case !utf8.ValidString(c.Text) || strings.ContainsFunc(c.Text, unwritable):
			return cellError(row, i+1, "", "bad_characters", "这一格含有不可见的控制字符,无法导出", "The cell holds control characters and cannot be exported.")
		}
	}
	return nil
}

// unwritable characters have no place in XML or are not text.
func unwritable(r rune) bool {
	return r == utf8.RuneError || r == 0xfffe || r == 0xffff || unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r)
}
