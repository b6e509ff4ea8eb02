package domain

import (
	"fmt"
	"slices"

	"github.com/creditpay/creditpay/pkg/money"
)

// InterestMethod is how a product computes interest. The numbers are stored and
// equal creditpay.common.v1.InterestMethod.
type InterestMethod uint8

const (
	// FlatPerMonth charges principal × monthly rate × months, the same each month.
	FlatPerMonth InterestMethod = 1
	// FlatPerTransaction charges principal × rate once, whatever the tenor.
	FlatPerTransaction InterestMethod = 2
	// DecliningEqualInstalment charges what is left × monthly rate; the sum of
	// principal and interest is the same each month (annuity).
	DecliningEqualInstalment InterestMethod = 3
	// DecliningEqualPrincipal charges what is left × monthly rate; the principal
	// is the same each month.
	DecliningEqualPrincipal InterestMethod = 4
	// Zero charges no interest.
	Zero InterestMethod = 5
)

// methodNames are the names in stored products; index 0 is no method.
func methodNames() []string {
	return []string{
		"", "FLAT_PER_MONTH", "FLAT_PER_TRANSACTION", "DECLINING_EQUAL_INSTALMENT",
		"DECLINING_EQUAL_PRINCIPAL", "ZERO",
	}
}

// String is the name in stored products, such as "FLAT_PER_MONTH".
func (m InterestMethod) String() string { return nameOf(methodNames(), uint8(m), "INTEREST_METHOD") }

// Valid reports whether m is one of the named methods.
func (m InterestMethod) Valid() bool { return m >= FlatPerMonth && m <= Zero }

// MarshalText gives the name; it fails for an unnamed number.
func (m InterestMethod) MarshalText() ([]byte, error) {
	return marshalName(methodNames(), uint8(m), "interest method")
}

// UnmarshalText reads what MarshalText writes.
func (m *InterestMethod) UnmarshalText(text []byte) error {
	n, err := parseName(methodNames(), text, "interest method")
	*m = InterestMethod(n)
	return err
}

// RatePeriod is the time that a tenor's rate is quoted for. The numbers are stored.
type RatePeriod uint8

const (
	// PerMonth is a nominal rate for a month.
	PerMonth RatePeriod = 1
	// PerYear is a nominal rate for a year; a month bears exactly a twelfth of it.
	PerYear RatePeriod = 2
	// PerTransaction is a rate for the whole loan, whatever its tenor: the one
	// period of FlatPerTransaction.
	PerTransaction RatePeriod = 3
)

// periodNames are the names in stored products; index 0 is no period.
func periodNames() []string { return []string{"", "PER_MONTH", "PER_YEAR", "PER_TRANSACTION"} }

// String is the name in stored products, such as "PER_MONTH".
func (p RatePeriod) String() string { return nameOf(periodNames(), uint8(p), "RATE_PERIOD") }

// Valid reports whether p is one of the named periods.
func (p RatePeriod) Valid() bool { return p >= PerMonth && p <= PerTransaction }

// MarshalText gives the name; it fails for an unnamed number.
func (p RatePeriod) MarshalText() ([]byte, error) {
	return marshalName(periodNames(), uint8(p), "rate period")
}

// UnmarshalText reads what MarshalText writes.
func (p *RatePeriod) UnmarshalText(text []byte) error {
	n, err := parseName(periodNames(), text, "rate period")
	*p = RatePeriod(n)
	return err
}

// RemainderTo is the instalment that absorbs what equal shares leave over. The
// numbers are stored.
type RemainderTo uint8

const (
	// RemainderLast lets the last instalment absorb it, as Apache Fineract does.
	RemainderLast RemainderTo = 1
	// RemainderFirst lets the first instalment absorb it. Not for
	// DecliningEqualInstalment, where each interest depends on the shares before.
	RemainderFirst RemainderTo = 2
)

// remainderNames are the names in stored products; index 0 is none.
func remainderNames() []string { return []string{"", "LAST", "FIRST"} }

// String is the name in stored products: "LAST" or "FIRST".
func (r RemainderTo) String() string { return nameOf(remainderNames(), uint8(r), "REMAINDER_TO") }

