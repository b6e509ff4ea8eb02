package domain

import (
	"math/big"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// CostPerDayPPM is what a loan costs a day as a part of its principal, in parts
// per million rounded half up: cost / (principal × days), the "economic benefit"
// of SEOJK 19/SEOJK.06/2023, which is interest and fees without late fees. It is 0
// for no principal or no days.
func CostPerDayPPM(principal, cost money.Amount, days int) int64 {
	if !principal.IsPositive() || days < 1 || cost.IsNegative() {
		return 0
	}
	num := new(big.Int).Mul(big.NewInt(cost.Minor()), big.NewInt(2*money.PPM))
	den := new(big.Int).Mul(big.NewInt(principal.Minor()), big.NewInt(int64(days)))
	num.Add(num, den)
	num.Quo(num, den.Lsh(den, 1))
	if !num.IsInt64() {
		return 1<<63 - 1
	}
	return num.Int64()
}

// WithinCost reports whether interest and fees stay within a bound of law: per
// day of the principal financed (when the bound has one) and in total.
func (c CapRule) WithinCost(principal, cost money.Amount, days int) bool {
	scaled := new(big.Int).Mul(big.NewInt(cost.Minor()), big.NewInt(money.PPM))
	total := new(big.Int).Mul(big.NewInt(principal.Minor()), big.NewInt(c.TotalPPM))
	if scaled.Cmp(total) > 0 {
		return false
	}
	perDay := new(big.Int).Mul(big.NewInt(principal.Minor()), big.NewInt(c.PerDayPPM))
	perDay.Mul(perDay, big.NewInt(int64(max(days, 1))))
	return c.PerDayPPM == 0 || scaled.Cmp(perDay) <= 0
}

// CheckCost returns nil when a plan that starts on a date stays within the bound
// of law of that date, else errs.ProductNotEligible. The days are those from the
// start to the last due date.
func (p Product) CheckCost(plan Plan, start civil.Date) error {
	rule, bound := p.Servicing.CapOn(start, plan.TenorMonths)
	if !bound || len(plan.Instalments) == 0 {
		return nil
	}
	cost, err := plan.Interest.Add(plan.Fee)
	if err != nil {
		return errs.AmountOutOfRange.Wrap(err, "the cost of the plan is too large")
	}
	days := start.DaysUntil(plan.Instalments[len(plan.Instalments)-1].DueDate)
	if !rule.WithinCost(plan.Principal, cost, days) {
		return errs.ProductNotEligible.New("%s for %s over %d days is more than the law allows from %s on", cost, plan.Principal, days, rule.From)
	}
	return nil
}
