package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// Operation is an operator's act on a loan or a repayment.
type Operation struct {
	// Actor is the operator, for the scope of RequestID and the trail.
	Actor, RequestID string
	// Reason is kept for the auditor.
	Reason string
	// Amount is the zero Amount where none is asked for.
	Amount money.Amount
}

// operated is the answer of an operation.
type operated struct {
	ID ids.ID `json:"id"`
}

// WriteOffLoan gives a loan up: nothing is owed any more, and its user's account is frozen. Errors: errs.NotFound,
// errs.LoanStateInvalid.
func (a *App) WriteOffLoan(ctx context.Context, loanID ids.ID, op Operation) (Loan, error) {
	return a.operate(ctx, "WriteOffLoan", loanID, op, domain.FactWrittenOff, causeWrittenOff, func(f figured) error {
		if f.before.State != domain.LoanActive && f.before.State != domain.LoanOverdue {
			return errs.LoanStateInvalid.New("the loan is %s; only one that runs can be given up", f.before.State).With("state", f.before.State.String())
		}
		return nil
	})
}

// WaiveFee forgives late fees that were charged. Errors: errs.NotFound, errs.LoanStateInvalid, errs.AmountOutOfRange for more than
// was charged and not forgiven.
func (a *App) WaiveFee(ctx context.Context, loanID ids.ID, op Operation) (Loan, error) {
	return a.operate(ctx, "WaiveFee", loanID, op, domain.FactLateFeeWaived, causeWaived, func(f figured) error {
		late, err := f.pos.Charged.Late.Sub(f.pos.Cancelled.Late)
		if err != nil {
			return err
		}
		if f.before.State == domain.LoanWrittenOff {
			return errs.LoanStateInvalid.New("the loan was given up").With("state", f.before.State.String())
		}
		if op.Amount.Minor() > late.Minor() {
			return errs.AmountOutOfRange.New("late fees of %s were charged and not forgiven; the amount must not be larger", late)
		}
		return nil
	})
}

// RecordRecovery records money that came back of a loan that was given up. Errors: errs.NotFound, errs.LoanStateInvalid.
func (a *App) RecordRecovery(ctx context.Context, loanID ids.ID, op Operation) (Loan, error) {
	return a.operate(ctx, "RecordRecovery", loanID, op, domain.FactRecovered, causeRecovered, func(f figured) error {
		if f.before.State != domain.LoanWrittenOff {
			return errs.LoanStateInvalid.New("the loan is %s; a recovery is of a loan that was given up", f.before.State).With("state", f.before.State.String())
		}
		return nil
	})
}

// operate adds a fact of today to a loan, once per request. may judges the loan as it is before.
func (a *App) operate(ctx context.Context, verb string, loanID ids.ID, op Operation, kind domain.FactKind, cause string, may func(figured) error) (Loan, error) {
	key := idempotency.Key{Verb: verb, Caller: op.Actor, RequestID: op.RequestID}
	fp, err := idempotency.FingerprintOf([]any{loanID, op.Amount, op.Reason})
	if err != nil {
		return Loan{}, err
	}
	_, err = idempotency.Do(ctx, a.requests, key, fp, func() (operated, error) {
		done := operated{ID: loanID}
		return done, a.store.DoLocking(ctx, func(tx LockingTx) error {
			tx.Remember(key, fp, done)
			return a.addFact(ctx, tx, loanID, op, kind, cause, may)
		})
	})
	if err != nil {
		return Loan{}, err
	}
	l, _, _, err := a.store.LoanByID(ctx, loanID)
	return l, err
}

func (a *App) addFact(ctx context.Context, tx LockingTx, loanID ids.ID, op Operation, kind domain.FactKind, cause string, may func(figured) error) error {
	loans, err := tx.LockLoansByID(ctx, []ids.ID{loanID})
	if err != nil {
		return err
	}
	if len(loans) == 0 {
		return errs.NotFound.New("no such loan")
	}
	l, now := loans[0], a.now()
	if l.Start.IsZero() {
		return errs.LoanStateInvalid.New("the loan is %s", l.State).With("state", l.State.String())
	}
	known, err := tx.Facts(ctx, []ids.ID{loanID})
	if err != nil {
		return err
	}
	before, err := a.figure(ctx, tx, l, known[loanID], now)
	if err != nil {
		return err
	}
	amount := op.Amount
	switch {
	case kind == domain.FactWrittenOff:
		amount = money.Zero(l.Plan.Principal.Currency())
	case amount.Currency() != l.Plan.Principal.Currency():
		return errs.CurrencyMismatch.New("the loan is in %s", l.Plan.Principal.Currency())
	case !amount.IsPositive() || money.Bounded(amount) != nil:
		return errs.AmountOutOfRange.New("the amount must be above zero and at most %d minor units", money.MaxMinor)
	}
	before.before.State = before.after.State // Judge it as it is today, also when its timer is late.
	if err := may(before); err != nil {
		return err
	}
	fact := domain.Fact{ID: a.ids.New(), Kind: kind, Date: before.pos.AsOf, Amount: amount}
	tx.InsertFacts([]LoanFact{{LoanID: loanID, Fact: fact, Actor: op.Actor, Cause: op.Reason, CreateTime: now}})
	after, err := a.figure(ctx, tx, l, append(known[loanID], fact), now)
	if err != nil {
		return err
	}
	if err := a.writeFigured(tx, []figured{after}, cause, op.Actor, AllBills, now); err != nil {
		return err
	}
	if kind == domain.FactWrittenOff {
		tx.FreezeAccount(l.UserID, "loan "+ids.Format(ids.Loan, loanID)+" was written off", now)
	}
	return nil
}

