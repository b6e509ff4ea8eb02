package app

import (
	"context"
	"errors"
	"time"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// ErrNumberTaken is what Store.Do answers when a (merchant_id, out_order_no) exists.
var ErrNumberTaken = errors.New("order number exists")

// Generate is the input of GeneratePayments.
type Generate struct {
	// Caller is the marketplace that asks, for the scope of RequestID, the timeline, and whose the orders are.
	Caller    caller.Caller
	RequestID string
	// Draft is what is asked for.
	Draft domain.Draft
}

// Generated is a new checkout. It is stored as the answer of the request.
type Generated struct {
	// CheckoutID and ExpireTime of the checkout.
	CheckoutID ids.ID    `json:"checkout_id"`
	ExpireTime time.Time `json:"expire_time"`
	// Orders in the request's order; all are CREATED.
	Orders []GeneratedOrder `json:"orders"`
}

// GeneratedOrder is one order of a new checkout.
type GeneratedOrder struct {
	// OrderID and PaymentID are new, OutOrderNo is the marketplace's.
	OrderID    ids.ID `json:"order_id"`
	PaymentID  ids.ID `json:"payment_id"`
	OutOrderNo string `json:"out_order_no"`
}

// GeneratePayments makes a checkout with its orders, all or none. The same request, or another with the same order numbers and
// the same content, answers the first answer; the expire time of a repeat does not count. Errors: those of domain.Draft.Validate, errs.OrderContentMismatch, RequestIDReused.
func (a *App) GeneratePayments(ctx context.Context, in Generate) (Generated, error) {
	key := idempotency.Key{Verb: "GeneratePayments", Caller: in.Caller.String(), RequestID: in.RequestID}
	// The expire time is no content: whoever repeats a request computes it again. Records of earlier versions have it in them.
	former, err := idempotency.FingerprintOf(in.Draft)
	if err != nil {
		return Generated{}, err
	}
	content := in.Draft
	content.ExpireTime = time.Time{}
	fp, err := idempotency.FingerprintOf(content)
	if err != nil {
		return Generated{}, err
	}
	return idempotency.Do(ctx, a.Store.Requests(), key, fp, func() (Generated, error) {
		c, items, err := a.newCheckout(in.Caller, in.Draft)
		if err != nil {
			return Generated{}, err
		}
		answer := generatedOf(c)
		mark := domain.Mark{Time: c.CreateTime, Actor: in.Caller.String(), Cause: "GeneratePayments"}
		err = a.Store.Do(ctx, func(tx Tx) error {
			tx.Remember(key, fp, answer)
			tx.InsertCheckout(c, items, mark)
			tx.Emit(domain.Created{Checkout: c})
			return nil
		})
		if !errors.Is(err, ErrNumberTaken) {
			return answer, err
		}
		if answer, err = a.generatedBefore(ctx, c); err != nil {
			return Generated{}, err
		}
		return answer, a.Store.Do(ctx, func(tx Tx) error {
			tx.Remember(key, fp, answer)
			return nil
		})
	}, former)
}

// newCheckout validates the draft and names everything.
func (a *App) newCheckout(who caller.Caller, d domain.Draft) (domain.Checkout, [][]domain.Item, error) {
	if err := who.CheckUser("user_id", d.UserID); err != nil {
		return domain.Checkout{}, nil, err
	}
	now := a.now()
	if err := d.CheckAddresses(a.Reach); err != nil {
		return domain.Checkout{}, nil, err
	}
	total, err := d.Validate(now)
	if err != nil {
		return domain.Checkout{}, nil, err
	}
	expire := d.ExpireTime.UTC().Truncate(time.Microsecond)
	if d.ExpireTime.IsZero() {
		expire = now.Add(a.CheckoutExpiry)
	}
	c := domain.Checkout{
		ID: a.IDs.New(), UserID: d.UserID, Business: d.Business, State: domain.CheckoutOpen, Total: total, RedirectURL: d.RedirectURL,
		NotifyURL: d.NotifyURL, ExpireTime: expire, CreateTime: now, Version: 1, Orders: make([]domain.Order, len(d.Orders)),
	}
	items := make([][]domain.Item, len(d.Orders))
	for i, o := range d.Orders {
		hash, err := d.ContentHash(i)
		if err != nil {
			return domain.Checkout{}, nil, err
		}
		nothing := money.Zero(total.Currency())
		// Ids rise, so that reading by id gives the request's order.
		c.Orders[i] = domain.Order{
			ID: a.IDs.New(), CheckoutID: c.ID, PaymentID: a.IDs.New(), Owner: who.Owner, MerchantID: o.MerchantID, OutOrderNo: o.OutOrderNo,
			ContentHash: hash,
			UserID:      d.UserID, Business: d.Business, Amount: o.Amount, Paid: nothing, Refunded: nothing, NotifyURL: d.NotifyURL, Title: o.Title,
			State: domain.OrderCreated, Version: 1, CreateTime: now, ExpireTime: expire,
		}
		items[i] = o.Items
	}
	return c, items, nil
}

// generatedBefore gives the answer of the checkout that holds the same orders; errs.OrderContentMismatch when one of them differs.
func (a *App) generatedBefore(ctx context.Context, wanted domain.Checkout) (Generated, error) {
	mismatch := errs.OrderContentMismatch.New("an order with this merchant_id and out_order_no exists with other content")
	numbers := make([]OrderNumber, len(wanted.Orders))
	for i, o := range wanted.Orders {
		numbers[i] = numberOf(o)
	}
	found, err := a.Store.OrdersByNumber(ctx, numbers)
	if err != nil {
		return Generated{}, err
	}
	if len(found) != len(wanted.Orders) {
		return Generated{}, mismatch
	}
	first, err := a.Store.Checkout(ctx, found[0].CheckoutID)
	if err != nil {
		return Generated{}, err
	}
	if len(first.Orders) != len(wanted.Orders) {
		return Generated{}, mismatch
	}
	byNumber := make(map[OrderNumber]domain.Order, len(first.Orders))
	for _, o := range first.Orders {
		byNumber[numberOf(o)] = o
	}
	same := first
	same.Orders = make([]domain.Order, len(wanted.Orders))
	for i, o := range wanted.Orders {
		before, ok := byNumber[numbers[i]]
		if !ok || before.ContentHash != o.ContentHash {
			return Generated{}, mismatch
		}
		same.Orders[i] = before
	}
	return generatedOf(same), nil
}

// numberOf is the marketplace's name of an order.
func numberOf(o domain.Order) OrderNumber {
	return OrderNumber{Owner: o.Owner, MerchantID: o.MerchantID, OutOrderNo: o.OutOrderNo}
}

func generatedOf(c domain.Checkout) Generated {
	g := Generated{CheckoutID: c.ID, ExpireTime: c.ExpireTime, Orders: make([]GeneratedOrder, len(c.Orders))}
	for i, o := range c.Orders {
		g.Orders[i] = GeneratedOrder{OrderID: o.ID, PaymentID: o.PaymentID, OutOrderNo: o.OutOrderNo}
	}
	return g
}
