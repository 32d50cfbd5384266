package service

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
)

// viewer turns records into what one person may see, in their language.
type viewer struct {
	box  *Box
	p    *policy
	c    Caller
	lang string
	now  int64
}

func (b *Box) viewer(c Caller) *viewer {
	now, _ := b.clock.Now()
	return &viewer{box: b, p: b.policy.Load(), c: c, lang: c.Lang, now: now}
}

func (v *viewer) label(table, code string) string {
	if code == "" {
		return ""
	}
	return v.box.embedded.Label(table, code).In(v.lang)
}

// kindTitle names a kind in force; a code that is none stays itself.
func (v *viewer) kindTitle(kind string) string {
	if def, _, ok := v.p.kind(kind); ok {
		return def.Title.In(v.lang)
	}
	return kind
}

// row builds one line of a list.
func (v *viewer) row(f Found) (api.RecordRow, error) {
	r, def := f.Record, f.Def
	row := api.RecordRow{
		ID: r.ID.String(), Kind: def.ID, KindTitle: def.Title.In(v.lang), Number: r.Number, Heading: v.heading(def, r),
		State: r.State, Holder: r.Holder, HolderName: v.p.name(r.Holder), Village: r.Text(domain.FieldVillage),
		Urgency: r.Text("urgency"), CreatedAt: r.CreatedAt, ChangedAt: r.ChangedAt, Card: r.HighestCard(),
		Urged: r.Urged, Returns: r.Returns, Mine: v.mine(r), Unread: v.unread(r), Badge: badge(r),
	}
	if s, ok := def.State(r.State); ok {
		row.StateTitle, row.Tone = s.Title.In(v.lang), s.Tone
	}
	if def.Search.Type != "" {
		row.Type = r.Text(def.Search.Type)
		row.TypeText = v.fieldLabel(def, def.Search.Type, row.Type)
	}
	if f.Sight >= domain.SightText {
		title, err := v.plain(def, r, "title")
		if err != nil {
			return row, err
		}
		row.Title = title
		if f.Sight < domain.SightTeam {
			row.Title = domain.MaskText(title)
		}
	}
	clocks, err := v.clocks(def, r)
	if err != nil {
		return row, err
	}
	row.Clock = nearest(clocks)
	return row, nil
}

// nearest is the running clock that ends first.
func nearest(clocks []api.Clock) *api.Clock {
	var best *api.Clock
	for i := range clocks {
		c := &clocks[i]
		if c.State == "stopped" {
			continue
		}
		if best == nil || c.DueAt < best.DueAt {
			best = c
		}
	}
	return best
}

