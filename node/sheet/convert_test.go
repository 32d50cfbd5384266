package sheet

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fengqiao/fengqiao/node/domain"
)

var kinds = []domain.Code{{Code: "01", ZH: "邻里纠纷", EN: "Neighbours"}, {Code: "02", ZH: "其他"}, {Code: "0201", ZH: "其他"},
	{Code: "03", ZH: "土地(山林)纠纷"}, {Code: "09", ZH: "旧类", Hidden: true}, {Code: "10", ZH: "邻里纠纷", Hidden: true}}

func findOrg(s string) []string {
	return map[string][]string{"枫源村": {"330681109290"}, "330681109290": {"330681109290"}, "新村": {"a", "b"}}[s]
}

// convertOne converts one cell of a field.
func convertOne(t *testing.T, f Field, c Cell) (any, string) {
	t.Helper()
	f.Key, f.Title = "k", text("字段", "Field")
	conv, err := NewConverter(&Table{Header: []string{"列"}}, []Field{f}, Mapping{"k"}, findOrg, today)
	if err != nil {
		t.Fatal(err)
	}
	r := conv.Convert(Row{Number: 7, Cells: []Cell{c}})
	if len(r.Errors) == 0 {
		return r.Values["k"], ""
	}
	e := r.Errors[0]
	if e.Cell() != "A7" || e.Header != "列" || e.Message.ZH == "" || e.Message.EN == "" || len(r.Values) > 0 {
		t.Fatalf("error without its place or sentence: %+v", e)
	}
	if len(c.Text) > 1 && strings.Contains(e.Error(), c.Text) {
		t.Fatalf("the value is in the text for logs: %s", e.Error())
	}
	return nil, e.Code
}

func TestConvert(t *testing.T) {
	ms := func(s string) int64 {
		at, err := time.ParseInLocation(momentForm, s, local)
		if err != nil {
			t.Fatal(err)
		}
		return at.UnixMilli()
	}
	date, moment, money, count := Field{Type: TypeDate}, Field{Type: TypeDateTime}, Field{Type: TypeMoney}, Field{Type: TypeInt}
	born := Field{Type: TypeDate, Old: true}
	code, org, phone, id, flag := Field{Type: TypeCode, Codes: kinds}, Field{Type: TypeOrg}, Field{Type: TypePhone}, Field{Type: TypeIDCard}, Field{Type: TypeBool}
	for _, c := range []struct {
		f    Field
		cell string
		want any
		code string
	}{
		{Field{Type: TypeText}, " \u3000枫桥１\ufeff", "枫桥１", ""},
		{Field{Type: TypeText, Fold: true}, "Ａ１", "A1", ""},
		{Field{Type: TypeText}, "-", "-", ""},
		{Field{Type: TypeText, Max: 2}, "三个字", nil, "too_long"},
		{Field{Type: TypeText}, "a\x07", nil, "bad_characters"},
		{Field{Type: TypeText, Required: true}, " ", nil, "required"},
		{Field{Type: TypeDate, Required: true}, "/", nil, "required"},

		{date, "2024-01-02", "2024-01-02", ""},
		{date, "2024/1/2", "2024-01-02", ""},
		{date, "2024.1.2", "2024-01-02", ""},
		{date, "2024年1月2日", "2024-01-02", ""},
		{date, "２０２４年１月２日", "2024-01-02", ""},
		{date, "20240102", "2024-01-02", ""},
		{date, "45293", "2024-01-02", ""},
		{date, "2024-01-02 00:00:00", "2024-01-02", ""},
		{date, "——", nil, ""},
		{date, "2024-01-02 09:30", nil, "has_time"},
		{date, "24-1-2", nil, "bad_date"},
		{date, "2023-02-29", nil, "bad_date"},
		{date, "2024-13-01", nil, "bad_date"},
		{date, "昨天", nil, "bad_date"},
		{date, "1900-01-00", nil, "bad_date"},
		{date, "1900-01-01", nil, "too_early"},
		{date, "1949-09-30", nil, "too_early"},
		{date, "1949-10-01", "1949-10-01", ""},
		{born, "1932-05-06", "1932-05-06", ""},
		{born, "1900-01-01", nil, "too_early"},
		{date, "2026-03-05", "2026-03-05", ""}, // clocks may differ by a day
		{date, "2026-03-06", nil, "in_future"},
		{Field{Type: TypeDate, Future: true}, "2030-01-01", "2030-01-01", ""},
		{moment, "2024-01-02 09:30", ms("2024-01-02 09:30:00"), ""},
		{moment, "2024年1月2日9时30分5秒", ms("2024-01-02 09:30:05"), ""},
		{moment, "2024年1月2日 9点", ms("2024-01-02 09:00:00"), ""},
		{moment, "2024-01-02T01:30:00Z", ms("2024-01-02 09:30:00"), ""},
		{moment, "2024-01-02T09:30:00+08:00", ms("2024-01-02 09:30:00"), ""},
		{moment, "45293.5", ms("2024-01-02 12:00:00"), ""},
		{moment, "2024-01-02 25:00", nil, "bad_date"},

		{count, "12", int64(12), ""},
		{count, "１２", int64(12), ""},
		{count, "1,234", int64(1234), ""},
		{count, "12.0", int64(12), ""},
		{count, "1,23", nil, "not_int"},
		{count, "约12", nil, "not_int"},
		{count, "99999999999999999999", nil, "not_int"},
		{Field{Type: TypeInt, Min: 1, Max: 5}, "6", nil, "out_of_range"},
		{Field{Type: TypeInt, Min: 1}, "0", nil, "out_of_range"},

		{money, "1234.5", int64(123450), ""},
		{money, "¥1,234.56元", int64(123456), ""},
		{money, "1.2万", int64(1200000), ""},
		{money, "1.23456万元", int64(1234560), ""},
		{money, "-3", int64(-300), ""},
		{money, "0.1", int64(10), ""},
		{money, "1.234", nil, "bad_money"},
		{money, "很多", nil, "bad_money"},

		{code, "01", "01", ""},
		{code, "邻里 纠纷", "01", ""},
		{code, "neighbours", "01", ""},
		{code, "土地（山林）纠纷", "03", ""},
		{code, "旧类", "09", ""},
		{code, "10", "10", ""},
		{code, "其他", nil, "ambiguous_code"},
		{code, "没有", nil, "unknown_code"},
		{Field{Type: TypeCodes, Codes: kinds}, "邻里纠纷、02;旧类", []string{"01", "02", "09"}, ""},
		{Field{Type: TypeCodes, Codes: kinds}, "邻里纠纷、没有", nil, "unknown_code"},
		{org, "枫源村", "330681109290", ""},
		{org, "新村", nil, "ambiguous_org"},
		{org, "无此村", nil, "unknown_org"},
		{Field{Type: TypeOrgs}, "枫源村，枫源村", []string{"330681109290", "330681109290"}, ""},

		{phone, "13800138000", "13800138000", ""},
		{phone, "+8613800138000", "13800138000", ""},
		{phone, "0575-87010000", "0575-87010000", ""},
		{phone, "１３８００１３８０００", "13800138000", ""},
		{phone, "1380013800", nil, "bad_phone"},
		{phone, "13800138000/13900139000", nil, "bad_phone"},
		{id, "11010519491231002x", "11010519491231002X", ""},
		{id, "110105194912310021", nil, "bad_idcard"},
		{id, "1.10105E+17", nil, "digits_lost"},
		{id, "110105194912310000", nil, "digits_lost"},

		{flag, "是", true, ""},
		{flag, "无", false, ""},
		{flag, "TRUE", true, ""},
		{flag, "也许", nil, "not_bool"},
	} {
		got, code := convertOne(t, c.f, Cell{Text: c.cell})
		if fmt.Sprint(got) != fmt.Sprint(c.want) || code != c.code {
			t.Errorf("%s %q: got %v %q, want %v %q", c.f.Type, c.cell, got, code, c.want, c.code)
		}
	}
}

