package domain

import (
	"fmt"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/money"
)

// Replay is the position of a loan at the end of a date: its plan, then day by day
// late fees in the morning and facts in their order (compareFacts). Facts after
// the date do not count yet. Nothing else goes in, so
//
//   - the order in which facts became known does not matter;
//   - a bounced repayment is undone by replaying without it;
//   - a replay that comes weeks late gives what daily ones would have given.
//
// It fails with errs.RefundExceedsBudget when refunds take more than the amount
// financed, and with ErrInvariant for facts that cannot be this loan's, a date
// before its start, or figures that contradict each other.
func Replay(terms Contract, facts []Fact, asOf civil.Date) (Position, error) {
	r, err := replayed(terms, facts, asOf)
	if err != nil {
		return Position{}, fmt.Errorf("replay the loan as of %s: %w", asOf, err)
	}
	r.finish()
	if r.err != nil {
		return Position{}, fmt.Errorf("replay the loan as of %s: %w", asOf, r.err)
	}
	if err := r.pos.Check(terms.Plan.Principal); err != nil {
		return Position{}, fmt.Errorf("replay the loan as of %s: %w", asOf, err)
	}
	return r.pos, nil
}

// replay is a loan on its way through the days. Its position is complete but for
// the sums and states that finish adds.
type replay struct {
	calculation
	terms Contract
	late  latecomer
	pos   Position
}

// replayed is a loan after its facts and late fees up to a date.
func replayed(terms Contract, facts []Fact, asOf civil.Date) (*replay, error) {
	if err := terms.Check(); err != nil {
		return nil, err
	}
	if !asOf.Valid() || asOf.Before(terms.Start) {
		return nil, broken("a loan that starts on %s has no position on %s", terms.Start, asOf)
	}
	list, err := inOrder(facts, terms, asOf)
	if err != nil {
		return nil, err
	}
	r := newReplay(terms, asOf)
	for _, f := range list {
		r.chargeLate(f.Date)
		if err := r.apply(f); err != nil {
			return nil, err
		}
		if r.pos.SettledOn.IsZero() && r.nothingOpen() {
			r.pos.SettledOn = f.Date
		}
	}
	r.chargeLate(asOf)
	return r, r.err
}

// newReplay is a loan on the morning of its first day.
func newReplay(terms Contract, asOf civil.Date) *replay {
	c := terms.Product.Currency
	zero := money.Zero(c)
	r := &replay{terms: terms}
	r.pos = Position{AsOf: asOf, Received: zero, Returned: zero, Overpaid: zero, Dropped: zero}
	r.pos.Instalments = make([]InstalmentPosition, len(terms.Plan.Instalments))
	for i, in := range terms.Plan.Instalments {
		planned := Parts{in.Principal, in.Interest, in.Fee, zero}
		r.pos.Instalments[i] = InstalmentPosition{
			Sequence: in.Sequence, BillDate: terms.Product.BillDateOf(in.DueDate), DueDate: in.DueDate,
			Charged: planned, Open: planned,
			Paid: ZeroParts(c), Cancelled: ZeroParts(c), WrittenOff: ZeroParts(c), Recovered: ZeroParts(c),
		}
	}
	r.late = r.newLatecomer()
	return r
}

// apply is what a fact does.
func (r *replay) apply(f Fact) error {
	if f.Kind.IsMoney() {
		r.pos.Received = r.add(r.pos.Received, f.Amount)
	}
	switch f.Kind {
	case FactLateFeeWaived:
		r.waive(f)
	case FactRefunded:
		return r.refund(f)
	case FactWrittenOff:
		r.writeOff(f)
	case FactEarlySettled:
		if r.pos.WrittenOffOn.IsZero() && r.settles(f) {
			r.settle(f)
		}
		r.receive(f)
	default: // FactRepaid and FactRecovered bring money.
		r.receive(f)
	}
	return r.err
}

// receive gives the money of a fact to what is owed, or to what was given up.
func (r *replay) receive(f Fact) {
	var left money.Amount
	if r.pos.WrittenOffOn.IsZero() {
		left = r.repay(f)
	} else {
		left = r.recover(f)
	}
	if left.IsPositive() {
		r.pos.Overpaid = r.add(r.pos.Overpaid, left)
		r.pos.Allocations = append(r.pos.Allocations, Allocation{FactID: f.ID, Part: PartOverpaid, Amount: left})
	}
}

// waive forgives late fees charged so far: open ones, then paid ones, oldest
// first. What a waiver has beyond them does nothing: a repayment that became
// known late may have made the fee vanish.
func (r *replay) waive(f Fact) {
	left := f.Amount
	zero := money.Zero(left.Currency())
	effects := make([]WaiverEffect, len(r.pos.Instalments))
	for i := range r.pos.Instalments {
		in := &r.pos.Instalments[i]
		released := r.move(&in.Open, &in.Cancelled, PartLate, left)
		effects[i] = WaiverEffect{FactID: f.ID, Sequence: in.Sequence, Released: released, Returned: zero}
		left = r.sub(left, released)
	}
	for i := range r.pos.Instalments {
		in := &r.pos.Instalments[i]
		returned := r.move(&in.Paid, &in.Cancelled, PartLate, left)
		effects[i].Returned = returned
		r.pos.Overpaid = r.add(r.pos.Overpaid, returned)
		left = r.sub(left, returned)
	}
	for _, e := range effects {
		if e.Released.IsPositive() || e.Returned.IsPositive() {
			r.pos.Waivers = append(r.pos.Waivers, e)
		}
	}
}

