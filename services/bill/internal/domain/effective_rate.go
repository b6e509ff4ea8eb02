package domain

import (
	"math/big"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

const (
	// rateFractionBits is the fixed-point precision of the solver, rateSteps the
	// number of halvings of its bracket. Both are fixed, so the answer is the same
	// on every machine.
	rateFractionBits = 192
	rateSteps        = 160
)

// EffectiveAnnualRatePPM is the yearly rate, in parts per million rounded half
// up, at which the instalments (interest and fees included) are worth what the
// user received: with c_k the total of instalment k,
//
//	received = Σ c_k / (1+i)^k,  rate = (1+i)^12 − 1.
//
// received is the amount financed less anything that was paid at once. The
// instalments are taken as one month apart, the first one month after the start,
// as the 30/360 basis of schedules has it: so the rate of a product does not
// change with the day of the month on which somebody looks at it. Due dates are
// not used.
//
// The equation is solved for the discount factor v = 1/(1+i), in which Σ c_k·v^k
// rises from 0 at v = 0 to all payments at v = 1, by bisection in fixed point:
// 160 halvings with 192 fraction bits leave an error of v below 2^−159, far
// below a part per million for every rate that an int64 can hold.
//
// It fails with errs.AmountOutOfRange when received is not positive or the rate
// is beyond int64, with errs.CurrencyMismatch, and with ErrInvariant when the
// user pays less than he received, which no product does.
func EffectiveAnnualRatePPM(received money.Amount, instalments []Instalment) (int64, error) {
	if !received.IsPositive() {
		return 0, errs.AmountOutOfRange.New("the amount received must be positive, is %s", received)
	}
	cash := make([]*big.Int, len(instalments))
	sum := new(big.Int)
	for i, in := range instalments {
		if in.Total.Currency() != received.Currency() {
			return 0, errs.CurrencyMismatch.New("instalment %d is in %s", i+1, in.Total.Currency())
		}
		if in.Total.IsNegative() {
			return 0, broken("instalment %d is %s", i+1, in.Total)
		}
		cash[i] = big.NewInt(in.Total.Minor())
		sum.Add(sum, cash[i])
	}
	principal := big.NewInt(received.Minor())
	switch sum.Cmp(principal) {
	case -1:
		return 0, broken("the instalments repay %s of %s minor units", sum, principal)
	case 0:
		return 0, nil
	}
	return annualPPM(discountFactor(principal, cash))
}

// discountFactor is the v of EffectiveAnnualRatePPM in fixed point: the middle of
// the last bracket.
func discountFactor(principal *big.Int, cash []*big.Int) *big.Int {
	low, high := new(big.Int), new(big.Int).Lsh(big.NewInt(1), rateFractionBits)
	target := new(big.Int).Lsh(principal, rateFractionBits)
	scaled := make([]*big.Int, len(cash))
	for i, c := range cash {
		scaled[i] = new(big.Int).Lsh(c, rateFractionBits)
	}
	// product is scratch: big.Int.Mul allocates when its result is an operand.
	middle, value, product := new(big.Int), new(big.Int), new(big.Int)
	for range rateSteps {
		middle.Add(low, high).Rsh(middle, 1)
		// Horner: (…(c_n·v + c_{n−1})·v + … + c_1)·v, scaled once.
		value.SetInt64(0)
		for k := len(scaled) - 1; k >= 0; k-- {
			value.Add(value, scaled[k])
			value.Rsh(product.Mul(value, middle), rateFractionBits)
		}
		if value.Cmp(target) < 0 {
			low.Set(middle)
		} else {
			high.Set(middle)
		}
	}
	return middle.Add(low, high).Rsh(middle, 1)
}

// annualPPM is v^−12 − 1 in parts per million, rounded half up.
func annualPPM(v *big.Int) (int64, error) {
	if v.Sign() <= 0 {
		return 0, errs.AmountOutOfRange.New("the effective rate is too large to be expressed")
	}
	year := big.NewInt(monthsPerYear)
	// (2^bits / v)^12 − 1, as the exact fraction num/den.
	num := new(big.Int).Lsh(big.NewInt(1), rateFractionBits*monthsPerYear)
	den := new(big.Int).Exp(v, year, nil)
	num.Sub(num, den).Mul(num, big.NewInt(money.PPM))
	// floor(x + 1/2) is half up, since x is not negative.
	num.Lsh(num, 1).Add(num, den)
	rate := num.Quo(num, den.Lsh(den, 1))
	if !rate.IsInt64() {
		return 0, errs.AmountOutOfRange.New("the effective rate is too large to be expressed")
	}
	return rate.Int64(), nil
}
