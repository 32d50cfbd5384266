package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
)

const (
	township = "330681109"
	village  = "330681109290"
	password = "correct-horse-9"
)

// client is a signed-in person.
type client struct {
	t      *testing.T
	server *httptest.Server
	http   *http.Client
	csrf   string
	n      int
}

type world struct {
	t       *testing.T
	node    *node.Node
	server  *httptest.Server
	clients map[string]*client
	record  string // an event of the village
}

var roles = map[string]string{ // role → where it is held
	domain.RoleGridMember: village, domain.RoleVillageCadre: village, domain.RoleMediator: township, domain.RoleDutyOfficer: township,
	domain.RoleStationOfficer: township + "-S01", domain.RoleLeader: township, domain.RoleJusticeOfficer: township, domain.RolePetitionOfficer: township,
	domain.RoleSystemAdmin: township, domain.RoleSecurityAdmin: township, domain.RoleAuditAdmin: township,
}

func newWorld(t *testing.T) *world {
	dir := t.TempDir()
	if err := node.Init(dir); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(node.Options{Dir: dir, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, node: n, server: httptest.NewServer(n.Handler()), clients: map[string]*client{}}
	t.Cleanup(func() { w.server.Close(); n.Close() })
	ctx := t.Context()
	_, err = n.Box.ImportDivisions(ctx, []service.Division{
		{Code: "330681", Name: "诸暨市", Level: domain.LevelCounty}, {Code: township, Name: "枫桥镇", Level: domain.LevelTownship, Parent: "330681", Abbr: "枫"},
		{Code: village, Name: "枫源村", Level: domain.LevelVillage, Parent: township}, {Code: township + "-S01", Name: "执法队", Level: domain.LevelStation, Parent: township},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := service.Founding{Code: n.Box.SetupCode(), Organisation: township, Recipient: "r"}
	for _, role := range []string{domain.RoleSystemAdmin, domain.RoleSecurityAdmin, domain.RoleAuditAdmin} {
		f.Admins = append(f.Admins, service.NewAccount{Username: role, Name: "管理员", Password: password, Grants: []domain.Grant{{Role: role, Organisation: township}}})
	}
	if _, err := n.Box.Found(ctx, f); err != nil {
		t.Fatal(err)
	}
	for role, org := range roles {
		if _, known := n.Box.AccountByName(role); !known {
			r, _, err := n.Box.CreateAccount(ctx, n.Box.Technician(), service.NewAccount{Username: role, Name: "测试人员", Password: password, Grants: []domain.Grant{{Role: role, Organisation: org}}})
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Box.KeepPassword(ctx, r.ID); err != nil {
				t.Fatal(err)
			}
		}
		w.clients[role] = w.signIn(role)
	}
	var made api.Record
	status, body := w.clients[domain.RoleVillageCadre].do("POST", "/records", map[string]any{"kind": "event", "fields": map[string]any{"title": "测试事件", "type": "01", "village": village, "people/0/name": "王小明"}})
	if err := json.Unmarshal(body, &made); err != nil || status != 201 {
		t.Fatalf("%d %s", status, body)
	}
	w.record = made.ID
	return w
}

func (w *world) signIn(user string) *client {
	jar := &jar{}
	c := &client{t: w.t, server: w.server, http: &http.Client{Jar: jar}}
	status, body := c.do("POST", "/session", map[string]any{"username": user, "password": password})
	var s api.Session
	if err := json.Unmarshal(body, &s); err != nil || status != 200 {
		w.t.Fatalf("%s: %d %s", user, status, body)
	}
	c.csrf = s.CSRF
	return c
}

func (c *client) do(method, path string, body any) (int, []byte) {
	c.n++
	return c.with(method, path, body, map[string]string{"Idempotency-Key": fmt.Sprintf("test-key-%p-%d", c, c.n), "X-CSRF-Token": c.csrf})
}

func (c *client) with(method, path string, body any, headers map[string]string) (int, []byte) {
	c.t.Helper()
	var in io.Reader
	switch body := body.(type) {
	case nil:
	case io.Reader:
		in = body
	case string:
		in = strings.NewReader(body)
	default:
		b, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+"/api/v1"+path, in)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return res.StatusCode, nil
	}
	out, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, out
}

var (
	all      = []string{"*"}
	business = []string{domain.RoleGridMember, domain.RoleVillageCadre, domain.RoleMediator, domain.RoleDutyOfficer, domain.RoleStationOfficer, domain.RoleLeader, domain.RoleJusticeOfficer, domain.RolePetitionOfficer}
	admins   = []string{domain.RoleSystemAdmin, domain.RoleSecurityAdmin, domain.RoleAuditAdmin}
	security = []string{domain.RoleSecurityAdmin}
	system   = []string{domain.RoleSystemAdmin}
	desk     = []string{domain.RoleDutyOfficer, domain.RoleLeader}
	// Matters and rosters by the desk, cases by the justice office too,
	// stations by the system, people by the security administrator.
	importers = []string{domain.RoleDutyOfficer, domain.RoleLeader, domain.RoleJusticeOfficer, domain.RoleSystemAdmin, domain.RoleSecurityAdmin}
	// Who may see an event that a village reported and nobody handles yet.
	seesEvent = []string{domain.RoleVillageCadre, domain.RoleGridMember, domain.RoleDutyOfficer, domain.RoleLeader}
)

// permitted is written by hand after DOMAIN §9.3: route → roles that are
// not turned away. A route that is missing here fails the test.
var permitted = map[string][]string{
	"GET /box": all, "GET /session": all, "POST /session": all, "POST /session/break-glass": all, "DELETE /session": nil, "POST /session/password": all,
	"GET /setup": all, "POST /setup": all, "GET /catalogue": all, "GET /organisations": all, "GET /people": business,
	"GET /records": business, "POST /records": business, "GET /records/:id": seesEvent, "POST /records/:id/steps/:step": seesEvent,
	"POST /records/:id/reveal": {domain.RoleVillageCadre, domain.RoleDutyOfficer, domain.RoleLeader}, "GET /records/:id/changes": seesEvent, "POST /records/:id/presence": seesEvent,
	"PUT /records/:id/files": seesEvent, "GET /records/:id/files/:hash": seesEvent, "GET /records/:id/papers/:paper": seesEvent,
	"POST /similar": business, "GET /search": business, "GET /workbench": business, "GET /alarms": all, "GET /duty": business, "GET /duty/roster": business,
	"GET /duty/shifts/:id/handover": business, "GET /drafts": business, "PUT /drafts/:id": business, "DELETE /drafts/:id": business, "GET /events": all,
	"GET /wall/snapshot": append(slices.Clone(desk), system...), "GET /wall/events": append(slices.Clone(desk), system...), "POST /wall/beat": append(slices.Clone(desk), system...),
	"GET /wall/outlines": append(slices.Clone(desk), system...), "GET /outlines": system, "POST /outlines": system, "DELETE /outlines": system,
	"GET /accounts": security, "POST /accounts": security, "POST /accounts/:id/grants": security, "POST /accounts/:id/disable": security, "POST /accounts/:id/enable": security,
	"POST /accounts/:id/unlock": security, "POST /accounts/:id/password": security, "GET /calendar": all, "POST /calendar": system, "POST /definitions": system, "POST /divisions": system,
	"POST /imports": importers, "GET /imports": importers, "GET /imports/:id": importers, "PUT /imports/:id/mapping": importers, "POST /imports/:id/commit": importers, "POST /imports/:id/undo": importers,
	"GET /audit": {domain.RoleAuditAdmin}, "GET /health": append(slices.Clone(admins), desk...), "GET /displays": system, "POST /displays": system, "DELETE /displays/:id": system,
}

// unseen are routes on one record: who may not see it learns nothing, not
// even that it exists.
func unseen(route string) bool { return strings.Contains(route, "/records/:id") }

func TestEveryRouteAndRole(t *testing.T) {
	w := newWorld(t)
	routes := w.routes()
	for _, route := range routes {
		want, listed := permitted[route]
		if !listed {
			t.Errorf("%s is not in the table of permissions", route)
			continue
		}
		if want == nil || strings.HasSuffix(route, "/events") && route != "GET /events" {
			continue // ends the session; a stream is walked below by its permission
		}
		method, path, _ := strings.Cut(route, " ")
		path = strings.NewReplacer(":id", w.record, ":step", "no-such-step", ":hash", "00", ":paper", "no-such-paper").Replace(path)
		if route == "GET /records/:id/changes" {
			path += "?since=x"
		}
		for role := range roles {
			if strings.HasSuffix(path, "/events") {
				continue
			}
			status, body := w.clients[role].do(method, path, probe(route))
			refused := status == http.StatusForbidden || unseen(route) && status == http.StatusNotFound && !slices.Contains(want, role)
			may := slices.Contains(want, "*") || slices.Contains(want, role)
			if refused == may {
				t.Errorf("%s as %s: %d, allowed %v: %s", route, role, status, may, body)
			}
			if status >= 500 {
				t.Errorf("%s as %s: %d %s", route, role, status, body)
			}
			if method == "GET" && status == 200 && bytes.Contains(body, []byte(":null")) {
				t.Errorf("%s as %s answers null: %s", route, role, body)
			}
		}
	}
	for route := range permitted {
		if !slices.Contains(routes, route) {
			t.Errorf("the table names %s, which does not exist", route)
		}
	}
}

// probe is a body that changes nothing: permission is decided before it,
// or, on one record, it is well formed and refused for its content.
func probe(route string) any {
	switch {
	case strings.HasPrefix(route, "GET"), strings.HasPrefix(route, "DELETE"):
		return nil
	case strings.HasSuffix(route, "/reveal"):
		return map[string]any{"path": "people/0/name", "reason": "no-such-reason"}
	case strings.HasSuffix(route, "/steps/:step"):
		return map[string]any{}
	}
	return map[string]any{"no_such_field": true}
}

// routes reads the served document, so that nothing escapes the walk.
func (w *world) routes() []string {
	res, err := http.Get(w.server.URL + "/openapi.json")
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
		w.t.Fatal(err)
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

func code(body []byte) string {
	var p api.Problem
	if json.Unmarshal(body, &p) != nil {
		return string(body)
	}
	return p.Code
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	duty := w.clients[domain.RoleDutyOfficer]
	good := map[string]any{"title": "事", "type": "01", "village": village}
	long := strings.Repeat("长", 3000)
	for name, c := range map[string]struct {
		method, path string
		body         any
		headers      map[string]string
		status       int
		code         string
	}{
		"no key":        {"POST", "/records", map[string]any{"kind": "event", "fields": good}, map[string]string{"X-CSRF-Token": duty.csrf}, 400, "idempotency_key_required"},
		"no token":      {"POST", "/records", map[string]any{"kind": "event", "fields": good}, map[string]string{"Idempotency-Key": "0123456789"}, 403, "csrf"},
		"unknown field": {"POST", "/records", map[string]any{"kind": "event", "fields": good, "extra": 1}, nil, 422, "invalid_input"},
		"over-long":     {"POST", "/records", map[string]any{"kind": "event", "fields": map[string]any{"title": long, "type": "01"}}, nil, 422, "invalid_input"},
		"double key":    {"POST", "/records", `{"kind":"event","kind":"mediation","fields":{}}`, nil, 400, "bad_json"},
		"not JSON":      {"POST", "/records", `{"kind":`, nil, 400, "bad_json"},
		"huge body":     {"POST", "/records", `{"kind":"` + strings.Repeat("x", 2<<20) + `"}`, nil, 413, "body_too_large"},
		"wrong MIME":    {"PUT", "/records/" + w.record + "/files?name=a.html", "<html><script>", map[string]string{"Content-Type": "text/html"}, 422, "invalid_input"},
		"disguised":     {"PUT", "/records/" + w.record + "/files?name=a.png", "<html><script>alert(1)</script>", map[string]string{"Content-Type": "image/png"}, 422, "invalid_input"},
		"empty file":    {"PUT", "/records/" + w.record + "/files?name=a.png", "", map[string]string{"Content-Type": "image/png"}, 422, "invalid_input"},
		"no such step":  {"POST", "/records/" + w.record + "/steps/fly", map[string]any{}, nil, 404, "not_found"},
		"wrong state":   {"POST", "/records/" + w.record + "/steps/close", map[string]any{}, nil, 409, "not_in_this_state"},
		"bad version":   {"POST", "/records/" + w.record + "/steps/accept", map[string]any{"seen": "nonsense"}, nil, 422, "invalid_input"},
		"bad cursor":    {"GET", "/records?cursor=%21", nil, nil, 422, "invalid_input"},
		"no such page":  {"GET", "/nothing", nil, nil, 404, "no_such_address"},
	} {
		headers := map[string]string{"Idempotency-Key": "bad-" + strings.ReplaceAll(name, " ", "-"), "X-CSRF-Token": duty.csrf}
		if name == "no key" || name == "no token" {
			headers = map[string]string{}
		}
		for k, v := range c.headers {
			headers[k] = v
		}
		status, body := duty.with(c.method, c.path, c.body, headers)
		if status != c.status || code(body) != c.code {
			t.Errorf("%s: %d %s, want %d %s: %s", name, status, code(body), c.status, c.code, body)
		}
		var p api.Problem
		if json.Unmarshal(body, &p) != nil || p.Detail == "" || p.RequestID == "" {
			t.Errorf("%s: no sentence or no request number: %s", name, body)
		}
	}
}

// TestLargeUploadIsRefusedUnread: 200 MB are refused by their length, and
// cut at the limit when they do not name one.
func TestLargeUploadIsRefusedUnread(t *testing.T) {
	w := newWorld(t)
	duty := w.clients[domain.RoleDutyOfficer]
	for _, sized := range []bool{true, false} {
		body := io.LimitReader(zeros{}, 200<<20)
		req, err := http.NewRequestWithContext(t.Context(), "PUT", w.server.URL+"/api/v1/records/"+w.record+"/files?name=a.mp4", body)
		if err != nil {
			t.Fatal(err)
		}
		if sized {
			req.ContentLength = 200 << 20
		}
		req.Header.Set("Content-Type", "video/mp4")
		req.Header.Set("Idempotency-Key", fmt.Sprintf("large-upload-%v", sized))
		req.Header.Set("X-CSRF-Token", duty.csrf)
		res, err := duty.http.Do(req)
		if err != nil {
			continue // the connection was cut while the rest was on its way
		}
		if res.StatusCode != 413 && res.StatusCode != 422 {
			t.Errorf("sized %v: %d", sized, res.StatusCode)
		}
		res.Body.Close()
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestReplayedKey(t *testing.T) {
	w := newWorld(t)
	duty := w.clients[domain.RoleDutyOfficer]
	headers := map[string]string{"Idempotency-Key": "the-same-key", "X-CSRF-Token": duty.csrf}
	body := map[string]any{"kind": "event", "fields": map[string]any{"title": "一次", "type": "01", "village": village}}
	_, first := duty.with("POST", "/records", body, headers)
	_, second := duty.with("POST", "/records", body, headers)
	var a, b api.Record
	if json.Unmarshal(first, &a) != nil || json.Unmarshal(second, &b) != nil || a.ID == "" || a.ID != b.ID {
		t.Fatalf("replayed: %s / %s", first, second)
	}
	body["fields"].(map[string]any)["title"] = "两次"
	if status, answer := duty.with("POST", "/records", body, headers); status != 422 || code(answer) != "idempotency_mismatch" {
		t.Fatalf("another body: %d %s", status, answer)
	}
}

func TestForeignOriginIsRefused(t *testing.T) {
	w := newWorld(t)
	duty := w.clients[domain.RoleDutyOfficer]
	status, body := duty.with("POST", "/records", map[string]any{}, map[string]string{"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"})
	if status != 403 || code(body) != "cross_origin" {
		t.Fatalf("%d %s", status, body)
	}
}

func TestPersonalDataIsMasked(t *testing.T) {
	w := newWorld(t)
	for role, c := range w.clients {
		for _, path := range []string{"/records/" + w.record, "/records", "/workbench", "/search?q=测试", "/wall/snapshot"} {
			if _, body := c.do("GET", path, nil); bytes.Contains(body, []byte("王小明")) {
				t.Errorf("%s as %s shows a full name", path, role)
			}
		}
	}
	duty := w.clients[domain.RoleDutyOfficer]
	if status, body := duty.do("POST", "/records/"+w.record+"/reveal", map[string]any{"path": "people/0/name", "reason": "nonsense"}); status != 422 {
		t.Errorf("revealed without a reason: %d %s", status, body)
	}
	status, body := duty.do("POST", "/records/"+w.record+"/reveal", map[string]any{"path": "people/0/name", "reason": "contact"})
	if status != 200 || !bytes.Contains(body, []byte("王小明")) {
		t.Fatalf("%d %s", status, body)
	}
	_, log := w.clients[domain.RoleAuditAdmin].do("GET", "/audit?action=reveal", nil)
	if !bytes.Contains(log, []byte(w.record)) || bytes.Contains(log, []byte("王小明")) {
		t.Fatalf("audit: %s", log)
	}
}

// jar keeps one cookie.
type jar struct{ cookies []*http.Cookie }

func (j *jar) SetCookies(_ *url.URL, c []*http.Cookie) { j.cookies = c }
func (j *jar) Cookies(*url.URL) []*http.Cookie         { return j.cookies }
