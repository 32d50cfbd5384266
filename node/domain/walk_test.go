package domain_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/catalog"
	"github.com/fengqiao/fengqiao/node/domain"
)

func newEvent(t testing.TB, w *world) *walker {
	return walk(t, w, "event").do("report", member, open{"type": "02", "scale": "01", "urgency": "normal", "village": village,
		"point/lng": int64(120_236_000), "point/lat": int64(29_713_000), "_number": "枫事〔2026〕00001号"},
		"title", "content", "people/0/name", "people/0/phone", "point/exact")
}

func walkEvent(t testing.TB, w *world) *walker {
	k := newEvent(t, w).in("reported", town).running("accept")
	k.do("accept", duty, open{"line": "dispute"}).in("accepted", town).running("handle")
	k.do("instruct", leader, nil, "_note")
	k.do("dispatch", duty, open{"_to": station, "_start": start}, "_note").in("dispatched", station).running("handle", "sign")
	k.do("return", officer, open{"_reason": "not_ours"}, "_note").in("accepted", town)
	k.do("dispatch", duty, open{"_to": station}).do("sign", officer, nil).in("in_progress", station).running("handle")
	k.do("assist", duty, open{"_targets": []string{village}}).do("assist_done", cadre, nil, "_note")
	k.do("copy", duty, open{"_targets": []string{village2}}).do("receipt", actor(domain.RoleVillageCadre, village2), nil)
	k.do("ask_extension", officer, open{"_clock": "handle", "_limit": "3wd", "_reason": "complex"})
	k.do("extend", leader, open{"_clock": "handle"})
	k.do("ask_suspension", officer, open{"_reason": "expertise"}).do("suspend", leader, open{"_reason": "expertise"}).in("suspended", station)
	k.do("resume", duty, nil).in("in_progress", station)
	k.do("card", box, open{"_clock": "handle", "_round": int64(1), "_colour": "yellow"})
	k.do("resolve", officer, open{"method": "10", "solved": true}, "result").in("resolved", town).running("verify")
	k.do("reopen", duty, open{"_reason": "incomplete"}, "_note").in("in_progress", station).running("handle")
	k.do("resolve", officer, nil, "result").do("verify", member, nil).in("verified", town).running("closing")
	k.do("rate", cadre, open{"rating": "satisfied"})
	k.do("close", duty, nil).in("closed", town)
	return k.do("archive", duty, open{"retention": "y5"}).in("archived", town).running()
}

var parties = under("parties/0", "name", "idcard", "phone")
var secondParty = under("parties/1", "name")

func newCase(t testing.TB, w *world, more open) *walker {
	o := open{"type": "0201", "source": "application", "committee": panel, "village": village, "parties/0/role": "applicant",
		"parties/1/role": "respondent", "parties/0/consent": "given", "parties/1/consent": "given", "difficulty": "ordinary"}
	for key, v := range more {
		o[key] = v
	}
	return walk(t, w, "mediation").do("register", mediator, o, join(text{"title", "facts"}, parties, secondParty)...)
}

func file(k *walker, a envelope.Actor, document string, o open, sealed ...string) {
	values := open{"_document": document}
	for key, v := range o {
		values["documents/"+document+"/0/"+key] = v
	}
	k.do("file", a, values, under("documents/"+document+"/0", sealed...)...)
}

const day = "2026-05-06"

