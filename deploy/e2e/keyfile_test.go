package e2e

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/auth"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"

	"github.com/creditpay/creditpay/deploy/devstack"
)

// opens is the table of what each key file of a running stack opens among the internal RPCs, whoever holds it. A service's key opens
// nothing else; those of issuers open what their kind of caller may call, and no internal RPC. Who adds an internal RPC or a service
// decides here who may call it.
func opens() map[string][]string {
	const bill, order = "/creditpay.bill.v1.BillInternalService/", "/creditpay.order.v1.OrderInternalService/"
	const payment, refund = "/creditpay.payment.v1.PaymentInternalService/", "/creditpay.refund.v1.RefundInternalService/"
	return map[string][]string{
		"service-order.json": {bill + "BatchGetContracts", bill + "BatchGetLoans", bill + "QuotePlans", payment + "BatchGetPayments",
			payment + "GetCommit", payment + "WithdrawCommit", refund + "GetOrderRefunds"},
		"service-payment.json": {bill + "CheckUserCode", bill + "GetRefundReturn", bill + "GetRepayment", bill + "KeepCashAsCredit", bill + "QuotePlans",
			bill + "ReleaseCredit", bill + "ReserveCredit", bill + "SendUserCode",
			order + "AbortCommit", order + "BeginCommit", order + "GetCheckout", refund + "GetRefundParts"},
		"service-bill.json": {payment + "CommitFor", payment + "GetCashLeg", payment + "GetCashReturn", payment + "GetQuote",
			payment + "GetRepaymentReturn", payment + "ListCashChannels", payment + "OpenCashLeg", refund + "GetRefundParts"},
		"service-refund.json": {bill + "AdjustForRefund", bill + "KeepRefundAsCredit", bill + "PreviewRefundAdjustment",
			order + "BatchGetOrders", payment + "BatchGetPayments", payment + "GetCashReturns", payment + "RefundOrderPayment",
			payment + "ResolveCashReturn", payment + "RetryCashReturn", payment + "ReturnRepayment"},
		"service-notification.json": nil,
		"service-gateway.json":      {bill + "GetContractFile"},
		"spm-marketplace.json":      nil,
		"h5.json":                   nil,
		"admin.json":                nil,
		"merchant.json":             nil,
	}
}

// internal reports whether a method is of a service for our own services only.
func internal(method string) bool { return strings.Contains(method, "InternalService/") }

// judgeKeys holds what was opened, by key file, against the table; all are the methods of the contract, and services those of the
// suite. It returns what does not fit.
func judgeKeys(table, opened map[string][]string, all map[string]protoreflect.MethodDescriptor, services []string) []string {
	var wrong []string
	listed := map[string]bool{}
	for file, methods := range table {
		for _, m := range methods {
			listed[m] = true
			if _, ok := all[m]; !ok {
				wrong = append(wrong, fmt.Sprintf("%s: the table names %s, which is no method", file, m))
			}
		}
	}
	for m := range all {
		if internal(m) && !listed[m] {
			wrong = append(wrong, fmt.Sprintf("%s is new: which key files may open it?", m))
		}
	}
	for _, name := range services {
		if _, ok := table["service-"+name+".json"]; !ok {
			wrong = append(wrong, fmt.Sprintf("the service %s is new: what may its key file open?", name))
		}
	}
	for _, file := range slices.Sorted(maps.Keys(opened)) {
		got := slices.DeleteFunc(slices.Sorted(slices.Values(opened[file])), func(m string) bool { return !internal(m) })
		if !slices.Equal(got, slices.Sorted(slices.Values(table[file]))) {
			wrong = append(wrong, fmt.Sprintf("%s opens %v, the table says %v", file, got, table[file]))
		}
		if strings.HasPrefix(file, "service-") && len(got) != len(opened[file]) {
			wrong = append(wrong, fmt.Sprintf("%s opens RPCs that are not internal: %v", file, opened[file]))
		}
	}
	return wrong
}

// pretenders is everybody whom the holder of a key could say to be.
func pretenders() []caller.Caller {
	out := []caller.Caller{
		{Kind: caller.SPM, Name: "marketplace"}, {Kind: caller.SPM, Name: "payment", Owner: "payment"},
		{Kind: caller.H5, Name: "h5", UserID: "nobody-walks"}, {Kind: caller.H5, Name: "payment", UserID: "b~nobody-walks", Owner: "b"},
		{Kind: caller.Admin, Name: "walker", Roles: caller.EveryRole()}, {Kind: caller.Admin, Name: "payment", Roles: caller.EveryRole()},
		{Kind: caller.Merchant, Name: "walker", MerchantID: "no-shop"}, {Kind: caller.Channel, Name: "payment"},
	}
	for _, name := range serviceNames() {
		out = append(out, caller.Caller{Kind: caller.Service, Name: name})
	}
	return out
}

