package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
)

// looks are the requests that list, count, find or suggest (I23): whatever
// they answer, nothing of an object that the asker may not see stands in it.
func looks() []string {
	q := url.QueryEscape
	out := []string{"/records", "/workbench", "/alarms", "/duty", "/duty/roster?from=1893000000000&to=1894000000000", "/drafts", "/people", "/organisations", "/catalogue",
		"/search?q=" + q("王小明"), "/search?q=" + q("王"), "/search?q=" + q("事件"), "/search?sort=time", "/search?kind=petition", "/search?village=" + village2}
	for _, queue := range []string{"mine", "incoming", "overdue", "reported", "copied", "unread", "assigned", "all"} {
		out = append(out, "/records?queue="+queue)
	}
	for _, kind := range []string{"event", "mediation", "petition", "notice", "shift", "account", "alarm", "import", "definition"} {
		out = append(out, "/records?kind="+kind, "/records?open=true&kind="+kind, "/records?village="+village2+"&kind="+kind)
	}
	return out
}

func TestIsolation(t *testing.T) {
	w := theWorld(t)
	w.indexed()
	for _, role := range everyone {
		t.Run(role, func(t *testing.T) { w.isolated(t, role) })
	}
}

// indexed waits until the index has every object.
func (w *world) indexed() {
	w.Helper()
	eventually(w.T, "the index", func() bool {
		var found api.SearchResult
		w.clients[leader].want(200, "GET", "/search?sort=time", nil, &found)
		return found.IndexedTo >= found.Head && !found.Rebuilding
	})
}

func (w *world) isolated(t *testing.T, role string) {
	c := *w.clients[role]
	c.T = t
	answers := map[string]string{}
	for _, path := range looks() {
		status, body := c.do("GET", path, nil)
		if status != http.StatusOK && status != http.StatusForbidden {
			t.Fatalf("%s: %d %s", path, status, body)
		}
		answers[path] = string(body)
	}
	for name, o := range w.objects {
		sees := slices.Contains(o.seen(), role)
		for path, text := range answers {
			switch {
			case !sees && (strings.Contains(text, o.id) || strings.Contains(text, o.word)):
				t.Errorf("%s tells of %s", path, name)
			case strings.Contains(text, o.phone), strings.Contains(text, "王小明"):
				t.Errorf("%s shows a full value of %s", path, name)
			case sees && !slices.Contains(o.full, role) && !slices.Contains(o.text, role) && strings.Contains(text, o.word):
				t.Errorf("%s shows the text of %s, of which only codes may be seen", path, name)
			}
		}
		w.searched(t, &c, name, o, role)
		w.resembles(t, &c, name, o, role)
	}
	w.counted(t, &c, role)
}

// searched: a hit, a total, a facet and a number of a person only for those
// who may see the text, the number.
func (w *world) searched(t *testing.T, c *client, name string, o *object, role string) {
	if slices.Contains(admins, role) || o.word == "" {
		return
	}
	for query, may := range map[string]bool{
		string([]rune(o.word)[1:2]): slices.Contains(o.full, role) || slices.Contains(o.text, role),
		o.word:                      slices.Contains(o.full, role) || slices.Contains(o.text, role),
		o.phone:                     slices.Contains(o.full, role),
	} {
		var found api.SearchResult
		c.want(200, "GET", "/search?q="+url.QueryEscape(query), nil, &found)
		hit := slices.ContainsFunc(found.Items, func(h api.SearchHit) bool { return h.Row.ID == o.id })
		counted := found.Total
		for _, facet := range found.Facets {
			for _, f := range facet {
				counted = max(counted, f.Count)
			}
		}
		if !may && (hit || counted > 0) {
			t.Errorf("%q finds %s: %d hits, %d counted", query, name, len(found.Items), counted)
		}
		searchable := o.person != "" || o.openText
		if may && !hit && searchable && (query == o.word || o.person != "") && !strings.Contains(name, "shift") {
			t.Errorf("%q does not find %s", query, name)
		}
	}
}

