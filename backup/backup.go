// Package backup makes, proves and restores archives of a box: one file,
// sealed to a key whose private half is only on the printed emergency
// sheet. It knows files and manifests, not what they mean.
package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// Suffix of archives.
const Suffix = ".fqb"

const (
	manifestName = "manifest.json"
	magic        = "FQBACKUP1\n"
	maxHeader    = 4 << 10
)

// Header stands in front of the sealed part, for people who look for the
// right stick. It holds no personal data.
type Header struct {
	Box          string    `json:"box"`
	Organisation string    `json:"organisation"`
	Created      time.Time `json:"created"`
	Recipient    string    `json:"recipient"`
	Version      string    `json:"version"`
	Bytes        int64     `json:"bytes"` // unpacked, at most
}

// Member is a file to keep.
type Member struct {
	Name string // slash-separated, relative
	Size int64
	Open func() (io.ReadCloser, error)
}

// manifest closes the archive: whoever has it whole has everything whole.
type manifest struct {
	Header  Header            `json:"header"`
	Files   map[string]string `json:"files"` // name → SHA-256
	Sizes   map[string]int64  `json:"sizes"`
	Members int               `json:"members"`
}

// Report says what an archive holds.
type Report struct {
	Header Header
	Files  int
	Bytes  int64
}

// ErrKey means that the key does not fit the archive.
var ErrKey = errors.New("backup: the key does not open this archive")

// ErrNotEmpty means that something stands where a box should be restored.
var ErrNotEmpty = errors.New("backup: the directory is not empty")

// DamageError is an archive that was changed or cut.
type DamageError struct{ Reason string }

func (e *DamageError) Error() string { return "backup: the archive is damaged: " + e.Reason }

func damaged(format string, args ...any) error { return &DamageError{fmt.Sprintf(format, args...)} }

// Name of an archive's file.
func Name(h Header) string {
	return fmt.Sprintf("fengqiao-%s-%s%s", h.Organisation, h.Created.UTC().Format("20060102T150405Z"), Suffix)
}

// Save has write fill the file at path. It appears whole, synced and under
// its name, or not at all.
func Save(path string, write func(io.Writer) error) (err error) {
	out, err := os.OpenFile(path+".partial", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close(), os.Remove(path+".partial"))
		}
	}()
	if err = write(out); err != nil {
		return err
	}
	if err = out.Sync(); err != nil {
		return err
	}
	if err = os.Rename(path+".partial", path); err != nil {
		return err
	}
	return errors.Join(out.Close(), syncDir(filepath.Dir(path)))
}

// Room refuses a directory whose disk has less than the given bytes free.
func Room(dir string, bytes int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return fmt.Errorf("backup: %s: %w", dir, err)
	}
	if free := int64(s.Bavail) * s.Bsize; free < bytes {
		return &RoomError{Dir: dir, Need: bytes, Free: free}
	}
	return nil
}

// RoomError is a disk that is too small.
type RoomError struct {
	Dir        string
	Need, Free int64
}

func (e *RoomError) Error() string {
	return fmt.Sprintf("backup: %s has %d bytes free, %d are needed", e.Dir, e.Free, e.Need)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Write writes an archive. A member that says fs.ErrNotExist was erased
// meanwhile and is left out.
func Write(ctx context.Context, out io.Writer, h Header, members []Member, progress func(done, total int)) error {
	recipient, err := age.ParseX25519Recipient(h.Recipient)
	if err != nil {
		return fmt.Errorf("backup: recipient: %w", err)
	}
	return writeAll(ctx, out, h, recipient, members, progress)
}

func writeAll(ctx context.Context, out io.Writer, h Header, recipient age.Recipient, members []Member, progress func(int, int)) error {
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "%s%s\n", magic, head); err != nil {
		return err
	}
	sealed, err := age.Encrypt(out, recipient)
	if err != nil {
		return err
	}
	packed, err := zstd.NewWriter(sealed)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(packed)
	m := manifest{Header: h, Files: map[string]string{}, Sizes: map[string]int64{}}
	for i, member := range members {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.add(archive, member); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("backup: %s: %w", member.Name, err)
		}
		if progress != nil {
			progress(i+1, len(members))
		}
	}
	m.Members = len(m.Files)
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: manifestName, Mode: 0o600, Size: int64(len(body))}); err != nil {
		return err
	}
	if _, err := archive.Write(body); err != nil {
		return err
	}
	return errors.Join(archive.Close(), packed.Close(), sealed.Close())
}

func (m *manifest) add(archive *tar.Writer, member Member) error {
	in, err := member.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	if err := archive.WriteHeader(&tar.Header{Name: member.Name, Mode: 0o600, Size: member.Size}); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(archive, sum), in, member.Size); err != nil {
		return err
	}
	m.Files[member.Name], m.Sizes[member.Name] = hex.EncodeToString(sum.Sum(nil)), member.Size
	return nil
}

// ReadHeader reads what stands in front of the sealed part.
func ReadHeader(path string) (Header, error) {
	f, err := os.Open(path)
	if err != nil {
		return Header{}, err
	}
	defer f.Close()
	h, _, err := readHeader(f)
	return h, err
}

