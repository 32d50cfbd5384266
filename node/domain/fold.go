package domain

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// Reasons of verdicts: stable codes, shown through the catalogue of
// messages.
const (
	ReasonDefinition = "unknown_definition"
	ReasonStep       = "unknown_step"
	ReasonClass      = "wrong_class"
	ReasonNoRecord   = "no_such_record"
	ReasonExists     = "record_exists"
	ReasonErased     = "record_erased"
	ReasonMerged     = "record_merged"
	ReasonTerm       = "seat_moved"
	ReasonEpoch      = "custody_changed"
	ReasonOrder      = "another_step_stands"
	ReasonState      = "not_in_this_state"
	ReasonField      = "field_not_allowed"
	ReasonMissing    = "value_missing"
	ReasonCondition  = "condition_not_met"
	ReasonAuthority  = "no_such_authority"
	ReasonPermission = "not_permitted"
	ReasonInput      = "input_not_valid"
	ReasonOfferOpen  = "offer_open"
	ReasonNoOffer    = "no_such_offer"
	ReasonTooMany    = "too_many"
	ReasonNothing    = "nothing_to_do"
	ReasonOwnRequest = "own_request"
	ReasonTooLong    = "extension_too_long"
)

func verdict(code envelope.Code, reason string) *envelope.Verdict {
	return &envelope.Verdict{Code: code, Reason: reason}
}

var applied = envelope.Verdict{Code: envelope.Applied}

// Fold gives the record after op, and the verdict. r is nil before the
// first operation and is never changed; when the verdict is not applied
// the result is r, except that a late step is remembered for adoption.
func Fold(r *Record, op *envelope.Operation, rules Rules) (*Record, envelope.Verdict) {
	f := folding{op: op, rules: rules}
	if v := f.prepare(r); v != nil {
		return f.refused(r, *v), *v
	}
	if v := f.apply(); v != nil {
		return f.refused(r, *v), *v
	}
	return f.r, applied
}

// folding is the work on one operation.
type folding struct {
	op    *envelope.Operation
	rules Rules
	def   *Definition
	step  *Step
	r     *Record // the copy being changed
	entry Entry
}

func (f *folding) refused(r *Record, v envelope.Verdict) *Record {
	if v.Code != envelope.Late || r == nil {
		return r
	}
	late := r.Clone()
	late.Late = append(late.Late, f.op.ID())
	return late
}

// prepare decides whether the step may be taken at all.
func (f *folding) prepare(r *Record) *envelope.Verdict {
	var ok bool
	if f.def, ok = f.rules.Definition(f.op.Definition); !ok {
		return verdict(envelope.Invalid, ReasonDefinition)
	}
	if f.step, ok = f.def.Step(f.op.Step); !ok {
		return verdict(envelope.Invalid, ReasonStep)
	}
	if class, known := ClassOf(f.step.Effect); !known || class != f.op.Class {
		return verdict(envelope.Invalid, ReasonClass)
	}
	if !f.rules.Authority(f.op.Actor, f.op.Policy) {
		return verdict(envelope.Unauthorised, ReasonAuthority)
	}
	if f.step.Effect == Create {
		return f.prepareCreate(r)
	}
	return f.prepareStep(r)
}

func (f *folding) prepareCreate(r *Record) *envelope.Verdict {
	if r != nil {
		return verdict(envelope.Invalid, ReasonExists)
	}
	custodian := CustodianOf(f.rules, f.op.Actor.Organisation)
	if custodian == "" && f.def.Family == FamilyMaster && f.byBox() {
		custodian = f.op.Actor.Organisation // the tree itself starts somewhere
	}
	if custodian == "" {
		return verdict(envelope.Unauthorised, ReasonAuthority)
	}
	if seat := f.rules.Seat(custodian); f.op.SeatTerm < seat.Term {
		return verdict(envelope.Late, ReasonTerm)
	}
	if !slices.Contains(f.step.Roles, f.op.Actor.Role) {
		return verdict(envelope.Unauthorised, ReasonPermission)
	}
	f.r = &Record{
		ID: f.op.Record, Definition: f.op.Definition, Custodian: custodian,
		Term: f.op.SeatTerm, Epoch: 1, Holder: custodian,
		Reporter: f.op.Actor.Organisation, CreatedBy: f.op.Actor.User, CreatedAt: f.op.At,
		Import: input(f.op, InImport),
	}
	return nil
}

func (f *folding) byBox() bool {
	return f.op.Actor.Role == RoleBox || f.op.Actor.Role == RoleTechnician
}

