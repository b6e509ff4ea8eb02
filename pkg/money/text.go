package money

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrSyntax is returned for a text or JSON form that is not an amount.
var ErrSyntax = errors.New("not an amount")

// maxDecimalLength is above the longest decimal of an int64: sign, 19 digits
// and a point.
const maxDecimalLength = 24

// String is the currency and the decimal: "IDR 100000", "USD -12.34". The zero
// Amount is "XXX 0". For people and logs; programs use Decimal or JSON.
func (a Amount) String() string { return a.currency.String() + " " + a.Decimal() }

// Decimal is the amount in major units with all decimal digits of the
// currency: "12.34", "-0.05", and "100000" for IDR.
func (a Amount) Decimal() string {
	exponent := a.currency.Exponent()
	digits := strconv.FormatInt(a.minor, 10)
	if exponent == 0 {
		return digits
	}
	sign := ""
	if a.minor < 0 {
		sign, digits = "-", digits[1:]
	}
	if missing := exponent + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - exponent
	return sign + digits[:point] + "." + digits[point:]
}

// ParseDecimal reads an amount in major units of c. The grammar is
//
//	["-"] ( "0" | nonzero digit { digit } ) [ "." digit { digit } ]
//
// with at most as many decimals as the currency has, so "12.3" is USD 12.30
// while "12.345", "12.", ".5", "+1", "1,000", "01", "1e3" and "-0" fail with
// ErrSyntax. Nothing is rounded. A number beyond int64 fails with ErrOverflow,
// the zero Currency with ErrUnknownCurrency.
func ParseDecimal(s string, c Currency) (Amount, error) {
	if c.IsZero() {
		return Amount{}, fmt.Errorf("parse decimal: %w %q", ErrUnknownCurrency, "")
	}
	if len(s) > maxDecimalLength {
		return Amount{}, fmt.Errorf("%w: longer than %d characters", ErrSyntax, maxDecimalLength)
	}
	unsigned, negative := strings.CutPrefix(s, "-")
	units, decimals, point := strings.Cut(unsigned, ".")
	switch {
	case !isDigits(units),
		len(units) > 1 && units[0] == '0',
		point && !isDigits(decimals):
		return Amount{}, fmt.Errorf("%w: %q", ErrSyntax, s)
	case len(decimals) > c.Exponent():
		return Amount{}, fmt.Errorf("%w: %q has more than the %d decimals of %s", ErrSyntax, s, c.Exponent(), c)
	}
	digits := units + decimals + strings.Repeat("0", c.Exponent()-len(decimals))
	if negative {
		digits = "-" + digits
	}
	minor, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		// Only the range is left to fail: the digits were checked above.
		return Amount{}, fmt.Errorf("%w: %q", ErrOverflow, s)
	}
	if minor == 0 && negative {
		return Amount{}, fmt.Errorf("%w: %q is a negative zero", ErrSyntax, s)
	}
	return Amount{minor, c}, nil
}

// isDigits reports whether s is one or more ASCII digits.
func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// wire is the JSON form. The number travels as a string because JavaScript
// loses integers above 2^53.
type wire struct {
	AmountMinor  json.RawMessage `json:"amount_minor"`
	CurrencyCode string          `json:"currency_code"`
}

// MarshalJSON gives {"amount_minor":"123","currency_code":"IDR"}, and null for
// an amount without currency.
func (a Amount) MarshalJSON() ([]byte, error) {
	if a.currency.IsZero() {
		if a.minor != 0 {
			return nil, fmt.Errorf("marshal amount %d: %w %q", a.minor, ErrUnknownCurrency, "")
		}
		return []byte("null"), nil
	}
	return json.Marshal(wire{
		AmountMinor:  json.RawMessage(strconv.Quote(strconv.FormatInt(a.minor, 10))),
		CurrencyCode: a.currency.code,
	})
}

// UnmarshalJSON reads what MarshalJSON writes, and amount_minor also as a JSON
// number. The number must be a plain integer: 1.0 and 1e3 fail with ErrSyntax.
// A null gives the zero Amount.
func (a *Amount) UnmarshalJSON(data []byte) error {
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		*a = Amount{}
		return nil
	}
	var w wire
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("unmarshal amount: %w", err)
	}
	c, err := CurrencyOf(w.CurrencyCode)
	if err != nil {
		return fmt.Errorf("unmarshal amount: %w", err)
	}
	digits := string(w.AmountMinor)
	if strings.HasPrefix(digits, `"`) {
		if err := json.Unmarshal(w.AmountMinor, &digits); err != nil {
			return fmt.Errorf("unmarshal amount_minor: %w", err)
		}
	}
	// Minor units have no decimals whatever the currency, hence exponent 0.
	plain, err := ParseDecimal(digits, Currency{c.code, 0})
	if err != nil {
		return fmt.Errorf("unmarshal amount_minor: %w", err)
	}
	*a = Amount{plain.minor, c}
	return nil
}
