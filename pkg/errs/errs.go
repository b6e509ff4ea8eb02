// Package errs owns the suite's typed errors: a reason that callers branch on, a text that tells them what to do, and a cause
// that stays inside.
//
// It must not know gRPC or HTTP: package rpckit maps reasons to the wire, in one place.
package errs

import (
	"errors"
	"fmt"
	"maps"
	"time"
)

// Kind is the family of a reason; rpckit maps it to a gRPC code.
type Kind uint8

// The kinds, named after the gRPC codes that they become.
const (
	KindInternal Kind = iota
	KindInvalidArgument
	KindNotFound
	KindAlreadyExists
	KindFailedPrecondition
	KindAborted
	KindPermissionDenied
	KindUnauthenticated
	KindUnavailable
	KindResourceExhausted
	KindDeadlineExceeded
	KindUnimplemented
)

// Reason is one documented cause of refusal. Its values are the variables of this package; they are comparable.
type Reason struct {
	name string
	kind Kind
}

// Name is the reason on the wire, for example "LIMIT_INSUFFICIENT".
func (r Reason) Name() string { return r.name }

// Kind is the reason's family.
func (r Reason) Kind() Kind { return r.kind }

// RetryAfter returns how long a caller waits before it repeats the same call; zero when repeating is of no use: something must
// change first. It is the one place that decides it. The kind says whether, so that a new reason has an answer without being
// entered here.
func (r Reason) RetryAfter() time.Duration {
	switch r {
	case ConcurrentChange:
		return 50 * time.Millisecond // whoever was first is done
	case RequestInFlight:
		return 200 * time.Millisecond
	case CheckoutCommitting:
		return 500 * time.Millisecond // two services and an event are between it and its outcome
	default:
	}
	switch r.kind {
	case KindAborted:
		return 200 * time.Millisecond
	case KindUnavailable, KindResourceExhausted, KindDeadlineExceeded:
		return time.Second
	default:
		return 0
	}
}

// New makes an error with this reason. The text reaches the caller: it says what to do and holds no secrets.
func (r Reason) New(format string, args ...any) *Error {
	return &Error{reason: r, message: fmt.Sprintf(format, args...)}
}

// Wrap makes an error with this reason and a cause. The cause is for logs and errors.Is; it never reaches the caller.
func (r Reason) Wrap(cause error, format string, args ...any) *Error {
	return &Error{reason: r, message: fmt.Sprintf(format, args...), cause: cause}
}

// Error is a refusal with a reason.
type Error struct {
	reason   Reason
	message  string
	metadata map[string]string
	cause    error
}

// Error gives reason, text and cause, for logs.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.reason.name, e.message, e.cause)
	}
	return e.reason.name + ": " + e.message
}

// Unwrap gives the cause, nil when there is none.
func (e *Error) Unwrap() error { return e.cause }

// Reason is why.
func (e *Error) Reason() Reason { return e.reason }

// Message is the text for the caller.
func (e *Error) Message() string { return e.message }

// Metadata is what a caller's program may read besides the reason; nil when there is none.
func (e *Error) Metadata() map[string]string { return e.metadata }

// With adds one metadata entry to a copy of the error.
func (e *Error) With(key, value string) *Error {
	c := *e
	c.metadata = maps.Clone(e.metadata)
	if c.metadata == nil {
		c.metadata = make(map[string]string, 1)
	}
	c.metadata[key] = value
	return &c
}

// Is reports whether err, or an error that it wraps, has the reason.
func Is(err error, r Reason) bool {
	got, ok := ReasonOf(err)
	return ok && got == r
}

// ReasonOf gives the reason of err; false when err carries none.
func ReasonOf(err error) (Reason, bool) {
	var e *Error
	if errors.As(err, &e) {
		return e.reason, true
	}
	return Reason{}, false
}

// Passing reports whether err passes by itself, so that the same call may succeed later: a dependency that is away or slow, a lost race.
func Passing(err error) bool {
	r, ok := ReasonOf(err)
	return ok && r.RetryAfter() > 0
}

// Business reports whether err is a refusal by a rule: repeating the same call would be refused again until something changes.
// Faults of our own and of our dependencies are not.
func Business(err error) bool {
	r, ok := ReasonOf(err)
	if !ok {
		return false
	}
	return r.kind != KindInternal && r.RetryAfter() == 0
}
