//go:build linux

package lossyfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Requests of the kernel, see include/uapi/linux/fuse.h.
const (
	opLookup = 1 + iota
	opForget
	opGetattr
	opSetattr
	_
	_
	_
	_
	opMkdir
	opUnlink
	opRmdir
	opRename
	_
	opOpen
	opRead
	opWrite
	opStatfs
	opRelease
	_
	opFsync
)

const (
	opInit       = 26
	opOpendir    = 27
	opReaddir    = 28
	opReleasedir = 29
	opFsyncdir   = 30
	opCreate     = 35
	opInterrupt  = 36
	opDestroy    = 38
	opBatchFget  = 42
	opRename2    = 45

	headerSize = 40
	maxWrite   = 128 << 10
	bigWrites  = 1 << 5
	keepCache  = 2 // of an open file
	attrSize   = 1 << 3
	cached     = 3600 // seconds: all changes come through the kernel
)

var native = binary.NativeEndian

// mount is the file system as the kernel sees it between two power cuts.
type mount struct {
	disk *disk
	dir  string
	fd   int
	off  atomic.Bool // the power is off
	hang atomic.Int64
	held sync.Map // request that hangs → channel, closed when its asker gives up
	done chan struct{}
	busy sync.WaitGroup
}

// attach mounts the disk and answers in the background.
func attach(d *disk, dir string) (*mount, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	m := &mount{disk: d, dir: dir, fd: fd, done: make(chan struct{})}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)
	if err := unix.Mount("lossyfs", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	go m.serve()
	return m, nil
}

// detach ends every request of programs, and the mount. The descriptor is
// closed when nobody writes to it any more: its number is given again.
func (m *mount) detach() error {
	if err := unix.Unmount(m.dir, unix.MNT_DETACH|unix.MNT_FORCE); err != nil {
		return err
	}
	<-m.done
	go func() {
		m.busy.Wait()
		unix.Close(m.fd)
	}()
	return nil
}

func (m *mount) serve() {
	defer close(m.done)
	for {
		b := make([]byte, maxWrite+page)
		n, err := unix.Read(m.fd, b)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return // unmounted
		}
		m.busy.Go(func() { m.answer(request(b[:n])) })
	}
}

// request is a header and what belongs to it.
type request []byte

func (r request) op() uint32     { return native.Uint32(r[4:]) }
func (r request) id() uint64     { return native.Uint64(r[8:]) }
func (r request) node() uint64   { return native.Uint64(r[16:]) }
func (r request) u32(at int) int { return int(native.Uint32(r[headerSize+at:])) }
func (r request) u64(at int) int64 {
	return int64(native.Uint64(r[headerSize+at:]))
}

// names gives the zero-terminated strings from at on.
func (r request) names(at int) []string {
	return strings.Split(string(r[headerSize+at:]), "\x00")
}

func (m *mount) answer(r request) {
	switch r.op() {
	case opForget, opBatchFget:
		return // nodes are kept
	case opInterrupt:
		if given, ok := m.held.LoadAndDelete(uint64(r.u64(0))); ok {
			close(given.(chan struct{}))
		}
		return
	case opWrite, opFsync:
		m.hold(r)
	}
	body, errno := []byte(nil), syscall.EIO
	m.disk.mu.Lock()
	if !m.off.Load() {
		body, errno = m.do(r)
	}
	m.disk.mu.Unlock()
	if errno != 0 {
		body = nil
	}
	out := native.AppendUint32(nil, uint32(16+len(body)))
	out = native.AppendUint32(out, uint32(-int32(errno)))
	out = append(append(out, r[8:16]...), body...)
	unix.Write(m.fd, out) // fails when the asker was interrupted or the mount is gone
}

// hold lets a request hang, until its asker is killed at the longest: a
// process cannot end before its requests have.
func (m *mount) hold(r request) {
	wait := m.hang.Swap(0)
	if wait == 0 {
		return
	}
	given := make(chan struct{})
	m.held.Store(r.id(), given)
	select {
	case <-given:
	case <-time.After(time.Duration(wait)):
	}
}

