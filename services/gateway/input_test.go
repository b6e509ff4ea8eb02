package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// refusalOf sends a request and returns the status and the field and rule that the refusal names.
func refusalOf(t *testing.T, server *httptest.Server, method, path, token, body string) (status int, field string) {
	t.Helper()
	a := ask(t, server, method, path, token, body)
	fields, _ := a.problem()["fields"].([]any)
	for _, one := range fields {
		f, _ := one.(map[string]any)
		field = fmt.Sprintf("%v %v", f["field"], f["rule"])
	}
	return a.status, field
}

// wide is an edge whose limits these tests do not reach.
func wide(t *testing.T) *httptest.Server {
	t.Helper()
	c := config(backends(t))
	c.CallerRate, c.CallerBurst, c.AddressRate, c.AddressBurst = 1e6, 1e6, 1e6, 1e6
	_, server := start(t, c)
	return server
}

// address is one REST route of the contract.
type address struct {
	method, template, token string
	message                 protoreflect.MessageDescriptor
}

// addresses are all routes of the contract.
func addresses() []address {
	var out []address
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				m := file.Services().Get(i).Methods().Get(j)
				rule, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
				if !ok || rule == nil || !strings.HasPrefix(string(file.Package()), "creditpay.") {
					continue
				}
				for _, b := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
					a := address{method: http.MethodGet, template: b.GetGet(), message: m.Input()}
					if b.GetPost() != "" {
						a.method, a.template = http.MethodPost, b.GetPost()
					}
					a.token = map[string]string{"h5": "H5.u1", "merchant": "MERCHANT", "admin": "ADMIN"}[strings.Split(a.template, "/")[1]]
					out = append(out, a)
				}
			}
		}
		return true
	})
	return out
}

// path is the address with the same value for each of its variables.
func (a address) path(value string) string {
	parts := strings.Split(a.template, "{")
	out := parts[0]
	for _, part := range parts[1:] {
		_, rest, _ := strings.Cut(part, "}")
		out += value + rest
	}
	return out
}

// Every route refuses what it would not read: an unknown parameter, one that stands in the address, one given twice, and, where the
// message stands in the body, any. The backends are fakes that would answer anything.
func TestQuery_IsRefusedOnEveryRoute(t *testing.T) {
	t.Parallel()
	server := wide(t)
	all := addresses()
	if len(all) < 60 {
		t.Fatalf("%d routes, the contract has more", len(all))
	}
	for _, a := range all {
		at := a.method + " " + a.template
		queries := map[string]string{"dryRun=true": "dryRun query", "dry_run": "dry_run query", "=1": " query"}
		for i := range a.message.Fields().Len() {
			f := a.message.Fields().Get(i)
			switch {
			case a.method == http.MethodPost, strings.Contains(a.template, "{"+string(f.Name())+"}"):
				queries[f.JSONName()+"=x"] = f.JSONName() + " query"
			case f.Kind() == protoreflect.StringKind && !f.IsList():
				queries[fmt.Sprintf("%s=a&%[1]s=b", f.JSONName())] = f.JSONName() + " query"
			}
		}
		for query, want := range queries {
			if status, got := refusalOf(t, server, a.method, a.path("x1")+"?"+query, a.token, ""); status != http.StatusBadRequest || got != want {
				t.Errorf("%s?%s: %d %q, want 400 %q", at, query, status, got, want)
			}
		}
		if status, _ := refusalOf(t, server, a.method, a.path("x1")+"?a=1;b=2", a.token, ""); status != http.StatusBadRequest {
			t.Errorf("%s with a malformed query: %d, want 400", at, status)
		}
		if a.method == http.MethodGet {
			if status, _ := refusalOf(t, server, a.method, a.path("x1"), a.token, `{}`); status != http.StatusBadRequest {
				t.Errorf("%s with a body: %d, want 400", at, status)
			}
		}
	}
}

// Path and body may name the same object and must not name two.
func TestBody_NamesNoOtherObjectThanItsAddress(t *testing.T) {
	t.Parallel()
	server := wide(t)
	tried := 0
	for _, a := range addresses() {
		for i := range a.message.Fields().Len() {
			f := a.message.Fields().Get(i)
			if a.method != http.MethodPost || !strings.Contains(a.template, "{"+string(f.Name())+"}") {
				continue
			}
			tried++
			want := string(f.Name()) + " path"
			for _, name := range []string{f.JSONName(), string(f.Name())} {
				status, got := refusalOf(t, server, a.method, a.path("x1"), a.token, fmt.Sprintf(`{%q: "x2"}`, name))
				if status != http.StatusBadRequest || got != want {
					t.Errorf("%s with another %s: %d %q, want 400 %q", a.template, name, status, got, want)
				}
				if _, got := refusalOf(t, server, a.method, a.path("x1"), a.token, fmt.Sprintf(`{%q: "x1"}`, name)); got == want {
					t.Errorf("%s with the same %s is refused", a.template, name)
				}
			}
		}
	}
	if tried < 15 {
		t.Errorf("%d routes were tried, the contract has more", tried)
	}
}

// Null is no value anywhere: for a field of each kind, however deep, and in lists.
func TestNull_IsRefusedByName(t *testing.T) {
	t.Parallel()
	server := wide(t)
	for body, want := range map[string]string{
		`{"requestId": null}`:              "request_id null",
		`{"tiers": null}`:                  "tiers null",
		`{"tiers": [null]}`:                "tiers[0] null",
		`{"tiers": [{"approvals": null}]}`: "tiers[0].approvals null",
		`{"tiers": [{"approvals": 1}, {"from": {"amountMinor": null}}]}`: "tiers[1].from.amount_minor null",
		`{"reason": "null", "currencyCode": null}`:                       "currency_code null",
	} {
		status, got := refusalOf(t, server, http.MethodPost, "/admin/v1/approval-tiers", "ADMIN", body)
		if status != http.StatusBadRequest || got != want {
			t.Errorf("%s: %d %q, want 400 %q", body, status, got, want)
		}
	}
	for _, broken := range []string{`null`, `{"null": x}`, `{"null"`, `[null`, `{"a":{"b":nul`, strings.Repeat(`{"null":`, 5000), strings.Repeat("[", 5000) + "null"} {
		if status, _ := refusalOf(t, server, http.MethodPost, "/admin/v1/approval-tiers", "ADMIN", broken); status != http.StatusBadRequest {
			t.Errorf("%.20s: %d, want 400", broken, status)
		}
	}
	if _, got := refusalOf(t, server, http.MethodPost, "/admin/v1/approval-tiers", "ADMIN", `{"reason": "null and \"null\""}`); strings.HasSuffix(got, " null") {
		t.Errorf("the word null in a text is refused: %q", got)
	}
}

// The link to a contract takes its two parameters once each, and nothing else.
func TestContractLink_TakesItsParametersOnly(t *testing.T) {
	t.Parallel()
	server := wide(t)
	for query, want := range map[string]string{
		"expires=1&signature=a&x=1": "x query", "expires=1&expires=2&signature=a": "expires query",
		"expires=1&signature=a&signature=b": "signature query", "expires=1&signature=a;b": " query",
	} {
		if status, got := refusalOf(t, server, http.MethodGet, "/h5/v1/contracts/SPL-1/pdf?"+query, "", ""); status != http.StatusBadRequest || got != want {
			t.Errorf("%s: %d %q, want 400 %q", query, status, got, want)
		}
	}
}
