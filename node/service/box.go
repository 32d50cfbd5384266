// Package service holds the use cases of a box: authenticate, authorise,
// validate, stamp, decide, read. It has one writer; everything people do
// becomes an operation that is folded in memory, made durable in the
// journal, answered, and carried into the store behind the answer.
package service

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/envelope/disk"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/catalog"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/domain/clock"
	"github.com/fengqiao/fengqiao/node/identity"
	"github.com/fengqiao/fengqiao/node/seal"
	"github.com/fengqiao/fengqiao/node/store"
)

// Options configure a box.
type Options struct {
	Dir      string
	Journals Journals // where the box keeps what it says
	Clock    Clock    // nil: the system's
	Log      *slog.Logger
	// Fatal is called once when the box must stop because a write or sync
	// failed: nothing unsure is ever answered. nil ends the process.
	Fatal func(error)
	// Progress hears of long work at the start: replay, index.
	Progress func(stage string, done, total int64)
	Version  string

	marks *marks        // tests: of a small disk
	stall time.Duration // tests: instead of stallLimit
	still bool          // Check: nothing of the box's own is written
	// erasing is asked before each stage of an erasure; tests stop it there.
	erasing func(stage string) error
}

// Box is one running box.
type Box struct {
	opts        Options
	log         *slog.Logger
	id          *identity.Identity
	macKey      seal.Key
	clock       *timekeeper
	journal     Journal
	store       *store.Store
	local       *store.Local
	audit       *audit.Log
	embedded    *catalog.Catalogue
	profiles    map[string]clock.Profile
	ownProfiles sync.Map // *domain.Definition → map[string]clock.Profile, of kinds that bring their own
	finder      Finder
	room        room
	backlog     []*group    // answered before the start, and not yet in the store
	unsettled   atomic.Bool // definitions and imports wait for room on the disk
	names       sync.Map    // account → name, until the account changes
	policy      atomic.Pointer[policy]
	overlay     *overlay
	keys        *keyring
	writer      *writer
	hub         *hub
	guard       *guard
	presence    presence
	running     sync.Map // idempotency keys whose request is being done
	setupMu     sync.Mutex
	setup       setup
	foundMu     sync.Mutex
	started     time.Time

	again    chan refreshing
	hurried  chan struct{} // the carrier is waited for
	walls    walls
	imports  importJobs
	files    sync.Mutex    // journal segments stay where they are
	archives sync.RWMutex  // held for reading while a snapshot is written
	erased   chan struct{} // an erased record came into the store
	deriving sync.Mutex    // what records derive from changes for many at once
	closing  chan struct{}
	carried  chan struct{}
	stopOnce sync.Once
	work     sync.WaitGroup // background loops
}

// Init makes a new box in dir.
func Init(dir string) error {
	if err := disk.MkdirAll(dir); err != nil {
		return err
	}
	_, err := identity.Create(filepath.Join(dir, "identity"))
	return err
}

// Open loads a box, carries journal groups that the store does not have
// yet, and starts its writer.
func Open(o Options) (*Box, error) {
	b := &Box{opts: o, log: o.Log, again: make(chan refreshing), hurried: make(chan struct{}, 1), erased: make(chan struct{}, 1), closing: make(chan struct{}), carried: make(chan struct{}),
		keys: &keyring{known: map[envelope.KeyID]seal.ContentKey{}}, hub: newHub(), guard: newGuard()}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.opts.Clock == nil {
		b.opts.Clock = SystemClock()
	}
	if err := b.load(); err != nil {
		return nil, errors.Join(err, b.closeFiles())
	}
	if err := b.tellClock(); err != nil {
		return nil, errors.Join(err, b.closeFiles())
	}
	b.started = time.Now()
	go b.writer.run()
	go b.carry(b.backlog)
	if o.still {
		return b, nil
	}
	if err := b.settle(context.Background()); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	b.background(superviseEvery, b.supervise)
	b.background(tendEvery, b.tend)
	b.background(quietEvery, b.giveBack())
	b.background(tendEvery, b.holdClock)
	b.background(time.Hour, b.housekeep)
	b.backgroundOn(b.erased, eraseEvery, b.destroyErased)
	return b, nil
}

