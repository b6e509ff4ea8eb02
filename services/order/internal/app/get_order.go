package app

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// OrderName names an order by id, or by the marketplace's number when ID is zero.
type OrderName struct {
	// ID of the order.
	ID ids.ID
	// Number of the marketplace.
	Number OrderNumber
}

// Detail is an order with everything known of it.
type Detail struct {
	// Order itself, with its lines.
	Order domain.Order
	Items []domain.Item
	// Legs of its payment.
	Legs []Leg
	// Loan behind it; nil when there is none.
	Loan *Loan
	// Contracts are the numbers of the signed contracts behind it, oldest first.
	Contracts []string
	// Refunds are the ids of its refunds, oldest first.
	Refunds []string
	// Timeline over all services, oldest first.
	Timeline []TimelineEntry
	// Unavailable parts: "payment", "bill", "refund".
	Unavailable []string
}

// GetOrder reads one order of the caller's own. Errors: errs.NotFound, also for a foreign order.
func (a *App) GetOrder(ctx context.Context, who caller.Caller, name OrderName) (domain.Order, error) {
	var found []domain.Order
	var err error
	if name.ID.IsZero() {
		found, err = a.Store.OrdersByNumber(ctx, []OrderNumber{name.Number})
	} else {
		found, err = a.Store.Orders(ctx, []ids.ID{name.ID})
	}
	if err != nil {
		return domain.Order{}, err
	}
	if len(found) != 1 || !mayRead(who, found[0]) {
		return domain.Order{}, errs.NotFound.New("no such order")
	}
	return found[0], nil
}

// mayRead: a payer sees their own orders, a merchant its own, a marketplace those that it made, operators all.
func mayRead(who caller.Caller, o domain.Order) bool {
	switch who.Kind {
	case caller.Service: // The other services read orders by OrderInternalService.
		return false
	case caller.Merchant:
		return who.Sees(o.UserID) && who.MerchantID != "" && who.MerchantID == o.MerchantID
	default:
		return who.Sees(o.UserID)
	}
}

// GetOrderDetail reads one order of the caller's own with everything; what a service that cannot be asked owns is left out and the
// service is named. Errors: errs.NotFound, also for a foreign order.
func (a *App) GetOrderDetail(ctx context.Context, who caller.Caller, name OrderName) (Detail, error) {
	o, err := a.GetOrder(ctx, who, name)
	if err != nil {
		return Detail{}, err
	}
	var (
		payments                          Payments
		loans                             Loans
		contracts                         []string
		refunds                           Refunds
		paymentErr, loanErr, contractsErr error
		refundErr                         error
		g                                 sync.WaitGroup
	)
	peerCtx, cancel := context.WithTimeout(ctx, a.DetailTimeout)
	defer cancel()
	g.Go(func() { payments, paymentErr = a.Payment.Payments(peerCtx, []ids.ID{o.ID}) })
	g.Go(func() { loans, loanErr = a.Bill.Loans(peerCtx, []ids.ID{o.ID}) })
	g.Go(func() { contracts, contractsErr = a.Bill.Contracts(peerCtx, o.ID) })
	g.Go(func() { refunds, refundErr = a.Refund.Refunds(peerCtx, o.ID) })
	d := Detail{Order: o}
	d.Items, err = a.Store.Items(ctx, o.ID)
	var own []domain.TimelineEntry
	if err == nil {
		own, err = a.Store.Timeline(ctx, o.ID)
	}
	g.Wait()
	if err != nil {
		return Detail{}, err
	}
	for _, t := range own {
		d.Timeline = append(d.Timeline, TimelineEntry{Time: t.Time, Service: "order", ObjectID: orderKey(o.ID), From: t.From.String(),
			To: t.To.String(), Actor: t.Actor, Cause: t.Cause})
	}
	d.Legs, d.Contracts, d.Refunds = payments.Legs, contracts, refunds.IDs
	d.Timeline = slices.Concat(d.Timeline, payments.Timeline, loans.Timeline, refunds.Timeline)
	slices.SortStableFunc(d.Timeline, func(x, y TimelineEntry) int { return x.Time.Compare(y.Time) })
	// A commit that failed leaves a void loan behind: the one that counts is the other, or the last.
	for i, l := range loans.Loans {
		if d.Loan == nil || d.Loan.Void || !l.Void {
			d.Loan = &loans.Loans[i]
		}
	}
	for part, err := range map[string]error{"payment": paymentErr, "bill": errors.Join(loanErr, contractsErr), "refund": refundErr} {
		if err != nil {
			a.Log.Warn("an order is shown without a part", zap.String("order_id", orderKey(o.ID)), zap.String("part", part), zap.Error(err))
			d.Unavailable = append(d.Unavailable, part)
		}
	}
	slices.Sort(d.Unavailable)
	return d, nil
}
