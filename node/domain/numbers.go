package domain

import "strings"

// idWeights are those of GB 11643-1999.
var idWeights = [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}

// ValidIDCard checks form and check digit of a citizen's identity number
// (GB 11643-1999).
func ValidIDCard(s string) bool {
	s = strings.ToUpper(s)
	if len(s) != 18 {
		return false
	}
	sum := 0
	for i, w := range idWeights {
		d := int(s[i] - '0')
		if d < 0 || d > 9 {
			return false
		}
		sum += d * w
	}
	return "10X98765432"[sum%11] == s[17]
}

// ValidPhone accepts a mobile number of 11 digits, a landline with area
// code, or a short public number.
func ValidPhone(s string) bool {
	digits := strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' || r == '(' || r == ')' {
			return -1
		}
		return r
	}, s)
	for _, r := range digits {
		if r < '0' || r > '9' {
			return false
		}
	}
	switch n := len(digits); {
	case n == 11 && digits[0] == '1':
		return true
	case digits != "" && digits[0] == '0':
		return n >= 10 && n <= 12
	default:
		return n >= 3 && n <= 8
	}
}

// NormalNumber is the form in which ID cards and phones are matched.
func NormalNumber(s string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		switch {
		case r >= '０' && r <= '９':
			return r - '０' + '0'
		case r == '-' || r == ' ' || r == '(' || r == ')' || r == '（' || r == '）':
			return -1
		}
		return r
	}, s))
}
