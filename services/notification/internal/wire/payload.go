package wire

import (
	"bytes"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/view"
)

// PublicEvent is an event that is published outside, with its type.
type PublicEvent struct {
	Message proto.Message
	Type    string
}

// Catalogue returns every event that is published outside.
func Catalogue() []PublicEvent {
	return []PublicEvent{
		{&orderv1.OrderPaid{}, "order.paid"}, {&orderv1.OrderConfirmed{}, "order.confirmed"},
		{&orderv1.OrderCancelRequested{}, "order.cancel_requested"}, {&orderv1.OrderCancelled{}, "order.cancelled"},
		{&orderv1.OrderExpired{}, "order.expired"}, {&orderv1.OrderClosed{}, "order.closed"},
		{&paymentv1.PaymentSucceeded{}, "payment.succeeded"}, {&paymentv1.PaymentFailed{}, "payment.failed"},
		{&paymentv1.PaymentReversed{}, "payment.reversed"}, {&paymentv1.CashLegChanged{}, "cash_leg.changed"},
		{&paymentv1.CashReturnChanged{}, "cash_return.changed"}, {&paymentv1.PinChanged{}, "payment.pin_changed"},
		{&billv1.LoanActivated{}, "loan.activated"}, {&billv1.LoanVoided{}, "loan.voided"}, {&billv1.LoanSettled{}, "loan.settled"},
		{&billv1.LoanReopened{}, "loan.reopened"}, {&billv1.LoanOverdueChanged{}, "loan.overdue_changed"},
		{&billv1.BillChanged{}, "bill.changed"}, {&billv1.RepaymentChanged{}, "repayment.changed"},
		{&refundv1.RefundChanged{}, "refund.changed"},
	}
}

// TypeOf returns the type of an event; empty for one that is not published.
func TypeOf(m proto.Message) string {
	for _, t := range Catalogue() {
		if t.Message.ProtoReflect().Descriptor() == m.ProtoReflect().Descriptor() {
			return t.Type
		}
	}
	return ""
}

// Payload returns an event as receivers of that kind see it, as protobuf's JSON without the spaces that the library puts in at random.
func Payload(kind caller.Kind, m proto.Message) (json.RawMessage, error) {
	text, err := protojson.Marshal(view.For(kind, m))
	if err != nil {
		return nil, errs.InvalidArgument.Wrap(err, "the event cannot be written as JSON")
	}
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		return nil, errs.Internal.Wrap(err, "write an event")
	}
	return out.Bytes(), nil
}

// SeenBy returns a stored payload of a type as receivers of that kind see it. What was stored by an earlier version, which may have
// shown more, is limited too.
func SeenBy(kind caller.Kind, eventType string, payload json.RawMessage) (json.RawMessage, error) {
	for _, t := range Catalogue() {
		if t.Type != eventType {
			continue
		}
		m := t.Message
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(payload, m); err != nil {
			return nil, errs.Internal.Wrap(err, "read a stored event")
		}
		if seen := view.For(kind, m); seen != m {
			return Payload(kind, m)
		}
		return payload, nil
	}
	return nil, errs.Internal.New("a stored event is of the unknown type %q", eventType)
}
