package crash

import (
	"context"
	"fmt"
	"testing"
	"time"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
)

const (
	created    = orderv1.OrderState_ORDER_STATE_CREATED
	committing = orderv1.OrderState_ORDER_STATE_COMMITTING
	paid       = orderv1.OrderState_ORDER_STATE_PAID
	confirmed  = orderv1.OrderState_ORDER_STATE_CONFIRMED
	cancelled  = orderv1.OrderState_ORDER_STATE_CANCELLED
	closed     = orderv1.OrderState_ORDER_STATE_CLOSED
)

// stepsMax bounds the transactions that one verb may cause; none comes near.
const stepsMax = 25

// briefRest is enough before a step: a transaction that is counted too early only makes the step come twice.
const briefRest = 300 * time.Millisecond

// eachStep kills the stack after the first, second, third … transaction that a verb causes, until it survives. prepare makes what
// the verb is about; verb is the call that is cut off; after says what must hold when the stack is back. The stack must be one that
// was started for the first transaction, and is again one in the end.
func eachStep[T any](t *testing.T, s *site, name string, prepare func(n int) T, verb func(ctx context.Context, it T), after func(it T)) {
	t.Helper()
	for n := 1; n <= stepsMax; n++ {
		it := prepare(n)
		s.process.arm(t)
		ctx, cancel := context.WithTimeout(t.Context(), callTime)
		verb(ctx, it)
		cancel()
		rest := time.Second
		if n < 3 {
			rest = 10 * time.Second // Every verb causes so many: a busy machine may take its time.
		}
		died, next := s.diesOrRests(t, rest), n+1
		if !died {
			s.process.Kill()
			next = 1
		}
		s.start(t, next) // Not armed: the next step's plan.
		after(it)
		s.skipLeases(t)
		s.proveBooks(t)
		if t.Failed() {
			t.Fatalf("%s: killed after transaction %d", name, n)
		}
		if !died {
			if n < 3 {
				t.Fatalf("%s: the stack survived %d transactions: the crash does not work", name, n)
			}
			t.Logf("%s: killed after each of %d transactions", name, n-1)
			return
		}
	}
	t.Fatalf("%s: still not at rest after %d transactions", name, stepsMax)
}