func (f *folding) prepareStep(r *Record) *envelope.Verdict {
	switch {
	case r == nil:
		return verdict(envelope.Invalid, ReasonNoRecord)
	case r.Erased:
		return verdict(envelope.Invalid, ReasonErased)
	case !f.sameRules(r):
		return verdict(envelope.Invalid, ReasonDefinition)
	}
	if f.op.Class == envelope.ClassA {
		if v := f.prepareClassA(r); v != nil {
			return v
		}
	}
	if !MayStep(f.rules, f.op.Actor, f.def, f.step, r) {
		return verdict(envelope.Unauthorised, ReasonPermission)
	}
	if !f.inState(r) {
		return verdict(envelope.Invalid, ReasonState)
	}
	f.r = r.Clone()
	return nil
}

// sameRules: a record pins its version; restate moves it to another.
// Appended steps commute with that move, so any version of the kind will do.
func (f *folding) sameRules(r *Record) bool {
	if f.op.Class == envelope.ClassB || f.step.Effect == Restate {
		return r.Definition.ID == f.op.Definition.ID
	}
	return r.Definition == f.op.Definition
}

func (f *folding) prepareClassA(r *Record) *envelope.Verdict {
	takes := f.step.Effect == TakeOver || f.step.Effect == ReturnOffer
	switch {
	case takes && r.Offer == nil:
		return verdict(envelope.Conflict, ReasonNoOffer)
	case f.op.SeatTerm < f.rules.Seat(f.writer(r)).Term:
		return verdict(envelope.Late, ReasonTerm)
	case f.op.Epoch != r.Epoch:
		return verdict(envelope.Late, ReasonEpoch)
	case f.op.LastA == nil || *f.op.LastA != r.LastA:
		return &envelope.Verdict{Code: envelope.Conflict, Reason: ReasonOrder, With: r.LastA}
	case r.Merged() && f.step.Effect != UnmergeFrom:
		return verdict(envelope.Invalid, ReasonMerged)
	}
	return nil
}

// writer is the organisation whose seat may write the step: the addressee
// for accepting and returning an offer, else the custodian.
func (f *folding) writer(r *Record) string {
	if (f.step.Effect == TakeOver || f.step.Effect == ReturnOffer) && r.Offer != nil {
		return r.Offer.To
	}
	return r.Custodian
}

func (f *folding) inState(r *Record) bool {
	return StepFits(f.def, f.step, r)
}

// StepFits reports whether the step exists in the record's state.
func StepFits(def *Definition, step *Step, r *Record) bool {
	switch {
	case slices.Contains(step.From, "*"):
		return true
	case len(step.From) > 0:
		return slices.Contains(step.From, r.State)
	}
	state, ok := def.State(r.State)
	return ok && !state.Closed
}

// apply changes the copy; any verdict it returns discards it.
func (f *folding) apply() *envelope.Verdict {
	f.entry = Entry{Op: f.op.ID(), Step: f.step.ID, Effect: f.step.Effect, Actor: f.op.Actor,
		At: f.op.At, Time: f.op.Time, From: f.r.State}
	if v := f.checkFields(); v != nil {
		return v
	}
	if v := f.checkInputs(); v != nil {
		return v
	}
	keepInputs(f.op, &f.entry)
	setFields(f.r, f.op, &f.entry)
	f.setConstants()
	if v := effects[f.step.Effect](f); v != nil {
		return v
	}
	if v := f.checkNeeds(); v != nil {
		return v
	}
	f.finish()
	return nil
}

// checkFields admits the fields that the step names, of the right type.
func (f *folding) checkFields() *envelope.Verdict {
	for path, v := range f.op.Open {
		if reserved(path) {
			continue
		}
		field, ok := f.def.FieldAt(path)
		if !ok || !f.settable(path) {
			return verdict(envelope.Invalid, ReasonField)
		}
		if v == nil {
			continue
		}
		if !typeFits(field, path, v) {
			return verdict(envelope.Invalid, ReasonInput)
		}
	}
	for _, s := range f.op.Sealed {
		if reserved(s.Path) {
			continue
		}
		field, ok := f.def.FieldAt(s.Path)
		if !ok || !f.settable(s.Path) || !sealedFits(field, s.Path) {
			return verdict(envelope.Invalid, ReasonField)
		}
	}
	return nil
}

// settable: creation, amendment and restatement set any field; other steps
// those that they name; documents the values of the paper that they file.
func (f *folding) settable(path string) bool {
	switch f.step.Effect {
	case Create, Amend, Restate, Adopt:
		return true
	case FileDocument:
		if strings.HasPrefix(path, "documents/"+f.documentType()+"/") {
			return true
		}
	}
	head, _, _ := strings.Cut(path, "/")
	return slices.ContainsFunc(f.step.Fields, func(s StepField) bool { return s.Key == head })
}

