package edge

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limits is one token bucket per key, for the most recently seen keys. A key that was forgotten begins with a full bucket: the
// bound of memory is worth more than that.
type limits struct {
	rate    rate.Limit
	burst   int
	entries int

	mu     sync.Mutex
	recent *list.List // of *bucket, most recent first
	byKey  map[string]*list.Element
}

type bucket struct {
	key     string
	limiter *rate.Limiter
}

func newLimits(perSecond, burst, entries int) *limits {
	return &limits{rate: rate.Limit(perSecond), burst: burst, entries: entries, recent: list.New(), byKey: map[string]*list.Element{}}
}

// take takes one token of the key's bucket: 0 when there was one, otherwise how long until there is.
func (l *limits) take(key string, now time.Time) time.Duration {
	reservation := l.bucket(key).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

func (l *limits) bucket(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if held, ok := l.byKey[key]; ok {
		l.recent.MoveToFront(held)
		return held.Value.(*bucket).limiter
	}
	if l.recent.Len() >= l.entries {
		oldest := l.recent.Back()
		l.recent.Remove(oldest)
		delete(l.byKey, oldest.Value.(*bucket).key)
	}
	fresh := &bucket{key, rate.NewLimiter(l.rate, l.burst)}
	l.byKey[key] = l.recent.PushFront(fresh)
	return fresh.limiter
}
