// Package store owns the rows of the bill service: its migrations, its statements and
// the way between rows and the domain.
//
// It must not decide anything: rules are the domain's, and the order of writes is the
// verbs'. Statements are queued in units of work; what a write expects to find stands
// in its WHERE.
package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/unit"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the schema of the bill service.
func Migrations() (mysqlx.MigrationSet, error) {
	root, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return mysqlx.MigrationSet{}, fmt.Errorf("find the migrations: %w", err)
	}
	approvals, err := desk.Migrations()
	return mysqlx.MigrationSet{Name: "bill", FS: root, Needs: []mysqlx.MigrationSet{approvals}}, err
}

// Encoder turns an event of the domain into a message: its topic, the key of its
// partition, the typed id and version of what changed, and the payload (nil for an
// event that it does not know).
type Encoder func(e domain.Event) (topic, key, objectID string, version int64, payload proto.Message)

// Store implements app.Store on MySQL.
type Store struct {
	kit    *unit.Kit
	encode Encoder
}

// New makes a store.
func New(kit *unit.Kit, encode Encoder) *Store { return &Store{kit: kit, encode: encode} }

var _ app.Store = (*Store)(nil)

// Requests reads the records of earlier requests.
func (s *Store) Requests() idempotency.Reader { return s.kit.DB }

// Do runs a unit of work; see app.Store.
func (s *Store) Do(ctx context.Context, fn func(app.Tx) error) error {
	var tx *Tx
	err := s.kit.Do(ctx, func(w *unit.Work) error {
		tx = &Tx{Work: w, encode: s.encode}
		return fn(tx)
	})
	return explain(err, tx)
}

// Join runs a unit of work inside a transaction that is open already.
func (s *Store) Join(tx *mysqlx.Tx, fn func(app.LockingTx) error) error {
	return s.kit.Join(tx, func(w *unit.Work) error { return fn(&Tx{Work: w, encode: s.encode}) })
}

// explain gives the faults of a unit their reasons. A duplicate that it does not know stays as it is: it may be a
// request's record, which idempotency.Do looks for. Those that it knows lose their cause, or they would be taken for one.
func explain(err error, tx *Tx) error {
	key, duplicate := mysqlx.Duplicate(err)
	switch {
	case !duplicate:
		return mysqlx.Fault(err, "the change could not be written")
	case key == "account_user":
		return errs.AccountExists.New("the user has a credit account already")
	case key == "loan_live_order":
		return errs.LoanStateInvalid.New("an order of this commit has a loan already")
	case key == "challenge_live":
		return changed()
	case key == "PRIMARY" && tx.refunds:
		return changed()
	case key == "PRIMARY" && tx.reserves:
		return fmt.Errorf("%w: %w", app.ErrReservationExists, err)
	default:
		return err
	}
}

// Tx implements app.LockingTx by queueing statements.
type Tx struct {
	*unit.Work
	encode Encoder
	// reserves says that a duplicate primary key is a reservation's: all others are made of new ids.
	reserves bool
	// refunds says the same of a refund's: another order's refund came first with its id.
	refunds bool
}

var _ app.LockingTx = (*Tx)(nil)

// Emit tells the other services.
func (t *Tx) Emit(e domain.Event) {
	topic, key, objectID, version, payload := t.encode(e)
	if payload == nil {
		t.Fail(errs.Internal.New("an event of type %T cannot be told", e))
		return
	}
	t.Tell(topic, key, objectID, version, payload)
}

// changed is the refusal of a compare-and-set that did not find its row.
func changed() error {
	return errs.ConcurrentChange.New("somebody else changed this at the same time; repeat the call")
}

// nullTime is a DATETIME(6) that may be NULL: the zero time.
func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// amounts reads the currency of a row and gives the maker of its amounts.
func amounts(code string) (func(minor int64) money.Amount, error) {
	c, err := money.CurrencyOf(code)
	if err != nil {
		return nil, errs.Internal.Wrap(err, "a row has a currency that is not known")
	}
	return func(minor int64) money.Amount { return money.New(minor, c) }, nil
}
