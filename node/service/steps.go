package service

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
)

// Caller is who asks: the subject, under which idempotency key.
type Caller struct {
	domain.Subject
	Key  string // of the request; "" for the box itself
	Lang string
}

// BoxCaller acts as the box: cards, alarms, adopting definitions.
func (b *Box) BoxCaller() Caller {
	return Caller{Subject: domain.Subject{Grants: []domain.Grant{{Role: domain.RoleBox, Organisation: b.id.Organisation()}}}}
}

// Technician acts for root at the box's own terminal.
func (b *Box) Technician() Caller {
	return Caller{Subject: domain.Subject{Grants: []domain.Grant{{Role: domain.RoleTechnician, Organisation: b.id.Organisation()}}}}
}

// newRecordID is a UUID of version 7 (RFC 9562): milliseconds, then 74 random
// bits. Records made one after another lie side by side in the store, so that
// a transaction touches few pages. Nothing reads the time back.
func newRecordID() (id envelope.RecordID) {
	rand.Read(id[6:])
	now := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMilli()))
	copy(id[:6], now[2:])
	id[6], id[8] = 0x70|id[6]&0x0f, 0x80|id[8]&0x3f
	return id
}

// draft is a step that was read and sealed and waits for the writer.
type draft struct {
	caller Caller
	def    *domain.Definition
	ref    envelope.DefinitionRef
	step   *domain.Step
	record envelope.RecordID
	seen   *envelope.OpID // last class A step that the person saw
	values values
	fields []envelope.SealedField
	frames []*envelope.KeyFrame
	open   map[string]any // set by the box: files, cards, quotes
	mac    []byte
	n, m   uint16
}

// Create reports a new matter of a kind. step is "" for the kind's first
// creating step.
func (b *Box) Create(ctx context.Context, c Caller, kind, step string, in Input) (*domain.Record, error) {
	return b.createWith(ctx, c, newRecordID(), kind, step, in, nil)
}

func (b *Box) createWith(ctx context.Context, c Caller, id envelope.RecordID, kind, step string, in Input, open map[string]any) (*domain.Record, error) {
	d, err := b.draftCreate(c, id, kind, step, in)
	if err != nil {
		return nil, err
	}
	d.open = open
	return b.submit(ctx, d)
}

func (b *Box) draftCreate(c Caller, id envelope.RecordID, kind, step string, in Input) (*draft, error) {
	p := b.policy.Load()
	def, ref, ok := p.kind(kind)
	if !ok {
		return nil, ErrUnknownKind
	}
	first, ok := createStep(def, step)
	if !ok {
		return nil, ErrUnknownKind
	}
	d := &draft{caller: c, def: def, ref: ref, step: first, record: id, mac: b.requestMAC(kind, step, "", in)}
	return d, b.fill(p, d, nil, in)
}

func createStep(def *domain.Definition, id string) (*domain.Step, bool) {
	for i := range def.Steps {
		s := &def.Steps[i]
		if s.Effect == domain.Create && (id == "" || id == s.ID) {
			return s, true
		}
	}
	return nil, false
}

// Step takes a step on a record. seen is the version that the person had
// on the screen; *Changed when a class A step stands since.
func (b *Box) Step(ctx context.Context, c Caller, id envelope.RecordID, step, seen string, in Input) (*domain.Record, error) {
	return b.stepWith(ctx, c, id, step, seen, in, nil)
}

func (b *Box) stepWith(ctx context.Context, c Caller, id envelope.RecordID, step, seen string, in Input, open map[string]any) (*domain.Record, error) {
	if r, done, err := b.repeated(c, b.requestMAC(id.String(), step, seen, in)); done || err != nil {
		return r, err
	}
	d, err := b.draftStep(c, id, step, seen, in)
	if err != nil {
		return nil, err
	}
	if d.open, err = b.measured(ctx, c, d.def, d.step); err != nil {
		return nil, err
	}
	if d.open == nil {
		d.open = open
	}
	r, err := b.record(id)
	if err != nil {
		return nil, err
	}
	others, err := b.besides(c, d, r)
	if err != nil {
		return nil, err
	}
	records, err := b.submitAll(ctx, append([]*draft{d}, others...))
	if err != nil {
		return nil, err
	}
	return records[0], nil
}

