package sheet

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Level of a division.
type Level string

const (
	Province Level = "province"
	City     Level = "city"
	County   Level = "county"
	Township Level = "township"
	Village  Level = "village"
)

// codeDigits of each level (GB/T 2260, GB/T 10114; villages by the National
// Bureau of Statistics).
var codeDigits = map[Level]int{Province: 6, City: 6, County: 6, Township: 9, Village: 12}

// above is the level of the parent.
var above = map[Level]Level{City: Province, County: City, Township: County, Village: Township}

// levelNames are what lists call levels.
var levelNames = map[string]Level{
	"province": Province, "省": Province, "city": City, "市": City, "地级市": City, "county": County, "县": County, "县级": County, "区县": County, "县市区": County,
	"township": Township, "乡镇": Township, "镇街": Township, "乡镇街道": Township, "village": Village, "村": Village, "村社": Village, "村社区": Village, "村级": Village,
}

// Division is an administrative unit. The point is its centre in 1e-6
// degree, in the system of the list.
type Division struct {
	Code     string
	Name     string
	Level    Level
	Parent   string
	HasPoint bool
	Lng, Lat int64
	Abbr     string   // for the numbers of matters
	Aliases  []string // former names and codes
	Row      int      // of the list
}

// Divisions is a checked list, by code.
type Divisions struct {
	List    []Division // parents before children
	Named   bool       // the list has a column of former names of its own
	byCode  map[string]*Division
	byName  map[string][]string
	aliases map[string][]string
}

// DivisionFields are the columns of a list of divisions.
func DivisionFields() []Field {
	field := func(key, zh, en string, required bool, synonyms ...string) Field {
		f := Field{Key: key, Required: required, Type: TypeText, Max: 200, Fold: key != "name" && key != "source", Synonyms: synonyms}
		if key == "aliases" {
			f.Type = TypeWords
		}
		f.Title.ZH, f.Title.EN = zh, en
		return f
	}
	return []Field{
		field("code", "区划代码", "Code", true, "代码", "编码", "行政区划代码", "统计用区划代码"),
		field("name", "名称", "Name", true, "区划名称", "单位名称"),
		field("level", "级别", "Level", true, "层级", "行政级别"),
		field("parent", "上级代码", "Parent", true, "上级", "父级代码", "上级区划代码"),
		field("lng", "经度", "Longitude", false, "lon", "东经"),
		field("lat", "纬度", "Latitude", false, "北纬"),
		field("abbr", "简称", "Abbreviation", false),
		field("aliases", "曾用名", "Former names", false, "旧名", "旧名称", "旧代码"),
		field("source", "来源", "Source", false, "备注"),
	}
}

// ReadDivisions checks a list as a whole: codes of the right length and
// unique, parents present (but for the topmost level of the list), the code
// of a child beginning with its parent's, points on earth and not swapped.
// Any cell errors mean that the list must not be used.
func ReadDivisions(t *Table) (*Divisions, []*CellError, error) {
	b := divisionBuilder{table: t, mapping: Guess(t.Header, DivisionFields()),
		d: &Divisions{byCode: map[string]*Division{}, byName: map[string][]string{}, aliases: map[string][]string{}}}
	c, err := NewConverter(t, DivisionFields(), b.mapping, nil, time.Time{})
	if err != nil {
		return nil, nil, err
	}
	b.d.Named = slices.Contains(b.mapping, "aliases")
	for r, err := range c.Records() {
		if err != nil {
			return nil, nil, err
		}
		b.add(r)
	}
	b.link()
	return b.d, b.errs, nil
}

type divisionBuilder struct {
	table   *Table
	mapping Mapping
	d       *Divisions
	errs    []*CellError
}

// fail reports a cell of the named column.
func (b *divisionBuilder) fail(row int, key, value, code, zh, en string) {
	e := cellError(row, slices.Index(b.mapping, key)+1, value, code, zh, en)
	if e.Column > 0 {
		e.Header = b.table.Header[e.Column-1]
	}
	b.errs = append(b.errs, e)
}

func (b *divisionBuilder) add(r Record) {
	if len(r.Errors) > 0 {
		b.errs = append(b.errs, r.Errors...)
		return
	}
	text := func(key string) string {
		s, _ := r.Values[key].(string)
		return s
	}
	v := Division{Code: text("code"), Name: text("name"), Parent: text("parent"), Abbr: text("abbr"), Row: r.Row}
	v.Aliases, _ = r.Values["aliases"].([]string)
	level, known := levelNames[strings.ToLower(text("level"))]
	v.Level = level
	switch first := b.d.byCode[v.Code]; {
	case !known:
		b.fail(r.Row, "level", text("level"), "bad_level", "级别应为 county(区县)、township(乡镇)或 village(村社)", "The level must be county, township or village.")
		return
	case first != nil:
		b.fail(r.Row, "code", v.Code, "code_twice", fmt.Sprintf("代码与第 %d 行重复", first.Row), fmt.Sprintf("The code stands in row %d already.", first.Row))
		return
	case !isCode(v.Code, codeDigits[level]):
		b.fail(r.Row, "code", v.Code, "bad_code", fmt.Sprintf("这一级的代码应为 %d 位数字", codeDigits[level]), fmt.Sprintf("A code of this level has %d digits.", codeDigits[level]))
		return
	}
	b.point(&v, text("lng"), text("lat"))
	b.d.byCode[v.Code] = &v
}

