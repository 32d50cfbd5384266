package domain

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

const maxPerRecord = 500 // files, documents, links, copies each

// effects gives every effect its frozen function. The table is filled in
// init because moving functions refer to the folding that reads it.
var effects map[Effect]func(*folding) *envelope.Verdict

func init() {
	effects = map[Effect]func(*folding) *envelope.Verdict{
		Create: created, Amend: changed, Note: noted, Move: moved, Instruct: noted,
		Attach: attach, FileDocument: fileDocument, VoidDocument: voidDocument,
		AskAssist: askAssist, AssistDone: assistDone, CopyTo: copyTo, Receipt: receipt,
		Urge: urge, LinkTo: link,
		AskExtension: ask, AskSuspension: ask, Refuse: refuse, Extend: extend,
		Suspend: suspend, Resume: resume,
		IssueCard: issueCard, LiftCard: liftCard, Rate: rate,
		MergeInto: mergeInto, MergeFrom: mergeFrom, UnmergeFrom: unmergeFrom, UnmergeChild: unmergeChild,
		OfferTo: offer, TakeOver: takeOver, ReturnOffer: closeOffer, WithdrawOffer: closeOffer,
		Recall: recall, Adopt: adopt, Restate: restate, Renumber: renumber, Erase: erase,
	}
}

// created may name the matter that it follows from.
func created(f *folding) *envelope.Verdict {
	if input(f.op, InRecord) != "" {
		if v := link(f); v != nil {
			return v
		}
	}
	return moved(f)
}

func changed(f *folding) *envelope.Verdict {
	if len(f.entry.Changed) == 0 {
		return verdict(envelope.Invalid, ReasonNothing)
	}
	return nil
}

func noted(f *folding) *envelope.Verdict {
	if len(f.entry.Sealed) == 0 && len(f.entry.Inputs) == 0 {
		return verdict(envelope.Invalid, ReasonNothing)
	}
	return nil
}

// moved checks the addressee; state, holder and clocks follow in finish.
// Closing while an offer is open would close what another may take over.
func moved(f *folding) *envelope.Verdict {
	if f.step.Holder == HolderTo && !f.mayAddress(input(f.op, InTo)) {
		return verdict(envelope.Invalid, ReasonInput)
	}
	if to, ok := f.def.State(f.step.To); ok && to.Closed && f.r.Offer != nil {
		return verdict(envelope.Conflict, ReasonOfferOpen)
	}
	if f.step.Holder == HolderSender {
		f.r.Returns++
	}
	return nil
}

// mayAddress: the centre sends anywhere inside its township, a village or
// station only below itself.
func (f *folding) mayAddress(org string) bool {
	from := worksFor(f.rules, f.op.Actor)
	if from == "" && f.op.Actor.Role != RoleBox {
		from = f.op.Actor.Organisation
	}
	return Within(f.rules, org, f.r.Custodian) && (from == "" || Within(f.rules, org, from))
}

func rate(f *folding) *envelope.Verdict {
	f.r.Rating = f.r.Text(FieldRating)
	if f.r.Rating == "" {
		return verdict(envelope.Invalid, ReasonMissing)
	}
	return nil
}

// restate moves a record to the version that the operation names.
func restate(f *folding) *envelope.Verdict {
	if _, ok := f.def.State(f.r.State); !ok {
		return verdict(envelope.Invalid, ReasonState)
	}
	f.r.Definition = f.op.Definition
	return nil
}

func attach(f *folding) *envelope.Verdict {
	hash, ok := fileHash(f.op)
	key, err := hex.DecodeString(input(f.op, InFileKey))
	size := inputInt(f.op, InSize)
	if !ok || err != nil || len(key) != len(envelope.KeyID{}) || size <= 0 || input(f.op, InMedia) == "" {
		return verdict(envelope.Invalid, ReasonInput)
	}
	if len(f.r.Files) >= maxPerRecord {
		return verdict(envelope.Invalid, ReasonTooMany)
	}
	file := File{Hash: hash, Size: size, Media: input(f.op, InMedia), Document: input(f.op, InDocument),
		Op: f.op.ID(), Key: envelope.KeyID(key)}
	at, _ := slices.BinarySearchFunc(f.r.Files, file, func(a, b File) int {
		return cmp.Or(slices.Compare(a.Hash[:], b.Hash[:]), a.Op.Compare(b.Op))
	})
	f.r.Files = slices.Insert(f.r.Files, at, file)
	return nil
}

