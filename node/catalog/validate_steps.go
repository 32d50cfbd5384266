package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

var relations = []domain.Relation{domain.RelHolder, domain.RelCustodian, domain.RelReporter, domain.RelAssist, domain.RelCopied,
	domain.RelAssigned, domain.RelSender, domain.RelCommittee, domain.RelOffered, domain.RelBox}

var holders = []domain.HolderRule{domain.HolderKeep, domain.HolderTo, domain.HolderCustodian, domain.HolderReporter,
	domain.HolderActor, domain.HolderSender, domain.HolderParent}

func (v *validator) steps() {
	seen := map[string]bool{}
	for i := range v.def.Steps {
		s := &v.def.Steps[i]
		path := fmt.Sprintf("steps[%d]", i)
		v.unique(path+".id", s.ID, seen)
		v.title(path+".title", s.Title)
		class, ok := domain.ClassOf(s.Effect)
		if !ok {
			v.bad(path+".effect", "没有作用 "+string(s.Effect), "There is no effect "+string(s.Effect)+".")
			continue
		}
		v.who(path, s)
		v.where(path, s)
		v.sets(path, s)
		v.inputs(path, s)
		v.effect(path, s)
		v.opens(path+".opens", s)
		if class == envelope.ClassB {
			v.appends(path, s)
		}
	}
}

func (v *validator) who(path string, s *domain.Step) {
	if len(s.Roles) == 0 {
		v.bad(path, "没有人可以执行这一步：请写明 roles", "Nobody may take this step. Name the roles.")
	}
	known := append(domain.Roles(), domain.RoleTechnician, domain.RoleBox)
	for i, role := range s.Roles {
		if !slices.Contains(known, role) {
			v.bad(fmt.Sprintf("%s.roles[%d]", path, i), "没有角色 "+role, "There is no role "+role+".")
		}
	}
	for i, rel := range s.Where {
		if !slices.Contains(relations, rel) {
			v.bad(fmt.Sprintf("%s.where[%d]", path, i), "没有关系 "+string(rel), "There is no relation "+string(rel)+".")
		}
	}
	if !slices.Contains(holders, s.Holder) {
		v.bad(path+".holder", "没有承办规则 "+string(s.Holder), "There is no holder rule "+string(s.Holder)+".")
	}
	if !slices.Contains([]string{"", "optional", "required"}, s.Note) {
		v.bad(path+".note", "说明只能是 optional 或 required", "A note is optional or required.")
	}
}

// where checks states, clocks and gate.
func (v *validator) where(path string, s *domain.Step) {
	for i, id := range s.From {
		if _, ok := v.def.State(id); !ok && id != "*" {
			v.bad(fmt.Sprintf("%s.from[%d]", path, i), "没有状态 "+id, "There is no state "+id+".")
		}
	}
	if _, ok := v.def.State(s.To); !ok && s.To != "" {
		v.bad(path+".to", "没有状态 "+s.To, "There is no state "+s.To+".")
	}
	if s.Effect == domain.Create && s.To == "" {
		v.bad(path, "新建步骤必须写明状态 to", "A step that creates must say the state.")
	}
	if s.Effect == domain.Create && len(s.From) > 0 {
		v.bad(path+".from", "新建步骤没有原状态", "A step that creates has no state before.")
	}
	for name, ids := range map[string][]string{"start": s.Start, "stop": s.Stop} {
		for i, id := range ids {
			if _, ok := v.def.Clock(id); !ok {
				v.bad(fmt.Sprintf("%s.%s[%d]", path, name, i), "没有时限 "+id, "There is no clock "+id+".")
			}
		}
	}
	if _, ok := v.def.Gate(s.Gate); !ok && s.Gate != "" {
		v.bad(path+".gate", "没有关口 "+s.Gate, "There is no gate "+s.Gate+".")
	}
	for i, c := range s.Needs {
		v.condition(fmt.Sprintf("%s.needs[%d]", path, i), c, nil, 0)
	}
}

func (v *validator) sets(path string, s *domain.Step) {
	for i, set := range s.Fields {
		at := fmt.Sprintf("%s.fields[%d]", path, i)
		f := v.topField(set.Key)
		if f == nil {
			v.bad(at+".key", "没有字段 "+set.Key, "There is no field "+set.Key+".")
			continue
		}
		v.constant(at, f, set.Value)
	}
	if s.Effect != domain.Create || len(s.Fields) == 0 {
		return
	}
	for i := range v.def.Fields {
		f := &v.def.Fields[i]
		if f.Required && !slices.ContainsFunc(s.Fields, func(set domain.StepField) bool { return set.Key == f.Key }) {
			v.bad(path+".fields", "必填字段 "+f.Key+" 不在新建步骤的字段中", "The step that creates does not ask for the required field "+f.Key+".")
		}
	}
}

