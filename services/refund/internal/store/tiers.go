package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

// States 4, 5 and 8 are those of refunds that were given up.
const selectOperated = `SELECT COALESCE(SUM(amount_minor), 0) FROM refunds WHERE order_id = ? AND out_refund_no IS NULL AND state NOT IN (4, 5, 8)`

// Operated implements app.Store.
func (s *Store) Operated(ctx context.Context, b domain.Budget) (money.Amount, error) {
	sum, err := readOperated(ctx, s.kit.DB.QueryContext, b)
	return sum, mysqlx.Fault(err, "read what operators refunded")
}

// Operated implements app.Tx.
func (t *Tx) Operated(ctx context.Context, b domain.Budget) (money.Amount, error) {
	return readOperated(ctx, t.Tx.Query, b)
}

func readOperated(ctx context.Context, query queryFunc, b domain.Budget) (sum money.Amount, err error) {
	rows, err := query(ctx, selectOperated, b.OrderID)
	if err != nil {
		return sum, err
	}
	defer func() { _ = rows.Close() }()
	var minor int64
	for rows.Next() {
		if err := rows.Scan(&minor); err != nil {
			return sum, err
		}
	}
	return money.New(minor, b.Price.Currency()), rows.Err()
}

// TierChanges implements app.Store.
func (s *Store) TierChanges(ctx context.Context, limit int) (out []app.TierChange, err error) {
	rows, err := s.kit.DB.QueryContext(ctx, `SELECT id, currency_code, tiers, actor, reason, create_time FROM approval_tier_changes ORDER BY id DESC LIMIT ?`, limit)
	if err != nil {
		return nil, mysqlx.Fault(err, "read changes of the tiers")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var c app.TierChange
		var code string
		var tiers []byte
		if err := rows.Scan(&c.ID, &code, &tiers, &c.Actor, &c.Reason, &c.Time); err != nil {
			return nil, mysqlx.Fault(err, "read changes of the tiers")
		}
		if c.Currency, err = money.CurrencyOf(code); err != nil {
			return nil, errs.Internal.Wrap(err, "a change of the tiers has a currency that is not known")
		}
		if err := json.Unmarshal(tiers, &c.Tiers); err != nil {
			return nil, errs.Internal.Wrap(err, "read stored tiers")
		}
		out = append(out, c)
	}
	return out, mysqlx.Fault(rows.Err(), "read changes of the tiers")
}

// Tiers implements app.Store.
func (s *Store) Tiers(ctx context.Context, c money.Currency, at time.Time) ([]approval.Tier, error) {
	rule, err := desk.InForce(ctx, s.kit.DB.QueryContext, domain.VerbRefund, c, at)
	return rule.Tiers, mysqlx.Fault(err, "read the tiers of approval")
}

// Sum implements app.Store.
func (s *Store) Sum(ctx context.Context, keys []approval.SumKey, c money.Currency) (money.Amount, error) {
	sum, err := desk.Sum(ctx, s.kit.DB.QueryContext, keys, c)
	return sum, mysqlx.Fault(err, "read what was asked for")
}

// Gate implements app.Tx.
func (t *Tx) Gate(ctx context.Context, a approval.Ask) (approval.Request, error) {
	return desk.Gate(ctx, t.Work, a)
}

// Count implements app.Tx.
func (t *Tx) Count(ctx context.Context, keys []approval.SumKey, amount money.Amount) (money.Amount, error) {
	return desk.Count(ctx, t.Tx, keys, amount)
}

// Uncount implements app.Tx.
func (t *Tx) Uncount(keys []approval.SumKey, amount money.Amount) { desk.Uncount(t.Tx, keys, amount) }
