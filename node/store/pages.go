package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
	"os"
)

// bbolt follows lengths and page numbers through its map of the file and
// faults where they lead astray, in goroutines of its own. pageFile looks at
// the same structure by reading, so that damage is an answer and no crash.
type pageFile struct {
	f    *os.File
	size int64  // of a page
	high uint64 // pages in use
	seen map[uint64]bool
}

// Layout of bbolt's file, version 2: pages with a header of 16 bytes (id,
// flags, count, overflow), elements of 16 bytes behind it, two meta pages
// in front. Integers are of the machine's order.
const (
	pageHeader  = 16
	elementSize = 16
	bucketSize  = 16
	metaSize    = 64 // ends with the FNV-1a of the rest

	pageBranch, pageLeaf, pageFreelist = 0x01, 0x02, 0x10
	leafBucket                         = 0x01
)

// checkPages verifies both meta pages and every page that the newer one
// reaches. No file is whole.
func checkPages(path string) (err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	p := newPageFile(f)
	var newest []byte
	for i := range uint64(2) {
		m, err := p.meta(i)
		if err != nil {
			return err
		}
		if newest == nil || txid(m) >= txid(newest) {
			newest = m
		}
	}
	return p.tree(newest)
}

func newPageFile(f *os.File) *pageFile {
	return &pageFile{f: f, size: int64(os.Getpagesize()), seen: map[uint64]bool{}}
}

func txid(meta []byte) uint64 { return binary.NativeEndian.Uint64(meta[48:]) }

// tree visits what a meta page leads to.
func (p *pageFile) tree(meta []byte) error {
	p.high = binary.NativeEndian.Uint64(meta[40:])
	if err := p.visit(binary.NativeEndian.Uint64(meta[16:])); err != nil {
		return err
	}
	return p.visit(binary.NativeEndian.Uint64(meta[32:]))
}

// zeroFree overwrites every page that neither meta page leads to. Nobody
// may write to the file, or read an earlier state of it, meanwhile.
func zeroFree(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	used := map[uint64]bool{0: true, 1: true}
	for i := range uint64(2) {
		p := newPageFile(f)
		m, err := p.meta(i)
		if err != nil {
			return err
		}
		if err := p.tree(m); err != nil {
			return err
		}
		maps.Copy(used, p.seen)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := int64(os.Getpagesize())
	page, zeros := make([]byte, size), make([]byte, size)
	for id := range info.Size() / size {
		if used[uint64(id)] {
			continue
		}
		if _, err := f.ReadAt(page, id*size); err != nil {
			return err
		}
		if bytes.Equal(page, zeros) {
			continue
		}
		if _, err := f.WriteAt(zeros, id*size); err != nil {
			return err
		}
	}
	return f.Sync()
}

func pageDamage(id uint64, reason string) error {
	return &DamageError{Bucket: "pages", Key: binary.BigEndian.AppendUint64(nil, id), Reason: reason}
}

// meta reads a meta page. bbolt goes on with the other one when one is
// damaged, and so silently with an earlier state.
func (p *pageFile) meta(i uint64) ([]byte, error) {
	b := make([]byte, pageHeader+metaSize)
	if _, err := p.f.ReadAt(b, int64(i)*p.size); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	m, h := b[pageHeader:], fnv.New64a()
	h.Write(m[:metaSize-8])
	if binary.NativeEndian.Uint64(m[metaSize-8:]) != h.Sum64() || binary.NativeEndian.Uint64(b) != i || int64(binary.NativeEndian.Uint32(m[8:])) != p.size {
		return nil, pageDamage(i, "meta page")
	}
	return m, nil
}

// visit reads a page with its overflow and what it leads to.
func (p *pageFile) visit(id uint64) error {
	if id < 2 || id >= p.high || p.seen[id] {
		return pageDamage(id, "not a page of its own")
	}
	h := make([]byte, pageHeader)
	if _, err := p.f.ReadAt(h, int64(id)*p.size); err != nil {
		return fmt.Errorf("store: page %d: %w", id, err)
	}
	pages := uint64(binary.NativeEndian.Uint32(h[12:])) + 1
	if binary.NativeEndian.Uint64(h) != id || pages > p.high-id {
		return pageDamage(id, "page header")
	}
	for more := range pages {
		if p.seen[id+more] {
			return pageDamage(id, "not a page of its own")
		}
		p.seen[id+more] = true
	}
	b := make([]byte, int64(pages)*p.size)
	if _, err := p.f.ReadAt(b, int64(id)*p.size); err != nil {
		return fmt.Errorf("store: page %d: %w", id, err)
	}
	if binary.NativeEndian.Uint16(b[8:]) == pageFreelist {
		return p.freelist(id, b)
	}
	return p.elements(id, b)
}

// elements checks a branch or leaf page; inline buckets are pages too.
func (p *pageFile) elements(id uint64, b []byte) error {
	if len(b) < pageHeader {
		return pageDamage(id, "inline page")
	}
	flags, count := binary.NativeEndian.Uint16(b[8:]), int(binary.NativeEndian.Uint16(b[10:]))
	if flags != pageBranch && flags != pageLeaf || pageHeader+count*elementSize > len(b) {
		return pageDamage(id, "page header")
	}
	for i := range count {
		at := pageHeader + i*elementSize
		e := b[at : at+elementSize]
		if flags == pageBranch {
			if int64(at)+u32(e)+u32(e[4:]) > int64(len(b)) {
				return pageDamage(id, "branch element")
			}
			if err := p.visit(binary.NativeEndian.Uint64(e[8:])); err != nil {
				return err
			}
			continue
		}
		value := int64(at) + u32(e[4:]) + u32(e[8:])
		if value+u32(e[12:]) > int64(len(b)) {
			return pageDamage(id, "leaf element")
		}
		if kind := u32(e); kind == leafBucket {
			if err := p.bucket(id, b[value:value+u32(e[12:])]); err != nil {
				return err
			}
		} else if kind != 0 {
			return pageDamage(id, "kind of leaf element")
		}
	}
	return nil
}

func u32(b []byte) int64 { return int64(binary.NativeEndian.Uint32(b)) }

func (p *pageFile) bucket(id uint64, v []byte) error {
	if len(v) < bucketSize {
		return pageDamage(id, "bucket")
	}
	if root := binary.NativeEndian.Uint64(v); root != 0 {
		return p.visit(root)
	}
	return p.elements(id, v[bucketSize:])
}

func (p *pageFile) freelist(id uint64, b []byte) error {
	n, ids := uint64(binary.NativeEndian.Uint16(b[10:])), b[pageHeader:]
	if n == 0xffff { // then the first id is the count
		n, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids)/8) {
		return pageDamage(id, "free list")
	}
	for ; n > 0; n, ids = n-1, ids[8:] {
		if free := binary.NativeEndian.Uint64(ids); free < 2 || free >= p.high {
			return pageDamage(id, "free list")
		}
	}
	return nil
}