// settle writes what a start owes. On a full disk the box reads on, and
// does it later.
func (b *Box) settle(ctx context.Context) error {
	err := b.adoptDefinitions(ctx)
	if err == nil {
		err = b.settleImports(ctx)
	}
	b.unsettled.Store(err != nil)
	if errors.Is(err, ErrFull) || errors.Is(err, ErrBehind) {
		b.log.Warn("the disk is full, the start is finished later", "err", err)
		return nil
	}
	return err
}

// giveBack returns memory that work has left over, once after each stretch
// of it: the runtime alone takes many minutes.
func (b *Box) giveBack() func(context.Context) error {
	seen, given := uint64(0), false
	return func(context.Context) error {
		last := b.overlay.answered()
		if last == seen && !given {
			debug.FreeOSMemory()
			given = true
		}
		if last != seen {
			seen, given = last, false
		}
		return nil
	}
}

// tend keeps the ballast and finishes a start that found no room.
func (b *Box) tend(ctx context.Context) error {
	if err := b.room.tend(); err != nil || !b.unsettled.Load() || b.room.take(0) != nil {
		return err
	}
	return b.settle(ctx)
}

func (b *Box) load() (err error) {
	b.room = room{dir: b.opts.Dir, marks: usualMarks}
	if b.opts.marks != nil {
		b.room.marks = *b.opts.marks
	}
	if b.id, err = identity.Load(filepath.Join(b.opts.Dir, "identity")); err != nil {
		return err
	}
	b.macKey = seal.Derive(b.id.BoxKey(), "request")
	b.clock = newTimekeeper(b.opts.Clock, b.id.Extra)
	if b.embedded, err = catalog.Embedded(); err != nil {
		return err
	}
	if b.profiles, err = b.embedded.Profiles(); err != nil {
		return err
	}
	file := filepath.Join(b.opts.Dir, "store.db")
	if b.store, err = store.Open(file, store.Options{}); err != nil {
		return err
	}
	if err := b.room.spend(); err != nil { // behind the store's lock
		return err
	}
	if err := os.RemoveAll(b.spool()); err != nil { // uploads that a crash cut off
		return err
	}
	if b.local, err = store.OpenLocal(filepath.Join(b.opts.Dir, "local.db")); err != nil {
		return err
	}
	b.local.Ceiling = func() *time.Timer { return b.stalled("local") }
	if b.audit, err = audit.Open(filepath.Join(b.opts.Dir, "audit")); err != nil {
		return err
	}
	p, err := b.loadPolicy()
	if err != nil {
		return err
	}
	b.policy.Store(p)
	if err := b.replay(); err != nil || b.opts.still || len(b.backlog) > 0 {
		return err
	}
	return store.DropOlder(file)
}

// loadPolicy reads accounts, organisations, definitions and calendars from
// the store.
func (b *Box) loadPolicy() (*policy, error) {
	p := newPolicy(b.embedded, domain.Seat{Origin: b.id.Origin()})
	for _, kind := range policyKinds {
		var after []byte
		prefix := keyOf("k", kind)
		for {
			hits, err := b.store.Scan(prefix, after, false, 1000)
			if err != nil {
				return nil, err
			}
			for _, h := range hits {
				r, err := b.storedRecord(h.ID)
				if err != nil {
					return nil, err
				}
				if err := b.absorbStored(p, r); err != nil {
					return nil, fmt.Errorf("service: policy record %s: %w", r.ID, err)
				}
			}
			if len(hits) < 1000 {
				break
			}
			after = hits[len(hits)-1].Key
		}
	}
	position, err := b.store.Position()
	p.version = position.Seq
	return p, err
}

