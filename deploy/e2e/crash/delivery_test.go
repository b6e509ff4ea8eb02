package crash

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// rungTime is longer than the first pause of a ladder, deliveryLease than a claim of a delivery.
const (
	rungTime      = 20 * time.Second
	deliveryLease = 65 * time.Second
)

// heard is a webhook as a receiver got it.
type heard struct {
	id, eventType, order, body string
	// acknowledged tells what the receiver meant to answer; whether it arrived is another matter.
	acknowledged bool
}

// shop is a receiver of webhooks that outlives the stacks.
type shop struct {
	*httptest.Server
	profile notificationv1.DeliveryProfile
	// answer answers the nth receipt of an event, n from 1 on, and tells whether it acknowledges it.
	answer func(w http.ResponseWriter, n int) bool
	mu     sync.Mutex
	all    []heard
}

// newShop registers a receiver of a merchant's orders.
func (s *site) newShop(t *testing.T, profile notificationv1.DeliveryProfile, listener net.Listener, answer func(w http.ResponseWriter, n int) bool) *shop {
	t.Helper()
	r := &shop{profile: profile, answer: answer}
	r.Server = httptest.NewUnstartedServer(r)
	if listener != nil {
		_ = r.Listener.Close() // Nobody has come yet.
		r.Listener = listener
	}
	r.Start()
	t.Cleanup(r.Close)
	req := &notificationv1.CreateEndpointRequest{RequestId: "endpoint-" + profile.String(), MerchantId: "shop-1", Url: r.URL, EventTypes: []string{"order.paid", "order.confirmed"}, Profile: profile}
	if profile != notificationv1.DeliveryProfile_DELIVERY_PROFILE_STANDARD {
		req.KeyName = "key-1"
	}
	if _, err := notificationv1.NewNotificationAdminServiceClient(s.conn).CreateEndpoint(as(t.Context(), s.creds.AdminToken), req); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *shop) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var told struct {
		ID, Type string
		Data     struct{ Order struct{ OrderID string } }
	}
	if err != nil || json.Unmarshal(body, &told) != nil {
		return // Its sender died in the middle of a word.
	}
	id := told.ID
	if r.profile == notificationv1.DeliveryProfile_DELIVERY_PROFILE_STANDARD {
		id = req.Header.Get("webhook-id")
	}
	r.mu.Lock()
	n := 1
	for _, h := range r.all {
		if h.id == id {
			n++
		}
	}
	r.all = append(r.all, heard{id: id, eventType: told.Type, order: told.Data.Order.OrderID, body: string(body)})
	at := len(r.all) - 1
	r.mu.Unlock()
	acknowledged := r.answer(w, n)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[at].acknowledged = acknowledged
}

// about gives what was heard of an order.
func (r *shop) about(order string) []heard {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.all), func(h heard) bool { return h.order != order })
}

// heardOf proves that a receiver heard of each event of an order, under one id and with one body however often, and acknowledged it; and of
// one after the other, where its profile asks for that.
func (r *shop) heardOf(t *testing.T, order string, types ...string) {
	t.Helper()
	all := r.about(order)
	var sequence []string
	for _, eventType := range types {
		of := slices.DeleteFunc(slices.Clone(all), func(h heard) bool { return h.eventType != eventType })
		if len(of) == 0 || !of[len(of)-1].acknowledged {
			t.Errorf("%s: %s of %s was not acknowledged in %d receipts", r.profile, eventType, order, len(of))
			continue
		}
		for _, h := range of {
			if h.id != of[0].id || h.body != of[0].body {
				t.Errorf("%s: %s of %s is %s with %s, then %s with %s", r.profile, eventType, order, of[0].id, of[0].body, h.id, h.body)
			}
		}
	}
	for _, h := range all {
		sequence = append(sequence, h.eventType)
	}
	inOrder := slices.IsSortedFunc(sequence, func(a, b string) int { return slices.Index(types, a) - slices.Index(types, b) })
	if r.profile != notificationv1.DeliveryProfile_DELIVERY_PROFILE_STANDARD && !inOrder {
		t.Errorf("%s: of %s were heard %v", r.profile, order, sequence)
	}
}

