package domain

import (
	"slices"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// Roles. The three administrators exclude one another and every business
// role (三员分立, GB/T 22239).
const (
	RoleGridMember      = "grid_member"
	RoleVillageCadre    = "village_cadre"
	RoleMediator        = "mediator"
	RoleDutyOfficer     = "duty_officer"
	RoleStationOfficer  = "station_officer"
	RoleLeader          = "leader"
	RoleJusticeOfficer  = "justice_officer"
	RolePetitionOfficer = "petition_officer"
	RoleCountyOfficer   = "county_officer"
	RoleSystemAdmin     = "system_admin"
	RoleSecurityAdmin   = "security_admin"
	RoleAuditAdmin      = "audit_admin"
	RoleTechnician      = "technician" // root at the box's own terminal
	RoleBox             = "box"        // the box itself: cards, alarms
)

var businessRoles = []string{RoleGridMember, RoleVillageCadre, RoleMediator, RoleDutyOfficer, RoleStationOfficer,
	RoleLeader, RoleJusticeOfficer, RolePetitionOfficer, RoleCountyOfficer}

var adminRoles = []string{RoleSystemAdmin, RoleSecurityAdmin, RoleAuditAdmin}

// Roles lists every role that an account may hold, business roles first.
func Roles() []string { return append(slices.Clone(businessRoles), adminRoles...) }

// AdminRoles lists the three administrators.
func AdminRoles() []string { return slices.Clone(adminRoles) }

// Grant is a role held for an organisation.
type Grant struct {
	Role         string
	Organisation string
}

// Excludes reports whether one account may not hold both roles: any two of
// the three administrators, or one of them beside casework.
func Excludes(a, b string) bool {
	if a == b {
		return false
	}
	return slices.Contains(adminRoles, a) || slices.Contains(adminRoles, b)
}

// Sight is how much of a record somebody may see. Higher includes lower.
type Sight int

const (
	SightNone    Sight = iota
	SightSummary       // codes, organisations, clocks; people masked, no text
	SightText          // case text; people masked
	SightTeam          // full values after giving a reason, logged
)

// Subject is who asks: an account with its grants.
type Subject struct {
	User   envelope.RecordID
	Grants []Grant
}

// FullSight is the sight that attachments, papers and full values of a kind
// ask for: the team's. A notice is written to be read by all it reaches.
func FullSight(def *Definition) Sight {
	if def.Family == FamilyNotice {
		return SightText
	}
	return SightTeam
}

// SightOf is the one decision on reading (DOMAIN §9.3: roles × scope × data
// class). What no rule allows is SightNone.
func SightOf(rules Rules, s Subject, def *Definition, r *Record) Sight {
	best := SightNone
	for _, g := range s.Grants {
		best = max(best, sightOf(rules, s.User, g, def, r))
	}
	return best
}

func sightOf(rules Rules, user envelope.RecordID, g Grant, def *Definition, r *Record) Sight {
	if g.Role == RoleBox || g.Role == RoleTechnician {
		return SightNone
	}
	rel := relations(rules, envelope.Actor{User: user, Organisation: g.Organisation, Role: g.Role}, r)
	if Restricted(def, r) && !rel.any(teamBonds(g.Role, def.Family)) {
		return SightNone
	}
	best := SightNone
	for _, rule := range sightRules[def.Family][g.Role] {
		if rel.any(rule.bonds) {
			best = max(best, rule.sight)
		}
	}
	return best
}

// Restricted matters (informers, minors, domestic violence) are seen by the
// handling team and the leader only.
func Restricted(def *Definition, r *Record) bool {
	if def.Restricted == nil {
		return false
	}
	_, ok := holds(*def.Restricted, r, "")
	return ok
}

// tie is how an actor is related to a record.
type tie struct {
	inside   bool // acts for the custodian itself
	above    bool // acts for an organisation above the custodian
	desk     bool // it lies with its own organisation, not with one below
	own      bool // reported it personally
	reporter bool // its organisation, or one below it, reported it
	holder   bool // its organisation's turn, or was so before
	turn     bool // its organisation's turn now
	assist   bool
	copied   bool
	assigned bool
	register bool // its committee keeps the case
	offered  bool // it was offered to the actor's organisation
}

// bond names one way in which an actor is tied to a record.
type bond uint8

const (
	anybody bond = iota
	inside
	above
	desk
	own
	reporter
	holder
	turn
	assist
	copied
	assigned
	register
	offered
)

func (t tie) has(b bond) bool {
	return [...]bool{anybody: true, inside: t.inside, above: t.above, desk: t.desk, own: t.own, reporter: t.reporter, holder: t.holder,
		turn: t.turn, assist: t.assist, copied: t.copied, assigned: t.assigned, register: t.register, offered: t.offered}[b]
}

func (t tie) any(bonds []bond) bool { return slices.ContainsFunc(bonds, t.has) }

// teamBonds are those of the people who work on a restricted matter. A
// superior organisation holds the turn of everything below it, so a centre
// counts only while the matter lies on its own desk, and its duty officers
// only for events (DOMAIN §9.3: township except 检举控告, no dossiers).
func teamBonds(role string, family Family) []bond {
	switch role {
	case RoleLeader, RolePetitionOfficer, RoleJusticeOfficer:
		return []bond{inside, assigned}
	case RoleDutyOfficer:
		if family != FamilyEvent {
			return []bond{assigned}
		}
	case RoleCountyOfficer:
		return []bond{desk, offered, assigned}
	case RoleMediator:
		return []bond{assigned, own}
	}
	return []bond{desk, assigned}
}

func relations(rules Rules, a envelope.Actor, r *Record) tie {
	covers := func(org string) bool { return org != "" && Within(rules, org, a.Organisation) }
	t := tie{
		inside:   worksFor(rules, a) == r.Custodian,
		above:    a.Organisation != r.Custodian && covers(r.Custodian),
		desk:     a.Organisation == r.Holder,
		own:      !a.User.IsZero() && a.User == r.CreatedBy,
		reporter: covers(r.Reporter),
		turn:     covers(r.Holder),
	}
	t.holder = t.turn || handled(r, covers)
	t.assist = slices.ContainsFunc(r.Assists, func(x Assist) bool { return covers(x.Organisation) })
	t.copied = slices.ContainsFunc(r.Copies, func(c Copy) bool {
		return c.Target == a.User.String() || Within(rules, a.Organisation, c.Target)
	})
	t.assigned = slices.Contains(r.List(FieldAssigned), a.User.String())
	t.register = r.Text(FieldCommittee) != "" && covers(r.Text(FieldCommittee)) ||
		r.Text(FieldCommittee) != "" && r.Text(FieldCommittee) == a.Organisation
	t.offered = r.Offer != nil && worksFor(rules, a) == r.Offer.To
	return t
}

// Fields of a kind with a meaning for rights.
const (
	FieldAssigned  = "assigned"  // accounts that handle the matter
	FieldCommittee = "committee" // that keeps the mediation case
	FieldVillage   = "village"   // where it happened
	FieldRating    = "rating"    // code that a step with effect rate sets
)

// officeRoles work for a whole township or county, also where they are
// entered at a station of it (the justice office, the petition desk).
var officeRoles = []string{RoleDutyOfficer, RoleLeader, RoleJusticeOfficer, RolePetitionOfficer, RoleCountyOfficer,
	RoleSystemAdmin, RoleSecurityAdmin, RoleAuditAdmin}

// worksFor gives the custodian that the actor acts for as a whole, "" for
// those whose scope is their own village, grid, station or committee.
func worksFor(rules Rules, a envelope.Actor) string {
	node, ok := rules.Organisation(a.Organisation)
	switch {
	case !ok:
		return ""
	case node.Level == LevelTownship || node.Level == LevelCounty:
		return node.Code
	case node.Level == LevelStation && slices.Contains(officeRoles, a.Role):
		return CustodianOf(rules, node.Parent)
	}
	return ""
}

func handled(r *Record, covers func(string) bool) bool {
	return slices.ContainsFunc(r.Steps, func(e Entry) bool { return covers(e.Target) })
}

// sightRule gives a sight to whoever has one of the bonds.
type sightRule struct {
	sight Sight
	bonds []bond
}

func rule(s Sight, bonds ...bond) []sightRule { return []sightRule{{s, bonds}} }

func everyone(s Sight) []sightRule { return rule(s, anybody) }

func township(s Sight) []sightRule { return rule(s, inside, offered) }

var (
	// Grid members and village cadres see what their area reported, handles
	// or was told.
	ownArea    = []sightRule{{SightTeam, []bond{turn, own}}, {SightText, []bond{reporter, holder, assist, copied}}}
	dispatched = []sightRule{{SightTeam, []bond{turn, assist}}, {SightText, []bond{holder, copied, own}}}
	// The county has full sight of what came up to it, and the coded summary
	// of what lies below, so that it can instruct and recall.
	countyWide = []sightRule{{SightTeam, []bond{inside, offered}}, {SightSummary, []bond{above}}}
	reached    = rule(SightText, copied, own, turn)
	// A notice is for those it names and for who wrote it.
	told = rule(SightText, copied, own)
)

// sightRules is the table of DOMAIN §9.3 by family of kind and role.
// SightOf decides one record by it, ScopeOf makes a filter of it.
var sightRules = map[Family]map[string][]sightRule{
	FamilyEvent: {
		RoleGridMember: ownArea, RoleVillageCadre: ownArea, RoleStationOfficer: dispatched,
		RoleDutyOfficer: township(SightTeam), RoleLeader: township(SightTeam),
		RoleCountyOfficer: countyWide,
	},
	FamilyMediation: {
		RoleGridMember:     rule(SightSummary, own),
		RoleVillageCadre:   rule(SightText, register, own),
		RoleMediator:       {{SightTeam, []bond{assigned, own}}, {SightSummary, []bond{register}}},
		RoleDutyOfficer:    township(SightSummary),
		RoleStationOfficer: dispatched, RoleLeader: township(SightTeam),
		RoleJusticeOfficer: township(SightTeam), RoleCountyOfficer: countyWide,
	},
	FamilyPetition: {
		RoleGridMember:     rule(SightText, own),
		RoleVillageCadre:   rule(SightText, own, reporter),
		RoleStationOfficer: dispatched, RoleDutyOfficer: township(SightTeam),
		RoleLeader: township(SightTeam), RolePetitionOfficer: township(SightTeam),
		RoleCountyOfficer: countyWide,
	},
	FamilyNotice: {
		RoleGridMember: told, RoleVillageCadre: told, RoleMediator: told, RoleStationOfficer: told,
		RoleJusticeOfficer: told, RolePetitionOfficer: told, RoleCountyOfficer: rule(SightText, inside, copied, own),
		RoleDutyOfficer: township(SightText), RoleLeader: township(SightText),
	},
	FamilyDuty: {
		RoleDutyOfficer: township(SightTeam), RoleLeader: township(SightTeam),
		RoleStationOfficer: reached, RoleCountyOfficer: countyWide,
	},
	FamilyMaster: {
		RoleGridMember: everyone(SightText), RoleVillageCadre: everyone(SightText), RoleMediator: everyone(SightText),
		RoleDutyOfficer: everyone(SightText), RoleStationOfficer: everyone(SightText), RoleLeader: everyone(SightText),
		RoleJusticeOfficer: everyone(SightText), RolePetitionOfficer: everyone(SightText), RoleCountyOfficer: everyone(SightText),
		RoleSystemAdmin: everyone(SightText), RoleSecurityAdmin: everyone(SightText),
	},
	FamilyAccount: {
		RoleSecurityAdmin: township(SightTeam), RoleSystemAdmin: township(SightSummary),
	},
	FamilySettings: {
		RoleSystemAdmin: everyone(SightText), RoleSecurityAdmin: everyone(SightText),
	},
}

// MayStep is the one decision on acting: the role is named by the step, the
// actor stands in one of its relations, and sees the record at all.
func MayStep(rules Rules, a envelope.Actor, def *Definition, step *Step, r *Record) bool {
	if !slices.Contains(step.Roles, a.Role) {
		return false
	}
	if a.Role == RoleBox || a.Role == RoleTechnician {
		return true
	}
	if sightOf(rules, a.User, Grant{Role: a.Role, Organisation: a.Organisation}, def, r) == SightNone {
		return false
	}
	if len(step.Where) == 0 {
		return true
	}
	rel := relations(rules, a, r)
	return slices.ContainsFunc(step.Where, func(want Relation) bool { return rel.is(want, a, r) })
}

func (t tie) is(want Relation, a envelope.Actor, r *Record) bool {
	switch want {
	case RelHolder:
		return t.turn && !t.above
	case RelCustodian:
		return t.inside
	case RelReporter:
		return t.own || t.reporter && !t.above
	case RelAssist:
		return t.assist
	case RelCopied:
		return t.copied
	case RelAssigned:
		return t.assigned
	case RelCommittee:
		return t.register
	case RelOffered:
		return t.offered
	case RelSender:
		return r.Sender != "" && r.Sender == a.Organisation
	case RelBox:
		return a.Role == RoleBox
	}
	return false
}

// MayCreate reports whether a grant may report a matter of the kind.
func MayCreate(def *Definition, g Grant) bool {
	for i := range def.Steps {
		if def.Steps[i].Effect == Create && slices.Contains(def.Steps[i].Roles, g.Role) {
			return true
		}
	}
	return false
}
