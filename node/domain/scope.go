package domain

import (
	"maps"
	"slices"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// Tree is the rules with every organisation listed, which a filter needs to
// name all that lie below one. Organisations is ranged over.
type Tree interface {
	Rules
	Organisations(yield func(code string) bool)
}

// Scope is SightOf as a filter over an index: it takes a record that has,
// for one of its clauses, one term of every set. An empty scope takes none.
type Scope [][][]string

// Holds applies the filter to the terms of one record.
func (s Scope) Holds(terms []string) bool {
	has := func(t string) bool { return slices.Contains(terms, t) }
	return slices.ContainsFunc(s, func(clause [][]string) bool {
		return !slices.ContainsFunc(clause, func(set []string) bool { return !slices.ContainsFunc(set, has) })
	})
}

// The first letter of a term says which part of a record it names.
const (
	termCustodian  = "c"
	termHolder     = "h"
	termPast       = "p" // organisation that it was sent to before
	termCreator    = "u"
	termReporter   = "r"
	termAssist     = "s"
	termCopy       = "k"
	termAssigned   = "a"
	termCommittee  = "m"
	termOffered    = "o"
	termFamily     = "f"
	termUnlimited  = "x0"
	termRestricted = "x1"
)

// ScopeTerms are all that SightOf reads of a record. They name the
// organisations as they stand in the record: where these lie in the tree is
// a matter of the asker's filter, so that moving an organisation changes no
// record.
func ScopeTerms(def *Definition, r *Record) []string {
	out := []string{termFamily + string(def.Family), termUnlimited, termCustodian + r.Custodian, termHolder + r.Holder,
		termCreator + r.CreatedBy.String(), termReporter + r.Reporter}
	if Restricted(def, r) {
		out[1] = termRestricted
	}
	for _, e := range r.Steps {
		if e.Target != "" {
			out = append(out, termPast+e.Target)
		}
	}
	for _, a := range r.Assists {
		out = append(out, termAssist+a.Organisation)
	}
	for _, c := range r.Copies {
		out = append(out, termCopy+c.Target)
	}
	for _, a := range r.List(FieldAssigned) {
		out = append(out, termAssigned+a)
	}
	if m := r.Text(FieldCommittee); m != "" {
		out = append(out, termCommittee+m)
	}
	if r.Offer != nil {
		out = append(out, termOffered+r.Offer.To)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ScopeOf gives the filter of the records of which the subject has at least
// that sight. For every record, ScopeOf(t, s, at).Holds(ScopeTerms(def, r))
// is SightOf(t, s, def, r) >= at.
func ScopeOf(t Tree, s Subject, at Sight) Scope {
	var out Scope
	for _, g := range s.Grants {
		if g.Role == RoleBox || g.Role == RoleTechnician {
			continue
		}
		a := newAsker(t, s.User, g)
		for _, family := range slices.Sorted(maps.Keys(sightRules)) {
			for _, rule := range sightRules[family][g.Role] {
				if rule.sight >= at {
					out = append(out, a.clauses(family, rule)...)
				}
			}
		}
	}
	return out
}

// asker is an actor with the organisations that its bonds reach.
type asker struct {
	envelope.Actor
	office string   // see worksFor
	below  []string // itself and all below it
	upward []string // itself and all above it
}

func newAsker(t Tree, user envelope.RecordID, g Grant) *asker {
	a := &asker{Actor: envelope.Actor{User: user, Organisation: g.Organisation, Role: g.Role}}
	a.office = worksFor(t, a.Actor)
	if g.Organisation == "" {
		return a
	}
	a.below = []string{g.Organisation}
	for org := range t.Organisations {
		if org != g.Organisation && Within(t, org, g.Organisation) {
			a.below = append(a.below, org)
		}
	}
	slices.Sort(a.below)
	a.upward = upward(t, g.Organisation)
	return a
}

// clauses of a rule: for matters open to all who have its bonds, and for
// restricted ones, where the team alone has.
func (a *asker) clauses(family Family, rule sightRule) Scope {
	base := [][]string{{termFamily + string(family)}}
	if !slices.Contains(rule.bonds, anybody) {
		base = append(base, a.terms(rule.bonds))
	}
	var out Scope
	for _, clause := range [][][]string{
		append(slices.Clone(base), []string{termUnlimited}),
		append(slices.Clone(base), []string{termRestricted}, a.terms(teamBonds(a.Role, family))),
	} {
		if !slices.ContainsFunc(clause, func(set []string) bool { return len(set) == 0 }) {
			out = append(out, clause)
		}
	}
	return out
}

// terms are those of which a record must have one for one of the bonds.
func (a *asker) terms(bonds []bond) []string {
	var out []string
	add := func(prefix string, values ...string) {
		for _, v := range values {
			out = append(out, prefix+v)
		}
	}
	for _, b := range bonds {
		switch b {
		case inside:
			add(termCustodian, a.office)
		case above:
			add(termCustodian, slices.DeleteFunc(slices.Clone(a.below), func(o string) bool { return o == a.Organisation })...)
		case desk:
			add(termHolder, a.Organisation)
		case own:
			if !a.User.IsZero() {
				add(termCreator, a.User.String())
			}
		case reporter:
			add(termReporter, a.below...)
		case turn:
			add(termHolder, a.below...)
		case holder:
			add(termHolder, a.below...)
			add(termPast, a.below...)
		case assist:
			add(termAssist, a.below...)
		case copied:
			add(termCopy, a.User.String())
			add(termCopy, a.upward...)
		case assigned:
			add(termAssigned, a.User.String())
		case register:
			add(termCommittee, a.below...)
		case offered:
			add(termOffered, a.office)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
