package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
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
		"code": "DP_" + strings.ToUpper(unique("")[1:9]), "name": "Furniture", "currencyCode": "IDR", "businesses": []string{business}, "interestMethod": "INTEREST_METHOD_ZERO",
		"tenors": []any{map[string]any{"months": 4, "ratePpm": 0, "ratePeriod": "PER_MONTH"}}, "minAmount": amount(10_000), "maxAmount": amount(50_000_000),
		"billDay": 25, "dueDay": 5, "feeRatePpm": 0, "downPaymentPpm": 200_000}}
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
	c := p.generate(t, req)
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
func (p *payer) commitAndGo(t testing.TB, call commitCall) *paymentv1.CashLeg {
	t.Helper()
	res, err := p.tryCommit(t.Context(), call)
	if err != nil || res.GetState() != paymentv1.PaymentState_PAYMENT_STATE_PROCESSING || res.GetNextAction().GetRedirect().GetUrl() == "" {
		t.Fatalf("DoCommitPayment: %v, %v", res, err)
	}
	p.wantAction(t, call.checkoutID, paymentv1.PaymentState_PAYMENT_STATE_PROCESSING, res.GetNextAction())
	return p.s.cashLeg(t, res.GetCommitId())
}

// wantAction wants the page of a checkout, loaded again, in a state and with something to do; nil for nothing.
func (p *payer) wantAction(t testing.TB, checkoutID string, state paymentv1.PaymentState, want *paymentv1.NextAction) {
	t.Helper()
	if res := p.status(t, checkoutID); res.GetState() != state || !proto.Equal(res.GetNextAction(), want) {
		t.Errorf("QueryPaymentStatus: %v, want %s with %v", res, state, want)
	}
}

func TestAPurchaseWithADownPaymentIsPaidWhenTheCashArrives(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 1_000_000
	p := s.payer(t, limit)
	c, quoteID := p.furniture(t, s.sellFurniture(t), amount)
	leg := p.commitAndGo(t, commitCall{checkoutID: c.GetCheckoutId(), quoteID: quoteID})
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
	leg := p.commitAndGo(t, commitCall{checkoutID: c.GetCheckoutId(), quoteID: quoteID})
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

// furnitureShown makes a checkout of furniture and gives the plan that its page shows.
func (p *payer) furnitureShown(t testing.TB, amount int64) (*orderv1.Checkout, *commonv1.Plan) {
	t.Helper()
	req := until(p.draft(amount), p.s.now(t).Add(2*time.Hour))
	req.Business = p.s.sellFurniture(t)
	c := p.s.generate(t, req)
	var shown *commonv1.Plan
	// A new product is offered within seconds.
	testkit.Eventually(t, 20*time.Second, func() error {
		var info orderv1.QueryCheckoutInfoResponse
		if err := p.call(t.Context(), http.MethodGet, "/h5/v1/checkouts/"+c.GetCheckoutId(), nil, &info); err != nil {
			return err
		}
		for _, plan := range info.GetPlans() {
			if plan.GetDownPayment().GetAmountMinor() == amount/5 {
				shown = plan
				return nil
			}
		}
		return fmt.Errorf("no plan with a down payment in %v", info.GetPlans())
	})
	return c, shown
}

// chosen is the commit of a plan that the page showed.
func chosen(c *orderv1.Checkout, plan *commonv1.Plan, downPaymentChannel string) commitCall {
	return commitCall{checkoutID: c.GetCheckoutId(), choice: map[string]any{"channel": "CREDIT", "productCode": plan.GetProductCode(),
		"productVersion": plan.GetProductVersion(), "tenorMonths": plan.GetTenorMonths(), "downPaymentChannel": downPaymentChannel,
		"agreedTotal": map[string]any{"amountMinor": plan.GetTotal().GetAmountMinor(), "currencyCode": "IDR"}}}
}

func TestADownPaymentOfAPlanThatThePageShowedIsPaidWithoutAQuote(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 1_000_000
	p := s.payer(t, limit)
	c, shown := p.furnitureShown(t, amount)
	_, err := p.tryCommit(t.Context(), chosen(c, shown, ""))
	wantReason(t, err, errs.DownPaymentRequired)
	dearer := chosen(c, shown, "QRIS")
	dearer.choice["agreedTotal"] = map[string]any{"amountMinor": amount, "currencyCode": "IDR"} // The down payment is no part of the total.
	_, err = p.tryCommit(t.Context(), dearer)
	wantReason(t, err, errs.PlanChanged)
	p.wantCredit(t, limit, 0, 0)
	call := chosen(c, shown, "QRIS")
	call.requestID = unique("commit")
	leg := p.commitAndGo(t, call)
	if again := p.commitAndGo(t, call); again.GetReference() != leg.GetReference() || leg.GetAmount().GetAmountMinor() != amount/5 || leg.GetChannel() != "QRIS" {
		t.Fatalf("leg %v, repeated %v", leg, again)
	}
	p.wantCredit(t, limit, 0, amount-amount/5)
	if code, _, reason := s.press(t, "pay", url.Values{"reference": {leg.GetReference()}}); code != http.StatusOK {
		t.Fatalf("pay: HTTP %d %s", code, reason)
	}
	p.wantAction(t, c.GetCheckoutId(), paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED, nil)
	orderID := c.GetOrders()[0].GetOrderId()
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)
	s.confirm(t, orderID)
	if d := p.awaitLoan(t, orderID, "ACTIVE"); !proto.Equal(undated(d.GetPlan()), undated(shown)) {
		t.Errorf("the loan's plan\n%v\nis not what the page showed\n%v", d.GetPlan(), shown)
	}
	p.wantCredit(t, limit, amount-amount/5, 0)
	s.proveBooks(t)
}

