package domain

// Event is something that the order service tells the others.
type Event interface{ isOrderEvent() }

// Created tells of a new checkout.
type Created struct{ Checkout Checkout }

// Changed tells that an order reached a state that others wait for: PAID, CONFIRMED, CANCELLING, CANCELLED, EXPIRED or CLOSED.
type Changed struct {
	// Order after the change.
	Order Order
	// Cause in a few words.
	Cause string
}

func (Created) isOrderEvent() {}
func (Changed) isOrderEvent() {}

// EventOf is the event of an order that reached its present state; false when nobody waits for that state.
func EventOf(o Order, m Mark) (Event, bool) {
	switch o.State {
	case OrderPaid, OrderConfirmed, OrderCancelling, OrderCancelled, OrderExpired, OrderClosed:
		return Changed{Order: o, Cause: m.Cause}, true
	default:
		return nil, false
	}
}
