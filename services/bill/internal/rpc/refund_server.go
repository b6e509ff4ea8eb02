package rpc

import (
	"context"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// AdjustForRefund implements BillInternalService.
func (s *InternalServer) AdjustForRefund(ctx context.Context, req *billv1.AdjustForRefundRequest) (*billv1.AdjustForRefundResponse, error) {
	refund, err := parseID("refund_id", ids.Refund, req.GetRefundId())
	if err != nil {
		return nil, err
	}
	order, err := parseID("order_id", ids.Order, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	amount, err := parseAmount("amount", req.GetAmount())
	if err != nil {
		return nil, err
	}
	adj, err := s.App.AdjustForRefund(ctx, app.RefundRequest{RefundID: refund, OrderID: order, Amount: amount, Expected: req.GetExpectedFingerprint(),
		Actor: caller.FromContext(ctx).String()})
	if err != nil {
		return nil, err
	}
	return &billv1.AdjustForRefundResponse{CashAmount: moneyOf(adj.Cash), Adjustment: adjustmentOf(adj)}, nil
}

// PreviewRefundAdjustment implements BillInternalService.
func (s *InternalServer) PreviewRefundAdjustment(
	ctx context.Context, req *billv1.PreviewRefundAdjustmentRequest,
) (*billv1.PreviewRefundAdjustmentResponse, error) {
	order, err := parseID("order_id", ids.Order, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	amount, err := parseAmount("amount", req.GetAmount())
	if err != nil {
		return nil, err
	}
	adj, err := s.App.PreviewRefundAdjustment(ctx, order, amount)
	if err != nil {
		return nil, err
	}
	return &billv1.PreviewRefundAdjustmentResponse{Adjustment: adjustmentOf(adj)}, nil
}

// KeepRefundAsCredit implements BillInternalService.
func (s *InternalServer) KeepRefundAsCredit(ctx context.Context, req *billv1.KeepRefundAsCreditRequest) (*billv1.KeepRefundAsCreditResponse, error) {
	refund, err := parseID("refund_id", ids.Refund, req.GetRefundId())
	if err != nil {
		return nil, err
	}
	repayment, err := parseID("repayment_id", ids.Repayment, req.GetRepaymentId())
	if err != nil {
		return nil, err
	}
	if err := s.App.KeepRefundAsCredit(ctx, refund, repayment, caller.FromContext(ctx).String()); err != nil {
		return nil, err
	}
	return &billv1.KeepRefundAsCreditResponse{}, nil
}

// KeepCashAsCredit implements BillInternalService.
func (s *InternalServer) KeepCashAsCredit(ctx context.Context, req *billv1.KeepCashAsCreditRequest) (*billv1.KeepCashAsCreditResponse, error) {
	reference, err := parseID("reference", ids.Leg, req.GetReference())
	if err != nil {
		return nil, err
	}
	amount, err := parseAmount("amount", req.GetAmount())
	if err != nil {
		return nil, err
	}
	if err := s.App.KeepCashAsCredit(ctx, app.KeptCash{Reference: reference, UserID: req.GetUserId(), Amount: amount}); err != nil {
		return nil, err
	}
	return &billv1.KeepCashAsCreditResponse{}, nil
}

// GetRepayment implements BillInternalService.
func (s *InternalServer) GetRepayment(ctx context.Context, req *billv1.GetRepaymentRequest) (*billv1.GetRepaymentResponse, error) {
	id, err := parseID("repayment_id", ids.Repayment, req.GetRepaymentId())
	if err != nil {
		return nil, err
	}
	r, err := s.App.RepaymentOf(ctx, id)
	if err != nil {
		return nil, err
	}
	return &billv1.GetRepaymentResponse{UserId: r.UserID, Channel: r.Channel, Amount: moneyOf(r.Amount), State: billv1.RepaymentState(r.State)}, nil
}

// GetRefundReturn implements BillInternalService.
func (s *InternalServer) GetRefundReturn(ctx context.Context, req *billv1.GetRefundReturnRequest) (*billv1.GetRefundReturnResponse, error) {
	refund, err := parseID("refund_id", ids.Refund, req.GetRefundId())
	if err != nil {
		return nil, err
	}
	repayment, err := parseID("repayment_id", ids.Repayment, req.GetRepaymentId())
	if err != nil {
		return nil, err
	}
	source, err := s.App.RefundSource(ctx, refund, repayment)
	if err != nil {
		return nil, err
	}
	return &billv1.GetRefundReturnResponse{Amount: moneyOf(source.Amount), Kept: !source.KeepTime.IsZero()}, nil
}

// adjustmentOf is the message of an adjustment. A loan of which nothing is left has no plan.
func adjustmentOf(a domain.RefundAdjustment) *billv1.RefundAdjustment {
	out := &billv1.RefundAdjustment{
		PrincipalReleased: moneyOf(a.Released.Principal), InterestReleased: moneyOf(a.Released.Interest), FeeReleased: moneyOf(a.Released.Fee),
		CashAmount: moneyOf(a.Cash), CreditBalanceAmount: moneyOf(a.Credit), LimitFreed: moneyOf(a.LimitFreed), LoanState: a.State.String(),
		Fingerprint: a.Fingerprint(),
	}
	for _, r := range a.Sources {
		out.Sources = append(out.Sources, &billv1.RepaymentReturn{RepaymentId: ids.Format(ids.Repayment, r.RepaymentID), Amount: moneyOf(r.Amount)})
	}
	if len(a.Plan.Instalments) > 0 {
		out.PlanAfter = planOf(a.Plan)
	}
	for _, c := range a.Instalments {
		out.Instalments = append(out.Instalments, &billv1.InstalmentChange{
			Sequence: int32(c.Sequence), DueDate: c.DueDate.String(), OpenBefore: moneyOf(c.Before), OpenAfter: moneyOf(c.After),
		})
	}
	return out
}