// heading names a record by its codes, for those who may not see its text.
func (v *viewer) heading(def *domain.Definition, r *domain.Record) string {
	var parts []string
	for _, key := range def.Heading {
		if text := v.fieldText(def, key, r.Open[key]); text != "" {
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return def.Title.In(v.lang)
	}
	return strings.Join(parts, " · ")
}

func (v *viewer) fieldLabel(def *domain.Definition, key, code string) string {
	return v.fieldText(def, key, code)
}

// fieldText says an open value in words.
func (v *viewer) fieldText(def *domain.Definition, path string, value any) string {
	f, ok := def.FieldAt(path)
	if !ok || value == nil {
		return ""
	}
	return v.valueText(def, f, value)
}

// codeText says a code in words; a kind's own table stands before the
// catalogue's.
func (v *viewer) codeText(def *domain.Definition, table, code string) string {
	if own, ok := def.Table(table); ok {
		if row, ok := own.Code(code); ok {
			return domain.Text{ZH: row.ZH, EN: row.EN}.In(v.lang)
		}
	}
	return v.label(table, code)
}

func (v *viewer) valueText(def *domain.Definition, f *domain.Field, value any) string {
	switch f.Type {
	case domain.TypeCode:
		return v.codeText(def, f.Table, fmt.Sprint(value))
	case domain.TypeCodes, domain.TypeOrgs:
		list, _ := value.([]string)
		words := make([]string, len(list))
		for i, code := range list {
			words[i] = v.valueText(def, &domain.Field{Type: single(f), Table: f.Table}, code)
		}
		return strings.Join(words, "、")
	case domain.TypeOrg:
		return v.p.name(fmt.Sprint(value))
	case domain.TypeAccount:
		return v.accountName(fmt.Sprint(value))
	case domain.TypeBool:
		if value == true {
			return v.say("是", "Yes")
		}
		return v.say("否", "No")
	case domain.TypeMoney:
		n, _ := value.(int64)
		return fmt.Sprintf("%d.%02d", n/100, n%100)
	}
	switch value := value.(type) {
	case string:
		return value
	case int64:
		return strconv.FormatInt(value, 10)
	case []string:
		return strings.Join(value, "、")
	}
	return ""
}

// single is the type of one item of a list.
func single(f *domain.Field) domain.FieldType {
	switch {
	case f.Type == domain.TypeOrgs:
		return domain.TypeOrg
	case f.Table == "accounts":
		return domain.TypeAccount
	}
	return domain.TypeCode
}

func (v *viewer) say(zh, en string) string { return domain.Text{ZH: zh, EN: en}.In(v.lang) }

// accountName gives a colleague's name: staff act in office, their names
// are not masked to staff.
func (v *viewer) accountName(id string) string {
	rid, err := envelope.ParseRecordID(id)
	if err != nil {
		return id
	}
	return v.box.nameOf(rid)
}

// nameOf opens the name of an account; the box itself has a name too.
func (b *Box) nameOf(id envelope.RecordID) string {
	if id.IsZero() {
		return "本机"
	}
	if name, ok := b.names.Load(id); ok {
		return name.(string)
	}
	r, err := b.record(id)
	if err != nil {
		return "—"
	}
	f, ok := r.SealedAt("name", seal.Full)
	if !ok {
		return r.Text("username")
	}
	name, err := b.open(r, f)
	if err != nil {
		return r.Text("username")
	}
	b.names.Store(id, name)
	return name
}

func (v *viewer) mine(r *domain.Record) bool {
	if slices.Contains(r.List(domain.FieldAssigned), v.c.User.String()) {
		return true
	}
	return slices.Contains(ownOrganisations(v.c), r.Holder)
}

func (v *viewer) unread(r *domain.Record) bool {
	for _, c := range r.Copies {
		to := c.Target == v.c.User.String() || slices.ContainsFunc(ownOrganisations(v.c), func(o string) bool { return domain.Within(v.p, o, c.Target) })
		if to && !slices.Contains(c.ReadBy, v.c.User) {
			return true
		}
	}
	return false
}

// badge says how far a record has got on its way to others. Alone, what is
// saved here is all there is.
func badge(r *domain.Record) string {
	switch {
	case len(r.Late) > 0:
		return "needs_decision"
	case r.Offer != nil:
		return "offered"
	}
	return "saved"
}

// plain opens a sealed value, "" when it is absent or erased.
func (v *viewer) plain(def *domain.Definition, r *domain.Record, path string) (string, error) {
	f, ok := r.SealedAt(path, seal.Full)
	if !ok {
		return "", nil
	}
	return v.openOrErased(r, f)
}

func (v *viewer) openOrErased(r *domain.Record, f envelope.SealedField) (string, error) {
	value, err := v.box.open(r, f)
	if errors.Is(err, ErrErased) {
		return v.say("(已销毁)", "(erased)"), nil
	}
	return value, err
}

// fields gives every value of a record under the viewer's sight.
func (v *viewer) fields(f Found) (map[string]api.Value, error) {
	out := map[string]api.Value{}
	r, def := f.Record, f.Def
	for path, value := range r.Open {
		if field, ok := def.FieldAt(path); ok {
			out[path] = api.Value{V: value, Text: v.valueText(def, field, value)}
		}
	}
	for _, s := range r.Sealed {
		if s.Part != seal.Full {
			continue
		}
		field, ok := def.FieldAt(s.Path)
		if !ok {
			continue
		}
		value, err := v.sealed(f, field, s, r)
		if err != nil {
			return nil, err
		}
		if value != nil {
			out[s.Path] = *value
		}
	}
	return out, nil
}

// sealed decides on one sealed value: hidden, masked or in full. Full
// values of persons are read one by one, with a reason (Reveal).
func (v *viewer) sealed(f Found, field *domain.Field, s envelope.SealedField, r *domain.Record) (*api.Value, error) {
	switch {
	case field.Sensitivity == domain.SenseSecret:
		return nil, nil
	case field.Type == domain.TypePoint && f.Sight < domain.SightTeam:
		return nil, nil // the open form, snapped to 100 m, is theirs
	case f.Sight < domain.SightText && field.Sensitivity != domain.SenseIdentity, field.Mask == "" && f.Sight < domain.SightText:
		return &api.Value{Hidden: true}, nil
	}
	if field.Mask != "" {
		masked, err := v.maskedValue(f.Def, field, s, r)
		if err != nil {
			return nil, err
		}
		return &api.Value{V: masked, Masked: true, Revealable: f.Sight >= domain.SightTeam}, nil
	}
	text, err := v.openOrErased(f.Record, s)
	if err != nil {
		return nil, err
	}
	if f.Sight < domain.SightTeam {
		text = domain.MaskText(text)
	}
	return &api.Value{V: text}, nil
}

// maskedValue prefers the sealed masked form; older values are masked now.
func (v *viewer) maskedValue(def *domain.Definition, field *domain.Field, s envelope.SealedField, r *domain.Record) (string, error) {
	if m, ok := r.SealedAt(s.Path, seal.Masked); ok {
		return v.openOrErased(r, m)
	}
	full, err := v.openOrErased(r, s)
	return domain.MaskValue(field.Mask, full), err
}

// Record gives one record as the caller may see it.
func (b *Box) View(c Caller, id envelope.RecordID) (api.Record, error) {
	v := b.viewer(c)
	r, def, err := b.visible(v.p, c.Subject, id)
	if err != nil {
		return api.Record{}, err
	}
	return v.record(Found{Record: r, Def: def, Sight: domain.SightOf(v.p, c.Subject, def, r)})
}

func (v *viewer) record(f Found) (out api.Record, err error) {
	r, def := f.Record, f.Def
	if out.RecordRow, err = v.row(f); err != nil {
		return out, err
	}
	out.DefinitionVersion = r.Definition.Version
	out.Custodian, out.CustodianName = r.Custodian, v.p.name(r.Custodian)
	out.Reporter, out.ReporterName = r.Reporter, v.p.name(r.Reporter)
	out.Sight = [...]string{"", "summary", "text", "team"}[f.Sight]
	out.Version = version(r)
	out.Suspended, out.Aliases = r.Suspended, r.Aliases
	if out.Fields, err = v.fields(f); err != nil {
		return out, err
	}
	if out.Clocks, err = v.clocks(def, r); err != nil {
		return out, err
	}
	if out.Timeline, err = v.timeline(f, allEntries(r)); err != nil {
		return out, err
	}
	out.Actions = v.actions(def, r)
	out.Files = v.files(f)
	v.relatives(f, &out)
	v.dossier(f, &out)
	if r.Merged() && v.sees(r.Parent.String()) {
		out.Parent = r.Parent.String()
	}
	if r.Offer != nil {
		out.OfferedTo = v.p.name(r.Offer.To)
	}
	out.Presence = v.box.others(r.ID, v.c.User)
	out.Erasure, err = v.box.erasure(r)
	return out, err
}

// allEntries merges both parts of the timeline by time, steps first.
func allEntries(r *domain.Record) []domain.Entry {
	all := append(slices.Clone(r.Steps), r.Appended...)
	slices.SortStableFunc(all, func(a, b domain.Entry) int {
		switch {
		case a.At < b.At:
			return -1
		case a.At > b.At:
			return 1
		}
		return a.Op.Compare(b.Op)
	})
	return all
}

func (v *viewer) timeline(f Found, entries []domain.Entry) ([]api.TimelineEntry, error) {
	out := make([]api.TimelineEntry, 0, len(entries))
	for _, e := range entries {
		t, err := v.entry(f, e)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (v *viewer) entry(f Found, e domain.Entry) (api.TimelineEntry, error) {
	t := api.TimelineEntry{Op: domain.OpText(e.Op), Step: e.Step, Title: e.Step, Effect: string(e.Effect), At: e.At, TimeQuality: int(e.Time),
		Actor: api.Actor{ID: e.Actor.User.String(), Name: v.actorName(e.Actor), RoleTitle: v.label("role", e.Actor.Role), OrganisationName: v.p.name(e.Actor.Organisation)},
		From:  v.stateTitle(f.Def, e.From), To: v.stateTitle(f.Def, e.To), AfterClose: e.After}
	if e.Target != "" {
		t.TargetName = v.p.name(e.Target)
	}
	step, ok := f.Def.Step(e.Step)
	if ok {
		t.Title = step.Title.In(v.lang)
	}
	t.Inputs = v.inputs(f.Def, step, e)
	for _, s := range e.Sealed {
		if s.Part != seal.Full || s.Path != domain.InNote {
			continue
		}
		if f.Sight < domain.SightText {
			t.Note = &api.Value{Hidden: true}
			continue
		}
		text, err := v.openOrErased(f.Record, s)
		if err != nil {
			return t, err
		}
		if f.Sight < domain.SightTeam {
			text = domain.MaskText(text)
		}
		t.Note = &api.Value{V: text}
	}
	var err error
	t.Changed, err = v.changed(f, e)
	return t, err
}

func (v *viewer) actorName(a envelope.Actor) string {
	switch a.Role {
	case domain.RoleBox:
		return v.say("本机", "This box")
	case domain.RoleTechnician:
		return v.say("现场技术员", "Technician")
	}
	return v.box.nameOf(a.User)
}

func (v *viewer) stateTitle(def *domain.Definition, id string) string {
	if s, ok := def.State(id); ok {
		return s.Title.In(v.lang)
	}
	return ""
}

// inputs says what a step was given beside its note, in words.
func (v *viewer) inputs(def *domain.Definition, step *domain.Step, e domain.Entry) map[string]api.Value {
	if len(e.Inputs) == 0 {
		return nil
	}
	out := map[string]api.Value{}
	for name, value := range e.Inputs {
		text := fmt.Sprint(value)
		if "_"+name == domain.InRecord && !v.sees(text) {
			continue
		}
		if field := inputField(step, name); field != nil {
			text = v.inputText(def, field, value)
		}
		switch list := value.(type) {
		case []string:
			out[name] = api.Value{V: list, Text: v.targets(list)}
		default:
			out[name] = api.Value{V: value, Text: text}
		}
	}
	return out
}

// inputText says what was given; a yes or no says nothing without its label.
func (v *viewer) inputText(def *domain.Definition, f *domain.Field, value any) string {
	text := v.valueText(def, f, value)
	if f.Type == domain.TypeBool {
		return f.Title.In(v.lang) + v.say("：", ": ") + text
	}
	return text
}

func inputField(step *domain.Step, name string) *domain.Field {
	if step != nil {
		for i := range step.Inputs {
			if step.Inputs[i].Key == name {
				return &step.Inputs[i]
			}
		}
	}
	if f, ok := reservedInputs["_"+name]; ok && f.Type == domain.TypeOrg {
		return &f
	}
	return nil
}

// targets names organisations and people.
func (v *viewer) targets(list []string) string {
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = v.targetName(t)
	}
	return strings.Join(names, "、")
}

func (v *viewer) targetName(t string) string {
	if _, ok := v.p.organisations[t]; ok {
		return v.p.name(t)
	}
	return v.accountName(t)
}

// changed lists what a step set. Values of persons stay masked in history.
func (v *viewer) changed(f Found, e domain.Entry) ([]api.FieldChange, error) {
	if e.Effect == domain.Create {
		return nil, nil // the record itself shows them
	}
	var out []api.FieldChange
	for _, path := range e.Changed {
		field, ok := f.Def.FieldAt(path)
		if !ok || field.Sensitivity == domain.SenseSecret {
			continue
		}
		change := api.FieldChange{Path: path, Title: field.Title.In(v.lang)}
		if was, ok := e.Was[path]; ok {
			change.Before = &api.Value{V: was, Text: v.valueText(f.Def, field, was)}
		}
		for _, s := range e.WasSealed {
			if s.Path != path || s.Part != seal.Full {
				continue
			}
			before, err := v.sealed(f, field, s, &domain.Record{})
			if err != nil {
				return nil, err
			}
			change.Before = before
		}
		out = append(out, change)
	}
	return out, nil
}

// actions lists the steps that the viewer's roles have on the record. A
// step that the state or a condition forbids is shown with the reason.
func (v *viewer) actions(def *domain.Definition, r *domain.Record) []api.Action {
	out := make([]api.Action, 0, len(def.Steps)/2)
	for i := range def.Steps {
		step := &def.Steps[i]
		if step.Effect == domain.Create || hiddenEffect(step.Effect) || !domain.StepFits(def, step, r) || !mayTake(v.p, v.c, def, step, r) {
			continue
		}
		a := api.Action{Step: step.ID, Title: step.Title.In(v.lang), Effect: string(step.Effect), Allowed: true,
			Note: step.Note, Document: step.Document, Holder: string(step.Holder)}
		for _, f := range step.Fields {
			a.Fields = append(a.Fields, api.ActionField{Key: f.Key, Required: f.Required, Value: f.Value})
		}
		for j := range step.Inputs {
			a.Inputs = append(a.Inputs, step.Inputs[j])
		}
		v.blocked(def, step, r, &a)
		out = append(out, a)
	}
	return out
}

// hiddenEffect: what has its own place in the UI or needs a county.
func hiddenEffect(e domain.Effect) bool {
	switch e {
	case domain.Attach, domain.MergeFrom, domain.UnmergeChild, domain.Restate, domain.Renumber, domain.Receipt:
		return true
	}
	return false
}

// blocked fills in what still stands in the way. Values that the step
// itself asks for are not missing yet.
func (v *viewer) blocked(def *domain.Definition, step *domain.Step, r *domain.Record, a *api.Action) {
	if reason := v.structural(step, r); reason != "" {
		a.Allowed, a.Why = false, reason
		return
	}
	for _, failed := range domain.Missing(def, step, r, nil) {
		if v.asksFor(step, failed.Path) {
			continue
		}
		msg := failed.Condition.Message.In(v.lang)
		if msg == "" {
			continue
		}
		a.Missing = append(a.Missing, api.Missing{Path: failed.Path, Message: msg})
	}
	if len(a.Missing) > 0 {
		a.Allowed, a.Why = false, a.Missing[0].Message
	}
}

func (v *viewer) asksFor(step *domain.Step, path string) bool {
	head, _, _ := strings.Cut(path, "/")
	return slices.ContainsFunc(step.Fields, func(s domain.StepField) bool { return s.Key == head && s.Value == "" })
}

// structural: what the effect itself needs.
func (v *viewer) structural(step *domain.Step, r *domain.Record) string {
	switch step.Effect {
	case domain.Extend:
		if !slices.ContainsFunc(r.Asked, func(a domain.Asked) bool { return a.Kind == domain.AskExtension }) {
			return v.say("没有待批的延期申请", "No extension was asked for.")
		}
	case domain.Refuse:
		if len(r.Asked) == 0 {
			return v.say("没有待批的申请", "Nothing was asked for.")
		}
	case domain.Suspend:
		if r.Suspended {
			return v.say("已在中止", "It is suspended already.")
		}
	case domain.Resume:
		if !r.Suspended {
			return v.say("没有中止", "It is not suspended.")
		}
	case domain.TakeOver, domain.ReturnOffer, domain.WithdrawOffer:
		if r.Offer == nil {
			return v.say("没有移交", "Nothing is offered.")
		}
	case domain.Adopt:
		if len(r.Late) == 0 {
			return v.say("没有迟到的步骤", "There is no late step.")
		}
	case domain.LiftCard:
		if r.HighestCard() == "" {
			return v.say("没有督办牌", "No card stands.")
		}
	}
	return ""
}

func (v *viewer) files(f Found) []api.File {
	out := []api.File{}
	for _, file := range f.Record.Files {
		item := api.File{Hash: fmt.Sprintf("%x", file.Hash[:]), Size: file.Size, Media: file.Media, Document: file.Document,
			Readable: f.Sight >= domain.FullSight(f.Def)}
		for _, e := range f.Record.Appended {
			if e.Op == file.Op {
				item.At, item.By = e.At, v.actorName(e.Actor)
			}
		}
		if f.Sight >= domain.SightText {
			item.Name = v.box.fileName(f.Def, f.Record, file)
		}
		out = append(out, item)
	}
	return out
}

func (v *viewer) relatives(f Found, out *api.Record) {
	r := f.Record
	for _, a := range r.Assists {
		item := api.Copy{Target: a.Organisation, Name: v.p.name(a.Organisation)}
		if a.Done {
			item.ReadBy = []api.User{{Name: v.say("已办", "Done")}}
		}
		out.Assists = append(out.Assists, item)
	}
	for _, c := range r.Copies {
		item := api.Copy{Target: c.Target, Name: v.targetName(c.Target)}
		for _, u := range c.ReadBy {
			item.ReadBy = append(item.ReadBy, api.User{ID: u.String(), Name: v.box.nameOf(u)})
		}
		out.Copies = append(out.Copies, item)
	}
	for _, c := range r.Cards {
		out.Cards = append(out.Cards, api.Card{Clock: c.Clock, Round: c.Round, Colour: c.Colour, Against: v.p.name(c.Against), Lifted: c.Lifted})
	}
	for _, a := range r.Asked {
		out.Asked = append(out.Asked, api.Asked{Kind: string(a.Kind), Clock: a.Clock, Limit: a.Limit})
	}
	for _, l := range r.Links {
		out.Links = append(out.Links, v.link(l.Record, l.Relation)...)
	}
	for _, child := range r.Children {
		out.Children = append(out.Children, v.link(child, "merged")...)
	}
}

// link names another record; one that the viewer may not see is not there.
func (v *viewer) link(id envelope.RecordID, relation string) []api.Link {
	r, def, err := v.box.visible(v.p, v.c.Subject, id)
	if err != nil {
		return nil
	}
	title := v.label("relation", relation)
	if title == "" {
		title = relation
	}
	return []api.Link{{ID: id.String(), Relation: title, Number: r.Number, Heading: v.heading(def, r)}}
}

// sees reports whether the viewer may see the record that a value names.
func (v *viewer) sees(id string) bool {
	rid, err := envelope.ParseRecordID(id)
	if err != nil {
		return false
	}
	_, _, err = v.box.visible(v.p, v.c.Subject, rid)
	return err == nil
}

// papers lists what can be printed: the forms of the kind, the documents
// that were filed, and empty forms of those that were not.
func (v *viewer) papers(f Found) []api.PaperRef {
	var out []api.PaperRef
	for _, p := range f.Def.Papers {
		if len(p.States) == 0 || slices.Contains(p.States, f.Record.State) {
			out = append(out, api.PaperRef{ID: p.ID, Title: p.Title.In(v.lang)})
		}
	}
	for i := range f.Def.Documents {
		doc := &f.Def.Documents[i]
		if doc.Paper == "" {
			continue
		}
		filed := false
		for _, d := range f.Record.Documents {
			if d.Type != doc.ID || d.Void {
				continue
			}
			ref := api.PaperRef{ID: doc.ID + "." + itoa(d.N), Title: doc.Title.In(v.lang)}
			if doc.Many {
				ref.Title += " " + itoa(d.N+1)
			}
			out, filed = append(out, ref), true
		}
		if !filed {
			out = append(out, api.PaperRef{ID: doc.ID, Title: doc.Title.In(v.lang) + v.say("（空白表）", " (empty form)")})
		}
	}
	return out
}

func (v *viewer) dossier(f Found, out *api.Record) {
	r, def := f.Record, f.Def
	for _, d := range r.Documents {
		title := d.Type
		if doc, ok := def.Document(d.Type); ok {
			title = doc.Title.In(v.lang)
		}
		item := api.FiledDocument{Type: d.Type, Title: title, N: d.N, Void: d.Void}
		for _, e := range r.Steps {
			if e.Op == d.Op {
				item.FiledAt = e.At
			}
		}
		out.Documents = append(out.Documents, item)
	}
	if f.Sight >= domain.SightText {
		out.Papers = v.papers(f)
	}
	gate, ok := def.Gate("dossier")
	if !ok {
		return
	}
	out.Dossier = &api.Dossier{Complete: true}
	for _, failed := range domain.CheckAll(gate.Rules, r) {
		out.Dossier.Complete = false
		out.Dossier.Missing = append(out.Dossier.Missing, api.Missing{Path: failed.Path, Message: failed.Condition.Message.In(v.lang)})
	}
}
