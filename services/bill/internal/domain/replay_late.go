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
	for _, in := range plan.Instalments {
		first := in.DueDate.AddDays(s.GraceDays + 1)
		l.of = append(l.of, lateInstalment{first: first, next: first, owing: zero})
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
	day := r.late.through.AddDays(1)
	if first, late := r.firstLate(); rule.Basis == LateNone || !late || first.After(through) {
		day = through.AddDays(1)
	} else if first.After(day) {
		day = first
	}
	for ; !day.After(through) && r.err == nil; day = day.AddDays(1) {
		r.chargeLateDay(day, rule)
	}
	if through.After(r.late.through) {
		r.late.through = through
	}
}

// firstLate is the first day on which one of the instalments that are open costs
// something; false when none is open.
func (r *replay) firstLate() (civil.Date, bool) {
	for i := range r.pos.Instalments {
		if r.openTotal(i).IsPositive() {
			return r.late.of[i].first, true
		}
	}
	return civil.Date{}, false
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
	open := r.pos.Instalments[i].Open
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
