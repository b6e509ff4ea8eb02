package ratelimit_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/ratelimit"
)

func TestLimits_ForgetTheKeySeenLongestAgo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := ratelimit.New(ratelimit.Rate{PerSecond: 1, Burst: 1}, 2)
	if l.Take("a", now) != 0 || l.Take("b", now) != 0 || l.Take("a", now) != time.Second {
		t.Fatal("one each a second")
	}
	if !l.Empty("a", now) || l.Empty("c", now) || l.Empty("a", now.Add(time.Second)) {
		t.Error("Empty does not say what Take would do")
	}
	for i := range 100 {
		l.Take(strconv.Itoa(i), now)
	}
	if l.Empty("a", now) || l.Empty("97", now) || !l.Empty("98", now) || !l.Empty("99", now) {
		t.Error("others than the two latest keys are remembered")
	}
	if l.Take("99", now.Add(time.Second)) != 0 {
		t.Error("the bucket did not fill again")
	}
}

func TestLimits_NoRateLimitsNobody(t *testing.T) {
	t.Parallel()
	l := ratelimit.New(ratelimit.Rate{}, 10)
	for range 10_000 {
		if l.Take("a", time.Time{}) != 0 || l.Empty("a", time.Time{}) {
			t.Fatal("limited")
		}
	}
}

func TestAddress_IsTheNetworkOfACaller(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.1:5": "192.0.2.1", "192.0.2.1": "192.0.2.1", "[2001:db8:1:2:3:4:5:6]:5": "2001:db8:1:2::/64",
		"[::ffff:192.0.2.1]:5": "192.0.2.1", "[fe80::1%eth0]:5": "fe80::/64", "bufconn": "unknown", "": "unknown",
	} {
		if got := ratelimit.Address(text); got != want {
			t.Errorf("Address(%q) = %q, want %q", text, got, want)
		}
	}
}
