package service

import (
	"fmt"
	"sync"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
	"github.com/fengqiao/fengqiao/node/store"
)

// keyring finds content keys: remembered, answered, or in the keys table.
type keyring struct {
	mu    sync.Mutex
	known map[envelope.KeyID]seal.ContentKey
}

// remembered bounds the keys held in memory; each is about 150 bytes.
const remembered = 20_000

func (k *keyring) get(id envelope.KeyID) (seal.ContentKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.known[id]
	return c, ok
}

func (k *keyring) put(c seal.ContentKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= remembered {
		for id := range k.known { // any: a key costs one read to find again
			delete(k.known, id)
			if len(k.known) < remembered*9/10 {
				break
			}
		}
	}
	k.known[c.ID] = c
}

func (k *keyring) forget(record envelope.RecordID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, c := range k.known {
		if c.Record == record {
			delete(k.known, id)
		}
	}
}

// contentKey finds a key of a record. ErrErased when it is gone.
func (b *Box) contentKey(record envelope.RecordID, id envelope.KeyID) (seal.ContentKey, error) {
	if c, ok := b.keys.get(id); ok {
		return c, nil
	}
	if f, ok := b.overlay.frame(id); ok {
		return b.unwrap(f)
	}
	row, ok, err := b.store.Key(record, id)
	if err != nil {
		return seal.ContentKey{}, err
	}
	if !ok {
		return seal.ContentKey{}, ErrErased
	}
	c, err := seal.FromStored(b.id.BoxKey(), row.Key, row.Record, row.Organisation, row.Part, row.Sealed)
	if err == nil {
		b.keys.put(c)
	}
	return c, err
}

func (o *overlay) frame(id envelope.KeyID) (*envelope.KeyFrame, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	f, ok := o.keys[id]
	return f, ok
}

func (b *Box) unwrap(f *envelope.KeyFrame) (seal.ContentKey, error) {
	keys, ok := b.id.KeysVersion(f.Reader, f.Version)
	if !ok {
		return seal.ContentKey{}, fmt.Errorf("service: no keys of %s version %d", f.Reader, f.Version)
	}
	return seal.Unwrap(f, keys.Data, keys.Private)
}

// keyRows turns new frames into rows of the keys table.
func (b *Box) keyRows(batch *store.Batch, frames []*envelope.KeyFrame) error {
	for _, f := range frames {
		c, err := b.unwrap(f)
		if err != nil {
			return err
		}
		batch.Keys = append(batch.Keys, store.KeyRow{Key: c.ID, Record: c.Record, Organisation: c.Organisation, Part: c.Part, Sealed: c.Stored(b.id.BoxKey())})
	}
	return nil
}

// sealer seals the values of one request on one record. Keys that it had
// to draw are its frames and go into the same journal group.
type sealer struct {
	box        *Box
	record     envelope.RecordID
	definition string
	writer     string // organisation
	keys       [2]*seal.ContentKey
	frames     []*envelope.KeyFrame
	fields     []envelope.SealedField
}

// sealerFor prepares sealing on a record; existing is nil for a new one.
func (b *Box) sealerFor(id envelope.RecordID, definition string, existing *domain.Record) (*sealer, error) {
	s := &sealer{box: b, record: id, definition: definition, writer: b.id.Organisation()}
	if existing == nil {
		return s, nil
	}
	for _, f := range allSealed(existing) {
		if f.Part > seal.Masked || s.keys[f.Part] != nil {
			continue
		}
		c, err := b.contentKey(id, f.Key)
		if err != nil {
			return nil, err
		}
		if c.Organisation == s.writer {
			s.keys[f.Part] = &c
		}
	}
	return s, nil
}

// allSealed lists what was ever sealed on the record.
func allSealed(r *domain.Record) []envelope.SealedField {
	out := append([]envelope.SealedField{}, r.Sealed...)
	for _, entries := range [][]domain.Entry{r.Steps, r.Appended} {
		for _, e := range entries {
			out = append(out, e.Sealed...)
		}
	}
	return out
}

func (s *sealer) key(part uint8) (*seal.ContentKey, error) {
	if s.keys[part] != nil {
		return s.keys[part], nil
	}
	org, ok := s.box.id.Keys(s.writer)
	if !ok {
		return nil, ErrNotSetUp
	}
	c := seal.NewContentKey(s.record, s.writer, part)
	s.frames = append(s.frames, c.Frame(s.writer, org.Version, org.Data))
	s.box.keys.put(c)
	s.keys[part] = &c
	return &c, nil
}

// add seals a value, and its masked form where the field has a mask.
func (s *sealer) add(path, value string, mask domain.Mask) error {
	if err := s.seal(seal.Full, path, value); err != nil {
		return err
	}
	if mask == "" {
		return nil
	}
	return s.seal(seal.Masked, path, domain.MaskValue(mask, value))
}

func (s *sealer) seal(part uint8, path, value string) error {
	c, err := s.key(part)
	if err != nil {
		return err
	}
	s.fields = append(s.fields, c.Field(s.definition, path, value))
	return nil
}

// open reads one sealed value of a record.
func (b *Box) open(r *domain.Record, f envelope.SealedField) (string, error) {
	c, err := b.contentKey(r.ID, f.Key)
	if err != nil {
		return "", err
	}
	return c.Open(r.Definition.ID, f)
}
