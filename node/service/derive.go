package service

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
	"github.com/fengqiao/fengqiao/node/store"
)

// Lists are prefix scans over index keys, figures are counters. Both are
// derived from one record and never read another, so that they can be
// rebuilt at any time. The first part of a key names the list:
//
//	k  kind                    by creation          everything of a kind; ko what is open
//	c  custodian kind          by change, newest    what the centre has
//	o  custodian kind          by due time          open matters
//	h  holder                  by due time          whose turn it is
//	a  account                 by due time          assigned to a person
//	z  custodian kind          by next card or end  for supervision
//	u  account                 by creation          reported by a person; uo what is open
//	t  target                  by creation          copies; tu unread ones
//	v  village kind            by creation          for duplicates and the map
//	s  custodian kind state    by change
//	n  number                                       exact number
//	p  keyed hash              by creation          persons by ID card or phone
//	i  import job                                   rows of an import
//	w  kind                    open alarms, shifts by start, imports to settle
const (
	sep       = 0
	noDue     = math.MaxInt64
	hourMilli = int64(time.Hour / time.Millisecond)
)

// keyOf joins the parts of a prefix; every part ends with a zero byte, so
// that no part can run into the next.
func keyOf(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
		b = append(b, sep)
	}
	return b
}

func at(prefix []byte, when int64, id envelope.RecordID) []byte {
	b := binary.BigEndian.AppendUint64(slices.Clip(prefix), uint64(when))
	return append(b, id[:]...)
}

func dayOf(ms int64) string { return time.UnixMilli(ms).In(local).Format("20060102") }

// deriver collects the keys and counts of one record.
type deriver struct {
	r    *domain.Record
	def  *domain.Definition
	open bool
	due  int64
	made int64 // when the matter came up
	out  store.Derived
}

// cameUp is when a matter was reported. An imported one is as old as it
// says itself, 0 when it does not: it is no news of the day that brought it.
func cameUp(r *domain.Record) int64 {
	if r.Import == "" {
		return r.CreatedAt
	}
	if at := r.Int("occurred_at"); at > 0 {
		return at
	}
	day, err := time.ParseInLocation(time.DateOnly, r.Text("occurred_on"), local)
	if err != nil {
		return 0
	}
	return day.UnixMilli()
}

// derive gives what lists and counters a record feeds.
func (b *Box) derive(r *domain.Record) (store.Derived, error) {
	p := b.policy.Load()
	def, ok := p.Definition(r.Definition)
	if !ok {
		return store.Derived{}, errors.New("service: record " + r.ID.String() + " follows an unknown definition")
	}
	d := &deriver{r: r, def: def, open: isOpen(def, r), due: noDue, made: cameUp(r)}
	deadlines, err := b.deadlines(p, def, r)
	if err != nil {
		return store.Derived{}, err
	}
	for _, dl := range deadlines {
		if d.open && dl.runs() {
			d.due = min(d.due, dl.Due)
			d.nextCard(dl)
		}
	}
	if r.Import != "" {
		d.key(keyOf("i", r.Import), 0)
	}
	counts, err := b.imported(r)
	if err != nil {
		return store.Derived{}, err
	}
	if !counts { // nobody meets it
		sortDerived(&d.out)
		return d.out, nil
	}
	d.lists()
	d.figures()
	if err := b.persons(d); err != nil {
		return store.Derived{}, err
	}
	sortDerived(&d.out)
	return d.out, nil
}

// nextCard lists the record under the time of the next card that a clock
// will bring. It follows from the cards that stand, never from the time now,
// so that the list can be recomputed.
func (d *deriver) nextCard(dl deadline) {
	c, ok := d.def.Clock(dl.Clock)
	if ok && c.Then != "" {
		d.key(keyOf("z", d.r.Custodian, d.def.ID), dl.Due)
	}
	if !ok || !c.Cards || hasCard(d.r, dl.Clock, dl.Round, red) {
		return
	}
	when := dl.Yellow
	if hasCard(d.r, dl.Clock, dl.Round, yellow) || when == 0 {
		when = dl.Red
	}
	if when > 0 {
		d.key(keyOf("z", d.r.Custodian, d.def.ID), when)
	}
}

func isOpen(def *domain.Definition, r *domain.Record) bool {
	state, ok := def.State(r.State)
	return ok && !state.Closed && !r.Merged() && !r.Erased
}

func (d *deriver) key(prefix []byte, when int64) {
	d.out.Index = append(d.out.Index, at(prefix, when, d.r.ID))
}

func (d *deriver) count(parts ...string) {
	d.out.Counters = append(d.out.Counters, store.Count{Key: keyOf(parts...), N: 1})
}

func (d *deriver) lists() {
	r, kind := d.r, d.r.Definition.ID
	d.key(keyOf("k", kind), d.made)
	d.key(keyOf("c", r.Custodian, kind), math.MaxInt64-r.ChangedAt)
	d.key(keyOf("s", r.Custodian, kind, r.State), math.MaxInt64-r.ChangedAt)
	d.key(keyOf("u", r.CreatedBy.String()), d.made)
	for _, n := range append([]string{r.Number}, r.Aliases...) {
		if n != "" {
			d.key(keyOf("n", foldNumber(n)), 0)
		}
	}
	if v := r.Text(domain.FieldVillage); v != "" {
		d.key(keyOf("v", v, kind), d.made)
	}
	if kind == kindImport && !settled(r) {
		d.key(keyOf("w", kind), r.CreatedAt)
	}
	if kind == kindShift { // a roster also shows who was on duty
		d.key(keyOf("w", kind), r.Int("start"))
	}
	d.copies()
	if !d.open {
		return
	}
	d.key(keyOf("ko", kind), d.made)
	d.key(keyOf("uo", r.CreatedBy.String()), d.made)
	d.key(keyOf("o", r.Custodian, kind), d.due)
	d.key(keyOf("h", r.Holder), d.due)
	for _, a := range r.List(domain.FieldAssigned) {
		d.key(keyOf("a", a), d.due)
	}
	for _, a := range r.Assists {
		if !a.Done {
			d.key(keyOf("h", a.Organisation), d.due)
		}
	}
	if kind == kindAlarm {
		d.key(keyOf("w", kind), r.CreatedAt)
	}
}

