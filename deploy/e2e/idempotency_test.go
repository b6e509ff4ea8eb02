package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

// mutation is a mutating call that a test can make again and again: over gRPC, or over REST when path is set.
type mutation struct {
	name, token string
	// method and request are for gRPC.
	method  string
	request proto.Message
	// path and body are for REST.
	path string
	body map[string]any
	// other is the same request id with other content.
	otherRequest proto.Message
	otherBody    map[string]any
}

// answer makes the call and gives the answer's bytes as they came over the wire.
func (s *stack) answer(ctx context.Context, m mutation, other bool) ([]byte, error) {
	if m.path != "" {
		body := m.body
		if other {
			body = m.otherBody
		}
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		return s.send(ctx, http.MethodPost, m.path, m.token, text)
	}
	request := m.request
	if other {
		request = m.otherRequest
	}
	raw, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	var out []byte
	err = s.conn.Invoke(as(ctx, m.token), m.method, raw, &out, grpc.ForceCodec(rawBytes{}))
	return out, told(err)
}

// with is a body with one more field.
func with(body map[string]any, key string, value any) map[string]any {
	out := map[string]any{key: value}
	for k, v := range body {
		if k != key {
			out[k] = v
		}
	}
	return out
}

func TestARepeatedRequestIsAnsweredTheSameBytesAndOtherContentIsRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 10_000_000)
	fresh := s.stranger(t)
	c, paid := p.checkout(t, 100_000), p.checkout(t, 200_000)
	back := p.checkout(t, 50_000)
	quote, other := p.quote(t, paid.GetCheckoutId()), p.checkout(t, 70_000)
	paidOrder, admin, spm := paid.GetOrders()[0].GetOrderId(), s.Credentials.AdminToken, s.Credentials.SPMToken
	gen := p.draft(100_000, 30_000)
	otherGen := proto.CloneOf(gen)
	*otherGen.Orders[1].Amount.AmountMinor++
	body := func(kv ...any) map[string]any {
		m := map[string]any{"requestId": unique("again")}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i].(string)] = kv[i+1]
		}
		return m
	}
	rp := func(minor int) map[string]any {
		return map[string]any{"amountMinor": fmt.Sprint(minor), "currencyCode": "IDR"}
	}
	account := "/admin/v1/credit-accounts/" + p.id
	confirm := &orderv1.ConfirmPaymentRequest{RequestId: unique("again"), OrderIds: []string{paidOrder}}
	cancel := &orderv1.CancelPaymentsRequest{RequestId: unique("again"), CheckoutId: back.GetCheckoutId(), Reason: "r"}
	open := body("userId", fresh.id, "limit", rp(5), "reason", "r")
	limit, freeze, lift := body("limit", rp(20_000_000), "reason", "r"), body("reason", "r"), body("reason", "r")
	pin, choice := body("newPin", rightPin), body("channel", "CREDIT", "tenorMonths", 3)
	commit := body("quoteId", quote.GetQuoteId(), "pin", rightPin)
	// In this order each has its effect; repeating comes when all of them have had it.
	all := []mutation{
		{name: "GeneratePayments", token: spm, method: orderv1.OrderService_GeneratePayments_FullMethodName, request: gen, otherRequest: otherGen},
		{name: "OpenCreditAccount", token: admin, path: "/admin/v1/credit-accounts", body: open, otherBody: with(open, "limit", rp(6))},
		{name: "SetCreditLimit", token: admin, path: account + "/limit", body: limit, otherBody: with(limit, "limit", rp(20_000_001))},
		{name: "FreezeCreditAccount", token: admin, path: account + "/freeze", body: freeze, otherBody: with(freeze, "reason", "other")},
		{name: "UnfreezeCreditAccount", token: admin, path: account + "/unfreeze", body: lift, otherBody: with(lift, "reason", "other")},
		{name: "SetPaymentPin", token: fresh.token, path: "/h5/v1/pin", body: pin, otherBody: with(pin, "newPin", "927351")},
		{name: "ConfirmPayChannel", token: p.token, path: "/h5/v1/checkouts/" + c.GetCheckoutId() + "/quote", body: choice, otherBody: with(choice, "tenorMonths", 6)},
		{name: "DoCommitPayment", token: p.token, path: "/h5/v1/checkouts/" + paid.GetCheckoutId() + "/commit", body: commit,
			otherBody: with(commit, "quoteId", p.quote(t, other.GetCheckoutId()).GetQuoteId())},
		{name: "ConfirmPayment", token: spm, method: orderv1.OrderService_ConfirmPayment_FullMethodName, request: confirm,
			otherRequest: &orderv1.ConfirmPaymentRequest{RequestId: confirm.RequestId, OrderIds: []string{other.GetOrders()[0].GetOrderId()}}},
		{name: "CancelPayments", token: spm, method: orderv1.OrderService_CancelPayments_FullMethodName, request: cancel,
			otherRequest: &orderv1.CancelPaymentsRequest{RequestId: cancel.RequestId, CheckoutId: other.GetCheckoutId(), Reason: "r"}},
	}
	first := map[string]string{}
	for _, m := range all {
		got, err := s.answer(t.Context(), m, false)
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		first[m.name] = string(got)
	}
	p.awaitLoan(t, paidOrder, "ACTIVE")
	before := p.credit(t)
	for range 2 {
		for _, m := range all {
			if got, err := s.answer(t.Context(), m, false); err != nil || string(got) != first[m.name] {
				t.Errorf("%s again answers\n%s, %v; first it was\n%s", m.name, got, err, first[m.name])
			}
			_, err := s.answer(t.Context(), m, true)
			if reasonOf(t, err) != errs.RequestIDReused.Name() {
				t.Errorf("%s with other content: %v", m.name, err)
			}
		}
	}
	if after := p.credit(t); !proto.Equal(before, after) {
		t.Errorf("repeating moved the limit from %v to %v", before, after)
	}
	s.proveBooks(t)
}

