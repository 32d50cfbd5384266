package service

import (
	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/journal"
)

// testJournals are real journals; files puts faults under them.
type testJournals struct{ files journal.FS }

func (j testJournals) Open(o JournalOptions, replay func(envelope.Replayed) error) (Journal, error) {
	return journal.Open(journal.Options{Dir: o.Dir, History: o.History, Origin: o.Origin, Incarnation: o.Incarnation, Sign: o.Sign, From: o.From, FS: j.files}, replay)
}

func (j testJournals) Range(f JournalFiles, visit func(envelope.Replayed) error) error {
	return journal.Range(j.files, f.Dir, f.History, f.Origin, visit)
}

func (j testJournals) Zero(f JournalFiles, through envelope.Position, match func([]byte) bool) (int, error) {
	return journal.ZeroKeyFrames(j.files, f.Dir, f.History, f.Origin, through, match)
}
