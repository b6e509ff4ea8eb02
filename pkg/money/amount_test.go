package money_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/money"
)

// minors draws amounts that favour the edges of int64.
func minors() *rapid.Generator[int64] {
	return rapid.OneOf(
		rapid.Int64(),
		rapid.Int64Range(-1000, 1000),
		rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}),
	)
}

func TestCurrencyOfKnowsTheExponentOfEachCode(t *testing.T) {
	t.Parallel()
	want := map[string]int{
		"IDR": 0, "USD": 2, "CNY": 2, "SGD": 2, "MYR": 2, "THB": 2, "PHP": 2,
		"VND": 0, "JPY": 0, "EUR": 2, "KWD": 3, "USDT": 6,
	}
	for code, exponent := range want {
		c, err := money.CurrencyOf(code)
		if err != nil || c.Exponent() != exponent || c.Code() != code || c.IsZero() {
			t.Errorf("CurrencyOf(%q) = %v exponent %d, %v; want exponent %d", code, c, c.Exponent(), err, exponent)
		}
	}
	for _, c := range []money.Currency{money.IDR(), money.USD(), money.CNY(), money.USDT()} {
		if listed, err := money.CurrencyOf(c.Code()); err != nil || listed != c {
			t.Errorf("%v differs from the registry's %v, %v", c, listed, err)
		}
	}
	for _, code := range []string{"", "idr", "XXX", "IDR ", "GBP"} {
		if _, err := money.CurrencyOf(code); !errors.Is(err, money.ErrUnknownCurrency) {
			t.Errorf("CurrencyOf(%q) = %v, want ErrUnknownCurrency", code, err)
		}
	}
}

func TestCurrenciesNeverMix(t *testing.T) {
	t.Parallel()
	a, b := money.New(1, money.IDR()), money.New(1, money.USD())
	_, errAdd := a.Add(b)
	_, errSub := a.Sub(b)
	_, errCmp := a.Cmp(b)
	_, errSum := money.Sum(money.IDR(), a, b)
	_, errUnset := a.Add(money.Amount{})
	for i, err := range []error{errAdd, errSub, errCmp, errSum, errUnset} {
		if !errors.Is(err, money.ErrCurrencyMismatch) {
			t.Errorf("case %d: %v, want ErrCurrencyMismatch", i, err)
		}
	}
}

func TestAddSubNegAreExactOrOverflow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := minors().Draw(t, "x"), minors().Draw(t, "y")
		a, b := money.New(x, money.IDR()), money.New(y, money.IDR())
		bx, by := big.NewInt(x), big.NewInt(y)
		sum, err := a.Add(b)
		exact(t, "add", sum, err, new(big.Int).Add(bx, by))
		diff, err := a.Sub(b)
		exact(t, "sub", diff, err, new(big.Int).Sub(bx, by))
		neg, err := a.Neg()
		exact(t, "neg", neg, err, new(big.Int).Neg(bx))
		order, err := a.Cmp(b)
		if err != nil || order != bx.Cmp(by) {
			t.Fatalf("Cmp = %d, %v", order, err)
		}
	})
}

// exact fails unless got is want, or err is ErrOverflow and want does not fit.
func exact(t *rapid.T, what string, got money.Amount, err error, want *big.Int) {
	t.Helper()
	if !want.IsInt64() {
		if !errors.Is(err, money.ErrOverflow) {
			t.Fatalf("%s = %v, %v; want ErrOverflow for %s", what, got, err, want)
		}
		return
	}
	if err != nil || got.Minor() != want.Int64() || got.Currency() != money.IDR() {
		t.Fatalf("%s = %v, %v; want %s", what, got, err, want)
	}
}

