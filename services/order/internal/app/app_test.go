package app_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/pkg/unit"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
	"github.com/creditpay/creditpay/services/order/internal/event"
	"github.com/creditpay/creditpay/services/order/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// spm is the home marketplace.
func spm() caller.Caller { return caller.Caller{Kind: caller.SPM, Name: "marketplace"} }

// knowsOutcome is a payment service that answers every question with one outcome, or an error.
type knowsOutcome struct {
	mu      sync.Mutex
	outcome app.CommitOutcome
	err     error
}

func (k *knowsOutcome) say(state app.CommitState, s domain.Settlement) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.outcome, k.err = app.CommitOutcome{State: state, Settlement: s}, nil
}

func (k *knowsOutcome) Commit(context.Context, ids.ID) (app.CommitOutcome, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.outcome, k.err
}

func (k *knowsOutcome) Withdraw(ctx context.Context, commit ids.ID, _ string) (app.CommitOutcome, error) {
	return k.Commit(ctx, commit)
}

func (k *knowsOutcome) Payments(context.Context, []ids.ID) (app.Payments, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return app.Payments{Legs: []app.Leg{{Kind: "CREDIT", Channel: "CREDIT", State: "SUCCEEDED"}}}, k.err
}

// offersOnePlan is a bill service that answers, or fails with err; contractsErr is what the contracts fail with alone.
type offersOnePlan struct{ err, contractsErr error }

func (o *offersOnePlan) Quote(context.Context, string, string, []domain.Order) (app.Quote, error) {
	return app.Quote{Plans: []domain.Plan{{ProductCode: "SPL", TenorMonths: 3}}, Actions: []app.RequiredAction{3}}, o.err
}

func (o *offersOnePlan) Loans(_ context.Context, orders []ids.ID) (app.Loans, error) {
	var out app.Loans
	for range orders {
		out.Loans = append(out.Loans, app.Loan{ID: "lon_x", State: "ACTIVE", Running: true, Plan: domain.Plan{ProductCode: "SPL", TenorMonths: 1,
			Principal: idr(100), Total: idr(110), Instalments: []domain.Instalment{{Sequence: 1, DueDate: "2027-01-05", Total: idr(110)}}}})
	}
	return out, o.err
}

func (o *offersOnePlan) Contracts(context.Context, ids.ID) ([]string, error) {
	if o.err != nil || o.contractsErr != nil {
		return nil, errors.Join(o.err, o.contractsErr)
	}
	return []string{"CP-1"}, nil
}

// givesBack has one refund of each order, unless it is away.
type givesBack struct{ err error }

func (g *givesBack) Refunds(context.Context, ids.ID) (app.Refunds, error) {
	if g.err != nil {
		return app.Refunds{}, g.err
	}
	return app.Refunds{IDs: []string{"rfd_1"}, Timeline: []app.TimelineEntry{{Service: "refund", ObjectID: "rfd_1", To: "REQUESTED"}}}, nil
}

func idr(n int64) money.Amount { return money.New(n, money.IDR()) }

// world is the verbs on a database of their own.
type world struct {
	*app.App
	t       *testing.T
	db      *mysqlx.DB
	clock   *clock.Fake
	store   *store.Store
	payment *knowsOutcome
	bill    *offersOnePlan
	refund  *givesBack
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db := schematest.OpenService(t, mysqlx.Options{}, store.Migrations)
	keys, err := secret.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	proofs, err := secret.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	clk := clock.NewFake(time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC))
	gen := ids.NewGenerator(clk)
	st := store.New(&unit.Kit{DB: db, Outbox: outbox.NewWriter(gen, clk), Jobs: jobs.NewQueue(clk), IDs: gen, Clock: clk}, event.Encode)
	w := &world{t: t, db: db, clock: clk, store: st, payment: &knowsOutcome{err: errs.DependencyUnavailable.New("away")}, bill: &offersOnePlan{}, refund: &givesBack{}}
	w.App = app.New(app.Deps{Store: st, Payment: w.payment, Bill: w.bill, Refund: w.refund, Clock: clk, IDs: gen, Keyring: keys, Proofs: proofs, Log: zaptest.NewLogger(t),
		Settings: app.Settings{CashierURL: "https://pay.example/h5", CheckoutExpiry: time.Hour, AutoConfirmAfter: 15 * 24 * time.Hour,
			AutoConfirmByBusiness: map[string]time.Duration{"travel": 48 * time.Hour}, PeerTimeout: time.Second, DetailTimeout: time.Second, ProofLife: 15 * time.Minute, Location: time.UTC}})
	t.Cleanup(w.audit)
	return w
}

