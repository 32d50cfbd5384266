package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fengqiao/fengqiao/backup"
	"github.com/fengqiao/fengqiao/node"
)

func backupCommand() *cobra.Command {
	c := &cobra.Command{Use: "backup", Short: "备份 / archives"}
	c.AddCommand(backupCreate(), backupVerify(), backupRestore())
	return c
}

func backupCreate() *cobra.Command {
	var dir, to string
	c := &cobra.Command{Use: "create", Short: "制作备份 / make an archive", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		path, err := node.Backup(c.Context(), dir, to, version, func(done, total int) {
			fmt.Fprintf(c.ErrOrStderr(), "\r%d/%d", done, total)
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "\n备份完成 / archive: %s\n", path)
		return nil
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
		r, err := backup.Verify(c.Context(), args[0], secret)
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
		r, err := node.Restore(c.Context(), args[0], secret, dir)
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
		return "", fmt.Errorf("没有输入密钥 / no key was given: %w", err)
	}
	return line, nil
}
