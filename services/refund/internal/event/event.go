// Package event owns the refund service's way to and from Kafka.
//
// It must not hold a rule: it turns messages into the app's requests and the domain's events into messages.
package event

import (
	"context"

	"google.golang.org/protobuf/proto"

	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/mysqlx"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
	"github.com/creditpay/creditpay/services/refund/internal/wire"
)

const (
	// Topic is where this service tells what happened, keyed by order.
	Topic = "creditpay.refund.events.v1"
	// PaymentTopic is where it hears of returns.
	PaymentTopic = "creditpay.payment.events.v1"
)

// Encode turns an event into a message of Topic. The payload is nil for an event that is not told.
func Encode(e domain.Event) (topic, key, objectID string, version int64, payload proto.Message) {
	c, ok := e.(domain.Changed)
	if !ok {
		return "", "", "", 0, nil
	}
	m := wire.Refund(c.Refund)
	return Topic, m.GetOrderId(), m.GetRefundId(), c.Refund.Version, &refundv1.RefundChanged{Refund: m, FromState: refundv1.RefundState(c.From), NotifyUrl: c.Refund.NotifyURL,
		UserId: c.Refund.UserID}
}

// Verbs are what events drive.
type Verbs interface {
	HearOfReturn(ctx context.Context, tx app.Tx, refundID ids.ID, back app.Return) error
}

// Joiner runs a unit of work inside a transaction that is open already.
type Joiner interface {
	Join(tx *mysqlx.Tx, fn func(app.Tx) error) error
}

// Handler applies events of other services.
type Handler struct {
	verbs Verbs
	store Joiner
}

// NewHandler makes a handler.
func NewHandler(verbs Verbs, store Joiner) *Handler { return &Handler{verbs: verbs, store: store} }

// Apply applies a batch of events inside the inbox's transaction; see inbox.Apply.
func (h *Handler) Apply(ctx context.Context, tx *mysqlx.Tx, events []inbox.Event) error {
	return h.store.Join(tx, func(tx app.Tx) error {
		for _, e := range events {
			m, ok := e.Payload.(*paymentv1.CashReturnChanged)
			if !ok || m.GetCashReturn().GetRefundId() == "" {
				continue
			}
			id, err := ids.Parse(ids.Refund, m.GetCashReturn().GetRefundId())
			if err != nil {
				return errs.InvalidArgument.Wrap(err, "the event names no refund")
			}
			if err := h.verbs.HearOfReturn(ctx, tx, id, wire.Return(m.GetCashReturn())); err != nil {
				return err
			}
		}
		return nil
	})
}

// Wanted are the events that concern this service.
func Wanted() []proto.Message { return []proto.Message{&paymentv1.CashReturnChanged{}} }
