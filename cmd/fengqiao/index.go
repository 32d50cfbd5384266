package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fengqiao/fengqiao/node"
)

func indexCommand() *cobra.Command {
	c := &cobra.Command{Use: "index", Short: "检索索引 / search index"}
	var dir string
	rebuild := &cobra.Command{Use: "rebuild", Short: "停机重建；运行中请在控制台“本机状态”重建 / build again; while the box runs use the console",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			err := node.Reindex(c.Context(), dir, func(percent int) {
				fmt.Fprintf(c.ErrOrStderr(), "\r索引重建中 / rebuilding %d %%", percent)
			})
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "\n[+] 索引已重建 / the index is built again")
			return nil
		}}
	dataFlag(rebuild, &dir)
	c.AddCommand(rebuild)
	return c
}
