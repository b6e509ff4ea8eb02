package app_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// verify checks a request as a receiver of Standard Webhooks does.
func verify(t *testing.T, r got, key secret.Masked, eventID ids.ID) {
	t.Helper()
	at, err := strconv.ParseInt(r.header.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute {
		t.Errorf("timestamp %q", r.header.Get("webhook-timestamp"))
	}
	want, err := domain.SignStandard(key, r.header.Get("webhook-id"), time.Unix(at, 0), []byte(r.body))
	if err != nil || !strings.Contains(" "+r.header.Get("webhook-signature")+" ", " "+want+" ") || r.header.Get("webhook-id") != ids.Format(ids.Event, eventID) {
		t.Errorf("signature %q of %q, want %s, %v", r.header.Get("webhook-signature"), r.header.Get("webhook-id"), want, err)
	}
}

func TestAnOrdersEventGoesSignedToItsMerchantAndToTheMarketplace(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	mine, market, other := newReceiver(t, status(204)), newReceiver(t, status(200)), newReceiver(t, status(200))
	a, b, c := d.endpoint("shop-1", mine.URL+"/x", domain.Standard), d.endpoint("", market.URL, domain.Standard), d.endpoint("shop-2", other.URL, domain.Standard)
	n := d.tell("order.paid", "shop-1", d.gen.New())
	d.tell("loan.activated", "", ids.ID{})
	d.settle(a, 1)
	testkit.Eventually(t, within, func() bool { return len(market.requests()) == 2 })
	verify(t, mine.requests()[0], a.Text, n.EventID)
	if len(mine.requests()) != 1 || len(other.requests()) != 0 || len(d.deliveries(c)) != 0 {
		t.Errorf("the merchant heard %d times, another %d times", len(mine.requests()), len(other.requests()))
	}
	testkit.Eventually(t, within, func() bool {
		list := d.deliveries(b)
		return len(list) == 2 && list[0].State == domain.Delivered && list[1].State == domain.Delivered
	})
	d.proveBooks()
}

func TestTheLadderIsClimbedToTheSecondWithTheSameIdAndBodyAndThenGivenUp(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	r := newReceiver(t, status(500))
	e := d.endpoint("shop-1", r.URL, domain.Standard)
	n := d.tell("order.paid", "shop-1", d.gen.New())
	begin, ladder := d.clock.Now(), domain.Standard.Ladder()
	for i, pause := range ladder {
		got := d.settle(e, i+1)
		if got.State != domain.Pending || got.DueTime != d.clock.Now().Add(pause) {
			t.Fatalf("after attempt %d: %+v", i+1, got)
		}
		d.clock.Advance(pause - time.Second)
		if err := d.Dispatch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(r.requests()) != i+1 {
			t.Fatalf("it was sent a second before its rung %d", i+1)
		}
		d.clock.Advance(time.Second)
	}
	got := d.settle(e, 16)
	if got.State != domain.GaveUp || d.clock.Now().Sub(begin) != 86_640*time.Second || got.LastError != "answered HTTP 500, not 2xx" {
		t.Errorf("%+v after %s", got, d.clock.Now().Sub(begin))
	}
	seen := r.requests()
	for i, one := range seen {
		verify(t, one, e.Text, n.EventID)
		if one.body != seen[0].body {
			t.Errorf("attempt %d has another body", i+1)
		}
	}
	d.proveBooks()
	r.answers(status(200))
	if again, err := d.ResendDelivery(t.Context(), request(), got.ID); err != nil || again.State != domain.Pending || again.Round != 2 {
		t.Fatalf("%+v, %v", again, err)
	}
	if got = d.settle(e, 17); got.State != domain.Delivered {
		t.Errorf("%+v", got)
	}
	verify(t, r.requests()[16], e.Text, n.EventID)
	d.proveBooks()
}

func TestWhatIsNoAcknowledgementIsWrittenDownAndRepeated(t *testing.T) {
	t.Parallel()
	elsewhere := newReceiver(t, status(200))
	huge := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		for range 100 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 10_000))
		}
	}
	hangs := make(chan struct{})
	t.Cleanup(func() { close(hangs) })
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		profile domain.Profile
		status  int
		err     string
		answers string
	}{
		"500":               {status(500), domain.Standard, 500, "answered HTTP 500", ""},
		"a redirect":        {http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect).ServeHTTP, domain.Standard, 307, "answered HTTP 307", ""},
		"a huge answer":     {huge, domain.Standard, 400, "answered HTTP 400", strings.Repeat("x", 512)},
		"no answer in time": {func(_ http.ResponseWriter, r *http.Request) { wait(r, hangs) }, domain.Standard, 0, "no answer in time", ""},
		"a broken line":     {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, domain.Standard, 0, "EOF", ""},
		"another text":      {text("OK"), domain.PayProtocol, 200, `did not answer the text "success"`, "OK"},
		"another code":      {text(`{"code":500}`), domain.CashierDesk, 200, `did not answer JSON with "code": 1000`, `{"code":500}`},
		"answer too long":   {text("success" + strings.Repeat(" ", 100_000)), domain.PayProtocol, 200, `did not answer the text "success"`, "success"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, 500*time.Millisecond)
			e := d.endpoint("shop-1", newReceiver(t, c.answer).URL, c.profile)
			d.tell("order.paid", "shop-1", d.gen.New())
			got := d.settle(e, 1)
			_, attempts := d.one(e)
			a := attempts[0]
			if got.State != domain.Pending || got.DueTime != d.clock.Now().Add(15*time.Second) || a.Status != c.status || !strings.Contains(a.Error, c.err) ||
				!strings.HasPrefix(string(a.Answer), c.answers) || len(a.Answer) > 512 || a.Latency <= 0 {
				t.Errorf("%+v\n%+v", got, a)
			}
			d.proveBooks()
		})
	}
	if len(elsewhere.requests()) != 0 {
		t.Error("a redirect was followed")
	}
}

