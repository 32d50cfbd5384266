package service

import (
	"context"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// A merge has two halves, one on each record, in one journal group: the
// child names its parent, the parent takes the child's running clocks.
// Undoing it has two halves as well.

// otherHalf gives the step on the other record that belongs to d, nil when
// d stands alone.
func (b *Box) otherHalf(c Caller, d *draft, r *domain.Record) (*draft, error) {
	switch d.step.Effect {
	case domain.MergeInto:
		id, err := b.named(c, d)
		if err != nil {
			return nil, err
		}
		d.values.open[domain.InRecord] = id.String()
		return b.half(c, id, domain.MergeFrom, map[string]any{domain.InRecord: d.record.String(), domain.InClocks: runningClocks(d.def, r)})
	case domain.UnmergeFrom:
		if !r.Merged() {
			return nil, nil // the fold says so
		}
		return b.half(c, r.Parent, domain.UnmergeChild, map[string]any{domain.InRecord: d.record.String()})
	}
	return nil, nil
}

// named finds the record that a person named by its id or its number.
func (b *Box) named(c Caller, d *draft) (envelope.RecordID, error) {
	text, _ := d.values.open[domain.InRecord].(string)
	id, err := envelope.ParseRecordID(text)
	if err != nil {
		hits, serr := b.store.Scan(keyOf("n", foldNumber(text)), nil, false, 1)
		if serr != nil {
			return id, serr
		}
		if len(hits) == 1 {
			id, err = hits[0].ID, nil
		}
	}
	if err == nil {
		_, _, err = b.visible(b.policy.Load(), c.Subject, id)
	}
	if err != nil || id == d.record {
		var wrong InputError
		wrong.add("record", "unknown_record", "没有找到这一件，请填写另一件的编号", "There is no such matter. Give the number of another one.")
		return id, &wrong
	}
	return id, nil
}

// half drafts the step with an effect on the other record.
func (b *Box) half(c Caller, id envelope.RecordID, effect domain.Effect, open map[string]any) (*draft, error) {
	_, def, err := b.visible(b.policy.Load(), c.Subject, id)
	if err != nil {
		return nil, err
	}
	for i := range def.Steps {
		if def.Steps[i].Effect == effect {
			d, err := b.draftStep(c, id, def.Steps[i].ID, "", Input{})
			if err == nil {
				d.open = open
			}
			return d, err
		}
	}
	return nil, ErrForbidden
}

// runningClocks copies what runs on the child, since a fold never reads
// another record.
func runningClocks(def *domain.Definition, r *domain.Record) []string {
	out := []string{}
	for _, id := range r.RunningClocks(def) {
		last := domain.ClockEvent{}
		for _, e := range r.Clocks {
			if e.Clock == id && (e.Kind == domain.ClockStart || e.Kind == domain.ClockAdopt || e.Kind == domain.ClockChange) {
				if e.Kind == domain.ClockChange {
					e.At = last.At // counts from the start
				}
				last = e
			}
		}
		out = append(out, domain.FormatClock(last))
	}
	return out
}

// submitHalves has both halves decided as one request.
func (b *Box) submitHalves(ctx context.Context, d, other *draft) (*domain.Record, error) {
	records, err := b.submitAll(ctx, []*draft{d, other})
	if err != nil {
		return nil, err
	}
	return records[0], nil
}
