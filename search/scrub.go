package search

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// settleTime: a younger file may still be written.
const settleTime = time.Minute

// scrub reads every segment and compares it with its own checksum, which
// bleve never does: a damaged one would answer wrongly without an error.
func (x *Index) scrub(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(x.store(), "*.zap"))
	if err != nil {
		return err
	}
	for _, path := range files {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // merged away
		}
		if err != nil {
			return err
		}
		if time.Since(info.ModTime()) < settleTime {
			continue
		}
		if err := checkSegment(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkSegment verifies one segment file: its last four bytes are the CRC32
// of all before.
func checkSegment(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	sum, stored := crc32.NewIEEE(), make([]byte, crc32.Size)
	if info.Size() < crc32.Size {
		return fmt.Errorf("%w: %s is cut short", errDamaged, filepath.Base(path))
	}
	if _, err := io.CopyN(sum, f, info.Size()-crc32.Size); err != nil {
		return err
	}
	if _, err := io.ReadFull(f, stored); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(stored) != sum.Sum32() {
		return fmt.Errorf("%w: checksum of %s", errDamaged, filepath.Base(path))
	}
	return nil
}
