package domain

import (
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// Checkout is what a payer pays at once: the orders of one purchase.
type Checkout struct {
	// ID of the checkout.
	ID ids.ID
	// UserID is the buyer, Business the business line.
	UserID, Business string
	// State of the checkout.
	State CheckoutState
	// CommitID of the commit that is paying or has paid it; zero for none.
	CommitID ids.ID
	// Total is what a commit must pay: the sum of the payable orders while the checkout is open or committing; what it was then,
	// afterwards.
	Total money.Amount
	// RedirectURL is where the payer goes next; NotifyURL is where notifications go, empty for none.
	RedirectURL, NotifyURL string
	// ExpireTime ends it, CreateTime began it.
	ExpireTime, CreateTime time.Time
	// Version rises by one with each change of the checkout and of its payable orders, 1 at creation.
	Version int64
	// Orders in the order of the request.
	Orders []Order
}

// In gives the orders of a state.
func (c Checkout) In(s OrderState) []Order {
	var found []Order
	for _, o := range c.Orders {
		if o.State == s {
			found = append(found, o)
		}
	}
	return found
}

// Order finds an order by id; false when it is not of this checkout.
func (c Checkout) Order(id ids.ID) (Order, bool) {
	for _, o := range c.Orders {
		if o.ID == id {
			return o, true
		}
	}
	return Order{}, false
}

// Payable is the sum of the orders that can still be paid.
func (c Checkout) Payable() money.Amount {
	return c.sum(func(o Order) money.Amount {
		if o.State.Payable() {
			return o.Amount
		}
		return money.Zero(o.Amount.Currency())
	})
}

// Paid is what was paid over all orders.
func (c Checkout) Paid() money.Amount { return c.sum(func(o Order) money.Amount { return o.Paid }) }

// sum adds one amount per order. The orders' bounds were checked at creation, so that it always fits; what does not add up
// answers the zero Amount, which no caller takes for money.
func (c Checkout) sum(of func(Order) money.Amount) money.Amount {
	amounts := make([]money.Amount, len(c.Orders))
	for i, o := range c.Orders {
		amounts[i] = of(o)
	}
	total, err := money.Sum(c.Total.Currency(), amounts...)
	if err != nil {
		return money.Amount{}
	}
	return total
}

// Over reports whether the time to pay is over.
func (c Checkout) Over(now time.Time) bool { return !now.Before(c.ExpireTime) }

// Moved is the checkout after a legal move, without its orders' moves; an illegal one is errs.Internal, because the callers ask
// first. A commit of a checkout is known while it is committing and after it was paid.
func (c Checkout) Moved(to CheckoutState, commit ids.ID) (Checkout, error) {
	if err := CheckoutMoves.Check(c.State, to); err != nil {
		return c, errs.Internal.Wrap(err, "the checkout is %s", c.State)
	}
	c.State, c.Version = to, c.Version+1
	switch to {
	case CheckoutCommitting:
		c.CommitID = commit
	case CheckoutOpen, CheckoutExpired:
		c.CommitID = ids.ID{}
	default: // Paid and cancelled checkouts keep the commit that they had.
	}
	return c, nil
}

// Unpayable is why the checkout cannot be paid now; nil when it can.
func (c Checkout) Unpayable(now time.Time) *errs.Error {
	switch c.State {
	case CheckoutCommitting:
		return errs.CheckoutCommitting.New("a commit of this checkout is under way; ask for its outcome")
	case CheckoutPaid:
		return errs.CheckoutAlreadyPaid.New("the checkout is paid")
	case CheckoutCancelled:
		return errs.CheckoutCancelled.New("the checkout was cancelled; make a new one")
	case CheckoutExpired:
		return errs.CheckoutExpired.New("the checkout's time is over; make a new one")
	default: // Open: its time decides.
	}
	if c.Over(now) {
		return errs.CheckoutExpired.New("the checkout's time is over; make a new one")
	}
	return nil
}

// Commit is a payment service's wish to pay a checkout.
type Commit struct {
	// ID of the commit.
	ID ids.ID
	// UserID is the payer.
	UserID string
	// Expected is the sum that the payer's quote was made for; the zero Amount without a quote.
	Expected money.Amount
}

// Begin reports what a commit finds: begun already (true), or that it may begin (false), or the reason why not. Barred says that
// the commit was aborted before.
func (c Checkout) Begin(commit Commit, barred bool, now time.Time) (begun bool, err error) {
	if c.UserID != commit.UserID {
		return false, errs.NotFound.New("no such checkout")
	}
	if barred {
		return false, errs.CommitAborted.New("this commit was withdrawn before")
	}
	if c.CommitID == commit.ID && (c.State == CheckoutCommitting || c.State == CheckoutPaid) {
		return true, nil
	}
	if refusal := c.Unpayable(now); refusal != nil {
		return false, refusal
	}
	if commit.Expected.IsPositive() && c.Total != commit.Expected {
		return false, errs.CheckoutChanged.New("the checkout asks for %s, not for %s; choose the plan again", c.Total, commit.Expected)
	}
	return false, nil
}

// PaidOrder is one order of a commit that succeeded.
type PaidOrder struct {
	// OrderID and PaymentID name it.
	OrderID, PaymentID ids.ID
	// Amount that was paid.
	Amount money.Amount
}

// Settlement is a commit that succeeded.
type Settlement struct {
	// CheckoutID and CommitID name it.
	CheckoutID, CommitID ids.ID
	// Orders that it paid.
	Orders []PaidOrder
	// PayTime is when.
	PayTime time.Time
}

// Settles gives the orders that the settlement pays now: none when it was applied before. A settlement that does not fit
// (unknown order, other commit, other amount, an order left out) is errs.OrderStateInvalid: an operator must look.
func (c Checkout) Settles(s Settlement) ([]Order, error) {
	if s.PayTime.IsZero() || len(s.Orders) == 0 {
		return nil, errs.OrderStateInvalid.New("the settlement of commit %s names no time or no orders", ids.Format(ids.Commit, s.CommitID))
	}
	var pays []Order
	for _, p := range s.Orders {
		o, ok := c.Order(p.OrderID)
		switch {
		case !ok:
			return nil, errs.OrderStateInvalid.New("order %s is not of checkout %s", ids.Format(ids.Order, p.OrderID), ids.Format(ids.Checkout, c.ID))
		case o.CommitID != s.CommitID:
			return nil, errs.OrderStateInvalid.New("order %s does not belong to commit %s", ids.Format(ids.Order, o.ID), ids.Format(ids.Commit, s.CommitID)).With("state", o.State.String())
		case o.PaymentID != p.PaymentID || o.Amount != p.Amount:
			return nil, errs.OrderStateInvalid.New("order %s asks for %s, another payment or amount came: %s", ids.Format(ids.Order, o.ID), o.Amount, p.Amount)
		case o.Settled():
			continue
		case o.State != OrderCommitting:
			return nil, errs.OrderStateInvalid.New("order %s is %s and cannot become PAID", ids.Format(ids.Order, o.ID), o.State).With("state", o.State.String())
		}
		pays = append(pays, o)
	}
	if open := len(c.In(OrderCommitting)); len(pays) != open {
		return nil, errs.OrderStateInvalid.New("commit %s pays %d of %d orders of checkout %s", ids.Format(ids.Commit, s.CommitID), len(pays), open, ids.Format(ids.Checkout, c.ID))
	}
	return pays, nil
}

// WithOrders is the checkout with some of its orders replaced by newer versions.
func (c Checkout) WithOrders(newer ...Order) Checkout {
	orders := make([]Order, len(c.Orders))
	copy(orders, c.Orders)
	for _, n := range newer {
		for i := range orders {
			if orders[i].ID == n.ID {
				orders[i] = n
			}
		}
	}
	c.Orders = orders
	return c
}

// WithoutOrders is the checkout after the cancellation of some payable orders: its total shrinks, and without a payable order it
// is cancelled. The orders must be the cancelled ones. An illegal move is errs.Internal.
func (c Checkout) WithoutOrders(cancelled ...Order) (Checkout, error) {
	next := c.WithOrders(cancelled...)
	to := CheckoutOpen
	if len(next.In(OrderCreated)) == 0 {
		to = CheckoutCancelled
	}
	next.Total = next.Payable()
	return next.Moved(to, ids.ID{})
}

// TakenBack reports whether every order of the checkout is cancelled.
func (c Checkout) TakenBack() bool { return len(c.In(OrderCancelled)) == len(c.Orders) }
