package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// typed is a package of ours, without its tests, with the types of its expressions.
type typed struct {
	path  string
	files []*ast.File
	set   *token.FileSet
	info  *types.Info
}

func (p typed) at(n ast.Node) string {
	pos := p.set.Position(n.Pos())
	return fmt.Sprintf("%s/%s:%d", p.path, filepath.Base(pos.Filename), pos.Line)
}

// compiled lists the compiled form of every package that ours import, once.
var compiled = sync.OnceValues(func() (map[string]string, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export", "./pkg/...", "./services/...", "./deploy/...")
	cmd.Dir = filepath.Join("..", "..")
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &failed)
	}
	files := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		files[p.ImportPath] = p.Export
	}
	return files, nil
})

// newImporter makes an importer, which serves one goroutine.
func newImporter(t *testing.T) types.Importer {
	t.Helper()
	files, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("nothing compiled of %s", path)
		}
		return os.Open(files[path])
	})
}

// typeCheck finds the types in the files of a package, given by name; text may stand for a file's content.
func typeCheck(from types.Importer, path string, names []string, text any) (typed, error) {
	p := typed{path: path, set: token.NewFileSet(), info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}}
	for _, name := range names {
		file, err := parser.ParseFile(p.set, name, text, parser.SkipObjectResolution)
		if err != nil {
			return typed{}, err
		}
		p.files = append(p.files, file)
	}
	_, err := (&types.Config{Importer: from}).Check(root+path, p.set, p.files, p.info)
	return p, err
}

// typedRule looks at one package with its types and returns what breaks it.
type typedRule struct {
	name  string
	check func(p typed) []string
	// bad breaks the rule once per file, good does not; the path decides which packages a rule is for.
	bad, good map[string]string
}

func typedRules() []typedRule {
	return []typedRule{
		{"texts are cut by pkg/text only", cutsText, map[string]string{
			"pkg/x/a.go":                      `package x; const n = 400; func f(s string) string { return s[:n] }`,
			"services/bill/internal/app/b.go": `package app; func f(e error, n int) string { return e.Error()[:n] }`,
			"pkg/x/c.go":                      `package x; type reason string; func f(s reason) string { return string([]rune(s)[:7]) }`,
			"pkg/x/d.go":                      `package x; func f(s string) string { return s[1:] }`,
		}, map[string]string{
			"pkg/x/a.go":        `package x; func f(b []byte, i int, s string) (any, any) { return b[:7], s[i:] }`,
			"pkg/text/b.go":     `package text; func f(s string) string { return s[:7] }`,
			"proto/c.go":        `package proto; func f(s string) string { return s[:7] }`,
			"deploy/bench/d.go": `package bench; func f(s string) string { return s[:7] }`,
		}},
		{"people read what pkg/text has shown as lines", printsRaw, map[string]string{
			"deploy/creditctl/a.go":        `package x; import ("fmt"; "io"); func f(w io.Writer, s string) { fmt.Fprintf(w, "%s", s) }`,
			"deploy/creditctl/b.go":        `package x; import "io"; func f(w io.Writer, s string) { io.WriteString(w, s) }`,
			"deploy/devstack/c.go":         `package x; import "io"; func f(w io.Writer, b []byte) { w.Write(b) }`,
			"deploy/devstack/program/d.go": `package x; import "fmt"; func f(s string) { fmt.Println(s) }`,
			"deploy/creditctl/e.go":        `package x; func f(s string) { print(s) }`,
			"deploy/creditctl/f.go":        `package x; import ("io"; "github.com/creditpay/creditpay/pkg/text"); func f(w io.Writer, s string) { text.Fprintf(w, s) }`,
			"deploy/creditctl/h.go":        `package x; func f(say func(string, ...any), s string) { say("user "+s) }`,
			"deploy/creditctl/g.go":        `package x; import ("io"; "encoding/json"); func f(w io.Writer) { json.NewEncoder(w) }`,
		}, map[string]string{
			"deploy/creditctl/a.go": `package x; import "fmt"; func f(s string) string { return fmt.Sprintf("%s", s) }`,
			"deploy/creditctl/c.go": `package x; import ("io"; "github.com/creditpay/creditpay/pkg/text"); func f(w io.Writer, s string) {
				p := func(format string, args ...any) { text.Fprintf(w, "> "+format, args...) }
				p("%s", s)
			}`,
			"deploy/bench/b.go": `package x; import "fmt"; func f(s string) { fmt.Println(s) }`,
		}},
	}
}

// cutsAllowed are the functions that cut a string whose letters they know, with the reason.
func cutsAllowed() map[string]string {
	return map[string]string{
		"pkg/auth Bearer":                                  "an ASCII scheme, compared before it is cut off",
		"pkg/ids Parse":                                    "an id's prefix, compared as a whole",
		"pkg/money Decimal":                                "digits and a sign of our own",
		"pkg/testkit privateInstance":                      "a UUID of our own",
		"services/bill/internal/domain amount":             "digits of our own",
		"services/bill/internal/domain MaskPhone":          "digits: CheckSigner has refused all else",
		"services/bill/internal/adapter/contractpdf parts": "between words",
		"services/bill/internal/adapter/contractpdf drawn": "a run of the shaper, which ends between letters",
		"services/notification/internal/domain SignGM2":    "a digest in hexadecimal",
	}
}

