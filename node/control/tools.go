package control

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
	"github.com/fengqiao/fengqiao/node/sheet"
)

// tools are the technician's use cases.
type tools struct{ o Options }

// Import names a table to bring. Without a user it is the technician's own
// right, which covers people, stations and committees; matters and rosters
// are brought under the rights of somebody of the centre.
type Import struct {
	List, Name, User string
	Dry              bool
	Columns          map[string]string // header → field, where the guess is wrong
}

// Undo names an import to take back.
type Undo struct{ ID, User string }

// Check says how far a check goes.
type Check struct{ Deep bool }

// Name is the argument of tools that want one name.
type Name struct{ Name string }

// Export names a list and its format, csv or xlsx.
type Export struct{ List, Format string }

func (t tools) caller(user string) (service.Caller, error) {
	if user == "" {
		c := t.o.Box.Technician()
		c.Lang = "zh"
		return c, nil
	}
	return t.o.Box.ActAs(user)
}

func (t tools) divisions(c *call) (any, error) {
	var in Name
	data, err := c.read(&in)
	if err != nil {
		return nil, err
	}
	return t.o.Box.ImportDivisionList(c.ctx, t.o.Box.Technician(), in.Name, data)
}

func (c *call) read(in any) ([]byte, error) {
	if err := json.Unmarshal(c.args, in); err != nil {
		return nil, err
	}
	return io.ReadAll(c.body)
}

func (t tools) importList(c *call) (any, error) {
	var in Import
	data, err := c.read(&in)
	if err != nil {
		return nil, err
	}
	if in.User == "" && !slices.Contains(ownLists, in.List) {
		return nil, &Problem{Text: domain.Text{ZH: "请用 --user 指明以谁的名义导入（值班员、分管领导等有权的账号）", EN: "name with --user who imports it: a duty officer, a leader or another account with the right"}}
	}
	caller, err := t.caller(in.User)
	if err != nil {
		return nil, err
	}
	job, err := t.o.Box.BeginImport(caller, in.List, in.Name, data)
	if err == nil {
		job, err = t.o.Box.MapImport(caller, job.ID, in.Columns)
	}
	if err != nil || job.ErrorCount > 0 || in.Dry {
		return job, err
	}
	return t.commit(c, caller, job.ID)
}

// ownLists are what a technician brings by their own right.
var ownLists = []string{"stations", "committees", "people"}

// commit follows the job to its end; a client that goes away leaves it
// running.
func (t tools) commit(c *call, caller service.Caller, id string) (api.Import, error) {
	c.progress("import", 0, 0)
	job, err := t.o.Box.CommitImport(c.ctx, caller, id)
	for err == nil && job.State == "running" {
		c.progress("import", int64(job.Done), int64(job.Rows))
		select {
		case <-time.After(200 * time.Millisecond):
		case <-c.ctx.Done():
			return job, c.ctx.Err()
		}
		job, err = t.o.Box.ImportJob(caller, id)
	}
	return job, err
}

func (t tools) undoImport(c *call) (any, error) {
	var in Undo
	if _, err := c.read(&in); err != nil {
		return nil, err
	}
	caller, err := t.caller(in.User)
	if err != nil {
		return nil, err
	}
	return t.o.Box.UndoImport(c.ctx, caller, in.ID)
}

func (t tools) exports(*call) (any, error) { return t.o.Box.Exports(), nil }

func (t tools) export(c *call, w io.Writer) error {
	var in Export
	if err := json.Unmarshal(c.args, &in); err != nil {
		return err
	}
	table, err := t.o.Box.Export(c.ctx, in.List)
	if err != nil {
		return err
	}
	switch in.Format {
	case "csv":
		return sheet.WriteCSV(w, table.Header, table.Output())
	case "xlsx":
		return sheet.WriteXLSX(w, table.List, table.Header, table.Output())
	}
	return &Problem{Text: domain.Text{ZH: "文件名应以 .csv 或 .xlsx 结尾", EN: "the file must end in .csv or .xlsx"}}
}

func (t tools) resetPassword(c *call) (any, error) {
	var in Name
	if _, err := c.read(&in); err != nil {
		return nil, err
	}
	id, ok := t.o.Box.AccountByName(in.Name)
	if !ok {
		return nil, service.ErrNotFound
	}
	return t.o.Box.ResetPassword(c.ctx, t.o.Box.Technician(), id)
}

func (t tools) unlock(c *call) (any, error) {
	var in Name
	if _, err := c.read(&in); err != nil {
		return nil, err
	}
	id, ok := t.o.Box.AccountByName(in.Name)
	if !ok {
		return nil, service.ErrNotFound
	}
	return struct{}{}, t.o.Box.Unlock(t.o.Box.Technician(), id)
}

func (t tools) setupCode(*call) (any, error) {
	if !t.o.Box.SetupNeeded() {
		return nil, &Problem{Text: domain.Text{ZH: "首次设置已经完成", EN: "the first set-up is done already"}}
	}
	return t.o.Box.SetupCode(), nil
}

func (t tools) newSheet(c *call) (any, error) { return t.o.Box.NewSheet(c.ctx) }

func (t tools) confirmClock(*call) (any, error) {
	err := t.o.Box.ConfirmClock()
	return t.o.Box.SetupState("zh"), err
}

func (t tools) check(c *call) (any, error) {
	var in Check
	if err := json.Unmarshal(c.args, &in); err != nil {
		return nil, err
	}
	return t.o.Box.Check(c.ctx, service.CheckOptions{Deep: in.Deep, Progress: c.progress})
}

func (t tools) backupPlan(*call) (any, error) { return t.o.Plan() }

func (t tools) backup(c *call, w io.Writer) error {
	if err := t.o.Archive(c.ctx, w); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}
