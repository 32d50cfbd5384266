package journal

import (
	"os"

	"github.com/fengqiao/fengqiao/cluster/envelope/disk"
)

// FS is what the journal needs of a file system; tests put faults into it.
type FS interface {
	MkdirAll(dir string) error            // durable: the parents of what is new are synced
	ReadDir(dir string) ([]string, error) // names, sorted
	Create(path string) (File, error)     // empty, for writing and reading
	Open(path string) (File, error)       // for reading and writing in place
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(dir string) error
}

// File is an open file.
type File interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Sync() error // data and what is needed to read it back
	Size() (int64, error)
	Close() error
}

// OS is the operating system's file system.
var OS FS = osFS{}

type osFS struct{}

func (osFS) MkdirAll(dir string) error    { return disk.MkdirAll(dir) }
func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) Remove(path string) error     { return os.Remove(path) }
func (osFS) SyncDir(dir string) error     { return disk.SyncDir(dir) }

func (osFS) ReadDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (osFS) Create(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	return osFile{f}, err
}

func (osFS) Open(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0o600)
	return osFile{f}, err
}

type osFile struct{ *os.File }

func (f osFile) Sync() error { return datasync(f.File) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