// cutsText finds slices of texts that may end or begin inside a letter: with an upper bound, or from a fixed place. What begins at a
// place that was searched for is fine.
func cutsText(p typed) []string {
	if below(p.path, "pkg/text") || !below(p.path, "pkg") && !below(p.path, "services") {
		return nil
	}
	var out []string
	for _, file := range p.files {
		for _, d := range file.Decls {
			place := p.path
			if f, ok := d.(*ast.FuncDecl); ok {
				place += " " + f.Name.Name
			}
			ast.Inspect(d, func(n ast.Node) bool {
				s, ok := n.(*ast.SliceExpr)
				if ok && p.cuts(s) && cutsAllowed()[place] == "" {
					out = append(out, fmt.Sprintf("%s (%s) slices a text", p.at(s), place))
				}
				return true
			})
		}
	}
	return out
}

func (p typed) cuts(s *ast.SliceExpr) bool {
	switch t := p.info.Types[s.X].Type.Underlying().(type) {
	case *types.Basic:
		if t.Info()&types.IsString == 0 {
			return false
		}
	case *types.Slice:
		// Runes count as text: cutting them is what pkg/text does better.
		if b, ok := t.Elem().(*types.Basic); !ok || b.Name() != "rune" && b.Kind() != types.Int32 || s.High == nil {
			return false
		}
	default:
		return false
	}
	return s.High != nil || s.Low != nil && p.info.Types[s.Low].Value != nil
}

// printers are the packages whose output people read in a terminal.
func printers() []string { return []string{"deploy/creditctl", "deploy/devstack"} }

// printsRaw finds writes that do not go through text.Printer.
func printsRaw(p typed) []string {
	if !slices.ContainsFunc(printers(), func(folder string) bool { return below(p.path, folder) }) {
		return nil
	}
	var out []string
	for _, file := range p.files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if name := p.callee(call); rawWriter(name) {
				out = append(out, fmt.Sprintf("%s calls %s", p.at(call), name))
			}
			if f := p.format(call); f != nil && !p.ours(f) {
				out = append(out, fmt.Sprintf("%s has a format that is not written there", p.at(call)))
			}
			return true
		})
	}
	return out
}

// callee is the full name of what is called: "fmt.Fprintf", "(io.Writer).Write", "print".
func (p typed) callee(call *ast.CallExpr) string {
	var name *ast.Ident
	switch f := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		name = f
	case *ast.SelectorExpr:
		name = f.Sel
	default:
		return ""
	}
	switch o := p.info.Uses[name].(type) {
	case *types.Func:
		return o.FullName()
	case *types.Builtin:
		return o.Name()
	default:
		return ""
	}
}

func rawWriter(name string) bool {
	switch name {
	case "print", "println", "io.WriteString", "io.Copy", "(io.Writer).Write", "(*os.File).Write", "(*os.File).WriteString",
		"encoding/json.NewEncoder", "(*github.com/spf13/cobra.Command).Print", "(*github.com/spf13/cobra.Command).Printf",
		"(*github.com/spf13/cobra.Command).Println":
		return true
	default:
		return strings.HasPrefix(name, "fmt.Fprint") || strings.HasPrefix(name, "fmt.Print")
	}
}

// format is the format of a call of a function such as Printf; nil for other calls.
func (p typed) format(call *ast.CallExpr) ast.Expr {
	f, ok := p.info.Types[call.Fun].Type.(*types.Signature)
	if !ok || !f.Variadic() || f.Params().Len() < 2 || strings.HasPrefix(p.callee(call), "(*database/sql.") {
		return nil
	}
	place := f.Params().Len() - 2
	text, ok := f.Params().At(place).Type().(*types.Basic)
	rest, isList := f.Params().At(place + 1).Type().(*types.Slice)
	if !ok || text.Kind() != types.String || !isList || !types.Identical(rest.Elem().Underlying(), types.NewInterfaceType(nil, nil)) {
		return nil
	}
	return call.Args[place]
}

// ours reports whether a format is written in the source, or is a wrapper's own parameter named format with such a text around it.
func (p typed) ours(e ast.Expr) bool {
	if p.info.Types[e].Value != nil {
		return true
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return e.Name == "format"
	case *ast.BinaryExpr:
		return p.ours(e.X) && p.ours(e.Y)
	default:
		return false
	}
}

func TestTyped(t *testing.T) {
	t.Parallel()
	from := newImporter(t)
	for _, p := range load(t) {
		if p.generated() || below(p.path(), "proto") || len(p.GoFiles) == 0 {
			continue
		}
		names := make([]string, len(p.GoFiles))
		for i, name := range p.GoFiles {
			names[i] = filepath.Join(p.Dir, name)
		}
		checked, err := typeCheck(from, p.path(), names, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range typedRules() {
			for _, v := range r.check(checked) {
				t.Errorf("%s: %s", r.name, v)
			}
		}
	}
}

func TestTypedRulesCanFail(t *testing.T) {
	t.Parallel()
	from := newImporter(t)
	for _, r := range typedRules() {
		for want, texts := range map[int]map[string]string{1: r.bad, 0: r.good} {
			for _, path := range slices.Sorted(maps.Keys(texts)) {
				p, err := typeCheck(from, filepath.ToSlash(filepath.Dir(path)), []string{path}, texts[path])
				if err != nil {
					t.Fatal(err)
				}
				if got := r.check(p); len(got) != want {
					t.Errorf("%s: %s: %v, want %d", r.name, path, got, want)
				}
			}
		}
	}
}
