package service

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
)

// CreateAccount makes an account and gives its first password when none
// was chosen; it must be changed at the first sign-in.
func (b *Box) CreateAccount(ctx context.Context, c Caller, a NewAccount) (*domain.Record, string, error) {
	in, password, err := b.accountInput(a, true)
	if err != nil {
		return nil, "", err
	}
	r, err := b.Create(ctx, c, kindAccount, "", in)
	if err != nil {
		return nil, "", err
	}
	return r, password, b.noteFor(c.User, audit.Entry{Action: "create_account", ObjectKind: kindAccount, Object: r.ID.String(), Result: "ok"})
}

func (b *Box) accountInput(a NewAccount, mustChange bool) (Input, string, error) {
	var wrong InputError
	a.Username = strings.ToLower(strings.TrimSpace(a.Username))
	checkUsername(&wrong, "username", a.Username)
	p := b.policy.Load()
	if _, taken := p.usernames[a.Username]; taken {
		wrong.add("username", "taken", "用户名已有人使用,请换一个", "The user name is taken. Choose another.")
	}
	if strings.TrimSpace(a.Name) == "" {
		wrong.add("name", "required", "请填写姓名", "Give the person's name.")
	}
	p.checkGrants(&wrong, a.Grants)
	if err := wrong.orNil(); err != nil {
		return Input{}, "", err
	}
	password := a.Password
	if password == "" {
		password = initialPassword()
	}
	fields := map[string]any{"username": a.Username, "name": a.Name, "grants": grantTexts(a.Grants),
		fieldPassword: hashPassword(password), "must_change": mustChange}
	if a.Phone != "" {
		fields["phone"] = a.Phone
	}
	return Input{Fields: fields}, password, nil
}

// initialPassword is easy to read out and has digits and letters.
func initialPassword() string { return strings.ToLower(rand.Text()[:6]) + "-" + digitsOf(4) }

func digitsOf(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = '0' + b[i]%10
	}
	return string(b)
}

func grantTexts(grants []domain.Grant) []string {
	out := make([]string, len(grants))
	for i, g := range grants {
		out[i] = grantText(g)
	}
	return out
}

// checkGrants wants known roles and organisations that do not exclude one
// another.
func (p *policy) checkGrants(wrong *InputError, grants []domain.Grant) {
	if len(grants) == 0 || len(grants) > 16 {
		wrong.add("grants", "required", "请至少给一个角色,最多 16 个", "Give one to sixteen roles.")
	}
	for i, g := range grants {
		if !slices.Contains(domain.Roles(), g.Role) {
			wrong.add("grants", "unknown_role", "没有这个角色", "There is no such role.")
		}
		if _, ok := p.organisations[g.Organisation]; !ok {
			wrong.add("grants", "unknown_organisation", "没有这个单位", "There is no such organisation.")
		}
		for _, other := range grants[:i] {
			if domain.Excludes(g.Role, other.Role) {
				wrong.add("grants", "roles_exclude", "系统、安全、审计管理员不能互相兼任,也不能兼办业务", "Administrators cannot hold another role.")
			}
		}
	}
}

// SetGrants replaces an account's roles.
func (b *Box) SetGrants(ctx context.Context, c Caller, id envelope.RecordID, grants []domain.Grant) (*domain.Record, error) {
	r, err := b.Step(ctx, c, id, "grant", "", Input{Fields: map[string]any{"grants": grantTexts(grants)}})
	if err != nil {
		return nil, err
	}
	return r, errors.Join(b.endSessions(id, ""), b.noteFor(c.User, audit.Entry{Action: "grant", ObjectKind: kindAccount, Object: id.String(), Result: "ok"}))
}

// SetActive disables or enables an account.
func (b *Box) SetActive(ctx context.Context, c Caller, id envelope.RecordID, active bool) (*domain.Record, error) {
	step := "disable"
	if active {
		step = "enable"
	}
	r, err := b.Step(ctx, c, id, step, "", Input{})
	if err != nil {
		return nil, err
	}
	return r, errors.Join(b.endSessions(id, ""), b.noteFor(c.User, audit.Entry{Action: step + "_account", ObjectKind: kindAccount, Object: id.String(), Result: "ok"}))
}

// ResetPassword gives an account a new first password and ends its sessions.
func (b *Box) ResetPassword(ctx context.Context, c Caller, id envelope.RecordID) (string, error) {
	acc, _, err := b.visibleAccount(c, id)
	if err != nil {
		return "", err
	}
	if id == c.User || acc.Username == breakGlassUser {
		return "", ErrForbidden // one's own is changed with the old one; codes are on the emergency sheet
	}
	password := initialPassword()
	if err := b.setPassword(ctx, id, password, true); err != nil {
		return "", err
	}
	return password, errors.Join(b.endSessions(id, ""), b.noteFor(c.User, audit.Entry{Action: "reset_password", ObjectKind: kindAccount, Object: id.String(), Result: "ok"}))
}

// Unlock forgives an account's failed sign-ins.
func (b *Box) Unlock(c Caller, id envelope.RecordID) error {
	acc, _, err := b.visibleAccount(c, id)
	if err != nil {
		return err
	}
	b.guard.forgive(acc.Username)
	return b.noteFor(c.User, audit.Entry{Action: "unlock", ObjectKind: kindAccount, Object: id.String(), Result: "ok"})
}

// visibleAccount finds an account that the caller manages.
func (b *Box) visibleAccount(c Caller, id envelope.RecordID) (*account, *domain.Record, error) {
	p := b.policy.Load()
	acc, ok := p.accounts[id]
	if !ok {
		return nil, nil, ErrNotFound
	}
	r, def, err := b.visible(p, c.Subject, id)
	if err == nil && !isMachine(c.Subject) && domain.SightOf(p, c.Subject, def, r) < domain.SightTeam {
		err = ErrForbidden
	}
	return acc, r, err
}

// AccountByName finds an account for the command line.
func (b *Box) AccountByName(username string) (envelope.RecordID, bool) {
	id, ok := b.policy.Load().usernames[strings.ToLower(username)]
	return id, ok
}

// KeepPassword lets an account keep its first password (demo accounts,
// which print it).
func (b *Box) KeepPassword(ctx context.Context, id envelope.RecordID) error {
	phc, err := b.accountSecret(id)
	if err != nil {
		return err
	}
	_, err = b.Step(ctx, b.Technician(), id, "set_password", "", Input{Fields: map[string]any{fieldPassword: phc, "must_change": false}})
	return err
}

// ActAs gives the technician the rights of an account, which the audit
// remembers.
func (b *Box) ActAs(username string) (Caller, error) {
	c, ok := b.CallerByName(username)
	if !ok {
		var wrong InputError
		wrong.add("user", "unknown_person", "没有启用的账号 "+clip(username), "There is no active account "+clip(username))
		return c, wrong.orNil()
	}
	return c, b.noteFor(envelope.RecordID{}, audit.Entry{Action: "act_as", ObjectKind: kindAccount, Object: c.User.String(), Result: "ok"})
}

// CallerByName gives an account's rights.
func (b *Box) CallerByName(username string) (Caller, bool) {
	p := b.policy.Load()
	acc := p.accounts[p.usernames[strings.ToLower(username)]]
	if acc == nil || !acc.active() {
		return Caller{}, false
	}
	return Caller{Subject: domain.Subject{User: acc.ID, Grants: acc.Grants}, Lang: "zh"}, true
}
