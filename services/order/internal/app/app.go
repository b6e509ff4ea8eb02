// Package app owns the verbs of checkouts and orders: one use case a file, each with its transaction and its idempotency.
//
// RPCs, events and timers drive the same verbs. The package must not know SQL, protobuf or gRPC; it never calls another service
// inside a unit of work.
package app

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/reach"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// The timers of this service, which stand in the rows that they are about. A job's key is the typed id of its row.
const (
	// JobCheckoutExpiry ends a checkout that was not paid in time; its key is a checkout id.
	JobCheckoutExpiry = "checkout_expiry"
	// JobAutoConfirm confirms a paid order when nobody did; its key is an order id.
	JobAutoConfirm = "auto_confirm"
)

const (
	// casAttempts bounds how often a verb reads anew after it lost a race.
	casAttempts = 5
	// committingRetry is how long the expiry of a checkout waits for a commit that is under way.
	committingRetry = 30 * time.Second
	// raceRetry is how long a timer waits after it lost a race.
	raceRetry = time.Second
)

// Store reads, and makes units of work. Reads take no locks.
type Store interface {
	// Checkout reads a checkout with its orders; errs.NotFound when there is none.
	Checkout(ctx context.Context, id ids.ID) (domain.Checkout, error)
	// CheckoutForCommit is Checkout, and reports in the same snapshot whether the commit was aborted.
	CheckoutForCommit(ctx context.Context, id, commit ids.ID) (c domain.Checkout, barred bool, err error)
	// Checkouts reads several; those that do not exist are left out.
	Checkouts(ctx context.Context, ids []ids.ID) ([]domain.Checkout, error)
	// Orders reads orders; those that do not exist are left out.
	Orders(ctx context.Context, ids []ids.ID) ([]domain.Order, error)
	// OrdersByNumber reads orders by the marketplace's numbers; those that do not exist are left out.
	OrdersByNumber(ctx context.Context, numbers []OrderNumber) ([]domain.Order, error)
	// Items reads an order's lines.
	Items(ctx context.Context, order ids.ID) ([]domain.Item, error)
	// Timeline reads an order's changes, oldest first.
	Timeline(ctx context.Context, order ids.ID) ([]domain.TimelineEntry, error)
	// Requests reads the records of requests.
	Requests() idempotency.Reader
	// Do runs fn as one unit of work. fn may run several times. ErrNumberTaken when an order number exists.
	Do(ctx context.Context, fn func(tx Tx) error) error
}

// Tx queues the writes of a unit of work. A write that finds its row changed fails the unit with errs.ConcurrentChange.
type Tx interface {
	// Remember records a request with its answer.
	Remember(k idempotency.Key, fp idempotency.Fingerprint, answer any)
	// Emit tells an event.
	Emit(e domain.Event)
	// InsertCheckout adds a checkout with its orders, their lines (one list per order) and the first entries of their timelines. Its
	// expiry is set.
	InsertCheckout(c domain.Checkout, items [][]domain.Item, m domain.Mark)
	// MoveCheckout changes a checkout's state, commit and total by compare-and-set, and ends its expiry when it cannot be paid any
	// more. The orders are not touched.
	MoveCheckout(from, to domain.Checkout)
	// MoveOrders changes orders by compare-and-set and adds to their timelines. All move between the same two states. Those that
	// become PAID are confirmed by themselves at autoConfirm, those that leave it are not any more.
	MoveOrders(from, to []domain.Order, m domain.Mark, autoConfirm time.Time)
	// NoteRefund writes what was refunded of an order by compare-and-set; its state stays.
	NoteRefund(from, to domain.Order)
	// BarCommit remembers that a commit was aborted; repeating is harmless.
	BarCommit(commit ids.ID, at time.Time)
}

// EventTx is the unit of work of a batch of events: it may lock and read first.
type EventTx interface {
	Tx
	// LockCheckouts reads and locks checkouts with their orders, in the order of their ids.
	LockCheckouts(ctx context.Context, ids []ids.ID) ([]domain.Checkout, error)
	// LockOrders reads and locks orders, in the order of their ids.
	LockOrders(ctx context.Context, ids []ids.ID) ([]domain.Order, error)
	// Flush sends what is queued, for batches that would become too large for one packet.
	Flush(ctx context.Context) error
}

// OrderNumber is a marketplace's name of an order; Owner is the marketplace, empty for the home marketplace.
type OrderNumber struct{ Owner, MerchantID, OutOrderNo string }

// Settings are what the configuration decides.
type Settings struct {
	// CashierURL is the payer's page; the token is added as a query parameter.
	CashierURL string
	// Reach says which addresses a checkout may name.
	Reach reach.Reach
	// CheckoutExpiry is how long a checkout lives when the request does not say.
	CheckoutExpiry time.Duration
	// AutoConfirmAfter is how long after its payment an order is confirmed by itself; AutoConfirmByBusiness overrides it.
	AutoConfirmAfter      time.Duration
	AutoConfirmByBusiness map[string]time.Duration
	// PeerTimeout bounds a question to another service that a verb needs; DetailTimeout one that only completes a page.
	PeerTimeout, DetailTimeout time.Duration
	// ProofLife is how long a proof of a checkout is good.
	ProofLife time.Duration
	// Home is the name of the home marketplace, which is stored without one.
	Home string
	// Location is the zone of due dates.
	Location *time.Location
}

// Deps are the parts that App works with.
type Deps struct {
	Store   Store
	Payment Payment
	Bill    Bill
	Refund  Refund
	Clock   clock.Clock
	IDs     *ids.Generator
	// Keyring authenticates checkout tokens.
	Keyring *secret.Keyring
	// Proofs makes the proofs of checkouts; nil where none are made.
	Proofs *secret.Keyring
	Log    *zap.Logger
	Settings
}

// App is the verbs.
type App struct{ Deps }

// New makes the verbs.
func New(d Deps) *App { return &App{Deps: d} }

// now is the time as the database keeps it.
func (a *App) now() time.Time { return a.Clock.Now().Truncate(time.Microsecond) }

// autoConfirmTime is when an order that was paid then is confirmed by itself.
func (a *App) autoConfirmTime(o domain.Order) time.Time {
	wait, ok := a.AutoConfirmByBusiness[o.Business]
	if !ok {
		wait = a.AutoConfirmAfter
	}
	return o.PayTime.Add(wait)
}
