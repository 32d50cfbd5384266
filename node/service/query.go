package service

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// Query selects records for a list. Exactly one source is scanned; the
// other conditions filter what it gives.
type Query struct {
	Queue   string // mine, incoming, overdue, reported, copied, unread, assigned, all
	Kinds   []string
	State   string
	Holder  string
	Village string
	Open    bool
	Overdue bool
	From    int64 // creation, Unix ms
	To      int64
	Cursor  string
	Limit   int
}

// Found is one record of a list with what the asker may see of it.
type Found struct {
	Record *domain.Record
	Def    *domain.Definition
	Sight  domain.Sight
}

// Page is a part of a list. Next is "" at the end.
type Page struct {
	Items []Found
	Next  string
	AsOf  int64
}

// whole picks a list by creation, or its part that is open: what people ask
// all day must not depend on how much is closed.
func (q Query) whole(list string) string {
	if q.Open {
		return list + "o"
	}
	return list
}

// late: only what is past its time, from lists by due time.
func (q Query) late() bool { return q.Overdue || q.Queue == "overdue" }

const (
	maxPage = 200
	// maxScan bounds the work of one page where rights filter most rows
	// out; the cursor goes on from there.
	maxScan = 5_000
)

// source is one ordered scan of the index.
type source struct {
	prefix  []byte
	reverse bool
}

// Records lists what the query asks for, as far as the caller may see it.
func (b *Box) Records(ctx context.Context, c Caller, q Query) (Page, error) {
	if err := b.settled(ctx); err != nil {
		return Page{}, err
	}
	now, _ := b.clock.Now()
	page := Page{AsOf: now}
	limit := min(max(q.Limit, 1), maxPage)
	sources := b.sources(c, q)
	at, after, err := parseCursor(q.Cursor, len(sources))
	if err != nil {
		return page, err
	}
	seen := map[envelope.RecordID]bool{}
	scanned := 0
	for ; at < len(sources); at, after = at+1, nil {
	scan:
		for {
			hits, err := b.store.Scan(sources[at].prefix, after, sources[at].reverse, maxPage)
			if err != nil {
				return page, err
			}
			for _, h := range hits {
				if q.late() && dueOfKey(h.Key) > now {
					break scan // sorted by due time: the rest is not late either
				}
				after = h.Key
				scanned++
				f, ok, err := b.find(c, q, h.ID)
				if err != nil {
					return page, err
				}
				if ok && !seen[h.ID] {
					seen[h.ID] = true
					page.Items = append(page.Items, f)
				}
				if len(page.Items) == limit || scanned >= maxScan {
					page.Next = formatCursor(at, after)
					return page, nil
				}
			}
			if len(hits) < maxPage {
				break
			}
		}
	}
	return page, nil
}

// sources picks the narrowest index for the query.
func (b *Box) sources(c Caller, q Query) []source {
	p := b.policy.Load()
	kinds := q.Kinds
	if len(kinds) == 0 {
		kinds = p.matterKinds()
	}
	org := b.Organisation()
	switch q.Queue {
	case "mine":
		out := []source{{keyOf("a", c.User.String()), false}}
		for _, o := range ownOrganisations(c) {
			out = append(out, source{keyOf("h", o), false})
		}
		return out
	case "assigned":
		return []source{{keyOf("a", c.User.String()), false}}
	case "reported":
		return []source{{keyOf(q.whole("u"), c.User.String()), true}}
	case "copied", "unread":
		list := map[string]string{"copied": "t", "unread": "tu"}[q.Queue]
		return targetSources(p, c, list)
	}
	var out []source
	for _, kind := range kinds {
		switch {
		case q.late(): // the one list by due time; the rest filters
			out = append(out, source{keyOf("o", org, kind), false})
		case q.Village != "":
			out = append(out, source{keyOf("v", q.Village, kind), true})
		case q.State != "":
			out = append(out, source{keyOf("s", org, kind, q.State), false})
		case q.Queue == "incoming", q.From > 0 || q.To > 0:
			out = append(out, source{keyOf(q.whole("k"), kind), true})
		case q.Open:
			out = append(out, source{keyOf("o", org, kind), false})
		default:
			out = append(out, source{keyOf("c", org, kind), false})
		}
	}
	return out
}

