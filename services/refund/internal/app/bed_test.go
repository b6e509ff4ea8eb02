package app_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/approval/desk"
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
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/pkg/unit"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
	"github.com/creditpay/creditpay/services/refund/internal/event"
	"github.com/creditpay/creditpay/services/refund/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.Leaks) }

// notifyURL is where the marketplace wants to be told of every order here.
const notifyURL = "https://market.example/told?key=;'"

func rp(minor int64) money.Amount { return money.New(minor, money.IDR()) }

// bed is the verbs on a real database, with neighbours that keep books of their own.
type bed struct {
	*app.App
	rows  *store.Store
	db    *mysqlx.DB
	clock *clock.Fake
	ids   *ids.Generator
	world *world
	desk  *desk.Desk
}

func newBed(t *testing.T) *bed {
	t.Helper()
	db := schematest.OpenService(t, mysqlx.Options{MaxConns: 16}, store.Migrations)
	clk := clock.NewFake(time.Date(2026, time.April, 10, 3, 0, 0, 0, time.UTC))
	gen := ids.NewGenerator(clk)
	kit := &unit.Kit{DB: db, Outbox: outbox.NewWriter(gen, clk), Jobs: jobs.NewQueue(clk), IDs: gen, Clock: clk}
	rows := store.New(kit, event.Encode)
	w := &world{ids: gen, orders: map[ids.ID]*paid{}, returns: map[string]*cash{}, adjusted: map[ids.ID]domain.Effect{}, kept: map[ids.ID]bool{}, paid: map[ids.ID]bool{}}
	d := desk.New(kit, zap.NewNop(), desk.Settings{})
	b := &bed{rows: rows, db: db, clock: clk, ids: gen, world: w, desk: d, App: app.New(app.Deps{
		Store: rows, Approvals: d, Orders: w, Payments: w, Bills: w, Clock: clk, IDs: gen, Log: zap.NewNop(), PeerTimeout: time.Second,
	})}
	w.owner = b.RefundParts
	d.On(b.ApprovalVerbs()...)
	return b
}

// paid is an order as the neighbours know it.
type paid struct {
	app.Order
	down money.Amount
	// credit that is left to refund; repaid is the part of it that a repayment paid.
	credit, repaid int64
	repayment      ids.ID
}

// cash is a return.
type cash struct {
	app.Return
	refund ids.ID
	amount int64
}

// world is order, payment and bill in one: it answers a repeated call as the first time, and fails as it is told.
type world struct {
	mu       sync.Mutex
	ids      *ids.Generator
	orders   map[ids.ID]*paid
	adjusted map[ids.ID]domain.Effect
	returns  map[string]*cash
	// paid are the refunds that were taken out of a payment.
	paid map[ids.ID]bool
	kept map[ids.ID]bool
	// lose makes every other call do its work and lose its answer.
	lose  bool
	calls int
	// payment is what RefundOrder answers instead; nil for its own answer.
	payment error
	// repayment is what ReturnRepayment answers instead; nil for its own answer.
	repayment error
	// keep is what KeepAsCredit answers instead; nil for its own answer.
	keep error
	// moved makes Retry and Resolve refuse as the payment service does when the return has not failed.
	moved bool
	// preview is what Preview answers instead; nil for its own answer.
	preview error
	// owner is this service, which bill and payment ask for a refund that they do not know; deaf says that it does not answer them.
	owner func(context.Context, ids.ID) (domain.Refund, error)
	deaf  bool
}

// confirm asks this service for a refund as bill and payment do before they move anything for it.
func (w *world) confirm(ctx context.Context, id ids.ID, step domain.Step) error {
	if w.deaf {
		return errs.DependencyUnavailable.New("refund is away")
	}
	r, err := w.owner(ctx, id)
	if err == nil && (r.State != domain.StateExecuting || r.Step != step) {
		err = errs.RefundStateInvalid.New("the refund is %s/%s, and %s is asked for", r.State, r.Step, step)
	}
	return err
}

