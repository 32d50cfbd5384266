package domain

import (
	"cmp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

func compareSealed(a, b envelope.SealedField) int {
	if c := cmp.Compare(a.Path, b.Path); c != 0 {
		return c
	}
	return cmp.Compare(a.Part, b.Part)
}

// Items lists the numbers of a group's items in ascending order.
func (r *Record) Items(group string) []int {
	seen := map[int]bool{}
	for path := range r.Open {
		addItem(seen, group, path)
	}
	for _, f := range r.Sealed {
		addItem(seen, group, f.Path)
	}
	out := make([]int, 0, len(seen))
	for n := range seen {
		out = append(out, n)
	}
	sort.Ints(out)
	return out
}

func addItem(seen map[int]bool, group, path string) {
	rest, ok := strings.CutPrefix(path, group+"/")
	if !ok {
		return
	}
	head, _, ok := strings.Cut(rest, "/")
	if n, err := strconv.Atoi(head); ok && err == nil && n >= 0 {
		seen[n] = true
	}
}

// FieldAt finds the definition of a path: a field, an item's field
// (parties/0/name) or a dossier document's (documents/agreement/0/terms).
func (d *Definition) FieldAt(path string) (*Field, bool) {
	parts := strings.Split(path, "/")
	if parts[0] == "documents" && len(parts) == 4 {
		doc, ok := d.Document(parts[1])
		if !ok || !isItem(parts[2]) {
			return nil, false
		}
		return findField(doc.Fields, parts[3:])
	}
	return findField(d.Fields, parts)
}

func findField(fields []Field, parts []string) (*Field, bool) {
	for i := range fields {
		f := &fields[i]
		if f.Key != parts[0] {
			continue
		}
		switch {
		case f.Type == TypeGroup:
			if len(parts) < 3 || !isItem(parts[1]) {
				return nil, false
			}
			return findField(f.Fields, parts[2:])
		case f.Type == TypePoint:
			// The point is two integers; its exact form is sealed text.
			return f, len(parts) == 1 || len(parts) == 2 && slices.Contains([]string{"lng", "lat", "exact"}, parts[1])
		default:
			return f, len(parts) == 1
		}
	}
	return nil, false
}

// isItem accepts 0 to 999 without leading zeros.
func isItem(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && n < 1000 && strconv.Itoa(n) == s
}

// setFields merges an operation's own values into r and gives what they
// replaced. Reserved inputs are left alone.
func setFields(r *Record, op *envelope.Operation, entry *Entry) {
	for _, path := range sortedPaths(op.Open) {
		if reserved(path) {
			continue
		}
		if v := op.Open[path]; v == nil {
			clearAt(r, path, entry)
		} else {
			if old, had := r.Open[path]; had {
				entry.Was = put(entry.Was, path, old)
			}
			r.Open = put(r.Open, path, v)
		}
		entry.Changed = append(entry.Changed, path)
	}
	for _, f := range op.Sealed {
		if reserved(f.Path) {
			continue
		}
		replaceSealed(r, f, entry)
		if f.Part == 0 {
			entry.Changed = append(entry.Changed, f.Path)
		}
	}
	slices.Sort(entry.Changed)
	entry.Changed = slices.Compact(entry.Changed)
}

func put(m map[string]any, path string, v any) map[string]any {
	if m == nil {
		m = map[string]any{}
	}
	m[path] = v
	return m
}

func reserved(path string) bool { return strings.HasPrefix(path, "_") }

func sortedPaths(m map[string]any) []string {
	paths := make([]string, 0, len(m))
	for p := range m {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

func replaceSealed(r *Record, f envelope.SealedField, entry *Entry) {
	i, ok := slices.BinarySearchFunc(r.Sealed, f, compareSealed)
	if ok {
		entry.WasSealed = append(entry.WasSealed, r.Sealed[i])
		r.Sealed[i] = f
		return
	}
	r.Sealed = slices.Insert(r.Sealed, i, f)
}

// clearAt removes the value at path, open or sealed, and for a point its
// parts: clearing is an open nil.
func clearAt(r *Record, path string, entry *Entry) {
	for _, p := range sortedPaths(r.Open) {
		if under(p, path) {
			entry.Was = put(entry.Was, p, r.Open[p])
			delete(r.Open, p)
		}
	}
	dropSealed(r, path, entry)
}

func under(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

func dropSealed(r *Record, path string, entry *Entry) {
	kept := r.Sealed[:0:0]
	for _, f := range r.Sealed {
		if under(f.Path, path) {
			entry.WasSealed = append(entry.WasSealed, f)
			continue
		}
		kept = append(kept, f)
	}
	r.Sealed = kept
}

// keepInputs copies reserved inputs into the timeline entry.
func keepInputs(op *envelope.Operation, entry *Entry) {
	for path, v := range op.Open {
		if reserved(path) {
			entry.Inputs = put(entry.Inputs, path[1:], v)
		}
	}
	for _, f := range op.Sealed {
		if reserved(f.Path) {
			entry.Sealed = append(entry.Sealed, f)
		}
	}
}

func input(op *envelope.Operation, path string) string {
	s, _ := op.Open[path].(string)
	return s
}

func inputInt(op *envelope.Operation, path string) int64 {
	n, _ := op.Open[path].(int64)
	return n
}

func inputList(op *envelope.Operation, path string) []string {
	l, _ := op.Open[path].([]string)
	return l
}

// typeFits checks an open value against its field. Codes are checked
// against their table before an operation is made, not here: a table may
// grow without touching what stands.
func typeFits(f *Field, path string, v any) bool {
	if v == nil {
		return true
	}
	switch f.Type {
	case TypeCode, TypeOrg, TypeAccount:
		_, ok := v.(string)
		return ok
	case TypeDate:
		s, ok := v.(string)
		_, err := time.Parse(time.DateOnly, s)
		return ok && err == nil
	case TypeLabel:
		s, ok := v.(string)
		return ok && int64(utf8.RuneCountInString(s)) <= cmp.Or(f.Max, MaxLabel)
	case TypeCodes, TypeOrgs, TypeLabels:
		list, ok := v.([]string)
		return ok && (f.Max == 0 || int64(len(list)) <= f.Max)
	case TypeInt, TypeMoney, TypeTime:
		n, ok := v.(int64)
		return ok && (f.Min == 0 && f.Max == 0 || f.Type == TypeTime || n >= f.Min && (f.Max == 0 || n <= f.Max))
	case TypePoint:
		n, ok := v.(int64)
		return ok && onEarth(path, n)
	case TypeBool:
		_, ok := v.(bool)
		return ok
	}
	return false
}

// onEarth checks one coordinate in 1e-6 degree.
func onEarth(path string, n int64) bool {
	switch {
	case strings.HasSuffix(path, "/lng"):
		return n >= -180e6 && n <= 180e6
	case strings.HasSuffix(path, "/lat"):
		return n >= -90e6 && n <= 90e6
	}
	return false
}

// sealedFits says whether sealed text may stand at the field: text, and the
// exact form of a point.
func sealedFits(f *Field, path string) bool {
	return f.Sealed() || f.Type == TypePoint && strings.HasSuffix(path, "/exact")
}

// Expand lists the paths of r that a pattern such as parties/*/name names.
func Expand(r *Record, pattern string) []string {
	group, rest, ok := strings.Cut(pattern, "/*/")
	if !ok {
		return []string{pattern}
	}
	items := r.Items(group)
	out := make([]string, len(items))
	for i, n := range items {
		out[i] = group + "/" + strconv.Itoa(n) + "/" + rest
	}
	return out
}