func (v *validator) topField(key string) *domain.Field {
	for i := range v.def.Fields {
		if v.def.Fields[i].Key == key {
			return &v.def.Fields[i]
		}
	}
	return nil
}

// constant checks the value that a step sets without asking.
func (v *validator) constant(path string, f *domain.Field, value string) {
	if value == "" {
		return
	}
	ok := f.Type == domain.TypeBool && (value == "true" || value == "false")
	if f.Type == domain.TypeCode {
		codes, known := v.codes(f.Table)
		ok = known && codes[value] || f.Table == ""
	}
	if !ok {
		v.bad(path+".value", "固定值 "+value+" 不适合字段 "+f.Key, "The value "+value+" does not suit the field "+f.Key+".")
	}
}

func (v *validator) inputs(path string, s *domain.Step) {
	v.many(path+".inputs", len(s.Inputs), maxInputs)
	seen := map[string]bool{}
	for i := range s.Inputs {
		f := &s.Inputs[i]
		at := fmt.Sprintf("%s.inputs[%d]", path, i)
		v.unique(at+".key", f.Key, seen)
		if f.Type == domain.TypeGroup || f.Type == domain.TypePoint {
			v.bad(at+".type", "步骤的填写项不能是成组字段或坐标", "An input of a step is neither a group nor a point.")
			continue
		}
		v.field(at, f, "_"+f.Key)
	}
}

// opens checks the other matter that a step reports; its kind is another
// definition, so its values are judged when it is written.
func (v *validator) opens(path string, s *domain.Step) {
	o := s.Opens
	if o == nil {
		return
	}
	if envelope.CheckIdentifier(o.Kind) != nil || !key.MatchString(o.Step) {
		v.bad(path, "需要写明另一种类 kind 和新建步骤 step", "Name the other kind and the step that creates it.")
	}
	if class, _ := domain.ClassOf(s.Effect); class != envelope.ClassA || s.Effect == domain.MergeInto || s.Effect == domain.UnmergeFrom {
		v.bad(path, "只有改变状态的步骤可以同时新建另一件", "Only a step that changes the record may report another matter.")
	}
	for target, source := range o.Copy {
		if f := v.topField(source); f == nil || f.Sealed() || f.Type == domain.TypeGroup {
			v.bad(path+".copy."+target, "只能复制公开字段，没有 "+source, "Only open fields are copied; there is no "+source+".")
		}
	}
	if o.Note != "" && s.Note != "required" {
		v.bad(path+".note", "要把说明转给另一件，说明须为必填", "A note that is passed on must be required.")
	}
	relations, _ := v.codes("relation")
	if !relations[o.Relation] || !relations[o.Inverse] {
		v.bad(path+".relation", "没有这种关联关系", "There is no such relation.")
	}
}

// effect checks what an effect needs of the kind.
func (v *validator) effect(path string, s *domain.Step) {
	switch s.Effect {
	case domain.Rate:
		if f := v.topField(domain.FieldRating); f == nil || f.Type != domain.TypeCode {
			v.bad(path+".effect", "评价需要代码字段 rating", "Rating needs a code field named rating.")
		}
	case domain.AskExtension, domain.Extend:
		if !slices.ContainsFunc(v.def.Clocks, func(c domain.Clock) bool { return c.Extensions > 0 }) {
			v.bad(path+".effect", "没有可以延期的时限", "No clock may be extended.")
		}
	case domain.IssueCard:
		if !slices.ContainsFunc(v.def.Clocks, func(c domain.Clock) bool { return c.Cards }) {
			v.bad(path+".effect", "没有亮牌的时限", "No clock issues cards.")
		}
	case domain.Suspend:
		if s.To == "" {
			v.bad(path, "中止步骤必须写明状态 to", "A step that suspends must say the state.")
		}
	case domain.FileDocument, domain.VoidDocument:
		if len(v.def.Documents) == 0 {
			v.bad(path+".effect", "这一种类没有卷宗文书", "This kind has no dossier documents.")
		}
	}
	if _, ok := v.def.Document(s.Document); s.Document != "" && (!ok || s.Effect != domain.FileDocument) {
		v.bad(path+".document", "没有文书 "+s.Document+",或这一步不是制作文书", "There is no document "+s.Document+", or the step files none.")
	}
	if s.Effect == domain.TakeOver && s.Holder != domain.HolderKeep {
		v.bad(path+".holder", "接收移交后由接收单位承办，不能另设", "After a handover the addressee holds the matter; no other rule is possible.")
	}
}

