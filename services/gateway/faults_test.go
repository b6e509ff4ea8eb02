package gateway_test

import (
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"
	"github.com/creditpay/creditpay/services/gateway/internal/rest"
)

// reads are the GET addresses of the contract with the fields that they take from the query: filled is the address with a value for
// each variable of its path.
func reads(t *testing.T, visit func(filled, token string, fields []protoreflect.FieldDescriptor)) {
	t.Helper()
	variable, found := regexp.MustCompile(`\{([a-z_]+)[^}]*\}`), 0
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for k := range methods.Len() {
				rule, _ := proto.GetExtension(methods.Get(k).Options(), annotations.E_Http).(*annotations.HttpRule)
				for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
					path := r.GetGet()
					if path == "" || !strings.HasPrefix(string(f.Package()), "creditpay.") {
						continue
					}
					found++
					var fields []protoreflect.FieldDescriptor
					input := methods.Get(k).Input().Fields()
					for n := range input.Len() {
						if !strings.Contains(path, "{"+string(input.Get(n).Name())) {
							fields = append(fields, input.Get(n))
						}
					}
					token := map[string]string{"h5": "H5.u", "admin": "ADMIN", "merchant": "MERCHANT"}[strings.Split(path, "/")[1]]
					visit(variable.ReplaceAllString(path, "x_1"), token, fields)
				}
			}
		}
		return true
	})
	if found < 20 {
		t.Fatalf("only %d addresses were found", found)
	}
}

// Every query parameter of every address that is not text is refused by name and in our words when it cannot be read.
func TestQueryParameter_IsRefusedByName(t *testing.T) {
	t.Parallel()
	_, server := start(t, config(backends(t)))
	tried := 0
	reads(t, func(path, token string, fields []protoreflect.FieldDescriptor) {
		for _, f := range fields {
			wrong := []string{f.JSONName() + "=abc", string(f.Name()) + "=1.5", f.JSONName() + "="}
			switch {
			case f.Kind() == protoreflect.StringKind && f.Cardinality() == protoreflect.Repeated:
				continue
			case f.Kind() == protoreflect.StringKind:
				wrong = []string{f.JSONName() + "=a&" + f.JSONName() + "=b"}
			case f.Kind() == protoreflect.MessageKind, f.Kind() == protoreflect.EnumKind:
				wrong = wrong[:1]
			default:
				wrong = append(wrong, f.JSONName()+"=99999999999999999999")
			}
			for _, w := range wrong {
				tried++
				a := ask(t, server, "GET", path+"?"+w, token, "")
				name, _, _ := strings.Cut(w, "=")
				list, _ := a.problem()["fields"].([]any)
				if a.status != 400 || a.problem()["reason"] != "INVALID_ARGUMENT" || len(list) != 1 || list[0].(map[string]any)["field"] != name {
					t.Errorf("GET %s?%s: %d %s, want 400 that names %s", path, w, a.status, a.text, name)
				}
				for _, word := range []string{"strconv", "parsing", "syntax", "proto:", "creditpay query"} {
					if strings.Contains(a.text, word) {
						t.Errorf("GET %s?%s: a library's word in %s", path, w, a.text)
					}
				}
			}
		}
	})
	if tried < 20 {
		t.Errorf("only %d wrong parameters were tried", tried)
	}
}

// No time is 504 and a malformed time is 400, on every route, whatever the services do; a service that does not answer within the
// caller's time is no service that is down.
func TestGrpcTimeout_NoTimeIs504(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	_, up := start(t, config(backends(t)))
	_, hangs := start(t, config(silent.Addr().String()))
	for _, zero := range []string{"0S", "0n", "00000000H"} {
		reads(t, func(path, token string, _ []protoreflect.FieldDescriptor) {
			a := ask(t, up, "GET", path, token, "", "Grpc-Timeout", zero)
			if a.status != 504 || a.problem()["reason"] != "DEADLINE_TOO_SHORT" || a.header.Get("Retry-After") == "" {
				t.Errorf("GET %s with %s: %d %s", path, zero, a.status, a.text)
			}
		})
	}
	for _, wrong := range []string{"S", "5", "5s", "-1S", "5SS", "123456789S", "٣S", "5 S"} {
		if a := ask(t, up, "GET", "/h5/v1/checkouts/chk_1", "H5.u", "", "Grpc-Timeout", wrong); a.status != 400 || a.header.Get("Retry-After") != "" {
			t.Errorf("%q: %d %s", wrong, a.status, a.text)
		}
	}
	if a := ask(t, hangs, "GET", "/h5/v1/checkouts/chk_1", "H5.u", "", "Grpc-Timeout", "200m"); a.status != 504 {
		t.Errorf("a service that does not answer in time: %d %s", a.status, a.text)
	}
}

// The table of reasons in the README is what rpckit and the gateway answer; UPDATE_DOCS=1 writes it.
func TestReadme_HasTheTableOfReasons(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- reasons -->\n", "<!-- /reasons -->"
	var table strings.Builder
	table.WriteString("| reason | code | HTTP | repeat |\n|---|---|---|---|\n")
	for _, r := range errs.All() {
		code := rpckit.CodeOf(r.New(""))
		repeat := "no"
		if d := r.RetryAfter(); d > 0 {
			repeat = "after " + strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
		}
		fmt.Fprintf(&table, "| `%s` | `%s` | %d | %s |\n", r.Name(), codeName(code), runtime.HTTPStatusFromCode(code), repeat)
	}
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("README.md has no %s…%s", begin, end)
	}
	want := before + begin + table.String() + end + after
	if os.Getenv("UPDATE_DOCS") == "1" {
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Error("the table of reasons in README.md is not that of pkg/errs; run this test with UPDATE_DOCS=1")
	}
}

// codeName is a code as answers write it.
func codeName(c codes.Code) string {
	return strings.ToUpper(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(c.String(), "${1}_$2"))
}

// What may be repeated says when, as google.rpc.RetryInfo and as Retry-After; nothing else does.
func TestRetryAfter_StandsWhereRepeatingHelps(t *testing.T) {
	t.Parallel()
	for _, r := range errs.All() {
		w := httptest.NewRecorder()
		rest.Write(w, r.New("x"))
		if got := w.Header().Get("Retry-After"); (got != "") != (r.RetryAfter() > 0) {
			t.Errorf("%s: Retry-After %q, repeat after %s", r.Name(), got, r.RetryAfter())
		}
	}
}
