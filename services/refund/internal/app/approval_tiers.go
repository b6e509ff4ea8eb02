package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/idempotency"

	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// tierChangesShown is how many changes of the tiers are shown.
const tierChangesShown = 50

// ListApprovalTiers gives the tiers and their last changes.
func (a *App) ListApprovalTiers(ctx context.Context) ([]domain.Tier, []TierChange, error) {
	tiers, err := a.Store.Tiers(ctx)
	if err != nil {
		return nil, nil, err
	}
	changes, err := a.Store.TierChanges(ctx, tierChangesShown)
	return tiers, changes, err
}

// SetApprovalTiers replaces the tiers of a currency. Refunds that were asked for before keep what they need. Errors:
// errs.InvalidArgument, errs.RequestIDReused.
func (a *App) SetApprovalTiers(ctx context.Context, requestID string, c TierChange) ([]domain.Tier, error) {
	key := idempotency.Key{Verb: "SetApprovalTiers", Caller: c.Actor, RequestID: requestID}
	fp, err := idempotency.FingerprintOf(c)
	if err != nil {
		return nil, err
	}
	_, err = idempotency.Do(ctx, a.Store.Requests(), key, fp, func() (struct{}, error) {
		if err := domain.CheckTiers(c.Currency, c.Tiers); err != nil {
			return struct{}{}, err
		}
		c.ID, c.Time = a.IDs.New(), a.now()
		return struct{}{}, a.Store.Do(ctx, func(tx Tx) error {
			tx.Remember(key, fp, struct{}{})
			tx.PutTiers(c)
			return nil
		})
	})
	return c.Tiers, err
}
