package rpc

import (
	"context"

	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/enum"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
	"github.com/creditpay/creditpay/services/payment/internal/wire"
)

// QueryDownPayResult gives the cash leg of a payment.
func (s *Payment) QueryDownPayResult(ctx context.Context, req *paymentv1.QueryDownPayResultRequest) (*paymentv1.QueryDownPayResultResponse, error) {
	down, err := s.App.QueryDownPayResult(ctx, caller.FromContext(ctx), req.GetOrderId(), req.GetPaymentId())
	if err != nil || down == nil {
		return &paymentv1.QueryDownPayResultResponse{}, err
	}
	return &paymentv1.QueryDownPayResultResponse{Leg: wire.Leg(down.PaymentID, down.Leg)}, nil
}

// NotifyPaymentStatus takes what the marketplace tells of a cash leg.
func (s *Payment) NotifyPaymentStatus(ctx context.Context, req *paymentv1.NotifyPaymentStatusRequest) (*paymentv1.NotifyPaymentStatusResponse, error) {
	n := app.CashNotice{Reference: req.GetExternalReference(), Kind: enum.Of[domain.CashKind](req.GetLeg()), Status: enum.Of[domain.CashStatus](req.GetStatus()),
		Minor: req.GetAmount().GetAmountMinor(), Currency: req.GetAmount().GetCurrencyCode()}
	if t := req.GetPayTime(); t != nil {
		n.PayTime = t.AsTime()
	}
	state, err := s.App.NotifyPaymentStatus(ctx, caller.FromContext(ctx), req.GetRequestId(), n)
	if err != nil {
		return nil, err
	}
	return &paymentv1.NotifyPaymentStatusResponse{State: paymentv1.LegState(state)}, nil
}

func (s *Internal) leg(l domain.CashLeg) *paymentv1.CashLeg {
	return wire.CashLeg(l, s.App.Cashier.Link(l))
}

// OpenCashLeg opens the leg of a repayment.
func (s *Internal) OpenCashLeg(ctx context.Context, req *paymentv1.OpenCashLegRequest) (*paymentv1.OpenCashLegResponse, error) {
	amount, err := wire.Amount(req.GetAmount())
	if err != nil {
		return nil, err
	}
	leg, err := s.App.OpenCashLeg(ctx, app.CashAsk{Kind: enum.Of[domain.CashKind](req.GetKind()), SubjectID: req.GetSubjectId(), UserID: req.GetUserId(),
		Channel: req.GetChannel(), Amount: amount})
	if err != nil {
		return nil, err
	}
	return &paymentv1.OpenCashLegResponse{Leg: s.leg(leg)}, nil
}

// GetCashLeg gives a leg by what it pays, or by its own reference.
func (s *Internal) GetCashLeg(ctx context.Context, req *paymentv1.GetCashLegRequest) (*paymentv1.GetCashLegResponse, error) {
	leg, err := s.App.CashLeg(ctx, req.GetSubjectId())
	if err != nil {
		return nil, err
	}
	return &paymentv1.GetCashLegResponse{Leg: s.leg(leg)}, nil
}

// ListCashChannels gives the channels that can collect now.
func (s *Internal) ListCashChannels(context.Context, *paymentv1.ListCashChannelsRequest) (*paymentv1.ListCashChannelsResponse, error) {
	res := &paymentv1.ListCashChannelsResponse{}
	for _, c := range s.App.ListCashChannels() {
		res.Channels = append(res.Channels, &paymentv1.CashChannel{Code: c.Code, Name: c.Name})
	}
	return res, nil
}
