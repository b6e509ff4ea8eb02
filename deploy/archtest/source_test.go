package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	funcLinesMax = 70
	fileLinesMax = 500
)

// source is one parsed file of ours; generated files are not among them.
type source struct {
	// path below the repository: "pkg/money/amount.go".
	path string
	file *ast.File
	set  *token.FileSet
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) dir() string { return filepath.ToSlash(filepath.Dir(s.path)) }

func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.set.Position(n.Pos()).Line)
}

// lines is how many lines a node has.
func (s source) lines(n ast.Node) int {
	return s.set.Position(n.End()).Line - s.set.Position(n.Pos()).Line + 1
}

// inDomain reports whether the file holds rules about money: a domain room, or the money itself.
func (s source) inDomain() bool {
	_, name, ok := room(s.dir())
	return (ok && name == "domain") || below(s.dir(), "pkg/money")
}

// sources parses all files of the four modules, once.
var sources = sync.OnceValues(func() ([]source, error) {
	repository := filepath.Join("..", "..")
	var all []source
	for _, module := range layers() {
		err := filepath.WalkDir(filepath.Join(repository, module), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || d.IsDir() {
				return err
			}
			short, err := filepath.Rel(repository, path)
			if err != nil {
				return err
			}
			s, err := parse(filepath.ToSlash(short), path, nil)
			if err == nil && !ast.IsGenerated(s.file) {
				all = append(all, s)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
})

func parse(short, path string, text any) (source, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{path: short, file: file, set: set}, err
}

// sourceRule looks at one file and gives what breaks it.
type sourceRule struct {
	name  string
	check func(s source) []string
	// bad breaks the rule once, good does not; the path decides which files a rule is for.
	bad, good map[string]string
}

// uses gives the places where a file uses one of a package's names, under whatever name it imports the package.
func (s source) uses(importPath string, names ...string) []string {
	local := ""
	for _, i := range s.file.Imports {
		if strings.Trim(i.Path.Value, `"`) == importPath {
			local = importPath[strings.LastIndexByte(importPath, '/')+1:]
			if i.Name != nil {
				local = i.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	var out []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == local && (len(names) == 0 || slices.Contains(names, sel.Sel.Name)) {
			out = append(out, fmt.Sprintf("%s uses %s.%s", s.at(sel), local, sel.Sel.Name))
		}
		return true
	})
	return out
}

func (s source) functions() []*ast.FuncDecl {
	var out []*ast.FuncDecl
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			out = append(out, f)
		}
	}
	return out
}

func sourceRules() []sourceRule {
	return append(behaviourRules(), sizeRules()...)
}

func behaviourRules() []sourceRule {
	return []sourceRule{
		{"only commands end the process", func(s source) []string {
			if s.test() || slices.Contains(strings.Split(s.dir(), "/"), "cmd") || one(s.dir(), "pkg/service", "pkg/testkit") {
				return nil
			}
			return append(s.uses("os", "Exit"), s.uses("log", "Fatal", "Fatalf", "Fatalln")...)
		}, map[string]string{"pkg/x/x.go": `package x; import "os"; func f() { os.Exit(1) }`},
			map[string]string{"services/order/cmd/order/main.go": `package main; import "os"; func main() { os.Exit(1) }`}},
		{"domain takes time as an argument", func(s source) []string {
			if s.test() || !s.inDomain() {
				return nil
			}
			return s.uses("time", "Now", "Since", "Until", "After", "NewTimer", "NewTicker", "Sleep")
		}, map[string]string{"services/bill/internal/domain/x.go": `package domain; import clock "time"; func f() { clock.Now() }`},
			map[string]string{"services/bill/internal/app/x.go": `package app; import "time"; func f() { time.Now() }`}},
		{"no floating point where money is", func(s source) []string {
			if s.test() || !s.inDomain() {
				return nil
			}
			return s.identifiers("float32", "float64")
		}, map[string]string{"pkg/money/x.go": `package money; func f(x float64) {}`, "services/bill/internal/domain/x.go": `package domain; var x = float32(1)`},
			map[string]string{"pkg/clock/x.go": `package clock; func f(x float64) {}`}},
		{"app uses of mysqlx only what reads an error", func(s source) []string {
			if _, name, ok := room(s.dir()); s.test() || !ok || name != "app" {
				return nil
			}
			return slices.DeleteFunc(s.uses(root+"pkg/mysqlx"), func(v string) bool { return strings.HasSuffix(v, "mysqlx.Duplicate") })
		}, map[string]string{"services/bill/internal/app/x.go": `package app; import "github.com/creditpay/creditpay/pkg/mysqlx"; var x mysqlx.DB`},
			map[string]string{"services/bill/internal/app/x.go": `package app; import "github.com/creditpay/creditpay/pkg/mysqlx"; var x = mysqlx.Duplicate`}},
		{"nothing happens by being imported", func(s source) []string {
			var out []string
			for _, f := range s.functions() {
				if f.Recv == nil && f.Name.Name == "init" {
					out = append(out, s.at(f)+" is an init function")
				}
			}
			return out
		}, map[string]string{"pkg/x/x.go": `package x; func init() {}`}, map[string]string{"pkg/x/x.go": `package x; type t struct{}; func (t) init() {}`}},
		{"tests do not sleep and do not skip", func(s source) []string {
			if !s.test() {
				return nil
			}
			return append(s.uses("time", "Sleep"), s.skips()...)
		}, map[string]string{"pkg/x/x_test.go": `package x; import "time"; func f() { time.Sleep(1) }`, "pkg/x/y_test.go": `package x; func f(t *testing.T) { t.Skipf("x") }`},
			map[string]string{"pkg/x/x.go": `package x; import "time"; func f() { time.Sleep(1) }`, "pkg/x/x_test.go": `package x; func f(t *testing.T) { t.Log("x") }`}},
	}
}

func sizeRules() []sourceRule {
	return []sourceRule{
		{fmt.Sprintf("a function has at most %d lines", funcLinesMax), func(s source) []string {
			if s.test() {
				return nil
			}
			var out []string
			for _, f := range s.functions() {
				if n := s.lines(f); n > funcLinesMax {
					out = append(out, fmt.Sprintf("%s: %s has %d lines", s.at(f), f.Name.Name, n))
				}
			}
			return out
		}, map[string]string{"pkg/x/x.go": "package x\nfunc f() {" + strings.Repeat("\n", funcLinesMax) + "}"},
			map[string]string{"pkg/x/x.go": "package x\nfunc f() {" + strings.Repeat("\n", funcLinesMax-1) + "}"}},
		{fmt.Sprintf("a file has at most %d lines", fileLinesMax), func(s source) []string {
			n := s.set.File(s.file.FileStart).LineCount()
			if s.test() || n <= fileLinesMax {
				return nil
			}
			return []string{fmt.Sprintf("%s has %d lines", s.path, n)}
		}, map[string]string{"pkg/x/x.go": "package x" + strings.Repeat("\n", fileLinesMax+1)},
			map[string]string{"pkg/x/x.go": "package x" + strings.Repeat("\n", fileLinesMax)}},
	}
}

func (s source) identifiers(names ...string) []string {
	var out []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		if x, ok := n.(*ast.Ident); ok && slices.Contains(names, x.Name) {
			out = append(out, fmt.Sprintf("%s uses %s", s.at(x), x.Name))
		}
		return true
	})
	return out
}

// skips finds calls that skip a test, on a variable named as tests name theirs.
func (s source) skips() []string {
	var out []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
			if x, ok := sel.X.(*ast.Ident); ok && slices.Contains([]string{"t", "b", "f", "tb"}, x.Name) {
				out = append(out, s.at(call)+" skips")
			}
		}
		return true
	})
	return out
}

func TestSource(t *testing.T) {
	t.Parallel()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("only %d files were found", len(all))
	}
	for _, r := range sourceRules() {
		for _, s := range all {
			for _, v := range r.check(s) {
				t.Errorf("%s: %s", r.name, v)
			}
		}
	}
}

func TestSourceRulesCanFail(t *testing.T) {
	t.Parallel()
	for _, r := range sourceRules() {
		for want, texts := range map[int]map[string]string{1: r.bad, 0: r.good} {
			if len(texts) == 0 {
				t.Errorf("%s: no example", r.name)
			}
			for path, text := range texts {
				s, err := parse(path, path, text)
				if err != nil {
					t.Fatal(err)
				}
				if got := r.check(s); len(got) != want {
					t.Errorf("%s: %s: %v, want %d", r.name, path, got, want)
				}
			}
		}
	}
}
