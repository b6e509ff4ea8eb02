package app

import (
	"context"
	"slices"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// PreviewRefundAdjustment is what AdjustForRefund would do now, by the same computation. It changes and locks nothing, and fails as
// AdjustForRefund does; with errs.ConcurrentChange when the loan does not stand still.
func (a *App) PreviewRefundAdjustment(ctx context.Context, orderID ids.ID, amount money.Amount) (domain.RefundAdjustment, error) {
	r := RefundRequest{RefundID: a.ids.New(), OrderID: orderID, Amount: amount}
	return again(ctx, func() (domain.RefundAdjustment, error) {
		loans, err := a.store.LoansOfOrders(ctx, []ids.ID{orderID})
		if err != nil {
			return domain.RefundAdjustment{}, err
		}
		w, refusal := a.workOut(ctx, a.store, loans, r, a.now())
		// What was read belongs together when the loans are still the same: their facts, refunds and part of the account change with them.
		after, err := a.store.LoansOfOrders(ctx, []ids.ID{orderID})
		switch {
		case err != nil:
			return domain.RefundAdjustment{}, err
		case !slices.EqualFunc(loans, after, func(x, y Loan) bool { return x.ID == y.ID && x.Version == y.Version }):
			return domain.RefundAdjustment{}, changed()
		}
		return w.adj, refusal
	})
}