// diesOrRests waits until the armed process has killed itself, or everything that was caused before has happened. A step needs
// milliseconds: so long without a new row in any inbox, no event on its way and no loan or bill whose time has come, is rest.
func (s *site) diesOrRests(t *testing.T, rest time.Duration) (died bool) {
	t.Helper()
	query := ``
	for _, name := range []string{"order", "payment", "bill", "refund"} {
		if query != "" {
			query += " + "
		}
		query += fmt.Sprintf(`(SELECT COUNT(*) * 1000000 FROM creditpay_%s.outbox WHERE published = 0) + (SELECT COUNT(*) FROM creditpay_%s.inbox)`, name, name)
	}
	const due = `SELECT (SELECT COUNT(*) FROM creditpay_bill.loans WHERE roll_time <= ?) + (SELECT COUNT(*) FROM creditpay_bill.bills WHERE look_time <= ?)`
	begin := time.Now()
	last, since := int64(-1), begin
	for time.Since(since) < rest {
		if s.process.Dead() {
			return true
		}
		now := s.now(t)
		waits := s.mustCount(t, due, now, now)
		if waits > 0 && time.Since(begin) > settleTime {
			t.Fatalf("%d loans and bills stay due", waits)
		}
		if moved := s.mustCount(t, `SELECT `+query); moved != last || waits > 0 {
			last, since = moved, time.Now()
		}
		if !pause(t.Context(), again) {
			return false
		}
	}
	return s.process.Dead()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// paidOnce proves that the order has one payment and one loan that counts.
func (p *purchase) paidOnce(t *testing.T) {
	t.Helper()
	got := p.b.site.mustCount(t, `SELECT COUNT(*) FROM creditpay_payment.payments p JOIN creditpay_order.orders o ON o.id = p.order_id WHERE o.out_order_no = ?`, p.no)
	if got != 1 {
		t.Errorf("order %s has %d payments", p.order, got)
	}
}

// setup starts a stack with a buyer.
func setup(t *testing.T, env ...string) (*site, *buyer) {
	t.Helper()
	s := newSite(t, env...)
	begin := time.Now()
	s.start(t, 1)
	t.Logf("first start %s", time.Since(begin).Round(time.Millisecond))
	return s, s.newBuyer(t, "user-crash")
}

func (b *buyer) mustOpen(t *testing.T, no string) *purchase {
	t.Helper()
	p, err := b.open(t.Context(), no)
	if err != nil {
		t.Fatal(err)
	}
	b.site.diesOrRests(t, briefRest)
	return p
}

func (b *buyer) mustPay(t *testing.T, no string) *purchase {
	t.Helper()
	p := b.mustOpen(t, no)
	if err := p.pay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.reaches(t.Context(), paid); err != nil {
		t.Fatal(err)
	}
	b.site.diesOrRests(t, briefRest)
	return p
}

func TestKilledBetweenAnyTwoStepsOfACommit(t *testing.T) {
	t.Parallel()
	s, b := setup(t)
	eachStep(t, s, "commit",
		func(n int) *purchase { return b.mustOpen(t, fmt.Sprintf("commit-%03d", n)) },
		func(ctx context.Context, p *purchase) { _, _ = p.commit(ctx) }, // What it answers is not known to a caller who lost the line.
		func(p *purchase) {
			s.skipLeases(t)
			must(t, p.reaches(t.Context(), paid, created))
			first, err := p.outcome(t.Context())
			must(t, err)
			second, err := p.outcome(t.Context())
			must(t, err)
			if first.GetState() != second.GetState() || first.GetCommitId() != second.GetCommitId() {
				t.Errorf("the same request answers %s %s, then %s %s", first.GetState(), first.GetCommitId(), second.GetState(), second.GetCommitId())
			}
			if first.GetState() != paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED {
				must(t, p.choose(t.Context()))
				must(t, p.pay(t.Context()))
			}
			must(t, p.reaches(t.Context(), paid))
			p.paidOnce(t)
		})
	s.proveLimit(t, b)
}

func TestKilledBetweenAnyTwoStepsOfAConfirmation(t *testing.T) {
	t.Parallel()
	s, b := setup(t)
	eachStep(t, s, "confirm",
		func(n int) *purchase { return b.mustPay(t, fmt.Sprintf("confirm-%03d", n)) },
		func(ctx context.Context, p *purchase) { _, _ = p.confirmOnce(ctx) },
		func(p *purchase) {
			for range 2 {
				got, err := p.change(t.Context(), p.confirmOnce)
				must(t, err)
				if got != confirmed {
					t.Errorf("confirmed order is %s", got)
				}
			}
			p.paidOnce(t)
		})
	s.proveLimit(t, b)
}

func TestKilledBetweenAnyTwoStepsOfACancelOfAPaidOrder(t *testing.T) {
	t.Parallel()
	s, b := setup(t)
	eachStep(t, s, "cancel paid",
		func(n int) *purchase { return b.mustPay(t, fmt.Sprintf("cancel-%03d", n)) },
		func(ctx context.Context, p *purchase) { _, _ = p.cancelOnce(ctx) },
		func(p *purchase) {
			s.skipLeases(t)
			_, err := p.change(t.Context(), p.cancelOnce)
			must(t, err)
			must(t, p.reaches(t.Context(), cancelled))
			_, err = p.change(t.Context(), p.cancelOnce)
			must(t, err)
		})
	s.proveLimit(t, b)
}

func TestKilledBetweenAnyTwoStepsOfACancelOfACommittingOrder(t *testing.T) {
	t.Parallel()
	s, b := setup(t)
	met := 0
	eachStep(t, s, "cancel committing",
		func(n int) *purchase {
			for try := range 5 {
				// A commit that dies after its second transaction leaves the order COMMITTING until the recovery worker comes.
				s.process.Kill()
				s.start(t, 2)
				p := b.mustOpen(t, fmt.Sprintf("withdraw-%03d-%d", n, try))
				s.process.arm(t)
				_, _ = p.commit(t.Context())
				<-s.process.Done
				s.start(t, n)
				if got, err := p.state(t.Context()); err == nil && got == committing {
					met++
					return p
				}
			}
			t.Fatal("no order was COMMITTING when the cancel was to come")
			return nil
		},
		func(ctx context.Context, p *purchase) { _, _ = p.cancelOnce(ctx) },
		func(p *purchase) {
			s.skipLeases(t)
			_, err := p.change(t.Context(), p.cancelOnce)
			must(t, err)
			must(t, p.reaches(t.Context(), cancelled))
			// The commit's caller, who knows of nothing, asks again: it is not paid, and the answer stays.
			for range 2 {
				res, err := p.outcome(t.Context())
				if err == nil && res.GetState() == paymentv1.PaymentState_PAYMENT_STATE_SUCCEEDED && p.b.site.mustCount(t, `SELECT COUNT(*) FROM creditpay_payment.payments p JOIN creditpay_order.orders o ON o.id = p.order_id WHERE o.out_order_no = ? AND p.reverse_time IS NOT NULL`, p.no) != 1 {
					t.Errorf("order %s is cancelled and paid", p.order)
				}
			}
		})
	if met < 4 {
		t.Errorf("a cancel of a COMMITTING order took only %d transactions", met)
	}
	s.proveLimit(t, b)
}

// proveLimit compares what the account holds and uses with the orders that are paid.
func (s *site) proveLimit(t *testing.T, buyers ...*buyer) {
	t.Helper()
	for _, b := range buyers {
		orders := s.mustCount(t, `SELECT COUNT(*) FROM creditpay_payment.payments WHERE user_id = ? AND reverse_time IS NULL`, b.user)
		taken := s.mustCount(t, `SELECT held_minor + used_minor FROM creditpay_bill.credit_accounts WHERE user_id = ?`, b.user)
		if taken != orders*price {
			t.Errorf("%s: the account counts %d for %d paid orders of %d", b.user, taken, orders, price)
		}
	}
}
