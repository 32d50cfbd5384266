package service

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
	"github.com/fengqiao/fengqiao/node/sheet"
)

// list is a table that the box takes and gives: old matters of a kind,
// people, stations, committees, rosters. Taking a row and giving a record
// are inverse, so that an export can be imported again.
type list struct {
	id     string // of the interface
	title  domain.Text
	def    *domain.Definition
	step   *domain.Step // that creates a row's record
	fields []sheet.Field
	// row turns converted values into input. What is wrong is told by
	// field.
	row func(in *intake, values map[string]any, wrong *InputError) Input
	// values are what row reads, nil for a record that is not of the list.
	values func(r *domain.Record) (map[string]any, error)
}

// Lists besides the kinds of matters.
const (
	listPeople     = "people"
	listStations   = "stations"
	listCommittees = "committees"
	listRosters    = "rosters"
)

var masterLists = []string{listStations, listCommittees, listPeople, listRosters}

// intake is the state of one walk over a table: what it has met so far.
type intake struct {
	box    *Box
	p      *policy
	seen   map[string]int // key → row
	number int            // of the row at hand
	places *sheet.Divisions
	mapped sheet.Mapping
	people map[string][]string
}

func (b *Box) newIntake(p *policy, mapped sheet.Mapping) *intake {
	return &intake{box: b, p: p, seen: map[string]int{}, places: p.places(), mapped: mapped}
}

// once refuses a value that an earlier row has.
func (in *intake) once(wrong *InputError, field, value string) {
	if first, twice := in.seen[field+"\x00"+value]; twice && value != "" {
		wrong.add(field, "twice", fmt.Sprintf("与第 %d 行重复", first), fmt.Sprintf("Stands in row %d already.", first))
		return
	}
	in.seen[field+"\x00"+value] = in.number
}

// listOf finds a list by its id. header sizes the columns of repeated
// groups.
func (b *Box) listOf(p *policy, id string, header []string) (*list, error) {
	kind, step := id, stepImport
	switch id {
	case listPeople:
		kind, step = kindAccount, "create"
	case listStations, listCommittees:
		kind, step = kindOrganisation, "create"
	case listRosters:
		kind, step = kindShift, "plan"
	}
	def, _, ok := p.kind(kind)
	if !ok {
		return nil, ErrUnknownKind
	}
	create, ok := createStep(def, step)
	if !ok {
		return nil, ErrUnknownKind
	}
	l := &list{id: id, def: def, step: create}
	switch id {
	case listPeople:
		b.peopleList(l)
	case listStations, listCommittees:
		b.organisationList(l)
	case listRosters:
		b.rosterList(l)
	default:
		b.matterList(l, header)
	}
	return l, nil
}

// may reports whether a caller may bring the list.
func (l *list) may(c Caller) bool {
	return slices.ContainsFunc(c.Grants, func(g domain.Grant) bool { return slices.Contains(l.step.Roles, g.Role) })
}

// lists are those that a caller may bring.
func (b *Box) lists(c Caller) []*list {
	p := b.policy.Load()
	var out []*list
	for _, id := range append(p.matterKinds(), masterLists...) {
		if l, err := b.listOf(p, id, nil); err == nil && l.may(c) {
			out = append(out, l)
		}
	}
	return out
}

// fieldOf describes a field of the list's kind as a column.
func (b *Box) fieldOf(def *domain.Definition, f *domain.Field, synonyms ...string) (sheet.Field, bool) {
	var codes []domain.Code
	if t, ok := b.embedded.TableOf(def, f.Table); ok {
		for _, r := range t.Rows() {
			codes = append(codes, r.Code)
		}
	}
	out, ok := sheet.FieldOf(f, codes)
	out.Synonyms = synonyms
	switch {
	case f.Type == domain.TypeAccount:
		out.Type, ok = sheet.TypeText, true
	case f.Table == "accounts":
		out.Type, ok = sheet.TypeWords, true
	}
	return out, ok
}

