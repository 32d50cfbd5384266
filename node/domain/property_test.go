package domain_test

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// appended makes the class B operations that several people may write at
// the same time, from boxes that do not see each other.
func appended(k *walker, seed int) []*envelope.Operation {
	hash := func(n int) string { return fmt.Sprintf("01%064x", n) }
	var ops []*envelope.Operation
	add := func(origin string, at int64, op *envelope.Operation) {
		op.Origin, op.At = envelope.Sum([]byte(origin)), at
		ops = append(ops, op)
	}
	card := open{"_clock": "accept", "_round": int64(1), "_colour": "red"}
	for i, origin := range []string{"a", "b", "c"} {
		at := start + int64((i*seed)%5)*1000
		add(origin, at, k.op("note", duty, nil, "_note"))
		add(origin, at+1, k.op("instruct", leader, nil, "_note"))
		add(origin, at+2, k.op("urge", duty, nil))
		add(origin, at+3, k.op("copy", duty, open{"_targets": []string{village2, cadre.User.String()}[i%2:]}))
		add(origin, at+4, k.op("receipt", cadre, nil)) // already told before, see below
		add(origin, at+5, k.op("card", []envelope.Actor{box, duty, leader}[i], card))
		add(origin, at+6, k.op("link", duty, open{"_record": id(byte(20 + i%2)).String(), "_relation": "same"}))
		add(origin, at+7, k.op("attach", duty, open{"_file": hash(seed + i%2), "_size": int64(5), "_media": "image/png",
			"_filekey": "00112233445566778899aabbccddeeff"}, "_name"))
		add(origin, at+8, k.op("assist_done", cadre, nil))
	}
	return ops
}

// TestAppendedCommute is invariant I10: class B operations give the same
// record in any order, also when class A steps fall between them.
func TestAppendedCommute(t *testing.T) {
	w := newWorld(t)
	base := newEvent(t, w).do("copy", duty, open{"_targets": []string{village}}).do("accept", duty, nil).
		do("assist", duty, open{"_targets": []string{village}}).do("dispatch", duty, open{"_to": station})
	rapid.Check(t, func(rt *rapid.T) {
		k := *base
		ops := appended(&k, rapid.IntRange(1, 1000).Draw(rt, "seed"))
		order := rapid.Permutation(ops).Draw(rt, "order")
		straight, shuffled := fold(rt, w, base.r, ops), fold(rt, w, base.r, order)
		if !bytes.Equal(marshal(t, straight), marshal(t, shuffled)) {
			rt.Fatalf("another order gives another record")
		}
		between := rapid.IntRange(0, len(order)).Draw(rt, "between")
		step := k.op("sign", officer, nil)
		mixed := append(append(append([]*envelope.Operation{}, order[:between]...), step), order[between:]...)
		if !bytes.Equal(marshal(t, fold(rt, w, base.r, append(ops, step))), marshal(t, fold(rt, w, base.r, mixed))) {
			rt.Fatalf("a class A step between them gives another record")
		}
	})
}

func fold(t rapid.TB, w *world, r *domain.Record, ops []*envelope.Operation) *domain.Record {
	for _, op := range ops {
		var v envelope.Verdict
		if r, v = domain.Fold(r, op, w); v.Code != envelope.Applied {
			t.Fatalf("%s: %s (%s)", op.Step, v.Code, v.Reason)
		}
	}
	return r
}

// TestFoldIsPure: record and operation are the same after a fold as before,
// whatever becomes of the step.
func TestFoldIsPure(t *testing.T) {
	w := newWorld(t)
	for name, f := range walks {
		k := f(t, w)
		var r *domain.Record
		for i, op := range k.ops {
			record, operation := deepCopy(t, r), deepCopy(t, op)
			next, v := domain.Fold(r, op, w)
			if v.Code != envelope.Applied {
				t.Fatalf("%s: step %d: %v", name, i, v)
			}
			stale := *op
			stale.Epoch = 0
			domain.Fold(next, &stale, w)
			if !reflect.DeepEqual(record, deepCopy(t, r)) || !reflect.DeepEqual(operation, deepCopy(t, op)) {
				t.Fatalf("%s: folding %s changed its input", name, op.Step)
			}
			r = next
		}
	}
}

// deepCopy goes through bytes, so that shared memory would show.
func deepCopy[T any](t *testing.T, v *T) *T {
	t.Helper()
	if v == nil {
		return nil
	}
	b, err := envelope.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out := new(T)
	if err := envelope.Unmarshal(b, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRecordRoundTrip: what the store reads back is what was folded.
func TestRecordRoundTrip(t *testing.T) {
	w := newWorld(t)
	for name, f := range walks {
		k := f(t, w)
		b := marshal(t, k.r)
		if again := marshal(t, deepCopy(t, k.r)); !bytes.Equal(b, again) {
			t.Errorf("%s: a stored record reads back differently", name)
		}
	}
}

// TestRandomSteps: whatever people try, in whatever order, a fold ends with
// a verdict, refuses without effect, and gives the same result twice.
func TestRandomSteps(t *testing.T) {
	w := newWorld(t)
	actors := []envelope.Actor{duty, leader, member, cadre, officer, mediator, judicial, petitions, upper, otherDuty, box}
	values := []open{nil, {"_to": station}, {"_to": otherTown, "_reason": "place"}, {"urgency": "urgent"}, {"_reason": "invalid"},
		{"_targets": []string{village}}, {"retention": "y5"}, {"_clock": "handle", "_limit": "1wd", "_reason": "complex"}}
	rapid.Check(t, func(rt *rapid.T) {
		k := newEvent(t, w)
		def := w.def("event")
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			s := def.Steps[rapid.IntRange(0, len(def.Steps)-1).Draw(rt, "step")]
			sealed := rapid.SampledFrom([][]string{nil, {"_note"}, {"result"}, {"_note", "result"}}).Draw(rt, "sealed")
			op := k.op(s.ID, rapid.SampledFrom(actors).Draw(rt, "actor"), rapid.SampledFrom(values).Draw(rt, "values"), sealed...)
			before := marshal(t, k.r)
			next, v := domain.Fold(k.r, op, w)
			again, v2 := domain.Fold(k.r, op, w)
			if v.Code != v2.Code || v.Reason != v2.Reason || !bytes.Equal(marshal(t, next), marshal(t, again)) {
				rt.Fatalf("%s folds differently the second time", s.ID)
			}
			if v.Code != envelope.Applied && v.Code != envelope.Late && !bytes.Equal(before, marshal(t, next)) {
				rt.Fatalf("%s was refused (%s) and changed the record", s.ID, v.Reason)
			}
			if _, ok := def.State(next.State); !ok || next.Holder == "" || next.Epoch < k.r.Epoch {
				rt.Fatalf("%s leaves state %q, holder %q, epoch %d", s.ID, next.State, next.Holder, next.Epoch)
			}
			k.r = next
		}
	})
}
