package rpc

import (
	"context"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/errs"

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

// QueryBusinessList implements BillService.
func (s *BillServer) QueryBusinessList(context.Context, *billv1.QueryBusinessListRequest) (*billv1.QueryBusinessListResponse, error) {
	return nil, noBills()
}

// QueryBillTxnList implements BillService.
func (s *BillServer) QueryBillTxnList(context.Context, *billv1.QueryBillTxnListRequest) (*billv1.QueryBillTxnListResponse, error) {
	return nil, noBills()
}

// QueryBillTxnDetail implements BillService.
func (s *BillServer) QueryBillTxnDetail(context.Context, *billv1.QueryBillTxnDetailRequest) (*billv1.QueryBillTxnDetailResponse, error) {
	return nil, noBills()
}

// QueryRepayChannels implements BillService.
func (s *BillServer) QueryRepayChannels(context.Context, *billv1.QueryRepayChannelsRequest) (*billv1.QueryRepayChannelsResponse, error) {
	return nil, noRepayments()
}

// RepayBills implements BillService.
func (s *BillServer) RepayBills(context.Context, *billv1.RepayBillsRequest) (*billv1.RepayBillsResponse, error) {
	return nil, noRepayments()
}

// QuoteEarlySettlement implements BillService.
func (s *BillServer) QuoteEarlySettlement(context.Context, *billv1.QuoteEarlySettlementRequest) (*billv1.QuoteEarlySettlementResponse, error) {
	return nil, noSettlements()
}

// SettleEarly implements BillService.
func (s *BillServer) SettleEarly(context.Context, *billv1.SettleEarlyRequest) (*billv1.SettleEarlyResponse, error) {
	return nil, noSettlements()
}

func noBills() error { return errs.NotYetAvailable.New("bills are not made yet") }

func noRepayments() error { return errs.NotYetAvailable.New("repayments are not taken yet") }

func noSettlements() error {
	return errs.NotYetAvailable.New("loans cannot be settled early yet")
}

// QueryBills implements BillService.
func (s *BillServer) QueryBills(context.Context, *billv1.QueryBillsRequest) (*billv1.QueryBillsResponse, error) {
	return nil, errs.NotYetAvailable.New("bills are not made yet")
}

// QueryRepayment implements BillService.
func (s *BillServer) QueryRepayment(context.Context, *billv1.QueryRepaymentRequest) (*billv1.QueryRepaymentResponse, error) {
	return nil, errs.NotYetAvailable.New("bills cannot be repaid yet")
}
