package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// CashBack is a return with the leg that it is a part of.
type CashBack struct {
	Return domain.CashReturn
	Leg    domain.CashLeg
}

// RefundAsk is what a refund wants to take out of the payment of an order.
type RefundAsk struct {
	// RefundID and OrderID are typed ids.
	RefundID, OrderID string
	// Credit and Cash are of the part that credit financed and of the one that was paid in cash; zero or above, not both zero.
	Credit, Cash money.Amount
}

// refundRaces bounds how often a refund is judged anew because something else took from the same money meanwhile.
const refundRaces = 20

// RefundOrderPayment takes a refund out of an order's payment: the merchant is owed less by both parts, and the cash part goes back to
// the payer. It gives the return of the cash part; nil when there is none. The refund's row is the record of its request; before there is one,
// the refund service is asked what the refund is.
// Errors: INVALID_ARGUMENT, NOT_FOUND, ORDER_STATE_INVALID, REFUND_EXCEEDS_BUDGET, REQUEST_ID_REUSED; REFUND_STATE_INVALID and
// LEG_AMOUNT_MISMATCH when the refund service does not confirm it.
func (a *App) RefundOrderPayment(ctx context.Context, ask RefundAsk) (*CashBack, error) {
	refundID, err := parseID(ids.Refund, "refund_id", ask.RefundID)
	if err != nil {
		return nil, err
	}
	orderID, err := parseID(ids.Order, "order_id", ask.OrderID)
	if err != nil {
		return nil, err
	}
	if err := ask.check(); err != nil {
		return nil, err
	}
	return untilSettled(func() (*CashBack, error) { return a.refundOnce(ctx, refundID, orderID, ask) })
}

func (ask RefundAsk) check() error {
	for field, x := range map[string]money.Amount{"credit_amount": ask.Credit, "cash_amount": ask.Cash} {
		if x.IsNegative() || money.Bounded(x) != nil {
			return errs.InvalidArgument.New("%s must be zero to %d minor units", field, money.MaxMinor).With("field", field)
		}
	}
	if ask.Credit.IsZero() && ask.Cash.IsZero() {
		return errs.InvalidArgument.New("a refund takes out something").With("field", "credit_amount")
	}
	return nil
}

// untilSettled repeats what found its rows changed by somebody else, who made room, took the rest or was the same request.
func untilSettled[T any](once func() (T, error)) (T, error) {
	var answer T
	var err error
	for range refundRaces {
		answer, err = once()
		if _, taken := mysqlx.Duplicate(err); !taken && !errs.Is(err, errs.ConcurrentChange) {
			return answer, err
		}
	}
	return answer, err
}

func (a *App) refundOnce(ctx context.Context, refundID, orderID ids.ID, ask RefundAsk) (*CashBack, error) {
	known, err := a.Store.PaymentRefund(ctx, refundID)
	if err != nil {
		return nil, err
	}
	ps, err := a.Store.PaymentsOfOrders(ctx, []ids.ID{orderID})
	if err != nil {
		return nil, err
	}
	if known != nil {
		return a.sameRefund(ctx, *known, ps, ask)
	}
	if len(ps) == 0 {
		return nil, errs.NotFound.New("the order was not paid")
	}
	p := ps[0]
	refund := domain.Refund{ID: refundID, PaymentID: p.ID, Credit: ask.Credit, Cash: ask.Cash, CreateTime: a.now()}
	lines, err := p.RefundLines(refund)
	if err != nil {
		return nil, err
	}
	if err := a.confirmRefund(ctx, refund, orderID); err != nil {
		return nil, err
	}
	var back *CashBack
	if refund.Cash.IsPositive() {
		if back, err = a.backOf(ctx, p, refund.Cash); err != nil {
			return nil, err
		}
		back.Return.RefundID = refundID
	}
	err = a.Store.Do(ctx, func(tx Tx) error {
		tx.InsertRefund(refund)
		tx.Post(ask.RefundID, "PAYMENT_REFUNDED", lines)
		if back != nil {
			askBack(tx, back)
		}
		return nil
	})
	return back, err
}

// confirmRefund holds a refund that is not known here against the refund service's. No transaction is open.
func (a *App) confirmRefund(ctx context.Context, f domain.Refund, orderID ids.ID) error {
	parts, err := a.Refunds.RefundParts(ctx, f.ID)
	name := ids.Format(ids.Refund, f.ID)
	switch {
	case err != nil:
		return err
	case parts.OrderID != orderID || parts.Credit != f.Credit || parts.Cash != f.Cash:
		return errs.LegAmountMismatch.New("refund %s does not take %s of credit and %s of cash out of order %s", name, f.Credit, f.Cash, ids.Format(ids.Order, orderID))
	case !parts.Paying:
		return errs.RefundStateInvalid.New("refund %s is not at the step that takes it out of the payment: nothing was moved", name)
	default:
		return nil
	}
}

// sameRefund answers a refund that was made before. Errors: REQUEST_ID_REUSED.
func (a *App) sameRefund(ctx context.Context, known domain.Refund, ps []domain.Payment, ask RefundAsk) (*CashBack, error) {
	if len(ps) == 0 || ps[0].ID != known.PaymentID || known.Credit != ask.Credit || known.Cash != ask.Cash {
		return nil, errs.RequestIDReused.New("this refund took something else out of a payment; use a new refund")
	}
	backs, err := a.Store.CashReturnsOfRefund(ctx, known.ID)
	if err != nil {
		return nil, err
	}
	for _, b := range backs {
		if b.Return.PaymentID == known.PaymentID {
			return &b, nil
		}
	}
	if known.Cash.IsPositive() {
		return nil, errs.Internal.New("a refund of cash has no return")
	}
	return nil, nil
}

// backOf is a new return of a part of the down payment that paid p.
func (a *App) backOf(ctx context.Context, p domain.Payment, amount money.Amount) (*CashBack, error) {
	leg, err := a.Store.CashLegOf(ctx, p.CommitID)
	if err == nil && leg == nil {
		err = errs.Internal.New("a payment with cash has no leg that collected it")
	}
	if err != nil {
		return nil, err
	}
	back := a.newReturn(*leg, amount)
	back.Return.PaymentID, back.Return.OrderID = p.ID, p.OrderID
	return back, nil
}

func (a *App) newReturn(leg domain.CashLeg, amount money.Amount) *CashBack {
	now := a.now()
	return &CashBack{Leg: leg, Return: domain.CashReturn{ID: a.IDs.New(), LegID: leg.ID, Amount: amount, State: domain.ReturnReturning, Version: 1,
		CreateTime: now, AskTime: now}}
}

// askBack writes a new return and asks the marketplace for it by an event.
func askBack(tx Tx, b *CashBack) {
	b.Return.EventID = tx.Emit(domain.CashReturnMoved{Return: b.Return, Leg: b.Leg})
	tx.InsertCashReturn(b.Return)
}

// moveReturn writes a return's move: the row, what the books say of it, and its event.
func moveReturn(tx Tx, m domain.CashReturnMoved) {
	if m.From != m.Return.State || m.Return.State == domain.ReturnReturning {
		if id := tx.Emit(m); m.Return.State == domain.ReturnReturning {
			m.Return.EventID = id
		}
	}
	tx.MoveCashReturn(m)
	if len(m.Lines) > 0 {
		tx.Post(legText(m.Return.ID), m.Cause, m.Lines)
	}
}
