package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fengqiao/fengqiao/backup"
	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/node/control"
)

func backupCommand() *cobra.Command {
	c := &cobra.Command{Use: "backup", Short: "备份 / archives"}
	c.AddCommand(backupCreate(), backupVerify(), backupRestore())
	return c
}

func backupCreate() *cobra.Command {
	var dir, to string
	c := &cobra.Command{Use: "create", Short: "制作备份，运行中也可以 / make an archive, of a running box too", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return throughDoor(c, dir, func(door *control.Client) error {
			var plan control.ArchivePlan
			if err := door.Call(c.Context(), "backup-plan", nil, nil, &plan); err != nil {
				return err
			}
			if err := backup.Room(to, plan.Bytes); err != nil {
				return err
			}
			path := filepath.Join(to, plan.Name)
			err := backup.Save(path, func(w io.Writer) error {
				return door.Fetch(c.Context(), "backup", nil, &meter{w: w, show: percent(c.ErrOrStderr(), "备份 / archive"), total: plan.Bytes})
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "备份完成 / archive: %s\n", path)
			return nil
		})
	}}
	dataFlag(c, &dir)
	c.Flags().StringVar(&to, "to", "", "directory or stick to write to")
	if err := c.MarkFlagRequired("to"); err != nil {
		panic(err)
	}
	return c
}

func backupVerify() *cobra.Command {
	return &cobra.Command{Use: "verify FILE", Short: "验证备份 / prove an archive", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		secret, err := askSecret(c)
		if err != nil {
			return err
		}
		r, err := backup.Verify(c.Context(), args[0], secret, percent(c.ErrOrStderr(), "验证 / verify"))
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "[+] 备份完好 / the archive is whole: %s, %s, %d 文件 files, %d 字节 bytes\n", r.Header.Organisation, r.Header.Created.Format("2006-01-02 15:04"), r.Files, r.Bytes)
		return nil
	}}
}

func backupRestore() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "restore FILE", Short: "恢复到空目录 / restore into an empty directory", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		secret, err := askSecret(c)
		if err != nil {
			return err
		}
		r, err := node.Restore(c.Context(), args[0], secret, dir, percent(c.ErrOrStderr(), "恢复 / restore"))
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "已恢复 / restored: %s, %d 文件 files。下一步 / next: fengqiao serve --data %s\n", r.Header.Organisation, r.Files, dir)
		return nil
	}}
	dataFlag(c, &dir)
	return c
}

// askSecret reads the key of the emergency sheet, never from the command
// line, where others would see it.
func askSecret(c *cobra.Command) (string, error) {
	if s := os.Getenv("FENGQIAO_SHEET_KEY"); s != "" {
		return s, nil
	}
	fmt.Fprint(c.ErrOrStderr(), "应急单上的密钥 / key of the emergency sheet: ")
	line, err := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	if strings.TrimSpace(line) == "" {
		return "", errors.Join(errors.New("没有输入密钥 / no key was given"), err)
	}
	return line, nil
}

// meter counts what is written.
type meter struct {
	w     io.Writer
	done  int64
	total int64
	show  func(done, total int64)
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.done += int64(n)
	m.show(m.done, m.total)
	return n, err
}

// percent shows progress on one line of the terminal.
func percent(w io.Writer, what string) func(done, total int64) {
	last := int64(-1)
	return func(done, total int64) {
		p := min(done*100/max(total, 1), 100)
		if p != last {
			fmt.Fprintf(w, "\r%s %d%%", what, p)
			last = p
		}
		if p == 100 {
			fmt.Fprintln(w)
		}
	}
}
