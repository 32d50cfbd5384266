package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/geo"
	"github.com/fengqiao/fengqiao/node/seal"
)

// Outlines of villages and grids are attachments of one settings record, so
// that journal, backup and check carry them like every other file. The
// newest attachment is in force while the record is active.

// MaxOutlines is the largest file of outlines in bytes.
const MaxOutlines = geo.MaxBytes

// outlineID is the one record of a township's outlines.
func (b *Box) outlineID() envelope.RecordID {
	sum := sha256.Sum256([]byte("fengqiao/outline/1\x00" + b.Organisation()))
	return envelope.RecordID(sum[:16])
}

// outline gives the record and the step that brought the outlines in force;
// nil when there are none.
func (b *Box) outline() (*domain.Record, *domain.Entry, error) {
	r, err := b.record(b.outlineID())
	if errors.Is(err, ErrNotFound) || err == nil && r.State != "active" {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for i := range slices.Backward(r.Appended) {
		if e := &r.Appended[i]; e.Effect == domain.Attach {
			return r, e, nil
		}
	}
	return nil, nil, nil
}

func fileOf(r *domain.Record, e *domain.Entry) *domain.File {
	i := slices.IndexFunc(r.Files, func(f domain.File) bool { return f.Op == e.Op })
	return &r.Files[i] // the step that attached it stands
}

// outlineVersion changes with the outlines; "" without any.
func (b *Box) outlineVersion() (string, error) {
	r, e, err := b.outline()
	if r == nil || err != nil {
		return "", err
	}
	return versionOf(fileOf(r, e)), nil
}

func versionOf(f *domain.File) string { return hex.EncodeToString(f.Hash[:])[2:18] }

// ImportOutlines puts the outlines of a GeoJSON file in force. A file with
// one mistake is refused whole.
func (b *Box) ImportOutlines(ctx context.Context, c Caller, data []byte) (api.Outlines, error) {
	p := b.policy.Load()
	areas, err := geo.Read(data, b.areaResolver(p))
	var refused *geo.Problem
	if errors.As(err, &refused) {
		return api.Outlines{}, &InputError{Fields: []FieldError{{Path: "file", Code: refused.Code, Message: refused.Message}}}
	}
	if err != nil {
		return api.Outlines{}, err
	}
	body, err := geo.Write(areas)
	if err != nil {
		return api.Outlines{}, err
	}
	c.Key = "" // three steps; importing the same file twice does no harm
	id := b.outlineID()
	if _, err := b.record(id); errors.Is(err, ErrNotFound) {
		_, err = b.createWith(ctx, c, id, kindOutline, "", Input{}, nil)
		if err != nil {
			return api.Outlines{}, err
		}
	}
	r, err := b.Attach(ctx, c, id, Upload{Name: "outlines.geojson", Media: "text/plain", Body: bytes.NewReader(body)})
	if err != nil {
		return api.Outlines{}, err
	}
	if r.State != "active" {
		if _, err := b.Step(ctx, c, id, "restore", "", Input{}); err != nil {
			return api.Outlines{}, err
		}
	}
	return b.Outlines()
}

// areaResolver finds a village or grid of this box by code, name or former
// name; a name that two of them bear finds none.
func (b *Box) areaResolver(p *policy) func(string) string {
	known := map[string]string{}
	put := func(text, code string) {
		if old, ok := known[text]; ok && old != code {
			code = ""
		}
		known[text] = code
	}
	for _, code := range p.within(b.Organisation()) {
		o := p.organisations[code]
		if o == nil || o.Level != domain.LevelVillage && o.Level != domain.LevelGrid {
			continue
		}
		put(code, code)
		put(o.Name, code)
		for _, alias := range o.Aliases {
			put(alias, code)
		}
	}
	return func(text string) string { return known[text] }
}

// RemoveOutlines brings the schematic map back.
func (b *Box) RemoveOutlines(ctx context.Context, c Caller) error {
	r, _, err := b.outline()
	if err != nil {
		return err
	}
	if r == nil {
		return ErrNotFound
	}
	_, err = b.Step(ctx, c, r.ID, "withdraw", "", Input{})
	return err
}

// Outlines says which outlines are in force.
func (b *Box) Outlines() (api.Outlines, error) {
	out := api.Outlines{Missing: []string{}}
	r, e, err := b.outline()
	if r == nil || err != nil {
		return out, err
	}
	f := fileOf(r, e)
	body, err := b.readOutlines(r.ID, f)
	if err != nil {
		return out, err
	}
	drawn := map[string]bool{}
	areas, err := geo.Read(body, func(code string) string { return code })
	for _, a := range areas {
		drawn[a.Code] = true
	}
	p := b.policy.Load()
	for _, code := range p.within(b.Organisation()) {
		if o := p.organisations[code]; o != nil && o.Level == domain.LevelVillage && !drawn[code] {
			out.Missing = append(out.Missing, o.Name)
		}
	}
	out.Version, out.ImportedAt, out.ImportedBy, out.Areas, out.Size = versionOf(f), e.At, b.nameOf(e.Actor.User), len(areas), f.Size
	return out, err
}

// WallOutlines gives the GeoJSON in force; ErrNotFound without any.
func (b *Box) WallOutlines() ([]byte, error) {
	r, e, err := b.outline()
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, ErrNotFound
	}
	return b.readOutlines(r.ID, fileOf(r, e))
}

func (b *Box) readOutlines(id envelope.RecordID, f *domain.File) ([]byte, error) {
	key, err := b.contentKey(id, f.Key)
	if err != nil {
		return nil, err
	}
	in, err := os.Open(b.blobPath(f.Hash))
	if err != nil {
		return nil, err
	}
	defer in.Close()
	plain, err := seal.OpenBlob(in, key.Key)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain)
}
