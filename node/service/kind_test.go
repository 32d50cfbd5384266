package service

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/store"
)

// readmeKind is the kind that the README tells people to paste.
func readmeKind(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	kind, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the README shows no kind")
	}
	return kind
}

func (b *testBox) systemAdmin() Caller {
	id, _ := b.AccountByName(domain.RoleSystemAdmin)
	return Caller{Subject: domain.Subject{User: id, Grants: []domain.Grant{{Role: domain.RoleSystemAdmin, Organisation: township}}}, Lang: "zh"}
}

// TestReadmeKindIsAdoptedAndWalked: no code, and yet a number, a deadline, a
// card, a list, words for its codes, and a second version.
func TestReadmeKindIsAdoptedAndWalked(t *testing.T) {
	b := newTestBox(t)
	ctx := context.Background()
	admin := b.systemAdmin()
	text := readmeKind(t)
	for _, dry := range []bool{true, false} {
		out, err := b.PutDefinition(ctx, admin, api.DefinitionInput{YAML: text, Dry: dry})
		if err != nil || len(out.Problems) > 0 || out.Adopted == dry {
			t.Fatalf("dry %v: %+v %v", dry, out, err)
		}
	}
	var wrong *InputError
	if _, err := b.PutDefinition(ctx, admin, api.DefinitionInput{YAML: text}); !errors.As(err, &wrong) {
		t.Fatalf("the same version twice: %v", err)
	}
	if _, err := b.PutDefinition(ctx, b.people["duty"], api.DefinitionInput{YAML: strings.Replace(text, "version: 1\nlevel", "version: 9\nlevel", 1)}); !errors.Is(err, ErrForbidden) {
		t.Fatalf("the duty officer adopts a kind: %v", err)
	}
	const kind = township + "/bench"
	fields := map[string]any{"title": "河边长椅", "damage": "leg", "village": village}
	r, err := b.Create(ctx, b.people["grid"], kind, "", Input{Fields: fields})
	if err != nil {
		t.Fatal(err)
	}
	if r.Number != "枫椅〔2026〕001号" {
		t.Errorf("number %s", r.Number)
	}
	view, err := b.View(b.people["duty"], r.ID)
	if err != nil || view.Fields["damage"].Text != "椅腿损坏" || view.Clock == nil || view.Clock.DueAt == 0 {
		t.Errorf("view %+v %v", view.Fields, err)
	}
	fields["damage"] = "roof"
	if _, err := b.Create(ctx, b.people["grid"], kind, "", Input{Fields: fields}); !errors.As(err, &wrong) {
		t.Errorf("a code of no table: %v", err)
	}
	b.clock.advance(30 * 24 * time.Hour)
	if err := b.supervise(ctx); err != nil {
		t.Fatal(err)
	}
	if r, err = b.record(r.ID); err != nil || r.HighestCard() != red {
		t.Errorf("card %q after a month, %v", r.HighestCard(), err)
	}
	r = b.step("duty", r, "repair", Input{Fields: map[string]any{"count": 2}})
	if r.State != "repaired" {
		t.Errorf("state %s", r.State)
	}

	second := strings.Replace(strings.Replace(text, "version: 1\nlevel", "version: 2\nlevel", 1), "max: 50}", "max: 99}", 1)
	second = strings.Replace(second, "clocks:\n", "profiles: # the county's own deadline in place of the release's\n"+
		"  - {id: event_handle, title: {zh: 修复时限, en: Repair}, source: 演示, rules: {default: {limit: 2h, warn: 60%, yellow: 80%, red: 100%}}}\nclocks:\n", 1)
	if out, err := b.PutDefinition(ctx, admin, api.DefinitionInput{YAML: second}); err != nil || out.Version != 2 || !out.Adopted {
		t.Fatalf("%+v %v", out, err)
	}
	fields["damage"] = "board"
	newer, err := b.Create(ctx, b.people["grid"], kind, "", Input{Fields: fields})
	if err != nil || newer.Definition.Version != 2 || r.Definition.Version != 1 {
		t.Errorf("versions %d and %d, %v", newer.Definition.Version, r.Definition.Version, err)
	}
	if v, err := b.View(b.people["duty"], newer.ID); err != nil || v.Clock == nil || v.Clock.DueAt != newer.CreatedAt+2*hourMilli || v.Clock.Rule != "修复时限 2小时" {
		t.Errorf("clock %+v, %v", v.Clock, err)
	}
	b.check()
	b.close()
	b.open() // the kinds come back with the journal
	if _, err := b.Create(ctx, b.people["grid"], kind, "", Input{Fields: fields}); err != nil {
		t.Fatal(err)
	}
}

