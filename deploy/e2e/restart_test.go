package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/errs"

	"github.com/creditpay/creditpay/deploy/devstack"
)

// startTime is how long a start may take until /healthz answers, the first one with an empty directory included.
const startTime = 5 * time.Second

// startHere starts a stack for the test alone and proves its books before it stops, unless the test stops it itself.
func startHere(t *testing.T, dir string) *stack {
	t.Helper()
	s, err := start(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.healthy > startTime {
		t.Errorf("the stack was healthy after %s, want %s at most", s.healthy, startTime)
	}
	t.Logf("healthy after %s", s.healthy)
	return s
}

// kept is what of the state directory must be the same after a restart.
func kept(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range []string{"dev-credentials.json", "keys/service-order.json", "keys/admin.json", "keys/token-keys.json", "keyring.json", "clock.json", "database-passwords.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(text)
	}
	return out
}

// It does not run beside others: it measures the time of a start.
func TestARestartLosesNothing(t *testing.T) {
	dir, err := stateDir("restart")
	if err != nil {
		t.Fatal(err)
	}
	s := startHere(t, dir)
	p := s.payer(t, 10_000_000)
	confirmed, open, paid := p.checkout(t, 100_000), p.checkout(t, 50_000), p.checkout(t, 70_000)
	p.pay(t, confirmed.GetCheckoutId())
	call := commitCall{checkoutID: paid.GetCheckoutId(), quoteID: p.quote(t, paid.GetCheckoutId()).GetQuoteId(), requestID: unique("commit")}
	first, err := p.tryCommit(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	s.confirm(t, confirmed.GetOrders()[0].GetOrderId())
	before := p.awaitLoan(t, confirmed.GetOrders()[0].GetOrderId(), "ACTIVE")
	s.advance(t, 23*time.Hour)
	q := p.quote(t, open.GetCheckoutId())
	files, clockBefore := kept(t, dir), s.now(t)
	s.proveBooks(t)
	if err := s.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}

	s = startHere(t, dir)
	defer func() {
		if err := s.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	}()
	p.s = s
	for name, text := range kept(t, dir) {
		if files[name] != text {
			t.Errorf("%s changed over the restart", name)
		}
	}
	if now := s.now(t); now.Before(clockBefore) {
		t.Errorf("the clock went back from %s to %s", clockBefore, now)
	}
	if after := p.detail(t, confirmed.GetOrders()[0].GetOrderId()); !proto.Equal(before, after) {
		t.Errorf("the order was\n%v, is\n%v", before, after)
	}
	p.wantCredit(t, 10_000_000, 100_000, 70_000)
	if again, err := p.tryCommit(t.Context(), call); err != nil || !proto.Equal(again, first) {
		t.Errorf("a request of before the restart is answered %v, %v; it was %v", again, err, first)
	}
	// What was under way goes on, by the old quote and the old tokens; new things work.
	p.payQuote(t, open.GetCheckoutId(), q.GetQuoteId())
	s.confirm(t, paid.GetOrders()[0].GetOrderId())
	p.awaitLoan(t, paid.GetOrders()[0].GetOrderId(), "ACTIVE")
	second := p.checkout(t, 30_000)
	p.pay(t, second.GetCheckoutId())
	s.awaitOrder(t, second.GetOrders()[0].GetOrderId(), orderv1.OrderState_ORDER_STATE_PAID)
	p.wantCredit(t, 10_000_000, 170_000, 80_000)
	// Timers of before the restart still run.
	s.advance(t, 16*24*time.Hour)
	s.awaitOrder(t, second.GetOrders()[0].GetOrderId(), orderv1.OrderState_ORDER_STATE_CONFIRMED)
	if info, creds, err := devstack.ReadInfo(dir); err != nil || info.HTTP != s.Info.HTTP || creds != s.Credentials {
		t.Errorf("tools find %v, %v; want %v", info, err, s.Info)
	}
	s.proveBooks(t)
}

// A year passed, or an operator froze the demo payer: the stack's scripted purchase is refused, and the stack serves.
func TestAStackWhoseDemoPayerMayNotBuyStartsAllTheSame(t *testing.T) {
	t.Parallel()
	dir, err := stateDir("frozen")
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.freeze(t, &payer{s: s, id: s.Credentials.H5UserID})
	if err := s.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if s, err = startAs(devstack.Config{StateDir: dir, Purchase: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.said.String(), errs.AccountFrozen.Name()) {
		t.Errorf("the stack said %s", s.said)
	}
	s.proveBooks(t)
	if err := s.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestASecondStackInTheSameDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	other, err := start(s.dir)
	if err == nil {
		t.Fatalf("a second stack started in %s: %v", s.dir, other.stop())
	}
	if !strings.Contains(err.Error(), "is in use") {
		t.Errorf("the refusal does not say why: %v", err)
	}
	if info, _, err := devstack.ReadInfo(s.dir); err != nil || info.HTTP != s.Info.HTTP {
		t.Errorf("tools are sent to %v, %v; the stack that runs is %v", info, err, s.Info)
	}
	p := s.payer(t, 1_000_000)
	p.pay(t, p.checkout(t, 100_000).GetCheckoutId())
	s.proveBooks(t)
}
