package service

import (
	"context"
	"errors"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
)

func unfounded(t *testing.T) *testBox {
	t.Helper()
	b := &testBox{t: t, dir: t.TempDir(), clock: newTestClock(), people: map[string]Caller{}}
	if err := Init(b.dir); err != nil {
		t.Fatal(err)
	}
	b.open()
	t.Cleanup(b.close)
	return b
}

func wizard(b *testBox, organisation string) api.SetupInput {
	in := api.SetupInput{Code: b.SetupCode(), Organisation: organisation, Name: "枫桥镇", TimeChecked: true, TimeSource: "own"}
	for _, role := range []string{domain.RoleSystemAdmin, domain.RoleSecurityAdmin, domain.RoleAuditAdmin} {
		in.Admins = append(in.Admins, api.SetupAdmin{Role: role, Username: role, Name: "管理员", Password: "correct-horse-9"})
	}
	return in
}

// TestFoundingCutOff: a crash between the keys and the administrators
// leaves a wizard that goes on for the same organisation, and a sheet that
// fits.
func TestFoundingCutOff(t *testing.T) {
	b := unfounded(t)
	ctx := context.Background()
	f := Founding{Organisation: township, Name: "枫桥镇", Recipient: "age1lost"}
	if err := errors.Join(b.foundOrganisations(ctx, f), b.takeSeat(f)); err != nil {
		t.Fatal(err)
	}
	b.close()
	b.open()
	if s := b.SetupState("zh"); !s.Needed || len(s.Organisations) != 1 || s.Organisations[0].Code != township {
		t.Fatalf("%+v", s)
	}
	if _, err := b.FoundFrom(ctx, wizard(b, other)); err == nil {
		t.Fatal("it went on for another township")
	}
	sheet, err := b.FoundFrom(ctx, wizard(b, township))
	if err != nil || b.Recipient() != sheet.Recipient || b.SetupNeeded() {
		t.Fatalf("%+v %v", sheet, err)
	}
	if _, err := b.SignIn(ctx, domain.RoleSystemAdmin, "correct-horse-9", Origin{Address: "10.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.FoundFrom(ctx, wizard(b, township)); !errors.Is(err, ErrState) {
		t.Fatalf("founded twice: %v", err)
	}
	b.check()
}

func TestFoundingNeedsClockAndCode(t *testing.T) {
	b := unfounded(t)
	ctx := context.Background()
	in := wizard(b, township)
	in.TimeChecked = false
	var wrong *InputError
	if _, err := b.FoundFrom(ctx, in); !errors.As(err, &wrong) || wrong.Fields[0].Path != "time_checked" {
		t.Fatalf("an unchecked clock: %v", err)
	}
	b.clock.quality.Store(uint32(envelope.TimeUnknown))
	if _, err := b.FoundFrom(ctx, wizard(b, township)); !errors.As(err, &wrong) || wrong.Fields[0].Code != "clock_unset" {
		t.Fatalf("a dead clock: %v", err)
	}
	b.clock.quality.Store(uint32(envelope.TimeSet))
	in = wizard(b, township)
	good := in.Code
	in.Code = "WRONG"
	for range setupCodeTries {
		if _, err := b.FoundFrom(ctx, in); !errors.Is(err, ErrSetupCode) {
			t.Fatalf("a wrong code: %v", err)
		}
	}
	in.Code = good
	if _, err := b.FoundFrom(ctx, in); !errors.Is(err, ErrSetupCode) {
		t.Fatalf("guessing goes on: %v", err)
	}
	if !b.SetupNeeded() || b.Organisation() != "" {
		t.Fatal("something was founded")
	}
}

// TestNewSheet: the new codes work, the old ones do not, and the key opens
// what is sealed from now on.
func TestNewSheet(t *testing.T) {
	b := unfounded(t)
	ctx := context.Background()
	if _, err := b.NewSheet(ctx); !errors.Is(err, ErrNotSetUp) {
		t.Fatalf("a sheet for no box: %v", err)
	}
	if _, err := b.BeginImport(b.Technician(), listPeople, "p.csv", []byte("甲,乙\n1,2\n")); !errors.Is(err, ErrNotSetUp) {
		t.Fatalf("people before the set-up: %v", err)
	}
	for _, id := range b.Exports() {
		b.exported(id)
	}
	first, err := b.FoundFrom(ctx, wizard(b, township))
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.NewSheet(ctx)
	if err != nil || second.Recipient == first.Recipient {
		t.Fatalf("%v", err)
	}
	key, err := age.ParseX25519Identity(strings.Join(second.Secret, ""))
	if err != nil || key.Recipient().String() != b.Recipient() {
		t.Fatalf("the key does not fit: %v", err)
	}
	if _, err := b.BreakGlass(ctx, first.Codes[0], "张值班", Origin{Address: "10.0.0.1"}); !errors.Is(err, ErrCredentials) {
		t.Fatalf("an old code: %v", err)
	}
	if _, err := b.BreakGlass(ctx, second.Codes[0], "张值班", Origin{Address: "10.0.0.1"}); err != nil {
		t.Fatal(err)
	}
}
