// Package event owns the notification service's way from Kafka: which events are told outside, under which type, and whom they are
// about.
//
// It must not decide who hears of them: that is the domain's. This service tells no events of its own.
package event

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/mysqlx"
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

// told is an event that is told outside.
type told struct {
	message proto.Message
	name    string
}

// catalogue is every event that is told, with its type.
func catalogue() []told {
	return []told{
		{&orderv1.OrderPaid{}, "order.paid"}, {&orderv1.OrderConfirmed{}, "order.confirmed"},
		{&orderv1.OrderCancelRequested{}, "order.cancel_requested"}, {&orderv1.OrderCancelled{}, "order.cancelled"},
		{&orderv1.OrderExpired{}, "order.expired"}, {&orderv1.OrderClosed{}, "order.closed"},
		{&paymentv1.PaymentSucceeded{}, "payment.succeeded"}, {&paymentv1.PaymentFailed{}, "payment.failed"},
		{&paymentv1.PaymentReversed{}, "payment.reversed"}, {&paymentv1.CashLegChanged{}, "cash_leg.changed"},
		{&paymentv1.CashReturnChanged{}, "cash_return.changed"},
		{&billv1.LoanActivated{}, "loan.activated"}, {&billv1.LoanVoided{}, "loan.voided"}, {&billv1.LoanSettled{}, "loan.settled"},
		{&billv1.LoanReopened{}, "loan.reopened"}, {&billv1.LoanOverdueChanged{}, "loan.overdue_changed"},
		{&billv1.BillChanged{}, "bill.changed"}, {&billv1.RepaymentChanged{}, "repayment.changed"},
		{&refundv1.RefundChanged{}, "refund.changed"},
	}
}

// Wanted are the events that are told outside.
func Wanted() []proto.Message {
	var out []proto.Message
	for _, t := range catalogue() {
		out = append(out, t.message)
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
	n := domain.Notice{EventID: e.ID, Time: e.Time.UTC().Truncate(time.Microsecond)}
	for _, t := range catalogue() {
		if t.message.ProtoReflect().Descriptor() == e.Payload.ProtoReflect().Descriptor() {
			n.Type = t.name
		}
	}
	if n.Type == "" {
		return n, false, nil
	}
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
	if n.Payload, err = payload(outside(e.Payload)); err != nil {
		return n, false, errs.InvalidArgument.Wrap(err, "the event cannot be written as JSON")
	}
	return n, true, nil
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

// outside is an event as it is told: without the address that a checkout named, which may hold a secret of the marketplace, and a refund
// without what it does to the payer's plan and without the names and words of operators, which are none of a merchant's business.
func outside(m proto.Message) proto.Message {
	m = proto.Clone(m)
	switch m := m.(type) {
	case aboutOrder:
		if m.GetOrder() != nil {
			m.GetOrder().NotifyUrl = ""
		}
	case *refundv1.RefundChanged:
		m.NotifyUrl = ""
		if r := m.GetRefund(); r != nil {
			r.Effect, r.Approvers = nil, nil
			r.Requester, _, _ = strings.Cut(r.GetRequester(), ":")
			if r.GetState() == refundv1.RefundState_REFUND_STATE_REJECTED {
				r.Failure = "" // An approver's words.
			}
		}
	}
	return m
}

// payload is a message as protobuf's JSON, without the spaces that the library puts in at random.
func payload(m proto.Message) (json.RawMessage, error) {
	text, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Compact(&out, text)
	return out.Bytes(), err
}
