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
	"net/http"
	"reflect"
	"slices"

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
	PermImport   Permission = "import"   // brings old matters
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
	PermImport:   {domain.RoleDutyOfficer, domain.RoleLeader},
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
	Raw        bool // the handler owns body or answer
	Limit      int64
	in, out    reflect.Type
	handler    func(*call) (any, error)
}

const (
	jsonLimit = 1 << 20
	rawLimit  = 64<<20 + 1<<10
)

// registry collects routes in the order of the document.
type registry struct {
	routes []*Route
}

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

// raw registers a route whose handler owns body or answer.
func raw(g *registry, r Route, h func(*call) error) {
	r.Raw = true
	r.in, r.out = reflect.TypeFor[none](), reflect.TypeFor[none]()
	r.handler = func(c *call) (any, error) { return nil, h(c) }
	g.register(r)
}

func (g *registry) register(r Route) {
	if r.ID == "" || r.Permission == "" || r.Status == 0 || r.Method == "" {
		panic(fmt.Sprintf("httpapi: route %s %s is incomplete", r.Method, r.Path))
	}
	for _, other := range g.routes {
		if other.ID == r.ID {
			panic("httpapi: operation " + r.ID + " stands twice")
		}
	}
	g.routes = append(g.routes, &r)
}

// body reads and validates a JSON body: known fields, no doubles, limits.
func (c *call) body(into any) error {
	data, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, jsonLimit))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return problem{status: http.StatusRequestEntityTooLarge, code: "body_too_large",
			zh: "内容太大，请缩短或改用附件", en: "The content is too large. Shorten it or attach a file."}
	}
	if err != nil {
		return err
	}
	if err := doubles(data); err != nil {
		return badJSON(err)
	}
	if problems := c.server.schemas.check(c.route.ID, data, c.lang()); len(problems) > 0 {
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

// doubles refuses objects that name a key twice: readers would disagree on
// which one counts.
func doubles(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	var walk func(depth int) error
	walk = func(depth int) error {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		delim, ok := t.(json.Delim)
		if !ok {
			return nil
		}
		if depth > 16 {
			return errors.New("nested too deeply")
		}
		seen := map[string]bool{}
		for dec.More() {
			if delim == '{' {
				key, err := dec.Token()
				if err != nil {
					return err
				}
				name, _ := key.(string)
				if seen[name] {
					return fmt.Errorf("key %q stands twice", name)
				}
				seen[name] = true
			}
			if err := walk(depth + 1); err != nil {
				return err
			}
		}
		_, err = dec.Token()
		return err
	}
	if err := walk(0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows")
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
