package domain

import "github.com/creditpay/creditpay/pkg/civil"

// BillDates are the n monthly bills that carry the instalments of a purchase
// confirmed on a date: the first bill is made on the first bill day after that
// date, so the bill of the 25th collects from the 25th of last month to the 24th
// (published by SPayLater: grid.id, poskota.co.id). Later ones follow monthly on
// the bill day; a day that a month does not have is its last day, and the series
// returns to the bill day afterwards. n below 1 gives none.
func BillDates(p Product, confirmed civil.Date, n int) []civil.Date {
	first := 0
	if !confirmed.AddMonths(0, p.BillDay).After(confirmed) {
		first = 1
	}
	return monthly(confirmed, first, p.BillDay, n)
}

// DueDates are the due dates of the n instalments of a purchase confirmed on a
// date: for each bill of BillDates the first due day that follows the bill day,
// in the same month (bill day 1, due day 11) or the next (25 and 5). They are
// computed from the due day each, so 31 gives 28 February and then 31 March.
// n below 1 gives none.
func DueDates(p Product, confirmed civil.Date, n int) []civil.Date {
	first := 0
	if !confirmed.AddMonths(0, p.BillDay).After(confirmed) {
		first = 1
	}
	if p.DueDay <= p.BillDay {
		first++
	}
	return monthly(confirmed, first, p.DueDay, n)
}

// monthly is a day of n months, the first of which is so many months after from.
func monthly(from civil.Date, first, day, n int) []civil.Date {
	if n < 1 {
		return nil
	}
	out := make([]civil.Date, n)
	for i := range out {
		out[i] = from.AddMonths(first+i, day)
	}
	return out
}

// BillDateOf is the date of the bill that carries an instalment due on a date: the
// last bill day before it. For the due dates of DueDates it is the date of
// BillDates.
func (p Product) BillDateOf(due civil.Date) civil.Date {
	if same := due.AddMonths(0, p.BillDay); same.Before(due) {
		return same
	}
	return due.AddMonths(-1, p.BillDay)
}
