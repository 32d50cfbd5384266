package sheet

import (
	"fmt"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fengqiao/fengqiao/node/domain"
)

// Record is a row turned into typed values by field. Empty cells have none.
// It counts only when Errors is empty.
type Record struct {
	Row    int
	Values map[string]any
	Errors []*CellError
}

// FindOrg gives the organisations that a text may mean: none, one, or
// several when a name is not unique.
type FindOrg func(text string) []string

// Converter turns rows into records.
type Converter struct {
	table   *Table
	columns []*Field // by column, nil when left out
	names   map[string]map[string][]string
	orgs    FindOrg
	latest  string // day; one past today, since clocks differ
}

// NewConverter checks the mapping. orgs may be nil when no field needs it.
func NewConverter(t *Table, fields []Field, m Mapping, orgs FindOrg, now time.Time) (*Converter, error) {
	if err := m.Check(t.Header, fields); err != nil {
		return nil, err
	}
	c := &Converter{table: t, columns: make([]*Field, len(m)), names: map[string]map[string][]string{}, orgs: orgs,
		latest: now.In(local).AddDate(0, 0, 1).Format(dayForm)}
	for i := range fields {
		f := &fields[i]
		for column, key := range m {
			if key == f.Key {
				c.columns[column] = f
			}
		}
		if f.Type == TypeCode || f.Type == TypeCodes {
			c.names[f.Key] = codeNames(f.Codes)
		}
	}
	return c, nil
}

// Records converts all rows. The error, if any, comes last.
func (c *Converter) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for row, err := range c.table.Rows() {
			if err != nil {
				yield(Record{}, err)
				return
			}
			if !yield(c.Convert(row), nil) {
				return
			}
		}
	}
}

// Convert turns one row into a record.
func (c *Converter) Convert(r Row) Record {
	out := Record{Row: r.Number, Values: map[string]any{}}
	for i, f := range c.columns {
		if f == nil {
			continue
		}
		v, err := c.cell(f, r.Cells[i])
		switch {
		case err != nil:
			err.Row, err.Column, err.Header = r.Number, i+1, c.table.Header[i]
			if err.Value == "" {
				err.Value = shorten(r.Cells[i].Text)
			}
			out.Errors = append(out.Errors, err)
		case v != nil:
			out.Values[f.Key] = v
		}
	}
	return out
}

// wrong is an error whose place is filled in by Convert.
func wrong(code, zh, en string) *CellError { return cellError(0, 0, "", code, zh, en) }

// cell gives nil for an empty one.
func (c *Converter) cell(f *Field, cell Cell) (any, *CellError) {
	if cell.Err != nil {
		err := *cell.Err
		return nil, &err
	}
	s := trim(cell.Text)
	if f.Type != TypeText || f.Fold {
		s = trim(fold(s))
	}
	if s == "" || f.Type != TypeText && isDash(s) {
		if f.Required {
			return nil, wrong("required", f.Title.ZH+"是必填项,请填写", f.Title.EN+" is required.")
		}
		return nil, nil
	}
	return c.value(f, s, cell.Kind)
}

// isDash knows how people write "nothing here".
func isDash(s string) bool { return strings.Trim(s, "-—–/") == "" }

func (c *Converter) value(f *Field, s string, kind Kind) (any, *CellError) {
	switch f.Type {
	case TypeText:
		return f.text(s)
	case TypeDate, TypeDateTime:
		return c.date(f, s, kind)
	case TypeInt:
		return f.integer(s)
	case TypeMoney:
		return f.money(s)
	case TypeCode:
		return c.code(f, s)
	case TypeCodes:
		return each(s, func(one string) (any, *CellError) { return c.code(f, one) })
	case TypeOrg:
		return c.org(f, s)
	case TypeOrgs:
		return each(s, func(one string) (any, *CellError) { return c.org(f, one) })
	case TypeWords:
		word := Field{Title: f.Title, Max: domain.MaxLabel} // Max of the field counts words
		return each(s, word.text)
	case TypePoint:
		return f.point(s)
	case TypePhone:
		return f.phone(s)
	case TypeIDCard:
		return f.idCard(s)
	case TypeBool:
		return f.boolean(s)
	}
	return nil, wrong("unknown_type", f.Title.ZH+"的类型未知", f.Title.EN+" is of an unknown type.")
}

