package service

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
)

// What the index knows of a record: texts by class of sensitivity, and the
// terms of the filter that decides who finds it. ID cards and phones are
// there as keyed hashes alone; secrets and exact places not at all.

// SearchText is one record for the index. Texts are those of the coded
// summary, the case and the persons.
type SearchText struct {
	ID, Kind, Type, Village, State, Year string
	Texts                                [3]string
	Hashes                               []string
	Numbers                              []string
	Scope                                []string
	At                                   int64
	Gone                                 bool // nobody may find it
	Erased                               bool // and no trace of it may stay
}

// Generation, Head, and the two functions below let the index follow the
// store.
func (b *Box) Generation() (string, error) { return b.store.Generation() }

// SearchTotal is about how many changes the store lists.
func (b *Box) SearchTotal() (int64, error) { return b.store.Records() }

// SearchChanges lists what changed after n for the index: at most limit,
// fewer once the texts are more than size bytes.
func (b *Box) SearchChanges(ctx context.Context, after uint64, limit, size int) ([]SearchText, uint64, error) {
	changes, err := b.store.Changes(after, limit)
	if err != nil {
		return nil, after, err
	}
	v := b.viewer(Caller{})
	var out []SearchText
	for _, c := range changes {
		r, err := b.storedRecord(c.Record)
		if err != nil {
			return nil, after, err
		}
		text, err := v.searchText(r)
		if err != nil {
			return nil, after, err
		}
		out, after = append(out, text), c.N
		for _, t := range text.Texts {
			size -= len(t)
		}
		if size < 0 || ctx.Err() != nil {
			break
		}
	}
	return out, after, ctx.Err()
}

// searchable families are what people look for.
func searchable(def *domain.Definition) bool { return isMatter(def) || def.ID == kindDutyLog }

func (v *viewer) searchText(r *domain.Record) (SearchText, error) {
	out := SearchText{ID: r.ID.String(), Gone: true, Erased: r.Erased}
	def, ok := v.p.Definition(r.Definition)
	if !ok || !searchable(def) || r.Erased {
		return out, nil
	}
	if counts, err := v.box.imported(r); err != nil || !counts {
		return out, err
	}
	f := valuesOf(def, r)
	out = SearchText{ID: out.ID, Kind: f.Kind, Type: f.Type, Village: f.Village, State: f.State, Year: f.Year, At: r.CreatedAt,
		Scope: domain.ScopeTerms(def, r)}
	for _, n := range append([]string{r.Number}, r.Aliases...) {
		if n != "" {
			out.Numbers = append(out.Numbers, n)
		}
	}
	sight := domain.SightTeam
	if !v.box.mayUnseal(r) {
		sight = domain.SightSummary
	}
	passages, numbers, err := v.read(def, r, sight)
	if err != nil {
		return out, err
	}
	for _, p := range passages {
		rest, _ := domain.SplitNumbers(p.text)
		out.Texts[p.class-domain.SightSummary] += rest + "\n"
	}
	for _, n := range numbers {
		out.Hashes = append(out.Hashes, v.box.numberHash(n))
	}
	return out, nil
}

// mayUnseal: custody or an offer, not the mere holding of a key. What
// belongs to others is known by its summary.
func (b *Box) mayUnseal(r *domain.Record) bool {
	own := b.Organisation()
	return r.Custodian == own || r.Offer != nil && r.Offer.To == own
}

// passage is a text of a record with its field's title, and the lowest
// sight that reads it.
type passage struct {
	class  domain.Sight
	title  string
	text   string
	masked string // how it is shown instead, "" as it is
}

// passages lists what the viewer may search in a record, and the ID cards
// and phones that it has, if they may know of these.
func (v *viewer) passages(f Found) ([]passage, []string, error) {
	out, numbers, err := v.read(f.Def, f.Record, f.Sight)
	if f.Sight >= domain.SightTeam {
		return out, numbers, err
	}
	for i := range out {
		out[i].text = domain.MaskText(out[i].text)
	}
	return out, nil, err
}

// read opens what a sight reads of a record: its number and coded heading,
// the texts that the definition names for search, papers and notes, and
// persons. The heading is found in both languages.
func (v *viewer) read(def *domain.Definition, r *domain.Record, sight domain.Sight) (out []passage, numbers []string, err error) {
	title := v.say("摘要", "Summary")
	for _, lang := range []string{"zh", "en"} {
		in := *v
		in.lang = lang
		text := strings.Join(append(append([]string{r.Number}, r.Aliases...), in.heading(def, r)), " ")
		out = append(out, passage{class: domain.SightSummary, title: title, text: strings.TrimSpace(text)})
	}
	if sight < domain.SightText {
		return out, nil, nil
	}
	named := append(pathsOf(r, def.Search.Text), pathsOf(r, def.Search.Names)...)
	for _, s := range r.Sealed {
		field, ok := def.FieldAt(s.Path)
		if !ok || s.Part != seal.Full || field.Sensitivity == domain.SenseSecret || field.Mask == domain.MaskAccount {
			continue
		}
		isNumber := numberMask(field.Mask)
		if !isNumber && !slices.Contains(named, s.Path) && !strings.HasPrefix(s.Path, "documents/") {
			continue
		}
		p := passage{class: domain.SightText, title: field.Title.In(v.lang)}
		if field.Sensitivity == domain.SenseIdentity || field.Mask != "" {
			p.class = domain.SightTeam
		}
		if p.class > sight {
			continue
		}
		if p.text, err = v.box.open(r, s); errors.Is(err, ErrErased) {
			continue
		} else if err != nil {
			return nil, nil, err
		}
		if isNumber {
			numbers = append(numbers, domain.NormalNumber(p.text))
			continue
		}
		if field.Mask != "" {
			p.masked = domain.MaskValue(field.Mask, p.text)
		}
		out = append(out, p)
	}
	notes, err := v.notes(def, r)
	if err != nil {
		return nil, nil, err
	}
	out = append(out, notes...)
	if sight >= domain.SightTeam {
		for _, p := range out {
			_, found := domain.SplitNumbers(p.text)
			numbers = append(numbers, found...)
		}
	}
	slices.Sort(numbers)
	return out, slices.Compact(numbers), nil
}

// notes of the timeline are case text.
func (v *viewer) notes(def *domain.Definition, r *domain.Record) (out []passage, err error) {
	title := v.say("办理意见", "Note")
	for _, e := range allEntries(r) {
		for _, s := range e.Sealed {
			if s.Part != seal.Full || s.Path != domain.InNote {
				continue
			}
			text, err := v.box.open(r, s)
			if errors.Is(err, ErrErased) {
				continue
			}
			if err != nil {
				return nil, err
			}
			out = append(out, passage{class: domain.SightText, title: title, text: text})
		}
	}
	return out, nil
}

func numberMask(m domain.Mask) bool {
	return m == domain.MaskIDCard || m == domain.MaskPhone || m == domain.MaskLandline
}