// besides gives the steps on other records that belong to d.
func (b *Box) besides(c Caller, d *draft, r *domain.Record) ([]*draft, error) {
	if d.step.Opens != nil {
		return b.opening(c, d, r)
	}
	other, err := b.otherHalf(c, d, r)
	if other == nil {
		return nil, err
	}
	return []*draft{other}, err
}

func (b *Box) draftStep(c Caller, id envelope.RecordID, step, seen string, in Input) (*draft, error) {
	p := b.policy.Load()
	r, def, err := b.visible(p, c.Subject, id)
	if err != nil {
		return nil, err
	}
	s, ok := def.Step(step)
	if !ok || s.Effect == domain.Create {
		return nil, ErrNotFound
	}
	d := &draft{caller: c, def: def, ref: r.Definition, step: s, record: id, mac: b.requestMAC(id.String(), step, seen, in)}
	if class, _ := domain.ClassOf(s.Effect); class == envelope.ClassA && seen != "" {
		if d.seen, err = parseVersion(seen); err != nil {
			return nil, err
		}
	}
	if !mayTake(p, c, def, s, r) {
		if d.seen != nil && *d.seen != r.LastA { // perhaps they might, before somebody else acted
			return nil, &Changed{Record: r, Since: *d.seen}
		}
		return nil, ErrForbidden
	}
	return d, b.fill(p, d, r, in)
}

// mayTake reports whether any of the caller's grants has the step now. The
// writer decides again, at the place where the step comes to stand.
func mayTake(p *policy, c Caller, def *domain.Definition, step *domain.Step, r *domain.Record) bool {
	return slices.ContainsFunc(c.Grants, func(g domain.Grant) bool {
		return domain.MayStep(p, envelope.Actor{User: c.User, Organisation: g.Organisation, Role: g.Role}, def, step, r)
	})
}

// repeated gives the record after a request that was already done, also to
// those whom it left without sight or right.
func (b *Box) repeated(c Caller, mac []byte) (*domain.Record, bool, error) {
	if c.Key == "" {
		return nil, false, nil
	}
	done, known, err := b.claim(requestKey(c))
	if err != nil || !known {
		return nil, false, err
	}
	if string(done.MAC) != string(mac) {
		return nil, false, ErrKeyReused
	}
	r, err := b.record(done.Record)
	return r, true, err
}

// visible finds a record that the subject may see at all. Others get
// ErrNotFound, as if it did not exist.
func (b *Box) visible(p *policy, s domain.Subject, id envelope.RecordID) (*domain.Record, *domain.Definition, error) {
	r, err := b.record(id)
	if err != nil {
		return nil, nil, err
	}
	def, ok := p.Definition(r.Definition)
	if !ok {
		return nil, nil, fmt.Errorf("service: record %s follows an unknown definition", id)
	}
	if counts, err := b.imported(r); err != nil || !counts {
		return nil, nil, errors.Join(ErrNotFound, err)
	}
	if isMachine(s) || domain.SightOf(p, s, def, r) > domain.SightNone {
		return r, def, nil
	}
	return nil, nil, ErrNotFound
}

// isMachine: the box and root at its terminal are limited by the steps that
// name their roles, not by what they see.
func isMachine(s domain.Subject) bool {
	return s.User.IsZero() && len(s.Grants) == 1 &&
		(s.Grants[0].Role == domain.RoleBox || s.Grants[0].Role == domain.RoleTechnician)
}

// read checks the input.
func (b *Box) read(p *policy, d *draft, in Input) (err error) {
	if d.values, err = b.readInput(p, d.def, d.step, in); err == nil && (d.step.Effect == domain.Create || d.step.Effect == domain.Amend) {
		b.deriveTypes(d.def, &d.values)
	}
	return err
}

