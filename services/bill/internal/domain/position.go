package domain

import (
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// Contract is what a loan was made with: everything about it that never changes.
type Contract struct {
	// Product is the version that the loan keeps.
	Product Product
	// Plan has the due dates that became real when the loan started.
	Plan Plan
	// Start is the day on which the goods were confirmed: interest runs from here.
	Start civil.Date
}

// Check returns nil when the plan adds up, belongs to the product and begins
// after the start. It fails with ErrInvariant.
func (t Contract) Check() error {
	if err := t.Plan.Check(); err != nil {
		return err
	}
	switch {
	case t.Product.Code != t.Plan.ProductCode || t.Product.Version != t.Plan.ProductVersion:
		return broken("plan of %s version %d with product %s version %d",
			t.Plan.ProductCode, t.Plan.ProductVersion, t.Product.Code, t.Product.Version)
	case t.Product.Currency != t.Plan.Principal.Currency():
		return broken("plan of %s with a product in %s", t.Plan.Principal, t.Product.Currency)
	case !t.Start.Valid() || t.Plan.Instalments[0].DueDate.Before(t.Start):
		return broken("a loan that starts on %s is first due on %s", t.Start, t.Plan.Instalments[0].DueDate)
	default:
		return nil
	}
}

// InstalmentPosition is one instalment on a date. At all times, part by part,
//
//	Charged = Open + Paid + Cancelled + WrittenOff + Recovered
//
// and none of them is negative.
type InstalmentPosition struct {
	// Sequence is the position, 1 for the first.
	Sequence int
	// BillDate is when it is billed (Product.BillDateOf), DueDate when it is due.
	BillDate, DueDate civil.Date
	// Billed says that its bill was made, or that an early settlement asked for it
	// before: from then on its interest and fee are earned.
	Billed bool
	// State is that of the date.
	State InstalmentState
	// Charged is what was planned, and the late fees charged so far.
	Charged Parts
	// Open is what is still owed.
	Open Parts
	// Paid is what repayments paid, less what a refund gave back of it.
	Paid Parts
	// Cancelled is what is no longer owed: principal and interest taken back by a
	// refund, interest saved by settling early, late fees waived.
	Cancelled Parts
	// WrittenOff is what was given up and not recovered, Recovered what came back of
	// it.
	WrittenOff, Recovered Parts
}

// Position is a loan on a date: a pure function of its contract and its facts
// (Replay). Amounts are of one currency and never negative.
type Position struct {
	// AsOf is the date; its own late fees, bills and facts are included.
	AsOf civil.Date
	// State is ACTIVE, OVERDUE, SETTLED or WRITTEN_OFF.
	State LoanState
	// Instalments are in order.
	Instalments []InstalmentPosition
	// Charged to Recovered are the sums over the instalments.
	Charged, Open, Paid, Cancelled, WrittenOff, Recovered Parts
	// OpenTotal is all that is owed, Overdue the part that was not paid in time,
	// BilledOpen the part that is billed: overdue or not.
	OpenTotal, Overdue, BilledOpen money.Amount
	// DaysPastDue is the number of days since the oldest unpaid due date, 0 when
	// nothing is overdue.
	DaysPastDue int
	// NextDue is the next date on which something is due that is not overdue, and
	// NextDueAmount how much; zero and nothing when there is none.
	NextDue       civil.Date
	NextDueAmount money.Amount
	// Received is the money of all repayments, settlements and recoveries. It equals
	// Paid + Recovered + Returned + Overpaid.
	Received money.Amount
	// Returned is what refunds give back in cash: what had been paid of the principal
	// and interest that they took back.
	Returned money.Amount
	// Overpaid is what belongs back to the payer: repayments beyond what was owed,
	// and late fees that were paid and waived afterwards.
	Overpaid money.Amount
	// SettledOn is the day since which nothing is open, WrittenOffOn that of the
	// write-off, AcceleratedOn that on which an early settlement asked for everything;
	// zero when there is none.
	SettledOn, WrittenOffOn, AcceleratedOn civil.Date
	// Dropped is interest and fee that were not billed and never will be, since the loan
	// was settled early or given up by the fact DroppedBy. It is part of Cancelled.
	Dropped   money.Amount
	DroppedBy ids.ID
	// Allocations are where the money went, in the order of the facts. Those of one
	// fact add up to its amount.
	Allocations []Allocation
	// LateCharges are the late fees, oldest first. They add up to Charged.Late.
	LateCharges []LateCharge
	// Refunds and Waivers are the effects of those facts.
	Refunds []RefundEffect
	Waivers []WaiverEffect
}

// Allocation is a piece of a repayment, settlement or recovery.
type Allocation struct {
	// FactID is the fact.
	FactID ids.ID
	// Sequence is the instalment; 0 for PartOverpaid.
	Sequence int
	// Part is what was paid.
	Part Part
	// Amount is positive.
	Amount money.Amount
}

// LateCharge is one late fee.
type LateCharge struct {
	// Sequence is the instalment that was late.
	Sequence int
	// Number is the started month or the day of its lateness, 1 for the first. Under
	// a bound per day the fee of a month comes in several charges.
	Number int
	// Date is when it was charged.
	Date civil.Date
	// Amount is positive.
	Amount money.Amount
}

// RefundEffect is what a merchant's refund did.
type RefundEffect struct {
	// FactID is the refund, Date its value date.
	FactID ids.ID
	Date   civil.Date
	// Changes are the instalments that it reached, in order.
	Changes []RefundChange
	// Principal is the sum of the principal taken back: the amount of the refund.
	Principal money.Amount
	// Interest and Fee are those taken back with it.
	Interest, Fee money.Amount
	// Cash is what the user gets back, since it had been paid.
	Cash money.Amount
}

// RefundChange is what a refund did to an instalment.
type RefundChange struct {
	// Sequence is the instalment.
	Sequence int
	// Released was owed (or written off) and is no longer, Returned had been paid.
	Released, Returned Parts
}

// WaiverEffect is what a waiver of late fees did to an instalment.
type WaiverEffect struct {
	// FactID is the waiver.
	FactID ids.ID
	// Sequence is the instalment.
	Sequence int
	// Released was owed, Returned had been paid and is overpaid now.
	Released, Returned money.Amount
}

// Instalment is one instalment by its sequence; false when there is none.
func (p Position) Instalment(sequence int) (InstalmentPosition, bool) {
	if sequence < 1 || sequence > len(p.Instalments) {
		return InstalmentPosition{}, false
	}
	return p.Instalments[sequence-1], true
}

// OnBill reports whether an instalment is on a bill that was made by the date: what was given up before its bill was made is not.
func (p Position) OnBill(in InstalmentPosition) bool {
	return !in.BillDate.After(p.AsOf) && (p.WrittenOffOn.IsZero() || !in.BillDate.After(p.WrittenOffOn))
}

// AllocatedBy is the allocations of one fact.
func (p Position) AllocatedBy(fact ids.ID) []Allocation {
	var out []Allocation
	for _, a := range p.Allocations {
		if a.FactID == fact {
			out = append(out, a)
		}
	}
	return out
}

// RefundOf is the effect of one refund; false when there is none.
func (p Position) RefundOf(fact ids.ID) (RefundEffect, bool) {
	for _, r := range p.Refunds {
		if r.FactID == fact {
			return r, true
		}
	}
	return RefundEffect{}, false
}

// Check returns nil when the figures agree: see the invariants of Position and
// InstalmentPosition. principal is the amount financed. It fails with
// ErrInvariant.
func (p Position) Check(principal money.Amount) error {
	c := principal.Currency()
	var k calculation
	sums := [6]Parts{ZeroParts(c), ZeroParts(c), ZeroParts(c), ZeroParts(c), ZeroParts(c), ZeroParts(c)}
	for _, in := range p.Instalments {
		buckets := [6]Parts{in.Charged, in.Open, in.Paid, in.Cancelled, in.WrittenOff, in.Recovered}
		for i, b := range buckets {
			sums[i] = k.addParts(sums[i], b)
			for _, part := range loanParts() {
				if b.Of(part).IsNegative() {
					return broken("instalment %d has %s of %s", in.Sequence, b.Of(part), part)
				}
			}
		}
		for _, part := range loanParts() {
			sum := money.Zero(c)
			for _, b := range buckets[1:] {
				sum = k.add(sum, b.Of(part))
			}
			if sum != in.Charged.Of(part) {
				return broken("instalment %d was charged %s of %s and has %s", in.Sequence, in.Charged.Of(part), part, sum)
			}
		}
	}
	if sums != [6]Parts{p.Charged, p.Open, p.Paid, p.Cancelled, p.WrittenOff, p.Recovered} {
		return broken("the sums of the position are not those of its instalments")
	}
	received := k.add(k.add(k.total(p.Paid), k.total(p.Recovered)), k.add(p.Returned, p.Overpaid))
	switch {
	case k.err != nil:
		return k.err
	case p.Charged.Principal != principal:
		return broken("the instalments repay %s of %s", p.Charged.Principal, principal)
	case p.Returned.IsNegative() || p.Overpaid.IsNegative():
		return broken("returned %s, overpaid %s", p.Returned, p.Overpaid)
	default:
		return equal("what was received", p.Received, received)
	}
}
