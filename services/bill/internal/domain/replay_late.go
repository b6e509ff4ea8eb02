package domain

import (
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/money"
)

// latecomer is what a replay knows about late fees.
type latecomer struct {
	// through is the last day whose fees are charged.
	through civil.Date
	// cap is the bound of law, capped whether there is one.
	cap    CapRule
	capped bool
	// room is what the bound on the total leaves for late fees in all, perDay what
	// the daily bounds of the late days so far add up to, charged all late fees.
	room, perDay, charged money.Amount
	// of is one instalment each.
	of []lateInstalment
}

// lateInstalment is an instalment's own count.
type lateInstalment struct {
	// first is the first day that costs something, next the one on which the next
	// month starts.
	first, next civil.Date
	// number is the month or day that was counted last.
	number int
	// owing is what the rule asks for and the bounds held back.
	owing money.Amount
}

// newLatecomer is the count on the first day of a loan.
func (r *replay) newLatecomer() latecomer {
	plan, s := r.terms.Plan, r.terms.Product.Servicing
	zero := money.Zero(r.terms.Product.Currency)
	l := latecomer{through: r.terms.Start, room: zero, perDay: zero, charged: zero}
	l.cap, l.capped = s.CapOn(r.terms.Start, plan.TenorMonths)
	if l.capped {
		most, err := plan.Principal.MulPPM(l.cap.TotalPPM, money.Down)
		r.keep(err)
		if l.room = r.sub(most, r.add(plan.Interest, plan.Fee)); l.room.IsNegative() {
			l.room = zero
		}
	}
	l.of = make([]lateInstalment, len(plan.Instalments))
	for i, in := range plan.Instalments {
		first := in.DueDate.AddDays(s.GraceDays + 1)
		l.of[i] = lateInstalment{first: first, next: first, owing: zero}
	}
	return l
}

// chargeLate charges the late fees of the days up to a date, in order. The rule:
//
//   - PER_MONTH: on the first day after the due date (after grace), and again on
//     the day after each month's return of the due date, rate × base;
//   - PER_DAY: on each day after the due date (after grace), rate × base;
//
// where the base is what is unpaid of the instalment without late fees, and nothing
// is charged for a base below the threshold. The bounds of law (CapOn the contract
// date) hold for the loan as a whole: all late fees stay within the sum, over its
// late days, of PerDayPPM of the outstanding principal, and within TotalPPM of
// the principal less all interest and fee of the plan, of which refunds and
// waivers give nothing back. What the daily bound holds back is charged on later
// days while the instalment is unpaid.
func (r *replay) chargeLate(through civil.Date) {
	rule := r.terms.Product.Servicing.Late
	if rule.Basis == LateNone || !through.After(r.late.through) {
		return
	}
	day, more := r.nextLateDay(r.late.through.AddDays(1), rule)
	for more && !day.After(through) && r.err == nil {
		r.chargeLateDay(day, rule)
		day, more = r.nextLateDay(day.AddDays(1), rule)
	}
	r.late.through = through
}

// nextLateDay is the first day, from one on, that may cost something; false when
// no day does. Every late day counts under a rule or bound per day, else only those
// on which a month starts: without a bound per day nothing is held back that a
// later day could charge.
func (r *replay) nextLateDay(from civil.Date, rule LateRule) (civil.Date, bool) {
	daily := rule.Basis == LatePerDay || r.late.cap.PerDayPPM > 0
	var next civil.Date
	for i := range r.late.of {
		of, open := &r.late.of[i], &r.pos.Instalments[i].Open
		if open.Principal.IsZero() && open.Interest.IsZero() && open.Fee.IsZero() {
			continue
		}
		day := of.next
		if daily {
			day = of.first
		}
		if next.IsZero() || day.Before(next) {
			next = day
		}
		if of.first.After(from) {
			break // first days rise: no later instalment starts before this one
		}
	}
	if next.Before(from) && !next.IsZero() {
		next = from
	}
	return next, !next.IsZero()
}

// chargeLateDay charges the late fees of one day.
func (r *replay) chargeLateDay(day civil.Date, rule LateRule) {
	var late []int
	for i := range r.pos.Instalments {
		if r.late.of[i].first.After(day) {
			break // due dates rise
		}
		if base := r.lateBase(i); base.IsPositive() {
			r.countLate(i, day, base, rule)
			late = append(late, i)
		}
	}
	if len(late) > 0 && r.late.capped && r.late.cap.PerDayPPM > 0 {
		r.raiseDailyBound()
	}
	for _, i := range late {
		r.chargeWithinBounds(i, day)
	}
}

// lateBase is what is unpaid of an instalment without late fees.
func (r *replay) lateBase(i int) money.Amount {
	open := &r.pos.Instalments[i].Open
	return r.add(r.add(open.Principal, open.Interest), open.Fee)
}

// countLate adds to what the rule asks for an instalment on a day.
func (r *replay) countLate(i int, day civil.Date, base money.Amount, rule LateRule) {
	of, due := &r.late.of[i], r.pos.Instalments[i].DueDate
	if rule.Basis == LatePerDay {
		of.number = due.DaysUntil(day)
	} else {
		if day.Before(of.next) {
			return
		}
		of.number++
		of.next = due.AddMonths(of.number, due.Day).AddDays(1)
	}
	if base.Minor() < rule.WaiveBelow.Minor() {
		return
	}
	fee, err := base.MulPPM(rule.RatePPM, r.terms.Product.Rounding)
	r.keep(err)
	if err == nil {
		of.owing = r.add(of.owing, fee)
	}
}

// raiseDailyBound adds a late day to the bound per day: a part of the principal
// that is outstanding, rounded down.
func (r *replay) raiseDailyBound() {
	outstanding := money.Zero(r.terms.Product.Currency)
	for _, in := range r.pos.Instalments {
		outstanding = r.add(outstanding, in.Open.Principal)
	}
	more, err := outstanding.MulPPM(r.late.cap.PerDayPPM, money.Down)
	r.keep(err)
	if err == nil {
		r.late.perDay = r.add(r.late.perDay, more)
	}
}

// chargeWithinBounds charges what an instalment owes for being late, as far as
// the bounds of law allow today.
func (r *replay) chargeWithinBounds(i int, day civil.Date) {
	of, in := &r.late.of[i], &r.pos.Instalments[i]
	amount := of.owing
	if r.late.capped {
		amount = lesser(amount, r.sub(r.late.room, r.late.charged))
		if r.late.cap.PerDayPPM > 0 {
			amount = lesser(amount, r.sub(r.late.perDay, r.late.charged))
		}
	}
	if !amount.IsPositive() {
		return
	}
	of.owing = r.sub(of.owing, amount)
	r.late.charged = r.add(r.late.charged, amount)
	in.Charged.Late = r.add(in.Charged.Late, amount)
	in.Open.Late = r.add(in.Open.Late, amount)
	r.pos.LateCharges = append(r.pos.LateCharges, LateCharge{Sequence: in.Sequence, Number: of.number, Date: day, Amount: amount})
}
