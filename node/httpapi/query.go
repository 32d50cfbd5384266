package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/fengqiao/fengqiao/node/api"
)

// checkQuery holds the parameters in the address to what the route says of
// them.
func (c *call) checkQuery() error {
	var wrong []api.FieldProblem
	for _, p := range c.route.Query {
		values := c.QueryArray(p.Name)
		if len(values) == 0 && !p.Required {
			continue
		}
		if code, zh, en := p.check(values); code != "" {
			wrong = append(wrong, api.FieldProblem{Field: p.Name, Code: code, Message: say(c.lang(), zh, en)})
		}
	}
	if wrong == nil {
		return nil
	}
	return problem{status: http.StatusUnprocessableEntity, code: "invalid_input", zh: "网址中的条件不符合要求，请刷新页面后重新选择", en: "A condition in the address is not valid. Reload the page and choose again.", fields: wrong}
}

func (p Param) check(values []string) (code, zh, en string) {
	if len(values) != 1 {
		return "required", "条件 " + p.Name + " 应给出一次", "Give " + p.Name + " once."
	}
	v := values[0]
	switch p.Kind {
	case whole:
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < 0 || p.Max > 0 && n > int64(p.Max) {
			return "out_of_range", "条件 " + p.Name + " 应为有效的整数", p.Name + " must be a whole number in range."
		}
	case boolean:
		if v != "true" && v != "false" {
			return "not_bool", "条件 " + p.Name + " 应为 true 或 false", p.Name + " must be true or false."
		}
	default:
		if !utf8.ValidString(v) || utf8.RuneCountInString(v) > p.Max {
			return "too_long", fmt.Sprintf("条件 %s 最多 %d 字", p.Name, p.Max), fmt.Sprintf("%s has at most %d characters.", p.Name, p.Max)
		}
		if v != "" && p.Enum != nil && !slices.Contains(p.Enum, v) {
			return "unknown_code", "条件 " + p.Name + " 不在可选范围内", p.Name + " is not one of the choices."
		}
	}
	return "", "", ""
}

// Query reads a parameter that the route describes; any other is a mistake
// of the route.
func (c *call) Query(name string) string {
	if !slices.ContainsFunc(c.route.Query, func(p Param) bool { return p.Name == name }) {
		panic("httpapi: " + c.route.ID + " does not describe the parameter " + name)
	}
	return c.Context.Query(name)
}

// int reads a number, 0 where it is not given.
func (c *call) int(name string) int64 {
	n, _ := strconv.ParseInt(c.Query(name), 10, 64) // checked by checkQuery
	return n
}