// TestWrongKindsNameTheirLines, as a person meets them on the page.
func TestWrongKindsNameTheirLines(t *testing.T) {
	b := newTestBox(t)
	text := readmeKind(t)
	for _, c := range []struct{ old, new, zh string }{
		{"type: int, min: 1, max: 50}", "type: integer, min: 1, max: 50}", "没有字段类型 integer"},
		{"to: repaired\n", "to: mended\n", "没有状态 mended"},
		{"roles: [duty_officer]\n    where", "roles: [mayor]\n    where", "没有角色 mayor"},
		{"columns:", "colums:", "没有这个键"},
		{"profile: event_handle", "profile: never", "没有时限方案 never"},
	} {
		out, err := b.PutDefinition(context.Background(), b.systemAdmin(), api.DefinitionInput{YAML: strings.Replace(text, c.old, c.new, 1)})
		if err != nil || len(out.Problems) == 0 || out.Adopted {
			t.Errorf("%s: %+v %v", c.new, out, err)
			continue
		}
		line := 1 + strings.Count(text[:strings.Index(text, c.old)], "\n")
		found := false
		for _, p := range out.Problems {
			found = found || p.Line == line && strings.Contains(p.Message, c.zh)
		}
		if !found {
			t.Errorf("want line %d %s, got %+v", line, c.zh, out.Problems)
		}
	}
}

// TestMisreadKindIsRefused: a release that reads the lines of a kind
// otherwise than they were adopted does not start, and says which it is.
func TestMisreadKindIsRefused(t *testing.T) {
	b := newTestBox(t)
	ctx := context.Background()
	if _, err := b.PutDefinition(ctx, b.systemAdmin(), api.DefinitionInput{YAML: readmeKind(t)}); err != nil {
		t.Fatal(err)
	}
	ref := b.policy.Load().current[township+"/bench"]
	var misread *MisreadError
	_, err := b.createWith(ctx, b.Technician(), newRecordID(), kindDefinition, "", Input{Fields: map[string]any{
		"kind": ref.ID, "version": int64(2), "lines": strings.Split(strings.Replace(readmeKind(t), "version: 1\nlevel", "version: 2\nlevel", 1), "\n")}}, nil)
	if !errors.As(err, &misread) {
		t.Fatalf("a definition under another hash: %v", err)
	}
	b.readOtherwise(definitionID(ref.Hash))
	want := func(what string, err error) {
		t.Helper()
		misread = nil
		if !errors.As(err, &misread) || misread.Kind != ref.ID || misread.Version != 1 || !strings.Contains(err.Error(), ref.ID) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = Open(Options{Dir: b.dir, Journals: testJournals{}, Clock: b.clock})
	want("start", err)
	r, err := Check(ctx, b.dir, CheckOptions{Journals: testJournals{}})
	if err != nil || len(r.Problems) == 0 || !strings.Contains(strings.Join(r.Problems, "\n"), ref.ID+", version 1") {
		t.Errorf("check: %v %v", r.Problems, err)
	}
}

// readOtherwise changes what a stored definition means, as a release would
// that reads the same lines otherwise, and closes the box.
func (b *testBox) readOtherwise(id envelope.RecordID) {
	b.t.Helper()
	must := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	must(b.settled(context.Background()))
	r, _, err := b.store.Record(id)
	must(err)
	feeds, err := b.derive(r)
	must(err)
	position, err := b.store.Position()
	must(err)
	applied, err := b.store.Applied()
	must(err)
	lines := r.List("lines")
	for i, l := range lines {
		lines[i] = strings.Replace(l, "max: 60}", "max: 61}", 1)
	}
	must(b.store.Commit(store.Batch{Position: position, Applied: applied, Rows: []store.Row{{Record: r, Derived: feeds}}}))
	b.close()
}
