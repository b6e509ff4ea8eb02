// Package ratelimit owns how often somebody may ask: token buckets by key in bounded memory, and the key of a network address.
//
// It must not know who a caller is or what is asked.
package ratelimit

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how often one key may ask.
type Rate struct {
	// PerSecond is how often on average; 0 for no limit.
	PerSecond int
	// Burst is how often at once.
	Burst int
}

// Limits is one token bucket per key, for the most recently seen keys. A key that was forgotten begins with a full bucket: the
// bound of memory is worth more than that. It is safe for concurrent use. A nil *Limits limits nobody.
type Limits struct {
	rate    Rate
	entries int

	mu     sync.Mutex
	recent *list.List // of *bucket, most recent first
	byKey  map[string]*list.Element
}

type bucket struct {
	key     string
	limiter *rate.Limiter
}

// New returns Limits that remember at most so many keys; nil for a Rate without a limit.
func New(r Rate, entries int) *Limits {
	if r.PerSecond <= 0 {
		return nil
	}
	return &Limits{rate: r, entries: max(1, entries), recent: list.New(), byKey: map[string]*list.Element{}}
}

// Take takes one token of the key's bucket. It returns 0 when there was one, otherwise how long until there is.
func (l *Limits) Take(key string, now time.Time) time.Duration {
	if l == nil {
		return 0
	}
	reservation := l.bucket(key).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// Empty reports whether Take would have to wait. It takes nothing, and remembers no new key.
func (l *Limits) Empty(key string, now time.Time) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	held, ok := l.byKey[key]
	l.mu.Unlock()
	return ok && held.Value.(*bucket).limiter.TokensAt(now) < 1
}

func (l *Limits) bucket(key string) *rate.Limiter {
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
	fresh := &bucket{key, rate.NewLimiter(rate.Limit(l.rate.PerSecond), l.rate.Burst)}
	l.byKey[key] = l.recent.PushFront(fresh)
	return fresh.limiter
}

// Address returns a network address ("host:port" or a bare host) as a key of Limits: an IPv4 address, or the /64 of an IPv6
// address, since whoever has one of those has all of it. It is "unknown" for anything else.
func Address(text string) string {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return "unknown"
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return "unknown"
	}
	return prefix.String()
}
