// Package event owns the payment service's way to and from Kafka: payloads in the contract's form, and which events the service
// listens to.
//
// It must not decide anything: it hands over to the verbs.
package event

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
	"github.com/creditpay/creditpay/services/payment/internal/wire"
)

// Topics that this service writes and reads.
const (
	TopicOut    = "creditpay.payment.events.v1"
	TopicOrders = "creditpay.order.events.v1"
)

// Encode gives the contract's form of a domain event.
func Encode(event any) (topic, key, objectID string, objectVersion int64, payload proto.Message, err error) {
	switch e := event.(type) {
	case domain.CommitWon:
		key, objectID := ids.Format(ids.Checkout, e.Commit.CheckoutID), ids.Format(ids.Commit, e.Commit.ID)
		return TopicOut, key, objectID, e.Commit.Version, &paymentv1.PaymentSucceeded{CheckoutId: key, CommitId: objectID,
			UserId: e.Commit.UserID, Payments: wire.Payments(e.Payments), PayTime: timestamppb.New(e.Time)}, nil
	case domain.CommitLost:
		key, objectID := ids.Format(ids.Checkout, e.Commit.CheckoutID), ids.Format(ids.Commit, e.Commit.ID)
		return TopicOut, key, objectID, e.Commit.Version, &paymentv1.PaymentFailed{CheckoutId: key, CommitId: objectID,
			Reason: e.Commit.FailureReason, UserId: e.Commit.UserID}, nil
	case domain.PaymentTakenBack:
		key, objectID := ids.Format(ids.Checkout, e.CheckoutID), ids.Format(ids.Payment, e.PaymentID)
		return TopicOut, key, objectID, e.Version, &paymentv1.PaymentReversed{PaymentId: objectID,
			OrderId: ids.Format(ids.Order, e.OrderID), CheckoutId: key, UserId: e.UserID}, nil
	case domain.CashLegMoved:
		return encodeLeg(e)
	case domain.PinMoved:
		m := &paymentv1.PinChanged{UserId: e.UserID, Change: paymentv1.PinChange(e.Change), ChangeTime: timestamppb.New(e.Time)}
		if !e.LockedUntil.IsZero() {
			m.LockedUntil = timestamppb.New(e.LockedUntil)
		}
		return TopicOut, e.UserID, e.UserID, e.Version, m, nil
	case domain.CashReturnMoved:
		if e.Return.RefundID.IsZero() {
			return encodeLeg(e.AsLegMoved())
		}
		key := e.Leg.UserID
		if !e.Return.OrderID.IsZero() {
			key = ids.Format(ids.Order, e.Return.OrderID)
		}
		return TopicOut, key, ids.Format(ids.Leg, e.Return.ID), e.Return.Version, &paymentv1.CashReturnChanged{
			CashReturn: wire.CashReturn(e.Return, e.Leg), UserId: e.Leg.UserID}, nil
	default:
		return "", "", "", 0, nil, fmt.Errorf("no contract for event %T", event)
	}
}

// encodeLeg is for legs and for the returns of cancelled orders' shares, which look like legs.
func encodeLeg(e domain.CashLegMoved) (topic, key, objectID string, objectVersion int64, payload proto.Message, err error) {
	key = e.Leg.UserID
	if e.Leg.Kind == domain.CashDownPayment {
		key = ids.Format(ids.Checkout, e.Leg.CheckoutID)
	}
	return TopicOut, key, ids.Format(ids.Leg, e.Leg.ID), e.Leg.Version, &paymentv1.CashLegChanged{Leg: wire.CashLeg(e.Leg, ""),
		FromState: paymentv1.LegState(e.From)}, nil
}

// Store is what the listener needs of the store.
type Store interface {
	Join(tx *mysqlx.Tx, fn func(tx app.Tx) error) error
	PaymentsOfOrdersIn(ctx context.Context, tx *mysqlx.Tx, orderIDs []ids.ID) ([]domain.Payment, error)
}

// Listener applies events to the payment service.
type Listener struct {
	App   *app.App
	Store Store
}

// Apply applies a batch of events in the inbox's transaction. A cancelled order's payment begins to be taken back; events that
// do not concern payments are passed over.
func (l *Listener) Apply(ctx context.Context, tx *mysqlx.Tx, events []inbox.Event) error {
	var orderIDs []ids.ID
	for _, e := range events {
		cancel, ok := e.Payload.(*orderv1.OrderCancelRequested)
		if !ok {
			continue
		}
		id, err := ids.Parse(ids.Order, cancel.GetOrder().GetOrderId())
		if err != nil {
			return errs.InvalidArgument.Wrap(err, "the event names no order")
		}
		orderIDs = append(orderIDs, id)
	}
	if len(orderIDs) == 0 {
		return nil
	}
	payments, err := l.Store.PaymentsOfOrdersIn(ctx, tx, orderIDs)
	if err != nil {
		return err
	}
	found := map[ids.ID]bool{}
	for _, p := range payments {
		found[p.OrderID] = true
	}
	for _, id := range orderIDs {
		if !found[id] {
			return errs.NotFound.New("order %s is to be taken back but was never paid here", ids.Format(ids.Order, id))
		}
	}
	return l.Store.Join(tx, func(tx app.Tx) error { return l.App.BeginReversal(tx, payments) })
}

// Wanted are the events that concern this service.
func Wanted() []proto.Message {
	return []proto.Message{&orderv1.OrderCancelRequested{}}
}
