package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
)

const (
	county    = "330681"
	township  = "330681109"
	far       = "330681104" // another township
	village   = "330681109290"
	village2  = "330681109291"
	grid      = village + "-G01"
	station   = township + "-S01"
	station2  = township + "-S02"
	committee = township + "-C01"
	second    = township + "-C02"
	password  = "correct-horse-9"
)

// The roles of DOMAIN §9.3, each held by one person of the same name.
const (
	member   = domain.RoleGridMember
	cadre    = domain.RoleVillageCadre
	mediator = domain.RoleMediator
	duty     = domain.RoleDutyOfficer
	officer  = domain.RoleStationOfficer
	leader   = domain.RoleLeader
	justice  = domain.RoleJusticeOfficer
	petition = domain.RolePetitionOfficer
	upper    = domain.RoleCountyOfficer
	system   = domain.RoleSystemAdmin
	security = domain.RoleSecurityAdmin
	auditor  = domain.RoleAuditAdmin
)

var (
	business = []string{member, cadre, mediator, duty, officer, leader, justice, petition, upper}
	admins   = []string{system, security, auditor}
	everyone = slices.Concat(business, admins)
)

// people: who there is beside one of each role; the first of a role has its
// name, the others are elsewhere.
var people = []struct{ name, role, org string }{
	{member, member, grid}, {cadre, cadre, village}, {mediator, mediator, committee}, {duty, duty, township}, {officer, officer, station},
	{leader, leader, township}, {justice, justice, township}, {petition, petition, township}, {upper, upper, county},
	{"cadre2", cadre, village2}, {"officer2", officer, station2}, {"mediator2", mediator, second}, {"far", duty, far}, {"far-justice", justice, far},
}

// world is a running township with its people signed in. It is made once;
// whoever needs an own one makes it.
type world struct {
	*testing.T
	node    *node.Node
	server  *httptest.Server
	clients map[string]*client
	objects map[string]*object
}

// client is a signed-in person.
type client struct {
	*testing.T
	server *httptest.Server
	http   *http.Client
	user   string // id
	csrf   string
	n      int
}

