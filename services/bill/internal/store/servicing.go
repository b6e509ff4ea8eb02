package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/text"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// nullDate is a DATE that may be NULL: the zero date.
type nullDate struct{ date civil.Date }

// Value implements driver.Valuer.
func (d nullDate) Value() (driver.Value, error) {
	if d.date.IsZero() {
		return nil, nil
	}
	return d.date.Value()
}

// Scan implements sql.Scanner.
func (d *nullDate) Scan(src any) error {
	if src == nil {
		d.date = civil.Date{}
		return nil
	}
	return d.date.Scan(src)
}

// encodeBooks is the stored form of balances; nil for none.
func encodeBooks(b domain.Balances) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	blob, err := json.Marshal(b)
	if err != nil {
		return nil, errs.Internal.Wrap(err, "write the books of a loan")
	}
	return blob, nil
}

const (
	selectLoansByID  = `SELECT ` + loanColumns + ` FROM loans WHERE id IN `
	selectBegunLoans = `SELECT ` + loanColumns + ` FROM loans WHERE start_date IS NOT NULL AND user_id IN `
	orderByID        = ` ORDER BY id`
	// The currency comes last: only loans that have facts are read for it.
	selectFacts = `SELECT STRAIGHT_JOIN f.loan_id, f.fact_id, f.kind, f.value_date, f.amount_minor, l.currency_code
		FROM loan_facts f JOIN loans l ON l.id = f.loan_id WHERE f.void_time IS NULL AND f.loan_id IN `
)

// RollSweep are the loans for which time alone changes something.
func RollSweep() jobs.Sweep {
	return jobs.Sweep{Kind: "roll_loans", Table: "loans", Key: "id", Due: "roll_time", Group: "user_id"}
}

// BillSweep are the bills that may have changed since they were told.
func BillSweep() jobs.Sweep {
	return jobs.Sweep{Kind: "look_at_bills", Table: "bills", Key: "id", Due: "look_time"}
}

// RepaymentColumn is the timer of repayments.
func RepaymentColumn() jobs.Column {
	return jobs.Column{Kind: "ask_about_repayment", Table: "repayments", Key: "id", Due: "ask_time", Prefix: ids.Repayment}
}

// LockLoansByID implements app.LockingTx.
func (t *Tx) LockLoansByID(ctx context.Context, loanIDs []ids.ID) ([]app.Loan, error) {
	if len(loanIDs) == 0 {
		return nil, nil
	}
	return scanLoans(t.Tx.Query(ctx, selectLoansByID+mysqlx.In(len(loanIDs))+orderByID+` FOR UPDATE`, arguments(loanIDs)...))
}

// LockBegunLoans implements app.LockingTx.
func (t *Tx) LockBegunLoans(ctx context.Context, userIDs []string) ([]app.Loan, error) {
	if len(userIDs) == 0 {
		return nil, nil
	}
	args := make([]any, len(userIDs))
	for i, u := range userIDs {
		args[i] = u
	}
	return scanLoans(t.Tx.Query(ctx, selectBegunLoans+mysqlx.In(len(args))+orderByID+` FOR UPDATE`, args...))
}

// Facts implements app.LockingTx.
func (t *Tx) Facts(ctx context.Context, loanIDs []ids.ID) (map[ids.ID][]domain.Fact, error) {
	return readFacts(ctx, t.Tx.Query, loanIDs)
}

type queryFunc func(ctx context.Context, query string, args ...any) (*sql.Rows, error)

// readFacts gives the facts of loans that stand, by loan.
func readFacts(ctx context.Context, query queryFunc, loanIDs []ids.ID) (out map[ids.ID][]domain.Fact, err error) {
	out = make(map[ids.ID][]domain.Fact, len(loanIDs))
	if len(loanIDs) == 0 {
		return out, nil
	}
	rows, err := query(ctx, selectFacts+mysqlx.In(len(loanIDs)), arguments(loanIDs)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var loan ids.ID
		var f domain.Fact
		var minor int64
		var code string
		if err := rows.Scan(&loan, &f.ID, &f.Kind, &f.Date, &minor, &code); err != nil {
			return nil, err
		}
		of, err := amounts(code)
		if err != nil {
			return nil, err
		}
		f.Amount = of(minor)
		out[loan] = append(out[loan], f)
	}
	return out, rows.Err()
}