func readHeader(f io.Reader) (Header, io.Reader, error) {
	var h Header
	buf := make([]byte, maxHeader)
	n, err := io.ReadFull(f, buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return h, nil, damaged("no header")
	}
	rest, ok := strings.CutPrefix(string(buf[:n]), magic)
	line, body, cut := strings.Cut(rest, "\n")
	if !ok || !cut || json.Unmarshal([]byte(line), &h) != nil {
		return h, nil, damaged("no header")
	}
	if again, err := json.Marshal(h); err != nil || string(again) != line { // every byte of it counts
		return h, nil, damaged("the header was changed")
	}
	return h, io.MultiReader(strings.NewReader(body), f), nil
}

// Verify decrypts the whole archive and proves every file.
func Verify(ctx context.Context, path, secret string, progress func(done, total int64)) (Report, error) {
	return read(ctx, path, secret, progress, func(string, io.Reader) error { return nil })
}

// Restore unpacks an archive into dir, which must be empty or missing. The
// directory appears only when the whole archive is proved and settle, which
// is given the place where it was unpacked, has made it a box of its own.
func Restore(ctx context.Context, path, secret, dir string, progress func(done, total int64), settle func(dir string) error) (Report, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Report{}, err
	}
	if len(entries) > 0 {
		return Report{}, ErrNotEmpty
	}
	h, err := ReadHeader(path)
	if err != nil {
		return Report{}, err
	}
	if err := Room(filepath.Dir(filepath.Clean(dir)), h.Bytes); err != nil {
		return Report{Header: h}, err
	}
	tmp := strings.TrimSuffix(dir, "/") + ".restoring"
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o700)); err != nil {
		return Report{}, err
	}
	report, err := read(ctx, path, secret, progress, func(name string, in io.Reader) error { return unpack(tmp, name, in) })
	if err == nil {
		err = settle(tmp)
	}
	if err == nil {
		err = syncTree(tmp)
	}
	if err != nil {
		return report, errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return report, err
	}
	return report, errors.Join(os.Rename(tmp, dir), syncDir(filepath.Dir(dir)))
}

// syncTree makes the names below dir durable; the files are already.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return syncDir(path)
	})
}

func unpack(root, name string, in io.Reader) error {
	if !filepath.IsLocal(name) {
		return damaged("file name %q", name)
	}
	path := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// read walks an archive and compares every file with the manifest, which
// comes last.
func read(ctx context.Context, path, secret string, progress func(done, total int64), each func(name string, in io.Reader) error) (Report, error) {
	identity, err := age.ParseX25519Identity(Normalise(secret))
	if err != nil {
		return Report{}, ErrKey
	}
	f, err := os.Open(path)
	if err != nil {
		return Report{}, err
	}
	defer f.Close()
	h, body, err := readHeader(f)
	report := Report{Header: h}
	if err != nil {
		return report, err
	}
	plain, err := age.Decrypt(body, identity)
	var mismatch *age.NoIdentityMatchError
	if errors.As(err, &mismatch) {
		return report, ErrKey
	}
	if err != nil {
		return report, damaged("%v", err)
	}
	unpacked, err := zstd.NewReader(plain, zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		return report, damaged("%v", err)
	}
	defer unpacked.Close()
	m, sums, err := walk(ctx, tar.NewReader(unpacked), &report, progress, each)
	if err != nil {
		return report, err
	}
	if _, err := io.Copy(io.Discard, unpacked); err != nil { // to the last authenticated byte
		return report, damaged("%v", err)
	}
	return report, m.compare(h, sums)
}

func walk(ctx context.Context, archive *tar.Reader, report *Report, progress func(done, total int64), each func(string, io.Reader) error) (*manifest, map[string]string, error) {
	sums := map[string]string{}
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		header, err := archive.Next()
		if err != nil {
			return nil, nil, damaged("it ends before its manifest (%v)", err)
		}
		if header.Name == manifestName {
			var m manifest
			if err := json.NewDecoder(archive).Decode(&m); err != nil {
				return nil, nil, damaged("manifest: %v", err)
			}
			return &m, sums, nil
		}
		if _, twice := sums[header.Name]; twice {
			return nil, nil, damaged("%s stands twice", header.Name)
		}
		sum := sha256.New()
		in := io.TeeReader(archive, sum)
		if err := each(header.Name, in); err != nil {
			return nil, nil, err
		}
		if _, err := io.Copy(io.Discard, in); err != nil {
			return nil, nil, damaged("%s: %v", header.Name, err)
		}
		sums[header.Name] = hex.EncodeToString(sum.Sum(nil))
		report.Files++
		report.Bytes += header.Size
		if progress != nil {
			progress(report.Bytes, report.Header.Bytes)
		}
	}
}

func (m *manifest) compare(h Header, sums map[string]string) error {
	if m.Header.Box != h.Box || !m.Header.Created.Equal(h.Created) || m.Header.Organisation != h.Organisation || m.Header.Recipient != h.Recipient || m.Header.Version != h.Version || m.Header.Bytes != h.Bytes {
		return damaged("the header does not belong to it")
	}
	if len(sums) != m.Members || len(m.Files) != m.Members {
		return damaged("%d files, the manifest names %d", len(sums), m.Members)
	}
	for name, want := range m.Files {
		if sums[name] != want {
			return damaged("%s does not fit the manifest", name)
		}
	}
	return nil
}

// Normalise reads a key as it was typed from paper: groups, blanks, dashes
// and case do not matter. The prefix has dashes of its own.
func Normalise(secret string) string {
	s := strings.ToUpper(strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\n' || r == '\t' || r == '\r' {
			return -1
		}
		return r
	}, secret))
	if rest, ok := strings.CutPrefix(s, "AGESECRETKEY"); ok {
		return "AGE-SECRET-KEY-" + rest
	}
	return s
}
