package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func rupiah(minor int64) *commonv1.Money {
	return &commonv1.Money{AmountMinor: new(minor), CurrencyCode: "IDR"}
}

func (s *stack) tryRefund(t testing.TB, orderID string, amount int64) (*refundv1.Refund, error) {
	t.Helper()
	res, err := refundv1.NewRefundServiceClient(s.conn).RefundPayment(s.spm(t), &refundv1.RefundPaymentRequest{RequestId: unique("refund"), OrderId: orderID,
		Amount: rupiah(amount), Reason: "sent back", OutRefundNo: unique("no"), ReasonCode: refundv1.RefundReasonCode_REFUND_REASON_CODE_GOODS_RETURNED})
	return res.GetRefund(), told(err)
}

// buys pays a checkout of one order and gives it once it is PAID.
func (p *payer) buys(t testing.TB, amount int64) (orderID string) {
	t.Helper()
	c := p.checkout(t, amount)
	p.pay(t, c.GetCheckoutId())
	orderID = c.GetOrders()[0].GetOrderId()
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)
	return orderID
}

// refund asks for a refund of the marketplace, after a look at what it would do.
func (s *stack) refund(t testing.TB, orderID string, amount int64) (r *refundv1.Refund, preview *refundv1.RefundEffect) {
	t.Helper()
	looked, err := refundv1.NewRefundServiceClient(s.conn).PreviewRefund(s.spm(t), &refundv1.PreviewRefundRequest{OrderId: orderID, Amount: rupiah(amount)})
	if err != nil {
		t.Fatalf("PreviewRefund: %v", told(err))
	}
	if r, err = s.tryRefund(t, orderID, amount); err != nil {
		t.Fatalf("RefundPayment: %v", err)
	}
	return r, looked.GetEffect()
}

func (s *stack) awaitRefund(t testing.TB, id string, want func(r *refundv1.Refund) bool) *refundv1.Refund {
	t.Helper()
	res := &refundv1.GetRefundResponse{}
	testkit.Eventually(t, 20*time.Second, func() error {
		if err := s.rest(t.Context(), http.MethodGet, "/admin/v1/refunds/"+id, s.Credentials.AdminToken, nil, res); err != nil {
			return err
		}
		if !want(res.GetRefund()) {
			return fmt.Errorf("the refund is %v", res.GetRefund())
		}
		return nil
	})
	return res.GetRefund()
}

func refundSucceeded(r *refundv1.Refund) bool {
	return r.GetState() == refundv1.RefundState_REFUND_STATE_SUCCEEDED
}

// waitsForLegs reports whether every leg was asked for.
func waitsForLegs(r *refundv1.Refund) bool {
	legs := r.GetEffect().GetLegs()
	return len(legs) > 0 && !slices.ContainsFunc(legs, func(l *refundv1.RefundLeg) bool {
		return l.GetReference() == "" && l.GetKind() != refundv1.RefundLegKind_REFUND_LEG_KIND_CREDIT_BALANCE
	})
}

// foretold wants an effect to be what the preview said: the same amounts, plan and instalments, and legs but for their states.
func foretold(t testing.TB, preview, effect *refundv1.RefundEffect) {
	t.Helper()
	bare := proto.CloneOf(effect)
	for _, l := range bare.GetLegs() {
		l.State, l.Reference = refundv1.RefundLegState_REFUND_LEG_STATE_UNSPECIFIED, ""
	}
	if !proto.Equal(preview, bare) {
		t.Errorf("preview %v\neffect  %v", preview, bare)
	}
}

// giveBack lets the cash desk give every leg of a refund back.
func (s *stack) giveBack(t testing.TB, r *refundv1.Refund, button string) {
	t.Helper()
	for _, l := range r.GetEffect().GetLegs() {
		if l.GetState() != refundv1.RefundLegState_REFUND_LEG_STATE_RETURNING {
			continue
		}
		if code, _, reason := s.press(t, button, url.Values{"reference": {l.GetReference()}}); code != http.StatusOK {
			t.Fatalf("%s %s: HTTP %d %s", button, l.GetReference(), code, reason)
		}
	}
}

func TestARefundBeforeReceiptShrinksTheHold(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 600_000
	p := s.payer(t, limit)
	orderID := p.buys(t, amount)
	r, preview := s.refund(t, orderID, 200_000)
	r = s.awaitRefund(t, r.GetRefundId(), refundSucceeded)
	foretold(t, preview, r.GetEffect())
	if e := r.GetEffect(); e.GetPrincipalReduced().GetAmountMinor() != 200_000 || e.GetCashReturned().GetAmountMinor() != 0 || e.GetLimitFreed().GetAmountMinor() != 200_000 {
		t.Errorf("effect %v", e)
	}
	p.wantCredit(t, limit, 0, 400_000)
	s.confirm(t, orderID)
	if d := p.awaitLoan(t, orderID, "ACTIVE"); d.GetPlan().GetPrincipal().GetAmountMinor() != 400_000 || d.GetOrder().GetRefundedAmount().GetAmountMinor() != 200_000 ||
		!slices.Equal(d.GetRefundIds(), []string{r.GetRefundId()}) {
		t.Errorf("detail %v", d)
	}
	s.proveBooks(t)
}

