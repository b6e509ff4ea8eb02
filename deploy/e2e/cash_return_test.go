package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func newRefund() string {
	return ids.Format(ids.Refund, ids.NewGenerator(clock.System()).New())
}

// pressed presses a button of the cash desk and wants the leg or return in a state.
func (s *stack) pressed(t testing.TB, button, reference string, want paymentv1.LegState) *paymentv1.CashLeg {
	t.Helper()
	code, leg, reason := s.press(t, button, url.Values{"reference": {reference}})
	if code != http.StatusOK || leg.GetState() != want {
		t.Fatalf("%s: HTTP %d %s, %v, want %s", button, code, reason, leg, want)
	}
	return leg
}

// wantReturn wants the one return of a refund in a state.
func (s *stack) wantReturn(t testing.TB, refundID string, want paymentv1.CashReturnState) {
	t.Helper()
	res, err := paymentv1.NewPaymentInternalServiceClient(s.conn).GetCashReturns(s.asService(t, "refund"), &paymentv1.GetCashReturnsRequest{RefundId: refundID})
	if err != nil || len(res.GetCashReturns()) != 1 || res.GetCashReturns()[0].GetState() != want ||
		(want == paymentv1.CashReturnState_CASH_RETURN_STATE_RETURNED) != (res.GetCashReturns()[0].GetReturnTime() != nil) {
		t.Errorf("GetCashReturns: %v, %v, want %s", res, told(err), want)
	}
}

// paymentTimeline is what the payment service tells of an order, a line an entry.
func (s *stack) paymentTimeline(t testing.TB, orderID string) string {
	t.Helper()
	res, err := paymentv1.NewPaymentInternalServiceClient(s.conn).BatchGetPayments(s.asService(t, "refund"), &paymentv1.BatchGetPaymentsRequest{OrderIds: []string{orderID}})
	if err != nil {
		t.Fatal(told(err))
	}
	var b strings.Builder
	for _, e := range res.GetTimeline() {
		fmt.Fprintf(&b, "%s %s>%s by %s: %s\n", e.GetObjectId(), e.GetFromState(), e.GetToState(), e.GetActor(), e.GetCause())
	}
	return b.String()
}

func TestTheCashOfARefundGoesBackAtTheCashDeskAndACancelTakesTheRest(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const amount, down, back = 1_000_000, 200_000, 50_000
	p := s.payer(t, 10_000_000)
	c, quoteID := p.furniture(t, s.sellFurniture(t), amount)
	leg := p.commitAndGo(t, commitCall{checkoutID: c.GetCheckoutId(), quoteID: quoteID})
	s.pressed(t, "pay", leg.GetReference(), paymentv1.LegState_LEG_STATE_SUCCEEDED)
	orderID := c.GetOrders()[0].GetOrderId()
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)

	// A quarter of the order: in the proportion of the payment, a quarter of its down payment goes back.
	asked, _ := s.refund(t, orderID, 5*back)
	asked = s.awaitRefund(t, asked.GetRefundId(), waitsForLegs)
	reference := asked.GetEffect().GetLegs()[0].GetReference()
	s.wantReturn(t, asked.GetRefundId(), paymentv1.CashReturnState_CASH_RETURN_STATE_RETURNING)
	s.pressed(t, "fail", reference, paymentv1.LegState_LEG_STATE_FAILED)
	s.awaitRefund(t, asked.GetRefundId(), func(r *refundv1.Refund) bool {
		return r.GetEffect().GetLegs()[0].GetState() == refundv1.RefundLegState_REFUND_LEG_STATE_FAILED
	})
	if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/refunds/"+asked.GetRefundId()+"/legs:retry", s.Credentials.AdminToken,
		map[string]any{"reference": reference}, &refundv1.RetryRefundLegResponse{}); err != nil {
		t.Fatal(err)
	}
	if shown := s.pressed(t, "refund", reference, paymentv1.LegState_LEG_STATE_REVERSED); shown.GetAmount().GetAmountMinor() != back {
		t.Errorf("the desk shows %v", shown)
	}
	s.wantReturn(t, asked.GetRefundId(), paymentv1.CashReturnState_CASH_RETURN_STATE_RETURNED)
	s.awaitRefund(t, asked.GetRefundId(), refundSucceeded)

	if _, err := orderv1.NewOrderServiceClient(s.conn).CancelPayments(s.spm(t), &orderv1.CancelPaymentsRequest{RequestId: unique("cancel"),
		OrderIds: []string{orderID}, Reason: "changed their mind"}); err != nil {
		t.Fatal(told(err))
	}
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CANCELLED)
	downPayment := &paymentv1.QueryDownPayResultResponse{}
	testkit.Eventually(t, 10*time.Second, func() error {
		err := p.call(t.Context(), http.MethodGet, "/h5/v1/orders/"+orderID+"/down-payment", nil, downPayment)
		if l := downPayment.GetLeg(); err != nil || l.GetState() != paymentv1.LegState_LEG_STATE_RETURNING || l.GetRefundedAmount().GetAmountMinor() != back {
			return fmt.Errorf("QueryDownPayResult: %v, %w", downPayment, err)
		}
		return nil
	})
	if told := s.paymentTimeline(t, orderID); !strings.Contains(told, "refund "+asked.GetRefundId()+" took ") ||
		!strings.Contains(told, reference+" RETURNING>RETURNED") {
		t.Errorf("the timeline is:\n%s", told)
	}
	if shown := s.pressed(t, "refund", downPayment.GetLeg().GetReference(), paymentv1.LegState_LEG_STATE_REVERSED); shown.GetAmount().GetAmountMinor() != down-back {
		t.Errorf("the desk shows %v", shown)
	}
	s.proveBooks(t)
}

