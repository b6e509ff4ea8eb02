package rpc

import (
	"context"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/app"
)

// InternalServer is BillInternalService.
type InternalServer struct {
	billv1.UnsafeBillInternalServiceServer
	App *app.App
}

// QuotePlans implements BillInternalService.
func (s *InternalServer) QuotePlans(ctx context.Context, req *billv1.QuotePlansRequest) (*billv1.QuotePlansResponse, error) {
	orders, err := parseOrders(req.GetOrders())
	if err != nil {
		return nil, err
	}
	q, err := s.App.QuotePlans(ctx, app.QuoteRequest{
		UserID: req.GetUserId(), Business: req.GetBusiness(), Orders: orders, TenorMonths: int(req.GetTenorMonths()), ProductCode: req.GetProductCode(),
		ProductVersion: int(req.GetProductVersion()),
	})
	if err != nil {
		return nil, err
	}
	resp := &billv1.QuotePlansResponse{Allowed: q.Refusal == nil, Reason: reasonOf(q.Refusal)}
	if q.HasAccount {
		resp.Credit = summaryOf(q.Account)
	}
	if q.MustSign {
		resp.RequiredActions = append(resp.RequiredActions, commonv1.RequiredAction_REQUIRED_ACTION_ESIGN)
	}
	for _, o := range q.Offers {
		offer := &billv1.PlanOffer{Total: planOf(o.Total)}
		for _, p := range o.PerOrder {
			offer.PerOrder = append(offer.PerOrder, planOf(p))
		}
		resp.Offers = append(resp.Offers, offer)
	}
	return resp, nil
}

// ReserveCredit implements BillInternalService.
func (s *InternalServer) ReserveCredit(ctx context.Context, req *billv1.ReserveCreditRequest) (*billv1.ReserveCreditResponse, error) {
	commit, err := parseID("commit_id", ids.Commit, req.GetCommitId())
	if err != nil {
		return nil, err
	}
	orders, err := parseOrders(req.GetOrders())
	if err != nil {
		return nil, err
	}
	var agreed money.Amount
	if req.GetAgreedTotal() != nil {
		if agreed, err = parseAmount("agreed_total", req.GetAgreedTotal()); err != nil {
			return nil, err
		}
		if !agreed.IsPositive() {
			return nil, invalid("agreed_total.amount_minor", errs.InvalidArgument.New("not above zero"), "give an amount above zero")
		}
	}
	loans, err := s.App.ReserveCredit(ctx, app.ReserveRequest{
		AgreedTotal: agreed,
		CommitID:    commit, UserID: req.GetUserId(), Business: req.GetBusiness(), Orders: orders,
		ProductCode: req.GetProductCode(), ProductVersion: int(req.GetProductVersion()), TenorMonths: int(req.GetTenorMonths()),
		Actor: caller.FromContext(ctx).String(),
	})
	if err != nil {
		return nil, err
	}
	resp := &billv1.ReserveCreditResponse{}
	for _, l := range loans {
		resp.Loans = append(resp.Loans, &billv1.ReservedLoan{
			LoanId: ids.Format(ids.Loan, l.LoanID), OrderId: ids.Format(ids.Order, l.OrderID), DownPayment: moneyOf(l.DownPayment),
		})
	}
	return resp, nil
}

// ReleaseCredit implements BillInternalService.
func (s *InternalServer) ReleaseCredit(ctx context.Context, req *billv1.ReleaseCreditRequest) (*billv1.ReleaseCreditResponse, error) {
	commit, err := parseID("commit_id", ids.Commit, req.GetCommitId())
	if err != nil {
		return nil, err
	}
	orders, err := parseIDs("order_ids", ids.Order, req.GetOrderIds())
	if err != nil {
		return nil, err
	}
	release := app.ReleaseRequest{CommitID: commit, OrderIDs: orders, Reason: req.GetReason(), Actor: caller.FromContext(ctx).String()}
	if err := s.App.ReleaseCredit(ctx, release); err != nil {
		return nil, err
	}
	return &billv1.ReleaseCreditResponse{}, nil
}

// BatchGetLoans implements BillInternalService.
func (s *InternalServer) BatchGetLoans(ctx context.Context, req *billv1.BatchGetLoansRequest) (*billv1.BatchGetLoansResponse, error) {
	orders, err := parseIDs("order_ids", ids.Order, req.GetOrderIds())
	if err != nil {
		return nil, err
	}
	loans, timeline, err := s.App.BatchGetLoans(ctx, orders)
	if err != nil {
		return nil, err
	}
	resp := &billv1.BatchGetLoansResponse{}
	for _, l := range loans {
		resp.Loans = append(resp.Loans, loanOf(l))
	}
	for _, e := range timeline {
		resp.Timeline = append(resp.Timeline, &commonv1.TimelineEntry{
			Time: timeOf(e.Time), Service: "bill", ObjectId: ids.Format(ids.Loan, e.LoanID),
			FromState: e.From, ToState: e.To, Actor: e.Actor, Cause: e.Cause,
		})
	}
	return resp, nil
}