// appends: what commutes with everything moves nothing.
func (v *validator) appends(path string, s *domain.Step) {
	if len(s.Fields) > 0 || s.To != "" || s.Holder != "" || len(s.Start)+len(s.Stop) > 0 || s.Gate != "" || len(s.Needs) > 0 {
		v.bad(path+".effect", "追加类步骤不能改变字段、状态、承办单位、时限，也不能设关口", "An appending step cannot set fields, state, holder or clocks, nor have a gate.")
	}
}

// flow checks that every state is reached and none is a dead end.
func (v *validator) flow() {
	reached := map[string]bool{}
	creates := false
	for i := range v.def.Steps {
		if s := &v.def.Steps[i]; s.Effect == domain.Create {
			creates = true
			reached[s.To] = true
		}
	}
	if !creates {
		v.bad("steps", "没有新建步骤，谁也不能登记", "No step creates: nobody could report.")
		return
	}
	for grown := true; grown; {
		grown = false
		for i := range v.def.Steps {
			s := &v.def.Steps[i]
			if s.To != "" && !reached[s.To] && slices.ContainsFunc(v.def.States, func(st domain.State) bool { return reached[st.ID] && leaves(s, st) }) {
				reached[s.To], grown = true, true
			}
		}
	}
	for i, st := range v.def.States {
		path := fmt.Sprintf("states[%d].id", i)
		if !reached[st.ID] {
			v.bad(path, "没有步骤能到达状态 "+st.ID, "No step reaches the state "+st.ID+".")
		}
		if !st.Closed && !slices.ContainsFunc(v.def.Steps, func(s domain.Step) bool { return exits(&s, st) }) {
			v.bad(path, "状态 "+st.ID+" 没有出口，又不是结束状态", "The state "+st.ID+" has no exit and is not closed.")
		}
	}
}

// leaves reports whether the step can be taken in the state.
func leaves(s *domain.Step, st domain.State) bool {
	if s.Effect == domain.Create {
		return false
	}
	return slices.Contains(s.From, "*") || slices.Contains(s.From, st.ID) || len(s.From) == 0 && !st.Closed
}

func exits(s *domain.Step, st domain.State) bool {
	returns := s.Effect == domain.Resume || s.Effect == domain.UnmergeFrom
	return leaves(s, st) && (s.To != "" && s.To != st.ID && !sideways(s) || returns && slices.Contains(s.From, st.ID))
}

// sideways effects lead out of every state and therefore prove nothing.
func sideways(s *domain.Step) bool {
	return s.Effect == domain.Suspend || s.Effect == domain.MergeInto || s.Effect == domain.TakeOver
}

func (v *validator) gates() {
	seen := map[string]bool{}
	for i, g := range v.def.Gates {
		path := fmt.Sprintf("gates[%d]", i)
		v.unique(path+".id", g.ID, seen)
		if len(g.Rules) == 0 {
			v.bad(path, "关口没有条件", "The gate has no rules.")
		}
		for n, c := range g.Rules {
			at := fmt.Sprintf("%s.rules[%d]", path, n)
			if c.Message.ZH == "" || c.Message.EN == "" {
				v.bad(at, "条件需要中英文提示，告诉人缺什么", "A rule needs a message in both languages that says what is missing.")
			}
			v.condition(at, c, nil, 0)
		}
	}
}

// condition checks one test; within are the fields of the group whose items
// it looks at.
func (v *validator) condition(path string, c domain.Condition, within []domain.Field, depth int) {
	if depth > maxDepth {
		v.bad(path, fmt.Sprintf("条件嵌套超过 %d 层", maxDepth), fmt.Sprintf("Conditions nest deeper than %d.", maxDepth))
		return
	}
	if n := tests(c); n != 1 {
		v.bad(path, fmt.Sprintf("条件应正好有一个判断，现有 %d 个", n), fmt.Sprintf("A condition has exactly one test; this has %d.", n))
		return
	}
	v.compared(path, c, within)
	v.named(path, c)
	for name, sub := range map[string]*domain.Condition{"when": c.When, "not": c.Not} {
		if sub != nil {
			v.condition(path+"."+name, *sub, within, depth+1)
		}
	}
	for name, list := range map[string][]domain.Condition{"all": c.All, "any": c.Any} {
		for i, sub := range list {
			v.condition(fmt.Sprintf("%s.%s[%d]", path, name, i), sub, within, depth+1)
		}
	}
	if c.Every != "" {
		v.every(path, c, depth)
	}
	if c.Items != "" {
		v.counted(path, c, depth)
	}
}

