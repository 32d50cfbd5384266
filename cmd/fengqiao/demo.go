package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/fengqiao/fengqiao/cmd/fengqiao/demo"
	"github.com/fengqiao/fengqiao/node"
)

// trickleEvery is how often something new happens in the demo township.
const trickleEvery = 40 * time.Second

func demoCommand() *cobra.Command {
	var dir, listen, ready string
	c := &cobra.Command{Use: "demo", Short: "演示乡镇 / a demo township, synthetic data", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		logins, err := seeded(c.Context(), dir, c.OutOrStdout())
		if err != nil {
			return err
		}
		n, err := open(node.Options{Dir: filepath.Join(dir, "box"), Log: logger("warn"), Demo: true})
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", listen)
		if err != nil {
			return errors.Join(err, n.Close())
		}
		url := "http://" + l.Addr().String()
		welcome(c.OutOrStdout(), url, logins)
		if ready != "" {
			if err := writeJSON(ready, map[string]any{"url": url, "logins": logins}); err != nil {
				return errors.Join(err, n.Close())
			}
		}
		go demo.Trickle(c.Context(), n.Box, trickleEvery, func(err error) { fmt.Fprintln(os.Stderr, "fengqiao: demo:", sentence(err)) })
		return run(c.Context(), n, l)
	}}
	dataFlag(c, &dir)
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address to answer on")
	c.Flags().StringVar(&ready, "once-ready-file", "", "write address and logins here as JSON when ready")
	return c
}

// seeded makes the demo once; later starts find it and its logins.
func seeded(ctx context.Context, dir string, out io.Writer) ([]demo.Login, error) {
	file := filepath.Join(dir, "logins.json")
	var logins []demo.Login
	b, err := os.ReadFile(file)
	if err == nil {
		return logins, json.Unmarshal(b, &logins)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// A demo that was interrupted while it was made begins again.
	if err := os.RemoveAll(filepath.Join(dir, "box")); err != nil {
		return nil, err
	}
	logins, err = demo.Seed(ctx, filepath.Join(dir, "box"), func(stage string) { fmt.Fprintln(out, "  …", stage) })
	if err != nil {
		return nil, err
	}
	return logins, writeJSON(file, logins)
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func welcome(out io.Writer, url string, logins []demo.Login) {
	fmt.Fprintf(out, "\nFengqiao 枫桥 %s — 演示数据，全部虚构 / demonstration, all data synthetic\n\n", version)
	fmt.Fprintf(out, "  工作台 console  %s/app\n  大屏   wall     %s/wall   （先以值班员或领导登录 / sign in as duty or leader first）\n  手机   phone    %s/m\n\n", url, url, url)
	for _, l := range logins {
		fmt.Fprintf(out, "  %-10s %-14s %s%s\n", l.Username, l.Password, l.Title, map[bool]string{true: "（手机 phone）", false: ""}[l.Page == "/m"])
	}
	fmt.Fprintln(out)
}
