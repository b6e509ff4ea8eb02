package money

import (
	"errors"
	"fmt"
)

// ErrUnknownCurrency is returned for a code that is not in the registry.
var ErrUnknownCurrency = errors.New("unknown currency")

// Currency is a currency code and the number of decimal digits of its minor
// unit. It is a comparable value. The zero Currency means "none" and matches
// no other currency.
type Currency struct {
	code     string
	exponent uint8
}

// CurrencyOf looks up a currency by its upper-case code. It returns
// ErrUnknownCurrency for anything else, lower case included.
//
// Exponents follow ISO 4217 with two exceptions. IDR is 2 in the standard (the
// sen), but no coin, bank transfer or e-wallet of Indonesia carries sen, so a
// minor unit here is one rupiah and the exponent is 0. USDT is not in ISO 4217;
// 6 is the number of decimals of the token contract on Tron and Ethereum.
func CurrencyOf(code string) (Currency, error) {
	switch code {
	case "IDR", "VND", "JPY":
		return Currency{code, 0}, nil
	case "USD", "CNY", "SGD", "MYR", "THB", "PHP", "EUR":
		return Currency{code, 2}, nil
	case "KWD":
		return Currency{code, 3}, nil
	case "USDT":
		return Currency{code, 6}, nil
	default:
		return Currency{}, fmt.Errorf("%w %q", ErrUnknownCurrency, code)
	}
}

// IDR is the Indonesian rupiah, counted in whole rupiah: see CurrencyOf.
func IDR() Currency { return Currency{"IDR", 0} }

// USD is the United States dollar, counted in cents.
func USD() Currency { return Currency{"USD", 2} }

// CNY is the Chinese yuan, counted in fen.
func CNY() Currency { return Currency{"CNY", 2} }

// USDT is the Tether dollar token, counted in millionths.
func USDT() Currency { return Currency{"USDT", 6} }

// Code is the currency code, such as "IDR"; empty for the zero Currency.
func (c Currency) Code() string { return c.code }

// Exponent is the number of decimal digits of the minor unit: 0 to 6.
func (c Currency) Exponent() int { return int(c.exponent) }

// IsZero reports whether c is the zero Currency, "none".
func (c Currency) IsZero() bool { return c == Currency{} }

// String is the code, or ISO 4217's "XXX" (no currency) for the zero Currency.
func (c Currency) String() string {
	if c.code == "" {
		return "XXX"
	}
	return c.code
}
