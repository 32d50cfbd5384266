package service

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/sheet"
)

const oldEvents = "编号,事件名称,事件大类,发生村（社区）,涉及人数,事件简述\n枫旧〔2019〕001号,老井塌陷,民生服务,枫源村,2,已处理\n枫旧〔2019〕002号,=1+2,矛盾劝解,枫源村,3,逗号，引号\"\"\n"

func (b *testBox) importFile(kind, data string) string {
	b.t.Helper()
	duty := b.people["duty"]
	job, err := b.BeginImport(duty, kind, "old.csv", []byte(data))
	if err == nil {
		job, err = b.MapImport(duty, job.ID, nil)
	}
	if err != nil || job.ErrorCount > 0 {
		b.t.Fatalf("%+v %v", job.Errors, err)
	}
	if job, err = b.CommitImport(context.Background(), duty, job.ID); err != nil || job.Done != 2 {
		b.t.Fatalf("%+v %v", job, err)
	}
	return job.ID
}

func (b *testBox) listed() int {
	b.t.Helper()
	page, err := b.Records(context.Background(), b.people["duty"], Query{Kinds: []string{"event"}, Limit: 100})
	if err != nil {
		b.t.Fatal(err)
	}
	return len(page.Items)
}

func TestImportAndUndo(t *testing.T) {
	b := newTestBox(t)
	id := b.importFile("event", oldEvents)
	if n := b.listed(); n != 2 {
		t.Fatalf("%d records after the import", n)
	}
	archived, err := b.count("s", township, "event", "archived")
	if err != nil || archived != 2 {
		t.Fatalf("counted %d (%v)", archived, err)
	}
	b.check()
	rows, err := b.importRows(id, func(r *domain.Record) bool { return r.Number == "枫旧〔2019〕001号" })
	if err != nil || len(rows) != 1 || len(rows[0].Record.Clocks) > 0 {
		t.Fatalf("%v %v", rows, err)
	}
	b.step("duty", rows[0].Record, "note", Input{Note: "补充"})
	job, err := b.UndoImport(context.Background(), b.people["duty"], id)
	if err != nil || len(job.Touched) != 1 || job.Touched[0].Number != "枫旧〔2019〕001号" {
		t.Fatalf("%+v %v", job.Touched, err)
	}
	if n := b.listed(); n != 1 {
		t.Fatalf("%d records after the undo", n)
	}
	b.check()
}

func TestImportWithAWrongRowWritesNothing(t *testing.T) {
	b := newTestBox(t)
	duty := b.people["duty"]
	bad := oldEvents + "枫旧〔2019〕003号,坏行,没有这类,枫源村,多少,x\n"
	job, err := b.BeginImport(duty, "event", "old.csv", []byte(bad))
	if err == nil {
		job, err = b.MapImport(duty, job.ID, nil)
	}
	if err != nil || job.State == "checked" || job.ErrorCount < 2 || job.Errors[0].Row != 4 || job.Errors[0].Column != 3 {
		t.Fatalf("%s %+v %v", job.State, job.Errors, err)
	}
	if _, err := b.CommitImport(context.Background(), duty, job.ID); !errors.Is(err, ErrState) {
		t.Fatalf("committed a wrong import: %v", err)
	}
	if n := b.listed(); n != 0 {
		t.Fatalf("%d records", n)
	}
}

// TestImportCutByACrash: rows of a job that never finished do not exist.
func TestImportCutByACrash(t *testing.T) {
	b := newTestBox(t)
	duty := b.people["duty"]
	job, err := b.BeginImport(duty, "event", "old.csv", []byte(oldEvents))
	if err == nil {
		job, err = b.MapImport(duty, job.ID, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	j, err := b.job(duty, job.ID)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.createWith(context.Background(), duty, j.record, kindImport, "", Input{Fields: map[string]any{"kind": "event", "hash": "h", "mapping": []string{"-"}, "rows": int64(2)}}, nil)
	if err == nil {
		err = b.writeRows(context.Background(), duty, j)
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := b.listed(); n != 0 {
		t.Fatalf("%d records while the job runs", n)
	}
	b.close()
	b.open()
	if n := b.listed(); n != 0 {
		t.Fatalf("%d records after the crash", n)
	}
	if r, err := b.record(j.record); err != nil || r.State != importUndone {
		t.Fatalf("job is %s (%v)", r.State, err)
	}
	b.check()
}

func (b *testBox) exported(kind string) []byte {
	b.t.Helper()
	table, err := b.Export(context.Background(), kind)
	if err != nil {
		b.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := sheet.WriteCSV(&out, table.Header, table.Output()); err != nil {
		b.t.Fatal(err)
	}
	return out.Bytes()
}

// TestExportImportExport gives the same bytes from another box.
func TestExportImportExport(t *testing.T) {
	a := newTestBox(t)
	a.importFile("event", oldEvents)
	first := a.exported("event")
	b := newTestBox(t)
	b.importFile("event", string(first))
	if second := b.exported("event"); !bytes.Equal(first, second) {
		t.Fatalf("%s\n---\n%s", first, second)
	}
}
