package sheet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/xuri/excelize/v2"
)

func output(rows [][]Cell) Output {
	return func(yield func([]Cell, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

type writer struct {
	name  string
	write func(w io.Writer, header []string, rows Output) error
}

var writers = []writer{
	{"csv", WriteCSV},
	{"xlsx", func(w io.Writer, header []string, rows Output) error { return WriteXLSX(w, "导出", header, rows) }},
}

// Whatever stands in a cell comes back exactly, and writing it again gives
// the same bytes.
func TestRoundTrip(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"'", "''", "=", "+", "-", "@", "\t", "\r", "\n", "\r\n", "＝", "_x000D_", "_x005F_", "_xD83D_", "_x", "\"", ",", ";", "\ufeff",
			" ", "\u3000", "枫桥", "𬱖", "<a>&amp;", "]]>", "1", "0", ".5", "\u00a0", "\u200b"}),
		rapid.String().Filter(func(s string) bool { return !strings.ContainsFunc(s, unwritable) }))
	value := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 0, 5).Draw(t, "pieces"), "") })
	cell := rapid.Custom(func(t *rapid.T) Cell {
		return Cell{Text: value.Draw(t, "text"), Kind: rapid.SampledFrom([]Kind{Text, Number}).Draw(t, "kind")}
	})
	for _, w := range writers {
		t.Run(w.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				rows := rapid.SliceOfN(rapid.SliceOfN(cell, 3, 3), 1, 5).Draw(t, "rows")
				for _, r := range rows {
					r[0].Text = "编" + r[0].Text // a row without content has nothing to come back
				}
				header := []string{"=编号", "姓名;电话\t", "备注,\"其他\""}
				file := written(t, w, header, rows)
				table, err := readBytes(file, Options{Name: "a." + w.name})
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for r, err := range table.Rows() {
					if err != nil {
						t.Fatal(err)
					}
					for i, c := range r.Cells {
						if want := rows[n][i].Text; c.Text != want || c.Err != nil {
							t.Fatalf("row %d, column %d: got %q (%v), want %q", n, i, c.Text, c.Err, want)
						}
					}
					n++
				}
				if n != len(rows) {
					t.Fatalf("%d rows came back of %d", n, len(rows))
				}
				if !bytes.Equal(file, written(t, w, header, rows)) {
					t.Fatal("the same rows gave other bytes")
				}
			})
		})
	}
}

func written(t interface{ Fatal(...any) }, w writer, header []string, rows [][]Cell) []byte {
	var b bytes.Buffer
	if err := w.write(&b, header, output(rows)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// An attacker's cell must stand in the file so that no program runs it.
func TestFormulaInjection(t *testing.T) {
	attacks := []string{`=cmd|' /C calc'!A0`, "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1", "\n=1", "＝1+1", `=HYPERLINK("http://x","点")`}
	for _, attack := range attacks {
		rows := [][]Cell{{{Text: attack}, {Text: attack, Kind: Number}}}
		file := string(written(t, writers[0], []string{"标题", "数"}, rows))
		if !strings.Contains(file, "'"+strings.ReplaceAll(attack, `"`, `""`)) {
			t.Errorf("%q is not protected in %q", attack, file)
		}
		book, err := excelize.OpenReader(bytes.NewReader(written(t, writers[1], []string{"标题", "数"}, rows)))
		if err != nil {
			t.Fatal(err)
		}
		formula, err := book.GetCellFormula("导出", "A2")
		value, err2 := book.GetCellValue("导出", "A2")
		if errors.Join(err, err2, book.Close()) != nil || formula != "" || !strings.HasPrefix(value, "'") {
			t.Errorf("%q stands as %q, formula %q", attack, value, formula)
		}
	}
}

func TestFiguresStayNumbers(t *testing.T) {
	rows := [][]Cell{{{Text: "-12.5", Kind: Number}, {Text: "330681199001011234", Kind: Number}, {Text: "007", Kind: Number}}}
	book, err := excelize.OpenReader(bytes.NewReader(written(t, writers[1], []string{"a", "b", "c"}, rows)))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	for cell, want := range map[string]excelize.CellType{"A2": excelize.CellTypeUnset, "B2": excelize.CellTypeInlineString, "C2": excelize.CellTypeInlineString} {
		if got, err := book.GetCellType("导出", cell); err != nil || got != want {
			t.Errorf("%s has type %v, want %v (%v)", cell, got, want, err)
		}
	}
	if csv := string(written(t, writers[0], []string{"a", "b", "c"}, rows)); !strings.Contains(csv, "\n-12.5,330681199001011234,007\n") {
		t.Errorf("got %q", csv)
	}
}

func TestUnwritableCells(t *testing.T) {
	for _, bad := range []string{"a\x00", "a\x1b", "\xff", "\ufffe", strings.Repeat("长", maxCellChars)} {
		for _, w := range writers {
			var wrong *CellError
			err := w.write(io.Discard, []string{"a", "b"}, output([][]Cell{{{Text: "x"}, {Text: bad}}}))
			if !errors.As(err, &wrong) || wrong.Cell() != "B2" {
				t.Errorf("%s: %q gave %v", w.name, shorten(bad), err)
			}
			if err != nil && strings.Contains(err.Error(), bad) {
				t.Errorf("%s: the value is in the error %q", w.name, err)
			}
		}
	}
}

func TestSourceErrorStopsWriting(t *testing.T) {
	broken := errors.New("broken")
	for _, w := range writers {
		rows := func(yield func([]Cell, error) bool) { yield(nil, broken) }
		if err := w.write(io.Discard, []string{"a"}, rows); !errors.Is(err, broken) {
			t.Errorf("%s: got %v", w.name, err)
		}
	}
}

func BenchmarkReadXLSX(b *testing.B) {
	rows := make([][]Cell, 5000)
	for i := range rows {
		for j := range 20 {
			rows[i] = append(rows[i], Cell{Text: fmt.Sprintf("值%d-%d", i, j)})
		}
	}
	file := written(b, writers[1], make([]string, 20), rows)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		table, err := readBytes(file, Options{Header: 2})
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range table.Rows() {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
