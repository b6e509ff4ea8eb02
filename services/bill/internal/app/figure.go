package app

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// A loan that runs is its contract and its facts. Everything else is figured by replay: this file owns the one way from a replay to
// the rows. Whatever happens to a loan, time passing, a repayment, a bounce, an operator's act, ends in figure and writeFigured.

// figured is a loan before and after a replay.
type figured struct {
	before, after Loan
	pos           domain.Position
	// lines lead from what the journal has to the position.
	lines []domain.Line
}

// contract is what a loan that has begun was made with.
func (a *App) contract(ctx context.Context, r ProductReader, l Loan) (domain.Contract, error) {
	product, err := a.products.version(ctx, r, l.Plan.ProductCode, l.Plan.ProductVersion)
	if err != nil {
		return domain.Contract{}, err
	}
	return domain.Contract{Product: product, Plan: l.Plan, Start: l.Start}, nil
}

// today is the day of a time in a product's calendar.
func today(p domain.Product, at time.Time) civil.Date { return civil.Of(at, p.Zone()) }

// figure replays a loan with the facts that stand, as of now.
func (a *App) figure(ctx context.Context, r ProductReader, l Loan, facts []domain.Fact, now time.Time) (figured, error) {
	terms, err := a.contract(ctx, r, l)
	if err != nil {
		return figured{}, err
	}
	asOf := today(terms.Product, now)
	if asOf.Before(l.Start) {
		asOf = l.Start // The clock of who confirmed the goods is ahead of ours.
	}
	f := figured{before: l, after: l}
	if f.pos, err = domain.Replay(terms, facts, asOf); err != nil {
		return f, err
	}
	if f.after.Loan, err = l.Follow(f.pos, now); err != nil {
		return f, err
	}
	posted := l.Books
	if posted == nil {
		if posted, err = domain.OpeningBalances(terms); err != nil {
			return f, err
		}
	}
	if f.after.Books, err = f.pos.BalancesPaying(l.Payable); err != nil {
		return f, err
	}
	if f.lines, err = domain.LinesBetween(terms.Product.Currency, posted, f.after.Books); err != nil {
		return f, err
	}
	if f.after.Overpaid, err = f.pos.CreditShare(l.Payable); err != nil {
		return f, err
	}
	f.after.Overdue, f.after.Refunded = f.pos.Overdue, f.pos.Cancelled.Principal
	f.after.RollTime = time.Time{}
	if day, ok := domain.NextChange(terms, f.pos); ok {
		f.after.RollTime = day.In(terms.Product.Zone()).UTC()
	}
	return f, nil
}

// writeFigured queues everything that changed. Accounts come last, in the order of their users, so that two batches with users in
// common wait for each other instead of locking each other out.
func (a *App) writeFigured(tx Tx, list []figured, cause, actor string, look BillsToLookAt, now time.Time) error {
	var loans []Loan
	var rows []InstalmentRow
	var bills []BillRow
	deltas := map[string]AccountDelta{}
	for _, f := range list {
		if f.after.State != f.before.State {
			f.after.EndActor, f.after.EndCause = "", ""
			if !f.after.EndTime.IsZero() {
				f.after.EndActor, f.after.EndCause = actor, cause
			}
		}
		loans = append(loans, f.after)
		if len(f.lines) > 0 {
			post(tx, f.after, cause, f.lines)
		}
		for _, in := range f.pos.Instalments {
			if cause != causeTime || f.moves(in) {
				rows = append(rows, InstalmentRow{LoanID: f.after.ID, InstalmentPosition: in})
			}
			if f.pos.OnBill(in) {
				name := domain.BillName{BillDate: in.BillDate, DueDate: in.DueDate}
				bills = append(bills, BillRow{ID: BillID(f.after.UserID, name), UserID: f.after.UserID, BillName: name, Version: 1, CreateTime: now, LookTime: now})
			}
		}
		tellFigured(tx, f)
		d, err := deltas[f.after.UserID].plus(f)
		if err != nil {
			return err
		}
		deltas[f.after.UserID] = d
	}
	tx.FollowLoans(loans)
	tx.PutInstalments(rows)
	tx.InsertBills(unique(bills))
	users := slices.Sorted(maps.Keys(deltas))
	tx.LookAtBills(users, look, now)
	for _, user := range users {
		if d := deltas[user]; !d.nothing() {
			tx.ChangeAccount(d, now)
		}
	}
	return nil
}

