package money

import (
	"errors"
	"fmt"
	"math/big"
)

// ErrRounding is returned for a Rounding that is not one of the named modes.
var ErrRounding = errors.New("unknown rounding mode")

// Rounding names how an inexact result becomes whole minor units. All modes
// work on the distance from zero, so rounding −x always gives minus the
// rounding of x: a reversal undoes exactly what it reverses.
//
// The numbers are stored in contracts and are never reused. Zero is no mode, so
// that a forgotten setting fails instead of rounding somehow.
type Rounding uint8

const (
	// HalfUp rounds to the nearest unit, ties away from zero: 2.5 → 3,
	// −2.5 → −3. The custom of Indonesian consumer figures.
	HalfUp Rounding = 1
	// HalfEven rounds to the nearest unit, ties to the even one: 2.5 → 2,
	// 3.5 → 4, −2.5 → −2. Banker's rounding, free of drift over many terms.
	HalfEven Rounding = 2
	// Up rounds away from zero: 2.1 → 3, −2.1 → −3.
	Up Rounding = 3
	// Down rounds toward zero (the floor of the magnitude): 2.9 → 2, −2.9 → −2.
	Down Rounding = 4
)

// String is the mode's name as used in configuration: "HALF_UP", "HALF_EVEN",
// "UP" or "DOWN".
func (r Rounding) String() string {
	switch r {
	case HalfUp:
		return "HALF_UP"
	case HalfEven:
		return "HALF_EVEN"
	case Up:
		return "UP"
	case Down:
		return "DOWN"
	default:
		return fmt.Sprintf("ROUNDING_%d", uint8(r))
	}
}

// Valid reports whether r is one of the named modes.
func (r Rounding) Valid() bool { return r >= HalfUp && r <= Down }

// divide returns num/den rounded by r. den must be positive.
func divide(num, den *big.Int, r Rounding) (*big.Int, error) {
	if !r.Valid() {
		return nil, fmt.Errorf("%w %d", ErrRounding, uint8(r))
	}
	quo, rem := new(big.Int).QuoRem(num, den, new(big.Int))
	if rem.Sign() == 0 {
		return quo, nil
	}
	// QuoRem truncates toward zero; rem has the sign of num.
	twice := new(big.Int).Lsh(new(big.Int).Abs(rem), 1)
	half := twice.Cmp(den)
	var away bool
	switch r {
	case HalfUp:
		away = half >= 0
	case HalfEven:
		away = half > 0 || (half == 0 && quo.Bit(0) == 1)
	case Up:
		away = true
	case Down:
		away = false
	}
	if away {
		quo.Add(quo, big.NewInt(int64(rem.Sign())))
	}
	return quo, nil
}