func (l *list) pick(b *Box, key string, synonyms ...string) *sheet.Field {
	f, ok := l.def.FieldAt(key)
	if !ok {
		panic("service: kind " + l.def.ID + " has no field " + key) // an embedded kind, tested
	}
	out, _ := b.fieldOf(l.def, f, synonyms...)
	l.fields = append(l.fields, out)
	return &l.fields[len(l.fields)-1]
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func words(v any) []string {
	s, _ := v.([]string)
	return s
}

// peopleList: accounts with a business role. The three administrators are
// named at the founding and by one another, never by a list, and no list
// holds a password.
func (b *Box) peopleList(l *list) {
	l.title = domain.Text{ZH: "人员", EN: "People"}
	l.pick(b, "username", "用户名", "账号")
	l.pick(b, "name", "人员姓名")
	l.pick(b, "phone", "电话", "手机号", "联系电话")
	l.pick(b, "post", "岗位")
	role := sheet.Field{Key: "role", Title: domain.Text{ZH: "角色", EN: "Role"}, Required: true, Type: sheet.TypeCodes,
		Codes: []domain.Code{{Code: domain.RoleDutyOfficer, ZH: "值班员", EN: "Duty"}, {Code: domain.RoleLeader, ZH: "带班领导", EN: "Duty leader"}}}
	if t, ok := b.embedded.Table("role"); ok {
		for _, r := range t.Rows() {
			if !r.Hidden && !domain.Excludes(r.Code.Code, domain.RoleLeader) {
				role.Codes = append(role.Codes, r.Code)
			}
		}
	}
	l.fields = append(l.fields, role, sheet.Field{Key: "organisation", Title: domain.Text{ZH: "单位", EN: "Organisation"}, Required: true, Type: sheet.TypeOrgs,
		Synonyms: []string{"所属单位", "所在单位", "村社", "所属村社", "机构"}})
	l.row = personRow
	l.values = b.personValues
}

func personRow(in *intake, v map[string]any, wrong *InputError) Input {
	username := strings.ToLower(text(v["username"]))
	checkUsername(wrong, "username", username)
	if _, taken := in.p.usernames[username]; taken {
		wrong.add("username", "taken", "登录名已有人使用，请换一个", "The user name is taken. Choose another.")
	}
	in.once(wrong, "username", username)
	roles, orgs := words(v["role"]), words(v["organisation"])
	if len(orgs) != 1 && len(orgs) != len(roles) {
		wrong.add("organisation", "one_each", "单位应写一个，或与角色一一对应", "Give one organisation, or one for each role in the same order.")
		return Input{}
	}
	var grants []domain.Grant
	for i, role := range roles {
		grants = append(grants, domain.Grant{Role: role, Organisation: orgs[min(i, len(orgs)-1)]})
	}
	in.p.checkGrants(wrong, grants)
	fields := map[string]any{"username": username, "name": v["name"], "grants": grantTexts(grants), "must_change": true}
	for _, key := range []string{"phone", "post"} {
		if v[key] != nil {
			fields[key] = v[key]
		}
	}
	return Input{Fields: fields}
}

func (b *Box) personValues(r *domain.Record) (map[string]any, error) {
	if r.State != "active" || r.Text("username") == breakGlassUser {
		return nil, nil
	}
	var roles, orgs []string
	for _, g := range r.List("grants") {
		role, org, _ := strings.Cut(g, "@")
		if domain.Excludes(role, domain.RoleDutyOfficer) {
			return nil, nil
		}
		roles, orgs = append(roles, role), append(orgs, org)
	}
	if !slices.ContainsFunc(orgs, func(o string) bool { return o != orgs[0] }) {
		orgs = orgs[:min(len(orgs), 1)]
	}
	v, err := b.plainValues(r, "username", "name", "phone", "post")
	v["role"], v["organisation"] = roles, orgs
	return v, err
}

// organisationList: stations and grids under the township, or mediation
// committees. Who mediates for a committee stands in the list of people, as
// a role held at it.
func (b *Box) organisationList(l *list) {
	levels := []string{domain.LevelStation, domain.LevelGrid}
	l.title = domain.Text{ZH: "站办所和网格", EN: "Stations and grids"}
	if l.id == listCommittees {
		levels = []string{domain.LevelCommittee}
		l.title = domain.Text{ZH: "调解委员会", EN: "Mediation committees"}
	}
	keys := []string{"code", "name"}
	l.pick(b, "code", "代码", "编码")
	l.pick(b, "name", "机构名称", "单位名称", "站所名称", "网格名称", "调委会名称")
	if l.id == listStations {
		f := l.pick(b, "level", "类别", "类型", "级别")
		f.Required = false
		f.Codes = slices.DeleteFunc(f.Codes, func(c domain.Code) bool { return !slices.Contains(levels, c.Code) })
		l.pick(b, "grid_kind")
		l.pick(b, "households")
		l.pick(b, "population")
		keys = append(keys, "level", "grid_kind", "households", "population")
	}
	parent := l.pick(b, "parent", "上级", "所属乡镇", "所属单位", "所属村社")
	parent.Required = true
	abbr := l.pick(b, "abbr", "调委会简称", "案号简称")
	abbr.Required = l.id == listCommittees
	if l.id == listCommittees {
		l.pick(b, "specialities")
		keys = append(keys, "specialities")
	}
	l.pick(b, "phone", "电话", "联系电话")
	l.pick(b, "point", "坐标", "经纬度")
	l.pick(b, "aliases", "旧名称", "原名称")
	keys = append(keys, "parent", "abbr", "phone", "aliases")
	l.row = func(in *intake, v map[string]any, wrong *InputError) Input {
		return organisationRow(in, v, levels[0], wrong)
	}
	l.values = func(r *domain.Record) (map[string]any, error) {
		if r.State != "active" || !slices.Contains(levels, r.Text("level")) {
			return nil, nil
		}
		v, err := b.plainValues(r, keys...)
		if r.Has("point/lng") {
			v["point"] = sheet.Point{Lng: r.Int("point/lng"), Lat: r.Int("point/lat")}
		}
		return v, err
	}
}

func organisationRow(in *intake, v map[string]any, level string, wrong *InputError) Input {
	code := text(v["code"])
	switch {
	case in.p.codeTaken(code):
		wrong.add("code", "taken", "代码已经使用，请删去这一行或换一个代码", "The code is in use. Remove the row or choose another code.")
	case strings.ContainsAny(code, "@|/ ") || len(code) < 3:
		wrong.add("code", "bad_code", "代码至少 3 位，用字母、数字和横线，如 330681109-S01", "A code has at least 3 letters, digits or dashes, such as 330681109-S01.")
	}
	in.once(wrong, "code", code)
	parents := in.places.Find(text(v["parent"]))
	switch {
	case len(parents) == 1 && !domain.Within(in.p, parents[0], in.box.Organisation()):
		wrong.add("parent", "foreign_org", "上级机构不在本机所属的范围内", "The parent does not belong to this box.")
	case len(parents) == 1:
		v["parent"] = parents[0]
	case in.seen["code\x00"+text(v["parent"])] == 0 || text(v["parent"]) == code:
		wrong.add("parent", "unknown_org", "没有找到上级机构，请写全称或代码；同一文件中的上级应排在前面", "There is no such parent. Write its full name or code; a parent in the same file stands before.")
	}
	if _, given := v["level"]; !given {
		v["level"] = level
	}
	if p, ok := v["point"].(sheet.Point); ok {
		v["point"] = map[string]any{"lng": p.Lng, "lat": p.Lat}
	}
	return Input{Fields: v}
}

// codeTaken also counts codes of an import that is not done yet.
func (p *policy) codeTaken(code string) bool {
	if _, ok := p.organisations[code]; ok {
		return true
	}
	for _, r := range p.held {
		if r.Definition.ID == kindOrganisation && r.Text("code") == code {
			return true
		}
	}
	return false
}

// slotHours are the hours of the shifts as the table of slots names them;
// reinforced duty has none of its own.
var slotHours = map[string]struct{ start, length time.Duration }{
	"day":   {8 * time.Hour, 9 * time.Hour},
	"night": {17 * time.Hour, 15 * time.Hour},
	"full":  {8*time.Hour + 30*time.Minute, 24 * time.Hour},
}

// rosterList: shifts that are planned.
func (b *Box) rosterList(l *list) {
	l.title = domain.Text{ZH: "排班表", EN: "Roster"}
	l.pick(b, "date", "值班日期")
	slot := l.pick(b, "slot", "班别", "值班时段")
	slot.Codes = append([]domain.Code{{Code: "day", ZH: "白班", EN: "Day"}, {Code: "night", ZH: "夜班", EN: "Night"}, {Code: "full", ZH: "全天", EN: "Whole day"}}, slot.Codes...)
	for _, key := range []string{"start", "end"} {
		l.pick(b, key).Required = false
	}
	l.pick(b, "leader", "带班人", "值班领导")
	l.pick(b, "assigned", "值班员", "值班人")
	l.pick(b, "phone", "电话")
	l.row = rosterRow
	l.values = func(r *domain.Record) (map[string]any, error) {
		if r.State != "planned" {
			return nil, nil
		}
		v, err := b.plainValues(r, "date", "slot", "start", "end", "phone")
		v["leader"] = b.usernameOf(r.Text("leader"))
		v["assigned"] = b.usernamesOf(r.List("assigned"))
		return v, err
	}
}

func rosterRow(in *intake, v map[string]any, wrong *InputError) Input {
	date, slot := text(v["date"]), text(v["slot"])
	in.once(wrong, "slot", date+" "+slot)
	if in.planned(date, slot) {
		wrong.add("slot", "taken", "这一天的这个班次已经排过，请删去这一行", "This shift is planned already. Remove the row.")
	}
	day, err := time.ParseInLocation(time.DateOnly, date, local)
	hours, known := slotHours[slot]
	switch {
	case err != nil: // told by its column
	case v["start"] == nil && v["end"] == nil && known:
		start := day.Add(hours.start)
		v["start"], v["end"] = start.UnixMilli(), start.Add(hours.length).UnixMilli()
	case v["start"] == nil || v["end"] == nil:
		wrong.add("start", "required", "请填写开始和结束时间", "Give the start and the end.")
	case v["end"].(int64) <= v["start"].(int64) || v["end"].(int64)-v["start"].(int64) > 48*time.Hour.Milliseconds():
		wrong.add("end", "bad_period", "结束时间应在开始之后 48 小时内", "The end must be within 48 hours after the start.")
	}
	in.accounts(v, wrong, "leader", "assigned")
	return Input{Fields: v}
}

// planned reports a shift that stands in the plan.
func (in *intake) planned(date, slot string) bool {
	day, err := time.ParseInLocation(time.DateOnly, date, local)
	if err != nil {
		return false
	}
	shifts, err := in.box.shifts(day.UnixMilli(), day.AddDate(0, 0, 2).UnixMilli())
	return err == nil && slices.ContainsFunc(shifts, func(r *domain.Record) bool { return r.Text("date") == date && r.Text("slot") == slot })
}

// accounts replaces login names, or names that one person alone has, by
// accounts.
func (in *intake) accounts(v map[string]any, wrong *InputError, keys ...string) {
	for _, key := range keys {
		switch names := v[key].(type) {
		case string:
			v[key] = in.account(wrong, key, names)
		case []string:
			ids := make([]string, len(names))
			for i, n := range names {
				ids[i] = in.account(wrong, key, n)
			}
			v[key] = ids
		}
	}
}

func (in *intake) account(wrong *InputError, key, name string) string {
	if id, ok := in.p.usernames[strings.ToLower(name)]; ok && in.p.accounts[id] != nil {
		return id.String()
	}
	if in.people == nil {
		in.people = map[string][]string{}
		for id, acc := range in.p.accounts {
			if acc.active() {
				full := in.box.nameOf(id)
				in.people[full] = append(in.people[full], id.String())
			}
		}
	}
	found := in.people[name]
	switch len(found) {
	case 1:
		return found[0]
	case 0:
		wrong.add(key, "unknown_person", "没有账号“"+clip(name)+"”，请写登录名，或先导入人员", "There is no such account. Write the user name, or import people first.")
	default:
		wrong.add(key, "ambiguous_person", "有几个人都叫“"+clip(name)+"”，请写登录名", "Several people have this name. Write the user name.")
	}
	return ""
}

func (b *Box) usernameOf(id string) string {
	rid, err := envelope.ParseRecordID(id)
	if acc := b.policy.Load().accounts[rid]; err == nil && acc != nil {
		return acc.Username
	}
	return id
}

func (b *Box) usernamesOf(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = b.usernameOf(id)
	}
	return out
}

