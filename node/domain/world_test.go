package domain_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/catalog"
	"github.com/fengqiao/fengqiao/node/domain"
)

// The organisations of the tests.
const (
	county    = "330681"
	town      = "330681109"
	otherTown = "330681001"
	village   = "330681109290"
	village2  = "330681109291"
	grid      = "330681109290001"
	station   = "ST-330681109-01"
	justice   = "ST-330681109-02"
	panel     = "MC-330681109290"
	away      = "330681001001"
)

// world is the policy that the tests fold under.
type world struct {
	organisations map[string]domain.Organisation
	definitions   map[envelope.DefinitionRef]*domain.Definition
	current       map[string]envelope.DefinitionRef
	seats         map[string]domain.Seat
	revoked       map[envelope.RecordID]bool
}

func newWorld(t testing.TB) *world {
	t.Helper()
	c, err := catalog.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{organisations: map[string]domain.Organisation{}, definitions: map[envelope.DefinitionRef]*domain.Definition{},
		current: map[string]envelope.DefinitionRef{}, seats: map[string]domain.Seat{}, revoked: map[envelope.RecordID]bool{}}
	for _, o := range []domain.Organisation{
		{Code: county, Level: domain.LevelCounty},
		{Code: town, Parent: county, Level: domain.LevelTownship}, {Code: otherTown, Parent: county, Level: domain.LevelTownship},
		{Code: village, Parent: town, Level: domain.LevelVillage}, {Code: village2, Parent: town, Level: domain.LevelVillage},
		{Code: grid, Parent: village, Level: domain.LevelGrid},
		{Code: station, Parent: town, Level: domain.LevelStation}, {Code: justice, Parent: town, Level: domain.LevelStation},
		{Code: panel, Parent: village, Level: domain.LevelCommittee}, {Code: away, Parent: otherTown, Level: domain.LevelVillage},
	} {
		w.organisations[o.Code] = o
	}
	for _, k := range c.Kinds() {
		w.add(k.Definition, k.Ref)
	}
	return w
}

func (w *world) add(def *domain.Definition, ref envelope.DefinitionRef) {
	w.definitions[ref], w.current[def.ID] = def, ref
}

func (w *world) Definition(ref envelope.DefinitionRef) (*domain.Definition, bool) {
	def, ok := w.definitions[ref]
	return def, ok
}
func (w *world) Authority(a envelope.Actor, _ uint64) bool { return !w.revoked[a.User] }
func (w *world) Organisation(code string) (domain.Organisation, bool) {
	o, ok := w.organisations[code]
	return o, ok
}
func (w *world) Seat(custodian string) domain.Seat { return w.seats[custodian] }

func (w *world) def(kind string) *domain.Definition { return w.definitions[w.current[kind]] }

func id(n byte) envelope.RecordID { return envelope.RecordID{15: n, 0: 1} }

func actor(role, org string) envelope.Actor {
	sum := envelope.Sum([]byte(role + "@" + org))
	return envelope.Actor{User: envelope.RecordID(sum[1:17]), Organisation: org, Role: role}
}

var (
	duty       = actor(domain.RoleDutyOfficer, town)
	leader     = actor(domain.RoleLeader, town)
	member     = actor(domain.RoleGridMember, grid)
	cadre      = actor(domain.RoleVillageCadre, village)
	officer    = actor(domain.RoleStationOfficer, station)
	mediator   = actor(domain.RoleMediator, panel)
	judicial   = actor(domain.RoleJusticeOfficer, justice)
	petitions  = actor(domain.RolePetitionOfficer, town)
	upper      = actor(domain.RoleCountyOfficer, county)
	otherDuty  = actor(domain.RoleDutyOfficer, otherTown)
	system     = actor(domain.RoleSystemAdmin, town)
	security   = actor(domain.RoleSecurityAdmin, town)
	box        = envelope.Actor{Organisation: town, Role: domain.RoleBox}
	technician = envelope.Actor{Organisation: town, Role: domain.RoleTechnician}
)

// open and text are an operation's values; text is sealed.
type open = map[string]any
type text = []string

const start = int64(1_790_000_000_000)

// walker makes the operations of one record, one after another.
type walker struct {
	t    testing.TB
	w    *world
	kind string
	id   envelope.RecordID
	r    *domain.Record
	n    uint64
	ops  []*envelope.Operation
}

func walk(t testing.TB, w *world, kind string) *walker {
	return &walker{t: t, w: w, kind: kind, id: id(7)}
}

