package service

import (
	"slices"
	"sync"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// Event tells that a record changed. It carries no content: whoever hears
// it reads the record under their own rights.
type Event struct {
	N      uint64 // change number of the store
	Record envelope.RecordID
	Kind   string
	New    bool
	Alarm  bool
}

// hub hands events to the live streams of this box. A subscriber that
// does not keep up loses its channel and begins again from the store.
type hub struct {
	mu     sync.Mutex
	subs   map[chan []Event]struct{}
	closed bool
}

const hubBuffer = 64 // groups that a slow subscriber may lag

func newHub() *hub { return &hub{subs: map[chan []Event]struct{}{}} }

// Subscribe gives a channel of events in the order of the store; it is
// closed when the subscriber lags or the box stops.
func (h *hub) subscribe() (<-chan []Event, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch := make(chan []Event, hubBuffer)
	if h.closed {
		close(ch)
		return ch, func() {}
	}
	h.subs[ch] = struct{}{}
	return ch, func() { h.remove(ch) }
}

func (h *hub) remove(ch chan []Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.subs[ch]; ok {
		delete(h.subs, ch)
		close(ch)
	}
}

func (h *hub) publish(events []Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.subs {
		select {
		case ch <- events:
		default:
			delete(h.subs, ch)
			close(ch)
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for ch := range h.subs {
		delete(h.subs, ch)
		close(ch)
	}
}

// OnWall reports whether a change may move the wall: matters, alarms, the
// watch and what the map is drawn from. Of accounts, notices and imports a
// screen in a hall hears nothing.
func (b *Box) OnWall(e Event) bool {
	return e.Alarm || b.policy.Load().isCasework(e.Kind) || slices.Contains([]string{kindShift, kindOutline, kindOrganisation}, e.Kind)
}

// Subscribe follows the box's changes. The caller must call the returned
// function when done.
func (b *Box) Subscribe() (<-chan []Event, func()) { return b.hub.subscribe() }

// Head is the number of the newest change in the store.
func (b *Box) Head() (uint64, error) { return b.store.Head() }

// EventsAfter lists changes after n, at most limit, for a stream that
// resumes. ok is false when n lies in the future: another store.
func (b *Box) EventsAfter(n uint64, limit int) (events []Event, ok bool, err error) {
	head, err := b.store.Head()
	if err != nil || n > head {
		return nil, false, err
	}
	changes, err := b.store.Changes(n, limit)
	if err != nil {
		return nil, false, err
	}
	for _, c := range changes {
		r, err := b.record(c.Record)
		if err != nil {
			return nil, false, err
		}
		events = append(events, eventOf(c.N, r, false))
	}
	return events, true, nil
}

func eventOf(n uint64, r *domain.Record, created bool) Event {
	return Event{N: n, Record: r.ID, Kind: r.Definition.ID, New: created, Alarm: r.Definition.ID == kindAlarm}
}

// announce publishes what a transaction changed.
func (b *Box) announce(groups []*group) error {
	head, err := b.store.Head()
	if err != nil {
		return err
	}
	final := map[envelope.RecordID]Event{}
	var order []envelope.RecordID
	for _, g := range groups {
		for _, s := range g.ops {
			r := g.records[s.op.Record]
			if r == nil {
				continue
			}
			e, seen := final[r.ID]
			if !seen {
				order = append(order, r.ID)
			}
			final[r.ID] = eventOf(head, r, e.New || len(r.Steps) == 1 && r.LastA == s.op.ID())
		}
	}
	events := make([]Event, len(order))
	for i, id := range order {
		events[i] = final[id]
	}
	b.hub.publish(events)
	return nil
}
