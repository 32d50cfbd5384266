package sheet

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

const sniffed = 4096

var (
	zipMagic = []byte("PK\x03\x04")
	oleMagic = []byte{0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1}
	utf8BOM  = []byte{0xef, 0xbb, 0xbf}
	// encryptedPackage is the stream of an encrypted workbook (MS-OFFCRYPTO
	// 2.3.4.4), its name in UTF-16 as the directory of the container has it.
	encryptedPackage = utf16le("EncryptedPackage")
)

func utf16le(s string) []byte {
	out := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		out = append(out, s[i], 0)
	}
	return out
}

// open tells by content what a file is; name and media type must agree.
func open(r io.ReaderAt, size int64, o Options) (*Table, error) {
	head := make([]byte, min(size, sniffed))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := refuseByName(head, r, size); err != nil {
		return nil, err
	}
	format := CSV
	if bytes.HasPrefix(head, zipMagic) {
		format = XLSX
	}
	if err := agrees(format, o); err != nil {
		return nil, err
	}
	if format == XLSX {
		return openXLSX(r, size, o)
	}
	return openCSV(r, size, head, o)
}

// refuseByName answers the formats that people bring by mistake.
func refuseByName(head []byte, r io.ReaderAt, size int64) error {
	switch {
	case bytes.HasPrefix(head, oleMagic):
		encrypted, err := contains(r, size, encryptedPackage)
		if err != nil {
			return err
		}
		if encrypted {
			return errPassword()
		}
		return errOldExcel()
	case bytes.HasPrefix(head, []byte("%PDF-")):
		return errNotWorkbook(" PDF 文件")
	case isHTML(head):
		return errHTML()
	}
	return nil
}

func isHTML(head []byte) bool {
	start := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(head, utf8BOM), " \t\r\n"))
	for _, tag := range []string{"<!doctype html", "<html", "<table", "<meta", "<?xml"} {
		if bytes.HasPrefix(start, []byte(tag)) {
			return true
		}
	}
	return false
}

// contains looks for a short needle anywhere in the file.
func contains(r io.ReaderAt, size int64, needle []byte) (bool, error) {
	n, err := count(r, size, needle, 1)
	return n > 0, err
}

// count counts a short needle, up to most.
func count(r io.ReaderAt, size int64, needle []byte, most int) (int, error) {
	const block = 64 << 10
	buf := make([]byte, block+len(needle)-1)
	n := 0
	for at := int64(0); at < size && n < most; at += block {
		got, err := r.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		n += bytes.Count(buf[:got], needle)
	}
	return n, nil
}

var (
	textTypes = []string{"", "application/octet-stream", "text/csv", "text/plain", "text/tab-separated-values",
		"application/csv", "application/vnd.ms-excel"} // the last is what Windows with Excel calls .csv
	workbookTypes = []string{"", "application/octet-stream", "application/zip", "application/x-zip-compressed",
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
)

func agrees(f Format, o Options) error {
	ext := strings.ToLower(filepath.Ext(o.Name))
	switch ext {
	case ".xlsm", ".xlsb":
		return errMacro()
	case "", ".csv", ".txt", ".tsv", ".xlsx":
	case ".xls", ".et":
		return errMismatch(ext, f)
	default:
		return errExtension(ext)
	}
	if ext != "" && (ext == ".xlsx") != (f == XLSX) {
		return errMismatch(ext, f)
	}
	media, _, err := mime.ParseMediaType(o.MediaType)
	if err != nil && o.MediaType != "" {
		return errMediaType(o.MediaType)
	}
	allowed := textTypes
	if f == XLSX {
		allowed = workbookTypes
	}
	if !slices.Contains(allowed, media) {
		return errMediaType(media)
	}
	return nil
}

// encoding of a text file.
type encoding uint8

const (
	encUTF8 encoding = iota
	encGB18030
)

// findEncoding reads the whole text once. Whatever is not UTF-8 must be
// GB18030 (which holds GBK and GB 2312); the decoder then finds what is
// neither. UTF-16 is refused by name: it is what Excel calls "Unicode".
func findEncoding(r io.ReaderAt, size int64, head []byte) (encoding, error) {
	if name := utf16Name(head); name != "" {
		return 0, errUTF16(name)
	}
	valid, invalid, nul := 0, 0, false
	err := eachRune(io.NewSectionReader(r, 0, size), func(c rune, n int) {
		switch {
		case c == utf8.RuneError && n == 1:
			invalid++
		case c == 0:
			nul = true
		case n > 1:
			valid++
		}
	})
	switch {
	case err != nil:
		return 0, err
	case nul:
		return 0, errBinary()
	case invalid == 0:
		return encUTF8, nil
	case bytes.HasPrefix(head, utf8BOM) || valid > 10*invalid:
		// GBK read as UTF-8 is almost never valid: this is damaged UTF-8.
		return 0, errEncoding(damagedRow(r, size))
	}
	return encGB18030, nil
}

// utf16Name knows UTF-16 by its mark or by the zero bytes of its commas and
// digits.
func utf16Name(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		return "UTF-16 LE"
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return "UTF-16 BE"
	}
	var zeros [2]int
	for i, b := range head {
		if b == 0 {
			zeros[i%2]++
		}
	}
	switch {
	case zeros[1] > 0 && zeros[0] == 0:
		return "UTF-16 LE"
	case zeros[0] > 0 && zeros[1] == 0:
		return "UTF-16 BE"
	}
	return ""
}

// eachRune calls f with every rune and its length in bytes.
func eachRune(r io.Reader, f func(c rune, n int)) error {
	buf, kept := make([]byte, 64<<10), 0
	for {
		n, err := r.Read(buf[kept:])
		data := buf[:kept+n]
		for len(data) > 0 && (utf8.FullRune(data) || err != nil) {
			c, size := utf8.DecodeRune(data)
			f(c, size)
			data = data[size:]
		}
		kept = copy(buf, data)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func damagedRow(r io.ReaderAt, size int64) int {
	row, found := 1, 0
	if err := eachRune(io.NewSectionReader(r, 0, size), func(c rune, n int) {
		switch {
		case found > 0:
		case c == utf8.RuneError && n == 1:
			found = row
		case c == '\n':
			row++
		}
	}); err != nil {
		return row
	}
	return found
}
