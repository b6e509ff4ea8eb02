package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
)

// KeepRefundAsCredit turns what a refund was to give back by a repayment into credit balance. What is kept already stays so. The refund's
// record stores the first answer. The payment service, which gives the cash back, is asked before.
// Errors: errs.NotFound when the refund gives nothing back by this repayment; errs.OrderStateInvalid when the cash is on its way back or
// still can go back.
func (a *App) KeepRefundAsCredit(ctx context.Context, refundID, repaymentID ids.ID, actor string) error {
	source, err := a.RefundSource(ctx, refundID, repaymentID)
	if err != nil || !source.KeepTime.IsZero() {
		return err
	}
	back, err := a.payments.RepaymentReturn(ctx, refundID, repaymentID)
	switch {
	case err != nil:
		return err
	case back.Made && !back.Abandoned:
		return errs.OrderStateInvalid.New("the cash of repayment %s is on its way back for this refund, or went back", ids.Format(ids.Repayment, repaymentID))
	case !back.Made && back.Left.Minor() >= source.Amount.Minor():
		return errs.OrderStateInvalid.New("repayment %s can still give back %s", ids.Format(ids.Repayment, repaymentID), source.Amount)
	}
	_, err = again(ctx, func() (struct{}, error) {
		return struct{}{}, a.store.DoLocking(ctx, func(tx LockingTx) error { return a.keep(ctx, tx, refundID, repaymentID, actor) })
	})
	return err
}

func (a *App) keep(ctx context.Context, tx LockingTx, refundID, repaymentID ids.ID, actor string) error {
	refund, found, err := tx.LoanRefund(ctx, refundID)
	if err != nil {
		return err
	}
	if !found {
		return errs.NotFound.New("no such refund")
	}
	loans, err := tx.LockLoansByID(ctx, []ids.ID{refund.LoanID})
	if err != nil {
		return err
	}
	// Read after the loan is locked, so that callers at the same time see each other.
	source, found, err := tx.RefundSource(ctx, refundID, repaymentID)
	switch {
	case err != nil:
		return err
	case !found || len(loans) == 0:
		return errs.NotFound.New("the refund gives nothing back by this repayment")
	case !source.KeepTime.IsZero():
		return nil
	}
	if loans[0].Payable, err = loans[0].Payable.Sub(source.Amount); err != nil {
		return err
	}
	tx.KeepSource(refundID, repaymentID, actor, a.now())
	return a.refigure(ctx, tx, loans, causeKept, actor, AllBills)
}

// RefundSource returns what a refund gives back by a repayment. Errors: errs.NotFound when it is nothing.
func (a *App) RefundSource(ctx context.Context, refundID, repaymentID ids.ID) (RefundSource, error) {
	source, found, err := a.store.RefundSource(ctx, refundID, repaymentID)
	if err == nil && !found {
		err = errs.NotFound.New("the refund gives nothing back by this repayment")
	}
	return source, err
}

// RepaymentOf returns a repayment to the service that has its cash collected. Errors: errs.NotFound.
func (a *App) RepaymentOf(ctx context.Context, id ids.ID) (Repayment, error) {
	r, found, err := a.store.Repayment(ctx, id)
	if err == nil && !found {
		err = errs.NotFound.New("no such repayment")
	}
	return r, err
}
