// Package identity keeps what a box is: its signing key, its incarnation,
// its own symmetric key and the keys of the organisations whose seat it
// holds. The files change only at birth, rebirth and when a seat moves.
package identity

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/envelope/disk"
	"github.com/fengqiao/fengqiao/node/seal"
)

const (
	format   = 2 // 1 had no sum
	fileName = "box.json"
)

// ErrDamaged means that box.json is not what was written. Nothing may be
// signed or sealed under what is left.
var ErrDamaged = errors.New("identity: " + fileName + " is damaged; restore it from a backup")

// ErrNone means that the directory holds no box yet.
var ErrNone = errors.New("identity: no box here")

// file is box.json. It holds secrets: mode 0600 in a directory of 0700.
type file struct {
	Format        int               `json:"format"`
	Seed          []byte            `json:"seed"` // Ed25519
	BoxKey        seal.Key          `json:"box_key"`
	Incarnation   uint32            `json:"incarnation"`
	Instance      string            `json:"instance"` // random per incarnation
	Cluster       [16]byte          `json:"cluster"`
	Generation    uint32            `json:"generation"`
	Organisation  string            `json:"organisation"` // whose seat it holds; "" before set-up
	Organisations []organisation    `json:"organisations"`
	Continues     *continuation     `json:"continues,omitempty"`
	Recipient     string            `json:"recipient"` // of backups; the secret half is on paper
	Extra         map[string]string `json:"extra,omitempty"`
	Sum           []byte            `json:"sum,omitempty"` // SHA-256 of everything else
}

// sum is over the compact JSON, so that a changed key is found before
// something is sealed under it.
func (f file) sum() []byte {
	f.Sum = nil
	b, err := json.Marshal(f)
	if err != nil {
		panic(err) // the same fields were marshalled before
	}
	h := sha256.Sum256(b)
	return h[:]
}

type continuation struct {
	Incarnation uint32 `json:"incarnation"`
	Seq         uint64 `json:"seq"`
	Head        []byte `json:"head"`
}

type organisation struct {
	Code     string   `json:"code"`
	Version  uint32   `json:"version"`
	DataKey  seal.Key `json:"data_key"`
	Private  []byte   `json:"private"` // X25519
	MatchKey seal.Key `json:"match_key"`

	private *ecdh.PrivateKey // of Private: deriving its public half costs as much as an exchange
}

func (o *organisation) derive() (err error) {
	o.private, err = ecdh.X25519().NewPrivateKey(o.Private)
	return err
}

func (o *organisation) keys() OrganisationKeys {
	return OrganisationKeys{Code: o.Code, Version: o.Version, Data: o.DataKey, Match: o.MatchKey, Private: o.private}
}

// Identity is a loaded box.
type Identity struct {
	dir    string
	mu     sync.RWMutex // settling happens while the box already runs
	f      file
	sign   ed25519.PrivateKey
	origin envelope.Hash
}

// OrganisationKeys are what a seat holds for its organisation.
type OrganisationKeys struct {
	Code    string
	Version uint32
	Data    seal.Key
	Match   seal.Key // for keyed hashes; never rotated within a box's life
	Private *ecdh.PrivateKey
}

