package money

import (
	"errors"
	"fmt"
	"math/big"
)

const (
	// MaxMinor bounds amounts that come from outside, in minor units: far above
	// any purchase, and low enough that thousands of them add up within int64.
	MaxMinor int64 = 1_000_000_000_000_000
	// PPM is the scale of rates in parts per million: 29_500 is 2.95 %.
	PPM int64 = 1_000_000
)

var (
	// ErrCurrencyMismatch is returned when two currencies would be mixed.
	ErrCurrencyMismatch = errors.New("currencies differ")
	// ErrOverflow is returned when a result does not fit int64 minor units.
	ErrOverflow = errors.New("amount overflows")
	// ErrOutOfBounds is returned by Bounded for an amount beyond ±MaxMinor.
	ErrOutOfBounds = errors.New("amount is out of bounds")
)

// Amount is a number of minor units of one currency. It is an immutable,
// comparable value: == means same currency and same number. The zero Amount
// has no currency and means "not set"; use Zero for nothing of a currency.
type Amount struct {
	minor    int64
	currency Currency
}

// New is the amount of minor units of c: New(1234, USD()) is 12.34 dollars.
// It accepts every int64; check what comes from outside with Bounded.
func New(minor int64, c Currency) Amount { return Amount{minor, c} }

// Zero is nothing, in currency c.
func Zero(c Currency) Amount { return Amount{0, c} }

// Minor is the number of minor units.
func (a Amount) Minor() int64 { return a.minor }

// Currency is the currency of a; the zero Currency for the zero Amount.
func (a Amount) Currency() Currency { return a.currency }

// IsZero reports whether a is nothing, in any currency or in none.
func (a Amount) IsZero() bool { return a.minor == 0 }

// IsNegative reports whether a is less than nothing.
func (a Amount) IsNegative() bool { return a.minor < 0 }

// IsPositive reports whether a is more than nothing.
func (a Amount) IsPositive() bool { return a.minor > 0 }

// Add is a + b. It fails with ErrCurrencyMismatch or ErrOverflow.
func (a Amount) Add(b Amount) (Amount, error) {
	if err := same(a, b); err != nil {
		return Amount{}, err
	}
	sum := a.minor + b.minor
	// The sum overflowed when both operands have the sign the sum has not.
	if (a.minor^sum)&(b.minor^sum) < 0 {
		return Amount{}, fmt.Errorf("%w: %s + %s", ErrOverflow, a, b)
	}
	return Amount{sum, a.currency}, nil
}

// Sub is a − b. It fails with ErrCurrencyMismatch or ErrOverflow.
func (a Amount) Sub(b Amount) (Amount, error) {
	if err := same(a, b); err != nil {
		return Amount{}, err
	}
	diff := a.minor - b.minor
	if (a.minor^b.minor)&(a.minor^diff) < 0 {
		return Amount{}, fmt.Errorf("%w: %s - %s", ErrOverflow, a, b)
	}
	return Amount{diff, a.currency}, nil
}

// Neg is −a. It fails with ErrOverflow for the one int64 without a negative,
// which New lets in.
func (a Amount) Neg() (Amount, error) { return Amount{0, a.currency}.Sub(a) }

// Cmp is −1, 0 or +1 as a is less than, equal to or more than b. It fails with
// ErrCurrencyMismatch.
func (a Amount) Cmp(b Amount) (int, error) {
	if err := same(a, b); err != nil {
		return 0, err
	}
	switch {
	case a.minor < b.minor:
		return -1, nil
	case a.minor > b.minor:
		return 1, nil
	default:
		return 0, nil
	}
}

// MulPPM is a × ratePPM ÷ 1,000,000, computed exactly and rounded once by r.
// It fails with ErrOverflow or ErrRounding.
func (a Amount) MulPPM(ratePPM int64, r Rounding) (Amount, error) {
	num := new(big.Int).Mul(big.NewInt(a.minor), big.NewInt(ratePPM))
	return a.quotient(num, big.NewInt(PPM), r)
}

// MulRat is a × x, computed exactly and rounded once by r. x is not changed and
// must not be nil. It fails with ErrOverflow or ErrRounding.
func (a Amount) MulRat(x *big.Rat, r Rounding) (Amount, error) {
	num := new(big.Int).Mul(big.NewInt(a.minor), x.Num())
	return a.quotient(num, x.Denom(), r)
}

// RoundTo is a rounded by r to a whole multiple of multipleMinor, which must be
// positive: RoundTo(100, Up) makes IDR 12301 into IDR 12400. It fails with
// ErrOverflow or ErrRounding.
func (a Amount) RoundTo(multipleMinor int64, r Rounding) (Amount, error) {
	if multipleMinor <= 0 {
		return Amount{}, fmt.Errorf("round %s to a multiple of %d: the multiple must be positive", a, multipleMinor)
	}
	unit := big.NewInt(multipleMinor)
	quo, err := divide(big.NewInt(a.minor), unit, r)
	if err != nil {
		return Amount{}, err
	}
	return a.whole(quo.Mul(quo, unit))
}

// Sum adds xs, all of currency c; without any it is Zero(c). Only the total has
// to fit: the order of xs never matters. It fails with ErrCurrencyMismatch or
// ErrOverflow.
func Sum(c Currency, xs ...Amount) (Amount, error) {
	total := new(big.Int)
	for _, x := range xs {
		if err := same(Zero(c), x); err != nil {
			return Amount{}, err
		}
		total.Add(total, big.NewInt(x.minor))
	}
	return Zero(c).whole(total)
}

// Bounded fails with ErrOutOfBounds when a is beyond ±MaxMinor. Call it once on
// every amount that a caller, a file or a channel supplies.
func Bounded(a Amount) error {
	if a.minor > MaxMinor || a.minor < -MaxMinor {
		return fmt.Errorf("%w: %s, the limit is %d minor units", ErrOutOfBounds, a, MaxMinor)
	}
	return nil
}

// same fails with ErrCurrencyMismatch when a and b differ in currency.
func same(a, b Amount) error {
	if a.currency != b.currency {
		return fmt.Errorf("%w: %s and %s", ErrCurrencyMismatch, a.currency, b.currency)
	}
	return nil
}

// quotient is num/den in a's currency, rounded by r.
func (a Amount) quotient(num, den *big.Int, r Rounding) (Amount, error) {
	quo, err := divide(num, den, r)
	if err != nil {
		return Amount{}, err
	}
	return a.whole(quo)
}

// whole is n minor units in a's currency, or ErrOverflow.
func (a Amount) whole(n *big.Int) (Amount, error) {
	if !n.IsInt64() {
		return Amount{}, fmt.Errorf("%w: %s %s minor units", ErrOverflow, a.currency, n)
	}
	return Amount{n.Int64(), a.currency}, nil
}