func (f *Field) text(s string) (any, *CellError) {
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\n\t\r", r) }) {
		return nil, wrong("bad_characters", f.Title.ZH+"含有不可见的控制字符,请重新输入", f.Title.EN+" contains control characters. Type it again.")
	}
	limit := f.Max
	if limit == 0 {
		limit = maxText
	}
	if n := utf8.RuneCountInString(s); int64(n) > limit {
		return nil, wrong("too_long", fmt.Sprintf("%s有 %d 字,最多 %d 字,请缩短", f.Title.ZH, n, limit),
			fmt.Sprintf("%s has %d characters, at most %d are allowed. Shorten it.", f.Title.EN, n, limit))
	}
	return s, nil
}

// serialForm is a date that lost its format: five digits, perhaps a part of
// a day.
var serialForm = regexp.MustCompile(`^\d{5}(\.\d+)?$`)

func (c *Converter) date(f *Field, s string, kind Kind) (any, *CellError) {
	if (kind == Text || kind == Number) && serialForm.MatchString(s) {
		x, err := strconv.ParseFloat(s, 64)
		if t, ok := fromSerial(x, c.table.date1904); ok && err == nil {
			s = t.Format(momentForm)
		}
	}
	m, ok := parseMoment(s)
	if !ok {
		return nil, wrong("bad_date", f.Title.ZH+"不是能识别的日期,请写成 2024-01-31 的形式(年份写四位)",
			f.Title.EN+" is not a known form of date. Write it as 2024-01-31, the year in four digits.")
	}
	day := m.t.Format(dayForm)
	if err := c.within(f, day); err != nil {
		return nil, err
	}
	if f.Type == TypeDateTime {
		return m.t.UnixMilli(), nil
	}
	if m.clock {
		return nil, wrong("has_time", f.Title.ZH+"只要日期,这一格还有时间,请去掉时间", f.Title.EN+" takes a date without a time. Remove the time.")
	}
	return day, nil
}

// Earliest days: the first of the People's Republic for matters, and for
// dates of birth a bound that keeps out the 1900 of empty Excel cells.
const (
	earliestDay = "1949-10-01"
	oldestDay   = "1901-01-01"
)

func (c *Converter) within(f *Field, day string) *CellError {
	switch {
	case !f.Old && day < earliestDay:
		return wrong("too_early", f.Title.ZH+"早于 1949 年,请核对年份", f.Title.EN+" is before 1949. Check the year.")
	case day < oldestDay:
		return wrong("too_early", f.Title.ZH+"早于 1901 年,请核对年份", f.Title.EN+" is before 1901. Check the year.")
	case !f.Future && day > c.latest:
		return wrong("in_future", f.Title.ZH+"在将来,请核对日期", f.Title.EN+" is in the future. Check the date.")
	}
	return nil
}

// grouped is a number with thousands separators in the right places.
var grouped = regexp.MustCompile(`^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$`)

func ungroup(s string) string {
	if grouped.MatchString(s) {
		return strings.ReplaceAll(s, ",", "")
	}
	return s
}

func (f *Field) integer(s string) (any, *CellError) {
	s = ungroup(s)
	if whole, part, ok := strings.Cut(s, "."); ok && strings.Trim(part, "0") == "" {
		s = whole
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil, wrong("not_int", f.Title.ZH+"应为整数,只写数字", f.Title.EN+" must be a whole number, in digits only.")
	}
	return f.ranged(n, strconv.FormatInt(f.Min, 10), strconv.FormatInt(f.Max, 10))
}

func (f *Field) ranged(n int64, low, high string) (any, *CellError) {
	if f.Min == 0 && f.Max == 0 || n >= f.Min && (f.Max == 0 || n <= f.Max) {
		return n, nil
	}
	if f.Max == 0 {
		return nil, wrong("out_of_range", f.Title.ZH+"不能小于 "+low, f.Title.EN+" must be at least "+low+".")
	}
	return nil, wrong("out_of_range", f.Title.ZH+"应在 "+low+" 到 "+high+" 之间", f.Title.EN+" must be from "+low+" to "+high+".")
}

