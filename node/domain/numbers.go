package domain

import (
	"strings"
	"unicode"
)

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

// SplitNumbers takes ID cards and phones out of a free text, in the form of
// NormalNumber: an index may hold them as keyed hashes only. In the rest
// blanks stand where they were.
func SplitNumbers(text string) (rest string, numbers []string) {
	runes := []rune(text)
	take := func(from, to int) bool {
		n := NormalNumber(string(runes[from:to]))
		if !personalNumber(n) {
			return false
		}
		numbers = append(numbers, n)
		for i := from; i < to; i++ {
			runes[i] = ' '
		}
		return true
	}
	for at := 0; at < len(runes); at++ {
		if !unicode.IsDigit(runes[at]) {
			continue
		}
		whole := numberEnd(runes, at, true)
		if !take(at, whole) {
			for part := at; part < whole; part++ {
				end := numberEnd(runes, part, false)
				take(part, end)
				part = end
			}
		}
		at = whole
	}
	return string(runes), numbers
}

// numberEnd is where a run of digits ends, with single dashes inside where
// these are allowed, and with the check character of an ID card.
func numberEnd(runes []rune, at int, dashes bool) int {
	digits := 0
	for ; at < len(runes); at++ {
		switch r := runes[at]; {
		case unicode.IsDigit(r):
			digits++
		case dashes && r == '-' && at+1 < len(runes) && unicode.IsDigit(runes[at+1]):
		case digits == 17 && (r == 'X' || r == 'x' || r == 'Ｘ'):
			return at + 1
		default:
			return at
		}
	}
	return at
}

// personalNumber: an ID card by its length, since a mistyped one is one
// too; a mobile number; a landline with its area code.
func personalNumber(n string) bool {
	return len(n) == 18 || len(n) == 11 && n[0] == '1' || len(n) >= 10 && len(n) <= 12 && n[0] == '0'
}
