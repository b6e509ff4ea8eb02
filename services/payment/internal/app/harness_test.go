package app_test

import (
	"context"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/audit"
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
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
	"github.com/creditpay/creditpay/services/payment/internal/event"
	"github.com/creditpay/creditpay/services/payment/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	user = "user-1"
	pin  = "482913"
	who  = "H5:user-1"
	// planTotal is what the one plan costs in all.
	planTotal = 330
)

var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// orderService remembers which commit holds a checkout, and refuses as the real one does.
type orderService struct {
	mu       sync.Mutex
	checkout app.Checkout
	holder   ids.ID
	aborted  map[ids.ID]bool
	// down makes every call answer that the service cannot be reached; lost does the work of BeginCommit first.
	down, lost bool
	// refuse is what BeginCommit answers; nil for its own rules.
	refuse error
	// asked counts the questions after a checkout.
	asked int
}

func (o *orderService) Checkout(_ context.Context, id ids.ID) (app.Checkout, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	if o.down {
		return app.Checkout{}, errs.DependencyUnavailable.New("order is away")
	}
	if id != o.checkout.ID {
		return app.Checkout{}, errs.NotFound.New("no such checkout")
	}
	return o.checkout, nil
}

func (o *orderService) BeginCommit(_ context.Context, c domain.Commit) (app.Begun, error) {
	begun := app.Begun{Business: "marketplace", Orders: o.checkout.Orders}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case c.CheckoutID != o.checkout.ID || c.UserID != o.checkout.UserID:
		return begun, errs.NotFound.New("no such checkout")
	case o.down:
		return begun, errs.DependencyUnavailable.New("order is away")
	case o.refuse != nil:
		return begun, o.refuse
	case o.aborted[c.ID]:
		return begun, errs.CommitAborted.New("aborted before")
	case !o.holder.IsZero() && o.holder != c.ID:
		return begun, errs.CheckoutCommitting.New("held by another")
	}
	o.holder = c.ID
	if o.lost {
		return begun, errs.DependencyUnavailable.New("the answer got lost")
	}
	return begun, nil
}

func (o *orderService) AbortCommit(_ context.Context, c domain.Commit) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		return errs.DependencyUnavailable.New("order is away")
	}
	o.aborted[c.ID] = true
	if c.CheckoutID != o.checkout.ID {
		return errs.NotFound.New("no such checkout")
	}
	if o.holder == c.ID {
		o.holder = ids.ID{}
	}
	return nil
}

// billService remembers holds by commit and order.
type billService struct {
	mu       sync.Mutex
	held     map[ids.ID]map[ids.ID]bool
	released map[ids.ID]bool
	// away makes every call answer that the service cannot be reached; refuse is what Reserve and QuotePlans refuse with.
	away   bool
	refuse error
	// before is called at the begin of Reserve, without the lock.
	before func(c domain.Commit)
	// down is what the plan asks for at once of each order, in thousandths; what an order's share is, is rounded up.
	down int64
	// kept is what became credit balance, by its reference.
	kept map[ids.ID]money.Amount
	// repayments are those that exist, returns what refunds give back by them.
	repayments map[ids.ID]app.Repayment
	returns    map[[2]string]app.RefundReturn
}

// Repayment knows the repayments that a test asked for; see world.ask.
func (b *billService) Repayment(_ context.Context, id ids.ID) (app.Repayment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, found := b.repayments[id]
	if !found {
		return r, errs.NotFound.New("no such repayment")
	}
	return r, nil
}

// RefundReturn knows what a test let refunds give back; see world.returnOf.
func (b *billService) RefundReturn(_ context.Context, refundID, repaymentID ids.ID) (app.RefundReturn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, found := b.returns[[2]string{ids.Format(ids.Refund, refundID), ids.Format(ids.Repayment, repaymentID)}]
	if !found {
		return r, errs.NotFound.New("the refund gives nothing back by this repayment")
	}
	return r, nil
}

// refundService knows the refunds of a test; see world.refundOf.
type refundService struct {
	mu    sync.Mutex
	known map[ids.ID]app.RefundParts
	// away answers nothing; asked counts the questions.
	away  bool
	asked int
}

func (s *refundService) RefundParts(_ context.Context, id ids.ID) (app.RefundParts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	r, found := s.known[id]
	switch {
	case s.away:
		return r, errs.DependencyUnavailable.New("refund is away")
	case !found:
		return r, errs.NotFound.New("there is no such refund")
	}
	return r, nil
}

// share is the down payment of an amount.
func (b *billService) share(a money.Amount) money.Amount {
	return money.New((a.Minor()*b.down+999)/1000, a.Currency())
}

