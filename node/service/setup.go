package service

import (
	"context"
	"slices"

	"filippo.io/age"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
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
	for _, o := range b.Organisations().Items {
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
	for _, a := range in.Admins {
		f.Admins = append(f.Admins, NewAccount{Username: a.Username, Name: a.Name, Password: a.Password, Grants: []domain.Grant{{Role: a.Role, Organisation: in.Organisation}}})
	}
	codes, err := b.Found(ctx, f)
	if err != nil {
		return api.Sheet{}, err
	}
	box := b.Describe("zh")
	now, _ := b.clock.Now()
	for i, c := range codes {
		codes[i] = c[:4] + "-" + c[4:8] + "-" + c[8:]
	}
	return api.Sheet{BoxID: box.ID, Organisation: box.Organisation, Name: box.OrganisationName, CreatedAt: now, Recipient: f.Recipient,
		Secret: grouped(key.String()), Codes: codes}, nil
}

// grouped writes a key in groups of five for reading from paper.
func grouped(s string) []string {
	var out []string
	for part := range slices.Chunk([]byte(s), 5) {
		out = append(out, string(part))
	}
	return out
}
