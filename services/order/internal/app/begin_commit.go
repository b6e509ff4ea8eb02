package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// BeginCommit takes a checkout for a commit: from here on a cancel, the expiry and another commit lose. It gives the checkout as
// the commit holds it. Repeating is harmless.
// Errors: errs.NotFound, CheckoutExpired, CheckoutCancelled, CheckoutAlreadyPaid, CheckoutCommitting, CheckoutChanged,
// CommitAborted, and ConcurrentChange after too many lost races.
func (a *App) BeginCommit(ctx context.Context, checkout ids.ID, commit domain.Commit, actor string) (held domain.Checkout, err error) {
	err = retryRace(func() error {
		c, barred, err := a.Store.CheckoutForCommit(ctx, checkout, commit.ID)
		if err != nil {
			return err
		}
		now := a.now()
		begun, err := c.Begin(commit, barred, now)
		if err != nil || begun {
			held = c
			return err
		}
		next, err := c.Moved(domain.CheckoutCommitting, commit.ID)
		if err != nil {
			return err
		}
		mark := domain.Mark{Time: now, Actor: actor, Cause: "commit " + ids.Format(ids.Commit, commit.ID)}
		mv, err := planMove(c.In(domain.OrderCreated), domain.OrderCommitting, mark, commit.ID)
		if err != nil {
			return err
		}
		held = next.WithOrders(mv.to...)
		return a.Store.Do(ctx, func(tx Tx) error {
			tx.MoveCheckout(c, next)
			mv.write(tx)
			return nil
		})
	})
	return held, err
}

// retryRace repeats what lost a race, a bounded number of times: each attempt reads anew and finds out why.
func retryRace(attempt func() error) error {
	var err error
	for range casAttempts {
		if err = attempt(); !errs.Is(err, errs.ConcurrentChange) {
			return err
		}
	}
	return err
}
