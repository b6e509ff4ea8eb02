package clock_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creditpay/creditpay/pkg/clock"
)

var epoch = time.Date(2026, time.November, 22, 8, 0, 0, 0, time.UTC)

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestSystemTellsTheMachinesTimeInUTC(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if got := clock.System().Now(); !got.Equal(time.Now()) || got.Location() != time.UTC {
			t.Errorf("Now = %v, want %v in UTC", got, time.Now())
		}
	})
}

func TestAdjustableAddsWhatWasAdvanced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := clock.NewAdjustable()
		start := time.Now()
		changed := a.Changed()
		for _, d := range []time.Duration{time.Hour, 0, 24 * time.Hour} {
			if err := a.Advance(d); err != nil {
				t.Fatal(err)
			}
		}
		if !closed(changed) || closed(a.Changed()) {
			t.Error("Changed must be closed by an advance, and a new one open")
		}
		<-time.After(time.Second) // the bubble's clock: takes no real time
		want := start.Add(25*time.Hour + time.Second)
		if got := a.Now(); !got.Equal(want) || got.Location() != time.UTC || a.Offset() != 25*time.Hour {
			t.Errorf("Now = %v with offset %v, want %v", got, a.Offset(), want)
		}
	})
}

func TestAdjustableNeverGoesBackOrBeyondItsBound(t *testing.T) {
	t.Parallel()
	a := clock.NewAdjustable()
	if err := a.Advance(time.Hour); err != nil {
		t.Fatal(err)
	}
	changed := a.Changed()
	for _, d := range []time.Duration{-1, clock.MaxOffset, 1<<63 - 1, -1 << 63} {
		if err := a.Advance(d); !errors.Is(err, clock.ErrAdvance) {
			t.Errorf("Advance(%v): %v, want ErrAdvance", d, err)
		}
	}
	if a.Offset() != time.Hour || closed(changed) {
		t.Errorf("a refused advance left offset %v, woke waiters: %t", a.Offset(), closed(changed))
	}
	if err := a.Advance(clock.MaxOffset - time.Hour); err != nil {
		t.Errorf("advance up to the bound: %v", err)
	}
}

func TestAdjustableCountsEveryConcurrentAdvance(t *testing.T) {
	t.Parallel()
	a := clock.NewAdjustable()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			changed := a.Changed()
			if err := a.Advance(time.Second); err != nil {
				t.Error(err)
			}
			<-changed
			_ = a.Now()
		})
	}
	wg.Wait()
	if a.Offset() != 50*time.Second {
		t.Errorf("offset is %v, want 50s", a.Offset())
	}
}

func TestFakeMovesOnlyWhenTold(t *testing.T) {
	t.Parallel()
	f := clock.NewFake(epoch.In(time.FixedZone("WIB", 7*3600)))
	if got := f.Now(); got != epoch {
		t.Errorf("Now = %v, want %v in UTC", got, epoch)
	}
	changed := f.Changed()
	f.Advance(time.Minute)
	if got := f.Now(); got != epoch.Add(time.Minute) || !closed(changed) {
		t.Errorf("Now = %v, waiters woken: %t", got, closed(changed))
	}
	changed = f.Changed()
	f.Set(epoch.Add(-time.Hour))
	if got := f.Now(); got != epoch.Add(-time.Hour) || !closed(changed) {
		t.Errorf("Now = %v, waiters woken: %t", got, closed(changed))
	}
	defer func() {
		if recover() == nil {
			t.Error("a negative Advance did not panic")
		}
	}()
	f.Advance(-1)
}

// waiting starts Wait and returns the channel of its result, once it blocks.
func waiting(ctx context.Context, clk clock.Clock, until time.Time, wake <-chan struct{}) <-chan error {
	done := make(chan error, 1)
	go func() { done <- clock.Wait(ctx, clk, until, wake) }()
	synctest.Wait()
	return done
}

// result is what a Wait returned, or a failure when it still blocks.
func result(t *testing.T, done <-chan error) error {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		return err
	default:
		t.Fatal("Wait still blocks")
		return nil
	}
}

func TestWaitReturnsWhenTheTimeComes(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, -time.Hour, time.Nanosecond, time.Second, time.Minute, 49*time.Hour + 1} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			if err := clock.Wait(t.Context(), clock.System(), start.Add(d), nil); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != max(d, 0) {
				t.Errorf("waited %v, want %v", got, d)
			}
		})
	}
}

func TestWaitEndsOnWakeWithoutTheTimeHavingCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		wake := make(chan struct{}, 1)
		done := waiting(t.Context(), clock.System(), start.Add(time.Hour), wake)
		wake <- struct{}{}
		if err := result(t, done); err != nil || time.Since(start) != 0 {
			t.Errorf("Wait = %v after %v", err, time.Since(start))
		}
	})
}

func TestWaitEndsOnAnAdvanceOfTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := clock.NewAdjustable()
		done := waiting(t.Context(), a, a.Now().Add(time.Hour), nil)
		if err := a.Advance(time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := result(t, done); err != nil {
			t.Errorf("Adjustable: %v", err)
		}
		f := clock.NewFake(epoch)
		done = waiting(t.Context(), f, epoch.Add(time.Hour), nil)
		f.Advance(time.Hour)
		if err := result(t, done); err != nil {
			t.Errorf("Fake: %v", err)
		}
		if err := clock.Wait(t.Context(), f, epoch.Add(time.Hour), nil); err != nil {
			t.Errorf("Fake that is there already: %v", err)
		}
	})
}

func TestWaitOnAFakeIsNotMovedByRealTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := clock.NewFake(epoch)
		done := waiting(ctx, f, epoch.Add(time.Millisecond), nil)
		<-time.After(24 * time.Hour) // the bubble's clock
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("Wait returned %v though the clock stands", err)
		default:
		}
		cancel()
		if err := result(t, done); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait = %v, want context.Canceled", err)
		}
	})
}

func TestWaitReportsTheCauseOfItsContext(t *testing.T) {
	t.Parallel()
	stop := errors.New("drain")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		done := waiting(ctx, clock.System(), time.Now().Add(time.Hour), nil)
		cancel(stop)
		if err := result(t, done); !errors.Is(err, stop) {
			t.Errorf("Wait = %v, want the cause", err)
		}
		// A done context wins even when it is time.
		if err := clock.Wait(ctx, clock.System(), time.Now(), nil); !errors.Is(err, stop) {
			t.Errorf("Wait = %v, want the cause", err)
		}
	})
}

// counting counts the readings of the clock.
type counting struct {
	clock.Real
	mu       sync.Mutex
	readings int
}

func (c *counting) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readings++
	return c.Real.Now()
}

func TestWaitReadsTheClockOnceAMinuteAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &counting{}
		if err := clock.Wait(t.Context(), c, time.Now().Add(time.Hour), nil); err != nil {
			t.Fatal(err)
		}
		if c.readings > 61 {
			t.Errorf("%d readings in an hour, want at most 61", c.readings)
		}
	})
}

// stepped is a clock that an operator steps by an hour after a moment.
type stepped struct{ at time.Time }

func (s stepped) Now() time.Time {
	if now := time.Now(); now.Before(s.at) {
		return now
	}
	return time.Now().Add(time.Hour)
}

func TestWaitNoticesAStepOfTheWallClockWithinAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		clk := stepped{at: start.Add(90 * time.Second)}
		if err := clock.Wait(t.Context(), clk, start.Add(time.Hour), nil); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got != 2*time.Minute {
			t.Errorf("noticed after %v, want 2m0s", got)
		}
	})
}
