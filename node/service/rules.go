package service

import (
	"maps"
	"slices"
	"strings"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/catalog"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/domain/clock"
)

// Kinds that the engine itself reads.
const (
	kindOrganisation = "organisation"
	kindAccount      = "account"
	kindDefinition   = "definition"
	kindCalendar     = "calendar"
	kindAlarm        = "alarm"
	kindShift        = "shift"
	kindDutyLog      = "duty_log"
	kindOutline      = "outline"
)

// policyKinds are folded into the policy as well as into records.
// Jobs stand before the rows that they bring.
var policyKinds = []string{kindDefinition, kindImport, kindOrganisation, kindAccount, kindCalendar}

// account is what rights and sign-in need of an account record.
type account struct {
	ID       envelope.RecordID
	Username string
	Status   string
	Grants   []domain.Grant
	Home     string // organisation of the first grant
}

// active accounts may sign in and act.
func (a *account) active() bool { return a.Status == "active" }

// holds reports a grant.
func (a *account) holds(g domain.Grant) bool { return slices.Contains(a.Grants, g) }

// organisation is a node of the tree with what people see of it.
type organisation struct {
	domain.Organisation
	Record   envelope.RecordID
	Name     string
	Abbr     string
	Lng, Lat int64 // 1e-6 degree
	Aliases  []string
}

// policy is the folded state of accounts, organisations, definitions and
// calendars. A published policy is never changed: the writer works on a
// clone and publishes it when its group is durable.
type policy struct {
	version       uint64 // sequence of the last operation folded in
	organisations map[string]*organisation
	children      map[string][]string // sorted codes
	accounts      map[envelope.RecordID]*account
	usernames     map[string]envelope.RecordID
	definitions   map[envelope.DefinitionRef]*domain.Definition
	current       map[string]envelope.DefinitionRef
	years         map[int]clock.Year
	calendar      *clock.Calendar
	jobs          map[string]string                    // state of imports, by record id
	held          map[envelope.RecordID]*domain.Record // what imports brought, in force or not
	seat          domain.Seat
	box           *policyBase
}

// policyBase is what never changes while the box runs.
type policyBase struct {
	embedded *catalog.Catalogue
}

func newPolicy(embedded *catalog.Catalogue, seat domain.Seat) *policy {
	return &policy{
		organisations: map[string]*organisation{}, children: map[string][]string{},
		accounts: map[envelope.RecordID]*account{}, usernames: map[string]envelope.RecordID{},
		definitions: map[envelope.DefinitionRef]*domain.Definition{}, current: map[string]envelope.DefinitionRef{},
		jobs: map[string]string{}, held: map[envelope.RecordID]*domain.Record{},
		years: map[int]clock.Year{}, calendar: clock.NewCalendar(nil, clock.OfficeHours), seat: seat, box: &policyBase{embedded: embedded},
	}
}

func (p *policy) clone() *policy {
	c := *p
	c.organisations = maps.Clone(p.organisations)
	c.children = maps.Clone(p.children)
	c.accounts = maps.Clone(p.accounts)
	c.usernames = maps.Clone(p.usernames)
	c.definitions = maps.Clone(p.definitions)
	c.current = maps.Clone(p.current)
	c.years = maps.Clone(p.years)
	c.jobs = maps.Clone(p.jobs)
	c.held = maps.Clone(p.held)
	return &c
}

// Definition implements domain.Rules. The kinds that carry the policy
// itself are always known; every other stands in the order first.
func (p *policy) Definition(ref envelope.DefinitionRef) (*domain.Definition, bool) {
	if def, ok := p.definitions[ref]; ok {
		return def, true
	}
	if !slices.Contains(policyKinds, ref.ID) {
		return nil, false
	}
	return p.box.embedded.ByRef(ref)
}

// Organisations implements domain.Tree.
func (p *policy) Organisations(yield func(code string) bool) { maps.Keys(p.organisations)(yield) }

// kind gives the definition that new records of a kind follow.
func (p *policy) kind(id string) (*domain.Definition, envelope.DefinitionRef, bool) {
	if ref, ok := p.current[id]; ok {
		return p.definitions[ref], ref, true
	}
	if !slices.Contains(policyKinds, id) {
		return nil, envelope.DefinitionRef{}, false
	}
	return p.box.embedded.Current(id)
}

// kinds lists the current kinds in order of their id.
func (p *policy) kinds() []*domain.Definition {
	out := make([]*domain.Definition, 0, len(p.current))
	for _, id := range slices.Sorted(maps.Keys(p.current)) {
		out = append(out, p.definitions[p.current[id]])
	}
	return out
}

// Organisation implements domain.Rules.
func (p *policy) Organisation(code string) (domain.Organisation, bool) {
	o, ok := p.organisations[code]
	if !ok {
		return domain.Organisation{}, false
	}
	return o.Organisation, true
}

// Seat implements domain.Rules: alone, the box is every seat at term 0.
func (p *policy) Seat(string) domain.Seat { return p.seat }

// Authority implements domain.Rules. The policy that a fold reads is the
// one at the operation's place, so the index is not needed on a lone box.
func (p *policy) Authority(a envelope.Actor, _ uint64) bool {
	if a.Role == domain.RoleBox || a.Role == domain.RoleTechnician {
		return a.User.IsZero()
	}
	acc, ok := p.accounts[a.User]
	return ok && acc.active() && acc.holds(domain.Grant{Role: a.Role, Organisation: a.Organisation})
}