func tests(c domain.Condition) int {
	n := 0
	for _, used := range []bool{c.Field != "", c.Present != "", c.Absent != "", c.Items != "", c.Every != "", c.Document != "",
		len(c.State) > 0, c.Rule != "", c.Not != nil, len(c.All) > 0, len(c.Any) > 0} {
		if used {
			n++
		}
	}
	return n
}

// compared checks the field that a condition looks at, and the codes.
func (v *validator) compared(path string, c domain.Condition, within []domain.Field) {
	for name, field := range map[string]string{"field": c.Field, "present": c.Present, "absent": c.Absent} {
		if field == "" {
			continue
		}
		f := v.fieldIn(field, within)
		if f == nil {
			v.bad(path+"."+name, "没有字段 "+field, "There is no field "+field+".")
			continue
		}
		if name == "field" {
			v.comparable(path, f, c.In)
		}
	}
}

func (v *validator) fieldIn(path string, within []domain.Field) *domain.Field {
	for i := range within {
		if within[i].Key == path {
			return &within[i]
		}
	}
	if within != nil {
		return nil
	}
	f, ok := v.def.FieldAt(path)
	if !ok {
		return nil
	}
	return f
}

func (v *validator) comparable(path string, f *domain.Field, in []string) {
	if f.Sealed() {
		v.bad(path+".field", "文字已加密，不能比较其内容，只能判断有无", "Text is sealed: a condition sees whether it is there, not what it says.")
		return
	}
	if len(in) == 0 {
		v.bad(path, "比较需要 in 列出的值", "A comparison needs the values in.")
	}
	if f.Table == "" || f.Table == tableAccounts {
		return
	}
	codes, _ := v.codes(f.Table)
	for i, code := range in {
		if code != "" && codes != nil && !codes[code] {
			v.bad(fmt.Sprintf("%s.in[%d]", path, i), "代码表 "+f.Table+" 没有 "+code, "The table "+f.Table+" has no "+code+".")
		}
	}
}

// named checks states, documents, groups and predicates.
func (v *validator) named(path string, c domain.Condition) {
	v.statesKnown(path+".state", c.State)
	if _, ok := v.def.Document(c.Document); c.Document != "" && !ok {
		v.bad(path+".document", "没有文书 "+c.Document, "There is no document "+c.Document+".")
	}
	if c.Rule != "" && !domain.Predicate(c.Rule) {
		v.bad(path+".rule", "没有判断规则 "+c.Rule, "There is no predicate "+c.Rule+".")
	}
	if c.Count < 0 || c.AtMost < 0 || c.AtMost > 0 && (c.Items == "" || c.Count > 0) {
		v.bad(path, "at_most 只用于 items，且不与 count 同用", "at_most goes with items, and not beside count.")
	}
}

// counted checks the group whose items are counted.
func (v *validator) counted(path string, c domain.Condition, depth int) {
	f := v.topField(c.Items)
	if f == nil || f.Type != domain.TypeGroup {
		v.bad(path+".items", c.Items+" 不是成组字段", c.Items+" is not a group.")
		return
	}
	if c.Pass != nil {
		v.condition(path+".pass", *c.Pass, f.Fields, depth+1)
	}
}

func (v *validator) every(path string, c domain.Condition, depth int) {
	group, doc := strings.CutPrefix(c.Every, "documents/")
	var fields []domain.Field
	if d, ok := v.def.Document(group); doc && ok {
		fields = d.Fields
	} else if f := v.topField(c.Every); f != nil && f.Type == domain.TypeGroup {
		fields = f.Fields
	}
	switch {
	case fields == nil:
		v.bad(path+".every", c.Every+" 不是成组字段", c.Every+" is not a group.")
	case c.Pass == nil:
		v.bad(path, "逐项判断需要 pass", "Every needs a condition to pass.")
	default:
		v.condition(path+".pass", *c.Pass, fields, depth+1)
	}
}