// resembles: no hint at a case that is not the asker's, by title or number.
func (w *world) resembles(t *testing.T, c *client, name string, o *object, role string) {
	if slices.Contains(admins, role) || o.person == "" {
		return
	}
	group, _, _ := strings.Cut(o.person, "/")
	kind := map[string]string{"people": "event", "parties": "mediation", "petitioners": "petition"}[group]
	title := map[string]string{"event": "事件", "mediation": "纠纷", "petition": "信访"}[kind] + o.word
	for _, place := range []string{village, village2} {
		var s api.Similar
		c.want(200, "POST", "/similar", map[string]any{"kind": kind, "fields": map[string]any{"title": title, "village": place, group + "/0/phone": o.phone}}, &s)
		if slices.ContainsFunc(s.People, func(r api.RecordRow) bool { return r.ID == o.id }) && !slices.Contains(o.full, role) {
			t.Errorf("a number tells of %s", name)
		}
		if slices.ContainsFunc(s.Duplicates, func(d api.Duplicate) bool { return d.Row.ID == o.id }) && !slices.Contains(o.full, role) && !slices.Contains(o.text, role) {
			t.Errorf("a title tells of %s", name)
		}
	}
}

// counted: the number of a list is the number of what its reader sees.
func (w *world) counted(t *testing.T, c *client, role string) {
	if slices.Contains(admins, role) {
		return
	}
	seen := map[string]bool{}
	for _, o := range w.objects {
		if slices.Contains(o.seen(), role) {
			seen[o.id] = true
		}
	}
	var bench api.Workbench
	c.want(200, "GET", "/workbench", nil, &bench)
	for _, q := range bench.Queues {
		if q.Count > int64(len(q.Items)) && !q.More {
			t.Errorf("queue %s counts %d and shows %d", q.ID, q.Count, len(q.Items))
		}
	}
	if bench.Duty.LogOpen > 0 && !slices.Contains([]string{duty, leader, upper}, role) {
		t.Errorf("the open entries of the duty log are counted for %s", role)
	}
	if len(bench.Alarms) > 0 && !slices.Contains([]string{duty, leader, upper}, role) {
		t.Errorf("alarms ring with %s: %+v", role, bench.Alarms)
	}
}

// stream reads events of one's own stream.
type stream struct {
	t    *testing.T
	res  *http.Response
	in   *bufio.Reader
	last string // id of the newest event
}

func (c *client) listen(path, after string) *stream {
	c.Helper()
	headers := map[string]string{}
	if after != "" {
		headers["Last-Event-ID"] = after
	}
	res := c.send("GET", path, nil, headers)
	if res.StatusCode != 200 {
		body, _ := io.ReadAll(res.Body)
		c.Fatalf("%s: %d %s", path, res.StatusCode, body)
	}
	c.Cleanup(func() { res.Body.Close() })
	return &stream{t: c.T, res: res, in: bufio.NewReader(res.Body)}
}

// next gives the name and data of the next event.
func (s *stream) next() (name, data string, err error) {
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return "", "", err
		}
		switch key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); key {
		case "id":
			s.last = value
		case "event":
			name = value
		case "data":
			data = value
		case "":
			return name, data, nil
		}
	}
}

// until collects the records that the stream names up to one.
func (s *stream) until(id string) map[string]bool {
	s.t.Helper()
	heard := map[string]bool{}
	for {
		name, data, err := s.next()
		if err != nil {
			s.t.Fatalf("before %s came: %v", id, err)
		}
		var e struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			s.t.Fatal(err)
		}
		if name == "change" || name == "alarm" {
			heard[e.ID] = true
		}
		if e.ID == id {
			return heard
		}
	}
}

// TestStreamIsolation: a stream that resumes from the beginning names every
// object that its listener sees, no other, and then goes on living.
func TestStreamIsolation(t *testing.T) {
	w := theWorld(t)
	for _, role := range business {
		s := w.clients[role].listen("/events", "0")
		last := &object{word: "最后一件", phone: "13805710000"}
		switch role { // something that they see themselves
		case mediator, justice:
			last.id = mediation(role, committee, "none")(w, last)
		case petition:
			last.id = petitioned("claim")(w, last)
		case upper:
			last.id = event(role, "register", village)(w, last)
		default:
			last.id = event(role, "report", village)(w, last)
		}
		heard := s.until(last.id)
		for name, o := range w.objects {
			if sees := slices.Contains(o.seen(), role); sees != heard[o.id] {
				t.Errorf("%s hears of %s: %v, sees it: %v", role, name, heard[o.id], sees)
			}
		}
		s.res.Body.Close()
	}
}

