package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

const (
	returnColumns = `r.id, r.leg_id, r.payment_id, p.order_id, r.refund_id, r.amount_minor, r.currency_code, r.state, r.version, r.create_time,
	COALESCE(r.ask_time, r.create_time), r.event_id, r.finish_time, r.resolution, r.actor, r.evidence, r.resolve_time, r.keep_time`
	returnTables = ` FROM cash_returns r LEFT JOIN payments p ON p.id = r.payment_id `
)

// returnRow is a row of cash_returns while it is scanned.
type returnRow struct {
	back                          domain.CashReturn
	payment, order, refund, event ids.NullID
	minor                         int64
	code                          string
	given, resolved, kept         sql.NullTime
}

func (r *returnRow) into() []any {
	b := &r.back
	return []any{&b.ID, &b.LegID, &r.payment, &r.order, &r.refund, &r.minor, &r.code, &b.State, &b.Version, &b.CreateTime,
		&b.AskTime, &r.event, &r.given, &b.Resolution, &b.Actor, &b.Evidence, &r.resolved, &r.kept}
}

func (r *returnRow) read() (domain.CashReturn, error) {
	cur, err := money.CurrencyOf(r.code)
	if err != nil {
		return r.back, errs.Internal.Wrap(err, "a stored return has an unknown currency")
	}
	b := r.back
	b.PaymentID, b.OrderID, b.RefundID, b.EventID = r.payment.ID, r.order.ID, r.refund.ID, r.event.ID
	b.Amount, b.GivenTime, b.ResolveTime, b.KeepTime = money.New(r.minor, cur), r.given.Time, r.resolved.Time, r.kept.Time
	return b, nil
}

// cashReturns reads returns, oldest first.
func (s *Store) cashReturns(ctx context.Context, where string, values ...any) ([]domain.CashReturn, error) {
	rows, err := s.kit.DB.QueryContext(ctx, `SELECT `+returnColumns+returnTables+`WHERE `+where+` ORDER BY r.id LIMIT ?`, append(values, returnsMax)...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read returns")
	}
	defer func() { _ = rows.Close() }()
	var out []domain.CashReturn
	for rows.Next() {
		var row returnRow
		if err := rows.Scan(row.into()...); err != nil {
			return nil, mysqlx.Fault(err, "read returns")
		}
		back, err := row.read()
		if err != nil {
			return nil, err
		}
		out = append(out, back)
	}
	return out, mysqlx.Fault(rows.Err(), "read returns")
}

// returnsMax bounds what is read of returns. Whoever must know all those of a leg checks that their sum is what the leg says.
const returnsMax = 5000