func walkMediation(t testing.TB, w *world) *walker {
	k := newCase(t, w, nil).in("registered", town).running("accept", "consent")
	k.refused(envelope.Invalid, domain.ReasonCondition, "accept", mediator, nil) // no violence check yet
	k.do("accept", mediator, open{"violence_check": "none", "moj_type": "02", "assigned": []string{mediator.User.String()},
		"_number": "枫源人调〔2026〕0001号"}).running("mediate")
	file(k, mediator, "application", open{"voluntary": true, "applied_on": day}, "facts", "claims")
	file(k, mediator, "rights_notice", open{"given_on": day}, "signed_by")
	file(k, mediator, "identity_proof", open{"checked_on": day}, "of")
	k.do("session", mediator, open{"sessions/0/held_at": start, "sessions/0/result": "agreed"}, "sessions/0/content").in("mediating", "")
	file(k, mediator, "mediation_record", open{"held_at": start, "result": "agreed"}, "place", "content")
	agree := open{"agreed_on": day, "performance_kind": "dated", "perform_by": "2026-06-30", "mediator_signed": true, "stamped": true}
	k.refused(envelope.Invalid, domain.ReasonCondition, "agree_written", mediator, agree) // no agreement on file
	file(k, mediator, "agreement", open{"copies": int64(3), "signed_on": day}, "facts", "terms", "manner")
	k.refused(envelope.Invalid, domain.ReasonCondition, "agree_written", mediator, agree) // the parties have not signed
	agree["parties/0/signed"], agree["parties/1/signed"] = true, true
	k.do("agree_written", mediator, agree).in("agreed_written", "").running("confirmation", "perform", "visit")
	file(k, mediator, "judicial_confirmation", open{"applied_on": day}, "court")
	k.do("apply_confirmation", mediator, open{"confirmation_applied_on": day, "_scope_checked": true, "_joint": true}).running("court_accept", "perform", "visit")
	k.do("court_accepted", mediator, open{"court_accepted_on": day}).running("court_decide", "perform", "visit")
	k.do("court_extended", mediator, open{"court_decide_by": "2026-07-20"})
	k.do("confirm", judicial, open{"confirmed_on": day}, "confirmation_number").running("enforcement", "objection", "perform", "visit")
	k.do("perform", mediator, open{"performed_on": day}).in("performed", "").running("enforcement", "follow_up", "objection")
	k.do("follow_up", mediator, open{"documents/follow_up/0/visited_on": day, "documents/follow_up/0/result": "performed"},
		under("documents/follow_up/0", "visitor", "content")...).running("enforcement", "objection")
	k.do("rate", mediator, open{"rating": "satisfied"}).do("close", mediator, open{"retention": "permanent"}).running("archive", "enforcement")
	k.refused(envelope.Invalid, domain.ReasonCondition, "archive", judicial, open{"retention": "permanent"}) // no back cover
	file(k, mediator, "back_cover", open{"compiled_on": day, "pages": int64(20)}, "compiled_by")
	return k.do("archive", judicial, open{"retention": "permanent"}).in("archived", "").running()
}

func walkOral(t testing.TB, w *world) *walker {
	k := newCase(t, w, open{"source": "initiative", "parties/1/consent": "silent"})
	k.do("accept", mediator, open{"violence_check": "none", "_number": "枫源人调〔2026〕0002号", "assigned": []string{mediator.User.String()}})
	file(k, mediator, "acceptance_form", open{"registered_on": day}, "facts", "registrar")
	file(k, mediator, "oral_agreement_form", open{"reached_on": day}, "facts", "terms")
	k.do("agree_oral", mediator, open{"agreed_on": day, "performance_kind": "immediate"}).running("perform", "visit")
	k.do("perform", mediator, open{"performed_on": day}).do("close", mediator, open{"retention": "y10"})
	return k.do("archive", mediator, open{"retention": "y10"}).in("archived", "")
}

