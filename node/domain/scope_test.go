package domain_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

func (w *world) Organisations(yield func(string) bool) { maps.Keys(w.organisations)(yield) }

// TestScopeIsSight: for every record and asker the filter takes what the
// one decision on reading allows, and nothing else, at every sight. Trees
// have rings, orphans and unknown parents, records name unknown
// organisations, and askers hold several grants.
func TestScopeIsSight(t *testing.T) {
	base := newWorld(t)
	kinds := slices.Sorted(maps.Keys(base.current))
	codes := append(slices.Sorted(maps.Keys(base.organisations)), "", "unknown")
	levels := []string{domain.LevelCounty, domain.LevelTownship, domain.LevelVillage, domain.LevelGrid, domain.LevelStation, domain.LevelCommittee}
	roles := append(domain.Roles(), domain.RoleBox, domain.RoleTechnician)
	users := []envelope.RecordID{{}, id(1), id(2), id(3)}
	seen := [4]int{}
	rapid.Check(t, func(rt *rapid.T) {
		w := *base
		w.organisations = maps.Clone(base.organisations)
		for range rapid.IntRange(0, 4).Draw(rt, "moved") {
			code := rapid.SampledFrom(codes).Draw(rt, "code")
			w.organisations[code] = domain.Organisation{Code: code, Parent: rapid.SampledFrom(codes).Draw(rt, "parent"), Level: rapid.SampledFrom(levels).Draw(rt, "level")}
		}
		def := w.def(rapid.SampledFrom(kinds).Draw(rt, "kind"))
		r := drawRecord(rt, codes, users)
		terms := domain.ScopeTerms(def, r)
		for range 60 {
			s := domain.Subject{User: rapid.SampledFrom(users).Draw(rt, "user")}
			for range rapid.IntRange(1, 2).Draw(rt, "grants") {
				s.Grants = append(s.Grants, domain.Grant{Role: rapid.SampledFrom(roles).Draw(rt, "role"), Organisation: rapid.SampledFrom(codes).Draw(rt, "at")})
			}
			sight := domain.SightOf(&w, s, def, r)
			seen[sight]++
			for at := domain.SightSummary; at <= domain.SightTeam; at++ {
				if got := domain.ScopeOf(&w, s, at).Holds(terms); got != (sight >= at) {
					rt.Fatalf("%s for %+v: sight %d, but the filter of %d says %v\nrecord %+v", def.ID, s, sight, at, got, r)
				}
			}
		}
	})
	for sight, n := range seen {
		if n < 10 {
			t.Errorf("sight %d was met %d times only", sight, n)
		}
	}
}

// drawRecord makes a record with every part that rights read.
func drawRecord(t *rapid.T, codes []string, users []envelope.RecordID) *domain.Record {
	org := func(what string) string { return rapid.SampledFrom(codes).Draw(t, what) }
	user := func(what string) envelope.RecordID { return rapid.SampledFrom(users).Draw(t, what) }
	r := &domain.Record{ID: id(9), Custodian: org("custodian"), Holder: org("holder"), Reporter: org("reporter"), CreatedBy: user("creator"), Open: map[string]any{}}
	for range rapid.IntRange(0, 2).Draw(t, "steps") {
		r.Steps = append(r.Steps, domain.Entry{Target: org("target")})
	}
	for range rapid.IntRange(0, 1).Draw(t, "assists") {
		r.Assists = append(r.Assists, domain.Assist{Organisation: org("assist")})
	}
	if rapid.Bool().Draw(t, "told") {
		r.Copies = append(r.Copies, domain.Copy{Target: org("copy")}, domain.Copy{Target: user("told").String()})
	}
	if rapid.Bool().Draw(t, "handled") {
		r.Open[domain.FieldAssigned] = []string{user("handler").String()}
	}
	if rapid.Bool().Draw(t, "kept") {
		r.Open[domain.FieldCommittee] = org("committee")
	}
	if rapid.Bool().Draw(t, "offer") {
		r.Offer = &domain.Offer{To: org("offered")}
	}
	if rapid.Bool().Draw(t, "restricted") {
		r.Open["restricted"], r.Open["class"] = "minor", "accusation"
	}
	return r
}
