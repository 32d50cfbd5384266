package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
	"github.com/fengqiao/fengqiao/node/store"
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
// every sealed value readable, and it goes on working.
func TestRestoreWithSheetAndStickAlone(t *testing.T) {
	dir, stick := filepath.Join(t.TempDir(), "box"), t.TempDir()
	n, duty, secret := founded(t, dir)
	in := service.Input{Fields: map[string]any{"title": "封存也能读", "type": "01", "people/0/name": "王小明"}}
	r, err := n.Box.Create(t.Context(), duty, "event", "", in)
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.Box.ImportDivisions(t.Context(), []service.Division{{Code: township + "290", Name: "枫源村", Level: domain.LevelVillage, Parent: township}})
	if err == nil {
		_, err = n.Box.ImportOutlines(t.Context(), n.Box.Technician(), []byte(outlines))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node.Backup(t.Context(), dir, stick, "1", nil); !errors.Is(err, store.ErrInUse) {
		t.Fatalf("a running box was archived: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	archive, err := node.Backup(t.Context(), dir, stick, "1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "again")
	if _, err := node.Restore(t.Context(), archive, secret, again); err != nil {
		t.Fatal(err)
	}
	m, err := node.New(node.Options{Dir: again})
	if err != nil {
		t.Fatal(err)
	}
	view, err := m.Box.View(duty, r.ID)
	if err != nil || view.Title != "封存也能读" || view.Number != r.Number {
		t.Fatalf("%q %q %v", view.Title, view.Number, err)
	}
	if body, err := m.Box.WallOutlines(); err != nil || !strings.Contains(string(body), "120.41") {
		t.Fatalf("outlines of the map: %s %v", body, err)
	}
	next, err := m.Box.Create(t.Context(), duty, "event", "", in)
	if err != nil || next.Number == r.Number {
		t.Fatalf("number %s after %s (%v)", next.Number, r.Number, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := service.Check(t.Context(), again, nil)
	if err != nil || len(report.Problems) > 0 {
		t.Fatalf("%v %v", report.Problems, err)
	}
}

// A box can be embedded as a library.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "box")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := node.Init(dir); err != nil {
		panic(err)
	}
	n, err := node.New(node.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	counts, err := n.Box.ImportDivisions(context.Background(), []service.Division{{Code: "330681", Name: "诸暨市", Level: domain.LevelCounty}})
	fmt.Println(counts.New, err, n.Close())
	// Output: 1 <nil> <nil>
}
