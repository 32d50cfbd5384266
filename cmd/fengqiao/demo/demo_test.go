package demo

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
)

// TestSeedTellsEveryState: the demo's past is told without a refusal, its
// present shows something in every state, and the box is sound.
func TestSeedTellsEveryState(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "box")
	end := time.Date(2026, 11, 25, 10, 48, 0, 0, zone).UnixMilli() // a Wednesday
	logins, err := seedUntil(ctx, dir, end, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(logins) < 10 {
		t.Errorf("%d logins", len(logins))
	}
	clock := &pastClock{}
	clock.now.Store(end)
	box, err := node.OpenBox(service.Options{Dir: dir, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	leader := caller(t, box, "leader", domain.Grant{Role: domain.RoleLeader, Organisation: Township})
	for kind, missing := range map[string]string{"event": "", "mediation": "merged", "petition": "suspended merged", "hazard": "suspended merged dropped", "notice": "", "duty_log": ""} {
		states := count(t, box, leader, kind, missing)
		t.Logf("%s: %v", kind, states)
	}
	duty, err := box.Duty(leader)
	if err != nil || duty.Shift == nil || duty.Shift.State != "on" || duty.Next == nil {
		t.Errorf("nobody is on duty: %+v %v", duty, err)
	}
	looks := map[string]int{}
	page, err := box.List(ctx, leader, service.Query{Kinds: []string{"event"}, Open: true, Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range page.Items {
		looks["card "+row.Card]++
		if row.Clock != nil {
			looks[row.Clock.State]++
		}
	}
	for _, want := range []string{"normal", "due_soon", "yellow", "red", "paused", "card yellow", "card red"} {
		if looks[want] == 0 {
			t.Errorf("no open event is %s: %v", want, looks)
		}
	}
	wall, err := box.Wall(ctx, "zh")
	if err != nil {
		t.Fatal(err)
	}
	quiet := 0
	for _, d := range wall.Trend {
		if d.Reported == 0 {
			quiet++
		}
	}
	if quiet > 2 || wall.Today.Overdue == 0 || wall.Today.Reported == 0 {
		t.Errorf("%d days without a matter, today %+v", quiet, wall.Today)
	}
	trickles(t, box, leader)
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
	if report, err := node.Check(ctx, dir, service.CheckOptions{}); err != nil || len(report.Problems) > 0 {
		t.Errorf("check: %v %v", err, report.Problems)
	}
}

// TestSeedAtAnyHour: nothing is refused in the night of a holiday, when
// most of "today" lies in yesterday.
func TestSeedAtAnyHour(t *testing.T) {
	end := time.Date(2026, 10, 4, 0, 3, 0, 0, zone).UnixMilli()
	if _, err := seedUntil(context.Background(), filepath.Join(t.TempDir(), "box"), end, func(string) {}); err != nil {
		t.Fatal(err)
	}
}

func caller(t *testing.T, box *service.Box, name string, g domain.Grant) service.Caller {
	t.Helper()
	id, ok := box.AccountByName(name)
	if !ok {
		t.Fatal("no account", name)
	}
	return service.Caller{Subject: domain.Subject{User: id, Grants: []domain.Grant{g}}, Lang: "zh"}
}

// count tells how many records of a kind stand in each state.
func count(t *testing.T, box *service.Box, c service.Caller, kind, missing string) map[string]int {
	t.Helper()
	states := map[string]int{}
	var def *domain.Definition
	for q := (service.Query{Kinds: []string{kind}, Limit: 200}); ; {
		page, err := box.Records(context.Background(), c, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Items {
			def = f.Def
			states[f.Record.State]++
		}
		if page.Next == "" {
			break
		}
		q.Cursor = page.Next
	}
	if def == nil {
		t.Fatal("no", kind)
	}
	for _, s := range def.States {
		if states[s.ID] == 0 && !strings.Contains(missing, s.ID) {
			t.Errorf("no %s is %s", kind, s.ID)
		}
	}
	return states
}

// trickles: the live demo goes on after the past.
func trickles(t *testing.T, box *service.Box, leader service.Caller) {
	t.Helper()
	before := total(count(t, box, leader, "event", ""))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Trickle(ctx, box, 5*time.Millisecond, func(err error) { t.Error(err) })
	}()
	for end := time.Now().Add(10 * time.Second); total(count(t, box, leader, "event", "")) < before+5; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing new happened")
		}
	}
	stop()
	<-done
}

func total(states map[string]int) (n int) {
	for _, c := range states {
		n += c
	}
	return n
}
