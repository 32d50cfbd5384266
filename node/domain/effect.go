package domain

import "github.com/fengqiao/fengqiao/cluster/envelope"

// Effect is what a step does beyond setting fields and state. Effects are
// frozen: a changed meaning gets a new name and a level.
type Effect string

const (
	Create        Effect = "create"
	Amend         Effect = "amend"
	Note          Effect = "note"
	Attach        Effect = "attach"
	Move          Effect = "move" // state, holder, fields: accept, dispatch, resolve, verify, close …
	FileDocument  Effect = "document"
	VoidDocument  Effect = "void_document"
	AskAssist     Effect = "assist"
	AssistDone    Effect = "assist_done"
	CopyTo        Effect = "copy"
	Receipt       Effect = "receipt"
	Instruct      Effect = "instruct"
	Urge          Effect = "urge"
	LinkTo        Effect = "link"
	AskExtension  Effect = "ask_extension"
	Extend        Effect = "extend"
	AskSuspension Effect = "ask_suspension"
	Suspend       Effect = "suspend"
	Resume        Effect = "resume"
	Refuse        Effect = "refuse" // of what was asked
	IssueCard     Effect = "card"
	LiftCard      Effect = "lift_card"
	Rate          Effect = "rate"
	MergeInto     Effect = "merge_into"    // the child's half
	MergeFrom     Effect = "merge_from"    // the parent's half
	UnmergeFrom   Effect = "unmerge_from"  // the child's half
	UnmergeChild  Effect = "unmerge_child" // the parent's half
	OfferTo       Effect = "offer"
	TakeOver      Effect = "take_over"
	ReturnOffer   Effect = "return_offer"
	WithdrawOffer Effect = "withdraw_offer"
	Recall        Effect = "recall"
	Adopt         Effect = "adopt"
	Restate       Effect = "restate"
	Renumber      Effect = "renumber"
	Erase         Effect = "erase"
)

// appended effects commute with everything; agreed ones need the county.
var effectClass = map[Effect]envelope.Class{
	Note: envelope.ClassB, Attach: envelope.ClassB, CopyTo: envelope.ClassB,
	Receipt: envelope.ClassB, Instruct: envelope.ClassB, Urge: envelope.ClassB,
	LinkTo: envelope.ClassB, AssistDone: envelope.ClassB,
	IssueCard: envelope.ClassB, LiftCard: envelope.ClassB,
	Recall: envelope.ClassC,

	Create: envelope.ClassA, Amend: envelope.ClassA, Move: envelope.ClassA,
	FileDocument: envelope.ClassA, VoidDocument: envelope.ClassA,
	AskAssist: envelope.ClassA, AskExtension: envelope.ClassA, Extend: envelope.ClassA,
	AskSuspension: envelope.ClassA, Suspend: envelope.ClassA, Resume: envelope.ClassA,
	Refuse: envelope.ClassA, Rate: envelope.ClassA,
	MergeInto: envelope.ClassA, MergeFrom: envelope.ClassA,
	UnmergeFrom: envelope.ClassA, UnmergeChild: envelope.ClassA,
	OfferTo: envelope.ClassA, TakeOver: envelope.ClassA, ReturnOffer: envelope.ClassA,
	WithdrawOffer: envelope.ClassA, Adopt: envelope.ClassA, Restate: envelope.ClassA,
	Renumber: envelope.ClassA, Erase: envelope.ClassA,
}

// ClassOf gives the class of an effect; ok is false for an unknown one.
func ClassOf(e Effect) (envelope.Class, bool) {
	c, ok := effectClass[e]
	return c, ok
}

// Reserved inputs. They stand in an operation's open or sealed fields
// beside the kind's own, never in a record's values.
const (
	InNote     = "_note"     // sealed text
	InTo       = "_to"       // organisation
	InTargets  = "_targets"  // organisations or accounts
	InReason   = "_reason"   // code
	InClock    = "_clock"    // clock id
	InLimit    = "_limit"    // as the clock package writes limits
	InColour   = "_colour"   // of a card
	InRound    = "_round"    // of a card
	InOffer    = "_offer"    // operation id text of the open offer
	InRecord   = "_record"   // other record: parent, child, link
	InRelation = "_relation" // of a link
	InFile     = "_file"     // hex hash of the ciphertext
	InSize     = "_size"     // bytes
	InMedia    = "_media"    // media type
	InName     = "_name"     // sealed file name
	InFileKey  = "_filekey"  // hex id of the content key
	InDocument = "_document" // dossier type
	InItem     = "_item"     // number within the type
	InNumber   = "_number"   // for people
	InAlias    = "_alias"    // number that stays valid beside it
	InClocks   = "_clocks"   // what happened to the child's clocks, as formatClock writes it
	InQuote    = "_quote"    // operation id text: adopted or last old one
	InImport   = "_import"   // job that writes it
	InStart    = "_start"    // Unix ms from which clocks count, when no field says it
)
