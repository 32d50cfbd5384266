package node

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fengqiao/fengqiao/backup"
	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/identity"
	"github.com/fengqiao/fengqiao/node/service"
	"github.com/fengqiao/fengqiao/node/store"
)

// kept are the parts of a box that cannot be made again: store and index
// are derived from them.
var kept = []string{"identity", "journal", "history", "audit", "blobs"}

// ErrNoRecipient means that the box was never founded with an emergency
// sheet.
var ErrNoRecipient = errors.New("本机没有应急单，无法制作备份 / the box has no emergency sheet, so nothing can be sealed to it")

// Backup archives a box that is not running.
func Backup(ctx context.Context, dir, to, version string, progress func(done, total int)) (string, error) {
	id, err := identity.Load(filepath.Join(dir, "identity"))
	if err != nil {
		return "", err
	}
	if id.Recipient() == "" {
		return "", ErrNoRecipient
	}
	// Holding the store's lock keeps a running box, which moves segments
	// while they would be copied, from being archived in part.
	lock, err := store.Open(filepath.Join(dir, "store.db"), store.Options{})
	if err != nil {
		return "", err
	}
	defer lock.Close() // nothing was written
	members, err := members(dir)
	if err != nil {
		return "", err
	}
	origin := id.Origin()
	h := backup.Header{Box: origin.String(), Organisation: id.Organisation(), Created: time.Now().UTC().Truncate(time.Second), Recipient: id.Recipient(), Version: version}
	return backup.Create(ctx, to, h, members, progress)
}

func members(dir string) ([]backup.Member, error) {
	var out []backup.Member
	for _, part := range kept {
		err := filepath.WalkDir(filepath.Join(dir, part), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			out = append(out, backup.Member{Name: filepath.ToSlash(name), Open: func() (io.ReadCloser, int64, error) { return openSized(path) }})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func openSized(path string) (io.ReadCloser, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// Restore unpacks an archive into an empty directory and begins a new
// incarnation there: the old box may have written on after the archive was
// made, and must never be mistaken for this one.
func Restore(ctx context.Context, path, secret, dir string) (backup.Report, error) {
	report, err := backup.Restore(ctx, path, secret, dir)
	if err != nil {
		return report, err
	}
	id, err := identity.Load(filepath.Join(dir, "identity"))
	if err != nil {
		return report, err
	}
	var head envelope.Head
	if err := service.LastHead(dir, id, &head); err != nil {
		return report, err
	}
	return report, id.Rebirth(head)
}
