package catalog

import (
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

var update = flag.Bool("update", false, "write the golden hashes again")

func load(t *testing.T) *Catalogue {
	t.Helper()
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEmbeddedKinds(t *testing.T) {
	c := load(t)
	for _, id := range []string{"account", "alarm", "calendar", "definition", "duty_log", "event", "hazard", "mediation",
		"notice", "organisation", "petition", "shift"} {
		k, ok := c.Kind(id)
		if !ok {
			t.Fatalf("no kind %s", id)
		}
		if def, ok := c.ByRef(k.Ref); !ok || def != k.Definition {
			t.Errorf("%s is not found by its reference", id)
		}
		if lines := strings.Count(string(k.Source), "\n"); lines > 1000 {
			t.Errorf("%s has %d lines; a definition record holds 1024", id, lines)
		}
		for i := range k.Definition.Steps {
			if k.Definition.Steps[i].Class == 0 {
				t.Errorf("%s: step %s has no class", id, k.Definition.Steps[i].ID)
			}
		}
	}
}

// TestKindHashes: a hash that changes is another version of the kind. Boxes
// hold the old one; raise the version with every change after a release.
func TestKindHashes(t *testing.T) {
	var got strings.Builder
	for _, k := range load(t).Kinds() {
		fmt.Fprintf(&got, "%s %d %s\n", k.Definition.ID, k.Definition.Version, hex.EncodeToString(k.Ref.Hash[:]))
	}
	const golden = "testdata/kinds.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the kinds changed; if that is meant, run with -update:\n%s", got.String())
	}
}

// TestGenericIsFrozen: stored kinds are expanded with the version that they
// name, so its steps never change. A change is generic/2.yaml.
func TestGenericIsFrozen(t *testing.T) {
	templates, err := loadGeneric()
	if err != nil {
		t.Fatal(err)
	}
	b, err := envelope.Marshal(templates[1])
	if err != nil {
		t.Fatal(err)
	}
	const frozen = "01093636cb95f2098093cf0747ad30cd21f035e4372cc53cc4df2b5684dfb9b6ee"
	sum := envelope.Sum(b)
	if got := hex.EncodeToString(sum[:]); got != frozen {
		t.Errorf("generic/1.yaml hashes to %s", got)
	}
}

// spoken are the keys of a definition that are written even when they are
// empty. They are part of every hash there is, so the list never changes.
var spoken = map[string]string{
	"AlarmRule":    "level reason step when",
	"Clock":        "id profile title",
	"Code":         "code en zh",
	"Condition":    "message",
	"Deadline":     "limit red warn yellow",
	"Definition":   "family fields id level search states steps title version",
	"DocumentType": "id no title",
	"Field":        "key title type",
	"Gate":         "id rules",
	"NumberRule":   "pattern per step",
	"Opening":      "inverse kind relation step values",
	"Paper":        "id template title",
	"Profile":      "id rules source title",
	"SearchMap":    "",
	"State":        "id title",
	"Step":         "class effect id roles title",
	"StepField":    "key",
	"Table":        "codes id title",
	"Text":         "en zh",
}

// TestNewKeysAreSilent: a key that a later release adds to a definition is
// left out when it is empty, or the kinds of today would hash to others.
func TestNewKeysAreSilent(t *testing.T) {
	got := map[string]string{}
	speaking(t, reflect.TypeFor[domain.Definition](), got)
	for name, keys := range got {
		if keys != spoken[name] {
			t.Errorf("an empty %s writes %q, was %q: give new keys omitempty", name, keys, spoken[name])
		}
	}
	if len(got) != len(spoken) {
		t.Errorf("%d structures write keys, were %d", len(got), len(spoken))
	}
}

// speaking collects the keys that an empty value of every structure writes.
func speaking(t *testing.T, of reflect.Type, into map[string]string) {
	t.Helper()
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		speaking(t, of.Elem(), into)
		return
	case reflect.Struct:
	default:
		return
	}
	if _, seen := into[of.Name()]; seen {
		return
	}
	b, err := envelope.Marshal(reflect.Zero(of).Interface())
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := envelope.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	into[of.Name()] = strings.Join(slices.Sorted(maps.Keys(keys)), " ")
	for i := range of.NumField() {
		speaking(t, of.Field(i).Type, into)
	}
}

// TestEveryStateIsReached walks the steps of every kind from creation.
func TestEveryStateIsReached(t *testing.T) {
	for _, k := range load(t).Kinds() {
		def := k.Definition
		reached := map[string]bool{}
		for range def.States {
			for i := range def.Steps {
				s := &def.Steps[i]
				if s.To == "" {
					continue
				}
				if s.Effect == domain.Create {
					reached[s.To] = true
				}
				for state := range reached {
					if domain.StepFits(def, s, &domain.Record{State: state}) && s.Effect != domain.Create {
						reached[s.To] = true
					}
				}
			}
		}
		for _, st := range def.States {
			if !reached[st.ID] {
				t.Errorf("%s: no step reaches %s", def.ID, st.ID)
			}
		}
	}
}

