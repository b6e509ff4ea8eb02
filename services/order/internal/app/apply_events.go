package app

import (
	"context"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// ordersPerFlush bounds the orders whose writes wait in one packet.
const ordersPerFlush = 150

// Incoming is an event of another service that changes orders.
type Incoming interface{ isIncoming() }

// PaymentSucceeded says that a commit has paid its orders.
type PaymentSucceeded struct{ domain.Settlement }

// PaymentReversed says that the payment of a cancelled order was taken back.
type PaymentReversed struct {
	// CheckoutID and OrderID name the order.
	CheckoutID, OrderID ids.ID
	// Time when it happened.
	Time time.Time
}

// LoanSettled says that the loan of an order is paid off.
type LoanSettled struct {
	// OrderID names the order.
	OrderID ids.ID
	// Time when it happened.
	Time time.Time
}

// LoanReopened says that a loan that was paid off is owed again.
type LoanReopened struct {
	// OrderID names the order.
	OrderID ids.ID
	// Time when it happened.
	Time time.Time
}

// Refunded says that a part of an order was refunded.
type Refunded struct {
	// OrderID names the order.
	OrderID ids.ID
	// Amount that was refunded.
	Amount money.Amount
	// Time when it happened.
	Time time.Time
}

func (Refunded) isIncoming()         {}
func (PaymentSucceeded) isIncoming() {}
func (PaymentReversed) isIncoming()  {}
func (LoanSettled) isIncoming()      {}
func (LoanReopened) isIncoming()     {}

// batch is the rows that a batch of events works on, as they are after the events before.
type batch struct {
	app       *App
	tx        EventTx
	checkouts map[ids.ID]domain.Checkout
	loose     map[ids.ID]domain.Order // orders named without their checkout
	unsent    int
}

// ApplyEvents applies a batch of events in their order, in the transaction that remembers them. What a verb did before the event
// came is passed over. Errors: errs.NotFound and OrderStateInvalid for events that cannot be true; they are final.
func (a *App) ApplyEvents(ctx context.Context, tx EventTx, events []Incoming) error {
	b, err := a.lockBatch(ctx, tx, events)
	if err != nil {
		return err
	}
	for _, e := range events {
		switch e := e.(type) {
		case PaymentSucceeded:
			err = b.succeeded(e)
		case PaymentReversed:
			err = b.reversed(e)
		case LoanSettled:
			err = b.loanSettled(e)
		case LoanReopened:
			err = b.loanReopened(e)
		case Refunded:
			err = b.refunded(e)
		}
		if err != nil {
			return err
		}
		if b.unsent >= ordersPerFlush {
			b.unsent = 0
			if err := tx.Flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// lockBatch locks everything that the events touch: checkouts with their orders first, then single orders, by id.
func (a *App) lockBatch(ctx context.Context, tx EventTx, events []Incoming) (*batch, error) {
	checkouts, orders := map[ids.ID]bool{}, map[ids.ID]bool{}
	for _, e := range events {
		switch e := e.(type) {
		case PaymentSucceeded:
			checkouts[e.CheckoutID] = true
		case PaymentReversed:
			checkouts[e.CheckoutID] = true
		case LoanSettled:
			orders[e.OrderID] = true
		case LoanReopened:
			orders[e.OrderID] = true
		case Refunded:
			orders[e.OrderID] = true
		}
	}
	b := &batch{app: a, tx: tx, checkouts: map[ids.ID]domain.Checkout{}, loose: map[ids.ID]domain.Order{}}
	if len(checkouts) > 0 {
		found, err := tx.LockCheckouts(ctx, sortedIDs(checkouts))
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			b.checkouts[c.ID] = c
		}
	}
	if len(orders) > 0 {
		found, err := tx.LockOrders(ctx, sortedIDs(orders))
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			b.loose[o.ID] = o
		}
	}
	return b, nil
}

func (b *batch) succeeded(e PaymentSucceeded) error {
	c, ok := b.checkouts[e.CheckoutID]
	if !ok {
		return errs.NotFound.New("no checkout %s to settle", checkoutKey(e.CheckoutID))
	}
	after, err := b.app.settle(b.tx, c, e.Settlement, "event:PaymentSucceeded")
	if err != nil {
		return err
	}
	b.keep(after)
	b.unsent += len(after.Orders)
	return nil
}

func (b *batch) reversed(e PaymentReversed) error {
	c := b.checkouts[e.CheckoutID]
	o, ok := c.Order(e.OrderID)
	switch {
	case !ok:
		return errs.NotFound.New("no order %s in checkout %s", orderKey(e.OrderID), checkoutKey(e.CheckoutID))
	case o.State == domain.OrderCancelled && o.Settled():
		return nil
	}
	m := domain.Mark{Time: e.Time, Actor: "event:PaymentReversed", Cause: "payment reversed"}
	mv, err := planMove([]domain.Order{o}, domain.OrderCancelled, m, ids.ID{})
	if err != nil {
		return err
	}
	if !o.Settled() {
		return errs.OrderStateInvalid.New("order %s was never paid", orderKey(o.ID)).With("state", o.State.String())
	}
	after := c.WithOrders(mv.to...)
	if after.TakenBack() {
		if after, err = after.Moved(domain.CheckoutCancelled, ids.ID{}); err != nil {
			return err
		}
		b.tx.MoveCheckout(c, after)
	}
	mv.write(b.tx)
	b.keep(after)
	b.unsent++
	return nil
}

func (b *batch) loanSettled(e LoanSettled) error {
	o, ok := b.loose[e.OrderID]
	if !ok {
		return errs.NotFound.New("no order %s to close", orderKey(e.OrderID))
	}
	if o.State == domain.OrderClosed {
		return nil
	}
	m := domain.Mark{Time: e.Time, Actor: "event:LoanSettled", Cause: "loan settled"}
	after, err := moveOrders(b.tx, []domain.Order{o}, domain.OrderClosed, m)
	if err != nil {
		return err
	}
	b.keepLoose(after[0])
	return nil
}

// loanReopened takes a closed order back to CONFIRMED. Nobody is told that its goods came: they came before.
func (b *batch) loanReopened(e LoanReopened) error {
	o, ok := b.loose[e.OrderID]
	if !ok {
		return errs.NotFound.New("no order %s to open again", orderKey(e.OrderID))
	}
	if o.State == domain.OrderConfirmed || o.AllRefunded() { // Of what was refunded as a whole, only interest can be owed again.
		return nil
	}
	m := domain.Mark{Time: e.Time, Actor: "event:LoanReopened", Cause: "a repayment bounced"}
	mv, err := planMove([]domain.Order{o}, domain.OrderConfirmed, m, ids.ID{})
	if err != nil {
		return err
	}
	b.tx.MoveOrders(mv.from, mv.to, mv.mark, time.Time{})
	b.keepLoose(mv.to[0])
	return nil
}

// refunded notes a refund, and closes an order of which nothing is left.
func (b *batch) refunded(e Refunded) error {
	o, ok := b.loose[e.OrderID]
	if !ok {
		return errs.NotFound.New("no order %s to refund", orderKey(e.OrderID))
	}
	after, err := o.WithRefund(e.Amount)
	if err != nil {
		return err
	}
	b.tx.NoteRefund(o, after)
	if after.AllRefunded() && (after.State == domain.OrderPaid || after.State == domain.OrderConfirmed) {
		m := domain.Mark{Time: e.Time, Actor: "event:RefundChanged", Cause: "all of it was refunded"}
		moved, err := moveOrders(b.tx, []domain.Order{after}, domain.OrderClosed, m)
		if err != nil {
			return err
		}
		after = moved[0]
	}
	b.keepLoose(after)
	return nil
}

func (b *batch) keepLoose(o domain.Order) {
	b.loose[o.ID] = o
	if c, ok := b.checkouts[o.CheckoutID]; ok {
		b.checkouts[c.ID] = c.WithOrders(o)
	}
	b.unsent++
}

// keep remembers a checkout for the events behind it.
func (b *batch) keep(c domain.Checkout) {
	b.checkouts[c.ID] = c
	for _, o := range c.Orders {
		if _, ok := b.loose[o.ID]; ok {
			b.loose[o.ID] = o
		}
	}
}
