package service

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
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