// absorbStored also takes the rows of a job whose lists do not name them
// yet.
func (b *Box) absorbStored(p *policy, r *domain.Record) error {
	if err := p.absorb(r, 0); err != nil || r.Definition.ID != kindImport || settled(r) {
		return err
	}
	rows, err := b.store.Scan(keyOf("i", r.ID.String()), nil, false, math.MaxInt32)
	if err != nil {
		return err
	}
	for _, h := range rows {
		row, err := b.storedRecord(h.ID)
		if err == nil && isPolicyKind(row.Definition.ID) {
			err = p.absorb(row, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// replay opens the journal and folds every group that the store lacks.
func (b *Box) replay() error {
	position, err := b.store.Position()
	if err != nil {
		return err
	}
	head := envelope.Head{Origin: b.id.Origin(), Incarnation: max(position.Incarnation, 1), Seq: position.Seq, Hash: position.Head}
	b.overlay = newOverlay(head.Seq)
	b.imports.replayed = map[envelope.RecordID]bool{}
	b.writer = &writer{box: b, commands: make(chan *command, 1024), stored: make(chan *group, maxLagOps+1), stopped: make(chan struct{}), head: head}
	replayed := make(chan []*group)
	committed := make(chan error, 1)
	go func() { committed <- b.commitReplayed(replayed) }()
	err = b.refoldAll(position, replayed)
	close(replayed)
	if err := errors.Join(err, <-committed); err != nil {
		return err
	}
	if b.writer.head.Incarnation < b.id.Incarnation() { // reborn: a chain of its own begins
		if len(b.backlog) > 0 {
			return fmt.Errorf("%w: a restored box needs room to start", ErrFull)
		}
		b.writer.head = envelope.Head{Origin: b.id.Origin(), Incarnation: b.id.Incarnation()}
		b.overlay = newOverlay(0)
	}
	return nil
}

// refoldAll opens the journal and hands its groups on in parts, so that one
// part is folded while the last one is put into the store.
func (b *Box) refoldAll(from envelope.Position, replayed chan<- []*group) (err error) {
	const part = maxLagOps / 2
	var waiting []*group
	ops := 0
	b.journal, err = b.opts.Journals.Open(JournalOptions{
		JournalFiles: journalFiles(b.opts.Dir, b.id.Origin()), Incarnation: b.id.Incarnation(), Sign: b.id.Sign, From: from,
	}, func(jg envelope.Replayed) error {
		g, err := b.refold(jg)
		if err != nil {
			return err
		}
		b.overlay.add(g)
		b.imports.noteReplayed(g)
		waiting, ops = append(waiting, g), ops+len(g.ops)
		if ops >= part {
			replayed <- waiting
			waiting, ops = nil, 0
		}
		return nil
	})
	if err == nil && len(waiting) > 0 {
		replayed <- waiting
	}
	return err
}

// commitReplayed puts parts into the store; after a failure it only takes
// them, so that the reader ends. What a full disk keeps out is the backlog:
// it is read from memory, and carried in when there is room.
func (b *Box) commitReplayed(parts <-chan []*group) (err error) {
	ops := 0
	for groups := range parts {
		if err != nil {
			continue
		}
		if len(b.backlog) == 0 {
			if err = b.commit(groups); !errors.Is(err, store.ErrFull) {
				continue
			}
		}
		b.backlog = append(b.backlog, groups...)
		for _, g := range groups {
			ops += len(g.ops)
		}
		if ops <= maxLagOps+maxGroupOps {
			err = nil // no more than a running box leaves
		}
	}
	return err
}

// refold decides the operations of a replayed group again, exactly as the
// writer did.
func (b *Box) refold(jg envelope.Replayed) (*group, error) {
	g := newGroup()
	t := &turn{box: b, group: g, head: b.writer.head, own: newGroup()}
	for _, raw := range jg.Ops {
		op, err := envelope.Decode(raw)
		if err != nil {
			return nil, err
		}
		if !follows(t.head, op) {
			return nil, fmt.Errorf("service: operation %s does not follow %d", op.ID(), t.head.Seq)
		}
		if err := t.refold(op, raw); err != nil {
			return nil, err
		}
	}
	for _, raw := range jg.KeyFrames {
		f, err := envelope.DecodeKeyFrame(raw)
		if err != nil {
			return nil, err
		}
		t.own.frames = append(t.own.frames, f)
	}
	b.writer.head = t.head
	t.own.at = jg.At
	if t.own.policy != nil {
		b.policy.Store(t.own.policy)
	}
	return t.own, nil
}

// follows checks the chain: the next operation of the incarnation, or the
// first of a later one, which names the head that it continues.
func follows(head envelope.Head, op *envelope.Operation) bool {
	if op.Incarnation == head.Incarnation {
		return op.Seq == head.Seq+1 && op.Prev == head.Hash
	}
	c := op.Continues
	return op.Incarnation > head.Incarnation && op.Seq == 1 && c != nil && (c.Seq == 0 || c.Incarnation == head.Incarnation) && c.Seq == head.Seq && c.Head == head.Hash
}

// refold folds one operation that is already in the journal.
func (t *turn) refold(op *envelope.Operation, raw []byte) error {
	before, err := t.Record(op.Record)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	after, v := domain.Fold(before, op, t.policy())
	if v.Reason == domain.ReasonDefinition { // it was known when the step was taken
		return &MisreadError{Kind: op.Definition.ID, Version: int64(op.Definition.Version)}
	}
	s := staged{op: op, bytes: raw, hash: envelope.Sum(raw), verdict: v}
	t.own.ops = append(t.own.ops, s)
	t.head = envelope.Head{Origin: op.Origin, Incarnation: op.Incarnation, Seq: op.Seq, Hash: s.hash}
	if err := t.countSeries(op, before); err != nil {
		return err
	}
	if op.Request != nil {
		t.own.claims[op.Request.Key] = claim{MAC: op.Request.MAC, Record: op.Record, Op: op.ID(), N: op.Request.N, M: op.Request.M, At: op.At}
	}
	if after == nil {
		return nil
	}
	t.own.records[op.Record] = after
	return t.absorb(after, op.Seq)
}

// Close answers nobody any more, carries what is answered into the store
// and closes the files.
func (b *Box) Close() error {
	b.stopOnce.Do(func() { close(b.closing) })
	b.work.Wait()
	<-b.writer.stopped
	<-b.carried
	b.hub.close()
	return b.closeFiles()
}

func (b *Box) closeFiles() error {
	var errs []error
	if b.journal != nil {
		errs = append(errs, b.journal.Close())
	}
	if b.store != nil {
		errs = append(errs, b.store.Close())
	}
	if b.local != nil {
		errs = append(errs, b.local.Close())
	}
	if b.audit != nil {
		errs = append(errs, b.audit.Close())
	}
	return errors.Join(errs...)
}

// fatal ends the box: a journal or store that failed once is not trusted
// again in this process.
func (b *Box) fatal(err error) {
	b.log.Error("stopping: storage failed", "err", err)
	b.stopOnce.Do(func() { close(b.closing) })
	if b.opts.Fatal != nil {
		b.opts.Fatal(err)
		return
	}
	os.Exit(1)
}

const (
	tendEvery  = 5 * time.Second
	quietEvery = 10 * time.Second
)

// background runs f until the box closes.
func (b *Box) background(every time.Duration, f func(ctx context.Context) error) {
	b.backgroundOn(nil, every, f)
}

// backgroundOn runs f also when it is woken.
func (b *Box) backgroundOn(woken <-chan struct{}, every time.Duration, f func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-b.closing; cancel() }()
	b.work.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				b.log.Warn("background work failed", "err", err)
			}
			select {
			case <-tick.C:
			case <-woken:
			case <-b.closing:
				return
			}
		}
	})
}

