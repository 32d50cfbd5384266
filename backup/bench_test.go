package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"
)

// archiveSize is what one archive of the benchmarks holds; it does not
// compress, as sealed values do not.
const archiveSize = 32 << 20

func benchmarkArchive(b *testing.B) (archive func() string, secret string) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		b.Fatal(err)
	}
	content := bytes.Repeat([]byte{0}, archiveSize)
	rand.Read(content)
	segment := Member{Name: "journal/1.seg", Size: archiveSize, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
	h := Header{Box: "b1", Organisation: "330681109", Created: time.Unix(1_770_000_000, 0), Recipient: key.Recipient().String(), Version: "1"}
	b.SetBytes(archiveSize)
	return func() string {
		path := filepath.Join(b.TempDir(), Name(h))
		err := Save(path, func(w io.Writer) error { return Write(context.Background(), w, h, []Member{segment}, nil) })
		if err != nil {
			b.Fatal(err)
		}
		return path
	}, key.String()
}

func BenchmarkCreate(b *testing.B) {
	archive, _ := benchmarkArchive(b)
	for b.Loop() {
		archive()
	}
}

func BenchmarkVerify(b *testing.B) {
	archive, secret := benchmarkArchive(b)
	path := archive()
	for b.Loop() {
		if _, err := Verify(context.Background(), path, secret, nil); err != nil {
			b.Fatal(err)
		}
	}
}
