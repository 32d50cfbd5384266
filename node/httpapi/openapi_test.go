package httpapi

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write openapi.json")

// TestOpenAPI: the committed document is what the routes give.
func TestOpenAPI(t *testing.T) {
	doc, err := routes().document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", doc, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(committed, doc) {
		t.Fatal("openapi.json is not what the routes give: run `make api`")
	}
	if _, err := compile(doc, routes().routes); err != nil {
		t.Fatal(err)
	}
}