func (b *billService) QuotePlans(_ context.Context, c app.Checkout, pick app.Pick) (app.Offers, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return app.Offers{}, errs.DependencyUnavailable.New("bill is away")
	}
	available := money.New(1_000_000, money.IDR())
	offers := app.Offers{Allowed: b.refuse == nil, Why: b.refuse, Available: &available}
	if (pick.TenorMonths == 0 || pick.TenorMonths == 3) && (pick.ProductCode == "" || pick.ProductCode == "SPL_ID") {
		sum, down := money.Zero(money.IDR()), money.Zero(money.IDR())
		for _, o := range c.Orders {
			sum, _ = sum.Add(o.Amount)
			down, _ = down.Add(b.share(o.Amount))
		}
		offers.Plans = []app.Plan{{TenorMonths: 3, ProductCode: "SPL_ID", ProductVersion: 1, Amount: sum, Total: money.New(planTotal, money.IDR()), DownPayment: down, Blob: []byte{1}}}
	}
	return offers, nil
}

func (b *billService) Reserve(_ context.Context, c domain.Commit, pays app.Begun) ([]domain.Loan, error) {
	if b.before != nil {
		b.before(c)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.away:
		return nil, errs.DependencyUnavailable.New("bill is away")
	case b.refuse != nil:
		return nil, b.refuse
	case b.released[c.ID]:
		return nil, errs.ReservationReleased.New("released before")
	case c.Terms.AgreedTotal.IsPositive() && c.Terms.AgreedTotal != money.New(planTotal, money.IDR()):
		return nil, errs.PlanChanged.New("another total")
	}
	b.held[c.ID] = map[ids.ID]bool{}
	var loans []domain.Loan
	for _, o := range pays.Orders {
		b.held[c.ID][o.OrderID] = true
		loans = append(loans, domain.Loan{OrderID: o.OrderID, LoanID: "lon_" + o.OrderID.String(), DownPayment: b.share(o.Amount)})
	}
	return loans, nil
}

func (b *billService) Release(_ context.Context, commitID ids.ID, orderIDs []ids.ID, _ string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return errs.DependencyUnavailable.New("bill is away")
	}
	if len(orderIDs) == 0 {
		b.released[commitID] = true
		delete(b.held, commitID)
	}
	for _, id := range orderIDs {
		delete(b.held[commitID], id)
	}
	return nil
}

// KeepCash notes what became credit balance, as the bill service does: once a reference.
func (b *billService) KeepCash(_ context.Context, reference ids.ID, userID string, amount money.Amount) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return errs.DependencyUnavailable.New("bill is away")
	}
	if b.kept == nil {
		b.kept = map[ids.ID]money.Amount{}
	}
	if before, known := b.kept[reference]; known && before != amount {
		return errs.RequestIDReused.New("another amount of %s", userID)
	}
	b.kept[reference] = amount
	return nil
}

func (b *billService) holds() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, h := range b.held {
		n += len(h)
	}
	return n
}

// codes is the bill service's one-time codes: one that is always good for its user and one use.
type codes struct {
	mu   sync.Mutex
	sent map[string]bool
	used map[string]string
}

const goodCode = "135790"

func (c *codes) SendPinCode(_ context.Context, userID, _ string) (app.SentCode, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[userID] = true
	return app.SentCode{ChallengeID: "chl_" + userID, MaskedTarget: "+62 8** *** *123", ExpireTime: start.Add(5 * time.Minute)}, nil
}

func (c *codes) CheckPinCode(_ context.Context, userID, challengeID, code, useID string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch used := c.used[challengeID]; {
	case !c.sent[userID] || challengeID != "chl_"+userID:
		return errs.NotFound.New("no such challenge")
	case code != goodCode:
		return errs.EsignCodeWrong.New("wrong")
	case used != "" && used != useID:
		return errs.EsignCodeUsed.New("used")
	}
	c.used[challengeID] = useID
	return nil
}

