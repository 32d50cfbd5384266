package service

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// failingFinder is an index that does not answer.
type failingFinder struct {
	Finder
	err error
}

func (f failingFinder) Find(context.Context, FinderQuery) (FinderHits, error) {
	return FinderHits{}, f.err
}
func (f failingFinder) WaitFor(context.Context, uint64) bool { return true }
func (f failingFinder) Status() FinderStatus                 { return FinderStatus{Rebuilding: true, Percent: 43} }

// TestSearchSaysWhatFails: a damaged index, a search without end, a caller
// who left, and no index at all are told apart.
func TestSearchSaysWhatFails(t *testing.T) {
	b := newTestBox(t)
	if _, err := b.Search(t.Context(), b.people["duty"], SearchQuery{Text: "路灯"}); !errors.Is(err, ErrBehind) {
		t.Errorf("without an index: %v", err)
	}
	var wrong *InputError
	b.Connect(failingFinder{err: fmt.Errorf("slow: %w", context.DeadlineExceeded)})
	if _, err := b.Search(t.Context(), b.people["duty"], SearchQuery{Text: "路灯"}); !errors.As(err, &wrong) || wrong.Fields[0].Code != "too_broad" {
		t.Errorf("too broad: %v", err)
	}
	b.Connect(failingFinder{err: errors.New("damaged")})
	out, err := b.Search(t.Context(), b.people["duty"], SearchQuery{Text: "路灯"})
	if !errors.Is(err, ErrIndex) || !out.Rebuilding || out.Percent != 43 {
		t.Errorf("damaged: %+v %v", out, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Search(gone, b.people["duty"], SearchQuery{Text: "路灯"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v", err)
	}
}