// matterList: old matters of a kind that has a step import.
func (b *Box) matterList(l *list, header []string) {
	l.title = l.def.Title
	l.fields = append(l.fields, sheet.Field{Key: numberColumn, Title: domain.Text{ZH: "编号", EN: "Number"}, Synonyms: []string{"案号", "案件编号", "事件编号"}, Type: sheet.TypeText, Max: 60})
	var people []string
	for i := range l.def.Fields {
		f := &l.def.Fields[i]
		if f.Type == domain.TypeGroup {
			for n := range groupItems(f, header) {
				l.item(b, f, n)
			}
			continue
		}
		column, ok := b.fieldOf(l.def, f)
		if !ok {
			continue
		}
		column.Required = column.Required && !importedSource(column.Codes)
		l.fields = append(l.fields, column)
		if f.Type == domain.TypeAccount || f.Table == "accounts" {
			people = append(people, f.Key)
		}
	}
	l.row = func(in *intake, v map[string]any, wrong *InputError) Input { return matterRow(in, l, v, people, wrong) }
	l.values = func(r *domain.Record) (map[string]any, error) { return b.matterValues(l, r, people) }
}

// defaultItems is how many entries of a group get columns of their own when
// a table does not ask for more.
const defaultItems = 2

// groupItems counts the numbered columns of a group in a header.
func groupItems(f *domain.Field, header []string) int {
	n := defaultItems
	for slices.ContainsFunc(header, func(h string) bool { return strings.Contains(h, f.Title.ZH+strconv.Itoa(n+1)) }) {
		n++
	}
	return n
}

