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
	f := Figures{Operations: b.overlay.answered()}
	f.Lag, _ = b.overlay.lag()
	if n, err := b.store.Records(); err == nil {
		f.Records = n
	}
	return f
}

// Readiness lists what local work needs, and what else people should know.
func (b *Box) Readiness(lang string) []api.Check {
	f := b.Figures()
	lines := []line{
		{"journal", !b.stopping(), say("%d 项操作", "%d operations", f.Operations)},
		{"store", f.Lag <= maxLagOps+maxGroupOps, say("%d 件记录，%d 项操作待入库", "%d records, %d operations behind", f.Records, f.Lag)},
		b.diskCheck(),
		b.clock.line(b.clock.Now()),
	}
	if b.finder != nil {
		lines = append(lines, searchCheck(b.finder.Status()))
	}
	lines = append(lines, b.erasingCheck()...)
	lines = append(lines, line{"county", false, say("未加入县级集群", "not in a county cluster")})
	out := make([]api.Check, len(lines))
	for i, l := range lines {
		out[i] = api.Check{Name: l.name, Title: b.embedded.Label("health_check", l.name).In(lang), OK: l.ok, Text: l.text.In(lang)}
	}
	return out
}

// line is one thing that can be well or not.
type line struct {
	name string
	ok   bool
	text domain.Text
}

func say(zh, en string, figures ...any) domain.Text {
	return domain.Text{ZH: fmt.Sprintf(zh, figures...), EN: fmt.Sprintf(en, figures...)}
}

func (l *line) add(more domain.Text) {
	l.text = domain.Text{ZH: l.text.ZH + more.ZH, EN: l.text.EN + more.EN}
}

// diskCheck says how much is free, and what that means.
func (b *Box) diskCheck() line {
	free, err := b.room.free()
	out := line{"disk", err == nil && b.room.take(0) == nil, say("可用 %d MiB", "%d MiB free", free>>20)}
	switch {
	case !out.ok:
		out.add(say("，不足以保存，腾出 %d MiB 后恢复", ", nothing new is taken until %d MiB are", b.room.marks.resume>>20))
	case free < lowFree:
		out.add(say("，即将写满", ", soon full"))
	}
	return out
}

func searchCheck(s FinderStatus) line {
	out := line{"search", !s.Rebuilding && s.LastError == "", say("%d 件文档，到第 %d 次变更", "%d documents, to change %d", s.Documents, s.IndexedTo)}
	if s.Rebuilding {
		out.add(say("，重建中 %d %%", ", rebuilding %d %%", s.Percent))
	}
	if s.LastError != "" {
		out.add(say("，索引出错，请看日志", ", failing (see the log)"))
	}
	return out
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
func (b *Box) Health(lang string) (api.Health, error) {
	now, quality := b.clock.Now()
	f := b.Figures()
	head, err := b.store.Head()
	h := api.Health{StartedAt: b.started.UnixMilli(), ServerTime: now, Checks: b.Readiness(lang), Clock: clockText(quality).In(lang),
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
		item := api.AuditEntry{Seq: e.Seq, At: e.At, Actor: e.Actor, Role: v.label("role", e.Role), OrganisationName: v.p.name(e.Organisation), Action: e.Action, ActionTitle: v.label("audit_action", e.Action),
			ObjectKind: e.ObjectKind, KindTitle: v.kindTitle(e.ObjectKind), Object: e.Object, Reason: v.label("reveal_reason", e.Reason), Result: e.Result, ResultTitle: v.label("audit_result", e.Result), Address: e.Address, Details: e.Details}
		if e.Address == terminal {
			item.Address = v.say("现场终端", "the box's terminal")
		}
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
