package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fengqiao/fengqiao/backup"
	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/control"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
)

// importLists are the commands below import and the lists that they bring.
var importLists = []struct{ use, list, short string }{
	{"stations", "stations", "站办所和网格 / stations and grids"},
	{"committees", "committees", "调解委员会 / mediation committees"},
	{"people", "people", "人员账号 / people who may sign in"},
	{"rosters", "rosters", "排班表 / duty rosters"},
	{"cases", "mediation", "历史事项，默认为调解案件 / old matters, mediation cases unless --kind says otherwise"},
}

func importCommand() *cobra.Command {
	c := &cobra.Command{Use: "import", Short: "导入（CSV、XLSX）/ import lists"}
	c.AddCommand(importDivisions(), importUndo())
	for _, l := range importLists {
		c.AddCommand(importList(l.use, l.list, l.short))
	}
	return c
}

func importDivisions() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "divisions FILE", Short: "区划表 / a list of divisions", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		data, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		return throughDoor(c, dir, func(door *control.Client) error {
			var n api.DivisionCounts
			if err := door.Call(c.Context(), "divisions", control.Name{Name: filepath.Base(args[0])}, bytes.NewReader(data), &n); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "区划 / divisions: 县 %d，乡镇 %d，村（社区）%d；新增 %d，变更 %d，未变 %d\n",
				n.Levels[domain.LevelCounty], n.Levels[domain.LevelTownship], n.Levels[domain.LevelVillage], n.New, n.Changed, n.Same)
			return nil
		})
	}}
	dataFlag(c, &dir)
	return c
}

func importList(use, list, short string) *cobra.Command {
	var dir, user string
	var dry bool
	columns := map[string]string{}
	c := &cobra.Command{Use: use + " FILE", Short: short, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		data, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		in := control.Import{List: list, Name: filepath.Base(args[0]), User: user, Dry: dry, Columns: columns}
		return throughDoor(c, dir, func(door *control.Client) error {
			var job api.Import
			if err := door.Call(c.Context(), "import", in, bytes.NewReader(data), &job); err != nil {
				return err
			}
			return report(c.OutOrStdout(), job, dry)
		})
	}}
	dataFlag(c, &dir)
	c.Flags().StringVar(&user, "user", "", "user under whose rights it is done")
	c.Flags().BoolVar(&dry, "dry-run", false, "check without writing")
	c.Flags().StringToStringVar(&columns, "column", nil, "header=field, where the guess is wrong")
	if use == "cases" {
		c.Flags().StringVar(&list, "kind", list, "kind of matter: mediation, event, …")
	}
	return c
}

// report says what an import did or what is wrong, by row and column.
func report(out io.Writer, job api.Import, dry bool) error {
	for _, col := range job.Columns {
		fmt.Fprintf(out, "  %-24s → %s\n", col.Header, col.Field)
	}
	for _, e := range job.Errors {
		fmt.Fprintf(out, "  第 %d 行 第 %d 列（%s）：%s\n", e.Row, e.Column, e.Header, e.Message)
	}
	switch {
	case job.ErrorCount > 0:
		return fmt.Errorf("%d 处错误，没有导入任何一行 / %d errors, nothing was imported", job.ErrorCount, job.ErrorCount)
	case dry:
		fmt.Fprintf(out, "试导通过：%d 行 / dry run: %d rows are right\n", job.Rows, job.Rows)
		return nil
	}
	for _, p := range job.FirstPasswords {
		fmt.Fprintf(out, "  %s  %s  初始密码 / first password: %s\n", p.Username, p.Name, p.Password)
	}
	if len(job.FirstPasswords) > 0 {
		fmt.Fprintln(out, "初始密码只显示这一次，请当面交给本人，首次登录须修改 / first passwords are shown once; hand them over in person")
	}
	fmt.Fprintf(out, "已导入 %d 行，撤销用 / %d rows imported, take back with: fengqiao import undo -- %s\n", job.Done, job.Done, job.ID)
	return nil
}

