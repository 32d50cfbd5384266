package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/node/control"
)

// throughDoor uses the running box in dir; when none runs it is opened for
// the call, so that there is one way for both.
func throughDoor(c *cobra.Command, dir string, f func(*control.Client) error) (err error) {
	door, err := control.Dial(dir)
	if errors.Is(err, control.ErrClosed) {
		if err := ownDirectory(dir); err != nil {
			return err
		}
		closeDoor, oerr := node.Door(dir, version, logger("warn"))
		if oerr != nil {
			return oerr
		}
		defer func() { err = errors.Join(err, closeDoor()) }()
		door, err = control.Dial(dir)
	}
	if err != nil {
		return err
	}
	door.Progress = func(p control.Progress) {
		fmt.Fprintf(c.ErrOrStderr(), "\r%s %d", p.Stage, p.Done)
		if p.Total > 0 {
			fmt.Fprintf(c.ErrOrStderr(), "/%d", p.Total)
		}
	}
	return f(door)
}

// ownDirectory refuses to open a directory of another user: files that root
// would leave in it lock the service out of its own box.
func ownDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("没有这个数据目录 / no such data directory: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return nil
	}
	name := strconv.Itoa(int(stat.Uid))
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return fmt.Errorf("本机没有在运行，而数据目录属于 %s：请先启动服务，或用 sudo -u %s 执行 / the box is not running and its directory belongs to %s: start the service, or use sudo -u %s", name, name, name, name)
}
