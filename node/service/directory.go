package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/catalog"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/domain/clock"
)

// Dir is the data directory.
func (b *Box) Dir() string { return b.opts.Dir }

// Boot names this run of the process; streams that know another begin again.
func (b *Box) Boot() string { return b.started.UTC().Format("20060102T150405.000") }

// Describe says which box this is.
func (b *Box) Describe(lang string) api.Box {
	now, quality := b.clock.Now()
	code := b.Organisation()
	origin := b.id.Origin()
	ok := quality == envelope.TimeSet || quality == envelope.TimeSynced
	line := domain.Text{ZH: "本机正常 · 未加入县级集群", EN: "This box is well · not in a county cluster"}
	if !ok {
		line = domain.Text{ZH: "本机时钟待核对 · 请系统管理员处理", EN: "The clock of this box must be checked"}
	}
	return api.Box{ID: fmt.Sprintf("%x", origin[1:9]), Organisation: code, OrganisationName: b.policy.Load().name(code),
		SetupNeeded: b.SetupNeeded(), ServerTime: now, ClockOK: ok, Line: line.In(lang)}
}

// DescribeSession says who is signed in, in words.
func (b *Box) DescribeSession(s *Session, c Caller) api.Session {
	v := b.viewer(c)
	acc := v.p.accounts[s.User]
	out := api.Session{User: api.User{ID: s.User.String(), Username: acc.Username, Name: b.nameOf(s.User)}, CSRF: s.CSRF,
		ExpiresAt: s.Expires, BreakGlass: s.BreakGlass != "", MustChange: s.MustChange}
	if s.BreakGlass != "" {
		out.User.Name = s.BreakGlass
	}
	out.Grants = v.grants(acc.Grants)
	return out
}

func (v *viewer) grants(in []domain.Grant) []api.Grant {
	out := make([]api.Grant, len(in))
	for i, g := range in {
		out[i] = api.Grant{Role: g.Role, RoleTitle: v.label("role", g.Role), Organisation: g.Organisation, OrganisationName: v.p.name(g.Organisation)}
	}
	return out
}

// Catalogue gives kinds, tables and roles for drawing forms.
func (b *Box) Catalogue() api.Catalogue {
	p := b.policy.Load()
	out := api.Catalogue{Version: fmt.Sprint(p.version), Tables: map[string][]api.Option{}}
	for _, def := range p.kinds() {
		out.Kinds = append(out.Kinds, def)
	}
	for _, t := range b.embedded.Tables() {
		out.Tables[t.ID] = options(t)
	}
	for _, code := range domain.Roles() {
		label := b.embedded.Label("role", code)
		out.Roles = append(out.Roles, api.Option{Code: code, ZH: label.ZH, EN: label.EN})
	}
	return out
}

func options(t *catalog.Table) []api.Option {
	var out []api.Option
	for _, r := range t.Rows() {
		if r.Hidden {
			continue
		}
		out = append(out, api.Option{Code: r.Code.Code, ZH: r.ZH, EN: r.EN, Parent: r.Parent, Pinyin: r.Pinyin, Initials: r.Initials})
	}
	return out
}

// Organisations gives the tree, in order of code.
func (b *Box) Organisations() api.OrganisationList {
	p := b.policy.Load()
	out := api.OrganisationList{Items: []api.Organisation{}}
	for _, code := range slices.Sorted(maps.Keys(p.organisations)) {
		out.Items = append(out.Items, p.describe(code))
	}
	return out
}

func (p *policy) describe(code string) api.Organisation {
	o := p.organisations[code]
	full, initials := catalog.Spell(o.Name)
	return api.Organisation{Code: o.Code, Name: o.Name, Level: o.Level, Parent: o.Parent, Abbr: o.Abbr, Lng: o.Lng, Lat: o.Lat, Pinyin: full, Initials: initials}
}

// People lists active colleagues with a role ("" for every business role).
func (b *Box) People(role string) api.PersonList {
	p := b.policy.Load()
	out := api.PersonList{Items: []api.Person{}}
	for id, acc := range p.accounts {
		if !acc.active() || acc.Username == breakGlassUser {
			continue
		}
		person := api.Person{ID: id.String(), Organisation: acc.Home}
		for _, g := range acc.Grants {
			person.Roles = append(person.Roles, g.Role)
		}
		administers := slices.ContainsFunc(domain.AdminRoles(), func(r string) bool { return slices.Contains(person.Roles, r) })
		if administers || len(person.Roles) == 0 || role != "" && !slices.Contains(person.Roles, role) {
			continue
		}
		person.Name = b.nameOf(id)
		person.Pinyin, person.Initials = catalog.Spell(person.Name)
		out.Items = append(out.Items, person)
	}
	slices.SortFunc(out.Items, func(a, b api.Person) int { return strings.Compare(a.Pinyin+a.ID, b.Pinyin+b.ID) })
	return out
}

