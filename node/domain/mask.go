package domain

import (
	"strings"
	"unicode"
)

// MaskValue shows a personal value to those without the right to the full
// one (DOMAIN §9.2, staff not on the case). Unknown masks hide everything.
func MaskValue(m Mask, v string) string {
	r := []rune(strings.TrimSpace(v))
	if len(r) == 0 {
		return ""
	}
	switch m {
	case MaskName:
		return maskName(r)
	case MaskIDCard:
		return keepEnds(r, 6, 4)
	case MaskPhone:
		return keepEnds(r, 3, 4)
	case MaskLandline:
		return keepEnds(r, max(len(r)-4, 0), 0)
	case MaskAddress:
		return maskAddress(string(r))
	case MaskAccount:
		return keepEnds(r, 0, 4)
	}
	return strings.Repeat("*", min(len(r), 6))
}

// maskName: 张* for two characters, 张** for three, the first and ** above.
func maskName(r []rune) string {
	if len(r) == 1 {
		return "*"
	}
	return string(r[:1]) + strings.Repeat("*", min(len(r)-1, 2))
}

func keepEnds(r []rune, head, tail int) string {
	if len(r) <= head+tail {
		return strings.Repeat("*", len(r))
	}
	return string(r[:head]) + strings.Repeat("*", len(r)-head-tail) + string(r[len(r)-tail:])
}

// maskAddress keeps the address down to the village and hides the house.
func maskAddress(s string) string {
	for _, end := range []string{"村", "社区", "居委会", "镇", "街道", "乡"} {
		if i := strings.LastIndex(s, end); i >= 0 {
			return s[:i+len(end)] + "***"
		}
	}
	return "***"
}

// MaskText hides what looks like an ID card or phone number inside free
// text shown below SightTeam.
func MaskText(s string) string {
	var out strings.Builder
	run := []rune{}
	flush := func() {
		switch n := len(run); {
		case n == 18:
			out.WriteString(keepEnds(run, 6, 4))
		case n == 11 && run[0] == '1':
			out.WriteString(keepEnds(run, 3, 4))
		default:
			out.WriteString(string(run))
		}
		run = run[:0]
	}
	for _, c := range s {
		if unicode.IsDigit(c) || (c == 'X' || c == 'x') && len(run) == 17 {
			run = append(run, c)
			continue
		}
		flush()
		out.WriteRune(c)
	}
	flush()
	return out.String()
}