func walkFailed(t testing.TB, w *world) *walker {
	k := newCase(t, w, nil)
	k.do("accept", judicial, open{"violence_check": "none", "assigned": []string{mediator.User.String()}})
	k.refused(envelope.Invalid, domain.ReasonMissing, "fail", mediator, open{"end_reason": "difference"}) // remedies
	k.do("fail", mediator, open{"end_reason": "difference", "remedies": []string{"lawsuit"}}).in("failed", "")
	k.do("close", mediator, nil)
	k.refused(envelope.Invalid, domain.ReasonCondition, "archive", judicial, open{"retention": "y10"})
	file(k, mediator, "application", open{"voluntary": true, "applied_on": day}, "facts", "claims")
	file(k, mediator, "rights_notice", open{"given_on": day}, "signed_by")
	file(k, mediator, "identity_proof", open{"checked_on": day}, "of")
	file(k, mediator, "mediation_record", open{"held_at": start, "result": "none"}, "place", "content")
	file(k, mediator, "end_notice", open{"reason": "difference", "remedies": []string{"lawsuit"}, "given_on": day})
	return k.do("archive", judicial, open{"retention": "y10"}).in("archived", "")
}

func walkPetition(t testing.TB, w *world) *walker {
	k := walk(t, w, "petition").do("receive", cadre, open{"channel": "proxy", "class": "claim", "village": village}, "title", "content", "petitioners/0/name")
	k.running("register").do("register", petitions, open{"first": true, "_number": "枫信〔2026〕0001号"})
	k.do("transfer", petitions, open{"_to": station}).in("transferred", station).running("object", "inform")
	k.do("object", officer, open{"_reason": "not_ours"}, "_note").in("registered", town).running("register")
	k.do("transfer", petitions, open{"_to": station})
	k.refused(envelope.Invalid, domain.ReasonCondition, "accept", officer, open{"accepted_on": day}) // route and mandate
	k.do("amend", petitions, open{"mandate_on": day, "_reason": "supplement"})
	k.do("accept", officer, open{"accepted_on": day, "legal_route": "petition"}).running("handle")
	k.do("contact", officer, open{"contacted_on": day}).in("handling", station)
	k.do("ask_extension", officer, open{"_clock": "handle", "_limit": "30d", "_reason": "complex"}).do("extend", leader, open{"_clock": "handle"})
	k.do("reply", officer, open{"decision": "partly", "replied_on": day}, "reply", "basis").in("replied", town).running("ask_review")
	k.do("request_review", petitions, nil).running("review")
	k.do("review", leader, open{"review_decision": "support"}, "review_text").running("ask_rereview")
	k.do("request_rereview", petitions, nil).running("rereview")
	k.do("rereview", petitions, open{"rereview_decision": "support"}, "rereview_text").running()
	k.do("implement", petitions, nil, "_note").do("rate", petitions, open{"rating": "fair"})
	return k.do("close", petitions, open{"close_reason": "final"}).do("archive", petitions, open{"retention": "y30"}).in("archived", town)
}

func walkHazard(t testing.TB, w *world) *walker {
	k := walk(t, w, "hazard").do("found", member, open{"type": "fire", "grade": "general", "village": village}, "title", "content").running("order")
	k.do("dispatch", duty, open{"_to": station}).in("found", station)
	k.do("order", officer, open{"rectify_by": "2026-10-01"}, "measures").running("rectify")
	k.do("rectify", officer, nil, "result").running("recheck")
	k.do("fail", officer, open{"rectify_by": "2026-10-20"}, "_note").in("rectifying", station).running("rectify")
	return k.do("rectify", officer, nil, "result").do("pass", officer, nil).in("closed", station).running()
}

func walkNotice(t testing.TB, w *world) *walker {
	k := walk(t, w, "notice").do("draft", duty, open{"class": "task"}, "title", "content")
	k.do("copy", duty, open{"_targets": []string{village, station}}).do("issue", leader, open{"_number": "枫通〔2026〕001号"}).running("read")
	k.do("receipt", cadre, nil).do("answer", cadre, nil, "_note").do("receipt", officer, nil)
	return k.do("close", duty, nil).in("closed", town).running()
}

