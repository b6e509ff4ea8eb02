package domain

import (
	"fmt"
	"math/big"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// PayOffQuote is what it costs to settle a loan on a day.
type PayOffQuote struct {
	// Date is the value date that it holds for.
	Date civil.Date
	// Amount settles the loan: a FactEarlySettled of it on Date leaves nothing open
	// and nothing overpaid. It is nothing for a settled loan.
	Amount money.Amount
	// Parts are what Amount pays.
	Parts Parts
	// SavedInterest is interest of the plan that is not charged.
	SavedInterest money.Amount
}

// QuotePayOff is what it costs to settle a loan on a date, after all facts up to
// that date: everything that is open, less the interest that the product's
// settlement rule drops. Billed interest is always paid, and unbilled interest that
// was paid already is not given back. Of the running period, whose interest is
// planned × days so far / days of the period under TILL_PRECLOSE, nothing has
// passed on its first day, the due date before.
//
// It fails as Replay does, and with errs.LoanStateInvalid for a loan that was
// written off.
func QuotePayOff(terms Contract, facts []Fact, date civil.Date) (PayOffQuote, error) {
	r, err := replayed(terms, facts, date)
	if err != nil {
		return PayOffQuote{}, fmt.Errorf("quote a settlement on %s: %w", date, err)
	}
	if !r.pos.WrittenOffOn.IsZero() {
		return PayOffQuote{}, errs.LoanStateInvalid.New("the loan was written off").With("state", LoanWrittenOff.String())
	}
	q := PayOffQuote{Date: date, Parts: ZeroParts(terms.Product.Currency), SavedInterest: money.Zero(terms.Product.Currency)}
	for i, saved := range r.savings(date) {
		open := r.pos.Instalments[i].Open
		open.Interest = r.sub(open.Interest, saved)
		q.Parts = r.addParts(q.Parts, open)
		q.SavedInterest = r.add(q.SavedInterest, saved)
	}
	q.Amount = r.total(q.Parts)
	if r.err != nil {
		return PayOffQuote{}, fmt.Errorf("quote a settlement on %s: %w", date, r.err)
	}
	return q, nil
}

// savings is the open interest of each instalment that settling on a date saves.
func (r *replay) savings(date civil.Date) []money.Amount {
	out := make([]money.Amount, len(r.pos.Instalments))
	start := r.terms.Start
	for i, in := range r.pos.Instalments {
		out[i] = money.Zero(r.terms.Product.Currency)
		if !r.billed(i, date) {
			planned := r.sub(in.Charged.Interest, in.Cancelled.Interest)
			dropped := r.sub(planned, r.accrued(planned, start, in.DueDate, date))
			out[i] = lesser(dropped, in.Open.Interest)
		}
		start = in.DueDate
	}
	return out
}

// accrued is the part of the interest of an unbilled period that is charged when
// the loan is settled on a date.
func (r *replay) accrued(planned money.Amount, start, due, date civil.Date) money.Amount {
	rule := r.terms.Product.Servicing.Settlement
	running := date.After(start)
	switch {
	case rule == SettleKeepAll, rule == SettleTillRest && running:
		return planned
	case rule != SettleTillPreclose || !running:
		return money.Zero(planned.Currency())
	}
	part := big.NewRat(int64(start.DaysUntil(date)), int64(start.DaysUntil(due)))
	accrued, err := planned.MulRat(part, r.terms.Product.Rounding)
	r.keep(err)
	return lesser(accrued, planned)
}

// settles reports whether the money of a fact reaches the price of settling.
func (r *replay) settles(f Fact) bool {
	price := money.Zero(f.Amount.Currency())
	for i, saved := range r.savings(f.Date) {
		price = r.add(price, r.sub(r.openTotal(i), saved))
	}
	return f.Amount.Minor() >= price.Minor()
}

// settle drops the interest that settling saves and asks for the rest at once.
func (r *replay) settle(f Fact) {
	for i, saved := range r.savings(f.Date) {
		r.drop(f, &r.pos.Instalments[i], PartInterest, saved)
	}
	if r.pos.AcceleratedOn.IsZero() {
		r.pos.AcceleratedOn = f.Date
	}
}
