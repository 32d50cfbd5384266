package envelope

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write golden files that are missing")

// sample uses every key of an operation.
func sample() *Operation {
	return &Operation{
		Format: 1, Level: 1, Origin: Sum([]byte("box")), Incarnation: 2, Seq: 7, Prev: Sum([]byte("previous")),
		Record: RecordID{1, 2, 3}, Class: ClassA, SeatTerm: 3, Epoch: 4,
		LastA: &OpID{Origin: Sum([]byte("box")), Incarnation: 2, Seq: 6},
		Seen:  Index{Cluster: [16]byte{9}, Generation: 1, N: 42},
		Deps:  []OpID{{Origin: Sum([]byte("other")), Incarnation: 1, Seq: 1}},
		Step:  "accept", Definition: DefinitionRef{ID: "event", Version: 1, Hash: Sum([]byte("definition"))},
		Actor: Actor{User: RecordID{5}, Organisation: "330681109", Role: "duty_officer"}, Policy: 11,
		Request: &Request{Key: "b0a1", MAC: append([]byte{HMACSHA256}, bytes.Repeat([]byte{7}, 32)...), N: 1, M: 2},
		At:      1_790_000_000_123, Time: TimeSynced,
		Open: map[string]any{"type": "02", "people_count": int64(3), "important": true, "phone": nil, "kinds": []string{"a", "b"},
			"point/lng": int64(120_236_000), "_reason": "typo", "negative": int64(-5), "words": "枫桥"},
		Sealed: []SealedField{{Path: "_note", Key: KeyID{1}, Box: []byte{1, 2}}, {Path: "title", Key: KeyID{1}, Box: []byte{1, 3}},
			{Path: "title", Part: 1, Key: KeyID{2}, Box: []byte{1, 4}}},
	}
}

// first is what a new incarnation begins with.
func first() *Operation {
	o := sample()
	o.Seq, o.Prev, o.LastA, o.Deps, o.Request, o.Open, o.Sealed = 1, Hash{}, nil, nil, nil, nil, nil
	o.Continues = &Continuation{Incarnation: 1, Seq: 99, Head: Sum([]byte("head"))}
	return o
}

func appending() *Operation {
	o := sample()
	o.Class, o.Step, o.LastA, o.Open = ClassB, "note", nil, nil
	o.Sealed = o.Sealed[:1]
	return o
}

var goldenOperations = map[string]func() *Operation{"full": sample, "first": first, "appending": appending}

// TestGoldenOperations: bytes that once stood on a disk decode for ever, to
// the same values, and encode to themselves. Never rewrite these files.
func TestGoldenOperations(t *testing.T) {
	for name, build := range goldenOperations {
		path := filepath.Join("testdata", "operation-1-"+name+".hex")
		encoded, hash, err := Encode(build())
		if err != nil {
			t.Fatal(err)
		}
		golden := readGolden(t, path, encoded)
		o, err := Decode(golden)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if !reflect.DeepEqual(o, build()) {
			t.Errorf("%s decodes to\n%+v", path, o)
		}
		if !bytes.Equal(encoded, golden) || hash != Sum(golden) {
			t.Errorf("%s: the same operation now has other bytes", path)
		}
	}
}

