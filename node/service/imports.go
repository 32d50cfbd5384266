package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/sheet"
)

// An import brings a list as one job. Nothing is written while a row is
// wrong. The first operation fixes file hash, mapping and count; the rows
// follow in groups that yield to people; the last makes the job done. Until
// then, and after an undo, its rows do not exist for anybody, except those
// that somebody has worked on since.
const (
	kindImport    = "import"
	stepImport    = "import"
	numberColumn  = "number"
	leftOut       = "-" // in the mapping that the journal keeps
	importGroup   = 200
	maxImportErrs = 500
	maxImportJobs = 20
	// commitWait is how long a commit is waited for before its caller is
	// told that it runs.
	commitWait = 2 * time.Second
)

// importJob is a file on its way in. What is not committed lives in memory
// only: after a restart the file is chosen again.
type importJob struct {
	mu      sync.Mutex
	view    api.Import
	owner   envelope.RecordID
	hash    string
	list    *list
	table   *sheet.Table
	mapping sheet.Mapping
	rows    []importRow
	record  envelope.RecordID
	ended   chan struct{}
}

// importRow is a checked row.
type importRow struct {
	in     Input
	number string
}

type importJobs struct {
	mu      sync.Mutex
	list    []*importJob
	running sync.Mutex // one job writes at a time
	// replayed jobs stood in the journal behind the store: their rows may
	// have been derived before the job ended.
	replayed map[envelope.RecordID]bool
}

func (i *importJobs) noteReplayed(g *group) {
	for id, r := range g.records {
		if r.Definition.ID == kindImport {
			i.replayed[id] = true
		}
	}
}

