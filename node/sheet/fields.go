package sheet

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/fengqiao/fengqiao/node/domain"
)

// Type is what the cells of a column become.
type Type string

const (
	TypeText     Type = "text"     // string
	TypeDate     Type = "date"     // string, 2006-01-02
	TypeDateTime Type = "datetime" // int64, Unix milliseconds
	TypeInt      Type = "int"      // int64
	TypeMoney    Type = "money"    // int64, fen
	TypeCode     Type = "code"     // string, a code of Codes
	TypeCodes    Type = "codes"    // []string
	TypePhone    Type = "phone"    // string
	TypeIDCard   Type = "idcard"   // string
	TypeBool     Type = "bool"     // bool
	TypeOrg      Type = "org"      // string, an organisation's code
	TypeOrgs     Type = "orgs"     // []string
	TypeWords    Type = "words"    // []string, free
	TypePoint    Type = "point"    // Point
)

// Point is a place in 1e-6 degree, written as 120.4397,29.7923.
type Point struct{ Lng, Lat int64 }

// Field is a target that a column can be mapped to.
type Field struct {
	Key      string
	Title    domain.Text
	Synonyms []string // what such columns are called elsewhere
	Required bool
	Type     Type
	Min, Max int64         // of int and money; Max of text in characters; 0 is no bound
	Codes    []domain.Code // of code and codes
	Old      bool          // dates before 1949 are right, as in dates of birth
	Future   bool          // dates to come are right
	Fold     bool          // full-width letters and digits of a text become half-width
}

// maxText bounds a text whose field names no limit, in characters.
const maxText = 20000

// FieldOf describes a field of a kind of matter as a target. Fields that no
// single cell can hold (groups, accounts) have none.
func FieldOf(f *domain.Field, codes []domain.Code) (Field, bool) {
	out := Field{Key: f.Key, Title: f.Title, Required: f.Required, Min: f.Min, Max: f.Max, Codes: codes, Future: f.Future}
	types := map[domain.FieldType]Type{
		domain.TypeText: TypeText, domain.TypeLabel: TypeText, domain.TypeDate: TypeDate, domain.TypeTime: TypeDateTime,
		domain.TypeInt: TypeInt, domain.TypeMoney: TypeMoney, domain.TypeCode: TypeCode, domain.TypeCodes: TypeCodes,
		domain.TypeBool: TypeBool, domain.TypeOrg: TypeOrg, domain.TypeOrgs: TypeOrgs,
		domain.TypeLabels: TypeWords, domain.TypePoint: TypePoint,
	}
	var ok bool
	out.Type, ok = types[f.Type]
	switch f.Mask {
	case domain.MaskIDCard:
		out.Type = TypeIDCard
	case domain.MaskPhone:
		out.Type = TypePhone
	}
	return out, ok
}

// Mapping names the field of each column by its key, "" for a column that
// is left out.
type Mapping []string

// Guess maps columns to fields by their names: first those that are equal,
// then the lower part of a header of two rows, then those of which one
// contains the other. No field is used twice.
func Guess(header []string, fields []Field) Mapping {
	m := make(Mapping, len(header))
	used := map[string]bool{}
	for _, alike := range []func(header, name string) int{sameName, sameLastName, containsName} {
		for column, h := range header {
			if m[column] != "" || h == "" {
				continue
			}
			if key := closest(h, fields, used, alike); key != "" {
				m[column], used[key] = key, true
			}
		}
	}
	return m
}

func closest(header string, fields []Field, used map[string]bool, alike func(h, name string) int) string {
	best, key := 0, ""
	for i := range fields {
		f := &fields[i]
		if used[f.Key] {
			continue
		}
		for _, name := range append([]string{f.Title.ZH, f.Title.EN, f.Key}, f.Synonyms...) {
			if score := alike(header, name); score > best {
				best, key = score, f.Key
			}
		}
	}
	return key
}

func sameName(header, name string) int {
	if n := plainName(name); n != "" && n == plainName(header) {
		return 1
	}
	return 0
}

func sameLastName(header, name string) int { return sameName(lastName(header), name) }

func lastName(header string) string { return header[strings.LastIndexByte(header, '/')+1:] }

// containsName scores by the length of what the names share; one character
// proves nothing.
func containsName(header, name string) int {
	h, n := plainName(lastName(header)), plainName(name)
	short := min(len([]rune(h)), len([]rune(n)))
	if short < 2 || !strings.Contains(h, n) && !strings.Contains(n, h) {
		return 0
	}
	return short
}

// plainName removes what differs between forms: width, case, spaces, marks
// of required columns and remarks in brackets.
func plainName(s string) string {
	s = strings.ToLower(fold(s))
	if i := strings.IndexByte(s, '('); i > 0 {
		s = s[:i]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("*:_-.·", r) {
			return -1
		}
		return r
	}, s)
}

// fold makes full-width letters, digits and marks half-width.
func fold(s string) string { return width.Fold.String(s) }

// MappingError says what is wrong with a mapping as a whole.
type MappingError struct {
	Code    string
	Column  int // from 1, 0 when no single one is meant
	Field   string
	Message domain.Text
}

func (e *MappingError) Error() string { return "sheet: " + e.Message.EN }

// Check says whether a mapping fits header and fields: every key known and
// used once, every required field given a column.
func (m Mapping) Check(header []string, fields []Field) error {
	if len(m) != len(header) {
		return mappingError("wrong_columns", 0, "", "对应关系的列数与表格不同,请重新设置", "The mapping has another number of columns than the table. Set it again.")
	}
	titles, used := map[string]domain.Text{}, map[string]int{}
	for _, f := range fields {
		titles[f.Key] = f.Title
	}
	for i, key := range m {
		if key == "" {
			continue
		}
		title, known := titles[key]
		if !known {
			return mappingError("unknown_field", i+1, key, "没有字段“"+key+"”,请重新选择", "There is no field "+key+". Choose another.")
		}
		if used[key] > 0 {
			return mappingError("field_twice", i+1, key, fmt.Sprintf("第 %s 列和第 %s 列都对应“%s”,请只留一列", columnName(used[key]), columnName(i+1), title.ZH),
				fmt.Sprintf("Columns %s and %s are both mapped to %s. Keep one.", columnName(used[key]), columnName(i+1), title.EN))
		}
		used[key] = i + 1
	}
	for _, f := range fields {
		if f.Required && used[f.Key] == 0 {
			return mappingError("field_missing", 0, f.Key, "没有哪一列对应必填的“"+f.Title.ZH+"”,请选择", "No column is mapped to "+f.Title.EN+", which is required. Choose one.")
		}
	}
	return nil
}

func mappingError(code string, column int, field, zh, en string) error {
	return &MappingError{Code: code, Column: column, Field: field, Message: domain.Text{ZH: zh, EN: en}}
}
