package service

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/catalog"
	"github.com/fengqiao/fengqiao/node/domain"
)

// setupCodeLife limits the code that the terminal shows; each start makes
// a new one. Physical presence is the proof of authority.
const (
	setupCodeLife  = 30 * time.Minute
	setupCodeTries = 5
	breakGlassKeys = 8
)

// setup guards the founding of a box.
type setup struct {
	code  string
	until time.Time
	tries int
}

// SetupNeeded reports whether the box was not founded to the end. The
// break-glass account is written together with the administrators, last of
// all.
func (b *Box) SetupNeeded() bool { return b.policy.Load().usernames[breakGlassUser].IsZero() }

// SetupCode makes the code that founding asks for.
func (b *Box) SetupCode() string {
	b.setupMu.Lock()
	defer b.setupMu.Unlock()
	b.setup = setup{code: rand.Text()[:8], until: time.Now().Add(setupCodeLife)}
	return b.setup.code
}

func (b *Box) checkSetupCode(code string) error {
	b.setupMu.Lock()
	defer b.setupMu.Unlock()
	s := &b.setup
	if s.code == "" || time.Now().After(s.until) || s.tries >= setupCodeTries {
		return ErrSetupCode
	}
	if subtle.ConstantTimeCompare([]byte(strings.ToUpper(strings.TrimSpace(code))), []byte(s.code)) != 1 {
		s.tries++
		return ErrSetupCode
	}
	return nil
}

// Founding is what the first-run wizard gives.
type Founding struct {
	Code         string // of the terminal
	Organisation string // township (or county) code
	Name         string
	CountyName   string
	Recipient    string // public half of the emergency key
	Admins       []NewAccount
	Clock        api.ClockInput // zero: not chosen
}

// NewAccount is a person who may sign in.
type NewAccount struct {
	Username string
	Name     string
	Phone    string
	Password string // "" draws one
	Grants   []domain.Grant
}

// Found settles the box: organisation, kinds, the three administrators and
// the break-glass account. It returns the break-glass codes, shown once.
// What a crash left half way is taken up by the next call; nobody can sign
// in before the end.
func (b *Box) Found(ctx context.Context, f Founding) ([]string, error) {
	b.foundMu.Lock()
	defer b.foundMu.Unlock()
	if !b.SetupNeeded() {
		return nil, ErrState
	}
	if err := b.checkFounding(f); err != nil {
		return nil, err
	}
	if err := b.checkSetupCode(f.Code); err != nil {
		return nil, err
	}
	if f.Clock.Source != "" {
		if err := b.foundClock(ctx, f.Clock); err != nil {
			return nil, err
		}
	}
	if err := b.foundOrganisations(ctx, f); err != nil {
		return nil, err
	}
	if err := b.takeSeat(f); err != nil {
		return nil, err
	}
	if err := b.adoptDefinitions(ctx); err != nil {
		return nil, err
	}
	codes, err := b.foundAccounts(ctx, f.Admins)
	if err != nil {
		return nil, err
	}
	return codes, b.note(audit.Entry{Action: "found", Result: "ok", Organisation: f.Organisation})
}

// takeSeat gives the box its keys, or another sheet to an earlier attempt.
func (b *Box) takeSeat(f Founding) error {
	if b.Organisation() == "" {
		return b.id.Settle(f.Organisation, f.Recipient)
	}
	return b.id.SetRecipient(f.Recipient)
}

// foundAccounts writes the administrators and the break-glass account as
// one.
func (b *Box) foundAccounts(ctx context.Context, admins []NewAccount) ([]string, error) {
	codes, hashes := newCodes()
	inputs := []Input{{Fields: map[string]any{"username": breakGlassUser, "name": "应急登录", fieldPassword: hashes,
		"grants": []string{grantText(domain.Grant{Role: domain.RoleDutyOfficer, Organisation: b.Organisation()})}}}}
	for _, a := range admins {
		in, _, err := b.accountInput(a, false)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	}
	var drafts []*draft
	for _, in := range inputs {
		d, err := b.draftCreate(b.Technician(), newRecordID(), kindAccount, "", in)
		if err != nil {
			return nil, err
		}
		drafts = append(drafts, d)
	}
	_, err := b.submitAll(ctx, drafts)
	return codes, err
}