// TestStreamResumes behind the last event that a page had, and begins anew
// where it cannot.
func TestStreamResumes(t *testing.T) {
	w := theWorld(t)
	c := w.clients[duty]
	first := w.create(duty, "event", "report", map[string]any{"title": "第一件", "type": "01", "village": village})
	s := c.listen("/events", "0")
	s.until(first)
	at := s.last
	s.res.Body.Close()
	second := w.create(duty, "event", "report", map[string]any{"title": "第二件", "type": "01", "village": village})
	heard := c.listen("/events", at).until(second)
	if heard[first] {
		t.Error("an event comes twice")
	}
	for _, after := range []string{"18446744073709551615", "99999999"} {
		s := c.listen("/events", after)
		for _, want := range []string{"hello", "reset"} {
			if name, data, err := s.next(); name != want || err != nil {
				t.Fatalf("after %s: %s %s %v", after, name, data, err)
			}
		}
	}
}

// TestStreamsAreCounted and end with their session.
func TestStreamsAreCounted(t *testing.T) {
	w := theWorld(t)
	c := w.signIn(leader)
	var open []*stream
	for range 8 {
		open = append(open, c.listen("/events", ""))
	}
	if status, body := c.do("GET", "/events", nil); status != http.StatusTooManyRequests || code(body) != "too_many_streams" {
		t.Errorf("a ninth stream: %d %s", status, body)
	}
	w.clients[duty].listen("/events", "") // others are not concerned
	open[0].res.Body.Close()
	eventually(t, "a place becomes free", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", w.server.URL+"/api/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.http.Do(req)
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == 200
	})
	c.want(204, "DELETE", "/session", nil, nil)
	w.create(duty, "event", "report", map[string]any{"title": "之后", "type": "01", "village": village})
	for {
		name, data, err := open[1].next()
		if err != nil {
			break // it ended with the session
		}
		if name == "change" {
			t.Fatalf("a stream outlives its session: %s", data)
		}
	}
}

// TestWallStreamNamesNoRecord, and no account, notice or import: a screen
// in a hall hears what moves the wall.
func TestWallStreamNamesNoRecord(t *testing.T) {
	w := theWorld(t)
	s := w.clients[duty].listen("/wall/events", "0")
	w.create(duty, "event", "report", map[string]any{"title": "上墙", "type": "01", "village": village})
	head := 0
	for {
		name, data, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range w.objects {
			if strings.Contains(data, o.id) {
				t.Fatalf("the wall hears %s", data)
			}
		}
		var e struct {
			Head, N int
			Kind    string
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatal(err)
		}
		if slices.Contains([]string{"account", "notice", "import", "definition", "duty_log"}, e.Kind) {
			t.Fatalf("the wall hears of %s", e.Kind)
		}
		if head = max(head, e.Head); name == "change" && e.N > head || name == "reset" {
			return
		}
	}
}

// TestForeignDraftsAndImports: what a person keeps on the box is theirs.
func TestForeignDraftsAndImports(t *testing.T) {
	w := theWorld(t)
	mine, other := w.clients[duty], w.clients[leader]
	mine.want(204, "PUT", "/drafts/draft-1", map[string]any{"form": "event", "data": map[string]any{"title": "草稿内容"}}, nil)
	var drafts api.DraftList
	other.want(200, "GET", "/drafts", nil, &drafts)
	if len(drafts.Items) > 0 {
		t.Errorf("another's draft is shown: %+v", drafts)
	}
	other.want(204, "DELETE", "/drafts/draft-1", nil, nil)
	mine.want(200, "GET", "/drafts", nil, &drafts)
	if len(drafts.Items) != 1 {
		t.Errorf("another deleted the draft: %+v", drafts)
	}
	mine.want(204, "DELETE", "/drafts/draft-1", nil, nil)

	var job api.Import
	mine.want(201, "POST", "/imports?kind=event&name=old.csv", "事件名称,事件大类,发生村（社区）\n旧事,民生服务,枫源村\n", &job)
	for method, path := range map[string]string{"POST": "/imports/" + job.ID + "/commit", "post": "/imports/" + job.ID + "/undo", "GET": "/imports/" + job.ID} {
		if status, body := other.do(strings.ToUpper(method), path, nil); status != http.StatusNotFound {
			t.Errorf("%s of another's import: %d %s", path, status, body)
		}
	}
	if status, body := other.do("PUT", "/imports/"+job.ID+"/mapping", map[string]any{"columns": map[string]string{}}); status != http.StatusNotFound {
		t.Errorf("another's mapping: %d %s", status, body)
	}
	var list api.ImportList
	other.want(200, "GET", "/imports", nil, &list)
	if len(list.Items) > 0 {
		t.Errorf("another's import is listed: %+v", list)
	}
}

