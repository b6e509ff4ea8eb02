package domain_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/statetable"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func TestVectorLadder(t *testing.T) {
	t.Parallel()
	v := load(t)
	for profile, want := range map[domain.Profile][]int{domain.Standard: v.Ladder, domain.CashierDesk: v.Ladder, domain.PayProtocol: v.PayProtocol[1:],
		domain.CheckoutJSP: v.Ladder, domain.CashierDeskGM1: v.Ladder} {
		var got []int
		for _, pause := range profile.Ladder() {
			got = append(got, int(pause/time.Second))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", profile, got, want)
		}
	}
}

// climb fails a delivery until it ends, each attempt taking a while, and gives the pauses between them.
func climb(t *testing.T, d domain.Delivery, p domain.Profile, takes time.Duration) (domain.Delivery, []time.Duration) {
	t.Helper()
	var pauses []time.Duration
	now := d.DueTime
	for n := 1; d.State == domain.Pending; n++ {
		if n > 100 {
			t.Fatal("it has no end")
		}
		end := now.Add(takes)
		d = d.Tried(domain.Attempt{No: n, Error: "no"}, end, p.Ladder())
		if d.State == domain.Pending {
			pauses = append(pauses, d.DueTime.Sub(end))
			now = d.DueTime
		}
	}
	return d, pauses
}

func TestADeliveryIsRepeatedToTheSecondCountedFromTheEndOfEachAttempt(t *testing.T) {
	t.Parallel()
	for _, p := range domain.Profiles() {
		first, err := domain.New(ids.ID{1}, domain.Notice{Type: "order.paid", Payload: []byte(`{}`)}, domain.Endpoint{Profile: p}, noon())
		if err != nil {
			t.Fatal(err)
		}
		d, pauses := climb(t, first, p, 7*time.Second)
		if !slices.Equal(pauses, p.Ladder()) || d.State != domain.GaveUp || d.Attempts != len(p.Ladder())+1 || d.FinishTime.IsZero() || !d.DueTime.IsZero() {
			t.Errorf("%s: %v, %+v", p, pauses, d)
		}
		var sum time.Duration
		for _, pause := range pauses {
			sum += pause
		}
		if p == domain.Standard && (len(pauses) != 15 || sum != 86_640*time.Second) {
			t.Errorf("%d repeats in %s", len(pauses), sum)
		}
		again, err := d.Resend(noon())
		if err != nil || again.State != domain.Pending || again.Round != 2 || again.Rung != 0 || again.Attempts != d.Attempts || again.DueTime != noon() {
			t.Errorf("resent: %+v, %v", again, err)
		}
		if d, pauses = climb(t, again, p, 0); !slices.Equal(pauses, p.Ladder()) || d.State != domain.GaveUp {
			t.Errorf("the second round of %s: %v", p, pauses)
		}
	}
}

func TestAnAcknowledgementEndsADelivery(t *testing.T) {
	t.Parallel()
	d := domain.Delivery{State: domain.Pending, Round: 1, Rung: 3, Attempts: 3, Version: 8, DueTime: noon(), LeaseTime: noon()}
	got := d.Tried(domain.Attempt{}, noon(), domain.Standard.Ladder())
	if got.State != domain.Delivered || got.FinishTime != noon() || !got.DueTime.IsZero() || !got.LeaseTime.IsZero() || got.Version != 9 || got.Attempts != 4 {
		t.Errorf("%+v", got)
	}
}

