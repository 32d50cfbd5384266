package envelope

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// Format is the byte layout that this release writes, Level the newest
// rules that it knows. Both only grow.
const (
	Format = 1
	Level  = 1
)

// Limits of one operation. They bound memory and log entries; longer
// material belongs into an attachment.
const (
	MaxBytes      = 256 << 10
	MaxFields     = 512
	MaxPath       = 128
	MaxOpenText   = 1024 // bytes of one open value; free text is sealed
	MaxList       = 1024
	MaxSealed     = 64 << 10
	MaxDeps       = 64
	maxIdentifier = 64
	macSize       = 1 + 32
)

// Class tells how an operation commutes (DESIGN: custody).
type Class uint8

const (
	ClassA Class = iota + 1 // changes a record's state; only the custodian's seat
	ClassB                  // appends; commutes with everything
	ClassC                  // county-agreed
)

// TimeQuality says how far the writer's wall clock can be trusted.
type TimeQuality uint8

const (
	TimeUnknown TimeQuality = iota // dead clock, never set
	TimeSet                        // set by a person
	TimeSynced                     // synchronised with a time source
	TimeSuspect                    // stepped backwards or disagrees with the county
)

// DefinitionRef pins the rules that an operation was made under.
type DefinitionRef struct {
	_       struct{} `cbor:",toarray"`
	ID      string
	Version uint32
	Hash    Hash
}

// Actor is who acted: the account, for which organisation, in which role.
type Actor struct {
	_            struct{} `cbor:",toarray"`
	User         RecordID
	Organisation string
	Role         string
}

// Request ties the operations of one API request together. MAC is an
// algorithm number and the HMAC of the request body under a key that stays
// on the box. N of M counts
// within the request; its atomicity holds in the journal group only.
type Request struct {
	_   struct{} `cbor:",toarray"`
	Key string
	MAC []byte
	N   uint16
	M   uint16
}

// SealedField is one encrypted value. Part 0 is the full value, part 1 its
// masked form. Key names the content key, see KeyFrame.
type SealedField struct {
	_    struct{} `cbor:",toarray"`
	Path string
	Part uint8
	Key  KeyID
	Box  []byte // algorithm, nonce, ciphertext
}

// Continuation names what a new incarnation continues.
type Continuation struct {
	_           struct{} `cbor:",toarray"`
	Incarnation uint32
	Seq         uint64
	Head        Hash
}

// Operation is one signed step on one record. Open holds codes, times,
// organisations, numbers and counts, keyed by field path; a value is nil
// (cleared), string, int64, bool or []string. Free text is always sealed.
type Operation struct {
	Format      uint16         `cbor:"1,keyasint"`
	Level       uint16         `cbor:"2,keyasint"`
	Origin      Hash           `cbor:"3,keyasint"`
	Incarnation uint32         `cbor:"4,keyasint"`
	Seq         uint64         `cbor:"5,keyasint"`
	Prev        Hash           `cbor:"6,keyasint"`
	Continues   *Continuation  `cbor:"7,keyasint,omitempty"`
	Record      RecordID       `cbor:"8,keyasint"`
	Class       Class          `cbor:"9,keyasint"`
	SeatTerm    uint64         `cbor:"10,keyasint"`
	Epoch       uint64         `cbor:"11,keyasint"`
	LastA       *OpID          `cbor:"12,keyasint,omitempty"`
	Seen        Index          `cbor:"13,keyasint"`
	Deps        []OpID         `cbor:"14,keyasint,omitempty"`
	Step        string         `cbor:"15,keyasint"`
	Definition  DefinitionRef  `cbor:"16,keyasint"`
	Actor       Actor          `cbor:"17,keyasint"`
	Policy      uint64         `cbor:"18,keyasint"`
	Request     *Request       `cbor:"19,keyasint,omitempty"`
	At          int64          `cbor:"20,keyasint"` // Unix milliseconds; evidence, never order
	Time        TimeQuality    `cbor:"21,keyasint"`
	Open        map[string]any `cbor:"22,keyasint,omitempty"`
	Sealed      []SealedField  `cbor:"23,keyasint,omitempty"`
}

// ID is the operation's identity.
func (o *Operation) ID() OpID {
	return OpID{Origin: o.Origin, Incarnation: o.Incarnation, Seq: o.Seq}
}

// encMode is core deterministic encoding (RFC 8949 §4.2.1): equal values
// give equal bytes.
var encMode = func() cbor.EncMode {
	m, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	return m
}()

var decMode = func() cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		IntDec:            cbor.IntDecConvertSigned,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   8,
		MaxArrayElements:  MaxList * 8,
		MaxMapPairs:       MaxFields * 4,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}()

// Marshal encodes any of the project's values deterministically.
func Marshal(v any) ([]byte, error) { return encMode.Marshal(v) }

// Unmarshal decodes what Marshal wrote, strictly: no unknown or repeated
// keys, no indefinite lengths, no tags.
func Unmarshal(data []byte, v any) error { return decMode.Unmarshal(data, v) }

// Encode checks o and gives its bytes and their hash.
func Encode(o *Operation) ([]byte, Hash, error) {
	if err := o.check(); err != nil {
		return nil, Hash{}, err
	}
	b, err := encMode.Marshal(o)
	if err != nil {
		return nil, Hash{}, fmt.Errorf("envelope: encode: %w", err)
	}
	if len(b) > MaxBytes {
		return nil, Hash{}, fmt.Errorf("envelope: operation of %d bytes exceeds %d", len(b), MaxBytes)
	}
	return b, Sum(b), nil
}

