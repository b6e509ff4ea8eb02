// Package store owns the rows of the refund service: its migrations, its statements and the way between rows and the domain.
//
// It must not decide anything: rules are the domain's, and the order of writes is the verbs'.
package store

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/unit"

	"github.com/creditpay/creditpay/services/refund/internal/app"
	"github.com/creditpay/creditpay/services/refund/internal/domain"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations is the schema of the refund service.
func Migrations() (mysqlx.MigrationSet, error) {
	root, err := fs.Sub(files, "migrations")
	if err != nil {
		return mysqlx.MigrationSet{}, fmt.Errorf("find the migrations: %w", err)
	}
	approvals, err := desk.Migrations()
	return mysqlx.MigrationSet{Name: "refund", FS: root, Needs: []mysqlx.MigrationSet{approvals}}, err
}

// Encode turns a domain event into its message and says where it goes: topic and key, and the typed id of what changed with its
// version after the change.
type Encode func(domain.Event) (topic, key, objectID string, version int64, payload proto.Message)

// Store implements app.Store on MySQL.
type Store struct {
	kit    *unit.Kit
	encode Encode
}

// New makes a store.
func New(kit *unit.Kit, encode Encode) *Store { return &Store{kit: kit, encode: encode} }

var _ app.Store = (*Store)(nil)

// Requests reads the records of requests.
func (s *Store) Requests() idempotency.Reader { return s.kit.DB }

// Do implements app.Store.
func (s *Store) Do(ctx context.Context, fn func(tx app.Tx) error) error {
	err := s.kit.Do(ctx, func(w *unit.Work) error { return fn(&Tx{Work: w, encode: s.encode}) })
	if key, duplicate := mysqlx.Duplicate(err); duplicate {
		if key == "refund_number" {
			return app.ErrNumberTaken
		}
		return err
	}
	return mysqlx.Fault(err, "write refunds")
}

// Join runs fn inside a transaction that is open already, the inbox's.
func (s *Store) Join(tx *mysqlx.Tx, fn func(tx app.Tx) error) error {
	return s.kit.Join(tx, func(w *unit.Work) error { return fn(&Tx{Work: w, encode: s.encode}) })
}

// Tx implements app.Tx.
type Tx struct {
	*unit.Work
	encode Encode
}

var _ app.Tx = (*Tx)(nil)

// Emit implements app.Tx.
func (t *Tx) Emit(e domain.Event) {
	topic, key, objectID, version, payload := t.encode(e)
	if payload == nil {
		t.Fail(errs.Internal.New("an event of type %T cannot be told", e))
		return
	}
	t.Tell(topic, key, objectID, version, payload)
}

// changed is how a compare-and-set loses.
func changed() error {
	return errs.ConcurrentChange.New("the refund changed at the same time; read it again, then repeat")
}

func nullTime(t time.Time) sql.NullTime { return sql.NullTime{Time: t, Valid: !t.IsZero()} }

func nullText(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// queryFunc reads, inside a transaction or outside.
type queryFunc func(ctx context.Context, query string, args ...any) (*sql.Rows, error)

const (
	selectBudget  = `SELECT currency_code, price_minor, down_payment_minor, reserved_minor, reserved_cash_minor FROM budgets WHERE order_id = ?`
	insertBudget  = `INSERT INTO budgets (order_id, currency_code, price_minor, down_payment_minor, reserved_minor, reserved_cash_minor, create_time) VALUES (?, ?, ?, ?, 0, 0, ?) ON DUPLICATE KEY UPDATE order_id = order_id`
	reserveBudget = `UPDATE budgets SET reserved_minor = ?, reserved_cash_minor = ? WHERE order_id = ? AND reserved_minor = ? AND reserved_cash_minor = ?`
)

func readBudget(ctx context.Context, query queryFunc, text string, orderID ids.ID) (b domain.Budget, found bool, err error) {
	rows, err := query(ctx, text, orderID)
	if err != nil {
		return b, false, err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return b, false, rows.Err()
	}
	var code string
	var price, down, reserved, cash int64
	if err := rows.Scan(&code, &price, &down, &reserved, &cash); err != nil {
		return b, false, err
	}
	c, err := money.CurrencyOf(code)
	if err != nil {
		return b, false, errs.Internal.Wrap(err, "a budget has a currency that is not known")
	}
	b = domain.Budget{OrderID: orderID, Price: money.New(price, c), DownPayment: money.New(down, c), Reserved: money.New(reserved, c), ReservedCash: money.New(cash, c)}
	return b, true, b.Check()
}

// Budget implements app.Store.
func (s *Store) Budget(ctx context.Context, orderID ids.ID) (domain.Budget, bool, error) {
	b, found, err := readBudget(ctx, s.kit.DB.QueryContext, selectBudget, orderID)
	return b, found, mysqlx.Fault(err, "read a budget")
}

// LockBudget implements app.Tx.
func (t *Tx) LockBudget(ctx context.Context, b domain.Budget, at time.Time) (domain.Budget, error) {
	t.Tx.Queue(insertBudget, b.OrderID, b.Price.Currency().Code(), b.Price.Minor(), b.DownPayment.Minor(), at)
	now, found, err := readBudget(ctx, t.Tx.Query, selectBudget+` FOR UPDATE`, b.OrderID)
	if err == nil && !found {
		err = errs.Internal.New("the budget of order %s vanished", ids.Format(ids.Order, b.OrderID))
	}
	return now, err
}

// PutBudget implements app.Tx.
func (t *Tx) PutBudget(from, to domain.Budget) {
	t.Tx.QueueExpect(1, changed(), reserveBudget, to.Reserved.Minor(), to.ReservedCash.Minor(), to.OrderID, from.Reserved.Minor(), from.ReservedCash.Minor())
}

func encodeEffect(e domain.Effect) ([]byte, error) {
	blob, err := json.Marshal(e)
	if err != nil {
		return nil, errs.Internal.Wrap(err, "write the effect of a refund")
	}
	return blob, nil
}
