package service

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// alarm is what the box wants people to know at once.
type alarm struct {
	Reason string // code of the table alarm_reason
	Level  int64  // 1 highest … 4
	Record envelope.RecordID
	Round  int64
	Target string // organisation whose turn it is
}

// id makes an alarm of the same reason, record and round fold to nothing
// when it is raised twice.
func (a alarm) id() envelope.RecordID {
	sum := sha256.Sum256(fmt.Appendf(nil, "fengqiao/alarm/1\x00%s\x00%s\x00%d", a.Reason, a.Record, a.Round))
	return envelope.RecordID(sum[:16])
}

// raise writes the alarm; one that already stands is left alone.
func (b *Box) raise(ctx context.Context, a alarm) error {
	in := Input{Fields: map[string]any{"reason": a.Reason, "level": a.Level}}
	if !a.Record.IsZero() {
		in.Fields["source"] = a.Record.String()
	}
	if a.Target != "" {
		in.Fields["target"] = a.Target
	}
	_, err := b.createWith(ctx, b.BoxCaller(), a.id(), kindAlarm, "", in, nil)
	var refusal *Refusal
	if errors.As(err, &refusal) && refusal.Verdict.Reason == domain.ReasonExists {
		return nil
	}
	b.hurry() // streams hear of it when the store has it
	return err
}

// Supervise looks at the thresholds now, as the box does of itself every
// few seconds.
func (b *Box) Supervise(ctx context.Context) error { return b.supervise(ctx) }

// supervise issues the cards and alarms that have become due. None is
// issued while the clock is unsure.
func (b *Box) supervise(ctx context.Context) error {
	now, quality := b.clock.Now()
	if quality != envelope.TimeSet && quality != envelope.TimeSynced || b.Organisation() == "" {
		return nil
	}
	if err := b.settled(ctx); err != nil {
		return err
	}
	p := b.policy.Load()
	var failed error // one record that fails keeps no other from its card
	for _, def := range p.kinds() {
		failed = errors.Join(failed, b.superviseKind(ctx, p, def, now))
	}
	return failed
}

func (b *Box) superviseKind(ctx context.Context, p *policy, def *domain.Definition, now int64) error {
	if len(def.Clocks) == 0 {
		return nil
	}
	prefix := keyOf("z", b.Organisation(), def.ID)
	var after []byte
	var failed error
	for {
		hits, err := b.store.Scan(prefix, after, false, 500)
		if err != nil {
			return errors.Join(failed, err)
		}
		for _, h := range hits {
			if dueOfKey(h.Key) > now {
				return failed // sorted by threshold: the rest is not due either
			}
			failed = errors.Join(failed, b.superviseRecord(ctx, p, def, h.ID, now))
		}
		if len(hits) < 500 {
			return failed
		}
		after = hits[len(hits)-1].Key
	}
}

// superviseRecord issues what is due; the card itself moves the record to
// its next threshold.
func (b *Box) superviseRecord(ctx context.Context, p *policy, def *domain.Definition, id envelope.RecordID, now int64) error {
	r, err := b.record(id)
	if err != nil {
		return err
	}
	deadlines, err := b.deadlines(p, def, r)
	if err != nil {
		return err
	}
	for _, dl := range deadlines {
		if err := errors.Join(b.card(ctx, def, r, dl, now), b.lapse(ctx, def, r, dl, now)); err != nil {
			return err
		}
	}
	return nil
}

// lapse takes the step that a clock ends in. Where the step asks for what
// is still missing, it is left to people.
func (b *Box) lapse(ctx context.Context, def *domain.Definition, r *domain.Record, dl deadline, now int64) error {
	c, ok := def.Clock(dl.Clock)
	if !ok || c.Then == "" || !dl.runs() || now < dl.Due {
		return nil
	}
	step, ok := def.Step(c.Then)
	if !ok || !domain.StepFits(def, step, r) {
		return nil
	}
	_, err := b.stepWith(ctx, b.BoxCaller(), r.ID, c.Then, "", Input{}, nil)
	var refusal *Refusal
	if errors.As(err, &refusal) && refusal.Verdict.Code == envelope.Invalid {
		return nil
	}
	return err
}

func (b *Box) card(ctx context.Context, def *domain.Definition, r *domain.Record, dl deadline, now int64) error {
	colour := dl.colour(now)
	c, ok := def.Clock(dl.Clock)
	step, issues := stepOf(def, domain.IssueCard)
	if colour == "" || !ok || !c.Cards || !issues || hasCard(r, dl.Clock, dl.Round, colour) {
		return nil
	}
	open := map[string]any{domain.InClock: dl.Clock, domain.InRound: dl.Round, domain.InColour: colour}
	if _, err := b.stepWith(ctx, b.BoxCaller(), r.ID, step, "", Input{}, open); err != nil {
		return err
	}
	if colour != red {
		return nil
	}
	return b.raise(ctx, alarm{Reason: "red_card", Level: 2, Record: r.ID, Round: dl.Round, Target: r.Holder})
}

// stepOf finds the step of a kind with an effect.
func stepOf(def *domain.Definition, effect domain.Effect) (string, bool) {
	for i := range def.Steps {
		if def.Steps[i].Effect == effect {
			return def.Steps[i].ID, true
		}
	}
	return "", false
}

func hasCard(r *domain.Record, clock string, round int64, colour string) bool {
	for _, c := range r.Cards {
		if c.Clock == clock && c.Round == round && c.Colour == colour {
			return true
		}
	}
	return false
}

const (
	yellow = "yellow"
	red    = "red"
)

// watch raises the alarms that a kind's definition asks for after a step.
func (b *Box) watch(ctx context.Context, def *domain.Definition, r *domain.Record) error {
	for _, rule := range def.Alarms {
		if _, ok := domain.Check([]domain.Condition{rule.When}, r); !ok || r.Steps[len(r.Steps)-1].Step != rule.Step {
			continue
		}
		if err := b.raise(ctx, alarm{Reason: rule.Reason, Level: rule.Level, Record: r.ID, Target: r.Holder}); err != nil {
			return err
		}
	}
	return nil
}

// superviseEvery is how often thresholds are looked at; cards are dated by
// the operation, so a minute late is no wrong card.
const superviseEvery = 20 * time.Second
