// Package clock owns the current time: the real one, one that a development
// stack can push forward, and one that stands still for tests.
//
// It must not know calendars or business days (package civil does), and nothing
// but this package may call time.Now in code whose behaviour depends on time.
package clock

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// MaxOffset bounds how far an Adjustable may be ahead of the real time in all.
const MaxOffset = 50 * 365 * 24 * time.Hour

// ErrAdvance is returned for an advance that is negative or beyond MaxOffset.
var ErrAdvance = errors.New("cannot advance clock")

// Clock tells the current time, in UTC.
type Clock interface {
	Now() time.Time
}

// Real is the machine's clock. The zero Real is ready to use.
type Real struct{}

// System is the machine's clock.
func System() Real { return Real{} }

// Now is the machine's time in UTC, with its monotonic reading.
func (Real) Now() time.Time { return time.Now().UTC() }

// signal tells any number of waiters, once each, that something changed. The
// zero signal is ready to use; its owner's lock guards it.
type signal struct{ ch chan struct{} }

// next is the channel that the next fire closes.
func (s *signal) next() <-chan struct{} {
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

// fire closes the channel handed out and forgets it.
func (s *signal) fire() {
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// Adjustable is the machine's clock plus an offset that only grows, for stacks
// where bills, late fees and retry ladders are watched in seconds. It is safe
// for concurrent use; the zero Adjustable has no offset. It must not be copied.
type Adjustable struct {
	mu      sync.Mutex
	offset  time.Duration
	changed signal
}

// NewAdjustable is an Adjustable without offset.
func NewAdjustable() *Adjustable { return &Adjustable{} }

// Now is the machine's time plus the offset, in UTC.
func (a *Adjustable) Now() time.Time { return time.Now().UTC().Add(a.Offset()) }

// Offset is how far the clock is ahead of the machine's.
func (a *Adjustable) Offset() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.offset
}

// Advance moves the clock forward by d and wakes everybody who waits on
// Changed. It fails with ErrAdvance, and changes nothing, when d is negative or
// the offset would exceed MaxOffset.
func (a *Adjustable) Advance(d time.Duration) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d < 0 || d > MaxOffset-a.offset {
		return fmt.Errorf("%w by %s: it must be 0 or more and at most %s in all", ErrAdvance, d, MaxOffset)
	}
	a.offset += d
	a.changed.fire()
	return nil
}

// Changed is closed at the next Advance. Take it before reading Now: then no
// advance in between is missed. Take a new one after each close.
func (a *Adjustable) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed.next()
}

// Fake is a clock for tests that moves only when told. It is safe for
// concurrent use and must not be copied.
type Fake struct {
	mu      sync.Mutex
	now     time.Time
	changed signal
}

// NewFake is a Fake that stands at t.
func NewFake(t time.Time) *Fake { return &Fake{now: t.UTC()} }

// Now is the time the clock stands at, in UTC.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Advance moves the clock by d and wakes everybody who waits on Changed. It
// panics when d is negative: a test that wants the past says so with Set.
func (f *Fake) Advance(d time.Duration) {
	if d < 0 {
		panic(fmt.Sprintf("clock: Fake.Advance by %s; use Set to go back", d))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	f.changed.fire()
}

// Set moves the clock to t, forward or back, and wakes everybody who waits on
// Changed.
func (f *Fake) Set(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = t.UTC()
	f.changed.fire()
}

// Changed is closed at the next Advance or Set, as for Adjustable.
func (f *Fake) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed.next()
}
