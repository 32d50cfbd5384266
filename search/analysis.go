package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis"
)

// Fold gives the form in which runes are compared: full width to half,
// capitals to small.
func Fold(r rune) rune {
	switch {
	case r >= '！' && r <= '～':
		r = r - '！' + '!'
	case r == '　':
		return ' '
	}
	return unicode.ToLower(r)
}

// FoldString folds every rune; the number of runes stays the same.
func FoldString(s string) string { return strings.Map(Fold, s) }

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

func isWord(r rune) bool { return !isHan(r) && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// Tokenizer makes single characters and pairs of every run of Chinese, and
// one term of every run of letters and digits. Queries of one character
// use the single ones, longer ones the pairs.
type Tokenizer struct{}

// Tokenize implements analysis.Tokenizer.
func (Tokenizer) Tokenize(input []byte) analysis.TokenStream {
	var out analysis.TokenStream
	position := 0
	emit := func(start, end int, text string) {
		position++
		out = append(out, &analysis.Token{Start: start, End: end, Term: []byte(text), Position: position, Type: analysis.Ideographic})
	}
	var last rune
	lastAt := 0
	for at := 0; at < len(input); {
		r, n := utf8.DecodeRune(input[at:])
		f := Fold(r)
		switch {
		case isHan(f):
			emit(at, at+n, string(f))
			if last != 0 {
				emit(lastAt, at+n, string([]rune{last, f}))
			}
			last, lastAt = f, at
		case isWord(f):
			end, text := wordEnd(input, at)
			emit(at, end, text)
			n, last = end-at, 0
		default:
			last = 0
		}
		at += n
	}
	return out
}

func wordEnd(input []byte, at int) (int, string) {
	var text strings.Builder
	for at < len(input) {
		r, n := utf8.DecodeRune(input[at:])
		f := Fold(r)
		if !isWord(f) {
			break
		}
		text.WriteRune(f)
		at += n
	}
	return at, text.String()
}

// Word is one word of a query.
type Word struct {
	Text   string   // folded
	Number string   // as numbers are indexed: without brackets
	Terms  []string // all of which a match has
}

const maxWords = 8

// Words splits a query at spaces; every word must match.
func Words(text string) []Word {
	var out []Word
	for _, w := range strings.Fields(FoldString(text)) {
		if len(out) == maxWords {
			break
		}
		word := Word{Text: w, Number: FoldNumber(w)}
		runs := Tokenizer{}.Tokenize([]byte(w))
		pairs := 0
		for _, t := range runs {
			if utf8.RuneCount(t.Term) > 1 {
				pairs++
			}
		}
		for _, t := range runs {
			single := utf8.RuneCount(t.Term) == 1 && isHan([]rune(string(t.Term))[0])
			if single && pairs > 0 && utf8.RuneCountInString(w) > 1 && !lonely(w, string(t.Term)) {
				continue
			}
			word.Terms = append(word.Terms, string(t.Term))
		}
		out = append(out, word)
	}
	return out
}

// lonely: the character has no Chinese neighbour in the word.
func lonely(word, char string) bool {
	runes := []rune(word)
	for i, r := range runes {
		if string(r) != char {
			continue
		}
		if i > 0 && isHan(runes[i-1]) || i+1 < len(runes) && isHan(runes[i+1]) {
			return false
		}
	}
	return true
}

// FoldNumber is the form of case numbers: any bracket style, any width.
func FoldNumber(s string) string {
	return strings.Map(func(r rune) rune {
		switch f := Fold(r); f {
		case '〔', '〕', '[', ']', '(', ')', '【', '】', ' ', '-':
			return -1
		default:
			return f
		}
	}, s)
}

// Matches reports whether every word stands in the text, and where: spans
// of runes, whole matches, in order.
func Matches(text string, words []Word) ([][2]int, bool) {
	folded := []rune(FoldString(text))
	var spans [][2]int
	for _, w := range words {
		found := occurrences(folded, []rune(w.Text))
		if len(found) == 0 {
			return nil, false
		}
		spans = append(spans, found...)
	}
	return spans, true
}

func occurrences(text, word []rune) [][2]int {
	var out [][2]int
	for i := 0; i+len(word) <= len(text) && len(word) > 0; i++ {
		if string(text[i:i+len(word)]) == string(word) {
			out = append(out, [2]int{i, i + len(word)})
			i += len(word) - 1
		}
	}
	return out
}

// Mark finds any of the words, for highlighting.
func Mark(text string, words []Word) [][2]int {
	folded := []rune(FoldString(text))
	spans := [][2]int{}
	for _, w := range words {
		spans = append(spans, occurrences(folded, []rune(w.Text))...)
	}
	return spans
}