func (w *world) lost() error {
	w.calls++
	if w.lose && w.calls%2 == 1 {
		return errs.DependencyUnavailable.New("the answer is lost")
	}
	return nil
}

func (b *bed) order(price, down, repaid int64, state string) ids.ID {
	id := b.ids.New()
	b.world.orders[id] = &paid{Order: app.Order{UserID: "u1", CheckoutID: b.ids.New(), MerchantID: "shop-1", OutOrderNo: "no-" + id.String(), State: state, Paid: rp(price), NotifyURL: notifyURL}, down: rp(down),
		credit: price - down, repaid: repaid, repayment: b.ids.New()}
	return id
}

func (w *world) Order(_ context.Context, id ids.ID) (app.Order, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o, ok := w.orders[id]
	if !ok {
		return app.Order{}, errs.NotFound.New("no such order")
	}
	return o.Order, nil
}

func (w *world) DownPayment(_ context.Context, id ids.ID) (money.Amount, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.orders[id].down, nil
}

func (o *paid) effect(credit int64) domain.Effect {
	back := max(0, credit-(o.credit-o.repaid))
	e := domain.Effect{PrincipalReduced: credit - back}
	if back > 0 {
		e.Sources = []domain.Source{{RepaymentID: o.repayment, Amount: back}}
	}
	e.Fingerprint = fmt.Sprintf("%d-%d", e.PrincipalReduced, back)
	return e
}

func (w *world) Preview(_ context.Context, id ids.ID, credit money.Amount) (domain.Effect, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.preview != nil {
		return domain.Effect{}, w.preview
	}
	return w.orders[id].effect(credit.Minor()), nil
}

func (w *world) Adjust(ctx context.Context, refund, order ids.ID, credit money.Amount, expected string) (domain.Effect, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, done := w.adjusted[refund]
	if !done {
		if err := w.confirm(ctx, refund, domain.StepAdjust); err != nil {
			return e, err
		}
		o := w.orders[order]
		if credit.Minor() > o.credit {
			return e, errs.RefundExceedsBudget.New("more than was financed")
		}
		e = o.effect(credit.Minor())
		if expected != "" && expected != e.Fingerprint {
			return e, errs.RefundChanged.New("another effect")
		}
		o.credit -= credit.Minor()
		for _, s := range e.Sources {
			o.repaid -= s.Amount
		}
		w.adjusted[refund] = e
	}
	return e, w.lost()
}

func (w *world) KeepAsCredit(_ context.Context, refund, _ ids.ID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keep != nil {
		return w.keep
	}
	w.kept[refund] = true
	return w.lost()
}

func (w *world) open(key string, refund ids.ID, amount int64) app.Return {
	c, ok := w.returns[key]
	if !ok {
		c = &cash{Return: app.Return{Reference: "leg_" + key, State: domain.LegReturning}, refund: refund, amount: amount}
		w.returns[key] = c
	}
	return c.Return
}

func (w *world) RefundOrder(ctx context.Context, r domain.Refund) (app.Return, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.paid[r.ID] {
		if err := w.confirm(ctx, r.ID, domain.StepPayment); err != nil {
			return app.Return{}, false, err
		}
	}
	if w.payment != nil {
		return app.Return{}, false, w.payment
	}
	w.paid[r.ID] = true
	if r.Share.Cash.IsZero() {
		return app.Return{}, false, w.lost()
	}
	return w.open("down-"+r.ID.String(), r.ID, r.Share.Cash.Minor()), true, w.lost()
}

func (w *world) ReturnRepayment(_ context.Context, refund, repayment ids.ID, amount money.Amount) (app.Return, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.repayment != nil {
		return app.Return{}, w.repayment
	}
	return w.open("rep-"+refund.String()+repayment.String(), refund, amount.Minor()), w.lost()
}

func (w *world) Returns(_ context.Context, refund ids.ID) ([]app.Return, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []app.Return
	for _, c := range w.returns {
		if c.refund == refund {
			out = append(out, c.Return)
		}
	}
	return out, w.lost()
}