// ReverseRepayment takes a repayment back that was not good. Errors: errs.NotFound, errs.RepaymentStateInvalid.
func (a *App) ReverseRepayment(ctx context.Context, repaymentID ids.ID, op Operation) (Repayment, error) {
	key := idempotency.Key{Verb: "ReverseRepayment", Caller: op.Actor, RequestID: op.RequestID}
	fp, err := idempotency.FingerprintOf([]any{repaymentID, op.Reason})
	if err != nil {
		return Repayment{}, err
	}
	_, err = idempotency.Do(ctx, a.requests, key, fp, func() (operated, error) {
		done := operated{ID: repaymentID}
		return done, a.store.DoLocking(ctx, func(tx LockingTx) error {
			tx.Remember(key, fp, done)
			s := &settling{app: a, tx: tx, now: a.now(), moved: map[ids.ID]Repayment{}, touched: map[ids.ID]bool{}, rests: map[string]money.Amount{}}
			if err := s.lock(ctx, []LegOutcome{{RepaymentID: repaymentID}}); err != nil {
				return err
			}
			r, found := s.repayments[repaymentID]
			if !found {
				return errs.NotFound.New("no such repayment")
			}
			if err := s.bounce(r, op.Actor, op.Reason); err != nil {
				return err
			}
			return s.write(ctx, causeBounced, op.Actor, AllBills)
		})
	})
	if err != nil {
		return Repayment{}, err
	}
	r, _, err := a.store.Repayment(ctx, repaymentID)
	return r, err
}

// PayOutCreditBalance records that a part of a user's credit balance was paid out, and gives what is left. Errors:
// errs.AccountNotFound, errs.BalanceInsufficient, errs.CurrencyMismatch, errs.AmountOutOfRange.
func (a *App) PayOutCreditBalance(ctx context.Context, userID string, op Operation) (money.Amount, error) {
	key := idempotency.Key{Verb: "PayOutCreditBalance", Caller: op.Actor, RequestID: op.RequestID}
	fp, err := idempotency.FingerprintOf([]any{userID, op.Amount, op.Reason})
	if err != nil {
		return money.Amount{}, err
	}
	return idempotency.Do(ctx, a.requests, key, fp, func() (money.Amount, error) {
		return again(ctx, func() (money.Amount, error) {
			account, found, err := a.store.Account(ctx, userID)
			switch {
			case err != nil:
				return money.Amount{}, err
			case !found:
				return money.Amount{}, noAccount()
			case op.Amount.Currency() != account.Limit.Currency():
				return money.Amount{}, errs.CurrencyMismatch.New("the account is in %s", account.Limit.Currency())
			case !op.Amount.IsPositive():
				return money.Amount{}, errs.AmountOutOfRange.New("the amount must be above zero")
			case op.Amount.Minor() > account.Credit.Minor():
				return money.Amount{}, errs.BalanceInsufficient.New("the credit balance is %s", account.Credit)
			}
			left, err := account.Credit.Sub(op.Amount)
			if err != nil {
				return money.Amount{}, err
			}
			lines, err := domain.CreditBalancePaidOutLines(op.Amount)
			if err != nil {
				return money.Amount{}, err
			}
			payout := a.ids.New()
			return left, a.store.Do(ctx, func(tx Tx) error {
				tx.Remember(key, fp, left)
				tx.TakeCredit(account, op.Amount, a.now())
				tx.InsertAccountChange(AccountChange{ID: payout, AccountID: account.ID, Actor: op.Actor, What: "PayOutCreditBalance", Reason: op.Reason,
					After: []byte(`{"paid_out":"` + op.Amount.String() + `"}`), Time: a.now()})
				postOf(tx, ids.Format(ids.Account, account.ID), userID, causePaidOut, lines)
				return nil
			})
		})
	})
}
