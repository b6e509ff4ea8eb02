package store

import (
	"context"
	"errors"
	"time"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

const selectAccount = `SELECT id, user_id, currency_code, limit_minor, used_minor, held_minor, credit_minor, overdue_loans, state, freeze_reason, version,
	create_time FROM credit_accounts WHERE user_id = ?`

// Account finds the account of a user.
func (s *Store) Account(ctx context.Context, userID string) (app.Account, bool, error) {
	a, found, err := readAccount(ctx, s.kit.DB.QueryContext, userID)
	return a, found, mysqlx.Fault(err, "read a credit account")
}

// Account implements app.LockingTx: it does not lock.
func (t *Tx) Account(ctx context.Context, userID string) (app.Account, bool, error) {
	return readAccount(ctx, t.Tx.Query, userID)
}

func readAccount(ctx context.Context, query queryFunc, userID string) (a app.Account, found bool, err error) {
	rows, err := query(ctx, selectAccount, userID)
	if err != nil {
		return a, false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return a, false, rows.Err()
	}
	var code string
	var limit, used, held, credit int64
	err = rows.Scan(&a.ID, &a.UserID, &code, &limit, &used, &held, &credit, &a.OverdueLoans, &a.State, &a.FreezeReason, &a.Version, &a.OpenTime)
	if err != nil {
		return app.Account{}, false, err
	}
	of, err := amounts(code)
	if err != nil {
		return app.Account{}, false, err
	}
	a.Limit, a.Used, a.Held, a.Credit = of(limit), of(used), of(held), of(credit)
	// A bounced repayment may bring what is used above the limit.
	if err := a.CheckFigures(); err != nil {
		return app.Account{}, false, errs.Internal.Wrap(err, "a credit account does not add up")
	}
	return a, true, nil
}

const (
	hold = `UPDATE credit_accounts SET held_minor = held_minor + ?, version = version + 1, update_time = ?
		WHERE user_id = ? AND currency_code = ? AND state = ? AND limit_minor - used_minor - held_minor >= ?`
	releaseHold = `UPDATE credit_accounts SET held_minor = held_minor - ?, version = version + 1, update_time = ?
		WHERE user_id = ? AND currency_code = ? AND held_minor >= ?`
	useHold = `UPDATE credit_accounts SET held_minor = held_minor - ?, used_minor = used_minor + ?, version = version + 1, update_time = ?
		WHERE user_id = ? AND currency_code = ? AND held_minor >= ?`
)

// Hold implements app.Tx: the rule is domain.Account.MayBuy.
func (t *Tx) Hold(userID string, amount money.Amount, at time.Time, refused error) {
	t.Tx.QueueExpect(1, refused, hold, amount.Minor(), at, userID, amount.Currency().Code(), domain.AccountActive, amount.Minor())
}

// ReleaseHold implements app.Tx.
func (t *Tx) ReleaseHold(userID string, amount money.Amount, at time.Time, short error) {
	t.Tx.QueueExpect(1, short, releaseHold, amount.Minor(), at, userID, amount.Currency().Code(), amount.Minor())
}

// UseHold implements app.Tx.
func (t *Tx) UseHold(userID string, amount money.Amount, at time.Time, short error) {
	t.Tx.QueueExpect(1, short, useHold, amount.Minor(), amount.Minor(), at, userID, amount.Currency().Code(), amount.Minor())
}

const insertAccount = `INSERT INTO credit_accounts
	(id, user_id, currency_code, limit_minor, used_minor, held_minor, state, freeze_reason, version, create_time, update_time)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// InsertAccount implements app.Tx.
func (t *Tx) InsertAccount(a app.Account, at time.Time) {
	if err := a.Check(); err != nil {
		t.Fail(err)
	}
	t.Tx.Queue(insertAccount, a.ID, a.UserID, a.Limit.Currency().Code(), a.Limit.Minor(), a.Used.Minor(), a.Held.Minor(),
		a.State, a.FreezeReason, a.Version, a.OpenTime, at)
}

const updateAccount = `UPDATE credit_accounts SET limit_minor = ?, state = ?, freeze_reason = ?, version = version + 1, update_time = ?
	WHERE id = ? AND version = ?`

// UpdateAccount implements app.Tx.
func (t *Tx) UpdateAccount(a domain.Account, at time.Time) {
	if err := a.CheckFigures(); err != nil {
		t.Fail(err)
	}
	t.Tx.QueueExpect(1, changed(), updateAccount, a.Limit.Minor(), a.State, a.FreezeReason, at, a.ID, a.Version)
}

const insertAccountChange = `INSERT INTO account_changes (id, account_id, actor, what, reason, before_json, after_json, create_time)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

// InsertAccountChange implements app.Tx.
func (t *Tx) InsertAccountChange(c app.AccountChange) {
	t.Tx.Queue(insertAccountChange, c.ID, c.AccountID, c.Actor, c.What, c.Reason, c.Before, c.After, c.Time)
}

const selectPayouts = `SELECT journal_id, debit_minor, post_time FROM journal_lines WHERE object_id = ? AND cause = 'CREDIT_PAID_OUT' AND account = 'CREDIT_BALANCE'`

// Payouts implements app.Store. The journal is the only record of them that has an amount.
func (s *Store) Payouts(ctx context.Context, accountID ids.ID) ([]app.Payout, error) {
	rows, err := s.kit.DB.QueryContext(ctx, selectPayouts, ids.Format(ids.Account, accountID))
	out, err := scanAll(rows, err, func(row mysqlx.Row) (p app.Payout, err error) { return p, row.Scan(&p.ID, &p.Amount, &p.Time) })
	return out, mysqlx.Fault(err, "read what was paid out")
}
