package httpapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/fengqiao/fengqiao/node/api"
)

// TestEveryWriteRepeats: the document says of every write how it repeats,
// and those that keep an answer give it again and refuse another body.
func TestEveryWriteRepeats(t *testing.T) {
	w := theWorld(t)
	list := "code,name,level,parent,lng,lat,source\n330681,诸暨市,county,3306,,,\n330681115,牌头镇,township,330681,,,\n"
	account := func(name string) map[string]any {
		return map[string]any{"username": name, "name": "新人", "grants": []map[string]any{{"role": leader, "organisation": township}}}
	}
	table := "事件名称,事件大类,发生村（社区）\n旧事,民生服务,枫源村\n"
	for name, c := range map[string]struct {
		role, path  string
		body, other any
		headers     map[string]string
	}{
		"an event":     {duty, "/records", map[string]any{"kind": "event", "fields": map[string]any{"title": "一次", "type": "01", "village": village}}, map[string]any{"kind": "event", "fields": map[string]any{"title": "两次", "type": "01", "village": village}}, nil},
		"a step":       {duty, "/records/" + w.objects["the village's event"].id + "/steps/note", map[string]any{"note": "一次"}, map[string]any{"note": "两次"}, nil},
		"an account":   {security, "/accounts", account("newcomer"), account("newcomer2"), nil},
		"a display":    {system, "/displays", map[string]any{"name": "大厅"}, map[string]any{"name": "会议室"}, nil},
		"divisions":    {system, "/divisions", list, list + "330681116,同山镇,township,330681,,,\n", nil},
		"a calendar":   {system, "/calendar", `{"year":2028,"papers":["p"],"days":[{"name":"元旦","date":"2028-01-01","isOffDay":true}]}`, `{"year":2029,"papers":["p"],"days":[{"name":"元旦","date":"2029-01-01","isOffDay":true}]}`, nil},
		"an import":    {duty, "/imports?kind=event&name=a.csv", table, table + "再一件,民生服务,枫源村\n", nil},
		"a new secret": {security, "/accounts/" + w.clients["cadre2"].user + "/password", nil, map[string]any{"x": 1}, nil},
	} {
		headers := map[string]string{"Idempotency-Key": "repeat-" + strings.ReplaceAll(name, " ", "-")}
		who := w.clients[c.role]
		status, first := who.with("POST", c.path, c.body, headers)
		again, second := who.with("POST", c.path, c.body, headers)
		if status >= 300 || again != status || identity(first) != identity(second) {
			t.Errorf("%s: %d %.300s, then %d %.300s", name, status, first, again, second)
		}
		if other, body := who.with("POST", c.path, c.other, headers); other != 422 || code(body) != "idempotency_mismatch" {
			t.Errorf("%s with another body: %d %s", name, other, body)
		}
	}
	// A key is one request's, whatever kind of write used it first.
	for i, order := range [][2]string{{"/records", "/imports?kind=event&name=a.csv"}, {"/imports?kind=event&name=a.csv", "/records"}} {
		key := map[string]string{"Idempotency-Key": "across-kinds-" + strconv.Itoa(i)}
		bodies := map[string]any{"/records": map[string]any{"kind": "event", "fields": map[string]any{"title": "跨种类", "type": "01", "village": village}}, "/imports?kind=event&name=a.csv": table}
		if status, body := w.clients[duty].with("POST", order[0], bodies[order[0]], key); status != 201 {
			t.Errorf("%s: %d %s", order[0], status, body)
		}
		if status, body := w.clients[duty].with("POST", order[1], bodies[order[1]], key); status != 422 || code(body) != "idempotency_mismatch" {
			t.Errorf("%s after %s: %d %s", order[1], order[0], status, body)
		}
	}
	// A key belongs to its person: another's request under it is their own.
	key := map[string]string{"Idempotency-Key": "the-key-of-two"}
	body := map[string]any{"kind": "event", "fields": map[string]any{"title": "各报各的", "type": "01", "village": village}}
	_, a := w.clients[duty].with("POST", "/records", body, key)
	_, b := w.clients[leader].with("POST", "/records", body, key)
	if identity(a) == identity(b) || code(b) == "idempotency_mismatch" {
		t.Errorf("%s / %s", a, b)
	}
}

