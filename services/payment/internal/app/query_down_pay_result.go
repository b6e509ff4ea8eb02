package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// DownPayment is the cash leg of one order's payment.
type DownPayment struct {
	PaymentID ids.ID
	Leg       domain.Leg
}

// PortionKey names an order or its payment, not both.
type PortionKey struct {
	OrderID, PaymentID ids.ID
}

// QueryDownPayResult gives the cash leg of an order's payment, also while it is awaited and after it failed; nil when the order is
// paid by credit alone. Of a reversed payment it names the reference of the return. Errors: NOT_FOUND for an order that no commit
// tried to pay with a down payment and that is not paid, and for another's.
func (a *App) QueryDownPayResult(ctx context.Context, who caller.Caller, orderText, paymentText string) (*DownPayment, error) {
	key, err := portionKey(orderText, paymentText)
	if err != nil {
		return nil, err
	}
	p, err := a.paymentOf(ctx, key)
	if err != nil {
		return nil, err
	}
	if p != nil {
		if !who.Sees(p.UserID) {
			return nil, noPayment()
		}
		return a.paidDown(ctx, *p)
	}
	portion, leg, err := a.Store.LastPortion(ctx, key)
	if err != nil {
		return nil, err
	}
	if portion == nil || !who.Sees(leg.UserID) {
		return nil, noPayment()
	}
	if !portion.DownPayment.IsPositive() {
		return nil, nil
	}
	return &DownPayment{PaymentID: portion.Order.PaymentID, Leg: domain.Leg{Kind: domain.LegCash, Channel: leg.Channel,
		Amount: portion.DownPayment, State: leg.State, Reference: legText(leg.ID)}}, nil
}

// paidDown is the down payment of a payment that exists.
func (a *App) paidDown(ctx context.Context, p domain.Payment) (*DownPayment, error) {
	leg := p.Cash()
	if leg == nil {
		return nil, nil
	}
	if leg.State != domain.LegSucceeded {
		back, err := a.Store.CashReturnOf(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		if back != nil {
			leg.Reference = legText(back.ID)
		}
	}
	return &DownPayment{PaymentID: p.ID, Leg: *leg}, nil
}

func noPayment() error { return errs.NotFound.New("no such payment, or it is not paid yet") }

func portionKey(orderText, paymentText string) (key PortionKey, err error) {
	if paymentText != "" {
		key.PaymentID, err = parseID(ids.Payment, "payment_id", paymentText)
	} else {
		key.OrderID, err = parseID(ids.Order, "order_id", orderText)
	}
	return key, err
}

func (a *App) paymentOf(ctx context.Context, key PortionKey) (*domain.Payment, error) {
	if !key.PaymentID.IsZero() {
		return a.Store.Payment(ctx, key.PaymentID)
	}
	ps, err := a.Store.PaymentsOfOrders(ctx, []ids.ID{key.OrderID})
	if err != nil || len(ps) == 0 {
		return nil, err
	}
	return &ps[0], nil
}
