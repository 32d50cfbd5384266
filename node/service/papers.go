package service

import (
	"bytes"
	_ "embed"
	"html/template"
	"slices"
	"strconv"
	"time"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
)

//go:embed paper.html
var paperHTML string

var paperTemplate = template.Must(template.New("paper").Parse(paperHTML))

// printout is what a paper prints.
type printout struct {
	Title, Number, Organisation, Date, State, Hash string
	Draft                                          bool
	Rows                                           []sheetRow
	Steps                                          []sheetStep
	Signatures                                     []string
}

type sheetRow struct {
	Title, Value string
	Long         bool
}

type sheetStep struct{ At, Who, What, Note string }

// Paper prints a form of a record on A4. Full values are printed, so only
// the case team may, and the printing is logged.
func (b *Box) Paper(c Caller, id envelope.RecordID, paper string) ([]byte, error) {
	v := b.viewer(c)
	r, def, err := b.visible(v.p, c.Subject, id)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(def.Papers, func(p domain.Paper) bool { return p.ID == paper })
	if at < 0 {
		return nil, ErrNotFound
	}
	if domain.SightOf(v.p, c.Subject, def, r) < domain.SightTeam {
		return nil, ErrForbidden
	}
	form := def.Papers[at]
	if err := b.noteFor(c.User, audit.Entry{Action: "print", ObjectKind: def.ID, Object: id.String(), Result: "ok", Details: map[string]string{"paper": paper}}); err != nil {
		return nil, err
	}
	s, err := v.sheet(def, r, form)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = paperTemplate.Execute(&out, s)
	return out.Bytes(), err
}

func (v *viewer) sheet(def *domain.Definition, r *domain.Record, form domain.Paper) (printout, error) {
	state, _ := def.State(r.State)
	s := printout{Title: form.Title.ZH, Number: r.Number, Organisation: v.p.name(r.Custodian), Date: chineseDate(v.now), State: state.Title.ZH,
		Hash: version(r)[66:], Draft: !state.Closed, Signatures: []string{"承办人", "负责人", "日期"}}
	v.lang = "zh" // papers are Chinese whatever the screen speaks
	rows, document, err := v.documentRows(def, r, form)
	if err != nil {
		return s, err
	}
	if document {
		s.Rows, s.Signatures = rows, []string{"当事人", "人民调解员", "记录人"}
	} else if s.Rows, err = v.fieldRows(def, r, def.Fields, ""); err != nil {
		return s, err
	}
	if document {
		return s, nil
	}
	timeline, err := v.timeline(Found{Record: r, Def: def, Sight: domain.SightTeam}, allEntries(r))
	for _, e := range timeline {
		step := sheetStep{At: time.UnixMilli(e.At).In(local).Format("2006-01-02 15:04"), Who: e.Actor.OrganisationName + " " + e.Actor.Name, What: e.Title}
		if e.Note != nil {
			step.Note, _ = e.Note.V.(string)
		}
		s.Steps = append(s.Steps, step)
	}
	return s, err
}

// documentRows gives the values of the dossier document that a form prints,
// with the parties before them.
func (v *viewer) documentRows(def *domain.Definition, r *domain.Record, form domain.Paper) ([]sheetRow, bool, error) {
	for i := range def.Documents {
		doc := &def.Documents[i]
		if doc.Paper != form.ID && doc.Paper != form.Template {
			continue
		}
		parties, err := v.fieldRows(def, r, groups(def.Fields), "")
		if err != nil {
			return nil, true, err
		}
		for _, d := range r.Documents {
			if d.Type != doc.ID || d.Void {
				continue
			}
			rows, err := v.fieldRows(def, r, doc.Fields, "documents/"+doc.ID+"/"+itoa(d.N)+"/")
			if err != nil {
				return nil, true, err
			}
			parties = append(parties, rows...)
		}
		return parties, true, nil
	}
	return nil, false, nil
}

func groups(fields []domain.Field) []domain.Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f domain.Field) bool { return f.Type != domain.TypeGroup })
}

// fieldRows lists the values below a prefix in the order of the form.
func (v *viewer) fieldRows(def *domain.Definition, r *domain.Record, fields []domain.Field, prefix string) ([]sheetRow, error) {
	var out []sheetRow
	for i := range fields {
		f := &fields[i]
		switch f.Type {
		case domain.TypePoint:
			continue
		case domain.TypeGroup:
			for _, n := range r.Items(prefix + f.Key) {
				rows, err := v.fieldRows(def, r, f.Fields, prefix+f.Key+"/"+itoa(int64(n))+"/")
				if err != nil {
					return nil, err
				}
				for j := range rows {
					rows[j].Title = f.Title.ZH + itoa(int64(n+1)) + " " + rows[j].Title
				}
				out = append(out, rows...)
			}
			continue
		}
		text, err := v.printed(def, r, f, prefix+f.Key)
		if err != nil {
			return nil, err
		}
		if text != "" && f.Sensitivity != domain.SenseSecret {
			out = append(out, sheetRow{Title: f.Title.ZH, Value: text, Long: len([]rune(text)) > 40})
		}
	}
	return out, nil
}

func (v *viewer) printed(def *domain.Definition, r *domain.Record, f *domain.Field, path string) (string, error) {
	if f.Sealed() {
		s, ok := r.SealedAt(path, seal.Full)
		if !ok {
			return "", nil
		}
		return v.openOrErased(def, s)
	}
	value, ok := r.Open[path]
	if !ok {
		return "", nil
	}
	if ms, isTime := value.(int64); isTime && f.Type == domain.TypeTime {
		return time.UnixMilli(ms).In(local).Format("2006年1月2日 15:04"), nil
	}
	return v.valueText(f, value), nil
}

func chineseDate(ms int64) string { return time.UnixMilli(ms).In(local).Format("2006年1月2日") }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
