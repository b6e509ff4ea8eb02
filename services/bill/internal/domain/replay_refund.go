package domain

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// refund takes principal back, then the interest and fee that go with it:
//
//  1. principal that is owed, by the product's order and strategy;
//  2. principal that was written off, the last instalment first;
//  3. principal that was recovered or paid, the last instalment first: that is cash
//     for the user;
//  4. interest by RefundRule.Interest; what was paid of it is cash too;
//  5. the fee, only when the refund (with earlier ones) is complete before the
//     first bill.
//
// Late fees stay: the bill was late.
func (r *replay) refund(f Fact) error {
	zero := money.Zero(f.Amount.Currency())
	e := refundOf{r: r, date: f.Date, changes: make([]RefundChange, len(r.pos.Instalments))}
	for i := range e.changes {
		e.changes[i] = RefundChange{Sequence: i + 1, Released: ZeroParts(f.Amount.Currency()), Returned: ZeroParts(f.Amount.Currency())}
	}
	if left := e.takePrincipal(f.Amount); left.IsPositive() {
		return errs.RefundExceedsBudget.New("%s is refunded and %s of it is more than what was financed", f.Amount, left)
	}
	e.takeInterest()
	e.takeFee()
	effect := RefundEffect{FactID: f.ID, Date: f.Date, Principal: zero, Interest: zero, Fee: zero, Cash: zero}
	for _, change := range e.changes {
		both, cash := r.addParts(change.Released, change.Returned), r.total(change.Returned)
		if r.total(both).IsZero() {
			continue
		}
		effect.Changes = append(effect.Changes, change)
		effect.Principal = r.add(effect.Principal, both.Principal)
		effect.Interest, effect.Fee = r.add(effect.Interest, both.Interest), r.add(effect.Fee, both.Fee)
		effect.Cash = r.add(effect.Cash, cash)
	}
	r.pos.Returned = r.add(r.pos.Returned, effect.Cash)
	r.pos.Refunds = append(r.pos.Refunds, effect)
	if r.err == nil && effect.Principal != f.Amount {
		return fmt.Errorf("refund %s: %w", f.ID, broken("%s of %s was taken back", effect.Principal, f.Amount))
	}
	return r.err
}

// refundOf is a refund on its way.
type refundOf struct {
	r       *replay
	date    civil.Date
	changes []RefundChange
}

// takePrincipal takes principal back and returns what there was not.
func (e refundOf) takePrincipal(amount money.Amount) money.Amount {
	r, rule := e.r, e.r.terms.Product.Servicing.Refund
	open := func(i int) money.Amount { return r.pos.Instalments[i].Open.Principal }
	give := func(i int, share money.Amount) { e.release(i, PartPrincipal, share) }
	billed, due := 0, 0
	for i, in := range r.pos.Instalments {
		if r.billed(i, e.date) {
			billed = i + 1
		}
		if !in.DueDate.After(e.date) {
			due = i + 1
		}
	}
	if rule.Order == RefundPastDueFirst {
		amount = r.spread(r.from(0)[:due], StrategyNext, amount, open, give)
		amount = r.spread(r.from(due), rule.Strategy, amount, open, give)
	} else {
		amount = r.spread(r.from(billed), rule.Strategy, amount, open, give)
		amount = r.spread(r.from(0)[:billed], StrategyNext, amount, open, give)
	}
	for _, bucket := range []func(int) money.Amount{
		func(i int) money.Amount { return r.pos.Instalments[i].WrittenOff.Principal },
		func(i int) money.Amount { return r.pos.Instalments[i].Recovered.Principal },
		func(i int) money.Amount { return r.pos.Instalments[i].Paid.Principal },
	} {
		amount = r.spread(r.from(0), StrategyLast, amount, bucket, func(i int, share money.Amount) {
			e.take(i, PartPrincipal, share)
		})
	}
	return amount
}

// release cancels at most amount of what is owed of a part, and gives what it
// cancelled.
func (e refundOf) release(i int, part Part, amount money.Amount) money.Amount {
	in, to := &e.r.pos.Instalments[i], e.changes[i].Released.at(part)
	moved := e.r.move(&in.Open, &in.Cancelled, part, amount)
	*to = e.r.add(*to, moved)
	return moved
}

// take cancels at most amount of a part, wherever it is: owed, written off,
// recovered, paid. What had been received is returned.
func (e refundOf) take(i int, part Part, amount money.Amount) {
	in := &e.r.pos.Instalments[i]
	amount = e.r.sub(amount, e.release(i, part, amount))
	for _, b := range []struct {
		from *Parts
		note *money.Amount
	}{
		{&in.WrittenOff, e.changes[i].Released.at(part)},
		{&in.Recovered, e.changes[i].Returned.at(part)},
		{&in.Paid, e.changes[i].Returned.at(part)},
	} {
		moved := e.r.move(b.from, &in.Cancelled, part, amount)
		*b.note = e.r.add(*b.note, moved)
		amount = e.r.sub(amount, moved)
	}
}

// takeInterest cancels the interest that belongs to the principal taken back so
// far: of a planned interest the same part as of the principal that bears it, which
// is the instalment's own for flat methods (the loan's where an instalment has
// none) and what is left at the beginning of the period for declining ones.
func (e refundOf) takeInterest() {
	r, rule := e.r, e.r.terms.Product.Servicing.Refund.Interest
	if rule == RefundInterestNone {
		return
	}
	bearing, gone := e.bearing()
	for i := range r.pos.Instalments {
		in := r.pos.Instalments[i]
		if (rule == RefundInterestUnbilled && r.billed(i, e.date)) || !in.Charged.Interest.IsPositive() {
			continue
		}
		left := big.NewRat(r.sub(bearing[i], gone[i]).Minor(), bearing[i].Minor())
		kept, err := in.Charged.Interest.MulRat(left, r.terms.Product.Rounding)
		r.keep(err)
		if err != nil {
			return
		}
		target := r.sub(in.Charged.Interest, kept)
		if more := r.sub(target, in.Cancelled.Interest); more.IsPositive() {
			e.take(i, PartInterest, more)
		}
	}
}

// bearing is, for each instalment, the principal that bears its interest in the
// plan, and what refunds took of it. The former is positive.
func (e refundOf) bearing() (planned, gone []money.Amount) {
	r := e.r
	n := len(r.pos.Instalments)
	planned, gone = make([]money.Amount, n), make([]money.Amount, n)
	all, allGone := money.Zero(r.terms.Product.Currency), money.Zero(r.terms.Product.Currency)
	for _, i := range slices.Backward(r.from(0)) {
		in := r.pos.Instalments[i]
		all, allGone = r.add(all, in.Charged.Principal), r.add(allGone, in.Cancelled.Principal)
		planned[i], gone[i] = all, allGone
	}
	if r.terms.Product.Method.declining() {
		return planned, gone
	}
	for i, in := range r.pos.Instalments {
		planned[i], gone[i] = in.Charged.Principal, in.Cancelled.Principal
		if !in.Charged.Principal.IsPositive() {
			planned[i], gone[i] = all, allGone
		}
	}
	return planned, gone
}

// takeFee cancels the fee when all principal was taken back before the first bill.
func (e refundOf) takeFee() {
	r := e.r
	for i, in := range r.pos.Instalments {
		if in.Cancelled.Principal != in.Charged.Principal || (i == 0 && r.billed(0, e.date)) {
			return
		}
	}
	for i, in := range r.pos.Instalments {
		e.take(i, PartFee, r.sub(in.Charged.Fee, in.Cancelled.Fee))
	}
}