func (d *deriver) copies() {
	for _, c := range d.r.Copies {
		d.key(keyOf("t", c.Target), d.r.CreatedAt)
		if len(c.ReadBy) == 0 && d.open {
			d.key(keyOf("tu", c.Target), d.r.CreatedAt)
		}
	}
}

// figures: sums by state, day, type, village and due hour.
func (d *deriver) figures() {
	r, kind := d.r, d.r.Definition.ID
	village := r.Text(domain.FieldVillage)
	d.count("s", r.Custodian, kind, r.State)
	if d.made > 0 {
		d.reported(village)
	}
	if c := r.HighestCard(); c != "" && d.open {
		d.count("card", r.Custodian, r.Holder, c)
	}
	if closed := closedAt(d.def, r); closed > 0 {
		d.count("x", r.Custodian, kind, dayOf(closed))
		if o := r.Text(d.def.Search.Outcome); o != "" {
			d.count("xo", r.Custodian, kind, dayOf(closed), o)
		}
	}
	if !d.open {
		return
	}
	d.count("ho", r.Holder, kind)
	if village != "" {
		d.count("vo", kind, village)
	}
	if d.due != noDue {
		hour := binary.BigEndian.AppendUint64(keyOf("due", r.Custodian, kind), uint64(d.due/hourMilli))
		d.out.Counters = append(d.out.Counters, store.Count{Key: hour, N: 1})
	}
}

// reported: what came up on a day.
func (d *deriver) reported(village string) {
	kind, day := d.r.Definition.ID, dayOf(d.made)
	d.count("d", d.r.Custodian, kind, day)
	if t := d.r.Text(d.def.Search.Type); t != "" {
		d.count("y", d.r.Custodian, kind, day, t)
	}
	if village != "" {
		d.count("vd", kind, day, village)
	}
}

// closedAt is when the record last came into a closed state, 0 while open
// or when an import brought it closed.
func closedAt(def *domain.Definition, r *domain.Record) int64 {
	state, ok := def.State(r.State)
	if !ok || !state.Closed {
		return 0
	}
	for i := len(r.Steps) - 1; i >= 0; i-- {
		from, known := def.State(r.Steps[i].From)
		if !known && r.Import != "" {
			return 0
		}
		if !known || !from.Closed {
			return r.Steps[i].At
		}
	}
	return 0
}

// persons indexes ID cards and phones by keyed hash.
func (b *Box) persons(d *deriver) error {
	if d.r.Erased || len(d.def.Search.Hashes) == 0 {
		return nil
	}
	org, ok := b.id.Keys(b.id.Organisation())
	if !ok {
		return nil
	}
	for _, path := range pathsOf(d.r, d.def.Search.Hashes) {
		f, ok := d.r.SealedAt(path, seal.Full)
		if !ok {
			continue
		}
		value, err := b.open(d.r, f)
		if errors.Is(err, ErrErased) {
			continue
		}
		if err != nil {
			return err
		}
		d.key(keyOf("p", matchOf(org.Match, value)), d.made)
	}
	return nil
}

// matchOf hashes a number; ID cards and phones cannot be confused by form.
func matchOf(key seal.Key, value string) string {
	return seal.Match(key, "number", domain.NormalNumber(value))
}

// pathsOf expands group patterns such as parties/*/phone.
func pathsOf(r *domain.Record, patterns []string) []string {
	var out []string
	for _, p := range patterns {
		out = append(out, domain.Expand(r, p)...)
	}
	return out
}

// foldNumber is the form in which case numbers are found: any bracket
// style, full or half width.
func foldNumber(n string) string {
	out := make([]rune, 0, len(n))
	for _, r := range n {
		switch {
		case r >= '！' && r <= '～':
			r = r - '！' + '!'
		}
		switch r {
		case '〔', '〕', '[', ']', '(', ')', '【', '】', '［', '］', ' ', '　':
			continue
		}
		out = append(out, r)
	}
	return string(out)
}

// imported reports whether a record counts: rows of an import stay out of
// figures until their job is done.
func (b *Box) imported(r *domain.Record) (bool, error) {
	if r.Import == "" {
		return true, nil
	}
	id, err := envelope.ParseRecordID(r.Import)
	if err != nil {
		return false, err
	}
	job, err := b.record(id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && counted(r, job.State), err
}

// counted: rows of a job exist when it is done; after an undo those stay
// that somebody has worked on.
func counted(r *domain.Record, job string) bool {
	return job == importDone || job == importUndone && touched(r)
}

// States of an import job.
const (
	importDone   = "done"
	importUndone = "undone"
)

// sortDerived puts keys and counts into the order that the store compares,
// adding up equal counts.
func sortDerived(d *store.Derived) {
	slices.SortFunc(d.Index, bytes.Compare)
	d.Index = slices.CompactFunc(d.Index, bytes.Equal)
	slices.SortFunc(d.Counters, func(a, b store.Count) int { return bytes.Compare(a.Key, b.Key) })
	sums := d.Counters[:0]
	for _, c := range d.Counters {
		if n := len(sums); n > 0 && bytes.Equal(sums[n-1].Key, c.Key) {
			sums[n-1].N += c.N
			continue
		}
		sums = append(sums, c)
	}
	d.Counters = sums
}
