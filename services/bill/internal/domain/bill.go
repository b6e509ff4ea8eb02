package domain

import (
	"cmp"
	"slices"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/statetable"
)

// BillState is the state of a bill. The numbers are stored.
type BillState uint8

const (
	// BillIssued is owed, wholly or in part.
	BillIssued BillState = 1
	// BillPaid has nothing open.
	BillPaid BillState = 2
	// BillOverdue has a line that was not paid in time or was given up. Lines of
	// products with different grace days are late on different days.
	BillOverdue BillState = 3
	// BillCancelled has nothing open and nothing of it was paid: refunds took all.
	BillCancelled BillState = 4
)

// String is the name, such as "ISSUED".
func (s BillState) String() string {
	return nameOf([]string{"", "ISSUED", "PAID", "OVERDUE", "CANCELLED"}, uint8(s), "BILL_STATE")
}

// BillStates are the legal moves of a bill. Those out of PAID and CANCELLED are
// made by a fact that is taken back, or known late, never by time.
var BillStates = statetable.MustNew("bill",
	statetable.Move[BillState]{From: BillIssued, To: BillPaid, Cause: "paid in full"},
	statetable.Move[BillState]{From: BillIssued, To: BillOverdue, Cause: "not paid in time"},
	statetable.Move[BillState]{From: BillIssued, To: BillCancelled, Cause: "refunds took everything"},
	statetable.Move[BillState]{From: BillOverdue, To: BillPaid, Cause: "paid in full"},
	statetable.Move[BillState]{From: BillOverdue, To: BillCancelled, Cause: "refunds took everything"},
	statetable.Move[BillState]{From: BillOverdue, To: BillIssued, Cause: "what was late is paid or recovered, the rest is not late yet"},
	statetable.Move[BillState]{From: BillPaid, To: BillIssued, Cause: "a repayment bounced before the due date"},
	statetable.Move[BillState]{From: BillPaid, To: BillOverdue, Cause: "a repayment bounced"},
	statetable.Move[BillState]{From: BillPaid, To: BillCancelled, Cause: "refunds gave back what was paid"},
	statetable.Move[BillState]{From: BillCancelled, To: BillIssued, Cause: "a repayment bounced and a refund went elsewhere"},
	statetable.Move[BillState]{From: BillCancelled, To: BillOverdue, Cause: "the same after the due date"},
	statetable.Move[BillState]{From: BillCancelled, To: BillPaid, Cause: "a repayment became known late"},
)

// Cycle is a bill and what it collects.
type Cycle struct {
	// From and To are the first and the last day of the orders whose first instalment
	// it carries.
	From, To civil.Date
	// BillDate is when it is made, the day after To; DueDate when it is due.
	BillDate, DueDate civil.Date
}

// CycleOf is the cycle that collects what is completed on a date: with bill day 25
// and due day 5, the bill of the 25th collects from the 25th of last month to the
// 24th and is due on the 5th of the next.
func CycleOf(p Product, completed civil.Date) Cycle {
	bill := BillDates(p, completed, 1)[0]
	return Cycle{
		From: bill.AddMonths(-1, p.BillDay), To: bill.AddDays(-1),
		BillDate: bill, DueDate: DueDates(p, completed, 1)[0],
	}
}

// LoanPosition is a loan's position with its name.
type LoanPosition struct {
	// LoanID is written "lon_…".
	LoanID ids.ID
	// Position is Replay's.
	Position Position
}

// BillLine is an instalment on a bill.
type BillLine struct {
	LoanID ids.ID
	InstalmentPosition
}

// Bill is a user's bill: the instalments of all loans that are billed on one date
// and due on one date.
type Bill struct {
	// BillDate and DueDate name it among the bills of a user.
	BillDate, DueDate civil.Date
	// State is that of the date of the positions.
	State BillState
	// Lines are its instalments, by loan and sequence.
	Lines []BillLine
	// Charged, Open, Paid and Cancelled are the sums over its lines, GivenUp that of
	// what was written off, recovered or not; OpenTotal is what is left to pay.
	Charged, Open, Paid, Cancelled, GivenUp Parts
	OpenTotal                               money.Amount
}

// BillsOf are the bills made by the date of the positions (which must be the same
// for all), oldest first, with the figures of that date. Instalments that an early
// settlement asked for before their bill are not on one until its date, those of a
// loan that was given up before their bill on none. All loans are of one currency.
// It fails with ErrInvariant.
func BillsOf(loans []LoanPosition) ([]Bill, error) {
	type key struct{ bill, due civil.Date }
	lines := map[key][]BillLine{}
	for _, l := range loans {
		if l.Position.AsOf != loans[0].Position.AsOf {
			return nil, broken("loan %s is as of %s, others as of %s", l.LoanID, l.Position.AsOf, loans[0].Position.AsOf)
		}
		for _, in := range l.Position.Instalments {
			if l.Position.OnBill(in) {
				k := key{in.BillDate, in.DueDate}
				lines[k] = append(lines[k], BillLine{LoanID: l.LoanID, InstalmentPosition: in})
			}
		}
	}
	var out []Bill
	for k, list := range lines {
		b, err := BillOf(k.bill, k.due, list)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b Bill) int {
		return cmp.Or(a.BillDate.Compare(b.BillDate), a.DueDate.Compare(b.DueDate))
	})
	return out, nil
}

// BillOf is the bill of some lines, one or more, which it sorts. It fails with
// ErrInvariant.
func BillOf(billDate, dueDate civil.Date, lines []BillLine) (Bill, error) {
	slices.SortFunc(lines, func(a, b BillLine) int {
		return cmp.Or(slices.Compare(a.LoanID[:], b.LoanID[:]), cmp.Compare(a.Sequence, b.Sequence))
	})
	zero := ZeroParts(lines[0].Charged.Principal.Currency())
	b := Bill{BillDate: billDate, DueDate: dueDate, Lines: lines, Charged: zero, Open: zero, Paid: zero, Cancelled: zero, GivenUp: zero}
	var k calculation
	overdue, gone, received := false, false, false
	for _, l := range lines {
		b.Charged, b.Open = k.addParts(b.Charged, l.Charged), k.addParts(b.Open, l.Open)
		b.Paid, b.Cancelled = k.addParts(b.Paid, l.Paid), k.addParts(b.Cancelled, l.Cancelled)
		b.GivenUp = k.addParts(b.GivenUp, k.addParts(l.WrittenOff, l.Recovered))
		overdue = overdue || l.State == InstalmentOverdue || l.State == InstalmentWrittenOff
		gone = gone || l.State == InstalmentCancelled
		received = received || l.State == InstalmentPaid && k.total(l.Charged).IsPositive()
	}
	b.OpenTotal = k.total(b.Open)
	switch {
	case overdue:
		b.State = BillOverdue
	case b.OpenTotal.IsPositive():
		b.State = BillIssued
	case gone && !received:
		b.State = BillCancelled
	default:
		b.State = BillPaid
	}
	return b, k.err
}
