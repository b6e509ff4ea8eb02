package app

import (
	"context"
	"sync"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// catalogue keeps products in memory. A version never changes, so it is kept for
// ever; the list of current versions is read again when it is older than refresh.
type catalogue struct {
	store   Store
	refresh time.Duration

	// reading lets one caller at a time read the list; the others use the old one.
	reading sync.Mutex
	mu      sync.RWMutex
	byKey   map[productKey]domain.Product
	current []domain.Product
	readAt  time.Time
}

type productKey struct {
	code    string
	version int
}

func newCatalogue(store Store, refresh time.Duration) *catalogue {
	return &catalogue{store: store, refresh: refresh, byKey: map[productKey]domain.Product{}}
}

// version is one version of a product, read through r when it is not known yet, or
// errs.ProductNotEligible when there is none.
func (c *catalogue) version(ctx context.Context, r ProductReader, code string, version int) (domain.Product, error) {
	c.mu.RLock()
	p, ok := c.byKey[productKey{code, version}]
	c.mu.RUnlock()
	if ok {
		return p, nil
	}
	p, ok, err := r.Product(ctx, code, version)
	if err != nil {
		return domain.Product{}, err
	}
	if !ok {
		return domain.Product{}, errs.ProductNotEligible.New("there is no product %q in version %d", code, version)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byKey[productKey{code, version}] = p
	return p, nil
}

// offered is the current version of each product, by code. The list is shared: it must not be changed.
func (c *catalogue) offered(ctx context.Context, now time.Time) ([]domain.Product, error) {
	list, age, ok := c.cached(now)
	if ok && age >= 0 && age < c.refresh {
		return list, nil
	}
	if !ok {
		c.reading.Lock()
	} else if !c.reading.TryLock() {
		return list, nil
	}
	defer c.reading.Unlock()
	if fresh, age, ok := c.cached(now); ok && age >= 0 && age < c.refresh {
		return fresh, nil // Somebody read it while we waited.
	}
	fresh, err := c.store.CurrentProducts(ctx, now)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.readAt = fresh, now
	for _, p := range fresh {
		c.byKey[productKey{p.Code, p.Version}] = p
	}
	return fresh, nil
}

// cached is the list in memory and its age; false when none was read yet.
func (c *catalogue) cached(now time.Time) (list []domain.Product, age time.Duration, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.current, now.Sub(c.readAt), !c.readAt.IsZero()
}
