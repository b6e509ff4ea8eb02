package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/testkit"
)

const callers = 50

// outcome is what one of many callers was told.
type outcome struct {
	res *paymentv1.DoCommitPaymentResponse
	err error
}

// atOnce makes n calls that begin together.
func atOnce(n int, call func(i int) outcome) []outcome {
	out := make([]outcome, n)
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-gate
			out[i] = call(i)
		})
	}
	close(gate)
	wg.Wait()
	return out
}

// tally counts the outcomes: state or reason.
func tally(t *testing.T, all []outcome) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for _, o := range all {
		if reason := reasonOf(t, o.err); reason != "" {
			seen[reason]++
		} else {
			seen[o.res.GetState().String()]++
		}
	}
	return seen
}

const (
	succeeded  = "PAYMENT_STATE_SUCCEEDED"
	processing = "PAYMENT_STATE_PROCESSING"
)

// only fails the test when something else was seen.
func only(t *testing.T, seen map[string]int, allowed ...string) {
	t.Helper()
	left := map[string]int{}
	for k, n := range seen {
		left[k] = n
	}
	for _, a := range allowed {
		delete(left, a)
	}
	if len(left) > 0 {
		t.Errorf("outcomes %v, want none but %v", seen, allowed)
	}
}

func TestOfFiftyCommitsOfOneCheckoutOneSucceeds(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 10_000_000)
	c := p.checkout(t, 100_000, 20_000)
	q := p.quote(t, c.GetCheckoutId())
	seen := tally(t, atOnce(callers, func(int) outcome {
		res, err := p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId()})
		return outcome{res, err}
	}))
	t.Log(seen)
	if seen[succeeded] != 1 {
		t.Errorf("outcomes %v, want one success", seen)
	}
	only(t, seen, succeeded, errs.CheckoutCommitting.Name(), errs.CheckoutAlreadyPaid.Name())
	p.wantCredit(t, 10_000_000, 0, 120_000)
	s.proveBooks(t)
}

func TestOneRequestSentFiftyTimesHasOneEffect(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 10_000_000)
	c := p.checkout(t, 100_000)
	q := p.quote(t, c.GetCheckoutId())
	call := commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId(), requestID: unique("commit")}
	all := atOnce(callers, func(int) outcome {
		res, err := p.tryCommit(t.Context(), call)
		return outcome{res, err}
	})
	seen := tally(t, all)
	t.Log(seen)
	only(t, seen, succeeded, errs.RequestInFlight.Name())
	again, err := p.tryCommit(t.Context(), call)
	if err != nil || again.GetState() != paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED {
		t.Fatalf("afterwards: %v, %v", again, err)
	}
	for _, o := range all {
		if o.err == nil && o.res.GetCommitId() != again.GetCommitId() {
			t.Errorf("commits %s and %s for one request", o.res.GetCommitId(), again.GetCommitId())
		}
	}
	p.wantCredit(t, 10_000_000, 0, 100_000)
	s.proveBooks(t)
}

func TestFiftyGeneratesOfTheSameOrdersMakeOneCheckout(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	client := orderv1.NewOrderServiceClient(s.conn)
	numbers := p.draft(100_000, 50_000)
	checkouts := make([]string, callers)
	all := atOnce(callers, func(i int) outcome {
		req := p.draft()
		req.Orders = numbers.Orders
		if i%2 == 0 {
			req.RequestId = numbers.RequestId
		}
		res, err := client.GeneratePayments(s.spm(t), req)
		checkouts[i] = res.GetCheckout().GetCheckoutId()
		return outcome{nil, told(err)}
	})
	distinct := map[string]bool{}
	for i, o := range all {
		switch reasonOf(t, o.err) {
		case "":
			distinct[checkouts[i]] = true
		case errs.RequestInFlight.Name(), errs.ConcurrentChange.Name():
		default:
			t.Error(o.err)
		}
	}
	if len(distinct) != 1 {
		t.Errorf("checkouts %v, want one", distinct)
	}
	s.proveBooks(t)
}

func TestPurchasesThatTogetherExceedTheLimitNeverDo(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const each, fit = 100_000, 7
	p := s.payer(t, fit*each+each/2)
	type purchase struct{ checkout, quote, order string }
	all := make([]purchase, callers)
	atOnce(8, func(worker int) outcome {
		for i := worker; i < callers; i += 8 {
			c := p.checkout(t, each)
			q, err := p.tryQuote(t.Context(), c.GetCheckoutId(), 3)
			if err != nil {
				t.Error(err)
				continue
			}
			all[i] = purchase{c.GetCheckoutId(), q.GetQuoteId(), c.GetOrders()[0].GetOrderId()}
		}
		return outcome{}
	})
	if t.Failed() {
		return
	}
	results := atOnce(callers, func(i int) outcome {
		res, err := p.tryCommit(t.Context(), commitCall{checkoutID: all[i].checkout, quoteID: all[i].quote})
		return outcome{res, err}
	})
	seen := tally(t, results)
	t.Log(seen)
	only(t, seen, succeeded, errs.LimitInsufficient.Name(), errs.ConcurrentChange.Name())
	if seen[succeeded] > fit || (seen[errs.ConcurrentChange.Name()] == 0 && seen[succeeded] != fit) {
		t.Errorf("outcomes %v, want %d successes", seen, fit)
	}
	p.wantCredit(t, fit*each+each/2, 0, int64(seen[succeeded])*each)
	// What was refused can be paid once there is room: nothing of it is held or stuck.
	for i, o := range results {
		if o.err == nil {
			s.awaitOrder(t, all[i].order, orderv1.OrderState_ORDER_STATE_PAID)
			s.takeBack(t, all[i].order)
			break
		}
	}
	p.wantCredit(t, fit*each+each/2, 0, int64(seen[succeeded]-1)*each)
	for i, o := range results {
		if reasonOf(t, o.err) == errs.LimitInsufficient.Name() {
			p.payQuote(t, all[i].checkout, all[i].quote)
			break
		}
	}
	p.wantCredit(t, fit*each+each/2, 0, int64(seen[succeeded])*each)
	s.proveBooks(t)
}

