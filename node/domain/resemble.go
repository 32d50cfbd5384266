package domain

// Resemblance compares two titles by their pairs of characters (Jaccard),
// from 0 to 100.
func Resemblance(a, b string) int64 {
	pa, pb := pairs(a), pairs(b)
	common, all := 0, len(pb)
	for p := range pa {
		if pb[p] {
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

func pairs(s string) map[[2]rune]bool {
	out := map[[2]rune]bool{}
	var last rune
	for _, r := range s {
		if last != 0 {
			out[[2]rune{last, r}] = true
		}
		last = r
	}
	return out
}
