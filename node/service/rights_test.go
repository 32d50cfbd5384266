package service

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
)

// password gives an account of the box a password that the test knows.
func (b *testBox) password(username string) string {
	b.t.Helper()
	id, _ := b.AccountByName(username)
	p, err := b.ResetPassword(context.Background(), b.Technician(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *testBox) admin(role string) Caller {
	b.t.Helper()
	c, ok := b.CallerByName(role)
	if !ok {
		b.t.Fatal("no " + role)
	}
	return c
}

// TestNobodyLocksOutTheDutyOfficer: whoever floods wrong passwords for the
// duty officer, from elsewhere or from the same address, closes their own
// place and nobody else's.
func TestNobodyLocksOutTheDutyOfficer(t *testing.T) {
	b := newTestBox(t)
	ctx := context.Background()
	password := b.password("duty01")
	desk := Origin{Address: "10.0.0.1"}
	s, err := b.SignIn(ctx, "duty01", password, desk)
	if err != nil || !s.MustChange {
		t.Fatalf("%+v %v", s, err)
	}
	desk.Device = s.Device
	flood := func(n int, from func(i int) Origin) (last error) {
		for i := range n {
			if _, last = b.SignIn(ctx, "duty01", "wrong-password", from(i)); last == nil {
				t.Fatal("signed in with a wrong password")
			}
		}
		return last
	}
	attacker := func(int) Origin { return Origin{Address: "10.9.9.9"} }
	if err := flood(failuresPerPlace+1, attacker); !errors.Is(err, ErrLocked) {
		t.Fatalf("the attacker's place is open: %v", err)
	}
	if _, err := b.SignIn(ctx, "duty01", password, attacker(0)); !errors.Is(err, ErrLocked) {
		t.Fatalf("the right password opens a closed place: %v", err)
	}
	// From many addresses: the name closes for places that it never used.
	for i := range failuresPerName {
		b.guard.fail(b.visit("duty01", Origin{Address: fmt.Sprintf("10.8.%d.1", i)}), time.Now())
	}
	if _, err := b.SignIn(ctx, "duty01", password, Origin{Address: "10.7.7.7"}); !errors.Is(err, ErrLocked) {
		t.Fatalf("a strange place is open: %v", err)
	}
	for name, from := range map[string]Origin{"the desk": desk, "another browser at the desk": {Address: desk.Address}} {
		if _, err := b.SignIn(ctx, "duty01", password, from); err != nil {
			t.Fatalf("%s is locked out by somebody else: %v", name, err)
		}
	}
	// From the desk's own address with another browser.
	flood(failuresPerPlace+1, func(int) Origin { return Origin{Address: desk.Address, Device: "made up"} })
	if _, err := b.SignIn(ctx, "duty01", password, desk); err != nil {
		t.Fatalf("the desk is locked out from its own address: %v", err)
	}
	id, _ := b.AccountByName("duty01")
	if err := b.Unlock(b.admin(domain.RoleSecurityAdmin), id); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SignIn(ctx, "duty01", password, attacker(0)); err != nil {
		t.Fatalf("unlocked by the security administrator: %v", err)
	}
}

func timeOf(c *testClock) time.Time { return time.UnixMilli(c.now.Load()) }

// TestFloodOfStrangersLeavesTheDeskASlot: one password of an unknown
// browser is checked at a time, and those that wait are few.
func TestFloodOfStrangersLeavesTheDeskASlot(t *testing.T) {
	g := newGuard()
	now := newTestClock()
	at := func() (out visit) { return visit{name: "duty", from: "a", address: "a"} }
	leave, err := g.enter(t.Context(), at(), timeOf(now))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, strangersWaiting+5)
	for range strangersWaiting + 5 {
		go func() { _, err := g.enter(ctx, at(), timeOf(now)); done <- err }()
	}
	for range 5 {
		if err := <-done; !errors.Is(err, ErrBusy) {
			t.Fatalf("the line is not bounded: %v", err)
		}
	}
	known := at()
	known.device, known.known = true, true
	if _, err := g.enter(t.Context(), known, timeOf(now)); err != nil {
		t.Fatalf("a known browser waits behind strangers: %v", err)
	}
	cancel()
	leave()
	for range strangersWaiting {
		<-done
	}
	for g.admit(at(), timeOf(now)) == nil {
	}
	if err := g.admit(at(), timeOf(now)); !errors.Is(err, ErrTooFast) {
		t.Fatalf("an address may try for ever: %v", err)
	}
	if err := g.admit(at(), timeOf(now).Add(2*attemptEvery)); err != nil {
		t.Fatalf("an address never recovers: %v", err)
	}
	for i := range maxCounted + 100 {
		g.fail(visit{name: fmt.Sprint(i), from: "a", address: fmt.Sprint(i)}, timeOf(now))
	}
	if len(g.names) > maxCounted || len(g.places) > maxCounted {
		t.Fatalf("%d names, %d places in memory", len(g.names), len(g.places))
	}
}

func TestBreakGlass(t *testing.T) {
	b := newTestBox(t)
	ctx := context.Background()
	id, _ := b.AccountByName(breakGlassUser)
	codes := []string{"AAAABBBBCCCC", "DDDDEEEEFFFF"}
	if err := b.setPassword(ctx, id, "x", false); err != nil { // replaced below by hashes of known codes
		t.Fatal(err)
	}
	stored := hashPassword(codes[0]) + "\n" + hashPassword(codes[1])
	if _, err := b.Step(ctx, b.BoxCaller(), id, "set_password", "", Input{Fields: map[string]any{fieldPassword: stored}}); err != nil {
		t.Fatal(err)
	}
	// A flood from elsewhere leaves the door open.
	for range failuresPerPlace {
		if _, err := b.BreakGlass(ctx, "WRONGWRONG", "nobody", Origin{Address: "10.9.9.9"}); !errors.Is(err, ErrCredentials) {
			t.Fatalf("a wrong code: %v", err)
		}
	}
	for i := range failuresPerName {
		b.guard.fail(b.visit(breakGlassUser, Origin{Address: fmt.Sprintf("10.8.%d.1", i)}), time.Now())
	}
	if _, err := b.BreakGlass(ctx, codes[0], "张值班", Origin{Address: "10.9.9.9"}); !errors.Is(err, ErrLocked) {
		t.Fatalf("the attacker's place is open: %v", err)
	}
	s, err := b.BreakGlass(ctx, "aaaa-bbbb-cccc", "张值班", Origin{Address: "10.0.0.1"})
	if err != nil {
		t.Fatalf("locked out at 3 a.m.: %v", err)
	}
	if _, err := b.BreakGlass(ctx, codes[0], "张值班", Origin{Address: "10.0.0.1"}); !errors.Is(err, ErrCredentials) {
		t.Fatalf("a code works twice: %v", err)
	}
	b.guard.forgive(breakGlassUser)
	// The last code is no password of an ordinary sign-in, which would not ring.
	if _, err := b.SignIn(ctx, breakGlassUser, codes[1], Origin{Address: "10.0.0.1"}); !errors.Is(err, ErrCredentials) {
		t.Fatalf("a code signs in without an alarm: %v", err)
	}
	_, c, err := b.Session(s.Token)
	if err != nil || !hasRole(c.Grants, domain.RoleDutyOfficer) {
		t.Fatalf("%+v %v", c, err)
	}
	if err := b.ChangePassword(ctx, s, c, codes[1], "another-pass-1"); !errors.Is(err, ErrForbidden) {
		t.Fatalf("an emergency session changes the codes: %v", err)
	}
	if life := s.Expires - s.Created; life != breakGlassLife.Milliseconds() {
		t.Fatalf("it lasts %d ms", life)
	}
	if err := b.settled(ctx); err != nil {
		t.Fatal(err)
	}
	for _, role := range domain.AdminRoles() {
		alarms, err := b.Alarms(b.admin(role))
		if err != nil || !slices.ContainsFunc(alarms.Items, func(a api.Alarm) bool { return a.Reason == "break_glass" }) {
			t.Errorf("it does not ring with %s: %v", role, err)
		}
	}
	log, err := b.audit.Read(audit.Filter{Action: "break_glass"})
	if err != nil || !slices.ContainsFunc(log, func(e audit.Entry) bool { return e.Result == "ok" && e.Details["name"] == "张值班" }) {
		t.Fatalf("who used it is not in the audit: %v", err)
	}
}

func TestAdministrators(t *testing.T) {
	b := newTestBox(t)
	t.Run("see no casework", func(t *testing.T) { seeNoCasework(t, b) })
	t.Run("keep a tree of organisations", func(t *testing.T) { treeStaysATree(t, b) })
	t.Run("separation of duties", func(t *testing.T) { separationOfDuties(t, b) })
}

// separationOfDuties: the three administrators exclude one another and
// casework, whatever way a step comes in.
func separationOfDuties(t *testing.T, b *testBox) {
	ctx := context.Background()
	security := b.admin(domain.RoleSecurityAdmin)
	self := security.User
	duty := b.people["duty"].User
	auditor := b.admin(domain.RoleAuditAdmin).User
	emergency, _ := b.AccountByName(breakGlassUser)
	grant := func(texts ...string) Input { return Input{Fields: map[string]any{"grants": texts}} }
	at := func(role string) string { return role + "@" + township }
	for name, c := range map[string]struct {
		account envelope.RecordID
		step    string
		in      Input
		code    string // of the first wrong field; "" for ErrForbidden
	}{
		"grants themselves casework":       {self, "grant", grant(at(domain.RoleSecurityAdmin), at(domain.RoleDutyOfficer)), ""},
		"grants themselves another admin":  {self, "grant", grant(at(domain.RoleAuditAdmin)), ""},
		"disables themselves":              {self, "disable", Input{}, ""},
		"sets a hash from outside":         {duty, "set_password", Input{Fields: map[string]any{"password": hashPassword("known-pass-1")}}, ""},
		"two administrators in one":        {duty, "grant", grant(at(domain.RoleSystemAdmin), at(domain.RoleAuditAdmin)), "roles_exclude"},
		"administrator beside casework":    {duty, "grant", grant(at(domain.RoleDutyOfficer), at(domain.RoleSystemAdmin)), "roles_exclude"},
		"a role that does not exist":       {duty, "grant", grant("emperor@" + township), "unknown_role"},
		"a role of the box":                {duty, "grant", grant("box@" + township), "unknown_role"},
		"a role without organisation":      {duty, "grant", grant("leader"), "required"},
		"no role":                          {duty, "grant", grant(), "required"},
		"a role elsewhere":                 {duty, "grant", grant(domain.RoleDutyOfficer + "@" + other), "outside"},
		"a role above":                     {duty, "grant", grant(domain.RoleCountyOfficer + "@330681"), "outside"},
		"the last audit administrator off": {auditor, "disable", Input{}, "last_admin"},
		"the last one gets another role":   {auditor, "grant", grant(at(domain.RoleLeader)), "last_admin"},
		"a name that is taken":             {duty, "amend", Input{Fields: map[string]any{"username": "leader01"}}, "taken"},
		"the emergency name":               {duty, "amend", Input{Fields: map[string]any{"username": breakGlassUser}}, "taken"},
		"a name of wrong form":             {duty, "amend", Input{Fields: map[string]any{"username": "Leader 02"}}, "bad_username"},
		"more rights for the emergency":    {emergency, "grant", grant(at(domain.RoleLeader)), ""},
		"another name for the emergency":   {emergency, "amend", Input{Fields: map[string]any{"username": "other"}}, ""},
	} {
		_, err := b.Step(ctx, security, c.account, c.step, "", c.in)
		var wrong *InputError
		switch {
		case c.code == "" && !errors.Is(err, ErrForbidden):
			t.Errorf("%s: %v", name, err)
		case c.code != "" && (!errors.As(err, &wrong) || wrong.Fields[0].Code != c.code):
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, call := range map[string]func() error{
		"by the list of roles": func() error {
			_, err := b.SetGrants(ctx, security, self, []domain.Grant{{Role: domain.RoleLeader, Organisation: township}})
			return err
		},
		"resetting one's own password": func() error { _, err := b.ResetPassword(ctx, security, self); return err },
		"resetting the emergency":      func() error { _, err := b.ResetPassword(ctx, security, emergency); return err },
		"an account as system administrator": func() error {
			_, _, err := b.CreateAccount(ctx, b.admin(domain.RoleSystemAdmin), NewAccount{Username: "friend", Name: "友", Grants: []domain.Grant{{Role: domain.RoleLeader, Organisation: township}}})
			return err
		},
		"an account as audit administrator": func() error {
			_, _, err := b.CreateAccount(ctx, b.admin(domain.RoleAuditAdmin), NewAccount{Username: "friend", Name: "友", Grants: []domain.Grant{{Role: domain.RoleLeader, Organisation: township}}})
			return err
		},
	} {
		if err := call(); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is right still works, and ends the sessions of the one concerned.
	if _, err := b.SetGrants(ctx, security, duty, []domain.Grant{{Role: domain.RoleLeader, Organisation: township}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Step(ctx, security, duty, "disable", "", Input{}); err != nil {
		t.Fatal(err)
	}
}

// seeNoCasework in any list, record or stream.
func seeNoCasework(t *testing.T, b *testBox) {
	r := b.report("duty", "机密事项")
	if err := b.settled(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, role := range domain.AdminRoles() {
		c := b.admin(role)
		if _, err := b.View(c, r.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s reads it: %v", role, err)
		}
		if page, err := b.Records(t.Context(), c, Query{Limit: 50}); err != nil || len(page.Items) > 0 {
			t.Errorf("%s lists %d (%v)", role, len(page.Items), err)
		}
		if _, err := b.Reveal(c, r.ID, "people/0/name", "contact", "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s reveals: %v", role, err)
		}
		if b.MayHear(c, Event{Record: r.ID, Kind: "event"}) {
			t.Errorf("%s hears of it", role)
		}
		for _, step := range []string{"accept", "note", "amend", "erase"} {
			if _, err := b.Step(t.Context(), c, r.ID, step, "", Input{Note: "x"}); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s takes %s: %v", role, step, err)
			}
		}
	}
}

func treeStaysATree(t *testing.T, b *testBox) {
	ctx := context.Background()
	system := b.admin(domain.RoleSystemAdmin)
	orgs := b.policy.Load().organisations
	for name, c := range map[string]struct {
		org    string
		fields map[string]any
		code   string
	}{
		"below its own village": {township, map[string]any{"parent": village}, "circle"},
		"below itself":          {village, map[string]any{"parent": village}, "circle"},
		"below nobody known":    {village, map[string]any{"parent": "999"}, "unknown_organisation"},
		"another code":          {village, map[string]any{"code": "330681109299"}, "taken"},
	} {
		_, err := b.Step(ctx, system, orgs[c.org].Record, "amend", "", Input{Fields: c.fields})
		var wrong *InputError
		if !errors.As(err, &wrong) || wrong.Fields[0].Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Step(ctx, system, orgs[village].Record, "amend", "", Input{Fields: map[string]any{"parent": other}}); err != nil {
		t.Errorf("moved to another township: %v", err)
	}
	if _, err := b.Create(ctx, system, kindOrganisation, "", Input{Fields: map[string]any{"code": village, "name": "第二个", "level": "village", "parent": township}}); err == nil {
		t.Error("a code stands twice")
	}
}

// TestRevealIsLoggedFirst: a value whose reading cannot be witnessed is not
// given.
func TestRevealIsLoggedFirst(t *testing.T) {
	b := newTestBox(t)
	r := b.report("duty", "留痕")
	got, err := b.Reveal(b.people["duty"], r.ID, "people/0/name", "contact", "10.0.0.1")
	if err != nil || got.Value != "张建国" {
		t.Fatalf("%+v %v", got, err)
	}
	log, err := b.audit.Read(audit.Filter{Action: "reveal", Object: r.ID.String()})
	if err != nil || len(log) != 1 || log[0].Reason != "contact" || log[0].Actor != b.people["duty"].User.String() || log[0].Address != "10.0.0.1" || log[0].Details["field"] != "people/0/name" {
		t.Fatalf("%+v %v", log, err)
	}
	if err := b.audit.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"people/0/name", "people/0/phone"} {
		if got, err := b.Reveal(b.people["duty"], r.ID, path, "contact", ""); err == nil || got.Value != "" {
			t.Errorf("%s is shown without a witness: %+v %v", path, got, err)
		}
	}
	dir := b.dir
	b.Box.audit, err = audit.Open(filepath.Join(dir, "audit"))
	if err != nil {
		t.Fatal(err)
	}
}
