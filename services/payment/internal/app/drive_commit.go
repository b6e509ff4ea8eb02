package app

import (
	"context"
	"errors"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/text"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// refusal says what becomes of the waiting request when a commit fails.
type refusal bool

const (
	// refusalForget: the caller is here and gets the error; the request may be sent again.
	refusalForget refusal = true
	// refusalRecord: the caller has gone; whoever repeats the request gets FAILED.
	refusalRecord refusal = false
)

// drive brings a commit to its end, from whatever state it is in. Every step is safe to repeat, so the call that started the
// commit and the recovery worker share it. An error means that the outcome is not known yet; the commit's timer remains.
func (a *App) drive(ctx context.Context, c domain.Commit, onRefusal refusal) (domain.Commit, []domain.Payment, error) {
	if c.State == domain.CommitStarted {
		payments, err := a.advance(ctx, &c)
		if err == nil {
			return c, payments, nil
		}
		if !decided(err) {
			return c, nil, err
		}
		if err := a.decideFailure(ctx, &c, err); err != nil {
			return c, nil, err
		}
	}
	switch c.State {
	case domain.CommitFailing:
		return c, nil, a.compensate(ctx, &c, onRefusal)
	case domain.CommitSucceeded:
		payments, err := a.Store.PaymentsOfCommit(ctx, c.ID)
		return c, payments, err
	default:
		return c, nil, nil
	}
}

// decided reports whether an error of a peer settles the commit: a rule's refusal does, anything that may pass does not.
func decided(err error) bool {
	return errs.Business(err) || errs.Is(err, errs.CheckoutCommitting)
}

// advance goes forward: order COMMITTING, credit reserved, commit SUCCEEDED, or AWAITING_CASH when the loans ask for a down payment.
func (a *App) advance(ctx context.Context, c *domain.Commit) ([]domain.Payment, error) {
	pays, err := a.Orders.BeginCommit(ctx, *c)
	if err != nil {
		return nil, err
	}
	loans, err := a.Bill.Reserve(ctx, *c, pays)
	if err != nil {
		return nil, err
	}
	portions, err := domain.PortionsOf(pays.Orders, loans)
	if err != nil {
		return nil, err
	}
	cash, err := domain.CashOf(portions)
	if err != nil {
		return nil, err
	}
	if err := a.Cashier.mayPayDown(cash, c.Terms.DownPaymentChannel); err != nil {
		return nil, err
	}
	if cash.IsPositive() {
		return a.awaitCash(ctx, c, portions, cash)
	}
	now := a.now()
	payments, err := c.Succeed(portions, nil, now)
	if err != nil {
		return nil, err
	}
	end := won(*c, now)
	err = a.Store.Do(ctx, func(tx Tx) error {
		end.EventID = win(tx, end, domain.CommitStarted, payments)
		return nil
	})
	if errs.Is(err, errs.ConcurrentChange) {
		return a.overtaken(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	*c = end
	return payments, nil
}

// won is the commit as it is once it succeeded.
func won(c domain.Commit, now time.Time) domain.Commit {
	c.State, c.FinishTime, c.Version, c.RecoverTime = domain.CommitSucceeded, now, c.Version+1, time.Time{}
	return c
}

// win writes a commit that succeeded, with its payments, and gives the id of its event.
func win(tx Tx, c domain.Commit, from domain.CommitState, payments []domain.Payment) ids.ID {
	c.EventID = tx.Emit(domain.CommitWon{Commit: c, Payments: payments, Time: c.FinishTime})
	tx.MoveCommit(c, from)
	tx.InsertPayments(payments)
	for _, p := range payments {
		tx.Post(ids.Format(ids.Payment, p.ID), "PAYMENT_SUCCEEDED", p.PaidLines())
	}
	return c.EventID
}

// overtaken reads what somebody else made of the commit: a withdrawal, or the recovery worker that was as far.
func (a *App) overtaken(ctx context.Context, c *domain.Commit) ([]domain.Payment, error) {
	seen, err := a.Store.Commit(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	*c = seen
	switch seen.State {
	case domain.CommitSucceeded:
		return a.Store.PaymentsOfCommit(ctx, c.ID)
	case domain.CommitAwaitingCash:
		return nil, nil
	case domain.CommitFailing, domain.CommitFailed:
		return nil, seen.Failed()
	default:
		return nil, errs.ConcurrentChange.New("the commit is being worked on elsewhere")
	}
}

// decideFailure stores that the commit fails and why, together with the failure of its cash leg when it waits for one. From here
// on it only goes back.
func (a *App) decideFailure(ctx context.Context, c *domain.Commit, cause error) error {
	if !c.Undecided() {
		return nil
	}
	var refused *errs.Error
	if !errors.As(cause, &refused) {
		refused = errs.CommitAborted.Wrap(cause, "the commit was given up")
	}
	var moves []domain.CashLegMoved
	if c.State == domain.CommitAwaitingCash {
		leg, err := a.legOfCommit(ctx, *c)
		if err != nil {
			return err
		}
		if leg.State != domain.LegPending {
			return a.reread(ctx, c)
		}
		if moves, err = leg.Walk([]domain.LegState{domain.LegFailed}, time.Time{}, a.now()); err != nil {
			return err
		}
	}
	failing := a.failing(*c, refused)
	err := a.Store.Do(ctx, func(tx Tx) error {
		tx.MoveCommit(failing, c.State)
		for _, m := range moves {
			moveLeg(tx, m)
		}
		return nil
	})
	if errs.Is(err, errs.ConcurrentChange) {
		return a.reread(ctx, c)
	}
	if err == nil {
		*c = failing
	}
	return err
}

// failing is the commit as it is once its failure is decided.
func (a *App) failing(c domain.Commit, cause *errs.Error) domain.Commit {
	c.State, c.Version, c.RecoverTime = domain.CommitFailing, c.Version+1, a.now().Add(a.Limits.RecoverAfter)
	c.FailureReason, c.FailureMessage = cause.Reason().Name(), text.Cut(cause.Message(), messageMax)
	return c
}

// tooLate is why a commit fails whose down payment did not come.
func tooLate() *errs.Error {
	return errs.CommitAborted.New("the down payment did not arrive in time; what comes now is given back")
}

// reread gives the commit as somebody else left it.
func (a *App) reread(ctx context.Context, c *domain.Commit) error {
	seen, err := a.Store.Commit(ctx, c.ID)
	if err == nil {
		*c = seen
	}
	return err
}

// messageMax is the longest failure message that is kept, in characters: the length of commits.failure_message.
const messageMax = 400

// unknown reports that a peer has no such object, so that it holds nothing for the commit. A peer that reads a replica too old to know
// the object writes its tombstone before it answers so: what is still on its way is refused.
func unknown(err error) bool { return errs.Is(err, errs.NotFound) }

// compensate gives back what may be held, and ends the commit. Each peer takes the call also when it never saw the commit: it
// then refuses what may still be on its way.
func (a *App) compensate(ctx context.Context, c *domain.Commit, onRefusal refusal) error {
	if err := a.Bill.Release(ctx, c.ID, nil, c.FailureReason); err != nil && !unknown(err) {
		return err
	}
	if err := a.Orders.AbortCommit(ctx, *c); err != nil && !unknown(err) {
		return err
	}
	failed := *c
	failed.State, failed.FinishTime, failed.Version = domain.CommitFailed, a.now(), c.Version+1
	if onRefusal == refusalForget {
		failed.RequestID = ""
	}
	err := a.Store.Do(ctx, func(tx Tx) error {
		failed.EventID = tx.Emit(domain.CommitLost{Commit: failed})
		tx.MoveCommit(failed, domain.CommitFailing)
		return nil
	})
	if errs.Is(err, errs.ConcurrentChange) {
		return a.reread(ctx, c) // The other worker did the same.
	}
	if err == nil {
		*c = failed
	}
	return err
}

// RecoverCommit drives a commit whose process may have died, and gives up one whose down payment did not come. It answers when to
// look again; the zero time when the commit ended. An error keeps its timer.
func (a *App) RecoverCommit(ctx context.Context, commitText string) (time.Time, error) {
	id, err := parseID(ids.Commit, "commit_id", commitText)
	if err != nil {
		return time.Time{}, err
	}
	c, err := a.Store.Commit(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	switch {
	case c.TooOld(a.now(), a.Limits.Patience):
		err = a.decideFailure(ctx, &c, errs.CommitAborted.New("the commit took too long and was given up"))
	case c.State == domain.CommitAwaitingCash:
		leg, legErr := a.legOfCommit(ctx, c)
		if legErr != nil {
			return time.Time{}, legErr
		}
		if leg.State == domain.LegPending && a.now().Before(leg.ExpireTime) {
			return leg.ExpireTime, nil
		}
		err = a.decideFailure(ctx, &c, tooLate())
	}
	if err != nil {
		return time.Time{}, err
	}
	c, _, err = a.drive(ctx, c, refusalRecord)
	if err == nil && c.State == domain.CommitAwaitingCash {
		return c.RecoverTime, nil
	}
	return time.Time{}, err
}

// withdrawRaces bounds how often a withdrawal is tried again because the commit went on meanwhile.
const withdrawRaces = 3

// WithdrawCommit stops a commit that has not succeeded, for a cancel of its checkout.
func (a *App) WithdrawCommit(ctx context.Context, commitText, reason string) (domain.Commit, []domain.Payment, error) {
	id, err := parseID(ids.Commit, "commit_id", commitText)
	if err != nil {
		return domain.Commit{}, nil, err
	}
	c, err := a.Store.Commit(ctx, id)
	if err != nil {
		return domain.Commit{}, nil, err
	}
	// The payer reads the message; whoever cancels says why in the order's timeline.
	cause := errs.CommitAborted.Wrap(errors.New(reason), "the order was cancelled before it was paid")
	// It may start to wait for cash at the same moment.
	for try := 0; c.Undecided() && try < withdrawRaces; try++ {
		if err := a.decideFailure(ctx, &c, cause); err != nil {
			return domain.Commit{}, nil, err
		}
	}
	return a.drive(ctx, c, refusalRecord)
}

// Commit gives a commit with its payments.
func (a *App) Commit(ctx context.Context, commitText string) (domain.Commit, []domain.Payment, error) {
	id, err := parseID(ids.Commit, "commit_id", commitText)
	if err != nil {
		return domain.Commit{}, nil, err
	}
	c, err := a.Store.Commit(ctx, id)
	if err != nil || c.State != domain.CommitSucceeded {
		return c, nil, err
	}
	payments, err := a.Store.PaymentsOfCommit(ctx, id)
	return c, payments, err
}
