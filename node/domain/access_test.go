package domain_test

import (
	"testing"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// The ties of somebody to a record, beside being nobody to it.
const (
	tieNone     = "stranger"
	tieOwn      = "reported it"
	tieTurn     = "its turn"
	tieBefore   = "had its turn"
	tieAssist   = "asked to help"
	tieCopied   = "told"
	tieAssigned = "assigned"
	tieRegister = "its committee"
	tieOther    = "of another township"
	tieOffered  = "of another township, offered"
)

var ties = []string{tieNone, tieOwn, tieTurn, tieBefore, tieAssist, tieCopied, tieAssigned, tieRegister, tieOther, tieOffered}

const (
	no      = domain.SightNone
	summary = domain.SightSummary
	words   = domain.SightText
	team    = domain.SightTeam
)

// home is where each role works in the tests, and its like in the other
// township.
var home = map[string][2]string{
	domain.RoleGridMember: {grid, away}, domain.RoleVillageCadre: {village, away}, domain.RoleMediator: {panel, away},
	domain.RoleStationOfficer: {station, away}, domain.RoleDutyOfficer: {town, otherTown}, domain.RoleLeader: {town, otherTown},
	domain.RoleJusticeOfficer: {justice, otherTown}, domain.RolePetitionOfficer: {town, otherTown}, domain.RoleCountyOfficer: {county, county},
	domain.RoleSystemAdmin: {town, otherTown}, domain.RoleSecurityAdmin: {town, otherTown}, domain.RoleAuditAdmin: {town, otherTown},
	domain.RoleBox: {town, otherTown}, domain.RoleTechnician: {town, otherTown},
}

// rights is DOMAIN §9.3 written by hand: family, role, and what the role
// sees in the order of ties. A role that is not listed sees nothing.
var rights = []struct {
	kind, role string
	sees       [10]domain.Sight
}{
	// Events: grid and village their own and what they are told; stations what was sent to them; the centre its township.
	{"event", domain.RoleGridMember, [10]domain.Sight{no, team, team, words, words, words, no, no, no, no}},
	{"event", domain.RoleVillageCadre, [10]domain.Sight{no, team, team, words, words, words, no, no, no, no}},
	{"event", domain.RoleStationOfficer, [10]domain.Sight{no, words, team, words, team, words, no, no, no, no}},
	{"event", domain.RoleDutyOfficer, [10]domain.Sight{team, team, team, team, team, team, team, team, no, team}},
	{"event", domain.RoleLeader, [10]domain.Sight{team, team, team, team, team, team, team, team, no, team}},
	{"event", domain.RoleCountyOfficer, [10]domain.Sight{summary, summary, summary, summary, summary, summary, summary, summary, summary, summary}},
	// Mediation: the mediator his own, the committee's register in summary, the centre summaries, the justice office all.
	{"mediation", domain.RoleGridMember, [10]domain.Sight{no, summary, no, no, no, no, no, no, no, no}},
	{"mediation", domain.RoleVillageCadre, [10]domain.Sight{no, words, no, no, no, no, no, words, no, no}},
	{"mediation", domain.RoleMediator, [10]domain.Sight{no, team, no, no, no, no, team, summary, no, no}},
	{"mediation", domain.RoleDutyOfficer, [10]domain.Sight{summary, summary, summary, summary, summary, summary, summary, summary, no, summary}},
	{"mediation", domain.RoleStationOfficer, [10]domain.Sight{no, words, team, words, team, words, no, no, no, no}},
	{"mediation", domain.RoleLeader, [10]domain.Sight{team, team, team, team, team, team, team, team, no, team}},
	{"mediation", domain.RoleJusticeOfficer, [10]domain.Sight{team, team, team, team, team, team, team, team, no, team}},
	{"mediation", domain.RoleCountyOfficer, [10]domain.Sight{summary, summary, summary, summary, summary, summary, summary, summary, summary, summary}},
	// Petitions.
	{"petition", domain.RoleGridMember, [10]domain.Sight{no, words, no, no, no, no, no, no, no, no}},
	{"petition", domain.RoleVillageCadre, [10]domain.Sight{no, words, no, no, no, no, no, no, no, no}},
	{"petition", domain.RoleStationOfficer, [10]domain.Sight{no, words, team, words, team, words, no, no, no, no}},
	{"petition", domain.RoleDutyOfficer, [10]domain.Sight{team, team, team, team, team, team, team, team, no, team}},
	{"petition", domain.RoleLeader, [10]domain.Sight{team, team, team, team, team, team, team, team, no, team}},
	{"petition", domain.RolePetitionOfficer, [10]domain.Sight{team, team, team, team, team, team, team, team, no, team}},
	{"petition", domain.RoleCountyOfficer, [10]domain.Sight{summary, summary, summary, summary, summary, summary, summary, summary, summary, summary}},
	// Duty.
	{"duty_log", domain.RoleDutyOfficer, [10]domain.Sight{team, team, team, team, team, team, team, team, no, team}},
	{"duty_log", domain.RoleLeader, [10]domain.Sight{team, team, team, team, team, team, team, team, no, team}},
	{"duty_log", domain.RoleStationOfficer, [10]domain.Sight{no, words, words, no, no, words, no, no, no, no}},
	{"duty_log", domain.RoleCountyOfficer, [10]domain.Sight{summary, summary, summary, summary, summary, summary, summary, summary, summary, summary}},
	// Notices: those they name, who wrote them, and the centre.
	{"notice", domain.RoleGridMember, [10]domain.Sight{no, words, no, no, no, words, no, no, no, no}},
	{"notice", domain.RoleVillageCadre, [10]domain.Sight{no, words, no, no, no, words, no, no, no, no}},
	{"notice", domain.RoleMediator, [10]domain.Sight{no, words, no, no, no, words, no, no, no, no}},
	{"notice", domain.RoleStationOfficer, [10]domain.Sight{no, words, no, no, no, words, no, no, no, no}},
	{"notice", domain.RoleDutyOfficer, [10]domain.Sight{words, words, words, words, words, words, words, words, no, words}},
	{"notice", domain.RoleLeader, [10]domain.Sight{words, words, words, words, words, words, words, words, no, words}},
	{"notice", domain.RoleJusticeOfficer, [10]domain.Sight{no, words, no, no, no, words, no, no, no, no}},
	{"notice", domain.RolePetitionOfficer, [10]domain.Sight{no, words, no, no, no, words, no, no, no, no}},
	{"notice", domain.RoleCountyOfficer, [10]domain.Sight{no, words, no, no, no, words, no, no, no, no}},
	// Accounts: the security administrator of the township; the system administrator only that they are.
	{"account", domain.RoleSecurityAdmin, [10]domain.Sight{team, team, team, team, team, team, team, team, no, team}},
	{"account", domain.RoleSystemAdmin, [10]domain.Sight{summary, summary, summary, summary, summary, summary, summary, summary, no, summary}},
	// Settings.
	{"calendar", domain.RoleSystemAdmin, [10]domain.Sight{words, words, words, words, words, words, words, words, words, words}},
	{"calendar", domain.RoleSecurityAdmin, [10]domain.Sight{words, words, words, words, words, words, words, words, words, words}},
}

// tied makes a record of the township with one tie to the actor.
func tied(w *world, kind, tie string, a envelope.Actor) *domain.Record {
	r := &domain.Record{ID: id(1), Definition: w.current[kind], State: "reported", Custodian: town, Holder: town, Epoch: 1,
		Reporter: village2, CreatedBy: id(2), Open: map[string]any{}}
	if a.Role == domain.RoleDutyOfficer || a.Role == domain.RoleLeader {
		r.Holder = station
	}
	switch tie {
	case tieOwn:
		r.CreatedBy = a.User
	case tieTurn:
		r.Holder = a.Organisation
	case tieBefore:
		r.Steps = []domain.Entry{{Target: a.Organisation}}
	case tieAssist:
		r.Assists = []domain.Assist{{Organisation: a.Organisation}}
	case tieCopied:
		r.Copies = []domain.Copy{{Target: a.Organisation}}
	case tieAssigned:
		r.Open[domain.FieldAssigned] = []string{a.User.String()}
	case tieRegister:
		r.Open[domain.FieldCommittee] = panel
	case tieOffered:
		r.Offer = &domain.Offer{To: otherTown}
	}
	return r
}

func TestSight(t *testing.T) {
	w := newWorld(t)
	kinds := []string{"event", "mediation", "petition", "notice", "duty_log", "account", "calendar"}
	listed := map[[2]string][10]domain.Sight{}
	for _, r := range rights {
		listed[[2]string{r.kind, r.role}] = r.sees
	}
	for _, kind := range kinds {
		for role, places := range home {
			want := listed[[2]string{kind, role}]
			for i, tie := range ties {
				org := places[0]
				if tie == tieOther || tie == tieOffered {
					org = places[1]
				}
				a := actor(role, org)
				s := domain.Subject{User: a.User, Grants: []domain.Grant{{Role: role, Organisation: org}}}
				if got := domain.SightOf(w, s, w.def(kind), tied(w, kind, tie, a)); got != want[i] {
					t.Errorf("%s, %s, %s: sight %d, want %d", kind, role, tie, got, want[i])
				}
			}
		}
	}
}

// TestMasterIsPublic: names of organisations are for everybody but the
// audit administrator, who has no records at all.
func TestMasterIsPublic(t *testing.T) {
	w := newWorld(t)
	for _, role := range domain.Roles() {
		a := actor(role, home[role][0])
		s := domain.Subject{User: a.User, Grants: []domain.Grant{{Role: role, Organisation: a.Organisation}}}
		want := words
		if role == domain.RoleAuditAdmin {
			want = no
		}
		if got := domain.SightOf(w, s, w.def("organisation"), tied(w, "organisation", tieNone, a)); got != want {
			t.Errorf("%s: sight %d", role, got)
		}
	}
}

// TestRestricted: informers, minors and domestic violence are for the
// handling team and the leader (DOMAIN §9.2).
func TestRestricted(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		kind, path, value string
		a                 envelope.Actor
		tie               string
		want              domain.Sight
	}{
		{"petition", "class", "accusation", duty, tieNone, no},
		{"petition", "class", "accusation", duty, tieTurn, no}, // township except 检举控告
		{"petition", "class", "accusation", petitions, tieNone, team},
		{"petition", "class", "accusation", leader, tieNone, team},
		{"petition", "class", "accusation", officer, tieTurn, team},
		{"petition", "class", "accusation", officer, tieBefore, no},
		{"petition", "class", "accusation", officer, tieCopied, no},
		{"petition", "class", "accusation", cadre, tieOwn, no},
		{"petition", "class", "accusation", upper, tieNone, no},
		{"petition", "class", "claim", duty, tieNone, team},
		{"event", "restricted", "minor", duty, tieTurn, team}, // on the centre's own desk
		{"event", "restricted", "minor", duty, tieNone, no},   // with a station
		{"event", "restricted", "minor", officer, tieTurn, team},
		{"event", "restricted", "minor", member, tieOwn, no},
		{"event", "restricted", "minor", leader, tieNone, team},
		{"mediation", "violence_check", "suspected", duty, tieNone, no},
		{"mediation", "violence_check", "suspected", duty, tieTurn, no}, // summary, no dossier: named team only
		{"mediation", "violence_check", "suspected", cadre, tieRegister, no},
		{"mediation", "violence_check", "suspected", mediator, tieRegister, no},
		{"mediation", "violence_check", "suspected", mediator, tieAssigned, team},
		{"mediation", "violence_check", "suspected", mediator, tieOwn, team},
		{"mediation", "violence_check", "suspected", judicial, tieNone, team},
		{"mediation", "violence_check", "none", mediator, tieRegister, summary},
	} {
		r := tied(w, c.kind, c.tie, c.a)
		r.Open[c.path] = c.value
		s := domain.Subject{User: c.a.User, Grants: []domain.Grant{{Role: c.a.Role, Organisation: c.a.Organisation}}}
		if got := domain.SightOf(w, s, w.def(c.kind), r); got != c.want {
			t.Errorf("%s %s=%s, %s, %s: sight %d, want %d", c.kind, c.path, c.value, c.a.Role, c.tie, got, c.want)
		}
	}
}

