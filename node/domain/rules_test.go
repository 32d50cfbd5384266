package domain_test

import (
	"testing"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// TestMasks is DOMAIN §9.2, staff not on the case.
func TestMasks(t *testing.T) {
	for _, c := range []struct {
		mask      domain.Mask
		in, shown string
	}{
		{domain.MaskName, "张三", "张*"}, {domain.MaskName, "张小三", "张**"}, {domain.MaskName, "欧阳小三", "欧**"}, {domain.MaskName, "张", "*"},
		{domain.MaskName, "", ""}, {domain.MaskName, "  张三 ", "张*"},
		{domain.MaskIDCard, "330681199001011234", "330681********1234"}, {domain.MaskIDCard, "330681", "******"},
		{domain.MaskPhone, "13812345678", "138****5678"}, {domain.MaskPhone, "87010000", "8701****"}, {domain.MaskPhone, "0575-87010000", "0575-8701****"}, {domain.MaskPhone, "110", "***"},
		{domain.MaskLandline, "0575-87010000", "0575-8701****"}, {domain.MaskLandline, "110", "***"},
		{domain.MaskAddress, "诸暨市枫桥镇枫源村12号", "诸暨市枫桥镇枫源村***"}, {domain.MaskAddress, "枫桥镇孝义路8号", "枫桥镇***"}, {domain.MaskAddress, "孝义路8号", "***"},
		{domain.MaskAddress, "枫源村新村路3号", "枫源村***"}, {domain.MaskAddress, "大唐街道大唐社区2幢", "大唐街道大唐社区***"}, {domain.MaskAddress, "枫桥镇镇南路1号", "枫桥镇***"},
		{domain.MaskAccount, "6222021234567890", "************7890"}, {domain.MaskAccount, "7890", "****"},
		{"unheard of", "秘密内容", "****"}, {"", "x", "*"},
	} {
		if got := domain.MaskValue(c.mask, c.in); got != c.shown {
			t.Errorf("%s of %q: %q, want %q", c.mask, c.in, got, c.shown)
		}
	}
}

func TestMaskText(t *testing.T) {
	for in, want := range map[string]string{
		"电话13812345678，身份证33068119900101123X。": "电话138****5678，身份证330681********123X。",
		"2026年5月6日赔偿12000元":                    "2026年5月6日赔偿12000元",
		"330681199001011234561":                "330681199001011234561", // of no kind
		"电话１３８１２３４５６７８":                        "电话138****5678",
		"138 1234 5678或138-1234-5678":          "138****5678或138****5678",
		"+8613812345678":                       "+86138****5678",
		"身份证330681 19900101 123x":              "身份证330681********123x",
		"旧身份证330681900101123":                  "旧身份证330681*****1123",
		"卡号6222 0212 3456 7890 123":            "卡号***************0123",
		"账号6222021234567890":                   "账号************7890",
		"13812345678 13912345678":              "138****5678 139****5678",
		"2026-01-02 08:30至2026-01-03":          "2026-01-02 08:30至2026-01-03",
		"编号〔2026〕00123号，20260102153000":        "编号〔2026〕00123号，20260102153000",
		"电话13812345678，13812345678。":           "电话138****5678，138****5678。",
		"":                                     "",
	} {
		if got := domain.MaskText(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestConditions(t *testing.T) {
	r := &domain.Record{State: "accepted", Open: map[string]any{"type": "02", "important": true, "count": int64(3), "kinds": []string{"a", "b"},
		"people/0/role": "x", "people/2/role": "y", "people/2/signed": true}, Sealed: []envelope.SealedField{seal("people/0/name"), seal("title")},
		Documents: []domain.Document{{Type: "agreement"}, {Type: "record", Void: true}}, Files: []domain.File{{Document: "proof"}},
		Assists: []domain.Assist{{Organisation: village}}, Copies: []domain.Copy{{Target: village}}}
	yes := domain.Condition{Field: "type", In: []string{"02"}}
	never := domain.Condition{Field: "type", In: []string{"01"}}
	for name, c := range map[string]struct {
		cond domain.Condition
		want bool
	}{
		"code":                   {yes, true},
		"other code":             {never, false},
		"bool":                   {domain.Condition{Field: "important", In: []string{"true"}}, true},
		"number":                 {domain.Condition{Field: "count", In: []string{"3"}}, true},
		"list":                   {domain.Condition{Field: "kinds", In: []string{"b"}}, true},
		"absent is empty":        {domain.Condition{Field: "level", In: []string{""}}, true},
		"present open":           {domain.Condition{Present: "count"}, true},
		"present sealed":         {domain.Condition{Present: "title"}, true},
		"present not":            {domain.Condition{Present: "content"}, false},
		"absent":                 {domain.Condition{Absent: "content"}, true},
		"items":                  {domain.Condition{Items: "people", Count: 2}, true},
		"items too few":          {domain.Condition{Items: "people", Count: 3}, false},
		"every":                  {domain.Condition{Every: "people", Pass: &domain.Condition{Present: "role"}}, true},
		"every fails":            {domain.Condition{Every: "people", Pass: &domain.Condition{Field: "signed", In: []string{"true"}}}, false},
		"every without pass":     {domain.Condition{Every: "people"}, false},
		"document":               {domain.Condition{Document: "agreement"}, true},
		"void document":          {domain.Condition{Document: "record"}, false},
		"scan stands for it":     {domain.Condition{Document: "proof"}, true},
		"state":                  {domain.Condition{State: []string{"accepted"}}, true},
		"rule":                   {domain.Condition{Rule: "nothing_asked/1"}, true},
		"rule fails":             {domain.Condition{Rule: "no_open_assist/1"}, false},
		"not everybody read":     {domain.Condition{Rule: "everybody_read/1"}, false},
		"unknown rule":           {domain.Condition{Rule: "all_well/1"}, false},
		"not":                    {domain.Condition{Not: &never}, true},
		"all":                    {domain.Condition{All: []domain.Condition{yes, never}}, false},
		"any":                    {domain.Condition{Any: []domain.Condition{never, yes}}, true},
		"any of none":            {domain.Condition{Any: []domain.Condition{never, never}}, false},
		"when does not apply":    {domain.Condition{When: &never, Present: "content"}, true},
		"when applies":           {domain.Condition{When: &yes, Present: "content"}, false},
		"nothing to test is bad": {domain.Condition{}, false},
	} {
		if _, got := domain.Check([]domain.Condition{c.cond}, r); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if failed := domain.CheckAll([]domain.Condition{c.cond}, r); (len(failed) == 0) != c.want {
			t.Errorf("%s: CheckAll gives %v", name, failed)
		}
	}
	failed, ok := domain.Check([]domain.Condition{{Every: "people", Pass: &domain.Condition{Present: "signed"}}}, r)
	if ok || failed.Path != "people/0/signed" {
		t.Errorf("the first item that fails is %q", failed.Path)
	}
}

func TestTree(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		org, custodian string
	}{{grid, town}, {village, town}, {station, town}, {panel, town}, {town, town}, {county, county}, {away, otherTown}, {"nowhere", ""}, {"", ""}} {
		if got := domain.CustodianOf(w, c.org); got != c.custodian {
			t.Errorf("custodian of %s: %s", c.org, got)
		}
	}
	if !domain.Within(w, grid, town) || domain.Within(w, town, grid) || domain.Within(w, away, town) || domain.Within(w, "", town) {
		t.Error("Within")
	}
	// A tree that bites its tail ends.
	w.organisations["a"] = domain.Organisation{Code: "a", Parent: "b"}
	w.organisations["b"] = domain.Organisation{Code: "b", Parent: "a"}
	if domain.CustodianOf(w, "a") != "" || domain.Within(w, "a", "c") {
		t.Error("a circle has a custodian")
	}
}

// TestEffectsHaveClasses: every effect that a kind may name is known to the
// fold and has a class; the walks and verdicts exercise what it does.
func TestEffectsHaveClasses(t *testing.T) {
	w := newWorld(t)
	used := map[domain.Effect]bool{}
	for kind := range w.current {
		for _, s := range w.def(kind).Steps {
			class, ok := domain.ClassOf(s.Effect)
			if !ok || class != s.Class {
				t.Errorf("%s: %s has class %d", kind, s.ID, s.Class)
			}
			used[s.Effect] = true
		}
	}
	if len(used) != 36 {
		t.Errorf("the kinds use %d effects, want all 36", len(used))
	}
	if class, _ := domain.ClassOf(domain.Recall); class != envelope.ClassC {
		t.Error("recall must be agreed by the county")
	}
	if _, ok := domain.ClassOf("fly"); ok {
		t.Error("an unknown effect has a class")
	}
}
