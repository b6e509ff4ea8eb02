package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/pkg/unit"
	"github.com/creditpay/creditpay/services/notification/internal/adapter/webhook"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
	"github.com/creditpay/creditpay/services/notification/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.Leaks) }

const within = 20 * time.Second

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// desk is the service on a database of its own, with a clock that stands.
type desk struct {
	*app.App
	t     *testing.T
	db    *mysqlx.DB
	store *store.Store
	clock *clock.Fake
	gen   *ids.Generator
	keys  *secret.Keyring
}

func newDesk(t *testing.T, timeout time.Duration) *desk {
	t.Helper()
	clk := clock.NewFake(noon())
	d := &desk{t: t, db: schematest.OpenService(t, mysqlx.Options{}, store.Migrations), clock: clk, gen: ids.NewGenerator(clk)}
	d.store = store.New(&unit.Kit{DB: d.db, Outbox: outbox.NewWriter(d.gen, clk), Jobs: jobs.NewQueue(clk), IDs: d.gen, Clock: clk})
	var err error
	if d.keys, err = secret.GenerateKeyring(); err != nil {
		t.Fatal(err)
	}
	d.App = d.process(timeout)
	return d
}

// process is one process of the service; several share the desk's database.
func (d *desk) process(timeout time.Duration) *app.App {
	return d.reaching(domain.Reach{Loopback: true}, timeout)
}

// reaching is a process that may reach something else.
func (d *desk) reaching(reach domain.Reach, timeout time.Duration) *app.App {
	poster := webhook.New(reach, nil)
	d.t.Cleanup(poster.Close)
	return app.New(app.Deps{Store: d.store, Poster: poster, Keys: d.keys, Clock: d.clock, Wall: clock.System(), IDs: d.gen, Log: zap.NewNop(),
		Settings: app.Settings{PerEndpoint: 4, InFlight: 64, AttemptTimeout: timeout, Reach: reach}})
}

var requests struct {
	sync.Mutex
	n int
}

func request() app.Request {
	requests.Lock()
	defer requests.Unlock()
	requests.n++
	return app.Request{Caller: "ADMIN:alice", RequestID: fmt.Sprintf("request-%d", requests.n)}
}

// endpoint registers an address.
func (d *desk) endpoint(owner, url string, profile domain.Profile) app.RegisteredEndpoint {
	d.t.Helper()
	e := domain.Endpoint{Owner: domain.Owner{MerchantID: owner}, URL: url, Profile: profile}
	if profile.NamesKey() {
		e.KeyName = "app-1"
	}
	made, err := d.CreateEndpoint(d.t.Context(), request(), e)
	if err != nil {
		d.t.Fatal(err)
	}
	return made
}

// tell receives an event about an order of a merchant, whose checkout named no address.
func (d *desk) tell(eventType, merchant string, order ids.ID) domain.Notice {
	d.t.Helper()
	return d.tellAt(eventType, merchant, order, "")
}

// tellAt receives an event about an order whose checkout named an address.
func (d *desk) tellAt(eventType, merchant string, order ids.ID, address string) domain.Notice {
	d.t.Helper()
	n := domain.Notice{NotifyURL: address, Order: domain.OrderFacts{UserID: "u-1", Amount: money.New(5, money.IDR()), Paid: money.New(5, money.IDR()), PaymentMethod: "CREDIT"},
		EventID: d.gen.New(), Type: eventType, MerchantID: merchant, OrderID: order, OutOrderNo: "NO-1", Time: d.clock.Now(),
		Payload: json.RawMessage(`{"order":{"outOrderNo":"NO-1"}}`)}
	err := d.db.InTx(d.t.Context(), func(tx *mysqlx.Tx) error {
		return d.store.Join(tx, func(tx app.EventTx) error { return d.ApplyNotices(d.t.Context(), tx, []domain.Notice{n}) })
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

// deliveries of an endpoint, newest first.
func (d *desk) deliveries(e app.RegisteredEndpoint) []domain.Delivery {
	d.t.Helper()
	list, _, err := d.ListDeliveries(d.t.Context(), app.DeliveryFilter{EndpointID: e.ID}, 100)
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

// one is the only delivery of an endpoint, with its attempts.
func (d *desk) one(e app.RegisteredEndpoint) (domain.Delivery, []domain.Attempt) {
	d.t.Helper()
	list := d.deliveries(e)
	if len(list) != 1 {
		d.t.Fatalf("%d deliveries", len(list))
	}
	got, attempts, err := d.GetDelivery(d.t.Context(), list[0].ID)
	if err != nil {
		d.t.Fatal(err)
	}
	return got, attempts
}

// settle sends what is due and waits until the endpoint's only delivery has so many attempts.
func (d *desk) settle(e app.RegisteredEndpoint, attempts int) domain.Delivery {
	d.t.Helper()
	testkit.Eventually(d.t, within, func() error {
		if err := d.Dispatch(d.t.Context()); err != nil {
			return err
		}
		if list := d.deliveries(e); list[0].Attempts != attempts || !list[0].LeaseTime.IsZero() {
			return fmt.Errorf("%+v, want %d attempts", list[0], attempts)
		}
		return nil
	})
	got, _ := d.one(e)
	return got
}

func (d *desk) proveBooks() {
	d.t.Helper()
	found, err := audit.Run(context.Background(), d.db, "notification", d.clock.Now(), append(audit.Mechanism(), store.Audit()...))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range found {
		d.t.Errorf("audit: %s %s %s", f.Check, f.ID, f.Text)
	}
}

// got is one request as a receiver saw it.
type got struct {
	header http.Header
	body   string
}

// receiver is a merchant's server that answers as it is told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	seen   []got
	answer http.HandlerFunc
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.seen = append(r.seen, got{req.Header.Clone(), string(body)})
		answer := r.answer
		r.mu.Unlock()
		answer(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) requests() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]got(nil), r.seen...)
}

func (r *receiver) answers(h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = h
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
}