// audit proves the books after every test.
func (w *world) audit() {
	ctx := context.Background()
	found, err := audit.Run(ctx, w.db, "order", w.clock.Now(), store.Audit())
	if err != nil {
		w.t.Errorf("audit: %v", err)
	}
	for _, f := range found {
		w.t.Errorf("audit: %s %s: %s", f.Check, f.ID, f.Text)
	}
}

func draft(numbers ...string) domain.Draft {
	d := domain.Draft{UserID: "u1", Business: "marketplace", CurrencyCode: "IDR", RedirectURL: "https://shop.example/done"}
	for _, n := range numbers {
		d.Orders = append(d.Orders, domain.OrderDraft{MerchantID: "m1", OutOrderNo: n, Amount: idr(100), Title: "shoes"})
	}
	return d
}

func (w *world) generate(request string, d domain.Draft) domain.Checkout {
	w.t.Helper()
	made, err := w.GeneratePayments(w.t.Context(), app.Generate{Caller: spm(), RequestID: request, Draft: d})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.checkout(made.CheckoutID)
}

func (w *world) checkout(id ids.ID) domain.Checkout {
	w.t.Helper()
	c, err := w.GetCheckout(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) begin(c domain.Checkout) ids.ID {
	w.t.Helper()
	commit := w.IDs.New()
	if _, err := w.BeginCommit(w.t.Context(), c.ID, domain.Commit{ID: commit, UserID: c.UserID, Expected: c.Total}, "SERVICE:payment"); err != nil {
		w.t.Fatal(err)
	}
	return commit
}

func (w *world) settlement(c domain.Checkout, commit ids.ID) domain.Settlement {
	s := domain.Settlement{CheckoutID: c.ID, CommitID: commit, PayTime: w.clock.Now()}
	for _, o := range c.In(domain.OrderCreated) {
		s.Orders = append(s.Orders, domain.PaidOrder{OrderID: o.ID, PaymentID: o.PaymentID, Amount: o.Amount})
	}
	return s
}

func (w *world) apply(events ...app.Incoming) error {
	return w.db.InTx(w.t.Context(), func(tx *mysqlx.Tx) error {
		return w.store.Join(tx, func(tx app.EventTx) error { return w.ApplyEvents(w.t.Context(), tx, events) })
	})
}

// paid makes a checkout and pays it.
func (w *world) paid(request string, numbers ...string) domain.Checkout {
	w.t.Helper()
	c := w.generate(request, draft(numbers...))
	commit := w.begin(c)
	if err := w.apply(app.PaymentSucceeded{Settlement: w.settlement(c, commit)}); err != nil {
		w.t.Fatal(err)
	}
	return w.checkout(c.ID)
}

func orderIDs(c domain.Checkout) []ids.ID {
	var out []ids.ID
	for _, o := range c.Orders {
		out = append(out, o.ID)
	}
	return out
}

func (w *world) confirm(request string, orders ...ids.ID) []app.OrderResult {
	w.t.Helper()
	results, err := w.ConfirmPayment(w.t.Context(), app.Confirm{Caller: spm(), RequestID: request, OrderIDs: orders})
	if err != nil {
		w.t.Fatal(err)
	}
	return results
}

func (w *world) cancel(request string, orders ...ids.ID) []app.OrderResult {
	w.t.Helper()
	results, err := w.CancelPayments(w.t.Context(), app.Cancel{Caller: spm(), RequestID: request, OrderIDs: orders, Reason: "changed my mind"})
	if err != nil {
		w.t.Fatal(err)
	}
	return results
}

func wantStates(t *testing.T, c domain.Checkout, state domain.CheckoutState, orders ...domain.OrderState) {
	t.Helper()
	if c.State != state {
		t.Errorf("checkout is %s, want %s", c.State, state)
	}
	for i, o := range c.Orders {
		if o.State != orders[i] {
			t.Errorf("order %d is %s, want %s", i, o.State, orders[i])
		}
	}
}

func wantReason(t *testing.T, r app.OrderResult, reason errs.Reason) {
	t.Helper()
	if r.Reason != reason.Name() {
		t.Errorf("reason %q (%s), want %s", r.Reason, r.State, reason.Name())
	}
}

// count reads one number.
func (w *world) count(query string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.db.QueryRowContext(w.t.Context(), query, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// atOnce runs calls together and gives their errors.
func atOnce(n int, call func(i int) error) []error {
	failures := make([]error, n)
	start := make(chan struct{})
	var g sync.WaitGroup
	for i := range n {
		g.Go(func() {
			<-start
			failures[i] = call(i)
		})
	}
	close(start)
	g.Wait()
	return failures
}

func payer(user string) caller.Caller { return caller.Caller{Kind: caller.H5, UserID: user} }

func request(i int) string { return fmt.Sprintf("request-%d", i) }
