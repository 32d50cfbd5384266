package search

import (
	_ "embed"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis"
)

//go:embed traditional.txt
var traditionalTable string

// simplified gives the simplified form of traditional characters.
var simplified = readPairs(traditionalTable)

func readPairs(table string) map[rune]rune {
	out := map[rune]rune{}
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for pair := range slices.Chunk([]rune(strings.TrimSpace(line)), 2) {
			out[pair[0]] = pair[1]
		}
	}
	return out
}

// Fold gives the form in which runes are compared: full width to half,
// capitals to small, traditional to simplified. One rune stays one rune, so
// that places in the folded text are places in the text.
func Fold(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		return unicode.ToLower(r)
	case r >= '！' && r <= '～':
		return unicode.ToLower(r - '！' + '!')
	case r == '　':
		return ' '
	}
	if s, ok := simplified[r]; ok {
		return s
	}
	return unicode.ToLower(r)
}

// FoldString folds every rune; the number of runes stays the same.
func FoldString(s string) string { return strings.Map(Fold, s) }

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

func isWord(r rune) bool { return !isHan(r) && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// FoldNumber is the form of case numbers: any bracket style, any width.
func FoldNumber(s string) string {
	return strings.Map(func(r rune) rune {
		if f := Fold(r); isHan(f) || isWord(f) {
			return f
		}
		return -1
	}, s)
}

// Tokenizer makes single characters and pairs of every run of Chinese, and
// one term of every run of letters and digits. Queries of one character
// use the single ones, longer ones the pairs.
type Tokenizer struct{}

// Tokenize implements analysis.Tokenizer.
func (Tokenizer) Tokenize(input []byte) analysis.TokenStream {
	out := make(analysis.TokenStream, 0, len(input)/2)
	scan(string(input), func(term string, start, end int) {
		out = append(out, &analysis.Token{Start: start, End: end, Term: []byte(term), Position: len(out) + 1, Type: analysis.Ideographic})
	})
	return out
}

// scan gives the terms of a text with their bytes in it.
func scan(text string, emit func(term string, start, end int)) {
	var last rune // Chinese character just before, 0 when there is none
	lastAt := 0
	for at := 0; at < len(text); {
		r, n := utf8.DecodeRuneInString(text[at:])
		f := Fold(r)
		switch {
		case isHan(f):
			emit(string(f), at, at+n)
			if last != 0 {
				emit(string([]rune{last, f}), lastAt, at+n)
			}
			last, lastAt = f, at
		case isWord(f):
			n = wordLength(text[at:])
			emit(FoldString(text[at:at+n]), at, at+n)
			last = 0
		default:
			last = 0
		}
		at += n
	}
}

// wordLength is how many bytes of letters and digits the text begins with.
func wordLength(text string) int {
	n := strings.IndexFunc(text, func(r rune) bool { return !isWord(Fold(r)) })
	if n < 0 {
		return len(text)
	}
	return n
}

// word is one word of a query.
type word struct {
	text  string   // folded
	terms []string // all of which a match has
}

// Words splits a query at everything that is neither a character nor a
// letter nor a digit, so that brackets and commas never matter.
func Words(text string) []string {
	return strings.FieldsFunc(FoldString(text), func(r rune) bool { return !isHan(r) && !isWord(r) })
}

func wordsOf(text string) []word {
	var out []word
	for _, w := range Words(text) {
		out = append(out, word{text: w, terms: termsOf(w)})
	}
	return out
}

// termsOf are the terms that a text with the word in it must have: pairs,
// runs of letters and digits, and characters that have no pair.
func termsOf(w string) []string {
	var terms []string
	paired := map[int]bool{} // places of characters that a pair holds
	scan(w, func(term string, start, end int) {
		if first, n := utf8.DecodeRuneInString(term); isHan(first) && n < len(term) {
			_, last := utf8.DecodeLastRuneInString(w[:end])
			paired[start], paired[end-last] = true, true
		}
	})
	scan(w, func(term string, start, end int) {
		single := utf8.RuneCountInString(w[start:end]) == 1
		if !(single && paired[start]) && !slices.Contains(terms, term) {
			terms = append(terms, term)
		}
	})
	return terms
}

// Mark finds the words of a query in a text: spans of runes, in order of
// the words.
func Mark(text, query string) [][2]int {
	folded := []rune(FoldString(text))
	spans := [][2]int{}
	for _, w := range Words(query) {
		spans = append(spans, occurrences(folded, []rune(w))...)
	}
	return spans
}

func occurrences(text, word []rune) [][2]int {
	var out [][2]int
	for i := 0; i+len(word) <= len(text) && len(word) > 0; i++ {
		if slices.Equal(text[i:i+len(word)], word) {
			out = append(out, [2]int{i, i + len(word)})
			i += len(word) - 1
		}
	}
	return out
}
