package e2e

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/testkit"
)

const (
	// privateWord is in everything that operators are called and say.
	privateWord = "qzprivate"
	// marketWord is in what the marketplace says when it cancels; payers and shops do not read it.
	marketWord = "qzmarket"
)

// gossip is a journey in which operators act, and the names of everything in it.
type gossip struct {
	s            *stack
	p            *payer
	op, approver string
	// names are what readers can name, by the contract's field.
	names map[string][]string
}

func (g *gossip) name(field string, values ...string) {
	for _, v := range values {
		if v != "" && !slices.Contains(g.names[field], v) {
			g.names[field] = append(g.names[field], v)
		}
	}
}

// act is an operator's call; what it says is private.
func (g *gossip) act(t *testing.T, token, path string, body map[string]any, into proto.Message) {
	t.Helper()
	for _, word := range []string{"reason", "comment", "evidence"} {
		if _, ok := body[word]; ok {
			body[word] = fmt.Sprintf("%s %v", privateWord, body[word])
		}
	}
	if err := g.s.rest(t.Context(), http.MethodPost, path, token, body, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func (g *gossip) ask(t *testing.T, orderID string, amount int64) string {
	t.Helper()
	var res refundv1.AdminRefundPaymentResponse
	g.act(t, g.op, "/admin/v1/refunds", map[string]any{"requestId": unique("ask"), "orderId": orderID, "reason": "she wept", "reasonCode": "REFUND_REASON_CODE_OTHER",
		"amount": map[string]any{"amountMinor": amount, "currencyCode": "IDR"}}, &res)
	g.name("refund_id", res.GetRefund().GetRefundId())
	return res.GetRefund().GetRefundId()
}

// bought notes the names of a checkout's order.
func (g *gossip) bought(t *testing.T, c *orderv1.Checkout) string {
	t.Helper()
	o := g.s.order(t, c.GetOrders()[0].GetOrderId())
	g.name("checkout_id", c.GetCheckoutId())
	g.name("token", c.GetToken())
	g.name("order_id", o.GetOrderId())
	g.name("order_ids", o.GetOrderId())
	g.name("payment_id", o.GetPaymentId())
	g.name("merchant_id", o.GetMerchantId())
	g.names["out_order_no"] = append(g.names["out_order_no"], o.GetOutOrderNo())
	return o.GetOrderId()
}

// refunds are asked for by operators, rejected, and approved.
func (g *gossip) refunds(t *testing.T) {
	t.Helper()
	c := g.p.checkout(t, 400_000)
	g.p.pay(t, c.GetCheckoutId())
	orderID := g.bought(t, c)
	g.p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)
	rejected, approved := g.ask(t, orderID, 150_000), g.ask(t, orderID, 160_000)
	g.act(t, g.approver, "/admin/v1/refunds:reject", map[string]any{"requestId": unique("no"), "refundIds": []string{rejected}, "comment": "a liar"}, &refundv1.RejectRefundResponse{})
	g.act(t, g.approver, "/admin/v1/refunds:approve", map[string]any{"requestId": unique("yes"), "refundIds": []string{approved}, "comment": "a friend"}, &refundv1.ApproveRefundResponse{})
	g.s.awaitRefund(t, approved, refundSucceeded)
	if r := g.s.awaitRefund(t, rejected, func(r *refundv1.Refund) bool { return r.GetState() == refundv1.RefundState_REFUND_STATE_REJECTED }); !strings.Contains(r.GetFailure(), privateWord) {
		t.Fatalf("an operator does not read why it was rejected: %v", r)
	}
}

// returns of down payments fail, and operators end them.
func (g *gossip) returns(t *testing.T, business string) {
	t.Helper()
	c, quoteID := g.p.furniture(t, business, 100_000)
	leg := g.p.commitAndGo(t, commitCall{checkoutID: c.GetCheckoutId(), quoteID: quoteID})
	g.s.pressed(t, "pay", leg.GetReference(), paymentv1.LegState_LEG_STATE_SUCCEEDED)
	orderID := g.bought(t, c)
	g.p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)
	r, _ := g.s.refund(t, orderID, 50_000)
	g.name("refund_id", r.GetRefundId())
	r = g.s.awaitRefund(t, r.GetRefundId(), waitsForLegs)
	reference := r.GetEffect().GetLegs()[0].GetReference()
	g.s.pressed(t, "fail", reference, paymentv1.LegState_LEG_STATE_FAILED)
	g.s.awaitRefund(t, r.GetRefundId(), func(r *refundv1.Refund) bool {
		return r.GetEffect().GetLegs()[0].GetState() == refundv1.RefundLegState_REFUND_LEG_STATE_FAILED
	})
	g.act(t, g.op, "/admin/v1/refunds/"+r.GetRefundId()+"/legs:resolve", map[string]any{"reference": reference, "givenBack": true, "evidence": "by hand"}, &refundv1.ResolveRefundLegResponse{})
	g.s.awaitRefund(t, r.GetRefundId(), refundSucceeded)

	if _, err := orderv1.NewOrderServiceClient(g.s.conn).CancelPayments(g.p.spm(t), &orderv1.CancelPaymentsRequest{RequestId: unique("cancel"),
		OrderIds: []string{orderID}, Reason: marketWord + " out of stock"}); err != nil {
		t.Fatal(told(err))
	}
	g.p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CANCELLED)
	down := &paymentv1.QueryDownPayResultResponse{}
	testkit.Eventually(t, 10*time.Second, func() error {
		err := g.p.call(t.Context(), http.MethodGet, "/h5/v1/orders/"+orderID+"/down-payment", nil, down)
		if err == nil && down.GetLeg().GetState() != paymentv1.LegState_LEG_STATE_RETURNING {
			err = fmt.Errorf("the down payment is %v", down)
		}
		return err
	})
	g.s.pressed(t, "fail", down.GetLeg().GetReference(), paymentv1.LegState_LEG_STATE_FAILED)
	g.act(t, g.op, "/admin/v1/cash-returns:resolve", map[string]any{"reference": down.GetLeg().GetReference(), "givenBack": true, "evidence": "by hand"}, &paymentv1.ResolveCancelReturnResponse{})
}

