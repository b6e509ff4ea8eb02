package app_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"

	"github.com/creditpay/creditpay/services/bill/internal/app"
)

// TestKeepCashAsCredit_IsNotBelieved: an invented KeepCashAsCredit became 5,000,000 that were paid out. Now the payment service is asked
// what the reference stands for, and a deviation moves nothing.
func TestKeepCashAsCredit_IsNotBelieved(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	b.open(t, "u2", 1_000_000)
	known := func(change func(*app.CashReturn)) func(*app.KeptCash) {
		return func(k *app.KeptCash) {
			r := b.payments.returns[k.Reference]
			change(&r)
			b.payments.returns[k.Reference] = r
		}
	}
	for name, c := range map[string]struct {
		change func(*app.KeptCash)
		want   errs.Reason
	}{
		"invented":         {func(k *app.KeptCash) { k.Reference, k.Amount = b.ids.New(), rp(5_000_000) }, errs.NotFound},
		"another amount":   {func(k *app.KeptCash) { k.Amount = rp(5_000_000) }, errs.LegAmountMismatch},
		"another user":     {func(k *app.KeptCash) { k.UserID = "u2" }, errs.LegAmountMismatch},
		"of a repayment":   {known(func(r *app.CashReturn) { r.OfDownPayment = false }), errs.LegAmountMismatch},
		"still on its way": {known(func(r *app.CashReturn) { r.Abandoned = false }), errs.OrderStateInvalid},
		"nobody answers":   {func(*app.KeptCash) { b.payments.away = true }, errs.DependencyUnavailable},
	} {
		k := b.gaveUp("u1", 40_000)
		c.change(&k)
		if err := b.KeepCashAsCredit(t.Context(), k); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
		b.payments.away = false
	}
	for _, user := range []string{"u1", "u2"} {
		if got := b.standing(t, user).Account.Credit; !got.IsZero() {
			t.Errorf("%s has a credit balance of %s", user, got)
		}
	}
}

// TestKeepRefundAsCredit_WhileCashCanGoBack would give the payer the money twice.
func TestKeepRefundAsCredit_WhileCashCanGoBack(t *testing.T) {
	t.Parallel()
	b, order, _ := begunOrder(t)
	paid := b.repay(t, "u1", loanPrice+3*8_850)
	r, adj := b.refund(t, order, 100_000)
	part := adj.Sources[0].Amount
	for name, c := range map[string]struct {
		part app.RepaymentReturn
		want errs.Reason
	}{
		"it went back":           {app.RepaymentReturn{Made: true, Left: rp(0)}, errs.OrderStateInvalid},
		"it can still go back":   {app.RepaymentReturn{Left: part}, errs.OrderStateInvalid},
		"more can still go back": {app.RepaymentReturn{Left: rp(part.Minor() + 1)}, errs.OrderStateInvalid},
	} {
		b.payments.parts = map[[2]ids.ID]app.RepaymentReturn{{r.RefundID, paid}: c.part}
		if err := b.KeepRefundAsCredit(t.Context(), r.RefundID, paid, "SERVICE:refund"); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
	}
	b.wantCredit(t, "u1", 0)
	b.payments.parts = map[[2]ids.ID]app.RepaymentReturn{{r.RefundID, paid}: {Made: true, Abandoned: true, Left: rp(0)}}
	if err := b.KeepRefundAsCredit(t.Context(), r.RefundID, paid, "SERVICE:refund"); err != nil {
		t.Errorf("what was given up: %v", err)
	}
	b.wantCredit(t, "u1", part.Minor())
}

