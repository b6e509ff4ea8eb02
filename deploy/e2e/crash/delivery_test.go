package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	notificationv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/notification/v1"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/testkit"
)

// shop is a merchant's receiver, which survives the stack.
type shop struct {
	*httptest.Server
	mu sync.Mutex
	// bodies by event, each as often as it came; events in the order in which they came first.
	bodies map[string][]string
	events map[string][]string
	// before and after are called once, when a notice came and when it was acknowledged; nil for nothing.
	before, after func()
}

// newShop registers a receiver that is told of an order's events one after the other.
func (s *site) newShop(t *testing.T) *shop {
	t.Helper()
	r := &shop{bodies: map[string][]string{}, events: map[string][]string{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	_, err := notificationv1.NewNotificationAdminServiceClient(s.conn).CreateEndpoint(as(t.Context(), s.creds.AdminToken), &notificationv1.CreateEndpointRequest{
		RequestId: "crash-shop", MerchantId: "shop-1", Url: r.URL, Profile: notificationv1.DeliveryProfile_DELIVERY_PROFILE_PAY_PROTOCOL, KeyName: "crash"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *shop) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var told struct {
		ID, Type string
		Data     struct{ Order struct{ OrderID string } }
	}
	if err != nil || json.Unmarshal(body, &told) != nil {
		http.Error(w, "cut off", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	before, after := r.before, r.after
	r.before, r.after = nil, nil
	if len(r.bodies[told.ID]) == 0 {
		r.events[told.Data.Order.OrderID] = append(r.events[told.Data.Order.OrderID], told.Type)
	}
	r.bodies[told.ID] = append(r.bodies[told.ID], string(body))
	r.mu.Unlock()
	if before != nil {
		before()
	}
	_, _ = io.WriteString(w, "success") // Nobody may be there any more.
	_ = http.NewResponseController(w).Flush()
	if after != nil {
		after()
	}
}

// strikes sets what happens at the next notice.
func (r *shop) strikes(before, after func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before, r.after = before, after
}

// toldAll waits until the shop has acknowledged everything about a confirmed order, and proves that each event came in its order and with
// one body, however often.
func (p *purchase) toldAll(t *testing.T, r *shop) {
	t.Helper()
	s := p.b.site
	order, err := ids.Parse(ids.Order, p.order)
	if err != nil {
		t.Fatal(err)
	}
	s.skipLeases(t)
	s.skipLeases(t) // A delivery's is a minute.
	testkit.Eventually(t, settleTime, func() error {
		done, err := s.count(t.Context(), `SELECT COUNT(*) FROM creditpay_notification.deliveries WHERE order_id = ? AND state = 2`, order)
		if err == nil && done != 2 {
			err = fmt.Errorf("%d deliveries of %s are acknowledged, want 2", done, p.order)
		}
		return err
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := r.events[p.order]; !slices.Equal(got, []string{"order.paid", "order.confirmed"}) {
		t.Errorf("the shop heard %v", got)
	}
	for id, bodies := range r.bodies {
		if len(slices.Compact(slices.Clone(bodies))) != 1 {
			t.Errorf("%s came with several bodies: %q", id, bodies)
		}
	}
}

func TestKilledBetweenAnyTwoStepsOfADelivery(t *testing.T) {
	t.Parallel()
	s, b := setup(t, "CREDITPAY_CRASH_DELIVERIES=true")
	r := s.newShop(t)
	eachStep(t, s, "delivery",
		func(n int) *purchase { return b.mustPay(t, fmt.Sprintf("told-%03d", n)) },
		func(ctx context.Context, p *purchase) { _, _ = p.confirmOnce(ctx) },
		func(p *purchase) {
			_, err := p.change(t.Context(), p.confirmOnce)
			must(t, err)
			p.toldAll(t, r)
		})
}

// Neither a receiver that has a notice and no sender, nor one whose acknowledgement nobody heard, loses it.
func TestKilledWhileAReceiverIsSpokenTo(t *testing.T) {
	t.Parallel()
	s, b := setup(t)
	r := s.newShop(t)
	kill := func() { s.process.Kill() }
	for name, strike := range map[string][2]func(){"before-it-answers": {kill, nil}, "once-it-has-answered": {nil, kill}} {
		p := b.mustPay(t, "killed-"+name)
		victim := s.process
		r.strikes(strike[0], strike[1])
		_, _ = p.confirmOnce(t.Context())
		<-victim.Done
		s.start(t, 0)
		_, err := p.change(t.Context(), p.confirmOnce)
		must(t, err)
		p.toldAll(t, r)
		s.proveBooks(t)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	again := 0
	for _, bodies := range r.bodies {
		again += len(bodies) - 1
	}
	if again == 0 {
		t.Error("no notice came again: nobody was killed in the middle")
	}
}
