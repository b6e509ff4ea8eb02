package app

import (
	"context"
	"fmt"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/errs"
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
	// Ticket is the approved request that the act carries out; zero for one that is asked for.
	Ticket ids.ID
}

// loanAct is what an approved act does to a loan. Its JSON is part of the database.
type loanAct struct {
	LoanID ids.ID       `json:"loan_id"`
	Amount money.Amount `json:"amount,omitzero"`
}

// repaymentAct is the repayment that an approved act reverses. Its JSON is part of the database.
type repaymentAct struct {
	RepaymentID ids.ID `json:"repayment_id"`
}

// payOutAct is what an approved act pays out. Its JSON is part of the database.
type payOutAct struct {
	UserID string       `json:"user_id"`
	Amount money.Amount `json:"amount"`
}

// WriteOffLoan writes a loan off: nothing is owed any more, and its user's account is frozen. Where other people must approve it, it returns
// their request. Errors: NOT_FOUND, LOAN_STATE_INVALID, APPROVAL_PENDING.
func (a *App) WriteOffLoan(ctx context.Context, loanID ids.ID, op Operation) (Loan, approval.Request, error) {
	return a.operate(ctx, verbWriteOff, loanID, op, domain.FactWrittenOff, causeWrittenOff, func(f figured) error {
		if f.before.State != domain.LoanActive && f.before.State != domain.LoanOverdue {
			return errs.LoanStateInvalid.New("the loan is %s; only one that runs can be given up", f.before.State).With("state", f.before.State.String())
		}
		return nil
	})
}

