package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/service"
)

// permitted is written by hand after DOMAIN §9.3: route → roles that are
// not turned away, for routes that are not about one record. What they
// then see is walked in TestIsolation.
var permitted = map[string][]string{
	"GET /box": everyone, "GET /session": everyone, "POST /session": everyone, "POST /session/break-glass": everyone,
	"DELETE /session": everyone, "POST /session/password": everyone, "GET /setup": everyone, "POST /setup": everyone, "POST /setup/clock": everyone,
	"GET /catalogue": everyone, "GET /organisations": everyone, "GET /people": business,
	"GET /records": business, "POST /records": business, "POST /similar": business, "GET /search": business, "POST /search/rebuild": {system}, "GET /workbench": business,
	"GET /alarms": everyone, "GET /events": everyone, "GET /duty": business, "GET /duty/roster": business,
	"GET /drafts": business, "PUT /drafts/:id": business, "DELETE /drafts/:id": business,
	"GET /wall/snapshot": {duty, leader, system}, "GET /wall/events": {duty, leader, system}, "GET /wall/outlines": {duty, leader, system}, "POST /wall/beat": {duty, leader, system},
	"GET /accounts": {security}, "POST /accounts": {security}, "POST /accounts/:id/grants": {security}, "POST /accounts/:id/disable": {security},
	"POST /accounts/:id/enable": {security}, "POST /accounts/:id/unlock": {security}, "POST /accounts/:id/password": {security},
	"GET /calendar": everyone, "POST /calendar": {system}, "POST /definitions": {system}, "POST /divisions": {system},
	"GET /outlines": {system}, "POST /outlines": {system}, "DELETE /outlines": {system},
	// Matters and rosters by the desk, cases by the justice office too,
	// stations by the system, people by the security administrator.
	"POST /imports": importers, "GET /imports": importers, "GET /imports/:id": importers, "PUT /imports/:id/mapping": importers,
	"POST /imports/:id/commit": importers, "POST /imports/:id/undo": importers,
	"GET /audit": {auditor}, "GET /audit/writes": {auditor}, "GET /health": {system, security, auditor, duty, leader},
	"GET /clock": {system}, "PUT /clock": {system},
	"GET /displays": {system}, "POST /displays": {system}, "DELETE /displays/:id": {system},
}

var importers = []string{duty, leader, justice, system, security}

// object is one record and, by hand after DOMAIN §9.2 and §9.3, what each
// role may see of it. Who stands in none of the lists does not learn that
// it exists.
type object struct {
	make          func(w *world, o *object) string // gives its id
	full          []string                         // full values after a reason, attachments, papers
	text          []string                         // case text with people masked
	summary       []string                         // codes only
	attach        []string                         // may add a file
	step          string
	act           []string // may take the step
	person, paper string   // a masked field, a paper
	openText      bool     // text is enough for files and papers: a notice
	id, file      string
	word, phone   string // stand in no other record
}