func one(list []domain.CashReturn, err error) (*domain.CashReturn, error) {
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// CashReturn by its reference; nil when there is none.
func (s *Store) CashReturn(ctx context.Context, id ids.ID) (*domain.CashReturn, error) {
	return one(s.cashReturns(ctx, `r.id = ?`, id))
}

// CashReturnOf a reversed payment; nil when it had no cash.
func (s *Store) CashReturnOf(ctx context.Context, paymentID ids.ID) (*domain.CashReturn, error) {
	return one(s.cashReturns(ctx, `r.payment_id = ? AND r.refund_id IS NULL`, paymentID))
}

// CashReturnsOfLeg gives all returns of a leg, oldest first.
func (s *Store) CashReturnsOfLeg(ctx context.Context, legID ids.ID) ([]domain.CashReturn, error) {
	return s.cashReturns(ctx, `r.leg_id = ?`, legID)
}

// CashReturnsOfRefund gives the returns of a refund with their legs, oldest first.
func (s *Store) CashReturnsOfRefund(ctx context.Context, refundID ids.ID) ([]app.CashBack, error) {
	return s.cashBacks(ctx, `r.refund_id = ? ORDER BY r.id LIMIT ?`, refundID, returnsMax)
}

// CashReturns lists returns with their legs, newest first.
func (s *Store) CashReturns(ctx context.Context, f app.ReturnFilter, limit int) ([]app.CashBack, error) {
	where, values := `1 = 1`, []any{}
	and := func(asked bool, condition string, value any) {
		if asked {
			where, values = where+` AND `+condition, append(values, value)
		}
	}
	and(f.State != 0, `r.state = ?`, f.State)
	and(!f.OrderID.IsZero(), `r.payment_id IN (SELECT x.id FROM payments x WHERE x.order_id = ?)`, f.OrderID)
	and(!f.Below.IsZero(), `r.id < ?`, f.Below)
	return s.cashBacks(ctx, where+` ORDER BY r.id DESC LIMIT ?`, append(values, limit)...)
}

func (s *Store) cashBacks(ctx context.Context, where string, values ...any) ([]app.CashBack, error) {
	rows, err := s.kit.DB.QueryContext(ctx, `SELECT `+returnColumns+`, `+legColumns+returnTables+`JOIN cash_legs l ON l.id = r.leg_id WHERE `+where, values...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read returns")
	}
	defer func() { _ = rows.Close() }()
	var out []app.CashBack
	for rows.Next() {
		var row returnRow
		var legs legRow
		if err := rows.Scan(append(row.into(), legs.into()...)...); err != nil {
			return nil, mysqlx.Fault(err, "read returns")
		}
		back, err := row.read()
		if err != nil {
			return nil, err
		}
		leg, err := legs.read()
		if err != nil {
			return nil, err
		}
		out = append(out, app.CashBack{Return: back, Leg: *leg})
	}
	return out, mysqlx.Fault(rows.Err(), "read returns")
}

const refundColumns = `f.refund_id, f.payment_id, f.credit_minor, f.cash_minor, f.currency_code, f.create_time`

// PaymentRefund by its id; nil when it took nothing out of a payment.
func (s *Store) PaymentRefund(ctx context.Context, refundID ids.ID) (*domain.Refund, error) {
	list, err := s.refunds(ctx, `f.refund_id = ?`, refundID)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// RefundsOfPayments gives what refunds took out of payments, oldest first.
func (s *Store) RefundsOfPayments(ctx context.Context, paymentIDs []ids.ID) ([]domain.Refund, error) {
	return s.refunds(ctx, `f.payment_id IN `+mysqlx.In(len(paymentIDs)), args(paymentIDs)...)
}

func (s *Store) refunds(ctx context.Context, where string, values ...any) ([]domain.Refund, error) {
	rows, err := s.kit.DB.QueryContext(ctx, `SELECT `+refundColumns+` FROM payment_refunds f WHERE `+where+` ORDER BY f.create_time, f.refund_id LIMIT ?`,
		append(values, returnsMax)...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read refunds")
	}
	defer func() { _ = rows.Close() }()
	var out []domain.Refund
	for rows.Next() {
		var f domain.Refund
		var credit, cash int64
		var code string
		if err := rows.Scan(&f.ID, &f.PaymentID, &credit, &cash, &code, &f.CreateTime); err != nil {
			return nil, mysqlx.Fault(err, "read refunds")
		}
		cur, err := money.CurrencyOf(code)
		if err != nil {
			return nil, errs.Internal.Wrap(err, "a stored refund has an unknown currency")
		}
		f.Credit, f.Cash = money.New(credit, cur), money.New(cash, cur)
		out = append(out, f)
	}
	return out, mysqlx.Fault(rows.Err(), "read refunds")
}

// InsertRefund stores what a refund takes out of a payment that stands, within what is left of each part.
func (t *Tx) InsertRefund(f domain.Refund) {
	t.Tx.Queue(`INSERT INTO payment_refunds (refund_id, payment_id, credit_minor, cash_minor, currency_code, create_time) VALUES `+mysqlx.Tuples(1, 6),
		f.ID, f.PaymentID, f.Credit.Minor(), f.Cash.Minor(), f.Credit.Currency().Code(), f.CreateTime)
	t.Tx.QueueExpect(1, changed("the payment"), `UPDATE payments SET refund_count = refund_count + 1 WHERE id = ? AND state = ?`,
		f.PaymentID, domain.PaymentSucceeded)
	t.takeOut(f.PaymentID, domain.LegCredit, f.Credit)
	t.takeOut(f.PaymentID, domain.LegCash, f.Cash)
}

func (t *Tx) takeOut(paymentID ids.ID, kind domain.LegKind, a money.Amount) {
	if a.IsZero() {
		return
	}
	t.Tx.QueueExpect(1, changed("the payment"), `UPDATE payment_legs SET refunded_minor = refunded_minor + ?
		WHERE payment_id = ? AND kind = ? AND refunded_minor + ? <= amount_minor`, a.Minor(), paymentID, kind, a.Minor())
}

// InsertCashReturn stores a return within what is left of its leg.
func (t *Tx) InsertCashReturn(r domain.CashReturn) {
	noRoom := error(errs.Internal.New("more would be returned than the down payment had"))
	if r.PaymentID.IsZero() {
		noRoom = changed("the repayment")
	}
	t.Tx.QueueExpect(1, noRoom,
		`UPDATE cash_legs SET returned_minor = returned_minor + ? WHERE id = ? AND state = ? AND returned_minor + ? <= amount_minor`,
		r.Amount.Minor(), r.LegID, domain.LegSucceeded, r.Amount.Minor())
	t.Tx.Queue(`INSERT INTO cash_returns (id, leg_id, payment_id, refund_id, amount_minor, currency_code, state, version, create_time, ask_time, event_id, due_time)
		VALUES `+mysqlx.Tuples(1, 12), r.ID, r.LegID, ids.Null(r.PaymentID), ids.Null(r.RefundID), r.Amount.Minor(), r.Amount.Currency().Code(), r.State,
		r.Version, r.CreateTime, r.AskTime, ids.Null(r.EventID), nullTime(r.DueTime()))
}

// MoveCashReturn stores a return's move; of a cancelled order's share also in its payment's leg.
func (t *Tx) MoveCashReturn(m domain.CashReturnMoved) {
	r := m.Return
	if err := domain.ReturnStates.Check(m.From, r.State); err != nil {
		t.Fail(err)
		return
	}
	t.Tx.QueueExpect(1, changed("the return"), `UPDATE cash_returns SET state = ?, finish_time = ?, ask_time = ?, event_id = ?, resolution = ?, actor = ?,
		evidence = ?, resolve_time = ?, due_time = ?, version = ? WHERE id = ? AND state = ? AND version = ?`,
		r.State, nullTime(r.GivenTime), r.AskTime, ids.Null(r.EventID), r.Resolution, r.Actor, r.Evidence, nullTime(r.ResolveTime), nullTime(r.DueTime()),
		r.Version, r.ID, m.From, r.Version-1)
	if !r.RefundID.IsZero() || m.From.Share() == r.State.Share() {
		return
	}
	t.Tx.QueueExpect(1, changed("the payment"), `UPDATE payment_legs SET state = ? WHERE payment_id = ? AND kind = ? AND state = ?`,
		r.State.Share(), r.PaymentID, domain.LegCash, m.From.Share())
}

// KeepCashReturn notes when an abandoned return became credit balance. One that did before stays as it is: the bill service answers
// the same reference the same.
func (t *Tx) KeepCashReturn(id ids.ID, at time.Time) {
	t.Tx.Queue(`UPDATE cash_returns SET keep_time = ? WHERE id = ? AND resolution = ? AND keep_time IS NULL`, at, id, domain.ResolvedAbandoned)
}
