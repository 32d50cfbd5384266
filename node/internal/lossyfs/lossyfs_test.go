//go:build linux

package lossyfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	Serve()
	os.Exit(m.Run())
}

func start(t *testing.T) *FS {
	if !Available() {
		t.Skip("no /dev/fuse here, or not root")
	}
	return Start(t)
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// TestWhatIsSyncedStaysAndTheRestMayGo: data needs the file's sync, a name
// the folder's.
func TestWhatIsSyncedStaysAndTheRestMayGo(t *testing.T) {
	f := start(t)
	lost, torn := 0, 0
	for seed := range int64(30) {
		dir := filepath.Join(f.Dir, fmt.Sprint(seed))
		must(t, os.Mkdir(dir, 0o700), syncDir(f.Dir))
		file, err := os.Create(filepath.Join(dir, "a"))
		must(t, err)
		old := bytes.Repeat([]byte("a"), 8000)
		_, err = file.WriteAt(old, 0)
		must(t, err, file.Sync(), syncDir(dir))
		_, err = file.WriteAt(bytes.Repeat([]byte("b"), 8000), 0)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "unsynced"), []byte("x"), 0o600))
		must(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")), syncDir(dir))
		f.Cut(seed)
		file.Close()
		got, err := os.ReadFile(filepath.Join(dir, "b"))
		must(t, err)
		if len(got) != 8000 || strings.Trim(string(got), "ab") != "" {
			t.Fatalf("seed %d: %d bytes", seed, len(got))
		}
		if bytes.Equal(got, old) {
			lost++
		} else if bytes.Contains(got, []byte("a")) {
			torn++
			for at := 0; at < 7680; at += sector {
				if s := got[at : at+sector]; bytes.Count(s, s[:1]) != sector {
					t.Fatalf("seed %d: half a sector", seed)
				}
			}
		}
	}
	if lost == 0 || torn == 0 {
		t.Fatalf("of 30 cuts %d lost everything, %d a part", lost, torn)
	}
}

func TestUnsyncedNamesMayGo(t *testing.T) {
	f := start(t)
	gone := 0
	for seed := range int64(20) {
		path := filepath.Join(f.Dir, fmt.Sprint(seed))
		file, err := os.Create(path)
		must(t, err, file.Sync(), file.Close())
		f.Cut(seed)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			gone++
		}
	}
	if gone == 0 || gone == 20 {
		t.Fatalf("%d of 20 names gone", gone)
	}
}

func TestInjectedFaults(t *testing.T) {
	f := start(t)
	path := filepath.Join(f.Dir, "a")
	file, err := os.Create(path)
	must(t, err, syncDir(f.Dir))
	defer file.Close()
	f.ShortWrites(true)
	_, err = file.WriteAt(bytes.Repeat([]byte("s"), 3000), 0)
	must(t, err)
	f.ShortWrites(false)
	f.FailSync("a", 1)
	must(t, file.Sync())
	_, err = file.WriteAt([]byte("lost"), 0)
	must(t, err)
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("the sync did not fail: %v", err)
	}
	must(t, file.Sync()) // tells of success, as Linux does, and the data is gone
	f.Capacity(64 << 10)
	if _, err := file.WriteAt(make([]byte, 128<<10), 3000); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	f.Cut(1)
	got, err := os.ReadFile(path)
	must(t, err)
	if !bytes.HasPrefix(got, bytes.Repeat([]byte("s"), 3000)) {
		t.Fatalf("%q", got[:8])
	}
}