// BeginImport reads a file and guesses which column is which field.
func (b *Box) BeginImport(c Caller, id, name string, data []byte) (api.Import, error) {
	if b.SetupNeeded() {
		return api.Import{}, ErrNotSetUp
	}
	p := b.policy.Load()
	l, err := b.listOf(p, id, nil)
	if err != nil {
		return api.Import{}, err
	}
	if !l.may(c) {
		return api.Import{}, ErrForbidden
	}
	table, err := sheet.Read(bytes.NewReader(data), int64(len(data)), sheet.Options{Name: name})
	if err != nil {
		return api.Import{}, fileError(err)
	}
	if l, err = b.listOf(p, id, table.Header); err != nil {
		return api.Import{}, err
	}
	now, _ := b.clock.Now()
	sum := sha256.Sum256(data)
	j := &importJob{owner: c.User, hash: hex.EncodeToString(sum[:]), list: l, table: table, record: newRecordID(), mapping: sheet.Guess(table.Header, l.fields),
		view: api.Import{File: cleanName(name), Kind: id, Title: l.title.In(c.Lang), State: "mapping", Rows: table.RowCount, CreatedAt: now, By: b.nameOf(c.User),
			Columns: []api.ImportColumn{}, Fields: []api.ImportField{}, Errors: []api.ImportError{}}}
	j.view.ID = j.record.String()
	for _, f := range l.fields {
		j.view.Fields = append(j.view.Fields, api.ImportField{Key: f.Key, Title: f.Title.In(c.Lang), Required: f.Required})
	}
	j.columns()
	b.imports.mu.Lock()
	defer b.imports.mu.Unlock()
	b.imports.list = append(b.imports.list, j)
	if len(b.imports.list) > maxImportJobs {
		b.imports.list = b.imports.list[1:]
	}
	err = b.noteFor(c.User, audit.Entry{Action: "import_upload", ObjectKind: id, Object: j.view.ID, Result: "ok", Details: map[string]string{"sha256": j.hash}})
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

// codeImported marks a matter whose source is not known any more; a table
// that has it need not be filled by an import.
const codeImported = "import"

func importedSource(codes []domain.Code) bool {
	return slices.ContainsFunc(codes, func(c domain.Code) bool { return c.Code == codeImported })
}

// fillSource gives rows without a source the one that says so, where the
// kind asks for one or the table has no such column.
func (in *intake) fillSource(l *list, values map[string]any) {
	for i := range l.fields {
		key := l.fields[i].Key
		if values[key] != nil || !importedSource(l.fields[i].Codes) {
			continue
		}
		if f, ok := l.def.FieldAt(key); ok && (f.Required || !slices.Contains(in.mapped, key)) {
			values[key] = codeImported
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
	j.view.Columns = make([]api.ImportColumn, len(j.table.Header))
	for i, h := range j.table.Header {
		j.view.Columns[i] = api.ImportColumn{Header: h, Sample: clip(sample[i]), Field: j.mapping[i]}
	}
}

// job finds an import of this run that the caller began.
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
	now, _ := b.clock.Now()
	in := b.newIntake(p, j.mapping)
	conv, err := sheet.NewConverter(j.table, j.list.fields, j.mapping, in.places.Find, time.UnixMilli(now))
	if err != nil {
		return fileError(err)
	}
	j.rows, j.view.Errors, j.view.ErrorCount, j.view.State = nil, []api.ImportError{}, 0, "mapping"
	for row, err := range conv.Records() {
		if err != nil {
			return fileError(err)
		}
		for _, e := range row.Errors {
			j.wrong(e.Row, e.Column, e.Header, e.Value, e.Message.In(c.Lang))
		}
		if len(row.Errors) == 0 {
			b.tryRow(c, j, in, row)
		}
	}
	if j.view.ErrorCount == 0 && len(j.rows) > 0 {
		j.view.State = "checked"
	}
	return nil
}

// tryRow keeps a right row, and tells what is wrong with another.
func (b *Box) tryRow(c Caller, j *importJob, in *intake, row sheet.Record) {
	var wrong InputError
	in.number = row.Row
	r := importRow{number: text(row.Values[numberColumn])}
	r.in = j.list.row(in, row.Values, &wrong)
	delete(r.in.Fields, numberColumn)
	err := wrong.orNil()
	if err == nil {
		err = b.rehearse(in.p, c, j.list, r.in)
	}
	var input *InputError
	var refusal *Refusal
	switch {
	case err == nil:
		j.rows = append(j.rows, r)
	case errors.As(err, &input):
		for _, f := range input.Fields {
			j.wrongField(row.Row, f.Path, f.Message.In(c.Lang))
		}
	case errors.As(err, &refusal) && len(refusal.Failed) > 0:
		for _, f := range refusal.Failed {
			j.wrongField(row.Row, f.Path, f.Condition.Message.In(c.Lang))
		}
	default:
		j.wrongField(row.Row, "", domain.Text{ZH: "这一行不能导入：", EN: "The row cannot be imported: "}.In(c.Lang)+err.Error())
	}
}

// rehearse reads and folds a row without sealing or writing it.
func (b *Box) rehearse(p *policy, c Caller, l *list, in Input) error {
	d := &draft{caller: c, def: l.def, step: l.step, record: newRecordID()}
	_, d.ref, _ = p.kind(l.def.ID)
	if err := b.read(p, d, in); err != nil {
		return err
	}
	op := &envelope.Operation{Record: d.record, Class: envelope.ClassA, Step: d.step.ID, Definition: d.ref, Open: maps.Clone(d.values.open), Epoch: 1}
	for _, g := range c.Grants {
		if slices.Contains(d.step.Roles, g.Role) {
			op.Actor = envelope.Actor{User: c.User, Organisation: g.Organisation, Role: g.Role}
		}
	}
	for _, t := range d.values.text {
		op.Sealed = append(op.Sealed, envelope.SealedField{Path: t.path})
	}
	envelope.SortSealed(op.Sealed)
	if _, v := domain.Fold(nil, op, p); v.Code != envelope.Applied {
		return explain(&Refusal{Verdict: v}, d, op)
	}
	return nil
}

func (j *importJob) wrong(row, column int, header, value, message string) {
	j.view.ErrorCount++
	if len(j.view.Errors) < maxImportErrs {
		j.view.Errors = append(j.view.Errors, api.ImportError{Row: row, Column: column, Header: header, Value: domain.MaskText(clip(value)), Message: message})
	}
}

func (j *importJob) wrongField(row int, field, message string) {
	column, header := slices.Index(j.mapping, field)+1, field
	if field == "" {
		column = 0
	}
	if column > 0 {
		header = j.table.Header[column-1]
	}
	j.wrong(row, column, header, "", message)
}

// places finds organisations by code, name, former name, or name behind
// those of their township.
func (p *policy) places() *sheet.Divisions {
	list := make([]sheet.Division, 0, len(p.organisations))
	for _, code := range slices.Sorted(maps.Keys(p.organisations)) {
		o := p.organisations[code]
		list = append(list, sheet.Division{Code: code, Name: o.Name, Parent: o.Parent, Aliases: o.Aliases})
	}
	return sheet.Index(list)
}

// CommitImport writes a checked import in the background: all rows count,
// or none. It waits a moment, so that a short one is answered as done.
func (b *Box) CommitImport(ctx context.Context, c Caller, id string) (api.Import, error) {
	j, err := b.job(c, id)
	if err != nil {
		return api.Import{}, err
	}
	if err := b.start(c, j); err != nil {
		return api.Import{}, err
	}
	limit := time.NewTimer(commitWait)
	defer limit.Stop()
	select {
	case <-j.ended:
	case <-limit.C:
	case <-ctx.Done():
		return api.Import{}, ctx.Err()
	}
	return b.ImportJob(c, id)
}

func (b *Box) start(c Caller, j *importJob) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended != nil {
		return nil // sent again
	}
	if j.view.State != "checked" {
		return ErrState
	}
	j.view.State, j.ended = "running", make(chan struct{})
	c.Key = ""
	b.work.Go(func() {
		defer close(j.ended)
		b.imports.running.Lock()
		defer b.imports.running.Unlock()
		err := b.runImport(context.Background(), c, j)
		j.mu.Lock()
		defer j.mu.Unlock()
		j.table, j.rows = nil, nil
		if j.view.State = "done"; err != nil {
			j.view.State, j.view.Done, j.view.FirstPasswords = "failed", 0, nil
			j.wrong(0, 0, "", "", failedSentence(err).In(c.Lang))
			b.log.Error("import failed", "id", j.view.ID, "err", err)
		}
	})
	return nil
}

// failedSentence says why a checked import ended without a row.
func failedSentence(err error) domain.Text {
	if errors.Is(err, ErrFull) {
		return domain.Text{ZH: "磁盘已满，导入已撤销。请清理后重新导入", EN: "The disk is full; the import was undone. Free space and import again."}
	}
	return domain.Text{ZH: "导入期间数据有变化或本机正在停止，已全部撤销。请重新上传并检查", EN: "Something changed meanwhile, or the box was stopping; everything was undone. Upload and check again."}
}

// runImport writes the job. What fails on the way is undone, at once or at
// the next start.
func (b *Box) runImport(ctx context.Context, c Caller, j *importJob) error {
	mapping := make([]string, len(j.mapping))
	for i, field := range j.mapping {
		if mapping[i] = field; field == "" {
			mapping[i] = leftOut
		}
	}
	_, err := b.createWith(ctx, c, j.record, kindImport, "", Input{Fields: map[string]any{"kind": j.view.Kind, "file": j.view.File, "hash": j.hash,
		"mapping": mapping, "rows": int64(len(j.rows))}}, nil)
	if err != nil {
		return err
	}
	if err := b.writeRows(ctx, c, j); err != nil {
		if _, undo := b.Step(ctx, b.BoxCaller(), j.record, "undo", "", Input{}); undo != nil {
			return errors.Join(err, undo)
		}
		return errors.Join(err, b.settleImport(ctx, j.record))
	}
	b.deriving.Lock()
	defer b.deriving.Unlock()
	if _, err := b.Step(ctx, b.BoxCaller(), j.record, "finish", "", Input{}); err != nil {
		return err
	}
	return errors.Join(b.settleImport(ctx, j.record), b.noteFor(c.User, audit.Entry{Action: "import", ObjectKind: j.view.Kind, Object: j.view.ID, Result: "ok",
		Details: map[string]string{"rows": fmt.Sprint(len(j.rows)), "sha256": j.hash}}))
}

func (b *Box) writeRows(ctx context.Context, c Caller, j *importJob) error {
	for part := range slices.Chunk(j.rows, importGroup) {
		var drafts []*draft
		for _, row := range part {
			d, err := b.draftRow(c, j, row)
			if err != nil {
				return err
			}
			drafts = append(drafts, d)
		}
		if _, err := b.submitAll(ctx, drafts); err != nil {
			return err
		}
		j.mu.Lock()
		j.view.Done += len(drafts)
		j.mu.Unlock()
	}
	return nil
}

// draftRow prepares a row. A person gets a first password, which the caller
// is shown once.
func (b *Box) draftRow(c Caller, j *importJob, row importRow) (*draft, error) {
	if j.list.id == listPeople {
		password := initialPassword()
		row.in.Fields = maps.Clone(row.in.Fields)
		row.in.Fields[fieldPassword] = hashPassword(password)
		j.mu.Lock()
		j.view.FirstPasswords = append(j.view.FirstPasswords, api.FirstPassword{Username: text(row.in.Fields["username"]), Name: text(row.in.Fields["name"]), Password: password})
		j.mu.Unlock()
	}
	id := newRecordID()
	if j.list.def.ID == kindOrganisation {
		id = divisionID(text(row.in.Fields["code"]))
	}
	d, err := b.draftCreate(c, id, j.list.def.ID, j.list.step.ID, row.in)
	if err != nil {
		return nil, err
	}
	d.open = map[string]any{domain.InImport: j.view.ID}
	if row.number != "" {
		d.open[domain.InNumber] = row.number
	}
	return d, nil
}

// ImportJob describes a job: one of this run to whoever began it, an older
// one from its record. First passwords are given once, with the first
// answer that says done.
func (b *Box) ImportJob(c Caller, id string) (api.Import, error) {
	j, err := b.job(c, id)
	if err != nil {
		return b.recordedJob(c, id)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	out := j.view
	if out.State == "done" {
		j.view.FirstPasswords = nil
	} else {
		out.FirstPasswords = nil
	}
	return out, nil
}

func (b *Box) recordedJob(c Caller, id string) (api.Import, error) {
	rid, err := envelope.ParseRecordID(id)
	if err != nil {
		return api.Import{}, ErrNotFound
	}
	r, err := b.record(rid)
	if err != nil || r.Definition.ID != kindImport {
		return api.Import{}, ErrNotFound
	}
	return b.pastImport(c, r)
}

// pastImport describes a job from its record.
func (b *Box) pastImport(c Caller, r *domain.Record) (api.Import, error) {
	p := b.policy.Load()
	l, err := b.listOf(p, r.Text("kind"), nil)
	if err != nil || !l.may(c) {
		return api.Import{}, ErrNotFound
	}
	out := api.Import{ID: r.ID.String(), Kind: l.id, Title: l.title.In(c.Lang), State: r.State, Rows: int(r.Int("rows")), Done: int(r.Int("rows")),
		CreatedAt: r.CreatedAt, By: b.nameOf(r.CreatedBy), Columns: []api.ImportColumn{}, Fields: []api.ImportField{}, Errors: []api.ImportError{}}
	v, err := b.plainValues(r, "file")
	out.File = text(v["file"])
	return out, err
}

// UndoImport takes an import back. Rows that somebody worked on since stay
// and are listed.
func (b *Box) UndoImport(ctx context.Context, c Caller, id string) (api.Import, error) {
	out, err := b.recordedJob(c, id)
	if err != nil {
		return out, err
	}
	if out.State != importDone {
		return out, ErrState
	}
	b.imports.running.Lock()
	defer b.imports.running.Unlock()
	b.deriving.Lock()
	defer b.deriving.Unlock()
	rid, err := envelope.ParseRecordID(id)
	if err != nil {
		return out, err
	}
	in := Input{Fields: map[string]any{"settled": false}}
	if !c.User.IsZero() {
		in.Inputs = map[string]any{"by": c.User.String()}
	}
	if _, err := b.Step(ctx, b.BoxCaller(), rid, "undo", "", in); err != nil {
		return out, err
	}
	out.State = importUndone
	if err := b.settleImport(ctx, rid); err != nil {
		return out, err
	}
	if j, err := b.job(c, id); err == nil {
		j.mu.Lock()
		j.view.State, j.view.FirstPasswords = importUndone, nil
		j.mu.Unlock()
	}
	touched, err := b.importRows(id, touched)
	if err != nil {
		return out, err
	}
	v := b.viewer(c)
	for i := range touched {
		touched[i].Sight = domain.SightOf(v.p, c.Subject, touched[i].Def, touched[i].Record)
	}
	kept := len(touched)
	touched = slices.DeleteFunc(touched, func(f Found) bool { return f.Sight == domain.SightNone })
	if out.Touched, err = v.rows(touched); err != nil {
		return out, err
	}
	return out, b.noteFor(c.User, audit.Entry{Action: "import_undo", ObjectKind: out.Kind, Object: id, Result: "ok", Details: map[string]string{"kept": fmt.Sprint(kept)}})
}

// touched: somebody took a step after the import.
func touched(r *domain.Record) bool { return len(r.Steps) > 1 || len(r.Appended) > 0 }

// settled: the figures follow the job's state.
func settled(job *domain.Record) bool {
	done, _ := job.Open["settled"].(bool)
	return done
}

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

// settleImport derives the rows of a job again, now that they count or no
// longer do, and says so in the job.
func (b *Box) settleImport(ctx context.Context, id envelope.RecordID) error {
	if err := b.refreshRows(ctx, id); err != nil {
		return err
	}
	_, err := b.Step(ctx, b.BoxCaller(), id, "settle", "", Input{Fields: map[string]any{"settled": true}})
	return err
}

func (b *Box) refreshRows(ctx context.Context, id envelope.RecordID) error {
	if err := b.settled(ctx); err != nil {
		return err
	}
	rows, err := b.importRows(id.String(), func(*domain.Record) bool { return true })
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
// undone, and rows whose figures do not follow yet are derived again.
func (b *Box) settleImports(ctx context.Context) error {
	jobs := b.imports.replayed
	hits, err := b.store.Scan(keyOf("w", kindImport), nil, false, 1000)
	if err != nil {
		return err
	}
	for _, h := range hits {
		jobs[h.ID] = true
	}
	for id := range jobs {
		job, err := b.record(id)
		if err != nil {
			return err
		}
		if job.State == "running" {
			if _, err := b.Step(ctx, b.BoxCaller(), id, "undo", "", Input{}); err != nil {
				return err
			}
		}
		if settled(job) {
			err = b.refreshRows(ctx, id)
		} else {
			err = b.settleImport(ctx, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Imports lists what the caller may bring and the jobs of it, newest first:
// those of this run that are not written yet, then the recorded ones.
func (b *Box) Imports(c Caller) (api.ImportList, error) {
	out := api.ImportList{Items: []api.Import{}, Kinds: []api.ImportKind{}}
	for _, l := range b.lists(c) {
		out.Kinds = append(out.Kinds, api.ImportKind{ID: l.id, Title: l.title.In(c.Lang)})
	}
	b.imports.mu.Lock()
	jobs := slices.Clone(b.imports.list)
	b.imports.mu.Unlock()
	for _, j := range slices.Backward(jobs) {
		j.mu.Lock()
		view := j.view
		j.mu.Unlock()
		view.FirstPasswords = nil
		if j.owner == c.User && view.State != importDone && view.State != importUndone {
			out.Items = append(out.Items, view)
		}
	}
	hits, err := b.store.Scan(keyOf("k", kindImport), nil, true, 100)
	if err != nil {
		return out, err
	}
	for _, h := range hits {
		r, err := b.record(h.ID)
		if err != nil {
			return out, err
		}
		if r.State == "running" {
			continue
		}
		item, err := b.pastImport(c, r)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, item)
	}
	return out, nil
}