func TestTables(t *testing.T) {
	c := load(t)
	for id, want := range map[string]int{"dispute_type": 95, "dispute_type_moj": 15, "event_type": 8, "business_line": 6,
		"event_class_25": 25, "rating": 4, "urgency": 5} {
		table, ok := c.Table(id)
		if !ok || len(table.Rows()) != want {
			t.Errorf("table %s: %d rows, want %d", id, len(table.Rows()), want)
		}
	}
	dispute, _ := c.Table("dispute_type")
	row, ok := dispute.Row("02")
	if !ok || row.Pinyin != "linlijiufen" || row.Initials != "lljf" {
		t.Errorf("邻里纠纷 is spelt %+v", row)
	}
	if sub, _ := dispute.Row("0201"); sub.Parent != "02" {
		t.Errorf("0201 has the parent %q", sub.Parent)
	}
	if hidden, _ := dispute.Row("1307"); !hidden.Hidden {
		t.Error("1307 is offered for input")
	}
	if got := c.Label("event_type", "01"); got.ZH != "民生服务" || got.EN == "" {
		t.Errorf("label %+v", got)
	}
	if c.HasCode(nil, "event_type", "77") || !c.HasCode(nil, "event_type", "07") {
		t.Error("HasCode")
	}
	for _, table := range c.Tables() {
		for _, r := range table.Rows() {
			if r.ZH == "" || r.EN == "" || r.Pinyin == "" {
				t.Errorf("table %s: code %s lacks a label or a spelling", table.ID, r.Code.Code)
			}
		}
	}
}

// TestEngineCodes: tables that name what the engine knows agree with it.
func TestEngineCodes(t *testing.T) {
	c := load(t)
	for _, role := range append(domain.Roles(), domain.RoleBox, domain.RoleTechnician) {
		if !c.HasCode(nil, "role", role) {
			t.Errorf("role %s has no label", role)
		}
	}
	for _, level := range []string{domain.LevelCounty, domain.LevelTownship, domain.LevelVillage, domain.LevelGrid, domain.LevelStation, domain.LevelCommittee} {
		if !c.HasCode(nil, "organisation_level", level) {
			t.Errorf("level %s has no label", level)
		}
	}
}

func TestMapping(t *testing.T) {
	m, ok := load(t).Mapping("gbt_to_moj")
	if !ok {
		t.Fatal("no mapping")
	}
	for code, want := range map[string]string{"0101": "01", "0199": "01", "02": "02", "0201": "02", "0299": "02", "0402": "14",
		"0403": "03", "0401": "06", "04": "06", "0303": "06", "0503": "13", "0502": "12", "0601": "11", "0603": "04", "0699": "99",
		"0702": "10", "0804": "04", "0901": "07", "0902": "03", "1104": "08", "1199": "99", "1301": "99", "99": "99", "": "99"} {
		if got := m.Map(code); got != want {
			t.Errorf("%s maps to %s, want %s", code, got, want)
		}
	}
}

func TestTableRefused(t *testing.T) {
	for name, table := range map[string]domain.Table{
		"no english": {ID: "a", Codes: []domain.Code{{Code: "1", ZH: "甲"}}},
		"twice":      {ID: "a", Codes: []domain.Code{{Code: "1", ZH: "甲", EN: "A"}, {Code: "1", ZH: "乙", EN: "B"}}},
		"orphan":     {ID: "a", Codes: []domain.Code{{Code: "11", Parent: "1", ZH: "甲", EN: "A"}}},
	} {
		if _, err := newTable(table); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTableOfKind(t *testing.T) {
	def, err := Parse("bench.yaml", []byte(bench(t)))
	if err != nil {
		t.Fatal(err)
	}
	c := load(t)
	table, ok := c.TableOf(def, "bench_damage")
	if !ok || len(table.Rows()) != 2 {
		t.Error("a kind's own table is not found")
	}
	if !c.HasCode(def, "bench_damage", "leg") || c.HasCode(def, "bench_damage", "roof") || !c.HasCode(def, "urgency", "low") {
		t.Error("HasCode with a kind's own table")
	}
}

func TestPapers(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range load(t).Papers() {
		if seen[p.ID] || p.Title.ZH == "" || p.Title.EN == "" {
			t.Errorf("paper %+v", p)
		}
		seen[p.ID] = true
	}
}
