package service

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/domain/clock"
)

// Input is what a person gives with a step: values by field path, the
// reserved inputs without their underscore, and a note.
type Input struct {
	Fields map[string]any
	Inputs map[string]any
	Note   string
}

const (
	maxNote     = 4000 // characters
	pointSnap   = 1000 // 1e-6 degree: about 100 m
	earliestDay = "1949-10-01"
)

// values is an Input in the types of an operation.
type values struct {
	open map[string]any
	text []textValue // to be sealed
}

type textValue struct {
	path  string
	value string
	mask  domain.Mask
}

// reader turns input into typed values and collects what is wrong.
type reader struct {
	p     *policy
	box   *Box
	def   *domain.Definition
	now   time.Time
	out   values
	wrong InputError
}

func (b *Box) readInput(p *policy, def *domain.Definition, step *domain.Step, in Input) (values, error) {
	now, _ := b.clock.Now()
	rd := &reader{p: p, box: b, def: def, now: time.UnixMilli(now), out: values{open: map[string]any{}}}
	for _, path := range sortedKeys(in.Fields) {
		field, ok := def.FieldAt(path)
		if !ok {
			rd.wrong.add(path, "unknown_field", "没有这个字段", "There is no such field.")
			continue
		}
		rd.value(path, field, in.Fields[path])
	}
	for _, name := range sortedKeys(in.Inputs) {
		rd.input(step, name, in.Inputs[name])
	}
	rd.note(step, in.Note)
	return rd.out, rd.wrong.orNil()
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// value reads one field. nil and "" clear it.
func (rd *reader) value(path string, f *domain.Field, v any) {
	if v == nil || v == "" {
		rd.out.open[path] = nil
		return
	}
	switch f.Type {
	case domain.TypeText:
		rd.text(path, f, v)
	case domain.TypePoint:
		rd.point(path, v)
	default:
		if value, ok := rd.open(path, f, v); ok {
			rd.out.open[path] = value
		}
	}
}

func (rd *reader) text(path string, f *domain.Field, v any) {
	s, ok := v.(string)
	if !ok {
		rd.wrong.add(path, "not_text", f.Title.ZH+"应是文字", f.Title.EN+" must be text.")
		return
	}
	if s, ok = rd.clean(path, f.Title, s, f.Max); !ok {
		return
	}
	if !rd.wellFormed(path, f, s) {
		return
	}
	rd.out.text = append(rd.out.text, textValue{path, s, f.Mask})
}

// clean normalises text and checks its length in characters.
func (rd *reader) clean(path string, title domain.Text, s string, limit int64) (string, bool) {
	s = strings.TrimSpace(norm.NFC.String(s))
	if limit == 0 {
		limit = maxNote
	}
	if n := utf8.RuneCountInString(s); int64(n) > limit {
		rd.wrong.add(path, "too_long", fmt.Sprintf("%s有 %d 字,最多 %d 字,请缩短或改用附件", title.ZH, n, limit),
			fmt.Sprintf("%s has %d characters, at most %d are allowed. Shorten it or attach a file.", title.EN, n, limit))
		return "", false
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }) {
		rd.wrong.add(path, "bad_characters", title.ZH+"含有不可见的控制字符,请重新输入", title.EN+" contains control characters. Type it again.")
		return "", false
	}
	return s, true
}

// wellFormed checks numbers that have a form of their own.
func (rd *reader) wellFormed(path string, f *domain.Field, s string) bool {
	switch f.Mask {
	case domain.MaskIDCard:
		if !domain.ValidIDCard(s) {
			rd.wrong.add(path, "bad_idcard", "身份证号不正确,请核对 18 位号码和校验位", "The ID card number is not valid. Check all 18 digits.")
			return false
		}
	case domain.MaskPhone:
		if !domain.ValidPhone(s) {
			rd.wrong.add(path, "bad_phone", "电话号码不正确:手机 11 位,座机带区号如 0575-87010000", "The phone number is not valid: 11 digits, or a landline with area code.")
			return false
		}
	}
	return true
}

// open reads a value that is stored in the open.
func (rd *reader) open(path string, f *domain.Field, v any) (any, bool) {
	switch f.Type {
	case domain.TypeLabel:
		s, ok := v.(string)
		if !ok {
			rd.wrong.add(path, "not_text", f.Title.ZH+"应是文字", f.Title.EN+" must be text.")
			return nil, false
		}
		return rd.clean(path, f.Title, s, f.Max)
	case domain.TypeCode, domain.TypeOrg, domain.TypeAccount:
		s, ok := v.(string)
		return s, ok && rd.code(path, f, s)
	case domain.TypeCodes, domain.TypeOrgs, domain.TypeLabels:
		return rd.list(path, f, v)
	case domain.TypeInt, domain.TypeMoney:
		return rd.number(path, f, v)
	case domain.TypeBool:
		on, ok := v.(bool)
		if !ok {
			rd.wrong.add(path, "not_bool", f.Title.ZH+"应为是或否", f.Title.EN+" must be yes or no.")
		}
		return on, ok
	case domain.TypeDate:
		s, ok := v.(string)
		return s, ok && rd.date(path, f, s)
	case domain.TypeTime:
		return rd.time(path, f, v)
	}
	rd.wrong.add(path, "unknown_field", "没有这个字段", "There is no such field.")
	return nil, false
}

