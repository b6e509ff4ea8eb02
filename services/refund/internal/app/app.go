// Package app owns the verbs of refunds: asking, approving, carrying out, and what operators do about legs that fail.
//
// RPCs, events and timers drive the same verbs. The package must not know SQL, protobuf or gRPC; it never calls another service inside a
// unit of work.
package app

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// The timers of this service; their keys are refund ids.
const (
	// JobDrive carries a refund out, step by step.
	JobDrive = "drive_refund"
	// JobExpire ends a refund that nobody approved in time.
	JobExpire = "expire_refund"
)

// ErrNumberTaken is what Store.Do answers when the order has a refund of that number.
var ErrNumberTaken = errors.New("the order has a refund of this number")

// Mark is who changes a refund, why and when.
type Mark struct {
	Actor, Cause string
	Time         time.Time
}

// with is the mark of a move that names the legs that moved: which leg failed, was asked for again or was given back is evidence.
func (m Mark) with(from, to domain.Refund) Mark {
	if legs := to.LegsMoved(from); legs != "" {
		m.Cause = legs + ": " + m.Cause
	}
	return m
}

// Change is an entry of a refund's timeline.
type Change struct {
	From, To domain.State
	Step     domain.Step
	Mark
}

// Filter says which refunds are wanted, newest first; its zero value takes all.
type Filter struct {
	OrderID    ids.ID
	MerchantID string
	// Owner is the marketplace whose refunds are wanted, empty for the home marketplace; nil for all.
	Owner *string
	State domain.State
	// Before is where the page begins: refunds older than this one; zero for the newest.
	Before ids.ID
	Limit  int
}

// Store reads, and makes units of work.
type Store interface {
	// Refund reads a refund with its legs and approvals; false when there is none.
	Refund(ctx context.Context, id ids.ID) (domain.Refund, bool, error)
	// RefundByNumber reads the refund of an order by the requester's number; false when there is none.
	RefundByNumber(ctx context.Context, orderID ids.ID, number string) (domain.Refund, bool, error)
	// RefundOfLeg finds the refund that a leg's reference belongs to; false when there is none.
	RefundOfLeg(ctx context.Context, reference string) (ids.ID, bool, error)
	// Refunds lists refunds, newest first.
	Refunds(ctx context.Context, f Filter) ([]domain.Refund, error)
	// Changes reads the timeline of a refund, oldest first.
	Changes(ctx context.Context, id ids.ID) ([]Change, error)
	// Budget reads the budget of an order; false before its first refund.
	Budget(ctx context.Context, orderID ids.ID) (domain.Budget, bool, error)
	// Tiers reads how many people must approve operators' refunds in a currency at a time, from which amount on.
	Tiers(ctx context.Context, c money.Currency, at time.Time) ([]approval.Tier, error)
	// Sum reads the largest of sums; nothing where none of them began.
	Sum(ctx context.Context, keys []approval.SumKey, c money.Currency) (money.Amount, error)
	// TierChanges reads the last changes of the tiers of before there were rules with a time, newest first.
	TierChanges(ctx context.Context, limit int) ([]TierChange, error)
	OperatedReader
	// Requests reads the records of requests.
	Requests() idempotency.Reader
	// Do runs fn as one unit of work. fn may run several times. ErrNumberTaken when the order has a refund of the number.
	Do(ctx context.Context, fn func(tx Tx) error) error
}

// OperatedReader reads what operators asked for, inside a unit of work or not.
type OperatedReader interface {
	// Operated is what operators asked for of the order of a budget, without what was given up.
	Operated(ctx context.Context, b domain.Budget) (money.Amount, error)
}

// TierChange is a change of the tiers of a currency.
type TierChange struct {
	ID       ids.ID
	Currency money.Currency
	// Tiers afterwards.
	Tiers         []approval.Tier
	Actor, Reason string
	Time          time.Time
}

// Tx is a unit of work. A write that finds its row changed fails it with errs.ConcurrentChange.
type Tx interface {
	// Remember records a request with its answer.
	Remember(k idempotency.Key, fp idempotency.Fingerprint, answer any)
	// Emit tells an event.
	Emit(e domain.Event)
	// LockBudget makes an order's budget if there is none yet, and gives it as it stands, locked.
	LockBudget(ctx context.Context, b domain.Budget, at time.Time) (domain.Budget, error)
	// PutBudget writes what is reserved.
	PutBudget(from, to domain.Budget)
	// LockRefund reads a refund and locks it; false when there is none.
	LockRefund(ctx context.Context, id ids.ID) (domain.Refund, bool, error)
	// InsertRefund adds a refund.
	InsertRefund(r domain.Refund, m Mark)
	// MoveRefund writes what changed of a refund, its new approvals and legs included, and adds to its timeline.
	MoveRefund(from, to domain.Refund, m Mark)
	// CountWait counts a look at the legs that found nothing new. It is no change, and stands in no timeline.
	CountWait(r domain.Refund)
	// SetDrive sets the timer that carries a refund out.
	SetDrive(id ids.ID, at time.Time)
	// Gate stores an act that is asked for and says whether it may be done now; see package desk.
	Gate(ctx context.Context, a approval.Ask) (approval.Request, error)
	// Count adds an amount to sums, which stay locked, and returns the largest; Uncount takes it out.
	Count(ctx context.Context, keys []approval.SumKey, amount money.Amount) (money.Amount, error)
	Uncount(keys []approval.SumKey, amount money.Amount)
	OperatedReader
	// SetExpiry sets the timer of its approval, ClearExpiry ends it.
	SetExpiry(id ids.ID, at time.Time)
	ClearExpiry(id ids.ID)
}

