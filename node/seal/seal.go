// Package seal encrypts what only some may read: field values, the keys of
// records, attachments and drafts. It fixes bytes on disk: every sealed
// value begins with its algorithm number.
package seal

import (
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// Parts of a record that are keyed apart, so that a reader can be granted
// masked values alone.
const (
	Full   uint8 = 0
	Masked uint8 = 1
)

// ErrUnreadable means that the value was sealed under another key, was
// changed, or belongs elsewhere.
var ErrUnreadable = errors.New("seal: value cannot be opened with this key")

// Key is a 256-bit symmetric key.
type Key [32]byte

// NewKey draws a key.
func NewKey() Key {
	var k Key
	fill(k[:])
	return k
}

// fill never fails: crypto/rand ends the process when the system has no
// randomness.
func fill(b []byte) { rand.Read(b) }

// ContentKey seals the values that one organisation writes on one record.
type ContentKey struct {
	ID           envelope.KeyID
	Record       envelope.RecordID
	Organisation string
	Part         uint8
	Key          Key
}

// NewContentKey draws a content key and names it.
func NewContentKey(record envelope.RecordID, organisation string, part uint8) ContentKey {
	c := ContentKey{Record: record, Organisation: organisation, Part: part, Key: NewKey()}
	c.ID = c.id()
	return c
}

const keyIDTag = "fengqiao/key-id/1\x00"

func (c ContentKey) id() envelope.KeyID {
	h := sha256.New()
	h.Write([]byte(keyIDTag))
	h.Write(c.scope())
	h.Write(c.Key[:])
	return envelope.KeyID(h.Sum(nil)[:16])
}

// scope is record, organisation and part in fixed bytes.
func (c ContentKey) scope() []byte {
	b := append([]byte{}, c.Record[:]...)
	b = append(b, c.Part)
	return appendText(b, c.Organisation)
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// fieldData ties a sealed value to its place: record, kind, path and part.
func fieldData(record envelope.RecordID, definition, path string, part uint8) []byte {
	b := append([]byte("fengqiao/field/1\x00"), record[:]...)
	b = append(b, part)
	b = appendText(b, definition)
	return appendText(b, path)
}

// Field seals one value of a record under its content key.
func (c ContentKey) Field(definition, path, value string) envelope.SealedField {
	return envelope.SealedField{Path: path, Part: c.Part, Key: c.ID,
		Box: Seal(c.Key, []byte(value), fieldData(c.Record, definition, path, c.Part))}
}

// Open reads a value that Field sealed.
func (c ContentKey) Open(definition string, f envelope.SealedField) (string, error) {
	if f.Key != c.ID {
		return "", ErrUnreadable
	}
	b, err := Open(c.Key, f.Box, fieldData(c.Record, definition, f.Path, f.Part))
	return string(b), err
}

// Seal encrypts with XChaCha20-Poly1305: algorithm, 24-byte nonce, ciphertext.
func Seal(key Key, plain, data []byte) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	fill(nonce)
	out := append([]byte{envelope.XChaCha20Poly1305}, nonce...)
	return aead(key).Seal(out, nonce, plain, data)
}

// Open decrypts what Seal wrote.
func Open(key Key, box, data []byte) ([]byte, error) {
	if len(box) < 1+chacha20poly1305.NonceSizeX || box[0] != envelope.XChaCha20Poly1305 {
		return nil, ErrUnreadable
	}
	nonce, ct := box[1:1+chacha20poly1305.NonceSizeX], box[1+chacha20poly1305.NonceSizeX:]
	plain, err := aead(key).Open(nil, nonce, ct, data)
	if err != nil {
		return nil, ErrUnreadable
	}
	return plain, nil
}

func aead(key Key) cipher.AEAD {
	a, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic(err) // a key is always 32 bytes
	}
	return a
}

// Frame wraps the content key under a reader's data key.
func (c ContentKey) Frame(reader string, version uint32, data Key) *envelope.KeyFrame {
	return &envelope.KeyFrame{Format: envelope.Format, Record: c.Record, Organisation: c.Organisation, Part: c.Part,
		Key: c.ID, Reader: reader, Version: version, Wrapped: Seal(data, c.Key[:], c.frameData(reader, version))}
}

