package app

import (
	"bytes"
	"context"
	"slices"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// OrderResult is what became of one order of a call that names several. It is stored as part of the request's answer.
type OrderResult struct {
	// OrderID as asked.
	OrderID ids.ID `json:"order_id"`
	// State after the call; OrderNone when the order is unknown.
	State domain.OrderState `json:"state"`
	// Reason why nothing was done, the name of an error reason; empty when it was (or had been) done.
	Reason string `json:"reason,omitempty"`
	// Message is the reason in words.
	Message string `json:"message,omitempty"`
}

func done(id ids.ID, s domain.OrderState) OrderResult { return OrderResult{OrderID: id, State: s} }

func refused(id ids.ID, s domain.OrderState, why *errs.Error) OrderResult {
	return OrderResult{OrderID: id, State: s, Reason: why.Reason().Name(), Message: why.Message()}
}

func unknownOrder(id ids.ID) OrderResult {
	return refused(id, domain.OrderNone, errs.NotFound.New("no such order"))
}

// final reports whether repeating the same call could not do more. A fault of ours is not final: it may be mended.
func (r OrderResult) final() bool {
	reason, refused := errs.ByName(r.Reason)
	return !refused || reason.RetryAfter() == 0 && reason != errs.Internal
}

// record adds the request's record to a unit of work.
type record func(tx Tx, results []OrderResult)

func noRecord(Tx, []OrderResult) {}

// attempt changes orders in one unit of work, with the record; errs.ConcurrentChange when one of them changed meanwhile.
type attempt func(ctx context.Context, orders []ids.ID, rec record) ([]OrderResult, error)

// eachOrder runs a verb over several orders: all in one unit of work, and one by one when that lost a race. The request is recorded
// only when every result is final, so that one which met a commit under way may be repeated with its request_id; the verbs are
// harmless to repeat.
func (a *App) eachOrder(ctx context.Context, key idempotency.Key, fp idempotency.Fingerprint, orders []ids.ID, try attempt) ([]OrderResult, error) {
	rec := func(tx Tx, results []OrderResult) {
		if !slices.ContainsFunc(results, func(r OrderResult) bool { return !r.final() }) {
			tx.Remember(key, fp, results)
		}
	}
	return idempotency.Do(ctx, a.Store.Requests(), key, fp, func() ([]OrderResult, error) {
		results, err := try(ctx, orders, rec)
		if !errs.Is(err, errs.ConcurrentChange) {
			return results, err
		}
		results = make([]OrderResult, len(orders))
		for i, id := range orders {
			if results[i], err = oneOrder(ctx, id, try); err != nil {
				return nil, err
			}
		}
		return results, a.Store.Do(ctx, func(tx Tx) error {
			rec(tx, results)
			return nil
		})
	})
}

// oneOrder runs a verb over one order until it wins or knows why not.
func oneOrder(ctx context.Context, id ids.ID, try attempt) (OrderResult, error) {
	var results []OrderResult
	err := retryRace(func() (err error) {
		results, err = try(ctx, []ids.ID{id}, noRecord)
		return err
	})
	switch {
	case errs.Is(err, errs.ConcurrentChange):
		return refused(id, domain.OrderNone, errs.ConcurrentChange.New("the order is being changed by others; repeat the call")), nil
	case err != nil:
		return OrderResult{}, err
	default:
		return results[0], nil
	}
}

// known is what an attempt knows of the orders that it was given.
type known struct {
	orders  map[ids.ID]domain.Order
	answers map[ids.ID]commitAnswer // by checkout
}

// learn reads the orders that the caller may see and asks about the commits that hold some of them.
func (a *App) learn(ctx context.Context, who caller.Caller, orderIDs []ids.ID, ask func(context.Context, domain.Order) (CommitOutcome, error)) (known, error) {
	found, err := a.Store.Orders(ctx, orderIDs)
	if err != nil {
		return known{}, err
	}
	found = slices.DeleteFunc(found, func(o domain.Order) bool { return !who.Sees(o.UserID) })
	k := known{orders: make(map[ids.ID]domain.Order, len(found))}
	if k.answers, err = a.askCommits(ctx, found, ask); err != nil {
		return known{}, err
	}
	for _, o := range found {
		k.orders[o.ID] = o
		if newer, ok := k.answers[o.CheckoutID].checkout.Order(o.ID); ok {
			k.orders[o.ID] = newer
		}
	}
	return k, nil
}

// settling collects the checkouts of COMMITTING orders that a verb settles on its way, each once.
type settling map[ids.ID]commitAnswer

// write settles them in the order of their ids and gives every order of theirs afterwards.
func (s settling) write(a *App, tx Tx, actor string) (map[ids.ID]domain.Order, error) {
	after := map[ids.ID]domain.Order{}
	for _, id := range sortedIDs(s) {
		c, err := a.settle(tx, s[id].checkout, *s[id].settlement, actor)
		if err != nil {
			return nil, err
		}
		for _, o := range c.Orders {
			after[o.ID] = o
		}
	}
	return after, nil
}

// sortedIDs gives the keys in the order in which every unit of work locks.
func sortedIDs[V any](m map[ids.ID]V) []ids.ID {
	keys := make([]ids.ID, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y ids.ID) int { return bytes.Compare(x[:], y[:]) })
	return keys
}

// latest gives orders by id in locking order, in the version that settling left them in.
func latest(orders map[ids.ID]domain.Order, after map[ids.ID]domain.Order) []domain.Order {
	out := make([]domain.Order, 0, len(orders))
	for _, id := range sortedIDs(orders) {
		o, ok := after[id]
		if !ok {
			o = orders[id]
		}
		out = append(out, o)
	}
	return out
}