func fileDocument(f *folding) *envelope.Verdict {
	docType := f.documentType()
	doc, ok := f.def.Document(docType)
	if !ok {
		return verdict(envelope.Invalid, ReasonInput)
	}
	n := inputInt(f.op, InItem)
	standing := f.r.Filed(docType)
	if standing > 0 && !doc.Many && !f.standsAt(docType, n) || len(f.r.Documents) >= maxPerRecord || n < 0 {
		return verdict(envelope.Invalid, ReasonTooMany)
	}
	if f.standsAt(docType, n) {
		return nil // filed again: its values are replaced, the old stay in the timeline
	}
	f.r.Documents = append(f.r.Documents, Document{Type: docType, N: n, Op: f.op.ID()})
	return nil
}

func (f *folding) standsAt(docType string, n int64) bool {
	return slices.ContainsFunc(f.r.Documents, func(d Document) bool { return d.Type == docType && d.N == n && !d.Void })
}

func voidDocument(f *folding) *envelope.Verdict {
	for i, d := range f.r.Documents {
		if d.Type == input(f.op, InDocument) && d.N == inputInt(f.op, InItem) && !d.Void {
			f.r.Documents[i].Void = true
			return nil
		}
	}
	return verdict(envelope.Invalid, ReasonInput)
}

func askAssist(f *folding) *envelope.Verdict {
	for _, org := range inputList(f.op, InTargets) {
		if !Within(f.rules, org, f.r.Custodian) {
			return verdict(envelope.Invalid, ReasonInput)
		}
		open := func(a Assist) bool { return a.Organisation == org && !a.Done }
		if !slices.ContainsFunc(f.r.Assists, open) {
			f.r.Assists = append(f.r.Assists, Assist{Organisation: org, Op: f.op.ID()})
			f.entry.Target = org
		}
	}
	if f.entry.Target == "" {
		return verdict(envelope.Invalid, ReasonNothing)
	}
	return nil
}

func assistDone(f *folding) *envelope.Verdict {
	for i, a := range f.r.Assists {
		if a.Organisation == f.op.Actor.Organisation {
			f.r.Assists[i].Done = true
		}
	}
	return nil
}

func copyTo(f *folding) *envelope.Verdict {
	targets := inputList(f.op, InTargets)
	if len(targets) == 0 || len(f.r.Copies)+len(targets) > maxPerRecord {
		return verdict(envelope.Invalid, ReasonInput)
	}
	for _, target := range targets {
		at, found := slices.BinarySearchFunc(f.r.Copies, target, func(c Copy, t string) int { return cmp.Compare(c.Target, t) })
		if found {
			f.r.Copies[at].Op = earlier(f.r.Copies[at].Op, f.op.ID())
			continue
		}
		f.r.Copies = slices.Insert(f.r.Copies, at, f.newCopy(target))
	}
	return nil
}

func earlier(a, b envelope.OpID) envelope.OpID {
	if a.Compare(b) < 0 {
		return a
	}
	return b
}

// receipt marks every copy that reaches the reader as read by them.
func receipt(f *folding) *envelope.Verdict {
	for i := range f.r.Copies {
		f.markRead(&f.r.Copies[i], f.op.Actor)
	}
	return nil
}

func (f *folding) markRead(c *Copy, reader envelope.Actor) {
	if c.Target != reader.User.String() && !Within(f.rules, reader.Organisation, c.Target) {
		return
	}
	at, found := slices.BinarySearchFunc(c.ReadBy, reader.User, func(a, b envelope.RecordID) int { return slices.Compare(a[:], b[:]) })
	if !found {
		c.ReadBy = slices.Insert(c.ReadBy, at, reader.User)
	}
}