// FrameTo wraps the content key to another organisation's X25519 public
// key: algorithm, ephemeral public key, XChaCha20-Poly1305 box.
func (c ContentKey) FrameTo(reader string, version uint32, public *ecdh.PublicKey) (*envelope.KeyFrame, error) {
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	wrap, err := agree(ephemeral, public, ephemeral.PublicKey(), public)
	if err != nil {
		return nil, err
	}
	wrapped := append([]byte{envelope.X25519Sealed}, ephemeral.PublicKey().Bytes()...)
	wrapped = append(wrapped, Seal(wrap, c.Key[:], c.frameData(reader, version))...)
	return &envelope.KeyFrame{Format: envelope.Format, Record: c.Record, Organisation: c.Organisation, Part: c.Part,
		Key: c.ID, Reader: reader, Version: version, Wrapped: wrapped}, nil
}

func (c ContentKey) frameData(reader string, version uint32) []byte {
	b := append([]byte("fengqiao/frame/1\x00"), c.scope()...)
	b = appendText(b, reader)
	return binary.BigEndian.AppendUint32(b, version)
}

func agree(private *ecdh.PrivateKey, public, ephemeral, static *ecdh.PublicKey) (Key, error) {
	shared, err := private.ECDH(public)
	if err != nil {
		return Key{}, err
	}
	salt := append(ephemeral.Bytes(), static.Bytes()...)
	derived, err := hkdf.Key(sha256.New, shared, salt, "fengqiao/wrap/1", len(Key{}))
	if err != nil {
		return Key{}, err
	}
	return Key(derived), nil
}

// Unwrap opens a frame with the reader's data key, or with its private key
// when the frame was sealed to the public one.
func Unwrap(f *envelope.KeyFrame, data Key, private *ecdh.PrivateKey) (ContentKey, error) {
	c := ContentKey{ID: f.Key, Record: f.Record, Organisation: f.Organisation, Part: f.Part}
	wrapKey, box := data, f.Wrapped
	if f.Wrapped[0] == envelope.X25519Sealed {
		var err error
		if wrapKey, box, err = unwrapKey(f.Wrapped, private); err != nil {
			return c, err
		}
	}
	plain, err := Open(wrapKey, box, c.frameData(f.Reader, f.Version))
	if err != nil || len(plain) != len(c.Key) {
		return c, ErrUnreadable
	}
	c.Key = Key(plain)
	if c.id() != f.Key {
		return c, ErrUnreadable
	}
	return c, nil
}

func unwrapKey(wrapped []byte, private *ecdh.PrivateKey) (Key, []byte, error) {
	if private == nil || len(wrapped) < 33 {
		return Key{}, nil, ErrUnreadable
	}
	ephemeral, err := ecdh.X25519().NewPublicKey(wrapped[1:33])
	if err != nil {
		return Key{}, nil, ErrUnreadable
	}
	key, err := agree(private, ephemeral, ephemeral, private.PublicKey())
	return key, wrapped[33:], err
}

// Stored seals the content key for the keys table of this box.
func (c ContentKey) Stored(box Key) []byte { return Seal(box, c.Key[:], c.scope()) }

// FromStored reads a row of the keys table.
func FromStored(box Key, id envelope.KeyID, record envelope.RecordID, organisation string, part uint8, sealed []byte) (ContentKey, error) {
	c := ContentKey{ID: id, Record: record, Organisation: organisation, Part: part}
	plain, err := Open(box, sealed, c.scope())
	if err != nil || len(plain) != len(c.Key) {
		return c, ErrUnreadable
	}
	c.Key = Key(plain)
	return c, nil
}

// Match gives the keyed hash by which equal ID cards or phones are found
// without storing them: hexadecimal HMAC-SHA-256 over kind and value.
func Match(key Key, kind, value string) string {
	m := hmac.New(sha256.New, key[:])
	m.Write([]byte(kind))
	m.Write([]byte{0})
	m.Write([]byte(value))
	return hex.EncodeToString(m.Sum(nil))
}

// MAC authenticates a request body for the idempotency index: an algorithm
// number and HMAC-SHA-256 over the parts, each behind its length.
func MAC(key Key, data ...[]byte) []byte {
	m := hmac.New(sha256.New, key[:])
	for _, d := range data {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(d)))
		m.Write(n[:])
		m.Write(d)
	}
	return m.Sum([]byte{envelope.HMACSHA256})
}

// Derive gives a sub-key for a named purpose.
func Derive(key Key, purpose string) Key {
	b, err := hkdf.Key(sha256.New, key[:], nil, "fengqiao/derive/1/"+purpose, len(Key{}))
	if err != nil {
		panic(fmt.Sprintf("seal: derive: %v", err)) // length and hash are constants
	}
	return Key(b)
}
