package node

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/fengqiao/fengqiao/backup"
	"github.com/fengqiao/fengqiao/node/control"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/identity"
	"github.com/fengqiao/fengqiao/node/service"
)

// errNoRecipient means that the box was never founded with an emergency
// sheet.
var errNoRecipient = &control.Problem{Text: domain.Text{ZH: "本机没有应急单，无法制作备份", EN: "the box has no emergency sheet, so nothing can be sealed to it"}}

// door is the technician's way to a box.
func door(box *service.Box, version string) control.Options {
	return control.Options{Box: box,
		Plan: func() (control.ArchivePlan, error) {
			parts, release, err := box.Snapshot()
			if err != nil {
				return control.ArchivePlan{}, err
			}
			h, err := header(box, parts, version)
			return control.ArchivePlan{Name: backup.Name(h), Bytes: h.Bytes}, errors.Join(err, release())
		},
		Archive: func(ctx context.Context, w io.Writer) error { return Archive(ctx, box, version, w) }}
}

// Archive writes an archive of a box, which works on meanwhile.
func Archive(ctx context.Context, box *service.Box, version string, w io.Writer) (err error) {
	parts, release, err := box.Snapshot()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	h, err := header(box, parts, version)
	if err != nil {
		return err
	}
	members := make([]backup.Member, len(parts))
	for i, p := range parts {
		members[i] = backup.Member{Name: p.Name, Size: p.Size, Open: p.Open}
	}
	if err := backup.Write(ctx, w, h, members, nil); err != nil {
		return err
	}
	return box.NoteBackup(backup.Name(h))
}

// overhead of the archive's own frames, per file and in all.
const overhead = 1 << 10

func header(box *service.Box, parts []service.Part, version string) (backup.Header, error) {
	h := backup.Header{Box: box.Origin(), Organisation: box.Organisation(), Created: time.Now().UTC().Truncate(time.Second), Recipient: box.Recipient(), Version: version,
		Bytes: overhead * int64(len(parts)+64)}
	for _, p := range parts {
		h.Bytes += p.Size
	}
	if !strings.HasPrefix(h.Recipient, "age1") { // none, or a demo's
		return h, errNoRecipient
	}
	return h, nil
}

// Restore unpacks an archive into an empty directory and begins a new
// incarnation there: the old box may have written on after the archive was
// made, and must never be mistaken for this one.
func Restore(ctx context.Context, path, secret, dir string, progress func(done, total int64)) (backup.Report, error) {
	return backup.Restore(ctx, path, secret, dir, progress, func(dir string) error {
		id, err := identity.Load(filepath.Join(dir, "identity"))
		if err != nil {
			return err
		}
		head, err := lastHead(dir, id)
		if err != nil {
			return err
		}
		return id.Rebirth(head)
	})
}
