package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/fengqiao/fengqiao/node/domain"
)

// maxSource bounds the text of one kind, so that it fits into one
// operation.
const maxSource = 200 << 10

// Error says where a definition is wrong and why.
type Error struct {
	File   string
	Line   int // from 1; 0 when the file as a whole is meant
	Column int
	Reason domain.Text
}

// Error gives file:line:column and the Chinese reason.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s (%s)", e.File, e.Line, e.Column, e.Reason.ZH, e.Reason.EN)
}

// Errors are all that is wrong with one definition, in order of lines.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the first Error.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// Parse reads one kind from YAML, expands its generic steps and checks it.
// Every error it returns is an Errors.
func Parse(name string, data []byte) (*domain.Definition, error) {
	base, err := shared()
	if err != nil {
		return nil, err
	}
	v := &validator{file: name, base: base, ownSteps: -1}
	if len(data) > maxSource {
		return nil, Errors{v.at(nil, fmt.Sprintf("定义超过 %d KiB,请精简", maxSource>>10), fmt.Sprintf("The definition exceeds %d KiB. Shorten it.", maxSource>>10))}
	}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, Errors{v.yamlError(err)}
	}
	if len(tree.Docs) != 1 || tree.Docs[0].Body == nil {
		return nil, Errors{v.at(nil, "文件应正好含有一个定义", "The file must hold exactly one definition.")}
	}
	v.places = map[string]*token.Position{}
	if pos := v.locate("", tree.Docs[0].Body); pos != nil {
		return nil, Errors{v.at(pos, "不支持 YAML 锚点和别名，请写全", "YAML anchors and aliases are not supported. Write it out.")}
	}
	var doc document
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&doc); err != nil {
		return nil, Errors{v.yamlError(err)}
	}
	v.expand(&doc)
	v.def = &doc.Definition
	v.check()
	if len(v.errors) > 0 {
		return nil, v.sorted()
	}
	domain.Prepare(v.def)
	return v.def, nil
}

// yamlError turns an error of the YAML library into one with a place.
func (v *validator) yamlError(err error) *Error {
	var y yaml.Error
	if !errors.As(err, &y) {
		return v.at(nil, "无法读取："+err.Error(), "Cannot be read: "+err.Error())
	}
	var pos *token.Position
	if t := y.GetToken(); t != nil {
		pos = t.Position
	}
	message := y.GetMessage()
	var unknown *yaml.UnknownFieldError
	var twice *yaml.DuplicateKeyError
	switch {
	case errors.As(err, &unknown):
		return v.at(pos, "没有这个键，请检查拼写："+message, "There is no such key. Check the spelling: "+message)
	case errors.As(err, &twice), strings.Contains(message, "already defined"):
		return v.at(pos, "键重复："+message, "The key stands twice: "+message)
	}
	return v.at(pos, "格式不正确："+message, "Not well formed: "+message)
}

// locate remembers where every value stands, keyed like steps[2].to. It
// gives the place of the first alias, which is refused since a few lines
// of them can grow without bound.
func (v *validator) locate(path string, n ast.Node) *token.Position {
	switch n := n.(type) {
	case *ast.AliasNode:
		return n.GetToken().Position
	case *ast.AnchorNode:
		return n.GetToken().Position
	case *ast.MappingNode:
		for _, pair := range n.Values {
			if pos := v.locatePair(path, pair); pos != nil {
				return pos
			}
		}
	case *ast.MappingValueNode:
		return v.locatePair(path, n)
	case *ast.SequenceNode:
		for i, item := range n.Values {
			at := fmt.Sprintf("%s[%d]", path, i)
			v.places[at] = first(item)
			if pos := v.locate(at, item); pos != nil {
				return pos
			}
		}
	}
	return nil
}

func (v *validator) locatePair(path string, pair *ast.MappingValueNode) *token.Position {
	at := strings.TrimPrefix(path+"."+pair.Key.GetToken().Value, ".")
	v.places[at] = pair.Key.GetToken().Position
	return v.locate(at, pair.Value)
}

// first is where a value begins: a mapping with its first key.
func first(n ast.Node) *token.Position {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken().Position
	}
	if m, ok := n.(*ast.MappingValueNode); ok {
		return m.Key.GetToken().Position
	}
	return n.GetToken().Position
}
