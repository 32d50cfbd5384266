package domain_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

func taken(walkers ...*walker) map[string]bool {
	out := map[string]bool{}
	for _, k := range walkers {
		for _, op := range k.ops {
			out[op.Step] = true
		}
	}
	return out
}

// TestEveryGenericStep walks each step of the template on one kind.
func TestEveryGenericStep(t *testing.T) {
	w := newWorld(t)
	hash := strings.Repeat("ab", len(envelope.Hash{}))
	filed := open{"_file": hash, "_filekey": strings.Repeat("cd", len(envelope.KeyID{})), "_size": int64(9), "_media": "image/jpeg"}
	k := newEvent(t, w).do("accept", duty, nil)
	k.do("note", member, nil, "_note").do("attach", member, filed, "_name").do("urge", duty, nil).do("instruct", leader, nil, "_note")
	k.do("link", duty, open{"_record": id(9).String(), "_relation": "same"})
	k.do("copy", leader, open{"_targets": []string{village2}}).do("receipt", actor(domain.RoleVillageCadre, village2), nil)
	k.do("amend", duty, open{"people_count": int64(3), "_reason": "supplement"})
	if e := k.r.Steps[len(k.r.Steps)-1]; !slices.Equal(e.Changed, []string{"people_count"}) || e.Inputs["reason"] != "supplement" {
		t.Errorf("the amendment says %+v", e)
	}
	k.do("assist", duty, open{"_targets": []string{station}}).do("assist_done", officer, nil)
	ask := open{"_clock": "handle", "_limit": "3wd", "_reason": "complex"}
	k.do("ask_extension", duty, ask).do("refuse", leader, nil, "_note").do("ask_extension", duty, ask).do("extend", leader, open{"_clock": "handle", "_limit": "2wd"})
	k.do("ask_suspension", duty, open{"_reason": "expertise"}).do("suspend", leader, open{"_reason": "expertise"}).do("resume", duty, nil)
	card := open{"_clock": "handle", "_round": int64(1), "_colour": "red"}
	k.do("card", box, card).do("lift_card", leader, open{"_clock": "handle", "_round": int64(1), "_colour": "red", "_reason": "corrected"})
	if k.r.HighestCard() != "" {
		t.Error("a lifted card counts")
	}
	parent := walk(t, w, "event")
	parent.id = id(8)
	parent.do("register", duty, open{"type": "01"}, "title")
	brought := k.r.BroughtClocks(w.def("event"))
	k.do("merge_into", duty, open{"_record": parent.id.String(), "_reason": "same_matter"})
	parent.do("merge_from", duty, open{"_record": k.id.String(), "_clocks": brought})
	k.do("unmerge_from", duty, nil, "_note")
	parent.do("unmerge_child", duty, open{"_record": k.id.String()})

	quote := func() open { return open{"_offer": domain.OpText(k.r.Offer.Op)} }
	give := open{"_to": otherTown, "_reason": "place"}
	k.do("offer", duty, give).do("withdraw_offer", duty, quote()).do("offer", duty, give)
	back := quote()
	back["_reason"] = "not_ours"
	k.do("return_offer", otherDuty, back, "_note").do("offer", duty, give)
	unseen := k.op("dispatch", duty, open{"_to": station})
	k.do("take_over", otherDuty, quote())
	if k.r, _ = domain.Fold(k.r, unseen, w); len(k.r.Late) != 1 {
		t.Fatal("the unseen step is lost")
	}
	k.do("adopt", otherDuty, open{"_quote": domain.OpText(unseen.ID())}).do("recall", upper, open{"_to": county}, "_note")
	k.do("restate", box, nil).do("renumber", box, open{"_number": "新号", "_alias": "旧号", "_reason": "twice"})
	if k.r.Number != "新号" || !slices.Contains(k.r.Aliases, "旧号") || !slices.Contains(k.r.Aliases, "枫事〔2026〕00001号") {
		t.Errorf("number %s, aliases %v", k.r.Number, k.r.Aliases)
	}
	k.do("erase", actor(domain.RoleLeader, county), open{"_reason": "request"}, "_note")

	template, err := os.ReadFile("../catalog/generic/1.yaml")
	if err != nil {
		t.Fatal(err)
	}
	done := taken(k, parent)
	ids := regexp.MustCompile(`(?m)^- id: (\w+)`).FindAllStringSubmatch(string(template), -1)
	if len(ids) < 30 {
		t.Fatalf("%d generic steps", len(ids))
	}
	for _, m := range ids {
		if !done[m[1]] {
			t.Errorf("no walk of %s", m[1])
		}
	}
}

