package app

import (
	"context"
	"slices"

	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// ApplyNotices puts events into the feed and makes a delivery for each endpoint that wants one, in the inbox's transaction. Ids are
// given here, so the feed and the order of deliveries are those of receipt.
func (a *App) ApplyNotices(ctx context.Context, tx EventTx, notices []domain.Notice) error {
	var owners []domain.Owner
	for _, n := range notices {
		for _, owner := range n.Owners() {
			if !slices.Contains(owners, owner) {
				owners = append(owners, owner)
			}
		}
	}
	if len(owners) == 0 {
		return nil
	}
	endpoints, err := tx.EndpointsOf(ctx, owners)
	if err != nil {
		return err
	}
	now := a.now()
	for _, n := range notices {
		n.ID, n.ReceiveTime = a.IDs.New(), now
		tx.InsertNotice(n)
		for _, e := range endpoints {
			if !e.Wants(n) {
				continue
			}
			d, err := domain.New(a.IDs.New(), n, e, now)
			if err != nil {
				return err
			}
			tx.InsertDelivery(d)
		}
	}
	return nil
}
