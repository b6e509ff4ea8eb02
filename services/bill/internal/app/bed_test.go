package app_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/pkg/unit"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
	"github.com/creditpay/creditpay/services/bill/internal/event"
	"github.com/creditpay/creditpay/services/bill/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.Leaks) }

// bed is the verbs on a real database of their own. When the test ends, the books are audited.
type bed struct {
	*app.App
	db      *mysqlx.DB
	clock   *clock.Fake
	ids     *ids.Generator
	handler *event.Handler
	// payments collects the cash of repayments.
	payments *collectsCash
	rows     *store.Store
	// refunds makes refunds.
	refunds *makesRefunds
	// desk takes approvals.
	desk *desk.Desk
}

func newBed(t *testing.T) *bed {
	t.Helper()
	ctx := context.Background()
	db := schematest.OpenService(t, mysqlx.Options{MaxConns: 24}, store.Migrations)
	clk := clock.NewFake(time.Date(2026, time.April, 10, 3, 0, 0, 0, time.UTC))
	gen := ids.NewGenerator(clk)
	kit := &unit.Kit{DB: db, Outbox: outbox.NewWriter(gen, clk), Jobs: jobs.NewQueue(clk), IDs: gen, Clock: clk}
	rows := store.New(kit, event.Encode)
	if err := rows.Seed(ctx, domain.DefaultProducts(money.IDR()), clk.Now()); err != nil {
		t.Fatal(err)
	}
	b := &bed{db: db, clock: clk, ids: gen, rows: rows, desk: desk.New(kit, zap.NewNop(), desk.Settings{})}
	b.payments = &collectsCash{legs: map[ids.ID]app.CashLeg{}}
	b.refunds = &makesRefunds{known: map[ids.ID]app.RefundParts{}}
	b.App = app.New(app.Deps{Store: rows, Requests: rows.Requests(), Payments: b.payments, Refunds: b.refunds, IDs: gen, Clock: clk, ProductRefresh: time.Second, PlanCacheSize: 100, Approvals: b.desk})
	b.desk.On(b.ApprovalVerbs()...)
	b.handler = event.NewHandler(b.App, rows)
	t.Cleanup(func() { b.audit(t) })
	return b
}

// approve has a request that waits approved by as many people as it needs.
func (b *bed) approve(t *testing.T, asked approval.Request) {
	t.Helper()
	for i := len(asked.Votes); asked.Waits() && i < asked.Needed; i++ {
		by := caller.Caller{Kind: caller.Admin, Name: "approver-" + strconv.Itoa(i), Roles: caller.EveryRole()}
		if _, err := b.desk.Approve(t.Context(), desk.Decision{By: by, RequestID: b.ids.New().String(), ID: asked.ID}); err != nil {
			t.Fatal(err)
		}
	}
}

// audit fails the test for every finding in the books. Events count as sent: no relay runs here.
func (b *bed) audit(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	if _, err := b.db.ExecContext(ctx, `UPDATE outbox SET published = 1`); err != nil {
		t.Fatal(err)
	}
	found, err := audit.Run(ctx, b.db, "bill", b.clock.Now(), append(store.Audit(), audit.Mechanism()...))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("audit %s: %s: %s", f.Check, f.ID, f.Text)
	}
}

func rp(minor int64) money.Amount { return money.New(minor, money.IDR()) }

// open opens an account for a user.
func (b *bed) open(t *testing.T, user string, limit int64) {
	t.Helper()
	if _, err := b.OpenCreditAccount(t.Context(), b.request(user), rp(limit)); err != nil {
		t.Fatal(err)
	}
}

func (b *bed) request(user string) app.AccountRequest {
	return app.AccountRequest{RequestID: b.ids.New().String(), Actor: "ADMIN:alice", UserID: user, Reason: "test"}
}

// purchase is a commit of new orders with these prices, in three months.
func (b *bed) purchase(user string, prices ...int64) app.ReserveRequest {
	r := app.ReserveRequest{
		CommitID: b.ids.New(), UserID: user, Business: "marketplace",
		ProductCode: "SPL_ID", ProductVersion: 1, TenorMonths: 3, Actor: "SERVICE:payment",
	}
	for _, p := range prices {
		r.Orders = append(r.Orders, app.FinancedOrder{OrderID: b.ids.New(), MerchantID: "shop-1", Amount: rp(p)})
	}
	return r
}

