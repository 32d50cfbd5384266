package service

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
)

const (
	bucketSessions = "sessions"
	bucketDevices  = "devices" // browsers and addresses that a user signed in from

	sessionLife    = 24 * time.Hour
	sessionIdle    = 4 * time.Hour
	breakGlassLife = 2 * time.Hour
	deviceLife     = 180 * 24 * time.Hour

	breakGlassUser = "break-glass"
	terminal       = "terminal" // the address of who stands at the box
	fieldPassword  = "password"
)

// Session is a signed-in person.
type Session struct {
	Token      string            `json:"-"`
	Device     string            `json:"-"` // of the browser; set when the session opens
	User       envelope.RecordID `json:"user"`
	CSRF       string            `json:"csrf"`
	Created    int64             `json:"created"`
	Seen       int64             `json:"seen"`
	Expires    int64             `json:"expires"`
	Address    string            `json:"address"`
	BreakGlass string            `json:"break_glass,omitempty"` // name typed by the person
	MustChange bool              `json:"must_change,omitempty"`
}

// Origin is where a request to sign in comes from. Device is the token of a
// browser that signed in before, "" for a new one.
type Origin struct{ Address, Device string }

// SignIn checks a password and opens a session. Wrong name and wrong
// password give the same answer in the same time.
func (b *Box) SignIn(ctx context.Context, username, password string, from Origin) (*Session, error) {
	username = strings.ToLower(strings.TrimSpace(username))
	p := b.policy.Load()
	acc := p.accounts[p.usernames[username]]
	if username == breakGlassUser {
		acc = nil // its codes open one door only, the one that rings
	}
	visit := b.visit(username, from)
	leave, err := b.guard.enter(ctx, visit, time.Now())
	if err != nil {
		return nil, err
	}
	defer leave()
	if !b.passwordFits(acc, password) {
		b.guard.fail(visit, time.Now())
		failed := audit.Entry{Action: "sign_in", Result: "failed", Address: from.Address}
		if acc != nil { // what else was typed may be somebody's password
			failed.Details = map[string]string{"username": acc.Username}
		}
		return nil, errors.Join(ErrCredentials, b.note(failed))
	}
	if !acc.active() {
		return nil, ErrDisabled
	}
	b.guard.clear(visit)
	s := &Session{User: acc.ID, Address: from.Address}
	r, err := b.record(acc.ID)
	if err != nil {
		return nil, err
	}
	s.MustChange, _ = r.Open["must_change"].(bool)
	if err := b.openSession(s, sessionLife); err != nil {
		return nil, err
	}
	if err := b.trust(s, username, from); err != nil {
		return nil, err
	}
	return s, b.noteFor(s.User, audit.Entry{Action: "sign_in", Result: "ok", Address: from.Address})
}

// visit is an attempt by somebody from somewhere, as the guard counts it.
func (b *Box) visit(username string, from Origin) visit {
	v := visit{name: username, from: from.Address, address: from.Address}
	if b.knownPlace(username, from.Device) {
		v.from, v.device = "device\x00"+from.Device, true
	}
	v.known = v.device || b.knownPlace(username, from.Address)
	return v
}

// trust remembers that a person signed in from here. The device's token is
// the box's own: one that a client made up is replaced.
func (b *Box) trust(s *Session, username string, from Origin) error {
	s.Device = from.Device
	if !b.knownPlace("", s.Device) {
		s.Device = rand.Text()
	}
	until := time.Now().Add(deviceLife)
	for _, place := range []struct{ name, at string }{{"", s.Device}, {username, s.Device}, {username, from.Address}} {
		if err := b.local.Put(bucketDevices, placeKey(place.name, place.at), []byte{1}, until); err != nil {
			return err
		}
	}
	return nil
}

func placeKey(username, place string) []byte {
	sum := sha256.Sum256([]byte(username + "\x00" + place))
	return sum[:]
}

func (b *Box) knownPlace(username, place string) bool {
	if place == "" {
		return false
	}
	_, ok, err := b.local.Get(bucketDevices, placeKey(username, place))
	return err == nil && ok
}

func clip(s string) string {
	if r := []rune(s); len(r) > 32 {
		return string(r[:32])
	}
	return s
}

