package app

import (
	"context"
	"errors"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// Abort is the input of AbortCommit.
type Abort struct {
	// CheckoutID and CommitID name the commit.
	CheckoutID, CommitID ids.ID
	// Reason for the timeline.
	Reason string
	// Actor is who aborts.
	Actor string
}

// AbortCommit gives a checkout back: its orders can be paid again, or expire when their time is over. The commit is barred for
// ever, also when it did not begin yet or the checkout is unknown. Repeating is harmless. Errors: errs.NotFound; errs.CheckoutAlreadyPaid when this very
// commit has paid, which must not be undone here; ConcurrentChange after too many lost races.
func (a *App) AbortCommit(ctx context.Context, in Abort) error {
	return retryRace(func() error {
		now := a.now()
		c, barred, err := a.Store.CheckoutForCommit(ctx, in.CheckoutID, in.CommitID)
		if errs.Is(err, errs.NotFound) {
			// The database that answered may be behind: a begin of this commit must lose all the same.
			return errors.Join(a.Store.Do(ctx, func(tx Tx) error {
				tx.BarCommit(in.CommitID, now)
				return nil
			}), err)
		}
		if err != nil {
			return err
		}
		if c.State == domain.CheckoutCommitting && c.CommitID == in.CommitID {
			return a.giveBack(ctx, c, in, domain.Mark{Time: now, Actor: in.Actor, Cause: in.Reason})
		}
		if c.State == domain.CheckoutPaid && c.CommitID == in.CommitID {
			return errs.CheckoutAlreadyPaid.New("this commit has paid the checkout")
		}
		if barred {
			return nil
		}
		var next domain.Checkout
		if c.State == domain.CheckoutOpen {
			// A begin of this commit that read the checkout before must lose: its version rises.
			if next, err = c.Moved(domain.CheckoutOpen, ids.ID{}); err != nil {
				return err
			}
		}
		return a.Store.Do(ctx, func(tx Tx) error {
			if c.State == domain.CheckoutOpen {
				tx.MoveCheckout(c, next)
			}
			tx.BarCommit(in.CommitID, now)
			return nil
		})
	})
}

// giveBack ends the commit that holds the checkout.
func (a *App) giveBack(ctx context.Context, c domain.Checkout, in Abort, m domain.Mark) error {
	checkoutTo, orderTo := domain.CheckoutOpen, domain.OrderCreated
	if c.Over(m.Time) {
		checkoutTo, orderTo = domain.CheckoutExpired, domain.OrderExpired
	}
	next, err := c.Moved(checkoutTo, ids.ID{})
	if err != nil {
		return err
	}
	mv, err := planMove(c.In(domain.OrderCommitting), orderTo, m, ids.ID{})
	if err != nil {
		return err
	}
	return a.Store.Do(ctx, func(tx Tx) error {
		tx.MoveCheckout(c, next)
		mv.write(tx)
		tx.BarCommit(in.CommitID, m.Time)
		return nil
	})
}
