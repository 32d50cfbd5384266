package service

import (
	"encoding/json"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
)

// revealLife is how long a page may show a full value.
const revealLife = time.Minute

// Reveal gives the full value of a masked field to the case team. The
// reading is on disk before the value is answered.
func (b *Box) Reveal(c Caller, id envelope.RecordID, path, reason, address string) (api.Revealed, error) {
	p := b.policy.Load()
	r, def, err := b.visible(p, c.Subject, id)
	if err != nil {
		return api.Revealed{}, err
	}
	field, ok := def.FieldAt(path)
	if !ok || field.Mask == "" {
		return api.Revealed{}, ErrNotFound
	}
	if domain.SightOf(p, c.Subject, def, r) < domain.SightTeam {
		return api.Revealed{}, ErrForbidden
	}
	if !b.hasCode(nil, "reveal_reason", reason) {
		return api.Revealed{}, &InputError{Fields: []FieldError{{Path: "reason", Code: "unknown_code", Message: domain.Text{ZH: "请选择查看原因", EN: "Choose a reason."}}}}
	}
	f, ok := r.SealedAt(path, seal.Full)
	if !ok {
		return api.Revealed{}, ErrNotFound
	}
	err = b.noteFor(c.User, audit.Entry{Action: "reveal", ObjectKind: def.ID, Object: id.String(), Reason: reason, Address: address, Result: "ok",
		Details: map[string]string{"field": path}})
	if err != nil {
		return api.Revealed{}, err
	}
	value, err := b.open(r, f)
	return api.Revealed{Value: value, Until: time.Now().Add(revealLife).UnixMilli()}, err
}

const (
	bucketDrafts = "drafts"
	draftLife    = 30 * 24 * time.Hour
	maxDraft     = 256 << 10
	maxDrafts    = 50
)

// draftKey is the user and the id that the form chose.
func draftKey(c Caller, id string) []byte { return append(c.User[:], id...) }

// SaveDraft keeps what a person is typing, sealed, on this box only.
func (b *Box) SaveDraft(c Caller, id, form string, data any) error {
	if err := envelope.CheckIdentifier(id); err != nil {
		return ErrNotFound
	}
	now, _ := b.clock.Now()
	body, err := json.Marshal(api.Draft{ID: id, Form: form, SavedAt: now, Data: data})
	if err != nil {
		return err
	}
	if len(body) > maxDraft {
		return &InputError{Fields: []FieldError{{Path: "data", Code: "too_long", Message: domain.Text{ZH: "草稿太大，未能保存到本机", EN: "The draft is too large to keep."}}}}
	}
	key := draftKey(c, id)
	if err := b.dropOldestDraft(c, id); err != nil {
		return err
	}
	return asFull(b.local.Put(bucketDrafts, key, seal.Seal(seal.Derive(b.id.BoxKey(), "draft"), body, key), time.Now().Add(draftLife)))
}

// dropOldestDraft makes room for a new draft where a person keeps too many.
func (b *Box) dropOldestDraft(c Caller, but string) error {
	kept, err := b.Drafts(c)
	if err != nil || len(kept.Items) < maxDrafts {
		return err
	}
	oldest := kept.Items[0]
	for _, d := range kept.Items {
		if d.ID == but {
			return nil
		}
		if d.SavedAt < oldest.SavedAt {
			oldest = d
		}
	}
	return b.DeleteDraft(c, oldest.ID)
}

// Drafts lists the caller's drafts.
func (b *Box) Drafts(c Caller) (api.DraftList, error) {
	out := api.DraftList{Items: []api.Draft{}}
	rows, err := b.local.Scan(bucketDrafts, c.User[:], maxDrafts)
	if err != nil {
		return out, err
	}
	for _, row := range rows {
		body, err := seal.Open(seal.Derive(b.id.BoxKey(), "draft"), row.Value, row.Key)
		if err != nil {
			return out, err
		}
		var d api.Draft
		if err := json.Unmarshal(body, &d); err != nil {
			return out, err
		}
		out.Items = append(out.Items, d)
	}
	return out, nil
}

// DeleteDraft forgets a draft.
func (b *Box) DeleteDraft(c Caller, id string) error {
	return b.local.Delete(bucketDrafts, draftKey(c, id))
}
