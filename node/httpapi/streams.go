package httpapi

import (
	"sync"

	"github.com/fengqiao/fengqiao/node/service"
)

// Limits of open streams: a person has a few pages, a box some dozens of
// people.
const (
	streamsEach = 8
	streamsAll  = 512
)

// streams counts who listens.
type streams struct {
	mu   sync.Mutex
	open map[string]int
	all  int
}

// enter counts a stream of a session or display until leave is called.
func (s *streams) enter(who string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who] >= streamsEach || s.all >= streamsAll {
		return nil, service.ErrTooMany
	}
	s.open[who]++
	s.all++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.open[who]--; s.open[who] == 0 {
			delete(s.open, who)
		}
	}, nil
}