// objects: own and foreign for every role: another village's, another
// station's, another committee's, another township's, restricted ones.
var objects = map[string]*object{
	"the grid's event": {make: event(member, "report", village), full: []string{member, duty, leader}, text: []string{cadre}, summary: []string{upper},
		attach: []string{member, cadre, duty, leader, upper}, step: "accept", act: []string{duty}, person: "people/0/name", paper: "sheet"},
	"the village's event": {make: event(cadre, "report", village), full: []string{cadre, duty, leader}, summary: []string{upper},
		attach: []string{cadre, duty, leader, upper}, step: "accept", act: []string{duty}, person: "people/0/name", paper: "sheet"},
	"another village's event": {make: event("cadre2", "report", village2), full: []string{duty, leader}, summary: []string{upper},
		attach: []string{duty, leader, upper}, step: "accept", act: []string{duty}, person: "people/0/name", paper: "sheet"},
	"an event with the station": {make: dispatched(station, ""), full: []string{officer, duty, leader}, summary: []string{upper},
		attach: []string{officer, duty, leader, upper}, step: "sign", act: []string{officer}, person: "people/0/name", paper: "sheet"},
	"an event with another station": {make: dispatched(station2, ""), full: []string{duty, leader}, summary: []string{upper},
		attach: []string{duty, leader, upper}, step: "sign", person: "people/0/name", paper: "sheet"},
	"an event about a minor, with another station": {make: dispatched(station2, "minor"), full: []string{leader},
		attach: []string{leader}, step: "sign", person: "people/0/name", paper: "sheet"},
	"another township's event": {make: event("far", "register", far), summary: []string{upper},
		attach: []string{upper}, step: "dispatch", person: "people/0/name", paper: "sheet"},
	"the mediator's case": {make: mediation(mediator, committee, "none"), full: []string{mediator, leader, justice}, summary: []string{duty, upper},
		attach: []string{mediator, leader, justice}, step: "accept", act: []string{mediator, justice}, person: "parties/0/name", paper: "cover"},
	"another committee's case": {make: mediation("mediator2", second, "none"), full: []string{leader, justice}, summary: []string{duty, upper},
		attach: []string{leader, justice}, step: "accept", act: []string{justice}, person: "parties/0/name", paper: "cover"},
	"a case with domestic violence": {make: mediation(mediator, committee, "suspected"), full: []string{mediator, leader, justice},
		attach: []string{mediator, leader, justice}, step: "accept", act: []string{mediator, justice}, person: "parties/0/name", paper: "cover"},
	"another township's case": {make: mediation("far-justice", far, "none"), summary: []string{upper},
		attach: nil, step: "accept", person: "parties/0/name", paper: "cover"},
	"a petition": {make: petitioned("claim"), full: []string{petition, duty, leader}, summary: []string{upper},
		attach: []string{petition, leader}, step: "register", act: []string{petition, duty}, person: "petitioners/0/name", paper: "registration"},
	"an accusation": {make: petitioned("accusation"), full: []string{petition, leader},
		attach: []string{petition, leader}, step: "register", act: []string{petition}, person: "petitioners/0/name", paper: "registration"},
	"a notice to another village": {make: notice(village2), text: []string{duty, leader}, attach: []string{duty, leader},
		step: "close", act: []string{duty, leader}, paper: "sheet", openText: true},
	"a notice to the village": {make: notice(village), text: []string{duty, leader, cadre, member}, attach: []string{duty, leader},
		step: "close", act: []string{duty, leader}, paper: "sheet", openText: true},
	"a shift": {make: shift(duty, leader), full: []string{duty, leader}, summary: []string{upper}, attach: []string{duty, leader},
		step: "cancel", act: []string{duty, leader}, paper: "handover"},
	"another township's shift": {make: shift("far", "far"), summary: []string{upper}, step: "cancel", paper: "handover"},
}

func (o *object) seen() []string { return slices.Concat(o.full, o.text, o.summary) }

func (o *object) opens() []string {
	if o.openText {
		return slices.Concat(o.full, o.text)
	}
	return o.full
}

// aboutRecords are the routes on one record: who passes, of those who see
// it. Who sees it and does not pass is forbidden; who does not see it is
// told that it is not there; administrators have no business here at all.
var aboutRecords = map[string]struct {
	passes func(*object) []string
	send   func(*client, *object) (int, []byte)
}{
	"GET /records/:id": {(*object).seen, func(c *client, o *object) (int, []byte) { return c.do("GET", "/records/"+o.id, nil) }},
	"GET /records/:id/changes": {(*object).seen, func(c *client, o *object) (int, []byte) {
		return c.do("GET", "/records/"+o.id+"/changes?since=x", nil)
	}},
	"POST /records/:id/presence": {(*object).seen, func(c *client, o *object) (int, []byte) { return c.do("POST", "/records/"+o.id+"/presence", nil) }},
	"POST /records/:id/reveal": {func(o *object) []string { return o.full }, func(c *client, o *object) (int, []byte) {
		return c.do("POST", "/records/"+o.id+"/reveal", map[string]any{"path": o.person, "reason": "no-such-reason"})
	}},
	"PUT /records/:id/files": {func(o *object) []string { return o.attach }, func(c *client, o *object) (int, []byte) {
		return c.do("PUT", "/records/"+o.id+"/files?name=a.txt", nil)
	}},
	"GET /records/:id/files/:hash": {(*object).opens, func(c *client, o *object) (int, []byte) {
		return c.do("GET", "/records/"+o.id+"/files/"+o.file, nil)
	}},
	"GET /records/:id/papers/:paper": {func(o *object) []string { return slices.Concat(o.full, o.text) }, func(c *client, o *object) (int, []byte) {
		return c.do("GET", "/records/"+o.id+"/papers/"+o.paper, nil)
	}},
	"POST /records/:id/steps/:step": {func(o *object) []string { return o.act }, func(c *client, o *object) (int, []byte) {
		return c.do("POST", "/records/"+o.id+"/steps/"+o.step, map[string]any{"inputs": map[string]any{"no_such_input": 1}})
	}},
	"GET /duty/shifts/:id/handover": {(*object).seen, func(c *client, o *object) (int, []byte) {
		return c.do("GET", "/duty/shifts/"+o.id+"/handover", nil)
	}},
}

