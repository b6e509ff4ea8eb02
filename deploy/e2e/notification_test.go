package e2e

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"
	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// heard is a webhook as a receiver got it.
type heard struct {
	id, timestamp, signature, body string
	header                         http.Header
	// path with query.
	path string
}

// told is what the standard body says.
func (h heard) told(t *testing.T) (event struct {
	ID, Type string
	Data     struct {
		Order  struct{ OrderID, MerchantID string }
		Refund struct{ OrderID, State string }
	}
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(h.body), &event); err != nil {
		t.Fatal(err)
	}
	return event
}

// signedBy checks the signature as the Standard Webhooks specification says, with no code of the suite.
func (h heard) signedBy(secret string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, h.id+"."+h.timestamp+"."+h.body)
	return slices.Contains(strings.Fields(h.signature), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// signedForConsole checks the signature of a merchant console's callback, with no code of the suite.
func (h heard) signedForConsole(secret string) bool {
	body := sha256.Sum256([]byte(h.body))
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, h.header.Get("X-Timestamp")+"\n"+h.header.Get("X-Nonce")+"\nPOST\n"+h.path+"\n"+hex.EncodeToString(body[:]))
	return h.header.Get("X-Signature-V2") == hex.EncodeToString(mac.Sum(nil))
}

// shop is a receiver of webhooks that answers with a status.
type shop struct {
	*httptest.Server
	mu     sync.Mutex
	all    []heard
	status int
}

func newShop(t *testing.T, status int) *shop {
	t.Helper()
	s := &shop{status: status}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, heard{r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), r.Header.Get("webhook-signature"), string(body), r.Header.Clone(), r.URL.RequestURI()})
		w.WriteHeader(s.status)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shop) answers(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// about gives what was heard of a type about an order.
func (s *shop) about(t *testing.T, eventType, orderID string) (out []heard) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.all {
		if e := h.told(t); e.Type == eventType && (e.Data.Order.OrderID == orderID || e.Data.Refund.OrderID == orderID) {
			out = append(out, h)
		}
	}
	return out
}

// subscribe registers an endpoint of Standard Webhooks over REST and gives its id and secret.
func (s *stack) subscribe(t *testing.T, merchant, url string, types ...string) (id, secret string) {
	t.Helper()
	return s.subscribeUnder(t, notificationv1.DeliveryProfile_DELIVERY_PROFILE_STANDARD, merchant, url, types...)
}

func (s *stack) subscribeUnder(t *testing.T, profile notificationv1.DeliveryProfile, merchant, url string, types ...string) (id, secret string) {
	t.Helper()
	return s.register(t, map[string]any{"requestId": unique("endpoint"), "merchantId": merchant, "url": url, "eventTypes": append([]string{}, types...), "profile": profile.String()})
}

// subscribeIn registers an endpoint of another marketplace than the home one.
func (s *stack) subscribeIn(t *testing.T, owner, merchant, url string) {
	t.Helper()
	s.register(t, map[string]any{"requestId": unique("endpoint"), "owner": owner, "merchantId": merchant, "url": url,
		"profile": notificationv1.DeliveryProfile_DELIVERY_PROFILE_STANDARD.String()})
}

// register registers an endpoint over REST until the test ends.
func (s *stack) register(t *testing.T, body map[string]any) (id, secret string) {
	t.Helper()
	var res notificationv1.CreateEndpointResponse
	if err := s.rest(t.Context(), http.MethodPost, "/admin/v1/notification-endpoints", s.Credentials.AdminToken, body, &res); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // Other tests' purchases shall not knock at a door that is closed.
		_, err := notificationv1.NewNotificationAdminServiceClient(s.conn).SetEndpointState(as(context.Background(), s.Credentials.AdminToken),
			&notificationv1.SetEndpointStateRequest{RequestId: unique("off"), EndpointId: res.GetEndpoint().GetEndpointId(), State: notificationv1.EndpointState_ENDPOINT_STATE_DISABLED})
		if err != nil {
			t.Error(err)
		}
	})
	return res.GetEndpoint().GetEndpointId(), res.GetSecret()
}

// deliveriesOf lists what was told to an endpoint, once there are so many in a state.
func (s *stack) deliveriesOf(t *testing.T, endpoint string, state notificationv1.DeliveryState, want int) []*notificationv1.Delivery {
	t.Helper()
	var res notificationv1.ListDeliveriesResponse
	testkit.Eventually(t, 20*time.Second, func() error {
		err := s.rest(t.Context(), http.MethodGet, "/admin/v1/deliveries?endpointId="+endpoint+"&state="+state.String(), s.Credentials.AdminToken, nil, &res)
		if err == nil && len(res.GetDeliveries()) != want {
			err = fmt.Errorf("%d deliveries in %s, want %d", len(res.GetDeliveries()), state, want)
		}
		return err
	})
	return res.GetDeliveries()
}