// BegunLoans implements app.Store.
func (s *Store) BegunLoans(ctx context.Context, userID string) ([]app.Loan, map[ids.ID][]domain.Fact, error) {
	loans, err := scanLoans(s.kit.DB.QueryContext(ctx, selectBegunLoans+`(?)`+orderByID, userID))
	if err != nil {
		return nil, nil, mysqlx.Fault(err, "read the loans of a user")
	}
	facts, err := s.factsOf(ctx, loans)
	return loans, facts, err
}

// LoanByID implements app.Store.
func (s *Store) LoanByID(ctx context.Context, loanID ids.ID) (app.Loan, []domain.Fact, bool, error) {
	loans, err := scanLoans(s.kit.DB.QueryContext(ctx, selectLoansByID+`(?)`, loanID))
	if err != nil || len(loans) == 0 {
		return app.Loan{}, nil, false, mysqlx.Fault(err, "read a loan")
	}
	facts, err := s.factsOf(ctx, loans)
	return loans[0], facts[loanID], true, err
}

// Facts implements app.Store.
func (s *Store) Facts(ctx context.Context, loanIDs []ids.ID) (map[ids.ID][]domain.Fact, error) {
	facts, err := readFacts(ctx, s.kit.DB.QueryContext, loanIDs)
	return facts, mysqlx.Fault(err, "read the facts of loans")
}

func (s *Store) factsOf(ctx context.Context, loans []app.Loan) (map[ids.ID][]domain.Fact, error) {
	loanIDs := make([]ids.ID, len(loans))
	for i, l := range loans {
		loanIDs[i] = l.ID
	}
	return s.Facts(ctx, loanIDs)
}

const insertFact = `INSERT INTO loan_facts (loan_id, fact_id, kind, value_date, amount_minor, actor, cause, create_time) VALUES `

// InsertFacts implements app.Tx.
func (t *Tx) InsertFacts(facts []app.LoanFact) {
	for _, f := range facts {
		t.Tx.QueueRow(insertFact, f.LoanID, f.ID, f.Kind, f.Date, f.Amount.Minor(), f.Actor, text.Cut(f.Cause, causeMax), f.CreateTime)
	}
}

const voidFacts = `UPDATE loan_facts SET void_time = ?, void_actor = ?, void_cause = ? WHERE fact_id = ? AND void_time IS NULL`

// VoidFacts implements app.Tx.
func (t *Tx) VoidFacts(factID ids.ID, actor, cause string, at time.Time) {
	t.Tx.Queue(voidFacts, at, actor, text.Cut(cause, causeMax), factID)
}

// causeMax is the length of the columns for causes, in characters.
const causeMax = 200

// The loans of a batch leave in one statement: a table of what each becomes, by id and version.
const (
	followLoans = `UPDATE loans l JOIN (`
	followRow   = `SELECT ? AS id, ? AS version, ? AS state, ? AS outstanding_minor, ? AS books, ? AS overpaid_minor, ? AS overdue_minor,
		? AS end_time, ? AS end_actor, ? AS end_cause, ? AS roll_time, ? AS refunded_minor, ? AS payable_minor`
	followMore = ` UNION ALL SELECT ?,?,?,?,?,?,?,?,?,?,?,?,?`
	followSet  = `) v ON l.id = v.id AND l.version = v.version SET l.state = v.state, l.outstanding_minor = v.outstanding_minor, l.books = v.books,
		l.overpaid_minor = v.overpaid_minor, l.overdue_minor = v.overdue_minor, l.end_time = v.end_time, l.end_actor = v.end_actor,
		l.end_cause = v.end_cause, l.roll_time = v.roll_time, l.refunded_minor = v.refunded_minor,
		l.payable_minor = v.payable_minor, l.version = l.version + 1`
)

// FollowLoans implements app.Tx.
func (t *Tx) FollowLoans(loans []app.Loan) {
	for part := range slices.Chunk(loans, rowsMax) {
		query, args := followLoans+followRow+strings.Repeat(followMore, len(part)-1)+followSet, make([]any, 0, 13*len(part))
		for _, l := range part {
			books, err := encodeBooks(l.Books)
			if err != nil {
				t.Fail(err)
				return
			}
			args = append(args, l.ID, l.Version, l.State, l.Outstanding.Minor(), books, l.Overpaid.Minor(), l.Overdue.Minor(), nullTime(l.EndTime),
				l.EndActor, text.Cut(l.EndCause, causeMax), nullTime(l.RollTime), l.Refunded.Minor(), l.Payable.Minor())
		}
		t.Tx.QueueExpect(int64(len(part)), changed(), query, args...)
	}
}

