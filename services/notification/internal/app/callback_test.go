package app_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
	"github.com/creditpay/creditpay/services/notification/internal/event"
)

// dispatched sends what is due until a condition holds.
func (d *desk) dispatched(condition func() bool) {
	d.t.Helper()
	testkit.Eventually(d.t, within, func() error {
		if err := d.Dispatch(d.t.Context()); err != nil {
			return err
		}
		if !condition() {
			return errs.Internal.New("not yet")
		}
		return nil
	})
}

// about gives the deliveries of an order to an endpoint, newest first.
func (d *desk) about(e app.RegisteredEndpoint, order ids.ID) []domain.Delivery {
	d.t.Helper()
	list, _, err := d.ListDeliveries(d.t.Context(), app.DeliveryFilter{EndpointID: e.ID, OrderID: order}, 100)
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

// settleOne tells an order at an address and waits until that was acknowledged.
func (d *desk) settleOne(e app.RegisteredEndpoint, address string) domain.Delivery {
	d.t.Helper()
	d.tellAt("order.paid", "shop-1", d.gen.New(), address)
	d.dispatched(func() bool { return d.deliveries(e)[0].State == domain.Delivered })
	return d.deliveries(e)[0]
}

func TestAnOrderIsToldAtTheAddressThatItsCheckoutNamedAndAnotherIsNot(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	market := newReceiver(t, status(200))
	e := d.endpoint("", "", domain.Standard)
	n := d.tellAt("order.paid", "shop-1", d.gen.New(), market.URL+"/a?key=1")
	refund := d.tellAt("refund.changed", "shop-1", d.gen.New(), market.URL+"/b")
	d.tell("order.paid", "shop-1", d.gen.New())
	d.tell("loan.activated", "", ids.ID{})
	d.dispatched(func() bool { return len(market.requests()) == 2 })
	if list := d.deliveries(e); len(list) != 2 || list[0].URL != market.URL+"/b" || list[1].URL != market.URL+"/a?key=1" || list[0].EventID != refund.EventID {
		t.Errorf("%+v", list)
	}
	for _, one := range market.requests() {
		id := n.EventID
		if strings.Contains(one.body, "refund.changed") {
			id = refund.EventID
		}
		verify(t, one, e.Text, id)
	}
	d.dispatched(func() bool {
		return d.deliveries(e)[0].State == domain.Delivered && d.deliveries(e)[1].State == domain.Delivered
	})
	d.proveBooks()
}

func TestAConsoleIsToldSignedAndInOrder(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	console := newReceiver(t, status(500))
	e := d.endpoint("", "", domain.CheckoutJSP)
	order, address := d.gen.New(), console.URL+"/told.jsp?shop=1"
	d.tellAt("order.paid", "M001", order, address)
	d.tellAt("order.confirmed", "M001", order, address) // Its protocol has no word for it.
	d.tellAt("order.cancelled", "M001", order, address)
	d.dispatched(func() bool { list := d.deliveries(e); return list[1].Attempts == 1 && list[1].LeaseTime.IsZero() })
	if list := d.deliveries(e); len(list) != 2 || list[0].Type != "order.cancelled" || list[0].Attempts != 0 {
		t.Fatalf("%+v", list)
	}
	console.answers(status(204))
	d.clock.Advance(15 * time.Second)
	d.dispatched(func() bool {
		list := d.deliveries(e)
		return list[0].State == domain.Delivered && list[1].State == domain.Delivered
	})
	seen := console.requests()
	for i, want := range []string{"PAID", "PAID", "CANCELLED"} {
		var told map[string]string
		if err := json.Unmarshal([]byte(seen[i].body), &told); err != nil || told["status"] != want || told["merchant_id"] != "M001" || told["merchant_order_id"] != "NO-1" {
			t.Errorf("%s, %v", seen[i].body, err)
		}
		digest := sha256.Sum256([]byte("M001NO-1PAYIDR5CREDITu-1" + e.Text.Reveal()))
		body := sha256.Sum256([]byte(seen[i].body))
		mac := hmac.New(sha256.New, []byte(e.Text.Reveal()))
		_, _ = mac.Write([]byte(seen[i].header.Get("X-Timestamp") + "\n" + seen[i].header.Get("X-Nonce") + "\nPOST\n/told.jsp?shop=1\n" + hex.EncodeToString(body[:])))
		if told["encryption_data"] != hex.EncodeToString(digest[:]) || seen[i].header.Get("X-Signature-V2") != hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("%s\n%v", seen[i].body, seen[i].header)
		}
	}
	if seen[0].header.Get("X-Nonce") == seen[1].header.Get("X-Nonce") {
		t.Error("two attempts have one nonce")
	}
	d.proveBooks()
}