// asksFor reports whether a route is about this object.
func asksFor(route string, o *object) bool {
	switch {
	case strings.HasSuffix(route, "/handover"):
		return strings.Contains(o.paper, "handover")
	case strings.HasSuffix(route, "/reveal"):
		return o.person != ""
	case strings.Contains(route, "/files/"):
		return o.file != ""
	}
	return true
}

const unlisted = "%s is in no table of this test. Write down by hand, after DOMAIN §9.3, who may use it: in permitted, or in aboutRecords when it is about one record"

// TestEveryRouteAndRole walks every route of the served document by every
// role, and those about one record on every object, own and foreign.
func TestEveryRouteAndRole(t *testing.T) {
	w := theWorld(t)
	routes := w.routes()
	for _, route := range routes {
		roles, general := permitted[route]
		_, about := aboutRecords[route]
		switch {
		case general:
			w.walk(route, roles)
		case about:
			for name, o := range w.objects {
				if asksFor(route, o) {
					w.walkObject(route, name, o)
				}
			}
		default:
			t.Errorf(unlisted, route)
		}
	}
	for route := range permitted {
		if !slices.Contains(routes, route) {
			t.Errorf("the table names %s, which does not exist", route)
		}
	}
	for route := range aboutRecords {
		if !slices.Contains(routes, route) {
			t.Errorf("the table names %s, which does not exist", route)
		}
	}
}

func (w *world) walk(route string, roles []string) {
	w.Helper()
	method, path, _ := strings.Cut(route, " ")
	path = strings.ReplaceAll(path, ":id", w.objects["the village's event"].id)
	for _, role := range everyone {
		first := w.clients[role]
		c := first
		if route == "DELETE /session" {
			c = w.signIn(role)
			w.clients[role] = first // the walk goes on with it
		}
		status, body := c.do(method, path, probe(method))
		if may := slices.Contains(roles, role); may == (status == http.StatusForbidden && code(body) == "forbidden") {
			w.Errorf("%s as %s: %d, allowed %v: %s", route, role, status, may, body)
		}
		if method == "GET" && status == 200 && bytes.Contains(body, []byte(":null")) {
			w.Errorf("%s as %s answers null: %s", route, role, body)
		}
		w.sane(route, role, status, body)
	}
	// Without a session only what says so is open.
	stranger := &client{T: w.T, server: w.server, http: &http.Client{}}
	status, body := stranger.do(method, path, probe(method))
	open := []string{"GET /box", "POST /session", "POST /session/break-glass", "GET /setup", "POST /setup", "POST /setup/clock"}
	if slices.Contains(open, route) == (status == http.StatusUnauthorized && code(body) == "session_expired") {
		w.Errorf("%s without a session: %d %s", route, status, body)
	}
}

// probe is a body that changes nothing: permission is decided before it.
func probe(method string) any {
	if method == "GET" || method == "DELETE" {
		return nil
	}
	return map[string]any{"no_such_field": true}
}

func (w *world) walkObject(route, name string, o *object) {
	w.Helper()
	r := aboutRecords[route]
	for _, role := range everyone {
		status, body := r.send(w.clients[role], o)
		want := "passes"
		switch {
		case slices.Contains(admins, role) && !strings.HasSuffix(route, "/steps/:step"):
			want = "forbidden" // no casework at all
		case !slices.Contains(o.seen(), role):
			want = "unknown"
		case !slices.Contains(r.passes(o), role):
			want = "forbidden"
		}
		got := map[int]string{http.StatusForbidden: "forbidden", http.StatusNotFound: "unknown"}[status]
		if got == "" {
			got = "passes"
		}
		if got != want {
			w.Errorf("%s of %s as %s: %s (%d), want %s: %.300s", route, name, role, got, status, want, body)
		}
		w.sane(route, role, status, body)
	}
}

// sane: whatever is asked, no failure and no sight of how it is made.
func (w *world) sane(route, role string, status int, body []byte) {
	w.Helper()
	if status >= 500 || bytes.Contains(body, []byte("service: ")) || bytes.Contains(body, []byte("goroutine")) {
		w.Errorf("%s as %s: %d %s", route, role, status, body)
	}
}