func readGolden(t *testing.T, path string, missing []byte) []byte {
	t.Helper()
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && *update {
		if err := os.WriteFile(path, []byte(hex.EncodeToString(missing)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return golden
}

func sampleFrame() *KeyFrame {
	return &KeyFrame{Format: 1, Record: RecordID{1}, Organisation: "330681109", Part: 1, Key: KeyID{2}, Reader: "330681",
		Version: 3, Wrapped: []byte{2, 9, 9}}
}

func TestGoldenKeyFrame(t *testing.T) {
	encoded, err := EncodeKeyFrame(sampleFrame())
	if err != nil {
		t.Fatal(err)
	}
	golden := readGolden(t, filepath.Join("testdata", "keyframe-1.hex"), encoded)
	f, err := DecodeKeyFrame(golden)
	if err != nil || !reflect.DeepEqual(f, sampleFrame()) || !bytes.Equal(encoded, golden) {
		t.Errorf("%+v %v", f, err)
	}
}

func TestGoldenHead(t *testing.T) {
	h := Head{Origin: Sum([]byte("box")), Incarnation: 2, Seq: 7, Hash: Sum([]byte("head"))}
	golden := readGolden(t, filepath.Join("testdata", "head-1.hex"), h.SigningBytes())
	if !bytes.Equal(golden, h.SigningBytes()) {
		t.Error("what a head's signature covers has changed")
	}
}

// TestRoundTrip: whatever Encode accepts, Decode gives back, with equal
// bytes for equal values.
func TestRoundTrip(t *testing.T) {
	name := rapid.StringMatching(`[a-z][a-z0-9_.-]{0,10}`)
	path := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(name, 1, 3).Draw(t, "parts"), "/") })
	value := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Int64(), func(n int64) any { return n }), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.StringMatching(`[a-z枫桥]{0,20}`), func(s string) any { return s }),
		rapid.Map(rapid.SliceOfN(rapid.StringMatching(`[a-z枫桥]{0,5}`), 0, 4), func(l []string) any { return l }))
	rapid.Check(t, func(t *rapid.T) {
		o := sample()
		o.Seq, o.At = rapid.Uint64Min(2).Draw(t, "seq"), rapid.Int64().Draw(t, "at")
		o.Class = Class(rapid.IntRange(1, 3).Draw(t, "class"))
		o.Open = rapid.MapOfN(path, value, 1, 20).Draw(t, "open")
		o.Sealed = nil
		for _, p := range rapid.SliceOfNDistinct(path, 0, 5, rapid.ID[string]).Draw(t, "sealed") {
			o.Sealed = append(o.Sealed, SealedField{Path: p, Part: uint8(rapid.IntRange(0, 1).Draw(t, "part")), Box: rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "box")})
		}
		SortSealed(o.Sealed)
		b, hash, err := Encode(o)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(o, decoded) {
			t.Fatalf("%+v\n%+v", o, decoded)
		}
		again, hash2, err := Encode(decoded)
		if err != nil || !bytes.Equal(b, again) || hash != hash2 {
			t.Fatal("equal operations have different bytes")
		}
	})
}

