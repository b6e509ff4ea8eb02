package rpc

import (
	"context"

	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/wire"
)

// Internal serves creditpay.refund.v1.RefundInternalService.
type Internal struct {
	// A missing method fails the build.
	refundv1.UnsafeRefundInternalServiceServer
	App *app.App
}

// GetOrderRefunds gives the refunds of an order, oldest first.
func (s *Internal) GetOrderRefunds(ctx context.Context, req *refundv1.GetOrderRefundsRequest) (*refundv1.GetOrderRefundsResponse, error) {
	order, err := parseID("order_id", ids.Order, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	list, err := s.App.OrderRefunds(ctx, order)
	if err != nil {
		return nil, err
	}
	out := &refundv1.GetOrderRefundsResponse{}
	for _, one := range list {
		out.Refunds = append(out.Refunds, withTimeline(one.Refund, one.Changes))
	}
	return out, nil
}

// GetRefundParts returns what a refund takes out of credit and cash, and how far it is. It holds nothing and calls nobody: bill and payment ask
// while the refund waits for them.
func (s *Internal) GetRefundParts(ctx context.Context, req *refundv1.GetRefundPartsRequest) (*refundv1.GetRefundPartsResponse, error) {
	id, err := parseID("refund_id", ids.Refund, req.GetRefundId())
	if err != nil {
		return nil, err
	}
	r, err := s.App.RefundParts(ctx, id)
	if err != nil {
		return nil, err
	}
	return &refundv1.GetRefundPartsResponse{
		OrderId: ids.Format(ids.Order, r.OrderID), CreditAmount: wire.Money(r.Share.Credit), CashAmount: wire.Money(r.Share.Cash),
		State: refundv1.RefundState(r.State), Step: refundv1.RefundStep(r.Step), ExpectedFingerprint: r.ApprovedEffect(),
	}, nil
}
