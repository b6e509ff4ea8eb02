// Package event owns the order service's way from and to Kafka: the contract's form of its own events, and which events of others
// change orders.
//
// It must not decide anything: it reads and hands over to the verbs.
package event

import (
	"context"

	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
	"github.com/creditpay/creditpay/services/order/internal/wire"
)

const (
	// Topic of this service's own events; the key is the checkout id.
	Topic = "creditpay.order.events.v1"
	// PaymentTopic is listened to.
	PaymentTopic = "creditpay.payment.events.v1"
	// BillTopic is listened to.
	BillTopic = "creditpay.bill.events.v1"
	// RefundTopic is listened to.
	RefundTopic = "creditpay.refund.events.v1"
)

// Encode gives the contract's form of a domain event.
func Encode(e domain.Event) (topic, key, objectID string, version int64, payload proto.Message) {
	switch e := e.(type) {
	case domain.Created:
		key = ids.Format(ids.Checkout, e.Checkout.ID)
		return Topic, key, key, e.Checkout.Version, created(e.Checkout)
	case domain.Changed:
		o := e.Order
		return Topic, ids.Format(ids.Checkout, o.CheckoutID), ids.Format(ids.Order, o.ID), o.Version, changed(o, e.Cause)
	default:
		return Topic, "", "", 0, nil
	}
}

func created(c domain.Checkout) proto.Message {
	m := &orderv1.CheckoutCreated{CheckoutId: ids.Format(ids.Checkout, c.ID), UserId: c.UserID, TotalAmount: wire.Money(c.Total)}
	for _, o := range c.Orders {
		m.OrderIds = append(m.OrderIds, ids.Format(ids.Order, o.ID))
	}
	return m
}

// changed is the message of an order in a state that domain.EventOf knows; nil for others.
func changed(o domain.Order, cause string) proto.Message {
	ref := &orderv1.OrderRef{
		OrderId: ids.Format(ids.Order, o.ID), CheckoutId: ids.Format(ids.Checkout, o.CheckoutID), PaymentId: ids.Format(ids.Payment, o.PaymentID),
		UserId: o.UserID, MerchantId: o.MerchantID, OutOrderNo: o.OutOrderNo, NotifyUrl: o.NotifyURL, Amount: wire.Money(o.Amount),
	}
	switch o.State {
	case domain.OrderPaid:
		return &orderv1.OrderPaid{Order: ref, PaidAmount: wire.Money(o.Paid), PayTime: wire.Time(o.PayTime)}
	case domain.OrderConfirmed:
		return &orderv1.OrderConfirmed{Order: ref}
	case domain.OrderCancelling:
		return &orderv1.OrderCancelRequested{Order: ref, Reason: cause}
	case domain.OrderCancelled:
		return &orderv1.OrderCancelled{Order: ref, Reason: cause}
	case domain.OrderExpired:
		return &orderv1.OrderExpired{Order: ref}
	case domain.OrderClosed:
		return &orderv1.OrderClosed{Order: ref}
	default:
		return nil
	}
}

// Joiner runs a unit of work inside the inbox's transaction.
type Joiner interface {
	Join(tx *mysqlx.Tx, fn func(tx app.EventTx) error) error
}

// Listener applies events to orders.
type Listener struct {
	verbs *app.App
	store Joiner
}

// NewListener makes a listener.
func NewListener(verbs *app.App, store Joiner) *Listener {
	return &Listener{verbs: verbs, store: store}
}

// Apply is the inbox's: it reads the events that concern orders and applies them in one go. An event that cannot be read is
// errs.InvalidArgument, which puts it aside.
func (l *Listener) Apply(ctx context.Context, tx *mysqlx.Tx, events []inbox.Event) error {
	incoming := make([]app.Incoming, 0, len(events))
	for _, e := range events {
		in, err := read(e)
		if err != nil {
			return err
		}
		if in != nil {
			incoming = append(incoming, in)
		}
	}
	if len(incoming) == 0 {
		return nil
	}
	return l.store.Join(tx, func(tx app.EventTx) error { return l.verbs.ApplyEvents(ctx, tx, incoming) })
}

// read gives the change that an event means; nil when it means none to orders.
func read(e inbox.Event) (app.Incoming, error) {
	switch m := e.Payload.(type) {
	case *paymentv1.PaymentSucceeded:
		s, err := wire.Settlement(m.GetCommitId(), m.GetPayments())
		if err != nil {
			return nil, err
		}
		if s.CheckoutID, err = wire.ID(ids.Checkout, "checkout_id", m.GetCheckoutId()); err != nil {
			return nil, err
		}
		s.PayTime = wire.ReadTime(m.GetPayTime())
		return app.PaymentSucceeded{Settlement: s}, nil
	case *paymentv1.PaymentReversed:
		checkout, err := wire.ID(ids.Checkout, "checkout_id", m.GetCheckoutId())
		if err != nil {
			return nil, err
		}
		order, err := wire.ID(ids.Order, "order_id", m.GetOrderId())
		if err != nil {
			return nil, err
		}
		return app.PaymentReversed{CheckoutID: checkout, OrderID: order, Time: wire.ReadTime(wire.Time(e.Time))}, nil
	case *billv1.LoanSettled:
		order, err := wire.ID(ids.Order, "loan.order_id", m.GetLoan().GetOrderId())
		if err != nil {
			return nil, err
		}
		return app.LoanSettled{OrderID: order, Time: wire.ReadTime(wire.Time(e.Time))}, nil
	case *billv1.LoanReopened:
		order, err := wire.ID(ids.Order, "loan.order_id", m.GetLoan().GetOrderId())
		if err != nil {
			return nil, err
		}
		return app.LoanReopened{OrderID: order, Time: wire.ReadTime(wire.Time(e.Time))}, nil
	case *refundv1.RefundChanged:
		return readRefund(m, e)
	default:
		return nil, nil
	}
}

// readRefund gives the change that a refund means: none before it has succeeded.
func readRefund(m *refundv1.RefundChanged, e inbox.Event) (app.Incoming, error) {
	if m.GetRefund().GetState() != refundv1.RefundState_REFUND_STATE_SUCCEEDED {
		return nil, nil
	}
	order, err := wire.ID(ids.Order, "refund.order_id", m.GetRefund().GetOrderId())
	if err != nil {
		return nil, err
	}
	amount, err := wire.Amount(m.GetRefund().GetAmount())
	if err != nil {
		return nil, err
	}
	return app.Refunded{OrderID: order, Amount: amount, Time: wire.ReadTime(wire.Time(e.Time))}, nil
}

// Wanted are the events that concern this service.
func Wanted() []proto.Message {
	return []proto.Message{&paymentv1.PaymentSucceeded{}, &paymentv1.PaymentReversed{}, &billv1.LoanSettled{}, &billv1.LoanReopened{}, &refundv1.RefundChanged{}}
}