var shared struct {
	once sync.Once
	dir  string
	w    *world
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.w != nil {
		shared.w.server.CloseClientConnections()
		shared.w.server.Close()
		if err := shared.w.node.Close(); err != nil {
			fmt.Println(err)
			code = 1
		}
		os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// theWorld is the shared one, reporting to this test.
func theWorld(t *testing.T) *world {
	t.Helper()
	shared.once.Do(func() {
		var err error
		if shared.dir, err = os.MkdirTemp("", "walk"); err != nil {
			t.Fatal(err)
		}
		shared.w = makeWorld(t, filepath.Join(shared.dir, "box"))
		shared.w.makeObjects()
	})
	if shared.w == nil {
		t.Fatal("the world could not be made, see the first test")
	}
	w := *shared.w
	w.T, w.clients = t, map[string]*client{}
	for name, c := range shared.w.clients {
		own := *c
		own.T = t
		w.clients[name] = &own
	}
	return &w
}

// makeWorld founds a box and signs its people in.
func makeWorld(t *testing.T, dir string) *world {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(node.Init(dir))
	var n *node.Node
	n, err := node.New(node.Options{Dir: dir, Fatal: func(err error) { panic(err) }})
	must(err)
	w := &world{T: t, node: n, clients: map[string]*client{}, objects: map[string]*object{}}
	w.server = httptest.NewServer(n.Handler())
	ctx := context.Background()
	_, err = n.Box.ImportDivisions(ctx, []service.Division{
		{Code: county, Name: "诸暨市", Level: domain.LevelCounty},
		{Code: township, Name: "枫桥镇", Level: domain.LevelTownship, Parent: county, Abbr: "枫"}, {Code: far, Name: "店口镇", Level: domain.LevelTownship, Parent: county, Abbr: "店"},
		{Code: village, Name: "枫源村", Level: domain.LevelVillage, Parent: township}, {Code: village2, Name: "枫溪村", Level: domain.LevelVillage, Parent: township},
		{Code: grid, Name: "枫源第一网格", Level: domain.LevelGrid, Parent: village},
		{Code: station, Name: "执法队", Level: domain.LevelStation, Parent: township}, {Code: station2, Name: "民政办", Level: domain.LevelStation, Parent: township},
		{Code: committee, Name: "枫桥镇调委会", Level: domain.LevelCommittee, Parent: township, Abbr: "枫"}, {Code: second, Name: "医疗纠纷调委会", Level: domain.LevelCommittee, Parent: township, Abbr: "医"},
	})
	must(err)
	f := service.Founding{Code: n.Box.SetupCode(), Organisation: township, Recipient: "r"}
	for _, role := range admins {
		f.Admins = append(f.Admins, service.NewAccount{Username: role, Name: "管理员", Password: password, Grants: []domain.Grant{{Role: role, Organisation: township}}})
	}
	_, err = n.Box.Found(ctx, f)
	must(err)
	for _, p := range people {
		r, _, err := n.Box.CreateAccount(ctx, n.Box.Technician(), service.NewAccount{Username: p.name, Name: "测试人员", Password: password, Grants: []domain.Grant{{Role: p.role, Organisation: p.org}}})
		must(err)
		must(n.Box.KeepPassword(ctx, r.ID))
		w.signIn(p.name)
	}
	for _, role := range admins {
		w.signIn(role)
	}
	return w
}

// signIn opens a session in a browser of its own.
func (w *world) signIn(user string) *client {
	w.Helper()
	c := &client{T: w.T, server: w.server, http: &http.Client{Jar: &jar{}}}
	status, body := c.do("POST", "/session", map[string]any{"username": user, "password": password})
	var s api.Session
	if err := json.Unmarshal(body, &s); err != nil || status != 200 {
		w.Fatalf("%s: %d %s", user, status, body)
	}
	c.csrf, c.user = s.CSRF, s.User.ID
	w.clients[user] = c
	return c
}

func (c *client) do(method, path string, body any) (int, []byte) {
	c.Helper()
	return c.with(method, path, body, nil)
}

// with sends a request with a fresh key and the session's token, unless
// other headers are given ("" leaves one out).
func (c *client) with(method, path string, body any, headers map[string]string) (int, []byte) {
	c.Helper()
	res := c.send(method, path, body, headers)
	defer res.Body.Close()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return res.StatusCode, nil
	}
	out, err := io.ReadAll(res.Body)
	if err != nil {
		c.Fatal(err)
	}
	return res.StatusCode, out
}

func (c *client) send(method, path string, body any, headers map[string]string) *http.Response {
	c.Helper()
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
			c.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(c.Context(), method, c.server.URL+"/api/v1"+path, in)
	if err != nil {
		c.Fatal(err)
	}
	c.n++
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprintf("test-key-%d-%d", time.Now().UnixNano(), c.n))
	req.Header.Set("X-CSRF-Token", c.csrf)
	for k, v := range headers {
		req.Header.Set(k, v)
		if v == "" {
			req.Header.Del(k)
		}
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	return res
}

// want sends a request that must give a status, and reads its answer.
func (c *client) want(status int, method, path string, body, into any) {
	c.Helper()
	got, answer := c.do(method, path, body)
	if got != status {
		c.Fatalf("%s %s: %d, want %d: %s", method, path, got, status, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			c.Fatalf("%s %s: %v: %s", method, path, err, answer)
		}
	}
}

func code(body []byte) string {
	var p api.Problem
	if json.Unmarshal(body, &p) != nil {
		return string(body)
	}
	return p.Code
}

// step takes a step inside the box, where a test needs a state that its
// subject is not about.
func (w *world) step(who, id, step string, in service.Input) {
	w.Helper()
	c, ok := w.node.Box.CallerByName(who)
	rid, err := envelope.ParseRecordID(id)
	if err == nil && ok {
		_, err = w.node.Box.Step(context.Background(), c, rid, step, "", in)
	}
	if err != nil || !ok {
		w.Fatalf("%s %s: %v", who, step, err)
	}
}

// jar keeps the cookies of one site by name.
type jar struct {
	mu      sync.Mutex
	cookies map[string]*http.Cookie
}

func (j *jar) SetCookies(_ *url.URL, cookies []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cookies == nil {
		j.cookies = map[string]*http.Cookie{}
	}
	for _, c := range cookies {
		j.cookies[c.Name] = c
	}
}

func (j *jar) Cookies(*url.URL) []*http.Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []*http.Cookie
	for _, c := range j.cookies {
		if c.MaxAge >= 0 {
			out = append(out, c)
		}
	}
	return out
}

var errNever = errors.New("did not happen in time")

// eventually waits for something that the box does behind its answers.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("%s: %v", what, errNever)
}

// makeFresh is a box that is not set up, and somebody in front of it.
func makeFresh(t *testing.T, dir string) *client {
	t.Helper()
	if err := node.Init(dir); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(node.Options{Dir: dir, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	n.Box.SetupCode()
	server := httptest.NewServer(n.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return &client{T: t, server: server, http: &http.Client{Jar: &jar{}}}
}
