package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

func member(name, content string) Member {
	return Member{Name: name, Size: int64(len(content)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
}

func settle(string) error { return nil }

func archive(t *testing.T) (path, secret string) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	h := Header{Box: "b1", Organisation: "330681109", Created: time.Unix(1_770_000_000, 0), Recipient: key.Recipient().String(), Version: "1"}
	gone := Member{Name: "blobs/erased", Size: 9, Open: func() (io.ReadCloser, error) { return nil, fs.ErrNotExist }}
	path = filepath.Join(t.TempDir(), Name(h))
	err = Save(path, func(w io.Writer) error {
		return Write(context.Background(), w, h, []Member{member("identity/box.json", "secret"), member("journal/1.seg", strings.Repeat("op", 500)), gone, member("empty", "")}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	return path, key.String()
}

func TestRestoreGivesEveryFile(t *testing.T) {
	path, secret := archive(t)
	dir := filepath.Join(t.TempDir(), "box")
	typed := strings.ToLower(secret[:20]) + " " + secret[20:40] + "-" + secret[40:]
	report, err := Restore(context.Background(), path, typed, dir, nil, settle)
	if err != nil || report.Files != 3 || report.Header.Organisation != "330681109" {
		t.Fatalf("%+v, %v", report, err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "journal/1.seg"))
	if err != nil || string(got) != strings.Repeat("op", 500) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if _, err := Restore(context.Background(), path, secret, dir, nil, settle); !errors.Is(err, ErrNotEmpty) {
		t.Fatal("restored over a box")
	}
}

func TestWrongKey(t *testing.T) {
	path, _ := archive(t)
	other, _ := age.GenerateX25519Identity()
	for _, secret := range []string{other.String(), "nonsense"} {
		if _, err := Verify(context.Background(), path, secret, nil); !errors.Is(err, ErrKey) {
			t.Errorf("%v", err)
		}
	}
}

func TestEveryChangeIsFound(t *testing.T) {
	path, secret := archive(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "box")
	try := func(name string, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(context.Background(), path, secret, dir, nil, settle); err == nil {
			t.Fatalf("%s: accepted", name)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Fatalf("%s: something was restored", name)
		}
	}
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		try("flipped", bad)
	}
	for cut := 0; cut < len(good); cut += 7 {
		try("cut", good[:cut])
	}
}

func TestCancelledArchiveLeavesNothing(t *testing.T) {
	key, _ := age.GenerateX25519Identity()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := Save(filepath.Join(dir, "a"+Suffix), func(w io.Writer) error {
		return Write(ctx, w, Header{Recipient: key.Recipient().String()}, []Member{member("a", "b")}, nil)
	})
	if err == nil {
		t.Fatal("a cancelled archive was made")
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

// TestUnsettledIsNotRestored: what could not be made a box of its own is
// gone.
func TestUnsettledIsNotRestored(t *testing.T) {
	path, secret := archive(t)
	dir := filepath.Join(t.TempDir(), "box")
	broken := errors.New("no new life")
	if _, err := Restore(context.Background(), path, secret, dir, nil, func(string) error { return broken }); !errors.Is(err, broken) {
		t.Fatalf("%v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestNoRoom(t *testing.T) {
	var small *RoomError
	if err := Room(t.TempDir(), 1<<62); !errors.As(err, &small) || small.Free <= 0 {
		t.Fatalf("%v", err)
	}
}
