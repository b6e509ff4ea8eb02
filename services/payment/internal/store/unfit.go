package store

import (
	"context"
	"database/sql"
	"strings"

	"github.com/creditpay/creditpay/pkg/enum"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/services/payment/internal/app"
	"github.com/creditpay/creditpay/services/payment/internal/domain"
)

const selectUnfit = `SELECT n.id, n.reference_id, n.caller, n.request_id, n.status, n.amount_minor, n.currency_code, n.pay_time, n.outcome, n.leg_state,
	n.create_time, ` + unfitLegColumns + `, r.id AS return_id, r.amount_minor AS return_minor, r.state AS return_state, r.version AS return_version,
	r.create_time AS return_create_time
	FROM leg_notifications n LEFT JOIN cash_returns r ON r.id = n.reference_id JOIN cash_legs l ON l.id = COALESCE(r.leg_id, n.reference_id)
	WHERE n.outcome = ?`

// unfitLegColumns are legColumns under names that do not meet those of the notification: a union's columns need names of their own.
const unfitLegColumns = `l.id AS leg_id, l.kind, l.subject_id, l.user_id, l.checkout_id, l.channel, l.amount_minor AS leg_minor, l.returned_minor, l.currency_code AS leg_currency,
	l.state, l.version, l.create_time AS leg_create_time, l.expire_time, l.pay_time AS leg_pay_time, l.update_time`

// UnfitNotices gives the notifications that did not fit, newest first. Each outcome is read along its own part of the index, so that
// a page needs no sorting of all that there are.
func (s *Store) UnfitNotices(ctx context.Context, f app.UnfitFilter, limit int) ([]app.UnfitNotice, error) {
	var parts []string
	var args []any
	where, values := unfitWhere(f)
	for _, outcome := range f.Outcomes() {
		parts = append(parts, `(`+selectUnfit+where+` ORDER BY n.id DESC LIMIT ?)`)
		args = append(append(append(args, string(outcome)), values...), limit)
	}
	rows, err := s.kit.DB.QueryContext(ctx, strings.Join(parts, ` UNION ALL `)+` ORDER BY id DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, mysqlx.Fault(err, "read notifications that did not fit")
	}
	defer func() { _ = rows.Close() }()
	var out []app.UnfitNotice
	for rows.Next() {
		n, err := scanUnfit(rows)
		if err != nil {
			return nil, mysqlx.Fault(err, "read notifications that did not fit")
		}
		out = append(out, n)
	}
	return out, mysqlx.Fault(rows.Err(), "read notifications that did not fit")
}

// unfitWhere is what a filter asks for besides the outcome.
func unfitWhere(f app.UnfitFilter) (where string, values []any) {
	and := func(condition string, value any) {
		where += ` AND ` + condition
		values = append(values, value)
	}
	if !f.Below.IsZero() {
		and(`n.id < ?`, f.Below)
	}
	if f.Kind != 0 {
		and(`l.kind = ?`, f.Kind)
	}
	if !f.From.IsZero() {
		and(`n.create_time >= ?`, f.From)
	}
	if !f.To.IsZero() {
		and(`n.create_time < ?`, f.To)
	}
	return where, values
}

func scanUnfit(row mysqlx.Row) (n app.UnfitNotice, err error) {
	var leg legRow
	var paid sql.NullTime
	var back nullReturn
	into := []any{&n.ID, &n.Notice.Reference, &n.Caller, &n.RequestID, &n.Notice.Status, &n.Notice.Minor, &n.Notice.Currency, &paid, &n.Answer.Outcome,
		&n.Answer.State, &n.Time}
	if err := row.Scan(append(append(into, leg.into()...), &back.id, &back.minor, &back.state, &back.version, &back.create)...); err != nil {
		return n, err
	}
	l, err := leg.read()
	if err != nil {
		return n, err
	}
	n.Notice.Kind, n.Notice.PayTime, n.Leg = l.Kind, paid.Time, back.over(*l)
	return n, nil
}

// nullReturn is what the row of a notification has of a return; not valid when it names a leg.
type nullReturn struct {
	id                    ids.NullID
	minor, state, version sql.NullInt64
	create                sql.NullTime
}

// over is the leg as the notification means it.
func (r nullReturn) over(l domain.CashLeg) domain.CashLeg {
	if !r.id.Valid {
		return l
	}
	return domain.CashReturn{ID: r.id.ID, Amount: money.New(r.minor.Int64, l.Amount.Currency()), State: enum.Of[domain.ReturnState](r.state.Int64),
		Version: r.version.Int64, CreateTime: r.create.Time}.AsLeg(l)
}
