package catalog

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/fengqiao/fengqiao/node/domain"
)

// generic asks for the steps that every kind has. A version of the
// templates never changes, since stored kinds are expanded with it; a
// change is a new version.
type generic struct {
	Version int                 `yaml:"version"`
	Steps   []string            `yaml:"steps"` // of the template; empty: all
	Except  []string            `yaml:"except"`
	Start   string              `yaml:"start"` // state of a matter taken over from another custodian
	Roles   map[string][]string `yaml:"roles"` // for the groups that templates name as @group
}

// document is a kind as written: a definition and the generic steps that it
// uses.
type document struct {
	domain.Definition `yaml:",inline"`
	Generic           *generic `yaml:"generic"`
}

func loadGeneric() (map[int]map[string]domain.Step, error) {
	names, err := fs.Glob(files, "generic/*.yaml")
	if err != nil {
		return nil, err
	}
	out := map[int]map[string]domain.Step{}
	for _, name := range names {
		version, err := strconv.Atoi(strings.TrimSuffix(path.Base(name), ".yaml"))
		if err != nil {
			return nil, fmt.Errorf("catalog: %s: the name must be a version number", name)
		}
		var steps []domain.Step
		if err := readStrict(name, &steps); err != nil {
			return nil, err
		}
		out[version] = map[string]domain.Step{}
		for _, s := range steps {
			out[version][s.ID] = s
		}
	}
	return out, nil
}

// expand adds the generic steps that the kind does not define itself, in
// order of their id.
func (v *validator) expand(doc *document) {
	g := doc.Generic
	if g == nil {
		return
	}
	templates, ok := v.base.generic[g.Version]
	if !ok {
		v.bad("generic.version", "没有这个版本的通用步骤", "There is no such version of the generic steps.")
		return
	}
	wanted := g.Steps
	if len(wanted) == 0 {
		wanted = slices.Sorted(maps.Keys(templates))
	}
	for i, id := range slices.Concat(wanted, g.Except) {
		if _, ok := templates[id]; !ok {
			v.bad(fmt.Sprintf("generic.steps[%d]", i), "没有通用步骤 "+id, "There is no generic step "+id+".")
		}
	}
	own := map[string]bool{}
	for i := range doc.Steps {
		own[doc.Steps[i].ID] = true
	}
	v.ownSteps = len(doc.Steps)
	for _, id := range slices.Sorted(slices.Values(wanted)) {
		if step, ok := templates[id]; ok && !own[id] && !slices.Contains(g.Except, id) {
			doc.Steps = append(doc.Steps, v.instance(step, g))
		}
	}
}

// instance fills a template: @groups of roles, @start.
func (v *validator) instance(step domain.Step, g *generic) domain.Step {
	roles := []string{}
	for _, role := range step.Roles {
		group, ok := strings.CutPrefix(role, "@")
		if !ok {
			roles = append(roles, role)
			continue
		}
		if _, ok := g.Roles[group]; !ok {
			v.bad("generic.roles", "通用步骤 "+step.ID+" 需要角色组 "+group, "The generic step "+step.ID+" needs the group of roles "+group+".")
		}
		roles = append(roles, g.Roles[group]...)
	}
	slices.Sort(roles)
	step.Roles = slices.Compact(roles)
	if step.To == "@start" {
		step.To = g.Start
	}
	return step
}