// routes reads the served document, so that nothing escapes the walk.
func (w *world) routes() []string {
	res, err := http.Get(w.server.URL + "/openapi.json")
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
		w.Fatal(err)
	}
	var out []string
	for path, methods := range doc.Paths {
		for m := range methods {
			out = append(out, strings.ToUpper(m)+" "+strings.NewReplacer("{", ":", "}", "").Replace(path))
		}
	}
	slices.Sort(out)
	return out
}

// makeObjects makes every object and gives it an attachment.
func (w *world) makeObjects() {
	w.Helper()
	n := 0
	for name, o := range objects {
		n++
		o.word = string([]rune{rune(0x6001 + 40*n), rune(0x6005 + 40*n), rune(0x6009 + 40*n), rune(0x600d + 40*n)})
		o.phone = fmt.Sprintf("1380571%04d", n)
		w.objects[name] = o
		o.id = o.make(w, o)
		if len(o.attach) == 0 || !slices.ContainsFunc(o.opens(), func(r string) bool { return slices.Contains(o.attach, r) }) {
			continue
		}
		var r api.Record
		by := w.clients[o.attach[len(o.attach)-1]]
		status, body := by.with("PUT", "/records/"+o.id+"/files?name="+o.word+".txt", "附件内容 "+o.word, map[string]string{"Content-Type": "text/plain"})
		if err := json.Unmarshal(body, &r); err != nil || status != 200 {
			w.Fatalf("%s: %d %s", name, status, body)
		}
		if len(r.Files) > 0 {
			o.file = r.Files[0].Hash
		}
	}
}

// create reports a record as a person and gives its id.
func (w *world) create(who, kind, step string, fields map[string]any) string {
	w.Helper()
	var made api.Record
	w.clients[who].want(201, "POST", "/records", map[string]any{"kind": kind, "step": step, "fields": fields}, &made)
	return made.ID
}

func event(who, step, place string) func(*world, *object) string {
	return func(w *world, o *object) string {
		return w.create(who, "event", step, map[string]any{"title": "事件" + o.word, "type": "01", "village": place, "content": "详情" + o.word,
			"people/0/name": "王小明", "people/0/phone": o.phone})
	}
}

func dispatched(to, restricted string) func(*world, *object) string {
	return func(w *world, o *object) string {
		id := event(duty, "register", village)(w, o)
		if restricted != "" {
			w.step(duty, id, "amend", service.Input{Fields: map[string]any{"restricted": restricted}, Inputs: map[string]any{"reason": "typo"}})
		}
		w.step(duty, id, "dispatch", service.Input{Inputs: map[string]any{"to": to}})
		return id
	}
}

func mediation(who, committee, violence string) func(*world, *object) string {
	return func(w *world, o *object) string {
		return w.create(who, "mediation", "", map[string]any{"title": "纠纷" + o.word, "type": "0201", "source": "application", "committee": committee, "village": village,
			"assigned": []string{w.clients[who].user}, "facts": "争执" + o.word, "claims": "要求" + o.word, "violence_check": violence,
			"parties/0/name": "王小明", "parties/0/phone": o.phone, "parties/0/role": "applicant", "parties/1/name": "李大山", "parties/1/role": "respondent"})
	}
}

func petitioned(class string) func(*world, *object) string {
	return func(w *world, o *object) string {
		return w.create(petition, "petition", "", map[string]any{"title": "信访" + o.word, "channel": "letter", "class": class, "content": "反映" + o.word,
			"village": village, "petitioners/0/name": "王小明", "petitioners/0/phone": o.phone})
	}
}

func notice(to string) func(*world, *object) string {
	return func(w *world, o *object) string {
		id := w.create(duty, "notice", "", map[string]any{"title": "通知" + o.word, "class": "task", "content": "正文" + o.word})
		w.step(duty, id, "copy", service.Input{Inputs: map[string]any{"targets": []string{to}}})
		w.step(duty, id, "issue", service.Input{})
		return id
	}
}

func shift(who, lead string) func(*world, *object) string {
	return func(w *world, o *object) string {
		return w.create(who, "shift", "", map[string]any{"date": "2030-01-01", "slot": "day", "start": 1893456000000, "end": 1893490000000,
			"leader": w.clients[lead].user, "assigned": []string{w.clients[who].user}})
	}
}
