// Package money owns amounts: whole minor units with a currency, their exact
// arithmetic, their named roundings and their text and JSON forms.
//
// It must not know rates, fees, tax or any product rule, must not convert
// between currencies, and must never pass through a floating point number.
//
// Three promises hold for every function here: arithmetic is exact or fails
// with ErrOverflow, amounts of two currencies never mix, and whatever divides
// an amount either names its Rounding or returns parts that add up to the
// whole.
package money
