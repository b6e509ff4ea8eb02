package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// mask is what a Masked shows.
const mask = "***"

// Masked is a text that must not be shown: a password, a token, a name. Printed
// with any verb of fmt, logged with zap or slog, or marshalled to JSON or text,
// it gives "***"; unmarshalling reads the real text. So what was marshalled
// cannot be read back: store Reveal's text, sealed.
//
// Three ways around it remain, all of the language: a conversion with string(m),
// fmt printing a struct that holds a Masked in an unexported field, and JSON of a
// map whose keys are Masked.
type Masked string

// Reveal is the text itself. Calls to it are the places to review.
func (m Masked) Reveal() string { return string(m) }

// String is "***".
func (Masked) String() string { return mask }

// GoString is "***", for %#v.
func (Masked) GoString() string { return mask }

// Format writes "***" for every verb: without it a mistaken one such as %d would
// print the text inside fmt's complaint.
func (Masked) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// MarshalText gives "***".
func (Masked) MarshalText() ([]byte, error) { return []byte(mask), nil }

// MarshalJSON gives "***" as a JSON string.
func (Masked) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }

// LogValue gives "***" to slog.
func (Masked) LogValue() slog.Value { return slog.StringValue(mask) }
