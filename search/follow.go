package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/index/scorch/mergeplan"
)

// Source gives documents in the order of changes.
type Source interface {
	// Generation names the store; another one is indexed from the start.
	Generation() (string, error)
	Head() (uint64, error)
	// Total is about how many changes lie before the head.
	Total() (int64, error)
	// Changes lists documents changed after n and the number of the last:
	// at most limit of them, fewer once they are more than size bytes.
	Changes(ctx context.Context, after uint64, limit, size int) ([]Document, uint64, error)
}

const (
	liveBatch  = 250
	largeBatch = 1000
	batchBytes = 2 << 20
	pollEvery  = 500 * time.Millisecond
	scrubEvery = 24 * time.Hour
	// restShare of the time that a large batch took is left to people.
	restShare = 4
)

// Follow indexes changes until ctx ends. It looks twice a second, and when
// somebody waits: many small batches would cost more in merging than the
// records themselves.
func (x *Index) Follow(ctx context.Context, src Source, log *slog.Logger) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var scrubbed time.Time
	for ctx.Err() == nil {
		err := x.catchUp(ctx, src)
		if err == nil && (x.suspect.Swap(false) || time.Since(scrubbed) > scrubEvery) {
			scrubbed = time.Now()
			err = x.scrub(ctx)
		}
		if err != nil && ctx.Err() == nil {
			if x.news(err) {
				log.Warn("search index", "err", err)
			}
			err = x.recover(err)
		}
		x.note(err)
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-x.awaited:
		}
	}
}

// recover begins again where the error says that the index is damaged.
func (x *Index) recover(err error) error {
	if !errors.Is(err, errDamaged) {
		return err
	}
	return x.reset()
}

// news reports whether the last try did not fail in the same way: a disk may
// be full for days.
func (x *Index) news(err error) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.err != err.Error()
}

func (x *Index) note(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = ""
	if err != nil {
		x.err = err.Error()
	}
}

// catchUp indexes everything up to the head of the source.
func (x *Index) catchUp(ctx context.Context, src Source) error {
	if x.damaged.Load() || x.rebuild.Swap(false) {
		if err := x.reset(); err != nil {
			return err
		}
	}
	generation, err := src.Generation()
	if err != nil {
		return err
	}
	if x.place.Generation != generation && x.place.N > 0 {
		if err := x.reset(); err != nil {
			return err
		}
	}
	for {
		more, err := x.step(ctx, src, generation)
		if err != nil || !more {
			return errors.Join(err, x.purgeErased(ctx))
		}
		if ctx.Err() != nil || x.damaged.Load() || x.rebuild.Load() {
			return ctx.Err()
		}
	}
}

// Refill builds the index again from the start and returns when it is
// whole. Nothing else may follow the source meanwhile.
func (x *Index) Refill(ctx context.Context, src Source, progress func(percent int)) error {
	if err := x.reset(); err != nil {
		return err
	}
	generation, err := src.Generation()
	if err != nil {
		return err
	}
	for more := true; more && ctx.Err() == nil; progress(x.Status().Percent) {
		if more, err = x.step(ctx, src, generation); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// step indexes one batch and reports whether there is more.
func (x *Index) step(ctx context.Context, src Source, generation string) (more bool, err error) {
	head, err := src.Head()
	if err != nil {
		return false, err
	}
	total, err := src.Total()
	if err != nil {
		return false, err
	}
	at := x.place
	at.Generation = generation
	if at.N >= head {
		if at.Whole && x.place.Generation == generation {
			return false, nil
		}
		at.Whole = true
		return false, x.write(nil, at, total)
	}
	limit := liveBatch
	if head-at.N > 4*liveBatch {
		limit = largeBatch
	}
	start := time.Now()
	docs, last, err := src.Changes(ctx, at.N, limit, batchBytes)
	if err != nil {
		return false, err
	}
	if last == at.N { // what stood up to the head moved beyond it meanwhile
		last = head
	}
	at.N, at.Done = last, at.Done+int64(len(docs))
	at.Whole = at.Whole || last >= head
	if err := x.write(docs, at, total); err != nil {
		return false, err
	}
	if limit == largeBatch {
		rest(ctx, time.Since(start)/restShare)
	}
	return true, nil
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// write indexes documents and the place that they reach in one batch; it
// returns when both are on disk.
func (x *Index) write(docs []Document, at place, total int64) error {
	b := x.index.NewBatch()
	for i := range docs {
		d := &docs[i]
		at.Purge = at.Purge || d.Erased
		if d.Gone || d.Erased {
			b.Delete(d.ID)
			continue
		}
		if err := b.Index(d.ID, fields(d)); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(at)
	if err != nil {
		return err
	}
	b.SetInternal([]byte(placeKey), raw)
	if err := guarded(func() error { return x.index.Batch(b) }); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.place, x.total = at, total
	close(x.moved)
	x.moved = make(chan struct{})
	return nil
}

func fields(d *Document) map[string]any {
	out := map[string]any{"hash": d.Hashes, "number": d.Numbers, "scope": d.Scope, "kind": d.Kind, "type": d.Type, "village": d.Village,
		"state": d.State, "year": d.Year, "facet": facetOf(d), "at": float64(d.At), "time": fmt.Sprintf("%014d", max(d.At, 0))}
	for c, name := range classFields {
		out[name] = d.Texts[c]
	}
	return out
}

// reset begins a new index; Follow fills it again.
func (x *Index) reset() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	closed := guarded(x.index.Close)
	if err := x.begin(); err != nil {
		x.damaged.Store(true) // nothing is open: try again
		return errors.Join(err, closed)
	}
	return nil // what a damaged index says when it is closed does not matter
}

// markerID is a document of no content, see purgeErased.
const markerID = "\x00"

// purgeErased rewrites all segments, so that the terms of erased records
// leave the disk: deleting only hides them. Erasing is rare.
//
// A segment alone is never rewritten. So a marker is written as a second
// one: when all are one again, that one is younger than the erasing. Until
// then the duty stays and Follow comes back to it.
func (x *Index) purgeErased(ctx context.Context) error {
	if !x.place.Purge {
		return nil
	}
	advanced, err := x.index.Advanced()
	if err != nil {
		return err
	}
	s, ok := advanced.(*scorch.Scorch)
	if !ok {
		return errors.New("search: the index is not scorch")
	}
	all := mergeplan.SingleSegmentMergePlanOptions
	all.SegmentsPerMergeTask = 1 << 16
	err = guarded(func() error {
		return errors.Join(x.index.Index(markerID, map[string]any{}), s.ForceMerge(ctx, &all))
	})
	if err != nil || s.StatsMap()["num_root_filesegments"] != uint64(1) || s.StatsMap()["num_root_memorysegments"] != uint64(0) {
		return err
	}
	if err := guarded(func() error { return x.index.Delete(markerID) }); err != nil {
		return err
	}
	at := x.place
	at.Purge = false
	return x.write(nil, at, x.total)
}

// WaitFor waits until the index has the change n, and reports whether it
// has. It does not wait while the index is rebuilt.
func (x *Index) WaitFor(ctx context.Context, n uint64) bool {
	for {
		x.mu.RLock()
		at, moved := x.place, x.moved
		x.mu.RUnlock()
		if at.N >= n {
			return true
		}
		if !at.Whole {
			return false
		}
		select {
		case x.awaited <- struct{}{}:
		default: // Follow knows already
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}
