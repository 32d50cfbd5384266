package service

import (
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
		if err := b.sameKind(d, id); err != nil {
			return nil, err
		}
		d.values.open[domain.InRecord] = id.String()
		return b.half(c, id, domain.MergeFrom, map[string]any{domain.InRecord: d.record.String(), domain.InClocks: r.BroughtClocks(d.def)})
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

// sameKind: clocks and numbers of one kind mean nothing in another; such
// matters are linked instead.
func (b *Box) sameKind(d *draft, parent envelope.RecordID) error {
	r, err := b.record(parent)
	if err != nil {
		return err
	}
	var wrong InputError
	if r.Definition.ID != d.def.ID {
		wrong.add("record", "other_kind", "只能归并到同一种类的事项；不同种类请用“关联”", "Only matters of the same kind are merged. Link matters of different kinds.")
	}
	return wrong.orNil()
}

// half drafts the step with an effect on the other record.
func (b *Box) half(c Caller, id envelope.RecordID, effect domain.Effect, open map[string]any) (*draft, error) {
	_, def, err := b.visible(b.policy.Load(), c.Subject, id)
	if err != nil {
		return nil, err
	}
	return b.besideStep(c, id, def, effect, open)
}