// Decode reads an operation and checks its shape. It fails with ErrNewer
// when format or level are beyond this release.
func Decode(b []byte) (*Operation, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("envelope: operation of %d bytes exceeds %d", len(b), MaxBytes)
	}
	if err := checkVersion(b); err != nil {
		return nil, err
	}
	var o Operation
	if err := decMode.Unmarshal(b, &o); err != nil {
		return nil, fmt.Errorf("envelope: decode: %w", err)
	}
	if err := NormaliseValues(o.Open); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return &o, nil
}

// checkVersion looks at format and level alone, since a newer release may
// have added keys that the strict decoder would call damage.
func checkVersion(b []byte) error {
	var v struct {
		Format uint16 `cbor:"1,keyasint"`
		Level  uint16 `cbor:"2,keyasint"`
	}
	if err := looseMode.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("envelope: decode: %w", err)
	}
	if v.Format > Format || v.Level > Level {
		return fmt.Errorf("%w (format %d, level %d)", ErrNewer, v.Format, v.Level)
	}
	return nil
}

var looseMode = func() cbor.DecMode {
	m, err := cbor.DecOptions{MaxNestedLevels: 8}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}()

// NormaliseValues turns decoded lists into []string, the only list there is.
func NormaliseValues(open map[string]any) error {
	for path, v := range open {
		list, ok := v.([]any)
		if !ok {
			continue
		}
		texts := make([]string, len(list))
		for i, item := range list {
			s, ok := item.(string)
			if !ok {
				return fmt.Errorf("envelope: %s: list of %T", path, item)
			}
			texts[i] = s
		}
		open[path] = texts
	}
	return nil
}

func (o *Operation) check() error {
	switch {
	case o.Format == 0 || o.Format > Format:
		return fmt.Errorf("envelope: format %d", o.Format)
	case o.Level == 0 || o.Level > Level:
		return fmt.Errorf("envelope: level %d", o.Level)
	case o.Origin.IsZero() || o.Incarnation == 0 || o.Seq == 0:
		return fmt.Errorf("envelope: operation without identity")
	case o.Seq > 1 && (o.Prev.IsZero() || o.Continues != nil):
		return fmt.Errorf("envelope: operation %d breaks the chain", o.Seq)
	case o.Record.IsZero():
		return fmt.Errorf("envelope: operation without record")
	case o.Class < ClassA || o.Class > ClassC:
		return fmt.Errorf("envelope: class %d", o.Class)
	case o.Time > TimeSuspect:
		return fmt.Errorf("envelope: time quality %d", o.Time)
	case len(o.Deps) > MaxDeps:
		return fmt.Errorf("envelope: %d dependencies", len(o.Deps))
	case len(o.Open)+len(o.Sealed) > MaxFields:
		return fmt.Errorf("envelope: %d fields", len(o.Open)+len(o.Sealed))
	}
	for _, id := range []string{o.Step, o.Definition.ID, o.Actor.Role} {
		if err := CheckIdentifier(id); err != nil {
			return err
		}
	}
	if err := o.checkRequest(); err != nil {
		return err
	}
	return o.checkFields()
}

func (o *Operation) checkRequest() error {
	r := o.Request
	if r == nil {
		return nil
	}
	if r.Key == "" || len(r.Key) > maxIdentifier*4 || len(r.MAC) != macSize || r.N == 0 || r.N > r.M {
		return fmt.Errorf("envelope: malformed request reference")
	}
	return nil
}

func (o *Operation) checkFields() error {
	for path, v := range o.Open {
		if err := CheckPath(path); err != nil {
			return err
		}
		if err := CheckValue(v); err != nil {
			return fmt.Errorf("envelope: %s: %w", path, err)
		}
	}
	for i, f := range o.Sealed {
		if err := CheckPath(f.Path); err != nil {
			return err
		}
		if len(f.Box) == 0 || len(f.Box) > MaxSealed {
			return fmt.Errorf("envelope: %s: sealed value of %d bytes", f.Path, len(f.Box))
		}
		if i > 0 && !less(o.Sealed[i-1], f) {
			return fmt.Errorf("envelope: sealed fields are not in order at %s", f.Path)
		}
	}
	return nil
}

// SortSealed puts fields into the one order that Encode accepts.
func SortSealed(fields []SealedField) {
	sort.Slice(fields, func(i, j int) bool { return less(fields[i], fields[j]) })
}

func less(a, b SealedField) bool {
	if a.Path != b.Path {
		return a.Path < b.Path
	}
	return a.Part < b.Part
}

// CheckIdentifier accepts what names steps, kinds and roles: 1 to 64 bytes
// of ASCII letters, digits, and _ - . /
func CheckIdentifier(s string) error {
	if s == "" || len(s) > maxIdentifier {
		return fmt.Errorf("envelope: identifier of %d bytes", len(s))
	}
	for _, r := range s {
		if !identifierRune(r) {
			return fmt.Errorf("envelope: identifier %q", s)
		}
	}
	return nil
}

func identifierRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		strings.ContainsRune("_-./", r)
}

// CheckPath accepts a field path such as parties/0/name.
func CheckPath(path string) error {
	if len(path) > MaxPath {
		return fmt.Errorf("envelope: path of %d bytes", len(path))
	}
	for _, part := range strings.Split(path, "/") {
		if err := CheckIdentifier(part); err != nil {
			return err
		}
	}
	return nil
}

// CheckValue accepts the open value types within their limits.
func CheckValue(v any) error {
	switch v := v.(type) {
	case nil, int64, bool:
		return nil
	case string:
		return checkText(v)
	case []string:
		if len(v) > MaxList {
			return fmt.Errorf("list of %d", len(v))
		}
		for _, s := range v {
			if err := checkText(s); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("value of type %T", v)
}

func checkText(s string) error {
	if len(s) > MaxOpenText {
		return fmt.Errorf("text of %d bytes", len(s))
	}
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return fmt.Errorf("text that is not clean UTF-8")
	}
	return nil
}
