package envelope

import (
	"errors"
	"fmt"

	"github.com/fengqiao/fengqiao/cluster/envelope/frame"
)

// Group is what one sync of a journal makes durable. Key frames stand
// outside the hashed bytes, so that erasing can zero them in place.
type Group struct {
	Ops       [][]byte
	KeyFrames [][]byte
	First     uint64
	Head      Head // of the last operation
}

// Position is the end of a group in a journal.
type Position struct {
	Incarnation uint32
	Segment     string
	Offset      int64
	Seq         uint64
	Head        Hash
}

// Replayed is a group read back.
type Replayed struct {
	Group
	Signature Signature
	At        Position
	Erasing   int    // key frames that are erased but not yet zero throughout
	Frames    []byte // all key frames as they lie in the file, erased ones too
}

// ErrFull means that the disk had no room for a group. Nothing of it was
// written; the same group may be tried again.
var ErrFull = errors.New("journal: the disk is full")

// DamageError is bytes of a journal that were written once and changed
// since. Nothing is cut; a person decides.
type DamageError struct {
	Segment string
	Offset  int64
	Reason  string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("journal: damage in %s at %d: %s", e.Segment, e.Offset, e.Reason)
}

// Writable refuses bytes that a journal could take for a place that was
// never written.
func Writable(b []byte) error {
	if len(b) == 0 || frame.ZeroRun(b) {
		return errors.New("journal: a run of zeros cannot be kept")
	}
	return nil
}
