package service

import (
	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/store"
)

// refresh asks the committer, which alone writes the store, to derive
// records again from what the store holds.
func (b *Box) refresh(ids []envelope.RecordID) error {
	if len(ids) == 0 {
		return nil
	}
	done := make(chan error, 1)
	b.hurry()
	select {
	case b.again <- refreshing{ids: ids, done: done}:
		return <-done
	case <-b.carried:
		return ErrStopping
	}
}

type refreshing struct {
	ids  []envelope.RecordID
	done chan error
}

func (b *Box) deriveAgain(ids []envelope.RecordID) error {
	batch := store.Batch{Rederive: true}
	for _, id := range ids {
		r, ok, err := b.store.Record(id)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		derived, err := b.derive(r)
		if err != nil {
			return err
		}
		batch.Rows = append(batch.Rows, store.Row{Record: r, Derived: derived})
	}
	return b.store.Commit(batch)
}