func TestADownPaymentWithoutAQuoteThatNobodyPaysGivesHoldAndCheckoutBack(t *testing.T) {
	t.Parallel()
	s := alone(t)
	const limit, amount = 10_000_000, 500_000
	p := s.payer(t, limit)
	c, shown := p.furnitureShown(t, amount)
	orderID := c.GetOrders()[0].GetOrderId()
	leg := p.commitAndGo(t, chosen(c, shown, "VA_BCA"))
	p.wantCredit(t, limit, 0, amount-amount/5)
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_COMMITTING)
	_, err := p.tryCommit(t.Context(), chosen(c, shown, "VA_BCA"))
	wantReason(t, err, errs.CheckoutCommitting)
	s.advance(t, leg.GetExpireTime().AsTime().Sub(s.now(t))+time.Second)
	p.wantCredit(t, limit, 0, 0)
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CREATED)
	testkit.Eventually(t, 10*time.Second, func() error {
		if st := p.status(t, c.GetCheckoutId()); st.GetState() != paymentv1.PaymentState_PAYMENT_STATE_FAILED || st.GetNextAction() != nil ||
			st.GetFailureReason() != commonv1.ErrorReason_ERROR_REASON_COMMIT_ABORTED {
			return fmt.Errorf("status %v", st)
		}
		return nil
	})
	if got := s.cashLeg(t, leg.GetSubjectId()); got.GetState() != paymentv1.LegState_LEG_STATE_FAILED || got.GetRedirectUrl() != "" {
		t.Errorf("leg %v", got)
	}
	// The checkout is payable again, by the same plan.
	next := p.commitAndGo(t, chosen(c, shown, "VA_BCA"))
	if code, _, reason := s.press(t, "pay", url.Values{"reference": {next.GetReference()}}); code != http.StatusOK || next.GetReference() == leg.GetReference() {
		t.Fatalf("pay: HTTP %d %s", code, reason)
	}
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)
	p.wantCredit(t, limit, 0, amount-amount/5)
	s.proveBooks(t)
}