func TestCellErrorsOfTheFileAreKept(t *testing.T) {
	if _, code := convertOne(t, Field{Type: TypeText}, Cell{Text: "330681199001011000", Err: digitsLost(1, 1, "")}); code != "digits_lost" {
		t.Fatalf("got %q", code)
	}
}

// What an export writes, an import reads as the same value.
func TestFormatIsInverseOfConvert(t *testing.T) {
	any64 := rapid.Int64Range(-99999999999999, 99999999999999)
	day := rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMilli(rapid.Int64Range(-638_000_000_000, today.UnixMilli()).Draw(t, "ms")).In(local)
	})
	codes := rapid.SampledFrom(kinds)
	rapid.Check(t, func(rt *rapid.T) {
		for _, c := range []struct {
			f Field
			v any
		}{
			{Field{Type: TypeInt}, rapid.Int64().Draw(rt, "int")},
			{Field{Type: TypeMoney}, any64.Draw(rt, "fen")},
			{Field{Type: TypeDate}, day.Draw(rt, "day").Format(dayForm)},
			{Field{Type: TypeDateTime}, day.Draw(rt, "time").UnixMilli()},
			{Field{Type: TypeBool}, rapid.Bool().Draw(rt, "bool")},
			{Field{Type: TypeCode, Codes: kinds}, codes.Draw(rt, "code").Code},
			{Field{Type: TypeCodes, Codes: kinds}, []string{codes.Draw(rt, "code").Code, codes.Draw(rt, "code").Code}},
		} {
			written := c.f.Formatter()(c.v)
			got, code := convertOne(t, c.f, Cell{Text: written})
			if fmt.Sprint(got) != fmt.Sprint(c.v) {
				rt.Fatalf("%s: %v was written as %q and read as %v %s", c.f.Type, c.v, written, got, code)
			}
		}
	})
}