func (m *mount) do(r request) ([]byte, syscall.Errno) {
	if r.op() == opInit {
		return initialised(r), 0
	}
	n := m.disk.nodes[r.node()]
	if n == nil {
		return nil, syscall.ESTALE
	}
	switch r.op() {
	case opLookup:
		return entryOf(n.entries[r.names(0)[0]])
	case opGetattr:
		return attrOf(n), 0
	case opSetattr:
		if r.u32(0)&attrSize != 0 {
			n.resize(r.u64(16))
		}
		return attrOf(n), 0
	case opMkdir:
		c := m.disk.make(true)
		n.put(r.names(8)[0], c)
		return entryOf(c)
	case opUnlink, opRmdir:
		return nil, removed(n, r.names(0)[0])
	case opRename, opRename2:
		at := 8
		if r.op() == opRename2 {
			at = 16
		}
		names := r.names(at)
		rename(n, names[0], m.disk.nodes[uint64(r.u64(0))], names[1])
		return nil, 0
	case opOpen, opOpendir:
		return opened(), 0
	case opCreate:
		c := m.disk.make(false)
		n.put(r.names(16)[0], c)
		entry, _ := entryOf(c)
		return append(entry, opened()...), 0
	case opRead:
		from := min(r.u64(8), int64(len(n.data)))
		return n.data[from:min(from+int64(r.u32(16)), int64(len(n.data)))], 0
	case opWrite:
		size, errno := m.disk.write(n, r.u64(8), r[headerSize+40:headerSize+40+r.u32(16)])
		return native.AppendUint64(nil, uint64(size)), errno
	case opReaddir:
		return n.list(int(r.u64(8)), r.u32(16)), 0
	case opFsync, opFsyncdir:
		return nil, m.disk.sync(n)
	case opStatfs:
		return m.disk.statfs(), 0
	case opRelease, opReleasedir, opDestroy:
		return nil, 0
	}
	return nil, syscall.ENOSYS
}

func initialised(r request) []byte {
	b := make([]byte, 64)
	native.PutUint32(b, 7)
	native.PutUint32(b[4:], 31)
	native.PutUint32(b[8:], uint32(r.u32(8)))
	native.PutUint32(b[12:], bigWrites)
	native.PutUint16(b[16:], 16)
	native.PutUint16(b[18:], 12)
	native.PutUint32(b[20:], maxWrite)
	native.PutUint32(b[24:], 1)
	return b
}

func opened() []byte {
	b := make([]byte, 16)
	native.PutUint32(b[8:], keepCache)
	return b
}

func (n *node) attr() []byte {
	b := make([]byte, 88)
	mode, links := uint32(syscall.S_IFREG|0o600), uint32(1)
	if n.dir {
		mode, links = syscall.S_IFDIR|0o700, 2
	}
	native.PutUint64(b, n.id)
	native.PutUint64(b[8:], uint64(len(n.data)))
	native.PutUint64(b[16:], uint64(len(n.pages)*page/512))
	native.PutUint32(b[60:], mode)
	native.PutUint32(b[64:], links)
	native.PutUint32(b[80:], page)
	return b
}

func attrOf(n *node) []byte {
	b := make([]byte, 16)
	native.PutUint64(b, cached)
	return append(b, n.attr()...)
}

func entryOf(n *node) ([]byte, syscall.Errno) {
	if n == nil {
		return nil, syscall.ENOENT
	}
	b := make([]byte, 40)
	native.PutUint64(b, n.id)
	native.PutUint64(b[16:], cached)
	native.PutUint64(b[24:], cached)
	return append(b, n.attr()...), 0
}

func removed(n *node, name string) syscall.Errno {
	c := n.entries[name]
	switch {
	case c == nil:
		return syscall.ENOENT
	case len(c.entries) > 0:
		return syscall.ENOTEMPTY
	}
	n.remove(name)
	return 0
}

// list gives entries from the given one on, at most size bytes.
func (n *node) list(from, size int) []byte {
	var names []string
	for name := range n.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []byte
	for i, name := range names {
		padded := 24 + (len(name)+7)/8*8
		if i < from {
			continue
		}
		if len(out)+padded > size {
			break
		}
		kind := uint32(syscall.DT_REG)
		if n.entries[name].dir {
			kind = syscall.DT_DIR
		}
		e := make([]byte, padded)
		native.PutUint64(e, n.entries[name].id)
		native.PutUint64(e[8:], uint64(i+1))
		native.PutUint32(e[16:], uint32(len(name)))
		native.PutUint32(e[20:], kind)
		copy(e[24:], name)
		out = append(out, e...)
	}
	return out
}

func (d *disk) statfs() []byte {
	b := make([]byte, 80)
	free := uint64(max(d.capacity-d.used(), 0) / page)
	native.PutUint64(b, uint64(d.capacity/page))
	native.PutUint64(b[8:], free)
	native.PutUint64(b[16:], free)
	native.PutUint32(b[40:], page)
	native.PutUint32(b[44:], 255)
	native.PutUint32(b[48:], page)
	return b
}
