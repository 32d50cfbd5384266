package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/envelope/disk"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/store"
)

// marks are bytes of free space. Below refuse the box takes no new work but
// goes on reading, until resume is free again: the gap keeps it from
// wavering. Below spend it gives up the ballast, a file that holds room for
// what was answered and is not yet in the store, for the audit of reads,
// and for the next start.
type marks struct {
	refuse, resume, spend, ballast int64
}

var usualMarks = marks{refuse: 256 << 20, resume: 320 << 20, spend: 32 << 20, ballast: 64 << 20}

// lowFree is warned of in box health.
const lowFree = 2 << 30

// room watches the free space of the data directory.
type room struct {
	dir   string
	marks marks
	mu    sync.Mutex
	full  bool
}

func (r *room) free() (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(r.dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// take refuses work that will write about n bytes while the disk is nearly
// full.
func (r *room) take(n int64) error {
	free, err := r.free()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case free < r.marks.refuse:
		r.full = true
	case free >= r.marks.resume:
		r.full = false
	}
	if r.full || free-n < r.marks.refuse {
		return ErrFull
	}
	return nil
}

func (r *room) path() string { return filepath.Join(r.dir, "ballast") }

// spend gives the ballast up when little is left.
func (r *room) spend() error {
	free, err := r.free()
	if err != nil || free >= r.marks.spend {
		return err
	}
	err = os.Remove(r.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, disk.SyncDir(r.dir))
}

// tend gives the ballast up when little is left, and lays it in again when
// there is plenty.
func (r *room) tend() error {
	if err := r.spend(); err != nil {
		return err
	}
	if info, err := os.Stat(r.path()); err == nil && info.Size() == r.marks.ballast {
		return nil
	}
	free, err := r.free()
	if err != nil || free < r.marks.resume+r.marks.ballast {
		return err
	}
	return r.lay()
}

func (r *room) lay() error {
	f, err := os.Create(r.path())
	if err != nil {
		return err
	}
	err = allocate(f, r.marks.ballast)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(r.path()))
	}
	return disk.SyncDir(r.dir)
}

func fill(f *os.File, n int64) error {
	zeros := make([]byte, 1<<20)
	for ; n > 0; n -= int64(len(zeros)) {
		if _, err := f.Write(zeros[:min(n, int64(len(zeros)))]); err != nil {
			return err
		}
	}
	return nil
}

// asFull names what the rooms below say of a full disk.
func asFull(err error) error {
	for _, full := range []error{envelope.ErrFull, store.ErrFull, audit.ErrFull, syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, full) {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
	return err
}

// stallLimit is how long a disk may take for one group. Beyond it the box
// stops with nothing answered: the supervisor starts it again, and people
// see a failure instead of waiting for ever.
const stallLimit = 30 * time.Second

// stalled begins the ceiling over one write; the caller stops it.
func (b *Box) stalled(what string) *time.Timer {
	limit := b.opts.stall
	if limit == 0 {
		limit = stallLimit
	}
	return time.AfterFunc(limit, func() { b.fatal(fmt.Errorf("%s: the disk has not answered for %s", what, limit)) })
}
