package app

import (
	"context"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// DeliveryFilter says which deliveries are listed; what is zero does not count.
type DeliveryFilter struct {
	EndpointID, OrderID ids.ID
	Type                string
	State               domain.DeliveryState
	// From and To are bounds of the time when they were made: From <= time < To.
	From, To time.Time
	// Below is the last delivery of the page before.
	Below ids.ID
}

// attemptsShown bounds the attempts that are shown of a delivery.
const attemptsShown = 200

// ListDeliveries gives deliveries, newest first; more tells that there are others behind.
func (a *App) ListDeliveries(ctx context.Context, f DeliveryFilter, size int) (page []domain.Delivery, more bool, err error) {
	page, err = a.Store.Deliveries(ctx, f, size+1)
	return page[:min(len(page), size)], len(page) > size, err
}

// GetDelivery gives a delivery with its attempts, newest first. It fails with NOT_FOUND.
func (a *App) GetDelivery(ctx context.Context, id ids.ID) (domain.Delivery, []domain.Attempt, error) {
	d, err := a.Store.Delivery(ctx, id)
	if err != nil {
		return d, nil, err
	}
	attempts, err := a.Store.Attempts(ctx, id, attemptsShown)
	return d, attempts, err
}

// ResendDelivery sends a delivery at once and begins its ladder anew. It fails with NOT_FOUND, ENDPOINT_DISABLED, CONCURRENT_CHANGE
// while it is being sent, and as idempotency.Do does.
func (a *App) ResendDelivery(ctx context.Context, r Request, id ids.ID) (domain.Delivery, error) {
	fp, err := idempotency.FingerprintOf(id)
	if err != nil {
		return domain.Delivery{}, errs.Internal.Wrap(err, "digest the request")
	}
	key := r.key("ResendDelivery")
	_, err = idempotency.Do(ctx, a.Store.Requests(), key, fp, func() (reference, error) {
		before, err := a.Store.Delivery(ctx, id)
		if err != nil {
			return reference{}, err
		}
		if err := a.enabled(ctx, before.EndpointID); err != nil {
			return reference{}, err
		}
		after, err := before.Resend(a.now())
		if err != nil {
			return reference{}, err
		}
		return reference{id}, a.Store.Do(ctx, func(tx Tx) error {
			tx.Remember(key, fp, reference{id})
			tx.MoveDelivery(after)
			return nil
		})
	})
	if err != nil {
		return domain.Delivery{}, err
	}
	d, err := a.Store.Delivery(ctx, id)
	if err == nil {
		a.wakeFor(d.Lane)
	}
	return d, err
}

// wakeFor has lanes tried at once in this process. Another process that found one dead puts its deliveries off a while longer.
func (a *App) wakeFor(lanes ...ids.ID) {
	for _, lane := range lanes {
		a.sender.retry(lane)
	}
	a.Store.Nudge()
}

// enabled refuses an endpoint to which nothing is sent.
func (a *App) enabled(ctx context.Context, endpointID ids.ID) error {
	e, _, err := a.Store.Endpoint(ctx, endpointID)
	if err == nil && e.State != domain.EndpointEnabled {
		err = errs.EndpointDisabled.New("the endpoint is disabled; enable it first")
	}
	return err
}

// ResendRange says which deliveries are sent again: those of an endpoint that were made in a time and ended.
type ResendRange struct {
	EndpointID ids.ID
	From, To   time.Time
	// Delivered takes those, too, that were acknowledged.
	Delivered bool
	// Above is the last delivery of the call before.
	Above ids.ID
}

// Resent is what became of a range.
type Resent struct {
	Count int `json:"count"`
	// More tells that the bound was reached, Last is the last delivery then.
	More bool   `json:"more"`
	Last ids.ID `json:"last"`
}

// resendMax bounds what one call sends again.
const resendMax = 500

// ResendDeliveries sends a range again, oldest first, at most resendMax. It fails with NOT_FOUND, ENDPOINT_DISABLED, and as
// idempotency.Do does.
func (a *App) ResendDeliveries(ctx context.Context, r Request, f ResendRange) (Resent, error) {
	if !f.From.Before(f.To) {
		return Resent{}, errs.InvalidArgument.New("from_time must lie before to_time").With("field", "from_time")
	}
	fp, err := idempotency.FingerprintOf(f)
	if err != nil {
		return Resent{}, errs.Internal.Wrap(err, "digest the request")
	}
	key := r.key("ResendDeliveries")
	var lanes []ids.ID
	resent, err := idempotency.Do(ctx, a.Store.Requests(), key, fp, func() (Resent, error) {
		if err := a.enabled(ctx, f.EndpointID); err != nil {
			return Resent{}, err
		}
		var answer Resent
		err := a.Store.Do(ctx, func(tx Tx) error {
			found, err := tx.Resendable(ctx, f, resendMax+1)
			if err != nil {
				return err
			}
			answer, lanes = Resent{Count: min(len(found), resendMax), More: len(found) > resendMax}, nil
			if answer.More {
				answer.Last = found[resendMax-1].ID
			}
			for _, d := range found[:answer.Count] {
				after, err := d.Resend(a.now())
				if err != nil {
					return err
				}
				tx.MoveDelivery(after)
				lanes = append(lanes, after.Lane)
			}
			tx.Remember(key, fp, answer)
			return nil
		})
		return answer, err
	})
	if err == nil {
		a.wakeFor(append(lanes, f.EndpointID)...)
	}
	return resent, err
}
