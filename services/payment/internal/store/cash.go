package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/idempotency"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

// LegColumn is the timer of legs: of pending repayments, and of money on its way back.
func LegColumn() jobs.Column {
	return jobs.Column{Kind: app.JobTickCashLeg, Table: "cash_legs", Key: "id", Due: "due_time", Prefix: ids.Leg}
}

// ReturnColumn is the timer of returns.
func ReturnColumn() jobs.Column {
	return jobs.Column{Kind: app.JobTickCashReturn, Table: "cash_returns", Key: "id", Due: "due_time", Prefix: ids.Leg}
}

const legColumns = `l.id, l.kind, l.subject_id, l.user_id, l.checkout_id, l.channel, l.amount_minor, l.returned_minor, l.currency_code, l.state, l.version,
	l.create_time, l.expire_time, l.pay_time, l.update_time`

// legRow is a row of cash_legs while it is scanned.
type legRow struct {
	leg             domain.CashLeg
	checkout        ids.NullID
	minor, returned int64
	code            string
	paid            sql.NullTime
}

func (r *legRow) into() []any {
	l := &r.leg
	return []any{&l.ID, &l.Kind, &l.SubjectID, &l.UserID, &r.checkout, &l.Channel, &r.minor, &r.returned, &r.code, &l.State, &l.Version,
		&l.CreateTime, &l.ExpireTime, &r.paid, &l.UpdateTime}
}

func (r *legRow) read() (*domain.CashLeg, error) {
	cur, err := money.CurrencyOf(r.code)
	if err != nil {
		return nil, errs.Internal.Wrap(err, "a stored cash leg has an unknown currency")
	}
	r.leg.CheckoutID, r.leg.Amount, r.leg.Returned, r.leg.PayTime = r.checkout.ID, money.New(r.minor, cur), money.New(r.returned, cur), r.paid.Time
	return &r.leg, nil
}

func (s *Store) cashLeg(ctx context.Context, where string, id ids.ID) (*domain.CashLeg, error) {
	var row legRow
	err := s.kit.DB.QueryRowContext(ctx, `SELECT `+legColumns+` FROM cash_legs l WHERE `+where, id).Scan(row.into()...)
	if mysqlx.NoRows(err) {
		return nil, nil
	}
	if err != nil {
		return nil, mysqlx.Fault(err, "read the cash leg")
	}
	return row.read()
}

// CashLeg by its reference; nil when there is none.
func (s *Store) CashLeg(ctx context.Context, id ids.ID) (*domain.CashLeg, error) {
	return s.cashLeg(ctx, `l.id = ?`, id)
}

// CashLegOf a commit or repayment; nil when there is none.
func (s *Store) CashLegOf(ctx context.Context, subjectID ids.ID) (*domain.CashLeg, error) {
	return s.cashLeg(ctx, `l.subject_id = ?`, subjectID)
}

// CashOfPayments gives the down payments that paid these payments, and what of them goes back, both oldest first.
func (s *Store) CashOfPayments(ctx context.Context, paymentIDs []ids.ID) (legs []domain.CashLeg, returns []domain.CashReturn, err error) {
	rows, err := s.kit.DB.QueryContext(ctx, `SELECT `+legColumns+` FROM cash_legs l WHERE l.subject_id IN
		(SELECT p.commit_id FROM payments p WHERE p.id IN `+mysqlx.In(len(paymentIDs))+`) ORDER BY l.id LIMIT ?`, append(args(paymentIDs), portionsMax)...)
	if err != nil {
		return nil, nil, mysqlx.Fault(err, "read cash legs")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var row legRow
		if err := rows.Scan(row.into()...); err != nil {
			return nil, nil, mysqlx.Fault(err, "read cash legs")
		}
		leg, err := row.read()
		if err != nil {
			return nil, nil, err
		}
		legs = append(legs, *leg)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, mysqlx.Fault(err, "read cash legs")
	}
	returns, err = s.cashReturns(ctx, `r.payment_id IN `+mysqlx.In(len(paymentIDs)), args(paymentIDs)...)
	return legs, returns, err
}

const portionColumns = `o.order_id, o.payment_id, o.merchant_id, o.loan_id, o.amount_minor, o.down_payment_minor, o.currency_code`

// portionRow is a row of commit_orders while it is scanned.
type portionRow struct {
	portion     domain.Portion
	minor, down int64
	code        string
}

func (r *portionRow) into() []any {
	o := &r.portion.Order
	return []any{&o.OrderID, &o.PaymentID, &o.MerchantID, &r.portion.LoanID, &r.minor, &r.down, &r.code}
}

func (r *portionRow) read() (domain.Portion, error) {
	cur, err := money.CurrencyOf(r.code)
	if err != nil {
		return r.portion, errs.Internal.Wrap(err, "a stored portion has an unknown currency")
	}
	r.portion.Order.Amount, r.portion.DownPayment = money.New(r.minor, cur), money.New(r.down, cur)
	return r.portion, nil
}

// portionsMax is above the orders that a checkout may have.
const portionsMax = 1000

