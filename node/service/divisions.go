package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/sheet"
)

// Division is a row of a list of administrative divisions or stations.
type Division struct {
	Code, Name, Level, Parent, Abbr string
	Lng, Lat                        int64 // 1e-6 degree; 0 unknown
	Aliases                         []string
}

// ImportDivisions brings a list of organisations, parents before children.
// A code that exists is amended where the list differs.
func (b *Box) ImportDivisions(ctx context.Context, rows []Division) (api.DivisionCounts, error) {
	counts := api.DivisionCounts{Levels: map[string]int{}}
	const chunk = 200 // people write between the groups of a long import
	for start := 0; start < len(rows); start += chunk {
		part := rows[start:min(start+chunk, len(rows))]
		var drafts []*draft
		for _, d := range part {
			counts.Levels[d.Level]++
			draft, changed, err := b.draftDivision(d)
			if err != nil {
				return counts, fmt.Errorf("%s %s: %w", d.Code, d.Name, err)
			}
			switch {
			case draft == nil:
				counts.Same++
				continue
			case changed:
				counts.Changed++
			default:
				counts.New++
			}
			drafts = append(drafts, draft)
		}
		if len(drafts) == 0 {
			continue
		}
		if _, err := b.submitAll(ctx, drafts); err != nil {
			return counts, err
		}
	}
	return counts, nil
}

// draftDivision gives the step that brings a row, nil when nothing differs.
func (b *Box) draftDivision(d Division) (_ *draft, changed bool, err error) {
	caller := Caller{Subject: domain.Subject{Grants: []domain.Grant{{Role: domain.RoleTechnician, Organisation: rootOf(d)}}}}
	fields := map[string]any{"code": d.Code, "name": d.Name, "level": d.Level}
	if d.Abbr != "" {
		fields["abbr"] = d.Abbr
	}
	open := map[string]any{}
	if d.Parent != "" && d.Level != domain.LevelCounty {
		open["parent"] = d.Parent // perhaps a row of the same list, so not looked up
	}
	if len(d.Aliases) > 0 {
		fields["aliases"] = d.Aliases
	}
	if d.Lng != 0 {
		fields["point"] = map[string]any{"lng": d.Lng, "lat": d.Lat}
	}
	p := b.policy.Load()
	old, ok := p.organisations[d.Code]
	if !ok {
		draft, err := b.draftCreate(caller, divisionID(d.Code), kindOrganisation, "", Input{Fields: fields})
		if err == nil {
			draft.open = open
		}
		return draft, false, err
	}
	if !differs(old, d, open["parent"]) {
		return nil, false, nil
	}
	draft, err := b.draftStep(caller, old.Record, "amend", "", Input{Fields: fields})
	if err == nil {
		draft.open = open
	}
	return draft, true, err
}

// rootOf is the county that the list belongs to: its own tree comes from
// the county, whoever brings it.
func rootOf(d Division) string { return d.Code[:min(len(d.Code), 6)] }

// divisionID is the same on every box, so that two boxes that import the
// same list have the same records when they meet.
func divisionID(code string) envelope.RecordID {
	sum := sha256.Sum256([]byte("fengqiao/organisation/1\x00" + code))
	return envelope.RecordID(sum[:16])
}

func differs(old *organisation, d Division, parent any) bool {
	return old.Name != d.Name || parent != nil && old.Parent != parent || old.Level != d.Level ||
		d.Abbr != "" && old.Abbr != d.Abbr || len(d.Aliases) > 0 && !slices.Equal(old.Aliases, d.Aliases) || d.Lng != 0 && (old.Lng != d.Lng || old.Lat != d.Lat)
}

// ParseDivisions reads a list of divisions as a table (code, name, level,
// parent, lng, lat in degrees; abbr and aliases as they like) and, where it
// has no column of former names, adds those that the release knows. A list
// with a wrong row is refused whole.
func ParseDivisions(name string, data []byte) ([]Division, error) {
	table, err := sheet.Read(bytes.NewReader(data), int64(len(data)), sheet.Options{Name: name})
	if err != nil {
		return nil, fileError(err)
	}
	list, wrong, err := sheet.ReadDivisions(table)
	if err != nil {
		return nil, fileError(err)
	}
	if len(wrong) > 0 {
		return nil, cellErrors(wrong)
	}
	if !list.Named {
		if err := list.AddShippedAliases(); err != nil {
			return nil, err
		}
	}
	out := make([]Division, len(list.List))
	for i, d := range list.List {
		out[i] = Division{Code: d.Code, Name: d.Name, Level: string(d.Level), Parent: d.Parent, Abbr: d.Abbr, Lng: d.Lng, Lat: d.Lat, Aliases: d.Aliases}
	}
	return out, nil
}

// cellErrors says where a table is wrong, the first places at least.
func cellErrors(wrong []*sheet.CellError) error {
	var out InputError
	for _, e := range wrong[:min(len(wrong), 20)] {
		out.add(fmt.Sprintf("row/%d", e.Row), e.Code, fmt.Sprintf("第 %d 行：%s", e.Row, e.Message.ZH), fmt.Sprintf("Row %d: %s", e.Row, e.Message.EN))
	}
	return &out
}

// ImportDivisionList reads and brings a list for somebody who may make
// organisations. The tree comes from the county whoever brings it, so the
// operations name its place and the audit names the person.
func (b *Box) ImportDivisionList(ctx context.Context, c Caller, name string, data []byte) (api.DivisionCounts, error) {
	def, _, _ := b.policy.Load().kind(kindOrganisation)
	if !slices.ContainsFunc(c.Grants, func(g domain.Grant) bool { return domain.MayCreate(def, g) }) {
		return api.DivisionCounts{}, ErrForbidden
	}
	rows, err := ParseDivisions(name, data)
	if err != nil {
		return api.DivisionCounts{}, err
	}
	counts, err := b.ImportDivisions(ctx, rows)
	result := "ok"
	if err != nil {
		result = "failed"
	}
	sum := sha256.Sum256(data)
	return counts, errors.Join(err, b.noteFor(c.User, audit.Entry{Action: "import_divisions", ObjectKind: kindOrganisation, Result: result,
		Details: map[string]string{"sha256": hex.EncodeToString(sum[:]), "new": strconv.Itoa(counts.New), "changed": strconv.Itoa(counts.Changed)}}))
}
