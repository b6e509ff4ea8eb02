package domain

import (
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// Balances are the balances of accounts of the chart: debits less credits, by
// account, in one currency. Accounts without a balance may be missing. It can be
// stored as JSON, so that the next posting knows where the last one ended.
type Balances map[string]money.Amount

// OpeningBalances are those of a loan on the morning of its first day, which are
// those of its replay without facts.
func OpeningBalances(terms Contract) (Balances, error) {
	r := newReplay(terms, terms.Start)
	r.finish()
	if r.err != nil {
		return nil, r.err
	}
	return r.pos.Balances()
}

// Balances are what the journal says about a loan in this position: each account
// of Chart, without the memoranda. They add up to nothing. On the day on which a
// loan starts they are the lines of ActivationLines.
//
//	LOAN_PRINCIPAL        open principal
//	INTEREST_RECEIVABLE   open interest of billed instalments
//	FEE_RECEIVABLE        open fees
//	LATE_FEE_RECEIVABLE   open late fees
//	REPAYMENT_CLEARING    all money received
//	CREDIT_CLEARING       − principal financed and not refunded
//	CREDIT_BALANCE        − overpaid
//	REFUND_PAYABLE        − returned by refunds
//	FEE_UNEARNED          − fees of unbilled instalments that are not cancelled
//	INTEREST_UNEARNED     − interest paid of unbilled instalments
//	INTEREST_INCOME       − interest of billed instalments that is not cancelled
//	FEE_INCOME            − fees of billed instalments that are not cancelled
//	LATE_FEE_INCOME       − late fees that are not waived
//	WRITE_OFF_EXPENSE     what was written off, recovered or not
//	RECOVERY_INCOME       − what was recovered
//
// All that refunds return is payable here; BalancesPaying is for a part of it.
func (p Position) Balances() (Balances, error) { return p.BalancesPaying(p.Returned) }

// BalancesPaying is Balances when refunds give payable back by repayments. All else
// that they return is credit balance, with what is overpaid (CreditShare): whatever
// becomes known later of what was paid, a bounce or a late repayment, moves the
// user's credit balance and not what is on its way already.
func (p Position) BalancesPaying(payable money.Amount) (Balances, error) {
	c := p.Received.Currency()
	s := summary{balances: Balances{}, zero: money.Zero(c)}
	for _, in := range p.Instalments {
		s.debit(LoanPrincipal, in.Open.Principal)
		s.credit(CreditClearing, s.sub(in.Charged.Principal, in.Cancelled.Principal))
		fee, interest := s.sub(in.Charged.Fee, in.Cancelled.Fee), s.sub(in.Charged.Interest, in.Cancelled.Interest)
		s.debit(FeeReceivable, in.Open.Fee)
		if in.Billed {
			s.debit(InterestReceivable, in.Open.Interest)
			s.credit(InterestIncome, interest)
			s.credit(FeeIncome, fee)
		} else {
			s.credit(InterestUnearned, in.Paid.Interest)
			s.credit(FeeUnearned, fee)
		}
		s.debit(LateFeeReceivable, in.Open.Late)
		s.credit(LateFeeIncome, s.sub(in.Charged.Late, in.Cancelled.Late))
		recovered := s.total(in.Recovered)
		s.debit(WriteOffExpense, s.add(s.total(in.WrittenOff), recovered))
		s.credit(RecoveryIncome, recovered)
	}
	s.debit(RepaymentClearing, p.Received)
	s.credit(CreditBalance, p.creditShare(&s.calculation, payable))
	s.credit(RefundPayable, payable)
	sum := s.zero
	for _, b := range s.balances {
		sum = s.add(sum, b)
	}
	if s.err == nil && !sum.IsZero() {
		return nil, broken("the accounts of the position leave %s", sum)
	}
	return s.balances, s.err
}

// summary adds up balances.
type summary struct {
	calculation
	balances Balances
	zero     money.Amount
}

// debit raises the balance of an account.
func (s *summary) debit(account string, amount money.Amount) {
	if !amount.IsZero() {
		s.balances[account] = s.add(s.of(account), amount)
	}
}

// credit lowers it.
func (s *summary) credit(account string, amount money.Amount) {
	if !amount.IsZero() {
		s.balances[account] = s.sub(s.of(account), amount)
	}
}

// of is the balance of an account so far.
func (s *summary) of(account string) money.Amount {
	if b, ok := s.balances[account]; ok {
		return b
	}
	return s.zero
}

// LinesBetween are the balanced lines that lead from some balances to others, in
// the order of Chart; none when they are equal. Since lines are differences, those
// of any number of steps add up to those of one, and going back posts exactly the
// reverse: the journal of a bounced repayment is LinesBetween the balances posted
// and those of the replay without it. It fails with ErrInvariant.
func LinesBetween(c money.Currency, before, after Balances) ([]Line, error) {
	var k calculation
	var lines []Line
	zero := money.Zero(c)
	known := 0
	for _, entry := range Chart() {
		from, ok := before[entry.Account]
		if !ok {
			from = zero
		} else {
			known++
		}
		to, ok := after[entry.Account]
		if !ok {
			to = zero
		} else {
			known++
		}
		change := k.sub(to, from)
		switch {
		case change.IsPositive():
			lines = append(lines, Line{Account: entry.Account, Debit: change, Credit: zero})
		case change.IsNegative():
			lines = append(lines, Line{Account: entry.Account, Debit: zero, Credit: k.sub(zero, change)})
		}
	}
	switch {
	case k.err != nil:
		return nil, k.err
	case known != len(before)+len(after):
		return nil, broken("balances of accounts that are not in the chart")
	case len(lines) == 0:
		return nil, nil
	}
	return lines, CheckLines(lines)
}

// Lines are the balanced lines that lead from one position of a loan to another:
// interest and fee earned as instalments are billed, late fees charged or waived,
// repayments by parts, overpayments, refunds by parts, write-offs, recoveries, and
// the reversal of all that. None when nothing changed. It fails with ErrInvariant.
func Lines(before, after Position) ([]Line, error) {
	from, err := before.Balances()
	if err != nil {
		return nil, err
	}
	to, err := after.Balances()
	if err != nil {
		return nil, err
	}
	return LinesBetween(after.Received.Currency(), from, to)
}

// Reverse is the lines that undo others.
func Reverse(lines []Line) []Line {
	out := make([]Line, len(lines))
	for i, l := range lines {
		out[i] = Line{Account: l.Account, Debit: l.Credit, Credit: l.Debit}
	}
	return out
}

// CreditBalanceLines record money of a user that no loan took: the rest of
// SplitRepayment. Like the functions below it fails with errs.AmountOutOfRange for
// an amount that is not positive; Reverse undoes it.
func CreditBalanceLines(amount money.Amount) ([]Line, error) {
	return positivePair(RepaymentClearing, CreditBalance, amount)
}

// CreditBalanceUsedLines record that credit balance pays loans: post it with a
// FactRepaid of the amount, whose own lines debit REPAYMENT_CLEARING.
func CreditBalanceUsedLines(amount money.Amount) ([]Line, error) {
	return positivePair(CreditBalance, RepaymentClearing, amount)
}

// CreditBalancePaidOutLines record that credit balance goes back to the user.
func CreditBalancePaidOutLines(amount money.Amount) ([]Line, error) {
	return positivePair(CreditBalance, PayoutClearing, amount)
}

// RefundPaidOutLines record that the cash of a refund goes to the user.
func RefundPaidOutLines(amount money.Amount) ([]Line, error) {
	return positivePair(RefundPayable, PayoutClearing, amount)
}

// positivePair is pair for an amount that must be positive.
func positivePair(debit, credit string, amount money.Amount) ([]Line, error) {
	if !amount.IsPositive() {
		return nil, errs.AmountOutOfRange.New("the amount to record must be positive, is %s", amount)
	}
	return pair(debit, credit, amount), nil
}
