package service

import (
	"maps"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// opening drafts the other matter that a step reports, and the link to it
// from the first. The new one names the first as it is created, so all
// three stand or fall together.
func (b *Box) opening(c Caller, d *draft, r *domain.Record) ([]*draft, error) {
	o := d.step.Opens
	in := Input{Fields: map[string]any{}}
	for key, value := range o.Values {
		in.Fields[key] = value
	}
	values := maps.Clone(r.Open)
	maps.Copy(values, d.values.open)
	for key, source := range o.Copy {
		if v := values[source]; v != nil {
			in.Fields[key] = v
		}
	}
	if o.Note != "" {
		in.Fields[o.Note] = noteOf(d)
	}
	id := newRecordID()
	opened, err := b.draftCreate(c, id, o.Kind, o.Step, in)
	if err != nil {
		return nil, err
	}
	opened.open = map[string]any{domain.InRecord: d.record.String(), domain.InRelation: o.Relation}
	link, err := b.linking(c, d, id, o.Inverse)
	return []*draft{opened, link}, err
}

func noteOf(d *draft) string {
	for _, t := range d.values.text {
		if t.path == domain.InNote {
			return t.value
		}
	}
	return ""
}

// linking drafts the link step of a record.
func (b *Box) linking(c Caller, d *draft, to envelope.RecordID, relation string) (*draft, error) {
	return b.besideStep(c, d.record, d.def, domain.LinkTo, map[string]any{domain.InRecord: to.String(), domain.InRelation: relation})
}

// besideStep drafts the step of a record with an effect and the values that
// the box sets.
func (b *Box) besideStep(c Caller, id envelope.RecordID, def *domain.Definition, effect domain.Effect, open map[string]any) (*draft, error) {
	step, ok := stepOf(def, effect)
	if !ok {
		return nil, ErrForbidden
	}
	d, err := b.draftStep(c, id, step, "", Input{})
	if err == nil {
		d.open = open
	}
	return d, err
}
