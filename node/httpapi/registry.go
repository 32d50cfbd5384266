// Package httpapi is the HTTP interface of a box: one registry of routes
// yields the handlers, the OpenAPI document and the validators of request
// bodies. It holds no rules; who may do what is decided by the service.
package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/fengqiao/fengqiao/node/domain"
)

// Permission is the capability that a route asks for. Whose matters it
// opens is the service's decision; a route without one cannot be built.
type Permission string

const (
	PermNone     Permission = "none"     // sign-in, set-up, health
	PermSession  Permission = "session"  // anybody signed in
	PermMatters  Permission = "matters"  // works on matters
	PermAlarms   Permission = "alarms"   // hears alarms
	PermAccounts Permission = "accounts" // manages people
	PermSystem   Permission = "system"   // manages the box
	PermAudit    Permission = "audit"    // reads the audit
	PermImport   Permission = "import"   // brings tables: each list asks for the role that makes its records
	PermWall     Permission = "wall"     // shows the wall: a session or a display token
	PermHealth   Permission = "health"   // sees how the box is
)

var business = []string{domain.RoleGridMember, domain.RoleVillageCadre, domain.RoleMediator, domain.RoleDutyOfficer, domain.RoleStationOfficer,
	domain.RoleLeader, domain.RoleJusticeOfficer, domain.RolePetitionOfficer, domain.RoleCountyOfficer}

// holders lists the roles of each permission; what is not listed is denied.
var holders = map[Permission][]string{
	PermSession:  domain.Roles(),
	PermMatters:  business,
	PermAlarms:   append([]string{domain.RoleSystemAdmin, domain.RoleSecurityAdmin, domain.RoleAuditAdmin}, business...),
	PermAccounts: {domain.RoleSecurityAdmin},
	PermSystem:   {domain.RoleSystemAdmin},
	PermAudit:    {domain.RoleAuditAdmin},
	PermImport:   {domain.RoleDutyOfficer, domain.RoleLeader, domain.RoleJusticeOfficer, domain.RoleSystemAdmin, domain.RoleSecurityAdmin},
	PermWall:     {domain.RoleDutyOfficer, domain.RoleLeader, domain.RoleSystemAdmin},
	PermHealth:   {domain.RoleSystemAdmin, domain.RoleSecurityAdmin, domain.RoleAuditAdmin, domain.RoleDutyOfficer, domain.RoleLeader},
}

// Allowed is the one decision on routes: deny by default.
func Allowed(grants []domain.Grant, p Permission) bool {
	return slices.ContainsFunc(grants, func(g domain.Grant) bool { return slices.Contains(holders[p], g.Role) })
}

// Route describes one operation of the interface.
type Route struct {
	Method     string
	Path       string // gin's form
	ID         string
	Summary    string
	Permission Permission
	Status     int
	Query      []Param
	Repeat     Repeat // of a write
	Raw        bool   // the handler writes the answer itself
	Accepts    string // media type of a body that is not JSON
	Answers    string // media type of an answer that is not JSON
	Limit      int64  // bytes of the body; 0 is a megabyte
	in, out    reflect.Type
	handler    func(*call) (any, error)
}

// Repeat says what a write does when it is sent again with its
// Idempotency-Key; every write names one.
type Repeat string

const (
	// RepeatOperation: the operation carries the key, so that even a restart
	// between the two changes nothing. Kept as long as the journal.
	RepeatOperation Repeat = "operation"
	// RepeatAnswer: the first answer is kept on this box for a day.
	RepeatAnswer Repeat = "answer"
	// RepeatHarmless: sending it again does nothing more (a draft is put
	// whole, presence is only the last), or must be seen again (signing in,
	// reading a full value), or its answer may not be kept (the emergency
	// sheet). The key is asked for and not remembered.
	RepeatHarmless Repeat = "harmless"
)

// Param is a query parameter with its limits.
type Param struct {
	Name     string
	Kind     paramKind
	Max      int // characters, or the greatest number
	Enum     []string
	Required bool
}

type paramKind string

const (
	text    paramKind = "string"
	whole   paramKind = "integer"
	boolean paramKind = "boolean"
)

const jsonLimit = 1 << 20

// registry collects routes in the order of the document.
type registry struct {
	routes []*Route
}

// writes reports whether the route changes anything.
func (r *Route) writes() bool { return r.Method != http.MethodGet }

func (r *Route) limit() int64 { return max(r.Limit, jsonLimit) }

// none is the body of routes without one.
type none struct{}

// add registers a JSON route. Input and output types make the document.
func add[In, Out any](g *registry, r Route, h func(*call, In) (Out, error)) {
	r.in, r.out = reflect.TypeFor[In](), reflect.TypeFor[Out]()
	r.handler = func(c *call) (any, error) {
		var in In
		if r.in != reflect.TypeFor[none]() {
			if err := c.body(&in); err != nil {
				return nil, err
			}
		}
		return h(c, in)
	}
	g.register(r)
}

// upload registers a route that takes a whole file and answers in JSON.
func upload[Out any](g *registry, r Route, h func(*call, []byte) (Out, error)) {
	r.in, r.out = reflect.TypeFor[none](), reflect.TypeFor[Out]()
	r.handler = func(c *call) (any, error) {
		data, err := c.read()
		if err != nil {
			return nil, err
		}
		return h(c, data)
	}
	g.register(r)
}

