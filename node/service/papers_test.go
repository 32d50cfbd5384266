package service

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
)

// sample fills fields of any kind with values that can be found again.
func (b *testBox) sample(fields []domain.Field, prefix string, out map[string]any) {
	for i := range fields {
		f := &fields[i]
		path := prefix + f.Key
		switch f.Type {
		case domain.TypeText:
			out[path] = sampleText(f)
		case domain.TypeCode:
			out[path] = firstOf(b, f.Table)
		case domain.TypeCodes:
			out[path] = []string{firstOf(b, f.Table)}
		case domain.TypeAccount:
			out[path] = b.people["leader"].User.String()
		case domain.TypeInt, domain.TypeMoney:
			out[path] = max(f.Min, 1)
		case domain.TypeBool:
			out[path] = true
		case domain.TypeDate:
			out[path] = "2026-03-01"
		case domain.TypeTime:
			out[path] = b.clock.now.Load() - hourMilli
		case domain.TypeOrg:
			out[path] = map[string]string{"committee": township + "-C01"}[f.Key]
			if out[path] == "" {
				out[path] = village
			}
		case domain.TypeGroup:
			b.sample(f.Fields, path+"/0/", out)
			b.sample(f.Fields, path+"/1/", out)
		}
	}
}

func sampleText(f *domain.Field) string {
	switch f.Mask {
	case domain.MaskName:
		return "欧阳测试"
	case domain.MaskPhone, domain.MaskLandline:
		return "13812345678"
	case domain.MaskIDCard:
		return "11010519491231002X"
	case domain.MaskAddress:
		return "枫源村幸福路十八号"
	}
	return f.Title.ZH + "之内容"
}

func firstOf(b *testBox, table string) string {
	if table == "accounts" {
		return b.people["mediator"].User.String()
	}
	t, ok := b.embedded.Table(table)
	if !ok || table == "restricted_reason" {
		return ""
	}
	return t.Rows()[0].Code.Code
}

// writers are those who see all of a kind.
var writers = map[string]string{"event": "duty", "mediation": "mediator", "petition": "petition", "hazard": "duty", "notice": "duty", "shift": "leader", "duty_log": "duty"}