func TestAPartOfARepaymentThatCannotGoBackIsEndedByAnOperator(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const amount = 300_000
	p := s.payer(t, 10_000_000)
	orderID := p.buys(t, amount)
	s.confirm(t, orderID)
	p.awaitLoan(t, orderID, "ACTIVE")
	paid := p.repay(t, map[string]any{"amount": map[string]any{"amountMinor": amount, "currencyCode": "IDR"}}).GetRepaymentId()
	p.payAt(t, paid)
	// A refund that nobody asked for gives nothing back: the bill service is asked.
	payments := paymentv1.NewPaymentInternalServiceClient(s.conn)
	_, err := payments.ReturnRepayment(s.asService(t, "refund"), &paymentv1.ReturnRepaymentRequest{RefundId: newRefund(), RepaymentId: paid, Amount: idr(25_000)})
	wantReason(t, told(err), errs.NotFound)
	r, _ := s.refund(t, orderID, amount)
	r = s.awaitRefund(t, r.GetRefundId(), waitsForLegs)
	back := r.GetEffect().GetCashReturned().GetAmountMinor()
	var leg *refundv1.RefundLeg
	for _, l := range r.GetEffect().GetLegs() {
		if l.GetRepaymentId() == paid {
			leg = l
		}
	}
	if leg == nil || back <= 0 {
		t.Fatalf("no part of the repayment goes back: %v", r.GetEffect())
	}
	end := &paymentv1.ResolveCashReturnRequest{Reference: leg.GetReference(), GivenBack: new(false), Actor: "ADMIN:ann", Evidence: "the account is closed"}
	_, err = payments.ResolveCashReturn(s.asService(t, "refund"), end)
	wantReason(t, told(err), errs.OrderStateInvalid)
	// Nor does it become credit balance while the cash is on its way.
	_, err = billv1.NewBillInternalServiceClient(s.conn).KeepRefundAsCredit(s.asService(t, "refund"), &billv1.KeepRefundAsCreditRequest{RefundId: r.GetRefundId(), RepaymentId: paid})
	wantReason(t, told(err), errs.OrderStateInvalid)
	s.pressed(t, "fail", leg.GetReference(), paymentv1.LegState_LEG_STATE_FAILED)
	s.awaitRefund(t, r.GetRefundId(), func(r *refundv1.Refund) bool {
		return slices.ContainsFunc(r.GetEffect().GetLegs(), func(l *refundv1.RefundLeg) bool {
			return l.GetState() == refundv1.RefundLegState_REFUND_LEG_STATE_FAILED
		})
	})
	if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/refunds/"+r.GetRefundId()+"/legs:resolve", s.Credentials.AdminToken,
		map[string]any{"givenBack": false, "evidence": "the account is closed", "reference": leg.GetReference()}, &refundv1.ResolveRefundLegResponse{}); err != nil {
		t.Fatal(err)
	}
	s.awaitRefund(t, r.GetRefundId(), refundSucceeded)
	s.wantReturn(t, r.GetRefundId(), paymentv1.CashReturnState_CASH_RETURN_STATE_ABANDONED)
	if got := s.cashLeg(t, paid); got.GetState() != paymentv1.LegState_LEG_STATE_SUCCEEDED || got.GetAmount().GetAmountMinor() != amount {
		t.Errorf("the leg is %v", got)
	}
	s.proveBooks(t)
}

