// Package store owns the notification service's rows: its migrations, its statements, and the way between rows and domain.
//
// It must not decide anything: rules stand in domain, order of work in app.
package store

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"io/fs"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/spine"
	"github.com/creditpay/creditpay/pkg/unit"
	"github.com/creditpay/creditpay/services/notification/internal/app"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations of the notification schema.
func Migrations() (mysqlx.MigrationSet, error) {
	root, err := fs.Sub(files, "migrations")
	if err != nil {
		return mysqlx.MigrationSet{}, err
	}
	return mysqlx.MigrationSet{Name: "notification", FS: root}, nil
}

// keepEnded is how long the feed and deliveries that ended are kept.
const keepEnded = 30 * 24 * time.Hour

// Purges are what housekeeping removes. Attempts go after their deliveries, so that the attempts of one are always all there.
func Purges() []spine.Purge {
	return []spine.Purge{
		{Keep: keepEnded, Query: `DELETE FROM deliveries WHERE finish_time < ? ORDER BY finish_time LIMIT ?`},
		{Keep: keepEnded, Query: `DELETE FROM delivery_attempts WHERE start_time < ? AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = delivery_attempts.delivery_id)
			ORDER BY start_time LIMIT ?`},
		{Keep: keepEnded, Query: `DELETE FROM notices WHERE create_time < ? ORDER BY id LIMIT ?`},
		{Keep: keepEnded, Query: `DELETE FROM endpoint_secrets WHERE expire_time < ? ORDER BY expire_time LIMIT ?`},
	}
}

// Store reads and writes the notification schema.
type Store struct {
	kit  *unit.Kit
	wake chan struct{}
}

// New makes a store.
func New(kit *unit.Kit) *Store { return &Store{kit: kit, wake: make(chan struct{}, 1)} }

// Wake fires when deliveries were made in this process, and when Nudge was called.
func (s *Store) Wake() <-chan struct{} { return s.wake }

// Nudge wakes the sender.
func (s *Store) Nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Requests finds the records of requests.
func (s *Store) Requests() idempotency.Reader { return s.kit.DB }

// Do runs fn as one transaction.
func (s *Store) Do(ctx context.Context, fn func(tx app.Tx) error) error {
	return s.kit.Do(ctx, func(w *unit.Work) error { return fn(&Tx{Work: w, nudge: s.Nudge}) })
}

// Join runs fn inside the inbox's transaction.
func (s *Store) Join(tx *mysqlx.Tx, fn func(tx app.EventTx) error) error {
	return s.kit.Join(tx, func(w *unit.Work) error { return fn(&Tx{Work: w, nudge: s.Nudge}) })
}