func TestSumChecksOnlyTheTotal(t *testing.T) {
	t.Parallel()
	big1 := money.New(math.MaxInt64, money.IDR())
	total, err := money.Sum(money.IDR(), big1, money.New(1, money.IDR()), money.New(-1, money.IDR()))
	if err != nil || total != big1 {
		t.Errorf("Sum = %v, %v; want %v", total, err, big1)
	}
	if _, err := money.Sum(money.IDR(), big1, big1); !errors.Is(err, money.ErrOverflow) {
		t.Errorf("Sum of two maxima: %v, want ErrOverflow", err)
	}
	if none, err := money.Sum(money.USD()); err != nil || none != money.Zero(money.USD()) {
		t.Errorf("Sum of nothing = %v, %v", none, err)
	}
}

func TestBoundedRefusesBeyondMaxMinor(t *testing.T) {
	t.Parallel()
	for _, minor := range []int64{0, money.MaxMinor, -money.MaxMinor} {
		if err := money.Bounded(money.New(minor, money.IDR())); err != nil {
			t.Errorf("%d: %v", minor, err)
		}
	}
	for _, minor := range []int64{money.MaxMinor + 1, -money.MaxMinor - 1, math.MaxInt64, math.MinInt64} {
		if err := money.Bounded(money.New(minor, money.IDR())); !errors.Is(err, money.ErrOutOfBounds) {
			t.Errorf("%d: %v, want ErrOutOfBounds", minor, err)
		}
	}
}

func TestPredicatesTellTheSign(t *testing.T) {
	t.Parallel()
	for _, minor := range []int64{-1, 0, 1} {
		a := money.New(minor, money.USD())
		if a.IsNegative() != (minor < 0) || a.IsZero() != (minor == 0) || a.IsPositive() != (minor > 0) {
			t.Errorf("signs of %v are wrong", a)
		}
	}
}

func TestRoundingModesOnHalvesAndSigns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		tenths                     int64 // the exact value × 10
		halfUp, halfEven, up, down int64
	}{
		{0, 0, 0, 0, 0},
		{1, 0, 0, 1, 0},
		{5, 1, 0, 1, 0},
		{9, 1, 1, 1, 0},
		{10, 1, 1, 1, 1},
		{15, 2, 2, 2, 1},
		{24, 2, 2, 3, 2},
		{25, 3, 2, 3, 2},
		{26, 3, 3, 3, 2},
		{35, 4, 4, 4, 3},
		{-1, 0, 0, -1, 0},
		{-5, -1, 0, -1, 0},
		{-15, -2, -2, -2, -1},
		{-25, -3, -2, -3, -2},
		{-26, -3, -3, -3, -2},
		{-35, -4, -4, -4, -3},
	}
	for _, tt := range tests {
		want := map[money.Rounding]int64{
			money.HalfUp: tt.halfUp, money.HalfEven: tt.halfEven, money.Up: tt.up, money.Down: tt.down,
		}
		for mode, minor := range want {
			a := money.New(tt.tenths, money.IDR())
			ppm, err := a.MulPPM(100_000, mode)
			if err != nil || ppm.Minor() != minor {
				t.Errorf("MulPPM %d/10 %v = %v, %v; want %d", tt.tenths, mode, ppm, err, minor)
			}
			rat, err := a.MulRat(big.NewRat(1, 10), mode)
			if err != nil || rat.Minor() != minor {
				t.Errorf("MulRat %d/10 %v = %v, %v; want %d", tt.tenths, mode, rat, err, minor)
			}
			multiple, err := a.RoundTo(10, mode)
			if err != nil || multiple.Minor() != 10*minor {
				t.Errorf("RoundTo %d %v = %v, %v; want %d", tt.tenths, mode, multiple, err, 10*minor)
			}
		}
	}
}