// item gives columns to the n-th entry of a group: 当事人1姓名 and so on.
func (l *list) item(b *Box, group *domain.Field, n int) {
	for i := range group.Fields {
		f, ok := b.fieldOf(l.def, &group.Fields[i])
		if !ok {
			continue
		}
		f.Key = fmt.Sprintf("%s/%d/%s", group.Key, n, f.Key)
		f.Title = domain.Text{ZH: group.Title.ZH + strconv.Itoa(n+1) + f.Title.ZH, EN: fmt.Sprintf("%s %d %s", group.Title.EN, n+1, f.Title.EN)}
		f.Required = false
		if parts := partyNames[group.Key]; n < len(parts) {
			f.Synonyms = []string{parts[n].title + group.Fields[i].Title.ZH}
			if group.Fields[i].Key == "name" {
				f.Synonyms = append(f.Synonyms, parts[n].title, parts[n].title+"姓名")
			}
		}
		l.fields = append(l.fields, f)
	}
}

// partyNames: registers of mediation cases name the two sides instead of
// numbering them (DOMAIN §3.3).
var partyNames = map[string][]struct{ title, role string }{"parties": {{"申请人", "applicant"}, {"被申请人", "respondent"}}}

func matterRow(in *intake, l *list, v map[string]any, people []string, wrong *InputError) Input {
	number := text(v[numberColumn])
	in.once(wrong, numberColumn, foldNumber(number))
	if number != "" && in.box.numberTaken(number) {
		wrong.add(numberColumn, "taken", "编号在本机已经存在，是否重复导入？请删去这一行", "The number stands in the box already. Was the file imported before? Remove the row.")
	}
	in.fillSource(l, v)
	fillRoles(v)
	in.accounts(v, wrong, people...)
	for key, value := range v {
		if p, ok := value.(sheet.Point); ok {
			v[key] = map[string]any{"lng": p.Lng, "lat": p.Lat}
		}
	}
	return Input{Fields: v}
}

