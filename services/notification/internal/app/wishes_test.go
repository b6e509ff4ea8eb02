package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// listed is an endpoint as operators see it.
func (d *desk) listed(e app.RegisteredEndpoint) domain.Endpoint {
	d.t.Helper()
	all, _, err := d.ListEndpoints(d.t.Context(), app.EndpointFilter{}, 100)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, one := range all {
		if one.ID == e.ID {
			return one.Endpoint
		}
	}
	d.t.Fatal("the endpoint is not listed")
	return domain.Endpoint{}
}

func TestGone_EndsTheEndpoint(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	r := newReceiver(t, status(http.StatusGone))
	e := d.endpoint("shop-1", r.URL, domain.Standard)
	d.tell("order.paid", "shop-1", d.gen.New())
	got := d.settle(e, 1)
	if got.State != domain.GaveUp || !strings.Contains(got.LastError, "410") {
		t.Errorf("the delivery is %s: %s", got.State, got.LastError)
	}
	after := d.listed(e)
	if after.State != domain.EndpointDisabled || !strings.Contains(after.StateReason, "410") || !after.StateTime.Equal(d.clock.Now().UTC()) {
		t.Errorf("the endpoint is %d since %s: %q", after.State, after.StateTime, after.StateReason)
	}
	d.tell("order.confirmed", "shop-1", d.gen.New())
	if err := d.Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(d.deliveries(e)) != 1 || len(r.requests()) != 1 {
		t.Errorf("a disabled endpoint has %d deliveries and heard %d", len(d.deliveries(e)), len(r.requests()))
	}
	// An operator enables it again, and what was given up is sent.
	r.answers(status(204))
	back, err := d.SetEndpointState(t.Context(), request(), e.ID, domain.EndpointEnabled)
	if err != nil || back.State != domain.EndpointEnabled || back.StateReason != "by ADMIN:alice" {
		t.Fatalf("enabled again: %+v, %v", back.Endpoint, err)
	}
	if _, err := d.ResendDelivery(t.Context(), request(), got.ID); err != nil {
		t.Fatal(err)
	}
	if d.settle(e, 2).State != domain.Delivered {
		t.Error("it was not delivered")
	}
	d.proveBooks()
}

func TestGone_OfACheckoutsHostEndsThatDeliveryOnly(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	gone, alive := newReceiver(t, status(http.StatusGone)), newReceiver(t, status(204))
	e := d.endpoint("", "", domain.Standard)
	d.tellAt("order.paid", "shop-1", d.gen.New(), gone.URL)
	if got := d.settle(e, 1); got.State != domain.GaveUp {
		t.Errorf("it is %s", got.State)
	}
	if after := d.listed(e); after.State != domain.EndpointEnabled {
		t.Errorf("one host that is gone ended the endpoint of all: %s", after.StateReason)
	}
	d.tellAt("order.paid", "shop-1", d.gen.New(), alive.URL)
	testkit.Eventually(t, within, func() bool {
		return d.Dispatch(t.Context()) == nil && len(alive.requests()) == 1
	})
}

func TestRetryAfter_IsHeeded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	for name, one := range map[string]struct {
		status     int
		header     string
		from, most time.Duration // until the next attempt
	}{
		"seconds":                    {429, "600", 10 * time.Minute, 10 * time.Minute},
		"a date":                     {503, time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 58 * time.Minute, time.Hour},
		"another status":             {500, "600", 10 * time.Minute, 10 * time.Minute},
		"less than the rung":         {429, "1", 15 * time.Second, 15 * time.Second},
		"longer than a day":          {503, "999999999", 24 * time.Hour, 24 * time.Hour},
		"a date that is over":        {503, time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), 15 * time.Second, 15 * time.Second},
		"words":                      {429, "soon", 15 * time.Second, 15 * time.Second},
		"less than nothing":          {429, "-5", 15 * time.Second, 15 * time.Second},
		"more than a number can say": {429, strings.Repeat("9", 40), 15 * time.Second, 15 * time.Second},
	} {
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", one.header)
			w.WriteHeader(one.status)
		})
		e := d.endpoint("shop-"+strings.ReplaceAll(name, " ", "-"), r.URL, domain.Standard)
		d.tell("order.paid", e.Owner.MerchantID, d.gen.New())
		got := d.settle(e, 1)
		if wait := got.DueTime.Sub(d.clock.Now()); wait < one.from || wait > one.most {
			t.Errorf("%s: tried again after %s, want %s to %s", name, wait, one.from, one.most)
		}
	}
}

func TestRetryAfter_HoldsBackTheOthersOfTheEndpoint(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	e := d.endpoint("shop-1", r.URL, domain.Standard)
	d.tell("order.paid", "shop-1", d.gen.New())
	d.settle(e, 1)
	r.answers(status(204))
	d.tell("order.paid", "shop-1", d.gen.New())
	d.clock.Advance(30 * time.Minute)
	for range 3 {
		if err := d.Dispatch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.requests()); n != 1 {
		t.Errorf("a receiver that asked for an hour was spoken to %d times in half of it", n)
	}
	d.clock.Advance(31 * time.Minute)
	testkit.Eventually(t, within, func() bool {
		return d.Dispatch(t.Context()) == nil && len(r.requests()) == 3
	})
	testkit.Eventually(t, within, func() bool {
		list := d.deliveries(e)
		return list[0].State == domain.Delivered && list[1].State == domain.Delivered
	})
	d.proveBooks()
}