func importUndo() *cobra.Command {
	var dir, user string
	c := &cobra.Command{Use: "undo ID", Short: "撤销一次导入，有人办理过的行保留 / take an import back; rows worked on since stay", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return throughDoor(c, dir, func(door *control.Client) error {
			var job api.Import
			if err := door.Call(c.Context(), "undo-import", control.Undo{ID: args[0], User: user}, nil, &job); err != nil {
				return err
			}
			for _, r := range job.Touched {
				fmt.Fprintf(c.OutOrStdout(), "  保留 / kept: %s %s\n", r.Number, r.ID)
			}
			fmt.Fprintln(c.OutOrStdout(), "已撤销 / undone")
			return nil
		})
	}}
	dataFlag(c, &dir)
	c.Flags().StringVar(&user, "user", "", "user under whose rights it is done")
	return c
}

func exportCommand() *cobra.Command {
	var dir, kind, to string
	c := &cobra.Command{Use: "export", Short: "导出全部清单，可再导入 / export every list, full values, to be imported again", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return throughDoor(c, dir, func(door *control.Client) error {
			if kind != "" {
				return exportOne(c, door, kind, to)
			}
			return exportAll(c, door, to)
		})
	}}
	dataFlag(c, &dir)
	c.Flags().StringVar(&kind, "kind", "", "one list: divisions, stations, committees, people, rosters, event, mediation, …")
	c.Flags().StringVar(&to, "to", "", "new directory for everything; with --kind a file, .csv or .xlsx")
	if err := c.MarkFlagRequired("to"); err != nil {
		panic(err)
	}
	return c
}

// exportAll writes every list into a new directory, numbered in the order
// in which an empty box takes them.
func exportAll(c *cobra.Command, door *control.Client, to string) error {
	var lists []string
	if err := door.Call(c.Context(), "exports", nil, nil, &lists); err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for i, list := range lists {
		if err := exportOne(c, door, list, filepath.Join(to, fmt.Sprintf("%02d-%s.csv", i+1, list))); err != nil {
			return err
		}
	}
	return nil
}

func exportOne(c *cobra.Command, door *control.Client, list, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s 已经存在，不覆盖 / exists and is not overwritten", to)
	}
	err := backup.Save(to, func(w io.Writer) error {
		return door.Fetch(c.Context(), "export", control.Export{List: list, Format: strings.TrimPrefix(filepath.Ext(to), ".")}, w)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "已导出 / exported: %s\n", to)
	return nil
}

func userCommand() *cobra.Command {
	c := &cobra.Command{Use: "user", Short: "账号 / accounts"}
	var dir string
	reset := &cobra.Command{Use: "reset-password NAME", Short: "重置密码 / give a new first password", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return throughDoor(c, dir, func(door *control.Client) error {
			var password string
			if err := door.Call(c.Context(), "reset-password", control.Name{Name: args[0]}, nil, &password); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s 的新初始密码 / new first password: %s （登录后须修改 / must be changed）\n", args[0], password)
			return nil
		})
	}}
	dataFlag(reset, &dir)
	unlock := &cobra.Command{Use: "unlock NAME", Short: "解除登录锁定 / forgive failed sign-ins", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return throughDoor(c, dir, func(door *control.Client) error {
			if err := door.Call(c.Context(), "unlock", control.Name{Name: args[0]}, nil, &struct{}{}); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s 已解锁 / unlocked\n", args[0])
			return nil
		})
	}}
	dataFlag(unlock, &dir)
	c.AddCommand(reset, unlock)
	return c
}

// setupCodeCommand shows a new code when the first output of the service
// has gone by or the code has run out.
func setupCodeCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "setup-code", Short: "重新取得首次设置码 / a new code for the first set-up", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		door, err := control.Dial(dir)
		if errors.Is(err, control.ErrClosed) {
			return errors.New("本机没有在运行，请先启动服务 / the box is not running, start the service first")
		}
		if err != nil {
			return err
		}
		var code string
		if err := door.Call(c.Context(), "setup-code", nil, nil, &code); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "设置码 / setup code: %s （30 min）\n", code)
		return nil
	}}
	dataFlag(c, &dir)
	return c
}

