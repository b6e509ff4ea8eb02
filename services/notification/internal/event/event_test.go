package event_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
	"github.com/creditpay/creditpay/services/notification/internal/event"
)

func TestEveryTypeHasItsEventAndEveryEventItsType(t *testing.T) {
	t.Parallel()
	left := domain.EventTypes(domain.Owner{})
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

// fill sets every text of a message and of the messages in it, and a list's first; a field called notify_url gets the address.
func fill(m protoreflect.Message, address string, deep int) {
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		switch {
		case f.IsMap() || deep == 0:
		case f.Kind() == protoreflect.MessageKind && f.IsList():
			fill(m.Mutable(f).List().AppendMutable().Message(), address, deep-1)
		case f.Kind() == protoreflect.MessageKind && strings.HasPrefix(string(f.Message().FullName()), "creditpay."):
			fill(m.Mutable(f).Message(), address, deep-1)
		case f.Kind() == protoreflect.StringKind && !f.IsList():
			m.Set(f, protoreflect.ValueOfString(textOf(f, address)))
		}
	}
}

// textOf is a text that the field may hold.
func textOf(f protoreflect.FieldDescriptor, address string) string {
	switch f.Name() {
	case "notify_url":
		return address
	case "order_id":
		return ids.Format(ids.Order, ids.ID{7})
	case "currency_code":
		return "IDR"
	default:
		return "x"
	}
}

// The address that a checkout named may hold a secret of the marketplace. An event that gets one must lose it here, wherever it stands.
func TestNoPayloadHoldsTheAddressThatACheckoutNamed(t *testing.T) {
	t.Parallel()
	const address = "https://market.example/told?key=secret"
	named := 0
	for _, m := range event.Wanted() {
		m = proto.Clone(m)
		fill(m.ProtoReflect(), address, 5)
		text, err := protojson.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		before := proto.Clone(m)
		n, ok, err := event.Read(inbox.Event{ID: ids.ID{1}, Time: time.Now(), Payload: m})
		if err != nil || !ok || strings.Contains(string(n.Payload), "secret") || strings.Contains(string(n.Payload), "otifyUrl") || len(n.Payload) < 12 {
			t.Errorf("%T: %s, %v", m, n.Payload, err)
		}
		has := strings.Contains(string(text), address)
		if has {
			named++
		}
		if has != (n.NotifyURL == address) || !proto.Equal(m, before) {
			t.Errorf("%T: the notice goes to %q, the event is %v", m, n.NotifyURL, m)
		}
		if has && n.OutOrderNo == "" {
			t.Errorf("%T: who is told of it cannot tell which order it is about", m)
		}
	}
	if named != 7 { // order.* and refund.changed.
		t.Errorf("%d events name an address", named)
	}
}

