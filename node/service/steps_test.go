package service

import (
	"bytes"
	"testing"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// TestRecordIDsFollowTime: records made later lie behind earlier ones, and
// those of one millisecond differ.
func TestRecordIDsFollowTime(t *testing.T) {
	earlier, seen := newRecordID(), map[envelope.RecordID]bool{}
	time.Sleep(2 * time.Millisecond)
	for range 10_000 {
		id := newRecordID()
		if seen[id] || bytes.Compare(earlier[:], id[:]) >= 0 || id[6]>>4 != 7 || id[8]>>6 != 2 {
			t.Fatalf("%x behind %x, seen %v", id, earlier, seen[id])
		}
		seen[id] = true
	}
}