func isCode(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789") == ""
}

// point takes both coordinates or none.
func (b *divisionBuilder) point(v *Division, lng, lat string) {
	if lng == "" && lat == "" {
		return
	}
	var ok bool
	if v.Lng, ok = microDegrees(lng, 180); !ok {
		b.fail(v.Row, "lng", lng, "bad_point", "经度应为 -180 到 180 之间的小数,如 120.4397", "The longitude must be a decimal number from -180 to 180.")
		return
	}
	if v.Lat, ok = microDegrees(lat, 90); !ok {
		b.fail(v.Row, "lat", lat, "bad_point", "纬度应为 -90 到 90 之间的小数,如 29.7923(经纬度是否写反?)", "The latitude must be a decimal number from -90 to 90. Are the two swapped?")
		return
	}
	v.HasPoint = true
}

// microDegrees reads decimal degrees as integers of 1e-6, half away from
// zero at the seventh digit, without floating point: an export gives back
// what was imported.
func microDegrees(s string, most int64) (int64, bool) {
	whole, part, _ := strings.Cut(s, ".")
	up := len(part) > 6 && part[6] >= '5' && part[6] <= '9'
	if strings.Trim(part, "0123456789") != "" {
		return 0, false
	}
	part = part[:min(len(part), 6)]
	n, ok := decimal(whole+"."+part, 6)
	switch {
	case !ok:
		return 0, false
	case up && strings.HasPrefix(whole, "-"):
		n--
	case up:
		n++
	}
	return n, n >= -most*1e6 && n <= most*1e6
}

// FormatDegrees writes 1e-6 degrees as people do: 120.4397.
func FormatDegrees(n int64) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	s := fmt.Sprintf("%s%d.%06d", sign, n/1e6, n%1e6)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// link checks parents and puts the list in order.
func (b *divisionBuilder) link() {
	for _, v := range b.d.byCode {
		b.d.List = append(b.d.List, *v)
	}
	slices.SortFunc(b.d.List, func(x, y Division) int {
		return cmp.Or(cmp.Compare(rank(x.Level), rank(y.Level)), cmp.Compare(x.Code, y.Code))
	})
	if len(b.d.List) == 0 {
		return
	}
	top := b.d.List[0].Level
	b.d.index()
	for i := range b.d.List {
		b.checkParent(&b.d.List[i], top)
	}
	slices.SortStableFunc(b.errs, func(x, y *CellError) int { return cmp.Compare(x.Row, y.Row) })
}

func rank(l Level) int { return slices.Index([]Level{Province, City, County, Township, Village}, l) }

func (b *divisionBuilder) checkParent(v *Division, top Level) {
	parent := b.d.byCode[v.Parent]
	switch {
	case v.Level == top && parent == nil:
	case parent == nil:
		b.fail(v.Row, "parent", v.Parent, "no_parent", "上级 "+v.Parent+" 不在表中,请补上或改正", "The parent is not in the list. Add or correct it.")
	case parent.Level != above[v.Level]:
		b.fail(v.Row, "parent", v.Parent, "wrong_parent", "上级“"+parent.Name+"”的级别不对", "The parent is of the wrong level.")
	case !strings.HasPrefix(v.Code, significant(parent)):
		b.fail(v.Row, "code", v.Code, "wrong_prefix", "代码应以上级代码 "+significant(parent)+" 开头", "The code must begin with that of its parent, "+significant(parent)+".")
	}
}

// significant is the part of a code that its children's begin with: 33 of a
// province, 3306 of a city.
func significant(v *Division) string {
	switch v.Level {
	case Province:
		return v.Code[:2]
	case City:
		return v.Code[:4]
	}
	return v.Code
}

// Count gives how many divisions stand on each level.
func (d *Divisions) Count() map[Level]int {
	n := map[Level]int{}
	for i := range d.List {
		n[d.List[i].Level]++
	}
	return n
}

// Get finds a division by its code.
func (d *Divisions) Get(code string) (Division, bool) {
	v, ok := d.byCode[code]
	if !ok {
		return Division{}, false
	}
	return *v, true
}

