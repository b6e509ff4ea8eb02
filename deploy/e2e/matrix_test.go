package e2e

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
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

// walker is a caller with a good token.
type walker struct {
	caller.Caller
	token string
}

func (w walker) String() string {
	if w.Kind == caller.Service {
		return w.Caller.String()
	}
	return strings.Join(append([]string{w.Kind.String()}, w.Roles.Names()...), " ")
}

// serviceNames returns the names of the suite's services, and one that no service has.
func serviceNames() []string {
	return []string{"order", "payment", "bill", "refund", "notification", "gateway", "walker"}
}

// walkers returns one caller of every kind; one operator of every role, and one service of every name.
func (s *stack) walkers(t *testing.T) []walker {
	t.Helper()
	var out []walker
	add := func(c caller.Caller) {
		c.Name = cmp.Or(c.Name, "walker")
		out = append(out, walker{c, s.mint(t, c)})
	}
	for _, k := range caller.Kinds() {
		switch k {
		case caller.H5:
			add(caller.Caller{Kind: k, UserID: "nobody-walks"})
		case caller.Merchant:
			add(caller.Caller{Kind: k, MerchantID: "no-shop"})
		case caller.Admin:
			for _, role := range caller.AllRoles() {
				add(caller.Caller{Kind: k, Roles: caller.RolesOf(role)})
			}
		case caller.Service:
			for _, name := range serviceNames() {
				add(caller.Caller{Kind: k, Name: name})
			}
		default:
			add(caller.Caller{Kind: k})
		}
	}
	return out
}