// wait hangs until the client or the test goes away.
func wait(r *http.Request, ended <-chan struct{}) {
	select {
	case <-r.Context().Done():
	case <-ended:
	}
}

func TestOtherProfilesAreAcknowledgedTheirWay(t *testing.T) {
	t.Parallel()
	for profile, answer := range map[domain.Profile]string{domain.PayProtocol: "success", domain.CashierDesk: `{"code":1000}`} {
		d := newDesk(t, 5*time.Second)
		r := newReceiver(t, text(answer))
		e := d.endpoint("shop-1", r.URL+"/notify?shop=1", profile)
		d.tell("order.paid", "shop-1", d.gen.New())
		if got := d.settle(e, 1); got.State != domain.Delivered {
			t.Errorf("%s: %+v", profile, got)
		}
		seen := r.requests()[0]
		if at, _ := strconv.ParseInt(seen.header.Get("X-PAY-TIMESTAMP"), 10, 64); profile == domain.PayProtocol &&
			(seen.header.Get("X-PAY-SIGN") != domain.SignPayProtocol(e.Text, time.Unix(at, 0), "POST", "/notify?shop=1", []byte(seen.body)) || seen.header.Get("X-PAY-KEY") != "app-1") {
			t.Errorf("%v", seen.header)
		}
		if profile == domain.CashierDesk && (!strings.Contains(seen.body, `"appId":"app-1"`) || !strings.Contains(seen.body, `"outTradeNo":"NO-1"`)) {
			t.Errorf("%s", seen.body)
		}
	}
}

func TestNoticesOfAnOrderComeOneAfterTheOtherWhereTheProfileAsksForIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	keeps, free := newReceiver(t, text("no")), newReceiver(t, status(500))
	e, f := d.endpoint("shop-1", keeps.URL, domain.PayProtocol), d.endpoint("shop-1", free.URL, domain.Standard)
	order := d.gen.New()
	d.tell("order.paid", "shop-1", order)
	d.tell("order.confirmed", "shop-1", order)
	d.tell("order.paid", "shop-1", d.gen.New()) // Another order waits for none of these.
	if err := d.Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, within, func() bool {
		tried := 0
		for _, one := range append(d.deliveries(e), d.deliveries(f)...) {
			tried += one.Attempts
		}
		return tried == 5
	})
	if list := d.deliveries(e); list[1].Type != "order.confirmed" || list[1].Attempts != 0 || list[2].Attempts != 1 {
		t.Errorf("%+v", list)
	}
	keeps.answers(text("success"))
	d.clock.Advance(15 * time.Second)
	testkit.Eventually(t, within, func() error {
		err := d.Dispatch(t.Context())
		for _, one := range d.deliveries(e) {
			if one.State != domain.Delivered {
				err = errs.Internal.New("%s is %s", one.Type, one.State)
			}
		}
		return err
	})
	d.proveBooks()
}

