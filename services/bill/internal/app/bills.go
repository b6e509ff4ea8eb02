package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// UserBill is a bill with its id.
type UserBill struct {
	ID ids.ID
	domain.Bill
}

// UserLoan is a loan where it stands today.
type UserLoan struct {
	Loan
	Position domain.Position
}

// Standing is what a user owes and has today, by replay: it is right also while timers are late.
type Standing struct {
	Account Account
	Loans   []UserLoan
	// Bills are oldest first.
	Bills []UserBill
}

// StandingOf gives a user's standing. Errors: errs.AccountNotFound.
func (a *App) StandingOf(ctx context.Context, userID string) (Standing, error) {
	account, own, err := a.ownLoans(ctx, userID)
	if err != nil {
		return Standing{}, err
	}
	s := Standing{Account: account}
	for _, p := range own.positions {
		i := slices.IndexFunc(own.loans, func(l Loan) bool { return l.ID == p.LoanID })
		s.Loans = append(s.Loans, UserLoan{Loan: own.loans[i], Position: p.Position})
	}
	bills, err := own.bills()
	s.Bills = bills
	return s, err
}

// bills are the user's bills, oldest first. Loans that were given up before a bill was made are not on it.
func (o ownLoans) bills() ([]UserBill, error) {
	list, err := domain.BillsOf(o.positions)
	if err != nil {
		return nil, err
	}
	out := make([]UserBill, len(list))
	for i, b := range list {
		out[i] = UserBill{ID: BillID(o.userID, domain.BillName{BillDate: b.BillDate, DueDate: b.DueDate}), Bill: b}
	}
	return out, nil
}

// LookAtBills tells what became of bills since they were told last: that they were made, and whenever their state changed. A bill is
// looked at whenever one of its instalments moved, so it goes by where the instalments were left. Bills that need no look any more are
// passed over.
func (a *App) LookAtBills(ctx context.Context, billIDs []ids.ID) error {
	return a.store.DoLocking(ctx, func(tx LockingTx) error {
		// The bills are locked before their instalments are read: whoever moves one later has its bill looked at again.
		rows, err := tx.LockBills(ctx, billIDs)
		if err != nil {
			return err
		}
		now := a.now()
		rows = slices.DeleteFunc(rows, func(r BillRow) bool { return r.LookTime.IsZero() || r.LookTime.After(now) })
		lines, err := tx.BillLines(ctx, rows)
		if err != nil {
			return err
		}
		for i := range rows {
			if err := tellBill(tx, &rows[i], lines[rows[i].ID]); err != nil {
				return err
			}
		}
		tx.PutBills(rows)
		return nil
	})
}

// tellBill brings a bill to the state of its lines, and tells when that is another one.
func tellBill(tx Tx, row *BillRow, lines []domain.BillLine) error {
	row.LookTime = time.Time{}
	if len(lines) == 0 {
		return nil
	}
	b, err := domain.BillOf(row.BillDate, row.DueDate, lines)
	if err != nil {
		return err
	}
	if b.State == row.State {
		return nil
	}
	if row.State != 0 {
		if err := domain.BillStates.Check(row.State, b.State); err != nil {
			return errs.Internal.Wrap(err, "bill %s", ids.Format(ids.Bill, row.ID))
		}
	}
	row.State, row.Version = b.State, row.Version+1
	tx.Emit(domain.BillChanged{BillID: row.ID, UserID: row.UserID, BillName: row.BillName, State: row.State, Open: b.OpenTotal, Version: row.Version})
	return nil
}

// EntryKind is what an entry of the bill list is. The numbers are the contract's.
type EntryKind uint8

// The kinds of entries.
const (
	EntryPurchase   EntryKind = 1
	EntryInstalment EntryKind = 2
	EntryFee        EntryKind = 3
	EntryRepayment  EntryKind = 4
	EntryRefund     EntryKind = 5
	EntryAdjustment EntryKind = 6
)

