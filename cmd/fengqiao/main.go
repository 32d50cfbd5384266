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

	"github.com/fengqiao/fengqiao/backup"
	"github.com/fengqiao/fengqiao/node/control"
	"github.com/fengqiao/fengqiao/node/identity"
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
	c.AddCommand(initCommand(), serveCommand(), demoCommand(), importCommand(), exportCommand(), userCommand(), checkCommand(), indexCommand(), backupCommand(), setupCodeCommand(), sheetCommand(), clockCommand())
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
	var small *backup.RoomError
	var damaged *backup.DamageError
	switch {
	case errors.Is(err, backup.ErrKey):
		return "密钥不对，打不开这个备份：请核对应急单上的密钥和备份文件 / the key does not open this archive: compare it with the emergency sheet"
	case errors.Is(err, backup.ErrNotEmpty):
		return "目录不是空的，为免覆盖数据不予恢复；请换一个新目录 / the directory is not empty; name a new one"
	case errors.As(err, &damaged):
		return "备份已损坏或不完整，什么也没有恢复：" + damaged.Reason + " / the archive is damaged, nothing was restored"
	case errors.As(err, &small):
		return fmt.Sprintf("%s 空间不足：需要 %d MiB，剩余 %d MiB / not enough room", small.Dir, small.Need>>20, small.Free>>20)
	case errors.Is(err, identity.ErrNone):
		return "这个目录里没有本机数据，请先执行 init / no box in this directory, use init first"
	}
	p := control.Explain(err)
	return p.Error()
}

func code(err error) int {
	var damaged *backup.DamageError
	if control.Explain(err).Damage || errors.As(err, &damaged) || errors.Is(err, errDamage) {
		return exitDamage
	}
	return exitFailed
}

var errDamage = errors.New("发现损坏，见上 / damage was found, see above")
