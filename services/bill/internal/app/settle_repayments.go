package app

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// LegOutcome is what the payment service tells of the money of a repayment.
type LegOutcome struct {
	RepaymentID ids.ID
	State       CashLegState
	// Amount that moved, and when.
	Amount  money.Amount
	PayTime time.Time
}

// settling is a batch of outcomes at work: the rows that it has locked, as they are after the outcomes before.
type settling struct {
	app        *App
	tx         LockingTx
	now        time.Time
	repayments map[ids.ID]Repayment
	loans      map[string][]Loan // by user
	facts      map[ids.ID][]domain.Fact
	moved      map[ids.ID]Repayment
	touched    map[ids.ID]bool // loans whose facts changed
	rests      map[string]money.Amount
}

// SettleRepayments applies what became of the money of repayments, in the transaction that remembers the events. Money that arrived
// pays loans by the value date, the rest becomes credit balance; money that went back leaves as if it had never been. What was
// applied before is passed over.
func (a *App) SettleRepayments(ctx context.Context, tx LockingTx, outcomes []LegOutcome) error {
	s := &settling{app: a, tx: tx, now: a.now(), moved: map[ids.ID]Repayment{}, touched: map[ids.ID]bool{}, rests: map[string]money.Amount{}}
	if err := s.lock(ctx, outcomes); err != nil {
		return err
	}
	bounced := false
	for _, o := range outcomes {
		r, found := s.repayments[o.RepaymentID]
		if !found {
			return errs.NotFound.New("money moved for repayment %s, which does not exist", ids.Format(ids.Repayment, o.RepaymentID))
		}
		if m, ok := s.moved[r.ID]; ok {
			r = m
		}
		var err error
		switch {
		case o.State == CashLegSucceeded && r.State == domain.RepaymentPending:
			err = s.arrived(ctx, r, o)
		case o.State == CashLegFailed && r.State == domain.RepaymentPending:
			err = s.end(r, domain.RepaymentFailed)
		case o.State == CashLegReversed && r.State == domain.RepaymentSucceeded:
			bounced = true
			err = s.bounce(r, "EVENT:CashLegChanged", "the money went back")
		case o.State == CashLegSucceeded && r.State == domain.RepaymentFailed:
			return errs.RepaymentStateInvalid.New("money arrived for repayment %s, which had failed", ids.Format(ids.Repayment, r.ID))
		}
		if err != nil {
			return err
		}
	}
	cause, look := causeRepaid, UnpaidBills
	if bounced {
		cause, look = causeBounced, AllBills
	}
	return s.write(ctx, cause, "EVENT:CashLegChanged", look)
}

// lock locks repayments first, then all loans of their users, by id.
func (s *settling) lock(ctx context.Context, outcomes []LegOutcome) error {
	named := map[ids.ID]bool{}
	for _, o := range outcomes {
		named[o.RepaymentID] = true
	}
	list, err := s.tx.LockRepayments(ctx, sortedIDs(named))
	if err != nil {
		return err
	}
	s.repayments = make(map[ids.ID]Repayment, len(list))
	users := map[string]bool{}
	for _, r := range list {
		s.repayments[r.ID] = r
		users[r.UserID] = true
	}
	loans, err := s.tx.LockBegunLoans(ctx, slices.Sorted(maps.Keys(users)))
	if err != nil {
		return err
	}
	s.loans = map[string][]Loan{}
	loanIDs := make([]ids.ID, len(loans))
	for i, l := range loans {
		loanIDs[i] = l.ID
		s.loans[l.UserID] = append(s.loans[l.UserID], l)
	}
	s.facts, err = s.tx.Facts(ctx, loanIDs)
	return err
}

func sortedIDs(set map[ids.ID]bool) []ids.ID {
	return slices.SortedFunc(maps.Keys(set), func(x, y ids.ID) int { return bytes.Compare(x[:], y[:]) })
}