// Accounts lists every account for the security administrator.
func (b *Box) Accounts(c Caller) (api.AccountList, error) {
	p := b.policy.Load()
	out := api.AccountList{Items: []api.Account{}}
	for _, name := range slices.Sorted(maps.Keys(p.usernames)) {
		if p.accounts[p.usernames[name]] == nil {
			continue // reserved by an import that runs
		}
		a, err := b.Account(c, p.usernames[name])
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, a)
	}
	return out, nil
}

// Account describes one account.
func (b *Box) Account(c Caller, id envelope.RecordID) (api.Account, error) {
	acc, _, err := b.visibleAccount(c, id)
	if err != nil {
		return api.Account{}, err
	}
	return api.Account{ID: id.String(), Username: acc.Username, Name: b.nameOf(id), Status: acc.Status, Grants: b.viewer(c).grants(acc.Grants)}, nil
}

// CalendarYears lists the years that were imported.
func (b *Box) CalendarYears() api.CalendarList {
	p := b.policy.Load()
	out := api.CalendarList{Items: []api.CalendarYear{}}
	for _, n := range slices.Sorted(maps.Keys(p.years)) {
		y := p.years[n]
		off, work := y.Counts()
		papers := y.Papers()
		if papers == nil {
			papers = []string{}
		}
		out.Items = append(out.Items, api.CalendarYear{Year: n, Off: off, Work: work, Days: y.Lines(), Papers: papers})
	}
	return out
}

// ImportCalendar brings a year's list of days off and make-up days, and
// derives every due time again.
func (b *Box) ImportCalendar(ctx context.Context, c Caller, data []byte) error {
	y, err := clock.ParseYear(data)
	if err != nil {
		return &InputError{Fields: []FieldError{{Path: "file", Code: "bad_calendar", Message: domain.Text{
			ZH: "不是可用的节假日文件：应为一年的 JSON，含 year、papers 和 days（日期、名称、是否放假）", EN: "Not a calendar file: " + err.Error()}}}}
	}
	b.deriving.Lock()
	fields := map[string]any{"days": y.Lines(), "papers": y.Papers()}
	if _, known := b.policy.Load().years[y.Number()]; known {
		_, err = b.Step(ctx, c, calendarID(y.Number()), "amend", "", Input{Fields: fields})
	} else {
		fields["year"] = int64(y.Number())
		_, err = b.createWith(ctx, c, calendarID(y.Number()), kindCalendar, "", Input{Fields: fields}, nil)
	}
	if err != nil {
		b.deriving.Unlock()
		return err
	}
	b.rederive()
	return b.noteFor(c.User, audit.Entry{Action: "import_calendar", ObjectKind: kindCalendar, Object: strconv.Itoa(y.Number()), Result: "ok"})
}

func calendarID(year int) envelope.RecordID {
	var id envelope.RecordID
	copy(id[:], fmt.Sprintf("calendar-%d", year))
	return id
}

// PutDefinition checks a kind and, unless dry, adopts it.
func (b *Box) PutDefinition(ctx context.Context, c Caller, in api.DefinitionInput) (api.DefinitionResult, error) {
	def, err := b.CheckDefinition([]byte(in.YAML))
	if problems := definitionProblems(err, c.Lang); problems != nil {
		return api.DefinitionResult{Problems: problems}, nil
	}
	if err != nil {
		return api.DefinitionResult{}, err
	}
	out := api.DefinitionResult{ID: def.ID, Version: def.Version, Title: def.Title.In(c.Lang)}
	if in.Dry {
		return out, nil
	}
	if _, err := b.AdoptDefinition(ctx, c, []byte(in.YAML)); err != nil {
		return out, err
	}
	out.Adopted = true
	return out, b.noteFor(c.User, audit.Entry{Action: "adopt_definition", ObjectKind: kindDefinition, Object: def.ID, Result: "ok", Details: map[string]string{"version": fmt.Sprint(def.Version)}})
}

func definitionProblems(err error, lang string) []api.DefinitionProblem {
	var list catalog.Errors
	if !errors.As(err, &list) {
		var one *catalog.Error
		if !errors.As(err, &one) {
			return nil
		}
		list = catalog.Errors{one}
	}
	out := make([]api.DefinitionProblem, len(list))
	for i, e := range list {
		out[i] = api.DefinitionProblem{Line: e.Line, Column: e.Column, Message: e.Reason.In(lang)}
	}
	return out
}

// rederive has every record's lists and due times computed again in the
// background, a chunk at a time so that people's work goes first. It gives
// deriving free when it is through.
func (b *Box) rederive() {
	b.work.Go(func() {
		defer b.deriving.Unlock()
		var from envelope.RecordID
		for more := true; more; {
			var ids []envelope.RecordID
			var err error
			from, more, err = b.store.EachRecord(from, 200, func(r *domain.Record) error {
				if len(r.Clocks) > 0 {
					ids = append(ids, r.ID)
				}
				return nil
			})
			if err == nil {
				err = b.refresh(ids)
			}
			if err != nil {
				b.log.Error("deriving again failed", "err", err)
				return
			}
			select {
			case <-b.closing:
				return
			default:
			}
		}
	})
}