// withdrawn is a commit that waits for its down payment when the marketplace cancels.
func (g *gossip) withdrawn(t *testing.T, business string) {
	t.Helper()
	c, quoteID := g.p.furniture(t, business, 100_000)
	call := commitCall{checkoutID: c.GetCheckoutId(), quoteID: quoteID, requestID: unique("commit")}
	g.p.commitAndGo(t, call)
	orderID := g.bought(t, c)
	if _, err := orderv1.NewOrderServiceClient(g.s.conn).CancelPayments(g.p.spm(t), &orderv1.CancelPaymentsRequest{RequestId: unique("cancel"),
		OrderIds: []string{orderID}, Reason: marketWord + " she is a liar"}); err != nil {
		t.Fatal(told(err))
	}
	res, err := g.p.tryCommit(t.Context(), call)
	if text := res.String() + fmt.Sprint(err); strings.Contains(text, marketWord) || res.GetState() != paymentv1.PaymentState_PAYMENT_STATE_FAILED {
		t.Errorf("the payer whose commit was withdrawn reads %s", text)
	}
}

// late is a loan of which a fee is waived, that is given up, and of which something is recovered; and the account is frozen.
func (g *gossip) late(t *testing.T) {
	t.Helper()
	c := g.p.checkout(t, 100_000)
	g.p.pay(t, c.GetCheckoutId())
	orderID := g.bought(t, c)
	g.s.confirm(t, orderID)
	loanID := g.p.awaitLoan(t, orderID, "ACTIVE").GetLoanId()
	g.name("loan_id", loanID)
	g.s.advance(t, 70*24*time.Hour)
	g.p.awaitLoan(t, orderID, "OVERDUE")
	money := func(minor int64) map[string]any { return map[string]any{"amountMinor": minor, "currencyCode": "IDR"} }
	account := "/admin/v1/credit-accounts/" + g.p.id
	for _, x := range []struct {
		path string
		body map[string]any
		into proto.Message
	}{
		{"/admin/v1/loans/" + loanID + "/waive-fee", map[string]any{"amount": money(100)}, &billv1.WaiveFeeResponse{}},
		{"/admin/v1/loans/" + loanID + "/write-off", nil, &billv1.WriteOffLoanResponse{}},
		{"/admin/v1/loans/" + loanID + "/recoveries", map[string]any{"amount": money(1_000)}, &billv1.RecordRecoveryResponse{}},
		{account + "/limit", map[string]any{"limit": money(9_000_000)}, &billv1.SetCreditLimitResponse{}},
		{account + "/unfreeze", nil, &billv1.UnfreezeCreditAccountResponse{}}, // Whose loan is given up is frozen.
		{account + "/freeze", nil, &billv1.FreezeCreditAccountResponse{}},
	} {
		body := map[string]any{"requestId": unique("act"), "reason": "he drinks"}
		for k, v := range x.body {
			body[k] = v
		}
		g.act(t, g.op, x.path, body, x.into)
	}
	var entries billv1.QueryBillTxnListResponse
	if err := g.p.call(t.Context(), http.MethodGet, "/h5/v1/bill-entries?pageSize=100", nil, &entries); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries.GetEntries() {
		g.name("entry_id", e.GetEntryId())
		g.name("bill_id", e.GetBillId())
		g.name("bill_ids", e.GetBillId())
	}
}