func (f *folding) documentType() string {
	if f.step.Document != "" {
		return f.step.Document
	}
	return input(f.op, InDocument)
}

func (f *folding) setConstants() {
	for _, s := range f.step.Fields {
		if s.Value == "" {
			continue
		}
		if old, had := f.r.Open[s.Key]; had {
			f.entry.Was = put(f.entry.Was, s.Key, old)
		}
		f.r.Open = put(f.r.Open, s.Key, s.constant(f.def))
		f.entry.Changed = append(f.entry.Changed, s.Key)
	}
	slices.Sort(f.entry.Changed)
	f.entry.Changed = slices.Compact(f.entry.Changed)
}

// constant is the value that a step sets without asking, in its field's type.
func (s StepField) constant(def *Definition) any {
	if field, ok := def.FieldAt(s.Key); ok && field.Type == TypeBool {
		return s.Value == "true"
	}
	return s.Value
}

func (f *folding) checkNeeds() *envelope.Verdict {
	for _, s := range f.step.Fields {
		if s.Required && !hasUnder(f.r, s.Key) {
			return verdict(envelope.Invalid, ReasonMissing)
		}
	}
	whole := f.step.Effect == Create || f.step.Effect == Amend
	for _, field := range f.def.Fields {
		asked := whole || slices.Contains(f.entry.Changed, field.Key)
		if field.Required && asked && !hasUnder(f.r, field.Key) {
			return verdict(envelope.Invalid, ReasonMissing)
		}
	}
	if v := f.checkItems(); v != nil {
		return v
	}
	if _, ok := Check(f.step.Needs, f.r); !ok {
		return verdict(envelope.Invalid, ReasonCondition)
	}
	if gate, ok := f.def.Gate(f.step.Gate); ok {
		if _, passed := Check(gate.Rules, f.r); !passed {
			return verdict(envelope.Invalid, ReasonCondition)
		}
	}
	return nil
}

