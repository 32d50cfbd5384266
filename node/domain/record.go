package domain

import (
	"maps"
	"slices"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// Record is the folded view of one matter. It is stored as deterministic
// CBOR; integer keys are never reused.
type Record struct {
	ID         envelope.RecordID      `cbor:"1,keyasint"`
	Definition envelope.DefinitionRef `cbor:"2,keyasint"`
	State      string                 `cbor:"3,keyasint"`
	Custodian  string                 `cbor:"4,keyasint"` // organisation code that owns it
	Term       uint64                 `cbor:"5,keyasint"`
	Epoch      uint64                 `cbor:"6,keyasint"` // +1 at every change of custodian, from 1
	Holder     string                 `cbor:"7,keyasint"` // organisation whose turn it is
	Sender     string                 `cbor:"8,keyasint,omitempty"`
	Reporter   string                 `cbor:"9,keyasint"` // organisation
	CreatedBy  envelope.RecordID      `cbor:"10,keyasint"`
	CreatedAt  int64                  `cbor:"11,keyasint"` // evidence of the first operation
	ChangedAt  int64                  `cbor:"12,keyasint"`
	Number     string                 `cbor:"13,keyasint,omitempty"`
	Aliases    []string               `cbor:"14,keyasint,omitempty"` // numbers it also had
	Open       map[string]any         `cbor:"15,keyasint,omitempty"`
	Sealed     []envelope.SealedField `cbor:"16,keyasint,omitempty"` // sorted by path, part
	Steps      []Entry                `cbor:"17,keyasint,omitempty"` // class A and C, in order
	Appended   []Entry                `cbor:"18,keyasint,omitempty"` // class B, sorted by operation id
	Clocks     []ClockEvent           `cbor:"19,keyasint,omitempty"`
	Assists    []Assist               `cbor:"20,keyasint,omitempty"`
	Copies     []Copy                 `cbor:"21,keyasint,omitempty"` // sorted by target
	Cards      []Card                 `cbor:"22,keyasint,omitempty"` // sorted; a set
	Offer      *Offer                 `cbor:"23,keyasint,omitempty"`
	Asked      []Asked                `cbor:"24,keyasint,omitempty"` // extension or suspension awaiting approval
	Suspended  bool                   `cbor:"25,keyasint,omitempty"`
	Resumes    string                 `cbor:"26,keyasint,omitempty"` // state to return to
	Parent     envelope.RecordID      `cbor:"27,keyasint"`           // merged into
	Children   []envelope.RecordID    `cbor:"28,keyasint,omitempty"`
	Links      []Link                 `cbor:"29,keyasint,omitempty"` // sorted
	Files      []File                 `cbor:"30,keyasint,omitempty"` // sorted by hash
	Documents  []Document             `cbor:"31,keyasint,omitempty"` // in order of filing
	LastA      envelope.OpID          `cbor:"32,keyasint"`
	Returns    int64                  `cbor:"33,keyasint,omitempty"`
	Late       []envelope.OpID        `cbor:"34,keyasint,omitempty"` // to adopt or leave
	Erased     bool                   `cbor:"35,keyasint,omitempty"`
	Urged      int64                  `cbor:"36,keyasint,omitempty"`
	Rating     string                 `cbor:"37,keyasint,omitempty"`
	Import     string                 `cbor:"38,keyasint,omitempty"` // job that brought it
}

// Entry is one line of the timeline.
type Entry struct {
	Op        envelope.OpID          `cbor:"1,keyasint"`
	Step      string                 `cbor:"2,keyasint"`
	Effect    Effect                 `cbor:"3,keyasint"`
	Actor     envelope.Actor         `cbor:"4,keyasint"`
	At        int64                  `cbor:"5,keyasint"`
	Time      envelope.TimeQuality   `cbor:"6,keyasint"`
	From      string                 `cbor:"7,keyasint,omitempty"` // states
	To        string                 `cbor:"8,keyasint,omitempty"`
	Target    string                 `cbor:"9,keyasint,omitempty"`  // organisation sent to
	Inputs    map[string]any         `cbor:"10,keyasint,omitempty"` // reserved and step inputs, without the underscore
	Sealed    []envelope.SealedField `cbor:"11,keyasint,omitempty"` // of the inputs
	Was       map[string]any         `cbor:"12,keyasint,omitempty"` // open values replaced
	WasSealed []envelope.SealedField `cbor:"13,keyasint,omitempty"`
	Changed   []string               `cbor:"14,keyasint,omitempty"` // paths set, sorted
	After     bool                   `cbor:"15,keyasint,omitempty"` // appended after closing
}

// ClockKind is what happened to a clock.
type ClockKind uint8

const (
	ClockStart ClockKind = iota + 1
	ClockStop
	ClockPause
	ClockResume
	ClockExtend
	ClockChange // of profile or urgency
	ClockAdopt  // the start of a merged child's clock, which counts here too
)

// ClockEvent is evidence from which due times are derived; no due time is
// ever stored in a record.
type ClockEvent struct {
	Clock   string            `cbor:"1,keyasint"`
	Kind    ClockKind         `cbor:"2,keyasint"`
	At      int64             `cbor:"3,keyasint"`
	Profile string            `cbor:"4,keyasint,omitempty"`
	Urgency string            `cbor:"5,keyasint,omitempty"`
	Limit   string            `cbor:"6,keyasint,omitempty"` // extension, as the clock package writes limits
	Child   envelope.RecordID `cbor:"7,keyasint"`           // brought by this merged child, and taken back with it
	Since   int64             `cbor:"8,keyasint,omitempty"` // from when it counts, when not from At
	Until   int64             `cbor:"9,keyasint,omitempty"` // an end that people fixed, in place of the profile's limit
}

// Assist is an organisation asked to help; the main turn stays where it is.
type Assist struct {
	Organisation string        `cbor:"1,keyasint"`
	Op           envelope.OpID `cbor:"2,keyasint"`
	Done         bool          `cbor:"3,keyasint,omitempty"`
}

// Copy is an organisation or account that was told, and who has read it.
type Copy struct {
	Target string              `cbor:"1,keyasint"`
	Op     envelope.OpID       `cbor:"2,keyasint"`
	ReadBy []envelope.RecordID `cbor:"3,keyasint,omitempty"` // sorted
}

// Card is a supervision mark. Cards fold as a set: the highest counts.
type Card struct {
	Clock   string            `cbor:"1,keyasint"`
	Round   int64             `cbor:"2,keyasint"`
	Colour  string            `cbor:"3,keyasint"` // normal, yellow, red
	Issued  envelope.OpID     `cbor:"4,keyasint"`
	Against string            `cbor:"5,keyasint"` // organisation whose turn it was
	By      envelope.RecordID `cbor:"6,keyasint"`
	Lifted  bool              `cbor:"7,keyasint,omitempty"`
}

// Offer is an open handover to another custodian.
type Offer struct {
	Op envelope.OpID `cbor:"1,keyasint"`
	To string        `cbor:"2,keyasint"`
}

// Asked is a request that somebody with the right must decide.
type Asked struct {
	Op    envelope.OpID `cbor:"1,keyasint"`
	Kind  Effect        `cbor:"2,keyasint"` // ask_extension or ask_suspension
	Clock string        `cbor:"3,keyasint,omitempty"`
	Limit string        `cbor:"4,keyasint,omitempty"`
}

// Link ties two records without moving either.
type Link struct {
	Record   envelope.RecordID `cbor:"1,keyasint"`
	Relation string            `cbor:"2,keyasint"`
	Op       envelope.OpID     `cbor:"3,keyasint"`
}

// File is an attachment, addressed by the hash of its ciphertext. Its name
// is sealed at files/<n>/name of the operation's entry.
type File struct {
	Hash     envelope.Hash  `cbor:"1,keyasint"`
	Size     int64          `cbor:"2,keyasint"` // bytes of the plaintext
	Media    string         `cbor:"3,keyasint"`
	Document string         `cbor:"4,keyasint,omitempty"` // dossier type it stands for
	Op       envelope.OpID  `cbor:"5,keyasint"`
	Key      envelope.KeyID `cbor:"6,keyasint"`
}

// Document is one filed paper of a dossier; its values live in the record
// under documents/<type>/<n>/.
type Document struct {
	Type string        `cbor:"1,keyasint"`
	N    int64         `cbor:"2,keyasint"`
	Op   envelope.OpID `cbor:"3,keyasint"`
	Void bool          `cbor:"4,keyasint,omitempty"`
}

// Clone copies r so that a fold never changes a record that others read.
func (r *Record) Clone() *Record {
	c := *r
	c.Open = maps.Clone(r.Open)
	c.Sealed = slices.Clone(r.Sealed)
	c.Steps = slices.Clone(r.Steps)
	c.Appended = slices.Clone(r.Appended)
	c.Clocks = slices.Clone(r.Clocks)
	c.Assists = slices.Clone(r.Assists)
	c.Copies = slices.Clone(r.Copies)
	for i := range c.Copies {
		c.Copies[i].ReadBy = slices.Clone(c.Copies[i].ReadBy)
	}
	c.Cards = slices.Clone(r.Cards)
	if r.Offer != nil {
		offer := *r.Offer
		c.Offer = &offer
	}
	c.Asked = slices.Clone(r.Asked)
	c.Aliases = slices.Clone(r.Aliases)
	c.Children = slices.Clone(r.Children)
	c.Links = slices.Clone(r.Links)
	c.Files = slices.Clone(r.Files)
	c.Documents = slices.Clone(r.Documents)
	c.Late = slices.Clone(r.Late)
	return &c
}

// Text gives the open value at path as a string, "" when it is none.
func (r *Record) Text(path string) string {
	s, _ := r.Open[path].(string)
	return s
}

// Int gives the open value at path as an integer.
func (r *Record) Int(path string) int64 {
	n, _ := r.Open[path].(int64)
	return n
}

// List gives the open value at path as a list.
func (r *Record) List(path string) []string {
	l, _ := r.Open[path].([]string)
	return l
}

// SealedAt finds the sealed value at path in the given part.
func (r *Record) SealedAt(path string, part uint8) (envelope.SealedField, bool) {
	i, ok := slices.BinarySearchFunc(r.Sealed, envelope.SealedField{Path: path, Part: part}, compareSealed)
	if !ok {
		return envelope.SealedField{}, false
	}
	return r.Sealed[i], true
}

// Has reports whether a value, open or sealed, stands at path.
func (r *Record) Has(path string) bool {
	if v, ok := r.Open[path]; ok && v != nil && v != "" {
		return true
	}
	_, ok := r.SealedAt(path, 0)
	return ok
}

// Merged reports whether the record was merged into another.
func (r *Record) Merged() bool { return !r.Parent.IsZero() }

// HighestCard is the colour that counts: "", normal, yellow or red.
func (r *Record) HighestCard() string {
	best := ""
	for _, c := range r.Cards {
		if !c.Lifted && cardRank(c.Colour) > cardRank(best) {
			best = c.Colour
		}
	}
	return best
}

func cardRank(colour string) int {
	return slices.Index([]string{"", "normal", "yellow", "red"}, colour)
}

// Normalise gives decoded values their types: CBOR knows only lists of
// anything, records only lists of text.
func (r *Record) Normalise() error {
	maps := []map[string]any{r.Open}
	for _, entries := range [][]Entry{r.Steps, r.Appended} {
		for _, e := range entries {
			maps = append(maps, e.Inputs, e.Was)
		}
	}
	for _, m := range maps {
		if err := envelope.NormaliseValues(m); err != nil {
			return err
		}
	}
	return nil
}
