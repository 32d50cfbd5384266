package service

import (
	"context"
	"strings"
	"sync"
	"time"
)

// Limits of signing in.
const (
	failuresPerPlace = 5
	failuresPerName  = 50
	lockFor          = 15 * time.Minute
	attemptsAtOnce   = 60 // that fail, from one address, by browsers that the box does not know
	attemptEvery     = time.Second
	strangersWaiting = 32
	maxCounted       = 10_000
)

// visit is one attempt to sign in.
type visit struct {
	name    string
	from    string // what a lock closes: the device where it is known, else the address
	address string
	device  bool // a browser that this person signed in with before
	known   bool // that browser, or an address of this person
	// placeOnly: failures from elsewhere never close this door.
	placeOnly bool
}

func (v visit) place() string { return v.name + "\x00" + v.from }

// guard slows down guessing without giving anybody a way to lock another
// person out. Failures close a place: the browser that a person uses, or
// the address. A name as a whole is closed only for places that it never
// signed in from; so whoever floods the duty officer's name from elsewhere,
// or from the same address with another browser, does not reach the duty
// desk. It lives in memory: a restart forgives, which costs an attacker
// more than it gives.
type guard struct {
	mu        sync.Mutex
	places    map[string]*failures
	names     map[string]*failures
	addresses map[string]*allowance
	strangers chan struct{} // the one of them whose password is checked
	waiting   chan struct{}
}

type failures struct {
	n     int
	until time.Time
	last  time.Time
}

// allowance is a bucket of attempts that fills with time.
type allowance struct {
	left float64
	last time.Time
}

func newGuard() *guard {
	return &guard{places: map[string]*failures{}, names: map[string]*failures{}, addresses: map[string]*allowance{},
		strangers: make(chan struct{}, 1), waiting: make(chan struct{}, strangersWaiting)}
}

// enter lets a visit have its password checked; leave must be called after.
// Browsers that the box does not know are checked one at a time, so that a
// flood of them leaves a processor to those that it does.
func (g *guard) enter(ctx context.Context, v visit, now time.Time) (leave func(), err error) {
	if err := g.admit(v, now); err != nil {
		return nil, err
	}
	if v.device {
		return func() {}, nil
	}
	select {
	case g.waiting <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	defer func() { <-g.waiting }()
	select {
	case g.strangers <- struct{}{}:
		return func() { <-g.strangers }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *guard) admit(v visit, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if closed(g.places[v.place()], now) || !v.known && !v.placeOnly && closed(g.names[v.name], now) {
		return ErrLocked
	}
	if !v.device && !g.spend(v.address, now) {
		return ErrTooFast
	}
	return nil
}

func closed(f *failures, now time.Time) bool { return f != nil && now.Before(f.until) }

// spend takes one attempt of an address.
func (g *guard) spend(address string, now time.Time) bool {
	trim(g.addresses, func(a *allowance) bool { return now.Sub(a.last) > lockFor })
	a := g.addresses[address]
	if a == nil {
		a = &allowance{left: attemptsAtOnce, last: now}
		g.addresses[address] = a
	}
	a.left = min(attemptsAtOnce, a.left+now.Sub(a.last).Seconds()/attemptEvery.Seconds())
	a.last = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

func (g *guard) fail(v visit, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	bump(g.places, v.place(), failuresPerPlace, now)
	bump(g.names, v.name, failuresPerName, now)
}

func bump(m map[string]*failures, key string, limit int, now time.Time) {
	trim(m, func(f *failures) bool { return now.Sub(f.last) > lockFor })
	f := m[key]
	if f == nil {
		f = &failures{}
		m[key] = f
	}
	if now.Sub(f.last) > lockFor {
		f.n = 0
	}
	f.n, f.last = f.n+1, now
	if f.n >= limit {
		f.n, f.until = 0, now.Add(lockFor)
	}
}

// trim bounds the memory that attempts take: old entries go first, and when
// none is old, any.
func trim[V any](m map[string]V, old func(V) bool) {
	if len(m) < maxCounted {
		return
	}
	for key, v := range m {
		if old(v) {
			delete(m, key)
		}
	}
	for key := range m {
		if len(m) < maxCounted {
			return
		}
		delete(m, key)
	}
}

// clear forgives the place of a visit that was right and gives the attempt
// back.
func (g *guard) clear(v visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.places, v.place())
	if a := g.addresses[v.address]; a != nil && !v.device {
		a.left++
	}
}

// forgive opens a name again, wherever it was tried.
func (g *guard) forgive(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.names, name)
	for key := range g.places {
		if strings.HasPrefix(key, name+"\x00") {
			delete(g.places, key)
		}
	}
}