// raw registers a route whose handler owns body or answer.
func raw(g *registry, r Route, h func(*call) error) {
	r.Raw = true
	r.in, r.out = reflect.TypeFor[none](), reflect.TypeFor[none]()
	r.handler = func(c *call) (any, error) { return nil, h(c) }
	g.register(r)
}

func (g *registry) register(r Route) {
	if r.ID == "" || r.Permission == "" || r.Status == 0 || r.Method == "" || r.writes() != (r.Repeat != "") {
		panic(fmt.Sprintf("httpapi: route %s %s is incomplete", r.Method, r.Path))
	}
	for _, other := range g.routes {
		if other.ID == r.ID {
			panic("httpapi: operation " + r.ID + " stands twice")
		}
	}
	g.routes = append(g.routes, &r)
}

// read takes the whole body, up to the route's limit.
func (c *call) read() ([]byte, error) {
	if c.Request.ContentLength > c.route.limit() {
		return nil, c.tooLarge()
	}
	if err := c.hurry(); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, c.route.limit()))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, c.tooLarge()
	case err != nil:
		return nil, errCut
	}
	// What is done with it may take longer; a limit that ran out would end it.
	if err := http.NewResponseController(c.Writer).SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	return data, nil
}

// hurry gives a form seconds to arrive, not the minutes of a large file, so
// that slow senders do not gather. The server sets the limit of the next
// request anew.
func (c *call) hurry() error {
	if c.route.Accepts != "" {
		return nil
	}
	err := http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(bodyLimit))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

func (c *call) tooLarge() error {
	if c.route.Accepts != "" {
		n := c.route.limit() >> 20
		return problem{status: http.StatusRequestEntityTooLarge, code: "file_too_large",
			zh: fmt.Sprintf("文件超过 %d MB，请压缩或拆分后再传", n), en: fmt.Sprintf("The file exceeds %d MB. Compress or split it.", n)}
	}
	return problem{status: http.StatusRequestEntityTooLarge, code: "body_too_large",
		zh: "内容太大，请缩短或改用附件", en: "The content is too large. Shorten it or attach a file."}
}

// errCut: the line broke, or the client went away.
var errCut = problem{status: http.StatusBadRequest, code: "body_cut", zh: "内容没有传完，请检查网络后重试", en: "The content did not arrive whole. Check the line and try again."}

// body reads and validates a JSON body: known fields, no doubles, limits.
func (c *call) body(into any) error {
	data, err := c.read()
	if err != nil {
		return err
	}
	value, err := parse(data)
	if err != nil {
		return badJSON(err)
	}
	if problems := c.server.schemas.check(c.route.ID, value, c.lang()); len(problems) > 0 {
		return problem{status: http.StatusUnprocessableEntity, code: "invalid_input",
			zh: "有内容不符合要求，请按提示修改", en: "Some values are not valid. Correct them as shown.", fields: problems}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return badJSON(err)
	}
	return nil
}

func badJSON(error) error {
	return problem{status: http.StatusBadRequest, code: "bad_json", zh: "请求内容无法读取，请刷新页面后重试", en: "The request cannot be read. Reload the page and try again."}
}

const maxNesting = 16

// parse reads one JSON value. Objects that name a key twice are refused,
// since readers would disagree on which one counts, and what is nested or
// counted beyond reason.
func parse(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := parseValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows")
	}
	return v, nil
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	t, err := dec.Token()
	if n, ok := t.(json.Number); ok {
		return n, plainNumber(n)
	}
	delim, nested := t.(json.Delim)
	switch {
	case err != nil || !nested:
		return t, err
	case depth > maxNesting:
		return nil, errors.New("nested too deeply")
	case delim == '{':
		return parseObject(dec, depth)
	}
	list := []any{}
	for dec.More() {
		v, err := parseValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err = dec.Token()
	return list, err
}

func parseObject(dec *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("key %q stands twice", name)
		}
		if object[name], err = parseValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return object, err
}

// plainNumber refuses numbers that no field has and whose value alone would
// cost memory.
func plainNumber(n json.Number) error {
	f, err := n.Float64()
	if err != nil || len(n) > 24 || math.Abs(f) > 1<<53 {
		return errors.New("number out of range")
	}
	return nil
}

// numbers turns json.Number inside free maps into int64, the only number
// that fields know.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for k, item := range v {
			v[k] = numbers(item)
		}
	case []any:
		for i, item := range v {
			v[i] = numbers(item)
		}
	}
	return v
}

func fieldsOf(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	return numbers(m).(map[string]any)
}

// ginPath lists the parameters of a path in OpenAPI's form.
func openPath(path string) (string, []string) {
	var params []string
	out := make([]byte, 0, len(path)+4)
	for i := 0; i < len(path); i++ {
		if path[i] != ':' {
			out = append(out, path[i])
			continue
		}
		j := i + 1
		for j < len(path) && path[j] != '/' {
			j++
		}
		params = append(params, path[i+1:j])
		out = append(out, "{"+path[i+1:j]+"}"...)
		i = j - 1
	}
	return string(out), params
}
