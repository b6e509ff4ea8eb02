package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

const (
	selectLoanRefund = `SELECT refund_id, loan_id, order_id, kind, currency_code, amount_minor, effect, actor, create_time FROM loan_refunds WHERE refund_id = ?`
	insertLoanRefund = `INSERT INTO loan_refunds (refund_id, loan_id, order_id, kind, currency_code, amount_minor, cash_minor, credit_minor, effect, actor,
		create_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertSource = `INSERT INTO refund_sources (refund_id, repayment_id, loan_id, amount_minor) VALUES `
	// The currency comes last: only loans that gave something back are read for it.
	selectGiven = `SELECT STRAIGHT_JOIN s.refund_id, s.repayment_id, s.amount_minor, l.currency_code FROM refund_sources s JOIN loans l ON l.id = s.loan_id
		WHERE s.loan_id = ?`
	selectSource = `SELECT s.amount_minor, s.keep_time, r.currency_code FROM refund_sources s JOIN loan_refunds r ON r.refund_id = s.refund_id
		WHERE s.refund_id = ? AND s.repayment_id = ?`
	selectReturns = `SELECT s.loan_id, s.refund_id, s.repayment_id, s.amount_minor, r.create_time FROM refund_sources s
		JOIN loan_refunds r ON r.refund_id = s.refund_id WHERE s.keep_time IS NULL AND s.loan_id IN `
	keepSource = `UPDATE refund_sources SET keep_time = ?, keep_actor = ? WHERE refund_id = ? AND repayment_id = ? AND keep_time IS NULL`
)

// storedEffect is what a refund did, as it is stored. Amounts are minor units of the refund's currency. Its names are part of the
// database: fields may be added, never renamed or given another meaning.
type storedEffect struct {
	State      domain.LoanState `json:"loan_state"`
	Principal  int64            `json:"principal_released_minor"`
	Interest   int64            `json:"interest_released_minor"`
	Fee        int64            `json:"fee_released_minor"`
	Cash       int64            `json:"cash_minor"`
	Credit     int64            `json:"credit_minor"`
	LimitFreed int64            `json:"limit_freed_minor"`
	Sources    []storedReturn   `json:"sources,omitempty"`
	Plan       *storedPlanAfter `json:"plan_after,omitempty"`
	Changes    []storedChange   `json:"instalments,omitempty"`
}

type storedReturn struct {
	RepaymentID ids.ID `json:"repayment_id"`
	Amount      int64  `json:"amount_minor"`
}

type storedChange struct {
	Sequence int        `json:"sequence"`
	DueDate  civil.Date `json:"due_date"`
	Before   int64      `json:"open_before_minor"`
	After    int64      `json:"open_after_minor"`
}

// storedPlanAfter is a plan with the figures that a loan has in columns.
type storedPlanAfter struct {
	ProductCode    string          `json:"product_code"`
	ProductVersion int             `json:"product_version"`
	TenorMonths    int             `json:"tenor_months"`
	Principal      int64           `json:"principal_minor"`
	Interest       int64           `json:"interest_minor"`
	Fee            int64           `json:"fee_minor"`
	Total          int64           `json:"total_minor"`
	Rest           json.RawMessage `json:"plan"`
}

func encodeEffect(e domain.RefundAdjustment) ([]byte, error) {
	s := storedEffect{
		State: e.State, Principal: e.Released.Principal.Minor(), Interest: e.Released.Interest.Minor(), Fee: e.Released.Fee.Minor(),
		Cash: e.Cash.Minor(), Credit: e.Credit.Minor(), LimitFreed: e.LimitFreed.Minor(),
	}
	for _, r := range e.Sources {
		s.Sources = append(s.Sources, storedReturn{r.RepaymentID, r.Amount.Minor()})
	}
	for _, c := range e.Instalments {
		s.Changes = append(s.Changes, storedChange{c.Sequence, c.DueDate, c.Before.Minor(), c.After.Minor()})
	}
	if p := e.Plan; len(p.Instalments) > 0 {
		rest, err := encodePlan(p)
		if err != nil {
			return nil, err
		}
		s.Plan = &storedPlanAfter{
			p.ProductCode, p.ProductVersion, p.TenorMonths, p.Principal.Minor(), p.Interest.Minor(), p.Fee.Minor(), p.Total.Minor(), rest,
		}
	}
	return json.Marshal(s)
}

func decodeEffect(data []byte, of func(int64) money.Amount) (domain.RefundAdjustment, error) {
	var s storedEffect
	if err := json.Unmarshal(data, &s); err != nil {
		return domain.RefundAdjustment{}, err
	}
	e := domain.RefundAdjustment{
		State: s.State, Cash: of(s.Cash), Credit: of(s.Credit), LimitFreed: of(s.LimitFreed),
		Released: domain.Parts{Principal: of(s.Principal), Interest: of(s.Interest), Fee: of(s.Fee), Late: of(0)},
	}
	for _, r := range s.Sources {
		e.Sources = append(e.Sources, domain.RepaymentReturn{RepaymentID: r.RepaymentID, Amount: of(r.Amount)})
	}
	for _, c := range s.Changes {
		e.Instalments = append(e.Instalments, domain.InstalmentChange{Sequence: c.Sequence, DueDate: c.DueDate, Before: of(c.Before), After: of(c.After)})
	}
	if p := s.Plan; p != nil {
		e.Plan = domain.Plan{
			ProductCode: p.ProductCode, ProductVersion: p.ProductVersion, TenorMonths: p.TenorMonths,
			Principal: of(p.Principal), Interest: of(p.Interest), Fee: of(p.Fee), Total: of(p.Total),
		}
		if err := decodePlan(&e.Plan, p.Rest, of); err != nil {
			return e, err
		}
	}
	return e, nil
}

// LoanRefund implements app.Store.
func (s *Store) LoanRefund(ctx context.Context, refundID ids.ID) (app.LoanRefund, bool, error) {
	r, found, err := readLoanRefund(ctx, s.kit.DB.QueryContext, refundID)
	return r, found, mysqlx.Fault(err, "read a refund")
}

// LoanRefund implements app.LockingTx.
func (t *Tx) LoanRefund(ctx context.Context, refundID ids.ID) (app.LoanRefund, bool, error) {
	return readLoanRefund(ctx, t.Tx.Query, refundID)
}

func readLoanRefund(ctx context.Context, query queryFunc, refundID ids.ID) (r app.LoanRefund, found bool, err error) {
	rows, err := query(ctx, selectLoanRefund, refundID)
	if err != nil {
		return r, false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return r, false, rows.Err()
	}
	var code string
	var amount int64
	var effect []byte
	if err := rows.Scan(&r.RefundID, &r.LoanID, &r.OrderID, &r.Kind, &code, &amount, &effect, &r.Actor, &r.CreateTime); err != nil {
		return r, false, err
	}
	of, err := amounts(code)
	if err != nil {
		return r, false, err
	}
	r.Amount = of(amount)
	if r.Effect, err = decodeEffect(effect, of); err != nil {
		return r, false, errs.Internal.Wrap(err, "refund %s is damaged", ids.Format(ids.Refund, refundID))
	}
	return r, true, nil
}

// InsertLoanRefund implements app.Tx.
func (t *Tx) InsertLoanRefund(r app.LoanRefund) {
	effect, err := encodeEffect(r.Effect)
	if err != nil {
		t.Fail(errs.Internal.Wrap(err, "write a refund"))
		return
	}
	t.refunds = true
	t.Tx.Queue(insertLoanRefund, r.RefundID, r.LoanID, r.OrderID, r.Kind, r.Amount.Currency().Code(), r.Amount.Minor(), r.Effect.Cash.Minor(),
		r.Effect.Credit.Minor(), effect, r.Actor, r.CreateTime)
	for _, s := range r.Effect.Sources {
		t.Tx.QueueRow(insertSource, r.RefundID, s.RepaymentID, r.LoanID, s.Amount.Minor())
	}
}

// RefundsGiven implements app.Store.
func (s *Store) RefundsGiven(ctx context.Context, loanID ids.ID) ([]domain.Given, error) {
	given, err := readGiven(ctx, s.kit.DB.QueryContext, loanID)
	return given, mysqlx.Fault(err, "read what refunds gave back")
}

// RefundsGiven implements app.LockingTx.
func (t *Tx) RefundsGiven(ctx context.Context, loanID ids.ID) ([]domain.Given, error) {
	return readGiven(ctx, t.Tx.Query, loanID)
}

func readGiven(ctx context.Context, query queryFunc, loanID ids.ID) (out []domain.Given, err error) {
	rows, err := query(ctx, selectGiven, loanID)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var g domain.Given
		var minor int64
		var code string
		if err := rows.Scan(&g.RefundID, &g.RepaymentID, &minor, &code); err != nil {
			return nil, err
		}
		of, err := amounts(code)
		if err != nil {
			return nil, err
		}
		g.Amount = of(minor)
		out = append(out, g)
	}
	return out, rows.Err()
}

// RefundSource implements app.Store.
func (s *Store) RefundSource(ctx context.Context, refundID, repaymentID ids.ID) (app.RefundSource, bool, error) {
	src, found, err := readSource(ctx, s.kit.DB.QueryContext, refundID, repaymentID)
	return src, found, mysqlx.Fault(err, "read what a refund gives back")
}

// RefundSource implements app.LockingTx.
func (t *Tx) RefundSource(ctx context.Context, refundID, repaymentID ids.ID) (app.RefundSource, bool, error) {
	return readSource(ctx, t.Tx.Query, refundID, repaymentID)
}

func readSource(ctx context.Context, query queryFunc, refundID, repaymentID ids.ID) (src app.RefundSource, found bool, err error) {
	rows, err := query(ctx, selectSource, refundID, repaymentID)
	if err != nil {
		return src, false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return src, false, rows.Err()
	}
	var minor int64
	var kept sql.NullTime
	var code string
	if err := rows.Scan(&minor, &kept, &code); err != nil {
		return src, false, err
	}
	of, err := amounts(code)
	if err != nil {
		return src, false, err
	}
	return app.RefundSource{Amount: of(minor), KeepTime: kept.Time}, true, nil
}

// KeepSource implements app.Tx.
func (t *Tx) KeepSource(refundID, repaymentID ids.ID, actor string, at time.Time) {
	t.Tx.QueueExpect(1, changed(), keepSource, at, actor, refundID, repaymentID)
}

const selectKept = `SELECT reference, user_id, currency_code, amount_minor, create_time FROM kept_cash WHERE `

// KeptCash implements app.Store.
func (s *Store) KeptCash(ctx context.Context, reference ids.ID) (app.KeptCash, bool, error) {
	list, err := s.kept(ctx, `reference = ?`, reference)
	if err != nil || len(list) == 0 {
		return app.KeptCash{}, false, err
	}
	return list[0], true, nil
}

// KeptOfUser implements app.Store.
func (s *Store) KeptOfUser(ctx context.Context, userID string) ([]app.KeptCash, error) {
	return s.kept(ctx, `user_id = ?`, userID)
}

func (s *Store) kept(ctx context.Context, where string, of any) ([]app.KeptCash, error) {
	rows, err := s.kit.DB.QueryContext(ctx, selectKept+where, of)
	out, err := scanAll(rows, err, func(row mysqlx.Row) (k app.KeptCash, err error) {
		var code string
		var minor int64
		if err := row.Scan(&k.Reference, &k.UserID, &code, &minor, &k.CreateTime); err != nil {
			return k, err
		}
		currency, err := money.CurrencyOf(code)
		if err != nil {
			return k, errs.Internal.Wrap(err, "stored cash has an unknown currency")
		}
		k.Amount = money.New(minor, currency)
		return k, nil
	})
	return out, mysqlx.Fault(err, "read kept cash")
}

// InsertKeptCash implements app.Tx.
func (t *Tx) InsertKeptCash(k app.KeptCash) {
	t.Tx.Queue(`INSERT INTO kept_cash (reference, user_id, currency_code, amount_minor, create_time) VALUES (?, ?, ?, ?, ?)`,
		k.Reference, k.UserID, k.Amount.Currency().Code(), k.Amount.Minor(), k.CreateTime)
}

// ReturnsOfLoans implements app.Store.
func (s *Store) ReturnsOfLoans(ctx context.Context, loanIDs []ids.ID) ([]app.LoanReturn, error) {
	if len(loanIDs) == 0 {
		return nil, nil
	}
	rows, err := s.kit.DB.QueryContext(ctx, selectReturns+mysqlx.In(len(loanIDs)), arguments(loanIDs)...)
	out, err := scanAll(rows, err, func(row mysqlx.Row) (r app.LoanReturn, err error) {
		return r, row.Scan(&r.LoanID, &r.RefundID, &r.RepaymentID, &r.Amount, &r.Time)
	})
	return out, mysqlx.Fault(err, "read what refunds give back")
}
