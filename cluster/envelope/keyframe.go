package envelope

import (
	"encoding/hex"
	"fmt"
)

// KeyID names a content key without revealing it: the first 16 bytes of
// SHA-256 over a tag, record, organisation, part and the key itself.
type KeyID [16]byte

// IsZero reports whether the id is absent.
func (k KeyID) IsZero() bool { return k == KeyID{} }

// String is the id in hexadecimal.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// MarshalBinary makes KeyID a CBOR byte string.
func (k KeyID) MarshalBinary() ([]byte, error) { return k[:], nil }

// UnmarshalBinary reads what MarshalBinary wrote.
func (k *KeyID) UnmarshalBinary(b []byte) error {
	if len(b) != len(k) {
		return fmt.Errorf("envelope: key id of %d bytes", len(b))
	}
	copy(k[:], b)
	return nil
}

// KeyFrame carries one content key, wrapped for one reader. Frames travel
// beside the operations and outside the hashed bytes, so that erase can
// zero them in place and a new reader can be granted later.
type KeyFrame struct {
	Format       uint16   `cbor:"1,keyasint"`
	Record       RecordID `cbor:"2,keyasint"`
	Organisation string   `cbor:"3,keyasint"` // that wrote under the key
	Part         uint8    `cbor:"4,keyasint"` // 0 full values, 1 masked values
	Key          KeyID    `cbor:"5,keyasint"`
	Reader       string   `cbor:"6,keyasint"` // organisation that can unwrap
	Version      uint32   `cbor:"7,keyasint"` // of the reader's data key or public key
	Wrapped      []byte   `cbor:"8,keyasint"` // algorithm first
}

// EncodeKeyFrame checks f and gives its bytes.
func EncodeKeyFrame(f *KeyFrame) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return Marshal(f)
}

// DecodeKeyFrame reads what EncodeKeyFrame wrote. A frame of a newer
// format fails with ErrNewer.
func DecodeKeyFrame(b []byte) (*KeyFrame, error) {
	var newer struct {
		Format uint16 `cbor:"1,keyasint"`
	}
	if err := looseMode.Unmarshal(b, &newer); err != nil {
		return nil, fmt.Errorf("envelope: key frame: %w", err)
	}
	if newer.Format > Format {
		return nil, fmt.Errorf("%w (key frame of format %d)", ErrNewer, newer.Format)
	}
	var f KeyFrame
	if err := Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("envelope: key frame: %w", err)
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	return &f, nil
}

func (f *KeyFrame) check() error {
	switch {
	case f.Format == 0:
		return fmt.Errorf("envelope: key frame without format")
	case f.Record.IsZero() || f.Key.IsZero() || f.Organisation == "" || f.Reader == "":
		return fmt.Errorf("envelope: key frame without subject")
	case len(f.Wrapped) == 0 || len(f.Wrapped) > 512:
		return fmt.Errorf("envelope: wrapped key of %d bytes", len(f.Wrapped))
	}
	return nil
}
