package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"io"
	"testing"

	"pgregory.net/rapid"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

var record = envelope.RecordID{1, 2, 3}

func TestFieldOpensInItsPlaceAlone(t *testing.T) {
	c := NewContentKey(record, "330681109", Full)
	f := c.Field("event", "title", "村口路灯不亮")
	if got, err := c.Open("event", f); err != nil || got != "村口路灯不亮" {
		t.Fatal(got, err)
	}
	moved := f
	moved.Path = "content"
	part := f
	part.Part = Masked
	other := NewContentKey(record, "330681109", Full)
	for name, open := range map[string]func() (string, error){
		"another path": func() (string, error) { return c.Open("event", moved) }, "another part": func() (string, error) { return c.Open("event", part) },
		"another kind": func() (string, error) { return c.Open("petition", f) }, "another key": func() (string, error) { return other.Open("event", f) },
	} {
		if _, err := open(); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	for i := range f.Box {
		bad := f
		bad.Box = bytes.Clone(f.Box)
		bad.Box[i] ^= 1
		if _, err := c.Open("event", bad); err == nil {
			t.Fatalf("byte %d changed: opened", i)
		}
	}
}

func TestFramesReachTheirReaderAlone(t *testing.T) {
	c := NewContentKey(record, "330681109", Masked)
	data, box := NewKey(), NewKey()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	symmetric := c.Frame("330681109", 1, data)
	sealed, err := c.FrameTo("330681", 3, private.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*envelope.KeyFrame{symmetric, sealed} {
		raw, err := envelope.EncodeKeyFrame(f)
		if err != nil {
			t.Fatal(err)
		}
		again, err := envelope.DecodeKeyFrame(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Unwrap(again, data, private); err != nil || got != c {
			t.Fatal(got, err)
		}
		again.Reader = "330681104"
		if _, err := Unwrap(again, data, private); err == nil {
			t.Fatal("a frame for another reader opened")
		}
	}
	if _, err := Unwrap(symmetric, NewKey(), private); err == nil {
		t.Fatal("opened with another data key")
	}
	if got, err := FromStored(box, c.ID, record, "330681109", Masked, c.Stored(box)); err != nil || got != c {
		t.Fatal(got, err)
	}
}

func TestBlob(t *testing.T) {
	key := NewKey()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 3 * chunkSize}).Draw(t, "size")
		plain := make([]byte, size)
		rand.Read(plain)
		var sealed bytes.Buffer
		w, err := NewBlobWriter(&sealed, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		hash, n, err := w.Close()
		if err != nil || n != int64(size) || hash != envelope.Sum(sealed.Bytes()) {
			t.Fatal(n, err)
		}
		r, err := OpenBlob(bytes.NewReader(sealed.Bytes()), key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Fatal(len(got), err)
		}
		bad := bytes.Clone(sealed.Bytes())
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] ^= 1
		if r, err := OpenBlob(bytes.NewReader(bad), key); err == nil {
			if _, err := io.ReadAll(r); err == nil {
				t.Fatal("a changed file was read")
			}
		}
		cut := sealed.Bytes()[:rapid.IntRange(0, sealed.Len()-1).Draw(t, "cut")]
		if r, err := OpenBlob(bytes.NewReader(cut), key); err == nil {
			if _, err := io.ReadAll(r); err == nil {
				t.Fatal("a cut file was read to its end")
			}
		}
	})
}

// TestBytesAreFixed: what is on disk today opens in every later release.
func TestBytesAreFixed(t *testing.T) {
	c := ContentKey{Record: record, Organisation: "330681109", Part: Full}
	for i := range c.Key {
		c.Key[i] = byte(i)
	}
	c.ID = c.id()
	if got := c.ID.String(); got != goldenID {
		t.Errorf("key id %s", got)
	}
	box, err := hex.DecodeString(goldenBox)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Open("event", envelope.SealedField{Path: "title", Key: c.ID, Box: box}); err != nil || got != "枫桥" {
		t.Errorf("%q %v; now it would be %x", got, err, c.Field("event", "title", "枫桥").Box)
	}
	if got := Match(c.Key, "number", "330681199001011234"); got != goldenMatch {
		t.Errorf("match %s", got)
	}
}

const (
	goldenID    = "950534480795e63d67be7af7ef300deb"
	goldenBox   = "0120447aedd11072553c44db80cc70f74ed99e0d8ad61dceb3c4d75a9ba421d80b90702038586f6a2e7849a8bae6f5"
	goldenMatch = "52312eddfcf17b94ee864cdbfaa50b8f31ea6c8506a040ed1dc25a0ccf9edb1d"
)
