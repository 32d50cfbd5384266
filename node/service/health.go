package service

import (
	"context"
	"fmt"
	"strconv"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
)

// Figures are what monitoring asks for.
type Figures struct {
	Operations uint64
	Lag        uint64
	Records    int64
}

// Figures reads the box's own counters; a figure that cannot be read is 0.
func (b *Box) Figures() Figures {
	b.overlay.mu.RLock()
	f := Figures{Operations: b.overlay.last}
	b.overlay.mu.RUnlock()
	f.Lag, _ = b.overlay.lag()
	if n, err := b.store.Records(); err == nil {
		f.Records = n
	}
	return f
}

// Readiness lists what local work needs, and what else people should know.
func (b *Box) Readiness() []api.Check {
	f := b.Figures()
	out := []api.Check{{Name: "journal", OK: !b.stopping(), Text: fmt.Sprintf("%d operations", f.Operations)},
		{Name: "store", OK: f.Lag <= maxLagOps+maxGroupOps, Text: fmt.Sprintf("%d records, %d operations behind", f.Records, f.Lag)}}
	out = append(out, b.diskCheck())
	_, quality := b.clock.Now()
	out = append(out, api.Check{Name: "clock", OK: quality == envelope.TimeSet || quality == envelope.TimeSynced, Text: clockText(quality).EN})
	if b.finder != nil {
		out = append(out, searchCheck(b.finder.Status()))
	}
	return append(out, api.Check{Name: "county", OK: false, Text: "not in a county cluster"})
}

// diskCheck says how much is free, and what that means.
func (b *Box) diskCheck() api.Check {
	free, err := b.room.free()
	text := fmt.Sprintf("%d MiB free", free>>20)
	ok := err == nil && b.room.take(0) == nil
	switch {
	case !ok:
		text += fmt.Sprintf(", nothing new is taken until %d MiB are", b.room.marks.resume>>20)
	case free < lowFree:
		text += ", soon full"
	}
	return api.Check{Name: "disk", OK: ok, Text: text}
}

func searchCheck(s FinderStatus) api.Check {
	text := fmt.Sprintf("%d documents, to change %d", s.Documents, s.IndexedTo)
	if s.Rebuilding {
		text += fmt.Sprintf(", rebuilding %d %%", s.Percent)
	}
	if s.LastError != "" {
		text += ", failing (see the log)"
	}
	return api.Check{Name: "search", OK: !s.Rebuilding && s.LastError == "", Text: text}
}

func (b *Box) stopping() bool {
	select {
	case <-b.closing:
		return true
	default:
		return false
	}
}

func clockText(q envelope.TimeQuality) domain.Text {
	switch q {
	case envelope.TimeSynced:
		return domain.Text{ZH: "已与时间源同步", EN: "synchronised"}
	case envelope.TimeSet:
		return domain.Text{ZH: "由人工设定，未接时间源", EN: "set by hand, no time source"}
	case envelope.TimeSuspect:
		return domain.Text{ZH: "时钟曾被调整，请核对", EN: "was moved, must be checked"}
	}
	return domain.Text{ZH: "时钟未设置或电池失效", EN: "was never set"}
}

// Health says how the box is.
func (b *Box) Health() (api.Health, error) {
	now, quality := b.clock.Now()
	f := b.Figures()
	head, err := b.store.Head()
	h := api.Health{StartedAt: b.started.UnixMilli(), ServerTime: now, Checks: b.Readiness(), Clock: clockText(quality).ZH,
		Operations: f.Operations, Lag: f.Lag, Records: f.Records, Head: head, Walls: b.wallList()}
	if err == nil {
		h.LastBackup, err = b.lastBackup()
	}
	if b.finder != nil {
		s := b.finder.Status()
		h.IndexedTo, h.Rebuilding, h.RebuildPercent = s.IndexedTo, s.Rebuilding, s.Percent
	}
	return h, err
}

// AuditPage lists the audit, newest first, for the audit administrator.
func (b *Box) AuditPage(c Caller, action, object string, from, to int64, cursor string) (api.AuditPage, error) {
	const pageSize = 100
	v := b.viewer(c)
	before, _ := strconv.ParseUint(cursor, 10, 64)
	entries, err := b.audit.Read(audit.Filter{Action: action, Object: object, From: from, To: to, Before: before, Limit: pageSize})
	out := api.AuditPage{Items: []api.AuditEntry{}}
	for _, e := range entries {
		item := api.AuditEntry{Seq: e.Seq, At: e.At, Actor: e.Actor, Role: v.label("role", e.Role), OrganisationName: v.p.name(e.Organisation), Action: e.Action,
			ObjectKind: e.ObjectKind, Object: e.Object, Reason: v.label("reveal_reason", e.Reason), Result: e.Result, Address: e.Address, Details: e.Details}
		if e.Actor != "" {
			item.ActorName = v.accountName(e.Actor)
		}
		out.Items = append(out.Items, item)
	}
	if len(entries) == pageSize {
		out.Next = strconv.FormatUint(entries[pageSize-1].Seq, 10)
	}
	return out, err
}

// housekeep removes what has expired and moves whole segments to history.
func (b *Box) housekeep(context.Context) error {
	if _, err := b.local.Sweep(); err != nil {
		return err
	}
	position, err := b.store.Position()
	if err != nil {
		return err
	}
	b.files.Lock()
	defer b.files.Unlock()
	_, err = b.journal.Archive(position.Seq)
	return err
}
