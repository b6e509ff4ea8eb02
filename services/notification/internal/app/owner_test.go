package app_test

import (
	"encoding/json"
	"testing"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// Two marketplaces have a shop of the same name. An event of one reaches the endpoints and the feeds of that one, and nobody else's.
func TestOwner_EventsStayInTheirMarketplace(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 0)
	owners := []domain.Owner{{}, {MerchantID: "shop-1"}, {Marketplace: "beta"}, {Marketplace: "beta", MerchantID: "shop-1"}}
	var endpoints []app.RegisteredEndpoint
	for _, o := range owners {
		made, err := d.CreateEndpoint(t.Context(), request(), domain.Endpoint{Owner: o, URL: "https://shop.example/x", Profile: domain.Standard})
		if err != nil || made.Owner != o {
			t.Fatalf("endpoint of %+v: %+v, %v", o, made.Owner, err)
		}
		endpoints = append(endpoints, made)
	}
	events := map[string]domain.Notice{}
	for _, market := range []string{"", "beta"} {
		n := domain.Notice{EventID: d.gen.New(), Type: "order.paid", Marketplace: market, MerchantID: "shop-1", OrderID: d.gen.New(), Time: d.clock.Now(),
			Payload: json.RawMessage(`{}`)}
		events[market] = n
		err := d.db.InTx(t.Context(), func(tx *mysqlx.Tx) error {
			return d.store.Join(tx, func(tx app.EventTx) error { return d.ApplyNotices(t.Context(), tx, []domain.Notice{n}) })
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	d.clock.Advance(2 * app.FeedLag)
	for i, o := range owners {
		want := events[o.Marketplace].EventID
		if got := d.deliveries(endpoints[i]); len(got) != 1 || got[0].EventID != want {
			t.Errorf("deliveries of %+v: %+v, want one of %s", o, got, want)
		}
		if got, err := d.ListEvents(t.Context(), o, ids.ID{}, 10); err != nil || len(got) != 1 || got[0].EventID != want {
			t.Errorf("feed of %+v: %+v, %v, want one of %s", o, got, err, want)
		}
	}
	for _, market := range []string{"", "beta"} {
		page, _, err := d.ListEndpoints(t.Context(), app.EndpointFilter{Marketplace: &market}, 10)
		if err != nil || len(page) != 2 || page[0].Owner.Marketplace != market {
			t.Errorf("endpoints of %q: %+v, %v, want its 2", market, page, err)
		}
	}
}
