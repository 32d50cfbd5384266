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
	"github.com/fengqiao/fengqiao/cluster/journal"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/identity"
	"github.com/fengqiao/fengqiao/node/store"
)

// CheckReport is what Check found. Problems is empty when all is whole.
type CheckReport struct {
	Operations, Groups, Blobs int64
	Audit                     uint64
	Store                     store.Report
	Problems                  []string
}

func (r *CheckReport) problem(err error) {
	if err != nil && len(r.Problems) < 100 {
		r.Problems = append(r.Problems, err.Error())
	}
}

// Check verifies a box that is not running: chain and signatures of the
// journal, checksums, lists and counters of the store by a recount, hashes
// of attachments, the audit's chain. Damage is a problem in the report.
func Check(ctx context.Context, dir string, progress func(stage string, done, total int64)) (CheckReport, error) {
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	var r CheckReport
	id, err := identity.Load(filepath.Join(dir, "identity"))
	if err != nil {
		return r, err
	}
	r.problem(r.checkJournal(dir, id, progress))
	head, err := audit.Verify(filepath.Join(dir, "audit"), audit.Head{})
	r.Audit = head.Seq
	r.problem(err)
	blobs, err := r.checkBlobs(dir, progress)
	r.problem(err)
	pages, err := store.CheckFile(filepath.Join(dir, "store.db"))
	if err != nil {
		return r, err
	}
	r.Problems = append(r.Problems, pages...)
	if len(r.Problems) > 0 {
		return r, nil // opening the box on damage would only say it again
	}
	b, err := Open(Options{Dir: dir, Fatal: r.problem})
	if err != nil {
		r.problem(err)
		return r, nil
	}
	err = b.settled(ctx)
	if err == nil {
		r.Store, err = b.store.Check(ctx, b.derive, func(done, total int64) { progress("store", done, total) })
	}
	r.problem(r.missingBlobs(b.store, blobs))
	r.Problems = append(r.Problems, r.Store.Problems...)
	return r, errors.Join(err, b.Close())
}

func (r *CheckReport) checkJournal(dir string, id *identity.Identity, progress func(string, int64, int64)) error {
	head := envelope.Head{Incarnation: 1} // the first operation ever follows nothing
	public := id.PublicKey()
	return journal.Range(nil, filepath.Join(dir, "journal"), filepath.Join(dir, "history"), id.Origin(), func(g journal.Replayed) error {
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
		if g.Head != head || !identity.Verify(public, head, g.Signature) {
			return fmt.Errorf("journal: the signature at operation %d does not fit", head.Seq)
		}
		if r.Groups%1000 == 0 {
			progress("journal", r.Operations, 0)
		}
		return nil
	})
}

// checkBlobs reads every attachment against the hash in its name, and gives
// the names.
func (r *CheckReport) checkBlobs(dir string, progress func(string, int64, int64)) (map[string]bool, error) {
	names := map[string]bool{}
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
		names[d.Name()] = true
		progress("blobs", r.Blobs, 0)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return names, err
}

// missingBlobs finds attachments that a record names and nobody has.
func (r *CheckReport) missingBlobs(s *store.Store, have map[string]bool) error {
	from, more := envelope.RecordID{}, true
	for more {
		var err error
		from, more, err = s.EachRecord(from, 1000, func(rec *domain.Record) error {
			for _, f := range rec.Files {
				if name := hex.EncodeToString(f.Hash[:]); !have[name] {
					r.problem(fmt.Errorf("attachment %s of record %s is missing", name, rec.ID))
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

// LastHead reads the newest operation that a directory holds.
func LastHead(dir string, id *identity.Identity, head *envelope.Head) error {
	return journal.Range(nil, filepath.Join(dir, "journal"), filepath.Join(dir, "history"), id.Origin(), func(g journal.Replayed) error {
		*head = g.Head
		return nil
	})
}