// sheetCommand prints a new emergency sheet.
func sheetCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "new-sheet", Short: "重新制作应急单，旧应急码作废 / a new emergency sheet, the old codes end", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return throughDoor(c, dir, func(door *control.Client) error {
			var s api.Sheet
			if err := door.Call(c.Context(), "new-sheet", nil, nil, &s); err != nil {
				return err
			}
			out := c.OutOrStdout()
			fmt.Fprintf(out, "应急单 / emergency sheet  %s %s\n备份密钥 / key of the backups:\n  %s\n应急码，每个用一次 / break-glass codes, each works once:\n", s.Name, s.Organisation, strings.Join(s.Secret, " "))
			for _, code := range s.Codes {
				fmt.Fprintf(out, "  %s\n", code)
			}
			fmt.Fprintln(out, "只显示这一次。请抄录或打印后封存；此前的备份仍须用旧应急单打开，请立即重新备份。\nShown once. Copy and seal it; earlier archives still need the old sheet, make a new one now.")
			return nil
		})
	}}
	dataFlag(c, &dir)
	return c
}

// clockCommand says that a person compared the clock of the running box.
func clockCommand() *cobra.Command {
	var dir string
	confirm := &cobra.Command{Use: "confirm", Short: "确认已人工核对本机时间 / the clock was compared by a person", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return throughDoor(c, dir, func(door *control.Client) error {
			var s api.SetupState
			if err := door.Call(c.Context(), "confirm-clock", nil, nil, &s); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s  %s\n", time.UnixMilli(s.ServerTime).Format(time.DateTime), s.ClockText)
			return nil
		})
	}}
	dataFlag(confirm, &dir)
	c := &cobra.Command{Use: "clock", Short: "时钟 / the clock"}
	c.AddCommand(confirm)
	return c
}

func checkCommand() *cobra.Command {
	var dir string
	var deep bool
	c := &cobra.Command{Use: "check", Short: "核查数据 / verify journal, store, counters, attachments, audit", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		r, err := check(c, dir, deep)
		if err != nil {
			return err
		}
		out := c.OutOrStdout()
		fmt.Fprintf(out, "\n日志 / journal: %d 操作 operations, %d 组 groups\n数据库 / store: %d 记录 records, %d 索引 index keys, %d 计数 counters\n附件 / attachments: %d\n审计 / audit: %d\n摘要 / digest: %s\n",
			r.Operations, r.Groups, r.Store.Records, r.Store.Keys, r.Store.Counters, r.Blobs, r.Audit, r.Store.Digest)
		if deep {
			fmt.Fprintf(out, "密封内容 / sealed: %d 可读 readable, %d 已销毁 erased\n", r.Opened, r.Erased)
		}
		for _, p := range r.Problems {
			fmt.Fprintln(out, "[-]", p)
		}
		if len(r.Problems) > 0 {
			return errDamage
		}
		fmt.Fprintln(out, "[+] 全部完好 / everything is whole")
		return nil
	}}
	dataFlag(c, &dir)
	c.Flags().BoolVar(&deep, "deep", false, "also open every sealed value and attachment")
	return c
}

// check asks the running box; one that does not run is not opened before
// its files are proved.
func check(c *cobra.Command, dir string, deep bool) (r service.CheckReport, err error) {
	if _, derr := control.Dial(dir); errors.Is(derr, control.ErrClosed) {
		if err := ownDirectory(dir); err != nil {
			return r, err
		}
		return node.Check(c.Context(), dir, service.CheckOptions{Deep: deep, Progress: func(stage string, done, _ int64) { fmt.Fprintf(c.ErrOrStderr(), "\r%s %d", stage, done) }})
	}
	err = throughDoor(c, dir, func(door *control.Client) error {
		return door.Call(c.Context(), "check", control.Check{Deep: deep}, nil, &r)
	})
	return r, err
}