// TestGrantsAdd: the best of several grants counts, each for itself.
func TestGrantsAdd(t *testing.T) {
	w := newWorld(t)
	r := tied(w, "event", tieNone, duty)
	s := domain.Subject{User: id(5), Grants: []domain.Grant{{Role: domain.RoleGridMember, Organisation: grid}, {Role: domain.RoleDutyOfficer, Organisation: otherTown}}}
	if got := domain.SightOf(w, s, w.def("event"), r); got != no {
		t.Errorf("a grant elsewhere gives sight %d", got)
	}
	s.Grants = append(s.Grants, domain.Grant{Role: domain.RoleLeader, Organisation: town})
	if got := domain.SightOf(w, s, w.def("event"), r); got != team {
		t.Errorf("sight %d", got)
	}
}

func TestExcludes(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{domain.RoleSystemAdmin, domain.RoleSecurityAdmin, true}, {domain.RoleAuditAdmin, domain.RoleSecurityAdmin, true},
		{domain.RoleSystemAdmin, domain.RoleDutyOfficer, true}, {domain.RoleGridMember, domain.RoleAuditAdmin, true},
		{domain.RoleGridMember, domain.RoleMediator, false}, {domain.RoleSystemAdmin, domain.RoleSystemAdmin, false},
	} {
		if got := domain.Excludes(c.a, c.b); got != c.want || domain.Excludes(c.b, c.a) != c.want {
			t.Errorf("%s beside %s: %v", c.a, c.b, got)
		}
	}
}

