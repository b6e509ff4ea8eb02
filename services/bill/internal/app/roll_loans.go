package app

import (
	"context"
	"runtime"

	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

const actorTime = "TIMER:roll_loans"

// RollLoans brings loans up to today: instalments are billed, become overdue, cost late fees. A loan is due at the day that the last
// figuring named; coming weeks late gives the same as coming each day. Loans that are not due any more are passed over.
func (a *App) RollLoans(ctx context.Context, loanIDs []ids.ID) error {
	return a.store.DoLocking(ctx, func(tx LockingTx) error {
		now := a.now()
		loans, err := tx.LockLoansByID(ctx, loanIDs)
		if err != nil {
			return err
		}
		due := loans[:0]
		for _, l := range loans {
			if l.State != domain.LoanDraft && l.State != domain.LoanVoid && !l.RollTime.IsZero() && !l.RollTime.After(now) {
				due = append(due, l)
			}
		}
		return a.refigure(ctx, tx, due, causeTime, actorTime, UnpaidBills)
	})
}

// refigure figures loans that are locked, with the facts that stand, and writes what changed.
func (a *App) refigure(ctx context.Context, tx LockingTx, loans []Loan, cause, actor string, look BillsToLookAt) error {
	if len(loans) == 0 {
		return nil
	}
	now := a.now()
	loanIDs := make([]ids.ID, len(loans))
	for i, l := range loans {
		loanIDs[i] = l.ID
	}
	facts, err := tx.Facts(ctx, loanIDs)
	if err != nil {
		return err
	}
	list := make([]figured, len(loans))
	for i, l := range loans {
		// A batch is long work for one processor; whoever waits for an answer meanwhile goes first.
		runtime.Gosched()
		if list[i], err = a.figure(ctx, tx, l, facts[l.ID], now); err != nil {
			return err
		}
	}
	return a.writeFigured(tx, list, cause, actor, look, now)
}
