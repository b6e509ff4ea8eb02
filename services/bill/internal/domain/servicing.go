package domain

import (
	"slices"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/money"
)

const (
	// MaxGraceDays bounds Servicing.GraceDays, so that the first late fee always
	// comes before the second month begins.
	MaxGraceDays = 27
	// MaxContractVersion bounds the length of Product.ContractVersion in bytes.
	MaxContractVersion = 16
)

// Servicing is what a product says about a loan that runs: what lateness costs,
// where money goes, and what a refund or an early settlement takes away.
type Servicing struct {
	// GraceDays is the number of days after the due date, 0 to MaxGraceDays, during
	// which an instalment is neither overdue nor charged a late fee.
	GraceDays int `json:"grace_days"`
	// Late is what lateness costs.
	Late LateRule `json:"late"`
	// Caps are the dated bounds of law on late fees and on what a loan costs; see
	// CapOn.
	Caps []CapRule `json:"caps,omitempty"`
	// Order is the order of the parts inside an instalment: a permutation of
	// principal, interest, fee and late.
	Order []Part `json:"allocation_order"`
	// Mode is how instalments that are due share a repayment.
	Mode AllocationMode `json:"allocation_mode"`
	// Prepayment is which unbilled instalments the rest of a repayment goes to.
	Prepayment Strategy `json:"prepayment_strategy"`
	// Refund is what a merchant's refund does.
	Refund RefundRule `json:"refund"`
	// Settlement is which interest an early settlement still pays.
	Settlement SettlementInterest `json:"settlement_interest"`
	// AccountStates are the states of the account in which it is offered; empty for
	// ACTIVE only. Account.MayBuy refuses the others whatever stands here.
	AccountStates AccountStateList `json:"account_states,omitempty"`
}

// LateRule is what an overdue instalment costs besides itself.
type LateRule struct {
	// Basis is how often it is charged, RatePPM the part of the base each time, in
	// parts per million. The base is what is unpaid of the instalment without late
	// fees, on the morning of the charge: never a late fee on a late fee.
	Basis   LateBasis `json:"basis"`
	RatePPM int64     `json:"rate_ppm,string"`
	// WaiveBelow is the base below which nothing is charged; nothing for always.
	WaiveBelow money.Amount `json:"waive_below"`
}

// CapRule is a bound of law, in force from a date on until a later rule for the
// same tenors.
type CapRule struct {
	// From is the first day of contracts that it binds.
	From civil.Date `json:"from"`
	// MaxMonths is the longest tenor that it is for; 0 for any.
	MaxMonths int `json:"max_months"`
	// PerDayPPM bounds, in parts per million a day, the late fees by the principal
	// that is outstanding, and by Product.CheckCost interest and fee by the principal
	// financed; 0 for no such bound.
	PerDayPPM int64 `json:"per_day_ppm,string"`
	// TotalPPM bounds interest, fee and late fees together by the principal
	// financed, in parts per million, at most 1,000,000.
	TotalPPM int64 `json:"total_ppm,string"`
}

// RefundRule is what a merchant's refund does to a plan.
type RefundRule struct {
	// Order and Strategy are which instalments it reaches.
	Order    RefundOrder `json:"order"`
	Strategy Strategy    `json:"strategy"`
	// Interest is which interest goes with the principal.
	Interest RefundInterest `json:"interest"`
}

// DefaultServicing is the servicing of a product that says nothing about it: no
// grace, no late fee, penalty before fee before interest before principal,
// instalment by instalment, rest to the next instalment, refunds to the last
// unbilled one with its interest, and no unbilled interest on early settlement
// (by the day for declining methods). Products stored before servicing was part
// of them are read like this.
func DefaultServicing(m InterestMethod, c money.Currency) Servicing {
	s := Servicing{
		Late:  LateRule{Basis: LateNone, WaiveBelow: money.Zero(c)},
		Order: []Part{PartLate, PartFee, PartInterest, PartPrincipal}, Mode: Horizontal,
		Prepayment: StrategyNext,
		Refund:     RefundRule{Order: RefundUnbilledFirst, Strategy: StrategyLast, Interest: RefundInterestUnbilled},
		Settlement: SettleDropUnbilled,
	}
	if m.declining() {
		s.Settlement = SettleTillPreclose
	}
	return s
}

// declining reports whether interest is charged on what is left.
func (m InterestMethod) declining() bool {
	return m == DecliningEqualInstalment || m == DecliningEqualPrincipal
}