// identity is what two answers to one request have in common: all of it,
// but for a record's view, which may have moved on.
func identity(body []byte) string {
	var r struct {
		ID      string `json:"id"`
		Initial string `json:"initial_password"`
		URL     string `json:"url"`
	}
	if json.Unmarshal(body, &r) == nil && r.ID != "" {
		return r.ID + r.Initial + r.URL
	}
	return string(body)
}

func TestRepeatedUploadIsOneFile(t *testing.T) {
	w := theWorld(t)
	id := w.create(duty, "event", "report", map[string]any{"title": "带附件", "type": "01", "village": village})
	headers := map[string]string{"Content-Type": "text/plain", "Idempotency-Key": "the-same-upload"}
	for range 2 {
		status, body := w.clients[duty].with("PUT", "/records/"+id+"/files?name=a.txt", "同一份内容", headers)
		var r api.Record
		if err := json.Unmarshal(body, &r); err != nil || status != 200 || len(r.Files) != 1 {
			t.Fatalf("%d %s", status, body)
		}
	}
	if status, body := w.clients[duty].with("PUT", "/records/"+id+"/files?name=a.txt", "另一份内容", headers); status != 422 || code(body) != "idempotency_mismatch" {
		t.Errorf("%d %s", status, body)
	}
}

// TestDocumentDescribesEveryWrite so that clients know what to send.
func TestDocumentDescribesEveryWrite(t *testing.T) {
	w := theWorld(t)
	var doc struct {
		Paths map[string]map[string]struct {
			Permission string `json:"x-permission"`
			Repeat     string `json:"x-repeat"`
			Parameters []struct{ Name, In string }
			Responses  map[string]any
		}
	}
	res, err := http.Get(w.server.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			has := func(name string) bool {
				return slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.Name == name && p.In == "header" })
			}
			if write := method != "get"; write != (op.Repeat != "") || write != has("Idempotency-Key") || write && op.Permission != "none" != has("X-CSRF-Token") {
				t.Errorf("%s %s: repeat %q, parameters %+v", method, path, op.Repeat, op.Parameters)
			}
			if op.Permission == "" || op.Responses["default"] == nil {
				t.Errorf("%s %s: no permission or no problem described", method, path)
			}
		}
	}
}