// forge signs a token for c with the key in a file, whatever the key is bound to: whoever holds the file can do that.
func forge(t *testing.T, file string, c caller.Caller) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var k struct {
		KeyID string `json:"kid"`
		Seed  []byte `json:"seed"`
	}
	if err := json.Unmarshal(raw, &k); err != nil || len(k.Seed) != ed25519.SeedSize {
		t.Fatalf("%s is no key: %v", file, err)
	}
	signer, err := auth.NewSigner(k.KeyID, ed25519.NewKeyFromSeed(k.Seed), auth.Bound{Kinds: []caller.Kind{c.Kind}, Names: []string{c.Name}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Mint(c, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Every key file of a running stack, taken alone, signs for everybody it could pretend to be, and the RPCs of the contract are called
// with each of these tokens: all of them with a token that some RPC takes for good, the internal ones with every token. What is opened
// stands in the table.
func TestKeyFiles_OpenWhatTheTableSays(t *testing.T) {
	t.Parallel()
	s := shared(t)
	all := methods()
	opened := map[string][]string{}
	tokens, calls := 0, 0
	inner, outer := map[string]bool{}, map[string]bool{}
	for method := range all {
		if internal(method) {
			inner[method] = true
		} else {
			outer[method] = true
		}
	}
	for file := range opens() {
		opened[file] = nil
		for _, c := range pretenders() {
			token := forge(t, filepath.Join(devstack.KeysDir(s.dir), file), c)
			tokens++
			calls += len(inner)
			if s.tryKey(t, token, inner, opened, file) {
				calls += len(outer)
				s.tryKey(t, token, outer, opened, file)
			}
		}
	}
	for _, w := range judgeKeys(opens(), opened, all, suiteServices(t)) {
		t.Error(w)
	}
	for _, file := range []string{"h5.json", "admin.json", "merchant.json", "spm-marketplace.json"} {
		kind, _ := caller.ParseKind(strings.ToUpper(strings.SplitN(strings.TrimSuffix(file, ".json"), "-", 2)[0]))
		for method := range all {
			if may := rpckit.AccessRules()[method].AllowsKind(kind); may != slices.Contains(opened[file], method) {
				t.Errorf("%s opens %s: %t, a caller of kind %s may: %t", file, method, !may, kind, may)
			}
		}
	}
	t.Logf("%d key files, %d tokens, %d calls", len(opened), tokens, calls)
}

// tryKey calls the methods with a token and notes what it opens under the file that signed it. It reports whether the token itself was
// taken for good.
func (s *stack) tryKey(t *testing.T, token string, all map[string]bool, opened map[string][]string, file string) (good bool) {
	t.Helper()
	for method := range all {
		// An empty message: it breaks the rules of nearly every request, so what is let in has no effect.
		var out []byte
		err := told(s.conn.Invoke(as(t.Context(), token), method, []byte{}, &out, grpc.ForceCodec(rawBytes{})))
		switch reason := reasonOf(t, err); reason {
		case errs.TokenInvalid.Name():
		case errs.CallerNotAllowed.Name():
			good = true
		case errs.RateLimited.Name(), errs.TokenMissing.Name(), errs.TokenExpired.Name(), errs.Internal.Name():
			t.Fatalf("a token of %s calls %s: %v", file, method, err)
		default:
			good = true
			if !slices.Contains(opened[file], method) {
				opened[file] = append(opened[file], method)
			}
		}
	}
	return good
}

// suiteServices returns the names of the suite's services, as their directories have them.
func suiteServices(t *testing.T) []string {
	t.Helper()
	entries, err := filepath.Glob("../../services/*/cmd/*/main.go")
	if err != nil || len(entries) < 6 {
		t.Fatalf("the services were not found: %v, %v", entries, err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = filepath.Base(filepath.Dir(e))
	}
	return names
}

// Each key of the stack is another one, and a file's key is bound to what the file is named for.
func TestKeyFiles_EachIsAnotherKey(t *testing.T) {
	t.Parallel()
	s := shared(t)
	dir := devstack.KeysDir(s.dir)
	seen := map[string]string{}
	for file := range opens() {
		signer, err := auth.LoadSigner(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if other, twice := seen[string(signer.Public())]; twice {
			t.Errorf("%s and %s hold one key", file, other)
		}
		seen[string(signer.Public())] = file
		bound := signer.Key().Bound
		want := strings.TrimSuffix(file, ".json")
		if name, _, found := strings.Cut(want, "-"); found && bound.String() != strings.ToUpper(name)+" "+want[len(name)+1:] {
			t.Errorf("%s is bound to %s", file, bound)
		}
		if stat, err := os.Stat(filepath.Join(dir, file)); err != nil || stat.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", file, stat.Mode(), err)
		}
	}
}

// withRPC is the contract's methods with one more in bill's internal service, in a copy of its descriptor.
func withRPC(t *testing.T, rule *commonv1.AccessRule) map[string]protoreflect.MethodDescriptor {
	t.Helper()
	all := methods()
	const service = "creditpay.bill.v1.BillInternalService"
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(service)
	if err != nil {
		t.Fatal(err)
	}
	file := protodesc.ToFileDescriptorProto(found.ParentFile())
	options := &descriptorpb.MethodOptions{}
	if rule != nil {
		proto.SetExtension(options, commonv1.E_Access, rule)
	}
	file.Service[0].Method = append(file.Service[0].Method, &descriptorpb.MethodDescriptorProto{Name: proto.String("MintMoney"), Options: options,
		InputType: proto.String(".creditpay.bill.v1.QuotePlansRequest"), OutputType: proto.String(".creditpay.bill.v1.QuotePlansResponse")})
	copied, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	added := copied.Services().ByName("BillInternalService").Methods().ByName("MintMoney")
	all["/"+service+"/MintMoney"] = added
	return all
}

// openedBy is what the rules of those methods open for each key file of the table, without a call.
func openedBy(all map[string]protoreflect.MethodDescriptor) map[string][]string {
	opened := map[string][]string{}
	for file := range opens() {
		opened[file] = nil
		kind, name, _ := strings.Cut(strings.TrimSuffix(file, ".json"), "-")
		for method, m := range all {
			rule, _ := rpckit.RuleOf(m)
			k, _ := caller.ParseKind(strings.ToUpper(kind))
			if rule.Allows(caller.Caller{Kind: k, Name: name, Roles: caller.EveryRole()}) {
				opened[file] = append(opened[file], method)
			}
		}
	}
	return opened
}

// The walk goes red by itself for an internal RPC, or a service, that its table does not know.
func TestKeyFiles_WalkSeesWhatIsNew(t *testing.T) {
	t.Parallel()
	all, services := methods(), suiteServices(t)
	if wrong := judgeKeys(opens(), openedBy(all), all, services); len(wrong) > 0 {
		t.Errorf("the contract as it is: %v", wrong)
	}
	forPayment := &commonv1.AccessRule{Callers: []commonv1.CallerKind{commonv1.CallerKind_CALLER_KIND_SERVICE}, Services: []string{"payment"}}
	forPayers := &commonv1.AccessRule{Callers: []commonv1.CallerKind{commonv1.CallerKind_CALLER_KIND_H5}}
	for name, c := range map[string]struct {
		rule *commonv1.AccessRule
		want []string
	}{
		"an RPC for payment":   {forPayment, []string{"MintMoney is new", "service-payment.json opens"}},
		"an RPC for payers":    {forPayers, []string{"MintMoney is new", "h5.json opens"}},
		"an RPC without a way": {nil, []string{"MintMoney is new"}},
	} {
		more := withRPC(t, c.rule)
		wrong := strings.Join(judgeKeys(opens(), openedBy(more), more, services), "\n")
		for _, want := range c.want {
			if !strings.Contains(wrong, want) {
				t.Errorf("%s: the walk says %q, want %q", name, wrong, want)
			}
		}
	}
	if wrong := judgeKeys(opens(), openedBy(all), all, append(services, "ledger")); len(wrong) != 1 || !strings.Contains(wrong[0], "ledger") {
		t.Errorf("a new service: the walk says %v", wrong)
	}
	wider := opens()
	wider["service-gateway.json"] = append(wider["service-gateway.json"], "/creditpay.bill.v1.BillInternalService/ReserveCredit")
	if wrong := judgeKeys(wider, openedBy(all), all, services); len(wrong) != 1 {
		t.Errorf("a table that says too much: the walk says %v", wrong)
	}
}