func badFirst(w http.ResponseWriter, n int) bool {
	if n == 1 {
		w.WriteHeader(http.StatusInternalServerError)
	}
	return n > 1
}

// cutOffFirst breaks the line in the middle of the first answer.
func cutOffFirst(w http.ResponseWriter, n int) bool {
	if n == 1 {
		w.Header().Set("Content-Length", "7")
		_, _ = io.WriteString(w, "succ") // The sender is to see that it ends too early.
		panic(http.ErrAbortHandler)
	}
	return acknowledge(w, n)
}

func acknowledge(w http.ResponseWriter, _ int) bool {
	_, err := io.WriteString(w, "success")
	return err == nil
}

// alive is a context that ends when the stack does.
func (s *site) alive(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	done := s.process.Done
	go func() {
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// told has the clock pass from rung to rung until so many deliveries about an order are done, and tells why they are not.
func (p *purchase) told(ctx context.Context, t *testing.T, want int64) error {
	t.Helper()
	order, err := ids.Parse(ids.Order, p.order)
	if err != nil {
		return err
	}
	for begin := time.Now(); ; {
		done, err := p.b.site.count(ctx, `SELECT COUNT(*) FROM creditpay_notification.deliveries WHERE order_id = ? AND state = ?`, order, notificationv1.DeliveryState_DELIVERY_STATE_DELIVERED)
		if err == nil && done == want {
			return nil
		}
		if err == nil && time.Since(begin) > settleTime {
			err = fmt.Errorf("%d deliveries about %s are done, want %d", done, p.order, want)
		}
		if err != nil {
			return err
		}
		if err := p.b.site.advance(ctx, rungTime); err != nil {
			return err
		}
		if !pause(ctx, 10*again) {
			return ctx.Err()
		}
	}
}

func TestKilledBetweenAnyTwoStepsOfADelivery(t *testing.T) {
	t.Parallel()
	s, b := setup(t, "CREDITPAY_CRASH_IN_NOTIFICATION=true")
	shops := []*shop{s.newShop(t, notificationv1.DeliveryProfile_DELIVERY_PROFILE_STANDARD, nil, badFirst),
		s.newShop(t, notificationv1.DeliveryProfile_DELIVERY_PROFILE_PAY_PROTOCOL, nil, cutOffFirst)}
	types := []string{"order.paid", "order.confirmed"}
	deliveries := int64(len(shops) * len(types))
	eachStep(t, s, "delivery",
		func(n int) *purchase { return b.mustOpen(t, fmt.Sprintf("delivery-%03d", n)) },
		func(_ context.Context, p *purchase) {
			ctx, cancel := s.alive(t)
			defer cancel()
			err := p.payAndTake(ctx)
			if err == nil {
				err = p.told(ctx, t, deliveries)
			}
			if err != nil && ctx.Err() == nil && !s.process.Dead() {
				pause(t.Context(), time.Second) // The line breaks a moment before the process is gone.
				if !s.process.Dead() {
					t.Errorf("nothing was killed: %v", err)
				}
			}
		},
		func(p *purchase) {
			must(t, p.payAndTake(t.Context()))
			must(t, p.told(t.Context(), t, deliveries))
			for _, r := range shops {
				r.heardOf(t, p.order, types...)
			}
			p.paidOnce(t)
		})
}

// gate is a listener that lets nobody in while it is shut: who comes stands outside, and is sent away when it is opened again.
type gate struct {
	net.Listener
	mu   sync.Mutex
	shut bool
	// outside are those who came meanwhile.
	outside []net.Conn
}

func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		shut := g.shut
		if shut {
			g.outside = append(g.outside, conn)
		}
		g.mu.Unlock()
		if !shut {
			return conn, nil
		}
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, conn := range g.outside {
		_ = conn.Close() // Its other end is dead.
	}
	g.shut, g.outside = false, nil
}

// leased waits until the delivery of an order.paid is claimed.
func (p *purchase) leased(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, settleTime, func() bool {
		return p.b.site.mustCount(t, `SELECT COUNT(*) FROM creditpay_notification.deliveries d JOIN creditpay_order.orders o ON o.id = d.order_id
			WHERE o.out_order_no = ? AND d.lease_time IS NOT NULL`, p.no) == 1
	})
}

