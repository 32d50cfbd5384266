package service

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
)

const (
	bucketSessions = "sessions"
	bucketDevices  = "devices" // addresses that a user signed in from

	sessionLife     = 24 * time.Hour
	sessionIdle     = 4 * time.Hour
	breakGlassLife  = 2 * time.Hour
	deviceLife      = 30 * 24 * time.Hour
	failuresPerPair = 5
	failuresPerName = 50
	lockFor         = 15 * time.Minute

	breakGlassUser = "break-glass"
	fieldPassword  = "password"
)

// Session is a signed-in person.
type Session struct {
	Token      string            `json:"-"`
	User       envelope.RecordID `json:"user"`
	CSRF       string            `json:"csrf"`
	Created    int64             `json:"created"`
	Seen       int64             `json:"seen"`
	Expires    int64             `json:"expires"`
	Address    string            `json:"address"`
	BreakGlass string            `json:"break_glass,omitempty"` // name typed by the person
	MustChange bool              `json:"must_change,omitempty"`
}

// guard counts failures per user and address. It is kept in memory: a
// restart forgives, which costs an attacker more than it gives.
type guard struct {
	mu    sync.Mutex
	pairs map[string]*failures
	names map[string]*failures
}

type failures struct {
	n     int
	until time.Time
	last  time.Time
}

func newGuard() *guard { return &guard{pairs: map[string]*failures{}, names: map[string]*failures{}} }

// locked: a pair of name and address is locked after a few failures. The
// name itself is locked only for addresses that never signed in with it,
// so that nobody can lock the duty officer out of the duty desk.
func (g *guard) locked(name, address string, known bool, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.pairs[name+"\x00"+address]; f != nil && now.Before(f.until) {
		return true
	}
	f := g.names[name]
	return !known && f != nil && now.Before(f.until)
}

func (g *guard) fail(name, address string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(now)
	bump(g.pairs, name+"\x00"+address, failuresPerPair, now)
	bump(g.names, name, failuresPerName, now)
}

func bump(m map[string]*failures, key string, limit int, now time.Time) {
	f := m[key]
	if f == nil {
		f = &failures{}
		m[key] = f
	}
	f.n, f.last = f.n+1, now
	if f.n >= limit {
		f.n, f.until = 0, now.Add(lockFor)
	}
}

// forget bounds the memory that failures take.
func (g *guard) forget(now time.Time) {
	for _, m := range []map[string]*failures{g.pairs, g.names} {
		if len(m) < 10_000 {
			continue
		}
		for key, f := range m {
			if now.Sub(f.last) > lockFor {
				delete(m, key)
			}
		}
	}
}

func (g *guard) clear(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.names, name)
	for key := range g.pairs {
		if strings.HasPrefix(key, name+"\x00") {
			delete(g.pairs, key)
		}
	}
}

// SignIn checks a password and opens a session. Wrong name and wrong
// password give the same answer in the same time.
func (b *Box) SignIn(ctx context.Context, username, password, address string) (*Session, error) {
	username = strings.ToLower(strings.TrimSpace(username))
	p := b.policy.Load()
	acc := p.accounts[p.usernames[username]]
	now := time.Now()
	if b.guard.locked(username, address, b.knownDevice(username, address), now) {
		return nil, ErrLocked
	}
	if !b.passwordFits(acc, password) {
		b.guard.fail(username, address, now)
		return nil, errors.Join(ErrCredentials, b.note(audit.Entry{Action: "sign_in", Result: "failed", Address: address, Details: map[string]string{"username": clip(username)}}))
	}
	if !acc.active() {
		return nil, ErrDisabled
	}
	b.guard.clear(username)
	s := &Session{User: acc.ID, Address: address}
	r, err := b.record(acc.ID)
	if err != nil {
		return nil, err
	}
	s.MustChange, _ = r.Open["must_change"].(bool)
	if err := b.openSession(s, sessionLife); err != nil {
		return nil, err
	}
	if err := b.local.Put(bucketDevices, deviceKey(username, address), []byte{1}, time.Now().Add(deviceLife)); err != nil {
		return nil, err
	}
	return s, b.noteFor(s.User, audit.Entry{Action: "sign_in", Result: "ok", Address: address})
}

