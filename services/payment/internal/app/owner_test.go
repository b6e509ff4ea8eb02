package app_test

import (
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// TestOpenCashLeg_IsNotBelieved asks for cash that the bill service knows nothing of, or knows otherwise: nothing is opened.
func TestOpenCashLeg_IsNotBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(ask *app.CashAsk, known *app.Repayment)
		want   errs.Reason
	}{
		"invented":        {func(ask *app.CashAsk, _ *app.Repayment) { ask.SubjectID = ids.Format(ids.Repayment, w.gen.New()) }, errs.NotFound},
		"another amount":  {func(ask *app.CashAsk, _ *app.Repayment) { ask.Amount = idr(7_000_000) }, errs.LegAmountMismatch},
		"another user":    {func(ask *app.CashAsk, _ *app.Repayment) { ask.UserID = "user-2" }, errs.LegAmountMismatch},
		"another channel": {func(ask *app.CashAsk, _ *app.Repayment) { ask.Channel = "VA_BCA" }, errs.LegAmountMismatch},
		"ended":           {func(_ *app.CashAsk, known *app.Repayment) { known.Pending = false }, errs.RepaymentStateInvalid},
	} {
		ask := w.ask()
		id, err := ids.Parse(ids.Repayment, ask.SubjectID)
		if err != nil {
			t.Fatal(err)
		}
		known := w.bill.repayments[id]
		c.change(&ask, &known)
		w.bill.repayments[id] = known
		if _, err := w.OpenCashLeg(t.Context(), ask); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	if n := w.count(`SELECT COUNT(*) FROM cash_legs`); n != 0 {
		t.Errorf("%d legs were opened", n)
	}
}

// TestReturnRepayment_IsNotBelieved gives back what the bill service knows nothing of, or knows otherwise: nothing goes back.
func TestReturnRepayment_IsNotBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	leg := w.arrived()
	for name, c := range map[string]struct {
		change func(ask *app.RepaymentReturn, known *app.RefundReturn)
		want   errs.Reason
	}{
		"invented": {func(ask *app.RepaymentReturn, _ *app.RefundReturn) {
			ask.RefundID = ids.Format(ids.Refund, w.gen.New())
		}, errs.NotFound},
		"another amount": {func(ask *app.RepaymentReturn, _ *app.RefundReturn) { ask.Amount = idr(5000) }, errs.LegAmountMismatch},
		"kept":           {func(_ *app.RepaymentReturn, known *app.RefundReturn) { known.Kept = true }, errs.OrderStateInvalid},
	} {
		ask := w.returnOf(leg, 1200)
		key := [2]string{ask.RefundID, ask.RepaymentID}
		known := w.bill.returns[key]
		c.change(&ask, &known)
		w.bill.returns[key] = known
		if _, err := w.ReturnRepayment(t.Context(), ask); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	w.wantBalances("nothing goes back", map[string]int{"REPAYMENT_CLEARING": -5000, "CASH_RETURNABLE": 0, "CASH_CLEARING": 5000})
	w.proveBooks()
}

// TestRepaymentReturn_TellsWhatMayStillGoBack is what the bill service goes by before it makes credit balance.
func TestRepaymentReturn_TellsWhatMayStillGoBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	leg := w.arrived()
	ask := w.returnOf(leg, 1200)
	want := func(when string, made bool, left int64) {
		t.Helper()
		b, l, err := w.RepaymentReturn(t.Context(), ask.RefundID, ask.RepaymentID)
		if err != nil || (b != nil) != made || (l == nil) != (left < 0) || (l != nil && l.Minor() != left) {
			t.Errorf("%s: return %+v, left %v, %v; want made %t, left %d", when, b, l, err, made, left)
		}
	}
	want("before", false, 5000)
	b, err := w.ReturnRepayment(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	want("asked for", true, 3800)
	if got, err := w.CashReturn(t.Context(), ids.Format(ids.Leg, b.Return.ID)); err != nil || got.Leg.UserID != leg.UserID || got.Return.Amount != idr(1200) ||
		got.Return.State != domain.ReturnReturning {
		t.Errorf("by its reference: %+v, %v", got, err)
	}
	if _, err := w.CashReturn(t.Context(), ids.Format(ids.Leg, leg.ID)); !errs.Is(err, errs.NotFound) {
		t.Errorf("a leg is no return: %v", err)
	}
	pending := w.repayment()
	ask = w.returnOf(pending, 1)
	want("not arrived", false, -1)
}

// TestRefundOrderPayment_IsNotBelieved takes a refund out of a payment that the refund service knows nothing of, or knows otherwise: nothing
// moves. With the refund service away it goes on once that is back, and a refund that has its record is answered without asking.
func TestRefundOrderPayment_IsNotBelieved(t *testing.T) {
	t.Parallel()
	w := cashWorld(t)
	ps, _ := w.paidByCash()
	known := func(change func(*app.RefundParts)) func(*app.RefundAsk) {
		return func(ask *app.RefundAsk) {
			id, err := ids.Parse(ids.Refund, ask.RefundID)
			if err != nil {
				t.Fatal(err)
			}
			parts := w.refunds.known[id]
			change(&parts)
			w.refunds.known[id] = parts
		}
	}
	for name, c := range map[string]struct {
		change func(*app.RefundAsk)
		want   errs.Reason
	}{
		"invented":          {func(a *app.RefundAsk) { a.RefundID = ids.Format(ids.Refund, w.gen.New()) }, errs.NotFound},
		"more credit":       {func(a *app.RefundAsk) { a.Credit = idr(41) }, errs.LegAmountMismatch},
		"more cash":         {func(a *app.RefundAsk) { a.Cash = idr(5) }, errs.LegAmountMismatch},
		"no cash":           {func(a *app.RefundAsk) { a.Cash = idr(0) }, errs.LegAmountMismatch},
		"of another order":  {known(func(p *app.RefundParts) { p.OrderID = ps[1].OrderID }), errs.LegAmountMismatch},
		"waits, or is over": {known(func(p *app.RefundParts) { p.Paying = false }), errs.RefundStateInvalid},
		"nobody answers":    {func(*app.RefundAsk) { w.refunds.away = true }, errs.DependencyUnavailable},
	} {
		ask := w.refundOf(ps[0], 40, 4)
		c.change(&ask)
		if _, err := w.RefundOrderPayment(t.Context(), ask); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
		w.refunds.away = false
	}
	if n := w.count(`SELECT (SELECT COUNT(*) FROM payment_refunds) + (SELECT COUNT(*) FROM cash_returns)`); n != 0 {
		t.Errorf("%d refunds and returns are there", n)
	}
	w.proveBooks()
	ask := w.refundOf(ps[0], 40, 4)
	first := w.refunded(ask)
	w.refunds.away, w.refunds.asked = true, 0
	if again := w.refunded(ask); again.ID != first.ID || w.refunds.asked != 0 {
		t.Errorf("the repeat gives %+v, first %+v, and asked %d times", again, first, w.refunds.asked)
	}
	w.proveBooks()
}
