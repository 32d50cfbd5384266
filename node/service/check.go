package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/identity"
	"github.com/fengqiao/fengqiao/node/seal"
	"github.com/fengqiao/fengqiao/node/store"
)

// CheckReport is what Check found. Problems is empty when all is whole.
type CheckReport struct {
	Operations, Groups, Blobs int64
	Opened, Erased            int64 // sealed values and attachments, of a deep check
	Audit                     uint64
	Store                     store.Report
	Problems                  []string
	head                      envelope.Head // of the journal
}

func (r *CheckReport) problem(err error) {
	if err != nil && len(r.Problems) < 100 {
		r.Problems = append(r.Problems, err.Error())
	}
}

// CheckProgress hears how far a check is; total is 0 when it is not known.
type CheckProgress func(stage string, done, total int64)

// CheckOptions say how far a check goes.
type CheckOptions struct {
	Journals Journals // of a box that is not running
	Deep     bool     // also open every sealed value and attachment
	Progress CheckProgress
}

// Check verifies a box that is not running: chain and signatures of the
// journal, checksums, lists and counters of the store by a recount, hashes
// of attachments, the audit's chain. Damage is a problem in the report.
func Check(ctx context.Context, dir string, o CheckOptions) (CheckReport, error) {
	var r CheckReport
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	id, err := identity.Load(filepath.Join(dir, "identity"))
	if err != nil {
		return r, err
	}
	if err := r.checkFiles(ctx, o.Journals, dir, id, 0, o.Progress); err != nil {
		return r, err
	}
	pages, err := store.CheckFile(filepath.Join(dir, "store.db"))
	r.Problems = append(r.Problems, pages...)
	if err != nil || len(r.Problems) > 0 {
		return r, err // opening the box on damage would only say it again
	}
	b, err := Open(Options{Dir: dir, Journals: o.Journals, Fatal: r.problem, still: true})
	if err != nil {
		r.problem(err)
		return r, nil
	}
	p, err := b.store.Position()
	r.problem(errors.Join(err, r.reaches(p.Incarnation, p.Seq)))
	return r, errors.Join(b.checkStore(ctx, &r, o), b.Close())
}

// Check verifies the box while it works: everything that was answered when
// it began. Imports and calendars wait for it.
func (b *Box) Check(ctx context.Context, o CheckOptions) (CheckReport, error) {
	var r CheckReport
	b.deriving.Lock()
	defer b.deriving.Unlock()
	last := b.overlay.answered()
	b.files.Lock()
	err := r.checkFiles(ctx, b.opts.Journals, b.opts.Dir, b.id, last, o.Progress)
	b.files.Unlock()
	if err != nil {
		return r, err
	}
	if last > 0 {
		r.problem(r.reaches(b.id.Incarnation(), last))
	}
	result := "ok"
	if err = b.checkStore(ctx, &r, o); len(r.Problems) > 0 {
		result = "damage"
	}
	return r, errors.Join(err, b.noteFor(envelope.RecordID{}, audit.Entry{Action: "check", Result: result}))
}

// checkFiles proves what can be read without the box.
func (r *CheckReport) checkFiles(ctx context.Context, journals Journals, dir string, id *identity.Identity, last uint64, progress CheckProgress) error {
	err := r.checkJournal(ctx, journals, dir, id, last, progress)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.problem(err)
	head, err := audit.Verify(filepath.Join(dir, "audit"), audit.Head{})
	r.Audit = head.Seq
	r.problem(err)
	r.problem(r.checkBlobs(dir, progress))
	return nil
}

func (b *Box) checkStore(ctx context.Context, r *CheckReport, o CheckOptions) (err error) {
	if err := b.settled(ctx); err != nil {
		return err
	}
	r.Store, err = b.store.Check(ctx, b.derive, func(done, total int64) { o.Progress("store", done, total) })
	r.Problems = append(r.Problems, r.Store.Problems...)
	r.problem(b.missingBlobs(r))
	if err == nil && o.Deep {
		err = b.checkSealed(ctx, r, o.Progress)
	}
	return err
}

// reaches finds a journal that ends early: opening reads only what the
// store lacks, and takes no notice.
func (r *CheckReport) reaches(incarnation uint32, seq uint64) error {
	if incarnation < r.head.Incarnation || incarnation == r.head.Incarnation && seq <= r.head.Seq {
		return nil
	}
	return fmt.Errorf("journal: it ends at operation %d of %d, the box had %d of %d", r.head.Seq, r.head.Incarnation, seq, incarnation)
}

