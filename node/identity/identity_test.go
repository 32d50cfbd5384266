package identity

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// TestEveryFlippedBitIsFound: a box never signs or seals under keys that
// are not its own. Bits that no reader looks at change nothing.
func TestEveryFlippedBitIsFound(t *testing.T) {
	dir := t.TempDir()
	id, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(id.Settle("330681109", "age1test"), id.Rebirth(envelope.Head{Incarnation: 1, Seq: 7})); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, fileName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for at := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[at/8] ^= 1 << (at % 8)
		got, err := parse(dir, bad)
		if err != nil {
			continue
		}
		if same++; !reflect.DeepEqual(got.f, id.f) {
			t.Fatalf("bit %d changed the box unseen", at)
		}
	}
	t.Logf("%d of %d bits change nothing", same, len(good)*8)
}

// TestFirstFormatIsRead: a box of the first format gets its sum with the
// next change.
func TestFirstFormatIsRead(t *testing.T) {
	dir := t.TempDir()
	id, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, fileName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.Replace(b, []byte(`"format": 2`), []byte(`"format": 1`), 1)
	if err := os.WriteFile(path, first, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a sum that does not fit: %v", err)
	}
	cut := bytes.LastIndex(first, []byte(",\n"))
	first = append(first[:cut:cut], "\n}"...)
	if err := os.WriteFile(path, first, 0o600); err != nil {
		t.Fatal(err)
	}
	old, err := Load(dir)
	if err != nil || old.Origin() != id.Origin() {
		t.Fatalf("the first format: %v", err)
	}
	if err := old.Rebirth(envelope.Head{}); err != nil {
		t.Fatal(err)
	}
	if again, err := Load(dir); err != nil || again.f.Format != format || again.f.Sum == nil {
		t.Fatalf("after a change: %v", err)
	}
}
