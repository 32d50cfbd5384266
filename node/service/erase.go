package service

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/envelope/disk"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
	"github.com/fengqiao/fengqiao/node/store"
)

// eraseEvery is how soon an erasure that had to wait, or failed, is tried
// again; a new one begins at once.
const eraseEvery = time.Minute

// erasureStage is a part of destroying what erased records held. Each can be
// done again: a row of the store stands until the last one is done.
type erasureStage struct {
	name string
	do   func(*Box, []store.Erasing) error
}

var erasureStages = []erasureStage{
	{"frames", (*Box).zeroFrames},
	{"keys", (*Box).eraseKeys},
	{"copies", (*Box).scrubKeys},
	{"files", (*Box).removeFiles},
	{"local", (*Box).forgetErased},
	{"done", (*Box).finishErasing},
}

// destroyErased destroys the keys of erased records, and what else of them
// can be found on this box. A check, an import or a backup goes first: it
// reads what this writes over.
func (b *Box) destroyErased(ctx context.Context) error {
	pending, err := b.store.Erasings()
	if err != nil || len(pending) == 0 {
		return err
	}
	for _, lock := range []interface {
		TryLock() bool
		Unlock()
	}{&b.deriving, &b.files, &b.archives} {
		if !lock.TryLock() {
			return nil
		}
		defer lock.Unlock()
	}
	for _, stage := range erasureStages {
		if b.opts.erasing != nil {
			err = b.opts.erasing(stage.name)
		}
		if err := errors.Join(ctx.Err(), err); err != nil {
			return err
		}
		if err := stage.do(b, pending); err != nil {
			return err
		}
	}
	return nil
}

// zeroFrames destroys the keys in journal and history, in one walk.
func (b *Box) zeroFrames(pending []store.Erasing) error {
	records := map[envelope.RecordID]bool{}
	var through envelope.Position
	for _, e := range pending {
		records[e.Record] = true
		if at := (envelope.Position{Incarnation: e.Incarnation, Seq: e.Seq}); at.Incarnation > through.Incarnation || at.Incarnation == through.Incarnation && at.Seq > through.Seq {
			through = at
		}
	}
	_, err := b.opts.Journals.Zero(journalFiles(b.opts.Dir, b.id.Origin()), through, func(raw []byte) bool {
		f, err := envelope.DecodeKeyFrame(raw)
		return err == nil && records[f.Record]
	})
	return err
}

func (b *Box) eraseKeys(pending []store.Erasing) error {
	for _, e := range pending {
		if err := b.store.EraseKeys(e.Record); err != nil {
			return err
		}
		b.keys.forget(e.Record)
		b.names.Delete(e.Record)
	}
	return nil
}

// scrubKeys destroys copies of the keys in free pages of the store, and in
// whole stores that lie beside it.
func (b *Box) scrubKeys([]store.Erasing) error {
	return errors.Join(b.removeBeside("store.db"), b.store.Scrub())
}

// removeBeside removes what was set aside of a file: copies, earlier
// formats, damaged ones.
func (b *Box) removeBeside(name string) error {
	aside, err := filepath.Glob(filepath.Join(b.opts.Dir, name+".*"))
	for _, path := range aside {
		err = errors.Join(err, os.Remove(path))
	}
	return errors.Join(err, disk.SyncDir(b.opts.Dir))
}

// removeFiles frees the room of attachments that nobody can open any more.
func (b *Box) removeFiles(pending []store.Erasing) error {
	for _, e := range pending {
		r, err := b.storedRecord(e.Record)
		if err != nil {
			return err
		}
		for _, f := range r.Files {
			path := b.blobPath(f.Hash)
			if err := os.Remove(path); errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return err
			}
			if err := disk.SyncDir(filepath.Dir(path)); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetErased drops drafts and kept answers that name an erased record,
// earlier versions too.
func (b *Box) forgetErased(pending []store.Erasing) error {
	for bucket, purpose := range map[string]string{bucketDrafts: "draft", bucketAnswers: "answer"} {
		rows, err := b.local.Scan(bucket, nil, 1_000_000)
		if err != nil {
			return err
		}
		key := seal.Derive(b.id.BoxKey(), purpose)
		for _, row := range rows {
			body, err := seal.Open(key, row.Value, row.Key)
			if err != nil || !namesOne(body, pending) { // what cannot be opened holds nothing
				continue
			}
			if err := b.local.Delete(bucket, row.Key); err != nil {
				return err
			}
		}
	}
	return errors.Join(b.removeBeside("local.db"), b.local.Scrub())
}

func namesOne(body json.RawMessage, pending []store.Erasing) bool {
	text := string(body)
	for _, e := range pending {
		if strings.Contains(text, e.Record.String()) {
			return true
		}
	}
	return false
}

// finishErasing notes the end in the audit, and then in the store.
func (b *Box) finishErasing(pending []store.Erasing) error {
	for _, e := range pending {
		b.keys.forget(e.Record) // a reader may have brought one back that it had read before
		r, err := b.storedRecord(e.Record)
		if err != nil {
			return err
		}
		err = b.noteFor(envelope.RecordID{}, audit.Entry{Action: "erase_done", ObjectKind: r.Definition.ID, Object: r.ID.String(), Result: "ok"})
		if err != nil {
			return err
		}
		now, _ := b.clock.Now()
		if err := b.store.FinishErasing(e.Record, now); err != nil {
			return err
		}
	}
	return nil
}

// erasure says how far the destruction of an erased record has got, nil for
// any other.
func (b *Box) erasure(r *domain.Record) (*api.Erasure, error) {
	if !r.Erased {
		return nil, nil
	}
	at, done, err := b.store.Erased(r.ID)
	if done {
		return &api.Erasure{State: "done", At: at}, err
	}
	return &api.Erasure{State: "running"}, err
}

// erasingCheck is said only while there is something to say.
func (b *Box) erasingCheck() []line {
	pending, err := b.store.Erasings()
	switch {
	case err != nil:
		return []line{{"erasing", false, say("读不出待销毁清单，请检查数据", "the list of erasures cannot be read, check the data")}}
	case len(pending) == 0:
		return nil
	}
	return []line{{"erasing", true, say("%d 件记录正在销毁", "%d erasures under way", len(pending))}}
}