// op builds the operation that the box would write now.
func (k *walker) op(step string, a envelope.Actor, o open, sealed ...string) *envelope.Operation {
	k.t.Helper()
	k.n++
	ref := k.w.current[k.kind]
	if k.r != nil {
		ref = k.r.Definition
	}
	s, ok := k.w.definitions[ref].Step(step)
	if !ok {
		k.t.Fatalf("%s has no step %s", k.kind, step)
	}
	op := &envelope.Operation{Format: envelope.Format, Level: envelope.Level, Origin: envelope.Sum([]byte("box")), Incarnation: 1,
		Seq: k.n, Record: k.id, Class: s.Class, Definition: ref, Step: step, Actor: a, At: start + int64(k.n)*60_000,
		Time: envelope.TimeSynced, Open: maps.Clone(o)}
	if k.n > 1 {
		op.Prev = envelope.Sum([]byte("previous"))
	}
	if k.r != nil {
		op.Epoch = k.r.Epoch
		last := k.r.LastA
		op.LastA = &last
	}
	for _, path := range sealed {
		op.Sealed = append(op.Sealed, seal(path))
	}
	envelope.SortSealed(op.Sealed)
	return op
}

func seal(path string) envelope.SealedField {
	return envelope.SealedField{Path: path, Key: envelope.KeyID{1}, Box: []byte("sealed " + path)}
}

// encodable sends an operation through its bytes, as the journal does.
func encodable(t testing.TB, op *envelope.Operation) *envelope.Operation {
	t.Helper()
	b, _, err := envelope.Encode(op)
	if err != nil {
		t.Fatalf("%s: %v", op.Step, err)
	}
	decoded, err := envelope.Decode(b)
	if err != nil {
		t.Fatalf("%s: %v", op.Step, err)
	}
	return decoded
}

// do takes a step that must be applied.
func (k *walker) do(step string, a envelope.Actor, o open, sealed ...string) *walker {
	k.t.Helper()
	op := encodable(k.t, k.op(step, a, o, sealed...))
	r, v := domain.Fold(k.r, op, k.w)
	if v.Code != envelope.Applied {
		k.t.Fatalf("%s %s by %s: %s (%s); missing %v", k.kind, step, a.Role, v.Code, v.Reason, k.missing(step, op))
	}
	k.r = r
	k.ops = append(k.ops, op)
	return k
}

func (k *walker) missing(step string, op *envelope.Operation) (out []string) {
	if k.r == nil {
		return nil
	}
	def := k.w.definitions[k.r.Definition]
	s, _ := def.Step(step)
	for _, f := range domain.Missing(def, s, k.r, op) {
		out = append(out, f.Path+": "+f.Condition.Message.EN)
	}
	return out
}

// refused takes a step that must not be applied and leaves the record.
func (k *walker) refused(code envelope.Code, reason, step string, a envelope.Actor, o open, sealed ...string) *walker {
	k.t.Helper()
	k.verdict(code, reason, k.op(step, a, o, sealed...))
	return k
}

func (k *walker) verdict(code envelope.Code, reason string, op *envelope.Operation) {
	k.t.Helper()
	before := marshal(k.t, k.r)
	r, v := domain.Fold(k.r, op, k.w)
	if v.Code != code || v.Reason != reason {
		k.t.Errorf("%s %s by %s: %s (%s), want %s (%s)", k.kind, op.Step, op.Actor.Role, v.Code, v.Reason, code, reason)
	}
	if code != envelope.Late && !bytes.Equal(before, marshal(k.t, r)) {
		k.t.Errorf("%s: a refused step changed the record", op.Step)
	}
}

func (k *walker) in(state, holder string) *walker {
	k.t.Helper()
	if k.r.State != state || holder != "" && k.r.Holder != holder {
		k.t.Fatalf("%s is %s at %s, want %s at %s", k.kind, k.r.State, k.r.Holder, state, holder)
	}
	return k
}

func (k *walker) running(clocks ...string) *walker {
	k.t.Helper()
	got := k.r.RunningClocks(k.w.def(k.kind))
	slices.Sort(got)
	slices.Sort(clocks)
	if !slices.Equal(got, clocks) {
		k.t.Fatalf("in %s the clocks %v run, want %v", k.r.State, got, clocks)
	}
	return k
}

func marshal(t testing.TB, r *domain.Record) []byte {
	t.Helper()
	b, err := envelope.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// refold folds the operations again from nothing.
func refold(t testing.TB, w *world, ops []*envelope.Operation) *domain.Record {
	t.Helper()
	var r *domain.Record
	for _, op := range ops {
		var v envelope.Verdict
		if r, v = domain.Fold(r, op, w); v.Code != envelope.Applied {
			t.Fatalf("%s: %s (%s)", op.Step, v.Code, v.Reason)
		}
	}
	return r
}

func join(lists ...[]string) []string { return slices.Concat(lists...) }

func under(prefix string, keys ...string) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = strings.TrimSuffix(prefix, "/") + "/" + k
	}
	return out
}