const (
	insertInstalment = `INSERT INTO instalments (loan_id, sequence, bill_date, due_date, principal_minor, interest_minor, fee_minor,
		paid_principal_minor, paid_interest_minor, paid_fee_minor, open_principal_minor, open_interest_minor, open_fee_minor, state) VALUES `
	putInstalments = `INSERT INTO instalments (loan_id, sequence, bill_date, due_date, billed, principal_minor, interest_minor, fee_minor, late_minor,
		paid_principal_minor, paid_interest_minor, paid_fee_minor, paid_late_minor, open_principal_minor, open_interest_minor, open_fee_minor, open_late_minor,
		cancelled_principal_minor, cancelled_interest_minor, cancelled_fee_minor, cancelled_late_minor, state) VALUES `
	onInstalment = ` ON DUPLICATE KEY UPDATE bill_date = VALUES(bill_date), billed = VALUES(billed),
		cancelled_principal_minor = VALUES(cancelled_principal_minor), cancelled_interest_minor = VALUES(cancelled_interest_minor),
		cancelled_fee_minor = VALUES(cancelled_fee_minor), cancelled_late_minor = VALUES(cancelled_late_minor), late_minor = VALUES(late_minor),
		paid_principal_minor = VALUES(paid_principal_minor), paid_interest_minor = VALUES(paid_interest_minor), paid_fee_minor = VALUES(paid_fee_minor),
		paid_late_minor = VALUES(paid_late_minor), open_principal_minor = VALUES(open_principal_minor), open_interest_minor = VALUES(open_interest_minor),
		open_fee_minor = VALUES(open_fee_minor), open_late_minor = VALUES(open_late_minor), state = VALUES(state)`
	instalmentWidth = 22
	// rowsMax bounds the rows of one statement.
	rowsMax = 500
)

// InsertInstalments implements app.Tx.
func (t *Tx) InsertInstalments(l app.Loan, billDate func(due civil.Date) civil.Date) {
	for _, in := range l.Plan.Instalments {
		t.Tx.QueueRow(insertInstalment, l.ID, in.Sequence, billDate(in.DueDate), in.DueDate, in.Principal.Minor(), in.Interest.Minor(), in.Fee.Minor(),
			0, 0, 0, in.Principal.Minor(), in.Interest.Minor(), in.Fee.Minor(), domain.InstalmentOpen)
	}
}

// PutInstalments implements app.Tx.
func (t *Tx) PutInstalments(rows []app.InstalmentRow) {
	t.inChunks(len(rows), instalmentWidth, putInstalments, onInstalment, func(i int) []any {
		r := rows[i]
		return []any{r.LoanID, r.Sequence, r.BillDate, r.DueDate, r.Billed,
			r.Charged.Principal.Minor(), r.Charged.Interest.Minor(), r.Charged.Fee.Minor(), r.Charged.Late.Minor(),
			r.Paid.Principal.Minor(), r.Paid.Interest.Minor(), r.Paid.Fee.Minor(), r.Paid.Late.Minor(),
			r.Open.Principal.Minor(), r.Open.Interest.Minor(), r.Open.Fee.Minor(), r.Open.Late.Minor(),
			r.Cancelled.Principal.Minor(), r.Cancelled.Interest.Minor(), r.Cancelled.Fee.Minor(), r.Cancelled.Late.Minor(), r.State}
	})
}

// inChunks queues rows in statements of a bounded size.
func (t *Tx) inChunks(count, width int, head, tail string, row func(i int) []any) {
	for from := 0; from < count; from += rowsMax {
		to := min(from+rowsMax, count)
		args := make([]any, 0, (to-from)*width)
		for i := from; i < to; i++ {
			args = append(args, row(i)...)
		}
		t.Tx.Queue(head+mysqlx.Tuples(to-from, width)+tail, args...)
	}
}