func TestAShopReadsItsRefundsOverRESTWithoutThePayersPlanAndWhoDecided(t *testing.T) {
	t.Parallel()
	s := shared(t)
	orderID := s.payer(t, 1_000_000).buys(t, 100_000)
	asked, _ := s.refund(t, orderID, 40_000)
	r := s.awaitRefund(t, asked.GetRefundId(), refundSucceeded)
	own := s.mint(t, caller.Caller{Kind: caller.Merchant, Name: "console", MerchantID: r.GetMerchantId()})
	other := s.mint(t, caller.Caller{Kind: caller.Merchant, Name: "console", MerchantID: "shop-of-nobody"})
	var one refundv1.GetRefundResponse
	if err := s.rest(t.Context(), http.MethodGet, "/merchant/v1/refunds/"+r.GetRefundId(), own, nil, &one); err != nil ||
		one.GetRefund().GetState() != r.GetState() || len(one.GetRefund().GetTimeline()) == 0 || one.GetRefund().GetEffect() != nil {
		t.Errorf("%v, %v", &one, err)
	}
	if text := one.String(); strings.Contains(text, ":marketplace") || strings.Contains(text, "sent back:") || one.GetRefund().GetRequester() != "SPM" {
		t.Errorf("a shop sees who decided: %s", text)
	}
	if err := s.rest(t.Context(), http.MethodGet, "/merchant/v1/refunds/"+r.GetRefundId(), other, nil, &one); reasonOf(t, err) != errs.NotFound.Name() {
		t.Errorf("another shop reads it: %v", err)
	}
	for token, want := range map[string]int{own: 1, other: 0} {
		var list refundv1.ListRefundsResponse
		if err := s.rest(t.Context(), http.MethodGet, "/merchant/v1/refunds?orderId="+orderID, token, nil, &list); err != nil || len(list.GetRefunds()) != want {
			t.Errorf("%v, want %d, %v", &list, want, err)
		}
	}
}

func TestARefundOfEverythingBeforeReceiptClosesTheOrder(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 600_000
	p := s.payer(t, limit)
	orderID := p.buys(t, amount)
	for range 3 {
		r, _ := s.refund(t, orderID, amount/3)
		s.awaitRefund(t, r.GetRefundId(), refundSucceeded)
	}
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CLOSED)
	p.wantCredit(t, limit, 0, 0)
	if _, err := s.tryRefund(t, orderID, 1); err == nil {
		t.Error("more was refunded than was paid")
	} else {
		wantReason(t, err, errs.RefundExceedsBudget)
	}
	s.proveBooks(t)
}

func TestWhatWasRepaidGoesBackByItsRepayment(t *testing.T) {
	t.Parallel()
	s := alone(t)
	const limit, amount = 10_000_000, 600_000
	p := s.payer(t, limit)
	orderID := p.buys(t, amount)
	s.confirm(t, orderID)
	p.awaitLoan(t, orderID, "ACTIVE")
	s.advance(t, 40*24*time.Hour)
	bills := p.bills(t).GetBills()
	if len(bills) == 0 {
		t.Fatal("no bill")
	}
	p.payBill(t, bills[len(bills)-1])
	r, preview := s.refund(t, orderID, amount)
	r = s.awaitRefund(t, r.GetRefundId(), waitsForLegs)
	foretold(t, preview, r.GetEffect())
	if cash := r.GetEffect().GetCashReturned().GetAmountMinor(); cash <= 0 || cash > amount {
		t.Fatalf("%d goes back in cash: %v", cash, r.GetEffect())
	}
	s.giveBack(t, r, "refund")
	r = s.awaitRefund(t, r.GetRefundId(), refundSucceeded)
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CLOSED)
	p.wantCredit(t, limit, 0, 0)
	if d := p.detail(t, orderID); !slices.ContainsFunc(d.GetTimeline(), func(e *commonv1.TimelineEntry) bool {
		return e.GetObjectId() == r.GetRefundId() && e.GetToState() == "SUCCEEDED"
	}) {
		t.Errorf("timeline %v", d.GetTimeline())
	}
	s.proveBooks(t)
}

func TestADownPaymentGoesBackInItsProportion(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 1_000_000
	p := s.payer(t, limit)
	c, quoteID := p.furniture(t, s.sellFurniture(t), amount)
	leg := p.commitAndGo(t, commitCall{checkoutID: c.GetCheckoutId(), quoteID: quoteID})
	if code, _, reason := s.press(t, "pay", url.Values{"reference": {leg.GetReference()}}); code != http.StatusOK {
		t.Fatalf("pay: HTTP %d %s", code, reason)
	}
	orderID := c.GetOrders()[0].GetOrderId()
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)
	r, preview := s.refund(t, orderID, amount/2)
	r = s.awaitRefund(t, r.GetRefundId(), waitsForLegs)
	foretold(t, preview, r.GetEffect())
	if got := r.GetEffect().GetDownPaymentPart().GetAmountMinor(); got != amount/10 {
		t.Errorf("%d of the down payment goes back", got)
	}
	s.giveBack(t, r, "refund")
	s.awaitRefund(t, r.GetRefundId(), refundSucceeded)
	p.wantCredit(t, limit, 0, 400_000)
	s.proveBooks(t)
}

