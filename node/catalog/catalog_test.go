package catalog

import "testing"

func TestEmbeddedKindsLoad(t *testing.T) {
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range c.Kinds() {
		t.Log(k.Definition.ID, len(k.Definition.Steps), k.Ref.Hash)
	}
}
