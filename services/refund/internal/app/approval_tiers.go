package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/money"
)

// tierChangesShown is how many changes of the tiers are shown.
const tierChangesShown = 50

// RefundTiers returns the tiers of operators' refunds in a currency that are in force.
func (a *App) RefundTiers(ctx context.Context, c money.Currency) ([]approval.Tier, error) {
	return a.Store.Tiers(ctx, c, a.now())
}

// FormerTierChanges returns the changes of the tiers of before they needed two people, newest first.
func (a *App) FormerTierChanges(ctx context.Context) ([]TierChange, error) {
	return a.Store.TierChanges(ctx, tierChangesShown)
}