func TestTwoPurchasesThatTogetherExceedTheLimitOneLoses(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for range 10 {
		p := s.payer(t, 1_000_000)
		var cs [2]*orderv1.Checkout
		var qs [2]*paymentv1.Quote
		for i := range cs {
			cs[i] = p.checkout(t, 600_000)
			qs[i] = p.quote(t, cs[i].GetCheckoutId())
		}
		seen := tally(t, atOnce(2, func(i int) outcome {
			res, err := p.tryCommit(t.Context(), commitCall{checkoutID: cs[i].GetCheckoutId(), quoteID: qs[i].GetQuoteId()})
			return outcome{res, err}
		}))
		if seen[succeeded] != 1 || seen[errs.LimitInsufficient.Name()] != 1 {
			t.Errorf("outcomes %v, want one success and one LIMIT_INSUFFICIENT", seen)
		}
		p.wantCredit(t, 1_000_000, 0, 600_000)
	}
	s.proveBooks(t)
}

func TestFiftyCancelsAndConfirmsOfAPaidOrderLeaveOneWinner(t *testing.T) {
	t.Parallel()
	s := shared(t)
	client := orderv1.NewOrderServiceClient(s.conn)
	for range 5 {
		p := s.payer(t, 1_000_000)
		c := p.checkout(t, 100_000)
		p.pay(t, c.GetCheckoutId())
		orderID := c.GetOrders()[0].GetOrderId()
		states := make([]*orderv1.OrderResult, callers)
		for _, o := range atOnce(callers, func(i int) outcome {
			if i%2 == 0 {
				res, err := client.ConfirmPayment(s.spm(t), &orderv1.ConfirmPaymentRequest{RequestId: unique("confirm"), OrderIds: []string{orderID}})
				if err == nil {
					states[i] = res.GetResults()[0]
				}
				return outcome{nil, told(err)}
			}
			res, err := client.CancelPayments(s.spm(t), &orderv1.CancelPaymentsRequest{RequestId: unique("cancel"), OrderIds: []string{orderID}, Reason: "race"})
			if err == nil {
				states[i] = res.GetResults()[0]
			}
			return outcome{nil, told(err)}
		}) {
			if o.err != nil {
				t.Error(o.err)
			}
		}
		var confirmed, cancelled int
		for i, r := range states {
			if r.GetReason() != 0 {
				continue
			}
			if i%2 == 0 {
				confirmed++
			} else {
				cancelled++
			}
		}
		if (confirmed > 0) == (cancelled > 0) {
			t.Errorf("%d confirms and %d cancels were done", confirmed, cancelled)
		}
		if confirmed > 0 {
			s.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CONFIRMED)
			p.wantCredit(t, 1_000_000, 100_000, 0)
		} else {
			s.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_CANCELLED)
			p.wantCredit(t, 1_000_000, 0, 0)
		}
	}
	s.proveBooks(t)
}

// A commit and a cancel that meet again and again on the shared stack, besides everything else that runs there.
func TestACommitAndACancelNeverBothWin(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 100_000_000)
	client := orderv1.NewOrderServiceClient(s.conn)
	ends := map[string]int{}
	for range 30 {
		c := p.checkout(t, 10_000, 20_000)
		q := p.quote(t, c.GetCheckoutId())
		one := c.GetOrders()[0].GetOrderId()
		var cancelled *orderv1.OrderResult
		all := atOnce(2, func(i int) outcome {
			if i == 0 {
				res, err := p.tryCommit(t.Context(), commitCall{checkoutID: c.GetCheckoutId(), quoteID: q.GetQuoteId()})
				return outcome{res, err}
			}
			_ = p.call(context.WithoutCancel(t.Context()), http.MethodGet, "/h5/v1/checkouts/"+c.GetCheckoutId(), nil, &orderv1.QueryCheckoutInfoResponse{})
			res, err := client.CancelPayments(s.spm(t), &orderv1.CancelPaymentsRequest{RequestId: unique("cancel"), OrderIds: []string{one}, Reason: "race"})
			if err == nil {
				cancelled = res.GetResults()[0]
			}
			return outcome{nil, told(err)}
		})
		if all[1].err != nil {
			t.Fatal(all[1].err)
		}
		paid := all[0].err == nil && all[0].res.GetState() == paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED
		unpaidCancel := cancelled.GetReason() == 0 && cancelled.GetState() == orderv1.OrderState_ORDER_STATE_CANCELLED
		if paid && unpaidCancel {
			t.Errorf("paid, and cancelled as unpaid: %v, %v", all[0].res, cancelled)
		}
		ends[fmt.Sprintf("%s%s/%s", reasonOf(t, all[0].err), all[0].res.GetState(), cancelled.GetState())]++
		// Whatever happened, the order that nobody cancelled can be paid or is paid.
		testkit.Eventually(t, 15*time.Second, func() error {
			st := s.order(t, c.GetOrders()[1].GetOrderId()).GetState()
			if st != orderv1.OrderState_ORDER_STATE_PAID && st != orderv1.OrderState_ORDER_STATE_CREATED {
				return fmt.Errorf("the other order is %s", st)
			}
			return nil
		})
	}
	t.Log(ends)
	s.proveBooks(t)
}
