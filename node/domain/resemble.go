package domain

import "unicode"

// Resemblance compares two texts by their runs of three characters
// (Jaccard), from 0 to 100. Signs and blanks do not count.
func Resemblance(a, b string) int64 {
	ga, gb := grams(a), grams(b)
	common, all := 0, len(gb)
	for g := range ga {
		if gb[g] {
			common++
		} else {
			all++
		}
	}
	if all == 0 {
		return 0
	}
	return int64(common * 100 / all)
}

// grams of a text of fewer than three characters are the text itself.
func grams(s string) map[[3]rune]bool {
	out := map[[3]rune]bool{}
	var g [3]rune
	n := 0
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			continue
		}
		g = [3]rune{g[1], g[2], unicode.ToLower(r)}
		if n++; n >= 3 {
			out[g] = true
		}
	}
	if n > 0 && n < 3 {
		out[g] = true
	}
	return out
}