func (rd *reader) code(path string, f *domain.Field, s string) bool {
	known := false
	switch f.Type {
	case domain.TypeOrg, domain.TypeOrgs:
		_, known = rd.p.organisations[s]
	case domain.TypeAccount:
		id, err := envelope.ParseRecordID(s)
		_, exists := rd.p.accounts[id]
		known = err == nil && exists
	default:
		known = f.Table == "" || f.Table == "accounts" && rd.isAccount(s) || rd.box.embedded.HasCode(rd.def, f.Table, s)
	}
	if !known {
		rd.wrong.add(path, "unknown_code", f.Title.ZH+"不在可选范围内,请从列表中选择", f.Title.EN+" is not one of the choices. Pick it from the list.")
	}
	return known
}

func (b *Box) hasCode(def *domain.Definition, table, code string) bool {
	t, ok := b.embedded.TableOf(def, table)
	if !ok {
		return false
	}
	_, ok = t.Row(code)
	return ok
}

func (rd *reader) isAccount(s string) bool {
	id, err := envelope.ParseRecordID(s)
	_, ok := rd.p.accounts[id]
	return err == nil && ok
}

func (rd *reader) list(path string, f *domain.Field, v any) (any, bool) {
	items, ok := stringList(v)
	limit := max(f.Max, 1)
	if f.Max == 0 {
		limit = 200
	}
	if !ok || int64(len(items)) > limit {
		rd.wrong.add(path, "bad_list", fmt.Sprintf("%s应为不超过 %d 项的列表", f.Title.ZH, limit), fmt.Sprintf("%s must be a list of at most %d.", f.Title.EN, limit))
		return nil, false
	}
	for _, s := range items {
		if f.Type == domain.TypeLabels {
			continue
		}
		if !rd.code(path, f, s) {
			return nil, false
		}
	}
	return items, true
}

func stringList(v any) ([]string, bool) {
	switch v := v.(type) {
	case []string:
		return v, true
	case []any:
		out := make([]string, len(v))
		for i, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, false
			}
			out[i] = s
		}
		return out, true
	}
	return nil, false
}

func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case int:
		return int64(v), true
	case float64:
		n := int64(v)
		return n, float64(n) == v
	}
	return 0, false
}

func (rd *reader) number(path string, f *domain.Field, v any) (any, bool) {
	n, ok := integer(v)
	if !ok || n < f.Min || f.Max > 0 && n > f.Max {
		rd.wrong.add(path, "out_of_range", fmt.Sprintf("%s应为 %d 到 %d 之间的整数", f.Title.ZH, f.Min, f.Max),
			fmt.Sprintf("%s must be a whole number from %d to %d.", f.Title.EN, f.Min, f.Max))
		return nil, false
	}
	return n, true
}

// local is the offset of the one zone that the country uses.
var local = time.FixedZone("UTC+8", 8*3600)

func (rd *reader) date(path string, f *domain.Field, s string) bool {
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		rd.wrong.add(path, "bad_date", f.Title.ZH+"应写成 2026-01-31 的形式", f.Title.EN+" must be written as 2026-01-31.")
		return false
	}
	return rd.within(path, f, s)
}

func (rd *reader) within(path string, f *domain.Field, day string) bool {
	if day < earliestDay {
		rd.wrong.add(path, "too_early", f.Title.ZH+"早于 1949 年,请核对年份", f.Title.EN+" is before 1949. Check the year.")
		return false
	}
	if tomorrow := rd.now.In(local).AddDate(0, 0, 1).Format(time.DateOnly); !f.Future && day > tomorrow {
		rd.wrong.add(path, "in_future", f.Title.ZH+"在将来,请核对日期", f.Title.EN+" is in the future. Check the date.")
		return false
	}
	return true
}

func (rd *reader) time(path string, f *domain.Field, v any) (any, bool) {
	ms, ok := integer(v)
	if !ok {
		rd.wrong.add(path, "bad_time", f.Title.ZH+"应为时间", f.Title.EN+" must be a time.")
		return nil, false
	}
	return ms, rd.within(path, f, time.UnixMilli(ms).In(local).Format(time.DateOnly))
}

