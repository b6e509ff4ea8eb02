package app_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"

	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
)

func idr(minor int64) money.Amount { return money.New(minor, money.IDR()) }

// paidByCash is a checkout paid with a down payment: its payments of 100 (10 in cash) and 200 (20 in cash), and the leg.
func (w *world) paidByCash() ([]domain.Payment, domain.CashLeg) {
	w.t.Helper()
	a, leg := w.awaiting("commit-" + w.gen.New().String())
	w.told(notice(leg, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)
	ps, err := w.store.PaymentsOfCommit(context.Background(), a.CommitID)
	if err != nil {
		w.t.Fatal(err)
	}
	slices.SortFunc(ps, func(x, y domain.Payment) int { return int(x.Amount.Minor() - y.Amount.Minor()) })
	return ps, leg
}

func (w *world) refundOf(p domain.Payment, credit, cash int64) app.RefundAsk {
	id := w.gen.New()
	w.refunds.mu.Lock()
	defer w.refunds.mu.Unlock()
	w.refunds.known[id] = app.RefundParts{OrderID: p.OrderID, Credit: idr(credit), Cash: idr(cash), Paying: true}
	return app.RefundAsk{RefundID: ids.Format(ids.Refund, id), OrderID: ids.Format(ids.Order, p.OrderID), Credit: idr(credit), Cash: idr(cash)}
}

// refunded makes a refund and gives its return; the zero return without cash.
func (w *world) refunded(ask app.RefundAsk) domain.CashReturn {
	w.t.Helper()
	b, err := w.RefundOrderPayment(context.Background(), ask)
	if err != nil {
		w.t.Fatal(err)
	}
	if (b != nil) != ask.Cash.IsPositive() {
		w.t.Fatalf("refund %+v has return %+v", ask, b)
	}
	if b == nil {
		return domain.CashReturn{}
	}
	return b.Return
}

// arrived is a repayment of 5000 that was paid.
func (w *world) arrived() domain.CashLeg {
	w.t.Helper()
	leg := w.repayment()
	w.told(notice(leg, domain.CashPaid), domain.LegSucceeded, domain.OutcomeApplied)
	return leg
}

func (w *world) returnOf(leg domain.CashLeg, minor int64) app.RepaymentReturn {
	r := app.RepaymentReturn{RefundID: ids.Format(ids.Refund, w.gen.New()), RepaymentID: ids.Format(ids.Repayment, leg.SubjectID), Amount: idr(minor)}
	w.bill.mu.Lock()
	defer w.bill.mu.Unlock()
	if w.bill.returns == nil {
		w.bill.returns = map[[2]string]app.RefundReturn{}
	}
	w.bill.returns[[2]string{r.RefundID, r.RepaymentID}] = app.RefundReturn{Amount: r.Amount}
	return r
}

// givenBack asks for a part of a repayment to be given back.
func (w *world) givenBack(leg domain.CashLeg, minor int64) domain.CashReturn {
	w.t.Helper()
	b, err := w.ReturnRepayment(context.Background(), w.returnOf(leg, minor))
	if err != nil {
		w.t.Fatal(err)
	}
	return b.Return
}

// ofReturn is what the marketplace says of a return when nothing is wrong with it.
func ofReturn(r domain.CashReturn, leg domain.CashLeg, status domain.CashStatus) app.CashNotice {
	return notice(r.AsLeg(leg), status)
}

// returnEvents are the moves of refunds' returns that the outbox tells, oldest first: "RETURNING 10 ord".
func (w *world) returnEvents() []string {
	w.t.Helper()
	var out []string
	for _, blob := range w.texts(`SELECT payload FROM outbox ORDER BY id`) {
		e, err := inbox.Unpack([]byte(blob))
		if err != nil {
			w.t.Fatal(err)
		}
		if m, ok := e.Payload.(*paymentv1.CashReturnChanged); ok {
			r := m.GetCashReturn()
			if e.ObjectID != r.GetReference() || r.GetRefundId() == "" || (r.GetOrderId() != "") != (e.Key == r.GetOrderId()) {
				w.t.Errorf("event %v under key %s", r, e.Key)
			}
			out = append(out, fmt.Sprintf("%s %d %.3s", r.GetState().String()[len("CASH_RETURN_STATE_"):], r.GetAmount().GetAmountMinor(), e.Key))
		}
	}
	return out
}

// wantBalances wants accounts, debit minus credit; accounts that are not named are not looked at.
func (w *world) wantBalances(when string, want map[string]int) {
	w.t.Helper()
	for account, minor := range want {
		if got := w.balance(account); got != minor {
			w.t.Errorf("%s: %s is %d, want %d", when, account, got, minor)
		}
	}
}

func TestARefundTakesBothPartsOutOfThePaymentAndACancelTakesWhatIsLeft(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	ps, leg := w.paidByCash()
	p := ps[1] // 180 by credit, 20 in cash.
	r := w.refunded(w.refundOf(p, 30, 5))
	w.refunded(w.refundOf(p, 50, 0))
	w.wantBalances("refunded", map[string]int{"MERCHANT_PAYABLE": -300 + 85, "CREDIT_CLEARING": 270 - 80, "CASH_RETURNABLE": -5, "CASH_CLEARING": 30})
	w.proveBooks()
	w.told(ofReturn(r, leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	h, err := w.BatchGetPayments(ctx, []string{ids.Format(ids.Order, p.OrderID)})
	if err != nil || len(h.Refunds) != 2 || len(h.Returns) != 1 || h.Payments[0].Part(domain.LegCredit).Refunded != idr(80) ||
		h.Payments[0].Cash().Refunded != idr(5) || h.Returns[0].ReturnTime().IsZero() {
		t.Errorf("the history has %+v, %v", h, err)
	}
	w.cancelled(p)
	_, err = w.RefundOrderPayment(ctx, w.refundOf(p, 1, 0))
	w.wantReason(err, errs.OrderStateInvalid)
	w.wantBalances("cancelled", map[string]int{"MERCHANT_PAYABLE": -100, "CREDIT_CLEARING": 90, "CASH_RETURNABLE": -15, "CASH_CLEARING": 25})
	down, err := w.QueryDownPayResult(ctx, payer(user), ids.Format(ids.Order, p.OrderID), "")
	if err != nil || down.Leg.State != domain.LegReturning || w.legOf(down.Leg.Reference).Amount != idr(15) {
		t.Fatalf("what is left goes back: %+v, %v", down, err)
	}
	w.told(notice(w.legOf(down.Leg.Reference), domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	w.wantBalances("given back", map[string]int{"CASH_RETURNABLE": 0, "CASH_CLEARING": 10})
	w.wantEvents("PENDING>SUCCEEDED 30 chk", "SUCCEEDED>RETURNING 15 chk", "RETURNING>REVERSED 15 chk")
	if got := w.returnEvents(); !slices.Equal(got, []string{"RETURNING 5 ord", "RETURNED 5 ord"}) {
		t.Errorf("events %v", got)
	}
	w.proveBooks()
}

func TestACancelAfterEverythingWasRefundedReturnsNothingMore(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ps, leg := w.paidByCash()
	r := w.refunded(w.refundOf(ps[0], 90, 10))
	w.cancelled(ps[0])
	w.proveBooks()
	if n := w.count(`SELECT COUNT(*) FROM cash_returns`); n != 1 {
		t.Errorf("%d returns", n)
	}
	w.told(ofReturn(r, leg, domain.CashRefunded), domain.LegReversed, domain.OutcomeApplied)
	w.wantBalances("all back", map[string]int{"MERCHANT_PAYABLE": -200, "CREDIT_CLEARING": 180, "CASH_RETURNABLE": 0, "CASH_CLEARING": 20})
	w.proveBooks()
}

func TestARefundIsOneRequestAndNeverMoreThanAPartHas(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	ps, _ := w.paidByCash()
	ask := w.refundOf(ps[0], 40, 4)
	first := w.refunded(ask)
	if again := w.refunded(ask); again.ID != first.ID || again.Amount != first.Amount {
		t.Errorf("the repeat gives %+v, first %+v", again, first)
	}
	for name, c := range map[string]struct {
		change func(*app.RefundAsk)
		want   errs.Reason
	}{
		"more credit":             {func(a *app.RefundAsk) { a.Credit = idr(41) }, errs.RequestIDReused},
		"less cash":               {func(a *app.RefundAsk) { a.Cash = idr(3) }, errs.RequestIDReused},
		"another order":           {func(a *app.RefundAsk) { a.OrderID = ids.Format(ids.Order, ps[1].OrderID) }, errs.RequestIDReused},
		"an unknown order":        {func(a *app.RefundAsk) { *a = w.refundOf(domain.Payment{OrderID: w.gen.New()}, 1, 0) }, errs.NotFound},
		"more than credit has":    {func(a *app.RefundAsk) { *a = w.refundOf(ps[0], 51, 0) }, errs.RefundExceedsBudget},
		"more than cash has":      {func(a *app.RefundAsk) { *a = w.refundOf(ps[0], 0, 7) }, errs.RefundExceedsBudget},
		"nothing":                 {func(a *app.RefundAsk) { *a = w.refundOf(ps[0], 0, 0) }, errs.InvalidArgument},
		"less than nothing":       {func(a *app.RefundAsk) { *a = w.refundOf(ps[0], 5, -5) }, errs.InvalidArgument},
		"another currency":        {func(a *app.RefundAsk) { *a = w.refundOf(ps[0], 1, 0); a.Credit = money.New(1, money.USD()) }, errs.InvalidArgument},
		"an order for the refund": {func(a *app.RefundAsk) { *a = w.refundOf(ps[0], 1, 0); a.RefundID = a.OrderID }, errs.InvalidArgument},
	} {
		other := ask
		c.change(&other)
		if _, err := w.RefundOrderPayment(ctx, other); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	if n := w.count(`SELECT COUNT(*) FROM payment_refunds`); n != 1 {
		t.Errorf("%d refunds", n)
	}
	w.proveBooks()
}

func TestFiftyRefundsAtOnceTakeNoMoreThanThereIs(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	ps, _ := w.paidByCash()
	repayment := w.arrived()
	one := w.refundOf(ps[1], 9, 1)
	var mu sync.Mutex
	var wg sync.WaitGroup
	won := map[string]int{}
	for i := range 50 {
		wg.Go(func() {
			ask, back := one, w.returnOf(repayment, 300)
			if i%5 > 0 { // Every fifth is the same refund.
				ask = w.refundOf(ps[1], 9, 1)
			}
			_, refundErr := w.RefundOrderPayment(ctx, ask)
			_, backErr := w.ReturnRepayment(ctx, back)
			mu.Lock()
			defer mu.Unlock()
			for what, err := range map[string]error{ask.RefundID: refundErr, back.RefundID + back.RepaymentID: backErr} {
				if err == nil {
					won[what]++
				} else if !errs.Is(err, errs.RefundExceedsBudget) {
					t.Errorf("%v", err)
				}
			}
		})
	}
	wg.Wait()
	// 20 refunds of 10 fit into 200, 16 returns of 300 into 5000.
	if refunds, returns := w.count(`SELECT COUNT(*) FROM payment_refunds`), w.count(`SELECT COUNT(*) FROM cash_returns WHERE payment_id IS NULL`); refunds != 20 ||
		returns != 16 || len(won) != 36 {
		t.Errorf("%d refunds, %d returns of the repayment, %d won", refunds, returns, len(won))
	}
	w.proveBooks()
}

func TestARefundAndACancelAtOnceLeaveTheBooksClean(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ctx := context.Background()
	ends := map[bool]int{}
	for round := range 40 {
		w.newCheckout()
		ps, _ := w.paidByCash()
		var refused bool
		race(t, round, []func() error{
			func() error {
				_, err := w.RefundOrderPayment(ctx, w.refundOf(ps[0], 90, 10))
				if refused = errs.Is(err, errs.OrderStateInvalid); refused {
					return nil
				}
				return err
			},
			func() error { w.cancelled(ps[0]); return nil },
		})
		ends[refused]++
	}
	if len(ends) < 2 {
		t.Logf("the races always ended the same way: %v", ends)
	}
	w.proveBooks()
}