// arrived gives the money to loans, by the day on which it was paid, or for which a settlement was quoted.
func (s *settling) arrived(ctx context.Context, r Repayment, o LegOutcome) error {
	if o.Amount != r.Amount {
		return errs.LegAmountMismatch.New("repayment %s is of %s, and %s arrived", ids.Format(ids.Repayment, r.ID), r.Amount, o.Amount)
	}
	r.PayTime = o.PayTime
	if r.PayTime.IsZero() || r.PayTime.After(s.now) {
		r.PayTime = s.now
	}
	shares, rest, err := s.split(ctx, r)
	if err != nil {
		return err
	}
	kind, at := domain.FactRepaid, r.PayTime
	if r.Kind == RepayEarly {
		// The price is that of the day on which it was asked for, and is kept while the money is collected.
		kind, at = domain.FactEarlySettled, r.CreateTime
	}
	var facts []LoanFact
	for _, share := range shares {
		l := s.loanOf(r.UserID, share.LoanID)
		date, err := s.valueDate(ctx, l, at)
		if err != nil {
			return err
		}
		f := domain.Fact{ID: r.ID, Kind: kind, Date: date, Amount: share.Amount}
		s.facts[l.ID] = append(s.facts[l.ID], f)
		s.touched[l.ID] = true
		facts = append(facts, LoanFact{LoanID: l.ID, Fact: f, Actor: "EVENT:CashLegChanged", Cause: "repayment", CreateTime: s.now})
	}
	s.tx.InsertFacts(facts)
	if rest.IsPositive() {
		lines, err := domain.CreditBalanceLines(rest)
		if err != nil {
			return err
		}
		postOf(s.tx, ids.Format(ids.Repayment, r.ID), r.UserID, causeCreditBalance, lines)
		if err := s.addRest(r.UserID, rest); err != nil {
			return err
		}
	}
	r.Rest = rest
	return s.end(r, domain.RepaymentSucceeded)
}

// split decides which loan gets how much: an early settlement gives all to its loan, which gives back as overpaid what it does not
// need.
func (s *settling) split(ctx context.Context, r Repayment) ([]domain.LoanShare, money.Amount, error) {
	zero := money.Zero(r.Amount.Currency())
	if r.Kind == RepayEarly && len(r.Target.Loans) == 1 {
		return []domain.LoanShare{{LoanID: r.Target.Loans[0], Amount: r.Amount}}, zero, nil
	}
	positions, err := s.app.positions(ctx, s.tx, s.loans[r.UserID], s.facts, r.PayTime)
	if err != nil {
		return nil, zero, err
	}
	if len(positions) == 0 {
		return nil, r.Amount, nil
	}
	shares, rest, err := domain.SplitRepayment(r.Amount, positions, r.Target)
	if errs.Is(err, errs.NotFound) {
		// What was named is not owed on that day any more: whatever is owed is paid.
		shares, rest, err = domain.SplitRepayment(r.Amount, positions, domain.RepaymentTarget{})
	}
	return shares, rest, err
}

func (s *settling) loanOf(userID string, id ids.ID) Loan {
	for _, l := range s.loans[userID] {
		if l.ID == id {
			return l
		}
	}
	return Loan{}
}

// valueDate is the day of a time in the loan's calendar, not before the loan began.
func (s *settling) valueDate(ctx context.Context, l Loan, at time.Time) (d civil.Date, err error) {
	if l.ID.IsZero() {
		return d, errs.NotFound.New("the repayment names a loan that its user does not have")
	}
	terms, err := s.app.contract(ctx, s.tx, l)
	if err != nil {
		return d, err
	}
	return later(today(terms.Product, at), l.Start), nil
}

