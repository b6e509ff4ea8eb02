package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/mysqlx"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

const (
	repaymentColumns = `id, user_id, caller, request_id, fingerprint, kind, target, channel, currency_code, amount_minor, rest_minor, state, version,
		create_time, pay_time, end_time, ask_time`
	selectRepayment          = `SELECT ` + repaymentColumns + ` FROM repayments WHERE id = ?`
	selectRepaymentOfRequest = `SELECT ` + repaymentColumns + ` FROM repayments WHERE caller = ? AND request_id = ?`
	selectRepaymentsByID     = `SELECT ` + repaymentColumns + ` FROM repayments WHERE id IN `
	selectRepaymentsOfUser   = `SELECT ` + repaymentColumns + ` FROM repayments WHERE user_id = ? AND state IN (2, 4) ORDER BY id LIMIT ?`
	insertRepayment          = `INSERT INTO repayments (` + repaymentColumns + `) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
		FROM (SELECT COUNT(*) AS waiting FROM repayments WHERE user_id = ? AND state = 1) n WHERE n.waiting < ?`
	moveRepayment = `UPDATE repayments SET state = ?, rest_minor = ?, pay_time = ?, end_time = ?, ask_time = ?, version = version + 1 WHERE id = ? AND version = ?`
	// repaymentsMax bounds what is read of a user's repayments.
	repaymentsMax = 5000
)

// storedTarget is a target as it is stored. The names are part of the schema.
type storedTarget struct {
	Bills []storedBillName `json:"bills,omitempty"`
	Loans []ids.ID         `json:"loans,omitempty"`
}

type storedBillName struct {
	BillDate civil.Date `json:"bill_date"`
	DueDate  civil.Date `json:"due_date"`
}

func scanRepayment(row mysqlx.Row) (app.Repayment, error) {
	var r app.Repayment
	var fingerprint, target []byte
	var code string
	var amount, rest int64
	var paid, ended, ask sql.NullTime
	err := row.Scan(&r.ID, &r.UserID, &r.Caller, &r.RequestID, &fingerprint, &r.Kind, &target, &r.Channel, &code, &amount, &rest, &r.State, &r.Version,
		&r.CreateTime, &paid, &ended, &ask)
	if err != nil {
		return r, err
	}
	of, err := amounts(code)
	if err != nil {
		return r, err
	}
	var t storedTarget
	if err := json.Unmarshal(target, &t); err != nil || copy(r.Fingerprint[:], fingerprint) != len(r.Fingerprint) {
		return r, errs.Internal.Wrap(err, "repayment %s is damaged", ids.Format(ids.Repayment, r.ID))
	}
	r.Target.Loans = t.Loans
	for _, b := range t.Bills {
		r.Target.Bills = append(r.Target.Bills, domain.BillName(b))
	}
	r.Amount, r.Rest, r.PayTime, r.EndTime, r.AskTime = of(amount), of(rest), paid.Time, ended.Time, ask.Time
	return r, nil
}

func scanRepayments(rows *sql.Rows, err error) (list []app.Repayment, _ error) {
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		r, err := scanRepayment(rows)
		if err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		list = append(list, r)
	}
	return list, errors.Join(rows.Err(), rows.Close())
}

func foundRepayment(row mysqlx.Row) (app.Repayment, bool, error) {
	r, err := scanRepayment(row)
	if mysqlx.NoRows(err) {
		return r, false, nil
	}
	return r, err == nil, mysqlx.Fault(err, "read a repayment")
}

// Repayment implements app.Store.
func (s *Store) Repayment(ctx context.Context, repaymentID ids.ID) (app.Repayment, bool, error) {
	return foundRepayment(s.kit.DB.QueryRowContext(ctx, selectRepayment, repaymentID))
}

// RepaymentOfRequest implements app.Store.
func (s *Store) RepaymentOfRequest(ctx context.Context, caller, requestID string) (app.Repayment, bool, error) {
	return foundRepayment(s.kit.DB.QueryRowContext(ctx, selectRepaymentOfRequest, caller, requestID))
}

// RepaymentsOfUser implements app.Store.
func (s *Store) RepaymentsOfUser(ctx context.Context, userID string) ([]app.Repayment, error) {
	list, err := scanRepayments(s.kit.DB.QueryContext(ctx, selectRepaymentsOfUser, userID, repaymentsMax))
	return list, mysqlx.Fault(err, "read the repayments of a user")
}

// LockRepayments implements app.LockingTx.
func (t *Tx) LockRepayments(ctx context.Context, repaymentIDs []ids.ID) ([]app.Repayment, error) {
	if len(repaymentIDs) == 0 {
		return nil, nil
	}
	return scanRepayments(t.Tx.Query(ctx, selectRepaymentsByID+mysqlx.In(len(repaymentIDs))+orderByID+` FOR UPDATE`, arguments(repaymentIDs)...))
}

// InsertRepayment implements app.Tx.
func (t *Tx) InsertRepayment(r app.Repayment, openMax int) {
	target := storedTarget{Loans: r.Target.Loans}
	for _, b := range r.Target.Bills {
		target.Bills = append(target.Bills, storedBillName(b))
	}
	blob, err := json.Marshal(target)
	if err != nil {
		t.Fail(errs.Internal.Wrap(err, "write a repayment"))
		return
	}
	// Repayments of a user begin one after the other, so that those at once are counted.
	t.Tx.Queue(`UPDATE credit_accounts SET update_time = update_time WHERE user_id = ?`, r.UserID)
	refusal := errs.TooManyOpenRepayments.New("%d repayments wait for their money already; pay one of them, or wait until one runs out", openMax).
		With("open_max", strconv.Itoa(openMax))
	t.Tx.QueueExpect(1, refusal, insertRepayment, r.ID, r.UserID, r.Caller, r.RequestID, r.Fingerprint[:], r.Kind, blob, r.Channel, r.Amount.Currency().Code(),
		r.Amount.Minor(), r.Rest.Minor(), r.State, r.Version, r.CreateTime, nullTime(r.PayTime), nullTime(r.EndTime), nullTime(r.AskTime),
		r.UserID, openMax)
}

// MoveRepayment implements app.Tx.
func (t *Tx) MoveRepayment(r app.Repayment) {
	t.Tx.QueueExpect(1, changed(), moveRepayment, r.State, r.Rest.Minor(), nullTime(r.PayTime), nullTime(r.EndTime), nullTime(r.AskTime), r.ID, r.Version)
}
