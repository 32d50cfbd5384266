package catalog

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/token"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/domain/clock"
)

// Limits of one definition. They keep records and forms of a size that
// people and the engine can handle.
const (
	maxFields    = 200 // of the kind with its groups and documents
	maxStates    = 60
	maxSteps     = 120
	maxClocks    = 20
	maxDocuments = 40
	maxGates     = 40
	maxInputs    = 20
	maxTables    = 20
	maxCodes     = 1000
	maxDepth     = 6     // of conditions
	maxTextRunes = 10000 // characters of one text; longer matter is attached
	maxItem      = 999   // highest number of an item in a group
)

const (
	tableAccounts = "accounts" // no table of the catalogue: its codes are record ids
	tableAlarms   = "alarm_reason"
)

var key = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// validator collects everything that is wrong with one definition.
type validator struct {
	file     string
	base     *base
	def      *domain.Definition
	places   map[string]*token.Position
	ownSteps int // steps from here on are generic; -1: none are
	errors   Errors
}

// bad notes an error at a path such as steps[2].to.
func (v *validator) bad(path, zh, en string) {
	v.errors = append(v.errors, v.at(v.place(path), zh, en))
}

func (v *validator) at(pos *token.Position, zh, en string) *Error {
	e := &Error{File: v.file, Reason: domain.Text{ZH: zh, EN: en}}
	if pos != nil {
		e.Line, e.Column = pos.Line, pos.Column
	}
	return e
}