func TestADisabledEndpointGetsNothingAndARangeIsResent(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	r := newReceiver(t, status(500))
	e := d.endpoint("shop-1", r.URL, domain.Standard)
	for range 3 {
		d.tell("order.paid", "shop-1", d.gen.New())
	}
	if _, err := d.SetEndpointState(t.Context(), request(), e.ID, domain.EndpointDisabled); err != nil {
		t.Fatal(err)
	}
	d.tell("order.closed", "shop-1", d.gen.New())
	if err := d.Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, within, func() bool {
		stopped, _, err := d.ListDeliveries(t.Context(), app.DeliveryFilter{State: domain.Stopped, Type: "order.paid"}, 10)
		return err == nil && len(stopped) == 3
	})
	if len(d.deliveries(e)) != 3 || len(r.requests()) != 0 {
		t.Errorf("%d deliveries, %d requests", len(d.deliveries(e)), len(r.requests()))
	}
	d.proveBooks()
	hour := app.ResendRange{EndpointID: e.ID, From: noon().Add(-time.Minute), To: noon().Add(time.Hour)}
	if _, err := d.ResendDeliveries(t.Context(), request(), hour); !errs.Is(err, errs.EndpointDisabled) {
		t.Error(err)
	}
	if _, err := d.SetEndpointState(t.Context(), request(), e.ID, domain.EndpointEnabled); err != nil {
		t.Fatal(err)
	}
	r.answers(status(200))
	ask := request()
	for range 2 { // A repeat has no further effect.
		if resent, err := d.ResendDeliveries(t.Context(), ask, hour); err != nil || resent != (app.Resent{Count: 3}) {
			t.Fatalf("%+v, %v", resent, err)
		}
	}
	if err := d.Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, within, func() bool {
		done, _, err := d.ListDeliveries(t.Context(), app.DeliveryFilter{State: domain.Delivered}, 10)
		return err == nil && len(done) == 3
	})
	if resent, err := d.ResendDeliveries(t.Context(), request(), hour); err != nil || resent.Count != 0 {
		t.Errorf("what was acknowledged is resent unasked: %+v, %v", resent, err)
	}
	hour.Delivered = true
	if resent, err := d.ResendDeliveries(t.Context(), request(), hour); err != nil || resent.Count != 3 {
		t.Errorf("%+v, %v", resent, err)
	}
	d.proveBooks()
}

func TestAClaimedDeliveryWhoseProcessDiedIsSentAgainUnderTheSameId(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	r := newReceiver(t, status(200))
	e := d.endpoint("shop-1", r.URL, domain.Standard)
	n := d.tell("order.paid", "shop-1", d.gen.New())
	due, err := d.store.Due(t.Context(), d.clock.Now(), domain.WaitsLongest, nil, 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("%v, %v", due, err)
	}
	// A process claims it, and is killed before it can write anything down.
	if ok, err := d.store.Claim(t.Context(), due[0], d.clock.Now().Add(time.Minute)); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if ok, err := d.store.Claim(t.Context(), due[0], d.clock.Now().Add(time.Minute)); err != nil || ok {
		t.Fatal("it was claimed twice", err)
	}
	d.clock.Advance(time.Minute - time.Second)
	if err := d.Dispatch(t.Context()); err != nil || len(r.requests()) != 0 {
		t.Fatalf("it was taken within its lease: %v", err)
	}
	d.clock.Advance(time.Second)
	if got := d.settle(e, 1); got.State != domain.Delivered {
		t.Errorf("%+v", got)
	}
	verify(t, r.requests()[0], e.Text, n.EventID)
	d.proveBooks()
}

func TestAnAttemptThatAStopCutsOffIsNotCounted(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 30*time.Second)
	reached, ended := make(chan struct{}, 1), make(chan struct{})
	t.Cleanup(func() { close(ended) })
	r := newReceiver(t, func(_ http.ResponseWriter, req *http.Request) { reached <- struct{}{}; wait(req, ended) })
	e := d.endpoint("shop-1", r.URL, domain.Standard)
	d.tell("order.paid", "shop-1", d.gen.New())
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- d.RunSender(ctx) }()
	<-reached
	cancel()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if got, attempts := d.one(e); got.Attempts != 0 || len(attempts) != 0 || got.DueTime != noon() || !got.LeaseTime.IsZero() {
		t.Errorf("%+v", got)
	}
	r.answers(status(200))
	next := d.process(5 * time.Second)
	if err := next.Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, within, func() bool { return d.deliveries(e)[0].State == domain.Delivered })
}

