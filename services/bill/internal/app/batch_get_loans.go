package app

import (
	"context"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// TimelineEntry is something that happened to a loan.
type TimelineEntry struct {
	Time   time.Time
	LoanID ids.ID
	// From is empty for a creation; both are names of states.
	From, To string
	// Actor is who caused it, Cause why.
	Actor, Cause string
}

// actorConfirmation is who lets loans begin.
const actorConfirmation = "EVENT:OrderConfirmed"

// BatchGetLoans gives the loan of each order that has one, and what happened to all
// loans of the orders, oldest first. The loan of an order is the one that counts, or
// the last one that was void; orders without a loan are left out.
func (a *App) BatchGetLoans(ctx context.Context, orderIDs []ids.ID) ([]Loan, []TimelineEntry, error) {
	all, err := a.store.LoansOfOrders(ctx, orderIDs)
	if err != nil {
		return nil, nil, err
	}
	var loans []Loan
	var timeline []TimelineEntry
	for _, l := range all {
		timeline = append(timeline, happened(l)...)
		last := len(loans) - 1
		switch {
		case last < 0 || loans[last].OrderID != l.OrderID:
			loans = append(loans, l)
		case loans[last].State == domain.LoanVoid:
			loans[last] = l // Loans come by order and age: a younger one replaces a void one.
		}
	}
	slices.SortStableFunc(timeline, func(x, y TimelineEntry) int { return x.Time.Compare(y.Time) })
	return loans, timeline, nil
}

// happened is the timeline of one loan, as its row tells it.
func happened(l Loan) []TimelineEntry {
	entry := func(at time.Time, from, to domain.LoanState, actor, cause string) TimelineEntry {
		e := TimelineEntry{Time: at, LoanID: l.ID, To: to.String(), Actor: actor, Cause: cause}
		if from != 0 {
			e.From = from.String()
		}
		return e
	}
	out := []TimelineEntry{entry(l.DraftTime, 0, domain.LoanDraft, l.DraftActor, "limit held")}
	before := domain.LoanDraft
	if !l.ActivateTime.IsZero() {
		out = append(out, entry(l.ActivateTime, before, domain.LoanActive, actorConfirmation, "goods confirmed"))
		before = domain.LoanActive
	}
	if !l.EndTime.IsZero() {
		out = append(out, entry(l.EndTime, before, l.State, l.EndActor, l.EndCause))
	}
	return out
}
