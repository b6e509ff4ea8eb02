// Package domain owns the rules of credit: products, schedules, due dates, plans,
// accounts, loans and the lines of the journal. Everything here is a pure
// function of its arguments.
//
// It must not know ctx, I/O, SQL, protocol messages, the clock or the machine's
// time zone: time and ids are passed in, and results are passed back as values.
//
// Refusals that a caller can act on are *errs.Error with a reason. A result that
// contradicts itself is ErrInvariant, which is a fault of ours and never mended
// in silence.
package domain

import (
	"errors"
	"fmt"

	"github.com/creditpay/creditpay/pkg/money"
)

// ErrInvariant says that figures contradict each other: parts that do not add up
// to their whole, a negative part, an unbalanced journal. Nothing may be stored
// or answered from such figures.
var ErrInvariant = errors.New("invariant of the credit rules broken")

// broken makes an ErrInvariant that says what contradicts what.
func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvariant, fmt.Sprintf(format, args...))
}

// equal fails with ErrInvariant unless got and want are the same amount of the
// same currency; what names the figure.
func equal(what string, got, want money.Amount) error {
	if got != want {
		return broken("%s is %s, want %s", what, got, want)
	}
	return nil
}
