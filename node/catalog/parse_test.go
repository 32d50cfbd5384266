package catalog

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/fengqiao/fengqiao/node/domain"
)

func bench(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("testdata/bench.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// mistakes turn one place of a sound kind into something wrong. The error
// must stand at the line where at begins.
var mistakes = []struct {
	name     string
	old, new string
	at       string // in the wrong text; "" when the file as a whole is meant
	reason   string // part of the English reason
}{
	{"unknown key", "family: event", "family: event\ncolour: red", "colour: red", "no such key"},
	{"unknown key inside", "tone: active}", "tone: active, size: 3}", "size", "no such key"},
	{"duplicate key", "level: 1", "level: 1\nlevel: 1", "level: 1\ntitle", "twice"},
	{"not yaml", "states:", "states: [", "", ""},
	{"alias", "search: {type: damage, text: [title]}", "search: &a {type: damage, text: [title]}", "search", "anchors"},
	{"wrong type", "version: 1\nlevel", "version: many\nlevel", "version: many", "well formed"},
	{"bad id", `"330681109/bench"`, `"a/b/c"`, `id: "a/b/c"`, "organisation/kind"},
	{"no version", "version: 1\nlevel", "version: 0\nlevel", "version: 0", "starts at 1"},
	{"newer level", "level: 1", "level: 99", "level: 99", "newer release"},
	{"no english title", "title: {zh: 长椅报修, en: Bench repair}", "title: {zh: 长椅报修}", "title: {zh: 长椅报修}", "English title"},
	{"unknown family", "family: event", "family: sports", "family: sports", "family"},
	{"unknown number step", "number: {step: report", "number: {step: record", "number: {step", "no step record"},
	{"pattern without sequence", "{abbr}椅〔{year}〕{seq:3}号", "{abbr}椅", "number: {step", "sequence"},
	{"sequence per text", "per: [year]", "per: [title]", "number: {step", "organisation field"},
	{"repeated code", "code: board", "code: leg", "codes:\n", "twice"},
	{"text without sensitivity", "type: text, sensitivity: team,", "type: text,", "- {key: title", "needs a sensitivity"},
	{"identity without mask", "type: text, sensitivity: team,", "type: text, sensitivity: identity,", "- {key: title", "needs a mask"},
	{"unknown sensitivity", "sensitivity: team", "sensitivity: public", "- {key: title", "sensitivity"},
	{"mask on a code", "table: bench_damage, required", "table: bench_damage, mask: name, required", "- {key: damage", "Only text"},
	{"text too long", "max: 60}", "max: 90000}", "- {key: title", "at most"},
	{"unknown type", "type: org}", "type: place}", "- {key: village", "no field type place"},
	{"unknown table", "table: bench_damage", "table: chair_damage", "- {key: damage", "no code table chair_damage"},
	{"code without table", "type: code, table: bench_damage", "type: code", "- {key: damage", "needs a table"},
	{"label in an event", "type: org}", "type: label}", "- {key: village", "Labels"},
	{"number without maximum", "min: 1, max: 50", "min: 1", "- {key: count", "needs a maximum"},
	{"minimum above maximum", "min: 1, max: 50", "min: 90, max: 50", "- {key: count", "exceeds"},
	{"duplicate field", "key: count, title", "key: damage, title", "- {key: damage, title: {zh: 数量", "twice"},
	{"bad key", "key: count, title", "key: Count, title", "- {key: Count", "lower-case"},
	{"group without maximum", "type: int, min: 1, max: 50}", "type: group, fields: []}", "- {key: count", "A group needs max"},
	{"group in a group", "type: int, min: 1, max: 50}", "type: group, max: 5, fields: [{key: a, title: {zh: 甲, en: A}, type: group, max: 2}]}", "- {key: count", "cannot hold a group"},
	{"duplicate state", "id: repaired,", "id: reported,", "- {id: reported, title: {zh: 已修复", "twice"},
	{"unreachable state", "clocks:\n", "  - {id: lost, title: {zh: 遗失, en: Lost}, closed: true}\nclocks:\n", "- {id: lost", "No step reaches"},
	{"dead end", "title: {zh: 已修复, en: Repaired}, closed: true,", "title: {zh: 已修复, en: Repaired},", "- {id: repaired", "no exit"},
	{"unknown profile", "profile: event_handle", "profile: bench_handle", "- {id: repair,", "no clock profile"},
	{"clock never stopped", "    stop: [repair]\n", "", "- {id: repair,", "starts or stops"},
	{"urgency of no code", "cards: true}", "cards: true, urgency: title}", "- {id: repair,", "not a code field"},
	{"gate without message", "present: count, message: {zh: 请填写数量, en: Give the number.}", "present: count", "- {present: count", "needs a message"},
	{"condition with two tests", "{present: count,", "{present: count, absent: damage,", "- {present: count", "exactly one test"},
	{"condition on an unknown field", "{present: count,", "{present: weight,", "- {present: weight", "no field weight"},
	{"comparing sealed text", "{present: count,", "{field: title, in: [x],", "- {field: title", "sealed"},
	{"unknown code in a condition", "{present: count,", "{field: damage, in: [roof],", "- {field: damage", "has no roof"},
	{"unknown predicate", "{present: count,", "{rule: everything_fine/1,", "- {rule: everything", "no predicate"},
	{"unknown document", "{present: count,", "{document: receipt,", "- {document: receipt", "no document"},
	{"unknown gate", "gate: done", "gate: finished", "gate: finished", "no gate finished"},
	{"unknown effect", "effect: move", "effect: fly", "effect: fly", "no effect fly"},
	{"unknown role", "roles: [duty_officer]\n    where", "roles: [wizard]\n    where", "roles: [wizard]", "no role wizard"},
	{"nobody", "roles: [duty_officer]\n    where", "roles: []\n    where", "- id: repair\n", "Nobody may take"},
	{"unknown relation", "where: [custodian]", "where: [neighbour]", "where: [neighbour]", "no relation"},
	{"unknown source state", "from: [reported]", "from: [accepted]", "from: [accepted]", "no state accepted"},
	{"unknown target state", "to: repaired\n", "to: mended\n", "to: mended", "no state mended"},
	{"unknown field of a step", "fields: [{key: count}]", "fields: [{key: weight}]", "fields: [{key: weight}]", "no field weight"},
	{"value of no code", "fields: [{key: count}]", "fields: [{key: damage, value: roof}]", "fields: [{key: damage, value", "does not suit"},
	{"unknown clock", "stop: [repair]", "stop: [repair, mend]", "stop: [repair, mend]", "no clock mend"},
	{"unknown holder rule", "where: [custodian]", "where: [custodian]\n    holder: mayor", "holder: mayor", "no holder rule"},
	{"no create step", "effect: create", "effect: move", "steps:\n  - id: report", "No step creates"},
	{"create without state", "    to: reported\n    roles", "    roles", "- id: report\n", "must say the state"},
	{"required field not asked for", "    start: [repair]", "    fields: [{key: title}]\n    start: [repair]", "fields: [{key: title}]", "required field damage"},
	{"duplicate step", "- id: repair\n", "- id: report\n", "- id: report\n    title: {zh: 修复", "twice"},
	{"unknown generic step", "steps: [note, amend, card]", "steps: [note, card, fly]", "steps: [note, card, fly]", "no generic step fly"},
	{"unknown generic version", "generic:\n  version: 1", "generic:\n  version: 7", "version: 7", "no such version"},
	{"generic step without its group", "    hands: [grid_member]\n", "", "roles:\n    desk", "group of roles hands"},
	{"generic step without what it needs", "steps: [note, amend, card]", "steps: [note, amend, suspend]", "generic:", "no state suspended"},
	{"unknown exception", "steps: [note, amend, card]", "steps: [note, amend, card]\n  except: [fly]", "steps: [note, amend, card]", "no generic step fly"},
	{"rating without field", "effect: move", "effect: rate", "effect: rate", "field named rating"},
	{"extension of no clock", "effect: move", "effect: extend", "effect: extend", "No clock may be extended"},
	{"document step without documents", "effect: move", "effect: document", "effect: document", "no dossier"},
	{"appending step with a state", "effect: move", "effect: note", "effect: note", "appending step"},
	{"text in the heading", "heading: [damage, village]", "heading: [title]", "heading: [title]", "made of codes"},
	{"unknown column", "columns: [number, title,", "columns: [number, colour,", "columns: [number, colour", "no field colour"},
	{"unknown search type", "search: {type: damage", "search: {type: title", "search: {type: title", "not a code field"},
	{"alarm of no reason", "heading: [damage, village]", "heading: [damage, village]\nalarms: [{step: report, reason: boredom, level: 1, when: {present: count}}]", "alarms:", "no reason boredom"},
	{"clock that ends in no step of the box", "cards: true}", "cards: true, then: repair}", "- {id: repair,", "that the box may take"},
	{"profile without a default", "clocks:\n", "profiles:\n  - {id: own, title: {zh: 甲, en: A}, source: x, rules: {urgent: {limit: 1h, warn: 60%, yellow: 80%, red: 100%}}}\nclocks:\n", "- {id: own", "needs a row default"},
	{"profile of no length", "clocks:\n", "profiles:\n  - {id: own, title: {zh: 甲, en: A}, source: x, rules: {default: {limit: soon, warn: 60%, yellow: 80%, red: 100%}}}\nclocks:\n", "- {id: own", "profile is wrong"},
	{"profile that reddens first", "clocks:\n", "profiles:\n  - {id: own, title: {zh: 甲, en: A}, source: x, rules: {default: {limit: 1h, warn: 60%, yellow: 100%, red: 80%}}}\nclocks:\n", "- {id: own", "profile is wrong"},
	{"clock since no date", "cards: true}", "cards: true, since: count}", "- {id: repair,", "not a date"},
	{"clock until no date", "cards: true}", "cards: true, until: village}", "- {id: repair,", "not a date"},
	{"clock with a bound but no extension", "cards: true}", "cards: true, longest: 30d}", "- {id: repair,", "may be extended"},
	{"clock with a bound of no length", "cards: true}", "cards: true, extensions: 1, longest: soon}", "- {id: repair,", "written 30d"},
	{"clock when nothing is known", "cards: true}", "cards: true, when: {present: weight}}", "- {id: repair,", "no field weight"},
	{"at most of no group", "{present: count,", "{items: count, at_most: 5,", "- {items: count", "not a group"},
	{"at most beside count", "{present: count,", "{items: people, count: 1, at_most: 5,", "- {items: people", "goes with items"},
	{"opening that copies text", "    gate: done\n    stop", "    gate: done\n    opens: {kind: event, step: report, values: {}, copy: {title: title}, relation: follows, inverse: causes}\n    stop", "opens:", "Only open fields"},
	{"opening of no relation", "    gate: done\n    stop", "    gate: done\n    opens: {kind: event, step: report, values: {}, relation: cousin, inverse: causes}\n    stop", "opens:", "no such relation"},
	{"opening without its note", "    gate: done\n    stop", "    gate: done\n    opens: {kind: event, step: report, values: {}, note: content, relation: follows, inverse: causes}\n    stop", "opens:", "must be required"},
	{"cards that nobody issues", "steps: [note, amend, card]", "steps: [note, amend]", "- {id: repair,", "no step issues them"},
	{"unknown paper", "heading: [damage, village]", "heading: [damage, village]\npapers: [{id: p, title: {zh: 单, en: P}, template: bench_sheet}]", "papers:", "no paper template"},
}

func TestParseRefuses(t *testing.T) {
	sound := bench(t)
	if _, err := Parse("bench.yaml", []byte(sound)); err != nil {
		t.Fatalf("the sound kind is refused: %v", err)
	}
	if len(mistakes) < 25 {
		t.Fatalf("%d mistakes", len(mistakes))
	}
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			if strings.Count(sound, m.old) == 0 {
				t.Fatalf("%q is not in the kind", m.old)
			}
			text := strings.Replace(sound, m.old, m.new, 1)
			def, err := Parse("bench.yaml", []byte(text))
			var list Errors
			if err == nil || def != nil || !errors.As(err, &list) {
				t.Fatalf("accepted: %v", err)
			}
			for _, e := range list {
				if e.File != "bench.yaml" || e.Reason.ZH == "" || e.Reason.EN == "" {
					t.Errorf("error without file or reason: %+v", e)
				}
			}
			if m.at == "" {
				return
			}
			line := 1 + strings.Count(text[:strings.Index(text, m.at)], "\n")
			for _, e := range list {
				if e.Line == line && strings.Contains(e.Reason.EN, m.reason) {
					return
				}
			}
			t.Errorf("want line %d %q, got\n%v", line, m.reason, err)
		})
	}
}