func (f *Field) money(s string) (any, *CellError) {
	s = strings.TrimSpace(strings.TrimSuffix(strings.TrimLeft(s, "¥￥"), "元"))
	scale := 2
	if rest, ok := strings.CutSuffix(s, "万"); ok {
		s, scale = strings.TrimSpace(rest), 6
	}
	fen, ok := decimal(ungroup(s), scale)
	if !ok {
		return nil, wrong("bad_money", f.Title.ZH+"应为金额,单位元,最多两位小数,如 1234.50", f.Title.EN+" must be an amount in yuan with at most two decimals, such as 1234.50.")
	}
	return f.ranged(fen, yuan(f.Min), yuan(f.Max))
}

var decimalForm = regexp.MustCompile(`^([+-]?)(\d{1,12})(?:\.(\d*))?$`)

// decimal multiplies a decimal number by 10^scale without rounding.
func decimal(s string, scale int) (int64, bool) {
	m := decimalForm.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	part := strings.TrimRight(m[3], "0")
	if len(part) > scale {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1]+m[2]+part+strings.Repeat("0", scale-len(part)), 10, 64)
	return n, err == nil
}

func yuan(fen int64) string {
	sign := ""
	if fen < 0 {
		sign, fen = "-", -fen
	}
	return fmt.Sprintf("%s%d.%02d", sign, fen/100, fen%100)
}

// codeNames lists codes by everything that may stand in a cell. A retired
// code is found by itself, and by its name where no living one has it.
func codeNames(codes []domain.Code) map[string][]string {
	names := map[string][]string{}
	for _, hidden := range []bool{false, true} {
		found := map[string][]string{}
		for _, c := range codes {
			if c.Hidden == hidden {
				for _, name := range []string{c.ZH, c.EN} {
					if n := plainCode(name); n != "" && (len(found[n]) == 0 || found[n][len(found[n])-1] != c.Code) {
						found[n] = append(found[n], c.Code)
					}
				}
			}
		}
		for n, list := range found {
			if len(names[n]) == 0 {
				names[n] = list
			}
		}
	}
	for _, c := range codes {
		names[plainCode(c.Code)] = []string{c.Code}
	}
	return names
}

// plainCode makes spellings of one name equal.
func plainCode(s string) string { return strings.ToLower(strings.Join(strings.Fields(fold(s)), "")) }

func (c *Converter) code(f *Field, s string) (any, *CellError) {
	found := c.names[f.Key][plainCode(s)]
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, wrong("unknown_code", f.Title.ZH+"没有“"+shorten(s)+"”这一项,请写代码表中的名称或代码", f.Title.EN+" has no such entry. Write a name or code of its table.")
	}
	return nil, wrong("ambiguous_code", f.Title.ZH+"中有几项都叫“"+shorten(s)+"”,请写代码:"+strings.Join(found, "、"),
		f.Title.EN+" has several entries of this name. Write one of the codes "+strings.Join(found, ", ")+".")
}

func (c *Converter) org(f *Field, s string) (any, *CellError) {
	var found []string
	if c.orgs != nil {
		found = c.orgs(s)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, wrong("unknown_org", "没有找到“"+shorten(s)+"”,请写机构或村社的全称或代码", "There is no such organisation. Write its full name or code.")
	}
	return nil, wrong("ambiguous_org", "有几个地方都叫“"+shorten(s)+"”,请在前面加上乡镇名称,或写代码", "Several organisations have this name. Put the township before it, or write the code.")
}

// listMarks part the entries of a list in one cell, after folding; fold
// turns 、 into its half-width form only where it was one.
const listMarks = "、,;|\n"

// each converts a list such as 甲、乙;丙.
func each(s string, one func(string) (any, *CellError)) (any, *CellError) {
	list := []string{}
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(listMarks, r) }) {
		if part = trim(part); part == "" {
			continue
		}
		v, err := one(part)
		if err != nil {
			return nil, err
		}
		list = append(list, v.(string))
	}
	return list, nil
}

// exponent is how Excel shows a long number, and how it stays in a CSV.
var exponent = regexp.MustCompile(`^\d(\.\d+)?[eE]\+?\d+$`)

func (f *Field) phone(s string) (any, *CellError) {
	s = strings.TrimPrefix(s, "+86")
	switch {
	case exponent.MatchString(s):
		return nil, digitsLost(0, 0, s)
	case !domain.ValidPhone(trim(s)):
		return nil, wrong("bad_phone", "电话号码不正确:手机 11 位,座机带区号如 0575-87010000;一格只写一个号码",
			"The phone number is not valid: 11 digits, or a landline with area code; one number per cell.")
	}
	return trim(s), nil
}

