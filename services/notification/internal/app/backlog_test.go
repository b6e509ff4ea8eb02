package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// tellMany receives so many events about orders of a merchant at once.
func (d *desk) tellMany(merchant string, count int) (events []ids.ID) {
	d.t.Helper()
	var all []domain.Notice
	for range count {
		n := domain.Notice{EventID: d.gen.New(), Type: "order.paid", MerchantID: merchant, OrderID: d.gen.New(), Time: d.clock.Now(), Payload: json.RawMessage(`{}`)}
		all, events = append(all, n), append(events, n.EventID)
	}
	err := d.db.InTx(d.t.Context(), func(tx *mysqlx.Tx) error {
		return d.store.Join(tx, func(tx app.EventTx) error { return d.ApplyNotices(d.t.Context(), tx, all) })
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return events
}

// arrivals is a receiver of many endpoints that acknowledges everything and keeps what came, in its order.
type arrivals struct {
	mu sync.Mutex
	// all are the paths with the ids of the events.
	all []string
}

func (a *arrivals) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, r.URL.Path+" "+r.Header.Get("webhook-id"))
}

func (a *arrivals) list() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all)
}

// of counts those of an event.
func of(list []string, event ids.ID) (n int) {
	for _, one := range list {
		if strings.HasSuffix(one, " "+ids.Format(ids.Event, event)) {
			n++
		}
	}
	return n
}

// A backlog as an hour of standstill leaves it drains, and what is new does not wait for that: neither at one endpoint, whose own backlog
// it is, nor at many.
func TestABacklogDoesNotStarveWhatIsNew(t *testing.T) {
	t.Parallel()
	const backlog, news = 2000, 5
	for _, endpoints := range []int{1, 40} {
		t.Run(fmt.Sprintf("%d endpoints", endpoints), func(t *testing.T) {
			t.Parallel()
			d, a := newDesk(t, 20*time.Second), &arrivals{}
			receiver := newReceiver(t, a.ServeHTTP)
			for i := range endpoints {
				d.endpoint("shop-1", fmt.Sprintf("%s/%d", receiver.URL, i), domain.Standard)
			}
			old := d.tellMany("shop-1", backlog/endpoints)
			d.clock.Advance(time.Hour)
			ctx, cancel := context.WithCancel(t.Context())
			stopped := make(chan error, 1)
			go func() { stopped <- d.RunSender(ctx) }()
			t.Cleanup(func() {
				cancel()
				if err := <-stopped; err != nil {
					t.Error(err)
				}
			})
			worst := 0
			for range news {
				before := len(a.list())
				testkit.Eventually(t, within, func() error {
					if n := len(a.list()); n <= before+20 {
						return fmt.Errorf("%d came, then %d", before, n)
					}
					return nil
				})
				before = len(a.list())
				d.clock.Advance(time.Second) // It is due later than the looks that are under way began.
				event := d.tell("order.paid", "shop-1", d.gen.New()).EventID
				testkit.Eventually(t, within, func() bool { return of(a.list(), event) == endpoints })
				if worst = max(worst, len(a.list())-before); worst > 8*endpoints+100 {
					t.Fatalf("until a new event had come to %d endpoints, %d of %d were sent", endpoints, worst, backlog)
				}
			}
			t.Logf("until a new event came to %d endpoints, %d were sent", endpoints, worst)
			testkit.Eventually(t, time.Minute, func() bool { return len(a.list()) >= backlog+news*endpoints })
			for _, event := range old {
				if n := of(a.list(), event); n != endpoints {
					t.Errorf("an event of the backlog came %d times to %d endpoints", n, endpoints)
				}
			}
			testkit.Eventually(t, within, func() error { return d.nothingPends() })
			d.proveBooks()
		})
	}
}

// nothingPends is an error while a delivery is on its way.
func (d *desk) nothingPends() error {
	list, _, err := d.ListDeliveries(d.t.Context(), app.DeliveryFilter{State: domain.Pending}, 10)
	if err == nil && len(list) > 0 {
		err = fmt.Errorf("%+v is on its way", list[0])
	}
	return err
}

// However much is new, half of an endpoint's places are for those that wait longest; and however long the backlog, half for what is new.
func TestHalfOfAnEndpointsPlacesAreForWhatIsNewAndHalfForWhatWaitsLongest(t *testing.T) {
	t.Parallel()
	const backlog, places = 20, 4
	d, a := newDesk(t, 20*time.Second), &arrivals{}
	answer := make(chan struct{})
	e := d.endpoint("shop-1", newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		a.ServeHTTP(w, r)
		<-answer
	}).URL, domain.Standard)
	old := d.tellMany("shop-1", backlog)
	for round := range backlog / places {
		d.clock.Advance(time.Second)
		news := d.tellMany("shop-1", places)
		if err := d.Dispatch(t.Context()); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, within, func() bool { return len(a.list()) == (round+1)*places })
		sent := func(events []ids.ID) (n int) {
			for _, event := range events {
				n += of(a.list()[round*places:], event)
			}
			return n
		}
		if sent(old) != places/2 || sent(news) != places/2 {
			t.Errorf("round %d: %d of those that wait longest are sent and %d new ones, want %d of each", round, sent(old), sent(news), places/2)
		}
		if n := d.leased(e); n != places {
			t.Errorf("%d are being sent", n)
		}
		for range places {
			answer <- struct{}{}
		}
		testkit.Eventually(t, within, func() error { return d.rests() })
	}
	close(answer)
	d.proveBooks()
}

// rests is an error while something is being sent.
func (d *desk) rests() error {
	var n int
	err := d.db.QueryRowContext(d.t.Context(), `SELECT COUNT(*) FROM deliveries WHERE lease_time IS NOT NULL`).Scan(&n)
	if err == nil && n > 0 {
		err = fmt.Errorf("%d are being sent", n)
	}
	return err
}

// What waits for an earlier notice of its order is not due before that is, and at once when it was acknowledged.
func TestANoticeThatWaitsForAnEarlierOneIsDueWithIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 5*time.Second)
	r := newReceiver(t, text("no"))
	e := d.endpoint("shop-1", r.URL, domain.PayProtocol)
	order := d.gen.New()
	d.tell("order.paid", "shop-1", order)
	d.tell("order.confirmed", "shop-1", order)
	for rung := 1; rung <= 2; rung++ {
		testkit.Eventually(t, within, func() error {
			if err := d.Dispatch(t.Context()); err != nil {
				return err
			}
			if list := d.deliveries(e); list[1].Attempts != rung || !list[1].LeaseTime.IsZero() {
				return fmt.Errorf("%+v", list[1])
			}
			return nil
		})
		if list := d.deliveries(e); list[0].DueTime != list[1].DueTime || !list[0].DueTime.After(d.clock.Now()) {
			t.Errorf("after attempt %d the first is due at %s, the second at %s", rung, list[1].DueTime, list[0].DueTime)
		}
		d.clock.Advance(d.deliveries(e)[1].DueTime.Sub(d.clock.Now()))
	}
	r.answers(text("success"))
	testkit.Eventually(t, within, func() error { // At one time: neither waits for a rung.
		if err := d.Dispatch(t.Context()); err != nil {
			return err
		}
		return d.nothingPends()
	})
	var types []string
	for _, one := range r.requests() {
		types = append(types, one.body[strings.Index(one.body, `"type":"`)+8:][:14])
	}
	if want := []string{"order.paid\",\"t", "order.paid\",\"t", "order.paid\",\"t", "order.confirme"}; !slices.Equal(types, want) {
		t.Errorf("%q", types)
	}
	d.proveBooks()
}
