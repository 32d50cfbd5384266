package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/node/api"
)

// TestBadInput: every wrong request gets a stable code, a sentence that
// says what to do in the asker's language, and where in the body it is.
func TestBadInput(t *testing.T) {
	w := theWorld(t)
	desk := w.clients[duty]
	record := w.create(duty, "event", "report", map[string]any{"title": "待核", "type": "01", "village": village})
	good := func(more ...any) map[string]any {
		f := map[string]any{"title": "事", "type": "01", "village": village}
		for i := 0; i < len(more); i += 2 {
			f[more[i].(string)] = more[i+1]
		}
		return f
	}
	report := func(fields map[string]any) map[string]any { return map[string]any{"kind": "event", "fields": fields} }
	days := 24 * time.Hour.Milliseconds()
	for name, c := range map[string]struct {
		method, path string
		body         any
		headers      map[string]string
		status       int
		code         string
		pointer      string
	}{
		"no key":                  {"POST", "/records", report(good()), map[string]string{"Idempotency-Key": ""}, 400, "idempotency_key_required", ""},
		"a short key":             {"POST", "/records", report(good()), map[string]string{"Idempotency-Key": "1234567"}, 400, "idempotency_key_required", ""},
		"a key of other signs":    {"POST", "/records", report(good()), map[string]string{"Idempotency-Key": "1234567 890"}, 400, "idempotency_key_required", ""},
		"no token":                {"POST", "/records", report(good()), map[string]string{"X-CSRF-Token": ""}, 403, "csrf", ""},
		"another's token":         {"POST", "/records", report(good()), map[string]string{"X-CSRF-Token": w.clients[leader].csrf}, 403, "csrf", ""},
		"another site":            {"POST", "/records", report(good()), map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, "cross_origin", ""},
		"another origin":          {"POST", "/records", report(good()), map[string]string{"Origin": "http://evil.example"}, 403, "cross_origin", ""},
		"unknown property":        {"POST", "/records", map[string]any{"kind": "event", "fields": good(), "extra/1": 1}, nil, 422, "invalid_input", "/extra~11"},
		"unknown field":           {"POST", "/records", report(good("no_such", 1)), nil, 422, "invalid_input", "/fields/no_such"},
		"unknown item":            {"POST", "/records", report(good("people/0/shoe", "44")), nil, 422, "invalid_input", "/fields/people~10~1shoe"},
		"unknown kind":            {"POST", "/records", map[string]any{"kind": "dragon", "fields": good()}, nil, 404, "unknown_kind", ""},
		"no fields":               {"POST", "/records", map[string]any{"kind": "event"}, nil, 422, "invalid_input", "/fields"},
		"over-long title":         {"POST", "/records", report(good("title", strings.Repeat("长", 3000))), nil, 422, "invalid_input", "/fields/title"},
		"over-long text":          {"POST", "/records", report(good("content", strings.Repeat("长", 20000))), nil, 422, "invalid_input", "/fields/content"},
		"over-long note":          {"POST", "/records/" + record + "/steps/note", map[string]any{"note": strings.Repeat("长", 9000)}, nil, 422, "invalid_input", "/note"},
		"control characters":      {"POST", "/records", report(good("title", "a\x00b")), nil, 422, "invalid_input", "/fields/title"},
		"wrong type":              {"POST", "/records", report(good("title", 5)), nil, 422, "invalid_input", "/fields/title"},
		"a date of 1900":          {"POST", "/records", report(good("occurred_at", -2208988800000)), nil, 422, "invalid_input", "/fields/occurred_at"},
		"a future date":           {"POST", "/records", report(good("occurred_at", time.Now().UnixMilli()+3*days)), nil, 422, "invalid_input", "/fields/occurred_at"},
		"a foreign organisation":  {"POST", "/records", report(good("village", "110101001001")), nil, 422, "invalid_input", "/fields/village"},
		"dispatch to elsewhere":   {"POST", "/records/" + record + "/steps/dispatch", map[string]any{"inputs": map[string]any{"to": far}}, nil, 409, "", ""},
		"a number beyond reason":  {"POST", "/records", `{"kind":"event","fields":{"people_count":1e999}}`, nil, 400, "bad_json", ""},
		"a number that costs":     {"POST", "/wall/beat", `{"fps":1e999999,"heap":1,"audio":"","version":"","layout":""}`, nil, 400, "bad_json", ""},
		"double key":              {"POST", "/records", `{"kind":"event","kind":"mediation","fields":{}}`, nil, 400, "bad_json", ""},
		"double key in fields":    {"POST", "/records", `{"kind":"event","fields":{"title":"a","title":"b"}}`, nil, 400, "bad_json", ""},
		"key in other case":       {"POST", "/records", `{"kind":"event","Kind":"mediation","fields":{}}`, nil, 422, "invalid_input", "/Kind"},
		"not JSON":                {"POST", "/records", `{"kind":`, nil, 400, "bad_json", ""},
		"more follows":            {"POST", "/records", `{"kind":"event","fields":{}} {}`, nil, 400, "bad_json", ""},
		"nested too deeply":       {"POST", "/records", `{"kind":"event","fields":{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}`, nil, 400, "bad_json", ""},
		"nested a million deep":   {"POST", "/records", strings.Repeat("[", 1<<19), nil, 400, "bad_json", ""},
		"no body":                 {"POST", "/records", nil, nil, 400, "bad_json", ""},
		"huge body":               {"POST", "/records", `{"kind":"` + strings.Repeat("x", 2<<20) + `"}`, nil, 413, "body_too_large", ""},
		"huge list of roles":      {"POST", "/similar", map[string]any{"kind": strings.Repeat("x", 65), "fields": good()}, nil, 422, "invalid_input", "/kind"},
		"a page":                  {"PUT", "/records/" + record + "/files?name=a.html", "<html><script>", map[string]string{"Content-Type": "text/html"}, 422, "invalid_input", ""},
		"a page as a picture":     {"PUT", "/records/" + record + "/files?name=a.png", "<html><script>alert(1)</script>", map[string]string{"Content-Type": "image/png"}, 422, "invalid_input", ""},
		"a page as text":          {"PUT", "/records/" + record + "/files?name=a.txt", "<!DOCTYPE html><script>alert(1)</script>", map[string]string{"Content-Type": "text/plain"}, 422, "invalid_input", ""},
		"a drawing with scripts":  {"PUT", "/records/" + record + "/files?name=a.svg", `<svg xmlns="http://www.w3.org/2000/svg">`, map[string]string{"Content-Type": "image/svg+xml"}, 422, "invalid_input", ""},
		"a program as a film":     {"PUT", "/records/" + record + "/files?name=a.mp4", "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff", map[string]string{"Content-Type": "video/mp4"}, 422, "invalid_input", ""},
		"a program as a document": {"PUT", "/records/" + record + "/files?name=a.doc", "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00", map[string]string{"Content-Type": "application/msword"}, 422, "invalid_input", ""},
		"no media type":           {"PUT", "/records/" + record + "/files?name=a.png", "x", map[string]string{"Content-Type": ""}, 422, "invalid_input", ""},
		"empty file":              {"PUT", "/records/" + record + "/files?name=a.png", "", map[string]string{"Content-Type": "image/png"}, 422, "invalid_input", ""},
		"file without a name":     {"PUT", "/records/" + record + "/files", "x", map[string]string{"Content-Type": "text/plain"}, 422, "invalid_input", ""},
		"name without an end":     {"PUT", "/records/" + record + "/files?name=" + strings.Repeat("n", 500), "x", map[string]string{"Content-Type": "text/plain"}, 422, "invalid_input", ""},
		"no such step":            {"POST", "/records/" + record + "/steps/fly", map[string]any{}, nil, 404, "not_found", ""},
		"forbidden transition":    {"POST", "/records/" + record + "/steps/close", map[string]any{}, nil, 409, "not_in_this_state", ""},
		"a version of nothing":    {"POST", "/records/" + record + "/steps/accept", map[string]any{"seen": "nonsense"}, nil, 422, "invalid_input", "/seen"},
		"since nothing":           {"GET", "/records/" + record + "/changes", nil, nil, 422, "invalid_input", ""},
		"a cursor of nothing":     {"GET", "/records?cursor=%21", nil, nil, 422, "invalid_input", ""},
		"a limit without an end":  {"GET", "/records?limit=100000000", nil, nil, 422, "invalid_input", ""},
		"a limit of words":        {"GET", "/records?limit=ten", nil, nil, 422, "invalid_input", ""},
		"a queue of nothing":      {"GET", "/records?queue=everything", nil, nil, 422, "invalid_input", ""},
		"kinds without an end":    {"GET", "/records?kind=" + strings.Repeat("a,", 300), nil, nil, 422, "invalid_input", ""},
		"a query without an end":  {"GET", "/search?q=" + strings.Repeat("长", 500), nil, nil, 422, "invalid_input", ""},
		"a condition twice":       {"GET", "/records?state=a&state=b", nil, nil, 422, "invalid_input", ""},
		"broken text":             {"GET", "/records?state=%ff", nil, nil, 422, "invalid_input", ""},
		"no such page":            {"GET", "/nothing", nil, nil, 404, "no_such_address", ""},
		"no such method":          {"PATCH", "/records", nil, nil, 405, "no_such_address", ""},
		"no record":               {"GET", "/records/x", nil, nil, 404, "not_found", ""},
	} {
		for lang, accept := range map[string]string{"zh": "zh-CN,zh", "en": "en-GB,en"} {
			headers := map[string]string{"Accept-Language": accept}
			for k, v := range c.headers {
				headers[k] = v
			}
			res := desk.send(c.method, c.path, c.body, headers)
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			var p api.Problem
			if err != nil || json.Unmarshal(body, &p) != nil {
				t.Errorf("%s: no problem: %d %s %v", name, res.StatusCode, body, err)
				continue
			}
			if res.StatusCode != c.status || c.code != "" && p.Code != c.code {
				t.Errorf("%s: %d %s, want %d %s: %s", name, res.StatusCode, p.Code, c.status, c.code, body)
			}
			if res.Header.Get("Content-Type") != "application/problem+json" || p.Status != c.status || p.RequestID == "" || p.Type == "" {
				t.Errorf("%s: no RFC 9457 problem: %s", name, body)
			}
			sentences := []string{p.Title, p.Detail}
			for _, f := range p.Errors {
				sentences = append(sentences, f.Message)
			}
			for _, s := range sentences {
				if s == "" || isChinese(s) != (lang == "zh") {
					t.Errorf("%s in %s: %q", name, lang, s)
				}
			}
			if c.pointer != "" && !slices.ContainsFunc(p.Errors, func(f api.FieldProblem) bool { return f.Pointer == c.pointer }) {
				t.Errorf("%s points to %+v, want %s", name, p.Errors, c.pointer)
			}
		}
	}
}

