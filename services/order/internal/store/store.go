// Package store owns the rows of checkouts and orders: the schema, the reads, and the writes of a unit of work.
//
// It implements the interfaces of package app. It must not decide anything: rules are in package domain.
package store

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/unit"
	"github.com/creditpay/creditpay/services/order/internal/app"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations is the schema of this service, after the mechanism's.
func Migrations() (mysqlx.MigrationSet, error) {
	root, err := fs.Sub(files, "migrations")
	if err != nil {
		return mysqlx.MigrationSet{}, err
	}
	return mysqlx.MigrationSet{Name: "order", FS: root}, nil
}

// numberKey is the unique key of the marketplace's order numbers.
const numberKey = "uq_merchant_order"

// Encode turns a domain event into its message and says where it goes: topic and key, and the typed id of what changed with its
// version after the change.
type Encode func(domain.Event) (topic, key, objectID string, version int64, payload proto.Message)

// Store reads rows and makes units of work.
type Store struct {
	kit    *unit.Kit
	encode Encode
}

// New makes a store.
func New(kit *unit.Kit, encode Encode) *Store { return &Store{kit: kit, encode: encode} }

// Tx is one unit of work.
type Tx struct {
	*unit.Work
	encode Encode
}

// Requests reads the records of requests.
func (s *Store) Requests() idempotency.Reader { return s.kit.DB }

// Do runs fn as one unit of work. An order number that exists answers app.ErrNumberTaken; another duplicate stays a driver's error
// for package idempotency.
func (s *Store) Do(ctx context.Context, fn func(tx app.Tx) error) error {
	err := s.kit.Do(ctx, func(w *unit.Work) error { return fn(&Tx{Work: w, encode: s.encode}) })
	if key, duplicate := mysqlx.Duplicate(err); duplicate {
		if key == numberKey {
			return app.ErrNumberTaken
		}
		return err
	}
	return mysqlx.Fault(err, "write orders")
}

// Join runs fn inside a transaction that is open already, the inbox's.
func (s *Store) Join(tx *mysqlx.Tx, fn func(tx app.EventTx) error) error {
	return s.kit.Join(tx, func(w *unit.Work) error { return fn(&Tx{Work: w, encode: s.encode}) })
}

// ExpiryColumn is the timer of checkouts.
func ExpiryColumn() jobs.Column {
	return jobs.Column{Kind: app.JobCheckoutExpiry, Table: "checkouts", Key: "id", Due: "timer_time", Prefix: ids.Checkout}
}

// AutoConfirmColumn is the timer of orders.
func AutoConfirmColumn() jobs.Column {
	return jobs.Column{Kind: app.JobAutoConfirm, Table: "orders", Key: "id", Due: "auto_confirm_time", Prefix: ids.Order}
}

// Emit puts an event into the outbox.
func (tx *Tx) Emit(e domain.Event) {
	topic, key, objectID, version, payload := tx.encode(e)
	tx.Tell(topic, key, objectID, version, payload)
}

// Flush sends what is queued.
func (tx *Tx) Flush(ctx context.Context) error { return tx.Tx.Flush(ctx) }

// changed is how a compare-and-set loses.
func changed() error {
	return errs.ConcurrentChange.New("the object changed at the same time; read it again, then repeat")
}

// nullTime is t for a column that may be NULL; the zero time becomes NULL.
func nullTime(t time.Time) sql.NullTime { return sql.NullTime{Time: t, Valid: !t.IsZero()} }