// Create makes a new box in dir, which must not hold one.
func Create(dir string) (*Identity, error) {
	if _, err := Load(dir); !errors.Is(err, ErrNone) {
		if err == nil {
			return nil, fmt.Errorf("identity: %s already holds a box", dir)
		}
		return nil, err
	}
	if err := disk.MkdirAll(dir); err != nil {
		return nil, err
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	id := &Identity{dir: dir, f: file{Format: format, Seed: private.Seed(), BoxKey: seal.NewKey(),
		Incarnation: 1, Instance: rand.Text(), Generation: 1}}
	rand.Read(id.f.Cluster[:])
	return id, errors.Join(id.derive(), id.save())
}

// Load reads the box in dir; ErrNone when there is none.
func Load(dir string) (*Identity, error) {
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	return parse(dir, b)
}

func parse(dir string, b []byte) (*Identity, error) {
	id := &Identity{dir: dir}
	in := json.NewDecoder(bytes.NewReader(b))
	in.DisallowUnknownFields()
	if err := in.Decode(&id.f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if id.f.Format > format {
		return nil, fmt.Errorf("identity: %s was written by a newer release", fileName)
	}
	if id.f.Format == 1 && id.f.Sum == nil {
		id.f.Sum = id.f.sum() // written with the next save
	}
	if !bytes.Equal(id.f.Sum, id.f.sum()) || in.More() || len(id.f.Seed) != ed25519.SeedSize || id.f.Incarnation == 0 {
		return nil, ErrDamaged
	}
	if err := id.derive(); err != nil {
		return nil, fmt.Errorf("identity: %s: %w", fileName, err)
	}
	return id, nil
}

func (id *Identity) derive() error {
	id.sign = ed25519.NewKeyFromSeed(id.f.Seed)
	id.origin = envelope.Sum(id.PublicKey())
	for i := range id.f.Organisations {
		if err := id.f.Organisations[i].derive(); err != nil {
			return err
		}
	}
	return nil
}

// save writes box.json so that a crash leaves the old or the new file whole.
func (id *Identity) save() error {
	id.f.Format = format
	id.f.Sum = id.f.sum()
	b, err := json.MarshalIndent(id.f, "", " ")
	if err != nil {
		return err
	}
	return disk.WriteFile(filepath.Join(id.dir, fileName), b)
}

// PublicKey is the algorithm number and the Ed25519 public key; its hash is
// the origin.
func (id *Identity) PublicKey() []byte {
	return append([]byte{envelope.Ed25519}, id.sign.Public().(ed25519.PublicKey)...)
}

// Origin names the box in its operations.
func (id *Identity) Origin() envelope.Hash { return id.origin }

// Incarnation counts the box's lives.
func (id *Identity) Incarnation() uint32 { return id.f.Incarnation }

// BoxKey is the box's own symmetric key.
func (id *Identity) BoxKey() seal.Key { return id.f.BoxKey }

// Cluster names the order that the box's operations stand in.
func (id *Identity) Cluster() ([16]byte, uint32) { return id.f.Cluster, id.f.Generation }

// Sign signs a head.
func (id *Identity) Sign(h envelope.Head) envelope.Signature {
	var s envelope.Signature
	s[0] = envelope.Ed25519
	copy(s[1:], ed25519.Sign(id.sign, h.SigningBytes()))
	return s
}

// SignBytes signs other material, such as a backup's manifest, under a tag.
func (id *Identity) SignBytes(tag string, data []byte) []byte {
	return ed25519.Sign(id.sign, append([]byte("fengqiao/"+tag+"\x00"), data...))
}

// Verify checks a head's signature against a public key as PublicKey gives it.
func Verify(public []byte, h envelope.Head, s envelope.Signature) bool {
	if len(public) != 1+ed25519.PublicKeySize || public[0] != envelope.Ed25519 || s[0] != envelope.Ed25519 {
		return false
	}
	return envelope.Sum(public) == h.Origin && ed25519.Verify(ed25519.PublicKey(public[1:]), h.SigningBytes(), s[1:])
}

// Organisation is the code whose seat this box holds, "" before set-up.
func (id *Identity) Organisation() string {
	id.mu.RLock()
	defer id.mu.RUnlock()
	return id.f.Organisation
}

// Settle gives the box its organisation and keys for it. It can be done once.
func (id *Identity) Settle(code, recipient string) error {
	id.mu.Lock()
	defer id.mu.Unlock()
	if id.f.Organisation != "" {
		return fmt.Errorf("identity: the box already belongs to %s", id.f.Organisation)
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	id.f.Organisation = code
	id.f.Recipient = recipient
	id.f.Organisations = append(id.f.Organisations, organisation{Code: code, Version: 1,
		DataKey: seal.NewKey(), Private: private.Bytes(), MatchKey: seal.NewKey(), private: private})
	return id.save()
}

// SetRecipient has new archives sealed to another emergency sheet.
func (id *Identity) SetRecipient(recipient string) error {
	id.mu.Lock()
	defer id.mu.Unlock()
	id.f.Recipient = recipient
	return id.save()
}

// SetExtra keeps what people chose for this box alone, beside what was kept
// before.
func (id *Identity) SetExtra(values map[string]string) error {
	id.mu.Lock()
	defer id.mu.Unlock()
	extra := maps.Clone(id.f.Extra)
	if extra == nil {
		extra = map[string]string{}
	}
	maps.Copy(extra, values)
	id.f.Extra = extra
	return id.save()
}

// Extra is one of the choices, "" when it was not made.
func (id *Identity) Extra(key string) string {
	id.mu.RLock()
	defer id.mu.RUnlock()
	return id.f.Extra[key]
}

// Recipient is the public half of the key on the emergency sheet.
func (id *Identity) Recipient() string {
	id.mu.RLock()
	defer id.mu.RUnlock()
	return id.f.Recipient
}

// Keys gives the newest keys that the box holds for an organisation.
func (id *Identity) Keys(code string) (OrganisationKeys, bool) {
	id.mu.RLock()
	defer id.mu.RUnlock()
	var found OrganisationKeys
	for i := range id.f.Organisations {
		if o := &id.f.Organisations[i]; o.Code == code && o.Version >= found.Version {
			found = o.keys()
		}
	}
	return found, found.Code != ""
}

// KeysVersion gives the keys of one version, for frames wrapped earlier.
func (id *Identity) KeysVersion(code string, version uint32) (OrganisationKeys, bool) {
	id.mu.RLock()
	defer id.mu.RUnlock()
	for i := range id.f.Organisations {
		if o := &id.f.Organisations[i]; o.Code == code && o.Version == version {
			return o.keys(), true
		}
	}
	return OrganisationKeys{}, false
}

// Rebirth begins a new incarnation that continues the given head; done
// after a restore or when the journal was damaged.
func (id *Identity) Rebirth(continues envelope.Head) error {
	id.f.Incarnation++
	id.f.Instance = rand.Text()
	id.f.Continues = &continuation{Incarnation: continues.Incarnation, Seq: continues.Seq, Head: continues.Hash[:]}
	return id.save()
}

// Continues is what the present incarnation's first operation must name.
func (id *Identity) Continues() *envelope.Continuation {
	c := id.f.Continues
	if c == nil {
		return nil
	}
	return &envelope.Continuation{Incarnation: c.Incarnation, Seq: c.Seq, Head: envelope.Hash(c.Head)}
}
