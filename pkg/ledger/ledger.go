// Package ledger owns double entry: a journal is a set of lines whose debits equal its credits, written in the transaction of
// the movement it records, and never changed. Corrections are new journals.
//
// It is pure: package unit writes the lines. It must not know which accounts exist; each service keeps its own chart of
// accounts in its domain.
package ledger

import (
	"errors"
	"fmt"
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// Line is one side of a movement: exactly one of debit and credit is above zero.
type Line struct {
	// Account of the chart, for example "LOAN_PRINCIPAL".
	Account string
	// Party is the user or merchant that the line is about; empty for the house.
	Party string
	// Debit above zero, or zero.
	Debit money.Amount
	// Credit above zero, or zero.
	Credit money.Amount
}

// Journal is one movement.
type Journal struct {
	// ID of the journal.
	ID ids.ID
	// ObjectID is the typed id of what moved.
	ObjectID string
	// Cause in capitals, for example "LOAN_ACTIVATED".
	Cause string
	// Time of posting.
	Time time.Time
	// Lines, two or more. Lines of zero are dropped.
	Lines []Line
}

// ErrUnbalanced is answered for a journal whose debits and credits differ, or that mixes currencies.
var ErrUnbalanced = errors.New("journal does not balance")

// Check gives the lines to be written, without those of zero, both sides in the line's currency. A journal without lines above zero gives none.
// Errors: ErrUnbalanced.
func (j Journal) Check() ([]Line, error) {
	lines := make([]Line, 0, len(j.Lines))
	for _, l := range j.Lines {
		if l.Debit.IsNegative() || l.Credit.IsNegative() || (!l.Debit.IsZero() && !l.Credit.IsZero()) {
			return nil, fmt.Errorf("%w: line %s of %s is not one-sided", ErrUnbalanced, l.Account, j.Cause)
		}
		// The side that is zero takes the other's currency, so that callers may leave it out.
		if l.Debit.IsPositive() {
			l.Credit = money.Zero(l.Debit.Currency())
		} else {
			l.Debit = money.Zero(l.Credit.Currency())
		}
		if !l.Debit.IsZero() || !l.Credit.IsZero() {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return nil, nil
	}
	balance := money.Zero(lines[0].Debit.Currency())
	for _, l := range lines {
		var err error
		if balance, err = balance.Add(l.Debit); err == nil {
			balance, err = balance.Sub(l.Credit)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrUnbalanced, j.Cause, err)
		}
	}
	if !balance.IsZero() {
		return nil, fmt.Errorf("%w: %s leaves %s", ErrUnbalanced, j.Cause, balance)
	}
	return lines, nil
}