func (b *Box) passwordFits(acc *account, password string) bool {
	if acc == nil || len(password) > maxPassword*4 {
		return checkPassword(password[:min(len(password), maxPassword)], absent)
	}
	phc, err := b.accountSecret(acc.ID)
	if err != nil || phc == "" {
		return checkPassword(password, absent)
	}
	return checkPassword(password, phc)
}

// accountSecret opens an account's password hash.
func (b *Box) accountSecret(id envelope.RecordID) (string, error) {
	r, err := b.record(id)
	if err != nil {
		return "", err
	}
	f, ok := r.SealedAt(fieldPassword, seal.Full)
	if !ok {
		return "", nil
	}
	return b.open(r, f)
}

func (b *Box) openSession(s *Session, life time.Duration) error {
	now := time.Now()
	s.Token, s.CSRF = rand.Text()+rand.Text(), rand.Text()
	s.Created, s.Seen, s.Expires = now.UnixMilli(), now.UnixMilli(), now.Add(life).UnixMilli()
	return b.saveSession(s)
}

func (b *Box) saveSession(s *Session) error {
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return b.local.Put(bucketSessions, sessionKey(s.Token), body, time.UnixMilli(s.Expires))
}

// sessionKey keeps tokens themselves off the disk.
func sessionKey(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// Session finds the session of a token and the caller it stands for, and
// notes that it is in use.
func (b *Box) Session(token string) (*Session, Caller, error) {
	s, c, err := b.lookUp(token)
	if err != nil {
		return nil, Caller{}, err
	}
	if now := time.Now().UnixMilli(); now-s.Seen > time.Minute.Milliseconds() {
		s.Seen = now
		err = b.saveSession(s)
	}
	return s, c, err
}

// StillSignedIn gives the caller of a session as their rights stand now,
// without keeping it awake: a page that only listens does not.
func (b *Box) StillSignedIn(token string) (Caller, error) {
	_, c, err := b.lookUp(token)
	return c, err
}

func (b *Box) lookUp(token string) (*Session, Caller, error) {
	body, ok, err := b.local.Get(bucketSessions, sessionKey(token))
	if err != nil {
		return nil, Caller{}, err
	}
	if !ok || token == "" {
		return nil, Caller{}, ErrSession
	}
	s := &Session{Token: token}
	if err := json.Unmarshal(body, s); err != nil {
		return nil, Caller{}, err
	}
	now := time.Now().UnixMilli()
	acc := b.policy.Load().accounts[s.User]
	if now > s.Expires || now-s.Seen > sessionIdle.Milliseconds() || acc == nil || !acc.active() {
		return nil, Caller{}, errors.Join(ErrSession, b.local.Delete(bucketSessions, sessionKey(token)))
	}
	return s, Caller{Subject: domain.Subject{User: acc.ID, Grants: acc.Grants}}, nil
}

// SignOut ends a session.
func (b *Box) SignOut(s *Session) error {
	return errors.Join(b.local.Delete(bucketSessions, sessionKey(s.Token)), b.noteFor(s.User, audit.Entry{Action: "sign_out", Result: "ok", Address: s.Address}))
}

// endSessions closes every session of a user but the one to keep.
func (b *Box) endSessions(user envelope.RecordID, keep string) error {
	rows, err := b.local.Scan(bucketSessions, nil, 100_000)
	if err != nil {
		return err
	}
	for _, row := range rows {
		var s Session
		if json.Unmarshal(row.Value, &s) != nil || s.User != user || keep != "" && string(row.Key) == string(sessionKey(keep)) {
			continue
		}
		if err := b.local.Delete(bucketSessions, row.Key); err != nil {
			return err
		}
	}
	return nil
}

// ChangePassword replaces the caller's own password.
func (b *Box) ChangePassword(ctx context.Context, s *Session, c Caller, old, new string) error {
	p := b.policy.Load()
	acc := p.accounts[s.User]
	if s.BreakGlass != "" {
		return ErrForbidden // its codes are on the emergency sheet
	}
	visit := visit{name: "change\x00" + acc.Username, from: s.Address, address: s.Address, known: true}
	leave, err := b.guard.enter(ctx, visit, time.Now())
	if err != nil {
		return err
	}
	defer leave()
	if !b.passwordFits(acc, old) {
		b.guard.fail(visit, time.Now())
		return ErrOldPassword
	}
	if !goodPassword(new, acc.Username) || new == old {
		return ErrPasswordPolicy
	}
	if err := b.setPassword(ctx, acc.ID, new, false); err != nil {
		return err
	}
	s.MustChange = false
	return errors.Join(b.saveSession(s), b.endSessions(acc.ID, s.Token), b.noteFor(acc.ID, audit.Entry{Action: "change_password", Result: "ok"}))
}

// setPassword writes a new hash as the box; who asked stands in the audit.
func (b *Box) setPassword(ctx context.Context, id envelope.RecordID, password string, mustChange bool) error {
	_, err := b.Step(ctx, b.BoxCaller(), id, "set_password", "", Input{Fields: map[string]any{fieldPassword: hashPassword(password), "must_change": mustChange}})
	return err
}

// BreakGlass opens a session with a code from the emergency sheet: the
// duty officer's rights for two hours, and an alarm for the three
// administrators. A code works once.
func (b *Box) BreakGlass(ctx context.Context, code, name string, from Origin) (*Session, error) {
	name = clip(strings.TrimSpace(name))
	if name == "" {
		return nil, &InputError{Fields: []FieldError{{Path: "name", Code: "required", Message: domain.Text{ZH: "请写明姓名", EN: "Give your name."}}}}
	}
	// Codes have 60 random bits, so failures lock the place that they come
	// from and never the door itself.
	visit := visit{name: breakGlassUser, from: from.Address, address: from.Address, placeOnly: true}
	leave, err := b.guard.enter(ctx, visit, time.Now())
	if err != nil {
		return nil, err
	}
	defer leave()
	p := b.policy.Load()
	acc := p.accounts[p.usernames[breakGlassUser]]
	if acc == nil || !acc.active() {
		return nil, ErrCredentials
	}
	rest, ok, err := b.spendCode(acc.ID, code)
	if err != nil {
		return nil, err
	}
	if !ok {
		b.guard.fail(visit, time.Now())
		return nil, errors.Join(ErrCredentials, b.note(audit.Entry{Action: "break_glass", Result: "failed", Address: from.Address}))
	}
	if _, err := b.Step(ctx, b.BoxCaller(), acc.ID, "set_password", "", Input{Fields: map[string]any{fieldPassword: strings.Join(rest, "\n")}}); err != nil {
		return nil, err
	}
	if err := b.raise(ctx, alarm{Reason: "break_glass", Level: 1, Round: time.Now().UnixMilli()}); err != nil {
		return nil, err
	}
	b.guard.clear(visit)
	s := &Session{User: acc.ID, Address: from.Address, BreakGlass: name}
	if err := b.openSession(s, breakGlassLife); err != nil {
		return nil, err
	}
	return s, b.noteFor(acc.ID, audit.Entry{Action: "break_glass", Result: "ok", Address: from.Address, Details: map[string]string{"name": name}})
}

// spendCode finds the code among the unused ones and gives the others.
func (b *Box) spendCode(id envelope.RecordID, code string) ([]string, bool, error) {
	stored, err := b.accountSecret(id)
	if err != nil || stored == "" {
		return nil, false, err
	}
	hashes := strings.Split(stored, "\n")
	code = domain.NormalNumber(code)
	for i, h := range hashes {
		if checkPassword(code, h) {
			rest := slices.Delete(slices.Clone(hashes), i, i+1)
			if len(rest) == 0 {
				rest = []string{"used"}
			}
			return rest, true, nil
		}
	}
	return nil, false, nil
}

// note writes to the audit log; an entry that cannot be written fails what
// it was to witness.
func (b *Box) note(e audit.Entry) error {
	now, _ := b.clock.Now()
	e.At = now
	defer b.stalled("audit").Stop()
	_, err := b.audit.Append(e)
	return asFull(err)
}

// noteFor names who did it; without a user it was the technician at the
// box's own terminal.
func (b *Box) noteFor(user envelope.RecordID, e audit.Entry) error {
	if user.IsZero() {
		e.Role, e.Organisation, e.Address = domain.RoleTechnician, b.Organisation(), terminal
		return b.note(e)
	}
	e.Actor = user.String()
	if acc := b.policy.Load().accounts[user]; acc != nil && len(acc.Grants) > 0 {
		e.Role, e.Organisation = acc.Grants[0].Role, acc.Grants[0].Organisation
	}
	return b.note(e)
}
