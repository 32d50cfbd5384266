package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
	"github.com/fengqiao/fengqiao/node/sheet"
)

// An import brings old matters as one job. Nothing is written while a row
// is wrong. The first operation fixes file hash, kind and count; the rows
// follow in groups that yield to people; the last makes the job done. Until
// then, and after an undo, its rows do not exist for anybody, except those
// that somebody has worked on since.
const (
	kindImport    = "import"
	stepImport    = "import"
	numberColumn  = "number"
	importGroup   = 200
	maxImportErrs = 500
	maxImportJobs = 20
)

// importJob is a file on its way in. What is not committed lives in memory
// only: after a restart the file is chosen again.
type importJob struct {
	mu      sync.Mutex
	view    api.Import
	owner   envelope.RecordID
	data    []byte
	table   *sheet.Table
	fields  []sheet.Field
	mapping sheet.Mapping
	rows    []Input
	numbers []string
	record  envelope.RecordID
}

type importJobs struct {
	mu   sync.Mutex
	list []*importJob
}

// BeginImport reads a file and guesses which column is which field.
func (b *Box) BeginImport(c Caller, kind, name string, data []byte) (api.Import, error) {
	p := b.policy.Load()
	def, _, ok := p.kind(kind)
	if !ok {
		return api.Import{}, ErrUnknownKind
	}
	if _, importable := createStep(def, stepImport); !importable {
		return api.Import{}, ErrUnknownKind
	}
	table, err := sheet.Read(bytes.NewReader(data), int64(len(data)), sheet.Options{Name: name})
	if err != nil {
		return api.Import{}, fileError(err)
	}
	now, _ := b.clock.Now()
	sum := sha256.Sum256(data)
	j := &importJob{owner: c.User, data: data, table: table, fields: b.importFields(def), record: newRecordID(),
		view: api.Import{File: cleanName(name), Kind: kind, State: "mapping", Rows: table.RowCount, CreatedAt: now, By: b.nameOf(c.User),
			Columns: []api.ImportColumn{}, Fields: []api.ImportField{}, Errors: []api.ImportError{}}}
	j.view.ID = j.record.String()
	j.mapping = sheet.Guess(table.Header, j.fields)
	for _, f := range j.fields {
		j.view.Fields = append(j.view.Fields, api.ImportField{Key: f.Key, Title: f.Title.In(c.Lang), Required: f.Required})
	}
	j.columns()
	b.imports.mu.Lock()
	defer b.imports.mu.Unlock()
	b.imports.list = append(b.imports.list, j)
	if len(b.imports.list) > maxImportJobs {
		b.imports.list = b.imports.list[1:]
	}
	err = b.noteFor(c.User, audit.Entry{Action: "import_upload", ObjectKind: kind, Object: j.view.ID, Result: "ok", Details: map[string]string{"sha256": hex.EncodeToString(sum[:])}})
	return j.view, err
}

func fileError(err error) error {
	var file *sheet.FileError
	if errors.As(err, &file) {
		return &InputError{Fields: []FieldError{{Path: "file", Code: file.Code, Message: file.Message}}}
	}
	var mapping *sheet.MappingError
	if errors.As(err, &mapping) {
		return &InputError{Fields: []FieldError{{Path: "columns", Code: "bad_mapping", Message: mapping.Message}}}
	}
	return err
}

// importFields are the single-valued fields of a kind and the number.
func (b *Box) importFields(def *domain.Definition) []sheet.Field {
	out := []sheet.Field{{Key: numberColumn, Title: domain.Text{ZH: "编号", EN: "Number"}, Synonyms: []string{"案号", "案件编号", "事件编号"}, Type: sheet.TypeText, Max: 60}}
	for i := range def.Fields {
		f := &def.Fields[i]
		if f.Type == domain.TypeAccount || f.Table == "accounts" {
			continue
		}
		var codes []domain.Code
		if t, ok := b.embedded.TableOf(def, f.Table); ok {
			for _, r := range t.Rows() {
				codes = append(codes, r.Code)
			}
		}
		if field, ok := sheet.FieldOf(f, codes); ok {
			field.Required = field.Required && !importedSource(codes)
			out = append(out, field)
		}
	}
	return out
}

