package app

import (
	"context"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/mysqlx"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// CreateProductVersion adds the next version of a product; loans keep the version that they were made with. Errors:
// errs.InvalidArgument with everything that is wrong, errs.ConcurrentChange when another version came at the same time.
func (a *App) CreateProductVersion(ctx context.Context, actor, requestID string, p domain.Product) (domain.Product, error) {
	key := idempotency.Key{Verb: "CreateProductVersion", Caller: actor, RequestID: requestID}
	p.Version = 0
	type content domain.Product // without the stored form, which only a complete product has
	fp, err := idempotency.FingerprintOf(content(p))
	if err != nil {
		return domain.Product{}, err
	}
	return idempotency.Do(ctx, a.requests, key, fp, func() (domain.Product, error) {
		last, err := a.store.LastVersion(ctx, p.Code)
		if err != nil {
			return domain.Product{}, err
		}
		next := p
		next.Version = last + 1
		if next.EffectiveFrom.IsZero() {
			next.EffectiveFrom = a.now()
		}
		if err := next.Validate(); err != nil {
			return domain.Product{}, err
		}
		err = a.store.Do(ctx, func(tx Tx) error {
			tx.Remember(key, fp, next)
			tx.InsertProduct(next, a.now())
			return nil
		})
		if _, duplicate := mysqlx.Duplicate(err); duplicate {
			return domain.Product{}, errs.ConcurrentChange.Wrap(err, "another version was added at the same time; repeat the call")
		}
		return next, err
	})
}