// TestApprovalIsByAnother: who asks for time or a pause does not grant it,
// and a pause without a request is the leader's alone.
func TestApprovalIsByAnother(t *testing.T) {
	w := newWorld(t)
	k := newEvent(t, w).do("accept", duty, nil).do("ask_extension", duty, open{"_clock": "handle", "_limit": "3wd", "_reason": "complex"})
	k.refused(envelope.Unauthorised, domain.ReasonOwnRequest, "extend", duty, open{"_clock": "handle"})
	k.do("extend", leader, open{"_clock": "handle"})
	k.refused(envelope.Unauthorised, domain.ReasonPermission, "suspend", duty, open{"_reason": "expertise"})
	k.refused(envelope.Invalid, domain.ReasonMissing, "suspend", leader, nil)
	k.do("suspend", leader, open{"_reason": "superior"}).in("suspended", "")

	c := newCase(t, w, nil).do("accept", mediator, open{"violence_check": "none", "assigned": []string{mediator.User.String()}})
	c.refused(envelope.Unauthorised, domain.ReasonPermission, "suspend", mediator, open{"_reason": "party_absent"})
	c.do("ask_suspension", judicial, open{"_reason": "party_absent"})
	c.refused(envelope.Unauthorised, domain.ReasonOwnRequest, "suspend", judicial, open{"_reason": "party_absent"})
	c.do("suspend", leader, open{"_reason": "party_absent"})
}

func TestExtensionsAreBounded(t *testing.T) {
	w := newWorld(t)
	k := newEvent(t, w).do("accept", duty, nil)
	for _, limit := range []string{"soon", "-3d", "0d", "3", "d", "999999d"} {
		k.refused(envelope.Invalid, domain.ReasonInput, "ask_extension", duty, open{"_clock": "handle", "_limit": limit, "_reason": "complex"})
	}
	p := walk(t, w, "petition").do("receive", cadre, open{"channel": "visit", "class": "suggestion"}, "title", "content", "petitioners/0/name")
	p.do("register", petitions, nil).do("accept", petitions, open{"accepted_on": day, "assigned": []string{officer.User.String()}})
	for _, limit := range []string{"31d", "20wd"} {
		p.refused(envelope.Invalid, domain.ReasonTooLong, "ask_extension", petitions, open{"_clock": "handle", "_limit": limit, "_reason": "complex"})
	}
	p.do("ask_extension", petitions, open{"_clock": "handle", "_limit": "30d", "_reason": "complex"})
	p.refused(envelope.Invalid, domain.ReasonTooLong, "extend", leader, open{"_clock": "handle", "_limit": "60d"})
	p.do("extend", leader, open{"_clock": "handle"})
	p.refused(envelope.Invalid, domain.ReasonTooMany, "ask_extension", petitions, open{"_clock": "handle", "_limit": "1d", "_reason": "complex"})
}

func last(r *domain.Record, clock string) domain.ClockEvent {
	var out domain.ClockEvent
	for _, e := range r.Clocks {
		if e.Clock == clock {
			out = e
		}
	}
	return out
}

