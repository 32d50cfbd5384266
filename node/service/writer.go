package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/store"
)

// Limits of one group and of what is answered but not yet in the store.
const (
	maxGroupOps   = 256
	maxGroupBytes = 1 << 20
	maxLagOps     = 8192
	settleLimit   = 2 * time.Second
	// carryRest is how long answered groups gather before the next store
	// transaction while nobody waits for them: each transaction syncs twice,
	// on the disk that the journal wants.
	carryRest = 250 * time.Millisecond
)

// command is one caller's atomic piece of work.
type command struct {
	fn   func(*turn) error
	done chan error
}

// staged is an operation that was folded and waits for its group.
type staged struct {
	op      *envelope.Operation
	bytes   []byte
	hash    envelope.Hash
	verdict envelope.Verdict
}

// group is what one journal sync makes durable.
type group struct {
	ops     []staged
	size    int
	frames  []*envelope.KeyFrame
	raw     [][]byte // frames as bytes
	records map[envelope.RecordID]*domain.Record
	series  map[string]int64
	claims  map[string]claim
	policy  *policy // nil when untouched
	at      envelope.Position
}

// claim is an idempotency key bound to its request.
type claim struct {
	MAC    []byte
	Record envelope.RecordID
	Op     envelope.OpID
	N, M   uint16
	At     int64
}

func newGroup() *group {
	return &group{records: map[envelope.RecordID]*domain.Record{}, series: map[string]int64{}, claims: map[string]claim{}}
}

// turn is a command's view while the writer decides: everything before it,
// durable or not, plus what it staged itself.
type turn struct {
	box   *Box
	group *group
	head  envelope.Head
	own   *group
}

// writer is the box's single writer of class A.
type writer struct {
	box      *Box
	commands chan *command
	stored   chan *group
	head     envelope.Head
	stopped  chan struct{}
}

// do runs fn in the writer's order and returns when its operations are
// durable. fn must not block.
func (b *Box) do(ctx context.Context, fn func(*turn) error) error {
	c := &command{fn: fn, done: make(chan error, 1)}
	select {
	case b.writer.commands <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-b.closing:
		return ErrStopping
	}
	select {
	case err := <-c.done:
		return err
	case <-b.writer.stopped: // perhaps before the command was taken
	}
	select {
	case err := <-c.done:
		return err
	default:
		return ErrStopping
	}
}

// run is the writer's loop: decide what waits, sync once, answer, hand on.
func (w *writer) run() {
	defer close(w.stopped)
	defer close(w.stored)
	for {
		select {
		case c := <-w.commands:
			w.serve(c)
		case <-w.box.closing:
			w.drain()
			return
		}
	}
}

// drain answers those who were already in line.
func (w *writer) drain() {
	for {
		select {
		case c := <-w.commands:
			c.done <- ErrStopping
		default:
			return
		}
	}
}

func (w *writer) serve(first *command) {
	g, before := newGroup(), w.head
	var waiting []*command
	for c := first; c != nil; c = w.next(g) {
		if err := w.decide(g, c); err != nil {
			c.done <- err
			continue
		}
		waiting = append(waiting, c)
	}
	if len(g.ops) > 0 {
		err := w.keep(g)
		if errors.Is(err, envelope.ErrFull) { // nothing of it was written
			w.head = before
			for _, c := range waiting {
				c.done <- asFull(err)
			}
			return
		}
		if err != nil {
			w.box.fatal(fmt.Errorf("journal: %w", err))
			return // nothing is answered: it may or may not be on disk
		}
	}
	for _, c := range waiting {
		c.done <- nil
	}
	if len(g.ops) > 0 {
		w.stored <- g
		w.await()
	}
}

// await holds the writer while the store is too far behind: what is not in
// it must fit in memory and be folded again after a crash.
func (w *writer) await() {
	for {
		lag, moved := w.box.overlay.lag()
		if lag > maxLagOps/2 {
			w.box.hurry()
		}
		if lag <= maxLagOps {
			return
		}
		select {
		case <-moved:
		case <-w.box.closing:
			return
		}
	}
}

// next takes another waiting command while the group has room.
func (w *writer) next(g *group) *command {
	if len(g.ops) >= maxGroupOps || g.size >= maxGroupBytes {
		return nil
	}
	select {
	case c := <-w.commands:
		return c
	default:
		return nil
	}
}