// repaid is a repayment that an operator takes back.
func (g *gossip) repaid(t *testing.T) {
	t.Helper()
	c := g.p.checkout(t, 100_000)
	g.p.pay(t, c.GetCheckoutId())
	orderID := g.bought(t, c)
	g.s.confirm(t, orderID)
	loanID := g.p.awaitLoan(t, orderID, "ACTIVE").GetLoanId()
	g.name("loan_id", loanID)
	repayment := g.p.repay(t, map[string]any{"loanIds": []string{loanID}, "amount": map[string]any{"amountMinor": 10_000, "currencyCode": "IDR"}})
	g.p.payAt(t, repayment.GetRepaymentId())
	g.p.awaitRepayment(t, repayment.GetRepaymentId(), billv1.RepaymentState_REPAYMENT_STATE_SUCCEEDED)
	g.name("repayment_id", repayment.GetRepaymentId())
	g.act(t, g.op, "/admin/v1/repayments/"+repayment.GetRepaymentId()+"/reverse", map[string]any{"requestId": unique("act"), "reason": "a forger"}, &billv1.ReverseRepaymentResponse{})
}

// reader is somebody outside who reads.
type reader struct {
	kind  caller.Kind
	token string
	words []string
}

// Operators act under marked names and with marked words. Payer, shop and marketplace read everything that the contract offers them, by
// gRPC and REST, their feeds and their webhooks, and find none of the marks.
func TestPrivateWords_AreReadByOperatorsOnly(t *testing.T) {
	t.Parallel()
	s := alone(t)
	market, mine := newShop(t, 200), newShop(t, 200)
	s.subscribe(t, "", market.URL)
	s.subscribe(t, "shop-1", mine.URL)
	business := s.sellFurniture(t)
	g := &gossip{s: s, p: s.payer(t, 10_000_000), names: map[string][]string{}}
	g.op = s.mint(t, caller.Caller{Kind: caller.Admin, Name: privateWord + "-op", Roles: caller.EveryRole()})
	g.approver = s.mint(t, caller.Caller{Kind: caller.Admin, Name: privateWord + "-approver", Roles: caller.EveryRole()})
	g.name("user_id", g.p.id)
	g.refunds(t)
	g.returns(t, business)
	g.withdrawn(t, business)
	g.repaid(t)
	g.late(t)
	s.advance(t, time.Minute) // What happened is in the feed.

	for _, r := range []reader{
		{caller.SPM, s.Credentials.SPMToken, []string{privateWord}},
		{caller.H5, g.p.token, []string{privateWord, marketWord}},
		{caller.Merchant, s.mint(t, caller.Caller{Kind: caller.Merchant, Name: "console", MerchantID: "shop-1"}), []string{privateWord, marketWord}},
	} {
		g.readsByRPC(t, r)
		g.readsByREST(t, r)
	}
	for name, receiver := range map[string]struct {
		*shop
		words []string
	}{"marketplace": {market, []string{privateWord}}, "shop": {mine, []string{privateWord, marketWord}}} {
		testkit.Eventually(t, 20*time.Second, func() error {
			for _, id := range g.names["refund_id"] {
				if !receiver.heardOf(id) {
					return fmt.Errorf("the %s has not heard of %s", name, id)
				}
			}
			return nil
		})
		receiver.mu.Lock()
		for _, h := range receiver.all {
			clean(t, name+"'s webhook", h.body, receiver.words)
		}
		receiver.mu.Unlock()
	}
	s.proveBooks(t)
}

func (s *shop) heardOf(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.all, func(h heard) bool { return strings.Contains(h.body, id) })
}

// clean wants none of the words in a text.
func clean(t *testing.T, where, text string, words []string) {
	t.Helper()
	for _, w := range words {
		if i := strings.Index(text, w); i >= 0 {
			t.Errorf("%s shows %q: …%s…", where, w, text[max(0, i-120):min(len(text), i+60)])
		}
	}
}

// reads reports whether a method only reads: it takes no request_id and asks nobody to act.
func reads(m protoreflect.MethodDescriptor) bool {
	return m.Input().Fields().ByName("request_id") == nil
}

