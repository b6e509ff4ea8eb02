package rpc

import (
	"context"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/app"
)

// QueryRepayChannels implements BillService.
func (s *BillServer) QueryRepayChannels(ctx context.Context, req *billv1.QueryRepayChannelsRequest) (*billv1.QueryRepayChannelsResponse, error) {
	bills, err := parseIDs("bill_ids", ids.Bill, req.GetBillIds())
	if err != nil {
		return nil, err
	}
	list, err := s.App.QueryRepayChannels(ctx, caller.FromContext(ctx).UserID, bills)
	if err != nil {
		return nil, err
	}
	resp := &billv1.QueryRepayChannelsResponse{}
	for _, c := range list {
		resp.Channels = append(resp.Channels, &billv1.RepayChannel{Code: c.Code, Name: c.Name, Enabled: true})
	}
	return resp, nil
}

// RepayBills implements BillService.
func (s *BillServer) RepayBills(ctx context.Context, req *billv1.RepayBillsRequest) (*billv1.RepayBillsResponse, error) {
	ask := app.Repay{Channel: req.GetChannel()}
	var err error
	if ask.BillIDs, err = parseIDs("bill_ids", ids.Bill, req.GetBillIds()); err != nil {
		return nil, err
	}
	if ask.LoanIDs, err = parseIDs("loan_ids", ids.Loan, req.GetLoanIds()); err != nil {
		return nil, err
	}
	if req.GetAmount() != nil {
		if ask.Amount, err = parseAmount("amount", req.GetAmount()); err != nil {
			return nil, err
		}
		if !ask.Amount.IsPositive() {
			return nil, invalid("amount.amount_minor", nil, "the amount must be above zero")
		}
	}
	who := caller.FromContext(ctx)
	b, err := s.App.RepayBills(ctx, who.UserID, who.String(), req.GetRequestId(), ask)
	if err != nil {
		return nil, err
	}
	return &billv1.RepayBillsResponse{RepaymentId: ids.Format(ids.Repayment, b.Repayment.ID), RedirectUrl: b.RedirectURL, Amount: moneyOf(b.Repayment.Amount)}, nil
}

// QueryRepayment implements BillService.
func (s *BillServer) QueryRepayment(ctx context.Context, req *billv1.QueryRepaymentRequest) (*billv1.QueryRepaymentResponse, error) {
	id, err := parseID("repayment_id", ids.Repayment, req.GetRepaymentId())
	if err != nil {
		return nil, err
	}
	b, allocations, err := s.App.QueryRepayment(ctx, caller.FromContext(ctx).UserID, id)
	if err != nil {
		return nil, err
	}
	m := allocatedOf(b.Repayment, allocations)
	m.RedirectUrl = b.RedirectURL
	return &billv1.QueryRepaymentResponse{Repayment: m}, nil
}

// allocatedOf is a repayment with where its money went.
func allocatedOf(r app.Repayment, allocations []app.RepaymentAllocation) *billv1.Repayment {
	m := repaymentOf(r)
	for _, a := range allocations {
		piece := &billv1.RepaymentAllocation{Sequence: int32(a.Sequence), Part: a.Part.String(), Amount: moneyOf(a.Amount)}
		if !a.LoanID.IsZero() {
			piece.LoanId = ids.Format(ids.Loan, a.LoanID)
		}
		m.Allocations = append(m.Allocations, piece)
	}
	return m
}

// QuoteEarlySettlement implements BillService.
func (s *BillServer) QuoteEarlySettlement(ctx context.Context, req *billv1.QuoteEarlySettlementRequest) (*billv1.QuoteEarlySettlementResponse, error) {
	id, err := parseID("loan_id", ids.Loan, req.GetLoanId())
	if err != nil {
		return nil, err
	}
	q, err := s.App.QuoteEarlySettlement(ctx, caller.FromContext(ctx).UserID, id)
	if err != nil {
		return nil, err
	}
	return &billv1.QuoteEarlySettlementResponse{Amount: moneyOf(q.Amount), SavedInterest: moneyOf(q.SavedInterest)}, nil
}

// SettleEarly implements BillService.
func (s *BillServer) SettleEarly(ctx context.Context, req *billv1.SettleEarlyRequest) (*billv1.SettleEarlyResponse, error) {
	id, err := parseID("loan_id", ids.Loan, req.GetLoanId())
	if err != nil {
		return nil, err
	}
	who := caller.FromContext(ctx)
	b, err := s.App.SettleEarly(ctx, who.UserID, who.String(), req.GetRequestId(), id, req.GetChannel())
	if err != nil {
		return nil, err
	}
	return &billv1.SettleEarlyResponse{RepaymentId: ids.Format(ids.Repayment, b.Repayment.ID), RedirectUrl: b.RedirectURL}, nil
}

func repaymentOf(r app.Repayment) *billv1.Repayment {
	return &billv1.Repayment{
		RepaymentId: ids.Format(ids.Repayment, r.ID), State: billv1.RepaymentState(r.State), Amount: moneyOf(r.Amount), Channel: r.Channel,
		CreateTime: timeOf(r.CreateTime), PayTime: timeOf(r.PayTime),
	}
}