// bounce takes a repayment back: its facts are void, the loans are figured without them, and what became credit balance goes.
func (s *settling) bounce(r Repayment, actor, cause string) error {
	for _, l := range s.loans[r.UserID] {
		n := len(s.facts[l.ID])
		s.facts[l.ID] = slices.DeleteFunc(s.facts[l.ID], func(f domain.Fact) bool { return f.ID == r.ID })
		if len(s.facts[l.ID]) != n {
			s.touched[l.ID] = true
		}
	}
	s.tx.VoidFacts(r.ID, actor, cause, s.now)
	if r.Rest.IsPositive() {
		lines, err := domain.CreditBalanceLines(r.Rest)
		if err != nil {
			return err
		}
		postOf(s.tx, ids.Format(ids.Repayment, r.ID), r.UserID, causeBounced, domain.Reverse(lines))
		negative, err := money.Zero(r.Rest.Currency()).Sub(r.Rest)
		if err != nil {
			return err
		}
		if err := s.addRest(r.UserID, negative); err != nil {
			return err
		}
	}
	return s.end(r, domain.RepaymentBounced)
}

func (s *settling) addRest(userID string, amount money.Amount) error {
	sum, ok := s.rests[userID]
	if !ok {
		sum = money.Zero(amount.Currency())
	}
	var err error
	s.rests[userID], err = sum.Add(amount)
	return err
}

// end moves a repayment.
func (s *settling) end(r Repayment, to domain.RepaymentState) error {
	if err := domain.RepaymentStates.Check(r.State, to); err != nil {
		return errs.RepaymentStateInvalid.Wrap(err, "the repayment is %s", r.State).With("state", r.State.String())
	}
	r.State, r.EndTime, r.AskTime = to, s.now, time.Time{}
	s.tx.MoveRepayment(r)
	s.tx.Emit(domain.RepaymentChanged{RepaymentID: r.ID, UserID: r.UserID, State: to, Amount: r.Amount, Version: r.Version + 1})
	r.Version++
	s.moved[r.ID] = r
	return nil
}

// write figures the loans whose facts changed, and writes them and the rests.
func (s *settling) write(ctx context.Context, cause, actor string, look BillsToLookAt) error {
	var list []figured
	for _, user := range slices.Sorted(maps.Keys(s.loans)) {
		for _, l := range s.loans[user] {
			if !s.touched[l.ID] {
				continue
			}
			f, err := s.app.figure(ctx, s.tx, l, s.facts[l.ID], s.now)
			if err != nil {
				return err
			}
			list = append(list, f)
		}
	}
	if len(list) > 0 {
		if err := s.app.writeFigured(s.tx, list, cause, actor, look, s.now); err != nil {
			return err
		}
	}
	for _, user := range slices.Sorted(maps.Keys(s.rests)) {
		rest := s.rests[user]
		if !rest.IsZero() {
			s.tx.ChangeAccount(AccountDelta{UserID: user, Used: money.Zero(rest.Currency()), Credit: rest}, s.now)
		}
	}
	return nil
}

// AskAboutRepayment is the timer of a repayment of which no event told: the payment service knows. One whose first call died before
// it had a leg gets it here, and ends as the leg does. It cannot be said to have failed: a repeat of the call may open the leg at the
// same moment, and its money would come for nothing.
func (a *App) AskAboutRepayment(ctx context.Context, id ids.ID) (jobs.Outcome, error) {
	r, found, err := a.store.Repayment(ctx, id)
	if err != nil || !found || r.State != domain.RepaymentPending {
		return jobs.Done(), err
	}
	leg, err := a.payments.OpenCashLeg(ctx, r)
	switch {
	case errs.Is(err, errs.ChannelNotAvailable):
		leg = CashLeg{State: CashLegFailed} // It has no leg and cannot have one.
	case err != nil:
		return jobs.Outcome{}, err
	}
	if leg.State == CashLegPending {
		return jobs.Again(a.now().Add(askAgain)), nil
	}
	err = a.store.DoLocking(ctx, func(tx LockingTx) error {
		return a.SettleRepayments(ctx, tx, []LegOutcome{{RepaymentID: id, State: leg.State, Amount: r.Amount, PayTime: leg.PayTime}})
	})
	return jobs.Done(), err
}
