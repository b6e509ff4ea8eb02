package event_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
	"github.com/creditpay/creditpay/services/notification/internal/event"
)

func TestEveryTypeHasItsEventAndEveryEventItsType(t *testing.T) {
	t.Parallel()
	left := domain.EventTypes(domain.Marketplace)
	for _, m := range event.Wanted() {
		n, ok, err := event.Read(inbox.Event{ID: ids.ID{1}, Time: time.Now(), Payload: m})
		if err != nil || !ok || !slices.Contains(left, n.Type) || !json.Valid(n.Payload) {
			t.Errorf("%T: %+v, %v, %v", m, n, ok, err)
		}
		left = slices.DeleteFunc(left, func(s string) bool { return s == n.Type })
	}
	if len(left) > 0 {
		t.Errorf("no event makes %v", left)
	}
}

func TestAnEventNamesItsOrderAndItsMerchant(t *testing.T) {
	t.Parallel()
	order := ids.ID{7}
	ref := &orderv1.OrderRef{OrderId: ids.Format(ids.Order, order), MerchantId: "shop-1", OutOrderNo: "NO-1", UserId: "u"}
	for _, c := range []struct {
		m        proto.Message
		merchant string
		order    ids.ID
	}{
		{&orderv1.OrderPaid{Order: ref}, "shop-1", order}, {&orderv1.OrderExpired{Order: ref}, "shop-1", order},
		{&billv1.LoanSettled{Loan: &billv1.LoanRef{OrderId: ref.GetOrderId()}}, "", order}, {&paymentv1.PaymentReversed{OrderId: ref.GetOrderId()}, "", order},
		{&paymentv1.PaymentFailed{CheckoutId: "chk_x", Reason: "PIN_WRONG"}, "", ids.ID{}},
	} {
		n, ok, err := event.Read(inbox.Event{ID: ids.ID{1}, Payload: c.m})
		if err != nil || !ok || n.MerchantID != c.merchant || n.OrderID != c.order || strings.Contains(string(n.Payload), ": ") || strings.Contains(string(n.Payload), ", ") {
			t.Errorf("%T: %+v, %v", c.m, n, err)
		}
	}
}

func TestWhatIsNotToldAndWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	if _, ok, err := event.Read(inbox.Event{Payload: &orderv1.CheckoutCreated{}}); ok || err != nil {
		t.Error(ok, err)
	}
	_, _, err := event.Read(inbox.Event{Payload: &orderv1.OrderPaid{Order: &orderv1.OrderRef{OrderId: "nonsense"}}})
	if !errs.Is(err, errs.InvalidArgument) || !errs.Business(err) {
		t.Error(err)
	}
	l := event.Listener{}
	if err := l.Apply(t.Context(), nil, []inbox.Event{{Payload: &orderv1.CheckoutCreated{}}}); err != nil {
		t.Error(err)
	}
}

func TestARefundIsToldToItsMerchantWithoutThePayersPlan(t *testing.T) {
	t.Parallel()
	refund := &refundv1.Refund{RefundId: "rfd_1", OrderId: ids.Format(ids.Order, ids.ID{1}), MerchantId: "shop-1",
		Effect: &refundv1.RefundEffect{PlanAfter: &commonv1.Plan{ProductCode: "SPL_ID"}}}
	n, ok, err := event.Read(inbox.Event{ID: ids.ID{1}, Time: time.Now(), Payload: &refundv1.RefundChanged{Refund: refund}})
	if err != nil || !ok || !slices.Equal(n.Owners(), []string{domain.Marketplace, "shop-1"}) || n.OrderID != (ids.ID{1}) {
		t.Errorf("%+v, %v, %v", n, ok, err)
	}
	if text := string(n.Payload); strings.Contains(text, "SPL_ID") || !strings.Contains(text, "rfd_1") || refund.GetEffect() == nil {
		t.Errorf("payload %s, the event's own effect %v", text, refund.GetEffect())
	}
}
