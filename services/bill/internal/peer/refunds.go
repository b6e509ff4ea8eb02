package peer

import (
	"context"

	"google.golang.org/grpc"

	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/app"
)

// Refunds is the refund service.
type Refunds struct {
	client refundv1.RefundInternalServiceClient
}

// NewRefunds makes a client.
func NewRefunds(conn grpc.ClientConnInterface) *Refunds {
	return &Refunds{client: refundv1.NewRefundInternalServiceClient(conn)}
}

var _ app.Refunds = (*Refunds)(nil)

// RefundParts is a refund as the refund service knows it.
func (p *Refunds) RefundParts(ctx context.Context, refundID ids.ID) (app.RefundParts, error) {
	res, err := p.client.GetRefundParts(ctx, &refundv1.GetRefundPartsRequest{RefundId: ids.Format(ids.Refund, refundID)})
	if err != nil {
		return app.RefundParts{}, err
	}
	r := &reader{}
	out := app.RefundParts{Credit: r.amount(res.GetCreditAmount()), Expected: res.GetExpectedFingerprint(),
		Adjusting: res.GetState() == refundv1.RefundState_REFUND_STATE_EXECUTING && res.GetStep() == refundv1.RefundStep_REFUND_STEP_ADJUST}
	if r.err != nil {
		return out, errs.Internal.Wrap(r.err, "the refund service gave an amount that cannot be read")
	}
	if out.OrderID, err = ids.Parse(ids.Order, res.GetOrderId()); err != nil {
		return out, errs.Internal.Wrap(err, "the refund service gave a malformed id")
	}
	return out, nil
}
