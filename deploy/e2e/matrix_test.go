package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// Every service of the suite must be linked in, so that none escapes the walk.
	_ "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	_ "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"
	_ "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"
)

// methods gives every method of the suite's contract by its full gRPC name.
func methods() map[string]protoreflect.MethodDescriptor {
	found := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(f.Package()), "creditpay.") {
			return true
		}
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				found["/"+string(s.FullName())+"/"+string(m.Name())] = m
			}
		}
		return true
	})
	return found
}

// tokens gives a good token of every kind of caller.
func (s *stack) tokens(t *testing.T) map[caller.Kind]string {
	t.Helper()
	out := map[caller.Kind]string{}
	for _, k := range caller.Kinds() {
		c := caller.Caller{Kind: k, Name: "walker"}
		if k == caller.H5 {
			c.UserID = "nobody-walks"
		}
		if k == caller.Merchant {
			c.MerchantID = "no-shop"
		}
		out[k] = s.mint(t, c)
	}
	return out
}

// badTokens are those that open nothing, with what they are told.
func (s *stack) badTokens(t *testing.T) map[string]struct {
	token string
	want  errs.Reason
} {
	t.Helper()
	expired, err := s.signer.Mint(caller.Caller{Kind: caller.SPM, Name: "old"}, time.Minute, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	tampered := []byte(s.Credentials.AdminToken)
	tampered[len(tampered)/2] ^= 1
	type bad = struct {
		token string
		want  errs.Reason
	}
	return map[string]bad{"none": {"", errs.TokenMissing}, "garbage": {"garbage", errs.TokenInvalid}, "expired": {expired, errs.TokenExpired},
		"tampered": {string(tampered), errs.TokenInvalid}}
}

func TestEveryMethodHasARuleAndIsOpenToThoseItNames(t *testing.T) {
	t.Parallel()
	rules, all := rpckit.AccessRules(), methods()
	if len(all) < 40 {
		t.Fatalf("only %d methods were found", len(all))
	}
	for name := range all {
		if len(rules[name].Kinds()) == 0 {
			t.Errorf("%s may be called by nobody", name)
		}
	}
	for name := range rules {
		if _, ok := all[name]; !ok {
			t.Errorf("a rule for %s, which is no method", name)
		}
	}
}

func TestEveryMethodRefusesEveryCallerThatItsRuleDoesNotName(t *testing.T) {
	t.Parallel()
	s := shared(t)
	rules, tokens, bad := rpckit.AccessRules(), s.tokens(t), s.badTokens(t)
	// An empty message: it breaks the rules of nearly every request, so what is let in has no effect.
	call := func(method, token string) error {
		var out []byte
		return told(s.conn.Invoke(as(t.Context(), token), method, []byte{}, &out, grpc.ForceCodec(rawBytes{})))
	}
	allowed, denied := 0, 0
	for method := range methods() {
		for kind, token := range tokens {
			reason := reasonOf(t, call(method, token))
			if rules[method].Allows(kind) {
				allowed++
				switch reason {
				case errs.CallerNotAllowed.Name(), errs.TokenMissing.Name(), errs.TokenInvalid.Name(), errs.TokenExpired.Name(), errs.Internal.Name():
					t.Errorf("%s by %s, which its rule names, is refused: %s", method, kind, reason)
				}
				continue
			}
			denied++
			if reason != errs.CallerNotAllowed.Name() {
				t.Errorf("%s by %s, which its rule does not name: %q", method, kind, reason)
			}
		}
		for name, b := range bad {
			if reason := reasonOf(t, call(method, b.token)); reason != b.want.Name() {
				t.Errorf("%s with the %s token: %q, want %s", method, name, reason, b.want.Name())
			}
		}
	}
	t.Logf("%d allowed, %d denied, %d without a good token", allowed, denied, len(methods())*len(bad))
}

// route is one way to a method over REST.
type route struct{ verb, path, method string }

// routes gives every REST route of the contract, with its path parameters filled in.
func routes(t *testing.T) []route {
	t.Helper()
	parameter := regexp.MustCompile(`\{[^}]*\}`)
	var out []route
	for name, m := range methods() {
		rule, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
		if !ok || rule == nil {
			continue
		}
		for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			verb, path := http.MethodGet, r.GetGet()
			if r.GetPost() != "" {
				verb, path = http.MethodPost, r.GetPost()
			}
			if path == "" {
				t.Errorf("%s has a REST route that is neither GET nor POST", name)
				continue
			}
			out = append(out, route{verb, parameter.ReplaceAllString(path, "x"), name})
		}
	}
	return out
}

func TestEveryRESTRouteRefusesEveryCallerThatItsRuleDoesNotName(t *testing.T) {
	t.Parallel()
	s := shared(t)
	rules, tokens, bad := rpckit.AccessRules(), s.tokens(t), s.badTokens(t)
	all := routes(t)
	if len(all) < 40 {
		t.Fatalf("only %d routes were found", len(all))
	}
	for _, r := range all {
		var body []byte
		if r.verb == http.MethodPost {
			body = []byte("{}")
		}
		front := caller.H5
		if strings.HasPrefix(r.path, "/admin/") {
			front = caller.Admin
		}
		if strings.HasPrefix(r.path, "/merchant/") {
			front = caller.Merchant
		}
		if !rules[r.method].Allows(front) {
			t.Errorf("%s %s leads to %s, which nobody can reach there", r.verb, r.path, r.method)
		}
		for kind, token := range tokens {
			_, err := s.send(t.Context(), r.verb, r.path, token, body)
			reason := reasonOf(t, err)
			switch {
			case kind == front && (reason == errs.CallerNotAllowed.Name() || reason == errs.Internal.Name() || strings.HasPrefix(reason, "TOKEN_")):
				t.Errorf("%s %s by %s: %v", r.verb, r.path, kind, err)
			case kind != front && reason != errs.CallerNotAllowed.Name():
				t.Errorf("%s %s by %s: %v, want CALLER_NOT_ALLOWED", r.verb, r.path, kind, err)
			}
		}
		for name, b := range bad {
			_, err := s.send(t.Context(), r.verb, r.path, b.token, body)
			if reason := reasonOf(t, err); reason != b.want.Name() {
				t.Errorf("%s %s with the %s token: %v, want %s", r.verb, r.path, name, err, b.want.Name())
			}
		}
	}
}