// newCopy counts receipts given before it, so that the order in which
// copies and receipts arrive does not matter.
func (f *folding) newCopy(target string) Copy {
	c := Copy{Target: target, Op: f.op.ID()}
	for _, e := range f.r.Appended {
		if e.Effect == Receipt {
			f.markRead(&c, e.Actor)
		}
	}
	return c
}

func urge(f *folding) *envelope.Verdict {
	f.r.Urged++
	return nil
}

func link(f *folding) *envelope.Verdict {
	other, ok := otherRecord(f.op)
	if !ok || input(f.op, InRelation) == "" {
		return verdict(envelope.Invalid, ReasonInput)
	}
	l := Link{Record: other, Relation: input(f.op, InRelation), Op: f.op.ID()}
	at, found := slices.BinarySearchFunc(f.r.Links, l, func(a, b Link) int {
		return cmp.Or(slices.Compare(a.Record[:], b.Record[:]), cmp.Compare(a.Relation, b.Relation))
	})
	if found {
		f.r.Links[at].Op = earlier(f.r.Links[at].Op, l.Op)
		return nil
	}
	f.r.Links = slices.Insert(f.r.Links, at, l)
	return nil
}

func ask(f *folding) *envelope.Verdict {
	clock := input(f.op, InClock)
	if f.step.Effect == AskExtension {
		def, ok := f.def.Clock(clock)
		if !ok || !f.r.ClockRunning(clock) || !isLimit(input(f.op, InLimit)) {
			return verdict(envelope.Invalid, ReasonInput)
		}
		switch {
		case f.r.Extended(clock) >= def.Extensions:
			return verdict(envelope.Invalid, ReasonTooMany)
		case !def.admits(input(f.op, InLimit)):
			return verdict(envelope.Invalid, ReasonTooLong)
		}
	}
	if slices.ContainsFunc(f.r.Asked, func(a Asked) bool { return a.Kind == f.step.Effect && a.Clock == clock }) {
		return verdict(envelope.Invalid, ReasonTooMany)
	}
	f.r.Asked = append(f.r.Asked, Asked{Op: f.op.ID(), Kind: f.step.Effect, Clock: clock, Limit: input(f.op, InLimit)})
	return nil
}

// admits: where the kind bounds an extension, it is asked for in the same
// unit and within the bound.
func (c *Clock) admits(limit string) bool {
	if c.Longest == "" {
		return true
	}
	most, unit := cutLimit(c.Longest)
	n, asked := cutLimit(limit)
	return asked == unit && n > 0 && n <= most
}

// isLimit: what is not one would leave the clock without an end.
func isLimit(s string) bool {
	n, unit := cutLimit(s)
	return n > 0 && n <= 100_000 && slices.Contains([]string{"m", "h", "wh", "wd", "d", "mo"}, unit)
}

// cutLimit parts 30d into 30 and d.
func cutLimit(s string) (int64, string) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz")
	n, _ := strconv.ParseInt(digits, 10, 64) // 0 is no limit either
	return n, s[len(digits):]
}

// Extended counts the extensions granted since the clock's last start.
func (r *Record) Extended(clock string) int {
	n := 0
	for _, e := range r.Clocks {
		switch {
		case e.Clock != clock || !e.Child.IsZero():
		case e.Kind == ClockStart:
			n = 0
		case e.Kind == ClockExtend:
			n++
		}
	}
	return n
}

func (f *folding) takeAsked(kind Effect) (Asked, bool) {
	for i, a := range f.r.Asked {
		if a.Kind == kind && (kind == AskSuspension || a.Clock == input(f.op, InClock)) {
			f.r.Asked = slices.Delete(f.r.Asked, i, i+1)
			return a, true
		}
	}
	return Asked{}, false
}

