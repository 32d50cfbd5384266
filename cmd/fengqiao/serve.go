package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/ui"
)

func initCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "init", Short: "新建一台 / make a new box", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		if err := node.Init(dir); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "已在 %s 新建。下一步 / next: fengqiao serve --data %s\n", dir, dir)
		return nil
	}}
	dataFlag(c, &dir)
	return c
}

func serveCommand() *cobra.Command {
	var dir, listen, level string
	c := &cobra.Command{Use: "serve", Short: "运行 / run the box", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		n, err := open(dir, level, false)
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", listen)
		if err != nil {
			return errors.Join(err, n.Close())
		}
		out := c.OutOrStdout()
		fmt.Fprintf(out, "Fengqiao %s\n  http://%s\n", version, l.Addr())
		if n.Box.SetupNeeded() {
			fmt.Fprintf(out, "  首次设置 / first run: http://%s/setup   设置码 / setup code: %s  (30 min)\n", l.Addr(), n.Box.SetupCode())
		}
		return run(c.Context(), n, l)
	}}
	dataFlag(c, &dir)
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address to answer on")
	c.Flags().StringVar(&level, "log", "info", "debug, info, warn or error")
	return c
}

// Memory is traded for processor time up to a limit: a collection walks the
// same live data whether much or little was allocated since.
const (
	gcPercent   = 300
	memoryLimit = 300 << 20
)

func open(dir, level string, demo bool) (*node.Node, error) {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	return node.New(node.Options{Dir: dir, Log: logger(level), UI: ui.FS(), Version: version, Demo: demo})
}

// run serves until a signal comes, telling systemd how it stands.
func run(ctx context.Context, n *node.Node, l net.Listener) error {
	stopWatch := make(chan struct{})
	defer close(stopWatch)
	notify("READY=1")
	go watchdog(n, stopWatch)
	err := n.Serve(ctx, l)
	notify("STOPPING=1")
	return errors.Join(err, n.Close())
}

// watchdog pings only while the store really answers, so that a box that
// hangs is started again.
func watchdog(n *node.Node, stop <-chan struct{}) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if _, err := n.Box.Head(); err == nil {
				notify("WATCHDOG=1")
			}
		case <-stop:
			return
		}
	}
}

// notify speaks sd_notify(3); without systemd it does nothing.
func notify(state string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: filepath.Clean(socket), Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		fmt.Fprintln(os.Stderr, "fengqiao: systemd:", err)
	}
}
