// Package envelope fixes the bytes that boxes keep and exchange: the
// operation, its hash chain, the signed head of a journal group and the
// key frames that travel beside the operations.
//
// It is a leaf: standard library and one CBOR library only. Nothing here
// knows what an operation means. What this package encodes is on disk for
// ever; the golden files in testdata must decode in every later release.
package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Algorithm numbers the cryptographic suite of a hash, signature or seal.
// Numbers are never reused. SM2/SM3/SM4 get numbers of their own when they
// are added.
type Algorithm = byte

const (
	SHA256            Algorithm = 1 // Hash
	Ed25519           Algorithm = 1 // Signature
	HMACSHA256        Algorithm = 1 // Request
	XChaCha20Poly1305 Algorithm = 1 // seals and symmetric wraps
	X25519Sealed      Algorithm = 2 // wraps to an organisation's public key
)

// Hash is an algorithm number followed by a 32-byte digest.
type Hash [33]byte

// Sum hashes data with the algorithm that new operations use.
func Sum(data ...[]byte) Hash {
	h := sha256.New()
	for _, d := range data {
		h.Write(d)
	}
	var out Hash
	out[0] = SHA256
	h.Sum(out[1:1])
	return out
}

// IsZero reports whether h is absent, as in the first operation of a box.
func (h Hash) IsZero() bool { return h == Hash{} }

// String gives the algorithm and the first eight bytes, for messages.
func (h Hash) String() string { return hex.EncodeToString(h[:9]) }

// MarshalBinary makes Hash a CBOR byte string.
func (h Hash) MarshalBinary() ([]byte, error) {
	if h.IsZero() {
		return []byte{}, nil
	}
	return h[:], nil
}

// UnmarshalBinary accepts the empty string for the zero hash.
func (h *Hash) UnmarshalBinary(b []byte) error {
	if len(b) == 0 {
		*h = Hash{}
		return nil
	}
	if len(b) != len(h) {
		return fmt.Errorf("envelope: hash of %d bytes", len(b))
	}
	copy(h[:], b)
	return nil
}

// RecordID names a record: 128 bits, drawn so that boxes never ask each
// other for a number.
type RecordID [16]byte

// IsZero reports whether the id is absent.
func (id RecordID) IsZero() bool { return id == RecordID{} }

// String is the form used in addresses and in the API: 22 characters of
// unpadded base64url.
func (id RecordID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseRecordID reads the form that String writes.
func ParseRecordID(s string) (RecordID, error) {
	var id RecordID
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("envelope: %q is not a record id", s)
	}
	copy(id[:], b)
	return id, nil
}

// MarshalText makes RecordID a JSON string and map key.
func (id RecordID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *RecordID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseRecordID(string(b))
	return err
}

// MarshalBinary makes RecordID a CBOR byte string.
func (id RecordID) MarshalBinary() ([]byte, error) { return id[:], nil }

// UnmarshalBinary reads what MarshalBinary wrote.
func (id *RecordID) UnmarshalBinary(b []byte) error {
	if len(b) != len(id) {
		return fmt.Errorf("envelope: record id of %d bytes", len(b))
	}
	copy(id[:], b)
	return nil
}

// OpID is the identity of an operation. Seq starts at 1 in every
// incarnation and has no gaps.
type OpID struct {
	_           struct{} `cbor:",toarray"`
	Origin      Hash
	Incarnation uint32
	Seq         uint64
}

// IsZero reports whether the id is absent.
func (id OpID) IsZero() bool { return id == OpID{} }

// Compare orders by origin, incarnation, seq.
func (id OpID) Compare(other OpID) int {
	if c := bytes.Compare(id.Origin[:], other.Origin[:]); c != 0 {
		return c
	}
	if id.Incarnation != other.Incarnation {
		if id.Incarnation < other.Incarnation {
			return -1
		}
		return 1
	}
	switch {
	case id.Seq < other.Seq:
		return -1
	case id.Seq > other.Seq:
		return 1
	}
	return 0
}

// String is origin.incarnation.seq, the origin shortened to eight bytes.
func (id OpID) String() string {
	return fmt.Sprintf("%x.%d.%d", id.Origin[1:9], id.Incarnation, id.Seq)
}

// Index is a place in the order of a cluster. A box that stands alone has
// a random cluster id of its own.
type Index struct {
	_          struct{} `cbor:",toarray"`
	Cluster    [16]byte
	Generation uint32
	N          uint64
}

// Head names the newest operation of an origin's incarnation.
type Head struct {
	Origin      Hash
	Incarnation uint32
	Seq         uint64
	Hash        Hash
}

// headTag keeps a head signature from standing for anything else.
const headTag = "fengqiao/head/1\x00"

// SigningBytes are what a box signs for a journal group: tag, origin,
// incarnation, seq, head hash; integers big-endian.
func (h Head) SigningBytes() []byte {
	b := make([]byte, 0, len(headTag)+len(h.Origin)+4+8+len(h.Hash))
	b = append(b, headTag...)
	b = append(b, h.Origin[:]...)
	b = binary.BigEndian.AppendUint32(b, h.Incarnation)
	b = binary.BigEndian.AppendUint64(b, h.Seq)
	return append(b, h.Hash[:]...)
}

// Signature is an algorithm number followed by 64 bytes.
type Signature [65]byte

// Code is what became of an operation at its place in the order.
type Code uint8

// The verdicts. Every one of them advances the origin; none drops the
// operation.
const (
	Applied Code = iota + 1
	Late
	Conflict
	Unauthorised
	Invalid
	Waiting
)

var codeNames = [...]string{Applied: "applied", Late: "late", Conflict: "conflict",
	Unauthorised: "unauthorised", Invalid: "invalid", Waiting: "waiting"}

func (c Code) String() string {
	if int(c) < len(codeNames) && c != 0 {
		return codeNames[c]
	}
	return fmt.Sprintf("code(%d)", uint8(c))
}

// Verdict is the outcome of one operation. Reason is a stable code, never
// text with names; With is the operation in its way, Deps what it waits for.
type Verdict struct {
	_      struct{} `cbor:",toarray"`
	Code   Code
	Reason string
	With   OpID
	Deps   []OpID
}

// Entry is one operation at its place in the order.
type Entry struct {
	Index Index
	Op    *Operation
	Bytes []byte // as received; the hash is over these
}

// ErrNewer means that an operation needs a later release. A box that meets
// it stops applying, works on locally and says so; it never skips.
var ErrNewer = errors.New("envelope: operation was written by a newer release")
