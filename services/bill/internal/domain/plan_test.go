package domain

import (
	"errors"
	"math/big"
	"testing"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/money"
)

// planOf is a plan of the first default product from 10 April 2026 on.
func planOf(t *testing.T, months int, principal int64) Plan {
	t.Helper()
	plan, err := BuildPlan(DefaultProducts(money.IDR())[0], months, rp(principal), day(t, "2026-04-10"))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestPlanShowsTheSumsAndDates(t *testing.T) {
	t.Parallel()
	plan := planOf(t, 3, 100_000)
	if plan.Principal != rp(100_000) || plan.Interest != rp(8_850) || plan.Fee != rp(1_000) || plan.Total != rp(109_850) {
		t.Errorf("sums: %+v", plan)
	}
	if plan.ProductCode != "SPL_ID" || plan.ProductVersion != 1 || plan.MonthlyRatePPM != 29_500 || plan.DownPayment != rp(0) {
		t.Errorf("terms: %+v", plan)
	}
	for i, want := range []string{"2026-05-05", "2026-06-05", "2026-07-05"} {
		if plan.Instalments[i].DueDate.String() != want {
			t.Errorf("instalment %d is due %s, want %s", i+1, plan.Instalments[i].DueDate, want)
		}
	}
}

func TestBuildPlanRefusesUnknownTenorAndDate(t *testing.T) {
	t.Parallel()
	p := DefaultProducts(money.IDR())[0]
	if _, err := BuildPlan(p, 2, rp(10_000), day(t, "2026-04-10")); !errs.Is(err, errs.TenorNotOffered) {
		t.Errorf("tenor: %v", err)
	}
	for _, d := range []civil.Date{{}, {Year: 2026, Month: 2, Day: 30}, {Year: 9999, Month: 12, Day: 31}} {
		if _, err := BuildPlan(p, 3, rp(10_000), d); !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("date %s: %v", d, err)
		}
	}
}

