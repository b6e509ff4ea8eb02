package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// root is the module path that all four modules share.
const root = "github.com/creditpay/creditpay/"

// pkg is a package as go list tells it.
type pkg struct {
	ImportPath, Dir, Name, Doc string
	Imports                    []string
	GoFiles                    []string
}

// path is the import path below the root: "services/order/internal/app".
func (p pkg) path() string { return strings.TrimPrefix(p.ImportPath, root) }

func (p pkg) generated() bool { return below(p.path(), "proto/gen") }

// below reports whether a path is a folder or lies in it.
func below(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

// room is the place of a package in a service: the service, and the room below internal; "" for the door, "cmd" for its commands.
func room(path string) (service, name string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) < 2 || parts[0] != "services" {
		return "", "", false
	}
	service = parts[1]
	switch {
	case len(parts) == 2:
		return service, "", true
	case parts[2] == "internal" && len(parts) > 3:
		return service, parts[3], true
	default:
		return service, parts[2], true
	}
}

// packages lists the four modules, once.
var packages = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Name,Doc,Imports,GoFiles", "./proto/...", "./pkg/...", "./services/...", "./deploy/...")
	cmd.Dir = filepath.Join("..", "..")
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &failed)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

func load(t *testing.T) []pkg {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 30 {
		t.Fatalf("only %d packages were found", len(all))
	}
	return all
}

// imports is a rule over one package and what it imports; it gives the imports that break it.
type imports struct {
	name string
	// breaks tells why a package may not import another; empty when it may. to is below the root when ours.
	breaks func(p pkg, to string, ours bool) string
}

// check runs a rule over a graph.
func (r imports) check(all []pkg) []string {
	var out []string
	for _, p := range all {
		if p.generated() {
			continue
		}
		for _, to := range p.Imports {
			short, ours := strings.CutPrefix(to, root)
			if why := r.breaks(p, short, ours); why != "" {
				out = append(out, fmt.Sprintf("%s imports %s: %s", p.path(), short, why))
			}
		}
	}
	return out
}

// layers in the order in which they may import: each those before it, and itself.
func layers() []string { return []string{"proto", "pkg", "services", "deploy"} }

func layerOf(path string) int {
	return slices.IndexFunc(layers(), func(l string) bool { return below(path, l) })
}

// contract gives the service whose generated contract a path is.
func contract(path string) (service string, ok bool) {
	rest, ok := strings.CutPrefix(path, "proto/gen/go/creditpay/")
	service, _, _ = strings.Cut(rest, "/")
	return service, ok
}

// one reports whether a foreign path is one of these, or lies below one.
func one(path string, of ...string) bool {
	return slices.ContainsFunc(of, func(x string) bool { return below(path, x) })
}

// drivers speak to databases, brokers and the wire.
func drivers() []string {
	return []string{"database/sql", "google.golang.org", "github.com/go-sql-driver", "github.com/segmentio/kafka-go", "github.com/twmb/franz-go"}
}

func importRules() []imports {
	return []imports{
		{"modules import downwards only: proto, pkg, services, deploy", func(p pkg, to string, ours bool) string {
			if ours && layerOf(to) > layerOf(p.path()) {
				return "upwards"
			}
			return ""
		}},
		{"services meet only through contracts and events", func(p pkg, to string, ours bool) string {
			from, _, ok := room(p.path())
			other, _, okTo := room(to)
			if ours && ok && okTo && from != other {
				return "another service's package"
			}
			return ""
		}},
		{"only the door knows the rooms", func(p pkg, to string, ours bool) string {
			_, fromRoom, ok := room(p.path())
			_, toRoom, okTo := room(to)
			if ours && ok && okTo && fromRoom == "cmd" && toRoom != "" {
				return "a command goes through the door"
			}
			if ours && ok && okTo && fromRoom != "" && toRoom == "" && fromRoom != "cmd" {
				return "a room does not know its door"
			}
			return ""
		}},
		{"rooms import inwards only", inwards},
		{"domain is pure", func(p pkg, to string, ours bool) string {
			if _, name, ok := room(p.path()); !ok || name != "domain" {
				return ""
			}
			// net/url only reads text.
			if !ours && (one(to, drivers()...) || one(to, "context", "net/http", "net/rpc", "os", "io/fs") || to == "net") {
				return "domain knows no context, I/O, SQL or wire"
			}
			if ours && one(to, "proto", "pkg/mysqlx", "pkg/unit", "pkg/spine", "pkg/rpckit", "pkg/outbox", "pkg/inbox", "pkg/jobs", "pkg/kafkax", "pkg/service") {
				return "domain knows no contract and no machinery"
			}
			return ""
		}},
		// mysqlx is allowed for mysqlx.Duplicate, see the rule over the source.
		{"app knows no wire and no SQL", func(p pkg, to string, ours bool) string {
			if _, name, ok := room(p.path()); !ok || name != "app" {
				return ""
			}
			if (!ours && one(to, append(drivers(), "net/http")...)) || (ours && one(to, "proto", "pkg/rpckit", "pkg/kafkax", "pkg/outbox", "pkg/inbox", "pkg/spine", "pkg/unit")) {
				return "that is for the rooms around app"
			}
			return ""
		}},
		{"another service's contract is for peer, event and wire", func(p pkg, to string, ours bool) string {
			from, name, ok := room(p.path())
			other, okTo := contract(to)
			if !ours || !ok || !okTo || from == "gateway" || other == from || one(other, "common", "ops") || one(name, "peer", "event", "wire") {
				return ""
			}
			return "another service's contract"
		}},
	}
}