// ownRequest: approval is by another than the one who asked.
func (f *folding) ownRequest(a Asked) bool {
	return slices.ContainsFunc(f.r.Steps, func(e Entry) bool {
		return e.Op == a.Op && e.Actor.User == f.op.Actor.User && !e.Actor.User.IsZero()
	})
}

func refuse(f *folding) *envelope.Verdict {
	if len(f.r.Asked) == 0 {
		return verdict(envelope.Invalid, ReasonNothing)
	}
	f.r.Asked = nil
	return nil
}

// extend grants what was asked; the one who decides may grant another
// limit.
func extend(f *folding) *envelope.Verdict {
	asked, ok := f.takeAsked(AskExtension)
	if !ok {
		return verdict(envelope.Invalid, ReasonNothing)
	}
	if f.ownRequest(asked) {
		return verdict(envelope.Unauthorised, ReasonOwnRequest)
	}
	limit := cmp.Or(input(f.op, InLimit), asked.Limit)
	if !isLimit(limit) {
		return verdict(envelope.Invalid, ReasonInput)
	}
	if def, ok := f.def.Clock(asked.Clock); !ok || !def.admits(limit) {
		return verdict(envelope.Invalid, ReasonTooLong)
	}
	f.r.Clocks = append(f.r.Clocks, ClockEvent{Clock: asked.Clock, Kind: ClockExtend, At: f.op.At, Limit: limit})
	return nil
}

func suspend(f *folding) *envelope.Verdict {
	if f.r.Suspended {
		return verdict(envelope.Invalid, ReasonNothing)
	}
	if asked, ok := f.takeAsked(AskSuspension); ok && f.ownRequest(asked) {
		return verdict(envelope.Unauthorised, ReasonOwnRequest)
	}
	f.r.Suspended = true
	f.r.Resumes = f.r.State
	f.pauseClocks(ClockPause)
	return nil
}

func resume(f *folding) *envelope.Verdict {
	if !f.r.Suspended {
		return verdict(envelope.Invalid, ReasonNothing)
	}
	f.r.Suspended = false
	if f.step.To == "" {
		f.r.State = f.r.Resumes
	}
	f.r.Resumes = ""
	f.pauseClocks(ClockResume)
	return nil
}

func (f *folding) pauseClocks(kind ClockKind) {
	for _, id := range f.r.RunningClocks(f.def) {
		f.r.Clocks = append(f.r.Clocks, ClockEvent{Clock: id, Kind: kind, At: f.op.At})
	}
}

// issueCard adds to a set, so that a second card of the same clock, round
// and colour changes nothing but to leave the earlier of the two.
func issueCard(f *folding) *envelope.Verdict {
	card := Card{Clock: input(f.op, InClock), Round: inputInt(f.op, InRound), Colour: input(f.op, InColour),
		Issued: f.op.ID(), Against: f.r.Holder, By: f.op.Actor.User}
	if cardRank(card.Colour) < 1 {
		return verdict(envelope.Invalid, ReasonInput)
	}
	at, found := slices.BinarySearchFunc(f.r.Cards, card, compareCards)
	if found {
		if card.Issued.Compare(f.r.Cards[at].Issued) < 0 {
			card.Lifted = f.r.Cards[at].Lifted
			f.r.Cards[at] = card
		}
		return nil
	}
	f.r.Cards = slices.Insert(f.r.Cards, at, card)
	return nil
}

func compareCards(a, b Card) int {
	return cmp.Or(cmp.Compare(a.Clock, b.Clock), cmp.Compare(a.Round, b.Round), cmp.Compare(cardRank(a.Colour), cardRank(b.Colour)))
}

func liftCard(f *folding) *envelope.Verdict {
	want := Card{Clock: input(f.op, InClock), Round: inputInt(f.op, InRound), Colour: input(f.op, InColour)}
	at, found := slices.BinarySearchFunc(f.r.Cards, want, compareCards)
	if !found {
		return verdict(envelope.Invalid, ReasonNothing)
	}
	f.r.Cards[at].Lifted = true
	return nil
}