// targetSources lists what was copied to a person or any organisation that
// they act for, or one above it.
func targetSources(p *policy, c Caller, list string) []source {
	targets := []string{c.User.String()}
	for _, o := range ownOrganisations(c) {
		for depth := 0; depth < 8 && o != ""; depth++ {
			targets = append(targets, o)
			node, ok := p.organisations[o]
			if !ok {
				break
			}
			o = node.Parent
		}
	}
	slices.Sort(targets)
	var out []source
	for _, t := range slices.Compact(targets) {
		out = append(out, source{keyOf(list, t), true})
	}
	return out
}

func ownOrganisations(c Caller) []string {
	var out []string
	for _, g := range c.Grants {
		if !slices.Contains(out, g.Organisation) {
			out = append(out, g.Organisation)
		}
	}
	return out
}

// matterKinds are what people work on: no settings, accounts or duty.
func (p *policy) matterKinds() []string {
	var out []string
	for _, def := range p.kinds() {
		if isMatter(def) {
			out = append(out, def.ID)
		}
	}
	return out
}

func isMatter(def *domain.Definition) bool {
	switch def.Family {
	case domain.FamilyEvent, domain.FamilyMediation, domain.FamilyPetition, domain.FamilyNotice:
		return true
	}
	return false
}

// find reads one hit and applies rights and filters.
func (b *Box) find(c Caller, q Query, id envelope.RecordID) (Found, bool, error) {
	p := b.policy.Load()
	r, err := b.record(id)
	if errors.Is(err, ErrNotFound) {
		return Found{}, false, nil
	}
	if err != nil {
		return Found{}, false, err
	}
	def, ok := p.Definition(r.Definition)
	if !ok || !matches(q, def, r) || len(q.Kinds) == 0 && !isMatter(def) {
		return Found{}, false, nil
	}
	if counts, err := b.imported(r); err != nil || !counts {
		return Found{}, false, err
	}
	sight := domain.SightOf(p, c.Subject, def, r)
	return Found{Record: r, Def: def, Sight: sight}, sight > domain.SightNone, nil
}

func matches(q Query, def *domain.Definition, r *domain.Record) bool {
	switch {
	case len(q.Kinds) > 0 && !slices.Contains(q.Kinds, r.Definition.ID),
		q.State != "" && r.State != q.State,
		q.Holder != "" && r.Holder != q.Holder,
		q.Village != "" && r.Text(domain.FieldVillage) != q.Village,
		q.Open && !isOpen(def, r),
		q.From > 0 && r.CreatedAt < q.From,
		q.To > 0 && r.CreatedAt >= q.To:
		return false
	}
	return true
}

// dueOfKey reads the time of an index key: eight bytes before the record.
func dueOfKey(key []byte) int64 {
	if len(key) < 24 {
		return math.MaxInt64
	}
	return int64(binary.BigEndian.Uint64(key[len(key)-24 : len(key)-16]))
}

// A cursor is the source's number and the last key, opaque to clients.
func formatCursor(at int, key []byte) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{byte(at)}, key...))
}

func parseCursor(s string, sources int) (int, []byte, error) {
	if s == "" {
		return 0, nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 2 || int(b[0]) >= sources || len(b) > 1024 {
		return 0, nil, &InputError{Fields: []FieldError{{Path: "cursor", Code: "bad_cursor",
			Message: domain.Text{ZH: "翻页标记已失效,请从第一页重新开始", EN: "The page marker is no longer valid. Begin again from the first page."}}}}
	}
	return int(b[0]), b[1:], nil
}

// Count adds counters below a prefix.
func (b *Box) count(parts ...string) (int64, error) { return b.store.SumPrefix(keyOf(parts...)) }

// overdue counts open deadlines of a kind that have passed: whole hours
// from the counters, the present hour from the list.
func (b *Box) overdue(kind string, now int64) (int64, error) {
	prefix := keyOf("due", b.Organisation(), kind)
	hour := now / hourMilli
	n, err := b.store.SumRange(prefix, binary.BigEndian.AppendUint64(slices.Clip(prefix), uint64(hour)))
	if err != nil {
		return 0, err
	}
	list := keyOf("o", b.Organisation(), kind)
	after := binary.BigEndian.AppendUint64(slices.Clip(list), uint64(hour*hourMilli))
	for {
		hits, err := b.store.Scan(list, after, false, maxPage)
		if err != nil {
			return 0, err
		}
		for _, h := range hits {
			if dueOfKey(h.Key) > now {
				return n, nil
			}
			n++
			after = h.Key
		}
		if len(hits) < maxPage {
			return n, nil
		}
	}
}