// codeImported marks a matter whose source is not known any more; a table
// that has it need not be filled by an import.
const codeImported = "import"

func importedSource(codes []domain.Code) bool {
	return slices.ContainsFunc(codes, func(c domain.Code) bool { return c.Code == codeImported })
}

// fillSource gives rows without a source the one that says so.
func fillSource(fields []sheet.Field, values map[string]any) {
	for i := range fields {
		if _, given := values[fields[i].Key]; !given && importedSource(fields[i].Codes) {
			values[fields[i].Key] = codeImported
		}
	}
}

// columns shows the mapping with a sample of each column.
func (j *importJob) columns() {
	sample := map[int]string{}
	for row, err := range j.table.Rows() {
		if err != nil {
			break
		}
		for i, cell := range row.Cells {
			if sample[i] == "" {
				sample[i] = domain.MaskText(cell.Text)
			}
		}
		if row.Number > 20 {
			break
		}
	}
	j.view.Columns = j.view.Columns[:0]
	for i, h := range j.table.Header {
		j.view.Columns = append(j.view.Columns, api.ImportColumn{Header: h, Sample: clip(sample[i]), Field: j.mapping[i]})
	}
}

// job finds an import of the caller.
func (b *Box) job(c Caller, id string) (*importJob, error) {
	b.imports.mu.Lock()
	defer b.imports.mu.Unlock()
	for _, j := range b.imports.list {
		if j.view.ID == id && j.owner == c.User {
			return j, nil
		}
	}
	return nil, ErrNotFound
}

