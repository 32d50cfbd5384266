package service

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
)

// writesPage is how many operations a page of the audit of writes shows.
const writesPage = 100

// Writes lists who wrote what, newest first, for the audit administrator:
// the box's operations, whose chain the journal signs, and after a restore
// those of its earlier lives. It names records and steps, never their
// content. cursor is the operation before which the page begins, "" for the
// newest.
func (b *Box) Writes(ctx context.Context, c Caller, cursor string) (api.AuditPage, error) {
	out := api.AuditPage{Items: []api.AuditEntry{}}
	if err := b.settled(ctx); err != nil {
		return out, err
	}
	rows, err := b.store.VerdictsBefore(b.writesCursor(cursor), writesPage)
	if err != nil {
		return out, err
	}
	v := b.viewer(c)
	for _, row := range rows {
		item, err := v.write(row.ID, row.Record, row.Verdict)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, item)
	}
	if len(rows) == writesPage {
		last := rows[writesPage-1].ID
		out.Next = fmt.Sprintf("%d.%d", last.Incarnation, last.Seq)
	}
	return out, nil
}

// writesCursor reads incarnation.seq; anything else begins with the newest.
func (b *Box) writesCursor(cursor string) envelope.OpID {
	id := envelope.OpID{Origin: b.id.Origin()}
	inc, seq, _ := strings.Cut(cursor, ".")
	incarnation, err1 := strconv.ParseUint(inc, 10, 32)
	n, err2 := strconv.ParseUint(seq, 10, 64)
	if err1 != nil || err2 != nil {
		id.Incarnation, id.Seq = b.id.Incarnation(), math.MaxUint64
		return id
	}
	id.Incarnation, id.Seq = uint32(incarnation), n
	return id
}

// write describes one operation by what its record remembers of it.
func (v *viewer) write(id envelope.OpID, record envelope.RecordID, verdict envelope.Verdict) (api.AuditEntry, error) {
	item := api.AuditEntry{Seq: id.Seq, Object: record.String(), Result: verdict.Code.String(), ResultTitle: v.label("audit_result", verdict.Code.String())}
	if id.Incarnation != v.box.id.Incarnation() {
		item.Details = map[string]string{"incarnation": v.say(fmt.Sprintf("恢复前（第 %d 代）", id.Incarnation), fmt.Sprintf("before a restore (life %d)", id.Incarnation))}
	}
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