// writeOff gives up what is owed. Interest and fee that are not billed were never
// earned, so they are cancelled instead. A second write-off does nothing.
func (r *replay) writeOff(f Fact) {
	if !r.pos.WrittenOffOn.IsZero() {
		return
	}
	for i := range r.pos.Instalments {
		in := &r.pos.Instalments[i]
		if !r.billed(i, f.Date) {
			r.drop(f, in, PartInterest, in.Open.Interest)
			r.drop(f, in, PartFee, in.Open.Fee)
		}
		for _, part := range loanParts() {
			r.move(&in.Open, &in.WrittenOff, part, in.Open.Of(part))
		}
	}
	r.pos.WrittenOffOn = f.Date
}

// drop cancels an amount of what is owed and was not billed.
func (r *replay) drop(f Fact, in *InstalmentPosition, part Part, amount money.Amount) {
	dropped := r.move(&in.Open, &in.Cancelled, part, amount)
	if dropped.IsPositive() {
		r.pos.Dropped, r.pos.DroppedBy = r.add(r.pos.Dropped, dropped), f.ID
	}
}

// billed reports whether an instalment's bill was made by a date.
func (r *replay) billed(i int, date civil.Date) bool {
	return !r.pos.AcceleratedOn.IsZero() || !date.Before(r.pos.Instalments[i].BillDate)
}

// overdue reports whether an instalment that is open was not paid in time.
func (r *replay) overdue(i int, date civil.Date) bool {
	last := r.pos.Instalments[i].DueDate.AddDays(r.terms.Product.Servicing.GraceDays)
	return date.After(last)
}

// openTotal is what is owed of an instalment.
func (r *replay) openTotal(i int) money.Amount { return r.total(r.pos.Instalments[i].Open) }

// nothingOpenOf reports whether nothing is owed of an instalment.
func (r *replay) nothingOpenOf(i int) bool {
	open := &r.pos.Instalments[i].Open
	return open.Principal.IsZero() && open.Interest.IsZero() && open.Fee.IsZero() && open.Late.IsZero()
}

// nothingOpen reports whether nothing is owed any more.
func (r *replay) nothingOpen() bool {
	for i := range r.pos.Instalments {
		if !r.nothingOpenOf(i) {
			return false
		}
	}
	return true
}

// finish adds the sums and the states.
func (r *replay) finish() {
	p, c := &r.pos, r.terms.Product.Currency
	zero := money.Zero(c)
	p.Charged, p.Open, p.Paid = ZeroParts(c), ZeroParts(c), ZeroParts(c)
	p.Cancelled, p.WrittenOff, p.Recovered = ZeroParts(c), ZeroParts(c), ZeroParts(c)
	p.OpenTotal, p.Overdue, p.BilledOpen, p.NextDueAmount = zero, zero, zero, zero
	for i := range p.Instalments {
		in := &p.Instalments[i]
		in.Billed = r.billed(i, p.AsOf)
		in.State = r.instalmentState(i)
		p.Charged, p.Open, p.Paid = r.addParts(p.Charged, in.Charged), r.addParts(p.Open, in.Open), r.addParts(p.Paid, in.Paid)
		p.Cancelled, p.WrittenOff = r.addParts(p.Cancelled, in.Cancelled), r.addParts(p.WrittenOff, in.WrittenOff)
		p.Recovered = r.addParts(p.Recovered, in.Recovered)
		r.countOpen(in)
	}
	switch {
	case !p.WrittenOffOn.IsZero():
		p.State = LoanWrittenOff
	case p.OpenTotal.IsZero():
		p.State = LoanSettled
	case p.Overdue.IsPositive():
		p.State = LoanOverdue
	default:
		p.State = LoanActive
	}
}

// countOpen adds what is open of an instalment to the sums of the position.
func (r *replay) countOpen(in *InstalmentPosition) {
	p, open := &r.pos, r.total(in.Open)
	if open.IsZero() {
		return
	}
	p.OpenTotal = r.add(p.OpenTotal, open)
	if in.Billed {
		p.BilledOpen = r.add(p.BilledOpen, open)
	}
	switch {
	case in.State == InstalmentOverdue:
		p.Overdue = r.add(p.Overdue, open)
		p.DaysPastDue = max(p.DaysPastDue, in.DueDate.DaysUntil(p.AsOf))
	case p.NextDue.IsZero():
		p.NextDue, p.NextDueAmount = in.DueDate, open
	}
}

// instalmentState is the state of an instalment on the date of the position.
func (r *replay) instalmentState(i int) InstalmentState {
	in := r.pos.Instalments[i]
	if r.openTotal(i).IsPositive() {
		switch {
		case r.overdue(i, r.pos.AsOf):
			return InstalmentOverdue
		case in.Billed:
			return InstalmentBilled
		default:
			return InstalmentOpen
		}
	}
	switch {
	case r.total(in.WrittenOff).IsPositive():
		return InstalmentWrittenOff
	case r.total(in.Cancelled).IsPositive() && r.total(in.Paid).IsZero() && r.total(in.Recovered).IsZero():
		return InstalmentCancelled
	default:
		return InstalmentPaid
	}
}