func (b *testBox) withPetitionOfficer() {
	g := domain.Grant{Role: domain.RolePetitionOfficer, Organisation: township}
	r, _, err := b.CreateAccount(context.Background(), b.Technician(), NewAccount{Username: "petition01", Name: "测试信访", Grants: []domain.Grant{g}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.people["petition"] = Caller{Subject: domain.Subject{User: r.ID, Grants: []domain.Grant{g}}, Lang: "zh"}
}

// whole makes a record with every value of its kind and every document.
func (b *testBox) whole(kind string) (*domain.Record, *domain.Definition) {
	b.t.Helper()
	ctx := context.Background()
	def, _, _ := b.policy.Load().kind(kind)
	fields := map[string]any{}
	b.sample(def.Fields, "", fields)
	if kind == "petition" {
		fields["class"] = "claim"
	}
	if kind == "mediation" {
		fields["parties/1/role"] = "respondent"
	}
	who := b.people[writers[kind]]
	r, err := b.Create(ctx, who, kind, "", Input{Fields: fields})
	if err != nil {
		b.t.Fatalf("%s: %v %+v", kind, err, err)
	}
	for i := range def.Documents {
		doc := &def.Documents[i]
		values := map[string]any{}
		b.sample(doc.Fields, "documents/"+doc.ID+"/0/", values)
		if key := "documents/" + doc.ID + "/0/copies"; values[key] != nil {
			values[key] = int64(3)
		}
		if r, err = b.Step(ctx, who, r.ID, "file", "", Input{Fields: values, Inputs: map[string]any{"document": doc.ID, "item": 0}}); err != nil {
			b.t.Fatalf("%s %s: %v %+v", kind, doc.ID, err, err)
		}
	}
	return r, def
}

func (b *testBox) printed(who string, r *domain.Record, paper string) string {
	b.t.Helper()
	page, err := b.Paper(b.people[who], r.ID, paper)
	if err != nil {
		b.t.Fatalf("%s %s: %v", r.Definition.ID, paper, err)
	}
	return string(page)
}

// prints counts the audit's entries of one record's prints.
func (b *testBox) prints(r *domain.Record) (n, masked int) {
	b.t.Helper()
	page, err := b.audit.Read(audit.Filter{Object: r.ID.String(), Action: "print", Limit: 1000})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range page {
		n++
		if e.Details["masked"] == "true" {
			masked++
		}
	}
	return n, masked
}

// TestEveryPaperPrints: each form of the catalogue with data, whole for the
// team, masked for those who may only read, and each print logged. With
// FENGQIAO_PAPERS=DIR the pages are kept for the eye.
func TestEveryPaperPrints(t *testing.T) {
	b := newTestBox(t)
	b.withPetitionOfficer()
	keep := os.Getenv("FENGQIAO_PAPERS")
	seen := map[string]bool{}
	for kind, who := range writers {
		r, def := b.whole(kind)
		papers := map[string]string{}
		for _, p := range def.Papers {
			papers[p.ID] = p.Template
		}
		for _, d := range def.Documents {
			papers[d.ID+".0"] = d.Paper
		}
		for paper, template := range papers {
			seen[template] = true
			page := b.printed(who, r, paper)
			form, _ := b.embedded.Paper(template)
			if !strings.Contains(page, "<h1>"+form.Title.ZH+"</h1>") || strings.Contains(page, "{") || strings.Contains(page, "脱敏件") {
				t.Errorf("%s %s is not whole:\n%s", kind, paper, page)
			}
			if strings.Contains(page, "欧**") {
				t.Errorf("%s %s is masked for the team", kind, paper)
			}
			if keep != "" {
				if err := os.WriteFile(filepath.Join(keep, template+".html"), []byte(page), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n, masked := b.prints(r); n != len(papers) || masked != 0 {
			t.Errorf("%s: %d prints logged, %d masked, want %d and none", kind, n, masked, len(papers))
		}
	}
	for _, p := range b.embedded.Papers() {
		if !seen[p.ID] {
			t.Errorf("%s was not printed", p.ID)
		}
	}
}

// TestAgreementSaysEverything that the law wants in it (人民调解法 art. 29).
func TestAgreementSaysEverything(t *testing.T) {
	b := newTestBox(t)
	r, _ := b.whole("mediation")
	page := b.printed("mediator", r, "agreement.0")
	for _, want := range []string{"欧阳测试", "11010519491231002X", "纠纷主要事实和争议事项之内容", "协议内容之内容", "履行方式和期限之内容", "一式3份", "2026年3月1日",
		"枫桥镇人民调解委员会（印章）", "申请人 欧阳测试（签名、盖章或按指印）", "被申请人 欧阳测试", "人民调解员"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(page, `draft`) {
		t.Error("a filed agreement is a draft")
	}
	if end := b.printed("mediator", r, "end_notice"); !strings.Contains(end, "向人民法院起诉") {
		t.Error("the termination names no other remedy")
	}
}

// TestMaskedPaper: who may read the matter, but is not on it.
func TestMaskedPaper(t *testing.T) {
	b := newTestBox(t)
	ctx := context.Background()
	r, _ := b.whole("mediation")
	if _, err := b.Paper(b.people["duty"], r.ID, "agreement.0"); !errors.Is(err, ErrForbidden) {
		t.Errorf("the duty officer, who sees the summary, prints the agreement: %v", err)
	}
	if _, err := b.Paper(b.people["station"], r.ID, "agreement.0"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a stranger: %v", err)
	}
	r, err := b.Step(ctx, b.people["leader"], r.ID, "copy", "", Input{Inputs: map[string]any{"targets": []string{township + "-S01"}}})
	if err != nil {
		t.Fatal(err)
	}
	page := b.printed("station", r, "agreement.0")
	for _, secret := range []string{"欧阳测试", "11010519491231002X", "13812345678", "幸福路十八号"} {
		if strings.Contains(page, secret) {
			t.Errorf("%s is on the masked paper", secret)
		}
	}
	if !strings.Contains(page, "欧**") || !strings.Contains(page, "脱敏件") {
		t.Error("nothing is masked")
	}
	if n, masked := b.prints(r); n != 1 || masked != 1 {
		t.Errorf("%d prints logged, %d masked", n, masked)
	}
}

// TestDrafts: the watermark until a document is filed or a matter closed;
// no letter and no other number has one.
func TestDrafts(t *testing.T) {
	b := newTestBox(t)
	r := b.newCase(nil)
	if page := b.printed("mediator", r, "agreement"); !strings.Contains(page, `class="sheet draft"`) || !strings.Contains(page, "赵甲一") {
		t.Error("an empty form is no draft, or lacks the parties")
	}
	for _, missing := range []string{"agreement.0", "agreement.x", "nothing", "../cover"} {
		if _, err := b.Paper(b.people["mediator"], r.ID, missing); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", missing, err)
		}
	}
	event := b.step("duty", b.report("duty", "路灯"), "accept", Input{})
	if !strings.Contains(b.printed("duty", event, "sheet"), `class="sheet draft"`) {
		t.Error("the sheet of an open event is no draft")
	}
	if strings.Contains(b.printed("duty", event, "order"), `draft`) {
		t.Error("an order is a draft")
	}
	event = b.step("duty", event, "file_only", Input{})
	if strings.Contains(b.printed("duty", event, "sheet"), `draft`) {
		t.Error("the sheet of a closed event is a draft")
	}
}
