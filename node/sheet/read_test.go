package sheet

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	textenc "golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"
)

const list = "姓名,村社,备注\n张三,枫源村,\"两行\r\n文字\"\n李四,洄村,说\"好\"\n"

func encoded(t *testing.T, e textenc.Encoding, s string) []byte {
	t.Helper()
	b, err := e.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCSVInEveryEncodingOfChina(t *testing.T) {
	want := [][]string{{"姓名", "村社", "备注"}, {"张三", "枫源村", "两行\r\n文字"}, {"李四", "洄村", `说"好"`}}
	for _, c := range []struct {
		name, encoding string
		data           []byte
	}{
		{"UTF-8", "UTF-8", []byte(list)},
		{"with mark", "UTF-8", append([]byte("\ufeff"), list...)},
		{"GBK", "GB18030", encoded(t, simplifiedchinese.GBK, list)},
		{"GB18030", "GB18030", encoded(t, simplifiedchinese.GB18030, list)},
		{"tabs", "UTF-8", []byte(strings.ReplaceAll(list, ",", "\t"))},
		{"semicolons, old Mac", "UTF-8", []byte(strings.NewReplacer(",", ";", "\"\n", "\"\r", "注\n", "注\r").Replace(list))},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := mustRead(t, c.data, Options{Name: "名单.CSV"})
			equal(t, texts(t, table), want)
			if table.Encoding != c.encoding || table.RowCount != 2 {
				t.Fatalf("encoding %s, %d rows", table.Encoding, table.RowCount)
			}
		})
	}
}

// Characters outside GBK are in GB18030: rare names are where lists break.
func TestGB18030RareNames(t *testing.T) {
	table := mustRead(t, encoded(t, simplifiedchinese.GB18030, "姓名,村社\n王㛃,枫源村\n张𬱖,洄村\n"), Options{})
	equal(t, texts(t, table)[1:], [][]string{{"王㛃", "枫源村"}, {"张𬱖", "洄村"}})
}

func TestRefusedFiles(t *testing.T) {
	utf16 := func(e unicode.Endianness, b unicode.BOMPolicy) []byte { return encoded(t, unicode.UTF16(e, b), list) }
	ole := append([]byte{0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1}, make([]byte, 8192)...)
	book := workbookOf(t, func(f *excelize.File, _ string) { set(t, f, "A1", "姓名") })
	for _, c := range []struct {
		code string
		data []byte
		o    Options
	}{
		{"utf16", utf16(unicode.LittleEndian, unicode.UseBOM), Options{Name: "a.csv"}},
		{"utf16", utf16(unicode.BigEndian, unicode.UseBOM), Options{Name: "a.txt"}},
		{"utf16", utf16(unicode.LittleEndian, unicode.IgnoreBOM), Options{Name: "a.csv"}},
		{"utf16", utf16(unicode.BigEndian, unicode.IgnoreBOM), Options{Name: "a.csv"}},
		{"xls", ole, Options{Name: "a.xls"}},
		{"xls", ole, Options{Name: "a.xlsx"}},
		{"password", append(ole, encryptedPackage...), Options{Name: "a.xlsx"}},
		{"html", []byte("\n<html><table><tr><td>姓名"), Options{Name: "a.xls"}},
		{"not_a_workbook", []byte("%PDF-1.7"), Options{Name: "a.csv"}},
		{"wrong_extension", book, Options{Name: "a.csv"}},
		{"wrong_extension", book, Options{Name: "a.xls"}},
		{"wrong_extension", []byte(list), Options{Name: "a.xlsx"}},
		{"unknown_extension", []byte(list), Options{Name: "a.docx"}},
		{"macros", book, Options{Name: "a.xlsm"}},
		{"wrong_type", []byte(list), Options{Name: "a.csv", MediaType: "image/png"}},
		{"wrong_type", book, Options{Name: "a.xlsx", MediaType: "text/csv"}},
		{"wrong_type", book, Options{Name: "a.xlsx", MediaType: "///"}},
		{"not_a_workbook", zipOf(t, map[string]string{"a.txt": "x"}), Options{Name: "a.xlsx"}},
		{"damaged", book[:len(book)/2], Options{Name: "a.xlsx"}},
		{"no_such_sheet", book, Options{Sheet: "没有"}},
		{"empty", nil, Options{}},
		{"empty", []byte("\n , \n\u3000,\n"), Options{}},
		{"no_header", []byte(list), Options{Header: 9}},
		{"not_text", append([]byte("姓名,\x00\x00"), list...), Options{}},
		{"bad_encoding", append([]byte(list), 0xff), Options{}},
		{"bad_encoding", append(encoded(t, simplifiedchinese.GBK, list), 0xff, 0xff), Options{}},
		{"open_quote", []byte("姓名,备注\n张三,\"没有结束\n李四,\n"), Options{}},
		{"open_quote", []byte("姓名,备注\n\"张\"三,\n"), Options{}},
		{"too_many_rows", []byte(list), Options{Limits: Limits{Rows: 2}}},
		{"too_many_columns", []byte(list), Options{Limits: Limits{Columns: 2}}},
		{"file_too_large", []byte(list), Options{Limits: Limits{Bytes: 10}}},
	} {
		t.Run(c.code+" "+c.o.Name, func(t *testing.T) {
			_, err := readBytes(c.data, c.o)
			wantRefused(t, err, c.code)
		})
	}
}

