package service

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/hex"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/api"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/catalog"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
)

//go:embed paper.html
var paperHTML string

var paperTemplate = template.Must(template.New("paper").Parse(paperHTML))

// printout is one print: a form, or every document of one type.
type printout struct {
	Title, By, At, State, Hash string
	Masked                     bool
	Sheets                     []form
}

// form is one filled form, beginning on a page of its own.
type form struct {
	Title, Organisation, Number string
	Draft, Cover, Masked        bool
	Blocks                      []block
}

// block is a part of a form; Kind says which of the values it shows.
type block struct {
	Kind       string // plain, text, right, heading, value, pairs, grid, sign, seal
	Text, Date string
	Lines      []string
	Head       []string
	Rows       [][]string
	Pairs      [][]pair
}

type pair struct{ Title, Value string }

// Paper prints a form of a record, or a dossier document, on A4. The case
// team gets full values, others who may read the text masked ones; every
// print is logged. paper is a form of the kind, a document type, or one
// document such as agreement.0.
func (b *Box) Paper(c Caller, id envelope.RecordID, paper string) ([]byte, error) {
	v := b.viewer(c)
	v.lang = "zh" // papers are Chinese whatever the screen speaks
	r, def, err := b.visible(v.p, c.Subject, id)
	if err != nil {
		return nil, err
	}
	f := Found{Record: r, Def: def, Sight: domain.SightOf(v.p, c.Subject, def, r)}
	if f.Sight < domain.SightText {
		return nil, ErrForbidden
	}
	out := printout{By: b.nameOf(c.User), At: time.UnixMilli(v.now).In(local).Format("2006-01-02 15:04"), State: v.stateTitle(def, r.State),
		Hash: fingerprint(r)}
	if out.Sheets, err = v.sheets(f, paper); err != nil {
		return nil, err
	}
	out.Masked = slices.ContainsFunc(out.Sheets, func(s form) bool { return s.Masked })
	out.Title = out.Sheets[0].Title
	details := map[string]string{"paper": paper, "masked": strconv.FormatBool(out.Masked)}
	if err := b.noteFor(c.User, audit.Entry{Action: "print", ObjectKind: def.ID, Object: id.String(), Result: "ok", Details: details}); err != nil {
		return nil, err
	}
	var page bytes.Buffer
	err = paperTemplate.Execute(&page, out)
	return page.Bytes(), err
}

// fingerprint tells two prints of a record apart when it changed between.
func fingerprint(r *domain.Record) string {
	data, err := envelope.Marshal(r)
	if err != nil {
		return "" // a record that was read can be written
	}
	sum := envelope.Sum(data)
	return hex.EncodeToString(sum[1:7])
}

