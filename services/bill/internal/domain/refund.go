package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/money"
)

// RefundAdjustment is what a refund does to a loan, told by comparing the loan
// before and after. Amounts are of the loan's currency and never negative.
type RefundAdjustment struct {
	// Released was owed, held or given up and no longer is; late fees are in its fee.
	// Its principal and what Cash has of principal are together the amount of the
	// refund.
	Released Parts
	// Cash is what had been paid and is given back: Sources and Credit together.
	Cash money.Amount
	// Sources are the repayments by which it goes back, newest first.
	Sources []RepaymentReturn
	// Credit becomes credit balance, because no repayment can give it back.
	Credit money.Amount
	// LimitFreed is by how much more the user may buy (see Account.Available).
	LimitFreed money.Amount
	// Plan is what is left: the plan of the smaller draft, or the contract's without
	// what refunds took back (paid parts included, late fees not; the rates are the
	// contract's). No instalments when nothing is left.
	Plan Plan
	// Instalments are those that change, in order.
	Instalments []InstalmentChange
	// State is that of the loan afterwards.
	State LoanState
}

// Fingerprint tells adjustments apart by what they do with the money: SHA-256 in hex
// over all but the limit, the plan and the state, which other purchases and the day
// move.
func (a RefundAdjustment) Fingerprint() string {
	h := sha256.New()
	put := func(format string, args ...any) {
		_, _ = fmt.Fprintf(h, format+"\n", args...) // A hash takes everything.
	}
	put("%s %s %s %s", a.Released.Principal, a.Released.Interest, a.Released.Fee, a.Released.Late)
	put("%s %s", a.Cash, a.Credit)
	for _, s := range a.Sources {
		put("by %s %s", s.RepaymentID, s.Amount)
	}
	for _, in := range a.Instalments {
		put("instalment %d %s %s %s", in.Sequence, in.DueDate, in.Before, in.After)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// RepaymentReturn is a part of a refund that goes back by a repayment.
type RepaymentReturn struct {
	RepaymentID ids.ID
	// Amount is positive.
	Amount money.Amount
}

// InstalmentChange is what is owed of an instalment before and after, late fees
// included; of a draft what is planned.
type InstalmentChange struct {
	Sequence      int
	DueDate       civil.Date
	Before, After money.Amount
}

// checkRefund refuses an amount that cannot be a refund's of a loan.
func checkRefund(amount money.Amount, c money.Currency) error {
	switch {
	case amount.Currency() != c:
		return errs.CurrencyMismatch.New("the loan is in %s, the refund in %s", c, amount.Currency())
	case !amount.IsPositive() || money.Bounded(amount) != nil:
		return errs.AmountOutOfRange.New("the refund must be above zero and at most %d minor units, is %s", money.MaxMinor, amount)
	default:
		return nil
	}
}

// ReduceDraft is the draft after a refund of a part of what it finances, and what
// that did. The rest is planned anew from the day of the draft, by the same product
// version and tenor. The product's smallest amount does not count: it is a rule
// about what may be bought, not about what a refund leaves. Of the fee, the part
// that does not depend on the amount shrinks with the principal, so that a small
// rest never costs a larger part of itself than the purchase did. Nothing left
// makes the loan VOID at the given time, with the plan that it had.
//
// It fails with errs.RefundExceedsBudget for more than the draft finances,
// errs.CurrencyMismatch, errs.AmountOutOfRange, errs.LoanStateInvalid for a loan
// that is no draft, and ErrInvariant. l is not changed.
func (l Loan) ReduceDraft(p Product, amount money.Amount, at time.Time) (Loan, RefundAdjustment, error) {
	zero := money.Zero(l.Plan.Principal.Currency())
	adj := RefundAdjustment{Released: ZeroParts(zero.Currency()), Cash: zero, Credit: zero, LimitFreed: zero}
	if err := checkRefund(amount, zero.Currency()); err != nil {
		return l, adj, err
	}
	if l.State != LoanDraft {
		return l, adj, errs.LoanStateInvalid.New("the loan is %s, not a draft", l.State).With("state", l.State.String())
	}
	left, err := l.Plan.Principal.Sub(amount)
	if err != nil {
		return l, adj, err
	}
	if left.IsNegative() {
		return l, adj, exceeds(amount, l.Plan.Principal)
	}
	next := l
	if left.IsZero() {
		next, err = l.Void(at)
	} else if next.Plan, err = l.Plan.rebuilt(p, left, civil.Of(l.DraftTime, p.Zone())); err == nil {
		adj.Plan, err = next.Plan, next.Check()
	}
	if err != nil {
		return l, adj, err
	}
	var k calculation
	adj.State = next.State
	adj.Released = Parts{
		Principal: amount,
		Interest:  k.released(l.Plan.Interest, adj.Plan.Interest),
		Fee:       k.released(l.Plan.Fee, adj.Plan.Fee), Late: zero,
	}
	for i, in := range l.Plan.Instalments {
		after := zero
		if next.State == LoanDraft {
			after = next.Plan.Instalments[i].Total
		}
		if after != in.Total {
			adj.Instalments = append(adj.Instalments, InstalmentChange{in.Sequence, in.DueDate, in.Total, after})
		}
	}
	return next, adj, k.err
}

func exceeds(amount, left money.Amount) error {
	return errs.RefundExceedsBudget.New("%s is refunded, and %s is financed and not refunded before", amount, left)
}

// released is before − after, and nothing when rounding made a rest larger. The
// zero Amount after is nothing.
func (k *calculation) released(before, after money.Amount) money.Amount {
	if after == (money.Amount{}) {
		return before
	}
	if diff := k.sub(before, after); diff.IsPositive() {
		return diff
	}
	return money.Zero(before.Currency())
}

// BegunLoan is a loan that has begun, and what refunds give back of it so far.
type BegunLoan struct {
	Terms Contract
	Facts []Fact
	// Payable is what earlier refunds give back by repayments and was not kept as
	// credit balance since.
	Payable money.Amount
	// Given is what earlier refunds gave back by repayments, kept or not.
	Given []Given
}

// Given is a part that a refund gave back by a repayment.
type Given struct {
	RefundID, RepaymentID ids.ID
	Amount                money.Amount
}

// Refund is what a refund of a day does to the loan, and the position after it. The
// fact must be a FactRefunded of asOf.
//
// What had been paid goes back by the repayments that paid principal, interest or
// fee of this loan, newest first, each at most what it paid of those less what
// earlier refunds gave back by it. What is left, such as recoveries, is credit
// balance. So is all while earlier refunds gave back more than is good, since the
// repayment bounced by which they did: nothing goes back twice.
//
// It fails with errs.RefundExceedsBudget, errs.CurrencyMismatch,
// errs.AmountOutOfRange and as Replay does.
func (b BegunLoan) Refund(fact Fact, asOf civil.Date) (RefundAdjustment, Position, error) {
	if err := checkRefund(fact.Amount, b.Terms.Product.Currency); err != nil {
		return RefundAdjustment{}, Position{}, err
	}
	before, err := Replay(b.Terms, b.Facts, asOf)
	if err != nil {
		return RefundAdjustment{}, before, err
	}
	facts := slices.Concat(b.Facts, []Fact{fact})
	after, err := Replay(b.Terms, facts, asOf)
	if err != nil {
		if left, subErr := b.Terms.Plan.Principal.Sub(before.Cancelled.Principal); subErr == nil && fact.Amount.Minor() > left.Minor() {
			return RefundAdjustment{}, before, exceeds(fact.Amount, left)
		}
		return RefundAdjustment{}, before, err
	}
	var k calculation
	gone := k.addParts(before.Open, before.WrittenOff)
	kept := k.addParts(after.Open, after.WrittenOff)
	adj := RefundAdjustment{
		Released: Parts{
			Principal: k.released(gone.Principal, kept.Principal), Interest: k.released(gone.Interest, kept.Interest),
			Fee: k.add(k.released(gone.Fee, kept.Fee), k.released(gone.Late, kept.Late)), Late: money.Zero(b.Terms.Product.Currency),
		},
		Cash: k.sub(k.add(after.Returned, after.Overpaid), k.add(before.Returned, before.Overpaid)),
		Plan: b.Terms.Plan.without(&k, after), State: after.State, LimitFreed: money.Zero(b.Terms.Product.Currency),
	}
	if k.err == nil && adj.Cash.IsNegative() {
		return adj, after, broken("refund %s takes %s from the user", fact.ID, adj.Cash)
	}
	adj.Sources, adj.Credit = b.sources(&k, before, adj.Cash)
	for i, in := range before.Instalments {
		was, is := k.total(in.Open), k.total(after.Instalments[i].Open)
		if was != is {
			adj.Instalments = append(adj.Instalments, InstalmentChange{in.Sequence, in.DueDate, was, is})
		}
	}
	return adj, after, k.err
}

// sources is by which repayments cash goes back, and what none of them gives back.
func (b BegunLoan) sources(k *calculation, before Position, cash money.Amount) ([]RepaymentReturn, money.Amount) {
	zero := money.Zero(cash.Currency())
	owed := zero // what went back already of money that was not good
	if share := before.creditShare(k, b.Payable); share.IsNegative() {
		owed = lesser(k.sub(zero, share), cash)
	}
	left := k.sub(cash, owed)
	paid, newest := b.paidBy(k, before)
	gone := b.givenOf(k, before)
	var list []RepaymentReturn
	for _, id := range newest {
		room := paid[id]
		if given, ok := gone[id]; ok {
			room = k.sub(room, given)
		}
		if share := lesser(room, left); share.IsPositive() {
			list = append(list, RepaymentReturn{RepaymentID: id, Amount: share})
			left = k.sub(left, share)
		}
	}
	return list, k.add(left, owed)
}

// givenOf is what earlier refunds gave back of what each repayment paid, as a position has it. A refund that comes before the money, as
// one does before a settlement of its day, leaves the settlement less to pay: what it gave back by it is overpaid in the position, as far
// as anything is, and no part of what was paid.
func (b BegunLoan) givenOf(k *calculation, p Position) map[ids.ID]money.Amount {
	facts := make(map[ids.ID]Fact, len(b.Facts))
	for _, f := range b.Facts {
		facts[f.ID] = f
	}
	overpaid := map[ids.ID]money.Amount{}
	for _, a := range p.Allocations {
		if a.Part == PartOverpaid {
			overpaid[a.FactID] = a.Amount
		}
	}
	given := map[ids.ID]money.Amount{}
	for _, g := range b.Given {
		amount := g.Amount
		if left, ok := overpaid[g.RepaymentID]; ok && compareFacts(facts[g.RefundID], facts[g.RepaymentID]) < 0 {
			share := lesser(amount, left)
			amount, overpaid[g.RepaymentID] = k.sub(amount, share), k.sub(left, share)
		}
		sum, ok := given[g.RepaymentID]
		if !ok {
			sum = money.Zero(amount.Currency())
		}
		given[g.RepaymentID] = k.add(sum, amount)
	}
	return given
}

// paidBy is what each repayment paid of principal, interest and fee, which is what
// refunds can give back, and the repayments, newest first. A recovery is no
// repayment: it came by no cash leg.
func (b BegunLoan) paidBy(k *calculation, p Position) (map[ids.ID]money.Amount, []ids.ID) {
	recovered := map[ids.ID]bool{}
	for _, f := range b.Facts {
		recovered[f.ID] = f.Kind == FactRecovered
	}
	paid := map[ids.ID]money.Amount{}
	var newest []ids.ID
	for i := len(p.Allocations) - 1; i >= 0; i-- {
		a := p.Allocations[i]
		if recovered[a.FactID] || a.Part == PartLate || a.Part == PartOverpaid {
			continue
		}
		sum, ok := paid[a.FactID]
		if !ok {
			sum = money.Zero(a.Amount.Currency())
			newest = append(newest, a.FactID)
		}
		paid[a.FactID] = k.add(sum, a.Amount)
	}
	return paid, newest
}

// without is the plan without what a position has cancelled of it; no instalments
// when no principal is left.
func (pl Plan) without(k *calculation, p Position) Plan {
	if p.Cancelled.Principal == pl.Principal {
		return Plan{}
	}
	next := pl
	next.Principal = k.sub(pl.Principal, p.Cancelled.Principal)
	next.Interest = k.sub(pl.Interest, p.Cancelled.Interest)
	next.Fee = k.sub(pl.Fee, p.Cancelled.Fee)
	next.Total = k.add(k.add(next.Principal, next.Interest), next.Fee)
	next.Instalments = make([]Instalment, len(pl.Instalments))
	for i, in := range pl.Instalments {
		gone := p.Instalments[i].Cancelled
		in.Principal, in.Interest, in.Fee = k.sub(in.Principal, gone.Principal), k.sub(in.Interest, gone.Interest), k.sub(in.Fee, gone.Fee)
		in.Total = k.add(k.add(in.Principal, in.Interest), in.Fee)
		next.Instalments[i] = in
	}
	return next
}

// CreditShare is the part of the user's credit balance that a position makes when
// refunds give payable back by repayments: what is overpaid and what refunds
// return, less that. It is below zero when more goes back than is good, because a
// repayment bounced by which a refund went back.
func (p Position) CreditShare(payable money.Amount) (money.Amount, error) {
	var k calculation
	return p.creditShare(&k, payable), k.err
}

func (p Position) creditShare(k *calculation, payable money.Amount) money.Amount {
	return k.sub(k.add(p.Overpaid, p.Returned), payable)
}

// FreedBy is by how much more the user may buy when the account comes to use and
// hold other amounts: the difference of Available, whatever the state of the
// account. An account above its limit (a repayment bounced) has to come below it
// first, so less is freed than is given back.
func (a Account) FreedBy(used, held money.Amount) (money.Amount, error) {
	next := a
	next.Used, next.Held = used, held
	if err := next.CheckFigures(); err != nil {
		return money.Amount{}, err
	}
	var k calculation
	return k.released(next.Available(), a.Available()), k.err
}
