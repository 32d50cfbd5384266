package domain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fengqiao/fengqiao/node/domain"
)

func TestSplitNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"电话13800001234，请回":                "13800001234",
		"１３８００００１２３４":                     "13800001234",
		"138-0000-1234":                   "13800001234",
		"0575-87012345或057587012345":      "057587012345,057587012345",
		"身份证330681199001011234":           "330681199001011234",
		"33068119900101123x。":             "33068119900101123X",
		"13800001234-13900005678":         "13800001234,13900005678",
		"2026-03-12 14:00，欠款120000元，第12组": "",
		"〔2026〕枫人调0012号":                  "",
		"":                                "",
	} {
		rest, got := domain.SplitNumbers(text)
		if strings.Join(got, ",") != want {
			t.Errorf("%q has %v, want %s", text, got, want)
		}
		if len([]rune(rest)) != len([]rune(text)) || want == "" && rest != text {
			t.Errorf("%q became %q", text, rest)
		}
		for _, n := range got {
			if strings.Contains(domain.NormalNumber(rest), n) {
				t.Errorf("%s still stands in %q", n, rest)
			}
		}
	}
}

func TestResemblance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int64
	}{
		{"村口路灯不亮", "村口路灯不亮了", 80}, {"村口路灯不亮", "村口，路灯 不亮", 100}, {"村口路灯不亮", "河道垃圾", 0}, {"路灯", "路灯", 100}, {"路灯", "灯路", 0}, {"", "", 0}, {"。", "路灯", 0}, {"abc", "ABC", 100},
	} {
		if got := domain.Resemblance(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
	long := strings.Repeat("一二三四五六七八九十", 300)
	if domain.Resemblance(long, long) != 100 || !slices.Contains([]int64{0}, domain.Resemblance(long, "甲乙丙")) {
		t.Error("long texts")
	}
}
