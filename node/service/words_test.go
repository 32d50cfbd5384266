package service

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/fengqiao/fengqiao/node/domain"
)

var audited = regexp.MustCompile(`Action: "([a-z_]+)"`)

// TestEveryAuditedActionHasAWord: people read the audit and the health page
// in words, so that a new action or check needs its line in tables/audit.yaml.
func TestEveryAuditedActionHasAWord(t *testing.T) {
	b := newTestBox(t)
	files, err := filepath.Glob("../*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	seen := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range audited.FindAllSubmatch(source, -1) {
			seen++
			if code := string(m[1]); b.embedded.Label("audit_action", code).ZH == code {
				t.Errorf("%s: the action %s has no word", file, code)
			}
		}
	}
	if seen == 0 {
		t.Error("no audited action was found")
	}
	for _, c := range b.Readiness("zh") {
		if c.Title == c.Name {
			t.Errorf("the check %s has no word", c.Name)
		}
	}
}

// TestYesCarriesItsLabel: a bare "yes" in a timeline tells nothing.
func TestYesCarriesItsLabel(t *testing.T) {
	b := newTestBox(t)
	def, _, _ := b.policy.Load().kind(kindShift)
	at := slices.IndexFunc(def.Steps, func(s domain.Step) bool { return inputField(&s, "equipment_ok") != nil })
	if at < 0 {
		t.Fatal("no step of a shift asks for the equipment")
	}
	entry := domain.Entry{Step: def.Steps[at].ID, Inputs: map[string]any{"equipment_ok": true}}
	got := b.viewer(b.people["duty"]).inputs(def, &def.Steps[at], entry)["equipment_ok"].Text
	if got != "设备已核对：是" {
		t.Errorf("%q", got)
	}
}

// TestTerminalIsNamed: the audit says where a technician stood in the
// reader's words.
func TestTerminalIsNamed(t *testing.T) {
	b := newTestBox(t)
	if err := b.ConfirmClock(); err != nil {
		t.Fatal(err)
	}
	page, err := b.AuditPage(b.systemAdmin(), "confirm_clock", "", 0, 0, "")
	if err != nil || len(page.Items) != 1 || page.Items[0].Address != "现场终端" {
		t.Errorf("%+v %v", page.Items, err)
	}
}
