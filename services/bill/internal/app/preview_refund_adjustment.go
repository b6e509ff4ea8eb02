package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// PreviewRefundAdjustment is what AdjustForRefund would do now, by the same computation. It changes and locks nothing, and fails as
// AdjustForRefund does.
func (a *App) PreviewRefundAdjustment(ctx context.Context, orderID ids.ID, amount money.Amount) (domain.RefundAdjustment, error) {
	loans, err := a.store.LoansOfOrders(ctx, []ids.ID{orderID})
	if err != nil {
		return domain.RefundAdjustment{}, err
	}
	w, err := a.workOut(ctx, a.store, loans, RefundRequest{RefundID: a.ids.New(), OrderID: orderID, Amount: amount}, a.now())
	return w.adj, err
}