func (w *world) byReference(reference string) *cash {
	for _, c := range w.returns {
		if c.Reference == reference {
			return c
		}
	}
	return nil
}

func (w *world) Retry(_ context.Context, reference string) (app.Return, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.moved {
		return app.Return{}, errs.OrderStateInvalid.New("the return is RETURNED")
	}
	c := w.byReference(reference)
	c.State = domain.LegReturning
	return c.Return, nil
}

func (w *world) Resolve(_ context.Context, reference string, givenBack bool, _, _ string) (app.Return, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.moved {
		return app.Return{}, errs.OrderStateInvalid.New("the return is RETURNED")
	}
	c := w.byReference(reference)
	c.State = domain.LegKept
	if givenBack {
		c.State = domain.LegReturned
	}
	return c.Return, nil
}

// end gives all returns that are on their way another state.
func (w *world) end(state domain.LegState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.returns {
		if c.State == domain.LegReturning {
			c.State = state
		}
	}
}

// paidBack is the cash that is on its way or back.
func (w *world) paidBack() (sum int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.returns {
		sum += c.amount
	}
	return sum
}

// spm is the home marketplace.
func spm() caller.Caller { return caller.Caller{Kind: caller.SPM, Name: "marketplace"} }

func (b *bed) ask(t *testing.T, order ids.ID, amount int64, number string) (domain.Refund, error) {
	t.Helper()
	who := spm()
	if number == "" {
		who = caller.Caller{Kind: caller.Admin, Name: "alice"}
	}
	return b.RefundPayment(t.Context(), app.Request{Caller: who, Requester: who.String(), RequestID: b.ids.New().String(), OutRefundNo: number, OrderID: order,
		Amount: rp(amount), ReasonCode: 1, Reason: "sent back"})
}

func (b *bed) mustAsk(t *testing.T, order ids.ID, amount int64, number string) domain.Refund {
	t.Helper()
	r, err := b.ask(t, order, amount, number)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// drive does what the timer would do, as often as answers are lost.
func (b *bed) drive(t *testing.T, id ids.ID) domain.Refund {
	t.Helper()
	for range 40 {
		_, err := b.DriveRefund(t.Context(), id)
		if err == nil {
			break
		}
		if !errs.Is(err, errs.DependencyUnavailable) {
			t.Fatal(err)
		}
	}
	return b.get(t, id)
}

func (b *bed) get(t *testing.T, id ids.ID) domain.Refund {
	t.Helper()
	r, _, err := b.GetRefund(t.Context(), caller.Caller{Kind: caller.Admin}, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// prove audits.
func (b *bed) prove(t *testing.T) {
	t.Helper()
	found, err := audit.Run(t.Context(), b.db, "refund", b.clock.Now(), store.Audit())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("audit: %s %s: %s", f.Check, f.ID, f.Text)
	}
}

// events are those that were told so far.
func (b *bed) events(t *testing.T) (out []*refundv1.RefundChanged) {
	t.Helper()
	rows, err := b.db.QueryContext(t.Context(), `SELECT payload FROM outbox`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text []byte
		var envelope commonv1.EventEnvelope
		m := &refundv1.RefundChanged{}
		err := rows.Scan(&text)
		if err == nil {
			err = proto.Unmarshal(text, &envelope)
		}
		if err == nil {
			err = envelope.GetPayload().UnmarshalTo(m)
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func (b *bed) decide(t *testing.T, verb func(context.Context, app.Decision) ([]app.Decided, error), who string, list ...ids.ID) []string {
	t.Helper()
	d, err := verb(t.Context(), app.Decision{Approver: who, RequestID: b.ids.New().String(), RefundIDs: list, Comment: "looks right"})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(d))
	for i, one := range d {
		out[i] = fmt.Sprint(one.State, " ", one.Reason)
	}
	return out
}

func states(legs []domain.Leg) []string {
	var out []string
	for _, l := range legs {
		out = append(out, fmt.Sprintf("%d:%s:%d", l.Kind, l.State, l.Amount.Minor()))
	}
	slices.Sort(out)
	return out
}