// moves reports whether time alone may have moved an instalment since the loan was figured last. What is not billed yet stays as it was
// agreed, and what was billed before and has nothing open stays as it is.
func (f figured) moves(in domain.InstalmentPosition) bool {
	if !in.Billed {
		return false
	}
	since := civil.Of(f.before.RollTime, civil.Jakarta())
	return !in.BillDate.Before(since) || in.Open != domain.ZeroParts(in.Open.Principal.Currency())
}

// tellFigured tells what others want to know of a change.
func tellFigured(tx Tx, f figured) {
	l, version := f.after, f.after.Version+1
	if l.State == domain.LoanSettled && f.before.State != domain.LoanSettled {
		tx.Emit(domain.LoanSettledEvent{LoanID: l.ID, OrderID: l.OrderID, UserID: l.UserID, Version: version})
	}
	if f.before.State == domain.LoanSettled && l.State != domain.LoanSettled {
		tx.Emit(domain.LoanReopened{LoanID: l.ID, OrderID: l.OrderID, UserID: l.UserID, Version: version})
	}
	if (l.State == domain.LoanOverdue) != (f.before.State == domain.LoanOverdue) {
		tx.Emit(domain.LoanOverdueChanged{LoanID: l.ID, OrderID: l.OrderID, UserID: l.UserID, Overdue: l.Overdue, Version: version})
	}
}

// plus adds what a figured loan changes.
func (d AccountDelta) plus(f figured) (AccountDelta, error) {
	if d.UserID == "" {
		zero := money.Zero(f.after.Plan.Principal.Currency())
		d = AccountDelta{UserID: f.after.UserID, Used: zero, Credit: zero}
	}
	var err error
	grow := func(sum, before, after money.Amount) money.Amount {
		if err != nil {
			return sum
		}
		var diff money.Amount
		if diff, err = after.Sub(before); err == nil {
			sum, err = sum.Add(diff)
		}
		return sum
	}
	d.Used = grow(d.Used, f.before.Outstanding, f.after.Outstanding)
	d.Credit = grow(d.Credit, f.before.Overpaid, f.after.Overpaid)
	d.OverdueLoans += overdueCount(f.after) - overdueCount(f.before)
	if err != nil {
		return d, errs.Internal.Wrap(err, "the loans of one user do not add up")
	}
	return d, nil
}

func overdueCount(l Loan) int {
	if l.State == domain.LoanOverdue {
		return 1
	}
	return 0
}

func (d AccountDelta) nothing() bool {
	return d.Used.IsZero() && d.Credit.IsZero() && d.OverdueLoans == 0
}

// BillID is the id of a user's bill: the day on which it is made, and a digest of whose it is. Whoever names a bill first gives it
// the same id.
func BillID(userID string, name domain.BillName) ids.ID {
	digest := sha256.Sum256([]byte(userID + "|" + name.BillDate.String() + "|" + name.DueDate.String()))
	var id ids.ID
	copy(id[:], digest[:16])
	var stamp [8]byte
	binary.BigEndian.PutUint64(stamp[:], uint64(name.BillDate.In(time.UTC).UnixMilli()))
	copy(id[:6], stamp[2:])
	id[6], id[8] = 0x70|id[6]&0x0f, 0x80|id[8]&0x3f
	return id
}

// unique is each bill once, by id.
func unique(bills []BillRow) []BillRow {
	byID := make(map[ids.ID]BillRow, len(bills))
	for _, b := range bills {
		byID[b.ID] = b
	}
	return slices.SortedFunc(maps.Values(byID), func(x, y BillRow) int { return slices.Compare(x.ID[:], y.ID[:]) })
}