func TestFiftyRefundsAtOnceAreOne(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 10_000_000)
	orderID := p.buys(t, 100_000)
	var group sync.WaitGroup
	var done, refused atomic.Int32
	for range 50 {
		group.Go(func() {
			_, err := s.tryRefund(t, orderID, 60_000)
			switch {
			case err == nil:
				done.Add(1)
			case reasonOf(t, err) == errs.RefundExceedsBudget.Name():
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if done.Load() != 1 || refused.Load() != 49 {
		t.Errorf("%d succeeded, %d were refused", done.Load(), refused.Load())
	}
	s.proveBooks(t)
}

func TestAnOperatorsRefundNeedsAnotherPerson(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 600_000
	p := s.payer(t, limit)
	orderID := p.buys(t, amount)
	// Sums go by person and day: this one asks for nothing else.
	requester := s.mint(t, caller.Caller{Kind: caller.Admin, Name: unique("clerk"), Roles: caller.EveryRole()})
	var asked refundv1.AdminRefundPaymentResponse
	body := map[string]any{"requestId": unique("admin"), "orderId": orderID, "amount": map[string]any{"amountMinor": amount, "currencyCode": "IDR"},
		"reason": "the shop closed", "reasonCode": "REFUND_REASON_CODE_OUT_OF_STOCK"}
	if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/refunds", requester, body, &asked); err != nil {
		t.Fatal(err)
	}
	r := asked.GetRefund()
	if r.GetState() != refundv1.RefundState_REFUND_STATE_PENDING_APPROVAL || r.GetApprovalsNeeded() != 1 || r.GetEffect().GetPrincipalReduced().GetAmountMinor() != amount {
		t.Fatalf("asked for: %v", r)
	}
	approve := func(token string) *refundv1.RefundResult {
		t.Helper()
		var res refundv1.ApproveRefundResponse
		body := map[string]any{"requestId": unique("approve"), "refundIds": []string{r.GetRefundId()}, "comment": "seen"}
		if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/refunds:approve", token, body, &res); err != nil || len(res.GetResults()) != 1 {
			t.Fatalf("%v, %v", &res, err)
		}
		return res.GetResults()[0]
	}
	if got := approve(requester); got.GetReason() != errs.ApproverIsRequester.Name() {
		t.Errorf("who asked approved: %v", got)
	}
	other := s.mint(t, caller.Caller{Kind: caller.Admin, Name: "second-pair-of-eyes", Roles: caller.RolesOf(caller.RefundApprove)})
	if got := approve(other); got.GetReason() != "" {
		t.Fatalf("another person: %v", got)
	}
	s.awaitRefund(t, r.GetRefundId(), refundSucceeded)
	p.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CLOSED)
	p.wantCredit(t, limit, 0, 0)
	s.proveBooks(t)
}

// A refund and a cancellation of the same order meet, before receipt: whatever wins, the payer's limit is whole or holds what is left.
func TestARefundAndACancellationAtOnceGiveEverythingBackOnce(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const limit, amount = 10_000_000, 300_000
	p := s.payer(t, limit)
	for round := range 6 {
		orderID := p.buys(t, amount)
		part := int64(amount)
		if round%2 == 0 {
			part = amount / 3
		}
		var group sync.WaitGroup
		var r *refundv1.Refund
		group.Go(func() {
			var err error
			if r, err = s.tryRefund(t, orderID, part); err != nil && reasonOf(t, err) != errs.OrderStateInvalid.Name() {
				t.Error(err)
			}
		})
		group.Go(func() {
			orders := orderv1.NewOrderServiceClient(s.conn)
			for range 2 * round { // Each round a few calls later.
				if _, err := orders.GetOrderInfo(s.spm(t), &orderv1.GetOrderInfoRequest{OrderId: orderID}); err != nil {
					t.Error(told(err))
				}
			}
			_, err := orders.CancelPayments(s.spm(t), &orderv1.CancelPaymentsRequest{RequestId: unique("cancel"), OrderIds: []string{orderID}, Reason: "changed my mind"})
			if err != nil {
				t.Error(told(err))
			}
		})
		group.Wait()
		if r != nil {
			s.awaitRefund(t, r.GetRefundId(), func(r *refundv1.Refund) bool {
				return refundSucceeded(r) || r.GetState() == refundv1.RefundState_REFUND_STATE_FAILED
			})
		}
		testkit.Eventually(t, 20*time.Second, func() error {
			state := p.detail(t, orderID).GetOrder().GetState()
			if state != orderv1.OrderState_ORDER_STATE_CANCELLED && state != orderv1.OrderState_ORDER_STATE_CLOSED {
				return fmt.Errorf("round %d: the order is %s", round, state)
			}
			return nil
		})
		p.wantCredit(t, limit, 0, 0)
	}
	s.proveBooks(t)
}
