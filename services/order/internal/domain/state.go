package domain

import (
	"fmt"

	"github.com/creditpay/creditpay/pkg/statetable"
)

// OrderState is the state of one order. The numbers are stored and equal creditpay.order.v1.OrderState; they are never reused.
type OrderState uint8

// The states of an order. OrderNone stands before its creation, in timelines only.
const (
	OrderNone       OrderState = 0
	OrderCreated    OrderState = 1
	OrderCommitting OrderState = 2
	OrderPaid       OrderState = 3
	OrderConfirmed  OrderState = 4
	OrderClosed     OrderState = 5
	OrderCancelling OrderState = 6
	OrderCancelled  OrderState = 7
	OrderExpired    OrderState = 8
)

// String is the state's name on the wire without its prefix; empty for OrderNone.
func (s OrderState) String() string {
	switch s {
	case OrderNone:
		return ""
	case OrderCreated:
		return "CREATED"
	case OrderCommitting:
		return "COMMITTING"
	case OrderPaid:
		return "PAID"
	case OrderConfirmed:
		return "CONFIRMED"
	case OrderClosed:
		return "CLOSED"
	case OrderCancelling:
		return "CANCELLING"
	case OrderCancelled:
		return "CANCELLED"
	case OrderExpired:
		return "EXPIRED"
	default:
		return fmt.Sprintf("ORDER_STATE_%d", uint8(s))
	}
}

// Payable reports whether the order still counts for what its checkout asks for.
func (s OrderState) Payable() bool { return s == OrderCreated || s == OrderCommitting }

// CheckoutState is the state of a checkout. The numbers are stored and equal creditpay.order.v1.CheckoutState, where COMMITTING
// is called PROCESSING.
type CheckoutState uint8

// The states of a checkout.
const (
	CheckoutOpen       CheckoutState = 1
	CheckoutCommitting CheckoutState = 2
	CheckoutPaid       CheckoutState = 3
	CheckoutCancelled  CheckoutState = 4
	CheckoutExpired    CheckoutState = 5
)

// Payable reports whether the checkout may still come to be paid: its expiry watches it until then.
func (s CheckoutState) Payable() bool { return s == CheckoutOpen || s == CheckoutCommitting }

// String is the state's name.
func (s CheckoutState) String() string {
	switch s {
	case CheckoutOpen:
		return "OPEN"
	case CheckoutCommitting:
		return "COMMITTING"
	case CheckoutPaid:
		return "PAID"
	case CheckoutCancelled:
		return "CANCELLED"
	case CheckoutExpired:
		return "EXPIRED"
	default:
		return fmt.Sprintf("CHECKOUT_STATE_%d", uint8(s))
	}
}

// OrderMoves is the table of an order's legal moves. It is immutable.
var OrderMoves = statetable.MustNew("order",
	statetable.Move[OrderState]{From: OrderCreated, To: OrderCommitting, Cause: "commit begins"},
	statetable.Move[OrderState]{From: OrderCommitting, To: OrderPaid, Cause: "payment succeeded"},
	statetable.Move[OrderState]{From: OrderPaid, To: OrderConfirmed, Cause: "goods received, or auto-confirm"},
	statetable.Move[OrderState]{From: OrderConfirmed, To: OrderClosed, Cause: "loan settled, or all of it refunded"},
	statetable.Move[OrderState]{From: OrderPaid, To: OrderClosed, Cause: "all of it refunded before receipt"},
	statetable.Move[OrderState]{From: OrderClosed, To: OrderConfirmed, Cause: "a repayment of the loan bounced"},
	statetable.Move[OrderState]{From: OrderCommitting, To: OrderCreated, Cause: "commit failed or withdrawn"},
	statetable.Move[OrderState]{From: OrderCommitting, To: OrderExpired, Cause: "commit failed after the expire time"},
	statetable.Move[OrderState]{From: OrderCreated, To: OrderCancelled, Cause: "cancelled unpaid"},
	statetable.Move[OrderState]{From: OrderCreated, To: OrderExpired, Cause: "not paid in time"},
	statetable.Move[OrderState]{From: OrderPaid, To: OrderCancelling, Cause: "cancelled before receipt"},
	statetable.Move[OrderState]{From: OrderCancelling, To: OrderCancelled, Cause: "payment reversed"},
)

// CheckoutMoves is the table of a checkout's legal moves. It is immutable.
var CheckoutMoves = statetable.MustNew("checkout",
	statetable.Move[CheckoutState]{From: CheckoutOpen, To: CheckoutCommitting, Cause: "commit begins"},
	statetable.Move[CheckoutState]{From: CheckoutCommitting, To: CheckoutPaid, Cause: "payment succeeded"},
	statetable.Move[CheckoutState]{From: CheckoutCommitting, To: CheckoutOpen, Cause: "commit failed or withdrawn"},
	statetable.Move[CheckoutState]{From: CheckoutCommitting, To: CheckoutExpired, Cause: "commit failed after the expire time"},
	statetable.Move[CheckoutState]{From: CheckoutOpen, To: CheckoutOpen, Cause: "an order was cancelled, or a commit was barred"},
	statetable.Move[CheckoutState]{From: CheckoutOpen, To: CheckoutCancelled, Cause: "the last payable order was cancelled"},
	statetable.Move[CheckoutState]{From: CheckoutOpen, To: CheckoutExpired, Cause: "not paid in time"},
	statetable.Move[CheckoutState]{From: CheckoutPaid, To: CheckoutCancelled, Cause: "every order was taken back"},
)
