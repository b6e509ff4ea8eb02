package domain

import (
	"fmt"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// Line is one line of a journal entry: a debit or a credit of an account, the
// other one nothing of the same currency. Neither is negative.
type Line struct {
	Account       string
	Debit, Credit money.Amount
}

// HoldLines record that a purchase reserves principal: a memorandum, since a hold
// is not a debt. It fails with errs.AmountOutOfRange for a principal that is not
// positive, as ReleaseLines does.
func HoldLines(principal money.Amount) ([]Line, error) {
	if !principal.IsPositive() {
		return nil, errs.AmountOutOfRange.New("the amount to hold must be positive, is %s", principal)
	}
	return pair(CreditCommitment, CreditCommitmentContra, principal), nil
}

// ReleaseLines record that a hold on principal ends without a loan, or with one:
// the reverse of HoldLines. Part of a hold may be released.
func ReleaseLines(principal money.Amount) ([]Line, error) {
	if !principal.IsPositive() {
		return nil, errs.AmountOutOfRange.New("the amount to release must be positive, is %s", principal)
	}
	return pair(CreditCommitmentContra, CreditCommitment, principal), nil
}

// ActivationLines record that the loan of a plan begins: the hold ends, the
// principal is owed to us and by us to the shop, and the fee is owed but not
// earned. Interest is recorded when it is billed. A plan that does not add up is
// ErrInvariant.
func ActivationLines(plan Plan) ([]Line, error) {
	if err := plan.Check(); err != nil {
		return nil, err
	}
	lines, err := ReleaseLines(plan.Principal)
	if err != nil {
		return nil, err
	}
	lines = append(lines, pair(LoanPrincipal, CreditClearing, plan.Principal)...)
	if plan.Fee.IsPositive() {
		lines = append(lines, pair(FeeReceivable, FeeUnearned, plan.Fee)...)
	}
	if err := CheckLines(lines); err != nil {
		return nil, err
	}
	return lines, nil
}

// pair is a debit and a credit of the same amount.
func pair(debit, credit string, amount money.Amount) []Line {
	nothing := money.Zero(amount.Currency())
	return []Line{
		{Account: debit, Debit: amount, Credit: nothing},
		{Account: credit, Debit: nothing, Credit: amount},
	}
}

// CheckLines returns nil when there are lines, each with an account and exactly
// one positive side, in one currency, and the debits equal the credits. It fails
// with ErrInvariant.
func CheckLines(lines []Line) error {
	if len(lines) == 0 {
		return broken("journal entry without lines")
	}
	c := lines[0].Debit.Currency()
	debits, credits := money.Zero(c), money.Zero(c)
	for i, l := range lines {
		if l.Account == "" || l.Debit.IsNegative() || l.Credit.IsNegative() || l.Debit.IsZero() == l.Credit.IsZero() {
			return broken("journal line %d: %q debit %s credit %s", i+1, l.Account, l.Debit, l.Credit)
		}
		var err error
		if debits, err = debits.Add(l.Debit); err != nil {
			return fmt.Errorf("%w: add debit of line %d: %w", ErrInvariant, i+1, err)
		}
		if credits, err = credits.Add(l.Credit); err != nil {
			return fmt.Errorf("%w: add credit of line %d: %w", ErrInvariant, i+1, err)
		}
	}
	return equal("sum of debits", debits, credits)
}
