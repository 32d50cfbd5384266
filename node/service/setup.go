package service

import (
	"context"
	"slices"

	"filippo.io/age"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
)

// SetupState is what the first-run wizard shows.
func (b *Box) SetupState(lang string) api.SetupState {
	now, quality := b.clock.Now()
	out := api.SetupState{Needed: b.SetupNeeded(), ServerTime: now, ClockOK: quality == envelope.TimeSet || quality == envelope.TimeSynced,
		ClockText: clockText(quality).In(lang), Organisations: []api.Organisation{}}
	if !out.Needed {
		return out
	}
	begun := b.Organisation() // by an attempt that was cut off
	for _, o := range b.Organisations().Items {
		if begun != "" && o.Code != begun {
			continue
		}
		if o.Level == domain.LevelTownship || o.Level == domain.LevelCounty {
			out.Organisations = append(out.Organisations, o)
		}
	}
	return out
}

// FoundFrom founds the box as the wizard asks and gives the emergency
// sheet. The private half of its key exists on that paper alone.
func (b *Box) FoundFrom(ctx context.Context, in api.SetupInput) (api.Sheet, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return api.Sheet{}, err
	}
	f := Founding{Code: in.Code, Organisation: in.Organisation, Name: in.Name, CountyName: in.CountyName, Recipient: key.Recipient().String()}
	if !in.TimeChecked {
		return api.Sheet{}, &InputError{Fields: []FieldError{{Path: "time_checked", Code: "required", Message: domain.Text{ZH: "请先核对本机时间", EN: "Check the clock first."}}}}
	}
	f.Clock = api.ClockInput{Source: in.TimeSource, Server: in.TimeServer, Compared: true, BrowserTime: in.BrowserTime}
	for _, a := range in.Admins {
		f.Admins = append(f.Admins, NewAccount{Username: a.Username, Name: a.Name, Password: a.Password, Grants: []domain.Grant{{Role: a.Role, Organisation: in.Organisation}}})
	}
	codes, err := b.Found(ctx, f)
	if err != nil {
		return api.Sheet{}, err
	}
	return b.sheet(key, codes), nil
}

func (b *Box) sheet(key *age.X25519Identity, codes []string) api.Sheet {
	box := b.Describe("zh")
	now, _ := b.clock.Now()
	shown := make([]string, len(codes))
	for i, c := range codes {
		shown[i] = c[:4] + "-" + c[4:8] + "-" + c[8:]
	}
	return api.Sheet{BoxID: box.ID, Organisation: box.Organisation, Name: box.OrganisationName, CreatedAt: now, Recipient: key.Recipient().String(),
		Secret: grouped(key.String()), Codes: shown}
}

// NewSheet replaces the emergency sheet: when it was lost or seen, when its
// codes are used up, or when the answer of the set-up never reached paper.
// Archives made before still need the old one.
func (b *Box) NewSheet(ctx context.Context) (api.Sheet, error) {
	b.foundMu.Lock()
	defer b.foundMu.Unlock()
	if b.SetupNeeded() {
		return api.Sheet{}, ErrNotSetUp
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return api.Sheet{}, err
	}
	codes, hashes := newCodes()
	id := b.policy.Load().usernames[breakGlassUser]
	if _, err := b.Step(ctx, b.BoxCaller(), id, "set_password", "", Input{Fields: map[string]any{fieldPassword: hashes}}); err != nil {
		return api.Sheet{}, err
	}
	if err := b.id.SetRecipient(key.Recipient().String()); err != nil {
		return api.Sheet{}, err
	}
	return b.sheet(key, codes), b.noteFor(envelope.RecordID{}, audit.Entry{Action: "new_sheet", Result: "ok"})
}

// ConfirmClock is called when a person has compared the clock with a true
// one; numbers and cards are given again.
func (b *Box) ConfirmClock() error {
	if err := b.clock.compare(b.id.SetExtra); err != nil {
		return err
	}
	return b.noteFor(envelope.RecordID{}, audit.Entry{Action: "confirm_clock", Result: "ok"})
}

// grouped writes a key in groups of five for reading from paper.
func grouped(s string) []string {
	var out []string
	for part := range slices.Chunk([]byte(s), 5) {
		out = append(out, string(part))
	}
	return out
}
