package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// sellFurniture adds a product with a down payment of a fifth, for a business of its own.
func (s *stack) sellFurniture(t testing.TB) string {
	t.Helper()
	business := "furniture_" + fmt.Sprint(time.Now().UnixNano()%1_000_000)
	amount := func(minor int64) map[string]any { return map[string]any{"amountMinor": minor, "currencyCode": "IDR"} }
	body := map[string]any{"requestId": unique("product"), "product": map[string]any{
		"code": "DP" + unique("")[:8], "name": "Furniture", "currencyCode": "IDR", "businesses": []string{business}, "interestMethod": "INTEREST_METHOD_ZERO",
		"tenors": []any{map[string]any{"months": 4, "ratePpm": 0, "ratePeriod": "PER_MONTH"}}, "minAmount": amount(10_000), "maxAmount": amount(50_000_000),
		"billDay": 25, "dueDay": 5, "downPaymentPpm": 200_000}}
	var res billv1.CreateProductVersionResponse
	if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/products", s.Credentials.AdminToken, body, &res); err != nil {
		t.Fatalf("CreateProductVersion: %v", err)
	}
	if p := res.GetProduct(); p.GetVersion() != 1 || p.GetServicing().GetSettlementInterest() != "DROP_UNBILLED" {
		t.Fatalf("product %v", p)
	}
	return business
}

func (p *payer) furniture(t testing.TB, business string, amount int64) (checkout *orderv1.Checkout, quoteID string) {
	t.Helper()
	req := p.draft(amount)
	req.Business = business
	c := p.s.generate(t, req)
	path := "/h5/v1/checkouts/" + c.GetCheckoutId() + "/quote"
	var quoted paymentv1.ConfirmPayChannelResponse
	body := map[string]any{"requestId": unique("quote"), "channel": "CREDIT", "tenorMonths": 4}
	// A new product is offered within seconds.
	testkit.Eventually(t, 20*time.Second, func() error {
		body["requestId"] = unique("quote")
		if err := p.call(t.Context(), http.MethodPost, path, body, &quoted); reasonOf(t, err) != errs.DownPaymentRequired.Name() {
			return fmt.Errorf("without a channel for the down payment: %w", err)
		}
		return nil
	})
	body["requestId"], body["downPaymentChannel"] = unique("quote"), "VA_BCA"
	if err := p.call(t.Context(), http.MethodPost, path, body, &quoted); err != nil || quoted.GetQuote().GetPlan().GetDownPayment().GetAmountMinor() != amount/5 {
		t.Fatalf("quote %v, %v", &quoted, err)
	}
	return c, quoted.GetQuote().GetQuoteId()
}

// commitAndGo commits and gives the leg that the page is sent to, also when it is loaded again.
func (p *payer) commitAndGo(t testing.TB, c *orderv1.Checkout, quoteID string) *paymentv1.CashLeg {
	t.Helper()
	res, err := p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: quoteID})
	if err != nil || res.GetState() != paymentv1.PaymentState_PAYMENT_STATE_PROCESSING || res.GetNextAction().GetRedirect().GetUrl() == "" {
		t.Fatalf("DoCommitPayment: %v, %v", res, err)
	}
	p.wantAction(t, c.GetCheckoutId(), paymentv1.PaymentState_PAYMENT_STATE_PROCESSING, res.GetNextAction())
	return p.s.cashLeg(t, res.GetCommitId())
}

// wantAction wants the page of a checkout, loaded again, in a state and with something to do; nil for nothing.
func (p *payer) wantAction(t testing.TB, checkoutID string, state paymentv1.PaymentState, want *paymentv1.NextAction) {
	t.Helper()
	res := &paymentv1.QueryPaymentStatusResponse{}
	err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+checkoutID+"/payment", nil, res)
	if err != nil || res.GetState() != state || !proto.Equal(res.GetNextAction(), want) {
		t.Errorf("QueryPaymentStatus: %v, %v, want %s with %v", res, err, state, want)
	}
}

func TestAPurchaseWithADownPaymentIsPaidWhenTheCashArrives(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 1_000_000
	p := s.payer(t, limit)
	c, quoteID := p.furniture(t, s.sellFurniture(t), amount)
	leg := p.commitAndGo(t, c, quoteID)
	if leg.GetAmount().GetAmountMinor() != amount/5 {
		t.Fatalf("leg %v", leg)
	}
	p.wantCredit(t, limit, 0, amount-amount/5)
	if code, _, reason := s.press(t, "pay", url.Values{"reference": {leg.GetReference()}}); code != http.StatusOK {
		t.Fatalf("pay: HTTP %d %s", code, reason)
	}
	orderID := c.GetOrders()[0].GetOrderId()
	p.wantAction(t, c.GetCheckoutId(), paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED, nil)
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)
	down := &paymentv1.QueryDownPayResultResponse{}
	if err := p.call(t.Context(), http.MethodGet, "/h5/v1/payments/"+c.GetOrders()[0].GetPaymentId()+"/down-payment", nil, down); err != nil ||
		down.GetLeg().GetState() != paymentv1.LegState_LEG_STATE_SUCCEEDED || down.GetLeg().GetAmount().GetAmountMinor() != amount/5 {
		t.Errorf("QueryDownPayResult: %v, %v", down, err)
	}
	s.confirm(t, orderID)
	if d := p.awaitLoan(t, orderID, "ACTIVE"); d.GetPlan().GetPrincipal().GetAmountMinor() != amount-amount/5 {
		t.Errorf("loan %v", d.GetPlan())
	}
	s.proveBooks(t)
}

func TestADownPaymentThatFailsGivesEverythingBack(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 500_000
	p := s.payer(t, limit)
	c, quoteID := p.furniture(t, s.sellFurniture(t), amount)
	leg := p.commitAndGo(t, c, quoteID)
	form := url.Values{"reference": {leg.GetReference()}}
	if code, _, reason := s.press(t, "fail", form); code != http.StatusOK {
		t.Fatalf("fail: HTTP %d %s", code, reason)
	}
	p.wantCredit(t, limit, 0, 0)
	p.awaitOrder(t, c.GetOrders()[0].GetOrderId(), orderv1.OrderState_ORDER_STATE_CREATED)
	// Money that comes all the same goes back by itself.
	if code, got, reason := s.press(t, "pay", form); code != http.StatusOK || got.GetState() != paymentv1.LegState_LEG_STATE_RETURNING {
		t.Errorf("late money: HTTP %d %s, %v", code, reason, got)
	}
	if code, got, reason := s.press(t, "refund", form); code != http.StatusOK || got.GetState() != paymentv1.LegState_LEG_STATE_REVERSED {
		t.Errorf("refund: HTTP %d %s, %v", code, reason, got)
	}
	s.proveBooks(t)
}
