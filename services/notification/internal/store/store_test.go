package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/pkg/unit"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
	"github.com/creditpay/creditpay/services/notification/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC) }

// place is a store on a database of its own, with one endpoint.
type place struct {
	*store.Store
	t        *testing.T
	db       *mysqlx.DB
	gen      *ids.Generator
	clock    *clock.Fake
	endpoint domain.Endpoint
}

func newPlace(t *testing.T) *place {
	t.Helper()
	clk := clock.NewFake(noon())
	p := &place{t: t, db: schematest.OpenService(t, mysqlx.Options{}, store.Migrations), gen: ids.NewGenerator(clk), clock: clk}
	p.Store = store.New(&unit.Kit{DB: p.db, Outbox: outbox.NewWriter(p.gen, clk), Jobs: jobs.NewQueue(clk), IDs: p.gen, Clock: clk})
	p.endpoint = domain.Endpoint{ID: p.gen.New(), Owner: domain.Owner{MerchantID: "shop-1"}, URL: "https://shop.example/?q=;'", Types: []string{"order.paid"}, Profile: domain.PayProtocol, KeyName: "k",
		State: domain.EndpointEnabled, Version: 1, CreateTime: noon()}
	p.do(func(tx app.Tx) {
		tx.InsertEndpoint(p.endpoint)
		tx.InsertSecret(domain.EndpointSecret{ID: p.gen.New(), EndpointID: p.endpoint.ID, Sealed: []byte{0, 1, 255}, CreateTime: noon()})
	})
	return p
}

func (p *place) do(fn func(tx app.Tx)) {
	p.t.Helper()
	if err := p.Do(p.t.Context(), func(tx app.Tx) error { fn(tx); return nil }); err != nil {
		p.t.Fatal(err)
	}
}

// delivery stores a delivery about an order.
func (p *place) delivery(order ids.ID) domain.Delivery {
	p.t.Helper()
	d, err := domain.New(p.gen.New(), domain.Notice{EventID: p.gen.New(), Type: "order.paid", OrderID: order, Time: noon(), Payload: []byte(`{"a":"ü;'"}`)}, p.endpoint, p.clock.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	p.do(func(tx app.Tx) { tx.InsertDelivery(d) })
	return d
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	e, secrets, err := p.Endpoint(t.Context(), p.endpoint.ID)
	if err != nil || e.URL != p.endpoint.URL || !slices.Equal(e.Types, p.endpoint.Types) || e.Profile != domain.PayProtocol || e.KeyName != "k" || e.CreateTime != noon() ||
		len(secrets) != 1 || string(secrets[0].Sealed) != "\x00\x01\xff" || !secrets[0].ExpireTime.IsZero() {
		t.Errorf("%+v, %+v, %v", e, secrets, err)
	}
	d := p.delivery(ids.ID{5})
	got, err := p.Delivery(t.Context(), d.ID)
	if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", d) {
		t.Errorf("%+v\nwant %+v, %v", got, d, err)
	}
	select {
	case <-p.Wake():
	default:
		t.Error("a new delivery wakes nobody")
	}
	tried := domain.Attempt{DeliveryID: d.ID, No: 1, Round: 1, StartTime: noon(), Latency: 1234 * time.Microsecond, Status: 500, Answer: []byte{0xff, 0}, Error: "no"}
	after := d.Tried(tried, noon(), domain.PayProtocol.Ladder())
	p.do(func(tx app.Tx) { tx.InsertAttempt(tried); tx.MoveDelivery(after) })
	attempts, err := p.Attempts(t.Context(), d.ID, 10)
	if err != nil || len(attempts) != 1 || fmt.Sprintf("%+v", attempts[0]) != fmt.Sprintf("%+v", tried) {
		t.Errorf("%+v, %v", attempts, err)
	}
	if got, err = p.Delivery(t.Context(), d.ID); err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", after) {
		t.Errorf("%+v, %v", got, err)
	}
	err = p.Do(t.Context(), func(tx app.Tx) error { tx.MoveDelivery(after); return nil })
	if !errs.Is(err, errs.ConcurrentChange) {
		t.Errorf("a move of another version: %v", err)
	}
	if _, err := p.Delivery(t.Context(), ids.ID{9}); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	if _, _, err := p.Endpoint(t.Context(), ids.ID{9}); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
}

