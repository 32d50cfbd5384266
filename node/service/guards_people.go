package service

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// ownRights are the steps that nobody takes on their own account, so that
// the security administrator cannot widen or keep their own rights.
var ownRights = []string{"grant", "lock", "unlock", "disable", "enable", "set_password"}

// emergencySteps are what people may do to the break-glass account: its
// codes and its name belong to the emergency sheet.
var emergencySteps = []string{"disable", "enable", "note"}

// guardAccount holds the separation of duties whatever way a step comes:
// nobody changes their own rights, no account has two administrators or one
// beside casework, each of the three always has somebody.
func (t *turn) guardAccount(d *draft, r *domain.Record) error {
	p, machine := t.policy(), isMachine(d.caller.Subject)
	old := p.accounts[d.record]
	switch {
	case machine:
	case d.step.ID == "set_password":
		return ErrForbidden // the box hashes; a hash from outside is a password that nobody checked
	case d.record == d.caller.User && slices.Contains(ownRights, d.step.ID):
		return ErrForbidden
	case old != nil && old.Username == breakGlassUser && !slices.Contains(emergencySteps, d.step.ID):
		return ErrForbidden
	}
	var wrong InputError
	if name, given := d.values.open["username"].(string); given {
		p.guardUsername(&wrong, d.record, name, machine)
	}
	if texts, given := d.values.open["grants"].([]string); given {
		grants := grantsOf(texts)
		p.checkGrants(&wrong, grants)
		if len(grants) != len(texts) {
			wrong.add("grants", "bad_grant", "角色授权应写成 角色@单位代码", "A grant is written as role@organisation.")
		}
		if !machine {
			p.guardScope(&wrong, d.caller, grants)
		}
	} else if r == nil || d.step.ID == "grant" {
		wrong.add("grants", "required", "请至少给一个角色，最多 16 个", "Give one to sixteen roles.")
	}
	p.guardLast(&wrong, d, old)
	return wrong.orNil()
}

// guardUsername: a name is one person's, and the emergency sheet's is nobody's.
func (p *policy) guardUsername(wrong *InputError, account envelope.RecordID, name string, machine bool) {
	checkUsername(wrong, "username", name)
	holder, taken := p.usernames[name]
	if taken && holder != account || name == breakGlassUser && !machine {
		wrong.add("username", "taken", "用户名已有人使用，请换一个", "The user name is taken. Choose another.")
	}
}

// guardScope: an administrator gives rights inside their own organisation.
func (p *policy) guardScope(wrong *InputError, c Caller, grants []domain.Grant) {
	for _, g := range grants {
		covered := slices.ContainsFunc(c.Grants, func(own domain.Grant) bool {
			return own.Role == domain.RoleSecurityAdmin && domain.Within(p, g.Organisation, own.Organisation)
		})
		if !covered {
			wrong.add("grants", "outside", "只能授予本单位范围内的角色", "Rights can only be given inside your own organisation.")
			return
		}
	}
}

// guardLast keeps at least one active holder of each administrator's role.
func (p *policy) guardLast(wrong *InputError, d *draft, old *account) {
	if old == nil || !old.active() {
		return
	}
	kept := old.Grants
	switch d.step.ID {
	case "grant":
		texts, _ := d.values.open["grants"].([]string)
		kept = grantsOf(texts)
	case "disable", "lock":
		kept = nil
	default:
		return
	}
	for _, role := range domain.AdminRoles() {
		if hasRole(old.Grants, role) && !hasRole(kept, role) && !p.othersHold(role, old.ID) {
			wrong.add("grants", "last_admin", "这是最后一名"+p.box.embedded.Label("role", role).ZH+"，请先另设一名", "This is the last holder of an administrator's role. Name another one first.")
		}
	}
}

func hasRole(grants []domain.Grant, role string) bool {
	return slices.ContainsFunc(grants, func(g domain.Grant) bool { return g.Role == role })
}

func (p *policy) othersHold(role string, but envelope.RecordID) bool {
	for id, a := range p.accounts {
		if id != but && a.active() && hasRole(a.Grants, role) {
			return true
		}
	}
	return false
}

// grantsOf reads role@organisation; what is written otherwise is left out.
func grantsOf(texts []string) []domain.Grant {
	var out []domain.Grant
	for _, s := range texts {
		if role, org, ok := strings.Cut(s, "@"); ok {
			out = append(out, domain.Grant{Role: role, Organisation: org})
		}
	}
	return out
}

// maxTree is the deepest place in the tree of organisations, as far as
// scopes are followed upwards.
const maxTree = 6

// guardOrganisation keeps the tree a tree: codes are unique and stay, a
// parent exists and does not lie below its own child.
func (t *turn) guardOrganisation(d *draft, r *domain.Record) error {
	var wrong InputError
	p := t.policy()
	own := ""
	if r != nil {
		own = r.Text("code")
	}
	if code, given := d.values.open["code"].(string); given {
		if other, known := p.organisations[code]; own != "" && code != own || known && other.Record != d.record {
			wrong.add("code", "taken", "机构代码不能修改，也不能重复", "A code is unique and cannot be changed.")
			return &wrong
		}
		own = code
	}
	parent, _ := d.values.open["parent"].(string)
	if fixed, ok := d.open["parent"].(string); ok {
		parent = fixed
	}
	if _, known := p.organisations[parent]; parent != "" && !known {
		wrong.add("parent", "unknown_organisation", "没有这个上级单位，请先新建上级", "There is no such parent. Make the parent first.")
	}
	for depth := 0; parent != ""; depth++ {
		if parent == own || depth == maxTree {
			wrong.add("parent", "circle", "上级单位不能是本单位或其下级，层级最多 "+strconv.Itoa(maxTree)+" 级", "The parent cannot be the organisation itself or one below it, nor too deep.")
			break
		}
		next, ok := p.organisations[parent]
		if !ok {
			break
		}
		parent = next.Parent
	}
	return wrong.orNil()
}