// TestImportsAskForTheRole that makes the records of the list.
func TestImportsAskForTheRole(t *testing.T) {
	w := theWorld(t)
	for role, kinds := range map[string][]string{
		system: {"event", "mediation", "petition", "account", "shift"}, security: {"event", "mediation", "shift", "organisation"},
		duty: {"account", "organisation"}, leader: {"account", "organisation"}, justice: {"account", "organisation", "petition"},
	} {
		for _, kind := range kinds {
			status, body := w.clients[role].do("POST", "/imports?kind="+kind+"&name=a.csv", "编号,名称\n1,x\n")
			if status != http.StatusForbidden && status != http.StatusNotFound {
				t.Errorf("%s brings %s: %d %s", role, kind, status, body)
			}
		}
	}
}

// TestPresenceTellsOnlyThoseWhoSee.
func TestPresenceTellsOnlyThoseWhoSee(t *testing.T) {
	w := theWorld(t)
	o := w.objects["the village's event"]
	w.clients[duty].want(200, "POST", "/records/"+o.id+"/presence", nil, nil)
	var p api.Presence
	w.clients[leader].want(200, "POST", "/records/"+o.id+"/presence", nil, &p)
	if !slices.ContainsFunc(p.Others, func(u api.User) bool { return u.ID == w.clients[duty].user }) {
		t.Errorf("the colleague is not shown: %+v", p)
	}
}

// TestLinksHideWhatIsNotSeen: a record that refers to another tells nothing
// of it to those who may not see it.
func TestLinksHideWhatIsNotSeen(t *testing.T) {
	w := theWorld(t)
	from, to := w.objects["the village's event"], w.objects["another village's event"]
	w.clients[duty].want(200, "POST", "/records/"+from.id+"/steps/link", map[string]any{"inputs": map[string]any{"record": to.id, "relation": "same"}}, nil)
	for role, sees := range map[string]bool{duty: true, cadre: false} {
		status, body := w.clients[role].do("GET", "/records/"+from.id, nil)
		if status != 200 || strings.Contains(string(body), to.id) != sees {
			t.Errorf("%s: %d, the other is named: %v", role, status, !sees)
		}
	}
}

// TestMaskingByRole is DOMAIN §9.2 through the interface: who is not on the
// case sees masks, the team sees them too until it asks with a reason, and
// the asking is in the audit without the value.
func TestMaskingByRole(t *testing.T) {
	w := theWorld(t)
	o := w.objects["the grid's event"]
	for _, role := range o.seen() {
		var r api.Record
		w.clients[role].want(200, "GET", "/records/"+o.id, nil, &r)
		name, phone := r.Fields["people/0/name"], r.Fields["people/0/phone"]
		wantName, wantPhone := "王**", o.phone[:3]+"****"+o.phone[7:]
		if name.V != wantName || phone.V != wantPhone || !name.Masked || name.Revealable != slices.Contains(o.full, role) {
			t.Errorf("%s sees %+v and %+v", role, name, phone)
		}
		if content := r.Fields["content"]; (content.V == nil) != slices.Contains(o.summary, role) {
			t.Errorf("%s sees the text %+v", role, content)
		}
	}
	var value api.Revealed
	w.clients[duty].want(200, "POST", "/records/"+o.id+"/reveal", map[string]any{"path": "people/0/phone", "reason": "contact"}, &value)
	if value.Value != o.phone || value.Until <= time.Now().UnixMilli() {
		t.Errorf("%+v", value)
	}
	status, log := w.clients[auditor].do("GET", "/audit?action=reveal&object="+o.id, nil)
	if status != 200 || !strings.Contains(string(log), o.id) || strings.Contains(string(log), o.phone) {
		t.Errorf("audit: %d %s", status, log)
	}
}