func (b *bed) reserve(t *testing.T, r app.ReserveRequest) []app.ReservedLoan {
	t.Helper()
	loans, err := b.ReserveCredit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return loans
}

// confirmed is the event of an order's confirmation.
func (b *bed) confirmed(order ids.ID, at time.Time) inbox.Event {
	return inbox.Event{ID: b.ids.New(), Time: at, Payload: &orderv1.OrderConfirmed{
		Order: &orderv1.OrderRef{OrderId: ids.Format(ids.Order, order)},
	}}
}

// apply applies events as the inbox does.
func (b *bed) apply(ctx context.Context, events ...inbox.Event) error {
	return b.db.InTx(ctx, func(tx *mysqlx.Tx) error { return b.handler.Apply(ctx, tx, events) })
}

// figures are limit, used and held of a user's account.
func (b *bed) figures(t *testing.T, user string) [3]int64 {
	t.Helper()
	a, err := b.GetCreditAccount(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return [3]int64{a.Limit.Minor(), a.Used.Minor(), a.Held.Minor()}
}

func (b *bed) wantFigures(t *testing.T, user string, limit, used, held int64) {
	t.Helper()
	if got := b.figures(t, user); got != [3]int64{limit, used, held} {
		t.Errorf("limit, used, held of %s are %v, want %v", user, got, [3]int64{limit, used, held})
	}
}

// count is the one number that a query gives.
func (b *bed) count(t *testing.T, query string, args ...any) int {
	t.Helper()
	var n int
	if err := b.db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// together calls f n times at once and gives the errors.
func together(n int, f func(i int) error) []error {
	out := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			out[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return out
}

// makesRefunds is a refund service that knows the refunds of a test.
type makesRefunds struct {
	mu    sync.Mutex
	known map[ids.ID]app.RefundParts
	// away answers nothing; asked counts the questions.
	away  bool
	asked int
}

func (m *makesRefunds) RefundParts(_ context.Context, id ids.ID) (app.RefundParts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	r, found := m.known[id]
	switch {
	case m.away:
		return r, errs.DependencyUnavailable.New("refund is away")
	case !found:
		return r, errs.NotFound.New("there is no such refund")
	}
	return r, nil
}

// knows has the refund service carry a refund out.
func (m *makesRefunds) knows(r app.RefundRequest) app.RefundRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[r.RefundID] = app.RefundParts{OrderID: r.OrderID, Credit: r.Amount, Adjusting: true, Expected: r.Expected}
	return r
}

// collectsCash is a payment service that remembers legs.
type collectsCash struct {
	mu   sync.Mutex
	legs map[ids.ID]app.CashLeg
	// away answers nothing, closed opens no leg.
	away, closed bool
	// returns are those that exist, by reference; parts what became of parts of repayments: nothing that may go back when it is not there.
	returns map[ids.ID]app.CashReturn
	parts   map[[2]ids.ID]app.RepaymentReturn
}

func (c *collectsCash) CashReturn(_ context.Context, reference ids.ID) (app.CashReturn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, found := c.returns[reference]
	switch {
	case c.away:
		return r, errs.DependencyUnavailable.New("payment is away")
	case !found:
		return r, errs.NotFound.New("no such return")
	}
	return r, nil
}

func (c *collectsCash) RepaymentReturn(_ context.Context, refundID, repaymentID ids.ID) (app.RepaymentReturn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parts[[2]ids.ID{refundID, repaymentID}], nil
}

// gaveUp has the payment service give up a part of a down payment.
func (b *bed) gaveUp(user string, minor int64) app.KeptCash {
	k := app.KeptCash{Reference: b.ids.New(), UserID: user, Amount: rp(minor)}
	b.payments.mu.Lock()
	defer b.payments.mu.Unlock()
	if b.payments.returns == nil {
		b.payments.returns = map[ids.ID]app.CashReturn{}
	}
	b.payments.returns[k.Reference] = app.CashReturn{UserID: user, Amount: k.Amount, OfDownPayment: true, Abandoned: true}
	return k
}

func (c *collectsCash) OpenCashLeg(_ context.Context, r app.Repayment) (app.CashLeg, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return app.CashLeg{}, errs.DependencyUnavailable.New("payment is away")
	}
	if _, ok := c.legs[r.ID]; !ok {
		if c.closed {
			return app.CashLeg{}, errs.ChannelNotAvailable.New("the channel is closed")
		}
		c.legs[r.ID] = app.CashLeg{State: app.CashLegPending, RedirectURL: "https://pay.example/" + r.ID.String()}
	}
	return c.legs[r.ID], nil
}

func (c *collectsCash) CashLeg(_ context.Context, id ids.ID) (app.CashLeg, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	leg, ok := c.legs[id]
	switch {
	case c.away:
		return leg, errs.DependencyUnavailable.New("payment is away")
	case !ok:
		return leg, errs.NotFound.New("no such leg")
	}
	return leg, nil
}

func (c *collectsCash) CashChannels(context.Context) ([]app.CashChannel, error) {
	return []app.CashChannel{{Code: "VA", Name: "Virtual account"}}, nil
}

// running is a loan of a user that has begun today, in three months.
func (b *bed) running(t *testing.T, user string, price int64) ids.ID {
	t.Helper()
	r := b.purchase(user, price)
	loan := b.reserve(t, r)[0].LoanID
	if err := b.apply(t.Context(), b.confirmed(r.Orders[0].OrderID, b.clock.Now())); err != nil {
		t.Fatal(err)
	}
	return loan
}

// advanceTo brings the clock to noon of a day in Jakarta and does what is due.
func (b *bed) advanceTo(t *testing.T, year int, month time.Month, day int) {
	t.Helper()
	b.clock.Set(time.Date(year, month, day, 12, 0, 0, 0, civil.Jakarta()))
	b.roll(t)
}

// roll does what the timers would do.
func (b *bed) roll(t *testing.T) {
	t.Helper()
	for {
		due := b.due(t, `SELECT id FROM loans WHERE roll_time <= ? ORDER BY roll_time`)
		if len(due) == 0 {
			break
		}
		if err := b.RollLoans(t.Context(), due); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.LookAtBills(t.Context(), b.due(t, `SELECT id FROM bills WHERE look_time <= ?`)); err != nil {
		t.Fatal(err)
	}
}

func (b *bed) due(t *testing.T, query string) []ids.ID {
	t.Helper()
	rows, err := b.db.QueryContext(t.Context(), query, b.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var list []ids.ID
	for rows.Next() {
		var id ids.ID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		list = append(list, id)
	}
	return list
}

// repay pays an amount (0: what is named) and lets the money arrive.
func (b *bed) repay(t *testing.T, user string, amount int64, loans ...ids.ID) ids.ID {
	t.Helper()
	req := app.Repay{LoanIDs: loans, Channel: "VA"}
	if amount > 0 {
		req.Amount = rp(amount)
	}
	begun, err := b.RepayBills(t.Context(), user, "H5:"+user, b.ids.New().String(), req)
	if err != nil {
		t.Fatal(err)
	}
	b.outcome(t, begun.Repayment, app.CashLegSucceeded)
	return begun.Repayment.ID
}

// outcome tells what became of the money of a repayment.
func (b *bed) outcome(t *testing.T, r app.Repayment, state app.CashLegState) {
	t.Helper()
	if err := b.settle(t.Context(), app.LegOutcome{RepaymentID: r.ID, State: state, Amount: r.Amount, PayTime: b.clock.Now()}); err != nil {
		t.Fatal(err)
	}
}

func (b *bed) settle(ctx context.Context, outcomes ...app.LegOutcome) error {
	return b.rows.DoLocking(ctx, func(tx app.LockingTx) error { return b.SettleRepayments(ctx, tx, outcomes) })
}

// standing is what a user owes and has.
func (b *bed) standing(t *testing.T, user string) app.Standing {
	t.Helper()
	s, err := b.StandingOf(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