// callback stores a callback endpoint of the marketplace.
func (p *place) callback() domain.Endpoint {
	p.t.Helper()
	e := domain.Endpoint{ID: p.gen.New(), Types: []string{}, Profile: domain.CheckoutJSP, State: domain.EndpointEnabled, Version: 1, CreateTime: noon()}
	p.do(func(tx app.Tx) {
		tx.InsertEndpoint(e)
		tx.InsertSecret(domain.EndpointSecret{ID: p.gen.New(), EndpointID: e.ID, Sealed: []byte{1}, CreateTime: noon()})
	})
	return e
}

// called stores a delivery of a callback endpoint about an order whose checkout named an address.
func (p *place) called(e domain.Endpoint, order ids.ID, address string) domain.Delivery {
	p.t.Helper()
	d, err := domain.New(p.gen.New(), domain.Notice{EventID: p.gen.New(), Type: "order.paid", OrderID: order, Time: noon(), NotifyURL: address}, e, p.clock.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	p.do(func(tx app.Tx) { tx.InsertDelivery(d) })
	return d
}

func TestACallbackKeepsItsAddressAndItsLane(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	e := p.callback()
	if got, _, err := p.Endpoint(t.Context(), e.ID); err != nil || !got.Callback() || got.Profile != domain.CheckoutJSP {
		t.Errorf("%+v, %v", got, err)
	}
	address := "https://a.example/" + strings.Repeat("x", 2048-len("https://a.example/"))
	one, two, other := p.called(e, ids.ID{5}, address), p.called(e, ids.ID{5}, address), p.called(e, ids.ID{6}, "https://b.example/?q=;'")
	if got, err := p.Delivery(t.Context(), one.ID); err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", one) || got.URL != address {
		t.Errorf("%+v\nwant %+v, %v", got, one, err)
	}
	due := func(without ...ids.ID) (out []ids.ID) {
		list, err := p.Due(t.Context(), noon(), domain.WaitsLongest, without, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			out = append(out, d.ID)
		}
		return out
	}
	if got := due(); len(got) != 2 || !slices.Contains(got, one.ID) || !slices.Contains(got, other.ID) { // The second waits for the first of its order.
		t.Errorf("%v, not %s", got, two.ID)
	}
	if got := due(one.Lane); !slices.Equal(got, []ids.ID{other.ID}) {
		t.Errorf("without one host: %v", got)
	}
	if err := p.PutOff(t.Context(), one.Lane, noon(), noon().Add(time.Minute), 10); err != nil {
		t.Error(err)
	}
	if got := due(); !slices.Equal(got, []ids.ID{other.ID}) {
		t.Errorf("after one host was put off: %v", got)
	}
}

func TestTheDatabaseRefusesALaneThatDoesNotFitTheAddress(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	d := p.called(p.callback(), ids.ID{5}, "https://a.example/")
	for _, wrong := range []string{`UPDATE deliveries SET url = '' WHERE id = ?`, `UPDATE deliveries SET lane = endpoint_id WHERE id = ?`} {
		if _, err := p.db.ExecContext(t.Context(), wrong, d.ID); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}

func TestADuplicateDeliveryIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	d := p.delivery(ids.ID{})
	d.ID = p.gen.New()
	if err := p.Do(t.Context(), func(tx app.Tx) error { tx.InsertDelivery(d); return nil }); err == nil {
		t.Error("an event is delivered to an endpoint twice")
	}
}

func TestDueDeliveriesWaitForEarlierOnesOfTheirOrder(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first, second, other, none := p.delivery(ids.ID{5}), p.delivery(ids.ID{5}), p.delivery(ids.ID{6}), p.delivery(ids.ID{})
	_ = second
	due := func(without ...ids.ID) (out []ids.ID) {
		list, err := p.Due(t.Context(), noon(), domain.WaitsLongest, without, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			out = append(out, d.ID)
		}
		return out
	}
	got := due()
	for _, want := range []domain.Delivery{first, other, none} {
		if len(got) != 3 || !slices.Contains(got, want.ID) {
			t.Errorf("%v lacks %s", got, want.ID)
		}
	}
	if got := due(p.endpoint.ID); len(got) != 0 {
		t.Errorf("%v of an endpoint that was left out", got)
	}
	if err := p.PutOff(t.Context(), p.endpoint.ID, noon(), noon().Add(time.Minute), 10); err != nil || len(due()) != 0 {
		t.Errorf("%v, %v", due(), err)
	}
}