// checkFounding wants one administrator of each of the three kinds.
func (b *Box) checkFounding(f Founding) error {
	var wrong InputError
	if f.Clock.Source != "" {
		checkSource(&wrong, f.Clock.Source, f.Clock.Server)
	}
	if len(f.Organisation) != 9 && len(f.Organisation) != 6 || !digits(f.Organisation) {
		wrong.add("organisation", "bad_code", "请选择本机所属的乡镇(9 位代码)", "Choose the township of this box (9 digits).")
	}
	if _, known := b.policy.Load().organisations[f.Organisation]; !known && strings.TrimSpace(f.Name) == "" {
		wrong.add("name", "required", "请填写单位名称", "Give the organisation's name.")
	}
	if begun := b.Organisation(); begun != "" && begun != f.Organisation {
		wrong.add("organisation", "begun", "本机的首次设置已为“"+b.policy.Load().name(begun)+"”开始，请继续为它设置", "The set-up was begun for "+begun+". Go on with it.")
	}
	if _, quality := b.clock.Now(); quality == envelope.TimeUnknown {
		wrong.add("time_checked", "clock_unset", "本机时钟没有设置或电池失效，请先设好系统时间", "The clock was never set or its battery is dead. Set the system time first.")
	}
	have, names := map[string]int{}, map[string]bool{breakGlassUser: true}
	for i, a := range f.Admins {
		path := fmt.Sprintf("admins/%d", i)
		if names[a.Username] {
			wrong.add(path+"/username", "taken", "用户名重复,请换一个", "The user name is taken. Choose another.")
		}
		names[a.Username] = true
		if strings.TrimSpace(a.Name) == "" {
			wrong.add(path+"/name", "required", "请填写姓名", "Give the person's name.")
		}
		for _, g := range a.Grants {
			have[g.Role]++
		}
		if !goodPassword(a.Password, a.Username) {
			wrong.add(path+"/password", "weak_password", "密码至少 8 位,含字母、数字、符号中的两种,且不含用户名", "The password needs 8 characters of two kinds and must not contain the user name.")
		}
		checkUsername(&wrong, path+"/username", a.Username)
	}
	for _, role := range []string{domain.RoleSystemAdmin, domain.RoleSecurityAdmin, domain.RoleAuditAdmin} {
		if have[role] != 1 || len(f.Admins) != 3 {
			wrong.add("admins", "three_admins", "系统、安全、审计三名管理员各设一人,不能兼任", "Name exactly one system, one security and one audit administrator.")
			break
		}
	}
	return wrong.orNil()
}

func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}

func checkUsername(wrong *InputError, path, name string) {
	ok := len(name) >= 3 && len(name) <= 32
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.')
	}
	if !ok {
		wrong.add(path, "bad_username", "用户名用 3 到 32 位小写字母、数字、点、横线或下划线", "User names have 3 to 32 lower-case letters, digits, dots, dashes or underscores.")
	}
}

// foundOrganisations makes the township and its county where no list of
// divisions was imported before.
func (b *Box) foundOrganisations(ctx context.Context, f Founding) error {
	level := domain.LevelTownship
	if len(f.Organisation) == 6 {
		level = domain.LevelCounty
	}
	p := b.policy.Load()
	var rows []Division
	county := f.Organisation[:6]
	if _, ok := p.organisations[county]; !ok && level == domain.LevelTownship {
		name := f.CountyName
		if name == "" {
			name = county
		}
		rows = append(rows, Division{Code: county, Name: name, Level: domain.LevelCounty})
	}
	if _, ok := p.organisations[f.Organisation]; !ok {
		row := Division{Code: f.Organisation, Name: f.Name, Level: level}
		if level == domain.LevelTownship {
			row.Parent = county
		}
		rows = append(rows, row)
	}
	_, err := b.ImportDivisions(ctx, rows)
	return err
}

// newCodes draws break-glass codes and what is kept of them.
func newCodes() (codes []string, hashes string) {
	kept := make([]string, breakGlassKeys)
	codes = make([]string, breakGlassKeys)
	for i := range codes {
		codes[i] = rand.Text()[:12]
		kept[i] = hashPassword(codes[i])
	}
	return codes, strings.Join(kept, "\n")
}

func grantText(g domain.Grant) string { return g.Role + "@" + g.Organisation }

// adoptDefinitions puts the embedded kinds into the order where the order
// lacks them or has an older version. Alone a box agrees with itself.
func (b *Box) adoptDefinitions(ctx context.Context) error {
	if b.Organisation() == "" {
		return nil
	}
	p := b.policy.Load()
	for _, k := range b.embedded.Kinds() {
		cur, ok := p.current[k.Definition.ID]
		if ok && cur.Version >= k.Definition.Version {
			continue
		}
		if err := b.adopt(ctx, b.BoxCaller(), k.Definition, string(k.Source)); err != nil {
			return fmt.Errorf("service: adopt kind %s: %w", k.Definition.ID, err)
		}
	}
	return nil
}

// adopt writes a definition record: the kind's YAML as public lines.
func (b *Box) adopt(ctx context.Context, c Caller, def *domain.Definition, yaml string) error {
	lines := strings.Split(strings.TrimRight(yaml, "\n"), "\n")
	_, err := b.createWith(ctx, c, definitionID(catalog.Hash(def)), kindDefinition, "", Input{Fields: map[string]any{
		"kind": def.ID, "version": int64(def.Version), "lines": lines}}, nil)
	return err
}

// CheckDefinition reads a kind without keeping it.
func (b *Box) CheckDefinition(yaml []byte) (*domain.Definition, error) {
	return catalog.Parse("kind.yaml", yaml)
}

// AdoptDefinition adds a kind, or a new version of one, for this box.
func (b *Box) AdoptDefinition(ctx context.Context, c Caller, yaml []byte) (*domain.Definition, error) {
	def, err := b.CheckDefinition(yaml)
	if err != nil {
		return nil, err
	}
	if cur, ok := b.policy.Load().current[def.ID]; ok && cur.Version >= def.Version {
		return nil, &InputError{Fields: []FieldError{{Path: "version", Code: "old_version", Message: domain.Text{
			ZH: fmt.Sprintf("版本号应大于现用的 %d", cur.Version), EN: fmt.Sprintf("The version must be above %d, which is in use.", cur.Version)}}}}
	}
	return def, b.adopt(ctx, c, def, string(yaml))
}