func TestCheckFindsEveryTamperedFigure(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(*Plan){
		"principal":         func(p *Plan) { p.Principal = rp(99_999) },
		"interest":          func(p *Plan) { p.Interest = rp(0) },
		"fee":               func(p *Plan) { p.Fee = rp(1_001) },
		"total":             func(p *Plan) { p.Total = rp(1) },
		"instalment total":  func(p *Plan) { p.Instalments[1].Total = rp(1) },
		"instalment part":   func(p *Plan) { p.Instalments[1].Interest = rp(1) },
		"negative part":     func(p *Plan) { p.Instalments[1].Interest, p.Instalments[1].Total = rp(-1), rp(1) },
		"currency":          func(p *Plan) { p.Instalments[1].Fee = usd(0) },
		"sequence":          func(p *Plan) { p.Instalments[1].Sequence = 3 },
		"missing":           func(p *Plan) { p.Instalments = p.Instalments[:2] },
		"due date missing":  func(p *Plan) { p.Instalments[0].DueDate = civil.Date{} },
		"due dates falling": func(p *Plan) { p.Instalments[2].DueDate = p.Instalments[0].DueDate },
		"down payment":      func(p *Plan) { p.DownPayment = money.Amount{} },
		"product":           func(p *Plan) { p.ProductVersion = 0 },
		"empty":             func(p *Plan) { *p = Plan{} },
	} {
		plan := planOf(t, 3, 100_000)
		tamper(&plan)
		if err := plan.Check(); !errors.Is(err, ErrInvariant) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSumPlansAddsAndLeavesItsPartsAlone(t *testing.T) {
	t.Parallel()
	a, b := planOf(t, 3, 100_000), planOf(t, 3, 50_001)
	before := a.Instalments[0].Total
	sum, err := SumPlans([]Plan{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if sum.Principal != rp(150_001) || sum.Instalments[0].DueDate != a.Instalments[0].DueDate {
		t.Errorf("sum is %+v", sum)
	}
	if a.Instalments[0].Total != before {
		t.Error("the first plan was changed")
	}
	other := planOf(t, 3, 50_001)
	other.ProductVersion = 2
	for name, plans := range map[string][]Plan{"none": nil, "tenor": {a, planOf(t, 6, 50_000)}, "version": {a, other}} {
		if _, err := SumPlans(plans); !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// equalPayments are n instalments of so much.
func equalPayments(n int, each int64) []Instalment {
	out := make([]Instalment, n)
	for i := range out {
		out[i].Total = rp(each)
	}
	return out
}

func TestEffectiveRateOfClosedForms(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		received int64
		list     []Instalment
		want     int64
	}{
		// 1.0395^12 − 1 = 0.591819879161724…
		{"SPL in one month", 100_000, equalPayments(1, 103_950), 591_820},
		// 1.01^12 − 1 = 0.126825030131969720661201.
		{"1 % in one month", 100, equalPayments(1, 101), 126_825},
		{"double in one month: 2^12 − 1", 1_000, equalPayments(1, 2_000), 4_095_000_000},
		{"one payment after twelve months is the year's rate", 1_000_000, append(equalPayments(11, 0), equalPayments(1, 1_234_567)...), 234_567},
		{"nothing to pay for it", 1_200, equalPayments(12, 100), 0},
		{"an endless 5 % a month, repaid at last", 1_000, append(equalPayments(5, 50), equalPayments(1, 1_050)...), 795_856},
	} {
		got, err := EffectiveAnnualRatePPM(rp(tc.received), tc.list)
		if err != nil || got != tc.want {
			t.Errorf("%s: got %d, %v, want %d", tc.name, got, err, tc.want)
		}
	}
}

// The rate is checked by its definition, not by another solver: the value of the
// payments at half a part per million less is above what was received, at half a
// part more below. The yearly rate is brought to a month by a bracket of exact
// fractions that a power of twelve confirms.
func TestEffectiveRateIsTheRootOfTheValueIdentity(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		received int64
		list     []Instalment
	}{
		{"flat 2 % in twelve months", 1_200_000, equalPayments(12, 124_000)},
		{"Livin", 2_000_000, append(equalPayments(1, 726_667), append(equalPayments(1, 696_667), equalPayments(1, 696_666)...)...)},
		{"SPL in three months", 100_000, planOf(t, 3, 100_000).Instalments},
	} {
		got, err := EffectiveAnnualRatePPM(rp(tc.received), tc.list)
		if err != nil {
			t.Fatal(err)
		}
		want := big.NewRat(tc.received, 1)
		if low := valueAt(t, tc.list, 2*got-1); low.Cmp(want) < 0 {
			t.Errorf("%s: %d ppm is too high", tc.name, got)
		}
		if high := valueAt(t, tc.list, 2*got+1); high.Cmp(want) > 0 {
			t.Errorf("%s: %d ppm is too low", tc.name, got)
		}
	}
}

// valueAt is what payments are worth at a yearly rate in half parts per million.
func valueAt(t *testing.T, list []Instalment, halfPPM int64) *big.Rat {
	t.Helper()
	growth := new(big.Float).SetPrec(400).SetRat(new(big.Rat).Add(big.NewRat(1, 1), big.NewRat(halfPPM, 2*money.PPM)))
	// The twelfth root as the cube root of a square root of a square root; the cube
	// root by Newton's x ← (2x + a/x²)/3.
	a := new(big.Float).SetPrec(400).Sqrt(new(big.Float).SetPrec(400).Sqrt(growth))
	x := new(big.Float).SetPrec(400).SetInt64(1)
	for range 60 {
		square := new(big.Float).SetPrec(400).Mul(x, x)
		x.Add(new(big.Float).SetPrec(400).Add(x, x), square.Quo(a, square))
		x.Quo(x, new(big.Float).SetPrec(400).SetInt64(3))
	}
	month, _ := x.Rat(nil)
	diff := new(big.Rat).Sub(power(month, 12), big.NewRat(2*money.PPM+halfPPM, 2*money.PPM))
	if diff.Abs(diff).Cmp(big.NewRat(1, 1_000_000_000_000_000_000)) > 0 {
		t.Fatal("the monthly rate is not the twelfth root")
	}
	value := new(big.Rat)
	for k, in := range list {
		value.Add(value, new(big.Rat).Quo(big.NewRat(in.Total.Minor(), 1), power(month, k+1)))
	}
	return value
}

func TestEffectiveRateRefusesNonsense(t *testing.T) {
	t.Parallel()
	if _, err := EffectiveAnnualRatePPM(rp(0), equalPayments(1, 1)); !errs.Is(err, errs.AmountOutOfRange) {
		t.Errorf("nothing received: %v", err)
	}
	if _, err := EffectiveAnnualRatePPM(usd(1), equalPayments(1, 1)); !errs.Is(err, errs.CurrencyMismatch) {
		t.Errorf("currency: %v", err)
	}
	if _, err := EffectiveAnnualRatePPM(rp(1), equalPayments(1, money.MaxMinor)); !errs.Is(err, errs.AmountOutOfRange) {
		t.Errorf("too large: %v", err)
	}
	if _, err := EffectiveAnnualRatePPM(rp(2), equalPayments(1, 1)); !errors.Is(err, ErrInvariant) {
		t.Errorf("repays too little: %v", err)
	}
}