// Feed gives notices with after < id < before that an owner hears of, oldest first.
func (s *Store) Feed(ctx context.Context, owner domain.Owner, after, before ids.ID, limit int) ([]domain.Notice, error) {
	where, args := `marketplace = ? AND id > ? AND id < ?`, []any{owner.Marketplace, after, before}
	if owner.IsMerchant() {
		where, args = `merchant_id = ? AND `+where, append([]any{owner.MerchantID}, args...)
	}
	rows, err := s.kit.DB.QueryContext(ctx, `SELECT id, event_id, type, marketplace, merchant_id, order_id, out_order_no, payload, event_time, create_time FROM notices
		WHERE `+where+` ORDER BY id LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read the feed")
	}
	defer func() { _ = rows.Close() }()
	var out []domain.Notice
	for rows.Next() {
		var n domain.Notice
		var order ids.NullID
		var payload []byte
		if err := rows.Scan(&n.ID, &n.EventID, &n.Type, &n.Marketplace, &n.MerchantID, &order, &n.OutOrderNo, &payload, &n.Time, &n.ReceiveTime); err != nil {
			return nil, mysqlx.Fault(err, "read the feed")
		}
		n.OrderID, n.Payload = order.ID, payload
		out = append(out, n)
	}
	return out, mysqlx.Fault(rows.Err(), "read the feed")
}

const endpointColumns = `id, marketplace, owner, url, event_types, profile, key_name, state, version, create_time, state_reason, state_time`

func scanEndpoint(row mysqlx.Row) (domain.Endpoint, error) {
	var e domain.Endpoint
	var types []byte
	var since sql.NullTime
	if err := row.Scan(&e.ID, &e.Owner.Marketplace, &e.Owner.MerchantID, &e.URL, &types, &e.Profile, &e.KeyName, &e.State, &e.Version, &e.CreateTime,
		&e.StateReason, &since); err != nil {
		return e, err
	}
	e.StateTime = since.Time
	if err := json.Unmarshal(types, &e.Types); err != nil {
		return e, errs.Internal.Wrap(err, "the stored types of an endpoint cannot be read")
	}
	return e, nil
}

// Endpoint by id with all its secrets. Errors: NOT_FOUND.
func (s *Store) Endpoint(ctx context.Context, id ids.ID) (domain.Endpoint, []domain.EndpointSecret, error) {
	e, err := scanEndpoint(s.kit.DB.QueryRowContext(ctx, `SELECT `+endpointColumns+` FROM endpoints WHERE id = ?`, id))
	if mysqlx.NoRows(err) {
		return e, nil, errs.NotFound.New("no such endpoint")
	}
	if err != nil {
		return e, nil, mysqlx.Fault(err, "read the endpoint")
	}
	secrets, err := s.secrets(ctx, []ids.ID{id})
	return e, secrets[id], err
}

// secretsMax bounds the secrets that are read of one endpoint: those that are good and those that housekeeping has not removed.
const secretsMax = 100

func (s *Store) secrets(ctx context.Context, endpoints []ids.ID) (map[ids.ID][]domain.EndpointSecret, error) {
	if len(endpoints) == 0 {
		return nil, nil
	}
	rows, err := s.kit.DB.QueryContext(ctx, `SELECT id, endpoint_id, sealed, create_time, expire_time FROM endpoint_secrets WHERE endpoint_id IN `+
		mysqlx.In(len(endpoints))+` ORDER BY id DESC LIMIT ?`, append(args(endpoints), secretsMax*len(endpoints))...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read the secrets of endpoints")
	}
	defer func() { _ = rows.Close() }()
	out := map[ids.ID][]domain.EndpointSecret{}
	for rows.Next() {
		var x domain.EndpointSecret
		var expire sql.NullTime
		if err := rows.Scan(&x.ID, &x.EndpointID, &x.Sealed, &x.CreateTime, &expire); err != nil {
			return nil, mysqlx.Fault(err, "read the secrets of endpoints")
		}
		x.ExpireTime = expire.Time
		out[x.EndpointID] = append(out[x.EndpointID], x)
	}
	return out, mysqlx.Fault(rows.Err(), "read the secrets of endpoints")
}

// Endpoints gives endpoints, newest first, with their secrets.
func (s *Store) Endpoints(ctx context.Context, f app.EndpointFilter, limit int) ([]app.RegisteredEndpoint, error) {
	where, values := `1 = 1`, []any{}
	if f.MerchantID != "" {
		where, values = where+` AND owner = ?`, append(values, f.MerchantID)
	}
	if f.Marketplace != nil {
		where, values = where+` AND marketplace = ?`, append(values, *f.Marketplace)
	}
	if !f.Below.IsZero() {
		where, values = where+` AND id < ?`, append(values, f.Below)
	}
	rows, err := s.kit.DB.QueryContext(ctx, `SELECT `+endpointColumns+` FROM endpoints WHERE `+where+` ORDER BY id DESC LIMIT ?`, append(values, limit)...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read endpoints")
	}
	found, err := readEndpoints(rows)
	if err != nil {
		return nil, err
	}
	var list []ids.ID
	for _, e := range found {
		list = append(list, e.ID)
	}
	secrets, err := s.secrets(ctx, list)
	out := make([]app.RegisteredEndpoint, len(found))
	for i, e := range found {
		out[i] = app.RegisteredEndpoint{Endpoint: e, Secrets: secrets[e.ID]}
	}
	return out, err
}

func readEndpoints(rows *sql.Rows) (out []domain.Endpoint, err error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		e, err := scanEndpoint(rows)
		if err != nil {
			return nil, mysqlx.Fault(err, "read endpoints")
		}
		out = append(out, e)
	}
	return out, mysqlx.Fault(rows.Err(), "read endpoints")
}

func args(list []ids.ID) []any {
	out := make([]any, len(list), len(list)+1)
	for i, id := range list {
		out[i] = id
	}
	return out
}

func nullTime(t time.Time) sql.NullTime { return sql.NullTime{Time: t, Valid: !t.IsZero()} }