func TestAPurchaseIsToldSignedToTheMerchantAndTheMarketplace(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.payer(t, 1_000_000)
	draft := p.draft(100_000)
	merchant := draft.GetOrders()[0].GetMerchantId()
	mine, market, other := newShop(t, 200), newShop(t, 204), newShop(t, 200)
	endpoint, key := s.subscribe(t, merchant, mine.URL+"/hooks")
	_, marketKey := s.subscribe(t, "", market.URL, "order.paid")
	s.subscribe(t, unique("other-shop"), other.URL)
	c := s.generate(t, draft)
	orderID := c.GetOrders()[0].GetOrderId()
	p.pay(t, c.GetCheckoutId())
	s.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)
	testkit.Eventually(t, 20*time.Second, func() bool {
		return len(mine.about(t, "order.paid", orderID)) > 0 && len(market.about(t, "order.paid", orderID)) > 0
	})
	one := mine.about(t, "order.paid", orderID)[0]
	if e := one.told(t); !one.signedBy(key) || e.ID != one.id || e.Data.Order.MerchantID != merchant {
		t.Errorf("%+v", one)
	}
	if h := market.about(t, "order.paid", orderID)[0]; !h.signedBy(marketKey) || h.signedBy(key) || h.id != one.id {
		t.Errorf("%+v", h)
	}
	client := notificationv1.NewNotificationAdminServiceClient(s.conn)
	rotated, err := client.RotateEndpointSecret(s.admin(t), &notificationv1.RotateEndpointSecretRequest{RequestId: unique("rotate"), EndpointId: endpoint, Overlap: durationpb.New(time.Minute)})
	if err != nil || rotated.GetSecret() == "" || len(rotated.GetEndpoint().GetSecrets()) != 2 {
		t.Errorf("%d secrets, %v", len(rotated.GetEndpoint().GetSecrets()), err)
	}
	for _, overlap := range []time.Duration{-time.Second, 8 * 24 * time.Hour} {
		_, err := client.RotateEndpointSecret(s.admin(t), &notificationv1.RotateEndpointSecretRequest{RequestId: unique("rotate"), EndpointId: endpoint, Overlap: durationpb.New(overlap)})
		_ = refusedFor(t, told(err), errs.InvalidArgument)
	}
	s.confirm(t, orderID)
	testkit.Eventually(t, 20*time.Second, func() bool { return len(mine.about(t, "order.confirmed", orderID)) > 0 })
	if h := mine.about(t, "order.confirmed", orderID)[0]; !h.signedBy(key) || !h.signedBy(rotated.GetSecret()) {
		t.Errorf("while both keys are good: %+v", h)
	}
	if n := len(other.about(t, "order.paid", orderID)); n != 0 {
		t.Errorf("another merchant heard of it %d times", n)
	}
}

