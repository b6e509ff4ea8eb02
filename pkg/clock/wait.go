package clock

import (
	"context"
	"time"
)

// maxNap bounds one timer. The wall clock may be stepped (by NTP, or while the
// machine is suspended), which a running timer does not notice; after a nap the
// clock is read again, so a step is seen within a minute.
const maxNap = time.Minute

// changer is a clock that can jump.
type changer interface{ Changed() <-chan struct{} }

// Wait blocks until clk reaches until, wake fires (a value or a close), clk is
// advanced (if it is an Adjustable, a Fake or anything else with a Changed
// method), or ctx is done. Only the last is an error: the cause of ctx.
//
// A nil error therefore means "look again", not "it is time": the caller loops,
// computing until anew. wake may be nil. Wait starts no goroutine and sets at
// most one timer a minute; for a Fake, whose time does not flow, it sets none.
func Wait(ctx context.Context, clk Clock, until time.Time, wake <-chan struct{}) error {
	// First the channel, then the time: an advance in between is not missed.
	var changed <-chan struct{}
	if c, ok := clk.(changer); ok {
		changed = c.Changed()
	}
	_, stands := clk.(*Fake)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		left := until.Sub(clk.Now())
		if left <= 0 {
			return nil
		}
		if stands {
			left = 0
		}
		napped, err := nap(ctx, left, wake, changed)
		if err != nil || !napped {
			return err
		}
	}
}

// nap waits for d, at most maxNap, and reports whether it slept it out; it ends
// early for wake, changed or ctx. A d of zero is no timer at all.
func nap(ctx context.Context, d time.Duration, wake, changed <-chan struct{}) (bool, error) {
	var expired <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(min(d, maxNap))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-expired:
		return true, nil
	case <-wake:
		return false, nil
	case <-changed:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}