// Portions of a commit that asked for a down payment, in order of their payments.
func (s *Store) Portions(ctx context.Context, commitID ids.ID) ([]domain.Portion, error) {
	rows, err := s.kit.DB.QueryContext(ctx, `SELECT `+portionColumns+` FROM commit_orders o WHERE o.commit_id = ? ORDER BY o.payment_id LIMIT ?`,
		commitID, portionsMax)
	if err != nil {
		return nil, mysqlx.Fault(err, "read the orders of the commit")
	}
	defer func() { _ = rows.Close() }()
	var out []domain.Portion
	for rows.Next() {
		var row portionRow
		if err := rows.Scan(row.into()...); err != nil {
			return nil, mysqlx.Fault(err, "read the orders of the commit")
		}
		p, err := row.read()
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, mysqlx.Fault(rows.Err(), "read the orders of the commit")
}

// LastPortion is the newest attempt to pay an order, or a payment, with a down payment, and its cash leg; nil when there was none.
func (s *Store) LastPortion(ctx context.Context, by app.PortionKey) (*domain.Portion, *domain.CashLeg, error) {
	where, id := `o.order_id = ?`, by.OrderID
	if id.IsZero() {
		where, id = `o.payment_id = ?`, by.PaymentID
	}
	var portion portionRow
	var leg legRow
	err := s.kit.DB.QueryRowContext(ctx, `SELECT `+portionColumns+`, `+legColumns+` FROM commit_orders o JOIN cash_legs l ON l.subject_id = o.commit_id
		WHERE `+where+` ORDER BY o.commit_id DESC LIMIT 1`, id).Scan(append(portion.into(), leg.into()...)...)
	if mysqlx.NoRows(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, mysqlx.Fault(err, "read the down payment")
	}
	p, err := portion.read()
	if err != nil {
		return nil, nil, err
	}
	l, err := leg.read()
	return &p, l, err
}

// NoticeRecord is the notification of a request as the record of the request.
func (s *Store) NoticeRecord(ctx context.Context, caller, requestID string) (idempotency.Record, bool, error) {
	var rec idempotency.Record
	var fingerprint []byte
	var answer app.NoticeAnswer
	err := s.kit.DB.QueryRowContext(ctx, `SELECT fingerprint, outcome, leg_state FROM leg_notifications WHERE caller = ? AND request_id = ?`, caller, requestID).
		Scan(&fingerprint, &answer.Outcome, &answer.State)
	if mysqlx.NoRows(err) {
		return rec, false, nil
	}
	if err != nil {
		return rec, false, mysqlx.Fault(err, "read the notification of the request")
	}
	copy(rec.Fingerprint[:], fingerprint)
	rec.Answer, err = json.Marshal(answer)
	return rec, true, err
}

// InsertCashLeg stores a new leg; a pending repayment gets its timer.
func (t *Tx) InsertCashLeg(l domain.CashLeg) {
	t.Tx.Queue(`INSERT INTO cash_legs (id, kind, subject_id, user_id, checkout_id, channel, amount_minor, currency_code, state, version,
		create_time, expire_time, update_time, due_time) VALUES `+mysqlx.Tuples(1, 14),
		l.ID, l.Kind, l.SubjectID, l.UserID, ids.Null(l.CheckoutID), l.Channel, l.Amount.Minor(),
		l.Amount.Currency().Code(), l.State, l.Version, l.CreateTime, l.ExpireTime, l.UpdateTime, nullTime(l.DueTime()))
}

// InsertPortions stores what a commit does once its cash is there.
func (t *Tx) InsertPortions(commitID ids.ID, ps []domain.Portion) {
	var rows []any
	for _, p := range ps {
		o := p.Order
		rows = append(rows, commitID, o.OrderID, o.PaymentID, o.MerchantID, p.LoanID, o.Amount.Minor(), p.DownPayment.Minor(), o.Amount.Currency().Code())
	}
	t.Tx.Queue(`INSERT INTO commit_orders (commit_id, order_id, payment_id, merchant_id, loan_id, amount_minor, down_payment_minor, currency_code)
		VALUES `+mysqlx.Tuples(len(ps), 8), rows...)
}

// MoveCashLeg stores a leg's move and sets its timer, if no return was asked for meanwhile.
func (t *Tx) MoveCashLeg(m domain.CashLegMoved) {
	l := m.Leg
	if err := domain.LegStates.Check(m.From, l.State); err != nil {
		t.Fail(err)
		return
	}
	t.Tx.QueueExpect(1, changed("the cash leg"), `UPDATE cash_legs SET state = ?, pay_time = ?, update_time = ?, version = ?, due_time = ?
		WHERE id = ? AND state = ? AND version = ? AND returned_minor = ?`,
		l.State, nullTime(l.PayTime), l.UpdateTime, l.Version, nullTime(l.DueTime()), l.ID, m.From, l.Version-1, l.Returned.Minor())
}

// InsertNotice stores a notification as it came. A second one of the request violates a unique key.
func (t *Tx) InsertNotice(n app.HeardNotice) {
	t.Tx.Queue(`INSERT INTO leg_notifications (id, reference_id, caller, request_id, fingerprint, status, amount_minor, currency_code, pay_time,
		outcome, leg_state, create_time) VALUES `+mysqlx.Tuples(1, 12),
		n.ID, n.Notice.Reference, n.Caller, n.RequestID, n.Fingerprint[:], n.Notice.Status, n.Notice.Minor, n.Notice.Currency,
		nullTime(n.Notice.PayTime), string(n.Answer.Outcome), n.Answer.State, n.Time)
}
