package peer

import (
	"context"

	"google.golang.org/grpc"

	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/wire"
)

// Refund asks the refund service.
type Refund struct {
	client refundv1.RefundInternalServiceClient
}

// NewRefund makes a client on a connection of package rpckit, whose errors are the suite's own.
func NewRefund(conn grpc.ClientConnInterface) *Refund {
	return &Refund{client: refundv1.NewRefundInternalServiceClient(conn)}
}

// Refunds gives the refunds of an order, oldest first, with what happened to them.
func (r *Refund) Refunds(ctx context.Context, order ids.ID) (app.Refunds, error) {
	res, err := r.client.GetOrderRefunds(ctx, &refundv1.GetOrderRefundsRequest{OrderId: ids.Format(ids.Order, order)})
	if err != nil {
		return app.Refunds{}, err
	}
	var out app.Refunds
	for _, one := range res.GetRefunds() {
		out.IDs = append(out.IDs, one.GetRefundId())
		for _, t := range one.GetTimeline() {
			out.Timeline = append(out.Timeline, app.TimelineEntry{Time: wire.ReadTime(t.GetTime()), Service: t.GetService(), ObjectID: t.GetObjectId(),
				From: t.GetFromState(), To: t.GetToState(), Actor: t.GetActor(), Cause: t.GetCause()})
		}
	}
	return out, nil
}