// TestParseCollects: a person mends everything in one go.
func TestParseCollects(t *testing.T) {
	text := strings.NewReplacer("family: event", "family: sports", "gate: done", "gate: finished", "type: org}", "type: place}").Replace(bench(t))
	_, err := Parse("bench.yaml", []byte(text))
	var list Errors
	if !errors.As(err, &list) || len(list) < 3 {
		t.Fatalf("got %v", err)
	}
	for i := 1; i < len(list); i++ {
		if list[i-1].Line > list[i].Line {
			t.Errorf("not in order of lines: %v", err)
		}
	}
	var one *Error
	if !errors.As(err, &one) || one != list[0] {
		t.Error("errors.As does not find the first error")
	}
}

func TestParseLimits(t *testing.T) {
	sound := bench(t)
	field := "  - {key: f%, title: {zh: 甲, en: A}, type: bool}\n"
	var many strings.Builder
	for i := range 201 {
		many.WriteString(strings.Replace(field, "%", strings.Repeat("x", i/26)+string(rune('a'+i%26)), 1))
	}
	for name, text := range map[string]string{
		"fields": strings.Replace(sound, "states:\n", many.String()+"states:\n", 1),
		"bytes":  sound + strings.Repeat("# filler\n", maxSource/8),
		"empty":  "",
		"two":    sound + "\n---\n" + sound,
		"deep":   strings.Replace(sound, "{present: count,", "{not: {not: {not: {not: {not: {not: {not: {not: {present: count}}}}}}}},", 1),
	} {
		if _, err := Parse("bench.yaml", []byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestHashIgnoresForm: comments and layout do not make a new version.
func TestHashIgnoresForm(t *testing.T) {
	sound := bench(t)
	a, err := Parse("a.yaml", []byte(sound))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse("b.yaml", []byte("# another comment\n"+strings.Replace(sound, "{id: repair, title: {zh: 修复, en: Repair}, profile: event_handle, cards: true}",
		"cards: true\n    profile: event_handle\n    title: {en: Repair, zh: 修复}\n    id: repair", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if Hash(a) != Hash(b) {
		t.Error("layout changes the hash")
	}
	c, err := Parse("c.yaml", []byte(strings.Replace(sound, "max: 50", "max: 51", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if Hash(a) == Hash(c) {
		t.Error("a changed limit keeps the hash")
	}
}

// TestGenericOverride: a kind's own step stands instead of the template.
func TestGenericOverride(t *testing.T) {
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	event, _, ok := c.Current("event")
	if !ok {
		t.Fatal("no event")
	}
	n := 0
	for _, s := range event.Steps {
		if s.Effect == domain.Suspend {
			n++
			if len(s.From) == 0 {
				t.Error("the template stands instead of the kind's own step")
			}
		}
	}
	if n != 1 {
		t.Errorf("%d steps suspend", n)
	}
}

// TestReadmeQuotesTheTestedKind: who copies the kind of the README gets the
// one that the tests adopt and walk.
func TestReadmeQuotesTheTestedKind(t *testing.T) {
	for _, name := range []string{"../../README.md", "../../README.zh-CN.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(text), "```yaml\n")
		quoted, _, closed := strings.Cut(rest, "```")
		if !ok || !closed || quoted != bench(t) {
			t.Errorf("%s quotes another kind", name)
		}
	}
}
