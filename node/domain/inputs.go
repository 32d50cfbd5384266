package domain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// reservedInputs are what the engine itself understands; a step may declare
// more under its own names.
var reservedInputs = []string{InNote, InTo, InTargets, InReason, InClock, InLimit, InColour, InRound, InOffer, InRecord,
	InRelation, InFile, InSize, InMedia, InName, InFileKey, InDocument, InItem, InNumber, InAlias, InClocks, InQuote,
	InImport, InStart}

// numbering effects may give a record its number, beside the step that the
// kind names.
var numbering = []Effect{Create, Renumber}

// checkInputs admits the inputs that the engine knows or the step declares,
// of the right type, and asks for those that the step requires.
func (f *folding) checkInputs() *envelope.Verdict {
	for path, v := range f.op.Open {
		if !reserved(path) {
			continue
		}
		field := f.step.input(path)
		switch {
		case field == nil && !slices.Contains(reservedInputs, path):
			return verdict(envelope.Invalid, ReasonField)
		case field != nil && !typeFits(field, path, v):
			return verdict(envelope.Invalid, ReasonInput)
		}
	}
	for _, s := range f.op.Sealed {
		field := f.step.input(s.Path)
		if reserved(s.Path) && s.Path != InNote && s.Path != InName && (field == nil || !field.Sealed()) {
			return verdict(envelope.Invalid, ReasonField)
		}
	}
	if _, given := f.op.Open[InNumber]; given && !f.gives() {
		return verdict(envelope.Invalid, ReasonInput)
	}
	return f.requiredInputs()
}

func (f *folding) gives() bool {
	return slices.Contains(numbering, f.step.Effect) || f.def.Number.Gives(f.step.ID)
}

func (f *folding) requiredInputs() *envelope.Verdict {
	if f.step.Note == "required" && !f.given(InNote) {
		return verdict(envelope.Invalid, ReasonMissing)
	}
	for i := range f.step.Inputs {
		if in := &f.step.Inputs[i]; in.Required && !f.given("_"+in.Key) {
			return verdict(envelope.Invalid, ReasonMissing)
		}
	}
	return nil
}

func (f *folding) given(path string) bool {
	if v, ok := f.op.Open[path]; ok && v != nil && v != "" {
		return true
	}
	return slices.ContainsFunc(f.op.Sealed, func(s envelope.SealedField) bool { return s.Path == path })
}

// input finds the input of the step that stands at a reserved path.
func (s *Step) input(path string) *Field {
	key, ok := strings.CutPrefix(path, "_")
	if !ok {
		return nil
	}
	for i := range s.Inputs {
		if s.Inputs[i].Key == key {
			return &s.Inputs[i]
		}
	}
	return nil
}

// checkItems bounds the groups and asks for the required values of every
// item and document that the operation touched.
func (f *folding) checkItems() *envelope.Verdict {
	touched := map[string]bool{}
	for _, path := range f.entry.Changed {
		parts := strings.Split(path, "/")
		if len(parts) < 2 {
			continue
		}
		fields, item := f.def.itemFields(parts)
		if fields == nil || touched[item] {
			continue
		}
		touched[item] = true
		if f.itemLacks(fields, item) {
			return verdict(envelope.Invalid, ReasonMissing)
		}
	}
	return f.groupsFit()
}

// itemFields gives the fields of the item that a path belongs to, and the
// item's own path.
func (d *Definition) itemFields(parts []string) ([]Field, string) {
	if parts[0] == "documents" && len(parts) == 4 {
		if doc, ok := d.Document(parts[1]); ok {
			return doc.Fields, strings.Join(parts[:3], "/")
		}
		return nil, ""
	}
	for i := range d.Fields {
		if d.Fields[i].Key == parts[0] && d.Fields[i].Type == TypeGroup && len(parts) > 2 {
			return d.Fields[i].Fields, strings.Join(parts[:2], "/")
		}
	}
	return nil, ""
}

// itemLacks: an item cleared as a whole lacks nothing.
func (f *folding) itemLacks(fields []Field, item string) bool {
	if !hasUnder(f.r, item) {
		return false
	}
	return slices.ContainsFunc(fields, func(field Field) bool {
		return field.Required && !hasUnder(f.r, fmt.Sprintf("%s/%s", item, field.Key))
	})
}

func (f *folding) groupsFit() *envelope.Verdict {
	for i := range f.def.Fields {
		field := &f.def.Fields[i]
		if field.Type == TypeGroup && field.Max > 0 && int64(len(f.r.Items(field.Key))) > field.Max {
			return verdict(envelope.Invalid, ReasonTooMany)
		}
	}
	return nil
}
