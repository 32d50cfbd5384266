package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
)

// Candidates of a merge (DOMAIN §4.4): same kind and village, within a
// year, texts alike by three fifths. A person decides.
const (
	alikeSince   = 365 * 24 * time.Hour
	alikeAtLeast = 60
	alikeRunes   = 400 // of the text compared
	maxAlike     = 5
	maxEarlier   = 5
	likeHits     = 50
)

// Similar finds earlier matters of the persons in a draft and matters that
// may be the same one, as far as the caller may know of them.
func (b *Box) Similar(ctx context.Context, c Caller, kind string, fields map[string]any, self string) (api.Similar, error) {
	out := api.Similar{People: []api.RecordRow{}, Duplicates: []api.Duplicate{}}
	v := b.viewer(c)
	def, _, ok := v.p.kind(kind)
	if !ok {
		return out, ErrUnknownKind
	}
	if err := b.settled(ctx); err != nil {
		return out, err
	}
	earlier, err := v.samePersons(def, fields, self)
	if err != nil {
		return out, err
	}
	same := map[envelope.RecordID]bool{}
	for i, f := range earlier {
		same[f.Record.ID] = true
		if i == maxEarlier {
			break
		}
		row, err := v.row(f)
		if err != nil {
			return out, err
		}
		out.People = append(out.People, row)
	}
	out.Duplicates, err = v.alike(ctx, def, fields, self, same)
	return out, err
}

// samePersons lists matters with the same ID card or phone, newest first.
// Who may not see a number must not learn that it is there.
func (v *viewer) samePersons(def *domain.Definition, fields map[string]any, self string) ([]Found, error) {
	var out []Found
	seen := map[envelope.RecordID]bool{}
	for path, value := range fields {
		number, _ := value.(string)
		if !slices.Contains(def.Search.Hashes, patternOf(path)) || len(domain.NormalNumber(number)) < minPhone {
			continue
		}
		hits, err := v.box.store.Scan(keyOf("p", v.box.numberHash(number)), nil, true, maxPage)
		if err != nil {
			return nil, err
		}
		for _, h := range hits {
			f, ok, err := v.box.find(v.c, Query{}, h.ID)
			if err != nil {
				return nil, err
			}
			if ok && !seen[h.ID] && f.Sight >= domain.SightTeam && h.ID.String() != self {
				seen[h.ID] = true
				out = append(out, f)
			}
		}
	}
	slices.SortFunc(out, func(a, b Found) int { return int(b.Record.CreatedAt - a.Record.CreatedAt) })
	return out, nil
}

// patternOf turns people/0/phone into people/*/phone, as definitions name
// it.
func patternOf(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) == 3 {
		parts[1] = "*"
	}
	return strings.Join(parts, "/")
}

// alike lists matters whose texts resemble the draft's, most alike first.
func (v *viewer) alike(ctx context.Context, def *domain.Definition, fields map[string]any, self string, same map[envelope.RecordID]bool) ([]api.Duplicate, error) {
	out := []api.Duplicate{}
	village, _ := fields[domain.FieldVillage].(string)
	paths, text := draftText(def, fields)
	if v.box.finder == nil || village == "" || text == "" {
		return out, nil
	}
	head, err := v.box.store.Head()
	if err != nil {
		return out, err
	}
	except, _, err := v.box.pending(ctx, head)
	if err != nil {
		return out, err
	}
	since := v.now - alikeSince.Milliseconds()
	ids, err := v.box.finder.Like(ctx, FinderLike{Text: text, Kind: def.ID, Village: village, From: max(since, 0), Scope: v.scopes()[1], Except: except, Limit: likeHits})
	if err != nil {
		return out, err
	}
	for _, id := range ids {
		d, err := v.duplicate(id, self, paths, text, same)
		if err != nil {
			return out, err
		}
		if d != nil {
			out = append(out, *d)
		}
	}
	slices.SortStableFunc(out, func(a, b api.Duplicate) int { return int(b.Score - a.Score) })
	return out[:min(len(out), maxAlike)], nil
}

// draftText joins the texts of a draft that the kind names for search and
// that are not a person's; like is compared with like.
func draftText(def *domain.Definition, fields map[string]any) (paths []string, text string) {
	var parts []string
	for _, path := range def.Search.Text {
		field, ok := def.FieldAt(path)
		if value, _ := fields[path].(string); ok && value != "" && field.Sensitivity == domain.SenseTeam && field.Mask == "" {
			paths, parts = append(paths, path), append(parts, value)
		}
	}
	return paths, clipRunes(strings.Join(parts, "\n"), alikeRunes)
}

func clipRunes(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// duplicate measures one candidate on its record, nil when it is none.
func (v *viewer) duplicate(id, self string, paths []string, text string, same map[envelope.RecordID]bool) (*api.Duplicate, error) {
	rid, err := envelope.ParseRecordID(id)
	if err != nil || id == self {
		return nil, err
	}
	r, def, err := v.box.visible(v.p, v.c.Subject, rid)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f := Found{Record: r, Def: def, Sight: domain.SightOf(v.p, v.c.Subject, def, r)}
	if f.Sight < domain.SightText || r.Merged() {
		return nil, nil
	}
	var parts []string
	for _, path := range paths {
		part, ok := r.SealedAt(path, seal.Full)
		if !ok {
			continue
		}
		value, err := v.openOrErased(r, part)
		if err != nil {
			return nil, err
		}
		parts = append(parts, value)
	}
	score := domain.Resemblance(text, clipRunes(strings.Join(parts, "\n"), alikeRunes))
	if score < alikeAtLeast {
		return nil, nil
	}
	row, err := v.row(f)
	if err != nil {
		return nil, err
	}
	d := &api.Duplicate{Row: row, Score: score, Reasons: []string{v.say(fmt.Sprintf("同一村（社区），一年内，内容相近 %d %%", score), fmt.Sprintf("Same village within a year, text alike by %d %%", score))}}
	if same[rid] {
		d.Reasons = append(d.Reasons, v.say("证件号或电话相同", "Same ID card or phone"))
	}
	return d, nil
}