// Valid reports whether r is one of the named instalments.
func (r RemainderTo) Valid() bool { return r == RemainderLast || r == RemainderFirst }

// MarshalText gives the name; it fails for an unnamed number.
func (r RemainderTo) MarshalText() ([]byte, error) {
	return marshalName(remainderNames(), uint8(r), "remainder rule")
}

// UnmarshalText reads what MarshalText writes.
func (r *RemainderTo) UnmarshalText(text []byte) error {
	n, err := parseName(remainderNames(), text, "remainder rule")
	*r = RemainderTo(n)
	return err
}

// DayCount is how days become parts of a year. The numbers are stored.
type DayCount uint8

const (
	// Thirty360 counts every period as a twelfth of a year, the first one too.
	Thirty360 DayCount = 1
	// Actual365Fixed counts the days of a period, the first from the start of the
	// loan, as parts of a year of 365.
	Actual365Fixed DayCount = 2
	// Actual360 does so with a year of 360.
	Actual360 DayCount = 3
)

// dayCountNames are the names in stored products; index 0 is none.
func dayCountNames() []string { return []string{"", "30_360", "ACT_365F", "ACT_360"} }

// String is the name in stored products, such as "30_360".
func (d DayCount) String() string { return nameOf(dayCountNames(), uint8(d), "DAY_COUNT") }

// Valid reports whether d is one of the named day counts.
func (d DayCount) Valid() bool { return d >= Thirty360 && d <= Actual360 }

// MarshalText gives the name; it fails for an unnamed number.
func (d DayCount) MarshalText() ([]byte, error) {
	return marshalName(dayCountNames(), uint8(d), "day count")
}

// UnmarshalText reads what MarshalText writes.
func (d *DayCount) UnmarshalText(text []byte) error {
	n, err := parseName(dayCountNames(), text, "day count")
	*d = DayCount(n)
	return err
}

// FeeTiming is when the handling fee is paid. The numbers are stored.
type FeeTiming uint8

// FeeFirstInstalment puts the whole fee into the first instalment.
const FeeFirstInstalment FeeTiming = 1

// feeTimingNames are the names in stored products; index 0 is none.
func feeTimingNames() []string { return []string{"", "FIRST_INSTALMENT"} }

// String is the name in stored products: "FIRST_INSTALMENT".
func (f FeeTiming) String() string { return nameOf(feeTimingNames(), uint8(f), "FEE_TIMING") }

// Valid reports whether f is one of the named timings.
func (f FeeTiming) Valid() bool { return f == FeeFirstInstalment }

// MarshalText gives the name; it fails for an unnamed number.
func (f FeeTiming) MarshalText() ([]byte, error) {
	return marshalName(feeTimingNames(), uint8(f), "fee timing")
}

// UnmarshalText reads what MarshalText writes.
func (f *FeeTiming) UnmarshalText(text []byte) error {
	n, err := parseName(feeTimingNames(), text, "fee timing")
	*f = FeeTiming(n)
	return err
}

// parseRounding reads money.Rounding's name, which package money only writes.
func parseRounding(name string) (money.Rounding, error) {
	for r := money.HalfUp; r.Valid(); r++ {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("unknown rounding %.32q", name)
}

// nameOf is the name of number n, or the kind and the number when it has none.
func nameOf(names []string, n uint8, kind string) string {
	if n == 0 || int(n) >= len(names) {
		return fmt.Sprintf("%s_%d", kind, n)
	}
	return names[n]
}

// marshalName is the name of number n for storage; an unnamed one fails.
func marshalName(names []string, n uint8, kind string) ([]byte, error) {
	if n == 0 || int(n) >= len(names) {
		return nil, fmt.Errorf("unknown %s %d", kind, n)
	}
	return []byte(names[n]), nil
}

// parseName is the number of a name; on failure it is 0, which is never valid.
func parseName(names []string, text []byte, kind string) (uint8, error) {
	n := slices.Index(names, string(text))
	if n < 1 {
		return 0, fmt.Errorf("unknown %s %.32q", kind, text)
	}
	return uint8(n), nil //nolint:gosec // a place in a short list
}
