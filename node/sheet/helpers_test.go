package sheet

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/fengqiao/fengqiao/node/domain"
)

var today = time.Date(2026, 3, 4, 10, 0, 0, 0, local)

func readBytes(data []byte, o Options) (*Table, error) {
	return Read(bytes.NewReader(data), int64(len(data)), o)
}

func mustRead(t *testing.T, data []byte, o Options) *Table {
	t.Helper()
	table, err := readBytes(data, o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// texts gives header and rows as plain text.
func texts(t *testing.T, table *Table) [][]string {
	t.Helper()
	out := [][]string{table.Header}
	for r, err := range table.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, cellTexts(r))
	}
	return out
}

func cellTexts(r Row) []string {
	row := make([]string, len(r.Cells))
	for i, c := range r.Cells {
		row[i] = c.Text
		if c.Err != nil {
			row[i] = "!" + c.Err.Code
		}
	}
	return row
}

// wantRefused checks that a file is refused for the reason, with a sentence
// in both languages.
func wantRefused(t *testing.T, err error, code string) {
	t.Helper()
	var refused *FileError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a refusal %s", err, code)
	}
	if refused.Code != code || refused.Message.ZH == "" || refused.Message.EN == "" {
		t.Fatalf("refused as %s (%s), want %s", refused.Code, refused.Message.EN, code)
	}
}

// workbookOf makes a workbook with excelize, an implementation other than
// the reader under test.
func workbookOf(t *testing.T, edit func(f *excelize.File, sheet string)) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	edit(f, "Sheet1")
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func set(t *testing.T, f *excelize.File, cell string, v any) {
	t.Helper()
	if err := f.SetCellValue("Sheet1", cell, v); err != nil {
		t.Fatal(err)
	}
}

// rawWorkbook makes a workbook from the XML of its sheet and more parts.
func rawWorkbook(t *testing.T, sheet string, more map[string]string) []byte {
	t.Helper()
	const ns = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
	const rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	parts := map[string]string{
		"[Content_Types].xml": `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
		"_rels/.rels":         `<Relationships><Relationship Id="r1" Type="` + rel + `officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml":     `<workbook ` + ns + ` xmlns:r="r"><sheets><sheet name="表一" sheetId="1" r:id="r1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="r1" Type="` + rel + `worksheet" Target="worksheets/sheet1.xml"/>` +
			`<Relationship Id="r2" Type="` + rel + `sharedStrings" Target="/xl/sharedStrings.xml"/>` +
			`<Relationship Id="r3" Type="` + rel + `styles" Target="styles.xml"/></Relationships>`,
		"xl/worksheets/sheet1.xml": `<worksheet ` + ns + `>` + sheet + `</worksheet>`,
	}
	for name, text := range more {
		parts[name] = text
	}
	return zipOf(t, parts)
}

func zipOf(t *testing.T, parts map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	names := make([]string, 0, len(parts))
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(parts[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// inline is a row of inline strings.
func inline(row int, cells ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<row r="%d">`, row)
	for _, c := range cells {
		fmt.Fprintf(&b, `<c t="inlineStr"><is><t>%s</t></is></c>`, c)
	}
	return b.String() + "</row>"
}

func data(rows ...string) string { return "<sheetData>" + strings.Join(rows, "") + "</sheetData>" }

func text(zh, en string) domain.Text { return domain.Text{ZH: zh, EN: en} }

func equal(t *testing.T, got, want any) {
	t.Helper()
	if g, w := fmt.Sprintf("%q", got), fmt.Sprintf("%q", want); g != w {
		t.Fatalf("got  %s\nwant %s", g, w)
	}
}