// TestSecurityAdministratorOnThemselves: no route widens one's own rights.
func TestSecurityAdministratorOnThemselves(t *testing.T) {
	w := theWorld(t)
	c := w.clients[security]
	more := map[string]any{"grants": []map[string]any{{"role": domain.RoleDutyOfficer, "organisation": township}}}
	for path, body := range map[string]any{
		"/accounts/" + c.user + "/grants": more, "/accounts/" + c.user + "/disable": nil, "/accounts/" + c.user + "/password": nil,
		"/records/" + c.user + "/steps/grant":        map[string]any{"fields": map[string]any{"grants": []string{"duty_officer@" + township}}},
		"/records/" + c.user + "/steps/set_password": map[string]any{"fields": map[string]any{"password": "x"}},
	} {
		if status, answer := c.do("POST", path, body); status != http.StatusForbidden {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	var s api.Session
	c.want(200, "GET", "/session", nil, &s)
	if len(s.Grants) != 1 || s.Grants[0].Role != security {
		t.Errorf("%+v", s.Grants)
	}
	for _, role := range []string{system, auditor} {
		for _, path := range slices.Sorted(maps.Keys(permitted)) {
			if strings.Contains(path, "/accounts") && slices.Contains(permitted[path], role) {
				t.Errorf("%s manages accounts by %s", role, path)
			}
		}
	}
}

// TestAuditNamesEveryWrite without a word of what was written, page by page
// down to the first operation.
func TestAuditNamesEveryWrite(t *testing.T) {
	w := theWorld(t)
	id := w.create(duty, "event", "report", map[string]any{"title": "审计可见办理", "type": "01", "village": village, "people/0/name": "王小明"})
	w.clients[duty].want(200, "POST", "/records/"+id+"/steps/note", map[string]any{"note": "审计不见内容"}, nil)
	status, body := w.clients[auditor].do("GET", "/audit/writes", nil)
	for _, hidden := range []string{"审计可见办理", "审计不见内容", "王小明"} {
		if strings.Contains(string(body), hidden) {
			t.Errorf("%d: the audit shows %s", status, hidden)
		}
	}
	var page api.AuditPage
	if err := json.Unmarshal(body, &page); err != nil || len(page.Items) < 2 {
		t.Fatalf("%d %s", status, body)
	}
	for i, step := range []string{"note", "report"} {
		e := page.Items[i]
		if e.Action != step || e.Object != id || e.ObjectKind != "event" || e.Actor != w.clients[duty].user || e.Result != "applied" || e.At == 0 {
			t.Errorf("%+v", e)
		}
	}
	seq := page.Items[0].Seq + 1
	for {
		for _, e := range page.Items {
			if e.Seq != seq-1 {
				t.Fatalf("after %d comes %d", seq, e.Seq)
			}
			seq = e.Seq
		}
		if page.Next == "" {
			break
		}
		next := page.Next
		page = api.AuditPage{}
		w.clients[auditor].want(200, "GET", "/audit/writes?cursor="+next, nil, &page)
	}
	if seq != 1 {
		t.Errorf("it ends at %d", seq)
	}
}

// TestExactPositionIsTheTeams: everybody else gets it to about 100 m.
func TestExactPositionIsTheTeams(t *testing.T) {
	w := theWorld(t)
	id := w.create(member, "event", "report", map[string]any{"title": "有位置", "type": "01", "village": village, "point": map[string]any{"lng": 120412345, "lat": 29787654}})
	for role, exact := range map[string]bool{member: true, duty: true, cadre: false, upper: false} {
		status, body := w.clients[role].do("GET", "/records/"+id, nil)
		if status != 200 || strings.Contains(string(body), "120412345") != exact || !strings.Contains(string(body), "120412000") {
			t.Errorf("%s: %d, exact %v: %.600s", role, status, !exact, body)
		}
	}
}
