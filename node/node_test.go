package node_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/fengqiao/fengqiao/backup"
	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
)

const township = "330681109"

const outlines = `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"name":"枫源村"},
"geometry":{"type":"Polygon","coordinates":[[[120.4,29.8],[120.41,29.8],[120.41,29.81],[120.4,29.8]]]}}]}`

// founded makes a box with one duty officer and gives the key of its sheet.
func founded(t testing.TB, dir string) (*node.Node, service.Caller, string) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Init(dir); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(node.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	f := service.Founding{Code: n.Box.SetupCode(), Organisation: township, Name: "枫桥镇", Recipient: key.Recipient().String()}
	for _, role := range []string{domain.RoleSystemAdmin, domain.RoleSecurityAdmin, domain.RoleAuditAdmin} {
		f.Admins = append(f.Admins, service.NewAccount{Username: role, Name: "管理员", Password: "correct-horse-9", Grants: []domain.Grant{{Role: role, Organisation: township}}})
	}
	if _, err := n.Box.Found(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	g := domain.Grant{Role: domain.RoleDutyOfficer, Organisation: township}
	r, _, err := n.Box.CreateAccount(t.Context(), n.Box.Technician(), service.NewAccount{Username: "duty", Name: "值班", Grants: []domain.Grant{g}})
	if err != nil {
		t.Fatal(err)
	}
	return n, service.Caller{Subject: domain.Subject{User: r.ID, Grants: []domain.Grant{g}}, Lang: "zh"}, key.String()
}

// TestRestoreWithSheetAndStickAlone: an equal box under a new incarnation,
// every sealed value and attachment readable, and it goes on working. The
// archive is made while people write.
func TestRestoreWithSheetAndStickAlone(t *testing.T) {
	dir, stick := filepath.Join(t.TempDir(), "box"), t.TempDir()
	n, duty, secret := founded(t, dir)
	in := service.Input{Fields: map[string]any{"title": "封存也能读", "type": "01", "people/0/name": "王小明"}}
	r, err := n.Box.Create(t.Context(), duty, "event", "", in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Box.Attach(t.Context(), duty, r.ID, service.Upload{Name: "证据.txt", Media: "text/plain", Body: strings.NewReader("照片说明")}); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(stick, "a.fqb")
	stopWriting := write(t, n.Box, duty, in)
	err = backup.Save(archive, func(w io.Writer) error { return node.Archive(t.Context(), n.Box, "1", w) })
	stopWriting()
	if err != nil {
		t.Fatal(err)
	}
	second := filepath.Join(stick, "b.fqb")
	if err := backup.Save(second, func(w io.Writer) error { return node.Archive(t.Context(), n.Box, "1", w) }); err != nil {
		t.Fatal(err)
	}
	h, err := n.Box.Health("zh")
	if err != nil || h.LastBackup == 0 {
		t.Fatalf("last backup %d, %v", h.LastBackup, err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	before := checked(t, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	restore(t, archive, secret)
	again := restore(t, second, secret)
	after := checked(t, again)
	if after.Store.Digest != before.Store.Digest || after.Opened != before.Opened || after.Opened == 0 || after.Erased != 0 {
		t.Fatalf("%+v\n%+v", before, after)
	}
	m, err := node.New(node.Options{Dir: again})
	if err != nil {
		t.Fatal(err)
	}
	view, err := m.Box.View(duty, r.ID)
	if err != nil || view.Title != "封存也能读" || view.Number != r.Number {
		t.Fatalf("%q %q %v", view.Title, view.Number, err)
	}
	next, err := m.Box.Create(t.Context(), duty, "event", "", in)
	if err != nil || next.Number == r.Number || next.LastA.Incarnation != 2 {
		t.Fatalf("number %s after %s, incarnation %d (%v)", next.Number, r.Number, next.LastA.Incarnation, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	checked(t, again)
}

// write reports matters until it is stopped.
func write(t *testing.T, b *service.Box, c service.Caller, in service.Input) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for ctx.Err() == nil {
				if _, err := b.Create(context.Background(), c, "event", "", in); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	return func() { cancel(); work.Wait() }
}

func checked(t *testing.T, dir string) service.CheckReport {
	t.Helper()
	report, err := node.Check(t.Context(), dir, service.CheckOptions{Deep: true})
	if err != nil || len(report.Problems) > 0 {
		t.Fatalf("%v %v", report.Problems, err)
	}
	return report
}

func restore(t *testing.T, archive, secret string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "again")
	if _, err := node.Restore(t.Context(), archive, secret, dir, nil); err != nil {
		t.Fatal(err)
	}
	checked(t, dir)
	return dir
}

// A box can be embedded as a library: it lives in a directory, answers HTTP
// by its handler, and is used in the process by node.Box.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "box")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := node.Init(dir); err != nil {
		panic(err)
	}
	n, err := node.New(node.Options{Dir: dir, Version: "example"})
	if err != nil {
		panic(err)
	}
	defer n.Close()
	counts, err := n.Box.ImportDivisions(context.Background(), []service.Division{{Code: "330681", Name: "诸暨市", Level: domain.LevelCounty}})
	fmt.Println(counts.New, err)

	server := httptest.NewServer(n.Handler())
	defer server.Close()
	res, err := http.Get(server.URL + "/livez")
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	fmt.Println(res.Status)
	// Output:
	// 1 <nil>
	// 200 OK
}

// TestSlowAndLargeHeaders: whoever does not finish asking does not keep a
// place, and headers have an end.
func TestSlowAndLargeHeaders(t *testing.T) {
	t.Parallel() // it waits for a limit
	dir := filepath.Join(t.TempDir(), "box")
	if err := node.Init(dir); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(node.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- n.Serve(ctx, l) }()
	ask := func(request string) string {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 64)
		k, _ := conn.Read(answer) // 0 when the box hangs up
		return string(answer[:k])
	}
	slow := make(chan string, 1)
	go func() { slow <- ask("GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ") }()
	if got := ask("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.Contains(got, "200 OK") {
		t.Errorf("beside a slow one: %q", got)
	}
	if got := ask("GET /livez HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("x", 64<<10) + "\r\n\r\n"); !strings.Contains(got, "431") {
		t.Errorf("large headers: %q", got)
	}
	if got := <-slow; strings.Contains(got, "200") {
		t.Errorf("a slow one is answered: %q", got)
	}
	stop()
	if err := errors.Join(<-served, n.Close()); err != nil {
		t.Fatal(err)
	}
}