// index is the place of a sequence in the box's own order.
func (b *Box) index(seq uint64) envelope.Index {
	cluster, generation := b.id.Cluster()
	return envelope.Index{Cluster: cluster, Generation: generation, N: seq}
}

// record gives the newest answered view of a record.
func (b *Box) record(id envelope.RecordID) (*domain.Record, error) {
	if r, ok := b.overlay.record(id); ok {
		return r, nil
	}
	return b.storedRecord(id)
}

func (b *Box) storedRecord(id envelope.RecordID) (*domain.Record, error) {
	r, ok, err := b.store.Record(id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrNotFound
	}
	return r, nil
}

func (b *Box) claim(key string) (claim, bool, error) {
	b.overlay.mu.RLock()
	c, ok := b.overlay.claims[key]
	b.overlay.mu.RUnlock()
	if ok {
		return c, true, nil
	}
	row, ok, err := b.store.Request(key)
	if err != nil || !ok {
		return claim{}, false, err
	}
	return claim{MAC: row.MAC, Record: row.Record, Op: row.Op, N: row.N, M: row.M, At: row.At}, true, nil
}

func (b *Box) seriesLast(name string) (int64, error) {
	b.overlay.mu.RLock()
	n, ok := b.overlay.series[name]
	b.overlay.mu.RUnlock()
	if ok {
		return n, nil
	}
	return b.store.Series(name)
}

// Organisation is the code whose box this is, "" before set-up.
func (b *Box) Organisation() string { return b.id.Organisation() }

// VerifyHead checks a head against this box's own key.
func (b *Box) verifyHead(h envelope.Head, s envelope.Signature) bool {
	public := b.id.PublicKey()
	return len(public) == 1+ed25519.PublicKeySize && identity.Verify(public, h, s)
}
