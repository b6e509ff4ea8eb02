package domain

import (
	"math/big"
	"testing"
)

// The examples of this file are in the manner of Regulation Z, appendix J: level
// and irregular payments, an amount advanced once, unit-period one month. The
// expected figures come from another algorithm than the solver's: the monthly rate
// is bisected in exact fractions, with each payment's present value built by
// division, and the year is the twelfth power; nothing of the solver is used.

// monthlyByBisection is the monthly rate of payments of a loan as an exact fraction
// within 10^-18.
func monthlyByBisection(received int64, payments []int64) *big.Rat {
	low, high := new(big.Rat), big.NewRat(4, 1)
	target := big.NewRat(received, 1)
	const grid = 1 << 60
	for range 62 {
		middle := new(big.Rat).Add(low, high)
		middle.Quo(middle, big.NewRat(2, 1))
		// Keep fractions short: a grid of 2^-60 is finer than the answer needs.
		scaled := new(big.Int).Mul(middle.Num(), big.NewInt(grid))
		middle.SetFrac(scaled.Quo(scaled, middle.Denom()), big.NewInt(grid))
		growth := new(big.Rat).Add(big.NewRat(1, 1), middle)
		discount, value := big.NewRat(1, 1), new(big.Rat)
		for _, p := range payments {
			discount.Quo(discount, growth)
			value.Add(value, new(big.Rat).Mul(discount, big.NewRat(p, 1)))
		}
		if value.Cmp(target) > 0 {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// yearPPM is (1 + monthly)^12 − 1 in parts per million, rounded half up.
func yearPPM(monthly *big.Rat) int64 {
	growth := new(big.Rat).Add(big.NewRat(1, 1), monthly)
	year := big.NewRat(1, 1)
	for range 12 {
		year.Mul(year, growth)
	}
	year.Sub(year, big.NewRat(1, 1))
	year.Mul(year, big.NewRat(1_000_000, 1))
	year.Add(year, big.NewRat(1, 2))
	return new(big.Int).Quo(year.Num(), year.Denom()).Int64()
}

func TestEffectiveRateAgainstExactBisection(t *testing.T) {
	t.Parallel()
	level := func(n int, each int64) []int64 {
		out := make([]int64, n)
		for i := range out {
			out[i] = each
		}
		return out
	}
	for _, tc := range []struct {
		name     string
		received int64
		payments []int64
	}{
		{"24 level payments", 1_000_00, level(24, 50_00)},
		// 5,000 advanced, 36 payments of 230.
		{"36 level payments", 5_000_00, level(36, 230_00)},
		// 500 advanced, 15 payments of 33.33 and one of 54.
		{"an odd final payment", 500_00, append(level(15, 33_33), 54_00)},
		// 1,000 advanced, an odd first payment of 150, then ten of 100.
		{"an odd first payment", 1_000_00, append([]int64{150_00}, level(10, 100_00)...)},
		{"single advance, single payment", 1_000_00, []int64{1_050_00}},
		{"payments that are skipped", 1_000_00, []int64{0, 0, 400_00, 0, 0, 400_00, 0, 0, 400_00}},
		{"SPL in one month", 100_000, []int64{103_950}},
		{"SPL in three months", 100_000, []int64{37_283, 36_283, 36_284}},
		{"BCA Paylater 2 % in twelve", 1_200_000, level(12, 124_000)},
	} {
		list := make([]Instalment, len(tc.payments))
		for i, p := range tc.payments {
			list[i].Total = rp(p)
		}
		got, err := EffectiveAnnualRatePPM(rp(tc.received), list)
		if want := yearPPM(monthlyByBisection(tc.received, tc.payments)); err != nil || got != want {
			t.Errorf("%s: %d, want %d, %v", tc.name, got, want, err)
		}
	}
}

// The annual percentage rate of Regulation Z is nominal: 12 × the monthly rate.
// 1,000 repaid in 24 payments of 50 has 18.16 %, which any annuity table confirms:
// at 1.5131 % a month 24 payments of 1 are worth 20. It checks the bisection that
// checks the solver.
func TestBisectionAgreesWithANominalRate(t *testing.T) {
	t.Parallel()
	nominal := func(received int64, n int, each int64) string {
		payments := make([]int64, n)
		for i := range payments {
			payments[i] = each
		}
		year := new(big.Rat).Mul(monthlyByBisection(received, payments), big.NewRat(1200, 1))
		return year.FloatString(2)
	}
	if got := nominal(1_000, 24, 50); got != "18.16" {
		t.Errorf("1,000 in 24 × 50: %s %%", got)
	}
}