// badTokens are those that open nothing, with what they are told.
func (s *stack) badTokens(t *testing.T) map[string]struct {
	token string
	want  errs.Reason
} {
	t.Helper()
	expired, err := s.tokens.Mint(caller.Caller{Kind: caller.SPM, Name: "old"}, time.Minute, time.Now().Add(-time.Hour))
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
	rules, walkers, bad := rpckit.AccessRules(), s.walkers(t), s.badTokens(t)
	// An empty message: it breaks the rules of nearly every request, so what is let in has no effect.
	call := func(method, token string) error {
		var out []byte
		return told(s.conn.Invoke(as(t.Context(), token), method, []byte{}, &out, grpc.ForceCodec(rawBytes{})))
	}
	allowed, denied := 0, 0
	for method := range methods() {
		for _, w := range walkers {
			reason := reasonOf(t, call(method, w.token))
			if rules[method].Allows(w.Caller) {
				allowed++
				switch reason {
				case errs.CallerNotAllowed.Name(), errs.TokenMissing.Name(), errs.TokenInvalid.Name(), errs.TokenExpired.Name(), errs.Internal.Name():
					t.Errorf("%s by %s, which its rule names, is refused: %s", method, w, reason)
				}
				continue
			}
			denied++
			if reason != errs.CallerNotAllowed.Name() {
				t.Errorf("%s by %s, which its rule does not name: %q", method, w, reason)
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
	rules, walkers, bad := rpckit.AccessRules(), s.walkers(t), s.badTokens(t)
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
		rule := rules[r.method]
		if !rule.AllowsKind(front) {
			t.Errorf("%s %s leads to %s, which nobody can reach there", r.verb, r.path, r.method)
		}
		for _, w := range walkers {
			_, err := s.send(t.Context(), r.verb, r.path, w.token, body)
			reason := reasonOf(t, err)
			allowed := w.Kind == front && rule.Allows(w.Caller)
			switch {
			case allowed && (reason == errs.CallerNotAllowed.Name() || reason == errs.Internal.Name() || strings.HasPrefix(reason, "TOKEN_")):
				t.Errorf("%s %s by %s: %v", r.verb, r.path, w, err)
			case !allowed && reason != errs.CallerNotAllowed.Name():
				t.Errorf("%s %s by %s: %v, want CALLER_NOT_ALLOWED", r.verb, r.path, w, err)
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

// The services that each internal RPC names are services of the suite.
func TestAccess_RulesNameServicesOfTheSuite(t *testing.T) {
	t.Parallel()
	known := serviceNames()
	for method, rule := range rpckit.AccessRules() {
		for _, name := range rule.Services {
			if name == "walker" || !slices.Contains(known, name) {
				t.Errorf("%s names the service %q, which is none of %v", method, name, known)
			}
		}
	}
}

// What the walks above hold the wire against is the contract; here the contract of refunds and of what follows their cash is held
// against the rule as it was decided: who asks, who approves, who follows the cash and who sets the tiers are different people.
func TestRefundsAndApprovalsAreOpenToTheseAndNobodyElse(t *testing.T) {
	t.Parallel()
	const refunds, cash = "/creditpay.refund.v1.RefundService/", "/creditpay.payment.v1.PaymentAdminService/"
	const credit = "/creditpay.bill.v1.BillAdminService/"
	want := map[string]string{
		refunds + "PreviewRefund": "SPM ADMIN:VIEW", refunds + "RefundPayment": "SPM", refunds + "AdminRefundPayment": "ADMIN:REFUND_REQUEST",
		refunds + "ApproveRefund": "ADMIN:REFUND_APPROVE", refunds + "RejectRefund": "ADMIN:REFUND_REQUEST ADMIN:REFUND_APPROVE",
		refunds + "GetRefund": "SPM ADMIN:VIEW MERCHANT", refunds + "ListRefunds": "SPM ADMIN:VIEW MERCHANT",
		refunds + "RetryRefundLeg": "ADMIN:CASH", refunds + "ResolveRefundLeg": "ADMIN:CASH",
		refunds + "ListApprovalTiers": "ADMIN:VIEW", refunds + "SetApprovalTiers": "ADMIN:ADMINISTER",
		refunds + "ListApprovals": "ADMIN:VIEW", refunds + "GetApproval": "ADMIN:VIEW",
		refunds + "ApproveRequest": "ADMIN:REFUND_APPROVE ADMIN:ADMINISTER", refunds + "RejectRequest": "ADMIN:CASH ADMIN:REFUND_APPROVE ADMIN:ADMINISTER",
		cash + "ListApprovals": "ADMIN:VIEW", cash + "GetApproval": "ADMIN:VIEW", cash + "ListApprovalTiers": "ADMIN:VIEW", cash + "SetApprovalTiers": "ADMIN:ADMINISTER",
		cash + "ApproveRequest": "ADMIN:ADMINISTER ADMIN:APPROVE", cash + "RejectRequest": "ADMIN:CASH ADMIN:ADMINISTER ADMIN:APPROVE",
		credit + "ListApprovals": "ADMIN:VIEW", credit + "GetApproval": "ADMIN:VIEW", credit + "ListApprovalTiers": "ADMIN:VIEW", credit + "SetApprovalTiers": "ADMIN:ADMINISTER",
		credit + "ApproveRequest": "ADMIN:ADMINISTER ADMIN:APPROVE", credit + "RejectRequest": "ADMIN:CREDIT ADMIN:CASH ADMIN:ADMINISTER ADMIN:APPROVE",
		"/creditpay.refund.v1.RefundInternalService/GetOrderRefunds": "SERVICE:order",
		"/creditpay.refund.v1.RefundInternalService/GetRefundParts":  "SERVICE:bill SERVICE:payment",
		cash + "ListCashReturns":                                     "ADMIN:VIEW", cash + "RetryCancelReturn": "ADMIN:CASH", cash + "ResolveCancelReturn": "ADMIN:CASH",
	}
	rules := rpckit.AccessRules()
	for method := range methods() {
		if _, listed := want[method]; !listed && strings.HasPrefix(method, "/creditpay.refund.") {
			t.Errorf("%s is new: who may call it?", method)
		}
	}
	for method, who := range want {
		var got []string
		for _, k := range caller.Kinds() {
			if k == caller.Service {
				for _, name := range rules[method].Services {
					got = append(got, "SERVICE:"+name)
				}
				continue
			}
			if k != caller.Admin {
				if rules[method].AllowsKind(k) {
					got = append(got, k.String())
				}
				continue
			}
			for _, role := range caller.AllRoles() {
				if rules[method].Allows(caller.Caller{Kind: k, Roles: caller.RolesOf(role)}) {
					got = append(got, "ADMIN:"+role.String())
				}
			}
		}
		if strings.Join(got, " ") != who {
			t.Errorf("%s is open to %v, want %s", method, got, who)
		}
	}
}
