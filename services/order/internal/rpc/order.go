// Package rpc owns the order service's gRPC servers: the contract's messages on one side, the verbs on the other, and nothing else.
//
// Access rules, validation of fields and the mapping of errors are done by the interceptors of package rpckit.
package rpc

import (
	"context"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/wire"
)

// Order serves creditpay.order.v1.OrderService.
type Order struct {
	// A missing method fails the build.
	orderv1.UnsafeOrderServiceServer
	verbs *app.App
}

// NewOrder makes a server.
func NewOrder(verbs *app.App) *Order { return &Order{verbs: verbs} }

// GeneratePayments makes a checkout.
func (s *Order) GeneratePayments(ctx context.Context, req *orderv1.GeneratePaymentsRequest) (*orderv1.GeneratePaymentsResponse, error) {
	draft, err := readDraft(req)
	if err != nil {
		return nil, err
	}
	made, err := s.verbs.GeneratePayments(ctx, app.Generate{Caller: caller.FromContext(ctx), RequestID: req.GetRequestId(), Draft: draft})
	if err != nil {
		return nil, err
	}
	out := &orderv1.Checkout{
		CheckoutId: ids.Format(ids.Checkout, made.CheckoutID), Token: s.verbs.Token(made.CheckoutID), CashierUrl: s.verbs.CashierURL(made.CheckoutID),
		ExpireTime: wire.Time(made.ExpireTime),
	}
	for _, o := range made.Orders {
		out.Orders = append(out.Orders, &orderv1.CheckoutOrder{
			OrderId: ids.Format(ids.Order, o.OrderID), PaymentId: ids.Format(ids.Payment, o.PaymentID), OutOrderNo: o.OutOrderNo,
			State: orderv1.OrderState_ORDER_STATE_CREATED,
		})
	}
	return &orderv1.GeneratePaymentsResponse{Checkout: out}, nil
}

// QueryCheckoutInfo shows a checkout to its payer.
func (s *Order) QueryCheckoutInfo(ctx context.Context, req *orderv1.QueryCheckoutInfoRequest) (*orderv1.QueryCheckoutInfoResponse, error) {
	name := app.CheckoutName{Token: req.GetToken()}
	if name.Token == "" {
		var err error
		if name.ID, err = wire.ID(ids.Checkout, "checkout_id", req.GetCheckoutId()); err != nil {
			return nil, err
		}
	}
	info, err := s.verbs.QueryCheckoutInfo(ctx, caller.FromContext(ctx), name)
	if err != nil {
		return nil, err
	}
	return checkoutInfo(info), nil
}

// QueryCheckoutResult shows the outcome of a checkout to its payer.
func (s *Order) QueryCheckoutResult(ctx context.Context, req *orderv1.QueryCheckoutResultRequest) (*orderv1.QueryCheckoutResultResponse, error) {
	id, err := wire.ID(ids.Checkout, "checkout_id", req.GetCheckoutId())
	if err != nil {
		return nil, err
	}
	result, err := s.verbs.QueryCheckoutResult(ctx, caller.FromContext(ctx), id)
	if err != nil {
		return nil, err
	}
	out := &orderv1.QueryCheckoutResultResponse{
		State: orderv1.CheckoutState(result.Checkout.State), PaidAmount: wire.Money(result.Checkout.Paid()), NextDueDate: result.NextDueDate,
		RedirectUrl: result.Checkout.RedirectURL,
	}
	if result.Plan != nil {
		out.Plan = wire.Plan(*result.Plan)
	}
	return out, nil
}

// ConfirmPayment says that goods were received.
func (s *Order) ConfirmPayment(ctx context.Context, req *orderv1.ConfirmPaymentRequest) (*orderv1.ConfirmPaymentResponse, error) {
	orders, err := readOrderIDs(req.GetOrderIds())
	if err != nil {
		return nil, err
	}
	results, err := s.verbs.ConfirmPayment(ctx, app.Confirm{Caller: caller.FromContext(ctx), RequestID: req.GetRequestId(), OrderIDs: orders})
	if err != nil {
		return nil, err
	}
	return &orderv1.ConfirmPaymentResponse{Results: orderResults(results)}, nil
}

// CancelPayments takes orders back before receipt.
func (s *Order) CancelPayments(ctx context.Context, req *orderv1.CancelPaymentsRequest) (*orderv1.CancelPaymentsResponse, error) {
	in := app.Cancel{Caller: caller.FromContext(ctx), RequestID: req.GetRequestId(), Reason: req.GetReason()}
	var err error
	if req.GetCheckoutId() != "" {
		in.CheckoutID, err = wire.ID(ids.Checkout, "checkout_id", req.GetCheckoutId())
	} else {
		in.OrderIDs, err = readOrderIDs(req.GetOrderIds())
	}
	if err != nil {
		return nil, err
	}
	results, err := s.verbs.CancelPayments(ctx, in)
	if err != nil {
		return nil, err
	}
	return &orderv1.CancelPaymentsResponse{Results: orderResults(results)}, nil
}

// GetOrderInfo reads one order in brief.
func (s *Order) GetOrderInfo(ctx context.Context, req *orderv1.GetOrderInfoRequest) (*orderv1.GetOrderInfoResponse, error) {
	name, err := readOrderName(caller.FromContext(ctx), s.verbs.Home, req)
	if err != nil {
		return nil, err
	}
	o, err := s.verbs.GetOrder(ctx, caller.FromContext(ctx), name)
	if err != nil {
		return nil, err
	}
	return &orderv1.GetOrderInfoResponse{Order: brief(o)}, nil
}

// GetOrderDetail reads one order with everything.
func (s *Order) GetOrderDetail(ctx context.Context, req *orderv1.GetOrderDetailRequest) (*orderv1.GetOrderDetailResponse, error) {
	name, err := readOrderName(caller.FromContext(ctx), s.verbs.Home, req)
	if err != nil {
		return nil, err
	}
	d, err := s.verbs.GetOrderDetail(ctx, caller.FromContext(ctx), name)
	if err != nil {
		return nil, err
	}
	return &orderv1.GetOrderDetailResponse{Detail: detail(d)}, nil
}