// TestDatesMoveClocks: an agreement counts from its day and runs to the day
// that it names; a corrected date corrects the clock.
func TestDatesMoveClocks(t *testing.T) {
	const noon = int64(1_790_000_000_000)
	w := newWorld(t)
	k := newCase(t, w, open{"source": "initiative"})
	k.do("accept", mediator, open{"violence_check": "none", "assigned": []string{mediator.User.String()}})
	file(k, mediator, "agreement", open{"copies": int64(3), "signed_on": day}, "facts", "terms", "manner")
	agree := open{"agreed_on": "2026-05-06", "performance_kind": "instalments", "perform_by": "2026-12-31", "mediator_signed": true, "stamped": true,
		"parties/0/signed": true, "parties/1/signed": true}
	k.refused(envelope.Invalid, domain.ReasonCondition, "agree_written", mediator, agree) // no instalments
	agree["instalments/0/due_on"], agree["instalments/1/due_on"] = "2026-12-31", "2027-06-30"
	k.do("agree_written", mediator, agree)
	midnight := int64(1_777_996_800_000) // 2026-05-06 00:00 +0800
	if e := last(k.r, "confirmation"); e.Since != midnight || e.At <= noon {
		t.Errorf("confirmation counts from %d", e.Since)
	}
	if e := last(k.r, "perform"); e.Until != 1_798_732_800_000 { // the end of 2026-12-31
		t.Errorf("performance until %d", e.Until)
	}
	k.do("amend", mediator, open{"agreed_on": "2026-05-07", "_reason": "typo"})
	if e := last(k.r, "confirmation"); e.Kind != domain.ClockChange || e.Since != midnight+24*3600_000 {
		t.Errorf("after the correction: %+v", e)
	}
	k.do("pay", mediator, open{"instalments/0/paid_on": "2026-12-30", "perform_by": "2027-06-30"}).in("performing", "")
	if e := last(k.r, "perform"); e.Kind != domain.ClockChange || e.Until <= 1_798_732_800_000 {
		t.Errorf("after the first instalment: %+v", e)
	}
	k.refused(envelope.Invalid, domain.ReasonCondition, "perform", mediator, open{"performed_on": "2027-06-30"})
	k.do("pay", mediator, open{"instalments/1/paid_on": "2027-06-29"}).do("perform", mediator, open{"performed_on": "2027-06-29"}).in("performed", "")
}

// TestMediationGuards: what the law asks for before a step (人民调解法).
func TestMediationGuards(t *testing.T) {
	w := newWorld(t)
	accept := open{"violence_check": "none", "assigned": []string{mediator.User.String()}}
	no := func(k *walker, step string, o open) {
		t.Helper()
		k.refused(envelope.Invalid, domain.ReasonCondition, step, mediator, o)
	}
	no(newCase(t, w, open{"parties/1/role": "applicant"}), "accept", accept)  // one side alone
	no(newCase(t, w, open{"parties/1/consent": "refused"}), "accept", accept) // voluntary
	no(newCase(t, w, open{"parties/1/consent": "silent"}), "accept", accept)  // silence is no consent to an application
	no(newCase(t, w, open{"source": "court"}), "accept", accept)              // no letter
	no(newCase(t, w, nil), "accept", open{"violence_check": "suspected"})     // help not named
	for _, code := range []string{"14", "1401", "1402", "1403", "1404", "15", "1501", "1502", "1599"} {
		no(newCase(t, w, open{"type": code}), "accept", accept)
	}
	many := open{}
	var names text
	for i := range 6 {
		p := "parties/" + string(rune('2'+i))
		many[p+"/role"], many[p+"/consent"], many[p+"/representative"] = "applicant", "given", true
		names = append(names, p+"/name")
	}
	group := newCase(t, w, nil).do("parties", judicial, many, names...)
	no(group, "accept", accept) // six representatives

	oral := func(more open) *walker {
		k := newCase(t, w, more).do("accept", mediator, accept)
		file(k, mediator, "oral_agreement_form", open{"reached_on": day}, "facts", "terms")
		return k
	}
	at := func(kind string) open { return open{"agreed_on": day, "performance_kind": kind} }
	no(oral(nil), "agree_oral", at("dated"))
	no(oral(open{"difficulty": "major"}), "agree_oral", at("immediate"))
	no(oral(open{"written_asked": true}), "agree_oral", at("immediate"))
	oral(nil).do("agree_oral", mediator, at("immediate"))

	k := newCase(t, w, nil).do("accept", mediator, accept)
	session := open{"sessions/0/held_at": start, "sessions/0/result": "continue"}
	k.refused(envelope.Invalid, domain.ReasonCondition, "session", mediator, session, "sessions/0/invited")
	session["sessions/0/invited_consent"] = true
	k.do("session", mediator, session, "sessions/0/invited")
	k.do("terminate", mediator, open{"end_reason": "refuse", "remedies": []string{"lawsuit"}}, "_note").in("terminated", "") // always possible

	land := newCase(t, w, open{"type": "0902"}).do("accept", mediator, accept)
	file(land, mediator, "agreement", open{"copies": int64(3), "signed_on": day}, "facts", "terms", "manner")
	land.do("agree_written", mediator, open{"agreed_on": day, "performance_kind": "immediate", "mediator_signed": true, "stamped": true,
		"parties/0/signed": true, "parties/1/signed": true})
	file(land, mediator, "judicial_confirmation", open{"applied_on": day}, "court")
	apply := open{"confirmation_applied_on": day, "_scope_checked": true, "_joint": true}
	no(land, "apply_confirmation", apply) // ownership: the warning must be read
	apply["confirmation_scope"] = true
	land.do("apply_confirmation", mediator, apply)
}

