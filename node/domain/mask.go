package domain

import "strings"

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
		if !mobile(r) { // one field takes both kinds of number
			return hideEnd(r)
		}
		return keepEnds(r, 3, 4)
	case MaskLandline:
		return hideEnd(r)
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

func mobile(r []rune) bool { return len(r) == 11 && r[0] == '1' }

// hideEnd hides the last four of a landline.
func hideEnd(r []rune) string { return keepEnds(r, max(len(r)-4, 0), 0) }

// maskAddress keeps the address down to the first name of a village, else
// of a township, and hides the house.
func maskAddress(s string) string {
	for _, level := range [][]string{{"村", "社区", "居委会"}, {"镇", "街道", "乡"}} {
		first := -1
		for _, end := range level {
			if i := strings.Index(s, end); i > 0 && (first < 0 || i+len(end) < first) {
				first = i + len(end)
			}
		}
		if first > 0 {
			return s[:first] + "***"
		}
	}
	return "***"
}

// MaskText hides what looks like a number of a person (ID card of 18 or 15
// digits, mobile phone, bank account) inside free text shown below SightTeam,
// also in full-width digits and with spaces or hyphens between groups.
func MaskText(s string) string {
	in := []rune(s)
	var out strings.Builder
	for i := 0; i < len(in); {
		if !isDigit(in[i]) || i > 0 && isDigit(in[i-1]) {
			out.WriteRune(in[i])
			i++
			continue
		}
		n := personal(in[i:])
		if n == 0 { // an ordinary number: all of its digits stay
			for ; i < len(in) && isDigit(in[i]); i++ {
				out.WriteRune(in[i])
			}
			continue
		}
		out.WriteString(maskNumber(in[i : i+n]))
		i += n
	}
	return out.String()
}

func isDigit(r rune) bool { return plainDigit(r) >= '0' && plainDigit(r) <= '9' }

// plainDigit turns a full-width character into its narrow form.
func plainDigit(r rune) rune {
	if r >= '０' && r <= '９' {
		return r - '０' + '0'
	}
	return r
}

// groupings are how people write numbers: digits of the groups, between
// which one space or hyphen may stand.
var groupings = [][]int{{6, 8, 4}, {6, 6, 3}, {4, 4, 4, 4, 3}, {4, 4, 4, 4, 2}, {4, 4, 4, 4, 1}, {4, 4, 4, 4}, {3, 4, 4}, {2, 3, 4, 4}}

// personal gives the length of a personal number at the start of in, 0 when
// there is none.
func personal(in []rune) int {
	for _, g := range groupings {
		if n := grouped(in, g); n > 0 && plausible(in[:n], g) && (n == len(in) || !isDigit(in[n])) {
			return n
		}
	}
	return 0
}

// grouped matches the groups and gives their length; the last digit of an
// ID card may be X.
func grouped(in []rune, groups []int) int {
	i := 0
	for g, size := range groups {
		if g > 0 && i < len(in) && (in[i] == ' ' || in[i] == '-') {
			i++
		}
		for k := range size {
			last := g == len(groups)-1 && k == size-1 && groups[0] == 6
			if i == len(in) || !isDigit(in[i]) && !(last && (in[i] == 'X' || in[i] == 'x')) {
				return 0
			}
			i++
		}
	}
	return i
}

// plausible: a mobile phone begins with 1, perhaps after 86; dates and other
// numbers in groups are left alone.
func plausible(in []rune, groups []int) bool {
	d := digitsOf(in)
	switch len(groups) {
	case 3:
		return groups[0] == 6 || d[0] == '1'
	case 4:
		return groups[0] == 4 || strings.HasPrefix(d, "861")
	}
	return true
}

func digitsOf(in []rune) string {
	var b strings.Builder
	for _, r := range in {
		if r != ' ' && r != '-' {
			b.WriteRune(plainDigit(r))
		}
	}
	return b.String()
}

// maskNumber hides as the field of its kind would: an ID card keeps 6 and
// 4, a phone 3 and 4, an account its last 4.
func maskNumber(in []rune) string {
	d := []rune(digitsOf(in))
	switch len(d) {
	case 11:
		return keepEnds(d, 3, 4)
	case 13:
		return keepEnds(d, 5, 4)
	case 15, 18:
		return keepEnds(d, 6, 4)
	}
	return keepEnds(d, 0, 4)
}
