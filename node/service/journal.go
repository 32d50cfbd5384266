package service

import (
	"path/filepath"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// Journal makes groups durable, one sync each.
type Journal interface {
	// Append fails with envelope.ErrFull when nothing was written for want
	// of room; any other failure is final.
	Append(envelope.Group) (envelope.Position, error)
	// End is the segment that is written and where its last group ends; path
	// is "" before the first.
	End() (path string, offset int64)
	// Archive moves segments that the store has whole into history.
	Archive(upTo uint64) (moved int, err error)
	Close() error
}

// Journals reads and opens the journals of boxes: cluster's room, joined to
// this one by node.
type Journals interface {
	// Open replays every group after o.From.
	Open(o JournalOptions, replay func(envelope.Replayed) error) (Journal, error)
	// Range reads every group in order, without opening for writing.
	Range(f JournalFiles, visit func(envelope.Replayed) error) error
	// Zero destroys the key frames that match names, up to the group that
	// ends at through. It may be done again after a crash.
	Zero(f JournalFiles, through envelope.Position, match func(frame []byte) bool) (erased int, err error)
}

// JournalFiles says where a box's journal lies and whose it is.
type JournalFiles struct {
	Dir, History string
	Origin       envelope.Hash
}

// JournalOptions open a journal for writing.
type JournalOptions struct {
	JournalFiles
	Incarnation uint32
	Sign        func(envelope.Head) envelope.Signature
	From        envelope.Position // what the store has; zero for everything
}

func journalFiles(dir string, origin envelope.Hash) JournalFiles {
	return JournalFiles{Dir: filepath.Join(dir, "journal"), History: filepath.Join(dir, "history"), Origin: origin}
}