// TestNoStepForStrangers: whoever sees nothing of a record can do nothing
// to it, in every kind and for every step.
func TestNoStepForStrangers(t *testing.T) {
	w := newWorld(t)
	for kind := range w.current {
		def := w.def(kind)
		for role, places := range home {
			if role == domain.RoleBox || role == domain.RoleTechnician {
				continue
			}
			a := actor(role, places[1])
			r := tied(w, kind, tieOther, a)
			s := domain.Subject{User: a.User, Grants: []domain.Grant{{Role: role, Organisation: a.Organisation}}}
			sees := domain.SightOf(w, s, def, r)
			for i := range def.Steps {
				if sees == no && domain.MayStep(w, a, def, &def.Steps[i], r) {
					t.Errorf("%s: %s of another township may %s", kind, role, def.Steps[i].ID)
				}
			}
		}
	}
}

// TestAboveDoesNotActBelow: the county sees a summary of what lies below and
// may instruct and recall, but takes no step of the township's desk.
func TestAboveDoesNotActBelow(t *testing.T) {
	w := newWorld(t)
	r := tied(w, "event", tieNone, upper)
	r.State = "reported"
	for step, want := range map[string]bool{"accept": false, "reject": false, "file_only": false, "close": false, "verify": false, "instruct": true, "recall": true} {
		s, ok := w.def("event").Step(step)
		if !ok {
			t.Fatal(step)
		}
		if got := domain.MayStep(w, upper, w.def("event"), s, r); got != want {
			t.Errorf("the county may %s: %v", step, got)
		}
	}
}

func TestMayCreate(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		kind, role string
		want       bool
	}{
		{"event", domain.RoleGridMember, true}, {"event", domain.RoleSystemAdmin, false}, {"mediation", domain.RoleMediator, true},
		{"mediation", domain.RoleGridMember, false}, {"account", domain.RoleSecurityAdmin, true}, {"account", domain.RoleSystemAdmin, false},
		{"account", domain.RoleLeader, false}, {"organisation", domain.RoleSystemAdmin, true}, {"notice", domain.RoleGridMember, false},
		{"alarm", domain.RoleBox, true}, {"petition", domain.RoleVillageCadre, true}, {"event", domain.RoleAuditAdmin, false},
	} {
		if got := domain.MayCreate(w.def(c.kind), domain.Grant{Role: c.role, Organisation: town}); got != c.want {
			t.Errorf("%s creates %s: %v", c.role, c.kind, got)
		}
	}
}
