package event_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/money"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	"github.com/creditpay/creditpay/services/order/internal/domain"
	"github.com/creditpay/creditpay/services/order/internal/event"
)

func TestEveryStateThatIsToldHasItsMessage(t *testing.T) {
	t.Parallel()
	want := map[domain.OrderState]proto.Message{
		domain.OrderPaid: &orderv1.OrderPaid{}, domain.OrderConfirmed: &orderv1.OrderConfirmed{}, domain.OrderCancelling: &orderv1.OrderCancelRequested{},
		domain.OrderCancelled: &orderv1.OrderCancelled{}, domain.OrderExpired: &orderv1.OrderExpired{}, domain.OrderClosed: &orderv1.OrderClosed{},
	}
	for _, state := range domain.OrderMoves.States() {
		o := domain.Order{ID: ids.ID{1}, CheckoutID: ids.ID{2}, State: state, Version: 4, Amount: money.New(5, money.IDR()), Paid: money.New(5, money.IDR()),
			NotifyURL: "https://market.example/told"}
		e, told := domain.EventOf(o, domain.Mark{Cause: "because"})
		if told != (want[state] != nil) {
			t.Errorf("%s: told %v", state, told)
		}
		if !told {
			continue
		}
		topic, key, object, version, payload := event.Encode(e)
		if topic != event.Topic || key != ids.Format(ids.Checkout, o.CheckoutID) || object != ids.Format(ids.Order, o.ID) || version != 4 ||
			payload.ProtoReflect().Descriptor() != want[state].ProtoReflect().Descriptor() {
			t.Errorf("%s: %s %s %s %d %T", state, topic, key, object, version, payload)
		}
		ref := payload.(interface{ GetOrder() *orderv1.OrderRef }).GetOrder()
		if ref.GetNotifyUrl() != o.NotifyURL || ref.GetAmount().GetAmountMinor() != 5 || ref.GetAmount().GetCurrencyCode() != "IDR" {
			t.Errorf("%s: %v", state, ref)
		}
	}
}

func TestAnEventThatCannotBeReadIsRefusedForGood(t *testing.T) {
	t.Parallel()
	l := event.NewListener(nil, nil)
	for _, m := range []proto.Message{
		&paymentv1.PaymentSucceeded{CommitId: "cmt_bad"},
		&paymentv1.PaymentReversed{CheckoutId: ids.Format(ids.Checkout, ids.ID{1}), OrderId: "nonsense"},
	} {
		err := l.Apply(t.Context(), nil, []inbox.Event{{Payload: m}})
		if !errs.Is(err, errs.InvalidArgument) || !errs.Business(err) {
			t.Errorf("%T: %v", m, err)
		}
	}
	if err := l.Apply(t.Context(), nil, []inbox.Event{{Payload: &paymentv1.PaymentFailed{}}}); err != nil {
		t.Errorf("an event that means nothing to orders: %v", err)
	}
}