// eachRead visits the reading RPCs that a kind of caller may call.
func eachRead(k caller.Kind, visit func(protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				m := f.Services().Get(i).Methods().Get(j)
				rule, _ := proto.GetExtension(m.Options(), commonv1.E_Access).(*commonv1.AccessRule)
				if reads(m) && slices.Contains(rule.GetCallers(), k.Proto()) {
					visit(m)
				}
			}
		}
		return true
	})
}

// requestsFor are requests of a reading RPC: one for each thing that can be named in it.
func (g *gossip) requestsFor(m protoreflect.MethodDescriptor) []proto.Message {
	base := dynamicpb.NewMessage(m.Input())
	var named []protoreflect.FieldDescriptor
	for i := range m.Input().Fields().Len() {
		switch f := m.Input().Fields().Get(i); {
		case f.Name() == "business":
			base.Set(f, protoreflect.ValueOfString("marketplace"))
		case f.Name() == "amount" && f.Message() != nil:
			amount := base.Mutable(f).Message()
			amount.Set(amount.Descriptor().Fields().ByName("amount_minor"), protoreflect.ValueOfInt64(1_000))
			amount.Set(amount.Descriptor().Fields().ByName("currency_code"), protoreflect.ValueOfString("IDR"))
		case f.Name() == "user_id":
			base.Set(f, protoreflect.ValueOfString(g.p.id))
		case len(g.names[string(f.Name())]) > 0:
			named = append(named, f)
		}
	}
	out := []proto.Message{base}
	for _, f := range named {
		for _, value := range g.names[string(f.Name())] {
			req := dynamicpb.NewMessage(m.Input())
			proto.Merge(req, base)
			switch {
			case f.IsList():
				req.Mutable(f).List().Append(protoreflect.ValueOfString(value))
			case f.Name() == "out_order_no":
				req.Set(f, protoreflect.ValueOfString(value))
				if shop := m.Input().Fields().ByName("merchant_id"); shop != nil {
					req.Set(shop, protoreflect.ValueOfString("shop-1"))
				}
			default:
				req.Set(f, protoreflect.ValueOfString(value))
			}
			out = append(out, req)
		}
	}
	return out
}

// readsByRPC calls everything that reads, about everything that can be named.
func (g *gossip) readsByRPC(t *testing.T, r reader) {
	t.Helper()
	eachRead(r.kind, func(m protoreflect.MethodDescriptor) {
		method, answered := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()), 0
		var last error
		for _, req := range g.requestsFor(m) {
			res := dynamicpb.NewMessage(m.Output())
			err := g.s.conn.Invoke(as(t.Context(), r.token), method, req, res)
			if err != nil {
				last = err
				clean(t, method+" for "+r.kind.String(), err.Error(), r.words)
				continue
			}
			answered++
			clean(t, method+" for "+r.kind.String(), protojson.Format(res), r.words)
		}
		if answered == 0 && m.Name() != "PreEsignCheck" { // No plan is locked any more.
			t.Errorf("%s answers %s nothing, so it shows nothing: name in gossip.names what it asks for; %v", method, r.kind, told(last))
		}
	})
}

var inPath = regexp.MustCompile(`\{([a-z_]+)\}`)

// readsByREST calls the routes of everything that reads.
func (g *gossip) readsByREST(t *testing.T, r reader) {
	t.Helper()
	prefix := map[caller.Kind]string{caller.H5: "/h5/", caller.Merchant: "/merchant/"}[r.kind]
	seen := 0
	eachRead(r.kind, func(m protoreflect.MethodDescriptor) {
		rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
		for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			if prefix == "" || !strings.HasPrefix(binding.GetGet(), prefix) {
				continue
			}
			for _, path := range g.paths(binding.GetGet()) {
				body, err := g.s.send(context.WithoutCancel(t.Context()), http.MethodGet, path, r.token, nil)
				clean(t, "GET "+path+" for "+r.kind.String(), string(body)+fmt.Sprint(err), r.words)
				if err == nil {
					seen++
				}
			}
		}
	})
	if prefix != "" && seen < 3 {
		t.Errorf("%s reads %d pages by REST, want more", r.kind, seen)
	}
}

// paths are a route with each name in place of its variable.
func (g *gossip) paths(route string) []string {
	variable := inPath.FindStringSubmatch(route)
	if variable == nil {
		if strings.HasSuffix(route, "/contracts") {
			return []string{route + "?orderIds=" + g.names["order_id"][0]}
		}
		return []string{route}
	}
	var out []string
	for _, value := range g.names[variable[1]] {
		out = append(out, g.paths(strings.Replace(route, variable[0], value, 1))...)
	}
	return out
}
