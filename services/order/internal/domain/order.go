package domain

import (
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// Item is one line of an order, for payer and dispute. It is stored as JSON, so its names are part of the schema.
type Item struct {
	// SKU is the merchant's article number.
	SKU string `json:"sku"`
	// Name as shown to the payer.
	Name string `json:"name"`
	// Quantity in pieces.
	Quantity int32 `json:"quantity"`
	// UnitPrice of one piece.
	UnitPrice money.Amount `json:"unit_price"`
}

// Order is one shop's order of a checkout.
type Order struct {
	// ID, CheckoutID and PaymentID name it and its payment.
	ID, CheckoutID, PaymentID ids.ID
	// Owner is the marketplace that made it, empty for the home marketplace: that of its buyer. MerchantID and OutOrderNo are the
	// marketplace's names of it; the three are unique together.
	Owner, MerchantID, OutOrderNo string
	// ContentHash is the SHA-256 of what was ordered, see Draft.Orders.
	ContentHash [32]byte
	// UserID is the buyer, Business the business line.
	UserID, Business string
	// Amount ordered for, Paid so far and Refunded so far, in one currency.
	Amount, Paid, Refunded money.Amount
	// NotifyURL is its checkout's: where the marketplace wants to be told of it, empty for nowhere. Neither payer nor merchant may see it.
	NotifyURL string
	// Title is one line that the payer recognises.
	Title string
	// State of the order.
	State OrderState
	// CommitID of the commit that is paying or has paid it; zero for none.
	CommitID ids.ID
	// Version rises by one with each change, 1 at creation.
	Version int64
	// CreateTime and ExpireTime are always set; the others are zero until they happen.
	CreateTime, ExpireTime, PayTime, ConfirmTime, CancelTime time.Time
}

// Mark says who moved an order, when and why: one entry of its timeline.
type Mark struct {
	// Time of the move.
	Time time.Time
	// Actor is the caller ("SPM:marketplace"), the timer or the event.
	Actor string
	// Cause in a few words.
	Cause string
}

// Moved is the order after a legal move; an illegal one is errs.OrderStateInvalid. A move to OrderCommitting sets CommitID,
// which is what commit is for; other moves ignore it.
func (o Order) Moved(to OrderState, m Mark, commit ids.ID) (Order, error) {
	if err := OrderMoves.Check(o.State, to); err != nil {
		return o, errs.OrderStateInvalid.Wrap(err, "the order is %s", o.State).With("state", o.State.String())
	}
	o.Version++
	switch to {
	case OrderCommitting:
		o.CommitID = commit
	case OrderCreated, OrderExpired:
		o.CommitID = ids.ID{}
	case OrderPaid:
		o.Paid, o.PayTime = o.Amount, m.Time
	case OrderConfirmed:
		if o.ConfirmTime.IsZero() { // A loan that is owed again takes the order back to CONFIRMED: the goods came before.
			o.ConfirmTime = m.Time
		}
	case OrderCancelled:
		o.CancelTime = m.Time
	default: // The other states have no time of their own.
	}
	o.State = to
	return o, nil
}

// WithRefund is the order after a part of it was refunded: a figure, not a state. Errors: errs.OrderStateInvalid when that is more than was paid: an operator
// must look.
func (o Order) WithRefund(amount money.Amount) (Order, error) {
	refunded, err := o.Refunded.Add(amount)
	if err != nil {
		return o, errs.OrderStateInvalid.Wrap(err, "the refund does not fit the order")
	}
	if !amount.IsPositive() || refunded.Minor() > o.Paid.Minor() {
		return o, errs.OrderStateInvalid.New("refunds of %s of an order that was paid with %s", refunded, o.Paid)
	}
	o.Refunded = refunded
	return o, nil
}

// AllRefunded reports whether nothing of what was paid is left.
func (o Order) AllRefunded() bool { return o.Refunded.IsPositive() && o.Refunded == o.Paid }

// Settled reports whether the order was paid once, whatever became of it since.
func (o Order) Settled() bool { return !o.PayTime.IsZero() }

// TimelineEntry is one change of an order.
type TimelineEntry struct {
	// From and To are the states around it.
	From, To OrderState
	// Version of the order after it.
	Version int64
	Mark
}