// Endpoints that hang, with long backlogs, do not hold up one that answers.
func TestEndpointsThatHangDoNotDelayOthers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 20*time.Second)
	ended := make(chan struct{})
	hang := func(_ http.ResponseWriter, req *http.Request) { wait(req, ended) }
	var dead []app.RegisteredEndpoint
	for range 5 {
		dead = append(dead, d.endpoint("shop-1", newReceiver(t, hang).URL, domain.Standard))
	}
	quick := newReceiver(t, status(200))
	alive := d.endpoint("shop-2", quick.URL, domain.Standard)
	for range 100 {
		d.tell("order.paid", "shop-1", d.gen.New())
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
	testkit.Eventually(t, within, func() bool { return d.leased(dead[0]) == 4 && d.leased(dead[4]) == 4 })
	begin := time.Now()
	for range 10 {
		d.tell("order.paid", "shop-2", d.gen.New())
	}
	testkit.Eventually(t, 5*time.Second, func() bool { return len(quick.requests()) == 10 })
	t.Logf("ten deliveries beside 500 that hang: %s", time.Since(begin))
	for _, e := range dead {
		if n := d.leased(e); n != 4 {
			t.Errorf("an endpoint that hangs has %d at once, want 4", n)
		}
	}
	testkit.Eventually(t, within, func() bool { return d.deliveries(alive)[9].State == domain.Delivered })
}

// However many endpoints hang at once, they do not take every place.
func TestManyEndpointsThatHangLeavePlacesForOthers(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 20*time.Second)
	ended := make(chan struct{})
	hanging := newReceiver(t, func(_ http.ResponseWriter, req *http.Request) { wait(req, ended) })
	var dead []app.RegisteredEndpoint
	for i := range 30 { // With four places each they would take 120 of the 64.
		dead = append(dead, d.endpoint("shop-1", fmt.Sprintf("%s/%d", hanging.URL, i), domain.Standard))
	}
	quick := newReceiver(t, status(200))
	d.endpoint("shop-2", quick.URL, domain.Standard)
	for range 4 {
		d.tell("order.paid", "shop-1", d.gen.New())
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
	testkit.Eventually(t, within, func() bool { return d.leased(dead[0]) > 0 && d.leased(dead[29]) > 0 })
	d.tell("order.paid", "shop-2", d.gen.New())
	testkit.Eventually(t, 5*time.Second, func() bool { return len(quick.requests()) == 1 })
}

func TestTwoProcessesSendEachDeliveryOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	r := newReceiver(t, status(200))
	e := d.endpoint("shop-1", r.URL, domain.Standard)
	const many = 60
	for range many {
		d.tell("order.paid", "shop-1", d.gen.New())
	}
	both := []*app.App{d.App, d.process(5 * time.Second)}
	testkit.Eventually(t, within, func() error {
		var g sync.WaitGroup
		for _, process := range both {
			g.Go(func() {
				if err := process.Dispatch(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		g.Wait()
		for _, one := range d.deliveries(e) {
			if one.State != domain.Delivered {
				return errs.Internal.New("%+v", one)
			}
		}
		return nil
	})
	if n := len(r.requests()); n != many {
		t.Errorf("%d requests for %d deliveries", n, many)
	}
	d.proveBooks()
}

// leased is how many deliveries of an endpoint are being sent.
func (d *desk) leased(e app.RegisteredEndpoint) int {
	n := 0
	for _, one := range d.deliveries(e) {
		if !one.LeaseTime.IsZero() {
			n++
		}
	}
	return n
}

func TestADeadEndpointsBacklogIsPutOffAndTriedNowAndThen(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	r := newReceiver(t, status(503))
	e := d.endpoint("shop-1", r.URL, domain.Standard)
	for range 20 {
		d.tell("order.paid", "shop-1", d.gen.New())
	}
	overdue := func() (n int) {
		for _, one := range d.deliveries(e) {
			if !one.DueTime.After(d.clock.Now()) {
				n++
			}
		}
		return n
	}
	testkit.Eventually(t, within, func() error {
		if err := d.Dispatch(t.Context()); err != nil || overdue() > 0 || d.leased(e) > 0 {
			return errs.Internal.New("%d are due: %v", overdue(), err)
		}
		return nil
	})
	if n := len(r.requests()); n < 5 || n > 8 {
		t.Errorf("%d attempts before it was left alone", n)
	}
	r.answers(status(200))
	testkit.Eventually(t, within, func() error {
		d.clock.Advance(5 * time.Minute)
		if err := d.Dispatch(t.Context()); err != nil {
			return err
		}
		for _, one := range d.deliveries(e) {
			if one.State != domain.Delivered {
				return errs.Internal.New("%+v", one)
			}
		}
		return nil
	})
	d.proveBooks()
}