// place finds the nearest value that was written; what a generic step gets
// wrong stands at the key generic.
func (v *validator) place(path string) *token.Position {
	var step int
	if n, _ := fmt.Sscanf(path, "steps[%d]", &step); n == 1 && v.ownSteps >= 0 && step >= v.ownSteps {
		path = "generic"
	}
	for path != "" {
		if pos, ok := v.places[path]; ok {
			return pos
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return nil
}

func (v *validator) sorted() Errors {
	slices.SortStableFunc(v.errors, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return v.errors
}

func (v *validator) check() {
	v.head()
	v.tables()
	v.fields()
	v.states()
	v.profiles()
	v.clocks()
	v.documents()
	v.gates()
	v.steps()
	v.flow()
	v.uses()
}

func (v *validator) head() {
	d := v.def
	if envelope.CheckIdentifier(d.ID) != nil || strings.Count(d.ID, "/") > 1 || strings.HasPrefix(d.ID, "/") || strings.HasSuffix(d.ID, "/") {
		v.bad("id", "编号应为字母、数字和下划线，自建种类写作 机构代码/编号", "The id must be letters, digits and underscores; a county's own kind is organisation/kind.")
	}
	if d.Version == 0 {
		v.bad("version", "版本号从 1 开始", "The version starts at 1.")
	}
	if d.Level == 0 || d.Level > envelope.Level {
		v.bad("level", fmt.Sprintf("功能级别应为 1 到 %d;更高的级别需要先升级本机", envelope.Level), fmt.Sprintf("The level must be 1 to %d. A higher one needs a newer release.", envelope.Level))
	}
	v.title("title", d.Title)
	if !slices.Contains(families, d.Family) {
		v.bad("family", "没有这一类别", "There is no such family.")
	}
	v.many("fields", v.countFields(), maxFields)
	v.many("states", len(d.States), maxStates)
	v.many("steps", len(d.Steps), maxSteps)
	v.many("clocks", len(d.Clocks), maxClocks)
	v.many("documents", len(d.Documents), maxDocuments)
	v.many("gates", len(d.Gates), maxGates)
	v.many("tables", len(d.Tables), maxTables)
}

var families = []domain.Family{domain.FamilyEvent, domain.FamilyMediation, domain.FamilyPetition, domain.FamilyNotice,
	domain.FamilyDuty, domain.FamilyMaster, domain.FamilyAccount, domain.FamilySettings}

// publicFamilies may hold labels in the open.
var publicFamilies = []domain.Family{domain.FamilyMaster, domain.FamilyAccount, domain.FamilySettings}

// freeCodes may also hold codes of no table: record ids, grants.
var freeCodes = append(slices.Clone(publicFamilies), domain.FamilyDuty)

func (v *validator) title(path string, t domain.Text) {
	if strings.TrimSpace(t.ZH) == "" || strings.TrimSpace(t.EN) == "" {
		v.bad(path, "需要中文和英文名称", "A Chinese and an English title are needed.")
	}
}

func (v *validator) many(path string, n, limit int) {
	if n > limit {
		v.bad(path, fmt.Sprintf("有 %d 项，最多 %d 项", n, limit), fmt.Sprintf("There are %d, at most %d are allowed.", n, limit))
	}
}

func (v *validator) countFields() int {
	n := 0
	for i := range v.def.Fields {
		n += 1 + len(v.def.Fields[i].Fields)
	}
	for i := range v.def.Documents {
		n += len(v.def.Documents[i].Fields)
	}
	return n
}

// unique checks the form of an id and that it stands once.
func (v *validator) unique(path, id string, seen map[string]bool) {
	if !key.MatchString(id) {
		v.bad(path, "编号 "+id+" 应以小写字母开头，只含小写字母、数字和下划线，最多 40 个", "The id "+id+" must start with a lower-case letter and hold only lower-case letters, digits and underscores, at most 40.")
	}
	if seen[id] {
		v.bad(path, "编号 "+id+" 重复", "The id "+id+" stands twice.")
	}
	seen[id] = true
}

func (v *validator) tables() {
	seen := map[string]bool{}
	for i, t := range v.def.Tables {
		path := fmt.Sprintf("tables[%d]", i)
		v.unique(path+".id", t.ID, seen)
		v.title(path+".title", t.Title)
		v.many(path+".codes", len(t.Codes), maxCodes)
		if _, err := newTable(t); err != nil {
			v.bad(path+".codes", "代码表有误：每项需要不重复的代码和中英文名称，上级在前", "The table is wrong: "+err.Error()+".")
		}
	}
}

// codes finds the codes of a table, the kind's own first.
func (v *validator) codes(table string) (map[string]bool, bool) {
	if own, ok := v.def.Table(table); ok {
		out := map[string]bool{}
		for _, c := range own.Codes {
			out[c.Code] = true
		}
		return out, true
	}
	t, ok := v.base.tables[table]
	if !ok {
		return nil, false
	}
	out := map[string]bool{}
	for code := range t.rows {
		out[code] = true
	}
	return out, true
}

func (v *validator) fields() {
	seen := map[string]bool{"documents": true}
	for i := range v.def.Fields {
		f := &v.def.Fields[i]
		path := fmt.Sprintf("fields[%d]", i)
		v.unique(path+".key", f.Key, seen)
		v.field(path, f, f.Key)
	}
}

// field checks one field; stored is the longest path of its values.
func (v *validator) field(path string, f *domain.Field, stored string) {
	v.title(path+".title", f.Title)
	if f.Type == domain.TypeGroup {
		v.group(path, f)
		return
	}
	if !slices.Contains(fieldTypes, f.Type) {
		v.bad(path+".type", "没有字段类型 "+string(f.Type), "There is no field type "+string(f.Type)+".")
		return
	}
	if len(f.Fields) > 0 {
		v.bad(path+".fields", "只有成组字段可以含有字段", "Only a group has fields of its own.")
	}
	if envelope.CheckPath(stored) != nil || len(stored)+len("/exact") > envelope.MaxPath {
		v.bad(path+".key", fmt.Sprintf("完整路径超过 %d 字节，请缩短编号", envelope.MaxPath), fmt.Sprintf("The whole path exceeds %d bytes. Use shorter keys.", envelope.MaxPath))
	}
	v.privacy(path, f)
	v.tableOf(path, f)
	v.bounds(path, f)
}

var fieldTypes = []domain.FieldType{domain.TypeText, domain.TypeCode, domain.TypeCodes, domain.TypeOrg, domain.TypeOrgs,
	domain.TypeAccount, domain.TypeInt, domain.TypeMoney, domain.TypeBool, domain.TypeDate, domain.TypeTime, domain.TypePoint,
	domain.TypeLabel, domain.TypeLabels}

func (v *validator) group(path string, f *domain.Field) {
	if f.Max < 1 || f.Max > maxItem+1 {
		v.bad(path, fmt.Sprintf("成组字段需要 max,1 到 %d", maxItem+1), fmt.Sprintf("A group needs max, 1 to %d.", maxItem+1))
	}
	if len(f.Fields) == 0 {
		v.bad(path, "成组字段至少含一个字段", "A group needs at least one field.")
	}
	seen := map[string]bool{}
	for i := range f.Fields {
		sub := &f.Fields[i]
		at := fmt.Sprintf("%s.fields[%d]", path, i)
		v.unique(at+".key", sub.Key, seen)
		if sub.Type == domain.TypeGroup {
			v.bad(at+".type", "成组字段不能再含成组字段", "A group cannot hold a group.")
			continue
		}
		v.field(at, sub, fmt.Sprintf("%s/%d/%s", f.Key, maxItem, sub.Key))
	}
}

var masks = []domain.Mask{domain.MaskName, domain.MaskIDCard, domain.MaskPhone, domain.MaskLandline, domain.MaskAddress, domain.MaskAccount}

func (v *validator) privacy(path string, f *domain.Field) {
	switch {
	case f.Type == domain.TypePoint:
		if f.Sensitivity != domain.SenseOpen && f.Sensitivity != domain.SenseTeam {
			v.bad(path+".sensitivity", "坐标只能是 team 或不填", "A point is team or has no sensitivity.")
		}
	case f.Type != domain.TypeText:
		if f.Sensitivity != domain.SenseOpen || f.Mask != "" {
			v.bad(path, "只有文字字段可以设密级和脱敏方式，其他字段以明码保存", "Only text has a sensitivity and a mask; other values are stored in the open.")
		}
	case f.Sensitivity == domain.SenseOpen:
		v.bad(path, "文字字段必须写明密级 sensitivity:team、identity 或 secret", "A text needs a sensitivity: team, identity or secret.")
	case !slices.Contains([]domain.Sensitivity{domain.SenseTeam, domain.SenseIdentity, domain.SenseSecret}, f.Sensitivity):
		v.bad(path+".sensitivity", "没有这一密级", "There is no such sensitivity.")
	case f.Sensitivity == domain.SenseIdentity && f.Mask == "":
		v.bad(path, "身份信息必须写明脱敏方式 mask", "An identity value needs a mask.")
	case f.Mask != "" && !slices.Contains(masks, f.Mask):
		v.bad(path+".mask", "没有这种脱敏方式", "There is no such mask.")
	}
	public := f.Type == domain.TypeLabel || f.Type == domain.TypeLabels
	if public && !slices.Contains(publicFamilies, v.def.Family) {
		v.bad(path+".type", "公开短语只用于主数据、账号和设置，其他种类请用 text", "Labels are only for master data, accounts and settings. Use text.")
	}
}

func (v *validator) tableOf(path string, f *domain.Field) {
	coded := f.Type == domain.TypeCode || f.Type == domain.TypeCodes
	switch {
	case !coded && f.Table != "":
		v.bad(path+".table", "只有代码字段可以指定代码表", "Only a code has a table.")
	case coded && f.Table == "" && !slices.Contains(freeCodes, v.def.Family):
		v.bad(path, "代码字段必须指定代码表 table", "A code needs a table.")
	case coded && f.Table != "" && f.Table != tableAccounts:
		codes, ok := v.codes(f.Table)
		if !ok {
			v.bad(path+".table", "没有代码表 "+f.Table, "There is no code table "+f.Table+".")
		} else if f.Default != "" && !codes[f.Default] {
			v.bad(path+".default", "默认值不在代码表中", "The default is not in the table.")
		}
	}
}

func (v *validator) bounds(path string, f *domain.Field) {
	limit := int64(0)
	switch f.Type {
	case domain.TypeText:
		limit = maxTextRunes
	case domain.TypeLabel:
		limit = domain.MaxLabel
	case domain.TypeCodes, domain.TypeOrgs, domain.TypeLabels:
		limit = envelope.MaxList
	}
	if f.Max < 0 || limit > 0 && f.Max > limit {
		v.bad(path+".max", fmt.Sprintf("上限应在 %d 以内", limit), fmt.Sprintf("The maximum must be at most %d.", limit))
	}
	if f.Max != 0 && f.Min > f.Max {
		v.bad(path+".min", "下限大于上限", "The minimum exceeds the maximum.")
	}
	numeric := f.Type == domain.TypeInt || f.Type == domain.TypeMoney
	if numeric && f.Max == 0 {
		v.bad(path, "数字字段需要上限 max", "A number needs a maximum.")
	}
}

func (v *validator) states() {
	if len(v.def.States) == 0 {
		v.bad("states", "至少需要一个状态", "At least one state is needed.")
	}
	seen := map[string]bool{}
	for i, s := range v.def.States {
		path := fmt.Sprintf("states[%d]", i)
		v.unique(path+".id", s.ID, seen)
		v.title(path+".title", s.Title)
		if !slices.Contains([]string{"", "neutral", "active", "good", "bad"}, s.Tone) {
			v.bad(path+".tone", "色调只能是 neutral、active、good、bad", "The tone is neutral, active, good or bad.")
		}
	}
}

// profiles checks the deadlines that a county sets for itself.
func (v *validator) profiles() {
	v.many("profiles", len(v.def.Profiles), maxClocks)
	seen := map[string]bool{}
	for i, p := range v.def.Profiles {
		path := fmt.Sprintf("profiles[%d]", i)
		v.unique(path+".id", p.ID, seen)
		v.title(path+".title", p.Title)
		if _, ok := p.Rules["default"]; !ok {
			v.bad(path, "时限方案需要 default 一行", "A profile needs a row default.")
		}
		if _, err := profileOf(p); err != nil {
			v.bad(path, "时限方案有误：期限写作 5wd、3h，提醒写作 60%，红牌写作 100% 或 +2wd，且依次递增", "The profile is wrong: "+err.Error()+".")
		}
	}
}

func (v *validator) clocks() {
	seen := map[string]bool{}
	for i, c := range v.def.Clocks {
		path := fmt.Sprintf("clocks[%d]", i)
		v.unique(path+".id", c.ID, seen)
		v.title(path+".title", c.Title)
		if !v.base.profile(c.Profile) && !v.def.HasProfile(c.Profile) {
			v.bad(cmp.Or(path+".profile", path), "没有时限方案 "+c.Profile, "There is no clock profile "+c.Profile+".")
		}
		v.codeField(path+".urgency", c.Urgency)
		v.codeField(path+".profile_field", c.ProfileField)
		if s, ok := v.def.Step(c.Then); c.Then != "" && (!ok || !slices.Contains(s.Roles, domain.RoleBox)) {
			v.bad(path+".then", "没有本机可以执行的步骤 "+c.Then, "There is no step "+c.Then+" that the box may take.")
		}
		if c.When != nil {
			v.condition(path+".when", *c.When, nil, 0)
		}
		v.dateField(path+".since", c.Since)
		v.dateField(path+".until", c.Until)
		if _, err := clock.ParseLimit(c.Longest); c.Longest != "" && (err != nil || c.Extensions == 0) {
			v.bad(path+".longest", "延期上限应写作 30d、5wd，且该时限可以延期", "The longest extension is written 30d or 5wd, for a clock that may be extended.")
		}
		if c.Extensions < 0 || c.Extensions > 10 {
			v.bad(path+".extensions", "延期次数应为 0 到 10", "Extensions are 0 to 10.")
		}
		started := slices.ContainsFunc(v.def.Steps, func(s domain.Step) bool { return slices.Contains(s.Start, c.ID) })
		stopped := slices.ContainsFunc(v.def.Steps, func(s domain.Step) bool { return slices.Contains(s.Stop, c.ID) })
		issued := slices.ContainsFunc(v.def.Steps, func(s domain.Step) bool {
			return s.Effect == domain.IssueCard && slices.Contains(s.Roles, domain.RoleBox)
		})
		if c.Cards && !issued {
			v.bad(path, "时限 "+c.ID+" 要亮牌，但没有本机可以执行的亮牌步骤，请加入通用步骤 card", "The clock "+c.ID+" brings cards, but no step issues them for the box. Take the generic step card.")
		}
		if !started || !stopped {
			v.bad(path, "没有步骤启动或停止时限 "+c.ID, "No step starts or stops the clock "+c.ID+".")
		}
	}
}

// codeField checks the name of a top-level code field; empty is fine.
func (v *validator) codeField(path, name string) {
	if name == "" {
		return
	}
	f, ok := v.def.FieldAt(name)
	if !ok || f.Type != domain.TypeCode {
		v.bad(path, name+" 不是代码字段", name+" is not a code field.")
	}
}

// dateField checks the name of a top-level date or time; empty is fine.
func (v *validator) dateField(path, name string) {
	if name == "" {
		return
	}
	f, ok := v.def.FieldAt(name)
	if !ok || f.Type != domain.TypeDate && f.Type != domain.TypeTime {
		v.bad(path, name+" 不是日期或时间字段", name+" is not a date or time field.")
	}
}

func (v *validator) documents() {
	seen, numbers := map[string]bool{}, map[int]bool{}
	for i := range v.def.Documents {
		d := &v.def.Documents[i]
		path := fmt.Sprintf("documents[%d]", i)
		v.unique(path+".id", d.ID, seen)
		v.title(path+".title", d.Title)
		if d.No < 1 || d.No > 99 {
			v.bad(path, "卷内序号 no 应为 1 到 99", "The number no must be 1 to 99.")
		}
		numbers[d.No] = true
		v.template(path+".paper", d.Paper)
		keys := map[string]bool{}
		for n := range d.Fields {
			f := &d.Fields[n]
			at := fmt.Sprintf("%s.fields[%d]", path, n)
			v.unique(at+".key", f.Key, keys)
			if f.Type == domain.TypeGroup {
				v.bad(at+".type", "文书不能含成组字段", "A document cannot hold a group.")
				continue
			}
			v.field(at, f, fmt.Sprintf("documents/%s/%d/%s", d.ID, maxItem, f.Key))
		}
	}
}

func (v *validator) template(path, id string) {
	if id == "" {
		return
	}
	if !slices.ContainsFunc(v.base.papers, func(p PaperTemplate) bool { return p.ID == id }) {
		v.bad(path, "没有文书模板 "+id, "There is no paper template "+id+".")
	}
}

// uses checks what the rest of the kind names.
func (v *validator) uses() {
	d := v.def
	for i, p := range d.Papers {
		path := fmt.Sprintf("papers[%d]", i)
		v.title(path+".title", p.Title)
		v.template(path+".template", p.Template)
		v.statesKnown(path+".states", p.States)
	}
	for i, name := range d.Columns {
		if !slices.Contains(builtinColumns, name) {
			v.fieldKnown(fmt.Sprintf("columns[%d]", i), name)
		}
	}
	for i, name := range d.Heading {
		path := fmt.Sprintf("heading[%d]", i)
		if f, ok := d.FieldAt(name); ok && f.Sealed() {
			v.bad(path, "摘要只能由代码字段组成，不能含文字 "+name, "The heading is made of codes, not of text such as "+name+".")
		}
		v.fieldKnown(path, name)
	}
	v.codeField("search.type", d.Search.Type)
	v.codeField("search.outcome", d.Search.Outcome)
	for i, list := range [][]string{d.Search.Names, d.Search.Hashes, d.Search.Text} {
		for n, name := range list {
			v.fieldKnown(fmt.Sprintf("search.%s[%d]", []string{"names", "hashes", "text"}[i], n), strings.ReplaceAll(name, "*", "0"))
		}
	}
	if d.Restricted != nil {
		v.condition("restricted", *d.Restricted, nil, 0)
	}
	if n := d.Number; n != nil {
		v.number(n)
	}
	v.many("alarms", len(d.Alarms), maxGates)
	for i, a := range d.Alarms {
		v.alarm(fmt.Sprintf("alarms[%d]", i), a)
	}
}

func (v *validator) alarm(path string, a domain.AlarmRule) {
	if _, ok := v.def.Step(a.Step); !ok {
		v.bad(path+".step", "没有步骤 "+a.Step, "There is no step "+a.Step+".")
	}
	if codes, _ := v.codes(tableAlarms); !codes[a.Reason] {
		v.bad(path+".reason", "没有告警原因 "+a.Reason, "There is no reason "+a.Reason+" for an alarm.")
	}
	if a.Level < 1 || a.Level > 4 {
		v.bad(path+".level", "告警级别为 1 到 4", "The level of an alarm is 1 to 4.")
	}
	v.condition(path+".when", a.When, nil, 0)
}

// builtinColumns are values that every record has.
var builtinColumns = []string{"number", "state", "holder", "reporter", "created", "changed", "due", "custodian", "card"}

var patternParts = regexp.MustCompile(`\{(abbr|year|seq(:[3-8])?)\}`)

func (v *validator) number(n *domain.NumberRule) {
	for i, step := range append([]string{n.Step}, n.Also...) {
		if _, ok := v.def.Step(step); !ok {
			path := "number.step"
			if i > 0 {
				path = fmt.Sprintf("number.also[%d]", i-1)
			}
			v.bad(path, "没有步骤 "+step, "There is no step "+step+".")
		}
	}
	if !strings.Contains(n.Pattern, "{seq") || strings.ContainsAny(patternParts.ReplaceAllString(n.Pattern, ""), "{}") {
		v.bad("number.pattern", "编号格式由 {abbr}、{year} 和 {seq:4} 组成，必须含序号", "The pattern knows {abbr}, {year} and {seq:4} and needs the sequence.")
	}
	for i, per := range n.Per {
		f, ok := v.def.FieldAt(per)
		if per != "year" && (!ok || f.Type != domain.TypeOrg) {
			v.bad(fmt.Sprintf("number.per[%d]", i), "序号按年 (year) 或机构字段重新开始", "The sequence restarts per year or per organisation field.")
		}
	}
}

func (v *validator) fieldKnown(path, name string) {
	if _, ok := v.def.FieldAt(name); ok {
		return
	}
	for i := range v.def.Fields {
		if v.def.Fields[i].Key == name {
			return
		}
	}
	v.bad(path, "没有字段 "+name, "There is no field "+name+".")
}

func (v *validator) statesKnown(path string, ids []string) {
	for i, id := range ids {
		if _, ok := v.def.State(id); !ok {
			v.bad(fmt.Sprintf("%s[%d]", path, i), "没有状态 "+id, "There is no state "+id+".")
		}
	}
}
