package domain

import "time"

const (
	// breakerTrips is how many failures in a row open it.
	breakerTrips = 5
	// breakerMin is how long it is open first, and never longer than the shortest pause of a ladder: the delivery whose failure opened
	// it is not held up by it. Each further failure doubles it.
	breakerMin = 15 * time.Second
	breakerMax = 5 * time.Minute
	// breakerMemory is how long a failure counts: longer than the longest pause of a ladder. Who is not tried any more is forgotten.
	breakerMemory = 7 * time.Hour
)

// Breaker leaves an endpoint alone that failed again and again, so that a dead one costs an attempt now and then instead of a place
// each. The zero Breaker is closed.
type Breaker struct {
	failures int
	// failed is when the last attempt failed, until is how long nothing is sent.
	failed, until time.Time
}

// Failed counts a failure that ended at a time.
func (b *Breaker) Failed(at time.Time) {
	b.failures++
	b.failed = at
	if b.failures < breakerTrips {
		return
	}
	open := breakerMax
	if doubled := b.failures - breakerTrips; doubled < 5 {
		open = min(breakerMin<<doubled, breakerMax)
	}
	b.until = at.Add(open)
}

// Pause leaves the endpoint alone until a time, because it asked for that.
func (b *Breaker) Pause(until time.Time) {
	if until.After(b.until) {
		b.until = until
	}
}

// Retry lets one try at once whether the endpoint is back, because somebody asked for it.
func (b *Breaker) Retry() { b.until = time.Time{} }

// Succeeded closes it.
func (b *Breaker) Succeeded() { *b = Breaker{} }

// Open gives the time until which nothing is sent; the zero time when something may be.
func (b *Breaker) Open(now time.Time) time.Time {
	if now.Before(b.until) {
		return b.until
	}
	return time.Time{}
}

// Places is how many of an endpoint's places may be used now: none while it is open, one to try after that, all once it is closed.
func (b *Breaker) Places(now time.Time, all int) int {
	switch {
	case !b.Open(now).IsZero():
		return 0
	case b.failures >= breakerTrips:
		return 1
	default:
		return all
	}
}

// Idle tells that there is nothing to remember.
func (b *Breaker) Idle() bool { return b.failures == 0 }

// Stale tells that what there is to remember is too old to count.
func (b *Breaker) Stale(now time.Time) bool {
	return b.failures > 0 && now.Sub(b.failed) > breakerMemory && b.Open(now).IsZero()
}