// fillRoles gives the two sides of a dispute their roles.
func fillRoles(v map[string]any) {
	for group, parts := range partyNames {
		for n, part := range parts {
			path := fmt.Sprintf("%s/%d/", group, n)
			if v[path+"name"] != nil && v[path+"role"] == nil {
				v[path+"role"] = part.role
			}
		}
	}
}

func (b *Box) numberTaken(number string) bool {
	hits, err := b.store.Scan(keyOf("n", foldNumber(number)), nil, false, 1)
	return err == nil && len(hits) > 0
}

func (b *Box) matterValues(l *list, r *domain.Record, people []string) (map[string]any, error) {
	keys := make([]string, 0, len(l.fields))
	for i := range l.fields {
		if k := l.fields[i].Key; k != numberColumn && l.fields[i].Type != sheet.TypePoint {
			keys = append(keys, k)
		}
	}
	v, err := b.plainValues(r, keys...)
	if err != nil {
		return nil, err
	}
	if r.Number != "" {
		v[numberColumn] = r.Number
	}
	for _, key := range people {
		switch ids := v[key].(type) {
		case string:
			v[key] = b.usernameOf(ids)
		case []string:
			v[key] = b.usernamesOf(ids)
		}
	}
	for i := range l.fields {
		if f := &l.fields[i]; f.Type == sheet.TypePoint {
			if err := b.exactPoint(r, f.Key, v); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// exactPoint reads where a matter is; the open form is snapped to 100 m.
func (b *Box) exactPoint(r *domain.Record, key string, v map[string]any) error {
	got, err := b.plainValues(r, key+"/exact")
	var p sheet.Point
	if n, _ := fmt.Sscanf(text(got[key+"/exact"]), "%d,%d", &p.Lng, &p.Lat); n == 2 {
		v[key] = p
	}
	return err
}

// plainValues opens the named fields of a record; what is not there, or was
// erased, is left out.
func (b *Box) plainValues(r *domain.Record, keys ...string) (map[string]any, error) {
	v := map[string]any{}
	for _, key := range keys {
		if value, ok := r.Open[key]; ok && value != nil {
			v[key] = value
			continue
		}
		f, ok := r.SealedAt(key, seal.Full)
		if !ok {
			continue
		}
		s, err := b.open(r, f)
		switch {
		case err == nil:
			v[key] = s
		case !errors.Is(err, ErrErased):
			return nil, err
		}
	}
	return v, nil
}