// checkSealed opens everything that the box should be able to open.
func (b *Box) checkSealed(ctx context.Context, r *CheckReport, progress CheckProgress) error {
	var from envelope.RecordID
	for more := true; more; {
		var err error
		from, more, err = b.store.EachRecord(from, 200, func(rec *domain.Record) error {
			for _, f := range allSealed(rec) {
				_, err := b.open(rec, f)
				r.opened(fmt.Sprintf("record %s, %s", rec.ID, f.Path), err)
			}
			for _, f := range rec.Files {
				r.opened(fmt.Sprintf("attachment %x", f.Hash[1:]), b.proveFile(rec.ID, f))
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		progress("sealed", r.Opened, 0)
	}
	return nil
}

func (r *CheckReport) opened(what string, err error) {
	switch {
	case err == nil:
		r.Opened++
	case errors.Is(err, ErrErased):
		r.Erased++
	default:
		r.problem(fmt.Errorf("%s cannot be opened: %w", what, err))
	}
}

// proveFile reads an attachment through its key.
func (b *Box) proveFile(id envelope.RecordID, f domain.File) error {
	key, err := b.contentKey(id, f.Key)
	if err != nil {
		return err
	}
	in, err := os.Open(b.blobPath(f.Hash))
	if err != nil {
		return err
	}
	plain, err := seal.OpenBlob(in, key.Key)
	if err == nil {
		_, err = io.Copy(io.Discard, plain)
	}
	return errors.Join(err, in.Close())
}

// errSeen ends the walk at the newest operation that was answered.
var errSeen = errors.New("service: the rest is being written")

// checkJournal walks the chain; last is the newest operation of the present
// incarnation to look at, 0 for all.
func (r *CheckReport) checkJournal(ctx context.Context, journals Journals, dir string, id *identity.Identity, last uint64, progress CheckProgress) error {
	head := envelope.Head{Incarnation: 1} // the first operation ever follows nothing
	public := id.PublicKey()
	err := journals.Range(journalFiles(dir, id.Origin()), func(g envelope.Replayed) error {
		r.Groups++
		if g.Erasing > 0 {
			r.problem(fmt.Errorf("journal: the erasure of %d keys before operation %d was not finished; erase again", g.Erasing, g.Head.Seq))
		}
		for _, raw := range g.Ops {
			op, err := envelope.Decode(raw)
			if err != nil {
				return err
			}
			if !follows(head, op) {
				return fmt.Errorf("journal: operation %s does not follow %d", op.ID(), head.Seq)
			}
			head = envelope.Head{Origin: op.Origin, Incarnation: op.Incarnation, Seq: op.Seq, Hash: envelope.Sum(raw)}
			r.Operations++
		}
		r.head = head
		if g.Head != head || !identity.Verify(public, head, g.Signature) {
			return fmt.Errorf("journal: the signature at operation %d does not fit", head.Seq)
		}
		if r.Groups%1000 == 0 {
			progress("journal", r.Operations, 0)
		}
		if last > 0 && head.Incarnation == id.Incarnation() && head.Seq >= last {
			return errSeen
		}
		return ctx.Err()
	})
	if errors.Is(err, errSeen) {
		return nil
	}
	return err
}

// checkBlobs reads every attachment against the hash in its name.
func (r *CheckReport) checkBlobs(dir string, progress CheckProgress) error {
	root := filepath.Join(dir, "blobs")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		r.Blobs++
		want := hex.EncodeToString(append([]byte{envelope.SHA256}, h.Sum(nil)...))
		if d.Name() != want {
			r.problem(fmt.Errorf("attachment %s was changed", d.Name()))
		}
		progress("blobs", r.Blobs, 0)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// missingBlobs finds attachments that a record names and the box lacks.
func (b *Box) missingBlobs(r *CheckReport) error {
	from, more := envelope.RecordID{}, true
	for more {
		var err error
		from, more, err = b.store.EachRecord(from, 1000, func(rec *domain.Record) error {
			for _, f := range rec.Files {
				if rec.Erased { // gone with its key, or about to
					break
				}
				if _, err := os.Stat(b.blobPath(f.Hash)); err != nil {
					r.problem(fmt.Errorf("attachment %s of record %s is missing", hex.EncodeToString(f.Hash[:]), rec.ID))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