func TestEncodeRefuses(t *testing.T) {
	long := strings.Repeat("x", MaxOpenText+1)
	for name, change := range map[string]func(*Operation){
		"no format":            func(o *Operation) { o.Format = 0 },
		"no level":             func(o *Operation) { o.Level = 0 },
		"newer level":          func(o *Operation) { o.Level = Level + 1 },
		"no origin":            func(o *Operation) { o.Origin = Hash{} },
		"no incarnation":       func(o *Operation) { o.Incarnation = 0 },
		"no sequence":          func(o *Operation) { o.Seq = 0 },
		"broken chain":         func(o *Operation) { o.Prev = Hash{} },
		"continues in between": func(o *Operation) { o.Continues = &Continuation{Incarnation: 1} },
		"no record":            func(o *Operation) { o.Record = RecordID{} },
		"no class":             func(o *Operation) { o.Class = 0 },
		"class D":              func(o *Operation) { o.Class = 4 },
		"time quality":         func(o *Operation) { o.Time = TimeSuspect + 1 },
		"too many deps":        func(o *Operation) { o.Deps = make([]OpID, MaxDeps+1) },
		"no step":              func(o *Operation) { o.Step = "" },
		"step with a space":    func(o *Operation) { o.Step = "a b" },
		"chinese step":         func(o *Operation) { o.Step = "受理" },
		"long kind":            func(o *Operation) { o.Definition.ID = strings.Repeat("k", 65) },
		"no role":              func(o *Operation) { o.Actor.Role = "" },
		"short mac":            func(o *Operation) { o.Request.MAC = []byte{1} },
		"request 3 of 2":       func(o *Operation) { o.Request.N = 3 },
		"request without key":  func(o *Operation) { o.Request.Key = "" },
		"float":                func(o *Operation) { o.Open["x"] = 1.5 },
		"plain int":            func(o *Operation) { o.Open["x"] = 1 },
		"bytes":                func(o *Operation) { o.Open["x"] = []byte("x") },
		"map":                  func(o *Operation) { o.Open["x"] = map[string]any{} },
		"long text":            func(o *Operation) { o.Open["x"] = long },
		"long text in a list":  func(o *Operation) { o.Open["x"] = []string{long} },
		"long list":            func(o *Operation) { o.Open["x"] = make([]string, MaxList+1) },
		"not utf-8":            func(o *Operation) { o.Open["x"] = "\xff" },
		"zero byte":            func(o *Operation) { o.Open["x"] = "a\x00b" },
		"empty path":           func(o *Operation) { o.Open[""] = "x" },
		"path ends in a slash": func(o *Operation) { o.Open["a/"] = "x" },
		"path up":              func(o *Operation) { o.Open["a//b"] = "x" },
		"long path":            func(o *Operation) { o.Open[strings.Repeat("abcdefg/", 17)+"x"] = "x" },
		"unsorted sealed":      func(o *Operation) { o.Sealed[0], o.Sealed[1] = o.Sealed[1], o.Sealed[0] },
		"sealed twice":         func(o *Operation) { o.Sealed[1] = o.Sealed[0] },
		"empty box":            func(o *Operation) { o.Sealed[0].Box = nil },
		"huge box":             func(o *Operation) { o.Sealed[0].Box = make([]byte, MaxSealed+1) },
		"too many fields": func(o *Operation) {
			for i := range MaxFields + 1 {
				o.Open["f"+hex.EncodeToString([]byte{byte(i >> 8), byte(i)})] = nil
			}
		},
		"too many bytes": func(o *Operation) {
			for i := range 5 {
				o.Sealed = append(o.Sealed, SealedField{Path: "z" + string(rune('a'+i)), Box: make([]byte, MaxSealed)})
			}
		},
	} {
		o := sample()
		change(o)
		if _, _, err := Encode(o); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

// loose is an encoder that writes what Encode never would.
func loose(t *testing.T, v any) []byte {
	t.Helper()
	b, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parts gives an operation as a map, to be spoilt.
func parts(t *testing.T) map[int]any {
	t.Helper()
	b, _, err := Encode(sample())
	if err != nil {
		t.Fatal(err)
	}
	var m map[int]any
	if err := cbor.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDecodeRefuses(t *testing.T) {
	good, _, err := Encode(sample())
	if err != nil {
		t.Fatal(err)
	}
	with := func(key int, v any) []byte {
		m := parts(t)
		m[key] = v
		return loose(t, m)
	}
	duplicate := bytes.Clone(good)
	duplicate[0]++ // one more pair
	duplicate = append(duplicate, 0x01, 0x01)
	indefinite := append([]byte{0xbf}, good[2:]...)
	indefinite = append(indefinite, 0xff)
	for name, b := range map[string][]byte{
		"nothing":           {},
		"not cbor":          []byte("hello"),
		"cut":               good[:len(good)-1],
		"trailing bytes":    append(bytes.Clone(good), 0x00),
		"unknown key":       with(99, 1),
		"duplicate key":     duplicate,
		"indefinite length": indefinite,
		"float":             with(22, map[string]any{"x": 1.5}),
		"bytes value":       with(22, map[string]any{"x": []byte{1}}),
		"list of numbers":   with(22, map[string]any{"x": []any{1}}),
		"nested map":        with(22, map[string]any{"x": map[string]any{"y": 1}}),
		"number too large":  with(22, map[string]any{"x": uint64(1 << 63)}),
		"tag":               with(20, cbor.Tag{Number: 1, Content: 1}),
		"unsorted sealed":   with(23, []any{[]any{"b", 0, make([]byte, 16), []byte{1}}, []any{"a", 0, make([]byte, 16), []byte{1}}}),
		"short record id":   with(8, []byte{1}),
		"short hash":        with(3, []byte{1, 2}),
		"text for a number": with(5, "seven"),
		"no step":           with(15, ""),
		"too large":         make([]byte, MaxBytes+1),
	} {
		if o, err := Decode(b); err == nil {
			t.Errorf("%s: decoded to %+v", name, o)
		} else if errors.Is(err, ErrNewer) {
			t.Errorf("%s: taken for a newer release", name)
		}
	}
}

// TestNewerStops: a newer format or level is no damage, whatever else it
// brings; the box stops and says so.
func TestNewerStops(t *testing.T) {
	for _, key := range []int{1, 2} {
		m := parts(t)
		m[key], m[99] = 2, "something new"
		if _, err := Decode(loose(t, m)); !errors.Is(err, ErrNewer) {
			t.Errorf("key %d: %v", key, err)
		}
	}
	f := sampleFrame()
	f.Format = Format + 1
	b, err := Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeKeyFrame(b); !errors.Is(err, ErrNewer) {
		t.Errorf("key frame: %v", err)
	}
}

// TestNewerKeyFrameWithMoreKeys: what this release does not know yet is not
// mistaken for damage.
func TestNewerKeyFrameWithMoreKeys(t *testing.T) {
	b, err := Marshal(map[int]any{1: Format + 1, 2: "another shape", 9: []byte("more")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeKeyFrame(b); !errors.Is(err, ErrNewer) {
		t.Fatal(err)
	}
}

func TestKeyFrameRefuses(t *testing.T) {
	for name, change := range map[string]func(*KeyFrame){
		"no format": func(f *KeyFrame) { f.Format = 0 }, "no record": func(f *KeyFrame) { f.Record = RecordID{} },
		"no key": func(f *KeyFrame) { f.Key = KeyID{} }, "no organisation": func(f *KeyFrame) { f.Organisation = "" },
		"no reader": func(f *KeyFrame) { f.Reader = "" }, "nothing wrapped": func(f *KeyFrame) { f.Wrapped = nil },
		"too much wrapped": func(f *KeyFrame) { f.Wrapped = make([]byte, 513) },
	} {
		f := sampleFrame()
		change(f)
		if _, err := EncodeKeyFrame(f); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
	if _, err := DecodeKeyFrame([]byte{0xff}); err == nil {
		t.Error("rubbish decoded")
	}
}

func TestRecordID(t *testing.T) {
	id := RecordID{1, 2, 3}
	got, err := ParseRecordID(id.String())
	if err != nil || got != id || len(id.String()) != 22 {
		t.Errorf("%s %v", id, err)
	}
	for _, s := range []string{"", "short", id.String() + "A", strings.Repeat("!", 22), id.String()[:21] + "B"} {
		if _, err := ParseRecordID(s); err == nil {
			t.Errorf("%q is taken for a record id", s)
		}
	}
}

func TestOpIDOrder(t *testing.T) {
	a, b := Hash{1, 1}, Hash{1, 2}
	sorted := []OpID{{Origin: a, Incarnation: 1, Seq: 9}, {Origin: a, Incarnation: 2, Seq: 1}, {Origin: a, Incarnation: 2, Seq: 2}, {Origin: b, Incarnation: 1, Seq: 1}}
	for i, x := range sorted {
		for j, y := range sorted {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := x.Compare(y); got != want {
				t.Errorf("%s against %s: %d", x, y, got)
			}
		}
	}
}

// FuzzDecode: no bytes make Decode panic, and what it accepts is what
// Encode would write or at least encodes again.
func FuzzDecode(f *testing.F) {
	for _, build := range goldenOperations {
		b, _, err := Encode(build())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := Decode(b)
		if err != nil {
			return
		}
		again, _, err := Encode(o)
		if err != nil {
			t.Fatalf("decoded but does not encode: %v", err)
		}
		if _, err := Decode(again); err != nil {
			t.Fatalf("encoded but does not decode: %v", err)
		}
	})
}