// Index makes units found by code, name and former name: Find. The levels
// and codes of the list are not checked.
func Index(list []Division) *Divisions {
	d := &Divisions{List: list, byCode: map[string]*Division{}, byName: map[string][]string{}, aliases: map[string][]string{}}
	d.index()
	return d
}

func (d *Divisions) index() {
	for i := range d.List {
		v := &d.List[i]
		d.byCode[v.Code] = v
		if name := plainCode(v.Name); !slices.Contains(d.byName[name], v.Code) {
			d.byName[name] = append(d.byName[name], v.Code)
		}
		for _, a := range append([]string{v.Code}, v.Aliases...) { // codes with letters, in any case
			if name := plainCode(a); !slices.Contains(d.aliases[name], v.Code) {
				d.aliases[name] = append(d.aliases[name], v.Code)
			}
		}
	}
}

// Find gives the codes that a text may mean: a code, a name, a name behind
// those of its township or county (枫桥镇枫源村), or an old name. Several
// when it is not unique; it has the form of FindOrg.
func (d *Divisions) Find(text string) []string {
	name := plainCode(text)
	if d.byCode[name] != nil {
		return []string{name}
	}
	if found := d.named(name); len(found) > 0 {
		return found
	}
	return d.findWithin(name)
}

// findWithin splits a text into a unit and something below it. The split
// may stand anywhere; the same unit found twice counts once.
func (d *Divisions) findWithin(name string) []string {
	const longest = 200 // bytes; longer ones are no names
	if len(name) > longest {
		return nil
	}
	var found []string
	for i := range name {
		if i == 0 {
			continue
		}
		upper := d.named(name[:i])
		if len(upper) == 0 {
			continue
		}
		rest := strings.TrimLeft(name[i:], "/-·")
		lower := d.named(rest)
		if len(lower) == 0 {
			lower = d.findWithin(rest)
		}
		for _, code := range lower {
			if slices.ContainsFunc(upper, func(u string) bool { return d.within(code, u) }) && !slices.Contains(found, code) {
				found = append(found, code)
			}
		}
	}
	return found
}

// named gives the codes of a name of today, or that of an old one.
func (d *Divisions) named(name string) []string {
	if found := d.byName[name]; len(found) > 0 {
		return found
	}
	return d.aliases[name]
}

// within says whether a division lies below another.
func (d *Divisions) within(code, upper string) bool {
	for v := d.byCode[code]; v != nil; v = d.byCode[v.Parent] {
		if v.Parent == upper {
			return true
		}
	}
	return false
}

// shipped holds alias lists of counties by code. 330681: townships that
// older applications still list; each old seat is a village-level unit of
// the township that it is mapped to, and 330681123 is the code that some
// lists give 东白湖镇.
//
//go:embed aliases/*.csv
var shipped embed.FS

// AddShippedAliases gives the divisions the former names that the release
// knows. A name that is in use is not overridden: it means the unit of
// today. Counties without a list get none.
func (d *Divisions) AddShippedAliases() error {
	for i := range d.List {
		if d.List[i].Level != County {
			continue
		}
		data, err := shipped.ReadFile("aliases/" + d.List[i].Code + ".csv")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = d.addAliases(string(data))
		}
		if err != nil {
			return err
		}
	}
	d.index()
	return nil
}

func (d *Divisions) addAliases(data string) error {
	t, err := Read(strings.NewReader(data), int64(len(data)), Options{})
	if err != nil {
		return err
	}
	for r, err := range t.Rows() {
		if err != nil {
			return err
		}
		alias, code := r.Cells[0].Text, r.Cells[1].Text
		if v := d.byCode[code]; v != nil && !slices.Contains(v.Aliases, alias) {
			v.Aliases = append(v.Aliases, alias)
		}
	}
	return nil
}

// Rows are the divisions as a table: what ReadDivisions reads.
func (d *Divisions) Rows() Output {
	return func(yield func([]Cell, error) bool) {
		for _, v := range d.List {
			if !yield(v.Cells(), nil) {
				return
			}
		}
	}
}

// Cells are one row under DivisionHeader.
func (v *Division) Cells() []Cell {
	cells := []Cell{{Text: v.Code}, {Text: v.Name}, {Text: string(v.Level)}, {Text: v.Parent}, {}, {}, {Text: v.Abbr}, {Text: strings.Join(v.Aliases, listMark)}}
	if v.HasPoint {
		cells[4] = Cell{Text: FormatDegrees(v.Lng), Kind: Number}
		cells[5] = Cell{Text: FormatDegrees(v.Lat), Kind: Number}
	}
	return cells
}

// DivisionHeader is the header of Rows.
func DivisionHeader() []string {
	return []string{"code", "name", "level", "parent", "lng", "lat", "abbr", "aliases"}
}
