package sheet

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// maxDepth is far beyond any SpreadsheetML part.
const maxDepth = 64

type elementKind uint8

const (
	startElement elementKind = iota + 1
	endElement
	charData
)

// element is one token. Names are without prefix: transitional and strict
// workbooks differ only in namespaces.
type element struct {
	kind  elementKind
	name  string
	attrs []xml.Attr
	text  []byte
}

func (e element) attr(name string) string {
	for _, a := range e.attrs {
		if a.Name.Local == name && a.Name.Space != "xmlns" {
			return a.Value
		}
	}
	return ""
}

// xmlReader reads a part token by token, without the stack that the
// standard decoder keeps: a hostile file may nest a million deep. It knows
// no document types, so no entities of the file's own.
type xmlReader struct {
	part  io.ReadCloser
	limit *limitedReader
	d     *xml.Decoder
	depth int
}

func (w *workbook) openPart(f *zip.File) (*xmlReader, error) {
	part, err := f.Open()
	if err != nil {
		return nil, errDamaged()
	}
	limit := &limitedReader{r: part, left: w.limits.Part}
	return &xmlReader{part: part, limit: limit, d: xml.NewDecoder(limit)}, nil
}

func (x *xmlReader) close() error {
	if x.part.Close() != nil {
		return errDamaged()
	}
	return nil
}

// next gives io.EOF at the end of a complete document.
func (x *xmlReader) next() (element, error) {
	for {
		token, err := x.d.RawToken()
		if errors.Is(err, io.EOF) && x.depth == 0 {
			return element{}, io.EOF
		}
		if err != nil {
			return element{}, x.limit.or(errDamaged())
		}
		switch t := token.(type) {
		case xml.StartElement:
			if x.depth++; x.depth > maxDepth {
				return element{}, errDamaged()
			}
			return element{kind: startElement, name: t.Name.Local, attrs: t.Attr}, nil
		case xml.EndElement:
			if x.depth--; x.depth < 0 {
				return element{}, errDamaged()
			}
			return element{kind: endElement, name: t.Name.Local}, nil
		case xml.CharData:
			if x.depth > 0 {
				return element{kind: charData, text: t}, nil
			}
		case xml.Directive:
			return element{}, errDamaged()
		}
	}
}

// inside calls f for everything within the element just started.
func (x *xmlReader) inside(f func(e element) error) error {
	outer := x.depth
	for {
		e, err := x.next()
		if errors.Is(err, io.EOF) {
			return errDamaged()
		}
		if err != nil {
			return err
		}
		if x.depth < outer {
			return nil
		}
		if err := f(e); err != nil {
			return err
		}
	}
}

// plainText reads the text of the element just started.
func (x *xmlReader) plainText(into *cellText) error {
	return x.inside(func(e element) error {
		if e.kind == charData {
			into.addString(string(e.text))
		}
		return nil
	})
}

// richText reads si or is: all runs, but not rPh, which is how Japanese and
// Chinese readings stand over a text.
func (x *xmlReader) richText(into *cellText) error {
	return x.inside(func(e element) error {
		switch {
		case e.kind != startElement:
			return nil
		case e.name == "rPh":
			return x.inside(func(element) error { return nil })
		case e.name == "t":
			raw := cellText{limit: 7 * into.limit} // an escape is seven characters
			err := x.plainText(&raw)
			into.addString(unescape(raw.b.String()))
			return err
		}
		return nil
	})
}

// unescape turns _x000D_ into the character (ECMA-376 part 1, 22.9.2.19).
func unescape(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "_x")
		if i < 0 || i+7 > len(s) {
			b.WriteString(s)
			return b.String()
		}
		c, ok := hex4(s[i+2 : i+6])
		if !ok || s[i+6] != '_' {
			b.WriteString(s[:i+2])
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		b.WriteRune(c)
		s = s[i+7:]
	}
}

// hex4 refuses surrogates: half of a character stays as it is written.
func hex4(s string) (rune, bool) {
	var c rune
	for i := range len(s) {
		d := strings.IndexByte("0123456789abcdef", s[i]|0x20)
		if d < 0 || s[i] < '0' {
			return 0, false
		}
		c = c<<4 | rune(d)
	}
	return c, c < 0xd800 || c > 0xdfff
}

// limitedReader counts what really comes out of a part.
type limitedReader struct {
	r    io.Reader
	left int64
	over bool
}

var errOver = errors.New("sheet: part over its limit")

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		l.over = true
		return 0, errOver
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// or gives the limit as the reason, where it is.
func (l *limitedReader) or(err error) error {
	if l.over {
		return errBomb()
	}
	return err
}
