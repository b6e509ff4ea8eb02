package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/text"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

const loanColumns = `id, order_id, commit_id, user_id, merchant_id, business, product_code, product_version, tenor_months,
	currency_code, principal_minor, interest_minor, fee_minor, outstanding_minor, plan, state, version,
	draft_time, draft_actor, activate_time, end_time, end_actor, end_cause, start_date, books, overpaid_minor, overdue_minor, roll_time,
	shrunk_minor, refunded_minor, payable_minor`

const (
	selectLoansOfCommit = `SELECT ` + loanColumns + ` FROM loans WHERE commit_id = ? ORDER BY order_id`
	selectLoansOfOrders = `SELECT ` + loanColumns + ` FROM loans WHERE order_id IN `
	orderOfLoans        = ` ORDER BY order_id, id`
)

// LoansOfCommit gives the loans that were drafted for a commit, by order id.
func (s *Store) LoansOfCommit(ctx context.Context, commitID ids.ID) ([]app.Loan, error) {
	loans, err := scanLoans(s.kit.DB.QueryContext(ctx, selectLoansOfCommit, commitID))
	return loans, mysqlx.Fault(err, "read the loans of a commit")
}

// LoansOfOrders gives every loan of the orders, by order id and age.
func (s *Store) LoansOfOrders(ctx context.Context, orderIDs []ids.ID) ([]app.Loan, error) {
	if len(orderIDs) == 0 {
		return nil, nil
	}
	loans, err := scanLoans(s.kit.DB.QueryContext(ctx, selectLoansOfOrders+mysqlx.In(len(orderIDs))+orderOfLoans, arguments(orderIDs)...))
	return loans, mysqlx.Fault(err, "read the loans of orders")
}

// LockLoans implements app.LockingTx.
func (t *Tx) LockLoans(ctx context.Context, orderIDs []ids.ID) ([]app.Loan, error) {
	if len(orderIDs) == 0 {
		return nil, nil
	}
	return scanLoans(t.Tx.Query(ctx, selectLoansOfOrders+mysqlx.In(len(orderIDs))+orderOfLoans+` FOR UPDATE`, arguments(orderIDs)...))
}

func arguments(list []ids.ID) []any {
	args := make([]any, len(list))
	for i, id := range list {
		args[i] = id
	}
	return args
}

