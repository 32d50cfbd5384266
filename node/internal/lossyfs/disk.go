//go:build linux

// Package lossyfs is a file system for tests: it has what was synced, and
// at a power cut loses any part of the rest, as a disk with a cache may. It
// speaks the kernel's FUSE protocol itself, in a process of its own. The
// product does not use it.
package lossyfs

import (
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
)

// sector is what a disk writes whole or not at all; a page is what a file
// takes room by.
const (
	sector = 512
	page   = 4096
)

// node is a file or a folder: as programs see it, as it is on the disk, and
// what lies between, in order.
type node struct {
	id      uint64
	name    string // the latest
	dir     bool
	data    []byte
	disk    []byte
	writes  []write
	pages   map[int64]bool // that take room
	entries map[string]*node
	names   map[string]*node // on the disk
	changes []*change
}

// write is data for a place, or a new size.
type write struct {
	at   int64
	data []byte
	size bool
}

// change is a name that came or went. A rename is one change; across
// folders it is two, of which the loss waits for the gain.
type change struct {
	name string
	node *node  // nil: gone
	from string // renamed within the folder
	gain *change
	kept bool
}

// disk is the whole file system.
type disk struct {
	mu       sync.Mutex
	nodes    map[uint64]*node
	next     uint64
	capacity int64
	faults   faults
}

// faults are what is injected now.
type faults struct {
	syncs  int    // this many syncs from now succeed, then one fails; -1 never
	suffix string // of the files whose syncs count
	short  bool   // writes take half
}

const rootID = 1

func newDisk() *disk {
	d := &disk{nodes: map[uint64]*node{}, next: rootID, capacity: 1 << 40, faults: faults{syncs: -1}}
	d.make(true)
	return d
}

func (d *disk) make(dir bool) *node {
	n := &node{id: d.next, dir: dir, pages: map[int64]bool{}}
	if dir {
		n.entries, n.names = map[string]*node{}, map[string]*node{}
	}
	d.nodes[n.id] = n
	d.next++
	return n
}

// used counts the room that reachable files take.
func (d *disk) used() int64 {
	var total int64
	var add func(*node)
	add = func(n *node) {
		total += int64(len(n.pages)) * page
		for _, c := range n.entries {
			add(c)
		}
	}
	add(d.nodes[rootID])
	return total
}

func (n *node) put(name string, c *node) {
	c.name = name
	n.entries[name] = c
	n.changes = append(n.changes, &change{name: name, node: c})
}

func (n *node) remove(name string) {
	delete(n.entries, name)
	n.changes = append(n.changes, &change{name: name})
}

func rename(from *node, old string, to *node, name string) {
	c := from.entries[old]
	c.name = name
	if from == to {
		delete(from.entries, old)
		from.entries[name] = c
		from.changes = append(from.changes, &change{name: name, node: c, from: old})
		return
	}
	to.put(name, c)
	from.remove(old)
	from.changes[len(from.changes)-1].gain = to.changes[len(to.changes)-1]
}

func (d *disk) write(n *node, at int64, b []byte) (int, syscall.Errno) {
	if d.faults.short && len(b) > 1 {
		b = b[:len(b)/2]
	}
	var fresh []int64
	for p := at / page; p <= (at+int64(len(b))-1)/page; p++ {
		if !n.pages[p] {
			fresh = append(fresh, p)
		}
	}
	if len(fresh) > 0 && d.used()+int64(len(fresh))*page > d.capacity {
		return 0, syscall.ENOSPC
	}
	for _, p := range fresh {
		n.pages[p] = true
	}
	w := write{at: at, data: append([]byte{}, b...)}
	n.writes = append(n.writes, w)
	n.data = w.apply(n.data)
	return len(b), 0
}

func (n *node) resize(size int64) {
	w := write{at: size, size: true}
	n.writes = append(n.writes, w)
	n.data = w.apply(n.data)
	for p := range n.pages {
		if p*page >= size {
			delete(n.pages, p)
		}
	}
}

func (w write) apply(b []byte) []byte {
	if w.size {
		return sized(b, w.at)
	}
	if end := w.at + int64(len(w.data)); end > int64(len(b)) {
		b = sized(b, end)
	}
	copy(b[w.at:], w.data)
	return b
}

func sized(b []byte, n int64) []byte {
	if n <= int64(len(b)) {
		clear(b[n:])
		return b[:n]
	}
	if n <= int64(cap(b)) {
		return b[:n]
	}
	return append(b, make([]byte, n-int64(len(b)))...)
}

// sync puts a file's data or a folder's names on the disk. When it is to
// fail, the data is dropped for good, as the kernel's page cache does.
func (d *disk) sync(n *node) syscall.Errno {
	if !n.dir && d.faults.syncs >= 0 && strings.HasSuffix(n.name, d.faults.suffix) {
		if d.faults.syncs--; d.faults.syncs < 0 {
			n.writes = nil
			return syscall.EIO
		}
	}
	for _, w := range n.writes {
		n.disk = w.apply(n.disk)
	}
	for _, c := range n.changes {
		n.keep(c)
	}
	n.writes, n.changes = nil, nil
	return 0
}

func (n *node) keep(c *change) {
	c.kept = true
	switch {
	case c.node == nil && n.names[c.name] != nil:
		delete(n.names, c.name)
	case c.node != nil:
		n.names[c.name] = c.node
		if c.from != "" {
			delete(n.names, c.from)
		}
	}
}

// cut turns the power off: of every file each sector keeps some number of
// the writes to it, of every folder some first changes survive.
func (d *disk) cut(r *rand.Rand) {
	keep := []float64{0, 0, 0.3, 0.7, 1}[r.IntN(5)]
	for _, n := range d.nodes {
		if n.dir {
			n.cutNames(r, keep)
		} else {
			n.cutData(r, keep)
		}
	}
	for _, n := range d.nodes { // losses by rename, now that gains are known
		for _, c := range n.changes {
			if c.gain != nil && c.gain.kept && n.names[c.name] != nil {
				delete(n.names, c.name)
			}
		}
		n.changes = nil
	}
	for _, n := range d.nodes {
		n.entries = map[string]*node{}
		for name, c := range n.names {
			n.entries[name] = c
		}
	}
	d.faults = faults{syncs: -1}
}

func (n *node) cutNames(r *rand.Rand, keep float64) {
	for _, c := range n.changes[:survivors(r, keep, len(n.changes))] {
		if c.gain == nil {
			n.keep(c)
		}
	}
}

// survivors is how many of n things in order reached the disk.
func survivors(r *rand.Rand, keep float64, n int) int {
	if r.Float64() < keep {
		return n
	}
	if keep == 0 {
		return 0
	}
	return r.IntN(n + 1)
}

func (n *node) cutData(r *rand.Rand, keep float64) {
	last := map[int64]int{} // sector → writes that it has
	sizes := survivors(r, keep, len(n.writes))
	for i, w := range n.writes {
		if w.size {
			if i < sizes {
				n.disk = w.apply(n.disk)
			}
			continue
		}
		for from := int64(0); from < int64(len(w.data)); {
			s := (w.at + from) / sector
			to := min((s+1)*sector-w.at, int64(len(w.data)))
			if _, drawn := last[s]; !drawn {
				last[s] = survivors(r, keep, len(n.writes))
			}
			if i < last[s] {
				n.disk = write{at: w.at + from, data: w.data[from:to]}.apply(n.disk)
			}
			from = to
		}
	}
	n.writes = nil
	n.data = append([]byte{}, n.disk...)
}
