package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// BeginReversal notes, in the transaction of the order service's event, that payments are to be taken back. Payments that are
// being or were taken back already are left alone.
func (a *App) BeginReversal(tx Tx, payments []domain.Payment) error {
	for _, p := range payments {
		switch p.State {
		case domain.PaymentReversing, domain.PaymentReversed:
			continue
		case domain.PaymentSucceeded:
			next := p
			next.State, next.Version = domain.PaymentReversing, p.Version+1
			tx.MovePayment(next, domain.PaymentSucceeded, LegsTo{Credit: domain.LegSucceeded, Cash: domain.LegSucceeded})
			tx.Schedule(JobReversePayment, ids.Format(ids.Payment, p.ID), a.now())
		default:
			return errs.OrderStateInvalid.New("payment %s is %s and cannot be taken back", ids.Format(ids.Payment, p.ID), p.State)
		}
	}
	return nil
}

// ReversePayment gives the hold of a cancelled order back, asks for the cash that refunds left of it to be given back, and ends the
// payment. Safe to repeat.
func (a *App) ReversePayment(ctx context.Context, paymentText string) error {
	id, err := parseID(ids.Payment, "payment_id", paymentText)
	if err != nil {
		return err
	}
	p, err := a.Store.Payment(ctx, id)
	if err != nil {
		return err
	}
	if p == nil {
		return errs.NotFound.New("no such payment")
	}
	if p.State != domain.PaymentReversing {
		return nil
	}
	if err := a.Bill.Release(ctx, p.CommitID, []ids.ID{p.OrderID}, "order cancelled"); err != nil {
		return err
	}
	next := *p
	next.State, next.Version, next.ReverseTime = domain.PaymentReversed, p.Version+1, a.now()
	back, cash, err := a.returnOf(ctx, next)
	if err != nil {
		return err
	}
	err = a.Store.Do(ctx, func(tx Tx) error {
		tx.MovePayment(next, domain.PaymentReversing, LegsTo{Credit: domain.LegReversed, Cash: cash})
		tx.Post(paymentText, "PAYMENT_REVERSED", p.ReversedLines())
		tx.Emit(domain.PaymentTakenBack{PaymentID: p.ID, OrderID: p.OrderID, CheckoutID: p.CheckoutID, UserID: p.UserID, Version: next.Version})
		if back != nil {
			askBack(tx, back)
		}
		return nil
	})
	if errs.Is(err, errs.ConcurrentChange) {
		return nil // The other worker did it.
	}
	return err
}

// returnOf is what goes back to the payer of a reversed payment, and the state of its cash leg: nil when it had no cash, or refunds
// took all of it, whose returns go their own ways.
func (a *App) returnOf(ctx context.Context, p domain.Payment) (*CashBack, domain.LegState, error) {
	share := p.Cash()
	if share == nil || share.Left().IsZero() {
		return nil, domain.LegReversed, nil
	}
	back, err := a.backOf(ctx, p, share.Left())
	return back, domain.LegReturning, err
}