// TestHeaders stand on every answer, whatever it is.
func TestHeaders(t *testing.T) {
	w := theWorld(t)
	for _, path := range []string{"/", "/livez", "/readyz", "/openapi.json", "/api/v1/box", "/api/v1/session", "/api/v1/nothing", "/assets/none.js"} {
		res, err := http.Get(w.server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		h := res.Header
		policy := h.Get("Content-Security-Policy")
		for _, must := range []string{"default-src 'self'", "script-src 'self'", "object-src 'none'", "base-uri 'self'", "frame-ancestors 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, must) {
				t.Errorf("%s: policy %q lacks %s", path, policy, must)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
			t.Errorf("%s: policy %q", path, policy)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s %q", path, name, h.Get(name))
			}
		}
		if h.Get("X-Request-ID") == "" || h.Get("Server") != "" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

// TestCookies are out of reach of scripts and other sites.
func TestCookies(t *testing.T) {
	w := theWorld(t)
	c := &client{T: t, server: w.server, http: &http.Client{}}
	res := c.send("POST", "/session", map[string]any{"username": leader, "password": password}, nil)
	defer res.Body.Close()
	if len(res.Cookies()) != 2 {
		t.Fatalf("%v", res.Cookies())
	}
	for _, k := range res.Cookies() {
		if !k.HttpOnly || k.SameSite != http.SameSiteStrictMode || k.MaxAge <= 0 || len(k.Value) < 26 {
			t.Errorf("%+v", k)
		}
	}
}

// TestLivenessAndReadiness in lines that people and programs read.
func TestLivenessAndReadiness(t *testing.T) {
	w := theWorld(t)
	get := func(path string) (int, string) {
		res, err := http.Get(w.server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	if status, body := get("/livez"); status != 200 || body != "ok\n" {
		t.Errorf("%d %q", status, body)
	}
	status, body := get("/readyz")
	line := regexp.MustCompile(`^\[[+-]\][a-z_]+ .+$`)
	for l := range strings.Lines(body) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("line %q", l)
		}
	}
	for _, must := range []string{"[+]journal ", "[+]store ", "[-]county "} {
		if !strings.Contains(body, must) {
			t.Errorf("%q lacks %s", body, must)
		}
	}
	if status != 200 {
		t.Errorf("a box that works alone is not ready: %d", status)
	}
}

// TestMetrics have the names, help and types that Prometheus asks for, and
// no label that a client can make up.
func TestMetrics(t *testing.T) {
	w := theWorld(t)
	for _, method := range []string{"MADEUP", "OTHER"} {
		req, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+"/made/up", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	res, err := http.Get(w.server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%d %v", res.StatusCode, err)
	}
	problems, err := promlint.New(strings.NewReader(string(body))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "fengqiao_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, must := range []string{"# HELP fengqiao_http_requests_total ", "# TYPE fengqiao_http_requests_total counter", "# TYPE fengqiao_http_request_duration_seconds histogram",
		"fengqiao_records ", "fengqiao_disk_free_bytes ", "fengqiao_memory_available_bytes ", "fengqiao_load1 ", "process_resident_memory_bytes ", `route="/api/v1/records"`} {
		if !strings.Contains(string(body), must) {
			t.Errorf("no %s", must)
		}
	}
	for _, o := range w.objects {
		if strings.Contains(string(body), o.id) || strings.Contains(string(body), "MADEUP") {
			t.Fatal("a label is made by clients")
		}
	}
}

// TestCutBody: a body that does not come whole is the sender's mistake, not
// a failure of the box.
func TestCutBody(t *testing.T) {
	w := theWorld(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := w.clients[duty]
	cookie := ""
	for _, k := range c.http.Jar.Cookies(nil) {
		cookie += k.Name + "=" + k.Value + "; "
	}
	request := "POST /api/v1/records HTTP/1.1\r\nHost: x\r\nCookie: " + cookie + "\r\nX-CSRF-Token: " + c.csrf + "\r\nIdempotency-Key: cut-body-1\r\nContent-Length: 100\r\n\r\n{\"kind\":"
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), "400 Bad Request") || !strings.Contains(string(answer), "body_cut") {
		t.Fatalf("%s %v", answer, err)
	}
}

// TestSetupOnce: the wizard works with the terminal's code alone, and after
// it never again.
func TestSetupOnce(t *testing.T) {
	w := theWorld(t)
	stranger := &client{T: t, server: w.server, http: &http.Client{}}
	admin := func(role string) map[string]any {
		return map[string]any{"role": role, "username": role + "9", "name": "某", "password": password}
	}
	body := map[string]any{"code": "AAAABBBB", "organisation": "330681110", "name": "赵家镇", "time_checked": true, "time_source": "own", "admins": []any{admin(system), admin(security), admin(auditor)}}
	if status, answer := stranger.do("POST", "/setup", body); status != http.StatusConflict {
		t.Errorf("founded again: %d %s", status, answer)
	}
	if testing.Short() {
		return
	}
	own := makeFresh(t, filepath.Join(t.TempDir(), "fresh"))
	for range 7 {
		if status, answer := own.do("POST", "/setup", body); status != http.StatusForbidden || code(answer) != "bad_setup_code" {
			t.Fatalf("with a wrong code: %d %s", status, answer)
		}
	}
	body["admins"] = []any{admin(system), admin(system), admin(auditor)}
	if status, answer := own.do("POST", "/setup", body); status != 422 {
		t.Errorf("with two of a kind: %d %s", status, answer)
	}
	if status, answer := own.do("POST", "/session", map[string]any{"username": "x", "password": "y"}); status != 401 && status != 503 {
		t.Errorf("signing in before: %d %s", status, answer)
	}
}

// TestTwoOfficers on one record: the second is told what the first did, and
// repeats on what stands now.
func TestTwoOfficers(t *testing.T) {
	w := theWorld(t)
	id := w.create(cadre, "event", "report", map[string]any{"title": "两人同时办", "type": "01", "village": village})
	var page api.Record
	w.clients[duty].want(200, "GET", "/records/"+id, nil, &page)
	amend := func(n int, seen string) map[string]any {
		return map[string]any{"seen": seen, "fields": map[string]any{"people_count": n}, "inputs": map[string]any{"reason": "typo"}}
	}
	w.clients[duty].want(200, "POST", "/records/"+id+"/steps/amend", amend(3, page.Version), nil)
	second := w.signIn(duty)
	status, body := second.do("POST", "/records/"+id+"/steps/amend", amend(5, page.Version))
	var p api.Problem
	if err := json.Unmarshal(body, &p); err != nil || status != 409 || p.Code != "changed_meanwhile" {
		t.Fatalf("%d %s", status, body)
	}
	if len(p.Changes) != 1 || p.Changes[0].Step != "amend" || len(p.Changes[0].Changed) != 1 || p.Changes[0].Changed[0].Path != "people_count" || p.Version == page.Version {
		t.Errorf("the second is not told what happened: %+v", p.Changes)
	}
	var after api.Record
	second.want(200, "POST", "/records/"+id+"/steps/amend", amend(5, p.Version), &after)
	if n := after.Fields["people_count"].V; n != float64(5) {
		t.Errorf("people_count %v", n)
	}
}

// TestSessionEndsInALongForm: the answer says so, and the same request with
// the same key goes through after signing in again, once.
func TestSessionEndsInALongForm(t *testing.T) {
	w := theWorld(t)
	c := w.signIn(leader)
	form := map[string]any{"kind": "event", "fields": map[string]any{"title": "写了很久的表", "type": "01", "village": village}}
	key := map[string]string{"Idempotency-Key": "a-long-form-1"}
	c.want(204, "DELETE", "/session", nil, nil)
	if status, body := c.with("POST", "/records", form, key); status != 401 || code(body) != "session_expired" {
		t.Fatalf("%d %s", status, body)
	}
	again := w.signIn(leader)
	status, first := again.with("POST", "/records", form, key)
	_, second := again.with("POST", "/records", form, key)
	if status != 201 || identity(first) != identity(second) {
		t.Fatalf("%d %s / %s", status, first, second)
	}
}

// TestSignInLocks a place after wrong passwords, says for how long, and
// leaves the browser that its person uses alone.
func TestSignInLocks(t *testing.T) {
	w := theWorld(t)
	desk := w.clients["officer2"]
	try := func(c *client, password string) (int, string, string) {
		res := c.send("POST", "/session", map[string]any{"username": "officer2", "password": password}, nil)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, code(body), res.Header.Get("Retry-After")
	}
	stranger := &client{T: t, server: w.server, http: &http.Client{Jar: &jar{}}}
	for range 5 {
		if status, what, _ := try(stranger, "wrong-password"); status != 401 || what != "bad_credentials" {
			t.Fatalf("%d %s", status, what)
		}
	}
	if status, what, wait := try(stranger, password); status != 429 || what != "locked" || wait != "900" {
		t.Errorf("after five: %d %s, retry after %q", status, what, wait)
	}
	if status, what, _ := try(desk, password); status != 200 {
		t.Errorf("the person's own browser: %d %s", status, what)
	}
}

// TestFirstPassword opens nothing but its own change.
func TestFirstPassword(t *testing.T) {
	w := theWorld(t)
	var made api.Account
	w.clients[security].want(201, "POST", "/accounts", map[string]any{"username": "firsttime", "name": "新同事", "grants": []map[string]any{{"role": duty, "organisation": township}}}, &made)
	c := &client{T: t, server: w.server, http: &http.Client{Jar: &jar{}}}
	var s api.Session
	c.want(200, "POST", "/session", map[string]any{"username": "firsttime", "password": made.Initial}, &s)
	c.csrf = s.CSRF
	if status, body := c.do("GET", "/records", nil); status != 403 || code(body) != "password_change_required" {
		t.Errorf("%d %s", status, body)
	}
	for wrong, what := range map[string]string{"short1": "weak_password", "allletters": "weak_password", "firsttime-9": "weak_password", made.Initial: "weak_password"} {
		if status, body := c.do("POST", "/session/password", map[string]any{"old": made.Initial, "new": wrong}); status != 422 || code(body) != what {
			t.Errorf("%s: %d %s", wrong, status, body)
		}
	}
	if status, body := c.do("POST", "/session/password", map[string]any{"old": "not-it-1", "new": password}); status != 422 || code(body) != "bad_password" {
		t.Errorf("%d %s", status, body)
	}
	c.want(204, "POST", "/session/password", map[string]any{"old": made.Initial, "new": password}, nil)
	c.want(200, "GET", "/records", nil, nil)
	w.clients[security].want(200, "POST", "/accounts/"+made.ID+"/disable", nil, nil)
	if status, body := c.do("GET", "/records", nil); status != 401 {
		t.Errorf("a disabled account goes on: %d %s", status, body)
	}
}

// TestCursor walks a list in small pages: everything once, nothing twice.
func TestCursor(t *testing.T) {
	w := theWorld(t)
	var whole api.RecordPage
	w.clients[leader].want(200, "GET", "/records?kind=event,petition,mediation&limit=200", nil, &whole)
	seen := map[string]bool{}
	cursor := ""
	for {
		var page api.RecordPage
		w.clients[leader].want(200, "GET", "/records?kind=event,petition,mediation&limit=3&cursor="+cursor, nil, &page)
		for _, r := range page.Items {
			if seen[r.ID] {
				t.Errorf("%s comes twice", r.ID)
			}
			seen[r.ID] = true
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(seen) != len(whole.Items) || len(seen) < 10 {
		t.Errorf("%d in pages, %d at once", len(seen), len(whole.Items))
	}
}

// TestSettingsByStep: steps on records of accounts pass the security
// administrator alone, and the audit administrator changes nothing at all.
func TestSettingsByStep(t *testing.T) {
	w := theWorld(t)
	account := w.clients["cadre2"].user
	for _, step := range []string{"amend", "grant", "disable", "lock", "note"} {
		for _, role := range everyone {
			status, body := w.clients[role].do("POST", "/records/"+account+"/steps/"+step, map[string]any{"inputs": map[string]any{"no_such_input": 1}})
			want := http.StatusNotFound
			switch role {
			case security:
				want = http.StatusUnprocessableEntity
			case system:
				want = http.StatusForbidden
			}
			if status != want {
				t.Errorf("%s of an account as %s: %d, want %d: %.300s", step, role, status, want, body)
			}
		}
	}
	for _, o := range w.objects {
		for _, step := range []string{"note", "amend", "accept", "erase", "acknowledge"} {
			if status, body := w.clients[auditor].do("POST", "/records/"+o.id+"/steps/"+step, map[string]any{"note": "x"}); status != http.StatusNotFound {
				t.Errorf("the auditor takes %s: %d %s", step, status, body)
			}
		}
	}
}

// TestAddresses: figures are for this machine alone, and a client of IPv6
// is its network, since it has as many addresses as it likes.
func TestAddresses(t *testing.T) {
	w := theWorld(t)
	from := func(address, method, path, body string) *httptest.ResponseRecorder {
		req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		req.RemoteAddr = address
		req.Header.Set("Idempotency-Key", "the-key-of-an-address")
		out := httptest.NewRecorder()
		w.node.Handler().ServeHTTP(out, req)
		return out
	}
	for address, want := range map[string]int{"127.0.0.1:9": 200, "[::1]:9": 200, "10.0.0.9:99": 404, "[2001:db8::1]:9": 404} {
		if got := from(address, "GET", "/metrics", "").Code; got != want {
			t.Errorf("metrics for %s: %d, want %d", address, got, want)
		}
	}
	for i := range 5 {
		from(fmt.Sprintf("[2001:db8::%d]:999", i+1), "POST", "/api/v1/session", `{"username":"mediator2","password":"wrong-one"}`)
	}
	for address, want := range map[string]int{"[2001:db8::99]:999": 429, "[2001:db8:0:1::1]:9": 200} {
		if got := from(address, "POST", "/api/v1/session", `{"username":"mediator2","password":"`+password+`"}`).Code; got != want {
			t.Errorf("signing in from %s: %d, want %d", address, got, want)
		}
	}
}
