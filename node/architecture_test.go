package node_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/fengqiao/fengqiao"

// rooms are the only top-level folders.
var rooms = []string{"cmd", "node", "cluster", "ui", "search", "backup", "packaging"}

// doors names, for every package, which others of the module it may enter.
// Rooms never enter one another; they meet in node. Inside node the lower
// ones know nothing of the upper ones.
var doors = map[string][]string{
	"cluster/envelope":       {"cluster/envelope/frame"},
	"cluster/journal":        {"cluster/envelope", "cluster/envelope/disk", "cluster/envelope/frame"},
	"cluster/envelope/disk":  {},
	"cluster/envelope/frame": {},
	"search":                 {},
	"backup":                 {},
	"ui":                     {},

	"node/api":              {},
	"node/domain":           {"cluster/envelope"},
	"node/domain/clock":     {},
	"node/catalog":          {"cluster/envelope", "node/domain", "node/domain/clock"},
	"node/sheet":            {"node/domain"},
	"node/geo":              {"node/domain"},
	"node/seal":             {"cluster/envelope"},
	"node/identity":         {"cluster/envelope", "cluster/envelope/disk", "node/seal"},
	"node/store":            {"cluster/envelope", "cluster/envelope/disk", "node/domain"},
	"node/internal/lossyfs": {}, // loses unsynced writes; tests alone mount it
	"node/audit":            {"cluster/envelope", "cluster/envelope/disk", "cluster/envelope/frame"},
	"node/certs":            {},
	"node/service": {"cluster/envelope", "cluster/envelope/disk", "node/api", "node/audit", "node/catalog", "node/domain", "node/domain/clock",
		"node/geo", "node/identity", "node/seal", "node/sheet", "node/store"},
	"node/httpapi": {"cluster/envelope", "node/api", "node/domain", "node/service"},
	"node/control": {"cluster/envelope", "node/api", "node/audit", "node/domain", "node/service", "node/sheet", "node/store"},
	"node":         {"cluster/envelope", "cluster/journal", "backup", "search", "node/control", "node/domain", "node/httpapi", "node/identity", "node/service", "node/store"},

	"cmd/fengqiao":      {"*"},
	"cmd/fengqiao/demo": {"cluster/envelope", "node", "node/domain", "node/service"},
}

// keepers are libraries that one room alone may touch, so that they can be
// replaced there.
var keepers = map[string][]string{
	"github.com/gin-gonic/gin":      {"node/httpapi"},
	"github.com/spf13/cobra":        {"cmd/fengqiao"},
	"github.com/blevesearch/bleve":  {"search"},
	"github.com/hashicorp/raft":     {"cluster"},
	"go.etcd.io/bbolt":              {"node/store", "cluster"},
	"github.com/fxamacker/cbor":     {"cluster/envelope"},
	"github.com/shirou/gopsutil":    {"node/httpapi"},
	"github.com/prometheus":         {"node/httpapi"},
	"github.com/swaggest":           {"node/httpapi"},
	"github.com/santhosh-tekuri":    {"node/httpapi"},
	"github.com/goccy/go-yaml":      {"node/catalog"},
	"golang.org/x/crypto/argon2":    {"node/service"},
	"github.com/klauspost/compress": {"backup"},
	"github.com/beevik/ntp":         {"node/service"},
}

// pure is what the rules may import: nothing that reads a clock, a file, a
// locale or chance.
var pure = []string{"bytes", "cmp", "encoding/hex", "encoding/json", "fmt", "io", "maps", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8"}

// impure are the doors that those packages have to clock and machine.
var impure = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"},
	"fmt":  {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
}

// source is one file that is built into the product.
type source struct {
	pkg, file string
	ast       *ast.File
}

func (s source) imports() []string {
	out := make([]string, len(s.ast.Imports))
	for i, im := range s.ast.Imports {
		out[i], _ = strconv.Unquote(im.Path.Value)
	}
	return out
}

// sources parses the module, whatever system a file is built for.
func sources(t *testing.T) []source {
	var out []source
	fset := token.NewFileSet()
	err := filepath.WalkDir("..", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			_, nested := os.Stat(filepath.Join(p, "go.mod"))
			if p != ".." && (nested == nil || strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata" || e.Name() == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(p, ".."+string(filepath.Separator)))
		out = append(out, source{pkg: path.Dir(rel), file: rel, ast: f})
		return nil
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("%d files read: %v", len(out), err)
	}
	return out
}

func under(pkg string, roots []string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return pkg == r || strings.HasPrefix(pkg, r+"/") })
}

// TestArchitecture holds the rooms and doors of the product. Whoever adds a
// package or opens a door writes it into the tables above, where a reader
// sees it.
func TestArchitecture(t *testing.T) {
	met := map[string]bool{}
	for _, s := range sources(t) {
		met[s.pkg] = true
		may, listed := doors[s.pkg]
		if !listed {
			t.Errorf("%s: package %s is not in the table of doors; add it with what it may import", s.file, s.pkg)
			continue
		}
		for _, im := range s.imports() {
			if inside, ok := strings.CutPrefix(im, module+"/"); ok && !slices.Contains(may, inside) && !slices.Contains(may, "*") {
				t.Errorf("%s: %s has no door to %s; let them meet in node", s.file, s.pkg, inside)
			}
			for library, keeper := range keepers {
				if under(im, []string{library}) && !under(s.pkg, keeper) {
					t.Errorf("%s: %s belongs to %v alone", s.file, library, keeper)
				}
			}
		}
		if under(s.pkg, []string{"node/domain"}) {
			checkPure(t, s)
		}
	}
	for pkg := range doors {
		if !met[pkg] {
			t.Errorf("the table of doors names %s, which does not exist", pkg)
		}
	}
}

// checkPure: a fold reads its arguments and nothing else, and gives the
// same on every machine.
func checkPure(t *testing.T, s source) {
	for _, im := range s.imports() {
		if !slices.Contains(pure, im) && !strings.HasPrefix(im, module+"/") {
			t.Errorf("%s: rules may not import %s", s.file, im)
		}
	}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(impure[x.Name], n.Sel.Name) {
				t.Errorf("%s: rules may not call %s.%s", s.file, x.Name, n.Sel.Name)
			}
		case *ast.Ident:
			if n.Name == "float64" || n.Name == "float32" {
				t.Errorf("%s: rules may not use floats, which differ between machines", s.file)
			}
		case *ast.GoStmt, *ast.SendStmt, *ast.SelectStmt:
			t.Errorf("%s: rules may not run concurrently", s.file)
		}
		return true
	})
}

// TestRooms: the top level stays as it is; what builds make is ignored.
func TestRooms(t *testing.T) {
	ignore, err := os.ReadFile("../.gitignore")
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for line := range strings.Lines(string(ignore)) {
		made = append(made, strings.Trim(strings.TrimSpace(line), "/"))
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(rooms, e.Name()) && !slices.Contains(made, e.Name()) {
			t.Errorf("%s/ is not one of the rooms %v", e.Name(), rooms)
		}
	}
}