// fill reads, checks and seals the input before the writer's turn.
func (b *Box) fill(p *policy, d *draft, existing *domain.Record, in Input) error {
	if err := b.read(p, d, in); err != nil {
		return err
	}
	s, err := b.sealerFor(d.record, d.def.ID, existing)
	if err != nil {
		return err
	}
	for _, t := range d.values.text {
		if err := s.add(t.path, t.value, t.mask); err != nil {
			return err
		}
	}
	envelope.SortSealed(s.fields)
	d.fields, d.frames = s.fields, s.frames
	return nil
}

// requestMAC binds an idempotency key to what was asked.
func (b *Box) requestMAC(parts ...any) []byte {
	body, err := json.Marshal(parts)
	if err != nil {
		panic(fmt.Sprintf("service: request of unencodable type: %v", err)) // inputs come from JSON
	}
	return seal.MAC(b.macKey, body)
}

// submit has the writer decide the draft and returns the record after it.
func (b *Box) submit(ctx context.Context, d *draft) (*domain.Record, error) {
	records, err := b.submitAll(ctx, []*draft{d})
	if err != nil {
		return nil, err
	}
	return records[0], nil
}

// submitAll has the writer decide drafts as one atomic request and raises
// the alarms that their kinds ask for.
func (b *Box) submitAll(ctx context.Context, drafts []*draft) ([]*domain.Record, error) {
	if err := b.room.take(0); err != nil {
		return nil, err
	}
	key := requestKey(drafts[0].caller)
	if err := b.notAnswered(key); err != nil {
		return nil, err
	}
	records := make([]*domain.Record, len(drafts))
	err := b.do(ctx, func(t *turn) error {
		done, replayed, err := t.claim(key, drafts[0].mac)
		if err != nil {
			return err
		}
		if replayed {
			records[0], err = t.Record(done.Record)
			return err
		}
		for i, d := range drafts {
			d.n, d.m = uint16(i+1), uint16(len(drafts))
			if records[i], err = t.decide(d, key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, r := range records {
		if r == nil {
			continue // the request was answered before
		}
		if err := b.watch(ctx, drafts[i].def, r); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// requestKey ties a client's key to its user, so that nobody meets another's.
func requestKey(c Caller) string {
	if c.Key == "" {
		return ""
	}
	return c.User.String() + "/" + c.Key
}

// decide builds the operation of a draft and stages it.
func (t *turn) decide(d *draft, key string) (*domain.Record, error) {
	r, err := t.Record(d.record)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if d.seen != nil && r != nil && *d.seen != r.LastA {
		return nil, &Changed{Record: r, Since: *d.seen}
	}
	actor, ok := t.actor(d, r)
	if !ok {
		return nil, ErrForbidden
	}
	if err := t.guard(d, r); err != nil {
		return nil, err
	}
	class, _ := domain.ClassOf(d.step.Effect)
	op := &envelope.Operation{Record: d.record, Class: class, Step: d.step.ID, Definition: d.ref, Actor: actor,
		Open: map[string]any{}, Sealed: d.fields}
	maps.Copy(op.Open, d.values.open)
	maps.Copy(op.Open, d.open)
	if d.seen != nil {
		op.LastA = d.seen
	}
	if key != "" {
		op.Request = &envelope.Request{Key: key, MAC: d.mac, N: d.n, M: d.m}
		if d.n > 1 {
			op.Request = nil // one claim per request; the group keeps it whole
		}
	}
	if err := t.number(d, r, op); err != nil {
		return nil, err
	}
	after, err := t.stage(op, d.frames)
	return after, explain(err, d, op)
}

// explain adds to a refusal which conditions a person must meet.
func explain(err error, d *draft, op *envelope.Operation) error {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	before := refusal.Record
	if before == nil {
		before = &domain.Record{}
	}
	refusal.Failed = domain.Missing(d.def, d.step, before, op)
	return refusal
}

// actor picks the grant under which the person may take the step.
func (t *turn) actor(d *draft, r *domain.Record) (envelope.Actor, bool) {
	for _, g := range d.caller.Grants {
		a := envelope.Actor{User: d.caller.User, Organisation: g.Organisation, Role: g.Role}
		if !t.policy().Authority(a, 0) {
			continue
		}
		if d.step.Effect == domain.Create {
			if slices.Contains(d.step.Roles, g.Role) {
				return a, true
			}
			continue
		}
		if r != nil && domain.MayStep(t.policy(), a, d.def, d.step, r) {
			return a, true
		}
	}
	return envelope.Actor{}, false
}

// number gives the number for people when the step calls for one. While
// the clock is unsure nobody can say which year it is: then none is given
// and the record keeps its receipt code.
func (t *turn) number(d *draft, r *domain.Record, op *envelope.Operation) error {
	rule := d.def.Number
	if !rule.Gives(d.step.ID) || r != nil && r.Number != "" || op.Open[domain.InNumber] != nil {
		return nil
	}
	now, quality := t.box.clock.Now()
	if quality == envelope.TimeUnknown || quality == envelope.TimeSuspect {
		return nil
	}
	year := time.UnixMilli(now).In(local).Year()
	org := numberingOrganisation(rule, r, op, t.box.id.Organisation())
	n, err := t.next(seriesOf(d.def, org, year))
	if err != nil {
		return err
	}
	op.Open[domain.InNumber] = formatNumber(rule.Pattern, t.policy().abbr(org), year, n)
	return nil
}

// seriesOf names what a sequence restarts for.
func seriesOf(def *domain.Definition, org string, year int) string {
	series := []string{def.ID}
	for _, per := range def.Number.Per {
		if per == "year" {
			series = append(series, strconv.Itoa(year))
			continue
		}
		series = append(series, org)
	}
	return strings.Join(series, "|")
}

// numberingOrganisation is the one that the series belongs to: the field
// named in the rule, else the custodian.
func numberingOrganisation(rule *domain.NumberRule, r *domain.Record, op *envelope.Operation, custodian string) string {
	for _, per := range rule.Per {
		if per == "year" {
			continue
		}
		if v, ok := op.Open[per].(string); ok && v != "" {
			return v
		}
		if r != nil && r.Text(per) != "" {
			return r.Text(per)
		}
	}
	return custodian
}

// countSeries follows the numbers of replayed operations. A number that is
// not the next of its series was brought by an import and counts nothing.
func (t *turn) countSeries(op *envelope.Operation, before *domain.Record) error {
	number, ok := op.Open[domain.InNumber].(string)
	def, known := t.policy().Definition(op.Definition)
	if !ok || !known || def.Number == nil || !def.Number.Gives(op.Step) {
		return nil
	}
	year := time.UnixMilli(op.At).In(local).Year()
	org := numberingOrganisation(def.Number, before, op, t.box.id.Organisation())
	series := seriesOf(def, org, year)
	n, err := t.next(series)
	if err != nil {
		return err
	}
	if formatNumber(def.Number.Pattern, t.policy().abbr(org), year, n) != number {
		t.own.series[series] = n - 1
	}
	return nil
}

// formatNumber fills {abbr}, {year}, {seq} and {seq:4}.
func formatNumber(pattern, abbr string, year int, n int64) string {
	out := strings.NewReplacer("{abbr}", abbr, "{year}", strconv.Itoa(year), "{seq}", strconv.FormatInt(n, 10)).Replace(pattern)
	for width := 3; width <= 8; width++ {
		out = strings.ReplaceAll(out, fmt.Sprintf("{seq:%d}", width), fmt.Sprintf("%0*d", width, n))
	}
	return out
}

// abbr gives the short name that numbers carry.
func (p *policy) abbr(code string) string {
	o, ok := p.organisations[code]
	if !ok {
		return code
	}
	if o.Abbr != "" {
		return o.Abbr
	}
	return string([]rune(o.Name)[:1])
}

// version is what clients send back as `seen`.
func version(r *domain.Record) string { return domain.OpText(r.LastA) }

func parseVersion(s string) (*envelope.OpID, error) {
	id, ok := domain.ParseOpText(s)
	if !ok {
		return nil, &InputError{Fields: []FieldError{{Path: "seen", Code: "bad_version",
			Message: domain.Text{ZH: "页面版本不正确,请刷新后再试", EN: "The page's version is not valid. Reload and try again."}}}}
	}
	return &id, nil
}
