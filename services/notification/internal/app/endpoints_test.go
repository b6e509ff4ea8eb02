package app_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

func TestASecretIsShownOnceAndKeptSealed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	ask, e := request(), domain.Endpoint{Owner: domain.Owner{MerchantID: "shop-1"}, URL: "https://shop.example/x", Profile: domain.Standard}
	first, err := d.CreateEndpoint(t.Context(), ask, e)
	if err != nil || !strings.HasPrefix(first.Text.Reveal(), "whsec_") || strings.Contains(fmt.Sprintf("%+v", first), first.Text.Reveal()) {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := d.CreateEndpoint(t.Context(), ask, e)
	if err != nil || again.ID != first.ID || again.Text != "" {
		t.Errorf("%+v, %v", again, err)
	}
	e.URL = "https://shop.example/y"
	if _, err := d.CreateEndpoint(t.Context(), ask, e); !errs.Is(err, errs.RequestIDReused) {
		t.Error(err)
	}
	for _, query := range []string{`SELECT COUNT(*) FROM endpoint_secrets WHERE LOCATE(?, sealed) > 0`, `SELECT COUNT(*) FROM idempotency WHERE LOCATE(?, answer) > 0`} {
		var n int
		if err := d.db.QueryRow(query, first.Text.Reveal()[len("whsec_"):]).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d, %v", query, n, err)
		}
	}
	e.URL = "https://10.0.0.1/"
	if _, err := d.CreateEndpoint(t.Context(), request(), e); !errs.Is(err, errs.EndpointURLRefused) {
		t.Error(err)
	}
}

func TestBothKeysSignUntilTheOldOneEnds(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	r := newReceiver(t, status(200))
	e := d.endpoint("shop-1", r.URL, domain.Standard)
	d.clock.Advance(time.Hour)
	rotated, err := d.RotateSecret(t.Context(), request(), e.ID, 10*time.Minute)
	if err != nil || rotated.Text == "" || rotated.Text == e.Text || len(rotated.Secrets) != 2 {
		t.Fatalf("%+v, %v", rotated, err)
	}
	n := d.tell("order.paid", "shop-1", d.gen.New())
	d.settle(e, 1)
	seen := r.requests()[0]
	verify(t, seen, rotated.Text, n.EventID)
	verify(t, seen, e.Text, n.EventID)
	both := strings.Fields(seen.header.Get("webhook-signature"))
	if len(both) != 2 {
		t.Fatal(both)
	}
	d.clock.Advance(10 * time.Minute)
	if _, err := d.ResendDelivery(t.Context(), request(), d.deliveries(e)[0].ID); err != nil {
		t.Fatal(err)
	}
	d.settle(e, 2)
	last := r.requests()[1]
	verify(t, last, rotated.Text, n.EventID)
	if len(strings.Fields(last.header.Get("webhook-signature"))) != 1 {
		t.Error("the old key still signs")
	}
	d.proveBooks()
	// Two rotations in a row: the key of the first overlaps, the one before ends at once.
	for range 2 {
		if rotated, err = d.RotateSecret(t.Context(), request(), e.ID, time.Hour); err != nil || len(rotated.Secrets) != 2 {
			t.Fatalf("%+v, %v", rotated, err)
		}
		d.clock.Advance(time.Second)
	}
	d.proveBooks()
}