func TestARequestIDBelongsToItsCaller(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a, b := s.payer(t, 1_000_000), s.payer(t, 1_000_000)
	ca, cb := a.checkout(t, 100_000), b.checkout(t, 100_000)
	qa, qb := a.quote(t, ca.GetCheckoutId()), b.quote(t, cb.GetCheckoutId())
	id := unique("commit")
	ra, err := a.tryCommit(t.Context(), commitCall{checkoutID: ca.GetCheckoutId(), quoteID: qa.GetQuoteId(), requestID: id})
	if err != nil {
		t.Fatal(err)
	}
	rb, err := b.tryCommit(t.Context(), commitCall{checkoutID: cb.GetCheckoutId(), quoteID: qb.GetQuoteId(), requestID: id})
	if err != nil || ra.GetCommitId() == rb.GetCommitId() {
		t.Errorf("two payers with the same request id: %v, %v, %v", ra, rb, err)
	}
	a.wantCredit(t, 1_000_000, 0, 100_000)
	b.wantCredit(t, 1_000_000, 0, 100_000)
	s.proveBooks(t)
}

func TestTheSameOrderNumbersGiveTheSameCheckoutAndOtherContentIsRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	req := p.draft(100_000, 50_000)
	first := s.generate(t, req)
	again := proto.CloneOf(req)
	again.RequestId = unique("gen")
	if got := s.generate(t, again); !proto.Equal(got, first) {
		t.Errorf("another request with the same orders answers %v, first %v", got, first)
	}
	client := orderv1.NewOrderServiceClient(s.conn)
	for name, change := range map[string]func(*orderv1.GeneratePaymentsRequest){
		"amount":       func(r *orderv1.GeneratePaymentsRequest) { r.Orders[0].Amount = idr(100_001) },
		"title":        func(r *orderv1.GeneratePaymentsRequest) { r.Orders[0].Title = "Another" },
		"user":         func(r *orderv1.GeneratePaymentsRequest) { r.UserId = "somebody-else" },
		"redirect":     func(r *orderv1.GeneratePaymentsRequest) { r.RedirectUrl = "https://other.example" },
		"one missing":  func(r *orderv1.GeneratePaymentsRequest) { r.Orders = r.Orders[:1] },
		"one more":     func(r *orderv1.GeneratePaymentsRequest) { r.Orders = append(r.Orders, p.draft(1_000).Orders[0]) },
		"item's price": func(r *orderv1.GeneratePaymentsRequest) { r.Orders[1].Items[0].UnitPrice = idr(7) },
	} {
		other := proto.CloneOf(req)
		other.RequestId = unique("gen")
		change(other)
		_, err := client.GeneratePayments(s.spm(t), other)
		if reasonOf(t, told(err)) != errs.OrderContentMismatch.Name() {
			t.Errorf("%s differs: %v", name, told(err))
		}
	}
	s.proveBooks(t)
}

func TestWrongPINsAreCountedAndLock(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	c := p.checkout(t, 100_000)
	q := p.quote(t, c.GetCheckoutId())
	commit := func(pin string) error {
		_, err := p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId(), pin: pin})
		return err
	}
	for left := 4; left > 0; left-- {
		if r := refusedFor(t, commit(wrongPin), errs.PinWrong); r.metadata["tries_left"] != fmt.Sprint(left) {
			t.Errorf("the refusal says %v, want %d tries left", r.metadata, left)
		}
	}
	if r := refusedFor(t, commit(wrongPin), errs.PinLocked); r.metadata["locked_until"] == "" {
		t.Errorf("the refusal does not say until when: %v", r)
	}
	wantReason(t, commit(rightPin), errs.PinLocked)
	if r := p.check(t, c.GetCheckoutId(), q.GetQuoteId()); r.GetReady() || len(r.GetBlockingReasons()) != 1 ||
		r.GetBlockingReasons()[0].GetReason().String() != "ERROR_REASON_PIN_LOCKED" {
		t.Errorf("CheckCommitPayment of a locked PIN: %v", r)
	}
	p.wantCredit(t, 1_000_000, 0, 0)
	s.proveBooks(t)
}

func TestARightPINForgetsTheWrongOnesBefore(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 10_000_000)
	for range 2 {
		c := p.checkout(t, 100_000)
		q := p.quote(t, c.GetCheckoutId())
		for range 4 {
			_, err := p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId(), pin: wrongPin})
			wantReason(t, err, errs.PinWrong)
		}
		p.payQuote(t, c.GetCheckoutId(), q.GetQuoteId())
	}
	s.proveBooks(t)
}

func TestALimitIsNeverSetBelowItsUse(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	p.pay(t, p.checkout(t, 400_000).GetCheckoutId())
	client := billv1.NewBillAdminServiceClient(s.conn)
	set := func(minor int64) error {
		_, err := client.SetCreditLimit(s.admin(t), &billv1.SetCreditLimitRequest{RequestId: unique("limit"), UserId: p.id, Limit: idr(minor), Reason: "e2e"})
		return told(err)
	}
	wantReason(t, set(399_999), errs.LimitBelowUse)
	if err := set(400_000); err != nil {
		t.Fatal(err)
	}
	p.wantCredit(t, 400_000, 0, 400_000)
	s.proveBooks(t)
}