// decide runs one command; what it staged joins the group only when it
// succeeds.
func (w *writer) decide(g *group, c *command) (err error) {
	t := &turn{box: w.box, group: g, head: w.head, own: newGroup()}
	if err := c.fn(t); err != nil {
		return err
	}
	g.ops = append(g.ops, t.own.ops...)
	g.size += t.own.size
	g.frames = append(g.frames, t.own.frames...)
	g.raw = append(g.raw, t.own.raw...)
	maps.Copy(g.records, t.own.records)
	maps.Copy(g.series, t.own.series)
	maps.Copy(g.claims, t.own.claims)
	if t.own.policy != nil {
		g.policy = t.own.policy
	}
	w.head = t.head
	return nil
}

// keep makes the group durable and visible.
func (w *writer) keep(g *group) error {
	ops := make([][]byte, len(g.ops))
	for i := range g.ops {
		ops[i] = g.ops[i].bytes
	}
	defer w.box.stalled("journal").Stop()
	at, err := w.box.journal.Append(envelope.Group{Ops: ops, KeyFrames: g.raw, First: g.ops[0].op.Seq, Head: w.head})
	if err != nil {
		return err
	}
	g.at = at
	w.box.overlay.add(g)
	if g.policy != nil {
		w.box.policy.Store(g.policy)
	}
	return nil
}

// Record gives the record as it stands at this turn.
func (t *turn) Record(id envelope.RecordID) (*domain.Record, error) {
	for _, g := range []*group{t.own, t.group} {
		if r, ok := g.records[id]; ok {
			return r, nil
		}
	}
	return t.box.record(id)
}

// policy is the policy as it stands at this turn.
func (t *turn) policy() *policy {
	switch {
	case t.own.policy != nil:
		return t.own.policy
	case t.group.policy != nil:
		return t.group.policy
	}
	return t.box.policy.Load()
}

// claim binds an idempotency key; replayed is true when the same request
// was already done.
func (t *turn) claim(key string, mac []byte) (c claim, replayed bool, err error) {
	if key == "" {
		return claim{}, false, nil
	}
	found, ok := t.group.claims[key]
	if !ok {
		if found, ok, err = t.box.claim(key); err != nil {
			return claim{}, false, err
		}
	}
	if !ok {
		return claim{}, false, nil
	}
	if string(found.MAC) != string(mac) {
		return claim{}, false, ErrKeyReused
	}
	return found, true, nil
}

// next gives the next number of a series.
func (t *turn) next(series string) (int64, error) {
	for _, g := range []*group{t.own, t.group} {
		if n, ok := g.series[series]; ok {
			t.own.series[series] = n + 1
			return n + 1, nil
		}
	}
	n, err := t.box.seriesLast(series)
	if err != nil {
		return 0, err
	}
	t.own.series[series] = n + 1
	return n + 1, nil
}

// stage gives the operation its place in the chain and folds it. A verdict
// other than applied is a *Refusal and stages nothing.
func (t *turn) stage(op *envelope.Operation, frames []*envelope.KeyFrame) (*domain.Record, error) {
	before, err := t.Record(op.Record)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	t.place(op, before)
	after, v := domain.Fold(before, op, t.policy())
	if v.Code != envelope.Applied {
		return nil, &Refusal{Verdict: v, Record: before}
	}
	bytes, hash, err := envelope.Encode(op)
	if err != nil {
		return nil, err
	}
	if envelope.Writable(bytes) != nil {
		return nil, &InputError{Fields: []FieldError{{Code: "null_characters", Message: domain.Text{
			ZH: "内容中有一长串空字符，无法保存；请删除后再提交", EN: "The content has a long run of null characters and cannot be kept. Remove them and submit again."}}}}
	}
	for _, f := range frames {
		raw, err := envelope.EncodeKeyFrame(f)
		if err != nil {
			return nil, err
		}
		t.own.raw = append(t.own.raw, raw)
	}
	t.own.ops = append(t.own.ops, staged{op: op, bytes: bytes, hash: hash, verdict: v})
	t.own.size += len(bytes)
	t.own.frames = append(t.own.frames, frames...)
	t.own.records[op.Record] = after
	t.head = envelope.Head{Origin: op.Origin, Incarnation: op.Incarnation, Seq: op.Seq, Hash: hash}
	if op.Request != nil {
		t.own.claims[op.Request.Key] = claim{MAC: op.Request.MAC, Record: op.Record, Op: op.ID(), N: op.Request.N, M: op.Request.M, At: op.At}
	}
	return after, t.absorb(after, op.Seq)
}

