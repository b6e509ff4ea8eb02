package e2e

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
)

// The clock belongs to the whole stack, so everything that moves it stands in one test.
func TestWhatTimeDoesWhenTheClockIsAdvanced(t *testing.T) {
	t.Parallel()
	s := alone(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T, *stack)
	}{
		{"a quote ends and can be made again", quoteEnds},
		{"an unpaid checkout expires", checkoutExpires},
		{"a PIN lock runs out", pinLockEnds},
		{"an order that nobody confirms confirms itself after fifteen days", confirmsItself},
		{"commit, cancel and expiry at the same moment leave one winner", commitCancelExpire},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, s) }) {
			return
		}
	}
	s.proveBooks(t)
}

func quoteEnds(t *testing.T, s *stack) {
	p := s.payer(t, 1_000_000)
	c := p.checkout(t, 100_000)
	q := p.quote(t, c.GetCheckoutId())
	s.advance(t, 11*time.Minute)
	r := p.check(t, c.GetCheckoutId(), q.GetQuoteId())
	if r.GetReady() || len(r.GetBlockingReasons()) != 1 || r.GetBlockingReasons()[0].GetReason() != commonv1.ErrorReason_ERROR_REASON_QUOTE_EXPIRED {
		t.Errorf("CheckCommitPayment: %v", r)
	}
	_, err := p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId()})
	wantReason(t, err, errs.QuoteExpired)
	p.pay(t, c.GetCheckoutId())
}

func checkoutExpires(t *testing.T, s *stack) {
	p := s.payer(t, 1_000_000)
	c := s.generate(t, until(p.draft(100_000, 50_000), s.now(t).Add(5*time.Minute)))
	q := p.quote(t, c.GetCheckoutId())
	s.advance(t, 6*time.Minute)
	// At once, before the timer has run: the checkout's own time counts.
	_, err := p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId()})
	wantReason(t, err, errs.CheckoutExpired)
	for _, o := range c.GetOrders() {
		s.awaitOrder(t, o.GetOrderId(), orderv1.OrderState_ORDER_STATE_EXPIRED)
	}
	r := p.check(t, c.GetCheckoutId(), q.GetQuoteId())
	if r.GetReady() || len(r.GetBlockingReasons()) != 1 || r.GetBlockingReasons()[0].GetReason() != commonv1.ErrorReason_ERROR_REASON_CHECKOUT_EXPIRED {
		t.Errorf("CheckCommitPayment: %v", r)
	}
	_, err = p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId()})
	wantReason(t, err, errs.CheckoutExpired)
	_, err = p.tryQuote(t.Context(), c.GetCheckoutId(), 3)
	wantReason(t, err, errs.CheckoutExpired)
	if r := p.result(t, c.GetCheckoutId()); r.GetState() != orderv1.CheckoutState_CHECKOUT_STATE_EXPIRED {
		t.Errorf("result page %v", r)
	}
	if r := s.takeBack(t, c.GetOrders()[0].GetOrderId()); r[0].GetReason() != commonv1.ErrorReason_ERROR_REASON_ORDER_STATE_INVALID {
		t.Errorf("cancelling an expired order: %v", r)
	}
	p.wantCredit(t, 1_000_000, 0, 0)
}

func pinLockEnds(t *testing.T, s *stack) {
	p := s.payer(t, 1_000_000)
	c := p.checkout(t, 100_000)
	q := p.quote(t, c.GetCheckoutId())
	for range 5 {
		_, _ = p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId(), pin: wrongPin})
	}
	_, err := p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId()})
	wantReason(t, err, errs.PinLocked)
	s.advance(t, 31*time.Minute)
	p.pay(t, c.GetCheckoutId())
}

func confirmsItself(t *testing.T, s *stack) {
	p := s.payer(t, 1_000_000)
	c := p.checkout(t, 100_000)
	p.pay(t, c.GetCheckoutId())
	orderID := c.GetOrders()[0].GetOrderId()
	s.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)
	s.advance(t, 14*24*time.Hour)
	if got := s.order(t, orderID).GetState(); got != orderv1.OrderState_ORDER_STATE_PAID {
		t.Errorf("after fourteen days the order is %s", got)
	}
	s.advance(t, 25*time.Hour)
	s.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CONFIRMED)
	d := p.awaitLoan(t, orderID, "ACTIVE")
	dueDates(t, d.GetPlan(), s.now(t))
	d = s.detail(t, orderID)
	last := d.GetTimeline()[len(d.GetTimeline())-1]
	for _, e := range d.GetTimeline() {
		if e.GetToState() == "CONFIRMED" && !strings.HasPrefix(e.GetActor(), "timer:") {
			t.Errorf("nobody but the timer confirmed, the timeline says %v", e)
		}
	}
	if age := s.now(t).Sub(last.GetTime().AsTime()); age > time.Hour {
		t.Errorf("the loan began %s ago, want now: %v", age, last)
	}
	p.wantCredit(t, 1_000_000, 100_000, 0)
}

// raced is what the three who raced for a checkout were told.
type raced struct {
	commit    *paymentv1.DoCommitPaymentResponse
	commitErr error
	cancel    *orderv1.CancelPaymentsResponse
	cancelErr error
	clockErr  error
}

