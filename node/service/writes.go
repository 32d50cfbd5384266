package service

import (
	"context"
	"slices"
	"strconv"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
)

// writesPage is how many operations a page of the audit of writes shows.
const writesPage = 100

// Writes lists who wrote what, newest first, for the audit administrator:
// the operations of this incarnation, whose chain the journal signs. It
// names records and steps, never their content. cursor is the sequence
// before which the page begins, "" for the newest.
func (b *Box) Writes(ctx context.Context, c Caller, cursor string) (api.AuditPage, error) {
	out := api.AuditPage{Items: []api.AuditEntry{}}
	if err := b.settled(ctx); err != nil {
		return out, err
	}
	position, err := b.store.Position()
	if err != nil {
		return out, err
	}
	next := position.Seq
	if before, err := strconv.ParseUint(cursor, 10, 64); err == nil && before > 0 {
		next = min(next, before-1)
	}
	v := b.viewer(c)
	id := envelope.OpID{Origin: b.id.Origin(), Incarnation: b.id.Incarnation()}
	for id.Seq = next; id.Seq > 0 && len(out.Items) < writesPage; id.Seq-- {
		row, found, err := b.store.Verdict(id)
		if err != nil {
			return out, err
		}
		if !found {
			break // the last incarnation's numbers
		}
		item, err := v.write(id, row.Record, row.Verdict)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, item)
	}
	if len(out.Items) == writesPage && id.Seq > 0 {
		out.Next = strconv.FormatUint(id.Seq+1, 10)
	}
	return out, nil
}

// write describes one operation by what its record remembers of it.
func (v *viewer) write(id envelope.OpID, record envelope.RecordID, verdict envelope.Verdict) (api.AuditEntry, error) {
	item := api.AuditEntry{Seq: id.Seq, Object: record.String(), Result: verdict.Code.String(), ResultTitle: v.label("audit_result", verdict.Code.String())}
	r, err := v.box.record(record)
	if err != nil {
		return item, err
	}
	item.ObjectKind, item.KindTitle = r.Definition.ID, v.kindTitle(r.Definition.ID)
	def, known := v.p.Definition(r.Definition)
	for _, entries := range [][]domain.Entry{r.Steps, r.Appended} {
		i := slices.IndexFunc(entries, func(e domain.Entry) bool { return e.Op == id })
		if i < 0 {
			continue
		}
		e := entries[i]
		item.At, item.Action, item.ActorName = e.At, e.Step, v.actorName(e.Actor)
		if known {
			if step, ok := def.Step(e.Step); ok {
				item.ActionTitle = step.Title.In(v.lang)
			}
		}
		item.Role, item.OrganisationName = v.label("role", e.Actor.Role), v.p.name(e.Actor.Organisation)
		if !e.Actor.User.IsZero() {
			item.Actor = e.Actor.User.String()
		}
	}
	return item, nil
}