// place fills what the writer alone knows: identity, chain, custody, time.
func (t *turn) place(op *envelope.Operation, before *domain.Record) {
	op.Format, op.Level = envelope.Format, envelope.Level
	op.Origin, op.Incarnation = t.box.id.Origin(), t.box.id.Incarnation()
	op.Seq, op.Prev = t.head.Seq+1, t.head.Hash
	if op.Seq == 1 {
		op.Continues = t.box.id.Continues()
	}
	op.At, op.Time = t.box.clock.Now()
	op.Seen = t.box.index(t.head.Seq)
	op.Policy = t.policy().version
	op.Epoch = 1
	if before != nil {
		op.Epoch = before.Epoch
		if op.Class == envelope.ClassA && op.LastA == nil {
			last := before.LastA
			op.LastA = &last
		}
	}
}

// absorb folds policy records into this turn's own policy.
func (t *turn) absorb(r *domain.Record, seq uint64) error {
	if !isPolicyKind(r.Definition.ID) {
		return nil
	}
	if t.own.policy == nil {
		t.own.policy = t.policy().clone()
	}
	return t.own.policy.absorb(r, seq)
}

func isPolicyKind(kind string) bool {
	for _, k := range policyKinds {
		if k == kind {
			return true
		}
	}
	return false
}

// overlay holds what is answered and not yet in the store.
type overlay struct {
	mu      sync.RWMutex
	records map[envelope.RecordID]pending
	claims  map[string]claim
	keys    map[envelope.KeyID]*envelope.KeyFrame
	series  map[string]int64
	last    uint64 // newest answered sequence
	stored  uint64 // newest sequence in the store
	moved   chan struct{}
}

type pending struct {
	record *domain.Record
	seq    uint64
}

func newOverlay(at uint64) *overlay {
	return &overlay{records: map[envelope.RecordID]pending{}, claims: map[string]claim{},
		keys: map[envelope.KeyID]*envelope.KeyFrame{}, series: map[string]int64{},
		last: at, stored: at, moved: make(chan struct{})}
}

func (o *overlay) add(g *group) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = g.ops[len(g.ops)-1].op.Seq
	for id, r := range g.records {
		o.records[id] = pending{r, o.last}
	}
	for _, f := range g.frames {
		o.keys[f.Key] = f
	}
	maps.Copy(o.claims, g.claims)
	maps.Copy(o.series, g.series)
}

// drop forgets what the store now has.
func (o *overlay) drop(groups []*group) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, g := range groups {
		last := g.ops[len(g.ops)-1].op.Seq
		for id := range g.records {
			if p, ok := o.records[id]; ok && p.seq <= last {
				delete(o.records, id)
			}
		}
		for _, f := range g.frames {
			delete(o.keys, f.Key)
		}
		for key := range g.claims {
			delete(o.claims, key)
		}
		for name, n := range g.series {
			if o.series[name] <= n {
				delete(o.series, name)
			}
		}
		o.stored = last
	}
	close(o.moved)
	o.moved = make(chan struct{})
}

// lag counts operations that are answered and not in the store; moved is
// closed when some more are.
func (o *overlay) lag() (n uint64, moved <-chan struct{}) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.last - min(o.stored, o.last), o.moved
}

// answered is the newest sequence that is durable.
func (o *overlay) answered() uint64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.last
}

func (o *overlay) record(id envelope.RecordID) (*domain.Record, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	p, ok := o.records[id]
	return p.record, ok
}

