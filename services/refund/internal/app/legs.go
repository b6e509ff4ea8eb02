package app

import (
	"context"
	"slices"

	"github.com/creditpay/creditpay/pkg/caller"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// HearOfReturn notes what an event says of a leg. A return that belongs to no refund, or to one whose answer is still on its way, is
// passed over: the refund asks by itself.
func (a *App) HearOfReturn(ctx context.Context, tx Tx, refundID ids.ID, back Return) error {
	r, found, err := tx.LockRefund(ctx, refundID)
	if err != nil || !found {
		return err
	}
	l, found := r.LegByReference(back.Reference)
	if !found || !l.State.MayBecome(back.State) {
		return nil
	}
	now := a.now()
	if l.Abandoned(back.State) {
		tx.SetDrive(refundID, now) // The bill service is asked first, see keepAbandoned.
		return nil
	}
	next, err := r.LegMoved(l.Number, back.State, "")
	if err != nil {
		return err
	}
	tx.MoveRefund(r, next, Mark{Actor: actorDrive, Cause: "told by the payment service", Time: now}.with(r, next))
	tx.SetDrive(refundID, now)
	return nil
}

// failedLeg finds a leg that waits for an operator. Errors: errs.NotFound, errs.RefundStateInvalid.
func (a *App) failedLeg(ctx context.Context, id ids.ID, reference string) (domain.Refund, domain.Leg, error) {
	r, err := a.refund(ctx, id)
	if err != nil {
		return r, domain.Leg{}, err
	}
	l, found := r.LegByReference(reference)
	switch {
	case !found:
		return r, l, errs.NotFound.New("the refund has no leg of this reference")
	case l.State != domain.LegFailed:
		return r, l, errs.RefundStateInvalid.New("the leg is %s; only one that failed is retried or resolved", l.State).With("state", l.State.String())
	}
	return r, l, nil
}

// failedNoMore is an error of the payment service about a leg that is FAILED as far as this service knows: a refusal means that the payment
// service knows more, of which this service is going to hear.
func failedNoMore(err error) error {
	if errs.Is(err, errs.OrderStateInvalid) {
		return errs.RefundStateInvalid.Wrap(err, "the leg has moved on; look at the refund again")
	}
	return err
}

// keepAbandoned has the bill service make credit balance of what an operator abandoned of repayments. ResolveRefundLeg does so, too; when it
// was cut off between the two services, the payer has nothing yet.
func (a *App) keepAbandoned(ctx context.Context, r domain.Refund, list []Return) error {
	for _, back := range list {
		l, found := r.LegByReference(back.Reference)
		if !found || !l.Abandoned(back.State) {
			continue
		}
		if _, err := peer(ctx, a, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, a.Bills.KeepAsCredit(ctx, r.ID, l.RepaymentID)
		}); err != nil {
			return err
		}
	}
	return nil
}

// RetryRefundLeg asks for a leg that failed once more, under the same reference. Errors: errs.NotFound, errs.RefundStateInvalid.
func (a *App) RetryRefundLeg(ctx context.Context, actor string, id ids.ID, reference string) (domain.Refund, error) {
	if _, _, err := a.failedLeg(ctx, id, reference); err != nil {
		return domain.Refund{}, err
	}
	back, err := peer(ctx, a, func(ctx context.Context) (Return, error) { return a.Payments.Retry(ctx, reference) })
	if err != nil {
		return domain.Refund{}, failedNoMore(err)
	}
	return a.endLeg(ctx, id, reference, Mark{Actor: actor, Cause: "asked for once more", Time: a.now()}, back.State, "")
}

// endLeg notes what an operator did about a leg; what was noted meanwhile stays.
func (a *App) endLeg(ctx context.Context, id ids.ID, reference string, m Mark, to domain.LegState, evidence string) (domain.Refund, error) {
	return a.move(ctx, id, m, func(r domain.Refund) (domain.Refund, bool, error) {
		l, found := r.LegByReference(reference)
		if !found || !l.State.MayBecome(to) {
			return r, false, nil
		}
		next, err := r.LegMoved(l.Number, to, "")
		if err != nil {
			return r, false, err
		}
		if evidence != "" {
			next.Legs[l.Number-1].Evidence, next.Legs[l.Number-1].Actor = evidence, m.Actor
		}
		return next, true, nil
	}, func(tx Tx, _, _ domain.Refund) error {
		tx.SetDrive(id, m.Time)
		return nil
	})
}

// GetRefund returns a refund with its timeline. Errors: errs.NotFound, also for a merchant or a marketplace whose it is not.
func (a *App) GetRefund(ctx context.Context, who caller.Caller, id ids.ID) (domain.Refund, []Change, error) {
	r, err := a.refund(ctx, id)
	if err == nil && (!who.Sees(r.UserID) || (who.Kind == caller.Merchant && r.MerchantID != who.MerchantID)) {
		err = errs.NotFound.New("there is no such refund")
	}
	if err != nil {
		return domain.Refund{}, nil, err
	}
	changes, err := a.Store.Changes(ctx, id)
	return r, changes, err
}

// RefundParts returns a refund to the services that move money for it, before they do. Errors: errs.NotFound.
func (a *App) RefundParts(ctx context.Context, id ids.ID) (domain.Refund, error) {
	return a.refund(ctx, id)
}

// OrderRefund is a refund of an order with what happened to it.
type OrderRefund struct {
	Refund  domain.Refund
	Changes []Change
}

// orderRefundsMost bounds the refunds that an order's detail shows.
const orderRefundsMost = 100

// OrderRefunds gives the refunds of an order, oldest first.
func (a *App) OrderRefunds(ctx context.Context, orderID ids.ID) ([]OrderRefund, error) {
	list, err := a.Store.Refunds(ctx, Filter{OrderID: orderID, Limit: orderRefundsMost})
	if err != nil {
		return nil, err
	}
	slices.Reverse(list)
	out := make([]OrderRefund, len(list))
	for i, r := range list {
		out[i].Refund = r
		if out[i].Changes, err = a.Store.Changes(ctx, r.ID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ListRefunds gives refunds, newest first.
func (a *App) ListRefunds(ctx context.Context, f Filter) ([]domain.Refund, error) {
	return a.Store.Refunds(ctx, f)
}