type world struct {
	*app.App
	t      *testing.T
	db     *mysqlx.DB
	store  *store.Store
	clock  *clock.Fake
	orders *orderService
	bill   *billService
	// refunds makes refunds.
	refunds *refundService
	gen     *ids.Generator
	desk    *desk.Desk
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db := schematest.OpenService(t, mysqlx.Options{}, store.Migrations)
	clk := clock.NewFake(start)
	gen := ids.NewGenerator(clk)
	keys, err := secret.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	proofs, err := secret.GenerateKeyring()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, clock: clk, gen: gen}
	kit := &unit.Kit{DB: db, Outbox: outbox.NewWriter(gen, clk), Jobs: jobs.NewQueue(clk), IDs: gen, Clock: clk}
	w.store, w.desk = store.New(kit, event.Encode), desk.New(kit, zap.NewNop(), desk.Settings{})
	w.orders = &orderService{aborted: map[ids.ID]bool{}, checkout: app.Checkout{ID: gen.New(), UserID: user, Business: "marketplace", Open: true,
		ExpireTime: start.Add(24 * time.Hour), Amount: money.New(300, money.IDR())}}
	for _, amount := range []int64{100, 200} {
		o := domain.PayableOrder{OrderID: gen.New(), PaymentID: gen.New(), MerchantID: "shop", Amount: money.New(amount, money.IDR())}
		w.orders.checkout.Orders = append(w.orders.checkout.Orders, o)
		w.orders.checkout.OrderIDs = append(w.orders.checkout.OrderIDs, o.OrderID)
	}
	w.bill = &billService{held: map[ids.ID]map[ids.ID]bool{}, released: map[ids.ID]bool{}}
	w.refunds = &refundService{known: map[ids.ID]app.RefundParts{}}
	w.App = app.New(app.Deps{Store: w.store, Orders: w.orders, Bill: w.bill, Refunds: w.refunds, Codes: &codes{sent: map[string]bool{}, used: map[string]string{}}, Keys: keys, Proofs: proofs, Clock: clk, IDs: gen, Log: zap.NewNop(),
		Limits: app.Limits{QuoteLife: 10 * time.Minute, RecoverAfter: 15 * time.Second, Patience: 2 * time.Minute,
			DownPaymentLife: 30 * time.Minute, RepaymentLife: 24 * time.Hour},
		Cashier: app.Cashier{URL: url.URL{Scheme: "https", Host: "pay.example", Path: "/cash", RawQuery: "from=creditpay"},
			Channels: []app.CashChannel{{Code: "VA_BCA", Name: "BCA Virtual Account"}, {Code: "WALLET", Name: "Wallet"}}}})
	w.desk.On(w.ApprovalVerbs()...)
	return w
}

func (w *world) checkoutID() string { return ids.Format(ids.Checkout, w.orders.checkout.ID) }

func (w *world) setPin() {
	w.t.Helper()
	w.setPinOf(user, who)
}

// setPin is the request of a payer who has just signed in with a second factor.
func setPin(userID, caller, request, newPin, oldPin string) app.SetPin {
	return app.SetPin{UserID: userID, Caller: caller, RequestID: request, NewPin: newPin, OldPin: oldPin, FactorShown: true}
}

func (w *world) setPinOf(userID, caller string) {
	w.t.Helper()
	if err := w.SetPaymentPin(context.Background(), setPin(userID, caller, "pin-0001", pin, "")); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) quote() string {
	w.t.Helper()
	q, err := w.ConfirmPayChannel(context.Background(), user, who, "quote-"+w.gen.New().String(), w.choice())
	if err != nil {
		w.t.Fatal(err)
	}
	return ids.Format(ids.Quote, q.ID)
}

func (w *world) choice() app.ChannelChoice {
	return app.ChannelChoice{CheckoutID: w.checkoutID(), Channel: "CREDIT", TenorMonths: 3}
}

func (w *world) commit(request, quote string) (app.CommitAnswer, error) {
	return w.DoCommitPayment(context.Background(), user, who, request, pin, app.CommitRequest{CheckoutID: w.checkoutID(), QuoteID: quote})
}

// recoverAll drives the timers that are left, as the runner would.
func (w *world) recoverAll() {
	w.t.Helper()
	for _, key := range w.recoveries() {
		if _, err := w.RecoverCommit(context.Background(), key); err != nil {
			w.t.Fatal(err)
		}
	}
}

// recoveries are the commits whose timer is set.
func (w *world) recoveries() []string {
	w.t.Helper()
	rows, err := w.db.QueryContext(context.Background(), `SELECT id FROM commits WHERE recover_time IS NOT NULL`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var keys []string
	for rows.Next() {
		var id ids.ID
		if err := rows.Scan(&id); err != nil {
			w.t.Fatal(err)
		}
		keys = append(keys, ids.Format(ids.Commit, id))
	}
	return keys
}

func (w *world) count(query string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.db.QueryRowContext(context.Background(), query, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// proveBooks runs every check of the service on what the test left, once the timers did their work.
func (w *world) proveBooks() {
	w.t.Helper()
	w.tick()
	found, err := audit.Run(context.Background(), w.db, "payment", w.clock.Now(), append(store.Audit(), audit.Mechanism()...))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range found {
		if f.Check != "outbox_overdue" { // No relay runs here.
			w.t.Errorf("audit: %+v", f)
		}
	}
}

func (w *world) wantReason(err error, want errs.Reason) {
	w.t.Helper()
	if !errs.Is(err, want) {
		w.t.Fatalf("got %v, want %s", err, want.Name())
	}
}