// scanLoans reads all rows of a query. The database's errors stay as they are, so that a transaction knows when to start again.
func scanLoans(rows *sql.Rows, err error) ([]app.Loan, error) {
	if err != nil {
		return nil, err
	}
	var out []app.Loan
	for rows.Next() {
		l, err := scanLoan(rows)
		if err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		out = append(out, l)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	return out, nil
}

func scanLoan(row mysqlx.Row) (app.Loan, error) {
	var l app.Loan
	var code string
	var principal, interest, fee, outstanding, overpaid, overdue, shrunk, refunded, payable int64
	var plan, books []byte
	var activated, ended, roll sql.NullTime
	var start nullDate
	err := row.Scan(&l.ID, &l.OrderID, &l.CommitID, &l.UserID, &l.MerchantID, &l.Business,
		&l.Plan.ProductCode, &l.Plan.ProductVersion, &l.Plan.TenorMonths,
		&code, &principal, &interest, &fee, &outstanding, &plan, &l.State, &l.Version,
		&l.DraftTime, &l.DraftActor, &activated, &ended, &l.EndActor, &l.EndCause, &start, &books, &overpaid, &overdue, &roll,
		&shrunk, &refunded, &payable)
	if err != nil {
		return l, err
	}
	of, err := amounts(code)
	if err != nil {
		return l, err
	}
	l.Outstanding, l.ActivateTime, l.EndTime = of(outstanding), activated.Time, ended.Time
	l.Start, l.Overpaid, l.Overdue, l.RollTime = start.date, of(overpaid), of(overdue), roll.Time
	l.Shrunk, l.Refunded, l.Payable = of(shrunk), of(refunded), of(payable)
	if books != nil {
		if err := json.Unmarshal(books, &l.Books); err != nil {
			return l, errs.Internal.Wrap(err, "the books of loan %s cannot be read", ids.Format(ids.Loan, l.ID))
		}
	}
	l.Plan.Principal, l.Plan.Interest, l.Plan.Fee = of(principal), of(interest), of(fee)
	if l.Plan.Total, err = money.Sum(l.Outstanding.Currency(), l.Plan.Principal, l.Plan.Interest, l.Plan.Fee); err == nil {
		err = decodePlan(&l.Plan, plan, of)
	}
	if err == nil {
		err = l.Check()
	}
	if err != nil {
		return l, errs.Internal.Wrap(err, "loan %s does not add up", ids.Format(ids.Loan, l.ID))
	}
	return l, nil
}

const insertLoans = `INSERT INTO loans (id, order_id, live, commit_id, user_id, merchant_id, business,
	product_code, product_version, tenor_months, currency_code, principal_minor, interest_minor, fee_minor,
	outstanding_minor, plan, state, version, draft_time, draft_actor, end_actor, end_cause) VALUES `

const insertLoansWidth = 22

// InsertLoans implements app.Tx.
func (t *Tx) InsertLoans(loans []app.Loan) {
	args := make([]any, 0, len(loans)*insertLoansWidth)
	for _, l := range loans {
		plan, err := checkedPlan(l)
		if err != nil {
			t.Fail(err)
			return
		}
		args = append(args, l.ID, l.OrderID, live(l), l.CommitID, l.UserID, l.MerchantID, l.Business,
			l.Plan.ProductCode, l.Plan.ProductVersion, l.Plan.TenorMonths, l.Plan.Principal.Currency().Code(),
			l.Plan.Principal.Minor(), l.Plan.Interest.Minor(), l.Plan.Fee.Minor(),
			l.Outstanding.Minor(), plan, l.State, l.Version, l.DraftTime, l.DraftActor, l.EndActor, text.Cut(l.EndCause, causeMax))
	}
	t.Tx.Queue(insertLoans+mysqlx.Tuples(len(loans), insertLoansWidth), args...)
}

const updateDraft = `UPDATE loans SET state = ?, live = ?, principal_minor = ?, interest_minor = ?, fee_minor = ?, shrunk_minor = ?,
	outstanding_minor = ?, plan = ?, activate_time = ?, end_time = ?, end_actor = ?, end_cause = ?, start_date = ?, books = ?, roll_time = ?, version = version + 1
	WHERE id = ? AND state = ? AND version = ?`

// UpdateDraft implements app.Tx.
func (t *Tx) UpdateDraft(l app.Loan) {
	plan, err := checkedPlan(l)
	if err != nil {
		t.Fail(err)
		return
	}
	books, err := encodeBooks(l.Books)
	if err != nil {
		t.Fail(err)
		return
	}
	t.Tx.QueueExpect(1, changed(), updateDraft, l.State, live(l), l.Plan.Principal.Minor(), l.Plan.Interest.Minor(), l.Plan.Fee.Minor(),
		l.Shrunk.Minor(), l.Outstanding.Minor(), plan, nullTime(l.ActivateTime),
		nullTime(l.EndTime), l.EndActor, text.Cut(l.EndCause, causeMax), nullDate{l.Start}, books, nullTime(l.RollTime), l.ID, domain.LoanDraft, l.Version)
}

// checkedPlan is the stored plan of a loan whose figures agree.
func checkedPlan(l app.Loan) ([]byte, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	return encodePlan(l.Plan)
}

// live is 1 for a loan that counts and NULL for a void one, so that the unique key allows one of the first per order and any
// number of the others.
func live(l app.Loan) any {
	if l.State == domain.LoanVoid {
		return nil
	}
	return 1
}
