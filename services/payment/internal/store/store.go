// Package store owns the payment service's rows: its migrations, its statements, and the way between rows and domain.
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

	"google.golang.org/protobuf/proto"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/unit"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations of the payment schema.
func Migrations() (mysqlx.MigrationSet, error) {
	root, err := fs.Sub(files, "migrations")
	if err != nil {
		return mysqlx.MigrationSet{}, err
	}
	approvals, err := desk.Migrations()
	return mysqlx.MigrationSet{Name: "payment", FS: root, Needs: []mysqlx.MigrationSet{approvals}}, err
}

// Encode turns a domain event into what leaves the service.
type Encode func(event any) (topic, key, objectID string, objectVersion int64, payload proto.Message, err error)

// Store reads and writes the payment schema.
type Store struct {
	kit    *unit.Kit
	encode Encode
}

// New makes a store.
func New(kit *unit.Kit, encode Encode) *Store { return &Store{kit: kit, encode: encode} }

// Do runs fn as one transaction.
func (s *Store) Do(ctx context.Context, fn func(tx app.Tx) error) error {
	err := s.kit.Do(ctx, func(w *unit.Work) error { return fn(&Tx{Work: w, encode: s.encode}) })
	if key, duplicate := mysqlx.Duplicate(err); duplicate {
		switch key {
		case "uq_active_checkout":
			return app.ErrCheckoutTaken
		case "uq_leg_subject":
			return app.ErrSubjectKnown
		}
	}
	return err
}

// RecoverColumn is the timer of commits.
func RecoverColumn() jobs.Column {
	return jobs.Column{Kind: app.JobRecoverCommit, Table: "commits", Key: "id", Due: "recover_time", Prefix: ids.Commit}
}

// Join runs fn inside the inbox's transaction.
func (s *Store) Join(tx *mysqlx.Tx, fn func(tx app.Tx) error) error {
	return s.kit.Join(tx, func(w *unit.Work) error { return fn(&Tx{Work: w, encode: s.encode}) })
}

// Requests finds the records of requests.
func (s *Store) Requests() idempotency.Reader { return s.kit.DB }

const quoteColumns = `q.checkout_id, q.quote_id, q.user_id, q.terms, q.plan, q.expire_time`

// Quote of a checkout; nil when none was locked.
func (s *Store) Quote(ctx context.Context, checkoutID ids.ID) (*domain.Quote, error) {
	var q domain.Quote
	err := scanQuote(s.kit.DB.QueryRowContext(ctx, `SELECT `+quoteColumns+` FROM quotes q WHERE q.checkout_id = ?`, checkoutID), &q)
	if mysqlx.NoRows(err) {
		return nil, nil
	}
	return &q, mysqlx.Fault(err, "read the quote")
}

// QuoteAndPin reads both in one round trip.
func (s *Store) QuoteAndPin(ctx context.Context, checkoutID ids.ID, userID string) (*domain.Quote, *domain.Pin, error) {
	const query = `SELECT ` + quoteColumns + ` FROM quotes q WHERE q.checkout_id = ?;
		SELECT ` + pinColumns + ` FROM pins WHERE user_id = ?`
	rows, err := s.kit.DB.QueryContext(ctx, query, checkoutID, userID)
	if err != nil {
		return nil, nil, mysqlx.Fault(err, "read quote and PIN")
	}
	defer func() { _ = rows.Close() }()
	var quote *domain.Quote
	var pin *domain.Pin
	if rows.Next() {
		quote = new(domain.Quote)
		if err := scanQuote(rows, quote); err != nil {
			return nil, nil, mysqlx.Fault(err, "read the quote")
		}
	}
	if !rows.NextResultSet() {
		// A server that ends between the two results is away, which passes; two statements with one result are our fault.
		if err := rows.Err(); err != nil {
			return nil, nil, mysqlx.Fault(err, "read the PIN")
		}
		return nil, nil, errs.Internal.New("the PIN was not read")
	}
	if rows.Next() {
		pin = &domain.Pin{UserID: userID}
		if err := scanPin(rows, pin); err != nil {
			return nil, nil, mysqlx.Fault(err, "read the PIN")
		}
	}
	return quote, pin, mysqlx.Fault(rows.Err(), "read quote and PIN")
}