func mergeInto(f *folding) *envelope.Verdict {
	parent, ok := otherRecord(f.op)
	switch {
	case f.r.Offer != nil:
		return verdict(envelope.Conflict, ReasonOfferOpen)
	case !ok || f.r.Suspended || len(f.r.Children) > 0:
		return verdict(envelope.Invalid, ReasonInput)
	}
	f.r.Parent = parent
	f.r.Resumes = f.r.State
	return nil
}

// mergeFrom is the parent's half: the operation copies what happened to the
// child's running clocks, since a fold never reads another record.
func mergeFrom(f *folding) *envelope.Verdict {
	child, ok := otherRecord(f.op)
	if !ok || f.r.Suspended || slices.Contains(f.r.Children, child) || len(f.r.Children) >= maxPerRecord {
		return verdict(envelope.Invalid, ReasonInput)
	}
	f.r.Children = append(f.r.Children, child)
	for _, line := range inputList(f.op, InClocks) {
		event, ok := parseClock(line)
		if !ok {
			return verdict(envelope.Invalid, ReasonInput)
		}
		event.Child = child
		f.r.Clocks = append(f.r.Clocks, event)
	}
	return nil
}

// BroughtClocks writes what happened to the running clocks of a child since
// their last start, for the parent's half of a merge.
func (r *Record) BroughtClocks(def *Definition) []string {
	lines := []string{}
	for _, id := range r.RunningClocks(def) {
		first := 0
		for i, e := range r.Clocks {
			if e.Clock == id && (e.Kind == ClockStart || e.Kind == ClockAdopt) {
				first = i
			}
		}
		for _, e := range r.Clocks[first:] {
			if e.Clock == id {
				lines = append(lines, formatClock(e))
			}
		}
	}
	return lines
}

func formatClock(e ClockEvent) string {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	return strings.Join([]string{e.Clock, n(int64(e.Kind)), n(e.At), n(e.Since), n(e.Until), e.Profile, e.Urgency, e.Limit}, "|")
}

// parseClock reads what formatClock wrote; the child's start is an
// adoption here, and it brings no end, since what has ended is not brought.
func parseClock(line string) (ClockEvent, bool) {
	parts := strings.Split(line, "|")
	if len(parts) != 8 {
		return ClockEvent{}, false
	}
	var numbers [4]int64
	for i := range numbers {
		n, err := strconv.ParseInt(parts[1+i], 10, 64)
		if err != nil {
			return ClockEvent{}, false
		}
		numbers[i] = n
	}
	e := ClockEvent{Clock: parts[0], Kind: ClockKind(numbers[0]), At: numbers[1], Since: numbers[2], Until: numbers[3],
		Profile: parts[5], Urgency: parts[6], Limit: parts[7]}
	if e.Kind == ClockStart {
		e.Kind = ClockAdopt
	}
	return e, e.Kind > ClockStop && e.Kind <= ClockAdopt
}

func unmergeFrom(f *folding) *envelope.Verdict {
	if !f.r.Merged() {
		return verdict(envelope.Invalid, ReasonNothing)
	}
	f.r.Parent = envelope.RecordID{}
	if f.step.To == "" {
		f.r.State = f.r.Resumes
	}
	f.r.Resumes = ""
	return nil
}

func unmergeChild(f *folding) *envelope.Verdict {
	child, ok := otherRecord(f.op)
	at := slices.Index(f.r.Children, child)
	if !ok || at < 0 {
		return verdict(envelope.Invalid, ReasonNothing)
	}
	f.r.Children = slices.Delete(f.r.Children, at, at+1)
	f.r.Clocks = slices.DeleteFunc(f.r.Clocks, func(e ClockEvent) bool { return e.Child == child })
	return nil
}