func isChinese(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0x4e00 && r <= 0x9fff })
}

// permittedRole is somebody who may use a route.
func permittedRole(route string) string {
	if roles, ok := permitted[route]; ok {
		return roles[len(roles)-1]
	}
	return duty
}

// TestNoBodyBreaksARoute sends every route, as a role that may use it, what
// no client would send. Nothing is answered by a failure of the box.
func TestNoBodyBreaksARoute(t *testing.T) {
	w := theWorld(t)
	long := strings.Repeat("长", 200_000)
	bodies := map[string]string{
		"nothing": "", "binary": "\x00\xff\xfe\x80\x01\x02", "UTF-16": "\xff\xfea\x00b\x00", "null": "null", "a number": "7", "a word": `"x"`, "a list": "[]", "an object": "{}",
		"a table without rows": "编号,名称\n", "quotes": `"""`, "commas": ",,,,\n,,,", "a long line": strings.Repeat("a,", 50_000), "long": `{"x":"` + long + `"}`, "an archive": "PK\x03\x04" + long[:100], "a NUL": "code,name\n\x00,\x00",
	}
	for _, route := range w.routes() {
		method, path, _ := strings.Cut(route, " ")
		role := permittedRole(route)
		for id, o := range map[string]string{"a record": w.objects["the village's event"].id, "nothing": "nothing", "binary": "%00%ff", "long": strings.Repeat("x", 2000)} {
			for what, body := range bodies {
				if id != "a record" && what != "an object" && what != "nothing" || method == "GET" && body != "" {
					continue
				}
				c := w.clients[role]
				if strings.Contains(route, "/session") {
					c = &client{T: t, server: w.server, http: &http.Client{}}
				}
				address := strings.NewReplacer(":id", o, ":step", "note", ":hash", "00", ":paper", "sheet").Replace(path)
				status, answer := c.with(method, address, strings.NewReader(body), nil)
				if status >= 500 {
					t.Errorf("%s of %s as %s with %s: %d %.300s", route, id, role, what, status, answer)
				}
			}
		}
		w.mistyped(route, method, path, role)
	}
}

