package e2e

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/rpckit"

	"github.com/creditpay/creditpay/deploy/walks/sample"
)

// inputWalk sends every request of the contract without each of its fields in turn, and with null for it.
type inputWalk struct {
	t       *testing.T
	s       *stack
	rules   *rpckit.Rules
	walkers []walker
	calls   int
}

// tokenFor is the token of a caller that may call a method, over REST by an address's front; empty when nobody may.
func (w *inputWalk) tokenFor(m protoreflect.MethodDescriptor, path string) string {
	rule, _ := rpckit.RuleOf(m)
	front := map[string]string{"h5": "H5", "merchant": "MERCHANT", "admin": "ADMIN"}[strings.Split(path+"//", "/")[1]]
	for _, c := range w.walkers {
		if rule.Allows(c.Caller) && (front == "" || c.Kind.String() == front) {
			return c.token
		}
	}
	return ""
}

// names reports whether a refusal is INVALID_ARGUMENT and names a field, or a choice between fields of which it is one.
func names(err error, path string) bool {
	var r *refusal
	if !errors.As(err, &r) || r.reason != errs.InvalidArgument.Name() {
		return false
	}
	last := path[strings.LastIndexByte(path, '.')+1:]
	return slices.Contains(r.fields, path) || strings.Contains(r.message, last)
}

// refuses reports whether the contract's own rules refuse a message for a field.
func (w *inputWalk) refuses(m proto.Message, path string) bool {
	var found rpckit.FieldViolations
	if !errors.As(w.rules.Check(m), &found) {
		return false
	}
	last := path[strings.LastIndexByte(path, '.')+1:]
	return slices.ContainsFunc(found, func(v rpckit.FieldViolation) bool {
		return v.Field == path || v.Field == "" && strings.Contains(v.Text, last)
	})
}

func (w *inputWalk) grpc(m protoreflect.MethodDescriptor, message proto.Message, token string) error {
	w.calls++
	method := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	return told(w.s.conn.Invoke(as(w.t.Context(), token), method, message, dynamicpb.NewMessage(m.Output())))
}

// bodyOf is a message as the body of a request, by the contract's names.
func (w *inputWalk) bodyOf(message proto.Message) map[string]any {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		w.t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		w.t.Fatal(err)
	}
	return body
}

// nullAt puts null at a path such as "tiers[0].from.amount_minor".
func nullAt(body map[string]any, path string) {
	name, rest, more := strings.Cut(path, ".")
	name, index, listed := strings.Cut(name, "[")
	if !more {
		body[name] = nil
		return
	}
	inner, _ := body[name].(map[string]any)
	if listed {
		n, _ := strconv.Atoi(strings.TrimSuffix(index, "]"))
		list, _ := body[name].([]any)
		inner, _ = list[n].(map[string]any)
	}
	nullAt(inner, rest)
}

func (w *inputWalk) request(m protoreflect.MethodDescriptor) {
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	small := sample.Maker{}.Message(m.Input())
	address := proto.CloneOf[proto.Message](small).ProtoReflect() // for the path: small is without one field after another
	sample.Visit(small, func(parent protoreflect.Message, f protoreflect.FieldDescriptor, path string) {
		if template := rule.GetPost(); template != "" {
			body := w.bodyOf(small)
			nullAt(body, path)
			text, err := json.Marshal(body)
			if err != nil {
				w.t.Fatal(err)
			}
			w.calls++
			if _, err := w.s.send(w.t.Context(), http.MethodPost, fillPath(template, address), w.tokenFor(m, template), text); !names(err, path) {
				w.t.Errorf("%s with null for %s: %v, want INVALID_ARGUMENT that names it", m.FullName(), path, err)
			}
		}
		held := parent.Get(f)
		parent.Clear(f)
		defer parent.Set(f, held)
		if !w.refuses(small, path) {
			return // The static walk (deploy/walks) wants it in the table of what may be left out.
		}
		if err := w.grpc(m, small, w.tokenFor(m, "")); !names(err, path) {
			w.t.Errorf("%s without %s: %v, want INVALID_ARGUMENT that names it", m.FullName(), path, err)
		}
		if template := rule.GetPost(); template != "" && !strings.Contains(template, "{"+path+"}") {
			text, _ := json.Marshal(w.bodyOf(small))
			w.calls++
			if _, err := w.s.send(w.t.Context(), http.MethodPost, fillPath(template, address), w.tokenFor(m, template), text); !names(err, path) {
				w.t.Errorf("%s over REST without %s: %v, want INVALID_ARGUMENT that names it", m.FullName(), path, err)
			}
		}
	})
}

// fillPath puts the names of a message for the variables of an address.
func fillPath(template string, m protoreflect.Message) string {
	parts := strings.Split(template, "{")
	out := parts[0]
	for _, part := range parts[1:] {
		name, rest, _ := strings.Cut(part, "}")
		out += url.PathEscape(m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name))).String()) + rest
	}
	return out
}

// A field left out, or null, is refused by its name and changes nothing, of every RPC, over gRPC and REST.
func TestInput_LeftOutAndNullChangeNothing(t *testing.T) {
	s := alone(t)
	all := slices.Collect(maps.Values(methods()))
	rules, err := rpckit.NewRules(all)
	if err != nil {
		t.Fatal(err)
	}
	w := &inputWalk{t: t, s: s, rules: rules, walkers: s.walkers(t)}
	b := s.books(t)
	before := b.rest(t, s.now(t))
	for _, m := range all {
		w.request(m)
	}
	if diff := difference(before, b.rest(t, s.now(t))); len(diff) > 0 {
		t.Errorf("%d refused calls changed something: %v", w.calls, diff)
	}
	if w.calls < 500 {
		t.Errorf("%d calls, want more: the walk has become short", w.calls)
	}
}