func offer(f *folding) *envelope.Verdict {
	to := input(f.op, InTo)
	node, ok := f.rules.Organisation(to)
	switch {
	case f.r.Offer != nil:
		return verdict(envelope.Conflict, ReasonOfferOpen)
	case !ok || to == f.r.Custodian || node.Level != LevelTownship && node.Level != LevelCounty:
		return verdict(envelope.Invalid, ReasonInput)
	}
	f.r.Offer = &Offer{Op: f.op.ID(), To: to}
	f.entry.Target = to
	return nil
}

func (f *folding) namesOffer() bool {
	return f.r.Offer != nil && input(f.op, InOffer) == OpText(f.r.Offer.Op)
}

// OpText is the form in which operations quote another operation.
func OpText(id envelope.OpID) string {
	return hex.EncodeToString(id.Origin[:]) + "." + strconv.FormatUint(uint64(id.Incarnation), 10) + "." + strconv.FormatUint(id.Seq, 10)
}

func takeOver(f *folding) *envelope.Verdict {
	if !f.namesOffer() {
		return verdict(envelope.Conflict, ReasonNoOffer)
	}
	if !f.actsForAddressee() {
		return verdict(envelope.Unauthorised, ReasonPermission)
	}
	f.changeCustodian(f.r.Offer.To)
	return nil
}

// actsForAddressee keeps a sender from accepting its own offer.
func (f *folding) actsForAddressee() bool {
	return CustodianOf(f.rules, f.op.Actor.Organisation) == f.r.Offer.To
}

func (f *folding) changeCustodian(to string) {
	f.r.Custodian = to
	f.r.Holder = to
	f.r.Epoch++
	f.r.Term = f.op.SeatTerm
	f.r.Offer = nil
	f.entry.Target = to
}

func closeOffer(f *folding) *envelope.Verdict {
	if !f.namesOffer() {
		return verdict(envelope.Conflict, ReasonNoOffer)
	}
	if f.step.Effect == ReturnOffer {
		if !f.actsForAddressee() {
			return verdict(envelope.Unauthorised, ReasonPermission)
		}
		f.r.Returns++
	}
	f.r.Offer = nil
	return nil
}

func recall(f *folding) *envelope.Verdict {
	to := input(f.op, InTo)
	if _, ok := f.rules.Organisation(to); !ok || to == f.r.Custodian {
		return verdict(envelope.Invalid, ReasonInput)
	}
	f.changeCustodian(to)
	return nil
}

func adopt(f *folding) *envelope.Verdict {
	quote := input(f.op, InQuote)
	at := slices.IndexFunc(f.r.Late, func(id envelope.OpID) bool { return OpText(id) == quote })
	if at < 0 {
		return verdict(envelope.Invalid, ReasonNothing)
	}
	f.r.Late = slices.Delete(f.r.Late, at, at+1)
	return nil
}

func renumber(f *folding) *envelope.Verdict {
	if input(f.op, InNumber) == "" {
		return verdict(envelope.Invalid, ReasonInput)
	}
	return nil
}

// erase drops every sealed value, also from the timeline. The bytes in
// journal and history become unreadable when their key frames are zeroed.
func erase(f *folding) *envelope.Verdict {
	f.r.Sealed = nil
	for i := range f.r.Steps {
		f.r.Steps[i].Sealed, f.r.Steps[i].WasSealed = nil, nil
	}
	for i := range f.r.Appended {
		f.r.Appended[i].Sealed, f.r.Appended[i].WasSealed = nil, nil
	}
	f.entry.WasSealed = nil
	f.r.Erased = true
	return nil
}

// ParseOpText reads what OpText wrote.
func ParseOpText(s string) (envelope.OpID, bool) {
	var id envelope.OpID
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return id, false
	}
	origin, err1 := hex.DecodeString(parts[0])
	inc, err2 := strconv.ParseUint(parts[1], 10, 32)
	seq, err3 := strconv.ParseUint(parts[2], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || len(origin) != len(id.Origin) {
		return id, false
	}
	id.Origin, id.Incarnation, id.Seq = envelope.Hash(origin), uint32(inc), seq
	return id, true
}
