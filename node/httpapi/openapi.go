package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	sjson "github.com/swaggest/jsonschema-go"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/fengqiao/fengqiao/node/api"
)

// document builds the OpenAPI 3.1 document from the routes. Schemas come
// from the Go types by reflection, inputs are closed to unknown fields.
func (g *registry) document() ([]byte, error) {
	d := &documentBuilder{schemas: map[string]any{}}
	paths := map[string]map[string]any{}
	for _, r := range g.routes {
		path, params := openPath(r.Path)
		op, err := d.operation(r, params)
		if err != nil {
			return nil, fmt.Errorf("httpapi: %s: %w", r.ID, err)
		}
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(r.Method)] = op
	}
	if _, err := d.ref(reflect.TypeFor[api.Problem](), false); err != nil {
		return nil, err
	}
	doc := map[string]any{
		"openapi":    "3.1.0",
		"info":       map[string]any{"title": "Fengqiao", "version": "1", "description": "Interface of one township box. Errors are RFC 9457 problems; every write carries an Idempotency-Key."},
		"paths":      paths,
		"components": map[string]any{"schemas": d.schemas},
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(doc)
	return out.Bytes(), err
}

type documentBuilder struct {
	schemas map[string]any
}

func (d *documentBuilder) operation(r *Route, params []string) (map[string]any, error) {
	op := map[string]any{"operationId": r.ID, "summary": r.Summary, "x-permission": string(r.Permission)}
	var list []any
	for _, p := range params {
		list = append(list, map[string]any{"name": p, "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	for _, p := range r.Query {
		list = append(list, p.describe())
	}
	if r.writes() {
		op["x-repeat"] = string(r.Repeat)
		list = append(list, header("Idempotency-Key", map[string]any{"type": "string", "minLength": 8, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"}))
		if r.Permission != PermNone {
			list = append(list, header("X-CSRF-Token", map[string]any{"type": "string"}))
		}
	}
	if list != nil {
		op["parameters"] = list
	}
	if r.Accepts != "" {
		op["requestBody"] = map[string]any{"required": true, "content": binary(r.Accepts)}
	}
	if r.in != reflect.TypeFor[none]() {
		ref, err := d.ref(r.in, true)
		if err != nil {
			return nil, err
		}
		op["requestBody"] = map[string]any{"required": true, "content": map[string]any{"application/json": map[string]any{"schema": ref}}}
	}
	answer := map[string]any{"description": http.StatusText(r.Status)}
	if r.Answers != "" {
		answer["content"] = binary(r.Answers)
	}
	if r.out != reflect.TypeFor[none]() {
		ref, err := d.ref(r.out, false)
		if err != nil {
			return nil, err
		}
		answer["content"] = map[string]any{"application/json": map[string]any{"schema": ref}}
	}
	op["responses"] = map[string]any{
		fmt.Sprint(r.Status): answer,
		"default":            map[string]any{"description": "Problem", "content": map[string]any{"application/problem+json": map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/Problem"}}}},
	}
	return op, nil
}

func header(name string, schema map[string]any) map[string]any {
	return map[string]any{"name": name, "in": "header", "required": true, "schema": schema}
}

func binary(media string) map[string]any {
	return map[string]any{media: map[string]any{"schema": map[string]any{"type": "string", "format": "binary"}}}
}

func (p Param) describe() map[string]any {
	schema := map[string]any{"type": string(p.Kind)}
	switch {
	case p.Kind == text:
		schema["maxLength"] = p.Max
		if p.Enum != nil {
			schema["enum"] = append([]string{""}, p.Enum...)
		}
	case p.Kind == whole:
		schema["minimum"] = 0
		if p.Max > 0 {
			schema["maximum"] = p.Max
		}
	}
	return map[string]any{"name": p.Name, "in": "query", "required": p.Required, "schema": schema}
}

// ref reflects a type and its parts into components and gives a reference.
func (d *documentBuilder) ref(t reflect.Type, input bool) (any, error) {
	reflector := sjson.Reflector{}
	schema, err := reflector.Reflect(reflect.New(t).Elem().Interface(), sjson.DefinitionsPrefix("#/components/schemas/"),
		sjson.CollectDefinitions(func(name string, s sjson.Schema) { d.keep(name, s, input) }),
		sjson.InterceptDefName(func(t reflect.Type, _ string) string { return t.Name() }), sjson.InterceptNullability(noNull), sjson.InterceptProp(func(p sjson.InterceptPropParams) error {
			if !input {
				alwaysThere(p)
			}
			return nil
		}))
	if err != nil {
		return nil, err
	}
	d.keep(t.Name(), schema, input)
	return map[string]any{"$ref": "#/components/schemas/" + t.Name()}, nil
}

// alwaysThere: a field of an answer is missing only where it says omitempty,
// so that the types generated from the document know what they can rely on.
func alwaysThere(p sjson.InterceptPropParams) {
	if p.Processed && !strings.Contains(p.Field.Tag.Get("json"), "omit") {
		p.ParentSchema.Required = append(p.ParentSchema.Required, p.Name)
	}
}

// noNull: slices and maps of answers are never null.
func noNull(p sjson.InterceptNullabilityParams) {
	if p.Type.Kind() == reflect.Slice || p.Type.Kind() == reflect.Map {
		p.Schema.RemoveType(sjson.Null)
	}
}

func (d *documentBuilder) keep(name string, s sjson.Schema, input bool) {
	b, err := s.MarshalJSON()
	if err != nil {
		panic("httpapi: schema " + name + ": " + err.Error())
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		panic("httpapi: schema " + name + ": " + err.Error())
	}
	delete(m, "definitions")
	if input {
		m["additionalProperties"] = false
	}
	d.schemas[name] = m
}

// schemas validates request bodies by the very document that is served.
type schemas struct {
	byRoute map[string]*jsonschema.Schema
}

func compile(document []byte, routes []*Route) (*schemas, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("openapi.json", doc); err != nil {
		return nil, err
	}
	s := &schemas{byRoute: map[string]*jsonschema.Schema{}}
	for _, r := range routes {
		if r.in == reflect.TypeFor[none]() {
			continue
		}
		if s.byRoute[r.ID], err = c.Compile("openapi.json#/components/schemas/" + r.in.Name()); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// check gives what is wrong with a body, in the order of its fields.
func (s *schemas) check(route string, body any, lang string) []api.FieldProblem {
	schema, ok := s.byRoute[route]
	if !ok {
		return nil
	}
	err := schema.Validate(body)
	if err == nil {
		return nil
	}
	var out []api.FieldProblem
	if invalid, ok := err.(*jsonschema.ValidationError); ok {
		collect(invalid, lang, &out)
	}
	slices.SortFunc(out, func(a, b api.FieldProblem) int { return strings.Compare(a.Field+a.Code, b.Field+b.Code) })
	return out
}

var printer = message.NewPrinter(language.English)

func collect(e *jsonschema.ValidationError, lang string, out *[]api.FieldProblem) {
	for _, cause := range e.Causes {
		collect(cause, lang, out)
	}
	if len(e.Causes) > 0 {
		return
	}
	add := func(code, zh, en string, under ...string) {
		at := append(slices.Clone(e.InstanceLocation), under...)
		*out = append(*out, api.FieldProblem{Field: strings.Join(at, "/"), Pointer: pointerOf(at...), Code: code, Message: say(lang, zh, en)})
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			add("required", "请填写", "This is required.", name)
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			add("unknown_field", "没有这个字段", "There is no such field.", name)
		}
	case *kind.MaxLength:
		add("too_long", fmt.Sprintf("最多 %d 字，现有 %d 字", k.Want, k.Got), fmt.Sprintf("At most %d characters, there are %d.", k.Want, k.Got))
	case *kind.MinLength:
		add("too_short", fmt.Sprintf("至少 %d 字", k.Want), fmt.Sprintf("At least %d characters.", k.Want))
	case *kind.MaxItems:
		add("too_many", fmt.Sprintf("最多 %d 项，现有 %d 项", k.Want, k.Got), fmt.Sprintf("At most %d items, there are %d.", k.Want, k.Got))
	case *kind.MinItems:
		add("too_few", fmt.Sprintf("至少 %d 项", k.Want), fmt.Sprintf("At least %d items.", k.Want))
	case *kind.Enum:
		add("unknown_code", "不在可选范围内", "This is not one of the choices.")
	case *kind.Type:
		add("bad_type", "类型不对", "This has the wrong type.")
	default:
		add("invalid", "不符合要求", e.ErrorKind.LocalizedString(printer))
	}
}

// pointerOf writes a JSON pointer (RFC 6901).
func pointerOf(tokens ...string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(t))
	}
	return b.String()
}

// pointer says where in the body the service's path of a value stands.
func (r *Route) pointer(path string) string {
	input, isInput := strings.CutPrefix(path, "_")
	switch {
	case path == "" || r.in == nil || r.in == reflect.TypeFor[none]():
		return ""
	case !hasFields(r.in) || path == "note" || path == "seen":
		return pointerOf(strings.Split(path, "/")...)
	case isInput:
		return pointerOf("inputs", input)
	}
	return pointerOf("fields", path)
}

// hasFields: values of a record are keys of one map, slashes and all.
func hasFields(t reflect.Type) bool {
	f, ok := t.FieldByName("Fields")
	return ok && f.Type.Kind() == reflect.Map
}
