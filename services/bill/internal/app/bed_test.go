package app_test

import (
	"context"
	"sync"
	"testing"
	"time"

	orderv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/order/v1"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/schema"
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
}

func newBed(t *testing.T) *bed {
	t.Helper()
	ctx := context.Background()
	db, err := mysqlx.Open(testkit.Database(t), mysqlx.Options{MaxConns: 24})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	mechanism, err := schema.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	own, err := store.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(ctx, mechanism, own); err != nil {
		t.Fatal(err)
	}
	clk := clock.NewFake(time.Date(2026, time.April, 10, 3, 0, 0, 0, time.UTC))
	gen := ids.NewGenerator(clk)
	kit := &unit.Kit{DB: db, Outbox: outbox.NewWriter(gen, clk), Jobs: jobs.NewQueue(clk), IDs: gen, Clock: clk}
	rows := store.New(kit, event.Encode)
	if err := rows.Seed(ctx, domain.DefaultProducts(money.IDR()), clk.Now()); err != nil {
		t.Fatal(err)
	}
	b := &bed{db: db, clock: clk, ids: gen}
	b.App = app.New(app.Deps{Store: rows, Requests: rows.Requests(), IDs: gen, Clock: clk, ProductRefresh: time.Second, PlanCacheSize: 100})
	b.handler = event.NewHandler(b.App, rows)
	t.Cleanup(func() { b.audit(t) })
	return b
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