// absorb folds a policy record's new state into p.
func (p *policy) absorb(r *domain.Record, seq uint64) error {
	p.version = seq
	if r.Import != "" {
		p.held[r.ID] = r
		if !counted(r, p.jobs[r.Import]) {
			p.leave(r)
			return nil
		}
	}
	return p.apply(r)
}

// apply brings a record into force.
func (p *policy) apply(r *domain.Record) error {
	switch r.Definition.ID {
	case kindImport:
		return p.absorbJob(r)
	case kindOrganisation:
		p.absorbOrganisation(r)
	case kindAccount:
		p.absorbAccount(r)
	case kindDefinition:
		return p.absorbDefinition(r)
	case kindCalendar:
		return p.absorbCalendar(r)
	}
	return nil
}

// absorbJob brings the rows of an import into force, or out of it.
func (p *policy) absorbJob(job *domain.Record) error {
	id := job.ID.String()
	if p.jobs[id] == job.State {
		return nil
	}
	p.jobs[id] = job.State
	for _, r := range p.held {
		if r.Import != id {
			continue
		}
		if !counted(r, job.State) {
			p.leave(r)
			continue
		}
		if err := p.apply(r); err != nil {
			return err
		}
	}
	return nil
}

// leave takes a record of an import out of force. While the job runs the
// user name stays reserved.
func (p *policy) leave(r *domain.Record) {
	switch r.Definition.ID {
	case kindOrganisation:
		code, parent := r.Text("code"), r.Text("parent")
		if o := p.organisations[code]; o != nil && o.Record == r.ID {
			delete(p.organisations, code)
			p.children[parent] = slices.DeleteFunc(slices.Clone(p.children[parent]), func(c string) bool { return c == code })
		}
	case kindAccount:
		delete(p.accounts, r.ID)
		if name := r.Text("username"); p.jobs[r.Import] == importUndone {
			delete(p.usernames, name)
		} else {
			p.usernames[name] = r.ID
		}
	}
	if p.jobs[r.Import] == importUndone {
		delete(p.held, r.ID)
	}
}

func (p *policy) absorbOrganisation(r *domain.Record) {
	o := &organisation{Organisation: domain.Organisation{Code: r.Text("code"), Parent: r.Text("parent"), Level: r.Text("level")},
		Record: r.ID, Name: r.Text("name"), Abbr: r.Text("abbr"), Lng: r.Int("point/lng"), Lat: r.Int("point/lat"), Aliases: r.List("aliases")}
	old := p.organisations[o.Code]
	p.organisations[o.Code] = o
	if old != nil && old.Parent == o.Parent {
		return
	}
	if old != nil {
		p.children[old.Parent] = slices.DeleteFunc(slices.Clone(p.children[old.Parent]), func(c string) bool { return c == o.Code })
	}
	siblings := slices.Clone(p.children[o.Parent])
	at, _ := slices.BinarySearch(siblings, o.Code)
	p.children[o.Parent] = slices.Insert(siblings, at, o.Code)
}

func (p *policy) absorbAccount(r *domain.Record) {
	a := &account{ID: r.ID, Username: r.Text("username"), Status: r.State, Grants: grantsOf(r.List("grants"))}
	if len(a.Grants) > 0 {
		a.Home = a.Grants[0].Organisation
	}
	if old := p.accounts[a.ID]; old != nil && old.Username != a.Username {
		delete(p.usernames, old.Username)
	}
	p.accounts[a.ID] = a
	p.usernames[a.Username] = a.ID
}

// absorbDefinition takes a kind as it was adopted. Records and operations
// name it by the hash of what was read then: a release that reads the same
// lines otherwise would find none of them, so it does not start at all.
func (p *policy) absorbDefinition(r *domain.Record) error {
	misread := &MisreadError{Kind: r.Text("kind"), Version: r.Int("version")}
	def, err := catalog.Parse(misread.Kind+".yaml", []byte(strings.Join(r.List("lines"), "\n")))
	if err != nil {
		misread.Cause = err
		return misread
	}
	hash := catalog.Hash(def)
	if definitionID(hash) != r.ID {
		return misread
	}
	ref := def.Ref(hash)
	p.definitions[ref] = def
	if cur, ok := p.current[def.ID]; !ok || cur.Version <= ref.Version {
		p.current[def.ID] = ref
	}
	return nil
}

// definitionID is the record of a definition: adopting the same twice gives
// one record, and the lines are held to what they meant.
func definitionID(hash envelope.Hash) (id envelope.RecordID) {
	copy(id[:], hash[1:])
	return id
}

func (p *policy) absorbCalendar(r *domain.Record) error {
	year, err := clock.ParseLines(int(r.Int("year")), r.List("days"), r.List("papers"))
	if err != nil {
		return err
	}
	p.years[year.Number()] = year
	p.calendar = p.workCalendar()
	return nil
}

// within lists org and everything below it.
func (p *policy) within(org string) []string {
	out := []string{org}
	for i := 0; i < len(out); i++ {
		out = append(out, p.children[out[i]]...)
	}
	return out
}

// name gives an organisation's name, its code when unknown.
func (p *policy) name(code string) string {
	if o, ok := p.organisations[code]; ok {
		return o.Name
	}
	return code
}
