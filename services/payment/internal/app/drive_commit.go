package app

import (
	"context"
	"errors"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
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

// advance goes forward: order COMMITTING, credit reserved, commit SUCCEEDED.
func (a *App) advance(ctx context.Context, c *domain.Commit) ([]domain.Payment, error) {
	pays, err := a.Orders.BeginCommit(ctx, *c)
	if err != nil {
		return nil, err
	}
	loans, err := a.Bill.Reserve(ctx, *c, pays)
	if err != nil {
		return nil, err
	}
	now := a.now()
	payments, err := c.Succeed(pays.Orders, loans, now)
	if err != nil {
		return nil, err
	}
	won := *c
	won.State, won.FinishTime, won.Version = domain.CommitSucceeded, now, c.Version+1
	err = a.Store.Do(ctx, func(tx Tx) error {
		won.EventID = tx.Emit(domain.CommitWon{Commit: won, Payments: payments, Time: now})
		tx.MoveCommit(won, domain.CommitStarted)
		tx.InsertPayments(payments)
		for _, p := range payments {
			tx.Post(ids.Format(ids.Payment, p.ID), "PAYMENT_SUCCEEDED", p.PaidLines())
		}
		return nil
	})
	if errs.Is(err, errs.ConcurrentChange) {
		return a.overtaken(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	*c = won
	return payments, nil
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
	case domain.CommitFailing, domain.CommitFailed:
		return nil, seen.Failed()
	default:
		return nil, errs.ConcurrentChange.New("the commit is being worked on elsewhere")
	}
}

// decideFailure stores that the commit fails and why. From here on it only goes back.
func (a *App) decideFailure(ctx context.Context, c *domain.Commit, cause error) error {
	if c.State != domain.CommitStarted {
		return nil
	}
	var refused *errs.Error
	if !errors.As(cause, &refused) {
		refused = errs.CommitAborted.Wrap(cause, "the commit was given up")
	}
	failing := *c
	failing.State, failing.Version = domain.CommitFailing, c.Version+1
	failing.FailureReason, failing.FailureMessage = refused.Reason().Name(), clip(refused.Message())
	err := a.Store.Do(ctx, func(tx Tx) error {
		tx.MoveCommit(failing, domain.CommitStarted)
		return nil
	})
	if errs.Is(err, errs.ConcurrentChange) {
		seen, err := a.Store.Commit(ctx, c.ID)
		if err == nil {
			*c = seen
		}
		return err
	}
	if err == nil {
		*c = failing
	}
	return err
}

// messageMax is the longest failure message that is kept, in bytes.
const messageMax = 400

func clip(s string) string {
	if len(s) > messageMax {
		return s[:messageMax]
	}
	return s
}

// compensate gives back what may be held, and ends the commit. Each peer takes the call also when it never saw the commit: it
// then refuses what may still be on its way.
func (a *App) compensate(ctx context.Context, c *domain.Commit, onRefusal refusal) error {
	if err := a.Bill.Release(ctx, c.ID, nil, c.FailureReason); err != nil {
		return err
	}
	if err := a.Orders.AbortCommit(ctx, *c); err != nil {
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
		// The other worker did the same.
		seen, err := a.Store.Commit(ctx, c.ID)
		if err == nil {
			*c = seen
		}
		return err
	}
	if err == nil {
		*c = failed
	}
	return err
}

// RecoverCommit drives a commit whose process may have died. An error keeps its timer.
func (a *App) RecoverCommit(ctx context.Context, commitText string) error {
	id, err := parseID(ids.Commit, "commit_id", commitText)
	if err != nil {
		return err
	}
	c, err := a.Store.Commit(ctx, id)
	if err != nil {
		return err
	}
	if c.TooOld(a.now(), a.Limits.Patience) {
		cause := errs.CommitAborted.New("the commit took too long and was given up")
		if err := a.decideFailure(ctx, &c, cause); err != nil {
			return err
		}
	}
	_, _, err = a.drive(ctx, c, refusalRecord)
	return err
}

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
	if c.State == domain.CommitStarted {
		if err := a.decideFailure(ctx, &c, errs.CommitAborted.New("withdrawn: %s", reason)); err != nil {
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