// settled waits until the store has everything answered before the call,
// at most two seconds.
func (b *Box) settled(ctx context.Context) error {
	o := b.overlay
	want := o.answered()
	limit := time.NewTimer(settleLimit)
	defer limit.Stop()
	for {
		o.mu.RLock()
		have, moved := o.stored, o.moved
		o.mu.RUnlock()
		if have >= want {
			return nil
		}
		b.hurry()
		select {
		case <-moved:
		case <-limit.C:
			return ErrBehind
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hurry ends the carrier's rest: somebody waits for the store.
func (b *Box) hurry() {
	select {
	case b.hurried <- struct{}{}:
	default:
	}
}

// Quiet waits while people keep the writer busy, at most a second. Work that
// may come later calls it between its parts.
func (b *Box) Quiet(ctx context.Context) {
	limit := time.NewTimer(time.Second)
	defer limit.Stop()
	for {
		lag, moved := b.overlay.lag()
		if lag == 0 {
			return
		}
		select {
		case <-moved:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// fullRetry is how often a store that found no room is asked again.
const fullRetry = time.Second

// carry moves answered groups into the store, as many as wait at once.
// backlog is what the start could not carry in.
func (b *Box) carry(backlog []*group) {
	defer close(b.carried)
	defer func() {
		for range b.writer.stored { // the next start carries them in
		}
	}()
	if len(backlog) > 0 && !b.commitSoon(backlog) {
		return
	}
	for {
		select {
		case first, ok := <-b.writer.stored:
			if !ok {
				return
			}
			if !b.commitSoon(b.waiting(first)) {
				return
			}
			b.rest()
		case r := <-b.again:
			r.done <- b.deriveAgain(r.ids)
		}
	}
}

// rest lets groups gather after a transaction.
func (b *Box) rest() {
	select {
	case <-time.After(carryRest):
	case <-b.hurried:
	case <-b.closing:
	}
}

// commitSoon carries groups in, waiting for room on a full disk while reads
// go on; false when the box stops first.
func (b *Box) commitSoon(groups []*group) bool {
	for {
		err := b.commit(groups)
		if err == nil {
			return true
		}
		if !errors.Is(err, store.ErrFull) {
			b.fatal(fmt.Errorf("store: %w", err))
			return false
		}
		b.log.Warn("the store waits for room on the disk", "err", errors.Join(err, b.room.spend()))
		select {
		case <-time.After(fullRetry):
		case <-b.closing:
			return false
		}
	}
}

// waiting takes the groups that are ready behind the first.
func (b *Box) waiting(first *group) []*group {
	groups := []*group{first}
	for {
		select {
		case g, ok := <-b.writer.stored:
			if !ok {
				return groups
			}
			groups = append(groups, g)
		default:
			return groups
		}
	}
}

func (b *Box) commit(groups []*group) error {
	batch, err := b.batch(groups)
	if err != nil {
		return err
	}
	ceiling := b.stalled("store")
	err = b.store.Commit(batch)
	ceiling.Stop()
	if err != nil {
		return err
	}
	b.overlay.drop(groups)
	if slices.ContainsFunc(batch.Rows, func(r store.Row) bool { return r.Record.Erased }) {
		select {
		case b.erased <- struct{}{}:
		default:
		}
	}
	return b.announce(groups)
}

// batch builds the one transaction that carries groups into the store.
func (b *Box) batch(groups []*group) (store.Batch, error) {
	last := groups[len(groups)-1]
	batch := store.Batch{Position: last.at, Series: map[string]int64{}}
	batch.Applied = b.index(last.ops[len(last.ops)-1].op.Seq)
	final := map[envelope.RecordID]*domain.Record{}
	var order []envelope.RecordID
	for _, g := range groups {
		for _, s := range g.ops {
			batch.Verdicts = append(batch.Verdicts, store.VerdictRow{ID: s.op.ID(), Index: b.index(s.op.Seq), Verdict: s.verdict, Record: s.op.Record})
			if _, seen := final[s.op.Record]; !seen {
				order = append(order, s.op.Record)
			}
			final[s.op.Record] = nil
		}
		maps.Copy(final, g.records)
		maps.Copy(batch.Series, g.series)
		for key, c := range g.claims {
			batch.Requests = append(batch.Requests, store.RequestRow{Key: key, MAC: c.MAC, Record: c.Record, Op: c.Op, N: c.N, M: c.M, At: c.At})
		}
		if err := b.keyRows(&batch, g.frames); err != nil {
			return batch, err
		}
	}
	for _, id := range order {
		derived, err := b.derive(final[id])
		if err != nil {
			return batch, err
		}
		batch.Rows = append(batch.Rows, store.Row{Record: final[id], Derived: derived})
	}
	return batch, nil
}