// plausible replaces what a sample cannot know: the currency, amounts that add up, ids that exist, addresses that are posted to.
func plausible(m protoreflect.Message, known map[string]string) {
	sample.VisitAll(m, func(parent protoreflect.Message, f protoreflect.FieldDescriptor) {
		if value, ok := known[string(f.Name())]; ok && f.Kind() == protoreflect.StringKind && !f.IsList() {
			parent.Set(f, protoreflect.ValueOfString(value))
		}
		switch f.FullName() {
		case "creditpay.common.v1.Money.amount_minor":
			parent.Set(f, protoreflect.ValueOfInt64(1000))
		case "creditpay.common.v1.Money.currency_code":
			parent.Set(f, protoreflect.ValueOfString("IDR"))
		}
	})
}

// The largest message that the contract lets through meets no other bound: it is answered by a rule or with success, never by a column,
// a limit of the wire or a fault.
func TestInput_LargestMeetsNoOtherBound(t *testing.T) {
	s := alone(t)
	p := s.payer(t, 1_000_000)
	orderID := p.buys(t, 100_000)
	walkers := &inputWalk{t: t, s: s, walkers: s.walkers(t)}
	for name, m := range methods() {
		if strings.HasSuffix(name, "/AdvanceClock") || strings.HasSuffix(name, "/GeneratePayments") {
			continue // The first moves the clock by 400 days; the second is below.
		}
		large := sample.Maker{Large: true}.Message(m.Input())
		plausible(large, map[string]string{"request_id": unique("largest"), "order_id": orderID, "user_id": p.id})
		err := walkers.grpc(m, large, walkers.tokenFor(m, ""))
		var r *refusal
		switch {
		case err == nil:
		case !errors.As(err, &r):
			t.Errorf("%s: %v", name, err)
		case r.code == codes.Internal || r.code == codes.Unknown || r.code == codes.ResourceExhausted || r.code == codes.Unavailable:
			t.Errorf("the largest %s: %v", name, err)
		}
	}
}

// What reaches a row: texts of four bytes a character in every column that holds one.
func TestInput_LargestTextsAreStored(t *testing.T) {
	t.Parallel()
	s := shared(t)
	emoji := func(n int) string { return strings.Repeat("\U0001F600", n) }
	user := unique("largest")
	admin := billv1.NewBillAdminServiceClient(s.conn)
	if _, err := admin.OpenCreditAccount(s.admin(t), &billv1.OpenCreditAccountRequest{RequestId: unique("open"), UserId: user, Reason: emoji(200),
		Limit: idr(1_000_000)}); err != nil {
		t.Fatal(told(err))
	}
	if _, err := admin.FreezeCreditAccount(s.admin(t), &billv1.FreezeCreditAccountRequest{RequestId: unique("freeze"), UserId: user, Reason: emoji(200)}); err != nil {
		t.Error(told(err))
	}
	draft := sample.Maker{Large: true, Leave: map[string]bool{"creditpay.order.v1.GeneratePaymentsRequest.expire_time": true,
		"creditpay.order.v1.GeneratePaymentsRequest.notify_url": true}}.Message((&orderv1.GeneratePaymentsRequest{}).ProtoReflect().Descriptor())
	plausible(draft, map[string]string{"request_id": unique("largest"), "user_id": user, "business": "marketplace", "currency_code": "IDR"})
	var req orderv1.GeneratePaymentsRequest
	if text, err := proto.Marshal(draft); err != nil {
		t.Fatal(err)
	} else if err := proto.Unmarshal(text, &req); err != nil {
		t.Fatal(err)
	}
	for i, o := range req.GetOrders() {
		o.MerchantId = unique("shop") + "-" + strconv.Itoa(i)
		if i > 0 {
			o.Items = o.Items[:10] // All with the longest texts are more than the 1 MiB of the contract.
		}
	}
	if size := proto.Size(&req); size > rpckit.MaxMessage || size < rpckit.MaxMessage/2 {
		t.Fatalf("%d bytes, want near %d", size, rpckit.MaxMessage)
	}
	res, err := orderv1.NewOrderServiceClient(s.conn).GeneratePayments(s.spm(t), &req)
	if err != nil {
		t.Fatal(told(err))
	}
	cancel, err := orderv1.NewOrderServiceClient(s.conn).CancelPayments(s.spm(t), &orderv1.CancelPaymentsRequest{RequestId: unique("cancel"),
		CheckoutId: res.GetCheckout().GetCheckoutId(), Reason: emoji(200)})
	if err != nil {
		t.Fatal(told(err))
	}
	for _, r := range cancel.GetResults() {
		if r.GetReason() != commonv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
			t.Errorf("cancel: %v", r)
		}
	}
}

// The longest user id that the contract takes buys, and its order is confirmed: a row names the caller's kind in front of it.
func TestInput_LongestUserBuys(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := unique("longest")
	p := s.user(t, id+strings.Repeat("u", 64-len(id))).ready(t, 1_000_000)
	c := p.checkout(t, 100_000)
	p.pay(t, c.GetCheckoutId())
	orderID := c.GetOrders()[0].GetOrderId()
	s.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)
	s.confirm(t, orderID)
	s.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CONFIRMED)
}
