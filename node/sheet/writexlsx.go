package sheet

import (
	"archive/zip"
	"bufio"
	"encoding/xml"
	"io"
	"strings"
)

// A workbook of one sheet is six small parts. They are written here and not
// by excelize, which loses text such as _xD83D_ and keeps a whole sheet in
// memory or in temporary files outside the data directory.
const (
	xmlHead    = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	mainSpace  = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
	relSpace   = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	relPackage = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
	mediaSheet = "application/vnd.openxmlformats-officedocument.spreadsheetml."

	contentTypes = `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Override PartName="/xl/workbook.xml" ContentType="` + mediaSheet + `sheet.main+xml"/>` +
		`<Override PartName="/xl/worksheets/sheet1.xml" ContentType="` + mediaSheet + `worksheet+xml"/>` +
		`<Override PartName="/xl/styles.xml" ContentType="` + mediaSheet + `styles+xml"/></Types>`
	packageRels  = relPackage + `<Relationship Id="rId1" Type="` + relSpace + `/officeDocument" Target="xl/workbook.xml"/></Relationships>`
	workbookRels = relPackage + `<Relationship Id="rId1" Type="` + relSpace + `/worksheet" Target="worksheets/sheet1.xml"/>` +
		`<Relationship Id="rId2" Type="` + relSpace + `/styles" Target="styles.xml"/></Relationships>`

	// Cell styles: 0 general, 1 text, 2 text of the header. Texts have the
	// format "@" (49), so that Excel leaves numbers of identity cards alone
	// when they are edited.
	styleSheet = `<styleSheet ` + mainSpace + `><fonts count="2"><font><sz val="11"/><name val="等线"/></font><font><b/><sz val="11"/><name val="等线"/></font></fonts>` +
		`<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>` +
		`<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>` +
		`<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>` +
		`<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>` +
		`<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>` +
		`<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/></cellXfs></styleSheet>`

	sheetHead = `<worksheet ` + mainSpace + `><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>` +
		`<sheetFormatPr defaultColWidth="16" defaultRowHeight="15"/><sheetData>`
	sheetTail = `</sheetData></worksheet>`
)

// WriteXLSX writes a workbook of one sheet. Equal input gives equal bytes:
// the workbook carries no time of writing.
func WriteXLSX(w io.Writer, sheet string, header []string, rows Output) error {
	if !goodSheetName(sheet) {
		return errSheetName()
	}
	z := zip.NewWriter(w)
	book := `<workbook ` + mainSpace + ` xmlns:r="` + relSpace + `"><sheets><sheet name="` + escape(sheet) + `" sheetId="1" r:id="rId1"/></sheets></workbook>`
	for _, part := range [][2]string{{"[Content_Types].xml", contentTypes}, {"_rels/.rels", packageRels}, {"xl/workbook.xml", book},
		{"xl/_rels/workbook.xml.rels", workbookRels}, {"xl/styles.xml", styleSheet}} {
		out, err := z.Create(part[0])
		if err != nil {
			return err
		}
		if _, err := io.WriteString(out, xmlHead+part[1]); err != nil {
			return err
		}
	}
	if err := writeSheet(z, header, rows); err != nil {
		return err
	}
	return z.Close()
}

// goodSheetName: what Excel accepts.
func goodSheetName(s string) bool {
	text := cellText{limit: 31}
	text.addString(s)
	return text.units > 0 && text.units <= text.limit && !strings.ContainsAny(s, `:\/?*[]`) &&
		!strings.HasPrefix(s, "'") && !strings.HasSuffix(s, "'") && !strings.ContainsFunc(s, unwritable)
}

func writeSheet(z *zip.Writer, header []string, rows Output) error {
	part, err := z.Create("xl/worksheets/sheet1.xml")
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(part, 64<<10)
	b.WriteString(xmlHead + sheetHead)
	err = eachRow(header, rows, func(row int, cells []Cell) error {
		b.WriteString(`<row r="` + itoa(row) + `">`)
		for i, c := range cells {
			if c.Text != "" {
				b.WriteString(cellXML(columnName(i+1)+itoa(row), row, c))
			}
		}
		_, err := b.WriteString(`</row>`) // the writer keeps the first error
		return err
	})
	if err != nil {
		return err
	}
	b.WriteString(sheetTail)
	return b.Flush()
}

func cellXML(ref string, row int, c Cell) string {
	if row > 1 && isFigure(c) {
		return `<c r="` + ref + `"><v>` + c.Text + `</v></c>`
	}
	style := "1"
	if row == 1 {
		style = "2"
	}
	return `<c r="` + ref + `" s="` + style + `" t="inlineStr"><is><t xml:space="preserve">` + escape(escapeCodes(outgoing(c))) + `</t></is></c>`
}

func escape(s string) string {
	var b strings.Builder
	// A strings.Builder never fails, and writable has refused what
	// EscapeText would replace.
	xml.EscapeText(&b, []byte(s))
	return b.String()
}

// escapeCodes is the inverse of unescape: an underscore that would begin an
// escape is written as one.
func escapeCodes(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if s[i] == '_' && i+7 <= len(s) && s[i+1] == 'x' && s[i+6] == '_' && isHex(s[i+2:i+6]) {
			b.WriteString("_x005F")
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdefABCDEF") == "" }
