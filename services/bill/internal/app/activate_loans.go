package app

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// Confirmation says that the goods of an order were received.
type Confirmation struct {
	OrderID ids.ID
	// Time when the order was confirmed; its day in the product's zone starts the loan.
	Time time.Time
	// UserID and Amount are the order's own, as the order service says; the zero Amount in an event of a release that did not say.
	UserID string
	Amount money.Amount
}

// confirms holds a loan against the order: who reserved it named price and user, and was believed so far as to hold limit. A debt
// begins only as the order service, whose order it is, says it.
func (c Confirmation) confirms(l Loan) error {
	if c.Amount == (money.Amount{}) {
		return nil
	}
	price, err := l.Plan.Principal.Add(l.Shrunk)
	if err == nil {
		price, err = price.Add(l.Plan.DownPayment)
	}
	if err != nil {
		return errs.Internal.Wrap(err, "the price of a loan does not add up")
	}
	if price != c.Amount || l.UserID != c.UserID {
		return errs.OrderContentMismatch.New("order %s is of %s for user %s, its loan of %s for user %s: it does not begin",
			ids.Format(ids.Order, c.OrderID), c.Amount, c.UserID, price, l.UserID)
	}
	return nil
}

// ActivateLoans lets the loans of confirmed orders begin, inside a transaction that is
// open: holds become debt, due dates are set, instalments are written. Orders may be
// repeated. An order without a loan, or whose loans are all void, was paid otherwise
// (a credit attempt that failed leaves a void loan behind) and is passed over, as is
// one whose loan has begun. Errors: errs.OrderContentMismatch for a loan of another price or user than its order.
func (a *App) ActivateLoans(ctx context.Context, tx LockingTx, confirmed []Confirmation) error {
	first := make(map[ids.ID]Confirmation, len(confirmed))
	for _, c := range confirmed {
		if known, ok := first[c.OrderID]; !ok || c.Time.Before(known.Time) {
			first[c.OrderID] = c
		}
	}
	if len(first) == 0 {
		return nil
	}
	loans, err := tx.LockLoans(ctx, slices.Collect(maps.Keys(first)))
	if err != nil {
		return err
	}
	var begun []Loan
	for _, l := range loans {
		if l.State != domain.LoanDraft {
			continue
		}
		if err := first[l.OrderID].confirms(l); err != nil {
			return err
		}
		product, err := a.products.version(ctx, tx, l.Plan.ProductCode, l.Plan.ProductVersion)
		if err != nil {
			return err
		}
		at := stored(first[l.OrderID].Time)
		l.Start = civil.Of(at, product.Zone())
		if l.Loan, err = l.Activate(at, l.Start, product); err != nil {
			return err
		}
		// The first day's position is the plan, and its first change the first bill. What has happened since, when the confirmation
		// comes late, is figured when the timer fires.
		l.RollTime = product.BillDateOf(l.Plan.Instalments[0].DueDate).In(product.Zone()).UTC()
		tx.InsertInstalments(l, product.BillDateOf)
		begun = append(begun, l)
	}
	if len(begun) == 0 {
		return nil
	}
	return a.writeBegun(tx, begun)
}

// writeBegun queues everything about loans that begin. Accounts come in the order of their users, so that two batches
// with users in common wait for each other instead of locking each other out.
func (a *App) writeBegun(tx Tx, begun []Loan) error {
	sums := map[string]money.Amount{}
	for _, l := range begun {
		tx.UpdateDraft(l)
		lines, err := domain.ActivationLines(l.Plan)
		if err != nil {
			return err
		}
		post(tx, l, causeActivated, lines)
		tx.Emit(domain.LoanActivated{
			LoanID: l.ID, OrderID: l.OrderID, UserID: l.UserID, Principal: l.Plan.Principal,
			FirstDueDate: l.Plan.Instalments[0].DueDate, Version: l.Version + 1,
		})
		sum, ok := sums[l.UserID]
		if !ok {
			sum = money.Zero(l.Plan.Principal.Currency())
		}
		if sums[l.UserID], err = sum.Add(l.Plan.Principal); err != nil {
			return errs.Internal.Wrap(err, "the loans of one user do not add up")
		}
	}
	now := a.now()
	for _, user := range slices.Sorted(maps.Keys(sums)) {
		tx.UseHold(user, sums[user], now, errs.Internal.New("the account of user %s holds less than its drafts", user))
	}
	return nil
}
