package rpc

import (
	"context"

	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/refund/internal/app"
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