// lockDelivery keeps anybody from writing down what became of what is being sent, until the end is called. It is for the receiver's own
// goroutine, so it fails by an error.
func (s *site) lockDelivery(ctx context.Context) (end func(), err error) {
	db, err := sql.Open("mysql", s.db.AdminDSN())
	if err != nil {
		return nil, err
	}
	end = func() { _ = db.Close() }
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}) // Locks these rows only.
	if err != nil {
		return end, err
	}
	end = func() { _ = tx.Rollback(); _ = db.Close() }
	_, err = tx.ExecContext(ctx, `UPDATE creditpay_notification.deliveries SET type = CONCAT(type, '') WHERE lease_time IS NOT NULL`)
	return end, err
}

// spokenTo is a receiver whose first receipt of an event is answered as a test says.
type spokenTo struct {
	*shop
	site *site
	door *gate
	t    *testing.T
	mu   sync.Mutex
	// first is nil where everything is acknowledged.
	first func(w http.ResponseWriter) bool
}

func (s *site) newSpokenTo(t *testing.T) *spokenTo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &spokenTo{site: s, t: t, door: &gate{Listener: l}}
	r.shop = s.newShop(t, notificationv1.DeliveryProfile_DELIVERY_PROFILE_PAY_PROTOCOL, r.door, func(w http.ResponseWriter, n int) bool {
		r.mu.Lock()
		first := r.first
		r.mu.Unlock()
		if n == 1 && first != nil {
			return first(w)
		}
		return acknowledge(w, n)
	})
	return r
}

func (r *spokenTo) answers(first func(w http.ResponseWriter) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.first = first
}

// claimed has the stack killed when it has claimed the delivery and nobody heard of it.
func (r *spokenTo) claimed(p *purchase) {
	r.door.close()
	defer r.door.open()
	r.CloseClientConnections()
	must(r.t, p.pay(r.t.Context()))
	p.leased(r.t)
	r.site.process.Kill()
}

// received has the stack killed when the receiver has the message and has not answered.
func (r *spokenTo) received(p *purchase) {
	r.answers(func(http.ResponseWriter) bool {
		r.site.process.Kill()
		panic(http.ErrAbortHandler)
	})
	ctx, cancel := r.site.alive(r.t)
	defer cancel()
	_ = p.pay(ctx) // What it answers is not known to a caller who lost the line.
	<-r.site.process.Done
}

// acknowledged has the stack killed when the receiver's answer has arrived and is not written down.
func (r *spokenTo) acknowledged(p *purchase) {
	var unlock func()
	r.answers(func(w http.ResponseWriter) bool {
		end, err := r.site.lockDelivery(r.t.Context())
		unlock = end
		return err == nil && acknowledge(w, 1)
	})
	must(r.t, p.pay(r.t.Context()))
	testkit.Eventually(r.t, settleTime, func() bool { // The end of the attempt waits for the lock.
		return r.site.mustCount(r.t, `SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS'`) > 0
	})
	r.site.process.Kill()
	unlock()
}

// A delivery is claimed, received, and acknowledged, and each time its process is killed before it can write anything down.
func TestKilledWhileAReceiverIsSpokenTo(t *testing.T) {
	t.Parallel()
	s, b := setup(t)
	r := s.newSpokenTo(t)
	for _, c := range []struct {
		name     string
		kill     func(p *purchase)
		receipts int
	}{{"claimed", r.claimed, 1}, {"received", r.received, 2}, {"acknowledged", r.acknowledged, 2}} {
		p := b.mustOpen(t, "spoken-to-"+c.name)
		c.kill(p)
		r.answers(nil)
		s.start(t, 0)
		must(t, s.advance(t.Context(), deliveryLease))
		must(t, p.payAndTake(t.Context()))
		must(t, p.told(t.Context(), t, 2))
		r.heardOf(t, p.order, "order.paid", "order.confirmed")
		if n := len(r.about(p.order)); n != c.receipts+1 {
			t.Errorf("killed when it was %s: %d receipts of two events, want %d", c.name, n, c.receipts+1)
		}
		s.proveBooks(t)
	}
}
