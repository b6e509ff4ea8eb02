// Package event owns the notification service's way from Kafka: what of an event is published outside, and which user it is about.
//
// It must not decide who hears of them: that is the domain's. This service tells no events of its own.
package event

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/view"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
	"github.com/creditpay/creditpay/services/notification/internal/wire"
)

// The topics that are listened to.
const (
	OrderTopic   = "creditpay.order.events.v1"
	PaymentTopic = "creditpay.payment.events.v1"
	BillTopic    = "creditpay.bill.events.v1"
	RefundTopic  = "creditpay.refund.events.v1"
)

// Wanted are the events that are told outside.
func Wanted() []proto.Message {
	var out []proto.Message
	for _, t := range wire.Catalogue() {
		out = append(out, t.Message)
	}
	return out
}

// Joiner runs a unit of work inside the inbox's transaction.
type Joiner interface {
	Join(tx *mysqlx.Tx, fn func(tx app.EventTx) error) error
}

// Listener makes deliveries of events.
type Listener struct {
	App   *app.App
	Store Joiner
}

// Apply is the inbox's. An event that cannot be read is errs.InvalidArgument, which puts it aside.
func (l *Listener) Apply(ctx context.Context, tx *mysqlx.Tx, events []inbox.Event) error {
	var notices []domain.Notice
	for _, e := range events {
		n, ok, err := Read(e)
		if err != nil {
			return err
		}
		if ok {
			notices = append(notices, n)
		}
	}
	if len(notices) == 0 {
		return nil
	}
	return l.Store.Join(tx, func(tx app.EventTx) error { return l.App.ApplyNotices(ctx, tx, notices) })
}

// Read gives the notice of an event; false for one that is not told.
func Read(e inbox.Event) (domain.Notice, bool, error) {
	n := domain.Notice{EventID: e.ID, Type: wire.TypeOf(e.Payload), Time: e.Time.UTC().Truncate(time.Microsecond)}
	if n.Type == "" {
		return n, false, nil
	}
	n.Marketplace, _ = caller.SplitUserID(userOf(e.Payload))
	orderID := ""
	var err error
	switch m := e.Payload.(type) {
	case aboutOrder:
		ref := m.GetOrder()
		orderID, n.MerchantID, n.OutOrderNo, n.NotifyURL = ref.GetOrderId(), ref.GetMerchantId(), ref.GetOutOrderNo(), ref.GetNotifyUrl()
		if n.Order, err = facts(e.Payload, ref); err != nil {
			return n, false, err
		}
	case interface{ GetLoan() *billv1.LoanRef }:
		orderID = m.GetLoan().GetOrderId()
	case *paymentv1.PaymentReversed:
		orderID = m.GetOrderId()
	case *refundv1.RefundChanged:
		r := m.GetRefund()
		orderID, n.MerchantID, n.OutOrderNo, n.NotifyURL = r.GetOrderId(), r.GetMerchantId(), r.GetOutOrderNo(), m.GetNotifyUrl()
	}
	if orderID != "" {
		if n.OrderID, err = ids.Parse(ids.Order, orderID); err != nil {
			return n, false, errs.InvalidArgument.Wrap(err, "the event names no order")
		}
	}
	if n.Payload, err = wire.Payload(caller.SPM, e.Payload); err != nil {
		return n, false, err
	}
	if n.MerchantID != "" && !view.Alike(caller.SPM, caller.Merchant, e.Payload) {
		if n.MerchantPayload, err = wire.Payload(caller.Merchant, e.Payload); err != nil {
			return n, false, err
		}
	}
	return n, true, nil
}

// userOf is the user that an event is about: a marketplace receives events about its own users only. What does not say whose it is was
// published by a version that knew one marketplace.
func userOf(m proto.Message) string {
	switch m := m.(type) {
	case aboutOrder:
		return m.GetOrder().GetUserId()
	case interface{ GetLoan() *billv1.LoanRef }:
		return m.GetLoan().GetUserId()
	case *paymentv1.CashLegChanged:
		return m.GetLeg().GetUserId()
	case interface{ GetUserId() string }:
		return m.GetUserId()
	default:
		return ""
	}
}

// aboutOrder is an event of the order service.
type aboutOrder interface{ GetOrder() *orderv1.OrderRef }

// credit is the way by which every order is paid that the suite has today, a down payment in cash included.
const credit = "CREDIT"

// facts are what an event of the order service says of its order.
func facts(m proto.Message, ref *orderv1.OrderRef) (domain.OrderFacts, error) {
	f := domain.OrderFacts{UserID: ref.GetUserId(), PaymentMethod: credit}
	var err error
	if f.Amount, err = wire.Amount(ref.GetAmount()); err != nil {
		return f, err
	}
	if paid, ok := m.(*orderv1.OrderPaid); ok {
		if paid.GetPayTime() != nil {
			f.PayTime = paid.GetPayTime().AsTime()
		}
		f.Paid, err = wire.Amount(paid.GetPaidAmount())
	}
	return f, err
}
