package domain

import (
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/money"
)

// NextChange is the first day after a position's at which time alone may change what the journal says of the loan or the state of
// one of its instalments: an instalment is billed, becomes overdue, or costs another late fee. False when no such day comes without a
// new fact. It may name a day on which nothing changes; it never misses one on which something does.
func NextChange(terms Contract, p Position) (civil.Date, bool) {
	var next civil.Date
	consider := func(day civil.Date) {
		if day.After(p.AsOf) && (next.IsZero() || day.Before(next)) {
			next = day
		}
	}
	charges := mayCharge(terms, p)
	for _, in := range p.Instalments {
		// What was paid ahead is earned on its day, too, also of a loan that was given up.
		if !in.Billed {
			consider(in.BillDate)
		}
		if in.Open == ZeroParts(terms.Product.Currency) {
			continue
		}
		late := in.DueDate.AddDays(terms.Product.Servicing.GraceDays + 1)
		consider(late)
		if charges && !late.After(p.AsOf) {
			consider(nextCharge(terms, in.DueDate, p.AsOf))
		}
	}
	return next, !next.IsZero()
}

// mayCharge reports whether the loan may still be charged a late fee: there is a rule, and the bound on the total has room.
func mayCharge(terms Contract, p Position) bool {
	if terms.Product.Servicing.Late.Basis == LateNone {
		return false
	}
	bound, capped := terms.Product.Servicing.CapOn(terms.Start, terms.Plan.TenorMonths)
	if !capped {
		return true
	}
	var k calculation
	most, err := terms.Plan.Principal.MulPPM(bound.TotalPPM, money.Down)
	k.keep(err)
	room := k.sub(most, k.add(k.add(terms.Plan.Interest, terms.Plan.Fee), p.Charged.Late))
	return k.err != nil || room.IsPositive()
}

// nextCharge is the first day after a date on which a late instalment may cost something: any day where days count, else the day
// after the due date's next return.
func nextCharge(terms Contract, due, after civil.Date) civil.Date {
	s := terms.Product.Servicing
	bound, capped := s.CapOn(terms.Start, terms.Plan.TenorMonths)
	if s.Late.Basis == LatePerDay || (capped && bound.PerDayPPM > 0) {
		return after.AddDays(1)
	}
	for months := 1; ; months++ {
		if day := due.AddMonths(months, due.Day).AddDays(1); day.After(after) {
			return day
		}
	}
}