// point takes {lng, lat} in 1e-6 degree; the exact form is sealed, the
// open form snapped to about 100 m.
func (rd *reader) point(path string, v any) {
	m, ok := v.(map[string]any)
	lng, okLng := integer(m["lng"])
	lat, okLat := integer(m["lat"])
	if !ok || !okLng || !okLat || lng < 73_000_000 || lng > 136_000_000 || lat < 3_000_000 || lat > 54_000_000 {
		rd.wrong.add(path, "bad_point", "位置不在中国境内,请在地图上重新选择", "The place is not in China. Pick it on the map again.")
		return
	}
	if rd.def.Family == domain.FamilyMaster { // where an organisation stands is public
		rd.out.open[path+"/lng"], rd.out.open[path+"/lat"] = lng, lat
		return
	}
	rd.out.open[path+"/lng"], rd.out.open[path+"/lat"] = snap(lng), snap(lat)
	rd.out.text = append(rd.out.text, textValue{path: path + "/exact", value: fmt.Sprintf("%d,%d", lng, lat)})
}

func snap(v int64) int64 { return (v + pointSnap/2) / pointSnap * pointSnap }

// input reads a reserved input or one that the step declares.
func (rd *reader) input(step *domain.Step, name string, v any) {
	path := "_" + name
	for i := range step.Inputs {
		if step.Inputs[i].Key == name {
			rd.declared(path, &step.Inputs[i], v)
			return
		}
	}
	if field, ok := reservedInputs[path]; ok {
		rd.declared(path, &field, v)
		return
	}
	rd.wrong.add(name, "unknown_field", "没有这个字段", "There is no such field.")
}

func (rd *reader) declared(path string, f *domain.Field, v any) {
	if v == nil || v == "" {
		return
	}
	if f.Sealed() {
		rd.text(path, f, v)
		return
	}
	if s, _ := v.(string); path == domain.InLimit {
		if _, err := clock.ParseLimit(s); err != nil {
			rd.wrong.add("limit", "bad_limit", "延长期限应写作 3wd（工作日）、30d（日）、4h（小时）", "The extension is written 3wd (working days), 30d (days) or 4h (hours).")
			return
		}
	}
	if value, ok := rd.open(path, f, v); ok {
		rd.out.open[path] = value
	}
}

// reservedInputs are the inputs that people may give; the rest is set by
// the box.
var reservedInputs = map[string]domain.Field{
	domain.InTo:       {Key: "to", Type: domain.TypeOrg, Title: domain.Text{ZH: "发往单位", EN: "Addressee"}},
	domain.InTargets:  {Key: "targets", Type: domain.TypeLabels, Title: domain.Text{ZH: "对象", EN: "Targets"}, Max: 200},
	domain.InReason:   {Key: "reason", Type: domain.TypeCode, Title: domain.Text{ZH: "原因", EN: "Reason"}},
	domain.InClock:    {Key: "clock", Type: domain.TypeCode, Title: domain.Text{ZH: "时限", EN: "Clock"}},
	domain.InLimit:    {Key: "limit", Type: domain.TypeCode, Title: domain.Text{ZH: "延长", EN: "Extension"}},
	domain.InRecord:   {Key: "record", Type: domain.TypeCode, Title: domain.Text{ZH: "另一件", EN: "Other record"}},
	domain.InRelation: {Key: "relation", Type: domain.TypeCode, Title: domain.Text{ZH: "关系", EN: "Relation"}},
	domain.InDocument: {Key: "document", Type: domain.TypeCode, Title: domain.Text{ZH: "文书", EN: "Document"}},
	domain.InItem:     {Key: "item", Type: domain.TypeInt, Max: 999, Title: domain.Text{ZH: "序号", EN: "Item"}},
	domain.InColour:   {Key: "colour", Type: domain.TypeCode, Title: domain.Text{ZH: "颜色", EN: "Colour"}},
	domain.InRound:    {Key: "round", Type: domain.TypeInt, Max: 1000, Title: domain.Text{ZH: "轮次", EN: "Round"}},
	domain.InOffer:    {Key: "offer", Type: domain.TypeCode, Title: domain.Text{ZH: "移交", EN: "Offer"}},
	domain.InQuote:    {Key: "quote", Type: domain.TypeCode, Title: domain.Text{ZH: "引用", EN: "Quote"}},
}

func (rd *reader) note(step *domain.Step, note string) {
	title := domain.Text{ZH: "说明", EN: "Note"}
	note, ok := rd.clean(domain.InNote, title, note, maxNote)
	if !ok {
		return
	}
	if note == "" {
		if step.Note == "required" {
			rd.wrong.add("note", "required", "请写明说明", "Give a note.")
		}
		return
	}
	rd.out.text = append(rd.out.text, textValue{path: domain.InNote, value: note})
}
