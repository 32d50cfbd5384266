package domain_test

import (
	"slices"
	"testing"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// TestVerdicts: every reason for which a step has no effect.
func TestVerdicts(t *testing.T) {
	change := func(f func(*envelope.Operation)) func(*walker) *envelope.Operation {
		return func(k *walker) *envelope.Operation {
			op := k.op("accept", duty, nil)
			f(op)
			return op
		}
	}
	take := func(step string, a envelope.Actor, o open, sealed ...string) func(*walker) *envelope.Operation {
		return func(k *walker) *envelope.Operation { return k.op(step, a, o, sealed...) }
	}
	for name, c := range map[string]struct {
		before func(*walker)
		op     func(*walker) *envelope.Operation
		code   envelope.Code
		reason string
	}{
		"unknown definition": {op: change(func(o *envelope.Operation) { o.Definition.Version = 9 }), code: envelope.Invalid, reason: domain.ReasonDefinition},
		"other kind": {op: func(k *walker) *envelope.Operation {
			op := k.op("accept", duty, nil)
			op.Definition, op.Step = k.w.current["petition"], "register"
			return op
		}, code: envelope.Invalid, reason: domain.ReasonDefinition},
		"unknown step":       {op: change(func(o *envelope.Operation) { o.Step = "fly" }), code: envelope.Invalid, reason: domain.ReasonStep},
		"wrong class":        {op: change(func(o *envelope.Operation) { o.Class = envelope.ClassB }), code: envelope.Invalid, reason: domain.ReasonClass},
		"revoked":            {before: func(k *walker) { k.w.revoked[duty.User] = true }, op: take("accept", duty, nil), code: envelope.Unauthorised, reason: domain.ReasonAuthority},
		"no record":          {op: func(k *walker) *envelope.Operation { op := k.op("accept", duty, nil); k.r = nil; return op }, code: envelope.Invalid, reason: domain.ReasonNoRecord},
		"record exists":      {op: take("report", member, open{"type": "01"}, "title"), code: envelope.Invalid, reason: domain.ReasonExists},
		"old seat":           {before: func(k *walker) { k.w.seats[town] = domain.Seat{Term: 3} }, op: take("accept", duty, nil), code: envelope.Late, reason: domain.ReasonTerm},
		"old epoch":          {op: change(func(o *envelope.Operation) { o.Epoch = 0 }), code: envelope.Late, reason: domain.ReasonEpoch},
		"another step":       {op: change(func(o *envelope.Operation) { o.LastA = &envelope.OpID{Seq: 99} }), code: envelope.Conflict, reason: domain.ReasonOrder},
		"no last step":       {op: change(func(o *envelope.Operation) { o.LastA = nil }), code: envelope.Conflict, reason: domain.ReasonOrder},
		"wrong state":        {op: take("resolve", duty, nil, "result"), code: envelope.Invalid, reason: domain.ReasonState},
		"wrong role":         {op: take("accept", member, nil), code: envelope.Unauthorised, reason: domain.ReasonPermission},
		"wrong place":        {op: take("accept", otherDuty, nil), code: envelope.Unauthorised, reason: domain.ReasonPermission},
		"not the holder":     {op: take("accept", cadre, nil), code: envelope.Unauthorised, reason: domain.ReasonPermission},
		"foreign field":      {op: take("accept", duty, open{"retention": "y5"}), code: envelope.Invalid, reason: domain.ReasonField},
		"no such field":      {op: take("accept", duty, open{"colour": "red"}), code: envelope.Invalid, reason: domain.ReasonField},
		"no such input":      {op: take("accept", duty, open{"_colour_of_hat": "red"}), code: envelope.Invalid, reason: domain.ReasonField},
		"sealed code":        {op: take("accept", duty, nil, "urgency"), code: envelope.Invalid, reason: domain.ReasonField},
		"open text":          {op: take("amend", duty, open{"title": "张三", "_reason": "typo"}), code: envelope.Invalid, reason: domain.ReasonInput},
		"wrong type":         {op: take("amend", duty, open{"people_count": "many", "_reason": "typo"}), code: envelope.Invalid, reason: domain.ReasonInput},
		"out of range":       {op: take("amend", duty, open{"people_count": int64(-1), "_reason": "typo"}), code: envelope.Invalid, reason: domain.ReasonInput},
		"not on earth":       {op: take("amend", duty, open{"point/lat": int64(91_000_000), "_reason": "typo"}), code: envelope.Invalid, reason: domain.ReasonInput},
		"too many items":     {op: take("amend", duty, open{"_reason": "typo"}, twentyOne()...), code: envelope.Invalid, reason: domain.ReasonTooMany},
		"too long a list":    {op: take("amend", duty, open{"responsible": []string{"a", "b", "c", "d"}, "_reason": "typo"}), code: envelope.Invalid, reason: domain.ReasonInput},
		"amends nothing":     {op: take("amend", duty, open{"_reason": "typo"}), code: envelope.Invalid, reason: domain.ReasonNothing},
		"input missing":      {op: take("reject", duty, nil, "_note"), code: envelope.Invalid, reason: domain.ReasonMissing},
		"note missing":       {op: take("reject", duty, open{"_reason": "invalid"}), code: envelope.Invalid, reason: domain.ReasonMissing},
		"number not given":   {op: take("accept", duty, open{"_number": "1号"}), code: envelope.Invalid, reason: domain.ReasonInput},
		"field missing":      {before: accepted, op: take("resolve", duty, nil), code: envelope.Invalid, reason: domain.ReasonMissing},
		"addressee unknown":  {before: accepted, op: take("dispatch", duty, open{"_to": "nowhere"}), code: envelope.Invalid, reason: domain.ReasonInput},
		"addressee abroad":   {before: accepted, op: take("dispatch", duty, open{"_to": away}), code: envelope.Invalid, reason: domain.ReasonInput},
		"no extension asked": {before: accepted, op: take("extend", leader, open{"_clock": "handle"}), code: envelope.Invalid, reason: domain.ReasonNothing},
		"extension of a stopped clock": {before: accepted, op: take("ask_extension", duty, open{"_clock": "verify", "_limit": "1wd", "_reason": "complex"}),
			code: envelope.Invalid, reason: domain.ReasonInput},
		"asked twice": {before: func(k *walker) {
			accepted(k)
			k.do("ask_extension", duty, open{"_clock": "handle", "_limit": "1wd", "_reason": "complex"})
		}, op: take("ask_extension", duty, open{"_clock": "handle", "_limit": "1wd", "_reason": "complex"}), code: envelope.Invalid, reason: domain.ReasonTooMany},
		"third extension": {before: func(k *walker) {
			accepted(k)
			for range 2 {
				k.do("ask_extension", duty, open{"_clock": "handle", "_limit": "1wd", "_reason": "complex"}).do("extend", leader, open{"_clock": "handle"})
			}
		}, op: take("ask_extension", duty, open{"_clock": "handle", "_limit": "1wd", "_reason": "complex"}), code: envelope.Invalid, reason: domain.ReasonTooMany},
		"gate": {before: func(k *walker) {
			accepted(k)
			k.do("assist", duty, open{"_targets": []string{village}}).do("resolve", duty, nil, "result").do("verify", duty, nil)
		}, op: take("close", duty, nil), code: envelope.Invalid, reason: domain.ReasonCondition},
		"second offer": {before: offered, op: take("offer", duty, open{"_to": county, "_reason": "beyond"}), code: envelope.Conflict, reason: domain.ReasonOfferOpen},
		"closing while offered": {before: offered, op: take("reject", duty, open{"_reason": "invalid"}, "_note"),
			code: envelope.Conflict, reason: domain.ReasonOfferOpen},
		"merging while offered": {before: offered, op: take("merge_into", duty, open{"_record": id(9).String(), "_reason": "same_matter"}),
			code: envelope.Conflict, reason: domain.ReasonOfferOpen},
		"no offer":         {before: accepted, op: take("take_over", otherDuty, open{"_offer": "x"}), code: envelope.Conflict, reason: domain.ReasonNoOffer},
		"offer to oneself": {before: accepted, op: take("offer", duty, open{"_to": town, "_reason": "place"}), code: envelope.Invalid, reason: domain.ReasonInput},
		"offer to a village": {before: accepted, op: take("offer", duty, open{"_to": away, "_reason": "place"}),
			code: envelope.Invalid, reason: domain.ReasonInput},
		"card of no colour":  {op: take("card", box, open{"_clock": "accept", "_round": int64(1), "_colour": "blue"}), code: envelope.Invalid, reason: domain.ReasonInput},
		"lift of no card":    {op: take("lift_card", leader, open{"_clock": "accept", "_round": int64(1), "_colour": "red", "_reason": "mistake"}), code: envelope.Invalid, reason: domain.ReasonNothing},
		"attachment no hash": {op: take("attach", duty, open{"_size": int64(3), "_media": "image/jpeg"}, "_name"), code: envelope.Invalid, reason: domain.ReasonInput},
		"merge with itself":  {op: take("merge_into", duty, open{"_record": id(7).String(), "_reason": "same_matter"}), code: envelope.Invalid, reason: domain.ReasonInput},
		"adopts nothing":     {op: take("adopt", duty, open{"_quote": "x"}), code: envelope.Invalid, reason: domain.ReasonNothing},
		"stranger's receipt": {op: take("receipt", officer, nil), code: envelope.Unauthorised, reason: domain.ReasonPermission},
	} {
		t.Run(name, func(t *testing.T) {
			k := newEvent(t, newWorld(t))
			if c.before != nil {
				c.before(k)
			}
			op := c.op(k)
			k.verdict(c.code, c.reason, op)
		})
	}
}

func accepted(k *walker) { k.do("accept", duty, nil) }

func offered(k *walker) {
	accepted(k)
	k.do("offer", duty, open{"_to": otherTown, "_reason": "place"})
}

func twentyOne() (paths []string) {
	for i := range 21 {
		paths = append(paths, "people/"+string(rune('0'+i/10))+string(rune('0'+i%10))+"/name")
	}
	for i := range 10 {
		paths[i] = "people/" + string(rune('0'+i)) + "/name"
	}
	return paths
}

// TestConflictNamesTheStep: the one who comes second learns what stands.
func TestConflictNamesTheStep(t *testing.T) {
	k := newEvent(t, newWorld(t))
	mine, yours := k.op("accept", duty, nil), k.op("reject", duty, open{"_reason": "invalid"}, "_note")
	r, v := domain.Fold(k.r, mine, k.w)
	if v.Code != envelope.Applied {
		t.Fatal(v)
	}
	if _, v = domain.Fold(r, yours, k.w); v.Code != envelope.Conflict || v.With != mine.ID() {
		t.Errorf("verdict %+v", v)
	}
}

// TestCreateRefused: who may report, and in whose name.
func TestCreateRefused(t *testing.T) {
	w := newWorld(t)
	k := walk(t, w, "event")
	k.refused(envelope.Unauthorised, domain.ReasonPermission, "register", member, open{"type": "01"}, "title")
	k.refused(envelope.Unauthorised, domain.ReasonAuthority, "report", actor(domain.RoleGridMember, "nowhere"), open{"type": "01"}, "title")
	k.refused(envelope.Invalid, domain.ReasonMissing, "report", member, open{"type": "01"})
	w.seats[town] = domain.Seat{Term: 2}
	k.refused(envelope.Late, domain.ReasonTerm, "report", member, open{"type": "01"}, "title")
	// The tree itself starts at the box.
	first := walk(t, w, "organisation")
	root := envelope.Actor{Organisation: "3301", Role: domain.RoleTechnician}
	first.do("create", root, open{"code": "3301", "name": "某县", "level": "county"})
	if first.r.Custodian != "3301" {
		t.Errorf("custodian %q", first.r.Custodian)
	}
}

// TestCustody: offer, return, withdraw, take over, recall, late and adopt.
func TestCustody(t *testing.T) {
	w := newWorld(t)
	k := newEvent(t, w).do("accept", duty, nil).do("offer", duty, open{"_to": otherTown, "_reason": "place"})
	quote := func() open { return open{"_offer": domain.OpText(k.r.Offer.Op)} }
	if k.r.Custodian != town || k.r.Holder != town || k.r.Epoch != 1 {
		t.Fatal("an offer moved the record")
	}
	k.do("urge", duty, nil) // work goes on
	k.refused(envelope.Unauthorised, domain.ReasonPermission, "take_over", duty, quote())
	k.refused(envelope.Conflict, domain.ReasonNoOffer, "take_over", otherDuty, open{"_offer": "another"})
	k.refused(envelope.Invalid, domain.ReasonMissing, "return_offer", otherDuty, quote())
	returned := quote()
	returned["_reason"] = "not_ours"
	k.do("return_offer", otherDuty, returned, "_note")
	if k.r.Offer != nil || k.r.Returns != 1 {
		t.Errorf("offer %v, returns %d", k.r.Offer, k.r.Returns)
	}
	k.do("offer", duty, open{"_to": county, "_reason": "beyond"}).do("withdraw_offer", duty, quote())
	k.do("offer", duty, open{"_to": otherTown, "_reason": "place"})

	seen := k.op("dispatch", duty, open{"_to": station}) // made without knowing of the acceptance
	w.seats[otherTown] = domain.Seat{Term: 4}
	accept := k.op("take_over", otherDuty, quote())
	k.verdict(envelope.Late, domain.ReasonTerm, accept)
	accept.SeatTerm = 4
	r, v := domain.Fold(k.r, accept, w)
	if v.Code != envelope.Applied || r.Custodian != otherTown || r.Holder != otherTown || r.Epoch != 2 || r.Term != 4 || r.Offer != nil {
		t.Fatalf("%v %+v", v, r)
	}
	k.r = r
	k.running("handle") // clocks run on from the old start

	// What the sender did unseen arrives late, and the new custodian adopts it.
	w.seats[town] = domain.Seat{}
	r, v = domain.Fold(k.r, seen, w)
	if v.Code != envelope.Late || len(r.Late) != 1 || r.Late[0] != seen.ID() {
		t.Fatalf("%v, late %v", v, r.Late)
	}
	k.r = r
	adopt := k.op("adopt", otherDuty, open{"_quote": domain.OpText(seen.ID()), "people_count": int64(3)})
	adopt.SeatTerm = 4
	r, v = domain.Fold(k.r, adopt, w)
	if v.Code != envelope.Applied || len(r.Late) != 0 || r.Int("people_count") != 3 {
		t.Fatalf("%v, late %v", v, r.Late)
	}
	k.r = r

	// The county takes it by force.
	k.do("recall", upper, open{"_to": county}, "_note")
	if k.r.Custodian != county || k.r.Epoch != 3 {
		t.Errorf("custodian %s, epoch %d", k.r.Custodian, k.r.Epoch)
	}
	k.refused(envelope.Unauthorised, domain.ReasonPermission, "amend", otherDuty, open{"_reason": "typo", "urgency": "low"})
}

// TestStaleEpochAfterRecall: what was made before the recall comes late.
func TestStaleEpochAfterRecall(t *testing.T) {
	w := newWorld(t)
	k := newEvent(t, w).do("accept", duty, nil)
	stale := k.op("dispatch", duty, open{"_to": station})
	k.do("recall", upper, open{"_to": county}, "_note")
	k.verdict(envelope.Late, domain.ReasonEpoch, stale)
}

// TestRestate moves a record to a newer version of its kind, and only so.
func TestRestate(t *testing.T) {
	w := newWorld(t)
	k := newEvent(t, w)
	next := *w.def("event")
	next.Version = 2
	ref := w.current["event"]
	ref.Version = 2
	w.add(&next, ref)
	newer := k.op("accept", duty, nil)
	newer.Definition = ref
	k.verdict(envelope.Invalid, domain.ReasonDefinition, newer)
	note := k.op("note", duty, nil, "_note") // appended steps go with any version
	note.Definition = ref
	if _, v := domain.Fold(k.r, note, w); v.Code != envelope.Applied {
		t.Errorf("a note under the newer version: %v", v)
	}
	move := k.op("restate", box, nil)
	move.Definition = ref
	r, v := domain.Fold(k.r, move, w)
	if v.Code != envelope.Applied || r.Definition != ref {
		t.Fatalf("%v, pinned %v", v, r.Definition)
	}
	k.r = r
	k.do("accept", duty, nil)
}

// TestOnlyTheAddresseeAnswers: the effect itself keeps a sender from taking
// over or returning its own offer, also in a kind that forgets to say where.
func TestOnlyTheAddresseeAnswers(t *testing.T) {
	w := newWorld(t)
	def := *w.def("event")
	def.Steps = slices.Clone(def.Steps)
	for i := range def.Steps {
		if def.Steps[i].Effect == domain.TakeOver || def.Steps[i].Effect == domain.ReturnOffer {
			def.Steps[i].Where = nil
		}
	}
	w.add(&def, w.current["event"])
	k := newEvent(t, w)
	offered(k)
	quote := open{"_offer": domain.OpText(k.r.Offer.Op), "_reason": "other"}
	k.refused(envelope.Unauthorised, domain.ReasonPermission, "return_offer", duty, quote, "_note")
	delete(quote, "_reason")
	k.refused(envelope.Unauthorised, domain.ReasonPermission, "take_over", duty, quote)
	k.do("take_over", otherDuty, quote)
}
