package sheet

import (
	"archive/zip"
	"errors"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// An XLSX is read by this package, not by excelize: that one inflates all
// parts and keeps every cell of a sheet in memory, grows with row numbers
// that a hostile file invents, and does not stream the types of cells,
// without which an identity number that Excel rounded cannot be told from
// one that is text.
type workbook struct {
	parts    map[string]*zip.File
	limits   Limits
	date1904 bool
	strings  []string
	formats  []format // by style number
}

func openXLSX(r io.ReaderAt, size int64, o Options) (*Table, error) {
	w, err := unpack(r, size, o.Limits)
	if err != nil {
		return nil, err
	}
	main, err := w.mainPart()
	if err != nil {
		return nil, err
	}
	sheets, err := w.readWorkbook(main)
	if err != nil {
		return nil, err
	}
	s, err := pickSheet(sheets, o.Sheet)
	if err != nil {
		return nil, err
	}
	rels, err := w.relations(main)
	if err != nil {
		return nil, err
	}
	if err := w.readShared(rels); err != nil {
		return nil, err
	}
	t := &Table{Format: XLSX, Sheet: s.name, date1904: w.date1904}
	for _, each := range sheets {
		if !each.hidden {
			t.Sheets = append(t.Sheets, each.name)
		}
	}
	part := w.parts[rels.byID[s.rel]]
	if part == nil {
		return nil, errDamaged()
	}
	t.src = &sheetSource{book: w, part: part}
	return t, nil
}

// unpack opens the container and refuses what would unpack to too much. The
// announced sizes are checked here, the real ones while reading.
func unpack(r io.ReaderAt, size int64, l Limits) (*workbook, error) {
	// Every entry costs memory before its size is known; 32 MiB of bare
	// directory entries would cost hundreds.
	entries, err := count(r, size, []byte("PK\x01\x02"), l.Parts+1)
	if err != nil {
		return nil, err
	}
	if entries > l.Parts {
		return nil, errBomb()
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, errDamaged()
	}
	w := &workbook{parts: map[string]*zip.File{}, limits: l}
	total := uint64(0)
	for _, f := range z.File {
		n := f.UncompressedSize64
		total += n
		if n > uint64(l.Part) || total > uint64(l.Unzipped) || n >= 1<<20 && n/uint64(l.Ratio) > f.CompressedSize64 {
			return nil, errBomb()
		}
		name := partName(f.Name)
		if _, twice := w.parts[name]; twice {
			return nil, errDamaged()
		}
		w.parts[name] = f
	}
	return w, nil
}

// partName makes the names of one part equal: they are compared without
// case, and some producers write a backslash or a leading slash.
func partName(name string) string {
	return strings.ToLower(strings.TrimPrefix(path.Clean(strings.ReplaceAll(name, `\`, "/")), "/"))
}

// mainPart finds the workbook and says what else a zip file may be.
func (w *workbook) mainPart() (string, error) {
	if w.parts["[content_types].xml"] == nil {
		if w.parts["mimetype"] != nil {
			return "", errNotWorkbook("开放文档(.ods)")
		}
		return "", errNotWorkbook("压缩文件")
	}
	rels, err := w.relations("")
	if err != nil {
		return "", err
	}
	main := rels.byType["officeDocument"]
	switch {
	case main == "" || w.parts[main] == nil:
		return "", errDamaged()
	case strings.HasPrefix(main, "word/"):
		return "", errNotWorkbook(" Word 文档")
	case strings.HasPrefix(main, "ppt/"):
		return "", errNotWorkbook("演示文稿")
	case strings.HasSuffix(main, ".bin") || w.parts["xl/vbaproject.bin"] != nil:
		return "", errMacro()
	}
	return main, nil
}

// relations of a part by id and by the last word of their type.
type relations struct{ byID, byType map[string]string }

func (w *workbook) relations(of string) (relations, error) {
	rels := relations{map[string]string{}, map[string]string{}}
	dir, name := path.Split(of)
	part := w.parts[dir+"_rels/"+name+".rels"]
	if part == nil {
		return rels, errDamaged()
	}
	return rels, w.walk(part, func(x *xmlReader, e element) error {
		if e.name != "Relationship" || e.attr("TargetMode") == "External" {
			return nil
		}
		target := e.attr("Target")
		if !strings.HasPrefix(target, "/") {
			target = path.Join("/", dir, target)
		}
		target = partName(target)
		rels.byID[e.attr("Id")] = target
		kind := e.attr("Type")
		rels.byType[kind[strings.LastIndexByte(kind, '/')+1:]] = target
		return nil
	})
}

type sheetEntry struct {
	name, rel string
	hidden    bool
}

func (w *workbook) readWorkbook(main string) ([]sheetEntry, error) {
	var sheets []sheetEntry
	err := w.walk(w.parts[main], func(x *xmlReader, e element) error {
		switch e.name {
		case "workbookPr":
			w.date1904 = isTrue(e.attr("date1904"))
		case "sheet":
			sheets = append(sheets, sheetEntry{e.attr("name"), e.attr("id"), e.attr("state") != "" && e.attr("state") != "visible"})
		}
		return nil
	})
	return sheets, err
}

func isTrue(s string) bool { return s == "1" || s == "true" }

func pickSheet(sheets []sheetEntry, name string) (sheetEntry, error) {
	i := slices.IndexFunc(sheets, func(s sheetEntry) bool {
		return name == "" && !s.hidden || name != "" && s.name == name
	})
	switch {
	case i >= 0:
		return sheets[i], nil
	case name != "":
		return sheetEntry{}, errSheet(name)
	}
	return sheetEntry{}, errEmpty()
}

// readShared reads what cells refer to: shared strings and number formats.
func (w *workbook) readShared(rels relations) error {
	if part := w.parts[rels.byType["sharedStrings"]]; part != nil {
		if err := w.readStrings(part); err != nil {
			return err
		}
	}
	if part := w.parts[rels.byType["styles"]]; part != nil {
		return w.readStyles(part)
	}
	return nil
}

func (w *workbook) readStrings(part *zip.File) error {
	most := w.limits.Rows * w.limits.Columns
	return w.walk(part, func(x *xmlReader, e element) error {
		if e.name != "si" {
			return nil
		}
		if len(w.strings) >= most {
			return errBomb()
		}
		// A little over the limit is kept, so that the cell is known
		// to be too long wherever it is used.
		text := cellText{limit: w.limits.Chars + 2}
		err := x.richText(&text)
		w.strings = append(w.strings, text.b.String())
		return err
	})
}

// readStyles keeps the number format of every style: cellXfs/xf by position.
func (w *workbook) readStyles(part *zip.File) error {
	custom := map[string]string{}
	inCells := false
	return w.walk(part, func(x *xmlReader, e element) error {
		switch e.name {
		case "numFmt":
			custom[e.attr("numFmtId")] = e.attr("formatCode")
		case "cellXfs":
			inCells = true
		case "cellStyles", "dxfs":
			inCells = false
		case "xf":
			if !inCells {
				return nil
			}
			id := e.attr("numFmtId")
			if code, ok := custom[id]; ok {
				w.formats = append(w.formats, parseFormat(code))
				return nil
			}
			n, err := strconv.Atoi(id)
			if err != nil {
				n = 0
			}
			w.formats = append(w.formats, builtinFormat(n))
		}
		return nil
	})
}

func (w *workbook) format(style string) format {
	n, err := strconv.Atoi(style)
	if err != nil || n < 0 || n >= len(w.formats) {
		return format{kind: Number}
	}
	return w.formats[n]
}

// walk calls f at every start of an element; f may read on from x.
func (w *workbook) walk(part *zip.File, f func(x *xmlReader, e element) error) error {
	x, err := w.openPart(part)
	if err != nil {
		return err
	}
	for {
		e, err := x.next()
		if errors.Is(err, io.EOF) {
			return x.close()
		}
		if err == nil && e.kind == startElement {
			err = f(x, e)
		}
		if err != nil {
			return errors.Join(err, x.close())
		}
	}
}
