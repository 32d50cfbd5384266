package httpapi

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	got, err := parse([]byte(`{"a":[1,{"b":null}],"c":"丙","d":true}`))
	want := map[string]any{"a": []any{json.Number("1"), map[string]any{"b": nil}}, "c": "丙", "d": true}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%#v, %v", got, err)
	}
	for _, bad := range []string{``, `{`, `{"a":1,"a":2}`, `{"x":{"a":1,"b":[{"a":1,"a":1}]}}`, `{} {}`, `[1,]`, `{"a" 1}`,
		strings.Repeat("[", maxNesting+2) + strings.Repeat("]", maxNesting+2)} {
		if v, err := parse([]byte(bad)); err == nil {
			t.Errorf("%s was read as %#v", bad, v)
		}
	}
}
