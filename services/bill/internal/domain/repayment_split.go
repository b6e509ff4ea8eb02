package domain

import (
	"cmp"
	"slices"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// BillName names a bill among those of a user.
type BillName struct{ BillDate, DueDate civil.Date }

// RepaymentTarget is what a user pays: the named bills, the named loans, or, when
// it names neither, whatever is owed. Not both.
type RepaymentTarget struct {
	Bills []BillName
	Loans []ids.ID
}

// LoanShare is the part of a repayment that a loan takes.
type LoanShare struct {
	LoanID ids.ID
	// Amount is positive: record it as a FactRepaid of the loan.
	Amount money.Amount
}

// SplitRepayment cuts money of a user over his loans, whose positions are of the
// value date: what is past due first, oldest first, then what is due today, then
// what is billed, then the future, each by due date, then by loan id. No loan gets
// more than it owes, so each share leaves its loan nothing overpaid; what no loan
// takes is the rest, which becomes credit balance. Shares are in the order in
// which loans first get something, and add up to the amount less the rest.
//
// A share of a loan goes, inside the loan, to its oldest debts first whichever of
// its bills was named.
//
// It fails with errs.AmountOutOfRange for an amount that is not positive,
// errs.CurrencyMismatch, errs.NotFound for a bill or loan that is not among the
// user's, errs.InvalidArgument for a target of both kinds, and ErrInvariant for
// positions of different days.
func SplitRepayment(amount money.Amount, loans []LoanPosition, target RepaymentTarget) (shares []LoanShare, rest money.Amount, err error) {
	if !amount.IsPositive() || money.Bounded(amount) != nil {
		return nil, amount, errs.AmountOutOfRange.New("the amount must be positive and at most %d minor units, is %s", money.MaxMinor, amount)
	}
	debts, err := debtsOf(amount.Currency(), loans, target)
	if err != nil {
		return nil, amount, err
	}
	slices.SortFunc(debts, compareDebts)
	var k calculation
	rest = amount
	for _, d := range debts {
		take := lesser(d.open, rest)
		if !take.IsPositive() {
			continue
		}
		rest = k.sub(rest, take)
		i := slices.IndexFunc(shares, func(s LoanShare) bool { return s.LoanID == d.loan })
		if i < 0 {
			shares = append(shares, LoanShare{LoanID: d.loan, Amount: take})
		} else {
			shares[i].Amount = k.add(shares[i].Amount, take)
		}
	}
	return shares, rest, k.err
}

// SumToPay is what is open of a target: the most that SplitRepayment takes for it.
// It fails as SplitRepayment does.
func SumToPay(c money.Currency, loans []LoanPosition, target RepaymentTarget) (money.Amount, error) {
	debts, err := debtsOf(c, loans, target)
	if err != nil {
		return money.Amount{}, err
	}
	var k calculation
	sum := money.Zero(c)
	for _, d := range debts {
		sum = k.add(sum, d.open)
	}
	return sum, k.err
}

// debt is what is open of an instalment.
type debt struct {
	loan     ids.ID
	sequence int
	// rank is 0 for past due, 1 for due today, 2 for billed, 3 for the future.
	rank int
	due  civil.Date
	open money.Amount
}

// compareDebts is the order in which debts are paid.
func compareDebts(a, b debt) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), a.due.Compare(b.due), slices.Compare(a.loan[:], b.loan[:]), cmp.Compare(a.sequence, b.sequence))
}

// debtsOf is what a target owes.
func debtsOf(c money.Currency, loans []LoanPosition, target RepaymentTarget) ([]debt, error) {
	if len(target.Bills) > 0 && len(target.Loans) > 0 {
		return nil, errs.InvalidArgument.New("name bills or loans, not both")
	}
	bills, named := map[BillName]bool{}, map[ids.ID]bool{}
	var out []debt
	for _, l := range loans {
		p := l.Position
		if p.AsOf != loans[0].Position.AsOf {
			return nil, broken("loan %s is as of %s, others as of %s", l.LoanID, p.AsOf, loans[0].Position.AsOf)
		}
		if p.Received.Currency() != c {
			return nil, errs.CurrencyMismatch.New("the amount is in %s, a loan in %s", c, p.Received.Currency())
		}
		named[l.LoanID] = true
		for _, in := range p.Instalments {
			name := BillName{in.BillDate, in.DueDate}
			onBill := p.OnBill(in)
			if onBill {
				bills[name] = true
			}
			switch {
			case len(target.Loans) > 0 && !slices.Contains(target.Loans, l.LoanID):
			case len(target.Bills) > 0 && (!onBill || !slices.Contains(target.Bills, name)):
			default:
				open, err := in.Open.Total()
				if err != nil {
					return nil, err
				}
				out = append(out, debt{l.LoanID, in.Sequence, rankOf(in, p.AsOf), in.DueDate, open})
			}
		}
	}
	for _, b := range target.Bills {
		if !bills[b] {
			return nil, errs.NotFound.New("there is no bill of %s due on %s", b.BillDate, b.DueDate)
		}
	}
	for _, id := range target.Loans {
		if !named[id] {
			return nil, errs.NotFound.New("there is no loan %s", ids.Format(ids.Loan, id))
		}
	}
	return out, nil
}

// rankOf is the rank of an instalment's debt on a date.
func rankOf(in InstalmentPosition, date civil.Date) int {
	switch {
	case in.DueDate.Before(date):
		return 0
	case in.DueDate == date:
		return 1
	case in.Billed:
		return 2
	default:
		return 3
	}
}