// mistyped sends every property of the described body with every other type.
func (w *world) mistyped(route, method, path, role string) {
	schema := w.schemaOf(route)
	address := strings.NewReplacer(":id", w.objects["the village's event"].id, ":step", "note").Replace(path)
	for name := range schema {
		for _, v := range []any{nil, 0, -1, 1.5, 1 << 52, true, "", "x", strings.Repeat("长", 5000), []any{}, []any{nil}, []any{1, "x"}, map[string]any{}, map[string]any{"": nil}, map[string]any{"title": map[string]any{}}} {
			body := map[string]any{name: v}
			if schema["fields"] != nil {
				body["kind"], body["fields"] = "event", map[string]any{}
				body[name] = v
			}
			if strings.Contains(route, "/session") {
				continue
			}
			if status, answer := w.clients[role].do(method, address, body); status >= 500 {
				w.Errorf("%s as %s with %v: %d %.300s", route, role, body, status, answer)
			}
		}
	}
	// Every field of every kind with values that are not its.
	if route != "POST /records" {
		return
	}
	var catalogue struct {
		Kinds []struct {
			ID     string `json:"id"`
			Fields []struct {
				Key    string                 `json:"key"`
				Fields []struct{ Key string } `json:"fields"`
			} `json:"fields"`
		} `json:"kinds"`
	}
	w.clients[duty].want(200, "GET", "/catalogue", nil, &catalogue)
	for _, k := range catalogue.Kinds {
		for _, f := range k.Fields {
			paths := []string{f.Key, f.Key + "/0", f.Key + "/lng"}
			for _, sub := range f.Fields {
				paths = append(paths, f.Key+"/999/"+sub.Key)
			}
			for _, p := range paths {
				for _, v := range []any{-1.5, true, []any{"a", 1}, map[string]any{"lng": "x"}} {
					if status, answer := w.clients[duty].do(method, path, map[string]any{"kind": k.ID, "fields": map[string]any{p: v}}); status >= 500 {
						w.Errorf("%s %s=%v: %d %.300s", k.ID, p, v, status, answer)
					}
				}
			}
		}
	}
}