// Down payments that the cash desk cannot give back, of a refund and of a cancelled order, become credit balance by an operator's word.
func TestADownPaymentThatCannotGoBackBecomesCreditBalance(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const amount, down = 1_000_000, 200_000
	p := s.payer(t, 20_000_000)
	buy := func() string {
		c, quoteID := p.furniture(t, s.sellFurniture(t), amount)
		leg := p.commitAndGo(t, commitCall{checkoutID: c.GetCheckoutId(), quoteID: quoteID})
		s.pressed(t, "pay", leg.GetReference(), paymentv1.LegState_LEG_STATE_SUCCEEDED)
		p.awaitOrder(t, c.GetOrders()[0].GetOrderId(), orderv1.OrderState_ORDER_STATE_PAID)
		return c.GetOrders()[0].GetOrderId()
	}
	refunded, cancelled := buy(), buy()
	r, _ := s.refund(t, refunded, amount)
	r = s.awaitRefund(t, r.GetRefundId(), waitsForLegs)
	s.giveBack(t, r, "fail")
	s.awaitRefund(t, r.GetRefundId(), func(r *refundv1.Refund) bool {
		return r.GetEffect().GetLegs()[0].GetState() == refundv1.RefundLegState_REFUND_LEG_STATE_FAILED
	})
	if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/refunds/"+r.GetRefundId()+"/legs:resolve", s.Credentials.AdminToken,
		map[string]any{"givenBack": false, "evidence": "the account is closed", "reference": r.GetEffect().GetLegs()[0].GetReference()}, &refundv1.ResolveRefundLegResponse{}); err != nil {
		t.Fatal(err)
	}
	s.awaitRefund(t, r.GetRefundId(), refundSucceeded)

	if _, err := orderv1.NewOrderServiceClient(s.conn).CancelPayments(s.spm(t), &orderv1.CancelPaymentsRequest{RequestId: unique("cancel"),
		OrderIds: []string{cancelled}, Reason: "changed their mind"}); err != nil {
		t.Fatal(told(err))
	}
	p.awaitOrder(t, cancelled, orderv1.OrderState_ORDER_STATE_CANCELLED)
	list := &paymentv1.ListCashReturnsResponse{}
	testkit.Eventually(t, 10*time.Second, func() error {
		err := s.rest(t.Context(), http.MethodGet, "/admin/v1/cash-returns?orderId="+cancelled, s.Credentials.AdminToken, nil, list)
		if err == nil && (len(list.GetReturns()) != 1 || list.GetReturns()[0].GetNextAskTime() == nil) {
			err = fmt.Errorf("the returns are %v", list)
		}
		return err
	})
	share := list.GetReturns()[0].GetCashReturn()
	const path = "/admin/v1/cash-returns"
	resolved := &paymentv1.ResolveCancelReturnResponse{}
	evidence := map[string]any{"givenBack": false, "evidence": "the account is closed", "reference": share.GetReference()}
	wantReason(t, s.rest(t.Context(), http.MethodPost, path+":resolve", s.Credentials.AdminToken, evidence, resolved), errs.OrderStateInvalid)
	s.pressed(t, "fail", share.GetReference(), paymentv1.LegState_LEG_STATE_FAILED)
	if err := s.rest(t.Context(), http.MethodPost, path+":retry", s.Credentials.AdminToken, map[string]any{"reference": share.GetReference()}, &paymentv1.RetryCancelReturnResponse{}); err != nil {
		t.Fatal(err)
	}
	s.pressed(t, "fail", share.GetReference(), paymentv1.LegState_LEG_STATE_FAILED)
	if err := s.rest(t.Context(), http.MethodPost, path+":resolve", s.Credentials.AdminToken, evidence, resolved); err != nil {
		t.Fatal(err)
	}
	bills := &billv1.QueryBillsResponse{}
	testkit.Eventually(t, 10*time.Second, func() error {
		err := p.call(t.Context(), http.MethodGet, "/h5/v1/bills", nil, bills)
		if got := bills.GetCreditBalance().GetAmountMinor(); err != nil || got != 2*down {
			return fmt.Errorf("the credit balance is %d, %w", got, err)
		}
		return nil
	})
	s.proveBooks(t)
}
