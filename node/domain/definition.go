// Package domain holds the rules of Fengqiao as pure functions: what a
// record is, what a step does to it (fold), who may do what, how personal
// values are masked. Nothing here does I/O, reads a clock, draws a random
// number, depends on map order or uses floating point, so every box that
// folds the same operations has the same records.
package domain

import (
	"slices"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// Text is a sentence or label in both languages of the product.
type Text struct {
	ZH string `yaml:"zh" json:"zh"`
	EN string `yaml:"en" json:"en"`
}

// In gives the text in the language, Chinese when the other is missing.
func (t Text) In(lang string) string {
	if lang == "en" && t.EN != "" {
		return t.EN
	}
	return t.ZH
}

// Family groups kinds for menus and rights.
type Family string

const (
	FamilyEvent     Family = "event"
	FamilyMediation Family = "mediation"
	FamilyPetition  Family = "petition"
	FamilyNotice    Family = "notice"
	FamilyDuty      Family = "duty"     // shifts, log, alarms
	FamilyMaster    Family = "master"   // organisations, committees, rosters
	FamilyAccount   Family = "account"  // people who can sign in
	FamilySettings  Family = "settings" // calendars, definitions
)

// Definition describes one kind of matter as data. It is immutable: a
// change is a new version, and a record pins the version that it follows.
type Definition struct {
	ID        string         `yaml:"id" json:"id"`
	Version   uint32         `yaml:"version" json:"version"`
	Level     uint16         `yaml:"level" json:"level"` // feature level that its rules need
	Title     Text           `yaml:"title" json:"title"`
	Family    Family         `yaml:"family" json:"family"`
	Number    *NumberRule    `yaml:"number" json:"number,omitempty"`
	Fields    []Field        `yaml:"fields" json:"fields"`
	States    []State        `yaml:"states" json:"states"`
	Steps     []Step         `yaml:"steps" json:"steps"`
	Clocks    []Clock        `yaml:"clocks" json:"clocks,omitempty"`
	Profiles  []Profile      `yaml:"profiles" json:"profiles,omitempty"` // of its own; found before the catalogue's
	Documents []DocumentType `yaml:"documents" json:"documents,omitempty"`
	Gates     []Gate         `yaml:"gates" json:"gates,omitempty"`
	Papers    []Paper        `yaml:"papers" json:"papers,omitempty"`
	Columns   []string       `yaml:"columns" json:"columns,omitempty"` // of lists
	Heading   []string       `yaml:"heading" json:"heading,omitempty"` // code fields that name it to those without the text
	Search    SearchMap      `yaml:"search" json:"search"`
	Tables    []Table        `yaml:"tables" json:"tables,omitempty"` // of its own; found before the catalogue's
	Alarms    []AlarmRule    `yaml:"alarms" json:"alarms,omitempty"`
	// Restricted names a boolean or code field; records where it is set are
	// shown to holders, leader and nobody else (informers, minors).
	Restricted *Condition `yaml:"restricted" json:"restricted,omitempty"`
}

// NumberRule builds the number that people use, such as 〔2026〕枫人调0012号.
// Pattern knows {abbr} {year} {seq:4}; Per lists what the sequence restarts
// for ("year", or an organisation field).
type NumberRule struct {
	Step    string   `yaml:"step" json:"step"`           // that gives the number
	Also    []string `yaml:"also" json:"also,omitempty"` // other steps that do, such as a second way to report
	Pattern string   `yaml:"pattern" json:"pattern"`
	Per     []string `yaml:"per" json:"per"`
}

// Table is a list of codes with their labels.
type Table struct {
	ID    string `yaml:"id" json:"id"`
	Title Text   `yaml:"title" json:"title"`
	Codes []Code `yaml:"codes" json:"codes"`
}

// Code is one row of a table. A code is never reused; a retired one is
// hidden from input and still shown where it stands.
type Code struct {
	Code   string `yaml:"code" json:"code"`
	Parent string `yaml:"parent" json:"parent,omitempty"`
	ZH     string `yaml:"zh" json:"zh"`
	EN     string `yaml:"en" json:"en"`
	Hidden bool   `yaml:"hidden" json:"hidden,omitempty"`
	Note   Text   `yaml:"note" json:"note,omitzero"` // what to do or know when it is chosen
}

// FieldType is how a value is entered, checked and stored.
type FieldType string

const (
	TypeText    FieldType = "text" // always sealed
	TypeCode    FieldType = "code"
	TypeCodes   FieldType = "codes"
	TypeOrg     FieldType = "org"
	TypeOrgs    FieldType = "orgs"
	TypeAccount FieldType = "account" // record id of an account
	TypeInt     FieldType = "int"
	TypeMoney   FieldType = "money" // in fen
	TypeBool    FieldType = "bool"
	TypeDate    FieldType = "date"  // YYYY-MM-DD
	TypeTime    FieldType = "time"  // Unix milliseconds
	TypePoint   FieldType = "point" // key/lng and key/lat in 1e-6 degree
	TypeGroup   FieldType = "group" // repeated; items live at key/<n>/…
	// Public words, not sealed: only in families master and settings.
	TypeLabel  FieldType = "label"  // one short text, such as an organisation's name
	TypeLabels FieldType = "labels" // lines of public text, such as a definition
)

// Sensitivity of a sealed field decides who reads the full value.
type Sensitivity string

const (
	SenseOpen     Sensitivity = ""         // codes, never free text
	SenseTeam     Sensitivity = "team"     // case text
	SenseIdentity Sensitivity = "identity" // who a person is
	SenseSecret   Sensitivity = "secret"   // read by the box alone, shown to nobody: password hashes
)

// Limits of public text.
const (
	MaxLabel     = 60   // characters of a label
	MaxLabelLine = 1024 // bytes of one line of labels
)

// Mask names how a personal value is shown to those without the right.
type Mask string

const (
	MaskName     Mask = "name"
	MaskIDCard   Mask = "idcard"
	MaskPhone    Mask = "phone"
	MaskLandline Mask = "landline"
	MaskAddress  Mask = "address"
	MaskAccount  Mask = "account"
)

// Field is one value of a kind. A TypeGroup field has Fields of its own.
type Field struct {
	Key         string      `yaml:"key" json:"key"`
	Title       Text        `yaml:"title" json:"title"`
	Type        FieldType   `yaml:"type" json:"type"`
	Table       string      `yaml:"table" json:"table,omitempty"`
	Required    bool        `yaml:"required" json:"required,omitempty"` // at creation
	Max         int64       `yaml:"max" json:"max,omitempty"`           // characters, items or value
	Min         int64       `yaml:"min" json:"min,omitempty"`
	Sensitivity Sensitivity `yaml:"sensitivity" json:"sensitivity,omitempty"`
	Mask        Mask        `yaml:"mask" json:"mask,omitempty"`
	Lines       int         `yaml:"lines" json:"lines,omitempty"` // rows of the input
	Future      bool        `yaml:"future" json:"future,omitempty"`
	Fields      []Field     `yaml:"fields" json:"fields,omitempty"`
	Default     string      `yaml:"default" json:"default,omitempty"`
}

// Sealed reports whether values of the field are stored encrypted.
func (f Field) Sealed() bool { return f.Type == TypeText }

// State is a place in the life of a record.
type State struct {
	ID     string `yaml:"id" json:"id"`
	Title  Text   `yaml:"title" json:"title"`
	Closed bool   `yaml:"closed" json:"closed,omitempty"` // nothing is due any more
	Tone   string `yaml:"tone" json:"tone,omitempty"`     // neutral, active, good, bad
}

// Step is something a person may do to a record.
type Step struct {
	ID     string         `yaml:"id" json:"id"`
	Title  Text           `yaml:"title" json:"title"`
	Effect Effect         `yaml:"effect" json:"effect"`
	Class  envelope.Class `yaml:"-" json:"class"`             // follows from the effect
	From   []string       `yaml:"from" json:"from,omitempty"` // states; empty: every open state, "*": every state
	To     string         `yaml:"to" json:"to,omitempty"`     // state; empty: stays
	Roles  []string       `yaml:"roles" json:"roles"`
	Where  []Relation     `yaml:"where" json:"where,omitempty"` // any of; empty: wherever the role reads the record
	Fields []StepField    `yaml:"fields" json:"fields,omitempty"`
	Inputs []Field        `yaml:"inputs" json:"inputs,omitempty"` // kept in the timeline only
	Holder HolderRule     `yaml:"holder" json:"holder,omitempty"`
	Needs  []Condition    `yaml:"needs" json:"needs,omitempty"`
	Gate   string         `yaml:"gate" json:"gate,omitempty"`
	Start  []string       `yaml:"start" json:"start,omitempty"` // clocks
	Stop   []string       `yaml:"stop" json:"stop,omitempty"`
	// Document says that the step files a dossier document of this type.
	Document string `yaml:"document" json:"document,omitempty"`
	// Opens reports another matter in the same breath.
	Opens *Opening `yaml:"opens" json:"opens,omitempty"`
	Note  string   `yaml:"note" json:"note,omitempty"` // "", optional or required
}

// Opening is another matter that a step reports, such as the event for the
// police when a dispute threatens to turn violent. The two are linked.
type Opening struct {
	Kind     string            `yaml:"kind" json:"kind"`
	Step     string            `yaml:"step" json:"step"`           // that creates it
	Values   map[string]string `yaml:"values" json:"values"`       // its fields: codes and words set without asking
	Copy     map[string]string `yaml:"copy" json:"copy,omitempty"` // its fields: open fields of this kind
	Note     string            `yaml:"note" json:"note,omitempty"` // its text that receives the note of the step
	Relation string            `yaml:"relation" json:"relation"`   // what the new matter is to this one
	Inverse  string            `yaml:"inverse" json:"inverse"`     // and this one to the new
}

// StepField names a field of the kind that the step may set.
type StepField struct {
	Key      string `yaml:"key" json:"key"`
	Required bool   `yaml:"required" json:"required,omitempty"`
	Value    string `yaml:"value" json:"value,omitempty"` // set to this code without asking
}

// HolderRule says whose turn it is after a step.
type HolderRule string

const (
	HolderKeep      HolderRule = ""
	HolderTo        HolderRule = "to"        // the organisation named in the step
	HolderCustodian HolderRule = "custodian" // the centre
	HolderReporter  HolderRule = "reporter"  // where it was reported
	HolderActor     HolderRule = "actor"     // the organisation that acted
	HolderSender    HolderRule = "sender"    // who sent it here (return)
	HolderParent    HolderRule = "parent"    // one level up (escalate)
)

// Relation ties an actor to a record.
type Relation string

const (
	RelHolder    Relation = "holder"    // acts for the organisation whose turn it is
	RelCustodian Relation = "custodian" // acts for the centre that owns the record
	RelReporter  Relation = "reporter"  // reported it
	RelAssist    Relation = "assist"    // was asked to help
	RelCopied    Relation = "copied"    // was sent a copy
	RelAssigned  Relation = "assigned"  // is named as handler (mediator)
	RelSender    Relation = "sender"    // sent it where it is
	RelCommittee Relation = "committee" // acts for the mediation committee that keeps the case
	RelOffered   Relation = "offered"   // acts for the organisation that it was offered to
	RelBox       Relation = "box"       // the box itself
)

// Clock is a deadline that starts and stops with steps.
type Clock struct {
	ID      string `yaml:"id" json:"id"`
	Title   Text   `yaml:"title" json:"title"`
	Profile string `yaml:"profile" json:"profile"` // of the catalogue
	// Urgency names the code field whose value picks the row of the profile.
	Urgency string `yaml:"urgency" json:"urgency,omitempty"`
	// Cards says that overdue stages issue yellow and red cards.
	Cards bool `yaml:"cards" json:"cards,omitempty"`
	// Extensions is how often it may be extended; 0 never.
	Extensions int `yaml:"extensions" json:"extensions,omitempty"`
	// Longest is the most that one extension may give, such as 30d.
	Longest string `yaml:"longest" json:"longest,omitempty"`
	// Since names a date or time from which it counts: an agreement counts
	// from its day, not from the day of its entry.
	Since string `yaml:"since" json:"since,omitempty"`
	// Until names a date to whose end it runs where people fixed one.
	Until string `yaml:"until" json:"until,omitempty"`
	// Then is a step that the box takes when the time is over: nobody asked
	// for a review, nobody objected to closing.
	Then string `yaml:"then" json:"then,omitempty"`
	// When must hold for it to start at all.
	When *Condition `yaml:"when" json:"when,omitempty"`
	// ProfileField names a code field that, when set, picks the profile.
	ProfileField string `yaml:"profile_field" json:"profile_field,omitempty"`
}

// Profile holds the deadlines of a county: how long, by urgency. Package
// clock reads the words.
type Profile struct {
	ID     string              `yaml:"id" json:"id"`
	Title  Text                `yaml:"title" json:"title"`
	Source string              `yaml:"source" json:"source"` // of the rule
	Rules  map[string]Deadline `yaml:"rules" json:"rules"`   // by urgency; default serves the rest
}

// Deadline is one row of a profile, such as 5wd, 60%, 100%, +2wd.
type Deadline struct {
	Limit  string `yaml:"limit" json:"limit"`
	Warn   string `yaml:"warn" json:"warn"`
	Yellow string `yaml:"yellow" json:"yellow"`
	Red    string `yaml:"red" json:"red"`
}

// DocumentType is one paper of a dossier.
type DocumentType struct {
	ID     string  `yaml:"id" json:"id"`
	No     int     `yaml:"no" json:"no"`
	Title  Text    `yaml:"title" json:"title"`
	Paper  string  `yaml:"paper" json:"paper,omitempty"` // printable form
	Fields []Field `yaml:"fields" json:"fields,omitempty"`
	Many   bool    `yaml:"many" json:"many,omitempty"`
	Scan   bool    `yaml:"scan" json:"scan,omitempty"` // an attachment may stand for it
}

// Gate is a named list of conditions that a step must pass.
type Gate struct {
	ID    string      `yaml:"id" json:"id"`
	Rules []Condition `yaml:"rules" json:"rules"`
}

// Paper is a printable form.
type Paper struct {
	ID       string   `yaml:"id" json:"id"`
	Title    Text     `yaml:"title" json:"title"`
	Template string   `yaml:"template" json:"template"`
	States   []string `yaml:"states" json:"states,omitempty"`
}

// AlarmRule raises an alarm when a step leaves the record meeting When.
type AlarmRule struct {
	Step   string    `yaml:"step" json:"step"`
	Reason string    `yaml:"reason" json:"reason"` // code of the table alarm_reason
	Level  int64     `yaml:"level" json:"level"`   // 1 highest … 4
	When   Condition `yaml:"when" json:"when"`
}

// SearchMap says which fields feed the index.
type SearchMap struct {
	Type    string   `yaml:"type" json:"type,omitempty"`       // code field for the type facet
	Outcome string   `yaml:"outcome" json:"outcome,omitempty"` // code field
	Names   []string `yaml:"names" json:"names,omitempty"`     // paths, groups as parties/*/name
	Hashes  []string `yaml:"hashes" json:"hashes,omitempty"`   // ID cards and phones, by full value
	Text    []string `yaml:"text" json:"text,omitempty"`
}

// Condition is a test on a record, evaluated after the step's own values
// are set. Exactly one of the tests is used; Message tells a person what is
// missing.
type Condition struct {
	When     *Condition  `yaml:"when" json:"when,omitempty"` // holds trivially where When fails
	Field    string      `yaml:"field" json:"field,omitempty"`
	In       []string    `yaml:"in" json:"in,omitempty"`
	Present  string      `yaml:"present" json:"present,omitempty"`   // path, open or sealed
	Absent   string      `yaml:"absent" json:"absent,omitempty"`     // path, open or sealed
	Items    string      `yaml:"items" json:"items,omitempty"`       // group with at least Count items that pass Pass
	Count    int         `yaml:"count" json:"count,omitempty"`       // for Items and Document; default 1
	AtMost   int         `yaml:"at_most" json:"at_most,omitempty"`   // for Items, in place of Count
	Every    string      `yaml:"every" json:"every,omitempty"`       // group in which every item passes Pass
	Pass     *Condition  `yaml:"pass" json:"pass,omitempty"`         // relative to the item
	Document string      `yaml:"document" json:"document,omitempty"` // filed in the dossier
	State    []string    `yaml:"state" json:"state,omitempty"`
	Rule     string      `yaml:"rule" json:"rule,omitempty"` // numbered frozen predicate, see predicates
	Not      *Condition  `yaml:"not" json:"not,omitempty"`
	All      []Condition `yaml:"all" json:"all,omitempty"`
	Any      []Condition `yaml:"any" json:"any,omitempty"`
	Message  Text        `yaml:"message" json:"message,omitempty"`
}

// Ref is how operations name this version.
func (d *Definition) Ref(hash envelope.Hash) envelope.DefinitionRef {
	return envelope.DefinitionRef{ID: d.ID, Version: d.Version, Hash: hash}
}

// Step finds a step by id.
func (d *Definition) Step(id string) (*Step, bool) {
	for i := range d.Steps {
		if d.Steps[i].ID == id {
			return &d.Steps[i], true
		}
	}
	return nil, false
}

// State finds a state by id.
func (d *Definition) State(id string) (*State, bool) {
	for i := range d.States {
		if d.States[i].ID == id {
			return &d.States[i], true
		}
	}
	return nil, false
}

// Clock finds a clock by id.
func (d *Definition) Clock(id string) (*Clock, bool) {
	for i := range d.Clocks {
		if d.Clocks[i].ID == id {
			return &d.Clocks[i], true
		}
	}
	return nil, false
}

// HasProfile reports whether the kind brings the profile with it.
func (d *Definition) HasProfile(id string) bool {
	return slices.ContainsFunc(d.Profiles, func(p Profile) bool { return p.ID == id })
}

// Document finds a dossier document type by id.
func (d *Definition) Document(id string) (*DocumentType, bool) {
	for i := range d.Documents {
		if d.Documents[i].ID == id {
			return &d.Documents[i], true
		}
	}
	return nil, false
}

// Gate finds a gate by id.
func (d *Definition) Gate(id string) (*Gate, bool) {
	for i := range d.Gates {
		if d.Gates[i].ID == id {
			return &d.Gates[i], true
		}
	}
	return nil, false
}

// Gives reports whether the step is one that gives the number.
func (n *NumberRule) Gives(step string) bool {
	return n != nil && (n.Step == step || slices.Contains(n.Also, step))
}

// Table finds a code table that the kind brings with it.
func (d *Definition) Table(id string) (*Table, bool) {
	for i := range d.Tables {
		if d.Tables[i].ID == id {
			return &d.Tables[i], true
		}
	}
	return nil, false
}

// Code finds a row of the table.
func (t *Table) Code(code string) (*Code, bool) {
	for i := range t.Codes {
		if t.Codes[i].Code == code {
			return &t.Codes[i], true
		}
	}
	return nil, false
}

// Prepare fills what follows from the rest of a definition that was just
// read: the class of every step.
func Prepare(d *Definition) {
	for i := range d.Steps {
		d.Steps[i].Class, _ = ClassOf(d.Steps[i].Effect)
	}
}