// schemaOf gives the properties of a route's described body.
func (w *world) schemaOf(route string) map[string]any {
	w.Helper()
	method, path, _ := strings.Cut(route, " ")
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					} `json:"schema"`
				} `json:"content"`
			} `json:"requestBody"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	res, err := http.Get(w.server.URL + "/openapi.json")
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
		w.Fatal(err)
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, ":") {
			parts[i] = "{" + p[1:] + "}"
		}
	}
	content := doc.Paths[strings.Join(parts, "/")][strings.ToLower(method)].RequestBody.Content["application/json"]
	return doc.Components.Schemas[strings.TrimPrefix(content.Schema.Ref, "#/components/schemas/")].Properties
}

// TestLargeUploadIsRefusedUnread: 200 MB are refused by their length, and
// cut at the limit when they do not name one.
func TestLargeUploadIsRefusedUnread(t *testing.T) {
	w := theWorld(t)
	desk := w.clients[duty]
	for _, sized := range []bool{true, false} {
		body := &counting{Reader: io.LimitReader(zeros{}, 200<<20)}
		req, err := http.NewRequestWithContext(t.Context(), "PUT", w.server.URL+"/api/v1/records/"+w.objects["the village's event"].id+"/files?name=a.mp4", body)
		if err != nil {
			t.Fatal(err)
		}
		if sized {
			req.ContentLength = 200 << 20
		}
		req.Header.Set("Content-Type", "text/plain")
		req.Header.Set("Idempotency-Key", fmt.Sprintf("large-upload-%v", sized))
		req.Header.Set("X-CSRF-Token", desk.csrf)
		res, err := desk.http.Do(req)
		if err == nil {
			if res.StatusCode != 413 && res.StatusCode != 422 {
				t.Errorf("sized %v: %d", sized, res.StatusCode)
			}
			res.Body.Close()
		}
		if n := body.n.Load(); n > 80<<20 {
			t.Errorf("sized %v: %d MB were taken", sized, n>>20)
		}
	}
}

// counting knows how much of it was read.
type counting struct {
	io.Reader
	n atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// TestImportRefusals: old lists in every wrong form get a sentence that
// names what is wrong with them.
func TestImportRefusals(t *testing.T) {
	w := theWorld(t)
	for name, c := range map[string]struct{ file, body, code string }{
		"UTF-16":            {"a.csv", "\xff\xfe\x16\x7f\xf7\x53,\x00", "utf16"},
		"a picture":         {"a.csv", "\x89PNG\r\n\x1a\n" + strings.Repeat("\x00", 100), ""},
		"an empty file":     {"a.csv", "", ""},
		"a broken workbook": {"a.xlsx", "PK\x03\x04broken", ""},
		"an old workbook":   {"a.xls", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 512), ""},
	} {
		status, body := w.clients[duty].do("POST", "/imports?kind=event&name="+c.file, c.body)
		var p api.Problem
		if err := json.Unmarshal(body, &p); err != nil || status != 422 || len(p.Errors) == 0 || !isChinese(p.Errors[0].Message) || c.code != "" && p.Errors[0].Code != c.code {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, body := w.clients[duty].do("POST", "/imports?kind=event&name=a.csv", strings.NewReader(strings.Repeat("x", 33<<20))); status != 413 || code(body) != "file_too_large" {
		t.Errorf("33 MB: %d %s", status, body)
	}
	// GBK is read, and a formula stays text.
	gbk := "\xca\xc2\xbc\xfe\xc3\xfb\xb3\xc6\n=cmd|' /C calc'!A0\n" // 事件名称
	var job api.Import
	w.clients[duty].want(201, "POST", "/imports?kind=event&name=gbk.csv", gbk, &job)
	if len(job.Columns) != 1 || job.Columns[0].Header != "事件名称" || job.Columns[0].Field != "title" {
		t.Errorf("GBK: %+v", job.Columns)
	}
}

// TestDivisionsAndCalendarUnderRights: both are written under the rights of
// who sends them, and stand in the audit.
func TestDivisionsAndCalendarUnderRights(t *testing.T) {
	w := theWorld(t)
	list := "code,name,level,parent,lng,lat,source\n330681,诸暨市,county,3306,,,\n330681112,五泄镇,township,330681,,,\n"
	year := `{"year":2027,"papers":["国办发明电〔2026〕1号"],"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true}]}`
	for _, role := range []string{duty, leader, security, auditor} {
		for path, body := range map[string]string{"/divisions": list, "/calendar": year} {
			if status, answer := w.clients[role].do("POST", path, body); status != http.StatusForbidden {
				t.Errorf("%s by %s: %d %s", path, role, status, answer)
			}
		}
	}
	var counts api.DivisionCounts
	w.clients[system].want(200, "POST", "/divisions", list, &counts)
	if counts.New != 1 {
		t.Errorf("%+v", counts)
	}
	var years api.CalendarList
	w.clients[system].want(200, "POST", "/calendar", year, &years)
	if len(years.Items) != 1 || years.Items[0].Year != 2027 {
		t.Errorf("%+v", years)
	}
	for _, action := range []string{"import_divisions", "import_calendar"} {
		var log api.AuditPage
		w.clients[auditor].want(200, "GET", "/audit?action="+action, nil, &log)
		if len(log.Items) != 1 || log.Items[0].Actor != w.clients[system].user || log.Items[0].Result != "ok" {
			t.Errorf("%s: %+v", action, log.Items)
		}
	}
}

// TestAttachmentIsServedAsAFile: never shown in place, whatever it is.
func TestAttachmentIsServedAsAFile(t *testing.T) {
	w := theWorld(t)
	o := w.objects["the grid's event"]
	res := w.clients[duty].send("GET", "/records/"+o.id+"/files/"+o.file, nil, nil)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Contains(body, []byte(o.word)) {
		t.Fatalf("%q %v", body, err)
	}
	if d := res.Header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment; filename*=UTF-8''") {
		t.Errorf("disposition %q", d)
	}
	if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", res.Header)
	}
}
