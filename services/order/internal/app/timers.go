package app

import (
	"context"
	"fmt"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// ExpireCheckout is the timer of JobCheckoutExpiry: an open checkout whose time is over expires with its orders. One in a commit is
// looked at again later; the commit's end may give it back.
func (a *App) ExpireCheckout(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
	id, err := ids.Parse(ids.Checkout, j.Key)
	if err != nil {
		return jobs.Outcome{}, fmt.Errorf("expire checkout: %w", err)
	}
	c, err := a.Store.Checkout(ctx, id)
	if err != nil {
		return jobs.Outcome{}, err
	}
	now := a.now()
	switch {
	case c.State == domain.CheckoutCommitting:
		return jobs.Waiting(now.Add(committingRetry), "the checkout is in a commit whose end is not known"), nil
	case c.State != domain.CheckoutOpen:
		return jobs.Done(), nil
	case !c.Over(now):
		return jobs.Again(c.ExpireTime), nil
	}
	next, err := c.Moved(domain.CheckoutExpired, ids.ID{})
	if err != nil {
		return jobs.Outcome{}, err
	}
	mark := domain.Mark{Time: now, Actor: "timer:" + JobCheckoutExpiry, Cause: "not paid in time"}
	mv, err := planMove(c.In(domain.OrderCreated), domain.OrderExpired, mark, ids.ID{})
	if err != nil {
		return jobs.Outcome{}, err
	}
	err = a.Store.Do(ctx, func(tx Tx) error {
		tx.MoveCheckout(c, next)
		mv.write(tx)
		return nil
	})
	return outcomeOf(a, err)
}

// AutoConfirm is the timer of JobAutoConfirm: the same verb as ConfirmPayment, when nobody called it.
func (a *App) AutoConfirm(ctx context.Context, j jobs.Job) (jobs.Outcome, error) {
	id, err := ids.Parse(ids.Order, j.Key)
	if err != nil {
		return jobs.Outcome{}, fmt.Errorf("auto-confirm: %w", err)
	}
	m := domain.Mark{Actor: "timer:" + JobAutoConfirm, Cause: "nobody confirmed receipt in time"}
	results, err := a.confirm(ctx, caller.Caller{Kind: caller.Service, Name: "order"}, []ids.ID{id}, m, noRecord)
	if err == nil && !results[0].final() {
		return jobs.Waiting(a.now().Add(committingRetry), "the order is in a commit whose end is not known"), nil
	}
	return outcomeOf(a, err)
}

// outcomeOf ends a timer; one that lost a race looks again soon, because the winner may not have ended what it is about.
func outcomeOf(a *App, err error) (jobs.Outcome, error) {
	switch {
	case errs.Is(err, errs.ConcurrentChange):
		return jobs.Again(a.now().Add(raceRetry)), nil
	case err != nil:
		return jobs.Outcome{}, err
	default:
		return jobs.Done(), nil
	}
}
