//go:build linux

package lossyfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// childEnv makes a test binary the server of the folder that it names.
const childEnv = "FENGQIAO_LOSSYFS"

// Serve answers as the file system when this process was started as one by
// Start; TestMain calls it first. It does not return then.
func Serve() {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return
	}
	d := newDisk()
	m, err := attach(d, dir)
	if err != nil {
		fmt.Println("no:", err)
		os.Exit(1)
	}
	fmt.Println("ok")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if m, err = obey(d, m, in.Text()); err != nil {
			fmt.Println("no:", err)
			continue
		}
		fmt.Println("ok")
	}
	m.off.Store(true)
	m.detach()
	os.Exit(0)
}

func obey(d *disk, m *mount, line string) (*mount, error) {
	words := strings.Split(line, " ")
	if len(words) != 3 {
		return m, errors.New("want a verb, a number and a name")
	}
	verb, name := words[0], words[2]
	n, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return m, err
	}
	if verb == "hang" {
		m.hang.Store(n)
		return m, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch verb {
	case "cut":
		m.off.Store(true)
		d.cut(rand.New(rand.NewPCG(uint64(n), 0)))
		if err := m.detach(); err != nil {
			return m, err
		}
		return attach(d, m.dir)
	case "sync":
		d.faults.syncs, d.faults.suffix = int(n), name
	case "short":
		d.faults.short = n != 0
	case "capacity":
		d.capacity = n
	default:
		return m, errors.New("unknown command")
	}
	return m, nil
}

// Available reports whether this machine lets us mount.
func Available() bool {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil || os.Geteuid() != 0 {
		return false
	}
	return f.Close() == nil
}

// FS is a mounted file system.
type FS struct {
	Dir string
	t   testing.TB
	in  io.WriteCloser
	out *bufio.Scanner
}

// Start mounts an empty file system until the test ends. Its process is the
// test binary once more, so that a fault in the test's own map of a file is
// answered.
func Start(t testing.TB) *FS {
	t.Helper()
	f := &FS{Dir: t.TempDir(), t: t}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+f.Dir)
	cmd.Stderr = os.Stderr
	var err error
	if f.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.out = bufio.NewScanner(out)
	f.expectOK("mount")
	t.Cleanup(func() {
		if err := errors.Join(f.in.Close(), cmd.Wait()); err != nil {
			t.Error("lossyfs:", err)
		}
	})
	return f
}

func (f *FS) expectOK(what string) {
	f.t.Helper()
	if !f.out.Scan() || f.out.Text() != "ok" {
		f.t.Fatalf("lossyfs: %s: %s", what, f.out.Text())
	}
}

func (f *FS) command(verb string, n int64, name string) {
	f.t.Helper()
	if _, err := fmt.Fprintf(f.in, "%s %d %s\n", verb, n, name); err != nil {
		f.t.Fatal("lossyfs:", err)
	}
	f.expectOK(verb)
}

// Cut turns the power off and on again: programs lose the file system, and
// find there what a disk may have kept. The seed repeats a cut.
func (f *FS) Cut(seed int64) { f.command("cut", seed, "") }

// FailSync lets one sync fail, after so many of files with such a name, and
// its data be lost.
func (f *FS) FailSync(suffix string, after int) { f.command("sync", int64(after), suffix) }

// ShortWrites lets writes take half of what they are given.
func (f *FS) ShortWrites(on bool) {
	n := int64(0)
	if on {
		n = 1
	}
	f.command("short", n, "")
}

// Capacity is the size of the disk in bytes.
func (f *FS) Capacity(n int64) { f.command("capacity", n, "") }

// Hang holds the next write or sync for so long.
func (f *FS) Hang(d time.Duration) { f.command("hang", int64(d), "") }
