package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fengqiao/fengqiao/node"
	"github.com/fengqiao/fengqiao/node/certs"
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
	var dir, listen, level, cert, key string
	var own bool
	var hosts []string
	c := &cobra.Command{Use: "serve", Short: "运行 / run the box", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		if err := ownDirectory(dir); err != nil {
			return err
		}
		secure, err := transport(dir, own, hosts, cert, key)
		if err != nil {
			return err
		}
		n, err := open(node.Options{Dir: dir, Log: logger(level), TLS: secure})
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", listen)
		if err != nil {
			return errors.Join(err, n.Close())
		}
		out := c.OutOrStdout()
		url := "http://" + l.Addr().String()
		if secure != nil {
			url = "https://" + l.Addr().String()
		}
		fmt.Fprintf(out, "Fengqiao %s\n  %s\n", version, url)
		if secure != nil && secure.Root != nil {
			fmt.Fprintf(out, "  根证书 / root certificate: %s/ca.crt   SHA-256 %s\n", url, fingerprint(secure.Root))
		}
		if n.Box.SetupNeeded() {
			fmt.Fprintf(out, "  首次设置 / first run: %s/setup   设置码 / setup code: %s  (30 min)\n", url, n.Box.SetupCode())
		}
		return run(c.Context(), n, l)
	}}
	dataFlag(c, &dir)
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address to answer on")
	c.Flags().StringVar(&level, "log", "info", "debug, info, warn or error")
	c.Flags().BoolVar(&own, "tls", false, "serve HTTPS under the box's own root certificate")
	c.Flags().StringSliceVar(&hosts, "host", nil, "further names of the box in its LAN, with --tls; fixed at the first start")
	c.Flags().StringVar(&cert, "cert", "", "certificate chain of another authority (PEM), instead of --tls")
	c.Flags().StringVar(&key, "key", "", "its key (PEM)")
	c.MarkFlagsRequiredTogether("cert", "key")
	c.MarkFlagsMutuallyExclusive("tls", "cert")
	return c
}

// transport is how the box serves: plain, under its own root, or under a
// certificate that somebody else renews and a restart reads again.
func transport(dir string, own bool, hosts []string, cert, key string) (*node.TLS, error) {
	switch {
	case cert != "":
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		return &node.TLS{Config: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}}, nil
	case own:
		return ownCertificate(dir, hosts)
	}
	return nil, nil
}

func ownCertificate(dir string, hosts []string) (*node.TLS, error) {
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, strings.ToLower(name))
	}
	a, err := certs.Open(filepath.Join(dir, "identity", "tls"), hosts)
	if err != nil {
		return nil, err
	}
	return &node.TLS{Config: a.Config(), Root: a.Root()}, nil
}

// fingerprint is what people compare before they install the root.
func fingerprint(root []byte) string {
	block, _ := pem.Decode(root)
	sum := sha256.Sum256(block.Bytes)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// Memory is traded for processor time up to a limit: a collection walks the
// same live data whether much or little was allocated since.
const (
	gcPercent   = 200
	memoryLimit = 300 << 20
)

func open(o node.Options) (*node.Node, error) {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	o.UI, o.Version = ui.FS(), version
	return node.New(o)
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
	limit, err := strconv.Atoi(os.Getenv("WATCHDOG_USEC"))
	if err != nil || limit < 3 {
		return // nobody watches
	}
	tick := time.NewTicker(time.Duration(limit) * time.Microsecond / 3)
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