func walkShift(t testing.TB, w *world) *walker {
	k := walk(t, w, "shift").do("plan", leader, open{"date": day, "slot": "day", "start": start, "end": start + 9*3600_000,
		"leader": leader.User.String(), "assigned": []string{duty.User.String()}}, "phone")
	k.do("swap", leader, open{"assigned": []string{duty.User.String()}, "_reason": "duty"}).do("go_on", duty, nil).do("check", leader, open{"check_result": "on_post"})
	items := open{"open_items": int64(1), "open_alarms": int64(1), "equipment_ok": true, "_items": []string{id(9).String()}}
	k.refused(envelope.Invalid, domain.ReasonCondition, "hand_over", duty, items, "summary") // an alarm rings
	items["open_alarms"] = int64(0)
	k.do("hand_over", duty, items, "summary").running("hand_over")
	k.do("take_back", leader, nil, "_note").do("hand_over", duty, items, "summary")
	return k.do("take_over", duty, open{"_equipment_ok": true}).in("handed_over", town).running()
}

func walkDutyLog(t testing.TB, w *world) *walker {
	k := walk(t, w, "duty_log").do("log", duty, open{"kind": "call"}, "content", "from_name", "from_phone")
	return k.refused(envelope.Invalid, domain.ReasonCondition, "finish", duty, nil).do("finish", duty, nil, "action").in("done", town)
}

func walkAlarm(t testing.TB, w *world) *walker {
	k := walk(t, w, "alarm").do("raise", box, open{"reason": "emergency", "level": int64(1), "source": id(9).String(), "target": town})
	k.refused(envelope.Unauthorised, domain.ReasonPermission, "acknowledge", box, nil)
	return k.do("acknowledge", duty, nil).do("clear", duty, open{"_reason": "handled"}).in("cleared", town)
}

func walkAccount(t testing.TB, w *world) *walker {
	k := walk(t, w, "account").do("create", security, open{"username": "wang", "grants": []string{"grid_member@" + grid}, "must_change": true}, "name", "phone", "password")
	k.do("set_password", security, open{"must_change": false}, "password").do("lock", security, nil).do("unlock", technician, nil)
	k.do("grant", security, open{"grants": []string{"village_cadre@" + village}})
	return k.do("disable", security, nil).do("enable", security, nil).do("disable", security, open{"_reason": "left"}).in("disabled", town)
}

func walkOrganisation(t testing.TB, w *world) *walker {
	k := walk(t, w, "organisation").do("create", system, open{"code": "330681109295", "name": "新村", "level": "village", "parent": town,
		"point/lng": int64(120_300_000), "point/lat": int64(29_800_000), "aliases": []string{"旧村"}})
	k.do("amend", system, open{"name": "新新村"})
	k.refused(envelope.Invalid, domain.ReasonCondition, "amend", system, open{"level": "committee"}) // needs an abbreviation
	return k.do("retire", system, open{"_reason": "merged"}).in("retired", town)
}

func walkCalendar(t testing.TB, w *world) *walker {
	return walk(t, w, "calendar").do("create", system, open{"year": int64(2026), "days": []string{"2026-01-01 off 元旦"}}).
		do("amend", system, open{"days": []string{"2026-01-01 off 元旦", "2026-02-14 work 春节"}}).do("withdraw", system, nil, "_note").in("withdrawn", town)
}

func walkDefinition(t testing.TB, w *world) *walker {
	return walk(t, w, "definition").do("create", technician, open{"kind": "bench", "version": int64(1), "lines": []string{"id: bench"}}).
		do("retire", system, nil).do("restore", system, nil).in("active", town)
}

func walkOutline(t testing.TB, w *world) *walker {
	k := walk(t, w, "outline").do("create", system, nil)
	k.do("attach", system, open{"_file": strings.Repeat("ab", len(envelope.Hash{})), "_filekey": strings.Repeat("cd", len(envelope.KeyID{})), "_size": int64(9),
		"_media": "application/geo+json"}, "_name")
	return k.do("withdraw", system, nil).do("restore", system, nil).in("active", town)
}

