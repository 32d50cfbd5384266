package service

import (
	"slices"
	"sync"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
)

// presenceLife is how long somebody counts as looking at a record after
// their page last said so.
const presenceLife = 15 * time.Second

// presence remembers who has which record open. It is kept in memory only.
type presence struct {
	mu   sync.Mutex
	seen map[envelope.RecordID]map[envelope.RecordID]time.Time
}

// Present says that the caller has the record open and gives the others.
func (b *Box) Present(c Caller, id envelope.RecordID) ([]api.User, error) {
	if _, _, err := b.visible(b.policy.Load(), c.Subject, id); err != nil {
		return nil, err
	}
	b.presence.mark(id, c.User, time.Now())
	return b.others(id, c.User), nil
}

func (p *presence) mark(record, user envelope.RecordID, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[envelope.RecordID]map[envelope.RecordID]time.Time{}
	}
	for id, users := range p.seen {
		for u, at := range users {
			if now.Sub(at) > presenceLife {
				delete(users, u)
			}
		}
		if len(users) == 0 {
			delete(p.seen, id)
		}
	}
	if p.seen[record] == nil {
		p.seen[record] = map[envelope.RecordID]time.Time{}
	}
	p.seen[record][user] = now
}

func (b *Box) others(record, user envelope.RecordID) []api.User {
	b.presence.mu.Lock()
	var ids []envelope.RecordID
	for u, at := range b.presence.seen[record] {
		if u != user && time.Since(at) <= presenceLife {
			ids = append(ids, u)
		}
	}
	b.presence.mu.Unlock()
	slices.SortFunc(ids, func(a, c envelope.RecordID) int { return slices.Compare(a[:], c[:]) })
	out := make([]api.User, len(ids))
	for i, id := range ids {
		out[i] = api.User{ID: id.String(), Name: b.nameOf(id)}
	}
	return out
}