func TestListsPageByKeyAndFilter(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var all []domain.Delivery
	for i := range 5 {
		all = append(all, p.delivery(ids.ID{byte(1 + i%2)}))
		p.clock.Advance(time.Hour)
	}
	for name, c := range map[string]struct {
		f    app.DeliveryFilter
		want []int
	}{
		"all":      {app.DeliveryFilter{}, []int{4, 3, 2, 1, 0}},
		"endpoint": {app.DeliveryFilter{EndpointID: p.endpoint.ID, Below: all[3].ID}, []int{2, 1, 0}},
		"order":    {app.DeliveryFilter{OrderID: ids.ID{1}}, []int{4, 2, 0}},
		"type":     {app.DeliveryFilter{Type: "order.closed"}, nil},
		"state":    {app.DeliveryFilter{State: domain.Pending, Type: "order.paid"}, []int{4, 3, 2, 1, 0}},
		"time":     {app.DeliveryFilter{From: noon().Add(30 * time.Minute), To: noon().Add(150 * time.Minute)}, []int{2, 1}},
		"another":  {app.DeliveryFilter{EndpointID: ids.ID{9}}, nil},
	} {
		got, err := p.Deliveries(t.Context(), c.f, 10)
		var names []int
		for _, d := range got {
			names = append(names, slices.IndexFunc(all, func(x domain.Delivery) bool { return x.ID == d.ID }))
		}
		if err != nil || !slices.Equal(names, c.want) {
			t.Errorf("%s: %v, want %v, %v", name, names, c.want, err)
		}
	}
}

func TestHousekeepingRemovesWhatIsOldAndNothingElse(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	old, fresh, open := p.delivery(ids.ID{1}), p.delivery(ids.ID{2}), p.delivery(ids.ID{3})
	for _, d := range []domain.Delivery{old, fresh} {
		end := noon()
		if d.ID == fresh.ID {
			end = noon().Add(40 * 24 * time.Hour)
		}
		tried := domain.Attempt{DeliveryID: d.ID, No: 1, Round: 1, StartTime: noon()}
		p.do(func(tx app.Tx) {
			tx.InsertAttempt(tried)
			tx.MoveDelivery(d.Tried(tried, end, domain.PayProtocol.Ladder()))
		})
	}
	p.do(func(tx app.Tx) {
		tx.InsertNotice(domain.Notice{ID: p.gen.New(), EventID: p.gen.New(), Type: "order.paid", Payload: []byte(`{}`), Time: noon(), ReceiveTime: noon()})
		tx.InsertSecret(domain.EndpointSecret{ID: p.gen.New(), EndpointID: p.endpoint.ID, Sealed: []byte{1}, CreateTime: noon(), ExpireTime: noon()})
	})
	for _, purge := range store.Purges() {
		if _, err := p.db.ExecContext(t.Context(), purge.Query, noon().Add(41*24*time.Hour).Add(-purge.Keep), 1000); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]int{`SELECT COUNT(*) FROM deliveries`: 2, `SELECT COUNT(*) FROM delivery_attempts`: 1, `SELECT COUNT(*) FROM notices`: 0,
		`SELECT COUNT(*) FROM endpoint_secrets`: 1} {
		var n int
		if err := p.db.QueryRow(query).Scan(&n); err != nil || n != want {
			t.Errorf("%s: %d, want %d, %v", query, n, want, err)
		}
	}
	if _, err := p.Delivery(t.Context(), open.ID); err != nil {
		t.Error("what is on its way was removed")
	}
}

func TestTheAuditFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for check, damage := range map[string]string{
		"delivery_overdue":                     `UPDATE deliveries SET due_time = '2026-03-01 11:00:00'`,
		"delivery_counts_its_attempts":         `UPDATE deliveries SET attempts = 2`,
		"given_up_behind_the_last_rung":        `UPDATE deliveries SET state = 3, due_time = NULL, finish_time = create_time, rung = 5`,
		"delivery_goes_on_or_has_ended":        `UPDATE deliveries SET rung = 6`,
		"delivery_state_fits_its_last_attempt": `UPDATE deliveries SET state = 2, due_time = NULL, finish_time = create_time`,
		"delivery_knows_its_address":           `UPDATE endpoints SET url = ''`,
		"endpoint_without_secret":              `UPDATE endpoint_secrets SET expire_time = create_time`,
	} {
		t.Run(check, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.delivery(ids.ID{})
			find := func() (names []string) {
				found, err := audit.Run(t.Context(), p.db, "notification", p.clock.Now(), store.Audit())
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range found {
					names = append(names, f.Check)
				}
				return names
			}
			if names := find(); len(names) > 0 {
				t.Fatalf("before anything is wrong: %v", names)
			}
			if _, err := p.db.Exec(damage); err != nil {
				t.Fatal(err)
			}
			if names := find(); !slices.Contains(names, check) {
				t.Errorf("%v", names)
			}
		})
	}
}