// A message of these profiles carries one signature, and nobody outside can know a key before it is shown.
func TestAReceiverOfOneSignatureHasTheOverlapToEnterTheNewKey(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	r := newReceiver(t, text("success"))
	e := d.endpoint("shop-1", r.URL, domain.PayProtocol)
	rotated, err := d.RotateSecret(t.Context(), request(), e.ID, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	d.tell("order.paid", "shop-1", d.gen.New())
	d.settle(e, 1)
	d.clock.Advance(10 * time.Minute)
	if _, err := d.ResendDelivery(t.Context(), request(), d.deliveries(e)[0].ID); err != nil {
		t.Fatal(err)
	}
	d.settle(e, 2)
	for i, key := range []secret.Masked{e.Text, rotated.Text} {
		seen := r.requests()[i]
		seconds, err := strconv.ParseInt(seen.header.Get("X-PAY-TIMESTAMP"), 10, 64)
		if want := domain.SignPayProtocol(key, time.Unix(seconds, 0), "POST", "/", []byte(seen.body)); err != nil || seen.header.Get("X-PAY-SIGN") != want {
			t.Errorf("attempt %d is not signed with its key: %v", i+1, err)
		}
	}
}

func TestAnEndpointIsChangedAndListed(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	var made []app.RegisteredEndpoint
	for i := range 3 {
		made = append(made, d.endpoint("shop-1", fmt.Sprintf("https://shop.example/%d", i), domain.Standard))
	}
	d.endpoint("", "https://market.example/", domain.Standard)
	changed, err := d.UpdateEndpoint(t.Context(), request(), made[0].ID, app.EndpointChange{URL: "https://shop.example/new", Types: []string{"order.paid"}})
	if err != nil || changed.URL != "https://shop.example/new" || changed.Version != 2 || changed.Types[0] != "order.paid" || changed.Text != "" {
		t.Errorf("%+v, %v", changed, err)
	}
	if _, err := d.UpdateEndpoint(t.Context(), request(), made[0].ID, app.EndpointChange{URL: "http://shop.example/"}); !errs.Is(err, errs.EndpointURLRefused) {
		t.Error(err)
	}
	if _, err := d.UpdateEndpoint(t.Context(), request(), ids.ID{9}, app.EndpointChange{URL: "https://shop.example/"}); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	page, more, err := d.ListEndpoints(t.Context(), app.EndpointFilter{MerchantID: "shop-1"}, 2)
	if err != nil || len(page) != 2 || !more || page[0].ID != made[2].ID || len(page[0].Secrets) != 1 {
		t.Fatalf("%+v, %v, %v", page, more, err)
	}
	page, more, err = d.ListEndpoints(t.Context(), app.EndpointFilter{MerchantID: "shop-1", Below: page[1].ID}, 2)
	if err != nil || len(page) != 1 || more || page[0].ID != made[0].ID {
		t.Errorf("%+v, %v, %v", page, more, err)
	}
	if all, _, err := d.ListEndpoints(t.Context(), app.EndpointFilter{}, 10); err != nil || len(all) != 4 {
		t.Errorf("%d, %v", len(all), err)
	}
	d.tell("order.closed", "shop-1", d.gen.New())
	if n := len(d.deliveries(made[0])); n != 0 {
		t.Error("an endpoint got a type that it does not want")
	}
}

func TestTheFeedGivesEachOwnerItsOwnEventsInTheOrderOfReceipt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	one := d.tell("order.paid", "shop-1", d.gen.New())
	d.tell("order.paid", "shop-2", d.gen.New())
	d.tell("loan.activated", "", ids.ID{})
	d.clock.Advance(app.FeedLag - time.Second)
	if got, err := d.ListEvents(t.Context(), domain.Owner{}, ids.ID{}, 10); err != nil || len(got) != 0 {
		t.Errorf("too early: %+v, %v", got, err)
	}
	d.clock.Advance(2 * time.Second)
	two := d.tell("order.confirmed", "shop-1", one.OrderID)
	d.clock.Advance(8 * 24 * time.Hour) // The receiver was away for a week.
	mine, err := d.ListEvents(t.Context(), domain.Owner{MerchantID: "shop-1"}, ids.ID{}, 10)
	if err != nil || len(mine) != 2 || mine[0].EventID != one.EventID || mine[1].EventID != two.EventID || mine[0].OrderID != one.OrderID ||
		string(mine[0].Payload) != string(one.Payload) || mine[0].Time != one.Time {
		t.Fatalf("%+v, %v", mine, err)
	}
	if rest, err := d.ListEvents(t.Context(), domain.Owner{MerchantID: "shop-1"}, mine[0].ID, 10); err != nil || len(rest) != 1 || rest[0].EventID != two.EventID {
		t.Errorf("%+v, %v", rest, err)
	}
	if rest, err := d.ListEvents(t.Context(), domain.Owner{MerchantID: "shop-1"}, mine[1].ID, 10); err != nil || len(rest) != 0 {
		t.Errorf("%+v, %v", rest, err)
	}
	if all, err := d.ListEvents(t.Context(), domain.Owner{}, ids.ID{}, 10); err != nil || len(all) != 4 {
		t.Errorf("%d, %v", len(all), err)
	}
}