// servicingProblems is what is wrong with the servicing.
func (p Product) servicingProblems() []error {
	var ps problems
	s := p.Servicing
	ps.when(s.GraceDays < 0 || s.GraceDays > MaxGraceDays, "grace must be 0 to %d days, is %d", MaxGraceDays, s.GraceDays)
	ps.when(!s.Late.Basis.Valid(), "late fee basis is unknown: %d", s.Late.Basis)
	ps.when(s.Late.RatePPM < 0 || s.Late.RatePPM > MaxRatePPM,
		"late fee rate must be 0 to %d parts per million, is %d", MaxRatePPM, s.Late.RatePPM)
	ps.when((s.Late.Basis == LateNone) != (s.Late.RatePPM == 0), "late fee basis %s does not take the rate %d", s.Late.Basis, s.Late.RatePPM)
	ps.when(s.Late.WaiveBelow.Currency() != p.Currency, "late fee threshold must be in %s, is in %s", p.Currency, s.Late.WaiveBelow.Currency())
	ps.when(s.Late.WaiveBelow.IsNegative() || money.Bounded(s.Late.WaiveBelow) != nil, "late fee threshold is out of bounds")
	ps.when(!isOrder(s.Order), "allocation order must name principal, interest, fee and late once each, is %v", s.Order)
	ps.when(!s.Mode.Valid(), "allocation mode is unknown: %d", s.Mode)
	ps.when(!s.Prepayment.Valid(), "prepayment strategy is unknown: %d", s.Prepayment)
	ps.when(!s.Refund.Order.Valid(), "refund order is unknown: %d", s.Refund.Order)
	ps.when(!s.Refund.Strategy.Valid(), "refund strategy is unknown: %d", s.Refund.Strategy)
	ps.when(!s.Refund.Interest.Valid(), "refund interest rule is unknown: %d", s.Refund.Interest)
	ps.when(!s.Settlement.fits(p.Method), "settlement interest rule %s does not work with %s", s.Settlement, p.Method)
	for _, state := range s.AccountStates {
		ps.when(state < AccountActive || state >= AccountClosed, "cannot be offered to an account that is %s", state)
	}
	return append(ps, capProblems(s.Caps)...)
}

// capProblems is what is wrong with the caps.
func capProblems(caps []CapRule) []error {
	var ps problems
	for i, c := range caps {
		ps.when(!c.From.Valid(), "cap %d: first day %s does not exist", i+1, c.From)
		ps.when(c.MaxMonths < 0 || c.MaxMonths > MaxTenorMonths, "cap %d: tenor must be 0 to %d months, is %d", i+1, MaxTenorMonths, c.MaxMonths)
		ps.when(c.PerDayPPM < 0 || c.PerDayPPM > money.PPM, "cap %d: rate per day must be 0 to %d, is %d", i+1, money.PPM, c.PerDayPPM)
		ps.when(c.TotalPPM < 1 || c.TotalPPM > money.PPM, "cap %d: total must be 1 to %d, is %d", i+1, money.PPM, c.TotalPPM)
		for _, other := range caps[:i] {
			ps.when(other.From == c.From && other.MaxMonths == c.MaxMonths, "cap %d: from %s for %d months comes twice", i+1, c.From, c.MaxMonths)
		}
	}
	return ps
}

// isOrder reports whether parts are the four parts of an instalment, once each.
func isOrder(parts []Part) bool {
	sorted := slices.Sorted(slices.Values(parts))
	return slices.Equal(sorted, []Part{PartPrincipal, PartInterest, PartFee, PartLate})
}

// fits reports whether the rule works with a method.
func (s SettlementInterest) fits(m InterestMethod) bool {
	switch s {
	case SettleTillPreclose, SettleTillRest:
		return m.declining()
	case SettleDropUnbilled:
		return !m.declining()
	case SettleKeepAll:
		return true
	default:
		return false
	}
}

// CapOn is the bound of law for a contract of so many months made on a date:
// among the rules for the tenor that had begun, the latest; among those of one
// day the one for the fewest months. Later rules do not change old contracts. The
// second result is false when nothing binds it.
func (s Servicing) CapOn(contract civil.Date, months int) (CapRule, bool) {
	var best CapRule
	found := false
	for _, c := range s.Caps {
		if c.From.After(contract) || (c.MaxMonths != 0 && months > c.MaxMonths) {
			continue
		}
		if !found || c.From.After(best.From) || (c.From == best.From && narrower(c.MaxMonths, best.MaxMonths)) {
			best, found = c, true
		}
	}
	return best, found
}

// narrower reports whether a bound of months is for fewer tenors than another; 0
// is for all.
func narrower(a, b int) bool { return a != 0 && (b == 0 || a < b) }
