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
}

// Member is a file to keep.
type Member struct {
	Name string // slash-separated, relative
	Open func() (io.ReadCloser, int64, error)
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

// DamageError is an archive that was changed or cut.
type DamageError struct{ Reason string }

func (e *DamageError) Error() string { return "backup: the archive is damaged: " + e.Reason }

func damaged(format string, args ...any) error { return &DamageError{fmt.Sprintf(format, args...)} }

// Create writes an archive into dir and gives its path. A failed or
// cancelled archive leaves nothing behind.
func Create(ctx context.Context, dir string, h Header, members []Member, progress func(done, total int)) (_ string, err error) {
	recipient, err := age.ParseX25519Recipient(h.Recipient)
	if err != nil {
		return "", fmt.Errorf("backup: recipient: %w", err)
	}
	name := fmt.Sprintf("fengqiao-%s-%s%s", h.Organisation, h.Created.UTC().Format("20060102T150405Z"), Suffix)
	target := filepath.Join(dir, name)
	out, err := os.OpenFile(target+".partial", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close(), os.Remove(target+".partial"))
		}
	}()
	if err = writeAll(ctx, out, h, recipient, members, progress); err != nil {
		return "", err
	}
	if err = out.Sync(); err != nil {
		return "", err
	}
	if err = os.Rename(target+".partial", target); err != nil {
		return "", err
	}
	return target, errors.Join(out.Close(), syncDir(dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
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
		if err := m.add(archive, member); err != nil {
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
	in, size, err := member.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	if err := archive.WriteHeader(&tar.Header{Name: member.Name, Mode: 0o600, Size: size}); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(archive, sum), in, size); err != nil {
		return err
	}
	m.Files[member.Name], m.Sizes[member.Name] = hex.EncodeToString(sum.Sum(nil)), size
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
	return h, io.MultiReader(strings.NewReader(body), f), nil
}

// Verify decrypts the whole archive and proves every file.
func Verify(ctx context.Context, path, secret string) (Report, error) {
	return read(ctx, path, secret, func(string, int64, io.Reader) error { return nil })
}

// Restore unpacks an archive into dir, which must be empty or missing. The
// files appear under their names only when the whole archive is proved.
func Restore(ctx context.Context, path, secret, dir string) (Report, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Report{}, err
	}
	if len(entries) > 0 {
		return Report{}, fmt.Errorf("backup: %s is not empty", dir)
	}
	tmp := strings.TrimSuffix(dir, "/") + ".restoring"
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o700)); err != nil {
		return Report{}, err
	}
	report, err := read(ctx, path, secret, func(name string, size int64, in io.Reader) error { return unpack(tmp, name, in) })
	if err != nil {
		return report, errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return report, err
	}
	return report, errors.Join(os.Rename(tmp, dir), syncDir(filepath.Dir(dir)))
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
func read(ctx context.Context, path, secret string, each func(name string, size int64, in io.Reader) error) (Report, error) {
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
	m, sums, err := walk(ctx, tar.NewReader(unpacked), &report, each)
	if err != nil {
		return report, err
	}
	if _, err := io.Copy(io.Discard, unpacked); err != nil { // to the last authenticated byte
		return report, damaged("%v", err)
	}
	return report, m.compare(h, sums)
}

func walk(ctx context.Context, archive *tar.Reader, report *Report, each func(string, int64, io.Reader) error) (*manifest, map[string]string, error) {
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
		if err := each(header.Name, header.Size, in); err != nil {
			return nil, nil, err
		}
		if _, err := io.Copy(io.Discard, in); err != nil {
			return nil, nil, damaged("%s: %v", header.Name, err)
		}
		sums[header.Name] = hex.EncodeToString(sum.Sum(nil))
		report.Files++
		report.Bytes += header.Size
	}
}

func (m *manifest) compare(h Header, sums map[string]string) error {
	if m.Header.Box != h.Box || !m.Header.Created.Equal(h.Created) || m.Header.Organisation != h.Organisation || m.Header.Recipient != h.Recipient || m.Header.Version != h.Version {
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