func TestWindowsMediaTypeOfCSV(t *testing.T) {
	mustRead(t, []byte(list), Options{Name: "a.csv", MediaType: "application/vnd.ms-excel; charset=gbk"})
}

// untouchable fails the test when it is read.
type untouchable struct{ t *testing.T }

func (u untouchable) ReadAt([]byte, int64) (int, error) {
	u.t.Error("the file was read")
	return 0, io.EOF
}

func TestTooLargeIsRefusedUnread(t *testing.T) {
	_, err := Read(untouchable{t}, 200<<20, Options{Name: "a.csv"})
	wantRefused(t, err, "file_too_large")
}

// endless is an upload that never says how long it is.
type endless struct{ given int64 }

func (e *endless) Read(p []byte) (int, error) { e.given += int64(len(p)); return len(p), nil }

func TestReceiveStopsAtTheLimit(t *testing.T) {
	src := &endless{}
	_, err := Limits{Bytes: 1 << 20}.Receive(io.Discard, src)
	wantRefused(t, err, "file_too_large")
	if src.given > 2<<20 {
		t.Fatalf("%d bytes were read", src.given)
	}
	if n, err := (Limits{Bytes: 4}).Receive(io.Discard, strings.NewReader("1234")); n != 4 || err != nil {
		t.Fatalf("a file of exactly the limit: %d, %v", n, err)
	}
}