// sheets finds what to print.
func (v *viewer) sheets(f Found, paper string) ([]form, error) {
	if at := slices.IndexFunc(f.Def.Papers, func(p domain.Paper) bool { return p.ID == paper }); at >= 0 {
		s, err := v.form(f, f.Def.Papers[at].Template, "", isOpen(f.Def, f.Record))
		return []form{s}, err
	}
	name, number, one := strings.Cut(paper, ".")
	doc, ok := f.Def.Document(name)
	if !ok || doc.Paper == "" {
		return nil, ErrNotFound
	}
	var out []form
	for _, d := range f.Record.Documents {
		if d.Type != name || d.Void || one && itoa(d.N) != number {
			continue
		}
		s, err := v.form(f, doc.Paper, documentPath(name, d.N), false)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	if len(out) > 0 || one {
		if len(out) == 0 {
			return nil, ErrNotFound
		}
		return out, nil
	}
	s, err := v.form(f, doc.Paper, documentPath(name, -1), true) // to be filled in by hand
	return []form{s}, err
}

// documentPath is where the values of a document live; no document has the
// number -1.
func documentPath(name string, n int64) string { return "documents/" + name + "/" + itoa(n) + "/" }

func (v *viewer) form(f Found, template, document string, draft bool) (form, error) {
	t, ok := v.box.embedded.Paper(template)
	if !ok {
		return form{}, ErrNotFound
	}
	p := filler{v: v, f: f, document: document, blank: document != "" && draft}
	s := form{Title: t.Title.ZH, Organisation: v.p.name(f.Record.Custodian), Number: f.Record.Number, Draft: draft && !t.Letter || p.blank, Cover: t.Cover}
	for i := range t.Blocks {
		s.Blocks = append(s.Blocks, p.fill(&t.Blocks[i])...)
	}
	s.Masked = p.masked
	return s, p.err
}

// filler puts the values of a record, under the viewer's sight, into the
// blocks of a form. The first error stays.
type filler struct {
	v        *viewer
	f        Found
	document string // path of the document printed
	blank    bool
	masked   bool // something is
	err      error
}

func (p *filler) fill(b *catalog.PaperBlock) []block {
	switch {
	case b.Text != "":
		return []block{{Kind: "text", Text: p.words(b.Text)}}
	case b.Plain != "":
		return []block{{Kind: "plain", Text: p.words(b.Plain)}}
	case b.Right != "":
		return []block{{Kind: "right", Text: p.words(b.Right)}}
	case b.Value != "":
		return p.long(cmp.Or(b.Heading, p.title(b.Value)), p.value(b.Value))
	case b.Heading != "":
		return []block{{Kind: "heading", Text: p.words(b.Heading)}}
	case b.Each != "":
		return p.each(b.Each, b.Item)
	case b.Note != "":
		return p.long("", p.noteOf(b.Note))
	case len(b.Table) > 0:
		return p.table(b.Table)
	case b.Group != "":
		return p.group(b.Group, b.Columns)
	case len(b.Sign) > 0:
		return []block{{Kind: "sign", Lines: b.Sign}}
	case b.SignGroup != "":
		return []block{{Kind: "sign", Lines: append(p.signers(b.SignGroup), b.Also...)}}
	case b.Seal != "":
		return p.seal(b)
	case b.Steps:
		return p.steps()
	case b.Clocks:
		return p.clocks()
	case b.Cards:
		return p.cards()
	case b.Contents:
		return p.contents()
	case b.Copies:
		return p.copies()
	}
	return nil
}

// long is a text under its title. What is not there is left out, but on a
// form that people fill in by hand.
func (p *filler) long(title, text string) []block {
	if text == "" && !p.blank {
		return nil
	}
	lines := strings.Split(text, "\n")
	if text == "" {
		lines = []string{"", "", ""}
	}
	return []block{{Kind: "value", Text: title, Lines: lines}}
}

const unfilled = "＿＿＿＿＿＿"

// words replaces what stands in braces; a missing word is a line to fill in.
func (p *filler) words(s string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		value := p.named(name)
		if value == "" {
			value = unfilled
		}
		out.WriteString(value)
		s = after
	}
}

// each is a paragraph for every item; a part whose value is missing falls
// away.
func (p *filler) each(group, item string) []block {
	var out []block
	for _, n := range p.f.Record.Items(group) {
		var parts []string
		for _, part := range strings.Split(item, "，") {
			if filled, whole := p.part(part, group+"/"+itoa(int64(n))+"/"); whole {
				parts = append(parts, filled)
			}
		}
		out = append(out, block{Kind: "text", Text: strings.Join(parts, "，") + "。"})
	}
	return out
}

// part fills one part of an item; whole is false when a value is missing.
func (p *filler) part(s, item string) (string, bool) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{")
		out.WriteString(before)
		if !found {
			return out.String(), true
		}
		key, after, _ := strings.Cut(rest, "}")
		value := p.at(item + key)
		if value == "" {
			return "", false
		}
		out.WriteString(value)
		s = after
	}
}

// named gives the value of a word in braces.
func (p *filler) named(name string) string {
	if strings.HasPrefix(name, "$") {
		return p.fixed(name)
	}
	group, key, ok := strings.Cut(name, "/")
	if !ok {
		return p.value(name)
	}
	group, filter, _ := strings.Cut(strings.TrimSuffix(group, "]"), "[")
	field, code, _ := strings.Cut(filter, "=")
	var values []string
	for _, n := range p.f.Record.Items(group) {
		item := group + "/" + itoa(int64(n)) + "/"
		if filter != "" && p.f.Record.Text(item+field) != code {
			continue
		}
		if value := p.at(item + key); value != "" {
			values = append(values, value)
		}
	}
	return strings.Join(values, "、")
}

// fixed are the words that every record has.
func (p *filler) fixed(name string) string {
	r := p.f.Record
	switch name {
	case "$number":
		return r.Number
	case "$organisation":
		return p.v.p.name(r.Custodian)
	case "$holder":
		return p.v.p.name(r.Holder)
	case "$reporter":
		return p.v.p.name(r.Reporter)
	case "$state":
		return p.v.stateTitle(p.f.Def, r.State)
	case "$kind":
		return p.f.Def.Title.ZH
	case "$today":
		return chineseDate(p.v.now)
	case "$created":
		return chineseDate(r.CreatedAt)
	case "$closed":
		if at := closedAt(p.f.Def, r); at != 0 {
			return chineseDate(at)
		}
	case "$reason":
		return p.lastReason()
	}
	return ""
}

