package service

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
)

// SetupState is what the first-run wizard shows.
func (b *Box) SetupState() api.SetupState {
	now, quality := b.clock.Now()
	text := clockText(quality)
	out := api.SetupState{Needed: b.SetupNeeded(), ServerTime: now, ClockOK: quality == envelope.TimeSet || quality == envelope.TimeSynced,
		ClockText: text.ZH + " / " + text.EN, Organisations: []api.Organisation{}}
	if !out.Needed {
		return out
	}
	for _, o := range b.Organisations().Items {
		if o.Level == domain.LevelTownship || o.Level == domain.LevelCounty {
			out.Organisations = append(out.Organisations, o)
		}
	}
	return out
}

// FoundFrom founds the box as the wizard asks and gives the emergency
// sheet. The private half of its key exists on that paper alone.
func (b *Box) FoundFrom(ctx context.Context, in api.SetupInput) (api.Sheet, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return api.Sheet{}, err
	}
	f := Founding{Code: in.Code, Organisation: in.Organisation, Name: in.Name, CountyName: in.CountyName, Recipient: key.Recipient().String()}
	if !in.TimeChecked {
		return api.Sheet{}, &InputError{Fields: []FieldError{{Path: "time_checked", Code: "required", Message: domain.Text{ZH: "请先核对本机时间", EN: "Check the clock first."}}}}
	}
	for _, a := range in.Admins {
		f.Admins = append(f.Admins, NewAccount{Username: a.Username, Name: a.Name, Password: a.Password, Grants: []domain.Grant{{Role: a.Role, Organisation: in.Organisation}}})
	}
	codes, err := b.Found(ctx, f)
	if err != nil {
		return api.Sheet{}, err
	}
	box := b.Describe("zh")
	now, _ := b.clock.Now()
	for i, c := range codes {
		codes[i] = c[:4] + "-" + c[4:8] + "-" + c[8:]
	}
	return api.Sheet{BoxID: box.ID, Organisation: box.Organisation, Name: box.OrganisationName, CreatedAt: now, Recipient: f.Recipient,
		Secret: grouped(key.String()), Codes: codes}, nil
}

// grouped writes a key in groups of five for reading from paper.
func grouped(s string) []string {
	var out []string
	for part := range slices.Chunk([]byte(s), 5) {
		out = append(out, string(part))
	}
	return out
}

// divisionColumns is the shape of a list of divisions.
var divisionColumns = []string{"code", "name", "level", "parent", "lng", "lat"}

const maxDivisions = 20_000

// ParseDivisions reads a CSV list of divisions: code, name, level, parent,
// lng, lat (degrees), further columns are ignored. It is refused whole when
// a row is wrong.
func ParseDivisions(r io.Reader) ([]Division, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1
	header, err := in.Read()
	if err != nil {
		return nil, divisionError(1, "无法读取表头", "the header cannot be read")
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	at := map[string]int{}
	for i, h := range header {
		at[strings.TrimSpace(h)] = i
	}
	for _, c := range divisionColumns[:4] {
		if _, ok := at[c]; !ok {
			return nil, divisionError(1, "缺少列 "+c, "column "+c+" is missing")
		}
	}
	var out []Division
	seen := map[string]bool{}
	for line := 2; ; line++ {
		row, err := in.Read()
		if err == io.EOF {
			return out, checkParents(out, seen)
		}
		if err != nil || len(out) >= maxDivisions {
			return nil, divisionError(line, "这一行无法读取或超过行数上限", "the row cannot be read, or there are too many")
		}
		d, err := division(row, at, line)
		if err != nil {
			return nil, err
		}
		if seen[d.Code] {
			return nil, divisionError(line, "代码 "+d.Code+" 重复", "code "+d.Code+" stands twice")
		}
		seen[d.Code] = true
		out = append(out, d)
	}
}

func division(row []string, at map[string]int, line int) (Division, error) {
	cell := func(name string) string {
		i, ok := at[name]
		if !ok || i >= len(row) {
			return ""
		}
		return strings.TrimSpace(row[i])
	}
	d := Division{Code: cell("code"), Name: cell("name"), Level: cell("level"), Parent: cell("parent"), Abbr: cell("abbr")}
	if d.Code == "" || len(d.Code) > 24 || d.Name == "" || d.Level == "" {
		return d, divisionError(line, "代码、名称、层级不能为空", "code, name and level are required")
	}
	var err error
	if d.Lng, err = micro(cell("lng")); err == nil {
		d.Lat, err = micro(cell("lat"))
	}
	if err != nil {
		return d, divisionError(line, "经纬度不是数字", "longitude or latitude is not a number")
	}
	return d, nil
}

// micro reads degrees as millionths without a detour through floats.
func micro(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return 0, fmt.Errorf("service: %q is not a number", s)
	}
	r.Mul(r, big.NewRat(1_000_000, 1))
	return new(big.Int).Quo(r.Num(), r.Denom()).Int64(), nil
}

func checkParents(rows []Division, seen map[string]bool) error {
	for i, d := range rows {
		if d.Level != domain.LevelCounty && !seen[d.Parent] {
			return divisionError(i+2, d.Name+" 的上级 "+d.Parent+" 不在表中", "the parent "+d.Parent+" of "+d.Name+" is not in the list")
		}
	}
	return nil
}

func divisionError(line int, zh, en string) error {
	return &InputError{Fields: []FieldError{{Path: fmt.Sprintf("row/%d", line), Code: "bad_row", Message: domain.Text{ZH: fmt.Sprintf("第 %d 行：%s", line, zh), EN: fmt.Sprintf("Row %d: %s.", line, en)}}}}
}

// ImportDivisionList reads and brings a list.
func (b *Box) ImportDivisionList(ctx context.Context, data []byte) (DivisionCounts, error) {
	rows, err := ParseDivisions(bytes.NewReader(data))
	if err != nil {
		return DivisionCounts{}, err
	}
	return b.ImportDivisions(ctx, rows)
}