// TestActivateLoans_AsTheOrderServiceSays: a reservation that names another price or user than the order holds limit, and never becomes a
// debt.
func TestActivateLoans_AsTheOrderServiceSays(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	r := b.purchase("u1", 100_000)
	b.reserve(t, r)
	says := func(user string, minor int64) inbox.Event {
		e := b.confirmed(r.Orders[0].OrderID, b.clock.Now())
		ref := e.Payload.(*orderv1.OrderConfirmed).GetOrder()
		ref.UserId, ref.Amount = user, &commonv1.Money{AmountMinor: &minor, CurrencyCode: "IDR"}
		return e
	}
	for name, e := range map[string]inbox.Event{"less": says("u1", 99_999), "more": says("u1", 100_001), "another user": says("u2", 100_000)} {
		if err := b.apply(t.Context(), e); !errs.Is(err, errs.OrderContentMismatch) || !errs.Business(err) {
			t.Errorf("%s: %v, want %s", name, err, errs.OrderContentMismatch.Name())
		}
	}
	b.wantFigures(t, "u1", 1_000_000, 0, 100_000)
	if err := b.apply(t.Context(), says("u1", 100_000)); err != nil {
		t.Fatal(err)
	}
	b.wantFigures(t, "u1", 1_000_000, 100_000, 0)
}

// TestActivateLoans_AfterARefundOfTheDraft: what a refund took from the draft belongs to the price.
func TestActivateLoans_AfterARefundOfTheDraft(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.open(t, "u1", 1_000_000)
	r := b.purchase("u1", 100_000)
	b.reserve(t, r)
	b.refund(t, r.Orders[0].OrderID, 40_000)
	e := b.confirmed(r.Orders[0].OrderID, b.clock.Now())
	ref := e.Payload.(*orderv1.OrderConfirmed).GetOrder()
	ref.UserId, ref.Amount = "u1", &commonv1.Money{AmountMinor: proto.Int64(100_000), CurrencyCode: "IDR"}
	if err := b.apply(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	b.wantFigures(t, "u1", 1_000_000, 60_000, 0)
}

// TestAdjustForRefund_IsNotBelieved adjusts for a refund that the refund service knows nothing of, or knows otherwise: nothing moves. With
// the refund service away it goes on once that is back, and a refund that has its record is answered without asking.
func TestAdjustForRefund_IsNotBelieved(t *testing.T) {
	t.Parallel()
	b, order, _ := begunOrder(t)
	before := b.figures(t, "u1")
	known := func(change func(*app.RefundParts)) func(*app.RefundRequest) {
		return func(r *app.RefundRequest) {
			parts := b.refunds.known[r.RefundID]
			change(&parts)
			b.refunds.known[r.RefundID] = parts
		}
	}
	for name, c := range map[string]struct {
		change func(*app.RefundRequest)
		want   errs.Reason
	}{
		"invented":               {func(r *app.RefundRequest) { r.RefundID = b.ids.New() }, errs.NotFound},
		"more":                   {func(r *app.RefundRequest) { r.Amount = rp(300_000) }, errs.LegAmountMismatch},
		"less":                   {func(r *app.RefundRequest) { r.Amount = rp(1) }, errs.LegAmountMismatch},
		"of another order":       {known(func(p *app.RefundParts) { p.OrderID = b.ids.New() }), errs.LegAmountMismatch},
		"waits, or is over":      {known(func(p *app.RefundParts) { p.Adjusting = false }), errs.RefundStateInvalid},
		"approved as something":  {known(func(p *app.RefundParts) { p.Expected = "f" }), errs.RefundChanged},
		"expected as it was not": {func(r *app.RefundRequest) { r.Expected = "f" }, errs.RefundChanged},
		"nobody answers":         {func(*app.RefundRequest) { b.refunds.away = true }, errs.DependencyUnavailable},
	} {
		r := b.refunding(order, 100_000)
		c.change(&r)
		if _, err := b.AdjustForRefund(t.Context(), r); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want.Name())
		}
		b.refunds.away = false
	}
	if n := b.count(t, `SELECT COUNT(*) FROM loan_refunds`); n != 0 || b.figures(t, "u1") != before {
		t.Errorf("%d refunds are there, the account is %v, was %v", n, b.figures(t, "u1"), before)
	}
	r, adj := b.refund(t, order, 100_000)
	b.refunds.away, b.refunds.asked = true, 0
	delete(b.refunds.known, r.RefundID)
	if b.wantAgain(t, r, adj); b.refunds.asked != 0 {
		t.Errorf("a refund that is known was asked for %d times", b.refunds.asked)
	}
}