// Entry is a line of a user's bill list. A purchase is there to be seen and counts for nothing. All others add up to what is open of
// the instalments that are among them, less what was paid, taken back or recovered of those that are not, less the credit balance.
type Entry struct {
	// ID names it for QueryBillTxnDetail.
	ID       string
	Kind     EntryKind
	Business string
	BillID   ids.ID
	OrderID  ids.ID
	LoanID   ids.ID
	// Sequence is the instalment that an instalment or a fee is of; 0 for all others.
	Sequence int
	Amount   money.Amount
	Time     time.Time
	// State is "open", "paid", "overdue", "cancelled" or "written off"; empty where there is none.
	State string
}

// EntryFilter says which entries are wanted; its zero value takes all.
type EntryFilter struct {
	Business string
	// Year and Month of the bill; zero for all.
	Cycle civil.Date
	State string
	// From and To bound the time, From inclusive; zero for open.
	From, To time.Time
	// Before is where the page begins: entries older than this key; empty for the newest.
	Before string
	Limit  int
}

// key orders entries by time; ids tell equal times apart.
func (e Entry) key() string { return e.Time.UTC().Format(keyTime) + "|" + e.ID }

const keyTime = "20060102T150405.000000"

// IsEntryKey reports whether a text has the form of an entry's key.
func IsEntryKey(text string) bool {
	at, id, ok := strings.Cut(text, "|")
	_, err := time.Parse(keyTime, at)
	return ok && id != "" && err == nil
}

func (f EntryFilter) wants(e Entry) bool {
	switch {
	case f.Business != "" && e.Business != f.Business, f.State != "" && e.State != f.State:
		return false
	case !f.From.IsZero() && e.Time.Before(f.From), !f.To.IsZero() && !e.Time.Before(f.To):
		return false
	case f.Before != "" && e.key() >= f.Before:
		return false
	case !f.Cycle.IsZero() && (e.BillID.IsZero() || e.BillID.Time().UTC().Year() != f.Cycle.Year || e.BillID.Time().UTC().Month() != f.Cycle.Month):
		return false
	}
	return true
}

// QueryBillTxnList gives a user's entries, newest first, and where the next page begins; empty on the last. Errors:
// errs.AccountNotFound.
func (a *App) QueryBillTxnList(ctx context.Context, userID string, f EntryFilter) ([]Entry, string, error) {
	all, _, err := a.entries(ctx, userID)
	if err != nil {
		return nil, "", err
	}
	var page []Entry
	for _, e := range all {
		if !f.wants(e) {
			continue
		}
		if len(page) == f.Limit {
			return page, page[len(page)-1].key(), nil
		}
		page = append(page, e)
	}
	return page, "", nil
}

// BusinessLine is a business line with bill entries of a user.
type BusinessLine struct {
	Code   string
	Count  int64
	Amount money.Amount
}

// QueryBusinessList gives the business lines in which a user has entries, by code; amounts are what is still open of their loans.
// Errors: errs.AccountNotFound.
func (a *App) QueryBusinessList(ctx context.Context, userID string) ([]BusinessLine, error) {
	all, standing, err := a.entries(ctx, userID)
	if err != nil {
		return nil, err
	}
	lines := map[string]BusinessLine{}
	for _, e := range all {
		l, ok := lines[e.Business]
		if !ok {
			l = BusinessLine{Code: e.Business, Amount: money.Zero(standing.Account.Limit.Currency())}
		}
		l.Count++
		lines[e.Business] = l
	}
	for _, u := range standing.Loans {
		l := lines[u.Business]
		if l.Amount, err = l.Amount.Add(u.Position.OpenTotal); err != nil {
			return nil, errs.Internal.Wrap(err, "the loans of one user do not add up")
		}
		lines[u.Business] = l
	}
	var out []BusinessLine
	for _, l := range lines {
		if l.Code != "" {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(x, y BusinessLine) int { return compareText(x.Code, y.Code) })
	return out, nil
}

func compareText(x, y string) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	default:
		return 0
	}
}