// walks take every kind from creation to its end.
var walks = map[string]func(testing.TB, *world) *walker{
	"event": walkEvent, "mediation": walkMediation, "mediation oral": walkOral, "mediation failed": walkFailed,
	"petition": walkPetition, "hazard": walkHazard, "notice": walkNotice, "shift": walkShift, "duty log": walkDutyLog,
	"alarm": walkAlarm, "import": walkImport, "account": walkAccount, "organisation": walkOrganisation, "calendar": walkCalendar, "definition": walkDefinition, "outline": walkOutline,
}

func walkImport(t testing.TB, w *world) *walker {
	k := walk(t, w, "import").do("begin", duty, open{"kind": "event", "hash": "00", "mapping": []string{"title"}, "rows": int64(2)}).in("running", "")
	k.refused(envelope.Unauthorised, domain.ReasonPermission, "finish", duty, nil)
	return k.do("finish", box, nil).in("done", "").do("settle", box, open{"settled": true}).do("undo", box, open{"_by": duty.User.String()}).in("undone", "")
}

// TestWalks: every kind works, folding twice gives the same bytes, and
// every operation goes through its encoding.
func TestWalks(t *testing.T) {
	covered := map[string]bool{}
	w := newWorld(t)
	for name, f := range walks {
		t.Run(name, func(t *testing.T) {
			k := f(t, w)
			covered[k.kind] = true
			if again := refold(t, w, k.ops); !bytes.Equal(marshal(t, k.r), marshal(t, again)) {
				t.Error("folding again gives other bytes")
			}
		})
	}
	for kind := range w.current {
		if !covered[kind] {
			t.Errorf("no walk of %s", kind)
		}
	}
}