// inwards holds domain ← app ← {rpc, event, store, peer}; wire translates for rpc, event and peer.
func inwards(p pkg, to string, ours bool) string {
	_, from, ok := room(p.path())
	_, target, okTo := room(to)
	if !ours || !ok || !okTo || from == target {
		return ""
	}
	outer := []string{"rpc", "event", "store", "peer"}
	switch {
	case from == "domain" && target != "":
		return "domain imports no room"
	case from == "app" && target != "domain" && target != "":
		return "app imports domain only"
	case from == "wire" && slices.Contains(outer, target):
		return "wire imports app and domain only"
	case slices.Contains(outer, from) && slices.Contains(outer, target):
		return "rooms beside each other do not meet"
	case from == "store" && target == "wire":
		return "the store speaks rows, not messages"
	default:
		return ""
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	all := load(t)
	for _, r := range importRules() {
		for _, v := range r.check(all) {
			t.Errorf("%s: %s", r.name, v)
		}
	}
}

// Each import rule must find what it forbids, and let pass what stands beside it.
func TestImportRulesCanFail(t *testing.T) {
	t.Parallel()
	fake := func(path string, imports ...string) pkg { return pkg{ImportPath: root + path, Imports: imports} }
	bad := map[string][]pkg{
		"modules import downwards only: proto, pkg, services, deploy": {
			fake("pkg/money", root+"services/order"), fake("services/order", root+"deploy/devstack"), fake("proto", root+"pkg/errs"), fake("pkg/errs", root+"deploy/audit")},
		"services meet only through contracts and events": {
			fake("services/order/internal/app", root+"services/bill"), fake("services/gateway", root+"services/order")},
		"only the door knows the rooms": {
			fake("services/order/cmd/order", root+"services/order/internal/app"), fake("services/order/internal/rpc", root+"services/order")},
		"rooms import inwards only": {
			fake("services/order/internal/rpc", root+"services/order/internal/store"), fake("services/order/internal/app", root+"services/order/internal/store"),
			fake("services/order/internal/domain", root+"services/order/internal/app"), fake("services/order/internal/store", root+"services/order/internal/wire"),
			fake("services/order/internal/wire", root+"services/order/internal/peer"), fake("services/order/internal/app", root+"services/order/internal/wire")},
		"domain is pure": {
			fake("services/bill/internal/domain", "context"), fake("services/bill/internal/domain", "net"), fake("services/bill/internal/domain", "net/http"), fake("services/bill/internal/domain", "database/sql"),
			fake("services/bill/internal/domain", "google.golang.org/grpc/codes"), fake("services/bill/internal/domain", root+"pkg/mysqlx"),
			fake("services/bill/internal/domain", root+"proto/gen/go/creditpay/bill/v1"), fake("services/bill/internal/domain/loan", "os")},
		"app knows no wire and no SQL": {
			fake("services/bill/internal/app", "database/sql"), fake("services/bill/internal/app", "google.golang.org/grpc"),
			fake("services/bill/internal/app", root+"proto/gen/go/creditpay/bill/v1"), fake("services/bill/internal/app", "github.com/segmentio/kafka-go")},
		"another service's contract is for peer, event and wire": {
			fake("services/order/internal/rpc", root+"proto/gen/go/creditpay/bill/v1"), fake("services/order", root+"proto/gen/go/creditpay/bill/v1")},
	}
	good := []pkg{
		fake("services/order/internal/rpc", "context", "google.golang.org/grpc", root+"services/order/internal/app", root+"services/order/internal/domain",
			root+"services/order/internal/wire", root+"proto/gen/go/creditpay/order/v1", root+"proto/gen/go/creditpay/common/v1"),
		fake("services/order/internal/peer", root+"proto/gen/go/creditpay/bill/v1", root+"services/order/internal/app", root+"services/order/internal/wire"),
		fake("services/order/internal/app", "context", root+"services/order/internal/domain", root+"pkg/mysqlx"),
		fake("services/order/internal/domain", "fmt", "errors", "net/url", root+"pkg/money"),
		fake("services/order/internal/store", "database/sql", root+"services/order/internal/app"),
		fake("services/order", root+"services/order/internal/rpc", root+"pkg/spine", "google.golang.org/grpc"),
		fake("services/order/cmd/order", root+"services/order", root+"pkg/service"),
		fake("services/gateway/internal/rest", root+"proto/gen/go/creditpay/bill/v1"),
		fake("deploy/devstack", root+"services/order", root+"pkg/clock", root+"deploy/audit"),
	}
	for _, r := range importRules() {
		cases, ok := bad[r.name]
		if !ok {
			t.Errorf("%s: no test that it can fail", r.name)
		}
		for _, p := range cases {
			if len(r.check([]pkg{p})) != 1 {
				t.Errorf("%s: %s may import %v", r.name, p.path(), p.Imports)
			}
		}
		for _, v := range r.check(good) {
			t.Errorf("%s: too strict: %s", r.name, v)
		}
	}
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	t.Parallel()
	for _, v := range withoutComment(load(t)) {
		t.Errorf("%s has no package comment", v)
	}
	found := withoutComment([]pkg{{ImportPath: root + "pkg/a", GoFiles: []string{"a.go"}}, {ImportPath: root + "pkg/b", GoFiles: []string{"b.go"}, Doc: "Package b owns b."},
		{ImportPath: root + "proto/gen/go/x", GoFiles: []string{"x.go"}}, {ImportPath: root + "pkg/testsonly"}})
	if !slices.Equal(found, []string{"pkg/a"}) {
		t.Errorf("the rule finds %v", found)
	}
}

func withoutComment(all []pkg) []string {
	var out []string
	for _, p := range all {
		if !p.generated() && p.Doc == "" && len(p.GoFiles) > 0 {
			out = append(out, p.path())
		}
	}
	return out
}