var fixedTitles = map[string]string{"$number": "编号", "$created": "立案日期", "$closed": "结案日期"}

// lastReason is what was chosen with the latest step that gives a reason.
func (p *filler) lastReason() string {
	for _, e := range slices.Backward(p.f.Record.Steps) {
		code, ok := e.Inputs["reason"].(string)
		step, known := p.f.Def.Step(e.Step)
		if !ok || !known {
			continue
		}
		if field := inputField(step, "reason"); field != nil {
			return p.v.valueText(p.f.Def, field, code)
		}
	}
	return ""
}

// path is where the value of a name lives.
func (p *filler) path(name string) string {
	if key, ok := strings.CutPrefix(name, "doc."); ok {
		return p.document + key
	}
	return name
}

func (p *filler) field(name string) (*domain.Field, bool) {
	path := p.path(name)
	if p.blank {
		path = strings.Replace(path, "/-1/", "/0/", 1)
	}
	return p.f.Def.FieldAt(path)
}

func (p *filler) title(name string) string {
	if title, ok := fixedTitles[name]; ok {
		return title
	}
	if f, ok := p.field(name); ok {
		return f.Title.ZH
	}
	return ""
}

func (p *filler) value(name string) string {
	if strings.HasPrefix(name, "$") {
		return p.fixed(name)
	}
	return p.at(p.path(name))
}

// at gives the value at a path in words, masked for those outside the team.
func (p *filler) at(path string) string {
	f, ok := p.f.Def.FieldAt(path)
	if !ok {
		return ""
	}
	if f.Sealed() {
		return p.sealed(f, path)
	}
	switch value := p.f.Record.Open[path].(type) {
	case nil:
		return ""
	case int64:
		if f.Type == domain.TypeTime {
			return time.UnixMilli(value).In(local).Format("2006年1月2日15时04分")
		}
		if f.Type == domain.TypeMoney {
			return p.v.valueText(p.f.Def, f, value) + " 元"
		}
		return p.v.valueText(p.f.Def, f, value)
	case string:
		if day, err := time.ParseInLocation(time.DateOnly, value, local); err == nil && f.Type == domain.TypeDate {
			return chineseDate(day.UnixMilli())
		}
		return p.v.valueText(p.f.Def, f, value)
	default:
		return p.v.valueText(p.f.Def, f, value)
	}
}

func (p *filler) sealed(f *domain.Field, path string) string {
	s, ok := p.f.Record.SealedAt(path, seal.Full)
	if !ok || f.Sensitivity == domain.SenseSecret {
		return ""
	}
	if p.f.Sight >= domain.SightTeam {
		return p.text(p.v.openOrErased(p.f.Record, s))
	}
	value, err := p.v.sealed(p.f, f, s, p.f.Record)
	p.keep(err)
	if err != nil || value == nil {
		return ""
	}
	text, _ := value.V.(string)
	p.masked = p.masked || value.Masked
	return text
}

func (p *filler) text(s string, err error) string {
	p.keep(err)
	return s
}

func (p *filler) keep(err error) {
	if p.err == nil {
		p.err = err
	}
}

// table shows labelled values; a row of one spans the page. A form serves
// several kinds, so a field that this kind has not is left out.
func (p *filler) table(rows [][]string) []block {
	b := block{Kind: "pairs"}
	for _, names := range rows {
		var row []pair
		for _, name := range names {
			if title := p.title(name); title != "" {
				row = append(row, pair{title, p.value(name)})
			}
		}
		if len(row) > 0 {
			b.Pairs = append(b.Pairs, row)
		}
	}
	return []block{b}
}

func (p *filler) group(group string, columns []string) []block {
	items := p.f.Record.Items(group)
	if len(items) == 0 {
		return nil
	}
	b := block{Kind: "grid"}
	for _, key := range columns {
		if f, ok := p.f.Def.FieldAt(group + "/0/" + key); ok {
			b.Head = append(b.Head, f.Title.ZH)
		}
	}
	for _, n := range items {
		var row []string
		for _, key := range columns {
			row = append(row, p.at(group+"/"+itoa(int64(n))+"/"+key))
		}
		b.Rows = append(b.Rows, row)
	}
	return []block{b}
}

// signers names a place for every item: its role and name.
func (p *filler) signers(group string) []string {
	var out []string
	for _, n := range p.f.Record.Items(group) {
		item := group + "/" + itoa(int64(n)) + "/"
		out = append(out, strings.TrimSpace(p.at(item+"role")+" "+p.at(item+"name"))+"（签名、盖章或按指印）")
	}
	return out
}

