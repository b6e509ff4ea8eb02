package app_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"

	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
)

// spm is the home marketplace.
func spm() caller.Caller { return caller.Caller{Kind: caller.SPM, Name: "marketplace"} }

func payer(userID string) caller.Caller { return caller.Caller{Kind: caller.H5, UserID: userID} }

// cashWorld is a world whose plan asks for a tenth at once, rounded up: 10 and 20 of the orders of 100 and 200.
func cashWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.bill.down = 100
	w.setPin()
	return w
}

// newCheckout puts another checkout of the same form in place of the one before.
func (w *world) newCheckout() {
	w.orders.mu.Lock()
	defer w.orders.mu.Unlock()
	c := &w.orders.checkout
	c.ID, c.Orders, c.OrderIDs, w.orders.holder = w.gen.New(), nil, nil, ids.ID{}
	c.ExpireTime = w.clock.Now().Add(24 * time.Hour)
	for _, amount := range []int64{100, 200} {
		o := domain.PayableOrder{OrderID: w.gen.New(), PaymentID: w.gen.New(), MerchantID: "shop", Amount: money.New(amount, money.IDR())}
		c.Orders, c.OrderIDs = append(c.Orders, o), append(c.OrderIDs, o.OrderID)
	}
}

func (w *world) cashChoice(channel string) app.CommitRequest {
	req := w.chosen(planTotal)
	req.Choice.DownPaymentChannel = channel
	return req
}

// awaiting commits with a down payment and gives the answer and the leg.
func (w *world) awaiting(request string) (app.CommitAnswer, domain.CashLeg) {
	w.t.Helper()
	a, err := w.DoCommitPayment(context.Background(), user, who, request, pin, w.cashChoice("VA_BCA"))
	if err != nil || a.State != domain.PaymentProcessing || a.RedirectURL == "" {
		w.t.Fatalf("a commit with a down payment: %+v, %v", a, err)
	}
	return a, w.legOf(ids.Format(ids.Commit, a.CommitID))
}

func (w *world) legOf(subject string) domain.CashLeg {
	w.t.Helper()
	leg, err := w.CashLeg(context.Background(), subject)
	if err != nil {
		w.t.Fatal(err)
	}
	return leg
}

func (w *world) commitState(id ids.ID) domain.CommitState {
	w.t.Helper()
	c, err := w.store.Commit(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.State
}

// notice is what the marketplace says of a leg when nothing is wrong with it.
func notice(l domain.CashLeg, status domain.CashStatus) app.CashNotice {
	return app.CashNotice{Reference: ids.Format(ids.Leg, l.ID), Kind: l.Kind, Status: status, Minor: l.Amount.Minor(), Currency: l.Amount.Currency().Code()}
}

func (w *world) notify(n app.CashNotice) (domain.LegState, error) {
	return w.NotifyPaymentStatus(context.Background(), spm(), "notice-"+w.gen.New().String(), n)
}

// told notifies and wants the leg in a state, and the notification to have had this outcome.
func (w *world) told(n app.CashNotice, state domain.LegState, outcome domain.Outcome) {
	w.t.Helper()
	got, err := w.notify(n)
	if outcome == domain.OutcomeMismatch {
		w.wantReason(err, errs.LegAmountMismatch)
	} else if err != nil || got != state {
		w.t.Fatalf("%s: state %s, %v, want %s", n.Status, got, err, state)
	}
	if all := w.outcomes(n.Reference); len(all) == 0 || all[len(all)-1] != string(outcome) {
		w.t.Fatalf("%s: outcomes %v, want %s at the end", n.Status, all, outcome)
	}
}

// outcomes of the notifications of a leg or return, as they came.
func (w *world) outcomes(reference string) []string {
	w.t.Helper()
	id, err := ids.Parse(ids.Leg, reference)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.texts(`SELECT outcome FROM leg_notifications WHERE reference_id = ? ORDER BY id`, id)
}

func (w *world) texts(query string, args ...any) []string {
	w.t.Helper()
	rows, err := w.db.QueryContext(context.Background(), query, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, text)
	}
	return out
}

