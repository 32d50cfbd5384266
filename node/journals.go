package node

import (
	"context"
	"path/filepath"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/journal"
	"github.com/fengqiao/fengqiao/node/identity"
	"github.com/fengqiao/fengqiao/node/service"
)

// journals gives boxes the files that cluster/journal writes.
type journals struct{}

func (journals) Open(o service.JournalOptions, replay func(envelope.Replayed) error) (service.Journal, error) {
	return journal.Open(journal.Options{Dir: o.Dir, History: o.History, Origin: o.Origin, Incarnation: o.Incarnation, Sign: o.Sign, From: o.From}, replay)
}

func (journals) Range(f service.JournalFiles, visit func(envelope.Replayed) error) error {
	return journal.Range(nil, f.Dir, f.History, f.Origin, visit)
}

func (journals) Zero(f service.JournalFiles, through envelope.Position, match func([]byte) bool) (int, error) {
	return journal.ZeroKeyFrames(nil, f.Dir, f.History, f.Origin, through, match)
}

// OpenBox opens a box on its own: without index, pages and door.
func OpenBox(o service.Options) (*service.Box, error) {
	o.Journals = journals{}
	return service.Open(o)
}

// Check verifies a box that is not running, see service.Check.
func Check(ctx context.Context, dir string, o service.CheckOptions) (service.CheckReport, error) {
	o.Journals = journals{}
	return service.Check(ctx, dir, o)
}

// lastHead reads the newest operation that a directory holds.
func lastHead(dir string, id *identity.Identity) (head envelope.Head, err error) {
	err = journal.Range(nil, filepath.Join(dir, "journal"), filepath.Join(dir, "history"), id.Origin(), func(g envelope.Replayed) error {
		head = g.Head
		return nil
	})
	return head, err
}
