package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/service"
	"github.com/fengqiao/fengqiao/node/sheet"
)

func importCommand() *cobra.Command {
	c := &cobra.Command{Use: "import", Short: "导入 / import lists"}
	var dir string
	divisions := &cobra.Command{Use: "divisions FILE", Short: "导入区划表（CSV）/ a list of divisions", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		data, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		rows, err := service.ParseDivisions(filepath.Base(args[0]), data)
		if err != nil {
			return err
		}
		return withBox(dir, func(b *service.Box) error {
			counts, err := b.ImportDivisions(c.Context(), rows)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "区划 / divisions: 县 %d，乡镇 %d，村（社区）%d，其他 %d；新增 %d，变更 %d，未变 %d\n",
				counts.Levels[domain.LevelCounty], counts.Levels[domain.LevelTownship], counts.Levels[domain.LevelVillage],
				len(rows)-counts.Levels[domain.LevelCounty]-counts.Levels[domain.LevelTownship]-counts.Levels[domain.LevelVillage],
				counts.New, counts.Changed, counts.Same)
			return nil
		})
	}}
	dataFlag(divisions, &dir)
	c.AddCommand(divisions, importCases())
	return c
}

func importCases() *cobra.Command {
	var dir, kind, user string
	var dry bool
	columns := map[string]string{}
	c := &cobra.Command{Use: "cases FILE", Short: "导入历史事项（CSV、XLSX）/ old matters", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		data, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		return withBox(dir, func(b *service.Box) error {
			caller, ok := b.CallerByName(user)
			if !ok {
				return fmt.Errorf("没有账号 %s / no account %s", user, user)
			}
			job, err := b.BeginImport(caller, kind, filepath.Base(args[0]), data)
			if err == nil {
				job, err = b.MapImport(caller, job.ID, columns)
			}
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			for _, col := range job.Columns {
				fmt.Fprintf(out, "  %-24s → %s\n", col.Header, col.Field)
			}
			for _, e := range job.Errors {
				fmt.Fprintf(out, "  第 %d 行 第 %d 列（%s）：%s\n", e.Row, e.Column, e.Header, e.Message)
			}
			if job.ErrorCount > 0 {
				return fmt.Errorf("%d 处错误，没有导入任何一行 / %d errors, nothing was imported", job.ErrorCount, job.ErrorCount)
			}
			if dry {
				fmt.Fprintf(out, "试导通过：%d 行 / dry run: %d rows are right\n", job.Rows, job.Rows)
				return nil
			}
			if job, err = b.CommitImport(c.Context(), caller, job.ID); err != nil {
				return err
			}
			fmt.Fprintf(out, "已导入 %d 行 / %d rows imported\n", job.Done, job.Done)
			return nil
		})
	}}
	dataFlag(c, &dir)
	c.Flags().StringVar(&kind, "kind", "mediation", "kind of matter")
	c.Flags().StringVar(&user, "user", "", "user under whose rights it is done")
	c.Flags().BoolVar(&dry, "dry-run", false, "check without writing")
	c.Flags().StringToStringVar(&columns, "column", nil, "header=field, where the guess is wrong")
	return c
}

func exportCommand() *cobra.Command {
	var dir, kind, to string
	c := &cobra.Command{Use: "export", Short: "导出事项 / export matters (full values)", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return withBox(dir, func(b *service.Box) error {
			table, err := b.Export(kind)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			if filepath.Ext(to) == ".xlsx" {
				err = sheet.WriteXLSX(f, kind, table.Header, table.Output())
			} else {
				err = sheet.WriteCSV(f, table.Header, table.Output())
			}
			if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "已导出 %d 行 / %d rows: %s\n", len(table.Rows), len(table.Rows), to)
			return nil
		})
	}}
	dataFlag(c, &dir)
	c.Flags().StringVar(&kind, "kind", "mediation", "kind of matter")
	c.Flags().StringVar(&to, "to", "", "file to write, .csv or .xlsx")
	if err := c.MarkFlagRequired("to"); err != nil {
		panic(err)
	}
	return c
}

// withBox opens the box for a tool; a running box refuses by its file lock.
func withBox(dir string, f func(*service.Box) error) error {
	b, err := service.Open(service.Options{Dir: dir, Log: logger("warn"), Version: version})
	if err != nil {
		return err
	}
	err = f(b)
	if cerr := b.Close(); err == nil {
		err = cerr
	}
	return err
}

func userCommand() *cobra.Command {
	c := &cobra.Command{Use: "user", Short: "账号 / accounts"}
	var dir string
	reset := &cobra.Command{Use: "reset-password NAME", Short: "重置密码 / give a new first password", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return withBox(dir, func(b *service.Box) error {
			id, ok := b.AccountByName(args[0])
			if !ok {
				return service.ErrNotFound
			}
			password, err := b.ResetPassword(c.Context(), b.Technician(), id)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s 的新初始密码 / new first password: %s （登录后须修改 / must be changed）\n", args[0], password)
			return nil
		})
	}}
	dataFlag(reset, &dir)
	unlock := &cobra.Command{Use: "unlock NAME", Short: "启用账号 / enable an account again", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return withBox(dir, func(b *service.Box) error {
			id, ok := b.AccountByName(args[0])
			if !ok {
				return service.ErrNotFound
			}
			if err := b.Unlock(b.Technician(), id); err != nil {
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

func checkCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "check", Short: "核查数据 / verify journal, store, counters, attachments, audit", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		out := c.OutOrStdout()
		report, err := service.Check(c.Context(), dir, func(stage string, done, total int64) {
			fmt.Fprintf(c.ErrOrStderr(), "\r%s %d/%d", stage, done, total)
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "日志 / journal: %d 操作 operations, %d 组 groups\n数据库 / store: %d 记录 records, %d 索引 index keys, %d 计数 counters\n附件 / attachments: %d\n审计 / audit: %d\n",
			report.Operations, report.Groups, report.Store.Records, report.Store.Keys, report.Store.Counters, report.Blobs, report.Audit)
		for _, p := range report.Problems {
			fmt.Fprintln(out, "[-]", p)
		}
		if len(report.Problems) > 0 {
			return errDamage
		}
		fmt.Fprintln(out, "[+] 全部完好 / everything is whole")
		return nil
	}}
	dataFlag(c, &dir)
	return c
}