func TestUnnamedRoundingIsRefused(t *testing.T) {
	t.Parallel()
	a := money.New(10, money.IDR())
	for _, mode := range []money.Rounding{0, 5, 255} {
		// An exact result is refused too: the mistake must not wait for a remainder.
		if _, err := a.MulPPM(money.PPM, mode); !errors.Is(err, money.ErrRounding) || mode.Valid() {
			t.Errorf("MulPPM with mode %v: %v, want ErrRounding", mode, err)
		}
		if _, err := a.RoundTo(5, mode); !errors.Is(err, money.ErrRounding) {
			t.Errorf("RoundTo with mode %v: %v, want ErrRounding", mode, err)
		}
	}
	names := map[money.Rounding]string{
		money.HalfUp: "HALF_UP", money.HalfEven: "HALF_EVEN", money.Up: "UP", money.Down: "DOWN", 9: "ROUNDING_9",
	}
	for mode, name := range names {
		if mode.String() != name {
			t.Errorf("%d is named %q, want %q", uint8(mode), mode, name)
		}
	}
}

func TestRoundToRefusesAMultipleThatIsNotPositive(t *testing.T) {
	t.Parallel()
	for _, multiple := range []int64{0, -100} {
		if got, err := money.New(12345, money.IDR()).RoundTo(multiple, money.Up); err == nil {
			t.Errorf("RoundTo(%d) = %v, want an error", multiple, got)
		}
	}
	if _, err := money.New(math.MaxInt64, money.IDR()).RoundTo(1000, money.Up); !errors.Is(err, money.ErrOverflow) {
		t.Errorf("RoundTo above the maximum: %v, want ErrOverflow", err)
	}
}

func TestMulPPMIsTheNearestUnitAndSymmetric(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		minor, rate := minors().Draw(t, "minor"), minors().Draw(t, "rate")
		mode := rapid.SampledFrom([]money.Rounding{money.HalfUp, money.HalfEven, money.Up, money.Down}).Draw(t, "mode")
		got, err := money.New(minor, money.IDR()).MulPPM(rate, mode)
		exactly := new(big.Rat).SetFrac(
			new(big.Int).Mul(big.NewInt(minor), big.NewInt(rate)), big.NewInt(money.PPM))
		if err != nil {
			limit := new(big.Rat).SetInt64(math.MaxInt64)
			if !errors.Is(err, money.ErrOverflow) || new(big.Rat).Abs(exactly).Cmp(limit) < 0 {
				t.Fatalf("%d × %d ppm: %v", minor, rate, err)
			}
			return
		}
		miss := new(big.Rat).Sub(new(big.Rat).SetInt64(got.Minor()), exactly)
		limit := big.NewRat(1, 1)
		if mode == money.HalfUp || mode == money.HalfEven {
			limit = big.NewRat(1, 2)
		}
		if new(big.Rat).Abs(miss).Cmp(limit) > 0 || (limit.IsInt() && new(big.Rat).Abs(miss).Cmp(limit) == 0) {
			t.Fatalf("%d × %d ppm %v = %v, off by %s", minor, rate, mode, got, miss)
		}
		if outward := miss.Sign() * exactly.Sign(); (mode == money.Up && outward < 0) || (mode == money.Down && outward > 0) {
			t.Fatalf("%d × %d ppm %v = %v went the wrong way", minor, rate, mode, got)
		}
		mirror, err := money.New(minor, money.IDR()).MulPPM(-rate, mode)
		if rate == math.MinInt64 || got.Minor() == math.MinInt64 {
			return
		}
		if err != nil || mirror.Minor() != -got.Minor() {
			t.Fatalf("negated rate gives %v, %v; want minus %v", mirror, err, got)
		}
	})
}

func TestMulRatKeepsItsArgument(t *testing.T) {
	t.Parallel()
	x := big.NewRat(2, 3)
	got, err := money.New(100, money.USD()).MulRat(x, money.HalfEven)
	if err != nil || got != money.New(67, money.USD()) {
		t.Errorf("100 × 2/3 = %v, %v; want 67", got, err)
	}
	if x.Cmp(big.NewRat(2, 3)) != 0 {
		t.Errorf("the argument became %s", x)
	}
	if _, err := money.New(math.MaxInt64, money.USD()).MulRat(big.NewRat(2, 1), money.Up); !errors.Is(err, money.ErrOverflow) {
		t.Errorf("twice the maximum: %v, want ErrOverflow", err)
	}
}