func scanQuote(row mysqlx.Row, q *domain.Quote) error {
	var terms []byte
	if err := row.Scan(&q.CheckoutID, &q.ID, &q.UserID, &terms, &q.Plan, &q.ExpireTime); err != nil {
		return err
	}
	return readTerms(terms, &q.Terms)
}

const pinColumns = `salt, mac, failed_count, locked_until, lock_count, version`

func scanPin(row mysqlx.Row, p *domain.Pin) error {
	var locked sql.NullTime
	err := row.Scan(&p.Salt, &p.MAC, &p.FailedCount, &locked, &p.LockCount, &p.Version)
	p.LockedUntil = locked.Time
	return err
}

func readTerms(blob []byte, t *domain.Terms) error {
	if err := json.Unmarshal(blob, t); err != nil {
		return errs.Internal.Wrap(err, "the stored terms cannot be read")
	}
	return t.Check()
}

// Pin of a user; nil when none is set.
func (s *Store) Pin(ctx context.Context, userID string) (*domain.Pin, error) {
	p := domain.Pin{UserID: userID}
	err := scanPin(s.kit.DB.QueryRowContext(ctx, `SELECT `+pinColumns+` FROM pins WHERE user_id = ?`, userID), &p)
	if mysqlx.NoRows(err) {
		return nil, nil
	}
	return &p, mysqlx.Fault(err, "read the PIN")
}

const commitColumns = `c.id, c.checkout_id, c.user_id, c.caller, c.request_id, c.fingerprint, c.terms, c.state, c.failure_reason, c.failure_message, c.version, c.create_time, c.finish_time, c.event_id,
	c.recover_time`

func scanCommit(row mysqlx.Row) (domain.Commit, error) {
	var c domain.Commit
	var terms, fingerprint []byte
	var request sql.NullString
	var finish, recoverTime sql.NullTime
	var event ids.NullID
	if err := row.Scan(&c.ID, &c.CheckoutID, &c.UserID, &c.Caller, &request, &fingerprint, &terms, &c.State, &c.FailureReason, &c.FailureMessage,
		&c.Version, &c.CreateTime, &finish, &event, &recoverTime); err != nil {
		return c, err
	}
	c.RequestID, c.FinishTime, c.EventID, c.RecoverTime = request.String, finish.Time, event.ID, recoverTime.Time
	copy(c.Fingerprint[:], fingerprint)
	return c, readTerms(terms, &c.Terms)
}

// Commit by id. Errors: NOT_FOUND.
func (s *Store) Commit(ctx context.Context, id ids.ID) (domain.Commit, error) {
	c, err := scanCommit(s.kit.DB.QueryRowContext(ctx, `SELECT `+commitColumns+` FROM commits c WHERE c.id = ?`, id))
	if mysqlx.NoRows(err) {
		return c, errs.NotFound.New("no such commit")
	}
	return c, mysqlx.Fault(err, "read the commit")
}

// CommitOfRequest is the commit that a request made; nil when there is none.
func (s *Store) CommitOfRequest(ctx context.Context, caller, requestID string) (*domain.Commit, error) {
	c, err := scanCommit(s.kit.DB.QueryRowContext(ctx, `SELECT `+commitColumns+` FROM commits c WHERE c.caller = ? AND c.request_id = ?`, caller, requestID))
	if mysqlx.NoRows(err) {
		return nil, nil
	}
	return &c, mysqlx.Fault(err, "read the commit of the request")
}

// LastCommit of a checkout by its payer; nil when there was none.
func (s *Store) LastCommit(ctx context.Context, checkoutID ids.ID, userID string) (*domain.Commit, error) {
	c, err := scanCommit(s.kit.DB.QueryRowContext(ctx, `SELECT `+commitColumns+` FROM commits c WHERE c.checkout_id = ? AND c.user_id = ?
		ORDER BY c.id DESC LIMIT 1`, checkoutID, userID))
	if mysqlx.NoRows(err) {
		return nil, nil
	}
	return &c, mysqlx.Fault(err, "read the last commit")
}

// commitsMax bounds what is read of the attempts to pay a checkout.
const commitsMax = 200