func clip(s string) string {
	if r := []rune(s); len(r) > 32 {
		return string(r[:32])
	}
	return s
}

func deviceKey(username, address string) []byte {
	sum := sha256.Sum256([]byte(username + "\x00" + address))
	return sum[:]
}

func (b *Box) knownDevice(username, address string) bool {
	_, ok, err := b.local.Get(bucketDevices, deviceKey(username, address))
	return err == nil && ok
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
	return b.open(r.Definition.ID, f)
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

// Session finds the session of a token and the caller it stands for.
func (b *Box) Session(token string) (*Session, Caller, error) {
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
		return nil, Caller{}, errors.Join(ErrSession, b.SignOut(token))
	}
	if now-s.Seen > time.Minute.Milliseconds() {
		s.Seen = now
		if err := b.saveSession(s); err != nil {
			return nil, Caller{}, err
		}
	}
	return s, Caller{Subject: domain.Subject{User: acc.ID, Grants: acc.Grants}}, nil
}

// SignOut ends a session.
func (b *Box) SignOut(token string) error { return b.local.Delete(bucketSessions, sessionKey(token)) }

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
	if !b.passwordFits(acc, old) {
		b.guard.fail(acc.Username, s.Address, time.Now())
		return ErrCredentials
	}
	if !goodPassword(new, acc.Username) || new == old {
		return ErrPasswordPolicy
	}
	if err := b.setPassword(ctx, c.Key, acc.ID, new, false); err != nil {
		return err
	}
	s.MustChange = false
	return errors.Join(b.saveSession(s), b.endSessions(acc.ID, s.Token), b.noteFor(acc.ID, audit.Entry{Action: "change_password", Result: "ok"}))
}

// setPassword writes a new hash as the box; who asked stands in the audit.
func (b *Box) setPassword(ctx context.Context, key string, id envelope.RecordID, password string, mustChange bool) error {
	c := b.BoxCaller()
	c.Key = key
	_, err := b.Step(ctx, c, id, "set_password", "", Input{Fields: map[string]any{fieldPassword: hashPassword(password), "must_change": mustChange}})
	return err
}

// BreakGlass opens a session with a code from the emergency sheet: the
// duty officer's rights for two hours, and an alarm for the three
// administrators. A code works once.
func (b *Box) BreakGlass(ctx context.Context, code, name, address string) (*Session, error) {
	name = clip(strings.TrimSpace(name))
	if name == "" {
		return nil, &InputError{Fields: []FieldError{{Path: "name", Code: "required", Message: domain.Text{ZH: "请写明姓名", EN: "Give your name."}}}}
	}
	if b.guard.locked(breakGlassUser, address, false, time.Now()) {
		return nil, ErrLocked
	}
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
		b.guard.fail(breakGlassUser, address, time.Now())
		return nil, errors.Join(ErrCredentials, b.note(audit.Entry{Action: "break_glass", Result: "failed", Address: address}))
	}
	if _, err := b.Step(ctx, b.BoxCaller(), acc.ID, "set_password", "", Input{Fields: map[string]any{fieldPassword: strings.Join(rest, "\n")}}); err != nil {
		return nil, err
	}
	if err := b.raise(ctx, alarm{Reason: "break_glass", Level: 1, Round: time.Now().UnixMilli()}); err != nil {
		return nil, err
	}
	s := &Session{User: acc.ID, Address: address, BreakGlass: name}
	if err := b.openSession(s, breakGlassLife); err != nil {
		return nil, err
	}
	return s, b.noteFor(acc.ID, audit.Entry{Action: "break_glass", Result: "ok", Address: address})
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
	_, err := b.audit.Append(e)
	return err
}

func (b *Box) noteFor(user envelope.RecordID, e audit.Entry) error {
	e.Actor = user.String()
	if acc := b.policy.Load().accounts[user]; acc != nil && len(acc.Grants) > 0 {
		e.Role, e.Organisation = acc.Grants[0].Role, acc.Grants[0].Organisation
	}
	return b.note(e)
}