func TestANoticeCarriesTheFactsOfItsOrder(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 5000, time.UTC)
	ref := &orderv1.OrderRef{OrderId: ids.Format(ids.Order, ids.ID{7}), UserId: "u-1", Amount: &commonv1.Money{AmountMinor: new(int64(900)), CurrencyCode: "USD"}}
	n, _, err := event.Read(inbox.Event{Payload: &orderv1.OrderPaid{Order: ref, PaidAmount: &commonv1.Money{AmountMinor: new(int64(900)), CurrencyCode: "USD"}, PayTime: timestamppb.New(at)}})
	nine := money.New(900, money.USD())
	if want := (domain.OrderFacts{UserID: "u-1", Amount: nine, Paid: nine, PaymentMethod: "CREDIT", PayTime: at}); err != nil || n.Order != want {
		t.Errorf("%+v, %v", n.Order, err)
	}
	n, _, err = event.Read(inbox.Event{Payload: &orderv1.OrderExpired{Order: ref}})
	if want := (domain.OrderFacts{UserID: "u-1", Amount: nine, PaymentMethod: "CREDIT"}); err != nil || n.Order != want {
		t.Errorf("%+v, %v", n.Order, err)
	}
	ref.Amount.CurrencyCode = "XYZ"
	if _, _, err = event.Read(inbox.Event{Payload: &orderv1.OrderClosed{Order: ref}}); !errs.Is(err, errs.InvalidArgument) {
		t.Error(err)
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

// The marketplace reads what a refund does to the plan, the merchant does not; neither reads operators' names and words.
func TestRead_RefundWithoutPrivateWords(t *testing.T) {
	t.Parallel()
	refund := &refundv1.Refund{RefundId: "rfd_1", OrderId: ids.Format(ids.Order, ids.ID{1}), MerchantId: "shop-1", Requester: "ADMIN:alice",
		Approvers: []string{"ADMIN:bob"}, State: refundv1.RefundState_REFUND_STATE_REJECTED, Failure: "carol is not amused", Reason: "dave said so",
		Effect: &refundv1.RefundEffect{PlanAfter: &commonv1.Plan{ProductCode: "SPL_ID"}}}
	n, ok, err := event.Read(inbox.Event{ID: ids.ID{1}, Time: time.Now(), Payload: &refundv1.RefundChanged{Refund: refund}})
	if err != nil || !ok || !slices.Equal(n.Owners(), []domain.Owner{{}, {MerchantID: "shop-1"}}) || n.OrderID != (ids.ID{1}) {
		t.Errorf("%+v, %v, %v", n, ok, err)
	}
	for _, text := range []string{string(n.Payload), string(n.MerchantPayload)} {
		for _, word := range []string{"alice", "bob", "carol", "dave"} {
			if strings.Contains(text, word) {
				t.Errorf("%q is told outside: %s", word, text)
			}
		}
		if !strings.Contains(text, "rfd_1") || !strings.Contains(text, `"requester":"ADMIN"`) {
			t.Errorf("payload %s, want the refund and the kind of its requester", text)
		}
	}
	if !strings.Contains(string(n.Payload), "SPL_ID") || strings.Contains(string(n.MerchantPayload), "SPL_ID") || refund.GetEffect() == nil {
		t.Errorf("marketplace %s, merchant %s, the event's own effect %v", n.Payload, n.MerchantPayload, refund.GetEffect())
	}
	if seen := n.SeenBy(domain.Owner{MerchantID: "shop-1"}); string(seen.Payload) != string(n.MerchantPayload) {
		t.Errorf("the merchant's body holds %s", seen.Payload)
	}
}

// Every event that is told says whose it is: a new one without a user would be told to the home marketplace.
func TestRead_EveryEventKnowsItsMarketplace(t *testing.T) {
	t.Parallel()
	for _, m := range event.Wanted() {
		m = proto.Clone(m)
		fill(m.ProtoReflect(), "", 5)
		setUser(m.ProtoReflect(), "beta~u1", 5)
		if n, ok, err := event.Read(inbox.Event{ID: ids.ID{1}, Time: time.Now(), Payload: m}); err != nil || !ok || n.Marketplace != "beta" {
			t.Errorf("%T is told in the marketplace %q, want beta; %v", m, n.Marketplace, err)
		}
		setUser(m.ProtoReflect(), "u1", 5)
		if n, _, err := event.Read(inbox.Event{ID: ids.ID{1}, Time: time.Now(), Payload: m}); err != nil || n.Marketplace != "" {
			t.Errorf("%T is told in the marketplace %q, want the home marketplace; %v", m, n.Marketplace, err)
		}
	}
}

// setUser sets every user_id in a message.
func setUser(m protoreflect.Message, userID string, deep int) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Name() == "user_id":
			m.Set(f, protoreflect.ValueOfString(userID))
		case f.Message() == nil || f.IsMap() || deep == 0:
		case f.IsList():
			for i := range v.List().Len() {
				setUser(v.List().Get(i).Message(), userID, deep-1)
			}
		default:
			setUser(v.Message(), userID, deep-1)
		}
		return true
	})
}
