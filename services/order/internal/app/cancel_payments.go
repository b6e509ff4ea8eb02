package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// Cancel is the input of CancelPayments.
type Cancel struct {
	// Caller is the marketplace that asks, for the scope of RequestID and the timeline. It finds its own orders only.
	Caller    caller.Caller
	RequestID string
	// OrderIDs, 1 to 50, each once; or CheckoutID for all orders of it.
	OrderIDs   []ids.ID
	CheckoutID ids.ID
	// Reason for the timeline and the events.
	Reason string
}

// CancelPayments takes orders back before receipt. Each order has its own result: CREATED is cancelled at once; COMMITTING asks the
// payment service to withdraw the commit, and wins or loses by its answer; PAID becomes CANCELLING until the payment is reversed.
// Repeating is harmless. Errors: errs.NotFound for the checkout, RequestIDReused, and faults.
func (a *App) CancelPayments(ctx context.Context, in Cancel) ([]OrderResult, error) {
	key := idempotency.Key{Verb: "CancelPayments", Caller: in.Caller.String(), RequestID: in.RequestID}
	fp, err := idempotency.FingerprintOf(struct {
		OrderIDs   []ids.ID
		CheckoutID ids.ID
		Reason     string
	}{in.OrderIDs, in.CheckoutID, in.Reason})
	if err != nil {
		return nil, err
	}
	orders := in.OrderIDs
	if !in.CheckoutID.IsZero() {
		c, err := a.Store.Checkout(ctx, in.CheckoutID)
		if err != nil {
			return nil, err
		}
		if !in.Caller.Sees(c.UserID) {
			return nil, errs.NotFound.New("no such checkout")
		}
		orders = make([]ids.ID, len(c.Orders))
		for i, o := range c.Orders {
			orders[i] = o.ID
		}
	}
	return a.eachOrder(ctx, key, fp, orders, func(ctx context.Context, orders []ids.ID, rec record) ([]OrderResult, error) {
		return a.cancel(ctx, in.Caller, orders, domain.Mark{Actor: in.Caller.String(), Cause: in.Reason}, rec)
	})
}

// cancellation is what one attempt is going to write.
type cancellation struct {
	unpaid  map[ids.ID][]domain.Order // CREATED, by checkout
	paid    map[ids.ID]domain.Order   // PAID, or COMMITTING in a checkout that is settled on the way
	settles settling
	within  map[ids.ID]domain.Checkout // the checkouts of unpaid
}

// cancel is one attempt.
func (a *App) cancel(ctx context.Context, who caller.Caller, orderIDs []ids.ID, m domain.Mark, rec record) ([]OrderResult, error) {
	k, err := a.learn(ctx, who, orderIDs, func(ctx context.Context, o domain.Order) (CommitOutcome, error) {
		return a.withdraw(ctx, o, m)
	})
	if err != nil {
		return nil, err
	}
	m.Time = a.now()
	results := make([]OrderResult, len(orderIDs))
	plan := cancellation{unpaid: map[ids.ID][]domain.Order{}, paid: map[ids.ID]domain.Order{}, settles: settling{}}
	for i, id := range orderIDs {
		o, ok := k.orders[id]
		if !ok {
			results[i] = unknownOrder(id)
			continue
		}
		if why := uncancellable(o, k.answers[o.CheckoutID]); why != nil {
			results[i] = refused(id, o.State, why)
			continue
		}
		results[i] = done(id, plan.add(o, k.answers[o.CheckoutID]))
	}
	if plan.within, err = a.checkoutsOf(ctx, plan.unpaid); err != nil {
		return nil, err
	}
	return results, a.Store.Do(ctx, func(tx Tx) error {
		rec(tx, results)
		return plan.write(a, tx, m)
	})
}

// withdraw stops the commit that holds an order, and gives its checkout back when that came in time.
func (a *App) withdraw(ctx context.Context, o domain.Order, m domain.Mark) (CommitOutcome, error) {
	outcome, err := a.Payment.Withdraw(ctx, o.CommitID, m.Cause)
	if err != nil || outcome.State != CommitFailed {
		return outcome, err
	}
	err = a.AbortCommit(ctx, Abort{CheckoutID: o.CheckoutID, CommitID: o.CommitID, Reason: m.Cause, Actor: m.Actor})
	return outcome, err
}

// add notes an order that can be cancelled and gives the state that it will have.
func (p *cancellation) add(o domain.Order, answer commitAnswer) domain.OrderState {
	switch o.State {
	case domain.OrderCreated:
		p.unpaid[o.CheckoutID] = append(p.unpaid[o.CheckoutID], o)
		return domain.OrderCancelled
	case domain.OrderCommitting:
		p.settles[o.CheckoutID] = answer
		p.paid[o.ID] = o
		return domain.OrderCancelling
	case domain.OrderPaid:
		p.paid[o.ID] = o
		return domain.OrderCancelling
	default:
		return o.State
	}
}

// checkoutsOf reads the checkouts of unpaid orders: their totals shrink.
func (a *App) checkoutsOf(ctx context.Context, unpaid map[ids.ID][]domain.Order) (map[ids.ID]domain.Checkout, error) {
	found := make(map[ids.ID]domain.Checkout, len(unpaid))
	if len(unpaid) == 0 {
		return found, nil
	}
	list, err := a.Store.Checkouts(ctx, sortedIDs(unpaid))
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		found[c.ID] = c
	}
	for id, orders := range unpaid {
		c, ok := found[id]
		for _, o := range orders {
			// Orders and checkouts were read one after the other: what changed in between is read again.
			if now, same := c.Order(o.ID); !ok || !same || now.Version != o.Version || c.State != domain.CheckoutOpen {
				return nil, errs.ConcurrentChange.New("the order changed; read it again, then repeat")
			}
		}
	}
	return found, nil
}

// write queues the cancellation: checkouts first, then orders, by id.
func (p *cancellation) write(a *App, tx Tx, m domain.Mark) error {
	after, err := p.settles.write(a, tx, m.Actor)
	if err != nil {
		return err
	}
	for _, id := range sortedIDs(p.unpaid) {
		mv, err := planMove(p.unpaid[id], domain.OrderCancelled, m, ids.ID{})
		if err != nil {
			return err
		}
		c := p.within[id]
		next, err := c.WithoutOrders(mv.to...)
		if err != nil {
			return err
		}
		tx.MoveCheckout(c, next)
		mv.write(tx)
	}
	_, err = moveOrders(tx, latest(p.paid, after), domain.OrderCancelling, m)
	return err
}

// uncancellable is why an order cannot be cancelled; nil when it can, or was.
func uncancellable(o domain.Order, answer commitAnswer) *errs.Error {
	switch o.State {
	case domain.OrderCreated, domain.OrderPaid, domain.OrderCancelling, domain.OrderCancelled:
		return nil
	case domain.OrderCommitting:
		switch {
		case answer.settlement != nil:
			return nil
		case answer.refusal != nil:
			return answer.refusal
		default:
			return stillCommitting()
		}
	case domain.OrderConfirmed, domain.OrderClosed:
		return errs.OrderAlreadyConfirmed.New("the goods are confirmed; ask for a refund").With("state", o.State.String())
	default:
		return errs.OrderStateInvalid.New("the order is %s and cannot be cancelled", o.State).With("state", o.State.String())
	}
}
