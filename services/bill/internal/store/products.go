package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/mysqlx"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// maxProducts bounds the products of an installation.
const maxProducts = 200

const selectProduct = `SELECT definition FROM products WHERE code = ? AND version = ?`

// Product finds one version of a product.
func (s *Store) Product(ctx context.Context, code string, version int) (domain.Product, bool, error) {
	return scanProduct(s.kit.DB.QueryRowContext(ctx, selectProduct, code, version))
}

// Product finds one version of a product inside the transaction.
func (t *Tx) Product(ctx context.Context, code string, version int) (domain.Product, bool, error) {
	return scanProduct(t.Tx.QueryRow(ctx, selectProduct, code, version))
}

func scanProduct(row mysqlx.Row) (domain.Product, bool, error) {
	var definition []byte
	err := row.Scan(&definition)
	if mysqlx.NoRows(err) {
		return domain.Product{}, false, nil
	}
	if err != nil {
		return domain.Product{}, false, mysqlx.Fault(err, "read a product")
	}
	var p domain.Product
	if err := json.Unmarshal(definition, &p); err != nil {
		return domain.Product{}, false, errs.Internal.Wrap(err, "a stored product cannot be read")
	}
	return p, true, nil
}

const selectCurrentProducts = `SELECT p.definition FROM products p
	WHERE p.version = (SELECT MAX(n.version) FROM products n WHERE n.code = p.code AND n.effective_time <= ?)
	ORDER BY p.code LIMIT ?`

// CurrentProducts gives the newest effective version of each product, by code.
func (s *Store) CurrentProducts(ctx context.Context, at time.Time) ([]domain.Product, error) {
	rows, err := s.kit.DB.QueryContext(ctx, selectCurrentProducts, at, maxProducts)
	if err != nil {
		return nil, mysqlx.Fault(err, "read the products")
	}
	defer func() { _ = rows.Close() }()
	var out []domain.Product
	for rows.Next() {
		p, _, err := scanProduct(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, mysqlx.Fault(rows.Err(), "read the products")
}

// A version that is there stays as it is.
const seedProduct = `INSERT INTO products (code, version, definition, effective_time, create_time) VALUES (?, ?, ?, ?, ?)
	ON DUPLICATE KEY UPDATE version = version`

// Seed adds the product versions that are not there yet.
func (s *Store) Seed(ctx context.Context, products []domain.Product, at time.Time) error {
	return mysqlx.Fault(s.kit.DB.InTx(ctx, func(tx *mysqlx.Tx) error {
		for _, p := range products {
			definition, err := json.Marshal(p)
			if err != nil {
				return errs.Internal.Wrap(err, "write product %s", p.Code)
			}
			tx.Queue(seedProduct, p.Code, p.Version, definition, p.EffectiveFrom, at)
		}
		return nil
	}), "seed the products")
}