func (f *Field) idCard(s string) (any, *CellError) {
	s = domain.NormalNumber(strings.TrimPrefix(s, "'"))
	switch {
	case exponent.MatchString(s):
		return nil, digitsLost(0, 0, s)
	case len(s) == 18 && strings.HasSuffix(s, "000") && !domain.ValidIDCard(s):
		// What a CSV holds after Excel rounded the number to 15 digits.
		return nil, digitsLost(0, 0, s)
	case !domain.ValidIDCard(s):
		return nil, wrong("bad_idcard", "身份证号不正确,请核对 18 位号码和校验位", "The ID card number is not valid. Check all 18 digits.")
	}
	return s, nil
}

var truths = map[string]bool{
	"是": true, "有": true, "对": true, "真": true, "√": true, "✓": true, "✔": true, "y": true, "yes": true, "true": true, "1": true,
	"否": false, "无": false, "没有": false, "不是": false, "错": false, "假": false, "×": false, "✗": false, "n": false, "no": false, "false": false, "0": false,
}

// point takes longitude before latitude, as on Chinese maps.
func (f *Field) point(s string) (any, *CellError) {
	east, north, ok := strings.Cut(s, ",")
	lng, okLng := microDegrees(trim(east), 180)
	lat, okLat := microDegrees(trim(north), 90)
	if !ok || !okLng || !okLat {
		return nil, wrong("bad_point", f.Title.ZH+"应写成“经度,纬度”,如 120.4397,29.7923", f.Title.EN+" must be longitude,latitude, such as 120.4397,29.7923.")
	}
	return Point{lng, lat}, nil
}

func (f *Field) boolean(s string) (any, *CellError) {
	v, ok := truths[strings.ToLower(s)]
	if !ok {
		return nil, wrong("not_bool", f.Title.ZH+"应写“是”或“否”", f.Title.EN+" must be yes or no.")
	}
	return v, nil
}

// Formatter gives a function that writes a value so that Convert reads the
// same one: what an export needs to be imported again. A value of another
// type than the field's is a mistake of the caller and panics.
func (f *Field) Formatter() func(v any) string {
	switch f.Type {
	case TypeDateTime:
		return formatMoment
	case TypeInt:
		return func(v any) string { return strconv.FormatInt(v.(int64), 10) }
	case TypeMoney:
		return func(v any) string { return yuan(v.(int64)) }
	case TypeBool:
		return formatBool
	case TypePoint:
		return func(v any) string { p := v.(Point); return FormatDegrees(p.Lng) + "," + FormatDegrees(p.Lat) }
	case TypeOrgs, TypeWords:
		return func(v any) string { return strings.Join(v.([]string), listMark) }
	case TypeCode:
		labels := f.labels()
		return func(v any) string { return labels.of(v.(string)) }
	case TypeCodes:
		labels := f.labels()
		return func(v any) string { return labels.list(v.([]string)) }
	}
	return func(v any) string { return v.(string) }
}

const listMark = "、"

func formatMoment(v any) string {
	t := time.UnixMilli(v.(int64)).In(local)
	if t.Nanosecond() != 0 {
		return t.Format(momentForm + ".000")
	}
	return t.Format(momentForm)
}

func formatBool(v any) string {
	if v.(bool) {
		return "是"
	}
	return "否"
}

// labels holds the Chinese name of every code whose name alone leads back to
// it; the others are written as codes.
type labels map[string]string

func (f *Field) labels() labels {
	names, out := codeNames(f.Codes), labels{}
	for _, c := range f.Codes {
		found := names[plainCode(c.ZH)]
		if len(found) == 1 && found[0] == c.Code && !strings.ContainsAny(fold(c.ZH), listMarks) && !isDash(fold(c.ZH)) {
			out[c.Code] = c.ZH
		}
	}
	return out
}

func (l labels) of(code string) string {
	if name, ok := l[code]; ok {
		return name
	}
	return code
}

func (l labels) list(codes []string) string {
	out := make([]string, len(codes))
	for i, code := range codes {
		out[i] = l.of(code)
	}
	return strings.Join(out, listMark)
}