// legEvents are the moves of cash legs that the outbox tells, oldest first: "PENDING>SUCCEEDED 30 rpy".
func (w *world) legEvents() []string {
	w.t.Helper()
	var out []string
	for _, blob := range w.texts(`SELECT payload FROM outbox ORDER BY id`) {
		e, err := inbox.Unpack([]byte(blob))
		if err != nil {
			w.t.Fatal(err)
		}
		m, ok := e.Payload.(*paymentv1.CashLegChanged)
		if !ok {
			continue
		}
		key, _, _ := strings.Cut(e.Key, "_")
		if e.ObjectID != m.GetLeg().GetReference() || m.GetLeg().GetRedirectUrl() != "" {
			w.t.Errorf("event %v of object %s", m, e.ObjectID)
		}
		out = append(out, fmt.Sprintf("%s>%s %d %s", strings.TrimPrefix(m.GetFromState().String(), "LEG_STATE_"),
			strings.TrimPrefix(m.GetLeg().GetState().String(), "LEG_STATE_"), m.GetLeg().GetAmount().GetAmountMinor(), key))
	}
	return out
}

func (w *world) wantEvents(want ...string) {
	w.t.Helper()
	if got := w.legEvents(); !slices.Equal(got, want) {
		w.t.Errorf("events %v, want %v", got, want)
	}
}

// balance of an account, debit minus credit.
func (w *world) balance(account string) int {
	w.t.Helper()
	return w.count(`SELECT COALESCE(SUM(debit_minor - credit_minor), 0) FROM journal_lines WHERE account = ?`, account)
}

// nothingHeld fails the test when order or credit is held.
func (w *world) nothingHeld() {
	w.t.Helper()
	if w.bill.holds() != 0 || !w.orders.holder.IsZero() {
		w.t.Errorf("%d holds, checkout held by %s", w.bill.holds(), w.orders.holder)
	}
}

// tick drives the timers of cash, as the runner would.
func (w *world) tick() {
	w.t.Helper()
	ctx := context.Background()
	for table, verb := range map[string]func(context.Context, string) (time.Time, error){"cash_legs": w.TickCashLeg, "cash_returns": w.TickCashReturn} {
		for _, text := range w.texts(`SELECT id FROM `+table+` WHERE due_time <= ?`, w.clock.Now()) {
			again, err := verb(ctx, ids.Format(ids.Leg, ids.ID([]byte(text))))
			if err != nil || (!again.IsZero() && !again.After(w.clock.Now())) {
				w.t.Fatalf("%s: again at %s, %v", table, again, err)
			}
		}
	}
	for _, reference := range w.texts(`SELECT job_key FROM jobs WHERE kind = ?`, app.JobKeepCash) {
		if err := w.KeepCash(ctx, reference); err != nil {
			continue // It stays, as the runner leaves it.
		}
		if _, err := w.db.ExecContext(ctx, `DELETE FROM jobs WHERE kind = ? AND job_key = ?`, app.JobKeepCash, reference); err != nil {
			w.t.Fatal(err)
		}
	}
}

// cancelled takes the payment of an order back, as the order service's event and the timer do.
func (w *world) cancelled(p domain.Payment) {
	w.t.Helper()
	ctx := context.Background()
	for range 2 { // Event and timer may come twice.
		now, err := w.store.PaymentsOfOrders(ctx, []ids.ID{p.OrderID})
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.store.Do(ctx, func(tx app.Tx) error { return w.BeginReversal(tx, now) }); err != nil {
			w.t.Fatal(err)
		}
		if err := w.ReversePayment(ctx, ids.Format(ids.Payment, p.ID)); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.store.Do(ctx, func(tx app.Tx) error { tx.Unschedule(app.JobReversePayment, ids.Format(ids.Payment, p.ID)); return nil }); err != nil {
		w.t.Fatal(err)
	}
}

// repayment opens a leg for a repayment of 5000.
func (w *world) repayment() domain.CashLeg {
	w.t.Helper()
	leg, err := w.OpenCashLeg(context.Background(), w.ask())
	if err != nil {
		w.t.Fatal(err)
	}
	return leg
}

func (w *world) ask() app.CashAsk {
	id := w.gen.New()
	ask := app.CashAsk{Kind: domain.CashRepayment, SubjectID: ids.Format(ids.Repayment, id), UserID: user, Channel: "WALLET", Amount: money.New(5000, money.IDR())}
	w.bill.mu.Lock()
	defer w.bill.mu.Unlock()
	if w.bill.repayments == nil {
		w.bill.repayments = map[ids.ID]app.Repayment{}
	}
	w.bill.repayments[id] = app.Repayment{UserID: ask.UserID, Channel: ask.Channel, Amount: ask.Amount, Pending: true}
	return ask
}

const minute = time.Minute
