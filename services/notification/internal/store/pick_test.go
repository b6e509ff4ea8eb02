package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// pick gives the ids that a look takes.
func (p *place) pick(end domain.End, limit int, without ...ids.ID) (out []ids.ID) {
	p.t.Helper()
	list, err := p.Due(p.t.Context(), p.clock.Now(), end, without, limit)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, d := range list {
		out = append(out, d.ID)
	}
	return out
}

// another makes another endpoint the one of the deliveries that follow.
func (p *place) another() domain.Endpoint {
	p.t.Helper()
	p.endpoint.ID = p.gen.New()
	p.do(func(tx app.Tx) { tx.InsertEndpoint(p.endpoint) })
	return p.endpoint
}

func TestALookTakesFromBothEndsOfWhatIsDue(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	busy := p.endpoint
	var all []ids.ID
	for range 6 { // Two endpoints in turn, a second apart.
		all = append(all, p.delivery(p.gen.New()).ID)
		p.clock.Advance(time.Second)
		if len(all) == 1 {
			p.another()
		}
	}
	future := p.delivery(p.gen.New())
	p.do(func(tx app.Tx) {
		tx.MoveDelivery(future.Tried(domain.Attempt{Error: "no"}, p.clock.Now(), domain.PayProtocol.Ladder()))
	})
	for name, c := range map[string]struct {
		end     domain.End
		limit   int
		without []ids.ID
		want    []ids.ID
	}{
		"those that wait longest":          {domain.WaitsLongest, 2, nil, all[:2]},
		"those that were due last":         {domain.DueLast, 2, nil, []ids.ID{all[5], all[4]}},
		"all, once":                        {domain.DueLast, 10, nil, []ids.ID{all[5], all[4], all[3], all[2], all[1], all[0]}},
		"without one, the longest due":     {domain.WaitsLongest, 1, []ids.ID{busy.ID}, all[1:2]},
		"without the other, the last due":  {domain.DueLast, 10, []ids.ID{p.endpoint.ID}, all[:1]},
		"without both, there is none left": {domain.DueLast, 10, []ids.ID{p.endpoint.ID, busy.ID}, nil},
	} {
		if got := p.pick(c.end, c.limit, c.without...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for end, want := range map[domain.End][]ids.ID{domain.WaitsLongest: all[1:3], domain.DueLast: {all[5], all[4]}} {
		var got []ids.ID
		list, err := p.DueOf(t.Context(), p.clock.Now(), end, p.endpoint.ID, 2)
		for _, d := range list {
			got = append(got, d.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("of one endpoint, %s: %v, want %v, %v", end, got, want, err)
		}
	}
}

func TestWhatWaitsForAnEarlierOneIsDueWithItAndAtOnceWhenItEnded(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	order, ladder := p.gen.New(), domain.PayProtocol.Ladder()
	first, second, third, other := p.delivery(order), p.delivery(order), p.delivery(order), p.delivery(p.gen.New())
	p.another()
	elsewhere := p.delivery(order)
	due := func(d domain.Delivery) time.Time {
		got, err := p.Delivery(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got.DueTime
	}
	p.do(func(tx app.Tx) {
		first = first.Tried(domain.Attempt{Error: "no"}, noon(), ladder)
		tx.MoveDelivery(first)
		tx.MoveFollowers(first, first.FollowersDue())
	})
	for name, c := range map[string]struct {
		of   domain.Delivery
		want time.Time
	}{"itself": {first, first.DueTime}, "the second": {second, first.DueTime}, "the third": {third, first.DueTime}, "another order": {other, noon()},
		"the order at another endpoint": {elsewhere, noon()}} {
		if got := due(c.of); got != c.want {
			t.Errorf("%s is due at %s, want %s", name, got, c.want)
		}
	}
	if got := p.pick(domain.DueLast, 10); !slices.Equal(got, []ids.ID{elsewhere.ID, other.ID}) && !slices.Equal(got, []ids.ID{other.ID, elsewhere.ID}) {
		t.Errorf("%v are due", got)
	}
	end := noon().Add(time.Second)
	p.do(func(tx app.Tx) {
		first = first.Tried(domain.Attempt{}, end, ladder)
		tx.MoveDelivery(first)
		tx.MoveFollowers(first, first.FollowersDue())
	})
	if due(second) != end || due(third) != end {
		t.Errorf("after the first ended the others are due at %s and %s, want %s", due(second), due(third), end)
	}
	p.clock.Advance(time.Second)
	if got := p.pick(domain.DueLast, 10, p.endpoint.ID); !slices.Equal(got, []ids.ID{second.ID, other.ID}) {
		t.Errorf("%v are due", got)
	}
}

// A follower that climbs a ladder of its own, because the one before was resent by hand, keeps its rung; one that is being sent its lease.
func TestAFollowerThatWasTriedOrIsBeingSentStaysAsItIs(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	order := p.gen.New()
	first, tried, leased := p.delivery(order), p.delivery(order), p.delivery(order)
	p.do(func(tx app.Tx) {
		tried = tried.Tried(domain.Attempt{Error: "no"}, noon(), domain.PayProtocol.Ladder())
		tx.MoveDelivery(tried)
	})
	lease := noon().Add(time.Minute)
	if ok, err := p.Claim(t.Context(), app.Due{ID: leased.ID, DueTime: leased.DueTime, Version: leased.Version}, lease); err != nil || !ok {
		t.Fatal(ok, err)
	}
	p.do(func(tx app.Tx) { tx.MoveFollowers(first, noon()) })
	for d, want := range map[ids.ID]time.Time{tried.ID: tried.DueTime, leased.ID: lease} {
		if got, err := p.Delivery(t.Context(), d); err != nil || got.DueTime != want {
			t.Errorf("%+v is due at another time than %s, %v", got, want, err)
		}
	}
}

// Whether one waits for another is asked by an index of its own: neither what an endpoint has, nor what others hear of the order, is read.
func TestALookReadsLittleOfALongBacklog(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.db.SetMaxOpenConns(1) // The server counts by connection.
	const endpoints, orders, perOrder, limit = 60, 10, 5, 10
	var events []domain.Notice
	for i := range orders * perOrder {
		events = append(events, domain.Notice{EventID: p.gen.New(), Type: "order.paid", OrderID: ids.ID{byte(1 + i/perOrder)}, Time: noon(), Payload: []byte(`{}`)})
	}
	for range endpoints {
		p.another()
		p.do(func(tx app.Tx) {
			for _, n := range events {
				d, err := domain.New(p.gen.New(), n, p.endpoint, noon())
				if err != nil {
					t.Fatal(err)
				}
				tx.InsertDelivery(d)
			}
		})
	}
	read := func() (n int) {
		if err := p.db.QueryRowContext(t.Context(), `SELECT SUM(variable_value) FROM information_schema.session_status
			WHERE variable_name LIKE 'HANDLER\_READ\_%' AND variable_name <> 'HANDLER_READ_RND_NEXT'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, end := range []domain.End{domain.WaitsLongest, domain.DueLast} {
		before := read()
		got := p.pick(end, limit)
		if n := read() - before; len(got) != limit || n > 3*limit*perOrder*perOrder {
			t.Errorf("%s: a look that takes %d reads %d entries of %d", end, len(got), n, endpoints*orders*perOrder)
		}
	}
}