func TestGuess(t *testing.T) {
	fields := []Field{
		{Key: "title", Title: text("标题", "Title"), Type: TypeText},
		{Key: "name", Title: text("姓名", "Name"), Synonyms: []string{"当事人"}, Type: TypeText},
		{Key: "phone", Title: text("联系电话", "Phone"), Synonyms: []string{"手机号"}, Type: TypePhone},
		{Key: "village", Title: text("所属村社", "Village"), Synonyms: []string{"村社", "村(社区)"}, Type: TypeOrg},
		{Key: "date", Title: text("受理日期", "Accepted"), Type: TypeDate},
	}
	got := Guess([]string{"序号", "* 姓 名", "当事人/电话", "村（社区）", "案件受理日期(必填)", "姓名", "NAME", ""}, fields)
	equal(t, got, Mapping{"", "name", "phone", "village", "date", "", "", ""})
}

func TestMappingIsChecked(t *testing.T) {
	fields := []Field{{Key: "a", Title: text("甲", "A"), Required: true}, {Key: "b", Title: text("乙", "B")}}
	header := []string{"x", "y"}
	for code, m := range map[string]Mapping{"wrong_columns": {"a"}, "unknown_field": {"a", "c"}, "field_twice": {"a", "a"}, "field_missing": {"", "b"}, "": {"a", ""}} {
		err := m.Check(header, fields)
		var wrong *MappingError
		if code == "" && err == nil || errors.As(err, &wrong) && wrong.Code == code && wrong.Message.ZH != "" {
			continue
		}
		t.Errorf("%v: got %v, want %q", m, err, code)
	}
}

func TestFieldOfKinds(t *testing.T) {
	f, ok := FieldOf(&domain.Field{Key: "id", Type: domain.TypeText, Mask: domain.MaskIDCard, Required: true}, nil)
	if !ok || f.Type != TypeIDCard || !f.Required {
		t.Fatalf("got %+v", f)
	}
	if _, ok := FieldOf(&domain.Field{Type: domain.TypeGroup}, nil); ok {
		t.Fatal("a group is no single cell")
	}
	p, ok := FieldOf(&domain.Field{Key: "point", Type: domain.TypePoint}, nil)
	for in, want := range map[string]any{"120.4397, 29.79": Point{120_439_700, 29_790_000}, "120.4397，-1": Point{120_439_700, -1_000_000}, "29.7": nil, "29.79,120.43": nil} {
		c := Converter{columns: []*Field{&p}, table: &Table{Header: []string{"位置"}}}
		r := c.Convert(Row{Number: 2, Cells: []Cell{{Text: in}}})
		if !ok || r.Values["point"] != want || (want == nil) != (len(r.Errors) == 1) {
			t.Errorf("%s: %v %v", in, r.Values["point"], r.Errors)
		}
	}
	if s := p.Formatter()(Point{120_439_700, -1_000_000}); s != "120.4397,-1" {
		t.Error(s)
	}
}

// Serial numbers against the calendar, day by day over a century.
func TestSerialDays(t *testing.T) {
	day := time.Date(1900, 3, 1, 0, 0, 0, 0, local)
	for n := 61; n < 61+365*150; n++ {
		got, ok := fromSerial(float64(n), false)
		if !ok || !got.Equal(day) {
			t.Fatalf("serial %d is %v, want %v", n, got, day)
		}
		day = day.AddDate(0, 0, 1)
	}
	for _, bad := range []float64{-1, 0, 1, 60, 2958466, math.NaN()} {
		if got, ok := fromSerial(bad, false); ok {
			t.Errorf("serial %v is %v", bad, got)
		}
	}
}

func TestNumberFormats(t *testing.T) {
	for code, want := range map[string]format{
		"General": {kind: Number}, "0.00": {kind: Number}, "@": {kind: Number}, "0000": {Number, 4}, "yyyy/m/d": {kind: Date}, `[$-F800]dddd\,\ mmmm\ dd`: {kind: Date},
		"h:mm AM/PM": {kind: Clock}, "[h]:mm": {kind: Clock}, "[Red]0.0": {kind: Number}, `0"days"`: {kind: Number}, "mm:ss": {kind: Clock}, "yyyy-mm-dd hh:mm;@": {kind: Moment},
		`"unclosed`: {kind: Number}, `0\d`: {kind: Number}, "mmm-yy": {kind: Date},
	} {
		if got := parseFormat(code); got != want {
			t.Errorf("%s: got %+v, want %+v", code, got, want)
		}
	}
}

func TestConvertRowsInOrder(t *testing.T) {
	table := mustRead(t, []byte("姓名,日期\n张三,2024-1-1\n\n李四,昨天\n"), Options{})
	c, err := NewConverter(table, []Field{{Key: "n", Type: TypeText}, {Key: "d", Title: text("日期", "Date"), Type: TypeDate}}, Mapping{"n", "d"}, nil, today)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r, err := range c.Records() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %v %d", r.Row, r.Values["n"], len(r.Errors)))
		for _, e := range r.Errors {
			got = append(got, e.Cell()+" "+e.Header+" "+e.Value)
		}
	}
	if want := []string{"2 张三 0", "4 李四 1", "B4 日期 昨天"}; !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
}