func TestADeliveryThatIsBeingSentIsNotResent(t *testing.T) {
	t.Parallel()
	d := domain.Delivery{State: domain.Pending, Round: 1, Rung: 3, LeaseTime: noon().Add(time.Second)}
	if _, err := d.Resend(noon()); !errs.Is(err, errs.ConcurrentChange) {
		t.Error(err)
	}
	d.LeaseTime = noon() // Over.
	if got, err := d.Resend(noon()); err != nil || got.Round != 1 || got.Rung != 0 || got.DueTime != noon() {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := d.Stop(noon()).Resend(noon()); err != nil || got.Round != 2 || got.State != domain.Pending {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadmeShowsTheStates(t *testing.T) {
	t.Parallel()
	statetable.SyncReadme(t, "../../README.md", "delivery", domain.DeliveryMoves.Mermaid())
}

func TestWhatMayBePostedTo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"93.184.216.34": true, "8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "127.255.255.254": false, "::1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "::ffff:10.0.0.1": false, "::ffff:192.168.0.1": false,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false,
		"100.64.0.1": false, "100.127.255.255": false, "192.0.0.8": false, "192.0.2.1": false, "198.18.0.1": false, "198.51.100.7": false, "203.0.113.7": false,
		"224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false, "ff02::1": false, "ff0e::1": false,
		"fc00::1": false, "fd12:3456::1": false, "64:ff9b::7f00:1": false, "64:ff9b::a00:1": false, "64:ff9b:1::1": false, "2002:7f00:1::1": false,
		"2001:0:53aa::1": false, "2001:db8::1": false, "::127.0.0.1": false, "::10.0.0.1": false, "100::1": false, "2606:4700::1%eth0": false,
	} {
		if got := (domain.Reach{}).Allows(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if (domain.Reach{}).Allows(netip.Addr{}) {
		t.Error("no address at all is allowed")
	}
	local := domain.Reach{Loopback: true}
	for text, want := range map[string]bool{"127.0.0.1": true, "::1": true, "::ffff:127.0.0.1": true, "10.0.0.1": false, "169.254.169.254": false, "::": false, "8.8.8.8": true} {
		if local.Allows(netip.MustParseAddr(text)) != want {
			t.Errorf("with loopback, %s: not %v", text, want)
		}
	}
}

func TestWhichAddressesAreRegistered(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ open, local bool }{
		"https://shop.example/hooks":            {true, true},
		"https://shop.example:8443/hooks?x=1":   {true, true},
		"https://8.8.8.8/":                      {true, true},
		"http://shop.example/hooks":             {false, false},
		"http://localhost:9/x":                  {false, true},
		"http://127.0.0.1:9/x":                  {false, true},
		"http://[::1]:9/x":                      {false, true},
		"https://127.0.0.1/x":                   {false, true},
		"https://10.0.0.1/x":                    {false, false},
		"https://169.254.169.254/latest":        {false, false},
		"https://[::ffff:169.254.169.254]/":     {false, false},
		"https://user:password@shop.example/":   {false, false},
		"https://shop.example/#part":            {false, false},
		"ftp://shop.example/":                   {false, false},
		"shop.example/hooks":                    {false, false},
		"https:///hooks":                        {false, false},
		"https://:443/":                         {false, false},
		"":                                      {false, false},
		"https://shop.example/%zz":              {false, false},
		"https://shop.example:0/":               {false, false},
		"https://shop.example:65536/":           {false, false},
		"javascript:alert(1)":                   {false, false},
		"https://[fe80::1%25eth0]/":             {false, false},
		"http://localhost.shop.example:9/hooks": {false, false},
	} {
		for reach, ok := range map[domain.Reach]bool{{}: want.open, {Loopback: true}: want.local} {
			if err := domain.CheckURL(reach, text); (err == nil) != ok || (err != nil && !errs.Is(err, errs.EndpointURLRefused)) {
				t.Errorf("%q with %+v: %v", text, reach, err)
			}
		}
	}
}

func TestAnEndpointIsChecked(t *testing.T) {
	t.Parallel()
	good := domain.Endpoint{URL: "https://shop.example/", Profile: domain.Standard, Types: []string{"order.paid", "loan.activated"}}
	if err := good.Check(domain.Reach{}); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(e *domain.Endpoint){
		"a type that does not exist":          func(e *domain.Endpoint) { e.Types = []string{"order.lost"} },
		"a merchant who wants to hear loans":  func(e *domain.Endpoint) { e.Owner.MerchantID = "shop-1" },
		"no profile":                          func(e *domain.Endpoint) { e.Profile = 0 },
		"a key name that nobody is told":      func(e *domain.Endpoint) { e.KeyName = "x" },
		"no key name":                         func(e *domain.Endpoint) { e.Profile = domain.CashierDesk },
		"a private address":                   func(e *domain.Endpoint) { e.URL = "https://192.168.1.1/" },
		"a merchant's without an address":     func(e *domain.Endpoint) { e.Owner.MerchantID, e.URL, e.Types = "shop-1", "", nil },
		"a callback that wants to hear loans": func(e *domain.Endpoint) { e.URL = "" },
		"a type that the profile cannot tell": func(e *domain.Endpoint) {
			e.Profile, e.Types = domain.CheckoutJSP, []string{"order.paid", "order.confirmed"}
		},
		"a key name that no console is told":    func(e *domain.Endpoint) { e.Profile, e.Types, e.KeyName = domain.CheckoutJSP, nil, "x" },
		"no key name under the older signature": func(e *domain.Endpoint) { e.Profile, e.Types = domain.CashierDeskGM1, nil },
	} {
		e := good
		change(&e)
		if e.Check(domain.Reach{}) == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestWhoHearsOfWhat(t *testing.T) {
	t.Parallel()
	about := func(eventType, merchant string) []domain.Owner {
		return domain.Notice{Type: eventType, MerchantID: merchant}.Owners()
	}
	if got := about("order.paid", "shop-1"); !slices.Equal(got, []domain.Owner{{}, {MerchantID: "shop-1"}}) {
		t.Error(got)
	}
	if got := about("loan.activated", "shop-1"); !slices.Equal(got, []domain.Owner{{}}) {
		t.Errorf("a merchant hears of a loan: %v", got)
	}
	if got := about("order.paid", ""); !slices.Equal(got, []domain.Owner{{}}) {
		t.Error(got)
	}
	wants := func(e domain.Endpoint, eventType string) bool {
		return e.Wants(domain.Notice{Type: eventType, MerchantID: "shop-1"})
	}
	e := domain.Endpoint{State: domain.EndpointEnabled, URL: "https://market.example/"}
	if !wants(e, "order.paid") || !wants(e, "loan.activated") {
		t.Error("an endpoint without types wants all")
	}
	e.Types = []string{"order.closed"}
	if wants(e, "order.paid") || !wants(e, "order.closed") {
		t.Error(e.Types)
	}
	if e.Owner.MerchantID = "shop-1"; !wants(e, "order.closed") {
		t.Error("a merchant does not hear of its order")
	}
	if e.Owner.MerchantID = "shop-2"; wants(e, "order.closed") {
		t.Error("a merchant hears of another's order")
	}
	if e.Owner.MerchantID, e.State = "shop-1", domain.EndpointDisabled; wants(e, "order.closed") {
		t.Error("a disabled endpoint wants something")
	}
}

func TestACallbackEndpointHearsOfOrdersWhoseCheckoutNamedAnAddress(t *testing.T) {
	t.Parallel()
	callback := domain.Endpoint{State: domain.EndpointEnabled, Profile: domain.Standard}
	for _, eventType := range domain.EventTypes(domain.Owner{}) {
		want := slices.Contains(domain.EventTypes(domain.Owner{MerchantID: "shop-1"}), eventType)
		if got := callback.Wants(domain.Notice{Type: eventType, MerchantID: "shop-1", NotifyURL: "https://market.example/"}); got != want {
			t.Errorf("%s: %v", eventType, got)
		}
		if callback.Wants(domain.Notice{Type: eventType, MerchantID: "shop-1"}) {
			t.Errorf("%s without an address", eventType)
		}
	}
	if callback.State = domain.EndpointDisabled; callback.Wants(domain.Notice{Type: "order.paid", NotifyURL: "https://market.example/"}) {
		t.Error("a disabled one wants something")
	}
}

func TestAConsoleIsToldOfPaymentAndCancellationOnly(t *testing.T) {
	t.Parallel()
	console := domain.Endpoint{State: domain.EndpointEnabled, Profile: domain.CheckoutJSP, URL: "https://market.example/"}
	told := []string{"order.paid", "order.cancelled", "order.expired"}
	for _, eventType := range domain.EventTypes(domain.Owner{}) {
		if got := console.Wants(domain.Notice{Type: eventType}); got != slices.Contains(told, eventType) {
			t.Errorf("%s: %v", eventType, got)
		}
		for _, p := range domain.Profiles() {
			if p.Tells(eventType) != (p != domain.CheckoutJSP || slices.Contains(told, eventType)) {
				t.Errorf("%s tells %s: %v", p, eventType, p.Tells(eventType))
			}
		}
	}
	console.Types = told
	if err := console.Check(domain.Reach{}); err != nil {
		t.Error(err)
	}
}

func TestACallbackEndpointStaysOne(t *testing.T) {
	t.Parallel()
	callback, plain := domain.Endpoint{Profile: domain.Standard}, domain.Endpoint{Profile: domain.Standard, URL: "https://market.example/"}
	if err := callback.Check(domain.Reach{}); err != nil {
		t.Error(err)
	}
	if _, err := callback.With("https://market.example/", nil, domain.Reach{}); !errs.Is(err, errs.InvalidArgument) {
		t.Errorf("it got an address: %v", err)
	}
	if _, err := plain.With("", nil, domain.Reach{}); !errs.Is(err, errs.InvalidArgument) {
		t.Errorf("it lost its address: %v", err)
	}
	if e, err := callback.With("", []string{"refund.changed"}, domain.Reach{}); err != nil || !e.Callback() || e.Types[0] != "refund.changed" {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := callback.With("", []string{"bill.changed"}, domain.Reach{}); !errs.Is(err, errs.InvalidArgument) {
		t.Error(err)
	}
}

func TestACallbackGoesToItsOwnAddressInTheLaneOfItsHost(t *testing.T) {
	t.Parallel()
	callback, other, plain := domain.Endpoint{ID: ids.ID{1}, Profile: domain.Standard}, domain.Endpoint{ID: ids.ID{2}, Profile: domain.Standard},
		domain.Endpoint{ID: ids.ID{3}, Profile: domain.Standard, URL: "https://market.example/own"}
	of := func(e domain.Endpoint, address string) domain.Delivery {
		d, err := domain.New(ids.ID{9}, domain.Notice{Type: "order.paid", NotifyURL: address, Payload: []byte(`{}`)}, e, noon())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := of(callback, "https://a.example/told?key=1")
	if first.URL != "https://a.example/told?key=1" || first.Address(callback) != first.URL || first.Lane == callback.ID || first.Lane.IsZero() {
		t.Errorf("%+v", first)
	}
	for address, same := range map[string]bool{"https://a.example/other?key=2": true, "HTTPS://A.example/": true, "https://a.example:8443/": false, "http://a.example/told": false,
		"https://b.example/told?key=1": false, "https://a.example.evil/": false} {
		if (of(callback, address).Lane == first.Lane) != same {
			t.Errorf("%s: the same lane is not %v", address, same)
		}
	}
	if of(other, first.URL).Lane == first.Lane {
		t.Error("two endpoints share a lane")
	}
	if d := of(callback, "https://[broken"); d.URL != "https://[broken" || d.CheckAddress(domain.Reach{}) == nil {
		t.Errorf("%+v", d)
	}
	if d := of(plain, first.URL); d.URL != "" || d.Lane != plain.ID || d.Address(plain) != plain.URL || d.CheckAddress(domain.Reach{}) != nil {
		t.Errorf("%+v", d)
	}
	for address, ok := range map[string]bool{"https://a.example/": true, "http://a.example/": false, "https://10.0.0.1/": false, "http://127.0.0.1:9/": false} {
		if err := of(callback, address).CheckAddress(domain.Reach{}); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestBodiesAreTheSameEachTimeAndOfTheirProfile(t *testing.T) {
	t.Parallel()
	n := domain.Notice{EventID: ids.ID{7}, Type: "order.paid", OutOrderNo: "NO-1", Time: noon(), Payload: json.RawMessage(`{"order":{"orderId":"x"}}`)}
	for _, p := range domain.Profiles() {
		one, err := n.Body(p)
		two, again := n.Body(p)
		if err != nil || again != nil || string(one) != string(two) {
			t.Errorf("%s: %s, %s, %v", p, one, two, err)
		}
		if strings.Contains(string(one), `"outTradeNo":"NO-1"`) != (p == domain.CashierDesk || p == domain.CashierDeskGM1) {
			t.Errorf("%s: %s", p, one)
		}
	}
	if body, _ := n.Body(domain.Standard); string(body) != `{"id":"`+ids.Format(ids.Event, n.EventID)+`","type":"order.paid","timestamp":"2026-03-01T12:00:00Z","data":{"order":{"orderId":"x"}}}` {
		t.Errorf("%s", body)
	}
}

func TestTwoSecretsAreGoodWhileTheyOverlap(t *testing.T) {
	t.Parallel()
	old := domain.EndpointSecret{ID: ids.ID{1}, CreateTime: noon()}
	ended := domain.Overlapped([]domain.EndpointSecret{old}, noon().Add(time.Hour), 10*time.Minute)
	if len(ended) != 1 || ended[0].ExpireTime != noon().Add(70*time.Minute) {
		t.Fatalf("%+v", ended)
	}
	both := []domain.EndpointSecret{ended[0], {ID: ids.ID{2}, CreateTime: noon().Add(time.Hour)}}
	if live := domain.LiveSecrets(both, noon().Add(69*time.Minute)); len(live) != 2 || live[0].ID != both[1].ID {
		t.Errorf("%+v", live)
	}
	if live := domain.LiveSecrets(both, noon().Add(70*time.Minute)); len(live) != 1 || live[0].ID != both[1].ID {
		t.Errorf("%+v", live)
	}
	// A third one ends the first at once.
	ended = domain.Overlapped(both, noon().Add(65*time.Minute), time.Hour)
	if len(ended) != 2 || ended[0].ExpireTime != noon().Add(125*time.Minute) || ended[1].ExpireTime != noon().Add(65*time.Minute) {
		t.Errorf("%+v", ended)
	}
}

func TestABreakerLeavesADeadEndpointAlone(t *testing.T) {
	t.Parallel()
	var b domain.Breaker
	now := noon()
	for range 4 {
		b.Failed(now)
	}
	if b.Places(now, 4) != 4 || b.Idle() {
		t.Error("it opened too early")
	}
	for _, open := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute} {
		b.Failed(now)
		if b.Places(now, 4) != 0 || b.Open(now) != now.Add(open) {
			t.Errorf("open until %s, want %s", b.Open(now), now.Add(open))
		}
		now = now.Add(open)
		if b.Places(now, 4) != 1 {
			t.Error("nobody tries whether it is back")
		}
	}
	b.Failed(now)
	if b.Retry(); b.Places(now, 4) != 1 {
		t.Error("an operator cannot try")
	}
	if b.Succeeded(); b.Places(now, 4) != 4 || !b.Idle() {
		t.Error("it stays open")
	}
}

// A lane is remembered for as long as its ladder may come back to it, and not for ever: checkouts name any number of hosts.
func TestABreakerRemembersAcrossEveryPauseAndThenForgets(t *testing.T) {
	t.Parallel()
	var b domain.Breaker
	if b.Stale(noon()) {
		t.Error("what never failed is stale")
	}
	b.Failed(noon())
	for _, p := range domain.Profiles() {
		for _, pause := range p.Ladder() {
			if b.Stale(noon().Add(pause + 30*time.Second)) {
				t.Errorf("%s: a failure is forgotten within the pause of %s", p, pause)
			}
		}
	}
	if !b.Stale(noon().Add(8 * time.Hour)) {
		t.Error("it is remembered for ever")
	}
}

// The breaker must never hold up the delivery that made it open: its next rung is not nearer than the end of the pause.
func TestABreakerNeverHoldsUpALadder(t *testing.T) {
	t.Parallel()
	for _, p := range domain.Profiles() {
		var b domain.Breaker
		now := noon()
		for _, pause := range p.Ladder() {
			b.Failed(now)
			now = now.Add(pause)
			if b.Places(now, 4) == 0 {
				t.Errorf("%s: the rung of %s waits for the breaker", p, pause)
			}
		}
	}
}
