package catalog

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fengqiao/fengqiao/node/domain"
)

// TestPapersNameTheirFields: every word in braces, every value and column of
// a form exists in each kind that prints it.
func TestPapersNameTheirFields(t *testing.T) {
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, k := range c.Kinds() {
		for _, p := range k.Definition.Papers {
			used[p.Template] = true
			checkForm(t, c, k.Definition, nil, p.Template)
		}
		for i := range k.Definition.Documents {
			doc := &k.Definition.Documents[i]
			used[doc.Paper] = true
			checkForm(t, c, k.Definition, doc, doc.Paper)
		}
	}
	for _, p := range c.Papers() {
		if !used[p.ID] {
			t.Errorf("no kind prints %s", p.ID)
		}
	}
}

var braces = regexp.MustCompile(`\{([^}]*)\}`)

func checkForm(t *testing.T, c *Catalogue, def *domain.Definition, doc *domain.DocumentType, template string) {
	t.Helper()
	form, ok := c.Paper(template)
	if !ok {
		t.Errorf("%s: no form %s", def.ID, template)
		return
	}
	for i := range form.Blocks {
		b := &form.Blocks[i]
		names := slices.Concat([]string{b.Value}, slices.Concat(b.Table...))
		for _, text := range []string{b.Text, b.Plain, b.Right, b.Heading, b.Seal, b.On} {
			for _, m := range braces.FindAllStringSubmatch(text, -1) {
				names = append(names, m[1])
			}
		}
		for _, m := range braces.FindAllStringSubmatch(b.Item, -1) {
			names = append(names, b.Each+"/"+m[1])
		}
		for _, column := range b.Columns {
			names = append(names, b.Group+"/"+column)
		}
		for _, name := range names {
			if !knows(def, doc, name) {
				t.Errorf("%s: form %s names %s", def.ID, template, name)
			}
		}
		if b.Note != "" {
			if _, ok := def.Step(b.Note); !ok {
				t.Errorf("%s: form %s quotes the step %s", def.ID, template, b.Note)
			}
		}
	}
}

func knows(def *domain.Definition, doc *domain.DocumentType, name string) bool {
	if name == "" || strings.HasPrefix(name, "$") {
		return true
	}
	if key, ok := strings.CutPrefix(name, "doc."); ok {
		return doc != nil && slices.ContainsFunc(doc.Fields, func(f domain.Field) bool { return f.Key == key })
	}
	if group, key, ok := strings.Cut(name, "/"); ok {
		group, _, _ = strings.Cut(group, "[")
		name = group + "/0/" + key
	}
	_, ok := def.FieldAt(name)
	return ok
}