func TestZipBombs(t *testing.T) {
	huge := data(`<row r="1"><c t="inlineStr"><is><t>` + strings.Repeat("a", 3<<20) + `</t></is></c></row>`)
	small := data(inline(1, "姓名", "年龄"))
	many := map[string]string{}
	for i := range 40 {
		many["xl/media/"+strconv.Itoa(i)] = ""
	}
	for _, c := range []struct {
		name string
		data []byte
		l    Limits
	}{
		{"ratio", rawWorkbook(t, huge, nil), Limits{}},
		{"part", rawWorkbook(t, small, nil), Limits{Part: 100}},
		{"total", rawWorkbook(t, small, nil), Limits{Unzipped: 600}},
		{"parts", rawWorkbook(t, small, many), Limits{Parts: 40}},
		{"announces less than it holds", understated(t, rawWorkbook(t, huge, nil)), Limits{Part: 1 << 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readBytes(c.data, Options{Name: "a.xlsx", Limits: c.l})
			var refused *FileError
			if !errors.As(err, &refused) || refused.Code != "zip_bomb" && refused.Code != "damaged" {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// understated rewrites the announced sizes of a container's parts.
func understated(t *testing.T, book []byte) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(book), int64(len(book)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range r.File {
		raw, err := f.OpenRaw()
		if err != nil {
			t.Fatal(err)
		}
		h := f.FileHeader
		h.UncompressedSize64 = min(h.UncompressedSize64, 1000)
		out, err := w.CreateRaw(&h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHostileWorkbooks(t *testing.T) {
	deep := strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)
	good := inline(1, "姓名")
	for name, c := range map[string]struct {
		sheet string
		more  map[string]string
	}{
		"depth":              {data(good) + deep, nil},
		"document type":      {data(good), map[string]string{"xl/workbook.xml": `<!DOCTYPE x [<!ENTITY a "b">]><workbook><sheets/></workbook>`}},
		"rows backwards":     {data(inline(5, "姓名"), inline(4, "张三")), nil},
		"row beyond format":  {data(inline(1048577, "姓名")), nil},
		"column nonsense":    {data(`<row r="1"><c r="ZZZZZ1"><v>1</v></c></row>`), nil},
		"string out of list": {data(`<row r="1"><c t="s"><v>7</v></c></row>`), nil},
		"not a number":       {data(`<row r="1"><c><v>NaN</v></c></row>`), nil},
		"merge backwards":    {data(good) + `<mergeCells><mergeCell ref="B9:A1"/></mergeCells>`, nil},
		"cut off":            {data(good) + `<a>`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readBytes(rawWorkbook(t, c.sheet, c.more), Options{})
			wantRefused(t, err, "damaged")
		})
	}
}

func TestLongCellsAreNamed(t *testing.T) {
	long := strings.Repeat("长", 12)
	shared := map[string]string{"xl/sharedStrings.xml": "<sst><si><t>" + long + "</t></si><si><t>" + strings.Repeat("a", 9) + "𬱖</t></si></sst>"}
	for name, file := range map[string][]byte{
		"csv":    []byte("姓名,备注\n张三," + long + "\n"),
		"inline": rawWorkbook(t, data(inline(1, "姓名", "备注"), inline(2, "张三", long)), nil),
		"shared": rawWorkbook(t, data(inline(1, "姓名", "备注"), `<row r="2"><c r="B2" t="s"><v>0</v></c></row>`), shared),
		"pairs":  rawWorkbook(t, data(inline(1, "姓名", "备注"), `<row r="2"><c r="B2" t="s"><v>1</v></c></row>`), shared),
	} {
		t.Run(name, func(t *testing.T) {
			for r, err := range mustRead(t, file, Options{Limits: Limits{Chars: 10}}).Rows() {
				if err != nil {
					t.Fatal(err)
				}
				e := r.Cells[1].Err
				if e == nil || e.Code != "cell_too_long" || e.Cell() != "B2" {
					t.Fatalf("got %v", e)
				}
			}
		})
	}
}

func TestWorkbookTypes(t *testing.T) {
	book := workbookOf(t, func(f *excelize.File, sheet string) {
		style := func(code string) int {
			id, err := f.NewStyle(&excelize.Style{CustomNumFmt: &code})
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		for i, c := range []struct {
			v      any
			format string
		}{
			{"330681199001011234", ""}, {330681199001011234.0, ""}, {int64(123456789012345), ""}, {0.1 + 0.2, ""}, {-1.5e-7, ""},
			{1234, "000000"}, {45292, "yyyy\"年\"m\"月\"d\"日\""}, {45292.5, "[$-804]yyyy/m/d h:mm"}, {0.25, "h:mm:ss"},
			{0, "yyyy-mm-dd"}, {true, ""}, {"001", ""}, {1e5, "0.00E+00"}, {45292, "#,##0\" days\""},
		} {
			cell := columnName(i+1) + "2"
			set(t, f, columnName(i+1)+"1", "列"+itoa(i))
			set(t, f, cell, c.v)
			if c.format != "" {
				if err := f.SetCellStyle(sheet, cell, cell, style(c.format)); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	equal(t, texts(t, mustRead(t, book, Options{Name: "a.xlsx"}))[1], []string{
		"330681199001011234", "!digits_lost", "123456789012345", "0.3", "-0.00000015",
		"001234", "2024-01-01", "2024-01-01 12:00:00", "06:00:00", "!bad_serial", "TRUE", "001", "100000", "45292"})
}

func TestDatesFrom1904(t *testing.T) {
	book := workbookOf(t, func(f *excelize.File, sheet string) {
		on := true
		if err := f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &on}); err != nil {
			t.Fatal(err)
		}
		set(t, f, "A1", "日期")
		set(t, f, "A2", 43830)
		set(t, f, "A3", 43830)
		id, err := f.NewStyle(&excelize.Style{NumFmt: 14})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.SetCellStyle(sheet, "A2", "A2", id); err != nil {
			t.Fatal(err)
		}
	})
	table := mustRead(t, book, Options{})
	equal(t, texts(t, table), [][]string{{"日期"}, {"2024-01-01"}, {"43830"}})
	c, err := NewConverter(table, []Field{{Key: "d", Type: TypeDate}}, Mapping{"d"}, nil, today)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range c.Records() {
		if err != nil || len(r.Errors) > 0 || r.Values["d"] != "2024-01-01" {
			t.Fatalf("%v, %v", r, err)
		}
	}
}

func TestRichTextFormulasAndErrors(t *testing.T) {
	sheet := data(inline(1, "甲", "乙", "丙", "丁", "戊", "己"),
		`<row r="3"><c r="A3" t="s"><v>0</v></c><c r="B3" t="str"><f>A1</f><v>结_x000D_果</v></c><c r="C3"><f>1+1</f></c>`+
			`<c r="D3" t="e"><v>#N/A</v></c><c r="E3" t="d"><v>2024-01-02T00:00:00</v></c><c r="F3" t="s"><v>1</v></c></row>`)
	shared := `<sst><si><r><t>枫</t></r><r><rPr><b/></rPr><t xml:space="preserve">桥 </t></r><rPh sb="0" eb="1"><t>feng</t></rPh></si><si><t>_x005F_x000D_</t></si></sst>`
	table := mustRead(t, rawWorkbook(t, sheet, map[string]string{"xl/sharedStrings.xml": shared}), Options{})
	equal(t, texts(t, table)[1], []string{"枫桥 ", "结\r果", "!no_result", "!excel_error", "2024-01-02", "_x000D_"})
}

// A form as townships keep it: a title over everything, a header of two
// rows, villages merged over the rows that belong to them.
func TestFormsWithMergedCells(t *testing.T) {
	book := workbookOf(t, func(f *excelize.File, sheet string) {
		for cell, v := range map[string]string{"A1": "枫桥镇2023年纠纷登记表(演示)", "A2": "村社", "B2": "当事人", "D2": "金额", "B3": "姓名", "C3": "电话",
			"A4": "枫源村", "B4": "张三", "B5": "李四", "A7": "洄村", "B7": "王五", "D4": "500"} {
			set(t, f, cell, v)
		}
		for _, m := range [][2]string{{"A1", "D1"}, {"A2", "A3"}, {"B2", "C2"}, {"D2", "D3"}, {"A4", "A6"}, {"D4", "D5"}} {
			if err := f.MergeCell(sheet, m[0], m[1]); err != nil {
				t.Fatal(err)
			}
		}
	})
	table := mustRead(t, book, Options{})
	equal(t, texts(t, table), [][]string{{"村社", "当事人/姓名", "当事人/电话", "金额"},
		{"枫源村", "张三", "", "500"}, {"枫源村", "李四", "", "500"}, {"洄村", "王五", "", ""}})
	var numbers []int
	for r := range table.Rows() {
		numbers = append(numbers, r.Number)
	}
	equal(t, numbers, []int{4, 5, 7})
	if table.RowCount != 3 {
		t.Fatalf("%d rows counted", table.RowCount)
	}
}

func TestNamedAndHiddenSheets(t *testing.T) {
	book := workbookOf(t, func(f *excelize.File, sheet string) {
		for _, name := range []string{"说明", "名单"} {
			if _, err := f.NewSheet(name); err != nil {
				t.Fatal(err)
			}
			if err := f.SetCellValue(name, "A1", name); err != nil {
				t.Fatal(err)
			}
		}
		f.SetActiveSheet(1)
		if err := f.SetSheetVisible("Sheet1", false); err != nil {
			t.Fatal(err)
		}
	})
	table := mustRead(t, book, Options{})
	equal(t, []any{table.Sheet, table.Sheets, table.Header}, []any{"说明", []string{"说明", "名单"}, []string{"说明"}})
	equal(t, mustRead(t, book, Options{Sheet: "名单"}).Header, []string{"名单"})
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "名单.csv")
	if err := os.WriteFile(path, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := ReadFile(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(texts(t, table)); n != 3 {
		t.Fatalf("%d rows", n)
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = ReadFile(filepath.Dir(path), Options{})
	wantRefused(t, err, "not_a_file")
}

func TestColumnNames(t *testing.T) {
	for n, want := range map[int]string{1: "A", 26: "Z", 27: "AA", 200: "GR", 702: "ZZ", 703: "AAA"} {
		if got := columnName(n); got != want {
			t.Errorf("column %d is %s, want %s", n, got, want)
		}
		if column, row := position(columnName(n) + "7"); column != n || row != 7 {
			t.Errorf("%s7 is column %d, row %d", want, column, row)
		}
	}
}

// Whatever is done to a workbook, it is read or refused, and quickly.
func TestDamagedWorkbooks(t *testing.T) {
	sheet := data(inline(1, "姓名", "日期"), `<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" s="1"><v>45292.5</v></c></row>`) +
		`<mergeCells><mergeCell ref="A2:A3"/></mergeCells>`
	styles := `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="yyyy-m-d"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>`
	parts := map[string]string{"xl/sharedStrings.xml": `<sst><si><t>张_x000D_三</t></si></sst>`, "xl/styles.xml": styles}
	equal(t, texts(t, mustRead(t, rawWorkbook(t, sheet, parts), Options{}))[1], []string{"张\r三", "2024-01-01"})
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom([]string{"xl/sharedStrings.xml", "xl/styles.xml", "sheet"}).Draw(rt, "part")
		damaged := map[string]string{"xl/sharedStrings.xml": parts["xl/sharedStrings.xml"], "xl/styles.xml": styles, "sheet": sheet}
		b := []byte(damaged[name])
		at := rapid.IntRange(0, len(b)-1).Draw(rt, "at")
		b[at] = rapid.Byte().Draw(rt, "byte")
		cut := rapid.IntRange(0, len(b)).Draw(rt, "cut")
		damaged[name] = string(b[:cut]) + string(b[min(len(b), cut+rapid.IntRange(0, 9).Draw(rt, "lost")):])
		file := rawWorkbook(t, damaged["sheet"], map[string]string{"xl/sharedStrings.xml": damaged["xl/sharedStrings.xml"], "xl/styles.xml": damaged["xl/styles.xml"]})
		table, err := readBytes(file, Options{})
		var refused *FileError
		if err != nil && !errors.As(err, &refused) {
			rt.Fatalf("refused without a sentence: %v", err)
		}
		if err == nil {
			texts(t, table)
		}
	})
}
