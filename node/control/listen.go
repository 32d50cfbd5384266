package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// socketName is the door's file in the data directory.
const socketName = "control.sock"

// maxPath is what a socket address holds (unix(7)).
const maxPath = 107

// at runs f with an address of the door that is short enough, whatever the
// path of the data directory.
func at(dir string, f func(path string) error) error {
	path := filepath.Join(dir, socketName)
	if len(path) <= maxPath {
		return f(path)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return f(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName))
}

// Listen opens the door of the box in dir, which this process must hold
// open: a socket that an earlier process left behind is replaced.
func Listen(dir string) (net.Listener, error) {
	if err := os.Remove(filepath.Join(dir, socketName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var l net.Listener
	err := at(dir, func(path string) (err error) {
		if l, err = net.Listen("unix", path); err != nil {
			return err
		}
		return os.Chmod(path, 0o600) // whoever is earlier is asked who they are
	})
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // its path may be a borrowed one
	return listener{l}, nil
}

// listener lets in root and the box's own user alone.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, err := peer(c.(*net.UnixConn))
		if err == nil && (uid == 0 || int(uid) == os.Geteuid()) {
			return c, nil
		}
		if err := c.Close(); err != nil {
			return nil, err
		}
	}
}

// dial connects to the door; ErrClosed when no box runs in dir.
func dial(dir string) (c net.Conn, err error) {
	err = at(dir, func(path string) error {
		c, err = net.Dial("unix", path)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrClosed
	}
	return c, err
}
