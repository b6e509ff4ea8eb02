package domain

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/money"
)

// drawProduct is a random valid product with one tenor.
func drawProduct(t *rapid.T) Product {
	method := InterestMethod(rapid.Uint8Range(uint8(FlatPerMonth), uint8(Zero)).Draw(t, "method"))
	tenor := Tenor{Months: rapid.IntRange(1, MaxTenorMonths).Draw(t, "months")}
	switch method {
	case FlatPerTransaction:
		tenor.RatePeriod, tenor.RatePPM = PerTransaction, rapid.Int64Range(0, MaxRatePPM).Draw(t, "rate")
	case Zero:
		tenor.RatePeriod = PerMonth
	default:
		tenor.RatePeriod = rapid.SampledFrom([]RatePeriod{PerMonth, PerYear}).Draw(t, "period")
		tenor.RatePPM = rapid.Int64Range(0, MaxRatePPM/4).Draw(t, "rate")
	}
	p := testProduct(money.IDR(), method, tenor,
		money.Rounding(rapid.Uint8Range(1, 4).Draw(t, "rounding")),
		rapid.SampledFrom([]int64{1, 1, 10, 100, 1000}).Draw(t, "multiple"))
	if method != DecliningEqualInstalment {
		p.RemainderTo = rapid.SampledFrom([]RemainderTo{RemainderLast, RemainderFirst}).Draw(t, "remainder")
	}
	p.FeeRatePPM = rapid.Int64Range(0, 100_000).Draw(t, "fee rate")
	p.FeeFixed = rp(rapid.Int64Range(0, 10_000).Draw(t, "fixed fee"))
	p.BillDay = rapid.IntRange(1, 27).Draw(t, "bill day")
	p.DueDay = rapid.IntRange(1, 31).Filter(func(d int) bool { return d != p.BillDay }).Draw(t, "due day")
	return p
}

// drawDate is a random date.
func drawDate(t *rapid.T) civil.Date {
	return civil.Date{Year: 2024, Month: 1, Day: 1}.AddDays(rapid.IntRange(0, 3000).Draw(t, "day"))
}

// checkProperties says which promise of Schedule a list of instalments breaks.
func checkProperties(p Product, tenor Tenor, principal money.Amount, list []Instalment) error {
	var sumPrincipal, sumFee int64
	balance, lastInterest := principal.Minor(), int64(-1)
	for i, in := range list {
		a, b, c := in.Principal.Minor(), in.Interest.Minor(), in.Fee.Minor()
		if a < 0 || b < 0 || c < 0 {
			return fmt.Errorf("instalment %d has a negative part: %d %d %d", i+1, a, b, c)
		}
		if in.Total.Minor() != a+b+c {
			return fmt.Errorf("instalment %d: %d is not %d+%d+%d", i+1, in.Total.Minor(), a, b, c)
		}
		if i > 0 && c != 0 {
			return fmt.Errorf("instalment %d carries a fee", i+1)
		}
		declining := p.Method == DecliningEqualInstalment || p.Method == DecliningEqualPrincipal
		if declining && lastInterest >= 0 && b > lastInterest {
			return fmt.Errorf("interest rises in instalment %d", i+1)
		}
		lastInterest = b
		sumPrincipal, sumFee, balance = sumPrincipal+a, sumFee+c, balance-a
		if balance < 0 {
			return fmt.Errorf("balance below zero after instalment %d", i+1)
		}
	}
	fee, err := p.Fee(principal)
	if err != nil {
		return err
	}
	if sumPrincipal != principal.Minor() || sumFee != fee.Minor() || len(list) != tenor.Months {
		return fmt.Errorf("%d instalments sum to principal %d and fee %d", len(list), sumPrincipal, sumFee)
	}
	return checkEqualParts(p, tenor, principal, list)
}

// checkEqualParts says where instalments differ though the remainder rule does not
// name them. Amounts too small to share are left out: their later shares are
// bounded by what is left.
func checkEqualParts(p Product, tenor Tenor, principal money.Amount, list []Instalment) error {
	n := int64(tenor.Months)
	if n < 3 || principal.Minor() < n*(n+1)*(p.RoundingMultiple+1) {
		return nil
	}
	part := func(in Instalment) int64 { return in.Total.Minor() - in.Fee.Minor() }
	if p.Method == DecliningEqualPrincipal {
		part = func(in Instalment) int64 { return in.Principal.Minor() }
	}
	from, to, odd := list[0], list[:n-1], list[n-1]
	if p.RemainderTo == RemainderFirst {
		from, to, odd = list[1], list[1:], list[0]
	}
	if p.Method == DecliningEqualInstalment && part(from) != part(list[1]) {
		return nil // an instalment that only pays interest: rates too high for the tenor
	}
	if p.Method != DecliningEqualInstalment {
		for _, in := range to {
			// Interest of less than a unit an instalment runs out before the end, and
			// the instalment is made up by principal: the sum is the same.
			if part(in) != part(from) && in.Interest == from.Interest {
				return fmt.Errorf("instalment %d is %d, others %d", in.Sequence, part(in), part(from))
			}
		}
		if d := part(odd) - part(from); d > n*p.RoundingMultiple || d < -n*p.RoundingMultiple {
			return fmt.Errorf("the remainder is %d", d)
		}
	}
	return nil
}

