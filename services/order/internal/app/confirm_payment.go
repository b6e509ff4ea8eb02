package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// Confirm is the input of ConfirmPayment.
type Confirm struct {
	// Caller is the marketplace that asks, for the scope of RequestID and the timeline. It finds its own orders only.
	Caller    caller.Caller
	RequestID string
	// OrderIDs, 1 to 50, each once.
	OrderIDs []ids.ID
}

// ConfirmPayment says that the goods of orders were received: PAID becomes CONFIRMED. Each order has its own result; an order whose
// payment has succeeded without this service knowing yet is settled and confirmed at once. Repeating is harmless.
// Errors: errs.RequestIDReused, and faults.
func (a *App) ConfirmPayment(ctx context.Context, in Confirm) ([]OrderResult, error) {
	key := idempotency.Key{Verb: "ConfirmPayment", Caller: in.Caller.String(), RequestID: in.RequestID}
	fp, err := idempotency.FingerprintOf(in.OrderIDs)
	if err != nil {
		return nil, err
	}
	return a.eachOrder(ctx, key, fp, in.OrderIDs, func(ctx context.Context, orders []ids.ID, rec record) ([]OrderResult, error) {
		return a.confirm(ctx, in.Caller, orders, domain.Mark{Actor: in.Caller.String(), Cause: "goods received"}, rec)
	})
}

// confirm is one attempt: one read, questions only for orders in a commit, one unit of work.
func (a *App) confirm(ctx context.Context, who caller.Caller, orderIDs []ids.ID, m domain.Mark, rec record) ([]OrderResult, error) {
	k, err := a.learn(ctx, who, orderIDs, func(ctx context.Context, o domain.Order) (CommitOutcome, error) {
		return a.Payment.Commit(ctx, o.CommitID)
	})
	if err != nil {
		return nil, err
	}
	m.Time = a.now()
	results := make([]OrderResult, len(orderIDs))
	confirming, settles := map[ids.ID]domain.Order{}, settling{}
	for i, id := range orderIDs {
		o, ok := k.orders[id]
		if !ok {
			results[i] = unknownOrder(id)
			continue
		}
		answer := k.answers[o.CheckoutID]
		if why := unconfirmable(o, answer); why != nil {
			results[i] = refused(id, o.State, why)
			continue
		}
		if o.State == domain.OrderCommitting {
			settles[o.CheckoutID] = answer
		}
		if o.State == domain.OrderCommitting || o.State == domain.OrderPaid {
			confirming[id] = o
			o.State = domain.OrderConfirmed
		}
		results[i] = done(id, o.State)
	}
	return results, a.Store.Do(ctx, func(tx Tx) error {
		rec(tx, results)
		after, err := settles.write(a, tx, m.Actor)
		if err != nil {
			return err
		}
		_, err = moveOrders(tx, latest(confirming, after), domain.OrderConfirmed, m)
		return err
	})
}

// unconfirmable is why an order cannot be confirmed; nil when it can, or was.
func unconfirmable(o domain.Order, answer commitAnswer) *errs.Error {
	state := o.State.String()
	switch o.State {
	case domain.OrderPaid, domain.OrderConfirmed, domain.OrderClosed:
		return nil
	case domain.OrderCommitting:
		switch {
		case answer.settlement != nil:
			return nil
		case answer.refusal != nil:
			return answer.refusal
		case answer.failed:
			return errs.OrderNotPaid.New("the payment failed; the order can be paid again").With("state", state)
		default:
			return stillCommitting()
		}
	case domain.OrderCreated, domain.OrderExpired:
		return errs.OrderNotPaid.New("the order is %s, so it cannot be confirmed", state).With("state", state)
	default:
		return errs.OrderStateInvalid.New("the order is %s and cannot be confirmed", state).With("state", state)
	}
}