// The state comes before the count: servers differ in whether a later assignment sees an earlier one.
const changeAccount = `UPDATE credit_accounts SET state = CASE WHEN state IN (1, 3) THEN IF(overdue_loans + ? > 0, 3, 1) ELSE state END,
	used_minor = used_minor + ?, credit_minor = credit_minor + ?, overdue_loans = overdue_loans + ?, version = version + 1, update_time = ?
	WHERE user_id = ? AND currency_code = ?`

// ChangeAccount implements app.Tx.
func (t *Tx) ChangeAccount(d app.AccountDelta, at time.Time) {
	missing := errs.Internal.New("user %s has no account in %s", d.UserID, d.Used.Currency())
	t.Tx.QueueExpect(1, missing, changeAccount, d.OverdueLoans, d.Used.Minor(), d.Credit.Minor(), d.OverdueLoans, at, d.UserID, d.Used.Currency().Code())
}

const freezeAccount = `UPDATE credit_accounts SET state = 2, freeze_reason = ?, version = version + 1, update_time = ? WHERE user_id = ? AND state IN (1, 3)`

// FreezeAccount implements app.Tx.
func (t *Tx) FreezeAccount(userID, reason string, at time.Time) {
	t.Tx.Queue(freezeAccount, reason, at, userID)
}

const takeCredit = `UPDATE credit_accounts SET credit_minor = credit_minor - ?, version = version + 1, update_time = ? WHERE id = ? AND version = ?`

// TakeCredit implements app.Tx.
func (t *Tx) TakeCredit(a app.Account, amount money.Amount, at time.Time) {
	t.Tx.QueueExpect(1, changed(), takeCredit, amount.Minor(), at, a.ID, a.Version)
}

const (
	insertBills = `INSERT INTO bills (id, user_id, bill_date, due_date, state, version, create_time, look_time) VALUES `
	billExists  = ` ON DUPLICATE KEY UPDATE version = version`
	billWidth   = 8
)

// InsertBills implements app.Tx.
func (t *Tx) InsertBills(bills []app.BillRow) { t.putBills(bills, billExists) }

const (
	lookAtBills = `UPDATE bills SET look_time = ? WHERE user_id IN `
	areUnpaid   = ` AND state IN (0, 1, 3)`
	selectBills = `SELECT id, user_id, bill_date, due_date, state, version, create_time, look_time FROM bills WHERE id IN `
	billMoves   = ` ON DUPLICATE KEY UPDATE state = VALUES(state), version = VALUES(version), look_time = VALUES(look_time)`
	// From the bills to their users' loans to their instalments, whatever the server believes of the sizes of the tables. A user's loans
	// are of the account's currency, and only those that have begun have instalments: the wide rows of loans need not be read.
	selectLines = `SELECT STRAIGHT_JOIN b.id, a.currency_code, i.loan_id, i.sequence, i.bill_date, i.due_date, i.billed, i.state,
		i.principal_minor, i.interest_minor, i.fee_minor, i.late_minor, i.paid_principal_minor, i.paid_interest_minor, i.paid_fee_minor, i.paid_late_minor,
		i.open_principal_minor, i.open_interest_minor, i.open_fee_minor, i.open_late_minor,
		i.cancelled_principal_minor, i.cancelled_interest_minor, i.cancelled_fee_minor, i.cancelled_late_minor
		FROM bills b JOIN credit_accounts a ON a.user_id = b.user_id JOIN loans l FORCE INDEX (loan_user) ON l.user_id = b.user_id
		JOIN instalments i ON i.loan_id = l.id AND i.bill_date = b.bill_date AND i.due_date = b.due_date WHERE b.id IN `
	// What was given up before its bill was made is on none. Only what has nothing open can have been.
	butGivenUp = ` AND (i.state NOT IN (2, 5, 6) OR NOT EXISTS (SELECT 1 FROM loan_facts f
		WHERE f.loan_id = i.loan_id AND f.kind = 5 AND f.void_time IS NULL AND f.value_date < i.bill_date))`
)

// LookAtBills implements app.Tx.
func (t *Tx) LookAtBills(userIDs []string, which app.BillsToLookAt, at time.Time) {
	if len(userIDs) == 0 {
		return
	}
	query := lookAtBills + mysqlx.In(len(userIDs))
	if which != app.AllBills {
		query += areUnpaid
	}
	args := []any{at}
	for _, u := range userIDs {
		args = append(args, u)
	}
	t.Tx.Queue(query, args...)
}