// TestKindByYAMLAlone: a county adds a kind without code and walks it.
func TestKindByYAMLAlone(t *testing.T) {
	data, err := os.ReadFile("../catalog/testdata/bench.yaml")
	if err != nil {
		t.Fatal(err)
	}
	def, err := catalog.Parse("bench.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.add(def, def.Ref(catalog.Hash(def)))
	k := walk(t, w, def.ID).do("report", member, open{"damage": "leg", "village": village, "_number": "枫椅〔2026〕001号"}, "title")
	k.running("repair").do("amend", duty, open{"damage": "board", "_reason": "typo"}).do("note", member, nil, "_note")
	k.refused(envelope.Invalid, domain.ReasonCondition, "repair", duty, nil)
	k.refused(envelope.Invalid, domain.ReasonInput, "repair", duty, open{"count": int64(51)})
	k.do("repair", duty, open{"count": int64(2)}).in("repaired", town).running()
	if k.r.Number != "枫椅〔2026〕001号" || k.r.Steps[1].Was["damage"] != "leg" {
		t.Errorf("number %q, was %v", k.r.Number, k.r.Steps[1].Was)
	}
}

func TestEventOtherWays(t *testing.T) {
	w := newWorld(t)
	base := open{"type": "01"}
	k := walk(t, w, "event").do("report_village", member, base, "title").in("reported", village).running("accept")
	k.do("escalate", cadre, nil, "_note").in("reported", town)
	walk(t, w, "event").do("report_village", member, base, "title").do("accept", cadre, nil).in("accepted", village).
		do("dispatch_down", cadre, open{"_to": grid}).in("dispatched", grid).do("sign", member, nil).do("resolve", member, nil, "result").in("resolved", town)
	walk(t, w, "event").do("record", member, base, "title", "result").in("self_resolved", town).running("verify").
		do("reopen", duty, open{"_reason": "relapse"}, "_note").in("in_progress", town)
	walk(t, w, "event").do("register", duty, base, "title").running("handle").do("file_only", duty, nil).in("filed_only", town).running()
	walk(t, w, "event").do("report", member, base, "title").do("reject", duty, open{"_reason": "invalid"}, "_note").do("archive", duty, open{"retention": "y5"})
	walk(t, w, "event").do("report", member, base, "title").do("withdraw", member, open{"_reason": "mistake"}).in("withdrawn", town).running()
	walk(t, w, "event").do("report_village", member, base, "title").do("self_resolve", cadre, nil, "result").in("self_resolved", town)
	walk(t, w, "event").do("report", box, open{"type": "99", "source": "iot"}, "title").in("reported", town)
	// A village sends only below itself; the scale is asked for where the law of the platform asks.
	walk(t, w, "event").do("report_village", member, base, "title").do("accept", cadre, nil).
		refused(envelope.Invalid, domain.ReasonInput, "dispatch_down", cadre, open{"_to": village2})
	k = walk(t, w, "event")
	k.refused(envelope.Invalid, domain.ReasonCondition, "report", member, open{"type": "07"}, "title")
}

func TestMerge(t *testing.T) {
	w := newWorld(t)
	child := newEvent(t, w).do("accept", duty, nil)
	parent := walk(t, w, "event")
	parent.id = id(8)
	parent.do("register", duty, open{"type": "01"}, "title")
	brought := child.r.BroughtClocks(w.def("event"))
	child.do("merge_into", duty, open{"_record": parent.id.String(), "_reason": "same_matter"}).in("merged", "")
	parent.do("merge_from", duty, open{"_record": child.id.String(), "_clocks": brought})
	if len(parent.r.Children) != 1 || parent.r.Clocks[len(parent.r.Clocks)-1].Child != child.id {
		t.Fatalf("children %v, clocks %v", parent.r.Children, parent.r.Clocks)
	}
	child.refused(envelope.Invalid, domain.ReasonMerged, "archive", duty, open{"retention": "y5"})
	child.do("note", duty, nil, "_note") // shown with the parent
	child.do("unmerge_from", duty, nil, "_note").in("accepted", "").running("handle")
	parent.do("unmerge_child", duty, open{"_record": child.id.String()})
	if len(parent.r.Children) != 0 || len(parent.r.Clocks) != 1 {
		t.Errorf("children %v, clocks %v", parent.r.Children, parent.r.Clocks)
	}
}

// TestErase drops every sealed value, also of the timeline.
func TestErase(t *testing.T) {
	w := newWorld(t)
	k := newEvent(t, w).do("note", duty, nil, "_note").do("amend", duty, open{"_reason": "typo"}, "content")
	k.do("erase", leader, open{"_reason": "request"}, "_note")
	if bytes.Contains(marshal(t, k.r), []byte("sealed title")) || bytes.Contains(marshal(t, k.r), []byte("sealed _note")) && len(k.r.Appended[0].Sealed) > 0 {
		t.Error("a sealed value is left")
	}
	for _, e := range append(k.r.Steps[:len(k.r.Steps)-1], k.r.Appended...) {
		if len(e.Sealed)+len(e.WasSealed) > 0 {
			t.Errorf("%s keeps sealed values", e.Step)
		}
	}
	k.refused(envelope.Invalid, domain.ReasonErased, "note", duty, nil, "_note")
}

// TestClearing: an open nil clears a value and the parts of a point.
func TestClearing(t *testing.T) {
	w := newWorld(t)
	k := newEvent(t, w).do("amend", duty, open{"point": nil, "content": nil, "people/0/phone": nil, "_reason": "typo"})
	for _, path := range []string{"point/lng", "point/lat", "point/exact", "content", "people/0/phone"} {
		if k.r.Has(path) {
			t.Errorf("%s is left", path)
		}
	}
	if !k.r.Has("title") || !k.r.Has("people/0/name") {
		t.Error("more than asked for was cleared")
	}
	k.refused(envelope.Invalid, domain.ReasonMissing, "amend", duty, open{"title": nil, "_reason": "typo"})
	k.refused(envelope.Invalid, domain.ReasonMissing, "amend", duty, open{"people/0/name": nil, "people/0/address": nil, "_reason": "typo"}, "people/0/idcard")
}