// Order is what a refund needs to know of an order.
type Order struct {
	UserID, MerchantID string
	CheckoutID         ids.ID
	// OutOrderNo is the marketplace's number of it.
	OutOrderNo string
	// State is the order service's word; Paid is what was paid.
	State string
	Paid  money.Amount
	// NotifyURL is where the marketplace wants to be told of the order; empty for nowhere.
	NotifyURL string
}

// Orders asks the order service.
type Orders interface {
	// Order finds an order; errs.NotFound when there is none.
	Order(ctx context.Context, id ids.ID) (Order, error)
}

// Return is cash on its way back, as the payment service knows it.
type Return struct {
	Reference string
	State     domain.LegState
}

// Payments asks the payment service.
type Payments interface {
	// DownPayment is the part of an order's price that was paid in cash; errs.NotFound when it was not paid.
	DownPayment(ctx context.Context, orderID ids.ID) (money.Amount, error)
	// RefundOrder takes a refund out of an order's payment; the second result is false when no cash goes back by it.
	RefundOrder(ctx context.Context, r domain.Refund) (Return, bool, error)
	// ReturnRepayment gives a part of a repayment back.
	ReturnRepayment(ctx context.Context, refundID, repaymentID ids.ID, amount money.Amount) (Return, error)
	// Returns are the returns of a refund.
	Returns(ctx context.Context, refundID ids.ID) ([]Return, error)
	// Retry asks for a return that failed once more.
	Retry(ctx context.Context, reference string) (Return, error)
	// Resolve ends a return that failed by an operator's word.
	Resolve(ctx context.Context, reference string, givenBack bool, actor, evidence string) (Return, error)
}

// Bills asks the bill service.
type Bills interface {
	// Preview is what Adjust would do now.
	Preview(ctx context.Context, orderID ids.ID, credit money.Amount) (domain.Effect, error)
	// Adjust adjusts an order's loan for a refund. expected is the fingerprint of the only effect that is allowed, empty for any;
	// errs.RefundChanged when it would be another.
	Adjust(ctx context.Context, refundID, orderID ids.ID, credit money.Amount, expected string) (domain.Effect, error)
	// KeepAsCredit turns what goes back by a repayment into credit balance.
	KeepAsCredit(ctx context.Context, refundID, repaymentID ids.ID) error
}

// Approvals reads and carries out requests that other people must approve.
type Approvals interface {
	// Get reads a request. Errors: NOT_FOUND.
	Get(ctx context.Context, id ids.ID) (approval.Request, error)
	// Carry carries an approved request out. Errors: those of its verb.
	Carry(ctx context.Context, id ids.ID) error
}

// Deps are the parts that App works with.
type Deps struct {
	Store Store
	// Approvals reads and carries out what other people must approve.
	Approvals Approvals
	Orders    Orders
	Payments  Payments
	Bills     Bills
	Clock     clock.Clock
	IDs       *ids.Generator
	Log       *zap.Logger
	// PeerTimeout bounds a call to another service.
	PeerTimeout time.Duration
}

// App is the verbs.
type App struct{ Deps }

// New makes the verbs.
func New(d Deps) *App { return &App{Deps: d} }

// now is the time as the database keeps it.
func (a *App) now() time.Time { return a.Clock.Now().UTC().Truncate(time.Microsecond) }

// maxTries bounds how often a verb starts again after somebody else was faster.
const maxTries = 5

// again runs a verb until it is not beaten by a concurrent change, a bounded number of times.
func again[T any](ctx context.Context, verb func() (T, error)) (answer T, err error) {
	for range maxTries {
		answer, err = verb()
		if !errs.Is(err, errs.ConcurrentChange) || ctx.Err() != nil {
			return answer, err
		}
	}
	return answer, err
}

// peer bounds a call to another service.
func peer[T any](ctx context.Context, a *App, call func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, a.PeerTimeout)
	defer cancel()
	return call(ctx)
}

// move locks a refund, has change make the next one of it, and writes that. change gives nothing to write by answering the same version
// unchanged: false.
func (a *App) move(ctx context.Context, id ids.ID, m Mark, change func(r domain.Refund) (domain.Refund, bool, error), more func(tx Tx, from, to domain.Refund) error) (domain.Refund, error) {
	var after domain.Refund
	err := a.Store.Do(ctx, func(tx Tx) error {
		before, found, err := tx.LockRefund(ctx, id)
		if err != nil {
			return err
		}
		if !found {
			return errs.NotFound.New("there is no such refund")
		}
		next, moved, err := change(before)
		if err != nil {
			return err
		}
		after = next
		if !moved {
			return nil
		}
		tx.MoveRefund(before, next, m.with(before, next))
		after.Version++
		if next.State != before.State {
			tx.Emit(domain.Changed{Refund: after, From: before.State})
			if next.State.GaveUp() {
				if err := releaseBudget(ctx, tx, next, m.Time); err != nil {
					return err
				}
			}
		}
		if more == nil {
			return nil
		}
		return more(tx, before, next)
	})
	return after, err
}

// releaseBudget gives back what a refund had reserved.
func releaseBudget(ctx context.Context, tx Tx, r domain.Refund, now time.Time) error {
	// The budget is there: the refund reserved its part in it. Its other figures are only for making one.
	before, err := tx.LockBudget(ctx, domain.Budget{OrderID: r.OrderID, Price: r.Amount, DownPayment: r.Share.Cash}, now)
	if err != nil {
		return err
	}
	after, err := before.Release(r.Share)
	if err != nil {
		return err
	}
	tx.PutBudget(before, after)
	tx.Uncount(r.Sums(), r.Amount)
	return nil
}
