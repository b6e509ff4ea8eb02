package app

import (
	"context"
	"slices"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// ListProducts gives the current versions of the products whose code is after the given
// one, at most limit, by code, and whether there are more.
func (a *App) ListProducts(ctx context.Context, after string, limit int) (page []domain.Product, more bool, err error) {
	all, err := a.products.offered(ctx, a.now())
	if err != nil {
		return nil, false, err
	}
	from := slices.IndexFunc(all, func(p domain.Product) bool { return p.Code > after })
	if from < 0 {
		return nil, false, nil
	}
	to := min(from+limit, len(all))
	return slices.Clone(all[from:to]), to < len(all), nil
}