// WaiveFee forgives late fees that were charged. Where other people must approve it, it returns their request. Errors: NOT_FOUND,
// LOAN_STATE_INVALID, AMOUNT_OUT_OF_RANGE for more than was charged and not forgiven.
func (a *App) WaiveFee(ctx context.Context, loanID ids.ID, op Operation) (Loan, approval.Request, error) {
	return a.operate(ctx, verbWaive, loanID, op, domain.FactLateFeeWaived, causeWaived, func(f figured) error {
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

// RecordRecovery records money that came back of a loan that was given up. Where other people must approve it, it returns their request.
// Errors: NOT_FOUND, LOAN_STATE_INVALID.
func (a *App) RecordRecovery(ctx context.Context, loanID ids.ID, op Operation) (Loan, approval.Request, error) {
	return a.operate(ctx, verbRecover, loanID, op, domain.FactRecovered, causeRecovered, func(f figured) error {
		if f.before.State != domain.LoanWrittenOff {
			return errs.LoanStateInvalid.New("the loan is %s; a recovery is of a loan that was given up", f.before.State).With("state", f.before.State.String())
		}
		return nil
	})
}

// operate adds a fact of today to a loan, once per request. may judges the loan as it is before.
func (a *App) operate(ctx context.Context, verb string, loanID ids.ID, op Operation, kind domain.FactKind, cause string,
	may func(figured) error) (Loan, approval.Request, error) {
	asked, err := a.once(ctx, verb, loanID, op, []any{loanID, op.Amount, op.Reason}, func(ctx context.Context, tx LockingTx) (approval.Request, error) {
		return a.addFact(ctx, tx, verb, loanID, op, kind, cause, may)
	})
	if err != nil {
		return Loan{}, asked, err
	}
	l, _, _, err := a.store.LoanByID(ctx, loanID)
	return l, asked, err
}

func (a *App) addFact(ctx context.Context, tx LockingTx, verb string, loanID ids.ID, op Operation, kind domain.FactKind, cause string,
	may func(figured) error) (approval.Request, error) {
	var none approval.Request
	loans, err := tx.LockLoansByID(ctx, []ids.ID{loanID})
	if err != nil {
		return none, err
	}
	if len(loans) == 0 {
		return none, errs.NotFound.New("no such loan")
	}
	l, now := loans[0], a.now()
	if l.Start.IsZero() {
		return none, errs.LoanStateInvalid.New("the loan is %s", l.State).With("state", l.State.String())
	}
	known, err := tx.Facts(ctx, []ids.ID{loanID})
	if err != nil {
		return none, err
	}
	before, err := a.figure(ctx, tx, l, known[loanID], now)
	if err != nil {
		return none, err
	}
	amount, err := factAmount(l, kind, op)
	if err != nil {
		return none, err
	}
	before.before.State = before.after.State // Judge it as it is today, also when its timer is late.
	if err := may(before); err != nil {
		return none, err
	}
	fact := domain.Fact{ID: a.ids.New(), Kind: kind, Date: before.pos.AsOf, Amount: amount}
	asked, err := tx.Gate(ctx, a.askAboutLoan(verb, before, fact, op))
	if err != nil || asked.Waits() {
		return asked, err
	}
	tx.InsertFacts([]LoanFact{{LoanID: loanID, Fact: fact, Actor: op.Actor, Cause: op.Reason, CreateTime: now}})
	after, err := a.figure(ctx, tx, l, append(known[loanID], fact), now)
	if err != nil {
		return asked, err
	}
	if err := a.writeFigured(tx, []figured{after}, cause, op.Actor, AllBills, now); err != nil {
		return asked, err
	}
	if kind == domain.FactWrittenOff {
		tx.FreezeAccount(l.UserID, "loan "+ids.Format(ids.Loan, loanID)+" was written off", now)
	}
	return asked, nil
}

// factAmount is the amount of an operator's fact. Errors: CURRENCY_MISMATCH, AMOUNT_OUT_OF_RANGE.
func factAmount(l Loan, kind domain.FactKind, op Operation) (money.Amount, error) {
	c := l.Plan.Principal.Currency()
	switch {
	case kind == domain.FactWrittenOff:
		return money.Zero(c), nil
	case op.Amount.Currency() != c:
		return op.Amount, errs.CurrencyMismatch.New("the loan is in %s", c)
	case !op.Amount.IsPositive() || money.Bounded(op.Amount) != nil:
		return op.Amount, errs.AmountOutOfRange.New("the amount must be above zero and at most %d minor units", money.MaxMinor)
	default:
		return op.Amount, nil
	}
}

// askAboutLoan is the ask of an act on a loan. What counts of a write-off is all that is owed; it is carried out only while the principal is
// what it was, since interest and late fees go on rising.
func (a *App) askAboutLoan(verb string, f figured, fact domain.Fact, op Operation) approval.Ask {
	l := f.before
	ask := a.ask(verb, ids.Format(ids.Loan, l.ID), op)
	ask.Amount, ask.Payer, ask.Checkout, ask.Effect = fact.Amount, l.UserID, ids.Format(ids.Commit, l.CommitID), fact.ID
	ask.Arguments = loanAct{LoanID: l.ID, Amount: op.Amount}
	ask.Summary = fmt.Sprintf("%s of %s on loan %s of user %s", verb, fact.Amount, ask.Object, l.UserID)
	if fact.Kind == domain.FactWrittenOff {
		ask.Amount, ask.Basis, ask.Single = f.pos.OpenTotal, f.pos.Open.Principal, true
		ask.Summary = fmt.Sprintf("%s: give up %s (principal %s) of loan %s of user %s", verb, ask.Amount, f.pos.Open.Principal, ask.Object, l.UserID)
	}
	return ask
}

// ReverseRepayment takes a repayment back that was not good. Where other people must approve it, it returns their request. Errors:
// NOT_FOUND, REPAYMENT_STATE_INVALID, APPROVAL_PENDING.
func (a *App) ReverseRepayment(ctx context.Context, repaymentID ids.ID, op Operation) (Repayment, approval.Request, error) {
	asked, err := a.once(ctx, verbReverse, repaymentID, op, []any{repaymentID, op.Reason}, func(ctx context.Context, tx LockingTx) (approval.Request, error) {
		var none approval.Request
		s := &settling{app: a, tx: tx, now: a.now(), moved: map[ids.ID]Repayment{}, touched: map[ids.ID]bool{}, rests: map[string]money.Amount{}}
		if err := s.lock(ctx, []LegOutcome{{RepaymentID: repaymentID}}); err != nil {
			return none, err
		}
		r, found := s.repayments[repaymentID]
		if !found {
			return none, errs.NotFound.New("no such repayment")
		}
		if err := domain.RepaymentStates.Check(r.State, domain.RepaymentBounced); err != nil {
			return none, errs.RepaymentStateInvalid.Wrap(err, "the repayment is %s", r.State).With("state", r.State.String())
		}
		ask := a.ask(verbReverse, ids.Format(ids.Repayment, r.ID), op)
		ask.Amount, ask.Payer, ask.Effect, ask.Single = r.Amount, r.UserID, r.ID, true
		ask.Arguments = repaymentAct{RepaymentID: r.ID}
		ask.Summary = fmt.Sprintf("%s: take %s back of user %s, as if it had never been paid", verbReverse, r.Amount, r.UserID)
		asked, err := tx.Gate(ctx, ask)
		if err != nil || asked.Waits() {
			return asked, err
		}
		if err := s.bounce(r, op.Actor, op.Reason); err != nil {
			return asked, err
		}
		return asked, s.write(ctx, causeBounced, op.Actor, AllBills)
	})
	if err != nil {
		return Repayment{}, asked, err
	}
	r, _, err := a.store.Repayment(ctx, repaymentID)
	return r, asked, err
}