// hasUnder reports a value at key or, for groups and points, below it.
func hasUnder(r *Record, key string) bool {
	if r.Has(key) {
		return true
	}
	prefix := key + "/"
	for path := range r.Open {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return slices.ContainsFunc(r.Sealed, func(s envelope.SealedField) bool { return strings.HasPrefix(s.Path, prefix) })
}

// finish moves state, holder and clocks and writes the timeline. An
// appended step moves nothing, so that it commutes with everything.
func (f *folding) finish() {
	r := f.r
	r.ChangedAt = max(r.ChangedAt, f.op.At)
	if f.op.Class == envelope.ClassB {
		f.entry.From, f.entry.After = "", f.closed()
		f.append()
		return
	}
	if f.step.To != "" {
		r.State = f.step.To
	}
	f.entry.To = r.State
	f.moveHolder()
	f.runClocks()
	if number := input(f.op, InNumber); number != "" {
		f.setNumber(number)
	}
	r.Steps = append(r.Steps, f.entry)
	r.LastA = f.op.ID()
}

func (f *folding) closed() bool {
	state, ok := f.def.State(f.r.State)
	return ok && state.Closed
}

// append keeps class B entries in the order of their identity, so that any
// arrival order gives the same record.
func (f *folding) append() {
	at, _ := slices.BinarySearchFunc(f.r.Appended, f.entry.Op, func(e Entry, id envelope.OpID) int { return e.Op.Compare(id) })
	f.r.Appended = slices.Insert(f.r.Appended, at, f.entry)
}

func (f *folding) setNumber(number string) {
	if f.r.Number != "" && f.r.Number != number {
		f.r.Aliases = append(f.r.Aliases, f.r.Number)
	}
	f.r.Number = number
	if alias := input(f.op, InAlias); alias != "" && !slices.Contains(f.r.Aliases, alias) {
		f.r.Aliases = append(f.r.Aliases, alias)
	}
}

func (f *folding) moveHolder() {
	r := f.r
	from := r.Holder
	switch f.step.Holder {
	case HolderKeep:
		return
	case HolderTo:
		r.Holder = input(f.op, InTo)
		f.entry.Target = r.Holder
	case HolderCustodian:
		r.Holder = r.Custodian
	case HolderReporter:
		r.Holder = r.Reporter
	case HolderActor:
		r.Holder = f.op.Actor.Organisation
	case HolderSender:
		r.Holder = cmp.Or(r.Sender, r.Custodian)
	case HolderParent:
		r.Holder = f.parentOf(from)
	}
	if r.Holder != from {
		r.Sender = from
		f.entry.Target = r.Holder
	}
}

// parentOf is one level up, never above the custodian. A new record goes to
// the organisation above the one that reports it.
func (f *folding) parentOf(org string) string {
	if f.step.Effect == Create {
		org = f.r.Reporter
	}
	node, ok := f.rules.Organisation(org)
	if !ok || org == f.r.Custodian || !Within(f.rules, node.Parent, f.r.Custodian) {
		return f.r.Custodian
	}
	return node.Parent
}

func (f *folding) runClocks() {
	if f.r.Import != "" && f.step.Effect == Create {
		return // old matters start no clock
	}
	for _, id := range f.step.Stop {
		if f.r.ClockRunning(id) {
			f.r.Clocks = append(f.r.Clocks, ClockEvent{Clock: id, Kind: ClockStop, At: f.op.At})
		}
	}
	for _, id := range f.step.Start {
		clock, ok := f.def.Clock(id)
		if !ok || !f.starts(clock) {
			continue
		}
		f.r.Clocks = append(f.r.Clocks, f.clockEvent(clock, ClockStart))
	}
	f.changeClocks()
}

func (f *folding) starts(clock *Clock) bool {
	if clock.When == nil {
		return true
	}
	_, ok := holds(*clock.When, f.r, "")
	return ok
}

func (f *folding) clockEvent(clock *Clock, kind ClockKind) ClockEvent {
	return ClockEvent{Clock: clock.ID, Kind: kind, At: f.op.At, Profile: f.profile(clock), Urgency: f.r.Text(clock.Urgency),
		Since: f.since(clock), Until: f.until(clock)}
}

// since is from when a clock counts: the field that the kind names, or what
// the operation says, never after the step itself.
func (f *folding) since(clock *Clock) int64 {
	since, _ := instant(f.r.Open[clock.Since])
	if start, ok := f.op.Open[InStart].(int64); ok && since == 0 {
		since = start
	}
	if since >= f.op.At {
		return 0
	}
	return since
}

func (f *folding) until(clock *Clock) int64 {
	_, until := instant(f.r.Open[clock.Until])
	return until
}

const dayMilli = 24 * 3600_000

// instant gives the beginning and the end that a date (of UTC+8) or a time
// stands for, zeros for anything else.
func instant(v any) (from, to int64) {
	switch v := v.(type) {
	case int64:
		return v, v
	case string:
		if t, err := time.Parse(time.DateOnly, v); err == nil {
			from = t.UnixMilli() - 8*3600_000
			return from, from + dayMilli
		}
	}
	return 0, 0
}

// changeClocks follows a change of the fields that a clock reads.
func (f *folding) changeClocks() {
	for i := range f.def.Clocks {
		clock := &f.def.Clocks[i]
		picks := slices.ContainsFunc([]string{clock.Urgency, clock.ProfileField, clock.Since, clock.Until},
			func(key string) bool { return slices.Contains(f.entry.Changed, key) })
		if !picks || slices.Contains(f.step.Start, clock.ID) || !f.r.ClockRunning(clock.ID) {
			continue
		}
		f.r.Clocks = append(f.r.Clocks, f.clockEvent(clock, ClockChange))
	}
}

func (f *folding) profile(clock *Clock) string {
	if clock.ProfileField != "" {
		if id := f.r.Text(clock.ProfileField); id != "" {
			return id
		}
	}
	return clock.Profile
}

// ClockRunning reports whether a clock was started and not stopped since.
func (r *Record) ClockRunning(id string) bool {
	running := false
	for _, e := range r.Clocks {
		if e.Clock != id {
			continue
		}
		switch e.Kind {
		case ClockStart, ClockAdopt:
			running = true
		case ClockStop:
			running = false
		}
	}
	return running
}

// RunningClocks lists the clocks that run, in order of their definition.
func (r *Record) RunningClocks(def *Definition) []string {
	var out []string
	for i := range def.Clocks {
		if r.ClockRunning(def.Clocks[i].ID) {
			out = append(out, def.Clocks[i].ID)
		}
	}
	return out
}

// otherRecord reads the record that a merge or link names.
func otherRecord(op *envelope.Operation) (envelope.RecordID, bool) {
	id, err := envelope.ParseRecordID(input(op, InRecord))
	return id, err == nil && !id.IsZero() && id != op.Record
}

// fileHash reads the hash of an attachment's ciphertext.
func fileHash(op *envelope.Operation) (envelope.Hash, bool) {
	var h envelope.Hash
	b, err := hex.DecodeString(input(op, InFile))
	if err != nil || len(b) != len(h) {
		return h, false
	}
	copy(h[:], b)
	return h, true
}
