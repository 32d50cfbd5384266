// Command fengqiao runs a township's box: server, tools and demo in one
// program. Exit codes: 0 well, 1 failed, 3 damage found.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fengqiao/fengqiao/cluster/journal"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/service"
	"github.com/fengqiao/fengqiao/node/store"
)

// version is set when a release is built.
var version = "dev"

const (
	exitFailed = 1
	exitDamage = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "fengqiao:", sentence(err))
		os.Exit(code(err))
	}
}

func root() *cobra.Command {
	c := &cobra.Command{Use: "fengqiao", Short: "枫桥：乡镇综合指挥中心一体机 / township command centre in one box", Version: version,
		SilenceUsage: true, SilenceErrors: true}
	c.AddCommand(initCommand(), serveCommand(), demoCommand(), importCommand(), exportCommand(), userCommand(), checkCommand(), backupCommand())
	return c
}

// dataFlag names the data directory of a command.
func dataFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "data", "", "data directory of the box")
	if err := c.MarkFlagRequired("data"); err != nil {
		panic(err)
	}
}

func logger(level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
}

// sentence says an error for a person at the terminal, in both languages.
func sentence(err error) string {
	var wrong *service.InputError
	switch {
	case errors.As(err, &wrong) && len(wrong.Fields) > 0:
		return wrong.Fields[0].Message.ZH + " / " + wrong.Fields[0].Message.EN
	case errors.Is(err, store.ErrInUse):
		return "另一个进程正在使用这个数据目录 / another process uses this data directory"
	case errors.Is(err, service.ErrNotFound):
		return "没有找到 / not found"
	}
	return err.Error()
}

func code(err error) int {
	var j *journal.DamageError
	var s *store.DamageError
	var a *audit.DamageError
	if errors.As(err, &j) || errors.As(err, &s) || errors.As(err, &a) || errors.Is(err, errDamage) {
		return exitDamage
	}
	return exitFailed
}

var errDamage = errors.New("发现损坏，见上 / damage was found, see above")