func TestAReceiverThatWasAwayIsToldAgainAndReadsTheFeed(t *testing.T) {
	t.Parallel()
	s := alone(t)
	p := s.payer(t, 1_000_000)
	draft := p.draft(100_000)
	merchant := unique("shop")
	draft.Orders[0].MerchantId = merchant
	down := newShop(t, 503)
	endpoint, key := s.subscribe(t, merchant, down.URL)
	c := s.generate(t, draft)
	orderID := c.GetOrders()[0].GetOrderId()
	p.pay(t, c.GetCheckoutId())
	s.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)
	pending := s.deliveriesOf(t, endpoint, notificationv1.DeliveryState_DELIVERY_STATE_PENDING, 1)[0]
	for rung := 1; rung <= 16; rung++ { // Each look at the ladder is six hours later than the one before: every rung is due.
		// An attempt must be written down before the clock moves: its pause counts from its end.
		testkit.Eventually(t, 20*time.Second, func() error {
			res, err := notificationv1.NewNotificationAdminServiceClient(s.conn).GetDelivery(s.admin(t), &notificationv1.GetDeliveryRequest{DeliveryId: pending.GetDeliveryId()})
			if err == nil && int(res.GetDelivery().GetAttempts()) != rung {
				err = fmt.Errorf("%v, want %d attempts", res.GetDelivery(), rung)
			}
			return err
		})
		s.advance(t, 6*time.Hour)
	}
	gaveUp := s.deliveriesOf(t, endpoint, notificationv1.DeliveryState_DELIVERY_STATE_GAVE_UP, 1)[0]
	if gaveUp.GetDeliveryId() != pending.GetDeliveryId() || gaveUp.GetAttempts() != 16 || gaveUp.GetOrderId() != orderID {
		t.Errorf("%v", gaveUp)
	}
	s.advance(t, 7*24*time.Hour)
	token := s.mint(t, caller.Caller{Kind: caller.Merchant, Name: "console", MerchantID: merchant})
	var feed notificationv1.ListEventsResponse
	if err := s.rest(t.Context(), http.MethodGet, "/merchant/v1/events", token, nil, &feed); err != nil || len(feed.GetEvents()) != 1 ||
		feed.GetEvents()[0].GetEventId() != gaveUp.GetEventId() || feed.GetEvents()[0].GetBody() != down.about(t, "order.paid", orderID)[0].body {
		t.Errorf("%v, %v", &feed, err)
	}
	var rest notificationv1.ListEventsResponse
	if err := s.rest(t.Context(), http.MethodGet, "/merchant/v1/events?after="+feed.GetNextAfter(), token, nil, &rest); err != nil || len(rest.GetEvents()) != 0 ||
		rest.GetNextAfter() != feed.GetNextAfter() {
		t.Errorf("%v, %v", &rest, err)
	}
	_ = refusedFor(t, s.rest(t.Context(), http.MethodGet, "/merchant/v1/events?after=elsewhere", token, nil, &rest), errs.PageTokenInvalid)
	down.answers(200)
	if out := s.does(t, "delivery", "list", "--order", orderID, "--delivery-state", "gave_up"); !strings.Contains(out, gaveUp.GetDeliveryId()) {
		t.Errorf("delivery list prints %q", out)
	}
	s.does(t, "delivery", "resend", gaveUp.GetDeliveryId())
	s.deliveriesOf(t, endpoint, notificationv1.DeliveryState_DELIVERY_STATE_DELIVERED, 1)
	out := s.does(t, "delivery", "show", gaveUp.GetDeliveryId())
	if !strings.Contains(out, "#17") || !strings.Contains(out, "acknowledged") || !strings.Contains(out, "#1 ") || !strings.Contains(out, "HTTP 503") {
		t.Errorf("delivery show prints %s", out)
	}
	for _, h := range down.about(t, "order.paid", orderID) {
		if h.id != gaveUp.GetEventId() || !h.signedBy(key) {
			t.Errorf("%+v", h)
		}
	}
	client := notificationv1.NewNotificationAdminServiceClient(s.conn)
	span := &notificationv1.ResendDeliveriesRequest{RequestId: unique("range"), EndpointId: endpoint, FromTime: pending.GetCreateTime(),
		ToTime: timestamppb.New(pending.GetCreateTime().AsTime().Add(time.Minute)), IncludeDelivered: true}
	for range 2 { // The second is a repeat.
		if res, err := client.ResendDeliveries(s.admin(t), span); err != nil || res.GetResent() != 1 || res.GetMore() {
			t.Errorf("%v, %v", res, err)
		}
	}
	s.deliveriesOf(t, endpoint, notificationv1.DeliveryState_DELIVERY_STATE_DELIVERED, 1)
	s.proveBooks(t)
}

// console gives what a merchant console's callback told of an order.
func (s *shop) console(t *testing.T, outOrderNo string) (out []heard) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.all {
		if strings.Contains(h.body, `"merchant_order_id":"`+outOrderNo+`"`) {
			out = append(out, h)
		}
	}
	return out
}

