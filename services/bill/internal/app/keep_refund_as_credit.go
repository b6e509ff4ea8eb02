package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
)

// KeepRefundAsCredit turns what a refund was to give back by a repayment into credit balance. What is kept already stays so. It
// fails with errs.NotFound when the refund gives nothing back by this repayment. The refund's record keeps the answer that it gave.
func (a *App) KeepRefundAsCredit(ctx context.Context, refundID, repaymentID ids.ID, actor string) error {
	_, err := again(ctx, func() (struct{}, error) {
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
