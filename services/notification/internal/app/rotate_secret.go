package app

import (
	"context"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/secret"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// RotateSecret makes a new secret, whose text is given once. The one before stays good for the overlap; an older one ends at once. It
// fails with NOT_FOUND, CONCURRENT_CHANGE, and as idempotency.Do does.
func (a *App) RotateSecret(ctx context.Context, r Request, id ids.ID, overlap time.Duration) (RegisteredEndpoint, error) {
	fp, err := idempotency.FingerprintOf(struct {
		ID      ids.ID
		Overlap time.Duration
	}{id, overlap})
	if err != nil {
		return RegisteredEndpoint{}, errs.Internal.Wrap(err, "digest the request")
	}
	key := r.key("RotateEndpointSecret")
	var shown secret.Masked
	_, err = idempotency.Do(ctx, a.Store.Requests(), key, fp, func() (reference, error) {
		now := a.now()
		e, secrets, err := a.Store.Endpoint(ctx, id)
		if err != nil {
			return reference{}, err
		}
		text, sealed, err := a.newSecret(e, now)
		if err != nil {
			return reference{}, err
		}
		e.Version++ // Of two rotations at once, one is refused.
		err = a.Store.Do(ctx, func(tx Tx) error {
			tx.Remember(key, fp, reference{id})
			tx.UpdateEndpoint(e)
			for _, old := range domain.Overlapped(secrets, now, overlap) {
				tx.ExpireSecret(old)
			}
			tx.InsertSecret(sealed)
			return nil
		})
		if err == nil {
			shown = text
		}
		return reference{id}, err
	})
	if err != nil {
		return RegisteredEndpoint{}, err
	}
	return a.registered(ctx, id, shown)
}
