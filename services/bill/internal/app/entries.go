package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// entries are all entries of a user, newest first, by replay.
func (a *App) entries(ctx context.Context, userID string) ([]Entry, Standing, error) {
	s, err := a.StandingOf(ctx, userID)
	if err != nil {
		return nil, s, err
	}
	_, facts, err := a.store.BegunLoans(ctx, userID)
	if err != nil {
		return nil, s, err
	}
	repayments, err := a.store.RepaymentsOfUser(ctx, userID)
	if err != nil {
		return nil, s, err
	}
	var list []Entry
	for _, l := range s.Loans {
		entries, err := entriesOf(l, facts[l.ID])
		if err != nil {
			return nil, s, err
		}
		list = append(list, entries...)
	}
	for _, r := range repayments {
		if r.State == domain.RepaymentSucceeded {
			list = append(list, Entry{ID: ids.Format(ids.Repayment, r.ID), Kind: EntryRepayment, Amount: negative(r.Amount), Time: r.PayTime, State: "paid"})
		}
	}
	slices.SortFunc(list, func(x, y Entry) int { return compareText(y.key(), x.key()) })
	return list, s, nil
}

func negative(a money.Amount) money.Amount { return money.New(-a.Minor(), a.Currency()) }

// entriesOf are the entries of a loan, but for repayments, which may be of several loans.
func entriesOf(l UserLoan, facts []domain.Fact) ([]Entry, error) {
	loan := ids.Format(ids.Loan, l.ID)
	base := Entry{Business: l.Business, OrderID: l.OrderID, LoanID: l.ID}
	out := []Entry{base.as(loan, EntryPurchase, l.Plan.Principal, l.ActivateTime, stateText(l.Position))}
	for _, in := range l.Position.Instalments {
		if !in.Billed || !l.Position.WrittenOffOn.IsZero() && in.BillDate.After(l.Position.WrittenOffOn) {
			continue
		}
		planned, err := money.Sum(in.Charged.Principal.Currency(), in.Charged.Principal, in.Charged.Interest, in.Charged.Fee)
		if err != nil {
			return nil, errs.Internal.Wrap(err, "an instalment does not add up")
		}
		e := base.as(fmt.Sprintf("%s-%d", loan, in.Sequence), EntryInstalment, planned, day(in.BillDate), instalmentText(in.State))
		if !in.BillDate.After(l.Position.AsOf) {
			e.BillID = BillID(l.UserID, domain.BillName{BillDate: in.BillDate, DueDate: in.DueDate})
		}
		out = append(out, e)
	}
	for _, c := range l.Position.LateCharges {
		in, _ := l.Position.Instalment(c.Sequence)
		e := base.as(fmt.Sprintf("%s-%d-late-%s", loan, c.Sequence, c.Date), EntryFee, c.Amount, day(c.Date), instalmentText(in.State))
		e.BillID = BillID(l.UserID, domain.BillName{BillDate: in.BillDate, DueDate: in.DueDate})
		out = append(out, e)
	}
	for _, f := range facts {
		id := loan + "-" + f.ID.String()
		switch f.Kind {
		case domain.FactRefunded:
			effect, _ := l.Position.RefundOf(f.ID)
			sum, err := money.Sum(f.Amount.Currency(), effect.Principal, effect.Interest, effect.Fee)
			if err != nil {
				return nil, errs.Internal.Wrap(err, "a refund does not add up")
			}
			out = append(out, base.as(id, EntryRefund, negative(sum), day(f.Date), ""))
		case domain.FactLateFeeWaived:
			out = append(out, base.as(id, EntryAdjustment, negative(f.Amount), day(f.Date), ""))
		case domain.FactWrittenOff:
			given, err := l.Position.WrittenOff.Total()
			if err != nil {
				return nil, err
			}
			out = append(out, base.as(id, EntryAdjustment, negative(given), day(f.Date), "written off"))
		default: // Money is told by its repayment.
		}
	}
	return out, nil
}

func (e Entry) as(id string, kind EntryKind, amount money.Amount, at time.Time, state string) Entry {
	e.ID, e.Kind, e.Amount, e.Time, e.State = id, kind, amount, at, state
	return e
}

// day is the begin of a day of the products' calendar.
func day(d civil.Date) time.Time { return d.In(civil.Jakarta()).UTC() }

func stateText(p domain.Position) string {
	switch p.State {
	case domain.LoanSettled:
		return "paid"
	case domain.LoanOverdue:
		return "overdue"
	case domain.LoanWrittenOff:
		return "written off"
	default:
		return "open"
	}
}

func instalmentText(s domain.InstalmentState) string {
	switch s {
	case domain.InstalmentPaid:
		return "paid"
	case domain.InstalmentOverdue:
		return "overdue"
	case domain.InstalmentCancelled:
		return "cancelled"
	case domain.InstalmentWrittenOff:
		return "written off"
	default:
		return "open"
	}
}
