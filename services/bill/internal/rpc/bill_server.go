package rpc

import (
	"context"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/services/bill/internal/app"
)

// BillServer is BillService.
type BillServer struct {
	billv1.UnsafeBillServiceServer
	App *app.App
}

// QueryUserInstalmentInfo implements BillService: a quote for one purchase that is no order yet.
func (s *BillServer) QueryUserInstalmentInfo(ctx context.Context, req *billv1.QueryUserInstalmentInfoRequest) (*billv1.QueryUserInstalmentInfoResponse, error) {
	amount, err := parseAmount("amount", req.GetAmount())
	if err != nil {
		return nil, err
	}
	if !amount.IsPositive() {
		return nil, invalid("amount.amount_minor", nil, "the amount must be above zero")
	}
	if err := caller.FromContext(ctx).CheckUser("user_id", req.GetUserId()); err != nil {
		return nil, err
	}
	q, err := s.App.QuotePlans(ctx, app.QuoteRequest{
		UserID: req.GetUserId(), Business: req.GetBusiness(), Orders: []app.FinancedOrder{{Amount: amount}},
	})
	if err != nil {
		return nil, err
	}
	resp := &billv1.QueryUserInstalmentInfoResponse{Allowed: q.Refusal == nil, Reason: reasonOf(q.Refusal)}
	if q.HasAccount {
		resp.Credit = summaryOf(q.Account)
	}
	for _, o := range q.Offers {
		resp.Plans = append(resp.Plans, planOf(o.Total))
	}
	return resp, nil
}
