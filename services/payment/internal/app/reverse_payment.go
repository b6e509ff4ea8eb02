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
			tx.MovePayment(next, domain.PaymentSucceeded, domain.LegSucceeded)
			tx.Schedule(JobReversePayment, ids.Format(ids.Payment, p.ID), a.now())
		default:
			return errs.OrderStateInvalid.New("payment %s is %s and cannot be taken back", ids.Format(ids.Payment, p.ID), p.State)
		}
	}
	return nil
}

// ReversePayment gives the hold of a cancelled order back and ends the payment. Safe to repeat.
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
	err = a.Store.Do(ctx, func(tx Tx) error {
		tx.MovePayment(next, domain.PaymentReversing, domain.LegReversed)
		tx.Post(paymentText, "PAYMENT_REVERSED", p.ReversedLines())
		tx.Emit(domain.PaymentTakenBack{PaymentID: p.ID, OrderID: p.OrderID, CheckoutID: p.CheckoutID, Version: next.Version})
		return nil
	})
	if errs.Is(err, errs.ConcurrentChange) {
		return nil // The other worker did it.
	}
	return err
}
