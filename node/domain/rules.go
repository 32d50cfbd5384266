package domain

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// Rules is what a fold may read besides the operation and its record:
// policy, catalogue and organisation tree at the operation's place.
type Rules interface {
	// Definition finds a version that stands in the order.
	Definition(ref envelope.DefinitionRef) (*Definition, bool)
	// Authority reports whether the actor held the role for the
	// organisation at that index of the policy.
	Authority(actor envelope.Actor, policy uint64) bool
	// Organisation finds a node of the tree.
	Organisation(code string) (Organisation, bool)
	// Seat gives the box that may write class A for a custodian.
	Seat(custodian string) Seat
}

// Organisation is one node of the tree: county, township, village, grid,
// station, committee.
type Organisation struct {
	Code   string
	Parent string
	Level  string
}

// Organisation levels.
const (
	LevelCounty    = "county"
	LevelTownship  = "township"
	LevelVillage   = "village"
	LevelGrid      = "grid"
	LevelStation   = "station"
	LevelCommittee = "committee"
)

// Seat is the box that writes for a custodian and its term. A lone box has
// term 0 and itself as every seat.
type Seat struct {
	Origin envelope.Hash
	Term   uint64
}

// maxDepth bounds the way up, should a tree ever hold a ring.
const maxDepth = 8

// Within reports whether org is ancestor or lies below it.
func Within(rules Rules, org, ancestor string) bool {
	for depth := 0; depth < maxDepth && org != ""; depth++ {
		if org == ancestor {
			return true
		}
		node, ok := rules.Organisation(org)
		if !ok {
			return false
		}
		org = node.Parent
	}
	return false
}

// upward lists org and everything that it lies within.
func upward(rules Rules, org string) (out []string) {
	for depth := 0; depth < maxDepth && org != ""; depth++ {
		out = append(out, org)
		node, ok := rules.Organisation(org)
		if !ok {
			break
		}
		org = node.Parent
	}
	return out
}

// CustodianOf gives the organisation that owns what org reports: its
// township, or the county for county organisations. "" when org is unknown.
func CustodianOf(rules Rules, org string) string {
	for depth := 0; depth < maxDepth && org != ""; depth++ {
		node, ok := rules.Organisation(org)
		if !ok {
			return ""
		}
		if node.Level == LevelTownship || node.Level == LevelCounty {
			return node.Code
		}
		org = node.Parent
	}
	return ""
}

// Failed says which condition of a step is not met.
type Failed struct {
	Condition Condition
	Path      string // the first field concerned, "" when none
}

// Check evaluates conditions in order and gives the first that fails.
func Check(conds []Condition, r *Record) (Failed, bool) {
	for _, c := range conds {
		if path, ok := holds(c, r, ""); !ok {
			return Failed{Condition: c, Path: path}, false
		}
	}
	return Failed{}, true
}

// CheckAll gives every condition that fails, for a person to work through.
func CheckAll(conds []Condition, r *Record) []Failed {
	var failed []Failed
	for _, c := range conds {
		if path, ok := holds(c, r, ""); !ok {
			failed = append(failed, Failed{Condition: c, Path: path})
		}
	}
	return failed
}

// holds evaluates c with relative paths below prefix.
func holds(c Condition, r *Record, prefix string) (string, bool) {
	if c.When != nil {
		if _, applies := holds(*c.When, r, prefix); !applies {
			return "", true
		}
	}
	switch {
	case c.Field != "":
		return prefix + c.Field, valueIn(r.Open[prefix+c.Field], c.In)
	case c.Present != "":
		return prefix + c.Present, r.Has(prefix + c.Present)
	case c.Absent != "":
		return prefix + c.Absent, !r.Has(prefix + c.Absent)
	case c.Items != "":
		return c.Items, enough(c, r)
	case c.Every != "":
		return everyItem(c, r)
	case c.Document != "":
		return "documents/" + c.Document, r.Filed(c.Document) >= max(c.Count, 1)
	case len(c.State) > 0:
		return "", slices.Contains(c.State, r.State)
	case c.Rule != "":
		rule := predicates[c.Rule]
		return "", rule != nil && rule(r)
	case c.Not != nil:
		path, ok := holds(*c.Not, r, prefix)
		return path, !ok
	case len(c.All) > 0:
		for _, sub := range c.All {
			if path, ok := holds(sub, r, prefix); !ok {
				return path, false
			}
		}
		return "", true
	case len(c.Any) > 0:
		path := ""
		for _, sub := range c.Any {
			p, ok := holds(sub, r, prefix)
			if ok {
				return "", true
			}
			if path == "" {
				path = p
			}
		}
		return path, false
	}
	return "", false
}

// enough counts the items of a group, those that pass where asked.
func enough(c Condition, r *Record) bool {
	n := 0
	for _, item := range r.Items(c.Items) {
		if c.Pass != nil {
			if _, ok := holds(*c.Pass, r, fmt.Sprintf("%s/%d/", c.Items, item)); !ok {
				continue
			}
		}
		n++
	}
	if c.AtMost > 0 {
		return n <= c.AtMost
	}
	return n >= max(c.Count, 1)
}

func everyItem(c Condition, r *Record) (string, bool) {
	if c.Pass == nil {
		return c.Every, false
	}
	for _, n := range r.Items(c.Every) {
		prefix := fmt.Sprintf("%s/%d/", c.Every, n)
		if path, ok := holds(*c.Pass, r, prefix); !ok {
			return path, false
		}
	}
	return "", true
}

// valueIn compares codes; booleans are "true" and "false", absent is "".
func valueIn(v any, in []string) bool {
	switch v := v.(type) {
	case string:
		return slices.Contains(in, v)
	case bool:
		return slices.Contains(in, strconv.FormatBool(v))
	case int64:
		return slices.Contains(in, strconv.FormatInt(v, 10))
	case []string:
		return slices.ContainsFunc(v, func(s string) bool { return slices.Contains(in, s) })
	}
	return slices.Contains(in, "")
}

// Filed counts the standing documents of a type, scans included.
func (r *Record) Filed(docType string) int {
	n := 0
	for _, d := range r.Documents {
		if d.Type == docType && !d.Void {
			n++
		}
	}
	for _, f := range r.Files {
		if f.Document == docType {
			n++
		}
	}
	return n
}

// predicates are numbered, frozen pure functions for what conditions
// cannot say. A new one gets a new name and raises the level.
var predicates = map[string]func(*Record) bool{
	"no_open_offer/1":    func(r *Record) bool { return r.Offer == nil },
	"nothing_asked/1":    func(r *Record) bool { return len(r.Asked) == 0 },
	"no_open_assist/1":   func(r *Record) bool { return !slices.ContainsFunc(r.Assists, func(a Assist) bool { return !a.Done }) },
	"everybody_read/1":   everybodyRead,
	"not_suspended/1":    func(r *Record) bool { return !r.Suspended },
	"returned_often/1":   func(r *Record) bool { return r.Returns >= 2 },
	"no_live_children/1": func(r *Record) bool { return len(r.Children) == 0 },
}

// Predicate reports whether a numbered predicate is known to this release.
func Predicate(name string) bool { return predicates[name] != nil }

func everybodyRead(r *Record) bool {
	return !slices.ContainsFunc(r.Copies, func(c Copy) bool { return len(c.ReadBy) == 0 })
}