// commitCancelExpire lets a commit, a cancel and the expiry meet, many times, with starts that differ a little.
func commitCancelExpire(t *testing.T, s *stack) {
	const rounds = 36
	p := s.payer(t, 100_000_000)
	seen := map[orderv1.OrderState]int{}
	for round := range rounds {
		end := s.now(t).Add(62 * time.Second)
		c := s.generate(t, until(p.draft(100_000, 50_000), end))
		q := p.quote(t, c.GetCheckoutId())
		got := s.race(t, p, c, q.GetQuoteId(), round)
		if got.clockErr != nil {
			t.Fatal(got.clockErr)
		}
		for _, o := range c.GetOrders() {
			state := s.settled(t, o.GetOrderId())
			seen[state]++
			judge(t, round, o.GetOrderId(), state, got)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("ends of %d rounds: %v", rounds, seen)
	if len(seen) < 2 {
		t.Errorf("the races always end the same way, so they prove nothing: %v", seen)
	}
}

func (s *stack) race(t *testing.T, p *payer, c *orderv1.Checkout, quoteID string, round int) raced {
	var got raced
	var wg sync.WaitGroup
	gate := make(chan struct{})
	// The others come a few calls later than the commit, so that they meet it at different steps.
	later := func(calls int) {
		for range calls {
			_, _ = orderv1.NewOrderServiceClient(s.conn).GetOrderInfo(s.spm(t), &orderv1.GetOrderInfoRequest{OrderId: c.GetOrders()[0].GetOrderId()})
		}
	}
	// Every third round leaves the clock alone, so that commit and cancel meet without a third.
	runners := []func(){
		func() {
			got.commit, got.commitErr = p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: quoteID})
		},
		func() {
			later(round % 7)
			got.cancel, got.cancelErr = orderv1.NewOrderServiceClient(s.conn).CancelPayments(s.spm(t),
				&orderv1.CancelPaymentsRequest{RequestId: unique("cancel"), CheckoutId: c.GetCheckoutId(), Reason: "race"})
		},
	}
	if round%3 != 0 {
		runners = append(runners, func() {
			later(round % 5)
			got.clockErr = s.tryAdvance(s.admin(t), 63*time.Second)
		})
	}
	if round%4 == 1 {
		runners[1] = func() { got.cancelErr = context.Canceled } // Nobody cancels.
	}
	for _, run := range runners {
		wg.Go(func() {
			<-gate
			run()
		})
	}
	close(gate)
	wg.Wait()
	return got
}

// settled waits until nothing moves the order any more.
func (s *stack) settled(t *testing.T, orderID string) orderv1.OrderState {
	t.Helper()
	var state orderv1.OrderState
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		o := s.order(t, orderID)
		state = o.GetState()
		over := !s.now(t).Before(o.GetExpireTime().AsTime())
		switch state {
		case orderv1.OrderState_ORDER_STATE_PAID, orderv1.OrderState_ORDER_STATE_CANCELLED, orderv1.OrderState_ORDER_STATE_EXPIRED:
			return state
		case orderv1.OrderState_ORDER_STATE_CREATED:
			if !over {
				return state
			}
		}
		if time.Now().After(deadline) {
			t.Errorf("order %s stays %s", orderID, state)
			return state
		}
	}
	return state
}

// judge compares an order's end with what the racers were told.
func judge(t *testing.T, round int, orderID string, state orderv1.OrderState, got raced) {
	t.Helper()
	paid := got.commitErr == nil && got.commit.GetState() == paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED
	failed := got.commitErr != nil || got.commit.GetState() == paymentv1.PaymentState_PAYMENT_STATE_FAILED
	switch reasonOf(t, got.commitErr) {
	case "", "CHECKOUT_CANCELLED", "CHECKOUT_EXPIRED", "COMMIT_ABORTED", "QUOTE_EXPIRED", "CHECKOUT_CHANGED":
	default:
		t.Errorf("round %d: the commit was refused for %v", round, got.commitErr)
	}
	var cancel *orderv1.OrderResult
	switch {
	case errors.Is(got.cancelErr, context.Canceled):
	case got.cancelErr != nil:
		t.Errorf("round %d: CancelPayments: %v", round, told(got.cancelErr))
	default:
		for _, r := range got.cancel.GetResults() {
			if r.GetOrderId() == orderID {
				cancel = r
			}
		}
	}
	tookBack := cancel != nil && cancel.GetReason() == 0
	switch state {
	case orderv1.OrderState_ORDER_STATE_PAID:
		if failed || tookBack {
			t.Errorf("round %d: order is PAID; commit %v %v, cancel %v", round, got.commit, got.commitErr, cancel)
		}
	case orderv1.OrderState_ORDER_STATE_CANCELLED:
		if !tookBack {
			t.Errorf("round %d: order is CANCELLED; cancel %v", round, cancel)
		}
	case orderv1.OrderState_ORDER_STATE_EXPIRED, orderv1.OrderState_ORDER_STATE_CREATED:
		if paid || tookBack {
			t.Errorf("round %d: order is %s; commit %v %v, cancel %v", round, state, got.commit, got.commitErr, cancel)
		}
	default:
		t.Errorf("round %d: order is %s", round, state)
	}
}
