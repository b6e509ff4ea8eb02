package rpc

import (
	"context"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
	"github.com/creditpay/creditpay/services/order/internal/wire"
)

// Internal serves creditpay.order.v1.OrderInternalService.
type Internal struct {
	// A missing method fails the build.
	orderv1.UnsafeOrderInternalServiceServer
	verbs *app.App
}

// NewInternal makes a server.
func NewInternal(verbs *app.App) *Internal { return &Internal{verbs: verbs} }

// GetCheckout reads a checkout as a payment needs it.
func (s *Internal) GetCheckout(ctx context.Context, req *orderv1.GetCheckoutRequest) (*orderv1.GetCheckoutResponse, error) {
	id, err := wire.ID(ids.Checkout, "checkout_id", req.GetCheckoutId())
	if err != nil {
		return nil, err
	}
	c, err := s.verbs.GetCheckout(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &orderv1.GetCheckoutResponse{
		CheckoutId: ids.Format(ids.Checkout, c.ID), UserId: c.UserID, Business: c.Business, State: orderv1.CheckoutState(c.State),
		PayableAmount: wire.Money(c.Payable()), ExpireTime: wire.Time(c.ExpireTime),
	}
	for _, o := range c.Orders {
		out.Orders = append(out.Orders, payable(o))
	}
	return out, nil
}

func payable(o domain.Order) *orderv1.PayableOrder {
	return &orderv1.PayableOrder{
		OrderId: ids.Format(ids.Order, o.ID), PaymentId: ids.Format(ids.Payment, o.PaymentID), MerchantId: o.MerchantID,
		State: orderv1.OrderState(o.State), Amount: wire.Money(o.Amount),
	}
}

// BeginCommit takes a checkout for a commit.
func (s *Internal) BeginCommit(ctx context.Context, req *orderv1.BeginCommitRequest) (*orderv1.BeginCommitResponse, error) {
	checkout, commit, err := readCommit(req.GetCheckoutId(), req.GetCommitId())
	if err != nil {
		return nil, err
	}
	begin := domain.Commit{ID: commit, UserID: req.GetUserId()}
	if req.GetExpectedAmount() != nil {
		if begin.Expected, err = wire.Amount(req.GetExpectedAmount()); err != nil {
			return nil, err
		}
		if !begin.Expected.IsPositive() {
			return nil, errs.InvalidArgument.New("expected_amount must be above zero").With("field", "expected_amount")
		}
	}
	c, err := s.verbs.BeginCommit(ctx, checkout, begin, caller.FromContext(ctx).String())
	if err != nil {
		return nil, err
	}
	out := &orderv1.BeginCommitResponse{Business: c.Business}
	for _, o := range c.Orders {
		if o.CommitID == commit {
			out.Orders = append(out.Orders, payable(o))
		}
	}
	return out, nil
}

// AbortCommit gives a checkout back.
func (s *Internal) AbortCommit(ctx context.Context, req *orderv1.AbortCommitRequest) (*orderv1.AbortCommitResponse, error) {
	checkout, commit, err := readCommit(req.GetCheckoutId(), req.GetCommitId())
	if err != nil {
		return nil, err
	}
	err = s.verbs.AbortCommit(ctx, app.Abort{CheckoutID: checkout, CommitID: commit, Reason: req.GetReason(), Actor: caller.FromContext(ctx).String()})
	if err != nil {
		return nil, err
	}
	return &orderv1.AbortCommitResponse{}, nil
}

// BatchGetOrders gives orders in brief, and where the marketplace wants to be told of them.
func (s *Internal) BatchGetOrders(ctx context.Context, req *orderv1.BatchGetOrdersRequest) (*orderv1.BatchGetOrdersResponse, error) {
	list := make([]ids.ID, len(req.GetOrderIds()))
	for i, text := range req.GetOrderIds() {
		var err error
		if list[i], err = wire.ID(ids.Order, "order_ids", text); err != nil {
			return nil, err
		}
	}
	orders, err := s.verbs.Store.Orders(ctx, list)
	if err != nil {
		return nil, err
	}
	out := &orderv1.BatchGetOrdersResponse{NotifyUrls: map[string]string{}}
	for _, o := range orders {
		m := brief(o)
		out.Orders = append(out.Orders, m)
		if o.NotifyURL != "" {
			out.NotifyUrls[m.GetOrderId()] = o.NotifyURL
		}
	}
	return out, nil
}

func readCommit(checkoutText, commitText string) (checkout, commit ids.ID, err error) {
	if checkout, err = wire.ID(ids.Checkout, "checkout_id", checkoutText); err != nil {
		return checkout, commit, err
	}
	commit, err = wire.ID(ids.Commit, "commit_id", commitText)
	return checkout, commit, err
}
