package service

import "golang.org/x/sys/unix"

// Free space below which the box refuses new work but goes on reading.
// Recovery needs room: the journal must never be the one that fails.
const (
	minFree = 256 << 20
	lowFree = 2 << 30 // warned of in box health
)

// room refuses writes while the disk is nearly full.
func (b *Box) room() error {
	free, err := freeBytes(b.opts.Dir)
	if err != nil {
		return err
	}
	if free < minFree {
		return ErrFull
	}
	return nil
}

func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * s.Bsize, nil
}
