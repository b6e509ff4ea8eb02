package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/pkg/unit"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
	"github.com/creditpay/creditpay/services/order/internal/event"
	"github.com/creditpay/creditpay/services/order/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// place is a store on a database of its own.
type place struct {
	*store.Store
	t   *testing.T
	db  *mysqlx.DB
	gen *ids.Generator
	now time.Time
}

func newPlace(t *testing.T) *place {
	t.Helper()
	db := schematest.OpenService(t, mysqlx.Options{}, store.Migrations)
	clk := clock.NewFake(time.Date(2026, 12, 1, 9, 0, 0, 123456000, time.UTC))
	gen := ids.NewGenerator(clk)
	kit := &unit.Kit{DB: db, Outbox: outbox.NewWriter(gen, clk), Jobs: jobs.NewQueue(clk), IDs: gen, Clock: clk}
	return &place{Store: store.New(kit, event.Encode), t: t, db: db, gen: gen, now: clk.Now()}
}

// insert adds an open checkout of two orders, with its timer.
func (p *place) insert() (domain.Checkout, []domain.Item) {
	p.t.Helper()
	idr := func(n int64) money.Amount { return money.New(n, money.IDR()) }
	c := domain.Checkout{ID: p.gen.New(), UserID: "u1", Business: "marketplace", State: domain.CheckoutOpen, Total: idr(300),
		RedirectURL: "https://shop.example/", NotifyURL: "https://market.example/told?key=;'", ExpireTime: p.now.Add(time.Hour), CreateTime: p.now, Version: 1}
	for i := range int64(2) {
		c.Orders = append(c.Orders, domain.Order{ID: p.gen.New(), CheckoutID: c.ID, PaymentID: p.gen.New(), MerchantID: "m1", OutOrderNo: p.gen.New().String(),
			ContentHash: [32]byte{1, 31: 9}, UserID: "u1", Business: "marketplace", Amount: idr(100 * (i + 1)), Paid: idr(0), Refunded: idr(0), NotifyURL: c.NotifyURL,
			Title: "sepatu – 鞋 👟", State: domain.OrderCreated, Version: 1, CreateTime: p.now, ExpireTime: p.now.Add(time.Hour)})
	}
	items := []domain.Item{{SKU: "s;1", Name: `quote " and ; '`, Quantity: 2, UnitPrice: idr(50)}}
	err := p.Do(p.t.Context(), func(tx app.Tx) error {
		tx.InsertCheckout(c, [][]domain.Item{items, nil}, domain.Mark{Time: p.now, Actor: "SPM:x", Cause: "made"})
		tx.Emit(domain.Created{Checkout: c})
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return c, items
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c, items := p.insert()
	got, err := p.Checkout(t.Context(), c.ID)
	if err != nil || !slices.Equal(got.Orders, c.Orders) {
		t.Fatalf("orders %+v, want %+v, error %v", got.Orders, c.Orders, err)
	}
	if got.Orders = c.Orders; got.Total != c.Total || got.Version != 1 || got.ExpireTime != c.ExpireTime || got.RedirectURL != c.RedirectURL || got.NotifyURL != c.NotifyURL {
		t.Errorf("checkout %+v", got)
	}
	if lines, err := p.Items(t.Context(), c.Orders[0].ID); err != nil || !slices.Equal(lines, items) {
		t.Errorf("items %+v, error %v", lines, err)
	}
	if lines, err := p.Items(t.Context(), c.Orders[1].ID); err != nil || len(lines) != 0 {
		t.Errorf("no items: %+v, error %v", lines, err)
	}
	if line, err := p.Timeline(t.Context(), c.Orders[0].ID); err != nil || len(line) != 1 || line[0].From != domain.OrderNone || line[0].Actor != "SPM:x" || line[0].Time != p.now {
		t.Errorf("timeline %+v, error %v", line, err)
	}
	number := app.OrderNumber{MerchantID: "m1", OutOrderNo: c.Orders[1].OutOrderNo}
	if found, err := p.OrdersByNumber(t.Context(), []app.OrderNumber{number, {MerchantID: "m2", OutOrderNo: number.OutOrderNo}}); err != nil || len(found) != 1 || found[0] != c.Orders[1] {
		t.Errorf("by number %+v, error %v", found, err)
	}
	for name, err := range map[string]error{"checkout": second(p.Checkout(t.Context(), p.gen.New())), "items": second(p.Items(t.Context(), p.gen.New()))} {
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("unknown %s: %v", name, err)
		}
	}
}

// An order that is locked without its checkout must leave the checkout alone: who needs both locks the checkout first.
func TestALooseOrderKnowsItsAddressAndLocksNoCheckout(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c, _ := p.insert()
	err := p.Do(t.Context(), func(tx app.Tx) error {
		locked, err := tx.(app.EventTx).LockOrders(t.Context(), []ids.ID{c.Orders[0].ID})
		if err != nil || len(locked) != 1 || locked[0] != c.Orders[0] {
			t.Errorf("%+v, %v", locked, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err = p.db.ExecContext(ctx, `UPDATE checkouts SET redirect_url = 'https://elsewhere.example/' WHERE id = ?`, c.ID)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestALostCompareAndSetChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c, _ := p.insert()
	moved := slices.Clone(c.Orders)
	for i := range moved {
		moved[i].State, moved[i].Version, moved[i].CommitID = domain.OrderCommitting, 2, p.gen.New()
	}
	stale := slices.Clone(c.Orders)
	stale[1].Version = 7
	err := p.Do(t.Context(), func(tx app.Tx) error {
		tx.MoveOrders(stale, moved, domain.Mark{Time: p.now, Actor: "x", Cause: "y"}, time.Time{})
		tx.BarCommit(moved[0].CommitID, p.now)
		return nil
	})
	if !errs.Is(err, errs.ConcurrentChange) {
		t.Errorf("a stale order moved: %v", err)
	}
	staleCheckout := c
	staleCheckout.Version = 7
	if err := p.Do(t.Context(), func(tx app.Tx) error { tx.MoveCheckout(staleCheckout, c); return nil }); !errs.Is(err, errs.ConcurrentChange) {
		t.Errorf("a stale checkout moved: %v", err)
	}
	got, barred, err := p.CheckoutForCommit(t.Context(), c.ID, moved[0].CommitID)
	if err != nil || barred || !slices.Equal(got.Orders, c.Orders) {
		t.Errorf("barred %v, orders %+v, error %v", barred, got.Orders, err)
	}
	err = p.Do(t.Context(), func(tx app.Tx) error {
		tx.InsertCheckout(c, make([][]domain.Item, 2), domain.Mark{Time: p.now})
		return nil
	})
	if _, duplicate := mysqlx.Duplicate(err); !duplicate {
		t.Errorf("the same checkout twice: %v", err)
	}
	c.ID, c.Orders[0].ID, c.Orders[1].ID = p.gen.New(), p.gen.New(), p.gen.New()
	err = p.Do(t.Context(), func(tx app.Tx) error {
		tx.InsertCheckout(c, make([][]domain.Item, 2), domain.Mark{Time: p.now})
		return nil
	})
	if !errors.Is(err, app.ErrNumberTaken) {
		t.Errorf("the same order numbers twice: %v", err)
	}
}

func (p *place) findings(now time.Time) []string {
	p.t.Helper()
	found, err := audit.Run(p.t.Context(), p.db, "order", now, store.Audit())
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		if !slices.Contains(names, f.Check) {
			names = append(names, f.Check)
		}
	}
	return names
}

func TestTheAuditFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c, _ := p.insert()
	if found := p.findings(p.now); len(found) != 0 {
		t.Fatalf("a sound checkout: %v", found)
	}
	for _, broken := range []struct {
		statement string
		want      []string
	}{
		{`UPDATE orders SET state = 3, paid_minor = amount_minor, pay_time = create_time, commit_id = id WHERE id = ?`,
			[]string{"paid_order_without_event", "order_timeline_has_current_state", "checkout_state_matches_orders", "checkout_total_matches_orders",
				"commit_holds_whole_checkout", "paid_order_without_timer"}},
		{`UPDATE orders SET state = 4, confirm_time = create_time WHERE id = ?`, []string{"confirmed_order_without_event"}},
		{`UPDATE orders SET state = 2, paid_minor = 1 WHERE id = ?`, []string{"paid_matches_state"}},
		{`UPDATE orders SET timeline = CONCAT(timeline, '{"to":2,"time":"2026-12-01 09:00:00.000000","actor":"x","cause":"y"}', CHAR(10)) WHERE id = ?`,
			[]string{"committing_too_long", "order_timeline_is_complete"}},
		{`UPDATE orders SET auto_confirm_time = create_time WHERE id = ?`, []string{"auto_confirm_overdue"}},
		{`UPDATE checkouts SET timer_time = create_time WHERE id IN (SELECT checkout_id FROM orders WHERE id = ?)`, []string{"timer_overdue"}},
	} {
		if _, err := p.db.ExecContext(t.Context(), broken.statement, c.Orders[0].ID); err != nil {
			t.Fatal(err)
		}
		found := p.findings(p.now.Add(61 * time.Minute))
		for _, want := range broken.want {
			if !slices.Contains(found, want) {
				t.Errorf("after %s: %s is missing in %v", broken.statement, want, found)
			}
		}
	}
	if _, err := p.db.ExecContext(t.Context(), `UPDATE checkouts SET timer_time = NULL`); err != nil {
		t.Fatal(err)
	}
	if _, err := p.db.ExecContext(t.Context(), `INSERT INTO aborted_commits SELECT id, create_time FROM checkouts`); err != nil {
		t.Fatal(err)
	}
	if _, err := p.db.ExecContext(t.Context(), `UPDATE checkouts SET commit_id = id`); err != nil {
		t.Fatal(err)
	}
	found := p.findings(p.now)
	for _, want := range []string{"open_checkout_without_timer", "aborted_commit_holds_nothing"} {
		if !slices.Contains(found, want) {
			t.Errorf("%s is missing in %v", want, found)
		}
	}
}

func TestTheStreamHoldsWhatAPaymentShouldKnow(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c, _ := p.insert()
	if _, err := p.db.ExecContext(t.Context(), `UPDATE orders SET state = 6, paid_minor = amount_minor WHERE id = ?`, c.Orders[1].ID); err != nil {
		t.Fatal(err)
	}
	var hex, state string
	var paid int64
	if err := p.db.QueryRowContext(t.Context(), store.AuditStream()).Scan(&hex, &state, &paid); err != nil {
		t.Fatal(err)
	}
	if audit.TypedID("ord:"+hex) != ids.Format(ids.Order, c.Orders[1].ID) || state != "CANCELLING" || paid != 200 {
		t.Errorf("stream gives %s %s %d", hex, state, paid)
	}
}

// insertBefore is how the version before marketplaces were told apart writes an order, and goes on while it is being replaced.
const insertBefore = `INSERT INTO orders (id, checkout_id, payment_id, merchant_id, out_order_no, content_hash, user_id, business, notify_url,
	currency_code, amount_minor, paid_minor, refunded_minor, title, items, state, commit_id, version, timeline, create_time, expire_time)
	SELECT ?, checkout_id, payment_id, merchant_id, ?, content_hash, user_id, business, notify_url, currency_code, amount_minor, paid_minor,
	refunded_minor, title, items, state, commit_id, version, timeline, create_time, expire_time FROM orders WHERE id = ?`

// A number is unique per marketplace and shop. The version before goes on writing, and finds a number taken by the name that it knows.
func TestOwner_NumbersAreUniquePerMarketplace(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c, _ := p.insert()
	taken := c.Orders[0]
	if _, err := p.db.ExecContext(t.Context(), insertBefore, p.gen.New(), "of-before", taken.ID); err != nil {
		t.Errorf("the version before cannot write an order: %v", err)
	}
	_, err := p.db.ExecContext(t.Context(), insertBefore, p.gen.New(), taken.OutOrderNo, taken.ID)
	if key, duplicate := mysqlx.Duplicate(err); !duplicate || key != "uq_merchant_order" {
		t.Errorf("a number that is taken: key %q, %v, want uq_merchant_order", key, err)
	}
	other := c
	other.ID, other.UserID, other.Orders = p.gen.New(), "beta~u1", []domain.Order{taken}
	o := &other.Orders[0]
	o.ID, o.CheckoutID, o.PaymentID, o.Owner, o.UserID = p.gen.New(), other.ID, p.gen.New(), "beta", "beta~u1"
	insert := func() error {
		return p.Do(t.Context(), func(tx app.Tx) error {
			tx.InsertCheckout(other, [][]domain.Item{nil}, domain.Mark{Time: p.now, Actor: "SPM:beta", Cause: "made"})
			return nil
		})
	}
	if err := insert(); err != nil {
		t.Errorf("another marketplace's order of the same number: %v", err)
	}
	found, err := p.OrdersByNumber(t.Context(), []app.OrderNumber{{Owner: "beta", MerchantID: taken.MerchantID, OutOrderNo: taken.OutOrderNo}})
	if err != nil || len(found) != 1 || found[0] != *o {
		t.Errorf("by number: %+v, %v, want beta's %+v", found, err, *o)
	}
	other.ID, o.ID = p.gen.New(), p.gen.New()
	o.CheckoutID = other.ID
	if err := insert(); !errors.Is(err, app.ErrNumberTaken) {
		t.Errorf("beta's number once more: %v, want ErrNumberTaken", err)
	}
}
