package app

import (
	"context"
	"fmt"
	"maps"
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
	list, err := a.moneyEntries(ctx, s)
	if err != nil {
		return nil, s, err
	}
	for _, l := range s.Loans {
		entries, err := entriesOf(l, facts[l.ID])
		if err != nil {
			return nil, s, err
		}
		list = append(list, entries...)
	}
	slices.SortFunc(list, func(x, y Entry) int { return compareText(y.key(), x.key()) })
	return list, s, nil
}

// moneyEntries are the entries of a user's money that are not one loan's: repayments, what refunds give back by them, what was
// paid out of the credit balance, and what of down payments came into it.
func (a *App) moneyEntries(ctx context.Context, s Standing) ([]Entry, error) {
	repayments, err := a.store.RepaymentsOfUser(ctx, s.Account.UserID)
	if err != nil {
		return nil, err
	}
	var list []Entry
	for _, r := range repayments {
		if r.State == domain.RepaymentSucceeded {
			list = append(list, Entry{ID: ids.Format(ids.Repayment, r.ID), Kind: EntryRepayment, Amount: negative(r.Amount), Time: r.PayTime, State: "paid"})
		}
	}
	loans := make(map[ids.ID]UserLoan, len(s.Loans))
	for _, l := range s.Loans {
		loans[l.ID] = l
	}
	returns, err := a.store.ReturnsOfLoans(ctx, slices.Collect(maps.Keys(loans)))
	if err != nil {
		return nil, err
	}
	for _, r := range returns {
		l := loans[r.LoanID]
		id := ids.Format(ids.Loan, l.ID) + "-" + r.RefundID.String() + "-" + r.RepaymentID.String()
		base := Entry{Business: l.Business, OrderID: l.OrderID, LoanID: l.ID}
		list = append(list, base.as(id, EntryAdjustment, money.New(r.Amount, l.Plan.Principal.Currency()), r.Time, ""))
	}
	payouts, err := a.store.Payouts(ctx, s.Account.ID)
	if err != nil {
		return nil, err
	}
	for _, p := range payouts {
		list = append(list, Entry{ID: "payout-" + p.ID.String(), Kind: EntryAdjustment, Amount: money.New(p.Amount, s.Account.Limit.Currency()), Time: p.Time})
	}
	kept, err := a.store.KeptOfUser(ctx, s.Account.UserID)
	if err != nil {
		return nil, err
	}
	for _, k := range kept {
		list = append(list, Entry{ID: "kept-" + k.Reference.String(), Kind: EntryAdjustment, Amount: negative(k.Amount), Time: k.CreateTime})
	}
	return list, nil
}

func negative(a money.Amount) money.Amount { return money.New(-a.Minor(), a.Currency()) }

// entriesOf are the entries of a loan, but for repayments, which may be of several loans.
func entriesOf(l UserLoan, facts []domain.Fact) ([]Entry, error) {
	loan := ids.Format(ids.Loan, l.ID)
	base := Entry{Business: l.Business, OrderID: l.OrderID, LoanID: l.ID}
	out := []Entry{base.as(loan, EntryPurchase, l.Plan.Principal, l.ActivateTime, stateText(l.Position))}
	p := l.Position
	for _, in := range p.Instalments {
		if !told(p, in) {
			continue
		}
		planned, err := money.Sum(in.Charged.Principal.Currency(), in.Charged.Principal, in.Charged.Interest, in.Charged.Fee)
		if err != nil {
			return nil, errs.Internal.Wrap(err, "an instalment does not add up")
		}
		charged := in.BillDate
		if on := p.AcceleratedOn; !on.IsZero() && on.Before(charged) {
			charged = on // An early settlement asked for it.
		}
		e := base.as(fmt.Sprintf("%s-%d", loan, in.Sequence), EntryInstalment, planned, day(charged), instalmentText(in.State))
		e.Sequence = in.Sequence
		if p.OnBill(in) {
			e.BillID = BillID(l.UserID, domain.BillName{BillDate: in.BillDate, DueDate: in.DueDate})
		}
		out = append(out, e)
	}
	for _, c := range p.LateCharges {
		in, _ := p.Instalment(c.Sequence)
		e := base.as(fmt.Sprintf("%s-%d-late-%s", loan, c.Sequence, c.Date), EntryFee, c.Amount, day(c.Date), instalmentText(in.State))
		e.Sequence, e.BillID = c.Sequence, BillID(l.UserID, domain.BillName{BillDate: in.BillDate, DueDate: in.DueDate})
		out = append(out, e)
	}
	for _, f := range facts {
		e, err := factEntry(base, p, f)
		if err != nil {
			return nil, err
		}
		if !e.Amount.IsZero() {
			e.ID, e.Time = loan+"-"+f.ID.String(), day(f.Date)
			out = append(out, e)
		}
	}
	return out, nil
}

// told reports whether an instalment is among the entries: it was billed, or an early settlement asked for it. What a loan that was
// given up had not billed never is.
func told(p domain.Position, in domain.InstalmentPosition) bool {
	return in.Billed && (p.WrittenOffOn.IsZero() || !in.BillDate.After(p.WrittenOffOn) || !p.AcceleratedOn.IsZero())
}

// factEntry is what a fact adds to the entries of its loan; nothing for money that its repayment tells.
func factEntry(base Entry, p domain.Position, f domain.Fact) (Entry, error) {
	e := base
	e.Kind, e.Amount = EntryAdjustment, money.Zero(f.Amount.Currency())
	parts := []money.Amount{}
	switch f.Kind {
	case domain.FactRefunded:
		effect, _ := p.RefundOf(f.ID)
		e.Kind, parts = EntryRefund, []money.Amount{effect.Principal, effect.Interest, effect.Fee}
	case domain.FactLateFeeWaived:
		for _, w := range p.Waivers {
			if w.FactID == f.ID {
				parts = append(parts, w.Released, w.Returned)
			}
		}
	case domain.FactWrittenOff:
		e.State = "written off"
		for _, in := range p.Instalments {
			if w := in.WrittenOff; told(p, in) {
				parts = append(parts, w.Principal, w.Interest, w.Fee, w.Late)
			}
		}
	case domain.FactRecovered:
		e.Kind, e.State, parts = EntryRepayment, "paid", []money.Amount{f.Amount}
	case domain.FactEarlySettled:
		if p.DroppedBy == f.ID {
			parts = append(parts, p.Dropped)
		}
	default: // A repayment tells of its money.
	}
	sum, err := money.Sum(f.Amount.Currency(), parts...)
	if err != nil {
		return e, errs.Internal.Wrap(err, "an entry does not add up")
	}
	e.Amount = negative(sum)
	return e, nil
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