// MapImport sets the columns and tries every row without writing.
func (b *Box) MapImport(c Caller, id string, columns map[string]string) (api.Import, error) {
	j, err := b.job(c, id)
	if err != nil {
		return api.Import{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.view.State != "mapping" && j.view.State != "checked" {
		return j.view, ErrState
	}
	for i, h := range j.table.Header {
		if field, given := columns[h]; given {
			j.mapping[i] = field
		}
	}
	err = b.dryRun(c, j)
	j.columns()
	return j.view, err
}

// dryRun converts and checks every row exactly as the commit would.
func (b *Box) dryRun(c Caller, j *importJob) error {
	p := b.policy.Load()
	def, _, _ := p.kind(j.view.Kind)
	step, _ := createStep(def, stepImport)
	now, _ := b.clock.Now()
	conv, err := sheet.NewConverter(j.table, j.fields, j.mapping, p.findOrganisation, time.UnixMilli(now))
	if err != nil {
		return fileError(err)
	}
	j.rows, j.numbers, j.view.Errors, j.view.ErrorCount = nil, nil, []api.ImportError{}, 0
	for row, err := range conv.Records() {
		if err != nil {
			return fileError(err)
		}
		for _, e := range row.Errors {
			j.wrong(e.Row, e.Column, e.Header, e.Value, e.Message.In(c.Lang))
		}
		number, _ := row.Values[numberColumn].(string)
		delete(row.Values, numberColumn)
		fillSource(j.fields, row.Values)
		in := Input{Fields: row.Values}
		var wrong *InputError
		if _, err := b.readInput(p, def, step, in); errors.As(err, &wrong) && len(row.Errors) == 0 {
			for _, f := range wrong.Fields {
				j.wrong(row.Row, j.column(f.Path), f.Path, "", f.Message.In(c.Lang))
			}
		}
		j.rows, j.numbers = append(j.rows, in), append(j.numbers, number)
	}
	j.view.State = "mapping"
	if j.view.ErrorCount == 0 && len(j.rows) > 0 {
		j.view.State = "checked"
	}
	return nil
}

func (j *importJob) wrong(row, column int, header, value, message string) {
	j.view.ErrorCount++
	if len(j.view.Errors) < maxImportErrs {
		j.view.Errors = append(j.view.Errors, api.ImportError{Row: row, Column: column, Header: header, Value: domain.MaskText(clip(value)), Message: message})
	}
}

func (j *importJob) column(field string) int { return slices.Index(j.mapping, field) + 1 }

// findOrganisation gives what a name, former name or code may mean.
func (p *policy) findOrganisation(text string) []string {
	if _, ok := p.organisations[text]; ok {
		return []string{text}
	}
	var out []string
	for code, o := range p.organisations {
		if o.Name == text || slices.Contains(o.Aliases, text) {
			out = append(out, code)
		}
	}
	slices.Sort(out)
	return out
}

// CommitImport writes a checked import: all rows count, or none.
func (b *Box) CommitImport(ctx context.Context, c Caller, id string) (api.Import, error) {
	j, err := b.job(c, id)
	if err != nil {
		return api.Import{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.view.State != "checked" {
		return j.view, ErrState
	}
	sum := sha256.Sum256(j.data)
	c.Key = ""
	_, err = b.createWith(ctx, c, j.record, kindImport, "", Input{Fields: map[string]any{"kind": j.view.Kind, "hash": hex.EncodeToString(sum[:]), "rows": int64(len(j.rows))}}, nil)
	if err != nil {
		return j.view, err
	}
	j.view.State = "running"
	if err := b.writeRows(ctx, c, j); err != nil {
		j.view.State = "failed"
		_, undo := b.Step(context.WithoutCancel(ctx), c, j.record, "undo", "", Input{})
		return j.view, errors.Join(err, undo)
	}
	if _, err := b.Step(ctx, c, j.record, "finish", "", Input{}); err != nil {
		return j.view, err
	}
	j.view.State = "done"
	return j.view, errors.Join(b.refreshImport(ctx, j.view.ID), b.noteFor(c.User, audit.Entry{Action: "import", ObjectKind: j.view.Kind, Object: j.view.ID, Result: "ok"}))
}

func (b *Box) writeRows(ctx context.Context, c Caller, j *importJob) error {
	for start := 0; start < len(j.rows); start += importGroup {
		var drafts []*draft
		for i := start; i < min(start+importGroup, len(j.rows)); i++ {
			d, err := b.draftCreate(c, newRecordID(), j.view.Kind, stepImport, j.rows[i])
			if err != nil {
				return err
			}
			d.open = map[string]any{domain.InImport: j.view.ID}
			if j.numbers[i] != "" {
				d.open[domain.InNumber] = j.numbers[i]
			}
			drafts = append(drafts, d)
		}
		if _, err := b.submitAll(ctx, drafts); err != nil {
			return err
		}
		j.view.Done += len(drafts)
	}
	return nil
}

// UndoImport takes an import back. Rows that somebody worked on since stay
// and are listed.
func (b *Box) UndoImport(ctx context.Context, c Caller, id string) (api.Import, error) {
	j, err := b.job(c, id)
	if err != nil {
		return api.Import{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.view.State != "done" {
		return j.view, ErrState
	}
	c.Key = ""
	if _, err := b.Step(ctx, c, j.record, "undo", "", Input{}); err != nil {
		return j.view, err
	}
	j.view.State = "undone"
	if err := b.refreshImport(ctx, id); err != nil {
		return j.view, err
	}
	touched, err := b.importRows(id, touched)
	if err != nil {
		return j.view, err
	}
	v := b.viewer(c)
	for i := range touched {
		touched[i].Sight = domain.SightOf(v.p, c.Subject, touched[i].Def, touched[i].Record)
	}
	touched = slices.DeleteFunc(touched, func(f Found) bool { return f.Sight == domain.SightNone })
	j.view.Touched, err = v.rows(touched)
	return j.view, err
}

// touched: somebody took a step after the import.
func touched(r *domain.Record) bool { return len(r.Steps) > 1 || len(r.Appended) > 0 }

// importRows lists the rows of a job.
func (b *Box) importRows(id string, want func(*domain.Record) bool) ([]Found, error) {
	p := b.policy.Load()
	var out []Found
	var after []byte
	for {
		hits, err := b.store.Scan(keyOf("i", id), after, false, 500)
		if err != nil {
			return nil, err
		}
		for _, h := range hits {
			after = h.Key
			r, err := b.record(h.ID)
			if err != nil {
				return nil, err
			}
			if def, ok := p.Definition(r.Definition); ok && want(r) {
				out = append(out, Found{Record: r, Def: def, Sight: domain.SightTeam})
			}
		}
		if len(hits) < 500 {
			return out, nil
		}
	}
}

// refreshImport derives the rows of a job again, now that they count or no
// longer do.
func (b *Box) refreshImport(ctx context.Context, id string) error {
	if err := b.settled(ctx); err != nil {
		return err
	}
	rows, err := b.importRows(id, func(*domain.Record) bool { return true })
	if err != nil {
		return err
	}
	for part := range slices.Chunk(rows, importGroup) {
		ids := make([]envelope.RecordID, len(part))
		for i, f := range part {
			ids[i] = f.Record.ID
		}
		if err := b.refresh(ids); err != nil {
			return err
		}
	}
	return nil
}

// settleImports ends what a crash left half way: a job that was running is
// undone, and rows of the last jobs are derived again.
func (b *Box) settleImports(ctx context.Context) error {
	hits, err := b.store.Scan(keyOf("k", kindImport), nil, true, maxImportJobs)
	if err != nil {
		return err
	}
	for _, h := range hits {
		job, err := b.record(h.ID)
		if err != nil {
			return err
		}
		if job.State == "running" {
			if _, err := b.Step(ctx, b.BoxCaller(), h.ID, "undo", "", Input{}); err != nil {
				return err
			}
		}
		if err := b.refreshImport(ctx, h.ID.String()); err != nil {
			return err
		}
	}
	return nil
}

// Imports lists the caller's imports of this run, newest first.
func (b *Box) Imports(c Caller) api.ImportList {
	b.imports.mu.Lock()
	defer b.imports.mu.Unlock()
	out := api.ImportList{Items: []api.Import{}}
	for _, j := range slices.Backward(b.imports.list) {
		if j.owner == c.User {
			out.Items = append(out.Items, j.view)
		}
	}
	return out
}

// Export writes every counted record of a kind as a table that an import
// reads again. Values of persons are in full: only root at the terminal,
// who holds the keys anyway, may.
func (b *Box) Export(kind string) ([]string, [][]sheet.Cell, error) {
	p := b.policy.Load()
	def, _, ok := p.kind(kind)
	if !ok {
		return nil, nil, ErrUnknownKind
	}
	fields := b.importFields(def)
	header := make([]string, len(fields))
	for i, f := range fields {
		header[i] = f.Title.ZH
	}
	var rows [][]sheet.Cell
	var after []byte
	for {
		hits, err := b.store.Scan(keyOf("k", kind), after, false, 500)
		if err != nil {
			return nil, nil, err
		}
		for _, h := range hits {
			after = h.Key
			row, ok, err := b.exportRow(p, def, fields, h.ID)
			if err != nil {
				return nil, nil, err
			}
			if ok {
				rows = append(rows, row)
			}
		}
		if len(hits) < 500 {
			break
		}
	}
	slices.SortFunc(rows, compareRows)
	return header, rows, b.note(audit.Entry{Action: "export", ObjectKind: kind, Result: "ok", Role: domain.RoleTechnician})
}

// compareRows orders by content, so that the same matters give the same
// bytes whatever box holds them.
func compareRows(a, b []sheet.Cell) int {
	return slices.CompareFunc(a, b, func(x, y sheet.Cell) int { return strings.Compare(x.Text, y.Text) })
}

func (b *Box) exportRow(p *policy, def *domain.Definition, fields []sheet.Field, id envelope.RecordID) ([]sheet.Cell, bool, error) {
	r, err := b.record(id)
	if err != nil {
		return nil, false, err
	}
	if counts, err := b.imported(r); err != nil || !counts {
		return nil, false, err
	}
	row := make([]sheet.Cell, len(fields))
	for i := range fields {
		f := &fields[i]
		if f.Key == numberColumn {
			row[i].Text = r.Number
			continue
		}
		if v, ok := r.Open[f.Key]; ok && v != nil {
			row[i].Text = f.Formatter()(v)
			continue
		}
		if s, ok := r.SealedAt(f.Key, seal.Full); ok {
			if row[i].Text, err = b.open(def.ID, s); err != nil && !errors.Is(err, ErrErased) {
				return nil, false, err
			}
		}
	}
	return row, true, nil
}