// TestMergeCarriesWhatHappened: the child's pause and extension come along,
// an extension of the parent leaves them apart, and the end of the merge
// gives back exactly what was there.
func TestMergeCarriesWhatHappened(t *testing.T) {
	w := newWorld(t)
	child := newEvent(t, w).do("accept", duty, nil)
	child.do("suspend", leader, open{"_reason": "expertise"}).do("resume", duty, nil)
	child.do("ask_extension", duty, open{"_clock": "handle", "_limit": "3wd", "_reason": "complex"}).do("extend", leader, open{"_clock": "handle"})
	parent := walk(t, w, "event")
	parent.id = id(8)
	parent.do("register", duty, open{"type": "01"}, "title")
	before := slices.Clone(parent.r.Clocks)
	brought := child.r.BroughtClocks(w.def("event"))
	child.do("merge_into", duty, open{"_record": parent.id.String(), "_reason": "same_matter"})
	parent.do("merge_from", duty, open{"_record": child.id.String(), "_clocks": brought})
	var kinds []domain.ClockKind
	for _, e := range parent.r.Clocks {
		if e.Child == child.id {
			kinds = append(kinds, e.Kind)
		}
	}
	if want := []domain.ClockKind{domain.ClockAdopt, domain.ClockPause, domain.ClockResume, domain.ClockExtend}; !slices.Equal(kinds, want) {
		t.Errorf("brought %v, want %v", kinds, want)
	}
	if parent.r.Extended("handle") != 0 {
		t.Error("the child's extension counts as the parent's")
	}
	for _, line := range []string{"handle", "handle|1|x|0|0|p||", "handle|2|5|0|0|p||", "handle|99|5|0|0|p||"} {
		parent.refused(envelope.Invalid, domain.ReasonInput, "merge_from", duty, open{"_record": id(9).String(), "_clocks": []string{line}})
	}
	parent.do("unmerge_child", duty, open{"_record": child.id.String()})
	if !slices.Equal(parent.r.Clocks, before) {
		t.Errorf("after the merge %v, before %v", parent.r.Clocks, before)
	}
	parent.do("suspend", leader, open{"_reason": "other"}).refused(envelope.Invalid, domain.ReasonInput, "merge_from", duty,
		open{"_record": child.id.String(), "_clocks": brought})
}