func TestACheckoutIsToldOfPaymentAndRefundAtTheAddressThatItNamed(t *testing.T) {
	t.Parallel()
	s := alone(t)
	p, merchant, market, mine := s.payer(t, 1_000_000), unique("shop"), newShop(t, 200), newShop(t, 200)
	endpoint, key := s.subscribe(t, "", "", "order.paid", "refund.changed")
	_, consoleKey := s.subscribeUnder(t, notificationv1.DeliveryProfile_DELIVERY_PROFILE_CHECKOUT_JSP, "", "")
	s.subscribe(t, merchant, mine.URL)
	address := market.URL + "/told?key=moon"
	var orders, numbers []string
	for _, named := range []string{address, ""} {
		draft := p.draft(100_000)
		draft.NotifyUrl, draft.Orders[0].MerchantId = named, merchant
		c := s.generate(t, draft)
		orderID := c.GetOrders()[0].GetOrderId()
		p.pay(t, c.GetCheckoutId())
		s.awaitOrder(t, orderID, orderv1.OrderState_ORDER_STATE_PAID)
		r, err := s.tryRefund(t, orderID, 40_000)
		if err != nil {
			t.Fatal(err)
		}
		s.awaitRefund(t, r.GetRefundId(), refundSucceeded)
		orders, numbers = append(orders, orderID), append(numbers, draft.GetOrders()[0].GetOutOrderNo())
	}
	refunded := func(r *shop, orderID string) []heard {
		return slices.DeleteFunc(r.about(t, "refund.changed", orderID), func(h heard) bool { return h.told(t).Data.Refund.State != "REFUND_STATE_SUCCEEDED" })
	}
	testkit.Eventually(t, 20*time.Second, func() bool {
		return len(market.about(t, "order.paid", orders[0])) > 0 && len(refunded(market, orders[0])) > 0 && len(market.console(t, numbers[0])) > 0 &&
			len(refunded(mine, orders[1])) > 0
	})
	for _, h := range append(market.about(t, "order.paid", orders[0]), market.about(t, "refund.changed", orders[0])...) {
		if !h.signedBy(key) || h.path != "/told?key=moon" || strings.Contains(h.body, "moon") {
			t.Errorf("%+v", h)
		}
	}
	if h := market.console(t, numbers[0])[0]; !h.signedForConsole(consoleKey) || !strings.Contains(h.body, `"order_amount":"100000","pay_amount":"100000"`) ||
		!strings.Contains(h.body, `"status":"PAID","payment_method":"CREDIT","pay_time":"`) || !strings.Contains(h.body, `"shopper_id":"`+p.id+`"`) {
		t.Errorf("%+v", h)
	}
	// The merchant's deliveries are made in the transaction that makes the callback's: with them, all were made.
	for i, want := range []int{4, 0} { // PAID, and the refund REQUESTED, EXECUTING and SUCCEEDED.
		var list notificationv1.ListDeliveriesResponse
		err := s.rest(t.Context(), http.MethodGet, "/admin/v1/deliveries?endpointId="+endpoint+"&orderId="+orders[i], s.Credentials.AdminToken, nil, &list)
		if err != nil || len(list.GetDeliveries()) != want {
			t.Errorf("order %d: %v, %v, want %d", i, &list, err, want)
		}
		for _, d := range list.GetDeliveries() {
			if d.GetUrl() != address {
				t.Errorf("%v", d)
			}
		}
	}
	if got := len(market.about(t, "order.paid", orders[1])) + len(market.console(t, numbers[1])); got != 0 {
		t.Errorf("an order whose checkout named no address was told %d times", got)
	}
	mine.mu.Lock()
	defer mine.mu.Unlock()
	for _, h := range mine.all {
		if strings.Contains(h.body, "moon") || strings.Contains(h.body, "notifyUrl") {
			t.Errorf("the merchant sees the address: %s", h.body)
		}
	}
}

func TestEndpointsAreChangedAndListed(t *testing.T) {
	t.Parallel()
	s := shared(t)
	client, merchant := notificationv1.NewNotificationAdminServiceClient(s.conn), unique("shop")
	first, _ := s.subscribe(t, merchant, "https://shop.example/1")
	second, _ := s.subscribe(t, merchant, "https://shop.example/2")
	change := &notificationv1.UpdateEndpointRequest{RequestId: unique("update"), EndpointId: first, Url: new("https://shop.example/new"), EventTypes: []string{"order.paid"}}
	if res, err := client.UpdateEndpoint(s.admin(t), change); err != nil || res.GetEndpoint().GetUrl() != change.GetUrl() || len(res.GetEndpoint().GetEventTypes()) != 1 {
		t.Errorf("%v, %v", res, err)
	}
	for url, types := range map[string][]string{"http://shop.example/": nil, "https://192.168.0.1/": nil, "https://shop.example/": {"loan.activated"}} {
		_, err := client.UpdateEndpoint(s.admin(t), &notificationv1.UpdateEndpointRequest{RequestId: unique("update"), EndpointId: first, Url: &url, EventTypes: types})
		want := errs.EndpointURLRefused
		if types != nil {
			want = errs.InvalidArgument
		}
		_ = refusedFor(t, told(err), want)
	}
	page, err := client.ListEndpoints(s.admin(t), &notificationv1.ListEndpointsRequest{MerchantId: merchant, PageSize: 1})
	if err != nil || len(page.GetEndpoints()) != 1 || page.GetEndpoints()[0].GetEndpointId() != second || page.GetNextPageToken() == "" {
		t.Fatalf("%v, %v", page, err)
	}
	page, err = client.ListEndpoints(s.admin(t), &notificationv1.ListEndpointsRequest{MerchantId: merchant, PageSize: 1, PageToken: page.GetNextPageToken()})
	if err != nil || len(page.GetEndpoints()) != 1 || page.GetEndpoints()[0].GetEndpointId() != first || page.GetNextPageToken() != "" {
		t.Errorf("%v, %v", page, err)
	}
	_, err = client.ResendDelivery(s.admin(t), &notificationv1.ResendDeliveryRequest{RequestId: unique("resend"), DeliveryId: unknownID(ids.Delivery)})
	_ = refusedFor(t, told(err), errs.NotFound)
}