// PutBills implements app.Tx.
func (t *Tx) PutBills(bills []app.BillRow) { t.putBills(bills, billMoves) }

func (t *Tx) putBills(bills []app.BillRow, tail string) {
	t.inChunks(len(bills), billWidth, insertBills, tail, func(i int) []any {
		b := bills[i]
		return []any{b.ID, b.UserID, b.BillDate, b.DueDate, b.State, b.Version, b.CreateTime, nullTime(b.LookTime)}
	})
}

// LockBills implements app.LockingTx.
func (t *Tx) LockBills(ctx context.Context, billIDs []ids.ID) (out []app.BillRow, err error) {
	if len(billIDs) == 0 {
		return nil, nil
	}
	rows, err := t.Tx.Query(ctx, selectBills+mysqlx.In(len(billIDs))+orderByID+` FOR UPDATE`, arguments(billIDs)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var b app.BillRow
		var look sql.NullTime
		if err := rows.Scan(&b.ID, &b.UserID, &b.BillDate, &b.DueDate, &b.State, &b.Version, &b.CreateTime, &look); err != nil {
			return nil, err
		}
		b.LookTime = look.Time
		out = append(out, b)
	}
	return out, rows.Err()
}

// BillLines implements app.LockingTx.
func (t *Tx) BillLines(ctx context.Context, bills []app.BillRow) (out map[ids.ID][]domain.BillLine, err error) {
	out = make(map[ids.ID][]domain.BillLine, len(bills))
	if len(bills) == 0 {
		return out, nil
	}
	args := make([]any, len(bills))
	for i, b := range bills {
		args[i] = b.ID
	}
	rows, err := t.Tx.Query(ctx, selectLines+mysqlx.In(len(bills))+butGivenUp, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		bill, line, err := scanLine(rows)
		if err != nil {
			return nil, err
		}
		out[bill] = append(out[bill], line)
	}
	return out, rows.Err()
}

func scanLine(row mysqlx.Row) (bill ids.ID, l domain.BillLine, err error) {
	var code string
	var minor [16]int64
	into := []any{&bill, &code, &l.LoanID, &l.Sequence, &l.BillDate, &l.DueDate, &l.Billed, &l.State}
	for i := range minor {
		into = append(into, &minor[i])
	}
	if err := row.Scan(into...); err != nil {
		return bill, l, err
	}
	of, err := amounts(code)
	if err != nil {
		return bill, l, err
	}
	l.WrittenOff, l.Recovered = domain.ZeroParts(of(0).Currency()), domain.ZeroParts(of(0).Currency())
	for i, into := range []*domain.Parts{&l.Charged, &l.Paid, &l.Open, &l.Cancelled} {
		m := minor[4*i : 4*i+4]
		*into = domain.Parts{Principal: of(m[0]), Interest: of(m[1]), Fee: of(m[2]), Late: of(m[3])}
	}
	return bill, l, nil
}

// DoLocking implements app.Store.
func (s *Store) DoLocking(ctx context.Context, fn func(app.LockingTx) error) error {
	return s.Do(ctx, func(tx app.Tx) error {
		locking, ok := tx.(app.LockingTx)
		if !ok {
			return errs.Internal.New("the unit of work cannot lock")
		}
		return fn(locking)
	})
}

const insertProduct = `INSERT INTO products (code, version, definition, effective_time, create_time) VALUES (?, ?, ?, ?, ?)`

// InsertProduct implements app.Tx.
func (t *Tx) InsertProduct(p domain.Product, at time.Time) {
	definition, err := json.Marshal(p)
	if err != nil {
		t.Fail(errs.Internal.Wrap(err, "write product %s", p.Code))
		return
	}
	t.Tx.Queue(insertProduct, p.Code, p.Version, definition, p.EffectiveFrom, at)
}

const selectLastVersion = `SELECT COALESCE(MAX(version), 0) FROM products WHERE code = ?`

// LastVersion implements app.Store.
func (s *Store) LastVersion(ctx context.Context, code string) (int, error) {
	var n int
	err := s.kit.DB.QueryRowContext(ctx, selectLastVersion, code).Scan(&n)
	return n, mysqlx.Fault(err, "read the versions of a product")
}