func (p *filler) seal(b *catalog.PaperBlock) []block {
	date := "{$today}"
	if b.On != "" {
		date = b.On
	}
	return []block{{Kind: "seal", Text: p.words(b.Seal), Date: p.words(date)}}
}

func (p *filler) timeline() []api.TimelineEntry {
	entries, err := p.v.timeline(p.f, allEntries(p.f.Record))
	p.keep(err)
	return entries
}

func noteText(e api.TimelineEntry) string {
	if e.Note == nil {
		return ""
	}
	s, _ := e.Note.V.(string)
	return s
}

func (p *filler) steps() []block {
	b := block{Kind: "grid", Text: "办理经过", Head: []string{"时间", "办理人", "环节", "意见"}}
	for _, e := range p.timeline() {
		b.Rows = append(b.Rows, []string{clockTime(e.At), strings.TrimSpace(e.Actor.OrganisationName + " " + e.Actor.Name), e.Title, noteText(e)})
	}
	return []block{b}
}

// noteOf gives the words last written with a step.
func (p *filler) noteOf(step string) string {
	for _, e := range slices.Backward(p.timeline()) {
		if e.Step == step {
			return noteText(e)
		}
	}
	return ""
}

func (p *filler) clocks() []block {
	clocks, err := p.v.clocks(p.f.Def, p.f.Record)
	p.keep(err)
	b := block{Kind: "grid", Head: []string{"时限", "规定", "到期", "情况"}}
	for _, c := range clocks {
		due := "—"
		if c.DueAt != 0 {
			due = clockTime(c.DueAt)
		}
		b.Rows = append(b.Rows, []string{c.Title, c.Rule, due, c.Text})
	}
	if len(b.Rows) == 0 {
		return nil
	}
	return []block{b}
}

func (p *filler) cards() []block {
	b := block{Kind: "grid", Head: []string{"督办", "时限", "责任单位"}}
	for _, c := range p.f.Record.Cards {
		if c.Lifted {
			continue
		}
		clock, _ := p.f.Def.Clock(c.Clock)
		title := c.Clock
		if clock != nil {
			title = clock.Title.ZH
		}
		b.Rows = append(b.Rows, []string{map[string]string{"normal": "普通督办", yellow: "黄牌", red: "红牌"}[c.Colour], title, p.v.p.name(c.Against)})
	}
	if len(b.Rows) == 0 {
		return nil
	}
	return []block{b}
}

// contents lists the documents of the dossier in their order, scans too.
func (p *filler) contents() []block {
	b := block{Kind: "grid", Head: []string{"序号", "文书名称", "份数", "制作日期", "备注"}}
	r := p.f.Record
	documents := slices.Clone(p.f.Def.Documents)
	slices.SortStableFunc(documents, func(a, b domain.DocumentType) int { return a.No - b.No })
	for i := range documents {
		doc := &documents[i]
		n := r.Filed(doc.ID)
		if n == 0 {
			continue
		}
		made, scans := "", 0
		for _, file := range r.Files {
			if file.Document == doc.ID {
				scans++
			}
		}
		for _, e := range r.Steps {
			if slices.ContainsFunc(r.Documents, func(d domain.Document) bool { return d.Op == e.Op && d.Type == doc.ID && !d.Void }) {
				made = chineseDate(e.At)
			}
		}
		remark := ""
		if scans > 0 {
			remark = "含扫描件 " + itoa(int64(scans)) + " 份"
		}
		b.Rows = append(b.Rows, []string{itoa(int64(len(b.Rows) + 1)), doc.Title.ZH, itoa(int64(n)), made, remark})
	}
	return []block{b}
}

func (p *filler) copies() []block {
	b := block{Kind: "grid", Text: "送达和阅知", Head: []string{"送达", "阅知人"}}
	for _, c := range p.f.Record.Copies {
		names := make([]string, len(c.ReadBy))
		for i, u := range c.ReadBy {
			names[i] = p.v.box.nameOf(u)
		}
		b.Rows = append(b.Rows, []string{p.v.targetName(c.Target), strings.Join(names, "、")})
	}
	if len(b.Rows) == 0 {
		return nil
	}
	return []block{b}
}

func chineseDate(ms int64) string { return time.UnixMilli(ms).In(local).Format("2006年1月2日") }

func clockTime(ms int64) string { return time.UnixMilli(ms).In(local).Format("2006-01-02 15:04") }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