// One callback endpoint, any number of hosts: those that hang or fail have places and breakers of their own.
func TestADeadCallbackHostDelaysNobody(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 20*time.Second)
	ended := make(chan struct{})
	hangs := newReceiver(t, func(_ http.ResponseWriter, req *http.Request) { wait(req, ended) })
	fails, quick := newReceiver(t, status(503)), newReceiver(t, status(200))
	e := d.endpoint("", "", domain.Standard)
	for range 50 {
		d.tellAt("order.paid", "shop-1", d.gen.New(), hangs.URL+"/told")
		d.tellAt("order.paid", "shop-1", d.gen.New(), fails.URL+"/told")
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- d.RunSender(ctx) }()
	t.Cleanup(func() {
		close(ended)
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	// waiting counts what waits for a host: what is being sent to it, and what is due and is not.
	waiting := func(host string) (sent, overdue int) {
		list, _, err := d.ListDeliveries(t.Context(), app.DeliveryFilter{EndpointID: e.ID, State: domain.Pending}, 200)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range list {
			switch {
			case !strings.HasPrefix(one.URL, host):
			case !one.LeaseTime.IsZero():
				sent++
			case !one.DueTime.After(d.clock.Now()):
				overdue++
			}
		}
		return sent, overdue
	}
	// The host that fails was found dead and its backlog is put off; the one that hangs has its four places and no more.
	testkit.Eventually(t, within, func() bool {
		failing, overdue := waiting(fails.URL)
		hanging, _ := waiting(hangs.URL)
		return failing == 0 && overdue == 0 && hanging == 4 && len(hangs.requests()) == 4
	})
	if n := len(fails.requests()); n < 5 || n > 8 {
		t.Errorf("%d attempts at the host that fails before it was left alone", n)
	}
	begin := time.Now()
	for range 10 {
		d.tellAt("order.paid", "shop-2", d.gen.New(), quick.URL+"/told")
	}
	testkit.Eventually(t, 5*time.Second, func() bool { return len(quick.requests()) == 10 })
	t.Logf("ten callbacks beside 100 to hosts that hang or fail: %s", time.Since(begin))
	if sent, overdue := waiting(hangs.URL); sent != 4 || overdue != 46 || len(hangs.requests()) != 4 {
		t.Errorf("the host that hangs has %d at once and %d wait", sent, overdue)
	}
}

// What must not be posted to is an attempt with its error, as if the host had refused it: an operator sees why nobody was told.
func TestARefusedAddressIsAnAttemptThatTheLogShows(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	reached := newReceiver(t, status(200))
	d.App = d.reaching(domain.Reach{}, 5*time.Second) // As in production: this machine is closed.
	for _, profile := range []domain.Profile{domain.Standard, domain.PayProtocol, domain.CheckoutJSP} {
		e := d.endpoint("", "", profile)
		for address, want := range map[string]string{reached.URL + "/told": "must begin with https://", "https://10.0.0.1/told": "does not lead to the public network",
			"https://[broken": "is not absolute", "https://user:secret@market.example/": "must not hold a user", "told": "is not absolute"} {
			order := d.gen.New()
			d.tellAt("order.paid", "shop-1", order, address)
			d.dispatched(func() bool { list := d.about(e, order); return list[0].Attempts == 1 && list[0].LeaseTime.IsZero() })
			got, attempts, err := d.GetDelivery(t.Context(), d.about(e, order)[0].ID)
			if err != nil || got.State != domain.Pending || got.DueTime != d.clock.Now().Add(15*time.Second) || len(attempts) != 1 || attempts[0].Status != 0 ||
				!strings.Contains(attempts[0].Error, want) || got.LastError != attempts[0].Error || strings.Contains(attempts[0].Error, "secret") || got.URL != address {
				t.Errorf("%s: %+v\n%+v, %v", address, got, attempts, err)
			}
		}
		if _, err := d.SetEndpointState(t.Context(), request(), e.ID, domain.EndpointDisabled); err != nil {
			t.Fatal(err)
		}
	}
	if len(reached.requests()) != 0 {
		t.Error("a closed address was reached")
	}
	d.proveBooks()
}

func TestARefusedAddressIsGivenUpBehindTheLastRung(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	e := d.endpoint("", "", domain.PayProtocol)
	d.tellAt("order.paid", "shop-1", d.gen.New(), "https://192.168.0.1/")
	for i, pause := range domain.PayProtocol.Ladder() {
		d.settle(e, i+1)
		d.clock.Advance(pause)
	}
	if got := d.settle(e, 6); got.State != domain.GaveUp {
		t.Errorf("%+v", got)
	}
	d.proveBooks()
}

func TestADisabledCallbackEndpointStopsAndIsResentToTheFrozenAddresses(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	a, b := newReceiver(t, status(503)), newReceiver(t, status(503))
	e := d.endpoint("", "", domain.Standard)
	for range 6 {
		d.tellAt("order.paid", "shop-1", d.gen.New(), a.URL+"/told")
		d.tellAt("order.paid", "shop-1", d.gen.New(), b.URL+"/told")
	}
	d.dispatched(func() bool { return d.leased(e) == 0 && len(a.requests()) >= 5 && len(b.requests()) >= 5 }) // Both are left alone from here on.
	if _, err := d.SetEndpointState(t.Context(), request(), e.ID, domain.EndpointDisabled); err != nil {
		t.Fatal(err)
	}
	d.tellAt("order.closed", "shop-1", d.gen.New(), a.URL+"/told")
	stopped := func() int {
		list, _, err := d.ListDeliveries(t.Context(), app.DeliveryFilter{EndpointID: e.ID, State: domain.Stopped}, 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	d.clock.Advance(5 * time.Minute)
	d.dispatched(func() bool { return stopped() == 12 })
	heard := len(a.requests()) + len(b.requests())
	if n := len(d.deliveries(e)); n != 12 {
		t.Errorf("%d deliveries: a disabled endpoint got one", n)
	}
	if _, err := d.SetEndpointState(t.Context(), request(), e.ID, domain.EndpointEnabled); err != nil {
		t.Fatal(err)
	}
	a.answers(status(200))
	b.answers(status(200))
	span := app.ResendRange{EndpointID: e.ID, From: noon().Add(-time.Minute), To: noon().Add(time.Hour)}
	if resent, err := d.ResendDeliveries(t.Context(), request(), span); err != nil || resent.Count != 12 {
		t.Fatalf("%+v, %v", resent, err)
	}
	d.dispatched(func() bool {
		for _, one := range d.deliveries(e) {
			if one.State != domain.Delivered {
				return false
			}
		}
		return true
	})
	if n := len(a.requests()) + len(b.requests()) - heard; n != 12 {
		t.Errorf("%d requests", n)
	}
	first := d.deliveries(e)[11]
	if again, err := d.ResendDelivery(t.Context(), request(), first.ID); err != nil || again.URL != a.URL+"/told" || again.Round != 3 {
		t.Errorf("%+v, %v", again, err)
	}
	d.dispatched(func() bool { return len(a.requests())+len(b.requests())-heard == 13 && d.leased(e) == 0 })
	d.proveBooks()
}

// Resending by hand, one or a range, tries a host at once that is left alone.
func TestResendingACallbackTriesItsHostAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	r := newReceiver(t, status(200))
	e := d.endpoint("", "", domain.Standard)
	first := d.settleOne(e, r.URL+"/told")
	for rounds, resend := range []func() error{
		func() error { _, err := d.ResendDelivery(t.Context(), request(), first.ID); return err },
		func() error {
			_, err := d.ResendDeliveries(t.Context(), request(), app.ResendRange{EndpointID: e.ID, From: noon().Add(-time.Minute), To: noon().Add(time.Minute), Delivered: true})
			return err
		},
	} {
		r.answers(status(503))
		before := len(r.requests())
		for range 6 {
			d.tellAt("order.paid", "shop-1", d.gen.New(), r.URL+"/told")
		}
		d.dispatched(func() bool { return d.leased(e) == 0 && len(r.requests()) >= before+5 })
		r.answers(status(200))
		if err := resend(); err != nil {
			t.Fatal(err)
		}
		d.dispatched(func() bool {
			got, _, err := d.GetDelivery(t.Context(), first.ID)
			return err == nil && got.State == domain.Delivered && got.Attempts == rounds+2 && d.leased(e) == 0
		})
	}
	d.proveBooks()
}

func TestACallbackEndpointIsTheMarketplacesAndStaysOne(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	_, err := d.CreateEndpoint(t.Context(), request(), domain.Endpoint{Owner: domain.Owner{MerchantID: "shop-1"}, Profile: domain.Standard})
	if !errs.Is(err, errs.EndpointURLRefused) || !strings.Contains(err.Error(), "only the marketplace's may be without one") {
		t.Error(err)
	}
	e := d.endpoint("", "", domain.Standard)
	if _, err := d.UpdateEndpoint(t.Context(), request(), e.ID, app.EndpointChange{URL: "https://market.example/"}); !errs.Is(err, errs.InvalidArgument) {
		t.Error(err)
	}
	if changed, err := d.UpdateEndpoint(t.Context(), request(), e.ID, app.EndpointChange{Types: []string{"order.paid"}}); err != nil || !changed.Callback() || changed.Version != 2 {
		t.Errorf("%+v, %v", changed, err)
	}
	if rotated, err := d.RotateSecret(t.Context(), request(), e.ID, time.Minute); err != nil || rotated.Text == "" {
		t.Errorf("%+v, %v", rotated, err)
	}
	plain := d.endpoint("", "https://market.example/", domain.Standard)
	if _, err := d.UpdateEndpoint(t.Context(), request(), plain.ID, app.EndpointChange{}); !errs.Is(err, errs.InvalidArgument) {
		t.Error(err)
	}
	d.proveBooks()
}

// hear receives events as Kafka brings them.
func (d *desk) hear(messages ...proto.Message) {
	d.t.Helper()
	var events []inbox.Event
	for _, m := range messages {
		events = append(events, inbox.Event{ID: d.gen.New(), Time: d.clock.Now(), Payload: m})
	}
	l := &event.Listener{App: d.App, Store: d.store}
	if err := d.db.InTx(d.t.Context(), func(tx *mysqlx.Tx) error { return l.Apply(d.t.Context(), tx, events) }); err != nil {
		d.t.Fatal(err)
	}
}

// The address may hold a secret of the marketplace.
func TestAMerchantNeverSeesTheAddressThatACheckoutNamed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	market := newReceiver(t, status(200))
	address := market.URL + "/told?key=moon"
	ref := &orderv1.OrderRef{OrderId: ids.Format(ids.Order, d.gen.New()), MerchantId: "shop-1", OutOrderNo: "NO-1", UserId: "u-1", NotifyUrl: address}
	mine := map[domain.Profile]*receiver{domain.Standard: newReceiver(t, status(200)), domain.PayProtocol: newReceiver(t, text("success")),
		domain.CashierDesk: newReceiver(t, text(`{"code":1000}`)), domain.CashierDeskGM1: newReceiver(t, text(`{"code":1000}`)), domain.CheckoutJSP: newReceiver(t, status(200))}
	for profile, r := range mine {
		d.endpoint("shop-1", r.URL, profile)
	}
	callback := d.endpoint("", "", domain.Standard)
	d.hear(&orderv1.OrderPaid{Order: ref}, &orderv1.OrderConfirmed{Order: ref}, &orderv1.OrderCancelRequested{Order: ref}, &orderv1.OrderCancelled{Order: ref},
		&orderv1.OrderExpired{Order: ref}, &orderv1.OrderClosed{Order: ref},
		&refundv1.RefundChanged{Refund: &refundv1.Refund{OrderId: ref.GetOrderId(), MerchantId: "shop-1"}, NotifyUrl: address})
	d.dispatched(func() bool {
		for profile, r := range mine {
			want := 7
			if profile == domain.CheckoutJSP {
				want = 3
			}
			if len(r.requests()) < want {
				return false
			}
		}
		return len(market.requests()) == 7
	})
	for profile, r := range mine {
		for _, one := range r.requests() {
			if strings.Contains(one.body, "moon") || strings.Contains(one.body, "otify") {
				t.Errorf("%s: %s", profile, one.body)
			}
			for name, values := range one.header {
				if strings.Contains(strings.Join(values, " "), "moon") {
					t.Errorf("%s: %s: %v", profile, name, values)
				}
			}
		}
	}
	d.clock.Advance(app.FeedLag + time.Second)
	for _, owner := range []domain.Owner{{MerchantID: "shop-1"}, {}} {
		feed, err := d.ListEvents(t.Context(), owner, ids.ID{}, 100)
		if err != nil || len(feed) != 7 {
			t.Fatalf("%d, %v", len(feed), err)
		}
		for _, n := range feed {
			if strings.Contains(string(n.Payload), "moon") || n.NotifyURL != "" {
				t.Errorf("the feed of %q: %s", owner, n.Payload)
			}
		}
	}
	for _, one := range d.deliveries(callback) {
		if got, _, err := d.GetDelivery(t.Context(), one.ID); err != nil || got.URL != address || strings.Contains(string(got.Body), "moon") {
			t.Errorf("%+v, %v", got, err)
		}
	}
	d.dispatched(func() bool { return d.leased(callback) == 0 })
}

// Whoever sends the version that they have seen is refused once the endpoint is another; who sends none is not asked.
func TestChangeEndpoint_ChecksTheVersionSeen(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	e := d.endpoint("shop-1", "https://shop.example/told", domain.Standard)
	seen := func(version int64) app.Request {
		r := request()
		r.Version = version
		return r
	}
	changed, err := d.SetEndpointState(t.Context(), seen(e.Version), e.ID, domain.EndpointDisabled)
	if err != nil || changed.Version != e.Version+1 {
		t.Fatalf("with the endpoint's version: %+v, %v", changed, err)
	}
	if _, err := d.SetEndpointState(t.Context(), seen(e.Version), e.ID, domain.EndpointEnabled); !errs.Is(err, errs.ConcurrentChange) {
		t.Errorf("state with the version before: %v", err)
	}
	change := app.EndpointChange{URL: "https://shop.example/other", KeepTypes: true}
	if _, err := d.UpdateEndpoint(t.Context(), seen(e.Version), e.ID, change); !errs.Is(err, errs.ConcurrentChange) {
		t.Errorf("address with the version before: %v", err)
	}
	if _, err := d.UpdateEndpoint(t.Context(), seen(0), e.ID, change); err != nil {
		t.Errorf("without a version: %v", err)
	}
}
