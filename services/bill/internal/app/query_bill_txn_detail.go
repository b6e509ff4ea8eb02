package app

import (
	"context"
	"slices"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// EntryDetail is an entry or a bill with what is behind it.
type EntryDetail struct {
	Entries []Entry
	// Loans are those of the entries; of a repayment's entry those that it paid.
	Loans []UserLoan
	// Contracts are the numbers of the contracts that the loans rest on, each once.
	Contracts []string
	// Repayments are those that paid something of the entries, with all that they paid.
	Repayments []AllocatedRepayment
}

// AllocatedRepayment is a repayment that arrived, with where its money went.
type AllocatedRepayment struct {
	Repayment
	Allocations []RepaymentAllocation
}

// QueryBillTxnDetail gives one entry, or all of a bill, with what is behind it. Errors: errs.NotFound, errs.AccountNotFound.
func (a *App) QueryBillTxnDetail(ctx context.Context, userID, entryID string, billID ids.ID) (EntryDetail, error) {
	all, standing, err := a.entries(ctx, userID)
	if err != nil {
		return EntryDetail{}, err
	}
	var d EntryDetail
	for _, e := range all {
		if (entryID != "" && e.ID == entryID) || (entryID == "" && !billID.IsZero() && e.BillID == billID) {
			d.Entries = append(d.Entries, e)
		}
	}
	if len(d.Entries) == 0 {
		return d, errs.NotFound.New("no such entry or bill")
	}
	repayments, err := a.store.RepaymentsOfUser(ctx, userID)
	if err != nil {
		return d, err
	}
	positions := make([]domain.LoanPosition, len(standing.Loans))
	for i, l := range standing.Loans {
		positions[i] = domain.LoanPosition{LoanID: l.ID, Position: l.Position}
	}
	behind := map[ids.ID]bool{}
	for _, e := range d.Entries {
		behind[e.LoanID] = true
	}
	for _, r := range repayments {
		paid := AllocatedRepayment{Repayment: r, Allocations: r.allocated(positions)}
		if r.State != domain.RepaymentSucceeded || !slices.ContainsFunc(d.Entries, paid.of) {
			continue
		}
		d.Repayments = append(d.Repayments, paid)
		if d.Entries[0].Kind == EntryRepayment {
			for _, piece := range paid.Allocations {
				behind[piece.LoanID] = true
			}
		}
	}
	var orders []ids.ID
	for _, l := range standing.Loans {
		if behind[l.ID] {
			d.Loans = append(d.Loans, l)
			orders = append(orders, l.OrderID)
		}
	}
	contracts, err := a.store.ContractsOfOrders(ctx, orders, userID)
	if err != nil {
		return d, err
	}
	for _, c := range contracts {
		if !slices.Contains(d.Contracts, c.Number) {
			d.Contracts = append(d.Contracts, c.Number)
		}
	}
	return d, nil
}

// of reports whether an entry is the repayment's own, or of something that it paid.
func (r AllocatedRepayment) of(e Entry) bool {
	switch e.Kind {
	case EntryRepayment:
		return e.ID == ids.Format(ids.Repayment, r.ID)
	case EntryPurchase, EntryInstalment, EntryFee:
		return slices.ContainsFunc(r.Allocations, func(piece RepaymentAllocation) bool {
			return piece.LoanID == e.LoanID && (e.Sequence == 0 || piece.Sequence == e.Sequence)
		})
	default:
		return false
	}
}
