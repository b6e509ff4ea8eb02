package peer

import (
	"context"

	"google.golang.org/grpc"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/wire"
)

// CashDesk is the payment service as far as it has cash collected.
type CashDesk struct {
	client paymentv1.PaymentInternalServiceClient
}

// NewCashDesk makes a client.
func NewCashDesk(conn grpc.ClientConnInterface) *CashDesk {
	return &CashDesk{client: paymentv1.NewPaymentInternalServiceClient(conn)}
}

var _ app.CashDesk = (*CashDesk)(nil)

// OpenCashLeg has money collected for a repayment.
func (p *CashDesk) OpenCashLeg(ctx context.Context, r app.Repayment) (app.CashLeg, error) {
	res, err := p.client.OpenCashLeg(ctx, &paymentv1.OpenCashLegRequest{
		Kind: paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_REPAYMENT, SubjectId: ids.Format(ids.Repayment, r.ID), UserId: r.UserID, Channel: r.Channel,
		Amount: &commonv1.Money{AmountMinor: new(r.Amount.Minor()), CurrencyCode: r.Amount.Currency().Code()},
	})
	if err != nil {
		return app.CashLeg{}, err
	}
	return wire.Leg(res.GetLeg()), nil
}

// CashLeg is the leg of a repayment.
func (p *CashDesk) CashLeg(ctx context.Context, repaymentID ids.ID) (app.CashLeg, error) {
	res, err := p.client.GetCashLeg(ctx, &paymentv1.GetCashLegRequest{SubjectId: ids.Format(ids.Repayment, repaymentID)})
	if err != nil {
		return app.CashLeg{}, err
	}
	return wire.Leg(res.GetLeg()), nil
}

// CashChannels are the channels that can collect now.
func (p *CashDesk) CashChannels(ctx context.Context) ([]app.CashChannel, error) {
	res, err := p.client.ListCashChannels(ctx, &paymentv1.ListCashChannelsRequest{})
	if err != nil {
		return nil, err
	}
	out := make([]app.CashChannel, len(res.GetChannels()))
	for i, c := range res.GetChannels() {
		out[i] = app.CashChannel{Code: c.GetCode(), Name: c.GetName()}
	}
	return out, nil
}

// CashReturn is a return as the payment service knows it.
func (p *CashDesk) CashReturn(ctx context.Context, reference ids.ID) (app.CashReturn, error) {
	res, err := p.client.GetCashReturn(ctx, &paymentv1.GetCashReturnRequest{Reference: ids.Format(ids.Leg, reference)})
	if err != nil {
		return app.CashReturn{}, err
	}
	r := &reader{}
	out := app.CashReturn{
		UserID: res.GetUserId(), Amount: r.amount(res.GetCashReturn().GetAmount()),
		OfDownPayment: res.GetKind() == paymentv1.ExternalLegKind_EXTERNAL_LEG_KIND_DOWN_PAYMENT,
		Abandoned:     res.GetCashReturn().GetState() == paymentv1.CashReturnState_CASH_RETURN_STATE_ABANDONED,
	}
	if r.err != nil {
		return out, errs.Internal.Wrap(r.err, "the payment service sent an amount that cannot be read")
	}
	return out, nil
}

// RepaymentReturn is what became of a part of a repayment that a refund gives back.
func (p *CashDesk) RepaymentReturn(ctx context.Context, refundID, repaymentID ids.ID) (app.RepaymentReturn, error) {
	res, err := p.client.GetRepaymentReturn(ctx, &paymentv1.GetRepaymentReturnRequest{
		RefundId: ids.Format(ids.Refund, refundID), RepaymentId: ids.Format(ids.Repayment, repaymentID)})
	if err != nil {
		return app.RepaymentReturn{}, err
	}
	out := app.RepaymentReturn{Made: res.GetCashReturn() != nil,
		Abandoned: res.GetCashReturn().GetState() == paymentv1.CashReturnState_CASH_RETURN_STATE_ABANDONED}
	if res.GetLeftAmount() == nil {
		return out, nil
	}
	r := &reader{}
	if out.Left = r.amount(res.GetLeftAmount()); r.err != nil {
		return out, errs.Internal.Wrap(r.err, "the payment service sent an amount that cannot be read")
	}
	return out, nil
}