func TestSchedulePropertiesHoldForEveryProduct(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawProduct(t)
		if err := p.Validate(); err != nil {
			t.Fatalf("drawn product: %v", err)
		}
		principal := rp(rapid.OneOf(rapid.Int64Range(1, 5_000), rapid.Int64Range(1, 100_000_000)).Draw(t, "principal"))
		list, err := Schedule(p, p.Tenors[0], principal)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkProperties(p, p.Tenors[0], principal, list); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnnuityInstalmentsAreEqualButTheLast(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 36).Draw(t, "months")
		tenor := Tenor{n, rapid.Int64Range(0, 50_000).Draw(t, "rate"), PerMonth}
		p := testProduct(money.IDR(), DecliningEqualInstalment, tenor, money.HalfUp, 1)
		list, err := Schedule(p, tenor, rp(rapid.Int64Range(100_000, 100_000_000).Draw(t, "principal")))
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range list[:n-1] {
			if in.Total != list[0].Total {
				t.Fatalf("instalment %d is %s, the first %s", in.Sequence, in.Total, list[0].Total)
			}
		}
		// Each period rounds by at most half a rupiah twice; the error grows with
		// (1+r)^n ≤ 1.05^36 < 6.
		if d := list[n-1].Total.Minor() - list[0].Total.Minor(); d > int64(6*n) || d < int64(-6*n) {
			t.Fatalf("the last instalment differs by %d", d)
		}
	})
}

func TestPlanSumIsTheSumOfItsPlans(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawProduct(t)
		start := drawDate(t)
		var plans []Plan
		var principal, total int64
		for range rapid.IntRange(1, 5).Draw(t, "orders") {
			plan, err := BuildPlan(p, p.Tenors[0].Months, rp(rapid.Int64Range(10_000, 50_000_000).Draw(t, "principal")), start)
			if err != nil {
				t.Fatal(err)
			}
			plans = append(plans, plan)
			principal, total = principal+plan.Principal.Minor(), total+plan.Total.Minor()
		}
		sum, err := SumPlans(plans)
		if err != nil {
			t.Fatal(err)
		}
		if sum.Principal.Minor() != principal || sum.Total.Minor() != total {
			t.Fatalf("sum is %s of %s, want %d of %d", sum.Total, sum.Principal, total, principal)
		}
	})
}

func TestDueDatesFollowTheBillAndRiseMonthly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, start := drawProduct(t), drawDate(t)
		bills, dues := BillDates(p, start, 14), DueDates(p, start, 14)
		if !bills[0].After(start) || start.DaysUntil(bills[0]) > 31 {
			t.Fatalf("confirmed %s, first bill %s", start, bills[0])
		}
		for i := range bills {
			if gap := bills[i].DaysUntil(dues[i]); gap < 1 || gap > 31 {
				t.Fatalf("bill %s is due %s", bills[i], dues[i])
			}
			if i > 0 && (!bills[i].After(bills[i-1]) || !dues[i].After(dues[i-1])) {
				t.Fatalf("dates do not rise: %v, %v", bills, dues)
			}
		}
	})
}

// FuzzSchedule: a schedule is refused, or keeps every promise.
func FuzzSchedule(f *testing.F) {
	f.Add(uint8(1), int64(29_500), uint8(1), 12, int64(1), uint8(1), uint8(1), int64(10_000), int64(100_000))
	f.Add(uint8(3), int64(240_000), uint8(2), 6, int64(100), uint8(2), uint8(1), int64(0), int64(1))
	f.Add(uint8(4), int64(1_000_000), uint8(1), 60, int64(1_000_000), uint8(3), uint8(2), int64(1_000_000), money.MaxMinor)
	f.Fuzz(func(t *testing.T, method uint8, rate int64, period uint8, months int, multiple int64,
		rounding, remainder uint8, feeRate, principal int64,
	) {
		tenor := Tenor{Months: months, RatePPM: rate, RatePeriod: RatePeriod(period)}
		p := testProduct(money.IDR(), InterestMethod(method), tenor, money.Rounding(rounding), multiple)
		p.RemainderTo, p.FeeRatePPM = RemainderTo(remainder), feeRate
		list, err := Schedule(p, tenor, rp(principal))
		if err != nil {
			// Only our own fault may look like one; a valid request is never refused.
			if p.Validate() == nil && checkPositive(p, rp(principal)) == nil {
				t.Fatalf("refused a valid request: %v", err)
			}
			return
		}
		if err := checkProperties(p, tenor, rp(principal), list); err != nil {
			t.Fatal(err)
		}
	})
}