// CommitsOfOrders gives the commits of the checkouts that these orders' payments belong to, oldest first.
func (s *Store) CommitsOfOrders(ctx context.Context, orderIDs []ids.ID) ([]domain.Commit, error) {
	query := `SELECT ` + commitColumns + ` FROM commits c WHERE c.checkout_id IN
		(SELECT p.checkout_id FROM payments p WHERE p.order_id IN ` + mysqlx.In(len(orderIDs)) + `) ORDER BY c.id LIMIT ?`
	rows, err := s.kit.DB.QueryContext(ctx, query, append(args(orderIDs), commitsMax)...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read commits")
	}
	defer func() { _ = rows.Close() }()
	var out []domain.Commit
	for rows.Next() {
		c, err := scanCommit(rows)
		if err != nil {
			return nil, mysqlx.Fault(err, "read commits")
		}
		out = append(out, c)
	}
	return out, mysqlx.Fault(rows.Err(), "read commits")
}

func args(list []ids.ID) []any {
	out := make([]any, len(list), len(list)+1)
	for i, id := range list {
		out[i] = id
	}
	return out
}

// Payment by id; nil when it was never paid.
func (s *Store) Payment(ctx context.Context, id ids.ID) (*domain.Payment, error) {
	ps, err := s.payments(ctx, s.kit.DB.QueryContext, `p.id = ?`, id)
	if err != nil || len(ps) == 0 {
		return nil, err
	}
	return &ps[0], nil
}

// PaymentsOfCommit in order of their ids.
func (s *Store) PaymentsOfCommit(ctx context.Context, commitID ids.ID) ([]domain.Payment, error) {
	return s.payments(ctx, s.kit.DB.QueryContext, `p.commit_id = ?`, commitID)
}

// PaymentsOfOrders in order of their ids.
func (s *Store) PaymentsOfOrders(ctx context.Context, orderIDs []ids.ID) ([]domain.Payment, error) {
	return s.payments(ctx, s.kit.DB.QueryContext, `p.order_id IN `+mysqlx.In(len(orderIDs)), args(orderIDs)...)
}

// PaymentsOfOrdersIn reads them inside a transaction that will change them.
func (s *Store) PaymentsOfOrdersIn(ctx context.Context, tx *mysqlx.Tx, orderIDs []ids.ID) ([]domain.Payment, error) {
	return s.payments(ctx, tx.Query, `p.order_id IN `+mysqlx.In(len(orderIDs)), args(orderIDs)...)
}

type queryFunc func(ctx context.Context, query string, args ...any) (*sql.Rows, error)

// payments reads payments with their legs in one round trip: one row a leg.
func (s *Store) payments(ctx context.Context, query queryFunc, where string, args ...any) ([]domain.Payment, error) {
	text := `SELECT p.id, p.order_id, p.checkout_id, p.commit_id, p.user_id, p.merchant_id, p.amount_minor, p.currency_code, p.state, p.version,
		p.pay_time, p.reverse_time, l.kind, l.channel, l.amount_minor, l.refunded_minor, l.state, l.reference
		FROM payments p JOIN payment_legs l ON l.payment_id = p.id WHERE ` + where + ` ORDER BY p.id, l.leg_no LIMIT 1000`
	rows, err := query(ctx, text, args...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read payments")
	}
	defer func() { _ = rows.Close() }()
	var out []domain.Payment
	for rows.Next() {
		var p domain.Payment
		var l domain.Leg
		var minor, legMinor, refunded int64
		var code string
		var reversed sql.NullTime
		if err := rows.Scan(&p.ID, &p.OrderID, &p.CheckoutID, &p.CommitID, &p.UserID, &p.MerchantID, &minor, &code, &p.State, &p.Version,
			&p.PayTime, &reversed, &l.Kind, &l.Channel, &legMinor, &refunded, &l.State, &l.Reference); err != nil {
			return nil, mysqlx.Fault(err, "read payments")
		}
		cur, err := money.CurrencyOf(code)
		if err != nil {
			return nil, errs.Internal.Wrap(err, "a stored payment has an unknown currency")
		}
		l.Amount, l.Refunded = money.New(legMinor, cur), money.New(refunded, cur)
		if n := len(out); n == 0 || out[n-1].ID != p.ID {
			p.Amount, p.ReverseTime = money.New(minor, cur), reversed.Time
			out = append(out, p)
		}
		last := &out[len(out)-1]
		last.Legs = append(last.Legs, l)
	}
	return out, mysqlx.Fault(rows.Err(), "read payments")
}

func nullTime(t time.Time) sql.NullTime { return sql.NullTime{Time: t, Valid: !t.IsZero()} }
