package rpc

import (
	"context"

	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
	"github.com/creditpay/creditpay/services/payment/internal/wire"
)

// cashReturn gives a return in the contract's form; nil for none.
func cashReturn(b *app.CashBack) *paymentv1.CashReturn {
	if b == nil {
		return nil
	}
	return wire.CashReturn(b.Return, b.Leg)
}

// RefundOrderPayment takes a refund out of an order's payment.
func (s *Internal) RefundOrderPayment(ctx context.Context, req *paymentv1.RefundOrderPaymentRequest) (*paymentv1.RefundOrderPaymentResponse, error) {
	ask := app.RefundAsk{RefundID: req.GetRefundId(), OrderID: req.GetOrderId()}
	var err error
	if ask.Credit, err = wire.Amount(req.GetCreditAmount()); err != nil {
		return nil, err
	}
	if ask.Cash, err = wire.Amount(req.GetCashAmount()); err != nil {
		return nil, err
	}
	back, err := s.App.RefundOrderPayment(ctx, ask)
	if err != nil {
		return nil, err
	}
	return &paymentv1.RefundOrderPaymentResponse{CashReturn: cashReturn(back)}, nil
}

// ReturnRepayment gives a part of a repayment back.
func (s *Internal) ReturnRepayment(ctx context.Context, req *paymentv1.ReturnRepaymentRequest) (*paymentv1.ReturnRepaymentResponse, error) {
	amount, err := wire.Amount(req.GetAmount())
	if err != nil {
		return nil, err
	}
	back, err := s.App.ReturnRepayment(ctx, app.RepaymentReturn{RefundID: req.GetRefundId(), RepaymentID: req.GetRepaymentId(), Amount: amount})
	if err != nil {
		return nil, err
	}
	return &paymentv1.ReturnRepaymentResponse{CashReturn: cashReturn(back)}, nil
}

// GetCashReturns gives the returns of a refund.
func (s *Internal) GetCashReturns(ctx context.Context, req *paymentv1.GetCashReturnsRequest) (*paymentv1.GetCashReturnsResponse, error) {
	backs, err := s.App.CashReturns(ctx, req.GetRefundId())
	if err != nil {
		return nil, err
	}
	res := &paymentv1.GetCashReturnsResponse{}
	for _, b := range backs {
		res.CashReturns = append(res.CashReturns, cashReturn(&b))
	}
	return res, nil
}

// GetCashReturn returns a return by its reference.
func (s *Internal) GetCashReturn(ctx context.Context, req *paymentv1.GetCashReturnRequest) (*paymentv1.GetCashReturnResponse, error) {
	b, err := s.App.CashReturn(ctx, req.GetReference())
	if err != nil {
		return nil, err
	}
	return &paymentv1.GetCashReturnResponse{CashReturn: cashReturn(&b), UserId: b.Leg.UserID, Kind: paymentv1.ExternalLegKind(b.Leg.Kind)}, nil
}

// GetRepaymentReturn returns what became of a part of a repayment that a refund gives back.
func (s *Internal) GetRepaymentReturn(ctx context.Context, req *paymentv1.GetRepaymentReturnRequest) (*paymentv1.GetRepaymentReturnResponse, error) {
	b, left, err := s.App.RepaymentReturn(ctx, req.GetRefundId(), req.GetRepaymentId())
	if err != nil {
		return nil, err
	}
	res := &paymentv1.GetRepaymentReturnResponse{CashReturn: cashReturn(b)}
	if left != nil {
		res.LeftAmount = wire.Money(*left)
	}
	return res, nil
}

// RetryCashReturn asks the marketplace once more.
func (s *Internal) RetryCashReturn(ctx context.Context, req *paymentv1.RetryCashReturnRequest) (*paymentv1.RetryCashReturnResponse, error) {
	b, err := s.App.RetryCashReturn(ctx, req.GetReference())
	if err != nil {
		return nil, err
	}
	return &paymentv1.RetryCashReturnResponse{CashReturn: cashReturn(&b)}, nil
}

// ResolveCashReturn ends a return that failed.
func (s *Internal) ResolveCashReturn(ctx context.Context, req *paymentv1.ResolveCashReturnRequest) (*paymentv1.ResolveCashReturnResponse, error) {
	b, err := s.App.ResolveCashReturn(ctx, req.GetReference(), ruling(req.GetGivenBack(), req.GetActor(), req.GetEvidence()))
	if err != nil {
		return nil, err
	}
	return &paymentv1.ResolveCashReturnResponse{CashReturn: cashReturn(&b)}, nil
}

// ruling is an operator's word about a return.
func ruling(givenBack bool, actor, evidence string) domain.Ruling {
	by := domain.Ruling{Resolution: domain.ResolvedAbandoned, Actor: actor, Evidence: evidence}
	if givenBack {
		by.Resolution = domain.ResolvedElsewhere
	}
	return by
}
