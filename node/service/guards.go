package service

import (
	"context"
	"slices"

	"github.com/fengqiao/fengqiao/node/domain"
)

// guards are what a step needs beyond its own record, which a fold must not
// look at: they are decided once, before the operation is written.

// measured gives values that the box itself knows better than the person:
// what a leaving shift really hands on.
func (b *Box) measured(ctx context.Context, c Caller, def *domain.Definition, step *domain.Step) (map[string]any, error) {
	if def.ID != kindShift || step.ID != "hand_over" {
		return nil, nil
	}
	if err := b.settled(ctx); err != nil {
		return nil, err
	}
	alarms, err := b.Alarms(c)
	if err != nil {
		return nil, err
	}
	raised := int64(0)
	for _, a := range alarms.Items {
		if a.State == "raised" {
			raised++
		}
	}
	open := int64(0)
	for _, kind := range b.policy.Load().matterKinds() {
		n, err := b.viewer(c).openOf(kind, nil)
		if err != nil {
			return nil, err
		}
		open += n
	}
	return map[string]any{"open_alarms": raised, "open_items": open}, nil
}

// guard refuses what two records or two persons forbid together.
func (t *turn) guard(d *draft, r *domain.Record) error {
	var wrong InputError
	switch {
	case d.def.ID == kindAccount:
		return t.guardAccount(d, r)
	case d.def.ID == kindOrganisation:
		return t.guardOrganisation(d, r)
	case r == nil:
		t.unique(d, &wrong)
	case d.step.Effect == domain.Extend && redOn(r, t.clockOf(d)):
		// A red card voids a request for more time, as in the provincial
		// system.
		wrong.add("clock", "red_card", "已亮红牌，延期申请失效", "A red card stands: the request for more time is void.")
	case d.step.Effect == domain.IssueCard && d.open[domain.InColour] == nil && redOn(r, t.clockOf(d)):
		wrong.add("colour", "red_card", "已亮红牌，不再亮牌", "A red card stands: no further card is issued.")
	case d.def.ID == kindShift && d.step.ID == "take_over" && handedOverBy(r, d.caller):
		wrong.add("note", "same_person", "交班人不能自己接班，请接班人登录后签收", "Whoever hands over cannot take over. The successor signs in and signs.")
	}
	return wrong.orNil()
}

// unique refuses a user name or code that was taken since it was checked.
func (t *turn) unique(d *draft, wrong *InputError) {
	switch d.def.ID {
	case kindAccount:
		if _, taken := t.policy().usernames[text(d.values.open["username"])]; taken {
			wrong.add("username", "taken", "用户名已有人使用,请换一个", "The user name is taken. Choose another.")
		}
	case kindOrganisation:
		if t.policy().codeTaken(text(d.values.open["code"])) {
			wrong.add("code", "taken", "代码已经使用，请换一个代码", "The code is in use. Choose another.")
		}
	}
}

func (t *turn) clockOf(d *draft) string {
	s, _ := d.values.open[domain.InClock].(string)
	return s
}

func redOn(r *domain.Record, clock string) bool {
	return slices.ContainsFunc(r.Cards, func(c domain.Card) bool { return c.Clock == clock && c.Colour == red && !c.Lifted })
}

func handedOverBy(r *domain.Record, c Caller) bool {
	for _, e := range slices.Backward(r.Steps) {
		if e.Step == "hand_over" {
			return e.Actor.User == c.User
		}
	}
	return false
}

// fieldMOJ is the statistics type of the justice ministry, derived from the
// dispute type where nobody chose one.
const fieldMOJ = "moj_type"

func (b *Box) deriveTypes(def *domain.Definition, v *values) {
	dispute, ok := v.open["type"].(string)
	if _, has := def.FieldAt(fieldMOJ); !ok || !has || v.open[fieldMOJ] != nil {
		return
	}
	if m, ok := b.embedded.Mapping("gbt_to_moj"); ok {
		v.open[fieldMOJ] = m.Map(dispute)
	}
}
